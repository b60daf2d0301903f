//! Slices: the tree that their names spell, and the control group paths that follow from it
//! (`systemd.slice(5)`, `systemd.resource-control(5)`).

use super::{UnitName, UnitType};

/// The root slice.
pub const ROOT_SLICE: &str = "-.slice";

/// Controllers whose files a control group directory holds as `NAME.something`: a unit whose name begins like
/// that must be escaped. The last five are pseudo-controllers of the reference.
const CONTROLLERS: [&str; 12] = [
    "cpu",
    "cpuacct",
    "cpuset",
    "io",
    "blkio",
    "memory",
    "devices",
    "pids",
    "bpf-firewall",
    "bpf-devices",
    "bpf-foreign",
    "bpf-socket-bind",
];

/// Whether this slice name spells a path: no empty component between dashes, no instance.
pub fn is_valid_slice(name: &UnitName) -> bool {
    if name.kind() != UnitType::Slice || name.prefix() != name.stem() {
        return false;
    }
    name.as_str() == ROOT_SLICE || name.prefix().split('-').all(|part| !part.is_empty())
}

/// The parent of a slice: `a-b.slice` has `a.slice`, that has `-.slice`, that has none. `None` also for names
/// that are no valid slice.
pub fn parent(name: &UnitName) -> Option<UnitName> {
    if !is_valid_slice(name) || name.as_str() == ROOT_SLICE {
        return None;
    }
    let text = match name.prefix().rsplit_once('-') {
        Some((head, _)) => format!("{head}.slice"),
        None => ROOT_SLICE.to_owned(),
    };
    UnitName::parse(&text).ok()
}

/// The control group path of a slice below the manager's own root: `a-b.slice` gives `/a.slice/a-b.slice`, the
/// root slice the empty path. `None` for names that are no valid slice.
pub fn cgroup_path(name: &UnitName) -> Option<String> {
    if !is_valid_slice(name) {
        return None;
    }
    let mut path = String::new();
    if name.as_str() == ROOT_SLICE {
        return Some(path);
    }
    let prefix = name.prefix();
    let ends = prefix.match_indices('-').map(|(at, _)| at).chain([prefix.len()]);
    for end in ends {
        path.push('/');
        path.push_str(&cgroup_escape(&format!("{}.slice", prefix.get(..end)?)));
    }
    Some(path)
}

/// The control group path of a unit that lies directly in `slice`.
pub fn unit_cgroup_path(slice: &UnitName, unit: &UnitName) -> Option<String> {
    if unit.kind() == UnitType::Slice {
        return cgroup_path(unit);
    }
    Some(format!("{}/{}", cgroup_path(slice)?, cgroup_escape(unit.as_str())))
}

/// Whether a name would collide with the kernel's own files in a control group directory.
fn needs_escape(name: &str) -> bool {
    if name.is_empty() || name.starts_with(['_', '.']) {
        return true;
    }
    if matches!(name, "notify_on_release" | "release_agent" | "tasks") || name.starts_with("cgroup.") {
        return true;
    }
    let of = |controller: &str| name.strip_prefix(controller).is_some_and(|rest| rest.starts_with('.'));
    CONTROLLERS.into_iter().any(of) || of("bpf-restrict-network-interfaces")
}

/// One component of a control group path, with `_` in front of names that the kernel or the scheme claims.
pub fn cgroup_escape(name: &str) -> String {
    if needs_escape(name) { format!("_{name}") } else { name.to_owned() }
}

/// Undoes [`cgroup_escape`].
pub fn cgroup_unescape(component: &str) -> &str {
    component.strip_prefix('_').unwrap_or(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> UnitName {
        UnitName::parse(text).expect("test name is valid")
    }

    #[test]
    fn parents_and_paths() {
        assert_eq!(parent(&name("a-b-c.slice")), Some(name("a-b.slice")));
        assert_eq!(parent(&name("a.slice")), Some(name(ROOT_SLICE)));
        assert_eq!(parent(&name(ROOT_SLICE)), None);
        assert_eq!(parent(&name("a.service")), None);
        assert_eq!(cgroup_path(&name("a-b-c.slice")).as_deref(), Some("/a.slice/a-b.slice/a-b-c.slice"));
        assert_eq!(cgroup_path(&name(ROOT_SLICE)).as_deref(), Some(""));
        for bad in ["a--b.slice", "-a.slice", "a-.slice", "a@b.slice", "a.service"] {
            assert_eq!(cgroup_path(&name(bad)), None, "{bad}");
        }
        assert_eq!(
            unit_cgroup_path(&name("system.slice"), &name("dbus.service")).as_deref(),
            Some("/system.slice/dbus.service")
        );
        assert_eq!(unit_cgroup_path(&name(ROOT_SLICE), &name("init.scope")).as_deref(), Some("/init.scope"));
    }

    #[test]
    fn escaping() {
        for text in ["_a", ".a", "cgroup.procs", "tasks", "cpu.service", "memory.slice", "pids.x", ""] {
            assert_eq!(cgroup_escape(text), format!("_{text}"));
            assert_eq!(cgroup_unescape(&cgroup_escape(text)), text);
        }
        for text in ["a.service", "cpux.service", "cgroup", "system.slice"] {
            assert_eq!(cgroup_escape(text), text);
        }
    }
}
