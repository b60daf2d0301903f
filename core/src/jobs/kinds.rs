//! Job types: which two can be one, and what an alternative collapses to for a unit's state.
use crate::engine::effect::JobType;
use crate::units::ActiveState;

/// As on the bus.
pub const fn as_str(kind: JobType) -> &'static str {
    match kind {
        JobType::Start => "start",
        JobType::VerifyActive => "verify-active",
        JobType::Stop => "stop",
        JobType::Reload => "reload",
        JobType::Restart => "restart",
        JobType::Nop => "nop",
        JobType::TryRestart => "try-restart",
        JobType::TryReload => "try-reload",
        JobType::ReloadOrStart => "reload-or-start",
    }
}

/// The one job that does what two jobs of a unit ask for; `None` when they exclude each other.
/// `ReloadOrStart` can come out and must be collapsed.
pub const fn merge(a: JobType, b: JobType) -> Option<JobType> {
    use JobType::*;
    Some(match (a, b) {
        (Start, Start) | (Start, VerifyActive) | (VerifyActive, Start) => Start,
        (VerifyActive, VerifyActive) => VerifyActive,
        (Stop, Stop) => Stop,
        (Reload, Reload) | (Reload, VerifyActive) | (VerifyActive, Reload) => Reload,
        (Start, Reload) | (Reload, Start) => ReloadOrStart,
        (Restart, Start | VerifyActive | Reload | Restart) | (Start | VerifyActive | Reload, Restart) => {
            Restart
        }
        _ => return None,
    })
}

/// The plain type that an alternative means for a unit in this state; [`JobType::Nop`]: nothing to do.
pub const fn collapse(kind: JobType, state: ActiveState) -> JobType {
    use JobType::*;
    match kind {
        TryRestart if state.is_down_or_deactivating() => Nop,
        TryRestart => Restart,
        TryReload if state.is_down_or_deactivating() => Nop,
        TryReload => Reload,
        ReloadOrStart if state.is_down_or_deactivating() => Start,
        ReloadOrStart => Reload,
        plain => plain,
    }
}

/// [`merge`], then [`collapse`].
pub const fn merge_and_collapse(a: JobType, b: JobType, state: ActiveState) -> Option<JobType> {
    match merge(a, b) {
        Some(kind) => Some(collapse(kind, state)),
        None => None,
    }
}

/// Whether a running `a` does what `b` asks for.
pub const fn covers(a: JobType, b: JobType) -> bool {
    match merge(a, b) {
        Some(both) => both as u8 == a as u8,
        None => false,
    }
}

/// Whether a job of this type may join one that runs already: a reload may not, its configuration may be newer.
pub const fn may_join_late(kind: JobType) -> bool {
    !matches!(kind, JobType::Reload)
}

/// Whether a unit in this state needs no such job.
pub const fn is_redundant(kind: JobType, state: ActiveState) -> bool {
    match kind {
        JobType::Start | JobType::VerifyActive => state.is_up(),
        JobType::Stop => state.is_down(),
        JobType::Reload => matches!(state, ActiveState::Reloading),
        JobType::Restart => matches!(state, ActiveState::Activating),
        JobType::Nop => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use JobType::*;

    #[test]
    fn merging_is_symmetric_and_only_stop_excludes() {
        for a in [Start, VerifyActive, Stop, Reload, Restart] {
            for b in [Start, VerifyActive, Stop, Reload, Restart] {
                assert_eq!(merge(a, b), merge(b, a));
                assert_eq!(merge(a, b).is_none(), (a == Stop) != (b == Stop));
            }
        }
    }

    #[test]
    fn reload_and_start_become_what_the_state_needs() {
        assert_eq!(merge_and_collapse(Start, Reload, ActiveState::Inactive), Some(Start));
        assert_eq!(merge_and_collapse(Start, Reload, ActiveState::Active), Some(Reload));
    }

    #[test]
    fn try_jobs_do_nothing_to_a_unit_that_is_down() {
        assert_eq!(collapse(TryRestart, ActiveState::Failed), Nop);
        assert_eq!(collapse(TryRestart, ActiveState::Activating), Restart);
        assert_eq!(collapse(TryReload, ActiveState::Deactivating), Nop);
    }
}
