//! Verification of mount units and the dependencies that follow from their settings (systemd.mount(5)).
use super::LoadProblem;
use super::exec::{self, known_name, say};
use super::mount::{mount, mount_point};
use crate::directives::ids;
use crate::engine::Engine;
use crate::engine::effect::UnitId;
use crate::graph::{Dependency, Origins};
use crate::names::path::is_within;
use crate::names::{UnitName, UnitType, escape};
use crate::settings::Settings;
use std::rc::Rc;

pub(super) fn loaded(e: &mut Engine, id: UnitId) -> Result<(), LoadProblem> {
    let place = mount_point(e, id);
    if let Err(why) = verify(e, id, &place) {
        say(e, id, 3, why);
        return Err(LoadProblem::bad_setting(why));
    }
    let description: Rc<str> = if &*place == "/" { "Root Mount".into() } else { place.clone() };
    e.unit_mut(id).default_description = Some(description);
    if let Some((parent, _)) = place.rsplit_once('/').filter(|_| &*place != "/") {
        let parent = if parent.is_empty() { "/" } else { parent };
        exec::need_mounts_for(e, id, parent, true, Origins::IMPLICIT);
    }
    source_dependencies(e, id);
    exec::add_exec_dependencies(e, id);
    if e.unit(id).settings.bool(ids::DEFAULT_DEPENDENCIES) && !e.config.user && !is_extrinsic(&place) {
        default_dependencies(e, id);
    }
    Ok(())
}

fn verify(e: &Engine, id: UnitId, place: &str) -> Result<(), &'static str> {
    let unit = e.unit(id);
    let named = UnitName::from_path(place, UnitType::Mount).ok();
    if named.is_none_or(|name| name != unit.name) {
        return Err("Where= setting doesn't match unit name. Refusing.");
    }
    if unit.fragment.is_some() && unit.settings.text(ids::WHAT).is_none() && mount(e, id).mounted.is_none() {
        return Err("What= setting is missing. Refusing.");
    }
    Ok(())
}

/// `Options=` of the file, else of the mount table.
fn options(e: &Engine, id: UnitId) -> Rc<str> {
    let unit = e.unit(id);
    match (unit.settings.is_set(ids::WHAT), &mount(e, id).mounted) {
        (false, Some(line)) => line.options.clone(),
        _ => unit.settings.text(ids::OPTIONS).unwrap_or("").into(),
    }
}

fn has_option(options: &str, names: &[&str]) -> bool {
    options.split(',').any(|option| names.contains(&option))
}

/// `bind`, `rbind`.
pub(super) fn is_bind(s: &Settings) -> bool {
    s.text(ids::MOUNT_TYPE) == Some("bind")
        || has_option(s.text(ids::OPTIONS).unwrap_or(""), &["bind", "rbind"])
}

/// What is mounted must be there: the file systems on which it lies, or its device.
fn source_dependencies(e: &mut Engine, id: UnitId) {
    let s = e.unit(id).settings.clone();
    if let Some(what) = s.text(ids::WHAT).filter(|what| what.starts_with('/')) {
        exec::need_mounts_for(e, id, what, true, Origins::IMPLICIT);
    }
    device_dependencies(e, id);
}

/// The device that the mount table names, while it is mounted, else the one of `What=`.
pub(super) fn device_dependencies(e: &mut Engine, id: UnitId) {
    e.drop_dependencies(id, Origins::KERNEL_TABLE);
    if !e.config.devices || e.config.user {
        return;
    }
    let s = e.unit(id).settings.clone();
    let table = mount(e, id).mounted.as_ref().map(|line| line.what.clone());
    let Some(what) = table.or_else(|| s.text(ids::WHAT).map(Rc::from)) else { return };
    // The root's device is there as long as we are.
    if !what.starts_with("/dev/") || is_bind(&s) || &*mount_point(e, id) == "/" {
        return;
    }
    let Ok(name) = UnitName::from_path(&what, UnitType::Device) else { return };
    let device = e.ensure(&name);
    let options = s.text(ids::OPTIONS).unwrap_or("");
    let bound = has_option(options, &["x-systemd.device-bound", "x-systemd.device-bound=yes"]);
    let kind = if bound { Dependency::BindsTo } else { Dependency::Requires };
    e.add_two(id, kind, Dependency::After, device, Origins::KERNEL_TABLE);
    e.add_dependency(id, Dependency::StopPropagatedFrom, device, Origins::KERNEL_TABLE);
    add_preparation(e, id, &what);
}

/// After the target that a device is prepared before (systemd-makefs@.service(8)).
pub(super) fn add_preparation(e: &mut Engine, id: UnitId, device: &str) {
    let escaped = escape::path_escape(device.as_bytes());
    if let Some(name) = escaped.ok().and_then(|path| UnitName::parse(&format!("blockdev@{path}.target")).ok())
    {
        e.add_dependency_by_name(id, Dependency::After, &name, Origins::KERNEL_TABLE);
    }
}

