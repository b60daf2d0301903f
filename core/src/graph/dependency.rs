//! Kinds of dependencies (systemd.unit(5), org.freedesktop.systemd1(5)), and what each of them causes.
//!
//! Every dependency is stored at both ends: `A Requires B` with its inverse `B RequiredBy A`. What a kind does is a set of
//! [`Atom`]s, so that jobs and propagation ask for "all units whose start failure reaches me" rather than for kinds.
use serde::{Deserialize, Serialize};

/// A kind of dependency; the names are those of the D-Bus properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
#[repr(u8)]
pub enum Dependency {
    Requires,
    Requisite,
    Wants,
    BindsTo,
    PartOf,
    Upholds,
    RequiredBy,
    RequisiteOf,
    WantedBy,
    BoundBy,
    UpheldBy,
    ConsistsOf,
    Conflicts,
    ConflictedBy,
    Before,
    After,
    OnSuccess,
    OnSuccessOf,
    OnFailure,
    OnFailureOf,
    Triggers,
    TriggeredBy,
    PropagatesReloadTo,
    ReloadPropagatedFrom,
    PropagatesStopTo,
    StopPropagatedFrom,
    JoinsNamespaceOf,
    /// Keeps the other unit in memory; has no property.
    References,
    ReferencedBy,
    InSlice,
    SliceOf,
}

use Dependency::*;

impl Dependency {
    /// Every kind, in the order of the D-Bus properties.
    pub const ALL: [Dependency; 31] = [
        Requires,
        Requisite,
        Wants,
        BindsTo,
        PartOf,
        Upholds,
        RequiredBy,
        RequisiteOf,
        WantedBy,
        BoundBy,
        UpheldBy,
        ConsistsOf,
        Conflicts,
        ConflictedBy,
        Before,
        After,
        OnSuccess,
        OnSuccessOf,
        OnFailure,
        OnFailureOf,
        Triggers,
        TriggeredBy,
        PropagatesReloadTo,
        ReloadPropagatedFrom,
        PropagatesStopTo,
        StopPropagatedFrom,
        JoinsNamespaceOf,
        References,
        ReferencedBy,
        InSlice,
        SliceOf,
    ];

    /// The kind at the other end.
    pub const fn inverse(self) -> Dependency {
        match self {
            Requires => RequiredBy,
            Requisite => RequisiteOf,
            Wants => WantedBy,
            BindsTo => BoundBy,
            PartOf => ConsistsOf,
            Upholds => UpheldBy,
            RequiredBy => Requires,
            RequisiteOf => Requisite,
            WantedBy => Wants,
            BoundBy => BindsTo,
            UpheldBy => Upholds,
            ConsistsOf => PartOf,
            Conflicts => ConflictedBy,
            ConflictedBy => Conflicts,
            Before => After,
            After => Before,
            OnSuccess => OnSuccessOf,
            OnSuccessOf => OnSuccess,
            OnFailure => OnFailureOf,
            OnFailureOf => OnFailure,
            Triggers => TriggeredBy,
            TriggeredBy => Triggers,
            PropagatesReloadTo => ReloadPropagatedFrom,
            ReloadPropagatedFrom => PropagatesReloadTo,
            PropagatesStopTo => StopPropagatedFrom,
            StopPropagatedFrom => PropagatesStopTo,
            JoinsNamespaceOf => JoinsNamespaceOf,
            References => ReferencedBy,
            ReferencedBy => References,
            InSlice => SliceOf,
            SliceOf => InSlice,
        }
    }

