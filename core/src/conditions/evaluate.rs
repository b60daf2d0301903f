//! From a condition and the host's facts to a verdict.

use super::facts::{Errno, HostFacts, PathTest, Virtualization};
use super::{Condition, Kind};
use crate::engine::event::ConditionVerdict;
use crate::names::pattern;
use crate::values::version::{Operator, split_operator};
use crate::values::{WHITESPACE, boolean, bytes, capability, id128, percent, quoting, span};

const EINVAL: Errno = 22;
/// The largest user number that counts as the system's (`@system`).
const SYSTEM_UID_MAX: u32 = 999;

/// The verdict over one condition, its `!` applied.
pub fn evaluate(condition: &Condition, facts: &dyn HostFacts) -> ConditionVerdict {
    match test(condition.kind, &condition.parameter, facts) {
        Ok(holds) if holds != condition.negate => ConditionVerdict::Holds,
        Ok(_) => ConditionVerdict::Fails,
        Err(errno) => ConditionVerdict::Error(errno),
    }
}

/// The verdicts over a list, in order.
pub fn evaluate_list(conditions: &[Condition], facts: &dyn HostFacts) -> Vec<ConditionVerdict> {
    conditions.iter().map(|condition| evaluate(condition, facts)).collect()
}

/// Whether a list holds as a whole: all plain conditions, and one of those with `|` if there are any. What could
/// not be told counts as failed.
pub fn holds(conditions: &[Condition], verdicts: &[ConditionVerdict]) -> bool {
    let mut triggered: Option<bool> = None;
    for (condition, verdict) in conditions.iter().zip(verdicts) {
        let good = *verdict == ConditionVerdict::Holds;
        if condition.trigger {
            triggered = Some(triggered.unwrap_or(false) || good);
        } else if !good {
            return false;
        }
    }
    triggered.unwrap_or(true)
}

fn test(kind: Kind, parameter: &str, facts: &dyn HostFacts) -> Result<bool, Errno> {
    let path = |test| facts.path(test, parameter);
    match kind {
        Kind::PathExists => path(PathTest::Exists),
        Kind::PathExistsGlob => path(PathTest::ExistsGlob),
        Kind::PathIsDirectory => path(PathTest::IsDirectory),
        Kind::PathIsSymbolicLink => path(PathTest::IsSymbolicLink),
        Kind::PathIsMountPoint => path(PathTest::IsMountPoint),
        Kind::PathIsReadWrite => path(PathTest::IsReadWrite),
        Kind::PathIsEncrypted => path(PathTest::IsEncrypted),
        Kind::DirectoryNotEmpty => path(PathTest::DirectoryNotEmpty),
        Kind::FileNotEmpty => path(PathTest::FileNotEmpty),
        Kind::FileIsExecutable => path(PathTest::FileIsExecutable),
        Kind::Architecture => Ok(parameter == "native" || parameter == facts.architecture()),
        Kind::Firmware => firmware(parameter, facts),
        Kind::Host => Ok(host(parameter, facts)),
        Kind::Virtualization => Ok(virtualization(parameter, facts)),
        Kind::KernelCommandLine => kernel_command_line(parameter, facts),
        Kind::KernelVersion => kernel_version(parameter, facts),
        Kind::Security => Ok(facts.security(parameter)),
        Kind::Capability => {
            let number = capability::parse(parameter).map_err(|_| EINVAL)?;
            Ok(facts.bounding_set()? & (1 << number) != 0)
        }
        Kind::ACPower => Ok(facts.ac_power()? == flag(parameter)?),
        Kind::FirstBoot => Ok(facts.first_boot() == flag(parameter)?),
        Kind::NeedsUpdate => facts.needs_update(parameter),
        Kind::User => Ok(user(parameter, facts)),
        Kind::Group => Ok(group(parameter, facts)),
        Kind::ControlGroupController => controllers(parameter, facts),
        Kind::CPUs => {
            let (operator, number) = operator_or(parameter, Operator::GreaterOrEqual);
            let wanted: u64 = number.parse().map_err(|_| EINVAL)?;
            Ok(operator.holds(facts.cpus()?.cmp(&wanted)))
        }
        Kind::Memory => {
            let (operator, size) = operator_or(parameter, Operator::GreaterOrEqual);
            let wanted = bytes::parse(size, bytes::Base::Iec).map_err(|_| EINVAL)?;
            Ok(operator.holds(facts.memory().cmp(&wanted)))
        }
        Kind::Environment => Ok(match parameter.split_once('=') {
            Some((name, value)) => facts.environment(name).as_deref() == Some(value),
            None => facts.environment(parameter).is_some(),
        }),
        Kind::CPUFeature => Ok(facts.cpu_feature(&parameter.to_ascii_lowercase())),
        Kind::OSRelease => os_release(parameter, facts),
        Kind::MemoryPressure => pressure("memory", parameter, facts),
        Kind::CPUPressure => pressure("cpu", parameter, facts),
        Kind::IOPressure => pressure("io", parameter, facts),
        Kind::Credential => Ok(facts.credential(parameter)),
        Kind::KernelModuleLoaded => facts.kernel_module_loaded(&parameter.replace('-', "_")),
    }
}

