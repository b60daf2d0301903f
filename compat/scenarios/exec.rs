//! The environment a process is started in.

use runstead_compat::check;
use runstead_compat::scenario::{Scenario, equal};

/// Makes a terminal that is nobody's, and keeps it.
const TERMINAL: &str = r#"#!/usr/bin/python3
import os
master, slave = os.openpty()
os.symlink(os.ttyname(slave), "/t/@@/tty")
os.close(slave)
while True:
    try:
        os.read(master, 1000)
    except OSError:
        __import__("time").sleep(0.05)
"#;

/// The scenarios of this topic.
pub const ALL: &[Scenario] = &[
    Scenario::new(
        "exec/user-group-and-their-environment",
        &[(
            "@@a.service",
            "[Service]
            Type=oneshot
            User=daemon
            Group=adm
            SupplementaryGroups=mail
            UMask=0027
            ExecStart=/bin/sh -c '{ id -un; id -gn; id -Gn; echo $USER $HOME $LOGNAME; umask; } >>/t/@@/log'",
        )],
        ("Group=adm", ""),
        |c| {
            c.ctl("start @@a.service")?;
            equal("record", &c.record(), &["daemon", "adm", "adm mail", "daemon /usr/sbin daemon", "0027"])
        },
    ),
    Scenario::new(
        "exec/environment-from-its-sources",
        &[
            ("/t/@@/env", "# comment\nFROM_FILE=file value\nBOTH='from file'\n"),
            (
                "@@a.service",
                "[Service]
                Type=oneshot
                Environment=\"ONE=a b\" TWO=%n BOTH=unit GONE=x
                EnvironmentFile=/t/@@/env
                EnvironmentFile=-/t/@@/missing
                UnsetEnvironment=GONE
                ExecStart=/bin/sh -c 'echo \"$ONE|$TWO|$FROM_FILE|$BOTH|$GONE|$${INVOCATION_ID:+id}\" >>/t/@@/log'",
            ),
        ],
        ("EnvironmentFile=/t/@@/env", ""),
        |c| {
            c.ctl("start @@a.service")?;
            equal("record", &c.record(), &["a b|@@a.service|file value|from file||id"])
        },
    ),
    Scenario::new(
        "exec/environment-files-by-a-pattern",
        &[
            ("/t/@@/env/a.env", "ONE=a\nTWO=a\n"),
            ("/t/@@/env/b.env", "TWO=b\n"),
            ("/t/@@/env/.c.env", "TWO=hidden\n"),
            (
                "@@a.service",
                "[Service]
                Type=oneshot
                EnvironmentFile=/t/@@/env/*.env
                EnvironmentFile=-/t/@@/env/none*
                ExecStart=/bin/sh -c 'echo $ONE $TWO >>/t/@@/log'",
            ),
            ("@@b.service", "[Service]\nType=oneshot\nEnvironmentFile=/t/@@/env/none*\nExecStart=/bin/true"),
        ],
        ("/env/*.env", "/env/a*.env"),
        |c| {
            c.ctl("start @@a.service")?;
            equal("record", &c.record(), &["a b"])?;
            c.fails("systemctl start @@b.service")?;
            equal("without any", &c.show("@@b.service", "Result")?, "resources")
        },
    ),
    Scenario::new(
        "exec/command-line-words-and-variables",
        &[
            ("/t/@@/words", "#!/bin/sh\nfor w; do echo \"[$w]\" >>/t/@@/log; done\n"),
            (
                "@@a.service",
                "[Service]
                Type=oneshot
                Environment=\"LIST=a b\"
                ExecStart=/t/@@/words $LIST ${LIST} 'x y' \\x41 %% $$HOME
                ExecStart=-/bin/false
                ExecStart=:/t/@@/words $LIST
                ExecStart=@/bin/sh other -c 'echo $0 >>/t/@@/log'",
            ),
        ],
        ("-/bin/false", "/bin/false"),
        |c| {
            c.ctl("start @@a.service")?;
            let expected = ["[a]", "[b]", "[a b]", "[x y]", "[A]", "[%]", "[$HOME]", "[$LIST]"];
            equal("record", &c.record()[..8], &expected)
        },
    ),
    Scenario::new(
        "exec/working-directory-and-home",
        &[
            ("@@a.service", "[Service]\nType=oneshot\nWorkingDirectory=/usr/share\nExecStart=/bin/sh -c 'pwd >>/t/@@/log'"),
            ("@@b.service", "[Service]\nType=oneshot\nWorkingDirectory=/missing\nExecStart=/bin/true"),
        ],
        ("WorkingDirectory=/usr/share", ""),
        |c| {
            c.ctl("start @@a.service")?;
            equal("record", &c.record(), &["/usr/share"])?;
            c.fails("systemctl start @@b.service")?;
            equal("exit", &c.shows("@@b.service", &["Result", "ExecMainStatus"])?, &["exit-code", "200"])
        },
    ),
    Scenario::new(
        "exec/what-is-mounted-in-a-run-time-directory-is-not-removed-with-it",
        &[
            ("/t/@@/data/kept", "somebody's"),
            // A simple service is started before its process has made anything.
            ("@@a.service", "[Service]\nType=exec\nRuntimeDirectory=@@\nExecStart=/bin/sleep 1d"),
        ],
        ("RuntimeDirectory=@@", "RuntimeDirectory=@@\nRuntimeDirectoryPreserve=yes"),
        |c| {
            c.ctl("start @@a.service")?;
            c.ok("mkdir /run/@@/held; mount --bind /t/@@/data /run/@@/held; touch /run/@@/other")?;
            c.ctl("stop @@a.service")?;
            check!(!c.exists("/run/@@/other"), "what the service left is still there");
            let kept = c.exists("/t/@@/data/kept");
            c.ok("umount /run/@@/held; rm -rf /run/@@")?;
            check!(kept, "what was mounted is gone");
            Ok(())
        },
    ),
    Scenario::new(
        "exec/run-time-state-and-other-directories",
        &[(
            "@@a.service",
            "[Service]
            User=daemon
            RuntimeDirectory=@@ @@/deep
            RuntimeDirectoryMode=0750
            StateDirectory=@@
            CacheDirectory=@@
            LogsDirectory=@@
            ConfigurationDirectory=@@
            ExecStart=/bin/sh -c 'echo $RUNTIME_DIRECTORY $STATE_DIRECTORY $CACHE_DIRECTORY $LOGS_DIRECTORY \
             $CONFIGURATION_DIRECTORY >>/t/@@/log; exec sleep 1d'",
        )],
        ("RuntimeDirectoryMode=0750", "RuntimeDirectoryMode=0750\nRuntimeDirectoryPreserve=yes"),
        |c| {
            c.ctl("start @@a.service")?;
            let all = "/run/@@:/run/@@/deep /var/lib/@@ /var/cache/@@ /var/log/@@ /etc/@@";
            equal("record", &c.wait_record(1)?, &[all])?;
            let stat = c.ok("stat -c '%a %U' /run/@@ /run/@@/deep /var/lib/@@ /etc/@@")?;
            equal("owners", &stat, "750 daemon\n750 daemon\n755 daemon\n755 daemon")?;
            c.ctl("stop @@a.service")?;
            check!(!c.exists("/run/@@"), "the run-time directory is still there");
            check!(c.exists("/var/lib/@@"), "the state directory is gone");
            c.ctl("clean --what=state @@a.service")?;
            check!(!c.exists("/var/lib/@@"), "the state directory was not cleaned");
            Ok(())
        },
    ),
    Scenario::new(
        "exec/private-tmp-is-private-and-removed",
        &[(
            "@@a.service",
            "[Service]
            PrivateTmp=yes
            ExecStart=/bin/sh -c 'touch /tmp/@@mine; ls /tmp >>/t/@@/log; exec sleep 1d'",
        )],
        ("PrivateTmp=yes", ""),
        |c| {
            c.ok("touch /tmp/@@theirs")?;
            c.ctl("start @@a.service")?;
            equal("record", &c.wait_record(1)?, &["@@mine"])?;
            check!(!c.exists("/tmp/@@mine"), "visible outside");
            c.ok("ls -d /tmp/systemd-private-*-@@a.service-*/tmp/@@mine")?;
            c.ctl("stop @@a.service")?;
            c.fails("ls -d /tmp/systemd-private-*-@@a.service-*")?;
            Ok(())
        },
    ),
    Scenario::new(
        "exec/protect-system-and-read-write-paths",
        &[
            ("/t/@@/rw/x", ""),
            (
                "@@a.service",
                "[Service]
                Type=oneshot
                ProtectSystem=strict
                ReadWritePaths=/t/@@ -/missing
                InaccessiblePaths=/var/log
                ExecStart=/bin/sh -c 'for d in /usr /etc /var/lib /t/@@/rw; do touch $d/@@ 2>/dev/null && echo $d rw >>/t/@@/log \
                 || echo $d ro >>/t/@@/log; done; ls /var/log >/dev/null 2>&1 || echo hidden >>/t/@@/log'",
            ),
        ],
        ("ProtectSystem=strict", "ProtectSystem=full"),
        |c| {
            c.ctl("start @@a.service")?;
            let record = c.record();
            equal("record", &record[..4], &["/usr ro", "/etc ro", "/var/lib ro", "/t/@@/rw rw"])
        },
    ),
    Scenario::new(
        "exec/dynamic-user-is-made-up-and-owns-its-state",
        &[(
            "@@a.service",
            "[Service]
            DynamicUser=yes
            StateDirectory=@@
            ExecStart=/bin/sh -c 'id -u >$STATE_DIRECTORY/id; id -g >>$STATE_DIRECTORY/id; exec sleep 1d'",
        )],
        ("DynamicUser=yes", "User=daemon"),
        |c| {
            c.ctl("start @@a.service")?;
            c.until("the state", || Ok(c.read("/var/lib/private/@@/id").lines().count() == 2))?;
            let state = c.read("/var/lib/private/@@/id");
            let uid: u32 = state.lines().next().and_then(|l| l.parse().ok()).unwrap_or(0);
            check!((61184..=65519).contains(&uid), "uid {uid}");
            equal("group", &state.lines().nth(1), &Some(uid.to_string().as_str()))?;
            equal("link", &c.ok("readlink /var/lib/@@")?, &c.text("private/@@"))?;
            equal("by name", &c.ok("readlink /run/systemd/dynamic-uid/direct:@@a")?, &uid.to_string())?;
            equal("by number", &c.ok(&format!("readlink /run/systemd/dynamic-uid/direct:{uid}"))?, &c.text("@@a"))?;
            const LIST: &str = "busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager GetDynamicUsers";
            let listed = format!("{uid} \"{}\"", c.text("@@a"));
            check!(c.ok(LIST)?.contains(&listed), "{listed} is not listed");
            c.ctl("stop @@a.service")?;
            check!(!c.exists("/run/systemd/dynamic-uid/direct:@@a"), "the user is still known");
            check!(!c.ok(LIST)?.contains(&listed), "{listed} is still listed");
            Ok(())
        },
    ),
    Scenario::new(
        "exec/dynamic-user-of-two-units-goes-with-the-last",
        &[
            ("@@a.service", "[Service]\nDynamicUser=yes\nUser=@@u\nExecStart=/bin/sleep 1d"),
            ("@@b.service", "[Service]\nDynamicUser=yes\nUser=@@u\nExecStart=/bin/sleep 1d"),
        ],
        ("User=@@u", "User=daemon"),
        |c| {
            const LOOK: &str = "readlink /run/systemd/dynamic-uid/direct:@@u";
            c.ctl("start @@a.service @@b.service")?;
            // On the reference the process makes it.
            c.until("the user is known", || Ok(c.ok(LOOK).is_ok()))?;
            let uid = c.ok(LOOK)?;
            c.ctl("stop @@a.service")?;
            equal("while the other runs", &c.ok(LOOK)?, &uid)?;
            c.ctl("stop @@b.service")?;
            c.fails(LOOK).map(drop)
        },
    ),
    Scenario::new(
        "exec/credentials-are-passed-as-files",
        &[
            ("/t/@@/secret", "from a file\n"),
            (
                "@@a.service",
                "[Service]
                Type=oneshot
                LoadCredential=file:/t/@@/secret
                SetCredential=text:from the unit
                ExecStart=/bin/sh -c 'cd $CREDENTIALS_DIRECTORY; echo $CREDENTIALS_DIRECTORY >>/t/@@/log; cat file text >>/t/@@/log; \
                 stat -c %%a file >>/t/@@/log'",
            ),
        ],
        ("SetCredential=text:from the unit", "SetCredential=text:x"),
        |c| {
            c.ctl("start @@a.service")?;
            let expected = ["/run/credentials/@@a.service", "from a file", "from the unit400"];
            equal("record", &c.record(), &expected)?;
            c.until("the credentials are removed", || Ok(!c.exists("/run/credentials/@@a.service")))
        },
    ),
    Scenario::new(
        "exec/credentials-that-are-not-there",
        &[
            ("/t/@@/dir/file", "in a directory\n"),
            ("/t/@@/dir/sub/file", "deeper\n"),
            ("/t/@@/dir/link", "-> sub/file"),
            ("@@a.service", "[Service]\nType=oneshot\nLoadCredential=key:/t/@@/missing\nExecStart=/bin/true"),
            (
                "@@b.service",
                "[Service]
                Type=oneshot
                LoadCredential=key:/t/@@/missing
                LoadCredential=stored:nowhere
                LoadCredential=all:/t/@@/dir
                SetCredential=key:stands in
                ExecStart=/bin/sh -c 'cd $CREDENTIALS_DIRECTORY; grep . * >>/t/@@/log'",
            ),
        ],
        ("key:/t/@@/missing", "key:missing"),
        |c| {
            c.ctl("start @@b.service")?;
            let expected = ["all_file:in a directory", "all_sub_file:deeper", "key:stands in"];
            equal("record", &c.record(), &expected)?;
            c.fails("systemctl start @@a.service")?;
            equal("exit", &c.shows("@@a.service", &["Result", "ExecMainStatus"])?, &["exit-code", "243"])
        },
    ),
    Scenario::new(
        "exec/state-goes-with-a-user-that-becomes-dynamic",
        &[
            (
                "@@a.service",
                "[Service]\nType=oneshot\nStateDirectory=@@ @@x/deep\nExecStart=/bin/sh -c 'echo kept | tee /var/lib/@@/file /var/lib/@@x/deep/file'",
            ),
            (
                "@@b.service",
                "[Service]
                Type=oneshot
                DynamicUser=yes
                ReadWritePaths=/t/@@
                StateDirectory=@@ @@x/deep
                ExecStart=/bin/sh -c 'cd /var/lib; readlink @@ @@x/deep >>/t/@@/log; cat @@/file @@x/deep/file >>/t/@@/log; \
                 echo more >>@@/file'",
            ),
        ],
        ("DynamicUser=yes", ""),
        |c| {
            c.ctl("start @@a.service")?;
            c.ctl("start @@b.service")?;
            let expected = ["private/@@", "../private/@@x/deep", "kept", "kept"];
            equal("record", &c.record(), &expected)?;
            c.ctl("start @@b.service")?;
            let expected = ["private/@@", "../private/@@x/deep", "kept", "more", "kept"];
            equal("the second time", &c.record()[4..], &expected)?;
            c.ok("rm -r /var/lib/@@ /var/lib/@@x /var/lib/private/@@ /var/lib/private/@@x").map(drop)
        },
    ),
    Scenario::new(
        "exec/terminals-that-somebody-has",
        &[
            ("/t/@@/terminal", TERMINAL),
            ("@@pty.service", "[Service]\nExecStart=/t/@@/terminal"),
            (
                "@@a.service",
                "[Service]\nType=exec\nStandardInput=tty\nTTYPath=/t/@@/tty\nExecStart=/bin/sleep 1d",
            ),
            (
                "@@b.service",
                "[Service]\nType=exec\nStandardInput=tty\nTTYPath=/t/@@/tty\nExecStart=/bin/sleep 1d",
            ),
            (
                "@@c.service",
                "[Service]\nType=exec\nStandardInput=tty-fail\nTTYPath=/t/@@/tty\nExecStart=/bin/sleep 1d",
            ),
            (
                "@@d.service",
                "[Service]\nType=exec\nStandardInput=tty-force\nTTYPath=/t/@@/tty\nExecStart=/bin/sleep 1d",
            ),
        ],
        ("StandardInput=tty-fail", "StandardInput=null"),
        |c| {
            c.ctl("start @@pty.service")?;
            c.until("the terminal", || Ok(c.exists("/t/@@/tty")))?;
            c.ctl("start @@a.service")?;
            c.fails("systemctl start @@c.service")?;
            equal("refused", &c.shows("@@c.service", &["Result", "ExecMainStatus"])?, &["exit-code", "208"])?;
            c.ctl("start --no-block @@b.service")?;
            c.wait_show("@@b.service", "SubState", "start")?;
            std::thread::sleep(std::time::Duration::from_millis(500));
            equal("waits", &c.show("@@b.service", "SubState")?, "start")?;
            c.ctl("stop @@a.service")?;
            c.wait_show("@@b.service", "SubState", "running")?;
            c.ctl("start @@d.service")?;
            let main = c.show("@@d.service", "MainPID")?;
            check!(c.ok(&format!("ps -o tty= -p {main}"))?.starts_with("pts/"), "it was not stolen");
            Ok(())
        },
    ),
    Scenario::new(
        "exec/limits-and-scheduling",
        &[
            (
                "@@a.service",
                "[Service]
                LimitNOFILE=123:456
                LimitCORE=0
                Nice=11
                OOMScoreAdjust=321
                IgnoreSIGPIPE=no
                ExecStart=/bin/sleep 1d",
            ),
            ("@@b.service", "[Service]\nExecStart=/bin/sleep 1d"),
        ],
        ("LimitNOFILE=123:456", ""),
        |c| {
            c.ctl("start @@a.service")?;
            let main = c.show("@@a.service", "MainPID")?;
            let limits = c.read(&format!("/proc/{main}/limits"));
            let files = limits.lines().find(|l| l.starts_with("Max open files")).unwrap_or("");
            equal("limit", &files.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), &["123", "456"])?;
            equal("score", c.read(&format!("/proc/{main}/oom_score_adj")).trim(), "321")?;
            equal("nice", c.ok(&format!("ps -o ni= -p {main}"))?.trim(), "11")?;
            c.ctl("start @@b.service")?;
            let plain = c.show("@@b.service", "MainPID")?;
            let scheduling = c.ok(&format!("ps -o cls=,ni= -p {plain}; chrt -p {plain} | head -n 1"))?;
            equal("scheduling of others", &scheduling.contains("TS   0"), &true)?;
            equal("no reset for theirs", &scheduling.contains("RESET_ON_FORK"), &false)?;
            equal("shown", &c.shows("@@a.service", &["LimitNOFILE", "LimitNOFILESoft"])?, &["456", "123"])
        },
    ),
    Scenario::new(
        "exec/pam-session-with-its-environment",
        &[
            ("/t/@@/pam", "PAMS=from pam\n"),
            (
                "/etc/pam.d/@@",
                "account required pam_permit.so
                session required pam_permit.so
                session required pam_env.so readenv=1 envfile=/t/@@/pam
                session required pam_limits.so",
            ),
            (
                "@@a.service",
                "[Service]
                User=daemon
                PAMName=@@
                Environment=OWN=unit
                ExecStart=/bin/sh -c 'echo \"$0|$$OWN|$(id -un)|$(id -Gn)\" >>/t/@@/log; exec sleep 1d' ${PAMS}",
            ),
        ],
        ("PAMName=@@", ""),
        |c| {
            c.ok("chmod 1777 /t/@@")?;
            c.ctl("start @@a.service")?;
            c.until("the record", || Ok(!c.record().is_empty()))?;
            equal("record", &c.record(), &["from pam|unit|daemon|daemon"])?;
            let main = c.show("@@a.service", "MainPID")?;
            equal("closes it", c.ok(&format!("ps -o user=,comm= --ppid {main}"))?.trim(), "daemon   (sd-pam)")?;
            c.ctl("stop @@a.service")?;
            equal("result", &c.shows("@@a.service", &["Result", "SubState"])?, &["success", "dead"])
        },
    ),
    Scenario::new(
        "exec/capabilities-and-no-new-privileges",
        &[(
            "@@a.service",
            "[Service]
            User=daemon
            AmbientCapabilities=CAP_NET_BIND_SERVICE
            CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_CHOWN
            NoNewPrivileges=yes
            ExecStart=/bin/sleep 1d",
        )],
        ("AmbientCapabilities=CAP_NET_BIND_SERVICE", ""),
        |c| {
            c.ctl("start @@a.service")?;
            let main = c.show("@@a.service", "MainPID")?;
            c.until("the exec", || Ok(c.read(&format!("/proc/{main}/comm")).trim() == "sleep"))?;
            let status = c.read(&format!("/proc/{main}/status"));
            let field = |name: &str| {
                let value = status.lines().find_map(|l| l.strip_prefix(name)).unwrap_or(":");
                value.trim_start_matches(':').trim().to_owned()
            };
            equal("ambient", &field("CapAmb"), "0000000000000400")?;
            equal("bounding", &field("CapBnd"), "0000000000000401")?;
            equal("no new privileges", &field("NoNewPrivs"), "1")
        },
    ),
    Scenario::new(
        "exec/standard-streams-to-files",
        &[
            ("/t/@@/in", "input\n"),
            (
                "@@a.service",
                "[Service]
                Type=oneshot
                StandardInput=file:/t/@@/in
                StandardOutput=append:/t/@@/log
                StandardError=truncate:/t/@@/err
                ExecStart=/bin/sh -c 'cat; echo oops >&2'",
            ),
            (
                "@@b.service",
                "[Service]
                Type=oneshot
                StandardInputText=given text
                StandardOutput=append:/t/@@/log
                ExecStart=/bin/cat",
            ),
        ],
        ("StandardOutput=append:", "StandardOutput=truncate:"),
        |c| {
            c.ctl("start @@a.service")?;
            c.ctl("start @@a.service")?;
            c.ctl("start @@b.service")?;
            equal("output", &c.record(), &["input", "input", "given text"])?;
            equal("errors", &c.read("/t/@@/err"), "oops\n")
        },
    ),
    Scenario::new(
        "exec/output-goes-to-the-journal",
        &[(
            "@@a.service",
            "[Service]
            Type=oneshot
            SyslogIdentifier=@@name
            ExecStart=/bin/sh -c 'echo hello from @@; echo \"<3>bad\"'",
        )],
        ("SyslogIdentifier=@@name", ""),
        |c| {
            c.ctl("start @@a.service")?;
            c.until("the lines are in the journal", || {
                let lines = c.run("journalctl -q -t @@name -u @@a.service -o json | jq -r '.PRIORITY + \" \" + .MESSAGE'")?;
                Ok(lines.out == c.text("6 hello from @@\n3 bad"))
            })
        },
    ),
    Scenario::new(
        "exec/condition-command-skips",
        &[(
            "@@a.service",
            "[Service]
            Type=oneshot
            ExecCondition=/bin/sh -c 'exit 3'
            ExecStartPre=/bin/sh -c 'echo pre >>/t/@@/log'
            ExecStart=/bin/sh -c 'echo main >>/t/@@/log'",
        )],
        ("exit 3", "exit 0"),
        |c| {
            c.ctl("start @@a.service")?;
            equal("record", &c.record(), &[] as &[&str])?;
            equal("shown", &c.shows("@@a.service", &["ActiveState", "SubState"])?, &["inactive", "dead"])
        },
    ),
    Scenario::new(
        "exec/a-missing-program-is-status-203",
        &[("@@a.service", "[Service]\nType=exec\nExecStart=/t/@@/missing"), ("@@b.service", "[Service]\nType=simple\nExecStart=/t/@@/missing")],
        ("Type=exec", "Type=simple"),
        |c| {
            c.fails("systemctl start @@a.service")?;
            c.ctl("start @@b.service")?;
            for unit in ["@@a.service", "@@b.service"] {
                c.wait_show(unit, "ActiveState", "failed")?;
                equal(unit, &c.shows(unit, &["Result", "ExecMainStatus"])?, &["exit-code", "203"])?;
            }
            Ok(())
        },
    ),
    Scenario::new(
        "exec/permissions-start-only-is-for-the-main-process",
        &[(
            "@@.service",
            "[Service]
            Type=oneshot
            User=nobody
            PermissionsStartOnly=yes
            ExecStartPre=/bin/sh -c 'id -un >>/t/@@/log; chmod 666 /t/@@/log'
            ExecStart=/bin/sh -c 'id -un >>/t/@@/log'
            ExecStartPost=/bin/sh -c 'id -un >>/t/@@/log'",
        )],
        ("PermissionsStartOnly=yes", ""),
        |c| {
            c.ctl("start @@")?;
            equal("users", &c.record(), &["root", "nobody", "root"])
        },
    ),
    Scenario::new(
        "exec/environment-files-that-are-not-there-are-lacking",
        &[
            ("/t/@@/one.env", "ONE=1\n"),
            ("/t/@@/two.env", "TWO=2\n"),
            (
                "@@a.service",
                "[Service]
                EnvironmentFile=/t/@@/missing
                ExecStart=/bin/true
                ExecStopPost=/bin/sh -c 'echo stopped >>/t/@@/log'",
            ),
            (
                "@@b.service",
                "[Service]
                Type=oneshot
                EnvironmentFile=/t/@@/*.env
                EnvironmentFile=-/t/@@/*.none
                ExecStart=/bin/sh -c 'echo $ONE $TWO >>/t/@@/log'",
            ),
            ("@@c.service", "[Service]\nEnvironmentFile=/t/@@/*.none\nExecStart=/bin/true"),
        ],
        ("EnvironmentFile=/t/", "EnvironmentFile=-/t/"),
        |c| {
            for unit in ["@@a.service", "@@c.service"] {
                c.fails(&format!("systemctl start {unit}"))?;
                let shown = c.shows(unit, &["ActiveState", "Result", "ExecMainPID", "ExecMainStatus"])?;
                equal(unit, &shown, &["failed", "resources", "0", "0"])?;
            }
            c.ctl("start @@b.service")?;
            equal("record", &c.record(), &["1 2"])
        },
    ),
];
