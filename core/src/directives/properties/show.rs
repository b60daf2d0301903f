//! Settings as they are shown on the bus.

use super::PropertyValue::{self, *};
use super::{Form, PropertyRow, Source};
use crate::directives::parse::base64;
use crate::directives::parse::cgroup::{NFT_FAMILIES, NFT_SOURCES, prefix};
use crate::directives::{Kind, ids, row, system_calls};
use crate::engine::effect::Command;
use crate::names::UnitName;
use crate::settings::{DirectiveId, Settings, Value};
use crate::values::{bytes, cpuset, rlimit};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::rc::Rc;

/// What the machine and the manager's own process give where a setting is not set.
#[derive(Debug, Clone)]
pub struct HostValues {
    /// Physical memory in bytes.
    pub memory: u64,
    /// How many tasks the system allows (the least of `pid_max`, `threads-max` and the root cgroup's limit).
    pub tasks: u64,
    /// The manager's own resource limits by kernel number, soft and hard.
    pub limits: [(u64, u64); 16],
    /// The manager's own timer slack.
    pub timer_slack_nsec: u64,
    /// The manager's own `coredump_filter`.
    pub coredump_filter: u64,
    /// The manager's own OOM score adjustment.
    pub oom_score_adjust: i32,
}

impl Default for HostValues {
    fn default() -> HostValues {
        HostValues {
            memory: u64::MAX,
            tasks: u64::MAX,
            limits: [(u64::MAX, u64::MAX); 16],
            timer_slack_nsec: 50_000,
            coredump_filter: 0x33,
            oom_score_adjust: 0,
        }
    }
}

/// The value of a property that comes from settings; `None` for those that come from elsewhere. Command lines,
/// timers and checks are shown as never run.
pub fn property_value(
    property: &PropertyRow,
    unit: &UnitName,
    settings: &Settings,
    host: &HostValues,
) -> Option<PropertyValue> {
    match property.source {
        Source::Directive(id, form) => Some(Show { id, settings, host, unit }.form(form, property.signature)),
        Source::Commands(id, extended) => {
            let item = if extended { "(sasasttttuii)" } else { "(sasbttttuii)" };
            let commands = settings.commands(id).iter().map(|command| command_value(command, extended));
            Some(list(item, commands.collect()))
        }
        Source::Timers(calendar) => Some(timers(settings, calendar)),
        Source::Checks(assert) => {
            Some(checks(if assert { settings.asserts() } else { settings.conditions() }))
        }
        Source::State(_) | Source::Fact(_) => None,
    }
}

/// A command line that was not run yet.
pub fn command_value(command: &Command, extended: bool) -> PropertyValue {
    let flags = [
        (command.ignore_failure, "ignore-failure"),
        (command.full_privileges, "privileged"),
        (command.no_setuid, "no-setuid"),
        (command.no_env_expand, "no-env-expand"),
        (command.via_shell, "via-shell"),
    ];
    let how = if extended {
        PropertyValue::texts(flags.iter().filter(|(on, _)| *on).map(|(_, name)| name))
    } else {
        Bool(command.ignore_failure)
    };
    let mut fields = vec![Text(command.path.to_string()), PropertyValue::texts(command.argv.iter()), how];
    fields.extend([Uint(0), Uint(0), Uint(0), Uint(0), Uint(0), Int(0), Int(0)]);
    Struct(fields)
}

/// Timers in the reverse of file order, as the reference shows them.
fn timers(settings: &Settings, calendar: bool) -> PropertyValue {
    let wanted = settings.timers().iter().rev().filter(|(name, _)| (&**name == "OnCalendar") == calendar);
    let shown = wanted.map(|(name, value)| {
        if calendar {
            Struct(vec![Text(name.to_string()), Text(value.to_string()), Uint(0)])
        } else {
            let name = name.strip_suffix("Sec").unwrap_or(name);
            Struct(vec![Text(format!("{name}USec")), Uint(value.parse().unwrap_or(0)), Uint(0)])
        }
    });
    list(if calendar { "(sst)" } else { "(stt)" }, shown.collect())
}

