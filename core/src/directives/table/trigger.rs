//! Directives of `[Timer]` and `[Path]` (`systemd.timer(5)`, `systemd.path(5)`).
use super::prelude::*;

rows! { from super::mount::END;
    ON_CALENDAR = TIMER, "OnCalendar", Timer, Unset, Engine, "TIMER";
    ON_ACTIVE_SEC = TIMER, "OnActiveSec", Timer, Unset, Engine, "TIMER";
    ON_BOOT_SEC = TIMER, "OnBootSec", Timer, Unset, Engine, "TIMER";
    ON_STARTUP_SEC = TIMER, "OnStartupSec", Timer, Unset, Engine, "TIMER";
    ON_UNIT_ACTIVE_SEC = TIMER, "OnUnitActiveSec", Timer, Unset, Engine, "TIMER";
    ON_UNIT_INACTIVE_SEC = TIMER, "OnUnitInactiveSec", Timer, Unset, Engine, "TIMER";
    ON_CLOCK_CHANGE = TIMER, "OnClockChange", Bool, Bool(false), Engine, "BOOLEAN";
    ON_TIMEZONE_CHANGE = TIMER, "OnTimezoneChange", Bool, Bool(false), Engine, "BOOLEAN";
    PERSISTENT = TIMER, "Persistent", Bool, Bool(false), Engine, "BOOLEAN";
    WAKE_SYSTEM = TIMER, "WakeSystem", Bool, Bool(false), Engine, "BOOLEAN";
    REMAIN_AFTER_ELAPSE = TIMER, "RemainAfterElapse", Bool, Bool(true), Engine, "BOOLEAN";
    FIXED_RANDOM_DELAY = TIMER, "FixedRandomDelay", Bool, Bool(false), Engine, "BOOLEAN";
    DEFER_REACTIVATION = TIMER, "DeferReactivation", Bool, Bool(false), Skipped(reason::DEFERRING), "BOOLEAN";
    ACCURACY_SEC = TIMER, "AccuracySec", Span(Empty::Refused, Zero::Zero), Inherit(DEFAULT_TIMER_ACCURACY_SEC), Engine, "SECONDS";
    RANDOMIZED_DELAY_SEC = TIMER, "RandomizedDelaySec", Span(Empty::Refused, Zero::Zero), Uint(0), Engine, "SECONDS";
    UNIT = TIMER.or(PATH), "Unit", TriggeredUnit, Unset, Engine, "UNIT";
    PATH_EXISTS = PATH, "PathExists", Watch, Unset, Engine, "PATH";
    PATH_EXISTS_GLOB = PATH, "PathExistsGlob", Watch, Unset, Engine, "PATH";
    PATH_CHANGED = PATH, "PathChanged", Watch, Unset, Engine, "PATH";
    PATH_MODIFIED = PATH, "PathModified", Watch, Unset, Engine, "PATH";
    DIRECTORY_NOT_EMPTY = PATH, "DirectoryNotEmpty", Watch, Unset, Engine, "PATH";
    MAKE_DIRECTORY = PATH, "MakeDirectory", Bool, Bool(false), Engine, "BOOLEAN";
}
