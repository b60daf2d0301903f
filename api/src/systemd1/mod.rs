//! `org.freedesktop.systemd1` (org.freedesktop.systemd1(5)).
//!
//! | file | what it holds |
//! |---|---|
//! | `route` | which object a call is sent to, and which of the interfaces that every object has |
//! | `interfaces` | methods and signals of every interface, as the reference introspects |
//! | `decode`, `transient` | from the message to the action |
//! | `action` | a decoded call: a request to the engine, a question, or something the shell does |
//! | `answer` | answers to questions, replies to requests |
//! | `unit_properties`, `state` | properties of units: the tables are `core::directives::properties` |
//! | `manager_properties`, `manager_table` | properties of the manager |
//! | `objects` | properties of any object |
//! | `rundir` | an interface of ours on units: what they take of `/run` |
//! | `abilities`, `jobs` | what a unit can do; jobs |
//! | `log_control` | the second object: log level and target |
//! | `facts` | what the kernel and the shell know |
//! | `introspect`, `signals` | the same tables as XML and as `PropertiesChanged` |
//! | `authority` | who may do what, and what polkit is asked |
//! | `value` | values between the wire and the directives |
//! | `errors` | error names |
pub mod abilities;
pub mod action;
pub mod answer;
pub mod authority;
pub mod decode;
pub mod errors;
pub mod facts;
pub mod interfaces;
pub mod introspect;
pub mod jobs;
pub mod log_control;
pub mod manager_properties;
pub mod manager_table;
pub mod objects;
pub mod route;
pub mod rundir;
pub mod signals;
pub mod state;
pub mod transient;
pub mod unit_properties;
pub mod value;

/// Object path of the manager.
pub const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
/// Prefix of unit object paths.
pub const UNIT_PREFIX: &str = "/org/freedesktop/systemd1/unit/";
/// Prefix of job object paths.
pub const JOB_PREFIX: &str = "/org/freedesktop/systemd1/job/";
/// The well-known bus name.
pub const BUS_NAME: &str = "org.freedesktop.systemd1";
