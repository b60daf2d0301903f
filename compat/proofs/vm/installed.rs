//! A machine that becomes runstead's and systemd's again, over real boots by its own `/sbin/init`.
use crate::{BOOT, Checks, off};
use runstead_compat::installed::LOOK;
use runstead_compat::machine::{Entry, UnderTest, our_binary};
use runstead_compat::proof::Proof;
use runstead_compat::vm::{Vm, VmOptions};
use runstead_compat::{Error, Result};
use std::path::Path;

const PROGRAM: &str = "/root/runstead";

pub fn prove(proof: &mut Proof, tree: &Path) {
    proof.step("installed");
    // The tree's init is what the kernel starts.
    let mut options = VmOptions::new(UnderTest::Systemd, tree);
    options.once = false;
    let binary = our_binary().and_then(|path| std::fs::read(&path).map_err(Error::on("read", path)));
    let Some(bytes) = proof.need("our binary", binary) else { return };
    options.files = vec![(PROGRAM.to_owned(), Entry::Program(bytes))];
    let Some(mut vm) = proof.need("boot", Vm::boot(&options)) else { return };
    let mut checks = Checks { proof, vm: &mut vm, who: "installed" };
    let outcome = through(&mut checks);
    if checks.outcome("it goes there and back", outcome).is_some() {
        off(&mut checks, |vm| vm.start_command("systemctl poweroff"));
    }
}

fn through(checks: &mut Checks<'_>) -> Result<()> {
    checks.vm.wait_agent(BOOT)?;
    checks.text("PID 1 at first", "readlink /proc/1/exe", "/usr/lib/systemd/systemd");
    let before = checks.vm.text(LOOK)?;
    checks.text("install", &format!("{PROGRAM} install >/dev/null && echo done"), "done");
    reboot(checks)?;
    checks.text("PID 1 after a reboot", "readlink /proc/1/exe", "/usr/lib/runstead/runstead");
    checks.text("the whole system is up", "systemctl is-system-running --wait", "running");
    checks.text("uninstall", &format!("{PROGRAM} uninstall >/dev/null && echo done"), "done");
    reboot(checks)?;
    checks.text("PID 1 after another", "readlink /proc/1/exe", "/usr/lib/systemd/systemd");
    checks.text("the whole system is up", "systemctl is-system-running --wait", "running");
    let after = checks.vm.text(LOOK)?;
    let last = after.lines().next_back().unwrap_or_default();
    checks.proof.check(
        before == after && before.contains("diversion of"),
        format!("dpkg -V and the like say what they said: ... {last}"),
    );
    Ok(())
}

fn reboot(checks: &mut Checks<'_>) -> Result<()> {
    checks.vm.start_command("systemctl reboot")?;
    checks.vm.wait_agent(BOOT)
}
