//! Users: their records, who lingers, and what an earlier login manager left in `/run/systemd`.
use super::daemon::{Coming, Daemon};
use runstead_api::error::Error;
use runstead_core::sessions::event::Event;
use runstead_core::sessions::state_file;
use runstead_core::sessions::user::UserRecord;
use runstead_os::{OsError, logins, users};

impl Daemon {
    /// A user by number: from the files, else from the name service.
    pub(super) fn record(&self, uid: u32) -> Option<UserRecord> {
        if let Ok(user) = self.users.entry_of(uid) {
            return Some(UserRecord { uid, gid: user.gid, name: user.name, home: user.home });
        }
        let line = users::entry(users::Database::Passwd, &uid.to_string())?;
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, number, gid, _, home, ..] = fields[..] else { return None };
        (number.parse() == Ok(uid)).then_some(())?;
        Some(UserRecord { uid, gid: gid.parse().ok()?, name: name.to_owned(), home: home.to_owned() })
    }

    fn record_by_name(&self, name: &str) -> Option<UserRecord> {
        if let Ok(user) = self.users.user(name) {
            return Some(UserRecord { uid: user.uid, gid: user.gid, name: user.name, home: user.home });
        }
        let (uid, _) = users::asked(users::Database::Passwd, name)?;
        self.record(uid)
    }

    /// The users of `/var/lib/systemd/linger`.
    pub(super) fn find_lingering(&mut self) {
        for name in logins::lingering() {
            match self.record_by_name(&name) {
                Some(record) => {
                    self.facts.lingering.push(record.uid);
                    self.pending.push_back(Event::Linger(record, true));
                }
                None => self.log(4, &format!("{}/{name}: no such user", logins::LINGER)),
            }
        }
    }

    /// `SetUserLinger`.
    pub(super) fn set_linger(&mut self, uid: u32, on: bool) -> Result<(), Error> {
        let record = self.record(uid).ok_or_else(super::calls::nobody)?;
        let failed = |error: OsError| Error::new("org.freedesktop.DBus.Error.Failed", error.to_string());
        logins::set_lingering(&record.name, on).map_err(failed)?;
        self.facts.lingering.retain(|other| *other != uid);
        if on {
            self.facts.lingering.push(uid);
        }
        self.pending.push_back(Event::Linger(record, on));
        Ok(())
    }

    /// Takes over the sessions and users that an earlier login manager left.
    pub(super) fn restore(&mut self) {
        for (name, text) in logins::saved("users") {
            let record = name.parse().ok().and_then(|uid| self.record(uid));
            match record {
                Some(record) => self.sessions.restore_user(record, state_file::parse(&text)),
                None => self.write_state(&format!("users/{name}"), None),
            }
        }
        for (id, text) in logins::saved("sessions") {
            let restored = self.sessions.restore_session(&id, state_file::parse(&text));
            let Some((leader, scope)) = restored else {
                self.write_state(&format!("sessions/{id}"), None);
                continue;
            };
            // The leader is who it was when it is still where it was put.
            let leader = logins::leader(leader, scope.as_deref());
            let lives = leader.is_some();
            self.coming = Some(Coming { leader, properties: Vec::new() });
            self.open_fifo(&id);
            self.let_fifo_go(&id);
            if !lives {
                self.pending.push_back(Event::Release(id));
            }
        }
        self.sessions.restored(runstead_os::timer::now());
    }
}
