//! Signalling the processes of a cgroup (systemd.kill(5)).
use super::Cgroups;
use crate::error::OsError;
use crate::process;
use crate::sys::signal;
use runstead_core::engine::effect::KillSpec;
use rustix::io::Errno;
use std::collections::BTreeSet;

/// Signals are repeated this often, until no new process appears. What forks faster than we list, or is deeper than we look,
/// is then killed by `cgroup.kill`: only then, since a kernel (6.14 on) that once killed a cgroup this way kills everything that is
/// cloned into it later, too.
const ROUNDS_MAX: usize = 64;

impl Cgroups {
    /// Signal as told; how many of the signalled processes were alive. Ourselves we spare always.
    pub fn kill(&mut self, spec: &KillSpec) -> Result<u32, OsError> {
        let mut done: BTreeSet<i32> = spec.spare.iter().copied().collect();
        done.insert(std::process::id().cast_signed());
        let mut reached = 0;
        for pid in [spec.main, spec.control].into_iter().flatten() {
            if pid > 0 && done.insert(pid) {
                reached += u32::from(signal_one(pid, spec.signal, spec));
            }
        }
        let Some(path) = spec.cgroup.as_deref().filter(|_| spec.whole_cgroup && spec.cgroup_signal != 0)
        else {
            return Ok(reached);
        };
        let path = match &spec.subgroup {
            Some(below) => format!("{path}/{}", below.trim_matches('/')),
            None => path.to_owned(),
        };
        let (signalled, complete) = self.signal_all(&path, spec, &mut done)?;
        reached += signalled;
        // Somebody is where we do not look: not to be taken for nobody.
        if reached == 0 && !complete && self.event(&path, "populated") == Some(1) {
            reached = 1;
        }
        let at_once = spec.cgroup_signal == libc::SIGKILL && spec.spare.is_empty() && spec.value.is_none();
        if !complete
            && at_once
            && let Some(killed) = self.kill_at_once(&path, &done)?
        {
            reached += killed;
        }
        Ok(reached)
    }

