//! Opening the descriptors of a socket unit (systemd.socket(5)).
use super::options;
use crate::error::{Attempt, OsError};
use crate::mount::make_directories;
use crate::sys::socket as sys;
use runstead_core::directives::ids;
use runstead_core::engine::effect::{FdId, ListenPort, SocketSpec};
use runstead_core::settings::Settings;
use runstead_core::values::address::{self, Address, NETLINK_FAMILIES, VsockKind};
use rustix::fd::{AsRawFd as _, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Who owns the files of sockets and FIFOs (`SocketUser=`, `SocketGroup=`), looked up already.
#[derive(Clone, Copy, Debug, Default)]
pub struct Owner {
    /// User, if given.
    pub uid: Option<u32>,
    /// Group, if given (else the user's).
    pub gid: Option<u32>,
}

/// What was opened.
#[derive(Debug, Default)]
pub struct Opened {
    /// The descriptors, close-on-exec and non-blocking.
    pub fds: Vec<(FdId, OwnedFd)>,
    /// Options that the kernel refused: directive and reason.
    pub weakened: Vec<(&'static str, String)>,
}

/// Open all ports; the first that fails ends it, and closes (and unlinks) what was opened.
pub fn open_all(spec: &SocketSpec, owner: Owner) -> Result<Opened, OsError> {
    let mut opened = Opened::default();
    for (port, id) in &spec.ports {
        match open_port(&spec.settings, port, owner, &mut opened.weakened) {
            Ok(fd) => opened.fds.push((*id, fd)),
            Err(error) => {
                for (port, _) in spec.ports.iter().take(opened.fds.len()) {
                    if let Some(path) = file_of(port) {
                        let _ = rustix::fs::unlink(path);
                    }
                }
                return Err(error);
            }
        }
    }
    symlinks(spec)?;
    Ok(opened)
}

/// The file a port makes: a socket's or FIFO's.
fn file_of(port: &ListenPort) -> Option<&str> {
    match &*port.kind {
        "Stream" | "Datagram" | "SequentialPacket" | "FIFO" if port.address.starts_with('/') => {
            Some(&port.address)
        }
        _ => None,
    }
}

/// `Symlinks=` lead to the unit's only file.
fn symlinks(spec: &SocketSpec) -> Result<(), OsError> {
    let Some(target) = spec.ports.iter().find_map(|(port, _)| file_of(port)) else { return Ok(()) };
    for link in spec.settings.list(ids::SYMLINKS) {
        if let Some((parent, _)) = link.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
            make_directories(parent, mode_of(&spec.settings, ids::DIRECTORY_MODE))?;
        }
        if rustix::fs::readlink(&**link, Vec::new()).is_ok() {
            let _ = rustix::fs::unlink(&**link);
        }
        rustix::fs::symlink(target, &**link).attempt("link", &**link)?;
    }
    Ok(())
}

fn mode_of(settings: &Settings, id: runstead_core::settings::DirectiveId) -> u32 {
    u32::try_from(settings.uint(id)).unwrap_or(0o666) & 0o7777
}

fn open_port(
    settings: &Settings,
    port: &ListenPort,
    owner: Owner,
    weakened: &mut Vec<(&'static str, String)>,
) -> Result<OwnedFd, OsError> {
    let invalid = || OsError::new("listen on", &*port.address, Errno::INVAL);
    let kind = match &*port.kind {
        "Stream" => libc::SOCK_STREAM,
        "Datagram" => libc::SOCK_DGRAM,
        "SequentialPacket" => libc::SOCK_SEQPACKET,
        "FIFO" => return open_fifo(settings, &port.address, owner, weakened),
        "Special" => return open_special(settings, &port.address),
        "MessageQueue" => return open_queue(settings, &port.address, owner),
        "Netlink" => {
            let address = address::parse_netlink(&port.address).map_err(|_| invalid())?;
            return open_netlink(settings, &address, weakened);
        }
        _ => return Err(OsError::new("listen on", &*port.address, Errno::OPNOTSUPP)),
    };
    let address = address::parse(&port.address).map_err(|_| invalid())?;
    open_socket(settings, kind, &address, &port.address, owner, weakened)
}

fn open_socket(
    settings: &Settings,
    kind: i32,
    address: &Address,
    text: &str,
    owner: Owner,
    weakened: &mut Vec<(&'static str, String)>,
) -> Result<OwnedFd, OsError> {
    let protocol = i32::try_from(settings.int(ids::SOCKET_PROTOCOL)).unwrap_or(0);
    let (family, raw) = raw_address(address).attempt("resolve", text)?;
    let fd = match (sys::socket_raw(family, kind_of(kind, address), protocol), address) {
        (Ok(fd), _) => (fd, raw),
        // No IPv6 in this kernel: a port alone is one of IPv4, then.
        (Err(Errno::AFNOSUPPORT), Address::Port(port)) => {
            let fd = sys::socket_raw(libc::AF_INET, kind, protocol).attempt("socket", text)?;
            (fd, raw_inet(Ipv4Addr::UNSPECIFIED, *port))
        }
        (Err(errno), _) => return Err(OsError::new("socket", text, errno)),
    };
    let (fd, raw) = fd;
    options::before_bind(&fd, settings, family, weakened);
    match address {
        Address::Unix(path) => bind_file(&fd, settings, path, &raw, owner)?,
        _ => sys::bind_raw(&fd, &raw).attempt("bind", text)?,
    }
    options::after_bind(&fd, settings, family, kind, weakened);
    if matches!(kind, libc::SOCK_STREAM | libc::SOCK_SEQPACKET) {
        let backlog = i32::try_from(settings.uint(ids::BACKLOG)).unwrap_or(i32::MAX);
        rustix::net::listen(&fd, backlog).attempt("listen", text)?;
    }
    Ok(fd)
}

fn kind_of(kind: i32, address: &Address) -> i32 {
    match address {
        Address::Vsock { kind: Some(VsockKind::Stream), .. } => libc::SOCK_STREAM,
        Address::Vsock { kind: Some(VsockKind::Dgram), .. } => libc::SOCK_DGRAM,
        Address::Vsock { kind: Some(VsockKind::Seqpacket), .. } => libc::SOCK_SEQPACKET,
        _ => kind,
    }
}

/// Bind to a path: parents are made, a dead socket is replaced, mode and owner are set before anybody is served.
fn bind_file(fd: &OwnedFd, settings: &Settings, path: &str, raw: &[u8], owner: Owner) -> Result<(), OsError> {
    make_parent(settings, path)?;
    let mode = Mode::from_raw_mode(mode_of(settings, ids::SOCKET_MODE));
    // The inode's mode becomes the file's (less the umask).
    let _ = rustix::fs::fchmod(fd, mode);
    match sys::bind_raw(fd, raw) {
        Err(Errno::ADDRINUSE) => {
            rustix::fs::unlink(path).attempt("unlink", path)?;
            sys::bind_raw(fd, raw).attempt("bind", path)?;
        }
        other => other.attempt("bind", path)?,
    }
    // From now on by a descriptor: who may change the directory, or owns the file, could put a link in its place.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).attempt("open", path)?;
    let stat = rustix::fs::fstat(&file).attempt("stat", path)?;
    // A second name would be a way to have the mode of another's socket changed.
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket || stat.st_nlink != 1 {
        return Err(OsError::new("bind", path, Errno::EXIST));
    }
    give(&file, path, mode, owner)
}

fn make_parent(settings: &Settings, path: &str) -> Result<(), OsError> {
    match path.rsplit_once('/') {
        Some((parent, _)) if !parent.is_empty() => {
            make_directories(parent, mode_of(settings, ids::DIRECTORY_MODE))
        }
        _ => Ok(()),
    }
}

/// Mode and owner of a file that is open, be it with `O_PATH`.
fn give(file: &OwnedFd, path: &str, mode: Mode, owner: Owner) -> Result<(), OsError> {
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::chmodat(CWD, own, mode, AtFlags::empty()).attempt("chmod", path)?;
    if owner.uid.is_some() || owner.gid.is_some() {
        let (uid, gid) = (owner.uid.map(Uid::from_raw), owner.gid.map(Gid::from_raw));
        rustix::fs::chownat(file, "", uid, gid, AtFlags::EMPTY_PATH).attempt("chown", path)?;
    }
    Ok(())
}

fn open_fifo(
    settings: &Settings,
    path: &str,
    owner: Owner,
    weakened: &mut Vec<(&'static str, String)>,
) -> Result<OwnedFd, OsError> {
    make_parent(settings, path)?;
    let mode = Mode::from_raw_mode(mode_of(settings, ids::SOCKET_MODE));
    match rustix::fs::mknodat(CWD, path, FileType::Fifo, mode, 0) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(OsError::new("make FIFO", path, errno)),
    }
    // For writing too, so that it does not end when its last writer leaves.
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
    let fd = rustix::fs::open(path, flags, Mode::empty()).attempt("open", path)?;
    let stat = rustix::fs::fstat(&fd).attempt("stat", path)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Fifo {
        return Err(OsError::new("open FIFO", path, Errno::EXIST));
    }
    give(&fd, path, mode, owner)?;
    let size = usize::try_from(settings.uint(ids::PIPE_SIZE)).unwrap_or(0);
    if size > 0
        && let Err(errno) = rustix::pipe::fcntl_setpipe_size(&fd, size)
    {
        weakened.push(("PipeSize", errno.to_string()));
    }
    Ok(fd)
}

fn open_special(settings: &Settings, path: &str) -> Result<OwnedFd, OsError> {
    let access = if settings.bool(ids::WRITABLE) { OFlags::RDWR } else { OFlags::RDONLY };
    let flags = access | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
    let fd = rustix::fs::open(path, flags, Mode::empty()).attempt("open", path)?;
    let stat = rustix::fs::fstat(&fd).attempt("stat", path)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile | FileType::CharacterDevice => Ok(fd),
        _ => Err(OsError::new("open special file", path, Errno::EXIST)),
    }
}

fn open_queue(settings: &Settings, name: &str, owner: Owner) -> Result<OwnedFd, OsError> {
    let text = std::ffi::CString::new(name).map_err(|_| OsError::new("open queue", name, Errno::INVAL))?;
    let (count, size) =
        (settings.int(ids::MESSAGE_QUEUE_MAX_MESSAGES), settings.int(ids::MESSAGE_QUEUE_MESSAGE_SIZE));
    let limits = (count > 0 && size > 0).then_some((count, size));
    let mode = mode_of(settings, ids::SOCKET_MODE);
    let fd = sys::message_queue(&text, mode, limits).attempt("open queue", name)?;
    rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode)).attempt("chmod", name)?;
    if owner.uid.is_some() || owner.gid.is_some() {
        let (uid, gid) = (owner.uid.map(Uid::from_raw), owner.gid.map(Gid::from_raw));
        rustix::fs::fchown(&fd, uid, gid).attempt("chown", name)?;
    }
    Ok(fd)
}

