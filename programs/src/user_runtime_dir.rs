//! `runstead user-runtime-dir`, and `systemd-user-runtime-dir` when it is called by that name.
use runstead_manager::client::Client;
use runstead_os::rundir::{UserDirectory, remove_user_directory};
use runstead_os::users::{Database, LookupError, Users, asked};
use runstead_wire::dbus::Message;
use std::process::ExitCode;
use std::time::Duration;

const HELP: &str = "\
Usage: runstead user-runtime-dir start|stop USER

Makes or removes the run-time directory /run/user/UID of a user, by name or number, for user-runtime-dir@.service. How much it may hold
is asked of logind (RuntimeDirectorySize= and RuntimeDirectoryInodesMax= in logind.conf). Where nothing may be mounted it is a plain directory.
";

const PATIENCE: Duration = Duration::from_secs(25);

/// `runstead user-runtime-dir VERB USER`.
pub fn run(words: &[&str]) -> ExitCode {
    let outcome = match words {
        ["--help" | "-h" | "help"] => {
            print!("{HELP}");
            Ok(())
        }
        ["start", user] => start(user),
        ["stop", user] => stop(user),
        [_, _] => Err("the first argument is neither start nor stop".to_owned()),
        _ => Err("two arguments are needed: start or stop, and a user".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("runstead user-runtime-dir: {why}");
            ExitCode::FAILURE
        }
    }
}

fn start(user: &str) -> Result<(), String> {
    let (uid, gid) = look_up(user)?;
    let [size, inodes] =
        limits().map_err(|why| format!("cannot ask logind how much {uid} may have: {why}"))?;
    UserDirectory { uid, gid, size, inodes }.make().map_err(|why| why.to_string())
}

/// A user who is no longer known has left a directory all the same.
fn stop(user: &str) -> Result<(), String> {
    let uid = match user.parse() {
        Ok(uid) => uid,
        Err(_) => look_up(user)?.0,
    };
    remove_user_directory(uid).map_err(|why| why.to_string())
}

/// Uid and gid, from the user files or from the name service, whose libraries are not linked into this program.
fn look_up(user: &str) -> Result<(u32, u32), String> {
    let files = Users::default();
    let found = user.parse().map_or_else(|_| files.user(user), |uid| files.by_uid(uid));
    match found {
        Ok(found) => Ok((found.uid, found.gid)),
        Err(LookupError::Unknown(_)) => {
            asked(Database::Passwd, user).ok_or_else(|| format!("user {user} is not known"))
        }
        Err(why) => Err(why.to_string()),
    }
}

/// Bytes and inodes (org.freedesktop.login1(5)).
fn limits() -> std::io::Result<[u64; 2]> {
    let mut client = Client::of_system_bus(PATIENCE)?;
    let mut ask = |name: &str| {
        let call = Message::method_call(
            Some("org.freedesktop.login1"),
            "/org/freedesktop/login1",
            "org.freedesktop.DBus.Properties",
            "Get",
        );
        let call = call.build(|writer| {
            writer.str("org.freedesktop.login1.Manager").str(name);
        });
        let answer = client.ask(&call.map_err(std::io::Error::other)?, PATIENCE)?;
        let value = answer.body_reader().value().map_err(std::io::Error::other)?;
        value.as_u64().ok_or_else(|| std::io::Error::other(format!("{name} is no number")))
    };
    Ok([ask("RuntimeDirectorySize")?, ask("RuntimeDirectoryInodesMax")?])
}
