//! Options that are about where lines come from: both programs print the same, end alike and leave the same tree.

use crate::{REFERENCE, Setting, UNDER_TEST, boot};
use runstead_compat::Result;
use runstead_compat::machine::Machine;
use runstead_compat::proof::Proof;

/// Before each case, in a tree of its own: files of the system and of a user.
const PREPARE: &str = r#"
top=/srv/options
rm -rf $top /run/options* /etc/tmpfiles.d/zz-*.conf /usr/lib/tmpfiles.d/zz-*.conf
mkdir -p $top/root/etc/tmpfiles.d $top/root/usr/lib/tmpfiles.d $top/home/.config/user-tmpfiles.d $top/home/.local/share/user-tmpfiles.d \
  $top/xdg/user-tmpfiles.d $top/data/user-tmpfiles.d $top/run/user-tmpfiles.d /usr/share/user-tmpfiles.d
put() { mkdir -p "$(dirname "$1")"; printf '%b' "$2" >"$1"; }
put /etc/tmpfiles.d/zz-one.conf '# a comment\n\n  ; another\nd /srv/options/one 0750 daemon -\n'
put /usr/lib/tmpfiles.d/zz-one.conf 'd /srv/options/hidden\n'
put /usr/lib/tmpfiles.d/zz-two.conf '#only a comment\nd /srv/options/two   # no comment\nf /run/options - - - - text'
put $top/root/etc/tmpfiles.d/a.conf 'd /a 0700\n# c\nd /b'
put $top/root/usr/lib/tmpfiles.d/b.conf '\n\nf /b/file - - - - x\n'
ln -s /dev/null $top/root/etc/tmpfiles.d/c.conf
put $top/root/usr/lib/tmpfiles.d/c.conf 'd /masked\n'
put $top/home/.config/user-tmpfiles.d/a.conf 'd %h/of-config 0700\nf %h/specifiers - - - - %t|%h|%S|%C|%L|%u|%U|%g|%T|%V\n'
put $top/home/.local/share/user-tmpfiles.d/b.conf 'd %h/of-data\nd /srv/options/not-his\n'
put $top/xdg/user-tmpfiles.d/a.conf 'd %h/hidden\n'
put $top/xdg/user-tmpfiles.d/c.conf 'L %h/link - - - - %t\n'
put $top/data/user-tmpfiles.d/d.conf 'd %t/of-data-dirs\n'
put $top/run/user-tmpfiles.d/e.conf 'd %t/of-run 0711\n'
chown -R 1000:1000 $top/home $top/run
user() { setpriv --reuid 1000 --regid 1000 --clear-groups env -i PATH=$PATH HOME=$top/home XDG_RUNTIME_DIR=$top/run XDG_CONFIG_DIRS=$top/xdg XDG_DATA_DIRS=$top/data "$@"; }
cd $top
"#;
/// After it: what is there.
const LOOK: &str = r#"
cd /; rm -rf $top/said
find $top /run/options* -printf '%p %y %m %U %G %l\n' 2>/dev/null | sort
find $top /run/options* -type f ! -name '*.conf' -exec grep -H '' {} + 2>/dev/null | sort
"#;

