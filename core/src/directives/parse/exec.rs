//! Streams, logging, capabilities, system calls, namespaces.

use super::list::{absolute_path, unescaped, with_rows, words};
use super::{Context, Outcome, Problem, base64, descriptor_name, ignored, set_text};
use crate::directives::ids;
use crate::directives::kind::Kind;
use crate::settings::Value;
use crate::values::{capability, quoting, syscalls};
use std::collections::BTreeSet;
use std::rc::Rc;

/// Flags of unshare(2) by the names of `RestrictNamespaces=`.
pub const NAMESPACES: [(&str, u64); 7] = [
    ("cgroup", 0x0200_0000),
    ("ipc", 0x0800_0000),
    ("net", 0x4000_0000),
    ("mnt", 0x0002_0000),
    ("pid", 0x2000_0000),
    ("user", 0x1000_0000),
    ("uts", 0x0400_0000),
];

/// All flags of [`NAMESPACES`].
pub const NAMESPACES_ALL: u64 = 0x7e02_0000;

/// Names of the secure bits by their number (capabilities(7)).
pub const SECURE_BITS: [&str; 6] =
    ["noroot", "noroot-locked", "no-setuid-fixup", "no-setuid-fixup-locked", "keep-caps", "keep-caps-locked"];

const ARCHITECTURES: [&str; 20] = [
    "native",
    "x86",
    "x86-64",
    "x32",
    "arm",
    "arm64",
    "loongarch64",
    "mips",
    "mips64",
    "mips64-n32",
    "mips-le",
    "mips64-le",
    "mips64-le-n32",
    "parisc",
    "parisc64",
    "ppc",
    "ppc64",
    "ppc64-le",
    "riscv64",
    "s390x",
];

pub(super) fn parse(context: &mut Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    // An empty list of capabilities is a set, too: that of none.
    if text.is_empty() && !matches!(context.row.kind, Kind::Capabilities) {
        return Ok(Outcome::Reset);
    }
    match context.row.kind {
        Kind::ImagePolicy => set_text(text.to_owned()),
        Kind::Blob => blob(text),
        Kind::Input => input(context, text),
        Kind::Output => output(context, text),
        Kind::InputText => {
            let expanded = context.expand(text)?;
            let mut bytes = unescaped(&expanded).ok_or(Problem::Ignored("wrong escape".into()))?;
            bytes.push(b'\n');
            appended_bytes(context, &bytes)
        }
        Kind::InputData => {
            let bytes = base64::decode(text).ok_or(Problem::Ignored("no base64".into()))?;
            appended_bytes(context, &bytes)
        }
        Kind::LogFields => log_fields(context, text),
        Kind::LogPatterns => {
            let (what, pattern) = text.strip_prefix('~').map_or(("allow", text), |rest| ("deny", rest));
            Ok(with_rows(context, vec![vec![what.to_owned(), pattern.to_owned()]]))
        }
        Kind::SecureBits => secure_bits(context, text),
        Kind::Capabilities => capabilities(context, text),
        Kind::SystemCalls => system_calls(context, text),
        Kind::Architectures => {
            let mut all: BTreeSet<Rc<str>> = context.settings.list(context.row.id).iter().cloned().collect();
            for word in words(text)? {
                if ARCHITECTURES.contains(&word.as_str()) {
                    all.insert(word.into());
                } else {
                    context.complain(Problem::Ignored(format!("{word:?} is no architecture")));
                }
            }
            Ok(Outcome::Set(Value::List(all.into_iter().collect())))
        }
        Kind::Namespaces => namespaces(context, text),
        Kind::Families | Kind::Filter => filter(context, text),
        Kind::Label => {
            let (minus, label) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
            set_text(format!("{minus}{}", context.expand(label)?))
        }
        _ => Ok(Outcome::Keep),
    }
}

fn blob(text: &str) -> Result<Outcome, Problem> {
    if text.starts_with('/') {
        return set_text(absolute_path(text)?);
    }
    if let Some(data) = text.strip_prefix("base64:") {
        return match base64::decode(data) {
            Some(bytes) => Ok(Outcome::Set(Value::Bytes(bytes.into()))),
            None => ignored("no base64"),
        };
    }
    let pairs = text.as_bytes().chunks(2).map(|pair| {
        std::str::from_utf8(pair)
            .ok()
            .filter(|pair| pair.len() == 2)
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
    });
    match pairs.collect::<Option<Vec<u8>>>() {
        Some(bytes) if bytes.len() >= 16 => Ok(Outcome::Set(Value::Bytes(bytes.into()))),
        _ => ignored("neither a path nor a hash"),
    }
}

fn stream_name(context: &Context<'_, '_>, word: &str, text: &str) -> Option<Result<Outcome, Problem>> {
    let rest = text.strip_prefix(word)?.strip_prefix(':')?;
    let expanded = match context.expand(rest) {
        Ok(expanded) => expanded,
        Err(problem) => return Some(Err(problem)),
    };
    if word == "fd" {
        return Some(if descriptor_name(&expanded) {
            set_text(format!("fd:{expanded}"))
        } else {
            ignored("no name of a descriptor")
        });
    }
    Some(absolute_path(&expanded).and_then(|path| set_text(format!("{word}:{path}"))))
}

fn input(context: &Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    for word in ["fd", "file"] {
        if let Some(outcome) = stream_name(context, word, text) {
            return outcome;
        }
    }
    match text {
        "null" | "tty" | "tty-force" | "tty-fail" | "socket" | "fd" | "data" => set_text(text.to_owned()),
        _ => ignored("no source of input"),
    }
}

