//! The descriptor store (`FileDescriptorStoreMax=`) and the descriptors that a start passes on.
use super::super::exec::say;
use super::config;
use super::state::{Service, State, StoredFd};
use super::{service, service_mut, set_state, settings};
use crate::engine::Engine;
use crate::engine::effect::{Effect, FdId, UnitId};
use crate::engine::event::Notify;
use crate::graph::Dependency;
use std::rc::Rc;

/// `FDSTORE=1` and `FDSTOREREMOVE=1`.
pub(super) fn told(e: &mut Engine, id: UnitId, n: &Notify) {
    if n.fd_store_remove {
        match &n.fd_name {
            Some(name) => remove_where(e, id, |stored| stored.name == *name),
            None => say(e, id, 4, "FDSTOREREMOVE= is set but FDNAME= is not, ignoring."),
        }
        for &fd in &n.fds {
            e.close_fd(fd);
        }
        return;
    }
    let name: Rc<str> = n.fd_name.clone().unwrap_or_else(|| Rc::from("stored"));
    for &fd in &n.fds {
        add(e, id, fd, name.clone(), !n.no_poll);
    }
}

fn add(e: &mut Engine, id: UnitId, fd: FdId, name: Rc<str>, poll: bool) {
    let max = config::fd_store_max(&settings(e, id));
    if service(e, id).fd_store.len() >= max {
        if max > 0 {
            let text =
                format!("Service reached limit of {max} for file descriptor store, closing descriptor.");
            say(e, id, 4, &text);
        }
        return e.close_fd(fd);
    }
    // `NFileDescriptorStore` changes without a signal, as on the reference.
    e.store_fd(id, fd, StoredFd { name, poll });
    if poll {
        e.emit(Effect::PollFd { fd, on: true, accept: false });
    }
}

/// After a re-execution nobody polls yet.
pub(super) fn poll_again(e: &mut Engine, id: UnitId) {
    let polled = service(e, id).fd_store.iter().filter(|(_, stored)| stored.poll);
    let polled: Vec<FdId> = polled.map(|(&fd, _)| fd).collect();
    for fd in polled {
        e.emit(Effect::PollFd { fd, on: true, accept: false });
    }
}

fn remove_where(e: &mut Engine, id: UnitId, which: impl Fn(&StoredFd) -> bool) {
    let gone = service(e, id).fd_store.iter().filter(|(_, stored)| which(stored));
    for fd in gone.map(|(&fd, _)| fd).collect::<Vec<_>>() {
        remove(e, id, fd);
    }
}

fn remove(e: &mut Engine, id: UnitId, fd: FdId) {
    if e.machine_quiet::<Service>(id).fd_store.remove(&fd).is_some() {
        e.close_fd(fd);
    }
}

/// The other side of a stored descriptor hung up, so it is of no use any more. Data is for the service.
pub(super) fn fd_ready(e: &mut Engine, id: UnitId, fd: FdId, hangup: bool) {
    if hangup {
        remove(e, id, fd);
        unpin(e, id);
    }
}

/// `dead-resources-pinned` ends with the last descriptor.
fn unpin(e: &mut Engine, id: UnitId) {
    let s = service(e, id);
    if s.state == State::DeadResourcesPinned && s.fd_store.is_empty() {
        set_state(e, id, State::Dead);
    }
}

/// Close what the store holds (`CleanUnit` with `fdstore`, or the unit leaves memory).
pub fn clear(e: &mut Engine, id: UnitId) {
    remove_where(e, id, |_| true);
    unpin(e, id);
}

/// The service is down: what the store holds goes, unless it is kept or a restart is on its way.
pub(super) fn release_if_idle(e: &mut Engine, id: UnitId) {
    match config::fd_store_preserve(&settings(e, id)) {
        "yes" => {}
        "no" => clear(e, id),
        _ if super::restart_job_pending(e, id) => {}
        _ => clear(e, id),
    }
}

/// Close the connection that an `Accept=yes` socket gave.
pub fn close_connection(e: &mut Engine, id: UnitId) {
    let Some(connection) = service_mut(e, id).connection.take() else { return };
    if let Some(fd) = connection.fd {
        e.close_fd(fd);
    }
    super::super::socket::connection_ended(e, connection.socket, connection.source.as_deref());
}

/// What a main process gets from descriptor 3 on: the sockets' descriptors, then the stored ones, with their names.
pub fn to_pass(e: &Engine, id: UnitId) -> Vec<(FdId, Rc<str>)> {
    let s = service(e, id);
    if let Some(fd) = s.connection.as_ref().and_then(|connection| connection.fd) {
        let mut fds = vec![(fd, Rc::from("connection"))];
        fds.extend(stored(e, id));
        return fds;
    }
    let unit = e.unit(id);
    let mut fds = Vec::new();
    for socket in unit.dependencies(Dependency::TriggeredBy) {
        if e.unit(socket).unit_type() == crate::names::UnitType::Socket {
            fds.extend(super::super::socket::descriptors(e, socket));
        }
    }
    fds.extend(stored(e, id));
    fds
}

fn stored(e: &Engine, id: UnitId) -> impl Iterator<Item = (FdId, Rc<str>)> + '_ {
    service(e, id).fd_store.iter().map(|(&fd, stored)| (fd, stored.name.clone()))
}
