//! The handshake before the first message (D-Bus specification, "Authentication Protocol").
//!
//! Mechanisms: EXTERNAL (the kernel says who the peer is) and, where allowed, ANONYMOUS. Both sides cope with a peer
//! that sends its whole side of the handshake at once, as libsystemd does:
//! `NUL AUTH EXTERNAL CRLF DATA CRLF NEGOTIATE_UNIX_FD CRLF BEGIN CRLF`.

use serde::{Deserialize, Serialize};

use super::error::{AuthFault, Result};

/// Most bytes of a whole handshake.
pub const MAX_HANDSHAKE: usize = 16 << 10;
/// Longest line.
pub const MAX_LINE: usize = 1 << 10;
/// Most lines.
pub const MAX_LINES: usize = 32;

/// How far a handshake got by reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    Pending,
    /// Done; what follows are messages.
    Done,
}

/// The side that accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerAuth {
    guid: String,
    peer_uid: Option<u32>,
    anonymous: bool,
    offer_fds: bool,
    state: ServerState,
    fds: bool,
    seen: Seen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum ServerState {
    Nul,
    Auth,
    Data(Mechanism),
    Begin,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Mechanism {
    External,
    Anonymous,
}

/// How much of a handshake was read; bounds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    bytes: usize,
    lines: usize,
}

impl Seen {
    /// Splits the next line off `input`, without its CRLF. A lone LF is part of the line (and makes it an unknown one).
    fn line<'a>(&mut self, input: &'a [u8]) -> Result<Option<(&'a [u8], usize)>> {
        let window = &input[..input.len().min(MAX_LINE)];
        let Some(len) = window.windows(2).position(|pair| pair == b"\r\n") else {
            if input.len() >= MAX_LINE {
                return Err(AuthFault::TooLong.into());
            }
            return Ok(None);
        };
        self.bytes += len + 2;
        self.lines += 1;
        if self.bytes > MAX_HANDSHAKE {
            return Err(AuthFault::TooLong.into());
        }
        if self.lines > MAX_LINES {
            return Err(AuthFault::TooManyLines.into());
        }
        Ok(Some((&input[..len], len + 2)))
    }
}

impl ServerAuth {
    /// A server named by `guid` (32 hex digits) for a peer that the kernel says is `peer_uid`.
    ///
    /// `anonymous`: peers need not say who they are. `offer_fds`: descriptors may be passed.
    pub fn new(guid: &str, peer_uid: Option<u32>, anonymous: bool, offer_fds: bool) -> ServerAuth {
        ServerAuth {
            guid: guid.to_owned(),
            peer_uid,
            anonymous,
            offer_fds,
            state: ServerState::Nul,
            fds: false,
            seen: Seen::default(),
        }
    }

    /// Whether both sides agreed on passing descriptors.
    pub fn fds_agreed(&self) -> bool {
        self.fds
    }

