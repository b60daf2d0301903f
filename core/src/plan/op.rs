//! The steps a spawned child takes, with every string and number prepared.
use super::exit::ExitStatus;
use super::filters::Filter;
use std::fmt;

/// Only the child knows these; a [`Text`] has room for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// The child's PID (`LISTEN_PID`, `WATCHDOG_PID`, `SYSTEMD_EXEC_PID`).
    Pid,
    /// `DEV:INODE` of the journal stream on descriptor 1 or 2 (`JOURNAL_STREAM`); the entry of the environment
    /// vanishes when neither is one.
    JournalStream,
}

/// A string of the child's argument vector or environment, with places the child fills in.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Text {
    /// The fixed part.
    pub text: String,
    /// Where something is inserted (byte offset in `text`, ascending) and what.
    pub slots: Vec<(usize, Slot)>,
}

impl Text {
    /// `name=` followed by what the child knows.
    pub fn slot(prefix: &str, slot: Slot) -> Self {
        Text { text: prefix.to_owned(), slots: vec![(prefix.len(), slot)] }
    }

    /// Append another text.
    pub fn push(&mut self, other: &Text) {
        let at = self.text.len();
        self.text.push_str(&other.text);
        self.slots.extend(other.slots.iter().map(|(offset, slot)| (at + offset, *slot)));
    }

    /// Split at the first `=`: name and value.
    pub fn assignment(&self) -> Option<(&str, Text)> {
        let (name, value) = self.text.split_once('=')?;
        let cut = name.len() + 1;
        let slots = self.slots.iter().map(|(offset, slot)| (offset - cut, *slot)).collect();
        Some((name, Text { text: value.to_owned(), slots }))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Text { text, slots: Vec::new() }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.text.clone();
        for (at, slot) in self.slots.iter().rev() {
            shown.insert_str(*at, if *slot == Slot::Pid { "<pid>" } else { "<journal>" });
        }
        fmt::Debug::fmt(&shown, f)
    }
}

/// What happens when a step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// The child exits with this status.
    Fail(ExitStatus),
    /// Hardening that degrades: the step is reported as weakened, and the child goes on.
    Weaken,
    /// Nobody needs to know (what is to be removed is not there, and the like).
    Ignore,
}

/// One step and the setting it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What to do.
    pub op: Op,
    /// The directive ("User", "ProtectSystem"), or a word for what every child does ("fork", "exec").
    pub setting: &'static str,
    /// What a failure means.
    pub on_error: OnError,
}

/// Where a descriptor number in a plan comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fd {
    /// A descriptor of the manager, by its number there.
    Manager(i32),
    /// A descriptor of the child (0, 1, 2).
    Child(i32),
}

/// What becomes of a terminal that another session has (`StandardInput=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldTty {
    /// It is waited for (`tty`).
    Await,
    /// It is taken away (`tty-force`).
    Steal,
    /// The step fails (`tty-fail`).
    Refuse,
}

/// A place for a descriptor that one step makes and a later one uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reg(pub u16);

