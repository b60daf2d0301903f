//! Plans of typical Debian services, step by step. The units are reduced to the settings that act on the process.
use runstead_core::directives::{ids, load};
use runstead_core::engine::effect::{FdId, SpawnSpec};
use runstead_core::names::specifiers::{HostSpecifiers, ManagerSpecifiers};
use runstead_core::names::{Specifiers, UnitName};
use runstead_core::plan::{Credential, ExitStatus, OnError, Plan, PlanError, SpawnFacts, UserFacts, compile};
use runstead_core::settings::Settings;
use runstead_core::unitfile::{UnitFiles, parse};
use runstead_core::values::calendar::looks_like_zone;
use std::fmt::Write as _;

/// Name and lines of `[Service]`.
const UNITS: [(&str, &str); 26] = [
    (
        "user@1000",
        "User=1000\nPAMName=systemd-user\nType=notify-reload\nExecStart=/usr/lib/systemd/systemd --user\nKeyringMode=inherit\nOOMScoreAdjust=100\nMemoryPressureWatch=skip",
    ),
    (
        "cron",
        "EnvironmentFile=-/etc/default/cron\nExecStart=/usr/sbin/cron -f $EXTRA_OPTS\nIgnoreSIGPIPE=false",
    ),
    (
        "dbus",
        "Type=notify\nUser=messagebus\nNonBlocking=yes\nOOMScoreAdjust=-900\nExecStart=@/usr/bin/dbus-daemon @dbus-daemon --system --nofork",
    ),
    (
        "ssh",
        "EnvironmentFile=-/etc/default/ssh\nExecStart=/usr/sbin/sshd -D $SSHD_OPTS\nRuntimeDirectory=sshd\nRuntimeDirectoryMode=0755",
    ),
    (
        "nginx",
        "Type=forking\nPIDFile=/run/nginx.pid\nExecStart=/usr/sbin/nginx -g 'daemon on; master_process on;'",
    ),
    (
        "getty@tty1",
        "ExecStart=-/sbin/agetty -o '-- \\\\u' --noreset --noclear - ${TERM}\nStandardInput=tty\nStandardOutput=tty\nTTYPath=/dev/%I\nTTYReset=yes\nTTYVHangup=yes\nTTYVTDisallocate=yes\nUnsetEnvironment=LANG LC_ALL\nIgnoreSIGPIPE=no\nUtmpIdentifier=%I",
    ),
    (
        "console-getty",
        "ExecStart=-/sbin/agetty --keep-baud 115200,57600 - $TERM\nStandardInput=tty\nStandardOutput=tty\nTTYPath=/dev/console\nTTYReset=yes\nTTYVHangup=yes",
    ),
    (
        "systemd-journald",
        "Type=notify\nExecStart=/usr/lib/systemd/systemd-journald\nStandardOutput=null\nOOMScoreAdjust=-250\nCapabilityBoundingSet=CAP_SYS_ADMIN CAP_SYSLOG CAP_AUDIT_READ\nLimitNOFILE=524288\nLockPersonality=yes\nNoNewPrivileges=yes\nRuntimeDirectory=systemd/journal\nRuntimeDirectoryPreserve=yes\nSystemCallFilter=@system-service\nWatchdogSec=3min",
    ),
    (
        "systemd-logind",
        "Type=notify\nExecStart=/usr/lib/systemd/systemd-logind\nBusName=org.freedesktop.login1\nCapabilityBoundingSet=CAP_SYS_ADMIN CAP_CHOWN\nLockPersonality=yes\nNoNewPrivileges=yes\nPrivateTmp=yes\nProtectClock=yes\nProtectControlGroups=yes\nProtectHome=yes\nProtectHostname=yes\nProtectKernelLogs=yes\nProtectKernelModules=yes\nProtectSystem=strict\nReadWritePaths=/etc /run\nRuntimeDirectory=systemd/sessions systemd/seats\nRuntimeDirectoryPreserve=yes\nStateDirectory=systemd/linger",
    ),
    (
        "systemd-hostnamed",
        "Type=notify\nExecStart=/usr/lib/systemd/systemd-hostnamed\nCapabilityBoundingSet=CAP_SYS_ADMIN\nPrivateDevices=yes\nPrivateNetwork=yes\nPrivateTmp=yes\nProtectSystem=strict\nReadWritePaths=/etc\nProtectHome=yes\nProtectKernelTunables=yes",
    ),
    (
        "systemd-timedated",
        "Type=notify\nExecStart=/usr/lib/systemd/systemd-timedated\nCapabilityBoundingSet=CAP_SYS_TIME\nDeviceAllow=char-rtc r\nPrivateTmp=yes\nProtectProc=invisible\nProtectSystem=strict\nReadWritePaths=/etc",
    ),
    (
        "systemd-resolved",
        "Type=notify-reload\nUser=systemd-resolve\nExecStart=/usr/lib/systemd/systemd-resolved\nAmbientCapabilities=CAP_NET_RAW CAP_NET_BIND_SERVICE\nCapabilityBoundingSet=CAP_SETPCAP CAP_NET_RAW CAP_NET_BIND_SERVICE\nPrivateDevices=yes\nProtectSystem=strict\nRuntimeDirectory=systemd/resolve\nRuntimeDirectoryPreserve=yes",
    ),
    (
        "systemd-timesyncd",
        "Type=notify\nUser=systemd-timesync\nExecStart=/usr/lib/systemd/systemd-timesyncd\nAmbientCapabilities=CAP_SYS_TIME\nCapabilityBoundingSet=CAP_SYS_TIME\nStateDirectory=systemd/timesync\nRuntimeDirectory=systemd/timesync\nProtectHome=yes\nProtectSystem=strict\nPrivateDevices=yes",
    ),
    (
        "systemd-udevd",
        "Type=notify-reload\nOOMScoreAdjust=-1000\nExecStart=/usr/lib/systemd/systemd-udevd\nKillMode=mixed\nTasksMax=infinity\nPrivateMounts=yes\nProtectHostname=yes\nMemoryDenyWriteExecute=yes\nRestrictRealtime=yes",
    ),
    (
        "systemd-tmpfiles-setup",
        "Type=oneshot\nRemainAfterExit=yes\nExecStart=systemd-tmpfiles --create --remove --boot --exclude-prefix=/dev\nImportCredential=tmpfiles.*",
    ),
    (
        "systemd-sysusers",
        "Type=oneshot\nRemainAfterExit=yes\nExecStart=systemd-sysusers\nImportCredential=passwd.*\nLoadCredential=a:/etc/a",
    ),
    (
        "apt-daily",
        "Type=oneshot\nExecStart=/usr/lib/apt/apt.systemd.daily update\nIOSchedulingClass=idle\nCPUSchedulingPolicy=idle\nNice=10",
    ),
    (
        "man-db",
        "Type=oneshot\nUser=man\nExecStart=+/usr/bin/install -d -o man /var/cache/man\nIOSchedulingClass=idle\nCPUSchedulingPolicy=idle",
    ),
    (
        "polkit",
        "Type=notify\nUser=polkitd\nExecStart=/usr/lib/polkit-1/polkitd --no-debug\nCapabilityBoundingSet=CAP_SETUID CAP_SETGID\nAmbientCapabilities=CAP_SETUID\nPrivateDevices=yes\nPrivateNetwork=yes\nPrivateTmp=yes\nProtectSystem=strict\nLimitMEMLOCK=0\nUMask=0077",
    ),
    (
        "rsyslog",
        "Type=notify\nExecStart=/usr/sbin/rsyslogd -n -iNONE\nStandardOutput=null\nLimitNOFILE=16384\nCapabilityBoundingSet=CAP_BLOCK_SUSPEND CAP_CHOWN CAP_SYSLOG\nPrivateTmp=yes\nPrivateDevices=yes\nProtectHome=yes\nProtectSystem=full\nProtectKernelTunables=yes",
    ),
    (
        "fwupd-refresh",
        "Type=oneshot\nDynamicUser=yes\nCacheDirectory=fwupdmgr\nStateDirectory=fwupd\nExecStart=/usr/bin/fwupdmgr refresh\nStandardError=null",
    ),
    (
        "chrony",
        "Type=forking\nUser=_chrony\nDeviceAllow=char-pps rw\nEnvironment=\"OPTS=-F 1\"\nExecStart=!/usr/sbin/chronyd $OPTS\nProtectHome=yes\nTemporaryFileSystem=/mnt:ro\nBindReadOnlyPaths=/etc/chrony",
    ),
    (
        "postgresql@16-main",
        "Type=forking\nUser=postgres\nExecStart=-/usr/bin/pg_ctlcluster --skip-systemctl-redirect %i start\nOOMScoreAdjust=-900\nRuntimeDirectory=postgresql\nRuntimeDirectoryMode=2775",
    ),
    (
        "redis-server",
        "Type=notify\nUser=redis\nGroup=redis\nExecStart=/usr/bin/redis-server /etc/redis/redis.conf\nRuntimeDirectory=redis\nUMask=007\nPrivateTmp=yes\nLimitNOFILE=65535\nPrivateDevices=yes\nProtectHome=yes\nReadOnlyDirectories=/\nReadWriteDirectories=-/var/lib/redis\nReadWriteDirectories=-/run/redis\nCapabilityBoundingSet=CAP_SETGID CAP_SETUID",
    ),
    (
        "container",
        "ExecStart=/usr/bin/run --pid ${MAINPID} $$HOME ${A:-none}\nRootDirectory=/srv/root\nPrivateIPC=yes\nNetworkNamespacePath=/run/netns/one\nExtensionImages=\nMountFlags=slave",
    ),
    (
        "tuned",
        "ExecStart=/usr/bin/tuned\nCPUAffinity=0-3 8\nNUMAPolicy=bind\nNUMAMask=0\nTimerSlackNSec=5us\nPersonality=x86-64\nCoredumpFilter=0x33\nCPUSchedulingPolicy=rr\nKeyringMode=shared\nSecureBits=no-setuid-fixup\nStandardOutput=append:/var/log/tuned\nStandardInput=data\nStandardInputText=hello\nExecPaths=/usr\nNoExecPaths=/\nInaccessiblePaths=-/opt",
    ),
];

