//! Facts: what the kernel says about a unit's control group, and the disk about its files.
use super::Context;
use crate::systemd1::facts::Used;
use runstead_core::directives::ids;
use runstead_core::directives::properties::{FactProperty as F, find, property_value};
use runstead_core::engine::Unit;
use runstead_core::names::slice::ROOT_SLICE;
use runstead_core::values::cpuset;
use runstead_wire::dbus::Writer;

/// Writes a fact.
pub fn write(c: &Context<'_>, which: F, w: &mut Writer) {
    match which {
        F::ControlGroupId => {
            w.u64(path(c.unit).and_then(|at| c.facts.cgroup_id(&at)).unwrap_or(0));
        }
        F::MemoryCurrent => number(c, "memory.current", w),
        F::MemoryPeak => peak(c, "memory.peak", used(c).memory_peak, w),
        F::MemorySwapCurrent => number(c, "memory.swap.current", w),
        F::MemorySwapPeak => peak(c, "memory.swap.peak", used(c).swap_peak, w),
        F::MemoryZSwapCurrent => number(c, "memory.zswap.current", w),
        F::TasksCurrent => number(c, "pids.current", w),
        F::MemoryAvailable => {
            w.u64(memory_available(c));
        }
        F::EffectiveMemoryMax => {
            w.u64(effective(c, "MemoryMax", c.host.memory));
        }
        F::EffectiveMemoryHigh => {
            w.u64(effective(c, "MemoryHigh", c.host.memory));
        }
        F::EffectiveTasksMax => {
            w.u64(effective(c, "TasksMax", c.host.tasks));
        }
        F::CPUUsageNSec => cpu_usage(c, w),
        F::EffectiveCPUs => set_of(c, "cpuset.cpus.effective", w),
        F::EffectiveMemoryNodes => set_of(c, "cpuset.mems.effective", w),
        F::IPIngressBytes => {
            w.u64(u64::MAX);
        }
        F::IPIngressPackets => {
            w.u64(u64::MAX);
        }
        F::IPEgressBytes => {
            w.u64(u64::MAX);
        }
        F::IPEgressPackets => {
            w.u64(u64::MAX);
        }
        F::IOReadBytes => io(c, "rbytes", w),
        F::IOReadOperations => io(c, "rios", w),
        F::IOWriteBytes => io(c, "wbytes", w),
        F::IOWriteOperations => io(c, "wios", w),
        F::AccessSELinuxContext => {
            w.str("");
        }
        F::UnitFileState => {
            w.str(&c.facts.unit_file_state(&c.unit.name));
        }
        F::UnitFilePreset => {
            w.str(&c.facts.unit_file_preset(&c.unit.name));
        }
        F::NeedDaemonReload => {
            w.bool(c.facts.need_daemon_reload(c.unit));
        }
    }
}

/// The bit mask of a set such as `0-3,7`, bit 0 of byte 0 first.
fn mask(text: &str) -> Vec<u8> {
    let mut mask = Vec::new();
    for number in cpuset::parse(text).unwrap_or_default() {
        let at = usize::try_from(number / 8).unwrap_or(0);
        if mask.len() <= at {
            mask.resize(at + 1, 0);
        }
        mask[at] |= 1u8 << (number % 8);
    }
    mask
}

/// The relative path of the unit's cgroup.
pub fn path(unit: &Unit) -> Option<String> {
    match &unit.cgroup {
        Some(path) => Some(path.to_string()),
        None if unit.name.as_str() == ROOT_SLICE => Some("/".to_owned()),
        None => None,
    }
}

/// The absolute path of the unit's cgroup, empty when it has none.
pub fn control_group(context: &Context<'_>) -> String {
    let Some(path) = path(context.unit).filter(|_| context.facts.has_cgroups()) else { return String::new() };
    let root = context.facts.cgroup_root();
    let root = root.trim_end_matches('/');
    if path == "/" && !root.is_empty() { root.to_owned() } else { format!("{root}{path}") }
}

