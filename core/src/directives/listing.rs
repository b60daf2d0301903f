//! The table as text: `--dump-configuration-items`, and the page of what is supported.

use super::table::{Row, groups};
use super::{Acts, DefaultValue, Kind, ROWS, Sections, Weight, ids, row, section};
use crate::settings::DirectiveId;
use std::fmt::Write as _;

/// The directives of a section in the reference's order.
pub fn of_section(section: Sections) -> Vec<&'static Row> {
    let group = |rows: &[Row]| -> Vec<&'static Row> {
        rows.iter().filter(|found| found.sections.contains(section)).map(|found| row(found.id)).collect()
    };
    let explicit = |ids: &[DirectiveId]| ids.iter().map(|id| row(*id)).collect();
    let mut found = match section {
        section::UNIT => group(groups::UNIT),
        section::SERVICE => inserted(
            group(groups::SERVICE),
            ids::WATCHDOG_SEC,
            &[
                ids::START_LIMIT_INTERVAL,
                ids::START_LIMIT_BURST,
                ids::START_LIMIT_ACTION,
                ids::FAILURE_ACTION,
                ids::REBOOT_ARGUMENT,
            ],
        ),
        section::SOCKET => {
            let first = [ids::EXEC_START_PRE, ids::EXEC_START_POST];
            let own = inserted(group(groups::SOCKET), ids::BIND_TO_DEVICE, &first);
            inserted(own, ids::EXEC_STOP_PRE, &[ids::EXEC_STOP_POST])
        }
        section::MOUNT => explicit(&[
            ids::WHAT,
            ids::WHERE,
            ids::OPTIONS,
            ids::MOUNT_TYPE,
            ids::TIMEOUT_SEC,
            ids::DIRECTORY_MODE,
            ids::SLOPPY_OPTIONS,
            ids::LAZY_UNMOUNT,
            ids::FORCE_UNMOUNT,
            ids::READ_WRITE_ONLY,
        ]),
        section::AUTOMOUNT => {
            explicit(&[ids::WHERE, ids::EXTRA_OPTIONS, ids::DIRECTORY_MODE, ids::TIMEOUT_IDLE_SEC])
        }
        section::SWAP => explicit(&[ids::WHAT, ids::SWAP_PRIORITY, ids::OPTIONS, ids::TIMEOUT_SEC]),
        section::TIMER => group(groups::TRIGGER),
        section::PATH => explicit(&[
            ids::PATH_EXISTS,
            ids::PATH_EXISTS_GLOB,
            ids::PATH_CHANGED,
            ids::PATH_MODIFIED,
            ids::DIRECTORY_NOT_EMPTY,
            ids::UNIT,
            ids::MAKE_DIRECTORY,
            ids::DIRECTORY_MODE,
            ids::TRIGGER_LIMIT_INTERVAL_SEC,
            ids::TRIGGER_LIMIT_BURST,
        ]),
        section::INSTALL => group(groups::INSTALL),
        section::MANAGER => group(&ROWS),
        _ => Vec::new(),
    };
    for rows in [groups::EXEC, groups::CGROUP, groups::KILL] {
        if section != section::MANAGER {
            found.extend(group(rows));
        }
    }
    if section == section::SCOPE {
        let last =
            [ids::RUNTIME_MAX_SEC, ids::RUNTIME_RANDOMIZED_EXTRA_SEC, ids::TIMEOUT_STOP_SEC, ids::OOM_POLICY];
        found.extend(last.map(row));
    }
    found
}

fn inserted(mut rows: Vec<&'static Row>, after: DirectiveId, more: &[DirectiveId]) -> Vec<&'static Row> {
    let at = rows.iter().position(|row| row.id == after).map_or(rows.len(), |at| at + 1);
    rows.splice(at..at, more.iter().map(|id| row(*id)));
    rows
}

/// The word for the syntax of a directive; the reference has two for some.
fn syntax(section: Sections, row: &Row) -> &'static str {
    match (section, row.id) {
        (section::UNIT, ids::REBOOT_ARGUMENT) | (section::SERVICE, ids::TIMEOUT_STOP_SEC) => "OTHER",
        _ => row.syntax,
    }
}

