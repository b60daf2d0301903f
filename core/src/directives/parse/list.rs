//! Paths and lists: environments, binds, directories, credentials.

use super::{Context, Outcome, Problem, appended, base64, descriptor_name, ignored, set_text, user_name};
use crate::directives::ids;
use crate::directives::kind::{Item, Kind};
use crate::settings::Value;
use crate::values::{environment, quoting};
use std::rc::Rc;

/// Longest path that is taken.
const PATH_MAX: usize = 4095;

pub(super) fn parse(context: &mut Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    if text.is_empty() {
        return Ok(Outcome::Reset);
    }
    match context.row.kind {
        Kind::FilePath => set_text(absolute_path(&context.expand(text)?)?),
        Kind::RootPath => match absolute_path(&context.expand(text)?)? {
            path if path == "/" => Ok(Outcome::Reset),
            path => set_text(path),
        },
        Kind::WorkingDirectory => working_directory(context, text),
        Kind::PidFile => pid_file(context, text),
        Kind::List(item) => list(context, text, item),
        Kind::Urls => each(context, text, |_, word| if is_url(&word) { Ok(word) } else { ignored("no URI") }),
        Kind::SearchPath => search_path(context, text),
        Kind::Environment => assignments(context, text),
        Kind::Binds => rows(context, text, bind),
        Kind::TemporaryFileSystems => rows(context, text, |_, word| {
            let (path, options) = word.split_once(':').unwrap_or((&word, ""));
            Ok(vec![absolute_path(path)?, options.to_owned()])
        }),
        Kind::Directories => directories(context, text),
        Kind::OpenFile => open_file(context, text),
        Kind::ImageOptions => rows(context, text, |_, word| Ok(partition_options(&word))),
        Kind::Images(columns) => images(context, text, columns),
        Kind::SetCredential => set_credential(context, text),
        Kind::LoadCredential => load_credential(context, text),
        Kind::ImportCredential => rows(context, text, |_, word| {
            let (pattern, name) = word.split_once(':').unwrap_or((&word, ""));
            if pattern.is_empty() || pattern.contains('/') {
                ignored("no credential")
            } else {
                Ok(owned(&[pattern, name]))
            }
        }),
        _ => Ok(Outcome::Keep),
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// The words of a list.
pub(in crate::directives) fn words(text: &str) -> Result<Vec<String>, Problem> {
    Ok(quoting::split(text, quoting::LIST)?)
}

/// An absolute path without needless slashes and dots; `..` is refused.
pub(in crate::directives) fn absolute_path(text: &str) -> Result<String, Problem> {
    if !text.starts_with('/') {
        return ignored("no absolute path");
    }
    if text.len() > PATH_MAX {
        return ignored("the path is too long");
    }
    let mut path = String::with_capacity(text.len());
    for part in text.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            return ignored("the path is not normalized");
        }
        path.push('/');
        path.push_str(part);
    }
    if path.is_empty() {
        path.push('/');
    }
    Ok(path)
}

/// A path below a given directory, without needless slashes and dots.
fn relative_path(text: &str) -> Result<String, Problem> {
    if text.starts_with('/') {
        return ignored("not a relative path");
    }
    absolute_path(&format!("/{text}")).and_then(|path| match path.strip_prefix('/') {
        Some(rest) if !rest.is_empty() => Ok(rest.to_owned()),
        _ => ignored("not a relative path"),
    })
}

