//! What the login manager is told, and what it wants done.
use super::power;
use super::session::{Class, Kind};
use super::user::UserRecord;

/// A call of a client that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// A request to the service manager that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AskId(pub u64);

/// What PAM says of a session that is to be made (`CreateSession`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// PAM service.
    pub service: String,
    /// How it is shown, when that is named.
    pub kind: Option<Kind>,
    /// What it is for, when that is named.
    pub class: Option<Class>,
    /// Desktop's name.
    pub desktop: String,
    /// Seat's name.
    pub seat: String,
    /// Virtual terminal.
    pub vtnr: u32,
    /// Terminal.
    pub tty: String,
    /// X display.
    pub display: String,
    /// Over a network.
    pub remote: bool,
    /// As whom there.
    pub remote_user: String,
    /// From where.
    pub remote_host: String,
}

/// A session that is to be made, with what the machine knows of it.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Whose.
    pub user: UserRecord,
    /// The process that asked PAM.
    pub leader: i32,
    /// The leader's audit session.
    pub audit: Option<u32>,
    /// What PAM says.
    pub request: Request,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// `CreateSession`.
    Create(CallId, Box<NewSession>),
    /// `ReleaseSession`, the FIFO was closed, or the leader ended.
    Release(String),
    /// `TerminateSession`, and the like.
    Terminate(String),
    /// `TerminateUser`.
    TerminateUser(u32),
    /// The service manager queued a job, at this object path.
    Queued(AskId, String),
    /// It refused one.
    Refused(AskId, String),
    /// A job ended.
    JobRemoved {
        /// Object path.
        path: String,
        /// `done`, `failed` ...
        result: String,
    },
    /// A unit that was asked after is not there any more.
    UnitGone(String),
    /// A user's services are to run without a session, or not any more.
    Linger(UserRecord, bool),
    /// The time of [`super::Sessions::next_timer`] has come.
    Timer,
    /// A virtual terminal came to the foreground.
    VtActive(u32),
    /// A client's word on a session.
    Hint(String, Hint),
    /// On shutdown, sleep, and what holds them back.
    Power(power::Event),
}

/// What clients say of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// `SetIdleHint`.
    Idle(bool),
    /// `SetLockedHint`.
    Locked(bool),
    /// `SetClass`.
    Class(Class),
}

/// What of the login manager's objects a signal is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// The manager.
    Manager,
    /// A session.
    Session(String),
    /// A user.
    User(u32),
    /// A seat.
    Seat(String),
}

/// What is to be done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Start a unit.
    Start {
        /// By which the answer is known.
        ask: AskId,
        /// Its name.
        unit: String,
    },
    /// Stop a unit.
    Stop {
        /// By which the answer is known.
        ask: AskId,
        /// Its name.
        unit: String,
    },
    /// Make the scope of a session, with its leader in it.
    Scope {
        /// By which the answer is known.
        ask: AskId,
        /// Whose.
        session: String,
    },
    /// Leave a scope to itself, and tell when it is empty ([`Event::UnitGone`]).
    Abandon(String),
    /// Make the FIFO of a session, and hold one end.
    OpenFifo(String),
    /// Close it and remove it.
    CloseFifo(String),
    /// A session is there: answer who asked for it.
    Created {
        /// Who asked.
        call: CallId,
        /// Which it is.
        session: String,
    },
    /// A call failed: the error's name and text.
    Refuse(CallId, &'static str, String),
    /// An object came (`SessionNew` ...).
    Added(Object),
    /// An object went. Its file goes, too.
    Removed(Object),
    /// Properties changed.
    Changed(Object, &'static [&'static str]),
    /// A state file is to be written anew.
    Save(Object),
    /// Remove the inter-process objects and shared memory that a user left.
    CleanIpc(u32),
    /// On shutdown, sleep, and what holds them back.
    Power(power::Effect),
}
