//! What settings forbid, call by call (systemd.exec(5), "System Call Filtering" and "Sandboxing").
use super::calls::{Abi, Calls, has_native, of, place};
use super::program::{Decision, Instruction, Test, Verdict, assemble, ranges};
use crate::directives::ids;
use crate::directives::parse::exec::NAMESPACES_ALL;
use crate::settings::{DirectiveId, Settings};
use crate::values::{families, syscalls};
use std::rc::Rc;

const EPERM: u16 = 1;
const ENOSYS: u16 = 38;
const EAFNOSUPPORT: u16 = 97;
/// `S_ISUID | S_ISGID`
const SET_ID: u32 = 0o6000;
/// `O_CREAT`, and the bit of `O_TMPFILE` that is its own.
const MAKES_FILES: u32 = 0o100 | 0o20_000_000;
const PROT_WRITE: u32 = 2;
const PROT_EXEC: u32 = 4;
const SHM_EXEC: u32 = 0o100_000;
/// `SCHED_OTHER`, `SCHED_BATCH` and `SCHED_IDLE` are no real time; these below them are.
const REAL_TIME: [u32; 3] = [1, 2, 4];
const SCHED_IDLE: u32 = 5;

/// What socketcall(2) does, by its first argument (`linux/net.h`), as far as it has a name of its own.
const SOCKET_CALLS: [(u32, &str); 18] = [
    (1, "socket"),
    (2, "bind"),
    (3, "connect"),
    (4, "listen"),
    (5, "accept"),
    (6, "getsockname"),
    (7, "getpeername"),
    (8, "socketpair"),
    (11, "sendto"),
    (12, "recvfrom"),
    (13, "shutdown"),
    (14, "setsockopt"),
    (15, "getsockopt"),
    (16, "sendmsg"),
    (17, "recvmsg"),
    (18, "accept4"),
    (19, "recvmmsg"),
    (20, "sendmmsg"),
];

/// Likewise of ipc(2) (`linux/ipc.h`); the upper half of the argument is a version.
const IPC_CALLS: [(u32, &str); 12] = [
    (1, "semop"),
    (2, "semget"),
    (3, "semctl"),
    (4, "semtimedop"),
    (11, "msgsnd"),
    (12, "msgrcv"),
    (13, "msgget"),
    (14, "msgctl"),
    (21, "shmat"),
    (22, "shmdt"),
    (23, "shmget"),
    (24, "shmctl"),
];

/// Calls that other settings forbid.
const PROTECTED: [(DirectiveId, &[&str]); 6] = [
    (ids::PROTECT_KERNEL_TUNABLES, &["_sysctl"]),
    (ids::PROTECT_KERNEL_MODULES, &["@module"]),
    (ids::PROTECT_KERNEL_LOGS, &["syslog"]),
    (ids::PROTECT_CLOCK, &["@clock"]),
    (ids::PRIVATE_DEVICES, &["@raw-io"]),
    (ids::PROTECT_HOSTNAME, &["sethostname", "setdomainname"]),
];

/// Everything that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// `SystemCallFilter=` names what is allowed; what is not known at all fails with `ENOSYS` then.
    only_listed: bool,
    /// What `SystemCallFilter=` forbids, the last that names a call counts.
    forbidden: Vec<(Calls, Verdict)>,
    /// What gets `EPERM` for other settings.
    refused: Calls,
    /// What is logged: the calls, or all but them.
    logged: Option<(bool, Calls)>,
    /// `SystemCallArchitectures=`, the native one included.
    architectures: Option<Vec<Abi>>,
    /// `RestrictAddressFamilies=`: whether these are forbidden or alone allowed.
    families: Option<(bool, Vec<u32>)>,
    /// `CLONE_NEW*` flags that `RestrictNamespaces=` forbids.
    namespaces: u32,
    /// `RestrictSUIDSGID=`
    set_id: bool,
    /// `RestrictRealtime=`
    realtime: bool,
    /// `MemoryDenyWriteExecute=`, where the kernel does not do it by itself.
    write_execute: bool,
    /// `LockPersonality=`: the only one that may be set.
    personality: Option<u32>,
}

