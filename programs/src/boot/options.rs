//! Options of `runstead boot`.
use crate::usage::directory;
use runstead_core::values::span;
use std::path::PathBuf;
use std::time::Duration;

/// What the user asked for.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Options {
    /// A distribution's root instead of the built-in units.
    pub root: Option<PathBuf>,
    /// Directories with more unit files.
    pub units: Vec<PathBuf>,
    /// Run this once up, and end with its status.
    pub exec: Option<String>,
    /// End by itself.
    pub span: Option<Duration>,
    /// Machine-readable output.
    pub json: bool,
}

impl Options {
    /// Read `--name value` and `--name=value`.
    pub fn parse(words: &[&str]) -> Result<Options, String> {
        let mut options = Options::default();
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            let (name, attached) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word, None),
            };
            let mut value =
                || attached.or_else(|| words.next()).ok_or_else(|| format!("option {name} needs a value"));
            match name {
                "--root" => options.root = Some(directory(name, value()?)?),
                "--units" => options.units.push(directory(name, value()?)?),
                "--exec" => options.exec = Some(value()?.to_owned()),
                "--for" => options.span = Some(read_span(value()?)?),
                "--json" => options.json = true,
                _ => return Err(format!("unknown option '{word}' of boot")),
            }
        }
        Ok(options)
    }
}

fn read_span(text: &str) -> Result<Duration, String> {
    span::parse(text, 1_000_000)
        .map(Duration::from_micros)
        .map_err(|error| format!("--for {text}: {error} (write a time span such as 5s or 2min)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_value() {
        let options = Options::parse(&["--for", "5s", "--exec=true", "--json"]).unwrap();
        assert_eq!(options.span, Some(Duration::from_secs(5)));
        assert_eq!((options.exec.as_deref(), options.json), (Some("true"), true));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(Options::parse(&["--fro", "5s"]).unwrap_err().contains("--fro"));
        assert!(Options::parse(&["--for"]).unwrap_err().contains("needs a value"));
        assert!(Options::parse(&["--root", "/no/such"]).unwrap_err().contains("not a directory"));
    }
}
