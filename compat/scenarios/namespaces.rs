//! Mount namespaces: what several settings together make of one path, and root directories.
use runstead_compat::check;
use runstead_compat::scenario::{Scenario, equal};

/// A root directory with the host's programs: `bin`, `lib` and `lib64` are links, `/usr` is bound.
const ROOT: &str = "mkdir -p /t/@@/root/usr /t/@@/root/etc /t/@@/root/home /t/@@/root/rw /t/@@/given &&
    for name in bin lib lib64; do ln -sfn usr/$name /t/@@/root/$name; done &&
    echo mine >/t/@@/root/etc/mark && echo given >/t/@@/given/file && touch /home/@@";

/// The scenarios of this topic.
pub const ALL: &[Scenario] = &[
    Scenario::new(
        "namespaces/a-root-directory-is-all-that-is-seen",
        &[(
            "@@a.service",
            "[Service]
            Type=oneshot
            RootDirectory=/t/@@/root
            BindReadOnlyPaths=/usr
            BindPaths=/t/@@ /t/@@/given:/new/given
            ProtectSystem=strict
            ReadWritePaths=+/rw
            StateDirectory=@@
            ExecStart=/bin/sh -c 'exec >>/t/@@/log; cat /etc/mark /new/given/file; ls -A /home; cat /proc/self/comm; ls -d /sys/kernel; \
             : >/dev/null && echo null; ls /run; ls /run/systemd/journal; touch /rw/x && echo rw; touch /etc/x || echo ro; touch /var/lib/@@/kept'",
        )],
        ("ReadWritePaths=+/rw", "ReadWritePaths=/rw"),
        |c| {
            c.ok(ROOT)?;
            c.ctl("start @@a.service")?;
            let seen = "mine,given,cat,/sys/kernel,null,host,systemd,dev-log,socket,stdout,rw,ro";
            equal("record", &c.record().join(","), seen)?;
            c.ok("test -e /var/lib/@@/kept && ! test -e /new")?;
            Ok(())
        },
    ),
    Scenario::new(
        "namespaces/listed-paths-are-the-hosts-or-the-root-directorys",
        &[(
            "@@a.service",
            "[Service]
            Type=oneshot
            RootDirectory=/t/@@/root
            BindReadOnlyPaths=/usr
            BindPaths=/t/@@
            ReadOnlyPaths=/rw /t/@@/root/etc +/home
            ExecStart=/bin/sh -c 'for d in /rw /etc /home; do touch $d/x && echo $d rw >>/t/@@/log || echo $d ro >>/t/@@/log; done'",
        )],
        ("+/home", ""),
        |c| {
            c.ok(ROOT)?;
            // Of what is not in the root directory nothing is there to be protected.
            c.ok("mkdir -p /rw")?;
            c.ctl("start @@a.service")?;
            c.ok("rmdir /rw")?;
            equal("record", &c.record(), &["/rw rw", "/etc ro", "/home ro"])
        },
    ),
    Scenario::new(
        "namespaces/settings-for-one-path-count-together",
        &[(
            "@@a.service",
            "[Service]
            Type=oneshot
            PrivateTmp=yes
            ProtectSystem=full
            NoExecPaths=/tmp /etc
            ExecStart=/bin/sh -c 'exec >>/t/@@/log; ls /tmp; cp /bin/true /tmp/t; /tmp/t && echo runs || echo refused; \
             touch /etc/@@ && echo rw || echo ro'",
        )],
        ("NoExecPaths=/tmp /etc", ""),
        |c| {
            c.ok("touch /tmp/@@theirs")?;
            c.ctl("start @@a.service")?;
            equal("record", &c.record(), &["refused", "ro"])
        },
    ),
    Scenario::new(
        "namespaces/a-temporary-file-system-holds-what-is-put-into-it",
        &[(
            "@@a.service",
            "[Service]
            Type=oneshot
            TemporaryFileSystem=/srv:ro
            BindPaths=/t/@@/given:/srv/given /t/@@/other:/srv/other
            ReadOnlyPaths=/srv/other
            ExecStart=/bin/sh -c 'exec >>/t/@@/log; ls /srv; for d in /srv /srv/given /srv/other; do touch $d/x && echo $d rw || echo $d ro; done'",
        )],
        ("ReadOnlyPaths=/srv/other", ""),
        |c| {
            c.ok("mkdir -p /t/@@/given /t/@@/other; touch /srv/@@")?;
            c.ctl("start @@a.service")?;
            c.ok("rm /srv/@@; test -e /t/@@/given/x")?;
            equal("record", &c.record(), &["given", "other", "/srv ro", "/srv/given rw", "/srv/other ro"])
        },
    ),
    Scenario::new(
        "namespaces/private-devices-keep-shared-memory-and-terminals",
        &[(
            "@@a.service",
            "[Service]
            Type=oneshot
            ProtectSystem=strict
            PrivateDevices=yes
            InaccessiblePaths=/dev/full
            ReadWritePaths=/t/@@
            ExecStart=/bin/sh -c 'exec >>/t/@@/log; touch /dev/shm/@@ && echo shm; : >/dev/null && echo null; touch /dev/x || echo ro; \
             test -c /dev/pts/ptmx && echo pts; ls -A /dev/full; test -w /dev/full && stat -c %a /dev/full'",
        )],
        ("PrivateDevices=yes", ""),
        |c| {
            c.ctl("start @@a.service")?;
            c.ok("rm /dev/shm/@@")?;
            equal("record", &c.record()[..4], &["shm", "null", "ro", "pts"])
        },
    ),
    Scenario::new(
        "namespaces/processes-of-a-unit-are-in-one-network",
        &[(
            "@@a.service",
            "[Service]
            Type=oneshot
            PrivateNetwork=yes
            PrivateIPC=yes
            ExecStartPre=/bin/sh -c 'readlink /proc/self/ns/net /proc/self/ns/ipc >>/t/@@/log'
            ExecStart=/bin/sh -c 'readlink /proc/self/ns/net /proc/self/ns/ipc >>/t/@@/log'
            ExecStartPost=+/bin/sh -c 'readlink /proc/self/ns/net /proc/self/ns/ipc >>/t/@@/log'",
        )],
        ("PrivateNetwork=yes", ""),
        |c| {
            c.ctl("start @@a.service")?;
            let record = c.record();
            equal("processes", &record.len(), &6)?;
            equal("namespaces", &record[..2], &record[2..4])?;
            equal("those with all privileges", &record[..2], &record[4..])?;
            let outside = c.ok("readlink /proc/self/ns/net")?;
            check!(record[0] != outside.trim(), "the machine's network");
            Ok(())
        },
    ),
    Scenario::new(
        "namespaces/units-that-join-share-until-the-last-stops",
        &[
            (
                "@@a.service",
                "[Service]
                PrivateTmp=yes
                PrivateNetwork=yes
                ExecStart=/bin/sh -c 'touch /tmp/a; readlink /proc/self/ns/net >>/t/@@/log; exec sleep 1d'",
            ),
            (
                "@@b.service",
                "[Unit]
                JoinsNamespaceOf=@@a.service
                [Service]
                PrivateTmp=yes
                PrivateNetwork=yes
                ExecStart=/bin/sh -c 'ls /tmp >>/t/@@/log; readlink /proc/self/ns/net >>/t/@@/log; exec sleep 1d'",
            ),
        ],
        ("JoinsNamespaceOf=@@a.service", ""),
        |c| {
            c.ctl("start @@a.service")?;
            let network = c.wait_record(1)?[0].clone();
            c.ctl("start @@b.service")?;
            equal("joined", &c.wait_record(3)?[1..], &["a".to_owned(), network.clone()])?;
            // Whoever comes back finds what the other has kept.
            c.ctl("stop @@a.service")?;
            c.ok("ls /tmp/systemd-private-*-@@a.service-*/tmp/a")?;
            c.ctl("start @@a.service")?;
            equal("again", &c.wait_record(4)?[3..], &[network])?;
            c.ctl("stop @@a.service @@b.service")?;
            c.fails("ls -d /tmp/systemd-private-*-@@*")?;
            Ok(())
        },
    ),
];
