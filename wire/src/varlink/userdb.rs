//! `io.systemd.UserDatabase`: records of users and groups (published as "User/Group Record Lookup API via Varlink").
//!
//! The manager serves it for users made by `DynamicUser=` on `/run/systemd/userdb/io.systemd.DynamicUser`. Every name
//! look-up on the machine asks it, so it must always answer.

use serde_json::{Value, json};

use super::server::{Call, Server};
use super::{Error, Parameters, service};

/// The interface's name.
pub const INTERFACE: &str = "io.systemd.UserDatabase";
/// The name of the manager's service, as callers give it.
pub const DYNAMIC_USER: &str = "io.systemd.DynamicUser";
/// Nobody fits.
pub const NO_RECORD_FOUND: &str = "io.systemd.UserDatabase.NoRecordFound";
/// The call is for another service.
pub const BAD_SERVICE: &str = "io.systemd.UserDatabase.BadService";
/// The answer cannot be given now.
pub const SERVICE_NOT_AVAILABLE: &str = "io.systemd.UserDatabase.ServiceNotAvailable";
/// Name and number belong to different records.
pub const CONFLICTING_RECORD_FOUND: &str = "io.systemd.UserDatabase.ConflictingRecordFound";
/// Only single records can be asked for.
pub const ENUMERATION_NOT_SUPPORTED: &str = "io.systemd.UserDatabase.EnumerationNotSupported";

/// The interface's description.
pub const DESCRIPTION: &str = "interface io.systemd.UserDatabase

method GetUserRecord(uid: ?int, userName: ?string, service: string) -> (record: object, incomplete: ?bool)
method GetGroupRecord(gid: ?int, groupName: ?string, service: string) -> (record: object, incomplete: ?bool)
method GetMemberships(userName: ?string, groupName: ?string, service: string) -> (userName: string, groupName: string)

error NoRecordFound()
error BadService()
error ServiceNotAvailable()
error ConflictingRecordFound()
error EnumerationNotSupported()
";

/// What a call asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// `GetUserRecord`: by number, by name, both, or (neither) all.
    User {
        /// The number.
        uid: Option<u32>,
        /// The name.
        name: Option<String>,
    },
    /// `GetGroupRecord`, alike.
    Group {
        /// The number.
        gid: Option<u32>,
        /// The name.
        name: Option<String>,
    },
    /// `GetMemberships`: of a user, of a group, both, or all.
    Memberships {
        /// The user's name.
        user: Option<String>,
        /// The group's name.
        group: Option<String>,
    },
}

/// Why a call is no query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such method.
    Method,
    /// This parameter is missing, unknown, or not valid.
    Parameter(String),
}

/// Reads a call of this interface; gives the service it is meant for and what it asks.
pub fn parse(call: &Call) -> Result<(String, Query), Refused> {
    let given = &call.parameters;
    let known: [&str; 2] = match call.split_method() {
        (INTERFACE, "GetUserRecord") => ["uid", "userName"],
        (INTERFACE, "GetGroupRecord") => ["gid", "groupName"],
        (INTERFACE, "GetMemberships") => ["userName", "groupName"],
        _ => return Err(Refused::Method),
    };
    let unknown = given.keys().find(|name| *name != "service" && !known.contains(&name.as_str()));
    if let Some(name) = unknown {
        return Err(Refused::Parameter(name.clone()));
    }
    let query = match known {
        ["uid", _] => Query::User { uid: number(given, "uid")?, name: name(given, "userName")? },
        ["gid", _] => Query::Group { gid: number(given, "gid")?, name: name(given, "groupName")? },
        _ => Query::Memberships { user: name(given, "userName")?, group: name(given, "groupName")? },
    };
    match text(given, "service")? {
        Some(service) => Ok((service, query)),
        None => Err(Refused::Parameter("service".to_owned())),
    }
}

/// Answers `call` from the users made by `DynamicUser=`, each with its number, sorted by name.
///
/// A user has a group of the same name and number. Asking for all of them with several there needs a call with `more`.
pub fn answer(server: &mut Server, call: &Call, users: &[(String, u32)]) -> Result<(), Error> {
    if call.oneway {
        return Ok(());
    }
    let (service, query) = match parse(call) {
        Ok(parsed) => parsed,
        Err(Refused::Method) => return service::method_not_found(server, call),
        Err(Refused::Parameter(name)) => return service::invalid_parameter(server, &name),
    };
    if service != DYNAMIC_USER {
        return server.error(BAD_SERVICE, Parameters::new());
    }
    let (id, name, record): (_, _, fn(&str, u32) -> Parameters) = match query {
        Query::User { uid, name } => (uid, name, dynamic_user),
        Query::Group { gid, name } => (gid, name, dynamic_group),
        Query::Memberships { .. } => return server.error(NO_RECORD_FOUND, Parameters::new()),
    };
    let found: Vec<_> = users
        .iter()
        .filter(|(known, number)| {
            name.as_ref().is_none_or(|name| name == known) && id.is_none_or(|id| id == *number)
        })
        .collect();
    let Some((last, before)) = found.split_last() else {
        return server.error(NO_RECORD_FOUND, Parameters::new());
    };
    if !before.is_empty() && !call.more {
        return server.error(service::EXPECTED_MORE, Parameters::new());
    }
    for (name, number) in before {
        server.reply_continues(record(name, *number))?;
    }
    server.reply(record(&last.0, last.1))
}

