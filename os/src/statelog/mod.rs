//! The state log (DESIGN 6): keyed records in shared memory that the next image of the manager finds again.
//!
//! ```text
//! 0     magic, version
//! 64    two slots, each: sequence, offset, size, checksum     the valid one with the higher sequence tells the extent
//! 256   length, checksum, text of the in-flight marker
//! 4096  extents: records one after the other, ended by a zero length word
//! record: length of the rest, checksum, key length, kind, key, value, zeroes up to the next multiple of 8
//! ```
//!
//! A record is written whole, then the zero behind it, then its length word: whoever reads after a crash sees the record
//! or does not. Checksums begin with the extent's sequence, so that what an older extent left there never counts. A full
//! extent is compacted into free space (the file grows when there is none), and the other slot names it.
mod format;

use crate::error::{Attempt, OsError};
use crate::sys::shared_map::SharedMap;
use format::{Extent, HEADER, Kind, MARKER_MAX, Record};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FallocateFlags, MemfdFlags, Mode, OFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ops::Range;

/// Size of the first extent.
const FIRST_EXTENT: usize = if cfg!(test) { 16 << 10 } else { 128 << 10 };

/// More state than this has a bug that makes it.
const SIZE_MAX: usize = 1 << 30;

/// The log. One process writes it.
#[derive(Debug)]
pub struct StateLog {
    fd: OwnedFd,
    map: SharedMap,
    extent: Extent,
    /// Offset of the zero word behind the last record.
    tail: usize,
    /// Where the newest value of each key lies.
    index: BTreeMap<Box<str>, Range<usize>>,
    /// Bytes that live records take.
    live: usize,
    marker: Option<String>,
    lost: u64,
}

