//! Transient units, made by systemd-run.

use runstead_compat::check;
use runstead_compat::scenario::{Scenario, equal};

/// The scenarios of this topic.
pub const ALL: &[Scenario] = &[
    Scenario::new(
        "transient/service-has-its-file-and-properties",
        &[],
        ("-p MemoryHigh=64M -p Nice=7", "-p MemoryHigh=65M -p Nice=6"),
        |c| {
            c.ok("systemd-run -q --unit=@@a --description='made up' -p MemoryHigh=64M -p Nice=7 -E COLOUR=blue --slice=@@ sleep 1d")?;
            let properties =
                ["Transient", "Description", "MemoryHigh", "Nice", "Environment", "FragmentPath", "Slice"];
            let path = c.text("/run/systemd/transient/@@a.service");
            let slice = c.text("@@.slice");
            let expected = ["yes", "made up", "67108864", "7", "COLOUR=blue", &path, &slice];
            equal("shown", &c.shows("@@a.service", &properties)?, &expected)?;
            let main = c.show("@@a.service", "MainPID")?;
            let group = c.read(&format!("/proc/{main}/cgroup"));
            check!(group.trim().ends_with(&c.text("/@@.slice/@@a.service")), "runs in {group}");
            let nice = c.ok(&format!("ps -o ni= -p {main}"))?;
            equal("nice", nice.trim(), "7")?;
            c.ctl("stop @@a.service")?;
            check!(!c.exists("/run/systemd/transient/@@a.service"), "its file is still there");
            Ok(())
        },
    ),
    Scenario::new("transient/wait-returns-the-exit-status", &[], ("--wait", "--no-block"), |c| {
        let done = c.run("systemd-run -q --wait --collect --unit=@@a sh -c 'sleep 0.2; exit 23'")?;
        equal("status", &done.code, &23)?;
        // The client's reference holds the unit until the manager sees that it has hung up.
        c.wait_show("@@a.service", "LoadState", "not-found")
    }),
    Scenario::new(
        "transient/collect-unloads-a-failed-unit",
        &[],
        ("--collect --unit=@@b", "--unit=@@b"),
        |c| {
            c.run("systemd-run -q --wait --unit=@@a false")?;
            c.run("systemd-run -q --wait --collect --unit=@@b false")?;
            equal("kept", &c.shows("@@a.service", &["LoadState", "ActiveState"])?, &["loaded", "failed"])?;
            c.wait_show("@@b.service", "LoadState", "not-found")?;
            equal("collected", &c.show("@@b.service", "ActiveState")?, "inactive")
        },
    ),
    Scenario::new("transient/pipe-hands-over-the-callers-streams", &[], ("--pipe", "--wait"), |c| {
        let out = c.ok("echo over | systemd-run -q --pipe --wait --unit=@@a sh -c 'read x; echo out $x; echo err >&2' 2>/t/@@/err")?;
        equal("output", &out, "out over")?;
        equal("errors", c.read("/t/@@/err").trim(), "err")
    }),
    Scenario::new("transient/a-process-goes-from-scope-to-scope", &[], ("PIDs au 1", "PIDs au 2 1"), |c| {
        // Not a child of PID 1.
        c.ok("sh -c 'sleep 1d & echo $! >/t/@@/log; wait' >/dev/null 2>&1 &")?;
        let pid = c.wait_record(1)?.concat();
        for scope in ["a", "b", "c"] {
            c.ok(&format!(
                "busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager StartTransientUnit \
                 'ssa(sv)a(sa(sv))' @@{scope}.scope fail 1 PIDs au 1 {pid} 0"
            ))?;
            c.until("there", || {
                Ok(c.read(&format!("/proc/{pid}/cgroup"))
                    .trim()
                    .ends_with(&c.text(&format!("/@@{scope}.scope"))))
            })?;
            // Each client is a connection of its own.
            c.ok("for n in 1 2 3 4 5 6; do systemctl show -P Version || exit; done")?;
        }
        equal("left", &c.shows("@@a.scope", &["ActiveState"])?, &["inactive"])?;
        equal("entered", &c.shows("@@c.scope", &["ActiveState"])?, &["active"])?;
        c.ok(&format!("kill {pid}"))?;
        c.until("gone with the process", || Ok(c.shows("@@c.scope", &["ActiveState"])? == ["inactive"]))
    }),
    Scenario::new("transient/scope-holds-the-callers-own-process", &[], ("--scope", ""), |c| {
        let line = c.text(
            "systemd-run -q --scope --unit=@@a -p Description=mine sh -c 'echo $$ >/t/@@/log; exec sleep 1d'",
        );
        let _client = c.machine().spawn(&["sh", "-c", &line])?;
        let pid = c.wait_record(1)?.remove(0);
        equal(
            "shown",
            &c.shows("@@a.scope", &["ActiveState", "SubState", "Description"])?,
            &["active", "running", "mine"],
        )?;
        let group = c.read(&format!("/proc/{pid}/cgroup"));
        check!(group.trim().ends_with(&c.text("/system.slice/@@a.scope")), "runs in {group}");
        c.ctl("stop @@a.scope")?;
        // Reaped by the command that entered the machine, a moment later.
        c.until("the process is gone", || Ok(!c.exists(&format!("/proc/{pid}"))))
    }),
    Scenario::new(
        "transient/timer-starts-its-service-once",
        &[],
        ("--on-active=2s", "--on-active=300h"),
        |c| {
            c.ok("systemd-run -q --on-active=2s --timer-property=AccuracySec=1ms --unit=@@a sh -c 'echo ran >>/t/@@/log'")?;
            equal(
                "timer",
                &c.shows("@@a.timer", &["ActiveState", "SubState", "Transient"])?,
                &["active", "waiting", "yes"],
            )?;
            equal("record", &c.wait_record(1)?, &["ran"])?;
            c.wait_show("@@a.timer", "LoadState", "not-found")
        },
    ),
    Scenario::new(
        "transient/socket-and-path-triggers",
        &[],
        ("--path-property=PathExists=", "--path-property=PathChanged="),
        |c| {
            c.ok("systemd-run -q --socket-property=ListenStream=/run/@@.sock --unit=@@a sh -c 'echo $LISTEN_FDS >>/t/@@/log; sleep 1d'")?;
            c.run("echo hi | socat -T1 - UNIX:/run/@@.sock")?;
            equal("record", &c.wait_record(1)?, &["1"])?;
            c.ok("touch /t/@@/flag")?;
            c.ok("systemd-run -q --path-property=PathExists=/t/@@/flag --unit=@@b sh -c 'echo b >>/t/@@/log; sleep 1d'")?;
            equal("record", &c.wait_record(2)?, &["1", "b"])
        },
    ),
    Scenario::new(
        "transient/a-name-in-use-is-refused",
        &[("@@b.service", "[Service]\nExecStart=/bin/sleep 1d")],
        ("systemctl start @@b.service", "systemctl mask --runtime @@c.service"),
        |c| {
            c.ok("systemctl start @@b.service")?;
            let said = c.fails("systemd-run -q --unit=@@b true")?;
            check!(said.contains("already loaded or has a fragment file"), "said {said}");
            equal("still runs", &c.show("@@b.service", "SubState")?, "running")
        },
    ),
];