/// The reply with the record of a user made by `DynamicUser=`.
pub fn dynamic_user(name: &str, uid: u32) -> Parameters {
    reply(json!({
        "userName": name,
        "uid": uid,
        "gid": uid,
        "realName": "Dynamic User",
        "homeDirectory": "/",
        "shell": "/usr/sbin/nologin",
        "locked": true,
        "service": DYNAMIC_USER,
        "disposition": "dynamic",
    }))
}

/// The reply with the record of the group of such a user.
pub fn dynamic_group(name: &str, gid: u32) -> Parameters {
    reply(json!({
        "groupName": name,
        "description": "Dynamic Group",
        "gid": gid,
        "service": DYNAMIC_USER,
        "disposition": "dynamic",
    }))
}

fn reply(record: Value) -> Parameters {
    Parameters::from_iter([("record".to_owned(), record)])
}

fn number(given: &Parameters, name: &str) -> Result<Option<u32>, Refused> {
    match given.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
            number.map(Some).ok_or_else(|| Refused::Parameter(name.to_owned()))
        }
    }
}

fn text(given: &Parameters, name: &str) -> Result<Option<String>, Refused> {
    match given.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refused::Parameter(name.to_owned())),
    }
}

/// A user's or group's name, as loosely as the reference takes it.
fn name(given: &Parameters, name: &str) -> Result<Option<String>, Refused> {
    match text(given, name)? {
        Some(text)
            if text.is_empty() || text.contains(|c: char| c.is_control() || matches!(c, ':' | '/')) =>
        {
            Err(Refused::Parameter(name.to_owned()))
        }
        text => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &str, parameters: Value) -> Result<(String, Query), Refused> {
        let Value::Object(parameters) = parameters else { unreachable!("tests give objects") };
        parse(&Call { method: format!("{INTERFACE}.{method}"), parameters, more: false, oneway: false })
    }

    #[test]
    fn queries() {
        assert_eq!(
            ask("GetUserRecord", json!({"uid": 61184, "service": DYNAMIC_USER})),
            Ok((DYNAMIC_USER.to_owned(), Query::User { uid: Some(61184), name: None }))
        );
        assert_eq!(
            ask("GetMemberships", json!({"userName": "a", "service": "x"})),
            Ok(("x".to_owned(), Query::Memberships { user: Some("a".to_owned()), group: None }))
        );
        assert_eq!(
            ask("GetGroupRecord", json!({"gid": -1, "service": "x"})),
            Err(Refused::Parameter("gid".to_owned()))
        );
        assert_eq!(ask("GetGroupRecord", json!({"gid": 1})), Err(Refused::Parameter("service".to_owned())));
        assert_eq!(ask("GetUserRecord", json!({"foo": 1})), Err(Refused::Parameter("foo".to_owned())));
        assert_eq!(
            ask("GetUserRecord", json!({"userName": ""})),
            Err(Refused::Parameter("userName".to_owned()))
        );
        assert_eq!(ask("Nothing", json!({})), Err(Refused::Method));
    }

    #[test]
    fn answers_as_the_reference_does() {
        let users = [("bar".to_owned(), 63404), ("foo".to_owned(), 61996)];
        let ask = |method: &str, parameters: &str, more: bool| {
            let mut server = Server::new(crate::varlink::Limits::default());
            let text = format!(
                "{{\"method\":\"{INTERFACE}.{method}\",\"parameters\":{parameters},\"more\":{more}}}\0"
            );
            server.feed(text.as_bytes()).unwrap();
            let call = server.next_call().unwrap().unwrap();
            answer(&mut server, &call, &users).unwrap();
            assert!(!server.has_open_call());
            String::from_utf8(server.outgoing().to_vec()).unwrap()
        };
        let ours = "\"service\":\"io.systemd.DynamicUser\"";
        let one = ask("GetUserRecord", &format!("{{{ours},\"uid\":61996}}"), false);
        assert!(one.contains("\"userName\":\"foo\"") && !one.contains("continues"), "{one}");
        let all = ask("GetGroupRecord", &format!("{{{ours}}}"), true);
        assert_eq!((all.matches("groupName").count(), all.matches("continues").count()), (2, 1));
        assert!(ask("GetGroupRecord", &format!("{{{ours}}}"), false).contains(service::EXPECTED_MORE));
        let conflict = format!("{{{ours},\"uid\":61996,\"userName\":\"bar\"}}");
        assert!(ask("GetUserRecord", &conflict, false).contains(NO_RECORD_FOUND));
        assert!(ask("GetMemberships", &format!("{{{ours}}}"), true).contains(NO_RECORD_FOUND));
        assert!(ask("GetUserRecord", "{\"service\":\"x\"}", false).contains(BAD_SERVICE));
        assert!(ask("GetUserRecord", "{}", false).contains("\"parameter\":\"service\""));
        assert!(ask("Get", "{}", false).contains(service::METHOD_NOT_FOUND));
    }
}
