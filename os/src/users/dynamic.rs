//! Ids of `DynamicUser=` (systemd.exec(5)): a name's id is derived from the name, so that it is mostly the same each
//! time, and is taken as long as `RUNROOT/systemd/dynamic-uid/` has its file.
//!
//! | entry | what |
//! |---|---|
//! | `UID` | a file that holds the name |
//! | `direct:UID` | a link to the name, for look-ups by number |
//! | `direct:NAME` | a link to the number, for look-ups by name |
use super::{LookupError, Users};
use crate::OsError;
use crate::rundir::RunDir;
use runstead_core::names::UnitName;
use runstead_core::plan::UserFacts;
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use std::fs;
use std::os::fd::AsFd;

/// Lowest id.
pub(super) const FIRST: u32 = 61184;
/// Greatest id.
pub(super) const LAST: u32 = 65519;
/// How many candidates are tried before all are.
const HASHED: u32 = 100;
/// Longest user name that utmp(5) holds.
const NAME_MAX: usize = 31;
const DIRECTORY: &str = "systemd/dynamic-uid";

/// The user's name when the unit sets none: the unit's name without suffix if that is a valid user name, else `_du`
/// and a hash of it.
pub fn dynamic_name(unit: &UnitName) -> String {
    let whole = unit.as_str();
    let stem = whole.rsplit_once('.').map_or(whole, |(stem, _)| stem);
    let valid = stem.len() <= NAME_MAX
        && stem.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && stem.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if valid { stem.to_owned() } else { format!("_du{:016x}", hash(stem.as_bytes(), 0)) }
}

impl Users {
    /// The user of this name: a static one if there is, else one with an id that is taken now (or was before, for the
    /// same name).
    pub fn dynamic(&self, name: &str, run_root: &str) -> Result<UserFacts, LookupError> {
        if let Ok(user) = self.user(name) {
            return Ok(user);
        }
        let run = RunDir::open(run_root)?;
        run.mkdir(DIRECTORY, 0o755, None)?;
        let held = fs::read_link(format!("{run_root}/{DIRECTORY}/direct:{name}")).ok();
        let held =
            held.and_then(|target| target.to_str()?.parse().ok()).filter(|uid| (FIRST..=LAST).contains(uid));
        let uid = match held {
            Some(uid) => uid,
            None => self.take(&run, name)?,
        };
        Ok(UserFacts {
            name: name.to_owned(),
            uid,
            gid: uid,
            home: "/".into(),
            shell: "/usr/sbin/nologin".into(),
            groups: Vec::new(),
        })
    }

    /// Take a free id: first those that the name gives, then any.
    fn take(&self, run: &RunDir, name: &str) -> Result<u32, LookupError> {
        let directory = run.directory(DIRECTORY)?;
        let span = LAST - FIRST + 1;
        let hashed =
            (0..HASHED).map(|n| FIRST + (hash(name.as_bytes(), u64::from(n)) % u64::from(span)) as u32);
        for uid in hashed.chain(FIRST..=LAST) {
            if self.by_uid(uid).is_ok() || self.group_name(uid).is_some() {
                continue;
            }
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let path = format!("{DIRECTORY}/{uid}");
            let file = match openat(directory.as_fd(), uid.to_string(), flags, Mode::from_raw_mode(0o600)) {
                Ok(file) => file,
                Err(Errno::EXIST) => continue,
                Err(errno) => return Err(OsError::new("create", path, errno).into()),
            };
            let taken = write_entries(run, &file, name, uid);
            if taken.is_err() {
                // Nobody would give it back.
                let _ = run.remove(&format!("{DIRECTORY}/direct:{uid}"));
                let _ = run.remove(&path);
            }
            return taken.map(|()| uid).map_err(LookupError::from);
        }
        Err(LookupError::Exhausted)
    }
}

/// The name in the id's file, and the links for look-ups.
fn write_entries(run: &RunDir, file: impl AsFd, name: &str, uid: u32) -> Result<(), OsError> {
    rustix::io::write(file, format!("{name}\n").as_bytes())
        .map_err(|errno| OsError::new("write", format!("{DIRECTORY}/{uid}"), errno))?;
    run.link(&format!("{DIRECTORY}/direct:{uid}"), name)?;
    run.link(&format!("{DIRECTORY}/direct:{name}"), &uid.to_string())
}

/// Give a name's id back; that it has none is fine.
pub fn release_dynamic(name: &str, run_root: &str) -> Result<(), OsError> {
    let link = format!("{run_root}/{DIRECTORY}/direct:{name}");
    let Ok(target) = fs::read_link(link) else { return Ok(()) };
    let Some(uid) = target.to_str().and_then(|text| text.parse::<u32>().ok()) else { return Ok(()) };
    let run = RunDir::open(run_root)?;
    for entry in [format!("direct:{name}"), format!("direct:{uid}"), uid.to_string()] {
        run.remove(&format!("{DIRECTORY}/{entry}"))?;
    }
    Ok(())
}

/// FNV-1a, finished by a mixer: the same on every machine and in every release.
fn hash(bytes: &[u8], round: u64) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut state = BASIS ^ round.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for byte in bytes {
        state = (state ^ u64::from(*byte)).wrapping_mul(PRIME);
    }
    state ^= state >> 33;
    state = state.wrapping_mul(0xff51_afd7_ed55_8ccd);
    state ^ state >> 33
}
