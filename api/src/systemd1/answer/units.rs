//! Which units there are, and whose process this is.
use super::super::errors::Error;
use super::super::facts::Facts;
use super::super::signals::job_path;
use super::super::state::context::id128;
use super::super::state::unit::following;
use super::reply;
use runstead_core::engine::effect::UnitId;
use runstead_core::engine::event::Caller;
use runstead_core::engine::{Engine, Unit};
use runstead_core::jobs::kinds;
use runstead_core::names::pattern::{UNIT_RULES, matches};
use runstead_core::names::{UnitName, unit_object_path};
use runstead_wire::dbus::{Message, Writer};
use std::fmt::Write as _;

/// `GetUnit`.
pub fn by_name(engine: &Engine, name: &UnitName, call: &Message) -> Result<Message, Error> {
    let unit = engine.find_unit(name).ok_or_else(|| Error::not_loaded(name.as_str()))?;
    path_of(unit, call)
}

fn path_of(unit: &Unit, call: &Message) -> Result<Message, Error> {
    reply(call, |w| {
        w.object_path(&unit_object_path(&unit.name));
    })
}

/// The unit of a process: of its cgroup, else the one that watches it. Kernel threads and processes that are gone have none.
fn of_pid<'a>(engine: &'a Engine, facts: &dyn Facts, pid: i32) -> Result<&'a Unit, Error> {
    // The root of all belongs to nobody.
    let is_unit = |id: &UnitId| engine.unit(*id).name.as_str() != "-.slice";
    let by_cgroup = || engine.unit_of_cgroup(&facts.cgroup_of(pid)?).filter(is_unit);
    let id = engine.unit_of_pid(pid).or_else(by_cgroup);
    id.and_then(|id| engine.get(id)).ok_or_else(|| {
        let text = format!("PID {pid} does not belong to any loaded unit.");
        Error::new("org.freedesktop.systemd1.NoUnitForPID", text)
    })
}

/// The name of the unit of a process.
pub fn unit_of_pid(engine: &Engine, facts: &dyn Facts, pid: i32) -> Result<UnitName, Error> {
    of_pid(engine, facts, pid).map(|unit| unit.name.clone())
}

/// `GetUnitByPID`.
pub fn by_pid(
    engine: &Engine,
    facts: &dyn Facts,
    caller: &Caller,
    pid: u32,
    call: &Message,
) -> Result<Message, Error> {
    let pid = if pid == 0 { Ok(caller.pid) } else { i32::try_from(pid) };
    let pid = pid.map_err(|_| Error::invalid_args(format!("Invalid PID {}", u32::MAX)))?;
    path_of(of_pid(engine, facts, pid)?, call)
}

/// `GetUnitByPIDFD`, once the shell has told which process the descriptor means.
pub fn unit_by_pidfd(engine: &Engine, facts: &dyn Facts, pid: i32, call: &Message) -> Result<Message, Error> {
    let unit = of_pid(engine, facts, pid)?;
    reply(call, |w| {
        w.object_path(&unit_object_path(&unit.name)).str(unit.name.as_str());
        w.bytes(&id128(unit.invocation.as_deref()));
    })
}

/// `GetUnitByInvocationID`.
pub fn by_invocation(
    engine: &Engine,
    facts: &dyn Facts,
    caller: &Caller,
    id: &[u8],
    call: &Message,
) -> Result<Message, Error> {
    if id.is_empty() || (id.len() == 16 && id.iter().all(|byte| *byte == 0)) {
        return path_of(of_pid(engine, facts, caller.pid)?, call);
    }
    if id.len() != 16 {
        return Err(Error::invalid_args("Invalid invocation ID"));
    }
    let mut text = String::with_capacity(32);
    for byte in id {
        let _ = write!(text, "{byte:02x}");
    }
    let unit = engine.units().find(|unit| unit.invocation.as_deref() == Some(&text));
    let unit = unit.ok_or_else(|| {
        let text = format!("No unit with the specified invocation ID {text} known.");
        Error::new("org.freedesktop.systemd1.NoUnitForInvocationID", text)
    })?;
    path_of(unit, call)
}

/// `GetUnitByControlGroup`: of the path or of what is around it.
pub fn by_cgroup(engine: &Engine, facts: &dyn Facts, path: &str, call: &Message) -> Result<Message, Error> {
    let root = facts.cgroup_root();
    let relative = path.strip_prefix(root.trim_end_matches('/')).unwrap_or(path);
    let id = engine.unit_of_cgroup(relative);
    let unit = id.and_then(|id| engine.get(id)).ok_or_else(|| {
        let text = format!("Control group '{path}' is not valid or not managed by this instance");
        Error::new("org.freedesktop.systemd1.NoSuchUnit", text)
    })?;
    path_of(unit, call)
}

/// `ListUnits`, `ListUnitsFiltered`, `ListUnitsByPatterns`: loaded units whose load, active or sub state is one of `states`
/// and of whose names one matches one of `patterns`; an empty list admits all.
pub fn list(
    engine: &Engine,
    states: &[String],
    patterns: &[String],
    call: &Message,
) -> Result<Message, Error> {
    let is_one_of = |unit: &Unit, states: &[String]| {
        let own = [unit.load.as_str(), unit.active_state().as_str(), unit.sub_state()];
        states.is_empty() || states.iter().any(|state| own.contains(&state.as_str()))
    };
    let is_named = |unit: &Unit, patterns: &[String]| {
        let fits = |name: &UnitName| patterns.iter().any(|glob| matches(glob, name.as_str(), UNIT_RULES));
        patterns.is_empty() || fits(&unit.name)
    };
    let found = engine.units().filter(|unit| is_one_of(unit, states) && is_named(unit, patterns));
    rows(engine, found, call)
}

/// `ListUnitsByNames`: what is no name is left out, what is not loaded appears as not found.
pub fn list_names(engine: &Engine, names: &[String], call: &Message) -> Result<Message, Error> {
    let parsed = names.iter().filter_map(|name| UnitName::parse(name).ok());
    reply(call, |w| {
        w.array("(ssssssouso)", |w| {
            for name in parsed {
                match engine.find_unit(&name) {
                    Some(unit) => row(engine, unit, w),
                    None => absent(&name, w),
                }
            }
        });
    })
}

fn rows<'a>(
    engine: &Engine,
    units: impl Iterator<Item = &'a Unit>,
    call: &Message,
) -> Result<Message, Error> {
    reply(call, |w| {
        w.array("(ssssssouso)", |w| units.for_each(|unit| row(engine, unit, w)));
    })
}

fn row(engine: &Engine, unit: &Unit, w: &mut Writer) {
    w.open_struct().str(unit.name.as_str()).str(unit.description()).str(unit.load.as_str());
    w.str(unit.active_state().as_str()).str(unit.sub_state()).str(&following(engine, unit));
    w.object_path(&unit_object_path(&unit.name));
    match unit.job.and_then(|id| engine.job(id)) {
        Some(job) => w.u32(job.id.0).str(kinds::as_str(job.kind)).object_path(&job_path(job.id)),
        None => w.u32(0).str("").object_path("/"),
    };
    w.close();
}

fn absent(name: &UnitName, w: &mut Writer) {
    w.open_struct()
        .str(name.as_str())
        .str(name.as_str())
        .str("not-found")
        .str("inactive")
        .str("dead")
        .str("");
    w.object_path(&unit_object_path(name)).u32(0).str("").object_path("/").close();
}
