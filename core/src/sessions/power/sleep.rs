//! Which ways to sleep there are (systemd-sleep.conf(5)).
use super::operation::Operation;
use crate::unitfile::{self, UnitFile};
use crate::values::boolean;

/// What the kernel says: `/sys/power/state`, `/sys/power/disk`, `/proc/swaps`, `/proc/meminfo`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kernel {
    /// States it knows.
    pub state: String,
    /// What it can do after writing the memory to disk.
    pub disk: String,
    /// Swap spaces.
    pub swaps: String,
    /// Memory in use.
    pub memory: String,
}

/// What is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    suspend: bool,
    hibernate: bool,
    hybrid: Option<bool>,
    then: Option<bool>,
    states: Vec<String>,
    modes: Vec<String>,
}

impl Default for Config {
    fn default() -> Config {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
        Config {
            suspend: true,
            hibernate: true,
            hybrid: None,
            then: None,
            states: words(&["mem", "standby", "freeze"]),
            modes: words(&["platform", "shutdown"]),
        }
    }
}

impl Config {
    /// Reads files in order, later lines winning; what does not make sense is left out.
    pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Config {
        let mut config = Config::default();
        for (path, text) in files {
            let file: UnitFile = unitfile::parse(path, text);
            let lines = file.assignments.iter().filter(|line| &*line.section == "Sleep");
            lines.for_each(|line| config.set(&line.key, line.value.trim()));
        }
        config
    }

    fn set(&mut self, key: &str, value: &str) {
        let words = || value.split_whitespace().map(str::to_owned).collect();
        match (key, boolean::parse(value)) {
            ("AllowSuspend", Ok(yes)) => self.suspend = yes,
            ("AllowHibernation", Ok(yes)) => self.hibernate = yes,
            ("AllowHybridSleep", Ok(yes)) => self.hybrid = Some(yes),
            ("AllowSuspendThenHibernate", Ok(yes)) => self.then = Some(yes),
            ("SuspendState", _) => self.states = words(),
            ("HibernateMode", _) => self.modes = words(),
            _ => {}
        }
    }

    /// Whether that is configured, and the kernel can.
    pub fn supports(&self, operation: Operation, kernel: &Kernel) -> bool {
        let both = self.suspend && self.hibernate;
        let suspends = has_any(&kernel.state, &self.states);
        let hibernates = has(&kernel.state, "disk") && kernel.swap_suffices();
        match operation {
            Operation::Suspend => self.suspend && suspends,
            Operation::Hibernate => self.hibernate && hibernates && has_any(&kernel.disk, &self.modes),
            Operation::HybridSleep => {
                self.hybrid.unwrap_or(both) && hibernates && has(&kernel.disk, "suspend")
            }
            Operation::SuspendThenHibernate => {
                let disk = has_any(&kernel.disk, &self.modes);
                self.then.unwrap_or(both) && suspends && hibernates && disk
            }
            _ => false,
        }
    }
}

/// The kernel puts what is chosen into brackets.
fn has(text: &str, word: &str) -> bool {
    text.split_whitespace().any(|other| other.trim_matches(['[', ']']) == word)
}

fn has_any(text: &str, words: &[String]) -> bool {
    words.iter().any(|word| has(text, word))
}

impl Kernel {
    /// Whether the memory in use fits into what is free of one swap space that outlives the power.
    fn swap_suffices(&self) -> bool {
        let used = self.memory.lines().find_map(|line| {
            line.strip_prefix("Active(anon):")?.split_whitespace().next()?.parse::<u64>().ok()
        });
        let free = |line: &str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [path, _, size, taken, ..] = fields[..] else { return None };
            let (size, taken) = (size.parse::<u64>().ok()?, taken.parse::<u64>().ok()?);
            (!path.starts_with("/dev/zram")).then(|| size.saturating_sub(taken))
        };
        let best = self.swaps.lines().skip(1).filter_map(free).max();
        // Two parts of a hundred are left for what comes in between.
        used.zip(best).is_some_and(|(used, best)| used <= best / 100 * 98)
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, Kernel, Operation};

    #[test]
    fn only_what_the_kernel_offers_and_the_administrator_allows() {
        let mut kernel = Kernel { state: "freeze mem disk\n".into(), ..Kernel::default() };
        let all = [
            Operation::Suspend,
            Operation::Hibernate,
            Operation::HybridSleep,
            Operation::SuspendThenHibernate,
        ];
        let can = |config: &Config, kernel: &Kernel| all.map(|one| config.supports(one, kernel));
        let config = Config::default();
        assert_eq!(can(&config, &Kernel::default()), [false; 4]);
        assert_eq!(can(&config, &kernel), [true, false, false, false]);
        kernel.disk = "[platform] shutdown reboot suspend test_resume\n".into();
        kernel.memory = "MemTotal: 900 kB\nActive(anon):     500 kB\n".into();
        kernel.swaps = "Filename Type Size Used Priority\n/dev/zram0 partition 9999 0 5\n".into();
        assert_eq!(can(&config, &kernel), [true, false, false, false]);
        kernel.swaps.push_str("/dev/sda2 partition 1000 100 -2\n");
        assert_eq!(can(&config, &kernel), [true; 4]);
        let text = b"[Sleep]\nAllowSuspend=no\nHibernateMode=reboot\n".as_slice();
        assert_eq!(can(&Config::read([("sleep.conf", text)]), &kernel), [false, true, false, false]);
        kernel.disk = "[disabled]\n".into();
        assert_eq!(can(&config, &kernel), [true, false, false, false]);
    }
}
