//! Where unit files and their drop-ins are looked for (`systemd.unit(5)` "Unit File Load Path"). Pure: which paths,
//! in which order, and which of the files found there count.

use crate::names::UnitName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a directory of the load path is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Written by `systemctl set-property`.
    PersistentControl,
    /// Written by `systemctl set-property --runtime`.
    RuntimeControl,
    /// Units made by clients.
    Transient,
    /// Generators, before everything of the administrator.
    GeneratorEarly,
    /// The administrator's own.
    PersistentConfig,
    /// Portable services.
    PersistentAttached,
    /// The administrator's own until reboot.
    RuntimeConfig,
    /// Portable services until reboot.
    RuntimeAttached,
    /// Generators.
    Generator,
    /// Installed packages.
    Vendor,
    /// Generators, after everything.
    GeneratorLate,
}

/// One directory of the load path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// The absolute path.
    pub path: String,
    /// What it is for.
    pub role: Role,
}

/// The load path, what counts most first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadPath {
    /// The directories.
    pub directories: Vec<Directory>,
}

/// Directories of a user, from which the user manager's load path follows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserDirectories {
    /// `$XDG_CONFIG_HOME`, normally `~/.config`
    pub config_home: String,
    /// `$XDG_DATA_HOME`, normally `~/.local/share`
    pub data_home: String,
    /// `$XDG_RUNTIME_DIR`, if there is one
    pub runtime: Option<String>,
    /// `$XDG_CONFIG_DIRS`, normally `/etc/xdg`
    pub config_dirs: Vec<String>,
    /// `$XDG_DATA_DIRS`, normally `/usr/local/share`, `/usr/share`
    pub data_dirs: Vec<String>,
}

impl LoadPath {
    /// The system manager's load path; `run` is the run root, normally `/run`.
    pub fn system(run: &str) -> LoadPath {
        use Role::*;
        LoadPath::of([
            ("/etc/systemd/system.control".to_owned(), PersistentControl),
            (format!("{run}/systemd/system.control"), RuntimeControl),
            (format!("{run}/systemd/transient"), Transient),
            (format!("{run}/systemd/generator.early"), GeneratorEarly),
            ("/etc/systemd/system".to_owned(), PersistentConfig),
            ("/etc/systemd/system.attached".to_owned(), PersistentAttached),
            (format!("{run}/systemd/system"), RuntimeConfig),
            (format!("{run}/systemd/system.attached"), RuntimeAttached),
            (format!("{run}/systemd/generator"), Generator),
            ("/usr/local/lib/systemd/system".to_owned(), Vendor),
            ("/usr/lib/systemd/system".to_owned(), Vendor),
            (format!("{run}/systemd/generator.late"), GeneratorLate),
        ])
    }

    /// The load path of a user's manager; `run` is the machine's run root.
    pub fn user(run: &str, user: &UserDirectories) -> LoadPath {
        use Role::*;
        let runtime =
            |name: &str, role| user.runtime.iter().map(move |r| (format!("{r}/systemd/{name}"), role)).next();
        let mut list = vec![(format!("{}/systemd/user.control", user.config_home), PersistentControl)];
        list.extend(runtime("user.control", RuntimeControl));
        list.extend(runtime("transient", Transient));
        list.extend(runtime("generator.early", GeneratorEarly));
        list.push((format!("{}/systemd/user", user.config_home), PersistentConfig));
        list.extend(user.config_dirs.iter().map(|dir| (format!("{dir}/systemd/user"), PersistentConfig)));
        list.push(("/etc/systemd/user".to_owned(), PersistentConfig));
        list.extend(runtime("user", RuntimeConfig));
        list.push((format!("{run}/systemd/user"), RuntimeConfig));
        list.extend(runtime("generator", Generator));
        list.push((format!("{}/systemd/user", user.data_home), Vendor));
        list.extend(user.data_dirs.iter().map(|dir| (format!("{dir}/systemd/user"), Vendor)));
        list.push(("/usr/local/lib/systemd/user".to_owned(), Vendor));
        list.push(("/usr/lib/systemd/user".to_owned(), Vendor));
        list.extend(runtime("generator.late", GeneratorLate));
        LoadPath::of(list)
    }

