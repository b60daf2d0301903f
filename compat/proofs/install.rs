//! `runstead install` and `uninstall`: on a tree from outside, with conflicts, killed and refused by the kernel at each call that
//! changes something, over package upgrades; and in a machine that boots its own `/sbin/init`.
//!
//! Trees are overlays over the Debian root, mounted in mount namespaces of their own; what an overlay's upper layer holds
//! is what was changed.

use runstead_compat::machine::{Entry, Machine, Options, UnderTest, our_binary};
use runstead_compat::proof::{Pid1, Proof};
use runstead_compat::{Error, Result, installed, root};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(14 * 60);
const BOOT_LIMIT: Duration = Duration::from_secs(90);

/// Before each case: `fresh` mounts a new tree at `$m`, `leave` unmounts it; `changed` names what differs from the root, but
/// for what dpkg keeps as its own backup; `bootable` says which init the tree has, `programs` whose the two programs are. The binary is `$b` inside the tree.
const PRELUDE: &str = r#"
set -eu
mount --make-rprivate /
top=$1 root=$2 binary=$3
mkdir -p "$top"; mount -t tmpfs -o mode=755 tmpfs "$top"
m=$top/m b=/run/runstead-new
fresh() {
  mkdir -p "$top/u" "$top/w" "$m"
  mount -t overlay overlay -o "lowerdir=$root,upperdir=$top/u,workdir=$top/w" "$m"
  mount -t proc proc "$m/proc"
  mount -t tmpfs tmpfs "$m/run"
  cp "$binary" "$m$b"
}
leave() { umount "$m/run" "$m/proc" "$m"; rm -rf "$top/u" "$top/w"; }
in_tree() { chroot "$m" /usr/bin/env PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C "$@"; }
changed() {
  (cd "$top/u"; find . -mindepth 1 ! -path ./var/lib/dpkg/diversions-old) | while read -r f; do
    if [ -d "$top/u/$f" ] && [ ! -L "$top/u/$f" ]; then what='%F %a %u %g'; else what='%F %a %u %g %s'; fi
    if [ "$(stat -c "$what" "$top/u/$f" 2>&1)" != "$(stat -c "$what" "$root/$f" 2>&1)" ]; then echo "$f"
    elif [ -L "$top/u/$f" ]; then [ "$(readlink "$top/u/$f")" = "$(readlink "$root/$f")" ] || echo "$f"
    elif [ -f "$top/u/$f" ]; then cmp -s "$top/u/$f" "$root/$f" || echo "$f"; fi
  done
}
bootable() {
  in_tree test -x /sbin/init || { echo "no init"; return; }
  case $(in_tree readlink -f /sbin/init) in
    */lib/systemd/systemd) echo systemd ;;
    /usr/lib/runstead/runstead) if in_tree /usr/lib/runstead/runstead --version >/dev/null; then echo runstead; else echo "broken"; fi ;;
    *) echo other ;;
  esac
}
programs() {
  for p in /usr/bin/systemd-tmpfiles /usr/lib/systemd/systemd-user-runtime-dir; do
    # That it says how it is to be called is enough.
    code=0; in_tree $p >"$top/usage" 2>&1 || code=$?
    case $code:$(in_tree readlink -f $p) in
      12[67]:*) printf 'broken ' ;;
      *:$p) printf 'systemd ' ;;
      *:/usr/lib/runstead/runstead) printf 'runstead ' ;;
      *) printf 'other ' ;;
    esac
  done
}
"#;

