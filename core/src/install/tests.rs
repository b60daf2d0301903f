//! Plans against what `systemctl` of the reference did with the same files.

use super::view::{file_name, parent};
use super::*;
use crate::names::UnitName;
use std::collections::{BTreeMap, BTreeSet};

/// A disk in memory. A file is `Ok`, a link `Err`.
#[derive(Default)]
struct Disk(BTreeMap<String, Result<Vec<u8>, String>>);

impl UnitDirView for Disk {
    fn read_dir(&self, path: &str) -> Result<Vec<Entry>, i32> {
        let prefix = format!("{path}/");
        let mut entries: BTreeMap<&str, EntryKind> = BTreeMap::new();
        for (file, content) in &self.0 {
            let Some(rest) = file.strip_prefix(&prefix) else { continue };
            match rest.split_once('/') {
                Some((directory, _)) => entries.insert(directory, EntryKind::Directory),
                None if content.is_ok() => entries.insert(rest, EntryKind::File),
                None => entries.insert(rest, EntryKind::Symlink),
            };
        }
        if entries.is_empty() {
            return Err(2);
        }
        Ok(entries.into_iter().map(|(name, kind)| Entry { name: name.to_owned(), kind }).collect())
    }

    fn read_link(&self, path: &str) -> Result<String, i32> {
        match self.0.get(path) {
            Some(Err(target)) => Ok(target.clone()),
            Some(Ok(_)) => Err(22),
            None => Err(2),
        }
    }

    fn read_file(&self, path: &str) -> Result<Vec<u8>, i32> {
        match self.0.get(path) {
            Some(Ok(bytes)) => Ok(bytes.clone()),
            Some(Err(target)) if target == "/dev/null" => Ok(Vec::new()),
            Some(Err(target)) => self.read_file(target),
            None => Err(2),
        }
    }
}

const ETC: &str = "/etc/systemd/system";
const LIB: &str = "/usr/lib/systemd/system";

struct World {
    disk: Disk,
    load_path: LoadPath,
    host: HostSpecifiers,
    manager: ManagerSpecifiers,
}

impl World {
    fn new() -> World {
        let mut disk = Disk::default();
        let mut file = |path: String, install: &str| {
            let text = format!("[Service]\nExecStart=/bin/true\n[Install]\n{install}");
            disk.0.insert(path, Ok(text.into_bytes()));
        };
        let lib = |name: &str| format!("{LIB}/{name}");
        file(lib("multi-user.target"), "");
        file(lib("sockets.target"), "");
        file(lib("t1.service"), "WantedBy=multi-user.target\nAlias=t1alias.service\nAlso=t1.socket\n");
        file(lib("t1.socket"), "WantedBy=sockets.target\nRequiredBy=foo.service\nUpheldBy=bar.service\n");
        file(lib("t2@.service"), "WantedBy=multi-user.target\nDefaultInstance=di\n");
        file(lib("t3@.service"), "WantedBy=multi-user.target\n");
        file(lib("t4.service"), "Also=t1.service\n");
        file(lib("t5.service"), "");
        file("/root/t6.service".into(), "WantedBy=multi-user.target\n");
        file(lib("t7.service"), "Alias=t7b@x.service t7c.socket\nWantedBy=nonsense\n");
        file(lib("t8@.service"), "Alias=t8b@.service\nWantedBy=x-%i.target %p.target\n");
        file(format!("{ETC}/t9.service"), "WantedBy=multi-user.target\n");
        file(lib("t9.service"), "WantedBy=multi-user.target\n");
        file("/run/systemd/system/t10.service".into(), "WantedBy=multi-user.target\n");
        file(lib("t12.service"), "Also=t12b.service\nWantedBy=multi-user.target\n");
        file("/run/systemd/generator/g.service".into(), "WantedBy=multi-user.target\n");
        file("/run/systemd/transient/r.service".into(), "");
        World {
            disk,
            load_path: LoadPath::system("/run"),
            host: HostSpecifiers::default(),
            manager: ManagerSpecifiers::system("/run"),
        }
    }

