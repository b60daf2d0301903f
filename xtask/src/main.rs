//! `cargo xtask test [--quick]`: the one test command. `cargo xtask tidy`: the fences of the house.

mod source;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let good = match words.as_slice() {
        ["tidy"] => tidy::report(&workspace()),
        ["test"] => test::run(&workspace(), false),
        ["test", "--quick"] => test::run(&workspace(), true),
        _ => {
            eprintln!("usage: cargo xtask test [--quick] | cargo xtask tidy");
            false
        }
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The top of the workspace: xtask's own directory is in it.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}
