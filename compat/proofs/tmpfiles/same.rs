//! Generated cases: both programs, each on a fresh tree, leave the same tree and end with the same status.

use crate::generate::{Case, Input, OTHER_ROOT, TOP};
use crate::snapshot::{self, Snapshot};
use crate::{INSIDE, REFERENCE, Setting, UNDER_TEST, boot, tree};
use runstead_compat::proof::Proof;
use runstead_compat::{Error, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant, SystemTime};

pub const CASES: u64 = 2_000;
/// Side by side, each in a mount and a network namespace of its own: by its path, a socket that listens in one tree is
/// in use in the other, too.
const WORKERS: u64 = 2;
const PATIENCE: Duration = Duration::from_secs(600);
/// How long one call may take, in seconds.
const LONGEST: i64 = 30;
/// The kernel's clock for files is behind by some ms, and a call takes some; what is older than so many seconds was made old.
const SLACK: i64 = 5;
/// One case in so many, at most, may differ by what COMPAT.md lists: else that would hide what is wrong.
const LISTED_MOST: u64 = 200;
const CREDENTIALS: &str = "/run/proof-credentials";

/// In the machine, by [`WORKERS`].
pub fn prove(proof: &mut Proof, setting: &Setting) -> Result<()> {
    let machine = boot(&setting.options()?)?;
    let began = Instant::now();
    let sabotage = if setting.sabotage { "sabotage" } else { "same" };
    let worker = |number: u64| {
        let cases = setting.cases;
        format!(
            "unshare -m -n --propagation private {INSIDE} inside same {sabotage} {} {} {WORKERS} >/run/out.{number} 2>&1 &",
            setting.seed + number,
            setting.seed + cases,
        )
    };
    let workers: Vec<String> = (0..WORKERS).map(worker).collect();
    let script = format!(
        "mkdir -p {TOP} {CREDENTIALS}; printf a\\\\tb >{CREDENTIALS}/token; {} wait; cat /run/out.*",
        workers.join(" ")
    );
    let said = machine.run_for(&["sh", "-c", &script], PATIENCE)?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let counted = |name: &str| -> u64 {
        let lines = said.lines().filter_map(|line| line.strip_prefix("COUNT ")?.strip_prefix(name));
        lines.filter_map(|rest| rest.trim().parse::<u64>().ok()).sum()
    };
    let (done, changed, failed, differ) =
        (counted("done"), counted("changed"), counted("failed"), counted("differ"));
    let text: Vec<&str> = said.lines().filter(|line| !line.starts_with("COUNT ")).collect();
    if setting.sabotage {
        proof.check(differ * 4 >= done, format!("{differ} of {done} altered configurations are told"));
    } else {
        println!("{}", text.join("\n"));
        proof.check(differ == 0, format!("{differ} of {done} cases differ"));
        let counts = LISTED.map(|(name, _)| format!("{name} {}", counted(name)));
        let listed: u64 = LISTED.iter().map(|(name, _)| counted(name)).sum();
        proof.check(
            listed * LISTED_MOST <= done,
            format!("{listed} of {done} differ as COMPAT.md says: {}", counts.join(", ")),
        );
    }
    proof.check(done == setting.cases, format!("{done} of {} cases ran", setting.cases));
    proof.check(
        changed * 3 >= done && failed * 10 >= done && failed * 10 <= done * 9,
        format!("the reference changed the tree in {changed} of them, and failed in {failed}"),
    );
    println!("in {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// Whether both end alike. Only told what would be done, the reference finds some of what would fail, and we others.
fn same_end(case: &Case, expected: &Outcome, found: &Outcome) -> bool {
    let is_told = case.words.iter().any(|word| word == "--dry-run");
    let kind = |status: &str| if is_told && status == "73" { "0".to_owned() } else { status.to_owned() };
    kind(&expected.status) == kind(&found.status)
}

type Difference = fn(&Case, &Outcome, &Outcome) -> bool;

/// What may differ, by lines of COMPAT.md; the last is a matter of the moment for either program.
const LISTED: [(&str, Difference); 5] = [
    ("refused", refuses_more),
    ("absolute links with a root", |case, expected, _| {
        let leads_out = |what: &String| what.starts_with("link to \"/");
        case.other_root && expected.before.values().any(leads_out)
    }),
    ("told as failures", tells_more),
    ("directories read", only_read),
    ("other names of what went", other_names),
];

/// Whether all that is different is what we refuse as unsafe, and leave as it was, where the reference goes on. Times, which other
/// lines change, are no difference.
fn refuses_more(_: &Case, expected: &Outcome, found: &Outcome) -> bool {
    let refused = |outcome: &Outcome| outcome.said.matches("unsafe path transition").count();
    let ends = |outcome: &Outcome| outcome.status != "1";
    let at = |tree: &Snapshot, path: &PathBuf| tree.get(path).map(|what| without(&["atime", "mtime"], what));
    let made =
        |path: &PathBuf| expected.after.get(path).is_some_and(|what| what.starts_with("directory 0755 0:0"));
    let untouched = |path: &PathBuf| {
        at(&found.after, path) == at(&found.before, path) || !found.after.contains_key(path) && made(path)
    };
    let mut paths = expected.after.keys().chain(found.after.keys());
    let left = paths.all(|path| at(&expected.after, path) == at(&found.after, path) || untouched(path));
    refused(found) > 0 && ends(expected) && ends(found) && left
}

/// Whether it is only told as a failure that something in a directory could not be opened or removed: the reference forgets that when the next
/// entry gives no trouble.
fn tells_more(_: &Case, expected: &Outcome, found: &Outcome) -> bool {
    expected.said.contains(", ignoring: ")
        && expected.status == "0"
        && found.status == "73"
        && expected.after == found.after
}

/// Whether both failed alike, and the reference has only read a directory before.
fn only_read(_: &Case, expected: &Outcome, found: &Outcome) -> bool {
    let same = |path: &PathBuf| {
        let (one, other) = (expected.after.get(path), found.after.get(path));
        let directory = one.is_some_and(|what| what.starts_with("directory"));
        one == other
            || directory
                && one.map(|what| without(&["atime"], what)) == other.map(|what| without(&["atime"], what))
    };
    let mut paths = expected.after.keys().chain(found.after.keys());
    let failed = expected.status != "0" || expected.said.contains("Failed to remove contents");
    expected.status == found.status && failed && paths.all(same)
}

/// Whether all that is different are names of files that had several: when one goes, the file's status changes, and whether the clock of
/// files goes on before the next is looked at decides whether that is too young.
fn other_names(case: &Case, expected: &Outcome, found: &Outcome) -> bool {
    let cleans = case.words.iter().any(|word| word == "--clean");
    let several = |path: &PathBuf| found.before.get(path).is_some_and(|what| what.contains(" names"));
    let mut paths = expected.after.keys().chain(found.after.keys());
    cleans && paths.all(|path| expected.after.get(path) == found.after.get(path) || several(path))
}

fn without(times: &[&str], what: &str) -> String {
    let mut words = what.split(' ');
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        match times.contains(&word) {
            true => drop(words.next()),
            false => kept.push(word),
        }
    }
    kept.join(" ")
}

/// What a program did to a tree.
struct Outcome {
    before: Snapshot,
    after: Snapshot,
    status: String,
    said: String,
}

/// Words: same or sabotage, first seed, last, step.
pub fn inside(words: &[&str]) -> Result<()> {
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok()).unwrap_or(1);
    let sabotage = words.first() == Some(&"sabotage");
    let scratch = PathBuf::from(format!("/run/proof-same.{}", std::process::id()));
    fs::create_dir_all(&scratch).map_err(Error::on("create", &scratch))?;
    let (mut done, mut changed, mut failed, mut differ) = (0, 0, 0, 0);
    let mut listed = [0; LISTED.len()];
    let mut seed = number(1);
    while seed < number(2) {
        let case = Case::generate(seed);
        // One for both, or times would differ between their trees.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let now = i64::try_from(now).unwrap_or(0);
        let expected = attempt(&case, REFERENCE, &scratch, now)?;
        let found = match sabotage {
            true => attempt(&case.altered(seed), UNDER_TEST, &scratch, now)?,
            false => attempt(&case, UNDER_TEST, &scratch, now)?,
        };
        if !sabotage && expected.before != found.before {
            return Err(Error::new(format!("seed {seed}: the trees differ before anything was done")));
        }
        done += 1;
        changed += u64::from(expected.before != expected.after);
        failed += u64::from(expected.status != "0");
        let differences = snapshot::differences(&expected.after, &found.after);
        if !differences.is_empty() || !same_end(&case, &expected, &found) {
            match LISTED.iter().position(|(_, is)| is(&case, &expected, &found)) {
                Some(at) if !sabotage => listed[at] += 1,
                _ => {
                    differ += 1;
                    if !sabotage {
                        tell(seed, &case, &expected, &found, &differences);
                    }
                }
            }
        }
        seed += number(3);
    }
    println!("COUNT done {done}\nCOUNT changed {changed}\nCOUNT failed {failed}\nCOUNT differ {differ}");
    LISTED.iter().zip(listed).for_each(|((name, _), count)| println!("COUNT {name} {count}"));
    Ok(())
}