fn checks(checks: &[(Rc<str>, Rc<str>)]) -> PropertyValue {
    // The last stands first, as in the reference.
    let shown = checks.iter().rev().map(|(name, value)| {
        let (trigger, rest) = value.strip_prefix('|').map_or((false, &**value), |rest| (true, rest));
        let (negate, rest) = rest.strip_prefix('!').map_or((false, rest), |rest| (true, rest));
        Struct(vec![
            Text(name.to_string()),
            Bool(trigger),
            Bool(negate),
            PropertyValue::text(rest),
            signed(0),
        ])
    });
    list("(sbbsi)", shown.collect())
}

struct Show<'a> {
    id: DirectiveId,
    settings: &'a Settings,
    host: &'a HostValues,
    unit: &'a UnitName,
}

impl Show<'_> {
    fn form(&self, form: Form, signature: &str) -> PropertyValue {
        let (id, settings) = (self.id, self.settings);
        match form {
            Form::Plain => self.plain(signature),
            Form::Memory => Uint(self.scaled(self.host.memory / PAGE).saturating_mul(if self.is_share() {
                PAGE
            } else {
                1
            })),
            Form::Tasks => Uint(self.scaled(self.host.tasks)),
            Form::LimitSoft => Uint(self.limit().0),
            Form::LimitHard => Uint(self.limit().1),
            Form::Filter | Form::SystemCalls => self.filter(form),
            Form::Ports => {
                let pairs = settings.ports().iter().map(|port| (&port.kind, &port.address));
                list("(ss)", pairs.map(pair).collect())
            }
            Form::Paths => {
                // The last stands first, as in the reference.
                let pairs = settings.paths().iter().rev().map(|spec| (&spec.kind, &spec.path));
                list("(ss)", pairs.map(pair).collect())
            }
            Form::ExitSet => {
                let (statuses, signals) = settings.exit_set(id);
                let statuses = statuses.iter().map(|status| signed(i32::from(*status))).collect();
                Struct(vec![list("i", statuses), list("i", signals.iter().map(|n| signed(*n)).collect())])
            }
            Form::CpuSet => self.cpu_set(),
            Form::FromNuma => Bool(settings.text(id) == Some("numa")),
            Form::Label => match settings.text(id) {
                Some(text) => {
                    let (minus, label) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
                    Struct(vec![Bool(minus), PropertyValue::text(label)])
                }
                None => Struct(vec![Bool(false), PropertyValue::text("")]),
            },
            Form::NotNo => Bool(settings.word(id) != "no"),
            Form::Stream => PropertyValue::text(stream(settings.text(id).unwrap_or("inherit"))),
            Form::StreamName => PropertyValue::text(self.stream_name()),
            Form::Data | Form::Blob => Bytes(settings.bytes(id).to_vec()),
            Form::BlobPath => PropertyValue::text(settings.text(id).unwrap_or("")),
            Form::Priority => {
                let number = settings.int(ids::SYSLOG_FACILITY) << 3 | settings.int(ids::SYSLOG_LEVEL);
                signed(i32::try_from(number).unwrap_or(30))
            }
            Form::Delegate => Bool(settings.delegate().is_some()),
            Form::DelegateControllers => PropertyValue::texts(settings.delegate().unwrap_or(&[])),
            Form::WorkingDirectory => {
                let text = settings.text(id).unwrap_or("");
                Text(text.strip_prefix('-').map_or(text.to_owned(), |rest| format!("!{rest}")))
            }
            Form::ImagePolicy => PropertyValue::text(settings.text(id).unwrap_or(IMAGE_POLICY)),
            Form::LoginEnvironment => Bool(settings.tristate(id).unwrap_or_else(|| {
                [ids::USER, ids::DYNAMIC_USER, ids::PAM_NAME].iter().any(|id| settings.is_set(*id))
            })),
            Form::AbortTimeout => {
                let known = if settings.is_set(id) { id } else { ids::TIMEOUT_STOP_SEC };
                Uint(settings.uint(known))
            }
            Form::UnitNameDefault => match settings.text(id) {
                Some(text) => PropertyValue::text(text),
                None if settings.bool(ids::ACCEPT) => PropertyValue::text("connection"),
                None => PropertyValue::text(self.unit.as_str()),
            },
            Form::ApiMounts => Bool(self.api_mounts()),
            Form::LogSockets => Bool(self.log_sockets()),
            _ => self.list_form(form),
        }
    }

    fn list_form(&self, form: Form) -> PropertyValue {
        let (rows, texts) = (self.settings.rows(self.id), self.settings.list(self.id));
        let array = list;
        match form {
            Form::Pairs => array("(ss)", rows.iter().map(|row| strings(row, 2)).collect()),
            Form::PairsReversed => array("(ss)", rows.iter().rev().map(|row| strings(row, 2)).collect()),
            Form::PairNumbers => {
                let number = |row: &[Rc<str>]| column(row, 1).parse().unwrap_or(0);
                let pairs =
                    rows.iter().map(|row| Struct(vec![Text(column(row, 0).into()), Uint(number(row))]));
                array("(st)", pairs.collect())
            }
            Form::FirstColumn => PropertyValue::texts(rows.iter().map(|row| column(row, 0))),
            Form::EnvironmentFiles => {
                let file = |text: &Rc<str>| {
                    let (minus, path) = text.strip_prefix('-').map_or((false, &**text), |rest| (true, rest));
                    Struct(vec![PropertyValue::text(path), Bool(minus)])
                };
                array("(sb)", texts.iter().map(file).collect())
            }
            Form::Links => array("(sst)", rows.iter().flat_map(|row| links(row)).collect()),
            Form::Binds => array("(ssbt)", rows.iter().map(|row| bind(row)).collect()),
            Form::Credentials => {
                let credential = |row: &Rc<[Rc<str>]>| {
                    let data = base64::decode(column(row, 1)).unwrap_or_default();
                    Struct(vec![PropertyValue::text(column(row, 0)), Bytes(data)])
                };
                array("(say)", rows.iter().map(credential).collect())
            }
            Form::OpenFiles => array("(sst)", rows.iter().map(|row| open_file(row)).collect()),
            Form::ByteLists => {
                array("ay", texts.iter().map(|text| Bytes(text.as_bytes().to_vec())).collect())
            }
            Form::Patterns => {
                let pattern = |row: &Rc<[Rc<str>]>| {
                    Struct(vec![Bool(column(row, 0) == "allow"), PropertyValue::text(column(row, 1))])
                };
                array("(bs)", rows.iter().map(pattern).collect())
            }
            Form::Addresses => {
                let mut known: Vec<(IpAddr, u8)> = texts.iter().filter_map(|text| prefix(text)).collect();
                known.sort();
                array("(iayu)", known.into_iter().map(address).collect())
            }
            Form::SocketBinds => array("(iiqq)", texts.iter().map(|text| socket_bind(text)).collect()),
            Form::NftSets => array("(iiss)", rows.iter().map(|row| nft_set(row)).collect()),
            Form::ExtensionImages => array("(sba(ss))", rows.iter().map(|row| image(row, 1)).collect()),
            Form::MountImages => array("(ssba(ss))", rows.iter().map(|row| image(row, 2)).collect()),
            _ => array("s", Vec::new()),
        }
    }

    fn plain(&self, signature: &str) -> PropertyValue {
        let (id, settings) = (self.id, self.settings);
        let clamped = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        match signature {
            "b" => Bool(settings.bool(id)),
            "u" => unsigned(clamped(settings.uint(id))),
            "q" => unsigned(u16::try_from(settings.uint(id)).unwrap_or(u16::MAX)),
            "t" if id == ids::TIMER_SLACK_NSEC && !settings.is_set(id) => Uint(self.host.timer_slack_nsec),
            "t" if id == ids::COREDUMP_FILTER && !settings.is_set(id) => Uint(self.host.coredump_filter),
            "t" => Uint(match settings.get(id) {
                Some(Value::Int(number)) => u64::try_from(*number).unwrap_or(0),
                _ => settings.uint(id),
            }),
            "i" => signed(i32::try_from(self.signed()).unwrap_or(-1)),
            "x" => Int(settings.int(id)),
            "as" => PropertyValue::texts(settings.list(id)),
            _ => match row(id).kind {
                Kind::Words(_) => PropertyValue::text(settings.word(id)),
                Kind::SliceUnit | Kind::TriggeredUnit | Kind::SocketService => {
                    PropertyValue::text(settings.unit(id).map_or("", UnitName::as_str))
                }
                _ => PropertyValue::text(settings.text(id).unwrap_or("")),
            },
        }
    }

    fn signed(&self) -> i64 {
        let (id, settings) = (self.id, self.settings);
        if settings.is_set(id) {
            return match settings.get(id) {
                Some(Value::Bits(bits) | Value::Uint(bits)) => i64::try_from(*bits).unwrap_or(-1),
                _ => settings.int(id),
            };
        }
        match id {
            ids::OOM_SCORE_ADJUST => i64::from(self.host.oom_score_adjust),
            ids::IO_SCHEDULING_CLASS => 2,
            ids::IO_SCHEDULING_PRIORITY => 4,
            _ => settings.int(id),
        }
    }

    fn scaled(&self, whole: u64) -> u64 {
        match (self.settings.text(self.id), self.settings.is_set(self.id)) {
            (Some(text), _) => bytes::parse_limit(text).map_or(u64::MAX, |limit| limit.resolve(whole)),
            (None, _) => self.settings.uint(self.id),
        }
    }

    /// Whether the limit is a part of what there is.
    fn is_share(&self) -> bool {
        matches!(self.settings.get(self.id), Some(Value::Text(_)))
    }

    fn has_root(&self) -> bool {
        self.settings.is_set(ids::ROOT_DIRECTORY) || self.settings.is_set(ids::ROOT_IMAGE)
    }

    /// `MountAPIVFS=` is on with another root unless it is switched off.
    fn api_mounts(&self) -> bool {
        self.settings.tristate(ids::MOUNT_APIVFS).unwrap_or_else(|| self.has_root())
    }

    /// `BindLogSockets=` is on where `/run` or `/dev` are made anew, and with a journal of one's own.
    fn log_sockets(&self) -> bool {
        let settings = self.settings;
        settings.is_set(ids::LOG_NAMESPACE)
            || settings.tristate(ids::BIND_LOG_SOCKETS).unwrap_or_else(|| {
                self.api_mounts() || (self.has_root() && settings.bool(ids::PRIVATE_DEVICES))
            })
    }

    fn limit(&self) -> (u64, u64) {
        if let Some(limit) = self.settings.rlimit(self.id) {
            return limit;
        }
        let resource = row(self.id).name.strip_prefix("Limit").and_then(rlimit::Resource::from_name);
        let at = resource.map_or(usize::MAX, |resource| resource as usize);
        self.host.limits.get(at).copied().unwrap_or((u64::MAX, u64::MAX))
    }

    fn filter(&self, form: Form) -> PropertyValue {
        let Some((deny, items)) = self.settings.filter(self.id) else {
            return Struct(vec![Bool(false), list("s", Vec::new())]);
        };
        let items = if form == Form::SystemCalls {
            let calls = system_calls(self.settings, self.id);
            PropertyValue::texts(calls.iter().map(|(name, action)| match action {
                Some(action) => format!("{name}:{action}"),
                None => (*name).to_owned(),
            }))
        } else {
            PropertyValue::texts(items)
        };
        Struct(vec![Bool(!deny), items])
    }

    fn cpu_set(&self) -> PropertyValue {
        let set: BTreeSet<u32> =
            self.settings.text(self.id).and_then(|text| cpuset::parse(text).ok()).unwrap_or_default();
        // Whole words of 64 bits, as sched_setaffinity(2) takes them.
        let mut mask = vec![0_u8; set.last().map_or(0, |last| (*last as usize / 64 + 1) * 8)];
        for cpu in set {
            mask[cpu as usize / 8] |= 1 << (cpu % 8);
        }
        Bytes(mask)
    }

    fn stream_name(&self) -> &str {
        let text = self.settings.text(self.id).unwrap_or("");
        match (text, text.strip_prefix("fd:")) {
            (_, Some(name)) => name,
            ("fd", None) if self.id == ids::STANDARD_INPUT => "stdin",
            ("fd", None) if self.id == ids::STANDARD_OUTPUT => "stdout",
            ("fd", None) => "stderr",
            _ => "",
        }
    }
}

