//! Installs what the harness needs and builds the Debian root if the cache has none; prints the root's path.

use runstead_compat::root::{chosen, install_host_programs};
use std::process::ExitCode;

fn main() -> ExitCode {
    match install_host_programs().and_then(|()| chosen()) {
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
