//! The bytes of a unit's credentials (systemd.exec(5), "Credentials"), read before the plan is compiled.
use runstead_core::directives::{base64_decode, ids};
use runstead_core::names::{UnitName, pattern};
use runstead_core::plan::Credential;
use runstead_core::settings::Settings;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Largest credential.
const ONE_MAX: u64 = 1 << 20;
/// All of a unit's together.
const ALL_MAX: usize = 1 << 20;

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

/// Gather: `LoadCredential=` first, then `ImportCredential=`, then `SetCredential=` for what is still missing.
/// What cannot be read is left out unless there is nothing else, as the reference does.
///
/// # Errors
/// Text for people when an encrypted credential is asked for (not supported), or when all of them are too large.
pub fn gather(settings: &Settings, unit: &UnitName, run_root: &str) -> Result<Vec<Credential>, String> {
    let stores: Vec<String> = STORES.iter().map(|store| store.replace('%', run_root)).collect();
    let mut found: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for row in settings.rows(ids::LOAD_CREDENTIAL) {
        if let [name, source, ..] = &**row {
            load(name, source, &stores, &mut found);
        }
    }
    for row in settings.rows(ids::IMPORT_CREDENTIAL) {
        if let [glob, rest @ ..] = &**row {
            import(glob, rest.first().map(|name| &**name), &stores, &mut found);
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

/// `LoadCredential=ID[:PATH]`: a file, a directory (each file becomes `ID_NAME`), or a name in the stores. A socket
/// would have to be waited for, which PID 1 does not do.
fn load(name: &str, source: &str, stores: &[String], found: &mut BTreeMap<String, Vec<u8>>) {
    let source = if source.is_empty() { name } else { source };
    let candidates: Vec<String> = if source.starts_with('/') {
        vec![source.to_owned()]
    } else {
        stores.iter().map(|store| format!("{store}/{source}")).collect()
    };
    for path in candidates {
        if Path::new(&path).is_dir() {
            for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
                let file = entry.file_name().to_string_lossy().into_owned();
                if let Some(bytes) = read_file(&entry.path()) {
                    found.entry(format!("{name}_{file}")).or_insert(bytes);
                }
            }
            return;
        }
        if let Some(bytes) = read_file(Path::new(&path)) {
            found.entry(name.to_owned()).or_insert(bytes);
            return;
        }
    }
}

/// `ImportCredential=GLOB[:NAME]`: everything in the stores that matches; the first store that has a name decides.
fn import(glob: &str, rename: Option<&str>, stores: &[String], found: &mut BTreeMap<String, Vec<u8>>) {
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
            if let Some(bytes) = read_file(&entry.path()) {
                found.entry(name).or_insert(bytes);
            }
        }
    }
}

/// Only regular files, and opened without waiting: a FIFO would wait for its other end.
fn read_file(path: &Path) -> Option<Vec<u8>> {
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    crate::rundir::read_limited(path.to_str()?, ONE_MAX).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use runstead_core::settings::Value;
    use std::rc::Rc;

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

    #[test]
    fn files_directories_and_values() {
        let dir = std::env::temp_dir().join(format!("runstead-credentials-{}", std::process::id()));
        let store = dir.join("credstore");
        fs::create_dir_all(&store).unwrap();
        fs::write(dir.join("one"), "1").unwrap();
        fs::write(store.join("imp.a"), "a").unwrap();
        fs::write(store.join("imp.b"), "b").unwrap();
        let mut settings = Settings::default();
        let one = dir.join("one").to_string_lossy().into_owned();
        settings.set(ids::LOAD_CREDENTIAL, rows(&[&["first", &one], &["gone", "/no/such/file"]]));
        settings.set(ids::IMPORT_CREDENTIAL, rows(&[&["imp.*"]]));
        settings.set(ids::SET_CREDENTIAL, rows(&[&["first", "aGlkZGVu"], &["set", "dmFsdWU="]]));
        let unit = UnitName::parse("a.service").unwrap();
        let got = gather(&settings, &unit, &dir.to_string_lossy()).unwrap();
        let got: Vec<(String, String)> =
            got.into_iter().map(|one| (one.name, String::from_utf8(one.bytes).unwrap())).collect();
        let expected = [("first", "1"), ("imp.a", "a"), ("imp.b", "b"), ("set", "value")];
        assert_eq!(got, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        fs::remove_dir_all(dir).unwrap();
    }
}
