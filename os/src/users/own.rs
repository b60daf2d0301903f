//! Whom this process runs as, and where that user's files lie (file-hierarchy(7), "Home Directory").
use super::Users;
use crate::process;
use runstead_core::names::specifiers::ManagerSpecifiers;
use runstead_core::plan::UserFacts;

/// The user of this process. One without an entry in the user files is somebody all the same. With `by_variable` his home
/// directory is what `$HOME` says.
pub fn find(users: &Users, by_variable: bool) -> UserFacts {
    let (uid, gid) = process::own_ids();
    let mut own = users.by_uid(uid).unwrap_or_else(|_| UserFacts {
        name: if uid == 0 { "root".to_owned() } else { uid.to_string() },
        uid,
        gid,
        home: if uid == 0 { "/root" } else { "/" }.to_owned(),
        shell: "/bin/sh".into(),
        ..UserFacts::default()
    });
    if by_variable
        && let Ok(home) = std::env::var("HOME")
        && home.starts_with('/')
    {
        own.home = home;
    }
    own
}

/// A directory by its variable, else below the home directory.
pub fn directory(own: &UserFacts, variable: &str, default: &str) -> String {
    let given = std::env::var(variable).ok().filter(|path| path.starts_with('/'));
    given.unwrap_or_else(|| format!("{}/{default}", own.home.trim_end_matches('/')))
}

/// What `%` stands for, as far as it is this user's.
pub fn specifiers(users: &Users, own: &UserFacts, run_root: &str) -> ManagerSpecifiers {
    let state = directory(own, "XDG_STATE_HOME", ".local/state");
    ManagerSpecifiers {
        user_name: own.name.clone(),
        uid: own.uid,
        group_name: users.group_name(own.gid).unwrap_or_else(|| own.gid.to_string()),
        gid: own.gid,
        home: own.home.clone(),
        shell: own.shell.clone(),
        logs_root: format!("{state}/log"),
        state_root: state,
        cache_root: directory(own, "XDG_CACHE_HOME", ".cache"),
        config_root: directory(own, "XDG_CONFIG_HOME", ".config"),
        data_root: directory(own, "XDG_DATA_HOME", ".local/share"),
        ..ManagerSpecifiers::system(run_root)
    }
}