    fn cx(&self) -> Context<'_> {
        Context { view: &self.disk, load_path: &self.load_path, host: &self.host, manager: &self.manager }
    }

    /// Runs a plan, does it on the disk, and gives lines like `+ PATH -> TARGET`, `- PATH`, `! NOTICE`.
    fn run(&mut self, plan: impl FnOnce(&Context<'_>) -> Result<Outcome, InstallError>) -> Vec<String> {
        let outcome = match plan(&self.cx()) {
            Ok(outcome) => outcome,
            Err(error) => return vec![format!("! {error}")],
        };
        let mut lines = Vec::new();
        for Change { kind, path, source } in outcome.changes {
            let short = path.replace(ETC, "E").replace(LIB, "L").replace("/run/systemd/system", "R");
            match kind {
                ChangeKind::Symlink => {
                    lines.push(format!("+ {short} -> {}", source.replace(LIB, "L")));
                    assert!(self.disk.0.insert(path, Err(source)).is_none());
                }
                ChangeKind::Unlink => {
                    lines.push(format!("- {short}"));
                    self.disk.0.remove(&path);
                }
                kind => lines.push(format!("! {} {short} {source}", kind.wire_name()).trim_end().to_owned()),
            }
        }
        lines.extend(outcome.error.map(|error| format!("! {error}")));
        lines
    }

    fn enable(&mut self, name: &str) -> Vec<String> {
        self.run(|cx| enable(cx, Flags::default(), &[name.to_owned()]))
    }

    fn disable(&mut self, name: &str) -> Vec<String> {
        self.run(|cx| disable(cx, Flags::default(), &[name.to_owned()]))
    }

    fn state(&self, name: &str) -> &'static str {
        let name = UnitName::parse(name).expect("valid");
        unit_file_state(&self.cx(), &name).map_or("not-found", UnitFileState::as_str)
    }
}

const RUNTIME: Flags = Flags { runtime: true, force: false };

#[test]
fn enabling_and_disabling() {
    let mut world = World::new();
    assert_eq!(
        world.enable("t1.service"),
        [
            "+ E/t1alias.service -> L/t1.service",
            "+ E/multi-user.target.wants/t1.service -> L/t1.service",
            "+ E/sockets.target.wants/t1.socket -> L/t1.socket",
            "+ E/foo.service.requires/t1.socket -> L/t1.socket",
            "! destination not present L/t1.socket foo.service",
            "+ E/bar.service.upholds/t1.socket -> L/t1.socket",
            "! destination not present L/t1.socket bar.service",
        ]
    );
    assert_eq!(
        ["t1.service", "t1.socket", "t1alias.service"].map(|n| world.state(n)),
        ["enabled", "enabled", "alias"]
    );
    assert_eq!(world.enable("t1.service").len(), 2);
    assert_eq!(
        world.enable("t1alias.service"),
        ["! Refusing to operate on linked unit file t1alias.service"]
    );
    assert_eq!(world.disable("t1.service").into_iter().collect::<BTreeSet<_>>().len(), 5);
    assert_eq!(
        ["t1.service", "t1.socket", "t1alias.service"].map(|n| world.state(n)),
        ["disabled", "disabled", "not-found"]
    );
    assert_eq!(world.enable("nope.service"), ["! Unit nope.service does not exist"]);
    assert_eq!(world.disable("nope.service"), ["! Unit nope.service does not exist"]);
    assert_eq!(
        world.enable("t12.service"),
        ["+ E/multi-user.target.wants/t12.service -> L/t12.service", "! auxiliary unit failed t12b.service",]
    );
}

#[test]
fn templates() {
    let mut world = World::new();
    assert_eq!(world.enable("t2@.service"), ["+ E/multi-user.target.wants/t2@di.service -> L/t2@.service"]);
    assert_eq!(
        ["t2@.service", "t2@di.service", "t2@foo.service"].map(|n| world.state(n)),
        ["enabled", "enabled", "disabled"]
    );
    assert_eq!(
        world.enable("t2@foo.service"),
        ["+ E/multi-user.target.wants/t2@foo.service -> L/t2@.service"]
    );
    assert_eq!(world.disable("t2@.service").len(), 2);
    assert_eq!(
        world.enable("t3@.service"),
        [
            "! Refusing to operate on template unit t3@.service when destination unit multi-user.target is a non-template unit"
        ]
    );
    assert_eq!(world.enable("t3@a.service").len(), 1);
    assert_eq!(
        ["t3@.service", "t3@a.service", "t3@b.service"].map(|n| world.state(n)),
        ["indirect", "enabled", "disabled"]
    );
    assert_eq!(world.disable("t3@b.service"), Vec::<String>::new());
    assert_eq!(world.disable("t3@a.service"), ["- E/multi-user.target.wants/t3@a.service"]);
    assert_eq!(world.enable("t7.service"), ["! Cannot alias t7.service as t7b@x.service"]);
    assert_eq!(
        world.enable("t8@i.service"),
        [
            "+ E/t8b@i.service -> L/t8@.service",
            "+ E/x-i.target.wants/t8@i.service -> L/t8@.service",
            "! destination not present L/t8@.service x-i.target",
            "+ E/t8.target.wants/t8@i.service -> L/t8@.service",
            "! destination not present L/t8@.service t8.target",
        ]
    );
    // What was planned before the error stays.
    assert_eq!(
        world.enable("t8@.service"),
        [
            "+ E/t8b@.service -> L/t8@.service",
            "! Refusing to operate on template unit t8@.service when destination unit x-.target is a non-template unit",
        ]
    );
    assert_eq!(world.disable("t8@.service").len(), 4);
}

