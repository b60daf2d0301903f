//! `org.freedesktop.systemd1.Timer` and `.Path`.
use super::context;
use super::prelude::*;
use runstead_core::engine::clock::Stamp;
use runstead_core::graph::Dependency;
use runstead_core::names::UnitType;

/// Properties of timers.
pub const TIMER: &[UnitProperty] = &[
    p("Unit", "s", Const, state(triggered)),
    p("TimersMonotonic", "a(stt)", Invalidates, state(monotonic_timers)),
    p("TimersCalendar", "a(sst)", Invalidates, state(calendar_timers)),
    p("OnClockChange", "b", Const, set(ids::ON_CLOCK_CHANGE)),
    p("OnTimezoneChange", "b", Const, set(ids::ON_TIMEZONE_CHANGE)),
    p(
        "NextElapseUSecRealtime",
        "t",
        Changes,
        state(|c, w| {
            w.u64(next(c).0);
        }),
    ),
    p(
        "NextElapseUSecMonotonic",
        "t",
        Changes,
        state(|c, w| {
            w.u64(next(c).1);
        }),
    ),
    p(
        "LastTriggerUSec",
        "t",
        Changes,
        state(|c, w| {
            w.u64(last(c).realtime);
        }),
    ),
    p(
        "LastTriggerUSecMonotonic",
        "t",
        Changes,
        state(|c, w| {
            w.u64(last(c).monotonic);
        }),
    ),
    p("Result", "s", Changes, state(context::result)),
    p("AccuracyUSec", "t", Const, set(ids::ACCURACY_SEC)),
    p("RandomizedDelayUSec", "t", Const, set(ids::RANDOMIZED_DELAY_SEC)),
    p("FixedRandomDelay", "b", Const, set(ids::FIXED_RANDOM_DELAY)),
    p("Persistent", "b", Const, set(ids::PERSISTENT)),
    p("WakeSystem", "b", Const, set(ids::WAKE_SYSTEM)),
    p("RemainAfterElapse", "b", Const, set(ids::REMAIN_AFTER_ELAPSE)),
    p("DeferReactivation", "b", Const, set(ids::DEFER_REACTIVATION)),
];

/// Properties of paths.
pub const PATH: &[UnitProperty] = &[
    p("Unit", "s", Const, state(triggered)),
    p("Paths", "a(ss)", Const, state(paths)),
    p("MakeDirectory", "b", Const, set(ids::MAKE_DIRECTORY)),
    p("DirectoryMode", "u", Const, set(ids::DIRECTORY_MODE)),
    p("Result", "s", Changes, state(context::result)),
    p("TriggerLimitIntervalUSec", "t", Const, set(ids::TRIGGER_LIMIT_INTERVAL_SEC)),
    p("TriggerLimitBurst", "u", Const, set(ids::TRIGGER_LIMIT_BURST)),
];

/// `Unit`: what is triggered.
fn triggered(context: &Context<'_>, writer: &mut Writer) {
    let settings = &context.unit.settings;
    let by_dependency = context.unit.dependencies(Dependency::Triggers).find_map(|id| context.engine.get(id));
    let name = match (settings.unit(ids::UNIT), by_dependency) {
        (Some(name), _) => Some(name.clone()),
        (None, Some(unit)) => Some(unit.name.clone()),
        (None, None) => context.unit.name.with_type(UnitType::Service).ok(),
    };
    writer.str(name.as_ref().map_or("", |name| name.as_str()));
}

fn monotonic_timers(context: &Context<'_>, writer: &mut Writer) {
    writer.array("(stt)", |w| {
        for (name, value) in context.unit.settings.timers() {
            if let (Some(stem), Ok(usec)) = (name.strip_suffix("Sec"), value.parse::<u64>()) {
                w.open_struct().str(&format!("{stem}USec")).u64(usec).u64(0).close();
            }
        }
    });
}

fn calendar_timers(context: &Context<'_>, writer: &mut Writer) {
    writer.array("(sst)", |w| {
        for (name, value) in context.unit.settings.timers().iter().filter(|(name, _)| &**name == "OnCalendar")
        {
            w.open_struct().str(name).str(value).u64(next(context).0).close();
        }
    });
}

/// When it elapses next: wall clock and monotonic clock, 0 when not at all.
fn next(_: &Context<'_>) -> (u64, u64) {
    (0, 0)
}

/// When it elapsed last.
fn last(_: &Context<'_>) -> Stamp {
    Stamp::default()
}

fn paths(context: &Context<'_>, writer: &mut Writer) {
    writer.array("(ss)", |w| {
        for spec in context.unit.settings.paths() {
            w.open_struct().str(&spec.kind).str(&spec.path).close();
        }
    });
}
