//! When a calendar event elapses next, in a given time zone.

use super::calendar::{Calendar, Component, YEAR_MAX};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};

/// Local times that do not exist or lie too early are skipped at most this often before the answer is "never";
/// the reference gives up likewise.
const TRIES_MAX: usize = 1000;
/// Steps of the search for one local time: more than the months and days from 1970 to 2199.
const STEPS_MAX: usize = 200_000;

/// A local time of which only the order matters; fields run over their bounds while searching.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Civil {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    microsecond: u64,
}

impl Calendar {
    /// The first time after `after` (microseconds since the epoch) at which the event elapses; `None`: never.
    /// `zone` is the zone that [`Calendar::zone`] names.
    pub fn next_elapse(&self, after: u64, zone: &TimeZone) -> Option<u64> {
        let after_time = Timestamp::from_microsecond(i64::try_from(after).ok()?).ok()?;
        let mut from = Civil::of(zone.to_datetime(after_time.checked_add(1.microsecond()).ok()?))?;
        for _ in 0..TRIES_MAX {
            let found = self.first_from(from)?;
            let local = found.to_datetime()?;
            let ambiguous = zone.to_ambiguous_timestamp(local);
            match ambiguous.offset() {
                AmbiguousOffset::Gap { .. } => {
                    // This local time does not exist: go on where the clock continues.
                    let behind = ambiguous.later().ok()?;
                    let resumes = zone.to_datetime(zone.preceding(behind).next()?.timestamp());
                    from = Civil::of(resumes)?.max(found.successor());
                }
                AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => {
                    // Where the clock is set back only the round counts in which the search begins, as in the
                    // reference.
                    let (first, second) = (ambiguous.earlier().ok()?, ambiguous.later().ok()?);
                    let in_second = zone.to_offset(after_time) == zone.to_offset(second);
                    let time = if first <= after_time && in_second { second } else { first };
                    if time > after_time {
                        return u64::try_from(time.as_microsecond()).ok();
                    }
                    from = end_of_first_round(zone, first)?.max(found.successor());
                }
            }
        }
        None
    }

    /// The first local time from `from` on that all parts of the event match.
    fn first_from(&self, from: Civil) -> Option<Civil> {
        let mut at = from;
        for _ in 0..STEPS_MAX {
            let year = next_in(&self.year, at.year)?;
            if year > YEAR_MAX {
                return None;
            }
            if year > at.year {
                at = Civil::start(year, 1, 1);
            }
            match next_in(&self.month, at.month).filter(|&month| month <= 12) {
                None => {
                    at = Civil::start(at.year + 1, 1, 1);
                    continue;
                }
                Some(month) if month > at.month => at = Civil::start(at.year, month, 1),
                Some(_) => {}
            }
            match self.next_day(at.year, at.month, at.day) {
                None => {
                    at = Civil::start(at.year, at.month + 1, 1);
                    continue;
                }
                Some(day) if day > at.day => at = Civil::start(at.year, at.month, day),
                Some(_) => {}
            }
            if !self.weekday_matches(at)? {
                at = Civil::start(at.year, at.month, at.day + 1);
                continue;
            }
            match self.next_time(at) {
                Some((hour, minute, microsecond)) => return Some(Civil { hour, minute, microsecond, ..at }),
                None => at = Civil::start(at.year, at.month, at.day + 1),
            }
        }
        None
    }

    fn next_day(&self, year: u64, month: u64, day: u64) -> Option<u64> {
        let days = days_in_month(year, month)?;
        let found = if self.end_of_month {
            let from_end = |n: u64| (days + 1).checked_sub(n).filter(|&day| day > 0);
            // Counted from the end, a range's last value is the earlier day.
            let turned: Vec<Component> = self
                .day
                .iter()
                .filter_map(|c| {
                    let start = from_end(c.start);
                    match c.stop {
                        None => Some(Component { start: start?, ..*c }),
                        Some(stop) => {
                            Some(Component { start: from_end(stop).unwrap_or(1), stop: start, ..*c })
                        }
                    }
                })
                .collect();
            if turned.is_empty() { None } else { next_in(&turned, day) }
        } else {
            next_in(&self.day, day)
        };
        found.filter(|&day| day <= days)
    }

