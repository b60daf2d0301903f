//! What a unit file (or a client) set, sparsely: only rows that differ from the default take room.
//!
//! A [`Settings`] is shared by reference count: the engine holds one, a spawn borrows it for the price of a pointer.
use crate::directives::section::{Sections, UNIT};
use crate::directives::{DefaultValue, ROWS, ids, row};
use crate::engine::effect::{Command, ListenPort, PathSpec};
use crate::names::{UnitName, UnitType};
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// Index of a row in the directive table (`crate::directives`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DirectiveId(pub u16);

/// A parsed value. Which variant a row has follows from its parser in the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// A boolean.
    Bool(bool),
    /// Sizes (bytes), time spans (microseconds, `u64::MAX` is infinity), modes, weights, counts.
    Uint(u64),
    /// Signed numbers: nice levels, priorities, OOM adjustment, signals.
    Int(i64),
    /// One of a fixed set of words: index into the row's word list.
    Word(u16),
    /// Text (specifiers expanded).
    Text(Rc<str>),
    /// A list of texts.
    List(Rc<[Rc<str>]>),
    /// A list of unit names.
    Units(Rc<[UnitName]>),
    /// Command lines.
    Commands(Rc<[Command]>),
    /// Listening addresses, in file order.
    Ports(Rc<[ListenPort]>),
    /// Watched paths, in file order.
    Paths(Rc<[PathSpec]>),
    /// `OnBootSec=` and its like: (directive name, usec) or (directive name, calendar text).
    Timers(Rc<[(Rc<str>, Rc<str>)]>),
    /// A resource limit: soft, hard (`u64::MAX` is infinity).
    Rlimit(u64, u64),
    /// A bit set: capabilities, secure bits, namespaces, signals.
    Bits(u64),
    /// Rows of texts: bind mounts, credentials, devices, conditions (kind, flags, parameter) ...
    Rows(Rc<[Rc<[Rc<str>]>]>),
    /// Items that are forbidden, or that alone are allowed.
    Filter {
        /// Whether the items are forbidden.
        deny: bool,
        /// The items.
        items: Rc<[Rc<str>]>,
    },
    /// Data.
    Bytes(Rc<[u8]>),
    /// Conditions or asserts in file order: directive name, and value with `|` and `!` before it.
    Checks(Rc<[(Rc<str>, Rc<str>)]>),
    /// Exit statuses (0..=255) and signals.
    ExitSet {
        /// Statuses.
        statuses: Rc<[u8]>,
        /// Signals.
        signals: Rc<[i32]>,
    },
}

/// The values set in one unit, sorted by row. Cloning costs a reference count.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    rows: Rc<Vec<(DirectiveId, Value)>>,
}

impl Settings {
    /// The value of a row, if it is set.
    pub fn get(&self, id: DirectiveId) -> Option<&Value> {
        self.rows.binary_search_by_key(&id, |row| row.0).ok().map(|at| &self.rows[at].1)
    }

    /// Set a row; copies on write when shared.
    pub fn set(&mut self, id: DirectiveId, value: Value) {
        let rows = Rc::make_mut(&mut self.rows);
        match rows.binary_search_by_key(&id, |row| row.0) {
            Ok(at) => rows[at].1 = value,
            Err(at) => rows.insert(at, (id, value)),
        }
    }

    /// Back to the default.
    pub fn unset(&mut self, id: DirectiveId) {
        if let Ok(at) = self.rows.binary_search_by_key(&id, |row| row.0) {
            Rc::make_mut(&mut self.rows).remove(at);
        }
    }

    /// All set rows in table order.
    pub fn iter(&self) -> impl Iterator<Item = &(DirectiveId, Value)> {
        self.rows.iter()
    }

    /// Number of set rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Reading rows: each gives the row's default when it is not set. The defaults are the built-in ones; what the
/// manager's configuration says differently was stored by [`Settings::inherit`].
impl Settings {
    /// Whether a row is set.
    pub fn is_set(&self, id: DirectiveId) -> bool {
        self.get(id).is_some()
    }

    /// A boolean; false when neither set nor defaulted.
    pub fn bool(&self, id: DirectiveId) -> bool {
        self.tristate(id).unwrap_or(false)
    }

    /// A boolean that may be neither.
    pub fn tristate(&self, id: DirectiveId) -> Option<bool> {
        match (self.get(id), row(id).builtin_default()) {
            (Some(Value::Bool(on)), _) => Some(*on),
            (None, DefaultValue::Bool(on)) => Some(on),
            _ => None,
        }
    }

    /// A number, size, or time span in microseconds (`u64::MAX` is infinity); 0 when neither set nor defaulted.
    pub fn uint(&self, id: DirectiveId) -> u64 {
        match (self.get(id), row(id).builtin_default()) {
            (Some(Value::Uint(number) | Value::Bits(number)), _) => *number,
            (None, DefaultValue::Uint(number) | DefaultValue::Bits(number)) => number,
            _ => 0,
        }
    }

    /// A signed number; 0 when neither set nor defaulted.
    pub fn int(&self, id: DirectiveId) -> i64 {
        match (self.get(id), row(id).builtin_default()) {
            (Some(Value::Int(number)), _) => *number,
            (None, DefaultValue::Int(number)) => number,
            _ => 0,
        }
    }

    /// A bit set.
    pub fn bits(&self, id: DirectiveId) -> u64 {
        self.uint(id)
    }

