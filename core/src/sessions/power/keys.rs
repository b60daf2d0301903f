//! Keys of the machine, and the lid (logind.conf(5), `HandlePowerKey=` and its like).
//!
//! A key that does something when it is held is decided on when it is released, or after five seconds; any other at once.
use super::super::Sessions;
use super::super::event::{Effect as Outer, Object};
use super::inhibit::{Mode, What};
use super::operation::Operation;
use super::{Effect, Power};
use crate::engine::clock::Now;
use std::collections::BTreeMap;

/// A key is held when it is down for so long, us.
const LONG: u64 = 5 * 1_000_000;

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// Power.
    Power,
    /// Reboot.
    Reboot,
    /// Suspend.
    Suspend,
    /// Hibernate.
    Hibernate,
}

impl Key {
    /// The lock that leaves it to others.
    fn what(self) -> What {
        match self {
            Key::Power => What::POWER_KEY,
            Key::Reboot => What::REBOOT_KEY,
            Key::Suspend => What::SUSPEND_KEY,
            Key::Hibernate => What::HIBERNATE_KEY,
        }
    }

    /// The settings: what it does, what it does when held, and whether locks on that count.
    fn settings(self) -> [&'static str; 3] {
        match self {
            Key::Power => ["HandlePowerKey", "HandlePowerKeyLongPress", "PowerKeyIgnoreInhibited"],
            Key::Reboot => ["HandleRebootKey", "HandleRebootKeyLongPress", "RebootKeyIgnoreInhibited"],
            Key::Suspend => ["HandleSuspendKey", "HandleSuspendKeyLongPress", "SuspendKeyIgnoreInhibited"],
            Key::Hibernate => {
                ["HandleHibernateKey", "HandleHibernateKeyLongPress", "HibernateKeyIgnoreInhibited"]
            }
        }
    }
}

/// How things are around the lid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lid {
    /// It is closed.
    pub closed: bool,
    /// The machine is in a docking station.
    pub docked: bool,
    /// It is on mains.
    pub external_power: bool,
}

/// Keys that are down, and until when they are not held.
pub(super) type Held = BTreeMap<Key, u64>;

impl Sessions {
    pub(super) fn key(&mut self, now: Now, key: Key, down: bool) {
        let [short, long, ignores] = key.settings();
        let has_long = self.config.handler(long) != "ignore";
        let was_down = self.power.held.remove(&key).is_some();
        match (down, has_long) {
            (true, true) => {
                self.power.held.insert(key, now.monotonic.saturating_add(LONG));
            }
            (true, false) => self.handle(key.what(), short, ignores),
            // One that was not held long enough to be taken away by the timer.
            (false, _) if was_down => self.handle(key.what(), short, ignores),
            (false, _) => {}
        }
    }

    /// Keys that are held by now.
    pub(super) fn held_keys(&mut self, now: Now) {
        let due = |(key, at): (&Key, &u64)| (*at <= now.monotonic).then_some(*key);
        let keys: Vec<Key> = self.power.held.iter().filter_map(due).collect();
        for key in keys {
            self.power.held.remove(&key);
            let [_, long, ignores] = key.settings();
            self.handle(key.what(), long, ignores);
        }
    }

    pub(super) fn lid(&mut self, now: Now, lid: Lid) {
        let was = std::mem::replace(&mut self.power.lid, lid);
        if was.closed == lid.closed {
            return;
        }
        self.out(Outer::Changed(Object::Manager, &["LidClosed"]));
        self.power.out(Effect::Log(6, format!("Lid {}.", if lid.closed { "closed" } else { "opened" })));
        self.power_effects();
        // Docks and screens take their time after a start or a sleep.
        if lid.closed && now.monotonic >= self.power.lid_from.saturating_add(self.config.holdoff) {
            let external = "HandleLidSwitchExternalPower";
            let setting = match lid {
                Lid { docked: true, .. } => "HandleLidSwitchDocked",
                Lid { external_power: true, .. } if !self.config.handler(external).is_empty() => external,
                _ => "HandleLidSwitch",
            };
            self.handle(What::LID_SWITCH, setting, "LidSwitchIgnoreInhibited");
        }
    }

    /// Does what a setting says, unless others want to, or hold it back.
    pub(super) fn handle(&mut self, what: What, setting: &str, ignores: &str) {
        let action = match setting {
            "IdleAction" => self.config.idle_action.clone(),
            key => self.config.handler(key).to_owned(),
        };
        if action == "ignore" || self.power.inhibited(Mode::Block).meets(what) {
            return;
        }
        let needs = match Operation::parse(&action) {
            Some(operation) => operation.inhibited_by(),
            None if action == "sleep" => What::SLEEP,
            None if action == "lock" => What::IDLE,
            None => What::default(),
        };
        let held = self.power.inhibited(Mode::Block).meets(needs)
            || self.power.inhibited(Mode::BlockWeak).meets(needs);
        if held && !self.config.ignores_inhibited(ignores) {
            let text = format!("Refusing {action}, which {needs} inhibitors hold back.");
            self.power.out(Effect::Log(5, text));
        } else {
            self.power.out(Effect::Perform(action));
        }
        self.power_effects();
    }
}

impl Power {
    /// Monotonic time at which the next key is held.
    pub(super) fn next_held(&self) -> Option<u64> {
        self.held.values().min().copied()
    }
}