    /// Reads from `input`; gives how many bytes it used and appends the answer to `output`.
    pub fn feed(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(usize, Progress)> {
        let mut used = 0;
        if self.state == ServerState::Nul {
            match input.first() {
                None => return Ok((0, Progress::Pending)),
                Some(0) => used = 1,
                Some(_) => return Err(AuthFault::NoNulByte.into()),
            }
            self.state = ServerState::Auth;
        }
        while self.state != ServerState::Done {
            let Some((line, len)) = self.seen.line(&input[used..])? else {
                return Ok((used, Progress::Pending));
            };
            used += len;
            self.command(line, output)?;
        }
        Ok((used, Progress::Done))
    }

    fn command(&mut self, line: &[u8], output: &mut Vec<u8>) -> Result<()> {
        let (word, argument) = match line.iter().position(|byte| *byte == b' ') {
            Some(at) => (&line[..at], Some(line[at + 1..].trim_ascii())),
            None => (line, None),
        };
        match (self.state, word) {
            (ServerState::Auth, b"AUTH") => self.auth(argument.unwrap_or_default(), output),
            (ServerState::Data(mechanism), b"DATA") => {
                self.verify(mechanism, argument.unwrap_or_default(), output);
            }
            (ServerState::Begin, b"NEGOTIATE_UNIX_FD") if self.offer_fds => {
                self.fds = true;
                output.extend_from_slice(b"AGREE_UNIX_FD\r\n");
            }
            (ServerState::Begin, b"BEGIN") => self.state = ServerState::Done,
            (_, b"BEGIN") => return Err(AuthFault::BeginTooEarly.into()),
            (ServerState::Data(_) | ServerState::Begin, b"CANCEL") | (_, b"ERROR") => self.reject(output),
            _ => output.extend_from_slice(b"ERROR\r\n"),
        }
        Ok(())
    }

    fn auth(&mut self, argument: &[u8], output: &mut Vec<u8>) {
        let (name, initial) = match argument.iter().position(|byte| *byte == b' ') {
            Some(at) => (&argument[..at], Some(argument[at + 1..].trim_ascii())),
            None => (argument, None),
        };
        let mechanism = match name {
            b"EXTERNAL" => Mechanism::External,
            b"ANONYMOUS" if self.anonymous => Mechanism::Anonymous,
            _ => return self.reject(output),
        };
        match initial {
            Some(response) => self.verify(mechanism, response, output),
            None => {
                self.state = ServerState::Data(mechanism);
                output.extend_from_slice(b"DATA\r\n");
            }
        }
    }

    /// Judges a hex-encoded response: for EXTERNAL the decimal user id, or nothing for "whoever the kernel says".
    fn verify(&mut self, mechanism: Mechanism, response: &[u8], output: &mut Vec<u8>) {
        let good = match (mechanism, unhex(response)) {
            (_, None) => false,
            (Mechanism::Anonymous, Some(_)) => true,
            (Mechanism::External, Some(claim)) => match self.peer_uid {
                None => false,
                Some(uid) => claim.is_empty() || claim == uid.to_string().as_bytes(),
            },
        };
        if !good {
            return self.reject(output);
        }
        self.state = ServerState::Begin;
        output.extend_from_slice(b"OK ");
        output.extend_from_slice(self.guid.as_bytes());
        output.extend_from_slice(b"\r\n");
    }

    fn reject(&mut self, output: &mut Vec<u8>) {
        self.state = ServerState::Auth;
        let answer: &[u8] =
            if self.anonymous { b"REJECTED EXTERNAL ANONYMOUS\r\n" } else { b"REJECTED EXTERNAL\r\n" };
        output.extend_from_slice(answer);
    }
}

/// The side that connects.
///
/// It sends everything at once and then reads the answers; messages may be queued behind it without waiting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientAuth {
    state: ClientState,
    request_fds: bool,
    anonymous: bool,
    fds: bool,
    seen: Seen,
    guid: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum ClientState {
    Challenge,
    Ok,
    Fds,
    Done,
}

impl ClientAuth {
    /// A client that lets the kernel say who it is. `request_fds`: descriptors are to be passed.
    pub fn external(request_fds: bool) -> ClientAuth {
        ClientAuth::new(false, request_fds)
    }

    /// A client that does not say who it is.
    pub fn anonymous(request_fds: bool) -> ClientAuth {
        ClientAuth::new(true, request_fds)
    }

    fn new(anonymous: bool, request_fds: bool) -> ClientAuth {
        ClientAuth {
            state: if anonymous { ClientState::Ok } else { ClientState::Challenge },
            request_fds,
            anonymous,
            fds: false,
            seen: Seen::default(),
            guid: String::new(),
        }
    }

