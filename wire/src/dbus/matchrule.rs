//! Match rules: which messages somebody wants to receive (D-Bus specification, "Match Rules").

use super::error::{Error, Result};
use super::message::{Kind, Message};
use super::names;

/// Longest rule, in bytes.
pub const MAX_RULE: usize = 4096;
/// Highest argument that can be matched.
pub const MAX_ARGUMENT: u8 = 63;

/// A match rule. An empty one matches every message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatchRule {
    /// `type`
    pub kind: Option<Kind>,
    /// `sender`
    pub sender: Option<String>,
    /// `interface`
    pub interface: Option<String>,
    /// `member`
    pub member: Option<String>,
    /// `path`
    pub path: Option<String>,
    /// `path_namespace`
    pub path_namespace: Option<String>,
    /// `destination`
    pub destination: Option<String>,
    /// `argN`, `argNpath`, `arg0namespace`: sorted by N, each key once.
    pub arguments: Vec<(u8, Argument)>,
    /// `eavesdrop`
    pub eavesdrop: bool,
}

/// What a rule wants of an argument.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Argument {
    /// `argN`: a string equal to this.
    Equal(String),
    /// `argNpath`: a string or object path equal to this, or one a prefix of the other that ends in `/`.
    Path(String),
    /// `arg0namespace`: a bus name equal to or below this.
    Namespace(String),
}

impl Argument {
    fn matches(&self, have: &str, is_path: bool) -> bool {
        match self {
            Argument::Equal(want) => !is_path && have == want,
            Argument::Path(want) => {
                have == want
                    || (want.ends_with('/') && have.starts_with(want.as_str()))
                    || (have.ends_with('/') && want.starts_with(have))
            }
            Argument::Namespace(want) => !is_path && is_below(have, want, '.'),
        }
    }
}

impl MatchRule {
    /// Parses `text`: `key='value'` pairs with commas between; outside quotes `\'` stands for a quote.
    pub fn parse(text: &str) -> Result<MatchRule> {
        if text.len() > MAX_RULE {
            return Err(Error::MatchRule("too long"));
        }
        let mut rule = MatchRule::default();
        let mut seen: Vec<&str> = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (key, behind) = rest.split_once('=').ok_or(Error::MatchRule("key without value"))?;
            let key = key.trim();
            let (value, behind) = unquote(behind)?;
            if seen.contains(&key) {
                return Err(Error::MatchRule("a key stands twice"));
            }
            seen.push(key);
            rule.set(key, value)?;
            rest = behind.trim_start();
        }
        if rule.path.is_some() && rule.path_namespace.is_some() {
            return Err(Error::MatchRule("both path and path_namespace"));
        }
        rule.arguments.sort();
        Ok(rule)
    }

    /// Whether `message` is wanted. A well-known `sender` is compared with the header's text; see [`MatchRule::matches_owned`].
    pub fn matches(&self, message: &Message) -> bool {
        self.matches_owned(message, |_, _| false)
    }

    /// Whether `message` is wanted, where `owns(name, unique)` tells whether the connection `unique` owns the well-known `name`.
    pub fn matches_owned(&self, message: &Message, owns: impl Fn(&str, &str) -> bool) -> bool {
        let equal = |want: &Option<String>, have: Option<&str>| match want {
            None => true,
            Some(want) => have == Some(want.as_str()),
        };
        self.kind.is_none_or(|kind| kind == message.kind())
            && equal(&self.interface, message.interface())
            && equal(&self.member, message.member())
            && equal(&self.path, message.path())
            && (equal(&self.destination, message.destination())
                || named(&self.destination, message.destination(), &owns))
            && (equal(&self.sender, message.sender()) || named(&self.sender, message.sender(), &owns))
            && match &self.path_namespace {
                None => true,
                Some(prefix) => message.path().is_some_and(|path| is_below(path, prefix, '/')),
            }
            && self.matches_arguments(message)
    }

    fn matches_arguments(&self, message: &Message) -> bool {
        let mut reader = message.body_reader();
        let mut wanted = self.arguments.as_slice();
        for number in 0..=MAX_ARGUMENT {
            let (here, later) = wanted.split_at(wanted.partition_point(|(n, _)| *n == number));
            if here.is_empty() {
                if later.is_empty() {
                    return true;
                }
                if reader.skip().is_err() {
                    return false;
                }
                continue;
            }
            let text = match reader.next_type() {
                Some("s") => reader.str().map(|text| (text, false)),
                Some("o") => reader.object_path().map(|text| (text, true)),
                _ => return false,
            };
            let Ok((text, is_path)) = text else { return false };
            if !here.iter().all(|(_, argument)| argument.matches(text, is_path)) {
                return false;
            }
            wanted = later;
        }
        true
    }

    fn set(&mut self, key: &str, value: String) -> Result<()> {
        let checked = |good: bool, value: String| {
            if good { Ok(Some(value)) } else { Err(Error::MatchRule("value is not valid for its key")) }
        };
        match key {
            "type" => {
                self.kind = Some(match value.as_str() {
                    "signal" => Kind::Signal,
                    "method_call" => Kind::MethodCall,
                    "method_return" => Kind::MethodReturn,
                    "error" => Kind::Error,
                    _ => return Err(Error::MatchRule("unknown type")),
                });
            }
            "sender" => self.sender = checked(names::is_bus_name(&value), value)?,
            "interface" => self.interface = checked(names::is_interface(&value), value)?,
            "member" => self.member = checked(names::is_member(&value), value)?,
            "path" => self.path = checked(names::is_object_path(&value), value)?,
            "path_namespace" => self.path_namespace = checked(names::is_object_path(&value), value)?,
            "destination" => self.destination = checked(names::is_bus_name(&value), value)?,
            "eavesdrop" => {
                self.eavesdrop = match value.as_str() {
                    "true" => true,
                    "false" => false,
                    _ => return Err(Error::MatchRule("eavesdrop is neither true nor false")),
                }
            }
            _ => {
                let argument = key.strip_prefix("arg").ok_or(Error::MatchRule("unknown key"))?;
                self.set_argument(argument, value)?;
            }
        }
        Ok(())
    }

    fn set_argument(&mut self, key: &str, value: String) -> Result<()> {
        let digits = key.len() - key.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, suffix) = key.split_at(digits);
        let leading_zero = number.len() > 1 && number.starts_with('0');
        let number = match number.parse::<u8>() {
            Ok(number) if number <= MAX_ARGUMENT && !leading_zero => number,
            _ => return Err(Error::MatchRule("argument number is not valid")),
        };
        let argument = match suffix {
            "" => Argument::Equal(value),
            "path" => Argument::Path(value),
            "namespace" if number == 0 && names::is_namespace(&value) => Argument::Namespace(value),
            "namespace" => return Err(Error::MatchRule("value is not valid for its key")),
            _ => return Err(Error::MatchRule("unknown key")),
        };
        self.arguments.push((number, argument));
        Ok(())
    }
}