fn flag(text: &str) -> Result<bool, Errno> {
    boolean::parse(text).map_err(|_| EINVAL)
}

fn operator_or(text: &str, without: Operator) -> (Operator, &str) {
    let (operator, rest) = split_operator(text).unwrap_or((without, text));
    (operator, rest.trim_start_matches(WHITESPACE))
}

/// `uefi`, `device-tree`, `device-tree-compatible(NAME)`, `smbios-field(FIELD OPERATOR VALUE)`.
fn firmware(parameter: &str, facts: &dyn HostFacts) -> Result<bool, Errno> {
    let inside = |name: &str| parameter.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
    if let Some(compatible) = inside("device-tree-compatible") {
        return Ok(facts.device_tree_compatible().is_some_and(|list| list.iter().any(|c| c == compatible)));
    }
    if let Some(expression) = inside("smbios-field") {
        let at = expression.find(['<', '>', '=', '!', '$']).ok_or(EINVAL)?;
        let (field, rest) = expression.split_at(at);
        let (operator, value) = split_operator(rest).ok_or(EINVAL)?;
        let value = value.trim().trim_matches(['"', '\'']);
        let Some(actual) = facts.smbios_field(field.trim()) else { return Ok(false) };
        return Ok(operator.test(actual.trim_end(), value, true));
    }
    Ok(match parameter {
        "uefi" => facts.firmware_uefi(),
        "device-tree" => facts.device_tree_compatible().is_some(),
        _ => false,
    })
}

fn host(parameter: &str, facts: &dyn HostFacts) -> bool {
    if let Ok(id) = id128::parse(parameter) {
        return facts.machine_id() == Some(id);
    }
    let (wanted, name) = (parameter.to_ascii_lowercase(), facts.host_name().to_ascii_lowercase());
    pattern::matches(&wanted, &name, pattern::Rules::default())
}

fn virtualization(parameter: &str, facts: &dyn HostFacts) -> bool {
    if parameter == "private-users" {
        return facts.private_users();
    }
    let actual = facts.virtualization();
    if let Ok(any) = boolean::parse(parameter) {
        return any == (actual != Virtualization::None);
    }
    match actual {
        Virtualization::None => false,
        Virtualization::Vm(name) => parameter == "vm" || parameter == name,
        Virtualization::Container(name) => parameter == "container" || parameter == name,
    }
}

/// A word is looked for alone or before `=`; `word=value` must stand like that.
fn kernel_command_line(parameter: &str, facts: &dyn HostFacts) -> Result<bool, Errno> {
    let rules = quoting::Rules { relax: true, ..quoting::LIST };
    let words = quoting::split(facts.kernel_command_line(), rules).map_err(|_| EINVAL)?;
    let assignment = parameter.contains('=');
    Ok(words.iter().any(|word| {
        let rest = word.strip_prefix(parameter);
        rest.is_some_and(|rest| rest.is_empty() || (!assignment && rest.starts_with('=')))
    }))
}

