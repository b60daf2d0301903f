//! How the value of a directive is read, and which [`crate::settings::Value`] comes of it.

use super::words::{Numbers, Words};
use crate::settings::DirectiveId;

/// What an empty assignment to a time span does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Empty {
    /// It is no valid span: ignored with a warning.
    Refused,
    /// Back to the default.
    Default,
    /// No limit.
    Infinity,
}

/// What a time span of zero means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zero {
    /// Zero.
    Zero,
    /// No limit (written so before "infinity" was a word).
    Infinity,
}

/// What a text must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Anything.
    Any,
    /// A user or group, by name or number.
    UserName,
    /// A name on the bus.
    BusName,
    /// A network interface.
    InterfaceName,
    /// The name of a passed descriptor (sd_listen_fds_with_names(3)).
    FdName,
    /// A journal namespace.
    LogNamespace,
    /// A control group name.
    Subgroup,
    /// A personality (`x86`, `x86-64` ...).
    Personality,
}

/// What the items of a list look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// Absolute paths.
    AbsolutePath,
    /// One absolute path a line, with `-` before it when it may be missing.
    DashPath,
    /// Absolute paths with `-` (may be missing) and `+` (below the root directory) before them.
    PrefixedPath,
    /// Users or groups.
    UserName,
    /// Names of variables.
    VariableName,
    /// Names of variables or assignments.
    UnsetVariable,
}

/// The number behind a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// `IODeviceWeight=`: 1 to 10000
    Weight,
    /// `BlockIODeviceWeight=`: 10 to 1000
    BlockWeight,
    /// Bytes or operations a second, suffixes to the base of 1000.
    Bytes,
    /// A time span.
    Span,
}

