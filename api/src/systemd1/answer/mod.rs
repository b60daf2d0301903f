//! Answers: to questions from what the engine and the kernel know, and to requests from what the engine replied.
//!
//! | file | what it holds |
//! |---|---|
//! | `units` | `ListUnits` and its like, whose process this is |
//! | `processes` | processes and stored descriptors of a unit |
//! | `dump` | `Dump` |
mod dump;
mod processes;
mod units;

pub use super::jobs::{job_properties, job_property};
pub use dump::dump;
pub use units::{unit_by_pidfd, unit_of_pid};

use super::action::{Operation, Read, Shape};
use super::errors::Error;
use super::facts::Facts;
use super::jobs;
use super::signals::job_path;
use runstead_core::engine::Engine;
use runstead_core::engine::effect::Response;
use runstead_core::engine::event::Caller;
use runstead_core::jobs::kinds;
use runstead_core::names::unit_object_path;
use runstead_wire::dbus::{Message, Writer};

/// The reply to `call` with the body that `write` writes.
fn reply(call: &Message, write: impl FnOnce(&mut Writer)) -> Result<Message, Error> {
    Message::method_return(call).build(write).map_err(Error::from)
}

/// Answer a question. [`Read::UnitByPidFd`] and a dump into a descriptor are the shell's: it has the descriptors.
pub fn read(
    engine: &Engine,
    facts: &dyn Facts,
    caller: &Caller,
    read: &Read,
    call: &Message,
) -> Result<Message, Error> {
    match read {
        Read::Unit(name) => units::by_name(engine, name, call),
        Read::UnitByPid(pid) => units::by_pid(engine, facts, caller, *pid, call),
        Read::UnitByPidFd(_) => Err(Error::invalid_args("The descriptor is not known.")),
        Read::UnitByInvocation(id) => units::by_invocation(engine, facts, caller, id, call),
        Read::UnitByCgroup(path) => units::by_cgroup(engine, facts, path, call),
        Read::ListUnits { states, patterns } => units::list(engine, states, patterns, call),
        Read::ListUnitsByNames(names) => units::list_names(engine, names, call),
        Read::ListJobs => reply(call, |w| jobs::list(engine, engine.jobs(), w)),
        Read::Job(id) => {
            jobs::find(engine, *id)?;
            reply(call, |w| {
                w.object_path(&job_path(*id));
            })
        }
        Read::JobsAfter(id) => {
            let after = jobs::ordered(engine, *id, true)?;
            reply(call, |w| jobs::list(engine, after.into_iter(), w))
        }
        Read::JobsBefore(id) => {
            let before = jobs::ordered(engine, *id, false)?;
            reply(call, |w| jobs::list(engine, before.into_iter(), w))
        }
        Read::Processes(name) => processes::of_unit(engine, facts, name, call),
        Read::FdStore(name) => processes::descriptors(engine, facts, name, call),
        Read::Dump { patterns, .. } => {
            let text = dump(engine, patterns);
            reply(call, |w| {
                w.str(&text);
            })
        }
    }
}

/// The reply to a request that the engine granted.
pub fn response(call: &Message, shape: Shape, response: &Response) -> Message {
    let reply = Message::method_return(call);
    let built = match (shape, response) {
        (Shape::JobPath, Response::Job { job, .. }) => reply.build(|w| {
            w.object_path(&job_path(*job));
        }),
        (Shape::JobDetailed, Response::Job { job, unit, kind, others }) => reply.build(|w| {
            w.u32(job.0).object_path(&job_path(*job)).str(unit.as_str());
            w.object_path(&unit_object_path(unit)).str(kinds::as_str(*kind));
            w.array("(uosos)", |w| {
                for (job, unit, kind) in others {
                    w.open_struct().u32(job.0).object_path(&job_path(*job)).str(unit.as_str());
                    w.object_path(&unit_object_path(unit)).str(kinds::as_str(*kind)).close();
                }
            });
        }),
        (Shape::UnitPath, Response::Unit(unit)) => reply.build(|w| {
            w.object_path(&unit_object_path(unit));
        }),
        (Shape::Nothing, _) => Ok(reply),
        _ => {
            return Message::error(
                call,
                "org.freedesktop.DBus.Error.Failed",
                "The request was done in another way.",
            );
        }
    };
    built.unwrap_or_else(|fault| {
        Message::error(
            call,
            "org.freedesktop.DBus.Error.Failed",
            &format!("The reply cannot be written: {fault}"),
        )
    })
}

/// `LookupDynamicUserByName`, `LookupDynamicUserByUID`, `GetDynamicUsers`.
pub fn dynamic_users(engine: &Engine, operation: &Operation, call: &Message) -> Result<Message, Error> {
    let users = dynamic_user_list(engine);
    let none = |text: String| Error::new("org.freedesktop.systemd1.NoSuchDynamicUser", text);
    match operation {
        Operation::DynamicUserByName(name) => {
            let known = users.iter().find(|(user, _)| user == name);
            let (_, uid) = known.ok_or_else(|| none(format!("Dynamic user {name} does not exist.")))?;
            reply(call, |w| {
                w.u32(*uid);
            })
        }
        Operation::DynamicUserByUid(uid) => {
            let known = users.iter().find(|(_, known)| known == uid);
            let (name, _) = known.ok_or_else(|| none(format!("Dynamic user ID {uid} does not exist.")))?;
            reply(call, |w| {
                w.str(name);
            })
        }
        _ => reply(call, |w| {
            w.array("(us)", |w| {
                for (name, uid) in &users {
                    w.open_struct().u32(*uid).str(name).close();
                }
            });
        }),
    }
}

/// Users that `DynamicUser=` made, sorted by name.
pub fn dynamic_user_list(engine: &Engine) -> Vec<(String, u32)> {
    let held = engine.dynamic_users().filter_map(|unit| {
        let name = unit.settings.text(runstead_core::directives::ids::USER)?;
        Some((name.to_owned(), unit.dynamic_uid?))
    });
    let mut users: Vec<(String, u32)> = held.collect();
    users.sort();
    users.dedup();
    users
}