impl Rules {
    /// From a unit's settings. `kernel_denies`: `MemoryDenyWriteExecute=` needs no filter (`PR_SET_MDWE`).
    pub fn of(s: &Settings, kernel_denies: bool) -> Rules {
        let (only_listed, forbidden) = system_calls(s);
        let refused = PROTECTED.iter().filter(|(id, _)| s.bool(*id));
        let architectures = s.list(ids::SYSTEM_CALL_ARCHITECTURES);
        Rules {
            only_listed,
            forbidden,
            refused: refused.fold(Calls::default(), |all, (_, names)| all.with(Calls::all(names))),
            logged: given(s, ids::SYSTEM_CALL_LOG).map(|(but, items)| (but, listed(items, but))),
            architectures: (!architectures.is_empty())
                .then(|| abis(architectures.iter().map(|name| &**name))),
            families: given(s, ids::RESTRICT_ADDRESS_FAMILIES).map(|(deny, items)| {
                (deny, items.iter().filter_map(|name| families::number(name)).collect())
            }),
            namespaces: (NAMESPACES_ALL & !s.bits(ids::RESTRICT_NAMESPACES)) as u32,
            set_id: s.bool(ids::RESTRICT_SUIDSGID),
            realtime: s.bool(ids::RESTRICT_REALTIME),
            write_execute: s.bool(ids::MEMORY_DENY_WRITE_EXECUTE) && !kernel_denies,
            personality: s.bool(ids::LOCK_PERSONALITY).then(|| match s.text(ids::PERSONALITY) {
                Some("x86") => 8,
                _ => 0,
            }),
        }
    }

    /// The program, of at most 4096 instructions; `None` when there is nothing to filter.
    pub fn program(&self) -> Option<Vec<Instruction>> {
        if *self == Rules::default() {
            return None;
        }
        let allowed = |abi| self.architectures.as_ref().is_none_or(|abis| abis.contains(&abi));
        let elsewhere = if self.architectures.is_some() { Verdict::Kill } else { Verdict::Allow };
        Some(assemble(elsewhere, |abi| {
            let from = if abi == Abi::X32 { super::calls::X32_BIT } else { 0 };
            if !allowed(abi) {
                return vec![(from, Decision::Give(Verdict::Kill))];
            }
            let decided = of(abi).map(|(at, name, number)| (number, self.decide(abi, at, name)));
            ranges(from, decided.collect(), &Decision::Give(self.not_known()))
        }))
    }

    /// Whether a process may still give up capabilities: the reference installs a filter without `NoNewPrivileges=` for
    /// other users only then.
    pub fn let_privileges_go(&self) -> bool {
        let needed = Calls::all(&["capget", "capset", "prctl"]);
        self.forbidden.iter().all(|(calls, _)| calls.without(needed) == *calls)
    }

    /// For numbers that no name is known for.
    fn not_known(&self) -> Verdict {
        match self.logged {
            _ if self.only_listed => Verdict::Errno(ENOSYS),
            Some((true, _)) => Verdict::Log,
            _ => Verdict::Allow,
        }
    }

    /// What the kernel would make of one filter for each setting, `SystemCallFilter=` the last: it counts before those
    /// that give an error as well.
    fn decide(&self, abi: Abi, at: usize, name: &str) -> Decision {
        let base = self.by_name(at);
        match name {
            "socketcall" => self.multiplexed(&SOCKET_CALLS, base),
            "ipc" => self.multiplexed(&IPC_CALLS, base),
            _ if matches!(base, Verdict::Allow | Verdict::Log) => {
                self.by_arguments(abi, name, Decision::Give(base))
            }
            _ => Decision::Give(base),
        }
    }