    /// The directories that `$SYSTEMD_UNIT_PATH` names; an empty last part adds the given load path.
    pub fn from_variable(value: &str, normal: LoadPath) -> LoadPath {
        let own = value.strip_suffix(':');
        let named = own.unwrap_or(value).split(':').filter(|dir| dir.starts_with('/'));
        let mut list: Vec<(String, Role)> =
            named.map(|dir| (dir.trim_end_matches('/').to_owned(), Role::Vendor)).collect();
        if own.is_some() || value.is_empty() {
            list.extend(normal.directories.into_iter().map(|dir| (dir.path, dir.role)));
        }
        LoadPath::of(list)
    }

    fn of(list: impl IntoIterator<Item = (String, Role)>) -> LoadPath {
        let mut directories: Vec<Directory> = Vec::new();
        for (path, role) in list {
            if !directories.iter().any(|known| known.path == path) {
                directories.push(Directory { path, role });
            }
        }
        LoadPath { directories }
    }

    /// The paths alone.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.directories.iter().map(|dir| dir.path.as_str())
    }

    /// The role of the directory that a file lies in, directly or in a directory below.
    pub fn role_of(&self, file: &str) -> Option<Role> {
        let inside =
            |dir: &&Directory| file.strip_prefix(&dir.path).is_some_and(|rest| rest.starts_with('/'));
        self.directories.iter().find(inside).map(|dir| dir.role)
    }

    /// The first directory of a role.
    pub fn first(&self, role: Role) -> Option<&str> {
        self.directories.iter().find(|dir| dir.role == role).map(|dir| dir.path.as_str())
    }

    /// Paths at which a unit's main file may lie, what counts most first: an instance's own file anywhere comes
    /// before its template's.
    pub fn candidates(&self, name: &UnitName) -> Vec<String> {
        let template = name.template().filter(|template| template != name);
        let names = [Some(name.clone()), template].into_iter().flatten();
        names
            .flat_map(|name| self.paths().map(move |dir| format!("{dir}/{name}")).collect::<Vec<_>>())
            .collect()
    }

    /// Directories that may hold a unit's drop-ins, what counts most first. `names`: the unit's own name, then
    /// its aliases.
    pub fn dropin_directories(&self, names: &[UnitName]) -> Vec<String> {
        self.companion_directories(names, "d")
    }

    /// Directories beside the unit files whose name is a unit's with a suffix: `d`, `wants`, `requires`, `upholds`.
    pub fn companion_directories(&self, names: &[UnitName], suffix: &str) -> Vec<String> {
        let mut list = Vec::new();
        for name in names {
            let own = companion_names(name);
            for dir in self.paths() {
                list.extend(own.iter().map(|stem| format!("{dir}/{stem}.{suffix}")));
            }
        }
        if let Some(kind) = names.first().map(UnitName::kind) {
            list.extend(self.paths().map(|dir| format!("{dir}/{kind}.{suffix}")));
        }
        let mut seen = std::collections::BTreeSet::new();
        list.retain(|path| seen.insert(path.clone()));
        list
    }
}

/// The names whose drop-ins apply to a unit, the closest first, without the one of its type:
/// `a-b@x.service`, `a-b@.service`, `a-@x.service`, `a-@.service`.
pub fn companion_names(name: &UnitName) -> Vec<String> {
    let mut names = vec![name.as_str().to_owned()];
    names.extend(name.template().filter(|template| template != name).map(|template| template.to_string()));
    let template_dashes = name.template().map(|template| template.prefix_dashes()).unwrap_or_default();
    for (index, cut) in name.prefix_dashes().into_iter().enumerate() {
        let of_template = template_dashes.get(index).filter(|template| **template != cut).cloned();
        names.push(cut);
        names.extend(of_template);
    }
    names
}

/// Chooses the drop-ins that count from directory listings (directory, file names), given in the order of
/// [`LoadPath::dropin_directories`]: only `*.conf`, of each file name the first one, sorted by file name. A chosen
/// file that is empty or a link to `/dev/null` thereby masks the others of its name.
pub fn select_dropins<'a>(listings: impl IntoIterator<Item = (&'a str, &'a [String])>) -> Vec<String> {
    let mut chosen: BTreeMap<&str, String> = BTreeMap::new();
    for (directory, files) in listings {
        for file in files.iter().filter(|file| is_dropin(file)) {
            chosen.entry(file).or_insert_with(|| format!("{directory}/{file}"));
        }
    }
    chosen.into_values().collect()
}