/// File systems that the manager does not unmount at shutdown.
pub(super) fn is_extrinsic(place: &str) -> bool {
    let below = |top: &&str| is_within(place, top);
    matches!(place, "/" | "/usr")
        || ["/proc", "/sys", "/dev", "/run/initramfs", "/run/nextroot"].iter().any(below)
}

/// File systems that need the network.
const NETWORK: [&str; 16] = [
    "afs",
    "ceph",
    "cifs",
    "davfs",
    "gfs",
    "gfs2",
    "glusterfs",
    "lustre",
    "ncp",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "pvfs2",
    "smb3",
    "smbfs",
];

fn is_network(fstype: &str, options: &str) -> bool {
    let plain = fstype.strip_prefix("fuse.").unwrap_or(fstype);
    NETWORK.contains(&plain) || plain == "sshfs" || has_option(options, &["_netdev"])
}

fn default_dependencies(e: &mut Engine, id: UnitId) {
    let options = options(e, id);
    let table = mount(e, id).mounted.as_ref().map(|line| line.fstype.clone());
    let fstype: Rc<str> =
        e.unit(id).settings.text(ids::MOUNT_TYPE).map(Rc::from).or(table).unwrap_or_else(|| "".into());
    let network = is_network(&fstype, &options);
    let (pre, target) = if network {
        ("remote-fs-pre.target", "remote-fs.target")
    } else {
        ("local-fs-pre.target", "local-fs.target")
    };
    let add = |e: &mut Engine, kind, name: &str| {
        e.add_dependency_by_name(id, kind, &known_name(name), Origins::DEFAULT);
    };
    add(e, Dependency::After, pre);
    if network {
        add(e, Dependency::After, "network.target");
        add(e, Dependency::After, "network-online.target");
        add(e, Dependency::Wants, "network-online.target");
    }
    if !has_option(&options, &["nofail", "x-systemd.automount"]) {
        add(e, Dependency::Before, target);
    }
    add(e, Dependency::Before, "umount.target");
    add(e, Dependency::Conflicts, "umount.target");
    if &*fstype == "tmpfs" {
        add(e, Dependency::After, "swap.target");
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_world::World;
    use super::*;

    fn after(w: &World, id: UnitId, kind: Dependency) -> Vec<String> {
        let unit = w.e.unit(id);
        let mut names: Vec<_> = unit.dependencies(kind).map(|id| w.e.unit(id).name.to_string()).collect();
        names.sort();
        names
    }

    #[test]
    fn local_and_remote_mounts_stand_before_their_targets() {
        let mut w = World::new();
        let local = w.unit("mnt-a.mount", &["What=tmpfs", "Type=tmpfs"]);
        assert_eq!(after(&w, local, Dependency::Before), ["local-fs.target", "umount.target"]);
        assert_eq!(
            after(&w, local, Dependency::After),
            ["local-fs-pre.target", "swap.target", "systemd-journald.socket"]
        );
        let remote = w.unit("mnt-b.mount", &["What=srv:/x", "Type=nfs"]);
        assert_eq!(after(&w, remote, Dependency::Before), ["remote-fs.target", "umount.target"]);
        assert_eq!(after(&w, remote, Dependency::Wants), ["network-online.target"]);
        let lazy = w.unit("mnt-c.mount", &["What=tmpfs", "Options=nofail"]);
        assert_eq!(after(&w, lazy, Dependency::Before), ["umount.target"]);
        let api = w.unit("dev-mqueue.mount", &["What=mqueue"]);
        assert_eq!(after(&w, api, Dependency::Conflicts), [""; 0]);
    }

    #[test]
    fn what_a_users_manager_did_not_mount_is_not_stopped_with_its_slice() {
        let mut w = World::new();
        w.e.config.user = true;
        let line = crate::engine::event::MountEntry {
            device: false,
            target: "/mnt/machine".into(),
            source: "/dev/vda".into(),
            fstype: "ext4".into(),
            options: "rw".into(),
        };
        w.with(|e| super::super::mount::mount_table_changed(e, vec![line]));
        let id = w.e.find(&known_name("mnt-machine.mount")).unwrap();
        w.with(|e| e.add_slice(id));
        assert_eq!(after(&w, id, Dependency::Requires), ["-.slice"]);
        assert_eq!(after(&w, id, Dependency::Conflicts), [""; 0]);
    }

    #[test]
    fn a_wrong_name_is_refused() {
        let mut w = World::new();
        let id = w.e.ensure(&known_name("mnt-d.mount"));
        w.e.unit_mut(id).settings =
            super::super::test_world::settings(&known_name("mnt-d.mount"), &["Where=/x"]);
        assert!(loaded(&mut w.e, id).is_err());
    }
}
