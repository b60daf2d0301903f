//! Command lines of the harness's programs: options are taken one by one, and what is left over is refused, so that a slip
//! does not run a whole proof.

use std::io::Write as _;
use std::process::ExitCode;
use std::str::FromStr;

/// The words that are not taken yet.
#[derive(Debug)]
pub struct Arguments {
    usage: &'static str,
    words: Vec<String>,
    wrong: Option<String>,
}

impl Arguments {
    /// Of this process. `--help` prints the usage; the exit status to end with comes back as the error.
    pub fn from_env(usage: &'static str) -> Result<Arguments, ExitCode> {
        let words: Vec<String> = std::env::args().skip(1).collect();
        if words.iter().any(|word| word == "--help" || word == "-h") {
            // Whoever reads it may have read enough.
            let _ = writeln!(std::io::stdout(), "{usage}");
            return Err(ExitCode::SUCCESS);
        }
        Ok(Arguments::new(usage, words))
    }

    fn new(usage: &'static str, words: Vec<String>) -> Arguments {
        Arguments { usage, words, wrong: None }
    }

    /// Whether an option without a value is given.
    pub fn flag(&mut self, name: &str) -> bool {
        let before = self.words.len();
        self.words.retain(|word| word != name);
        self.words.len() < before
    }

    /// The value of an option, `default` when it is not given.
    pub fn value<T: FromStr>(&mut self, name: &str, default: T) -> T {
        let Some(at) = self.words.iter().position(|word| word == name) else { return default };
        self.words.remove(at);
        let text = if at < self.words.len() { Some(self.words.remove(at)) } else { None };
        match text.as_deref().map(str::parse) {
            Some(Ok(value)) => return value,
            Some(Err(_)) => {
                self.fail(format!("{name} {}: not a value that it takes", text.unwrap_or_default()))
            }
            None => self.fail(format!("{name} needs a value")),
        }
        default
    }

    /// The words that are no options; fails on options that nobody took.
    pub fn names(mut self) -> Result<Vec<String>, ExitCode> {
        if let Some(option) = self.words.iter().find(|word| word.starts_with('-')) {
            let text = format!("unknown option {option}");
            self.fail(text);
        }
        self.end().map(|arguments| arguments.words)
    }

    /// Fails when anything is left.
    pub fn none_left(mut self) -> Result<(), ExitCode> {
        if let Some(word) = self.words.first() {
            let kind = if word.starts_with('-') { "unknown option" } else { "unexpected argument" };
            let text = format!("{kind} {word}");
            self.fail(text);
        }
        self.end().map(drop)
    }

    /// The first thing that is wrong is told.
    fn fail(&mut self, why: String) {
        self.wrong.get_or_insert(why);
    }

    fn end(self) -> Result<Arguments, ExitCode> {
        match &self.wrong {
            None => Ok(self),
            Some(why) => {
                eprintln!("{why}\n{}", self.usage);
                Err(ExitCode::from(2))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(line: &str) -> Arguments {
        Arguments::new("usage: x", line.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn options_are_taken_and_names_are_left() {
        let mut words = given("one --count 7 two --fast");
        assert_eq!((words.value("--count", 1), words.flag("--fast"), words.flag("--slow")), (7, true, false));
        assert_eq!(words.names().ok(), Some(vec!["one".to_owned(), "two".to_owned()]));
        assert!(given("").none_left().is_ok());
    }

    #[test]
    fn what_nobody_knows_is_refused() {
        assert!(given("--halp").none_left().is_err());
        assert!(given("--halp").names().is_err());
        assert!(given("name").none_left().is_err());
        for line in ["--count", "--count x"] {
            let mut words = given(line);
            assert_eq!(words.value("--count", 3), 3);
            assert!(words.none_left().is_err(), "{line}");
        }
    }
}
