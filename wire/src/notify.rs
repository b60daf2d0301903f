//! Datagrams of the notification socket (`sd_notify(3)`, `sd_pid_notify_with_fds(3)`).
//!
//! A datagram is lines of `NAME=value`. What is known and valid goes into a [`Notification`]; every other line is
//! listed with the reason it was ignored, so that the caller can log it. One bad line never spoils the others.

use std::fmt;

/// Longest datagram that is read, in bytes.
pub const MAX_DATAGRAM: usize = 4096;
/// Most descriptors that one datagram may bring.
pub const MAX_FDS: usize = 768;
/// Longest value of `FDNAME=`.
pub const MAX_FD_NAME: usize = 255;

/// `WATCHDOG=`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watchdog {
    /// `1`: the service is alive.
    Alive,
    /// `trigger`: act as if the time had run out.
    Trigger,
}

/// What a datagram says. Absent lines are `None` or `false`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// `READY=1`
    pub ready: bool,
    /// `RELOADING=1`
    pub reloading: bool,
    /// `STOPPING=1`
    pub stopping: bool,
    /// `MONOTONIC_USEC=`: when reloading began, in microseconds of the monotonic clock.
    pub monotonic_usec: Option<u64>,
    /// `STATUS=`; an empty text clears the status.
    pub status: Option<String>,
    /// `NOTIFYACCESS=`: `none`, `main`, `exec` or `all`.
    pub notify_access: Option<String>,
    /// `ERRNO=`: 0 or a positive error number.
    pub errno: Option<i32>,
    /// `BUSERROR=`
    pub bus_error: Option<String>,
    /// `VARLINKERROR=`
    pub varlink_error: Option<String>,
    /// `EXIT_STATUS=`
    pub exit_status: Option<u8>,
    /// `MAINPID=`
    pub main_pid: Option<i32>,
    /// `MAINPIDFDID=`: the inode number of the main process's pidfd.
    pub main_pidfd_id: Option<u64>,
    /// `WATCHDOG=`
    pub watchdog: Option<Watchdog>,
    /// `WATCHDOG_USEC=`: microseconds, not zero.
    pub watchdog_usec: Option<u64>,
    /// `EXTEND_TIMEOUT_USEC=`: microseconds, not zero.
    pub extend_timeout_usec: Option<u64>,
    /// `FDSTORE=1`: the descriptors that came along are to be kept.
    pub fd_store: bool,
    /// `FDSTOREREMOVE=1`: descriptors of this name are to be dropped.
    pub fd_store_remove: bool,
    /// `FDNAME=`
    pub fd_name: Option<String>,
    /// `FDPOLL=0`: keep descriptors even when they hang up.
    pub fd_no_poll: bool,
    /// `BARRIER=1`: close the one descriptor that came along once all before it was handled.
    pub barrier: bool,
    /// `RESTART_RESET=1`: start counting automatic restarts anew.
    pub restart_reset: bool,
    /// `INVOCATION_ID=`: 128 bits as 32 hex digits.
    pub invocation_id: Option<String>,
    /// The lines that say nothing to us, at most 32 of them.
    pub ignored: Vec<Ignored>,
}

/// A line that was ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// The line, its bytes that are not printable replaced, cut at 128 characters.
    pub line: String,
    /// Why.
    pub reason: Reason,
}

/// Why a line was ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is no `=`.
    NoAssignment,
    /// The name is not known (names that begin with `X_` are for the service's own use).
    UnknownName,
    /// The value is not valid for the name.
    BadValue,
    /// The same name stood before; the first counts.
    Repeated,
}

/// Why a whole datagram was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Longer than [`MAX_DATAGRAM`].
    TooLong,
    /// There is a NUL inside.
    Nul,
    /// More descriptors than [`MAX_FDS`].
    TooManyFds,
    /// `BARRIER=1` must stand alone and bring exactly one descriptor.
    Barrier,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::TooLong => "longer than 4096 bytes",
            Refused::Nul => "holds a NUL byte",
            Refused::TooManyFds => "brings more than 768 descriptors",
            Refused::Barrier => "a barrier must stand alone and bring one descriptor",
        })
    }
}

impl std::error::Error for Refused {}

const MAX_IGNORED: usize = 32;

