//! State that all units have.
use super::super::abilities;
use super::super::errors::error_name;
use super::super::signals::job_path;
use super::Context;
use super::context::{id128, monotonic, realtime};
use runstead_core::directives::properties::StateProperty as P;
use runstead_core::engine::{Engine, Unit};
use runstead_core::graph::Dependency;
use runstead_core::names::{UnitName, UnitType};
use runstead_core::units::{UnitKind, swap};
use runstead_wire::dbus::Writer;

/// Writes what the engine knows.
pub fn write(c: &Context<'_>, which: P, w: &mut Writer) {
    match which {
        P::Id => {
            w.str(c.unit.name.as_str());
        }
        P::Names => {
            w.strings(c.unit.aliases.iter().map(|name| name.as_str()));
        }
        P::Following => {
            w.str(&following(c.engine, c.unit));
        }
        P::JobRunningTimeout => {
            w.u64(c.unit.job_running_timeout());
        }
        P::RequiresMountsFor => mounts_for(c, true, w),
        P::WantsMountsFor => mounts_for(c, false, w),
        P::Description => {
            w.str(c.unit.description());
        }
        P::LoadState => {
            w.str(c.unit.load.as_str());
        }
        P::ActiveState => {
            w.str(c.unit.active_state().as_str());
        }
        P::FreezerState => {
            w.str(match c.unit.frozen {
                true => "frozen",
                false if c.engine.is_frozen_by_parent(c.unit.id) => "frozen-by-parent",
                false => "running",
            });
        }
        P::SubState => {
            w.str(c.unit.sub_state());
        }
        P::FragmentPath => {
            w.str(c.unit.fragment.as_ref().map_or("", |file| &file.path));
        }
        P::DropInPaths => {
            w.strings(c.unit.dropins.iter().map(|file| &file.path));
        }
        P::CanStart => {
            w.bool(abilities::can_start(c.engine, c.unit));
        }
        P::CanStop => {
            w.bool(abilities::can_stop(c.engine, c.unit));
        }
        P::CanReload => {
            w.bool(abilities::can_reload(c.engine, c.unit));
        }
        P::CanIsolate => {
            w.bool(abilities::can_isolate(c.engine, c.unit));
        }
        P::CanClean => {
            w.strings(abilities::can_clean(c.unit));
        }
        P::CanFreeze => {
            w.bool(c.engine.can_freeze(c.unit.id));
        }
        P::CanLiveMount => {
            w.bool(false);
        }
        P::Job => job(c, w),
        P::Markers => {
            w.strings::<&str>([]);
        }
        P::ConditionResult => {
            w.bool(c.unit.condition.result);
        }
        P::AssertResult => {
            w.bool(c.unit.assert.result);
        }
        P::LoadError => load_error(c, w),
        P::Transient => {
            w.bool(c.unit.transient);
        }
        P::Perpetual => {
            w.bool(c.unit.perpetual);
        }
        P::InvocationID => {
            w.bytes(&id128(c.unit.invocation.as_deref()));
        }
        P::Refs => refs(c, w),
        P::ActivationDetails => {
            w.array("(ss)", |_| {});
        }
        P::DebugInvocation => {
            w.bool(false);
        }
        P::StateChangeTimestamp => realtime(w, c.unit.stamps.state_change),
        P::StateChangeTimestampMonotonic => monotonic(w, c.unit.stamps.state_change),
        P::InactiveExitTimestamp => realtime(w, c.unit.stamps.inactive_exit),
        P::InactiveExitTimestampMonotonic => monotonic(w, c.unit.stamps.inactive_exit),
        P::ActiveEnterTimestamp => realtime(w, c.unit.stamps.active_enter),
        P::ActiveEnterTimestampMonotonic => monotonic(w, c.unit.stamps.active_enter),
        P::ActiveExitTimestamp => realtime(w, c.unit.stamps.active_exit),
        P::ActiveExitTimestampMonotonic => monotonic(w, c.unit.stamps.active_exit),
        P::InactiveEnterTimestamp => realtime(w, c.unit.stamps.inactive_enter),
        P::InactiveEnterTimestampMonotonic => monotonic(w, c.unit.stamps.inactive_enter),
        P::ConditionTimestamp => realtime(w, c.unit.condition.at),
        P::ConditionTimestampMonotonic => monotonic(w, c.unit.condition.at),
        P::AssertTimestamp => realtime(w, c.unit.assert.at),
        P::AssertTimestampMonotonic => monotonic(w, c.unit.assert.at),
        P::Requires => units(c, Dependency::Requires, w),
        P::Requisite => units(c, Dependency::Requisite, w),
        P::Wants => units(c, Dependency::Wants, w),
        P::BindsTo => units(c, Dependency::BindsTo, w),
        P::PartOf => units(c, Dependency::PartOf, w),
        P::Upholds => units(c, Dependency::Upholds, w),
        P::RequiredBy => units(c, Dependency::RequiredBy, w),
        P::RequisiteOf => units(c, Dependency::RequisiteOf, w),
        P::WantedBy => units(c, Dependency::WantedBy, w),
        P::BoundBy => units(c, Dependency::BoundBy, w),
        P::UpheldBy => units(c, Dependency::UpheldBy, w),
        P::ConsistsOf => units(c, Dependency::ConsistsOf, w),
        P::Conflicts => units(c, Dependency::Conflicts, w),
        P::ConflictedBy => units(c, Dependency::ConflictedBy, w),
        P::Before => units(c, Dependency::Before, w),
        P::After => units(c, Dependency::After, w),
        P::OnSuccess => units(c, Dependency::OnSuccess, w),
        P::OnSuccessOf => units(c, Dependency::OnSuccessOf, w),
        P::OnFailure => units(c, Dependency::OnFailure, w),
        P::OnFailureOf => units(c, Dependency::OnFailureOf, w),
        P::Triggers => units(c, Dependency::Triggers, w),
        P::TriggeredBy => units(c, Dependency::TriggeredBy, w),
        P::PropagatesReloadTo => units(c, Dependency::PropagatesReloadTo, w),
        P::ReloadPropagatedFrom => units(c, Dependency::ReloadPropagatedFrom, w),
        P::PropagatesStopTo => units(c, Dependency::PropagatesStopTo, w),
        P::StopPropagatedFrom => units(c, Dependency::StopPropagatedFrom, w),
        P::JoinsNamespaceOf => units(c, Dependency::JoinsNamespaceOf, w),
        P::SliceOf => units(c, Dependency::SliceOf, w),
        P::Slice => super::cgroup::slice(c, w),
        P::ControlGroup => {
            w.str(&super::cgroup::control_group(c));
        }
        of_type => super::types::write(c, of_type, w),
    }
}

