//! One peer that calls us.

use serde_json::Value;

use super::framing::{self, Framing};
use super::{Error, Limits, Parameters};

/// A call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The full name of the method (`io.systemd.UserDatabase.GetUserRecord`).
    pub method: String,
    /// Its parameters.
    pub parameters: Parameters,
    /// Whether the caller takes several replies.
    pub more: bool,
    /// Whether the caller takes none.
    pub oneway: bool,
}

impl Call {
    /// The name of the method split into interface and method; both empty if there is no dot.
    pub fn split_method(&self) -> (&str, &str) {
        self.method.rsplit_once('.').unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    None,
    One,
    More,
}

/// The serving side of a connection.
#[derive(Clone, Debug)]
pub struct Server {
    framing: Framing,
    pending: Pending,
}

impl Server {
    /// A fresh connection.
    pub fn new(limits: Limits) -> Server {
        Server { framing: Framing::new(limits), pending: Pending::None }
    }

    /// Takes in bytes that were read.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.framing.feed(bytes)
    }

    /// The next call, once the one before is answered.
    pub fn next_call(&mut self) -> Option<Result<Call, Error>> {
        if self.pending != Pending::None {
            return None;
        }
        let call = match self.framing.next()? {
            Err(fault) => return Some(Err(fault)),
            Ok(object) => parse_call(object).map_err(|fault| self.framing.fail(fault)),
        };
        if let Ok(call) = &call {
            self.pending = match call {
                Call { oneway: true, .. } => Pending::None,
                Call { more: true, .. } => Pending::More,
                _ => Pending::One,
            };
        }
        Some(call)
    }

    /// Answers the open call for good.
    pub fn reply(&mut self, parameters: Parameters) -> Result<(), Error> {
        self.answer(parameters, None)
    }

    /// Answers the open call, with more to follow.
    pub fn reply_continues(&mut self, parameters: Parameters) -> Result<(), Error> {
        match self.pending {
            Pending::None => Err(Error::NoCall),
            Pending::One => Err(Error::NotMore),
            Pending::More => {
                let mut object = Parameters::new();
                object.insert("parameters".to_owned(), Value::Object(parameters));
                object.insert("continues".to_owned(), Value::Bool(true));
                self.framing.push(object)
            }
        }
    }

    /// Refuses the open call with the error `name`.
    pub fn error(&mut self, name: &str, parameters: Parameters) -> Result<(), Error> {
        self.answer(parameters, Some(name))
    }

    fn answer(&mut self, parameters: Parameters, error: Option<&str>) -> Result<(), Error> {
        if self.pending == Pending::None {
            return Err(Error::NoCall);
        }
        let mut object = Parameters::new();
        if let Some(name) = error {
            object.insert("error".to_owned(), Value::String(name.to_owned()));
        }
        object.insert("parameters".to_owned(), Value::Object(parameters));
        self.pending = Pending::None;
        self.framing.push(object)
    }

    /// Whether a call waits for its answer.
    pub fn has_open_call(&self) -> bool {
        self.pending != Pending::None
    }

    /// Whether a fault has ended the connection.
    pub fn has_failed(&self) -> bool {
        self.framing.has_failed()
    }

    /// What to write.
    pub fn outgoing(&self) -> &[u8] {
        self.framing.outgoing()
    }

    /// Notes that the first `count` bytes of [`Server::outgoing`] were written.
    pub fn advance_written(&mut self, count: usize) {
        self.framing.advance_written(count);
    }
}

