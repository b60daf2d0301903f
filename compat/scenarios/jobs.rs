//! Jobs: modes, conflicts between jobs, and what a client sees of them.

use runstead_compat::check;
use runstead_compat::scenario::{Scenario, equal};

/// Starting takes long; stopping does not.
const SLOW: &str = "[Service]
    Type=oneshot
    RemainAfterExit=yes
    ExecStart=/bin/sleep 100";
const STAY: &str = "[Service]\nExecStart=/bin/sleep 1d";

/// The scenarios of this topic.
pub const ALL: &[Scenario] = &[
    Scenario::new(
        "jobs/replace-cancels-the-conflicting-job",
        &[("@@a.service", SLOW)],
        ("--job-mode=replace", "--job-mode=fail"),
        |c| {
            c.ctl("start --no-block @@a.service")?;
            c.wait_show("@@a.service", "ActiveState", "activating")?;
            let listed = c.ctl("list-jobs --no-legend")?;
            let row = listed.lines().find(|l| l.contains(&c.text("@@a.service"))).unwrap_or("");
            let words: Vec<&str> = row.split_whitespace().skip(1).collect();
            equal("listed", &words, &[c.text("@@a.service").as_str(), "start", "running"])?;
            c.ctl("stop --job-mode=replace @@a.service")?;
            // The start was interrupted by a signal: for a oneshot that is a failure.
            equal(
                "state",
                &c.shows("@@a.service", &["ActiveState", "Result", "Job"])?,
                &["failed", "signal", ""],
            )
        },
    ),
    Scenario::new(
        "jobs/idle-waits-for-other-jobs-and-no-longer",
        &[
            (
                "@@slow.service",
                "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'sleep 1; echo slow >>/t/@@/log'",
            ),
            (
                "@@a.service",
                "[Service]\nType=idle\nExecStart=/bin/sh -c 'echo idle >>/t/@@/log; exec sleep 1d'",
            ),
        ],
        ("Type=idle", "Type=simple"),
        |c| {
            c.ctl("start --no-block @@slow.service @@a.service")?;
            c.until("both ran", || Ok(c.record().len() == 2))?;
            equal("order", &c.record(), &["slow", "idle"])?;
            // With no other job it waits for nothing; at most it would five seconds.
            let begin = std::time::Instant::now();
            c.ctl("restart @@a.service")?;
            c.until("it ran again", || Ok(c.record().len() == 3))?;
            check!(begin.elapsed().as_secs() < 4, "it took {:?}", begin.elapsed());
            Ok(())
        },
    )
    .alone(),
    Scenario::new(
        "jobs/fail-refuses-to-replace",
        &[("@@a.service", SLOW)],
        ("--job-mode=fail", "--job-mode=replace"),
        |c| {
            c.ctl("start --no-block @@a.service")?;
            // Queued it is inactive still.
            c.wait_show("@@a.service", "ActiveState", "activating")?;
            let said = c.fails("systemctl stop --job-mode=fail @@a.service")?;
            check!(said.contains("destructive"), "said {said}");
            equal("state", &c.show("@@a.service", "ActiveState")?, "activating")
        },
    ),
    Scenario::new(
        "jobs/replace-irreversibly-cannot-be-undone",
        &[("@@a.service", "[Service]\nExecStart=/bin/sleep 1d\nExecStop=/bin/sleep 2\nTimeoutStopSec=10")],
        ("--job-mode=replace-irreversibly", "--job-mode=replace"),
        |c| {
            c.ctl("start @@a.service")?;
            c.ctl("stop --no-block --job-mode=replace-irreversibly @@a.service")?;
            let said = c.fails("systemctl start @@a.service")?;
            check!(said.contains("destructive"), "said {said}");
            c.wait_show("@@a.service", "ActiveState", "inactive")?;
            c.ctl("start @@a.service")?;
            Ok(())
        },
    ),
    Scenario::new(
        "jobs/ignore-dependencies-starts-only-the-one",
        &[
            (
                "@@a.service",
                "[Unit]\nRequires=@@b.service\nAfter=@@b.service\n[Service]\nExecStart=/bin/sleep 1d",
            ),
            ("@@b.service", STAY),
        ],
        ("--job-mode=ignore-dependencies", "--job-mode=replace"),
        |c| {
            c.ctl("start --job-mode=ignore-dependencies @@a.service")?;
            equal("asked for", &c.show("@@a.service", "ActiveState")?, "active")?;
            equal("required", &c.show("@@b.service", "ActiveState")?, "inactive")
        },
    ),
    Scenario::new(
        "jobs/ignore-requirements-keeps-the-order-but-not-the-requirement",
        &[
            (
                "@@a.service",
                "[Unit]\nRequires=@@b.service\nAfter=@@b.service\n[Service]\nExecStart=/bin/sleep 1d",
            ),
            ("@@b.service", STAY),
        ],
        ("--job-mode=ignore-requirements", "--job-mode=fail"),
        |c| {
            c.ctl("start --job-mode=ignore-requirements @@a.service")?;
            equal("required", &c.show("@@b.service", "ActiveState")?, "inactive")
        },
    ),
    Scenario::new(
        "jobs/cancel-ends-the-job-and-tells-its-client",
        &[("@@a.service", SLOW)],
        ("systemctl cancel", "systemctl show"),
        |c| {
            let mut client = c.machine().spawn(&["systemctl", "start", &c.text("@@a.service")])?;
            c.until("the job", || {
                Ok(!c.show("@@a.service", "Job")?.is_empty() && c.has("@@a.service", "SubState", "start")?)
            })?;
            let job = c.show("@@a.service", "Job")?;
            c.ok(&format!("systemctl cancel {job}"))?;
            let status = client.wait(std::time::Duration::from_secs(3))?.ok_or("the client still waits")?;
            check!(!status.success(), "the client was told that it succeeded");
            equal("no job", &c.show("@@a.service", "Job")?, "")
        },
    ),
    Scenario::new(
        "jobs/isolate-stops-what-is-not-needed",
        &[
            (
                "@@only.target",
                "[Unit]\nAllowIsolate=yes\nRequires=basic.target\nAfter=basic.target\nWants=@@a.service",
            ),
            ("@@a.service", STAY),
            ("@@b.service", STAY),
            ("@@kept.service", "[Unit]\nIgnoreOnIsolate=yes\n[Service]\nExecStart=/bin/sleep 1d"),
        ],
        ("IgnoreOnIsolate=yes", ""),
        |c| {
            c.ctl("start @@b.service @@kept.service")?;
            c.ctl("isolate @@only.target")?;
            equal("wanted", &c.show("@@a.service", "ActiveState")?, "active")?;
            c.wait_show("@@b.service", "ActiveState", "inactive")?;
            c.wait_show("cron.service", "ActiveState", "inactive")?;
            equal("kept", &c.show("@@kept.service", "ActiveState")?, "active")?;
            let said = c.fails("systemctl isolate cron.service")?;
            check!(said.contains("may not be isolated"), "said {said}");
            Ok(())
        },
    )
    .alone(),
    Scenario::new(
        "jobs/restart-dependencies-restarts-those-who-depend",
        &[
            ("@@a.service", STAY),
            (
                "@@b.service",
                "[Unit]\nRequires=@@a.service\nAfter=@@a.service\n[Service]\nExecStart=/bin/sleep 1d",
            ),
        ],
        ("start --job-mode=restart-dependencies", "start --job-mode=replace"),
        |c| {
            c.ctl("start @@b.service")?;
            let before = c.show("@@b.service", "MainPID")?;
            c.ok("kill -9 $(systemctl show --value -p MainPID @@a.service)")?;
            c.wait_show("@@a.service", "ActiveState", "failed")?;
            equal(
                "the dependent before",
                &c.shows("@@b.service", &["ActiveState", "MainPID"])?,
                &["active", &before],
            )?;
            c.ctl("start --job-mode=restart-dependencies @@a.service")?;
            c.wait_show("@@b.service", "ActiveState", "active")?;
            check!(c.show("@@b.service", "MainPID")? != before, "MainPID is still {before}");
            Ok(())
        },
    ),
    Scenario::new(
        "jobs/conflicts-stops-the-other",
        &[
            ("@@a.service", STAY),
            ("@@b.service", "[Unit]\nConflicts=@@a.service\n[Service]\nExecStart=/bin/sleep 1d"),
        ],
        ("Conflicts=@@a.service", ""),
        |c| {
            c.ctl("start @@a.service")?;
            c.ctl("start @@b.service")?;
            c.wait_show("@@a.service", "ActiveState", "inactive")?;
            c.ctl("start @@a.service")?;
            c.wait_show("@@b.service", "ActiveState", "inactive")
        },
    ),
    Scenario::new(
        "jobs/try-restart-leaves-the-stopped-alone",
        &[("@@a.service", STAY), ("@@b.service", STAY)],
        ("try-restart", "restart"),
        |c| {
            c.ctl("start @@a.service")?;
            let before = c.show("@@a.service", "MainPID")?;
            c.ctl("try-restart @@a.service @@b.service")?;
            check!(c.show("@@a.service", "MainPID")? != before, "MainPID is still {before}");
            equal("the stopped one", &c.show("@@b.service", "ActiveState")?, "inactive")
        },
    ),
    Scenario::new(
        "jobs/units-that-are-not-there-are-neither-isolated-nor-held",
        &[],
        ("isolate @@-none.target", "start @@-none.target"),
        |c| {
            let said = c.fails("systemctl isolate @@-none.target")?;
            check!(said.contains("Operation refused, unit may not be isolated."), "it said {said:?}");
            let said = c.fails("systemctl freeze @@-none.service")?;
            check!(said.contains(&c.text("Unit @@-none.service not found.")), "it said {said:?}");
            Ok(())
        },
    ),
    Scenario::new(
        "jobs/none-run-on-a-frozen-unit",
        &[("@@a.service", "[Service]\nExecStart=/bin/sleep 1d\nSlice=@@.slice")],
        ("freeze @@", "thaw @@"),
        |c| {
            let frozen = |what: &str, by: &str| {
                equal(what, &c.shows("@@a.service", &["ActiveState", "FreezerState"])?, &["active", by])
            };
            c.ctl("start @@a.service")?;
            c.ctl("freeze @@a.service")?;
            frozen("frozen", "frozen")?;
            let before = c.show("@@a.service", "MainPID")?;
            c.fails("systemctl stop @@a.service")?;
            c.fails("systemctl restart @@a.service")?;
            frozen("after the jobs", "frozen")?;
            equal("main process", &c.show("@@a.service", "MainPID")?, &*before)?;
            c.ctl("start @@a.service")?;
            c.ctl("freeze @@.slice")?;
            c.ctl("thaw @@a.service")?;
            frozen("in a frozen slice", "frozen-by-parent")?;
            c.fails("systemctl stop @@a.service")?;
            c.ctl("thaw @@.slice")?;
            frozen("thawed", "running")?;
            c.ctl("stop @@a.service").map(drop)
        },
    ),
    Scenario::new(
        "jobs/what-cannot-be-frozen-is-not",
        &[("@@a.service", STAY), ("@@b.service", STAY)],
        ("basic.target", "@@b.service"),
        |c| {
            c.ctl("start @@b.service")?;
            for unit in ["init.scope", "-.slice", "system.slice", "basic.target", "@@a.service"] {
                c.fails(&format!("systemctl freeze -- {unit}"))?;
                let state = c.ctl(&format!("show --value -p FreezerState -- {unit}"))?;
                equal(unit, &*state, "running")?;
            }
            Ok(())
        },
    ),
];