fn open_netlink(
    settings: &Settings,
    address: &Address,
    weakened: &mut Vec<(&'static str, String)>,
) -> Result<OwnedFd, OsError> {
    let Address::Netlink { family, group } = address else {
        return Err(OsError::new("listen on", "netlink", Errno::INVAL));
    };
    let protocol = NETLINK_FAMILIES.iter().find(|(name, _)| name == family).map(|&(_, number)| number);
    let protocol = protocol.ok_or_else(|| OsError::new("listen on", family.as_str(), Errno::INVAL))?;
    let fd = sys::socket_raw(libc::AF_NETLINK, libc::SOCK_RAW, i32::from(protocol))
        .attempt("socket", family.as_str())?;
    options::before_bind(&fd, settings, libc::AF_NETLINK, weakened);
    // struct sockaddr_nl: family, padding, port (0: the kernel's choice), groups.
    let mut raw = vec![0u8; 12];
    raw[..2].copy_from_slice(&family_bytes(libc::AF_NETLINK));
    raw[8..].copy_from_slice(&group.to_ne_bytes());
    sys::bind_raw(&fd, &raw).attempt("bind", family.as_str())?;
    options::after_bind(&fd, settings, libc::AF_NETLINK, libc::SOCK_RAW, weakened);
    Ok(fd)
}

fn family_bytes(family: i32) -> [u8; 2] {
    // Address families are small numbers.
    u16::try_from(family).unwrap_or(0).to_ne_bytes()
}

fn raw_inet(address: Ipv4Addr, port: u16) -> Vec<u8> {
    let mut raw = vec![0u8; 16];
    raw[..2].copy_from_slice(&family_bytes(libc::AF_INET));
    raw[2..4].copy_from_slice(&port.to_be_bytes());
    raw[4..8].copy_from_slice(&address.octets());
    raw
}

fn raw_inet6(address: &SocketAddrV6) -> Vec<u8> {
    let mut raw = vec![0u8; 28];
    raw[..2].copy_from_slice(&family_bytes(libc::AF_INET6));
    raw[2..4].copy_from_slice(&address.port().to_be_bytes());
    raw[8..24].copy_from_slice(&address.ip().octets());
    raw[24..].copy_from_slice(&address.scope_id().to_ne_bytes());
    raw
}

/// Family and bytes of an address, as bind(2) takes them.
fn raw_address(address: &Address) -> Result<(i32, Vec<u8>), Errno> {
    let unix = |name: &[u8]| {
        let mut raw = family_bytes(libc::AF_UNIX).to_vec();
        raw.extend_from_slice(name);
        raw
    };
    Ok(match address {
        Address::Unix(path) => (libc::AF_UNIX, unix(&[path.as_bytes(), b"\0"].concat())),
        Address::Abstract(name) => (libc::AF_UNIX, unix(&[b"\0", name.as_bytes()].concat())),
        Address::Port(port) => {
            (libc::AF_INET6, raw_inet6(&SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, *port, 0, 0)))
        }
        Address::Ip { address: IpAddr::V4(address), port, .. } => (libc::AF_INET, raw_inet(*address, *port)),
        Address::Ip { address: IpAddr::V6(address), port, scope } => {
            let scope = scope.as_deref().map_or(Ok(0), interface)?;
            (libc::AF_INET6, raw_inet6(&SocketAddrV6::new(*address, *port, 0, scope)))
        }
        Address::Vsock { cid, port, .. } => {
            // struct sockaddr_vm: family, reserved, port, cid, flags and padding.
            let mut raw = vec![0u8; 16];
            raw[..2].copy_from_slice(&family_bytes(libc::AF_VSOCK));
            raw[4..8].copy_from_slice(&port.to_ne_bytes());
            raw[8..12].copy_from_slice(&cid.to_ne_bytes());
            (libc::AF_VSOCK, raw)
        }
        Address::Netlink { .. } => return Err(Errno::INVAL),
    })
}

