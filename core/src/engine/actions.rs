//! Emergency actions (systemd.unit(5), `FailureAction=`), targets that signals ask for, the end of start-up.
use super::clock::Usec;
use super::effect::{Announcement, Effect, Exit, JobMode, RunEntry, UnitId};
use super::{Deferred, Engine};
use crate::names::UnitName;
use crate::settings::DirectiveId;

impl Engine {
    /// Do what `FailureAction=` and its like ask for, because of `unit`.
    pub(crate) fn emergency_action(
        &mut self,
        action: &str,
        unit: UnitId,
        status: Option<u8>,
        argument: DirectiveId,
        why: &'static str,
    ) {
        let base = action.trim_end_matches("-force").trim_end_matches("-immediate");
        let (target, exit) = match base {
            "reboot" => ("reboot.target", Exit::Reboot),
            "poweroff" => ("poweroff.target", Exit::Poweroff),
            "halt" => ("halt.target", Exit::Halt),
            "kexec" => ("kexec.target", Exit::Kexec),
            "soft-reboot" => ("soft-reboot.target", Exit::SoftReboot),
            "exit" => ("exit.target", Exit::Exit(status.unwrap_or(0))),
            _ => return,
        };
        let name = self.unit(unit).name.clone();
        self.log(4, Some(unit), format!("{name}: {why}, doing {action}."));
        let argument =
            self.unit(unit).settings.text(argument).filter(|text| base == "reboot" && !text.is_empty());
        if let Some(text) = argument {
            let bytes = text.as_bytes().into();
            self.run_tree("systemd/reboot-param", Some(RunEntry::File { bytes, mode: 0o644 }));
        }
        if base != action {
            return self.emit(Effect::Exit(exit));
        }
        if base == "exit" {
            self.exit_status = status.or(self.exit_status);
        }
        self.want_target(target, JobMode::ReplaceIrreversibly, why);
    }

    /// Start a target once nothing is missing.
    pub(crate) fn want_target(&mut self, target: &str, mode: JobMode, why: &'static str) {
        if let Ok(name) = UnitName::parse(target) {
            self.ensure(&name);
            self.queues.deferred.push_back(Deferred::Target(name, mode, why));
        }
    }

    /// The status that `exit.target` shall leave with.
    pub fn exit_status(&self) -> Option<u8> {
        self.exit_status
    }

    /// Let `exit.target` leave with this status.
    pub fn set_exit_status(&mut self, status: u8) {
        self.exit_status = Some(status);
    }

    /// When the first transaction was done.
    pub fn finished_at(&self) -> Option<super::clock::Stamp> {
        self.progress.finished
    }

    /// The first transaction is done: tell once how long it took.
    pub(crate) fn check_startup_finished(&mut self) {
        if !self.progress.booted || self.progress.finished.is_some() || self.jobs().next().is_some() {
            return;
        }
        self.progress.finished = Some(self.now.into());
        let now = self.now.monotonic;
        let config = &self.config;
        let span = |from: Usec, to: Usec| if from > 0 { to.saturating_sub(from) } else { 0 };
        let kernel = if config.initrd_at > 0 { config.initrd_at } else { config.userspace_at };
        let initrd = span(config.initrd_at, config.userspace_at);
        let userspace = now.saturating_sub(config.userspace_at);
        let total = if config.container || config.user { userspace } else { now };
        let kernel = if config.container || config.user { 0 } else { kernel };
        self.effects
            .push(Effect::Announce(Announcement::StartupFinished([0, 0, kernel, initrd, userspace, total])));
        let text = format!("Startup finished in {}.", span_text(total));
        self.log_with(6, None, text, vec![("MESSAGE_ID", "b07a249cd024414a82dd00cd181378ff".into())]);
    }
}

/// "1min 2.345s", "345ms": the way start-up times are told.
fn span_text(span: Usec) -> String {
    let (minutes, rest) = (span / 60_000_000, span % 60_000_000);
    let seconds = format!("{}.{:03}s", rest / 1_000_000, rest % 1_000_000 / 1000);
    match (minutes, rest) {
        (0, rest) if rest < 1_000_000 => format!("{}ms", rest / 1000),
        (0, _) => seconds,
        (minutes, _) => format!("{minutes}min {seconds}"),
    }
}

#[cfg(test)]
mod tests {
    use super::span_text;

    #[test]
    fn spans_are_told_with_milliseconds() {
        assert_eq!(span_text(345_000), "345ms");
        assert_eq!(span_text(2_345_000), "2.345s");
        assert_eq!(span_text(62_345_000), "1min 2.345s");
    }
}
