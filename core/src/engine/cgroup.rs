//! Which control group a unit has, and what is written into it.
use super::Engine;
use super::effect::{CgroupSpec, UnitId};
use crate::names::slice;
use std::rc::Rc;

impl Engine {
    /// The unit's cgroup relative to the manager's root: where it is, or where it will be. `None` when units have none here.
    pub fn cgroup_path(&self, id: UnitId) -> Option<Rc<str>> {
        if !self.config.cgroups {
            return None;
        }
        let unit = self.unit(id);
        if let Some(path) = &unit.cgroup {
            return Some(path.clone());
        }
        let path = match unit.slice.and_then(|slice| self.get(slice)) {
            _ if unit.unit_type() == crate::names::UnitType::Slice => slice::cgroup_path(&unit.name),
            Some(within) => slice::unit_cgroup_path(&within.name, &unit.name),
            None => Some(format!("/{}", slice::cgroup_escape(unit.name.as_str()))),
        };
        path.map(Rc::from)
    }

    /// What to make of the unit's cgroup: put it in front of the first spawn of a start (`Step::Cgroup`).
    pub fn cgroup_spec(&mut self, id: UnitId) -> Option<CgroupSpec> {
        let path = self.cgroup_path(id)?;
        if self.unit(id).cgroup.is_none() {
            self.unit_mut(id).cgroup = Some(path.clone());
            self.cgroups.insert(path.clone(), id);
        }
        Some(CgroupSpec { path, watch: true, ..CgroupSpec::default() })
    }
}
