//! One message: a typed header, a body, and the descriptors that go along (D-Bus specification, "Message Format").

use super::error::{Error, Result};
use super::header::{
    FIELDS, Field, Header, HeaderWriter, REPLY_SERIAL, SIGNAL_ORDER, Spans, UNIX_FDS, endian_of, kind_of,
    push_span, word,
};
use super::marshal::{Body, MAX_ARRAY, Writer};
use super::unmarshal::{Endian, Reader};

/// Longest message the protocol allows, in bytes.
pub const MAX_MESSAGE: usize = 128 << 20;
/// Most descriptors of one message (the kernel passes no more at once).
pub const MAX_FDS: usize = 253;
/// Length of the part of the header that tells how long the message is.
pub const FIXED_HEADER: usize = 16;

/// Flag: the sender wants no reply.
pub const NO_REPLY_EXPECTED: u8 = 1;
/// Flag: the bus must not start a service for this message.
pub const NO_AUTO_START: u8 = 2;
/// Flag: the caller is ready to wait for a person to authorise it.
pub const ALLOW_INTERACTIVE_AUTHORIZATION: u8 = 4;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A call of a method.
    MethodCall,
    /// The answer to a call.
    MethodReturn,
    /// The refusal of a call.
    Error,
    /// A signal.
    Signal,
}

impl Kind {
    pub(super) fn code(self) -> u8 {
        match self {
            Kind::MethodCall => 1,
            Kind::MethodReturn => 2,
            Kind::Error => 3,
            Kind::Signal => 4,
        }
    }
}

/// A message.
///
/// The strings of the header share one allocation and the body has another, so that reading a message costs two.
/// Building one never fails; what is wrong with it shows when it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    kind: Kind,
    /// [`NO_REPLY_EXPECTED`], [`NO_AUTO_START`], [`ALLOW_INTERACTIVE_AUTHORIZATION`].
    pub flags: u8,
    /// The sender's number for this message; 0 as long as it was not sent.
    pub serial: u32,
    reply_serial: Option<u32>,
    text: String,
    spans: Spans,
    endian: Endian,
    body: Body,
}

impl Message {
    fn new(kind: Kind) -> Message {
        Message {
            kind,
            flags: 0,
            serial: 0,
            reply_serial: None,
            text: String::new(),
            spans: [None; FIELDS.len()],
            endian: Endian::Little,
            body: Body::default(),
        }
    }

    /// A call of `interface.member` at `path`; an empty `interface` is left out.
    pub fn method_call(destination: Option<&str>, path: &str, interface: &str, member: &str) -> Message {
        let mut message = Message::new(Kind::MethodCall);
        message.set(Field::Path, path);
        if !interface.is_empty() {
            message.set(Field::Interface, interface);
        }
        message.set(Field::Member, member);
        if let Some(destination) = destination {
            message.set(Field::Destination, destination);
        }
        message
    }

    /// The answer to `call`, with an empty body so far.
    pub fn method_return(call: &Message) -> Message {
        Message::reply(Kind::MethodReturn, call)
    }

    /// The refusal of `call` with the error `name` and a text for people.
    pub fn error(call: &Message, name: &str, text: &str) -> Message {
        let mut message = Message::reply(Kind::Error, call);
        message.set(Field::ErrorName, name);
        let mut writer = Writer::new();
        writer.str(text);
        // The only fault a lone string can have is a NUL inside.
        message.body = writer.finish().unwrap_or_default();
        message
    }

    /// A signal `interface.member` from `path`.
    pub fn signal(path: &str, interface: &str, member: &str) -> Message {
        let mut message = Message::new(Kind::Signal);
        message.flags = NO_REPLY_EXPECTED;
        message.set(Field::Path, path);
        message.set(Field::Interface, interface);
        message.set(Field::Member, member);
        message
    }

    fn reply(kind: Kind, call: &Message) -> Message {
        let mut message = Message::new(kind);
        message.flags = NO_REPLY_EXPECTED;
        message.reply_serial = Some(call.serial);
        if let Some(sender) = call.sender() {
            message.set(Field::Destination, sender);
        }
        message
    }

    /// The same message with this body.
    pub fn with_body(mut self, body: Body) -> Message {
        self.body = body;
        self.endian = Endian::Little;
        self
    }