fn output(context: &mut Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    for word in ["fd", "file", "append", "truncate"] {
        if let Some(outcome) = stream_name(context, word, text) {
            return outcome;
        }
    }
    match text {
        "inherit" | "null" | "tty" | "journal" | "journal+console" | "kmsg" | "kmsg+console" | "socket"
        | "fd" => set_text(text.to_owned()),
        "syslog" | "syslog+console" => {
            let instead = text.replace("syslog", "journal");
            context.complain(Problem::Ignored(format!("out of use, taken for {instead:?}")));
            set_text(instead)
        }
        _ => ignored("no place for output"),
    }
}

fn appended_bytes(context: &Context<'_, '_>, more: &[u8]) -> Result<Outcome, Problem> {
    const MAX: usize = 64 << 20;
    let old = context.settings.bytes(ids::STANDARD_INPUT_DATA);
    if old.len() + more.len() > MAX {
        return ignored("too much data");
    }
    Ok(Outcome::Set(Value::Bytes(old.iter().chain(more).copied().collect())))
}

fn log_fields(context: &mut Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    let mut all = context.settings.list(context.row.id).to_vec();
    let mut rest = text;
    while let Some(word) = quoting::first_word(&mut rest, quoting::COMMAND)? {
        let expanded = context.expand(&word)?;
        let name = expanded.split_once('=').map_or("", |pair| pair.0);
        let good = !name.is_empty()
            && name.len() <= 64
            && !name.starts_with(|c: char| c == '_' || c.is_ascii_digit())
            && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        if good {
            all.push(expanded.into());
        } else {
            context.complain(Problem::Ignored(format!("{word:?} is no journal field")));
        }
    }
    Ok(if all.is_empty() { Outcome::Keep } else { Outcome::Set(Value::List(all.into())) })
}

fn secure_bits(context: &mut Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    let mut bits = context.settings.bits(context.row.id);
    for word in words(text)? {
        match SECURE_BITS.iter().position(|known| *known == word) {
            Some(bit) => bits |= 1 << bit,
            None => context.complain(Problem::Ignored(format!("{word:?} is no secure bit"))),
        }
    }
    Ok(Outcome::Set(Value::Bits(bits)))
}

fn capabilities(context: &mut Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    let (assignment, errors) = capability::parse_set(text);
    for error in errors {
        context.complain(error);
    }
    let current = match context.old() {
        Some(Value::Bits(bits)) => Some(*bits),
        _ => None,
    };
    // "All" has all 64 bits, as the bus shows it.
    let set = match (current, assignment.invert, assignment.set) {
        (_, false, 0) => 0,
        (_, true, 0) => u64::MAX,
        (None, false, set) => set,
        (None, true, set) => !set,
        (Some(old), false, set) => old | set,
        (Some(old), true, set) => old & !set,
    };
    Ok(Outcome::Set(Value::Bits(set)))
}

/// The words are kept as written, inverted ones with `~`: a group stands for hundreds of calls, which
/// [`crate::directives::system_calls`] gives when they are needed.
fn system_calls(context: &mut Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    let (assignment, errors) = syscalls::parse(text);
    for error in errors {
        context.complain(error);
    }
    let (deny, mut all) = match context.settings.filter(context.row.id) {
        Some((deny, items)) => (deny, items.to_vec()),
        None => (assignment.invert, Vec::new()),
    };
    for item in assignment.items {
        if !assignment.invert && item.action.is_some() {
            context
                .complain(Problem::Ignored(format!("{}: calls that are allowed take no error", item.name)));
            continue;
        }
        let tilde = if assignment.invert { "~" } else { "" };
        let action = match item.action {
            None => String::new(),
            Some(syscalls::Action::Kill) => ":kill".to_owned(),
            Some(syscalls::Action::Errno(number)) => format!(":{}", crate::values::errno::format(number)),
        };
        all.push(format!("{tilde}{}{action}", item.name).into());
    }
    Ok(Outcome::Set(Value::Filter { deny, items: all.into() }))
}

fn namespaces(context: &mut Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    if let Some(restricted) = super::boolean(text) {
        return Ok(Outcome::Set(Value::Bits(if restricted { 0 } else { NAMESPACES_ALL })));
    }
    let (invert, list) = text.strip_prefix('~').map_or((false, text), |rest| (true, rest));
    let mut flags = 0;
    for word in words(list)? {
        match NAMESPACES.iter().find(|(name, _)| *name == word) {
            Some((_, flag)) => flags |= flag,
            None => return ignored(format!("{word:?} is no namespace")),
        }
    }
    let allowed = match (context.old(), invert) {
        (Some(Value::Bits(old)), false) => old | flags,
        (Some(Value::Bits(old)), true) => old & !flags,
        (_, false) => flags,
        (_, true) => NAMESPACES_ALL & !flags,
    };
    Ok(Outcome::Set(Value::Bits(allowed)))
}

fn filter(context: &mut Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    let families = matches!(context.row.kind, Kind::Families);
    if families && text == "none" {
        return Ok(Outcome::Set(Value::Filter { deny: false, items: Rc::from([]) }));
    }
    let (invert, list) = text.strip_prefix('~').map_or((false, text), |rest| (true, rest));
    let (deny, mut all): (bool, BTreeSet<Rc<str>>) = match context.settings.filter(context.row.id) {
        Some((deny, items)) => (deny, items.iter().cloned().collect()),
        None => (invert, BTreeSet::new()),
    };
    for word in words(list)? {
        let word = context.expand(&word)?;
        let word = match crate::values::families::canonical(&word) {
            _ if !families => word,
            Some(name) => name.to_owned(),
            None => {
                context.complain(Problem::Ignored(format!("{word:?} is no address family")));
                continue;
            }
        };
        if deny == invert {
            all.insert(word.into());
        } else {
            all.remove(&*word);
        }
    }
    Ok(Outcome::Set(Value::Filter { deny, items: all.into_iter().collect() }))
}
