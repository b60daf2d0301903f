//! Directives of `systemd.kill(5)`.
use super::prelude::*;

rows! { from super::cgroup::END;
    SEND_SIGKILL = KILL, "SendSIGKILL", Bool, Bool(true), Engine, "BOOLEAN";
    SEND_SIGHUP = KILL, "SendSIGHUP", Bool, Bool(false), Engine, "BOOLEAN";
    KILL_MODE = KILL, "KillMode", Words(&words::KILL_MODE), Word("control-group"), Engine, "KILLMODE";
    KILL_SIGNAL = KILL, "KillSignal", Signal, Int(15), Engine, "SIGNAL";
    RESTART_KILL_SIGNAL = KILL, "RestartKillSignal", Signal, Int(15), Engine, "SIGNAL";
    FINAL_KILL_SIGNAL = KILL, "FinalKillSignal", Signal, Int(9), Engine, "SIGNAL";
    WATCHDOG_SIGNAL = KILL, "WatchdogSignal", Signal, Int(6), Engine, "SIGNAL";
}
