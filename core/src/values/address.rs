//! Socket addresses, `ListenStream=` and its sisters (`systemd.socket(5)`).

use super::ValueError;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Any context identifier of `AF_VSOCK`.
pub const VSOCK_ANY: u32 = u32::MAX;
/// The longest path or abstract name of an `AF_UNIX` socket, in bytes.
pub const UNIX_PATH_MAX: usize = 107;

/// Kind of an `AF_VSOCK` socket, where the address names one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum VsockKind {
    Stream,
    Dgram,
    Seqpacket,
}

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Address {
    /// A path in the file system.
    Unix(String),
    /// A name in the abstract name space, without its `@`.
    Abstract(String),
    /// A port alone: on all addresses, of IPv6 (and IPv4 through it) or of IPv4 where there is no IPv6.
    Port(u16),
    /// An IP address and port; `scope` is an interface name or index of a `%` part.
    Ip {
        /// The address.
        address: IpAddr,
        /// The port.
        port: u16,
        /// What stands behind `%`.
        scope: Option<String>,
    },
    /// `vsock:CID:PORT`
    Vsock {
        /// Context identifier.
        cid: u32,
        /// Port.
        port: u32,
        /// The kind behind `vsock-`, if any.
        kind: Option<VsockKind>,
    },
    /// A netlink family by name, and its multicast group.
    Netlink {
        /// Family name, e.g. `route`.
        family: String,
        /// Group number.
        group: u32,
    },
}

/// Names of the netlink families with the kernel's numbers.
pub const NETLINK_FAMILIES: [(&str, u16); 18] = [
    ("route", 0),
    ("firewall", 3),
    ("inet-diag", 4),
    ("nflog", 5),
    ("xfrm", 6),
    ("selinux", 7),
    ("iscsi", 8),
    ("audit", 9),
    ("fib-lookup", 10),
    ("connector", 11),
    ("netfilter", 12),
    ("ip6-fw", 13),
    ("dnrtmsg", 14),
    ("kobject-uevent", 15),
    ("generic", 16),
    ("scsitransport", 18),
    ("ecryptfs", 19),
    ("rdma", 20),
];

const WHAT: &str = "socket address";

/// Parses the address of a stream, datagram or packet socket.
pub fn parse(text: &str) -> Result<Address, ValueError> {
    let fail = |reason| ValueError::new(WHAT, text, reason);
    if text.starts_with('/') {
        return unix(text);
    }
    if let Some(name) = text.strip_prefix('@') {
        return match name.len() {
            0 => Err(fail("empty name")),
            1..=UNIX_PATH_MAX => Ok(Address::Abstract(name.to_owned())),
            _ => Err(fail("name too long")),
        };
    }
    if let Some(rest) = text.strip_prefix("vsock") {
        return vsock(rest).ok_or(fail("not CID:PORT"));
    }
    if text.starts_with('[') {
        return ipv6(text).ok_or(fail("not [ADDRESS]:PORT"));
    }
    if let Some((address, port)) = text.rsplit_once(':') {
        let address: Ipv4Addr = address.parse().map_err(|_| fail("no IPv4 address"))?;
        let port = parse_port(port).ok_or(fail("no port"))?;
        return Ok(Address::Ip { address: IpAddr::V4(address), port, scope: None });
    }
    parse_port(text).map(Address::Port).ok_or(fail("no path, address or port"))
}

/// A port of 1 to 65535.
pub fn parse_port(text: &str) -> Option<u16> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|&port| port != 0)
}

fn unix(text: &str) -> Result<Address, ValueError> {
    let fail = |reason| ValueError::new(WHAT, text, reason);
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") || parts.is_empty() {
        return Err(fail("the path is not normalized"));
    }
    let path = format!("/{}", parts.join("/"));
    if path.len() > UNIX_PATH_MAX { Err(fail("path too long")) } else { Ok(Address::Unix(path)) }
}

