//! One login session (pam_systemd(8), org.freedesktop.login1(5)).
//!
//! A session is *opening* while its scope is being made, *online* or *active* while it lasts, and *closing* from its release
//! until its scope is empty. Sessions of managers (`user@UID.service`) have no scope and end at once.
use super::event::CallId;
use crate::engine::clock::{Now, Stamp};

/// What a session is for (pam_systemd(8), `class=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A person.
    User,
    /// A person, before logins are allowed to everybody.
    UserEarly,
    /// A person whose home is not there yet.
    UserIncomplete,
    /// A person without a manager of her own.
    UserLight,
    /// Both.
    UserEarlyLight,
    /// A login screen.
    Greeter,
    /// A lock screen.
    LockScreen,
    /// A job without a terminal: cron, `su` in a script.
    Background,
    /// The same without a manager.
    BackgroundLight,
    /// The user's manager.
    Manager,
    /// That of a user who may be up before logins are allowed.
    ManagerEarly,
}

const CLASSES: [(Class, &str); 11] = [
    (Class::User, "user"),
    (Class::UserEarly, "user-early"),
    (Class::UserIncomplete, "user-incomplete"),
    (Class::UserLight, "user-light"),
    (Class::UserEarlyLight, "user-early-light"),
    (Class::Greeter, "greeter"),
    (Class::LockScreen, "lock-screen"),
    (Class::Background, "background"),
    (Class::BackgroundLight, "background-light"),
    (Class::Manager, "manager"),
    (Class::ManagerEarly, "manager-early"),
];

impl Class {
    /// The class of that name.
    pub fn parse(text: &str) -> Option<Class> {
        CLASSES.iter().find(|(_, name)| *name == text).map(|(class, _)| *class)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        CLASSES.iter().find(|(class, _)| *class == self).map_or("", |(_, name)| name)
    }

    /// Whether its processes have a scope of their own.
    pub fn wants_scope(self) -> bool {
        !matches!(self, Class::Manager | Class::ManagerEarly)
    }

    /// Whether it keeps its user, and with it `/run/user/UID`.
    pub fn pins_user(self) -> bool {
        self.wants_scope()
    }

    /// Whether `user@UID.service` is to run.
    pub fn wants_manager(self) -> bool {
        use Class::{Background, Greeter, LockScreen, User, UserEarly, UserIncomplete};
        matches!(self, User | UserEarly | UserIncomplete | Greeter | LockScreen | Background)
    }

    /// Whether it may be there before `systemd-user-sessions.service`.
    pub fn is_early(self) -> bool {
        matches!(self, Class::UserEarly | Class::UserEarlyLight | Class::ManagerEarly)
    }

    /// Whether somebody sits before it who can be idle.
    pub fn can_idle(self) -> bool {
        use Class::{Greeter, User, UserEarly, UserEarlyLight, UserIncomplete, UserLight};
        matches!(self, User | UserEarly | UserIncomplete | UserLight | UserEarlyLight | Greeter)
    }

    /// Whether it can be locked.
    pub fn can_lock(self) -> bool {
        matches!(self, Class::User | Class::UserEarly | Class::UserLight | Class::UserEarlyLight)
    }

    /// Whether it can be what its user sees.
    pub fn can_display(self) -> bool {
        self.can_lock() || self == Class::Greeter
    }

    /// Whether devices can be taken for it.
    pub fn can_take_device(self) -> bool {
        self.can_display() || self == Class::LockScreen
    }
}

/// How a session is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Not at all.
    Unspecified,
    /// On a terminal.
    Tty,
    /// By an X server.
    X11,
    /// By a Wayland compositor.
    Wayland,
    /// By a Mir server.
    Mir,
    /// In a browser.
    Web,
}

const KINDS: [(Kind, &str); 6] = [
    (Kind::Unspecified, "unspecified"),
    (Kind::Tty, "tty"),
    (Kind::X11, "x11"),
    (Kind::Wayland, "wayland"),
    (Kind::Mir, "mir"),
    (Kind::Web, "web"),
];

impl Kind {
    /// The type of that name.
    pub fn parse(text: &str) -> Option<Kind> {
        KINDS.iter().find(|(_, name)| *name == text).map(|(kind, _)| *kind)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// Whether it has a screen.
    pub fn is_graphical(self) -> bool {
        matches!(self, Kind::X11 | Kind::Wayland | Kind::Mir)
    }
}

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Being made.
    Opening,
    /// There, in the background of its seat.
    Online,
    /// There, in the foreground.
    Active,
    /// Ending.
    Closing,
}

