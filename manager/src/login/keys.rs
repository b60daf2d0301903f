//! Keys of the machine and the lid: the devices, and what comes of them.
use super::daemon::{Daemon, Token};
use runstead_core::sessions::event::Event;
use runstead_core::sessions::power::keys::Lid;
use runstead_core::sessions::power::operation::Operation;
use runstead_core::sessions::power::{self};
use runstead_os::devices::{self, Monitor};
use runstead_os::logins::buttons::{self, Buttons, Press};
use runstead_os::reactor::{Interest, Priority};
use runstead_wire::netlink;
use std::collections::BTreeMap;

/// Root is who presses keys.
const NOBODY: u32 = 0;

/// The devices with keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    monitor: Option<Monitor>,
    devices: BTreeMap<u64, (String, Buttons)>,
    last: u64,
}

impl Daemon {
    /// Finds the devices with keys, and waits for more.
    pub(super) fn watch_keys(&mut self) {
        if devices::available() {
            match Monitor::open() {
                Ok(monitor) => {
                    let waited =
                        self.reactor.add(monitor.fd(), Token::Udev, Priority::Kernel, Interest::READ);
                    self.log_failure(waited);
                    self.keys.monitor = Some(monitor);
                }
                Err(error) => {
                    self.log(4, &format!("keys that are plugged in later will not be noticed: {error}"))
                }
            }
        }
        self.find_keys();
    }

    fn find_keys(&mut self) {
        for name in buttons::find() {
            if self.keys.devices.values().any(|(other, _)| *other == name) {
                continue;
            }
            let Ok(device) = Buttons::open(&name) else { continue };
            self.keys.last += 1;
            let number = self.keys.last;
            if let Err(error) =
                self.reactor.add(device.fd(), Token::Buttons(number), Priority::Unit, Interest::READ)
            {
                self.log(4, &error.to_string());
                continue;
            }
            let now = device.now();
            self.keys.devices.insert(number, (name, device));
            self.pressed(now);
        }
    }

    /// udev says something: of input devices we look which have keys.
    pub(super) fn read_udev(&mut self) {
        /// In one go: other sources wait meanwhile.
        const MOST: usize = 256;
        let mut buffer = [0u8; netlink::MAX_DATAGRAM];
        let mut of_input = false;
        for _ in 0..MOST {
            let Some(monitor) = &self.keys.monitor else { break };
            match monitor.read(&mut buffer) {
                Ok(None) => break,
                Ok(Some(length)) => {
                    let event = buffer.get(..length).and_then(|bytes| netlink::parse(bytes).ok());
                    of_input |= event.is_some_and(|event| event.subsystem() == "input");
                }
                // Events were lost.
                Err(_) => of_input = true,
            }
        }
        if of_input {
            self.find_keys();
        }
    }

    /// A device has something to say.
    pub(super) fn read_buttons(&mut self, number: u64) {
        let Some((_, device)) = self.keys.devices.get(&number) else { return };
        match device.read() {
            Some(presses) => self.pressed(presses),
            None => {
                if let Some((_, device)) = self.keys.devices.remove(&number) {
                    self.reactor.remove(device.fd());
                }
            }
        }
    }

    fn pressed(&mut self, presses: Vec<Press>) {
        for press in presses {
            self.facts.external_power = buttons::on_external_power();
            let event = match press {
                Press::Key(key, down) => power::Event::Key(key, down),
                Press::Lid(closed) => {
                    self.facts.lid_closed = closed;
                    self.lid_event()
                }
                Press::Dock(docked) => {
                    self.facts.docked = docked;
                    self.lid_event()
                }
            };
            self.pending.push_back(Event::Power(event));
        }
    }

    fn lid_event(&self) -> power::Event {
        let facts = &self.facts;
        power::Event::Lid(Lid {
            closed: facts.lid_closed,
            docked: facts.docked,
            external_power: facts.external_power,
        })
    }

    /// Does what a key is set to.
    pub(super) fn perform(&mut self, action: &str) {
        if action == "lock" {
            let ids: Vec<String> = self.sessions.sessions().map(|session| session.id.clone()).collect();
            return self.lock(&ids, true);
        }
        let operation = Operation::parse(action);
        if operation.is_none() && action != "sleep" {
            return self.log(4, &format!("Keys cannot do '{action}' yet."));
        }
        match self.resolve(operation, 0) {
            Ok(operation) => {
                self.pending.push_back(Event::Power(power::Event::Begin(None, operation, NOBODY)));
            }
            Err(error) => self.log(4, &format!("Cannot {action}: {}", error.message)),
        }
    }
}
