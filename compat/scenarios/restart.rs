//! Restart: `Restart=`, its delays and limits, exit statuses, and what starts because something failed.

use runstead_compat::check;
use runstead_compat::scenario::{Scenario, equal};

/// The scenarios of this topic.
pub const ALL: &[Scenario] = &[
    Scenario::new(
        "restart/on-failure-restarts-until-success",
        &[
            ("/t/@@/third", "#!/bin/sh\necho run >>/t/@@/log\n[ $(wc -l </t/@@/log) -ge 3 ]"),
            ("@@a.service", "[Service]\nRestart=on-failure\nRestartSec=50ms\nRemainAfterExit=yes\nExecStart=/t/@@/third"),
        ],
        ("Restart=on-failure", "Restart=no"),
        |c| {
            c.ctl("start @@a.service")?;
            c.wait_record(3)?;
            c.wait_show("@@a.service", "SubState", "exited")?;
            c.rest(200);
            equal("record", &c.record(), &["run", "run", "run"])?;
            let shown = c.shows("@@a.service", &["ActiveState", "Result", "NRestarts", "ExecMainStatus"])?;
            equal("shown", &shown, &["active", "success", "2", "0"])
        },
    ),
    Scenario::new(
        "restart/always-restarts-after-success",
        &[("@@a.service", "[Service]\nRestart=always\nRestartSec=50ms\nExecStart=/bin/sh -c 'echo run >>/t/@@/log; sleep 0.1'")],
        ("Restart=always", "Restart=on-failure"),
        |c| {
            c.ctl("start @@a.service")?;
            c.wait_record(3)?;
            let restarts: u32 = c.show("@@a.service", "NRestarts")?.parse().map_err(|e| format!("NRestarts: {e}"))?;
            check!(restarts >= 2, "NRestarts={restarts}");
            c.ctl("stop @@a.service")?;
            Ok(())
        },
    ),
    Scenario::new(
        "restart/prevent-exit-status-ends-it",
        &[(
            "@@a.service",
            "[Service]
            Restart=always
            RestartSec=10ms
            RestartPreventExitStatus=7
            ExecStart=/bin/sh -c 'echo run >>/t/@@/log; exit 7'",
        )],
        ("RestartPreventExitStatus=7", ""),
        |c| {
            c.ctl("start @@a.service")?;
            c.wait_show("@@a.service", "ActiveState", "failed")?;
            c.rest(200);
            equal("record", &c.record(), &["run"])?;
            equal("shown", &c.shows("@@a.service", &["Result", "ExecMainStatus"])?, &["exit-code", "7"])
        },
    ),
    Scenario::new(
        "restart/force-exit-status-restarts-in-spite-of-no",
        &[(
            "@@a.service",
            "[Service]
            Restart=no
            RestartForceExitStatus=9 SIGUSR2
            RestartSec=10ms
            ExecStart=/bin/sh -c 'echo run >>/t/@@/log; [ -e /t/@@/again ] || { touch /t/@@/again; exit 9; }; sleep 1d'",
        )],
        ("RestartForceExitStatus=9 SIGUSR2", ""),
        |c| {
            c.ctl("start @@a.service")?;
            c.wait_record(2)?;
            c.ctl("kill -s USR2 --kill-whom=main @@a.service")?;
            c.wait_record(3)?;
            c.wait_show("@@a.service", "SubState", "running")
        },
    ),
    Scenario::new(
        "restart/delay-is-kept",
        &[(
            "@@a.service",
            "[Service]
            Restart=always
            RestartSec=900ms
            ExecStart=/bin/sh -c 'cut -d\" \" -f1 /proc/uptime >>/t/@@/log'",
        )],
        ("RestartSec=900ms", "RestartSec=0"),
        |c| {
            c.ctl("start @@a.service")?;
            c.wait_show("@@a.service", "SubState", "auto-restart")?;
            equal("RestartUSec", &c.show("@@a.service", "RestartUSec")?, "900ms")?;
            let at: Vec<f64> = c.wait_record(2)?.iter().filter_map(|l| l.parse().ok()).collect();
            let gap = at[1] - at[0];
            check!((0.85..4.0).contains(&gap), "{gap} s between two runs");
            Ok(())
        },
    ),
    Scenario::new(
        "restart/start-limit-stops-the-loop-until-reset",
        &[(
            "@@a.service",
            "[Unit]
            StartLimitIntervalSec=100
            StartLimitBurst=3
            [Service]
            Restart=always
            RestartSec=10ms
            ExecStart=/bin/sh -c 'echo run >>/t/@@/log'",
        )],
        ("StartLimitBurst=3", "StartLimitBurst=4"),
        |c| {
            c.ctl("start @@a.service")?;
            c.until("the limit is hit", || c.has("@@a.service", "SubState", "failed"))?;
            equal("record", &c.record(), &["run", "run", "run"])?;
            c.fails("systemctl start @@a.service")?;
            equal("result", &c.show("@@a.service", "Result")?, "start-limit-hit")?;
            c.ctl("reset-failed @@a.service")?;
            c.ctl("start @@a.service")?;
            c.wait_record(6)?;
            Ok(())
        },
    ),
    Scenario::new(
        "restart/success-exit-status-is-success",
        &[
            ("@@a.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nSuccessExitStatus=42 SIGKILL\nExecStart=/bin/sh -c 'exit 42'"),
            ("@@b.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nSuccessExitStatus=42 SIGKILL\nExecStart=/bin/sh -c 'kill -9 $$$$'"),
        ],
        ("SuccessExitStatus=42 SIGKILL", ""),
        |c| {
            c.ctl("start @@a.service @@b.service")?;
            let shown = |u: &str| c.shows(u, &["ActiveState", "Result", "ExecMainCode", "ExecMainStatus"]);
            equal("exit 42", &shown("@@a.service")?, &["active", "success", "1", "42"])?;
            equal("killed", &shown("@@b.service")?, &["active", "success", "2", "9"])
        },
    ),
    Scenario::new(
        "restart/stop-by-the-user-is-final",
        &[("@@a.service", "[Service]\nRestart=always\nRestartSec=10ms\nExecStart=/bin/sh -c 'echo run >>/t/@@/log; exec sleep 1d'")],
        ("systemctl stop", "systemctl kill"),
        |c| {
            c.ctl("start @@a.service")?;
            c.wait_record(1)?;
            c.ok("systemctl stop @@a.service")?;
            c.rest(300);
            equal("record", &c.record(), &["run"])?;
            equal("state", &c.shows("@@a.service", &["ActiveState", "NRestarts"])?, &["inactive", "0"])
        },
    ),
    Scenario::new(
        "restart/on-failure-unit-learns-who-failed",
        &[
            ("@@a.service", "[Unit]\nOnFailure=@@h@%n.service\n[Service]\nExecStart=/bin/sh -c 'exit 3'"),
            (
                "@@h@.service",
                "[Service]
                Type=oneshot
                ExecStart=/bin/sh -c 'echo %i $MONITOR_UNIT $MONITOR_SERVICE_RESULT $MONITOR_EXIT_CODE $MONITOR_EXIT_STATUS >>/t/@@/log'",
            ),
        ],
        ("OnFailure=", "OnSuccess="),
        |c| {
            c.ctl("start @@a.service")?;
            equal("record", &c.wait_record(1)?, &["@@a.service @@a.service exit-code exited 3"])
        },
    ),
    Scenario::new(
        "restart/on-success-unit-starts-after-success",
        &[
            ("@@a.service", "[Unit]\nOnSuccess=@@b.service\n[Service]\nType=oneshot\nExecStart=/bin/true"),
            ("@@b.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo b $MONITOR_SERVICE_RESULT >>/t/@@/log'"),
        ],
        ("OnSuccess=", "OnFailure="),
        |c| {
            c.ctl("start @@a.service")?;
            equal("record", &c.wait_record(1)?, &["b success"])
        },
    ),
    Scenario::new(
        "restart/part-of-follows-a-restart",
        &[
            ("@@a.service", "[Service]\nExecStart=/bin/sleep 1d"),
            ("@@b.service", "[Unit]\nPartOf=@@a.service\n[Service]\nExecStart=/bin/sh -c 'echo b >>/t/@@/log; exec sleep 1d'"),
        ],
        ("PartOf=@@a.service", ""),
        |c| {
            c.ctl("start @@a.service @@b.service")?;
            c.wait_record(1)?;
            let before = c.show("@@b.service", "MainPID")?;
            c.ctl("restart @@a.service")?;
            equal("record", &c.wait_record(2)?, &["b", "b"])?;
            c.wait_show("@@b.service", "SubState", "running")?;
            check!(c.show("@@b.service", "MainPID")? != before, "MainPID is still {before}");
            c.ctl("stop @@a.service")?;
            c.wait_show("@@b.service", "ActiveState", "inactive")
        },
    ),
    Scenario::new(
        "restart/exit-actions-end-with-the-status-of-the-main-process",
        &[
            ("/t/@@/a/systemd/user/default.target", "[Unit]\nDefaultDependencies=no\nWants=payload.service"),
            (
                "/t/@@/a/systemd/user/payload.service",
                "[Unit]\nDefaultDependencies=no\nFailureAction=exit\n[Service]\nExecStart=/bin/sh -c 'exit 7'",
            ),
            ("/t/@@/b/systemd/user/default.target", "[Unit]\nDefaultDependencies=no\nWants=payload.service"),
            (
                "/t/@@/b/systemd/user/payload.service",
                "[Unit]
                DefaultDependencies=no
                SuccessAction=exit
                SuccessActionExitStatus=42
                [Service]
                ExecStart=/bin/true",
            ),
            (
                "@@@.service",
                "[Service]
                Type=oneshot
                TimeoutStartSec=12
                Delegate=yes
                Environment=HOME=/t/@@ XDG_CONFIG_HOME=/t/@@/%i XDG_RUNTIME_DIR=/run/@@-%i DBUS_SESSION_BUS_ADDRESS=unix:path=/none
                RuntimeDirectory=@@-%i
                ExecStart=/proc/1/exe --user",
            ),
        ],
        ("Action=exit", "Action=none"),
        |c| {
            for (instance, status) in [("a", "7"), ("b", "42")] {
                c.fails(&format!("systemctl start @@@{instance}.service"))?;
                equal(instance, &c.show(&format!("@@@{instance}.service"), "ExecMainStatus")?, status)?;
            }
            Ok(())
        },
    ),
];
