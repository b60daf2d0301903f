//! What must hold for every file, however damaged.

use runstead_core::directives::{
    self, Loaded, Sections, find, ids, load, properties, property_value, section,
};
use runstead_core::graph::Dependency;
use runstead_core::names::specifiers::{HostSpecifiers, ManagerSpecifiers};
use runstead_core::names::{Specifiers, UnitName};
use runstead_core::settings::Settings;
use runstead_core::unitfile::{UnitFile, UnitFiles, parse};
use runstead_core::values::calendar::looks_like_zone;
use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Reading one file and showing all its properties takes less; a pause of the machine is told from slowness by trying
/// again. Each further [`PORTION`] of a file, up to a line of a mebibyte with each word wrong, may take as long again.
const LONGEST: Duration = Duration::from_millis(if cfg!(debug_assertions) { 1000 } else { 50 });
const PORTION: usize = 64 << 10;
const TRIES: usize = 5;
const PATH: &str = "/etc/systemd/system/mutated";

/// What one file came to.
pub struct Read {
    file: UnitFile,
    loaded: Loaded,
}

/// Reads a file as the engine does, as the fragment or as a drop-in.
fn read(name: &UnitName, bytes: &[u8], dropin: bool) -> Read {
    let host = HostSpecifiers { host_name: "host".into(), ..HostSpecifiers::default() };
    let manager = ManagerSpecifiers::system("/run");
    let specifiers = Specifiers { unit: name, fragment_path: Some(PATH), host: &host, manager: &manager };
    let file = parse(PATH, bytes);
    let files = match dropin {
        true => UnitFiles { fragment: None, dropins: vec![file.clone()] },
        false => UnitFiles { fragment: Some(file.clone()), dropins: Vec::new() },
    };
    let loaded = load(name.kind(), &files, &specifiers, &Settings::default(), &looks_like_zone);
    Read { file, loaded }
}

/// Whether a unit may end a boot by what it says: it asks for power off and the like, or is to be both before and
/// after another unit, and the reference too finds that "Transaction order is cyclic" when such units stop together.
pub fn may_end_a_boot(name: &UnitName, bytes: &[u8]) -> bool {
    let loaded = read(name, bytes, false).loaded;
    let actions =
        [ids::SUCCESS_ACTION, ids::FAILURE_ACTION, ids::START_LIMIT_ACTION, ids::JOB_TIMEOUT_ACTION];
    let named = |kind: Dependency| {
        let of_kind = loaded.dependencies.iter().filter(move |(other, _)| *other == kind);
        of_kind.flat_map(|(_, names)| names).collect::<BTreeSet<_>>()
    };
    let contradicts = !named(Dependency::Before).is_disjoint(&named(Dependency::After));
    contradicts || actions.iter().any(|id| loaded.settings.word(*id) != "none")
}

/// Looks at every value in every way.
fn look(name: &UnitName, settings: &Settings) {
    for (id, _) in settings.iter() {
        let id = *id;
        black_box((settings.bool(id), settings.uint(id), settings.int(id), settings.bits(id)));
        black_box((settings.word(id), settings.word_index(id), settings.text(id), settings.list(id)));
        black_box((settings.filter(id), settings.units(id), settings.unit(id), settings.commands(id)));
        black_box((settings.rlimit(id), settings.rows(id), settings.exit_set(id), settings.bytes(id)));
        if id == ids::SYSTEM_CALL_FILTER || id == ids::SYSTEM_CALL_LOG {
            black_box(directives::system_calls(settings, id));
        }
    }
    black_box((settings.ports(), settings.paths(), settings.timers(), settings.conditions()));
    black_box((settings.asserts(), settings.delegate()));
    let host = properties::HostValues::default();
    for row in properties::UNIT.iter().chain(properties::of(name.kind())) {
        black_box(property_value(row, name, settings, &host));
    }
}

/// Checks one file; says what does not hold.
pub fn check(name: &UnitName, bytes: &[u8], dropin: bool, appended: bool) -> Result<usize, String> {
    let longest = LONGEST.saturating_mul(1 + u32::try_from(bytes.len() / PORTION).unwrap_or(u32::MAX - 1));
    let mut quickest = Duration::MAX;
    let mut last = None;
    for _ in 0..TRIES {
        let begin = Instant::now();
        let read = read(name, bytes, dropin);
        look(name, &read.loaded.settings);
        quickest = quickest.min(begin.elapsed());
        last = Some(read);
        if quickest < longest {
            break;
        }
    }
    let read = last.ok_or("it was not read")?;
    if quickest >= longest {
        return Err(format!("took {quickest:?} at best of {TRIES} times, at most {longest:?}"));
    }
    in_range(&read)?;
    every_line_counts_or_is_reported(&read, bytes)?;
    unknown_settings_are_reported(name, &read)?;
    if appended {
        last_line_acts_or_is_reported(name, &read, bytes)?;
    }
    Ok(read.file.warnings.len() + read.loaded.warnings.len())
}

