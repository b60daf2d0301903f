//! Units as such: types of services, conditions, templates, aliases, masks, and what clients ask about them.

use runstead_compat::check;
use runstead_compat::scenario::{Scenario, equal};

const STAY: &str = "[Service]\nExecStart=/bin/sleep 1d";

/// A service that owns a name on the bus.
const OWNER: &[(&str, &str)] = &[
    (
        "@@a.service",
        "[Service]
                Type=dbus
                BusName=org.example.@@
                TimeoutStartSec=5
                ExecStart=/bin/sh -c 'sleep 0.3; exec /t/@@/own'",
    ),
    (
        "/usr/share/dbus-1/system.d/@@.conf",
        "<busconfig><policy user=\"root\"><allow own=\"org.example.@@\"/></policy></busconfig>",
    ),
    ("/t/@@/own", OWN_NAME),
];

/// The scenarios of this topic.
pub const ALL: &[Scenario] = &[
    Scenario::new(
        "units/conditions-skip-and-asserts-fail",
        &[
            (
                "@@a.service",
                "[Unit]\nConditionPathExists=/t/@@/flag\nConditionPathExists=!/missing\n[Service]\nExecStart=/bin/sleep 1d",
            ),
            ("@@b.service", "[Unit]\nAssertPathExists=/missing\n[Service]\nExecStart=/bin/sleep 1d"),
            (
                "@@c.service",
                "[Unit]\nConditionPathExists=|/missing\nConditionPathExists=|/t/@@\n[Service]\nExecStart=/bin/sleep 1d",
            ),
            ("@@pin.target", "[Unit]\nAfter=@@a.service @@b.service"),
        ],
        ("ConditionPathExists=/t/@@/flag", ""),
        |c| {
            c.ctl("start @@pin.target @@a.service @@c.service")?;
            equal(
                "skipped",
                &c.shows("@@a.service", &["ActiveState", "ConditionResult"])?,
                &["inactive", "no"],
            )?;
            equal(
                "one of two",
                &c.shows("@@c.service", &["ActiveState", "ConditionResult"])?,
                &["active", "yes"],
            )?;
            let said = c.fails("systemctl start @@b.service")?;
            check!(said.to_lowercase().contains("assert"), "said {said}");
            equal(
                "asserted",
                &c.shows("@@b.service", &["ActiveState", "AssertResult"])?,
                &["inactive", "no"],
            )?;
            c.ok("touch /t/@@/flag")?;
            c.ctl("start @@a.service")?;
            equal("now", &c.shows("@@a.service", &["ActiveState", "ConditionResult"])?, &["active", "yes"])
        },
    ),
    Scenario::new(
        "units/specifiers-of-a-template-instance",
        &[(
            "@@a@.service",
            "[Service]
            Type=oneshot
            ExecStart=/bin/sh -c 'echo \"%n|%N|%p|%P|%i|%I|%j|%f|%t|%S|%u|%H|%%\" >>/t/@@/log'",
        )],
        ("%n|", ""),
        |c| {
            c.ctl("start '@@a@x\\x2dy-z.service'")?;
            let host = c.ok("uname -n")?;
            let n = "@@a@x\\x2dy-z";
            let expected =
                format!("{n}.service|{n}|@@a|@@a|x\\x2dy-z|x-y/z|@@a|/x-y/z|/run|/var/lib|root|{host}|%");
            // The shell's own echo reads \x2d as text: printf is not used so that nothing is interpreted twice.
            equal("record", &c.record(), &[expected])
        },
    ),
    Scenario::new(
        "units/alias-is-the-same-unit",
        &[("@@a.service", STAY), ("@@b.service", "-> @@a.service")],
        ("-> @@a.service", "-> /lib/systemd/system/cron.service"),
        |c| {
            c.ctl("start @@b.service")?;
            let shown = c.shows("@@b.service", &["Id", "Names", "ActiveState"])?;
            equal("id", &shown[0], &c.text("@@a.service"))?;
            let mut names: Vec<&str> = shown[1].split(' ').collect();
            names.sort_unstable();
            equal("names", &names, &[c.text("@@a.service"), c.text("@@b.service")])?;
            equal("real name's state", &c.show("@@a.service", "ActiveState")?, "active")
        },
    ),
    Scenario::new(
        "units/masked-cannot-be-started",
        &[("@@a.service", "-> /dev/null"), ("@@b.service", STAY)],
        ("-> /dev/null", "[Service]\nExecStart=/bin/sleep 1d"),
        |c| {
            let said = c.fails("systemctl start @@a.service")?;
            check!(said.contains("is masked"), "said {said}");
            equal("shown", &c.shows("@@a.service", &["LoadState", "UnitFileState"])?, &["masked", "masked"])?;
            c.ctl("mask --runtime --now @@b.service")?;
            equal("masked by name", &c.run("systemctl is-enabled @@b.service")?.out, "static")
        },
    ),
    Scenario::new(
        "units/enable-makes-links-and-wants",
        &[
            (
                "@@a.service",
                "[Service]\nExecStart=/bin/sleep 1d\n[Install]\nWantedBy=@@x.target\nAlias=@@alias.service",
            ),
            ("@@x.target", "[Unit]\nDescription=wants by link"),
        ],
        ("WantedBy=@@x.target", "WantedBy=@@y.target"),
        |c| {
            equal("before", &c.run("systemctl is-enabled @@a.service")?.out, "disabled")?;
            c.ctl("enable @@a.service")?;
            equal("after", &c.ctl("is-enabled @@a.service")?, "enabled")?;
            let link = c.ok("readlink /etc/systemd/system/@@x.target.wants/@@a.service")?;
            equal("link", &link, &c.text("/etc/systemd/system/@@a.service"))?;
            equal(
                "alias",
                &c.ok("readlink /etc/systemd/system/@@alias.service")?,
                &c.text("/etc/systemd/system/@@a.service"),
            )?;
            c.ctl("start @@x.target")?;
            equal("started by the target", &c.show("@@a.service", "ActiveState")?, "active")?;
            c.ctl("disable @@a.service")?;
            check!(!c.exists("/etc/systemd/system/@@x.target.wants/@@a.service"), "the link is still there");
            Ok(())
        },
    ),
    Scenario::new(
        "units/forking-with-a-pid-file",
        &[
            ("/t/@@/daemon", "#!/bin/sh\n(sleep 1000 & echo $! >/run/@@.pid)\n(sleep 1001 &)\nexit 0\n"),
            ("@@a.service", "[Service]\nType=forking\nPIDFile=/run/@@.pid\nExecStart=/t/@@/daemon"),
        ],
        ("PIDFile=/run/@@.pid", ""),
        |c| {
            c.ctl("start @@a.service")?;
            let shown = c.shows("@@a.service", &["ActiveState", "SubState", "MainPID"])?;
            equal("shown", &shown, &["active", "running", c.read("/run/@@.pid").trim()])?;
            c.ctl("stop @@a.service")?;
            check!(!c.exists("/run/@@.pid"), "the PID file is still there");
            Ok(())
        },
    ),
    Scenario::new(
        "units/oneshot-runs-its-commands-in-turn",
        &[(
            "@@a.service",
            "[Service]
            Type=oneshot
            RemainAfterExit=yes
            ExecStartPre=/bin/sh -c 'echo pre >>/t/@@/log'
            ExecStart=/bin/sh -c 'sleep 0.1; echo one >>/t/@@/log'
            ExecStart=/bin/sh -c 'echo two >>/t/@@/log'
            ExecStartPost=/bin/sh -c 'echo post >>/t/@@/log'
            ExecReload=/bin/sh -c 'echo reload >>/t/@@/log'",
        )],
        ("ExecStart=/bin/sh -c 'echo two >>/t/@@/log'", ""),
        |c| {
            c.ctl("start @@a.service")?;
            equal("record", &c.record(), &["pre", "one", "two", "post"])?;
            equal("shown", &c.shows("@@a.service", &["ActiveState", "SubState"])?, &["active", "exited"])?;
            c.ctl("start @@a.service")?;
            c.ctl("reload @@a.service")?;
            equal("record", &c.record()[4..], &["reload"])
        },
    ),
    Scenario::new(
        "units/failed-is-asked-and-reset",
        &[
            ("@@a.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'exit 5'"),
            ("@@pin.target", "[Unit]\nAfter=@@a.service"),
        ],
        ("exit 5", "exit 0"),
        |c| {
            c.ctl("start @@pin.target")?;
            c.run("systemctl start @@a.service")?;
            equal("is-failed", &c.ctl("is-failed @@a.service")?, "failed")?;
            equal("is-active", &c.run("systemctl is-active @@a.service")?.code, &3)?;
            let listed = c.ctl("list-units --failed --no-legend --plain '@@*'")?;
            check!(listed.starts_with(&c.text("@@a.service")), "listed {listed}");
            c.ctl("reset-failed @@a.service")?;
            equal("after", &c.run("systemctl is-failed @@a.service")?.out, "inactive")
        },
    ),
    Scenario::new(
        "units/type-dbus-is-up-with-its-name",
        OWNER,
        ("BusName=org.example.@@", "BusName=org.example.@@other"),
        |c| {
            c.ctl("start @@a.service")?;
            equal(
                "shown",
                &c.shows("@@a.service", &["ActiveState", "BusName"])?,
                &["active", &c.text("org.example.@@")],
            )?;
            c.ok("busctl status org.example.@@")?;
            Ok(())
        },
    ),
    Scenario::new(
        "units/type-dbus-is-up-after-many-callers",
        OWNER,
        ("BusName=org.example.@@", "BusName=org.example.@@other"),
        |c| {
            // More than the bus lets a connection have match rules; each command has its own time.
            for _ in 0..6 {
                c.ok(
                    "for i in $(seq 100); do dbus-send --system --print-reply --dest=org.freedesktop.systemd1 / org.freedesktop.DBus.Peer.Ping || \
                     exit 1; done >/dev/null",
                )?;
            }
            c.ctl("start @@a.service")?;
            c.ok("busctl status org.example.@@")?;
            Ok(())
        },
    )
    .alone(),
    Scenario::new(
        "units/the-bus-may-have-another-name",
        &[
            (
                "@@-broker.service",
                "[Unit]
                Description=a broker
                Requires=dbus.socket
                [Service]
                Type=notify
                ExecStart=dbus-daemon --system --address=systemd: --nofork --nopidfile --systemd-activation --syslog-only",
            ),
            ("dbus.service", "-> /etc/systemd/system/@@-broker.service"),
        ],
        ("Description=a broker", "Description=another"),
        |c| {
            c.ctl("start dbus.service")?;
            let nobody = "setpriv --reuid=nobody --regid=nogroup --clear-groups systemctl";
            c.until("asked over the bus", || {
                Ok(c.run(&format!("{nobody} show -P Description dbus.service"))?.out == "a broker")
            })?;
            equal("its name", &c.show("dbus.service", "Id")?, &c.text("@@-broker.service"))
        },
    )
    .alone(),
    Scenario::new(
        "units/type-idle-waits-for-the-queue",
        &[
            ("@@all.target", "[Unit]\nWants=@@a.service @@b.service"),
            (
                "@@a.service",
                "[Service]\nType=idle\nExecStart=/bin/sh -c 'echo idle >>/t/@@/log; exec sleep 1d'",
            ),
            (
                "@@b.service",
                "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'sleep 0.8; echo busy >>/t/@@/log'",
            ),
        ],
        ("Type=idle", "Type=simple"),
        |c| {
            c.ctl("start @@all.target")?;
            equal("record", &c.wait_record(2)?, &["busy", "idle"])
        },
    )
    .alone(),
    Scenario::new(
        "units/the-kernel-of-a-container-took-no-time",
        &[],
        ("-P Kernel", "-P Userspace"),
        |c| {
            c.until("the boot is over", || Ok(c.run("systemd-analyze time")?.code == 0))?;
            let told = c.ok("systemd-analyze time")?;
            check!(told.contains("(userspace)") && !told.contains("(kernel)"), "{told}");
            equal("the kernel", &c.ok("systemctl show -P KernelTimestamp")?, "")?;
            equal("security policies", &c.ok("systemctl show -P SecurityStartTimestamp")?, "")
        },
    ),
    Scenario::new(
        "units/slices-nest-by-name",
        &[("@@a.service", "[Service]\nSlice=@@-inner.slice\nExecStart=/bin/sleep 1d")],
        ("Slice=@@-inner.slice", ""),
        |c| {
            c.ctl("start @@a.service")?;
            let group = c.text("/@@.slice/@@-inner.slice/@@a.service");
            equal("cgroup", &c.show("@@a.service", "ControlGroup")?, &group)?;
            equal(
                "slice",
                &c.shows("@@-inner.slice", &["ActiveState", "Slice"])?,
                &["active", &c.text("@@.slice")],
            )?;
            let main = c.show("@@a.service", "MainPID")?;
            equal("process", &c.ok(&format!("cat /sys/fs/cgroup{group}/cgroup.procs"))?, &main)
        },
    ),
    Scenario::new(
        "units/binds-to-follows-and-upholds-restores",
        &[
            ("@@a.service", STAY),
            (
                "@@b.service",
                "[Unit]\nBindsTo=@@a.service\nAfter=@@a.service\n[Service]\nExecStart=/bin/sleep 1d",
            ),
            ("@@c.target", "[Unit]\nUpholds=@@d.service"),
            ("@@d.service", STAY),
        ],
        ("Upholds=", "Wants="),
        |c| {
            c.ctl("start @@b.service @@c.target")?;
            c.wait_show("@@d.service", "ActiveState", "active")?;
            c.ctl("stop @@d.service")?;
            c.wait_show("@@d.service", "ActiveState", "active")?;
            c.ctl("kill -s KILL @@a.service")?;
            c.until("the bound one stops", || Ok(c.show("@@b.service", "ActiveState")? == "inactive"))
        },
    ),
    Scenario::new(
        "units/bad-setting-and-not-found",
        &[
            ("@@a.service", "[Unit]\nDescription=no command\n[Service]\nType=simple"),
            ("@@b.service", "[Service]\nExecStart=relative/path\nExecStart=/bin/sleep 1d\nNonsense=1"),
        ],
        ("ExecStart=relative/path", "Restart=no"),
        |c| {
            equal("no command", &c.show("@@a.service", "LoadState")?, "bad-setting")?;
            equal("a bad line", &c.show("@@b.service", "LoadState")?, "bad-setting")?;
            equal("no file", &c.show("@@c.service", "LoadState")?, "not-found")?;
            equal("status", &c.run("systemctl start @@c.service")?.code, &5)
        },
    ),
    Scenario::new(
        "units/job-timeout-gives-up",
        &[("@@a.service", "[Unit]\nJobTimeoutSec=400ms\n[Service]\nType=oneshot\nExecStart=/bin/sleep 100")],
        ("JobTimeoutSec=400ms", ""),
        |c| {
            c.ctl("start --no-block @@a.service")?;
            c.until("the job is gone", || c.has("@@a.service", "Job", ""))
        },
    ),
    Scenario::new(
        "units/an-alias-follows-its-link-after-a-reload",
        &[
            ("@@a.service", "[Service]\nExecStart=sleep 1d"),
            ("@@b.service", "[Service]\nExecStart=sleep 1d"),
            ("@@c.target", "[Unit]\nAfter=@@x.service"),
        ],
        ("ln -sfn @@b.service", "ln -sfn @@a.service"),
        |c| {
            c.ok("ln -s @@a.service /etc/systemd/system/@@x.service")?;
            c.ctl("daemon-reload")?;
            c.ctl("start @@x @@c.target")?;
            equal("first", &c.show("@@x.service", "Id")?, &*c.text("@@a.service"))?;
            c.ok("ln -sfn @@b.service /etc/systemd/system/@@x.service")?;
            c.ctl("daemon-reload")?;
            equal("then", &c.show("@@x.service", "Id")?, &*c.text("@@b.service"))?;
            equal(
                "the old one",
                &c.shows("@@a.service", &["Names", "ActiveState"])?,
                &[&*c.text("@@a.service"), "active"],
            )?;
            check!(c.has("@@c.target", "After", &c.text("@@b.service"))?, "what is behind the name");
            check!(!c.has("@@c.target", "After", &c.text("@@a.service"))?, "what was behind the name");
            c.ctl("start @@x")?;
            equal("started", &c.show("@@b.service", "ActiveState")?, "active")
        },
    ),
    Scenario::new(
        "units/what-was-used-is-known-afterwards",
        &[
            (
                "@@.service",
                "[Service]
            Type=oneshot
            ExecStart=/bin/sh -c 'i=0; while [ $$i -lt 100000 ]; do i=$$((i+1)); done'",
            ),
            // Keeps it in memory.
            ("@@.target", "[Unit]\nAfter=@@.service"),
        ],
        ("-lt 100000", "-lt 1"),
        |c| {
            c.ctl("log-level debug")?;
            c.ctl("start @@.target @@")?;
            equal("state", &c.show("@@.service", "ActiveState")?, "inactive")?;
            let used = c.show("@@.service", "CPUUsageNSec")?;
            check!(used.parse::<u64>().is_ok_and(|nsec| nsec > 20_000_000), "it used {used} ns");
            let said = c.ok("journalctl --sync; journalctl -b -u @@ -o cat | grep Consumed")?;
            check!(
                said.starts_with(&c.text("@@.service: Consumed ")) && said.contains("s CPU time"),
                "said: {said}"
            );
            c.ctl("daemon-reexec")?;
            equal("afterwards", &c.show("@@.service", "CPUUsageNSec")?, &*used)
        },
    )
    .alone(),
    Scenario::new("units/the-manager-has-a-unit-of-its-own", &[], ("init.scope", "-.slice"), |c| {
        equal("its cgroup", &c.show("init.scope", "ControlGroup")?, "/init.scope")?;
        let manager = "org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager";
        let unit = c.ok(&format!("busctl call {manager} GetUnitByPID u 1"))?;
        equal("unit of PID 1", &*unit, "o \"/org/freedesktop/systemd1/unit/init_2escope\"")
    }),
];

