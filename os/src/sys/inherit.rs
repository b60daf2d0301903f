//! What children get of the manager's memory: code and their program, once [`keep_from_children`] was called.
//!
//! A child copies the tables of every private page and gives them back in execve(2), and for as long as it has them each
//! page that the manager writes to is copied as well. Marked with `MADV_DONTFORK` none of this happens.
//! [`super::child`] needs none of these pages; a child that lives on as a copy of the manager does ([`whole`]).
use rustix::io::Errno;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard};

/// From this size on, hiding a block costs less than copying it.
const WORTH: usize = 64 << 10;

/// Pages that children do not get.
#[derive(Debug)]
struct Hidden {
    /// The stack, and constants that hold addresses.
    fixed: Vec<Range<usize>>,
    /// The part of the heap that is hidden; it grows with the heap.
    heap: Range<usize>,
}

static HIDDEN: Mutex<Option<Hidden>> = Mutex::new(None);

fn hidden() -> MutexGuard<'static, Option<Hidden>> {
    HIDDEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// From now on children get neither heap nor stack of this thread, which must be the first of its process. What
/// cannot be hidden is copied as ever.
pub fn keep_from_children() {
    let mut fixed: Vec<Range<usize>> = relocated_constants().into_iter().chain(main_stack()).collect();
    fixed.retain(|range| advise(range, libc::MADV_DONTFORK));
    let begin = heap_begin().map(|begin| if release_rseq() { begin } else { behind_control_block(begin) });
    let begin = begin.and_then(|begin| begin.checked_next_multiple_of(page_size())).unwrap_or(usize::MAX);
    *hidden() = Some(Hidden { fixed, heap: begin..begin });
}

/// What is mapped at these pages is of no use to any child: they are never given back.
pub(super) fn hide_for_good(start: usize, len: usize) {
    advise(&(start..start + len), libc::MADV_DONTFORK);
}

/// The heap may have grown.
pub(super) fn refresh() {
    if let Some(hidden) = hidden().as_mut() {
        hidden.follow_heap();
    }
}

/// Keep a large block of memory from children, too, until it is freed. Not even those made while a [`Whole`] lives get it.
pub fn hide_block<T>(block: &[T]) {
    let page = page_size();
    let bytes = block.as_ptr_range();
    let pages = (bytes.start as usize).next_multiple_of(page)..(bytes.end as usize) / page * page;
    if pages.len() >= WORTH && hidden().is_some() {
        advise(&pages, libc::MADV_DONTFORK);
    }
}

/// While this lives, children get everything.
#[derive(Debug)]
pub struct Whole(());

/// For children that go on with the manager's own memory, as fork(2) and `std::process::Command` make them.
pub fn whole() -> Whole {
    if let Some(hidden) = hidden().as_ref() {
        hidden.advise(libc::MADV_DOFORK);
    }
    Whole(())
}

impl Drop for Whole {
    fn drop(&mut self) {
        if let Some(hidden) = hidden().as_mut() {
            hidden.follow_heap();
            hidden.advise(libc::MADV_DONTFORK);
        }
    }
}

impl Hidden {
    fn follow_heap(&mut self) {
        // SAFETY: asks only.
        let end = unsafe { libc::sbrk(0) } as usize / page_size() * page_size();
        self.hide_heap_to(end);
    }

    /// All of it, each time: what was given back and taken again since is not marked any more, and whether that
    /// happened cannot be seen. Where nothing is new the kernel only looks.
    fn hide_heap_to(&mut self, end: usize) {
        let all = self.heap.start..end.max(self.heap.start);
        if advise(&all, libc::MADV_DONTFORK) {
            self.heap = all;
        }
    }

    fn advise(&self, advice: libc::c_int) {
        for range in self.fixed.iter().chain([&self.heap]) {
            advise(range, advice);
        }
    }
}

/// Whether the kernel took it; ranges are whole pages.
fn advise(range: &Range<usize>, advice: libc::c_int) -> bool {
    debug_assert!(matches!(advice, libc::MADV_DONTFORK | libc::MADV_DOFORK));
    // SAFETY: these two say only what a child gets; every child is made by `clone_child`, which needs none of these
    // pages, or while a `Whole` lives.
    range.is_empty() || unsafe { libc::madvise(range.start as *mut libc::c_void, range.len(), advice) == 0 }
}