/// Everything about a tree: names, kinds, modes, owners, links, contents; then what dpkg says of it.
const WHOLE: &str = r#"
whole() {
  (cd "$m"; find . \( -path ./proc -o -path ./run -o -path ./var/lib/dpkg/diversions-old \) -prune -o -printf '%P %y %m %U %G %l\n' | sort
   find . \( -path ./proc -o -path ./run -o -path ./var/lib/dpkg/diversions-old \) -prune -o -type f -print0 | sort -z | xargs -0 sha256sum)
  in_tree dpkg -V || true
  in_tree dpkg-divert --list | sort
}
fresh
whole >"$top/before"
"$binary" install --root "$m" >"$top/said"; echo "steps=$(grep -c '^done' "$top/said")"
echo "installed=$(bootable) $(programs)"
echo "status=$("$binary" install --status --root "$m")"
echo "kept=$(in_tree readlink -f /sbin/init.distrib)"
echo "reference=$(in_tree test -x /lib/systemd/systemd && echo boots)"
echo "verify=$(diff <(in_tree dpkg -V) <(grep -E '^(\?\?|missing)' "$top/before") | head -5)"
"$binary" install --root "$m" >"$top/said"; echo "again=$(tail -1 "$top/said")"
cat "$b" /dev/null >/dev/null 2>&1 || true
cp "$binary" "$top/newer"; echo >>"$top/newer"
"$top/newer" install --root "$m" >"$top/said"; echo "upgrade=$(grep -c '^done' "$top/said") $(bootable)"
cmp -s "$top/newer" "$m/usr/lib/runstead/runstead" && echo "newest=yes"
"$binary" uninstall --root "$m" >/dev/null
echo "uninstalled=$(bootable) $(programs)"
whole >"$top/after"
echo "entries=$(wc -l <"$top/before")"
echo "difference=$(diff "$top/before" "$top/after" | head -5 | tr '\n' ' ')"
"$binary" uninstall --root "$m" >"$top/said"; echo "twice=$(cat "$top/said")"
"$binary" install --status --root "$m" >/dev/null && echo "after=0" || echo "after=$?"
"#;

/// Each makes something that is in the way; then both commands must refuse and change nothing.
const CONFLICTS: &str = r#"
try() {
  fresh
  (cd "$m"; eval "$2")
  (cd "$top/u"; find . | sort) >"$top/before"
  code=0; PATH=$3 "$binary" install --root "$m" >"$top/said" 2>&1 || code=$?
  (cd "$top/u"; find . | sort) >"$top/after"
  cmp -s "$top/before" "$top/after" && same=unchanged || same=CHANGED
  echo "$1=$code $same $(tr '\n' ' ' <"$top/said")"
  leave
}
p=$PATH
try binary 'mkdir usr/lib/runstead; echo x >usr/lib/runstead/runstead' "$p"
try command 'echo x >usr/bin/runstead' "$p"
try kept 'echo x >usr/sbin/init.distrib' "$p"
try program 'echo x >usr/bin/systemd-tmpfiles.distrib' "$p"
try directory 'rm usr/bin/systemd-tmpfiles; mkdir usr/bin/systemd-tmpfiles' "$p"
try sysvinit 'rm usr/sbin/init; cp usr/bin/true usr/sbin/init' "$p"
try other 'ln -sf ../lib/other/init usr/sbin/init' "$p"
try unknown 'chroot . dpkg-divert --quiet --local --no-rename --divert /usr/sbin/init.mine --add "$(dpkg --root=. -S sbin/init | sed -n "s/^systemd-sysv: //p")"' "$p"
try manifest 'mkdir var/lib/runstead; echo x >var/lib/runstead/installed' "$p"
try systemd 'rm usr/lib/systemd/systemd' "$p"
try dpkg 'true' /nowhere
try readonly 'mount -o remount,ro .' "$p"
"#;

/// Without dpkg the links alone are made and taken back.
const NO_DPKG: &str = r#"
fresh
rm -rf "$m/var/lib/dpkg"
(cd "$top/u"; find . ! -path './var/lib/dpkg*' -printf '%P %y %m %l\n' | sort) >"$top/before"
PATH=/nowhere "$binary" install --root "$m" >/dev/null; echo "installed=$(bootable)"
PATH=/nowhere "$binary" uninstall --root "$m" >/dev/null; echo "uninstalled=$(bootable)"
echo "runstead=$(find "$top/u" -name '*runstead*' ! -path '*/run/*' | head -3)"
"#;

