//! Whom the manager runs as, and where that user's files lie (file-hierarchy(7), "Home Directory").
use crate::options::Options;
use runstead_core::names::specifiers::ManagerSpecifiers;
use runstead_core::plan::{Prefixes, UserFacts};
use runstead_os::process;
use runstead_os::users::Users;

/// The manager's own user. One without an entry in the user files is somebody all the same.
pub(crate) fn find(options: &Options, users: &Users) -> UserFacts {
    let (uid, gid) = process::own_ids();
    let mut own = users.by_uid(uid).unwrap_or_else(|_| UserFacts {
        name: if uid == 0 { "root".to_owned() } else { uid.to_string() },
        uid,
        gid,
        home: if uid == 0 { "/root" } else { "/" }.to_owned(),
        shell: "/bin/sh".into(),
        ..UserFacts::default()
    });
    if options.user
        && let Ok(home) = std::env::var("HOME")
        && home.starts_with('/')
    {
        own.home = home;
    }
    own
}

/// A directory by its variable, else below the home directory.
fn directory(own: &UserFacts, variable: &str, default: &str) -> String {
    let given = std::env::var(variable).ok().filter(|path| path.starts_with('/'));
    given.unwrap_or_else(|| format!("{}/{default}", own.home.trim_end_matches('/')))
}

/// What `%` stands for, as far as it is the manager's.
pub(crate) fn specifiers(options: &Options, own: &UserFacts, run_root: &str) -> ManagerSpecifiers {
    let system = ManagerSpecifiers::system(run_root);
    if !options.user {
        return system;
    }
    let state = directory(own, "XDG_STATE_HOME", ".local/state");
    ManagerSpecifiers {
        user_name: own.name.clone(),
        uid: own.uid,
        group_name: Users::default().group_name(own.gid).unwrap_or_else(|| own.gid.to_string()),
        gid: own.gid,
        home: own.home.clone(),
        shell: own.shell.clone(),
        logs_root: format!("{state}/log"),
        state_root: state,
        cache_root: directory(own, "XDG_CACHE_HOME", ".cache"),
        config_root: directory(own, "XDG_CONFIG_HOME", ".config"),
        data_root: directory(own, "XDG_DATA_HOME", ".local/share"),
        ..system
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