fn settings(name: &str, lines: &str) -> (UnitName, Settings) {
    let unit = UnitName::parse(&format!("{name}.service")).expect("a unit name");
    let (host, manager) = (HostSpecifiers::default(), ManagerSpecifiers::system("/run"));
    let specifiers = Specifiers { unit: &unit, fragment_path: Some("/x"), host: &host, manager: &manager };
    let text = format!("[Service]\n{lines}\n");
    let files = UnitFiles { fragment: Some(parse("/x", text.as_bytes())), dropins: Vec::new() };
    let loaded = load(unit.kind(), &files, &specifiers, &Settings::default(), &looks_like_zone);
    assert_eq!(loaded.refused, None);
    (unit, loaded.settings)
}

fn facts(settings: &Settings) -> SpawnFacts {
    let dynamic = settings.bool(ids::DYNAMIC_USER).then_some("dynamic");
    let user = settings.text(ids::USER).or(dynamic).map(|name| UserFacts {
        name: name.into(),
        uid: 100,
        gid: 101,
        home: "/home/user".into(),
        shell: "/bin/sh".into(),
        groups: vec![102],
    });
    SpawnFacts {
        group: settings.text(ids::GROUP).map(|_| 103),
        user,
        own_user: UserFacts { name: "root".into(), home: "/root".into(), ..UserFacts::default() },
        environment: vec!["PATH=/usr/sbin:/usr/bin".into(), "LANG=C.UTF-8".into(), "SECRET=1".into()],
        environment_files: vec![("/etc/default/ssh".into(), Some(b"SSHD_OPTS='-o A'\n".to_vec()))],
        run_root: "/run".into(),
        fds: vec![(FdId(1), 40), (FdId(2), 41)],
        cgroup_root: Some("/sys/fs/cgroup".into()),
        journal: Some("/run/systemd/journal/stdout".into()),
        notify_socket: Some("/run/systemd/notify".into()),
        search_path: vec!["/usr/bin".into()],
        credentials: vec![Credential { name: "a".into(), bytes: b"secret".to_vec() }],
        private_tmp: Some("systemd-private-BOOT-UNIT-RANDOM".into()),
        ..SpawnFacts::default()
    }
}

