//! Command lines, `ExecStart=` and its sisters (`systemd.service(5)` "Command lines").

use super::{ValueError, WHITESPACE, quoting};
use serde::{Deserialize, Serialize};

/// How far `+`, `!` and `!!` lift the restrictions on a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Privileges {
    /// All settings apply.
    #[default]
    Unit,
    /// `+`: none of the user, group, capability and sandbox settings applies.
    Full,
    /// `!`: user, group and supplementary groups are not set.
    NoSetuid,
    /// `!!`: like `!` only where ambient capabilities are not there.
    NoSetuidWithoutAmbient,
}

/// One command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// What is executed: an absolute path, or a name to be looked for.
    pub path: String,
    /// All arguments, `argv[0]` first.
    pub argv: Vec<String>,
    /// `-`: failure counts as success.
    pub ignore_failure: bool,
    /// `:`: variables are not replaced.
    pub no_environment: bool,
    /// `@`: `argv[0]` was given.
    pub explicit_argv0: bool,
    /// `+`, `!`, `!!`
    pub privileges: Privileges,
}

/// Resolves the specifiers of one word; the error says what is wrong.
pub type Expand<'a> = &'a dyn Fn(&str) -> Result<String, &'static str>;

const WHAT: &str = "command line";

/// Parses one or more commands, separated by `;` standing alone. Empty text gives no command (it resets).
pub fn parse(text: &str, expand: Expand<'_>) -> Result<Vec<Command>, ValueError> {
    let mut rest = text.trim_start_matches(WHITESPACE);
    let mut commands = Vec::new();
    while !rest.is_empty() {
        if let Some(command) = one(&mut rest, text, expand)? {
            commands.push(command);
        }
    }
    Ok(commands)
}

fn one(rest: &mut &str, text: &str, expand: Expand<'_>) -> Result<Option<Command>, ValueError> {
    let fail = |reason| ValueError::new(WHAT, text, reason);
    let Some(first) = quoting::first_word(rest, quoting::COMMAND)? else { return Ok(None) };
    if first == ";" {
        return Ok(None);
    }
    let (mut command, name) = prefixes(&first);
    let path = expand(name).map_err(fail)?;
    if path.is_empty() {
        return Err(fail("empty path"));
    }
    if path.ends_with('/') {
        return Err(fail("the path is a directory"));
    }
    if path.contains('/') && !path.starts_with('/') {
        return Err(fail("neither a file name nor an absolute path"));
    }
    command.path = simplify(&path).ok_or(fail("the path is not normalized"))?;
    if !command.explicit_argv0 {
        command.argv.push(command.path.clone());
    }
    while !rest.is_empty() {
        if let Some(after) = separator(rest, ";") {
            *rest = after;
            break;
        }
        if let Some(after) = separator(rest, "\\;") {
            command.argv.push(";".to_owned());
            *rest = after;
            continue;
        }
        match quoting::first_word(rest, quoting::COMMAND)? {
            Some(word) => command.argv.push(expand(&word).map_err(fail)?),
            None => break,
        }
    }
    if command.argv.first().is_none_or(String::is_empty) {
        return Err(fail("empty first argument"));
    }
    Ok(Some(command))
}

/// What follows `token`, if it stands alone at the beginning.
fn separator<'a>(rest: &'a str, token: &str) -> Option<&'a str> {
    let after = rest.strip_prefix(token)?;
    (after.is_empty() || after.starts_with(WHITESPACE)).then(|| after.trim_start_matches(WHITESPACE))
}

/// Takes the special characters off the executable; each counts once, and only one of `+`, `!`, `!!`.
fn prefixes(word: &str) -> (Command, &str) {
    let mut command = Command::default();
    let mut rest = word;
    while let Some(c) = rest.chars().next() {
        match c {
            '-' if !command.ignore_failure => command.ignore_failure = true,
            '@' if !command.explicit_argv0 => command.explicit_argv0 = true,
            ':' if !command.no_environment => command.no_environment = true,
            '+' if command.privileges == Privileges::Unit => command.privileges = Privileges::Full,
            '!' if command.privileges == Privileges::Unit => command.privileges = Privileges::NoSetuid,
            '!' if command.privileges == Privileges::NoSetuid => {
                command.privileges = Privileges::NoSetuidWithoutAmbient;
            }
            _ => break,
        }
        rest = rest.get(1..).unwrap_or("");
    }
    (command, rest)
}