/// A tree without the programs gets them, and loses them again. What an older version installed is completed.
const OTHER_TREES: &str = r#"
fresh
rm "$m/usr/bin/systemd-tmpfiles" "$m/usr/lib/systemd/systemd-user-runtime-dir"
"$binary" install --root "$m" >/dev/null; echo "given=$(programs)"
"$binary" uninstall --root "$m" >/dev/null
echo "taken=$(ls "$m/usr/bin" "$m/usr/lib/systemd" | grep -cE 'systemd-tmpfiles|user-runtime-dir') $(in_tree dpkg-divert --list | grep -cE 'tmpfiles|runtime-dir')"
leave
fresh
"$binary" install --root "$m" >/dev/null
sed -i '/^PROGRAM/d' "$m/var/lib/runstead/installed"
for p in usr/bin/systemd-tmpfiles usr/lib/systemd/systemd-user-runtime-dir; do mv "$m/$p.distrib" "$m/$p"; done
in_tree dpkg-divert --list | sed -n 's/^local diversion of \(.*\(tmpfiles\|runtime-dir\)\) to .*/\1/p' | while read -r p; do in_tree dpkg-divert --quiet --local --no-rename --remove "$p"; done
echo "before=$(bootable) $(programs)"
"$binary" install --root "$m" >/dev/null
echo "completed=$(bootable) $(programs) $("$binary" install --status --root "$m")"
"$binary" uninstall --root "$m" >/dev/null
echo "left=$(bootable) $(programs) $(changed)"
"#;

/// The package comes in a newer version with another link while ours is installed.
const UPGRADE: &str = r#"
fresh
"$binary" install --root "$m" >/dev/null
mkdir -p "$m/run/p/DEBIAN" "$m/run/p/usr/sbin"
(cd "$m/run/p"; ln -s ../lib/systemd/systemd usr/sbin/init; echo newer >usr/sbin/newer
 mkdir usr/bin; echo 'echo newer' >usr/bin/systemd-tmpfiles; chmod 755 usr/bin/systemd-tmpfiles
 printf 'Package: systemd-sysv\nVersion: 999\nArchitecture: amd64\nMaintainer: none <n@example.org>\nReplaces: systemd\nDescription: newer\n' >DEBIAN/control)
in_tree dpkg-deb --build /run/p /run/p.deb >/dev/null
in_tree dpkg --force-depends -i /run/p.deb >"$top/said" 2>&1 || cat "$top/said"
echo "version=$(in_tree dpkg-query -W -f '${Version}' systemd-sysv) $(cat "$m/usr/sbin/newer")"
echo "installed=$(bootable) $(programs)"
echo "status=$("$binary" install --status --root "$m")"
"$binary" uninstall --root "$m" >/dev/null
echo "uninstalled=$(bootable) $(in_tree sh /usr/bin/systemd-tmpfiles)"
echo "left=$(ls "$m/usr/sbin" | grep -c 'init\.' || true)"
echo "verify=$(in_tree dpkg -V systemd-sysv)"
"#;

/// A command is stopped at each call that changes something, by what `$4` says (a signal or an error number); then one of the
/// commands goes on. A line for each bad case, and counts.
const STOPPED: &str = r#"
# strace counts each of them for itself. openat is for files that are made; those that are read are stopped at, too.
calls="renameat symlinkat linkat unlinkat mkdirat fchmod fchmodat fsync openat clone clone3 fork vfork"
stop() { in_tree strace -qq -o /run/trace -e "trace=$1" -e "inject=$1:$injection:when=$2" "$b" "$3" >/dev/null 2>&1; }
case_of() {
  fresh
  [ "$verb" = install ] || in_tree "$b" install >/dev/null
  code=0; stop "$call" "$n" "$verb" || code=$?
  # dpkg-divert, which lives on.
  sleep 0.02
  hit=no; if [ $code != 0 ] || grep -q INJECTED "$m/run/trace"; then hit=yes; fi
  what="$verb stopped at $call $n, then $next"
  case $(bootable) in systemd|runstead) ;; *) echo "bad=$what: $(bootable)" ;; esac
  case $(programs) in *other*|*broken*) echo "bad=$what: $(programs)" ;; esac
  in_tree "$b" "$next" >"$top/said" 2>&1 || echo "bad=$what: $(cat "$top/said")"
  if [ "$next" = install ]; then
    in_tree "$b" install --status >"$top/said" 2>&1 || echo "bad=$what: $(tr '\n' ' ' <"$top/said")"
    [ "$(bootable) $(programs)" = "runstead runstead runstead " ] || echo "bad=$what: not ours"
    in_tree "$b" uninstall >/dev/null
  fi
  [ "$(bootable) $(programs)" = "systemd systemd systemd " ] || echo "bad=$what: not systemd's in the end"
  left=$(changed)
  [ -z "$left" ] || echo "bad=$what: left" $left
  leave
}
injection=$4
for verb in install uninstall; do for next in install uninstall; do
  count=0
  for call in $calls; do
    n=1
    while case_of; [ $hit = yes ]; do count=$((count+1)); n=$((n+1)); done
  done
  echo "$verb-$next=$count"
