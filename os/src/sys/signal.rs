//! Signal masks, signalfd(2), sending signals.
use super::{check, last_errno};
use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use rustix::io::Errno;
use std::mem::MaybeUninit;

/// A set of signals 1..=64 as the kernel keeps it: bit `n - 1` is signal `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SignalMask(pub u64);

impl SignalMask {
    /// All signals.
    pub const ALL: SignalMask = SignalMask(u64::MAX);

    /// The set of these; numbers outside 1..=64 are left out.
    pub fn of(signals: &[i32]) -> Self {
        signals.iter().fold(SignalMask(0), |set, &signal| set.with(signal))
    }

    /// With one more.
    pub fn with(self, signal: i32) -> Self {
        SignalMask(self.0 | Self::bit(signal))
    }

    /// Without one.
    pub fn without(self, signal: i32) -> Self {
        SignalMask(self.0 & !Self::bit(signal))
    }

    /// Whether it contains the signal.
    pub fn contains(self, signal: i32) -> bool {
        self.0 & Self::bit(signal) != 0
    }

    fn bit(signal: i32) -> u64 {
        if (1..=64).contains(&signal) { 1 << (signal - 1) } else { 0 }
    }
}

/// Replace this thread's signal mask, returning the former one (rt_sigprocmask(2)). Unlike the libc wrapper this
/// can also block the two real-time signals that libc keeps for itself.
pub fn set_mask(mask: SignalMask) -> Result<SignalMask, Errno> {
    let mut old = 0u64;
    // SAFETY: both pointers are to live u64s, and 8 is the size of the kernel's signal set.
    let result = unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask.0, &raw mut old, 8usize)
    };
    if result < 0 { Err(last_errno()) } else { Ok(SignalMask(old)) }
}

/// The signals that this process ignores, as a bit set (`SigIgn` of proc_pid_status(5)).
pub fn ignored() -> u64 {
    (1..=64).fold(0, |set, signal| {
        // The kernel's struct sigaction: handler, flags, restorer (where there is one), mask.
        let mut action = [0usize; 4];
        // SAFETY: nothing is set; the kernel writes its sigaction, which is not longer, and 8 is the size of its mask.
        let result =
            unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, 0usize, action.as_mut_ptr(), 8usize) };
        let is_ignored = result == 0 && action[0] == libc::SIG_IGN;
        set | u64::from(is_ignored) << (signal - 1)
    })
}

/// A descriptor that delivers the signals of `mask`, non-blocking and close-on-exec.
pub fn signalfd(mask: SignalMask) -> Result<OwnedFd, Errno> {
    let flags = libc::SFD_NONBLOCK | libc::SFD_CLOEXEC;
    // SAFETY: the pointer is to a live u64, and 8 is the size of the kernel's signal set.
    let fd = unsafe { libc::syscall(libc::SYS_signalfd4, -1, &raw const mask.0, 8usize, flags) };
    if fd < 0 {
        return Err(last_errno());
    }
    let fd = libc::c_int::try_from(fd).map_err(|_| Errno::BADF)?;
    // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// One signal read from a signalfd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalInfo {
    /// The signal.
    pub signal: i32,
    /// `si_code`.
    pub code: i32,
    /// The sender, 0 for the kernel.
    pub pid: i32,
    /// The sender's uid.
    pub uid: u32,
    /// The value of sigqueue(3).
    pub value: i32,
}

/// Read one signal; `None` when there is none.
pub fn read_signalfd(fd: impl AsFd) -> Result<Option<SignalInfo>, Errno> {
    let mut info = MaybeUninit::<libc::signalfd_siginfo>::zeroed();
    let size = size_of::<libc::signalfd_siginfo>();
    // SAFETY: the buffer is as large as the length given, and every bit pattern is a valid signalfd_siginfo.
    let got = unsafe { libc::read(fd.as_fd().as_raw_fd(), info.as_mut_ptr().cast(), size) };
    if got < 0 {
        return match last_errno() {
            Errno::AGAIN | Errno::INTR => Ok(None),
            other => Err(other),
        };
    }
    if usize::try_from(got) != Ok(size) {
        return Ok(None);
    }
    // SAFETY: zeroed at first and filled by the kernel; plain integers.
    let info = unsafe { info.assume_init() };
    Ok(Some(SignalInfo {
        signal: i32::try_from(info.ssi_signo).unwrap_or(0),
        code: info.ssi_code,
        pid: i32::try_from(info.ssi_pid).unwrap_or(0),
        uid: info.ssi_uid,
        value: info.ssi_int,
    }))
}

/// kill(2); `signal` 0 only checks.
pub fn kill(pid: i32, signal: i32) -> Result<(), Errno> {
    // SAFETY: kill takes no pointers.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// sigqueue(3).
pub fn queue(pid: i32, signal: i32, value: i32) -> Result<(), Errno> {
    let mut word = [0u8; size_of::<usize>()];
    word[..4].copy_from_slice(&value.to_ne_bytes());
    let sigval = libc::sigval { sival_ptr: usize::from_ne_bytes(word) as *mut libc::c_void };
    // SAFETY: the value is passed through by the kernel and never dereferenced.
    check(unsafe { libc::sigqueue(pid, signal, sigval) }).map(drop)
}

/// Set the disposition of a signal to ignored (true) or default.
pub fn ignore(signal: i32, on: bool) -> Result<(), Errno> {
    let handler = if on { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: SIG_IGN and SIG_DFL are valid dispositions for any signal that may be changed.
    if unsafe { libc::signal(signal, handler) } == libc::SIG_ERR { Err(last_errno()) } else { Ok(()) }
}

/// pidfd_send_signal(2) with any number, real-time ones included.
pub fn pidfd_kill(pidfd: impl AsFd, signal: i32) -> Result<(), Errno> {
    let null = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo is allowed; no other pointers.
    let result =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_fd().as_raw_fd(), signal, null, 0) };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

/// Queue a signal with a value to the calling thread (rt_tgsigqueueinfo(2)).
pub fn queue_thread(signal: i32, value: i32) -> Result<(), Errno> {
    let mut info = [0u32; 32];
    // siginfo_t of a queued signal on 64 bits: signo, errno, code, padding, pid, uid, value.
    info[0] = signal.cast_unsigned();
    info[2] = libc::SI_QUEUE.cast_unsigned();
    info[4] = std::process::id();
    info[6] = value.cast_unsigned();
    // SAFETY: gettid has no arguments, and the info is 128 bytes of ours, as long as the kernel's siginfo_t.
    let result = unsafe {
        let thread = libc::syscall(libc::SYS_gettid);
        libc::syscall(libc::SYS_rt_tgsigqueueinfo, std::process::id(), thread, signal, info.as_ptr())
    };
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}