    /// What to send first. The user id is left to the server, since a user namespace may map it.
    pub fn opening(&self) -> Vec<u8> {
        let mut bytes = match self.anonymous {
            true => b"\0AUTH ANONYMOUS 72756e7374656164\r\n".to_vec(),
            false => b"\0AUTH EXTERNAL\r\nDATA\r\n".to_vec(),
        };
        if self.request_fds {
            bytes.extend_from_slice(b"NEGOTIATE_UNIX_FD\r\n");
        }
        bytes.extend_from_slice(b"BEGIN\r\n");
        bytes
    }

    /// Whether both sides agreed on passing descriptors.
    pub fn fds_agreed(&self) -> bool {
        self.fds
    }

    /// The server's id, once it is known.
    pub fn server_guid(&self) -> &str {
        &self.guid
    }

    /// Reads answers from `input`; gives how many bytes it used.
    pub fn feed(&mut self, input: &[u8]) -> Result<(usize, Progress)> {
        let mut used = 0;
        while self.state != ClientState::Done {
            let Some((line, len)) = self.seen.line(&input[used..])? else {
                return Ok((used, Progress::Pending));
            };
            used += len;
            self.answer(line)?;
        }
        Ok((used, Progress::Done))
    }

    fn answer(&mut self, line: &[u8]) -> Result<()> {
        if line.starts_with(b"REJECTED") {
            return Err(AuthFault::Rejected.into());
        }
        self.state = match self.state {
            ClientState::Challenge if line.trim_ascii() == b"DATA" => ClientState::Ok,
            ClientState::Ok => {
                let guid = line.strip_prefix(b"OK ").map(|rest| rest.trim_ascii()).unwrap_or_default();
                if guid.len() != 32 || !guid.iter().all(u8::is_ascii_hexdigit) {
                    return Err(AuthFault::Unexpected.into());
                }
                self.guid = guid.iter().map(|byte| char::from(*byte)).collect();
                if self.request_fds { ClientState::Fds } else { ClientState::Done }
            }
            ClientState::Fds if line == b"AGREE_UNIX_FD" => {
                self.fds = true;
                ClientState::Done
            }
            ClientState::Fds if line.starts_with(b"ERROR") => ClientState::Done,
            _ => return Err(AuthFault::Unexpected.into()),
        };
        Ok(())
    }
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|n| n as u8);
    let pairs = text.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dbus::Error;

    const GUID: &str = "0123456789abcdef0123456789abcdef";

    fn serve(uid: Option<u32>, input: &[u8]) -> (Result<(usize, Progress)>, String, bool) {
        let mut server = ServerAuth::new(GUID, uid, false, true);
        let mut output = Vec::new();
        let result = server.feed(input, &mut output);
        (result, String::from_utf8(output).unwrap(), server.fds_agreed())
    }

    #[test]
    fn accepts_everything_at_once_as_libsystemd_sends_it() {
        let input = b"\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\nl\x01";
        let (result, output, fds) = serve(Some(0), input);
        assert_eq!(result, Ok((input.len() - 2, Progress::Done)));
        assert_eq!(output, format!("DATA\r\nOK {GUID}\r\nAGREE_UNIX_FD\r\n"));
        assert!(fds);
        let input = b"\0AUTH EXTERNAL 31303030\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n";
        let (result, output, _) = serve(Some(1000), input);
        assert_eq!(result, Ok((input.len(), Progress::Done)));
        assert_eq!(output, format!("OK {GUID}\r\nAGREE_UNIX_FD\r\n"));
    }

    #[test]
    fn accepts_it_byte_by_byte() {
        let mut server = ServerAuth::new(GUID, Some(7), false, true);
        let (mut buffer, mut output) = (Vec::new(), Vec::new());
        for byte in b"\0AUTH EXTERNAL 37\r\nBEGIN\r\n" {
            buffer.push(*byte);
            let (used, _) = server.feed(&buffer, &mut output).unwrap();
            buffer.drain(..used);
        }
        assert_eq!(server.state, ServerState::Done);
    }

