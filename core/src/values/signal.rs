//! Signal names and numbers of Linux on the common architectures (`signal(7)`).

use super::ValueError;

/// The first real-time signal that programs may use.
pub const RTMIN: u8 = 34;
/// The last real-time signal.
pub const RTMAX: u8 = 64;

/// Names without `SIG`, by number from 1.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// Parses `TERM`, `SIGTERM`, `15`, `RTMIN+3`, `RTMAX-1`.
pub fn parse(text: &str) -> Result<u8, ValueError> {
    let fail = |reason| ValueError::new("signal", text, reason);
    let in_range = |n: u8| (1..=RTMAX).contains(&n).then_some(n).ok_or(fail("out of range"));
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return in_range(text.parse().map_err(|_| fail("out of range"))?);
    }
    let name = text.strip_prefix("SIG").unwrap_or(text);
    if let Some(index) = NAMES.iter().position(|known| *known == name) {
        return in_range(u8::try_from(index + 1).expect("31 names"));
    }
    let offset = |rest: &str, sign: char| -> Result<u8, ValueError> {
        if rest.is_empty() {
            return Ok(0);
        }
        let digits = rest.strip_prefix(sign).ok_or(fail("no such signal"))?;
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let number = digits.parse::<u8>().ok().filter(|_| plain).ok_or(fail("no such signal"))?;
        if number > RTMAX - RTMIN { Err(fail("out of range")) } else { Ok(number) }
    };
    if let Some(rest) = name.strip_prefix("RTMIN") {
        return Ok(RTMIN + offset(rest, '+')?);
    }
    if let Some(rest) = name.strip_prefix("RTMAX") {
        return Ok(RTMAX - offset(rest, '-')?);
    }
    Err(fail("no such signal"))
}

/// The name without `SIG`; real-time signals count from `RTMIN`, unknown ones are their number.
pub fn format(signal: u8) -> String {
    if let Some(name) = usize::from(signal).checked_sub(1).and_then(|index| NAMES.get(index)) {
        return (*name).to_owned();
    }
    match signal {
        RTMIN => "RTMIN".to_owned(),
        35..=RTMAX => format!("RTMIN+{}", signal - RTMIN),
        _ => signal.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for (text, number) in [
            ("TERM", 15),
            ("SIGKILL", 9),
            ("15", 15),
            ("RTMIN+3", 37),
            ("SIGRTMIN", 34),
            ("RTMAX-1", 63),
            ("SYS", 31),
        ] {
            assert_eq!(parse(text), Ok(number));
        }
        for text in
            ["", "0", "65", "FOO", "RTMIN-1", "RTMIN+31", "RTMAX+1", "RTMIN+", "term", "-1", "RTMIN++1"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        for number in 1..=RTMAX {
            assert_eq!(parse(&format(number)), Ok(number));
        }
    }
}
