//! `org.varlink.service`: what every varlink service answers (<https://varlink.org/Service>).

use serde_json::{Value, json};

use super::server::{Call, Server};
use super::{Error, Parameters};

/// The interface's name.
pub const INTERFACE: &str = "org.varlink.service";
/// No such interface here.
pub const INTERFACE_NOT_FOUND: &str = "org.varlink.service.InterfaceNotFound";
/// No such method in the interface.
pub const METHOD_NOT_FOUND: &str = "org.varlink.service.MethodNotFound";
/// A parameter is missing, unknown or of another type.
pub const INVALID_PARAMETER: &str = "org.varlink.service.InvalidParameter";
/// The caller may not do that.
pub const PERMISSION_DENIED: &str = "org.varlink.service.PermissionDenied";
/// The method needs a call with `more`.
pub const EXPECTED_MORE: &str = "org.varlink.service.ExpectedMore";

const DESCRIPTION: &str = "interface org.varlink.service

method GetInfo() -> (vendor: string, product: string, version: string, url: string, interfaces: []string)
method GetInterfaceDescription(interface: string) -> (description: string)

error InterfaceNotFound(interface: string)
error MethodNotFound(method: string)
error MethodNotImplemented(method: string)
error InvalidParameter(parameter: string)
error PermissionDenied()
error ExpectedMore()
";

/// Who we are.
#[derive(Clone, Copy, Debug)]
pub struct Service<'a> {
    /// The program's name.
    pub product: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Name and description of each interface beside this one.
    pub interfaces: &'a [(&'a str, &'a str)],
}

/// Answers a call of `org.varlink.service`, or one of an interface that `service` does not have. `false`: the call is of
/// one of its interfaces and still waits for its answer (as far as it wants one).
pub fn answer(server: &mut Server, call: &Call, service: &Service<'_>) -> Result<bool, Error> {
    let (interface, method) = call.split_method();
    if interface != INTERFACE && service.interfaces.iter().any(|(name, _)| *name == interface) {
        return Ok(false);
    }
    if call.oneway {
        return Ok(true);
    }
    match (interface, method) {
        (INTERFACE, "GetInfo") => server.reply(info(service))?,
        (INTERFACE, "GetInterfaceDescription") => match call.parameters.get("interface") {
            Some(Value::String(name)) => match describe(service, name) {
                Some(text) => server.reply(one("description", text))?,
                None => server.error(INTERFACE_NOT_FOUND, one("interface", name))?,
            },
            _ => invalid_parameter(server, "interface")?,
        },
        // The reference says this of unknown interfaces, too.
        _ => method_not_found(server, call)?,
    }
    Ok(true)
}

/// Answers that there is no such method.
pub fn method_not_found(server: &mut Server, call: &Call) -> Result<(), Error> {
    server.error(METHOD_NOT_FOUND, one("method", &call.method))
}

/// Answers that the parameter `name` is wrong.
pub fn invalid_parameter(server: &mut Server, name: &str) -> Result<(), Error> {
    server.error(INVALID_PARAMETER, one("parameter", name))
}

fn info(service: &Service<'_>) -> Parameters {
    let names = std::iter::once(INTERFACE).chain(service.interfaces.iter().map(|(name, _)| *name));
    let names: Vec<Value> = names.map(Value::from).collect();
    let mut parameters = one("vendor", "runstead");
    parameters.insert("product".to_owned(), json!(service.product));
    parameters.insert("version".to_owned(), json!(service.version));
    parameters.insert("url".to_owned(), json!(""));
    parameters.insert("interfaces".to_owned(), Value::Array(names));
    parameters
}

fn describe<'a>(service: &Service<'a>, name: &str) -> Option<&'a str> {
    if name == INTERFACE {
        return Some(DESCRIPTION);
    }
    service.interfaces.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

fn one(name: &str, value: &str) -> Parameters {
    Parameters::from_iter([(name.to_owned(), Value::from(value))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::varlink::{Limits, userdb};

    fn ask(text: &str) -> (bool, String) {
        let ours =
            Service { product: "p", version: "1", interfaces: &[(userdb::INTERFACE, userdb::DESCRIPTION)] };
        let mut server = Server::new(Limits::default());
        server.feed(text.as_bytes()).unwrap();
        server.feed(&[0]).unwrap();
        let call = server.next_call().unwrap().unwrap();
        let answered = answer(&mut server, &call, &ours).unwrap();
        (answered, String::from_utf8(server.outgoing().to_vec()).unwrap())
    }

    #[test]
    fn answers() {
        let (_, info) = ask(r#"{"method":"org.varlink.service.GetInfo"}"#);
        assert!(info.contains(r#""interfaces":["org.varlink.service","io.systemd.UserDatabase"]"#), "{info}");
        let ask_for = |name: &str| {
            let call = r#"{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"NAME"}}"#;
            ask(&call.replace("NAME", name)).1
        };
        assert!(ask_for("io.systemd.UserDatabase").contains("GetUserRecord"));
        assert!(ask_for("a.b").contains(INTERFACE_NOT_FOUND));
        assert!(
            ask(r#"{"method":"org.varlink.service.GetInterfaceDescription"}"#).1.contains(INVALID_PARAMETER)
        );
        assert!(ask(r#"{"method":"org.varlink.service.X"}"#).1.contains(METHOD_NOT_FOUND));
        assert!(ask(r#"{"method":"x.y.Z"}"#).1.contains(METHOD_NOT_FOUND));
        assert_eq!(ask(r#"{"method":"x.y.Z","oneway":true}"#), (true, String::new()));
        assert_eq!(ask(r#"{"method":"io.systemd.UserDatabase.GetUserRecord"}"#), (false, String::new()));
    }
}
