//! What is measured in machines, the same way under either PID 1.

use crate::{raw, tick};
use runstead_compat::machine::{Entry, Machine, Options, UnderTest};
use runstead_compat::{Error, Result};
use std::path::Path;
use std::time::{Duration, Instant};

const TICK: &str = "/bench/tick";
const TICKS: &str = "/bench/ticks";
/// How long a boot may take.
pub const BOOT_LIMIT: Duration = Duration::from_secs(90);
/// Boots of which the median counts.
const STORMS: usize = 7;
/// Steps of the chain.
pub const CHAIN: usize = 200;
/// Chains of which the median counts.
const CHAINS: usize = 5;

/// The figures of one PID 1.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Microseconds from the exec of PID 1 to the last exec of 500 services.
    pub side_by_side: f64,
    /// The same as a multiple of the raw loop that ran beside it.
    pub multiple: f64,
    /// Microseconds a step of a chain of oneshots.
    pub chain_step: f64,
    /// Bytes of anonymous memory of PID 1, 10 s after the boot.
    pub memory: f64,
    /// Bytes a loaded unit adds.
    pub memory_unit: f64,
    /// Microseconds of a reload with 1,000 and with 4,000 more units loaded, generators apart.
    pub reload: [f64; 2],
    /// Microseconds that a session adds to `su -c true`.
    pub login: f64,
    /// Microseconds from the start of a user's manager until it is active.
    pub user_manager: f64,
    /// Its proportional share of memory, bytes.
    pub user_memory: f64,
    /// Microseconds to make a scope after the boot and with 4,000 more units loaded.
    pub scope: [f64; 2],
}

/// Takes all figures of one PID 1.
pub fn all(under_test: UnderTest, root: &Path) -> Result<Figures> {
    let storms = (0..STORMS).map(|_| {
        let floor = raw::side_by_side(crate::SERVICES)?;
        Ok((side_by_side(under_test, root)?, floor))
    });
    let storms: Vec<(f64, f64)> = storms.collect::<Result<_>>()?;
    let mut figures = Figures {
        side_by_side: median(storms.iter().map(|(took, _)| Ok(*took)))?,
        multiple: median(storms.iter().map(|(took, floor)| Ok(took / floor)))?,
        ..Figures::default()
    };
    let mut options = base(under_test, root);
    chain(&mut options);
    loaded(&mut options, 0..1000);
    loaded(&mut options, 1000..4000);
    options.files.push(("/bench/scopes".into(), Entry::File(format!("{CLIENT}{SCOPES}"), 0o755)));
    options.files.push(("/bench/reload".into(), Entry::File(format!("{CLIENT}{RELOAD}"), 0o755)));
    let mut machine = Machine::boot(&options)?;
    machine.wait_running(BOOT_LIMIT)?;
    std::thread::sleep(Duration::from_secs(10));
    figures.memory = anonymous(&machine)?;
    figures.scope[0] = scope(&machine)?;
    figures.chain_step = median((0..CHAINS).map(|_| chain_step(&machine)))?;
    let before = anonymous(&machine)?;
    command(&machine, &["systemctl", "start", "bench-0.target"])?;
    figures.memory_unit = (anonymous(&machine)? - before) / 1000.0;
    figures.reload[0] = reload(&machine)?;
    command(&machine, &["systemctl", "start", "bench-1000.target"])?;
    figures.reload[1] = reload(&machine)?;
    figures.scope[1] = scope(&machine)?;
    Ok(figures)
}

/// What every machine has.
pub fn base(under_test: UnderTest, root: &Path) -> Options {
    let mut options = Options::new(under_test, root);
    options.files.push((TICK.into(), Entry::Program(tick::program(TICKS))));
    options.files.push((TICKS.into(), Entry::File(String::new(), 0o666)));
    options
}

fn unit(options: &mut Options, name: &str, text: String) {
    options.files.push((format!("/etc/systemd/system/{name}"), Entry::File(text, 0o644)));
}

