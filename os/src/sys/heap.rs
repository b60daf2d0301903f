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
