//! The requirements, one row each: what the standard says, and what breaks it in a survey.
use super::{Entry, Kind, Root, Survey};

/// Free bytes and inodes below which the next service cannot be expected to start.
const LEAST_BYTES: u64 = 1 << 20;
const LEAST_INODES: u64 = 256;
/// PID 1 looks at its clock after the kernel has started it.
const CLOCK_SLACK: u64 = 2_000_000;
/// Directories that users may write to, by their nature (`COMPAT.md`): locks, and what belongs to one user.
const SHARED: [&str; 1] = ["lock"];
/// System users end below.
const FIRST_PERSON: u32 = 1000;

/// A row of `runstead rundir check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// A word for programs.
    pub name: &'static str,
    /// What has to hold.
    pub text: &'static str,
    /// Where that is written.
    pub source: &'static str,
    /// Whether it does.
    pub verdict: Verdict,
}

/// Whether a requirement holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Holds,
    /// It does not, because of these.
    Broken(Vec<Breach>),
    /// It cannot be told here.
    Unknown(&'static str),
}

/// What breaks a requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Where, as an absolute path.
    pub path: String,
    /// What is wrong there.
    pub what: String,
    /// How to mend it.
    pub remedy: String,
}

/// Judge each requirement, in the order in which they are read.
pub fn check(survey: &Survey) -> Vec<Row> {
    const FHS: &str = "FHS 3.0, 3.15";
    let row = |name, text, source, verdict| Row { name, text, source, verdict };
    let directory = directory(&survey.root);
    let there = directory == Verdict::Holds;
    let only_there = |look: &dyn Fn(&Survey) -> Verdict| {
        if there { look(survey) } else { Verdict::Unknown("there is no /run") }
    };
    vec![
        row("directory", "/run is a directory", FHS, directory),
        row("owner", "/run belongs to root", FHS, only_there(&|survey| owner(&survey.root))),
        row(
            "unprivileged",
            "/run is not writable by the unprivileged",
            FHS,
            only_there(&|survey| mode(&survey.root)),
        ),
        row(
            "usable",
            "programs can be kept in /run: writable, executable, with room",
            "runstead(8)",
            only_there(&usable),
        ),
        row("cleared", "/run holds nothing from before this boot", FHS, only_there(&cleared)),
        row("var-run", "/var/run is /run", FHS, alias(&survey.var_run, "/var/run", "/run", "../run")),
        row(
            "var-lock",
            "/var/lock is /run/lock",
            "FHS 3.0, 5.9; Debian",
            alias(&survey.var_lock, "/var/lock", "/run/lock", "../run/lock"),
        ),
        row("directories", "directories are writable by their owners alone", FHS, only_there(&directories)),
        row("users", "each user's directory is that user's alone", FHS, only_there(&users)),
        row(
            "credentials",
            "credentials are not readable by others",
            "systemd.exec(5)",
            only_there(&credentials),
        ),
        row("pid-files", "PID files hold a decimal number and a newline", FHS, only_there(&pid_files)),
        row("sockets", "sockets of system programs are in /run", FHS, sockets(survey)),
    ]
}

/// What a manager looks at before it begins: what is broken of the rows about `/run` itself.
pub fn preconditions(root: &Root) -> Vec<Breach> {
    let verdicts = [directory(root), owner(root), mode(root), Verdict::Broken(shortages(root))];
    let broken = verdicts.into_iter().filter_map(|verdict| match verdict {
        Verdict::Broken(breaches) => Some(breaches),
        _ => None,
    });
    broken.flatten().collect()
}

/// A verdict from what was found.
fn judged(breaches: Vec<Breach>) -> Verdict {
    if breaches.is_empty() { Verdict::Holds } else { Verdict::Broken(breaches) }
}

fn breach(path: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) -> Breach {
    Breach { path: path.into(), what: what.into(), remedy: remedy.into() }
}

fn broken(what: impl Into<String>, remedy: impl Into<String>) -> Verdict {
    Verdict::Broken(vec![breach("/run", what, remedy)])
}

fn directory(root: &Root) -> Verdict {
    match &root.kind {
        Some(Kind::Directory) => Verdict::Holds,
        None => broken("is missing", "make it: mkdir -m 0755 /run"),
        Some(Kind::Link(target)) => {
            broken(format!("is a link to {target}"), "replace the link by a directory of its own")
        }
        Some(kind) => broken(format!("is a {}", kind.word()), "replace it by a directory"),
    }
}

