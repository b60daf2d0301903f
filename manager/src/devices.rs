//! What udev tells: devices that appear, change and go; and which device is meant by a path.
use crate::shell::{Shell, Token};
use crate::startup::StartError;
use runstead_core::engine::effect::CgroupSpec;
use runstead_core::engine::event::{DeviceEvent, Event};
use runstead_os::devices::{self, Database, Monitor};
use runstead_os::reactor::{Interest, Priority};
use runstead_wire::{mountinfo, netlink};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::rc::Rc;

impl Shell {
    /// Listen to udev, where devices are units.
    pub(crate) fn listen_to_udev(&mut self) -> Result<(), StartError> {
        if !self.engine.config.devices {
            return Ok(());
        }
        match Monitor::open() {
            Ok(monitor) => {
                self.reactor.add(monitor.fd(), Token::Devices, Priority::Kernel, Interest::READ)?;
                self.devices = Some(monitor);
            }
            Err(error) => self.complain(4, &format!("devices will not be noticed: {error}")),
        }
        Ok(())
    }

    /// Tell the engine of all devices that are there, and which of those it knows are not.
    pub(crate) fn look_at_devices(&mut self) {
        if self.devices.is_none() {
            return;
        }
        let there = match Database::default().tagged() {
            Ok(there) => there,
            Err(error) => return self.complain(4, &format!("cannot read udev's database: {error}")),
        };
        let paths: BTreeSet<&str> = there.iter().map(|event| &*event.sysfs).collect();
        let known: BTreeSet<Rc<str>> = self.engine.device_paths().collect();
        let gone: Vec<Rc<str>> = known.into_iter().filter(|path| !paths.contains(&**path)).collect();
        for sysfs in gone {
            let action = Rc::from("remove");
            self.pending.push_back(Event::Device(Box::new(DeviceEvent {
                action,
                sysfs,
                ..DeviceEvent::default()
            })));
        }
        self.pending.extend(there.into_iter().map(|event| Event::Device(Box::new(event))));
    }

    /// udev says something.
    pub(crate) fn read_devices(&mut self) {
        /// In one go: other sources wait meanwhile.
        const MOST: usize = 256;
        let mut buffer = [0u8; netlink::MAX_DATAGRAM];
        for _ in 0..MOST {
            let Some(monitor) = &self.devices else { return };
            match monitor.read(&mut buffer) {
                Ok(None) => return,
                Ok(Some(len)) => self.device_told(&buffer[..len]),
                // Some are lost: look at all.
                Err(rustix::io::Errno::NOBUFS) => self.look_at_devices(),
                Err(errno) => return self.complain(4, &format!("cannot hear udev: {errno}")),
            }
        }
    }

    /// Paths of devices become numbers: the kernel takes no others. What lies on a file system is on that one's device, which
    /// the mount table knows: a look at the file could block.
    pub(crate) fn resolve_devices(&self, spec: &mut CgroupSpec) {
        for (_, value) in spec.attributes.iter_mut().filter(|(file, _)| file.starts_with("io.")) {
            let Some((path, rest)) = value.split_once(' ').filter(|(path, _)| path.starts_with('/')) else {
                continue;
            };
            let disk = match path.starts_with("/dev/") {
                true => devices::disk_of_node(path).ok(),
                false => self.disk_below(path),
            };
            if let Some((major, minor)) = disk {
                *value = format!("{major}:{minor} {rest}").into();
            }
        }
    }

    /// The disk of the file system that a path lies on, if it has one.
    fn disk_below(&self, path: &str) -> Option<(u32, u32)> {
        let bytes = self.mounts.read().ok()?;
        let table = mountinfo::parse_mounts(&bytes);
        let around = |target: &[u8]| Path::new(path).starts_with(OsStr::from_bytes(target));
        // The last of those mounted at one place is on top.
        let mount = table
            .entries
            .iter()
            .filter(|mount| around(&mount.target))
            .max_by_key(|mount| mount.target.len())?;
        Some(mount.device).filter(|device| device.0 != 0).map(devices::whole_disk)
    }

    fn device_told(&mut self, datagram: &[u8]) {
        let Ok(told) = netlink::parse(datagram) else { return };
        let sysfs: Rc<str> = Rc::from(devices::sysfs_path(told.devpath()));
        // Almost everything is about devices that are no units, and never were.
        if told.origin != netlink::Origin::Udev
            || !told.has_tag(devices::TAG) && self.engine.devices_of(&sysfs).next().is_none()
        {
            return;
        }
        if let Some(old) = told.get("DEVPATH_OLD").filter(|_| told.action() == "move") {
            self.pending.push_back(Event::Device(Box::new(DeviceEvent {
                action: Rc::from("remove"),
                sysfs: Rc::from(devices::sysfs_path(old)),
                ..DeviceEvent::default()
            })));
        }
        self.pending.push_back(Event::Device(Box::new(event(&told, sysfs))));
    }
}

fn event(told: &netlink::Event<'_>, sysfs: Rc<str>) -> DeviceEvent {
    let absolute = |name: &str| if name.starts_with('/') { name.to_owned() } else { format!("/dev/{name}") };
    DeviceEvent {
        looked_up: false,
        action: Rc::from(told.action()),
        sysfs,
        // An interface that is being renamed is not there yet under its name.
        tagged: told.has_current_tag(devices::TAG)
            && told.get("ID_RENAMING").is_none_or(|value| value != "1"),
        properties: told
            .properties()
            .iter()
            .map(|(name, value)| (Rc::from(*name), Rc::from(*value)))
            .collect(),
        node: told.get("DEVNAME").map(|name| Rc::from(absolute(name))),
        links: told.links().map(Rc::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_udev_becomes_one_of_the_engine() {
        let text = b"add@/devices/vda\0ACTION=add\0DEVPATH=/devices/vda\0SUBSYSTEM=block\0DEVNAME=vda\0\
            DEVLINKS=/dev/disk/a /dev/disk/b\0TAGS=:systemd:\0CURRENT_TAGS=:systemd:\0";
        let told = netlink::parse(text).expect("an event");
        let made = event(&told, Rc::from("/sys/devices/vda"));
        assert_eq!(made.node.as_deref(), Some("/dev/vda"));
        assert_eq!(made.links.len(), 2);
        assert!(made.tagged);
        let text = [&text[..], b"ID_RENAMING=1\0"].concat();
        let told = netlink::parse(&text).expect("an event");
        assert!(!event(&told, Rc::from("/sys/devices/vda")).tagged);
    }
}
