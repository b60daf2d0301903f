//! One step's command: its output passes through and is counted, and a command that hangs is ended with all
//! it started.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long a command that has ended may keep its output open through what it left behind.
const GRACE: Duration = Duration::from_secs(5);

/// What a step's command did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Tests that passed, as the command itself counted them.
    pub passed: usize,
    /// Tests that failed.
    pub failed: usize,
}

/// Runs `command` to its end, at most `limit`: its counts, or why it failed as a whole.
///
/// Its standard output goes to `told` line by line, without the lines that only say that one more test is good.
pub fn run(
    command: &mut Command,
    limit: Duration,
    told: &mut dyn FnMut(&str),
) -> (Counts, Result<(), String>) {
    let begin = Instant::now();
    let mut counts = Counts::default();
    let mut child = match command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(why) => return (counts, Err(format!("cannot start {:?}: {why}", command.get_program()))),
    };
    let lines = child.stdout.take().map(lines);
    let mut ended: Option<(Instant, bool, String)> = None;
    let mut open = true;
    loop {
        match (&lines, open) {
            (Some(lines), true) => match lines.recv_timeout(Duration::from_millis(200)) {
                Ok(line) => show(&line, &mut counts, told),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => open = false,
            },
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
        match (&ended, child.try_wait()) {
            (None, Ok(Some(status))) => ended = Some((Instant::now(), status.success(), status.to_string())),
            (None, Err(why)) => return (counts, Err(why.to_string())),
            _ => {}
        }
        match ended {
            Some((_, good, status)) if !open => return (counts, good.then_some(()).ok_or(status)),
            // Something it left behind holds its output open.
            Some((at, good, status)) if at.elapsed() > GRACE => {
                return (counts, good.then_some(()).ok_or(status));
            }
            None if begin.elapsed() > limit => {
                end(&mut child);
                return (counts, Err(format!("still ran after {} s and was ended", limit.as_secs())));
            }
            other => ended = other,
        }
    }
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(stream.read_until(b'\n', &mut line), Ok(n) if n > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(text).is_err() {
                break;
            }
            line.clear();
        }
    });
    receiver
}

fn show(line: &str, counts: &mut Counts, told: &mut dyn FnMut(&str)) {
    if let Some(seen) = summary(line) {
        counts.passed += seen.passed;
        counts.failed += seen.failed;
    }
    let good = line.starts_with("test ") && line.ends_with(" ok");
    let nothing = line.is_empty() || line.starts_with("running ") || line.contains(" ok. 0 passed; 0 failed");
    if !good && !nothing {
        told(line);
    }
}

/// `test result: ok. 3 passed; 0 failed; ...` of the standard harness, or `3 passed, 0 failed ...` of our own.
fn summary(line: &str) -> Option<Counts> {
    let rest = match line.strip_prefix("test result: ") {
        Some(rest) => rest.split_once(". ")?.1,
        None => line,
    };
    let mut words = rest.split([' ', ',', ';']).filter(|w| !w.is_empty());
    let mut count = |word: &str| {
        let number = words.next()?.parse().ok()?;
        (words.next()? == word).then_some(number)
    };
    Some(Counts { passed: count("passed")?, failed: count("failed")? })
}

/// Ends a command and everything that descends from it; machines die with the processes that booted them.
fn end(child: &mut Child) {
    let mut all = BTreeSet::from([child.id()]);
    let mut fresh = vec![child.id()];
    while let Some(pid) = fresh.pop() {
        let found = children(pid).into_iter().filter(|pid| all.insert(*pid));
        fresh.extend(found.collect::<Vec<_>>());
    }
    let words: Vec<String> = all.iter().map(u32::to_string).collect();
    let _ = Command::new("sh").arg("-c").arg(format!("kill -KILL {}", words.join(" "))).status();
    let _ = child.wait();
}

fn children(pid: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|w| w.parse().ok()).collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(line: &str, limit: Duration) -> (Counts, Result<(), String>) {
        run(Command::new("sh").args(["-c", line]), limit, &mut |_| {})
    }

    #[test]
    fn summaries_of_both_kinds_are_counted() {
        let counts = |passed, failed| Some(Counts { passed, failed });
        assert_eq!(
            summary("test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 1 filtered out"),
            counts(4, 2)
        );
        assert_eq!(summary("47 passed, 1 failed, in 93.1 s"), counts(47, 1));
        assert_eq!(summary("47 passed, 1 failed"), counts(47, 1));
        assert_eq!(summary("test a::b ... ok"), None);
        assert_eq!(summary("5 failed, 2 passed"), None);
    }

    #[test]
    fn counts_are_summed_and_the_status_is_kept() {
        let (counts, outcome) =
            shell("echo 1 passed, 0 failed; echo 2 passed, 3 failed; exit 4", Duration::from_secs(60));
        assert_eq!(counts, Counts { passed: 3, failed: 3 });
        assert!(outcome.unwrap_err().contains('4'));
    }

    #[test]
    fn a_hang_is_ended_with_what_it_started() {
        let place = std::env::temp_dir().join(format!("xtask-hang-{}", std::process::id()));
        let line = format!("sleep 1000 & echo $! >{}; wait", place.display());
        let (_, outcome) = shell(&line, Duration::from_secs(3));
        assert!(outcome.unwrap_err().contains("still ran"));
        let pid = std::fs::read_to_string(&place).unwrap();
        std::fs::remove_file(&place).unwrap();
        // Killed; whoever inherited it may not have reaped it yet.
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        let gone = |state: &str| state.is_empty() || state.contains(") Z") || state.contains(") X");
        let end = Instant::now() + Duration::from_secs(60);
        while !gone(&state()) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(gone(&state()), "{}", state());
    }
}
