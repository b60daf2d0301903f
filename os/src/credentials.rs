//! The bytes of a unit's credentials (systemd.exec(5), "Credentials"), read before the plan is compiled.
use crate::error::{Attempt, OsError};
use runstead_core::directives::{base64_decode, ids, is_credential_name};
use runstead_core::names::{UnitName, pattern};
use runstead_core::plan::Credential;
use runstead_core::settings::Settings;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::io::Read as _;
use std::rc::Rc;

/// Largest credential.
const ONE_MAX: u64 = 1 << 20;
/// All of a unit's together.
const ALL_MAX: usize = 1 << 20;
/// Most of a unit's, as many as its file system has room for.
const COUNT_MAX: usize = 1000;
/// Directories in directories that `LoadCredential=` enters.
const DEPTH_MAX: usize = 32;
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// Where credentials come from when only a name is given, most important first; `%` stands for the run root.
const STORES: [&str; 6] = [
    "%/credentials/@system",
    "/etc/credstore",
    "%/credstore",
    "/usr/local/lib/credstore",
    "/usr/lib/credstore",
    "/lib/credstore",
];

/// Whether an earlier process of the same start has put the unit's credentials into place: the mode is what it sets last. They
/// are removed when the unit goes down.
pub fn are_placed(unit: &UnitName, run_root: &str) -> bool {
    let found = rustix::fs::lstat(format!("{run_root}/credentials/{unit}"));
    found.is_ok_and(|found| found.st_mode & 0o7777 == 0o500)
}

/// Credentials by name.
type Found = BTreeMap<String, Vec<u8>>;

/// Gather: `LoadCredential=` first, then `ImportCredential=`, then `SetCredential=` for what is still missing. Nobody may miss
/// a secret unknowingly: only a name that no store has may be absent, and a path for which `SetCredential=` stands in.
///
/// # Errors
/// Text for people when one cannot be read, when an encrypted one is asked for (not supported), or when all of them are too
/// large.
pub fn gather(settings: &Settings, unit: &UnitName, run_root: &str) -> Result<Vec<Credential>, String> {
    let stores: Vec<String> = STORES.iter().map(|store| store.replace('%', run_root)).collect();
    let mut found = Found::new();
    for row in settings.rows(ids::LOAD_CREDENTIAL) {
        if let [name, source, ..] = &**row {
            let stands_in = |row: &Rc<[Rc<str>]>| row.first() == Some(name);
            let optional = settings.rows(ids::SET_CREDENTIAL).iter().any(stands_in);
            load(name, source, &stores, optional, &mut found)
                .map_err(|error| format!("LoadCredential={name}:{source}: {error}"))?;
        }
    }
    for row in settings.rows(ids::IMPORT_CREDENTIAL) {
        if let [glob, rest @ ..] = &**row {
            import(glob, rest.first().map(|name| &**name), &stores, &mut found)
                .map_err(|error| format!("ImportCredential={glob}: {error}"))?;
        }
    }
    for row in settings.rows(ids::SET_CREDENTIAL) {
        if let [name, value, ..] = &**row {
            // The value may be any bytes: settings hold it in base64.
            let bytes = base64_decode(value).unwrap_or_default();
            found.entry(name.to_string()).or_insert(bytes);
        }
    }
    for id in [ids::SET_CREDENTIAL_ENCRYPTED, ids::LOAD_CREDENTIAL_ENCRYPTED] {
        if let Some(row) = settings.rows(id).first() {
            let name = row.first().map_or("", |name| &**name);
            return Err(format!(
                "the credential '{name}' is encrypted, and encrypted credentials are not supported"
            ));
        }
    }
    if found.values().map(Vec::len).sum::<usize>() > ALL_MAX {
        return Err(format!("the credentials of {} are larger than {ALL_MAX} bytes together", unit.as_str()));
    }
    Ok(found.into_iter().map(|(name, bytes)| Credential { name, bytes }).collect())
}

/// `LoadCredential=ID[:PATH]`: a file or directory, or a file of that name in the stores.
fn load(
    name: &str,
    source: &str,
    stores: &[String],
    optional: bool,
    found: &mut Found,
) -> Result<(), OsError> {
    let source = if source.is_empty() { name } else { source };
    if !source.starts_with('/') {
        for store in stores {
            match read_file(CWD, &format!("{store}/{source}")) {
                Ok(bytes) => {
                    found.entry(name.to_owned()).or_insert(bytes);
                    break;
                }
                Err(error) if error.errno == Errno::NOENT => {}
                Err(error) => return Err(error),
            }
        }
        return Ok(());
    }
    match rustix::fs::open(source, DIRECTORY, Mode::empty()) {
        Ok(directory) => return load_directory(&directory, name, 0, found),
        Err(Errno::NOTDIR) => {}
        Err(Errno::NOENT) if optional => return Ok(()),
        Err(errno) => return Err(OsError::new("open", source, errno)),
    }
    let bytes = read_file(CWD, source)?;
    found.entry(name.to_owned()).or_insert(bytes);
    Ok(())
}

