//! Which process is the main one: PID files, guessing, `MAINPID=`.
use super::super::exec::say;
use super::state::{ExecStatus, MainProcess, Purpose, ServiceResult, State};
use super::{begin_chain, commands, config, drop_main, reload, service, service_mut, settings, start, stop};
use crate::engine::Engine;
use crate::engine::effect::{Effect, PathSpec, Step, UnitId};
use crate::engine::event::{ChainError, ChainOutput, Pid};
use std::rc::Rc;

/// The parent of a forking service ended well.
pub(super) fn daemon_forked(e: &mut Engine, id: UnitId) {
    if config::pid_file(&settings(e, id)).is_some() {
        read(e, id, Purpose::PidFileStart);
    } else {
        guess(e, id, Purpose::GuessStart);
    }
}

/// The last `ExecStartPost=` ended well; it may have written the PID file.
pub(super) fn start_post_ended(e: &mut Engine, id: UnitId) {
    let main = service(e, id).main_known;
    if config::pid_file(&settings(e, id)).is_some() {
        read(e, id, Purpose::PidFileStartPost);
    } else if main || config::kind(&settings(e, id)) != super::ServiceType::Forking {
        start::enter_running(e, id, ServiceResult::Success);
    } else {
        guess(e, id, Purpose::GuessStartPost);
    }
}

/// The daemon may have replaced itself. Returns whether an answer is awaited.
pub(super) fn read_after_reload(e: &mut Engine, id: UnitId) -> bool {
    let has = config::pid_file(&settings(e, id)).is_some();
    if has {
        read(e, id, Purpose::PidFileReload);
    }
    has
}

/// Something happened in the cgroup while the PID file is awaited.
pub(super) fn retry(e: &mut Engine, id: UnitId) {
    if service(e, id).pending.is_none() {
        read(e, id, Purpose::PidFileRetry);
    }
}

fn read(e: &mut Engine, id: UnitId, purpose: Purpose) {
    let Some(path) = config::pid_file(&settings(e, id)) else { return };
    let cgroup = e.cgroup_path(id);
    begin_chain(e, id, purpose, vec![Step::ReadPidFile { path, cgroup }]);
}

fn guess(e: &mut Engine, id: UnitId, purpose: Purpose) {
    let wanted = config::guess_main_pid(&settings(e, id));
    match e.cgroup_path(id) {
        Some(cgroup) if wanted && !service(e, id).main_alive() => {
            begin_chain(e, id, purpose, vec![Step::GuessMainPid { cgroup }]);
        }
        _ => guess_done(e, id, purpose),
    }
}

/// The answer to a guess: the only process that is not of the others' descent, if there is one.
pub(super) fn guessed(e: &mut Engine, id: UnitId, purpose: Purpose, result: Result<ChainOutput, ChainError>) {
    if let Ok(ChainOutput { pid_file: Some(Ok(pid)), is_child, .. }) = result {
        set_main(e, id, pid, !is_child);
    }
    guess_done(e, id, purpose);
}

fn guess_done(e: &mut Engine, id: UnitId, purpose: Purpose) {
    match (purpose, service(e, id).state) {
        (Purpose::GuessStart, State::Start) => start::enter_start_post(e, id),
        (Purpose::GuessStartPost, State::StartPost) => start::enter_running(e, id, ServiceResult::Success),
        _ => {}
    }
}

/// The PID file was read.
pub(super) fn pid_file_read(
    e: &mut Engine,
    id: UnitId,
    purpose: Purpose,
    result: Result<ChainOutput, ChainError>,
) {
    let control = service(e, id).control;
    let found = match result {
        Ok(ChainOutput { pid_file: Some(Ok(pid)), .. }) if control == Some(pid) => {
            complain(e, id, purpose, &format!("Process {pid} is a command of the service, not its daemon."));
            false
        }
        Ok(ChainOutput { pid_file: Some(Ok(pid)), is_child, .. }) => {
            set_main(e, id, pid, !is_child);
            true
        }
        Ok(ChainOutput { pid_file: Some(Err(why)), .. }) => {
            complain(e, id, purpose, &why);
            false
        }
        Ok(_) => false,
        Err(error) => {
            complain(e, id, purpose, &error.message);
            false
        }
    };
    if found && service(e, id).awaiting_pid_file {
        service_mut(e, id).awaiting_pid_file = false;
        watch(e, id, None);
    }
    let state = service(e, id).state;
    match purpose {
        Purpose::PidFileReload if state == State::Reload => reload::finish_command(e, id),
        Purpose::PidFileReload => {}
        // An ExecStartPost= may write it yet.
        Purpose::PidFileStart if found || commands(e, id, super::Role::StartPost) > 0 => {
            start::enter_start_post(e, id)
        }
        _ if found && state == State::Start => start::enter_start_post(e, id),
        _ if found && state == State::StartPost => start::enter_running(e, id, ServiceResult::Success),
        _ if found => {}
        _ => demand(e, id, state),
    }
}

/// The PID file is not there yet: look again whenever a process of the service ends or speaks.
fn demand(e: &mut Engine, id: UnitId, state: State) {
    if service(e, id).populated {
        service_mut(e, id).awaiting_pid_file = true;
        watch(e, id, config::pid_file(&settings(e, id)));
        return;
    }
    say(e, id, 4, "Daemon never wrote its PID file. Failing.");
    match state {
        State::StartPost => stop::enter_stop(e, id, ServiceResult::Protocol),
        _ => stop::enter_signal(e, id, State::StopSigterm, ServiceResult::Protocol),
    }
}

fn watch(e: &mut Engine, id: UnitId, path: Option<Rc<str>>) {
    let specs = path.map(|path| PathSpec { kind: "PathChanged".into(), path }).into_iter().collect();
    let unit = e.unit(id).name.clone();
    e.emit(Effect::WatchPaths { unit, specs });
}

/// Something happened to the PID file that is awaited.
pub(super) fn pid_file_appeared(e: &mut Engine, id: UnitId) {
    if service(e, id).awaiting_pid_file {
        retry(e, id);
    }
}

fn complain(e: &mut Engine, id: UnitId, purpose: Purpose, why: &str) {
    if !(purpose == Purpose::PidFileStart && commands(e, id, super::Role::StartPost) > 0) {
        say(e, id, 5, why);
    }
}

/// After a re-execution nobody watches a main process that is not our child, or is another unit's.
pub(super) fn watch_again(e: &mut Engine, id: UnitId) {
    let Some(main) = service(e, id).main else { return };
    e.watch_pid_also(id, main.pid);
    if main.alien {
        e.emit(Effect::WatchProcess(main.pid));
    }
}

/// This is the main process now.
pub(super) fn set_main(e: &mut Engine, id: UnitId, pid: Pid, alien: bool) {
    if service(e, id).main.is_some_and(|main| main.pid == pid) {
        return;
    }
    drop_main(e, id);
    let now = e.now().into();
    let s = service_mut(e, id);
    s.main = Some(MainProcess { pid, alien });
    s.main_known = true;
    s.populated = true;
    if s.main_status.pid != pid {
        s.main_status = ExecStatus::adopt(pid, now);
    }
    if alien {
        say(e, id, 6, &format!("Supervising process {pid} which is not our child."));
        e.emit(Effect::WatchProcess(pid));
    }
    e.watch_pid_also(id, pid);
}
