//! `org.freedesktop.systemd1.Unit`.
use super::context::{id128, monotonic, realtime};
use super::prelude::*;
use crate::systemd1::abilities;
use crate::systemd1::errors::error_name;
use crate::systemd1::signals::job_path;
use runstead_core::engine::event::ConditionVerdict;
use runstead_core::engine::{CheckResult, Engine, Unit};
use runstead_core::graph::Dependency;
use runstead_core::names::{UnitName, UnitType};
use runstead_core::units::UnitKind;
use std::rc::Rc;

/// Its properties.
pub const ROWS: &[UnitProperty] = &[
    p(
        "Id",
        "s",
        Const,
        state(|c, w| {
            w.str(c.unit.name.as_str());
        }),
    ),
    p(
        "Names",
        "as",
        Const,
        state(|c, w| {
            w.strings(c.unit.aliases.iter().map(|name| name.as_str()));
        }),
    ),
    p(
        "Following",
        "s",
        No,
        state(|c, w| {
            w.str(&following(c.engine, c.unit));
        }),
    ),
    p("Requires", "as", Const, state(|c, w| units(c, Dependency::Requires, w))),
    p("Requisite", "as", Const, state(|c, w| units(c, Dependency::Requisite, w))),
    p("Wants", "as", Const, state(|c, w| units(c, Dependency::Wants, w))),
    p("BindsTo", "as", Const, state(|c, w| units(c, Dependency::BindsTo, w))),
    p("PartOf", "as", Const, state(|c, w| units(c, Dependency::PartOf, w))),
    p("Upholds", "as", Const, state(|c, w| units(c, Dependency::Upholds, w))),
    p("RequiredBy", "as", Const, state(|c, w| units(c, Dependency::RequiredBy, w))),
    p("RequisiteOf", "as", Const, state(|c, w| units(c, Dependency::RequisiteOf, w))),
    p("WantedBy", "as", Const, state(|c, w| units(c, Dependency::WantedBy, w))),
    p("BoundBy", "as", Const, state(|c, w| units(c, Dependency::BoundBy, w))),
    p("UpheldBy", "as", Const, state(|c, w| units(c, Dependency::UpheldBy, w))),
    p("ConsistsOf", "as", Const, state(|c, w| units(c, Dependency::ConsistsOf, w))),
    p("Conflicts", "as", Const, state(|c, w| units(c, Dependency::Conflicts, w))),
    p("ConflictedBy", "as", Const, state(|c, w| units(c, Dependency::ConflictedBy, w))),
    p("Before", "as", Const, state(|c, w| units(c, Dependency::Before, w))),
    p("After", "as", Const, state(|c, w| units(c, Dependency::After, w))),
    p("OnSuccess", "as", Const, state(|c, w| units(c, Dependency::OnSuccess, w))),
    p("OnSuccessOf", "as", Const, state(|c, w| units(c, Dependency::OnSuccessOf, w))),
    p("OnFailure", "as", Const, state(|c, w| units(c, Dependency::OnFailure, w))),
    p("OnFailureOf", "as", Const, state(|c, w| units(c, Dependency::OnFailureOf, w))),
    p("Triggers", "as", Const, state(|c, w| units(c, Dependency::Triggers, w))),
    p("TriggeredBy", "as", Const, state(|c, w| units(c, Dependency::TriggeredBy, w))),
    p("PropagatesReloadTo", "as", Const, state(|c, w| units(c, Dependency::PropagatesReloadTo, w))),
    p("ReloadPropagatedFrom", "as", Const, state(|c, w| units(c, Dependency::ReloadPropagatedFrom, w))),
    p("PropagatesStopTo", "as", Const, state(|c, w| units(c, Dependency::PropagatesStopTo, w))),
    p("StopPropagatedFrom", "as", Const, state(|c, w| units(c, Dependency::StopPropagatedFrom, w))),
    p("JoinsNamespaceOf", "as", Const, state(|c, w| units(c, Dependency::JoinsNamespaceOf, w))),
    p("SliceOf", "as", Const, state(|c, w| units(c, Dependency::SliceOf, w))),
    p("RequiresMountsFor", "as", Const, state(|c, w| mounts_for(c, true, w))),
    p("WantsMountsFor", "as", Const, state(|c, w| mounts_for(c, false, w))),
    p("Documentation", "as", Const, set(ids::DOCUMENTATION)),
    p(
        "Description",
        "s",
        Const,
        state(|c, w| {
            w.str(&description(c.unit));
        }),
    ),
    p(
        "AccessSELinuxContext",
        "s",
        Const,
        state(|_, w| {
            w.str("");
        }),
    ),
    p(
        "LoadState",
        "s",
        Const,
        state(|c, w| {
            w.str(c.unit.load.as_str());
        }),
    ),
    p(
        "ActiveState",
        "s",
        Changes,
        state(|c, w| {
            w.str(c.unit.active_state().as_str());
        }),
    ),
    p(
        "FreezerState",
        "s",
        Changes,
        state(|c, w| {
            w.str(if c.unit.frozen { "frozen" } else { "running" });
        }),
    ),
    p(
        "SubState",
        "s",
        Changes,
        state(|c, w| {
            w.str(c.unit.sub_state());
        }),
    ),
    p(
        "FragmentPath",
        "s",
        Const,
        state(|c, w| {
            w.str(c.unit.fragment.as_ref().map_or("", |file| &file.path));
        }),
    ),
    p("SourcePath", "s", Const, set(ids::SOURCE_PATH)),
    p(
        "DropInPaths",
        "as",
        Const,
        state(|c, w| {
            w.strings(c.unit.dropins.iter().map(|file| &file.path));
        }),
    ),
    p(
        "UnitFileState",
        "s",
        No,
        state(|c, w| {
            w.str(&c.facts.unit_file_state(&c.unit.name));
        }),
    ),
    p(
        "UnitFilePreset",
        "s",
        No,
        state(|c, w| {
            w.str(&c.facts.unit_file_preset(&c.unit.name));
        }),
    ),
    p("StateChangeTimestamp", "t", Changes, state(|c, w| realtime(w, c.unit.stamps.state_change))),
    p("StateChangeTimestampMonotonic", "t", Changes, state(|c, w| monotonic(w, c.unit.stamps.state_change))),
    p("InactiveExitTimestamp", "t", Changes, state(|c, w| realtime(w, c.unit.stamps.inactive_exit))),
    p(
        "InactiveExitTimestampMonotonic",
        "t",
        Changes,
        state(|c, w| monotonic(w, c.unit.stamps.inactive_exit)),
    ),
    p("ActiveEnterTimestamp", "t", Changes, state(|c, w| realtime(w, c.unit.stamps.active_enter))),
    p("ActiveEnterTimestampMonotonic", "t", Changes, state(|c, w| monotonic(w, c.unit.stamps.active_enter))),
    p("ActiveExitTimestamp", "t", Changes, state(|c, w| realtime(w, c.unit.stamps.active_exit))),
    p("ActiveExitTimestampMonotonic", "t", Changes, state(|c, w| monotonic(w, c.unit.stamps.active_exit))),
    p("InactiveEnterTimestamp", "t", Changes, state(|c, w| realtime(w, c.unit.stamps.inactive_enter))),
    p(
        "InactiveEnterTimestampMonotonic",
        "t",
        Changes,
        state(|c, w| monotonic(w, c.unit.stamps.inactive_enter)),
    ),
    p(
        "CanStart",
        "b",
        Const,
        state(|c, w| {
            w.bool(abilities::can_start(c.unit));
        }),
    ),
    p(
        "CanStop",
        "b",
        Const,
        state(|c, w| {
            w.bool(abilities::can_stop(c.unit));
        }),
    ),
    p(
        "CanReload",
        "b",
        Const,
        state(|c, w| {
            w.bool(abilities::can_reload(c.engine, c.unit));
        }),
    ),
    p(
        "CanIsolate",
        "b",
        Const,
        state(|c, w| {
            w.bool(abilities::can_isolate(c.unit));
        }),
    ),
    p(
        "CanClean",
        "as",
        Const,
        state(|c, w| {
            w.strings(abilities::can_clean(c.unit));
        }),
    ),
    p(
        "CanFreeze",
        "b",
        Const,
        state(|c, w| {
            w.bool(abilities::can_freeze(c));
        }),
    ),
    p(
        "CanLiveMount",
        "b",
        Const,
        state(|_, w| {
            w.bool(false);
        }),
    ),
    p("Job", "(uo)", Changes, state(job)),
    p("StopWhenUnneeded", "b", Const, set(ids::STOP_WHEN_UNNEEDED)),
    p("RefuseManualStart", "b", Const, set(ids::REFUSE_MANUAL_START)),
    p("RefuseManualStop", "b", Const, set(ids::REFUSE_MANUAL_STOP)),
    p("AllowIsolate", "b", Const, set(ids::ALLOW_ISOLATE)),
    p("DefaultDependencies", "b", Const, set(ids::DEFAULT_DEPENDENCIES)),
    p("SurviveFinalKillSignal", "b", Const, set(ids::SURVIVE_FINAL_KILL_SIGNAL)),
    p("OnSuccessJobMode", "s", Const, set(ids::ON_SUCCESS_JOB_MODE)),
    p("OnFailureJobMode", "s", Const, set(ids::ON_FAILURE_JOB_MODE)),
    p("IgnoreOnIsolate", "b", Const, set(ids::IGNORE_ON_ISOLATE)),
    p(
        "NeedDaemonReload",
        "b",
        No,
        state(|c, w| {
            w.bool(c.facts.need_daemon_reload(c.unit));
        }),
    ),
    p(
        "Markers",
        "as",
        No,
        state(|_, w| {
            w.strings::<&str>([]);
        }),
    ),
    p("JobTimeoutUSec", "t", Const, set(ids::JOB_TIMEOUT_SEC)),
    p("JobRunningTimeoutUSec", "t", Const, set(ids::JOB_RUNNING_TIMEOUT_SEC)),
    p("JobTimeoutAction", "s", Const, set(ids::JOB_TIMEOUT_ACTION)),
    p("JobTimeoutRebootArgument", "s", Const, set(ids::JOB_TIMEOUT_REBOOT_ARGUMENT)),
    p(
        "ConditionResult",
        "b",
        Changes,
        state(|c, w| {
            w.bool(c.unit.condition.result);
        }),
    ),
    p(
        "AssertResult",
        "b",
        Changes,
        state(|c, w| {
            w.bool(c.unit.assert.result);
        }),
    ),
    p("ConditionTimestamp", "t", Changes, state(|c, w| realtime(w, c.unit.condition.at))),
    p("ConditionTimestampMonotonic", "t", Changes, state(|c, w| monotonic(w, c.unit.condition.at))),
    p("AssertTimestamp", "t", Changes, state(|c, w| realtime(w, c.unit.assert.at))),
    p("AssertTimestampMonotonic", "t", Changes, state(|c, w| monotonic(w, c.unit.assert.at))),
    p(
        "Conditions",
        "a(sbbsi)",
        Invalidates,
        state(|c, w| checks(c.unit.settings.conditions(), &c.unit.condition, w)),
    ),
    p("Asserts", "a(sbbsi)", Invalidates, state(|c, w| checks(c.unit.settings.asserts(), &c.unit.assert, w))),
    p("LoadError", "(ss)", Const, state(load_error)),
    p(
        "Transient",
        "b",
        Const,
        state(|c, w| {
            w.bool(c.unit.transient);
        }),
    ),
    p(
        "Perpetual",
        "b",
        Const,
        state(|c, w| {
            w.bool(c.unit.perpetual);
        }),
    ),
    p("StartLimitIntervalUSec", "t", Const, set(ids::START_LIMIT_INTERVAL_SEC)),
    p("StartLimitBurst", "u", Const, set(ids::START_LIMIT_BURST)),
    p("StartLimitAction", "s", Const, set(ids::START_LIMIT_ACTION)),
    p("FailureAction", "s", Const, set(ids::FAILURE_ACTION)),
    p("FailureActionExitStatus", "i", Const, set(ids::FAILURE_ACTION_EXIT_STATUS)),
    p("SuccessAction", "s", Const, set(ids::SUCCESS_ACTION)),
    p("SuccessActionExitStatus", "i", Const, set(ids::SUCCESS_ACTION_EXIT_STATUS)),
    p("RebootArgument", "s", Const, set(ids::REBOOT_ARGUMENT)),
    p(
        "InvocationID",
        "ay",
        Changes,
        state(|c, w| {
            w.bytes(&id128(c.unit.invocation.as_deref()));
        }),
    ),
    p("CollectMode", "s", Const, set(ids::COLLECT_MODE)),
    p("Refs", "as", No, state(refs)),
    p(
        "ActivationDetails",
        "a(ss)",
        Changes,
        state(|_, w| {
            w.array("(ss)", |_| {});
        }),
    ),
    p(
        "DebugInvocation",
        "b",
        No,
        state(|_, w| {
            w.bool(false);
        }),
    ),
];

