//! Steps of chains: done one after the other until one fails; then one event tells the engine.
use crate::facts::before_exec;
use crate::shell::{Shell, Token};
use runstead_api::systemd1::facts::Facts as _;
use runstead_core::directives::ids;
use runstead_core::engine::cgroup::resolve_share;
use runstead_core::engine::effect::{CgroupSpec, ChainId, FdId, LogLine, SocketSpec, SpawnSpec, Step};
use runstead_core::engine::event::{Accepted, ChainError, ChainOutput, Event, Pid};
use runstead_core::names::UnitName;
use runstead_core::plan::{ExitStatus, SpawnFacts};
use runstead_os::reactor::{Interest, Priority};
use runstead_os::socket::{Owner, accept_described, open_all};
use runstead_os::spawn::{Child, ExecResult, Options};
use runstead_os::{OsError, mount, process};
use rustix::io::Errno;
use std::os::fd::AsFd as _;
use std::rc::Rc;
use std::time::Duration;

/// A child that has not executed its program yet, as far as we know.
#[derive(Debug)]
pub(crate) struct WaitingExec {
    unit: UnitName,
    child: Child,
    /// The rest of a chain that goes on only afterwards (`Type=exec`).
    chain: Option<Suspended>,
}

/// How long a user's manager waits for PID 1 to move a process.
const ATTACH_PATIENCE: Duration = Duration::from_secs(5);

/// So many may wait for their turn in the loop.
const UNSETTLED_EXECS: usize = 8;

/// A chain in the middle.
#[derive(Debug)]
struct Suspended {
    chain: ChainId,
    at: usize,
    rest: std::vec::IntoIter<Step>,
    output: ChainOutput,
}

/// What became of one step.
enum Done {
    /// On to the next.
    Next,
    /// The rest waits for this child's execve(2).
    Waits(u64),
}

impl Shell {
    /// Do a chain from its beginning.
    pub(crate) fn run_chain(&mut self, chain: ChainId, unit: UnitName, steps: Vec<Step>) {
        // What was said of the unit comes before what its programs say.
        self.log.flush();
        self.console.flush();
        self.go_on(chain, unit, 0, steps.into_iter(), ChainOutput::default());
    }

    fn go_on(
        &mut self,
        chain: ChainId,
        unit: UnitName,
        mut at: usize,
        mut rest: std::vec::IntoIter<Step>,
        mut output: ChainOutput,
    ) {
        while let Some(step) = rest.next() {
            let had = output.pid;
            match self.do_step(&unit, step, &mut output) {
                Ok(Done::Next) => at += 1,
                Ok(Done::Waits(id)) => {
                    self.persist.keep_chain(chain, &output);
                    if let Some(exec) = self.execs.get_mut(&id) {
                        exec.chain = Some(Suspended { chain, at, rest, output });
                    }
                    return;
                }
                Err(mut error) => {
                    error.step = at;
                    self.pending.push_front(Event::ChainDone { chain, result: Err(error) });
                    return;
                }
            }
            if output.pid != had {
                self.persist.keep_chain(chain, &output);
            }
        }
        self.pending.push_front(Event::ChainDone { chain, result: Ok(output) });
    }

    /// Whether a chain waits for an execve(2).
    pub(crate) fn chain_waits(&self) -> bool {
        self.execs.values().any(|exec| exec.chain.is_some())
    }

    /// A chain is no longer wanted. What it started is the engine's to stop.
    pub(crate) fn cancel_chain(&mut self, chain: ChainId) {
        for exec in self.execs.values_mut() {
            exec.chain.take_if(|suspended| suspended.chain == chain);
        }
    }