/// Expressions that must all hold; an operator may be set off from its version by space.
fn kernel_version(parameter: &str, facts: &dyn HostFacts) -> Result<bool, Errno> {
    let words = quoting::split(parameter, quoting::LIST).map_err(|_| EINVAL)?;
    let actual = facts.kernel_release();
    let mut words = words.iter();
    let mut any = false;
    while let Some(word) = words.next() {
        any = true;
        let good = match split_operator(word) {
            None => pattern::matches(word, actual, pattern::Rules::default()),
            Some((operator, "")) => operator.test(actual, words.next().ok_or(EINVAL)?, false),
            Some((operator, version)) => operator.test(actual, version, false),
        };
        if !good {
            return Ok(false);
        }
    }
    if any { Ok(true) } else { Err(EINVAL) }
}

fn user(parameter: &str, facts: &dyn HostFacts) -> bool {
    if let Ok(uid) = parameter.parse::<u32>() {
        return uid == facts.uid();
    }
    if parameter == "@system" {
        return facts.uid() <= SYSTEM_UID_MAX || facts.uid() == 65_534;
    }
    facts.user_id(parameter) == Some(facts.uid())
}

fn group(parameter: &str, facts: &dyn HostFacts) -> bool {
    let gid = parameter.parse::<u32>().ok().or_else(|| facts.group_id(parameter));
    gid.is_some_and(|gid| facts.groups().contains(&gid))
}

/// `v2`, `v1`, or controllers that must all be there; unknown names do not count.
fn controllers(parameter: &str, facts: &dyn HostFacts) -> Result<bool, Errno> {
    match parameter {
        "v2" => return Ok(true),
        "v1" => return Ok(false),
        _ => {}
    }
    let words = parameter.split(WHITESPACE).filter(|word| !word.is_empty());
    Ok(words.filter_map(|word| facts.controller(word)).all(|usable| usable))
}

