//! The graph of units: kinds of dependencies and what each kind causes.
//!
//! | file | what it holds |
//! |---|---|
//! | `dependency` | the kinds, their inverses, what each pulls in or propagates ("atoms") |
//! | `edges` | the dependencies of one unit |
//! | `collect` | which units nobody needs in memory |
//! | `mounts` | paths that units need, by prefix |
mod collect;
pub mod dependency;
mod edges;
pub mod mounts;

pub use dependency::{Atom, Dependency, Edge, Origins};
pub use edges::Edges;