    /// The same message with the body that `write` writes, or the fault of that body.
    pub fn build(self, write: impl FnOnce(&mut Writer)) -> Result<Message> {
        let mut writer = Writer::new();
        write(&mut writer);
        Ok(self.with_body(writer.finish()?))
    }

    /// The same message for another receiver.
    pub fn with_destination(mut self, destination: &str) -> Message {
        self.set(Field::Destination, destination);
        self
    }

    /// The same message from another sender (only a bus sets it).
    pub fn with_sender(mut self, sender: &str) -> Message {
        self.set(Field::Sender, sender);
        self
    }

    /// The same message with these flags.
    pub fn with_flags(mut self, flags: u8) -> Message {
        self.flags = flags;
        self
    }

    /// What the message is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The serial of the call that this answers.
    pub fn reply_serial(&self) -> Option<u32> {
        self.reply_serial
    }

    /// The object called or signalling.
    pub fn path(&self) -> Option<&str> {
        self.get(Field::Path)
    }

    /// The interface called or signalled.
    pub fn interface(&self) -> Option<&str> {
        self.get(Field::Interface)
    }

    /// The method called, or the signal's name.
    pub fn member(&self) -> Option<&str> {
        self.get(Field::Member)
    }

    /// The name of the error.
    pub fn error_name(&self) -> Option<&str> {
        self.get(Field::ErrorName)
    }

    /// Who is to receive the message.
    pub fn destination(&self) -> Option<&str> {
        self.get(Field::Destination)
    }

    /// Who sent the message, if it came over a bus.
    pub fn sender(&self) -> Option<&str> {
        self.get(Field::Sender)
    }

    /// The types of the body.
    pub fn signature(&self) -> &str {
        &self.body.signature
    }

    /// The encoded body, in the byte order [`Message::endian`].
    pub fn body(&self) -> &[u8] {
        &self.body.bytes
    }

    /// The byte order of the body.
    pub fn endian(&self) -> Endian {
        self.endian
    }

    /// The caller's ids of the descriptors that go along. Who takes a message out of a connection owns them.
    pub fn fds(&self) -> &[u64] {
        &self.body.fds
    }

    /// Whether this is a call whose sender waits for an answer.
    pub fn wants_reply(&self) -> bool {
        self.kind == Kind::MethodCall && self.flags & NO_REPLY_EXPECTED == 0
    }