/// An interface by name or number.
fn interface(name: &str) -> Result<u32, Errno> {
    match name.parse() {
        Ok(number) => Ok(number),
        Err(_) => {
            let text = std::fs::read_to_string(format!("/sys/class/net/{name}/ifindex"))
                .map_err(|_| Errno::NODEV)?;
            text.trim().parse().map_err(|_| Errno::NODEV)
        }
    }
}

/// Remove the files of a unit (`RemoveOnStop=`): sockets, FIFOs, links, whatever is at these paths but directories.
pub fn remove_paths<'a>(paths: impl Iterator<Item = &'a str>) -> Vec<OsError> {
    let mut errors = Vec::new();
    for path in paths {
        match rustix::fs::unlink(path) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => errors.push(OsError::new("remove", path, errno)),
        }
    }
    errors
}

/// An IP address out of raw bytes of getsockname(2) or getpeername(2).
pub(super) fn parse_ip(raw: &[u8]) -> Option<SocketAddr> {
    let family = i32::from(u16::from_ne_bytes([*raw.first()?, *raw.get(1)?]));
    let port = u16::from_be_bytes([*raw.get(2)?, *raw.get(3)?]);
    if family == libc::AF_INET {
        let octets: [u8; 4] = raw.get(4..8)?.try_into().ok()?;
        return Some(SocketAddr::new(IpAddr::V4(octets.into()), port));
    }
    if family == libc::AF_INET6 {
        let octets: [u8; 16] = raw.get(8..24)?.try_into().ok()?;
        return Some(SocketAddr::new(IpAddr::V6(octets.into()), port));
    }
    None
}

#[cfg(test)]
mod tests;
