//! Makes a process fault in a system call of our choice, as by a bug of its own (ptrace(2)).
use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::time::{Duration, Instant};

/// What stands in the result's register until there is a result: `-ENOSYS`.
const NO_RESULT: u64 = (-38i64).cast_unsigned();

/// A system call that is about to be done.
pub struct Call {
    /// Its number.
    pub number: u64,
    /// Its first arguments.
    pub arguments: [u64; 3],
}

/// Let the process execute what is no code as soon as it is about to do a call of which this holds.
///
/// # Errors
/// As ptrace(2), and when no such call comes in 30 s.
pub fn fault_at(pid: u32, trigger: impl FnOnce(), holds: impl Fn(&Call) -> bool) -> Result<(), String> {
    let pid = Pid::from_raw(i32::try_from(pid).map_err(|error| error.to_string())?);
    let said = |what: &'static str| move |error: nix::Error| format!("{what}: {error}");
    ptrace::seize(pid, Options::PTRACE_O_TRACESYSGOOD).map_err(said("seize"))?;
    ptrace::interrupt(pid).map_err(said("interrupt"))?;
    let end = Instant::now() + Duration::from_secs(30);
    let mut trigger = Some(trigger);
    loop {
        let stopped = waitpid(pid, None).map_err(said("wait"))?;
        if matches!(stopped, WaitStatus::PtraceSyscall(_)) {
            let mut registers = ptrace::getregs(pid).map_err(said("registers"))?;
            let call =
                Call { number: registers.orig_rax, arguments: [registers.rdi, registers.rsi, registers.rdx] };
            if registers.rax == NO_RESULT && holds(&call) {
                registers.rip = 0;
                ptrace::setregs(pid, registers).map_err(said("set registers"))?;
                return ptrace::detach(pid, None).map_err(said("detach"));
            }
        }
        if Instant::now() > end {
            let _ = ptrace::detach(pid, None);
            return Err("the call never came".to_owned());
        }
        let signal = match stopped {
            WaitStatus::Stopped(_, signal) => Some(signal),
            _ => None,
        };
        ptrace::syscall(pid, signal).map_err(said("go on"))?;
        if let Some(trigger) = trigger.take() {
            trigger();
        }
    }
}
