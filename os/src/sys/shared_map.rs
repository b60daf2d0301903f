//! A file mapped for reading and writing, behind bounds-checked calls.
use super::last_errno;
use rustix::fd::{AsFd, AsRawFd};
use rustix::io::Errno;
use std::sync::atomic::{AtomicU32, Ordering, fence};

/// The mapping; children do not get it. Only this process writes to the file.
pub struct SharedMap {
    start: *mut u8,
    len: usize,
    /// What was written where, in order: tests cut this anywhere.
    #[cfg(test)]
    pub trace: Option<Vec<(usize, Vec<u8>)>>,
}

impl std::fmt::Debug for SharedMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SharedMap({} bytes)", self.len)
    }
}

// SAFETY: the mapping belongs to this value alone and is not tied to a thread.
unsafe impl Send for SharedMap {}

impl SharedMap {
    /// Map the first `len` bytes, which must be reserved: a hole that cannot be filled would raise SIGBUS.
    pub fn new(fd: impl AsFd, len: usize) -> Result<SharedMap, Errno> {
        if len == 0 {
            return Err(Errno::INVAL);
        }
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // At a memory limit even the tables of pages that exist could not be had any more.
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        let raw = fd.as_fd().as_raw_fd();
        // SAFETY: a new mapping wherever the kernel likes: no memory of ours is replaced.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, raw, 0) };
        if start == libc::MAP_FAILED {
            return Err(last_errno());
        }
        // SAFETY: exactly the mapping just made; what the kernel cannot do is not needed for correctness.
        let _ = unsafe { libc::madvise(start, len, libc::MADV_DONTFORK) };
        Ok(SharedMap {
            start: start.cast(),
            len,
            #[cfg(test)]
            trace: None,
        })
    }

    /// Size in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never true: an empty file is not mapped.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is `len` bytes long and lives as long as `self`; writing needs `&mut self`.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }

    /// Write bytes; what lies outside is refused.
    pub fn write(&mut self, at: usize, bytes: &[u8]) -> Result<(), Errno> {
        let end = at.checked_add(bytes.len()).filter(|&end| end <= self.len).ok_or(Errno::NOSPC)?;
        #[cfg(test)]
        if let Some(trace) = &mut self.trace {
            trace.push((at, bytes.to_vec()));
        }
        debug_assert!(end <= self.len);
        // SAFETY: the range was checked to lie in the mapping, and `bytes` cannot overlap it while we are borrowed.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.add(at), bytes.len()) };
        Ok(())
    }

    /// Write one word after everything written so far: it is seen only with all of that.
    pub fn publish(&mut self, at: usize, word: u32) -> Result<(), Errno> {
        if !at.is_multiple_of(4) || at.checked_add(4).is_none_or(|end| end > self.len) {
            return Err(Errno::INVAL);
        }
        #[cfg(test)]
        if let Some(trace) = &mut self.trace {
            trace.push((at, word.to_ne_bytes().to_vec()));
        }
        // The compiler may otherwise move plain stores behind this one, and a crash handler would cut in between.
        fence(Ordering::SeqCst);
        // SAFETY: in bounds and aligned (mappings begin at a page); an AtomicU32 may alias plain bytes that only
        // this thread writes.
        unsafe { AtomicU32::from_ptr(self.start.add(at).cast()) }.store(word, Ordering::SeqCst);
        Ok(())
    }
}

impl Drop for SharedMap {
    fn drop(&mut self) {
        // SAFETY: our own mapping, and nobody can hold a slice of it any more.
        unsafe { libc::munmap(self.start.cast(), self.len) };
    }
}
