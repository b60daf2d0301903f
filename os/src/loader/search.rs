//! The directories that are searched (systemd.unit(5), "Unit File Load Path").
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Whose units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The system manager's.
    System,
    /// A user manager's.
    User {
        /// `$XDG_CONFIG_HOME`, by default `$HOME/.config`.
        config_home: String,
        /// `$XDG_DATA_HOME`, by default `$HOME/.local/share`.
        data_home: String,
        /// `$XDG_DATA_DIRS`, by default these two.
        data_dirs: Vec<String>,
    },
}

/// The search path, the most important directory first. `run_root` is `/run` or `$XDG_RUNTIME_DIR`. A value of
/// `$SYSTEMD_UNIT_PATH` replaces it, or with a colon at its end goes before it.
pub fn search_path(scope: &Scope, run_root: &str, from_environment: Option<&str>) -> Vec<String> {
    let default = match scope {
        Scope::System => system(run_root),
        Scope::User { config_home, data_home, data_dirs } => {
            user(run_root, config_home, data_home, data_dirs)
        }
    };
    let mut paths: Vec<String> = match from_environment.filter(|text| !text.is_empty()) {
        None => default,
        Some(text) => {
            let own = text
                .split(':')
                .filter(|path| path.starts_with('/'))
                .map(|path| path.trim_end_matches('/').to_owned());
            let rest = if text.ends_with(':') { default } else { Vec::new() };
            own.chain(rest).collect()
        }
    };
    // `/lib` may be a link to `/usr/lib`: the same directory twice would only cost.
    if std::fs::canonicalize("/lib").is_ok_and(|real| real == std::path::Path::new("/usr/lib")) {
        paths.retain(|path| !path.starts_with("/lib/"));
    }
    let mut seen = std::collections::BTreeSet::new();
    paths.retain(|path| seen.insert(path.clone()));
    paths
}

fn system(run: &str) -> Vec<String> {
    let fixed = [
        "/etc/systemd/system.control",
        "RUN/systemd/system.control",
        "RUN/systemd/transient",
        "RUN/systemd/generator.early",
        "/etc/systemd/system",
        "/etc/systemd/system.attached",
        "RUN/systemd/system",
        "RUN/systemd/system.attached",
        "RUN/systemd/generator",
        "/usr/local/lib/systemd/system",
        "/usr/lib/systemd/system",
        "/lib/systemd/system",
        "RUN/systemd/generator.late",
    ];
    fixed.iter().map(|path| path.replacen("RUN", run, 1)).collect()
}

fn user(run: &str, config: &str, data: &str, data_dirs: &[String]) -> Vec<String> {
    let mut paths = vec![
        format!("{config}/systemd/user.control"),
        format!("{run}/systemd/user.control"),
        format!("{run}/systemd/transient"),
        format!("{run}/systemd/generator.early"),
        format!("{config}/systemd/user"),
        "/etc/xdg/systemd/user".to_owned(),
        "/etc/systemd/user".to_owned(),
        format!("{run}/systemd/user"),
        "/run/systemd/user".to_owned(),
        format!("{run}/systemd/generator"),
        format!("{data}/systemd/user"),
    ];
    paths.extend(data_dirs.iter().map(|dir| format!("{dir}/systemd/user")));
    paths.extend(["/usr/local/lib/systemd/user".to_owned(), "/usr/lib/systemd/user".to_owned()]);
    paths.push(format!("{run}/systemd/generator.late"));
    paths
}

/// The files of a configuration (systemd-system.conf(5), "Configuration Directories and Precedence"): `name` relative to
/// the configuration directories ("systemd/system.conf"), the main file first, then its `.d` drop-ins by name; path and
/// bytes of those that could be read.
pub fn config_files(name: &str, run_root: &str) -> Vec<(String, Vec<u8>)> {
    let dirs = ["/etc".to_owned(), run_root.to_owned(), "/usr/local/lib".to_owned(), "/usr/lib".to_owned()];
    let read = |path: String| std::fs::read(&path).ok().map(|bytes| (path, bytes));
    let mut files: Vec<(String, Vec<u8>)> =
        dirs.iter().find_map(|dir| read(format!("{dir}/{name}"))).into_iter().collect();
    let dropins = conf_files(dirs.iter().map(|dir| format!("{dir}/{name}.d")));
    files.extend(dropins.into_iter().filter_map(|path| read(path.to_string_lossy().into_owned())));
    files
}

/// The files `*.conf` of directories, the most important directory first: of each name one, sorted by name.
pub fn conf_files(directories: impl IntoIterator<Item = impl AsRef<Path>>) -> Vec<PathBuf> {
    let mut found: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for directory in directories {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if Path::new(&name).extension().is_some_and(|extension| extension == "conf") {
                found.entry(name).or_insert_with(|| entry.path());
            }
        }
    }
    found.into_values().collect()
}
