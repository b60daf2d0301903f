use super::tree::ProcessTree;
use crate::cgroup::Change;
use crate::process;
use runstead_core::engine::effect::KillSpec;
use runstead_core::engine::event::Pid;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};

const PLACE: &str = "/app.slice/a.service";

/// A shell in a session of its own that has said it is ready.
fn start(script: &str, invocation: Option<&str>) -> Child {
    let mut command = Command::new("setsid");
    command.args(["sh", "-c", script]).stdout(Stdio::piped()).env_remove("INVOCATION_ID");
    command.envs(invocation.map(|id| ("INVOCATION_ID", id)));
    let mut child = command.spawn().expect("setsid");
    child.stdout.as_mut().expect("piped").read_exact(&mut [0; 1]).expect("it is ready");
    child
}

fn pid_of(child: &Child) -> Pid {
    child.id().cast_signed()
}

fn everybody(signal: i32) -> KillSpec {
    KillSpec {
        cgroup: Some(PLACE.into()),
        whole_cgroup: true,
        signal,
        cgroup_signal: signal,
        cont: signal != libc::SIGKILL,
        ..KillSpec::default()
    }
}

/// Orphans are zombies until somebody waits for them, which counts as ended.
fn wait_until_empty(tree: &mut ProcessTree) {
    for _ in 0..2000 {
        if tree.processes(PLACE).expect("/proc").is_empty() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    panic!("processes are left");
}

#[test]
fn descendants_belong_where_their_ancestor_does() {
    let mut tree = ProcessTree::default();
    let mut child = start("sleep 100 & sleep 100 & echo; wait", None);
    let pid = pid_of(&child);
    assert_eq!(tree.place_of(pid), None);
    tree.add(PLACE, pid);
    let all = tree.processes("/app.slice").expect("/proc");
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all.iter().all(|pid| tree.place_of(*pid).as_deref() == Some(PLACE)));
    assert!(tree.processes("/app.slice/a").expect("/proc").is_empty());
    assert_eq!(tree.kill(&everybody(libc::SIGKILL)).expect("/proc"), 3);
    child.wait().expect("wait");
    tree.process_ended(pid, Some(PLACE));
    wait_until_empty(&mut tree);
    tree.process_ended(pid, Some(PLACE));
    assert_eq!(tree.emptied().expect("/proc"), [Change::Empty(PLACE.into())]);
    assert_eq!(tree.emptied().expect("/proc"), []);
}

#[test]
fn orphans_are_known_by_session_or_invocation() {
    process::become_subreaper().expect("prctl");
    let mut tree = ProcessTree::default();
    // One stays in the session it was started in, one leaves it and keeps its environment.
    let id = "0123456789abcdef0123456789abcdef";
    let script = "sleep 100 >&- & setsid sh -c 'sleep 100 >&- & echo' & wait $!";
    let mut child = start(script, Some(id));
    let pid = pid_of(&child);
    tree.expect(PLACE, id);
    tree.add(PLACE, pid);
    child.wait().expect("it ends by itself");
    assert_eq!(tree.processes(PLACE).expect("/proc").len(), 2);
    tree.process_ended(pid, Some(PLACE));
    assert_eq!(tree.emptied().expect("/proc"), []);
    assert_eq!(tree.kill(&everybody(libc::SIGTERM)).expect("/proc"), 2);
    wait_until_empty(&mut tree);
}

#[test]
fn the_spared_live() {
    let mut tree = ProcessTree::default();
    let mut child = start("sleep 100 & echo; wait", None);
    let pid = pid_of(&child);
    tree.add(PLACE, pid);
    let mut request = everybody(libc::SIGKILL);
    request.spare = vec![pid];
    assert_eq!(tree.kill(&request).expect("/proc"), 1);
    child.wait().expect("it waited for the other one only");
    assert_eq!(tree.kill(&everybody(libc::SIGKILL)).expect("/proc"), 0);
}