fn owner(root: &Root) -> Verdict {
    match (root.uid, root.gid) {
        (0, 0) => Verdict::Holds,
        (0, gid) => broken(format!("belongs to group {gid}"), "chgrp root /run"),
        (uid, 0) => broken(
            format!("belongs to user {uid} in root's group, as in containers that run under a random user"),
            "start runstead as root, or with a run root of that user's own (runstead boot)",
        ),
        (uid, gid) => broken(format!("belongs to {uid}:{gid}"), "chown root:root /run"),
    }
}

fn mode(root: &Root) -> Verdict {
    match root.mode & 0o022 {
        0 => Verdict::Holds,
        _ => broken(format!("has mode {:04o}", root.mode), "chmod 0755 /run"),
    }
}

fn usable(survey: &Survey) -> Verdict {
    if survey.is_image() {
        return Verdict::Unknown("an image has no mounts");
    }
    judged(shortages(&survey.root))
}

fn shortages(root: &Root) -> Vec<Breach> {
    let mut found = Vec::new();
    let mut add = |broken: bool, what: String, remedy: &str| {
        if broken {
            found.push(breach("/run", what, remedy));
        }
    };
    add(root.read_only, "is read-only".to_owned(), "mount a tmpfs on /run (a container: --tmpfs /run)");
    add(
        root.noexec,
        "is mounted noexec".to_owned(),
        "mount -o remount,exec /run (a container: --tmpfs /run:exec)",
    );
    let (free, all) = root.bytes;
    let text = format!("has {} KiB left of {} KiB", free >> 10, all >> 10);
    add(
        free < LEAST_BYTES,
        text,
        "see 'runstead rundir top' for who takes it; mount -o remount,size=20% /run",
    );
    let (free, all) = root.inodes;
    let text = format!("has {free} inodes left of {all}");
    let remedy = "see 'runstead rundir top' for who takes them; mount -o remount,nr_inodes=800k /run";
    add(all > 0 && free < LEAST_INODES, text, remedy);
    found
}

/// Of an image, what it ships in `/run` that a boot has to clear: directories may be there as mount points.
fn cleared(survey: &Survey) -> Verdict {
    let stale = |entry: &Entry| match survey.booted {
        Some(booted) => entry.mount.is_none() && entry.since + CLOCK_SLACK < booted,
        None => entry.kind != Kind::Directory,
    };
    // A machine's tmpfs is as old as its boot at most, whatever its clock said then.
    if survey.root.mounted && survey.root.fstype == "tmpfs" && !survey.is_image() && !survey.container {
        return Verdict::Holds;
    }
    let found =
        survey.entries.iter().filter(|(_, entry)| stale(entry)).map(|(path, _)| match survey.booted {
            Some(_) => breach(
                absolute(path),
                "is older than this boot",
                "remove it; its program makes what it needs (tmpfiles.d(5))",
            ),
            None => breach(
                absolute(path),
                "is shipped in the image",
                "remove it from the image; describe it in tmpfiles.d(5)",
            ),
        });
    judged(found.collect())
}

fn alias(alias: &super::Alias, name: &'static str, place: &str, target: &str) -> Verdict {
    if alias.leads_there {
        return Verdict::Holds;
    }
    let link = format!("ln -s {target} {name}");
    Verdict::Broken(vec![match &alias.kind {
        None => breach(name, "is missing: old programs look there", link),
        Some(Kind::Link(to)) => breach(name, format!("leads to {to}"), format!("ln -sfn {target} {name}")),
        Some(Kind::Directory) => breach(
            name,
            format!("is a directory of its own: what is there is not in {place}, and outlives a boot"),
            format!("stop what uses it, move it away, {link}"),
        ),
        Some(kind) => breach(name, format!("is a {}", kind.word()), format!("move it away, {link}")),
    }])
}

