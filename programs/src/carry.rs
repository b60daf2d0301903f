//! `runstead carry`: files of `/run` over a boot.
use runstead_core::carry::Item;
use runstead_os::carry::{self, FOLDER, Folder};
use serde_json::json;
use std::process::ExitCode;

const HELP: &str = "\
Usage: runstead carry list [--json]
       runstead carry save | restore

What is in /run is gone after a boot. A path below /run in a line of a file of /etc/runstead/carry.d/*.conf, or in a setting
X-RunsteadCarry= of a unit or drop-in, is carried over: saved when the system goes down, put back when it comes up the next time. That takes regular files and directories that only root and their owner can change; no sockets, PID files, device nodes.

  list       What is wished, and whether it would be saved now
  save       Keep it for the next boot      (done by runstead-carry.service)
  restore    Put back what the boot before kept (done by runstead-carry.service)
  --json     One JSON object a line

A service loses its RuntimeDirectory= when it stops: RuntimeDirectoryPreserve=yes keeps what is to be carried.

Exit status: 0 done; 1 something could not be done; 2 wrong usage.
";

const RUN: &str = "/run";

/// `runstead carry VERB [OPTION...]`.
pub fn run(words: &[&str]) -> ExitCode {
    let outcome = match words {
        ["list"] => list(false),
        ["list", "--json"] | ["--json", "list"] => list(true),
        ["save"] => save(),
        ["restore"] => restore(),
        ["--help" | "-h" | "help", ..] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            let what =
                words.first().map_or("a verb is missing".to_owned(), |word| format!("unknown '{word}'"));
            eprintln!("runstead carry: {what}\nTry 'runstead carry --help'.");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("runstead carry: {why}");
            ExitCode::FAILURE
        }
    }
}

/// What is wished and may be carried; what may not is told. Whether all was well.
fn collected() -> Result<(Vec<Item>, bool), String> {
    let (wishes, wrong) = carry::wishes(RUN);
    let (items, left) = carry::collect(RUN, &wishes).map_err(|error| format!("cannot {error}"))?;
    for text in wrong.iter().chain(&left) {
        eprintln!("not carried: {text}");
    }
    Ok((items, wrong.is_empty()))
}

fn folder() -> Result<Folder, String> {
    Folder::open(FOLDER).map_err(|error| format!("cannot {error}; run this as root, with /var mounted"))
}

fn list(as_json: bool) -> Result<bool, String> {
    let (items, good) = collected()?;
    for item in &items {
        let bytes = item.bytes.as_ref().map(Vec::len);
        let path = format!("{RUN}/{}", item.path);
        if as_json {
            println!(
                "{}",
                json!({ "path": path, "mode": format!("{:04o}", item.mode), "uid": item.uid, "gid": item.gid, "bytes": bytes })
            );
        } else {
            let size = bytes.map_or("directory".to_owned(), |bytes| format!("{bytes} bytes"));
            println!("{path}  {size}");
        }
    }
    Ok(good)
}

fn save() -> Result<bool, String> {
    let (items, good) = collected()?;
    let count = items.iter().filter(|item| item.bytes.is_some()).count();
    carry::save(&mut folder()?, &carry::start_id(), items)
        .map_err(|error| format!("nothing is carried: cannot {error}"))?;
    println!("{count} files of {RUN} are kept for the next boot");
    Ok(good)
}

fn restore() -> Result<bool, String> {
    let taken = carry::take(&mut folder()?, &carry::start_id());
    let (items, why) = taken.map_err(|error| format!("nothing is put back: cannot {error}"))?;
    if let Some(why) = why {
        println!("{why}");
    }
    let (count, failed) = carry::put_back(RUN, &items).map_err(|error| format!("cannot {error}"))?;
    for text in &failed {
        eprintln!("not put back: {text}");
    }
    println!("{count} of {} entries are put back into {RUN}", items.len());
    Ok(failed.is_empty())
}
