//! Devices as udev knows them: its monitor, and its database below `/run/udev`.
//!
//! Only what carries the tag `systemd` is a unit (systemd.device(5)). The database has a directory of device ids for each
//! tag, and for each id a file of lines `S:` (link below `/dev`), `E:` (property), `G:` (tag), `Q:` (tag it has now). An
//! id is `b8:0`, `c4:64` (numbers of the node), `n2` (index of the network interface), or `+subsystem:name`.
use crate::error::{Attempt, OsError, errno_of};
use crate::socket::{recv_with_fds, unix};
use crate::sys::socket::{bind_raw, set_int, socket_raw};
use runstead_core::engine::event::DeviceEvent;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, StatVfsMountFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The tag of devices that are units.
pub const TAG: &str = "systemd";
/// Events of thousands of devices at once, while the loop is busy.
const RECEIVE_BUFFER: i32 = 16 << 20;
/// The multicast group in which udev passes events on after its rules ran.
const UDEV_GROUP: u32 = 2;

/// Whether udev can be at work here: where `/sys` is read-only (containers) it is not.
pub fn available() -> bool {
    rustix::fs::statvfs("/sys").is_ok_and(|sys| !sys.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// The terminal that the kernel's console is on, as "ttyS0"; "tty0" is the virtual terminal in the foreground. `None`
/// where that cannot be known: in a container `/sys` shows the host's.
pub fn console_terminal() -> Option<String> {
    let active = available().then(|| fs::read_to_string("/sys/class/tty/console/active").ok())??;
    // With more than one, `/dev/console` is the last.
    active.split_whitespace().next_back().map(str::to_owned)
}

/// Hears what udev tells of devices.
#[derive(Debug)]
pub struct Monitor {
    socket: OwnedFd,
}

impl Monitor {
    /// Listen. What happens from now on is kept until it is read.
    pub fn open() -> Result<Monitor, OsError> {
        let on = "NETLINK_KOBJECT_UEVENT";
        let socket = socket_raw(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_KOBJECT_UEVENT)
            .attempt("socket", on)?;
        unix::set_receive_buffer(&socket, RECEIVE_BUFFER);
        set_int(&socket, libc::SOL_SOCKET, libc::SO_PASSCRED, 1).attempt("set SO_PASSCRED", on)?;
        // struct sockaddr_nl: family, padding, port (0: the kernel's choice), groups.
        let mut address = [0u8; 12];
        address[..2]
            .copy_from_slice(&libc::sa_family_t::try_from(libc::AF_NETLINK).unwrap_or(0).to_ne_bytes());
        address[8..].copy_from_slice(&UDEV_GROUP.to_ne_bytes());
        bind_raw(&socket, &address).attempt("bind", on)?;
        Ok(Monitor { socket })
    }

    /// Poll this for reading.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The next datagram that root sent: its length in `buffer`, 0 for one of somebody else or one that does not fit;
    /// `None` when there is none.
    ///
    /// # Errors
    /// `ENOBUFS`: events were lost.
    pub fn read(&self, buffer: &mut [u8]) -> Result<Option<usize>, Errno> {
        match recv_with_fds(&self.socket, buffer) {
            Ok(got) if got.truncated || got.credentials.is_none_or(|sender| sender.uid != 0) => Ok(Some(0)),
            Ok(got) => Ok(Some(got.len)),
            Err(Errno::AGAIN) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

/// Where udev keeps its database and the kernel shows its devices.
#[derive(Debug, Clone)]
pub struct Database {
    udev: PathBuf,
    sys: PathBuf,
}

impl Default for Database {
    fn default() -> Self {
        Database { udev: "/run/udev".into(), sys: "/sys".into() }
    }
}

impl Database {
    /// All devices with the tag, in order of their ids; what vanishes meanwhile is left out.
    pub fn tagged(&self) -> Result<Vec<DeviceEvent>, OsError> {
        let path = self.udev.join("tags").join(TAG);
        let list = match fs::read_dir(&path) {
            Ok(list) => list,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(OsError::new("read", path.display().to_string(), errno_of(&error))),
        };
        let mut ids: Vec<String> =
            list.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        ids.sort();
        let interfaces =
            if ids.iter().any(|id| id.starts_with('n')) { self.interfaces() } else { BTreeMap::new() };
        let place = |id: &str| match id.strip_prefix('n') {
            Some(index) => interfaces.get(index).cloned(),
            None => self.place(id),
        };
        Ok(ids.iter().filter_map(|id| self.device(id, &place(id)?)).collect())
    }

    fn device(&self, id: &str, place: &Path) -> Option<DeviceEvent> {
        let sysfs = fs::canonicalize(place).ok()?;
        let mut event = DeviceEvent {
            looked_up: true,
            action: Rc::from("add"),
            sysfs: Rc::from(sysfs.to_str()?),
            ..DeviceEvent::default()
        };
        let uevent = fs::read_to_string(sysfs.join("uevent")).unwrap_or_default();
        for (name, value) in uevent.lines().filter_map(|line| line.split_once('=')) {
            if name == "DEVNAME" {
                event.node = Some(Rc::from(format!("/dev/{value}")));
            }
            event.properties.push((Rc::from(name), Rc::from(value)));
        }
        let entry = fs::read(self.udev.join("data").join(id)).ok()?;
        read_entry(&String::from_utf8_lossy(&entry), &mut event);
        Some(event)
    }

    /// Where the kernel shows the device with this id, unless it is a network interface.
    fn place(&self, id: &str) -> Option<PathBuf> {
        let rest = id.get(1..)?;
        match id.as_bytes().first()? {
            b'b' => Some(self.sys.join("dev/block").join(rest)),
            b'c' => Some(self.sys.join("dev/char").join(rest)),
            b'+' => {
                let (subsystem, name) = rest.split_once(':')?;
                self.named(subsystem, name)
            }
            _ => None,
        }
    }

    /// All network interfaces by their index.
    fn interfaces(&self) -> BTreeMap<String, PathBuf> {
        let all = fs::read_dir(self.sys.join("class/net")).into_iter().flatten().flatten();
        let indexed = all.filter_map(|entry| {
            let index = fs::read_to_string(entry.path().join("ifindex")).ok()?;
            Some((index.trim().to_owned(), entry.path()))
        });
        indexed.collect()
    }

    fn named(&self, subsystem: &str, name: &str) -> Option<PathBuf> {
        let plain = |word: &str| !word.is_empty() && word != ".." && !word.contains('/');
        if !plain(subsystem) || !plain(name) {
            return None;
        }
        let driver = name.split_once(':').filter(|_| subsystem == "drivers");
        let candidates = match (subsystem, driver) {
            ("module", _) => vec![self.sys.join("module").join(name)],
            ("subsystem", _) => vec![self.sys.join("bus").join(name), self.sys.join("class").join(name)],
            (_, Some((bus, driver))) => vec![self.sys.join("bus").join(bus).join("drivers").join(driver)],
            _ => vec![
                self.sys.join("bus").join(subsystem).join("devices").join(name),
                self.sys.join("class").join(subsystem).join(name),
            ],
        };
        candidates.into_iter().find(|path| path.exists())
    }
}

/// The lines of a database entry; unknown ones are left out.
fn read_entry(text: &str, event: &mut DeviceEvent) {
    let (mut tagged, mut tagged_now, mut tells_now) = (false, false, false);
    for line in text.lines() {
        match line.split_once(':') {
            Some(("S", link)) => event.links.push(Rc::from(format!("/dev/{link}"))),
            Some(("E", assignment)) => {
                if let Some((name, value)) = assignment.split_once('=') {
                    event.properties.push((Rc::from(name), Rc::from(value)));
                }
            }
            Some(("G", tag)) => tagged |= tag == TAG,
            Some(("Q", tag)) => tagged_now |= tag == TAG,
            // Entries with a version tell which tags are there now; udev before 247 wrote neither.
            Some(("V", _)) => tells_now = true,
            _ => {}
        }
    }
    event.tagged = if tells_now { tagged_now } else { tagged };
}

/// The path below `/sys` of a `DEVPATH`.
pub fn sysfs_path(devpath: &str) -> String {
    format!("/sys{devpath}")
}

/// What a path below `/dev` leads to, without leaving that file system: whoever mounts something chooses the name of its source,
/// and a look into a file system that he serves would wait for him.
fn look_at_node(path: &str) -> Result<rustix::fs::Stat, Errno> {
    let name = path.strip_prefix("/dev/").ok_or(Errno::NODEV)?;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let dev = rustix::fs::open("/dev", flags | OFlags::DIRECTORY, Mode::empty())?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::fstat(rustix::fs::openat2(&dev, name, flags, Mode::empty(), resolve)?)
}

/// Whether a source in a mount or swap table is the node of a device.
pub fn is_node(path: &str) -> bool {
    look_at_node(path).is_ok_and(|found| {
        matches!(FileType::from_raw_mode(found.st_mode), FileType::BlockDevice | FileType::CharacterDevice)
    })
}

/// Numbers of the disk that a node below `/dev` is.
///
/// # Errors
/// `ENODEV`: not below `/dev`. `ENOTBLK`: no block device.
pub fn disk_of_node(path: &str) -> Result<(u32, u32), Errno> {
    let found = look_at_node(path)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::BlockDevice {
        return Err(Errno::NOTBLK);
    }
    Ok(whole_disk((rustix::fs::major(found.st_rdev), rustix::fs::minor(found.st_rdev))))
}

/// The whole disk that a block device is on: limits are the disk's, not the partition's.
pub fn whole_disk((major, minor): (u32, u32)) -> (u32, u32) {
    let link = format!("/sys/dev/block/{major}:{minor}");
    if !Path::new(&format!("{link}/partition")).exists() {
        return (major, minor);
    }
    // A partition's directory lies in its disk's.
    let text = fs::read_to_string(format!("{link}/../dev")).unwrap_or_default();
    let numbers = text.trim().split_once(':');
    numbers
        .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)))
        .unwrap_or((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_the_database_is_read() {
        let mut event = DeviceEvent::default();
        read_entry(
            "S:disk/by-label/data\nI:1\nE:ID_FS_TYPE=ext4\nG:systemd\nQ:systemd\nV:1\nX\n",
            &mut event,
        );
        assert!(event.tagged);
        assert_eq!(event.links, [Rc::from("/dev/disk/by-label/data")]);
        assert_eq!(event.properties, [(Rc::from("ID_FS_TYPE"), Rc::from("ext4"))]);
        let mut lost = DeviceEvent::default();
        read_entry("G:systemd\nV:1\n", &mut lost);
        assert!(!lost.tagged, "it had the tag once");
        let mut old = DeviceEvent::default();
        read_entry("G:systemd\n", &mut old);
        assert!(old.tagged, "old entries know only one kind");
    }

    #[test]
    fn nodes_are_looked_at_in_dev_only() {
        assert!(is_node("/dev/null") && is_node("/dev/./null"));
        for path in [
            "/dev/../dev/null",
            "/dev/../etc/passwd",
            "/dev/shm",
            "/dev/shm/x",
            "/etc/passwd",
            "tmpfs",
            "/dev/",
        ] {
            assert!(!is_node(path), "{path}");
        }
        // A link that leads out of it.
        assert!(look_at_node("/dev/fd/0").is_err());
        assert_eq!(disk_of_node("/dev/null"), Err(Errno::NOTBLK));
        assert_eq!(disk_of_node("/etc/passwd"), Err(Errno::NODEV));
    }

    #[test]
    fn devices_are_found_by_id() {
        let top = std::env::temp_dir().join(format!("runstead-devices-{}", std::process::id()));
        let (udev, sys) = (top.join("udev"), top.join("sys"));
        let disk = sys.join("devices/virtio0/block/vda");
        let file = |path: PathBuf, text: &str| {
            fs::create_dir_all(path.parent().expect("a parent")).expect("create");
            fs::write(path, text).expect("write");
        };
        file(disk.join("uevent"), "MAJOR=254\nMINOR=0\nDEVNAME=vda\n");
        file(sys.join("module/fuse/uevent"), "");
        file(sys.join("dev/block/.keep"), "");
        std::os::unix::fs::symlink(&disk, sys.join("dev/block/254:0")).expect("link");
        let eth = sys.join("devices/virtio1/net/eth0");
        file(eth.join("ifindex"), "2\n");
        file(sys.join("class/net/.keep"), "");
        std::os::unix::fs::symlink(&eth, sys.join("class/net/eth0")).expect("link");
        for id in ["b254:0", "+module:fuse", "+module:..", "b9:9", "n2", "n3", "x"] {
            file(udev.join("tags/systemd").join(id), "");
            file(udev.join("data").join(id), "E:A=b\nQ:systemd\nV:1\n");
        }
        let found = Database { udev, sys: sys.clone() }.tagged().expect("read");
        let paths: Vec<&str> = found.iter().map(|event| &*event.sysfs).collect();
        let sys = sys.canonicalize().expect("real");
        let fuse = sys.join("module/fuse");
        let vda = sys.join("devices/virtio0/block/vda");
        let eth = sys.join("devices/virtio1/net/eth0");
        assert_eq!(paths, [&fuse, &vda, &eth].map(|path| path.to_str().expect("text")));
        assert_eq!(found[1].node.as_deref(), Some("/dev/vda"));
        assert!(found.iter().all(|event| event.tagged));
        fs::remove_dir_all(top).expect("remove");
    }
}
