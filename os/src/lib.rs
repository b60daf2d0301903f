//! Acts: the only crate that touches the kernel. Of the engine it knows events, effects and plain types, nothing else.
//!
//! | module | what it does |
//! |---|---|
//! | `reactor` | waits for descriptors, by priority; `timer` the clocks |
//! | `signals`, `children`, `process` | signals as a descriptor, ended children, what `/proc` tells |
//! | `spawn`, `users` | processes from plans; who they run as |
//! | `cgroup` | the control group tree |
//! | `ownership` | whose process it is: by cgroups, or without them by the process tree |
//! | `socket` | sockets of socket units, connections, descriptor passing |
//! | `mount` | early mounts, the mount table, autofs, swap, the last umount |
//! | `devices` | what udev knows and tells of devices |
//! | `watch` | inotify for path units |
//! | `rundir` | files under the run root, atomically and without following links |
//! | `statelog`, `crash`, `reexec` | state that outlives the image, and the path into the next image |
//! | `container`, `handover` | the throw-away machine of `runstead boot`; descriptors passed to a service |
//! | `loader`, `unitdirs`, `pidfile` | unit files on disk, where they are enabled, PID files |
//! | `host`, `identity`, `credentials`, `generators`, `shutdown` | facts about the machine, who it is, what is run before units are read and at the end |
//! | `tmpfiles` | files and directories made, adjusted, cleaned up and removed as tmpfiles.d(5) says |
//! | `chase` | paths that others may be changing, opened component by component |
//! | `tree` | a file tree seen from its root, from which no link leads out |
//! | `sys` | all the unsafe code there is |
pub mod carry;
pub mod cgroup;
pub mod chase;
pub mod children;
pub mod container;
pub mod crash;
pub mod credentials;
pub mod devices;
pub mod error;
pub mod generators;
pub mod handover;
pub mod host;
pub mod identity;
pub mod loader;
pub mod logins;
pub mod mount;
pub mod ownership;
pub mod pidfile;
pub mod process;
pub mod reactor;
pub mod reexec;
pub mod rundir;
pub mod shutdown;
pub mod signals;
pub mod socket;
pub mod spawn;
pub mod statelog;
pub mod switch_root;
pub mod sys;
pub mod timer;
pub mod tmpfiles;
pub mod tree;
pub mod unitdirs;
pub mod users;
pub mod watch;
pub mod zones;

pub use error::OsError;