    fn do_step(&mut self, unit: &UnitName, step: Step, output: &mut ChainOutput) -> Result<Done, ChainError> {
        match step {
            Step::Cgroup(mut spec) => {
                self.resolve_devices(&mut spec);
                self.resolve_shares(&mut spec);
                let weakened = self.ownership.realize(&spec).map_err(os_error)?;
                output.weakened.extend(weakened.into_iter().map(|(what, why)| (what.into(), why.into())));
            }
            Step::Spawn(spec) => return self.spawn(unit, &spec, output),
            Step::OpenSocket(spec) => self.open_socket(&spec, output)?,
            Step::Attach { cgroup, pids } => {
                self.attach(&cgroup, &pids).map_err(os_error)?;
            }
            Step::Kill(spec) => output.alive = self.ownership.kill(&spec).map_err(os_error)?,
            Step::ReadPidFile { path, cgroup } => self.read_pid_file(&path, cgroup.as_deref(), output),
            Step::MakeDirectory { path, mode } => mount::make_directories(&path, mode).map_err(os_error)?,
            Step::MakeMountPoint { path, source, mode } => {
                self.make_mount_point(unit, &path, source.as_deref(), mode);
            }
            Step::MountAutofs { path, mode, options, idle, fd } => {
                mount::make_directories(&path, mode).map_err(os_error)?;
                let pipe = mount::autofs::mount(&path, &options, idle).map_err(os_error)?;
                let wait = self.reactor.add(&pipe, Token::Automount(fd), Priority::Kernel, Interest::READ);
                wait.map_err(os_error)?;
                self.persist.keep_fd(fd, pipe.as_fd());
                self.fds.put(fd, pipe);
            }
            Step::Unmount { path } => mount::detach_all(&path).map_err(os_error)?,
            Step::RunTree { path, entry } => {
                self.write_run_tree(&path, entry.as_ref()).map_err(|text| error(0, text))?
            }
            Step::Freeze { cgroup, on } => {
                self.ownership.freeze(&cgroup, on).map_err(os_error)?;
            }
            Step::GuessMainPid { cgroup } => self.guess_main_pid(&cgroup, output),
            Step::ReadStamp => output.stamp = runstead_os::rundir::mtime(&crate::effects::stamp_path(unit)),
            Step::RemovePaths(paths) => paths.iter().for_each(|path| runstead_os::rundir::remove_file(path)),
            Step::RemovePidFile(path) => runstead_os::rundir::remove_file(&path),
        }
        Ok(Done::Next)
    }

    fn make_mount_point(&mut self, unit: &UnitName, path: &str, source: Option<&str>, mode: u32) {
        if let Err(error) = mount::make_mount_point(path, source, mode) {
            self.log_unit(&LogLine {
                level: 4,
                unit: Some(unit.clone()),
                text: format!("{unit}: The mount point could not be made, mounting anyway: {error}").into(),
                fields: Vec::new(),
            });
        }
    }

    /// Shares of the machine become numbers: the kernel takes no others.
    fn resolve_shares(&self, spec: &mut CgroupSpec) {
        if spec.attributes.iter().all(|(_, value)| !value.ends_with('%')) {
            return;
        }
        let host = self.facts().host_values();
        for (file, value) in &mut spec.attributes {
            if let Some(number) = resolve_share(file, value, host.memory, host.tasks) {
                *value = number.into();
            }
        }
    }

    fn spawn(
        &mut self,
        unit: &UnitName,
        spec: &SpawnSpec,
        output: &mut ChainOutput,
    ) -> Result<Done, ChainError> {
        let facts = self.spawn_facts(spec)?;
        output.dynamic_uid = facts.dynamic_uid;
        self.delegate_cgroup(spec, &facts.plan)?;
        let plan = runstead_core::plan::compile(spec, &facts.plan).map_err(|refused| ChainError {
            step: 0,
            errno: 0,
            message: refused.to_string().into(),
            exit_status: before_exec(refused.exit),
        })?;
        for (setting, why) in &plan.skipped {
            self.complain(7, &format!("{unit}: {setting}= is not enforced: {why}"));
        }
        let weakened = plan.skipped.iter().map(|(setting, why)| (Rc::from(*setting), Rc::from(why.as_str())));
        output.weakened.extend(weakened);
        let options = Options { open_fds: self.fds.len() };
        let child = self.host.spawner.spawn(&plan, options).map_err(|failed| ChainError {
            step: 0,
            errno: failed.errno,
            message: failed.to_string().into(),
            exit_status: Some(i32::from(failed.exit_status)),
        })?;
        output.pid = Some(child.pid);
        if let Some(path) = &spec.cgroup {
            self.ownership.started(path, child.pid, &spec.invocation);
        }
        self.settle_oldest_exec();
        let id = self.watch_exec(unit.clone(), child);
        Ok(if spec.wait_exec { Done::Waits(id) } else { Done::Next })
    }

