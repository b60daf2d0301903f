//! Debian's packages with their maintainer scripts: installed into the booted machine, used, upgraded, purged.
//!
//! `cargo test -p runstead-compat --test packages`; `RUNSTEAD_UNDER_TEST` chooses the PID 1. Needs root. On ours the same is done
//! beside it on the reference, and what clients are shown is compared.

use runstead_compat::machine::{Machine, Options, UnderTest};
use runstead_compat::proof::Proof;
use runstead_compat::{Error, Result, archives, root};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(420);
const BOOT_LIMIT: Duration = Duration::from_secs(90);
const SCRIPT_LIMIT: Duration = Duration::from_secs(240);

/// What is proved of a service.
struct Service {
    unit: &'static str,
    /// Installed again to upgrade it.
    packages: &'static str,
    /// 0: listens nowhere.
    port: u16,
    /// The package's scripts restart it for an upgrade, rather than reload it.
    restarted: bool,
    client: &'static str,
    answer: &'static str,
}

const HTTP: &str = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | socat -t5 - TCP:127.0.0.1:";

const SERVICES: &[Service] = &[
    Service {
        unit: "postgresql@17-main.service",
        packages: "postgresql-17 postgresql-common",
        port: 5432,
        restarted: true,
        client: "cd /; runuser -u postgres -- psql -tAc 'SELECT 6*7'",
        answer: "42",
    },
    Service {
        unit: "redis-server.service",
        packages: "redis-server",
        port: 6379,
        restarted: true,
        client: "redis-cli PING",
        answer: "PONG",
    },
    Service {
        unit: "apache2.service",
        packages: "apache2",
        port: 80,
        restarted: true,
        client: "$HTTP$80 | grep -o 'Apache2 Debian Default Page: It works' | head -1",
        answer: "Apache2 Debian Default Page: It works",
    },
    Service {
        unit: "mariadb.service",
        packages: "mariadb-server",
        port: 3306,
        restarted: true,
        client: "mariadb -N -e 'SELECT 6*7'",
        answer: "42",
    },
    Service {
        unit: "haproxy.service",
        packages: "haproxy",
        port: 8081,
        restarted: false,
        client: "$HTTP$8081 | grep -o 'Apache2 Debian Default Page: It works' | head -1",
        answer: "Apache2 Debian Default Page: It works",
    },
    Service {
        unit: "memcached.service",
        packages: "memcached",
        port: 11211,
        restarted: true,
        client: "printf 'version\\r\\nquit\\r\\n' | socat -t5 - TCP:127.0.0.1:11211 | cut -d' ' -f1",
        answer: "VERSION",
    },
    Service {
        unit: "cron.service",
        packages: "cron cron-daemon-common",
        port: 0,
        restarted: true,
        client: "pgrep -cx cron",
        answer: "1",
    },
];

/// What else is shown: units that came along or that the packages change.
const BESIDE: &[&str] = &[
    "postgresql.service",
    "apache-htcacheclean.service",
    "system-postgresql.slice",
    "multi-user.target",
    "fstrim.timer",
];

/// What only a script in `/etc/init.d` starts: the generator makes its unit.
const INIT_SCRIPT: &str = r#"#!/bin/sh
### BEGIN INIT INFO
# Provides:          proofd
# Required-Start:    $remote_fs $network
# Required-Stop:     $remote_fs $network
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: A daemon of the old kind
### END INIT INFO
case $1 in
start) start-stop-daemon --start --background --make-pidfile --pidfile /run/proofd.pid --exec /bin/sleep -- 86399; sleep 0.2 ;;
stop) start-stop-daemon --stop --pidfile /run/proofd.pid --oknodo --retry 5 --remove-pidfile ;;
restart|force-reload) $0 stop; $0 start ;;
status) start-stop-daemon --status --pidfile /run/proofd.pid ;;
*) exit 3 ;;
esac
"#;

const JOB: &str = "* * * * * root date >/run/job-ran\n";

/// A proxy in front of apache.
const PROXY: &str = "\nlisten proof\n\tmode http\n\tbind 127.0.0.1:8081\n\tserver apache 127.0.0.1:80\n";

/// What was seen on one PID 1.
#[derive(Default)]
struct Seen {
    checks: Vec<(bool, String)>,
    /// What clients are shown, line by line, to be the same on both.
    shown: BTreeMap<String, BTreeSet<String>>,
}

