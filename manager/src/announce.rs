//! Signals: what subscribers on the bus, and everybody on the private socket, are told.
use crate::clients::{BUS, PeerId};
use crate::shell::Shell;
use runstead_api::systemd1::{MANAGER_PATH, interfaces, signals};
use runstead_core::engine::effect::{Announcement, Effect};
use runstead_core::engine::event::Caller;
use runstead_core::names::UnitName;
use runstead_wire::dbus::Message;
use std::collections::{BTreeSet, VecDeque};

/// When so much waits it is said, whatever else is to be done.
const WAITING_MAX: usize = 256;

/// What is to be said once what is to be done is done: programs that were started run meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Said {
    queue: VecDeque<Effect>,
    /// Units of which the queue tells that they changed. How they are is looked at when it is said: once is enough.
    changed: BTreeSet<UnitName>,
}

impl Said {
    fn push(&mut self, effect: Effect) {
        match &effect {
            Effect::Announce(Announcement::UnitChanged(unit)) if !self.changed.insert(unit.clone()) => return,
            Effect::Announce(Announcement::UnitNew(unit) | Announcement::UnitRemoved(unit)) => {
                self.changed.remove(unit);
            }
            _ => {}
        }
        self.queue.push_back(effect);
    }

    fn pop(&mut self) -> Option<Effect> {
        let effect = self.queue.pop_front();
        if let Some(Effect::Announce(Announcement::UnitChanged(unit))) = &effect {
            self.changed.remove(unit);
        }
        effect
    }
}

impl Shell {
    /// Say it when the round of the loop is over.
    pub(crate) fn say_later(&mut self, effect: Effect) {
        self.said.push(effect);
        if self.said.queue.len() >= WAITING_MAX {
            self.say();
        }
    }

    /// Say what waits to be said.
    pub(crate) fn say(&mut self) {
        while let Some(effect) = self.said.pop() {
            self.execute(effect);
        }
    }

    /// Tell everybody who listens.
    pub(crate) fn announce(&mut self, announcement: &Announcement) {
        self.tell_oom_daemon(announcement);
        self.notice(announcement);
        if let Announcement::UnitRemoved(unit) = announcement {
            self.usage.remove(unit);
        }
        if !self.anybody_listens() {
            return;
        }
        let mut listeners = self.listeners(announcement);
        match announcement {
            Announcement::UnitChanged(unit) => {
                listeners.retain(|peer| !self.clients.defer_if_behind(*peer, unit));
            }
            Announcement::UnitRemoved(unit) => self.clients.forget_change(unit),
            _ => {}
        }
        self.tell(announcement, &listeners);
        if let Announcement::JobRemoved { job, .. } = announcement {
            for peer in self.clients.peers.values_mut() {
                peer.quiet.as_mut().map(|jobs| jobs.remove(&job.0));
            }
        }
    }

    /// Tell those who were behind and have caught up of the units that changed meanwhile, as they are now.
    pub(crate) fn announce_changed(&mut self) {
        while let Some((peer, unit)) = self.clients.next_deferred() {
            self.tell(&Announcement::UnitChanged(unit), &[peer]);
        }
    }

    fn tell(&mut self, announcement: &Announcement, listeners: &[PeerId]) {
        if listeners.is_empty() {
            return;
        }
        for message in self.signals_for(announcement) {
            for peer in listeners {
                self.send(*peer, &message);
            }
        }
    }

    /// Everybody on the private socket but those who want to hear of their own things only, and the bus when it is for
    /// somebody there.
    fn listeners(&mut self, announcement: &Announcement) -> Vec<PeerId> {
        let bus = self.concerns_bus(announcement).then_some(BUS);
        let private = self.clients.private().filter(|peer| self.concerns_peer(*peer, announcement));
        private.chain(bus).collect()
    }

    fn concerns_peer(&self, id: PeerId, announcement: &Announcement) -> bool {
        let Some(jobs) = self.clients.peers.get(&id).and_then(|peer| peer.quiet.as_ref()) else {
            return true;
        };
        match announcement {
            Announcement::UnitChanged(unit) => {
                let unit = self.unit_id(unit).map(|id| self.engine.unit(id));
                unit.is_some_and(|unit| unit.refs.contains_key(&id))
            }
            Announcement::JobNew { job, .. }
            | Announcement::JobChanged(job)
            | Announcement::JobRemoved { job, .. } => jobs.contains(&job.0),
            _ => false,
        }
    }

