//! How a login manager that starts anew takes over what an earlier one left in its state files.
use super::seat::SEAT0;
use super::session::{Class, Kind, Session, is_valid_id};
use super::user::{User, UserRecord};
use super::{Sessions, stamp};
use crate::engine::clock::{Now, Stamp};
use crate::values::quoting::c_unescape;
use std::collections::BTreeMap;

/// Keys and values of a state file.
type Lines<'a> = BTreeMap<&'a str, &'a str>;

impl Sessions {
    /// Takes over a user.
    pub fn restore_user<'a>(&mut self, record: UserRecord, lines: impl Iterator<Item = (&'a str, &'a str)>) {
        let lines: Lines<'_> = lines.collect();
        let mut user = User::new(record);
        user.since = since(&lines);
        (user.started, user.manager_started, user.announced) = (true, true, true);
        self.users.insert(user.record.uid, user);
    }

    /// Takes over a session of a user who was taken over; its leader and scope, or `None` for what cannot be one.
    pub fn restore_session<'a>(
        &mut self,
        id: &str,
        lines: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Option<(i32, Option<String>)> {
        let lines: Lines<'_> = lines.collect();
        let session = session(id, &lines).filter(|session| self.users.contains_key(&session.uid))?;
        if let Some(number) = id.strip_prefix('c').and_then(|number| number.parse().ok()) {
            self.numbered = self.numbered.max(number);
        }
        let (leader, scope) = (session.leader, session.scope.clone());
        self.sessions.insert(id.to_owned(), session);
        Some((leader, scope))
    }

    /// All is taken over: what follows from it.
    pub fn restored(&mut self, now: Now) {
        let uids: Vec<u32> = self.users.keys().copied().collect();
        for uid in uids {
            self.elect_display(uid);
            self.look_after_user(now, uid);
        }
        self.update_seat(SEAT0);
        self.idle_since = stamp(now);
        // Clients know of all this.
        self.effects.retain(|effect| !matches!(effect, super::event::Effect::Changed(..)));
    }
}

fn since(lines: &Lines<'_>) -> Stamp {
    let number = |key: &str| lines.get(key).and_then(|value| value.parse().ok()).unwrap_or(0);
    Stamp { realtime: number("REALTIME"), monotonic: number("MONOTONIC") }
}

fn session(id: &str, lines: &Lines<'_>) -> Option<Session> {
    let text = |key: &str| {
        lines
            .get(key)
            .map_or_else(String::new, |value| c_unescape(value).unwrap_or_else(|| (*value).to_owned()))
    };
    let number = |key: &str| lines.get(key).and_then(|value| value.parse::<u32>().ok());
    let class = Class::parse(lines.get("CLASS")?)?;
    let kind = Kind::parse(lines.get("TYPE")?)?;
    is_valid_id(id).then_some(())?;
    Some(Session {
        original_kind: lines.get("ORIGINAL_TYPE").and_then(|name| Kind::parse(name)).unwrap_or(kind),
        desktop: text("DESKTOP"),
        seat: lines.get("SEAT").map(|seat| (*seat).to_owned()),
        vtnr: number("VTNR").unwrap_or(0),
        tty: text("TTY"),
        display: text("DISPLAY"),
        remote: lines.get("REMOTE") == Some(&"1"),
        remote_host: text("REMOTE_HOST"),
        remote_user: text("REMOTE_USER"),
        service: text("SERVICE"),
        leader: lines.get("LEADER")?.parse().ok()?,
        audit: number("AUDIT").unwrap_or(u32::MAX),
        since: since(lines),
        position: number("POSITION").unwrap_or(0),
        ..Session::new(id.to_owned(), number("UID")?, class, kind)
    })
}
