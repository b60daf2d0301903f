//! Weights, limits, devices and addresses (`systemd.resource-control(5)`).

use super::list::{absolute_path, with_rows, words};
use super::{Context, Outcome, Problem, appended, ignored};
use crate::directives::kind::{Kind, Number};
use crate::settings::Value;
use crate::values::{bytes, device, percent, span};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::rc::Rc;

/// Controllers and what counts as such, in the reference's order.
pub const CONTROLLERS: [&str; 13] = [
    "cpu",
    "cpuacct",
    "cpuset",
    "io",
    "blkio",
    "memory",
    "devices",
    "pids",
    "bpf-firewall",
    "bpf-devices",
    "bpf-foreign",
    "bpf-socket-bind",
    "bpf-restrict-network-interfaces",
];

/// What fills a netfilter set, by the number on the bus.
pub const NFT_SOURCES: [&str; 6] = ["address", "prefix", "ifindex", "cgroup", "user", "group"];

/// Families of netfilter tables with their numbers (linux/netfilter.h).
pub const NFT_FAMILIES: [(&str, i32); 6] =
    [("inet", 1), ("ip", 2), ("arp", 3), ("netdev", 5), ("bridge", 7), ("ip6", 10)];

pub(super) fn parse(context: &mut Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    let uint = |number: u64| Ok(Outcome::Set(Value::Uint(number)));
    if text.is_empty() && !matches!(context.row.kind, Kind::Delegate) {
        return Ok(Outcome::Reset);
    }
    match context.row.kind {
        Kind::Memory | Kind::Tasks => limit(context, text),
        Kind::CpuWeight if text == "idle" => uint(0),
        Kind::CpuWeight => uint(between(text, 1, 10_000)?),
        Kind::Shares(low, high) => uint(between(text, low, high)?),
        Kind::Quota => match percent::parse_unbounded(text)? {
            0 => ignored("no processor time at all"),
            permyriad => uint(u64::from(permyriad) * 100),
        },
        Kind::DeviceAllow => {
            let rule = device::parse(&context.expand(text)?)?;
            Ok(with_rows(context, vec![vec![rule.device_text(), rule.access_text()]]))
        }
        Kind::DeviceNumbers(number) => device_number(context, text, number),
        Kind::Delegate => delegate(context, text),
        Kind::Controllers => {
            let more = controllers(context, text)?;
            Ok(Outcome::Set(Value::List(merged(context.settings.list(context.row.id), more))))
        }
        Kind::Addresses => addresses(context, text),
        Kind::PressureLimit => uint(u64::from(percent::to_scale(percent::parse(text)?))),
        Kind::BpfPrograms => match text.split_once(':') {
            Some((attach, path)) => {
                let row = vec![attach.to_owned(), absolute_path(&context.expand(path)?)?];
                Ok(with_rows(context, vec![row]))
            }
            None => ignored("no attach type"),
        },
        Kind::SocketBinds => socket_binds(context, text),
        Kind::NftSets => nft_sets(context, text),
        _ => Ok(Outcome::Keep),
    }
}

fn between(text: &str, low: u32, high: u32) -> Result<u64, Problem> {
    match text.parse::<u32>() {
        Ok(number) if (low..=high).contains(&number) => Ok(u64::from(number)),
        _ => ignored(format!("no number between {low} and {high}")),
    }
}

fn limit(context: &Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    let name = context.row.name;
    let may_be_zero = ["Min", "Low", "SwapMax"].iter().any(|end| name.ends_with(end));
    match bytes::parse_limit(text)? {
        bytes::Limit::Infinity => Ok(Outcome::Set(Value::Uint(u64::MAX))),
        bytes::Limit::Absolute(0) | bytes::Limit::Permyriad(0) if !may_be_zero => ignored("zero"),
        bytes::Limit::Absolute(number) => Ok(Outcome::Set(Value::Uint(number))),
        bytes::Limit::Permyriad(part) => Ok(Outcome::Set(Value::Text(percent::format(part).into()))),
    }
}