/// `FIELD OPERATOR VALUE` without spaces, several of which must all hold.
fn os_release(parameter: &str, facts: &dyn HostFacts) -> Result<bool, Errno> {
    let words = quoting::split(parameter, quoting::COMMAND).map_err(|_| EINVAL)?;
    for word in words {
        let at = word.find(['!', '<', '=', '>', '$']).ok_or(EINVAL)?;
        let (field, rest) = word.split_at(at);
        let (operator, value) = split_operator(rest).ok_or(EINVAL)?;
        if field.is_empty() || value.is_empty() || value.starts_with(WHITESPACE) {
            return Err(EINVAL);
        }
        // A field that is missing compares like an empty one.
        let actual = facts.os_release(field).unwrap_or_default();
        if !operator.test(&actual, value, true) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `[SLICE:]PERCENTAGE[/10s|1min|5min]`: holds while the pressure is not above. What cannot be told holds.
fn pressure(resource: &str, parameter: &str, facts: &dyn HostFacts) -> Result<bool, Errno> {
    let (slice, limit) = match parameter.split_once(':') {
        Some((slice, limit)) => (Some(slice.trim()), limit),
        None => (None, parameter),
    };
    let (limit, window) = match limit.split_once('/') {
        Some((limit, window)) => (limit, span::parse_sec(window).map_err(|_| EINVAL)?),
        None => (limit, 5 * span::USEC_PER_MINUTE),
    };
    let limit = percent::parse(limit.trim()).map_err(|_| EINVAL)?;
    let pressure = facts.pressure(resource, slice);
    let pick = |p: super::Pressure| match window / span::USEC_PER_SEC {
        10 => Ok(p.avg10),
        60 => Ok(p.avg60),
        300 => Ok(p.avg300),
        _ => Err(EINVAL),
    };
    // An impossible window is an error also where there is nothing to measure.
    let actual = pick(pressure.unwrap_or_default())?;
    Ok(pressure.is_none() || actual <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::{Pressure, parse};

    struct Container;

    impl HostFacts for Container {
        fn path(&self, test: PathTest, path: &str) -> Result<bool, Errno> {
            match (test, path) {
                (_, "/denied") => Err(13),
                (PathTest::Exists | PathTest::IsDirectory, "/etc") => Ok(true),
                _ => Ok(false),
            }
        }
        fn architecture(&self) -> &str {
            "x86-64"
        }
        fn firmware_uefi(&self) -> bool {
            false
        }
        fn device_tree_compatible(&self) -> Option<Vec<String>> {
            Some(vec!["acme,board".into()])
        }
        fn smbios_field(&self, field: &str) -> Option<String> {
            (field == "sys_vendor").then(|| "ACME\n".into())
        }
        fn machine_id(&self) -> Option<u128> {
            Some(0xff)
        }
        fn host_name(&self) -> &str {
            "Box.example"
        }
        fn virtualization(&self) -> Virtualization<'_> {
            Virtualization::Container("docker")
        }
        fn private_users(&self) -> bool {
            false
        }
        fn kernel_command_line(&self) -> &str {
            "ro root=/dev/sda1 \"a b\" 'open"
        }
        fn kernel_release(&self) -> &str {
            "6.18.3-cloud"
        }
        fn security(&self, technology: &str) -> bool {
            technology == "apparmor"
        }
        fn bounding_set(&self) -> Result<u64, Errno> {
            Ok(1)
        }
        fn ac_power(&self) -> Result<bool, Errno> {
            Ok(true)
        }
        fn needs_update(&self, path: &str) -> Result<bool, Errno> {
            Ok(path == "/var")
        }
        fn first_boot(&self) -> bool {
            false
        }
        fn uid(&self) -> u32 {
            0
        }
        fn user_id(&self, name: &str) -> Option<u32> {
            (name == "root").then_some(0)
        }
        fn groups(&self) -> Vec<u32> {
            vec![0, 4]
        }
        fn group_id(&self, name: &str) -> Option<u32> {
            (name == "adm").then_some(4)
        }
        fn controller(&self, name: &str) -> Option<bool> {
            match name {
                "pids" => Some(true),
                "cpu" => Some(false),
                _ => None,
            }
        }
        fn cpus(&self) -> Result<u64, Errno> {
            Ok(2)
        }
        fn memory(&self) -> u64 {
            8 << 30
        }
        fn environment(&self, name: &str) -> Option<String> {
            (name == "container").then(|| "docker".into())
        }
        fn cpu_feature(&self, feature: &str) -> bool {
            feature == "sse2"
        }
        fn os_release(&self, field: &str) -> Option<String> {
            match field {
                "ID" => Some("debian".into()),
                "VERSION_ID" => Some("13".into()),
                _ => None,
            }
        }
        fn pressure(&self, _: &str, slice: Option<&str>) -> Option<Pressure> {
            slice.is_none().then_some(Pressure { avg10: 5000, avg60: 1000, avg300: 0 })
        }
        fn credential(&self, name: &str) -> bool {
            name == "c"
        }
        fn kernel_module_loaded(&self, name: &str) -> Result<bool, Errno> {
            Ok(name == "dm_mod")
        }
    }

    fn verdict(text: &str) -> char {
        let (setting, value) = text.split_once('=').expect("a setting");
        let kind = Kind::from_setting(setting).expect("known kind");
        let condition = parse(kind, value).expect("valid").expect("not empty");
        match evaluate(&condition, &Container) {
            ConditionVerdict::Holds => 'y',
            ConditionVerdict::Fails => 'n',
            ConditionVerdict::Error(_) => 'e',
        }
    }

    /// Most of these were observed with `systemd-analyze condition` of the reference.
    #[test]
    fn verdicts() {
        for text in [
            "ConditionKernelVersion=>=3 <99",
            "ConditionKernelVersion=6.*",
            "ConditionKernelVersion=>= 3",
            "ConditionKernelVersion=$=6.*",
            "ConditionKernelVersion=!=5.1",
            "ConditionOSRelease=ID=debian VERSION_ID>=12",
            "ConditionOSRelease=ID==debian",
            "ConditionOSRelease=ID$=deb*",
            "ConditionCPUs=>1",
            "ConditionCPUs=2",
            "ConditionCPUs=>= 1",
            "ConditionMemory=>1M",
            "ConditionMemory=1K",
            "ConditionPathExists=!/nope",
            "ConditionUser=@system",
            "ConditionUser=0",
            "ConditionUser=root",
            "ConditionGroup=adm",
            "ConditionVirtualization=container",
            "ConditionVirtualization=yes",
            "ConditionVirtualization=!vm",
            "ConditionHost=*",
            "ConditionHost=box.*",
            "ConditionHost=000000000000000000000000000000ff",
            "ConditionMemoryPressure=10%",
            "ConditionMemoryPressure=10%/1min",
            "ConditionMemoryPressure=system.slice:10%/10s",
            "ConditionControlGroupController=v2",
            "ConditionControlGroupController=bogus",
            "ConditionControlGroupController=pids",
            "ConditionArchitecture=native",
            "ConditionCPUFeature=SSE2",
            "ConditionEnvironment=container",
            "ConditionEnvironment=container=docker",
            "ConditionFirstBoot=no",
            "ConditionKernelCommandLine=root",
            "ConditionKernelCommandLine=ro",
            "ConditionSecurity=apparmor",
            "ConditionKernelCommandLine=root=/dev/sda1",
            "ConditionCapability=CAP_CHOWN",
            "ConditionACPower=true",
            "ConditionFirmware=device-tree-compatible(acme,board)",
            "ConditionCredential=c",
            "ConditionFirmware=smbios-field(sys_vendor = \"ACME\")",
            "ConditionKernelModuleLoaded=dm-mod",
            "ConditionNeedsUpdate=/var",
            "ConditionPathIsDirectory=/etc/",
        ] {
            assert_eq!(verdict(text), 'y', "{text}");
        }
        for text in [
            "ConditionOSRelease=ID=$deb*",
            "ConditionVirtualization=private-users",
            "ConditionSecurity=foo",
            "ConditionControlGroupController=cpu pids",
            "ConditionFirmware=uefi",
            "ConditionFirmware=bogus",
            "ConditionNeedsUpdate=/etc",
            "ConditionArchitecture=bogus",
            "ConditionKernelCommandLine=quiet",
            "ConditionKernelCommandLine=roo",
            "ConditionKernelCommandLine=root=/dev/sda",
            "ConditionFirstBoot=yes",
            "ConditionKernelVersion=>=3 <6",
            "ConditionMemoryPressure=10%/10s",
            "ConditionHost=box",
        ] {
            assert_eq!(verdict(text), 'n', "{text}");
        }
        for text in [
            "ConditionOSRelease=ID = debian",
            "ConditionOSRelease=VERSION_ID= 13",
            "ConditionACPower=x",
            "ConditionMemoryPressure=10%/2min",
            "ConditionCapability=CAP_NOPE",
            "ConditionPathExists=/denied",
        ] {
            assert_eq!(verdict(text), 'e', "{text}");
        }
    }

    #[test]
    fn lists() {
        let make = |signs: &[(bool, ConditionVerdict)]| {
            let conditions: Vec<Condition> = signs
                .iter()
                .map(|(trigger, _)| Condition {
                    kind: Kind::Host,
                    trigger: *trigger,
                    negate: false,
                    parameter: String::new(),
                })
                .collect();
            let verdicts: Vec<ConditionVerdict> = signs.iter().map(|(_, verdict)| *verdict).collect();
            holds(&conditions, &verdicts)
        };
        use ConditionVerdict::{Error, Fails, Holds};
        assert!(make(&[]));
        assert!(make(&[(false, Holds), (true, Fails), (true, Holds)]));
        assert!(!make(&[(false, Holds), (true, Fails), (true, Error(5))]));
        assert!(!make(&[(false, Error(5)), (true, Holds)]));
    }
}
