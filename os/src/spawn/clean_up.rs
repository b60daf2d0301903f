//! What is removed when a unit goes down (systemd.exec(5): `RuntimeDirectoryPreserve=`, `PrivateTmp=`, credentials,
//! `DynamicUser=`), and what `CleanUnit` of a client removes.
use crate::OsError;
use crate::rundir::RunDir;
use crate::users::release_dynamic;
use runstead_core::directives::ids;
use runstead_core::engine::effect::CleanUp;
use runstead_core::names::UnitName;
use runstead_core::plan::Prefixes;
use runstead_core::settings::{DirectiveId, Settings};
use rustix::fs::{AtFlags, CWD, OFlags, openat, statat};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use std::fs;

/// Bits of `CleanUp::Directories`.
const CLEAN: [(u32, DirectiveId); 5] = [
    (1, ids::RUNTIME_DIRECTORY),
    (2, ids::STATE_DIRECTORY),
    (4, ids::CACHE_DIRECTORY),
    (8, ids::LOGS_DIRECTORY),
    (16, ids::CONFIGURATION_DIRECTORY),
];

/// Remove it. That it is not there is fine; the first error is given back, after trying the rest.
pub fn clean_up(
    unit: &UnitName,
    settings: &Settings,
    prefixes: &Prefixes,
    what: CleanUp,
) -> Result<(), OsError> {
    match what {
        CleanUp::RuntimeDirectories => {
            remove_directories(settings, ids::RUNTIME_DIRECTORY, &prefixes.runtime, false)
        }
        CleanUp::Directories(mask) => {
            let places = [
                &prefixes.runtime,
                &prefixes.state,
                &prefixes.cache,
                &prefixes.logs,
                &prefixes.configuration,
            ];
            let mut result = Ok(());
            for ((bit, id), prefix) in CLEAN.into_iter().zip(places) {
                if mask & bit != 0 {
                    result = result.and(remove_directories(settings, id, prefix, true));
                }
            }
            result
        }
        CleanUp::Namespace => ["/tmp", "/var/tmp"]
            .into_iter()
            .map(|base| remove_private_tmp(base, unit.as_str()))
            .fold(Ok(()), Result::and),
        CleanUp::Propagation => {
            let path = format!("{}/systemd/propagate/{unit}", prefixes.runtime);
            match rustix::fs::rmdir(&path) {
                Ok(()) | Err(Errno::NOENT) => Ok(()),
                // Something is mounted there.
                Err(errno) => Err(OsError::new("remove", path, errno)),
            }
        }
        CleanUp::Credentials => remove_credentials(&format!("{}/credentials/{unit}", prefixes.runtime)),
        CleanUp::DynamicUser => {
            let own = settings.text(ids::USER).map(str::to_owned);
            let name = own.unwrap_or_else(|| crate::users::dynamic_name(unit));
            release_dynamic(&name, &prefixes.runtime)
        }
    }
}

/// The directories of one kind, their links, and where they lie behind `private/`; also those on a disk that root's links lead to if that
/// is asked for.
fn remove_directories(
    settings: &Settings,
    id: DirectiveId,
    prefix: &str,
    on_disk: bool,
) -> Result<(), OsError> {
    let rows = settings.rows(id);
    if rows.is_empty() {
        return Ok(());
    }
    let root = match RunDir::open(prefix) {
        Err(error) if error.errno == Errno::NOENT => return Ok(()),
        other => other?,
    };
    let mut result = Ok(());
    for row in rows {
        let Some(name) = row.first() else { continue };
        result = result.and(root.discard_linked_tree(name, on_disk));
        result = result.and(root.discard_linked_tree(&format!("private/{name}"), on_disk));
        for link in row.get(1).map_or("", |links| links).split(':').filter(|link| !link.is_empty()) {
            let path = format!("{prefix}/{link}");
            if fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
                result = result.and(root.remove(link));
            }
        }
    }
    result
}

