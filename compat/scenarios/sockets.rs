//! Sockets: activation, what is passed, instances, and limits.

use runstead_compat::check;
use runstead_compat::scenario::{Scenario, equal};

/// Writes what it was passed to the record, then answers on the first descriptor until killed.
const SERVE: &str = r#"#!/usr/bin/python3
import os, socket
n = int(os.environ.get("LISTEN_FDS", "0"))
mine = os.environ.get("LISTEN_PID") == str(os.getpid())
kinds = []
for fd in range(3, 3 + n):
    try:
        s = socket.socket(fileno=os.dup(fd))
        kinds.append({socket.SOCK_STREAM: "stream", socket.SOCK_DGRAM: "dgram", socket.SOCK_SEQPACKET: "seq"}[s.type])
    except OSError:
        kinds.append("other")
with open("/t/@@/log", "a") as f:
    f.write("fds=%d mine=%s names=%s kinds=%s\n" % (n, mine, os.environ.get("LISTEN_FDNAMES"), ",".join(kinds)))
first = socket.socket(fileno=3)
while True:
    c, _ = first.accept()
    c.sendall(b"pid %d\n" % os.getpid())
    c.close()
"#;

/// The scenarios of this topic.
pub const ALL: &[Scenario] = &[
    Scenario::new(
        "sockets/first-connection-starts-the-service",
        &[
            ("/t/@@/serve", SERVE),
            ("@@a.socket", "[Socket]\nListenStream=/run/@@.sock\nFileDescriptorName=front"),
            ("@@a.service", "[Service]\nExecStart=/t/@@/serve"),
        ],
        ("FileDescriptorName=front", ""),
        |c| {
            c.ctl("start @@a.socket")?;
            equal("listening", &c.shows("@@a.socket", &["ActiveState", "SubState"])?, &["active", "listening"])?;
            equal("service before", &c.show("@@a.service", "ActiveState")?, "inactive")?;
            let answer = c.ok("socat -t9 -T5 - UNIX:/run/@@.sock </dev/null")?;
            equal("answer", &answer, &format!("pid {}", c.show("@@a.service", "MainPID")?))?;
            equal("record", &c.record(), &["fds=1 mine=True names=front kinds=stream"])?;
            equal("socket", &c.show("@@a.socket", "SubState")?, "running")
        },
    ),
    Scenario::new(
        "sockets/several-listeners-in-order-of-the-file",
        &[
            ("/t/@@/serve", SERVE),
            (
                "@@a.socket",
                "[Socket]
                ListenStream=127.0.0.1:31001
                ListenDatagram=/run/@@.dgram
                ListenSequentialPacket=/run/@@.seq
                ListenFIFO=/run/@@.fifo",
            ),
            ("@@a.service", "[Service]\nExecStart=/t/@@/serve"),
        ],
        ("ListenDatagram=/run/@@.dgram", ""),
        |c| {
            c.ctl("start @@a.socket")?;
            let answer = c.ok("socat -t9 -T5 - TCP:127.0.0.1:31001 </dev/null")?;
            check!(answer.starts_with("pid "), "answer {answer}");
            let name = "@@a.socket";
            let names = [name; 4].join(":");
            equal("record", &c.record(), &[format!("fds=4 mine=True names={names} kinds=stream,dgram,seq,other")])?;
            equal("listeners", &c.show("@@a.socket", "Listen")?.lines().count(), &4)
        },
    ),
    Scenario::new(
        "sockets/accept-makes-an-instance-a-connection",
        &[
            ("@@a.socket", "[Socket]\nListenStream=127.0.0.1:31002\nAccept=yes"),
            (
                "@@a@.service",
                "[Service]
                StandardInput=socket
                ExecStart=/bin/sh -c 'read word; echo \"got $word from $REMOTE_ADDR\"; echo \"%i fds=$LISTEN_FDS\" >>/t/@@/log'",
            ),
        ],
        ("got $word", "lost"),
        |c| {
            c.ctl("start @@a.socket")?;
            for word in ["one", "two"] {
                let answer = c.ok(&format!("echo {word} | socat -t9 -T5 - TCP:127.0.0.1:31002"))?;
                equal("answer", &answer, &format!("got {word} from 127.0.0.1"))?;
            }
            let record = c.wait_record(2)?;
            check!(record[0].starts_with("0-") && record[1].starts_with("1-"), "instances {record:?}");
            check!(record[0].contains("-127.0.0.1:31002-127.0.0.1:"), "instance {}", record[0]);
            equal("counted", &c.show("@@a.socket", "NAccepted")?, "2")
        },
    ),
    Scenario::new(
        "sockets/max-connections-refuses-more",
        &[
            ("@@a.socket", "[Socket]\nListenStream=/run/@@.sock\nAccept=yes\nMaxConnections=1"),
            ("@@a@.service", "[Service]\nStandardInput=socket\nExecStart=/bin/sh -c 'echo in; exec sleep 1d'"),
        ],
        ("MaxConnections=1", "MaxConnections=2"),
        |c| {
            c.ctl("start @@a.socket")?;
            let first = c.machine().spawn(&["socat", "-", &c.text("UNIX:/run/@@.sock")])?;
            c.wait_show("@@a.socket", "NConnections", "1")?;
            let second = c.ok("socat -T1 - UNIX:/run/@@.sock,shut-none </dev/null")?;
            equal("second connection", &second, "")?;
            equal("shown", &c.shows("@@a.socket", &["NConnections", "NAccepted", "NRefused"])?, &["1", "1", "1"])?;
            drop(first);
            Ok(())
        },
    ),
    Scenario::new(
        "sockets/trigger-limit-fails-the-socket",
        &[
            ("@@a.socket", "[Socket]\nListenStream=/run/@@.sock\nTriggerLimitBurst=3\nTriggerLimitIntervalSec=100"),
            (
                "@@a.service",
                "[Unit]\nStartLimitBurst=1000\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo run >>/t/@@/log'",
            ),
        ],
        ("TriggerLimitBurst=3", "TriggerLimitBurst=5"),
        |c| {
            c.ctl("start @@a.socket")?;
            c.run("socat -T1 - UNIX:/run/@@.sock </dev/null")?;
            c.wait_show("@@a.socket", "ActiveState", "failed")?;
            equal("result", &c.show("@@a.socket", "Result")?, "trigger-limit-hit")?;
            equal("runs", &c.record().len(), &3)
        },
    ),
    Scenario::new(
        "sockets/node-has-the-mode-owner-and-links",
        &[
            (
                "@@a.socket",
                "[Socket]
                ListenStream=/run/@@/deep/a.sock
                SocketMode=0620
                DirectoryMode=0710
                SocketUser=daemon
                SocketGroup=adm
                Symlinks=/run/@@.link
                RemoveOnStop=yes
                Service=@@b.service",
            ),
            ("@@b.service", "[Service]\nExecStart=/bin/sleep 1d"),
        ],
        ("RemoveOnStop=yes", ""),
        |c| {
            c.ctl("start @@a.socket")?;
            equal("node", &c.ok("stat -c '%F %a %U %G' /run/@@/deep/a.sock")?, "socket 620 daemon adm")?;
            equal("directory", &c.ok("stat -c %a /run/@@/deep")?, "710")?;
            equal("link", &c.ok("readlink /run/@@.link")?, &c.text("/run/@@/deep/a.sock"))?;
            equal("service", &c.show("@@a.socket", "Triggers")?, &c.text("@@b.service"))?;
            c.ctl("stop @@a.socket")?;
            check!(!c.exists("/run/@@/deep/a.sock"), "the node is still there");
            check!(!c.exists("/run/@@.link"), "the link is still there");
            Ok(())
        },
    ),
    Scenario::new(
        "sockets/connections-wait-while-the-service-restarts",
        &[
            ("/t/@@/serve", SERVE),
            ("@@a.socket", "[Socket]\nListenStream=/run/@@.sock"),
            ("@@a.service", "[Service]\nExecStart=/t/@@/serve"),
        ],
        ("systemctl stop @@a.service", "systemctl stop @@a.socket @@a.service"),
        |c| {
            c.ctl("start @@a.socket")?;
            let first = c.ok("socat -t9 -T5 - UNIX:/run/@@.sock </dev/null")?;
            c.ok("systemctl stop @@a.service")?;
            c.wait_show("@@a.socket", "SubState", "listening")?;
            let second = c.ok("socat -t9 -T5 - UNIX:/run/@@.sock </dev/null")?;
            check!(first != second && second.starts_with("pid "), "answers {first:?} and {second:?}");
            equal("starts", &c.record().len(), &2)
        },
    ),
    Scenario::new(
        "sockets/fifo-starts-the-service-that-reads-it",
        &[
            ("@@a.socket", "[Socket]\nListenFIFO=/run/@@.fifo\nSocketMode=0600"),
            ("@@a.service", "[Service]\nType=oneshot\nStandardInput=socket\nExecStart=/bin/sh -c 'read x; echo got $x >>/t/@@/log'"),
        ],
        ("StandardInput=socket", "StandardInput=null"),
        |c| {
            c.ctl("start @@a.socket")?;
            equal("node", &c.ok("stat -c '%F %a' /run/@@.fifo")?, "fifo 600")?;
            c.ok("echo hello >/run/@@.fifo")?;
            equal("record", &c.wait_record(1)?, &["got hello"])
        },
    ),
];
