//! One peer that we call.

use serde_json::Value;

use super::framing::{self, Framing};
use super::{Error, Limits, Parameters};

/// A reply, or an error if it has a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The full name of the error.
    pub error: Option<String>,
    /// What came with it.
    pub parameters: Parameters,
    /// Whether further replies to the same call follow.
    pub continues: bool,
}

/// The calling side of a connection. Replies come in the order of the calls.
#[derive(Clone, Debug)]
pub struct Client {
    framing: Framing,
    open_calls: usize,
}

impl Client {
    /// A fresh connection.
    pub fn new(limits: Limits) -> Client {
        Client { framing: Framing::new(limits), open_calls: 0 }
    }

    /// Queues a call of `method`; `more`: several replies may come.
    pub fn call(&mut self, method: &str, parameters: Parameters, more: bool) -> Result<(), Error> {
        let mut object = Parameters::new();
        object.insert("method".to_owned(), Value::String(method.to_owned()));
        object.insert("parameters".to_owned(), Value::Object(parameters));
        if more {
            object.insert("more".to_owned(), Value::Bool(true));
        }
        self.framing.push(object)?;
        self.open_calls += 1;
        Ok(())
    }

    /// Takes in bytes that were read.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.framing.feed(bytes)
    }

    /// The next reply. One that answers no call is a fault.
    pub fn next_reply(&mut self) -> Option<Result<Reply, Error>> {
        let reply = match self.framing.next()? {
            Err(fault) => return Some(Err(fault)),
            Ok(object) => parse_reply(object),
        };
        let reply = reply.and_then(|reply| if self.open_calls == 0 { Err(Error::NoCall) } else { Ok(reply) });
        match &reply {
            Err(fault) => return Some(Err(self.framing.fail(*fault))),
            Ok(reply) if !reply.continues => self.open_calls -= 1,
            Ok(_) => {}
        }
        Some(reply)
    }

    /// How many calls wait for their last reply.
    pub fn open_calls(&self) -> usize {
        self.open_calls
    }

    /// What to write.
    pub fn outgoing(&self) -> &[u8] {
        self.framing.outgoing()
    }

    /// Notes that the first `count` bytes of [`Client::outgoing`] were written.
    pub fn advance_written(&mut self, count: usize) {
        self.framing.advance_written(count);
    }
}

fn parse_reply(mut object: Parameters) -> Result<Reply, Error> {
    let error = match object.remove("error") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) if !name.is_empty() => Some(name),
        Some(_) => return Err(Error::Malformed),
    };
    let parameters = framing::parameters(&mut object)?;
    let continues = framing::flag(&mut object, "continues")?;
    if continues && error.is_some() {
        return Err(Error::Malformed);
    }
    Ok(Reply { error, parameters, continues })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_come_in_turn() {
        let mut client = Client::new(Limits::default());
        client.call("a.B", Parameters::new(), true).unwrap();
        client.call("a.C", Parameters::new(), false).unwrap();
        client
            .feed(b"{\"parameters\":{\"n\":1},\"continues\":true}\0{}\0{\"error\":\"a.Bad\"}\0{}\0")
            .unwrap();
        let first = client.next_reply().unwrap().unwrap();
        assert!(first.continues && first.parameters["n"] == 1);
        assert_eq!(client.open_calls(), 2);
        client.next_reply().unwrap().unwrap();
        assert_eq!(client.next_reply().unwrap().unwrap().error.as_deref(), Some("a.Bad"));
        assert_eq!(client.open_calls(), 0);
        assert_eq!(client.next_reply(), Some(Err(Error::NoCall)));
    }
}