done; done
"#;

fn main() -> ExitCode {
    let mut proof = Proof::begin("install", LIMIT);
    if let Some(root) = proof.need("find the Debian root", root::chosen()) {
        prove(&mut proof, &root);
    }
    proof.end()
}

fn prove(proof: &mut Proof, root: &Path) {
    let Some(binary) = proof.need("find our binary", our_binary().and_then(|path| absolute(&path))) else {
        return;
    };
    let trees = Trees { root, binary: &binary };
    proof.step("a tree from outside");
    outside(proof, &trees);
    proof.step("conflicts");
    conflicts(proof, &trees);
    proof.step("a tree without dpkg");
    if let Some(said) = proof.need("run the case", trees.case(NO_DPKG, "")) {
        said.equal(proof, "installed", "runstead");
        said.equal(proof, "uninstalled", "systemd");
        said.equal(proof, "runstead", "");
    }
    proof.step("trees without the programs, and of an older version");
    if let Some(said) = proof.need("run the case", trees.case(OTHER_TREES, "")) {
        said.equal(proof, "given", "runstead runstead ");
        said.equal(proof, "taken", "0 0");
        said.equal(proof, "before", "runstead systemd systemd ");
        said.has(proof, "completed", "runstead runstead runstead  runstead ");
        said.equal(proof, "left", "systemd systemd systemd  ");
    }
    proof.step("the package is upgraded");
    if let Some(said) = proof.need("run the case", trees.case(UPGRADE, "")) {
        said.equal(proof, "version", "999 newer");
        said.equal(proof, "installed", "runstead runstead runstead ");
        said.equal(proof, "uninstalled", "systemd newer");
        said.equal(proof, "left", "0");
        said.equal(proof, "verify", "");
    }
    for (what, injection) in [("killed", "signal=KILL"), ("refused by the kernel", "error=EIO")] {
        proof.step(format!("{what} at each call"));
        stopped(proof, &trees, what, injection);
    }
    proof.step("a machine");
    let layer = std::env::temp_dir().join(format!("runstead-install-{}", std::process::id()));
    let outcome = machine(proof, root, &binary, &layer);
    let _ = fs::remove_dir_all(&layer);
    proof.need("boot the machines", outcome);
}

fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(Error::on("find", path))
}

/// Where the cases run.
struct Trees<'a> {
    root: &'a Path,
    binary: &'a Path,
}

/// `NAME=VALUE` lines that a case printed.
struct Said(String);

impl Trees<'_> {
    fn case(&self, script: &str, argument: &str) -> Result<Said> {
        let top = std::env::temp_dir().join(format!("runstead-install-{}", std::process::id()));
        // Its mounts go with its namespace.
        let output = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "KILL",
                "unshare",
                "-m",
                "bash",
                "-c",
                &format!("{PRELUDE}{script}"),
                "case",
            ])
            .arg(&top)
            .arg(self.root)
            .arg(self.binary)
            .arg(argument)
            .stdin(Stdio::null())
            .output()
            .map_err(Error::on("run", "unshare"))?;
        let _ = fs::remove_dir(&top);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(Said(text));
        }
        let error = String::from_utf8_lossy(&output.stderr);
        Err(Error::new(format!("{}: {text}\n{}", output.status, error.trim())))
    }
}

impl Said {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }

    fn equal(&self, proof: &mut Proof, name: &str, expected: &str) {
        let value = self.get(name);
        proof.check(value == Some(expected), format!("{name}: {value:?} (to be {expected:?})"));
    }

    fn has(&self, proof: &mut Proof, name: &str, expected: &str) {
        let value = self.get(name).unwrap_or("");
        proof.check(value.contains(expected), format!("{name}: {value:?} (to have {expected:?})"));
    }
}

