//! `Dump`: the state of everything for people (`systemd-analyze dump`). The format is ours; its sections and most labels are
//! those that people look for.
use super::super::signals::job_path;
use runstead_core::directives::row;
use runstead_core::engine::clock::Stamp;
use runstead_core::engine::{Engine, Unit};
use runstead_core::graph::{Edge, Origins};
use runstead_core::jobs::{Job, kinds};
use runstead_core::names::pattern::{UNIT_RULES, matches};
use std::fmt::Write as _;

/// The text, of all units or of those whose names match.
pub fn dump(engine: &Engine, patterns: &[String]) -> String {
    let mut text = String::new();
    if patterns.is_empty() {
        let _ = writeln!(text, "Manager: runstead (systemd 257)");
        let _ = writeln!(text, "Units: {}", engine.units().count());
        let _ = writeln!(text, "Jobs: {}", engine.jobs().count());
    }
    for unit in engine.units() {
        if patterns.is_empty() || patterns.iter().any(|glob| matches(glob, unit.name.as_str(), UNIT_RULES)) {
            dump_unit(&mut text, engine, unit);
        }
    }
    if patterns.is_empty() {
        engine.jobs().for_each(|job| dump_job(&mut text, engine, job, ""));
    }
    text
}

fn line(text: &mut String, label: &str, value: &str) {
    let _ = writeln!(text, "\t{label}: {value}");
}

fn word(on: bool) -> &'static str {
    if on { "yes" } else { "no" }
}

fn dump_unit(text: &mut String, engine: &Engine, unit: &Unit) {
    let _ = writeln!(text, "→ Unit {}:", unit.name);
    for alias in unit.aliases.iter().filter(|alias| **alias != unit.name) {
        line(text, "Alias", alias.as_str());
    }
    line(text, "Description", unit.description());
    line(text, "Instance", unit.name.instance().unwrap_or("n/a"));
    line(text, "Unit Load State", unit.load.as_str());
    line(text, "Unit Active State", unit.active_state().as_str());
    let stamps = [
        ("State Change Timestamp", unit.stamps.state_change),
        ("Inactive Exit Timestamp", unit.stamps.inactive_exit),
        ("Active Enter Timestamp", unit.stamps.active_enter),
        ("Active Exit Timestamp", unit.stamps.active_exit),
        ("Inactive Enter Timestamp", unit.stamps.inactive_enter),
    ];
    for (label, stamp) in stamps {
        line(text, label, &moment(stamp));
    }
    line(text, "Transient", word(unit.transient));
    line(text, "Perpetual", word(unit.perpetual));
    if let Some(slice) = unit.slice.and_then(|id| engine.get(id)) {
        line(text, "Slice", slice.name.as_str());
        line(text, "CGroup", unit.cgroup.as_deref().unwrap_or("n/a"));
    }
    if let Some(invocation) = &unit.invocation {
        line(text, "Invocation ID", invocation);
    }
    if let Some(fragment) = &unit.fragment {
        line(text, "Fragment Path", &fragment.path);
    }
    for dropin in &unit.dropins {
        line(text, "DropIn Path", &dropin.path);
    }
    if let Some(error) = &unit.load_error {
        line(text, "Load Error", &error.message);
    }
    for (name, value) in unit.settings.conditions().iter().chain(unit.settings.asserts()) {
        line(text, name, value);
    }
    dump_relations(text, engine, unit);
    let (main, control) = unit.kind.processes();
    let label = format!("{} State", unit.unit_type().section());
    line(text, &label, unit.sub_state());
    line(text, "Result", unit.kind.result());
    for (label, pid) in [("Main PID", main), ("Control PID", control)] {
        if let Some(pid) = pid {
            line(text, label, &pid.to_string());
        }
    }
    for (id, value) in unit.settings.iter() {
        line(text, row(*id).name, &format!("{value:?}"));
    }
    for (setting, reason) in &unit.ledger {
        line(text, "Not Enforced", &format!("{setting}: {reason}"));
    }
    if let Some(job) = unit.job.and_then(|id| engine.job(id)) {
        dump_job(text, engine, job, "\t");
    }
}

fn dump_relations(text: &mut String, engine: &Engine, unit: &Unit) {
    for ((kind, other), edge) in &unit.deps {
        if let Some(other) = engine.get(*other) {
            line(text, kind.name(), &format!("{} ({})", other.name, origins(*edge)));
        }
    }
    for (path, (required, from)) in &unit.mounts_for {
        let label = if *required { "RequiresMountsFor" } else { "WantsMountsFor" };
        line(text, label, &format!("{path} ({})", words("origin", *from)));
    }
}

fn origins(edge: Edge) -> String {
    let (mine, theirs) = (words("origin", edge.mine), words("destination", edge.theirs));
    format!("{mine} {theirs}").trim().to_owned()
}

fn words(end: &str, origins: Origins) -> String {
    let known = [
        (Origins::FILE, "file"),
        (Origins::IMPLICIT, "implicit"),
        (Origins::DEFAULT, "default"),
        (Origins::DEFAULT_TARGET, "default-target"),
        (Origins::PATH, "path"),
        (Origins::KERNEL_TABLE, "kernel-table"),
        (Origins::UDEV, "udev"),
        (Origins::RUNTIME, "runtime"),
        (Origins::SLICE, "slice-property"),
    ];
    let set = known.into_iter().filter(|(origin, _)| origins.0 & origin.0 != 0);
    set.map(|(_, word)| format!("{end}-{word}")).collect::<Vec<_>>().join(" ")
}

fn dump_job(text: &mut String, engine: &Engine, job: &Job, prefix: &str) {
    let name = engine.get(job.unit).map_or("", |unit| unit.name.as_str());
    let _ = writeln!(text, "{prefix}→ Job {}:", job.id.0);
    let _ = writeln!(text, "{prefix}\tAction: {name} -> {}", kinds::as_str(job.kind));
    let _ = writeln!(text, "{prefix}\tState: {}", job.state.as_str());
    let _ = writeln!(text, "{prefix}\tIrreversible: {}", word(job.irreversible));
    let _ = writeln!(text, "{prefix}\tObject Path: {}", job_path(job.id));
}

/// Seconds since the epoch, to the microsecond.
fn moment(stamp: Stamp) -> String {
    if !stamp.is_set() {
        return "n/a".to_owned();
    }
    format!("@{}.{:06}", stamp.realtime / 1_000_000, stamp.realtime % 1_000_000)
}
