//! Packages on top of a root, for what only some machines have: built once, as the upper directory of an overlay, so that the
//! root itself, and every comparison of boots, stays what it is.

use crate::root::{self, Distribution, RETRIES};
use crate::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The packages of the layers that the tests use.
pub const POLKIT: &[&str] = &["polkitd"];

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
    let name = format!("{}+{}-{VERSION}", distribution.name(), packages.join("+"));
    root::cached(&name, |part| {
        eprintln!("compat: installing {} for {name} (once)", packages.join(" "));
        build(&root, part, packages)
    })
}

fn build(root: &Path, part: &Path, packages: &[&str]) -> Result<()> {
    let scratch = part.with_extension("scratch");
    if scratch.exists() {
        fs::remove_dir_all(&scratch).map_err(Error::on("remove", &scratch))?;
    }
    let output = Command::new("unshare")
        .args(["-m", "bash", "-c", INSTALL, "install"])
        .args([root, part, &scratch])
        .arg(RETRIES)
        .args(packages)
        .stdin(Stdio::null())
        .output()
        .map_err(Error::on("run", "unshare"))?;
    if !output.status.success() {
        let said = root::last_words(&[output.stdout, output.stderr].concat());
        return Err(Error::new(format!("install {}: {}\n{said}", packages.join(" "), output.status)));
    }
    fs::remove_dir_all(&scratch).map_err(Error::on("remove", &scratch))
}
