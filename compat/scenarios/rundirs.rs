//! `RuntimeDirectory=`: what is made, whose it is, and when it goes.

use runstead_compat::scenario::{Scenario, equal};

/// The scenarios of this topic.
pub const ALL: &[Scenario] = &[
    Scenario::new(
        "rundirs/modes-owners-nested-names-and-links",
        &[(
            "@@a.service",
            "[Service]
            Type=exec
            User=daemon
            UMask=0077
            RuntimeDirectory=@@ @@/b:@@link @@c/d/e
            RuntimeDirectoryMode=0751
            ExecStart=/bin/sh -c 'echo $RUNTIME_DIRECTORY >>/t/@@/log; exec sleep 1d'",
        )],
        ("RuntimeDirectoryMode=0751", ""),
        |c| {
            c.ok("chmod 1777 /t/@@")?;
            c.ctl("start @@a.service")?;
            c.until("the record", || Ok(!c.record().is_empty()))?;
            equal("record", &c.record(), &["/run/@@:/run/@@/b:/run/@@c/d/e"])?;
            let line = "cd /run; stat -c '%n %a %U %G' @@ @@/b @@c @@c/d @@c/d/e; readlink @@link";
            let made = "@@ 751 daemon daemon\n@@/b 751 daemon daemon\n@@c 755 root root\n@@c/d 755 root root\n\
                @@c/d/e 751 daemon daemon\n@@/b";
            equal("made", &c.ok(line)?, &c.text(made))?;
            c.ctl("stop @@a.service")?;
            equal("left", &c.ok("cd /run; find . -path './@@*' | sort")?, &c.text("./@@c\n./@@c/d"))
        },
    ),
    Scenario::new(
        "rundirs/the-first-to-stop-removes-a-shared-one",
        &[
            ("@@a.service", "[Service]\nType=exec\nRuntimeDirectory=@@\nExecStart=/bin/sleep 1d"),
            ("@@b.service", "[Service]\nType=exec\nRuntimeDirectory=@@ @@/b\nExecStart=/bin/sleep 1d"),
        ],
        ("RuntimeDirectory=@@\n", "RuntimeDirectory=@@\nRuntimeDirectoryPreserve=yes\n"),
        |c| {
            c.ctl("start @@a.service @@b.service")?;
            c.ok("touch /run/@@/a /run/@@/b/b")?;
            c.ctl("stop @@a.service")?;
            equal("there after one has stopped", &c.exists("/run/@@"), &false)?;
            equal("the other", &c.show("@@b.service", "ActiveState")?, "active")?;
            c.ctl("restart @@b.service")?;
            equal("made again", &c.exists("/run/@@/b"), &true)?;
            c.ctl("stop @@b.service")?;
            equal("left", &c.exists("/run/@@"), &false)
        },
    ),
    Scenario::new(
        "rundirs/kept-over-a-restart-only",
        &[(
            "@@a.service",
            "[Service]
            Type=exec
            RuntimeDirectory=@@:@@link
            RuntimeDirectoryPreserve=restart
            ExecStart=/bin/sleep 1d",
        )],
        ("RuntimeDirectoryPreserve=restart", "RuntimeDirectoryPreserve=no"),
        |c| {
            c.ctl("start @@a.service")?;
            c.ok("touch /run/@@/a")?;
            c.ctl("restart @@a.service")?;
            equal("kept", &c.exists("/run/@@/a"), &true)?;
            equal("the link", &c.ok("readlink /run/@@link")?, &c.text("@@"))?;
            c.ctl("stop @@a.service")?;
            equal("left", &c.ok("cd /run; ls -d @@* || true")?, "")
        },
    ),
    Scenario::new(
        "rundirs/kept-always",
        &[(
            "@@a.service",
            "[Service]\nType=exec\nRuntimeDirectory=@@:@@link\nRuntimeDirectoryPreserve=yes\nExecStart=/bin/sleep 1d",
        )],
        ("RuntimeDirectoryPreserve=yes", "RuntimeDirectoryPreserve=restart"),
        |c| {
            c.ctl("start @@a.service")?;
            c.ok("touch /run/@@/a")?;
            c.ctl("stop @@a.service")?;
            equal(
                "left",
                &c.ok("cd /run; ls -d @@* @@/a; readlink @@link")?,
                &c.text("@@\n@@/a\n@@link\n@@"),
            )?;
            c.ctl("clean --what=runtime @@a.service")?;
            equal("after a cleaning", &c.ok("cd /run; ls -d @@* || true")?, "")
        },
    ),
    Scenario::new(
        "rundirs/one-that-is-there-is-given-with-its-content",
        &[(
            "@@a.service",
            "[Service]
            Type=exec
            User=daemon
            RuntimeDirectory=@@
            RuntimeDirectoryMode=0750
            ExecStart=/bin/sleep 1d",
        )],
        ("User=daemon", "User=mail"),
        |c| {
            c.ok("mkdir -m 777 -p /run/@@/a; touch /run/@@/a/b; chown 3:3 /run/@@/a/b; ln -s /t/@@ /run/@@/l; touch /t/@@/mine")?;
            c.ctl("start @@a.service")?;
            let found = c.ok("cd /run/@@; stat -c '%n %a %U %G' . a a/b l; stat -c %U /t/@@ /t/@@/mine")?;
            let wanted = ". 750 daemon daemon\na 777 daemon daemon\na/b 644 daemon daemon\nl 777 daemon daemon\nroot\nroot";
            equal("given", &found, wanted)
        },
    ),
    Scenario::new(
        "rundirs/a-link-in-its-place-is-not-followed",
        &[
            (
                "@@a.service",
                "[Service]\nType=exec\nUser=daemon\nRuntimeDirectory=@@\nExecStart=/bin/sleep 1d",
            ),
            (
                "@@b.service",
                "[Service]\nType=exec\nUser=daemon\nRuntimeDirectory=@@b:@@link\nExecStart=/bin/sleep 1d",
            ),
        ],
        ("RuntimeDirectory=@@\n", "RuntimeDirectory=@@x\n"),
        |c| {
            c.ok("mkdir -m 755 /t/@@/aim; touch /t/@@/aim/kept; ln -s /t/@@/aim /run/@@; mkdir /run/@@link; touch /run/@@link/kept")?;
            c.fails("systemctl start @@a.service")?;
            equal("why", &c.shows("@@a.service", &["Result", "ExecMainStatus"])?, &["exit-code", "233"])?;
            equal("aim", &c.ok("stat -c '%a %U' /t/@@/aim; ls /t/@@/aim")?, "755 root\nkept")?;
            let _ = c.run("systemctl start @@b.service; systemctl stop @@b.service")?;
            equal("what is in a link's place", &c.ok("ls /run/@@link")?, "kept")
        },
    ),
    Scenario::new(
        "rundirs/a-state-directory-comes-back-from-a-dynamic-user",
        &[
            (
                "@@a.service",
                "[Service]\nType=oneshot\nDynamicUser=yes\nStateDirectory=@@\nExecStart=/bin/touch /var/lib/@@/kept",
            ),
            ("@@b.service", "[Service]\nType=oneshot\nUser=daemon\nStateDirectory=@@\nExecStart=/bin/true"),
        ],
        ("User=daemon", "User=mail"),
        |c| {
            c.ctl("start @@a.service")?;
            c.ctl("start @@b.service")?;
            let found = c.ok("cd /var/lib; stat -c '%F %U' @@ @@/kept; ls private | grep @@ || true")?;
            equal("moved", &found, "directory daemon\nregular empty file daemon")
        },
    ),
    Scenario::new(
        "rundirs/links-of-root-on-the-way-are-followed-back",
        &[
            (
                "@@a.service",
                "[Service]
                Type=exec
                User=daemon
                RuntimeDirectory=@@/sub @@/sub/in
                ExecStart=/bin/sleep 1d",
            ),
            (
                "@@b.service",
                "[Service]
                Type=exec
                User=daemon
                RuntimeDirectory=@@b/sub
                ExecStart=/bin/sleep 1d",
            ),
        ],
        ("RuntimeDirectory=@@", "RuntimeDirectoryPreserve=yes\nRuntimeDirectory=@@"),
        |c| {
            // One leads out of /run, the other to another place in it.
            c.ok("mkdir /t/@@/data /run/@@aim; ln -s /t/@@/data /run/@@; ln -s @@aim /run/@@b")?;
            c.ctl("start @@a.service @@b.service")?;
            c.ok("touch /t/@@/data/sub/in/file /t/@@/data/kept /run/@@aim/sub/file; mkdir /run/@@aim/kept")?;
            equal("whose", &c.ok("stat -c %U /t/@@/data/sub/in /run/@@aim/sub")?, "daemon\ndaemon")?;
            c.ctl("stop @@a.service @@b.service")?;
            equal(
                "left",
                &c.ok("ls /t/@@/data; ls /run/@@aim; readlink /run/@@ /run/@@b")?,
                &c.text("kept\nsub\nkept\n/t/@@/data\n@@aim"),
            )?;
            // What is on a disk goes only when that is asked for.
            c.ctl("clean --what=runtime @@a.service")?;
            equal("cleaned", &c.ok("ls /t/@@/data")?, "kept")
        },
    ),
    Scenario::new(
        "rundirs/links-of-root-on-the-way-are-followed",
        &[(
            "@@a.service",
            "[Service]
            Type=oneshot
            User=daemon
            StateDirectory=@@/in
            ExecStart=/bin/touch /var/lib/@@/in/kept",
        )],
        ("StateDirectory=@@/in", "StateDirectory=@@x/in"),
        |c| {
            c.ok("mkdir /t/@@/data; ln -s /t/@@/data /var/lib/@@")?;
            c.ctl("start @@a.service")?;
            equal(
                "made",
                &c.ok("stat -c '%n %U' /t/@@/data /t/@@/data/in")?,
                &c.text("/t/@@/data root\n/t/@@/data/in daemon"),
            )
        },
    ),
];
