//! Connections of sockets with `Accept=yes`: each becomes an instance of the service.
use super::exec::{has_job, say};
use super::service::{self, Connection};
use super::socket::{Socket, SocketResult, enter_stop_pre, within_trigger_limit};
use crate::directives::ids;
use crate::engine::Engine;
use crate::engine::effect::{Failure, JobMode, JobType, UnitId};
use crate::engine::event::Accepted;
use crate::graph::{Dependency, Origins};
use crate::names::{UnitName, UnitType};
use std::rc::Rc;

/// A connection came.
pub(super) fn accepted(e: &mut Engine, id: UnitId, connection: &Accepted) {
    let fd = connection.connection;
    if has_job(e, id, &[JobType::Stop]) {
        say(e, id, 7, "Suppressing connection request since unit stop is scheduled.");
        e.machine_mut::<Socket>(id).n_refused += 1;
        return e.close_fd(fd);
    }
    if !within_trigger_limit(e, id) {
        return e.close_fd(fd);
    }
    let source = source_of(connection);
    if let Err(why) = admit(e, id, source.as_deref()) {
        say(e, id, 4, &why);
        let s = e.machine_mut::<Socket>(id);
        s.n_refused = s.n_refused.saturating_add(1);
        return e.close_fd(fd);
    }
    let Some(name) = instance_name(e, id, connection) else {
        say(e, id, 4, "Failed to make an instance name for a connection.");
        e.close_fd(fd);
        return enter_stop_pre(e, id, SocketResult::Resources);
    };
    let instance = e.ensure(&name);
    let given =
        Connection { fd: Some(fd), socket: id, remote: connection.remote.clone(), source: source.clone() };
    e.own_fd(fd, instance);
    if service::take_connection(e, instance, given).is_err() {
        return e.close_fd(fd);
    }
    let s = e.machine_mut::<Socket>(id);
    s.n_accepted = s.n_accepted.wrapping_add(1);
    s.n_connections += 1;
    if let Some(source) = source {
        *s.sources.entry(source).or_insert(0) += 1;
    }
    e.unit_mut(instance).default_description = Some(describe(connection));
    e.add_two(id, Dependency::Before, Dependency::Triggers, instance, Origins::RUNTIME);
    e.enqueue_start_by(instance, JobType::Start, JobMode::Replace, Some(id));
}

/// Who is at the other end, for people.
fn describe(connection: &Accepted) -> Rc<str> {
    match (&connection.remote, connection.peer_pid, connection.peer_uid) {
        (Some((address, port)), ..) if address.contains(':') => format!("[{address}]:{port}").into(),
        (Some((address, port)), ..) => format!("{address}:{port}").into(),
        (None, Some(pid), Some(uid)) => format!("PID {pid}/UID {uid}").into(),
        _ => connection.peer.clone(),
    }
}

/// What `MaxConnectionsPerSource=` counts by: the address, or the peer's user.
fn source_of(connection: &Accepted) -> Option<Rc<str>> {
    match (&connection.remote, connection.peer_uid) {
        (Some((address, _)), _) => Some(address.clone()),
        (None, Some(uid)) => Some(format!("uid {uid}").into()),
        (None, None) => None,
    }
}

fn admit(e: &Engine, id: UnitId, source: Option<&str>) -> Result<(), String> {
    let cfg = &e.unit(id).settings;
    let s = e.machine::<Socket>(id);
    if u64::from(s.n_connections) >= cfg.uint(ids::MAX_CONNECTIONS) {
        return Err(format!("Too many incoming connections ({}), dropping connection.", s.n_connections));
    }
    let per_source = cfg.uint(ids::MAX_CONNECTIONS_PER_SOURCE);
    let count = source.and_then(|source| s.sources.get(source)).copied().unwrap_or(0);
    if per_source > 0 && u64::from(count) >= per_source {
        let source = source.unwrap_or_default();
        return Err(format!(
            "Too many incoming connections ({count}) from source {source}, dropping connection."
        ));
    }
    Ok(())
}

/// "foo@N-PEER.service", N counting the connections of this socket.
fn instance_name(e: &Engine, id: UnitId, connection: &Accepted) -> Option<UnitName> {
    let number = e.machine::<Socket>(id).n_accepted;
    let prefix = e.unit(id).name.prefix();
    UnitName::build(prefix, Some(&format!("{number}-{}", connection.peer)), UnitType::Service).ok()
}

/// The instance's service ended: its connection no longer counts.
pub fn connection_ended(e: &mut Engine, id: UnitId, source: Option<&str>) {
    if e.get(id).is_none_or(|unit| unit.unit_type() != UnitType::Socket) {
        return;
    }
    let s = e.machine_mut::<Socket>(id);
    s.n_connections = s.n_connections.saturating_sub(1);
    if let Some(source) = source
        && let Some(count) = s.sources.get_mut(source)
    {
        *count = count.saturating_sub(1);
        if *count == 0 {
            s.sources.remove(source);
        }
    }
}

/// The instance could not be started.
pub(super) fn refused(e: &mut Engine, instance: UnitId, failure: &Failure) {
    say(e, instance, 4, &format!("Failed to queue service startup job: {}", failure.message));
    service::drop_connection(e, instance);
}
