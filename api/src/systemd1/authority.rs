//! Who may do what: what everybody may, what only root may, and what polkit is asked about, with the actions and details of
//! the reference (`org.freedesktop.systemd1.policy`; polkit(8) for the rules that look at the details).
use super::action::{Operation, UnitFiles};
use crate::polkit::Question;
use runstead_core::engine::effect::{JobType, Request};
use runstead_core::names::UnitName;

const MANAGE_UNITS: &str = "org.freedesktop.systemd1.manage-units";
const MANAGE_UNIT_FILES: &str = "org.freedesktop.systemd1.manage-unit-files";
const SET_ENVIRONMENT: &str = "org.freedesktop.systemd1.set-environment";
const RELOAD_DAEMON: &str = "org.freedesktop.systemd1.reload-daemon";

/// Who may do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Everybody,
    /// Root, and whom polkit allows it.
    Ask(Question),
    /// Root.
    Root,
}

impl Access {
    /// Who may make a request; `primary` gives a unit's own name for any of its names.
    pub fn to_request(request: &Request, primary: impl Fn(&UnitName) -> UnitName) -> Access {
        let about = |unit: &UnitName, verb: &str, message: &str| {
            let mut details = vec![("unit", primary(unit).to_string()), ("verb", verb.to_owned())];
            // The message is a key of the reference's translations, which polkit's dialogues look up.
            if !message.is_empty() {
                details.push(("polkit.message", message.to_owned()));
                details.push(("polkit.gettext_domain", "systemd".to_owned()));
            }
            Access::Ask(Question { action: MANAGE_UNITS, details })
        };
        match request {
            Request::LoadUnit(_) | Request::LoadUnits(_) | Request::Ref(_, false) => Access::Everybody,
            Request::Enqueue { detailed: true, .. } => Access::Root,
            Request::Enqueue { unit, job, reload_if_possible, .. } => {
                match job_words(*job, *reload_if_possible) {
                    Some((verb, word)) => {
                        about(unit, verb, &format!("Authentication is required to {word} '$(unit)'."))
                    }
                    None => Access::Root,
                }
            }
            Request::StartTransient { unit, .. } => {
                about(unit, "start", "Authentication is required to start transient unit '$(unit)'.")
            }
            Request::Kill { unit, subgroup: None, .. } => about(
                unit,
                "kill",
                "Authentication is required to send a UNIX signal to the processes of '$(unit)'.",
            ),
            Request::ResetFailed(Some(unit)) => about(
                unit,
                "reset-failed",
                "Authentication is required to reset the \"failed\" state of '$(unit)'.",
            ),
            Request::SetProperties { unit, .. } => {
                about(unit, "set-property", "Authentication is required to set properties on '$(unit)'.")
            }
            Request::Ref(unit, true) => about(unit, "ref", ""),
            Request::CancelJob(_) | Request::ClearJobs | Request::ResetFailed(None) => plain(MANAGE_UNITS),
            Request::Reload | Request::Reexec => plain(RELOAD_DAEMON),
            Request::Environment(..) => plain(SET_ENVIRONMENT),
            _ => Access::Root,
        }
    }

    /// Who may have the shell do something.
    pub fn to_operation(operation: &Operation) -> Access {
        match operation {
            Operation::Subscribe
            | Operation::Unsubscribe
            | Operation::DynamicUserByName(_)
            | Operation::DynamicUserByUid(_)
            | Operation::DynamicUsers
            | Operation::UnitFiles(
                UnitFiles::GetDefault
                | UnitFiles::GetState { .. }
                | UnitFiles::GetLinks { .. }
                | UnitFiles::List { .. },
            ) => Access::Everybody,
            Operation::UnitFiles(_) => plain(MANAGE_UNIT_FILES),
            Operation::SetShowStatus(_) => plain(SET_ENVIRONMENT),
            _ => Access::Root,
        }
    }
}

fn plain(action: &'static str) -> Access {
    Access::Ask(Question { action, details: Vec::new() })
}

