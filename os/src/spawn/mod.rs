//! Makes processes: a plan becomes a program in shared memory, and a child made by clone3(2) interprets it.
//!
//! The manager never waits for the child: whether execve(2) was reached is told by a pipe that closes on exec
//! ([`Child::exec_pipe`]), and what failed stands in the shared memory ([`Child::exec_result`]).
//!
//! A new setting needs a row in `core/plan` and, if no system call does it alone, an instruction in `sys::child`.
mod assemble;
mod clean_up;
mod encode;
mod encode_mount;
mod encode_stdio;
mod fds;
mod pam;

pub use clean_up::clean_up;
pub use pam::go_on_from;

pub use crate::sys::clone::How;
use crate::sys::clone::clone_child;
use crate::sys::program::{Arena, Program};
pub use crate::sys::refuse::can_filter;
use encode::{PROLOGUE, enable_join, encode, reset_all_signals};
use fds::{FdLayout, duplicate, plan_fds};
use runstead_core::plan::{ExitStatus, Plan};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// From this many open descriptors on the child starts with a shared table, which it cuts before it copies.
const SHARE_FILES_FROM: usize = 1000;

/// Why there is no child, or what failed in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpawnError {
    /// Index of the plan's step, or `None` when the child could not be made at all.
    pub step: Option<usize>,
    /// The directive (or "fork", "exec").
    pub setting: &'static str,
    /// The errno.
    pub errno: i32,
    /// The status the child exits with (as the reference's would).
    pub exit_status: u8,
}

impl std::fmt::Display for SpawnError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let why = std::io::Error::from_raw_os_error(self.errno);
        let word = ExitStatus::word_of(self.exit_status).unwrap_or("?");
        write!(f, "{}: {why} (status={}/{word})", self.setting, self.exit_status)
    }
}

impl std::error::Error for SpawnError {}

