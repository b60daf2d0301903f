//! Calendar events, `OnCalendar=` (`systemd.time(7)` "Calendar Events"): the grammar and the canonical form.
//! When an event elapses next is decided in [`super::calendar_elapse`].

use super::ValueError;
use serde::{Deserialize, Serialize};
use std::fmt;

pub(super) const USEC_PER_SEC: u64 = 1_000_000;
pub(super) const YEAR_MIN: u64 = 1970;
pub(super) const YEAR_MAX: u64 = 2199;
const COMPONENTS_MAX: usize = 240;
const WHAT: &str = "calendar specification";

/// A value, a range or a repetition; seconds count in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Component {
    /// First value.
    pub start: u64,
    /// Last value of a range.
    pub stop: Option<u64>,
    /// Step; 0 for none.
    pub repeat: u64,
}

impl Component {
    fn value(start: u64) -> Component {
        Component { start, stop: None, repeat: 0 }
    }
}

/// The time zone of an event.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Zone {
    /// The machine's.
    #[default]
    Local,
    /// UTC
    Utc,
    /// A zone of the database by name.
    Named(String),
}

/// A calendar event. An empty list of components stands for `*`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Calendar {
    /// Bit 0 is Monday; `None`: any day.
    pub weekdays: Option<u8>,
    /// Years, 1970 to 2199.
    pub year: Vec<Component>,
    /// Months from 1.
    pub month: Vec<Component>,
    /// Days from 1, or counted from the month's end.
    pub day: Vec<Component>,
    /// Days count from the month's end (`~`).
    pub end_of_month: bool,
    /// Hours.
    pub hour: Vec<Component>,
    /// Minutes.
    pub minute: Vec<Component>,
    /// Seconds, in microseconds.
    pub microsecond: Vec<Component>,
    /// Whose clock it is.
    pub zone: Zone,
}

/// Parses an event. Any well-formed last word that begins with a letter is taken as a time zone.
pub fn parse(text: &str) -> Result<Calendar, ValueError> {
    parse_with(text, &looks_like_zone)
}

/// Parses an event; `is_zone` says which names are time zones.
pub fn parse_with(text: &str, is_zone: &dyn Fn(&str) -> bool) -> Result<Calendar, ValueError> {
    let fail = |reason| ValueError::new(WHAT, text, reason);
    let (body, zone) = split_zone(text, is_zone);
    let mut calendar = match shorthand(body) {
        Some(calendar) => calendar,
        None => {
            let mut parser = Parser { rest: body, calendar: Calendar::default() };
            parser.run().map_err(fail)?;
            parser.calendar
        }
    };
    if calendar.zone == Zone::Local {
        calendar.zone = zone;
    }
    calendar.normalize();
    if !calendar.is_valid() {
        return Err(fail("a value is out of range"));
    }
    Ok(calendar)
}

/// Whether a time zone can have this name: a path below the database, with none of its parts being `..`.
pub fn looks_like_zone(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && !name.contains("..")
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+-".contains(&b))
        && !DAYS.iter().any(|day| name.get(..3).is_some_and(|head| head.eq_ignore_ascii_case(&day[..3])))
}

fn split_zone<'a>(text: &'a str, is_zone: &dyn Fn(&str) -> bool) -> (&'a str, Zone) {
    match text.rsplit_once(' ') {
        Some((body, zone)) if zone.eq_ignore_ascii_case("UTC") => (body, Zone::Utc),
        Some((body, zone)) if is_zone(zone) => (body, Zone::Named(zone.to_owned())),
        _ => (text, Zone::Local),
    }
}

fn shorthand(text: &str) -> Option<Calendar> {
    let zero = || vec![Component::value(0)];
    let one = || vec![Component::value(1)];
    let months = |list: &[u64]| list.iter().map(|&m| Component::value(m)).collect::<Vec<_>>();
    let daily = Calendar { hour: zero(), minute: zero(), microsecond: zero(), ..Calendar::default() };
    let monthly = Calendar { day: one(), ..daily.clone() };
    Some(match text.to_ascii_lowercase().as_str() {
        "minutely" => Calendar { microsecond: zero(), ..Calendar::default() },
        "hourly" => Calendar { hour: Vec::new(), ..daily },
        "daily" => daily,
        "weekly" => Calendar { weekdays: Some(1), ..daily },
        "monthly" => monthly,
        "quarterly" => Calendar { month: months(&[1, 4, 7, 10]), ..monthly },
        "semiannually" | "semi-annually" | "biannually" | "bi-annually" => {
            Calendar { month: months(&[1, 7]), ..monthly }
        }
        // The last spelling is one that the reference takes as well.
        "yearly" | "annually" | "anually" => Calendar { month: one(), ..monthly },
        _ => return None,
    })
}

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

