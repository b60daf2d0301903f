//! The descriptor store: what is kept, under which name, how many, and for how long.

use runstead_compat::check;
use runstead_compat::scenario::{Scenario, equal};

/// Records what it was passed; the first time it stores files (one a word `NAME=TEXT`) and then stays.
const KEEP: &str = r#"#!/usr/bin/python3
import os, socket, sys, time
n = int(os.environ.get("LISTEN_FDS", "0"))
names = os.environ.get("LISTEN_FDNAMES", "").split(":") if n else []
def content(fd):
    return os.pread(fd, 99, 0).decode()
held = sorted("%s=%s" % (names[i], content(3 + i)) for i in range(n))
path = os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
if not held:
    for word in sys.argv[1:]:
        name, text = word.split("=")
        if name == "remove":
            s.sendto(("FDSTOREREMOVE=1\nFDNAME=" + text).encode(), path)
            continue
        fd = os.memfd_create(name)
        os.write(fd, text.encode())
        state = "FDSTORE=1" + ("\nFDNAME=" + name if name != "unnamed" else "")
        s.sendmsg([state.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fd.to_bytes(4, sys.byteorder))], 0, path)
with open("/t/@@/log", "a") as f:
    f.write("held " + " ".join(held) + "\n")
s.sendto(b"READY=1", path)
time.sleep(86400)
"#;

/// The first time it stores a file that is non-blocking and one that is not; then it records what it gets back.
const FLAGS: &str = r#"#!/usr/bin/python3
import os, socket, sys, time
n = int(os.environ.get("LISTEN_FDS", "0"))
path = os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for name in [] if n else ["free", "tied"]:
    fd = os.memfd_create(name)
    os.set_blocking(fd, name == "tied")
    state = "FDSTORE=1\nFDNAME=" + name
    s.sendmsg([state.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fd.to_bytes(4, sys.byteorder))], 0, path)
if n:
    names = os.environ["LISTEN_FDNAMES"].split(":")
    words = sorted("%s=%s" % (names[i], os.get_blocking(3 + i)) for i in range(n))
    with open("/t/@@/log", "a") as f:
        f.write(" ".join([sys.argv[1]] + words) + "\n")
s.sendto(b"READY=1", path)
time.sleep(86400)
"#;

/// Stores twice the first descriptor that it was passed.
const TWICE: &str = r#"#!/usr/bin/python3
import os, socket, sys, time
path = os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for _ in range(2):
    s.sendmsg([b"FDSTORE=1"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, (3).to_bytes(4, sys.byteorder))], 0, path)
s.sendto(b"READY=1", path)
time.sleep(86400)
"#;

