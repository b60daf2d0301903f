//! Values of properties as text of unit files, by the kind of the setting.

use super::{Part, Setting};
use crate::directives::kind::Number;
use crate::directives::parse::cgroup::{NFT_FAMILIES, NFT_SOURCES};
use crate::directives::parse::{base64, exec::NAMESPACES};
use crate::directives::properties::PropertyValue::{self, *};
use crate::directives::{Kind, Row};
use crate::values::{capability, cpuset, percent, signal};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The values of the lines that set `row`; `None` when the value has another type.
pub(super) fn of(row: &Row, setting: &Setting, value: &PropertyValue) -> Option<Vec<String>> {
    match setting.part {
        Part::Whole => {}
        Part::Soft => return one(format!("{}:", limit(value.as_u64()?))),
        Part::Scale => {
            let scale = u32::try_from(value.as_u64()?).ok()?;
            return one(percent::format(percent::from_scale(scale)));
        }
        Part::Prefixed(prefix) => return one(format!("{prefix}{}", escaped(value.as_text()?)?)),
        Part::Links => return lines(value, links),
    }
    match (row.kind, value) {
        (Kind::Commands, _) => lines(value, command),
        (Kind::Environment | Kind::LogFields, Array(..)) => lines(value, |item| match item {
            Text(text) => Some(quoted(text)),
            other => Some(quoted(&String::from_utf8(other.as_bytes()?).ok()?)),
        }),
        (Kind::List(_), Array(element, _)) if element == "(sb)" => lines(value, |item| {
            let [path, minus] = item.items()? else { return None };
            Some(format!("{}{}", if minus.as_bool()? { "-" } else { "" }, escaped(path.as_text()?)?))
        }),
        (Kind::SearchPath, Array(..)) => joined(value, ":", |item| escaped(item.as_text()?)),
        (Kind::Addresses, Array(..)) => lines(value, address),
        (Kind::DeviceAllow | Kind::DeviceNumbers(_), Array(..)) => {
            lines(value, |item| device(row.kind, item))
        }
        (Kind::Binds, Array(..)) => lines(value, bind),
        (Kind::SetCredential, Array(..)) => lines(value, |item| credential(row, item)),
        (Kind::LoadCredential, Array(..)) => lines(value, |item| pair(item, false)),
        (
            Kind::TemporaryFileSystems | Kind::ImportCredential | Kind::BpfPrograms | Kind::ImageOptions,
            Array(element, _),
        ) if element == "(ss)" => lines(value, |item| pair(item, true)),
        (Kind::OpenFile, Array(..)) => lines(value, open_file),
        (Kind::LogPatterns, Array(..)) => lines(value, |item| {
            let [allow, pattern] = item.items()? else { return None };
            Some(format!("{}{}", if allow.as_bool()? { "" } else { "~" }, pattern.as_text()?))
        }),
        (Kind::SocketBinds, Array(..)) => lines(value, socket_bind),
        (Kind::NftSets, Array(..)) => lines(value, nft_set),
        (Kind::ExitSet, Struct(_)) => exit_set(value),
        (Kind::SystemCalls | Kind::Families | Kind::Filter, Struct(_)) => filter(value),
        (Kind::Label, Struct(_)) => {
            let [minus, label] = value.items()? else { return None };
            one(format!("{}{}", if minus.as_bool()? { "-" } else { "" }, escaped(label.as_text()?)?))
        }
        (Kind::CpuSet, _) => one(cpus(&value.as_bytes()?)),
        (Kind::InputData, _) => one(base64::encode(&value.as_bytes()?)),
        (Kind::Blob, Bytes(_) | Array(..)) => {
            one(value.as_bytes()?.iter().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            }))
        }
        (Kind::WorkingDirectory, Text(text)) => {
            let (minus, path) = text.strip_prefix('!').map_or(("", &**text), |path| ("-", path));
            one(format!("{minus}{}", escaped(path)?))
        }
        (Kind::Delegate, Array(..)) => joined(value, " ", |item| escaped(item.as_text()?)),
        (_, Array(..)) => joined(value, " ", |item| Some(quoted(item.as_text()?))),
        (_, Bool(on)) => one(if *on { "yes" } else { "no" }.to_owned()),
        (_, Text(text)) => one(escaped(text)?),
        _ => one(number(row, value)?),
    }
}

