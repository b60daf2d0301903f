//! What a call of a client asks for.
use super::power::Power;
use runstead_core::sessions::event::Request;
use runstead_wire::dbus::Value;

/// Whose process somebody means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// By number; 0 is the caller.
    Pid(u32),
    /// By a descriptor that came with the call.
    Fd(u64),
}

/// Which processes of a session a signal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// The process that asked for the session.
    Leader,
    /// All.
    All,
}

/// `CreateSession` as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Creation {
    /// Whose it is to be.
    pub uid: u32,
    /// Who leads it.
    pub leader: Process,
    /// What PAM says of it.
    pub request: Request,
    /// Properties of the scope.
    pub properties: Vec<(String, Value)>,
}

/// What a method call asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// `Introspect`.
    Introspect,
    /// `Ping`.
    Ping,
    /// `GetMachineId`.
    MachineId,
    /// `Get`: interface and property.
    Get(String, String),
    /// `GetAll`: interface, or all when empty.
    GetAll(String),
    /// `Set`.
    Set(String, String, Value),
    /// `GetSession`.
    GetSession(String),
    /// `GetSessionByPID`, `GetSessionByPIDFD`.
    GetSessionOf(Process),
    /// `GetUser`.
    GetUser(u32),
    /// `GetUserByPID`, `GetUserByPIDFD`.
    GetUserOf(Process),
    /// `GetSeat`.
    GetSeat(String),
    /// `ListSessions`.
    ListSessions,
    /// `ListSessionsEx`.
    ListSessionsEx,
    /// `ListUsers`.
    ListUsers,
    /// `ListSeats`.
    ListSeats,
    /// `ListInhibitors`.
    ListInhibitors,
    /// `CreateSession`, `CreateSessionWithPIDFD`.
    Create(Box<Creation>),
    /// `ReleaseSession`.
    Release(String),
    /// Bring a session to the foreground: by its object, its name, or its name on a seat.
    Activate(Option<String>, Option<String>),
    /// `Lock` and `Unlock`: of one session, or of all when `None`.
    Lock(Option<String>, bool),
    /// `Kill` of a session.
    KillSession(Option<String>, Whom, i32),
    /// `Kill` of a user.
    KillUser(Option<u32>, i32),
    /// `Terminate` of a session.
    TerminateSession(Option<String>),
    /// `Terminate` of a user.
    TerminateUser(Option<u32>),
    /// `Terminate` of a seat.
    TerminateSeat(Option<String>),
    /// `SetUserLinger`: user, on, whether a person may be asked.
    SetLinger(u32, bool),
    /// `SetIdleHint`.
    SetIdle(bool),
    /// `SetLockedHint`.
    SetLocked(bool),
    /// `SetType`.
    SetKind(String),
    /// `SetClass`.
    SetClass(String),
    /// `SetDisplay`.
    SetDisplay(String),
    /// `SetTTY`.
    SetTty(u64),
    /// `SwitchTo` and its like on a seat: a number, or the next (`1`) or previous (`-1`).
    SwitchTo(Switch),
    /// Shutdown, sleep, and what holds them back.
    Power(Power),
    /// A method that exists in the reference and not here yet.
    Unsupported(&'static str),
}

/// Where a seat is to switch to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// This virtual terminal or position.
    To(u32),
    /// The one after the present one.
    Next,
    /// The one before it.
    Previous,
}