fn parse_call(mut object: Parameters) -> Result<Call, Error> {
    let Some(Value::String(method)) = object.remove("method") else { return Err(Error::Malformed) };
    let well_formed =
        method.rsplit_once('.').is_some_and(|(interface, name)| !interface.is_empty() && !name.is_empty());
    let parameters = framing::parameters(&mut object)?;
    let more = framing::flag(&mut object, "more")?;
    let oneway = framing::flag(&mut object, "oneway")?;
    // A method that upgrades the connection does not exist here; and one cannot take both no and many replies.
    if framing::flag(&mut object, "upgrade")? || (more && oneway) || !well_formed {
        return Err(Error::Malformed);
    }
    Ok(Call { method, parameters, more, oneway })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::varlink::{Client, service};

    fn call(text: &str) -> Result<Call, Error> {
        let mut server = Server::new(Limits::default());
        server.feed(text.as_bytes()).unwrap();
        server.feed(&[0]).unwrap();
        server.next_call().unwrap()
    }

    #[test]
    fn calls_are_answered_in_turn() {
        let mut server = Server::new(Limits::default());
        server.feed(b"{\"method\":\"a.B\"}\0{\"method\":\"a.C\",\"more\":true").unwrap();
        assert_eq!(server.next_call().unwrap().unwrap().split_method(), ("a", "B"));
        server.feed(b"}\0").unwrap();
        assert!(server.next_call().is_none());
        assert_eq!(server.reply_continues(Parameters::new()), Err(Error::NotMore));
        server.reply(Parameters::new()).unwrap();
        assert_eq!(server.reply(Parameters::new()), Err(Error::NoCall));
        assert_eq!(server.outgoing(), b"{\"parameters\":{}}\0");
        server.advance_written(1000);
        assert!(server.next_call().unwrap().unwrap().more);
        server.reply_continues(Parameters::new()).unwrap();
        server.error("a.Bad", Parameters::new()).unwrap();
        assert_eq!(
            server.outgoing(),
            b"{\"continues\":true,\"parameters\":{}}\0{\"error\":\"a.Bad\",\"parameters\":{}}\0"
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            "",
            "[]",
            "{}",
            "{\"method\":1}",
            "{\"method\":\"x\"}",
            "{\"method\":\"a.\"}",
            "{\"method\":\"a.B\",\"more\":1}",
            "{\"method\":\"a.B\",\"more\":true,\"oneway\":true}",
            "{\"method\":\"a.B\",\"parameters\":[]}",
            "{\"method\":\"a.B\"} x",
        ] {
            assert_eq!(call(bad), Err(Error::Malformed), "{bad}");
        }
        assert_eq!(call(&"[".repeat(10_000)), Err(Error::Malformed));
        assert!(call("{\"method\":\"a.B\",\"parameters\":null}").is_ok());
        let mut server = Server::new(Limits { message: 100, outgoing: 100 });
        server.feed(&[b'x'; 101]).unwrap();
        assert_eq!(server.next_call(), Some(Err(Error::TooLong)));
        assert_eq!(server.feed(b"x"), Err(Error::Closed));
        assert!(server.next_call().is_none());
        let mut server = Server::new(Limits { message: 100, outgoing: 100 });
        assert_eq!(server.feed(&[b'x'; 201]), Err(Error::TooLong));
    }

    #[test]
    fn a_client_that_does_not_read_is_cut_off() {
        let mut server = Server::new(Limits { message: 100, outgoing: 100 });
        server.feed(b"{\"method\":\"a.B\",\"more\":true}\0").unwrap();
        server.next_call().unwrap().unwrap();
        let all: Result<Vec<()>, Error> =
            (0..10).map(|_| server.reply_continues(Parameters::new())).collect();
        assert_eq!(all, Err(Error::QueueFull));
        assert!(server.has_failed());
    }

    #[test]
    fn client_and_server_agree() {
        let mut client = Client::new(Limits::default());
        let mut server = Server::new(Limits::default());
        client.call("org.varlink.service.GetInfo", Parameters::new(), false).unwrap();
        server.feed(client.outgoing()).unwrap();
        let call = server.next_call().unwrap().unwrap();
        let ours = service::Service { product: "p", version: "1", interfaces: &[] };
        assert!(service::answer(&mut server, &call, &ours).unwrap());
        client.feed(server.outgoing()).unwrap();
        let reply = client.next_reply().unwrap().unwrap();
        assert_eq!((reply.error, reply.continues), (None, false));
        assert_eq!(reply.parameters["version"], "1");
    }
}
