//! `org.runstead.Rundir1`, on every unit: what it takes of the run root. An interface of ours, so that the reference's stay as they are.
use super::errors::Error;
use super::facts::Facts;
use runstead_core::engine::Unit;
use runstead_core::rundir::Share;
use runstead_wire::dbus::Writer;

/// Its name.
pub const INTERFACE: &str = "org.runstead.Rundir1";

/// A property: its name, and what it is of a share. All are `t`, and no change is told.
pub type Row = (&'static str, fn(&Share) -> u64);

/// All of them.
pub const ROWS: [Row; 2] = [("Bytes", |share| share.bytes), ("Inodes", |share| share.inodes)];

/// Whether `Get` of this is answered from here. None of the other interfaces of a unit has these names.
pub fn is_asked(interface: &str, property: &str) -> bool {
    interface == INTERFACE || interface.is_empty() && ROWS.iter().any(|(name, _)| *name == property)
}

/// `Get`: the value as a variant.
pub fn get(facts: &dyn Facts, unit: &Unit, property: &str, writer: &mut Writer) -> Result<(), Error> {
    let row = ROWS.iter().find(|(name, _)| *name == property);
    let (_, value) = row.ok_or_else(|| Error::unknown_property(INTERFACE, property))?;
    let share = facts.share(&unit.name).ok_or_else(|| {
        Error::new(
            "org.freedesktop.DBus.Error.Failed",
            "What units take of the run root cannot be found out now.",
        )
    })?;
    writer.variant("t", |w| {
        w.u64(value(&share));
    });
    Ok(())
}

/// The entries of `GetAll`; none where nobody could look.
pub fn entries(facts: &dyn Facts, unit: &Unit, writer: &mut Writer) {
    let Some(share) = facts.share(&unit.name) else { return };
    for (name, value) in ROWS {
        writer.entry_sv(name, "t", |w| {
            w.u64(value(&share));
        });
    }
}