/// Microseconds from the exec of PID 1 to the last exec of 500 services.
pub fn side_by_side(under_test: UnderTest, root: &Path) -> Result<f64> {
    let count = crate::SERVICES;
    let mut options = base(under_test, root);
    options.before = vec![TICK.into()];
    options.args = vec!["--unit=bench.target".into()];
    let mut wants = String::new();
    for n in 0..count {
        wants.push_str(&format!(" bench-{n}.service"));
        let text = format!("[Unit]\nDefaultDependencies=no\n[Service]\nExecStart={TICK}\n");
        unit(&mut options, &format!("bench-{n}.service"), text);
    }
    unit(&mut options, "bench.target", format!("[Unit]\nDefaultDependencies=no\nWants={wants}\n"));
    let machine = Machine::boot(&options)?;
    let times = wait_ticks(&machine, count + 1)?;
    Ok(times[count] - times[0])
}

fn chain(options: &mut Options) {
    for n in 0..CHAIN {
        let before =
            n.checked_sub(1).map(|p| format!("Requires=chain-{p}.service\nAfter=chain-{p}.service\n"));
        let text = format!(
            "[Unit]\nDefaultDependencies=no\n{}[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart={TICK}\n",
            before.unwrap_or_default()
        );
        unit(options, &format!("chain-{n}.service"), text);
    }
}

fn chain_step(machine: &Machine) -> Result<f64> {
    std::fs::write(machine.path(TICKS), "").map_err(Error::on("empty", TICKS))?;
    command(machine, &["systemctl", "start", &format!("chain-{}.service", CHAIN - 1)])?;
    let times = wait_ticks(machine, CHAIN)?;
    command(machine, &["systemctl", "stop", "chain-0.service"])?;
    Ok((times[CHAIN - 1] - times[0]) / (CHAIN - 1) as f64)
}

/// Microseconds a step of each of so many chains in one machine.
pub fn chains(under_test: UnderTest, root: &Path, times: usize) -> Result<Vec<f64>> {
    let mut options = base(under_test, root);
    chain(&mut options);
    let mut machine = Machine::boot(&options)?;
    machine.wait_running(BOOT_LIMIT)?;
    std::thread::sleep(Duration::from_secs(10));
    (0..times).map(|_| chain_step(&machine)).collect()
}

/// A target that refers to these units, so that starting it loads them and keeps them loaded.
fn loaded(options: &mut Options, range: std::ops::Range<usize>) {
    let mut after = String::new();
    for n in range.clone() {
        after.push_str(&format!(" load-{n}.service"));
        let text = format!(
            "[Unit]\nDescription=Service number {n}\n[Service]\nUser=daemon\nRestart=always\nExecStart={TICK}\n"
        );
        unit(options, &format!("load-{n}.service"), text);
    }
    unit(options, &format!("bench-{}.target", range.start), format!("[Unit]\nAfter={after}\n"));
}

