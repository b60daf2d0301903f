//! `runstead rundir top`.
use super::options::Options;
use super::paint::{GREY, Paint, YELLOW, size};
use runstead_core::rundir::{Owners, Share, Survey};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

/// Lines that are left for the head and the prompt.
const MARGIN: u16 = 4;

pub fn run(options: &Options) -> Result<ExitCode, String> {
    let terminal = std::io::stdout().is_terminal();
    let mut before = None;
    let mut asked: Option<(BTreeSet<String>, Owners)> = None;
    loop {
        let survey = super::look(options)?;
        // The manager is asked of each unit: only when there is something that was not there before.
        let places: BTreeSet<String> = survey.entries.keys().filter_map(|path| top_of(path)).collect();
        if asked.as_ref().is_none_or(|(known, _)| *known != places) {
            let (owners, untold) = super::owners::of(&survey);
            if let (None, Some(why)) = (&asked, untold) {
                eprintln!("{why}");
            }
            asked = Some((places, owners));
        }
        let Some((_, owners)) = &asked else { continue };
        let shares = shares(&survey, owners);
        let shown = if options.json {
            json_lines(&shares)
        } else {
            let head = if terminal && !options.once { "\x1b[H\x1b[2J" } else { "" };
            format!("{head}{}", table(&survey, &shares, before.as_ref(), terminal))
        };
        // Whoever reads it may have left.
        if std::io::stdout().write_all(shown.as_bytes()).is_err() {
            return Ok(ExitCode::SUCCESS);
        }
        if options.once {
            super::tell_unseen(&survey);
            return Ok(ExitCode::SUCCESS);
        }
        before = Some(shares);
        std::thread::sleep(options.interval);
    }
}

/// What is directly below `/run`, credentials and users each for itself.
fn top_of(path: &str) -> Option<String> {
    let mut parts = path.split('/');
    let first = parts.next()?;
    match (first, parts.next()) {
        ("credentials" | "user", Some(second)) => Some(format!("{first}/{second}")),
        _ => Some(first.to_owned()),
    }
}

/// By unit; what belongs to none has the name "-".
fn shares(survey: &Survey, owners: &Owners) -> BTreeMap<String, Share> {
    let mut shares: BTreeMap<String, Share> = BTreeMap::new();
    for (path, entry) in &survey.entries {
        let share = shares.entry(owners.unit(path).unwrap_or("-").to_owned()).or_default();
        share.bytes += entry.bytes;
        share.inodes += 1;
        share.sockets += u64::from(entry.kind == runstead_core::rundir::Kind::Socket);
    }
    shares
}

fn json_lines(shares: &BTreeMap<String, Share>) -> String {
    let line = |(unit, share): (&String, &Share)| {
        format!(
            "{}\n",
            json!({ "unit": unit, "bytes": share.bytes, "inodes": share.inodes, "sockets": share.sockets })
        )
    };
    shares.iter().map(line).collect()
}

fn table(
    survey: &Survey,
    shares: &BTreeMap<String, Share>,
    before: Option<&BTreeMap<String, Share>>,
    terminal: bool,
) -> String {
    let paint = Paint::of_stdout();
    let (free, all) = survey.root.bytes;
    let mut text = format!(
        "/run  {} of {} used, {} entries\n",
        size(all.saturating_sub(free)),
        size(all),
        survey.entries.len()
    );
    let head = format!("{:<44} {:>10} {:>8} {:>8}", "UNIT", "BYTES", "INODES", "SOCKETS");
    text.push_str(&paint.colour(GREY, &head));
    text.push('\n');
    let mut rows: Vec<(&String, &Share)> = shares.iter().collect();
    rows.sort_by(|(one, first), (other, second)| second.bytes.cmp(&first.bytes).then(one.cmp(other)));
    let most = if terminal { height() } else { usize::MAX };
    for (unit, share) in rows.into_iter().take(most) {
        let line = format!("{unit:<44} {:>10} {:>8} {:>8}", size(share.bytes), share.inodes, share.sockets);
        let changed = before.is_some_and(|before| before.get(unit) != Some(share));
        text.push_str(&if changed { paint.colour(YELLOW, &line) } else { line });
        text.push('\n');
    }
    text
}

fn height() -> usize {
    let rows = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(24, |size| size.ws_row);
    usize::from(rows.saturating_sub(MARGIN).max(1))
}
