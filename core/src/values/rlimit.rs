//! Resource limits, `Limit*=` (`systemd.exec(5)` "Process properties", `setrlimit(2)`).

use super::{ValueError, bytes, span};
use serde::{Deserialize, Serialize};

/// No limit.
pub const INFINITY: u64 = u64::MAX;

/// Which resource; the value is the kernel's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Resource {
    Cpu = 0,
    FSize = 1,
    Data = 2,
    Stack = 3,
    Core = 4,
    Rss = 5,
    NProc = 6,
    NoFile = 7,
    MemLock = 8,
    As = 9,
    Locks = 10,
    SigPending = 11,
    MsgQueue = 12,
    Nice = 13,
    RtPrio = 14,
    RtTime = 15,
}

impl Resource {
    /// All resources with the names that stand behind `Limit` in the setting's name, by kernel number.
    pub const ALL: [(Resource, &'static str); 16] = [
        (Resource::Cpu, "CPU"),
        (Resource::FSize, "FSIZE"),
        (Resource::Data, "DATA"),
        (Resource::Stack, "STACK"),
        (Resource::Core, "CORE"),
        (Resource::Rss, "RSS"),
        (Resource::NProc, "NPROC"),
        (Resource::NoFile, "NOFILE"),
        (Resource::MemLock, "MEMLOCK"),
        (Resource::As, "AS"),
        (Resource::Locks, "LOCKS"),
        (Resource::SigPending, "SIGPENDING"),
        (Resource::MsgQueue, "MSGQUEUE"),
        (Resource::Nice, "NICE"),
        (Resource::RtPrio, "RTPRIO"),
        (Resource::RtTime, "RTTIME"),
    ];

    /// The resource of a name such as `NOFILE`.
    pub fn from_name(name: &str) -> Option<Resource> {
        Resource::ALL.iter().find(|(_, known)| *known == name).map(|(resource, _)| *resource)
    }
}

/// A soft and a hard limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The limit in force.
    pub soft: u64,
    /// How far the process may raise the soft one.
    pub hard: u64,
}

/// Parses `value` or `soft:hard`.
pub fn parse(resource: Resource, text: &str) -> Result<Limits, ValueError> {
    let (soft, hard) = match text.split_once(':') {
        Some((soft, hard)) => (one(resource, soft)?, one(resource, hard)?),
        None => {
            let both = one(resource, text)?;
            (both, both)
        }
    };
    if soft > hard {
        return Err(ValueError::new("resource limit", text, "the soft limit is above the hard one"));
    }
    Ok(Limits { soft, hard })
}

fn one(resource: Resource, text: &str) -> Result<u64, ValueError> {
    let fail = |reason| ValueError::new("resource limit", text, reason);
    if text == "infinity" {
        return Ok(INFINITY);
    }
    match resource {
        Resource::Cpu => match span::parse(text, span::USEC_PER_SEC)? {
            span::INFINITY => Ok(INFINITY),
            usec => Ok(usec.div_ceil(span::USEC_PER_SEC)),
        },
        Resource::RtTime => span::parse(text, 1),
        Resource::FSize
        | Resource::Data
        | Resource::Stack
        | Resource::Core
        | Resource::Rss
        | Resource::As
        | Resource::MemLock
        | Resource::MsgQueue => bytes::parse(text, bytes::Base::Iec),
        Resource::Nice => nice(text).ok_or(fail("no nice level")),
        Resource::NProc | Resource::NoFile | Resource::Locks | Resource::SigPending | Resource::RtPrio => {
            text.parse().map_err(|_| fail("no number"))
        }
    }
}

/// With a sign it is a nice level (-20 to 19), which the kernel counts as 40 to 1; without it is the raw value.
fn nice(text: &str) -> Option<u64> {
    if text.starts_with(['+', '-']) {
        let level: i64 = text.parse().ok()?;
        return (-20..=19).contains(&level).then(|| u64::try_from(20 - level).ok()).flatten();
    }
    text.parse().ok().filter(|&raw: &u64| raw <= 40)
}

/// `soft:hard`, or one number where they are equal.
pub fn format(limits: Limits) -> String {
    let word = |value: u64| if value == INFINITY { "infinity".to_owned() } else { value.to_string() };
    if limits.soft == limits.hard {
        word(limits.soft)
    } else {
        format!("{}:{}", word(limits.soft), word(limits.hard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        let both = |v| Ok(Limits { soft: v, hard: v });
        assert_eq!(parse(Resource::NoFile, "1024:524288"), Ok(Limits { soft: 1024, hard: 524_288 }));
        assert_eq!(parse(Resource::NoFile, "infinity"), both(INFINITY));
        assert_eq!(parse(Resource::Core, "1G"), both(1 << 30));
        assert_eq!(parse(Resource::Cpu, "1min"), both(60));
        assert_eq!(parse(Resource::Cpu, "1ms"), both(1));
        assert_eq!(parse(Resource::RtTime, "5ms"), both(5000));
        assert_eq!(parse(Resource::Nice, "-5"), both(25));
        assert_eq!(parse(Resource::Nice, "+5"), both(15));
        assert_eq!(parse(Resource::Nice, "5"), both(5));
        for text in ["", "2:1", "x", "1:2:3", ":", "-1"] {
            assert!(parse(Resource::NProc, text).is_err(), "{text}");
        }
        assert!(parse(Resource::Nice, "41").is_err());
        assert_eq!(format(Limits { soft: 1, hard: INFINITY }), "1:infinity");
        for (index, (resource, name)) in Resource::ALL.into_iter().enumerate() {
            assert_eq!(resource as usize, index);
            assert_eq!(Resource::from_name(name), Some(resource));
        }
    }
}
