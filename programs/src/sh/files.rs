//! Files, directories and mounts.
use super::Outcome;
use rustix::mount::{MountFlags, UnmountFlags};
use std::ffi::CString;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

fn on<'a>(path: &'a str) -> impl Fn(io::Error) -> String + 'a {
    move |error| format!("{path}: {error}")
}

/// `cd [DIR]`.
pub fn change_directory(words: &[&str]) -> Outcome {
    let place = words.first().copied().unwrap_or("/");
    std::env::set_current_dir(place).map(|()| 0).map_err(on(place))
}

/// `pwd`.
pub fn print_directory() -> Outcome {
    println!("{}", std::env::current_dir().map_err(on("."))?.display());
    Ok(0)
}

/// `mkdir DIR...`.
pub fn make_directories(words: &[&str]) -> Outcome {
    if words.is_empty() {
        return Err("needs a directory".to_owned());
    }
    words.iter().try_for_each(|path| fs::create_dir_all(path).map_err(on(path))).map(|()| 0)
}

/// `cat FILE...`.
pub fn print(words: &[&str]) -> Outcome {
    if words.is_empty() {
        return Err("needs a file".to_owned());
    }
    for path in words {
        let mut file = File::open(path).map_err(on(path))?;
        io::copy(&mut file, &mut io::stdout().lock()).map_err(on(path))?;
    }
    Ok(0)
}

/// `ls [-l] [PATH...]`.
pub fn list(words: &[&str]) -> Outcome {
    let long = words.first() == Some(&"-l");
    let paths = if long { &words[1..] } else { words };
    for path in if paths.is_empty() { &["."] } else { paths } {
        let data = fs::symlink_metadata(path).map_err(on(path))?;
        // A link to a directory is looked into, as with a slash behind it.
        let link = data.is_symlink() && !long && Path::new(path).is_dir();
        if !data.is_dir() && !link {
            show(Path::new(path), path, &data, long);
            continue;
        }
        let mut entries: Vec<_> = fs::read_dir(path).map_err(on(path))?.flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            // Gone since.
            let Ok(data) = entry.metadata() else { continue };
            show(&entry.path(), &entry.file_name().to_string_lossy(), &data, long);
        }
    }
    Ok(0)
}

fn show(path: &Path, name: &str, data: &Metadata, long: bool) {
    let kind = data.file_type();
    let (letter, mark) = match () {
        () if kind.is_dir() => ('d', "/"),
        () if kind.is_symlink() => ('l', "@"),
        () if kind.is_char_device() => ('c', ""),
        () if kind.is_block_device() => ('b', ""),
        () if kind.is_fifo() => ('p', "|"),
        () if kind.is_socket() => ('s', "="),
        () if data.mode() & 0o111 != 0 => ('-', "*"),
        () => ('-', ""),
    };
    if !long {
        println!("{name}{mark}");
        return;
    }
    let target = fs::read_link(path).map(|target| format!(" -> {}", target.display())).unwrap_or_default();
    let mode = data.mode() & 0o7777;
    println!("{letter} {mode:04o} {:>5} {:>5} {:>10} {name}{target}", data.uid(), data.gid(), data.len());
}

/// `mount [-t TYPE] [-o OPTIONS] SOURCE TARGET`; alone, the table.
pub fn mount(words: &[&str]) -> Outcome {
    let (mut kind, mut options, mut places) = ("", "", Vec::new());
    let mut rest = words.iter().copied();
    while let Some(word) = rest.next() {
        match word {
            "-t" => kind = rest.next().ok_or("-t needs a type")?,
            "-o" => options = rest.next().ok_or("-o needs options")?,
            "--bind" => options = "bind",
            _ => places.push(word),
        }
    }
    let (source, target) = match places.as_slice() {
        [] if words.is_empty() => return print(&["/proc/self/mounts"]),
        [source, target] => (*source, *target),
        _ => return Err("needs a source and a target; without a device any word is the source".to_owned()),
    };
    let (flags, data) = flags(options);
    let data = CString::new(data).map_err(|_| "the options hold a NUL")?;
    rustix::mount::mount(source, target, kind, flags, data.as_c_str())
        .map(|()| 0)
        .map_err(|errno| format!("{source} on {target}: {}", io::Error::from(errno)))
}

/// Options of all file systems become flags; the others are the file system's own.
fn flags(options: &str) -> (MountFlags, String) {
    let mut flags = MountFlags::empty();
    let mut own = Vec::new();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        flags |= match option {
            "ro" => MountFlags::RDONLY,
            "rw" | "defaults" => MountFlags::empty(),
            "nosuid" => MountFlags::NOSUID,
            "nodev" => MountFlags::NODEV,
            "noexec" => MountFlags::NOEXEC,
            "noatime" => MountFlags::NOATIME,
            "bind" => MountFlags::BIND,
            // mount(2) with this flag changes a mount that is there; the crate has another call for it.
            "remount" => MountFlags::from_bits_retain(REMOUNT),
            _ => {
                own.push(option);
                continue;
            }
        };
    }
    (flags, own.join(","))
}

/// `MS_REMOUNT` (mount(2)).
const REMOUNT: u32 = 32;

/// `umount TARGET...`.
pub fn unmount(words: &[&str]) -> Outcome {
    if words.is_empty() {
        return Err("needs a target".to_owned());
    }
    for target in words {
        rustix::mount::unmount(*target, UnmountFlags::empty())
            .map_err(|errno| format!("{target}: {}", io::Error::from(errno)))?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_all_file_systems_are_flags() {
        let (set, own) = flags("ro,mode=0755,nosuid,size=1m");
        assert_eq!((set, own.as_str()), (MountFlags::RDONLY | MountFlags::NOSUID, "mode=0755,size=1m"));
    }
}