/// `Slice`.
pub fn slice(context: &Context<'_>, writer: &mut Writer) {
    let slice = context.unit.slice.and_then(|id| context.engine.get(id));
    writer.str(slice.map_or("", |slice| slice.name.as_str()));
}

fn attribute(context: &Context<'_>, file: &str) -> Option<String> {
    context.facts.cgroup_attribute(&path(context.unit)?, file)
}

fn read(context: &Context<'_>, file: &str) -> Option<u64> {
    attribute(context, file)?.trim().parse().ok()
}

fn number(context: &Context<'_>, file: &str, writer: &mut Writer) {
    writer.u64(read(context, file).unwrap_or(u64::MAX));
}

/// What a unit that has no cgroup any more had used.
fn used(context: &Context<'_>) -> Used {
    match context.unit.cgroup {
        Some(_) => Used::default(),
        None => context.facts.used(&context.unit.name),
    }
}

/// The most that was used, also once the cgroup is gone.
fn peak(context: &Context<'_>, file: &str, last: Option<u64>, writer: &mut Writer) {
    writer.u64(read(context, file).or(last).unwrap_or(u64::MAX));
}

fn set_of(context: &Context<'_>, file: &str, writer: &mut Writer) {
    writer.bytes(&mask(attribute(context, file).unwrap_or_default().trim()));
}

fn cpu_usage(context: &Context<'_>, writer: &mut Writer) {
    let now = attribute(context, "cpu.stat").as_deref().and_then(Used::cpu_of);
    writer.u64(now.or_else(|| used(context).cpu_nsec).unwrap_or(u64::MAX));
}

/// The sum of a key over all devices in `io.stat`.
fn io(context: &Context<'_>, key: &str, writer: &mut Writer) {
    let text = match context.unit.settings.bool(ids::IO_ACCOUNTING) {
        true => attribute(context, "io.stat"),
        false => None,
    };
    let sum = text.map(|text| {
        let values = text.split_whitespace().filter_map(|word| word.split_once('='));
        values.filter(|(name, _)| *name == key).filter_map(|(_, value)| value.parse::<u64>().ok()).sum()
    });
    writer.u64(sum.unwrap_or(u64::MAX));
}

/// The unit and the slices around it.
fn with_slices<'a>(context: &Context<'a>) -> impl Iterator<Item = &'a Unit> {
    let engine = context.engine;
    std::iter::successors(Some(context.unit), move |unit| engine.get(unit.slice?)).take(64)
}

/// A limit of memory or tasks that is set, in absolute numbers.
fn resolved(context: &Context<'_>, name: &str) -> u64 {
    let row = find(context.unit.unit_type(), name);
    let value =
        row.and_then(|row| property_value(row, &context.unit.name, &context.unit.settings, context.host));
    value.and_then(|value| value.as_u64()).unwrap_or(u64::MAX)
}

/// The smallest of the limits of the unit, its slices and the machine; a unit outside all slices knows only its own.
fn effective(context: &Context<'_>, name: &str, machine: u64) -> u64 {
    let is_placed = context.unit.slice.is_some() || path(context.unit).is_some();
    let machine = if is_placed { machine } else { u64::MAX };
    let limits = with_slices(context).map(|unit| resolved(&Context { unit, ..*context }, name));
    limits.fold(machine, u64::min)
}

/// What the unit may still use: the smallest room below the limits of it and its slices.
fn memory_available(context: &Context<'_>) -> u64 {
    if context.unit.slice.is_none() && path(context.unit).is_none() {
        return u64::MAX;
    }
    with_slices(context).fold(context.host.memory, |room, unit| {
        let at = Context { unit, ..*context };
        let limit = resolved(&at, "MemoryMax").min(resolved(&at, "MemoryHigh"));
        match limit {
            u64::MAX => room,
            limit => room.min(limit.saturating_sub(read(&at, "memory.current").unwrap_or(0))),
        }
    })
}
