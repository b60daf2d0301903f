use super::*;
use crate::rundir::tests::Scratch;
use crate::socket::{accept_described, connect_stream, flush};
use crate::sys::socket::get_int;
use runstead_core::settings::Value;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;

fn spec(ports: &[(&str, &str)], settings: Settings) -> SocketSpec {
    let port = |(index, (kind, address)): (usize, &(&str, &str))| {
        (ListenPort { kind: (*kind).into(), address: (*address).into() }, FdId(index as u64 * 2))
    };
    SocketSpec { settings, ports: ports.iter().enumerate().map(port).collect(), cgroup: None }
}

fn mode(path: &str) -> u32 {
    std::fs::symlink_metadata(path).expect(path).mode()
}

#[test]
fn files_have_mode_parents_and_links() {
    let scratch = Scratch::new("sockets");
    let (path, fifo, link) = (scratch.join("dir/s"), scratch.join("dir/f"), scratch.join("links/l"));
    let mut settings = Settings::default();
    settings.set(ids::SOCKET_MODE, Value::Uint(0o620));
    settings.set(ids::DIRECTORY_MODE, Value::Uint(0o750));
    settings.set(ids::SYMLINKS, Value::List([link.as_str().into()].into()));
    settings.set(ids::PIPE_SIZE, Value::Uint(65536 * 2));
    let spec = spec(&[("Stream", &path), ("FIFO", &fifo)], settings);
    let opened = open_all(&spec, Owner { uid: Some(0), gid: Some(12345) }).expect("opened");
    assert_eq!((mode(&path), mode(&fifo)), (0o140_620, 0o010_620));
    assert_eq!(mode(&scratch.join("dir")) & 0o7777, 0o750);
    assert_eq!(std::fs::symlink_metadata(&path).expect("there").gid(), 12345);
    assert_eq!(std::fs::read_link(&link).expect("link").to_str(), Some(path.as_str()));
    assert_eq!(opened.fds.iter().map(|(id, _)| id.0).collect::<Vec<_>>(), [0, 2]);
    assert!(opened.weakened.is_empty(), "{:?}", opened.weakened);
    let again = open_all(&spec, Owner::default()).expect("a dead socket is replaced");
    let client = connect_stream(&path).expect("connect");
    let connection = accept_described(&again.fds[0].1).expect("accept").expect("one");
    let own = std::process::id().cast_signed();
    assert_eq!((connection.pid, connection.uid, connection.peer), (Some(own), Some(0), format!("{own}-0")));
    assert_ne!(connection.cookie, 0);
    drop(client);
    assert!(remove_paths([path.as_str(), fifo.as_str(), "/nonexistent/x"].into_iter()).is_empty());
}

#[test]
fn what_took_the_place_of_the_file_stays_as_it_is() {
    let scratch = Scratch::new("exchanged");
    let (path, other, gone) = (scratch.join("s"), scratch.join("other"), scratch.join("gone"));
    std::fs::write(&other, "").expect("written");
    let before = mode(&other);
    // As somebody does who may change the directory: he waits for the socket, and puts a link in its place.
    let (watched, target) = (path.clone(), other.clone());
    let end = std::time::Instant::now() + std::time::Duration::from_millis(300);
    let exchange = std::thread::spawn(move || {
        while std::time::Instant::now() < end {
            if std::fs::rename(&watched, &gone).is_ok() {
                let _ = std::os::unix::fs::symlink(&target, &watched);
            }
        }
    });
    let mut settings = Settings::default();
    settings.set(ids::SOCKET_MODE, Value::Uint(0o777));
    let spec = spec(&[("Stream", &path)], settings);
    while std::time::Instant::now() < end {
        let _ = open_all(&spec, Owner { uid: Some(12345), gid: None });
        let _ = std::fs::remove_file(&path);
    }
    exchange.join().expect("ended");
    assert_eq!(mode(&other), before, "the link was followed");
}

#[test]
fn internet_sockets_take_their_options() {
    let mut settings = Settings::default();
    for id in [ids::KEEP_ALIVE, ids::NO_DELAY, ids::REUSE_PORT, ids::FREE_BIND] {
        settings.set(id, Value::Bool(true));
    }
    settings.set(ids::BACKLOG, Value::Uint(5));
    settings.set(ids::KEEP_ALIVE_TIME_SEC, Value::Uint(77_000_000));
    settings.set(ids::SOCKET_PRIORITY, Value::Int(3));
    let port = 30000 + std::process::id() % 20000;
    let spec = spec(&[("Stream", &format!("127.0.0.1:{port}"))], settings);
    let opened = open_all(&spec, Owner::default()).expect("opened");
    assert!(opened.weakened.is_empty(), "{:?}", opened.weakened);
    let fd = &opened.fds[0].1;
    assert_eq!(get_int(fd, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE), Ok(77));
    assert_eq!(get_int(fd, libc::SOL_SOCKET, libc::SO_PRIORITY), Ok(3));
    let address = ("127.0.0.1", u16::try_from(port).expect("below 65536"));
    let client = TcpStream::connect(address).expect("connect");
    let connection = accept_described(fd).expect("accept").expect("one");
    let local = client.local_addr().expect("connected");
    assert_eq!(connection.peer, format!("127.0.0.1:{port}-{local}"));
    assert_eq!(connection.remote, Some(("127.0.0.1".to_owned(), local.port())));
    let _waiting = TcpStream::connect(address).expect("connect");
    flush(fd);
    assert!(accept_described(fd).expect("accept").is_none());
}

#[test]
fn other_kinds() {
    let name = format!("@runstead-{}", std::process::id());
    let queue = format!("/runstead-{}", std::process::id());
    let ports = [
        ("Datagram", name.as_str()),
        ("Netlink", "kobject-uevent 1"),
        ("Special", "/dev/zero"),
        ("MessageQueue", queue.as_str()),
    ];
    let opened = open_all(&spec(&ports, Settings::default()), Owner::default()).expect("opened");
    assert_eq!(opened.fds.len(), 4);
    assert_eq!(get_int(&opened.fds[1].1, libc::SOL_SOCKET, libc::SO_DOMAIN), Ok(libc::AF_NETLINK));
    crate::sys::socket::remove_message_queue(&std::ffi::CString::new(queue).expect("ascii")).expect("unlink");
    let refused = open_all(&spec(&[("Special", "/dev")], Settings::default()), Owner::default());
    assert!(refused.is_err());
    assert!(open_all(&spec(&[("Stream", "nonsense")], Settings::default()), Owner::default()).is_err());
}

#[test]
fn a_failure_leaves_no_file() {
    let scratch = Scratch::new("socket-failure");
    let path = scratch.join("s");
    let ports = [("Stream", path.as_str()), ("Special", "/dev")];
    assert!(open_all(&spec(&ports, Settings::default()), Owner::default()).is_err());
    assert!(!std::fs::exists(&path).expect("stat"));
}
