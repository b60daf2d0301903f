//! Which control group a unit has, and what is written into it (systemd.resource-control(5)).
use super::effect::{CgroupSpec, UnitId};
use super::{Engine, Unit};
use crate::directives::ids;
use crate::names::{UnitType, slice};
use crate::settings::{Settings, Value};
use crate::values::bytes;
use std::rc::Rc;

/// "max" in cgroup files.
const NO_LIMIT: u64 = u64::MAX;

/// An attribute's value with a share of the machine ("15%", "12.5%") made a number: of its memory in bytes (whole pages), or of
/// the tasks it can have. `None` for values that are no share.
pub fn resolve_share(file: &str, value: &str, memory: u64, tasks: u64) -> Option<String> {
    const PAGE: u64 = 4096;
    let of = |whole| bytes::parse_limit(value).ok().map(|limit| limit.resolve(whole));
    let amount = match file.split_once('.')?.0 {
        _ if !value.ends_with('%') => return None,
        "memory" => of(memory)? / PAGE * PAGE,
        "pids" => of(tasks)?,
        _ => return None,
    };
    Some(amount.to_string())
}

impl Engine {
    /// The unit's cgroup relative to the manager's root: where it is, or where it will be. Where there are no cgroups it
    /// is only the name under which the unit's processes are known.
    pub fn cgroup_path(&self, id: UnitId) -> Option<Rc<str>> {
        let unit = self.unit(id);
        if let Some(path) = &unit.cgroup {
            return Some(path.clone());
        }
        let path = match unit.slice.and_then(|slice| self.get(slice)) {
            _ if unit.unit_type() == UnitType::Slice => slice::cgroup_path(&unit.name),
            Some(within) => slice::unit_cgroup_path(&within.name, &unit.name),
            None => Some(format!("/{}", slice::cgroup_escape(unit.name.as_str()))),
        };
        path.map(Rc::from)
    }

    /// The unit's cgroup is known by its path from now on, as that of a unit that has processes.
    pub(crate) fn claim_cgroup(&mut self, id: UnitId) -> Option<Rc<str>> {
        let path = self.cgroup_path(id)?;
        if self.unit(id).cgroup.is_none() {
            self.unit_mut(id).cgroup = Some(path.clone());
            self.cgroups.insert(path.clone(), id);
        }
        Some(path)
    }

    /// What to make of the unit's cgroup: put it in front of the first spawn of a start (`Step::Cgroup`).
    pub fn cgroup_spec(&mut self, id: UnitId) -> Option<CgroupSpec> {
        let path = self.claim_cgroup(id)?;
        let unit = self.unit(id);
        let shared = is_shared(unit);
        let attributes = self.attributes(&unit.settings, shared);
        let delegate = unit.settings.delegate().is_some();
        let watch = !shared;
        let controllers = self.controllers_of(&unit.settings, &attributes);
        Some(CgroupSpec { path, attributes, controllers, delegate, watch })
    }

    /// What a unit's cgroup needs: for after a re-execution, when it is there already.
    pub fn cgroup_controllers(&self, id: UnitId) -> Vec<Rc<str>> {
        let unit = self.unit(id);
        self.controllers_of(&unit.settings, &self.attributes(&unit.settings, is_shared(unit)))
    }

    /// Controllers that a unit's own settings need in its parent's `cgroup.subtree_control`.
    fn controllers_of(&self, settings: &Settings, files: &[(Rc<str>, Rc<str>)]) -> Vec<Rc<str>> {
        let accounted = |controller: &str| match controller {
            "memory" => settings.bool(ids::MEMORY_ACCOUNTING),
            "pids" => settings.bool(ids::TASKS_ACCOUNTING),
            "io" => settings.bool(ids::IO_ACCOUNTING),
            _ => false,
        };
        let written = |controller: &str| {
            files.iter().any(|(file, _)| file.split_once('.').is_some_and(|(prefix, _)| prefix == controller))
        };
        let delegated =
            |controller: &Rc<str>| settings.delegate().is_some_and(|all| all.contains(controller));
        let needed =
            |controller: &&Rc<str>| accounted(controller) || written(controller) || delegated(controller);
        self.config.controllers.iter().filter(needed).cloned().collect()
    }