#[test]
fn links_and_states() {
    let mut world = World::new();
    assert_eq!(
        ["t4.service", "t5.service", "t10.service"].map(|n| world.state(n)),
        ["indirect", "static", "disabled"]
    );
    assert_eq!(["g.service", "r.service"].map(|n| world.state(n)), ["generated", "transient"]);
    assert_eq!(
        world.enable("g.service"),
        ["! Unit /run/systemd/generator/g.service is transient or generated"]
    );
    let linked = world.run(|cx| link(cx, Flags::default(), &["/root/t6.service".into()]));
    assert_eq!(linked, ["+ E/t6.service -> /root/t6.service"]);
    assert_eq!(world.state("t6.service"), "linked");
    assert_eq!(world.enable("t6.service"), ["+ E/multi-user.target.wants/t6.service -> /root/t6.service"]);
    assert_eq!(world.state("t6.service"), "enabled");
    assert_eq!(world.disable("t6.service").len(), 2);
    assert_eq!(world.state("t6.service"), "not-found");
    // What a generator links is enabled until the next reload.
    let wants = "/run/systemd/generator/a.target.wants";
    for (link, file) in [("t5.service", "t5"), ("t3@a.service", "t3@")] {
        world.disk.0.insert(format!("{wants}/{link}"), Err(format!("{LIB}/{file}.service")));
    }
    assert_eq!(
        ["t5.service", "t3@a.service", "t3@b.service", "t3@.service"].map(|n| world.state(n)),
        ["enabled-runtime", "enabled-runtime", "disabled", "indirect"]
    );
    world.disk.0.remove(&format!("{wants}/t5.service"));
    world.disk.0.remove(&format!("{wants}/t3@a.service"));
    assert_eq!(
        world.enable("/root/t6.service"),
        ["+ E/t6.service -> /root/t6.service", "+ E/multi-user.target.wants/t6.service -> /root/t6.service",]
    );
    world.disk.0.insert(format!("{ETC}/t11.service"), Err(format!("{LIB}/t5.service")));
    assert_eq!(["t11.service", "t5.service"].map(|n| world.state(n)), ["alias", "indirect"]);
    assert_eq!(world.disable("t5.service"), ["- E/t11.service"]);
    assert_eq!(
        world.run(|cx| enable(cx, RUNTIME, &["t12.service".into()])),
        ["+ R/multi-user.target.wants/t12.service -> L/t12.service", "! auxiliary unit failed t12b.service",]
    );
    assert_eq!(world.state("t12.service"), "enabled-runtime");
    assert_eq!(world.disable("t12.service"), Vec::<String>::new());
}

#[test]
fn masks() {
    let mut world = World::new();
    let mask_it = |world: &mut World, name: &str, flags| world.run(|cx| mask(cx, flags, &[name.to_owned()]));
    let unmask_it =
        |world: &mut World, name: &str, flags| world.run(|cx| unmask(cx, flags, &[name.to_owned()]));
    assert_eq!(
        mask_it(&mut world, "t9.service", Flags::default()),
        ["! File '/etc/systemd/system/t9.service' already exists"]
    );
    assert_eq!(mask_it(&mut world, "t5.service", Flags::default()), ["+ E/t5.service -> /dev/null"]);
    assert_eq!(mask_it(&mut world, "t5.service", Flags::default()), Vec::<String>::new());
    assert_eq!(world.state("t5.service"), "masked");
    assert_eq!(world.enable("t5.service"), ["! Unit /etc/systemd/system/t5.service is masked"]);
    assert_eq!(unmask_it(&mut world, "t5.service", Flags::default()), ["- E/t5.service"]);
    assert_eq!(unmask_it(&mut world, "t5.service", Flags::default()), Vec::<String>::new());
    mask_it(&mut world, "t5.service", RUNTIME);
    assert_eq!(world.state("t5.service"), "masked-runtime");
    assert_eq!(unmask_it(&mut world, "t5.service", RUNTIME), ["- R/t5.service"]);
    world.disk.0.insert(format!("{ETC}/t1.service.d/override.conf"), Ok(b"[Unit]\n".to_vec()));
    assert_eq!(
        world.run(|cx| revert(cx, &["t1.service".into()])),
        ["- E/t1.service.d/override.conf", "- E/t1.service.d"]
    );
    assert_eq!(world.run(|cx| revert(cx, &["t9.service".into()])), ["- E/t9.service"]);
}