/// Reads a datagram that brought `fd_count` descriptors. One NUL at its end is let pass.
pub fn parse(datagram: &[u8], fd_count: usize) -> Result<Notification, Refused> {
    if datagram.len() > MAX_DATAGRAM {
        return Err(Refused::TooLong);
    }
    if fd_count > MAX_FDS {
        return Err(Refused::TooManyFds);
    }
    let text = datagram.strip_suffix(b"\0").unwrap_or(datagram);
    if text.contains(&0) {
        return Err(Refused::Nul);
    }
    let mut notification = Notification::default();
    let mut names: Vec<&[u8]> = Vec::new();
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let outcome = match line.iter().position(|byte| *byte == b'=') {
            None => Err(Reason::NoAssignment),
            Some(at) if names.contains(&&line[..at]) => Err(Reason::Repeated),
            Some(at) => {
                let outcome = notification.set(&line[..at], &line[at + 1..]);
                // A switch counts wherever it stands rightly; of a value only the first.
                if outcome.is_ok() || !matches!(outcome, Err(Reason::UnknownName)) && !is_switch(&line[..at])
                {
                    names.push(&line[..at]);
                }
                outcome
            }
        };
        if let Err(reason) = outcome {
            notification.ignore(line, reason);
        }
    }
    let alone = names.len() == 1 && notification.ignored.is_empty();
    if notification.barrier && (!alone || fd_count != 1) {
        return Err(Refused::Barrier);
    }
    Ok(notification)
}

impl Notification {
    fn ignore(&mut self, line: &[u8], reason: Reason) {
        if self.ignored.len() < MAX_IGNORED {
            let shown = String::from_utf8_lossy(line);
            let shown = shown.chars().take(128).map(|c| if c.is_control() { '\u{fffd}' } else { c });
            self.ignored.push(Ignored { line: shown.collect(), reason });
        }
    }

    fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), Reason> {
        match name {
            b"READY" => self.ready = one(value)?,
            b"RELOADING" => self.reloading = one(value)?,
            b"STOPPING" => self.stopping = one(value)?,
            b"MONOTONIC_USEC" => self.monotonic_usec = Some(number(value)?),
            b"STATUS" => self.status = Some(text(value)?),
            b"NOTIFYACCESS" => {
                let access = text(value)?;
                if !matches!(access.as_str(), "none" | "main" | "exec" | "all") {
                    return Err(Reason::BadValue);
                }
                self.notify_access = Some(access);
            }
            b"ERRNO" => {
                let errno = number::<i32>(value)?;
                if !(0..=4095).contains(&errno) {
                    return Err(Reason::BadValue);
                }
                self.errno = Some(errno);
            }
            b"BUSERROR" => self.bus_error = Some(error_name(value)?),
            b"VARLINKERROR" => self.varlink_error = Some(error_name(value)?),
            b"EXIT_STATUS" => self.exit_status = Some(number(value)?),
            b"MAINPID" => self.main_pid = Some(number(value).and_then(positive)?),
            b"MAINPIDFDID" => self.main_pidfd_id = Some(number(value).and_then(positive)?),
            b"WATCHDOG" => {
                self.watchdog = Some(match value {
                    b"1" => Watchdog::Alive,
                    b"trigger" => Watchdog::Trigger,
                    _ => return Err(Reason::BadValue),
                });
            }
            b"WATCHDOG_USEC" => self.watchdog_usec = Some(number(value).and_then(positive)?),
            b"EXTEND_TIMEOUT_USEC" => self.extend_timeout_usec = Some(number(value).and_then(positive)?),
            b"FDSTORE" => self.fd_store = one(value)?,
            b"FDSTOREREMOVE" => self.fd_store_remove = one(value)?,
            b"FDNAME" => self.fd_name = Some(fd_name(value)?),
            b"FDPOLL" => self.fd_no_poll = exactly(value, b"0")?,
            b"BARRIER" => self.barrier = one(value)?,
            b"RESTART_RESET" => self.restart_reset = one(value)?,
            b"INVOCATION_ID" => {
                let id = text(value)?;
                if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return Err(Reason::BadValue);
                }
                self.invocation_id = Some(id.to_ascii_lowercase());
            }
            _ => return Err(Reason::UnknownName),
        }
        Ok(())
    }
}

fn is_switch(name: &[u8]) -> bool {
    let switches: [&[u8]; 9] = [
        b"READY",
        b"RELOADING",
        b"STOPPING",
        b"WATCHDOG",
        b"FDSTORE",
        b"FDSTOREREMOVE",
        b"FDPOLL",
        b"BARRIER",
        b"RESTART_RESET",
    ];
    switches.contains(&name)
}

fn one(value: &[u8]) -> Result<bool, Reason> {
    exactly(value, b"1")
}

fn exactly(value: &[u8], wanted: &[u8]) -> Result<bool, Reason> {
    if value == wanted { Ok(true) } else { Err(Reason::BadValue) }
}

fn text(value: &[u8]) -> Result<String, Reason> {
    std::str::from_utf8(value).map(str::to_owned).map_err(|_| Reason::BadValue)
}

fn number<T: std::str::FromStr>(value: &[u8]) -> Result<T, Reason> {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Reason::BadValue);
    }
    text(value)?.parse().map_err(|_| Reason::BadValue)
}

fn positive<T: PartialOrd + Default>(value: T) -> Result<T, Reason> {
    if value > T::default() { Ok(value) } else { Err(Reason::BadValue) }
}