    /// Whether somebody on the bus is told: those who subscribed hear everything, others of units that they hold a
    /// reference to and of jobs that they made.
    fn concerns_bus(&mut self, announcement: &Announcement) -> bool {
        let known = match announcement {
            Announcement::UnitChanged(unit) => {
                let unit = self.unit_id(unit).map(|id| self.engine.unit(id));
                unit.is_some_and(|unit| self.bus.holds(unit.refs.keys().copied()))
            }
            Announcement::JobNew { job, .. } | Announcement::JobChanged(job) => {
                self.bus.jobs.contains(&job.0)
            }
            Announcement::JobRemoved { job, .. } => self.bus.jobs.remove(&job.0),
            _ => false,
        };
        known || !self.bus.subscribers.is_empty()
    }

    /// What the shell itself wants to know.
    fn notice(&mut self, announcement: &Announcement) {
        match announcement {
            Announcement::StartupFinished(_) => {
                self.host.stamps.finish = crate::facts::stamp();
                self.supervisor.ready();
                // What the start needed is not needed any more.
                self.trim = true;
            }
            Announcement::Reloading(true) => self.supervisor.reloading(),
            Announcement::Reloading(false) => self.supervisor.ready(),
            Announcement::UnitChanged(unit)
                if self.options.user && unit.as_str() == crate::supervisor::READY_TARGET =>
            {
                self.look_whether_ready();
            }
            Announcement::UnitChanged(unit) => self.look_at_bus(unit),
            _ => {}
        }
    }

    /// Whether the system bus is there. Its unit may have another name of its own: `dbus.service` is an alias of
    /// dbus-broker's, where that is.
    fn look_at_bus(&mut self, changed: &UnitName) {
        let Some(unit) = self.engine.find_unit(changed) else { return };
        if !unit.aliases.iter().any(|name| name.as_str() == "dbus.service") {
            return;
        }
        let up = unit.sub_state() == "running";
        if up && !self.bus.wanted {
            self.bus_wanted();
        }
        self.bus.wanted = up;
    }

    fn anybody_listens(&self) -> bool {
        !self.bus.is_alone() || self.clients.private().next().is_some()
    }

    fn signals_for(&self, announcement: &Announcement) -> Vec<Message> {
        let unit_path = |unit: &UnitName| runstead_core::names::unit_object_path(unit);
        match announcement {
            Announcement::UnitChanged(unit) => {
                let Some(id) = self.unit_id(unit) else { return Vec::new() };
                signals::unit_changed(&self.engine, &self.facts(), id)
            }
            Announcement::JobChanged(job) => signals::job_changed(&self.engine, *job).into_iter().collect(),
            Announcement::UnitNew(unit) => manager_signal("UnitNew", |writer| {
                writer.str(unit.as_str()).object_path(&unit_path(unit));
            }),
            Announcement::UnitRemoved(unit) => manager_signal("UnitRemoved", |writer| {
                writer.str(unit.as_str()).object_path(&unit_path(unit));
            }),
            Announcement::JobNew { job, unit } => manager_signal("JobNew", |writer| {
                writer.u32(job.0).object_path(&signals::job_path(*job)).str(unit.as_str());
            }),
            Announcement::JobRemoved { job, unit, result } => manager_signal("JobRemoved", |writer| {
                writer.u32(job.0).object_path(&signals::job_path(*job)).str(unit.as_str()).str(result);
            }),
            Announcement::Reloading(active) => manager_signal("Reloading", |writer| {
                writer.bool(*active);
            }),
            Announcement::StartupFinished(times) => manager_signal("StartupFinished", |writer| {
                for time in times {
                    writer.u64(*time);
                }
            }),
            Announcement::UnitFilesChanged => manager_signal("UnitFilesChanged", |_| {}),
        }
    }

    /// `Subscribe`: on the bus until the caller goes; on the private socket everybody gets everything, unless he unsubscribed.
    pub(crate) fn subscribe(&mut self, peer: PeerId, caller: &Caller) {
        if let Some(private) = self.clients.peers.get_mut(&peer).filter(|_| peer != BUS) {
            private.quiet = None;
        }
        if peer == BUS {
            self.bus.subscribers.insert(caller.sender.clone());
        }
    }

    /// `Unsubscribe`; on the private socket, too, where it leaves the caller's own units and jobs.
    pub(crate) fn unsubscribe(&mut self, peer: PeerId, caller: &Caller) {
        if peer == BUS {
            self.bus.subscribers.remove(&caller.sender);
        } else if let Some(private) = self.clients.peers.get_mut(&peer) {
            private.quiet.get_or_insert_default();
        }
    }
}

fn manager_signal(member: &str, write: impl FnOnce(&mut runstead_wire::dbus::Writer)) -> Vec<Message> {
    Message::signal(MANAGER_PATH, interfaces::MANAGER.name, member).build(write).into_iter().collect()
}
