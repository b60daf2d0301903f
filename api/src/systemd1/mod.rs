//! `org.freedesktop.systemd1` (org.freedesktop.systemd1(5)).
//!
//! | file | what it holds |
//! |---|---|
//! | `interfaces` | methods and signals of every interface, as the reference introspects |
//! | `action` | a decoded call: a request to the engine, a question, or something the shell does |
//! | `decode` | from the message to the action |
//! | `errors` | error names |
pub mod action;
pub mod decode;
pub mod errors;
pub mod interfaces;
pub mod route;
pub mod transient;
pub mod value;

/// Object path of the manager.
pub const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
/// Prefix of unit object paths.
pub const UNIT_PREFIX: &str = "/org/freedesktop/systemd1/unit/";
/// Prefix of job object paths.
pub const JOB_PREFIX: &str = "/org/freedesktop/systemd1/job/";
/// The well-known bus name.
pub const BUS_NAME: &str = "org.freedesktop.systemd1";
