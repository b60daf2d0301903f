//! What a unit can do (`CanStart` and its like).
use runstead_core::directives::ids;
use runstead_core::engine::{Engine, Unit};
use runstead_core::graph::Dependency;
use runstead_core::names::UnitType;
use runstead_core::units::LoadState;

fn is_loaded(unit: &Unit) -> bool {
    unit.load == LoadState::Loaded
}

/// `CanStart`: devices come by themselves, and a scope starts once.
pub fn can_start(engine: &Engine, unit: &Unit) -> bool {
    let by_type = match unit.unit_type() {
        UnitType::Device => false,
        UnitType::Scope => !unit.stamps.inactive_exit.is_set() && !unit.perpetual,
        _ => true,
    };
    by_type && is_supported(engine, unit) && is_loaded(unit) && !unit.settings.bool(ids::REFUSE_MANUAL_START)
}

/// Whether the machine has units of this type at all: a container has no devices, and the kernel lets it neither swap nor
/// serve autofs.
fn is_supported(engine: &Engine, unit: &Unit) -> bool {
    let of_host = matches!(unit.unit_type(), UnitType::Device | UnitType::Swap | UnitType::Automount);
    !(engine.config.container && of_host)
}

/// `CanStop`, whether it was found or not.
pub fn can_stop(engine: &Engine, unit: &Unit) -> bool {
    is_supported(engine, unit)
        && unit.unit_type() != UnitType::Device
        && !unit.perpetual
        && !unit.settings.bool(ids::REFUSE_MANUAL_STOP)
}

/// `CanReload`: by itself, or by passing it on.
pub fn can_reload(engine: &Engine, unit: &Unit) -> bool {
    let passes_on = || unit.dependencies(Dependency::PropagatesReloadTo).next().is_some();
    is_loaded(unit) && (engine.can_reload(unit.id) || passes_on())
}

/// `CanIsolate`.
pub fn can_isolate(engine: &Engine, unit: &Unit) -> bool {
    can_start(engine, unit) && unit.settings.bool(ids::ALLOW_ISOLATE)
}

/// `CanClean`: what `CleanUnit` would find.
pub fn can_clean(unit: &Unit) -> Vec<&'static str> {
    let words = ["runtime", "state", "cache", "logs", "configuration", "fdstore"];
    let found = unit.cleanable();
    words.into_iter().enumerate().filter(|(bit, _)| found >> bit & 1 != 0).map(|(_, word)| word).collect()
}
