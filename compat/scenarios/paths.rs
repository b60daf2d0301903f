//! Paths: what each condition reacts to, and what it does not.

use runstead_compat::check;
use runstead_compat::scenario::{Scenario, equal};

const NOTE: &str = "[Service]
    Type=oneshot
    ExecStart=/bin/sh -c 'echo $TRIGGER_UNIT $TRIGGER_PATH >>/t/@@/log'";

/// The scenarios of this topic.
pub const ALL: &[Scenario] = &[
    Scenario::new(
        "paths/exists-starts-when-the-path-appears",
        &[
            ("@@a.path", "[Path]\nPathExists=/t/@@/deep/er/flag"),
            ("@@a.service", "[Service]\nRemainAfterExit=yes\nType=oneshot\nExecStart=/bin/sh -c 'echo $TRIGGER_PATH >>/t/@@/log'"),
        ],
        ("PathExists=/t/@@/deep/er/flag", "PathExists=/t/@@/deep/er/flog"),
        |c| {
            c.ctl("start @@a.path")?;
            equal("path", &c.shows("@@a.path", &["ActiveState", "SubState"])?, &["active", "waiting"])?;
            c.ok("mkdir -p /t/@@/deep/er")?;
            c.rest(150);
            equal("record before", &c.record(), &[] as &[&str])?;
            c.ok("mkdir /t/@@/deep/er/flag")?;
            equal("record", &c.wait_record(1)?, &["/t/@@/deep/er/flag"])?;
            c.wait_show("@@a.path", "SubState", "running")
        },
    ),
    Scenario::new(
        "paths/exists-glob-matches-a-pattern",
        &[("@@a.path", "[Path]\nPathExistsGlob=/t/@@/in-*.job"), ("@@a.service", "[Service]\nExecStart=/bin/sleep 1d")],
        ("in-*.job", "on-*.job"),
        |c| {
            c.ctl("start @@a.path")?;
            c.ok("touch /t/@@/in-1.txt")?;
            c.rest(150);
            equal("before", &c.show("@@a.service", "ActiveState")?, "inactive")?;
            c.ok("touch /t/@@/in-2.job")?;
            c.wait_show("@@a.service", "ActiveState", "active")
        },
    ),
    Scenario::new(
        "paths/changed-waits-for-the-writer-to-close",
        &[("@@a.path", "[Path]\nPathChanged=/t/@@/file"), ("@@a.service", NOTE), ("/t/@@/file", "")],
        ("PathChanged", "PathModified"),
        |c| {
            c.ctl("start @@a.path")?;
            let writer = c.text("exec >>/t/@@/file; echo x; sleep 0.6; [ -e /t/@@/log ] && echo too early >/t/@@/early");
            c.ok(&writer).or_else(|_| Ok::<_, String>(String::new()))?;
            equal("record", &c.wait_record(1)?, &["@@a.path /t/@@/file"])?;
            check!(!c.exists("/t/@@/early"), "it ran before the writer closed the file");
            Ok(())
        },
    ),
    Scenario::new(
        "paths/modified-reacts-to-each-write",
        &[("@@a.path", "[Path]\nPathModified=/t/@@/file"), ("@@a.service", NOTE), ("/t/@@/file", "")],
        ("PathModified", "PathChanged"),
        |c| {
            c.ctl("start @@a.path")?;
            let writer = c.machine().spawn(&["sh", "-c", &c.text("exec >>/t/@@/file; echo x; sleep 30")])?;
            equal("record", &c.wait_record(1)?, &["@@a.path /t/@@/file"])?;
            drop(writer);
            Ok(())
        },
    ),
    Scenario::new(
        "paths/directory-not-empty-starts-again-until-it-is-empty",
        &[
            ("@@a.path", "[Path]\nDirectoryNotEmpty=/t/@@/spool\nMakeDirectory=yes\nDirectoryMode=0750"),
            (
                "@@a.service",
                "[Service]
                Type=oneshot
                ExecStart=/bin/sh -c 'sleep 0.5; for f in /t/@@/spool/*; do rm $f; echo $${f##*/} >>/t/@@/log; break; done'",
            ),
        ],
        ("DirectoryNotEmpty=", "PathChanged="),
        |c| {
            c.ctl("start @@a.path")?;
            equal("made", &c.ok("stat -c '%F %a' /t/@@/spool")?, "directory 750")?;
            c.ok("mkdir /t/@@/two && touch /t/@@/two/1 /t/@@/two/2 && mv /t/@@/two/1 /t/@@/spool && mv /t/@@/two/2 /t/@@/spool")?;
            equal("record", &c.wait_record(2)?, &["1", "2"])?;
            c.wait_show("@@a.path", "SubState", "waiting")
        },
    ),
    Scenario::new(
        "paths/trigger-limit-fails-the-path",
        &[
            ("@@a.path", "[Path]\nPathExists=/t/@@/flag\nTriggerLimitBurst=4\nTriggerLimitIntervalSec=100"),
            (
                "@@a.service",
                "[Unit]\nStartLimitBurst=1000\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo run >>/t/@@/log'",
            ),
        ],
        ("TriggerLimitBurst=4", "TriggerLimitBurst=6"),
        |c| {
            c.ctl("start @@a.path")?;
            c.ok("touch /t/@@/flag")?;
            c.wait_show("@@a.path", "ActiveState", "failed")?;
            equal("result", &c.show("@@a.path", "Result")?, "trigger-limit-hit")?;
            equal("runs", &c.record().len(), &4)
        },
    ),
];
