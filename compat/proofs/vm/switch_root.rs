//! From an initramfs of which runstead is the init to the system on a disk, whose init is runstead, or systemd; and from there to
//! another kernel without the firmware.
use crate::{BOOT, Checks, off, pid1};
use runstead_compat::machine::{Entry, UnderTest, our_binary};
use runstead_compat::proof::Proof;
use runstead_compat::vm::{Vm, VmOptions};
use runstead_compat::{Error, Result, archives, kernel};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);
/// What the shell of the initramfs is told, and what comes back.
const STEPS: [(&str, &str); 6] = [
    // What the manager executed itself with is not for the next init.
    ("kill -TERM 1", "# "),
    ("switch-root /nothing", "'/nothing' cannot be opened"),
    ("switch-root /proc", "no init that can be executed"),
    ("/busybox insmod /virtio_blk.ko", "# "),
    ("mkdir /sysroot", "# "),
    ("mount -t ext4 -o ro /dev/vda /sysroot", "# "),
];

pub fn prove(proof: &mut Proof, tree: &Path) {
    let scratch = std::env::temp_dir().join(format!("runstead-switch-root-{}", std::process::id()));
    let made = std::fs::create_dir_all(&scratch).map_err(Error::on("create", &scratch));
    let made = made.and_then(|()| initramfs(tree, &scratch));
    if let Some(initramfs) = proof.need("make an initramfs", made) {
        for init in [UnderTest::Ours, UnderTest::Systemd] {
            proof.step(format!("from an initramfs to {}", init.name()));
            one(proof, tree, init, &initramfs);
        }
    }
    let _ = std::fs::remove_dir_all(&scratch);
}

/// Our binary, what it takes to see the disk, and somebody who can load that.
fn initramfs(tree: &Path, scratch: &Path) -> Result<PathBuf> {
    let read = |path: &Path| std::fs::read(path).map_err(Error::on("read", path));
    let packed = Command::new("sh")
        .args(["-c", "xz -dc \"$1\"/usr/lib/modules/*/kernel/drivers/block/virtio_blk.ko.xz", "sh"])
        .arg(tree)
        .output()
        .map_err(Error::on("run", "xz"))?;
    let busybox = Command::new("sh").args(["-c", "command -v busybox"]).output();
    let busybox = busybox.map_err(Error::on("find", "busybox"))?;
    let busybox = PathBuf::from(String::from_utf8_lossy(&busybox.stdout).trim());
    let archive = kernel::initramfs(&[
        ("init", &read(&our_binary()?)?),
        ("busybox", &read(&busybox)?),
        ("virtio_blk.ko", &packed.stdout),
    ]);
    let path = scratch.join("initramfs");
    std::fs::write(&path, archive).map_err(Error::on("write", &path))?;
    Ok(path)
}

fn one(proof: &mut Proof, tree: &Path, init: UnderTest, initramfs: &Path) {
    let mut options = VmOptions::new(init, tree);
    options.initramfs = Some(initramfs.to_owned());
    let Some(packages) = proof.need("find kexec", packages()) else { return };
    options.files = packages;
    let Some(mut vm) = proof.need("boot", Vm::boot(&options)) else { return };
    let mut checks = Checks { proof, vm: &mut vm, who: init.name() };
    let outcome = go(&mut checks);
    if checks.outcome("it goes there", outcome).is_none() {
        return;
    }
    checks.text("PID 1", "readlink /proc/1/exe", pid1(init));
    checks.text("the whole system is up", "systemctl is-system-running --wait", "running");
    checks.text(
        "the root is the disk",
        "findmnt -no FSTYPE / && ls -d /busybox /sysroot 2>&1 | grep -c 'No such'",
        "ext4\n2",
    );
    checks.text(
        "each once",
        "findmnt -no TARGET /dev /proc /sys /run 2>/dev/null; grep -c ' /run ' /proc/self/mountinfo",
        "1",
    );
    checks.text(
        "it is preferred as ever",
        "ps -o ni= -p 1 | xargs",
        if init == UnderTest::Ours { "-10" } else { "0" },
    );
    kexec(&mut checks, init);
    // Nothing is loaded any more: the machine is reset instead, which ends it here.
    off(&mut checks, |vm| vm.start_command("systemctl start kexec.target"));
}

/// The packages of kexec(8), as files for the machine.
fn packages() -> Result<Vec<(String, Entry)>> {
    let one = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).map_err(Error::on("read", &path))?;
        Ok((format!("/opt/{name}"), Entry::Program(bytes)))
    };
    archives::kexec()?.into_iter().map(one).collect()
}

/// Loads the kernel that runs, with another word on its command line.
const LOAD: &str = "cd /opt; for package in *.deb; do dpkg-deb -x $package /opt/kexec; done; \
    LD_LIBRARY_PATH=/opt/kexec/usr/lib/x86_64-linux-gnu $(find kexec -name kexec -type f -perm /1 | head -1) -l /boot/vmlinuz-* \
    --initrd=$(echo /boot/initrd.img-*) --append=\"$(cat /proc/cmdline) again\" && cat /sys/kernel/kexec_loaded";

/// `systemctl kexec` with a kernel that was loaded before.
fn kexec(checks: &mut Checks<'_>, init: UnderTest) {
    checks.text("another kernel is loaded", LOAD, "1");
    if !matches!(checks.vm.text("cat /sys/kernel/kexec_loaded").as_deref(), Ok("1")) {
        return;
    }
    let outcome = checks.vm.start_command("systemctl kexec").and_then(|()| checks.vm.wait_agent(BOOT));
    if checks.outcome("it starts", outcome).is_some() {
        checks.text("that is the one", "grep -wo again /proc/cmdline", "again");
        checks.text("PID 1", "readlink /proc/1/exe", pid1(init));
        checks.text("the whole system is up", "systemctl is-system-running --wait", "running");
    }
}

fn go(checks: &mut Checks<'_>) -> Result<()> {
    let mut at = checks.vm.expect(0, "'help' lists the commands", PATIENCE)?;
    at = checks.vm.expect(at, "# ", PATIENCE)?;
    for (line, answer) in STEPS {
        checks.vm.type_in(&format!("{line}\n"))?;
        at = checks.vm.expect(at, line, PATIENCE)?;
        at = checks.vm.expect(at, answer, PATIENCE)?;
    }
    checks.vm.type_in("switch-root\n")?;
    checks.vm.wait_agent(BOOT)
}