struct Parser<'a> {
    rest: &'a str,
    calendar: Calendar,
}

impl<'a> Parser<'a> {
    fn run(&mut self) -> Result<(), &'static str> {
        if self.rest.is_empty() {
            return Err("empty");
        }
        self.weekdays()?;
        if self.rest.starts_with('@') {
            return self.timestamp();
        }
        self.date()?;
        self.time()?;
        if self.rest.is_empty() { Ok(()) } else { Err("text behind the time") }
    }

    fn take(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    /// Takes a day name, long or short.
    fn day_name(&mut self) -> Option<u8> {
        for (index, day) in (0_u8..).zip(DAYS) {
            for name in [day, &day[..3]] {
                if self.rest.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name)) {
                    self.rest = self.rest.get(name.len()..).unwrap_or("");
                    return Some(index);
                }
            }
        }
        None
    }

    fn weekdays(&mut self) -> Result<(), &'static str> {
        let mut set = 0_u8;
        let mut range_from: Option<u8> = None;
        loop {
            let Some(day) = self.day_name() else {
                return if set == 0 && range_from.is_none() {
                    Ok(())
                } else {
                    Err("day of the week expected")
                };
            };
            let first = range_from.take().unwrap_or(day);
            if first > day {
                return Err("a range of days that falls");
            }
            set |= (first..=day).fold(0, |bits, d| bits | 1 << d);
            self.calendar.weekdays = Some(set);
            if self.take("..") || self.take("-") {
                range_from = Some(day);
            } else if !self.take(",") {
                if self.rest.is_empty() || self.rest.starts_with(' ') {
                    self.skip_spaces();
                    return Ok(());
                }
                return Err("space or comma expected behind the day");
            } else if self.rest.is_empty() || self.rest.starts_with(' ') {
                // A comma may end the list.
                self.skip_spaces();
                return Ok(());
            }
        }
    }

    /// `@SECONDS` since the epoch, in UTC.
    fn timestamp(&mut self) -> Result<(), &'static str> {
        let digits = self.rest.get(1..).unwrap_or("");
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err("seconds expected behind @");
        }
        let seconds: i64 = digits.parse().map_err(|_| "too large")?;
        let time = jiff::Timestamp::from_second(seconds).map_err(|_| "too large")?;
        let civil = jiff::tz::Offset::UTC.to_datetime(time);
        let field =
            |value: i64| u64::try_from(value).map(|v| vec![Component::value(v)]).map_err(|_| "too early");
        let calendar = &mut self.calendar;
        calendar.year = field(i64::from(civil.year()))?;
        calendar.month = field(i64::from(civil.month()))?;
        calendar.day = field(i64::from(civil.day()))?;
        calendar.hour = field(i64::from(civil.hour()))?;
        calendar.minute = field(i64::from(civil.minute()))?;
        calendar.microsecond = field(i64::from(civil.second()) * 1_000_000)?;
        calendar.zone = Zone::Utc;
        self.rest = "";
        Ok(())
    }

    fn date(&mut self) -> Result<(), &'static str> {
        if self.rest.is_empty() {
            return Ok(());
        }
        let start = self.rest;
        let first = self.chain(false)?;
        if self.rest.is_empty() || self.rest.starts_with(':') {
            self.rest = start;
            return Ok(());
        }
        let mut from_end = self.date_separator()?;
        let second = self.chain(false)?;
        let (year, month, day) = if self.rest.is_empty() || self.rest.starts_with(' ') {
            (Vec::new(), first, second)
        } else {
            if from_end {
                return Err("~ stands only before the day");
            }
            from_end = self.date_separator()?;
            (first, second, self.chain(false)?)
        };
        if !self.rest.is_empty() && !self.rest.starts_with(' ') {
            return Err("space expected behind the date");
        }
        self.skip_spaces();
        let calendar = &mut self.calendar;
        (calendar.year, calendar.month, calendar.day, calendar.end_of_month) = (year, month, day, from_end);
        Ok(())
    }

    fn date_separator(&mut self) -> Result<bool, &'static str> {
        if self.take("~") {
            Ok(true)
        } else if self.take("-") {
            Ok(false)
        } else {
            Err("- or ~ expected in the date")
        }
    }

    fn time(&mut self) -> Result<(), &'static str> {
        let zero = || vec![Component::value(0)];
        let (hour, minute, microsecond) = if self.rest.is_empty() {
            (zero(), zero(), zero())
        } else {
            let hour = self.chain(false)?;
            if !self.take(":") {
                return Err("colon expected behind the hour");
            }
            let minute = self.chain(false)?;
            let second = if self.rest.is_empty() {
                zero()
            } else if self.take(":") {
                self.chain(true)?
            } else {
                return Err("colon expected behind the minute");
            };
            (hour, minute, second)
        };
        let calendar = &mut self.calendar;
        (calendar.hour, calendar.minute, calendar.microsecond) = (hour, minute, microsecond);
        Ok(())
    }

    /// `*`, or components separated by commas.
    fn chain(&mut self, seconds: bool) -> Result<Vec<Component>, &'static str> {
        if self.take("*") {
            let every = Component { start: 0, stop: None, repeat: USEC_PER_SEC };
            return Ok(if seconds { vec![every] } else { Vec::new() });
        }
        let mut chain = Vec::new();
        loop {
            if chain.len() >= COMPONENTS_MAX {
                return Err("too many values");
            }
            let component = self.component(seconds)?;
            chain.push(component);
            if !self.take(",") {
                return Ok(chain);
            }
        }
    }

    fn component(&mut self, seconds: bool) -> Result<Component, &'static str> {
        let start = self.number(seconds)?;
        let (mut stop, mut repeat) = (None, 0);
        if self.take("..") {
            stop = Some(self.number(seconds)?);
            repeat = if seconds { USEC_PER_SEC } else { 1 };
        }
        if self.take("/") {
            repeat = self.number(seconds)?;
            if repeat == 0 {
                return Err("a repetition of zero");
            }
        }
        if !self.rest.is_empty() && !self.rest.starts_with([' ', ',', '-', '~', ':']) {
            return Err("unexpected character");
        }
        Ok(Component { start, stop, repeat })
    }

    fn number(&mut self, seconds: bool) -> Result<u64, &'static str> {
        let (digits, after) = super::split_digits(self.rest);
        if digits.is_empty() {
            return Err("number expected");
        }
        let mut value = u64::from(digits.parse::<u32>().map_err(|_| "too large")?);
        if i32::try_from(value).is_err() {
            return Err("too large");
        }
        self.rest = after;
        if seconds {
            value *= USEC_PER_SEC;
            if let Some(after) = after.strip_prefix('.').filter(|after| !after.starts_with('.')) {
                let (fraction, after) = super::split_digits(after);
                if fraction.is_empty() {
                    return Err("number expected");
                }
                value += microseconds(fraction);
                self.rest = after;
            }
        }
        Ok(value)
    }
}

