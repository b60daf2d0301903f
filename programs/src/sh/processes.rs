//! Processes.
use super::Outcome;
use runstead_core::values::signal;
use std::fs;

/// `ps`.
pub fn list() -> Outcome {
    let entries = fs::read_dir("/proc").map_err(|error| format!("/proc: {error}"))?;
    let mut pids: Vec<i32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    println!("{:>7} {:>7} {:>6}  COMMAND", "PID", "PARENT", "USER");
    for pid in pids {
        // Gone since.
        let Ok(stat) = runstead_os::process::stat(pid) else { continue };
        let uid = runstead_os::process::uid(pid).map_or_else(|_| "?".to_owned(), |uid| uid.to_string());
        let words = runstead_os::process::cmdline(pid).unwrap_or_default();
        // Kernel threads have a name only.
        let command = if words.is_empty() {
            format!("[{}]", runstead_os::process::comm(pid).unwrap_or_default())
        } else {
            words.join(" ")
        };
        println!("{pid:>7} {:>7} {uid:>6}  {command}", stat.parent);
    }
    Ok(0)
}

/// `kill [-SIGNAL] PID...`.
pub fn kill(words: &[&str]) -> Outcome {
    let (number, pids) = match words.split_first() {
        Some((first, rest)) if first.starts_with('-') => {
            let name = &first[1..];
            let number = signal::parse(name).map_err(|error| format!("'{name}': {error}"))?;
            (i32::from(number), rest)
        }
        _ => (TERM, words),
    };
    if pids.is_empty() {
        return Err("needs a PID".to_owned());
    }
    for pid in pids {
        let number_of_it = pid.parse().map_err(|_| format!("'{pid}' is no PID"))?;
        runstead_os::process::kill(number_of_it, number, None).map_err(|error| error.to_string())?;
    }
    Ok(0)
}

const TERM: i32 = 15;
