//! Files and directories to create, adjust, clean up and remove: lines of `tmpfiles.d(5)` to a plan.
//!
//! [`line::parse`] makes an [`Item`] of a line, [`plan::Plan`] puts items in the order in which they are acted on. What a
//! line needs to know of the machine it asks a [`Host`].
pub mod acl;
pub mod argument;
pub mod config;
pub mod glob;
pub mod line;
pub mod plan;

pub use acl::Acl;
pub use argument::Argument;

use crate::names::specifiers::SpecifierError;

/// What a line is for: its letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `f`: a regular file, written when it is new.
    File,
    /// `f+`, `F`: a regular file, emptied and written.
    Truncate,
    /// `w`: write to a file that is there.
    Write,
    /// `d`, and `v`, `q`, `Q`, which are subvolumes where there are such.
    Directory,
    /// `D`: a directory that `--remove` empties.
    TruncateDirectory,
    /// `e`: a directory that is there.
    EmptyDirectory,
    /// `p`: a FIFO.
    Fifo,
    /// `L`: a symbolic link.
    Link,
    /// `c`: a character device.
    CharDevice,
    /// `b`: a block device.
    BlockDevice,
    /// `C`: a copy of a file or a tree.
    Copy,
    /// `x`: leave alone when cleaning up, with all below.
    Ignore,
    /// `X`: leave alone when cleaning up, not what is below.
    IgnoreDirectory,
    /// `r`: remove a file or an empty directory.
    Remove,
    /// `R`: remove with all below.
    RemoveAll,
    /// `z`, `m`: mode and owner of what is there.
    Adjust,
    /// `Z`: the same with all below.
    AdjustAll,
    /// `t`: extended attributes.
    Xattr,
    /// `T`: the same with all below.
    XattrAll,
    /// `h`: file flags (chattr(1)).
    Flags,
    /// `H`: the same with all below.
    FlagsAll,
    /// `a`: access control lists.
    Acl,
    /// `A`: the same with all below.
    AclAll,
}

impl Kind {
    /// The kind that a letter stands for.
    pub fn of(letter: char) -> Option<Kind> {
        Some(match letter {
            'f' => Kind::File,
            'F' => Kind::Truncate,
            'w' => Kind::Write,
            'd' | 'v' | 'q' | 'Q' => Kind::Directory,
            'D' => Kind::TruncateDirectory,
            'e' => Kind::EmptyDirectory,
            'p' => Kind::Fifo,
            'L' => Kind::Link,
            'c' => Kind::CharDevice,
            'b' => Kind::BlockDevice,
            'C' => Kind::Copy,
            'x' => Kind::Ignore,
            'X' => Kind::IgnoreDirectory,
            'r' => Kind::Remove,
            'R' => Kind::RemoveAll,
            'z' | 'm' => Kind::Adjust,
            'Z' => Kind::AdjustAll,
            't' => Kind::Xattr,
            'T' => Kind::XattrAll,
            'h' => Kind::Flags,
            'H' => Kind::FlagsAll,
            'a' => Kind::Acl,
            'A' => Kind::AclAll,
            _ => return None,
        })
    }

    /// Its path is a pattern.
    pub fn takes_glob(self) -> bool {
        use Kind::*;
        matches!(
            self,
            Write
                | EmptyDirectory
                | Ignore
                | IgnoreDirectory
                | Remove
                | RemoveAll
                | Adjust
                | AdjustAll
                | Xattr
                | XattrAll
                | Flags
                | FlagsAll
                | Acl
                | AclAll
        )
    }

    /// It says what the path is, so that there can be only one of them for a path; the others add to it.
    pub fn owns(self) -> bool {
        use Kind::*;
        !matches!(self, Adjust | AdjustAll | Xattr | XattrAll | Flags | FlagsAll | Acl | AclAll)
    }

    /// It makes something that `--purge` may remove.
    pub fn makes(self) -> bool {
        self.owns() && !matches!(self, Kind::Ignore | Kind::IgnoreDirectory | Kind::Remove | Kind::RemoveAll)
    }

