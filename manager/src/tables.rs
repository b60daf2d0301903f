//! Kernel tables and other sources of events: mounts, swaps, paths, cgroups, autofs, signals.
use crate::shell::{Shell, Watcher};
use runstead_core::engine::effect::{FdId, JobMode, PathSpec, Request};
use runstead_core::engine::event::{AutomountRequest, Event, MountEntry, Pid, SwapEntry};
use runstead_core::names::UnitName;
use runstead_os::OsError;
use runstead_os::cgroup::Change;
use runstead_os::devices;
use runstead_os::mount::autofs;
use runstead_os::signals::RTMIN;
use runstead_os::zones;
use runstead_wire::mountinfo;
use std::rc::Rc;

impl Shell {
    /// Read the mount table and hand it to the engine.
    pub(crate) fn read_mount_table(&mut self) {
        let bytes = match self.mounts.read() {
            Ok(bytes) => bytes,
            Err(error) => return self.complain(4, &format!("cannot read the mount table: {error}")),
        };
        let table = mountinfo::parse_mounts(&bytes);
        let text = |bytes: &[u8]| Rc::from(String::from_utf8_lossy(bytes));
        let entries = table
            .entries
            .iter()
            .map(|mount| MountEntry {
                target: text(&mount.target),
                source: text(&mount.source),
                device: std::str::from_utf8(&mount.source).is_ok_and(devices::is_node),
                fstype: text(&mount.kind),
                options: Rc::from(join_options(&mount.options, &mount.super_options)),
            })
            .collect();
        self.pending.push_back(Event::MountTable(entries));
    }

    /// Read the swap table and hand it to the engine.
    pub(crate) fn read_swap_table(&mut self) {
        let Some(swaps) = &self.swaps else { return };
        let bytes = match swaps.read() {
            Ok(bytes) => bytes,
            Err(error) => return self.complain(4, &format!("cannot read the swap table: {error}")),
        };
        let table = mountinfo::parse_swaps(&bytes);
        let entries = table
            .entries
            .iter()
            .map(|swap| SwapEntry {
                what: Rc::from(String::from_utf8_lossy(&swap.path)),
                device: std::str::from_utf8(&swap.path).is_ok_and(devices::is_node),
                priority: swap.priority,
            })
            .collect();
        self.pending.push_back(Event::SwapTable(entries));
    }

    /// Watch paths for a path unit.
    pub(crate) fn watch_paths(&mut self, unit: &UnitName, specs: &[PathSpec]) {
        for error in self.watches.set(&Watcher::Unit(unit.clone()), specs) {
            self.complain(4, &format!("{}: {error}", unit.as_str()));
        }
    }

    /// Tell of it when the machine comes into another time zone: by a new link, or by new bytes in the file.
    pub(crate) fn watch_local_time(&mut self) {
        let spec = |kind: &str| PathSpec { kind: kind.into(), path: zones::LOCAL.into() };
        for error in self.watches.set(&Watcher::LocalTime, &[spec("PathExists"), spec("PathChanged")]) {
            self.complain(4, &format!("changes of the time zone will not be seen: {error}"));
        }
    }

    /// inotify has something.
    pub(crate) fn read_path_changes(&mut self) {
        let mut local_time = false;
        for (watcher, watch) in self.watches.read() {
            match watcher {
                Watcher::Unit(unit) => self.pending.push_back(Event::PathTriggered { unit, watch }),
                Watcher::LocalTime => local_time = true,
            }
        }
        if local_time {
            let now = zones::Local::read();
            if now != self.local_zone {
                let file = now.file.as_deref().map(Rc::from);
                self.local_zone = now;
                self.pending.push_back(Event::TimeZone { name: None, file });
            }
        }
    }

    /// The file of a time zone.
    pub(crate) fn read_zone(&mut self, name: Rc<str>) {
        let file = zones::named(&name).map(Rc::from);
        // Timers wait for it to be read.
        self.pending.push_front(Event::TimeZone { name: Some(name), file });
    }

    /// Cgroups became empty, or the OOM killer was there.
    pub(crate) fn read_cgroup_changes(&mut self) {
        if let Some(cgroups) = self.ownership.cgroups_mut() {
            let changes = cgroups.changes();
            self.tell_of_ownership(changes);
        }
    }

    /// The cgroup of the unit that a child belongs to, which may be a stranger's orphan.
    pub(crate) fn cgroup_of(&self, pid: Pid) -> Option<Rc<str>> {
        let known = self.engine.unit_of_pid(pid);
        let unit = known.or_else(|| self.engine.unit_of_cgroup(&self.ownership.path_of(pid)?))?;
        self.engine.unit(unit).cgroup.clone()
    }

    /// Whether the OOM killer was at work there, before the engine hears how a process ended.
    pub(crate) fn look_for_oom(&mut self, cgroup: &str) {
        if self.ownership.oom_killed(cgroup) {
            self.step(Event::CgroupOom { cgroup: cgroup.into(), managed: false });
        }
    }

    /// Tell the engine what units are left with.
    pub(crate) fn tell_of_ownership(&mut self, changes: Result<Vec<Change>, OsError>) {
        let changes = match changes {
            Ok(changes) => changes,
            Err(error) => {
                return self.complain(4, &format!("the processes of units cannot be followed: {error}"));
            }
        };
        for change in changes {
            match change {
                Change::Empty(path) => self.pending.push_back(Event::CgroupEmpty(path)),
                Change::Oom(path) => {
                    self.pending.push_front(Event::CgroupOom { cgroup: path, managed: false });
                }
                Change::Frozen(..) => {}
            }
        }
    }

