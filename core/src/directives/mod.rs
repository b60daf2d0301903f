//! One table: every directive of every unit type (DESIGN 4).
//!
//! [`find`] gives the row of a line in a unit file, [`row`] the row of an id. `table/` holds the rows, `ids` their
//! constants (`ids::EXEC_START`), `kind` what values look like, `words` the words of enumerations.

pub mod acts;
mod finish;
pub mod kind;
pub mod listing;
mod load;
pub mod parse;
pub mod properties;
pub mod section;
mod table;
pub mod transient;
pub mod words;

pub use acts::{Acts, Weight};
pub use kind::Kind;
pub use load::{Loaded, load, load_manager};
pub use parse::base64::decode as base64_decode;
pub use parse::list::credential_name as is_credential_name;
pub use properties::{PropertyRow, PropertyValue, property_value};
pub use section::Sections;
pub use table::{COUNT, ROWS, Row};
pub use transient::{NotSettable, transient_text};

use crate::settings::{DirectiveId, Settings};
use crate::values::syscalls;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::LazyLock;

/// The id of each directive.
pub mod ids {
    pub use super::table::cgroup::*;
    pub use super::table::exec::*;
    pub use super::table::install::*;
    pub use super::table::kill::*;
    pub use super::table::manager::*;
    pub use super::table::mount::*;
    pub use super::table::service::*;
    pub use super::table::socket::*;
    pub use super::table::trigger::*;
    pub use super::table::unit::*;
}

/// What holds when a directive is not set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DefaultValue {
    /// Nothing: false, zero, empty; the code that uses it may derive something.
    Unset,
    /// A boolean.
    Bool(bool),
    /// A number.
    Uint(u64),
    /// A signed number.
    Int(i64),
    /// A bit set.
    Bits(u64),
    /// A word of the row's list.
    Word(&'static str),
    /// A text.
    Text(&'static str),
    /// A resource limit, soft and hard.
    Rlimit(u64, u64),
    /// What the manager's configuration says in this row.
    Inherit(DirectiveId),
}

impl Row {
    /// Where the value of this row is kept: another row for aliases and for rows that make one list together.
    pub fn stored(&self) -> DirectiveId {
        match self.kind {
            Kind::Alias(id) | Kind::Obsolete(id) => id,
            Kind::Listen => ids::LISTEN_STREAM,
            Kind::Timer => ids::ON_CALENDAR,
            Kind::Watch => ids::PATH_EXISTS,
            Kind::InputText => ids::STANDARD_INPUT_DATA,
            Kind::OnFailureIsolate => ids::ON_FAILURE_JOB_MODE,
            _ => self.id,
        }
    }

    /// The default, looked up in the built-in manager configuration where it comes from there.
    pub fn builtin_default(&self) -> DefaultValue {
        match self.default {
            DefaultValue::Inherit(id) => row(id).default,
            default => default,
        }
    }

    /// The words of an enumeration.
    pub fn words(&self) -> Option<&'static words::Words> {
        match self.kind {
            Kind::Words(words) => Some(words),
            _ => None,
        }
    }
}

/// The row of an id.
pub fn row(id: DirectiveId) -> &'static Row {
    &ROWS[usize::from(id.0)]
}

/// The directive of this name in this section, if there is one. O(log n).
pub fn find(section: Sections, name: &str) -> Option<&'static Row> {
    static BY_NAME: LazyLock<Vec<&'static Row>> = LazyLock::new(|| {
        let mut rows: Vec<&Row> = ROWS.iter().collect();
        rows.sort_by_key(|row| row.name);
        rows
    });
    let start = BY_NAME.partition_point(|row| row.name < name);
    BY_NAME[start..]
        .iter()
        .take_while(|row| row.name == name)
        .find(|row| row.sections.contains(section))
        .copied()
}

/// Names in the groups that libseccomp does not resolve: the reference leaves them out.
const NOT_IN_SECCOMP: [&str; 5] = ["file_getattr", "file_setattr", "fstatat", "llseek", "newfstat"];