/// The scenarios of this topic.
pub const ALL: &[Scenario] = &[
    Scenario::new(
        "descriptors/come-back-after-a-restart-with-their-names",
        &[
            ("/t/@@/keep", KEEP),
            (
                "@@a.service",
                "[Service]\nType=notify\nFileDescriptorStoreMax=8\nExecStart=/t/@@/keep one=1 two=2 unnamed=3",
            ),
        ],
        ("FileDescriptorStoreMax=8", ""),
        |c| {
            c.ctl("start @@a.service")?;
            equal("stored", &c.show("@@a.service", "NFileDescriptorStore")?, "3")?;
            c.ctl("restart @@a.service")?;
            equal("record", &c.record(), &["held", "held one=1 stored=3 two=2"])
        },
    ),
    Scenario::new(
        "descriptors/stay-blocking-or-not-as-they-were",
        &[
            ("/t/@@/flags", FLAGS),
            ("@@a.service", "[Service]\nType=notify\nFileDescriptorStoreMax=8\nExecStart=/t/@@/flags a"),
            (
                "@@b.service",
                "[Service]\nType=notify\nFileDescriptorStoreMax=8\nNonBlocking=yes\nExecStart=/t/@@/flags b",
            ),
        ],
        ("os.set_blocking", "str"),
        |c| {
            c.ctl("start @@a.service @@b.service")?;
            c.ctl("restart @@a.service")?;
            c.ctl("restart @@b.service")?;
            equal("record", &c.record(), &["a free=False tied=True", "b free=False tied=True"])
        },
    ),
    Scenario::new(
        "descriptors/survive-a-crash",
        &[
            ("/t/@@/keep", KEEP),
            (
                "@@a.service",
                "[Service]\nType=notify\nRestart=on-failure\nRestartSec=50ms\nFileDescriptorStoreMax=1\nExecStart=/t/@@/keep one=1",
            ),
        ],
        ("FileDescriptorStoreMax=1", "FileDescriptorStoreMax=0"),
        |c| {
            c.ctl("start @@a.service")?;
            c.ctl("kill -s KILL @@a.service")?;
            equal("record", &c.wait_record(2)?, &["held", "held one=1"])
        },
    ),
    Scenario::new(
        "descriptors/no-more-than-the-maximum",
        &[
            ("/t/@@/keep", KEEP),
            (
                "@@a.service",
                "[Service]\nType=notify\nFileDescriptorStoreMax=2\nExecStart=/t/@@/keep one=1 two=2 three=3",
            ),
        ],
        ("FileDescriptorStoreMax=2", "FileDescriptorStoreMax=3"),
        |c| {
            c.ctl("start @@a.service")?;
            let shown = c.shows("@@a.service", &["NFileDescriptorStore", "FileDescriptorStoreMax"])?;
            equal("stored", &shown, &["2", "2"])
        },
    ),
    Scenario::new(
        "descriptors/dropped-when-stopped-unless-preserved",
        &[
            ("/t/@@/keep", KEEP),
            (
                "@@a.service",
                "[Service]\nType=notify\nFileDescriptorStoreMax=2\nFileDescriptorStorePreserve=yes\nExecStart=/t/@@/keep one=1",
            ),
            ("@@b.service", "[Service]\nType=notify\nFileDescriptorStoreMax=2\nExecStart=/t/@@/keep one=1"),
            // Without someone who refers to it a stopped service is unloaded, store and all.
            ("@@pin.target", "[Unit]\nAfter=@@a.service @@b.service"),
        ],
        ("FileDescriptorStorePreserve=yes", ""),
        |c| {
            c.ctl("start @@pin.target @@a.service @@b.service")?;
            c.ctl("stop @@a.service @@b.service")?;
            let shown = c.shows("@@a.service", &["ActiveState", "SubState", "NFileDescriptorStore"])?;
            equal("preserved", &shown, &["inactive", "dead-resources-pinned", "1"])?;
            equal(
                "not preserved",
                &c.shows("@@b.service", &["SubState", "NFileDescriptorStore"])?,
                &["dead", "0"],
            )?;
            c.ctl("start @@a.service")?;
            equal("record", &c.record().last().map(String::as_str), &Some("held one=1"))?;
            c.ctl("stop @@a.service")?;
            c.ctl("clean --what=fdstore @@a.service")?;
            equal("cleaned", &c.shows("@@a.service", &["SubState", "NFileDescriptorStore"])?, &["dead", "0"])
        },
    ),
    Scenario::new(
        "descriptors/removed-by-name",
        &[
            ("/t/@@/keep", KEEP),
            (
                "@@a.service",
                "[Service]\nType=notify\nFileDescriptorStoreMax=8\nExecStart=/t/@@/keep one=1 two=2 remove=one",
            ),
        ],
        ("remove=one", "three=3"),
        |c| {
            c.ctl("start @@a.service")?;
            equal("stored", &c.show("@@a.service", "NFileDescriptorStore")?, "1")?;
            // As systemd-analyze asks, which cannot yet where the clients are of 252.
            let manager =
                "org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager";
            let call = "DumpUnitFileDescriptorStore s @@a.service | jq -r '.data[0][][0]'";
            let listed = c.ok(&format!("busctl --json=short call {manager} {call}"))?;
            equal("listed", &listed, "two")?;
            check!(!c.record().is_empty(), "no record");
            Ok(())
        },
    ),
    Scenario::new(
        "descriptors/stored-once-by-each-service",
        &[
            ("/t/@@/twice", TWICE),
            ("@@.socket", "[Socket]\nListenStream=/t/@@/socket\nService=@@a.service"),
            (
                "@@a.service",
                "[Service]\nType=notify\nFileDescriptorStoreMax=4\nSockets=@@.socket\nExecStart=/t/@@/twice",
            ),
            (
                "@@b.service",
                "[Service]\nType=notify\nFileDescriptorStoreMax=4\nSockets=@@.socket\nExecStart=/t/@@/twice",
            ),
        ],
        ("FileDescriptorStoreMax=4", ""),
        |c| {
            c.ctl("start @@a.service @@b.service")?;
            for unit in ["@@a.service", "@@b.service"] {
                equal(unit, &c.show(unit, "NFileDescriptorStore")?, "1")?;
            }
            Ok(())
        },
    ),
];
