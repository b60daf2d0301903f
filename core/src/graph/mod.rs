//! The graph of units: kinds of dependencies and what each kind causes.
//!
//! | file | what it holds |
//! |---|---|
//! | `dependency` | the kinds, their inverses, what each pulls in or propagates ("atoms") |
pub mod dependency;

pub use dependency::{Atom, Dependency, Origins};
