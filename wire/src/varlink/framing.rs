//! The two buffers of a connection.

use serde_json::Value;

use super::{Error, Limits, Parameters};

#[derive(Clone, Debug)]
pub(super) struct Framing {
    limits: Limits,
    input: Vec<u8>,
    /// How much of `input` was searched for a NUL without finding one.
    searched: usize,
    output: Vec<u8>,
    failed: bool,
}

impl Framing {
    pub(super) fn new(limits: Limits) -> Framing {
        Framing { limits, input: Vec::new(), searched: 0, output: Vec::new(), failed: false }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.failed {
            return Err(Error::Closed);
        }
        // Two messages: the one being answered, and one that a peer sent ahead.
        if self.input.len().saturating_add(bytes.len()) > self.limits.message.saturating_mul(2) {
            return Err(self.fail(Error::TooLong));
        }
        self.input.extend_from_slice(bytes);
        Ok(())
    }

    /// The next object, if a whole one is there.
    pub(super) fn next(&mut self) -> Option<Result<Parameters, Error>> {
        if self.failed {
            return None;
        }
        let Some(end) = self.input[self.searched..].iter().position(|byte| *byte == 0) else {
            self.searched = self.input.len();
            let too_long = self.input.len() > self.limits.message;
            return too_long.then(|| Err(self.fail(Error::TooLong)));
        };
        let end = self.searched + end;
        if end > self.limits.message {
            return Some(Err(self.fail(Error::TooLong)));
        }
        let parsed = serde_json::from_slice(&self.input[..end]);
        self.input.drain(..=end);
        self.searched = 0;
        if self.input.is_empty() && self.input.capacity() > 64 << 10 {
            self.input = Vec::new();
        }
        match parsed {
            Ok(Value::Object(object)) => Some(Ok(object)),
            _ => Some(Err(self.fail(Error::Malformed))),
        }
    }

    pub(super) fn push(&mut self, object: Parameters) -> Result<(), Error> {
        if self.failed {
            return Err(Error::Closed);
        }
        let text = Value::Object(object).to_string();
        if self.output.len() + text.len() + 1 > self.limits.outgoing {
            return Err(self.fail(Error::QueueFull));
        }
        self.output.extend_from_slice(text.as_bytes());
        self.output.push(0);
        Ok(())
    }

    pub(super) fn outgoing(&self) -> &[u8] {
        &self.output
    }

    pub(super) fn advance_written(&mut self, count: usize) {
        self.output.drain(..count.min(self.output.len()));
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    pub(super) fn fail(&mut self, fault: Error) -> Error {
        self.failed = true;
        self.input = Vec::new();
        self.searched = 0;
        fault
    }
}

/// Takes an optional boolean field.
pub(super) fn flag(object: &mut Parameters, name: &str) -> Result<bool, Error> {
    match object.remove(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(yes)) => Ok(yes),
        Some(_) => Err(Error::Malformed),
    }
}

/// Takes the optional `parameters`.
pub(super) fn parameters(object: &mut Parameters) -> Result<Parameters, Error> {
    match object.remove("parameters") {
        None | Some(Value::Null) => Ok(Parameters::new()),
        Some(Value::Object(parameters)) => Ok(parameters),
        Some(_) => Err(Error::Malformed),
    }
}
