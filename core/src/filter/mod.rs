//! System call filters: settings to a program for the kernel (seccomp(2)).
//!
//! The reference installs a filter for each setting and each way to call; here all of them are one program, a search by halves over
//! the numbers, so that a call costs the same whatever is set.
mod calls;
mod numbers;
mod program;
mod rules;

/// Numbers of system calls are known for this machine.
pub const KNOWN_MACHINE: bool = cfg!(target_arch = "x86_64");

pub use program::Instruction;
pub use rules::Rules;
