//! Options of `runstead install` and `runstead uninstall`.
use crate::usage::directory;
use std::path::PathBuf;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The tree to change.
    pub root: PathBuf,
    /// Say what would be done.
    pub dry_run: bool,
    /// Say what is installed.
    pub status: bool,
    /// One JSON object a line.
    pub json: bool,
    /// Print the help.
    pub help: bool,
}

impl Options {
    /// Read `--name value` and `--name=value`; `verb` is for messages.
    pub fn parse(verb: &str, words: &[&str]) -> Result<Options, String> {
        let mut options =
            Options { root: PathBuf::from("/"), dry_run: false, status: false, json: false, help: false };
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            match word.split_once('=').unwrap_or((word, "")) {
                ("--root", value) => {
                    let value = if word.contains('=') { Some(value) } else { words.next() };
                    let value = value.filter(|value| !value.is_empty());
                    options.root = directory("--root", value.ok_or("option --root needs a directory")?)?;
                }
                ("--dry-run", "") => options.dry_run = true,
                ("--status" | "--check", "") if verb == "install" => options.status = true,
                ("--json", "") => options.json = true,
                ("--help" | "-h", "") => options.help = true,
                _ => return Err(format!("unknown option '{word}' of {verb}")),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_each_verb() {
        let options = Options::parse("install", &["--root", "/usr", "--dry-run", "--json"]).unwrap();
        assert_eq!((options.root.to_str(), options.dry_run, options.json), (Some("/usr"), true, true));
        assert!(Options::parse("install", &["--check"]).unwrap().status);
        assert!(Options::parse("uninstall", &["--check"]).unwrap_err().contains("of uninstall"));
        assert!(Options::parse("install", &["--root=/no/such"]).unwrap_err().contains("not a directory"));
        assert!(Options::parse("install", &["--root"]).unwrap_err().contains("needs a directory"));
    }
}
