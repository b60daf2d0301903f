//! Whom the manager runs as, and where that user's files lie.
use crate::options::Options;
use runstead_core::names::specifiers::ManagerSpecifiers;
use runstead_core::plan::{Prefixes, UserFacts};
use runstead_os::users::{Users, own};

/// The manager's own user.
pub(crate) fn find(options: &Options, users: &Users) -> UserFacts {
    own::find(users, options.user)
}

/// What `%` stands for, as far as it is the manager's.
pub(crate) fn specifiers(options: &Options, own: &UserFacts, run_root: &str) -> ManagerSpecifiers {
    if options.user {
        own::specifiers(&Users::default(), own, run_root)
    } else {
        ManagerSpecifiers::system(run_root)
    }
}

/// Where `StateDirectory=` and the like are made.
pub(crate) fn prefixes(options: &Options, own: &UserFacts, run_root: &str) -> Prefixes {
    if !options.user {
        return Prefixes { runtime: run_root.to_owned(), ..Prefixes::default() };
    }
    let all = specifiers(options, own, run_root);
    Prefixes {
        runtime: run_root.to_owned(),
        state: all.state_root,
        cache: all.cache_root,
        logs: all.logs_root,
        configuration: all.config_root,
    }
}
