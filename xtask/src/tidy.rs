//! The fences of the house (`ARCHITECTURE.md`): who knows whom, where unsafe code may be, what the pure crates
//! must not call, how long a file may be, and that nothing is left half done.

use crate::source::{code_only, has_word, rust_files, without_tests};
use std::fs;
use std::path::Path;

/// Which crates of ours each crate may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("wire", &[]),
    ("api", &["core", "wire"]),
    ("os", &["core", "pidfile"]),
    ("manager", &["core", "wire", "api", "os"]),
    ("pidfile", &[]),
    ("programs", &["core", "wire", "api", "os", "manager", "pidfile"]),
    ("sim", &["core", "wire", "api"]),
    ("compat", &["wire", "pidfile"]),
    ("bench", &["compat"]),
    ("xtask", &[]),
];

/// What a crate without files, clock, environment, threads and network must not name.
const BANNED: &[&str] = &[
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "SystemTime",
    "Instant",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "UnixDatagram",
    "ToSocketAddrs",
    "println!",
    "eprintln!",
];
const PURE: &[&str] = &["core", "wire"];
const BANNED_MODULES: &[&str] = &["fs", "env", "process", "thread"];

const LONGEST: usize = 800;
/// How many lines above an unsafe block its SAFETY line may begin.
const SAFETY_WITHIN: usize = 8;

/// Prints every finding; whether there was none.
pub fn report(top: &Path) -> bool {
    let found = findings(top);
    for finding in &found {
        println!("tidy: {finding}");
    }
    println!("tidy: {} findings", found.len());
    found.is_empty()
}

/// All findings, as `where: what`.
pub fn findings(top: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for (krate, allowed) in ARROWS {
        let manifest = fs::read_to_string(top.join(krate).join("Cargo.toml")).unwrap_or_default();
        found.extend(arrows(krate, &manifest, allowed));
        for path in rust_files(&top.join(krate)) {
            let name = path.strip_prefix(top).unwrap_or(&path).display().to_string();
            match fs::read_to_string(&path) {
                Ok(text) => found.extend(file(&name, &text)),
                Err(why) => found.push(format!("{name}: {why}")),
            }
        }
    }
    found.extend(crate::directives::findings(top));
    for krate in PURE {
        let lib = fs::read_to_string(top.join(krate).join("src/lib.rs")).unwrap_or_default();
        if !lib.contains("#![forbid(unsafe_code)]") {
            found.push(format!("{krate}/src/lib.rs: does not forbid unsafe code"));
        }
    }
    found
}

/// Dependencies of a crate that go against the arrows.
fn arrows(krate: &str, manifest: &str, allowed: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_dependencies = false;
    for (n, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            in_dependencies = line.contains("dependencies");
            let table = line.trim_matches(['[', ']']).rsplit('.').next().unwrap_or("");
            found.extend(forbidden(krate, table, allowed, n));
        } else if in_dependencies {
            let name = line.split(['=', '.', ' ']).next().unwrap_or("");
            found.extend(forbidden(krate, name, allowed, n));
        }
    }
    found
}

fn forbidden(krate: &str, dependency: &str, allowed: &[&str], line: usize) -> Option<String> {
    let other = dependency.trim_matches('"').strip_prefix("runstead-")?;
    let bad = !allowed.contains(&other);
    bad.then(|| format!("{krate}/Cargo.toml:{}: {krate} must not know {other}", line + 1))
}

fn file(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let length = text.lines().count();
    if length > LONGEST {
        found.push(format!("{name}: {length} lines, at most {LONGEST}"));
    }
    let code = code_only(text);
    found.extend(unsafe_code(name, text, &code));
    found.extend(left_undone(name, text, &code));
    if PURE.iter().any(|krate| name.starts_with(&format!("{krate}/src/"))) {
        found.extend(impure(name, without_tests(&code)));
    }
    found
}

