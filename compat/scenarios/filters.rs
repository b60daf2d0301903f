//! What a process may call: system call filters, by what the calls give.

use runstead_compat::check;
use runstead_compat::scenario::{Scenario, equal};

/// Calls each number that it is given, with arguments that no call takes, and notes what that gives: an errno or 0.
const PROBE: &str = "for my $nr (@ARGV) {
    $! = 0;
    my $given = syscall($nr, -1, -1, -1, -1, -1, -1);
    print \"$nr \", $given == -1 ? $! + 0 : 0, \"\\n\";
}
";

/// The scenarios of this topic. Numbers are those of x86-64.
pub const ALL: &[Scenario] = &[
    Scenario::new(
        "filters/a-list-of-what-is-allowed",
        &[
            ("/t/@@/probe", PROBE),
            (
                "@@a.service",
                // chown, kill, mount, dup
                "[Service]
                Type=oneshot
                User=daemon
                SystemCallFilter=@system-service
                SystemCallFilter=~chown:ENOANO kill
                SystemCallErrorNumber=EUCLEAN
                StandardOutput=append:/t/@@/log
                ExecStart=perl /t/@@/probe 92 62 165 32",
            ),
        ],
        ("SystemCallFilter=~chown:ENOANO kill", ""),
        |c| {
            c.ctl("start @@a.service")?;
            equal("errors", &c.record(), &["92 55", "62 117", "165 117", "32 9"])
        },
    ),
    Scenario::new(
        "filters/a-list-of-what-is-forbidden",
        &[
            ("/t/@@/probe", PROBE),
            (
                "@@a.service",
                // mount, umount2, swapon, reboot, a number that nothing has
                "[Service]
                Type=oneshot
                User=daemon
                SystemCallFilter=~@mount swapon:ENOANO
                SystemCallFilter=umount2
                SystemCallErrorNumber=EUCLEAN
                StandardOutput=append:/t/@@/log
                ExecStart=perl /t/@@/probe 165 166 167 169 1000",
            ),
        ],
        ("SystemCallFilter=umount2", ""),
        |c| {
            c.ctl("start @@a.service")?;
            equal("errors", &c.record(), &["165 117", "166 22", "167 55", "169 1", "1000 38"])
        },
    ),
    Scenario::new(
        "filters/a-forbidden-call-kills-where-no-error-is-set",
        &[(
            "@@a.service",
            "[Service]
            LimitCORE=0
            SystemCallFilter=~mkdir mkdirat
            ExecStart=/bin/mkdir /t/@@/made",
        )],
        ("SystemCallFilter=~mkdir mkdirat", ""),
        |c| {
            c.ctl("start @@a.service")?;
            c.wait_show("@@a.service", "ActiveState", "failed")?;
            let results = c.shows("@@a.service", &["Result", "ExecMainCode", "ExecMainStatus"])?;
            equal("result", &results, &["signal", "2", "31"])?;
            check!(!c.exists("/t/@@/made"), "it was called");
            Ok(())
        },
    ),
    Scenario::new(
        "filters/what-protections-forbid-besides",
        &[
            ("/t/@@/probe", PROBE),
            (
                "@@a.service",
                // adjtimex, clock_settime, sethostname, iopl; and mount, which is not among them
                "[Service]
                Type=oneshot
                ProtectClock=yes
                ProtectHostname=yes
                PrivateDevices=yes
                StandardOutput=append:/t/@@/log
                ExecStart=perl /t/@@/probe 159 227 170 172 165",
            ),
        ],
        ("ProtectHostname=yes", ""),
        |c| {
            c.ctl("start @@a.service")?;
            equal("errors", &c.record(), &["159 1", "227 1", "170 1", "172 1", "165 14"])
        },
    ),
    Scenario::new(
        "filters/what-processes-may-become",
        &[
            ("/t/@@/file", ""),
            (
                "@@a.service",
                "[Service]
                Type=oneshot
                RestrictNamespaces=uts
                RestrictSUIDSGID=yes
                RestrictRealtime=yes
                LockPersonality=yes
                ExecStart=-/bin/sh -c 'unshare -n true 2>&1 | grep -o \"not permitted\" >>/t/@@/log; unshare -u echo uts >>/t/@@/log'
                ExecStart=-/bin/sh -c 'chmod 4755 /t/@@/file 2>&1 | grep -o \"not permitted\" >>/t/@@/log; chmod 1755 /t/@@/file && echo sticky >>/t/@@/log'
                ExecStart=-/bin/sh -c 'chrt -f 1 true 2>&1 | grep -o \"not permitted\" >>/t/@@/log; chrt -b 0 echo batch >>/t/@@/log'
                ExecStart=-/bin/sh -c 'setarch i386 true 2>&1 | grep -o \"not permitted\" >>/t/@@/log'",
            ),
        ],
        ("RestrictSUIDSGID=yes", ""),
        |c| {
            c.ctl("start @@a.service")?;
            let refused = "not permitted";
            let expected = [refused, "uts", refused, "sticky", refused, "batch", refused];
            equal("outcomes", &c.record(), &expected)
        },
    ),
    Scenario::new(
        "filters/families-of-sockets",
        &[(
            "@@a.service",
            "[Service]
            Type=oneshot
            User=daemon
            RestrictAddressFamilies=AF_LOCAL AF_INET
            RestrictAddressFamilies=~AF_INET
            StandardOutput=append:/t/@@/log
            ExecStart=perl -MSocket -e 'for (1, 2, 10) { print socket(my $s, $_, 2, 0) ? 0 : $! + 0, \"\\n\" }'",
        )],
        ("RestrictAddressFamilies=~AF_INET", ""),
        |c| {
            c.ctl("start @@a.service")?;
            equal("errors", &c.record(), &["0", "97", "97"])?;
            equal("shown", &c.show("@@a.service", "RestrictAddressFamilies")?, "AF_UNIX")
        },
    ),
    Scenario::new(
        "filters/memory-that-is-written-and-executed",
        &[(
            "@@a.service",
            // mmap of a page that is private and anonymous, readable and writable, then executable as well
            "[Service]
            Type=oneshot
            MemoryDenyWriteExecute=yes
            StandardOutput=append:/t/@@/log
            ExecStart=perl -e 'for (3, 7) { my $r = syscall(9, 0, 4096, $_, 0x22, -1, 0); print $r == -1 ? \"no\" : \"yes\", \"\\n\" }'",
        )],
        ("MemoryDenyWriteExecute=yes", ""),
        |c| {
            c.ctl("start @@a.service")?;
            equal("mapped", &c.record(), &["yes", "no"])
        },
    ),
    Scenario::new(
        "filters/commands-with-all-privileges-have-none",
        &[(
            "@@a.service",
            "[Service]
            Type=oneshot
            SystemCallFilter=@system-service
            StandardOutput=append:/t/@@/log
            ExecStart=grep Seccomp: /proc/self/status
            ExecStart=+grep Seccomp: /proc/self/status",
        )],
        ("SystemCallFilter=@system-service", ""),
        |c| {
            c.ctl("start @@a.service")?;
            equal("modes", &c.record(), &["Seccomp:\t2", "Seccomp:\t0"])
        },
    ),
    Scenario::new(
        "filters/lists-are-shown-as-they-count",
        &[(
            "@@a.service",
            "[Service]
            Type=oneshot
            SystemCallFilter=~mount umount2:ENOANO
            SystemCallFilter=swapon:EPERM
            SystemCallLog=mount
            RestrictAddressFamilies=AF_ROUTE AF_NONE
            ExecStart=true",
        )],
        ("SystemCallLog=mount", ""),
        |c| {
            let names = ["SystemCallFilter", "SystemCallLog", "RestrictAddressFamilies"];
            equal("shown", &c.shows("@@a.service", &names)?, &["~mount umount2:ENOANO", "mount", "AF_NETLINK"])
        },
    ),
];
