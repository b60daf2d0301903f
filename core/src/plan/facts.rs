//! What only the host knows about a spawn, gathered before compiling.
use crate::engine::effect::FdId;

/// Which kind of manager spawns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// PID 1, or one that acts like it.
    #[default]
    System,
    /// `--user`.
    User,
}

/// A resolved user (passwd(5)).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserFacts {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Supplementary groups by the group file, without the primary one.
    pub groups: Vec<u32>,
}

/// Where the exec directories lie (file-hierarchy(7)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefixes {
    /// `RuntimeDirectory=`.
    pub runtime: String,
    /// `StateDirectory=`.
    pub state: String,
    /// `CacheDirectory=`.
    pub cache: String,
    /// `LogsDirectory=`.
    pub logs: String,
    /// `ConfigurationDirectory=`.
    pub configuration: String,
}

impl Default for Prefixes {
    fn default() -> Self {
        Prefixes {
            runtime: "/run".into(),
            state: "/var/lib".into(),
            cache: "/var/cache".into(),
            logs: "/var/log".into(),
            configuration: "/etc".into(),
        }
    }
}

/// A credential whose bytes are already here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// File name.
    pub name: String,
    /// Contents.
    pub bytes: Vec<u8>,
}

/// What the kernel lets us do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel {
    /// We may make mount namespaces.
    pub mount_namespaces: bool,
    /// mount_setattr(2), since 5.12.
    pub mount_setattr: bool,
    /// tmpfs can be kept from being swapped out (`noswap`), since 6.4.
    pub tmpfs_noswap: bool,
    /// Memory that is written and then executed can be denied by prctl(2) (`PR_SET_MDWE`), since 6.3.
    pub denies_write_execute: bool,
    /// System calls can be filtered (seccomp(2)).
    pub filters: bool,
    /// The manager has `CAP_SYS_ADMIN`.
    pub admin: bool,
}

impl Default for Kernel {
    fn default() -> Self {
        Kernel {
            mount_namespaces: true,
            mount_setattr: true,
            tmpfs_noswap: true,
            denies_write_execute: true,
            filters: true,
            admin: true,
        }
    }
}

/// What only the host knows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SpawnFacts {
    /// Which manager this is.
    pub scope: Scope,
    /// The user of `User=` (or of `DynamicUser=`), resolved; `None` when none is set.
    pub user: Option<UserFacts>,
    /// The manager's own user, for `WorkingDirectory=~` and the like without `User=`.
    pub own_user: UserFacts,
    /// The group of `Group=`, resolved.
    pub group: Option<u32>,
    /// `SupplementaryGroups=`, resolved.
    pub supplementary_groups: Vec<u32>,
    /// The manager's environment block, `NAME=VALUE`.
    pub environment: Vec<String>,
    /// Contents of `EnvironmentFile=`s in order: path or pattern as listed, and the bytes when a file could be read.
    pub environment_files: Vec<(String, Option<Vec<u8>>)>,
    /// Root of the run tree (`/run`, `$XDG_RUNTIME_DIR`).
    pub run_root: String,
    /// Prefixes of the exec directories.
    pub prefixes: Prefixes,
    /// Descriptor numbers in the manager.
    pub fds: Vec<(FdId, i32)>,
    /// Absolute path of the cgroup tree's root as the manager sees it ("/sys/fs/cgroup"), with its own position.
    pub cgroup_root: Option<String>,
    /// The journal's stream socket, if there is one to connect to.
    pub journal: Option<String>,
    /// `NOTIFY_SOCKET`.
    pub notify_socket: Option<String>,
    /// The manager's PID, for `MANAGERPID` in user managers.
    pub manager_pid: u32,
    /// The read end of the idle pipe (`Type=idle`).
    pub idle_fd: Option<i32>,
    /// Directories to search commands in.
    pub search_path: Vec<String>,
    /// Credentials to pass.
    pub credentials: Vec<Credential>,
    /// The unit has its credentials already, by an earlier process of the same start.
    pub credentials_placed: bool,
    /// Path suffix of the private temporary directories: `systemd-private-BOOTID-UNIT-RANDOM`.
    pub private_tmp: Option<String>,
    /// Where the unit's network namespace is kept, as descriptor numbers in the manager (`engine::shared`).
    pub network: Option<[i32; 2]>,
    /// Where its IPC namespace is kept.
    pub ipc: Option<[i32; 2]>,
    /// What may be used.
    pub kernel: Kernel,
    /// `TERM` of the console, for terminals.
    pub term: Option<String>,
}

/// The last part of the names of private temporary directories: six letters and digits from an invocation id, which
/// is random, and the same for all processes of one start.
pub fn private_tmp_suffix(invocation: &str) -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut number = u64::from_str_radix(invocation.get(..16).unwrap_or("0"), 16).unwrap_or(0);
    let mut suffix = String::with_capacity(6);
    for _ in 0..6 {
        suffix.push(char::from(LETTERS[(number % 62) as usize]));
        number /= 62;
    }
    suffix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_have_six_letters_and_follow_the_invocation() {
        let one = private_tmp_suffix("00112233445566778899aabbccddeeff");
        assert_eq!(one, private_tmp_suffix("00112233445566778899aabbccddeeff"));
        assert_ne!(one, private_tmp_suffix("00112233445566798899aabbccddeeff"));
        assert!(one.len() == 6 && one.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(private_tmp_suffix(""), "000000");
    }
}
