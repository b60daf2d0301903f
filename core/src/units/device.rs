//! Devices (systemd.device(5)): never started by us, they appear.
//!
//! | state | ActiveState | SubState | leaves to |
//! |---|---|---|---|
//! | dead | inactive | dead | tentative, plugged: somebody found it |
//! | tentative | activating | tentative | plugged: udev announced it; dead: the last finder lost it |
//! | plugged | active | plugged | tentative, dead: udev withdrew it |
//!
//! A device of the kernel is several units: one for its path below `/sys` (the main one), one for its node, one for each
//! link and `SYSTEMD_ALIAS=`; the others follow the main one.
use super::{ActiveState, LoadProblem, Machine, Refusal, swap};
use crate::directives::ids;
use crate::engine::Engine;
use crate::engine::effect::UnitId;
use crate::engine::event::DeviceEvent;
use crate::graph::{Dependency, Origins};
use crate::names::{UnitName, UnitType};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::rc::Rc;

/// Who has found a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// udev, tagged `systemd`.
    pub udev: bool,
    /// The mount table.
    pub mount: bool,
    /// The swap table.
    pub swap: bool,
}

/// A finder of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finder {
    /// See [`Found::udev`].
    Udev,
    /// See [`Found::mount`].
    Mount,
    /// See [`Found::swap`].
    Swap,
}

/// Run-time state of a device.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Device {
    /// Who has found it.
    pub found: Found,
    /// `SysFSPath`.
    pub sysfs: Option<Rc<str>>,
    /// `Following`: the main unit of the same device.
    pub following: Option<UnitId>,
}

impl Machine for Device {
    fn exists_without_file(_: &mut Engine, _: UnitId) -> bool {
        true
    }

    fn loaded(e: &mut Engine, id: UnitId) -> Result<(), LoadProblem> {
        let timeout = e.config.defaults.uint(ids::DEFAULT_DEVICE_TIMEOUT_SEC);
        let path = e.unit(id).name.to_path().ok();
        let unit = e.unit_mut(id);
        unit.implied_job_running_timeout = Some(timeout);
        if unit.default_description.is_none() {
            unit.default_description = path.map(Rc::from);
        }
        Ok(())
    }

    fn start(e: &mut Engine, _: UnitId) -> Result<(), Refusal> {
        // The job waits for the device.
        if e.config.devices { Ok(()) } else { Err(Refusal::Unsupported) }
    }

    fn stop(_: &mut Engine, _: UnitId) -> Result<(), Refusal> {
        Ok(())
    }

    fn active_state(&self) -> ActiveState {
        match self.sub_state() {
            "plugged" => ActiveState::Active,
            "tentative" => ActiveState::Activating,
            _ => ActiveState::Inactive,
        }
    }

    fn sub_state(&self) -> &'static str {
        match self.found {
            Found { udev: true, .. } => "plugged",
            Found { mount: false, swap: false, .. } => "dead",
            _ => "tentative",
        }
    }

    fn may_collect(&self) -> bool {
        self.found == Found::default()
    }

    fn removed(e: &mut Engine, id: UnitId) {
        if let Some(sysfs) = e.machine::<Device>(id).sysfs.clone() {
            e.devices_mut().remove(&(sysfs, id));
        }
    }
}

/// A finder found, or lost, a device.
pub fn set_found(e: &mut Engine, id: UnitId, finder: Finder, on: bool) {
    let old = e.unit(id).active_state();
    let known = e.machine::<Device>(id).found;
    let mut found = known;
    match finder {
        Finder::Udev => found.udev = on,
        Finder::Mount => found.mount = on,
        Finder::Swap => found.swap = on,
    }
    if found != known {
        e.machine_mut::<Device>(id).found = found;
        e.state_changed(id, old);
    }
}

/// The mount or swap table names this node: `None` when it is no path of a device.
pub fn found_by_table(e: &mut Engine, node: &str, finder: Finder, on: bool) -> Option<UnitId> {
    if !e.config.devices || !node.starts_with("/dev/") && !node.starts_with("/sys/") {
        return None;
    }
    let name = UnitName::from_path(node, UnitType::Device).ok()?;
    let id = if on { e.ensure(&name) } else { e.find(&name)? };
    set_found(e, id, finder, on);
    Some(id)
}

/// The nodes that a table named and those that it names now.
pub fn table_changed(e: &mut Engine, finder: Finder, old: &BTreeSet<Rc<str>>, new: &BTreeSet<Rc<str>>) {
    for node in new.difference(old) {
        found_by_table(e, node, finder, true);
    }
    for node in old.difference(new) {
        found_by_table(e, node, finder, false);
    }
}

