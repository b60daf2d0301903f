//! Time zones of calendar events: the machine's, and those that events name. The shell reads their files (tzfile(5)).
//!
//! A timer that names a zone nobody asked for yet counts as being read until the answer is there. When there is no such
//! zone its files are read once more, and the line is refused as any other that makes no sense.
use super::Engine;
use super::effect::{Effect, UnitId};
use crate::names::UnitType;
use crate::settings::Settings;
use crate::units::machine;
use crate::values::calendar::{self, Zone};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::rc::Rc;

#[derive(Debug)]
pub(super) struct Zones {
    local: TimeZone,
    named: BTreeMap<Rc<str>, Named>,
    /// Questions without an answer.
    asked: usize,
}

#[derive(Debug)]
struct Named {
    /// What is known of it, perhaps from before a reload.
    zone: Option<TimeZone>,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Asked,
    Answered,
    /// A reload began: the database may be another now.
    Old,
}

impl Zones {
    /// With the file of the machine's zone; empty: UTC.
    pub fn new(local: &[u8]) -> Zones {
        let local = read("local", local).unwrap_or(TimeZone::UTC);
        Zones { local, named: BTreeMap::new(), asked: 0 }
    }

    /// Whether no answer is missing.
    pub fn are_known(&self) -> bool {
        self.asked == 0
    }
}

fn read(name: &str, file: &[u8]) -> Option<TimeZone> {
    TimeZone::tzif(name, file).ok()
}

/// Names of zones in the calendar lines of a timer.
fn zones_of(settings: &Settings) -> impl Iterator<Item = Rc<str>> + '_ {
    let calendars = settings.timers().iter().filter(|(name, _)| &**name == "OnCalendar");
    calendars.filter_map(|(_, text)| match calendar::parse(text).ok()?.zone {
        Zone::Named(name) => Some(name.into()),
        Zone::Local | Zone::Utc => None,
    })
}

impl Engine {
    /// The zone of a calendar event; `None` when it is not known, or not known yet.
    pub(crate) fn zone(&self, zone: &Zone) -> Option<&TimeZone> {
        const UTC: &TimeZone = &TimeZone::UTC;
        match zone {
            Zone::Utc => Some(UTC),
            Zone::Local => Some(&self.zones.local),
            Zone::Named(name) => self.zones.named.get(name.as_str())?.zone.as_ref(),
        }
    }

    /// Whether the name may be one of a zone, as far as is known.
    pub(super) fn may_be_zone(&self, name: &str) -> bool {
        let is_missing = |named: &Named| named.standing == Standing::Answered && named.zone.is_none();
        calendar::looks_like_zone(name) && !self.zones.named.get(name).is_some_and(is_missing)
    }

    /// Ask for the zones that a timer names and nobody asked for yet.
    pub(crate) fn ask_for_zones(&mut self, id: UnitId) {
        let settings = self.unit(id).settings.clone();
        for name in zones_of(&settings) {
            let new = Named { zone: None, standing: Standing::Old };
            let named = self.zones.named.entry(name.clone()).or_insert(new);
            if named.standing == Standing::Old {
                named.standing = Standing::Asked;
                self.zones.asked += 1;
                self.emit(Effect::ReadZone(name));
            }
        }
    }

    /// The answer: timers wait for it.
    pub(super) fn zone_read(&mut self, name: Rc<str>, file: Option<&[u8]>) {
        self.zones.asked = self.zones.asked.saturating_sub(1);
        let zone = file.and_then(|file| read(&name, file));
        if zone.is_none() {
            let concerned = |&id: &UnitId| zones_of(&self.unit(id).settings).any(|other| other == name);
            let concerned: Vec<UnitId> = self.timer_units().into_iter().filter(concerned).collect();
            self.store.reread.extend(&concerned);
            self.store.to_load.extend(concerned);
        }
        self.zones.named.insert(name, Named { zone, standing: Standing::Answered });
        if self.is_settled() {
            self.end_of_loading();
        }
    }

    /// The machine is in another zone: what is due by its clock is due at another time.
    pub(super) fn local_zone_changed(&mut self, file: Option<&[u8]>) {
        self.zones.local = file.and_then(|file| read("local", file)).unwrap_or(TimeZone::UTC);
        for id in self.timer_units() {
            machine::call::zone_changed(self.unit(id).unit_type(), self, id);
        }
    }

    /// `daemon-reload`: the database may be another now. Until it has been asked, timers go by what was known.
    pub(super) fn forget_zones(&mut self) {
        self.zones.named.retain(|_, named| named.standing != Standing::Old);
        for named in self.zones.named.values_mut().filter(|named| named.standing == Standing::Answered) {
            named.standing = Standing::Old;
        }
        if !self.zones.named.is_empty() {
            let timers = self.timer_units();
            self.store.reread.extend(timers);
        }
    }

    /// All timers. Walks all units: for what happens rarely.
    pub(super) fn timer_units(&self) -> Vec<UnitId> {
        self.units().filter(|unit| unit.unit_type() == UnitType::Timer).map(|unit| unit.id).collect()
    }
}
