//! Steps of a spawn plan that `plan.rs` does not reach by settings, each once against the kernel.
mod lean;

use runstead_core::filter::Instruction;
use runstead_core::plan::{ExitStatus, Filter, HeldTty, OnError, Op, Plan, Slot, Step, Text};
use runstead_os::spawn::{Child, ExecResult, How, Options, Spawner};
use rustix::event::{PollFd, PollFlags, poll};
use std::fs;
use std::io::Read as _;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("runstead-steps-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    dir
}

fn step(op: Op) -> Step {
    Step { op, setting: "Test", on_error: OnError::Fail(ExitStatus::Chown) }
}

fn plan(out: &str, ops: Vec<Op>, script: &str, envp: Vec<Text>) -> Plan {
    let open = Op::OpenStdio { target: 1, path: out.into(), flags: 0o1 | 0o100 | 0o2000, mode: 0o600 };
    let argv = ["sh", "-c", script].map(Text::from).to_vec();
    let exec = Op::Exec { paths: vec!["/bin/sh".into()], argv, envp };
    let steps = std::iter::once(open).chain(ops).chain([exec]).map(step).collect();
    Plan { steps, ..Plan::default() }
}

fn finish(child: &Child) -> (i32, ExecResult) {
    let pipe = child.exec_pipe();
    let mut result = ExecResult::Pending;
    while result == ExecResult::Pending {
        poll(&mut [PollFd::new(&pipe, PollFlags::IN)], None).unwrap();
        result = child.exec_result();
    }
    let pid = rustix::process::Pid::from_raw(child.pid).unwrap();
    let waited = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty()).unwrap();
    (waited.unwrap().1.exit_status().unwrap_or(-1), result)
}

/// Run a shell after these steps.
fn run(name: &str, ops: Vec<Op>, script: &str, envp: Vec<Text>) -> String {
    let dir = scratch(name);
    let out = dir.join("out");
    let plan = plan(out.to_str().unwrap(), ops, script, envp);
    let child = lean::spawner().spawn(&plan, Options::default()).unwrap();
    let (status, result) = finish(&child);
    let output = fs::read_to_string(&out).unwrap_or_default();
    assert_eq!((status, result), (0, ExecResult::Done(vec![])), "{output}");
    fs::remove_dir_all(&dir).unwrap();
    output
}

/// Says why a test does nothing; in CI nothing is left out.
fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    println!("skipped: {why}");
}

/// Tests of steps that need privileges say why they do nothing without.
fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip("this step needs root");
    }
    root
}

#[test]
fn scheduling() {
    let ops = vec![
        Op::Scheduler { policy: 3, priority: 0, nice: 7, reset_on_fork: true },
        Op::IoPriority(3 << 13),
        Op::CpuAffinity(vec![1, 0, 0, 0, 0, 0, 0, 0]),
        Op::NumaPolicy { policy: 4, nodes: vec![] },
        Op::Prctl([29, 4242, 0, 0, 0]),
        Op::Personality(0x0040000),
        Op::Rlimit { resource: 4, soft: 0, hard: u64::MAX },
        Op::WriteFile { path: "/proc/self/oom_score_adj".into(), bytes: b"77".to_vec() },
    ];
    let script = "exec cut -d' ' -f19,41 /proc/self/stat; ";
    assert_eq!(run("sched", ops.clone(), script, vec![]), "7 3\n");
    let script = "grep Cpus_allowed_list /proc/self/status | tr -d '\\t'; cat /proc/$$/timerslack_ns /proc/$$/personality \
                  /proc/self/oom_score_adj; ionice -p $$; ulimit -c";
    let out = run("sched2", ops, script, vec!["PATH=/bin:/usr/bin".into()]);
    assert_eq!(out, "Cpus_allowed_list:0\n4242\n00040000\n77\nidle\n0\n");
}