fn outside(proof: &mut Proof, trees: &Trees<'_>) {
    let Some(said) = proof.need("run the case", trees.case(WHOLE, "")) else { return };
    said.equal(proof, "installed", "runstead runstead runstead ");
    said.has(proof, "status", "is installed");
    said.equal(proof, "kept", "/usr/lib/systemd/systemd");
    said.equal(proof, "reference", "boots");
    said.equal(proof, "verify", "");
    said.has(proof, "again", "nothing to do");
    said.equal(proof, "upgrade", "1 runstead");
    said.equal(proof, "newest", "yes");
    said.equal(proof, "uninstalled", "systemd systemd systemd ");
    let entries = said.get("entries").and_then(|count| count.parse::<usize>().ok()).unwrap_or(0);
    proof.check(entries > 10_000, format!("{entries} lines about the tree were compared"));
    said.equal(proof, "difference", "");
    said.has(proof, "twice", "nothing to do");
    said.equal(proof, "after", "3");
}

fn conflicts(proof: &mut Proof, trees: &Trees<'_>) {
    let Some(said) = proof.need("run the case", trees.case(CONFLICTS, "")) else { return };
    for (name, named) in [
        ("binary", "/usr/lib/runstead/runstead"),
        ("command", "/usr/bin/runstead"),
        ("kept", "init.distrib"),
        ("program", "systemd-tmpfiles.distrib"),
        ("directory", "is no program"),
        ("sysvinit", "another init"),
        ("other", "another init"),
        ("unknown", "dpkg-divert --remove"),
        ("manifest", "/var/lib/runstead/installed"),
        ("systemd", "/usr/lib/systemd/systemd"),
        ("dpkg", "dpkg-divert"),
        ("readonly", "Read-only file system"),
    ] {
        let value = said.get(name).unwrap_or("");
        let good = value.starts_with("4 unchanged ") && value.contains(named);
        proof.check(good, format!("{name}: {value}"));
    }
}

fn stopped(proof: &mut Proof, trees: &Trees<'_>, what: &str, injection: &str) {
    let Some(said) = proof.need("run the case", trees.case(STOPPED, injection)) else { return };
    let bad: Vec<&str> = said.0.lines().filter_map(|line| line.strip_prefix("bad=")).collect();
    bad.iter().take(10).for_each(|line| println!("     {line}"));
    for name in ["install-install", "install-uninstall", "uninstall-install", "uninstall-uninstall"] {
        let count = said.get(name).and_then(|count| count.parse::<usize>().ok()).unwrap_or(0);
        proof.check(count > 15, format!("{name}: {what} at {count} calls"));
    }
    proof.check(bad.is_empty(), format!("{} of them went wrong", bad.len()));
}