fn device_number(context: &Context<'_, '_>, text: &str, number: Number) -> Result<Outcome, Problem> {
    let parts = words(text)?;
    let [path, value] = parts.as_slice() else { return ignored("a device and a number are needed") };
    let path = absolute_path(&context.expand(path)?)?;
    let number = match number {
        Number::Weight => between(value, 1, 10_000)?,
        Number::BlockWeight => between(value, 10, 1000)?,
        Number::Bytes if value == "infinity" => u64::MAX,
        Number::Bytes => bytes::parse(value, bytes::Base::Si)?,
        Number::Span => span::parse_sec(value)?,
    };
    let mut all = context.settings.rows(context.row.id).to_vec();
    let row: Rc<[Rc<str>]> = Rc::from([Rc::from(path), Rc::from(number.to_string())]);
    match all.iter().position(|old| old[0] == row[0]) {
        Some(at) => all[at] = row,
        None => all.push(row),
    }
    Ok(Outcome::Set(Value::Rows(all.into())))
}

fn controllers(context: &mut Context<'_, '_>, text: &str) -> Result<Vec<&'static str>, Problem> {
    let mut found = Vec::new();
    for word in words(text)? {
        match CONTROLLERS.iter().find(|known| **known == word) {
            Some(known) => found.push(*known),
            None => context.complain(Problem::Ignored(format!("{word:?} is no controller"))),
        }
    }
    Ok(found)
}

/// Both lists without repetition, in the reference's order.
fn merged(old: &[Rc<str>], more: Vec<&'static str>) -> Rc<[Rc<str>]> {
    let wanted = |name: &&str| more.contains(name) || old.iter().any(|old| **old == **name);
    CONTROLLERS.iter().copied().filter(wanted).map(Rc::from).collect()
}

fn delegate(context: &mut Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    match super::boolean(text) {
        Some(true) => return Ok(Outcome::Set(Value::List(merged(&[], CONTROLLERS.to_vec())))),
        Some(false) => return Ok(Outcome::Set(Value::Bool(false))),
        None => {}
    }
    let more = controllers(context, text)?;
    let old = if text.is_empty() { &[] } else { context.settings.list(context.row.id) };
    Ok(Outcome::Set(Value::List(merged(old, more))))
}

fn addresses(context: &mut Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    let mut all: BTreeSet<(IpAddr, u8)> =
        context.settings.list(context.row.id).iter().filter_map(|text| prefix(text)).collect();
    for word in words(text)? {
        let meant: &[&str] = match word.as_str() {
            "any" => &["0.0.0.0/0", "::/0"],
            "localhost" => &["127.0.0.0/8", "::1/128"],
            "link-local" => &["169.254.0.0/16", "fe80::/64"],
            "multicast" => &["224.0.0.0/4", "ff00::/8"],
            word => &[word],
        };
        let parsed: Option<Vec<_>> = meant.iter().map(|text| prefix(text)).collect();
        match parsed {
            Some(found) => all.extend(found),
            None => context.complain(Problem::Ignored(format!("{word:?} is no address"))),
        }
    }
    let texts = all.into_iter().map(|(address, bits)| Rc::from(format!("{address}/{bits}")));
    Ok(Outcome::Set(Value::List(texts.collect())))
}

/// An address with the length of its prefix, the bits behind it cleared.
pub fn prefix(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
        None => (text, None),
    };
    match address.parse::<IpAddr>().ok()? {
        IpAddr::V4(v4) => {
            let bits = bits.unwrap_or(32);
            let mask = u32::MAX.checked_shl(32_u32.checked_sub(u32::from(bits))?).unwrap_or(0);
            Some((IpAddr::V4((v4.to_bits() & mask).into()), bits))
        }
        IpAddr::V6(v6) => {
            let bits = bits.unwrap_or(128);
            let mask = u128::MAX.checked_shl(128_u32.checked_sub(u32::from(bits))?).unwrap_or(0);
            Some((IpAddr::V6((v6.to_bits() & mask).into()), bits))
        }
    }
}

fn socket_binds(context: &Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    let good = text.split(':').all(|part| {
        ["any", "ipv4", "ipv6", "tcp", "udp"].contains(&part)
            || part.split('-').all(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
    });
    if !good {
        return ignored("no family, protocol and ports");
    }
    let more = vec![Rc::from(text)];
    Ok(Outcome::Set(Value::List(appended(context.settings.list(context.row.id), more))))
}

fn nft_sets(context: &mut Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    let mut more = Vec::new();
    for word in words(text)? {
        let parts: Vec<String> = word.split(':').map(str::to_owned).collect();
        let known = parts.len() == 4
            && NFT_SOURCES[3..].contains(&parts[0].as_str())
            && NFT_FAMILIES.iter().any(|known| known.0 == parts[1]);
        if known {
            more.push(parts);
        } else {
            context.complain(Problem::Ignored(format!("{word:?} is no netfilter set")));
        }
    }
    Ok(with_rows(context, more))
}
