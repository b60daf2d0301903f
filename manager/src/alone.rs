//! A machine without unit files, such as an initramfs or a container that consists of this binary: it gets those of the binary,
//! and `/run/runstead/runstead` as the binary's name in them.
use crate::options::Options;
use std::path::{Path, PathBuf};

const PLACE: &str = "runstead";
/// Every tree with units of its own has it (systemd.special(7)).
const DEFAULT: &str = "default.target";

/// The directory of the built-in units, when the machine got them. Behind all others: what is added counts more.
pub(crate) fn directory(run: &str) -> Option<String> {
    let directory = format!("{run}/{PLACE}/units");
    // `runstead boot` puts its own there and names the directory in the environment.
    (std::env::var_os("SYSTEMD_UNIT_PATH").is_none() && Path::new(&directory).is_dir()).then_some(directory)
}

/// Write the built-in units where nothing is that the machine could boot; what went wrong.
pub(crate) fn provide(options: &Options, run: &str, paths: &[String]) -> Option<String> {
    let linked = |dir: &String| Path::new(dir).join(DEFAULT).symlink_metadata().is_ok();
    if options.user || options.builtin.is_empty() || paths.iter().any(linked) {
        return None;
    }
    let place = PathBuf::from(run).join(PLACE);
    let written = options
        .builtin
        .iter()
        .try_for_each(|units| runstead_os::unitdirs::write(units, &place.join("units")));
    let linked = written.and_then(|()| {
        let image = runstead_os::reexec::own_path()?;
        std::os::unix::fs::symlink(image, place.join("runstead"))
    });
    let bare = runstead_os::rundir::RunDir::open(run).and_then(|run| runstead_os::rundir::bare_layout(&run));
    if let Err(error) = bare {
        return Some(error.to_string());
    }
    linked.err().map(|error| format!("the built-in units are not to be had in {}: {error}", place.display()))
}