    /// The word of an enumeration; empty when neither set nor defaulted.
    pub fn word(&self, id: DirectiveId) -> &'static str {
        let row = row(id);
        match (self.get(id), row.builtin_default()) {
            (Some(Value::Word(index)), _) => {
                row.words().and_then(|known| known.words.get(usize::from(*index))).copied().unwrap_or("")
            }
            (None, DefaultValue::Word(word)) => word,
            _ => "",
        }
    }

    /// The index of [`Settings::word`] in the row's list.
    pub fn word_index(&self, id: DirectiveId) -> Option<u16> {
        row(id).words()?.index(self.word(id))
    }

    /// A text; `None` when neither set nor defaulted.
    pub fn text(&self, id: DirectiveId) -> Option<&str> {
        match (self.get(id), row(id).builtin_default()) {
            (Some(Value::Text(text)), _) => Some(text),
            (None, DefaultValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A list of texts.
    pub fn list(&self, id: DirectiveId) -> &[Rc<str>] {
        match self.get(id) {
            Some(Value::List(list) | Value::Filter { items: list, .. }) => list,
            _ => &[],
        }
    }

    /// A list with its meaning: `true` when the items are forbidden, `false` when only they are allowed.
    pub fn filter(&self, id: DirectiveId) -> Option<(bool, &[Rc<str>])> {
        match self.get(id) {
            Some(Value::Filter { deny, items }) => Some((*deny, items)),
            _ => None,
        }
    }

    /// Unit names.
    pub fn units(&self, id: DirectiveId) -> &[UnitName] {
        match self.get(id) {
            Some(Value::Units(units)) => units,
            _ => &[],
        }
    }

    /// The first unit name.
    pub fn unit(&self, id: DirectiveId) -> Option<&UnitName> {
        self.units(id).first()
    }

    /// Command lines.
    pub fn commands(&self, id: DirectiveId) -> &[Command] {
        match self.get(id) {
            Some(Value::Commands(commands)) => commands,
            _ => &[],
        }
    }

    /// Listening addresses (`ids::LISTEN_STREAM` keeps those of all kinds).
    pub fn ports(&self) -> &[ListenPort] {
        match self.get(ids::LISTEN_STREAM) {
            Some(Value::Ports(ports)) => ports,
            _ => &[],
        }
    }

    /// Watched paths (`ids::PATH_EXISTS` keeps those of all kinds).
    pub fn paths(&self) -> &[PathSpec] {
        match self.get(ids::PATH_EXISTS) {
            Some(Value::Paths(paths)) => paths,
            _ => &[],
        }
    }

    /// Timers (`ids::ON_CALENDAR` keeps those of all kinds): directive name, and microseconds or calendar text.
    pub fn timers(&self) -> &[(Rc<str>, Rc<str>)] {
        match self.get(ids::ON_CALENDAR) {
            Some(Value::Timers(timers)) => timers,
            _ => &[],
        }
    }

    /// `Condition*=` lines in file order: directive name, and value with `|` and `!` before it.
    pub fn conditions(&self) -> &[(Rc<str>, Rc<str>)] {
        self.checks(ids::CONDITION_PATH_EXISTS)
    }

    /// `Assert*=` lines, as [`Settings::conditions`].
    pub fn asserts(&self) -> &[(Rc<str>, Rc<str>)] {
        self.checks(ids::ASSERT_PATH_EXISTS)
    }

    fn checks(&self, id: DirectiveId) -> &[(Rc<str>, Rc<str>)] {
        match self.get(id) {
            Some(Value::Checks(checks)) => checks,
            _ => &[],
        }
    }

    /// A resource limit, soft and hard; `None` when neither set nor defaulted: the process keeps the manager's.
    pub fn rlimit(&self, id: DirectiveId) -> Option<(u64, u64)> {
        match (self.get(id), row(id).builtin_default()) {
            (Some(Value::Rlimit(soft, hard)), _) => Some((*soft, *hard)),
            (None, DefaultValue::Rlimit(soft, hard)) => Some((soft, hard)),
            _ => None,
        }
    }

    /// Rows of texts.
    pub fn rows(&self, id: DirectiveId) -> &[Rc<[Rc<str>]>] {
        match self.get(id) {
            Some(Value::Rows(rows)) => rows,
            _ => &[],
        }
    }

    /// Exit statuses and signals.
    pub fn exit_set(&self, id: DirectiveId) -> (&[u8], &[i32]) {
        match self.get(id) {
            Some(Value::ExitSet { statuses, signals }) => (statuses, signals),
            _ => (&[], &[]),
        }
    }

    /// Bytes.
    pub fn bytes(&self, id: DirectiveId) -> &[u8] {
        match self.get(id) {
            Some(Value::Bytes(bytes)) => bytes,
            _ => &[],
        }
    }

    /// Whether the control group is delegated (`Delegate=`), and which controllers.
    pub fn delegate(&self) -> Option<&[Rc<str>]> {
        match self.get(ids::DELEGATE) {
            Some(Value::List(controllers)) => Some(controllers),
            _ => None,
        }
    }

    /// Takes over what the manager's configuration says differently from the built-in defaults, for the rows that
    /// stand in units of this type. To be called once, before the unit's own settings are stored.
    pub fn inherit(&mut self, manager: &Settings, kind: UnitType) {
        if manager.is_empty() {
            return;
        }
        let section = Sections::of(kind);
        for row in &ROWS {
            let DefaultValue::Inherit(from) = row.default else { continue };
            if row.id == ids::TASKS_MAX && kind == UnitType::Slice {
                continue;
            }
            let stands = row.sections.contains(UNIT) || (section.0 != 0 && row.sections.contains(section));
            if let (true, false, Some(value)) = (stands, self.is_set(row.id), manager.get(from)) {
                self.set(row.id, value.clone());
            }
        }
    }
}