fn working_directory(context: &Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    let (minus, rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let path = if rest == "~" { "~".to_owned() } else { absolute_path(&context.expand(rest)?)? };
    set_text(format!("{minus}{path}"))
}

fn pid_file(context: &Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    let text = context.expand(text)?;
    let root = &context.specifiers.manager.runtime_root;
    let path = absolute_path(&if text.starts_with('/') { text } else { format!("{root}/{text}") })?;
    // The old name of /run is still written in many files.
    set_text(match path.strip_prefix("/var/run/") {
        Some(rest) => format!("/run/{rest}"),
        None => path,
    })
}

/// Appends each word of a list, made ready by `make`; words that cannot be taken are complained of.
fn each(
    context: &mut Context<'_, '_>,
    text: &str,
    make: impl Fn(&Context<'_, '_>, String) -> Result<String, Problem>,
) -> Result<Outcome, Problem> {
    let mut more: Vec<Rc<str>> = Vec::new();
    for word in words(text)? {
        match context.expand(&word).and_then(|word| make(context, word)) {
            Ok(item) => more.push(item.into()),
            Err(problem) => context.complain(problem),
        }
    }
    let all = appended(context.settings.list(context.row.stored()), more);
    Ok(if all.is_empty() { Outcome::Keep } else { Outcome::Set(Value::List(all)) })
}

fn rows(
    context: &mut Context<'_, '_>,
    text: &str,
    make: impl Fn(&Context<'_, '_>, String) -> Result<Vec<String>, Problem>,
) -> Result<Outcome, Problem> {
    let mut more = Vec::new();
    for word in words(text)? {
        match context.expand(&word).and_then(|word| make(context, word)) {
            Ok(row) => more.push(row),
            Err(problem) => context.complain(problem),
        }
    }
    Ok(with_rows(context, more))
}

pub(super) fn with_rows(context: &Context<'_, '_>, more: Vec<Vec<String>>) -> Outcome {
    let more = more.into_iter().map(|row| row.into_iter().map(Rc::from).collect()).collect();
    let all = appended(context.settings.rows(context.row.stored()), more);
    if all.is_empty() { Outcome::Keep } else { Outcome::Set(Value::Rows(all)) }
}

fn list(context: &mut Context<'_, '_>, text: &str, item: Item) -> Result<Outcome, Problem> {
    match item {
        Item::AbsolutePath => each(context, text, |_, word| absolute_path(&word)),
        Item::DashPath => {
            let expanded = context.expand(text)?;
            let (minus, path) = match expanded.strip_prefix('-') {
                Some(path) => ("-", path),
                None => ("", expanded.as_str()),
            };
            let path: Rc<str> = format!("{minus}{}", absolute_path(path)?).into();
            Ok(Outcome::Set(Value::List(appended(context.settings.list(context.row.id), vec![path]))))
        }
        Item::PrefixedPath => each(context, text, |_, word| {
            let (minus, rest) =
                if let Some(rest) = word.strip_prefix('-') { ("-", rest) } else { ("", &*word) };
            let (plus, rest) = if let Some(rest) = rest.strip_prefix('+') { ("+", rest) } else { ("", rest) };
            Ok(format!("{minus}{plus}{}", absolute_path(rest)?))
        }),
        Item::UserName => {
            each(context, text, |_, word| if user_name(&word) { Ok(word) } else { ignored("no group name") })
        }
        Item::VariableName => each(context, text, |_, word| {
            if environment::is_valid_name(&word) { Ok(word) } else { ignored("no name of a variable") }
        }),
        Item::UnsetVariable => each(context, text, |_, word| {
            if environment::is_valid_name(&word) || environment::parse_assignment(&word).is_ok() {
                Ok(word)
            } else {
                ignored("neither a variable nor an assignment")
            }
        }),
    }
}

fn is_url(text: &str) -> bool {
    ["http://", "https://", "file:/", "info:", "man:"]
        .iter()
        .any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
        && text.bytes().all(|b| b > 32 && b != 127)
}

fn search_path(context: &mut Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    let mut more: Vec<Rc<str>> = Vec::new();
    for part in text.split(':').filter(|part| !part.is_empty()) {
        match context.expand(part).and_then(|path| absolute_path(&path)) {
            Ok(path) => more.push(path.into()),
            Err(problem) => context.complain(problem),
        }
    }
    Ok(Outcome::Set(Value::List(appended(context.settings.list(context.row.id), more))))
}

fn assignments(context: &mut Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    let mut all = context.settings.list(context.row.id).to_vec();
    let mut rest = text;
    while let Some(word) = quoting::first_word(&mut rest, quoting::COMMAND)? {
        let expanded = context.expand(&word)?;
        let name = match environment::parse_assignment(&expanded) {
            Ok((name, _)) => name,
            Err(error) => {
                context.complain(Problem::Ignored(format!("{word:?}: {}", error.reason)));
                continue;
            }
        };
        let same = |old: &Rc<str>| old.split_once('=').is_some_and(|(known, _)| known == name);
        match all.iter().position(same) {
            Some(at) => all[at] = expanded.into(),
            None => all.push(expanded.into()),
        }
    }
    Ok(if all.is_empty() { Outcome::Keep } else { Outcome::Set(Value::List(all.into())) })
}

fn bind(_: &Context<'_, '_>, word: String) -> Result<Vec<String>, Problem> {
    let mut parts = word.splitn(3, ':');
    let source = parts.next().unwrap_or("");
    let (minus, source) = match source.strip_prefix('-') {
        Some(source) => ("-", source),
        None => ("", source),
    };
    let source = absolute_path(source)?;
    let destination = match parts.next() {
        None | Some("") => source.clone(),
        Some(path) => absolute_path(path)?,
    };
    let option = match parts.next() {
        None | Some("") | Some("rbind") => "rbind",
        Some("norbind") => "norbind",
        Some(_) => return ignored("unknown option of a bind mount"),
    };
    Ok(vec![source, destination, minus.to_owned(), option.to_owned()])
}

fn directories(context: &mut Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    let mut all: Vec<Rc<[Rc<str>]>> = context.settings.rows(context.row.id).to_vec();
    for word in words(text)? {
        let row = match context.expand(&word).and_then(|word| directory(context, &word)) {
            Ok(row) => row,
            Err(problem) => {
                context.complain(problem);
                continue;
            }
        };
        match all.iter().position(|old| *old[0] == *row[0]) {
            Some(at) if row[1].is_empty() => all[at] = all[at].clone(),
            Some(at) => all[at] = joined_links(&all[at], &row),
            None => all.push(row.into_iter().map(Rc::from).collect()),
        }
    }
    all.sort();
    Ok(if all.is_empty() { Outcome::Keep } else { Outcome::Set(Value::Rows(all.into())) })
}

fn joined_links(old: &[Rc<str>], row: &[String]) -> Rc<[Rc<str>]> {
    let links = if old[1].is_empty() { row[1].clone() } else { format!("{}:{}", old[1], row[1]) };
    Rc::from([old[0].clone(), links.into(), old[2].clone()])
}

fn directory(context: &Context<'_, '_>, word: &str) -> Result<Vec<String>, Problem> {
    let mut parts = word.splitn(3, ':');
    let path = relative_path(parts.next().unwrap_or(""))?;
    if context.row.id != ids::CONFIGURATION_DIRECTORY && path.split('/').next() == Some("private") {
        return ignored("\"private\" is kept for dynamic users");
    }
    let link = match parts.next() {
        None | Some("") => String::new(),
        Some(_) if context.row.id == ids::CONFIGURATION_DIRECTORY => {
            return ignored("links are not possible here");
        }
        Some(link) => relative_path(link)?,
    };
    let flags = match parts.next() {
        None | Some("") => "",
        Some("ro") => "ro",
        Some(_) => return ignored("unknown flag"),
    };
    Ok(vec![path, link, flags.to_owned()])
}

fn open_file(context: &mut Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    let mut parts = text.splitn(3, ':');
    let path = absolute_path(&context.expand(parts.next().unwrap_or(""))?)?;
    let default_name = path.rsplit('/').next().unwrap_or("").to_owned();
    let name = parts.next().filter(|name| !name.is_empty()).map_or(default_name, str::to_owned);
    let options = parts.next().unwrap_or("");
    if !descriptor_name(&name) {
        return ignored("no name of a descriptor");
    }
    if !options.split(',').all(|word| ["", "read-only", "append", "truncate", "graceful"].contains(&word)) {
        return ignored("unknown option");
    }
    Ok(with_rows(context, vec![vec![path, name, options.to_owned()]]))
}

const PARTITIONS: [&str; 11] =
    ["root", "usr", "home", "srv", "esp", "xbootldr", "tmp", "var", "swap", "root-verity", "usr-verity"];

fn partition_options(word: &str) -> Vec<String> {
    match word.split_once(':') {
        Some((partition, options)) if PARTITIONS.contains(&partition) => owned(&[partition, options]),
        _ => owned(&["root", word]),
    }
}

fn images(context: &mut Context<'_, '_>, text: &str, columns: u8) -> Result<Outcome, Problem> {
    let has_destination = columns == 4;
    rows(context, text, |_, word| {
        let (minus, rest) = word.strip_prefix('-').map_or(("", &*word), |rest| ("-", rest));
        let mut parts = rest.split(':');
        let source = absolute_path(parts.next().unwrap_or(""))?;
        let mut row = vec![source];
        if has_destination {
            row.push(absolute_path(parts.next().unwrap_or(""))?);
        }
        row.push(minus.to_owned());
        let options: Vec<&str> = parts.collect();
        match options.as_slice() {
            [] => {}
            [one] => row.extend(owned(&["root", one])),
            many => row.extend(
                many.chunks(2)
                    .flat_map(|pair| [pair[0], pair.get(1).copied().unwrap_or("")])
                    .map(str::to_owned),
            ),
        }
        Ok(row)
    })
}

/// Whether a credential may be called so (systemd.exec(5)).
pub fn credential_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && !text.contains('/')
        && text != "."
        && text != ".."
        && descriptor_name(text)
}

