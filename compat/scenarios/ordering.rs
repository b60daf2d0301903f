//! Ordering: `After=`, `Before=`, their absence, and their reversal when stopping.

use runstead_compat::check;
use runstead_compat::scenario::{Scenario, equal};

/// The scenarios of this topic.
pub const ALL: &[Scenario] = &[
    Scenario::new(
        "ordering/after-waits-for-start-to-finish",
        &[
            (
                "@@a.service",
                "[Service]
                Type=oneshot
                ExecStart=/bin/sh -c 'sleep 0.3; echo a >>/t/@@/log'",
            ),
            (
                "@@b.service",
                "[Unit]
                Requires=@@a.service
                After=@@a.service
                [Service]
                Type=oneshot
                ExecStart=/bin/sh -c 'echo b >>/t/@@/log'",
            ),
        ],
        ("After=@@a.service", ""),
        |c| {
            c.ctl("start @@b.service")?;
            equal("record", &c.wait_record(2)?, &["a", "b"])
        },
    ),
    Scenario::new(
        "ordering/before-is-the-inverse-of-after",
        &[
            (
                "@@late.service",
                "[Unit]
                Wants=@@early.service
                [Service]
                Type=oneshot
                ExecStart=/bin/sh -c 'echo late >>/t/@@/log'",
            ),
            (
                "@@early.service",
                "[Unit]
                Before=@@late.service
                [Service]
                Type=oneshot
                ExecStart=/bin/sh -c 'sleep 0.3; echo early >>/t/@@/log'",
            ),
        ],
        ("Before=@@late.service", ""),
        |c| {
            c.ctl("start @@late.service")?;
            equal("record", &c.wait_record(2)?, &["early", "late"])?;
            let after = c.show("@@late.service", "After")?;
            check!(
                after.contains(&c.text("@@early.service")),
                "After={after} does not name the early service"
            );
            Ok(())
        },
    ),
    Scenario::new(
        "ordering/stop-runs-in-reverse",
        &[
            (
                "@@a.service",
                "[Service]
                Type=oneshot
                RemainAfterExit=yes
                ExecStart=/bin/true
                ExecStop=/bin/sh -c 'echo a >>/t/@@/log'",
            ),
            (
                "@@b.service",
                "[Unit]
                Requires=@@a.service
                After=@@a.service
                [Service]
                Type=oneshot
                RemainAfterExit=yes
                ExecStart=/bin/true
                ExecStop=/bin/sh -c 'sleep 0.3; echo b >>/t/@@/log'",
            ),
        ],
        ("After=@@a.service", ""),
        |c| {
            c.ctl("start @@b.service")?;
            c.ctl("stop @@a.service")?;
            equal("record", &c.wait_record(2)?, &["b", "a"])
        },
    ),
    Scenario::new(
        "ordering/unordered-units-run-side-by-side",
        &[
            ("@@all.target", "[Unit]\nWants=@@a.service @@b.service"),
            (
                "@@a.service",
                "[Service]
                Type=oneshot
                ExecStart=/bin/sh -c 'echo a-in >>/t/@@/log; sleep 0.8; echo a-out >>/t/@@/log'",
            ),
            (
                "@@b.service",
                "[Unit]
                Description=parallel
                [Service]
                Type=oneshot
                ExecStart=/bin/sh -c 'echo b-in >>/t/@@/log; sleep 0.8; echo b-out >>/t/@@/log'",
            ),
        ],
        ("Description=parallel", "After=@@a.service"),
        |c| {
            c.ctl("start @@all.target")?;
            let record = c.wait_record(4)?;
            let mut first: Vec<&str> = record.iter().take(2).map(String::as_str).collect();
            first.sort_unstable();
            equal("who began before anyone ended", &first, &["a-in", "b-in"])
        },
    ),
    Scenario::new(
        "ordering/target-waits-for-what-it-wants",
        &[
            ("@@all.target", "[Unit]\nWants=@@a.service"),
            (
                "@@a.service",
                "[Unit]
                Description=waited for
                [Service]
                Type=oneshot
                RemainAfterExit=yes
                ExecStart=/bin/sh -c 'sleep 0.4; echo a >>/t/@@/log'",
            ),
        ],
        ("Description=waited for", "DefaultDependencies=no"),
        |c| {
            c.ctl("start @@all.target")?;
            equal(
                "the wanted service once its target is up",
                &c.show("@@a.service", "ActiveState")?,
                "active",
            )?;
            equal("record", &c.record(), &["a"])
        },
    ),
    Scenario::new(
        "ordering/failed-requirement-stops-what-is-ordered-after-it",
        &[
            ("@@a.service", "[Service]\nType=oneshot\nExecStart=/bin/false"),
            (
                "@@b.service",
                "[Unit]
                Requires=@@a.service
                After=@@a.service
                [Service]
                Type=oneshot
                RemainAfterExit=yes
                ExecStart=/bin/sh -c 'echo b >>/t/@@/log'",
            ),
        ],
        ("Requires=", "Wants="),
        |c| {
            let said = c.fails("systemctl start @@b.service")?;
            check!(said.contains("dependency"), "said: {said}");
            equal("states", &c.shows("@@b.service", &["ActiveState", "SubState"])?, &["inactive", "dead"])?;
            equal(
                "the requirement",
                &c.shows("@@a.service", &["ActiveState", "Result"])?,
                &["failed", "exit-code"],
            )?;
            equal("record", &c.record(), &[] as &[&str])
        },
    ),
    Scenario::new(
        "ordering/cycle-is-broken-by-dropping-a-wanted-job",
        &[
            ("@@top.target", "[Unit]\nWants=@@a.service\nRequires=@@b.service"),
            (
                "@@a.service",
                "[Unit]
                After=@@b.service
                [Service]
                Type=oneshot
                RemainAfterExit=yes
                ExecStart=/bin/sh -c 'echo a >>/t/@@/log'",
            ),
            (
                "@@b.service",
                "[Unit]
                After=@@a.service
                [Service]
                Type=oneshot
                RemainAfterExit=yes
                ExecStart=/bin/sh -c 'echo b >>/t/@@/log'",
            ),
        ],
        ("After=@@a.service", ""),
        |c| {
            c.ctl("start @@top.target")?;
            equal("record", &c.record(), &["b"])?;
            equal("the dropped one", &c.show("@@a.service", "ActiveState")?, "inactive")
        },
    ),
];