fn spec(unit: &UnitName, settings: &Settings) -> SpawnSpec {
    let sockets = unit.as_str().starts_with("dbus");
    SpawnSpec {
        unit: unit.clone(),
        settings: settings.clone(),
        command: settings.commands(ids::EXEC_START)[0].clone(),
        role: "ExecStart",
        invocation: "00112233445566778899aabbccddeeff".into(),
        cgroup: Some(format!("/system.slice/{unit}").into()),
        subgroup: None,
        shared: None,
        fds: if sockets { vec![(FdId(1), "dbus.socket".into()), (FdId(2), "stored".into())] } else { vec![] },
        socket_fds: usize::from(sockets),
        socket: None,
        environment: vec![("MAINPID".into(), "77".into())],
        notify: settings.word(ids::SERVICE_TYPE) == "notify",
        watchdog_usec: settings.is_set(ids::WATCHDOG_SEC).then(|| settings.uint(ids::WATCHDOG_SEC)),
        full_privileges: true,
        is_main: true,
        stdio: [None; 3],
        wait_exec: false,
        idle: false,
    }
}

fn plan(name: &str, lines: &str) -> Result<Plan, PlanError> {
    let (unit, settings) = settings(name, lines);
    compile(&spec(&unit, &settings), &facts(&settings))
}

