//! One line of `tmpfiles.d(5)` to an [`Item`].
use super::argument::{self, Argument};
use super::{Age, AgeBy, Host, Item, Kind, ModeField, OwnerField, Place, acl};
use crate::directives::base64_decode;
use crate::names::path::{components, is_within};
use crate::names::specifiers;
use crate::values::quoting::{self, Rules};
use crate::values::{mode, span};
use std::cell::Cell;

/// The longest path and argument, in bytes.
const PATH_MAX: usize = 4095;

/// What is known before a line is read.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Lines with `!` count.
    pub boot: bool,
    /// Users and groups that are not known are no errors: the line counts without them.
    pub graceful: bool,
    /// Only paths within one of them, when there are any.
    pub prefixes: Vec<String>,
    /// No paths within one of them.
    pub excluded: Vec<String>,
}

impl Options {
    fn includes(&self, path: &str) -> bool {
        let within = |list: &[String]| list.iter().any(|prefix| is_within(path, prefix));
        !within(&self.excluded) && (self.prefixes.is_empty() || within(&self.prefixes))
    }
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// For people.
    pub why: String,
    /// It is not the line alone that is passed over: nothing of its file given by name is done.
    pub fatal: bool,
}

impl<T: Into<String>> From<T> for LineError {
    fn from(why: T) -> LineError {
        LineError { why: why.into(), fatal: false }
    }
}

fn fatal(why: impl Into<String>) -> LineError {
    LineError { why: why.into(), fatal: true }
}

/// What became of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is to be done; with what is to be told all the same.
    Item(Box<Item>, Vec<String>),
    /// It does not count here, and why.
    Skipped(String),
}

/// The modifiers behind the letter.
#[derive(Debug, Default)]
struct Modifiers {
    force: bool,
    boot: bool,
    may_fail: bool,
    replace: bool,
    purge: bool,
    base64: bool,
    credential: bool,
    if_target: bool,
}

/// Reads a line that is neither empty nor a comment.
///
/// # Errors
/// What is wrong with it, for people.
pub fn parse(text: &str, place: Place, options: &Options, host: &dyn Host) -> Result<Outcome, LineError> {
    let fields = Fields::split(text)?;
    let (letter, modifiers) = command(&fields.command)?;
    if modifiers.boot && !options.boot {
        return Ok(Outcome::Skipped("it is for the boot: give --boot".to_owned()));
    }
    let kind = kind(letter, &modifiers)?;
    let path = match expand(&fields.path, host)? {
        Ok(path) => normalized(&path)?,
        Err(why) => return Ok(Outcome::Skipped(why)),
    };
    let mut told = Vec::new();
    let (kind, path) = (truncating(kind, modifiers.force), legacy(path, &mut told));
    let early = early(kind, &modifiers, &fields.argument, host, &mut told)?;
    if !options.includes(&path) {
        return Ok(Outcome::Skipped("its path is not asked for".to_owned()));
    }
    let argument = match late(kind, &modifiers, &fields.argument, early, &path, host)? {
        Ok(argument) => argument,
        Err(why) => return Ok(Outcome::Skipped(why)),
    };
    let mode = fields.mode.as_deref().map(mode_field).transpose()?;
    let (user, group) = owners(&fields, options, host)?;
    let mode = mode.map(|mode| of_other_owners(mode, &fields, (user, group), &mut told));
    let item = Item {
        kind,
        letter,
        path,
        force: modifiers.force,
        may_fail: modifiers.may_fail,
        replace: modifiers.replace,
        purge: modifiers.purge,
        if_target: modifiers.if_target,
        mode,
        user,
        group,
        age: fields.age.as_deref().map(age).transpose()?,
        argument,
        place,
    };
    Ok(Outcome::Item(Box::new(item), told))
}

/// The fields of a line; `-` and what is missing is `None`.
#[derive(Debug)]
struct Fields {
    command: String,
    path: String,
    mode: Option<String>,
    user: Option<String>,
    group: Option<String>,
    age: Option<String>,
    argument: Option<String>,
}

impl Fields {
    fn split(text: &str) -> Result<Fields, String> {
        let rules = Rules { unquote: true, cunescape: true, ..Rules::default() };
        let mut rest = text;
        let mut next = || quoting::first_word(&mut rest, rules).map_err(|error| error.to_string());
        let command = next()?.ok_or("it is empty")?;
        let path = next()?.ok_or("the path is missing")?;
        let mut optional = || next().map(|word| word.filter(|word| !matches!(word.as_str(), "" | "-")));
        let (mode, user, group, age) = (optional()?, optional()?, optional()?, optional()?);
        let argument = Some(rest.trim_start_matches([' ', '\t'])).filter(|rest| !matches!(*rest, "" | "-"));
        Ok(Fields { command, path, mode, user, group, age, argument: argument.map(str::to_owned) })
    }
}

