//! Environment and arguments of a process (systemd.exec(5), "Environment Variables"; systemd.service(5),
//! "Command Lines").
use super::builder::Builder;
use super::{ExitStatus, Op, PlanError, Slot, Text, directories};
use crate::directives::ids;
use crate::directives::parse::base64;
use crate::values::environment as syntax;
use std::collections::BTreeMap;

/// The search path of a process without `PATH` (file-hierarchy(7)).
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";
/// Microseconds in which a process may stall for as long as `MemoryPressureThresholdSec=` says before it is told. Unprivileged processes may
/// only ask for multiples of two seconds.
const PRESSURE_WINDOW: u64 = 2_000_000;

/// Variables by name; later ones replace earlier ones.
#[derive(Default)]
struct Environment(BTreeMap<String, Text>);

impl Environment {
    fn set(&mut self, name: &str, value: impl Into<Text>) {
        self.0.insert(name.to_owned(), value.into());
    }

    fn assign(&mut self, assignment: &str) {
        if let Some((name, value)) = assignment.split_once('=') {
            self.set(name, value);
        }
    }

    fn get(&self, name: &str) -> Option<&Text> {
        self.0.get(name)
    }
}

/// Build environment and argument vector: the last step of the plan.
pub(super) fn assemble(b: &mut Builder) -> Result<Op, PlanError> {
    let environment = environment(b)?;
    let command = &b.spec.command;
    // With a PAM session variables of its making count: they are expanded behind it.
    let mut argv: Vec<Text> = if command.no_env_expand || b.pam_service().is_some() {
        command.argv.iter().map(|word| (&**word).into()).collect()
    } else {
        command.argv.iter().flat_map(|word| expand_word(word, &environment)).collect()
    };
    let mut paths = search(b, &command.path);
    if command.via_shell {
        let shell = b.user().map_or(b.facts.own_user.shell.as_str(), |user| user.shell.as_str());
        let shell = if shell.is_empty() { "/bin/sh" } else { shell };
        let mut line = Text::default();
        for (n, word) in argv.iter().enumerate() {
            line.push(&if n == 0 { "".into() } else { " ".into() });
            line.push(word);
        }
        argv = vec![format!("-{}", shell.rsplit('/').next().unwrap_or("sh")).into(), "-c".into(), line];
        paths = vec![shell.to_owned()];
    }
    let envp: Vec<Text> = environment
        .0
        .iter()
        .map(|(name, value)| {
            let mut text = Text::from(format!("{name}="));
            text.push(value);
            text
        })
        .collect();
    if argv.iter().chain(&envp).any(|text| text.text.contains('\0')) {
        return Err(b.error("ExecStart", ExitStatus::Exec, "a NUL character in an argument or variable"));
    }
    Ok(Op::Exec { paths, argv, envp })
}

/// Where to look for the executable.
fn search(b: &Builder, path: &str) -> Vec<String> {
    if path.contains('/') {
        return vec![path.to_owned()];
    }
    let own = b.settings().list(ids::EXEC_SEARCH_PATH);
    let join = |dir: &str| format!("{}/{path}", dir.trim_end_matches('/'));
    if !own.is_empty() {
        return own.iter().map(|dir| join(dir)).collect();
    }
    if !b.facts.search_path.is_empty() {
        return b.facts.search_path.iter().map(|dir| join(dir)).collect();
    }
    DEFAULT_PATH.split(':').map(join).collect()
}

fn environment(b: &Builder) -> Result<Environment, PlanError> {
    let s = b.settings();
    let mut environment = Environment::default();
    let manager: BTreeMap<&str, &str> =
        b.facts.environment.iter().filter_map(|line| line.split_once('=')).collect();
    if b.is_system() {
        // PID 1 hands on only what every process needs; the rest by `PassEnvironment=`.
        for name in ["PATH", "LANG", "LANGUAGE", "LC_ALL"].into_iter().chain(LC) {
            if let Some(value) = manager.get(name) {
                environment.set(name, *value);
            }
        }
    } else {
        for (name, value) in &manager {
            environment.set(name, *value);
        }
    }
    if environment.get("PATH").is_none() {
        environment.set("PATH", DEFAULT_PATH);
    }
    for (name, value) in &b.spec.environment {
        environment.set(name, &**value);
    }
    own(b, &mut environment);
    let search = s.list(ids::EXEC_SEARCH_PATH);
    if !search.is_empty() {
        environment.set("PATH", search.join(":"));
    }
    for name in s.list(ids::PASS_ENVIRONMENT) {
        if let Some(value) = manager.get(&**name) {
            environment.set(name, *value);
        }
    }
    for assignment in s.list(ids::ENVIRONMENT) {
        environment.assign(assignment);
    }
    files(b, &mut environment)?;
    for name in s.list(ids::UNSET_ENVIRONMENT) {
        match name.split_once('=') {
            Some((name, value)) if environment.get(name).is_some_and(|text| text.text == value) => {
                environment.0.remove(name);
            }
            Some(_) => {}
            None => {
                environment.0.remove(&**name);
            }
        }
    }
    Ok(environment)
}