    fn weekday_matches(&self, at: Civil) -> Option<bool> {
        let Some(days) = self.weekdays else { return Some(true) };
        let weekday = at.to_datetime()?.weekday().to_monday_zero_offset();
        Some(days & (1 << weekday) != 0)
    }

    /// The first time of day from that of `at` on.
    fn next_time(&self, at: Civil) -> Option<(u64, u64, u64)> {
        let second_from = |from: u64| next_in(&self.microsecond, from).filter(|&v| v < 60_000_000);
        let minute_from = |from: u64, second: u64| -> Option<(u64, u64)> {
            let minute = next_in(&self.minute, from).filter(|&v| v < 60)?;
            if let Some(us) = second_from(if minute > from { 0 } else { second }) {
                return Some((minute, us));
            }
            let minute = next_in(&self.minute, minute + 1).filter(|&v| v < 60)?;
            Some((minute, second_from(0)?))
        };
        let hour = next_in(&self.hour, at.hour).filter(|&v| v < 24)?;
        let (minute, second) = if hour > at.hour { (0, 0) } else { (at.minute, at.microsecond) };
        if let Some((minute, us)) = minute_from(minute, second) {
            return Some((hour, minute, us));
        }
        let hour = next_in(&self.hour, hour + 1).filter(|&v| v < 24)?;
        let (minute, us) = minute_from(0, 0)?;
        Some((hour, minute, us))
    }
}

/// The local time at which the clock is set back next after `time`.
fn end_of_first_round(zone: &TimeZone, time: Timestamp) -> Option<Civil> {
    let last = zone.following(time).next()?.timestamp().checked_sub(1.microsecond()).ok()?;
    Civil::of(zone.to_datetime(last)).map(Civil::successor)
}

/// The first value from `from` on that the list has; any value where it is empty.
fn next_in(chain: &[Component], from: u64) -> Option<u64> {
    if chain.is_empty() {
        return Some(from);
    }
    let of = |c: &Component| {
        if c.start >= from {
            return Some(c.start);
        }
        if c.repeat == 0 {
            return None;
        }
        let steps = (from - c.start).div_ceil(c.repeat);
        let value = c.start.checked_add(steps.checked_mul(c.repeat)?)?;
        c.stop.is_none_or(|stop| value <= stop).then_some(value)
    };
    chain.iter().filter_map(of).min()
}

fn days_in_month(year: u64, month: u64) -> Option<u64> {
    let date = jiff::civil::Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, 1).ok()?;
    u64::try_from(date.days_in_month()).ok()
}

impl Civil {
    fn start(year: u64, month: u64, day: u64) -> Civil {
        Civil { year, month, day, hour: 0, minute: 0, microsecond: 0 }
    }

    fn of(time: DateTime) -> Option<Civil> {
        let field = |value: i64| u64::try_from(value).ok();
        Some(Civil {
            year: field(i64::from(time.year()))?,
            month: field(i64::from(time.month()))?,
            day: field(i64::from(time.day()))?,
            hour: field(i64::from(time.hour()))?,
            minute: field(i64::from(time.minute()))?,
            microsecond: field(
                i64::from(time.second()) * 1_000_000 + i64::from(time.subsec_nanosecond()) / 1000,
            )?,
        })
    }

    fn to_datetime(self) -> Option<DateTime> {
        DateTime::new(
            i16::try_from(self.year).ok()?,
            i8::try_from(self.month).ok()?,
            i8::try_from(self.day).ok()?,
            i8::try_from(self.hour).ok()?,
            i8::try_from(self.minute).ok()?,
            i8::try_from(self.microsecond / 1_000_000).ok()?,
            i32::try_from(self.microsecond % 1_000_000 * 1000).ok()?,
        )
        .ok()
    }

    fn successor(self) -> Civil {
        Civil { microsecond: self.microsecond + 1, ..self }
    }
}