fn command(text: &str) -> Result<(char, Modifiers), String> {
    let mut letters = text.chars();
    let letter = letters.next().ok_or("the type is missing")?;
    let mut modifiers = Modifiers::default();
    for sign in letters {
        let flag = match sign {
            '+' => &mut modifiers.force,
            '!' => &mut modifiers.boot,
            '-' => &mut modifiers.may_fail,
            '=' => &mut modifiers.replace,
            '$' => &mut modifiers.purge,
            '~' => &mut modifiers.base64,
            '^' => &mut modifiers.credential,
            '?' => &mut modifiers.if_target,
            _ => return Err(format!("{sign:?} in {text:?} is no modifier: they are + ! - = ~ ^ $ ?")),
        };
        if std::mem::replace(flag, true) {
            return Err(format!("{text:?} has {sign:?} twice"));
        }
    }
    Ok((letter, modifiers))
}

fn kind(letter: char, modifiers: &Modifiers) -> Result<Kind, String> {
    let kind = Kind::of(letter).ok_or_else(|| format!("{letter:?} is no type of line: see tmpfiles.d(5)"))?;
    if modifiers.purge && !kind.makes() {
        return Err(format!("$ is for lines that make something, not for {letter:?}"));
    }
    if modifiers.if_target && kind != Kind::Link {
        return Err(format!("? is for links (L), not for {letter:?}"));
    }
    Ok(kind)
}

fn takes_argument(kind: Kind) -> bool {
    use Kind::*;
    writes(kind)
        || matches!(kind, Link | Copy | CharDevice | BlockDevice | Flags | FlagsAll)
        || matches!(kind, Xattr | XattrAll | Acl | AclAll)
}

fn truncating(kind: Kind, force: bool) -> Kind {
    if kind == Kind::File && force { Kind::Truncate } else { kind }
}

/// Replaces specifiers. The inner error: one of them is not known on this machine, which skips the line.
fn expand(text: &str, host: &dyn Host) -> Result<Result<String, String>, String> {
    let unknown = Cell::new(None);
    let resolve = |letter| {
        let found = host.specifier(letter);
        if found.is_none() {
            unknown.set(Some(letter));
        }
        found
    };
    let expanded = specifiers::expand(text, &resolve);
    if let Some(letter) = unknown.get() {
        return Err(format!("%{letter} in {text:?} is no specifier: write %% for a percent sign"));
    }
    match expanded {
        Ok(text) if text.len() > PATH_MAX => Err("it is too long".to_owned()),
        Ok(text) => Ok(Ok(text)),
        Err(error) => Ok(Err(error.to_string())),
    }
}

fn normalized(path: &str) -> Result<String, String> {
    if !path.starts_with('/') {
        return Err(format!("path {path:?} is not absolute"));
    }
    let parts: Vec<&str> = components(path).filter(|part| *part != ".").collect();
    Ok(format!("/{}", parts.join("/")))
}

/// `/var/run` is `/run`.
fn legacy(path: String, told: &mut Vec<String>) -> String {
    let Some(rest) = path.strip_prefix("/var/run").filter(|rest| rest.starts_with('/')) else { return path };
    told.push(format!("path {path:?} is below the legacy directory /var/run: write /run{rest}"));
    format!("/run{rest}")
}

/// What is said of an argument wherever the path is.
fn early(
    kind: Kind,
    modifiers: &Modifiers,
    text: &Option<String>,
    host: &dyn Host,
    told: &mut Vec<String>,
) -> Result<Argument, LineError> {
    let needed = |what: &str| text.as_deref().ok_or_else(|| format!("the argument is missing: {what}"));
    if modifiers.base64 && takes_argument(kind) && !writes(kind) {
        return Err("~ is for lines that write".into());
    }
    Ok(match kind {
        Kind::Write => needed("write what is to be written").map(|_| Argument::None)?,
        Kind::CharDevice | Kind::BlockDevice => argument::device(needed("write MAJOR:MINOR")?)?,
        Kind::Flags | Kind::FlagsAll => argument::flags(needed("write file attributes")?)?,
        Kind::Acl | Kind::AclAll => match acl::parse(needed("write an access control list")?, host) {
            Ok(list) => Argument::Acl(list),
            Err(error) => {
                told.push(format!("{error}; the list is ignored"));
                Argument::Acl(acl::Acl::default())
            }
        },
        Kind::Xattr | Kind::XattrAll => {
            let (found, wrong) = argument::xattrs(needed("write NAME=VALUE")?)?;
            told.extend(wrong);
            Argument::Xattrs(found)
        }
        _ => {
            if text.is_some() && !takes_argument(kind) {
                told.push("lines of this type take no argument, ignored".to_owned());
            }
            Argument::None
        }
    })
}

