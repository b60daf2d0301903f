//! `%` specifiers of unit files (`systemd.unit(5)` "Specifiers").

use super::UnitName;
use super::escape::{path_unescape, unescape_text};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest text that an expansion may give, in bytes; what is longer is an error, so that nested names
/// cannot fill the memory.
pub const EXPANSION_MAX: usize = 1 << 20;

/// Why a specifier could not be resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecifierError {
    /// The letter behind `%`.
    pub specifier: char,
    /// What is missing or wrong.
    pub reason: &'static str,
}

impl fmt::Display for SpecifierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot resolve %{}: {}", self.specifier, self.reason)
    }
}

impl std::error::Error for SpecifierError {}

/// Replaces each `%x` in `text` by what `resolve` gives; `%%` is a percent sign. A letter for which `resolve`
/// gives `None` stays as it stands, percent sign included, and so does one at the end of the text.
pub fn expand(
    text: &str,
    resolve: &dyn Fn(char) -> Option<Result<String, SpecifierError>>,
) -> Result<String, SpecifierError> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            None => out.push('%'),
            Some('%') => out.push('%'),
            Some(letter) => match resolve(letter) {
                Some(value) => out.push_str(&value?),
                None => {
                    out.push('%');
                    out.push(letter);
                }
            },
        }
        if out.len() > EXPANSION_MAX {
            return Err(SpecifierError { specifier: '%', reason: "the result is too long" });
        }
    }
    Ok(out)
}

/// Doubles each percent sign, so that [`expand`] gives back the text.
pub fn escape_percent(text: &str) -> String {
    text.replace('%', "%%")
}

/// Facts of the host that specifiers show; the same for all units.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostSpecifiers {
    /// `%m`: 32 hex digits; `None` before there is one.
    pub machine_id: Option<String>,
    /// `%b`: 32 hex digits.
    pub boot_id: Option<String>,
    /// `%H`
    pub host_name: String,
    /// `%q`: from `/etc/machine-info`, else the host name.
    pub pretty_host_name: String,
    /// `%v`: `uname -r`
    pub kernel_release: String,
    /// `%a`: as in `ConditionArchitecture=`, e.g. `x86-64`
    pub architecture: String,
    /// `%o`: `ID=` of os-release
    pub os_id: String,
    /// `%w`: `VERSION_ID=`
    pub os_version_id: String,
    /// `%B`: `BUILD_ID=`
    pub os_build_id: String,
    /// `%W`: `VARIANT_ID=`
    pub os_variant_id: String,
    /// `%M`: `IMAGE_ID=`
    pub os_image_id: String,
    /// `%A`: `IMAGE_VERSION=`
    pub os_image_version: String,
}

/// The manager's own user and directories; the same for all units of one manager.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ManagerSpecifiers {
    /// `%u`: the user the manager runs as
    pub user_name: String,
    /// `%U`
    pub uid: u32,
    /// `%g`
    pub group_name: String,
    /// `%G`
    pub gid: u32,
    /// `%h`
    pub home: String,
    /// `%s`
    pub shell: String,
    /// `%t`: `/run` or `$XDG_RUNTIME_DIR`
    pub runtime_root: String,
    /// `%S`: `/var/lib` or `$XDG_STATE_HOME`
    pub state_root: String,
    /// `%C`: `/var/cache` or `$XDG_CACHE_HOME`
    pub cache_root: String,
    /// `%L`: `/var/log` or `$XDG_STATE_HOME/log`
    pub logs_root: String,
    /// `%E`: `/etc` or `$XDG_CONFIG_HOME`
    pub config_root: String,
    /// `%D`: `/usr/share` or `$XDG_DATA_HOME`
    pub data_root: String,
    /// `%T`: `/tmp`, `$TMPDIR` ...
    pub tmp: String,
    /// `%V`: `/var/tmp`, `$TMPDIR` ...
    pub var_tmp: String,
}

