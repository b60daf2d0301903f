//! Files of lines: which there are.
use crate::error::errno_of;
use crate::loader::conf_files;
use runstead_core::tmpfiles::config::Source;
use rustix::io::Errno;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// No file of lines is longer.
const FILE_MAX: u64 = 16 << 20;

/// The files `*.conf` of directories, the most important directory first: of each name one, sorted by name. A name that leads to
/// `/dev/null`, or to nothing, is masked.
pub fn files(directories: &[PathBuf]) -> Vec<PathBuf> {
    let is_masked = |path: &PathBuf| !fs::metadata(path).is_ok_and(|data| data.is_file() && data.len() > 0);
    let mut all = conf_files(directories);
    all.retain(|path| !is_masked(path));
    all
}

/// Reads files by name: `-` is standard input, a name without a slash is looked for in the directories. `replaced` stands for them among
/// the files of the directories.
///
/// # Errors
/// The first that cannot be read, and why.
pub fn read_files(
    directories: &[PathBuf],
    given: &[&str],
    replaced: Option<&Path>,
) -> Result<Vec<Source>, (String, Errno)> {
    let mut sources = Vec::new();
    let take_given = |sources: &mut Vec<Source>| {
        given.iter().try_for_each(|name| read_given(directories, name).map(|source| sources.push(source)))
    };
    if replaced.is_none() && !given.is_empty() {
        take_given(&mut sources)?;
        return Ok(sources);
    }
    let mut all = files(directories);
    if let Some(replaced) = replaced {
        insert_replaced(&mut all, directories, replaced);
    }
    for path in all {
        if replaced.is_some_and(|replaced| replaced == path) {
            take_given(&mut sources)?;
        } else if let Ok(source) = read_path(&path) {
            sources.push(source);
        }
    }
    Ok(sources)
}

/// A file that is not there yet has its place all the same, unless a more important one has its name.
fn insert_replaced(all: &mut Vec<PathBuf>, directories: &[PathBuf], replaced: &Path) {
    let rank = |path: &Path| directories.iter().position(|directory| path.parent() == Some(directory));
    // One from elsewhere is less important than all of them.
    let own = rank(replaced).unwrap_or(directories.len());
    match all.iter().position(|path| path.file_name() == replaced.file_name()) {
        Some(at) if rank(&all[at]).is_some_and(|rank| rank < own) => {}
        Some(at) => all[at] = replaced.to_owned(),
        None => {
            let at = all.partition_point(|path| path.file_name() < replaced.file_name());
            all.insert(at, replaced.to_owned());
        }
    }
}

/// Reads all files of the directories as they are, those that are masked, too.
///
/// # Errors
/// The first that cannot be read, and why.
pub fn read_all(directories: &[PathBuf]) -> Result<Vec<Source>, (String, Errno)> {
    let failed = |path: &Path, error: std::io::Error| (path.to_string_lossy().into_owned(), errno_of(&error));
    conf_files(directories).iter().map(|path| read_path(path).map_err(|error| failed(path, error))).collect()
}

fn read_given(directories: &[PathBuf], name: &str) -> Result<Source, (String, Errno)> {
    let failed = |error: std::io::Error| (name.to_owned(), errno_of(&error));
    if name == "-" {
        let bytes = read_whole(std::io::stdin()).map_err(failed)?;
        return Ok(Source { name: "<stdin>".to_owned(), bytes });
    }
    if name.contains('/') {
        return read_path(Path::new(name)).map_err(failed);
    }
    let found = directories.iter().map(|directory| directory.join(name)).find(|path| path.exists());
    match found {
        Some(path) => read_path(&path).map_err(failed),
        None => Err((name.to_owned(), Errno::NOENT)),
    }
}

fn read_path(path: &Path) -> std::io::Result<Source> {
    Ok(Source { name: path.to_string_lossy().into_owned(), bytes: read_whole(fs::File::open(path)?)? })
}

/// Nothing is cut off: what is too long is refused (`EFBIG`).
fn read_whole(from: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_MAX { Err(Errno::FBIG.into()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rundir::tests::Scratch;

    #[test]
    fn a_file_of_a_name_is_read_once() {
        let scratch = Scratch::new("tmpfiles-config");
        let directories = [scratch.join("etc"), scratch.join("usr")].map(PathBuf::from);
        directories.iter().for_each(|directory| fs::create_dir_all(directory).expect("mkdir"));
        for (at, name) in [(0, "b.conf"), (1, "b.conf"), (1, "a.conf"), (1, "c.conf"), (1, "no")] {
            fs::write(directories[at].join(name), format!("{at}{name}")).expect("write");
        }
        std::os::unix::fs::symlink("/dev/null", directories[0].join("c.conf")).expect("link");
        let read = |replaced: Option<&str>, given: &[&str]| -> Vec<String> {
            let replaced = replaced.map(|name| directories[1].join(name));
            let sources = read_files(&directories, given, replaced.as_deref()).expect("read");
            sources.iter().map(|source| String::from_utf8_lossy(&source.bytes).into_owned()).collect()
        };
        assert_eq!(read(None, &[]), ["1a.conf", "0b.conf"]);
        assert_eq!(read(None, &["a.conf"]), ["1a.conf"]);
        assert_eq!(read(Some("aa.conf"), &["a.conf"]), ["1a.conf", "1a.conf", "0b.conf"]);
        assert_eq!(read(Some("b.conf"), &["a.conf"]), ["1a.conf", "0b.conf"]);
        let elsewhere = Path::new("/elsewhere/x.conf");
        assert_eq!(read_files(&directories, &["a.conf"], Some(elsewhere)).expect("read").len(), 3);
        let all = read_all(&directories).expect("read");
        assert_eq!(all.iter().map(|source| source.bytes.len()).collect::<Vec<_>>(), [7, 7, 0]);
        assert!(read_files(&directories, &["missing.conf"], None).is_err());
    }
}