fn ipv6(text: &str) -> Option<Address> {
    let (inside, rest) = text.strip_prefix('[')?.split_once(']')?;
    let (port, scope) = match rest.strip_prefix(':')?.split_once('%') {
        Some((port, scope)) if !scope.is_empty() => (port, Some(scope.to_owned())),
        Some(_) => return None,
        None => (rest.strip_prefix(':')?, None),
    };
    let address: Ipv6Addr = inside.parse().ok()?;
    Some(Address::Ip { address: IpAddr::V6(address), port: parse_port(port)?, scope })
}

fn vsock(rest: &str) -> Option<Address> {
    let (kind, rest) = rest.split_once(':')?;
    let kind = match kind {
        "" => None,
        "-stream" => Some(VsockKind::Stream),
        "-dgram" => Some(VsockKind::Dgram),
        "-seqpacket" => Some(VsockKind::Seqpacket),
        _ => return None,
    };
    let (cid, port) = rest.split_once(':')?;
    let cid = if cid.is_empty() { VSOCK_ANY } else { cid.parse().ok()? };
    Some(Address::Vsock { cid, port: port.parse().ok()?, kind })
}

/// Parses `ListenNetlink=`: a family name and, optionally, a group number.
pub fn parse_netlink(text: &str) -> Result<Address, ValueError> {
    let fail = |reason| ValueError::new("netlink address", text, reason);
    let mut words = text.split_ascii_whitespace();
    let family = words.next().ok_or(fail("empty"))?;
    let known = NETLINK_FAMILIES.iter().any(|(name, number)| *name == family || number.to_string() == family);
    if !known {
        return Err(fail("no such family"));
    }
    let group = words.next().map_or(Ok(0), str::parse).map_err(|_| fail("no group number"))?;
    match words.next() {
        Some(_) => Err(fail("more than family and group")),
        None => Ok(Address::Netlink { family: family.to_owned(), group }),
    }
}

/// The text of an address, as the `Listen` property shows it.
pub fn format(address: &Address) -> String {
    match address {
        Address::Unix(path) => path.clone(),
        Address::Abstract(name) => format!("@{name}"),
        Address::Port(port) => format!("[::]:{port}"),
        Address::Ip { address: IpAddr::V4(address), port, .. } => format!("{address}:{port}"),
        Address::Ip { address: IpAddr::V6(address), port, scope } => match scope {
            Some(scope) => format!("[{address}]:{port}%{scope}"),
            None => format!("[{address}]:{port}"),
        },
        Address::Vsock { cid, port, kind } => {
            let kind = match kind {
                None => "",
                Some(VsockKind::Stream) => "-stream",
                Some(VsockKind::Dgram) => "-dgram",
                Some(VsockKind::Seqpacket) => "-seqpacket",
            };
            let cid = if *cid == VSOCK_ANY { String::new() } else { cid.to_string() };
            format!("vsock{kind}:{cid}:{port}")
        }
        Address::Netlink { family, group } => format!("{family} {group}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms() {
        for text in [
            "/run/x.sock",
            "@abstract",
            "127.0.0.1:80",
            "[::1]:443",
            "[fe80::1]:443%eth0",
            "vsock:2:1234",
            "vsock::1234",
            "vsock-dgram:3:4",
        ] {
            assert_eq!(parse(text).map(|a| format(&a)).as_deref(), Ok(text));
        }
        assert_eq!(parse("8080"), Ok(Address::Port(8080)));
        assert_eq!(parse("/run//./x"), Ok(Address::Unix("/run/x".into())));
        assert_eq!(parse_netlink("route 1361"), Ok(Address::Netlink { family: "route".into(), group: 1361 }));
        assert_eq!(parse_netlink("audit"), Ok(Address::Netlink { family: "audit".into(), group: 0 }));
        for text in
            ["", "0", "65536", "x", "1.2.3:4", "[::1]", "[::1]:", "vsock:1", "@", "/a/../b", "/", "+80"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&format!("/{}", "a".repeat(107))).is_err());
        assert!(parse_netlink("nope").is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in "[\\[\\]:%@/0-9a-fvsock.-]{0,32}") {
            let _ = parse(&text);
            let _ = parse_netlink(&text);
        }
    }
}