    fn by_name(&self, at: usize) -> Verdict {
        let forbidden = self.forbidden.iter().rev().find(|(calls, _)| calls.has(at));
        let logged = || self.logged.is_some_and(|(but, calls)| calls.has(at) != but);
        match forbidden {
            Some((_, verdict)) => *verdict,
            None if self.refused.has(at) => Verdict::Errno(EPERM),
            None if logged() => Verdict::Log,
            None => Verdict::Allow,
        }
    }

    /// Many calls in one, the first argument says which (socketcall(2), ipc(2)): what is decided for each by its name.
    fn multiplexed(&self, calls: &[(u32, &str)], base: Verdict) -> Decision {
        let others = Decision::Give(base);
        calls.iter().fold(others, |others, (number, name)| match place(name).map(|at| self.by_name(at)) {
            Some(verdict) if verdict != base => others.unless(0, Test::Low(*number), verdict),
            _ => others,
        })
    }

    fn by_arguments(&self, abi: Abi, name: &str, base: Decision) -> Decision {
        let refuse = Verdict::Errno(EPERM);
        match name {
            // On x86 sockets are made by socketcall(2) as well, whose arguments a filter cannot read.
            "socket" if abi != Abi::X86 => self.family(base),
            "clone" | "unshare" if self.namespaces != 0 => {
                base.unless(0, Test::AnyOf(self.namespaces), refuse)
            }
            // Without arguments: there are kinds that have no name here (`CLONE_NEWTIME`).
            "setns" if u64::from(self.namespaces) == NAMESPACES_ALL => Decision::Give(refuse),
            "setns" if self.namespaces != 0 => {
                base.unless(1, Test::AnyOf(self.namespaces), refuse).unless(1, Test::Equal(0), refuse)
            }
            // Their flags are in memory: who calls falls back to what can be looked at.
            "clone3" if self.namespaces != 0 => Decision::Give(Verdict::Errno(ENOSYS)),
            "openat2" if self.set_id => Decision::Give(Verdict::Errno(ENOSYS)),
            "chmod" | "fchmod" | "mkdir" | "mknod" | "creat" if self.set_id => {
                base.unless(1, Test::AnyOf(SET_ID), refuse)
            }
            "fchmodat" | "fchmodat2" | "mkdirat" | "mknodat" if self.set_id => {
                base.unless(2, Test::AnyOf(SET_ID), refuse)
            }
            "open" if self.set_id => making(base, 1, 2),
            "openat" if self.set_id => making(base, 2, 3),
            "sched_setscheduler" if self.realtime => {
                let known = |decision: Decision, policy| decision.unless(1, Test::Equal(policy), refuse);
                REAL_TIME.into_iter().fold(base, known).unless(1, Test::Greater(SCHED_IDLE), refuse)
            }
            "personality" => match self.personality {
                Some(only) => Decision::Give(refuse).or_if(0, Test::Equal(only), base),
                None => base,
            },
            _ if self.write_execute => write_execute(abi, name, base),
            _ => base,
        }
    }

    fn family(&self, base: Decision) -> Decision {
        let Some((deny, numbers)) = &self.families else { return base };
        let refuse = Decision::Give(Verdict::Errno(EAFNOSUPPORT));
        let (named, others) = if *deny { (refuse, base) } else { (base, refuse) };
        numbers.iter().fold(others, |others, number| others.or_if(0, Test::Equal(*number), named.clone()))
    }
}

/// A list that asks for something: one that forbids nothing does not.
fn given(s: &Settings, id: DirectiveId) -> Option<(bool, &[Rc<str>])> {
    s.filter(id).filter(|(deny, items)| !deny || !items.is_empty())
}

/// A file that is made with a mode.
fn making(base: Decision, flags: u8, mode: u8) -> Decision {
    let made = base.clone().unless(mode, Test::AnyOf(SET_ID), Verdict::Errno(EPERM));
    base.or_if(flags, Test::AnyOf(MAKES_FILES), made)
}