fn page_size() -> usize {
    rustix::param::page_size()
}

/// Where the heap of brk(2) begins: field 47 of proc_pid_stat(5).
fn heap_begin() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(44)?.parse().ok().filter(|start| *start > 0)
}

/// A static program has the control block of its first thread at the beginning of the heap, and the kernel writes to
/// it as long as rseq(2) is on: behind it.
fn behind_control_block(heap: usize) -> usize {
    const CONTROL_BLOCK: usize = 16 << 10;
    // SAFETY: asks only.
    let control = unsafe { libc::pthread_self() } as usize;
    // SAFETY: asks only.
    let end = unsafe { libc::sbrk(0) } as usize;
    if (heap..end).contains(&control) { control.saturating_add(CONTROL_BLOCK) } else { heap }
}

/// The mapping that holds this thread's stack, when it is the first thread's.
fn main_stack() -> Option<Range<usize>> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let (range, _) = maps.lines().find(|line| line.ends_with("[stack]"))?.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    Some(usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
}

/// Constants that the program's loader filled with addresses: tables of methods, texts for panics. What lies behind them, from the
/// dynamic section on, is how functions of the C library are found, which the child may call.
fn relocated_constants() -> Option<Range<usize>> {
    // SAFETY: getauxval(3) has no preconditions.
    let [at, count, size] =
        [libc::AT_PHDR, libc::AT_PHNUM, libc::AT_PHENT].map(|key| unsafe { libc::getauxval(key) } as usize);
    if at == 0 || size != size_of::<libc::Elf64_Phdr>() {
        return None;
    }
    // SAFETY: the kernel says that this many program headers of that size are mapped there, for ever.
    let headers = unsafe { std::slice::from_raw_parts(at as *const libc::Elf64_Phdr, count) };
    let find = |kind: u32| headers.iter().find(|header| header.p_type == kind);
    let base = at.checked_sub(find(libc::PT_PHDR)?.p_vaddr as usize)?;
    let constants = find(libc::PT_GNU_RELRO)?;
    let start = constants.p_vaddr as usize;
    let dynamic = find(libc::PT_DYNAMIC)?.p_vaddr as usize;
    if !(start..start + constants.p_memsz as usize).contains(&dynamic) {
        return None;
    }
    let page = page_size();
    // What becomes read-only begins with a mapping of its own.
    Some((base + start) / page * page..(base + dynamic) / page * page).filter(|range| !range.is_empty())
}

/// Take back what the C library told the kernel about restartable sequences (rseq(2)) of this thread: whether there is
/// none now. It is an aid for allocators of other kinds than ours.
fn release_rseq() -> bool {
    const UNREGISTER: usize = 1;
    let Some((area, signature)) = rseq_area() else { return false };
    // The C library has registered at least the structure's first version, or what the kernel says it knows.
    // SAFETY: getauxval(3) has no preconditions.
    let known = unsafe { libc::getauxval(AT_RSEQ_FEATURE_SIZE) } as usize;
    [32, known.next_multiple_of(32), known].into_iter().any(|length| {
        // SAFETY: the kernel compares the arguments with what was registered, and else does nothing.
        let result = unsafe {
            super::raw::syscall(libc::SYS_rseq as usize, [area, length, UNREGISTER, signature, 0, 0])
        };
        let errno = super::raw::errno_of(result).map(Errno::from_raw_os_error);
        errno.is_none() || errno == Some(Errno::NOSYS)
    })
}

const AT_RSEQ_FEATURE_SIZE: libc::c_ulong = 27;

