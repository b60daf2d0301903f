//! System calls without libc: no errno variable, no cancellation, no locks. For children between clone and execve.
use core::arch::asm;

/// The greatest errno the kernel returns.
const MAX_ERRNO: isize = 4095;

/// One system call; a negative result is an errno.
///
/// # Safety
/// The arguments must be what the call wants: pointers valid for what it reads and writes.
#[cfg(target_arch = "x86_64")]
#[inline]
pub unsafe fn syscall(nr: usize, args: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the kernel clobbers rax, rcx and r11 only; the caller answers for the arguments.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") nr as isize => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4], in("r9") args[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack)
        );
    }
    result
}

/// One system call; a negative result is an errno.
///
/// # Safety
/// The arguments must be what the call wants: pointers valid for what it reads and writes.
#[cfg(target_arch = "aarch64")]
#[inline]
pub unsafe fn syscall(nr: usize, args: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the kernel clobbers x0 only; the caller answers for the arguments.
    unsafe {
        asm!(
            "svc 0",
            in("x8") nr,
            inlateout("x0") args[0] as isize => result,
            in("x1") args[1], in("x2") args[2], in("x3") args[3], in("x4") args[4], in("x5") args[5],
            options(nostack)
        );
    }
    result
}

/// The errno in a result, if it is one.
#[inline]
pub fn errno_of(result: isize) -> Option<i32> {
    if (-MAX_ERRNO..0).contains(&result) { Some(-result as i32) } else { None }
}
