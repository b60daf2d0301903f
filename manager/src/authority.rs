//! Callers on the system bus who are not root: polkit is asked whether they may. Nothing waits for its answer, and how much
//! can wait is bounded, of each sender and of all together.
use crate::calls::{LIMITS_EXCEEDED, Past};
use crate::clients::BUS;
use crate::persist::MessageRecord;
use crate::shell::Shell;
use runstead_api::polkit::{Question, Verdict};
use runstead_api::systemd1::errors::Error;
use runstead_core::engine::effect::FdId;
use runstead_core::engine::event::Caller;
use runstead_wire::dbus::{ALLOW_INTERACTIVE_AUTHORIZATION, Message};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long polkit, and the person whom it asks, may take: as long as the reference waits.
const PATIENCE: Duration = Duration::from_secs(25);
/// Calls that wait for polkit, of everybody and of one sender.
const MAX_ASKED: usize = 1024;
const MAX_OF_SENDER: usize = 64;
/// Bytes of their bodies.
const MAX_BYTES: usize = 1 << 20;

/// A call that waits for polkit.
#[derive(Debug)]
struct Asked {
    message: Message,
    caller: Caller,
    until: Instant,
}

/// A call that waits, for the next image. Its time begins anew.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AskedRecord {
    serial: u32,
    #[serde(flatten)]
    message: MessageRecord,
    caller: Caller,
}

/// All of them, by the serial of the question.
#[derive(Debug, Default)]
pub(crate) struct Authority {
    asked: BTreeMap<u32, Asked>,
}

impl Authority {
    /// Whether one more call of a sender may wait.
    fn has_room(&self, sender: &str, bytes: usize) -> bool {
        let of_sender = self.asked.values().filter(|asked| asked.caller.sender == sender).count();
        let held: usize = self.asked.values().map(|asked| asked.message.body().len()).sum();
        self.asked.len() < MAX_ASKED && of_sender < MAX_OF_SENDER && held.saturating_add(bytes) <= MAX_BYTES
    }

    /// Whether a call that waits brought this descriptor.
    pub fn holds_fd(&self, fd: FdId) -> bool {
        self.asked.values().any(|asked| asked.message.fds().contains(&fd.0))
    }

    /// How long until polkit is late.
    pub fn next_look(&self) -> Option<Duration> {
        let first = self.asked.values().map(|asked| asked.until).min()?;
        Some(first.saturating_duration_since(Instant::now()))
    }

    fn take(&mut self, mut which: impl FnMut(&Asked) -> bool) -> Vec<Asked> {
        let serials: Vec<u32> =
            self.asked.iter().filter(|(_, asked)| which(asked)).map(|(serial, _)| *serial).collect();
        serials.iter().filter_map(|serial| self.asked.remove(serial)).collect()
    }

    /// What the next image has to know.
    pub fn records(&self) -> Vec<AskedRecord> {
        let record = |(serial, asked): (&u32, &Asked)| {
            let message = MessageRecord::of(&asked.message)?;
            Some(AskedRecord { serial: *serial, message, caller: asked.caller.clone() })
        };
        self.asked.iter().filter_map(record).collect()
    }

    /// As the image before had it: the connection on which the answer comes is kept, too.
    pub fn restore(&mut self, records: Vec<AskedRecord>) {
        for AskedRecord { serial, message, caller } in records {
            if let Some(message) = message.message() {
                self.asked.insert(serial, Asked { message, caller, until: Instant::now() + PATIENCE });
            }
        }
    }
}

impl Shell {
    /// Ask polkit whether a call may be done; it is done, or refused, when the answer is there.
    pub(crate) fn ask_authority(
        &mut self,
        message: &Message,
        caller: &Caller,
        question: &Question,
    ) -> Result<(), Error> {
        if !self.authority.has_room(&caller.sender, message.body().len()) {
            return Err(Error::new(LIMITS_EXCEEDED, "Too many calls wait for polkit"));
        }
        let interactive = message.flags & ALLOW_INTERACTIVE_AUTHORIZATION != 0;
        let serial = question.call(&caller.sender, interactive).and_then(|call| self.send(BUS, &call));
        let serial = serial.ok_or_else(|| {
            Error::new(
                "org.freedesktop.DBus.Error.AccessDenied",
                "polkit cannot be asked over the system bus",
            )
        })?;
        let until = Instant::now() + PATIENCE;
        self.authority
            .asked
            .insert(serial, Asked { message: message.clone(), caller: caller.clone(), until });
        Ok(())
    }

