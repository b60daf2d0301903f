//! One virtual machine: a kernel of its own, under qemu's software emulation, with disks that are files.
//!
//! The root file system is made from a Debian tree and the staged files; it, a second file system and a swap area
//! are disks. The first serial port is the console. Commands go through the second, to a small agent that both
//! PID 1s start as a service.

use crate::machine::{Entry, UnderTest, our_binary, stage, sweep};
use crate::transcript::Transcript;
use crate::{Error, Result};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Where our binary is put.
const OUR_PLACE: &str = "/usr/lib/runstead/runstead";

/// root's password in the machine is "secret".
const PASSWORD: &str = "$5$runstead$bfWLVvMGpLPSxORQD7EmWTg9jL3VJ4Htutt0q61Su3.";

/// Makes the disks. Arguments: the tree, the machine's directory, the hash of root's password.
const MAKE_DISKS: &str = r#"
set -e
root=$1 directory=$2 scratch=$2/scratch password=$3
mount --make-rprivate /
mkdir "$scratch"
mount -t tmpfs -o mode=755 tmpfs "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$scratch/merged"
cp -a "$directory/files/." "$scratch/upper/"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/merged"
mkdir -p "$scratch/merged/mnt/data"
sed -i "s|^root:[^:]*:|root:$password:|" "$scratch/merged/etc/shadow"
mke2fs -q -t ext4 -U df2f3106-8bce-43b6-b8b5-6d8333407a3e -d "$scratch/merged" "$directory/root.disk" 2G >/dev/null
mke2fs -q -t ext4 -L data -U 6d1c1b0e-0d43-4b6c-9b66-3f2e9f7f3a10 "$directory/data.disk" 64M >/dev/null
truncate -s 64M "$directory/swap.disk"
mkswap -q -U 022ca579-2879-40e6-aa18-d1829b455f63 "$directory/swap.disk"
"#;

/// Answers command lines on the second serial port: `NUMBER COMMAND` with `NUMBER STATUS LENGTH LENGTH`, a newline,
/// and that many bytes of standard output and of standard error.
const AGENT: &str = r#"#!/bin/bash
exec <>/dev/ttyS1 >&0
stty raw -echo
echo agent ready
while read -r number command; do
  timeout 120 bash -c "$command" >/run/agent.out 2>/run/agent.err </dev/null
  echo "$number $? $(stat -c %s /run/agent.out) $(stat -c %s /run/agent.err)"
  cat /run/agent.out /run/agent.err
done
"#;
const AGENT_UNIT: &str = "[Unit]\nDescription=Commands of the test\n\
    [Service]\nExecStart=/usr/local/lib/agent\nUMask=0022\nSyslogIdentifier=agent\n";

/// What is mounted and swapped where.
pub const FSTAB: &str = "/dev/vda / ext4 rw 0 1\n\
    LABEL=data /mnt/data ext4 nofail,x-systemd.device-timeout=30s 0 2\n\
    /dev/vdc none swap nofail 0 0\n\
    tmpfs /mnt/auto tmpfs noauto,x-systemd.automount,size=1m 0 0\n";

/// The emulator translates code, and keeps 128 MiB of it (1 GiB unless told). A machine that boots again in the same
/// emulator clears pages that translated code of the last boot is in, and each byte of such a page costs a walk over
/// its code: with 1 GiB a second boot of systemd takes twice as long as the first, and minutes beside other work.
const ACCELERATOR: &str = "tcg,thread=multi,tb-size=128";

/// How to boot.
#[derive(Debug, Clone)]
pub struct VmOptions {
    /// Which PID 1.
    pub under_test: UnderTest,
    /// A tree with a kernel and an initramfs in `/boot`; only read.
    pub root: PathBuf,
    /// Extra entries (absolute paths inside the machine).
    pub files: Vec<(String, Entry)>,
    /// Added to the kernel's command line.
    pub words: String,
    /// Booted instead of the tree's initramfs.
    pub initramfs: Option<PathBuf>,
    /// Whether a reboot ends the virtual machine.
    pub once: bool,
}

