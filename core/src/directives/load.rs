//! A unit's files to its settings: what each assignment does, in order, and what is derived in the end.

use super::kind::{Empty, Zero};
use super::parse::{self, Context, Outcome, Problem};
use super::table::Row;
use super::{Acts, Kind, Sections, find, finish, ids, row, section};
use crate::graph::Dependency;
use crate::names::{Specifiers, UnitName, UnitType};
use crate::settings::{DirectiveId, Settings, Value};
use crate::unitfile::{Located, UnitFiles, Warning, WarningKind};
use crate::values::calendar::looks_like_zone;
use std::borrow::Cow;
use std::rc::Rc;

/// What the files of a unit come to.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The settings, conditions and asserts included ([`Settings::conditions`]).
    pub settings: Settings,
    /// Units named in dependency settings, in file order.
    pub dependencies: Vec<(Dependency, Vec<UnitName>)>,
    /// Lines of `[Install]`, in file order.
    pub install: Vec<(DirectiveId, Rc<str>)>,
    /// What was ignored: file, line, and what is wrong.
    pub warnings: Vec<Warning>,
    /// Why the unit is `bad-setting`: the first line that cannot be ignored.
    pub refused: Option<Warning>,
}

/// Reads all assignments of a unit of this type. `manager` is what system.conf or user.conf says, `is_zone` which names are
/// time zones.
pub fn load(
    kind: UnitType,
    files: &UnitFiles,
    specifiers: &Specifiers<'_>,
    manager: &Settings,
    is_zone: &dyn Fn(&str) -> bool,
) -> Loaded {
    let mut loader = Loader { kind, specifiers, is_zone, loaded: Loaded::default() };
    loader.loaded.settings.inherit(manager, kind);
    loader.unknown_sections(files);
    for located in files.assignments() {
        loader.assign(&located);
    }
    finish::finish(kind, specifiers, &mut loader.loaded.settings);
    loader.loaded
}

/// Reads `[Manager]` of system.conf or user.conf and its drop-ins.
pub fn load_manager(files: &UnitFiles, specifiers: &Specifiers<'_>) -> Loaded {
    let mut loader =
        Loader { kind: UnitType::Target, specifiers, is_zone: &looks_like_zone, loaded: Loaded::default() };
    for located in files.assignments() {
        let assignment = located.assignment;
        if &*assignment.section != "Manager" {
            continue;
        }
        loader.assign_in(&located, section::MANAGER);
        if let Some(Acts::Skipped(why)) = find(section::MANAGER, &assignment.key).map(|row| row.acts) {
            loader.value_warning(&located, why);
        }
    }
    loader.loaded
}

/// Longest text of a file that a warning repeats, in characters: each warning about a long line would repeat it all.
const QUOTED_MAX: usize = 256;
/// Most warnings about parts of one line.
const COMPLAINTS_MAX: usize = 32;

/// The beginning of a long text.
fn quoted(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(QUOTED_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]).into(),
        None => text.into(),
    }
}

struct Loader<'a, 'b> {
    kind: UnitType,
    specifiers: &'a Specifiers<'b>,
    is_zone: &'a dyn Fn(&str) -> bool,
    loaded: Loaded,
}

impl Loader<'_, '_> {
    /// Warns once for each header of a section that means nothing in this type of unit.
    fn unknown_sections(&mut self, files: &UnitFiles) {
        for file in files.files() {
            for header in &file.sections {
                let known = ["Unit", "Install", self.kind.section()].contains(&&*header.name);
                if !known && !header.name.starts_with("X-") {
                    self.loaded.warnings.push(Warning {
                        file: file.path.clone(),
                        line: header.line,
                        kind: WarningKind::UnknownSection(header.name.to_string()),
                    });
                }
            }
        }
    }

    fn assign(&mut self, located: &Located<'_>) {
        let name = &*located.assignment.section;
        if name != "Unit" && name != "Install" && name != self.kind.section() {
            return;
        }
        // Targets and devices have a section of their own without a single directive in it.
        self.assign_in(located, Sections::named(name).unwrap_or(Sections(0)));
    }

    fn assign_in(&mut self, located: &Located<'_>, section: Sections) {
        let assignment = located.assignment;
        let found = if section.0 == 0 { None } else { find(section, &assignment.key) };
        let Some(found) = found else {
            if !assignment.key.starts_with("X-") {
                let kind =
                    WarningKind::UnknownKey(assignment.key.to_string(), assignment.section.to_string());
                self.warn(located, kind);
            }
            return;
        };
        match self.apply(found, located) {
            Ok(()) => {}
            Err(Problem::Ignored(reason)) => self.value_warning(located, &reason),
            Err(Problem::Fatal(reason)) => {
                let value = quoted(&assignment.value);
                let text = format!("{}={value}: {}; the unit is not loaded", assignment.key, quoted(&reason));
                let kind = WarningKind::Value(text);
                self.warn(located, kind);
                if self.loaded.refused.is_none() {
                    self.loaded.refused = self.loaded.warnings.last().cloned();
                }
            }
        }
    }