fn tell(seed: u64, case: &Case, expected: &Outcome, found: &Outcome, differences: &[String]) {
    println!("FAIL seed {seed} as user {}: {} {:?}", case.user, case.words.join(" "), case.input);
    for (place, text) in &case.files {
        println!("  {place}:");
        for line in text.split(|byte| *byte == b'\n') {
            println!("    | {}", String::from_utf8_lossy(line));
        }
    }
    for (path, what) in expected.before.iter() {
        println!("  {} {what}", path.display());
    }
    println!("  status: expected {}; found {}", expected.status, found.status);
    for difference in differences {
        println!("  DIFFERS {difference}");
    }
    for (who, said) in [("reference", &expected.said), ("under test", &found.said)] {
        for line in said.lines().take(12) {
            println!("  {who}: {line}");
        }
    }
}

fn attempt(case: &Case, program: &str, scratch: &Path, now: i64) -> Result<Outcome> {
    mount("tmpfs", TOP, "tmpfs", MountFlags::empty(), Some(c"mode=0755,size=64m"))
        .map_err(Error::on("mount", TOP))?;
    let outcome = on_fresh_tree(case, program, scratch, now);
    unmount(TOP, UnmountFlags::DETACH).map_err(Error::on("unmount", TOP))?;
    outcome
}

