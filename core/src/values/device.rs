//! Device access rules, `DeviceAllow=` (`systemd.resource-control(5)`).

use super::{ValueError, quoting};
use serde::{Deserialize, Serialize};

/// Which devices a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Devices {
    /// A device node below `/dev` or `/run/systemd/inaccessible`.
    Node(String),
    /// `char-NAME`: all character devices of drivers that match the pattern.
    Char(String),
    /// `block-NAME`
    Block(String),
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Which devices.
    pub devices: Devices,
    /// May be read.
    pub read: bool,
    /// May be written.
    pub write: bool,
    /// Nodes may be made.
    pub mknod: bool,
}

/// Parses `/dev/NODE rwm`, `char-NAME rw`; without letters all is allowed.
pub fn parse(text: &str) -> Result<Rule, ValueError> {
    let fail = |reason| ValueError::new("device rule", text, reason);
    let mut rest = text;
    let name = quoting::first_word(&mut rest, quoting::COMMAND)?.ok_or(fail("empty"))?;
    let letters = if rest.is_empty() { "rwm" } else { rest };
    if !letters.chars().all(|c| "rwm".contains(c)) {
        return Err(fail("the access is not made of r, w, m"));
    }
    let devices = if let Some(pattern) = name.strip_prefix("char-") {
        Devices::Char(pattern.to_owned())
    } else if let Some(pattern) = name.strip_prefix("block-") {
        Devices::Block(pattern.to_owned())
    } else if (name.starts_with("/dev/") || name.starts_with("/run/systemd/inaccessible/"))
        && !name.split('/').any(|part| part == "..")
    {
        Devices::Node(name)
    } else {
        return Err(fail("no device node"));
    };
    let has = |c| letters.contains(c);
    Ok(Rule { devices, read: has('r'), write: has('w'), mknod: has('m') })
}

impl Rule {
    /// The device part as text.
    pub fn device_text(&self) -> String {
        match &self.devices {
            Devices::Node(path) => path.clone(),
            Devices::Char(pattern) => format!("char-{pattern}"),
            Devices::Block(pattern) => format!("block-{pattern}"),
        }
    }

    /// The letters of what is allowed.
    pub fn access_text(&self) -> String {
        let letters = [(self.read, 'r'), (self.write, 'w'), (self.mknod, 'm')];
        letters.into_iter().filter(|(on, _)| *on).map(|(_, c)| c).collect()
    }
}

/// Undoes [`parse`].
pub fn format(rule: &Rule) -> String {
    format!("{} {}", quoting::quote(&rule.device_text()), rule.access_text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        for text in ["/dev/null rw", "char-pts rwm", "block-* r", "/run/systemd/inaccessible/chr m"] {
            assert_eq!(
                parse(text).map(|r| format(&r)),
                Ok(match text {
                    "block-* r" => "\"block-*\" r".to_owned(),
                    _ => text.to_owned(),
                })
            );
        }
        assert_eq!(parse("/dev/sda").map(|r| r.access_text()), Ok("rwm".into()));
        for text in ["", "/tmp/x", "/dev/x q", "null", "/dev/../x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
