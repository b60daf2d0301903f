//! A boot of the reference with the program under test in its place leaves in `/run`, `/tmp` and `/var` what its own does.

use crate::{Setting, boot};
use runstead_compat::Result;
use runstead_compat::proof::Proof;
use std::collections::BTreeMap;

/// Where a boot writes what no other boot does.
const JOURNALS: [&str; 2] = ["/run/log/journal/", "/var/log/journal/"];
const LIST: &str =
    r"find /run /tmp /var \( -path /run/proof\* -prune \) -o -printf '%p\t%y %m %u:%g %l\t%s\n'";

type Seen = BTreeMap<String, String>;

/// Two boots of the reference's show what is the same each time; a difference counts that two boots with the other show.
pub fn prove(proof: &mut Proof, setting: &Setting) -> Result<()> {
    let theirs = [look(setting, false)?, look(setting, false)?];
    let stable: Seen =
        theirs[0].clone().into_iter().filter(|(path, what)| theirs[1].get(path) == Some(what)).collect();
    let masked = theirs[0].len().max(theirs[1].len()) - stable.len();
    proof.check(
        stable.len() > 500 && masked * 10 < stable.len(),
        format!("{} entries are stable, {masked} are not", stable.len()),
    );
    let ours = [look(setting, true)?, look(setting, true)?];
    let both = |path: &String, what: &String| ours.iter().all(|seen| seen.get(path) != Some(what));
    let lost: Vec<_> = stable.iter().filter(|(path, what)| both(path, what)).collect();
    for (path, what) in &lost {
        println!("  {path}: expected {what:?}; found {:?}", ours[0].get(*path));
    }
    proof.check(lost.is_empty(), format!("{} of them are different", lost.len()));
    let new: Vec<&String> = ours[0]
        .keys()
        .filter(|path| ours[1].contains_key(*path) && theirs.iter().all(|seen| !seen.contains_key(*path)))
        .collect();
    proof.check(new.is_empty(), format!("nothing is new: {new:?}"));
    Ok(())
}

/// What lies there after a boot: path to kind, mode, owner, target and, of files, size.
fn look(setting: &Setting, replaced: bool) -> Result<Seen> {
    let mut options = setting.options()?;
    if replaced {
        setting.replaced(&mut options)?;
    }
    let machine = boot(&options)?;
    let state = machine.shell("systemctl show -P Result systemd-tmpfiles-setup-dev.service systemd-tmpfiles-setup-dev-early.service systemd-tmpfiles-setup.service; systemctl start systemd-tmpfiles-clean.service && echo cleaned")?;
    let text = machine.shell(LIST)?.up_to(1)?;
    let mut seen: Seen = text.lines().filter_map(entry).collect();
    seen.insert("services".to_owned(), state.all());
    Ok(seen)
}

fn entry(line: &str) -> Option<(String, String)> {
    let [path, what, size] = line.split('\t').collect::<Vec<_>>()[..] else { return None };
    if JOURNALS.iter().any(|place| path.starts_with(place)) {
        return None;
    }
    let what = if what.starts_with('f') { format!("{what} {size}") } else { what.to_owned() };
    Some((unnamed(path), unnamed(&what)))
}

/// Identifiers of boots and machines and random ends of names are anybody's.
fn unnamed(text: &str) -> String {
    let mut parts = Vec::new();
    for part in text.split_inclusive(['/', '-', '.', ' ']) {
        let (word, end) = match part.char_indices().next_back() {
            Some((at, sign)) if !sign.is_alphanumeric() => part.split_at(at),
            _ => (part, ""),
        };
        let hex = word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let random = word.len() == 6
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && word.bytes().any(|byte| byte.is_ascii_uppercase())
            && text.contains("systemd-private-");
        parts.push(if hex {
            "ID"
        } else if random {
            "RANDOM"
        } else {
            word
        });
        parts.push(end);
    }
    parts.concat()
}
