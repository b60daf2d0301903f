//! What people read about jobs: journal lines with their catalogue ids, and status lines.
use super::{Job, JobResult, kinds};
use crate::engine::Engine;
use crate::engine::effect::{JobId, JobType, StatusMark, UnitId};
use crate::names::UnitType;
use std::rc::Rc;

const STARTING: &str = "7d4958e842da4a758f6c1cdc7b36dcc5";
const STARTED: &str = "39f53479d3a045ac8e11786248231fbf";
const FAILED: &str = "be02cf6855d2428ba40df7e9d022f03d";
const STOPPING: &str = "de5b426a63be47a7b6ac3eaac82e2f6f";
const STOPPED: &str = "9d1aaa27d60140bd96365438aad20286";
const RELOADING: &str = "d34d037fff1847e6ae669a370e694725";
const RELOADED: &str = "7b05ebc668384222baa8881179cfda54";

fn name(e: &Engine, id: UnitId) -> String {
    e.unit(id).status_name(e.config.status_format())
}

/// Types whose jobs take time: only these announce the beginning.
fn begins_visibly(kind: UnitType) -> bool {
    matches!(kind, UnitType::Service | UnitType::Mount | UnitType::Swap)
}

fn announce(e: &mut Engine, id: UnitId, text: String, job: Option<JobId>, kind: &str, message: &'static str) {
    let mut fields: Vec<(&'static str, Rc<str>)> =
        vec![("MESSAGE_ID", message.into()), ("JOB_TYPE", kind.into())];
    if let Some(job) = job {
        fields.insert(0, ("JOB_ID", job.0.to_string().into()));
    }
    e.log_with(6, Some(id), text, fields);
}

/// A start begins.
pub(crate) fn starting(e: &mut Engine, id: UnitId) {
    let verb = match e.unit(id).unit_type() {
        UnitType::Device => "Expecting device",
        kind if !begins_visibly(kind) => return,
        UnitType::Mount => "Mounting",
        UnitType::Swap => "Activating swap",
        _ => "Starting",
    };
    let text = format!("{verb} {}...", name(e, id));
    let job = e.unit(id).job;
    announce(e, id, text.clone(), job, "start", STARTING);
    e.status(StatusMark::None, text);
}

/// A stop begins.
pub(crate) fn stopping(e: &mut Engine, id: UnitId, job: JobId) {
    let verb = match e.unit(id).unit_type() {
        kind if !begins_visibly(kind) => return,
        UnitType::Mount => "Unmounting",
        UnitType::Swap => "Deactivating swap",
        _ => "Stopping",
    };
    let text = format!("{verb} {}...", name(e, id));
    announce(e, id, text.clone(), Some(job), "stop", STOPPING);
    e.status(StatusMark::None, text);
}

/// A reload begins.
pub(crate) fn reloading(e: &mut Engine, id: UnitId, job: JobId) {
    let text = format!("Reloading {}...", name(e, id));
    announce(e, id, text.clone(), Some(job), "reload", RELOADING);
    e.status(StatusMark::None, text);
}

/// The stop half of a restart is done.
pub(crate) fn stopped_for_restart(e: &mut Engine, job: &Job) {
    line(e, job, job.kind, JobResult::Done);
}

/// A job ended.
pub(crate) fn finished(e: &mut Engine, job: &Job, result: JobResult, already: bool) {
    if already || job.kind == JobType::Nop {
        return;
    }
    let start = matches!(job.kind, JobType::Start | JobType::VerifyActive);
    if start && result == JobResult::Done && e.unit(job.unit).active_state().is_down() {
        // A condition kept it from starting, or it has run its course.
        if !e.unit(job.unit).condition.result && e.unit(job.unit).condition.at.is_set() {
            skipped(e, job);
            return;
        }
    }
    line(e, job, job.kind, result);
}

fn skipped(e: &mut Engine, job: &Job) {
    let text = format!("{} was skipped because of an unmet condition check.", name(e, job.unit));
    announce(e, job.unit, text, Some(job.id), "start", "6eb7c1abcef54459be0f5a43f4b7a4c4");
}

fn line(e: &mut Engine, job: &Job, kind: JobType, result: JobResult) {
    let Some((text, mark, level)) = words(e, job.unit, kind, result) else { return };
    let id = match (kind, result) {
        (JobType::Stop | JobType::Restart | JobType::TryRestart, _) => STOPPED,
        (JobType::Reload | JobType::TryReload, _) => RELOADED,
        (_, JobResult::Done) => STARTED,
        _ => FAILED,
    };
    let fields: Vec<(&'static str, Rc<str>)> = vec![
        ("JOB_ID", job.id.0.to_string().into()),
        ("JOB_TYPE", kinds::as_str(kind).into()),
        ("JOB_RESULT", result.as_str().into()),
        ("MESSAGE_ID", id.into()),
    ];
    e.log_with(level, Some(job.unit), text.clone(), fields);
    e.status(mark, text.clone());
    if mark == StatusMark::Failed && matches!(kind, JobType::Start) {
        e.status(StatusMark::None, format!("See 'systemctl status {}' for details.", e.unit(job.unit).name));
    }
}

fn words(e: &Engine, id: UnitId, kind: JobType, result: JobResult) -> Option<(String, StatusMark, u8)> {
    let n = name(e, id);
    let unit_type = e.unit(id).unit_type();
    Some(match (kind, result) {
        (JobType::Start | JobType::VerifyActive, JobResult::Done) => {
            let verb = match unit_type {
                UnitType::Service if e.unit(id).active_state().is_down() => "Finished",
                UnitType::Service
                    if e.unit(id).settings.word(crate::directives::ids::SERVICE_TYPE) == "oneshot" =>
                {
                    "Finished"
                }
                UnitType::Mount => "Mounted",
                UnitType::Swap => "Activated swap",
                UnitType::Socket => "Listening on",
                UnitType::Target => "Reached target",
                UnitType::Device => "Found device",
                UnitType::Automount => "Set up automount",
                UnitType::Slice => "Created slice",
                _ => "Started",
            };
            (format!("{verb} {n}."), StatusMark::Ok, 6)
        }
        (JobType::Start | JobType::VerifyActive, failure) => match failure {
            JobResult::Timeout => (format!("Timed out starting {n}."), StatusMark::Time, 3),
            JobResult::Dependency => (format!("Dependency failed for {n}."), StatusMark::Depend, 4),
            JobResult::Assert => (format!("Assertion failed for {n}."), StatusMark::Assert, 4),
            JobResult::Unsupported => (format!("Starting of {n} unsupported."), StatusMark::Unsupported, 4),
            JobResult::Once => (
                format!("Unit {n} has been started before and cannot be started again."),
                StatusMark::Once,
                3,
            ),
            JobResult::Failed => (format!("Failed to start {n}."), StatusMark::Failed, 3),
            JobResult::Frozen => (format!("Cannot start frozen unit {n}."), StatusMark::Failed, 3),
            JobResult::Collected => (format!("Unnecessary job was removed for {n}."), StatusMark::Info, 6),
            _ => return None,
        },
        (JobType::Stop | JobType::Restart | JobType::TryRestart, done) => {
            let verb = match unit_type {
                UnitType::Mount => "Unmounted",
                UnitType::Swap => "Deactivated swap",
                UnitType::Socket => "Closed",
                UnitType::Target => "Stopped target",
                UnitType::Automount => "Unset automount",
                UnitType::Slice => "Removed slice",
                _ => "Stopped",
            };
            match done {
                JobResult::Done => (format!("{verb} {n}."), StatusMark::Ok, 6),
                JobResult::Failed => (format!("Stopped {n} with error."), StatusMark::Failed, 4),
                JobResult::Timeout => (format!("Timed out stopping {n}."), StatusMark::Time, 4),
                JobResult::Frozen => (format!("Cannot stop frozen unit {n}."), StatusMark::Failed, 3),
                _ => return None,
            }
        }
        (JobType::Reload | JobType::TryReload | JobType::ReloadOrStart, done) => match done {
            JobResult::Done => (format!("Reloaded {n}."), StatusMark::Ok, 6),
            JobResult::Failed => (format!("Reload failed for {n}."), StatusMark::Failed, 4),
            JobResult::Timeout => (format!("Timed out reloading {n}."), StatusMark::Time, 4),
            JobResult::Frozen => (format!("Cannot reload frozen unit {n}."), StatusMark::Failed, 3),
            _ => return None,
        },
        (JobType::Nop, _) => return None,
    })
}
