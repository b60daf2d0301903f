//! polkit(8): who asks it, and what it says.
use runstead_wire::dbus::{Kind, Message};

/// polkit's bus name.
pub const POLKIT: &str = "org.freedesktop.PolicyKit1";
const PATH: &str = "/org/freedesktop/PolicyKit1/Authority";
const INTERFACE: &str = "org.freedesktop.PolicyKit1.Authority";
/// Flag of `CheckAuthorization`: a person may be asked.
const ALLOW_USER_INTERACTION: u32 = 1;

/// What polkit is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The action.
    pub action: &'static str,
    /// What its rules and its dialogue can see, in the order in which they are sent.
    pub details: Vec<(&'static str, String)>,
}

/// What polkit said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Allowed,
    /// An error for the caller: name and text.
    Refused(String, String),
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
