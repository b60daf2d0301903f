//! A real forking service for each row of the table, all in one machine.

use crate::table::{DECIMAL, ROWS, Row};
use runstead_compat::Result;
use runstead_compat::machine::{Entry, Machine, Options, UnderTest};
use runstead_compat::proof::Proof;
use runstead_compat::root;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const BOOT: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(90);
/// Many begin at once: the good ones need a while, too.
const UNIT: &str = "[Service]
Type=forking
PIDFile=/run/pf/@@/pid
TimeoutStartSec=20s
TimeoutStopSec=5s
ExecStart=/bin/sh /t/@@.sh
";
/// One process of its own, and one whose parent is not the manager.
const FOREIGN: &str = "[Service]
ExecStart=/bin/sh -c 'sleep 1d & echo $! >/run/alien.pid; echo $$$$ >/run/foreign.pid; wait; exec sleep 1d'
";
const ALIEN: &str = "[Service]
Type=forking
PIDFile=/run/alien.pid
TimeoutStartSec=20s
ExecStart=/bin/true
";

const SHARED: &str = "success\ninactive\n\nsuccess\ninactive\n\nsuccess\ninactive\n";

pub fn prove(proof: &mut Proof, under_test: UnderTest) -> Result<()> {
    let rows: Vec<&Row> = ROWS.iter().filter(|row| !wanted(row, under_test).is_empty()).collect();
    proof.step(format!("{} services under {}", rows.len(), under_test.name()));
    let mut options = Options::new(under_test, root::chosen()?);
    let unit = |name: &str| format!("/etc/systemd/system/{name}.service");
    options.files.push((unit("foreign"), Entry::File(FOREIGN.to_owned(), 0o644)));
    options.files.push((unit("alien"), Entry::File(ALIEN.to_owned(), 0o644)));
    for row in &rows {
        options.files.push((unit(&name(row)), Entry::File(UNIT.replace("@@", row.name), 0o644)));
        options.files.push((format!("/t/{}.sh", row.name), Entry::File(script(row), 0o755)));
    }
    let mut machine = Machine::boot(&options)?;
    machine.wait_running(BOOT)?;
    machine.shell("systemctl start foreign; until [ -s /run/foreign.pid ]; do sleep 0.05; done")?.up_to(0)?;
    let all: Vec<String> = rows.iter().map(|row| name(row)).collect();
    machine.shell(&format!("systemctl start --no-block {}", all.join(" ")))?.up_to(0)?;
    let found = settled(&machine, &all)?;
    for row in rows {
        let is = found.get(&name(row)).map_or("unknown", String::as_str);
        let to_be = wanted(row, under_test);
        proof.check(is == to_be, format!("{}: {is} (to be {to_be})", row.name));
        if under_test == UnderTest::Ours && !row.says.is_empty() {
            let said = machine.shell(&format!("journalctl -q -o cat -u {}", name(row)))?.up_to(0)?;
            proof.check(said.contains(row.says), format!("{}: says {:?}", row.name, row.says));
            if !said.contains(row.says) {
                println!("{said}");
            }
        }
    }
    // A main process of another service stays that one's, too.
    let line =
        "systemctl stop foreign; systemctl show -P ActiveState -P Result foreign pf-foreign pf-link-foreign";
    let said = machine.shell(line)?.up_to(0)?;
    proof.check(said == SHARED, format!("the end of a process is told to all whose it is: {said:?}"));
    if under_test == UnderTest::Ours { alien(proof, &machine) } else { Ok(()) }
}

/// The end of a main process that another service's process waits for is seen at once, and how it ended; also by the manager's next image.
fn alien(proof: &mut Proof, machine: &Machine) -> Result<()> {
    proof.step("a main process that is not the manager's child");
    for between in ["true", "systemctl daemon-reexec"] {
        let line = format!(
            "rm -f /run/alien.pid; systemctl restart foreign && until [ -s /run/alien.pid ]; do sleep 0.05; done
            systemctl start alien && {between} && systemctl is-active alien && kill -SEGV $(cat /run/alien.pid)
            for i in $(seq 50); do systemctl -q is-active alien || break; sleep 0.02; done
            systemctl show -P Result -P ExecMainStatus alien; systemctl reset-failed alien"
        );
        let said = machine.shell(&line)?.up_to(0)?;
        proof.check(said == "active\nsignal\n11\n", format!("after `{between}`: {said:?}"));
    }
    Ok(())
}

fn wanted(row: &Row, under_test: UnderTest) -> &'static str {
    match under_test {
        UnderTest::Ours => row.ours.unwrap_or(row.verdict),
        UnderTest::Systemd => row.verdict,
    }
}

fn name(row: &Row) -> String {
    format!("pf-{}", row.name)
}

fn script(row: &Row) -> String {
    let (name, script) = (row.name, row.script);
    format!(
        "d=/run/pf/{name}; f=$d/pid; mkdir -p $d; other=$(cat /run/foreign.pid)\n{DECIMAL}sleep 1d & p=$!\n{script}\nexit 0\n"
    )
}

/// `ActiveState` and `Result` of each, as soon as none of them is in between.
fn settled(machine: &Machine, all: &[String]) -> Result<BTreeMap<String, String>> {
    let line = format!("systemctl show -p Id,ActiveState,Result {}", all.join(" "));
    let end = Instant::now() + PATIENCE;
    loop {
        let text = machine.shell(&line)?.up_to(0)?;
        let found: BTreeMap<String, String> = text.split("\n\n").filter_map(state).collect();
        let done = found.values().all(|state| state.starts_with("active ") || state.starts_with("failed "));
        if done && found.len() == all.len() || Instant::now() > end {
            return Ok(found);
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}

fn state(text: &str) -> Option<(String, String)> {
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let name = value("Id=")?.strip_suffix(".service")?;
    Some((name.to_owned(), format!("{} {}", value("ActiveState=")?, value("Result=")?)))
}
