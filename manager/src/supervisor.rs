//! Who started the manager and wants to hear how it does (sd_notify(3)): the manager above a user's, a container engine.
use crate::shell::Shell;
use runstead_core::units::ActiveState;
use runstead_os::socket::{self, unix};
use runstead_os::timer::now;
use std::os::fd::OwnedFd;

/// The target that a user's manager is ready with: what the user wants comes afterwards and may take its time.
pub(crate) const READY_TARGET: &str = "basic.target";

/// The socket of `$NOTIFY_SOCKET`, when there is one.
#[derive(Debug, Default)]
pub(crate) struct Supervisor {
    socket: Option<OwnedFd>,
    ready: bool,
}

impl Supervisor {
    /// From our environment.
    pub(crate) fn find() -> Supervisor {
        let address = std::env::var("NOTIFY_SOCKET").ok();
        let socket = address.filter(|address| address.starts_with(['/', '@']));
        Supervisor { socket: socket.and_then(|path| unix::connect_datagram(&path).ok()), ready: false }
    }

    fn tell(&self, text: &str) {
        if let Some(socket) = &self.socket {
            // It may be gone, or not listen: nothing of ours depends on it.
            let _ = socket::send_with_fds(socket, text.as_bytes(), &[]);
        }
    }

    /// Once: everything that was to be up is.
    pub(crate) fn ready(&mut self) {
        if !std::mem::replace(&mut self.ready, true) {
            self.tell("READY=1\nSTATUS=Ready.");
        }
    }

    /// The same of a service that is not a manager.
    pub(crate) fn serving(&mut self) {
        if !std::mem::replace(&mut self.ready, true) {
            self.tell("READY=1\nSTATUS=Processing requests...");
        }
    }

    /// For a service's watchdog.
    pub(crate) fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// A reload or a re-execution begins: whoever asked for it waits for the next `READY=1`.
    pub(crate) fn reloading(&mut self) {
        let usec = now().monotonic;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={usec}\nSTATUS=Reloading."));
        self.ready = false;
    }

    /// The end begins.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=Shutting down.");
    }
}

/// How often our watchdog wants to hear of us: twice in its time.
pub(crate) fn watchdog() -> Option<std::time::Duration> {
    let usec: u64 = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    let ours = std::env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
    (ours && usec > 1).then(|| std::time::Duration::from_micros(usec / 2))
}

impl Shell {
    /// Whether the target that makes a user's manager ready is reached.
    pub(crate) fn look_whether_ready(&mut self) {
        let target = runstead_core::names::UnitName::parse(READY_TARGET).ok();
        let unit = target.and_then(|name| self.engine.find_unit(&name));
        if unit.is_some_and(|unit| unit.active_state() == ActiveState::Active) {
            self.supervisor.ready();
        }
    }
}