impl VmOptions {
    /// Nothing extra; a reboot ends it.
    pub fn new(under_test: UnderTest, root: impl Into<PathBuf>) -> VmOptions {
        VmOptions {
            under_test,
            root: root.into(),
            files: Vec::new(),
            words: String::new(),
            initramfs: None,
            once: true,
        }
    }
}

/// What the agent says.
enum Answer {
    /// It listens.
    Ready,
    /// What came of the command with this number.
    To(u32, Output),
}

/// How often a machine is booted again because of [`is_the_emulators`].
const AGAIN: u32 = 2;

/// A virtual machine that runs. Dropping it ends it and removes its disks.
pub struct Vm {
    directory: PathBuf,
    options: VmOptions,
    emulator: Emulator,
    asked: u32,
    again: u32,
}

/// The process that emulates the machine, and the ends of its serial ports.
struct Emulator {
    qemu: Child,
    keyboard: ChildStdin,
    console: Transcript,
    agent: UnixStream,
    answers: Receiver<Answer>,
}

impl Emulator {
    fn end(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.end();
    }
}

impl Vm {
    /// Makes the disks and starts the kernel; it dies with the thread that does this.
    pub fn boot(options: &VmOptions) -> Result<Vm> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let base = crate::root::cache().parent().unwrap_or(Path::new("/var/tmp")).join("run");
        sweep(&[&base], None);
        let name =
            format!("runstead-test-{}-vm{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = base.join(name);
        let emulator = make_disks(options, &directory).and_then(|()| start(options, &directory));
        if emulator.is_err() {
            let _ = fs::remove_dir_all(&directory);
        }
        Ok(Vm { directory, options: options.clone(), emulator: emulator?, asked: 0, again: 0 })
    }

    /// What is written to the console.
    pub fn console(&self) -> &Transcript {
        &self.emulator.console
    }