/// Parts of the memory are counted in pages.
const PAGE: u64 = 4096;

const IMAGE_POLICY: &str = "root=verity+signed+encrypted+unprotected+absent:usr=verity+signed+encrypted+unprotected\
+absent:home=encrypted+unprotected+absent:srv=encrypted+unprotected+absent:tmp=encrypted+unprotected\
+absent:var=encrypted+unprotected+absent";

/// A number of any unsigned type.
fn unsigned(number: impl Into<u64>) -> PropertyValue {
    Uint(number.into())
}

/// A number of any signed type.
fn signed(number: impl Into<i64>) -> PropertyValue {
    Int(number.into())
}

fn list(element: &'static str, items: Vec<PropertyValue>) -> PropertyValue {
    Array(element.into(), items)
}

fn pair((first, second): (&Rc<str>, &Rc<str>)) -> PropertyValue {
    Struct(vec![Text(first.to_string()), Text(second.to_string())])
}

fn column(row: &[Rc<str>], at: usize) -> &str {
    row.get(at).map_or("", |text| text)
}

fn strings(row: &[Rc<str>], columns: usize) -> PropertyValue {
    Struct((0..columns).map(|at| PropertyValue::text(column(row, at))).collect())
}

/// The word of a stream; names of descriptors have a property of their own, paths have none.
fn stream(text: &str) -> &str {
    text.split_once(':').map_or(text, |(word, _)| word)
}