/// The system calls of `SystemCallFilter=` or `SystemCallLog=` with their groups opened, in order of names, each
/// with the action that was given for it (an error by name, or `kill`). Whether they are forbidden or alone allowed
/// says [`Settings::filter`].
pub fn system_calls(settings: &Settings, id: DirectiveId) -> BTreeMap<&'static str, Option<Rc<str>>> {
    let mut calls = BTreeMap::new();
    let Some((deny, items)) = settings.filter(id) else { return calls };
    if !deny && id == ids::SYSTEM_CALL_FILTER {
        calls.extend(syscalls::resolve("@default").into_iter().map(|name| (name, None)));
    }
    for item in items {
        let (invert, name, action) = syscalls::parts(item);
        for call in syscalls::resolve(name) {
            if NOT_IN_SECCOMP.contains(&call) {
                continue;
            }
            if invert == deny {
                calls.insert(call, action.map(Rc::from));
            } else {
                calls.remove(call);
            }
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Settings, Value};

    const ITEMS: &str = include_str!("../../tests/facts/configuration-items.txt");

    fn items() -> Vec<(Sections, &'static str)> {
        let mut section = Sections(0);
        let mut items = Vec::new();
        for line in ITEMS.lines().filter(|line| !line.is_empty()) {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = Sections::named(name).expect("known section");
            } else {
                items.push((section, line.split_once('=').expect("an item").0));
            }
        }
        items
    }

    #[test]
    fn every_item_of_the_reference_has_a_row_and_no_more() {
        let items = items();
        for (section, name) in &items {
            let row = find(*section, name).unwrap_or_else(|| panic!("no row for {name}"));
            assert_eq!(row.name, *name);
            assert!(row.sections.contains(*section));
        }
        let ours: usize =
            ROWS.iter().map(|row| row.sections.names().filter(|name| *name != "Manager").count()).sum();
        assert_eq!(ours, items.len());
        assert!(find(section::SERVICE, "ListenStream").is_none());
        assert!(find(section::SERVICE, "Nonsense").is_none());
    }

    #[test]
    fn ids_point_at_their_rows() {
        for (index, row) in ROWS.iter().enumerate() {
            assert_eq!(usize::from(row.id.0), index, "{}", row.name);
            if let DefaultValue::Inherit(from) = row.default {
                assert!(super::row(from).sections.contains(section::MANAGER), "{}", row.name);
            }
            if let (Some(words), DefaultValue::Word(word)) = (row.words(), row.builtin_default()) {
                assert!(words.index(word).is_some(), "{}", row.name);
            }
        }
        assert_eq!(row(ids::EXEC_START).name, "ExecStart");
        assert_eq!(row(ids::SERVICE_TYPE).sections, section::SERVICE);
    }

    #[test]
    fn settings_fall_back_to_the_table_and_to_the_manager() {
        let mut settings = Settings::default();
        assert_eq!(settings.uint(ids::TIMEOUT_START_SEC), 90_000_000);
        assert_eq!(settings.word(ids::RESTART), "no");
        assert_eq!(settings.rlimit(ids::LIMIT_NOFILE), Some((1024, 524288)));
        assert_eq!(settings.text(ids::STANDARD_OUTPUT), Some("journal"));
        let mut manager = Settings::default();
        manager.set(ids::DEFAULT_TIMEOUT_START_SEC, Value::Uint(5));
        settings.inherit(&manager, crate::names::UnitType::Service);
        assert_eq!(settings.uint(ids::TIMEOUT_START_SEC), 5);
        assert!(!settings.is_set(ids::TIMEOUT_SEC));
        settings.set(ids::RESTART, Value::Word(words::RESTART.index("always").expect("a word")));
        assert_eq!(settings.word(ids::RESTART), "always");
        assert_eq!(words::PROTECT_SYSTEM.index("true"), words::PROTECT_SYSTEM.index("yes"));
    }
}
