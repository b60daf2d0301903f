//! The FIFOs by which locks are held, and who is told of them.
use super::calls::{Answer, answer};
use super::daemon::{Daemon, Token};
use runstead_core::sessions::event::{CallId, Event};
use runstead_core::sessions::power::inhibit::{Inhibitor, fifo_path, state_path};
use runstead_core::sessions::{power, state_file};
use runstead_os::logins;
use runstead_os::reactor::{Interest, Priority};
use runstead_wire::dbus::Message;

impl Daemon {
    /// Makes, or takes over, the FIFO of a lock, writes its file, and waits for the last writer's end.
    pub(super) fn open_inhibitor(&mut self, id: u64) {
        let Some(text) = self.sessions.power.inhibitors.get(&id).map(|lock| lock.text(id)) else { return };
        self.write_state(&state_path(id), Some(&text));
        let opened = logins::open_fifo(&fifo_path(id)).and_then(|fifo| {
            self.reactor.add(&fifo.read, Token::Inhibitor(id), Priority::Unit, Interest::HANGUP)?;
            Ok(fifo)
        });
        match opened {
            Ok(fifo) => {
                self.locks.insert(id, fifo);
            }
            Err(error) => {
                self.log(3, &format!("inhibitor {id}: {error}"));
                self.pending.push_back(Event::Power(power::Event::Released(id)));
            }
        }
    }

    pub(super) fn close_inhibitor(&mut self, id: u64) {
        if let Some(fifo) = self.locks.remove(&id) {
            self.reactor.remove(&fifo.read);
        }
        runstead_os::rundir::remove_file(&fifo_path(id));
        self.write_state(&state_path(id), None);
    }

    /// Gives who asked for a lock the end by which it is held.
    pub(super) fn inhibited(&mut self, call: CallId, id: u64) {
        let write = self.locks.get_mut(&id).and_then(|fifo| fifo.write.take());
        let fd = write.and_then(|write| self.bus.link.as_mut().map(|link| link.put(write)));
        self.answer_kept(call, |call| {
            let answer = fd.and_then(|fd| {
                let answer = Message::method_return(call).build(|body| {
                    body.fd(fd);
                });
                answer.ok()
            });
            let failed =
                || Message::error(call, "org.freedesktop.DBus.Error.Failed", "Cannot make the lock's FIFO");
            answer.unwrap_or_else(failed)
        });
    }

    /// `ListInhibitors`.
    pub(super) fn list_inhibitors(&self, call: &Message) -> Answer {
        answer(call, |body| {
            body.array("(ssssuu)", |list| {
                for lock in self.sessions.power.inhibitors.values() {
                    list.open_struct().str(&lock.what.to_string()).str(&lock.who).str(&lock.why);
                    list.str(lock.mode.name()).u32(lock.uid).u32(lock.pid.cast_unsigned()).close();
                }
            });
        })
    }

    /// Takes over the locks that an earlier login manager gave out; those that nobody holds any more end at once.
    pub(super) fn restore_inhibitors(&mut self) {
        for (name, text) in logins::saved("inhibit") {
            let lock = name.parse().ok().zip(Inhibitor::read(state_file::parse(&text)));
            let Some((id, lock)) = lock else {
                self.write_state(&format!("inhibit/{name}"), None);
                continue;
            };
            self.sessions.power.restore_inhibitor(id, lock);
            self.open_inhibitor(id);
            if let Some(fifo) = self.locks.get_mut(&id) {
                fifo.write = None;
            }
        }
    }
}
