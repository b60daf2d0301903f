//! The scripts with which the reference's makers try their own program, as Debian packages them.

use crate::{Setting, boot};
use runstead_compat::proof::Proof;
use runstead_compat::{Error, Result};
use std::fs;
use std::time::Duration;

const PLACE: &str = "usr/lib/systemd/tests/testdata/units";
const PREFIX: &str = "TEST-22-TMPFILES.";
/// Those of version 257.
const COUNT: usize = 21;
const PATIENCE: Duration = Duration::from_secs(60);

/// Each ends with 0, one behind the other on one machine, as their makers run them.
pub fn prove(proof: &mut Proof, setting: &Setting) -> Result<()> {
    let place = setting.root.join(PLACE);
    let entries = fs::read_dir(&place).map_err(Error::on("list", &place))?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.strip_prefix(PREFIX).is_some_and(|rest| rest.len() == "01.sh".len()));
    names.sort();
    proof.check(names.len() == COUNT, format!("{} scripts, of {COUNT}", names.len()));
    let mut options = setting.options()?;
    setting.replaced(&mut options)?;
    let machine = boot(&options)?;
    for name in names {
        let path = format!("/{PLACE}/{name}");
        let outcome = machine.run_for(&["env", "SYSTEMD_PAGER=", "bash", &path], PATIENCE);
        let Some(output) = proof.need(&name, outcome) else { continue };
        let code = output.status.code();
        proof.check(code == Some(0), format!("{name} ends with {code:?}"));
        if code != Some(0) {
            let said = String::from_utf8_lossy(&output.stderr);
            let lines: Vec<&str> = said.lines().collect();
            println!("{}", lines[lines.len().saturating_sub(25)..].join("\n"));
        }
    }
    Ok(())
}
