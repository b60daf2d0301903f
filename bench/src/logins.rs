//! What a login costs, and a user's manager. All machines are up at once and take turns, so that a slow moment of this machine
//! counts for all of them.
use crate::measure::{BOOT_LIMIT, Figures, base, command, median};
use runstead_compat::machine::{Entry, Machine, UnderTest};
use runstead_compat::{Error, Result};
use std::path::Path;

/// Turns of each machine, with and without a session.
const TURNS: usize = 12;

/// Takes the figures of logins of each PID 1.
pub fn take(of: &[UnderTest], root: &Path, figures: &mut [&mut Figures]) -> Result<()> {
    let machines: Vec<Machine> =
        of.iter().map(|under_test| boot(*under_test, root)).collect::<Result<_>>()?;
    // With a session, and without.
    let mut took = vec![[Vec::new(), Vec::new()]; machines.len()];
    for _ in 0..TURNS {
        for (machine, took) in machines.iter().zip(&mut took) {
            for (word, took) in ["with", "without"].into_iter().zip(took) {
                took.extend(numbers(&command(machine, &["/bench/su", word])?));
            }
        }
    }
    for ((machine, took), figures) in machines.iter().zip(&mut took).zip(figures) {
        let [with, without] = took.each_mut().map(|took| median(took.drain(..).map(Ok)));
        figures.login = with? - without?;
        let text = command(machine, &["/bench/manager"])?;
        let [manager, memory] = numbers(&text)[..] else {
            return Err(Error::new(format!("a user's manager: {text:?}")));
        };
        (figures.user_manager, figures.user_memory) = (manager, memory);
    }
    Ok(())
}

/// A machine with a user whose manager runs already.
fn boot(under_test: UnderTest, root: &Path) -> Result<Machine> {
    let mut options = base(under_test, root);
    options.shared_mounts = true;
    options.files.push(("/bench/su".into(), Entry::File(SU.to_owned(), 0o755)));
    options.files.push(("/bench/manager".into(), Entry::File(MANAGER.to_owned(), 0o755)));
    let limit = "[Unit]\nStartLimitIntervalSec=0\n".to_owned();
    for unit in ["user@", "user-runtime-dir@"] {
        let path = format!("/etc/systemd/system/{unit}.service.d/b.conf");
        options.files.push((path, Entry::File(limit.clone(), 0o644)));
    }
    let mut machine = Machine::boot(&options)?;
    machine.wait_running(BOOT_LIMIT)?;
    command(&machine, &["/bin/sh", "-c", PREPARE])?;
    Ok(machine)
}

fn numbers(text: &str) -> Vec<f64> {
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

const PREPARE: &str = "useradd -m -s /bin/sh ann && loginctl enable-linger ann &&
    until systemctl -q is-active user@1000.service; do sleep 0.05; done
    cp /etc/pam.d/common-session /bench/with && grep -v pam_systemd /bench/with >/bench/without";

/// Prints microseconds of each of a few logins, with PAM as the file of that name says.
const SU: &str = r#"#!/usr/bin/python3
import shutil, subprocess, sys, time
shutil.copy("/bench/" + sys.argv[1], "/etc/pam.d/common-session")
# The first ones find the doings of others in the caches.
for turn in range(15):
    begin = time.monotonic()
    subprocess.run(["su", "ann", "-c", "true"], check=True)
    took = time.monotonic() - begin
    if turn > 2: print(took * 1e6)
"#;

/// Prints microseconds from start to active, and bytes of memory.
const MANAGER: &str = r#"#!/usr/bin/python3
import statistics, subprocess, time
def run(*words):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
def show(name):
    return int(run("systemctl", "show", "-P", name, "user@1000.service"))
took = []
for _ in range(5):
    run("systemctl", "stop", "user@1000.service")
    run("systemctl", "start", "user@1000.service")
    took.append(show("ActiveEnterTimestampMonotonic") - show("InactiveExitTimestampMonotonic"))
time.sleep(2)
for line in open(f"/proc/{show('MainPID')}/smaps_rollup"):
    if line.startswith("Pss:"): pss = int(line.split()[1]) * 1024
print(statistics.median(took), pss)
"#;
