//! Waits for descriptors, by priority.
//!
//! Each priority has its own epoll instance, and one outer instance watches those: however many clients are ready,
//! a notification is found with one call and comes first. Within a priority the kernel rotates its list of ready
//! descriptors, so a bound on what one round takes is fair. The few kernel tables that poll as urgent are in the outer
//! instance: a nested one would ask them twice, and the first answer takes the change away.
use crate::error::{Attempt, OsError};
use rustix::event::{Timespec, epoll};
use rustix::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use rustix::io::Errno;
use std::time::Duration;

/// The order in which sources that are ready at the same time are handled: lower first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Priority {
    /// The notification socket: what a process said counts before that it ended.
    Notify,
    /// `memory.events` and `cgroup.events`' OOM part: why it ended comes before that it ended.
    Oom,
    /// Ended children.
    Exit,
    /// Signals that ask for something.
    Signal,
    /// Empty control groups.
    Cgroup,
    /// Kernel tables: mounts, swaps, devices, inotify, autofs.
    Kernel,
    /// Timers.
    Timer,
    /// Sockets of units, stored descriptors.
    Unit,
    /// Clients of the manager.
    Client,
    /// Whatever can wait until nothing else is left.
    Idle,
}

const PRIORITIES: usize = 10;

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Interest {
    /// Something to read, or a connection to accept.
    pub read: bool,
    /// Room to write.
    pub write: bool,
    /// `EPOLLPRI`: `/proc/self/mountinfo`, `/proc/swaps`, pressure files, attributes.
    pub urgent: bool,
    /// Tell a change of readiness only once (`EPOLLET`).
    pub edge: bool,
}

impl Interest {
    /// Only reading.
    pub const READ: Interest = Interest { read: true, write: false, urgent: false, edge: false };
    /// Reading and writing.
    pub const BOTH: Interest = Interest { read: true, write: true, urgent: false, edge: false };
    /// Only `EPOLLPRI`.
    pub const URGENT: Interest = Interest { read: false, write: false, urgent: true, edge: false };
    /// Only hang-ups and errors, which are always told.
    pub const HANGUP: Interest = Interest { read: false, write: false, urgent: false, edge: false };

    fn flags(self) -> epoll::EventFlags {
        let mut flags = epoll::EventFlags::empty();
        flags.set(epoll::EventFlags::IN, self.read);
        flags.set(epoll::EventFlags::OUT, self.write);
        flags.set(epoll::EventFlags::PRI, self.urgent);
        flags.set(epoll::EventFlags::ET, self.edge);
        flags
    }
}

/// A descriptor that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready<T> {
    /// What it was added with.
    pub token: T,
    /// Its priority.
    pub priority: Priority,
    /// It can be read.
    pub read: bool,
    /// It can be written.
    pub write: bool,
    /// `EPOLLPRI`.
    pub urgent: bool,
    /// `EPOLLHUP` or `EPOLLERR`.
    pub hangup: bool,
}

#[derive(Clone, Copy, Debug)]
struct Source<T> {
    token: T,
    priority: Priority,
    generation: u32,
    /// In the outer instance: asking the kernel's tables for readiness takes it away, so nobody may ask in between.
    direct: bool,
}

/// The set of descriptors to wait for. It does not own them: remove a descriptor before it is closed.
pub struct Reactor<T> {
    outer: OwnedFd,
    inner: Vec<OwnedFd>,
    /// Indexed by descriptor number.
    sources: Vec<Option<Source<T>>>,
    generation: u32,
    buffer: Vec<epoll::Event>,
}

impl<T> std::fmt::Debug for Reactor<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reactor").field("sources", &self.sources.len()).finish_non_exhaustive()
    }
}

/// How many sources of one priority one round takes.
const ROUND: usize = 64;

