//! Keeping the heap small.

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

/// Let the pages of our program's code go that are mapped, but were needed only to start: most managers of users do
/// nothing for hours. What is needed again comes back from the page cache with the first touch.
pub fn let_code_go() {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return };
    let here = let_code_go as fn() as usize;
    for line in maps.lines() {
        let mut words = line.split(' ');
        let range = words.next().and_then(|range| range.split_once('-'));
        let ends = range.and_then(|(start, end)| {
            Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
        });
        // Never written, so that the file has all of it.
        if let Some((start, end)) = ends.filter(|(start, end)| (*start..*end).contains(&here))
            && words.next() == Some("r-xp")
        {
            // SAFETY: a private mapping of our file that nobody can write to and nobody has: its pages are the file's.
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
        }
    }
}
