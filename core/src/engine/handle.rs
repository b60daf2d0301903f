//! Events to the machines they belong to.
use super::effect::{CallId, Effect, UnitId};
use super::event::{Accepted, Caller, ConditionVerdict, Event, Exit, Notify, Pid};
use super::timers::TimerKey;
use super::unit::CheckResult;
use super::{Deferred, Engine};
use crate::names::{UnitName, UnitType};
use crate::units::{device, machine, mount, swap};
use std::rc::Rc;

impl Engine {
    pub(crate) fn handle(&mut self, event: Event) {
        match event {
            Event::Boot { target } => self.begin_boot(target),
            Event::Loaded(units) => self.loaded(units),
            Event::GeneratorsDone => self.generators_done(),
            Event::ChainDone { chain, result } => {
                if self.asked_done(chain, &result) {
                    self.chains.remove(&chain);
                } else if let Some(id) = self.chains.remove(&chain) {
                    self.dirty.insert(id);
                    self.take_chain_facts(id, result.as_ref().ok());
                    machine::call::chain_done(self.unit(id).unit_type(), self, id, chain, result);
                    self.queues.begun.insert(id);
                }
            }
            Event::ProcessExited { pid, exit } => self.process_exited(pid, exit),
            Event::CgroupEmpty(path) => {
                if let Some(&id) = self.cgroups.get(&path) {
                    self.thaw_empty(id);
                    machine::call::cgroup_empty(self.unit(id).unit_type(), self, id);
                }
            }
            Event::CgroupOom { cgroup, managed } => {
                if let Some(id) = self.unit_of_cgroup(&cgroup) {
                    machine::call::cgroup_oom(self.unit(id).unit_type(), self, id, managed);
                }
            }
            Event::Notify(message) => self.notified(&message),
            Event::FdReady { fd, hangup } => {
                if let Some(id) = self.fd_owner(fd) {
                    machine::call::fd_ready(self.unit(id).unit_type(), self, id, fd, hangup);
                }
            }
            Event::Accepted(connection) => self.accepted(&connection),
            Event::Tick => self.tick(),
            Event::ClockChanged => self.clock_changed(),
            Event::Weakened { unit, settings } => {
                if let Some(id) = self.find(&unit) {
                    self.note_in_ledger(id, &settings);
                }
            }
            Event::TimeZone { name: None, file } => self.local_zone_changed(file.as_deref()),
            Event::TimeZone { name: Some(name), file } => self.zone_read(name, file.as_deref()),
            Event::MountTable(table) => mount::mount_table_changed(self, table),
            Event::SwapTable(table) => swap::swap_table_changed(self, table),
            Event::Device(event) => device::changed(self, &event),
            Event::PathTriggered { unit, watch } => {
                if let Some(id) = self.find(&unit) {
                    machine::call::path_triggered(self.unit(id).unit_type(), self, id, watch);
                }
            }
            Event::PathChecked { unit, holds } => {
                if let Some(id) = self.find(&unit) {
                    machine::call::path_checked(self.unit(id).unit_type(), self, id, &holds);
                }
            }
            Event::Automount(request) => {
                if let Some(id) = self.fd_owner(request.fd) {
                    machine::call::automount(self.unit(id).unit_type(), self, id, &request);
                }
            }
            Event::BusName { name, owner, pid } => {
                if let Some(id) = self.bus_names.owner(&name) {
                    machine::call::bus_name(self.unit(id).unit_type(), self, id, &owner, pid);
                }
            }
            Event::Call { call, caller, request } => self.called(call, caller, request),
            Event::CallerGone(connection) => self.caller_gone(connection),
            Event::StartTarget { target, mode } => self.want_target(target.as_str(), mode, "signal"),
            Event::Conditions { unit, conditions, asserts } => self.take_verdicts(&unit, conditions, asserts),
        }
        self.tick();
    }

    fn begin_boot(&mut self, target: UnitName) {
        for name in ["-.slice", "init.scope", "system.slice", "-.mount"] {
            if self.config.user && !matches!(name, "-.slice" | "init.scope") {
                continue;
            }
            if let Ok(name) = UnitName::parse(name) {
                let id = self.ensure(&name);
                self.unit_mut(id).perpetual = true;
            }
        }
        self.ensure(&target);
        self.queues.deferred.push_back(Deferred::Boot(target));
    }

    fn take_chain_facts(&mut self, id: UnitId, output: Option<&super::event::ChainOutput>) {
        let Some(output) = output else { return };
        if output.dynamic_uid.is_some() {
            self.unit_mut(id).dynamic_uid = output.dynamic_uid;
            self.dynamic_users.insert(id);
        }
        self.note_in_ledger(id, &output.weakened);
    }

    /// Settings that are not in force, each with the reason, beside what was noted before.
    pub(crate) fn note_in_ledger(&mut self, id: UnitId, entries: &[(Rc<str>, Rc<str>)]) {
        for entry in entries {
            if !self.unit(id).ledger.contains(entry) {
                self.unit_mut(id).ledger.push(entry.clone());
            }
        }
    }

