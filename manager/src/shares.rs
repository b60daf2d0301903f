//! What units take of the run root, for clients that ask (`org.runstead.Rundir1`). A throw-away child looks, one at a time and for a
//! bounded time: who fills a directory must not make the manager walk it. Calls wait for a look that begins after they came.
use crate::calls::{LIMITS_EXCEEDED, Past};
use crate::clients::PeerId;
use crate::shell::{Shell, Token};
use runstead_api::systemd1::errors::Error;
use runstead_api::systemd1::{route::Call, rundir};
use runstead_core::directives::ids;
use runstead_core::engine::Unit;
use runstead_core::engine::event::Caller;
use runstead_core::names::{UnitName, UnitType};
use runstead_core::rundir::{Owners, Share};
use runstead_os::reactor::{Interest, Priority};
use runstead_os::rundir::{Look, Looked, Shares as Found};
use runstead_wire::dbus::Message;
use std::time::Duration;

/// Calls that wait, and bytes of their bodies; one more is refused.
const MAX_CALLS: usize = 1024;
const MAX_BYTES: usize = 1 << 20;

/// A call that waits for a look.
#[derive(Debug)]
struct Asked {
    peer: PeerId,
    message: Message,
    caller: Caller,
}

/// The look that is under way, who waits for it and who for the next, and what the last one found.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    look: Option<Look>,
    asked: Vec<Asked>,
    next: Vec<Asked>,
    found: Option<Found>,
}

impl Shares {
    /// Whether no look is under way.
    pub fn is_quiet(&self) -> bool {
        self.look.is_none()
    }

    /// How long one that is under way may still take.
    pub fn time_left(&self) -> Option<Duration> {
        self.look.as_ref().map(Look::time_left)
    }

    /// What the last look found of a unit.
    pub fn of(&self, unit: &UnitName) -> Option<Share> {
        let found = self.found.as_ref()?;
        Some(found.get(unit.as_str()).copied().unwrap_or_default())
    }

    /// Whether one more call with a body of so many bytes may wait.
    fn has_room(&self, bytes: usize) -> bool {
        let waiting = || self.asked.iter().chain(&self.next);
        let held: usize = waiting().map(|asked| asked.message.body().len()).sum();
        waiting().count() < MAX_CALLS && held.saturating_add(bytes) <= MAX_BYTES
    }

    /// A connection went: nobody waits there any more.
    pub fn forget(&mut self, peer: PeerId) {
        self.asked.retain(|asked| asked.peer != peer);
        self.next.retain(|asked| asked.peer != peer);
    }
}

impl Shell {
    /// Whether a call about a unit has to wait for a look.
    pub(crate) fn awaits_shares(&self, call: &Call) -> bool {
        match call {
            Call::Get { interface, property } => rundir::is_asked(interface, property),
            Call::GetAll { interface } => interface == rundir::INTERFACE,
            _ => false,
        }
    }

    /// Answer it after the next look.
    pub(crate) fn await_shares(
        &mut self,
        peer: PeerId,
        message: &Message,
        caller: &Caller,
    ) -> Result<(), Error> {
        if !self.shares.has_room(message.body().len()) {
            return Err(Error::new(LIMITS_EXCEEDED, "Too many calls wait for a look at /run"));
        }
        self.shares.next.push(Asked { peer, message: message.clone(), caller: caller.clone() });
        self.look_at_shares();
        Ok(())
    }

    /// Begin the next look, if somebody waits for one.
    fn look_at_shares(&mut self) {
        if self.shares.look.is_some() || self.shares.next.is_empty() {
            return;
        }
        self.shares.asked = std::mem::take(&mut self.shares.next);
        let root = &self.host.run_root;
        let begun = Look::begin(root, || owners(root, self.options.user, self.engine.units()));
        let watched = begun.and_then(|look| {
            self.reactor.add(look.pipe(), Token::Shares, Priority::Client, Interest::READ)?;
            Ok(look)
        });
        match watched {
            Ok(look) => self.shares.look = Some(look),
            Err(error) => {
                self.complain(4, &format!("nobody can look at what units take of the run root: {error}"));
                self.shares.found = None;
                self.answer_shares();
            }
        }
    }

    /// The child said something, or ended.
    pub(crate) fn read_shares(&mut self) {
        let Some(look) = &mut self.shares.look else { return };
        self.shares.found = match look.read() {
            Looked::Not => return,
            Looked::Failed => None,
            Looked::Done(found) => Some(found),
        };
        if let Some(look) = self.shares.look.take() {
            self.reactor.remove(look.pipe());
        }
        self.answer_shares();
        self.look_at_shares();
    }

    /// A look that takes too long is ended: its pipe tells it.
    pub(crate) fn watch_shares(&mut self) {
        if let Some(look) = self.shares.look.as_ref().filter(|look| look.time_left().is_zero()) {
            look.kill();
        }
    }

    fn answer_shares(&mut self) {
        for Asked { peer, message, caller } in std::mem::take(&mut self.shares.asked) {
            self.dispatch_past(peer, &message, caller, Past::Look);
        }
    }
}

/// Whose what is, as `runstead rundir` asks it of us.
fn owners<'a>(root: &str, user: bool, units: impl Iterator<Item = &'a Unit>) -> Owners {
    let mut owners = if user { Owners::default() } else { Owners::new() };
    for unit in units {
        let name = unit.name.as_str();
        match unit.unit_type() {
            UnitType::Service => {
                owners.add_service(name);
                for row in unit.settings.rows(ids::RUNTIME_DIRECTORY) {
                    row.first().into_iter().for_each(|path| owners.add(path, name));
                }
                unit.settings
                    .text(ids::PID_FILE)
                    .into_iter()
                    .for_each(|path| owners.add_below(root, path, name));
            }
            UnitType::Socket => {
                unit.settings.ports().iter().for_each(|port| owners.add_below(root, &port.address, name));
            }
            _ => {}
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_in_number_and_in_bytes() {
        let asked = |bytes: usize| {
            let call = Message::method_call(None, "/", "a.b", "C").build(|body| {
                body.str(&"x".repeat(bytes));
            });
            Asked { peer: 1, message: call.expect("it can be built"), caller: Caller::default() }
        };
        let mut shares = Shares::default();
        shares.next.push(asked(MAX_BYTES / 2));
        assert!(shares.has_room(1000) && !shares.has_room(MAX_BYTES / 2));
        shares.forget(1);
        (0..MAX_CALLS).for_each(|_| shares.asked.push(asked(0)));
        assert!(!shares.has_room(0));
    }
}
