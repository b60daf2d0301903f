//! How the kernel moves processes between control groups: cgroup v2's option `favordynmods` (Linux 6.0, admin-guide/cgroup-v2).
//!
//! Without it each move waits until all processors have passed a quiescent state, some 15 ms, and PID 1 with it: that is most of
//! what a login takes. With it forks and exits have two memory barriers more.
use super::early::CGROUP;
use super::{MountLine, parse_mounts};
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{FsPickFlags, fsconfig_reconfigure, fsconfig_set_flag, fspick};

const OPTION: &str = "favordynmods";
/// The kernel's own switch: whoever gave it has decided.
const KERNEL_WORD: &str = "cgroup_favordynmods=";

/// Sets the option, keeping the others, on the hierarchy at `/sys/fs/cgroup`. It is one for the whole machine, so only the
/// machine's own PID 1 does. What an older kernel does not have is left as it is.
pub fn favor_moves() -> Result<(), Errno> {
    let words = std::fs::read("/proc/cmdline").unwrap_or_default();
    let decided = words.split(u8::is_ascii_whitespace).any(|word| word.starts_with(KERNEL_WORD.as_bytes()));
    if decided || !crate::process::in_first_pid_namespace() {
        return Ok(());
    }
    let mounts = parse_mounts(&std::fs::read("/proc/self/mountinfo").unwrap_or_default());
    let Some(options) = options(&mounts).filter(|options| !options.contains(&OPTION)) else { return Ok(()) };
    match set(&options) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::PERM) => Ok(()),
        other => other,
    }
}

/// What is not named is switched off.
fn set(options: &[&str]) -> Result<(), Errno> {
    let context = fspick(CWD, CGROUP, FsPickFlags::FSPICK_CLOEXEC)?;
    for option in options.iter().chain(&[OPTION]) {
        fsconfig_set_flag(&context, *option)?;
    }
    fsconfig_reconfigure(&context)
}

/// The options of the hierarchy that is mounted last; `None` where none is.
fn options(mounts: &[MountLine]) -> Option<Vec<&str>> {
    let mount = mounts.iter().rev().find(|mount| mount.target == CGROUP)?;
    let options = mount.system_options.split(',').filter(|option| !["rw", "ro"].contains(option));
    (mount.fstype == "cgroup2").then(|| options.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_those_of_the_hierarchy() {
        let of = |table: &str| {
            let mounts = parse_mounts(table.as_bytes());
            options(&mounts).map(|options| options.join(" "))
        };
        let table = "24 22 0:5 / /sys rw - sysfs sysfs rw\n\
            30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n\
            31 30 0:27 / /sys/fs/cgroup/unified rw - tmpfs tmpfs rw\n";
        assert_eq!(of(table).as_deref(), Some("nsdelegate memory_recursiveprot"));
        assert_eq!(of("30 24 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"), None);
        assert_eq!(of("30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n").as_deref(), Some(""));
        assert_eq!(of(""), None);
    }
}