/// Removes double slashes and `.` components; `None` where `..` stands.
fn simplify(path: &str) -> Option<String> {
    if !path.starts_with('/') {
        return Some(path.to_owned());
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return None;
    }
    Some(format!("/{}", parts.join("/")))
}

/// Replaces `${FOO}` in words and `$FOO` standing as a word of its own, which becomes as many words as its value
/// has; `$$` is a dollar sign. `argv[0]` stays as it is. Gives the new arguments and the names that were not set.
pub fn substitute(
    argv: &[String],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<(Vec<String>, Vec<String>), ValueError> {
    let mut out = Vec::with_capacity(argv.len());
    let mut unset = Vec::new();
    for (index, word) in argv.iter().enumerate() {
        let own_word = word.strip_prefix('$').filter(|name| !name.starts_with(['$', '{']));
        match own_word {
            _ if index == 0 => out.push(word.clone()),
            Some(name) if !name.is_empty() => match lookup(name) {
                Some(value) => out.extend(quoting::split(&value, quoting::RELAXED)?),
                None => unset.push(name.to_owned()),
            },
            _ => out.push(substitute_word(word, lookup, &mut unset)),
        }
    }
    Ok((out, unset))
}

/// Replaces `${FOO}` and `$$` in one word.
pub fn substitute_word(
    word: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    unset: &mut Vec<String>,
) -> String {
    let mut out = String::with_capacity(word.len());
    let mut rest = word;
    while let Some((plain, tail)) = rest.split_once('$') {
        out.push_str(plain);
        if let Some(tail) = tail.strip_prefix('$') {
            out.push('$');
            rest = tail;
            continue;
        }
        let braced = tail.strip_prefix('{').and_then(|tail| tail.split_once('}'));
        match braced {
            Some((name, tail)) => {
                match lookup(name) {
                    Some(value) => out.push_str(&value),
                    None => unset.push(name.to_owned()),
                }
                rest = tail;
            }
            None => {
                out.push('$');
                rest = tail;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(text: &str) -> Result<Vec<Command>, ValueError> {
        parse(text, &|word| Ok(word.to_owned()))
    }

    fn argv(text: &str) -> Vec<Vec<String>> {
        plain(text).expect("test line is valid").into_iter().map(|c| c.argv).collect()
    }

    #[test]
    fn commands() {
        assert_eq!(
            argv("/bin/echo one ; /bin/echo \"two two\""),
            [vec!["/bin/echo", "one"], vec!["/bin/echo", "two two"]]
        );
        assert_eq!(
            argv("/bin/echo / >/dev/null & \\; ls"),
            [["/bin/echo", "/", ">/dev/null", "&", ";", "ls"]]
        );
        assert_eq!(argv("echo a;b \";\" ;"), [["echo", "a;b", ";"]]);
        assert!(argv("").is_empty());
        let all = plain("-@:!!/bin//./sh -sh -c x").expect("valid");
        assert_eq!(all[0].path, "/bin/sh");
        assert_eq!(all[0].argv, ["-sh", "-c", "x"]);
        assert!(all[0].ignore_failure && all[0].no_environment);
        assert_eq!(all[0].privileges, Privileges::NoSetuidWithoutAmbient);
        for text in ["-", "a/b", "/bin/", "@/bin/sh", "/a/../b", "'x", "--x/y", "/bin/x \\q"] {
            assert!(plain(text).is_err(), "{text}");
        }
    }

    #[test]
    fn variables() {
        let lookup = |name: &str| match name {
            "ONE" => Some("one".to_owned()),
            "TWO" => Some("two 'a b'".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let run = |text: &str| substitute(&argv(text)[0], &lookup).expect("nothing to refuse");
        assert_eq!(run("/x $ONE $TWO ${TWO}").0, ["/x", "one", "two", "a b", "two 'a b'"]);
        assert_eq!(
            run("/x a$ONE a${ONE}b $EMPTY ${EMPTY} $$ONE $").0,
            ["/x", "a$ONE", "aoneb", "", "$ONE", "$"]
        );
        assert_eq!(run("/x $NO ${NO}z"), (vec!["/x".into(), "z".into()], vec!["NO".into(), "NO".into()]));
        assert_eq!(run("/x ${ONE").0, ["/x", "${ONE"]);
    }

    proptest! {
        #[test]
        fn never_panics(text in "[-@:+!/a-b;'\"\\\\ ${}]{0,32}") {
            for command in plain(&text).unwrap_or_default() {
                let _ = substitute(&command.argv, &|name| Some(name.repeat(2)));
            }
        }
    }
}
