//! The binary as the only file there is: in an empty container, and as the initramfs of a virtual machine. Each boots to a shell
//! on its console, does there what it is told, and ends when asked to.

use runstead_compat::console::Console;
use runstead_compat::machine::{Machine, Options, UnderTest, our_binary};
use runstead_compat::proof::Proof;
use runstead_compat::{Error, Result, kernel};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(280);
/// Emulated without KVM, a boot takes some seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// The binary may have 6 MB.
const LARGEST: u64 = 6_000_000;

fn main() -> ExitCode {
    let mut proof = Proof::begin("alone", LIMIT);
    prove(&mut proof);
    proof.end()
}

fn prove(proof: &mut Proof) {
    let Some(binary) = proof.need("find our binary", our_binary()) else { return };
    proof.step("the binary");
    binary_is_small_and_static(proof, &binary);
    proof.step("an empty container");
    container(proof);
    proof.step("the only file of an initramfs");
    virtual_machine(proof, &binary);
}

fn binary_is_small_and_static(proof: &mut Proof, binary: &PathBuf) {
    let Some(bytes) = proof.need("read our binary", fs::read(binary)) else { return };
    // The size that counts is that of the release build.
    if binary.to_string_lossy().contains("release") {
        proof.check(bytes.len() as u64 <= LARGEST, format!("{} bytes, at most {LARGEST}", bytes.len()));
    }
    proof.check(has_interpreter(&bytes) == Some(false), "it needs no loader");
}

/// Whether an ELF file (elf(5), 64 bits, little endian) names a loader; `None` when it is none.
fn has_interpreter(bytes: &[u8]) -> Option<bool> {
    const PT_INTERP: u32 = 3;
    let number = |at: usize, size: usize| {
        let field = bytes.get(at..at.checked_add(size)?)?;
        Some(field.iter().rev().fold(0usize, |value, byte| value << 8 | usize::from(*byte)))
    };
    if bytes.get(..4)? != b"\x7fELF" {
        return None;
    }
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let mut kinds = (0..count).map(|index| number(table + index * size, 4));
    Some(kinds.any(|kind| kind == Some(PT_INTERP as usize)))
}

/// A conversation over a console: what was said before is not looked at again.
struct Talk<'a> {
    console: &'a Console,
    seen: usize,
}

impl Talk<'_> {
    /// Wait until this is said; what was said up to it.
    fn wait_for(&mut self, text: &str) -> Result<String> {
        let before = self.seen;
        self.seen = self.console.expect(before, text, PATIENCE)?;
        let all = self.console.text();
        Ok(all.get(before..self.seen - text.len()).unwrap_or("").to_owned())
    }

    /// Type a line and wait for the next prompt; what came between.
    fn tell(&mut self, line: &str) -> Result<String> {
        self.console.type_line(line)?;
        // The terminal's echo.
        self.wait_for(line)?;
        self.wait_for("# ")
    }
}

/// What is told to the shell, and a part of what it has to answer.
const CONVERSATION: &[(&str, &str)] = &[
    ("help", "stop everything in order"),
    ("echo 'one  two' \"<$HOME>\" three\\ four", "one  two <"),
    ("status default.target", "active"),
    ("status console-shell", "running"),
    ("ps", "/init"),
    ("cat /proc/1/comm", "init"),
    ("ls -l /dev/null", "c 0666"),
    ("mkdir /tmp/a/b", ""),
    ("mount -t tmpfs -o mode=0700,nosuid x /tmp/a/b", ""),
    ("ls -l /tmp/a", "d 0700"),
    ("cat /proc/self/mounts", " /tmp/a/b tmpfs rw,nosuid"),
    ("umount /tmp/a/b", ""),
    ("ls -l /tmp/a", "d 0755"),
    ("cd /tmp/a", "/tmp/a "),
    ("pwd", "/tmp/a"),
    ("ls /no/such", "No such file"),
    ("echo $?", "1"),
    ("ls | cat", "no pipes"),
    ("/init --version", "behaves as systemd 257"),
    ("no-such-program", "no such command"),
    ("start nothing", "not found"),
];

