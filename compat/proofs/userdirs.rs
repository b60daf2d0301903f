//! `/run/user/UID` as `systemd-user-runtime-dir` makes and removes it: the reference's program under the reference, ours under ours.

use runstead_compat::machine::{Entry, Machine, Options, UnderTest, our_binary};
use runstead_compat::proof::Proof;
use runstead_compat::{Error, Result, root};
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(240);
const BOOT: Duration = Duration::from_secs(60);
const PROGRAM: &str = "/usr/local/bin/runstead";
const LOGIND: &str = "[Login]\nRuntimeDirectorySize=8M\nRuntimeDirectoryInodesMax=7K\n";

/// `$S` is the program; everything that a case makes outside of /run/user is below /t. `plain` takes the right to mount from a program.
const BEFORE: &str = r#"
plain() { setpriv --bounding-set -sys_admin --inh-caps -sys_admin "$@"; }
as() { uid=$1; shift; setpriv --reuid $uid --regid $uid --clear-groups "$@"; }
rc() { "$@"; echo "rc $?"; }
dir() { stat -c '%F %a %u %g' "$1"; }
opts() { findmnt -no FSTYPE,OPTIONS "$1" | tr -s ' '; }
left() { ls -A /run/user; grep ' /run/user' /proc/mounts; }
"#;

struct Case {
    name: &'static str,
    script: &'static str,
    /// What is said; empty where systemd is not asked.
    says: &'static str,
    /// Under runstead, where COMPAT.md says that it differs.
    ours: Option<&'static str>,
}

const fn case(name: &'static str, script: &'static str, says: &'static str) -> Case {
    Case { name, script, says, ours: None }
}

const CASES: &[Case] = &[
    case(
        "limits are those of logind",
        "rc $S start 1; opts /run/user/1; dir /run/user/1; rc $S stop 1; left",
        "rc 0\ntmpfs rw,nosuid,nodev,relatime,size=8192k,nr_inodes=7168,mode=700,uid=1,gid=1\ndirectory 700 1 1\nrc 0\n",
    ),
    case(
        "root has one, too",
        "rc $S start 0; opts /run/user/0; dir /run/user/0; rc $S stop 0; left",
        "rc 0\ntmpfs rw,nosuid,nodev,relatime,size=8192k,nr_inodes=7168,mode=700\ndirectory 700 0 0\nrc 0\n",
    ),
    case("by name", "rc $S start games; dir /run/user/5; rc $S stop games; left", "rc 0\ndirectory 700 5 60\nrc 0\n"),
    case(
        "twice is once",
        "rc $S start 1; touch /run/user/1/a; rc $S start 1; ls /run/user/1; grep -c ' /run/user/1 ' /proc/mounts; rc $S stop 1; rc $S stop 1; left",
        "rc 0\nrc 0\na\n1\nrc 0\nrc 0\n",
    ),
    case(
        "who is not known",
        "rc $S start 4711; rc $S start nobody-knows; rc $S stop 4711; rc $S stop nobody-knows; left",
        "rc 1\nrc 1\nrc 0\nrc 1\n",
    ),
    case("other words", "rc $S; rc $S start; rc $S begin 1; rc $S start 1 2; left", "rc 1\nrc 1\nrc 1\nrc 1\n"),
    case(
        "a directory that is there",
        "mkdir -m 755 /run/user/2; touch /run/user/2/a; rc $S start 2; dir /run/user/2; ls -A /run/user/2; rc $S stop 2; left",
        "rc 0\ndirectory 700 2 2\nrc 0\n",
    ),
    case(
        "a file in its place",
        "touch /run/user/3; rc $S start 3; dir /run/user/3; rc $S stop 3; left",
        "rc 1\nregular empty file 644 0 0\nrc 0\n",
    ),
    Case {
        ours: Some("rc 1\nrc 0\nkept\n"),
        ..case(
            "a link in its place",
            "mkdir -p /t/aim; touch /t/aim/kept; ln -s /t/aim /run/user/3; rc $S start 3; rc $S stop 3; left; ls /t/aim; rm -f /run/user/3",
            "rc 1\nrc 1\n3\nkept\n",
        )
    },
    case(
        "nothing may be mounted",
        "rc plain $S start 5; dir /run/user/5; opts /run/user/5; as 5 mkdir -p /run/user/5/a/b; as 5 touch /run/user/5/a/b/c; rc plain $S stop 5; left",
        "rc 0\ndirectory 700 5 60\nrc 0\n",
    ),
    case(
        "hostile content",
        "mkdir -p /t/canary/deep; touch /t/canary/deep/kept; chmod -R a+rwX /t/canary; rc $S start 1; cd /run/user/1
        as 1 sh -c 'mkdir -p a/b dot bound own; ln -s /t/canary a/link; ln -s ../../../t/canary/deep a/b/link; ln /t/canary/deep/kept a/hard 2>/dev/null; mkfifo a/fifo; touch a/-rf; chmod 0 dot'
        mount --bind /t/canary bound; mount -t tmpfs own own; touch own/x; mount -t tmpfs over /run/user/1/own; touch own/y
        (cd /run/user/1/a; exec sleep 30) >/dev/null 2>&1 & exec 7>/run/user/1/a/open; cd /
        rc $S stop 1; left; find /t/canary -type f; kill $!",
        "rc 0\nrc 0\n/t/canary/deep/kept\n",
    ),
    case(
        "stacked mounts",
        "rc $S start 1; mount -t tmpfs a /run/user/1; mount -t tmpfs b /run/user/1; touch /run/user/1/x; rc $S stop 1; rc $S stop 1; left; umount -l /run/user/1 2>/dev/null; umount -l /run/user/1 2>/dev/null; rc $S stop 1",
        "",
    ),
    case(
        "a deep tree",
        "rc plain $S start 5; cd /run/user/5; as 5 perl -e 'for (1 .. 3000) { mkdir \"d\" and chdir \"d\" or die }'; cd /; rc plain $S stop 5; left; rm -rf /run/user/5",
        "rc 0\nrc 0\n",
    ),
    case(
        "an immutable file",
        "rc $S start 1; touch /run/user/1/a; chattr +i /run/user/1/a; rc rm -f /run/user/1/a; rc $S stop 1; left",
        "rc 0\nrc 1\nrc 0\n",
    ),
    case(
        "somebody who goes on making files",
        "for i in 1 2 3 4 5 6 7 8 9 10; do rc plain $S start 5 >/dev/null
        as 5 perl -e 'chdir \"/run/user/5\"; for (1 .. 20000) { mkdir \"d\"; mkdir \"d/$_\"; chdir \"d\" if $_ % 50 == 0; open my $f, \">\", $_ }' &
        sleep 0.05; rc plain $S stop 5; ls -A /run/user; wait; rm -rf /run/user/5; done | sort | uniq -c | tr -s ' '",
        "",
    ),
];

