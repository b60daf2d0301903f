//! What a session costs where PID 1 has a kernel to itself.
use crate::{BOOT, Checks, file};
use runstead_compat::Error;
use runstead_compat::machine::UnderTest;
use runstead_compat::proof::Proof;
use runstead_compat::vm::{Vm, VmOptions};
use std::path::Path;

/// Prints two medians of milliseconds: of `su -c true` for a user whose manager runs, with and without a session.
const SESSIONS: &str = r#"
import os, statistics, subprocess, time
def run(*words):
    return subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
run("useradd", "-m", "-s", "/bin/sh", "sam")
run("loginctl", "enable-linger", "sam")
while subprocess.run(["systemctl", "-q", "is-active", "user@1000.service"]).returncode: time.sleep(0.1)
path = "/etc/pam.d/common-session"
text = open(path).read()
lines = [line for line in text.splitlines() if "pam_systemd" not in line]
without = chr(10).join(lines) + chr(10)
took = {text: [], without: []}
for turn in range(42):
    pam = (text, without)[turn % 2]
    open(path, "w").write(pam)
    time.sleep(0.1)
    begin = time.monotonic()
    run("su", "sam", "-c", "true")
    took[pam].append(time.monotonic() - begin)
open(path, "w").write(text)
run("loginctl", "disable-linger", "sam")
run("systemctl", "stop", "user@1000.service")
run("userdel", "-r", "sam")
print(*[statistics.median(took[pam]) * 1000 for pam in (text, without)])
"#;

/// Boots both and prints what a session costs on each, and the ratio.
pub fn measure(proof: &mut Proof, tree: &Path) {
    let mut costs = Vec::new();
    for under_test in [UnderTest::Systemd, UnderTest::Ours] {
        let mut options = VmOptions::new(under_test, tree);
        options.files = vec![file("/root/sessions", SESSIONS)];
        let Some(mut vm) = proof.need("boot", Vm::boot(&options)) else { return };
        if proof.need("the agent", vm.wait_agent(BOOT)).is_none() {
            return;
        }
        let mut checks = Checks { proof, vm: &mut vm, who: under_test.name() };
        checks.text("the whole system is up", "systemctl is-system-running --wait", "running");
        costs.push(cost(&mut checks));
    }
    if let [reference, ours] = costs[..] {
        let ratio = ours / reference;
        println!("a session: {reference:.0} ms on the reference, {ours:.0} ms on ours, {ratio:.2} of it");
    }
}

/// What a session adds to a command, ms.
fn cost(checks: &mut Checks<'_>) -> f64 {
    let text = checks.vm.text("python3 /root/sessions 2>/dev/null");
    let numbers = text.and_then(|text| {
        let numbers: Option<Vec<f64>> = text.split_whitespace().map(|word| word.parse().ok()).collect();
        match numbers.as_deref() {
            Some([with, without]) => Ok((*with, *without)),
            _ => Err(Error::new(text)),
        }
    });
    let numbers = checks.outcome("21 sessions", numbers);
    numbers.map_or(0.0, |(with, without)| {
        println!("{}: with a session {with:.1} ms, without {without:.1} ms", checks.who);
        with - without
    })
}
