//! Commands, timers and checks, each with how it went.
use super::Context;
use super::types::timer;
use runstead_core::directives::ids;
use runstead_core::engine::CheckResult;
use runstead_core::engine::clock::Stamp;
use runstead_core::engine::effect::Command;
use runstead_core::engine::event::ConditionVerdict;
use runstead_core::settings::DirectiveId;
use runstead_core::units::UnitKind;
use runstead_core::units::service::{ExecStatus, Role};
use runstead_wire::dbus::Writer;
use std::rc::Rc;

/// When a command ran and how it ended; `pid` 0: it never ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Run {
    pid: i32,
    start: Stamp,
    end: Stamp,
    code: i32,
    status: i32,
}

/// Writes `a(sasbttttuii)` (path, arguments, failure is ignored, and the last run), or `extended` `a(sasasttttuii)` with the
/// flags as words.
pub fn commands(context: &Context<'_>, id: DirectiveId, extended: bool, writer: &mut Writer) {
    writer.array(if extended { "(sasasttttuii)" } else { "(sasbttttuii)" }, |w| {
        for (index, command) in context.unit.settings.commands(id).iter().enumerate() {
            one(command, command_run(context, id, index), extended, w);
        }
    });
}

fn one(command: &Command, run: Run, extended: bool, w: &mut Writer) {
    w.open_struct().str(&command.path).strings(command.argv.iter());
    if extended {
        w.strings(flags(command));
    } else {
        w.bool(command.ignore_failure);
    }
    w.u64(run.start.realtime).u64(run.start.monotonic).u64(run.end.realtime).u64(run.end.monotonic);
    w.u32(u32::try_from(run.pid).unwrap_or(0)).i32(run.code).i32(run.status).close();
}

fn flags(command: &Command) -> impl Iterator<Item = &'static str> {
    let words = [
        (command.ignore_failure, "ignore-failure"),
        (command.full_privileges, "privileged"),
        (command.no_setuid, "no-setuid"),
        (command.no_env_expand, "no-env-expand"),
        (command.via_shell, "via-shell"),
    ];
    words.into_iter().filter(|(on, _)| *on).map(|(_, word)| word)
}

/// How one of a unit's commands fared.
fn command_run(context: &Context<'_>, id: DirectiveId, index: usize) -> Run {
    let role = match id {
        ids::EXEC_CONDITION => Role::Condition,
        ids::EXEC_START_PRE => Role::StartPre,
        ids::EXEC_START => Role::Start,
        ids::EXEC_START_POST => Role::StartPost,
        ids::EXEC_RELOAD => Role::Reload,
        ids::EXEC_STOP => Role::Stop,
        ids::EXEC_STOP_POST => Role::StopPost,
        _ => return Run::default(),
    };
    let index = u16::try_from(index).unwrap_or(u16::MAX);
    let UnitKind::Service(service) = &context.unit.kind else { return Run::default() };
    let status = {
        let is_main = role == Role::Start && service.main_command == Some(index);
        service.command_status(role, index).or(is_main.then_some(&service.main_status))
    };
    status.map_or(Run::default(), run)
}

fn run(status: &ExecStatus) -> Run {
    Run {
        pid: status.pid,
        start: status.start,
        end: status.end,
        code: status.code(),
        status: status.status(),
    }
}

/// Writes `a(sbbsi)`: directive, `|`, `!`, parameter, and 1 (holds), 0 (not looked at) or -1.
pub fn checks(lines: &[(Rc<str>, Rc<str>)], result: &CheckResult, writer: &mut Writer) {
    writer.array("(sbbsi)", |w| {
        // The last stands first, as in the reference.
        for (index, (name, value)) in lines.iter().enumerate().rev() {
            let (trigger, rest) = value.strip_prefix('|').map_or((false, &**value), |rest| (true, rest));
            let (negate, parameter) = rest.strip_prefix('!').map_or((false, rest), |rest| (true, rest));
            let state = match result.verdicts.get(index) {
                None => 0,
                Some(ConditionVerdict::Holds) => 1,
                Some(_) => -1,
            };
            w.open_struct()
                .str(name)
                .bool(trigger)
                .bool(negate)
                .str(parameter.trim_start())
                .i32(state)
                .close();
        }
    });
}

/// Writes `a(stt)`: property, span, next elapse; the last line stands first, as in the reference.
pub fn monotonic_timers(context: &Context<'_>, writer: &mut Writer) {
    writer.array("(stt)", |w| {
        for (index, (name, value)) in context.unit.settings.timers().iter().enumerate().rev() {
            if let (Some(stem), Ok(usec)) = (name.strip_suffix("Sec"), value.parse::<u64>()) {
                w.open_struct().str(&format!("{stem}USec")).u64(usec).u64(next(context, index)).close();
            }
        }
    });
}

/// Writes `a(sst)`: property, calendar event, next elapse.
pub fn calendar_timers(context: &Context<'_>, writer: &mut Writer) {
    writer.array("(sst)", |w| {
        for (index, (name, value)) in context.unit.settings.timers().iter().enumerate().rev() {
            if &**name == "OnCalendar" {
                w.open_struct().str(name).str(value).u64(next(context, index)).close();
            }
        }
    });
}

/// When a line of a timer elapses next.
fn next(context: &Context<'_>, index: usize) -> u64 {
    timer(context).and_then(|timer| timer.next.get(index).copied()).unwrap_or(0)
}
