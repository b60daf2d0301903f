//! Reading values: what one assignment does to the value that its row has so far.
//!
//! Nothing here fails a unit but command lines ([`Problem::Fatal`]); whatever else cannot be read is ignored with a
//! warning, as in the reference.

pub mod base64;
pub mod cgroup;
pub mod exec;
pub mod list;
mod number;
mod unit;

use super::kind::{Check, Kind};
use super::table::Row;
use crate::names::Specifiers;
use crate::settings::{Settings, Value};
use crate::values::ValueError;
use std::rc::Rc;

/// A boolean as the reference takes it; `None` for other text.
pub fn boolean(text: &str) -> Option<bool> {
    crate::values::boolean::parse(text).ok()
}

/// What an assignment comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The row has this value now.
    Set(Value),
    /// The row is back at its default.
    Reset,
    /// Nothing changes.
    Keep,
}

/// Why an assignment has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It is ignored; what is wrong with it.
    Ignored(String),
    /// The unit cannot be loaded (`bad-setting`).
    Fatal(String),
}

impl From<ValueError> for Problem {
    fn from(error: ValueError) -> Problem {
        Problem::Ignored(format!("no valid {}: {}", error.what, error.reason))
    }
}

impl From<crate::names::SpecifierError> for Problem {
    fn from(error: crate::names::SpecifierError) -> Problem {
        Problem::Ignored(error.to_string())
    }
}

pub(super) use list::absolute_path;
pub(super) use number::span_value;
pub(super) use unit::units;

pub(super) fn ignored<T>(reason: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::Ignored(reason.into()))
}

/// What a parser may look at besides the text.
pub struct Context<'a, 'b> {
    /// The row.
    pub row: &'static Row,
    /// What `%` stands for.
    pub specifiers: &'a Specifiers<'b>,
    /// Which names are time zones.
    pub is_zone: &'a dyn Fn(&str) -> bool,
    /// What was set so far.
    pub settings: &'a Settings,
    /// Parts of the value that were left out, each with what is wrong.
    pub complaints: &'a mut Vec<String>,
}

impl Context<'_, '_> {
    fn expand(&self, text: &str) -> Result<String, Problem> {
        Ok(self.specifiers.expand(text)?)
    }

    fn complain(&mut self, problem: impl Into<Problem>) {
        let (Problem::Ignored(text) | Problem::Fatal(text)) = problem.into();
        self.complaints.push(text);
    }

    fn old(&self) -> Option<&Value> {
        self.settings.get(self.row.stored())
    }
}

/// Reads `text` as a value of the context's row.
pub fn parse(context: &mut Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    use Kind::*;
    match context.row.kind {
        Bool => truth(context, text),
        Unsigned | Unsigned16 | Integer(..) | Integer64 | Span(..) | Nanoseconds | TimeoutAbort
        | WatchdogSpan | Size | Mode | Words(_) | Numbers(_) | ActionExit | Signal | Errno | Limit
        | CpuSet | CoredumpFilter => number::parse(context, text),
        Memory | Tasks | CpuWeight | Shares(..) | Quota | DeviceAllow | DeviceNumbers(_) | Delegate
        | Controllers | Addresses | PressureLimit | BpfPrograms | SocketBinds | NftSets => {
            cgroup::parse(context, text)
        }
        Text(check) => self::text(context, text, check),
        Line => set_text(context.expand(text)?),
        FilePath | RootPath | WorkingDirectory | PidFile | List(_) | Urls | SearchPath | Environment
        | Binds | TemporaryFileSystems | Directories | OpenFile | ImageOptions | Images(_)
        | SetCredential | LoadCredential | ImportCredential => list::parse(context, text),
        ImagePolicy | Blob | Input | Output | InputText | InputData | LogFields | LogPatterns
        | SecureBits | Capabilities | SystemCalls | Architectures | Namespaces | Families | Filter
        | Label => exec::parse(context, text),
        Commands | ExitSet | Sockets | Listen | SocketService | TriggeredUnit | Timer | Watch | SliceUnit
        | MountsFor => unit::parse(context, text),
        Alias(_) | Obsolete(_) | Ignored | ServiceTimeout | JobTimeout | Dependency | OnFailureIsolate
        | Condition | Assert | Install => Ok(Outcome::Keep),
    }
}

fn truth(context: &Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    if text.is_empty() && context.row.default == super::DefaultValue::Unset {
        return Ok(Outcome::Reset);
    }
    match boolean(text) {
        Some(on) => Ok(Outcome::Set(Value::Bool(on))),
        None => ignored("no boolean"),
    }
}

pub(super) fn set_text(text: String) -> Result<Outcome, Problem> {
    Ok(if text.is_empty() { Outcome::Reset } else { Outcome::Set(Value::Text(text.into())) })
}

fn text(context: &Context<'_, '_>, text: &str, check: Check) -> Result<Outcome, Problem> {
    let text = context.expand(text)?;
    if text.is_empty() {
        return Ok(Outcome::Reset);
    }
    let good = match check {
        Check::Any => !text.chars().any(|c| c == '\0'),
        Check::UserName => user_name(&text),
        Check::BusName => bus_name(&text),
        Check::InterfaceName => interface_name(&text),
        Check::FdName => descriptor_name(&text),
        Check::LogNamespace => {
            crate::names::UnitName::build("a", Some(&text), crate::names::UnitType::Service).is_ok()
        }
        Check::Subgroup => !text.contains('/') && text != "." && text != ".." && !text.starts_with('_'),
        Check::Personality => {
            ["x86", "x86-64", "ppc", "ppc-le", "ppc64", "ppc64-le", "s390", "s390x", "arm64", "arm"]
                .contains(&text.as_str())
        }
    };
    if good { set_text(text) } else { ignored("not a name that can stand here") }
}

/// Whether a user or group may be called so in a setting; numbers are taken but those that mean "none".
pub(super) fn user_name(text: &str) -> bool {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse::<u32>().is_ok_and(|id| id != u32::MAX && id != 65535);
    }
    let first = text.as_bytes().first().copied().unwrap_or(0);
    text.len() <= 256
        && first != b'-'
        && text != "."
        && text != ".."
        && !text.chars().any(|c| c.is_control() || c == ':' || c == '/')
        && text.trim() == text
}

fn bus_name(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(|c: char| c.is_ascii_digit())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    text.len() <= 255 && text.contains('.') && text.split('.').all(part)
}

fn interface_name(text: &str) -> bool {
    text.len() < 16
        && text != "."
        && text != ".."
        && text.bytes().all(|b| (33..127).contains(&b) && b != b':' && b != b'/' && b != b'%')
        && !text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a descriptor may be called so (sd_listen_fds_with_names(3)).
pub(super) fn descriptor_name(text: &str) -> bool {
    text.len() <= 255 && !text.chars().any(|c| c.is_control() || c == ':')
}

/// The old list with more behind it.
pub(super) fn appended<T: Clone>(old: &[T], more: Vec<T>) -> Rc<[T]> {
    if old.is_empty() { more.into() } else { old.iter().cloned().chain(more).collect() }
}
