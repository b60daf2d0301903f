//! After the loop: kill what is left, unmount what can be, and end (systemd-shutdown(8)).
use crate::console::Console;
use crate::shell::Shell;
use runstead_api::systemd1::errors::Error;
use runstead_core::engine::effect::{Exit, StatusMark};
use runstead_os::switch_root::{self, Next};
use runstead_os::{mount, shutdown as last};
use std::process::ExitCode;
use std::time::Duration;

/// How long processes that nobody stopped get between `SIGTERM` and `SIGKILL`.
const TERM_TIME: Duration = Duration::from_secs(10);

/// The same for those of an initramfs.
const INITRD_TIME: Duration = Duration::from_secs(5);

impl Shell {
    /// `SwitchRoot`: look whether that can be done; it is once the caller has the answer.
    pub(crate) fn plan_switch_root(&mut self, root: &str, init: &str) -> Result<(), Error> {
        if std::process::id() != 1 || !switch_root::in_initrd() {
            return Err(Error::new(
                "org.freedesktop.DBus.Error.NotSupported",
                "Only in an initrd can the root be switched: there is no /etc/initrd-release",
            ));
        }
        // The kernel's `init=` is meant for the system, not for the initramfs.
        let words = &self.host.host.identity.command_line;
        let word = words.iter().rev().find_map(|word| word.strip_prefix("init=")).unwrap_or("");
        let init = if init.is_empty() { word } else { init };
        let next = switch_root::check(root, init)
            .map_err(|why| Error::new("org.freedesktop.DBus.Error.InvalidArgs", why))?;
        self.next_root = Some(next);
        Ok(())
    }

    /// Go there. It comes back only when that failed.
    pub(crate) fn switch_root(&mut self, next: &Next) {
        self.console.status(StatusMark::None, "Switching to the new root.");
        self.console.flush();
        last::kill_unmarked(INITRD_TIME);
        // Its drop-ins name a program of the initramfs.
        self.generators_to_run().discard();
        let error = switch_root::switch(next);
        self.complain(2, &format!("cannot switch the root: {error}; the old manager goes on"));
        // What was killed was reaped here: the next image looks who is left.
        self.reexec = true;
    }

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

/// The last stage; `exit_code` is what `exit` ends with.
pub(crate) fn end(exit: Exit, exit_code: u8, container: bool, console: &Console) -> ExitCode {
    // The machine is its PID 1's: others only leave.
    if std::process::id() != 1 {
        return if exit == Exit::Exit { ExitCode::from(exit_code) } else { ExitCode::SUCCESS };
    }
    let word = word_of(exit);
    // The file is gone once everything is unmounted.
    let argument = runstead_os::logins::power::reboot_parameter();
    console.status(StatusMark::None, &format!("Stopping everything that is left ({word})."));
    console.flush();
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
    let code = if exit == Exit::Exit { exit_code } else { 0 };
    match exit {
        Exit::Exit if container => ExitCode::from(code),
        _ => {
            // In a container reboot(2) ends our PID namespace and tells its parent how.
            console.always(&format!("cannot {word}: {}", last::reboot(word, &argument)));
            if container {
                return ExitCode::from(code);
            }
            // No kernel is loaded for kexec, as a rule: another way up is better than none.
            console.always(&format!("cannot reboot: {}", last::reboot("reboot", "")));
            last::stay()
        }
    }
}

fn word_of(exit: Exit) -> &'static str {
    match exit {
        Exit::Poweroff | Exit::Exit => "poweroff",
        Exit::Reboot => "reboot",
        Exit::Halt => "halt",
        Exit::Kexec => "kexec",
    }
}