    /// `Delegate=` and `DelegateSubgroup=`: the cgroup and the one below it that the process is made in are the user's.
    fn delegate_cgroup(&mut self, spec: &SpawnSpec, facts: &SpawnFacts) -> Result<(), ChainError> {
        let Some((cgroups, path)) = self.ownership.cgroups_mut().zip(spec.cgroup.as_deref()) else {
            return Ok(());
        };
        let delegated = spec.settings.delegate().is_some();
        let owner = facts.user.as_ref().filter(|_| delegated);
        let owner = owner.map(|user| (user.uid, facts.group.unwrap_or(user.gid)));
        let in_cgroup = |error: OsError| ChainError {
            exit_status: Some(i32::from(ExitStatus::Cgroup.code())),
            ..os_error(error)
        };
        if delegated {
            cgroups.delegate(path, Some(owner.unwrap_or_default())).map_err(in_cgroup)?;
        }
        if let Some(name) = &spec.subgroup {
            let below = format!("{path}/{}", name.trim_matches('/'));
            cgroups.create(&below).map_err(in_cgroup)?;
            if let Some(owner) = owner {
                cgroups.give_away(&below, owner).map_err(in_cgroup)?;
            }
        }
        Ok(())
    }

    /// While many children are made, the oldest has executed its program long before its pipe is looked at; until then every
    /// later child would get the descriptors that belong to it.
    fn settle_oldest_exec(&mut self) {
        if self.execs.len() < UNSETTLED_EXECS {
            return;
        }
        // Where a chain waits the engine is to be told, which it is not in the middle of another chain.
        if let Some((id, exec)) = self.execs.first_key_value()
            && exec.chain.is_none()
        {
            self.exec_reported(*id);
        }
    }

    /// Hear of the execve(2) of a child.
    fn watch_exec(&mut self, unit: UnitName, child: Child) -> u64 {
        let id = self.next_exec;
        self.next_exec += 1;
        if let Err(error) =
            self.reactor.add(child.exec_pipe(), Token::Exec(id), Priority::Notify, Interest::READ)
        {
            self.complain(3, &format!("cannot wait for a new process: {error}"));
        }
        self.execs.insert(id, WaitingExec { unit, child, chain: None });
        id
    }

    /// A child executed its program, or could not.
    pub(crate) fn exec_reported(&mut self, id: u64) {
        let Some(exec) = self.execs.get(&id) else { return };
        let result = exec.child.exec_result();
        if result == ExecResult::Pending {
            return;
        }
        let Some(exec) = self.execs.remove(&id) else { return };
        self.reactor.remove(exec.child.exec_pipe());
        let exec_failed = matches!(result, ExecResult::Failed(_));
        match result {
            // The child ends with the reference's status: its exit tells the engine.
            ExecResult::Failed(failed) => {
                self.log_unit(&LogLine {
                    level: 3,
                    unit: Some(exec.unit.clone()),
                    text: format!("{}: process {} failed at {failed}", exec.unit.as_str(), exec.child.pid)
                        .into(),
                    fields: Vec::new(),
                });
            }
            ExecResult::Done(weakened) if weakened.is_empty() => {}
            ExecResult::Done(weakened) => {
                let settings = weakened.into_iter().map(|(setting, errno)| {
                    let why = std::io::Error::from_raw_os_error(errno);
                    self.complain(7, &format!("{}: {setting}= is not enforced: {why}", exec.unit.as_str()));
                    (Rc::from(setting), Rc::from(why.to_string()))
                });
                let settings = settings.collect();
                self.pending.push_back(Event::Weakened { unit: exec.unit.clone(), settings });
            }
            ExecResult::Pending => {}
        }
        if let Some(Suspended { chain, at, rest, mut output }) = exec.chain {
            output.exec_failed = exec_failed;
            self.go_on(chain, exec.unit, at + 1, rest, output);
        }
    }

    /// A child ended: what became of its execve(2) counts first.
    pub(crate) fn settle_exec(&mut self, pid: Pid) {
        let waiting = self.execs.iter().find(|(_, exec)| exec.child.pid == pid).map(|(id, _)| *id);
        if let Some(id) = waiting {
            self.exec_reported(id);
        }
        // Somebody may hold its pipe open for long.
        if let Some(exec) = waiting.and_then(|id| self.execs.remove(&id)) {
            self.reactor.remove(exec.child.exec_pipe());
            if let Some(Suspended { chain, at, rest, output }) = exec.chain {
                self.go_on(chain, exec.unit, at + 1, rest, output);
            }
        }
        self.run_pending();
    }