/// A step. Flags and numbers are the kernel's.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// All signals to default (`SIGPIPE` ignored when asked for), none blocked.
    ResetSignals {
        /// `IgnoreSIGPIPE=`.
        ignore_sigpipe: bool,
    },
    /// setsid(2).
    Setsid,
    /// Write bytes to an existing file (`/proc/self/oom_score_adj`, `cgroup.procs`).
    WriteFile {
        /// Absolute.
        path: String,
        /// What.
        bytes: Vec<u8>,
    },
    /// Move into the plan's cgroup, when it was not created there.
    JoinCgroup,
    /// Open a file and put it on this descriptor.
    OpenStdio {
        /// 0, 1 or 2.
        target: i32,
        /// Absolute.
        path: String,
        /// open(2) flags (close-on-exec is added).
        flags: i32,
        /// For `O_CREAT`.
        mode: u32,
    },
    /// dup3(2) to a standard descriptor.
    DupStdio {
        /// From.
        from: Fd,
        /// 0, 1 or 2.
        target: i32,
    },
    /// Connect to the journal's stream socket, send the header, put the socket on the descriptor;
    /// `/dev/null` stands in where no journal listens.
    JournalStream {
        /// 1 or 2.
        target: i32,
        /// The socket.
        path: String,
        /// What the journal wants to know first.
        header: String,
        /// Connect as this user and group, so that the journal knows whose lines these are.
        as_user: Option<(u32, u32)>,
    },
    /// A pipe that holds this, for `StandardInput=data`.
    DataStdin {
        /// At most 1 MiB.
        bytes: Vec<u8>,
    },
    /// Wait until the other end of a pipe is closed, or this long (`Type=idle`).
    WaitHangup {
        /// A descriptor of the manager.
        fd: i32,
        /// Milliseconds.
        timeout: i32,
    },
    /// Make the terminal on descriptor 0 the controlling one (`TIOCSCTTY`).
    ControllingTty {
        /// Its path: it is opened again after a wait.
        path: String,
        /// When it is another session's.
        held: HeldTty,
    },
    /// Open a terminal, reset its line settings, hang it up (`TTYReset=`, `TTYVHangup=`), size it.
    ResetTty {
        /// Path.
        path: String,
        /// Reset line settings.
        reset: bool,
        /// vhangup.
        vhangup: bool,
        /// Rows and columns (0: leave).
        size: (u16, u16),
    },
    /// Owner of the terminal on descriptor 0.
    ChownTty {
        /// New owner.
        uid: u32,
    },
    /// umask(2).
    Umask(u32),
    /// Soft and hard limit; without the privilege the closest that is allowed.
    Rlimit {
        /// `RLIMIT_*`.
        resource: u32,
        /// Soft.
        soft: u64,
        /// Hard.
        hard: u64,
    },
    /// setpriority(2) of this process.
    Nice(i32),
    /// sched_setattr(2), policy and priority.
    Scheduler {
        /// `SCHED_*`.
        policy: u32,
        /// For FIFO and RR.
        priority: u32,
        /// Nice level for the others.
        nice: i32,
        /// `SCHED_FLAG_RESET_ON_FORK`.
        reset_on_fork: bool,
    },
    /// ioprio_set(2).
    IoPriority(u32),
    /// sched_setaffinity(2), a bit mask.
    CpuAffinity(Vec<u8>),
    /// set_mempolicy(2).
    NumaPolicy {
        /// `MPOL_*`.
        policy: u32,
        /// Nodes, a bit mask.
        nodes: Vec<u8>,
    },
    /// prctl(2) with these arguments.
    Prctl([u64; 5]),
    /// personality(2).
    Personality(u64),
    /// Join a new anonymous session keyring, link the user keyring when shared, store the invocation id.
    Keyring {
        /// Link the user keyring in.
        shared: bool,
        /// 16 bytes.
        invocation: Vec<u8>,
    },
    /// mkdir(2), an existing directory is fine; with `mode` and `owner` made so (parents are separate steps).
    Mkdir {
        /// Absolute.
        path: String,
        /// Mode of a new directory.
        mode: u32,
    },
    /// A directory where others may write, too: made, or there already and ours; somebody else's is an error.
    OwnDirectory {
        /// Absolute.
        path: String,
        /// Mode of a new directory.
        mode: u32,
        /// Owner it must have.
        uid: u32,
        /// Group it must have.
        gid: u32,
    },
    /// An exec directory: made with those above it, or its mode and (with everything below) owner corrected. Links of others are not
    /// followed on the way; the directory itself is no link.
    OwnedDirectory {
        /// Absolute.
        path: String,
        /// Mode.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// Correct the owner of what is in it, too, when the directory itself has another owner.
        deep: bool,
    },
    /// A directory that is made with this owner; one that is there already is left as it is.
    NewDirectory {
        /// Absolute.
        path: String,
        /// Mode.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// A link that leads to `target` gives its place to the directory `from`.
    TakeBack {
        /// The link, absolute.
        path: String,
        /// What it has to point to.
        target: String,
        /// Absolute.
        from: String,
    },
    /// symlink(2), one that exists and points there is fine. Links of others are not followed on the way.
    Symlink {
        /// What it points to.
        target: String,
        /// Where.
        path: String,
    },
    /// rename(2), no source is fine (`private/` migration).
    Rename {
        /// From.
        from: String,
        /// To.
        to: String,
    },
    /// Make a file with these contents, mode and owner.
    MakeFile {
        /// Absolute.
        path: String,
        /// What.
        bytes: Vec<u8>,
        /// Mode.
        mode: u32,
        /// Owner and group.
        owner: Option<(u32, u32)>,
    },
    /// fchownat(2) and then fchmodat(2) of a path.
    Chown {
        /// Absolute.
        path: String,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// Mode.
        mode: Option<u32>,
    },
    /// unshare(2).
    Unshare(u64),
    /// Enter the namespace that another process left in the socket pair, or make one and leave it there.
    ShareNamespace {
        /// Where to receive and where to send; the manager's numbers.
        storage: [i32; 2],
        /// `CLONE_NEW*`.
        kind: u64,
        /// The namespace in `/proc/self/ns`.
        path: String,
    },
    /// Open and setns(2); `None` of the kinds is any.
    Setns {
        /// `/run/netns/NAME` and the like.
        path: String,
        /// `CLONE_NEW*`.
        kind: u64,
    },
    /// Bring the loopback interface up in a new network namespace.
    LoopbackUp,
    /// mount(2).
    Mount {
        /// Source.
        source: Option<String>,
        /// Target.
        target: String,
        /// Type.
        fstype: Option<String>,
        /// `MS_*`.
        flags: u64,
        /// Options.
        data: Option<String>,
    },
    /// umount2(2) with `MNT_DETACH`.
    Unmount {
        /// Where.
        target: String,
    },
    /// open_tree(2): clone what is mounted there.
    CloneTree {
        /// Where the clone is kept.
        into: Reg,
        /// Path.
        path: String,
        /// With everything below.
        recursive: bool,
        /// `-`: a missing path is fine (then later steps on the register do nothing).
        optional: bool,
    },
    /// open_tree(2) of the inaccessible node that is of the same kind as what it is to hide: `reg`, `dir`, `chr`, `blk`, `fifo`, `sock` in
    /// the working directory.
    CloneHiding {
        /// Where the clone is kept.
        into: Reg,
        /// What is to be hidden.
        hidden: String,
        /// A missing path is fine.
        optional: bool,
    },
    /// A directory or an empty file to mount on, with its parents, of the kind of what is in the register.
    MountPoint {
        /// Absolute.
        path: String,
        /// What will be mounted.
        like: Reg,
    },
    /// A detached tmpfs (fsopen(2) ... fsmount(2)).
    NewTmpfs {
        /// Where it is kept.
        into: Reg,
        /// Parameters of fsconfig(2).
        options: Vec<(String, String)>,
        /// `MOUNT_ATTR_*`.
        attributes: u64,
    },
    /// A detached procfs with these parameters.
    NewFilesystem {
        /// Where it is kept.
        into: Reg,
        /// Type.
        fstype: String,
        /// Parameters of fsconfig(2).
        options: Vec<(String, String)>,
        /// `MOUNT_ATTR_*`.
        attributes: u64,
    },
    /// move_mount(2) of a register onto a path.
    AttachTree {
        /// What; a register nothing was put in is skipped.
        from: Reg,
        /// Path; symbolic links are followed.
        target: String,
    },
    /// mount_setattr(2) on a path that is a mount point.
    MountAttr {
        /// Path.
        target: String,
        /// `MOUNT_ATTR_*` to set.
        set: u64,
        /// `MOUNT_ATTR_*` to clear.
        clear: u64,
        /// With everything below.
        recursive: bool,
        /// Only when this register holds (or held) a mount.
        only_if: Option<Reg>,
    },
    /// mount_setattr(2) on a clone that is not attached yet.
    TreeAttr {
        /// Which.
        tree: Reg,
        /// `MOUNT_ATTR_*` to set.
        set: u64,
        /// `MOUNT_ATTR_*` to clear.
        clear: u64,
        /// With everything below.
        recursive: bool,
    },
    /// A device node as the host has it, or a bind mount of it where nodes may not be made (`PrivateDevices=`).
    DeviceNode {
        /// Path to make.
        path: String,
        /// The host's node.
        host: String,
        /// `S_IFCHR` and permissions.
        mode: u32,
        /// makedev(3).
        device: u64,
    },
    /// Open a directory, as a place only (`O_PATH`).
    OpenDirectory {
        /// Where it is kept.
        into: Reg,
        /// Path.
        path: String,
    },
    /// fchdir(2).
    EnterDirectory {
        /// Which; a register nothing was put in is skipped.
        directory: Reg,
    },
    /// chdir(2) into the new root and pivot_root(2) there. The old one stays mounted above it, where no path leads.
    PivotRoot {
        /// Path of the new root.
        root: String,
    },
    /// Detach the root from before [`Op::PivotRoot`]; the working directory is the new one's `/`.
    DropRoot {
        /// The old root.
        old: Reg,
    },
    /// chroot(2) and chdir(2) to `/`.
    Chroot {
        /// Path.
        root: String,
    },
    /// setgroups(2).
    SetGroups(Vec<u32>),
    /// setresgid(2).
    SetGid(u32),
    /// setresuid(2).
    SetUid(u32),
    /// Drop from the bounding set all capabilities that are not in the mask.
    BoundingSet(u64),
    /// capset(2): effective, permitted, inheritable; `None` keeps what there is, masked with the bounding set.
    Capabilities {
        /// Inheritable set afterwards, on top of permitted and effective.
        inheritable: u64,
        /// Permitted and effective are masked with this.
        keep: u64,
    },
    /// Raise these in the ambient set.
    Ambient(u64),
    /// chdir(2).
    Chdir {
        /// Path.
        path: String,
    },
    /// Open a PAM session (pam(3)), and leave a process that closes it when this one ends. The steps before are taken in the
    /// child, those behind in the same process after an execve(2), with the environment that PAM made of the command's. Puts
    /// descriptors at their places as [`Op::PlaceFds`] does, which then does not follow.
    PamSession {
        /// Name of the PAM configuration.
        service: String,
        /// For whom.
        user: String,
        /// Whose process closes the session.
        uid: u32,
        /// Likewise the group.
        gid: u32,
        /// Terminal, or empty.
        tty: String,
        /// Variables in the arguments are expanded afterwards ([`super::expand`]).
        expand: bool,
        /// As in [`Op::PlaceFds`].
        fds: Vec<i32>,
        /// As in [`Op::PlaceFds`].
        nonblock: Option<(usize, bool)>,
    },
    /// Put the manager's descriptors at 3 and up, with close-on-exec cleared; all others are closed.
    PlaceFds {
        /// Descriptors of the manager, in order.
        fds: Vec<i32>,
        /// `O_NONBLOCK` set or cleared on the first so many, the sockets (`NonBlocking=`).
        nonblock: Option<(usize, bool)>,
    },
    /// seccomp(2): what the process and all that it starts may call. What the command needs besides execve(2) is done before.
    Filter(Filter),
    /// execve(2) of the first path that is there; the errors of a path search are those of execvp(3).
    Exec {
        /// To try, in order.
        paths: Vec<String>,
        /// Arguments, the first included.
        argv: Vec<Text>,
        /// Environment.
        envp: Vec<Text>,
    },
}