/// What `--dump-configuration-items` prints.
pub fn configuration_items() -> String {
    let mut text = String::new();
    for (name, section) in section::NAMES.iter().filter(|(_, section)| *section != section::MANAGER) {
        let between = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{between}[{name}]");
        for row in of_section(*section) {
            let _ = writeln!(text, "{}={}", row.name, syntax(*section, row));
        }
    }
    text
}

/// The page of what is supported, in Markdown.
pub fn page() -> String {
    let mut text = String::from(
        "# Directives\n\n\
         Made from the table in `core/src/directives/table`; do not edit. \"Must\" means: what cannot be put into force\n\
         fails the unit. \"May weaken\" means: what the kernel or missing privileges refuse is said once and left out.\n",
    );
    for (name, section) in section::NAMES {
        let own: Vec<&Row> =
            of_section(section).into_iter().filter(|row| first_section(row) == section).collect();
        if own.is_empty() {
            continue;
        }
        let _ =
            write!(text, "\n## [{name}]\n\n| Directive | Also in | Default | Acts |\n|---|---|---|---|\n");
        for row in own {
            let also: Vec<&str> = row.sections.names().filter(|other| *other != name).collect();
            let _ = writeln!(
                text,
                "| `{}=` | {} | {} | {} |",
                row.name,
                also.join(", "),
                default(row),
                acts(row)
            );
        }
    }
    text
}

/// Where a directive is listed: the first section it stands in.
fn first_section(row: &Row) -> Sections {
    section::NAMES.iter().map(|(_, at)| *at).find(|at| row.sections.contains(*at)).unwrap_or(row.sections)
}

fn default(row: &Row) -> String {
    match row.default {
        DefaultValue::Unset => String::new(),
        DefaultValue::Bool(on) => if on { "yes" } else { "no" }.to_owned(),
        DefaultValue::Uint(u64::MAX) => "infinity".to_owned(),
        DefaultValue::Uint(usec) if is_span(row.kind) => crate::values::span::format(usec, 1),
        DefaultValue::Uint(mode) if matches!(row.kind, Kind::Mode) => format!("{mode:04o}"),
        DefaultValue::Uint(number) => number.to_string(),
        DefaultValue::Int(number) => number.to_string(),
        DefaultValue::Bits(bits) => if bits == 0 { "none" } else { "all" }.to_owned(),
        DefaultValue::Word(word) | DefaultValue::Text(word) => word.to_owned(),
        DefaultValue::Rlimit(soft, hard) => format!("{soft}:{hard}"),
        DefaultValue::Inherit(from) => format!("`{}=`", super::row(from).name),
    }
}

fn is_span(kind: Kind) -> bool {
    matches!(kind, Kind::Span(..) | Kind::TimeoutAbort | Kind::JobTimeout | Kind::WatchdogSpan)
}

fn acts(row: &Row) -> String {
    let weight = |weight| match weight {
        Weight::Must => "must",
        Weight::Hardening => "may weaken",
        Weight::Comfort => "where possible",
    };
    match (row.kind, row.acts) {
        (Kind::Alias(of) | Kind::Obsolete(of), _) => format!("as `{}=`", super::row(of).name),
        (_, Acts::Engine) => "manager".to_owned(),
        (_, Acts::Plan(how)) => format!("process; {}", weight(how)),
        (_, Acts::Cgroup(how)) => format!("control group; {}", weight(how)),
        (_, Acts::Socket) => "socket; must".to_owned(),
        (_, Acts::Manager) => "the manager itself".to_owned(),
        (_, Acts::Install) => "`systemctl enable`".to_owned(),
        (_, Acts::Skipped(reason)) => format!("not yet: {reason}"),
        (_, Acts::Compat) => "read for compatibility, without effect".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_listed_as_the_reference_lists_them() {
        let wanted = include_str!("../../tests/facts/configuration-items.txt");
        for (at, (ours, theirs)) in configuration_items().lines().zip(wanted.lines()).enumerate() {
            assert_eq!(ours, theirs, "line {}", at + 1);
        }
        assert_eq!(configuration_items(), wanted);
    }

    #[test]
    fn every_row_is_on_the_page() {
        let page = page();
        assert_eq!(page.lines().filter(|line| line.starts_with("| `")).count(), ROWS.len());
    }
}