    fn attributes(&self, settings: &Settings, shared: bool) -> Vec<(Rc<str>, Rc<str>)> {
        let mut all = Vec::new();
        let mut put = |file: &str, value: String| all.push((Rc::from(file), Rc::from(value)));
        for (row, file) in [(ids::CPU_WEIGHT, "cpu.weight"), (ids::IO_WEIGHT, "io.weight")] {
            match settings.get(row) {
                Some(Value::Uint(0)) if row == ids::CPU_WEIGHT => put("cpu.idle", "1".into()),
                Some(Value::Uint(weight)) if row == ids::IO_WEIGHT => put(file, format!("default {weight}")),
                Some(Value::Uint(weight)) => put(file, weight.to_string()),
                _ => {}
            }
        }
        if let Some(Value::Uint(quota)) = settings.get(ids::CPU_QUOTA) {
            let period = settings.uint(ids::CPU_QUOTA_PERIOD_SEC);
            let period =
                if period == 0 || period == NO_LIMIT { 100_000 } else { period.clamp(1_000, 1_000_000) };
            match *quota {
                NO_LIMIT => put("cpu.max", format!("max {period}")),
                quota => put(
                    "cpu.max",
                    format!("{} {period}", (quota.saturating_mul(period) / 1_000_000).max(1_000)),
                ),
            }
        }
        let memory = [
            (ids::MEMORY_MIN, "memory.min"),
            (ids::MEMORY_LOW, "memory.low"),
            (ids::MEMORY_HIGH, "memory.high"),
            (ids::MEMORY_MAX, "memory.max"),
            (ids::MEMORY_SWAP_MAX, "memory.swap.max"),
            (ids::MEMORY_ZSWAP_MAX, "memory.zswap.max"),
        ];
        for (row, file) in memory {
            match settings.get(row) {
                Some(Value::Uint(NO_LIMIT)) => put(file, "max".into()),
                Some(Value::Uint(bytes)) => put(file, bytes.to_string()),
                // A share of the machine: the shell knows its size.
                Some(Value::Text(share)) => put(file, share.to_string()),
                _ => {}
            }
        }
        if let Some(Value::Bool(on)) = settings.get(ids::MEMORY_ZSWAP_WRITEBACK) {
            put("memory.zswap.writeback", u8::from(*on).to_string());
        }
        if settings.word(ids::OOM_POLICY) == "kill" && !shared {
            put("memory.oom.group", "1".into());
        }
        match settings.get(ids::TASKS_MAX) {
            Some(Value::Uint(NO_LIMIT)) => put("pids.max", "max".into()),
            Some(Value::Uint(tasks)) => put("pids.max", tasks.to_string()),
            Some(Value::Text(share)) => put("pids.max", share.to_string()),
            // Where nobody can count tasks a default is nothing that a unit lacks.
            _ if !shared
                && self.config.default_tasks_max != NO_LIMIT
                && self.config.controllers.iter().any(|one| &**one == "pids") =>
            {
                put("pids.max", self.config.default_tasks_max.to_string());
            }
            _ => {}
        }
        devices(settings, &mut put);
        for (row, file) in [(ids::ALLOWED_CPUS, "cpuset.cpus"), (ids::ALLOWED_MEMORY_NODES, "cpuset.mems")] {
            if let Some(list) = settings.text(row) {
                put(file, list.to_owned());
            }
        }
        all
    }

    /// Settings of a running unit are new: write its cgroup's attributes again.
    pub(crate) fn refresh_cgroup(&mut self, id: UnitId) {
        if self.unit(id).cgroup.is_some()
            && let Some(spec) = self.cgroup_spec(id)
        {
            self.chain(id, vec![super::effect::Step::Cgroup(spec)]);
        }
    }
}

/// Slices and the manager's own scope are not one program's: nothing limits them by default, nobody waits for them to be empty.
fn is_shared(unit: &Unit) -> bool {
    unit.unit_type() == UnitType::Slice || unit.name.as_str() == "init.scope"
}

/// Limits for single devices: their nodes (or files that lie on them) come first, the shell knows the numbers.
fn devices(settings: &Settings, put: &mut impl FnMut(&str, String)) {
    let all = [
        (ids::IO_DEVICE_WEIGHT, "io.weight", ""),
        (ids::IO_READ_BANDWIDTH_MAX, "io.max", "rbps="),
        (ids::IO_WRITE_BANDWIDTH_MAX, "io.max", "wbps="),
        (ids::IO_READ_IOPS_MAX, "io.max", "riops="),
        (ids::IO_WRITE_IOPS_MAX, "io.max", "wiops="),
        (ids::IO_DEVICE_LATENCY_TARGET_SEC, "io.latency", "target="),
    ];
    for (row, file, key) in all {
        for pair in settings.rows(row) {
            if let [device, value] = &**pair {
                let value = if value.parse() == Ok(NO_LIMIT) { "max" } else { value };
                put(file, format!("{device} {key}{value}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::resolve_share;
    use crate::units::test_world::World;

    #[test]
    fn the_manager_s_own_scope_has_a_cgroup_without_limits() {
        let mut w = World::new();
        let id = w.unit("init.scope", &[]);
        assert_eq!(w.e.unit_of_cgroup("/init.scope"), Some(id));
        assert!(w.steps.is_empty(), "nobody makes it");
        w.e.config.default_tasks_max = 100;
        let pids = |w: &mut World, name, lines: &[&str]| {
            let id = w.unit(name, lines);
            w.e.cgroup_spec(id).expect("a path").attributes.iter().any(|(file, _)| &**file == "pids.max")
        };
        assert!(pids(&mut w, "a.service", &["ExecStart=/a"]) && !pids(&mut w, "init.scope", &[]));
    }

    #[test]
    fn shares_are_of_memory_in_pages_and_of_tasks() {
        let resolve = |file, value| resolve_share(file, value, 1_000_000_000, 32_768);
        assert_eq!(resolve("pids.max", "15%").as_deref(), Some("4915"));
        assert_eq!(resolve("memory.high", "12.5%").as_deref(), Some("124997632"));
        assert_eq!(resolve("memory.max", "100%").as_deref(), Some("999997440"));
        for plain in ["max", "123", "x%", "-1%", "%%"] {
            assert_eq!(resolve("memory.max", plain), None, "{plain}");
        }
        assert_eq!(resolve("cpu.weight", "15%"), None);
    }
}
