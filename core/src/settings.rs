//! What a unit file (or a client) set, sparsely: only rows that differ from the default take room.
//!
//! A [`Settings`] is shared by reference count: the engine holds one, a spawn borrows it for the price of a pointer.
use crate::engine::effect::{Command, ListenPort, PathSpec};
use crate::names::UnitName;
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
