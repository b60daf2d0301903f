//! `runstead install` and `runstead uninstall`: make a distribution's init ours, and back.
//!
//! | file | subject |
//! |---|---|
//! | `plan` | what is to be done, or what is in the way: nothing is changed yet |
//! | `step` | the acts, each recognisable when done, each undoable |
//! | `manifest` | what was done, kept in the tree from before the first act until after the last |
//! | `dpkg` | diversions |
//! | `status` | what a tree has |
//!
//! A kill at any moment leaves an init that boots, and a manifest by which either command goes on.
mod dpkg;
mod failure;
mod manifest;
mod options;
mod plan;
mod report;
mod status;
mod step;

use failure::Failure;
use manifest::{MANIFEST, Manifest, STATE, Stage};
use options::Options;
use report::Report;
use runstead_os::tree::{Kind, Tree};
use std::process::ExitCode;

const HELP: &str = "\
Usage: runstead install [--root DIR] [--dry-run | --status] [--json]
       runstead uninstall [--root DIR] [--dry-run] [--json]

install makes runstead the init of this system, or of the tree in DIR, from its next boot on. It puts this binary to
/usr/lib/runstead, diverts the init link of package systemd-sysv (dpkg-divert(1)) and links /sbin/init to the binary, likewise
systemd-tmpfiles and systemd-user-runtime-dir; what was there is kept beside it as NAME.distrib, and the kernel command line
'init=/lib/systemd/systemd' still boots systemd. Over an older version it replaces the binary:
'systemctl daemon-reexec' goes over to it. uninstall puts everything back. /var/lib/runstead/installed says what was done.

  --root DIR    The tree in DIR instead of this system
  --dry-run     Say what would be done
  --status      Say what is installed and whether it is whole (also --check)
  --json        One JSON object a line

Exit status: 0 done, or nothing to do; 1 failed in between (run either command again); 2 wrong usage; 4 refused, nothing changed.
With --status: 0 installed; 1 not whole; 3 not installed.
";

/// `runstead install [OPTION...]`.
pub fn install(words: &[&str]) -> ExitCode {
    run("install", words, |options, tree| match options.status {
        true => status::show(tree, Report { json: options.json }),
        false => do_install(options, tree).map(|()| ExitCode::SUCCESS),
    })
}

/// `runstead uninstall [OPTION...]`.
pub fn uninstall(words: &[&str]) -> ExitCode {
    run("uninstall", words, |options, tree| do_uninstall(options, tree).map(|()| ExitCode::SUCCESS))
}

