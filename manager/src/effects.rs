//! Executing effects: one arm each, the work elsewhere.
use crate::shell::Shell;
use runstead_core::engine::effect::{CleanUp, Effect, RunEntry, Setting};
use runstead_core::engine::event::Event;
use runstead_core::names::{UnitName, UnitType};
use runstead_core::settings::Settings;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The stamp file of a persistent timer (systemd.timer(5)).
pub(crate) fn stamp_path(unit: &UnitName) -> String {
    format!("/var/lib/systemd/timers/stamp-{}", unit.as_str())
}

/// Loading so many units at once leaves memory to give back.
const MANY_UNITS: usize = 100;

impl Shell {
    /// Do one thing.
    pub(crate) fn execute(&mut self, effect: Effect) {
        match effect {
            Effect::Load(names) => self.load(&names),
            Effect::CheckConditions { unit, conditions, asserts } => {
                self.check_conditions(unit, &conditions, &asserts)
            }
            Effect::Chain { chain, unit, steps } => self.run_chain(chain, unit, steps),
            Effect::CancelChain(chain) => self.cancel_chain(chain),
            Effect::CloseFd(fd) => self.close_fd(fd),
            Effect::PollFd { fd, on, accept } => self.poll_fd(fd, on, accept),
            Effect::WatchProcess(pid) => self.watch_process(pid),
            Effect::UnwatchProcess(pid) => self.unwatch_process(pid),
            Effect::WatchPaths { unit, specs } => self.watch_paths(&unit, &specs),
            Effect::CheckPaths { unit, specs } => {
                let holds = specs.iter().map(runstead_os::watch::check).collect();
                self.pending.push_back(Event::PathChecked { unit, holds });
            }
            Effect::ReadZone(name) => self.read_zone(name),
            Effect::TouchStamp { unit, at } => self.touch_stamp(&unit, at),
            Effect::WriteDropin { unit, runtime, text } => self.write_dropin(&unit, runtime, &text),
            Effect::ReleaseCgroup { unit, cgroup } => {
                self.keep_usage(&unit, &cgroup);
                self.release_cgroup(&cgroup);
            }
            Effect::CleanUp { unit, settings, what } => self.clean_up(&unit, &settings, what),
            Effect::RunTree { path, entry } => {
                if let Err(text) = self.write_run_tree(&path, entry.as_ref()) {
                    self.complain(4, &text);
                }
            }
            Effect::Reply { call, result } => self.answered(call, result),
            Effect::Announce(announcement) => self.announce(&announcement),
            Effect::Log(line) => self.log_unit(&line),
            Effect::Status { mark, text } => self.console.status(mark, &text),
            Effect::ActivationFailed { name, error, message } => {
                self.activation_failed(&name, error, &message)
            }
            Effect::WatchBusName { name, on: true } => self.watch_bus_name(&name),
            Effect::WatchBusName { name, on: false } => self.forget_bus_name(&name),
            Effect::AutomountExpire(fd) => self.expire_automount(fd),
            Effect::AutomountAnswer { fd, tokens, errno } => self.answer_automount(fd, &tokens, errno),
            Effect::RunGenerators => self.run_generators(),
            Effect::Reexec => self.reexec = true,
            Effect::Exit(exit) => self.exit = Some(exit),
            Effect::Configure(setting) => self.configure(setting),
        }
    }

    fn load(&mut self, names: &[UnitName]) {
        let units = self.loader.borrow_mut().load(names);
        // All their files are in memory at once.
        self.trim |= units.len() >= MANY_UNITS;
        // Ahead of what waits: the step that asked goes on with the answer.
        self.pending.push_front(Event::Loaded(units));
    }