/// What runstead says where systemd is not asked.
const OURS: &[(&str, &str)] =
    &[("stacked mounts", "rc 0\nrc 0\nrc 0\nrc 0\n"), ("somebody who goes on making files", " 10 rc 0\n")];

fn main() -> ExitCode {
    let mut proof = Proof::begin("userdirs", LIMIT);
    let outcome = UnderTest::from_env().and_then(|under_test| prove(&mut proof, under_test));
    proof.need("go through it", outcome);
    proof.end()
}

fn prove(proof: &mut Proof, under_test: UnderTest) -> Result<()> {
    proof.step(format!("boot under {}", under_test.name()));
    let mut options = Options::new(under_test, root::chosen()?);
    let binary = our_binary()?;
    let bytes = fs::read(&binary).map_err(Error::on("read", &binary))?;
    options.files.push((PROGRAM.to_owned(), Entry::Program(bytes)));
    options.files.push(("/t/systemd-user-runtime-dir".to_owned(), Entry::Link(PROGRAM.to_owned())));
    options
        .files
        .push(("/etc/systemd/logind.conf.d/x.conf".to_owned(), Entry::File(LOGIND.to_owned(), 0o644)));
    let mut machine = Machine::boot(&options)?;
    machine.wait_running(BOOT)?;
    let programs: &[&str] = match under_test {
        UnderTest::Systemd => &["/usr/lib/systemd/systemd-user-runtime-dir"],
        UnderTest::Ours => &["/t/systemd-user-runtime-dir", "/usr/local/bin/runstead user-runtime-dir"],
    };
    for program in programs {
        proof.step(program);
        for case in CASES {
            let said = machine.shell(&format!("S='{program}'\n{BEFORE}\n{}", case.script))?;
            let wanted = wanted(case, under_test);
            if under_test == UnderTest::Systemd && case.says.is_empty() {
                println!("     {}: {:?}, which is not asked for", case.name, said.text);
                continue;
            }
            proof.check(
                said.text == wanted,
                format!("{}: {:?} (to be {wanted:?}) {}", case.name, said.text, said.error),
            );
        }
    }
    Ok(())
}

fn wanted(case: &Case, under_test: UnderTest) -> &'static str {
    let other = OURS.iter().find(|(name, _)| *name == case.name).map(|(_, says)| *says);
    match under_test {
        UnderTest::Ours => other.or(case.ours).unwrap_or(case.says),
        UnderTest::Systemd => case.says,
    }
}