/// Each file of a directory becomes `ID_NAME`, and those of directories in it `ID_DIRECTORY_NAME`. What is neither stays out:
/// a link could lead anywhere.
fn load_directory(directory: &OwnedFd, name: &str, depth: usize, found: &mut Found) -> Result<(), OsError> {
    if depth > DEPTH_MAX {
        return Err(OsError::new("enter", name, Errno::LOOP));
    }
    for entry in Dir::read_from(directory).attempt("list", name)? {
        let entry = entry.attempt("list", name)?;
        let file = entry.file_name().to_str().map_err(|_| OsError::new("take", name, Errno::ILSEQ))?;
        if matches!(file, "." | "..") {
            continue;
        }
        let name = format!("{name}_{file}");
        let stat = rustix::fs::statat(directory, file, AtFlags::SYMLINK_NOFOLLOW).attempt("stat", &*name)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let flags = DIRECTORY | OFlags::NOFOLLOW;
                let below =
                    rustix::fs::openat(directory, file, flags, Mode::empty()).attempt("open", &*name)?;
                load_directory(&below, &name, depth + 1, found)?;
            }
            FileType::RegularFile if !is_credential_name(&name) => {
                return Err(OsError::new("take", name, Errno::INVAL));
            }
            FileType::RegularFile => {
                let bytes = read_file(directory, file)?;
                found.entry(name).or_insert(bytes);
            }
            _ => {}
        }
        if found.len() > COUNT_MAX {
            return Err(OsError::new("take", "all credentials", Errno::TOOBIG));
        }
    }
    Ok(())
}

/// `ImportCredential=GLOB[:NAME]`: everything in the stores that matches; the first store that has a name decides.
fn import(glob: &str, rename: Option<&str>, stores: &[String], found: &mut Found) -> Result<(), OsError> {
    for store in stores {
        for entry in fs::read_dir(store).into_iter().flatten().flatten() {
            let file = entry.file_name().to_string_lossy().into_owned();
            if !pattern::matches(glob, &file, pattern::Rules::default()) {
                continue;
            }
            let name = match (rename, glob.strip_suffix('*')) {
                (Some(new), Some(prefix)) => format!("{new}{}", file.strip_prefix(prefix).unwrap_or("")),
                (Some(new), None) => new.to_owned(),
                (None, _) => file.clone(),
            };
            if let Entry::Vacant(place) = found.entry(name) {
                place.insert(read_file(CWD, &format!("{store}/{file}"))?);
            }
        }
    }
    Ok(())
}