fn links(row: &[Rc<str>]) -> Vec<PropertyValue> {
    let flags = u64::from(column(row, 2) == "ro");
    let item = |link: &str| {
        Struct(vec![PropertyValue::text(column(row, 0)), PropertyValue::text(link), Uint(flags)])
    };
    column(row, 1).split(':').map(item).collect()
}

fn bind(row: &[Rc<str>]) -> PropertyValue {
    const MS_REC: u64 = 0x4000;
    let flags = if column(row, 3) == "rbind" { MS_REC } else { 0 };
    let path = |at| PropertyValue::text(column(row, at));
    Struct(vec![path(0), path(1), Bool(column(row, 2) == "-"), Uint(flags)])
}

fn open_file(row: &[Rc<str>]) -> PropertyValue {
    const OPTIONS: [&str; 4] = ["read-only", "append", "truncate", "graceful"];
    let flags = column(row, 2).split(',').filter_map(|word| OPTIONS.iter().position(|known| *known == word));
    let flags = flags.fold(0_u64, |flags, bit| flags | 1 << bit);
    Struct(vec![PropertyValue::text(column(row, 0)), PropertyValue::text(column(row, 1)), Uint(flags)])
}

fn address((address, bits): (IpAddr, u8)) -> PropertyValue {
    let (family, octets) = match address {
        IpAddr::V4(v4) => (2, v4.octets().to_vec()),
        IpAddr::V6(v6) => (10, v6.octets().to_vec()),
    };
    Struct(vec![signed(family), Bytes(octets), unsigned(u32::from(bits))])
}