/// Owns the bus name with nothing but a socket: python3-minimal has no bus library.
const OWN_NAME: &str = r#"#!/usr/bin/python3
import socket, struct, time
s = socket.socket(socket.AF_UNIX)
s.connect("/run/dbus/system_bus_socket")
s.sendall(b"\0AUTH EXTERNAL 30\r\n")
s.recv(999)
s.sendall(b"BEGIN\r\n")
def text(t): return struct.pack("<I", len(t)) + t.encode() + b"\0"
def pad(b, n): return b + b"\0" * (-len(b) % n)
def call(serial, member, signature=b"", body=b""):
    fields = b""
    for code, kind, value in ((1, b"o", "/org/freedesktop/DBus"), (6, b"s", "org.freedesktop.DBus"),
                              (2, b"s", "org.freedesktop.DBus"), (3, b"s", member)):
        fields = pad(fields, 8) + bytes([code, 1]) + kind + b"\0" + text(value)
    if signature:
        fields = pad(fields, 8) + bytes([8, 1]) + b"g\0" + bytes([len(signature)]) + signature + b"\0"
    head = b"l\1\0\1" + struct.pack("<III", len(body), serial, len(fields)) + fields
    s.sendall(pad(head, 8) + body)
call(1, "Hello")
call(2, "RequestName", b"su", pad(text("org.example.@@"), 4) + struct.pack("<I", 0))
time.sleep(86400)
"#;