/// The argument; the inner error skips the line.
fn late(
    kind: Kind,
    modifiers: &Modifiers,
    text: &Option<String>,
    early: Argument,
    path: &str,
    host: &dyn Host,
) -> Result<Result<Argument, String>, LineError> {
    if writes(kind) {
        return written(modifiers, text, host);
    }
    // What is not there to be copied is told before anything that is wrong with its name as a credential's.
    let copied = if kind == Kind::Copy { Some(source(text, path, host)?) } else { None };
    if let Some(Err(why)) = copied {
        return Ok(Err(why));
    }
    if modifiers.credential
        && let Err(why) = credential(text.as_deref(), host)?
    {
        return Ok(Err(why));
    }
    if modifiers.base64 && !modifiers.credential && text.iter().any(|text| decoded(text.as_bytes()).is_none())
    {
        return Err(fatal("the argument is no Base64"));
    }
    match (kind, early) {
        (Kind::Link, _) => Ok(target(text, path, host)?),
        (Kind::Copy, early) => Ok(copied.unwrap_or(Ok(early))),
        (_, Argument::Xattrs(found)) => {
            let mut expanded = Vec::with_capacity(found.len());
            for (name, value) in found {
                match expand(&value, host)? {
                    Ok(value) => expanded.push((name, value)),
                    Err(why) => return Ok(Err(why)),
                }
            }
            Ok(Ok(Argument::Xattrs(expanded)))
        }
        (_, early) => Ok(Ok(early)),
    }
}

fn writes(kind: Kind) -> bool {
    matches!(kind, Kind::File | Kind::Truncate | Kind::Write)
}

/// What a credential says; the inner error: it was not passed.
fn credential(name: Option<&str>, host: &dyn Host) -> Result<Result<Vec<u8>, String>, LineError> {
    let name = name.ok_or_else(|| fatal("the argument is missing: write the name of a credential"))?;
    let wrong = |c: char| matches!(c, '/' | ':') || c.is_control() || !c.is_ascii();
    if name.is_empty() || name.len() > 255 || matches!(name, "." | "..") || name.contains(wrong) {
        return Err(fatal(format!("{name:?} is no name of a credential")));
    }
    Ok(host.credential(name).ok_or_else(|| format!("credential {name} was not passed")))
}

/// What is written to a file.
fn written(
    modifiers: &Modifiers,
    text: &Option<String>,
    host: &dyn Host,
) -> Result<Result<Argument, String>, LineError> {
    let text = match text.as_deref().map(|text| unescaped(text, !modifiers.base64, host)).transpose()? {
        Some(Err(why)) => return Ok(Err(why)),
        Some(Ok(text)) => Some(text),
        None => None,
    };
    let mut bytes = match (modifiers.credential, text) {
        (true, name) => match credential(name.as_deref(), host)? {
            Ok(bytes) => bytes,
            Err(why) => return Ok(Err(why)),
        },
        (false, Some(text)) => text.into_bytes(),
        (false, None) => return Ok(Ok(Argument::None)),
    };
    if modifiers.base64 {
        bytes = decoded(&bytes).ok_or_else(|| fatal("the argument is no Base64"))?;
    }
    Ok(Ok(Argument::Content(bytes)))
}

/// Of either alphabet (RFC 4648).
fn decoded(bytes: &[u8]) -> Option<Vec<u8>> {
    let text: String = std::str::from_utf8(bytes).ok()?.split_ascii_whitespace().collect();
    base64_decode(&text.replace('-', "+").replace('_', "/"))
}

/// C escapes, then specifiers.
fn unescaped(text: &str, and_expanded: bool, host: &dyn Host) -> Result<Result<String, String>, String> {
    if !and_expanded {
        return Ok(Ok(text.to_owned()));
    }
    let text =
        quoting::c_unescape(text).ok_or_else(|| format!("argument {text:?} has an escape that is none"))?;
    expand(&text, host)
}