impl StateLog {
    /// A new log in anonymous memory: it lives as long as a descriptor of it.
    pub fn create() -> Result<StateLog, OsError> {
        let fd = rustix::fs::memfd_create("runstead-state", MemfdFlags::CLOEXEC)
            .attempt("memfd_create", "state log")?;
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(0o600)).attempt("chmod", "state log")?;
        StateLog::format(fd, FIRST_EXTENT)
    }

    /// A new log in a file on tmpfs, mode 0600: it outlives the process (plain mode). An old file is replaced.
    pub fn create_file(path: &str) -> Result<StateLog, OsError> {
        match rustix::fs::unlink(path) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(OsError::new("unlink", path, errno)),
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600)).attempt("create", path)?;
        StateLog::format(fd, FIRST_EXTENT)
    }

    fn format(fd: OwnedFd, size: usize) -> Result<StateLog, OsError> {
        let total = HEADER + size;
        let map = reserve(&fd, total)?;
        let extent = Extent { sequence: 1, offset: HEADER, size };
        let mut log = StateLog {
            fd,
            map,
            extent,
            tail: HEADER,
            index: BTreeMap::new(),
            live: 0,
            marker: None,
            lost: 0,
        };
        format::write_magic(&mut log.map).attempt("write", "state log")?;
        log.map.publish(extent.offset, 0).attempt("write", "state log")?;
        format::write_slot(&mut log.map, extent).attempt("write", "state log")?;
        Ok(log)
    }

    /// Read a log that an earlier image (or process) left. A torn tail is cut off; a file that is no log is refused.
    pub fn open(fd: OwnedFd) -> Result<StateLog, OsError> {
        let size = rustix::fs::fstat(&fd).attempt("stat", "state log")?.st_size;
        let size = usize::try_from(size).ok().filter(|size| (HEADER + 8..=SIZE_MAX).contains(size));
        let size = size.ok_or_else(|| OsError::new("read", "state log", Errno::BADMSG))?;
        let map = reserve(&fd, size)?;
        let broken = || OsError::new("read", "state log", Errno::BADMSG);
        let extent = format::read_extent(map.bytes()).ok_or_else(broken)?;
        let marker = format::read_marker(map.bytes());
        let mut log = StateLog {
            fd,
            map,
            extent,
            tail: extent.offset,
            index: BTreeMap::new(),
            live: 0,
            marker,
            lost: 0,
        };
        log.scan();
        Ok(log)
    }

    /// Take up the log of the image before, whose descriptor has this number.
    pub fn inherit(number: i32) -> Result<StateLog, OsError> {
        let fd = crate::handover::inherited_fd(number);
        StateLog::open(
            fd.ok_or_else(|| OsError::new("inherit", format!("descriptor {number}"), Errno::BADF))?,
        )
    }

    /// Open the file of [`StateLog::create_file`].
    pub fn open_file(path: &str) -> Result<StateLog, OsError> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = rustix::fs::open(path, flags, Mode::empty()).attempt("open", path)?;
        StateLog::open(fd)
    }

    fn scan(&mut self) {
        let mut at = self.extent.offset;
        while let Some(record) = format::read_record(self.map.bytes(), self.extent, at) {
            let key: Box<str> = record.key.into();
            let (end, kind, value) = (record.end, record.kind, record.value.clone());
            if let Some(old) = self.index.remove(&key) {
                self.live -= format::room(key.len(), old.len());
            }
            if kind == Kind::Put {
                self.live += format::room(key.len(), value.len());
                self.index.insert(key, value);
            }
            at = end;
        }
        self.tail = at;
        // Whatever follows was never finished.
        let _ = self.map.publish(at, 0);
    }

    /// The descriptor, to be inherited.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Keep this under the key. What is there already is not written again.
    pub fn put(&mut self, key: &str, value: &[u8]) {
        let known = self.index.get(key).and_then(|range| self.map.bytes().get(range.clone()));
        if known == Some(value) {
            return;
        }
        match self.append(Kind::Put, key, value) {
            Ok(range) => {
                self.live += format::room(key.len(), value.len());
                match self.index.get_mut(key) {
                    Some(slot) => {
                        self.live -= format::room(key.len(), slot.len());
                        *slot = range;
                    }
                    None => {
                        self.index.insert(key.into(), range);
                    }
                }
            }
            Err(_) => self.lost += 1,
        }
    }

    /// Forget the key.
    pub fn remove(&mut self, key: &str) {
        if !self.index.contains_key(key) {
            return;
        }
        match self.append(Kind::Remove, key, b"") {
            Ok(_) => {
                if let Some(old) = self.index.remove(key) {
                    self.live -= format::room(key.len(), old.len());
                }
            }
            Err(_) => self.lost += 1,
        }
    }

    /// The newest value of a key.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.map.bytes().get(self.index.get(key)?.clone())
    }

    /// All keys and their newest values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.index.iter().filter_map(|(key, range)| Some((&**key, self.map.bytes().get(range.clone())?)))
    }

    /// Writes that did not fit (no memory left for the log): after a crash their state is old.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Note what is being handled (cut after 200 bytes), or that nothing is. After a crash it is known what to leave alone.
    pub fn in_flight(&mut self, what: Option<&str>) {
        let text = what.unwrap_or_default();
        let mut end = text.len().min(MARKER_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        // The header is always there: these writes cannot be out of bounds.
        let _ = format::write_marker(&mut self.map, &text.as_bytes()[..end]);
    }

    /// What the earlier image was handling when it crashed.
    pub fn in_flight_marker(&self) -> Option<&str> {
        self.marker.as_deref()
    }

    /// Append a record; where its value lies.
    fn append(&mut self, kind: Kind, key: &str, value: &[u8]) -> Result<Range<usize>, OsError> {
        let record = Record::checked(kind, key, value).attempt("write", key)?;
        // Behind every record a zero word must fit.
        if self.tail + record.room() + 8 > self.extent.end() {
            self.compact(record.room())?;
        }
        let at = self.tail;
        self.tail = record.write(&mut self.map, self.extent, at).attempt("write", key)?;
        Ok(record.value_range(at))
    }

    /// Copy what lives into free space, so that at least `room` and a good part of the extent are free again.
    fn compact(&mut self, room: usize) -> Result<(), OsError> {
        let needed = self.live + room + 8;
        let size = self.extent.size.max(FIRST_EXTENT).max((needed * 2).next_power_of_two());
        let offset = if self.extent.offset - HEADER >= size { HEADER } else { self.extent.end() };
        let sequence = self
            .extent
            .sequence
            .checked_add(1)
            .ok_or_else(|| OsError::new("compact", "state log", Errno::OVERFLOW))?;
        let fresh = Extent { sequence, offset, size };
        if fresh.end() > self.map.len() {
            if fresh.end() > SIZE_MAX {
                return Err(OsError::new("grow", "state log", Errno::FBIG));
            }
            #[cfg(test)]
            let trace = self.map.trace.take();
            self.map = reserve(&self.fd, fresh.end())?;
            #[cfg(test)]
            {
                self.map.trace = trace;
            }
        }
        self.map.publish(fresh.offset, 0).attempt("write", "state log")?;
        let mut tail = fresh.offset;
        let mut index = BTreeMap::new();
        for (key, range) in &self.index {
            let value = self.map.bytes().get(range.clone()).unwrap_or_default().to_vec();
            let record = Record::checked(Kind::Put, key, &value).attempt("compact", "state log")?;
            let at = tail;
            tail = record.write(&mut self.map, fresh, at).attempt("compact", "state log")?;
            index.insert(key.clone(), record.value_range(at));
        }
        format::write_slot(&mut self.map, fresh).attempt("compact", "state log")?;
        self.extent = fresh;
        self.index = index;
        self.tail = tail;
        Ok(())
    }
}

/// Reserve the space (writing never fails then, not even on a full tmpfs) and map it.
fn reserve(fd: &OwnedFd, size: usize) -> Result<SharedMap, OsError> {
    match rustix::fs::fallocate(fd, FallocateFlags::empty(), 0, size as u64) {
        Ok(()) => {}
        // A file system without it: at least the size must be right.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            rustix::fs::ftruncate(fd, size as u64).attempt("grow", "state log")?
        }
        Err(errno) => return Err(OsError::new("reserve", "state log", errno)),
    }
    SharedMap::new(fd, size).attempt("map", "state log")
}

#[cfg(test)]
mod tests;
