//! Who a unit runs as: users and groups from the passwd and group files (passwd(5), group(5)), and the ids that
//! `DynamicUser=` hands out. Name services that need libraries are asked elsewhere, in a throw-away child.
mod dynamic;
pub mod own;
pub mod subordinate;

pub use dynamic::{dynamic_name, release_dynamic};

use crate::OsError;
use runstead_core::plan::UserFacts;
use rustix::io::Errno;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The greatest user file that is read.
const FILE_MAX: u64 = 64 << 20;
/// Ids that mean "nobody in particular" to the kernel's calls.
const RESERVED: [u32; 2] = [0xffff, u32::MAX];

/// Why a user or group was not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupError {
    /// There is none of this name or number.
    Unknown(String),
    /// A file could not be read, or a dynamic id could not be taken.
    Failed(OsError),
    /// All ids of dynamic users are taken.
    Exhausted,
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LookupError::Unknown(name) => write!(f, "{name} is not known"),
            LookupError::Failed(error) => error.fmt(f),
            LookupError::Exhausted => f.write_str("no id is left for a dynamic user"),
        }
    }
}

impl std::error::Error for LookupError {}

impl From<OsError> for LookupError {
    fn from(error: OsError) -> Self {
        LookupError::Failed(error)
    }
}

/// The user and group files below one root. They are read anew with each question: they are small, and may change.
#[derive(Debug, Clone)]
pub struct Users {
    etc: PathBuf,
}

impl Default for Users {
    fn default() -> Self {
        Users { etc: PathBuf::from("/etc") }
    }
}

impl Users {
    /// The files `passwd` and `group` in this directory.
    pub fn in_directory(etc: impl Into<PathBuf>) -> Self {
        Users { etc: etc.into() }
    }

    /// A user by name or number, with supplementary groups. A number without an entry is a user all the same.
    pub fn user(&self, name: &str) -> Result<UserFacts, LookupError> {
        let number = parse_id(name);
        let passwd = read(&self.etc.join("passwd"))?;
        let found = passwd.lines().filter_map(parse_user).find(|user| match number {
            Some(uid) => user.uid == uid,
            None => user.name == name,
        });
        let mut user = match (found, number) {
            (Some(user), _) => user,
            (None, None) if name == "root" => root(),
            (None, Some(0)) => root(),
            (None, Some(uid)) => UserFacts { name: uid.to_string(), uid, gid: uid, ..UserFacts::default() },
            (None, None) => return Err(LookupError::Unknown(name.to_owned())),
        };
        user.groups = self.groups_of(&user)?;
        Ok(user)
    }

    /// A user by number; an error when no entry has it.
    pub fn by_uid(&self, uid: u32) -> Result<UserFacts, LookupError> {
        let mut user = self.entry_of(uid)?;
        user.groups = self.groups_of(&user)?;
        Ok(user)
    }

    /// The same without supplementary groups.
    pub fn entry_of(&self, uid: u32) -> Result<UserFacts, LookupError> {
        let passwd = read(&self.etc.join("passwd"))?;
        let found = passwd.lines().filter_map(parse_user).find(|user| user.uid == uid);
        match found {
            Some(user) => Ok(user),
            None if uid == 0 => Ok(root()),
            None => Err(LookupError::Unknown(uid.to_string())),
        }
    }

    /// A group's number, by name or number.
    pub fn group(&self, name: &str) -> Result<u32, LookupError> {
        if let Some(gid) = parse_id(name) {
            return Ok(gid);
        }
        let group = read(&self.etc.join("group"))?;
        let found = group.lines().filter_map(parse_group).find(|group| group.name == name);
        match found {
            Some(group) => Ok(group.gid),
            None if name == "root" => Ok(0),
            None => Err(LookupError::Unknown(name.to_owned())),
        }
    }

    /// The name of a group.
    pub fn group_name(&self, gid: u32) -> Option<String> {
        let group = read(&self.etc.join("group")).ok()?;
        group
            .lines()
            .filter_map(parse_group)
            .find(|group| group.gid == gid)
            .map(|group| group.name.to_owned())
    }

    fn groups_of(&self, user: &UserFacts) -> Result<Vec<u32>, LookupError> {
        let group = read(&self.etc.join("group"))?;
        let mut groups: Vec<u32> = group
            .lines()
            .filter_map(parse_group)
            .filter(|group| group.gid != user.gid && group.members.split(',').any(|m| m == user.name))
            .map(|group| group.gid)
            .collect();
        groups.dedup();
        Ok(groups)
    }
}

/// Uid and gid (of a group only that) as the name service has them, whose libraries are not linked into this program: for commands, not
/// for the manager, which waits for nobody.
pub fn asked(database: Database, name: &str) -> Option<(u32, u32)> {
    let line = entry(database, name)?;
    let mut fields = line.split(':').skip(2);
    let id = fields.next()?.parse().ok()?;
    Some((id, if database == Database::Passwd { fields.next()?.parse().ok()? } else { id }))
}

/// The line that the name service has, as in passwd(5) or group(5). As [`asked`], not for the manager.
pub fn entry(database: Database, key: &str) -> Option<String> {
    if key.starts_with('-') {
        return None;
    }
    let word = if database == Database::Passwd { "passwd" } else { "group" };
    let output = std::process::Command::new("getent").args([word, key]).output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim_end().to_owned())
}

/// What the name service is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// Users.
    Passwd,
    /// Groups.
    Group,
}

/// The superuser exists without any file.
fn root() -> UserFacts {
    UserFacts { name: "root".into(), home: "/root".into(), shell: "/bin/sh".into(), ..UserFacts::default() }
}

