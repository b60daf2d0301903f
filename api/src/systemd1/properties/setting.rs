//! Settings as values of a given type: what the table says about the type and what the settings hold meet here.
use runstead_core::directives::parse::base64;
use runstead_core::directives::{DefaultValue, row};
use runstead_core::settings::{DirectiveId, Settings, Value};
use runstead_core::values::cpuset;
use runstead_wire::dbus::Writer;
use std::net::IpAddr;
use std::rc::Rc;

type Row = Rc<[Rc<str>]>;

/// Flags of mount(2) for `BindPaths=`.
const MS_REC: u64 = 16384;
/// Linux's address families, as `IPAddressAllow` has them.
const AF_INET: i32 = 2;
const AF_INET6: i32 = 10;

/// Writes the setting of a row as `signature`.
pub fn write(settings: &Settings, id: DirectiveId, signature: &str, writer: &mut Writer) {
    match signature {
        "b" => writer.bool(settings.bool(id)),
        "i" => writer.i32(i32::try_from(settings.int(id)).unwrap_or(0)),
        "x" => writer.i64(settings.int(id)),
        "u" => writer.u32(u32::try_from(number(settings, id)).unwrap_or(u32::MAX)),
        "q" => writer.u16(u16::try_from(number(settings, id)).unwrap_or(u16::MAX)),
        "t" => writer.u64(number(settings, id)),
        "s" => writer.str(&text(settings, id)),
        "as" => strings(settings, id, writer),
        "ay" => writer.bytes(&bytes(settings, id)),
        "aay" => writer.array("ay", |w| {
            for item in settings.list(id) {
                w.bytes(item.as_bytes());
            }
        }),
        "(bas)" => filter(settings, id, writer),
        "(bs)" => label(settings, id, writer),
        "(aiai)" => exit_set(settings, id, writer),
        _ => match signature.strip_prefix('a') {
            Some(element) => list(settings, id, element, writer),
            None => writer,
        },
    };
}

/// A number, from whichever variant holds it.
fn number(settings: &Settings, id: DirectiveId) -> u64 {
    match (settings.get(id), row(id).builtin_default()) {
        (Some(Value::Int(n)), _) => u64::try_from(*n).unwrap_or(0),
        (None, DefaultValue::Int(n)) => u64::try_from(n).unwrap_or(0),
        _ => settings.uint(id),
    }
}

/// A text: as such, a word, or the first of some units.
pub fn text(settings: &Settings, id: DirectiveId) -> String {
    if row(id).words().is_some() {
        return settings.word(id).to_owned();
    }
    match settings.get(id) {
        Some(Value::Units(units)) => units.first().map_or(String::new(), |unit| unit.as_str().to_owned()),
        _ => settings.text(id).unwrap_or("").to_owned(),
    }
}

fn strings<'w>(settings: &Settings, id: DirectiveId, writer: &'w mut Writer) -> &'w mut Writer {
    match settings.get(id) {
        Some(Value::Units(units)) => writer.strings(units.iter().map(|unit| unit.as_str())),
        Some(Value::Rows(rows)) => writer.strings(rows.iter().map(|row| row.first().map_or("", |word| word))),
        _ => writer.strings(settings.list(id)),
    }
}

/// Data; a set of CPUs or memory nodes is a bit mask, bit 0 of byte 0 first.
fn bytes(settings: &Settings, id: DirectiveId) -> Vec<u8> {
    match settings.get(id) {
        Some(Value::Text(text)) => mask(text),
        _ => settings.bytes(id).to_vec(),
    }
}

/// The mask of a set such as `0-3,7`.
pub fn mask(text: &str) -> Vec<u8> {
    let mut mask = Vec::new();
    for number in cpuset::parse(text).unwrap_or_default() {
        let at = usize::try_from(number / 8).unwrap_or(0);
        if mask.len() <= at {
            mask.resize(at + 1, 0);
        }
        mask[at] |= 1u8 << (number % 8);
    }
    mask
}

fn filter<'w>(settings: &Settings, id: DirectiveId, writer: &'w mut Writer) -> &'w mut Writer {
    let (allow, items) = settings.filter(id).map_or((false, &[][..]), |(deny, items)| (!deny, items));
    writer.structure(|w| {
        w.bool(allow).strings(items);
    })
}

fn label<'w>(settings: &Settings, id: DirectiveId, writer: &'w mut Writer) -> &'w mut Writer {
    let text = settings.text(id).unwrap_or("");
    let (ignore, text) = minus(text);
    writer.structure(|w| {
        w.bool(ignore).str(text);
    })
}

