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
}

#[derive(Debug)]
enum Named {
    Asked,
    Missing,
    Known(TimeZone),
}

impl Zones {
    /// With the file of the machine's zone; empty: UTC.
    pub fn new(local: &[u8]) -> Zones {
        Zones { local: read("local", local).unwrap_or(TimeZone::UTC), named: BTreeMap::new() }
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
            Zone::Named(name) => match self.zones.named.get(name.as_str()) {
                Some(Named::Known(zone)) => Some(zone),
                Some(Named::Asked | Named::Missing) | None => None,
            },
        }
    }

    /// Whether the name may be one of a zone, as far as is known.
    pub(super) fn may_be_zone(&self, name: &str) -> bool {
        calendar::looks_like_zone(name) && !matches!(self.zones.named.get(name), Some(Named::Missing))
    }

    /// Ask for the zones that a timer names and nobody asked for yet.
    pub(crate) fn ask_for_zones(&mut self, id: UnitId) {
        let settings = self.unit(id).settings.clone();
        for name in zones_of(&settings) {
            if self.zones.named.contains_key(&name) {
                continue;
            }
            self.zones.named.insert(name.clone(), Named::Asked);
            self.store.loading += 1;
            self.emit(Effect::ReadZone(name));
        }
    }

    /// The answer: timers wait for it.
    pub(super) fn zone_read(&mut self, name: Rc<str>, file: Option<&[u8]>) {
        self.store.loading = self.store.loading.saturating_sub(1);
        match file.and_then(|file| read(&name, file)) {
            Some(zone) => {
                self.zones.named.insert(name, Named::Known(zone));
            }
            None => {
                let concerned = |&id: &UnitId| zones_of(&self.unit(id).settings).any(|other| other == name);
                let concerned: Vec<UnitId> = self.timer_units().into_iter().filter(concerned).collect();
                self.zones.named.insert(name, Named::Missing);
                self.store.reread.extend(&concerned);
                self.store.to_load.extend(concerned);
            }
        }
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

    /// `daemon-reload`: the database may be another now.
    pub(super) fn forget_zones(&mut self) {
        if !std::mem::take(&mut self.zones.named).is_empty() {
            let timers = self.timer_units();
            self.store.reread.extend(timers);
        }
    }

    /// All timers. Walks all units: for what happens rarely.
    pub(super) fn timer_units(&self) -> Vec<UnitId> {
        self.units().filter(|unit| unit.unit_type() == UnitType::Timer).map(|unit| unit.id).collect()
    }
}