/// A user or group number: decimal, without sign or leading zeros, and none of the reserved ones.
fn parse_id(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|id| plain && !RESERVED.contains(id))
}

fn parse_user(line: &str) -> Option<UserFacts> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with(['#', '+', '-']))?;
    let (_, uid, gid, _) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let (home, shell) = (fields.next()?, fields.next().unwrap_or(""));
    Some(UserFacts {
        name: name.to_owned(),
        uid: parse_id(uid)?,
        gid: parse_id(gid)?,
        home: home.to_owned(),
        shell: shell.to_owned(),
        groups: Vec::new(),
    })
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

fn parse_group(line: &str) -> Option<Group<'_>> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with(['#', '+', '-']))?;
    let (_, gid) = (fields.next()?, fields.next()?);
    Some(Group { name, gid: parse_id(gid)?, members: fields.next().unwrap_or("") })
}

/// The text of a user file; a missing one is empty.
fn read(path: &Path) -> Result<String, OsError> {
    let failed = |error: std::io::Error| {
        let errno = error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error);
        OsError::new("read", path.to_string_lossy(), errno)
    };
    let mut bytes = Vec::new();
    match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
        Ok(file) => {
            // Asked for its length first, it is read in two calls and not in ten.
            let length = file.metadata().map_or(0, |data| data.len().min(FILE_MAX));
            bytes.reserve_exact(usize::try_from(length).unwrap_or(0) + 1);
            file.take(FILE_MAX).read_to_end(&mut bytes).map_err(failed)?;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn users(name: &str) -> Users {
        let etc = std::env::temp_dir().join(format!("runstead-users-{}-{name}", std::process::id()));
        fs::create_dir_all(&etc).unwrap();
        let passwd = "root:x:0:0:root:/root:/bin/bash\n\n# no\nweb:x:33:33::/var/www:/usr/sbin/nologin\nbad:x:y:3:::\n";
        fs::write(etc.join("passwd"), passwd).unwrap();
        fs::write(etc.join("group"), "root:x:0:\nweb:x:33:\nadm:x:4:syslog,web\ntty:x:5:webby\n").unwrap();
        Users::in_directory(etc)
    }

    #[test]
    fn finds_users_and_their_groups() {
        let users = users("find");
        let web = users.user("web").unwrap();
        assert_eq!(
            (web.uid, web.gid, web.home.as_str(), web.groups.as_slice()),
            (33, 33, "/var/www", &[4][..])
        );
        assert_eq!(users.user("33").unwrap(), web);
        assert_eq!(users.by_uid(33).unwrap(), web);
        assert_eq!(users.user("4711").unwrap().uid, 4711);
        assert_eq!(users.group("adm"), Ok(4));
        assert_eq!(users.group("77"), Ok(77));
        assert_eq!(users.group_name(5).as_deref(), Some("tty"));
        for unknown in ["nobody", "bad", "033", "4294967295", "65535", ""] {
            assert_eq!(users.user(unknown), Err(LookupError::Unknown(unknown.into())));
        }
        fs::remove_dir_all(&users.etc).unwrap();
    }

    #[test]
    fn root_needs_no_file() {
        let users = Users::in_directory("/nonexistent");
        assert_eq!(users.user("root").unwrap().shell, "/bin/sh");
        assert_eq!(users.group("root"), Ok(0));
        assert!(users.user("web").is_err());
    }

    #[test]
    fn dynamic_ids_are_taken_kept_and_released() {
        let users = users("dynamic");
        let run = users.etc.join("run");
        let run = run.to_str().unwrap();
        fs::create_dir_all(format!("{run}/systemd")).unwrap();
        let first = users.dynamic("dy", run).unwrap();
        assert!((dynamic::FIRST..=dynamic::LAST).contains(&first.uid));
        assert_eq!(users.dynamic("dy", run).unwrap(), first);
        let other = users.dynamic("other", run).unwrap();
        assert_ne!(other.uid, first.uid);
        let base = format!("{run}/systemd/dynamic-uid");
        assert_eq!(fs::read_to_string(format!("{base}/{}", first.uid)).unwrap(), "dy\n");
        assert_eq!(
            fs::read_link(format!("{base}/direct:dy")).unwrap().to_str(),
            Some(&*first.uid.to_string())
        );
        assert_eq!(fs::read_link(format!("{base}/direct:{}", first.uid)).unwrap().to_str(), Some("dy"));
        // A static user of that name wins.
        assert_eq!(users.dynamic("web", run).unwrap().uid, 33);
        release_dynamic("dy", run).unwrap();
        release_dynamic("dy", run).unwrap();
        assert_eq!(fs::read_dir(&base).unwrap().count(), 3);
        // What could not be taken whole is free.
        fs::create_dir(format!("{base}/direct:bad")).unwrap();
        assert!(users.dynamic("bad", run).is_err());
        assert_eq!(fs::read_dir(&base).unwrap().count(), 4);
        fs::remove_dir_all(&users.etc).unwrap();
    }

    #[test]
    fn names_of_dynamic_users() {
        let name = |unit: &str| dynamic_name(&runstead_core::names::UnitName::parse(unit).unwrap());
        assert_eq!(name("web.service"), "web");
        assert_eq!(name("web@one.service"), name("web@one.service"));
        assert!(name("9lives.service").starts_with("_du"));
        assert!(name("a.b@c.service").starts_with("_du"));
        assert!(name(&format!("{}.service", "x".repeat(40))).starts_with("_du"));
    }
}