/// All nodes and links of the device that a node belongs to, the node itself among them.
pub fn nodes(e: &Engine, node: &str) -> Vec<String> {
    let id = UnitName::from_path(node, UnitType::Device).ok().and_then(|name| e.find(&name));
    let sysfs = id.and_then(|id| e.machine::<Device>(id).sysfs.clone());
    let all = sysfs.iter().flat_map(|sysfs| e.devices_of(sysfs));
    let mut paths: Vec<String> = all.filter_map(|id| e.unit(id).name.to_path().ok()).collect();
    paths.retain(|path| path != node && path.starts_with("/dev/"));
    paths.insert(0, node.to_owned());
    paths
}

/// A device appeared, changed or went.
pub fn changed(e: &mut Engine, event: &DeviceEvent) {
    let property =
        |name: &str| event.properties.iter().find(|(key, _)| **key == *name).map(|(_, value)| value.clone());
    let ready = property("SYSTEMD_READY").is_none_or(|value| &*value != "0");
    let gone = &*event.action == "remove" || !event.tagged || !ready;
    let known: BTreeSet<UnitId> = e.devices_of(&event.sysfs).collect();
    if gone {
        for id in known {
            unplug(e, id);
        }
        return;
    }
    let Some(main) = plug(e, &event.sysfs, event, None) else { return };
    let mut present = BTreeSet::from([main]);
    let aliases = property("SYSTEMD_ALIAS").unwrap_or_else(|| Rc::from(""));
    let aliases = aliases.split_ascii_whitespace().filter(|path| path.starts_with('/'));
    let others: Vec<&str> =
        event.node.iter().chain(&event.links).map(|path| &**path).chain(aliases).collect();
    for path in others {
        present.extend(plug(e, path, event, Some(main)));
    }
    for id in known.difference(&present).copied() {
        unplug(e, id);
    }
    for id in present {
        set_found(e, id, Finder::Udev, true);
    }
    if let Some(node) = &event.node {
        swap::device_named(e, node);
    }
}

fn plug(e: &mut Engine, path: &str, event: &DeviceEvent, following: Option<UnitId>) -> Option<UnitId> {
    let name = UnitName::from_path(path, UnitType::Device).ok()?;
    let id = e.ensure(&name);
    if e.machine::<Device>(id).sysfs.as_ref() != Some(&event.sysfs) {
        if let Some(old) = e.machine::<Device>(id).sysfs.clone() {
            e.devices_mut().remove(&(old, id));
        }
        e.devices_mut().insert((event.sysfs.clone(), id));
        let device = e.machine_mut::<Device>(id);
        device.sysfs = Some(event.sysfs.clone());
        device.following = following;
    }
    let property =
        |name: &str| event.properties.iter().find(|(key, _)| **key == *name).map(|(_, value)| value.clone());
    let model = property("ID_MODEL_FROM_DATABASE")
        .or_else(|| property("ID_MODEL"))
        .map(|model| model.replace('_', " "));
    if let Some(model) = model {
        e.unit_mut(id).default_description = Some(model.into());
    }
    let wants = property(if e.config.user { "SYSTEMD_USER_WANTS" } else { "SYSTEMD_WANTS" });
    want(e, id, wants.as_deref().unwrap_or(""), following.is_none(), event.looked_up);
    Some(id)
}

/// `SYSTEMD_WANTS=`: units the device pulls in; new ones are started when it is there already.
fn want(e: &mut Engine, id: UnitId, wants: &str, main: bool, looked_up: bool) {
    let before: BTreeSet<UnitId> = e.unit(id).dependencies(Dependency::Wants).collect();
    e.drop_dependencies(id, Origins::UDEV);
    if !main {
        return;
    }
    let plugged = e.machine::<Device>(id).found.udev && !looked_up;
    for word in wants.split_ascii_whitespace() {
        let Ok(name) = UnitName::parse(word) else { continue };
        let instance = e.unit(id).name.stem().to_owned();
        let name = if name.is_template() { name.with_instance(&instance).ok() } else { Some(name) };
        let Some(name) = name else { continue };
        let other = e.add_dependency_by_name(id, Dependency::Wants, &name, Origins::UDEV);
        if plugged && !before.contains(&other) {
            use crate::engine::effect::{JobMode, JobType};
            e.enqueue_start_by(other, JobType::Start, JobMode::Fail, None);
        }
    }
}

fn unplug(e: &mut Engine, id: UnitId) {
    if let Some(sysfs) = e.machine::<Device>(id).sysfs.clone() {
        e.devices_mut().remove(&(sysfs, id));
    }
    let device = e.machine_mut::<Device>(id);
    device.sysfs = None;
    device.following = None;
    e.drop_dependencies(id, Origins::UDEV);
    set_found(e, id, Finder::Udev, false);
}

