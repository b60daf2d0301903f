//! The path from a crash into the next image: signal handlers on their own stack that make raw system calls only.
//!
//! Everything they need is prepared by [`install`] and never freed. Nothing here allocates, locks, or touches libc's
//! state after a fault.
use super::raw::{errno_of, syscall};
use super::{check, last_errno};
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use rustix::io::Errno;
use std::ffi::CString;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicUsize, Ordering};
use std::time::Duration;

/// What the handlers execute: the argument with `REASON` is filled in when it is known.
struct Image {
    /// The executable that runs now, whatever is at its path by then; before an upgrade the new one.
    fd: RawFd,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
    /// Index of the argument that carries the reason, and where in it the reason begins.
    reason: *mut u8,
    reason_room: usize,
    /// "/proc/self/fd/N", where execveat(2) is refused.
    path: CString,
}

static IMAGE: AtomicPtr<Image> = AtomicPtr::new(null_mut());
static MANAGER: AtomicI32 = AtomicI32::new(0);
static ENTERED: AtomicBool = AtomicBool::new(false);
/// The POSIX timer's id plus one; 0 when there is none.
static TIMER: AtomicUsize = AtomicUsize::new(0);

/// Longest reason.
const REASON_MAX: usize = 120;
/// Room of the handlers' stack beyond what the kernel needs for a signal frame.
const STACK: usize = 32 << 10;

/// Pin the running image and prepare its arguments: `arguments` as given, then `PREFIX` (such as `--recover=7,`) with
/// the reason behind it.
pub fn prepare(arguments: &[CString], environment: &[CString], prefix: &str) -> Result<(), Errno> {
    use rustix::fs::{Mode, OFlags};
    let pin = |path: &std::ffi::CStr| rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    // The first process of a machine starts before anybody mounted /proc.
    let by_name = || arguments.first().map_or(Err(Errno::NOENT), |path| pin(path));
    let pinned = pin(c"/proc/self/exe").or_else(|_| by_name())?;
    // Out of the way of descriptors that programs expect to be low.
    let pinned = rustix::io::fcntl_dupfd_cloexec(&pinned, 100).unwrap_or(pinned);
    let mut text = vec![0u8; prefix.len() + REASON_MAX + 1];
    text[..prefix.len()].copy_from_slice(prefix.as_bytes());
    let text: &'static mut [u8] = Box::leak(text.into_boxed_slice());
    let reason = text.as_mut_ptr();
    let leak = |list: &[CString]| -> Vec<*const libc::c_char> {
        list.iter().map(|text| Box::leak(Box::new(text.clone())).as_ptr()).collect()
    };
    let mut argv = leak(arguments);
    argv.push(reason.cast_const().cast());
    argv.push(null());
    let mut envp = leak(environment);
    envp.push(null());
    let path = CString::new(format!("/proc/self/fd/{}", pinned.as_raw_fd())).map_err(|_| Errno::INVAL)?;
    // SAFETY: the offset is the prefix's length, inside the leaked buffer.
    let reason = unsafe { reason.add(prefix.len()) };
    let image = Image { fd: pinned.into_raw_fd(), argv, envp, reason, reason_room: REASON_MAX, path };
    let old = IMAGE.swap(Box::into_raw(Box::new(image)), Ordering::SeqCst);
    if !old.is_null() {
        // SAFETY: made by Box::into_raw above, and no handler runs while we do; its descriptor is ours to close.
        drop(unsafe { OwnedFd::from_raw_fd(Box::from_raw(old).fd) });
    }
    MANAGER.store(std::process::id().cast_signed(), Ordering::SeqCst);
    Ok(())
}

