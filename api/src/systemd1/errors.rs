//! Error names: clients branch on them, so they are the reference's.
use runstead_core::engine::effect::{Failure, FailureKind};

pub use crate::error::Error;

impl Error {
    /// `org.freedesktop.systemd1.NoSuchUnit`.
    pub fn not_loaded(name: &str) -> Error {
        Error::new("org.freedesktop.systemd1.NoSuchUnit", format!("Unit {name} not loaded."))
    }
}

impl From<&Failure> for Error {
    fn from(failure: &Failure) -> Error {
        Error::new(error_name(failure.kind), &*failure.message)
    }
}

/// The D-Bus error name of a refusal by the engine.
pub fn error_name(kind: FailureKind) -> &'static str {
    use FailureKind::*;
    match kind {
        NoSuchUnit => "org.freedesktop.systemd1.NoSuchUnit",
        NoSuchJob => "org.freedesktop.systemd1.NoSuchJob",
        NoUnitForPid => "org.freedesktop.systemd1.NoUnitForPID",
        UnitExists => "org.freedesktop.systemd1.UnitExists",
        LoadFailed => "org.freedesktop.systemd1.LoadFailed",
        BadUnitSetting => "org.freedesktop.systemd1.BadUnitSetting",
        UnitMasked => "org.freedesktop.systemd1.UnitMasked",
        UnitGenerated => "org.freedesktop.systemd1.UnitGenerated",
        UnitLinked => "org.freedesktop.systemd1.UnitLinked",
        JobTypeNotApplicable => "org.freedesktop.systemd1.JobTypeNotApplicable",
        NoIsolation => "org.freedesktop.systemd1.NoIsolation",
        OnlyByDependency => "org.freedesktop.systemd1.OnlyByDependency",
        TransactionIsDestructive => "org.freedesktop.systemd1.TransactionIsDestructive",
        TransactionJobsConflicting => "org.freedesktop.systemd1.TransactionJobsConflicting",
        TransactionOrderIsCyclic => "org.freedesktop.systemd1.TransactionOrderIsCyclic",
        NoSuchProcess => "org.freedesktop.systemd1.NoSuchProcess",
        NotReferenced => "org.freedesktop.systemd1.NotReferenced",
        UnitInactive => "org.freedesktop.systemd1.UnitInactive",
        FileExists => "org.freedesktop.DBus.Error.FileExists",
        NotSupported => "org.freedesktop.DBus.Error.NotSupported",
        InvalidArgs => "org.freedesktop.DBus.Error.InvalidArgs",
        AccessDenied => "org.freedesktop.DBus.Error.AccessDenied",
        LimitsExceeded => "org.freedesktop.DBus.Error.LimitsExceeded",
        Busy => "System.Error.EBUSY",
        ScopeNotRunning => "org.freedesktop.systemd1.ScopeNotRunning",
        ShuttingDown => "org.freedesktop.systemd1.ShuttingDown",
        Io => "org.freedesktop.DBus.Error.IOError",
        NothingToClean => "org.freedesktop.systemd1.NothingToClean",
        UnitBusy => "org.freedesktop.systemd1.UnitBusy",
    }
}