/// Where this thread's area is, and the signature it was registered with.
#[cfg(all(target_env = "gnu", target_arch = "x86_64"))]
fn rseq_area() -> Option<(usize, usize)> {
    const SIGNATURE: usize = 0x5305_3053;
    let offset: *const isize;
    // SAFETY: loads an address: null where the C library (before 2.35) has no such symbol.
    unsafe {
        core::arch::asm!(
            ".weak __rseq_offset",
            "mov {}, qword ptr [rip + __rseq_offset@GOTPCREL]",
            out(reg) offset,
            options(nostack, preserves_flags)
        );
    }
    // SAFETY: null, or the C library's constant.
    let offset = *unsafe { offset.as_ref() }?;
    // SAFETY: asks only. On this architecture the control block is where the thread pointer points.
    let thread = unsafe { libc::pthread_self() } as usize;
    Some((thread.checked_add_signed(offset)?, SIGNATURE))
}

/// Where this thread's area is, and the signature it was registered with.
#[cfg(not(all(target_env = "gnu", target_arch = "x86_64")))]
fn rseq_area() -> Option<(usize, usize)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(name: &str) -> Range<usize> {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("proc");
        let line = maps.lines().find(|line| line.ends_with(name)).expect("there is one");
        let (start, end) =
            line.split_once(' ').and_then(|(range, _)| range.split_once('-')).expect("a range");
        usize::from_str_radix(start, 16).expect("hex")..usize::from_str_radix(end, 16).expect("hex")
    }

    #[test]
    fn the_heap_begins_where_the_kernel_says() {
        assert_eq!(heap_begin(), Some(mapping("[heap]").start));
    }

    #[test]
    fn constants_with_addresses_are_found_and_are_read_only() {
        let Some(range) = relocated_constants() else { return };
        let table = std::ptr::from_ref::<dyn std::fmt::Debug>(&1u8);
        // SAFETY: the second word of a wide pointer is the address of the table of methods.
        let [_, methods] = unsafe { std::mem::transmute::<*const dyn std::fmt::Debug, [usize; 2]>(table) };
        assert!(range.contains(&methods), "{methods:x} is not in {range:x?}");
        let maps = std::fs::read_to_string("/proc/self/maps").expect("proc");
        let holds = |line: &&str| {
            let bounds = line.split_once(' ').and_then(|(bounds, _)| bounds.split_once('-'));
            bounds.is_some_and(|(start, _)| usize::from_str_radix(start, 16) == Ok(range.start))
        };
        let line = maps.lines().find(holds).expect("mapped");
        assert!(line.contains("r--p"), "{line}");
    }

    /// How many pages of the range children would get.
    fn inherited(range: &Range<usize>) -> usize {
        let maps = std::fs::read_to_string("/proc/self/smaps").expect("proc");
        let mut here = 0..0;
        let mut pages = 0;
        for line in maps.lines() {
            let bounds = line.split_once(' ').and_then(|(bounds, _)| bounds.split_once('-'));
            if let Some((start, end)) = bounds {
                let [start, end] = [start, end].map(|at| usize::from_str_radix(at, 16).unwrap_or(0));
                here = start.max(range.start)..end.min(range.end);
            } else if line.starts_with("VmFlags:") && !line.split_ascii_whitespace().any(|flag| flag == "dc")
            {
                pages += here.len() / page_size();
            }
        }
        pages
    }

    #[test]
    fn what_is_given_back_and_taken_again_is_hidden_again() {
        use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
        let page = page_size();
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: a fresh mapping, at an address the kernel chooses.
        let base =
            unsafe { mmap_anonymous(std::ptr::null_mut(), 8 * page, protection, flags) }.expect("mapped");
        let start = base as usize;
        let all = start..start + 8 * page;
        let mut hidden = Hidden { fixed: Vec::new(), heap: start..start };
        assert_eq!(inherited(&all), 8);
        hidden.hide_heap_to(all.end);
        assert_eq!(inherited(&all), 0);
        // SAFETY: four pages of the mapping made above, which nothing refers to.
        let again = unsafe {
            let middle = base.byte_add(2 * page);
            mmap_anonymous(middle, 4 * page, protection, flags | MapFlags::FIXED)
        };
        assert!(again.is_ok() && inherited(&all) == 4);
        hidden.hide_heap_to(all.end);
        assert_eq!(inherited(&all), 0);
        // SAFETY: as above.
        unsafe { munmap(base, 8 * page) }.expect("unmapped");
    }
}
