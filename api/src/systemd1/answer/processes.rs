//! Processes and stored descriptors of a unit.
use super::super::errors::Error;
use super::super::facts::Facts;
use super::super::state::cgroup::path;
use super::reply;
use runstead_core::engine::{Engine, Unit};
use runstead_core::names::UnitName;
use runstead_core::units::UnitKind;
use runstead_wire::dbus::Message;

fn loaded<'a>(engine: &'a Engine, name: &UnitName) -> Result<&'a Unit, Error> {
    engine.find_unit(name).ok_or_else(|| Error::not_loaded(name.as_str()))
}

/// `GetUnitProcesses`: (cgroup, pid, command line); processes that the unit has outside its cgroup have the empty path.
pub fn of_unit(
    engine: &Engine,
    facts: &dyn Facts,
    name: &UnitName,
    call: &Message,
) -> Result<Message, Error> {
    let unit = loaded(engine, name)?;
    let mut found = match path(unit) {
        Some(path) => facts.cgroup_processes(&path),
        None => Vec::new(),
    };
    let (main, control) = unit.kind.processes();
    for pid in [main, control].into_iter().flatten() {
        if !found.iter().any(|(_, known)| *known == pid) {
            let cgroup = facts.cgroup_of(pid).filter(|_| facts.has_cgroups());
            found.push((cgroup.unwrap_or_default(), pid));
        }
    }
    let root = facts.cgroup_root();
    let root = root.trim_end_matches('/');
    reply(call, |w| {
        w.array("(sus)", |w| {
            for (path, pid) in &found {
                let Ok(number) = u32::try_from(*pid) else { continue };
                w.open_struct().str(&format!("{root}{path}")).u32(number).str(&facts.cmdline(*pid)).close();
            }
        });
    })
}

/// `DumpUnitFileDescriptorStore`.
pub fn descriptors(
    engine: &Engine,
    facts: &dyn Facts,
    name: &UnitName,
    call: &Message,
) -> Result<Message, Error> {
    let unit = loaded(engine, name)?;
    let UnitKind::Service(service) = &unit.kind else {
        return Err(Error::new(
            "org.freedesktop.DBus.Error.NotSupported",
            format!(
                "DumpUnitFileDescriptorStore operation is not supported for unit type '{}'",
                unit.unit_type().suffix()
            ),
        ));
    };
    reply(call, |w| {
        w.array("(suuutuusu)", |w| {
            for (&fd, stored) in &service.fd_store {
                let fact = facts.stored_fd(fd).unwrap_or_default();
                w.open_struct().str(&stored.name).u32(fact.mode).u32(fact.device.0).u32(fact.device.1);
                w.u64(fact.inode)
                    .u32(fact.special.0)
                    .u32(fact.special.1)
                    .str(&fact.path)
                    .u32(fact.flags)
                    .close();
            }
        });
    })
}
