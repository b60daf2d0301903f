//! Installs what the harness needs and builds the Debian root if the cache has none; prints the root's path.

use runstead_compat::root::{Distribution, chosen, install_host_programs, of};
use std::process::ExitCode;

fn main() -> ExitCode {
    match install_host_programs().and_then(|()| of(Distribution::Debian13Kernel)).and_then(|_| chosen()) {
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