/// How a value is read. The variant of [`crate::settings::Value`] that comes of it stands behind the arrow.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Another name of another row.
    Alias(DirectiveId),
    /// A name long out of use for a dependency: a warning, then as that row.
    Obsolete(DirectiveId),
    /// Read, warned of, without effect.
    Ignored,
    /// → `Bool`
    Bool,
    /// A number of 32 bits → `Uint`
    Unsigned,
    /// A number of 16 bits → `Uint`
    Unsigned16,
    /// A number between two bounds → `Int`
    Integer(i32, i32),
    /// A number of 64 bits → `Int`
    Integer64,
    /// A time span → `Uint` in microseconds, `u64::MAX` being no limit
    Span(Empty, Zero),
    /// A time span in nanoseconds when without unit → `Uint` in nanoseconds
    Nanoseconds,
    /// `TimeoutSec=` of services: sets `TimeoutStartSec=` and `TimeoutStopSec=`
    ServiceTimeout,
    /// `TimeoutAbortSec=` → `Uint`; empty: as `TimeoutStopSec=`
    TimeoutAbort,
    /// `JobTimeoutSec=` → `Uint`; sets `JobRunningTimeoutSec=` too unless that is set
    JobTimeout,
    /// A time span, "off" or "default" → `Uint`
    WatchdogSpan,
    /// Bytes, suffixes to the base of 1024 → `Uint`
    Size,
    /// Bytes, a share of the physical memory, or infinity → `Uint`, or `Text` such as `15%`
    Memory,
    /// Tasks, a share of what the system allows, or infinity → `Uint`, or `Text` such as `15%`
    Tasks,
    /// A file mode → `Uint`
    Mode,
    /// One of some words → `Word`
    Words(&'static Words),
    /// One of some words that stand for numbers → `Int`
    Numbers(&'static Numbers),
    /// → `Text`, specifiers expanded
    Text(Check),
    /// One line of free text, specifiers expanded → `Text`
    Line,
    /// An absolute path → `Text`
    FilePath,
    /// An absolute path → `Text`; "/" is the same as none
    RootPath,
    /// `-`, `~` or an absolute path → `Text`
    WorkingDirectory,
    /// A path, relative ones below `/run` → `Text`
    PidFile,
    /// → `List`
    List(Item),
    /// URIs → `List`
    Urls,
    /// Absolute paths of programs, separated by colons → `List`
    SearchPath,
    /// Assignments, later ones replacing earlier ones of the same name → `List`
    Environment,
    /// Unit names: a dependency
    Dependency,
    /// Absolute paths: dependencies on the mounts below which they are → `List`
    MountsFor,
    /// `OnFailureIsolate=`: an older way to set `OnFailureJobMode=`
    OnFailureIsolate,
    /// A check before the start
    Condition,
    /// A check before the start whose failure is an error
    Assert,
    /// An exit status 0 to 255 → `Int`, -1 being none
    ActionExit,
    /// Command lines → `Commands`
    Commands,
    /// Statuses and signals → `ExitSet`
    ExitSet,
    /// A signal → `Int`
    Signal,
    /// Names of socket units → `Units`
    Sockets,
    /// `path:name:options` → `Rows` of (path, name, options)
    OpenFile,
    /// A socket address → `Ports` in the row `ListenStream=`, all kinds in file order
    Listen,
    /// `Service=` of sockets → `Units`
    SocketService,
    /// `Unit=` of timers and paths → `Units`
    TriggeredUnit,
    /// A time span or calendar event → `Timers` in the row `OnCalendar=`, all kinds in file order
    Timer,
    /// A path → `Paths` in the row `PathExists=`, all kinds in file order
    Watch,
    /// `Slice=` → `Units`
    SliceUnit,
    /// Options by partition → `Rows` of (partition, options)
    ImageOptions,
    /// An image policy → `Text`
    ImagePolicy,
    /// Hexadecimal or `base64:` data → `Bytes`, or a path → `Text`
    Blob,
    /// Images with their mount points (if four columns) and options → `Rows`
    Images(u8),
    /// Names of memory kinds or a mask → `Bits`
    CoredumpFilter,
    /// CPUs or memory nodes → `Text` such as `0-3,7`
    CpuSet,
    /// `StandardInput=` → `Text`, `fd:NAME` and `file:PATH` included
    Input,
    /// `StandardOutput=`, `StandardError=` → `Text`, `fd:NAME`, `file:`, `append:` and `truncate:PATH` included
    Output,
    /// Text with escapes → `Bytes` in the row `StandardInputData=`, with a line end behind each line
    InputText,
    /// Base64 → `Bytes`
    InputData,
    /// Journal fields → `List`
    LogFields,
    /// Regular expressions → `Rows` of (`allow` or `deny`, pattern)
    LogPatterns,
    /// → `Bits`
    SecureBits,
    /// → `Bits`
    Capabilities,
    /// → `Filter`, groups expanded
    SystemCalls,
    /// → `List`
    Architectures,
    /// An error by name or number, or `kill` → `Int`
    Errno,
    /// → `Bits`, flags of unshare(2) that stay allowed
    Namespaces,
    /// → `Filter`
    Families,
    /// → `Filter`
    Filter,
    /// A resource limit → `Rlimit`
    Limit,
    /// → `Rows` of (source, destination, `-` when it may be missing, `rbind` or `norbind`)
    Binds,
    /// → `Rows` of (path, options)
    TemporaryFileSystems,
    /// → `Rows` of (directory, symbolic links joined by `:`, flags)
    Directories,
    /// → `Rows` of (id, data in base64)
    SetCredential,
    /// → `Rows` of (id, path)
    LoadCredential,
    /// → `Rows` of (pattern, new name)
    ImportCredential,
    /// A security label, `-` before it when it may fail → `Text`
    Label,
    /// 1 to 10000, or `idle` which is 0 → `Uint`
    CpuWeight,
    /// A weight between two bounds → `Uint`
    Shares(u32, u32),
    /// A percentage → `Uint`, microseconds a second
    Quota,
    /// → `Rows` of (device, access)
    DeviceAllow,
    /// → `Rows` of (device, number)
    DeviceNumbers(Number),
    /// A boolean or controllers → `Bool(false)`, or `List`
    Delegate,
    /// → `List`
    Controllers,
    /// Addresses, prefixes, `any`, `localhost` ... → `List` of `address/prefix length`
    Addresses,
    /// A percentage → `Uint`, in parts of 2^32
    PressureLimit,
    /// → `Rows` of (attach type, path)
    BpfPrograms,
    /// → `List`
    SocketBinds,
    /// → `Rows` of (source, family, table, set)
    NftSets,
    /// Not a setting: what `systemctl enable` does
    Install,
}