/// What is known of a child's set-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecResult {
    /// The child is still at it (or hangs in a step).
    Pending,
    /// execve(2) succeeded, or the child was killed before it (its exit tells); these steps of the plan were weakened: setting and errno.
    Done(Vec<(&'static str, i32)>),
    /// A step failed; the child exits (or has exited) with this status.
    Failed(SpawnError),
}

/// A child on its way to execve(2).
#[derive(Debug)]
pub struct Child {
    /// Its PID.
    pub pid: i32,
    pipe: OwnedFd,
    /// Copies of what the child uses, while it may still share our descriptor table.
    held: RefCell<Vec<OwnedFd>>,
    program: Program,
    settings: Vec<&'static str>,
}

impl Child {
    /// Becomes readable when execve succeeded or the child ended, and sometimes before: then ask
    /// [`Child::exec_result`], and unless it is pending drop this value. Drop it, too, when the process is reaped.
    pub fn exec_pipe(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// How far it got; never blocks.
    pub fn exec_result(&self) -> ExecResult {
        let report = self.program.report();
        let setting = |step: u16| self.settings.get(usize::from(step)).copied().unwrap_or("fork");
        if let Some((step, errno, exit_status)) = report.failed {
            let at = (step != PROLOGUE).then_some(usize::from(step));
            return ExecResult::Failed(SpawnError { step: at, setting: setting(step), errno, exit_status });
        }
        match rustix::io::read(&self.pipe, &mut [0u8; 1]) {
            Err(_) => ExecResult::Pending,
            // The child has a table of its own now.
            Ok(1..) => {
                self.held.borrow_mut().clear();
                self.exec_result()
            }
            Ok(0) if report_again(&self.program) => self.exec_result(),
            Ok(0) => ExecResult::Done(
                report.weakened.into_iter().map(|(step, errno)| (setting(step), errno)).collect(),
            ),
        }
    }
}

/// The child may have failed between the first look and the hang-up.
fn report_again(program: &Program) -> bool {
    program.report().failed.is_some()
}

/// What the manager knows about itself.
#[derive(Debug)]
pub struct Spawner {
    /// The best way to make a child that works here; learnt on the way.
    how: Cell<How>,
    /// Signals that the manager ignores, once asked for.
    ignored: Cell<Option<u64>>,
    /// Memory that it shares with children.
    arena: RefCell<Arena>,
}

impl Default for Spawner {
    fn default() -> Self {
        Spawner::starting_with(How::IntoCgroup)
    }
}

/// How one child is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Descriptors the manager has open, roughly: many make the child start with a shared table.
    pub open_fds: usize,
}

impl Spawner {
    /// A spawner that tries this way first (what an earlier image of the manager learnt).
    pub fn starting_with(how: How) -> Self {
        Spawner { how: Cell::new(how), ignored: Cell::new(None), arena: RefCell::default() }
    }

    /// Which signals are ignored does not change any more once children are made.
    fn ignored(&self) -> u64 {
        let known = self.ignored.get().unwrap_or_else(crate::sys::signal::ignored);
        self.ignored.set(Some(known));
        known
    }

    /// Make the child. It fails here only when there is no child; what fails in the child comes by its exit status and
    /// [`Child::exec_result`].
    pub fn spawn(&self, plan: &Plan, options: Options) -> Result<Child, SpawnError> {
        match pam::split(plan).map_err(|errno| no_child("PAMName", errno))? {
            Some(split) => self.spawn_plain(&split.plan, options),
            None => self.spawn_plain(plan, options),
        }
    }

    fn spawn_plain(&self, plan: &Plan, options: Options) -> Result<Child, SpawnError> {
        let (pipe, write_end) =
            pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(|errno| no_child("fork", errno))?;
        let share = options.open_fds >= SHARE_FILES_FROM;
        // While the table is shared, closing a descriptor here would close it for the child: it gets copies.
        let mut held = Vec::new();
        let mut copies = BTreeMap::new();
        if share {
            for fd in plan_fds(plan) {
                let copy = duplicate(fd).map_err(|errno| no_child("fork", errno))?;
                copies.insert(fd, copy.as_raw_fd());
                held.push(copy);
            }
        }
        let layout = FdLayout::new(plan, write_end.as_raw_fd(), copies);
        let mut encoded =
            encode(plan, &layout, share, self.ignored()).ok_or_else(|| no_child("fork", Errno::TOOBIG))?;
        if share {
            held.push(write_end);
        }
        let cgroup = match &plan.cgroup {
            Some(path) => Some(
                open(path.as_str(), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
                    .map_err(in_cgroup)?,
            ),
            None => None,
        };
        loop {
            let how = self.how.get();
            let joins_itself = how != How::IntoCgroup && cgroup.is_some();
            if joins_itself {
                enable_join(&mut encoded.code[encoded.join]);
            }
            if !how.clears_handlers() {
                reset_all_signals(&mut encoded);
            }
            let program = Program::new(&mut self.arena.borrow_mut(), &encoded.code, &encoded.data)
                .map_err(|errno| no_child("fork", errno))?;
            match clone_child(&program, cgroup.as_ref().map(AsFd::as_fd), share, how) {
                Ok(pid) => return Ok(child_of(pid, plan, pipe, held, program)),
                Err(errno) if is_refusal(errno) && how != How::Clone => {
                    self.how.set(if how == How::IntoCgroup { How::Clone3 } else { How::Clone });
                }
                Err(errno) if cgroup.is_some() && how == How::IntoCgroup => return Err(in_cgroup(errno)),
                Err(errno) => return Err(no_child("fork", errno)),
            }
        }
    }

    /// Which way children are made; anything but [`How::IntoCgroup`] deserves one line in the log.
    pub fn how(&self) -> How {
        self.how.get()
    }
}

fn child_of(pid: i32, plan: &Plan, pipe: OwnedFd, held: Vec<OwnedFd>, program: Program) -> Child {
    Child {
        pid,
        pipe,
        held: RefCell::new(held),
        program,
        settings: plan.steps.iter().map(|step| step.setting).collect(),
    }
}

/// Whether this process has `CAP_SYS_ADMIN` in effect.
pub fn is_admin() -> bool {
    let sets = rustix::thread::capabilities(None);
    sets.is_ok_and(|sets| sets.effective.contains(rustix::thread::CapabilitySet::SYS_ADMIN))
}

/// Whether this process may make mount namespaces (unshare(2)): with `CAP_SYS_ADMIN`, where no filter is in the way.
pub fn can_make_mount_namespaces() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    is_admin() && (status.contains("\nSeccomp:\t0\n") || may_unshare_mounts())
}

/// Tried in a child, which ends with it.
fn may_unshare_mounts() -> bool {
    use rustix::process::{Pid, WaitOptions, waitpid};
    let child = crate::sys::process::offload(|| i32::from(crate::sys::process::unshare_mounts().is_err()));
    let ended = child.ok().and_then(Pid::from_raw).map(|pid| waitpid(Some(pid), WaitOptions::empty()));
    matches!(ended, Some(Ok(Some((_, status)))) if status.exit_status() == Some(0))
}

/// The kernel or a seccomp filter does not know this call or these flags.
fn is_refusal(errno: Errno) -> bool {
    matches!(errno, Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::TOOBIG)
}

fn no_child(setting: &'static str, errno: Errno) -> SpawnError {
    let exit_status = ExitStatus::Memory.code();
    SpawnError { step: None, setting, errno: errno.raw_os_error(), exit_status }
}

fn in_cgroup(errno: Errno) -> SpawnError {
    let exit_status = ExitStatus::Cgroup.code();
    SpawnError { step: None, setting: "Slice", errno: errno.raw_os_error(), exit_status }
}