fn one(text: String) -> Option<Vec<String>> {
    Some(vec![text])
}

/// A line for each item; one that resets where there is none.
fn lines(value: &PropertyValue, line: impl Fn(&PropertyValue) -> Option<String>) -> Option<Vec<String>> {
    match value.items()? {
        [] => one(String::new()),
        items => items.iter().map(line).collect(),
    }
}

fn joined(
    value: &PropertyValue,
    between: &str,
    word: impl Fn(&PropertyValue) -> Option<String>,
) -> Option<Vec<String>> {
    one(value.items()?.iter().map(word).collect::<Option<Vec<String>>>()?.join(between))
}

/// A text that means itself in a unit file.
pub(super) fn escaped(text: &str) -> Option<String> {
    (!text.contains(['\n', '\0'])).then(|| text.replace('%', "%%"))
}

/// A word that means itself in a list, in quotes where it needs them.
fn quoted(text: &str) -> String {
    let needs = text.is_empty()
        || text.contains(|c: char| c.is_whitespace() || c.is_control() || "\"'\\;".contains(c));
    if !needs {
        return text.replace('%', "%%");
    }
    let mut word = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => word.extend(['\\', c]),
            '\n' => word.push_str("\\n"),
            '\t' => word.push_str("\\t"),
            '%' => word.push_str("%%"),
            c if c.is_control() => {
                let _ = write!(word, "\\x{:02x}", u32::from(c));
            }
            c => word.push(c),
        }
    }
    word.push('"');
    word
}

fn limit(number: u64) -> String {
    if number == u64::MAX { "infinity".to_owned() } else { number.to_string() }
}

fn number(row: &Row, value: &PropertyValue) -> Option<String> {
    if let Kind::Numbers(known) = row.kind {
        let number = value.as_i64()?;
        let word = known.words.iter().find(|(_, known)| *known == number);
        return Some(word.map_or_else(|| number.to_string(), |(word, _)| (*word).to_owned()));
    }
    let number = match value {
        Int(number) if *number < 0 => return Some(number.to_string()),
        other => other.as_u64()?,
    };
    Some(match row.kind {
        Kind::CpuWeight if number == 0 => "idle".to_owned(),
        Kind::CpuWeight | Kind::Shares(..) | Kind::Quota if number == u64::MAX => String::new(),
        Kind::Quota => percent::format(u32::try_from(number / 100).ok()?),
        Kind::PressureLimit => percent::format(percent::from_scale(u32::try_from(number).ok()?)),
        Kind::Span(..) | Kind::ServiceTimeout | Kind::TimeoutAbort | Kind::JobTimeout | Kind::Timer
            if number != u64::MAX =>
        {
            format!("{number}us")
        }
        Kind::Nanoseconds => format!("{number}ns"),
        Kind::Mode => format!("{number:04o}"),
        Kind::Signal => signal::format(u8::try_from(number).ok()?),
        Kind::Capabilities => capabilities(number),
        Kind::Namespaces => namespaces(number),
        Kind::CoredumpFilter => format!("0x{number:x}"),
        Kind::SecureBits => secure_bits(number),
        _ => limit(number),
    })
}

/// Bits without a name are kept by naming what is missing. No capability at all is the empty assignment.
fn capabilities(set: u64) -> String {
    if set & !capability::ALL != 0 {
        return format!("~{}", capability::format_set(!set & capability::ALL));
    }
    capability::format_set(set)
}

