//! Numbers, time spans, sizes, words, and what else is one value.

use super::{Context, Outcome, Problem, ignored};
use crate::directives::kind::{Empty, Kind, Zero};
use crate::directives::words::Numbers;
use crate::settings::Value;
use crate::values::{bytes, cpuset, errno, mode, rlimit, signal, span};

pub(super) fn parse(context: &Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    let uint = |number: u64| Ok(Outcome::Set(Value::Uint(number)));
    let int = |number: i64| Ok(Outcome::Set(Value::Int(number)));
    match context.row.kind {
        Kind::Unsigned => uint(u64::from(unsigned(text)?)),
        Kind::Unsigned16 => {
            uint(u64::from(u16::try_from(unsigned(text)?).or_else(|_| ignored("above 65535"))?))
        }
        Kind::Integer(_, _) if text.is_empty() => Ok(Outcome::Reset),
        Kind::Integer(low, high) => match integer(text)? {
            number if number < i64::from(low) || number > i64::from(high) => ignored("out of range"),
            number => int(number),
        },
        Kind::Integer64 => int(integer(text)?),
        Kind::Span(empty, zero) => span_value(text, empty, zero),
        Kind::Nanoseconds => uint(span::parse_nsec(text)?),
        Kind::TimeoutAbort if text.is_empty() => Ok(Outcome::Reset),
        Kind::TimeoutAbort => span_value(text, Empty::Refused, Zero::Infinity),
        Kind::WatchdogSpan => match text {
            "off" | "0" => uint(0),
            "default" | "" => Ok(Outcome::Reset),
            _ => uint(span::parse_sec(text)?),
        },
        Kind::Size => uint(bytes::parse(text, bytes::Base::Iec)?),
        Kind::Mode => uint(u64::from(mode::parse(text)?)),
        Kind::Words(words) => match words.index(text) {
            Some(index) => Ok(Outcome::Set(Value::Word(index))),
            None => ignored("none of the words that can stand here"),
        },
        Kind::Numbers(_) if text.is_empty() => Ok(Outcome::Reset),
        Kind::Numbers(known) => int(word_number(known, text)?),
        Kind::ActionExit if text.is_empty() => Ok(Outcome::Reset),
        Kind::ActionExit => match text.parse::<u8>() {
            Ok(status) => int(i64::from(status)),
            Err(_) => ignored("no exit status"),
        },
        Kind::Signal => int(i64::from(signal::parse(text)?)),
        Kind::Errno if text.is_empty() => Ok(Outcome::Reset),
        Kind::Errno if text == "kill" => int(crate::values::syscalls::KILL),
        Kind::Errno => match errno::parse(text)? {
            0 => ignored("no error: what is forbidden would seem to be done"),
            number => int(i64::from(number)),
        },
        Kind::Limit => limit(context, text),
        Kind::CpuSet => cpu_set(context, text),
        Kind::CoredumpFilter => coredump_filter(context, text),
        _ => Ok(Outcome::Keep),
    }
}

fn unsigned(text: &str) -> Result<u32, Problem> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let (digits, radix) = radix_of(digits);
    u32::from_str_radix(digits, radix).or_else(|_| ignored("no number, or too large"))
}

fn integer(text: &str) -> Result<i64, Problem> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = radix_of(digits);
    i64::from_str_radix(digits, radix).map(|n| sign * n).or_else(|_| ignored("no number, or too large"))
}

fn radix_of(digits: &str) -> (&str, u32) {
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(rest) = digits.strip_prefix(prefix) {
            return (rest, radix);
        }
    }
    match digits.strip_prefix('0') {
        Some(rest) if !rest.is_empty() => (rest, 8),
        _ => (digits, 10),
    }
}

/// A time span in microseconds by the rules of the row.
pub(in crate::directives) fn span_value(text: &str, empty: Empty, zero: Zero) -> Result<Outcome, Problem> {
    if text.is_empty() {
        match empty {
            Empty::Refused => {}
            Empty::Default => return Ok(Outcome::Reset),
            Empty::Infinity => return Ok(Outcome::Set(Value::Uint(u64::MAX))),
        }
    }
    let usec = span::parse_sec(text)?;
    Ok(Outcome::Set(Value::Uint(if usec == 0 && zero == Zero::Infinity { u64::MAX } else { usec })))
}

fn word_number(known: &Numbers, text: &str) -> Result<i64, Problem> {
    if let Some((_, number)) = known.words.iter().find(|(word, _)| *word == text) {
        return Ok(*number);
    }
    match (known.number_max, text.parse::<i64>()) {
        (Some(max), Ok(number)) if (0..=max).contains(&number) => Ok(number),
        _ => ignored("none of the words that can stand here"),
    }
}

fn limit(context: &Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    let name = context.row.name;
    let name = name.strip_prefix("Default").unwrap_or(name).strip_prefix("Limit").unwrap_or(name);
    let Some(resource) = rlimit::Resource::from_name(name) else { return ignored("no such resource") };
    // Clients set the soft limit by itself: the hard one stays.
    if let (Some(soft), Some(Value::Rlimit(_, hard))) = (text.strip_suffix(':'), context.old()) {
        let soft = rlimit::parse(resource, soft)?.soft;
        return Ok(Outcome::Set(Value::Rlimit(soft.min(*hard), *hard)));
    }
    let limits = rlimit::parse(resource, text.strip_suffix(':').unwrap_or(text))?;
    Ok(Outcome::Set(Value::Rlimit(limits.soft, limits.hard)))
}

fn cpu_set(context: &Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    let text = context.expand(text)?;
    if text.is_empty() {
        return Ok(Outcome::Reset);
    }
    if text == "numa" {
        return Ok(Outcome::Set(Value::Text("numa".into())));
    }
    let mut set = cpuset::parse(&text)?;
    if let Some(Value::Text(old)) = context.old() {
        set.extend(cpuset::parse(old).unwrap_or_default());
    }
    Ok(Outcome::Set(Value::Text(cpuset::format(&set).into())))
}

fn coredump_filter(context: &Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    const KINDS: [&str; 9] = [
        "private-anonymous",
        "shared-anonymous",
        "private-file-backed",
        "shared-file-backed",
        "elf-headers",
        "private-huge",
        "shared-huge",
        "private-dax",
        "shared-dax",
    ];
    if text.is_empty() {
        return Ok(Outcome::Reset);
    }
    let mut mask = match context.old() {
        Some(Value::Bits(bits)) => *bits,
        _ => 0,
    };
    for word in text.split_ascii_whitespace() {
        mask |= match word {
            "all" => u64::from(u32::MAX),
            "default" => 0x33,
            _ => match KINDS.iter().position(|known| *known == word) {
                Some(bit) => 1 << bit,
                None => u64::from_str_radix(word.trim_start_matches("0x"), 16)
                    .or_else(|_| ignored("no kind of memory"))?,
            },
        };
    }
    Ok(Outcome::Set(Value::Bits(mask)))
}