#[test]
fn journal_stream_and_its_variable() {
    let dir = scratch("journal");
    let path = dir.join("stdout").to_str().unwrap().to_owned();
    let listener = UnixListener::bind(&path).unwrap();
    let header = "id\nunit\n30\n1\n0\n0\n0\n".to_owned();
    let op = Op::JournalStream { target: 2, path: path.clone(), header, as_user: None };
    let envp = vec![Text::slot("JOURNAL_STREAM=", Slot::JournalStream), "Z=1".into()];
    let script = "echo $JOURNAL_STREAM; stat -L -c %d:%i /proc/$$/fd/2; echo line >&2";
    let out = run("journal-run", vec![op], script, envp.clone());
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], lines[1]);
    let mut text = String::new();
    listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
    assert_eq!(text, "id\nunit\n30\n1\n0\n0\n0\nline\n");
    // Nobody listens: /dev/null stands in, and the variable is not there.
    let op = Op::JournalStream { target: 2, path: format!("{path}x"), header: String::new(), as_user: None };
    let out = run("no-journal", vec![op], "readlink /proc/$$/fd/2; echo ${JOURNAL_STREAM-none}$Z", envp);
    assert_eq!(out, "/dev/null\nnone1\n");
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn journal_streams_of_users_are_theirs() {
    if !is_root() {
        return;
    }
    let dir = scratch("journal-user");
    fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = dir.join("stdout");
    let listener = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let path = path.to_str().unwrap().to_owned();
    let op = Op::JournalStream { target: 2, path, header: "h\n".into(), as_user: Some((61000, 61001)) };
    assert_eq!(run("journal-ids", vec![op], "id -u", vec!["PATH=/bin:/usr/bin".into()]), "0\n");
    let (stream, _) = listener.accept().unwrap();
    let peer = rustix::net::sockopt::socket_peercred(&stream).unwrap();
    assert_eq!((peer.uid.as_raw(), peer.gid.as_raw()), (61000, 61001));
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn data_keyring_session_and_files() {
    let dir = scratch("files");
    let at = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let ops = vec![
        Op::Setsid,
        Op::DataStdin { bytes: b"hello\n".to_vec() },
        Op::Keyring { shared: false, invocation: vec![7; 16] },
        Op::Umask(0),
        Op::Mkdir { path: at("d"), mode: 0o711 },
        Op::Mkdir { path: at("d"), mode: 0o711 },
        Op::MakeFile { path: at("d/f"), bytes: b"x".to_vec(), mode: 0o440, owner: None },
        Op::Chown { path: at("d/f"), uid: 0, gid: 0, mode: Some(0o444) },
        Op::Symlink { target: "d/f".into(), path: at("l") },
        Op::Symlink { target: "d/f".into(), path: at("l") },
        Op::Rename { from: at("d"), to: at("e") },
        Op::Rename { from: at("none"), to: at("e2") },
        Op::Chdir { path: at("e") },
    ];
    if !is_root() {
        return;
    }
    let script = "cat; stat -c '%n %a' . f; readlink ../l; test $(cut -d' ' -f6 /proc/$$/stat) = $$ && echo leader; \
                  grep -q invocation_id /proc/keys && echo key";
    assert_eq!(
        run("files-run", ops, script, vec!["PATH=/bin:/usr/bin".into()]),
        "hello\n. 711\nf 444\nd/f\nleader\nkey\n"
    );
    fs::remove_dir_all(&dir).unwrap();
    let wrong = vec![Op::Symlink { target: "other".into(), path: "/proc/self/exe".into() }];
    let plan = plan("/dev/null", wrong, "true", vec![]);
    let child = lean::spawner().spawn(&plan, Options::default()).unwrap();
    assert_eq!(finish(&child).0, 235);
}

#[test]
fn owners_of_whole_trees() {
    if !is_root() {
        return;
    }
    let dir = scratch("owner");
    let tree = dir.join("tree");
    fs::create_dir_all(tree.join("a/b")).unwrap();
    fs::write(tree.join("a/b/f"), "").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", tree.join("link")).unwrap();
    let path = tree.to_str().unwrap().to_owned();
    let op = Op::OwnedDirectory { path, mode: 0o750, uid: 61000, gid: 61001, deep: true };
    run("owner-run", vec![op], "true", vec![]);
    use std::os::unix::fs::MetadataExt as _;
    for name in ["", "a", "a/b", "a/b/f", "link"] {
        let found = fs::symlink_metadata(tree.join(name)).unwrap();
        assert_eq!((found.uid(), found.gid()), (61000, 61001), "{name}");
    }
    assert_eq!(fs::metadata("/etc/passwd").unwrap().uid(), 0);
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn terminals() {
    let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
    let master = rustix::pty::openpt(flags).unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    let path = rustix::pty::ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let ops = vec![
        Op::Setsid,
        Op::ResetTty { path: path.clone(), reset: true, vhangup: false, size: (33, 44) },
        Op::OpenStdio { target: 0, path: path.clone(), flags: 0o2 | 0o400, mode: 0 },
        Op::ControllingTty { path: path.clone(), held: HeldTty::Steal },
        Op::ChownTty { uid: rustix::process::geteuid().as_raw() },
    ];
    let out = run(
        "tty",
        ops,
        "tty; stty size; stat -c %a $(tty); echo x > /dev/tty",
        vec!["PATH=/bin:/usr/bin".into()],
    );
    assert_eq!(out, format!("{path}\n33 44\n620\n"));
}

#[test]
fn a_held_terminal_is_waited_for_refused_or_stolen() {
    let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
    let master = rustix::pty::openpt(flags).unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    let path = rustix::pty::ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let take = |held, script: &str| {
        let ops = vec![
            Op::Setsid,
            Op::OpenStdio { target: 0, path: path.clone(), flags: 0o2 | 0o400, mode: 0 },
            Op::ControllingTty { path: path.clone(), held },
        ];
        let mut plan = plan("/dev/null", ops, script, vec!["PATH=/bin:/usr/bin".into()]);
        plan.steps.iter_mut().for_each(|step| step.on_error = OnError::Fail(ExitStatus::Stdin));
        lean::spawner().spawn(&plan, Options::default()).unwrap()
    };
    let holder = take(HeldTty::Refuse, "exec sleep 1000");
    while holder.exec_result() == ExecResult::Pending {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(finish(&take(HeldTty::Refuse, "exit 0")).0, 208);
    let waiting = take(HeldTty::Await, "echo x >/dev/tty && exit 3");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(waiting.exec_result(), ExecResult::Pending);
    runstead_os::process::kill(holder.pid, libc::SIGKILL, None).unwrap();
    finish(&holder);
    assert_eq!(finish(&waiting), (3, ExecResult::Done(vec![])));
    let holder = take(HeldTty::Await, "exec sleep 1000");
    while holder.exec_result() == ExecResult::Pending {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(finish(&take(HeldTty::Steal, "echo x >/dev/tty && exit 3")).0, 3);
    runstead_os::process::kill(holder.pid, libc::SIGKILL, None).unwrap();
    finish(&holder);
}

#[test]
fn a_weakened_step_is_reported_and_the_next_runs() {
    let mut plan = plan("/dev/null", vec![Op::Chdir { path: "/nonexistent".into() }], "exit 4", vec![]);
    plan.steps[1].on_error = OnError::Weaken;
    plan.steps[1].setting = "Hardening";
    let child = lean::spawner().spawn(&plan, Options::default()).unwrap();
    assert_eq!(finish(&child), (4, ExecResult::Done(vec![("Hardening", 2)])));
}

/// Allows everything but these calls, which fail with `EUCLEAN`.
fn all_but(numbers: &[u32]) -> Op {
    let instruction = |code, jt, jf, k| Instruction { code, jt, jf, k };
    let mut program = vec![instruction(0x20, 0, 0, 0)];
    for number in numbers {
        program.push(instruction(0x15, 0, 1, *number));
        program.push(instruction(0x06, 0, 0, 0x0005_0000 | 117));
    }
    program.push(instruction(0x06, 0, 0, 0x7fff_0000));
    Op::Filter(Filter { program, settings: vec!["A"] })
}

const NO_NEW_PRIVILEGES: Op = Op::Prctl([38, 1, 0, 0, 0]);
const GETPID: u32 = 39;
const EXIT: u32 = 60;
const EXIT_GROUP: u32 = 231;

#[test]
fn a_filter_counts_from_execve_on() {
    // What the environment says of the process is asked behind the filter's place in the plan.
    let ops = vec![NO_NEW_PRIVILEGES, all_but(&[GETPID])];
    let out =
        run("filter", ops, "test -d /proc/$OWN && echo $OWN | wc -w", vec![Text::slot("OWN=", Slot::Pid)]);
    assert_eq!(out, "1\n");
}

#[test]
fn a_child_that_may_not_exit_ends_all_the_same() {
    let mut plan = plan("/dev/null", vec![NO_NEW_PRIVILEGES, all_but(&[EXIT, EXIT_GROUP])], "true", vec![]);
    let Some(Step { op: Op::Exec { paths, .. }, .. }) = plan.steps.last_mut() else { panic!("no command") };
    *paths = vec!["/nonexistent".into()];
    let child = lean::spawner().spawn(&plan, Options::default()).unwrap();
    let (status, result) = finish(&child);
    assert!(matches!(result, ExecResult::Failed(failed) if failed.errno == 2));
    assert_eq!(status, -1, "it exited");
}

#[test]
fn a_filter_that_is_refused_fails_the_process() {
    let filter = Op::Filter(Filter { program: Vec::new(), settings: vec![] });
    let mut plan = plan("/dev/null", vec![filter], "exit 4", vec![]);
    plan.steps[1].on_error = OnError::Fail(ExitStatus::Seccomp);
    let child = lean::spawner().spawn(&plan, Options::default()).unwrap();
    let (status, result) = finish(&child);
    assert!(matches!(result, ExecResult::Failed(failed) if (failed.step, failed.errno) == (Some(1), 22)));
    assert_eq!(status, 228);
}

#[test]
fn waits_for_a_hangup_without_blocking_the_caller() {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let wait = Op::WaitHangup { fd: read.as_raw_fd(), timeout: 10_000 };
    let plan = plan("/dev/null", vec![wait], "true", vec![]);
    let child = lean::spawner().spawn(&plan, Options::default()).unwrap();
    assert_eq!(child.exec_result(), ExecResult::Pending);
    drop(write);
    assert_eq!(finish(&child), (0, ExecResult::Done(vec![])));
}

#[test]
fn children_are_made_in_their_cgroup_by_every_way() {
    if !is_root() {
        return;
    }
    let base = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let Some(root) = base.lines().find(|l| l.contains(" - cgroup2 ")).and_then(|l| l.split(' ').nth(4))
    else {
        skip("no cgroup2 here");
        return;
    };
    let cgroup = format!("{root}/runstead-steps-{}", std::process::id());
    if let Err(error) = fs::create_dir(&cgroup) {
        skip(&error.to_string());
        return;
    }
    for how in [How::IntoCgroup, How::Clone3, How::Clone] {
        let dir = scratch("cgroup");
        let out = dir.join("out").to_str().unwrap().to_owned();
        let mut plan = plan(&out, vec![Op::JoinCgroup], "cat /proc/self/cgroup", vec![]);
        plan.cgroup = Some(cgroup.clone());
        let spawner = Spawner::starting_with(how);
        let child = spawner.spawn(&plan, Options { open_fds: 5000 }).unwrap();
        assert_eq!(finish(&child).0, 0);
        let line = fs::read_to_string(&out).unwrap();
        assert!(line.contains(&format!("/runstead-steps-{}", std::process::id())), "{how:?}: {line}");
        fs::remove_dir_all(&dir).unwrap();
    }
    fs::remove_dir(&cgroup).unwrap();
    let mut plan = plan("/dev/null", vec![], "true", vec![]);
    plan.cgroup = Some(cgroup);
    let error = lean::spawner().spawn(&plan, Options::default()).unwrap_err();
    assert_eq!((error.exit_status, error.errno), (219, 2));
}

#[test]
fn descriptors_of_the_manager_do_not_leak_and_its_table_stays() {
    let files: Vec<fs::File> = (0..50).map(|_| fs::File::open("/dev/null").unwrap()).collect();
    let dir = scratch("leak");
    let out = dir.join("out").to_str().unwrap().to_owned();
    let fds = vec![files[40].as_raw_fd(), files[3].as_raw_fd()];
    let plan = plan(
        &out,
        vec![Op::PlaceFds { fds, nonblock: None }],
        "ls /proc/$$/fd",
        vec!["PATH=/bin:/usr/bin".into()],
    );
    let child = lean::spawner().spawn(&plan, Options { open_fds: 5000 }).unwrap();
    assert_eq!(finish(&child).0, 0);
    assert!(files.iter().all(|file| rustix::io::fcntl_getfd(file).is_ok()));
    let listed = fs::read_to_string(&out).unwrap();
    assert_eq!(listed, "0\n1\n2\n3\n4\n");
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn namespaces_by_path_and_a_root_directory() {
    if !is_root() {
        return;
    }
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    let ops = vec![
        Op::Setns { path: "/proc/self/ns/net".into(), kind: 0x4000_0000 },
        Op::Unshare(0x0400_0000),
        Op::Chroot { root: "/".into() },
    ];
    let out =
        run("ns", ops, "readlink /proc/self/ns/net /proc/self/ns/uts", vec!["PATH=/bin:/usr/bin".into()]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], own.to_str().unwrap());
    assert_ne!(lines[1], fs::read_link("/proc/self/ns/uts").unwrap().to_str().unwrap());
}

#[test]
fn directories_of_others_are_refused() {
    if !is_root() {
        return;
    }
    let dir = scratch("others");
    let path = dir.join("d").to_str().unwrap().to_owned();
    let op = || Op::OwnDirectory { path: path.clone(), mode: 0o700, uid: 0, gid: 0 };
    run("others-run", vec![op(), op()], "true", vec![]);
    std::os::unix::fs::chown(&path, Some(61000), None).unwrap();
    let status = |op| {
        let plan = plan("/dev/null", vec![op], "true", vec![]);
        finish(&lean::spawner().spawn(&plan, Options::default()).unwrap()).0
    };
    assert_eq!(status(op()), 235);
    fs::remove_dir(&path).unwrap();
    std::os::unix::fs::symlink("/root", &path).unwrap();
    assert_eq!(status(op()), 235);
    fs::remove_dir_all(&dir).unwrap();
}
