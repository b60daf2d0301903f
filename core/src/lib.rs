//! core
#![forbid(unsafe_code)]

pub mod names;