/// Locale variables (locale(7)).
const LC: [&str; 12] = [
    "LC_CTYPE",
    "LC_NUMERIC",
    "LC_TIME",
    "LC_COLLATE",
    "LC_MONETARY",
    "LC_MESSAGES",
    "LC_PAPER",
    "LC_NAME",
    "LC_ADDRESS",
    "LC_TELEPHONE",
    "LC_MEASUREMENT",
    "LC_IDENTIFICATION",
];

/// What the manager says about the process itself.
fn own(b: &Builder, environment: &mut Environment) {
    let s = b.settings();
    let pid = || Text::slot("", Slot::Pid);
    if !b.spec.fds.is_empty() {
        let names: Vec<&str> = b.spec.fds.iter().map(|(_, name)| &**name).collect();
        environment.set("LISTEN_PID", pid());
        environment.set("LISTEN_FDS", names.len().to_string());
        environment.set("LISTEN_FDNAMES", names.join(":"));
    }
    if let Some(usec) = b.spec.watchdog_usec {
        environment.set("WATCHDOG_PID", pid());
        environment.set("WATCHDOG_USEC", usec.to_string());
    }
    if let Some(socket) = b.facts.notify_socket.as_deref().filter(|_| b.spec.notify) {
        environment.set("NOTIFY_SOCKET", socket);
    }
    if !b.is_system() {
        environment.set("MANAGERPID", b.facts.manager_pid.to_string());
    }
    login(b, environment);
    if !b.spec.invocation.is_empty() {
        environment.set("INVOCATION_ID", &*b.spec.invocation);
    }
    let tty = |id| s.text(id).is_some_and(|word| word.starts_with("tty"));
    if [ids::STANDARD_INPUT, ids::STANDARD_OUTPUT, ids::STANDARD_ERROR].into_iter().any(tty) {
        environment.set("TERM", b.facts.term.as_deref().unwrap_or("vt220"));
    }
    if logs_to_journal(b) {
        environment.set("JOURNAL_STREAM", Text::slot("", Slot::JournalStream));
    }
    if let Some(namespace) = s.text(ids::LOG_NAMESPACE) {
        environment.set("LOG_NAMESPACE", namespace);
    }
    environment.set("SYSTEMD_EXEC_PID", pid());
    let watch = s.word(ids::MEMORY_PRESSURE_WATCH);
    if let (Some(cgroup), true) = (&b.plan.cgroup, !matches!(watch, "no" | "skip")) {
        environment.set("MEMORY_PRESSURE_WATCH", format!("{cgroup}/memory.pressure"));
        environment
            .set("MEMORY_PRESSURE_WRITE", pressure_trigger(s.uint(ids::MEMORY_PRESSURE_THRESHOLD_SEC)));
    } else if watch == "no" {
        environment.set("MEMORY_PRESSURE_WATCH", "/dev/null");
    }
    for kind in directories::KINDS {
        let paths = directories::public_paths(b, kind);
        if !paths.is_empty() {
            environment.set(kind.variable, paths.join(":"));
        }
    }
    if let Some(directory) = super::credentials::directory(b) {
        environment.set("CREDENTIALS_DIRECTORY", directory);
    }
}

/// What `MemoryPressureWatch=` tells the process to write: "some 200000 2000000", NUL-terminated, in base64.
fn pressure_trigger(threshold: u64) -> String {
    let threshold = if threshold == u64::MAX { PRESSURE_WINDOW / 10 } else { threshold };
    let threshold = threshold.clamp(1, PRESSURE_WINDOW);
    base64::encode(format!("some {threshold} {PRESSURE_WINDOW}\0").as_bytes())
}

fn logs_to_journal(b: &Builder) -> bool {
    let journal = |id| {
        b.settings()
            .text(id)
            .is_some_and(|word| ["journal", "kmsg", "syslog"].iter().any(|w| word.starts_with(w)))
    };
    b.facts.journal.is_some() && (journal(ids::STANDARD_OUTPUT) || journal(ids::STANDARD_ERROR))
}

/// `USER`, `LOGNAME`, `HOME`, `SHELL`. Without `User=` only `USER`; home directories and shells that stand for "none"
/// are not told, unless `SetLoginEnvironment=yes` asks for it.
fn login(b: &Builder, environment: &mut Environment) {
    let wanted = b.settings().tristate(ids::SET_LOGIN_ENVIRONMENT);
    let user = match b.user() {
        Some(user) => user,
        None if wanted == Some(true) => &b.facts.own_user,
        None => {
            if b.is_system() && wanted.is_none() && !b.facts.own_user.name.is_empty() {
                environment.set("USER", b.facts.own_user.name.as_str());
            }
            return;
        }
    };
    if wanted == Some(false) {
        return;
    }
    environment.set("USER", user.name.as_str());
    environment.set("LOGNAME", user.name.as_str());
    let no_home = ["", "/", "/nonexistent", "/var/empty", "/dev/null"].contains(&user.home.as_str());
    if !no_home {
        environment.set("HOME", user.home.as_str());
    }
    let no_shell =
        user.shell.is_empty() || user.shell.ends_with("/nologin") || user.shell.ends_with("/false");
    if !no_shell {
        environment.set("SHELL", user.shell.as_str());
    }
}