/// Memory that can be written and executed, at once or one after the other.
fn write_execute(abi: Abi, name: &str, base: Decision) -> Decision {
    let refuse = Verdict::Errno(EPERM);
    match name {
        // On x86 its arguments are in memory.
        "mmap" if abi == Abi::X86 => Decision::Give(refuse),
        "mmap" | "mmap2" => base.unless(2, Test::AllOf(PROT_WRITE | PROT_EXEC), refuse),
        "mprotect" | "pkey_mprotect" => base.unless(2, Test::AnyOf(PROT_EXEC), refuse),
        "shmat" => base.unless(2, Test::AnyOf(SHM_EXEC), refuse),
        _ => base,
    }
}

/// `SystemCallFilter=`: whether it says what is allowed, and what is forbidden.
fn system_calls(s: &Settings) -> (bool, Vec<(Calls, Verdict)>) {
    let Some((deny, items)) = s.filter(ids::SYSTEM_CALL_FILTER) else { return (false, Vec::new()) };
    let default = match s.int(ids::SYSTEM_CALL_ERROR_NUMBER) {
        syscalls::KILL => Verdict::Kill,
        number => u16::try_from(number).map_or(Verdict::Kill, Verdict::Errno),
    };
    let mut forbidden = Vec::new();
    if !deny {
        // What only groups in `@known` have, which is obsolete, counts as not known, and what is not native: as in the reference.
        let known = syscalls::group("@known").into_iter().flatten();
        let known = known.filter(|name| has_native(name)).fold(Calls::default(), Calls::and);
        let all = [(Calls::EVERY, Verdict::Errno(ENOSYS)), (known, default)];
        forbidden.extend(all.map(|(calls, verdict)| (calls.without(Calls::named("@default")), verdict)));
    }
    for item in items {
        let (forbids, name, action) = syscalls::parts(item);
        let calls = Calls::named(name);
        match forbids {
            true => forbidden.push((calls, action.and_then(verdict).unwrap_or(default))),
            false => forbidden.iter_mut().for_each(|(all, _)| *all = all.without(calls)),
        }
    }
    // The reference's own process needs it behind the filter, so that units count on it.
    let always = Calls::named("write");
    forbidden.iter_mut().for_each(|(all, _)| *all = all.without(always));
    (!deny, forbidden)
}

/// `SystemCallLog=`: the calls that are named and not taken back again.
fn listed(items: &[Rc<str>], deny: bool) -> Calls {
    items.iter().fold(Calls::default(), |all, item| {
        let (invert, name, _) = syscalls::parts(item);
        let calls = Calls::named(name);
        if invert == deny { all.with(calls) } else { all.without(calls) }
    })
}

/// What a call that is forbidden gives, by the word behind its `:`.
fn verdict(action: &str) -> Option<Verdict> {
    Some(match syscalls::parse_action(action).ok()? {
        syscalls::Action::Kill => Verdict::Kill,
        syscalls::Action::Errno(number) => Verdict::Errno(number),
    })
}

/// The native one is always among them, and x32 needs it.
fn abis<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Abi> {
    let mut abis = vec![Abi::X86_64];
    abis.extend(names.filter_map(|name| match name {
        "x86" => Some(Abi::X86),
        "x32" => Some(Abi::X32),
        _ => None,
    }));
    abis
}

#[cfg(test)]
mod tests {
    use super::super::calls::ABIS;
    use super::super::program::machine;
    use super::*;
    use crate::directives::load;
    use crate::names::specifiers::{HostSpecifiers, ManagerSpecifiers};
    use crate::names::{Specifiers, UnitName};
    use crate::unitfile::{UnitFiles, parse};

    fn settings(lines: &str) -> Settings {
        let unit = UnitName::parse("a.service").expect("a name");
        let (host, manager) = (HostSpecifiers::default(), ManagerSpecifiers::system("/run"));
        let specifiers =
            Specifiers { unit: &unit, fragment_path: Some("/x"), host: &host, manager: &manager };
        let text = format!("[Service]\nExecStart=/x\n{lines}\n");
        let files = UnitFiles { fragment: Some(parse("/x", text.as_bytes())), dropins: Vec::new() };
        load(unit.kind(), &files, &specifiers, &Settings::default(), &|_| false).settings
    }

