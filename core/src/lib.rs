//! Decides: what the manager does, as a pure function of what happened.
//!
//! Nothing here touches files, clocks, the environment, system calls or threads. Time, random numbers, process ids
//! and inode numbers arrive with [`engine::event::Event`]s; everything that is to happen leaves as
//! [`engine::effect::Effect`]s. The same events give the same effects, to the byte.
#![forbid(unsafe_code)]

pub mod carry;
pub mod conditions;
pub mod directives;
pub mod engine;
pub mod filter;
pub mod graph;
pub mod install;
pub mod jobs;
pub mod names;
pub mod plan;
pub mod rundir;
pub mod sessions;
pub mod settings;
pub mod tmpfiles;
pub mod unitfile;
pub mod units;
pub mod values;
