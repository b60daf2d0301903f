//! The three clocks an event arrives with, and the queue of armed timers.
//!
//! All values are microseconds; `u64::MAX` ([`NEVER`]) is infinity, as everywhere in systemd's interfaces.
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Microseconds.
pub type Usec = u64;

/// The infinite time span or the instant that never comes.
pub const NEVER: Usec = u64::MAX;

/// The clocks at the instant of an event (clock_gettime(2)), microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// `CLOCK_REALTIME`.
    pub realtime: Usec,
    /// `CLOCK_MONOTONIC`.
    pub monotonic: Usec,
    /// `CLOCK_BOOTTIME`.
    pub boottime: Usec,
}

/// An instant on the two clocks that properties show as `FooTimestamp` and `FooTimestampMonotonic`; 0 is "never".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// `CLOCK_REALTIME`.
    pub realtime: Usec,
    /// `CLOCK_MONOTONIC`.
    pub monotonic: Usec,
}

impl Stamp {
    /// Whether the instant was ever reached.
    pub fn is_set(self) -> bool {
        self.realtime != 0 || self.monotonic != 0
    }
}

impl From<Now> for Stamp {
    fn from(now: Now) -> Self {
        Stamp { realtime: now.realtime, monotonic: now.monotonic }
    }
}

/// The clock a timer is armed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Clock {
    /// Stops while the machine sleeps.
    Monotonic,
    /// Goes on while the machine sleeps.
    Boottime,
    /// Wall-clock time; the shell reports jumps with `Event::ClockChanged`.
    Realtime,
    /// [`Clock::Boottime`] that wakes the machine (`WakeSystem=`).
    BoottimeAlarm,
    /// [`Clock::Realtime`] that wakes the machine (`WakeSystem=`).
    RealtimeAlarm,
}

impl Clock {
    /// All clocks, in the order in which their timers fire within one step.
    pub const ALL: [Clock; 5] =
        [Clock::Monotonic, Clock::Boottime, Clock::Realtime, Clock::BoottimeAlarm, Clock::RealtimeAlarm];

    /// What this clock shows.
    pub fn read(self, now: Now) -> Usec {
        match self {
            Clock::Monotonic => now.monotonic,
            Clock::Boottime | Clock::BoottimeAlarm => now.boottime,
            Clock::Realtime | Clock::RealtimeAlarm => now.realtime,
        }
    }
}

/// Armed timers of all owners: one timer a key, O(log n) to arm, disarm and pop.
#[derive(Debug, Clone)]
pub struct TimerQueue<K: Ord + Copy> {
    by_time: BTreeMap<(Clock, Usec, u64), K>,
    by_key: BTreeMap<K, (Clock, Usec, u64)>,
    sequence: u64,
}

impl<K: Ord + Copy> Default for TimerQueue<K> {
    fn default() -> Self {
        TimerQueue { by_time: BTreeMap::new(), by_key: BTreeMap::new(), sequence: 0 }
    }
}

impl<K: Ord + Copy> TimerQueue<K> {
    /// Arm the timer of `key` (replacing an armed one); [`NEVER`] disarms it.
    pub fn arm(&mut self, key: K, clock: Clock, at: Usec) {
        self.disarm(key);
        if at == NEVER {
            return;
        }
        self.sequence += 1;
        let slot = (clock, at, self.sequence);
        self.by_time.insert(slot, key);
        self.by_key.insert(key, slot);
    }

    /// Disarm the timer of `key`; nothing happens when none is armed.
    pub fn disarm(&mut self, key: K) {
        if let Some(slot) = self.by_key.remove(&key) {
            self.by_time.remove(&slot);
        }
    }

    /// When the timer of `key` is due.
    pub fn armed(&self, key: K) -> Option<(Clock, Usec)> {
        self.by_key.get(&key).map(|&(clock, at, _)| (clock, at))
    }

    /// The next instant at which a timer of `clock` is due.
    pub fn next(&self, clock: Clock) -> Option<Usec> {
        self.by_time.range((clock, 0, 0)..=(clock, NEVER, u64::MAX)).next().map(|(&(_, at, _), _)| at)
    }

    /// Take one timer that is due at `now`.
    pub fn pop_due(&mut self, now: Now) -> Option<K> {
        for clock in Clock::ALL {
            let due = self.by_time.range((clock, 0, 0)..=(clock, clock.read(now), u64::MAX)).next();
            if let Some((&slot, &key)) = due {
                self.by_time.remove(&slot);
                self.by_key.remove(&key);
                return Some(key);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_pop_in_order_and_once() {
        let mut queue = TimerQueue::default();
        queue.arm(1, Clock::Monotonic, 30);
        queue.arm(2, Clock::Monotonic, 10);
        queue.arm(3, Clock::Realtime, 5);
        queue.arm(1, Clock::Monotonic, 5);
        let now = Now { realtime: 5, monotonic: 20, boottime: 0 };
        assert_eq!([queue.pop_due(now), queue.pop_due(now), queue.pop_due(now)], [Some(1), Some(2), Some(3)]);
        assert_eq!(queue.pop_due(now), None);
    }

    #[test]
    fn infinity_disarms() {
        let mut queue = TimerQueue::default();
        queue.arm(1, Clock::Boottime, 7);
        queue.arm(1, Clock::Boottime, NEVER);
        assert_eq!(queue.next(Clock::Boottime), None);
    }
}
