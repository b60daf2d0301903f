//! What the manager is asked for, over its private socket.
use super::Outcome;
use runstead_manager::client::{Client, UnitLine};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

const SOCKET: &str = "/run/systemd/private";
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a job is waited for.
const JOB: Duration = Duration::from_secs(120);
const INACTIVE: u8 = 3;

fn connect() -> Result<Client, String> {
    Client::connect(Path::new(SOCKET))
        .map_err(|error| format!("the manager does not answer at {SOCKET}: {error}"))
}

fn text(error: io::Error) -> String {
    format!("the manager says: {error}")
}

/// `units`.
pub fn list() -> Outcome {
    let mut units = connect()?.units().map_err(text)?;
    units.sort_by(|one, other| one.name.cmp(&other.name));
    units.iter().for_each(show);
    Ok(0)
}

fn show(unit: &UnitLine) {
    println!("{:<32} {:<12} {:<12} {}", unit.name, unit.active, unit.sub, unit.description);
}

/// A service is meant where no type is said.
fn full_name(words: &[&str]) -> Result<String, String> {
    let [name] = words else { return Err("needs the name of one unit; 'units' lists them".to_owned()) };
    Ok(if name.contains('.') { (*name).to_owned() } else { format!("{name}.service") })
}

/// `status UNIT`: 0 when active, 3 when not.
pub fn status(words: &[&str]) -> Outcome {
    let name = full_name(words)?;
    let units = connect()?.units().map_err(text)?;
    let Some(unit) = units.iter().find(|unit| unit.name == name) else {
        println!("{name} is not loaded");
        return Ok(INACTIVE);
    };
    show(unit);
    Ok(if unit.active == "active" { 0 } else { INACTIVE })
}

/// `switch-root [DIR [INIT]]`.
pub fn switch_root(words: &[&str]) -> Outcome {
    let (root, init) = match words {
        [] => ("", ""),
        [root] => (*root, ""),
        [root, init] => (*root, *init),
        _ => return Err("takes the directory of the system and its init".to_owned()),
    };
    connect()?.switch_root(root, init, ANSWER).map_err(text)?;
    Ok(0)
}

/// `start`, `stop`, `restart`: queue the job and wait for its end.
pub fn change(method: &str, words: &[&str]) -> Outcome {
    let name = full_name(words)?;
    let mut client = connect()?;
    client.change_unit(method, &name, "replace", ANSWER).map_err(text)?;
    let end = Instant::now() + JOB;
    loop {
        let units = client.units().map_err(text)?;
        let unit = units.iter().find(|unit| unit.name == name);
        match unit {
            Some(unit) if unit.job != 0 && Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(20))
            }
            Some(unit) if unit.job != 0 => {
                return Err(format!("{name} is still {} ({})", unit.active, unit.sub));
            }
            Some(unit) if unit.active == "failed" => {
                return Err(format!("{name} failed; 'status {name}', 'cat /dev/kmsg' may say why"));
            }
            // A unit that is done may be gone from memory.
            _ => return Ok(0),
        }
    }
}

/// `poweroff`, `reboot`, `halt`.
pub fn end(target: &str) -> Outcome {
    connect()?.change_unit("StartUnit", target, "replace-irreversibly", ANSWER).map_err(text)?;
    Ok(0)
}