impl<T: Copy> Reactor<T> {
    /// An empty set.
    pub fn new() -> Result<Self, OsError> {
        let make = || epoll::create(epoll::CreateFlags::CLOEXEC).attempt("epoll_create", "");
        let outer = make()?;
        let mut inner = Vec::with_capacity(PRIORITIES);
        for index in 0..PRIORITIES {
            let fd = make()?;
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&outer, &fd, data, epoll::EventFlags::IN).attempt("epoll_ctl", "priority")?;
            inner.push(fd);
        }
        Ok(Reactor { outer, inner, sources: Vec::new(), generation: 0, buffer: Vec::with_capacity(ROUND) })
    }

    /// Wait for `fd` too. `EPERM` is returned for what cannot be waited for (regular files), `EEXIST` when it is there.
    pub fn add(
        &mut self,
        fd: impl AsFd,
        token: T,
        priority: Priority,
        interest: Interest,
    ) -> Result<(), OsError> {
        let raw = fd.as_fd().as_raw_fd();
        let index = usize::try_from(raw).map_err(|_| OsError::new("poll", raw.to_string(), Errno::BADF))?;
        if self.sources.get(index).is_some_and(Option::is_some) {
            return Err(OsError::new("poll", raw.to_string(), Errno::EXIST));
        }
        // Never 0: event data below 2^32 stand for priorities.
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        let source = Source { token, priority, generation: self.generation, direct: interest.urgent };
        let data = event_data(raw, source.generation);
        epoll::add(self.instance(source), fd, data, interest.flags()).attempt("poll", raw.to_string())?;
        if self.sources.len() <= index {
            self.sources.resize(index + 1, None);
        }
        self.sources[index] = Some(source);
        Ok(())
    }

    /// Change what to wait for.
    pub fn modify(&mut self, fd: impl AsFd, interest: Interest) -> Result<(), OsError> {
        let raw = fd.as_fd().as_raw_fd();
        let source = self.source(raw).ok_or_else(|| OsError::new("poll", raw.to_string(), Errno::NOENT))?;
        let data = event_data(raw, source.generation);
        epoll::modify(self.instance(source), fd, data, interest.flags()).attempt("poll", raw.to_string())
    }

    /// Wait for it no longer; whether it was there.
    pub fn remove(&mut self, fd: impl AsFd) -> bool {
        let raw = fd.as_fd().as_raw_fd();
        let Some(source) = self.source(raw) else { return false };
        self.sources[raw as usize] = None;
        epoll::delete(self.instance(source), fd).is_ok()
    }

    /// Whether this descriptor is waited for.
    pub fn contains(&self, fd: impl AsFd) -> bool {
        self.source(fd.as_fd().as_raw_fd()).is_some()
    }

    /// Number of sources.
    pub fn len(&self) -> usize {
        self.sources.iter().flatten().count()
    }

    /// Whether nothing is waited for.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn instance(&self, source: Source<T>) -> &OwnedFd {
        if source.direct { &self.outer } else { &self.inner[source.priority as usize] }
    }

    fn source(&self, raw: RawFd) -> Option<Source<T>> {
        self.sources.get(usize::try_from(raw).ok()?).copied().flatten()
    }

    /// Wait until something is ready or the time is over (`None`: without end), and append what is ready to `ready`,
    /// sorted by priority, at most 64 of each. A signal that interrupts is as good as a timeout.
    pub fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready<T>>) -> Result<(), OsError> {
        let before = ready.len();
        let mut pending = [false; PRIORITIES];
        self.poll(None, timeout)?;
        for event in &self.buffer {
            match usize::try_from(event.data.u64()).ok().and_then(|index| pending.get_mut(index)) {
                Some(flag) => *flag = true,
                None => ready.extend(self.ready(event)),
            }
        }
        for (index, _) in pending.into_iter().enumerate().filter(|(_, is_ready)| *is_ready) {
            self.poll(Some(index), Some(Duration::ZERO))?;
            ready.extend(self.buffer.iter().filter_map(|event| self.ready(event)));
        }
        ready[before..].sort_by_key(|entry| entry.priority);
        Ok(())
    }

    fn ready(&self, event: &epoll::Event) -> Option<Ready<T>> {
        let (raw, generation) = split_data(event.data);
        // A descriptor removed and another added under its number since: not this one's event.
        let source = self.source(raw).filter(|source| source.generation == generation)?;
        let flags = event.flags;
        Some(Ready {
            token: source.token,
            priority: source.priority,
            read: flags.contains(epoll::EventFlags::IN),
            write: flags.contains(epoll::EventFlags::OUT),
            urgent: flags.contains(epoll::EventFlags::PRI),
            hangup: flags.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR),
        })
    }

    /// Like [`Reactor::wait`] without waiting, and only sources at least as urgent as `up_to`: lets a long round look
    /// whether something more important came. Kernel tables are left for the next wait.
    pub fn peek(&mut self, up_to: Priority, ready: &mut Vec<Ready<T>>) -> Result<(), OsError> {
        for index in 0..=up_to as usize {
            self.poll(Some(index), Some(Duration::ZERO))?;
            ready.extend(self.buffer.iter().filter_map(|event| self.ready(event)));
        }
        Ok(())
    }

    /// Fill the buffer with what is ready.
    fn poll(&mut self, which: Option<usize>, timeout: Option<Duration>) -> Result<(), OsError> {
        let fd = which.map_or(&self.outer, |index| &self.inner[index]);
        let timeout = timeout.map(|span| Timespec {
            tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(span.subsec_nanos()),
        });
        self.buffer.clear();
        match epoll::wait(fd, rustix::buffer::spare_capacity(&mut self.buffer), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(OsError::new("epoll_wait", "", errno)),
        }
    }
}

