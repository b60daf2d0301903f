//! Mounts: units that mount, mounts that become units, what waits for them, and automounts.

use runstead_compat::check;
use runstead_compat::scenario::{Scenario, equal};

/// The scenarios of this topic.
pub const ALL: &[Scenario] = &[
    Scenario::new(
        "mounts/tmpfs-with-its-options",
        &[(
            "mnt-@@.mount",
            "[Mount]\nWhat=tmpfs\nWhere=/mnt/@@\nType=tmpfs\nOptions=size=1m,mode=700,nosuid\nDirectoryMode=0711",
        )],
        ("mode=700,nosuid", "mode=755"),
        |c| {
            c.ctl("start mnt-@@.mount")?;
            let row = c.ok("findmnt -n -o FSTYPE,OPTIONS /mnt/@@")?;
            check!(
                row.starts_with("tmpfs") && row.contains("nosuid") && row.contains("size=1024k"),
                "mounted as {row}"
            );
            equal("mode", &c.ok("stat -c %a /mnt/@@")?, "700")?;
            equal(
                "shown",
                &c.shows("mnt-@@.mount", &["ActiveState", "SubState", "Result"])?,
                &["active", "mounted", "success"],
            )?;
            c.ctl("stop mnt-@@.mount")?;
            c.fails("mountpoint -q /mnt/@@")?;
            equal("after", &c.show("mnt-@@.mount", "SubState")?, "dead")?;
            equal("mode of the mount point", &c.ok("stat -c %a /mnt/@@")?, "711")
        },
    ),
    Scenario::new(
        "mounts/bind-shows-the-same-files",
        &[
            ("mnt-@@.mount", "[Mount]\nWhat=/t/@@/from\nWhere=/mnt/@@\nType=none\nOptions=bind,ro"),
            ("/t/@@/from/file", "text"),
        ],
        ("bind,ro", "bind"),
        |c| {
            c.ctl("start mnt-@@.mount")?;
            equal("file", &c.ok("cat /mnt/@@/file")?, "text")?;
            c.fails("touch /mnt/@@/other")?;
            c.ctl("stop mnt-@@.mount")?;
            check!(!c.exists("/mnt/@@/file"), "still mounted");
            Ok(())
        },
    ),
    Scenario::new(
        "mounts/bind-of-a-file",
        &[
            ("/t/@@/file", "text"),
            ("/mnt/@@/there", "below"),
            (
                "mnt-@@-deep-file.mount",
                "[Mount]\nWhat=/t/@@/file\nWhere=/mnt/@@/deep/file\nType=none\nOptions=bind\nDirectoryMode=0700",
            ),
            ("mnt-@@-there.mount", "[Mount]\nWhat=/t/@@/file\nWhere=/mnt/@@/there\nType=none\nOptions=bind"),
            (
                "mnt-@@-a-missing.mount",
                "[Mount]\nWhat=/t/@@/new\nWhere=/mnt/@@/a/missing\nType=none\nOptions=bind\nDirectoryMode=1777",
            ),
            ("mnt-@@-there-x.mount", "[Mount]\nWhat=tmpfs\nWhere=/mnt/@@/there/x\nType=tmpfs"),
        ],
        ("What=/t/@@/file", "What=/t/@@/dir"),
        |c| {
            c.ctl("start mnt-@@-deep-file.mount mnt-@@-there.mount mnt-@@-a-missing.mount")?;
            equal("files", &c.ok("cat /mnt/@@/deep/file /mnt/@@/there")?, "text\ntext")?;
            c.ctl("stop mnt-@@-deep-file.mount mnt-@@-there.mount mnt-@@-a-missing.mount")?;
            let stat = c.ok("stat -c '%a %F' /mnt/@@/deep /mnt/@@/deep/file")?;
            equal("mount point", &stat, "755 directory\n644 regular empty file")?;
            let made = c.ok("stat -c '%a %F' /t/@@/new /mnt/@@/a /mnt/@@/a/missing")?;
            equal("directories", &made, "1777 directory\n1777 directory\n1777 directory")?;
            equal("what was there", &c.ok("cat /mnt/@@/there")?, "below")?;
            c.fails("systemctl start mnt-@@-there-x.mount")?;
            // The mount point cannot be made; that it cannot be mounted mount(8) says.
            equal("result", &c.show("mnt-@@-there-x.mount", "Result")?, "exit-code")
        },
    ),
    Scenario::new(
        "mounts/requires-mounts-for-pulls-in-and-waits",
        &[
            ("mnt-@@.mount", "[Mount]\nWhat=tmpfs\nWhere=/mnt/@@\nType=tmpfs"),
            (
                "@@a.service",
                "[Unit]
                RequiresMountsFor=/mnt/@@/deep/file
                [Service]
                Type=oneshot
                RemainAfterExit=yes
                ExecStart=/bin/sh -c 'mountpoint -q /mnt/@@ && echo mounted >>/t/@@/log'",
            ),
        ],
        ("RequiresMountsFor=", "Documentation=file://"),
        |c| {
            c.ctl("start @@a.service")?;
            equal("record", &c.record(), &["mounted"])?;
            c.ctl("stop mnt-@@.mount")?;
            equal("service after the mount is gone", &c.show("@@a.service", "ActiveState")?, "inactive")
        },
    ),
    Scenario::new(
        "mounts/foreign-mounts-and-unmounts-are-seen",
        &[("/mnt/@@/nothing", "")],
        ("mount -t tmpfs -o size=2m foreign", "true"),
        |c| {
            c.ok("mount -t tmpfs -o size=2m foreign /mnt/@@")?;
            c.wait_show("mnt-@@.mount", "ActiveState", "active")?;
            let shown = c.shows("mnt-@@.mount", &["SubState", "What", "Where", "Type", "FragmentPath"])?;
            equal("shown", &shown, &["mounted", "foreign", &c.text("/mnt/@@"), "tmpfs", ""])?;
            c.ok("umount /mnt/@@")?;
            c.wait_show("mnt-@@.mount", "ActiveState", "inactive")
        },
    ),
    Scenario::new(
        "mounts/bound-service-stops-with-a-foreign-unmount",
        &[
            ("mnt-@@.mount", "[Mount]\nWhat=tmpfs\nWhere=/mnt/@@\nType=tmpfs"),
            (
                "@@a.service",
                "[Unit]\nBindsTo=mnt-@@.mount\nAfter=mnt-@@.mount\n[Service]\nExecStart=/bin/sleep 1d",
            ),
        ],
        ("BindsTo=", "Wants="),
        |c| {
            c.ctl("start @@a.service")?;
            c.ok("mountpoint -q /mnt/@@")?;
            c.ok("umount /mnt/@@")?;
            c.wait_show("@@a.service", "ActiveState", "inactive")
        },
    ),
    Scenario::new(
        "mounts/what-cannot-be-mounted-fails",
        &[("mnt-@@.mount", "[Mount]\nWhat=tmpfs\nWhere=/mnt/@@\nType=nosuchfs")],
        ("Type=nosuchfs", "Type=tmpfs"),
        |c| {
            c.fails("systemctl start mnt-@@.mount")?;
            let shown = c.shows("mnt-@@.mount", &["ActiveState", "SubState", "Result"])?;
            equal("shown", &shown, &["failed", "failed", "exit-code"])
        },
    ),
    Scenario::new(
        "mounts/unit-name-must-be-the-path",
        &[("mnt-@@x.mount", "[Mount]\nWhat=tmpfs\nWhere=/mnt/@@y\nType=tmpfs")],
        ("Where=/mnt/@@y", "Where=/mnt/@@x"),
        |c| {
            c.fails("systemctl start mnt-@@x.mount")?;
            equal("load state", &c.show("mnt-@@x.mount", "LoadState")?, "bad-setting")
        },
    ),
    Scenario::new(
        "mounts/automount-mounts-on-access",
        &[
            ("mnt-@@.automount", "[Automount]\nWhere=/mnt/@@"),
            ("mnt-@@.mount", "[Mount]\nWhat=tmpfs\nWhere=/mnt/@@\nType=tmpfs\nOptions=size=1m"),
        ],
        ("systemctl start mnt-@@.automount", "mkdir -p /mnt/@@"),
        |c| {
            c.ok("systemctl start mnt-@@.automount")?;
            equal(
                "automount",
                &c.shows("mnt-@@.automount", &["ActiveState", "SubState"])?,
                &["active", "waiting"],
            )?;
            equal("mount before", &c.show("mnt-@@.mount", "ActiveState")?, "inactive")?;
            c.ok("ls /mnt/@@/")?;
            equal("mount after", &c.show("mnt-@@.mount", "ActiveState")?, "active")?;
            equal("automount after", &c.show("mnt-@@.automount", "SubState")?, "running")?;
            c.ctl("stop mnt-@@.automount")?;
            c.fails("findmnt /mnt/@@")?;
            Ok(())
        },
    ),
    Scenario::new(
        "mounts/automount-unmounts-when-idle",
        &[
            ("mnt-@@.automount", "[Automount]\nWhere=/mnt/@@\nTimeoutIdleSec=1"),
            ("mnt-@@.mount", "[Mount]\nWhat=tmpfs\nWhere=/mnt/@@\nType=tmpfs\nOptions=size=1m"),
        ],
        ("TimeoutIdleSec=1", ""),
        |c| {
            c.ctl("start mnt-@@.automount")?;
            c.ok("ls /mnt/@@/")?;
            equal("mounted", &c.show("mnt-@@.mount", "ActiveState")?, "active")?;
            c.wait_show("mnt-@@.mount", "ActiveState", "inactive")?;
            equal("automount", &c.show("mnt-@@.automount", "SubState")?, "waiting")
        },
    ),
];
