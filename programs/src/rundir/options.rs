//! Options of `runstead rundir`.
use crate::usage::directory;
use runstead_core::values::span;
use std::path::PathBuf;
use std::time::Duration;

/// What is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// What is there.
    Tree,
    /// Whether it is right.
    Check,
    /// Who takes how much.
    Top,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Which of them.
    pub verb: Verb,
    /// The tree to look at.
    pub root: PathBuf,
    /// Levels that are shown.
    pub depth: usize,
    /// Between two looks.
    pub interval: Duration,
    /// Look once.
    pub once: bool,
    /// One JSON object a line.
    pub json: bool,
    /// Print the help.
    pub help: bool,
}

impl Options {
    /// Read `--name value` and `--name=value`.
    pub fn parse(words: &[&str]) -> Result<Options, String> {
        let mut options = Options {
            verb: Verb::Tree,
            root: PathBuf::from("/"),
            depth: 2,
            interval: Duration::from_secs(2),
            once: false,
            json: false,
            help: false,
        };
        let mut verb = None;
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            let (name, given) =
                word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
            let mut value = || given.or_else(|| words.next()).ok_or(format!("option {name} needs a value"));
            match name {
                "--root" => options.root = directory(name, value()?)?,
                "--depth" => options.depth = number(value()?)?,
                "--interval" => options.interval = interval(value()?)?,
                "--all" if given.is_none() => options.depth = usize::MAX,
                "--once" if given.is_none() => options.once = true,
                "--json" if given.is_none() => options.json = true,
                "--help" | "-h" | "help" if given.is_none() => options.help = true,
                "tree" | "check" | "top" if given.is_none() && verb.is_none() => verb = Some(name),
                _ if name.starts_with('-') => return Err(format!("unknown option '{word}'")),
                _ => return Err(format!("unknown verb '{word}': tree, check or top")),
            }
        }
        options.verb = match verb {
            Some("check") => Verb::Check,
            Some("top") => Verb::Top,
            Some(_) => Verb::Tree,
            None if options.help => Verb::Tree,
            None => return Err("a verb is missing: tree, check or top".to_owned()),
        };
        if options.verb == Verb::Top && options.root.as_os_str() != "/" {
            return Err("an image has no live use: --root is for tree and check".to_owned());
        }
        Ok(options)
    }
}

fn number(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|depth| *depth > 0)
        .ok_or_else(|| format!("--depth {text}: not a number above 0"))
}

fn interval(text: &str) -> Result<Duration, String> {
    let span = span::parse_sec(text).ok().filter(|usec| *usec > 0 && *usec != u64::MAX);
    span.map(Duration::from_micros)
        .ok_or_else(|| format!("--interval {text}: not a time span, as 2s or 500ms"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_and_options() {
        let options = Options::parse(&["tree", "--depth=3", "--json"]).unwrap();
        assert_eq!((options.verb, options.depth, options.json), (Verb::Tree, 3, true));
        let options = Options::parse(&["--interval", "500ms", "top", "--once"]).unwrap();
        assert_eq!((options.verb, options.interval.as_millis(), options.once), (Verb::Top, 500, true));
        assert!(Options::parse(&["--help"]).unwrap().help);
        for (words, said) in [
            (&[][..], "verb is missing"),
            (&["trees"], "unknown verb"),
            (&["check", "tree"], "unknown verb"),
            (&["check", "--bogus"], "unknown option"),
            (&["tree", "--depth"], "needs a value"),
            (&["tree", "--depth=0"], "above 0"),
            (&["top", "--interval=never"], "time span"),
            (&["check", "--root=/no/such"], "not a directory"),
            (&["top", "--root=/usr"], "no live use"),
        ] {
            let error = Options::parse(words).unwrap_err();
            assert!(error.contains(said), "{words:?}: {error}");
        }
    }
}
