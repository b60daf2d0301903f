//! Unit names: what they may look like, how text is escaped into them, and what is derived from them
//! (object paths, slice parents, control group paths, specifiers, patterns).
//!
//! Sources: `systemd.unit(5)`, `systemd-escape(1)`, `systemd.slice(5)`, the D-Bus naming conventions.

pub mod escape;
pub mod object_path;
pub mod path;
pub mod pattern;
pub mod slice;
pub mod specifiers;
mod unit_name;
mod unit_type;

pub use escape::{EscapeError, escape, path_escape, path_unescape, unescape};
pub use object_path::{bus_path_escape, bus_path_unescape, from_object_path, unit_object_path};
pub use specifiers::{SpecifierError, Specifiers};
pub use unit_name::{NameError, NameShape, UNIT_NAME_MAX, UnitName};
pub use unit_type::UnitType;