    fn warn(&mut self, located: &Located<'_>, kind: WarningKind) {
        let (file, line) = (located.file.path.clone(), located.assignment.line);
        self.loaded.warnings.push(Warning { file, line, kind });
    }

    /// What was wrong inside a line; of very many such things the first ones and their number.
    fn complain(&mut self, located: &Located<'_>, complaints: &[String]) {
        for complaint in complaints.iter().take(COMPLAINTS_MAX) {
            self.value_warning(located, complaint);
        }
        let more = complaints.len().saturating_sub(COMPLAINTS_MAX);
        if more > 0 {
            self.value_warning(located, &format!("{more} more items are wrong"));
        }
    }

    fn value_warning(&mut self, located: &Located<'_>, reason: &str) {
        let assignment = located.assignment;
        let text = format!("{}={}: {}, ignored", assignment.key, quoted(&assignment.value), quoted(reason));
        self.warn(located, WarningKind::Value(text));
    }

    fn apply(&mut self, found: &'static Row, located: &Located<'_>) -> Result<(), Problem> {
        let text = &*located.assignment.value;
        match found.kind {
            Kind::Alias(id) => self.apply(row(id), located),
            Kind::Obsolete(id) => {
                self.value_warning(located, &format!("out of use, taken for {}=", row(id).name));
                self.apply(row(id), located)
            }
            Kind::Ignored => {
                self.value_warning(located, "out of use");
                Ok(())
            }
            Kind::Dependency => self.dependency(found, located),
            Kind::Condition | Kind::Assert => self.condition(found, text),
            Kind::Install => {
                self.loaded.install.push((found.id, located.assignment.value.clone()));
                Ok(())
            }
            Kind::ServiceTimeout => {
                let outcome = parse::span_value(text, Empty::Refused, Zero::Infinity)?;
                self.store(ids::TIMEOUT_START_SEC, outcome.clone());
                self.store(ids::TIMEOUT_STOP_SEC, outcome);
                Ok(())
            }
            Kind::JobTimeout => {
                let outcome = parse::span_value(text, Empty::Refused, Zero::Infinity)?;
                if !self.loaded.settings.is_set(ids::JOB_RUNNING_TIMEOUT_SEC) {
                    self.store(ids::JOB_RUNNING_TIMEOUT_SEC, outcome.clone());
                }
                self.store(ids::JOB_TIMEOUT_SEC, outcome);
                Ok(())
            }
            Kind::OnFailureIsolate => {
                let on = parse::boolean(text).ok_or(Problem::Ignored("no boolean".into()))?;
                let word = if on { "isolate" } else { "replace" };
                if let Some(index) = super::words::JOB_MODE.index(word) {
                    self.loaded.settings.set(ids::ON_FAILURE_JOB_MODE, Value::Word(index));
                }
                Ok(())
            }
            _ => self.value(found, located),
        }
    }

