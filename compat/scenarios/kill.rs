//! Stopping and killing: signals, whom they reach, and when patience ends.

use runstead_compat::check;
use runstead_compat::scenario::{Scenario, equal};
use std::time::Instant;

/// Says which signals it gets, as does its child; waits for more after each.
const FAMILY: &str = "#!/bin/sh
    talk() {
      for s in HUP TERM USR1 USR2; do trap \"echo $1 $s >>/t/@@/log\" $s; done
      echo $1 up >>/t/@@/log
      while :; do sleep 0.05; done
    }
    talk child &
    talk main";

/// The scenarios of this topic.
pub const ALL: &[Scenario] = &[
    Scenario::new(
        "kill/kill-signal-is-the-one-configured",
        &[(
            "@@a.service",
            "[Service]
            KillSignal=SIGUSR1
            ExecStart=/bin/sh -c 'trap \"echo TERM >>/t/@@/log; exit 0\" TERM; trap \"echo USR1 >>/t/@@/log; exit 0\" USR1; \
             echo up >>/t/@@/log; while :; do sleep 0.05; done'",
        )],
        ("KillSignal=SIGUSR1", ""),
        |c| {
            c.ctl("start @@a.service")?;
            c.wait_record(1)?;
            c.ctl("stop @@a.service")?;
            equal("record", &c.record(), &["up", "USR1"])?;
            equal("result", &c.show("@@a.service", "Result")?, "success")
        },
    ),
    Scenario::new(
        "kill/control-group-mode-signals-all",
        &[
            ("/t/@@/family", FAMILY),
            ("@@a.service", "[Service]\nKillMode=control-group\nTimeoutStopSec=1500ms\nExecStart=/t/@@/family"),
        ],
        ("KillMode=control-group", "KillMode=mixed"),
        |c| {
            c.ctl("start @@a.service")?;
            c.wait_record(2)?;
            c.ctl("stop @@a.service")?;
            let mut got = c.record().split_off(2);
            got.sort_unstable();
            equal("signals", &got, &["child TERM", "main TERM"])
        },
    ),
    Scenario::new(
        "kill/mixed-mode-kills-the-rest-at-the-end",
        &[
            ("/t/@@/family", FAMILY),
            ("@@a.service", "[Service]\nKillMode=mixed\nTimeoutStopSec=1500ms\nExecStart=/t/@@/family"),
        ],
        ("KillMode=mixed", "KillMode=control-group"),
        |c| {
            c.ctl("start @@a.service")?;
            c.wait_record(2)?;
            let pids = c.ok("cat /sys/fs/cgroup/system.slice/@@a.service/cgroup.procs")?;
            check!(pids.lines().count() >= 2, "pids {pids}");
            c.ctl("stop @@a.service")?;
            equal("signals", &c.record().split_off(2), &["main TERM"])?;
            for pid in pids.lines() {
                check!(!c.exists(&format!("/proc/{pid}")), "process {pid} survived");
            }
            Ok(())
        },
    ),
    Scenario::new(
        "kill/process-mode-leaves-children-alone",
        &[(
            "@@a.service",
            "[Service]
            KillMode=process
            ExecStart=/bin/sh -c 'sleep 1000 & echo $! >>/t/@@/log; exec sleep 2000'",
        )],
        ("KillMode=process", ""),
        |c| {
            c.ctl("start @@a.service")?;
            let child = c.wait_record(1)?.remove(0);
            c.ctl("stop @@a.service")?;
            equal("state", &c.show("@@a.service", "ActiveState")?, "inactive")?;
            check!(c.exists(&format!("/proc/{child}")), "the child was killed too");
            c.ok(&format!("kill -9 {child}"))?;
            Ok(())
        },
    ),
    Scenario::new(
        "kill/none-mode-signals-nobody",
        &[(
            "@@a.service",
            "[Service]
            KillMode=none
            ExecStart=/bin/sh -c 'trap \"echo TERM >>/t/@@/log\" TERM; echo $$$$ >>/t/@@/log; while :; do sleep 0.05; done'
            ExecStop=/bin/sh -c 'echo stop >>/t/@@/log'
            TimeoutStopSec=300ms",
        )],
        ("KillMode=none", ""),
        |c| {
            c.ctl("start @@a.service")?;
            let main = c.wait_record(1)?.remove(0);
            c.ctl("stop @@a.service")?;
            equal("record", &c.record(), &[main.as_str(), "stop"])?;
            check!(c.exists(&format!("/proc/{main}")), "the main process was killed");
            c.ok(&format!("kill -9 {main}"))?;
            Ok(())
        },
    ),
    Scenario::new(
        "kill/stop-timeout-ends-in-sigkill",
        &[(
            "@@a.service",
            "[Service]
            TimeoutStopSec=400ms
            ExecStart=/bin/sh -c 'trap \"\" TERM; echo up >>/t/@@/log; while :; do sleep 0.05; done'",
        )],
        ("TimeoutStopSec=400ms", "TimeoutStopSec=400ms\nSendSIGKILL=no\nTimeoutStopFailureMode=terminate"),
        |c| {
            c.ctl("start @@a.service")?;
            c.wait_record(1)?;
            let main = c.show("@@a.service", "MainPID")?;
            let begin = Instant::now();
            c.ctl("stop @@a.service")?;
            let took = begin.elapsed().as_secs_f64();
            check!((0.35..5.0).contains(&took), "stopping took {took} s");
            check!(!c.exists(&format!("/proc/{main}")), "the process survived");
            let shown = c.shows("@@a.service", &["ActiveState", "Result", "ExecMainCode", "ExecMainStatus"])?;
            equal("shown", &shown, &["failed", "timeout", "2", "9"])
        },
    ),
    Scenario::new(
        "kill/send-sighup-follows-the-kill-signal",
        &[
            ("/t/@@/family", FAMILY),
            ("@@a.service", "[Service]\nSendSIGHUP=yes\nTimeoutStopSec=1500ms\nKillMode=mixed\nExecStart=/t/@@/family"),
        ],
        ("SendSIGHUP=yes", ""),
        |c| {
            c.ctl("start @@a.service")?;
            c.wait_record(2)?;
            c.ctl("stop @@a.service")?;
            let mut got = c.record().split_off(2);
            got.sort_unstable();
            equal("signals", &got, &["main HUP", "main TERM"])
        },
    ),
    Scenario::new(
        "kill/systemctl-kill-chooses-whom",
        &[("/t/@@/family", FAMILY), ("@@a.service", "[Service]\nExecStart=/t/@@/family")],
        ("--kill-whom=main", "--kill-whom=all"),
        |c| {
            c.ctl("start @@a.service")?;
            c.wait_record(2)?;
            c.ctl("kill --kill-whom=main -s USR2 @@a.service")?;
            c.wait_record(3)?;
            c.rest(200);
            equal("signals", &c.record().split_off(2), &["main USR2"])?;
            c.ctl("kill --kill-whom=all -s USR1 @@a.service")?;
            let mut got = c.wait_record(5)?.split_off(3);
            got.sort_unstable();
            equal("signals", &got, &["child USR1", "main USR1"])?;
            c.fails("systemctl kill --kill-whom=control -s USR1 @@a.service")?;
            Ok(())
        },
    ),
    Scenario::new(
        "kill/exec-stop-knows-main-pid-and-stop-post-the-result",
        &[(
            "@@a.service",
            "[Service]
            ExecStart=/bin/sleep 1d
            ExecStop=/bin/sh -c 'echo stop $MAINPID >>/t/@@/log; kill -INT $MAINPID'
            ExecStopPost=/bin/sh -c 'echo post $SERVICE_RESULT $EXIT_CODE $EXIT_STATUS >>/t/@@/log'",
        )],
        ("kill -INT", "true"),
        |c| {
            c.ctl("start @@a.service")?;
            let main = c.show("@@a.service", "MainPID")?;
            c.ctl("stop @@a.service")?;
            equal("record", &c.record(), &[format!("stop {main}"), "post success killed INT".to_owned()])
        },
    ),
    Scenario::new(
        "kill/runtime-max-ends-a-service",
        &[("@@a.service", "[Service]\nRuntimeMaxSec=300ms\nExecStart=/bin/sleep 1d")],
        ("RuntimeMaxSec=300ms", ""),
        |c| {
            c.ctl("start @@a.service")?;
            c.wait_show("@@a.service", "ActiveState", "failed")?;
            equal("shown", &c.shows("@@a.service", &["Result", "ExecMainStatus"])?, &["timeout", "15"])
        },
    ),
    Scenario::new(
        "kill/start-timeout-fails-the-start",
        &[("@@a.service", "[Service]\nType=oneshot\nTimeoutStartSec=300ms\nExecStart=/bin/sh -c 'sleep 1; sleep 1'")],
        ("TimeoutStartSec=300ms", ""),
        |c| {
            c.fails("systemctl start @@a.service")?;
            equal("shown", &c.shows("@@a.service", &["ActiveState", "Result"])?, &["failed", "timeout"])
        },
    ),
    Scenario::new(
        "kill/restart-kill-signal-only-for-restarts",
        &[
            ("/t/@@/family", FAMILY),
            ("@@a.service", "[Service]\nRestartKillSignal=SIGUSR2\nTimeoutStopSec=1500ms\nKillMode=mixed\nExecStart=/t/@@/family"),
        ],
        ("RestartKillSignal=SIGUSR2", ""),
        |c| {
            c.ctl("start @@a.service")?;
            c.wait_record(2)?;
            c.ctl("restart @@a.service")?;
            let record = c.wait_record(5)?;
            check!(record.contains(&"main USR2".to_owned()), "record {record:?}");
            check!(!record.contains(&"main TERM".to_owned()), "record {record:?}");
            Ok(())
        },
    ),
    Scenario::new(
        "kill/stop-when-unneeded",
        &[
            ("@@a.service", "[Unit]\nRequires=@@b.service\nAfter=@@b.service\n[Service]\nExecStart=/bin/sleep 1d"),
            ("@@b.service", "[Unit]\nStopWhenUnneeded=yes\n[Service]\nExecStart=/bin/sleep 1d"),
        ],
        ("StopWhenUnneeded=yes", ""),
        |c| {
            c.ctl("start @@a.service")?;
            equal("needed", &c.show("@@b.service", "ActiveState")?, "active")?;
            c.ctl("stop @@a.service")?;
            c.wait_show("@@b.service", "ActiveState", "inactive")
        },
    ),
    Scenario::new(
        "kill/hundreds-that-end-at-once-leave-nothing",
        &[
            ("/t/@@/many", "#!/bin/sh\nfor i in $(seq 600); do /t/@@/crowd-@@ 1d & done; echo up >>/t/@@/log; wait"),
            ("@@a.service", "[Service]\nTasksMax=infinity\nExecStartPre=/bin/cp /bin/sleep /t/@@/crowd-@@\nExecStart=/t/@@/many"),
        ],
        ("systemctl kill", "systemctl show"),
        |c| {
            c.ctl("start @@a.service")?;
            c.wait_record(1)?;
            c.ok("systemctl kill -s KILL @@a.service")?;
            // What has ended and was not waited for has its name still.
            let left = "cat /proc/[0-9]*/comm 2>/dev/null | grep -c crowd-@@ || true";
            c.until("nobody is left", || Ok(c.ok(left)? == "0"))
        },
    )
    .alone(),
];