#[cfg(test)]
mod tests {
    use super::super::test_world::World;
    use super::*;
    use crate::engine::event::SwapEntry;
    use crate::units::{mount, swap};

    fn disk(w: &mut World, action: &str, links: &[&str], wants: &str) {
        let event = DeviceEvent {
            action: action.into(),
            sysfs: "/sys/devices/vdb".into(),
            tagged: true,
            properties: vec![
                ("SYSTEMD_WANTS".into(), wants.into()),
                ("SYSTEMD_ALIAS".into(), "/dev/alias".into()),
            ],
            node: Some("/dev/vdb".into()),
            links: links.iter().map(|link| Rc::from(*link)).collect(),
            ..DeviceEvent::default()
        };
        w.with(|e| changed(e, &event));
    }

    fn find(w: &World, name: &str) -> Option<UnitId> {
        w.e.find(&UnitName::parse(name).unwrap())
    }

    fn names(w: &World, id: UnitId, kind: Dependency) -> Vec<String> {
        let mut names: Vec<String> =
            w.e.unit(id).dependencies(kind).map(|id| w.e.unit(id).name.to_string()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_device_is_plugged_under_all_its_names_and_those_that_go_are_dead() {
        let mut w = World::new();
        disk(&mut w, "add", &["/dev/disk/a"], "x.service");
        let main = find(&w, "sys-devices-vdb.device").unwrap();
        for name in ["dev-vdb.device", "dev-disk-a.device", "dev-alias.device"] {
            let id = find(&w, name).unwrap();
            assert_eq!((w.sub(id), w.machine::<Device>(id).following), ("plugged", Some(main)), "{name}");
        }
        assert_eq!(names(&w, main, Dependency::Wants), ["x.service"]);
        let link = find(&w, "dev-disk-a.device").unwrap();
        disk(&mut w, "change", &[], "");
        assert_eq!((w.sub(main), w.sub(link)), ("plugged", "dead"));
        assert_eq!(names(&w, main, Dependency::Wants), [""; 0]);
        disk(&mut w, "remove", &[], "");
        assert_eq!(w.sub(main), "dead");
        assert_eq!(w.e.device_paths().count(), 0);
    }

    #[test]
    fn a_swap_is_used_under_all_names_of_its_device() {
        let mut w = World::new();
        disk(&mut w, "add", &["/dev/disk/a"], "");
        let entry = SwapEntry { what: "/dev/vdb".into(), device: true, priority: -2 };
        w.with(|e| swap::swap_table_changed(e, vec![entry]));
        let (own, link) = (find(&w, "dev-vdb.swap").unwrap(), find(&w, "dev-disk-a.swap").unwrap());
        assert_eq!((w.sub(own), w.sub(link)), ("active", "active"));
        assert_eq!((swap::head(&w.e, own), swap::head(&w.e, link)), (None, Some(own)));
        assert_eq!(names(&w, link, Dependency::Requires), ["dev-vdb.device"]);
        // A link that comes later is one more name.
        disk(&mut w, "change", &["/dev/disk/a", "/dev/disk/b"], "");
        assert_eq!(w.sub(find(&w, "dev-disk-b.swap").unwrap()), "active");
        w.with(|e| swap::swap_table_changed(e, Vec::new()));
        assert_eq!((w.sub(own), w.sub(link)), ("dead", "dead"));
    }

    #[test]
    fn while_it_is_mounted_a_mount_needs_the_device_of_the_table() {
        let mut w = World::new();
        let id = w.unit("mnt-a.mount", &["What=/dev/disk/a", "Where=/mnt/a"]);
        let devices = |w: &World| {
            let mut all = names(w, id, Dependency::Requires);
            all.retain(|name| name.ends_with(".device"));
            all
        };
        let line = crate::engine::event::MountEntry {
            device: true,
            target: "/mnt/a".into(),
            source: "/dev/vdb".into(),
            fstype: "ext4".into(),
            options: "rw".into(),
        };
        assert_eq!(devices(&w), ["dev-disk-a.device"]);
        w.with(|e| mount::mount_table_changed(e, vec![line]));
        assert_eq!(devices(&w), ["dev-vdb.device"]);
        assert_eq!(w.sub(find(&w, "dev-vdb.device").unwrap()), "tentative");
        w.with(|e| mount::mount_table_changed(e, Vec::new()));
        assert_eq!(devices(&w), ["dev-disk-a.device"]);
        assert_eq!(w.sub(find(&w, "dev-vdb.device").unwrap()), "dead");
    }
}
