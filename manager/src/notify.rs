//! The notification socket (sd_notify(3)): from datagrams to events.
use crate::shell::Shell;
use runstead_core::engine::effect::{FdId, UnitId};
use runstead_core::engine::event::{Event, Notify};
use runstead_core::names::UnitType;
use runstead_core::units::service::config::NotifyAccess;
use runstead_os::process;
use runstead_os::socket::{Received, recv_with_fds};
use runstead_wire::notify::{self, Notification, Watchdog};
use rustix::io::Errno;
use std::os::fd::{AsFd as _, OwnedFd};

/// Datagrams handled in one round of the loop.
const ROUND: usize = 64;

impl Shell {
    /// Read what waits on the notification socket.
    pub(crate) fn read_notifications(&mut self) {
        let mut buffer = [0; notify::MAX_DATAGRAM + 1];
        for _ in 0..ROUND {
            let received = match recv_with_fds(&self.notify, &mut buffer) {
                Ok(received) => received,
                Err(Errno::AGAIN) => return,
                Err(errno) => {
                    self.complain(4, &format!("cannot read the notification socket: {errno}"));
                    return;
                }
            };
            let bytes = &buffer[..received.len];
            if received.truncated || received.fds_truncated {
                self.complain(4, "a notification was too long or carried too many descriptors; ignored");
                continue;
            }
            self.notification(bytes, received);
        }
    }

    fn notification(&mut self, bytes: &[u8], received: Received) {
        let Some(sender) = received.credentials.filter(|sender| sender.pid > 0) else {
            self.complain(4, "a notification came from outside our PID namespace; ignored");
            return;
        };
        let parsed = match notify::parse(bytes, received.fds.len()) {
            Ok(parsed) => parsed,
            Err(refused) => {
                self.complain(4, &format!("ignoring a notification of process {}: {refused}", sender.pid));
                return;
            }
        };
        for ignored in &parsed.ignored {
            self.complain(7, &format!("notification of process {}: ignoring '{}'", sender.pid, ignored.line));
        }
        if parsed.barrier {
            // The descriptors are closed here, which is the answer (sd_notify_barrier(3)).
            return;
        }
        // Most come from main processes, which the engine knows.
        let known = parsed.main_pid.is_none() && self.engine.unit_of_pid(sender.pid).is_some();
        let cgroup = if known { None } else { self.ownership.path_of(sender.pid) };
        let mut event = translate(&parsed);
        event.pid = sender.pid;
        event.uid = sender.uid;
        event.main_pid_is_ours = event.main_pid.is_some_and(|pid| self.is_ours(pid, cgroup.as_deref()));
        event.cgroup = cgroup;
        if parsed.fd_store {
            event.fds = self.store(&event, received.fds);
        }
        self.pending.push_back(Event::Notify(Box::new(event)));
        self.run_pending();
    }

    /// Register descriptors for the sender's store, leaving out those that it holds already. What is no service has none.
    fn store(&mut self, event: &Notify, fds: Vec<OwnedFd>) -> Vec<FdId> {
        let sender = self.engine.unit_of_sender(event.pid, event.cgroup.as_deref());
        let is_service = |id: &UnitId| self.engine.unit(*id).unit_type() == UnitType::Service;
        let Some(unit) = sender.filter(is_service) else { return Vec::new() };
        let mut ids = Vec::new();
        for fd in fds {
            let stored = |id: FdId| self.engine.store_of(id) == Some(unit) || ids.contains(&id);
            if !self.fds.holds(fd.as_fd(), stored) {
                let id = self.fds.arrived(fd);
                self.keep_arrived(id);
                ids.push(id);
            }
        }
        ids
    }

    /// Whether a process is in the sender's cgroup or else a child of ours.
    fn is_ours(&self, pid: i32, cgroup: Option<&str>) -> bool {
        cgroup.is_some_and(|cgroup| self.ownership.contains(cgroup, pid)) || process::is_child(pid)
    }
}

fn translate(parsed: &Notification) -> Notify {
    let text = |text: &Option<String>| text.as_deref().map(Into::into);
    Notify {
        ready: parsed.ready,
        reloading: parsed.reloading,
        stopping: parsed.stopping,
        status: text(&parsed.status),
        errno: parsed.errno,
        bus_error: text(&parsed.bus_error),
        varlink_error: text(&parsed.varlink_error),
        main_pid: parsed.main_pid,
        watchdog: parsed.watchdog == Some(Watchdog::Alive),
        watchdog_trigger: parsed.watchdog == Some(Watchdog::Trigger),
        watchdog_usec: parsed.watchdog_usec,
        extend_timeout_usec: parsed.extend_timeout_usec,
        monotonic_usec: parsed.monotonic_usec,
        restart_reset: parsed.restart_reset,
        notify_access: parsed.notify_access.as_deref().and_then(NotifyAccess::parse),
        fd_name: text(&parsed.fd_name),
        fd_store_remove: parsed.fd_store_remove,
        no_poll: parsed.fd_no_poll,
        ..Notify::default()
    }
}