/// Later rows replace earlier ones of the same id.
fn replaced(context: &Context<'_, '_>, row: Vec<String>) -> Outcome {
    let mut all = context.settings.rows(context.row.id).to_vec();
    let row: Rc<[Rc<str>]> = row.into_iter().map(Rc::from).collect();
    match all.iter().position(|old| old[0] == row[0]) {
        Some(at) => all[at] = row,
        None => all.push(row),
    }
    Outcome::Set(Value::Rows(all.into()))
}

fn set_credential(context: &Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    let Some((id, data)) = text.split_once(':') else { return ignored("no data") };
    let id = context.expand(id)?;
    if !credential_name(&id) {
        return ignored("no name of a credential");
    }
    let data = if context.row.id == ids::SET_CREDENTIAL_ENCRYPTED {
        match base64::decode(data) {
            Some(bytes) => base64::encode(&bytes),
            None => return ignored("no base64"),
        }
    } else {
        base64::encode(&unescaped(data).ok_or(Problem::Ignored("wrong escape".into()))?)
    };
    Ok(replaced(context, vec![id, data]))
}

/// C escapes resolved to bytes.
pub(super) fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let tail = &rest[at + 1..];
        let used = quoting::c_escape(&mut bytes, tail)?;
        rest = tail.get(used..)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

fn load_credential(context: &Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    let text = context.expand(text)?;
    let (id, path) = text.split_once(':').unwrap_or((&text, &text));
    if !credential_name(id) {
        return ignored("no name of a credential");
    }
    let path = match absolute_path(path) {
        Ok(path) => path,
        Err(_) if credential_name(path) => path.to_owned(),
        Err(problem) => return Err(problem),
    };
    Ok(replaced(context, vec![id.to_owned(), path]))
}
