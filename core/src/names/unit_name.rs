//! A validated unit name.

use super::{UnitType, escape};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// The longest unit name, in bytes (`systemd.unit(5)`: 255 characters with the suffix).
pub const UNIT_NAME_MAX: usize = 255;

/// Why a text is no unit name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameError {
    /// The text is empty.
    Empty,
    /// Longer than [`UNIT_NAME_MAX`]; carries the length.
    TooLong(usize),
    /// No suffix, or one that is no unit type's.
    Suffix(String),
    /// A character that no unit name has.
    Character(String, char),
    /// Nothing stands before the suffix or before `@`.
    NoPrefix(String),
    /// The operation needs a template or an instance.
    NotInstantiable(String),
    /// The instance text holds a character that no unit name has.
    Instance(String),
    /// A path that cannot become a unit name, or the other way round.
    Path(String),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Empty => f.write_str("unit name is empty"),
            NameError::TooLong(len) => write!(f, "unit name has {len} bytes, more than {UNIT_NAME_MAX}"),
            NameError::Suffix(name) => write!(f, "unit name {name:?} ends in no unit type"),
            NameError::Character(name, c) => write!(f, "unit name {name:?} has the invalid character {c:?}"),
            NameError::NoPrefix(name) => write!(f, "unit name {name:?} has nothing before its suffix or '@'"),
            NameError::NotInstantiable(name) => write!(f, "unit {name:?} is neither template nor instance"),
            NameError::Instance(text) => write!(f, "{text:?} is no valid instance name"),
            NameError::Path(path) => write!(f, "path {path:?} has no unit name"),
        }
    }
}

impl std::error::Error for NameError {}

/// The three shapes of a unit name (`systemd.unit(5)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameShape {
    /// `foo.service`
    Plain,
    /// `foo@.service`
    Template,
    /// `foo@bar.service`
    Instance,
}

/// A valid unit name; cloning shares the text. Ordered by its text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitName {
    text: Arc<str>,
    kind: UnitType,
    /// Position of the first `@`; 0 where there is none (a name cannot begin with `@`).
    at: u8,
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '\\' | '@')
}

