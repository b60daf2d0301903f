//! Messages to everybody who is logged in on a terminal.
use rustix::fs::{FileType, Mode, OFlags};
use std::collections::BTreeSet;

const UTMP: &str = "/run/utmp";
const UTMP_MAX: u64 = 4 << 20;
/// Size of a record, and where in it are its type and its terminal (utmp(5)).
const RECORD: usize = 384;
const LINE: std::ops::Range<usize> = 8..40;
/// The type of a record of somebody who is logged in.
const USER_PROCESS: i16 = 7;

/// Writes to these terminals, and to those that utmp names. Whoever stopped theirs gets nothing.
pub fn tell(text: &str, ttys: impl Iterator<Item = String>) {
    let mut all: BTreeSet<String> = ttys.filter(|tty| !tty.is_empty()).collect();
    all.extend(lines(&crate::rundir::read_limited(UTMP, UTMP_MAX).unwrap_or_default()));
    for tty in all {
        write(&tty, text);
    }
}

fn write(tty: &str, text: &str) {
    if tty.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
        return;
    }
    let flags = OFlags::WRONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let Ok(fd) = rustix::fs::open(format!("/dev/{tty}"), flags, Mode::empty()) else { return };
    let device = rustix::fs::fstat(&fd)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice);
    if device && rustix::termios::isatty(&fd) {
        // A terminal that takes nothing more must not hold us up.
        let _ = rustix::io::write(&fd, text.as_bytes());
    }
}

fn lines(utmp: &[u8]) -> Vec<String> {
    let line = |record: &[u8]| {
        let kind = i16::from_ne_bytes([*record.first()?, *record.get(1)?]);
        let line = record.get(LINE)?.split(|byte| *byte == 0).next()?;
        let line = std::str::from_utf8(line).ok().filter(|line| !line.is_empty())?;
        (kind == USER_PROCESS).then(|| line.to_owned())
    };
    utmp.chunks_exact(RECORD).filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::{RECORD, lines};

    #[test]
    fn utmp_names_the_terminals_of_people() {
        let record = |kind: i16, line: &[u8]| {
            let mut record = vec![0; RECORD];
            record[..2].copy_from_slice(&kind.to_ne_bytes());
            record[8..8 + line.len()].copy_from_slice(line);
            record
        };
        let utmp = [record(2, b"~"), record(7, b"pts/3"), record(8, b"tty1"), vec![7, 0]].concat();
        assert_eq!(lines(&utmp), ["pts/3"]);
    }
}
