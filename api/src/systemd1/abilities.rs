//! What a unit can do (`CanStart` and its like).
use super::properties::Context;
use runstead_core::directives::ids;
use runstead_core::engine::{Engine, Unit};
use runstead_core::graph::Dependency;
use runstead_core::names::UnitType;
use runstead_core::names::slice::ROOT_SLICE;
use runstead_core::units::service::Service;
use runstead_core::units::{LoadState, Machine, UnitKind};

fn is_loaded(unit: &Unit) -> bool {
    unit.load == LoadState::Loaded
}

/// `CanStart`: devices come by themselves, and a scope starts once.
pub fn can_start(unit: &Unit) -> bool {
    let by_type = match unit.unit_type() {
        UnitType::Device => false,
        UnitType::Scope => !unit.stamps.inactive_exit.is_set() && !unit.perpetual,
        _ => true,
    };
    by_type && is_loaded(unit) && !unit.settings.bool(ids::REFUSE_MANUAL_START)
}

/// `CanStop`.
pub fn can_stop(unit: &Unit) -> bool {
    is_loaded(unit)
        && unit.unit_type() != UnitType::Device
        && !unit.perpetual
        && !unit.settings.bool(ids::REFUSE_MANUAL_STOP)
}

/// `CanReload`: by itself, or by passing it on.
pub fn can_reload(engine: &Engine, unit: &Unit) -> bool {
    let own = match unit.kind {
        UnitKind::Service(_) => Service::can_reload(engine, unit.id),
        UnitKind::Mount(_) => true,
        _ => false,
    };
    is_loaded(unit) && (own || unit.dependencies(Dependency::PropagatesReloadTo).next().is_some())
}

/// `CanIsolate`.
pub fn can_isolate(unit: &Unit) -> bool {
    can_start(unit) && unit.settings.bool(ids::ALLOW_ISOLATE)
}

/// `CanClean`: what `CleanUnit` would find.
pub fn can_clean(unit: &Unit) -> Vec<&'static str> {
    let rows = [
        (ids::RUNTIME_DIRECTORY, "runtime"),
        (ids::STATE_DIRECTORY, "state"),
        (ids::CACHE_DIRECTORY, "cache"),
        (ids::LOGS_DIRECTORY, "logs"),
        (ids::CONFIGURATION_DIRECTORY, "configuration"),
    ];
    let set = rows.into_iter().filter(|(id, _)| !unit.settings.rows(*id).is_empty());
    let mut words: Vec<&'static str> = set.map(|(_, word)| word).collect();
    if let UnitKind::Service(service) = &unit.kind
        && !service.fd_store.is_empty()
    {
        words.push("fdstore");
    }
    words
}

/// `CanFreeze`: services and scopes, and slices in which all can.
pub fn can_freeze(context: &Context<'_>) -> bool {
    let unit = context.unit;
    match unit.unit_type() {
        UnitType::Service | UnitType::Scope => unit.name.as_str() != "init.scope",
        UnitType::Slice if unit.name.as_str() != ROOT_SLICE => {
            let members = unit.dependencies(Dependency::SliceOf).filter_map(|id| context.engine.get(id));
            members.into_iter().all(|member| can_freeze(&Context { unit: member, ..*context }))
        }
        _ => false,
    }
}