    /// What is below goes by age.
    pub fn ages(self) -> bool {
        use Kind::*;
        matches!(self, Directory | TruncateDirectory | EmptyDirectory | Copy | Ignore | IgnoreDirectory)
    }

    /// A directory that this line makes.
    pub fn is_directory(self) -> bool {
        matches!(self, Kind::Directory | Kind::TruncateDirectory)
    }

    /// The action is on all below, too.
    pub fn is_recursive(self) -> bool {
        matches!(self, Kind::AdjustAll | Kind::XattrAll | Kind::FlagsAll | Kind::AclAll)
    }
}

/// An access mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModeField {
    /// At most 07777.
    pub bits: u32,
    /// `~`: take away what the file has nobody allowed.
    pub masked: bool,
    /// `:`: only of what is made anew.
    pub only_new: bool,
}

impl ModeField {
    /// The mode for a file that has `current` (with its type bits).
    pub fn over(self, current: u32, is_directory: bool) -> u32 {
        let mut bits = self.bits;
        if self.masked {
            for all in [0o111, 0o222, 0o444] {
                if current & all == 0 {
                    bits &= !all;
                }
            }
            if !is_directory {
                bits &= !0o7000;
            }
        }
        bits
    }
}

/// A user or group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnerField {
    /// The number.
    pub id: u32,
    /// `:`: only of what is made anew.
    pub only_new: bool,
}

/// Which times count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgeBy {
    /// Last access.
    pub access: bool,
    /// Creation.
    pub birth: bool,
    /// Last change of status.
    pub change: bool,
    /// Last modification.
    pub modification: bool,
}

/// When what is below is too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// Microseconds.
    pub usec: u64,
    /// `~`: what is directly inside stays.
    pub keep_first_level: bool,
    /// Of directories.
    pub of_directories: AgeBy,
    /// Of everything else.
    pub of_files: AgeBy,
}

impl Age {
    /// What a time span means where nothing else is said: all times count but the last change of a directory's status, which
    /// cleaning it changes.
    pub const fn all(usec: u64) -> Age {
        let all = AgeBy { access: true, birth: true, change: true, modification: true };
        Age { usec, keep_first_level: false, of_directories: AgeBy { change: false, ..all }, of_files: all }
    }
}

/// Where a line is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The file, as people name it.
    pub file: String,
    /// From 1 on.
    pub line: usize,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is for.
    pub kind: Kind,
    /// The letter that it was written with.
    pub letter: char,
    /// Absolute and without `.` and doubled slashes; a pattern where [`Kind::takes_glob`].
    pub path: String,
    /// `+`
    pub force: bool,
    /// `-`: a failure to create it is none.
    pub may_fail: bool,
    /// `=`: what is in the way and of another type is removed.
    pub replace: bool,
    /// `$`: `--purge` removes it.
    pub purge: bool,
    /// `?`: a link is made only if there is something where it leads.
    pub if_target: bool,
    /// The mode, where one is given.
    pub mode: Option<ModeField>,
    /// The user, where one is given.
    pub user: Option<OwnerField>,
    /// The group, where one is given.
    pub group: Option<OwnerField>,
    /// The age, where one is given.
    pub age: Option<Age>,
    /// The argument.
    pub argument: Argument,
    /// Where it is written.
    pub place: Place,
}

impl Item {
    /// The mode of what is made anew.
    pub fn new_mode(&self) -> u32 {
        let default = if self.kind.is_directory() { 0o755 } else { 0o644 };
        self.mode.map_or(default, |mode| mode.bits)
    }
}

/// What lines ask of the machine.
pub trait Host {
    /// What a specifier stands for; `None` for letters that are none, an error for what is not known.
    fn specifier(&self, letter: char) -> Option<Result<String, SpecifierError>>;
    /// A user's number.
    fn user(&self, name: &str) -> Option<u32>;
    /// A group's number.
    fn group(&self, name: &str) -> Option<u32>;
    /// A credential; `None` when it was not passed.
    fn credential(&self, name: &str) -> Option<Vec<u8>>;
    /// Whether there is something at a path.
    fn exists(&self, path: &str) -> bool;
}