impl Seen {
    fn check(&mut self, holds: bool, what: String) {
        self.checks.push((holds, what));
    }

    fn equal(&mut self, what: &str, value: &str, expected: &str) {
        self.check(value == expected, format!("{what}: {value:?} (to be {expected:?})"));
    }
}

fn main() -> ExitCode {
    let mut proof = Proof::begin("packages", LIMIT);
    prove(&mut proof);
    proof.end()
}

fn prove(proof: &mut Proof) {
    let Some(under_test) = proof.need("choose the PID 1", UnderTest::from_env()) else { return };
    let distribution = root::Distribution::Debian13;
    let Some(root) = proof.need("find the Debian root", root::of(distribution)) else { return };
    let Some(archives) = proof.need("find the packages", archives::services(distribution)) else { return };
    proof.step(format!("install {} packages, use, upgrade and purge them", archives.len()));
    // Machines live as long as the thread that boots them.
    let (seen, reference) = std::thread::scope(|scope| {
        let other = (under_test == UnderTest::Ours)
            .then(|| scope.spawn(|| visit(UnderTest::Systemd, &root, &archives)));
        let seen = visit(under_test, &root, &archives);
        (seen, other.map(|other| other.join().unwrap_or_else(|_| Err(Error::new("it panicked")))))
    });
    let Some(seen) = proof.need("go through it", seen) else { return };
    for (holds, what) in &seen.checks {
        proof.check(*holds, what);
    }
    let Some(reference) = reference else { return };
    let Some(reference) = proof.need("go through it on the reference", reference) else { return };
    proof.step("beside the reference");
    compare(proof, &seen, &reference);
}

fn compare(proof: &mut Proof, seen: &Seen, reference: &Seen) {
    let names: BTreeSet<&String> = seen.shown.keys().chain(reference.shown.keys()).collect();
    let nothing = BTreeSet::new();
    for name in names {
        let [ours, theirs] = [seen, reference].map(|seen| seen.shown.get(name).unwrap_or(&nothing));
        let (lost, new) = (theirs.difference(ours), ours.difference(theirs));
        let (lost, new): (Vec<_>, Vec<_>) = (lost.collect(), new.collect());
        proof.check(
            lost.is_empty() && new.is_empty(),
            format!("{name} as on the reference ({}): missing {lost:?}, new {new:?}", theirs.len()),
        );
    }
}