    /// What becomes of a call under these settings.
    struct Filtered(Vec<Instruction>);

    impl Filtered {
        fn by(text: &str) -> Filtered {
            Filtered(Rules::of(&settings(text), false).program().expect("something is filtered"))
        }

        fn call(&self, abi: Abi, name: &str, arguments: [u32; 6]) -> Verdict {
            let (.., number) = of(abi).find(|(_, it, _)| *it == name).expect("a call of this machine");
            machine::run(&self.0, abi, number, arguments)
        }

        fn native(&self, name: &str) -> Verdict {
            self.call(Abi::X86_64, name, [0; 6])
        }
    }

    const OPEN_CREATES: u32 = 0o100;

    #[test]
    fn nothing_is_filtered_without_a_setting() {
        assert_eq!(Rules::of(&settings("User=nobody\nProtectSystem=strict"), false).program(), None);
        assert_eq!(
            Rules::of(&settings("RestrictNamespaces=no\nSystemCallFilter=~\nSystemCallLog=~"), false)
                .program(),
            None
        );
        assert_eq!(
            Rules::of(&settings("SystemCallErrorNumber=0\nSystemCallFilter=~x"), false).program(),
            None
        );
        assert_eq!(Rules::of(&settings("MemoryDenyWriteExecute=yes"), true).program(), None);
    }

    #[test]
    fn lists_of_what_is_allowed() {
        let f = Filtered::by(
            "SystemCallFilter=@system-service mount\nSystemCallFilter=~chown:ENOANO kill getpid",
        );
        for abi in ABIS {
            assert_eq!(f.call(abi, "read", [0; 6]), Verdict::Allow);
            assert_eq!(f.call(abi, "mount", [0; 6]), Verdict::Allow);
            assert_eq!(f.call(abi, "reboot", [0; 6]), Verdict::Kill);
            assert_eq!(f.call(abi, "chown", [0; 6]), Verdict::Errno(55));
            assert_eq!(f.call(abi, "getpid", [0; 6]), Verdict::Kill);
            assert_eq!(f.call(abi, "execve", [0; 6]), Verdict::Allow);
        }
        assert_eq!(machine::run(&f.0, Abi::X86_64, 1000, [0; 6]), Verdict::Errno(ENOSYS));
        let f = Filtered::by("SystemCallFilter=read\nSystemCallErrorNumber=EUCLEAN");
        assert_eq!((f.native("readv"), f.native("read")), (Verdict::Errno(117), Verdict::Allow));
        assert_eq!(f.native("write"), Verdict::Allow);
        assert_eq!(f.call(Abi::X86, "waitpid", [0; 6]), Verdict::Errno(ENOSYS));
    }

    #[test]
    fn lists_of_what_is_forbidden() {
        let f = Filtered::by(
            "SystemCallFilter=~@mount reboot:EPERM swapon:kill\nSystemCallFilter=umount2\nSystemCallErrorNumber=EACCES",
        );
        let verdicts = ["mount", "umount2", "reboot", "swapon", "read"].map(|name| f.native(name));
        let kill = Verdict::Kill;
        assert_eq!(verdicts, [Verdict::Errno(13), Verdict::Allow, Verdict::Errno(1), kill, Verdict::Allow]);
        assert_eq!(machine::run(&f.0, Abi::X86_64, 1000, [0; 6]), Verdict::Allow);
    }

    #[test]
    fn what_is_obsolete_is_not_known() {
        let f = Filtered::by("SystemCallFilter=@system-service\nSystemCallErrorNumber=EPERM");
        assert_eq!(
            ["uselib", "reboot", "ustat"].map(|name| f.native(name)),
            [Verdict::Errno(ENOSYS), Verdict::Errno(EPERM), Verdict::Errno(EPERM)]
        );
        let f = Filtered::by("SystemCallFilter=@system-service uselib");
        assert_eq!(f.native("uselib"), Verdict::Allow);
    }