impl UnitName {
    /// Checks `text` and takes it as a unit name.
    pub fn parse(text: &str) -> Result<UnitName, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > UNIT_NAME_MAX {
            return Err(NameError::TooLong(text.len()));
        }
        let Some((stem, suffix)) = text.rsplit_once('.') else {
            return Err(NameError::Suffix(text.to_owned()));
        };
        let Some(kind) = UnitType::from_suffix(suffix) else {
            return Err(NameError::Suffix(text.to_owned()));
        };
        if let Some(c) = stem.chars().find(|&c| !is_name_char(c)) {
            return Err(NameError::Character(text.to_owned(), c));
        }
        let at = stem.find('@');
        if stem.is_empty() || at == Some(0) {
            return Err(NameError::NoPrefix(text.to_owned()));
        }
        let at = u8::try_from(at.unwrap_or(0)).expect("a unit name has at most 255 bytes");
        Ok(UnitName { text: Arc::from(text), kind, at })
    }

    /// Joins prefix, optional instance (empty: a template) and type.
    pub fn build(prefix: &str, instance: Option<&str>, kind: UnitType) -> Result<UnitName, NameError> {
        match instance {
            None => UnitName::parse(&format!("{prefix}.{kind}")),
            Some(instance) if instance.chars().all(is_name_char) => {
                UnitName::parse(&format!("{prefix}@{instance}.{kind}"))
            }
            Some(instance) => Err(NameError::Instance(instance.to_owned())),
        }
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The unit's type.
    pub fn kind(&self) -> UnitType {
        self.kind
    }

    /// The name without its suffix (`%N`).
    pub fn stem(&self) -> &str {
        let end = self.text.len().saturating_sub(self.kind.suffix().len() + 1);
        self.text.get(..end).unwrap_or(&self.text)
    }

    /// What stands before `@`, or before the suffix (`%p`).
    pub fn prefix(&self) -> &str {
        match self.at {
            0 => self.stem(),
            at => self.text.get(..usize::from(at)).unwrap_or(&self.text),
        }
    }

    /// What stands between `@` and the suffix (`%i`); `None` for plain names and templates.
    pub fn instance(&self) -> Option<&str> {
        match self.at {
            0 => None,
            at => self.stem().get(usize::from(at) + 1..).filter(|instance| !instance.is_empty()),
        }
    }

    /// Plain, template or instance.
    pub fn shape(&self) -> NameShape {
        match (self.at, self.instance()) {
            (0, _) => NameShape::Plain,
            (_, None) => NameShape::Template,
            (_, Some(_)) => NameShape::Instance,
        }
    }

    /// `foo@.service`
    pub fn is_template(&self) -> bool {
        self.shape() == NameShape::Template
    }

    /// `foo@bar.service`
    pub fn is_instance(&self) -> bool {
        self.shape() == NameShape::Instance
    }

    /// The template of an instance (or of the template itself); `None` for plain names.
    pub fn template(&self) -> Option<UnitName> {
        match self.shape() {
            NameShape::Plain => None,
            NameShape::Template => Some(self.clone()),
            NameShape::Instance => UnitName::build(self.prefix(), Some(""), self.kind).ok(),
        }
    }

    /// The same template with another instance.
    pub fn with_instance(&self, instance: &str) -> Result<UnitName, NameError> {
        match self.shape() {
            NameShape::Plain => Err(NameError::NotInstantiable(self.text.to_string())),
            _ => UnitName::build(self.prefix(), Some(instance), self.kind),
        }
    }

    /// The same name with another suffix, e.g. the service of a socket.
    pub fn with_type(&self, kind: UnitType) -> Result<UnitName, NameError> {
        UnitName::parse(&format!("{}.{kind}", self.stem()))
    }

    /// The names, cut after each dash of the prefix from the last to the first, whose drop-in directories also
    /// apply: `a-b-c.service` gives `a-b-.service` and `a-.service`; instances keep their instance.
    pub fn prefix_dashes(&self) -> Vec<String> {
        let prefix = self.prefix();
        let rest = self.text.get(prefix.len()..).unwrap_or("");
        let mut names = Vec::new();
        let mut end = prefix.len();
        while let Some(dash) = prefix.get(..end).and_then(|head| head.rfind('-')) {
            if dash + 1 < prefix.len() && dash > 0 {
                names.push(format!("{}{rest}", prefix.get(..=dash).unwrap_or("")));
            }
            end = dash;
        }
        names
    }

    /// The name of the unit that stands for a file system path: `/dev/sda1` and `device` give `dev-sda1.device`.
    pub fn from_path(path: &str, kind: UnitType) -> Result<UnitName, NameError> {
        let stem = escape::path_escape(path.as_bytes()).map_err(|_| NameError::Path(path.to_owned()))?;
        UnitName::parse(&format!("{stem}.{kind}"))
    }

    /// The path that the prefix stands for: `dev-sda1.device` gives `/dev/sda1`.
    pub fn to_path(&self) -> Result<String, NameError> {
        let bytes =
            escape::path_unescape(self.prefix()).map_err(|_| NameError::Path(self.text.to_string()))?;
        String::from_utf8(bytes).map_err(|_| NameError::Path(self.text.to_string()))
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl AsRef<str> for UnitName {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl std::str::FromStr for UnitName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<UnitName, NameError> {
        UnitName::parse(text)
    }
}

impl TryFrom<&str> for UnitName {
    type Error = NameError;
    fn try_from(text: &str) -> Result<UnitName, NameError> {
        UnitName::parse(text)
    }
}

impl PartialEq<str> for UnitName {
    fn eq(&self, other: &str) -> bool {
        &*self.text == other
    }
}

impl PartialEq<&str> for UnitName {
    fn eq(&self, other: &&str) -> bool {
        &*self.text == *other
    }
}

impl Serialize for UnitName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for UnitName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<UnitName, D::Error> {
        let text = String::deserialize(deserializer)?;
        UnitName::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> UnitName {
        UnitName::parse(text).expect("test name is valid")
    }

    #[test]
    fn shapes() {
        let plain = name("dbus.service");
        assert_eq!((plain.prefix(), plain.instance(), plain.kind()), ("dbus", None, UnitType::Service));
        assert_eq!(plain.template(), None);
        let template = name("getty@.service");
        assert!(template.is_template());
        assert_eq!(template.prefix(), "getty");
        let instance = name("getty@tty1.service");
        assert!(instance.is_instance());
        assert_eq!(instance.instance(), Some("tty1"));
        assert_eq!(instance.stem(), "getty@tty1");
        assert_eq!(instance.template(), Some(template.clone()));
        assert_eq!(template.with_instance("tty1"), Ok(instance.clone()));
        assert_eq!(instance.with_instance("a@b").map(|n| n.to_string()), Ok("getty@a@b.service".into()));
        assert_eq!(name("a@b@c.service").instance(), Some("b@c"));
        assert_eq!(instance.with_type(UnitType::Socket), Ok(name("getty@tty1.socket")));
        assert_eq!(name("-.slice").prefix(), "-");
        assert_eq!(name("a.b.service").stem(), "a.b");
    }

    #[test]
    fn invalid_names() {
        for text in
            ["", "foo", "foo.bar", ".service", "@.service", "@x.service", "a b.service", "a/b.service"]
        {
            assert!(UnitName::parse(text).is_err(), "{text:?}");
        }
        assert!(UnitName::parse("ä.service").is_err());
        assert!(UnitName::parse("a.service\n").is_err());
        assert!(UnitName::parse("a%.service").is_err());
        let long = format!("{}.service", "a".repeat(247));
        assert!(UnitName::parse(&long).is_ok());
        assert_eq!(UnitName::parse(&format!("a{long}")), Err(NameError::TooLong(256)));
        assert!(name("a@.service").with_instance("a/b").is_err());
        assert!(name("a.service").with_instance("b").is_err());
    }

    #[test]
    fn dashes() {
        assert_eq!(name("a-b-c.service").prefix_dashes(), ["a-b-.service", "a-.service"]);
        assert_eq!(name("a-b@x-y.service").prefix_dashes(), ["a-@x-y.service"]);
        assert!(name("abc.service").prefix_dashes().is_empty());
        assert!(name("-.slice").prefix_dashes().is_empty());
        assert!(name("-.mount").prefix_dashes().is_empty());
        assert_eq!(name("a-.service").prefix_dashes(), Vec::<String>::new());
    }

    #[test]
    fn paths() {
        assert_eq!(UnitName::from_path("/", UnitType::Mount), Ok(name("-.mount")));
        assert_eq!(
            UnitName::from_path("/dev/disk/by-id/a b", UnitType::Device).map(|n| n.to_string()),
            Ok("dev-disk-by\\x2did-a\\x20b.device".into())
        );
        assert_eq!(name("dev-disk-by\\x2did-a\\x20b.device").to_path(), Ok("/dev/disk/by-id/a b".into()));
        assert_eq!(name("-.mount").to_path(), Ok("/".into()));
        assert!(UnitName::from_path("/a/../b", UnitType::Mount).is_err());
    }

    #[test]
    fn serde_is_a_string() {
        let text = serde_json::to_string(&name("a@b.service")).expect("a string serializes");
        assert_eq!(text, "\"a@b.service\"");
        assert_eq!(serde_json::from_str::<UnitName>(&text).expect("valid"), name("a@b.service"));
        assert!(serde_json::from_str::<UnitName>("\"nope\"").is_err());
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_parts_join(text in ".{0,40}(@.{0,10})?\\.(service|slice|mount)") {
            if let Ok(parsed) = UnitName::parse(&text) {
                let instance = match parsed.shape() {
                    NameShape::Plain => None,
                    NameShape::Template => Some(""),
                    NameShape::Instance => parsed.instance(),
                };
                prop_assert_eq!(UnitName::build(parsed.prefix(), instance, parsed.kind()), Ok(parsed));
            }
        }
    }
}
