//! Two daemons start at once, ten thousand times, over a file that was left behind or over none: one wins each time.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

const ROUNDS: usize = 10_000;
/// Says that this program is one of the two.
const RUNNER: &str = "PIDFILE_RACE";

/// One of the two: for each line it tries to have the file that it names, says whether it does, and for the next keeps nothing.
fn runner(path: &str) {
    let mut lines = std::io::stdin().lines();
    while let Some(Ok(_)) = lines.next() {
        let mine = runstead_pidfile::PidFile::create(path);
        println!("{}", if mine.is_ok() { "won" } else { "lost" });
        // Both have tried when the next line comes.
        let Some(Ok(how)) = lines.next() else { return };
        match mine {
            // As a crash leaves it: there, with the number of a process that is no daemon any more.
            Ok(mine) if how == "crash" => {
                std::fs::write(path, "2147483647\n").unwrap();
                leave(mine, path).unwrap();
            }
            mine => drop(mine),
        }
        println!("done");
    }
}

/// Drop the lock, not the file: it gets another name meanwhile.
fn leave(mine: runstead_pidfile::PidFile, path: &str) -> std::io::Result<()> {
    let aside = format!("{path}.aside");
    std::fs::rename(path, &aside)?;
    drop(mine);
    std::fs::rename(aside, path)
}

struct Runner {
    child: Child,
    said: std::io::Lines<BufReader<ChildStdout>>,
}

impl Runner {
    fn start(path: &Path) -> Runner {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "one_of_two_wins", "--nocapture"])
            .env(RUNNER, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Runner { child, said }
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// The next line that is its own, not the test harness's.
    fn hear(&mut self) -> String {
        let own = |line: &String| ["won", "lost", "done"].iter().any(|word| line.ends_with(word));
        self.said
            .by_ref()
            .map(Result::unwrap)
            .find(own)
            .map(|line| line.rsplit(' ').next().unwrap_or("").to_owned())
            .unwrap_or_default()
    }
}

#[test]
fn one_of_two_wins() {
    if let Ok(path) = std::env::var(RUNNER) {
        return runner(&path);
    }
    let directory = std::env::temp_dir().join(format!("pidfile-race-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("daemon.pid");
    let mut runners = [Runner::start(&path), Runner::start(&path)];
    let mut wins = [0, 0];
    for round in 0..ROUNDS {
        runners.iter_mut().for_each(|runner| runner.tell("go"));
        let outcomes: Vec<String> = runners.iter_mut().map(Runner::hear).collect();
        let won = outcomes.iter().filter(|outcome| *outcome == "won").count();
        assert_eq!(won, 1, "round {round}: {outcomes:?}");
        wins.iter_mut().zip(&outcomes).for_each(|(wins, outcome)| *wins += usize::from(outcome == "won"));
        let how = if round % 2 == 0 { "crash" } else { "end" };
        runners.iter_mut().for_each(|runner| runner.tell(how));
        assert!(runners.iter_mut().all(|runner| runner.hear() == "done"));
    }
    for runner in &mut runners {
        drop(runner.child.stdin.take());
        assert!(runner.child.wait().unwrap().success());
    }
    std::fs::remove_dir_all(&directory).unwrap();
    assert!(wins.iter().all(|wins| *wins > 0), "{wins:?}: both had a chance");
}