    /// A reader for the body.
    pub fn body_reader(&self) -> Reader<'_> {
        Reader::trusted(&self.body.bytes, 0, &self.body.signature, self.endian, &self.body.fds)
    }

    /// Checks the whole body against its signature; otherwise faults show when it is read.
    pub fn check_body(&self) -> Result<()> {
        let mut reader = self.body_reader();
        while reader.has_more() {
            reader.skip()?;
        }
        reader.finish()
    }

    /// The text of an error's body, if it has one.
    pub fn error_text(&self) -> Option<&str> {
        if self.kind != Kind::Error {
            return None;
        }
        self.body_reader().str().ok()
    }

    /// Appends the encoded message, as message number `serial`, to `out`; on a fault `out` stays as it was.
    ///
    /// A message without a sender of its own gets `sender` (a peer-to-peer server may name itself). The fields stand
    /// in the order in which libsystemd writes them.
    pub fn encode(&self, serial: u32, sender: Option<&str>, limit: usize, out: &mut Vec<u8>) -> Result<()> {
        self.check_header(serial)?;
        let start = out.len();
        // Only the place of the message's beginning modulo 8 matters for padding, so count from `start`.
        let mut head = HeaderWriter { out, start, endian: self.endian };
        head.fixed(self.kind, self.flags, serial, self.body.bytes.len());
        if let Some(reply_serial) = self.reply_serial {
            head.number(REPLY_SERIAL, reply_serial);
        }
        let order = if self.kind == Kind::Signal { SIGNAL_ORDER } else { FIELDS };
        for field in order {
            let default = if field == Field::Sender { sender } else { None };
            if let Some(text) = self.get(field).or(default) {
                head.text(field.code(), field.type_code(), text);
            }
        }
        if !self.body.signature.is_empty() {
            head.signature(&self.body.signature);
        }
        if !self.body.fds.is_empty() {
            // At most `MAX_FDS`.
            head.number(UNIX_FDS, self.body.fds.len() as u32);
        }
        head.finish();
        out.extend_from_slice(&self.body.bytes);
        let len = out.len() - start;
        if len > limit.min(MAX_MESSAGE) {
            out.truncate(start);
            return Err(Error::MessageTooLong { len: len as u64, limit: limit.min(MAX_MESSAGE) });
        }
        Ok(())
    }

    /// The length of the message that begins `bytes`, or `None` while its fixed header is incomplete.
    pub fn frame_len(bytes: &[u8], limit: usize) -> Result<Option<usize>> {
        let Some(head) = bytes.first_chunk::<FIXED_HEADER>() else { return Ok(None) };
        let endian = endian_of(head[0])?;
        if head[3] != 1 {
            return Err(Error::Header("unknown protocol version"));
        }
        let body = u64::from(word(head, 4, endian));
        let fields = u64::from(word(head, 12, endian));
        if fields > MAX_ARRAY as u64 {
            return Err(Error::ArrayTooLong { len: fields as usize });
        }
        let len = FIXED_HEADER as u64 + fields.next_multiple_of(8) + body;
        let limit = limit.min(MAX_MESSAGE);
        match usize::try_from(len) {
            Ok(len) if len <= limit => Ok(Some(len)),
            _ => Err(Error::MessageTooLong { len, limit }),
        }
    }

    /// Reads the message that `bytes` holds, no more and no less. `Ok(None)`: of a type this version of the protocol
    /// does not know, to be ignored. The descriptors are taken from the front of what `take_fds` gives for a count.
    pub fn decode(bytes: &[u8], take_fds: impl FnOnce(usize) -> Result<Vec<u64>>) -> Result<Option<Message>> {
        let head = bytes.first_chunk::<FIXED_HEADER>().ok_or(Error::Truncated { at: 0 })?;
        if Message::frame_len(bytes, MAX_MESSAGE)? != Some(bytes.len()) {
            return Err(Error::Header("length does not match"));
        }
        let endian = endian_of(head[0])?;
        let mut header = Header { kind: kind_of(head[1])?, endian, ..Header::default() };
        let fields_len = word(head, 12, endian) as usize;
        let fields_end = FIXED_HEADER + fields_len;
        header.read(&bytes[..fields_end])?;
        let body_at = fields_end.next_multiple_of(8);
        if bytes[fields_end..body_at].iter().any(|byte| *byte != 0) {
            return Err(Error::Padding { at: fields_end });
        }
        let body = &bytes[body_at..];
        if header.signature.is_empty() && !body.is_empty() {
            return Err(Error::Header("body without signature"));
        }
        let fds = take_fds(header.unix_fds)?;
        let Some(kind) = header.kind else { return Ok(None) };
        let message = Message {
            kind,
            flags: head[2],
            serial: word(head, 8, endian),
            reply_serial: header.reply_serial,
            text: header.text,
            spans: header.spans,
            endian,
            body: Body { signature: header.signature, bytes: body.to_vec(), fds },
        };
        message.check_required(message.serial)?;
        Ok(Some(message))
    }

    fn set(&mut self, field: Field, text: &str) {
        push_span(&mut self.text, &mut self.spans, field, text);
    }

    fn get(&self, field: Field) -> Option<&str> {
        let (start, end) = self.spans[field as usize]?;
        self.text.get(start as usize..end as usize)
    }

    fn check_header(&self, serial: u32) -> Result<()> {
        for field in FIELDS {
            if let Some(text) = self.get(field) {
                field.check(text)?;
            }
        }
        if self.body.fds.len() > MAX_FDS {
            return Err(Error::TooManyFds { count: self.body.fds.len() });
        }
        self.check_required(serial)
    }

    fn check_required(&self, serial: u32) -> Result<()> {
        let has = |field: Field| self.spans[field as usize].is_some();
        if serial == 0 {
            return Err(Error::Header("serial is zero"));
        }
        let complete = match self.kind {
            Kind::MethodCall => has(Field::Path) && has(Field::Member),
            Kind::Signal => has(Field::Path) && has(Field::Interface) && has(Field::Member),
            Kind::Error => has(Field::ErrorName) && self.reply_serial.is_some(),
            Kind::MethodReturn => self.reply_serial.is_some(),
        };
        if complete { Ok(()) } else { Err(Error::Header("a required field is missing")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(message: &Message, serial: u32) -> Vec<u8> {
        let mut out = Vec::new();
        message.encode(serial, None, MAX_MESSAGE, &mut out).unwrap();
        out
    }

    fn decoded(bytes: &[u8]) -> Result<Option<Message>> {
        Message::decode(bytes, |count| Ok((0..count as u64).collect()))
    }

    fn call() -> Message {
        Message::method_call(Some("org.example"), "/a", "org.example.I", "Do")
            .build(|w| {
                w.str("x").u32(7).fd(40);
            })
            .unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = encoded(&call(), 9);
        assert_eq!(Message::frame_len(&bytes, MAX_MESSAGE), Ok(Some(bytes.len())));
        let back = decoded(&bytes).unwrap().unwrap();
        assert_eq!((back.kind(), back.serial, back.signature()), (Kind::MethodCall, 9, "suh"));
        assert_eq!(
            (back.path(), back.interface(), back.member()),
            (Some("/a"), Some("org.example.I"), Some("Do"))
        );
        assert_eq!((back.destination(), back.sender(), back.error_name()), (Some("org.example"), None, None));
        let mut r = back.body_reader();
        assert_eq!((r.str(), r.u32(), r.fd()), (Ok("x"), Ok(7), Ok(0)));
        assert_eq!(back.check_body(), Ok(()));
        assert!(back.wants_reply());
    }

    #[test]
    fn replies_go_back_to_the_sender() {
        let mut call = call().with_sender(":1.4");
        call.serial = 77;
        let reply = Message::method_return(&call);
        assert_eq!((reply.reply_serial(), reply.destination(), reply.flags), (Some(77), Some(":1.4"), 1));
        let error = Message::error(&call, "org.example.Bad", "no");
        let back = decoded(&encoded(&error, 1)).unwrap().unwrap();
        assert_eq!((back.error_name(), back.error_text()), (Some("org.example.Bad"), Some("no")));
    }

    #[test]
    fn bad_messages_are_not_written() {
        let mut out = vec![1];
        let bad = Message::method_call(None, "a", "", "Do");
        assert_eq!(bad.encode(1, None, MAX_MESSAGE, &mut out), Err(Error::Name("object path")));
        let bad = Message::signal("/a", "", "Do");
        assert_eq!(bad.encode(1, None, MAX_MESSAGE, &mut out), Err(Error::Name("interface name")));
        assert_eq!(call().encode(0, None, MAX_MESSAGE, &mut out), Err(Error::Header("serial is zero")));
        assert!(matches!(call().encode(1, None, 20, &mut out), Err(Error::MessageTooLong { limit: 20, .. })));
        assert_eq!(out, [1]);
    }

    #[test]
    fn bad_headers_are_refused() {
        let good = encoded(&Message::method_call(None, "/a", "", "Do"), 1);
        let change = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            decoded(&bytes)
        };
        assert!(decoded(&good).is_ok());
        assert_eq!(change(0, b'x'), Err(Error::Header("unknown byte order")));
        assert_eq!(change(1, 0), Err(Error::Header("type is zero")));
        assert_eq!(change(1, 9), Ok(None));
        assert_eq!(change(1, 4), Err(Error::Header("a required field is missing")));
        assert_eq!(change(3, 2), Err(Error::Header("unknown protocol version")));
        assert_eq!(change(8, 0), Err(Error::Header("serial is zero")));
        assert_eq!(change(16, 0), Err(Error::Header("field zero")));
        assert_eq!(change(4, 8), Err(Error::Header("length does not match")));
        let last = good.len() - 1;
        assert_eq!(change(last, 1), Err(Error::Padding { at: good.len() - 5 }));
        // An unknown field is skipped, and then the path is missing.
        assert_eq!(change(16, 200), Err(Error::Header("a required field is missing")));
        let huge = [&good[..4], &[255; 4], &good[8..]].concat();
        assert!(matches!(Message::frame_len(&huge, 1 << 20), Err(Error::MessageTooLong { .. })));
    }
}
