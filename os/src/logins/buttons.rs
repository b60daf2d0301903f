//! Keys of the machine and the lid: input devices that udev tags `power-switch` (logind.conf(5)).
use runstead_core::sessions::power::keys::Key;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs;
use std::path::Path;

const TAGGED: &str = "/run/udev/tags/power-switch";
const SUPPLIES: &str = "/sys/class/power_supply";
/// Size of an event: two words of time, type, code, value (`linux/input.h`).
const EVENT: usize = 2 * size_of::<libc::c_long>() + 8;
const KEYS: u16 = 1;
const SWITCHES: u16 = 5;
const LID: u16 = 0;
const DOCK: u16 = 5;
/// Codes of keys (`linux/input-event-codes.h`).
const CODES: [(u16, Key); 5] =
    [(116, Key::Power), (356, Key::Power), (408, Key::Reboot), (142, Key::Suspend), (205, Key::Hibernate)];

/// What a button does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Press {
    /// A key goes down, or up.
    Key(Key, bool),
    /// The lid is closed, or opened.
    Lid(bool),
    /// The machine is put into a dock, or taken out.
    Dock(bool),
}

/// A device with buttons.
#[derive(Debug)]
pub struct Buttons {
    device: OwnedFd,
}

/// Names of the devices below `/dev`.
pub fn find() -> Vec<String> {
    let ids = fs::read_dir(TAGGED).into_iter().flatten().flatten();
    let name = |entry: fs::DirEntry| {
        let id = entry.file_name().into_string().ok()?;
        let uevent =
            fs::read_to_string(Path::new("/sys/dev/char").join(id.strip_prefix('c')?).join("uevent")).ok()?;
        let name = uevent.lines().find_map(|line| line.strip_prefix("DEVNAME="))?;
        name.starts_with("input/event").then(|| name.to_owned())
    };
    ids.filter_map(name).collect()
}

impl Buttons {
    /// Opens a device.
    ///
    /// # Errors
    /// As open(2).
    pub fn open(name: &str) -> Result<Buttons, Errno> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        rustix::fs::open(format!("/dev/{name}"), flags, Mode::empty()).map(|device| Buttons { device })
    }

    /// Poll this for reading.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }

    /// Which of its switches are on; a device without switches says nothing of those of others.
    pub fn now(&self) -> Vec<Press> {
        let bits = crate::sys::input::switches(&self.device).unwrap_or(0);
        let on = |switch: u16| bits & (1 << switch) != 0;
        let lid = on(LID).then_some(Press::Lid(true));
        lid.into_iter().chain(on(DOCK).then_some(Press::Dock(true))).collect()
    }

    /// What happened; `None` when the device is gone.
    pub fn read(&self) -> Option<Vec<Press>> {
        let mut buffer = [0; 64 * EVENT];
        match rustix::io::read(&self.device, &mut buffer) {
            Ok(0) => None,
            Ok(count) => Some(presses(&buffer[..count])),
            Err(Errno::AGAIN | Errno::INTR) => Some(Vec::new()),
            Err(_) => None,
        }
    }
}

fn presses(bytes: &[u8]) -> Vec<Press> {
    let press = |event: &[u8]| {
        let word = |at: usize| Some(u16::from_ne_bytes([*event.get(at)?, *event.get(at + 1)?]));
        let (kind, code) = (word(EVENT - 8)?, word(EVENT - 6)?);
        let value = i32::from_ne_bytes(event.get(EVENT - 4..EVENT)?.try_into().ok()?);
        match (kind, code, value) {
            (KEYS, code, 0 | 1) => {
                let (_, key) = CODES.iter().find(|(other, _)| *other == code)?;
                Some(Press::Key(*key, value == 1))
            }
            (SWITCHES, LID, value) => Some(Press::Lid(value != 0)),
            (SWITCHES, DOCK, value) => Some(Press::Dock(value != 0)),
            _ => None,
        }
    };
    bytes.chunks_exact(EVENT).filter_map(press).collect()
}

/// Whether the machine is on mains: some supply that is no battery is online, or there is no battery.
pub fn on_external_power() -> bool {
    let mut batteries = false;
    for supply in fs::read_dir(SUPPLIES).into_iter().flatten().flatten() {
        let read = |name: &str| fs::read_to_string(supply.path().join(name)).unwrap_or_default();
        match read("type").trim() {
            // Those of mice and the like say nothing of the machine.
            "Battery" if read("scope").trim() != "Device" => batteries = true,
            "Mains" | "USB" if read("online").trim() == "1" => return true,
            _ => {}
        }
    }
    !batteries
}

#[cfg(test)]
mod tests {
    use super::{EVENT, Key, Press, presses};

    #[test]
    fn events_of_keys_and_switches_are_read() {
        let event = |kind: u16, code: u16, value: i32| {
            let mut bytes = vec![0; EVENT - 8];
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(code.to_ne_bytes());
            bytes.extend(value.to_ne_bytes());
            bytes
        };
        let bytes = [
            event(1, 116, 1),
            event(0, 0, 0),
            event(1, 116, 2),
            event(1, 116, 0),
            event(5, 0, 1),
            vec![1; 5],
        ];
        let down = [Press::Key(Key::Power, true), Press::Key(Key::Power, false), Press::Lid(true)];
        assert_eq!(presses(&bytes.concat()), down);
    }
}