fn run(
    verb: &str,
    words: &[&str],
    act: impl FnOnce(&Options, &Tree) -> Result<ExitCode, Failure>,
) -> ExitCode {
    let options = match Options::parse(verb, words) {
        Ok(options) => options,
        Err(why) => return crate::usage::fail(&why),
    };
    if options.help {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let opened = Tree::open(&options.root).map_err(|error| Failure::Refused(format!("cannot {error}")));
    match opened.and_then(|tree| act(&options, &tree)) {
        Ok(status) => status,
        Err(failure) => {
            eprintln!("runstead {verb}: {failure}");
            ExitCode::from(failure.status())
        }
    }
}

fn do_install(options: &Options, tree: &Tree) -> Result<(), Failure> {
    let report = Report { json: options.json };
    let binary = std::fs::read("/proc/self/exe").map_err(|error| {
        Failure::Refused(format!("cannot read this binary (/proc/self/exe): {error}; is /proc mounted?"))
    })?;
    // Before the first act dpkg's trouble is a refusal, too.
    let mut manifest = plan::make(tree).map_err(refused)?;
    let mut left = Vec::new();
    for step in step::all(&manifest) {
        if step.is_done(tree, &binary).map_err(refused)? {
            report.step("kept", &step.describe(false));
        } else {
            left.push(step);
        }
    }
    if options.dry_run {
        left.iter().for_each(|step| report.step("planned", &step.describe(false)));
        report.end("dry-run", &format!("{} steps; nothing was changed.", left.len()));
        return Ok(());
    }
    if left.is_empty()
        && Manifest::read(tree)?.as_ref() == Some(&manifest)
        && manifest.stage == Stage::Installed
    {
        report.end("installed", "runstead is installed already; nothing to do.");
        return Ok(());
    }
    let knows_less = Manifest::read(tree)?.is_none_or(|before| before.programs != manifest.programs);
    let was_whole = manifest.stage == Stage::Installed;
    // An upgrade stays an installation all the while, also one that replaces more than the version before did.
    if !was_whole {
        manifest.stage = Stage::Installing;
    }
    if !was_whole || knows_less {
        manifest.write(tree)?;
    }
    for step in &left {
        step.act(tree, &binary)?;
        report.step("done", &step.describe(false));
    }
    manifest.stage = Stage::Installed;
    manifest.write(tree)?;
    say_what_next(options, tree, report)
}

fn say_what_next(options: &Options, tree: &Tree, report: Report) -> Result<(), Failure> {
    let running = is_this_system(options) && is_pid1();
    let next = if running {
        "'systemctl daemon-reexec' goes over to it."
    } else {
        "It is PID 1 from the next boot on."
    };
    report.end("installed", &format!("runstead {} is installed. {next}", plan::VERSION));
    if tree.kind("/usr/lib/dracut")? == Kind::Directory {
        report.note(
            "an initramfs by dracut executes systemd itself whatever /sbin/init is: add \
             init=/usr/lib/runstead/runstead to the kernel command line",
        );
    }
    Ok(())
}

fn do_uninstall(options: &Options, tree: &Tree) -> Result<(), Failure> {
    let report = Report { json: options.json };
    let Some(mut manifest) = Manifest::read(tree)? else {
        if !options.dry_run {
            // An installation that ended before it had a manifest.
            tree.remove(MANIFEST)
                .and_then(|()| tree.remove_directory(STATE))
                .map_err(|error| refused(error.into()))?;
        }
        report.end("not-installed", "runstead is not installed; nothing to do.");
        return Ok(());
    };
    let mut steps = step::all(&manifest);
    steps.reverse();
    if options.dry_run {
        for step in &steps {
            let state = if step.is_undone(tree)? { "kept" } else { "planned" };
            report.step(state, &step.describe(true));
        }
        report.end("dry-run", "Nothing was changed.");
        return Ok(());
    }
    manifest.stage = Stage::Removing;
    manifest.write(tree).map_err(refused)?;
    for path in std::iter::once(step::COMMAND).chain(manifest.places().map(|place| place.path.as_str())) {
        tree.remove_unfinished(path)?;
    }
    for step in &steps {
        if !step.is_undone(tree)? {
            step.undo(tree)?;
            report.step("done", &step.describe(true));
        }
    }
    tree.remove(MANIFEST)?;
    tree.remove_directory(STATE)?;
    let running = is_this_system(options) && is_pid1();
    if running {
        forget_user_managers(report);
    }
    let next = if running { " It goes on as PID 1 until the next boot." } else { "" };
    report.end("uninstalled", &format!("runstead is uninstalled; the init is systemd's again.{next}"));
    Ok(())
}

/// Nothing was changed yet when this failed.
fn refused(failure: Failure) -> Failure {
    match failure {
        Failure::Act(why) => Failure::Refused(why),
        refused => refused,
    }
}

fn is_this_system(options: &Options) -> bool {
    options.root.parent().is_none()
}

fn is_pid1() -> bool {
    std::fs::read_link("/proc/1/exe").is_ok_and(|exe| exe.to_string_lossy().contains("/runstead"))
}

/// PID 1 has a drop-in that starts managers of users from the binary, which is gone: a reload takes it away.
fn forget_user_managers(report: Report) {
    let reload = || {
        let mut client =
            runstead_manager::client::Client::connect(std::path::Path::new("/run/systemd/private"))?;
        client.call("Reload", std::time::Duration::from_secs(60))
    };
    if let Err(error) = reload() {
        report.note(&format!("PID 1 did not reload ({error}): run systemctl daemon-reload, else nobody can log in before the next boot"));
    }
}
