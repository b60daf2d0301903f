//! Settings, compiled and run: what the process sees is what the settings say.
mod lean;

use runstead_core::directives::ids;
use runstead_core::engine::effect::{Command, SpawnSpec};
use runstead_core::names::UnitName;
use runstead_core::plan::{Credential, SpawnFacts, UserFacts, compile};
use runstead_core::settings::{Settings, Value};
use runstead_os::rundir::{RunDir, base_layout};
use runstead_os::spawn::{ExecResult, Options};
use rustix::event::{PollFd, PollFlags, poll};
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

/// These tests need root: without it they say so and do nothing.
fn is_root() -> bool {
    let uid = rustix::process::geteuid();
    if !uid.is_root() {
        println!("skipped: needs root");
        assert!(std::env::var_os("CI").is_none(), "in CI nothing is left out");
    }
    uid.is_root()
}

struct World {
    dir: PathBuf,
    facts: SpawnFacts,
    settings: Settings,
}

fn text(value: &str) -> Value {
    Value::Text(value.into())
}

fn list(values: &[&str]) -> Value {
    Value::List(values.iter().map(|value| Rc::from(*value)).collect())
}

fn rows(values: &[&[&str]]) -> Value {
    Value::Rows(
        values.iter().map(|row| row.iter().map(|v| Rc::from(*v)).collect::<Rc<[Rc<str>]>>()).collect(),
    )
}

fn word(id: runstead_core::settings::DirectiveId, word: &str) -> Value {
    Value::Word(runstead_core::directives::row(id).words().unwrap().index(word).unwrap())
}

impl World {
    fn new() -> World {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = PathBuf::from(format!("/run/runstead-plan-{}-{number}", std::process::id()));
        fs::create_dir_all(dir.join("systemd")).unwrap();
        let run_root = dir.to_str().unwrap().to_owned();
        base_layout(&RunDir::open(&run_root).unwrap(), None).unwrap();
        let mut facts = SpawnFacts { run_root: run_root.clone(), ..SpawnFacts::default() };
        facts.own_user = UserFacts { name: "root".into(), home: "/root".into(), ..UserFacts::default() };
        facts.prefixes.runtime = run_root.clone();
        facts.prefixes.state = format!("{run_root}/state");
        let mut settings = Settings::default();
        settings.set(ids::STANDARD_OUTPUT, text(&format!("file:{run_root}/out")));
        World { dir, facts, settings }
    }

    fn with(mut self, id: runstead_core::settings::DirectiveId, value: Value) -> World {
        self.settings.set(id, value);
        self
    }

    fn user(mut self, name: &str, uid: u32) -> World {
        let user =
            UserFacts { name: name.into(), uid, gid: uid, groups: vec![uid + 1], ..UserFacts::default() };
        self.settings.set(ids::USER, text(name));
        self.facts.user = Some(user);
        self
    }

    fn run(&self, script: &str) -> String {
        let (output, status, result) = self.outcome(script);
        assert_eq!(result, ExecResult::Done(vec![]), "{output}");
        assert_eq!(status, 0, "{output}");
        output
    }

