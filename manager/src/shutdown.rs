//! After the loop: kill what is left, unmount what can be, and end (systemd-shutdown(8)).
use crate::console::Console;
use crate::shell::Shell;
use runstead_core::engine::effect::{Exit, StatusMark};
use runstead_os::{mount, shutdown as last};
use std::process::ExitCode;
use std::time::Duration;

/// How long processes that nobody stopped get between `SIGTERM` and `SIGKILL`.
const TERM_TIME: Duration = Duration::from_secs(10);

impl Shell {
    /// Leave: a user manager exits, PID 1 takes the machine down.
    pub(crate) fn leave(mut self, exit: Exit) -> ExitCode {
        self.flush();
        self.supervisor.stopping();
        if std::process::id() == 1 {
            self.persist.stop_watching();
        }
        end(exit, self.host.exit_code, self.host.container(), &self.console)
    }
}

/// The last stage; `exit_code` is what `exit` without a number of its own ends with.
pub(crate) fn end(exit: Exit, exit_code: u8, container: bool, console: &Console) -> ExitCode {
    // The machine is its PID 1's: others only leave.
    if std::process::id() != 1 {
        let Exit::Exit(code) = exit else { return ExitCode::SUCCESS };
        return ExitCode::from(if code == 0 { exit_code } else { code });
    }
    let word = word_of(exit);
    console.status(StatusMark::None, &format!("Stopping everything that is left ({word})."));
    last::kill_all(TERM_TIME);
    if !container {
        for error in mount::swap_off_all() {
            console.always(&format!("swap stays on: {error}"));
        }
    }
    for left in mount::unmount_all().unwrap_or_default() {
        if left.target != "/" {
            console.always(&format!("still mounted: {}", left.target));
        }
    }
    last::sync();
    let code = if let Exit::Exit(code) = exit { if code == 0 { exit_code } else { code } } else { 0 };
    match exit {
        Exit::Exit(_) if container => ExitCode::from(code),
        _ => {
            // In a container reboot(2) ends our PID namespace and tells its parent how.
            let error = last::reboot(word);
            console.always(&format!("cannot {word}: {error}"));
            ExitCode::from(code)
        }
    }
}

fn word_of(exit: Exit) -> &'static str {
    match exit {
        Exit::Poweroff | Exit::Exit(_) => "poweroff",
        Exit::Reboot | Exit::SoftReboot => "reboot",
        Exit::Halt => "halt",
        Exit::Kexec => "kexec",
    }
}