fn machine(proof: &mut Proof, root: &Path, binary: &Path, layer: &Path) -> Result<()> {
    fs::create_dir_all(layer).map_err(Error::on("create", layer))?;
    let bytes = fs::read(binary).map_err(Error::on("read", binary))?;
    let boot = |expected: &str| -> Result<Machine> {
        let mut options = Options::new(UnderTest::Ours, root);
        options.init = Some("/sbin/init".to_owned());
        options.kept = Some(layer.to_owned());
        options.files.push(("/root/new".into(), Entry::Program(bytes.clone())));
        options.files.push(("/root/newer".into(), Entry::Program([&bytes[..], b"\n"].concat())));
        let mut machine = Machine::boot(&options)?;
        machine.wait_running(BOOT_LIMIT)?;
        let exe = executable(&machine);
        if exe != expected {
            return Err(Error::new(format!("PID 1 is {exe}, not {expected}")));
        }
        Ok(machine)
    };
    let reference = boot("/usr/lib/systemd/systemd")?;
    let before = sh(&reference, installed::LOOK)?;
    proof.check(before.contains("diversion of"), "dpkg says something before");
    let said = sh(&reference, "/root/new install")?;
    proof.check(said.contains("from the next boot on"), format!("installed: {:?}", said.lines().last()));
    let said = sh(&reference, "systemctl is-system-running; init --bogus 2>&1 || true")?;
    proof.check(said.starts_with("running"), "the running systemd does not mind");
    proof.check(
        said.contains("bogus"),
        format!("init is a request to the running one: {:?}", said.lines().nth(1)),
    );
    power_off(reference)?;
    let mut ours = boot("/usr/lib/runstead/runstead")?;
    proof.check(true, "the tree's own /sbin/init is runstead");
    let units = sh(&ours, "systemctl --failed --no-legend; systemctl list-units --no-legend | wc -l")?;
    proof.check(
        units.trim().parse::<u32>().is_ok_and(|count| count > 60),
        format!("systemctl works: {units:?}"),
    );
    // The directory of a user goes when nobody needs it any more.
    let said = sh(
        &ours,
        "systemctl is-active systemd-tmpfiles-setup; systemd-run -q --unit=holder -p Requires=user-runtime-dir@0.service -p After=user-runtime-dir@0.service sleep 60; stat -c %a /run/user/0; systemctl stop holder user-runtime-dir@0; ls -d /run/user/0 2>/dev/null; readlink -f $(command -v systemd-tmpfiles); systemd-tmpfiles --create --dry-run >/dev/null 2>&1; echo $?",
    )?;
    proof.check(
        said.starts_with("active\n700\n/usr/lib/runstead/runstead\n") && said.ends_with("\n0\n"),
        format!("its programs are runstead's: {said:?}"),
    );
    upgrade(proof, &mut ours)?;
    let said = sh(&ours, "/root/new uninstall")?;
    proof.check(said.contains("until the next boot"), format!("uninstalled: {:?}", said.lines().last()));
    let after = sh(&ours, installed::LOOK)?;
    proof.check(before == after, format!("dpkg says the same as before ({} bytes)", before.len()));
    let left =
        sh(&ours, "systemctl is-system-running; ls /run/systemd/generator/user@.service.d 2>&1 || true")?;
    proof
        .check(left.contains("No such file"), format!("managers of users are the package's again: {left:?}"));
    power_off(ours)?;
    let again = boot("/usr/lib/systemd/systemd")?;
    proof.check(sh(&again, installed::LOOK)? == before, "systemd boots, and dpkg says the same as before");
    Ok(())
}

/// A newer binary over the running one, one that is none, and back.
fn upgrade(proof: &mut Proof, machine: &mut Machine) -> Result<()> {
    let image = Pid1(machine).image();
    let same = sh(
        machine,
        "/root/newer install >&2; readlink /proc/1/exe; systemctl daemon-reexec; systemctl is-system-running",
    )?;
    let new = Pid1(machine).image();
    proof.check(same.contains("(deleted)") && same.ends_with("running\n"), format!("an upgrade: {same:?}"));
    proof.check(new.started == image.started && new.auxv != image.auxv, "PID 1 executed itself");
    let own = sh(machine, "cmp /proc/1/exe /root/newer && echo newer")?;
    proof.check(own == "newer\n", "and is the newer binary");
    let bad = "cp /usr/bin/true /usr/lib/runstead/x; mv /usr/lib/runstead/x /usr/lib/runstead/runstead
        systemctl daemon-reexec; systemctl is-system-running; cmp /proc/1/exe /root/newer && echo kept
        /root/new install >&2; systemctl daemon-reexec; cmp /proc/1/exe /root/new && echo mended";
    let said = sh(machine, bad)?;
    proof.check(
        said == "running\nkept\nmended\n",
        format!("a file that is no runstead is not executed: {said:?}"),
    );
    Ok(())
}

fn executable(machine: &Machine) -> String {
    fs::read_link(format!("/proc/{}/exe", machine.pid1()))
        .map_or_else(|e| e.to_string(), |p| p.display().to_string())
}

fn power_off(mut machine: Machine) -> Result<()> {
    let began = Instant::now();
    sh(&machine, "systemctl poweroff")?;
    machine.wait_end(BOOT_LIMIT)?.ok_or_else(|| Error::new("the machine does not power off"))?;
    println!("     powered off in {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// Output of a script. The last command's status is no matter of concern: what it says is.
fn sh(machine: &Machine, script: &str) -> Result<String> {
    machine.shell(script)?.up_to(2)
}