const FACTORY: &str = "/usr/share/factory";

fn target(text: &Option<String>, path: &str, host: &dyn Host) -> Result<Result<Argument, String>, String> {
    let target = match text {
        None => format!("{FACTORY}{path}"),
        Some(text) => match unescaped(text, true, host)? {
            Ok(target) => target,
            Err(why) => return Ok(Err(why)),
        },
    };
    Ok(Ok(Argument::Target(target)))
}

fn source(text: &Option<String>, path: &str, host: &dyn Host) -> Result<Result<Argument, String>, String> {
    let source = match text {
        None => format!("{FACTORY}{path}"),
        Some(text) => match unescaped(text, true, host)? {
            Ok(source) if source.starts_with('/') => source,
            Ok(source) => return Err(format!("{source:?}, which is to be copied, is not absolute")),
            Err(why) => return Ok(Err(why)),
        },
    };
    Ok(if host.exists(&source) {
        Ok(Argument::Target(source))
    } else {
        Err(format!("{source}, which is to be copied, is not there"))
    })
}

type Owners = (Option<OwnerField>, Option<OwnerField>);

/// User and group.
fn owners(fields: &Fields, options: &Options, host: &dyn Host) -> Result<Owners, String> {
    let mut found = [None, None];
    let looked = [(&fields.user, "user"), (&fields.group, "group")];
    for (at, (text, what)) in looked.into_iter().enumerate() {
        let Some(text) = text else { continue };
        let (only_new, name) = text.strip_prefix(':').map_or((false, text.as_str()), |name| (true, name));
        let id = if what == "user" { host.user(name) } else { host.group(name) };
        found[at] = match id {
            Some(id) => Some(OwnerField { id, only_new }),
            // Who is not there yet is left out; the line counts.
            None if options.graceful => None,
            None => return Err(format!("{what} {name:?} is not known")),
        };
    }
    Ok((found[0], found[1]))
}

/// Bits that give rights to who runs a file are meant for the owners that are named: without one of these they are left out.
fn of_other_owners(mode: ModeField, fields: &Fields, found: Owners, told: &mut Vec<String>) -> ModeField {
    let lacks = fields.user.is_some() && found.0.is_none() || fields.group.is_some() && found.1.is_none();
    if !lacks || mode.bits & 0o7000 == 0 {
        return mode;
    }
    let bits = mode.bits & 0o777;
    told.push(format!("mode {:04o} becomes {bits:04o}, since its owner is not known", mode.bits));
    ModeField { bits, ..mode }
}

fn mode_field(text: &str) -> Result<ModeField, String> {
    let (mut masked, mut only_new, mut rest) = (false, false, text);
    loop {
        if let Some(after) = rest.strip_prefix('~') {
            (masked, rest) = (true, after);
        } else if let Some(after) = rest.strip_prefix(':') {
            (only_new, rest) = (true, after);
        } else {
            break;
        }
    }
    let bits = mode::parse(rest).map_err(|_| format!("mode {text:?} is none: write an octal number"))?;
    Ok(ModeField { bits, masked, only_new })
}