    fn check_conditions(
        &mut self,
        unit: UnitName,
        conditions: &[(Rc<str>, Rc<str>)],
        asserts: &[(Rc<str>, Rc<str>)],
    ) {
        let check = |lines: &[(Rc<str>, Rc<str>)]| {
            lines.iter().map(|(name, value)| self.host.condition(name, value)).collect()
        };
        let (conditions, asserts) = (check(conditions), check(asserts));
        self.pending.push_front(Event::Conditions { unit, conditions, asserts });
    }

    fn release_cgroup(&mut self, cgroup: &str) {
        if let Err(error) = self.ownership.release(cgroup) {
            self.complain(7, &format!("the cgroup {cgroup} stays: {error}"));
        }
    }

    /// A file or link below the run root.
    pub(crate) fn write_run_tree(&mut self, path: &str, entry: Option<&RunEntry>) -> Result<(), String> {
        self.loader.borrow_mut().look_again();
        let done = self.host.run_tree.apply(path, entry);
        done.map_err(|error| format!("cannot write {path} below the run root: {error}"))
    }

    fn touch_stamp(&mut self, unit: &UnitName, at: u64) {
        if let Err(error) = runstead_os::rundir::touch(&stamp_path(unit), at) {
            self.complain(4, &format!("cannot note when {} ran: {error}", unit.as_str()));
        }
    }

    /// `SetUnitProperties`: one drop-in a property, so that setting it again replaces it.
    fn write_dropin(&mut self, unit: &UnitName, runtime: bool, text: &str) {
        let base = if runtime { &self.host.run_root } else { &self.host.prefixes.configuration };
        let kind = if self.options.user { "user" } else { "system" };
        let dir = format!("{base}/systemd/{kind}.control/{}.d", unit.as_str());
        let mut files: BTreeMap<&str, String> = BTreeMap::new();
        let mut section = "";
        for line in text.lines() {
            if line.starts_with('[') {
                section = line;
            } else if let Some((name, _)) = line.split_once('=') {
                let file = files.entry(name).or_insert_with(|| format!("# This file was written for a client that set a property (systemctl set-property).\n{section}\n"));
                file.push_str(line);
                file.push('\n');
            }
        }
        for (name, contents) in files {
            let path = format!("{dir}/50-{name}.conf");
            self.loader.borrow_mut().look_again();
            if let Err(error) = runstead_os::rundir::write_file(&path, contents.as_bytes(), 0o644) {
                self.complain(3, &format!("cannot keep what was set for {}: {error}", unit.as_str()));
            }
        }
    }

    fn clean_up(&mut self, unit: &UnitName, settings: &Settings, what: CleanUp) {
        const STATE: u32 = 2;
        if let (UnitType::Timer, CleanUp::Directories(mask)) = (unit.kind(), what) {
            let path = stamp_path(unit);
            let done = if mask & STATE == 0 { Ok(()) } else { std::fs::remove_file(&path) };
            if let Err(error) = done.or_else(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            }) {
                self.complain(4, &format!("{}: cannot remove {path}: {error}", unit.as_str()));
            }
            return;
        }
        let done = runstead_os::spawn::clean_up(unit, settings, &self.host.prefixes, what);
        if let Err(error) = done {
            self.complain(4, &format!("{}: {error}", unit.as_str()));
        }
    }

    /// Status output on or off; services see it by a file (systemd.special(7)).
    pub(crate) fn show_status(&mut self, on: bool) {
        self.console.enabled = on;
        let marker = RunEntry::File { bytes: Rc::from([]), mode: 0o644 };
        if let Err(text) = self.write_run_tree("systemd/show-status", on.then_some(&marker)) {
            self.complain(7, &text);
        }
    }

    fn configure(&mut self, setting: Setting) {
        match setting {
            Setting::LogLevel(level) => self.log.set_level(level),
            Setting::LogTarget(word) => {
                self.log.set_target(&word);
            }
            Setting::ShowStatus(on) => self.show_status(on),
            Setting::Environment(block) => self.host.environment = block,
            Setting::ExitStatus(status) => {
                self.host.exit_code = status;
                self.shell_dirty = true;
            }
        }
    }
}
