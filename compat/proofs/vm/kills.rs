//! A machine that is killed while it saves what the next boot gets: that is whole, or there is nothing.
use crate::{BOOT, Checks, file};
use runstead_compat::machine::{Entry, UnderTest};
use runstead_compat::proof::Proof;
use runstead_compat::vm::{Vm, VmOptions};
use std::path::Path;
use std::time::Duration;

const KILLS: u64 = 5;
const RESET: &str = r#"{"execute": "system_reset"}"#;
const WISH: &str = "/run/app\n";
/// No more than it takes.
const TARGET: &str = "[Unit]\nRequires=basic.target\nAfter=basic.target\nWants=agent.service\n";
/// Saves again and again, fifty files that all hold one letter, another each time; comes back when the first save is done.
const SAVE: &str = "mkdir -p /run/app; rm -f /run/saved; (n=0; while :; do n=$(((n + 1) % 10)); \
    all=$(printf %20000d $n | tr ' ' $n); for f in {1..50}; do printf %s $all >/run/app/$f; done; \
    /usr/lib/runstead/runstead carry save && : >/run/saved; done) >/dev/null 2>&1 </dev/null & \
    while ! [ -e /run/saved ]; do sleep 0.1; done; echo saved";
/// How many files there are, and how many different letters and sizes.
const LOOK: &str = "cd /run/app 2>/dev/null || { echo nothing; exit; }; \
    echo $(ls | wc -l) $(cat * | tr -s 0-9 | fold -w1 | sort -u | wc -l) $(stat -c %s * | sort -u | xargs)";

pub fn prove(proof: &mut Proof, tree: &Path) {
    proof.step("killed while it saves");
    let mut options = VmOptions::new(UnderTest::Ours, tree);
    options.once = false;
    options.words = "systemd.unit=saving.target".to_owned();
    options.files = vec![
        file("/etc/systemd/system/saving.target", TARGET),
        ("/etc/runstead/carry.d/app.conf".to_owned(), Entry::File(WISH.to_owned(), 0o644)),
    ];
    let Some(mut vm) = proof.need("boot", Vm::boot(&options)) else { return };
    if proof.need("the agent", vm.wait_agent(BOOT)).is_none() {
        return;
    }
    let mut whole = 0;
    for kill in 0..KILLS {
        let begun = vm.text(SAVE);
        // Other moments of a save each time.
        std::thread::sleep(Duration::from_millis(100 + 370 * kill));
        let killed = begun.and_then(|_| vm.monitor(RESET)).and_then(|_| vm.wait_agent(BOOT));
        if proof.need("killed, and up again", killed).is_none() {
            return;
        }
        let mut checks = Checks { proof, vm: &mut vm, who: "ours" };
        let seen = checks.vm.text(LOOK);
        let seen = checks.outcome("the next boot looks", seen).unwrap_or_default();
        let good = seen == "50 1 20000" || seen == "nothing";
        whole += u32::from(seen == "50 1 20000");
        checks.proof.check(good, format!("kill {kill}: files, letters, sizes: {seen}"));
    }
    proof.check(whole > 0, format!("{whole} of {KILLS} times it came over"));
}