/// The unit at the head of those that stand for one device (`Following`): the one named after its path below `/sys`. Empty
/// for all others.
pub fn following(engine: &Engine, unit: &Unit) -> String {
    let UnitKind::Device(device) = &unit.kind else { return String::new() };
    let Some(path) = &device.sysfs else { return String::new() };
    match UnitName::from_path(path, UnitType::Device) {
        Ok(head) if head != unit.name && engine.find(&head).is_some() => head.as_str().to_owned(),
        _ => String::new(),
    }
}

/// `Description`: the file's, the type's, or the name.
pub fn description(unit: &Unit) -> String {
    let set = unit.settings.text(ids::DESCRIPTION).or(unit.default_description.as_deref());
    set.unwrap_or(unit.name.as_str()).to_owned()
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

/// `a(sbbsi)`: directive, `|`, `!`, parameter, and 1 (holds), 0 (not looked at) or -1.
fn checks(lines: &[(Rc<str>, Rc<str>)], result: &CheckResult, writer: &mut Writer) {
    writer.array("(sbbsi)", |w| {
        for (index, (name, value)) in lines.iter().enumerate() {
            let (trigger, rest) = value.strip_prefix('|').map_or((false, &**value), |rest| (true, rest));
            let (negate, parameter) = rest.strip_prefix('!').map_or((false, rest), |rest| (true, rest));
            let state = match result.verdicts.get(index) {
                None => 0,
                Some(ConditionVerdict::Holds) => 1,
                Some(_) => -1,
            };
            w.open_struct()
                .str(name)
                .bool(trigger)
                .bool(negate)
                .str(parameter.trim_start())
                .i32(state)
                .close();
        }
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
