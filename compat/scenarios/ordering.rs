//! Ordering: `After=`, `Before=`, their absence, and their reversal when stopping.

use runstead_compat::check;
use runstead_compat::scenario::{Scenario, equal};

/// The scenarios of this topic.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "ordering/after-waits-for-start-to-finish",
        files: &[
            (
                "@@a.service",
                "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'sleep 0.3; echo a >>/t/@@/log'\n",
            ),
            (
                "@@b.service",
                "[Unit]\nRequires=@@a.service\nAfter=@@a.service\n[Service]\nType=oneshot\n\
                 ExecStart=/bin/sh -c 'echo b >>/t/@@/log'\n",
            ),
        ],
        run: |c| {
            c.ctl("start @@b.service")?;
            equal("record", &c.wait_record(2)?, &["a", "b"])
        },
        sabotage: ("After=@@a.service", ""),
        own_machine: false,
    },
    Scenario {
        name: "ordering/before-is-the-inverse-of-after",
        files: &[
            (
                "@@late.service",
                "[Unit]\nWants=@@early.service\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo late >>/t/@@/log'\n",
            ),
            (
                "@@early.service",
                "[Unit]\nBefore=@@late.service\n[Service]\nType=oneshot\n\
                 ExecStart=/bin/sh -c 'sleep 0.3; echo early >>/t/@@/log'\n",
            ),
        ],
        run: |c| {
            c.ctl("start @@late.service")?;
            equal("record", &c.wait_record(2)?, &["early", "late"])?;
            let after = c.show("@@late.service", "After")?;
            check!(
                after.contains(&c.text("@@early.service")),
                "After={after} does not name the early service"
            );
            Ok(())
        },
        sabotage: ("Before=@@late.service", ""),
        own_machine: false,
    },
    Scenario {
        name: "ordering/stop-runs-in-reverse",
        files: &[
            (
                "@@a.service",
                "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\nExecStop=/bin/sh -c 'echo a >>/t/@@/log'\n",
            ),
            (
                "@@b.service",
                "[Unit]\nRequires=@@a.service\nAfter=@@a.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\n\
                 ExecStart=/bin/true\nExecStop=/bin/sh -c 'sleep 0.3; echo b >>/t/@@/log'\n",
            ),
        ],
        run: |c| {
            c.ctl("start @@b.service")?;
            c.ctl("stop @@a.service")?;
            equal("record", &c.wait_record(2)?, &["b", "a"])
        },
        sabotage: ("After=@@a.service", ""),
        own_machine: false,
    },
    Scenario {
        name: "ordering/unordered-units-run-side-by-side",
        files: &[
            ("@@all.target", "[Unit]\nWants=@@a.service @@b.service\n"),
            (
                "@@a.service",
                "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo a-in >>/t/@@/log; sleep 0.8; echo a-out >>/t/@@/log'\n",
            ),
            (
                "@@b.service",
                "[Unit]\nDescription=parallel\n[Service]\nType=oneshot\n\
                 ExecStart=/bin/sh -c 'echo b-in >>/t/@@/log; sleep 0.8; echo b-out >>/t/@@/log'\n",
            ),
        ],
        run: |c| {
            c.ctl("start @@all.target")?;
            let record = c.wait_record(4)?;
            let mut first: Vec<&str> = record.iter().take(2).map(String::as_str).collect();
            first.sort_unstable();
            equal("who began before anyone ended", &first, &["a-in", "b-in"])
        },
        sabotage: ("Description=parallel", "After=@@a.service"),
        own_machine: false,
    },
    Scenario {
        name: "ordering/target-waits-for-what-it-wants",
        files: &[
            ("@@all.target", "[Unit]\nWants=@@a.service\n"),
            (
                "@@a.service",
                "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'sleep 0.4; echo a >>/t/@@/log'\n",
            ),
        ],
        run: |c| {
            c.ctl("start @@all.target")?;
            equal(
                "state of the wanted service once its target is up",
                &c.show("@@a.service", "ActiveState")?,
                "active",
            )?;
            equal("record", &c.record(), &["a"])
        },
        sabotage: ("Wants=@@a.service", "Wants=@@a.service\nDefaultDependencies=no"),
        own_machine: false,
    },
];
