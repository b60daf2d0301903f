//! Notification (sd_notify(3)): readiness, status, watchdog, reloading, and who may speak.

use runstead_compat::check;
use runstead_compat::scenario::{Scenario, equal};

/// `say.py WORD...`: sends one notification a word; `wait:SECONDS` sleeps, `log:TEXT` writes to the record,
/// `child:WORD` lets a child do it, `signals` reloads on SIGHUP, and `forever` stays.
const SAY: &str = r#"#!/usr/bin/python3
import os, signal, socket, subprocess, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
path = os.environ.get("NOTIFY_SOCKET", "")
def say(text): s.sendto(text.encode(), path.replace("@", "\0", 1) if path[:1] == "@" else path)
def log(text):
    with open("/t/@@/log", "a") as f: f.write(text + "\n")
def reload(*_):
    say("RELOADING=1\nMONOTONIC_USEC=%d" % (time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6))
    log("reloading")
    time.sleep(0.6)
    log("reloaded")
    say("READY=1\nSTATUS=reloaded")
for word in sys.argv[1:]:
    if word == "signals": signal.signal(signal.SIGHUP, reload)
    elif word.startswith("wait:"): time.sleep(float(word[5:]))
    elif word.startswith("log:"): log(word[4:])
    elif word.startswith("child:"): subprocess.run([sys.argv[0], word[6:], "wait:0.3"])
    elif word == "forever":
        while True: time.sleep(1)
    elif word.startswith("ping:"):
        while True:
            say("WATCHDOG=1")
            time.sleep(float(word[5:]))
    else: say(word.replace(",", "\n").replace("SELF", str(os.getpid())))
"#;

/// A service that is never heard of again.
const SILENT: &[(&str, &str)] = &[
    ("/t/@@/say.py", SAY),
    (
        "@@a.service",
        "[Service]
                Type=notify
                WatchdogSec=500ms
                LimitCORE=0
                ExecStart=/t/@@/say.py READY=1 forever",
    ),
];