    #[test]
    fn privileges_may_go() {
        let goes = |text: &str| Rules::of(&settings(text), false).let_privileges_go();
        assert!(
            goes("SystemCallFilter=@system-service")
                && goes("ProtectClock=yes")
                && goes("SystemCallFilter=~reboot")
        );
        assert!(!goes("SystemCallFilter=@basic-io") && !goes("SystemCallFilter=~capset:EPERM"));
    }

    #[test]
    fn a_list_counts_before_other_settings() {
        let f =
            Filtered::by("SystemCallFilter=~clock_settime\nSystemCallErrorNumber=EUCLEAN\nProtectClock=yes");
        assert_eq!(f.native("clock_settime"), Verdict::Errno(117));
        assert_eq!(f.native("settimeofday"), Verdict::Errno(EPERM));
    }

    #[test]
    fn protections() {
        let f = Filtered::by(
            "ProtectKernelModules=yes\nProtectKernelLogs=yes\nPrivateDevices=yes\nProtectHostname=yes",
        );
        for name in ["init_module", "finit_module", "syslog", "iopl", "sethostname", "setdomainname"] {
            assert_eq!(f.native(name), Verdict::Errno(EPERM), "{name}");
        }
        assert_eq!(f.native("settimeofday"), Verdict::Allow);
    }

    #[test]
    fn ways_to_call() {
        let f = Filtered::by("SystemCallArchitectures=native");
        let verdicts = ABIS.map(|abi| f.call(abi, "read", [0; 6]));
        assert_eq!(verdicts, [Verdict::Allow, Verdict::Kill, Verdict::Kill]);
        let f = Filtered::by("SystemCallArchitectures=x86");
        let verdicts = ABIS.map(|abi| f.call(abi, "read", [0; 6]));
        assert_eq!(verdicts, [Verdict::Allow, Verdict::Allow, Verdict::Kill]);
    }

    #[test]
    fn many_calls_in_one() {
        let f = Filtered::by("SystemCallFilter=~connect shmat\nSystemCallErrorNumber=EUCLEAN");
        let call = |name, first| f.call(Abi::X86, name, [first, 0, 0, 0, 0, 0]);
        assert_eq!([1, 3].map(|n| call("socketcall", n)), [Verdict::Allow, Verdict::Errno(117)]);
        assert_eq!(
            [21, 1 << 16 | 21, 22].map(|n| call("ipc", n)),
            [Verdict::Errno(117), Verdict::Errno(117), Verdict::Allow]
        );
        let f = Filtered::by("SystemCallFilter=@default connect");
        let call = |first| f.call(Abi::X86, "socketcall", [first, 0, 0, 0, 0, 0]);
        assert_eq!([1, 3].map(call), [Verdict::Kill, Verdict::Allow]);
    }

    #[test]
    fn families_of_sockets() {
        let verdict =
            |text: &str, family| Filtered::by(text).call(Abi::X86_64, "socket", [family, 0, 0, 0, 0, 0]);
        let refused = Verdict::Errno(EAFNOSUPPORT);
        let only = "RestrictAddressFamilies=AF_LOCAL AF_INET";
        assert_eq!(
            [1, 2, 10, 16].map(|n| verdict(only, n)),
            [Verdict::Allow, Verdict::Allow, refused, refused]
        );
        let but = "RestrictAddressFamilies=~AF_INET6";
        assert_eq!([1, 10].map(|n| verdict(but, n)), [Verdict::Allow, refused]);
        assert_eq!(verdict("RestrictAddressFamilies=none", 1), refused);
    }