#[test]
fn dependencies_and_default() {
    let mut world = World::new();
    let five = ["t5.service".to_owned()];
    let add = |cx: &Context<'_>, target: &str| add_dependency(cx, Flags::default(), &five, target, "wants");
    assert_eq!(
        world.run(|cx| add(cx, "multi-user.target")),
        ["+ E/multi-user.target.wants/t5.service -> L/t5.service"]
    );
    assert_eq!(world.state("t5.service"), "enabled");
    assert_eq!(world.run(|cx| add(cx, "foo.target")), ["! Unit foo.target does not exist"]);
    assert_eq!(
        world.run(|cx| set_default(cx, "multi-user.target")),
        ["+ E/default.target -> L/multi-user.target"]
    );
    assert_eq!(get_default(&world.cx()).map(|n| n.to_string()), Ok("multi-user.target".into()));
    assert_eq!(
        world.run(|cx| set_default(cx, "sockets.target")),
        ["- E/default.target", "+ E/default.target -> L/sockets.target"]
    );
    assert!(set_default(&world.cx(), "t1.service").is_err());
}

#[test]
fn presets() {
    let mut world = World::new();
    let mut rules = PresetRules::default();
    rules.parse("p", "# c\nenable t2@.service a b\nignore t[45]*\nenable t1.*\ndisable *\nwhat\n");
    assert_eq!(rules.warnings, [("p".to_owned(), 6)]);
    let query = |name: &str| rules.query(&UnitName::parse(name).expect("valid"));
    assert_eq!(query("t2@.service"), Preset::Enable(vec!["a".into(), "b".into()]));
    assert_eq!(query("t2@a.service"), Preset::Enable(vec![]));
    assert_eq!(query("t2@c.service"), Preset::Disable);
    assert_eq!(query("t5.service"), Preset::Ignore);
    world.enable("t12.service");
    let lines = world.run(|cx| preset_all(cx, Flags::default(), &rules, PresetMode::Full));
    assert!(lines.contains(&"- E/multi-user.target.wants/t12.service".to_owned()), "{lines:?}");
    assert!(lines.contains(&"+ E/multi-user.target.wants/t2@a.service -> L/t2@.service".to_owned()));
    assert!(lines.contains(&"+ E/t1alias.service -> L/t1.service".to_owned()));
    assert_eq!(
        ["t1.service", "t12.service", "t2@a.service"].map(|n| world.state(n)),
        ["enabled", "disabled", "enabled"]
    );
    let again = world.run(|cx| preset_all(cx, Flags::default(), &rules, PresetMode::Full));
    assert!(again.iter().all(|line| line.starts_with('!')), "{again:?}");
}

#[test]
fn listing_and_loops() {
    let mut world = World::new();
    world.disk.0.insert(format!("{ETC}/l1.service"), Err(format!("{ETC}/l2.service")));
    world.disk.0.insert(format!("{ETC}/l2.service"), Err(format!("{ETC}/l1.service")));
    world.disk.0.insert(format!("{ETC}/l3.service"), Err("/nowhere/l3.service".into()));
    world.disk.0.insert(format!("{ETC}/bad.service"), Ok(b"[Install\n".to_vec()));
    let list = list_unit_files(&world.cx());
    let state = |name: &str| list.get(&UnitName::parse(name).expect("valid")).map(|file| file.state.as_str());
    assert_eq!(state("l1.service"), Some("bad"));
    assert_eq!(state("bad.service"), Some("bad"));
    assert_eq!(state("t4.service"), Some("indirect"));
    assert_eq!(list.len(), 19);
    assert_eq!((parent("/a/b"), file_name("/a/b"), parent("/a")), ("/a", "b", "/"));
}