/// Decimals of a second, rounded at the seventh digit.
fn microseconds(digits: &str) -> u64 {
    let digit = |at: usize| u64::from(digits.as_bytes().get(at).map_or(0, |b| b.saturating_sub(b'0')));
    let whole = (0..6).fold(0, |sum, at| sum * 10 + digit(at));
    whole + u64::from(digit(6) >= 5)
}

fn normalize_chain(chain: &mut Vec<Component>) {
    for component in chain.iter_mut() {
        if let Some(stop) = component.stop.as_mut()
            && *stop > component.start
            && component.repeat > 0
        {
            *stop -= (*stop - component.start) % component.repeat;
        }
        if component.stop == Some(component.start) {
            *component = Component::value(component.start);
        }
    }
    chain.sort_unstable();
    chain.dedup();
}

fn fix_year(year: &mut u64) {
    match *year {
        0..=69 => *year += 2000,
        70..=99 => *year += 1900,
        _ => {}
    }
}

fn chain_is_valid(chain: &[Component], from: u64, to: u64, end_of_month: bool) -> bool {
    chain.iter().all(|component| {
        let in_range = |value: u64| (from..=to).contains(&value);
        if !in_range(component.start) || component.repeat > to - from {
            return false;
        }
        match component.stop {
            Some(stop) => in_range(stop) && component.start + component.repeat <= stop,
            None if end_of_month => component.start >= from + component.repeat,
            None => component.start + component.repeat <= to,
        }
    })
}