    fn outcome(&self, script: &str) -> (String, i32, ExecResult) {
        let argv: Rc<[Rc<str>]> = ["sh", "-c", script].map(Rc::from).into_iter().collect();
        let command = Command {
            path: "/bin/sh".into(),
            argv,
            ignore_failure: false,
            full_privileges: false,
            no_setuid: false,
            no_env_expand: true,
            via_shell: false,
        };
        let spec = SpawnSpec {
            unit: UnitName::parse("t.service").unwrap(),
            settings: self.settings.clone(),
            command,
            role: "ExecStart",
            invocation: "00112233445566778899aabbccddeeff".into(),
            cgroup: None,
            subgroup: None,
            shared: None,
            fds: vec![],
            socket_fds: 0,
            socket: None,
            environment: vec![],
            notify: false,
            watchdog_usec: None,
            full_privileges: true,
            is_main: true,
            stdio: [None; 3],
            wait_exec: true,
            idle: false,
        };
        let plan = compile(&spec, &self.facts).unwrap();
        let child = lean::spawner().spawn(&plan, Options::default()).unwrap();
        let pipe = child.exec_pipe();
        poll(&mut [PollFd::new(&pipe, PollFlags::IN)], None).unwrap();
        let result = child.exec_result();
        let pid = rustix::process::Pid::from_raw(child.pid).unwrap();
        let waited = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty()).unwrap();
        let (_, status) = waited.unwrap();
        let output = fs::read_to_string(self.dir.join("out")).unwrap_or_default();
        (output, status.exit_status().unwrap_or(-1), result)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(
            self.dir.join("credentials/t.service"),
            rustix::mount::UnmountFlags::DETACH,
        );
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn a_user_with_groups_limits_and_directories() {
    if !is_root() {
        return;
    }
    let world = World::new()
        .user("someone", 61000)
        .with(ids::RUNTIME_DIRECTORY, rows(&[&["a/b", "link", ""]]))
        .with(ids::RUNTIME_DIRECTORY_MODE, Value::Uint(0o750))
        .with(ids::LIMIT_NOFILE, Value::Rlimit(100, 200))
        .with(ids::NICE, Value::Int(5))
        .with(ids::UMASK, Value::Uint(0o027))
        .with(ids::NO_NEW_PRIVILEGES, Value::Bool(true));
    let run = world.facts.run_root.clone();
    let out = world.run(
        "id -u; id -g; id -G; ulimit -n; nice; umask; grep NoNewPrivs /proc/self/status | tr -d '\\t'; \
         echo $RUNTIME_DIRECTORY; stat -c '%a %u' $RUNTIME_DIRECTORY; readlink ${RUNTIME_DIRECTORY%/a/b}/link; pwd; \
         cat /proc/self/timerslack_ns; ls /proc/self/fd | wc -l",
    );
    let lines: Vec<&str> = out.lines().collect();
    let dir = format!("{run}/a/b");
    assert_eq!(lines[..5], ["61000", "61000", "61000 61001", "100", "5"], "{out}");
    assert_eq!(lines[5..11], ["0027", "NoNewPrivs:1", &dir, "750 61000", "a/b", "/"], "{out}");
}

#[test]
fn the_file_system_is_as_read_only_as_asked() {
    if !is_root() {
        return;
    }
    let world = World::new().with(ids::PROTECT_SYSTEM, word(ids::PROTECT_SYSTEM, "strict"));
    let run = world.facts.run_root.clone();
    let out = world
        .with(ids::READ_WRITE_PATHS, list(&[&format!("{run}/systemd/units"), "-/nonexistent"]))
        .run(&format!(
            "mkdir {run}/x 2>/dev/null && echo bad; mkdir /usr/x 2>/dev/null && echo bad; : > /dev/null && \
         mkdir {run}/systemd/units/x && echo ok; stat -c %a {run}/systemd/mount-rootfs {run}/systemd/propagate/t.service; ls -A {run}/systemd/incoming | wc -l"
        ));
    assert_eq!(out, "ok\n555\n600\n0\n");
}

#[test]
fn homes_devices_and_temporary_directories_are_private() {
    if !is_root() {
        return;
    }
    let mut world = World::new()
        .with(ids::PROTECT_HOME, word(ids::PROTECT_HOME, "yes"))
        .with(ids::PRIVATE_DEVICES, Value::Bool(true))
        .with(ids::PROTECT_KERNEL_LOGS, Value::Bool(true))
        .with(ids::PROTECT_KERNEL_TUNABLES, Value::Bool(true))
        .with(ids::PRIVATE_TMP, word(ids::PRIVATE_TMP, "connected"));
    let name = format!("systemd-private-test-{}", std::process::id());
    world.facts.private_tmp = Some(name.clone());
    let out = world.run(
        "ls -A /root | wc -l; stat -c %a /root; ls -A /tmp | wc -l; stat -c %a /tmp; echo x > /tmp/f; \
         ls -d /dev/null /dev/pts /dev/char/1:3 /dev/fd; ls /dev | wc -l; echo y > /dev/null; touch /dev/x /proc/sys/kernel/hostname 2>/dev/null && echo bad; head -c1 /proc/kallsyms; echo end",
    );
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..4], ["0", "0", "0", "1777"], "{out}");
    assert_eq!(lines[4..8], ["/dev/char/1:3", "/dev/fd", "/dev/null", "/dev/pts"], "{out}");
    assert_eq!(lines.last(), Some(&"end"), "{out}");
    assert_eq!(fs::read_to_string(format!("/tmp/{name}/tmp/f")).unwrap(), "x\n");
    for base in ["/tmp", "/var/tmp"] {
        fs::remove_dir_all(format!("{base}/{name}")).unwrap();
    }
}