    fn context<'s>(&'s self, row: &'static Row, complaints: &'s mut Vec<String>) -> Context<'s, 's> {
        let settings = &self.loaded.settings;
        Context { row, specifiers: self.specifiers, is_zone: self.is_zone, settings, complaints }
    }

    fn value(&mut self, found: &'static Row, located: &Located<'_>) -> Result<(), Problem> {
        let mut complaints = Vec::new();
        let outcome = parse::parse(&mut self.context(found, &mut complaints), &located.assignment.value);
        self.complain(located, &complaints);
        self.store(found.stored(), outcome?);
        Ok(())
    }

    fn store(&mut self, id: DirectiveId, outcome: Outcome) {
        match outcome {
            Outcome::Set(value) => self.loaded.settings.set(id, value),
            Outcome::Reset => self.loaded.settings.unset(id),
            Outcome::Keep => {}
        }
    }

    fn dependency(&mut self, found: &'static Row, located: &Located<'_>) -> Result<(), Problem> {
        let Some(kind) = Dependency::from_name(found.name) else { return Ok(()) };
        let mut complaints = Vec::new();
        let units = parse::units(&mut self.context(found, &mut complaints), &located.assignment.value);
        self.complain(located, &complaints);
        let units = units?;
        if !units.is_empty() {
            self.loaded.dependencies.push((kind, units));
        }
        Ok(())
    }

    fn condition(&mut self, found: &'static Row, text: &str) -> Result<(), Problem> {
        let assert = matches!(found.kind, Kind::Assert);
        let id = if assert { ids::ASSERT_PATH_EXISTS } else { ids::CONDITION_PATH_EXISTS };
        if text.is_empty() {
            self.loaded.settings.unset(id);
            return Ok(());
        }
        let (trigger, rest) = text.strip_prefix('|').map_or(("", text), |rest| ("|", rest.trim_start()));
        let (negate, rest) = rest.strip_prefix('!').map_or(("", rest), |rest| ("!", rest.trim_start()));
        let expanded = self.specifiers.expand(rest)?;
        let of_path = ["Path", "Directory", "File", "NeedsUpdate"];
        let name = found.name.trim_start_matches("Condition").trim_start_matches("Assert");
        let value = if of_path.iter().any(|start| name.starts_with(start)) {
            parse::absolute_path(&expanded)?
        } else {
            expanded
        };
        let old = if assert { self.loaded.settings.asserts() } else { self.loaded.settings.conditions() };
        let more = vec![(Rc::from(found.name), Rc::from(format!("{trigger}{negate}{value}")))];
        let all = parse::appended(old, more);
        self.loaded.settings.set(id, Value::Checks(all));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::specifiers::{HostSpecifiers, ManagerSpecifiers};
    use crate::unitfile::parse as parse_file;

    fn loaded(name: &str, text: &str) -> Loaded {
        let unit = UnitName::parse(name).expect("valid name");
        let (host, manager) = (HostSpecifiers::default(), ManagerSpecifiers::system("/run"));
        let specifiers =
            Specifiers { unit: &unit, fragment_path: Some("/x"), host: &host, manager: &manager };
        let files = UnitFiles { fragment: Some(parse_file("/x", text.as_bytes())), dropins: Vec::new() };
        load(unit.kind(), &files, &specifiers, &Settings::default(), &looks_like_zone)
    }

    fn said(loaded: &Loaded) -> Vec<(u32, String)> {
        loaded.warnings.iter().map(|warning| (warning.line, warning.kind.to_string())).collect()
    }

    #[test]
    fn a_service() {
        let unit = loaded(
            "a@b.service",
            "[Unit]\nDescription=The %i\nAfter=x.service y@.service\nWants=z.target\nConditionPathExists=|!/a//b\n\
             [Service]\nType=notify\nExecStart=/bin/a --x \"%i c\"\nRestart=on-failure\nTimeoutSec=5\n\
             Environment=A=1 \"B=2 3\"\nEnvironment=A=4\nEnvironmentFile=-/etc/a\nLimitNOFILE=10:20\n\
             ReadWritePaths=-/a +/b\nSuccessExitStatus=3 SIGHUP\nMemoryMax=50%\n[Install]\nWantedBy=m.target\n",
        );
        assert_eq!(said(&unit), []);
        let settings = &unit.settings;
        assert_eq!(settings.text(ids::DESCRIPTION), Some("The b"));
        assert_eq!(settings.word(ids::NOTIFY_ACCESS), "main");
        assert_eq!(settings.uint(ids::TIMEOUT_START_SEC), 5_000_000);
        assert_eq!(settings.uint(ids::TIMEOUT_STOP_SEC), 5_000_000);
        assert_eq!(&*settings.commands(ids::EXEC_START)[0].argv[2], "b c");
        let environment: Vec<&str> = settings.list(ids::ENVIRONMENT).iter().map(|text| &**text).collect();
        assert_eq!(environment, ["A=4", "B=2 3"]);
        assert_eq!(settings.rlimit(ids::LIMIT_NOFILE), Some((10, 20)));
        assert_eq!(settings.exit_set(ids::SUCCESS_EXIT_STATUS), (&[3_u8][..], &[1][..]));
        assert_eq!(settings.text(ids::MEMORY_MAX), Some("50%"));
        assert_eq!(settings.conditions(), [("ConditionPathExists".into(), "|!/a/b".into())]);
        assert_eq!(unit.dependencies.len(), 2);
        assert_eq!(unit.dependencies[0].1[1].as_str(), "y@b.service");
        assert_eq!(unit.install.len(), 1);
        assert!(unit.refused.is_none());
    }

    #[test]
    fn what_is_wrong_is_said_and_ignored() {
        let unit = loaded(
            "a.service",
            "[Service]\nExecStart=/bin/a\nNonsense=1\nX-Mine=1\nRestart=perhaps\nNice=50\n[Socket]\nBacklog=1\n\
             [X-Own]\nA=1\n[Unit]\nAfter=no-suffix b.service\n",
        );
        let lines: Vec<u32> = unit.warnings.iter().map(|warning| warning.line).collect();
        assert_eq!(lines, [7, 3, 5, 6, 12]);
        assert!(said(&unit)[2].1.contains("Restart=perhaps"), "{:?}", said(&unit));
        assert_eq!(unit.settings.word(ids::RESTART), "no");
        assert_eq!(unit.dependencies[0].1.len(), 1);
        assert!(unit.refused.is_none());
    }

    #[test]
    fn command_lines_that_cannot_be_read_refuse_the_unit() {
        assert!(loaded("a.service", "[Service]\nExecStart=bin/a\n").refused.is_some());
        let tolerant = loaded("a.service", "[Service]\nExecStart=-bin/a\n");
        assert!(tolerant.refused.is_none());
        assert_eq!(tolerant.warnings.len(), 1);
    }

    #[test]
    fn empty_assignments_reset() {
        let unit = loaded(
            "a.service",
            "[Unit]\nConditionPathExists=/a\nConditionHost=\n[Service]\nType=oneshot\nExecStart=/bin/a\nExecStart=\n\
             ExecStart=/bin/b\nEnvironment=A=1\nEnvironment=\nCapabilityBoundingSet=~CAP_CHOWN\n",
        );
        assert_eq!(said(&unit), []);
        assert_eq!(unit.settings.commands(ids::EXEC_START).len(), 1);
        assert!(unit.settings.list(ids::ENVIRONMENT).is_empty());
        assert!(unit.settings.conditions().is_empty());
        assert_eq!(unit.settings.bits(ids::CAPABILITY_BOUNDING_SET), u64::MAX - 1);
        assert_eq!(unit.settings.uint(ids::TIMEOUT_START_SEC), u64::MAX);
    }

    /// As the reference has them: `CapabilityBoundingSet=` takes all capabilities, `~` gives them back.
    #[test]
    fn an_empty_bounding_set_has_no_capability() {
        let bits = |lines: &str| {
            let unit = loaded("a.service", &format!("[Service]\nExecStart=/bin/a\n{lines}"));
            assert_eq!(said(&unit), []);
            unit.settings.bits(ids::CAPABILITY_BOUNDING_SET)
        };
        assert_eq!(bits("CapabilityBoundingSet=\n"), 0);
        assert_eq!(bits("CapabilityBoundingSet=CAP_CHOWN\nCapabilityBoundingSet=\n"), 0);
        assert_eq!(bits("CapabilityBoundingSet=\nCapabilityBoundingSet=CAP_KILL\n"), 1 << 5);
        assert_eq!(bits("CapabilityBoundingSet=\nCapabilityBoundingSet=~\n"), u64::MAX);
        assert_eq!(bits("AmbientCapabilities=CAP_KILL\nAmbientCapabilities=\n"), u64::MAX);
    }

    #[test]
    fn sockets_timers_and_paths_keep_their_order() {
        let socket =
            loaded("a.socket", "[Socket]\nListenStream=/run/a\nListenDatagram=0.0.0.0:5\nAccept=yes\n");
        let ports: Vec<(&str, &str)> =
            socket.settings.ports().iter().map(|port| (&*port.kind, &*port.address)).collect();
        assert_eq!(ports, [("Stream", "/run/a"), ("Datagram", "0.0.0.0:5")]);
        assert_eq!(socket.settings.uint(ids::TRIGGER_LIMIT_BURST), 200);
        let timer = loaded("a.timer", "[Timer]\nOnBootSec=15min\nOnCalendar=daily\nUnit=b.service\n");
        assert_eq!(said(&timer), []);
        assert_eq!(timer.settings.timers()[0], ("OnBootSec".into(), "900000000".into()));
        assert_eq!(&*timer.settings.timers()[1].1, "*-*-* 00:00:00");
        let path = loaded("a.path", "[Path]\nPathExists=/a\nDirectoryNotEmpty=/b/\n");
        assert_eq!(&*path.settings.paths()[1].path, "/b");
    }

    #[test]
    fn a_typical_service_is_small() {
        let unit = loaded(
            "cron.service",
            "[Unit]\nDescription=Regular background program processing daemon\nDocumentation=man:cron(8)\n\
             [Service]\nEnvironmentFile=-/etc/default/cron\nExecStart=/usr/sbin/cron -f $EXTRA_OPTS\n\
             IgnoreSIGPIPE=false\nKillMode=process\nRestart=on-failure\nSyslogFacility=cron\n",
        );
        assert!(unit.settings.len() <= 8);
        assert!(std::mem::size_of::<(DirectiveId, Value)>() * unit.settings.len() < 512);
    }
}