fn on_fresh_tree(case: &Case, program: &str, scratch: &Path, now: i64) -> Result<Outcome> {
    let top = if case.other_root { OTHER_ROOT } else { TOP };
    let seen = Path::new(if case.other_root { "/" } else { TOP });
    let argument = scratch.join("case.conf");
    fs::create_dir_all(top).map_err(Error::on("create", top))?;
    if case.other_root {
        accounts(Path::new(top))?;
    }
    for (place, text) in &case.files {
        let path =
            if case.input == Input::Directories { Path::new(top).join(place) } else { argument.clone() };
        let parent = path.parent().expect("a configuration lies in a directory");
        fs::create_dir_all(parent).map_err(Error::on("create", parent))?;
        fs::write(&path, text).map_err(Error::on("write", &path))?;
    }
    let held = tree::make(&case.nodes, Path::new(top), seen, now)?;
    let before = snapshot::of(Path::new(TOP), Some(now - SLACK));
    let (status, said) = call(case, program, &argument, scratch)?;
    drop(held);
    Ok(Outcome { before, after: snapshot::of(Path::new(TOP), Some(now - SLACK)), status, said })
}

fn accounts(top: &Path) -> Result<()> {
    let files = [
        ("etc/passwd", "root:x:0:0::/root:/bin/sh\ndaemon:x:2:2::/:/bin/false\nnobody:x:3:3::/:/bin/false\n"),
        ("etc/group", "root:x:0:\ndaemon:x:2:\nnobody:x:3:\n"),
        ("etc/os-release", "ID=other\nVERSION_ID=7\n"),
    ];
    for (place, text) in files {
        let path = top.join(place);
        let parent = path.parent().expect("it lies in etc");
        fs::create_dir_all(parent).map_err(Error::on("create", parent))?;
        fs::write(&path, text).map_err(Error::on("write", &path))?;
    }
    Ok(())
}

/// How it ended and what it said.
fn call(case: &Case, program: &str, argument: &Path, scratch: &Path) -> Result<(String, String)> {
    let said = scratch.join("said");
    let open = |path: &Path| File::open(path).map_err(Error::on("open", path));
    let create = |path: &Path| File::create(path).map_err(Error::on("create", path));
    let output = create(&said)?;
    let again = output.try_clone().map_err(Error::on("duplicate", &said))?;
    let mut command = Command::new(program);
    command.args(&case.words).env("CREDENTIALS_DIRECTORY", CREDENTIALS).stdout(again).stderr(output);
    match case.input {
        Input::Standard => command.arg("-").stdin(open(argument)?),
        Input::Argument => command.arg(argument).stdin(open(Path::new("/dev/null"))?),
        Input::Directories => command.stdin(open(Path::new("/dev/null"))?),
    };
    if case.user != 0 {
        fs::set_permissions(scratch, fs::Permissions::from_mode(0o755))
            .map_err(Error::on("chmod", scratch))?;
        command.uid(case.user).gid(case.user);
    }
    let mut child = command.spawn().map_err(Error::on("start", program))?;
    let status = end(&mut child)?;
    let said = fs::read(&said).map_err(Error::on("read", &said))?;
    Ok((status, String::from_utf8_lossy(&said).into_owned()))
}

fn end(child: &mut Child) -> Result<String> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process has a number");
    let descriptor = pidfd_open(pid, PidfdFlags::empty()).map_err(Error::on("open", "a process"))?;
    let mut wait = [PollFd::new(&descriptor, PollFlags::IN)];
    let limit = Timespec { tv_sec: LONGEST, tv_nsec: 0 };
    if poll(&mut wait, Some(&limit)).map_err(Error::on("poll", "a process"))? == 0 {
        let _ = child.kill();
        let _ = child.wait();
        return Ok(format!("hangs after {LONGEST} s"));
    }
    let status = child.wait().map_err(Error::on("wait for", "a program"))?;
    Ok(status.code().map_or_else(|| status.to_string(), |code| code.to_string()))
}