fn converse(proof: &mut Proof, talk: &mut Talk<'_>) -> Result<()> {
    talk.wait_for("'help' lists the commands")?;
    talk.wait_for("# ")?;
    for (line, expected) in CONVERSATION {
        let answer = talk.tell(line)?;
        let brief: String = answer.trim().chars().take(60).collect();
        // Where nothing is to be said, a complaint would be.
        let good = if expected.is_empty() { !answer.contains(": ") } else { answer.contains(expected) };
        proof.check(good, format!("`{line}`: {brief:?} (to have {expected:?})"));
    }
    proof.step("another shell");
    talk.console.type_line("exit")?;
    talk.wait_for("'help' lists the commands")?;
    proof.check(true, "a shell that is left starts anew");
    talk.wait_for("# ")?;
    proof.step("the rescue shell");
    talk.console.type_line("start rescue.service")?;
    talk.wait_for("'help' lists the commands")?;
    talk.wait_for("# ")?;
    let answer = talk.tell("status rescue")?;
    proof.check(answer.contains("running"), "the rescue shell takes the console");
    Ok(())
}

fn container(proof: &mut Proof) {
    let mut options = Options::new(UnderTest::Ours, "");
    options.alone = true;
    let Some(mut machine) = proof.need("boot", Machine::boot(&options)) else { return };
    let outcome = converse(proof, &mut Talk { console: &machine.console, seen: 0 });
    let Some(()) = proof.need("talk to the shell", outcome) else { return };
    proof.step("power off");
    let devices = machine.path("/dev/sda").exists() || machine.path("/dev/kmsg").exists();
    proof.check(!devices, "the container has no devices of the machine");
    let Some(()) = proof.need("type", machine.console.type_line("poweroff")) else { return };
    let ended = machine.wait_end(PATIENCE);
    let how = format!("{ended:?}");
    proof.check(matches!(ended, Ok(Some(_))), format!("it ends when asked to: {how}"));
}

/// An emulator that does not outlive the proof.
struct Emulator(Child);

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn virtual_machine(proof: &mut Proof, binary: &PathBuf) {
    let Some(kernel) = proof.need("find a kernel", kernel::find()) else { return };
    println!("     {}", kernel.display());
    let directory = std::env::temp_dir().join(format!("runstead-alone-{}", std::process::id()));
    let outcome = in_virtual_machine(proof, &kernel, binary, &directory);
    let _ = fs::remove_dir_all(&directory);
    proof.need("boot a virtual machine", outcome);
}

fn in_virtual_machine(proof: &mut Proof, image: &Path, binary: &PathBuf, directory: &PathBuf) -> Result<()> {
    fs::create_dir_all(directory).map_err(Error::on("create", directory))?;
    let bytes = fs::read(binary).map_err(Error::on("read", binary))?;
    let archive = directory.join("initramfs");
    fs::write(&archive, kernel::initramfs(&[("init", &bytes)])).map_err(Error::on("write", &archive))?;
    let (console, terminal) = Console::open(&directory.join("console"))?;
    let stream = || terminal.try_clone().map(Stdio::from).map_err(Error::on("duplicate", &console.terminal));
    let mut command = kernel::emulator(image, &archive, "quiet systemd.show_status=1");
    command.stdin(stream()?).stdout(stream()?).stderr(stream()?);
    let began = Instant::now();
    let mut emulator = Emulator(command.spawn().map_err(Error::on("start", "the emulator"))?);
    let mut talk = Talk { console: &console, seen: 0 };
    talk.wait_for("default.target")?;
    proof.check(true, format!("default.target after {:.1} s", began.elapsed().as_secs_f64()));
    converse(proof, &mut talk)?;
    console.type_line("poweroff")?;
    talk.wait_for("reboot: Power down")?;
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Some(status) = emulator.0.try_wait().map_err(Error::on("wait for", "the emulator"))? {
            proof.check(status.success(), format!("the machine is off: {status}"));
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(Error::new("the machine is not off"))
}