fn exit_set<'w>(settings: &Settings, id: DirectiveId, writer: &'w mut Writer) -> &'w mut Writer {
    let (statuses, signals) = settings.exit_set(id);
    writer.structure(|w| {
        w.array("i", |w| {
            for status in statuses {
                w.i32(i32::from(*status));
            }
        });
        w.array("i", |w| {
            for signal in signals {
                w.i32(*signal);
            }
        });
    })
}

/// A `-` in front means "may be missing".
fn minus(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    }
}

/// A list of structs, each from a row of texts.
fn list<'w>(settings: &Settings, id: DirectiveId, element: &str, writer: &'w mut Writer) -> &'w mut Writer {
    writer.array(element, |w| match element {
        "(sb)" => settings.list(id).iter().for_each(|item| {
            let (ignore, path) = minus(item);
            w.open_struct().str(path).bool(ignore).close();
        }),
        "(iayu)" => settings.list(id).iter().for_each(|item| address(item, w)),
        "(iiqq)" => settings.list(id).iter().for_each(|item| socket_bind(item, w)),
        _ => settings.rows(id).iter().for_each(|row| fields(row, element, w)),
    })
}

fn fields(row: &Row, element: &str, w: &mut Writer) {
    let at = |index: usize| row.get(index).map_or("", |text| &**text);
    w.open_struct();
    match element {
        "(ss)" => {
            w.str(at(0)).str(at(1));
        }
        "(st)" => {
            w.str(at(0)).u64(at(1).parse().unwrap_or(0));
        }
        "(sst)" => {
            w.str(at(0)).str(at(1)).u64(flags(at(2)));
        }
        "(bs)" => {
            w.bool(at(0) == "allow").str(at(1));
        }
        "(say)" => {
            w.str(at(0)).bytes(&base64::decode(at(1)).unwrap_or_default());
        }
        "(ssbt)" => {
            w.str(at(0)).str(at(1)).bool(at(2) == "-").u64(if at(3) == "rbind" { MS_REC } else { 0 });
        }
        "(sba(ss))" => {
            w.str(at(0)).bool(at(1) == "-");
            pairs(row.get(2..).unwrap_or(&[]), w);
        }
        "(ssba(ss))" => {
            w.str(at(0)).str(at(1)).bool(at(2) == "-");
            pairs(row.get(3..).unwrap_or(&[]), w);
        }
        "(iiss)" => {
            w.i32(nft_source(at(0))).i32(nft_family(at(1))).str(at(2)).str(at(3));
        }
        _ => {}
    }
    w.close();
}

fn pairs(words: &[Rc<str>], w: &mut Writer) {
    w.array("(ss)", |w| {
        for pair in words.chunks(2) {
            w.open_struct().str(&pair[0]).str(pair.get(1).map_or("", |word| word)).close();
        }
    });
}

/// Flags of `OpenFile=` (systemd.service(5)) and of `RuntimeDirectory=` and its like.
fn flags(words: &str) -> u64 {
    words.split(',').fold(0, |all, word| {
        all | match word {
            "read-only" | "ro" => 1,
            "append" => 2,
            "truncate" => 4,
            "graceful" => 8,
            _ => 0,
        }
    })
}

fn address(text: &str, w: &mut Writer) {
    let Some((address, bits)) = text.split_once('/') else { return };
    let Ok(address) = address.parse::<IpAddr>() else { return };
    let (family, octets) = match address {
        IpAddr::V4(address) => (AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (AF_INET6, address.octets().to_vec()),
    };
    w.open_struct().i32(family).bytes(&octets).u32(bits.parse().unwrap_or(0)).close();
}

/// `[family:][protocol:]ports` as (family, protocol, number of ports, first port).
fn socket_bind(text: &str, w: &mut Writer) {
    let (mut family, mut protocol, mut count, mut first) = (0, 0, 0u16, 0u16);
    for part in text.split(':') {
        match part {
            "ipv4" => family = AF_INET,
            "ipv6" => family = AF_INET6,
            "tcp" => protocol = 6,
            "udp" => protocol = 17,
            "any" => {}
            ports => {
                let (low, high) = ports.split_once('-').unwrap_or((ports, ports));
                first = low.parse().unwrap_or(0);
                count = high.parse::<u16>().unwrap_or(first).saturating_sub(first).saturating_add(1);
            }
        }
    }
    w.open_struct().i32(family).i32(protocol).u16(count).u16(first).close();
}

fn nft_source(word: &str) -> i32 {
    ["cgroup", "user", "group"].iter().position(|known| *known == word).map_or(-1, |at| at as i32)
}

/// Families of netfilter.
fn nft_family(word: &str) -> i32 {
    match word {
        "arp" => 3,
        "bridge" => 7,
        "inet" => 1,
        "ip" => 2,
        "ip6" => 10,
        "netdev" => 5,
        _ => -1,
    }
}