fn wait_ticks(machine: &Machine, count: usize) -> Result<Vec<f64>> {
    let end = Instant::now() + BOOT_LIMIT;
    loop {
        let times = tick::times(&std::fs::read(machine.path(TICKS)).unwrap_or_default());
        if times.len() >= count {
            return Ok(times);
        }
        if Instant::now() > end {
            return Err(Error::new(format!(
                "{} of {count} programs ran; {}",
                times.len(),
                machine.diagnosis()
            )));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Runs a command that has to succeed; what it printed.
pub fn command(machine: &Machine, words: &[&str]) -> Result<String> {
    let output = machine.run_for(words, Duration::from_secs(120))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::new(format!("`{}`: {}: {said}", words.join(" "), output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn anonymous(machine: &Machine) -> Result<f64> {
    let path = format!("/proc/{}/status", machine.pid1());
    let status = std::fs::read_to_string(&path).map_err(Error::on("read", &path))?;
    let kib = status
        .lines()
        .find_map(|l| l.strip_prefix("RssAnon:")?.split_whitespace().next()?.parse::<f64>().ok());
    kib.map(|k| k * 1024.0).ok_or_else(|| Error::new(format!("{path} has no RssAnon")))
}

/// The median of five reloads, without the generators, as a client sees them that is connected already.
fn reload(machine: &Machine) -> Result<f64> {
    let once = || -> Result<f64> {
        let text = command(machine, &["/bench/reload"])?;
        let whole = text.trim().parse::<f64>().map_err(Error::on("read the time", &text))?;
        Ok((whole - generators(machine)?).max(0.0))
    };
    median((0..5).map(|_| once()))
}

fn generators(machine: &Machine) -> Result<f64> {
    let stamp = |which: &str| -> Result<f64> {
        let property = format!("Generators{which}TimestampMonotonic");
        let text = command(machine, &["systemctl", "show", "--value", "-p", &property])?;
        text.trim().parse().map_err(Error::on("read the property", property))
    };
    Ok(stamp("Finish")? - stamp("Start")?)
}

fn scope(machine: &Machine) -> Result<f64> {
    let text = command(machine, &["/bench/scopes"])?;
    median(text.split_whitespace().map(|w| w.parse::<f64>().map_err(Error::on("read the time", w))))
}

/// The middle one.
pub fn median(values: impl Iterator<Item = Result<f64>>) -> Result<f64> {
    let mut values = values.collect::<Result<Vec<f64>>>()?;
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().ok_or_else(|| Error::new("nothing was measured"))
}

/// A client of the private socket: `call` sends, `answer` waits for the answer to the last call.
const CLIENT: &str = r#"#!/usr/bin/python3
import os, signal, socket, struct, time
s = socket.socket(socket.AF_UNIX)
s.connect("/run/systemd/private")
s.settimeout(60)
s.sendall(b"\0AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n")
said = b""
while said.count(b"\r\n") < 2: said += s.recv(4096)
def pad(b, n): return b + b"\0" * (-len(b) % n)
def text(t): return struct.pack("<I", len(t)) + t.encode() + b"\0"
def call(serial, member, signature=b"", body=b""):
    fields = b""
    for code, kind, value in ((1, b"o", "/org/freedesktop/systemd1"), (2, b"s", "org.freedesktop.systemd1.Manager"),
                              (6, b"s", "org.freedesktop.systemd1"), (3, b"s", member)):
        fields = pad(fields, 8) + bytes([code, 1]) + kind + b"\0" + text(value)
    if signature:
        fields = pad(fields, 8) + bytes([8, 1]) + b"g\0" + bytes([len(signature)]) + signature + b"\0"
    head = b"l\1\0\1" + struct.pack("<III", len(body), serial, len(fields)) + fields
    s.sendall(pad(head, 8) + body)
def answer():
    said = b""
    while True:
        while len(said) >= 16:
            body, serial, fields = struct.unpack("<III", said[4:16])
            whole = 16 + fields + -fields % 8 + body
            if len(said) < whole: break
            if said[1] == 3: raise SystemExit(repr(said[:whole]))
            if said[1] == 2: return
            said = said[whole:]
        part = s.recv(65536)
        if not part: raise SystemExit("closed")
        said += part
"#;

/// Prints the microseconds from asking for a reload to the answer.
const RELOAD: &str = r#"
begin = time.monotonic()
call(1, "Reload")
answer()
print("%.0f" % ((time.monotonic() - begin) * 1e6))
"#;

/// Makes scopes and prints the microseconds from each call to its job's end.
const SCOPES: &str = r#"
def scope(serial, name, pid):
    body = pad(text(name), 4) + text("fail")
    body = pad(body, 4)
    item = text("PIDs") + b"\2au\0"
    item = pad(item, 4) + struct.pack("<II", 4, pid)
    # The array's length leaves out the padding to its first element.
    body += struct.pack("<I", len(item))
    body = pad(body, 8) + item
    body = pad(body, 4) + struct.pack("<I", 0)
    body = pad(body, 8)
    call(serial, "StartTransientUnit", b"ssa(sv)a(sa(sv))", body)
call(1, "Subscribe")
for n in range(15):
    pid = os.fork()
    if pid == 0:
        s.close()
        time.sleep(100)
        os._exit(0)
    name = "bench-%d-%d.scope" % (os.getpid(), n)
    begin = time.monotonic()
    scope(n + 2, name, pid)
    said = b""
    while not (b"JobRemoved" in said and name.encode() in said[said.rfind(b"JobRemoved"):]):
        part = s.recv(65536)
        if not part: raise SystemExit("closed")
        said += part
    print("%.0f" % ((time.monotonic() - begin) * 1e6))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    time.sleep(0.05)
"#;