    /// Waits until the console's text from byte `from` on holds `words`; the position behind them.
    pub fn expect(&mut self, from: usize, words: &str, limit: Duration) -> Result<usize> {
        let end = Instant::now() + limit;
        loop {
            if let Some(at) = self.emulator.console.find(from, words) {
                return Ok(at);
            }
            let ended = self.ended()?;
            if ended || Instant::now() >= end {
                let how = if ended { "the machine ended" } else { "still not after a while" };
                return Err(Error::new(format!(
                    "no {words:?} on the console: {how}, {limit:?} given:\n{}",
                    self.emulator.console.tail(40)
                )));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Types on the console.
    pub fn type_in(&mut self, text: &str) -> Result<()> {
        let typed =
            self.emulator.keyboard.write_all(text.as_bytes()).and_then(|()| self.emulator.keyboard.flush());
        typed.map_err(Error::on("type on", "the console"))
    }

    /// Waits for the agent: the machine is up to `multi-user.target`.
    pub fn wait_agent(&mut self, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.emulator.answers.recv_timeout(left.min(Duration::from_secs(1))) {
                Ok(Answer::Ready) => return Ok(()),
                Ok(Answer::To(..)) => {}
                Err(RecvTimeoutError::Timeout) if !left.is_zero() && !self.ended()? => {}
                Err(_) => {
                    let hang = self.explain_hang();
                    return Err(Error::new(format!("no agent after {limit:?}:\n{hang}")));
                }
            }
        }
    }

    /// Runs a command line inside, by bash as root, at most two minutes.
    pub fn run(&mut self, command: &str) -> Result<Output> {
        self.start_command(command)?;
        let end = Instant::now() + Duration::from_secs(130);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let answer = self
                .emulator
                .answers
                .recv_timeout(left)
                .map_err(|_| Error::new(format!("no answer to `{command}`:\n{}", self.explain_hang())))?;
            if let Answer::To(number, output) = answer
                && number == self.asked
            {
                return Ok(output);
            }
        }
    }

    /// What a command line prints, without the last newline.
    pub fn text(&mut self, command: &str) -> Result<String> {
        let output = self.run(command)?;
        let mut text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        if text.is_empty() {
            text = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        }
        Ok(text)
    }

    /// Begins a command whose end nobody waits for, such as a way down.
    pub fn start_command(&mut self, command: &str) -> Result<()> {
        self.asked += 1;
        let line = format!("{} {}\n", self.asked, command.replace('\n', "; "));
        self.emulator.agent.write_all(line.as_bytes()).map_err(Error::on("ask", "the agent"))
    }

    /// What a machine that does not answer is at: where its processors are, and what its kernel tells on the console
    /// about them and its blocked tasks (`sysrq.rst` of the kernel's documentation).
    fn explain_hang(&mut self) -> String {
        let registers =
            r#"{"execute": "human-monitor-command", "arguments": {"command-line": "info registers -a"}}"#;
        let mut told = self.emulator.console.tail(60);
        let said = self.monitor(registers).unwrap_or_else(|why| why.to_string());
        told += "\nprocessors:";
        said.split("RIP=").skip(1).for_each(|from| told += &format!(" {}", from.get(..28).unwrap_or(from)));
        let from = self.emulator.console.text().len();
        // All levels to the console, tasks that are blocked, what each processor does: twice, as it may be slow.
        for key in ["9", "w", "l", "l"] {
            let _ = self.monitor(r#"{"execute": "chardev-send-break", "arguments": {"id": "console"}}"#);
            let _ = self.type_in(key);
            std::thread::sleep(Duration::from_secs(3));
        }
        let text = self.emulator.console.text();
        format!("{told}\nthe kernel, asked:\n{}", text.get(from..).unwrap_or_default())
    }

    /// A command of qemu's machine protocol, such as `{"execute": "system_powerdown"}`; the answer, a line of JSON.
    pub fn monitor(&self, command: &str) -> Result<String> {
        let path = self.directory.join("monitor");
        let talk = || -> std::io::Result<String> {
            let mut stream = UnixStream::connect(&path)?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            let mut lines = BufReader::new(stream.try_clone()?).lines();
            lines.next();
            let mut said = String::new();
            for request in ["{\"execute\": \"qmp_capabilities\"}", command] {
                stream.write_all(format!("{request}\n").as_bytes())?;
                // Between a request and its answer the emulator may tell of events.
                let mut answers =
                    lines.by_ref().filter(|line| !line.as_ref().is_ok_and(|it| it.contains("\"event\"")));
                said = answers.next().unwrap_or(Ok(String::new()))?;
            }
            Ok(said)
        };
        let said = talk().map_err(Error::on("talk to", &path))?;
        if said.contains("\"error\"") { Err(Error::new(format!("{command}: {said}"))) } else { Ok(said) }
    }

    /// Whether the machine ended. One that nobody asked for anything yet, and that the emulator broke, boots again.
    fn ended(&mut self) -> Result<bool> {
        if self.emulator.qemu.try_wait().map_err(Error::on("wait for", "qemu"))?.is_none() {
            return Ok(false);
        }
        if self.asked > 0 || self.again == AGAIN || !is_the_emulators(&self.emulator.console.text()) {
            return Ok(true);
        }
        self.again += 1;
        println!(
            "the emulator broke the kernel, boot {} follows:\n{}",
            self.again + 1,
            self.emulator.console.tail(40)
        );
        fs::remove_dir_all(&self.directory).map_err(Error::on("remove", &self.directory))?;
        make_disks(&self.options, &self.directory)?;
        self.emulator = start(&self.options, &self.directory)?;
        Ok(false)
    }

    /// Waits until the machine switched itself off; whether it did within `limit`.
    pub fn wait_end(&mut self, limit: Duration) -> Result<bool> {
        let end = Instant::now() + limit;
        while !self.ended()? {
            if Instant::now() >= end {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(true)
    }

    /// What is wrong with the file system of disk `name` (`root`, `data`), read without touching it; nothing when
    /// it is clean and its journal is empty.
    pub fn check_disk(&self, name: &str) -> Result<Option<String>> {
        let disk = self.directory.join(format!("{name}.disk"));
        let run = |program: &str, option: &str| {
            let mut command = Command::new(program);
            command.args([option]).arg(&disk).output().map_err(Error::on("run", program))
        };
        let check = run("e2fsck", "-fn")?;
        if !check.status.success() {
            return Ok(Some(String::from_utf8_lossy(&check.stdout).into_owned()));
        }
        let features = String::from_utf8_lossy(&run("dumpe2fs", "-h")?.stdout).into_owned();
        let journal = features.contains("needs_recovery").then(|| "the journal is not empty".to_owned());
        Ok(journal)
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        self.emulator.end();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Whether the kernel died of a breakpoint in its own code, on an idle processor or before it executed /init. The kernel
/// changes its code while it runs by way of such breakpoints (`text_poke_bp`), and the emulator's translation of one
/// processor now and then meets one after its handler has been told that it is gone. No process can bring it about.
fn is_the_emulators(console: &str) -> bool {
    let Some((_, oops)) = console.split_once("Oops: int3") else { return false };
    // So the idle threads are called, and the first process until it executes /init.
    oops.lines().find(|line| line.contains(" Comm: ")).is_some_and(|line| line.contains(" Comm: swapper/"))
}

fn make_disks(options: &VmOptions, directory: &Path) -> Result<()> {
    let staged = directory.join("files");
    fs::create_dir_all(&staged).map_err(Error::on("create", &staged))?;
    let mut files = vec![
        ("/etc/fstab".to_owned(), Entry::File(FSTAB.to_owned(), 0o644)),
        ("/usr/local/lib/agent".to_owned(), Entry::File(AGENT.to_owned(), 0o755)),
        ("/etc/systemd/system/agent.service".to_owned(), Entry::File(AGENT_UNIT.to_owned(), 0o644)),
        (
            "/etc/systemd/system/multi-user.target.wants/agent.service".to_owned(),
            Entry::Link("../agent.service".to_owned()),
        ),
    ];
    if options.under_test == UnderTest::Ours {
        let binary = our_binary()?;
        let bytes = fs::read(&binary).map_err(Error::on("read", &binary))?;
        files.push((OUR_PLACE.to_owned(), Entry::Program(bytes)));
    }
    for (path, entry) in files.iter().chain(&options.files) {
        stage(&staged, path, entry)?;
    }
    let output = Command::new("unshare")
        .args(["-m", "bash", "-c", MAKE_DISKS, "disks"])
        .args([&options.root, directory])
        .arg(PASSWORD)
        .stdin(Stdio::null())
        .output()
        .map_err(Error::on("run", "unshare"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::new(format!("making the disks: {}", String::from_utf8_lossy(&output.stderr))))
}

/// The kernel in a tree, or its initramfs: the file of `/boot` with that prefix.
pub(crate) fn boot_file(root: &Path, prefix: &str) -> Result<PathBuf> {
    let boot = root.join("boot");
    let list = fs::read_dir(&boot).map_err(Error::on("read", &boot))?;
    let all = list.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    all.map(|entry| entry.path())
        .max()
        .ok_or_else(|| Error::new(format!("no {prefix}* in {}", boot.display())))
}

fn start(options: &VmOptions, directory: &Path) -> Result<Emulator> {
    let init =
        if options.under_test == UnderTest::Ours { format!("init={OUR_PLACE}") } else { String::new() };
    let line = format!(
        "root=/dev/vda ro console=ttyS0 panic=-1 quiet sysrq_always_enabled {init} {}",
        options.words
    );
    let socket = |name: &str| format!("path={},server=on,wait=off", directory.join(name).display());
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "qemu-system-x86_64", "-accel", ACCELERATOR, "-smp", "2"]);
    command.args(["-cpu", "max", "-m", "1024", "-display", "none", "-nodefaults", "-net", "none"]);
    command.args(["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]);
    command.args(["-chardev", &format!("socket,id=agent,{}", socket("agent")), "-serial", "chardev:agent"]);
    command.args([
        "-chardev",
        &format!("socket,id=monitor,{}", socket("monitor")),
        "-mon",
        "chardev=monitor,mode=control",
    ]);
    for name in ["root", "data", "swap"] {
        let file = directory.join(format!("{name}.disk"));
        command.args(["-drive", &format!("file={},format=raw,if=virtio", file.display())]);
    }
    command.arg("-kernel").arg(boot_file(&options.root, "vmlinuz")?);
    let initramfs = match &options.initramfs {
        Some(path) => path.clone(),
        None => boot_file(&options.root, "initrd")?,
    };
    command.arg("-initrd").arg(initramfs);
    command.args(["-append", &line]);
    if options.once {
        command.arg("-no-reboot");
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut qemu = command.spawn().map_err(Error::on("start", "qemu-system-x86_64"))?;
    let keyboard = qemu.stdin.take().ok_or_else(|| Error::new("qemu without standard input"))?;
    let screen = qemu.stdout.take().ok_or_else(|| Error::new("qemu without standard output"))?;
    let console = Transcript::of(screen, &directory.join("console"));
    let agent = connect(&directory.join("agent"))?;
    let reader = agent.try_clone().map_err(Error::on("duplicate", "the agent's socket"))?;
    let answers = listen(reader);
    Ok(Emulator { qemu, keyboard, console, agent, answers })
}

fn connect(path: &Path) -> Result<UnixStream> {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return Ok(stream),
            Err(_) if Instant::now() < end => std::thread::sleep(Duration::from_millis(20)),
            Err(why) => return Err(Error::on("connect to", path)(why)),
        }
    }
}

fn listen(stream: UnixStream) -> Receiver<Answer> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line).into_owned();
            line.clear();
            let answer = match heading(&text) {
                Some((number, status, out, err)) => {
                    let (mut stdout, mut stderr) = (vec![0; out], vec![0; err]);
                    if stream.read_exact(&mut stdout).and_then(|()| stream.read_exact(&mut stderr)).is_err() {
                        break;
                    }
                    // As wait(2) gives an exit status.
                    let status = ExitStatus::from_raw(status << 8);
                    Answer::To(number, Output { status, stdout, stderr })
                }
                None if text.contains("agent ready") => Answer::Ready,
                None => continue,
            };
            if sender.send(answer).is_err() {
                break;
            }
        }
    });
    receiver
}

/// `NUMBER STATUS LENGTH LENGTH`; `None` for another line.
fn heading(line: &str) -> Option<(u32, i32, usize, usize)> {
    let mut words = line.trim_end().split(' ');
    let heading = (
        words.next()?.parse().ok()?,
        words.next()?.parse().ok()?,
        words.next()?.parse().ok()?,
        words.next()?.parse().ok()?,
    );
    words.next().is_none().then_some(heading)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breakpoint_in_the_kernel_is_the_emulators() {
        let said = |comm: &str| {
            format!(
                "[    3.1] Oops: int3: 0000 [#1] PREEMPT SMP NOPTI\r\n\
                 [    3.1] CPU: 1 UID: 0 PID: 0 Comm: {comm} Not tainted 6.12\r\n\
                 [    3.2] Kernel panic - not syncing: Fatal exception in interrupt\r\n"
            )
        };
        assert!(is_the_emulators(&said("swapper/1")));
        assert!(!is_the_emulators(&said("systemd")));
        assert!(!is_the_emulators("Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b"));
        assert!(!is_the_emulators("CPU: 1 UID: 0 PID: 0 Comm: swapper/1\nOops: int3: 0000 [#1]"));
    }

    #[test]
    fn answers_of_the_agent_are_told_from_noise() {
        assert_eq!(heading("7 3 12 0\r\n"), Some((7, 3, 12, 0)));
        assert_eq!(heading("agent ready\n"), None);
        assert_eq!(heading("7 3 12 0 1"), None);
    }
}
