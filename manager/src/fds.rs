//! Descriptors by id. The engine names what it opens with even ids; what arrives from outside gets odd ones here.
use runstead_core::engine::effect::FdId;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The table. A descriptor taken out of it is closed, unless the caller keeps it.
#[derive(Debug)]
pub struct FdTable {
    fds: BTreeMap<FdId, OwnedFd>,
    next: u64,
}

impl Default for FdTable {
    fn default() -> Self {
        FdTable { fds: BTreeMap::new(), next: 1 }
    }
}

impl FdTable {
    /// Register what arrived from outside.
    pub fn arrived(&mut self, fd: OwnedFd) -> FdId {
        let id = FdId(self.next);
        self.next += 2;
        self.fds.insert(id, fd);
        id
    }

    /// Register under an id the engine gave, or one from the state log.
    pub fn put(&mut self, id: FdId, fd: OwnedFd) {
        if id.0 % 2 == 1 && id.0 >= self.next {
            self.next = id.0 + 2;
        }
        self.fds.insert(id, fd);
    }

    /// Look.
    pub fn get(&self, id: FdId) -> Option<BorrowedFd<'_>> {
        self.fds.get(&id).map(AsFd::as_fd)
    }

    /// Take out.
    pub fn take(&mut self, id: FdId) -> Option<OwnedFd> {
        self.fds.remove(&id)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.fds.len()
    }

    /// All, in order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (FdId, BorrowedFd<'_>)> {
        self.fds.iter().map(|(id, fd)| (*id, fd.as_fd()))
    }

    /// The id under which the same open file is held already (kcmp(2)), among `candidates`.
    pub fn same(&self, fd: BorrowedFd<'_>, candidates: impl IntoIterator<Item = FdId>) -> Option<FdId> {
        candidates.into_iter().find(|id| {
            self.get(*id).is_some_and(|held| runstead_os::sys::process::same_file(held, fd).unwrap_or(false))
        })
    }
}