/// `systemd-private-BOOTID-UNIT-RANDOM` of this unit; only what belongs to us, since the parent is everybody's.
fn remove_private_tmp(base: &str, unit: &str) -> Result<(), OsError> {
    let Ok(entries) = fs::read_dir(base) else { return Ok(()) };
    let root = RunDir::open(base)?;
    let mut result = Ok(());
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| is_private_tmp_of(name, unit)) else { continue };
        let ours = statat(CWD, entry.path(), AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|st| st.st_uid == rustix::process::geteuid().as_raw());
        if ours {
            result = result.and(root.discard_tree(name));
        }
    }
    result
}

fn is_private_tmp_of(name: &str, unit: &str) -> bool {
    name.strip_prefix("systemd-private-")
        .and_then(|rest| rest.get(32..))
        .and_then(|rest| rest.strip_prefix('-'))
        .and_then(|rest| rest.strip_prefix(unit))
        .and_then(|rest| rest.strip_prefix('-'))
        .is_some_and(|random| random.len() == 6 && random.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn remove_credentials(path: &str) -> Result<(), OsError> {
    if openat(CWD, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, rustix::fs::Mode::empty())
        .is_err()
    {
        return Ok(());
    }
    // An earlier crash may have left one mount over another.
    for _ in 0..4 {
        if unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).is_err() {
            break;
        }
    }
    let (parent, name) = path.rsplit_once('/').unwrap_or(("/", path));
    RunDir::open(parent)?.remove_tree(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_private_directories() {
        let boot = "0123456789abcdef0123456789abcdef";
        let name = |unit: &str, random: &str| format!("systemd-private-{boot}-{unit}-{random}");
        assert!(is_private_tmp_of(&name("a.service", "AbC123"), "a.service"));
        assert!(!is_private_tmp_of(&name("a.service", "AbC123"), "b.service"));
        assert!(!is_private_tmp_of(&name("a.service", "AbC12"), "a.service"));
        assert!(!is_private_tmp_of("systemd-private-x", "a.service"));
    }

    #[test]
    fn a_large_tree_is_out_of_the_way_at_once_and_gone_soon() {
        let base = std::env::temp_dir().join(format!("runstead-discard-{}", std::process::id()));
        fs::create_dir_all(base.join("big/deep")).unwrap();
        for n in 0..500 {
            fs::write(base.join(format!("big/deep/{n}")), "").unwrap();
        }
        let root = RunDir::open(base.to_str().unwrap()).unwrap();
        root.discard_tree("big").unwrap();
        root.discard_tree("big").unwrap();
        assert!(!base.join("big").exists());
        let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while fs::read_dir(&base).unwrap().next().is_some() {
            assert!(std::time::Instant::now() < end, "the child removes the rest");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn removes_directories_links_and_credentials() {
        let base = std::env::temp_dir().join(format!("runstead-clean-{}", std::process::id()));
        let _ = fs::remove_dir_all(&base);
        fs::create_dir_all(base.join("a/b/c")).unwrap();
        fs::create_dir_all(base.join("credentials/t.service")).unwrap();
        std::os::unix::fs::symlink("a/b", base.join("link")).unwrap();
        let mut settings = Settings::default();
        let row: std::rc::Rc<[std::rc::Rc<str>]> =
            ["a/b", "link", ""].map(std::rc::Rc::from).into_iter().collect();
        settings
            .set(ids::RUNTIME_DIRECTORY, runstead_core::settings::Value::Rows([row].into_iter().collect()));
        let prefixes = Prefixes { runtime: base.to_str().unwrap().to_owned(), ..Prefixes::default() };
        let unit = UnitName::parse("t.service").unwrap();
        clean_up(&unit, &settings, &prefixes, CleanUp::RuntimeDirectories).unwrap();
        clean_up(&unit, &settings, &prefixes, CleanUp::Credentials).unwrap();
        clean_up(&unit, &settings, &prefixes, CleanUp::DynamicUser).unwrap();
        assert!(base.join("a").exists() && !base.join("a/b").exists());
        assert!(fs::symlink_metadata(base.join("link")).is_err());
        assert!(!base.join("credentials/t.service").exists());
        fs::remove_dir_all(&base).unwrap();
    }
}