fn event_data(raw: RawFd, generation: u32) -> epoll::EventData {
    epoll::EventData::new_u64((u64::from(generation) << 32) | u64::from(raw.cast_unsigned()))
}

fn split_data(data: epoll::EventData) -> (RawFd, u32) {
    let data = data.u64();
    ((data as u32).cast_signed(), (data >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pipe::pipe;

    fn full_pipe() -> (OwnedFd, OwnedFd) {
        let (read, write) = pipe().expect("pipe");
        rustix::io::write(&write, b"x").expect("room in a new pipe");
        (read, write)
    }

    #[test]
    fn what_is_urgent_comes_first_however_much_is_ready() {
        let mut reactor = Reactor::new().expect("epoll");
        let clients: Vec<_> = (0..200).map(|_| full_pipe()).collect();
        for (number, (read, _)) in clients.iter().enumerate() {
            reactor.add(read, number, Priority::Client, Interest::READ).expect("add");
        }
        let (exit, notify) = (full_pipe(), full_pipe());
        reactor.add(&exit.0, 1000, Priority::Exit, Interest::READ).expect("add");
        reactor.add(&notify.0, 1001, Priority::Notify, Interest::READ).expect("add");
        let mut ready = Vec::new();
        reactor.wait(None, &mut ready).expect("wait");
        assert_eq!((ready[0].token, ready[1].token), (1001, 1000));
        assert_eq!(ready.len(), 2 + ROUND, "clients are bounded a round");
        let mut seen: Vec<usize> = ready.iter().map(|entry| entry.token).collect();
        for _ in 0..3 {
            ready.clear();
            reactor.wait(None, &mut ready).expect("wait");
            seen.extend(ready.iter().map(|entry| entry.token));
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 202, "every client had its turn within four rounds");
    }

    #[test]
    fn removed_and_reused_descriptors_give_no_stale_event() {
        let mut reactor = Reactor::new().expect("epoll");
        let (read, _write) = full_pipe();
        reactor.add(&read, 'a', Priority::Unit, Interest::READ).expect("add");
        assert!(reactor.add(&read, 'b', Priority::Unit, Interest::READ).is_err());
        assert!(reactor.remove(&read));
        assert!(!reactor.remove(&read));
        let mut ready = Vec::new();
        reactor.wait(Some(Duration::ZERO), &mut ready).expect("wait");
        assert!(ready.is_empty());
    }

    #[test]
    fn interest_can_change_and_hangups_are_always_told() {
        let mut reactor = Reactor::new().expect("epoll");
        let (read, write) = full_pipe();
        reactor.add(&read, (), Priority::Unit, Interest::HANGUP).expect("add");
        let mut ready = Vec::new();
        reactor.wait(Some(Duration::ZERO), &mut ready).expect("wait");
        assert!(ready.is_empty());
        reactor.modify(&read, Interest::READ).expect("modify");
        reactor.wait(Some(Duration::ZERO), &mut ready).expect("wait");
        assert!(ready[0].read && !ready[0].hangup);
        drop(write);
        ready.clear();
        reactor.peek(Priority::Timer, &mut ready).expect("peek");
        assert!(ready.is_empty(), "less urgent sources are left alone");
        reactor.modify(&read, Interest::HANGUP).expect("modify");
        reactor.wait(Some(Duration::ZERO), &mut ready).expect("wait");
        assert!(ready[0].hangup);
    }
}
