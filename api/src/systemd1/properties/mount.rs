//! `org.freedesktop.systemd1.Mount`, `.Swap` and `.Automount`.
use super::prelude::*;
use super::{commands, context, setting};
use runstead_core::units::LoadState;

/// Properties of mounts alone.
pub const MOUNT: &[UnitProperty] = &[
    p("Where", "s", Const, state(place)),
    p("What", "s", Changes, state(|c, w| table(c, ids::WHAT, w))),
    p("Options", "s", Changes, state(|c, w| table(c, ids::OPTIONS, w))),
    p("Type", "s", Changes, state(|c, w| table(c, ids::MOUNT_TYPE, w))),
    p("TimeoutUSec", "t", Const, set(ids::TIMEOUT_SEC)),
    p("ControlPID", "u", Changes, state(context::control_pid)),
    p("DirectoryMode", "u", Const, set(ids::DIRECTORY_MODE)),
    p("SloppyOptions", "b", Const, set(ids::SLOPPY_OPTIONS)),
    p("LazyUnmount", "b", Const, set(ids::LAZY_UNMOUNT)),
    p("ForceUnmount", "b", Const, set(ids::FORCE_UNMOUNT)),
    p("ReadWriteOnly", "b", Const, set(ids::READ_WRITE_ONLY)),
    p("Result", "s", Changes, state(context::result)),
    p("UID", "u", Changes, state(context::uid)),
    p("GID", "u", Changes, state(context::gid)),
    p("ExecMount", "a(sasbttttuii)", Invalidates, state(|_, w| commands::made(None, w))),
    p("ExecUnmount", "a(sasbttttuii)", Invalidates, state(|_, w| commands::made(None, w))),
    p("ExecRemount", "a(sasbttttuii)", Invalidates, state(|_, w| commands::made(None, w))),
];

/// Properties of swaps alone.
pub const SWAP: &[UnitProperty] = &[
    p("What", "s", Changes, state(|c, w| table(c, ids::WHAT, w))),
    p("Priority", "i", Changes, set(ids::SWAP_PRIORITY)),
    p("Options", "s", Changes, state(|c, w| table(c, ids::OPTIONS, w))),
    p("TimeoutUSec", "t", Const, set(ids::TIMEOUT_SEC)),
    p("ControlPID", "u", Changes, state(context::control_pid)),
    p("Result", "s", Changes, state(context::result)),
    p("UID", "u", Changes, state(context::uid)),
    p("GID", "u", Changes, state(context::gid)),
    p("ExecActivate", "a(sasbttttuii)", Invalidates, state(|_, w| commands::made(None, w))),
    p("ExecDeactivate", "a(sasbttttuii)", Invalidates, state(|_, w| commands::made(None, w))),
];

/// Properties of automounts.
pub const AUTOMOUNT: &[UnitProperty] = &[
    p("Where", "s", Const, state(place)),
    p("ExtraOptions", "s", Const, set(ids::EXTRA_OPTIONS)),
    p("DirectoryMode", "u", Const, set(ids::DIRECTORY_MODE)),
    p("Result", "s", Changes, state(context::result)),
    p("TimeoutIdleUSec", "t", Const, set(ids::TIMEOUT_IDLE_SEC)),
];

/// `Where`: set, or what the name says.
fn place(context: &Context<'_>, writer: &mut Writer) {
    let set = setting::text(&context.unit.settings, ids::WHERE);
    let from_name = || context.unit.name.to_path().unwrap_or_default();
    writer.str(&if set.is_empty() && context.unit.load == LoadState::Loaded { from_name() } else { set });
}

/// What the kernel's table says, else the file.
fn table(context: &Context<'_>, id: DirectiveId, writer: &mut Writer) {
    writer.str(&setting::text(&context.unit.settings, id));
}
