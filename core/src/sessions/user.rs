//! One user who is logged in, or whose services linger (loginctl(1)).
use crate::engine::clock::Stamp;

/// What is to be known of somebody who logs in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserRecord {
    /// Number.
    pub uid: u32,
    /// Number of the first group.
    pub gid: u32,
    /// Login name.
    pub name: String,
    /// Home directory.
    pub home: String,
}

/// Where a user is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Known, not begun.
    Offline,
    /// The manager starts.
    Opening,
    /// Without a session, kept by lingering.
    Lingering,
    /// With sessions in the background.
    Online,
    /// With one in the foreground.
    Active,
    /// Without a session any more.
    Closing,
}

impl State {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            State::Offline => "offline",
            State::Opening => "opening",
            State::Lingering => "lingering",
            State::Online => "online",
            State::Active => "active",
            State::Closing => "closing",
        }
    }
}

/// A user.
#[derive(Debug, Clone)]
pub struct User {
    /// Who it is.
    pub record: UserRecord,
    /// When the first session began.
    pub since: Stamp,
    /// When the last one ended.
    pub last_session: Option<Stamp>,
    /// `user-runtime-dir@UID.service` was asked for.
    pub started: bool,
    /// `user@UID.service` was asked for.
    pub manager_started: bool,
    /// Job of `user-runtime-dir@UID.service`.
    pub runtime_job: Option<String>,
    /// Job of `user@UID.service`.
    pub manager_job: Option<String>,
    /// Everything is being stopped.
    pub stopping: bool,
    /// Services run without a session.
    pub linger: bool,
    /// Clients were told of it.
    pub announced: bool,
    /// The session that shows the user's screen.
    pub display: Option<String>,
    /// Monotonic time at which it is stopped if nobody came back.
    pub stop_at: Option<u64>,
}

impl User {
    /// Somebody of whom only the record is known.
    pub fn new(record: UserRecord) -> User {
        User {
            record,
            since: Stamp::default(),
            last_session: None,
            started: false,
            manager_started: false,
            runtime_job: None,
            manager_job: None,
            stopping: false,
            linger: false,
            announced: false,
            display: None,
            stop_at: None,
        }
    }

    /// Where clients find it.
    pub fn object_path(&self) -> String {
        object_path(self.record.uid)
    }

    /// `/run/user/UID`.
    pub fn runtime_path(&self) -> String {
        format!("/run/user/{}", self.record.uid)
    }

    /// `user-UID.slice`.
    pub fn slice(&self) -> String {
        format!("user-{}.slice", self.record.uid)
    }

    /// `user@UID.service`.
    pub fn manager_unit(&self) -> String {
        format!("user@{}.service", self.record.uid)
    }

    /// `user-runtime-dir@UID.service`.
    pub fn runtime_unit(&self) -> String {
        format!("user-runtime-dir@{}.service", self.record.uid)
    }
}

/// Where clients find the user of that number.
pub fn object_path(uid: u32) -> String {
    format!("/org/freedesktop/login1/user/_{uid}")
}