/// Whether this is a drop-in's file name.
pub fn is_dropin(file: &str) -> bool {
    file.ends_with(".conf") && !file.starts_with('.') && !file.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> UnitName {
        UnitName::parse(text).expect("test name is valid")
    }

    /// Observed: the `UnitPath` property of the reference.
    #[test]
    fn system_load_path() {
        let path = LoadPath::system("/run");
        assert_eq!(
            path.paths().collect::<Vec<_>>().join(" "),
            "/etc/systemd/system.control /run/systemd/system.control /run/systemd/transient \
             /run/systemd/generator.early /etc/systemd/system /etc/systemd/system.attached /run/systemd/system \
             /run/systemd/system.attached /run/systemd/generator /usr/local/lib/systemd/system \
             /usr/lib/systemd/system /run/systemd/generator.late"
        );
        assert_eq!(path.role_of("/run/systemd/system/a.service"), Some(Role::RuntimeConfig));
        assert_eq!(
            path.role_of("/run/systemd/system.control/a.service.d/x.conf"),
            Some(Role::RuntimeControl)
        );
        assert_eq!(path.role_of("/tmp/a.service"), None);
        assert_eq!(path.first(Role::Transient), Some("/run/systemd/transient"));
    }

    /// Observed with `systemd-analyze --user unit-paths`, where `/etc/xdg/systemd/user` is a link to the next.
    #[test]
    fn user_load_path() {
        let user = UserDirectories {
            config_home: "/root/.config".into(),
            data_home: "/root/.local/share".into(),
            runtime: Some("/run/user/0".into()),
            config_dirs: Vec::new(),
            data_dirs: vec!["/usr/local/share".into(), "/usr/share".into()],
        };
        assert_eq!(
            LoadPath::user("/run", &user).paths().take(12).collect::<Vec<_>>().join(" "),
            "/root/.config/systemd/user.control /run/user/0/systemd/user.control /run/user/0/systemd/transient \
             /run/user/0/systemd/generator.early /root/.config/systemd/user /etc/systemd/user \
             /run/user/0/systemd/user /run/systemd/user /run/user/0/systemd/generator \
             /root/.local/share/systemd/user /usr/local/share/systemd/user /usr/share/systemd/user"
        );
    }

    #[test]
    fn variable() {
        let normal = LoadPath::system("/run");
        let path = LoadPath::from_variable("/a:/b/:", normal.clone());
        assert_eq!(path.paths().take(3).collect::<Vec<_>>(), ["/a", "/b", "/etc/systemd/system.control"]);
        assert_eq!(LoadPath::from_variable("/a", normal).paths().collect::<Vec<_>>(), ["/a"]);
    }

    /// Observed by removing the winning drop-in again and again.
    #[test]
    fn dropin_order() {
        let path =
            LoadPath::of([("/etc".into(), Role::PersistentConfig), ("/run".into(), Role::RuntimeConfig)]);
        assert_eq!(
            path.dropin_directories(&[name("f-g-h@x-y.service"), name("q-r@x.service")]),
            [
                "/etc/f-g-h@x-y.service.d",
                "/etc/f-g-h@.service.d",
                "/etc/f-g-@x-y.service.d",
                "/etc/f-g-@.service.d",
                "/etc/f-@x-y.service.d",
                "/etc/f-@.service.d",
                "/run/f-g-h@x-y.service.d",
                "/run/f-g-h@.service.d",
                "/run/f-g-@x-y.service.d",
                "/run/f-g-@.service.d",
                "/run/f-@x-y.service.d",
                "/run/f-@.service.d",
                "/etc/q-r@x.service.d",
                "/etc/q-r@.service.d",
                "/etc/q-@x.service.d",
                "/etc/q-@.service.d",
                "/run/q-r@x.service.d",
                "/run/q-r@.service.d",
                "/run/q-@x.service.d",
                "/run/q-@.service.d",
                "/etc/service.d",
                "/run/service.d",
            ]
        );
        assert_eq!(
            path.candidates(&name("a@b.service")),
            ["/etc/a@b.service", "/run/a@b.service", "/etc/a@.service", "/run/a@.service"]
        );
        assert_eq!(path.candidates(&name("a.service")).len(), 2);
    }

    #[test]
    fn shadowing() {
        let (near, far) =
            (["50-a.conf".to_owned(), "x".to_owned()], ["50-a.conf".to_owned(), "40-r.conf".to_owned()]);
        let chosen = select_dropins([("/etc/a.service.d", &near[..]), ("/run/service.d", &far[..])]);
        assert_eq!(chosen, ["/run/service.d/40-r.conf", "/etc/a.service.d/50-a.conf"]);
        assert!(!is_dropin(".a.conf"));
        assert!(is_dropin("a.conf"));
    }
}
