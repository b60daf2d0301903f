//! Command lines with how they fared the last time.
use super::Context;
use runstead_core::engine::clock::Stamp;
use runstead_core::engine::effect::Command;
use runstead_core::settings::DirectiveId;
use runstead_wire::dbus::Writer;

/// When a command ran and how it ended; `pid` 0: it never ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Run {
    /// Its process.
    pub pid: i32,
    /// Start.
    pub start: Stamp,
    /// When execve(2) succeeded.
    pub handoff: Stamp,
    /// End; unset while it runs.
    pub end: Stamp,
    /// `si_code`.
    pub code: i32,
    /// `si_status`.
    pub status: i32,
}

/// Writes `a(sasbttttuii)`: path, arguments, failure is ignored, and the last run.
pub fn plain(context: &Context<'_>, id: DirectiveId, writer: &mut Writer) {
    write(context, id, context.unit.settings.commands(id), false, writer);
}

/// Writes `a(sasasttttuii)`: likewise with the flags as words.
pub fn extended(context: &Context<'_>, id: DirectiveId, writer: &mut Writer) {
    write(context, id, context.unit.settings.commands(id), true, writer);
}

/// Writes one command that the type makes up itself (`ExecMount`).
pub fn made(run: Option<(&Command, Run)>, writer: &mut Writer) {
    writer.array("(sasbttttuii)", |w| {
        if let Some((command, run)) = run {
            one(command, run, false, w);
        }
    });
}

fn write(context: &Context<'_>, id: DirectiveId, commands: &[Command], extended: bool, writer: &mut Writer) {
    writer.array(if extended { "(sasasttttuii)" } else { "(sasbttttuii)" }, |w| {
        for (index, command) in commands.iter().enumerate() {
            one(command, super::service::command_run(context, id, index), extended, w);
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