fn directories(survey: &Survey) -> Verdict {
    let writable = survey.entries.iter().filter(|(path, entry)| {
        entry.kind == Kind::Directory
            && entry.mode & 0o002 != 0
            && entry.mount.is_none()
            && !path.starts_with("user/")
            && !(SHARED.contains(&path.as_str()) && entry.mode & 0o1000 != 0)
    });
    judged(
        writable
            .map(|(path, entry)| {
                let what = format!("has mode {:04o}: everybody may write there", entry.mode);
                breach(
                    absolute(path),
                    what,
                    format!("chmod o-w {}, and mend the program that makes it", absolute(path)),
                )
            })
            .collect(),
    )
}

fn users(survey: &Survey) -> Verdict {
    let mut found = Vec::new();
    for (path, entry) in &survey.entries {
        let Some(name) = path.strip_prefix("user/").filter(|name| !name.contains('/')) else { continue };
        let place = absolute(path);
        match name.parse::<u32>() {
            Err(_) => found.push(breach(&place, "is no user's number", "remove it")),
            Ok(_) if entry.kind != Kind::Directory => {
                found.push(breach(&place, format!("is a {}", entry.kind.word()), "remove it"));
            }
            Ok(uid) if entry.uid != uid => {
                found.push(breach(
                    &place,
                    format!("belongs to {}", entry.uid),
                    format!("chown {uid} {place}"),
                ));
            }
            Ok(_) if entry.mode & 0o077 != 0 => {
                found.push(breach(
                    &place,
                    format!("has mode {:04o}", entry.mode),
                    format!("chmod 0700 {place}"),
                ));
            }
            Ok(_) => {}
        }
    }
    judged(found)
}

fn credentials(survey: &Survey) -> Verdict {
    let below = survey
        .entries
        .range("credentials/".to_owned()..)
        .take_while(|(path, _)| path.starts_with("credentials/"));
    let open = below.filter(|(_, entry)| !matches!(entry.kind, Kind::Link(_)) && entry.mode & 0o007 != 0);
    let tell = |(path, entry): (&String, &Entry)| {
        breach(absolute(path), format!("has mode {:04o}", entry.mode), format!("chmod o= {}", absolute(path)))
    };
    judged(open.map(tell).collect())
}

fn pid_files(survey: &Survey) -> Verdict {
    let tell = |(path, entry): (&String, &Entry)| {
        let file = entry.pid.as_ref().filter(|file| !file.exact)?;
        let what = match &file.pid {
            Ok(pid) => format!("says {pid}, but not as a decimal number and a newline"),
            Err(why) => why.clone(),
        };
        Some(breach(
            absolute(path),
            what,
            "the program that writes it has to write the number and a newline (runstead pidfile)",
        ))
    };
    judged(survey.entries.iter().filter_map(tell).collect())
}

fn sockets(survey: &Survey) -> Verdict {
    if survey.is_image() {
        return Verdict::Unknown("an image has no sockets");
    }
    // An abstract socket has no place; one that nobody holds any more is not used.
    let elsewhere = survey.sockets.iter().filter(|(path, socket)| {
        socket.listens
            && path.starts_with('/')
            && !["/run/", "/var/run/"].iter().any(|place| path.starts_with(place))
    });
    let mut found = Vec::new();
    for (path, socket) in elsewhere {
        let Some(holder) = socket.holders.iter().find(|holder| holder.uid < FIRST_PERSON) else { continue };
        let what = format!("is a socket of {} (PID {})", holder.name, holder.pid);
        found.push(breach(
            path,
            what,
            format!("have {} put it in a directory below /run (RuntimeDirectory=)", holder.name),
        ));
    }
    judged(found)
}

fn absolute(path: &str) -> String {
    format!("/run/{path}")
}

#[cfg(test)]
mod tests {
    use super::super::{Alias, Holder, PidFile, Process, Socket};
    use super::*;
    use std::collections::BTreeMap;

    fn good() -> Survey {
        let root = Root {
            kind: Some(Kind::Directory),
            mode: 0o755,
            uid: 0,
            gid: 0,
            fstype: "tmpfs".to_owned(),
            mounted: true,
            read_only: false,
            noexec: false,
            bytes: (1 << 30, 1 << 30),
            inodes: (0, 0),
        };
        let link = |target: &str| Alias { kind: Some(Kind::Link(target.to_owned())), leads_there: true };
        let mut survey = Survey {
            root,
            entries: BTreeMap::new(),
            var_run: link("../run"),
            var_lock: link("../run/lock"),
            sockets: BTreeMap::new(),
            booted: Some(100_000_000),
            container: true,
            unseen: Vec::new(),
        };
        add(&mut survey, "lock", Kind::Directory, 0o1777, 0);
        add(&mut survey, "user/1000", Kind::Directory, 0o700, 1000);
        add(&mut survey, "credentials/a.service/key", Kind::File, 0o400, 0);
        survey
    }

