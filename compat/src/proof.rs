//! What the proofs have in common: a count of checks, a limit in time, and facts about PID 1.

use crate::machine::Machine;
use std::fmt::Display;
use std::fs;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counts what holds and what does not, and ends the program when it hangs.
pub struct Proof {
    name: &'static str,
    begin: Instant,
    passed: usize,
    failed: usize,
    place: Arc<Mutex<String>>,
    done: Arc<AtomicBool>,
}

impl Proof {
    /// Begins; after `limit` the program ends with a message that says where it was.
    ///
    /// Machines die with the thread that booted them, so nothing is left behind by that.
    pub fn begin(name: &'static str, limit: Duration) -> Proof {
        let place = Arc::new(Mutex::new("starting".to_owned()));
        let done = Arc::new(AtomicBool::new(false));
        let (at, ended) = (Arc::clone(&place), Arc::clone(&done));
        std::thread::spawn(move || {
            std::thread::sleep(limit);
            if !ended.load(Ordering::Relaxed) {
                let at = at.lock().unwrap_or_else(PoisonError::into_inner);
                eprintln!("{name}: still running after {limit:?}, at: {at}");
                println!("0 passed, 1 failed");
                std::process::exit(1);
            }
        });
        Proof { name, begin: Instant::now(), passed: 0, failed: 0, place, done }
    }

    /// Says what is done now.
    pub fn step(&self, what: impl Display) {
        let text = what.to_string();
        println!("{} {:5.1} s: {text}", self.name, self.begin.elapsed().as_secs_f64());
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }

    /// One thing that has to hold.
    pub fn check(&mut self, holds: bool, what: impl Display) {
        if holds {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
        println!("{} {what}", if holds { "ok  " } else { "FAIL" });
    }

    /// A step that must succeed for what follows to make sense.
    pub fn need<T, E: Display>(&mut self, what: &str, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(why) => {
                self.check(false, format!("{what}: {why}"));
                None
            }
        }
    }

    /// The last line and the exit status.
    pub fn end(self) -> ExitCode {
        self.done.store(true, Ordering::Relaxed);
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed == 0 && self.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// What tells one image of PID 1 from the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Start time of the process, in clock ticks since boot.
    pub started: String,
    /// The vector that the kernel gave to the program: it holds random addresses, new at each execution.
    pub auxv: Vec<u8>,
}

/// Facts about the machine's PID 1, read from outside.
pub struct Pid1<'a>(pub &'a Machine);

impl Pid1<'_> {
    fn file(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.0.pid1())
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// The field of this number in proc_pid_stat(5), from 1.
    fn stat(&self, field: usize) -> String {
        let text = self.text("stat");
        let rest = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
        rest.split(' ').nth(field.saturating_sub(3)).unwrap_or("").to_owned()
    }

    /// Which process and which image of it.
    pub fn image(&self) -> Image {
        Image { started: self.stat(22), auxv: fs::read(self.file("auxv")).unwrap_or_default() }
    }

    /// A line of its status (proc_pid_status(5)) that is a number of KiB.
    fn kib(&self, name: &str) -> i64 {
        let status = self.text("status");
        let line = status.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|l| l.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }

    /// Anonymous memory, KiB.
    pub fn anonymous(&self) -> i64 {
        self.kib("RssAnon")
    }

    /// The most memory that this image ever had, KiB.
    pub fn peak(&self) -> i64 {
        self.kib("VmHWM")
    }

    /// User and system time so far, in clock ticks.
    pub fn ticks(&self) -> u64 {
        [14, 15].iter().filter_map(|field| self.stat(*field).parse::<u64>().ok()).sum()
    }

    /// Open descriptors: number and what it is.
    pub fn descriptors(&self) -> Vec<(u32, String)> {
        let mut all: Vec<(u32, String)> = fs::read_dir(self.file("fd"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let number = entry.file_name().to_string_lossy().parse().ok()?;
                Some((number, fs::read_link(entry.path()).ok()?.display().to_string()))
            })
            .collect();
        all.sort();
        all
    }

    /// Listening local sockets that PID 1 holds: path and inode.
    pub fn listening(&self) -> Vec<(String, String)> {
        let held: Vec<String> = self.descriptors().into_iter().map(|(_, what)| what).collect();
        let table = self.text("net/unix");
        let mut found: Vec<(String, String)> = table
            .lines()
            .skip(1)
            .filter_map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let [_, _, _, flags, _, _, inode, path] = words.as_slice() else { return None };
                let listens = u32::from_str_radix(flags, 16).ok()? & 0x1_0000 != 0;
                let ours = held.iter().any(|what| *what == format!("socket:[{inode}]"));
                (listens && ours).then(|| ((*path).to_owned(), (*inode).to_owned()))
            })
            .collect();
        found.sort();
        found
    }
}