    /// The property name, which is also the directive's where there is one.
    pub const fn name(self) -> &'static str {
        match self {
            Requires => "Requires",
            Requisite => "Requisite",
            Wants => "Wants",
            BindsTo => "BindsTo",
            PartOf => "PartOf",
            Upholds => "Upholds",
            RequiredBy => "RequiredBy",
            RequisiteOf => "RequisiteOf",
            WantedBy => "WantedBy",
            BoundBy => "BoundBy",
            UpheldBy => "UpheldBy",
            ConsistsOf => "ConsistsOf",
            Conflicts => "Conflicts",
            ConflictedBy => "ConflictedBy",
            Before => "Before",
            After => "After",
            OnSuccess => "OnSuccess",
            OnSuccessOf => "OnSuccessOf",
            OnFailure => "OnFailure",
            OnFailureOf => "OnFailureOf",
            Triggers => "Triggers",
            TriggeredBy => "TriggeredBy",
            PropagatesReloadTo => "PropagatesReloadTo",
            ReloadPropagatedFrom => "ReloadPropagatedFrom",
            PropagatesStopTo => "PropagatesStopTo",
            StopPropagatedFrom => "StopPropagatedFrom",
            JoinsNamespaceOf => "JoinsNamespaceOf",
            References => "References",
            ReferencedBy => "ReferencedBy",
            InSlice => "InSlice",
            SliceOf => "SliceOf",
        }
    }

    /// The kind of a property or directive name (old spellings of directives included).
    pub fn from_name(name: &str) -> Option<Dependency> {
        match name {
            "BindTo" => Some(BindsTo),
            "PropagateReloadTo" => Some(PropagatesReloadTo),
            "PropagateReloadFrom" => Some(ReloadPropagatedFrom),
            _ => Dependency::ALL.into_iter().find(|kind| kind.name() == name),
        }
    }

    /// What this kind does to the unit at the other end.
    pub const fn atoms(self) -> u32 {
        use Atom::*;
        const PULLS: u32 = CheckUnneeded as u32 | WantsTargetOrder as u32;
        const PINS: u32 = PinsNeeded as u32 | TargetOrder as u32;
        const BINDS_BACK: u32 = PropagateStop as u32 | PropagateRestart as u32 | PropagateStartFailure as u32;
        match self {
            Requires => PullStart as u32 | LateStartReplace as u32 | PULLS,
            Requisite => PullVerify as u32 | PULLS,
            Wants => PullStartIgnored as u32 | LateStartFail as u32 | PULLS,
            BindsTo => PullStart as u32 | LateStartReplace as u32 | NotWithout as u32 | PULLS,
            Upholds => PullStartIgnored as u32 | LateStartReplace as u32 | CheckUpheld as u32 | PULLS,
            PartOf => WantsTargetOrder as u32,
            RequiredBy => BINDS_BACK | PINS,
            RequisiteOf => BINDS_BACK | InactiveStartFails as u32 | PINS,
            WantedBy => PINS,
            BoundBy => BINDS_BACK | LateStopOnStop as u32 | CheckBound as u32 | PINS,
            UpheldBy => StartSteadily as u32 | PINS,
            ConsistsOf => PropagateStop as u32 | PropagateRestart as u32,
            Conflicts => PullStop as u32 | LateStopOnStart as u32,
            ConflictedBy => PullStopIgnored as u32 | PropagateStopFailure as u32,
            PropagatesStopTo => LateStopOnStop as u32 | PropagateStop as u32,
            _ => 0,
        }
    }

    /// Whether this kind does `atom`.
    pub const fn has(self, atom: Atom) -> bool {
        self.atoms() & atom as u32 != 0
    }
}

/// What a dependency can cause at its other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Atom {
    /// Starting me starts it, and I fail when it cannot be.
    PullStart = 1,
    /// Starting me starts it; its failure does not matter.
    PullStartIgnored = 1 << 1,
    /// Starting me needs it running already.
    PullVerify = 1 << 2,
    /// Starting me stops it.
    PullStop = 1 << 3,
    /// Starting me stops it; failure does not matter.
    PullStopIgnored = 1 << 4,
    /// I cannot be active when it is not.
    NotWithout = 1 << 5,
    /// It shall be started as long as I am active (seen from the other end).
    StartSteadily = 1 << 6,
    /// I came up by myself: start it, replacing other jobs.
    LateStartReplace = 1 << 7,
    /// I came up by myself: start it unless that conflicts with jobs.
    LateStartFail = 1 << 8,
    /// I came up by myself: stop it.
    LateStopOnStart = 1 << 9,
    /// I went down by myself: stop it.
    LateStopOnStop = 1 << 10,
    /// Stopping me stops it.
    PropagateStop = 1 << 11,
    /// Restarting me restarts it when it runs.
    PropagateRestart = 1 << 12,
    /// My failed start fails its start job.
    PropagateStartFailure = 1 << 13,
    /// My failed stop fails its start job.
    PropagateStopFailure = 1 << 14,
    /// My start that left me inactive fails its start job.
    InactiveStartFails = 1 << 15,
    /// While it is active or has a start job I am needed.
    PinsNeeded = 1 << 16,
    /// When I go down look whether it is still needed.
    CheckUnneeded = 1 << 17,
    /// When I come up look whether it must be started.
    CheckUpheld = 1 << 18,
    /// When I go down look whether it must be stopped.
    CheckBound = 1 << 19,
    /// A target orders itself after it by default (stored at the target as `Requires`, `Wants` ...).
    WantsTargetOrder = 1 << 20,
    /// The inverse: it is perhaps a target that orders itself after me.
    TargetOrder = 1 << 21,
}

/// How many atoms there are.
const ATOMS: usize = 22;

