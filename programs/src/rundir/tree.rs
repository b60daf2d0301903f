//! `runstead rundir tree`.
use super::options::Options;
use super::owners;
use super::paint::{BLUE, CYAN, GREEN, GREY, MAGENTA, Paint, RED, YELLOW, size};
use runstead_core::rundir::{Entry, Kind, Owners, PidFile, Process, Socket, Survey};
use runstead_os::users::Users;
use serde_json::json;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Names of processes that are told of one socket.
const HOLDERS: usize = 3;

pub fn run(options: &Options) -> Result<ExitCode, String> {
    let survey = super::look(options)?;
    let (owners, untold) = owners::of(&survey);
    let users =
        if survey.is_image() { Users::in_directory(options.root.join("etc")) } else { Users::default() };
    let view =
        View { survey: &survey, owners: &owners, users, totals: totals(&survey), paint: Paint::of_stdout() };
    if options.json {
        survey.entries.iter().for_each(|(path, entry)| println!("{}", view.json(path, entry)));
    } else {
        view.head();
        view.level("", "", options.depth);
    }
    super::tell_unseen(&survey);
    if let Some(why) = untold {
        eprintln!("{why}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Bytes and entries of each directory with all below it, and of everything as "".
fn totals(survey: &Survey) -> BTreeMap<&str, (u64, u64)> {
    let mut totals: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (path, entry) in &survey.entries {
        let mut place = path.as_str();
        loop {
            let total = totals.entry(place).or_default();
            *total = (total.0 + entry.bytes, total.1 + 1);
            if place.is_empty() {
                break;
            }
            place = place.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
    }
    totals
}

struct View<'a> {
    survey: &'a Survey,
    owners: &'a Owners,
    users: Users,
    totals: BTreeMap<&'a str, (u64, u64)>,
    paint: Paint,
}

impl View<'_> {
    fn head(&self) {
        let root = &self.survey.root;
        let (bytes, inodes) = self.totals.get("").copied().unwrap_or_default();
        let kind = if root.fstype.is_empty() { String::new() } else { format!("{}, ", root.fstype) };
        println!("/run  {kind}{} in {inodes} entries", size(bytes));
    }

    fn level(&self, parent: &str, indent: &str, depth: usize) {
        let children: Vec<(&String, &Entry)> = self.children(parent).collect();
        let last = children.len().saturating_sub(1);
        for (number, (path, entry)) in children.into_iter().enumerate() {
            let (branch, below) = if number == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            self.line(&format!("{indent}{branch}"), path, entry);
            if entry.kind == Kind::Directory && depth > 1 {
                self.level(path, &format!("{indent}{below}"), depth - 1);
            }
        }
    }

    fn children<'b>(&'b self, parent: &'b str) -> impl Iterator<Item = (&'b String, &'b Entry)> {
        let prefix = if parent.is_empty() { String::new() } else { format!("{parent}/") };
        let from = self.survey.entries.range(prefix.clone()..);
        let length = prefix.len();
        from.take_while(move |(path, _)| path.starts_with(&prefix))
            .filter(move |(path, _)| !path[length..].contains('/') && path.len() > length)
    }

    fn line(&self, indent: &str, path: &str, entry: &Entry) {
        let name = path.rsplit('/').next().unwrap_or(path);
        let colour = match entry.kind {
            Kind::Directory => Some(BLUE),
            Kind::Link(_) => Some(CYAN),
            Kind::Socket => Some(MAGENTA),
            Kind::Fifo | Kind::Device => Some(YELLOW),
            Kind::File => None,
        };
        let shown = colour.map_or_else(|| name.to_owned(), |colour| self.paint.colour(colour, name));
        let room = 44usize.saturating_sub(indent.chars().count() + name.chars().count());
        let (bytes, inodes) = self.totals.get(path).copied().unwrap_or_default();
        let count = if inodes > 1 { format!("{inodes:>6}") } else { " ".repeat(6) };
        let unit = self.owners.unit(path).unwrap_or("");
        let notes = self.notes(path, entry);
        let line = format!(
            "{indent}{shown}{:room$} {} {:<10} {:>9} {count}  {unit:<28} {notes}",
            "",
            permissions(entry),
            self.user(entry.uid),
            size(bytes),
        );
        println!("{}", line.trim_end());
    }

    fn user(&self, uid: u32) -> String {
        self.users.by_uid(uid).map_or_else(|_| uid.to_string(), |user| user.name.to_string())
    }

    fn notes(&self, path: &str, entry: &Entry) -> String {
        let mut notes = Vec::new();
        if let Kind::Link(target) = &entry.kind {
            notes.push(format!("-> {target}"));
        }
        if let Some(kind) = &entry.mount {
            notes.push(self.paint.colour(CYAN, &format!("mount: {kind}")));
        }
        if let Some(file) = &entry.pid {
            notes.push(self.pid_file(file));
        }
        if entry.kind == Kind::Socket && !self.survey.is_image() && entry.mode != 0 {
            notes.push(self.socket(path));
        }
        notes.join(", ")
    }

    fn pid_file(&self, file: &PidFile) -> String {
        let pid = match &file.pid {
            Ok(pid) => pid,
            Err(why) => return self.paint.colour(RED, why),
        };
        match &file.process {
            Process::Live(name) => self.paint.colour(GREEN, &format!("{pid} is {name}")),
            Process::Reused(name) => {
                self.paint.colour(RED, &format!("stale: {pid} is another process, {name}"))
            }
            Process::Unsure(name) => {
                self.paint.colour(YELLOW, &format!("{pid} is {name}, or another process"))
            }
            Process::Gone => self.paint.colour(RED, &format!("stale: no process {pid}")),
            Process::Unknown => pid.to_string(),
        }
    }

    fn socket(&self, path: &str) -> String {
        let Some(socket) = self.socket_at(path).filter(|socket| socket.listens) else {
            return self.paint.colour(GREY, "nobody listens");
        };
        let names: Vec<String> = socket
            .holders
            .iter()
            .take(HOLDERS)
            .map(|holder| format!("{}[{}]", holder.name, holder.pid))
            .collect();
        let more = if socket.holders.len() > HOLDERS { ", ..." } else { "" };
        let peers = match socket.peers {
            0 => String::new(),
            1 => ", 1 peer".to_owned(),
            count => format!(", {count} peers"),
        };
        let who = if names.is_empty() { "listens".to_owned() } else { format!("{}{more}", names.join(" ")) };
        self.paint.colour(GREEN, &format!("{who}{peers}"))
    }

    /// The kernel knows a socket by the name that it was bound under.
    fn socket_at(&self, path: &str) -> Option<&Socket> {
        ["/run", "/var/run"].iter().find_map(|top| self.survey.sockets.get(&format!("{top}/{path}")))
    }

    fn json(&self, path: &str, entry: &Entry) -> serde_json::Value {
        let (bytes, inodes) = self.totals.get(path).copied().unwrap_or_default();
        let mut line = json!({
            "path": format!("/run/{path}"), "kind": entry.kind.word(), "mode": format!("{:04o}", entry.mode),
            "uid": entry.uid, "gid": entry.gid, "bytes": bytes, "inodes": inodes, "unit": self.owners.unit(path),
        });
        let mut set = |name: &str, value: serde_json::Value| line[name] = value;
        if let Kind::Link(target) = &entry.kind {
            set("target", json!(target));
        }
        if let Some(kind) = &entry.mount {
            set("mount", json!(kind));
        }
        if let Some(file) = &entry.pid {
            set("pid", json!(file.pid.as_ref().ok()));
            set("process", json!(word(&file.process)));
        }
        if let Some(socket) = self.socket_at(path) {
            let holders: Vec<_> = socket
                .holders
                .iter()
                .map(|holder| json!({ "name": holder.name, "pid": holder.pid, "unit": holder.unit }))
                .collect();
            set("listens", json!(socket.listens));
            set("peers", json!(socket.peers));
            set("holders", json!(holders));
        }
        line
    }
}

fn word(process: &Process) -> &'static str {
    match process {
        Process::Live(_) => "live",
        Process::Reused(_) => "reused",
        Process::Unsure(_) => "unsure",
        Process::Gone => "stale",
        Process::Unknown => "unknown",
    }
}

/// As ls(1) shows them.
fn permissions(entry: &Entry) -> String {
    let first = match entry.kind {
        Kind::Directory => 'd',
        Kind::File => '-',
        Kind::Link(_) => 'l',
        Kind::Socket => 's',
        Kind::Fifo => 'p',
        Kind::Device => 'c',
    };
    let mut text = String::from(first);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = entry.mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (entry.mode & special != 0, bits & 1 != 0) {
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: Kind, mode: u32) -> Entry {
        Entry { kind, mode, uid: 0, gid: 0, bytes: 0, since: 0, mount: None, pid: None }
    }

    #[test]
    fn permissions_are_as_ls_shows_them() {
        assert_eq!(permissions(&entry(Kind::Directory, 0o1777)), "drwxrwxrwt");
        assert_eq!(permissions(&entry(Kind::File, 0o6744)), "-rwsr-Sr--");
        assert_eq!(permissions(&entry(Kind::Socket, 0)), "s---------");
    }
}
