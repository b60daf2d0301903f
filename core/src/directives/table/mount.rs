//! Directives of `[Mount]`, `[Automount]` and `[Swap]` (`systemd.mount(5)`, `systemd.automount(5)`, `systemd.swap(5)`).
use super::prelude::*;

rows! { from super::socket::END;
    WHAT = MOUNT.or(SWAP), "What", Text(Check::Any), Unset, Engine, "NODE";
    WHERE = MOUNT.or(AUTOMOUNT), "Where", FilePath, Unset, Engine, "PATH";
    OPTIONS = MOUNT.or(SWAP), "Options", Text(Check::Any), Unset, Engine, "STRING";
    MOUNT_TYPE = MOUNT, "Type", Text(Check::Any), Unset, Engine, "STRING";
    SLOPPY_OPTIONS = MOUNT, "SloppyOptions", Bool, Bool(false), Engine, "BOOLEAN";
    LAZY_UNMOUNT = MOUNT, "LazyUnmount", Bool, Bool(false), Engine, "BOOLEAN";
    FORCE_UNMOUNT = MOUNT, "ForceUnmount", Bool, Bool(false), Engine, "BOOLEAN";
    READ_WRITE_ONLY = MOUNT, "ReadWriteOnly", Bool, Bool(false), Engine, "BOOLEAN";
    EXTRA_OPTIONS = AUTOMOUNT, "ExtraOptions", Text(Check::Any), Unset, Engine, "STRING";
    TIMEOUT_IDLE_SEC = AUTOMOUNT, "TimeoutIdleSec", Span(Empty::Refused, Zero::Infinity), Uint(0), Engine, "OTHER";
    SWAP_PRIORITY = SWAP, "Priority", Integer(-1, 32767), Int(-1), Engine, "OTHER";
}
