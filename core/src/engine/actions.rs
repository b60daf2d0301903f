//! Emergency actions (systemd.unit(5), `FailureAction=`), targets that signals ask for, the end of start-up.
use super::clock::Usec;
use super::effect::{Announcement, Effect, Exit, JobMode, RunEntry, Setting, UnitId};
use super::{Deferred, Engine};
use crate::names::UnitName;
use crate::settings::DirectiveId;

/// What leads to a soft reboot.
pub(super) const SOFT_REBOOT: &str = "soft-reboot.target";
/// Why there is none.
pub const NO_SOFT_REBOOT: &str = "A soft reboot is not supported.";

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
            "soft-reboot" => return self.refuse_soft_reboot(Some(unit)),
            "exit" => ("exit.target", Exit::Exit),
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
        if let Some(status) = status.filter(|_| base == "exit") {
            self.emit(Effect::Configure(Setting::ExitStatus(status)));
        }
        if base != action {
            return self.emit(Effect::Exit(exit));
        }
        self.want_target(target, JobMode::ReplaceIrreversibly, why);
    }

    /// Only the user space is to begin anew. That is not there yet, and the whole machine is more than was asked for.
    fn refuse_soft_reboot(&mut self, unit: Option<UnitId>) {
        self.log(3, unit, format!("{NO_SOFT_REBOOT} Nothing is done."));
    }

    /// The same for what watches over units: start limits and time-outs of jobs (`systemctl service-watchdogs`).
    pub(crate) fn watchdog_action(
        &mut self,
        action: &str,
        unit: UnitId,
        argument: DirectiveId,
        why: &'static str,
    ) {
        if self.watches_services() {
            self.emergency_action(action, unit, None, argument, why);
        } else if !matches!(action, "" | "none") {
            let text = format!("{}: {why}; not doing {action}, as watchdogs are off.", self.unit(unit).name);
            self.log(4, Some(unit), text);
        }
    }

    /// Whether watchdogs of services have an effect.
    pub fn watches_services(&self) -> bool {
        !self.progress.watchdogs_off
    }

    /// `ServiceWatchdogs`: until the next reload.
    pub fn watch_services(&mut self, on: bool) {
        self.progress.watchdogs_off = !on;
    }

    /// Start a target once nothing is missing.
    pub(crate) fn want_target(&mut self, target: &str, mode: JobMode, why: &'static str) {
        if target == SOFT_REBOOT {
            return self.refuse_soft_reboot(None);
        }
        if let Ok(name) = UnitName::parse(target) {
            self.ensure(&name);
            self.queues.deferred.push_back(Deferred::Target(name, mode, why));
        }
    }

    /// The first transaction is done: tell once how long it took.
    pub(crate) fn check_startup_finished(&mut self) {
        if !self.progress.booted || self.progress.finished.is_some() || self.jobs().next().is_some() {
            return;
        }
        self.progress.finished = Some(self.now.into());
        let config = &self.config;
        let userspace = self.now.monotonic.saturating_sub(config.userspace_at);
        let kernel = if config.own_kernel { config.userspace_at } else { 0 };
        let total = kernel + userspace;
        self.effects
            .push(Effect::Announce(Announcement::StartupFinished([0, 0, kernel, 0, userspace, total])));
        let user = self.config.user;
        let id = if user { "eed00a68ffd84e31882105fd973abdd1" } else { "b07a249cd024414a82dd00cd181378ff" };
        let mut fields = vec![("MESSAGE_ID", id.into()), ("USERSPACE_USEC", userspace.to_string().into())];
        if kernel > 0 {
            fields.push(("KERNEL_USEC", kernel.to_string().into()));
        }
        self.log_with(6, None, finished_text(kernel, userspace), fields);
    }
}

/// How long the kernel and userspace took, or userspace alone, where we did not see the kernel begin.
fn finished_text(kernel: Usec, userspace: Usec) -> String {
    let own = span_text(userspace);
    if kernel == 0 {
        return format!("Startup finished in {own}.");
    }
    let (kernel, total) = (span_text(kernel), span_text(kernel + userspace));
    format!("Startup finished in {kernel} (kernel) + {own} (userspace) = {total}.")
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
    use super::{finished_text, span_text};

    #[test]
    fn the_end_of_the_start_is_told_by_parts() {
        let text = "Startup finished in 900ms (kernel) + 1.500s (userspace) = 2.400s.";
        assert_eq!(finished_text(900_000, 1_500_000), text);
        assert_eq!(finished_text(0, 1_500_000), "Startup finished in 1.500s.");
    }

    #[test]
    fn spans_are_told_with_milliseconds() {
        assert_eq!(span_text(345_000), "345ms");
        assert_eq!(span_text(2_345_000), "2.345s");
        assert_eq!(span_text(62_345_000), "1min 2.345s");
    }
}
