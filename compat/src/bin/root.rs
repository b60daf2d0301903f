//! Installs what the harness needs, builds the Debian root and downloads its packages if the cache has none; prints the root's path.

use runstead_compat::Result;
use runstead_compat::archives;
use runstead_compat::root::{Distribution, chosen, install_host_programs, of};
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
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
    // The proofs of packages and of a real kernel are of the newer distribution only.
    if Distribution::from_env()? == Distribution::Debian13 {
        archives::services(Distribution::Debian13)?;
        of(Distribution::Debian13Kernel)?;
    }
    Ok(root)
}
