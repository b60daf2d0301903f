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

/// One system call of the code that runs between clone and execve, all of which has its pointers from one of these places: its own
/// locals, the program's data, and texts that its callers vouch for.
pub fn call(nr: libc::c_long, args: [usize; 6]) -> isize {
    // SAFETY: as said; the callers are in this directory.
    unsafe { syscall(nr as usize, args) }
}

/// Dies of a signal that nothing handles, without a system call.
pub fn trap() {
    // SAFETY: an instruction that is none, or a breakpoint; it touches nothing.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!("ud2", options(nostack, nomem));
        #[cfg(target_arch = "aarch64")]
        asm!("brk #1", options(nostack, nomem));
    }
}

/// A call that makes a process, which begins in `entry` with `argument` on the stack that the call names; the result is
/// the PID or a negative errno.
///
/// # Safety
/// The arguments must be what the call wants and must not ask for shared memory; `entry` may use nothing that the
/// child does not get.
#[cfg(target_arch = "x86_64")]
pub unsafe fn syscall_clone(
    nr: usize,
    args: [usize; 5],
    entry: extern "C" fn(usize) -> !,
    argument: usize,
) -> isize {
    let result: isize;
    // SAFETY: as for `syscall`; the child leaves this code by the call and comes back never. The kernel gives it the
    // stack, whose top is aligned as a call wants it.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") nr as isize => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4],
            in("r12") entry, in("r13") argument,
            out("rcx") _, out("r11") _,
            options(nostack)
        );
    }
    result
}

/// A call that makes a process, which begins in `entry` with `argument` on the stack that the call names; the result is
/// the PID or a negative errno.
///
/// # Safety
/// The arguments must be what the call wants and must not ask for shared memory; `entry` may use nothing that the
/// child does not get.
#[cfg(target_arch = "aarch64")]
pub unsafe fn syscall_clone(
    nr: usize,
    args: [usize; 5],
    entry: extern "C" fn(usize) -> !,
    argument: usize,
) -> isize {
    let result: isize;
    // SAFETY: as for `syscall`; the child leaves this code by the call and comes back never. The kernel gives it the
    // stack, whose top is aligned as a call wants it.
    unsafe {
        asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x10",
            "blr x9",
            "brk #1",
            "2:",
            in("x8") nr,
            inlateout("x0") args[0] as isize => result,
            in("x1") args[1], in("x2") args[2], in("x3") args[3], in("x4") args[4],
            in("x9") entry, in("x10") argument,
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
