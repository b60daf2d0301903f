//! `io.systemd.UserDatabase`: records of users and groups (published as "User/Group Record Lookup API via Varlink").
//!
//! The manager serves it for users made by `DynamicUser=` on `/run/systemd/userdb/io.systemd.DynamicUser`. Every name
//! look-up on the machine asks it, so it must always answer.

use serde_json::{Value, json};

use super::Parameters;
use super::server::Call;

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
    /// This parameter is missing or has the wrong type.
    Parameter(&'static str),
}

/// Reads a call of this interface; gives the service it is meant for and what it asks.
pub fn parse(call: &Call) -> Result<(String, Query), Refused> {
    let given = &call.parameters;
    let query = match call.split_method() {
        (INTERFACE, "GetUserRecord") => {
            Query::User { uid: number(given, "uid")?, name: text(given, "userName")? }
        }
        (INTERFACE, "GetGroupRecord") => {
            Query::Group { gid: number(given, "gid")?, name: text(given, "groupName")? }
        }
        (INTERFACE, "GetMemberships") => {
            Query::Memberships { user: text(given, "userName")?, group: text(given, "groupName")? }
        }
        _ => return Err(Refused::Method),
    };
    match text(given, "service")? {
        Some(service) => Ok((service, query)),
        None => Err(Refused::Parameter("service")),
    }
}

/// The reply with the record of a user made by `DynamicUser=`.
pub fn dynamic_user(name: &str, uid: u32) -> Parameters {
    record(json!({
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
    record(json!({
        "groupName": name,
        "description": "Dynamic Group",
        "gid": gid,
        "service": DYNAMIC_USER,
        "disposition": "dynamic",
    }))
}

fn record(record: Value) -> Parameters {
    Parameters::from_iter([("record".to_owned(), record)])
}

fn number(given: &Parameters, name: &'static str) -> Result<Option<u32>, Refused> {
    match given.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
            number.map(Some).ok_or(Refused::Parameter(name))
        }
    }
}

fn text(given: &Parameters, name: &'static str) -> Result<Option<String>, Refused> {
    match given.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refused::Parameter(name)),
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
        assert_eq!(ask("GetGroupRecord", json!({"gid": -1, "service": "x"})), Err(Refused::Parameter("gid")));
        assert_eq!(ask("GetGroupRecord", json!({"gid": 1})), Err(Refused::Parameter("service")));
        assert_eq!(ask("Nothing", json!({})), Err(Refused::Method));
    }
}
