//! The manager's command line (systemd(1)), and what the kernel command line adds for PID 1.
use std::path::PathBuf;

/// What the manager was started with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// A user manager (`--user`).
    pub user: bool,
    /// The unit to start instead of `default.target`.
    pub unit: Option<String>,
    /// We are PID 1 of an initrd (os-release(5), "initrd-release").
    pub initrd: bool,
    /// `--log-level=`, `systemd.log_level=`.
    pub log_level: Option<String>,
    /// `--log-target=`.
    pub log_target: Option<String>,
    /// `--show-status=`; `None`: on, in containers too.
    pub show_status: Option<bool>,
    /// A later image of a manager that is already running: the descriptor of its state log, and why.
    pub recover: Option<Recover>,
    /// Where run-time files go instead of `/run` or `$XDG_RUNTIME_DIR`.
    pub run_root: Option<PathBuf>,
    /// `systemd.setenv=` and `--default-environment`-like assignments.
    pub environment: Vec<String>,
    /// Settings `Default*=` given on the command line, as `[Manager]` lines.
    pub manager_lines: Vec<String>,
    /// Unit files, name and text, for a machine that has none: lists one after the other.
    pub builtin: &'static [&'static [(&'static str, &'static str)]],
    /// The machine boots with the emergency shell before anything else.
    pub emergency: bool,
}

/// How the image before this one ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recover {
    /// Descriptor of the state log.
    pub log: i32,
    /// "reexec", "panic", "SIGSEGV" ...
    pub reason: String,
}

/// Options that systemd(1) has and that mean nothing to a manager that runs already; value or none follows.
const IGNORED: [&str; 8] = [
    "--system",
    "--log-color",
    "--log-location",
    "--log-time",
    "--crash-vt",
    "--dump-core",
    "--switched-root",
    "--deserialize",
];

impl Options {
    /// Read the command line. Words without dashes are SysV runlevels and the like, as PID 1 gets them.
    pub fn parse(words: &[&str]) -> Result<Options, String> {
        let mut options = Options::default();
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            let (name, attached) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word, None),
            };
            let mut value = || {
                attached
                    .or_else(|| words.next())
                    .map(str::to_owned)
                    .ok_or_else(|| format!("option {name} needs a value"))
            };
            match name {
                "--user" => options.user = true,
                "--unit" => options.unit = Some(value()?),
                "--log-level" => options.log_level = Some(value()?),
                "--log-target" => options.log_target = Some(value()?),
                "--show-status" => options.show_status = Some(attached.is_none_or(is_true)),
                "--run-root" => options.run_root = Some(PathBuf::from(value()?)),
                "--default-standard-output" => {
                    options.manager_lines.push(format!("DefaultStandardOutput={}", value()?))
                }
                "--default-standard-error" => {
                    options.manager_lines.push(format!("DefaultStandardError={}", value()?))
                }
                "--recover" => options.recover = Some(recover(&value()?)?),
                "--test" => {
                    return Err(
                        "--test is not offered: boot a throw-away machine with 'runstead boot'".to_owned()
                    );
                }
                _ if IGNORED.contains(&name) => {}
                _ if word.starts_with('-') => return Err(format!("unknown option '{word}'")),
                _ => options.kernel_word(word),
            }
        }
        Ok(options)
    }

    /// What is started first.
    pub fn target(&self) -> &str {
        self.unit.as_deref().unwrap_or(if self.initrd { "initrd.target" } else { "default.target" })
    }

    /// A word of the kernel command line (systemd(1), kernel-command-line(7)).
    pub fn kernel_word(&mut self, word: &str) {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        match (name, value) {
            ("systemd.unit", Some(unit)) if !self.initrd => self.unit = Some(unit.to_owned()),
            ("rd.systemd.unit", Some(unit)) if self.initrd => self.unit = Some(unit.to_owned()),
            ("systemd.log_level", Some(level)) => self.log_level = Some(level.to_owned()),
            ("systemd.log_target", Some(target)) => self.log_target = Some(target.to_owned()),
            ("systemd.show_status", value) => self.show_status = Some(value.is_none_or(is_true)),
            ("systemd.setenv", Some(assignment)) => self.environment.push(assignment.to_owned()),
            ("systemd.default_standard_output", Some(word)) => {
                self.manager_lines.push(format!("DefaultStandardOutput={word}"));
            }
            ("systemd.default_standard_error", Some(word)) => {
                self.manager_lines.push(format!("DefaultStandardError={word}"));
            }
            ("systemd.default_timeout_start_sec", Some(span)) => {
                self.manager_lines.push(format!("DefaultTimeoutStartSec={span}"));
            }
            ("quiet", None) => self.show_status = self.show_status.or(Some(false)),
            ("debug", None) => self.log_level = Some("debug".to_owned()),
            ("emergency" | "-b", None) => self.unit = Some("emergency.target".to_owned()),
            ("rescue" | "single" | "s" | "S" | "1", None) => self.unit = Some("rescue.target".to_owned()),
            ("2" | "3" | "4", None) => self.unit = Some("multi-user.target".to_owned()),
            ("5", None) => self.unit = Some("graphical.target".to_owned()),
            _ => {}
        }
    }
}

fn is_true(word: &str) -> bool {
    !matches!(word, "0" | "no" | "n" | "false" | "f" | "off" | "error" | "auto")
}

fn recover(text: &str) -> Result<Recover, String> {
    let (log, reason) = text.split_once(',').ok_or("--recover needs DESCRIPTOR,REASON")?;
    let log = log.parse().map_err(|_| format!("--recover: '{log}' is not a descriptor"))?;
    Ok(Recover { log, reason: reason.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_and_kernel_words() {
        let options = Options::parse(&["--unit=a.target", "--log-level", "debug", "5"]).unwrap();
        assert_eq!(options.unit.as_deref(), Some("graphical.target"));
        assert_eq!(options.log_level.as_deref(), Some("debug"));
        assert!(Options::parse(&["--bogus"]).unwrap_err().contains("--bogus"));
    }

    #[test]
    fn an_initrd_has_words_of_its_own() {
        for (initrd, unit, default) in
            [(true, "a.target", "initrd.target"), (false, "b.target", "default.target")]
        {
            let mut options = Options { initrd, ..Options::default() };
            assert_eq!(options.target(), default);
            options.kernel_word("rd.systemd.unit=a.target");
            options.kernel_word("systemd.unit=b.target");
            assert_eq!(options.target(), if initrd { "a.target" } else { "b.target" });
            assert_eq!(options.target(), unit);
        }
    }

    #[test]
    fn recovery_names_its_log() {
        let options = Options::parse(&["--recover=17,SIGSEGV"]).unwrap();
        assert_eq!(options.recover, Some(Recover { log: 17, reason: "SIGSEGV".to_owned() }));
    }
}
