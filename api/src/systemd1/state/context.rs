//! What properties are read from.
use super::super::facts::Facts;
use runstead_core::directives::properties::HostValues;
use runstead_core::engine::clock::Stamp;
use runstead_core::engine::{Engine, Unit};
use runstead_wire::dbus::Writer;

/// A unit, the engine it is in, and the facts about it.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The kernel's and the shell's side.
    pub facts: &'a dyn Facts,
    /// What stands for settings that are not set.
    pub host: &'a HostValues,
    /// The unit.
    pub unit: &'a Unit,
}

/// Writes the wall clock of a stamp.
pub fn realtime(writer: &mut Writer, stamp: Stamp) {
    writer.u64(stamp.realtime);
}

/// Writes the monotonic clock of a stamp.
pub fn monotonic(writer: &mut Writer, stamp: Stamp) {
    writer.u64(stamp.monotonic);
}

/// The bytes of 32 hex digits; empty for anything else.
pub fn id128(text: Option<&str>) -> Vec<u8> {
    let text = text.unwrap_or("");
    if text.len() != 32 {
        return Vec::new();
    }
    let byte = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..16).map(|index| byte(index * 2)).collect::<Option<Vec<u8>>>().unwrap_or_default()
}

/// `Result` of any type.
pub fn result(context: &Context<'_>, writer: &mut Writer) {
    writer.str(context.unit.kind.result());
}

/// `ControlPID` of any type.
pub fn control_pid(context: &Context<'_>, writer: &mut Writer) {
    let pid = context.unit.kind.processes().1.unwrap_or(0);
    writer.u32(u32::try_from(pid).unwrap_or(0));
}

/// `UID`: what the unit's processes run as; all ones when that is not set or not known.
pub fn uid(context: &Context<'_>, writer: &mut Writer) {
    writer.u32(ids(context).map_or(u32::MAX, |pair| pair.0));
}

/// `GID`.
pub fn gid(context: &Context<'_>, writer: &mut Writer) {
    writer.u32(ids(context).map_or(u32::MAX, |pair| pair.1));
}

fn ids(context: &Context<'_>) -> Option<(u32, u32)> {
    match context.unit.dynamic_uid {
        Some(uid) => Some((uid, uid)),
        None => context.facts.user_ids(context.unit),
    }
}