    fn add<'a>(survey: &'a mut Survey, path: &str, kind: Kind, mode: u32, uid: u32) -> &'a mut Entry {
        let entry = Entry { kind, mode, uid, gid: uid, bytes: 0, since: 101_000_000, mount: None, pid: None };
        survey.entries.entry(path.to_owned()).or_insert(entry)
    }

    /// The names of what is broken, each with its first path.
    fn broken(survey: &Survey) -> Vec<(&'static str, String)> {
        let rows = check(survey).into_iter();
        rows.filter_map(|row| match row.verdict {
            Verdict::Broken(breaches) => Some((row.name, breaches.first()?.path.clone())),
            _ => None,
        })
        .collect()
    }

    #[test]
    fn each_requirement_can_be_broken_alone() {
        assert_eq!(broken(&good()), []);
        type Damage = fn(&mut Survey);
        let cases: [(&str, &str, Damage); 16] = [
            ("directory", "/run", |survey| survey.root.kind = Some(Kind::Link("/tmp".to_owned()))),
            ("directory", "/run", |survey| survey.root.kind = None),
            ("owner", "/run", |survey| survey.root.uid = 12345),
            ("unprivileged", "/run", |survey| survey.root.mode = 0o775),
            ("usable", "/run", |survey| survey.root.read_only = true),
            ("usable", "/run", |survey| survey.root.noexec = true),
            ("usable", "/run", |survey| survey.root.bytes.0 = 4096),
            ("usable", "/run", |survey| survey.root.inodes = (3, 100)),
            ("cleared", "/run/old", |survey| add(survey, "old", Kind::File, 0o644, 0).since = 5),
            ("var-run", "/var/run", |survey| {
                survey.var_run = Alias { kind: Some(Kind::Directory), leads_there: false };
            }),
            ("var-lock", "/var/lock", |survey| survey.var_lock = Alias { kind: None, leads_there: false }),
            ("directories", "/run/open", |survey| {
                add(survey, "open", Kind::Directory, 0o755, 0).mode = 0o777
            }),
            ("users", "/run/user/1001", |survey| {
                add(survey, "user/1001", Kind::Directory, 0o700, 1001).mode = 0o755
            }),
            ("credentials", "/run/credentials/b", |survey| {
                add(survey, "credentials/b", Kind::File, 0o400, 0).mode = 0o444
            }),
            ("pid-files", "/run/a.pid", |survey| {
                let pid = PidFile { pid: Ok(7), exact: false, process: Process::Gone };
                add(survey, "a.pid", Kind::File, 0o644, 0).pid = Some(pid);
            }),
            ("sockets", "/var/lib/a/socket", |survey| {
                let holder = Holder { name: "a".to_owned(), pid: 7, uid: 0, unit: None };
                let socket = Socket { listens: true, peers: 0, holders: vec![holder] };
                survey.sockets.insert("/var/lib/a/socket".to_owned(), socket);
            }),
        ];
        for (name, path, damage) in cases {
            let mut survey = good();
            damage(&mut survey);
            assert_eq!(broken(&survey), [(name, path.to_owned())]);
        }
    }

    #[test]
    fn what_is_meant_so_is_not_broken() {
        let mut survey = good();
        add(&mut survey, "user/1000/shared", Kind::Directory, 0o777, 1000);
        add(&mut survey, "secrets", Kind::Directory, 0o755, 0).since = 5;
        survey.entries.get_mut("secrets").unwrap().mount = Some("tmpfs".to_owned());
        let socket = |uid| Socket {
            listens: true,
            peers: 0,
            holders: vec![Holder { name: "a".to_owned(), pid: 7, uid, unit: None }],
        };
        survey.sockets.insert("/run/a".to_owned(), socket(0));
        survey.sockets.insert("/tmp/ssh-x/agent".to_owned(), socket(1000));
        assert_eq!(broken(&survey), []);
        assert_eq!(preconditions(&survey.root), []);
    }
}