    /// `cgroup.kill`: no race with forks. `None` where it cannot be used.
    fn kill_at_once(&mut self, path: &str, done: &BTreeSet<i32>) -> Result<Option<u32>, OsError> {
        let Ok((pids, whole)) = self.pids_below(path) else { return Ok(Some(0)) };
        if pids.contains(&std::process::id().cast_signed()) {
            return Ok(None);
        }
        if pids.is_empty() && whole {
            return Ok(Some(0));
        }
        let written = self.write(path, "cgroup.kill", "1");
        self.killed.insert(path.to_owned());
        match written {
            Ok(()) => Ok(Some(
                u32::try_from(pids.iter().filter(|pid| !done.contains(pid)).count()).unwrap_or(u32::MAX),
            )),
            Err(error) if error.errno == Errno::NOENT || error.errno == Errno::OPNOTSUPP => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Signal everybody once, until no new one appears; how many, and whether those are all.
    fn signal_all(
        &self,
        path: &str,
        spec: &KillSpec,
        done: &mut BTreeSet<i32>,
    ) -> Result<(u32, bool), OsError> {
        let mut reached = 0;
        for _ in 0..ROUNDS_MAX {
            let (pids, whole) = match self.pids_below(path) {
                Ok(found) => found,
                Err(error) if error.errno == Errno::NOENT => return Ok((reached, true)),
                Err(error) => return Err(error),
            };
            let mut any = false;
            for pid in pids {
                // 0 is a process of another PID namespace; a zombie waits for its parent only.
                if pid > 0 && done.insert(pid) {
                    any = true;
                    reached += u32::from(signal_one(pid, spec.cgroup_signal, spec));
                }
            }
            if !any {
                return Ok((reached, whole));
            }
        }
        Ok((reached, false))
    }
}

/// Signal a process the way the spec says, without a cgroup too; whether it was there.
pub fn signal_one(pid: i32, number: i32, spec: &KillSpec) -> bool {
    if process::stat(pid).is_ok_and(|stat| stat.state == 'Z' || stat.is_kernel_thread()) {
        return false;
    }
    if number > 0 && process::kill(pid, number, spec.value).is_err_and(|error| error.errno == Errno::SRCH) {
        return false;
    }
    if spec.hup && number != libc::SIGHUP {
        let _ = signal::kill(pid, libc::SIGHUP);
    }
    if spec.cont && number != libc::SIGCONT && number != libc::SIGKILL {
        let _ = signal::kill(pid, libc::SIGCONT);
    }
    true
}

#[cfg(test)]
mod tests {
    use crate::cgroup::tests::Scratch;
    use runstead_core::engine::effect::KillSpec;
    use std::process::{Child, Command};

    fn sleeper(scratch: &mut Scratch, path: &str) -> Child {
        let child = Command::new("sleep").arg("1000").spawn().expect("sleep");
        scratch.0.attach(path, &[child.id().cast_signed()]).expect("attach");
        child
    }

    fn spec(path: &str, signal: i32) -> KillSpec {
        KillSpec {
            cgroup: Some(path.into()),
            whole_cgroup: true,
            signal,
            cgroup_signal: signal,
            ..KillSpec::default()
        }
    }

    #[test]
    fn all_below_are_signalled_and_the_spared_live() {
        use std::os::unix::process::ExitStatusExt;
        let mut scratch = Scratch::new("kill");
        scratch.0.create("/a.service/sub").expect("mkdir");
        let mut one = sleeper(&mut scratch, "/a.service");
        let mut two = sleeper(&mut scratch, "/a.service/sub");
        let mut main = sleeper(&mut scratch, "/a.service");
        let mut request = spec("/a.service", libc::SIGTERM);
        request.spare = vec![two.id().cast_signed()];
        request.main = Some(main.id().cast_signed());
        request.cgroup_signal = libc::SIGUSR1;
        assert_eq!(scratch.0.kill(&request).expect("kill"), 2);
        assert_eq!(one.wait().expect("wait").signal(), Some(libc::SIGUSR1));
        assert_eq!(main.wait().expect("wait").signal(), Some(libc::SIGTERM));
        assert!(!scratch.0.is_empty("/a.service"));
        assert_eq!(scratch.0.kill(&spec("/a.service", libc::SIGKILL)).expect("kill"), 1);
        assert_eq!(two.wait().expect("wait").signal(), Some(libc::SIGKILL));
        assert_eq!(scratch.0.kill(&spec("/a.service", libc::SIGKILL)).expect("kill"), 0);
        assert_eq!(scratch.0.kill(&spec("/gone.service", libc::SIGTERM)).expect("kill"), 0);
    }

    #[test]
    fn nobody_is_too_deep_to_be_killed() {
        use std::os::unix::process::ExitStatusExt;
        let long = "l".repeat(250);
        for (name, depth) in [("d", 70), (long.as_str(), 18)] {
            let mut scratch = Scratch::new("deep");
            scratch.0.create("/a.service").expect("mkdir");
            // The path as a whole may be too long for the kernel.
            let mut below = vec![std::fs::File::open(scratch.0.absolute("/a.service")).expect("open")];
            for _ in 0..depth {
                let above = below.last().expect("one");
                rustix::fs::mkdirat(above, name, 0o755.into()).expect("mkdir");
                let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY;
                below.push(rustix::fs::openat(above, name, flags, 0.into()).expect("open").into());
            }
            let mut deep = Command::new("sleep").arg("1000").spawn().expect("sleep");
            let flags = rustix::fs::OFlags::WRONLY;
            let last = below.last().expect("one");
            let procs = rustix::fs::openat(last, "cgroup.procs", flags, 0.into()).expect("open");
            rustix::io::write(procs, deep.id().to_string().as_bytes()).expect("moved");
            assert_eq!(
                scratch.0.kill(&spec("/a.service", libc::SIGTERM)).expect("kill"),
                1,
                "somebody is there"
            );
            assert!(scratch.0.kill(&spec("/a.service", libc::SIGKILL)).expect("kill") >= 1);
            assert_eq!(deep.wait().expect("wait").signal(), Some(libc::SIGKILL));
            drop(below);
            assert_eq!(scratch.0.trim("/a.service"), Ok(true));
        }
    }
}
