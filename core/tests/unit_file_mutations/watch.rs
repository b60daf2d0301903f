//! Ends the program when a case hangs or fills the memory, and says which cases were under way.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// One mutation is read in milliseconds, a boot of many in less than a second.
const LONGEST: Duration = Duration::from_secs(120);
/// Resident memory that no unit file justifies, KiB.
const MOST_MEMORY_KIB: u64 = 2 << 20;

static UNDER_WAY: Mutex<BTreeMap<String, (Instant, String)>> = Mutex::new(BTreeMap::new());

fn key(thread: ThreadId) -> String {
    format!("{thread:?}")
}

/// What this thread does from now on.
pub fn begin(what: String) {
    let mut all = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
    all.insert(key(std::thread::current().id()), (Instant::now(), what));
}

/// This thread is done.
pub fn end() {
    let mut all = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
    all.remove(&key(std::thread::current().id()));
}

/// Starts looking.
pub fn start() {
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(Duration::from_millis(20));
            let memory = resident();
            let all = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
            let late = all.values().any(|(since, _)| since.elapsed() > LONGEST);
            if late || memory > MOST_MEMORY_KIB {
                println!("FAIL a case hangs or fills the memory ({memory} KiB); under way:");
                all.values().for_each(|(since, what)| println!("  {what}, for {:?}", since.elapsed()));
                println!("0 passed, 1 failed");
                std::process::exit(1);
            }
        }
    });
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
