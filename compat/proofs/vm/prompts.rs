//! People at the console: a login, rescue mode, emergency mode.
use crate::{BOOT, Checks};
use std::time::Duration;

const ANSWER: Duration = Duration::from_secs(120);

/// A person logs in on the serial line.
pub fn login(checks: &mut Checks<'_>) {
    checks.proof.step(format!("{}: a login on the serial line", checks.who));
    let from = checks.vm.console().text().len();
    let talk = (|| {
        let vm = &mut *checks.vm;
        vm.type_in("\n")?;
        let at = vm.expect(from, "login: ", ANSWER)?;
        vm.type_in("root\n")?;
        let at = vm.expect(at, "Password: ", ANSWER)?;
        vm.type_in("secret\n")?;
        let at = vm.expect(at, "# ", ANSWER)?;
        vm.type_in("echo in-$((40 + 2))\n")?;
        vm.expect(at, "in-42", ANSWER)
    })();
    if checks.outcome("a shell answers", talk).is_none() {
        return;
    }
    checks.text("it is a session", "loginctl list-sessions --no-legend | grep -c ttyS0", "1");
    checks.text(
        "in a scope",
        "systemctl list-units --no-legend --plain 'session-*.scope' | grep -c running",
        "1",
    );
    let left = checks.vm.type_in("exit\n");
    checks.outcome("it is left", left);
    checks.soon("and the session is gone", "loginctl list-sessions --no-legend | grep -c ttyS0", "0");
}

/// `systemctl rescue`, and back.
pub fn rescue(checks: &mut Checks<'_>) {
    checks.proof.step(format!("{}: rescue mode", checks.who));
    let from = checks.vm.console().text().len();
    let talk = (|| {
        let vm = &mut *checks.vm;
        vm.start_command("systemctl rescue --no-block")?;
        let at = vm.expect(from, "Enter root password", ANSWER)?;
        vm.type_in("secret\n")?;
        let at = vm.expect(at, "# ", ANSWER)?;
        vm.type_in("echo $(systemctl is-active rescue.target sysinit.target multi-user.target; systemctl -q is-active nginx || echo stopped)!\n")?;
        vm.expect(at, "active active inactive stopped!", ANSWER)?;
        vm.type_in("exit\n")?;
        vm.wait_agent(BOOT)
    })();
    checks.outcome("a shell in rescue mode, and back to the default target", talk);
    checks.soon(
        "all is up again",
        "systemctl is-active graphical.target nginx.service | xargs",
        "active active",
    );
}

/// A boot that stops at a shell with next to nothing.
pub fn emergency(checks: &mut Checks<'_>) {
    let talk = (|| {
        let vm = &mut *checks.vm;
        let at = vm.expect(0, "Enter root password", BOOT)?;
        vm.type_in("secret\n")?;
        let at = vm.expect(at, "# ", ANSWER)?;
        vm.type_in("echo $(systemctl is-active emergency.target local-fs.target basic.target)!\n")?;
        vm.expect(at, "active inactive inactive!", ANSWER)
    })();
    checks.outcome("a shell in emergency mode", talk);
}