/// `EnvironmentFile=`; a missing one is an error unless it has `-` before it.
fn files(b: &Builder, environment: &mut Environment) -> Result<(), PlanError> {
    for listed in b.settings().list(ids::ENVIRONMENT_FILE) {
        let optional = listed.starts_with('-');
        let path = listed.trim_start_matches('-');
        // A pattern may stand for several files, each of which has the pattern's name in the facts.
        let mut found = false;
        for (_, bytes) in b.facts.environment_files.iter().filter(|(name, _)| name == path) {
            let Some(bytes) = bytes else { continue };
            found = true;
            for (name, value) in syntax::parse_file(&String::from_utf8_lossy(bytes)) {
                environment.set(&name, value);
            }
        }
        if !found && !optional {
            let message = format!("cannot read {path}");
            // The reference fails before it forks and calls it lack of resources.
            return Err(b.error("EnvironmentFile", ExitStatus::Memory, message));
        }
    }
    Ok(())
}

/// Words of a command line with variables in place of their names, as [`Op::PamSession`] leaves them to be done.
pub fn expand(words: &[String], variables: &[(String, String)]) -> Vec<String> {
    let mut environment = Environment::default();
    for (name, value) in variables {
        environment.set(name, value.as_str());
    }
    words.iter().flat_map(|word| expand_word(word, &environment)).map(|word| word.text).collect()
}

/// One word of a command line: `$NAME` alone becomes words, `${NAME}` inside a word its value, `$$` a dollar.
/// Any other `$` stays: a shell that is started gets its own variables untouched.
fn expand_word(word: &str, environment: &Environment) -> Vec<Text> {
    if let Some(name) = word.strip_prefix('$').filter(|name| !name.starts_with(['{', '$'])) {
        let Some(value) = environment.get(name) else { return Vec::new() };
        if !value.slots.is_empty() {
            return vec![value.clone()];
        }
        return split(&value.text);
    }
    vec![expand_inside(word, environment)]
}

/// Words of a variable's value, quotes respected.
fn split(value: &str) -> Vec<Text> {
    let mut words = Vec::new();
    let mut rest = value;
    while let Ok(Some(word)) = crate::values::quoting::first_word(&mut rest, crate::values::quoting::COMMAND)
    {
        words.push(word.into());
    }
    words
}

fn expand_inside(word: &str, environment: &Environment) -> Text {
    let mut text = Text::default();
    let mut rest = word;
    while let Some(at) = rest.find('$') {
        text.push(&rest[..at].into());
        let behind = &rest[at + 1..];
        // A colon in braces is the syntax of environment generators, which means nothing here.
        let braced = behind.strip_prefix('{').and_then(|open| open.split_once('}'));
        if let Some(tail) = behind.strip_prefix('$') {
            text.push(&"$".into());
            rest = tail;
        } else if let Some((name, tail)) = braced.filter(|(name, _)| !name.contains(':')) {
            if let Some(value) = environment.get(name) {
                text.push(value);
            }
            rest = tail;
        } else {
            text.push(&"$".into());
            rest = behind;
        }
    }
    text.push(&rest.into());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_expand_as_the_manual_says() {
        let mut environment = Environment::default();
        environment.assign("ONE=one");
        environment.assign("TWO='two two' too");
        environment.set("PID", Text::slot("", Slot::Pid));
        let words =
            |word| expand_word(word, &environment).iter().map(|t| format!("{t:?}")).collect::<Vec<_>>();
        assert_eq!(words("$TWO"), [r#""two two""#, r#""too""#]);
        assert_eq!(words("${TWO}"), [r#""'two two' too""#]);
        assert_eq!(words("a${ONE}b$$c"), [r#""aoneb$c""#]);
        assert_eq!(words("$NONE"), Vec::<String>::new());
        assert_eq!(words("$ONE."), Vec::<String>::new());
        assert_eq!(words("rm $ONE; echo $${ONE##*/}"), [r#""rm $ONE; echo ${ONE##*/}""#]);
        assert_eq!(words("${NONE:-x${ONE}"), [r#""${NONE:-xone""#]);
        assert_eq!(words("x${ONE:+y}${1x}${ONE"), [r#""x${ONE:+y}${ONE""#]);
        assert_eq!(words("p=${PID}!"), [r#""p=<pid>!""#]);
    }
}
