//! Every property of every interface, in the reference's order: signature, how a change is announced, where the value
//! comes from. From these tables come `Get`, `GetAll`, introspection and `PropertiesChanged`.
//!
//! | file | what it holds |
//! |---|---|
//! | `setting` | writing a setting as a given signature |
//! | `context` | what the functions in the tables read |
//! | `unit` | `org.freedesktop.systemd1.Unit` |
//! | `service`, `socket`, `mount`, `timer`, `scope` | what is special to types (`mount`: mounts, automounts, swaps; `timer`: timers and paths; `scope`: scopes, slices, devices) |
//! | `cgroup`, `cgroup_facts`, `exec`, `kill` | what types have in common |
//! | `commands` | `ExecStart` and its like |
//! | `manager` | `org.freedesktop.systemd1.Manager` |
pub mod cgroup;
pub mod cgroup_facts;
pub mod commands;
pub mod context;
pub mod exec;
pub mod kill;
pub mod manager;
pub mod mount;
pub mod scope;
pub mod service;
pub mod setting;
pub mod socket;
pub mod timer;
pub mod unit;

pub use context::{Context, ManagerContext};

use runstead_core::names::UnitType;
use runstead_core::settings::DirectiveId;
use runstead_wire::dbus::Writer;

/// How a change of a property is announced (`EmitsChangedSignal` of the D-Bus specification).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emits {
    /// With its new value.
    Changes,
    /// By name only.
    Invalidates,
    /// It does not change while the object is there.
    Const,
    /// Not at all.
    No,
}

impl Emits {
    /// The annotation, where there is one.
    pub fn annotation(self) -> Option<&'static str> {
        match self {
            Emits::Changes => None,
            Emits::Invalidates => Some("invalidates"),
            Emits::Const => Some("const"),
            Emits::No => Some("false"),
        }
    }
}

/// Where a value comes from. `F` writes values that are no settings.
#[derive(Debug, Clone, Copy)]
pub enum Source<F> {
    /// A setting.
    Setting(DirectiveId),
    /// The soft one of a resource limit.
    Soft(DirectiveId),
    /// The hard one.
    Hard(DirectiveId),
    /// Engine state or a fact.
    State(F),
}

/// A row.
#[derive(Debug, Clone, Copy)]
pub struct Property<F> {
    /// Its name.
    pub name: &'static str,
    /// The type of its value.
    pub signature: &'static str,
    /// How a change is announced.
    pub emits: Emits,
    /// Clients may set it.
    pub writable: bool,
    /// Where its value comes from.
    pub source: Source<F>,
}

/// Writes a value of a unit.
pub type UnitFn = fn(&Context<'_>, &mut Writer);
/// Writes a value of the manager.
pub type ManagerFn = fn(&ManagerContext<'_>, &mut Writer);
/// A row of a unit's interface.
pub type UnitProperty = Property<UnitFn>;
/// A row of the manager's interface.
pub type ManagerProperty = Property<ManagerFn>;

/// What the tables are written with.
mod prelude {
    pub(super) use super::Emits::{Changes, Const, Invalidates, No};
    pub(super) use super::{Context, Emits, Property, Source, UnitProperty};
    pub(super) use runstead_core::directives::ids;
    pub(super) use runstead_core::settings::DirectiveId;
    pub(super) use runstead_wire::dbus::Writer;

    pub(super) const fn p<F: Copy>(
        name: &'static str,
        signature: &'static str,
        emits: Emits,
        source: Source<F>,
    ) -> Property<F> {
        Property { name, signature, emits, writable: false, source }
    }
    pub(super) const fn set<F: Copy>(id: DirectiveId) -> Source<F> {
        Source::Setting(id)
    }
    pub(super) const fn soft<F: Copy>(id: DirectiveId) -> Source<F> {
        Source::Soft(id)
    }
    pub(super) const fn hard<F: Copy>(id: DirectiveId) -> Source<F> {
        Source::Hard(id)
    }
    pub(super) const fn state(write: super::UnitFn) -> Source<super::UnitFn> {
        Source::State(write)
    }
}

/// The parts that the interface of a type is made of: each a run of properties behind which its methods and signals stand in
/// introspection.
pub fn segments(kind: UnitType) -> &'static [&'static [UnitProperty]] {
    const CGROUP: &[UnitProperty] = cgroup::ROWS;
    match kind {
        UnitType::Service => &[service::ROWS, cgroup_facts::ROWS, CGROUP, exec::ROWS, kill::ROWS],
        UnitType::Socket => &[socket::ROWS, cgroup_facts::ROWS, CGROUP, exec::ROWS, kill::ROWS],
        UnitType::Mount => &[mount::MOUNT, cgroup_facts::ROWS, CGROUP, exec::ROWS, kill::ROWS],
        UnitType::Swap => &[mount::SWAP, cgroup_facts::ROWS, CGROUP, exec::ROWS, kill::ROWS],
        UnitType::Scope => &[scope::SCOPE, cgroup_facts::ROWS, CGROUP, kill::ROWS],
        UnitType::Slice => &[&[], cgroup_facts::ROWS, CGROUP],
        UnitType::Automount => &[mount::AUTOMOUNT],
        UnitType::Timer => &[timer::TIMER],
        UnitType::Path => &[timer::PATH],
        UnitType::Device => &[scope::DEVICE],
        UnitType::Target => &[&[]],
    }
}

/// All properties of the interface of a type.
pub fn of_type(kind: UnitType) -> impl Iterator<Item = &'static UnitProperty> {
    segments(kind).iter().flat_map(|rows| rows.iter())
}

/// Writes the value of a unit's property, without its variant.
pub fn write(context: &Context<'_>, property: &UnitProperty, writer: &mut Writer) {
    let settings = &context.unit.settings;
    match property.source {
        Source::Setting(id) => setting::write(settings, id, property.signature, writer),
        Source::Soft(id) => {
            writer.u64(context.limit(id).0);
        }
        Source::Hard(id) => {
            writer.u64(context.limit(id).1);
        }
        Source::State(write) => write(context, writer),
    }
}
