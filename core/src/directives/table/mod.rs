//! The table itself, one row a directive, one file a group.
//!
//! A row reads `ID = SECTIONS, "Name", kind, default, where it acts, "SYNTAX";`, the last being the word that
//! `--dump-configuration-items` shows for what it takes. Within a group rows stand in the reference's order.

use super::{Acts, DefaultValue, Kind, Sections};
use crate::settings::DirectiveId;

/// One directive.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its index.
    pub id: DirectiveId,
    /// Its name as it stands in unit files.
    pub name: &'static str,
    /// Where it may stand.
    pub sections: Sections,
    /// How its value is read.
    pub kind: Kind,
    /// What holds when it is not set.
    pub default: DefaultValue,
    /// Where it acts.
    pub acts: Acts,
    /// The reference's word for the syntax of its values (`--dump-configuration-items`).
    pub syntax: &'static str,
}

macro_rules! rows {
    (from $base:expr; $($id:ident = $sections:expr, $name:literal, $kind:expr, $default:expr, $acts:expr, $syntax:literal;)*) => {
        /// Index of the first row of this group.
        pub(super) const BASE: u16 = $base;
        /// Index behind the last row of this group.
        pub(super) const END: u16 = BASE + Order::EndOfGroup as u16;

        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Order { $($id,)* EndOfGroup }

        $(#[doc = concat!("`", $name, "=`")]
        pub const $id: DirectiveId = DirectiveId(BASE + Order::$id as u16);)*

        /// The rows of this group.
        pub(super) const ROWS: &[Row] = &[$(Row {
            id: DirectiveId(BASE + Order::$id as u16),
            name: $name,
            sections: {
                use crate::directives::section::*;
                $sections
            },
            kind: {
                use crate::directives::Kind::*;
                $kind
            },
            default: {
                use crate::directives::DefaultValue::*;
                $default
            },
            acts: {
                use crate::directives::acts::short::*;
                $acts
            },
            syntax: $syntax,
        }),*];
    };
}

/// What the files of the groups need.
mod prelude {
    pub(super) use super::Row;
    pub(super) use crate::directives::ids::*;
    pub(super) use crate::directives::kind::{Check, Empty, Item, Number, Zero};
    pub(super) use crate::directives::words;
    pub(super) use crate::settings::DirectiveId;
}

pub mod cgroup;
pub mod exec;
pub mod install;
pub mod kill;
pub mod manager;
pub mod mount;
pub mod service;
pub mod socket;
pub mod trigger;
pub mod unit;

/// Number of rows.
pub const COUNT: usize = manager::END as usize;

const GROUPS: [&[Row]; 10] = [
    unit::ROWS,
    service::ROWS,
    socket::ROWS,
    mount::ROWS,
    trigger::ROWS,
    exec::ROWS,
    cgroup::ROWS,
    kill::ROWS,
    install::ROWS,
    manager::ROWS,
];

const fn joined() -> [Row; COUNT] {
    let mut all = [unit::ROWS[0]; COUNT];
    let (mut group, mut to) = (0, 0);
    while group < GROUPS.len() {
        let mut from = 0;
        while from < GROUPS[group].len() {
            all[to] = GROUPS[group][from];
            from += 1;
            to += 1;
        }
        group += 1;
    }
    all
}

/// Every row, at the index that its id gives.
pub static ROWS: [Row; COUNT] = joined();

/// The rows by group.
pub(super) mod groups {
    use super::Row;

    pub const UNIT: &[Row] = super::unit::ROWS;
    pub const SERVICE: &[Row] = super::service::ROWS;
    pub const SOCKET: &[Row] = super::socket::ROWS;
    pub const TRIGGER: &[Row] = super::trigger::ROWS;
    pub const EXEC: &[Row] = super::exec::ROWS;
    pub const CGROUP: &[Row] = super::cgroup::ROWS;
    pub const KILL: &[Row] = super::kill::ROWS;
    pub const INSTALL: &[Row] = super::install::ROWS;
}