fn namespaces(allowed: u64) -> String {
    let names: Vec<&str> =
        NAMESPACES.iter().filter(|(_, flag)| allowed & flag != 0).map(|(name, _)| *name).collect();
    match names.len() {
        0 => "yes".to_owned(),
        count if count == NAMESPACES.len() => "no".to_owned(),
        _ => names.join(" "),
    }
}

fn secure_bits(bits: u64) -> String {
    let names = crate::directives::parse::exec::SECURE_BITS.iter().enumerate();
    let names: Vec<&str> = names.filter(|(bit, _)| bits >> bit & 1 != 0).map(|(_, name)| *name).collect();
    names.join(" ")
}

/// `(sasb)` or `(sasas)`: path, arguments, and whether failure matters or a list of flags.
fn command(item: &PropertyValue) -> Option<String> {
    let [path, argv, how, ..] = item.items()? else { return None };
    let (path, argv) = (path.as_text()?, argv.items()?);
    let mut prefix = String::new();
    match how {
        Bool(on) => prefix.push_str(if *on { "-" } else { "" }),
        flags => {
            for flag in flags.items()? {
                prefix.push_str(match flag.as_text()? {
                    "ignore-failure" => "-",
                    "privileged" => "+",
                    "no-setuid" => "!",
                    "ambient" => "!!",
                    "no-env-expand" => ":",
                    _ => return None,
                });
            }
        }
    }
    let first = argv.first()?.as_text()?;
    if first != path {
        prefix.push('@');
    }
    let mut line = format!("{prefix}{}", argument(path));
    let rest = if first == path { argv.get(1..)? } else { argv };
    for word in rest {
        line.push(' ');
        line.push_str(&argument(word.as_text()?));
    }
    Some(line)
}

/// An argument. Dollar signs stay: whoever sends them wants them expanded, or gives `no-env-expand`.
fn argument(text: &str) -> String {
    quoted(text)
}

fn address(item: &PropertyValue) -> Option<String> {
    let [family, octets, bits] = item.items()? else { return None };
    let (octets, bits) = (octets.as_bytes()?, bits.as_u64()?);
    match family.as_i64()? {
        2 => Some(format!("{}/{bits}", std::net::Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?))),
        10 => Some(format!("{}/{bits}", std::net::Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?))),
        _ => None,
    }
}

fn device(kind: Kind, item: &PropertyValue) -> Option<String> {
    let [path, second] = item.items()? else { return None };
    let second = match (kind, second) {
        (Kind::DeviceNumbers(Number::Span), number) => format!("{}us", number.as_u64()?),
        (Kind::DeviceNumbers(_), number) => limit(number.as_u64()?),
        (_, text) => text.as_text()?.to_owned(),
    };
    Some(format!("{} {second}", quoted(path.as_text()?)))
}

fn bind(item: &PropertyValue) -> Option<String> {
    const MS_REC: u64 = 0x4000;
    let [source, destination, minus, flags] = item.items()? else { return None };
    let recursive = flags.as_u64()? & MS_REC != 0;
    let text = format!(
        "{}{}:{}:{}",
        if minus.as_bool()? { "-" } else { "" },
        source.as_text()?,
        destination.as_text()?,
        if recursive { "rbind" } else { "norbind" }
    );
    Some(quoted(&text))
}

fn credential(row: &Row, item: &PropertyValue) -> Option<String> {
    let [id, data] = item.items()? else { return None };
    let (id, data) = (escaped(id.as_text()?)?, data.as_bytes()?);
    if row.name.ends_with("Encrypted") {
        return Some(format!("{id}:{}", base64::encode(&data)));
    }
    let mut line = format!("{id}:");
    for byte in data {
        match byte {
            b'\\' => line.push_str("\\\\"),
            b' ' | 0..=31 | 127.. => {
                let _ = write!(line, "\\x{byte:02x}");
            }
            byte => line.push(char::from(byte)),
        }
    }
    Some(line)
}

