//! UNIX sockets that have a path, with who holds them (proc_net_unix(5)).
use crate::process;
use runstead_core::names::UnitName;
use runstead_core::rundir::{Holder, Socket};
use std::collections::{BTreeMap, HashSet};

/// Flag of a socket that accepts connections.
const ACCEPTS: u32 = 0x1_0000;
const DATAGRAM: u32 = 2;

/// All in our network namespace. Whose they are is known of processes that we may look at.
pub fn list() -> BTreeMap<String, Socket> {
    let table = std::fs::read("/proc/net/unix").unwrap_or_default();
    let table = String::from_utf8_lossy(&table);
    let mut sockets: BTreeMap<String, Socket> = BTreeMap::new();
    let mut inodes = BTreeMap::new();
    for line in table.lines().filter_map(Line::parse) {
        let socket = sockets.entry(line.path.to_owned()).or_default();
        if line.receives {
            socket.listens = true;
            inodes.insert(line.inode, line.path);
        } else {
            socket.peers += 1;
        }
    }
    for (path, holder) in holders(&inodes) {
        if let Some(socket) = sockets.get_mut(path) {
            socket.holders.push(holder);
        }
    }
    sockets
}

/// The paths of all; `None` when nobody can tell.
pub fn paths() -> Option<HashSet<String>> {
    let table = std::fs::read("/proc/net/unix").ok()?;
    let table = String::from_utf8_lossy(&table);
    Some(table.lines().filter_map(Line::parse).map(|line| line.path.to_owned()).collect())
}

/// A line of the table that has a path.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    inode: u64,
    /// It accepts connections or takes datagrams; otherwise it is one end of a connection.
    receives: bool,
    path: &'a str,
}

impl Line<'_> {
    /// `Num: RefCount Protocol Flags Type St Inode Path`, the numbers but the inode in base 16.
    fn parse(line: &str) -> Option<Line<'_>> {
        let mut rest = line;
        let mut field = || {
            rest = rest.trim_start();
            let (word, after) = rest.split_once(' ')?;
            rest = after;
            Some(word)
        };
        let (_number, _count, _protocol, flags, kind, _state) =
            (field()?, field()?, field()?, field()?, field()?, field()?);
        let inode = field()?.parse().ok()?;
        let hex = |word| u32::from_str_radix(word, 16).ok();
        let receives = hex(flags)? & ACCEPTS != 0 || hex(kind)? == DATAGRAM;
        rest.starts_with('/').then_some(Line { inode, receives, path: rest })
    }
}

/// The processes that have one of these sockets open, in order.
fn holders<'a>(inodes: &BTreeMap<u64, &'a str>) -> Vec<(&'a str, Holder)> {
    let mut found = Vec::new();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<i32> = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    for pid in pids {
        let list = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut paths: Vec<&str> = list
            .filter_map(|entry| {
                let target = std::fs::read_link(entry.path()).ok()?;
                let inode = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()?;
                inodes.get(&inode).copied()
            })
            .collect();
        paths.sort_unstable();
        paths.dedup();
        if let Some(holder) = (!paths.is_empty()).then(|| holder(pid)).flatten() {
            found.extend(paths.into_iter().map(|path| (path, holder.clone())));
        }
    }
    found
}

fn holder(pid: i32) -> Option<Holder> {
    let cgroup = process::cgroup(pid).ok();
    Some(Holder {
        name: process::comm(pid).ok()?,
        pid,
        uid: process::uid(pid).ok()?,
        unit: cgroup.as_deref().and_then(unit_of_cgroup),
    })
}

/// The system's unit that a control group belongs to: the first on the path that is no slice.
fn unit_of_cgroup(path: &str) -> Option<String> {
    let units = path.split('/').filter_map(|word| UnitName::parse(word).ok());
    units.map(|unit| unit.as_str().to_owned()).find(|name| !name.ends_with(".slice"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rundir::tests::Scratch;
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn lines_of_the_table() {
        let line = "ffff8f: 00000002 00000000 00010000 0001 01 23456 /run/a b.socket";
        assert_eq!(Line::parse(line), Some(Line { inode: 23456, receives: true, path: "/run/a b.socket" }));
        let accepted = "ffff8f: 00000003 00000000 00000000 0001 03 23457 /run/a";
        assert_eq!(Line::parse(accepted), Some(Line { inode: 23457, receives: false, path: "/run/a" }));
        let datagram = "ffff8f: 00000003 00000000 00000000 0002 01 23458 /run/systemd/notify";
        assert!(Line::parse(datagram).is_some_and(|line| line.receives));
        for other in [
            "",
            "Num       RefCount Protocol Flags    Type St Inode Path",
            "f: 2 0 10000 1 1 7 @abstract",
            "f: 2 0 10000 1 1 7",
        ] {
            assert_eq!(Line::parse(other), None, "{other}");
        }
    }

    #[test]
    fn listeners_and_peers_are_found() {
        let scratch = Scratch::new("sockets");
        let path = scratch.join("s");
        let listener = UnixListener::bind(&path).expect("bind");
        let _client = UnixStream::connect(&path).expect("connect");
        let _accepted = listener.accept().expect("accept");
        let sockets = list();
        let socket = sockets.get(&path).expect("listed");
        assert!(socket.listens && socket.peers == 1);
        assert!(socket.holders.iter().any(|holder| holder.pid.cast_unsigned() == std::process::id()));
    }

    #[test]
    fn units_of_control_groups() {
        let unit = |path| unit_of_cgroup(path);
        assert_eq!(unit("/system.slice/dbus.service"), Some("dbus.service".to_owned()));
        assert_eq!(
            unit("/user.slice/user-1.slice/user@1.service/app.slice/a.service"),
            Some("user@1.service".to_owned())
        );
        assert_eq!(unit("/init.scope"), Some("init.scope".to_owned()));
        assert_eq!(unit("/"), None);
    }
}
