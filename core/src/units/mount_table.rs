//! Mount units follow `/proc/self/mountinfo`: what appears there is mounted, whoever did it.
use super::mount::{MountResult, MountState, Mounted, enter_dead, mount, mount_mut, set_state};
use super::{device, mount_load};
use crate::engine::Engine;
use crate::engine::effect::UnitId;
use crate::engine::event::MountEntry;
use crate::names::path::is_within;
use crate::names::{UnitName, UnitType};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The kernel's own file systems, which nobody mounts or unmounts.
const API: [&str; 13] = [
    "/proc",
    "/sys",
    "/dev",
    "/dev/pts",
    "/dev/shm",
    "/run",
    "/sys/fs/cgroup",
    "/sys/fs/pstore",
    "/sys/fs/bpf",
    "/sys/fs/selinux",
    "/sys/fs/smackfs",
    "/sys/kernel/security",
    "/sys/firmware/efi/efivars",
];

/// Mounts that container managers make.
const OF_CONTAINERS: [&str; 3] = ["/dev/console", "/proc/kmsg", "/proc/sys"];

/// What is never a unit: API file systems, what container managers mount, credentials, autofs.
fn is_ignored(entry: &MountEntry) -> bool {
    let path = &*entry.target;
    let below = |top: &str| is_within(path, top);
    API.contains(&path)
        || OF_CONTAINERS.contains(&path)
        || ["/sys/fs/cgroup", "/run/host", "/run/credentials"].into_iter().any(below)
        || &*entry.fstype == "autofs"
}

/// The mount table changed. Costs what it holds to compare, and only what differs to act upon.
pub fn mount_table_changed(e: &mut Engine, table: Vec<MountEntry>) {
    let old = e.replace_mount_table(table.clone());
    if old == table {
        return;
    }
    let nodes = |table: &[MountEntry]| -> BTreeSet<Rc<str>> {
        table.iter().filter(|entry| entry.device).map(|entry| entry.source.clone()).collect()
    };
    device::table_changed(e, device::Finder::Mount, &nodes(&old), &nodes(&table));
    let old = by_target(old);
    let new = by_target(table);
    for (target, entry) in &new {
        if old.get(target) != Some(entry) {
            appeared(e, entry);
        }
    }
    if old.is_empty() {
        // The first table of this image: what was unmounted since the one before is known from the units alone.
        let gone = vanished(e, &new);
        gone.iter().for_each(|target| disappeared(e, target));
    }
    for target in old.keys().filter(|target| !new.contains_key(*target)) {
        disappeared(e, target);
    }
}

/// Where units take something for mounted that is not in the table.
fn vanished(e: &Engine, table: &BTreeMap<Rc<str>, MountEntry>) -> Vec<Rc<str>> {
    let mounts = e.units().filter(|unit| unit.unit_type() == UnitType::Mount);
    let taken = mounts.filter(|unit| mount(e, unit.id).mounted.is_some());
    let targets = taken.filter_map(|unit| unit.name.to_path().ok()).map(Rc::from);
    targets.filter(|target: &Rc<str>| !table.contains_key(target)).collect()
}

/// The topmost mount at each place.
fn by_target(table: Vec<MountEntry>) -> BTreeMap<Rc<str>, MountEntry> {
    let real = table.into_iter().filter(|entry| !is_ignored(entry));
    real.map(|entry| (entry.target.clone(), entry)).collect()
}

fn unit_name(target: &str) -> Option<UnitName> {
    UnitName::from_path(target, UnitType::Mount).ok()
}

fn appeared(e: &mut Engine, entry: &MountEntry) {
    let Some(name) = unit_name(&entry.target) else { return };
    let id: UnitId = e.ensure(&name);
    let source = mount(e, id).mounted.as_ref().map(|line| line.what.clone());
    mount_mut(e, id).mounted = Some(Mounted::from(entry));
    if source.as_ref() != Some(&entry.source) {
        mount_load::device_dependencies(e, id);
    }
    match mount(e, id).state {
        MountState::Dead | MountState::Failed => {
            e.new_invocation(id);
            mount_mut(e, id).result = MountResult::Success;
            set_state(e, id, MountState::Mounted);
        }
        MountState::Mounting => set_state(e, id, MountState::MountingDone),
        _ => {}
    }
}

fn disappeared(e: &mut Engine, target: &str) {
    let Some(id) = unit_name(target).and_then(|name| e.find(&name)) else { return };
    mount_mut(e, id).mounted = None;
    mount_load::device_dependencies(e, id);
    match mount(e, id).state {
        // Somebody else unmounted it.
        MountState::Mounted => enter_dead(e, id, MountResult::Success),
        MountState::MountingDone => set_state(e, id, MountState::Mounting),
        _ => {}
    }
}
