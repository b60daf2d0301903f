//! The table of directives says where each acts: then some code names it, and who sets it is not left without a word.
use crate::source::{code_only, rust_files, without_tests};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const TABLE: &str = "core/src/directives/table";
/// These know all rows alike: that they name one says nothing.
const SHOWING: &[&str] = &[
    TABLE,
    "core/src/directives/properties",
    "core/src/directives/listing.rs",
    "api/src/systemd1/manager_table.rs",
];
const CRATES: &[&str] = &["core/src", "api/src", "os/src", "manager/src"];

/// Kinds whose rows are told apart by name, or mean another row.
const BY_NAME: &[&str] = &[
    "Alias",
    "Assert",
    "Condition",
    "Dependency",
    "Ignored",
    "InputText",
    "Install",
    "Listen",
    "Obsolete",
    "OnFailureIsolate",
    "ServiceTimeout",
    "Timer",
    "Watch",
];
/// Where a row acts that says itself that it does not.
const NOWHERE: &[&str] = &["Skipped", "Compat"];
/// Rows that are there to be shown.
const SHOWN: &[&str] = &["SOURCE_PATH"];

/// A line of the table: name in the code, kind, where it acts.
fn row(line: &str) -> Option<(&str, &str, &str)> {
    let (id, rest) = line.trim().split_once(" = ")?;
    let is_id =
        !id.is_empty() && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    let kind = rest.split_once("\", ")?.1;
    let acts = rest.strip_suffix(';')?.rsplit(", ").nth(1)?;
    let word = |text: &str| text.find(['(', ',']).unwrap_or(text.len());
    is_id.then(|| (id, &kind[..word(kind)], &acts[..word(acts)]))
}

/// Rows of this text that say they act.
fn acting(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter_map(row)
        .filter(|(id, kind, acts)| !BY_NAME.contains(kind) && !NOWHERE.contains(acts) && !SHOWN.contains(id))
        .map(|(id, ..)| id)
}

/// Rows that others inherit which act.
fn inherited(text: &str) -> impl Iterator<Item = &str> {
    let acts = |line: &&str| row(line).is_some_and(|(.., acts)| !NOWHERE.contains(&acts));
    text.lines().filter(acts).filter_map(|line| line.split_once("Inherit(")?.1.split(')').next())
}

/// What code names as `ids::NAME`.
fn ids(code: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    code.split("ids::").skip(1).map(move |rest| rest.split(ends).next().unwrap_or(""))
}

/// Rows that say they act, and that no code names.
pub fn findings(top: &Path) -> Vec<String> {
    let mut named = BTreeSet::new();
    let mut table = Vec::new();
    for path in CRATES.iter().flat_map(|krate| rust_files(&top.join(krate))) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let name = path.strip_prefix(top).unwrap_or(&path).display().to_string();
        let code = code_only(&text);
        if name.starts_with(TABLE) {
            named.extend(inherited(&text).map(str::to_owned));
            table.push((name, text));
        } else if !SHOWING.iter().any(|shows| name.starts_with(shows)) {
            named.extend(ids(without_tests(&code)).map(str::to_owned));
        }
    }
    let idle = |(name, text): &(String, String)| {
        let idle = acting(text).filter(|id| !named.contains(*id));
        idle.map(|id| format!("{name}: {id} acts nowhere, and does not say so")).collect::<Vec<_>>()
    };
    table.iter().flat_map(idle).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read() {
        let span = r#"    RESTART_SEC = SERVICE, "RestartSec", Span(Empty::Refused, Zero::Zero), Inherit(A), Engine, "SECONDS";"#;
        assert_eq!(row(span), Some(("RESTART_SEC", "Span", "Engine")));
        let skipped = r#"    OPEN = SERVICE.or(SCOPE), "Open", Bool, Bool(false), Skipped(reason::BPF), "";"#;
        assert_eq!(row(skipped), Some(("OPEN", "Bool", "Skipped")));
        assert_eq!(row("rows! { from super::trigger::END;"), None);
        let listen = r#"    LISTEN = SOCKET, "Listen", Listen, Unset, Socket, "SOCKET";"#;
        assert_eq!(acting(&[span, skipped, listen].join("\n")).collect::<Vec<_>>(), ["RESTART_SEC"]);
    }
}