/// The scenarios of this topic.
pub const ALL: &[Scenario] = &[
    Scenario::new(
        "notification/start-waits-for-ready",
        &[
            ("/t/@@/say.py", SAY),
            (
                "@@a.service",
                "[Service]
                Type=notify
                ExecStart=/t/@@/say.py STATUS=warming wait:2 log:ready READY=1 'STATUS=all well' forever",
            ),
        ],
        ("Type=notify", "Type=exec"),
        |c| {
            c.ctl("start --no-block @@a.service")?;
            c.until("the first status", || c.has("@@a.service", "StatusText", "warming"))?;
            equal("before", &c.shows("@@a.service", &["ActiveState", "SubState"])?, &["activating", "start"])?;
            c.ctl("start @@a.service")?;
            equal("record when start returns", &c.record(), &["ready"])?;
            c.wait_show("@@a.service", "StatusText", "all well")?;
            equal("after", &c.shows("@@a.service", &["ActiveState", "SubState"])?, &["active", "running"])
        },
    ),
    Scenario::new(
        "notification/exit-before-ready-is-a-protocol-failure",
        &[("@@a.service", "[Service]\nType=notify\nExecStart=/bin/true")],
        ("Type=notify", "Type=exec"),
        |c| {
            c.fails("systemctl start @@a.service")?;
            equal("shown", &c.shows("@@a.service", &["ActiveState", "Result"])?, &["failed", "protocol"])
        },
    ),
    Scenario::new(
        "notification/silent-watchdog-aborts",
        SILENT,
        ("WatchdogSec=500ms", ""),
        |c| {
            c.ctl("start @@a.service")?;
            c.wait_show("@@a.service", "ActiveState", "failed")?;
            let shown = c.shows("@@a.service", &["Result", "ExecMainCode", "ExecMainStatus"])?;
            equal("shown", &shown, &["watchdog", "2", "6"])
        },
    ),
    Scenario::new(
        "notification/pings-keep-the-watchdog-quiet",
        &[
            ("/t/@@/say.py", SAY),
            (
                "@@a.service",
                "[Service]
                Type=notify
                WatchdogSec=2s
                LimitCORE=0
                ExecStart=/bin/sh -c 'echo $WATCHDOG_USEC >>/t/@@/log; [ $WATCHDOG_PID = $$$$ ] && exec /t/@@/say.py READY=1 ping:0.2'",
            ),
        ],
        ("ping:0.2", "forever"),
        |c| {
            c.ctl("start @@a.service")?;
            c.rest(3500);
            equal("record", &c.record(), &["2000000"])?;
            equal("shown", &c.shows("@@a.service", &["ActiveState", "Result"])?, &["active", "success"])
        },
    ),
    Scenario::new(
        "notification/watchdog-trigger-is-at-once",
        &[
            ("/t/@@/say.py", SAY),
            (
                "@@a.service",
                "[Service]
                Type=notify
                WatchdogSec=1h
                LimitCORE=0
                WatchdogSignal=SIGINT
                ExecStart=/t/@@/say.py READY=1 wait:0.2 WATCHDOG=trigger forever",
            ),
        ],
        ("WATCHDOG=trigger", "WATCHDOG=1"),
        |c| {
            c.ctl("start @@a.service")?;
            c.wait_show("@@a.service", "ActiveState", "failed")?;
            equal("result", &c.show("@@a.service", "Result")?, "watchdog")
        },
    ),
    Scenario::new(
        "notification/reload-waits-for-ready-again",
        &[
            ("/t/@@/say.py", SAY),
            ("@@a.service", "[Service]\nType=notify-reload\nExecStart=/t/@@/say.py signals READY=1 forever"),
        ],
        ("Type=notify-reload", "Type=notify"),
        |c| {
            c.ctl("start @@a.service")?;
            c.ctl("reload --no-block @@a.service")?;
            c.wait_record(1)?;
            c.until("the reloading state", || c.has("@@a.service", "ActiveState", "reloading"))?;
            c.ctl("reload @@a.service")?;
            let record = c.record();
            equal("record when reload returns", &record.last().map(String::as_str), &Some("reloaded"))?;
            equal("shown", &c.shows("@@a.service", &["ActiveState", "StatusText"])?, &["active", "reloaded"])
        },
    ),
    Scenario::new(
        "notification/only-the-main-process-may-speak",
        &[
            ("/t/@@/say.py", SAY),
            (
                "@@a.service",
                "[Service]
                Type=notify
                NotifyAccess=main
                ExecStart=/bin/sh -c '/t/@@/say.py STATUS=child wait:0.3; exec /t/@@/say.py READY=1 forever'",
            ),
        ],
        ("NotifyAccess=main", "NotifyAccess=all"),
        |c| {
            c.ctl("start @@a.service")?;
            equal("status", &c.show("@@a.service", "StatusText")?, "")
        },
    ),
    Scenario::new(
        "notification/mainpid-moves-the-main-process",
        &[
            ("/t/@@/say.py", SAY),
            (
                "@@a.service",
                "[Service]
                Type=notify
                NotifyAccess=all
                ExecStart=/bin/sh -c '/t/@@/say.py MAINPID=SELF,READY=1 forever & wait'",
            ),
        ],
        ("MAINPID=SELF,", ""),
        |c| {
            c.ctl("start @@a.service")?;
            let main = c.show("@@a.service", "MainPID")?;
            let command = c.read(&format!("/proc/{main}/cmdline"));
            check!(command.contains("say.py\0MAINPID"), "the main process is {command:?}");
            Ok(())
        },
    ),
    Scenario::new(
        "notification/stopping-and-errno-are-shown",
        &[
            ("/t/@@/say.py", SAY),
            (
                "@@a.service",
                "[Service]
                Type=notify
                ExecStart=/t/@@/say.py READY=1 wait:0.2 ERRNO=7 STOPPING=1 forever",
            ),
        ],
        ("STOPPING=1", "READY=1"),
        |c| {
            c.ctl("start @@a.service")?;
            c.wait_show("@@a.service", "SubState", "stop-sigterm")?;
            equal("shown", &c.shows("@@a.service", &["ActiveState", "StatusErrno"])?, &["deactivating", "7"])
        },
    ),
    Scenario::new(
        "notification/extend-timeout-buys-time",
        &[
            ("/t/@@/say.py", SAY),
            (
                "@@a.service",
                "[Service]
                Type=notify
                TimeoutStartSec=3s
                ExecStart=/t/@@/say.py EXTEND_TIMEOUT_USEC=20000000 wait:4.5 READY=1 forever",
            ),
        ],
        ("EXTEND_TIMEOUT_USEC=20000000", "STATUS=slow"),
        |c| {
            c.ctl("start @@a.service")?;
            equal("state", &c.show("@@a.service", "ActiveState")?, "active")
        },
    )
    // The reference forgets the extension when another scenario reloads the manager.
    .alone(),
    Scenario::new(
        "notification/a-service-says-itself-whom-to-listen-to",
        &[
            ("/t/@@/say.py", SAY),
            (
                "@@a.service",
                "[Service]
                Type=notify
                NotifyAccess=main
                ExecStart=/t/@@/say.py READY=1 child:STATUS=one log:one wait:1 NOTIFYACCESS=all child:STATUS=two log:two forever",
            ),
        ],
        ("NOTIFYACCESS=all", "X_ACCESS=all"),
        |c| {
            let shown = || c.shows("@@a.service", &["NotifyAccess", "StatusText"]);
            c.ctl("start @@a.service")?;
            c.wait_record(1)?;
            equal("as configured", &shown()?, &["main", ""])?;
            c.wait_record(2)?;
            equal("as it said", &shown()?, &["all", "two"])?;
            c.ctl("daemon-reload")?;
            equal("after a reload", &shown()?, &["all", "two"])?;
            c.ctl("stop @@a.service")?;
            equal("afterwards", &c.show("@@a.service", "NotifyAccess")?, "main")
        },
    ),
    Scenario::new(
        "notification/watchdogs-can-be-switched-off-until-a-reload",
        SILENT,
        ("service-watchdogs no", "service-watchdogs yes"),
        |c| {
            c.ctl("service-watchdogs no")?;
            c.ctl("start @@a.service")?;
            c.rest(1500);
            equal("without", &c.show("@@a.service", "ActiveState")?, "active")?;
            c.ctl("daemon-reload")?;
            equal("after a reload", &c.ctl("service-watchdogs")?, "yes")?;
            c.ctl("restart @@a.service")?;
            c.wait_show("@@a.service", "Result", "watchdog")
        },
    )
    .alone(),
];
