//! What is to be carried over: paths below `/run`, one a line of `carry.d/*.conf`, or some words of `X-RunsteadCarry=` in a unit.
use crate::unitfile;

/// The setting of a unit; systemd leaves everything alone that begins with `X-` (systemd.unit(5)).
pub const SETTING: &str = "X-RunsteadCarry";
const RUN: [&str; 2] = ["/run/", "/var/run/"];
const LONGEST: usize = 4096;

/// A file, or a directory with what is in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wish {
    /// Relative to `/run`.
    pub path: String,
    /// Who wishes it: file and line.
    pub source: String,
}

/// Wishes, and for people what is wrong with the others.
pub type Wishes = (Vec<Wish>, Vec<String>);

/// Read a file of `carry.d`. Empty lines and those that begin with `#` or `;` say nothing.
pub fn of_config(name: &str, bytes: &[u8]) -> Wishes {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().zip(1..).map(|(line, number): (&str, u32)| (line.trim(), number));
    let said = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with(['#', ';']));
    collect(said.map(|(line, number)| (line, format!("{name}:{number}"))))
}

/// Read a unit file or drop-in.
pub fn of_unit(name: &str, bytes: &[u8]) -> Wishes {
    let file = unitfile::parse(name, bytes);
    let sections = ["Unit", "Service", "Socket"];
    let values =
        sections.iter().flat_map(|section| file.values(section, SETTING)).flat_map(str::split_whitespace);
    collect(values.map(|word| (word, name.to_owned())))
}

fn collect<'a>(said: impl Iterator<Item = (&'a str, String)>) -> Wishes {
    let (mut wishes, mut wrong) = (Vec::new(), Vec::new());
    for (text, source) in said {
        match path(text) {
            Ok(path) => wishes.push(Wish { path, source }),
            Err(why) => wrong.push(format!("{source}: {text}: {why}")),
        }
    }
    (wishes, wrong)
}

/// The part below `/run`.
fn path(text: &str) -> Result<String, &'static str> {
    let below = RUN.iter().find_map(|run| text.strip_prefix(run)).ok_or("not a path below /run")?;
    let below = below.trim_end_matches('/');
    if !is_plain(below) {
        return Err("a path below /run, without empty parts, '.' and '..'");
    }
    // These are the manager's and the sessions' own; what they hold is true of one boot only.
    if ["systemd", "user", "credentials", "lock"].contains(&below.split('/').next().unwrap_or_default()) {
        return Err("belongs to the manager or to sessions, and is true of one boot only");
    }
    Ok(below.to_owned())
}

/// Whether a relative path names something below where it begins.
pub fn is_plain(path: &str) -> bool {
    path.len() <= LONGEST
        && !path.contains('\0')
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != ".." && part.len() <= 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(wishes: &Wishes) -> Vec<&str> {
        wishes.0.iter().map(|wish| wish.path.as_str()).collect()
    }

    #[test]
    fn lines_of_a_configuration() {
        let text = b"# mine\n\n/run/nginx/cache\n  /var/run/a.state/ \n;x\n/etc/passwd\n/run/../etc\n/run/\n/run/systemd/x\n";
        let wishes = of_config("a.conf", text);
        assert_eq!(paths(&wishes), ["nginx/cache", "a.state"]);
        assert_eq!(wishes.0[1].source, "a.conf:4");
        let wrong: Vec<&str> = wishes.1.iter().map(|why| why.split(": ").next().unwrap()).collect();
        assert_eq!(wrong, ["a.conf:6", "a.conf:7", "a.conf:8", "a.conf:9"]);
    }

    #[test]
    fn settings_of_a_unit() {
        let text = b"[Service]\nExecStart=/bin/x\nX-RunsteadCarry=/run/a /run/b/c\nX-RunsteadCarry=x\n[Install]\nX-RunsteadCarry=/run/no\n";
        let wishes = of_unit("a.service", text);
        assert_eq!(paths(&wishes), ["a", "b/c"]);
        assert_eq!(wishes.1, ["a.service: x: not a path below /run"]);
    }
}
