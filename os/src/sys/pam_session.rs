//! The program that opens PAM sessions (`pam_session/program.rs`), as bytes.

/// An ELF executable for the C library of a distribution.
pub const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pam-session"));
