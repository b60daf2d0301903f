//! The clocks: reading them, and one timerfd(2) for each.
use crate::error::{Attempt, OsError};
use runstead_core::engine::clock::{Clock, NEVER, Now, Usec};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

/// Read the three clocks.
pub fn now() -> Now {
    Now {
        realtime: usec(clock_gettime(ClockId::Realtime)),
        monotonic: usec(clock_gettime(ClockId::Monotonic)),
        boottime: usec(clock_gettime(ClockId::Boottime)),
    }
}

fn usec(time: Timespec) -> Usec {
    let seconds = Usec::try_from(time.tv_sec).unwrap_or(0);
    let nanos = Usec::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000).saturating_add(nanos / 1000)
}

/// What a readable timer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fired {
    /// The time has come (or nothing: spurious).
    Elapsed,
    /// The wall clock was set (`TFD_TIMER_CANCEL_ON_SET`): arm it again.
    ClockSet,
}

/// One clock's timer.
#[derive(Debug)]
pub struct Timer {
    fd: OwnedFd,
    clock: Clock,
    armed: Usec,
    /// An alarm clock was asked for and refused (no `CAP_WAKE_ALARM`, or no RTC): it does not wake the machine.
    pub weakened: bool,
}

impl Timer {
    /// A disarmed timer on this clock. Alarm clocks fall back on their plain sisters.
    pub fn new(clock: Clock) -> Result<Self, OsError> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let (asked, plain) = match clock {
            Clock::Monotonic => (TimerfdClockId::Monotonic, None),
            Clock::Boottime => (TimerfdClockId::Boottime, None),
            Clock::Realtime => (TimerfdClockId::Realtime, None),
            Clock::BoottimeAlarm => (TimerfdClockId::BoottimeAlarm, Some(TimerfdClockId::Boottime)),
            Clock::RealtimeAlarm => (TimerfdClockId::RealtimeAlarm, Some(TimerfdClockId::Realtime)),
        };
        match (timerfd_create(asked, flags), plain) {
            (Ok(fd), _) => Ok(Timer { fd, clock, armed: NEVER, weakened: false }),
            (Err(Errno::PERM | Errno::OPNOTSUPP | Errno::INVAL), Some(plain)) => {
                let fd = timerfd_create(plain, flags).attempt("timerfd_create", "")?;
                Ok(Timer { fd, clock, armed: NEVER, weakened: true })
            }
            (Err(errno), _) => Err(OsError::new("timerfd_create", format!("{clock:?}"), errno)),
        }
    }

    /// A timer that never elapses and only tells that the wall clock was set.
    pub fn clock_watch() -> Result<Self, OsError> {
        let mut timer = Timer::new(Clock::Realtime)?;
        timer.rearm_clock_watch()?;
        Ok(timer)
    }

    /// Arm the clock watch again, after it told.
    pub fn rearm_clock_watch(&mut self) -> Result<(), OsError> {
        self.settime(Timespec { tv_sec: i64::MAX / 1_000_000_000, tv_nsec: 0 })
    }

    /// The descriptor to poll for reading.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The clock it was asked for.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Elapse at this instant of the clock; [`NEVER`] disarms. Nothing is called when it is armed so already.
    pub fn arm(&mut self, at: Usec) -> Result<(), OsError> {
        if at == self.armed {
            return Ok(());
        }
        let value = if at == NEVER {
            Timespec { tv_sec: 0, tv_nsec: 0 }
        } else {
            // All zero would disarm it; what is due since the epoch is due one nanosecond later, too.
            Timespec {
                tv_sec: i64::try_from(at / 1_000_000).unwrap_or(i64::MAX),
                tv_nsec: i64::try_from(at % 1_000_000 * 1000).unwrap_or(0) + i64::from(at == 0),
            }
        };
        self.settime(value)?;
        self.armed = at;
        Ok(())
    }

    fn settime(&self, value: Timespec) -> Result<(), OsError> {
        let mut flags = TimerfdTimerFlags::ABSTIME;
        if matches!(self.clock, Clock::Realtime | Clock::RealtimeAlarm) {
            flags |= TimerfdTimerFlags::CANCEL_ON_SET;
        }
        let spec = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        match timerfd_settime(&self.fd, flags, &spec) {
            // The clock was set between the last read and now: armed all the same.
            Ok(_) | Err(Errno::CANCELED) => Ok(()),
            Err(errno) => Err(OsError::new("timerfd_settime", format!("{:?}", self.clock), errno)),
        }
    }

    /// Take the readiness away; the timer counts as disarmed from now on.
    pub fn drain(&mut self) -> Fired {
        let mut count = [0u8; 8];
        match rustix::io::read(&self.fd, &mut count) {
            Err(Errno::CANCELED) => {
                self.armed = NEVER;
                Fired::ClockSet
            }
            Ok(_) => {
                self.armed = NEVER;
                Fired::Elapsed
            }
            Err(_) => Fired::Elapsed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::{Interest, Priority, Reactor};
    use std::time::Duration;

    #[test]
    fn every_clock_elapses() {
        for clock in Clock::ALL {
            let mut timer = Timer::new(clock).expect("timerfd");
            let mut reactor = Reactor::new().expect("epoll");
            reactor.add(timer.fd(), (), Priority::Timer, Interest::READ).expect("add");
            timer.arm(clock.read(now()) + 2000).expect("arm");
            let mut ready = Vec::new();
            reactor.wait(Some(Duration::from_secs(5)), &mut ready).expect("wait");
            assert_eq!(ready.len(), 1, "{clock:?}");
            assert_eq!(timer.drain(), Fired::Elapsed);
            timer.arm(0).expect("an instant long past elapses at once");
            ready.clear();
            reactor.wait(Some(Duration::from_secs(5)), &mut ready).expect("wait");
            assert_eq!(ready.len(), 1, "{clock:?}");
            timer.arm(NEVER).expect("disarm");
            ready.clear();
            reactor.wait(Some(Duration::ZERO), &mut ready).expect("wait");
            assert!(ready.is_empty(), "{clock:?}");
        }
    }

    #[test]
    fn the_clock_watch_is_quiet() {
        let watch = Timer::clock_watch().expect("timerfd");
        let mut reactor = Reactor::new().expect("epoll");
        reactor.add(watch.fd(), (), Priority::Timer, Interest::READ).expect("add");
        let mut ready = Vec::new();
        reactor.wait(Some(Duration::from_millis(5)), &mut ready).expect("wait");
        assert!(ready.is_empty());
    }
}
