//! Descriptors by id. The engine names what it opens with even ids; what arrives from outside gets odd ones here.
use runstead_core::engine::effect::FdId;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The table. A descriptor taken out of it is closed, unless the caller keeps it.
#[derive(Debug)]
pub struct FdTable {
    fds: BTreeMap<FdId, OwnedFd>,
    /// What arrived, by device and inode: one open file has one inode.
    arrived: BTreeMap<Inode, Vec<FdId>>,
    next: u64,
}

/// Device and inode number.
type Inode = (u64, u64);

fn inode(fd: impl AsFd) -> Option<Inode> {
    rustix::fs::fstat(fd).ok().map(|stat| (stat.st_dev, stat.st_ino))
}

impl Default for FdTable {
    fn default() -> Self {
        FdTable { fds: BTreeMap::new(), arrived: BTreeMap::new(), next: 1 }
    }
}

impl FdTable {
    /// Register what arrived from outside.
    pub fn arrived(&mut self, fd: OwnedFd) -> FdId {
        let id = FdId(self.next);
        self.put(id, fd);
        id
    }

    /// Register under an id the engine gave, or one from the state log.
    pub fn put(&mut self, id: FdId, fd: OwnedFd) {
        if id.0 % 2 == 1 && id.0 >= self.next {
            self.next = id.0 + 2;
        }
        if id.0 % 2 == 1
            && let Some(inode) = inode(&fd)
        {
            self.arrived.entry(inode).or_default().push(id);
        }
        self.fds.insert(id, fd);
    }

    /// Look.
    pub fn get(&self, id: FdId) -> Option<BorrowedFd<'_>> {
        self.fds.get(&id).map(AsFd::as_fd)
    }

    /// Take out.
    pub fn take(&mut self, id: FdId) -> Option<OwnedFd> {
        let fd = self.fds.remove(&id)?;
        if id.0 % 2 == 1
            && let Some(inode) = inode(&fd)
            && let Some(ids) = self.arrived.get_mut(&inode)
        {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.arrived.remove(&inode);
            }
        }
        Some(fd)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.fds.len()
    }

    /// All, in order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (FdId, BorrowedFd<'_>)> {
        self.fds.iter().map(|(id, fd)| (*id, fd.as_fd()))
    }

    /// Whether the same open file (kcmp(2)) arrived before and is held under an id that `counts`.
    pub fn holds(&self, fd: BorrowedFd<'_>, counts: impl Fn(FdId) -> bool) -> bool {
        let same = |id: FdId| {
            self.get(id).is_some_and(|held| runstead_os::sys::process::same_file(held, fd).unwrap_or(false))
        };
        let ids = inode(fd).and_then(|inode| self.arrived.get(&inode));
        ids.is_some_and(|ids| ids.iter().any(|&id| counts(id) && same(id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_already_is_found() {
        let open = || OwnedFd::from(std::fs::File::open("/dev/null").expect("open"));
        let (file, other) = (open(), open());
        let again = file.try_clone().expect("dup");
        let mut table = FdTable::default();
        table.put(FdId(2), open());
        let id = table.arrived(file);
        assert!(table.holds(again.as_fd(), |held| held == id));
        assert!(!table.holds(again.as_fd(), |held| held != id), "only another's counts");
        assert!(!table.holds(other.as_fd(), |_| true), "the same path, opened twice");
        table.take(id);
        assert!(!table.holds(again.as_fd(), |_| true));
        assert!(table.arrived.is_empty());
    }
}