/// Only regular files, and opened without waiting: a FIFO would wait for its other end. A socket (`ENXIO`) would have to be
/// waited for, too, which PID 1 does not do.
fn read_file(directory: impl AsFd, path: &str) -> Result<Vec<u8>, OsError> {
    let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    // In somebody's directory only what is there itself.
    flags.set(OFlags::NOFOLLOW, !path.starts_with('/'));
    let fd = rustix::fs::openat(directory, path, flags, Mode::empty()).attempt("open", path)?;
    let stat = rustix::fs::fstat(&fd).attempt("stat", path)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return Err(OsError::new("read", path, Errno::ISDIR)),
        _ => return Err(OsError::new("read", path, Errno::INVAL)),
    }
    let mut bytes = Vec::new();
    fs::File::from(fd).take(ONE_MAX + 1).read_to_end(&mut bytes).attempt("read", path)?;
    if bytes.len() as u64 > ONE_MAX {
        return Err(OsError::new("read", path, Errno::FBIG));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use runstead_core::settings::Value;
    use std::path::Path;

    fn rows(list: &[&[&str]]) -> Value {
        Value::Rows(list.iter().map(|row| row.iter().map(|text| Rc::from(*text)).collect()).collect())
    }

    #[test]
    fn only_a_finished_directory_counts_as_placed() {
        use std::os::unix::fs::PermissionsExt as _;
        let run = std::env::temp_dir().join(format!("runstead-placed-{}", std::process::id()));
        let unit = UnitName::parse("a.service").unwrap();
        let placed = || are_placed(&unit, run.to_str().unwrap());
        assert!(!placed());
        let dir = run.join("credentials/a.service");
        fs::create_dir_all(&dir).unwrap();
        assert!(!placed());
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o500)).unwrap();
        assert!(placed());
        fs::remove_dir_all(run).unwrap();
    }

    /// What is found as text, or that there was an error.
    fn texts(settings: &Settings, run_root: &Path) -> Result<Vec<(String, String)>, String> {
        let unit = UnitName::parse("a.service").unwrap();
        let text = |one: Credential| (one.name, String::from_utf8(one.bytes).unwrap());
        Ok(gather(settings, &unit, run_root.to_str().unwrap())?.into_iter().map(text).collect())
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn files_stores_and_values() {
        let dir = std::env::temp_dir().join(format!("runstead-credentials-{}", std::process::id()));
        let store = dir.join("credstore");
        fs::create_dir_all(&store).unwrap();
        fs::write(dir.join("one"), "1").unwrap();
        std::os::unix::fs::symlink("one", dir.join("link")).unwrap();
        fs::write(store.join("imp.a"), "a").unwrap();
        fs::write(store.join("imp.b"), "b").unwrap();
        let mut settings = Settings::default();
        let link = dir.join("link").to_string_lossy().into_owned();
        let loaded: [&[&str]; 3] = [&["first", &link], &["gone", "gone"], &["set", "/no/such/file"]];
        settings.set(ids::LOAD_CREDENTIAL, rows(&loaded));
        settings.set(ids::IMPORT_CREDENTIAL, rows(&[&["imp.*"]]));
        settings.set(ids::SET_CREDENTIAL, rows(&[&["first", "aGlkZGVu"], &["set", "dmFsdWU="]]));
        let expected = owned(&[("first", "1"), ("imp.a", "a"), ("imp.b", "b"), ("set", "value")]);
        assert_eq!(texts(&settings, &dir), Ok(expected));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_directory_gives_its_files_and_no_links() {
        let dir = std::env::temp_dir().join(format!("runstead-credentials-dir-{}", std::process::id()));
        fs::create_dir_all(dir.join("d/sub")).unwrap();
        for (file, text) in [("d/a", "1"), ("d/sub/b", "2"), ("secret", "3")] {
            fs::write(dir.join(file), text).unwrap();
        }
        std::os::unix::fs::symlink("../secret", dir.join("d/link")).unwrap();
        std::os::unix::fs::symlink("sub", dir.join("d/to-sub")).unwrap();
        let source = dir.join("d").to_string_lossy().into_owned();
        let mut settings = Settings::default();
        settings.set(ids::LOAD_CREDENTIAL, rows(&[&["k", &source]]));
        assert_eq!(texts(&settings, &dir), Ok(owned(&[("k_a", "1"), ("k_sub_b", "2")])));
        fs::write(dir.join("d/no:name"), "").unwrap();
        assert!(texts(&settings, &dir).is_err());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let dir = std::env::temp_dir().join(format!("runstead-credentials-bad-{}", std::process::id()));
        let store = dir.join("credstore");
        fs::create_dir_all(store.join("directory")).unwrap();
        let large = vec![0; usize::try_from(ONE_MAX).unwrap() + 1];
        fs::write(store.join("large"), large).unwrap();
        rustix::fs::mknodat(CWD, dir.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let socket = std::os::unix::net::UnixListener::bind(dir.join("socket")).unwrap();
        let path = |name: &str| dir.join(name).to_string_lossy().into_owned();
        let sources = [path("missing"), path("fifo"), path("socket"), "large".into(), "directory".into()];
        for source in &sources {
            let mut settings = Settings::default();
            settings.set(ids::LOAD_CREDENTIAL, rows(&[&["k", source]]));
            assert!(texts(&settings, &dir).is_err(), "{source}");
            // What is there but no good is not stood in for.
            settings.set(ids::SET_CREDENTIAL, rows(&[&["k", "dmFsdWU="]]));
            assert_eq!(texts(&settings, &dir).is_ok(), source == &path("missing"), "{source}");
        }
        let mut settings = Settings::default();
        settings.set(ids::IMPORT_CREDENTIAL, rows(&[&["lar*"]]));
        assert!(texts(&settings, &dir).is_err());
        drop(socket);
        fs::remove_dir_all(dir).unwrap();
    }
}
