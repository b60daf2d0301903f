//! A kernel and an initramfs of our own making, for a virtual machine that has nothing else ([`crate::vm`] has disks).

use crate::root::{self, Distribution};
use crate::{Result, vm};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The kernel that is booted: `RUNSTEAD_KERNEL`, else that of the root with a kernel.
pub fn find() -> Result<PathBuf> {
    match std::env::var_os("RUNSTEAD_KERNEL") {
        Some(image) => Ok(PathBuf::from(image)),
        None => vm::boot_file(&root::of(Distribution::Debian13Kernel)?, "vmlinuz"),
    }
}

/// The emulator with a kernel, an initramfs, and the serial line on its standard streams; `words` follow on the kernel's command
/// line. It ends with the thread that starts it, when the machine switches itself off, and instead of a reboot.
pub fn emulator(image: &Path, initramfs: &Path, words: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "512"]);
    command.args(["-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel"]).arg(image);
    command.arg("-initrd").arg(initramfs).arg("-append").arg(format!("console=ttyS0 panic=-1 {words}"));
    command
}

/// An archive (cpio, format "newc") that holds these programs and nothing else: name and bytes.
pub fn initramfs(programs: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (number, (name, bytes)) in (1u32..).zip(programs) {
        entry(&mut archive, number, 0o100_755, name, bytes);
    }
    entry(&mut archive, 0, 0, "TRAILER!!!", &[]);
    archive
}

fn entry(archive: &mut Vec<u8>, inode: u32, mode: u32, name: &str, bytes: &[u8]) {
    // inode, mode, uid, gid, links, time, size, four device numbers, length of the name with its NUL, checksum (unused)
    let size = u32::try_from(bytes.len()).expect("a program is smaller than 4 GB");
    let length = u32::try_from(name.len() + 1).expect("a name is short");
    archive.extend_from_slice(b"070701");
    for field in [inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, length, 0] {
        archive.extend_from_slice(format!("{field:08X}").as_bytes());
    }
    archive.extend_from_slice(name.as_bytes());
    archive.push(0);
    pad(archive);
    archive.extend_from_slice(bytes);
    pad(archive);
}

fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(4), 0);
}
