//! Who may do what: what everybody may, what only root may, and what polkit is asked about, with the actions and details of
//! the reference (`org.freedesktop.systemd1.policy`; polkit(8) for the rules that look at the details).
use super::action::{Operation, UnitFiles};
use runstead_core::engine::effect::{JobType, Request};
use runstead_core::names::UnitName;
use runstead_wire::dbus::{Kind, Message};

/// polkit's bus name.
pub const POLKIT: &str = "org.freedesktop.PolicyKit1";
const PATH: &str = "/org/freedesktop/PolicyKit1/Authority";
const INTERFACE: &str = "org.freedesktop.PolicyKit1.Authority";
/// Flag of `CheckAuthorization`: a person may be asked.
const ALLOW_USER_INTERACTION: u32 = 1;

const MANAGE_UNITS: &str = "org.freedesktop.systemd1.manage-units";
const MANAGE_UNIT_FILES: &str = "org.freedesktop.systemd1.manage-unit-files";
const SET_ENVIRONMENT: &str = "org.freedesktop.systemd1.set-environment";
const RELOAD_DAEMON: &str = "org.freedesktop.systemd1.reload-daemon";

/// What polkit is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The action.
    pub action: &'static str,
    /// What its rules and its dialogue can see, in the order in which they are sent.
    pub details: Vec<(&'static str, String)>,
}

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

/// What polkit said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Allowed,
    /// An error for the caller: name and text.
    Refused(String, String),
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
            Request::LoadUnit(_) | Request::Ref(_, false) => Access::Everybody,
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

impl Question {
    /// The call that asks whether the sender of a call may; `interactive`: the sender can wait for a person.
    pub fn call(&self, sender: &str, interactive: bool) -> Option<Message> {
        let call = Message::method_call(Some(POLKIT), PATH, INTERFACE, "CheckAuthorization");
        let flags = if interactive { ALLOW_USER_INTERACTION } else { 0 };
        let built = call.build(|body| {
            body.structure(|subject| {
                subject.str("system-bus-name").array("{sv}", |rows| {
                    rows.entry_sv("name", "s", |value| {
                        value.str(sender);
                    });
                });
            });
            body.str(self.action).array("{ss}", |rows| {
                for (name, value) in &self.details {
                    rows.open_dict_entry().str(name).str(value).close();
                }
            });
            body.u32(flags).str("");
        });
        built.ok()
    }
}

impl Verdict {
    /// From polkit's answer, `(bba{ss})`, or from what came instead of it.
    pub fn read(answer: &Message) -> Verdict {
        if answer.kind() == Kind::Error {
            return Verdict::failed(answer.error_name().unwrap_or(""), answer.error_text().unwrap_or(""));
        }
        let mut body = answer.body_reader();
        let said = body.enter_struct().and_then(|()| Ok((body.bool()?, body.bool()?)));
        match said {
            Ok((true, _)) => Verdict::Allowed,
            Ok((false, true)) => Verdict::Refused(
                "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired".to_owned(),
                "Interactive authentication required.".to_owned(),
            ),
            Ok((false, false)) => Verdict::denied(),
            Err(_) => Verdict::Refused(
                "org.freedesktop.DBus.Error.InconsistentMessage".to_owned(),
                "polkit's answer cannot be read; see `journalctl -u polkit`".to_owned(),
            ),
        }
    }

    /// Nobody answered in time.
    pub fn timed_out() -> Verdict {
        Verdict::Refused("org.freedesktop.DBus.Error.NoReply".to_owned(), "Method call timed out".to_owned())
    }

    /// Where there is no polkit only root may.
    fn failed(name: &str, text: &str) -> Verdict {
        match name {
            "org.freedesktop.DBus.Error.ServiceUnknown"
            | "org.freedesktop.DBus.Error.NameHasNoOwner"
            | "" => Verdict::denied(),
            _ => Verdict::Refused(name.to_owned(), text.to_owned()),
        }
    }

    fn denied() -> Verdict {
        let name = "org.freedesktop.DBus.Error.AccessDenied".to_owned();
        Verdict::Refused(name, "Permission denied".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runstead_core::engine::effect::{JobId, JobMode};

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