impl State {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            State::Opening => "opening",
            State::Online => "online",
            State::Active => "active",
            State::Closing => "closing",
        }
    }
}

/// A session.
#[derive(Debug, Clone)]
pub struct Session {
    /// Its name.
    pub id: String,
    /// Whose it is.
    pub uid: u32,
    /// What it is for.
    pub class: Class,
    /// How it is shown.
    pub kind: Kind,
    /// The same when it began.
    pub original_kind: Kind,
    /// `gnome` ...; empty when none.
    pub desktop: String,
    /// Its seat.
    pub seat: Option<String>,
    /// Number of its virtual terminal, 0 for none.
    pub vtnr: u32,
    /// Its terminal, without `/dev/`.
    pub tty: String,
    /// Its X display.
    pub display: String,
    /// Whether somebody came over a network.
    pub remote: bool,
    /// From where.
    pub remote_host: String,
    /// As whom.
    pub remote_user: String,
    /// PAM service.
    pub service: String,
    /// The process that asked for it.
    pub leader: i32,
    /// Number of the audit session, `u32::MAX` for none.
    pub audit: u32,
    /// When it began.
    pub since: Stamp,
    /// Its scope unit, once asked for.
    pub scope: Option<String>,
    /// The scope's job while it is queued.
    pub scope_job: Option<String>,
    /// Whether the scope is being made or there.
    pub scope_lives: bool,
    /// The scope's job ends it.
    pub scope_ending: bool,
    /// Whether somebody holds the FIFO.
    pub fifo: bool,
    /// Its release was asked for.
    pub stopping: bool,
    /// What it leaves behind is to be ended, too.
    pub forced: bool,
    /// Who waits for it to be there.
    pub creation: Option<CallId>,
    /// What clients said last.
    pub idle: bool,
    /// When that changed.
    pub idle_since: Stamp,
    /// The screen is locked.
    pub locked: bool,
    /// Its place among the sessions of a seat without virtual terminals.
    pub position: u32,
}

impl Session {
    /// One of which nothing else is known, that is there.
    pub fn new(id: String, uid: u32, class: Class, kind: Kind) -> Session {
        Session {
            scope: class.wants_scope().then(|| format!("session-{id}.scope")),
            scope_lives: class.wants_scope(),
            id,
            uid,
            class,
            kind,
            original_kind: kind,
            desktop: String::new(),
            seat: None,
            vtnr: 0,
            tty: String::new(),
            display: String::new(),
            remote: false,
            remote_host: String::new(),
            remote_user: String::new(),
            service: String::new(),
            leader: 0,
            audit: u32::MAX,
            since: Stamp::default(),
            scope_job: None,
            scope_ending: false,
            fifo: true,
            stopping: false,
            forced: false,
            creation: None,
            idle: false,
            idle_since: Stamp::default(),
            locked: false,
            position: 0,
        }
    }

    /// Where clients find it.
    pub fn object_path(&self) -> String {
        object_path(&self.id)
    }

    /// The path of its FIFO.
    pub fn fifo_path(&self) -> String {
        format!("/run/systemd/sessions/{}.ref", self.id)
    }

    /// Its state, given whether it is in the foreground of its seat.
    pub fn state(&self, active: bool) -> State {
        if self.stopping {
            State::Closing
        } else if self.scope_job.is_some() || !self.fifo {
            State::Opening
        } else if active {
            State::Active
        } else {
            State::Online
        }
    }

    /// Note what a client says of its being idle.
    pub fn set_idle(&mut self, idle: bool, now: Now) -> bool {
        let changed = self.idle != idle;
        if changed {
            self.idle = idle;
            self.idle_since = Stamp { realtime: now.realtime, monotonic: now.monotonic };
        }
        changed
    }
}

/// Where clients find the session of that name.
pub fn object_path(id: &str) -> String {
    format!("/org/freedesktop/login1/session/{}", crate::names::bus_path_escape(id))
}

/// Whether a text can name a session: letters and digits.
pub fn is_valid_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 32 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The session whose scope a control group is in.
pub fn of_cgroup(path: &str) -> Option<&str> {
    path.split('/')
        .find_map(|part| part.strip_prefix("session-")?.strip_suffix(".scope"))
        .filter(|id| is_valid_id(id))
}

/// The user whose slice a control group is in.
pub fn user_of_cgroup(path: &str) -> Option<u32> {
    path.split('/').find_map(|part| part.strip_prefix("user-")?.strip_suffix(".slice")?.parse().ok())
}