    #[test]
    fn namespaces() {
        const USER: u32 = 0x1000_0000;
        const NET: u32 = 0x4000_0000;
        let f = Filtered::by("RestrictNamespaces=net");
        let refused = Verdict::Errno(EPERM);
        let clone = |flags| f.call(Abi::X86_64, "clone", [flags, 0, 0, 0, 0, 0]);
        assert_eq!(
            [0x11, NET, USER, USER | NET].map(clone),
            [Verdict::Allow, Verdict::Allow, refused, refused]
        );
        let setns = |kind| f.call(Abi::X86_64, "setns", [3, kind, 0, 0, 0, 0]);
        assert_eq!([0, NET, USER].map(setns), [refused, Verdict::Allow, refused]);
        assert_eq!(f.native("clone3"), Verdict::Errno(ENOSYS));
        let all = Filtered::by("RestrictNamespaces=yes");
        assert_eq!(all.call(Abi::X86_64, "setns", [3, 0x80, 0, 0, 0, 0]), refused, "a time namespace");
    }

    #[test]
    fn set_id_bits() {
        let f = Filtered::by("RestrictSUIDSGID=yes");
        let refused = Verdict::Errno(EPERM);
        let call = |name, arguments| f.call(Abi::X86_64, name, arguments);
        assert_eq!(call("chmod", [0, 0o4755, 0, 0, 0, 0]), refused);
        assert_eq!(call("chmod", [0, 0o1777, 0, 0, 0, 0]), Verdict::Allow);
        assert_eq!(call("fchmodat", [0, 0, 0o2755, 0, 0, 0]), refused);
        assert_eq!(call("mkdirat", [0, 0, 0o2755, 0, 0, 0]), refused);
        assert_eq!(call("openat", [0, 0, OPEN_CREATES, 0o4755, 0, 0]), refused);
        // Without O_CREAT the mode is what happens to be in the register.
        assert_eq!(call("openat", [0, 0, 0, 0o4755, 0, 0]), Verdict::Allow);
        assert_eq!(call("openat2", [0; 6]), Verdict::Errno(ENOSYS));
    }

    #[test]
    fn real_time_personality_and_memory() {
        let f = Filtered::by("RestrictRealtime=yes\nLockPersonality=yes\nMemoryDenyWriteExecute=yes");
        let refused = Verdict::Errno(EPERM);
        let call = |name, arguments| f.call(Abi::X86_64, name, arguments);
        let policy = |policy| call("sched_setscheduler", [0, policy, 0, 0, 0, 0]);
        let allow = Verdict::Allow;
        assert_eq!(
            [0, 1, 2, 3, 5, 6, u32::MAX].map(policy),
            [allow, refused, refused, allow, allow, refused, refused]
        );
        assert_eq!([0, 8, u32::MAX].map(|n| call("personality", [n; 6])), [allow, refused, refused]);
        assert_eq!([2, 4, 6].map(|n| call("mmap", [0, 0, n, 0, 0, 0])), [allow, allow, refused]);
        assert_eq!([3, 5].map(|n| call("mprotect", [0, 0, n, 0, 0, 0])), [allow, refused]);
        assert_eq!(f.call(Abi::X86, "mmap", [0; 6]), refused);
    }

    #[test]
    fn logs() {
        let f = Filtered::by("SystemCallLog=mount\nSystemCallFilter=~reboot");
        assert_eq!(
            ["mount", "read", "reboot"].map(|name| f.native(name)),
            [Verdict::Log, Verdict::Allow, Verdict::Kill]
        );
        let f = Filtered::by("SystemCallLog=~mount");
        assert_eq!(["mount", "read"].map(|name| f.native(name)), [Verdict::Allow, Verdict::Log]);
    }

    #[test]
    fn everything_at_once_fits() {
        let all = "SystemCallFilter=@system-service\nSystemCallErrorNumber=EPERM\nProtectClock=yes\nRestrictNamespaces=yes\n\
                   RestrictSUIDSGID=yes\nRestrictRealtime=yes\nLockPersonality=yes\nMemoryDenyWriteExecute=yes\n\
                   RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\nSystemCallLog=@io-event\nProtectHostname=yes";
        let length = Filtered::by(all).0.len();
        assert!((300..4096).contains(&length), "{length}");
        let native = Filtered::by(&format!("{all}\nSystemCallArchitectures=native")).0.len();
        assert!(native < length / 2, "{native} of {length}");
    }
}
