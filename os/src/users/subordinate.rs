//! Subordinate ids (subuid(5), subgid(5)): more users and groups for a user namespace of somebody who is not root.
use crate::process;
use std::fs;
use std::process::Command;

/// As many ids as a distribution uses.
const ENOUGH: u32 = 65536;

/// First id and count of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subordinate {
    uids: (u32, u32),
    gids: (u32, u32),
}

/// Those of a user; else what is missing.
///
/// # Errors
/// What is missing, in words for people.
pub fn find(name: &str, uid: u32) -> Result<Subordinate, String> {
    let range = |file: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        parse(&text, name, uid).ok_or_else(|| format!("{file} gives {name} no {ENOUGH} ids"))
    };
    let found = Subordinate { uids: range("/etc/subuid")?, gids: range("/etc/subgid")? };
    for program in ["newuidmap", "newgidmap"] {
        if !is_installed(program) {
            return Err(format!("{program} is not installed"));
        }
    }
    Ok(found)
}

fn parse(text: &str, name: &str, uid: u32) -> Option<(u32, u32)> {
    text.lines().find_map(|line| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let range = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        ((owner == name || owner == uid.to_string()) && range.1 >= ENOUGH).then_some(range)
    })
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').any(|dir| fs::metadata(format!("{dir}/{program}")).is_ok_and(|data| data.is_file()))
}

impl Subordinate {
    /// Give them to the user namespace of a process: we are its root, the others follow.
    ///
    /// # Errors
    /// What the program that is allowed to do so says.
    pub fn give_to(&self, pid: u32) -> Result<(), String> {
        let (uid, gid) = process::own_ids();
        for (program, own, (first, count)) in [("newuidmap", uid, self.uids), ("newgidmap", gid, self.gids)] {
            let mut command = Command::new(program);
            command.arg(pid.to_string());
            command.args([0, own, 1, 1, first, count].map(|number| number.to_string()));
            let output = process::by_fork(&mut command).output();
            let output = output.map_err(|error| format!("cannot run {program}: {error}"))?;
            if !output.status.success() {
                return Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_found_by_name_or_number_if_it_is_large_enough() {
        let text = "one:100000:65536\n1001:200000:70000\ntwo:300000:10\nbad\n";
        assert_eq!(parse(text, "one", 1000), Some((100_000, 65536)));
        assert_eq!(parse(text, "other", 1001), Some((200_000, 70000)));
        assert_eq!(parse(text, "two", 1002), None);
    }
}