    fn process_exited(&mut self, pid: Pid, exit: Exit) {
        for id in self.take_watchers(pid) {
            machine::call::process_exited(self.unit(id).unit_type(), self, id, pid, exit);
        }
    }

    /// The unit that a notification comes from: its process is known, or it is in its cgroup.
    pub fn unit_of_sender(&self, pid: Pid, cgroup: Option<&str>) -> Option<UnitId> {
        self.unit_of_pid(pid).or_else(|| self.unit_of_cgroup(cgroup?))
    }

    fn notified(&mut self, message: &Notify) {
        let sender = self.unit_of_sender(message.pid, message.cgroup.as_deref());
        let kind = sender.map(|id| self.unit(id).unit_type());
        if kind != Some(UnitType::Service) {
            // Only services have a store; anybody may send.
            message.fds.iter().for_each(|&fd| self.close_fd(fd));
        }
        match sender.zip(kind) {
            Some((id, kind)) => machine::call::notify(kind, self, id, message),
            None => {
                let text = format!("Cannot find unit for notify message of PID {}, ignoring.", message.pid);
                self.log(7, None, text);
            }
        }
    }

    fn accepted(&mut self, connection: &Accepted) {
        match self.fd_owner(connection.listener) {
            Some(id) => machine::call::accepted(self.unit(id).unit_type(), self, id, connection),
            None => self.close_fd(connection.connection),
        }
    }

    /// Fire what is due.
    fn tick(&mut self) {
        if self.progress.restoring {
            // Units cannot act before their settings are there.
            return;
        }
        while let Some(key) = self.timers.pop_due(self.now) {
            match key {
                TimerKey::Job(job) => self.job_timed_out(job),
                TimerKey::Unit(id, which) => {
                    if let Some(kind) = self.get(id).map(|unit| unit.unit_type()) {
                        self.dirty.insert(id);
                        machine::call::timer(kind, self, id, which);
                    }
                }
            }
        }
    }

    fn clock_changed(&mut self) {
        for id in self.timer_units() {
            machine::call::clock_changed(self.unit(id).unit_type(), self, id);
        }
    }

    /// Ask for a start job's conditions; `false` when there are none.
    pub(crate) fn ask_conditions(&mut self, id: UnitId) -> bool {
        let unit = self.unit(id);
        let (conditions, asserts) = (unit.settings.conditions().to_vec(), unit.settings.asserts().to_vec());
        let name = unit.name.clone();
        let none = conditions.is_empty() && asserts.is_empty();
        if none {
            let holds = CheckResult { at: self.now.into(), result: true, verdicts: Vec::new() };
            let unit = self.unit_mut(id);
            unit.condition = holds.clone();
            unit.assert = holds;
        } else {
            self.emit(Effect::CheckConditions { unit: name, conditions, asserts });
        }
        !none
    }

    fn take_verdicts(
        &mut self,
        name: &UnitName,
        conditions: Vec<ConditionVerdict>,
        asserts: Vec<ConditionVerdict>,
    ) {
        let Some(id) = self.find(name) else { return };
        let at = self.now.into();
        let unit = self.unit(id);
        let condition = verdict(unit.settings.conditions(), &conditions);
        let assert = verdict(unit.settings.asserts(), &asserts);
        let unit = self.unit_mut(id);
        unit.condition = CheckResult { at, result: condition, verdicts: conditions };
        if condition {
            unit.assert = CheckResult { at, result: assert, verdicts: asserts };
        }
        self.conditions_checked(id, condition, assert);
    }

    fn called(&mut self, call: CallId, caller: Caller, request: Box<super::effect::Request>) {
        for name in super::requests::names(&request) {
            self.ensure(&name);
        }
        self.prepare(&request);
        self.queues.deferred.push_back(Deferred::Call(call, caller, request));
    }

    fn caller_gone(&mut self, connection: u64) {
        for id in self.held.remove(&connection).unwrap_or_default() {
            if self.get(id).is_some() {
                self.unit_mut(id).refs.remove(&connection);
                self.queues.collect.insert(id);
            }
        }
    }
}

/// All plain lines hold, and one of those with `|` if there are such (systemd.unit(5), `ConditionPathExists=`).
fn verdict(lines: &[(Rc<str>, Rc<str>)], verdicts: &[ConditionVerdict]) -> bool {
    let mut triggers = None;
    for ((_, value), verdict) in lines.iter().zip(verdicts) {
        // What cannot be evaluated does not hold.
        let holds = *verdict == ConditionVerdict::Holds;
        if value.starts_with('|') {
            triggers = Some(triggers.unwrap_or(false) || holds);
        } else if !holds {
            return false;
        }
    }
    triggers.unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConditionVerdict::{Fails, Holds};

    #[test]
    fn triggering_conditions_need_one_plain_ones_all() {
        let line = |text: &str| (Rc::from("ConditionPathExists"), Rc::from(text));
        let lines = [line("/a"), line("|/b"), line("|/c")];
        assert!(verdict(&lines, &[Holds, Fails, Holds]));
        assert!(!verdict(&lines, &[Holds, Fails, Fails]));
        assert!(!verdict(&lines, &[Fails, Holds, Holds]));
        assert!(verdict(&[], &[]));
    }
}
