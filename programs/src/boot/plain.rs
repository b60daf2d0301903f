//! The form without namespaces: a manager beside the caller's own processes, with a private directory as its run root.
use super::lacks::{self, Lack};
use super::machine::{Form, Machine};
use super::options::Options;
use super::units;
use runstead_os::{identity, process};
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The longest path of a directory whose sockets still have names (unix(7)): below it there is
/// `systemd/userdb/io.systemd.DynamicUser`.
const PATH_MAX: usize = 108 - 42;

/// Start the manager; `why` there are no namespaces.
pub fn start(options: &Options, why: String) -> Result<Machine, String> {
    let base = private_directory()?;
    let started = start_in(&base, options);
    if started.is_err() {
        let _ = super::machine::remove(&base);
    }
    let child = started?;
    let lacks: Vec<Lack> = vec![lacks::namespaces(why), lacks::cgroups("none without namespaces")];
    let pid = child.id().cast_signed();
    Ok(Machine { form: Form::Plain, child, pid, base, cgroup: None, lacks, client: None, status: None })
}

fn start_in(base: &Path, options: &Options) -> Result<std::process::Child, String> {
    // What outlives the manager comes to us, and goes with us.
    process::become_subreaper().map_err(|error| error.to_string())?;
    let home = base.join("runstead");
    fs::create_dir_all(&home).map_err(|error| format!("cannot make {}: {error}", home.display()))?;
    let own = fs::read_link("/proc/self/exe").map_err(|error| format!("cannot find this binary: {error}"))?;
    // A link, since run-time directories may be mounted noexec.
    let image = home.join("runstead");
    std::os::unix::fs::symlink(own, &image)
        .map_err(|error| format!("cannot link {}: {error}", image.display()))?;
    let added = units::read_all(&options.units)?;
    let dir = home.join("units");
    units::write_all(&added, &dir)?;
    let mut command = Command::new(&image);
    command.arg("--user").arg("--run-root").arg(base).arg("--unit=default.target");
    command.env("XDG_RUNTIME_DIR", base).env("SYSTEMD_UNIT_PATH", dir).env("SYSTEMD_GENERATOR_PATH", "");
    for name in ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "INVOCATION_ID", "DBUS_SESSION_BUS_ADDRESS"] {
        command.env_remove(name);
    }
    // Its own process group: Ctrl-C is for us, and we ask it in order.
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).current_dir("/");
    process::ends_with_us(&mut command).spawn().map_err(|error| format!("cannot start the manager: {error}"))
}

/// A new directory that nobody else can look into: in `$XDG_RUNTIME_DIR`, else among temporary files.
fn private_directory() -> Result<PathBuf, String> {
    let (uid, _) = process::own_ids();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let is_ours = |dir: &PathBuf| {
        let data = fs::metadata(dir);
        dir.is_absolute() && data.is_ok_and(|data| data.is_dir() && data.uid() == uid)
    };
    let parent = runtime.filter(is_ours).unwrap_or_else(std::env::temp_dir);
    let random = identity::random_id().map_err(|error| error.to_string())?;
    let path = parent.join(format!("runstead-boot-{}", &random[..8]));
    if path.as_os_str().len() > PATH_MAX {
        return Err(format!(
            "{} is too long for the names of sockets (a shorter place: XDG_RUNTIME_DIR= TMPDIR=/tmp runstead boot)",
            path.display()
        ));
    }
    fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| {
        format!("cannot make {}: {error} (another place: TMPDIR=DIR runstead boot)", path.display())
    })?;
    Ok(path)
}
