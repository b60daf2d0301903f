//! Socket options of socket units. What the kernel refuses weakens the unit; it does not fail it.
use super::unix::{set_receive_buffer, set_send_buffer};
use crate::sys::socket::{set_bytes, set_int};
use runstead_core::directives::ids;
use runstead_core::engine::clock::Usec;
use runstead_core::settings::Settings;
use rustix::fd::OwnedFd;
use rustix::io::Errno;

const IP_TRANSPARENT: i32 = 19;
const IPV6_TRANSPARENT: i32 = 75;
const IPV6_FREEBIND: i32 = 78;
const NETLINK_PKTINFO: i32 = 3;

struct Setter<'a> {
    fd: &'a OwnedFd,
    weakened: &'a mut Vec<(&'static str, String)>,
}

impl Setter<'_> {
    fn note(&mut self, directive: &'static str, result: Result<(), Errno>) {
        if let Err(errno) = result {
            self.weakened.push((directive, errno.to_string()));
        }
    }

    fn int(&mut self, directive: &'static str, level: i32, option: i32, value: i32) {
        let result = set_int(self.fd, level, option, value);
        self.note(directive, result);
    }
}

fn is_inet(family: i32) -> bool {
    family == libc::AF_INET || family == libc::AF_INET6
}

/// Options that decide where it may be bound.
pub(super) fn before_bind(
    fd: &OwnedFd,
    settings: &Settings,
    family: i32,
    weakened: &mut Vec<(&'static str, String)>,
) {
    let mut set = Setter { fd, weakened };
    if family == libc::AF_INET6 {
        match settings.word(ids::BIND_IPV6_ONLY) {
            "both" => set.int("BindIPv6Only", libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 0),
            "ipv6-only" => set.int("BindIPv6Only", libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1),
            _ => {}
        }
    }
    if let Some(device) = settings.text(ids::BIND_TO_DEVICE) {
        let name = [device.as_bytes(), b"\0"].concat();
        let result = set_bytes(fd, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, &name);
        set.note("BindToDevice", result);
    }
    if settings.bool(ids::REUSE_PORT) {
        set.int("ReusePort", libc::SOL_SOCKET, libc::SO_REUSEPORT, 1);
    }
    if settings.bool(ids::FREE_BIND) && is_inet(family) {
        let (level, option) =
            by_family(family, (libc::IPPROTO_IP, libc::IP_FREEBIND), (libc::IPPROTO_IPV6, IPV6_FREEBIND));
        set.int("FreeBind", level, option, 1);
    }
    if settings.bool(ids::TRANSPARENT) && is_inet(family) {
        let (level, option) =
            by_family(family, (libc::IPPROTO_IP, IP_TRANSPARENT), (libc::IPPROTO_IPV6, IPV6_TRANSPARENT));
        set.int("Transparent", level, option, 1);
    }
    if is_inet(family) {
        // A listener that was stopped leaves connections behind that must not keep its successor out.
        set.int("ListenStream", libc::SOL_SOCKET, libc::SO_REUSEADDR, 1);
    }
}

fn by_family(family: i32, v4: (i32, i32), v6: (i32, i32)) -> (i32, i32) {
    if family == libc::AF_INET6 { v6 } else { v4 }
}

fn seconds(span: Usec) -> i32 {
    i32::try_from(span.div_ceil(1_000_000)).unwrap_or(i32::MAX)
}

/// All other options.
pub(super) fn after_bind(
    fd: &OwnedFd,
    settings: &Settings,
    family: i32,
    kind: i32,
    weakened: &mut Vec<(&'static str, String)>,
) {
    let mut set = Setter { fd, weakened };
    let is_tcp = is_inet(family) && kind == libc::SOCK_STREAM;
    generic(&mut set, settings, family);
    if is_tcp {
        tcp(&mut set, settings);
    }
    if is_inet(family) {
        inet(&mut set, settings, family);
    }
}

fn generic(set: &mut Setter<'_>, settings: &Settings, family: i32) {
    let level = libc::SOL_SOCKET;
    if settings.bool(ids::KEEP_ALIVE) {
        set.int("KeepAlive", level, libc::SO_KEEPALIVE, 1);
    }
    if settings.bool(ids::BROADCAST) {
        set.int("Broadcast", level, libc::SO_BROADCAST, 1);
    }
    if settings.bool(ids::PASS_CREDENTIALS) {
        set.int("PassCredentials", level, libc::SO_PASSCRED, 1);
    }
    if settings.bool(ids::PASS_SECURITY) {
        set.int("PassSecurity", level, libc::SO_PASSSEC, 1);
    }
    match settings.word(ids::TIMESTAMPING) {
        "us" => set.int("Timestamping", level, libc::SO_TIMESTAMP, 1),
        "ns" => set.int("Timestamping", level, libc::SO_TIMESTAMPNS, 1),
        _ => {}
    }
    if let Some(priority) = small(settings.int(ids::SOCKET_PRIORITY)) {
        set.int("Priority", level, libc::SO_PRIORITY, priority);
    }
    if let Some(mark) = small(settings.int(ids::MARK)) {
        set.int("Mark", level, libc::SO_MARK, mark);
    }
    let size = |id| i32::try_from(settings.uint(id)).ok().filter(|&size| size > 0);
    if let Some(size) = size(ids::RECEIVE_BUFFER) {
        set_receive_buffer(set.fd, size);
    }
    if let Some(size) = size(ids::SEND_BUFFER) {
        set_send_buffer(set.fd, size);
    }
    if settings.bool(ids::PASS_PACKET_INFO) {
        match family {
            libc::AF_INET => set.int("PassPacketInfo", libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
            libc::AF_INET6 => set.int("PassPacketInfo", libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
            libc::AF_NETLINK => set.int("PassPacketInfo", libc::SOL_NETLINK, NETLINK_PKTINFO, 1),
            _ => {}
        }
    }
}

/// -1 stands for "not set" in these settings.
fn small(value: i64) -> Option<i32> {
    i32::try_from(value).ok().filter(|&value| value >= 0)
}

fn tcp(set: &mut Setter<'_>, settings: &Settings) {
    let level = libc::IPPROTO_TCP;
    let span = |id| Some(settings.uint(id)).filter(|&span| span > 0).map(seconds);
    if let Some(time) = span(ids::KEEP_ALIVE_TIME_SEC) {
        set.int("KeepAliveTimeSec", level, libc::TCP_KEEPIDLE, time);
    }
    if let Some(interval) = span(ids::KEEP_ALIVE_INTERVAL_SEC) {
        set.int("KeepAliveIntervalSec", level, libc::TCP_KEEPINTVL, interval);
    }
    if let Some(probes) =
        i32::try_from(settings.uint(ids::KEEP_ALIVE_PROBES)).ok().filter(|&probes| probes > 0)
    {
        set.int("KeepAliveProbes", level, libc::TCP_KEEPCNT, probes);
    }
    if let Some(defer) = span(ids::DEFER_ACCEPT_SEC) {
        set.int("DeferAcceptSec", level, libc::TCP_DEFER_ACCEPT, defer);
    }
    if settings.bool(ids::NO_DELAY) {
        set.int("NoDelay", level, libc::TCP_NODELAY, 1);
    }
    if let Some(name) = settings.text(ids::TCP_CONGESTION) {
        let result = set_bytes(set.fd, level, libc::TCP_CONGESTION, name.as_bytes());
        set.note("TCPCongestion", result);
    }
}

fn inet(set: &mut Setter<'_>, settings: &Settings, family: i32) {
    // An IPv6 socket serves IPv4, too.
    if let Some(tos) = small(settings.int(ids::IPTOS)) {
        set.int("IPTOS", libc::IPPROTO_IP, libc::IP_TOS, tos);
    }
    if let Some(ttl) = small(settings.int(ids::IPTTL)).filter(|&ttl| ttl > 0) {
        set.int("IPTTL", libc::IPPROTO_IP, libc::IP_TTL, ttl);
        if family == libc::AF_INET6 {
            set.int("IPTTL", libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, ttl);
        }
    }
}
