//! `org.freedesktop.systemd1.Scope` and `.Device`.
use super::context;
use super::prelude::*;
use runstead_core::units::UnitKind;

/// Properties of scopes alone.
pub const SCOPE: &[UnitProperty] = &[
    p(
        "Controller",
        "s",
        Changes,
        state(|c, w| {
            w.str(controller(c));
        }),
    ),
    p("TimeoutStopUSec", "t", Const, set(ids::TIMEOUT_STOP_SEC)),
    p("Result", "s", Changes, state(context::result)),
    p("RuntimeMaxUSec", "t", Const, set(ids::RUNTIME_MAX_SEC)),
    p("RuntimeRandomizedExtraUSec", "t", Const, set(ids::RUNTIME_RANDOMIZED_EXTRA_SEC)),
    p("OOMPolicy", "s", Const, set(ids::OOM_POLICY)),
];

/// Properties of devices.
pub const DEVICE: &[UnitProperty] = &[p("SysFSPath", "s", Changes, state(sysfs))];

/// The name on the bus of who controls the scope.
fn controller<'a>(_: &Context<'a>) -> &'a str {
    ""
}

fn sysfs(context: &Context<'_>, writer: &mut Writer) {
    writer.str(match &context.unit.kind {
        UnitKind::Device(device) => device.sysfs.as_deref().unwrap_or(""),
        _ => "",
    });
}
