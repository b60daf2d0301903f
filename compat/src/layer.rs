//! Packages on top of a root, for what only some machines have: built once, as the upper directory of an overlay, so that the
//! root itself, and every comparison of boots, stays what it is.

use crate::root::{self, Distribution, RETRIES};
use crate::{Error, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Changes when [`INSTALL`] does, so that a stale layer is never used.
const VERSION: u32 = 1;

/// Installs packages into an overlay with the host's apt-get, as mmdebstrap does; mounts vanish with the namespace.
/// Arguments: root, upper directory, scratch directory, option of apt-get, packages.
const INSTALL: &str = r#"
set -e
root=$1 upper=$2 scratch=$3 option=$4; shift 4
mount --make-rprivate /
mkdir -p "$upper" "$scratch/work" "$scratch/merged"
tree=$scratch/merged
mount -t overlay overlay -o "lowerdir=$root,upperdir=$upper,workdir=$scratch/work" "$tree"
mount -t proc proc "$tree/proc"
mount --rbind /dev "$tree/dev"
for place in run tmp var/lib/apt/lists var/cache/apt var/log; do mount -t tmpfs tmpfs "$tree/$place"; done
mkdir -p "$tree/var/lib/apt/lists/partial" "$tree/var/cache/apt/archives/partial" "$tree/var/log/apt"
apt() { apt-get -o "Dir=$tree" -o "DPkg::Chroot-Directory=$tree" -o Dir::Etc::Parts=/nonexistent "$option" "$@"; }
export DEBIAN_FRONTEND=noninteractive
apt update -q
apt install -yq --no-install-recommends "$@"
"#;

/// The tree to put on top of a distribution's root for these packages, building both first if the cache does not have them.
pub fn with(distribution: Distribution, packages: &[&str]) -> Result<PathBuf> {
    let root = root::of(distribution)?;
    let cache = root::cache();
    let target = cache.join(format!("{}+{}-{VERSION}", distribution.name(), packages.join("+")));
    if target.exists() {
        return Ok(target);
    }
    let lock_path = cache.join("lock");
    let lock = File::create(&lock_path).map_err(Error::on("create", &lock_path))?;
    lock.lock().map_err(Error::on("lock", &lock_path))?;
    if !target.exists() {
        build(&root, &target, packages)?;
    }
    Ok(target)
}

fn build(root: &Path, target: &Path, packages: &[&str]) -> Result<()> {
    let (part, scratch) = (target.with_extension("part"), target.with_extension("scratch"));
    for left in [&part, &scratch] {
        if left.exists() {
            fs::remove_dir_all(left).map_err(Error::on("remove", left))?;
        }
    }
    eprintln!("compat: installing {} for {} (once)", packages.join(" "), target.display());
    let output = Command::new("unshare")
        .args(["-m", "bash", "-c", INSTALL, "install"])
        .args([root, &part, &scratch])
        .arg(RETRIES)
        .args(packages)
        .stdin(Stdio::null())
        .output()
        .map_err(Error::on("run", "unshare"))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let tail: Vec<&str> = said.lines().rev().take(15).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        let what = packages.join(" ");
        return Err(Error::new(format!("install {what}: {}\n{}", output.status, tail.join("\n"))));
    }
    fs::remove_dir_all(&scratch).map_err(Error::on("remove", &scratch))?;
    fs::rename(&part, target).map_err(Error::on("rename", &part))
}
