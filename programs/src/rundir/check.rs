//! `runstead rundir check`.
use super::options::Options;
use super::owners;
use super::paint::{GREEN, GREY, Paint, RED};
use runstead_core::rundir::requirements::{Breach, Row, Verdict, check};
use runstead_core::rundir::{Owners, Survey};
use serde_json::json;
use std::process::ExitCode;

/// Breaches of a requirement that are shown to people.
const SHOWN: usize = 10;

pub fn run(options: &Options) -> Result<ExitCode, String> {
    let survey = super::look(options)?;
    let (owners, _) = owners::of(&survey);
    let rows = check(&survey);
    for row in &rows {
        if options.json {
            println!("{}", as_json(row, &survey, &owners));
        } else {
            show(row, &survey, &owners, Paint::of_stdout());
        }
    }
    super::tell_unseen(&survey);
    let broken = rows.iter().filter(|row| matches!(row.verdict, Verdict::Broken(_))).count();
    if !options.json {
        let text = format!("{broken} of {} requirements broken", rows.len());
        println!("{}", if broken == 0 { "all requirements hold".to_owned() } else { text });
    }
    Ok(ExitCode::from(u8::from(broken > 0)))
}

fn show(row: &Row, survey: &Survey, owners: &Owners, paint: Paint) {
    let (word, colour) = match &row.verdict {
        Verdict::Holds => ("holds", GREEN),
        Verdict::Broken(_) => ("BROKEN", RED),
        Verdict::Unknown(_) => ("unknown", GREY),
    };
    let source = paint.colour(GREY, &format!("({})", row.source));
    println!("{} {:<12} {} {source}", paint.colour(colour, &format!("{word:<7}")), row.name, row.text);
    match &row.verdict {
        Verdict::Holds => {}
        Verdict::Unknown(why) => println!("{:21}{why}", ""),
        Verdict::Broken(breaches) => {
            for breach in breaches.iter().take(SHOWN) {
                let whose =
                    whose(breach, survey, owners).map_or(String::new(), |whose| format!(" [{whose}]"));
                println!("{:21}{} {}{whose}", "", breach.path, breach.what);
                println!("{:23}{}", "", paint.colour(GREY, &breach.remedy));
            }
            if breaches.len() > SHOWN {
                println!("{:21}and {} more (--json lists all)", "", breaches.len() - SHOWN);
            }
        }
    }
}

/// The unit that a path belongs to, else its user.
fn whose(breach: &Breach, survey: &Survey, owners: &Owners) -> Option<String> {
    let path = breach.path.strip_prefix("/run/")?;
    if let Some(unit) = owners.unit(path) {
        return Some(unit.to_owned());
    }
    let uid = survey.entries.get(path)?.uid;
    if survey.is_image() {
        return Some(format!("user {uid}"));
    }
    let user = runstead_os::users::Users::default().by_uid(uid);
    Some(format!("user {}", user.map_or_else(|_| uid.to_string(), |user| user.name.to_string())))
}

fn as_json(row: &Row, survey: &Survey, owners: &Owners) -> serde_json::Value {
    let (verdict, why, breaches) = match &row.verdict {
        Verdict::Holds => ("holds", None, &[][..]),
        Verdict::Unknown(why) => ("unknown", Some(*why), &[][..]),
        Verdict::Broken(breaches) => ("broken", None, breaches.as_slice()),
    };
    let breaches: Vec<_> = breaches
        .iter()
        .map(|breach| {
            json!({ "path": breach.path, "what": breach.what, "remedy": breach.remedy, "whose": whose(breach, survey, owners) })
        })
        .collect();
    json!({ "name": row.name, "text": row.text, "source": row.source, "verdict": verdict, "why": why, "breaches": breaches })
}
