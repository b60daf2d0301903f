//! Files of `/run` that a boot hands to the next: which are wanted, and how they are kept meanwhile.
//!
//! | file | subject |
//! |---|---|
//! | `wish` | `carry.d/*.conf` and `X-RunsteadCarry=` |
//! | `store` | the file that holds them, whole or not at all |
pub mod store;
pub mod wish;

/// One thing that is carried over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Relative to `/run`, without `.` and `..`.
    pub path: String,
    /// Permission bits, 0777 at most.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// What the file holds; `None` for a directory.
    pub bytes: Option<Vec<u8>>,
}