#[test]
fn binds_and_temporary_file_systems() {
    if !is_root() {
        return;
    }
    let world = World::new()
        .with(ids::TEMPORARY_FILE_SYSTEM, rows(&[&["/var", "ro"]]))
        .with(ids::BIND_READ_ONLY_PATHS, rows(&[&["/etc/passwd", "/var/x/y", "", "rbind"]]))
        .with(ids::INACCESSIBLE_PATHS, list(&["/etc/hostname", "-/nonexistent"]));
    let out = world.run("ls /var; cmp /var/x/y /etc/passwd && echo same; stat -c '%a %s' /etc/hostname; touch /var/z 2>/dev/null || echo no");
    assert_eq!(out, "x\nsame\n0 0\nno\n");
}

#[test]
fn a_missing_path_fails_the_unit() {
    if !is_root() {
        return;
    }
    let world = World::new().with(ids::BIND_PATHS, rows(&[&["/nonexistent", "/mnt", "", "rbind"]]));
    let (_, status, result) = world.outcome("true");
    let ExecResult::Failed(error) = result else { panic!("{result:?}") };
    assert_eq!((status, error.setting, error.errno), (226, "BindPaths", 2));
}

#[test]
fn credentials_are_the_users_alone() {
    if !is_root() {
        return;
    }
    for (noswap, kind) in [(false, "ramfs"), (true, "tmpfs")] {
        let mut world =
            World::new().user("someone", 61000).with(ids::SET_CREDENTIAL, rows(&[&["secret", "aGk="]]));
        world.facts.kernel.tmpfs_noswap = noswap;
        world.facts.credentials = vec![Credential { name: "secret".into(), bytes: b"hi\n".to_vec() }];
        let out = world.run("cat $CREDENTIALS_DIRECTORY/secret; stat -c '%a %u' $CREDENTIALS_DIRECTORY $CREDENTIALS_DIRECTORY/secret; stat -f -c %T $CREDENTIALS_DIRECTORY");
        assert_eq!(out, format!("hi\n500 61000\n400 61000\n{kind}\n"));
    }
}

#[test]
fn dynamic_users_have_private_state() {
    if !is_root() {
        return;
    }
    let mut world = World::new()
        .with(ids::DYNAMIC_USER, Value::Bool(true))
        .with(ids::STATE_DIRECTORY, rows(&[&["dyn", "", ""]]));
    world.facts.user = Some(UserFacts { name: "dyn".into(), uid: 61999, gid: 61999, ..UserFacts::default() });
    let out = world.run(
        "id -u; readlink $STATE_DIRECTORY; echo x > $STATE_DIRECTORY/f && stat -c '%u %a' $STATE_DIRECTORY/; \
         ls -A /tmp | wc -l; stat -c %a $(dirname $STATE_DIRECTORY)/private; echo $USER; touch /etc/x 2>/dev/null || echo ro",
    );
    assert_eq!(out, "61999\nprivate/dyn\n61999 755\n0\n755\ndyn\nro\n");
}

#[test]
fn state_from_before_the_user_was_dynamic_moves() {
    if !is_root() {
        return;
    }
    let mut world = World::new()
        .with(ids::DYNAMIC_USER, Value::Bool(true))
        .with(ids::STATE_DIRECTORY, rows(&[&["dyn", "", ""], &["deep/er", "", ""]]));
    world.facts.user = Some(UserFacts { name: "dyn".into(), uid: 61999, gid: 61999, ..UserFacts::default() });
    for name in ["dyn", "deep/er"] {
        fs::create_dir_all(world.dir.join("state").join(name)).unwrap();
        fs::write(world.dir.join("state").join(name).join("kept"), "").unwrap();
    }
    // The second time it is there already.
    for _ in 0..2 {
        let out = world.run(
            "cd ${STATE_DIRECTORY%%:*}/..; readlink dyn deep/er; stat -c '%u %n' dyn/kept deep/er/kept; ls -A private/dyn",
        );
        assert_eq!(out, "private/dyn\n../private/deep/er\n61999 dyn/kept\n61999 deep/er/kept\nkept\n");
    }
}