/// What is tried: `$P` is the program.
const CASES: [(&str, &str); 40] = [
    ("cat-config", "$P --cat-config"),
    ("cat-config of files", "$P --cat-config zz-two.conf /etc/tmpfiles.d/zz-one.conf"),
    ("cat-config of a root", "$P --cat-config --root=$top/root"),
    ("cat-config of a user", "user $P --user --cat-config"),
    ("cat-config of nothing", "$P --cat-config no-such.conf"),
    ("cat-config of standard input", "echo '# c' | $P --cat-config -"),
    ("cat-config makes nothing", "$P --cat-config --create"),
    ("tldr", "$P --tldr"),
    ("tldr of files", "$P --tldr zz-two.conf zz-one.conf"),
    ("tldr of a root", "$P --tldr --root=$top/root"),
    ("tldr of a user", "user $P --user --tldr"),
    ("user", "user $P --user --create"),
    ("user, with a prefix", "user $P --user --create --prefix=$top/home"),
    ("user, from standard input", "printf 'd %%h/in 0700\nf %%t/there' | user $P --user --create -"),
    (
        "user, cleaning",
        "mkdir -p $top/home/old/in; chown -R 1000 $top/home/old; echo 'd %h/old - - - 0' | user $P --user --clean -",
    ),
    (
        "user, removing",
        "mkdir -p $top/home/old/in; chown -R 1000 $top/home/old; echo 'R %h/old' | user $P --user --remove -",
    ),
    ("user, without a runtime directory", "user env -u XDG_RUNTIME_DIR $P --user --create"),
    ("user and root", "$P --user --root=$top/root --create"),
    ("root", "$P --create --root=$top/root"),
    ("root, and a file by name", "$P --create --root=$top/root b.conf"),
    ("root, and a file by path", "$P --create --root=$top/root $top/root/etc/tmpfiles.d/a.conf"),
    (
        "replace",
        "echo 'd /srv/options/new' >$top/new.conf; $P --create --prefix=$top --replace=/usr/lib/tmpfiles.d/zz-two.conf $top/new.conf",
    ),
    (
        "replace what is hidden",
        "echo 'd /srv/options/new' | $P --create --prefix=$top --replace=/usr/lib/tmpfiles.d/zz-one.conf -",
    ),
    (
        "replace what hides",
        "echo 'd /srv/options/new' | $P --create --prefix=$top --replace=/etc/tmpfiles.d/zz-one.conf -",
    ),
    (
        "replace what is not there",
        "echo 'd /srv/options/new' | $P --create --prefix=$top --replace=/usr/lib/tmpfiles.d/zz-three.conf -",
    ),
    ("replace elsewhere", "echo 'd /srv/options/new' | $P --create --prefix=$top --replace=/opt/x.conf -"),
    (
        "replace in a root",
        "echo 'd /new' | $P --create --root=$top/root --replace=/usr/lib/tmpfiles.d/b.conf -",
    ),
    ("replace without a file", "$P --create --replace=/usr/lib/tmpfiles.d/zz-two.conf"),
    (
        "replace by a relative path",
        "echo d /srv/options/new | $P --create --replace=tmpfiles.d/zz-two.conf -",
    ),
    (
        "replace what is no configuration",
        "echo d /srv/options/new | $P --create --replace=/usr/lib/tmpfiles.d/zz-two -",
    ),
    (
        "replace and cat-config",
        "echo d /srv/options/new | $P --cat-config --replace=/usr/lib/tmpfiles.d/zz-two.conf -",
    ),
    (
        "-E",
        "printf 'd /srv/options/e\nd /run/options-e\nd /sys/options\nd /proc/options\n' | $P --create -E -",
    ),
    ("-E and a prefix", "printf 'd /srv/options/e\nd /run/options-e\n' | $P --create -E --prefix=/run -"),
    ("-E in a root", "printf 'd /e\nd /run/e\n' | $P --create -E --root=$top/root -"),
    ("standard input", "printf 'd /srv/options/s 0700\n\n# c\nf /srv/options/s/f - - - - x' | $P --create -"),
    ("standard input twice", "printf 'd /srv/options/s\n' | $P --create - -"),
    ("standard input and files", "printf 'd /srv/options/s\n' | $P --create zz-two.conf - zz-one.conf"),
    ("empty standard input", "$P --create - </dev/null"),
    (
        "cat-config of what is masked",
        "ln -s /dev/null /etc/tmpfiles.d/zz-two.conf; $P --cat-config; $P --tldr",
    ),
    ("wrong standard input", "printf 'y /srv/options/s\nd /srv/options/t\n' | $P --create -"),
];

pub fn prove(proof: &mut Proof, setting: &Setting) -> Result<()> {
    let machine = boot(&setting.options()?)?;
    for (name, script) in CASES {
        let expected = attempt(&machine, script, REFERENCE)?;
        let found = attempt(&machine, script, UNDER_TEST)?;
        proof.check(expected == found, format!("{name}: {} bytes", expected.len()));
        if expected != found {
            told(&expected, &found);
        }
    }
    Ok(())
}

/// What it says on standard output, how it ends and what is there then.
fn attempt(machine: &Machine, script: &str, program: &str) -> Result<String> {
    let script =
        format!("P={program}\n{PREPARE}\n{script} 2>/srv/options/said\necho \"status $?\"\n{LOOK}true");
    machine.shell(&script)?.up_to(0)
}

/// Lines that only one of them has.
fn told(expected: &str, found: &str) {
    for (who, one, other) in [("reference", expected, found), ("under test", found, expected)] {
        let other: Vec<&str> = other.lines().collect();
        one.lines()
            .filter(|line| !other.contains(line))
            .take(8)
            .for_each(|line| println!("  only {who}: {line}"));
    }
}