/// A name of an error. D-Bus and varlink differ only in that varlink also allows `-`, except in the last word.
fn error_name(value: &[u8]) -> Result<String, Reason> {
    let name = text(value)?;
    if crate::dbus::names::is_error_name(&name.replace('-', "_")) { Ok(name) } else { Err(Reason::BadValue) }
}

/// A descriptor's name: printable ASCII without colons (`sd_pid_notify_with_fds(3)`).
fn fd_name(value: &[u8]) -> Result<String, Reason> {
    let good = |byte: &u8| (0x20..0x7f).contains(byte) && *byte != b':';
    if value.len() > MAX_FD_NAME || !value.iter().all(good) {
        return Err(Reason::BadValue);
    }
    text(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(datagram: &[u8]) -> Vec<Reason> {
        parse(datagram, 0).unwrap().ignored.into_iter().map(|ignored| ignored.reason).collect()
    }

    #[test]
    fn reads_what_services_send() {
        let got = parse(b"READY=1\nSTATUS=Processing requests...\nMAINPID=4711", 0).unwrap();
        let expected = Notification {
            ready: true,
            status: Some("Processing requests...".to_owned()),
            main_pid: Some(4711),
            ..Notification::default()
        };
        assert_eq!(got, expected);
        let got = parse(b"RELOADING=1\nMONOTONIC_USEC=123\n", 0).unwrap();
        assert_eq!((got.reloading, got.monotonic_usec), (true, Some(123)));
        let got = parse(b"FDSTORE=1\nFDNAME=foo bar\nFDPOLL=0", 3).unwrap();
        assert_eq!((got.fd_store, got.fd_name.as_deref(), got.fd_no_poll), (true, Some("foo bar"), true));
        let got = parse(b"WATCHDOG=trigger\nWATCHDOG_USEC=20000000\0", 0).unwrap();
        assert_eq!((got.watchdog, got.watchdog_usec), (Some(Watchdog::Trigger), Some(20_000_000)));
        let got =
            parse(b"ERRNO=2\nEXIT_STATUS=255\nBUSERROR=org.freedesktop.DBus.Error.TimedOut", 0).unwrap();
        assert_eq!((got.errno, got.exit_status), (Some(2), Some(255)));
        assert_eq!(got.bus_error.as_deref(), Some("org.freedesktop.DBus.Error.TimedOut"));
        assert_eq!(parse(b"", 0), Ok(Notification::default()));
        assert_eq!(parse(b"STATUS=", 0).unwrap().status.as_deref(), Some(""));
    }

    #[test]
    fn one_bad_line_does_not_spoil_the_others() {
        let got = parse(b"foo\nX_A=1\nREADY=yes\nMAINPID=-4\nSTATUS=\xff\nSTOPPING=1", 0).unwrap();
        assert!(got.stopping && !got.ready);
        use Reason::*;
        let reasons: Vec<_> = got.ignored.iter().map(|ignored| ignored.reason).collect();
        assert_eq!(reasons, [NoAssignment, UnknownName, BadValue, BadValue, BadValue]);
        assert_eq!(got.ignored[4].line, "STATUS=\u{fffd}");
    }

    #[test]
    fn values_are_checked() {
        for bad in [
            "MAINPID=0",
            "MAINPID=99999999999",
            "MAINPID=+1",
            "MAINPID=",
            "ERRNO=-1",
            "ERRNO=5000",
            "EXIT_STATUS=256",
            "FDNAME=a:b",
            "WATCHDOG_USEC=0",
            "EXTEND_TIMEOUT_USEC=1.5",
            "WATCHDOG=2",
            "FDPOLL=1",
            "BUSERROR=x",
            "INVOCATION_ID=12",
            "NOTIFYACCESS=some",
            "WATCHDOG_USEC=18446744073709551616",
        ] {
            assert_eq!(reasons(bad.as_bytes()), [Reason::BadValue], "{bad}");
        }
        assert_eq!(reasons(b"STATUS=a\nSTATUS=b"), [Reason::Repeated]);
        assert!(parse(b"READY=no\nREADY=1", 0).unwrap().ready);
        assert_eq!(parse(b"MAINPID=x\nMAINPID=1", 0).unwrap().main_pid, None);
    }

    #[test]
    fn whole_datagrams_are_bounded() {
        assert_eq!(parse(&[b'x'; 4097], 0), Err(Refused::TooLong));
        assert_eq!(parse(b"READY=1", 769), Err(Refused::TooManyFds));
        assert_eq!(parse(b"READY=1\0STOPPING=1", 0), Err(Refused::Nul));
        assert_eq!(parse(b"BARRIER=1", 0), Err(Refused::Barrier));
        assert_eq!(parse(b"BARRIER=1\nREADY=1", 1), Err(Refused::Barrier));
        assert!(parse(b"BARRIER=1", 1).unwrap().barrier);
        let flood = b"x\n".repeat(2048);
        assert_eq!(parse(&flood, 0).unwrap().ignored.len(), MAX_IGNORED);
    }
}
