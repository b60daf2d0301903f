//! How processes are ended (systemd.kill(5)).
use super::prelude::*;

/// The properties of all types whose processes are ended by the manager.
pub const ROWS: &[UnitProperty] = &[
    p("KillMode", "s", Const, set(ids::KILL_MODE)),
    p("KillSignal", "i", Const, set(ids::KILL_SIGNAL)),
    p("RestartKillSignal", "i", Const, set(ids::RESTART_KILL_SIGNAL)),
    p("FinalKillSignal", "i", Const, set(ids::FINAL_KILL_SIGNAL)),
    p("SendSIGKILL", "b", Const, set(ids::SEND_SIGKILL)),
    p("SendSIGHUP", "b", Const, set(ids::SEND_SIGHUP)),
    p("WatchdogSignal", "i", Const, set(ids::WATCHDOG_SIGNAL)),
];
