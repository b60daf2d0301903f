//! What a tree has of runstead, and what of it is missing.
use super::failure::Failure;
use super::manifest::{Manifest, Stage};
use super::plan;
use super::report::Report;
use super::step::{self, BINARY, Step};
use runstead_os::tree::{Kind, Tree};
use std::process::ExitCode;

const NOT_WHOLE: u8 = 1;
const NOT_INSTALLED: u8 = 3;

/// Print it; the exit status says it, too.
pub fn show(tree: &Tree, report: Report) -> Result<ExitCode, Failure> {
    let Some(manifest) = Manifest::read(tree)? else {
        report.end("not-installed", "runstead is not installed.");
        // What an installation would be refused for is worth knowing before.
        if let Err(Failure::Refused(why) | Failure::Act(why)) = plan::make(tree) {
            report.note(&format!("it cannot be: {why}"));
        }
        return Ok(ExitCode::from(NOT_INSTALLED));
    };
    let mut missing = Vec::new();
    for step in step::all(&manifest) {
        // Whether it is this version is another question.
        let done = match step {
            Step::Binary => tree.kind(BINARY)? == Kind::File,
            _ => step.is_done(tree, &[])?,
        };
        if !done {
            missing.push(step.describe(false));
        }
    }
    for step in &missing {
        report.step("missing", step);
    }
    if missing.is_empty() && manifest.stage == Stage::Installed {
        report.end("installed", &format!("runstead {} is installed.", manifest.version));
        return Ok(ExitCode::SUCCESS);
    }
    let what = match manifest.stage {
        Stage::Installing => "An installation was interrupted",
        Stage::Removing => "A removal was interrupted",
        Stage::Installed => "Something was changed since",
    };
    report.end(
        "not-whole",
        &format!("{what}: 'runstead install' completes it, 'runstead uninstall' undoes it."),
    );
    Ok(ExitCode::from(NOT_WHOLE))
}
