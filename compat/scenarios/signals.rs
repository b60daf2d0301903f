//! What listeners hear (org.freedesktop.systemd1(5)): which signals, in which order.

use runstead_compat::scenario::{Scenario, equal};

/// `hear.py UNIT LAST COMMAND...`: runs the command and prints the signals about the unit, one a line, until LAST was printed:
/// members of the manager's, states of `PropertiesChanged` of the unit's common interface.
const HEAR: &str = r#"#!/usr/bin/python3
import re, socket, struct, subprocess, sys
unit, last = sys.argv[1].encode(), sys.argv[2]
path = b"/" + re.sub(b"[^A-Za-z0-9]", lambda m: b"_%02x" % ord(m.group()), unit) + b"\0"
s = socket.socket(socket.AF_UNIX)
s.connect("/run/systemd/private")
s.settimeout(10)
s.sendall(b"\0AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n")
said = b""
while said.count(b"\r\n") < 2: said += s.recv(4096)
said = said.split(b"\r\n", 2)[2]
subprocess.Popen(sys.argv[3:])
def word(message):
    length, fields = struct.unpack("<II", message[4:8] + message[12:16])
    head, body = message[:len(message) - length], message[len(message) - length:]
    member = re.search(b"\3\1s\0....([A-Za-z]+)\0", head, re.S).group(1).decode()
    if member != "PropertiesChanged": return member if unit in body else None
    state = body.find(b"SubState\0")
    if path not in head or state < 0: return None
    return re.search(b"[a-z][a-z-]+", body[state + 9:]).group().decode()
while True:
    while len(said) >= 16:
        length, serial, fields = struct.unpack("<III", said[4:16])
        whole = 16 + fields + -fields % 8 + length
        if len(said) < whole: break
        heard, said = word(said[:whole]), said[whole:]
        if heard: print(heard, flush=True)
        if heard == last: sys.exit()
    part = s.recv(65536)
    if not part: sys.exit("closed")
    said += part
"#;

/// The scenarios of this topic.
pub const ALL: &[Scenario] = &[
    Scenario::new(
        "signals/a-unit-comes-before-its-job-and-goes-after-its-last-state",
        &[("/t/@@/hear.py", HEAR)],
        ("UnitRemoved systemd-run", "UnitRemoved systemd-run -r"),
        |c| {
            let heard = c.ok("/t/@@/hear.py @@a.service UnitRemoved systemd-run -q --unit=@@a sleep 0.3")?;
            let words: Vec<&str> = heard.lines().collect();
            // How often its states are told is nobody's business, but listeners have to know the last one.
            let is_member = |word: &&str| word.starts_with(|c: char| c.is_ascii_uppercase());
            let last = words.iter().rposition(|word| !is_member(word));
            let told = words.iter().enumerate().filter(|(at, word)| is_member(word) || Some(*at) == last);
            let told: Vec<&str> = told.map(|(_, word)| *word).collect();
            equal("told", &told, &["UnitNew", "JobNew", "JobRemoved", "dead", "UnitRemoved"])
        },
    )
    // A reload forgets all units, and says so.
    .alone(),
    Scenario::new("signals/the-log-is-changed-and-restored-by-signals", &[], ("send 28", "send 29"), |c| {
        let send = |what: &str| {
            let number = c.text(what);
            let number = number.strip_prefix("send ").unwrap_or_default();
            c.ok(&format!("python3 -c 'import os; os.kill(1, 34 + {number})'"))
        };
        let log = || -> Result<[String; 2], String> { Ok([c.ctl("log-level")?, c.ctl("log-target")?]) };
        let [_, target] = log()?;
        c.ctl("log-level warning")?;
        send("send 28")?;
        c.until("another target", || Ok(log()? == ["warning", "kmsg"]))?;
        send("send 23")?;
        c.until("the configured level", || Ok(log()? == ["info", "kmsg"]))?;
        send("send 26")?;
        c.until("the configured target", || Ok(log()? == ["info", &*target]))
    })
    .alone(),
];