impl ManagerSpecifiers {
    /// What they are for the system manager (`systemd.unit(5)`), `runtime_root` being normally `/run`.
    pub fn system(runtime_root: &str) -> ManagerSpecifiers {
        ManagerSpecifiers {
            user_name: "root".into(),
            uid: 0,
            group_name: "root".into(),
            gid: 0,
            home: "/root".into(),
            shell: "/bin/sh".into(),
            runtime_root: runtime_root.into(),
            state_root: "/var/lib".into(),
            cache_root: "/var/cache".into(),
            logs_root: "/var/log".into(),
            config_root: "/etc".into(),
            data_root: "/usr/share".into(),
            tmp: "/tmp".into(),
            var_tmp: "/var/tmp".into(),
        }
    }
}

/// Everything that the specifiers of one unit resolve to.
#[derive(Debug, Clone, Copy)]
pub struct Specifiers<'a> {
    /// The unit.
    pub unit: &'a UnitName,
    /// The file that the unit was loaded from, `%y`.
    pub fragment_path: Option<&'a str>,
    /// Facts of the host.
    pub host: &'a HostSpecifiers,
    /// The manager.
    pub manager: &'a ManagerSpecifiers,
}

impl Specifiers<'_> {
    /// Expands all specifiers of a unit setting.
    pub fn expand(&self, text: &str) -> Result<String, SpecifierError> {
        if !text.contains('%') {
            return Ok(text.to_owned());
        }
        expand(text, &|letter| self.resolve(letter))
    }

    /// What one specifier stands for; `None` for letters that are none.
    pub fn resolve(&self, letter: char) -> Option<Result<String, SpecifierError>> {
        self.of_unit(letter).or_else(|| self.of_host(letter)).or_else(|| self.of_manager(letter).map(Ok))
    }

    fn of_unit(&self, letter: char) -> Option<Result<String, SpecifierError>> {
        let fail = |reason| Err(SpecifierError { specifier: letter, reason });
        let unescaped = |text: &str| unescape_text(text).map_or_else(|| fail("not properly escaped"), Ok);
        let unit = self.unit;
        let instance = unit.instance().unwrap_or("");
        let last_part = unit.prefix().rsplit('-').next().unwrap_or("");
        Some(match letter {
            'n' => Ok(unit.as_str().to_owned()),
            'N' => Ok(unit.stem().to_owned()),
            'p' => Ok(unit.prefix().to_owned()),
            'P' => unescaped(unit.prefix()),
            'i' => Ok(instance.to_owned()),
            'I' => unescaped(instance),
            'j' => Ok(last_part.to_owned()),
            'J' => unescaped(last_part),
            'f' => {
                let of = unit.instance().unwrap_or(unit.prefix());
                match path_unescape(of).ok().and_then(|path| String::from_utf8(path).ok()) {
                    Some(path) => Ok(path),
                    None => fail("the name is no escaped path"),
                }
            }
            'd' => Ok(format!("{}/credentials/{}", self.manager.runtime_root, unit.as_str())),
            'y' => Ok(self.fragment_path.unwrap_or("").to_owned()),
            'Y' => Ok(match self.fragment_path.unwrap_or("").rsplit_once('/') {
                Some(("", _)) => "/".to_owned(),
                Some((directory, _)) => directory.to_owned(),
                None => String::new(),
            }),
            _ => return None,
        })
    }

    fn of_host(&self, letter: char) -> Option<Result<String, SpecifierError>> {
        let host = self.host;
        let known = |value: &Option<String>| {
            value.clone().ok_or(SpecifierError { specifier: letter, reason: "not known yet" })
        };
        Some(match letter {
            'm' => known(&host.machine_id),
            'b' => known(&host.boot_id),
            'H' => Ok(host.host_name.clone()),
            'l' => Ok(host.host_name.split('.').next().unwrap_or("").to_owned()),
            'q' => Ok(host.pretty_host_name.clone()),
            'v' => Ok(host.kernel_release.clone()),
            'a' => Ok(host.architecture.clone()),
            'o' => Ok(host.os_id.clone()),
            'w' => Ok(host.os_version_id.clone()),
            'B' => Ok(host.os_build_id.clone()),
            'W' => Ok(host.os_variant_id.clone()),
            'M' => Ok(host.os_image_id.clone()),
            'A' => Ok(host.os_image_version.clone()),
            _ => return None,
        })
    }

    fn of_manager(&self, letter: char) -> Option<String> {
        let manager = self.manager;
        Some(match letter {
            'u' => manager.user_name.clone(),
            'U' => manager.uid.to_string(),
            'g' => manager.group_name.clone(),
            'G' => manager.gid.to_string(),
            'h' => manager.home.clone(),
            's' => manager.shell.clone(),
            't' => manager.runtime_root.clone(),
            'S' => manager.state_root.clone(),
            'C' => manager.cache_root.clone(),
            'L' => manager.logs_root.clone(),
            'E' => manager.config_root.clone(),
            'D' => manager.data_root.clone(),
            'T' => manager.tmp.clone(),
            'V' => manager.var_tmp.clone(),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> HostSpecifiers {
        HostSpecifiers {
            machine_id: Some("0123456789abcdef0123456789abcdef".into()),
            host_name: "a.example".into(),
            kernel_release: "6.18".into(),
            architecture: "x86-64".into(),
            os_id: "debian".into(),
            ..HostSpecifiers::default()
        }
    }

    fn expanded(unit: &str, text: &str) -> Result<String, SpecifierError> {
        let unit = UnitName::parse(unit).expect("test name is valid");
        let (host, manager) = (host(), ManagerSpecifiers::system("/run"));
        Specifiers {
            unit: &unit,
            fragment_path: Some("/etc/systemd/system/x"),
            host: &host,
            manager: &manager,
        }
        .expand(text)
    }

    #[test]
    fn names() {
        let unit = "foo-b\\x2dar@a-b.service";
        assert_eq!(
            expanded(unit, "%n|%N|%p|%P").as_deref(),
            Ok("foo-b\\x2dar@a-b.service|foo-b\\x2dar@a-b|foo-b\\x2dar|foo/b-ar")
        );
        assert_eq!(expanded(unit, "%i|%I|%j|%J|%f").as_deref(), Ok("a-b|a/b|b\\x2dar|b-ar|/a/b"));
        assert_eq!(expanded("dev-x.device", "%f|%i|%j").as_deref(), Ok("/dev/x||x"));
        assert_eq!(
            expanded("a.service", "%y %Y").as_deref(),
            Ok("/etc/systemd/system/x /etc/systemd/system")
        );
        assert_eq!(expanded("a.service", "%d").as_deref(), Ok("/run/credentials/a.service"));
    }

    #[test]
    fn percent_signs() {
        assert_eq!(expanded("a.service", "100%% %z %").as_deref(), Ok("100% %z %"));
        assert_eq!(expanded("a.service", &escape_percent("%n%%")).as_deref(), Ok("%n%%"));
        assert_eq!(expanded("a.service", "%ä").as_deref(), Ok("%ä"));
    }

    #[test]
    fn host_and_manager() {
        assert_eq!(
            expanded("a.service", "%H %l %v %a %o[%w]").as_deref(),
            Ok("a.example a 6.18 x86-64 debian[]")
        );
        assert_eq!(
            expanded("a.service", "%t %S %C %L %E %D %T %V %u %U %g %G %h").as_deref(),
            Ok("/run /var/lib /var/cache /var/log /etc /usr/share /tmp /var/tmp root 0 root 0 /root")
        );
        assert_eq!(expanded("a.service", "%m").as_deref(), Ok("0123456789abcdef0123456789abcdef"));
        assert_eq!(expanded("a.service", "%b").map_err(|e| e.specifier), Err('b'));
    }

    #[test]
    fn every_documented_letter_resolves() {
        let unit = UnitName::parse("a@b.service").expect("valid");
        let (host, manager) = (host(), ManagerSpecifiers::system("/run"));
        let all = Specifiers { unit: &unit, fragment_path: None, host: &host, manager: &manager };
        for letter in "aAbBCdDEfgGhHiIjJlLmMnNopPqsStTuUvVwWyY".chars() {
            assert!(all.resolve(letter).is_some(), "%{letter}");
        }
    }

    #[test]
    fn expansion_is_bounded() {
        let text = "%n".repeat(EXPANSION_MAX / 8);
        assert!(expanded("aaaaaaaaaaaaaaaa.service", &text).is_err());
    }
}