    fn open_socket(&mut self, spec: &SocketSpec, output: &mut ChainOutput) -> Result<(), ChainError> {
        let opened = open_all(spec, self.socket_owner(spec)?).map_err(os_error)?;
        for (id, fd) in opened.fds {
            self.persist.keep_fd(id, fd.as_fd());
            self.fds.put(id, fd);
        }
        output.weakened.extend(opened.weakened.into_iter().map(|(what, why)| (what.into(), why.into())));
        Ok(())
    }

    /// `SocketUser=` and `SocketGroup=`.
    fn socket_owner(&self, spec: &SocketSpec) -> Result<Owner, ChainError> {
        let mut owner = Owner::default();
        if let Some(name) = spec.settings.text(ids::SOCKET_USER) {
            let user =
                self.host.users.user(name).map_err(|why| error(0, format!("SocketUser={name}: {why}")))?;
            owner = Owner { uid: Some(user.uid), gid: Some(user.gid) };
        }
        if let Some(name) = spec.settings.text(ids::SOCKET_GROUP) {
            let gid =
                self.host.users.group(name).map_err(|why| error(0, format!("SocketGroup={name}: {why}")))?;
            owner.gid = Some(gid);
        }
        Ok(owner)
    }

    /// Move processes. A user's manager may not take them out of a login session: PID 1 does it for him.
    fn attach(&mut self, cgroup: &str, pids: &[Pid]) -> Result<(), OsError> {
        match self.ownership.attach(cgroup, pids) {
            Ok(()) => {
                self.watch_guests(cgroup, pids);
                Ok(())
            }
            Err(error) if self.options.user && matches!(error.errno, Errno::PERM | Errno::ACCESS) => {
                let asked = crate::client::attach_by_system_manager(cgroup, pids, ATTACH_PATIENCE);
                asked.map_err(|why| {
                    self.complain(4, &format!("the system's manager does not move processes for us: {why}"));
                    error
                })
            }
            Err(error) => Err(error),
        }
    }

    /// systemd.service(5), `PIDFile=`.
    fn read_pid_file(&mut self, path: &str, cgroup: Option<&str>, output: &mut ChainOutput) {
        let verdict = runstead_os::pidfile::read(path).and_then(|claim| {
            let is_inside = match cgroup {
                Some(cgroup) => self.ownership.contains(cgroup, claim.pid()),
                None => process::is_child(claim.pid()),
            };
            claim.settle(is_inside, |pid, moment| self.aliens.reaped_since(pid, moment))
        });
        output.pid_file = Some(match verdict {
            Ok(named) => {
                let pid = named.pid;
                output.is_child = process::is_child(pid);
                self.aliens.named = Some(named);
                Ok(pid)
            }
            Err(why) => Err(why.into()),
        });
    }

    /// systemd.service(5), `GuessMainPID=`: the one process whose parent is not in the cgroup, when there is only one.
    fn guess_main_pid(&mut self, cgroup: &str, output: &mut ChainOutput) {
        let pids = self.ownership.processes(cgroup).unwrap_or_default();
        let parent = |pid: Pid| process::stat(pid).map_or(0, |stat| stat.parent);
        let mut heads = pids.iter().copied().filter(|pid| !pids.contains(&parent(*pid)));
        output.pid_file = Some(match (heads.next(), heads.next()) {
            (Some(pid), None) => {
                output.is_child = process::is_child(pid);
                Ok(pid)
            }
            (None, _) => Err("no process of the unit is left".into()),
            (Some(_), Some(_)) => Err("several processes could be the main one".into()),
        });
    }

    /// Take a connection for an `Accept=yes` socket unit.
    pub(crate) fn accept_for_unit(&mut self, listener: FdId) {
        let Some(raw) = self.fds.get(listener) else { return };
        match accept_described(raw) {
            Ok(Some(peer)) => {
                let connection = self.fds.arrived(peer.fd);
                self.keep_arrived(connection);
                let accepted = Accepted {
                    listener,
                    connection,
                    peer: peer.peer.into(),
                    remote: peer.remote.map(|(address, port)| (address.into(), port)),
                    peer_uid: peer.uid,
                    peer_pid: peer.pid,
                    cookie: peer.cookie,
                };
                self.pending.push_back(Event::Accepted(Box::new(accepted)));
            }
            Ok(None) => {}
            Err(error) => self.complain(4, &format!("cannot accept a connection: {error}")),
        }
    }
}

fn os_error(failed: OsError) -> ChainError {
    error(failed.raw(), failed.to_string())
}

fn error(errno: i32, message: String) -> ChainError {
    ChainError { step: 0, errno, message: message.into(), exit_status: None }
}