/// For each atom the kinds that have it: bit N is for the kind at N of [`Dependency::ALL`].
const KINDS: [u32; ATOMS] = {
    let mut table = [0; ATOMS];
    let mut kind = 0;
    while kind < Dependency::ALL.len() {
        let atoms = Dependency::ALL[kind].atoms();
        let mut atom = 0;
        while atom < ATOMS {
            if atoms & (1 << atom) != 0 {
                table[atom] |= 1 << kind;
            }
            atom += 1;
        }
        kind += 1;
    }
    table
};

impl Atom {
    /// The kinds that cause it, in the order of [`Dependency::ALL`].
    pub fn kinds(self) -> impl Iterator<Item = Dependency> {
        let mut left = KINDS.get((self as u32).trailing_zeros() as usize).copied().unwrap_or(0);
        std::iter::from_fn(move || {
            let kind = Dependency::ALL.get(left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(*kind)
        })
    }
}

/// Where a dependency comes from: a set of the constants here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origins(pub u16);

impl Origins {
    /// Written in the unit's file or its `.wants/` and similar directories.
    pub const FILE: Origins = Origins(1);
    /// Implied by another setting or by the type.
    pub const IMPLICIT: Origins = Origins(1 << 1);
    /// `DefaultDependencies=`.
    pub const DEFAULT: Origins = Origins(1 << 2);
    /// The target's own default ordering.
    pub const DEFAULT_TARGET: Origins = Origins(1 << 3);
    /// `RequiresMountsFor=` and like settings.
    pub const PATH: Origins = Origins(1 << 4);
    /// From `/proc/self/mountinfo` or `/proc/swaps`, while the line is there.
    pub const KERNEL_TABLE: Origins = Origins(1 << 5);
    /// From udev, while the device is there.
    pub const UDEV: Origins = Origins(1 << 6);
    /// Made for a trigger at run time.
    pub const RUNTIME: Origins = Origins(1 << 7);
    /// `Slice=`.
    pub const SLICE: Origins = Origins(1 << 8);
    /// `.wants/`, `.requires/` and `.upholds/` directories.
    pub const DIRECTORY: Origins = Origins(1 << 9);
    /// All that is read from files or follows from them: replaced when a unit is read again.
    pub const SETTINGS: Origins = Origins(1 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 8 | 1 << 9);

    /// Both sets.
    pub const fn with(self, other: Origins) -> Origins {
        Origins(self.0 | other.0)
    }

    /// This set without the other.
    pub const fn without(self, other: Origins) -> Origins {
        Origins(self.0 & !other.0)
    }

    /// Whether nothing is left.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// One end of a dependency: what this unit's settings say, and what the other's do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// This unit caused it.
    pub mine: Origins,
    /// The unit at the other end caused it.
    pub theirs: Origins,
}

impl Edge {
    /// Caused here.
    pub const fn mine(origin: Origins) -> Edge {
        Edge { mine: origin, theirs: Origins(0) }
    }

    /// Caused there.
    pub const fn theirs(origin: Origins) -> Edge {
        Edge { mine: Origins(0), theirs: origin }
    }

    /// Both.
    pub const fn with(self, other: Edge) -> Edge {
        Edge { mine: self.mine.with(other.mine), theirs: self.theirs.with(other.theirs) }
    }

    /// This without the other.
    pub const fn without(self, other: Edge) -> Edge {
        Edge { mine: self.mine.without(other.mine), theirs: self.theirs.without(other.theirs) }
    }

    /// Whether nobody causes it any more.
    pub const fn is_empty(self) -> bool {
        self.mine.is_empty() && self.theirs.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverse_is_its_own_inverse_and_names_are_unique() {
        for kind in Dependency::ALL {
            assert_eq!(kind.inverse().inverse(), kind);
            assert_eq!(Dependency::from_name(kind.name()), Some(kind));
        }
    }

    #[test]
    fn kinds_of_an_atom_are_those_that_have_it() {
        for (bit, bits) in KINDS.into_iter().enumerate() {
            let has = |kind: &Dependency| kind.atoms() & (1 << bit) != 0;
            let named =
                (0..Dependency::ALL.len()).filter(|at| bits & (1 << at) != 0).map(|at| Dependency::ALL[at]);
            assert!(named.eq(Dependency::ALL.into_iter().filter(has)));
        }
        assert!(Atom::PullStart.kinds().eq([Requires, BindsTo]));
        assert!(Dependency::ALL.into_iter().all(|kind| kind.atoms() >> ATOMS == 0));
    }

    #[test]
    fn a_wish_does_not_propagate_failure() {
        assert!(RequiredBy.has(Atom::PropagateStartFailure));
        assert!(!WantedBy.has(Atom::PropagateStartFailure));
        assert!(BindsTo.has(Atom::NotWithout) && !Requires.has(Atom::NotWithout));
    }
}
