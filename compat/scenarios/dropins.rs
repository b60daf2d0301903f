//! Drop-ins: overrides, resets, and the directories that apply to many units.

use runstead_compat::check;
use runstead_compat::scenario::{Scenario, equal};

const STAY: &str = "[Service]\nExecStart=/bin/sleep 1d";

const CONFIGURED: &str = "[Manager]
    LogLevel=debug
    StatusUnitFormat=name
    DefaultTimeoutStartSec=7s
    DefaultTimeoutAbortSec=13s
    DefaultDeviceTimeoutSec=11s
    DefaultOOMScoreAdjust=123";

/// The scenarios of this topic.
pub const ALL: &[Scenario] = &[
    Scenario::new(
        "dropins/override-a-value-in-order-of-name",
        &[
            ("@@a.service", "[Unit]\nDescription=base\n[Service]\nNice=1\nExecStart=/bin/sleep 1d"),
            ("@@a.service.d/10-first.conf", "[Unit]\nDescription=first\n[Service]\nNice=2"),
            ("@@a.service.d/20-second.conf", "[Service]\nNice=3"),
            ("@@a.service.d/30-ignored.txt", "[Service]\nNice=4"),
        ],
        ("20-second.conf", "05-second.conf"),
        |c| {
            c.ctl("start @@a.service")?;
            equal("shown", &c.shows("@@a.service", &["Description", "Nice"])?, &["first", "3"])?;
            let main = c.show("@@a.service", "MainPID")?;
            equal("nice of the process", c.ok(&format!("ps -o ni= -p {main}"))?.trim(), "3")?;
            let paths = c.show("@@a.service", "DropInPaths")?;
            equal("drop-ins", &paths, &c.text("/etc/systemd/system/@@a.service.d/10-first.conf /etc/systemd/system/@@a.service.d/20-second.conf"))
        },
    ),
    Scenario::new(
        "dropins/empty-assignment-resets-a-list",
        &[
            (
                "@@a.service",
                "[Service]
                Type=oneshot
                Environment=A=1
                ExecStart=/bin/sh -c 'echo base >>/t/@@/log'",
            ),
            (
                "@@a.service.d/reset.conf",
                "[Service]\nEnvironment=\nEnvironment=B=2\nExecStart=\n\
                 ExecStart=/bin/sh -c 'echo override $A $B >>/t/@@/log'",
            ),
        ],
        ("ExecStart=\nExecStart=", "ExecStart="),
        |c| {
            c.ctl("start @@a.service")?;
            equal("record", &c.record(), &["override 2"])
        },
    ),
    Scenario::new(
        "dropins/top-level-directory-of-a-type",
        &[("@@a.service", STAY), ("@@b.socket", "[Socket]\nListenStream=/run/@@.sock\nService=@@a.service")],
        ("service.d/", "socket.d/"),
        |c| {
            c.write("/run/systemd/system/service.d/@@.conf", "[Unit]\nDocumentation=https://@@.example\n")?;
            c.ctl("daemon-reload")?;
            let service = c.show("@@a.service", "Documentation");
            let socket = c.show("@@b.socket", "Documentation");
            c.ok("rm /run/systemd/system/s*.d/@@.conf")?;
            let expected = c.text("https://@@.example");
            check!(service?.split(' ').any(|d| d == expected), "the service has it not");
            equal("socket", &socket?, "")
        },
    )
    .alone(),
    Scenario::new(
        "dropins/prefix-directory-applies-to-all-that-share-it",
        &[
            ("@@-one-two.service", "[Service]\nExecStart=/bin/sleep 1d"),
            ("@@-.service.d/a.conf", "[Service]\nNice=4\nOOMScoreAdjust=100"),
            ("@@-one-.service.d/b.conf", "[Service]\nNice=5"),
            ("@@other.service", STAY),
        ],
        ("@@-one-.service.d", "@@-two-.service.d"),
        |c| {
            equal("shown", &c.shows("@@-one-two.service", &["Nice", "OOMScoreAdjust"])?, &["5", "100"])?;
            equal("other", &c.shows("@@other.service", &["Nice", "OOMScoreAdjust"])?, &["0", "0"])
        },
    ),
    Scenario::new(
        "dropins/template-and-instance",
        &[
            ("@@a@.service", "[Service]\nExecStart=/bin/sleep 1d"),
            ("@@a@.service.d/all.conf", "[Unit]\nDescription=all of %i\n[Service]\nNice=1"),
            ("@@a@x.service.d/one.conf", "[Service]\nNice=2"),
        ],
        ("@@a@x.service.d", "@@a@z.service.d"),
        |c| {
            equal("x", &c.shows("@@a@x.service", &["Description", "Nice"])?, &["all of x", "2"])?;
            equal("y", &c.shows("@@a@y.service", &["Description", "Nice"])?, &["all of y", "1"])
        },
    ),
    Scenario::new(
        "dropins/run-time-directory-loses-against-etc-of-the-same-name",
        &[("@@a.service", STAY), ("@@a.service.d/x.conf", "[Service]\nNice=1")],
        (">/run/systemd/system/@@a.service.d/x.conf", ">/run/systemd/system/@@a.service.d/z.conf"),
        |c| {
            c.ok("mkdir -p /run/systemd/system/@@a.service.d")?;
            c.ok("printf '[Service]\\nNice=9\\n' >/run/systemd/system/@@a.service.d/x.conf")?;
            c.ok("printf '[Service]\\nOOMScoreAdjust=7\\n' >/run/systemd/system/@@a.service.d/y.conf")?;
            c.ctl("daemon-reload")?;
            equal("shown", &c.shows("@@a.service", &["Nice", "OOMScoreAdjust"])?, &["1", "7"])
        },
    ),
    Scenario::new(
        "dropins/daemon-reload-picks-up-what-changed",
        &[("@@a.service", STAY)],
        ("systemctl daemon-reload", "true"),
        |c| {
            c.ctl("start @@a.service")?;
            let main = c.show("@@a.service", "MainPID")?;
            equal(
                "before",
                &c.shows("@@a.service", &["Description", "NeedDaemonReload"])?,
                &[c.text("@@a.service"), "no".into()],
            )?;
            c.ok("mkdir /etc/systemd/system/@@a.service.d")?;
            c.ok("printf '[Unit]\\nDescription=new\\n' >/etc/systemd/system/@@a.service.d/new.conf")?;
            c.until("the need is noticed", || c.has("@@a.service", "NeedDaemonReload", "yes"))?;
            c.ok("systemctl daemon-reload")?;
            let shown =
                c.shows("@@a.service", &["Description", "NeedDaemonReload", "MainPID", "SubState"])?;
            equal("after", &shown, &["new", "no", &main, "running"])
        },
    )
    // Another scenario's reload would pick it up first.
    .alone(),
    Scenario::new(
        "dropins/cat-prints-the-files-in-order",
        &[("@@a.service", STAY), ("@@a.service.d/x.conf", "[Service]\nNice=1")],
        ("Nice=1", "Nice=2"),
        |c| {
            let printed = c.ctl("cat @@a.service")?;
            let expected = "# /etc/systemd/system/@@a.service\n[Service]\nExecStart=/bin/sleep 1d\n\n\
                            # /etc/systemd/system/@@a.service.d/x.conf\n[Service]\nNice=";
            equal("printed", &printed, &(c.text(expected) + "1"))
        },
    ),
    Scenario::new(
        "dropins/set-property-writes-one-and-applies-it",
        &[("@@a.service", STAY)],
        ("--runtime", "--no-pager"),
        |c| {
            c.ctl("start @@a.service")?;
            c.ctl("set-property --runtime @@a.service CPUWeight=77 Description=changed")?;
            equal("shown", &c.shows("@@a.service", &["CPUWeight", "Description"])?, &["77", "changed"])?;
            let written = c.read("/run/systemd/system.control/@@a.service.d/50-CPUWeight.conf");
            check!(written.contains("[Service]\nCPUWeight=77"), "written: {written}");
            c.ctl("revert @@a.service")?;
            equal("reverted", &c.show("@@a.service", "CPUWeight")?, "[not set]")
        },
    )
    .alone(),
    Scenario::new(
        "dropins/what-system-conf-says-is-inherited",
        &[
            ("/etc/systemd/system.conf.d/test.conf", CONFIGURED),
            ("@@.service", "[Unit]\nDescription=Something\n[Service]\nExecStart=sleep 1d"),
            ("@@own.service", "[Service]\nExecStart=sleep 1d\nOOMScoreAdjust=77\nTimeoutStartSec=6s"),
        ],
        ("DefaultOOMScoreAdjust=123", ""),
        |c| {
            equal("level", &c.ok("systemctl log-level")?, "debug")?;
            c.ctl("start @@ @@own")?;
            let ours = ["TimeoutStartUSec", "TimeoutAbortUSec", "OOMScoreAdjust"];
            equal("inherited", &c.shows("@@.service", &ours)?, &["7s", "13s", "123"])?;
            equal("its own", &c.shows("@@own.service", &ours)?, &["6s", "13s", "77"])?;
            equal(
                "of its process",
                &c.ok("cat /proc/$(systemctl show -P MainPID @@)/oom_score_adj")?,
                "123",
            )?;
            equal("device", &c.show("dev-nothing.device", "JobRunningTimeoutUSec")?, "11s")?;
            let said = c.ok("journalctl --sync; journalctl -b -u @@ -o cat | grep ^Started")?;
            equal("status", &*said, &c.text("Started @@.service."))?;
            c.ok("sed -i 's/StartSec=7s/StartSec=9s/' /etc/systemd/system.conf.d/test.conf")?;
            equal("not before a reload", &c.show("@@.service", "TimeoutStartUSec")?, "7s")?;
            c.ctl("daemon-reload")?;
            equal(
                "after it",
                &c.shows("@@.service", &["TimeoutStartUSec", "ActiveState"])?,
                &["9s", "active"],
            )?;
            equal("its own", &c.show("@@own.service", "TimeoutStartUSec")?, "6s")
        },
    )
    .alone(),
];
