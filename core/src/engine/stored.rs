//! Descriptors that services stored (`FDSTORE=1`). A service may have thousands (the journal has one for each service that
//! logs), so each has a record of its own, beside its unit's: one more costs itself, not all that are there.
use super::Engine;
use super::effect::{FdId, UnitId};
use crate::units::service::{Service, StoredFd};
use crate::units::{OfKind as _, UnitKind};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// What the keys of their records begin with.
pub(super) const KEY_PREFIX: &str = "stored/";

/// Whose they are, and which of their records changed.
#[derive(Debug, Default)]
pub(super) struct Stored {
    owners: BTreeMap<FdId, UnitId>,
    dirty: BTreeSet<FdId>,
}

impl Stored {
    pub fn owner(&self, fd: FdId) -> Option<UnitId> {
        self.owners.get(&fd).copied()
    }

    pub fn remove(&mut self, fd: FdId) {
        if self.owners.remove(&fd).is_some() {
            self.dirty.insert(fd);
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredRecord<'a> {
    unit: UnitId,
    fd: FdId,
    #[serde(flatten)]
    stored: Cow<'a, StoredFd>,
}

/// The key of a stored descriptor's record.
pub fn key(fd: FdId) -> String {
    format!("{KEY_PREFIX}{}", fd.0)
}

impl Engine {
    /// The descriptor is in the service's store from now on. [`Engine::close_fd`] ends this; the service forgets it itself.
    pub(crate) fn store_fd(&mut self, id: UnitId, fd: FdId, stored: StoredFd) {
        self.stored.owners.insert(fd, id);
        self.stored.dirty.insert(fd);
        self.machine_quiet::<Service>(id).fd_store.insert(fd, stored);
    }

    /// Whose store a descriptor is in.
    pub fn store_of(&self, fd: FdId) -> Option<UnitId> {
        self.stored.owner(fd)
    }

    /// Stored descriptors whose record changed since the last call, for the state log ([`Engine::record_stored`]).
    pub fn take_dirty_stored(&mut self) -> BTreeSet<FdId> {
        std::mem::take(&mut self.stored.dirty)
    }

    /// The record of a stored descriptor; `None` when it is closed: its key is to be deleted.
    pub fn record_stored(&self, fd: FdId) -> Option<Vec<u8>> {
        let unit = self.stored.owner(fd)?;
        let stored = Service::of(&self.get(unit)?.kind)?.fd_store.get(&fd)?;
        serde_json::to_vec(&StoredRecord { unit, fd, stored: Cow::Borrowed(stored) }).ok()
    }

    /// Keys and records of all of them.
    pub(super) fn record_all_stored(&self) -> impl Iterator<Item = (String, Vec<u8>)> {
        self.stored.owners.keys().filter_map(|&fd| Some((key(fd), self.record_stored(fd)?)))
    }

    /// A service whose record still had its store: from now on each descriptor has its own.
    pub(super) fn adopt_stored(&mut self, id: UnitId) {
        let service = Service::of(&self.unit(id).kind);
        let listed: Vec<FdId> =
            service.into_iter().flat_map(|service| service.fd_store.keys().copied()).collect();
        for fd in listed {
            self.fds.remove(&fd);
            self.stored.owners.insert(fd, id);
            self.stored.dirty.insert(fd);
            self.dirty.insert(id);
        }
    }

    /// Take one up; its unit is there already.
    pub(super) fn restore_stored(&mut self, bytes: &[u8]) -> Result<(), String> {
        let record: StoredRecord<'_> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let (id, fd) = (record.unit, record.fd);
        if !self.get(id).is_some_and(|unit| matches!(unit.kind, UnitKind::Service(_))) {
            return Err("its service is not there".to_owned());
        }
        self.store_fd(id, fd, record.stored.into_owned());
        self.stored.dirty.remove(&fd);
        Ok(())
    }
}
