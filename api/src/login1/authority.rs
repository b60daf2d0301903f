//! Who may do what with logins, with the actions of the reference (`org.freedesktop.login1.policy`).
use super::action::Action;
use crate::polkit::Question;

/// Who may do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Everybody,
    /// Root, the user whom it concerns, and whom polkit allows it.
    OwnerOrAsk(Question),
    /// Root and the user whom it concerns.
    Owner,
    /// Root, and whom polkit allows it.
    Ask(Question),
    /// Root.
    Root,
}

/// Who may ask for an action; `own`: it concerns the caller's own user.
pub fn access(action: &Action, own: bool) -> Access {
    let ask = |action| Question { action, details: Vec::new() };
    match action {
        Action::Create(_) | Action::Set(..) => Access::Root,
        Action::Activate(..) | Action::SwitchTo(_) => Access::OwnerOrAsk(ask("org.freedesktop.login1.chvt")),
        Action::Lock(None, _) => Access::Ask(ask("org.freedesktop.login1.lock-sessions")),
        Action::Lock(Some(_), _) => Access::OwnerOrAsk(ask("org.freedesktop.login1.lock-sessions")),
        Action::KillSession(..)
        | Action::KillUser(..)
        | Action::TerminateSession(_)
        | Action::TerminateUser(_) => Access::OwnerOrAsk(ask("org.freedesktop.login1.manage")),
        Action::TerminateSeat(_) => Access::Ask(ask("org.freedesktop.login1.manage")),
        Action::SetLinger(..) if own => Access::Ask(ask("org.freedesktop.login1.set-self-linger")),
        Action::SetLinger(..) => Access::Ask(ask("org.freedesktop.login1.set-user-linger")),
        Action::SetIdle(_)
        | Action::SetLocked(_)
        | Action::SetKind(_)
        | Action::SetClass(_)
        | Action::SetDisplay(_)
        | Action::SetTty(_) => Access::Owner,
        Action::Unsupported(_) => Access::Root,
        _ => Access::Everybody,
    }
}