/// Two texts with a colon between them; the second may be empty.
fn pair(item: &PropertyValue, in_list: bool) -> Option<String> {
    let [first, second] = item.items()? else { return None };
    let (first, second) = (first.as_text()?, second.as_text()?);
    let text = if second.is_empty() { first.to_owned() } else { format!("{first}:{second}") };
    if in_list { Some(quoted(&text)) } else { escaped(&text) }
}

fn open_file(item: &PropertyValue) -> Option<String> {
    const OPTIONS: [&str; 4] = ["read-only", "append", "truncate", "graceful"];
    let [path, name, flags] = item.items()? else { return None };
    let flags = flags.as_u64()?;
    let words: Vec<&str> =
        OPTIONS.iter().enumerate().filter(|(bit, _)| flags >> bit & 1 != 0).map(|(_, word)| *word).collect();
    Some(format!("{}:{}:{}", escaped(path.as_text()?)?, escaped(name.as_text()?)?, words.join(",")))
}

/// `(iiqq)`: family, protocol, number of ports, first port.
fn socket_bind(item: &PropertyValue) -> Option<String> {
    let [family, protocol, count, first] = item.items()? else { return None };
    let mut parts = Vec::new();
    parts.extend(
        [(2, "ipv4"), (10, "ipv6")]
            .iter()
            .find(|known| Some(known.0) == family.as_i64())
            .map(|known| known.1),
    );
    parts.extend(
        [(6, "tcp"), (17, "udp")]
            .iter()
            .find(|known| Some(known.0) == protocol.as_i64())
            .map(|known| known.1),
    );
    let ports = match (first.as_u64()?, count.as_u64()?) {
        (_, 0) => "any".to_owned(),
        (first, 1) => first.to_string(),
        (first, count) => format!("{first}-{}", first + count - 1),
    };
    Some(parts.into_iter().map(str::to_owned).chain([ports]).collect::<Vec<_>>().join(":"))
}

/// `(iiss)`: source, family, table, set.
fn nft_set(item: &PropertyValue) -> Option<String> {
    let [source, family, table, set] = item.items()? else { return None };
    let source = NFT_SOURCES.get(usize::try_from(source.as_i64()?).ok()?)?;
    let family = NFT_FAMILIES.iter().find(|known| Some(i64::from(known.1)) == family.as_i64())?.0;
    Some(format!("{source}:{family}:{}:{}", escaped(table.as_text()?)?, escaped(set.as_text()?)?))
}

/// `(sst)`: a directory, a link to it, flags.
fn links(item: &PropertyValue) -> Option<String> {
    let [path, link, flags] = item.items()? else { return None };
    let flags = if flags.as_u64()? & 1 != 0 { ":ro" } else { "" };
    Some(quoted(&format!("{}:{}{flags}", path.as_text()?, link.as_text()?)))
}

fn exit_set(value: &PropertyValue) -> Option<Vec<String>> {
    let [statuses, signals] = value.items()? else { return None };
    let mut words = Vec::new();
    for status in statuses.items()? {
        words.push(status.as_u64()?.to_string());
    }
    for number in signals.items()? {
        words.push(format!(
            "SIG{}",
            signal::format(u8::try_from(number.as_u64()?).ok()?).trim_start_matches("SIG")
        ));
    }
    one(words.join(" "))
}

fn filter(value: &PropertyValue) -> Option<Vec<String>> {
    let [allow, items] = value.items()? else { return None };
    let words: Option<Vec<String>> = items.items()?.iter().map(|item| escaped(item.as_text()?)).collect();
    one(format!("{}{}", if allow.as_bool()? { "" } else { "~" }, words?.join(" ")))
}

fn cpus(mask: &[u8]) -> String {
    let set: BTreeSet<u32> = (0_u32..)
        .zip(mask)
        .flat_map(|(at, byte)| (0..8).filter(move |bit| byte >> bit & 1 != 0).map(move |bit| at * 8 + bit))
        .collect();
    cpuset::format(&set)
}
