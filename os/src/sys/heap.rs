//! Keeping the heap small, and out of children that never look at it: copying its page tables is what makes a child of
//! a big manager expensive.
use std::sync::atomic::{AtomicUsize, Ordering};

/// From this size on two calls cost less than the copy.
const WORTH: usize = 256 << 10;
/// The C library keeps this thread's control block (and in it what the kernel writes to, rseq(2)) at the beginning of
/// the heap of a static program: so much behind its address the child needs, too.
const CONTROL_BLOCK: usize = 16 << 10;
const PAGE: usize = 64 << 10;

/// Where the heap of brk(2) begins; 0: not asked yet, `usize::MAX`: unknown.
static START: AtomicUsize = AtomicUsize::new(0);

/// Children made while this lives have no heap.
#[derive(Debug)]
pub struct Hidden {
    start: usize,
    len: usize,
}

/// Hide the heap, if that is worth it.
pub fn hide() -> Option<Hidden> {
    let begin = match START.load(Ordering::Relaxed) {
        0 => {
            let found = start_of_heap().unwrap_or(usize::MAX);
            START.store(found, Ordering::Relaxed);
            found
        }
        known => known,
    };
    // SAFETY: asks only.
    let end = unsafe { libc::sbrk(0) } as usize;
    // SAFETY: asks only.
    let control = unsafe { libc::pthread_self() } as usize;
    let needed = if (begin..end).contains(&control) { control.saturating_add(CONTROL_BLOCK) } else { begin };
    // Both rounded inwards, to the greatest page size there is.
    let start = needed.checked_next_multiple_of(PAGE)?;
    let len = (end / PAGE * PAGE).checked_sub(start).filter(|len| *len >= WORTH)?;
    let hidden = Hidden { start, len };
    hidden.advise(libc::MADV_DONTFORK).then_some(hidden)
}

/// From this size on, a block is mapped by itself and goes back to the kernel when it is freed; and this much free
/// memory at the end of the heap goes back too.
const THRESHOLD: libc::c_int = 64 << 10;

/// Keep the heap small for good. By itself the C library learns from each large block that is freed to take the next
/// ones from the heap, where small blocks that live on then keep them from being given back.
pub fn keep_small() {
    // SAFETY: mallopt(3) takes two numbers and touches the allocator's own state only; a refusal changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, THRESHOLD);
        libc::mallopt(libc::M_TRIM_THRESHOLD, THRESHOLD);
    }
}

/// Give free pages back to the kernel: after work that needed much for a moment.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: only pages that are free are given back.
    unsafe {
        libc::malloc_trim(0)
    };
}

impl Hidden {
    fn advise(&self, advice: libc::c_int) -> bool {
        // SAFETY: whole pages of the heap; what this says concerns children only, and those of the C library's own
        // making begin while no value of this type lives.
        unsafe { libc::madvise(self.start as *mut libc::c_void, self.len, advice) == 0 }
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        self.advise(libc::MADV_DOFORK);
    }
}

/// Field 47 of proc_pid_stat(5).
fn start_of_heap() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(44)?.parse().ok().filter(|start| *start > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heap_begins_where_the_kernel_says() {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("proc");
        let line = maps.lines().find(|line| line.ends_with("[heap]")).expect("there is a heap");
        let start = line.split('-').next().and_then(|hex| usize::from_str_radix(hex, 16).ok());
        assert_eq!(start_of_heap(), start);
    }
}
