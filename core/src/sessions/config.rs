//! `logind.conf` (logind.conf(5)), section `[Login]`.
use crate::unitfile::{self, UnitFile};
use crate::values::{boolean, bytes, span};

/// What is configured; the defaults are the manual's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Virtual terminals that get a login when they come to the foreground.
    pub auto_vts: u32,
    /// End what a session leaves behind.
    pub kill_user_processes: bool,
    /// Of these users only; of all when empty.
    pub kill_only_users: Vec<String>,
    /// But never of these; of root neither when nobody is named.
    pub kill_exclude_users: Vec<String>,
    /// `None`: nothing is done to those who are idle.
    pub idle_action: String,
    /// After this time, us.
    pub idle_action_usec: u64,
    /// Longest time that an inhibitor can delay, us.
    pub inhibit_delay_max: u64,
    /// Inhibitors at a time.
    pub inhibitors_max: u64,
    /// How long a user's services stay after the last session, us.
    pub user_stop_delay: u64,
    /// Sessions at a time.
    pub sessions_max: u64,
    /// Idle sessions are ended after this time, us; `u64::MAX` never.
    pub stop_idle_session: u64,
    /// Remove what users leave in shared memory.
    pub remove_ipc: bool,
    /// Size of `/run/user/UID`, bytes or parts of memory.
    pub runtime_directory_size: bytes::Limit,
    /// Inodes in it; `None`: by its size.
    pub runtime_directory_inodes: Option<u64>,
    /// How long events are ignored after a start or resume, us.
    pub holdoff: u64,
    /// What keys and the lid do: name of the setting and the action.
    pub handlers: Vec<(&'static str, String)>,
    /// Which keys do not mind locks: names of settings.
    pub ignore_inhibited: Vec<(&'static str, bool)>,
    /// What `Sleep` tries, in order.
    pub sleep_operations: Vec<String>,
}

const HANDLERS: [(&str, &str); 12] = [
    ("HandlePowerKey", "poweroff"),
    ("HandlePowerKeyLongPress", "ignore"),
    ("HandleRebootKey", "reboot"),
    ("HandleRebootKeyLongPress", "poweroff"),
    ("HandleSuspendKey", "suspend"),
    ("HandleSuspendKeyLongPress", "hibernate"),
    ("HandleHibernateKey", "hibernate"),
    ("HandleHibernateKeyLongPress", "ignore"),
    ("HandleLidSwitch", "suspend"),
    ("HandleLidSwitchExternalPower", ""),
    ("HandleLidSwitchDocked", "ignore"),
    ("HandleSecureAttentionKey", "secure-attention-key"),
];

/// Only the lid does not mind locks, if nothing else is set.
const IGNORE_INHIBITED: [(&str, bool); 5] = [
    ("PowerKeyIgnoreInhibited", false),
    ("RebootKeyIgnoreInhibited", false),
    ("SuspendKeyIgnoreInhibited", false),
    ("HibernateKeyIgnoreInhibited", false),
    ("LidSwitchIgnoreInhibited", true),
];

/// What keys can be made to do.
const ACTIONS: [&str; 16] = [
    "ignore",
    "poweroff",
    "reboot",
    "halt",
    "kexec",
    "soft-reboot",
    "suspend",
    "hibernate",
    "hybrid-sleep",
    "suspend-then-hibernate",
    "sleep",
    "lock",
    "factory-reset",
    "secure-attention-key",
    "sysupdate-reboot",
    "",
];

const SLEEPS: [&str; 4] = ["suspend", "hibernate", "hybrid-sleep", "suspend-then-hibernate"];
const SECOND: u64 = 1_000_000;

impl Default for Config {
    fn default() -> Config {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
        Config {
            auto_vts: 6,
            kill_user_processes: false,
            kill_only_users: Vec::new(),
            kill_exclude_users: Vec::new(),
            idle_action: "ignore".to_owned(),
            idle_action_usec: 30 * 60 * SECOND,
            inhibit_delay_max: 5 * SECOND,
            inhibitors_max: 8192,
            user_stop_delay: 10 * SECOND,
            sessions_max: 8192,
            stop_idle_session: u64::MAX,
            remove_ipc: true,
            runtime_directory_size: bytes::Limit::Permyriad(1000),
            runtime_directory_inodes: None,
            holdoff: 30 * SECOND,
            handlers: HANDLERS.iter().map(|(name, action)| (*name, (*action).to_owned())).collect(),
            ignore_inhibited: IGNORE_INHIBITED.to_vec(),
            sleep_operations: words(&["suspend-then-hibernate", "suspend", "hibernate"]),
        }
    }
}

impl Config {
    /// Reads files in order, later lines winning; what was wrong, for people.
    pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> (Config, Vec<String>) {
        let (mut config, mut wrong) = (Config::default(), Vec::new());
        for (path, text) in files {
            let file: UnitFile = unitfile::parse(path, text);
            for line in &file.assignments {
                if &*line.section != "Login" {
                    continue;
                }
                let (key, value) = (&*line.key, line.value.trim());
                if let Err(problem) = config.set(key, value) {
                    wrong.push(format!("{path}:{}: {key}={value}: {problem}, ignoring the line", line.line));
                }
            }
        }
        (config, wrong)
    }

    /// What a key or the lid does.
    pub fn handler(&self, name: &str) -> &str {
        self.handlers.iter().find(|(key, _)| *key == name).map_or("ignore", |(_, action)| action)
    }

    /// Whether a key does not mind locks on what it does.
    pub fn ignores_inhibited(&self, name: &str) -> bool {
        self.ignore_inhibited.iter().any(|(key, ignores)| *key == name && *ignores)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), &'static str> {
        // With suffixes, as sizes have them: K is 1024.
        let number = || bytes::parse(value, bytes::Base::Iec).map_err(|_| "not a number");
        let small = || value.parse::<u32>().map_err(|_| "not a number");
        let yes = || boolean::parse(value).map_err(|_| "not a boolean");
        let time = || span::parse_sec(value).map_err(|_| "not a time span");
        match key {
            "NAutoVTs" => self.auto_vts = small()?,
            "ReserveVT" => _ = small()?,
            "KillUserProcesses" => self.kill_user_processes = yes()?,
            "KillOnlyUsers" => add_words(&mut self.kill_only_users, value),
            "KillExcludeUsers" => add_words(&mut self.kill_exclude_users, value),
            "IdleAction" => self.idle_action = action(value)?,
            "IdleActionSec" => self.idle_action_usec = time()?,
            "InhibitDelayMaxSec" => self.inhibit_delay_max = time()?,
            "InhibitorsMax" => self.inhibitors_max = number()?,
            "UserStopDelaySec" => self.user_stop_delay = time()?,
            "SessionsMax" => self.sessions_max = number()?,
            "StopIdleSessionSec" => self.stop_idle_session = time()?,
            "RemoveIPC" => self.remove_ipc = yes()?,
            "RuntimeDirectorySize" => {
                self.runtime_directory_size = bytes::parse_limit(value).map_err(|_| "not a size")?
            }
            "RuntimeDirectoryInodesMax" => self.runtime_directory_inodes = Some(number()?),
            "HoldoffTimeoutSec" => self.holdoff = time()?,
            "SleepOperation" => {
                let words: Vec<String> = value.split_whitespace().map(str::to_owned).collect();
                if words.iter().any(|word| !SLEEPS.contains(&word.as_str())) {
                    return Err("not a way to sleep");
                }
                self.sleep_operations = words;
            }
            _ => return self.set_handler(key, value),
        }
        Ok(())
    }

    fn set_handler(&mut self, key: &str, value: &str) -> Result<(), &'static str> {
        match self.handlers.iter_mut().find(|(name, _)| *name == key) {
            Some((_, old)) => *old = action(value)?,
            None => {
                let known = self.ignore_inhibited.iter_mut().find(|(name, _)| *name == key);
                let (_, ignores) = known.ok_or("unknown setting")?;
                *ignores = boolean::parse(value).map_err(|_| "not a boolean")?;
            }
        }
        Ok(())
    }
}

fn add_words(list: &mut Vec<String>, value: &str) {
    if value.is_empty() {
        list.clear();
    }
    list.extend(value.split_whitespace().map(str::to_owned));
}

fn action(value: &str) -> Result<String, &'static str> {
    ACTIONS.contains(&value).then(|| value.to_owned()).ok_or("not an action")
}