fn socket_bind(text: &str) -> PropertyValue {
    let (mut family, mut protocol, mut low, mut high) = (0, 0, 0_u16, 0_u16);
    for part in text.split(':') {
        match part {
            "ipv4" => family = 2,
            "ipv6" => family = 10,
            "tcp" => protocol = 6,
            "udp" => protocol = 17,
            "any" => {}
            ports => {
                let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
                low = first.parse().unwrap_or(0);
                high = last.parse().unwrap_or(0);
            }
        }
    }
    let count = if low == 0 { 0 } else { high.saturating_sub(low).saturating_add(1) };
    Struct(vec![signed(family), signed(protocol), unsigned(count), unsigned(low)])
}

fn nft_set(row: &[Rc<str>]) -> PropertyValue {
    let source = NFT_SOURCES.iter().position(|known| *known == column(row, 0)).unwrap_or(0);
    let family = NFT_FAMILIES.iter().find(|known| known.0 == column(row, 1)).map_or(0, |known| known.1);
    let text = |at| PropertyValue::text(column(row, at));
    Struct(vec![signed(i32::try_from(source).unwrap_or(0)), signed(family), text(2), text(3)])
}

fn image(row: &[Rc<str>], paths: usize) -> PropertyValue {
    let mut fields: Vec<PropertyValue> = (0..paths).map(|at| PropertyValue::text(column(row, at))).collect();
    fields.push(Bool(column(row, paths) == "-"));
    let options = row.get(paths + 1..).unwrap_or(&[]).chunks(2).map(|pair| strings(pair, 2));
    fields.push(list("(ss)", options.collect()));
    Struct(fields)
}
