//! A program under way, and what it prints.
use runstead_compat::proof::Proof;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A boot or a stop that takes longer hangs.
pub const LONGEST: Duration = Duration::from_secs(60);

/// A program under way, with what it printed; killed when dropped.
pub struct Started {
    pub child: Child,
    out: Receiver<String>,
    err: Option<std::thread::JoinHandle<String>>,
    pub said: Vec<String>,
}

/// How a program ended and what it said.
pub struct Ended {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Starts it with both outputs read.
pub fn start(proof: &mut Proof, command: &mut Command) -> Option<Started> {
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = proof.need("start the program", spawned)?;
    let (sender, out) = channel();
    let stdout = child.stdout.take()?;
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let mut stderr = child.stderr.take()?;
    let err = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stderr.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    });
    Some(Started { child, out, err: Some(err), said: Vec::new() })
}

/// The last lines, on one.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(8)..].join(" | ")
}

impl Started {
    /// Reads until a line holds this.
    pub fn wait_for(&mut self, text: &str) -> bool {
        let end = Instant::now() + LONGEST;
        while let Ok(line) = self.out.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.said.push(line);
            if self.said.last().is_some_and(|line| line.contains(text)) {
                return true;
            }
        }
        false
    }

    /// Waits for its end; kills it when that does not come.
    pub fn end(&mut self) -> Option<i32> {
        let end = Instant::now() + LONGEST;
        let mut status = None;
        while Instant::now() < end && status.is_none() {
            status = self.child.try_wait().ok().flatten();
            std::thread::sleep(Duration::from_millis(10));
        }
        if status.is_none() {
            self.said.push(format!("killed: still running after {LONGEST:?}"));
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        while let Ok(line) = self.out.recv_timeout(Duration::from_millis(500)) {
            self.said.push(line);
        }
        status.and_then(|status| status.code())
    }

    /// Waits for its end, for all that it says.
    pub fn ended(mut self) -> Ended {
        let status = self.end();
        let err = self.err.take().and_then(|handle| handle.join().ok()).unwrap_or_default();
        Ended { status, out: self.said.join("\n"), err }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
