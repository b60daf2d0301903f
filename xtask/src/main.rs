//! `cargo xtask test [--quick]`: the one test command. `cargo xtask tidy`: the fences of the house.
//! `cargo xtask deny`: what may enter the build. `cargo xtask fuzz [TARGET...] --for|--until TIME [--jobs N]`: search
//! for longer.

mod deny;
mod directives;
mod fuzz;
mod ledger;
mod run;
mod source;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str =
    "usage: cargo xtask test [--quick] | tidy | deny | fuzz [TARGET...] --for TIME [--jobs N]";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let good = match words.as_slice() {
        ["tidy"] => tidy::report(&workspace()),
        ["deny"] => deny::report(&workspace()),
        ["test"] => test::all(&workspace(), false),
        ["test", "--quick"] => test::all(&workspace(), true),
        ["fuzz", wish @ ..] => match fuzz::Wish::parse(wish) {
            Ok(wish) => fuzz::run(&workspace(), &wish),
            Err(why) => {
                eprintln!("{why}\n{USAGE}");
                return ExitCode::from(2);
            }
        },
        ["--help" | "-h"] => {
            println!("{USAGE}");
            true
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The top of the workspace: xtask's own directory is in it.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}