/// Standard output of a script, whatever it ends with.
fn say(machine: &Machine, script: &str) -> Result<String> {
    let script = format!("exec 2>&1; export DEBIAN_FRONTEND=noninteractive\n{script}");
    let output = machine.run_for(&["bash", "-c", &script], SCRIPT_LIMIT)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// One that has to succeed.
fn act(machine: &Machine, seen: &mut Seen, what: &str, script: &str) -> Result<()> {
    let began = Instant::now();
    let text = say(machine, &format!("set -e\n{script}\necho; echo done"))?;
    let tail: Vec<&str> = text.lines().rev().take(12).collect();
    let good = tail.first() == Some(&"done");
    let tail = if good { String::new() } else { tail.into_iter().rev().collect::<Vec<_>>().join("\n") };
    seen.check(good, format!("{what} in {:.1} s{tail}", began.elapsed().as_secs_f64()));
    Ok(())
}

fn visit(under_test: UnderTest, root: &Path, archives: &[PathBuf]) -> Result<Seen> {
    let mut seen = Seen::default();
    let mut machine = Machine::boot(&Options::new(under_test, root))?;
    machine.wait_running(BOOT_LIMIT)?;
    let place = machine.path("/var/cache/apt/archives");
    for file in archives {
        let name = file.file_name().unwrap_or_default();
        fs::copy(file, place.join(name)).map_err(Error::on("copy", file))?;
    }
    let before = say(&machine, "dpkg-query -W -f '${Package}\\n' | sort")?;
    make_room(&machine, &mut seen)?;
    install(&machine, &mut seen)?;
    for service in SERVICES {
        look(&machine, &mut seen, service)?;
        drive(&machine, &mut seen, service)?;
    }
    show(&machine, &mut seen, "installed")?;
    old_kind(&machine, &mut seen)?;
    upgrade(&machine, &mut seen)?;
    job_ran(&machine, &mut seen)?;
    purge(&machine, &mut seen, &before)?;
    Ok(seen)
}

/// The root comes with a server on apache's port and with cron: a first purge, of what was there at boot.
fn make_room(machine: &Machine, seen: &mut Seen) -> Result<()> {
    act(machine, seen, "purge nginx and cron", "apt-get purge -y nginx-light nginx nginx-common cron")?;
    let left = "systemctl list-units --all --plain --no-legend nginx.service cron.service; pgrep -x 'nginx|cron'; ss -Hltn sport = :80";
    seen.equal("nothing is left of them", &say(machine, left)?, "");
    Ok(())
}

fn install(machine: &Machine, seen: &mut Seen) -> Result<()> {
    // First, so that its minute passes beside the rest.
    let apt = "apt-get install --no-download --no-install-recommends -y";
    let cron = format!(
        "cd /var/cache/apt/archives; {apt} ./cron_*.deb ./cron-daemon-common_*.deb; printf '{}' >/etc/cron.d/proof",
        JOB.replace('\n', "\\n")
    );
    act(machine, seen, "install cron", &cron)?;
    act(machine, seen, "install the others", &format!("{apt} /var/cache/apt/archives/*.deb"))?;
    let proxy = PROXY.replace('\n', "\\n").replace('\t', "\\t");
    let reload = format!(
        "before=$(systemctl show -P MainPID haproxy); printf '{proxy}' >>/etc/haproxy/haproxy.cfg; systemctl reload haproxy
        test $before = $(systemctl show -P MainPID haproxy)"
    );
    act(machine, seen, "reload haproxy with a proxy more", &reload)?;
    seen.equal("failed units", &say(machine, "systemctl --failed --plain --no-legend")?, "");
    Ok(())
}

/// Until it answers: daemons are up a moment before their workers listen. What the last try said is what counts.
fn client(service: &Service) -> String {
    format!(
        "for n in $(seq 50); do said=$({{ {}; }} 2>&1); [ \"$said\" = '{}' ] && break; sleep 0.1; done; echo $said",
        service.client.replace("$HTTP$", HTTP),
        service.answer
    )
}

fn answers(machine: &Machine, seen: &mut Seen, service: &Service, when: &str) -> Result<()> {
    let said = say(machine, &client(service))?;
    seen.equal(&format!("{} {when} answers", service.unit), &said, service.answer);
    Ok(())
}

fn look(machine: &Machine, seen: &mut Seen, service: &Service) -> Result<()> {
    let Service { unit, port, .. } = service;
    answers(machine, seen, service, "installed")?;
    let text = say(
        machine,
        &format!(
            "systemctl is-active {unit}; pid=$(systemctl show -P MainPID {unit}); [ $pid -gt 1 ] && echo main
            [ \"$(sed -n 's/^0:://p' /proc/$pid/cgroup)\" = \"$(systemctl show -P ControlGroup {unit})\" ] && echo inside
            systemctl status --no-pager {unit} | grep -c -e 'Active: active (running)' -e \"Main PID: $pid\" -e 'Loaded: loaded'
            [ {port} = 0 ] || ss -Hltn 'sport = :{port}' | grep -q LISTEN && echo listens"
        ),
    )?;
    seen.equal(&format!("{unit} is as it should"), &text.replace('\n', " "), "active main inside 3 listens");
    Ok(())
}

/// Stop, start, restart and reload by hand.
fn drive(machine: &Machine, seen: &mut Seen, service: &Service) -> Result<()> {
    let Service { unit, port, .. } = service;
    let text = say(
        machine,
        &format!(
            "main() {{ systemctl show -P MainPID {unit}; }}
            group=/sys/fs/cgroup$(systemctl show -P ControlGroup {unit})
            systemctl stop {unit}; echo stop $?; systemctl is-active {unit}; systemctl status {unit} >/dev/null; echo status $?
            cat $group/cgroup.procs 2>/dev/null | wc -l; [ {port} = 0 ] || ss -Hltn 'sport = :{port}'
            systemctl start {unit}; echo start $?; first=$(main)
            systemctl restart {unit}; echo restart $?; second=$(main); [ $first -gt 1 ] && [ $second -gt 1 ] && [ $first != $second ] && echo other"
        ),
    )?;
    let expected = "stop 0 inactive status 3 0 start 0 restart 0 other";
    seen.equal(&format!("{unit} driven"), &text.replace('\n', " "), expected);
    answers(machine, seen, service, "restarted")?;
    let reload = say(
        machine,
        &format!(
            "before=$(systemctl show -P MainPID {unit}); systemctl reload {unit}; echo status $?
            for n in $(seq 100); do [ $(systemctl is-active {unit}) = reloading ] || break; sleep 0.05; done
            [ $before = $(systemctl show -P MainPID {unit}) ] && echo same; systemctl is-active {unit}"
        ),
    )?;
    seen.check(reload.contains("same") && reload.ends_with("active"), format!("{unit} reloaded: {reload:?}"));
    seen.shown.entry("reloads".to_owned()).or_default().insert(format!("{unit}: {reload}"));
    answers(machine, seen, service, "reloaded")
}

/// Properties, unit file states and the list of units as they are now.
fn show(machine: &Machine, seen: &mut Seen, when: &str) -> Result<()> {
    for unit in SERVICES.iter().map(|service| service.unit).chain(BESIDE.iter().copied()) {
        let text = say(machine, &format!("systemctl show {unit}"))?;
        // What has ended keeps its control group on ours alone (COMPAT.md).
        let ended = text.contains("SubState=exited");
        let lines = text.lines().filter(|line| !(ended && line.starts_with("ControlGroup=")));
        seen.shown.insert(format!("{when}: {unit}"), lines.filter_map(property).collect());
    }
    // Managers of users come and go with the sessions that scripts open.
    let lists = [
        (
            "units",
            "list-units --all | awk '{print $1, $2, $3, $4}' | grep -v -e ^session- -e user -e oomd -e proofd",
        ),
        ("unit files", "list-unit-files | awk '{print $1, $2, $3}'"),
        ("timers", "list-timers --all | awk '{print ($1 == \"-\" ? \"never\" : \"soon\"), $(NF-1), $NF}'"),
        ("sockets", "list-sockets --all"),
        ("jobs", "list-jobs"),
    ];
    for (name, list) in lists {
        let text = say(machine, &format!("systemctl --plain --no-legend --no-pager {list}"))?;
        let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        seen.shown.insert(format!("{when}: {name}"), lines.collect());
    }
    Ok(())
}

/// A property without what is new each time: processes, times, ids, consumption, the order of what has none.
fn property(line: &str) -> Option<String> {
    /// Words in these have no order.
    const SETS: &[&str] = &[
        "Names",
        "Requires",
        "Wants",
        "WantedBy",
        "Before",
        "After",
        "Conflicts",
        "WantsMountsFor",
        "RequiresMountsFor",
    ];
    /// Differences that COMPAT.md lists.
    const WANTED: &[&str] = &["CanLiveMount"];
    let (name, value) = line.split_once('=')?;
    let changing = [
        "PID",
        "Timestamp",
        "InvocationID",
        "ControlGroupId",
        "UsageNSec",
        "Current",
        "Peak",
        "Available",
        "NRestarts",
    ];
    if changing.iter().any(|word| name.contains(word)) || WANTED.contains(&name) {
        return None;
    }
    if SETS.contains(&name) {
        let mut words: Vec<&str> = value.split(' ').collect();
        words.sort_unstable();
        return Some(format!("{name}={}", words.join(" ")));
    }
    // How a command ended is kept over a reload by us alone.
    let value = value.split(" ; start_time=").next().unwrap_or(value);
    Some(format!("{name}={value}"))
}

/// Packages installed again: their scripts restart what runs.
fn upgrade(machine: &Machine, seen: &mut Seen) -> Result<()> {
    let mains = || -> Result<Vec<String>> {
        let all = SERVICES.iter().map(|service| format!("systemctl show -P MainPID {}", service.unit));
        Ok(say(machine, &all.collect::<Vec<_>>().join("; "))?.lines().map(str::to_owned).collect())
    };
    let before = mains()?;
    let files = SERVICES.iter().flat_map(|service| service.packages.split(' '));
    let files: Vec<String> = files.map(|name| format!("./{name}_*.deb")).collect();
    let script = format!(
        "cd /var/cache/apt/archives; apt-get install --reinstall --no-download -y {}",
        files.join(" ")
    );
    act(machine, seen, "install them again", &script)?;
    let after = mains()?;
    for (n, service) in SERVICES.iter().enumerate() {
        let (old, new) = (before.get(n), after.get(n));
        let right = new.is_some_and(|new| new != "0") && (old != new) == service.restarted;
        let wanted = if service.restarted { "another" } else { "the same" };
        seen.check(right, format!("{} has {wanted} main process: {old:?}, {new:?}", service.unit));
        answers(machine, seen, service, "upgraded")?;
    }
    seen.equal(
        "failed units after the upgrade",
        &say(machine, "systemctl --failed --plain --no-legend")?,
        "",
    );
    show(machine, seen, "upgraded")
}

/// A service that has only a script. The script is done before its daemon is executed, which is waited for.
fn old_kind(machine: &Machine, seen: &mut Seen) -> Result<()> {
    let place = machine.path("/etc/init.d/proofd");
    fs::write(&place, INIT_SCRIPT).map_err(Error::on("write", &place))?;
    let text = say(
        machine,
        "chmod 755 /etc/init.d/proofd; update-rc.d proofd defaults; systemctl daemon-reload
        state() { systemctl is-active proofd; systemctl is-enabled proofd; systemctl status proofd >/dev/null; echo $?; pgrep -c -f '[s]leep 86399'; }
        up() { for i in $(seq 50); do pgrep -f '[s]leep 86399' >/dev/null && return; sleep 0.1; done; }
        state; invoke-rc.d proofd start; echo $?; up; state
        systemctl show proofd | grep -v -e ^Condition
        pid=$(pgrep -f '[s]leep 86399'); sed -n 's/^0:://p' /proc/$pid/cgroup
        systemctl restart proofd; echo $?; up; [ $pid != $(pgrep -f '[s]leep 86399') ] && echo other
        /etc/init.d/proofd stop; service proofd status >/dev/null; echo $?; service proofd start; up; state
        systemctl stop proofd; echo $?; state
        update-rc.d proofd disable; systemctl is-enabled proofd
        rm /etc/init.d/proofd; update-rc.d proofd remove; systemctl daemon-reload; systemctl is-active proofd; systemctl cat proofd",
    )?;
    let lines = text
        .lines()
        .map(|line| property(line).unwrap_or_else(|| line.split('=').next().unwrap_or("").to_owned()));
    let numbered = lines.enumerate().map(|(n, line)| format!("{n:03} {line}"));
    let said: Vec<&str> =
        text.lines().filter(|line| !line.contains('=') && !line.contains("sysv-install")).collect();
    let started = said.join(" ").contains("inactive enabled 3 0 0 active enabled 0 1");
    seen.check(started, format!("a service of /etc/init.d starts: {said:?}"));
    seen.shown.insert("a service of /etc/init.d".to_owned(), numbered.collect());
    Ok(())
}

fn job_ran(machine: &Machine, seen: &mut Seen) -> Result<()> {
    let began = Instant::now();
    while machine.read("/run/job-ran").is_none() && began.elapsed() < Duration::from_secs(70) {
        std::thread::sleep(Duration::from_millis(100));
    }
    let ran = machine.read("/run/job-ran").is_some();
    seen.check(ran, format!("cron runs a job (waited {:.1} s for it)", began.elapsed().as_secs_f64()));
    Ok(())
}

/// All packages that came go.
fn purge(machine: &Machine, seen: &mut Seen, before: &str) -> Result<()> {
    let before: BTreeSet<&str> = before.lines().collect();
    let now = say(machine, "dpkg-query -W -f '${Package}\\n' | sort")?;
    let mut new: Vec<&str> = now.lines().filter(|name| !before.contains(name)).collect();
    new.push("cron");
    let script = format!("rm /etc/cron.d/proof; apt-get purge -y {}; systemctl daemon-reload", new.join(" "));
    act(machine, seen, &format!("purge {} packages", new.len()), &script)?;
    let units: Vec<&str> = SERVICES.iter().map(|service| service.unit).collect();
    let left = say(
        machine,
        &format!(
            "systemctl list-units --all --plain --no-legend postgresql.service apache-htcacheclean.service {}
            pgrep -l 'postgres|redis|apache|htcache|mariadb|haproxy|memcached|cron'
            ss -Hltn | grep -v ':22 '
            systemctl --failed --plain --no-legend",
            units.join(" ")
        ),
    )?;
    seen.equal("units, processes, ports and failures after the purge", &left, "");
    let files =
        say(machine, &format!("systemctl cat {} 2>&1 | grep -v '^No files found for'", units.join(" ")))?;
    seen.equal("unit files after the purge", &files, "");
    let text = say(
        machine,
        "systemctl list-units --all --plain --no-legend | awk '{print $1, $2, $3, $4}' | grep -v -e ^session- -e user -e oomd",
    )?;
    seen.shown.insert("purged: units".to_owned(), text.lines().map(str::to_owned).collect());
    Ok(())
}