/// Do something with the pinned image; `None` before [`prepare`].
pub fn with_pinned<T>(act: impl FnOnce(BorrowedFd<'_>) -> T) -> Option<T> {
    let fd = pinned()?;
    // SAFETY: the descriptor lives as long as the image is prepared, and is replaced only under its own number.
    Some(act(unsafe { BorrowedFd::borrow_raw(fd) }))
}

fn pinned() -> Option<RawFd> {
    // SAFETY: null or made by `prepare`.
    unsafe { IMAGE.load(Ordering::SeqCst).as_ref() }.map(|image| image.fd)
}

/// Pin another image instead, under the same number: a crash executes either the one or the other.
pub fn pin_instead(image: OwnedFd) -> Result<(), Errno> {
    let pinned = pinned().ok_or(Errno::INVAL)?;
    // SAFETY: dup3 takes numbers; what it closes is an executable that nobody but this module refers to.
    check(unsafe { libc::dup3(image.as_raw_fd(), pinned, libc::O_CLOEXEC) }).map(drop)
}

/// Install the handlers of these signals on a stack of their own, with a guard page below.
pub fn install(signals: &[i32]) -> Result<(), Errno> {
    install_stack()?;
    for &signal in signals {
        // SAFETY: an all-zero sigaction is valid.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handler as *const () as usize;
        // Not blocked while it is handled: a fault in the handler must come back to it, not end PID 1.
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        // SAFETY: the action is initialised, its handler has the signature that SA_SIGINFO asks for.
        check(unsafe { libc::sigaction(signal, &raw const action, null_mut()) })?;
    }
    Ok(())
}

/// Back to the kernel's dispositions.
pub fn uninstall(signals: &[i32]) {
    MANAGER.store(0, Ordering::SeqCst);
    for &signal in signals {
        // SAFETY: SIG_DFL is valid for every signal.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

fn install_stack() -> Result<(), Errno> {
    // SAFETY: getauxval and sysconf have no preconditions.
    let (frame, page) = unsafe { (libc::getauxval(libc::AT_MINSIGSTKSZ), libc::sysconf(libc::_SC_PAGESIZE)) };
    let page = usize::try_from(page).unwrap_or(4096);
    let frame = usize::try_from(frame).unwrap_or(0).max(8 << 10);
    let size = (frame + STACK).next_multiple_of(page);
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping wherever the kernel likes; it is never unmapped.
    let start = unsafe { libc::mmap(null_mut(), size + page, protection, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(last_errno());
    }
    // SAFETY: the first page of the mapping just made.
    check(unsafe { libc::mprotect(start, page, libc::PROT_NONE) })?;
    // SAFETY: in the mapping, behind its guard page.
    let base = unsafe { start.byte_add(page) };
    let stack = libc::stack_t { ss_sp: base, ss_flags: 0, ss_size: size };
    // Children begin without handlers, and what forks with them uses the ordinary stack.
    super::inherit::hide_for_good(start as usize, size + page);
    let mut old = libc::stack_t { ss_sp: null_mut(), ss_flags: 0, ss_size: 0 };
    // SAFETY: the stack is `size` bytes long and lives for ever.
    check(unsafe { libc::sigaltstack(&raw const stack, &raw mut old) })?;
    if let Some(guard) = (old.ss_sp as usize).checked_sub(page).filter(|_| old.ss_flags == 0) {
        // The standard library's, with its guard page: replaced for good.
        super::inherit::hide_for_good(guard, old.ss_size + page);
    }
    Ok(())
}

/// Whether kill(2) of another process raised the signal, not a fault, abort(3) or our timer.
fn is_from_outside(info: *const libc::siginfo_t) -> bool {
    // SAFETY: null, or the kernel's description of the signal, alive while the handler runs.
    let Some(info) = (unsafe { info.as_ref() }) else { return false };
    // SAFETY: these codes say that the sender's PID is there; it is 0 for one outside our PID namespace.
    matches!(info.si_code, libc::SI_USER | libc::SI_QUEUE | libc::SI_TKILL)
        && unsafe { info.si_pid() } != raw_pid()
}

extern "C" fn handler(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let outside = is_from_outside(info);
    let reason: &[u8] = match signal {
        libc::SIGSEGV if outside => b"SIGSEGV from outside",
        libc::SIGBUS if outside => b"SIGBUS from outside",
        libc::SIGABRT if outside => b"SIGABRT from outside",
        _ if outside => b"a signal from outside",
        libc::SIGSEGV => b"SIGSEGV",
        libc::SIGBUS => b"SIGBUS",
        libc::SIGILL => b"SIGILL",
        libc::SIGFPE => b"SIGFPE",
        libc::SIGSYS => b"SIGSYS",
        libc::SIGABRT => b"SIGABRT",
        libc::SIGALRM => b"SIGALRM",
        _ => b"signal",
    };
    if raw_pid() != MANAGER.load(Ordering::SeqCst) {
        die_of(signal);
    }
    leave(reason);
}

fn raw_pid() -> i32 {
    // SAFETY: getpid takes no arguments.
    unsafe { syscall(libc::SYS_getpid as usize, [0; 6]) as i32 }
}

/// In a child that is not the manager: end by the signal, as if there were no handler.
fn die_of(signal: i32) -> ! {
    // struct kernel_sigaction: handler (SIG_DFL), flags, restorer, mask.
    let action = [0usize; 4];
    let bit = 1u64 << (signal - 1);
    // SAFETY: the action is as large as the kernel reads, the mask 8 bytes; the other calls take numbers.
    unsafe {
        syscall(libc::SYS_rt_sigaction as usize, [signal as usize, action.as_ptr() as usize, 0, 8, 0, 0]);
        let unblock = libc::SIG_UNBLOCK as usize;
        syscall(libc::SYS_rt_sigprocmask as usize, [unblock, &raw const bit as usize, 0, 8, 0, 0]);
        let thread = syscall(libc::SYS_gettid as usize, [0; 6]) as usize;
        syscall(libc::SYS_tgkill as usize, [raw_pid() as usize, thread, signal as usize, 0, 0, 0]);
        loop {
            syscall(libc::SYS_exit_group as usize, [128 + signal as usize, 0, 0, 0, 0, 0]);
        }
    }
}

/// Into the next image. Comes back only in processes that are not the manager or have nothing prepared.
pub fn leave(reason: &[u8]) {
    if raw_pid() != MANAGER.load(Ordering::SeqCst) {
        return;
    }
    let image = IMAGE.load(Ordering::SeqCst);
    // SAFETY: null or made by `prepare`, and never freed while a handler may run.
    let Some(image) = (unsafe { image.as_ref() }) else { return };
    if !ENTERED.swap(true, Ordering::SeqCst) {
        let len = reason.len().min(image.reason_room);
        // SAFETY: the buffer has `reason_room` bytes and a zero behind them, and ENTERED lets only one of us write.
        unsafe {
            std::ptr::copy_nonoverlapping(reason.as_ptr(), image.reason, len);
            image.reason.add(len).write(0);
        }
        keep_descriptors();
    }
    loop {
        execute(image);
        if raw_pid() != 1 {
            // SAFETY: exit_group takes a number.
            unsafe { syscall(libc::SYS_exit_group as usize, [70, 0, 0, 0, 0, 0]) };
        }
        // No memory, perhaps: PID 1 must not end, and the next try may succeed.
        let pause = [0i64, 100_000_000];
        // SAFETY: the pointer is to a live timespec.
        unsafe { syscall(libc::SYS_nanosleep as usize, [pause.as_ptr() as usize, 0, 0, 0, 0, 0]) };
    }
}

/// Execute; the errno when that fails.
fn execute(image: &Image) -> i32 {
    let (argv, envp) = (image.argv.as_ptr() as usize, image.envp.as_ptr() as usize);
    let empty = c"".as_ptr() as usize;
    // SAFETY: prepared, NULL-terminated arrays of NUL-terminated strings.
    let result = unsafe {
        syscall(
            libc::SYS_execveat as usize,
            [image.fd as usize, empty, argv, envp, libc::AT_EMPTY_PATH as usize, 0],
        );
        syscall(libc::SYS_execve as usize, [image.path.as_ptr() as usize, argv, envp, 0, 0, 0])
    };
    errno_of(result).unwrap_or(libc::ENOEXEC)
}

/// Planned re-execution: like a crash, but it says so when it cannot be done.
pub fn execute_now(reason: &str) -> Errno {
    let image = IMAGE.load(Ordering::SeqCst);
    // SAFETY: null or made by `prepare`.
    let Some(image) = (unsafe { image.as_ref() }) else { return Errno::INVAL };
    let len = reason.len().min(image.reason_room);
    // SAFETY: as in `leave`; handlers write here only when they do not come back.
    unsafe {
        std::ptr::copy_nonoverlapping(reason.as_ptr(), image.reason, len);
        image.reason.add(len).write(0);
    }
    keep_descriptors();
    let errno = execute(image);
    close_on_exec_again();
    Errno::from_raw_os_error(errno)
}

/// Clear close-on-exec on every descriptor from 3 on.
fn keep_descriptors() {
    for_each_descriptor(|fd| {
        // SAFETY: fcntl(F_SETFD) takes numbers.
        unsafe { syscall(libc::SYS_fcntl as usize, [fd, libc::F_SETFD as usize, 0, 0, 0, 0]) };
    });
}

/// The other way round, after an execution that failed.
fn close_on_exec_again() {
    let last = u32::MAX as usize;
    // SAFETY: close_range takes numbers.
    unsafe {
        syscall(libc::SYS_close_range as usize, [3, last, libc::CLOSE_RANGE_CLOEXEC as usize, 0, 0, 0])
    };
}

/// Go through `/proc/self/fd` with nothing but a buffer on the stack; where that is not to be had, through the numbers.
fn for_each_descriptor(mut act: impl FnMut(usize)) {
    let flags = (libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC) as usize;
    let path = c"/proc/self/fd".as_ptr() as usize;
    // SAFETY: the path is NUL-terminated.
    let dir = unsafe { syscall(libc::SYS_openat as usize, [libc::AT_FDCWD as usize, path, flags, 0, 0, 0]) };
    if dir < 0 {
        (3..4096).for_each(act);
        return;
    }
    let dir = dir as usize;
    let mut buffer = [0u64; 512];
    loop {
        let room = size_of_val(&buffer);
        // SAFETY: the buffer is as long as said, and aligned for directory entries.
        let got = unsafe {
            syscall(libc::SYS_getdents64 as usize, [dir, buffer.as_mut_ptr() as usize, room, 0, 0, 0])
        };
        if got <= 0 {
            break;
        }
        // SAFETY: the buffer's own bytes.
        let bytes =
            unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), (got as usize).min(room)) };
        let mut at = 0;
        // An entry: inode and offset (8 each), its length (2), type (1), name.
        while let (Some(&low), Some(&high)) = (bytes.get(at + 16), bytes.get(at + 17)) {
            let len = usize::from(u16::from_ne_bytes([low, high]));
            let name = bytes.get(at + 19..at + len.max(19)).unwrap_or(&[]);
            let digits = name.iter().take_while(|byte| byte.is_ascii_digit());
            let (count, fd) =
                digits.fold((0, 0usize), |(count, fd), byte| (count + 1, fd * 10 + usize::from(byte - b'0')));
            if count > 0 && fd > 2 && fd != dir {
                act(fd);
            }
            if len == 0 {
                break;
            }
            at += len;
        }
    }
    // SAFETY: the descriptor opened above.
    unsafe { syscall(libc::SYS_close as usize, [dir, 0, 0, 0, 0, 0]) };
}

/// Close every descriptor from 3 on that has no close-on-exec flag: what came through an execution and nobody took.
/// Whoever takes one sets the flag, and everything opened since has it.
pub fn close_unclaimed() -> usize {
    let mut closed = 0;
    for_each_descriptor(|fd| {
        // SAFETY: fcntl(F_GETFD) takes numbers; what is closed is owned by nobody in this image.
        unsafe {
            let flags = syscall(libc::SYS_fcntl as usize, [fd, libc::F_GETFD as usize, 0, 0, 0, 0]);
            if flags >= 0 && flags as i32 & libc::FD_CLOEXEC == 0 {
                syscall(libc::SYS_close as usize, [fd, 0, 0, 0, 0, 0]);
                closed += 1;
            }
        }
    });
    closed
}

/// Send `SIGALRM` when this much time has passed, or (zero) not any more. The timer is POSIX's: it ends with the image.
pub fn alarm(after: Duration) -> Result<(), Errno> {
    let mut timer = TIMER.load(Ordering::Relaxed);
    if timer == 0 {
        if after.is_zero() {
            return Ok(());
        }
        // SAFETY: an all-zero sigevent is valid.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_SIGNAL;
        event.sigev_signo = libc::SIGALRM;
        let mut id: libc::c_int = 0;
        let id_pointer = &raw mut id;
        // SAFETY: event and id are live; the raw call writes an int.
        let made = unsafe {
            libc::syscall(libc::SYS_timer_create, libc::CLOCK_MONOTONIC, &raw const event, id_pointer)
        };
        if made < 0 {
            return Err(last_errno());
        }
        timer = usize::try_from(id).map_err(|_| Errno::INVAL)? + 1;
        TIMER.store(timer, Ordering::Relaxed);
    }
    let seconds = i64::try_from(after.as_secs()).unwrap_or(i64::MAX);
    // struct itimerspec: interval (none), value.
    let value = [0, 0, seconds, i64::from(after.subsec_nanos())];
    // SAFETY: the timer is ours, the value a live itimerspec, the old value not asked for.
    let set = unsafe { libc::syscall(libc::SYS_timer_settime, timer - 1, 0, value.as_ptr(), null::<u8>()) };
    if set < 0 { Err(last_errno()) } else { Ok(()) }
}

/// A way to crash, for tests of the way out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provoke {
    /// Write to address 0.
    Segv,
    /// Touch a mapping behind the end of its file.
    Bus,
    /// An instruction that does not exist.
    Ill,
    /// abort(3).
    Abort,
    /// Recurse without end.
    StackOverflow,
}

/// Crash.
pub fn provoke(how: Provoke) {
    match how {
        // SAFETY: it faults, as is asked for.
        Provoke::Segv => unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) },
        Provoke::Bus => {
            if let Ok(file) = rustix::fs::memfd_create("empty", rustix::fs::MemfdFlags::CLOEXEC) {
                // SAFETY: a new mapping of a page; reading it faults, as is asked for.
                unsafe {
                    let start =
                        libc::mmap(null_mut(), 4096, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0);
                    start.cast::<u8>().read_volatile();
                }
            }
        }
        // SAFETY: it traps, as is asked for.
        Provoke::Ill => unsafe {
            #[cfg(target_arch = "x86_64")]
            core::arch::asm!("ud2");
            #[cfg(target_arch = "aarch64")]
            core::arch::asm!("udf #0");
        },
        Provoke::Abort => std::process::abort(),
        Provoke::StackOverflow => {
            recurse(1);
        }
    }
}

#[allow(unconditional_recursion)]
fn recurse(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 128]);
    recurse(depth + 1) + room[(depth % 128) as usize]
}