    /// The kernel's autofs asks.
    pub(crate) fn read_automount(&mut self, fd: FdId) {
        let Some(pipe) = self.fds.get(fd) else { return };
        match autofs::read(pipe) {
            Ok(Some(asked)) => {
                let request =
                    AutomountRequest { fd, token: asked.token, expire: asked.expire, pid: asked.pid };
                self.pending.push_back(Event::Automount(Box::new(request)));
            }
            Ok(None) => {}
            Err(error) => {
                self.complain(4, &format!("cannot read from an automount point: {error}"));
                self.pending.push_back(Event::FdReady { fd, hangup: true });
            }
        }
    }

    /// Ask it, in a throw-away child: the call comes back only when we have answered its request.
    pub(crate) fn expire_automount(&mut self, fd: FdId) {
        let Some(pipe) = self.fds.get(fd) else { return };
        if let Err(error) = autofs::expire(pipe) {
            self.complain(4, &format!("cannot look whether an automount is idle: {error}"));
        }
    }

    /// Answer it.
    pub(crate) fn answer_automount(&mut self, fd: FdId, tokens: &[u32], errno: i32) {
        let Some(pipe) = self.fds.get(fd) else { return };
        let failed: Vec<String> = tokens
            .iter()
            .filter_map(|token| autofs::answer(pipe, *token, errno).err())
            .map(|error| error.to_string())
            .collect();
        for error in failed {
            self.complain(4, &format!("cannot answer an automount point: {error}"));
        }
    }

    /// Signals that PID 1 understands (systemd(1), "Signals").
    pub(crate) fn read_signals(&mut self) {
        let mut children = false;
        loop {
            match self.signals.next() {
                Ok(Some(signal)) if signal.signal == libc_sigchld() => children = true,
                Ok(Some(signal)) => self.signalled(signal.signal, signal.value),
                Ok(None) => break,
                Err(error) => {
                    self.complain(3, &format!("cannot read signals: {error}"));
                    break;
                }
            }
        }
        if children {
            self.read_children();
        }
    }

    fn signalled(&mut self, signal: i32, value: i32) {
        const HUP: i32 = 1;
        const INT: i32 = 2;
        const USR1: i32 = 10;
        const USR2: i32 = 12;
        const TERM: i32 = 15;
        const WINCH: i32 = 28;
        const PWR: i32 = 30;
        let user = self.options.user;
        match signal {
            HUP => self.request_ourselves(Request::Reload),
            TERM if user => self.start_target("exit.target", JobMode::ReplaceIrreversibly),
            TERM => self.request_ourselves(Request::Reexec),
            INT if user => self.start_target("exit.target", JobMode::ReplaceIrreversibly),
            INT => self.start_target("ctrl-alt-del.target", JobMode::ReplaceIrreversibly),
            WINCH => self.start_target("kbrequest.target", JobMode::Replace),
            PWR => self.start_target("sigpwr.target", JobMode::Replace),
            USR1 => self.bus_wanted(),
            USR2 => {
                let text = runstead_api::systemd1::answer::dump(&self.engine, &[]);
                text.lines().for_each(|line| self.complain(6, line));
            }
            _ => self.realtime_signal(signal - RTMIN, value),
        }
    }

    fn realtime_signal(&mut self, offset: i32, _value: i32) {
        let irreversible = JobMode::ReplaceIrreversibly;
        match offset {
            0 => self.start_target("default.target", JobMode::Isolate),
            1 => self.start_target("rescue.target", JobMode::Isolate),
            2 => self.start_target("emergency.target", JobMode::Isolate),
            3 => self.start_target("halt.target", irreversible),
            4 => self.start_target("poweroff.target", irreversible),
            5 => self.start_target("reboot.target", irreversible),
            6 => self.start_target("kexec.target", irreversible),
            7 => self.start_target("soft-reboot.target", irreversible),
            13 => self.exit = Some(runstead_core::engine::effect::Exit::Halt),
            14 => self.exit = Some(runstead_core::engine::effect::Exit::Poweroff),
            15 => self.exit = Some(runstead_core::engine::effect::Exit::Reboot),
            16 => self.exit = Some(runstead_core::engine::effect::Exit::Kexec),
            20 => self.show_status(true),
            21 => self.show_status(false),
            22 => self.log.set_level(7),
            23 => self.restore_log_level(),
            24 if self.options.user => self.exit = Some(runstead_core::engine::effect::Exit::Exit),
            25 => self.request_ourselves(Request::Reexec),
            26 => self.restore_log_target(),
            29 => _ = self.log.set_target("journal-or-kmsg"),
            27 => _ = self.log.set_target("console"),
            28 => _ = self.log.set_target("kmsg"),
            _ => {}
        }
    }

    fn start_target(&mut self, name: &str, mode: JobMode) {
        if let Ok(target) = UnitName::parse(name) {
            self.pending.push_back(Event::StartTarget { target, mode });
        }
    }
}

fn libc_sigchld() -> i32 {
    rustix::process::Signal::CHILD.as_raw()
}

/// Mount options first, then those of the superblock that are not among them (as mount(8) shows them).
fn join_options(mount: &[u8], superblock: &[u8]) -> String {
    let mut words: Vec<&[u8]> = mount.split(|byte| *byte == b',').collect();
    for word in superblock.split(|byte| *byte == b',') {
        if !words.contains(&word) && word != b"rw" && word != b"ro" {
            words.push(word);
        }
    }
    String::from_utf8_lossy(&words.join(&b","[..])).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_joined_without_repetition() {
        assert_eq!(join_options(b"rw,relatime", b"rw,mode=755"), "rw,relatime,mode=755");
    }
}