fn unsafe_code(name: &str, text: &str, code: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let inside = name.starts_with("os/src/sys/");
    let mut found = Vec::new();
    for (n, line) in code.lines().enumerate().filter(|(_, l)| has_word(l, "unsafe")) {
        if !inside {
            found.push(format!("{name}:{}: unsafe outside os/src/sys", n + 1));
            continue;
        }
        let reasons = &lines[n.saturating_sub(SAFETY_WITHIN)..=n.min(lines.len() - 1)];
        let is_block = line.contains("unsafe {") || line.contains("unsafe impl");
        if is_block && !reasons.iter().any(|l| l.contains("SAFETY")) {
            found.push(format!("{name}:{}: unsafe without its SAFETY line", n + 1));
        }
    }
    found
}

fn left_undone(name: &str, text: &str, code: &str) -> Vec<String> {
    if name.starts_with("xtask/") {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (n, (line, code)) in text.lines().zip(code.lines()).enumerate() {
        let marks = ["TODO", "FIXME", "XXX"].into_iter().filter(|m| has_word(line, m) && !line.contains('"'));
        let calls = ["todo!", "unimplemented!", "#[ignore"].into_iter().filter(|m| code.contains(m));
        found.extend(marks.chain(calls).map(|m| format!("{name}:{}: {m}", n + 1)));
    }
    found
}

fn impure(name: &str, code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (n, line) in code.lines().enumerate() {
        let words = BANNED.iter().filter(|w| has_word(line, w.trim_end_matches('!')) && line.contains(*w));
        found.extend(words.map(|w| format!("{name}:{}: {w} in a pure crate", n + 1)));
        if let Some((_, group)) = line.split_once("std::{") {
            let modules = group.split(',').filter_map(|item| item.trim().split([':', '}']).next());
            let bad = modules.filter(|m| BANNED_MODULES.contains(m));
            found.extend(bad.map(|m| format!("{name}:{}: std::{m} in a pure crate", n + 1)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_against_the_plan_are_found() {
        let manifest = "[package]\nname = \"runstead-os\"\n[dependencies]\nrunstead-core = { workspace = true }\n\
                        runstead-wire.workspace = true\n[dev-dependencies.runstead-api]\npath = \"../api\"\n";
        let found = arrows("os", manifest, &["core"]);
        assert_eq!(
            found,
            ["os/Cargo.toml:5: os must not know wire", "os/Cargo.toml:6: os must not know api"]
        );
    }

    #[test]
    fn unsafe_is_fenced_and_explained() {
        assert_eq!(file("manager/src/a.rs", "fn f() { unsafe { g() } }\n").len(), 1);
        assert_eq!(file("os/src/sys/a.rs", "fn f() { unsafe { g() } }\n").len(), 1);
        assert_eq!(file("os/src/sys/a.rs", "// SAFETY: g takes no pointer.\nunsafe { g() }\n").len(), 0);
        assert_eq!(file("core/src/a.rs", "// unsafe is forbidden here\nlet s = \"unsafe\";\n").len(), 0);
    }

    #[test]
    fn pure_crates_name_no_clock_and_no_file() {
        assert_eq!(
            file("core/src/a.rs", "use std::fs;\nuse std::{env, fmt};\nlet t = Instant::now();\n").len(),
            3
        );
        assert_eq!(file("core/src/a.rs", "#[cfg(test)]\nmod tests { use std::fs; }\n").len(), 0);
        assert_eq!(file("os/src/a.rs", "use std::fs;\n").len(), 0);
    }

    #[test]
    fn what_is_half_done_or_too_long_is_found() {
        assert_eq!(file("api/src/a.rs", "fn f() { todo!() } // FIXME later\n").len(), 2);
        assert_eq!(file("api/src/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn t() {}\n").len(), 1);
        assert_eq!(file("api/src/a.rs", &"\n".repeat(801)).len(), 1);
    }
}