    #[test]
    fn refuses_others_and_lets_them_try_again() {
        let (_, output, _) = serve(Some(1000), b"\0AUTH EXTERNAL 30\r\n");
        assert_eq!(output, "REJECTED EXTERNAL\r\n");
        let (_, output, _) = serve(None, b"\0AUTH EXTERNAL\r\nDATA\r\n");
        assert_eq!(output, "DATA\r\nREJECTED EXTERNAL\r\n");
        let (result, output, _) = serve(
            Some(0),
            b"\0AUTH\r\nAUTH ANONYMOUS\r\nNEGOTIATE_UNIX_FD\r\nfoo\r\nAUTH EXTERNAL 30\r\nBEGIN\r\n",
        );
        assert_eq!(result.map(|(_, progress)| progress), Ok(Progress::Done));
        assert_eq!(
            output,
            format!("REJECTED EXTERNAL\r\nREJECTED EXTERNAL\r\nERROR\r\nERROR\r\nOK {GUID}\r\n")
        );
        let (result, ..) = serve(Some(0), b"\0BEGIN\r\n");
        assert_eq!(result, Err(Error::Auth(AuthFault::BeginTooEarly)));
    }

    #[test]
    fn garbage_is_bounded() {
        assert_eq!(serve(Some(0), b"\n").0, Err(Error::Auth(AuthFault::NoNulByte)));
        assert_eq!(serve(Some(0), b"\0\n").0, Ok((1, Progress::Pending)));
        assert_eq!(serve(Some(0), b"\0\r\n \r\n\n\r\n").1, "ERROR\r\nERROR\r\nERROR\r\n");
        assert_eq!(serve(Some(0), &[0; 5000]).0, Err(Error::Auth(AuthFault::TooLong)));
        let many = [&b"\0"[..], &b"x\r\n".repeat(40)].concat();
        assert_eq!(serve(Some(0), &many).0, Err(Error::Auth(AuthFault::TooManyLines)));
        assert_eq!(serve(Some(0), b"\0AUTH EXTERNAL 3\r\n").1, "REJECTED EXTERNAL\r\n");
        assert_eq!(serve(Some(0), b"\0AUTH EXTERNAL zz\r\n").1, "REJECTED EXTERNAL\r\n");
    }

    #[test]
    fn client_and_server_agree() {
        for (client_fds, server_fds) in [(true, true), (true, false), (false, true)] {
            let mut client = ClientAuth::external(client_fds);
            let mut server = ServerAuth::new(GUID, Some(5), false, server_fds);
            let mut output = Vec::new();
            let opening = client.opening();
            assert_eq!(server.feed(&opening, &mut output), Ok((opening.len(), Progress::Done)));
            assert_eq!(client.feed(&output), Ok((output.len(), Progress::Done)));
            assert_eq!(client.fds_agreed(), client_fds && server_fds);
            assert_eq!(server.fds_agreed(), client.fds_agreed());
            assert_eq!(client.server_guid(), GUID);
        }
        let mut client = ClientAuth::anonymous(false);
        let mut server = ServerAuth::new(GUID, None, true, true);
        let mut output = Vec::new();
        server.feed(&client.opening(), &mut output).unwrap();
        assert_eq!(client.feed(&output).map(|(_, progress)| progress), Ok(Progress::Done));
    }

    #[test]
    fn client_takes_no_nonsense() {
        let mut client = ClientAuth::external(true);
        assert_eq!(client.feed(b"REJECTED KERBEROS\r\n"), Err(Error::Auth(AuthFault::Rejected)));
        let mut client = ClientAuth::external(true);
        assert_eq!(client.feed(b"OK x\r\n"), Err(Error::Auth(AuthFault::Unexpected)));
        let mut client = ClientAuth::external(true);
        assert_eq!(client.feed(b"DATA\r\nOK abc\r\n"), Err(Error::Auth(AuthFault::Unexpected)));
    }
}
