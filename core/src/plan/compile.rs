//! The order in which a child is set up.
use super::builder::Builder;
use super::{
    ExitStatus, Op, Plan, PlanError, SpawnFacts, directories, environment, filters, limits, namespace, stdio,
};
use super::{credentials, privileges};
use crate::directives::ids;
use crate::engine::effect::SpawnSpec;
use crate::names::UnitType;

/// `Type=idle` waits at most this long for the boot to become quiet, milliseconds.
const IDLE_WAIT: i32 = 5000;

/// Compile a plan. Settings that decide which file runs, as whom or on which data and cannot be put into force are an
/// error; hardening that is not there yet stands in [`Plan::skipped`].
pub fn compile(spec: &SpawnSpec, facts: &SpawnFacts) -> Result<Plan, PlanError> {
    let mut b = Builder::new(spec, facts);
    super::ledger::refuse_or_skip(&mut b)?;
    let argv = environment::assemble(&mut b)?;
    b.fail(Op::Umask(0), "UMask", ExitStatus::Memory);
    b.fail(
        Op::ResetSignals { ignore_sigpipe: b.settings().bool(ids::IGNORE_SIGPIPE) },
        "IgnoreSIGPIPE",
        ExitStatus::SignalMask,
    );
    if spec.idle
        && let Some(fd) = facts.idle_fd
    {
        b.ignore(Op::WaitHangup { fd, timeout: IDLE_WAIT }, "Type");
    }
    if has_session(&b) {
        b.fail(Op::Setsid, "fork", ExitStatus::Setsid);
    }
    stdio::reset_terminal(&mut b);
    if b.plan.cgroup.is_some() {
        b.fail(Op::JoinCgroup, "Slice", ExitStatus::Cgroup);
    }
    stdio::connect(&mut b)?;
    limits::schedule(&mut b)?;
    stdio::own_terminal(&mut b);
    directories::make(&mut b);
    credentials::place(&mut b);
    privileges::keyring(&mut b);
    limits::resources(&mut b);
    let umask = Op::Umask(b.settings().uint(ids::UMASK) as u32);
    if b.pam_service().is_some() {
        // Modules may change it.
        b.fail(umask.clone(), "UMask", ExitStatus::Memory);
        privileges::session(&mut b);
    }
    namespace::enter(&mut b)?;
    if b.pam_service().is_none() {
        // Only now: what the steps above make has its own mode.
        b.fail(umask, "UMask", ExitStatus::Memory);
    }
    privileges::groups(&mut b);
    let working_directory = working_directory(&b)?;
    b.fail_placing_fds();
    privileges::capabilities_before_user(&mut b);
    privileges::user(&mut b);
    if let Some((path, optional)) = working_directory {
        let op = Op::Chdir { path };
        match optional {
            true => b.ignore(op, "WorkingDirectory"),
            false => b.fail(op, "WorkingDirectory", ExitStatus::Chdir),
        }
    }
    privileges::lock_down(&mut b);
    filters::install(&mut b);
    b.fail(argv, "exec", ExitStatus::Exec);
    Ok(b.plan)
}

/// The working directory and whether it may be missing (systemd.exec(5), `WorkingDirectory=`).
fn working_directory(b: &Builder) -> Result<Option<(String, bool)>, PlanError> {
    let text = b.settings().text(ids::WORKING_DIRECTORY).unwrap_or("");
    let optional = text.starts_with('-');
    let path = text.trim_start_matches('-');
    let user = b.user();
    let path = match path {
        "~" => {
            let home = user.map_or(b.facts.own_user.home.as_str(), |user| user.home.as_str());
            if home.is_empty() {
                return Err(b.error("WorkingDirectory", ExitStatus::Chdir, "the user has no home directory"));
            }
            home
        }
        // A user without a home directory may have services all the same.
        "" if b.facts.scope == super::Scope::User => {
            let home = b.facts.own_user.home.clone();
            return Ok((!home.is_empty()).then_some((home, true)));
        }
        "" => "/",
        path => path,
    };
    Ok((!path.is_empty()).then(|| (path.to_owned(), optional)))
}

/// Whether the process leads a session of its own, which alone can have a terminal. autofs lets the manager's process group pass:
/// mount(8) must get below an automount point that waits for it.
pub(super) fn has_session(b: &Builder) -> bool {
    !matches!(b.spec.unit.kind(), UnitType::Mount | UnitType::Swap)
}