    /// An answer came over the bus; whether it was polkit's.
    pub(crate) fn authority_answered(&mut self, answer: &Message) -> bool {
        let asked = answer.reply_serial().and_then(|serial| self.authority.asked.remove(&serial));
        let Some(asked) = asked else { return false };
        self.judge(asked, Verdict::read(answer));
        true
    }

    fn judge(&mut self, asked: Asked, verdict: Verdict) {
        let Asked { message, caller, .. } = asked;
        match verdict {
            Verdict::Allowed => self.dispatch_past(BUS, &message, caller, Past::Polkit),
            Verdict::Refused(name, text) => self.reply(BUS, &message, Message::error(&message, &name, &text)),
        }
        self.close_unclaimed(&message);
    }

    /// Refuse what polkit did not answer in time.
    pub(crate) fn refuse_late_questions(&mut self) {
        let now = Instant::now();
        for asked in self.authority.take(|asked| asked.until <= now) {
            self.judge(asked, Verdict::timed_out());
        }
    }

    /// A sender left the bus: nothing is done for it any more.
    pub(crate) fn forget_questions_of(&mut self, sender: &str) {
        for asked in self.authority.take(|asked| asked.caller.sender == sender) {
            self.close_unclaimed(&asked.message);
        }
    }

    /// The bus went, which tells all callers so.
    pub(crate) fn forget_questions(&mut self) {
        for asked in self.authority.take(|_| true) {
            self.close_unclaimed(&asked.message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(sender: &str, text: &str, fds: usize) -> Asked {
        let message = Message::method_call(Some("a.b"), "/", "a.b", "C").with_sender(sender).build(|body| {
            body.str(text);
            for fd in 0..fds {
                body.fd(fd as u64 + 7);
            }
        });
        let mut message = message.expect("it can be built");
        message.serial = 9;
        let caller = Caller { connection: 3, sender: sender.to_owned(), uid: 1000, pid: 5 };
        Asked { message, caller, until: Instant::now() + PATIENCE }
    }

    #[test]
    fn one_sender_leaves_room_for_others() {
        let mut authority = Authority::default();
        for serial in 0..MAX_OF_SENDER as u32 {
            assert!(authority.has_room(":1.1", 0));
            authority.asked.insert(serial, asked(":1.1", "x", 0));
        }
        assert!(!authority.has_room(":1.1", 0) && authority.has_room(":1.2", 0));
        assert!(!authority.has_room(":1.2", MAX_BYTES), "bodies count");
        for serial in 0..MAX_ASKED as u32 {
            authority.asked.insert(serial, asked(&format!(":2.{serial}"), "", 0));
        }
        assert!(!authority.has_room(":1.2", 0));
    }

    #[test]
    fn what_waits_outlives_the_image() {
        let mut before = Authority::default();
        before.asked.insert(41, asked(":1.1", "x.service", 2));
        let bytes = serde_json::to_vec(&before.records()).expect("records are text");
        let mut after = Authority::default();
        after.restore(serde_json::from_slice(&bytes).expect("they are read again"));
        let (one, other) = (&before.asked[&41], &after.asked[&41]);
        let bytes = |asked: &Asked| {
            let mut bytes = Vec::new();
            asked.message.encode(asked.message.serial, None, 1 << 20, &mut bytes).expect("it fits");
            bytes
        };
        assert_eq!((bytes(one), &one.caller.sender), (bytes(other), &other.caller.sender));
        assert!(after.holds_fd(FdId(8)) && !after.holds_fd(FdId(9)));
        assert!(after.next_look().is_some_and(|left| left <= PATIENCE));
        assert_eq!(after.take(|asked| asked.caller.sender == ":1.1").len(), 1);
        assert!(after.next_look().is_none());
    }
}
