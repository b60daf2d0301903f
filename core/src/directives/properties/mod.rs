//! The properties of each D-Bus interface of a unit, in the reference's order with its flags
//! (org.freedesktop.systemd1(5)), and where each comes from.

mod cgroup;
mod exec;
mod service;
mod show;
mod sources;
mod unit;
mod value;

pub use show::{HostValues, property_value};
pub use sources::{FactProperty, StateProperty};
pub use value::PropertyValue;

use crate::names::UnitType;
use crate::settings::DirectiveId;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// `org.freedesktop.DBus.Property.EmitsChangedSignal` of a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emits {
    /// It never changes while the unit is loaded.
    Const,
    /// Changes are signalled with the new value; the flag is not written into the introspection.
    Change,
    /// Changes are signalled without the new value.
    Invalidates,
    /// Changes are not signalled.
    No,
}

impl Emits {
    /// The value of the annotation; `None` where the reference writes none.
    pub const fn annotation(self) -> Option<&'static str> {
        match self {
            Emits::Const => Some("const"),
            Emits::Change => None,
            Emits::Invalidates => Some("invalidates"),
            Emits::No => Some("false"),
        }
    }
}

/// How a setting is shown; the signature says the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Form {
    /// By its type.
    Plain,
    /// A limit on memory: parts of the machine's memory are resolved.
    Memory,
    /// A limit on tasks: parts of what the system allows are resolved.
    Tasks,
    LimitSoft,
    LimitHard,
    /// `(bas)`: true when the items alone are allowed.
    Filter,
    /// As `Filter`, groups opened.
    SystemCalls,
    Ports,
    Paths,
    ExitSet,
    /// The first two columns.
    Pairs,
    /// As `Pairs`, the last first.
    PairsReversed,
    PairNumbers,
    FirstColumn,
    /// CPUs or memory nodes as a bit mask, little-endian.
    CpuSet,
    FromNuma,
    Label,
    /// Whether the word is another than "no".
    NotNo,
    Stream,
    StreamName,
    Data,
    Priority,
    EnvironmentFiles,
    Links,
    Binds,
    Credentials,
    OpenFiles,
    ByteLists,
    Patterns,
    Blob,
    BlobPath,
    Delegate,
    DelegateControllers,
    Addresses,
    SocketBinds,
    NftSets,
    ExtensionImages,
    MountImages,
    WorkingDirectory,
    ImagePolicy,
    LoginEnvironment,
    AbortTimeout,
    ApiMounts,
    LogSockets,
    /// A text, the unit's name when it is not set.
    UnitNameDefault,
}

/// Where a property comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From a setting.
    Directive(DirectiveId, Form),
    /// Command lines with how they went; `true`: the form with a list of flags.
    Commands(DirectiveId, bool),
    /// `OnCalendar=` (true) or the monotonic timers with their next elapses.
    Timers(bool),
    /// `Condition*=` or (true) `Assert*=` with their results.
    Checks(bool),
    /// From the engine.
    State(StateProperty),
    /// From the kernel or the disk.
    Fact(FactProperty),
}

/// One property.
#[derive(Debug, Clone, Copy)]
pub struct PropertyRow {
    /// Its name.
    pub name: &'static str,
    /// Its D-Bus signature.
    pub signature: &'static str,
    /// Whether changes are signalled.
    pub emits: Emits,
    /// Where it comes from.
    pub source: Source,
}

macro_rules! properties {
    ($(#[$doc:meta])* $group:ident; $($name:literal $signature:literal $emits:ident $form:ident ($($arg:tt)*);)*) => {
        $(#[$doc])*
        pub const $group: &[PropertyRow] = &[$(PropertyRow {
            name: $name,
            signature: $signature,
            emits: Emits::$emits,
            source: source!($form $($arg)*),
        }),*];
    };
}

macro_rules! source {
    (directive $id:ident, $form:ident) => {
        Source::Directive(ids::$id, Form::$form)
    };
    (Commands $id:ident, $extended:literal) => {
        Source::Commands(ids::$id, $extended)
    };
    (Timers $calendar:literal) => {
        Source::Timers($calendar)
    };
    (Checks $assert:literal) => {
        Source::Checks($assert)
    };
    (state $name:ident) => {
        Source::State(StateProperty::$name)
    };
    (fact $name:ident) => {
        Source::Fact(FactProperty::$name)
    };
}
use {properties, source};

mod prelude {
    pub(super) use super::{
        Emits, FactProperty, Form, PropertyRow, Source, StateProperty, properties, source,
    };
    pub(super) use crate::directives::ids;
}

/// The properties of `org.freedesktop.systemd1.Unit`.
pub const UNIT: &[PropertyRow] = unit::UNIT;

/// The properties of the interface of a unit type (`org.freedesktop.systemd1.Service` ...), in order, in groups.
pub const fn groups(kind: UnitType) -> &'static [&'static [PropertyRow]] {
    match kind {
        UnitType::Service => &[service::SERVICE, cgroup::CGROUP, exec::EXEC, exec::KILL],
        UnitType::Socket => &[service::SOCKET, cgroup::CGROUP, exec::EXEC, exec::KILL],
        UnitType::Mount => &[service::MOUNT, cgroup::CGROUP, exec::EXEC, exec::KILL],
        UnitType::Swap => &[service::SWAP, cgroup::CGROUP, exec::EXEC, exec::KILL],
        UnitType::Scope => &[service::SCOPE, cgroup::CGROUP, exec::KILL],
        UnitType::Slice => &[cgroup::CGROUP],
        UnitType::Automount => &[unit::AUTOMOUNT],
        UnitType::Timer => &[unit::TIMER],
        UnitType::Path => &[unit::PATH],
        UnitType::Device => &[unit::DEVICE],
        UnitType::Target => &[],
    }
}

/// The properties of the interface of a unit type, in order.
pub fn of(kind: UnitType) -> impl Iterator<Item = &'static PropertyRow> {
    groups(kind).iter().copied().flatten()
}

/// Those of a unit type's interface whose changes are signalled.
pub fn signalled(kind: UnitType) -> &'static [&'static PropertyRow] {
    static ROWS: OnceLock<BTreeMap<UnitType, Box<[&'static PropertyRow]>>> = OnceLock::new();
    let rows =
        ROWS.get_or_init(|| UnitType::ALL.into_iter().map(|kind| (kind, only_signalled(of(kind)))).collect());
    rows.get(&kind).map_or(&[], |rows| rows)
}

/// Those of `org.freedesktop.systemd1.Unit` whose changes are signalled.
pub fn signalled_of_all() -> &'static [&'static PropertyRow] {
    static ROWS: OnceLock<Box<[&'static PropertyRow]>> = OnceLock::new();
    ROWS.get_or_init(|| only_signalled(UNIT.iter()))
}

fn only_signalled(rows: impl Iterator<Item = &'static PropertyRow>) -> Box<[&'static PropertyRow]> {
    rows.filter(|row| matches!(row.emits, Emits::Change | Emits::Invalidates)).collect()
}

/// The property of this name, of the type's own interface or of `org.freedesktop.systemd1.Unit`.
pub fn find(kind: UnitType, name: &str) -> Option<&'static PropertyRow> {
    of(kind).chain(UNIT).find(|row| row.name == name)
}
