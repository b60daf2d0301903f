//! What the kernel says about a unit's control group.
use super::cgroup::resolved;
use super::prelude::*;
use super::setting;
use runstead_core::engine::Unit;
use runstead_core::names::slice::ROOT_SLICE;

/// The properties of all types with a control group.
pub const ROWS: &[UnitProperty] = &[
    p("Slice", "s", No, state(slice)),
    p(
        "ControlGroup",
        "s",
        No,
        state(|c, w| {
            w.str(&control_group(c));
        }),
    ),
    p(
        "ControlGroupId",
        "t",
        No,
        state(|c, w| {
            w.u64(path(c).and_then(|at| c.facts.cgroup_id(&at)).unwrap_or(0));
        }),
    ),
    p("MemoryCurrent", "t", No, state(|c, w| number(c, "memory.current", w))),
    p("MemoryPeak", "t", No, state(|c, w| number(c, "memory.peak", w))),
    p("MemorySwapCurrent", "t", No, state(|c, w| number(c, "memory.swap.current", w))),
    p("MemorySwapPeak", "t", No, state(|c, w| number(c, "memory.swap.peak", w))),
    p("MemoryZSwapCurrent", "t", No, state(|c, w| number(c, "memory.zswap.current", w))),
    p(
        "MemoryAvailable",
        "t",
        No,
        state(|c, w| {
            w.u64(memory_available(c));
        }),
    ),
    p(
        "EffectiveMemoryMax",
        "t",
        No,
        state(|c, w| {
            w.u64(effective(c, ids::MEMORY_MAX, c.facts.physical_memory()));
        }),
    ),
    p(
        "EffectiveMemoryHigh",
        "t",
        No,
        state(|c, w| {
            w.u64(effective(c, ids::MEMORY_HIGH, c.facts.physical_memory()));
        }),
    ),
    p("CPUUsageNSec", "t", No, state(cpu_usage)),
    p("EffectiveCPUs", "ay", No, state(|c, w| set_of(c, "cpuset.cpus.effective", w))),
    p("EffectiveMemoryNodes", "ay", No, state(|c, w| set_of(c, "cpuset.mems.effective", w))),
    p("TasksCurrent", "t", No, state(|c, w| number(c, "pids.current", w))),
    p(
        "EffectiveTasksMax",
        "t",
        No,
        state(|c, w| {
            w.u64(effective(c, ids::TASKS_MAX, c.facts.tasks_limit()));
        }),
    ),
    p(
        "IPIngressBytes",
        "t",
        No,
        state(|_, w| {
            w.u64(u64::MAX);
        }),
    ),
    p(
        "IPIngressPackets",
        "t",
        No,
        state(|_, w| {
            w.u64(u64::MAX);
        }),
    ),
    p(
        "IPEgressBytes",
        "t",
        No,
        state(|_, w| {
            w.u64(u64::MAX);
        }),
    ),
    p(
        "IPEgressPackets",
        "t",
        No,
        state(|_, w| {
            w.u64(u64::MAX);
        }),
    ),
    p("IOReadBytes", "t", No, state(|c, w| io(c, "rbytes", w))),
    p("IOReadOperations", "t", No, state(|c, w| io(c, "rios", w))),
    p("IOWriteBytes", "t", No, state(|c, w| io(c, "wbytes", w))),
    p("IOWriteOperations", "t", No, state(|c, w| io(c, "wios", w))),
];

/// The relative path of the unit's cgroup.
pub fn path(context: &Context<'_>) -> Option<String> {
    match &context.unit.cgroup {
        Some(path) => Some(path.to_string()),
        None if context.unit.name.as_str() == ROOT_SLICE => Some("/".to_owned()),
        None => None,
    }
}

/// The absolute path of the unit's cgroup, empty when it has none.
pub fn control_group(context: &Context<'_>) -> String {
    let Some(path) = path(context) else { return String::new() };
    let root = context.facts.cgroup_root();
    let root = root.trim_end_matches('/');
    if path == "/" && !root.is_empty() { root.to_owned() } else { format!("{root}{path}") }
}

fn slice(context: &Context<'_>, writer: &mut Writer) {
    let slice = context.unit.slice.and_then(|id| context.engine.get(id));
    writer.str(slice.map_or("", |slice| slice.name.as_str()));
}

fn attribute(context: &Context<'_>, file: &str) -> Option<String> {
    context.facts.cgroup_attribute(&path(context)?, file)
}

fn read(context: &Context<'_>, file: &str) -> Option<u64> {
    attribute(context, file)?.trim().parse().ok()
}

fn number(context: &Context<'_>, file: &str, writer: &mut Writer) {
    writer.u64(read(context, file).unwrap_or(u64::MAX));
}

fn set_of(context: &Context<'_>, file: &str, writer: &mut Writer) {
    writer.bytes(&setting::mask(attribute(context, file).unwrap_or_default().trim()));
}

fn cpu_usage(context: &Context<'_>, writer: &mut Writer) {
    let text = attribute(context, "cpu.stat").unwrap_or_default();
    let usec = text.lines().find_map(|line| line.strip_prefix("usage_usec ")?.trim().parse::<u64>().ok());
    writer.u64(usec.map_or(u64::MAX, |usec| usec.saturating_mul(1000)));
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

/// The smallest of the limits of the unit, its slices and the machine.
fn effective(context: &Context<'_>, id: DirectiveId, machine: u64) -> u64 {
    let limits = with_slices(context).map(|unit| resolved(&Context { unit, ..*context }, id));
    limits.fold(machine, u64::min)
}

/// What the unit may still use: the smallest room below the limits of it and its slices.
fn memory_available(context: &Context<'_>) -> u64 {
    if context.unit.slice.is_none() && path(context).is_none() {
        return u64::MAX;
    }
    with_slices(context).fold(context.facts.physical_memory(), |room, unit| {
        let at = Context { unit, ..*context };
        let limit = resolved(&at, ids::MEMORY_MAX).min(resolved(&at, ids::MEMORY_HIGH));
        match limit {
            u64::MAX => room,
            limit => room.min(limit.saturating_sub(read(&at, "memory.current").unwrap_or(0))),
        }
    })
}