/// Every warning names the file and a line that it has.
fn in_range(read: &Read) -> Result<(), String> {
    let warnings = read.file.warnings.iter().chain(&read.loaded.warnings).chain(&read.loaded.refused);
    for warning in warnings {
        if &*warning.file != PATH || warning.line == 0 || warning.line > read.file.lines {
            return Err(format!("the file has {} lines, and it is said: {warning}", read.file.lines));
        }
        if warning.kind.to_string().trim().is_empty() {
            return Err(format!("line {}: nothing is said", warning.line));
        }
    }
    if read.file.broken.is_some() && read.file.warnings.is_empty() {
        return Err("reading stopped, and nothing is said".into());
    }
    Ok(())
}

/// The lines of statements (the last line of joined ones), by a reading of `systemd.syntax(7)` of our own.
fn statements(bytes: &[u8]) -> Vec<u32> {
    let body = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (mut found, mut line, mut at) = (Vec::new(), 0, 0);
    let (mut open, mut said) = (false, false);
    while at < body.len() {
        let length = body[at..].iter().position(|b| matches!(b, b'\n' | b'\r' | 0));
        let end = length.map_or(body.len(), |n| at + n);
        let text = &body[at..end];
        at = match body.get(end..).unwrap_or(&[]) {
            [b'\r', b'\n', ..] | [b'\n', b'\r', ..] => end + 2,
            _ => end + 1,
        };
        line += 1;
        let first = text.iter().find(|b| !matches!(b, b' ' | b'\t'));
        if matches!(first, Some(b'#' | b';')) {
            continue;
        }
        let backslashes = text.iter().rev().take_while(|b| **b == b'\\').count();
        open = backslashes % 2 == 1;
        let own = &text[..text.len() - usize::from(open)];
        said |= own.iter().any(|b| !matches!(b, b' ' | b'\t'));
        if !open && std::mem::take(&mut said) {
            found.push(line);
        }
    }
    if open && said {
        found.push(line);
    }
    found
}

fn every_line_counts_or_is_reported(read: &Read, bytes: &[u8]) -> Result<(), String> {
    let file = &read.file;
    let mut seen: BTreeSet<u32> = file.assignments.iter().map(|a| a.line).collect();
    seen.extend(file.sections.iter().map(|s| s.line));
    seen.extend(file.warnings.iter().map(|w| w.line));
    let last = if file.broken.is_some() { file.lines } else { u32::MAX };
    match statements(bytes).into_iter().find(|line| *line <= last && !seen.contains(line)) {
        Some(line) => Err(format!("line {line} neither counts nor is reported")),
        None => Ok(()),
    }
}

fn unknown_settings_are_reported(name: &UnitName, read: &Read) -> Result<(), String> {
    let reported: BTreeSet<u32> = read.loaded.warnings.iter().map(|w| w.line).collect();
    for header in &read.file.sections {
        let known = ["Unit", "Install", name.kind().section()].contains(&&*header.name);
        if !known && !header.name.starts_with("X-") && !reported.contains(&header.line) {
            return Err(format!("line {}: nothing is said of section [{}]", header.line, header.name));
        }
    }
    for assignment in &read.file.assignments {
        let own = ["Unit", "Install", name.kind().section()].contains(&&*assignment.section);
        let section = Sections::named(&assignment.section).unwrap_or(Sections(0));
        let known = section.0 != 0 && find(section, &assignment.key).is_some();
        if own && !known && !assignment.key.starts_with("X-") && !reported.contains(&assignment.line) {
            return Err(format!("line {}: nothing is said of {}=", assignment.line, assignment.key));
        }
    }
    Ok(())
}

/// A setting that was appended to a file without it either changes what the unit is, or is reported.
fn last_line_acts_or_is_reported(name: &UnitName, read: &Read, bytes: &[u8]) -> Result<(), String> {
    let Some(last) = read.file.assignments.last() else { return Ok(()) };
    let same_key = read.file.assignments.iter().filter(|a| a.key == last.key).count();
    // An empty value resets what there is, or nothing.
    if last.line != read.file.lines || last.value.is_empty() || same_key > 1 {
        return Ok(());
    }
    let reported = read.loaded.warnings.iter().any(|w| w.line == last.line);
    let end = bytes.strip_suffix(b"\n").unwrap_or(bytes).iter().rposition(|b| *b == b'\n').unwrap_or(0);
    let without = self::read(name, &bytes[..end + 1], false).loaded;
    let with = &read.loaded;
    let acts = with.settings != without.settings
        || with.dependencies.len() != without.dependencies.len()
        || with.install.len() != without.install.len();
    if acts || reported || says_what_holds(name, last, &without.settings) {
        return Ok(());
    }
    Err(format!("line {}: {}={} changes nothing and nothing is said", last.line, last.key, last.value))
}

/// Whether the value is one that holds without the line too: another line's, or one that stands for "nothing".
fn says_what_holds(
    name: &UnitName,
    assignment: &runstead_core::unitfile::Assignment,
    before: &Settings,
) -> bool {
    let own = Sections::of(name.kind());
    let Some(row) = find(section::UNIT, &assignment.key).or_else(|| find(own, &assignment.key)) else {
        return false;
    };
    // The root directory and "no root directory" are the same thing.
    let is_root = row.name.starts_with("Root") && assignment.value.bytes().all(|b| b == b'/');
    before.is_set(row.stored()) || is_root
}
