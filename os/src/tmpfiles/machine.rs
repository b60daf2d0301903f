//! What lines ask of this machine, or of a tree.
use crate::host::Host;
use crate::identity::Identity;
use crate::users::{Database, Users, asked, own};
use runstead_core::names::UnitName;
use runstead_core::names::specifiers::{HostSpecifiers, ManagerSpecifiers, SpecifierError, Specifiers};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The letters that tmpfiles.d(5) knows.
const LETTERS: &str = "aAbBCgGhHlLmMoqStTuUvVwW";

/// A machine, or a tree.
#[derive(Debug)]
pub struct Machine {
    host: HostSpecifiers,
    owner: ManagerSpecifiers,
    users: Users,
    /// Name services are asked, too.
    is_here: bool,
    /// The directory of who calls is known where that is asked for.
    has_runtime: bool,
    root: PathBuf,
    known: RefCell<BTreeMap<(bool, String), Option<u32>>>,
}

impl Machine {
    /// Looks; `root` is `/` for this machine, and `user` asks for the directories of who calls.
    pub fn new(root: &Path, user: bool) -> Machine {
        let is_here = root == Path::new("/");
        let host = Host::new(Identity::read());
        let host = if is_here { host } else { host.of_tree(root) };
        let users = Users::in_directory(root.join("etc"));
        let owner = caller(&users, user);
        Machine {
            host: HostSpecifiers { pretty_host_name: pretty(root, &host.specifiers()), ..host.specifiers() },
            owner: ManagerSpecifiers { tmp: temporary("/tmp"), var_tmp: temporary("/var/tmp"), ..owner },
            users,
            is_here,
            has_runtime: !user || runtime_directory().is_some(),
            root: root.to_owned(),
            known: RefCell::default(),
        }
    }

    /// Where configuration is looked for, the most important first.
    pub fn directories(&self, user: bool) -> Vec<PathBuf> {
        if !user {
            let below = ["etc", "run", "usr/local/lib", "usr/lib"];
            return below.iter().map(|part| self.root.join(part).join("tmpfiles.d")).collect();
        }
        let list = |name: &str, default: &str| -> Vec<String> {
            let text = std::env::var(name).ok().filter(|text| !text.is_empty());
            text.unwrap_or_else(|| default.to_owned()).split(':').map(str::to_owned).collect()
        };
        let own = &self.owner;
        let mut all = vec![own.config_root.clone()];
        all.extend(list("XDG_CONFIG_DIRS", "/etc/xdg"));
        all.extend(Some(own.runtime_root.clone()).filter(|_| self.has_runtime));
        all.push(own.data_root.clone());
        all.extend(list("XDG_DATA_DIRS", "/usr/local/share:/usr/share"));
        all.into_iter().map(|directory| Path::new(&directory).join("user-tmpfiles.d")).collect()
    }

    fn id(&self, group: bool, name: &str) -> Option<u32> {
        let key = (group, name.to_owned());
        if let Some(known) = self.known.borrow().get(&key) {
            return *known;
        }
        let id = match group {
            true => self.users.group(name).ok(),
            false => self.users.user(name).ok().map(|user| user.uid),
        };
        let database = if group { Database::Group } else { Database::Passwd };
        let ask = || asked(database, name).filter(|_| name.parse::<u32>().is_err()).map(|(id, _)| id);
        let id = id.or_else(|| self.is_here.then(ask).flatten());
        self.known.borrow_mut().insert(key, id);
        id
    }
}

/// Who calls, and with `own` his directories instead of the system's.
fn caller(users: &Users, own: bool) -> ManagerSpecifiers {
    let found = own::find(users, true);
    let all = own::specifiers(
        users,
        &found,
        &runtime_directory().unwrap_or_else(|| format!("/run/user/{}", found.uid)),
    );
    if own {
        return all;
    }
    let ManagerSpecifiers { user_name, uid, group_name, gid, home, shell, .. } = all;
    ManagerSpecifiers { user_name, uid, group_name, gid, home, shell, ..ManagerSpecifiers::system("/run") }
}

fn runtime_directory() -> Option<String> {
    std::env::var("XDG_RUNTIME_DIR").ok().filter(|path| path.starts_with('/'))
}

/// `$TMPDIR` and its like, where one is an absolute path of a directory.
fn temporary(default: &str) -> String {
    let variables = ["TMPDIR", "TEMP", "TMP"];
    let given = variables.iter().filter_map(|name| std::env::var(name).ok());
    let mut usable = given.filter(|path| path.starts_with('/') && Path::new(path).is_dir());
    usable.next().unwrap_or_else(|| default.to_owned())
}

/// `PRETTY_HOSTNAME=` of machine-info(5), else the short host name.
fn pretty(root: &Path, host: &HostSpecifiers) -> String {
    let text = std::fs::read_to_string(root.join("etc/machine-info")).unwrap_or_default();
    let given = text.lines().find_map(|line| line.trim().strip_prefix("PRETTY_HOSTNAME="));
    let given =
        given.map(|value| value.trim_matches(['"', '\'']).to_owned()).filter(|value| !value.is_empty());
    given.unwrap_or_else(|| host.host_name.split('.').next().unwrap_or("").to_owned())
}

impl runstead_core::tmpfiles::Host for Machine {
    fn specifier(&self, letter: char) -> Option<Result<String, SpecifierError>> {
        if !LETTERS.contains(letter) {
            return None;
        }
        if letter == 't' && !self.has_runtime {
            return Some(Err(SpecifierError { specifier: 't', reason: "XDG_RUNTIME_DIR is not set" }));
        }
        // The letters of units are not among them.
        let unit = UnitName::parse("tmpfiles.service").ok()?;
        let all = Specifiers { unit: &unit, fragment_path: None, host: &self.host, manager: &self.owner };
        all.resolve(letter)
    }

    fn user(&self, name: &str) -> Option<u32> {
        self.id(false, name)
    }

    fn group(&self, name: &str) -> Option<u32> {
        self.id(true, name)
    }

    fn credential(&self, name: &str) -> Option<Vec<u8>> {
        let directory = std::env::var_os("CREDENTIALS_DIRECTORY")?;
        std::fs::read(Path::new(&directory).join(name)).ok()
    }

    fn exists(&self, path: &str) -> bool {
        let path = Path::new(path);
        let path = match path.strip_prefix("/") {
            Ok(below) => self.root.join(below),
            Err(_) => path.to_owned(),
        };
        let looked = path.symlink_metadata();
        // Who may not look cannot say that it is not there.
        !looked.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    }
}