/// The unit at the head of those that stand for one device or swap (`Following`): for a device the one named after its path
/// below `/sys`. Empty for all others.
pub fn following(engine: &Engine, unit: &Unit) -> String {
    if let UnitKind::Swap(_) = &unit.kind {
        let head = swap::head(engine, unit.id).and_then(|head| engine.get(head));
        return head.map(|head| head.name.as_str().to_owned()).unwrap_or_default();
    }
    let UnitKind::Device(device) = &unit.kind else { return String::new() };
    let Some(path) = &device.sysfs else { return String::new() };
    match UnitName::from_path(path, UnitType::Device) {
        Ok(head) if head != unit.name && engine.find(&head).is_some() => head.as_str().to_owned(),
        _ => String::new(),
    }
}

fn units(context: &Context<'_>, kind: Dependency, writer: &mut Writer) {
    let names = context.unit.dependencies(kind).filter_map(|id| context.engine.get(id));
    writer.strings(names.map(|unit| unit.name.as_str()));
}

fn mounts_for(context: &Context<'_>, required: bool, writer: &mut Writer) {
    let paths = context.unit.mounts_for.iter().filter(|(_, (is_required, _))| *is_required == required);
    writer.strings(paths.map(|(path, _)| path));
}

fn job(context: &Context<'_>, writer: &mut Writer) {
    let (number, path) = match context.unit.job {
        Some(job) => (job.0, job_path(job)),
        None => (0, "/".to_owned()),
    };
    writer.structure(|w| {
        w.u32(number).object_path(&path);
    });
}

fn load_error(context: &Context<'_>, writer: &mut Writer) {
    let error = context.unit.load_error.as_ref();
    writer.structure(|w| {
        w.str(error.map_or("", |failure| error_name(failure.kind)));
        w.str(error.map_or("", |failure| &failure.message));
    });
}

fn refs(context: &Context<'_>, writer: &mut Writer) {
    let held = context.unit.refs.iter().filter_map(|(connection, count)| {
        Some((context.facts.connection_name(*connection)?, usize::try_from(*count).ok()?))
    });
    let names: Vec<String> = held.flat_map(|(name, count)| std::iter::repeat_n(name, count)).collect();
    writer.strings(names);
}