/// The method's name as rules know it, and what people are told that it does.
fn job_words(job: JobType, reload_if_possible: bool) -> Option<(&'static str, &'static str)> {
    Some(match (job, reload_if_possible) {
        (JobType::Start, _) => ("start", "start"),
        (JobType::Stop, _) => ("stop", "stop"),
        (JobType::Reload, _) => ("reload", "reload"),
        (JobType::Restart, false) => ("restart", "restart"),
        (JobType::Restart, true) => ("reload-or-restart", "restart"),
        (JobType::TryRestart, false) => ("try-restart", "restart"),
        (JobType::TryRestart, true) => ("reload-or-try-restart", "restart"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::polkit::{POLKIT, Verdict};
    use runstead_core::engine::effect::{JobId, JobMode};
    use runstead_wire::dbus::Message;

    fn unit() -> UnitName {
        UnitName::parse("x.service").expect("a good name")
    }

    fn of(request: &Request) -> Access {
        Access::to_request(request, UnitName::clone)
    }

    fn enqueue(job: JobType, reload_if_possible: bool, detailed: bool) -> Request {
        Request::Enqueue { unit: unit(), job, mode: JobMode::Replace, reload_if_possible, detailed }
    }

    #[test]
    fn rules_see_unit_and_verb() {
        let Access::Ask(question) = of(&enqueue(JobType::TryRestart, true, false)) else {
            panic!("polkit is asked")
        };
        assert_eq!(question.action, MANAGE_UNITS);
        let expected = [
            ("unit", "x.service"),
            ("verb", "reload-or-try-restart"),
            ("polkit.message", "Authentication is required to restart '$(unit)'."),
            ("polkit.gettext_domain", "systemd"),
        ];
        assert_eq!(question.details, expected.map(|(name, value)| (name, value.to_owned())));
        let call = question.call(":1.5", true).expect("it can be built");
        assert_eq!(call.signature(), "(sa{sv})sa{ss}us");
        assert_eq!((call.destination(), call.member()), (Some(POLKIT), Some("CheckAuthorization")));
        assert!(call.check_body().is_ok());
    }

    #[test]
    fn what_nobody_may_be_asked_about_is_roots() {
        assert_eq!(of(&enqueue(JobType::Start, false, true)), Access::Root);
        assert_eq!(of(&Request::Freeze(unit(), true)), Access::Root);
        assert_eq!(Access::to_operation(&Operation::SetExitCode(1)), Access::Root);
        assert_eq!(of(&Request::LoadUnit(unit())), Access::Everybody);
        let read = Operation::UnitFiles(UnitFiles::GetDefault);
        assert_eq!(Access::to_operation(&read), Access::Everybody);
        let change = Operation::UnitFiles(UnitFiles::Revert { files: Vec::new() });
        assert_eq!(Access::to_operation(&change), plain(MANAGE_UNIT_FILES));
        assert_eq!(of(&Request::CancelJob(JobId(1))), plain(MANAGE_UNITS));
    }

    #[test]
    fn only_a_clear_yes_allows() {
        let call = Message::method_call(None, "/", "a.b", "C");
        let answer = |allowed: bool, challenge: bool| {
            let reply = Message::method_return(&call).build(|body| {
                body.structure(|row| {
                    row.bool(allowed).bool(challenge).array("{ss}", |_| {});
                });
            });
            Verdict::read(&reply.expect("it can be built"))
        };
        let name = |verdict: Verdict| match verdict {
            Verdict::Allowed => "allowed".to_owned(),
            Verdict::Refused(name, _) => name,
        };
        assert_eq!(answer(true, false), Verdict::Allowed);
        assert!(name(answer(false, true)).ends_with("InteractiveAuthorizationRequired"));
        assert!(name(answer(false, false)).ends_with("AccessDenied"));
        assert!(name(Verdict::read(&Message::method_return(&call))).ends_with("InconsistentMessage"));
        let error = |name: &str| Verdict::read(&Message::error(&call, name, "why"));
        assert!(name(error("org.freedesktop.DBus.Error.ServiceUnknown")).ends_with("AccessDenied"));
        let other = "org.freedesktop.systemd1.UnitMasked";
        assert_eq!(error(other), Verdict::Refused(other.to_owned(), "why".to_owned()));
    }
}