#[test]
fn capabilities_stay_as_asked() {
    if !is_root() {
        return;
    }
    let net_bind = 1u64 << 10;
    let world = World::new()
        .user("someone", 61000)
        .with(ids::CAPABILITY_BOUNDING_SET, Value::Bits(net_bind | 1))
        .with(ids::AMBIENT_CAPABILITIES, Value::Bits(net_bind));
    let out = world.run("grep Cap /proc/self/status | tr -d '\\t'");
    let set = "0000000000000400";
    assert_eq!(
        out,
        format!("CapInh:{set}\nCapPrm:{set}\nCapEff:{set}\nCapBnd:0000000000000401\nCapAmb:{set}\n")
    );
    let out =
        World::new().with(ids::CAPABILITY_BOUNDING_SET, Value::Bits(1)).run("grep CapEff /proc/self/status");
    assert_eq!(out.trim_end(), "CapEff:\t0000000000000001");
}

#[test]
fn networks_are_private() {
    if !is_root() {
        return;
    }
    let world =
        World::new().with(ids::PRIVATE_NETWORK, Value::Bool(true)).with(ids::PRIVATE_IPC, Value::Bool(true));
    assert_eq!(
        world.run("tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '; ls /sys/class/net"),
        "lo\nlo\n"
    );
}

/// What an unprivileged user's `/proc/self/status` says of filters, privileges and capabilities.
const STATUS: &str =
    "awk '/^(NoNewPrivs|Seccomp|CapEff|CapPrm|CapInh):/ {print $2}' /proc/self/status | tr '\\n' ' '";

fn filter(deny: bool, items: &[&str]) -> Value {
    Value::Filter { deny, items: items.iter().map(|item| Rc::from(*item)).collect() }
}

#[test]
fn filters_are_there_for_users_who_may_still_gain_privileges() {
    if !is_root() {
        return;
    }
    let mut world = World::new()
        .user("someone", 61000)
        .with(ids::SYSTEM_CALL_FILTER, filter(false, &["@system-service"]));
    let none = "0000000000000000";
    assert_eq!(world.run(STATUS), format!("{none} {none} {none} 0 2 "));
    // Who may not install one otherwise gives up gaining privileges.
    world.facts.kernel.admin = false;
    assert_eq!(world.run(STATUS), format!("{none} {none} {none} 1 2 "));
}

#[test]
fn a_filter_may_forbid_what_its_installation_needs() {
    if !is_root() {
        return;
    }
    let forbidden = ["~getpid", "~prctl", "~capset", "~capget", "~seccomp", "~setresuid", "~dup3"];
    let world = World::new()
        .user("someone", 61000)
        .with(ids::SYSTEM_CALL_FILTER, filter(true, &forbidden))
        .with(ids::SYSTEM_CALL_ERROR_NUMBER, Value::Int(117))
        .with(ids::CAPABILITY_BOUNDING_SET, Value::Bits(1))
        .with(ids::SECURE_BITS, Value::Bits(1 << 2));
    let (out, status, result) = world.outcome("echo still here");
    assert!(matches!(&result, ExecResult::Done(weakened) if weakened.is_empty()), "{result:?}");
    assert_eq!((out.as_str(), status), ("still here\n", 0));
}

#[test]
fn what_is_filtered_fails_or_kills() {
    if !is_root() {
        return;
    }
    let world = World::new()
        .with(ids::SYSTEM_CALL_FILTER, filter(true, &["~mkdir:ENOANO", "~rmdir:kill"]))
        .with(ids::RESTRICT_SUIDSGID, Value::Bool(true))
        .with(ids::RESTRICT_NAMESPACES, Value::Bits(0))
        .with(ids::MEMORY_DENY_WRITE_EXECUTE, Value::Bool(true));
    let dir = world.dir.display();
    let out = world.run(&format!(
        "mkdir {dir}/x 2>&1 | grep -o 'No anode'; touch {dir}/f; chmod 4755 {dir}/f 2>&1 | grep -o 'Operation not permitted'; \
         chmod 755 {dir}/f && stat -c %a {dir}/f; unshare -n true 2>&1 | grep -o 'Operation not permitted'; \
         (rmdir {dir}/none) 2>/dev/null; echo $?"
    ));
    let refused = "Operation not permitted";
    assert_eq!(
        out,
        format!("No anode\n{refused}\n755\n{refused}\nBad system call\n159\n"),
        "the last by SIGSYS"
    );
}
