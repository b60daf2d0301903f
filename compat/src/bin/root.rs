//! Installs what the harness needs, builds the Debian root, the layers on top of it, and downloads its packages, if the cache has
//! none; prints the root's path.

use runstead_compat::arguments::Arguments;
use runstead_compat::layer::{self, POLKIT};
use runstead_compat::root::{Distribution, chosen, install_host_programs, of};
use runstead_compat::{Result, archives};
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "usage: root\nInstalls what the tests call, builds the root that RUNSTEAD_ROOT names (debian13, debian12) and prints where it is.";

fn main() -> ExitCode {
    if let Err(status) = Arguments::from_env(USAGE).and_then(Arguments::none_left) {
        return status;
    }
    match set_up() {
        Ok(path) => {
            println!("{}", path.display());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("root: {why}");
            ExitCode::FAILURE
        }
    }
}

fn set_up() -> Result<PathBuf> {
    install_host_programs()?;
    let root = chosen()?;
    let distribution = Distribution::from_env()?;
    layer::with(distribution, POLKIT)?;
    // The proofs of packages, of tmpfiles and of a real kernel are of the newer distribution only.
    if distribution == Distribution::Debian13 {
        archives::services(Distribution::Debian13)?;
        of(Distribution::Debian13Kernel)?;
        archives::kexec()?;
        archives::tmpfiles()?;
    }
    Ok(root)
}