fn age(text: &str) -> Result<Age, String> {
    let wrong =
        || format!("Invalid age {text:?}: write a time span, perhaps with the times that count (am:2d)");
    let (keep_first_level, rest) = text.strip_prefix('~').map_or((false, text), |rest| (true, rest));
    let (by, span_text) = match rest.split_once(':') {
        Some((by, _)) if by.trim().is_empty() => return Err(wrong()),
        Some((by, span)) => (by, span),
        None => ("abcmABM", rest),
    };
    if !by.chars().all(|letter| "abcmABCM \t".contains(letter)) {
        return Err(wrong());
    }
    let of = |access, birth, change, modification| AgeBy {
        access: by.contains(access),
        birth: by.contains(birth),
        change: by.contains(change),
        modification: by.contains(modification),
    };
    let usec = span::parse_sec(span_text).map_err(|_| wrong())?;
    Ok(Age {
        usec,
        keep_first_level,
        of_directories: of('A', 'B', 'C', 'M'),
        of_files: of('a', 'b', 'c', 'm'),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::names::specifiers::SpecifierError;

    /// A machine with root, adm and a host name.
    #[derive(Debug, Default)]
    pub(crate) struct Bare;

    impl Host for Bare {
        fn specifier(&self, letter: char) -> Option<Result<String, SpecifierError>> {
            match letter {
                'H' => Some(Ok("host".into())),
                'm' => Some(Err(SpecifierError { specifier: 'm', reason: "not known yet" })),
                _ => None,
            }
        }
        fn user(&self, name: &str) -> Option<u32> {
            if name == "root" { Some(0) } else { name.parse().ok() }
        }
        fn group(&self, name: &str) -> Option<u32> {
            if name == "adm" { Some(4) } else { self.user(name) }
        }
        fn credential(&self, name: &str) -> Option<Vec<u8>> {
            (name == "there").then(|| b"aGVsbG8=".to_vec())
        }
        fn exists(&self, path: &str) -> bool {
            path == "/etc/passwd"
        }
    }

    pub(crate) fn read(line: &str) -> Result<Outcome, LineError> {
        parse(line, Place::default(), &Options::default(), &Bare)
    }

    /// A line that counts.
    pub(crate) fn item(line: &str) -> Item {
        match read(line) {
            Ok(Outcome::Item(item, _)) => *item,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn fields() {
        let item = item("d+! \"/a b//c/\" ~:1777 root :adm ~aM:10d -".replace('!', "").as_str());
        assert_eq!((item.kind, item.path.as_str(), item.force), (Kind::Directory, "/a b/c", true));
        assert_eq!(item.mode, Some(ModeField { bits: 0o1777, masked: true, only_new: true }));
        assert_eq!(item.group, Some(OwnerField { id: 4, only_new: true }));
        let age = item.age.expect("given");
        assert!(age.keep_first_level && age.of_files.access && age.of_directories.modification);
        assert!(!age.of_files.modification && !age.of_directories.access);
        assert_eq!(age.usec, 864_000_000_000);
    }

    #[test]
    fn arguments() {
        let content = |line: &str| match item(line).argument {
            Argument::Content(bytes) => String::from_utf8(bytes).expect("text"),
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(content("f /a - - - -   x\\x41 %H  y"), "xA host  y");
        assert_eq!(content("f~ /a - - - - aGVs bG8="), "hello");
        assert_eq!(content("f^ /a - - - - there"), "aGVsbG8=");
        assert_eq!(content("f~^ /a - - - - there"), "hello");
        assert_eq!(item("L /a").argument, Argument::Target("/usr/share/factory/a".into()));
        let link = item("L? /a - - - - /missing");
        assert_eq!((link.argument, link.if_target), (Argument::Target("/missing".into()), true));
        assert_eq!(content("f~ /a - - - - Pz8_Pj4-"), "???>>>");
        assert_eq!(item("b /a - - - - 8:1").argument, Argument::Device(8, 1));
        assert_eq!(item("f /var/run/a").path, "/run/a");
    }

    #[test]
    fn rights_of_owners_who_are_not_known_are_left_out() {
        let bits = |line: &str| {
            let options = Options { graceful: true, ..Options::default() };
            match parse(line, Place::default(), &options, &Bare) {
                Ok(Outcome::Item(item, _)) => item.mode.map(|mode| mode.bits),
                other => panic!("{line}: {other:?}"),
            }
        };
        assert_eq!(bits("d /a 7777 - nobody-of-that-name"), Some(0o777));
        assert_eq!(bits("f /a 4755 nobody-of-that-name"), Some(0o755));
        assert_eq!(bits("d /a 7777 root adm"), Some(0o7777));
    }

    #[test]
    fn lines_that_do_not_count_here() {
        for line in ["f! /a", "f^ /a - - - - missing", "C /a - - - - /missing", "C^ /a", "f /%m"] {
            assert!(matches!(read(line), Ok(Outcome::Skipped(_))), "{line}: {:?}", read(line));
        }
    }

    #[test]
    fn lines_that_are_none() {
        for line in [
            "f",
            "y /a",
            "zz /a",
            "f++ /a",
            "d? /a",
            "d a",
            "d \"/a",
            "d /a 0999",
            "d /a 17777",
            "d /a - nobody-of-that-name",
            "d /a - - - 1q",
            "d /a - - - :1d",
            "d /a - - - z:1d",
            "d /a - - - \" :1d\"",
            "d /a - - - m:",
            "w /a",
            "c /a",
            "c /a - - - - foo",
            "h /a - - - - +",
            "C /a - - - - relative",
            "f~ /a - - - - !!!",
            "f /a - - - - a\\qb",
        ] {
            assert!(read(line).is_err(), "{line}: {:?}", read(line));
        }
    }
}