impl Calendar {
    fn normalize(&mut self) {
        if self.weekdays.is_some_and(|days| days == 0 || days >= 127) {
            self.weekdays = None;
        }
        if self.day.is_empty() {
            self.end_of_month = false;
        }
        for component in &mut self.year {
            fix_year(&mut component.start);
            component.stop.iter_mut().for_each(fix_year);
        }
        let chains = [
            &mut self.year,
            &mut self.month,
            &mut self.day,
            &mut self.hour,
            &mut self.minute,
            &mut self.microsecond,
        ];
        chains.into_iter().for_each(normalize_chain);
    }

    fn is_valid(&self) -> bool {
        chain_is_valid(&self.year, YEAR_MIN, YEAR_MAX, false)
            && chain_is_valid(&self.month, 1, 12, false)
            && chain_is_valid(&self.day, 1, 31, self.end_of_month)
            && chain_is_valid(&self.hour, 0, 23, false)
            && chain_is_valid(&self.minute, 0, 59, false)
            && chain_is_valid(&self.microsecond, 0, 60 * USEC_PER_SEC - 1, false)
    }
}

/// The canonical form, as `systemd-analyze calendar` prints it.
pub fn format(calendar: &Calendar) -> String {
    calendar.to_string()
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(days) = self.weekdays {
            write_weekdays(f, days)?;
            f.write_str(" ")?;
        }
        write_chain(f, &self.year, 4)?;
        f.write_str("-")?;
        write_chain(f, &self.month, 2)?;
        f.write_str(if self.end_of_month { "~" } else { "-" })?;
        write_chain(f, &self.day, 2)?;
        f.write_str(" ")?;
        write_chain(f, &self.hour, 2)?;
        f.write_str(":")?;
        write_chain(f, &self.minute, 2)?;
        f.write_str(":")?;
        write_seconds(f, &self.microsecond)?;
        match &self.zone {
            Zone::Local => Ok(()),
            Zone::Utc => f.write_str(" UTC"),
            Zone::Named(name) => write!(f, " {name}"),
        }
    }
}

/// Runs of three or more days as a range.
fn write_weekdays(f: &mut fmt::Formatter<'_>, days: u8) -> fmt::Result {
    let set: Vec<usize> = (0..7).filter(|day| days & (1 << day) != 0).collect();
    let mut words: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(&first) = set.get(at) {
        let length = (at..set.len()).take_while(|&i| set.get(i) == Some(&(first + i - at))).count();
        let short = |day: usize| &DAYS[day.min(6)][..3];
        match length {
            3.. => words.push(format!("{}..{}", short(first), short(first + length - 1))),
            _ => words.extend((first..first + length).map(|day| short(day).to_owned())),
        }
        at += length;
    }
    f.write_str(&words.join(","))
}

fn write_chain(f: &mut fmt::Formatter<'_>, chain: &[Component], width: usize) -> fmt::Result {
    if chain.is_empty() {
        return f.write_str("*");
    }
    for (index, component) in chain.iter().enumerate() {
        write!(f, "{}{:0width$}", if index > 0 { "," } else { "" }, component.start)?;
        if let Some(stop) = component.stop {
            write!(f, "..{stop:0width$}")?;
        }
        if component.repeat > 0 && !(component.stop.is_some() && component.repeat == 1) {
            write!(f, "/{}", component.repeat)?;
        }
    }
    Ok(())
}

fn write_seconds(f: &mut fmt::Formatter<'_>, chain: &[Component]) -> fmt::Result {
    let every = Component { start: 0, stop: None, repeat: USEC_PER_SEC };
    if chain.is_empty() || chain == [every] {
        return f.write_str("*");
    }
    let fraction = |f: &mut fmt::Formatter<'_>, value: u64| match value % USEC_PER_SEC {
        0 => Ok(()),
        part => write!(f, ".{part:06}"),
    };
    for (index, component) in chain.iter().enumerate() {
        write!(f, "{}{:02}", if index > 0 { "," } else { "" }, component.start / USEC_PER_SEC)?;
        fraction(f, component.start)?;
        if let Some(stop) = component.stop {
            write!(f, "..{:02}", stop / USEC_PER_SEC)?;
            fraction(f, stop)?;
        }
        if component.repeat > 0 && !(component.stop.is_some() && component.repeat == USEC_PER_SEC) {
            write!(f, "/{}", component.repeat / USEC_PER_SEC)?;
            fraction(f, component.repeat)?;
        }
    }
    Ok(())
}