fn named(want: &Option<String>, have: Option<&str>, owns: &impl Fn(&str, &str) -> bool) -> bool {
    match (want, have) {
        (Some(want), Some(have)) => !want.starts_with(':') && owns(want, have),
        _ => false,
    }
}

/// Whether `name` is `prefix` or stands below it, `separator` dividing the elements.
fn is_below(name: &str, prefix: &str, separator: char) -> bool {
    if prefix == "/" {
        return name.starts_with('/');
    }
    name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(separator))
}

/// Reads a value up to a comma outside quotes; gives it and what follows the comma.
fn unquote(text: &str) -> Result<(String, &str)> {
    let mut value = String::new();
    let mut quoted = false;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '\'' => quoted = !quoted,
            ',' if !quoted => return Ok((value, &text[at + 1..])),
            '\\' if !quoted && characters.peek().is_some_and(|(_, next)| *next == '\'') => {
                characters.next();
                value.push('\'');
            }
            _ => value.push(character),
        }
    }
    if quoted { Err(Error::MatchRule("a quote is not closed")) } else { Ok((value, "")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal() -> Message {
        Message::signal(
            "/org/freedesktop/systemd1/unit/a",
            "org.freedesktop.DBus.Properties",
            "PropertiesChanged",
        )
        .with_sender(":1.2")
        .build(|w| {
            w.str("org.example.Name").u32(5).object_path("/x/y").str("/x/");
        })
        .unwrap()
    }

    fn hits(rule: &str) -> bool {
        MatchRule::parse(rule).unwrap().matches(&signal())
    }

    #[test]
    fn matches() {
        for rule in [
            "",
            "type='signal'",
            "type='signal',sender=':1.2',member='PropertiesChanged'",
            "path='/org/freedesktop/systemd1/unit/a'",
            "path_namespace='/org/freedesktop/systemd1'",
            "path_namespace='/'",
            "interface=org.freedesktop.DBus.Properties",
            "arg0='org.example.Name'",
            "arg0namespace='org.example'",
            "arg2path='/x/y'",
            "arg2path='/x/'",
            "arg3path='/x/y'",
            "arg3path='/x/y',arg0='org.example.Name',arg0namespace='org'",
            " type='signal', member=PropertiesChanged",
        ] {
            assert!(hits(rule), "{rule}");
        }
    }

    #[test]
    fn does_not_match() {
        for rule in [
            "type='error'",
            "sender='org.example.Name'",
            "path_namespace='/org/freedesktop/systemd'",
            "arg0='org.example'",
            "arg0namespace='org.ex'",
            "arg1='5'",
            "arg2='/x/y'",
            "arg9='x'",
            "destination=':1.3'",
        ] {
            assert!(!hits(rule), "{rule}");
        }
        let rule = MatchRule::parse("sender='org.example.Name'").unwrap();
        assert!(rule.matches_owned(&signal(), |name, unique| name == "org.example.Name" && unique == ":1.2"));
    }

    #[test]
    fn quoting() {
        let rule = MatchRule::parse(r"arg0='a,b\',arg1=x\'y,arg2='a'\''b'").unwrap();
        let texts: Vec<_> = rule.arguments.iter().map(|(_, argument)| argument.clone()).collect();
        let equal = |text: &str| Argument::Equal(text.to_owned());
        assert_eq!(texts, [equal(r"a,b\"), equal("x'y"), equal("a'b")]);
    }

    #[test]
    fn refuses() {
        for rule in [
            "type",
            "type='x'",
            "foo='x'",
            "arg64='x'",
            "arg01='x'",
            "arg='x'",
            "arg1namespace='x'",
            "type='signal',type='signal'",
            "path='/a',path_namespace='/a'",
            "path='a'",
            "arg0='x",
            "eavesdrop=yes",
        ] {
            assert!(MatchRule::parse(rule).is_err(), "{rule}");
        }
    }
}
