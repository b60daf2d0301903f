//! A seeded world around the engine: unit files in memory, processes that live as their command says, a virtual clock.
//!
//! The same seed gives the same run to the byte. Commands: `/sim/ok` ends well after a while, `/sim/fail` ends with
//! status 1, `/sim/daemon` runs until it is signalled, `/sim/stubborn` until SIGKILL, `/sim/missing` cannot be executed.
pub mod world;

pub use world::World;