fn show(plan: &Plan) -> String {
    let mut text = format!("cgroup {:?}\n", plan.cgroup);
    for step in &plan.steps {
        let on_error = match step.on_error {
            OnError::Fail(exit) => exit.code().to_string(),
            OnError::Weaken => "weaken".into(),
            OnError::Ignore => "ignore".into(),
        };
        writeln!(text, "{} [{on_error}] {:?}", step.setting, step.op).expect("a string takes it");
    }
    for (setting, reason) in &plan.skipped {
        writeln!(text, "skipped {setting}: {reason}").expect("a string takes it");
    }
    text
}

#[test]
fn plans_of_debian_services() {
    for (name, lines) in UNITS {
        let plan = plan(name, lines).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(matches!(plan.steps.last().unwrap().op, runstead_core::plan::Op::Exec { .. }));
        insta::assert_snapshot!(name.replace('@', "-at-"), show(&plan));
    }
}

#[test]
fn what_must_not_be_skipped_is_refused() {
    for (lines, exit) in [
        ("RootImage=/a.raw", ExitStatus::Namespace),
        ("PrivatePIDs=yes", ExitStatus::Namespace),
        ("LoadCredentialEncrypted=a:/b", ExitStatus::Credentials),
        ("EnvironmentFile=/nonexistent", ExitStatus::Memory),
        ("StandardInput=fd:none", ExitStatus::Stdin),
    ] {
        let error = plan("a", &format!("ExecStart=/bin/a\n{lines}")).unwrap_err();
        assert_eq!(error.exit, exit, "{lines}");
    }
    let (unit, settings) = settings("a", "ExecStart=/bin/a\nUser=none");
    let error = compile(&spec(&unit, &settings), &SpawnFacts::default()).unwrap_err();
    assert_eq!(error.exit, ExitStatus::User);
}

#[test]
fn all_files_of_a_pattern_are_read_in_order() {
    let (unit, settings) = settings("a", "ExecStart=/bin/a\nEnvironmentFile=/etc/a/*.env");
    let mut facts = facts(&settings);
    assert!(compile(&spec(&unit, &settings), &facts).is_err(), "there is none");
    facts.environment_files =
        ["A=1\nB=1", "A=2"].map(|text| ("/etc/a/*.env".into(), Some(text.into()))).into();
    let text = show(&compile(&spec(&unit, &settings), &facts).expect("a plan"));
    assert!(text.contains(r#""A=2", "B=1""#), "{text}");
}

#[test]
fn without_namespaces_hardening_is_skipped_and_data_is_not() {
    let run = |lines: &str| {
        let (unit, settings) = settings("a", &format!("ExecStart=/bin/a\n{lines}"));
        let mut facts = facts(&settings);
        facts.kernel.mount_namespaces = false;
        compile(&spec(&unit, &settings), &facts)
    };
    let plan = run("ProtectSystem=strict\nPrivateTmp=yes\nPrivateNetwork=yes").unwrap();
    let skipped: Vec<&str> = plan.skipped.iter().map(|(setting, _)| *setting).collect();
    assert!(
        ["ProtectSystem", "PrivateTmp", "PrivateNetwork"].iter().all(|name| skipped.contains(name)),
        "{skipped:?}"
    );
    assert_eq!(run("BindPaths=/a:/b").unwrap_err().exit, ExitStatus::Namespace);
    let root = show(&run("RootDirectory=/r\nProtectSystem=strict").unwrap());
    assert!(root.contains(r#"Chroot { root: "/r" }"#) && !root.contains("Unshare"), "{root}");
}

#[test]
fn helpers_of_mounts_stay_in_the_managers_process_group() {
    let setsid = |unit: &str| {
        let (service, settings) = settings("a.service", "ExecStart=/bin/mount x /y");
        let unit = UnitName::parse(unit).expect("a unit name");
        let plan = compile(&SpawnSpec { unit, ..spec(&service, &settings) }, &facts(&settings));
        show(&plan.expect("a plan")).contains("Setsid")
    };
    assert!(setsid("a.service"));
    assert!(!setsid("mnt-a.mount") && !setsid("dev-a.swap"));
}

#[test]
fn given_streams_replace_those_of_the_settings() {
    let (unit, settings) = settings("a.service", "ExecStart=/bin/cat\nStandardInput=null");
    let given = SpawnSpec { stdio: [Some(FdId(1)), Some(FdId(2)), None], ..spec(&unit, &settings) };
    let text = show(&compile(&given, &facts(&settings)).expect("a plan"));
    assert!(text.contains("DupStdio { from: Manager(40), target: 0 }"), "{text}");
    assert!(text.contains("DupStdio { from: Manager(41), target: 1 }"), "{text}");
    assert!(text.contains("DupStdio { from: Child(1), target: 2 }"), "{text}");
}
