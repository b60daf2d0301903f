//! Methods and signals of each interface, in the reference's order (org.freedesktop.systemd1(5), and its introspection).
//!
//! A method without an entry here does not exist for clients; `methods.rs` gives each its meaning.

use crate::interface::{Interface, Method, Signal, method as m, privileged};
use runstead_core::names::UnitType;

/// `org.freedesktop.systemd1.Manager`.
pub static MANAGER: Interface = Interface {
    name: "org.freedesktop.systemd1.Manager",
    methods: &[
        m("GetUnit", &[("name", "s")], &[("unit", "o")]),
        m("GetUnitByPID", &[("pid", "u")], &[("unit", "o")]),
        m("GetUnitByInvocationID", &[("invocation_id", "ay")], &[("unit", "o")]),
        m("GetUnitByControlGroup", &[("cgroup", "s")], &[("unit", "o")]),
        m("GetUnitByPIDFD", &[("pidfd", "h")], &[("unit", "o"), ("unit_id", "s"), ("invocation_id", "ay")]),
        m("LoadUnit", &[("name", "s")], &[("unit", "o")]),
        m("StartUnit", &[("name", "s"), ("mode", "s")], &[("job", "o")]),
        m("StartUnitWithFlags", &[("name", "s"), ("mode", "s"), ("flags", "t")], &[("job", "o")]),
        m("StartUnitReplace", &[("old_unit", "s"), ("new_unit", "s"), ("mode", "s")], &[("job", "o")]),
        m("StopUnit", &[("name", "s"), ("mode", "s")], &[("job", "o")]),
        m("ReloadUnit", &[("name", "s"), ("mode", "s")], &[("job", "o")]),
        m("RestartUnit", &[("name", "s"), ("mode", "s")], &[("job", "o")]),
        m("TryRestartUnit", &[("name", "s"), ("mode", "s")], &[("job", "o")]),
        m("ReloadOrRestartUnit", &[("name", "s"), ("mode", "s")], &[("job", "o")]),
        m("ReloadOrTryRestartUnit", &[("name", "s"), ("mode", "s")], &[("job", "o")]),
        m(
            "EnqueueUnitJob",
            &[("name", "s"), ("job_type", "s"), ("job_mode", "s")],
            &[
                ("job_id", "u"),
                ("job_path", "o"),
                ("unit_id", "s"),
                ("unit_path", "o"),
                ("job_type", "s"),
                ("affected_jobs", "a(uosos)"),
            ],
        ),
        m("KillUnit", &[("name", "s"), ("whom", "s"), ("signal", "i")], &[]),
        m("QueueSignalUnit", &[("name", "s"), ("whom", "s"), ("signal", "i"), ("value", "i")], &[]),
        m("CleanUnit", &[("name", "s"), ("mask", "as")], &[]),
        m("FreezeUnit", &[("name", "s")], &[]),
        m("ThawUnit", &[("name", "s")], &[]),
        m("ResetFailedUnit", &[("name", "s")], &[]),
        m("SetUnitProperties", &[("name", "s"), ("runtime", "b"), ("properties", "a(sv)")], &[]),
        m(
            "BindMountUnit",
            &[("name", "s"), ("source", "s"), ("destination", "s"), ("read_only", "b"), ("mkdir", "b")],
            &[],
        ),
        m(
            "MountImageUnit",
            &[
                ("name", "s"),
                ("source", "s"),
                ("destination", "s"),
                ("read_only", "b"),
                ("mkdir", "b"),
                ("options", "a(ss)"),
            ],
            &[],
        ),
        m("RefUnit", &[("name", "s")], &[]),
        m("UnrefUnit", &[("name", "s")], &[]),
        m(
            "StartTransientUnit",
            &[("name", "s"), ("mode", "s"), ("properties", "a(sv)"), ("aux", "a(sa(sv))")],
            &[("job", "o")],
        ),
        m("GetUnitProcesses", &[("name", "s")], &[("processes", "a(sus)")]),
        m("AttachProcessesToUnit", &[("unit_name", "s"), ("subcgroup", "s"), ("pids", "au")], &[]),
        m("AbandonScope", &[("name", "s")], &[]),
        m("GetJob", &[("id", "u")], &[("job", "o")]),
        m("GetJobAfter", &[("id", "u")], &[("jobs", "a(usssoo)")]),
        m("GetJobBefore", &[("id", "u")], &[("jobs", "a(usssoo)")]),
        m("CancelJob", &[("id", "u")], &[]),
        m("ClearJobs", &[], &[]),
        m("ResetFailed", &[], &[]),
        m("SetShowStatus", &[("mode", "s")], &[]),
        m("ListUnits", &[], &[("units", "a(ssssssouso)")]),
        m("ListUnitsFiltered", &[("states", "as")], &[("units", "a(ssssssouso)")]),
        m("ListUnitsByPatterns", &[("states", "as"), ("patterns", "as")], &[("units", "a(ssssssouso)")]),
        m("ListUnitsByNames", &[("names", "as")], &[("units", "a(ssssssouso)")]),
        m("ListJobs", &[], &[("jobs", "a(usssoo)")]),
        m("Subscribe", &[], &[]),
        m("Unsubscribe", &[], &[]),
        m("Dump", &[], &[("output", "s")]),
        m("DumpUnitsMatchingPatterns", &[("patterns", "as")], &[("output", "s")]),
        m("DumpByFileDescriptor", &[], &[("fd", "h")]),
        m("DumpUnitsMatchingPatternsByFileDescriptor", &[("patterns", "as")], &[("fd", "h")]),
        m("Reload", &[], &[]),
        m("Reexecute", &[], &[]),
        privileged("Exit", &[], &[]),
        privileged("Reboot", &[], &[]),
        privileged("SoftReboot", &[("new_root", "s")], &[]),
        privileged("PowerOff", &[], &[]),
        privileged("Halt", &[], &[]),
        privileged("KExec", &[], &[]),
        privileged("SwitchRoot", &[("new_root", "s"), ("init", "s")], &[]),
        m("SetEnvironment", &[("assignments", "as")], &[]),
        m("UnsetEnvironment", &[("names", "as")], &[]),
        m("UnsetAndSetEnvironment", &[("names", "as"), ("assignments", "as")], &[]),
        m("EnqueueMarkedJobs", &[], &[("jobs", "ao")]),
        m("ListUnitFiles", &[], &[("unit_files", "a(ss)")]),
        m("ListUnitFilesByPatterns", &[("states", "as"), ("patterns", "as")], &[("unit_files", "a(ss)")]),
        m("GetUnitFileState", &[("file", "s")], &[("state", "s")]),
        m(
            "EnableUnitFiles",
            &[("files", "as"), ("runtime", "b"), ("force", "b")],
            &[("carries_install_info", "b"), ("changes", "a(sss)")],
        ),
        m("DisableUnitFiles", &[("files", "as"), ("runtime", "b")], &[("changes", "a(sss)")]),
        m(
            "EnableUnitFilesWithFlags",
            &[("files", "as"), ("flags", "t")],
            &[("carries_install_info", "b"), ("changes", "a(sss)")],
        ),
        m("DisableUnitFilesWithFlags", &[("files", "as"), ("flags", "t")], &[("changes", "a(sss)")]),
        m(
            "DisableUnitFilesWithFlagsAndInstallInfo",
            &[("files", "as"), ("flags", "t")],
            &[("carries_install_info", "b"), ("changes", "a(sss)")],
        ),
        m(
            "ReenableUnitFiles",
            &[("files", "as"), ("runtime", "b"), ("force", "b")],
            &[("carries_install_info", "b"), ("changes", "a(sss)")],
        ),
        m("LinkUnitFiles", &[("files", "as"), ("runtime", "b"), ("force", "b")], &[("changes", "a(sss)")]),
        m(
            "PresetUnitFiles",
            &[("files", "as"), ("runtime", "b"), ("force", "b")],
            &[("carries_install_info", "b"), ("changes", "a(sss)")],
        ),
        m(
            "PresetUnitFilesWithMode",
            &[("files", "as"), ("mode", "s"), ("runtime", "b"), ("force", "b")],
            &[("carries_install_info", "b"), ("changes", "a(sss)")],
        ),
        m("MaskUnitFiles", &[("files", "as"), ("runtime", "b"), ("force", "b")], &[("changes", "a(sss)")]),
        m("UnmaskUnitFiles", &[("files", "as"), ("runtime", "b")], &[("changes", "a(sss)")]),
        m("RevertUnitFiles", &[("files", "as")], &[("changes", "a(sss)")]),
        m("SetDefaultTarget", &[("name", "s"), ("force", "b")], &[("changes", "a(sss)")]),
        m("GetDefaultTarget", &[], &[("name", "s")]),
        m("PresetAllUnitFiles", &[("mode", "s"), ("runtime", "b"), ("force", "b")], &[("changes", "a(sss)")]),
        m(
            "AddDependencyUnitFiles",
            &[("files", "as"), ("target", "s"), ("type", "s"), ("runtime", "b"), ("force", "b")],
            &[("changes", "a(sss)")],
        ),
        m("GetUnitFileLinks", &[("name", "s"), ("runtime", "b")], &[("links", "as")]),
        m("SetExitCode", &[("number", "y")], &[]),
        m("LookupDynamicUserByName", &[("name", "s")], &[("uid", "u")]),
        m("LookupDynamicUserByUID", &[("uid", "u")], &[("name", "s")]),
        m("GetDynamicUsers", &[], &[("users", "a(us)")]),
        m("DumpUnitFileDescriptorStore", &[("name", "s")], &[("entries", "a(suuutuusu)")]),
        Method {
            name: "StartAuxiliaryScope",
            input: &[("name", "s"), ("pidfds", "ah"), ("flags", "t"), ("properties", "a(sv)")],
            output: &[("job", "o")],
            deprecated: true,
            privileged: false,
        },
    ],
    signals: &[
        Signal { name: "UnitNew", args: &[("id", "s"), ("unit", "o")] },
        Signal { name: "UnitRemoved", args: &[("id", "s"), ("unit", "o")] },
        Signal { name: "JobNew", args: &[("id", "u"), ("job", "o"), ("unit", "s")] },
        Signal { name: "JobRemoved", args: &[("id", "u"), ("job", "o"), ("unit", "s"), ("result", "s")] },
        Signal {
            name: "StartupFinished",
            args: &[
                ("firmware", "t"),
                ("loader", "t"),
                ("kernel", "t"),
                ("initrd", "t"),
                ("userspace", "t"),
                ("total", "t"),
            ],
        },
        Signal { name: "UnitFilesChanged", args: &[] },
        Signal { name: "Reloading", args: &[("active", "b")] },
    ],
};

/// `org.freedesktop.systemd1.Unit`.
pub static UNIT: Interface = Interface {
    name: "org.freedesktop.systemd1.Unit",
    methods: &[
        m("Start", &[("mode", "s")], &[("job", "o")]),
        m("Stop", &[("mode", "s")], &[("job", "o")]),
        m("Reload", &[("mode", "s")], &[("job", "o")]),
        m("Restart", &[("mode", "s")], &[("job", "o")]),
        m("TryRestart", &[("mode", "s")], &[("job", "o")]),
        m("ReloadOrRestart", &[("mode", "s")], &[("job", "o")]),
        m("ReloadOrTryRestart", &[("mode", "s")], &[("job", "o")]),
        m(
            "EnqueueJob",
            &[("job_type", "s"), ("job_mode", "s")],
            &[
                ("job_id", "u"),
                ("job_path", "o"),
                ("unit_id", "s"),
                ("unit_path", "o"),
                ("job_type", "s"),
                ("affected_jobs", "a(uosos)"),
            ],
        ),
        m("Kill", &[("whom", "s"), ("signal", "i")], &[]),
        m("QueueSignal", &[("whom", "s"), ("signal", "i"), ("value", "i")], &[]),
        m("ResetFailed", &[], &[]),
        m("SetProperties", &[("runtime", "b"), ("properties", "a(sv)")], &[]),
        m("Ref", &[], &[]),
        m("Unref", &[], &[]),
        m("Clean", &[("mask", "as")], &[]),
        m("Freeze", &[], &[]),
        m("Thaw", &[], &[]),
    ],
    signals: &[],
};

/// `org.freedesktop.systemd1.Job`.
pub static JOB: Interface = Interface {
    name: "org.freedesktop.systemd1.Job",
    methods: &[
        m("Cancel", &[], &[]),
        m("GetAfter", &[], &[("jobs", "a(usssoo)")]),
        m("GetBefore", &[], &[("jobs", "a(usssoo)")]),
    ],
    signals: &[],
};

/// `org.freedesktop.systemd1.Service`.
pub static SERVICE: Interface = Interface {
    name: "org.freedesktop.systemd1.Service",
    methods: &[
        m("BindMount", &[("source", "s"), ("destination", "s"), ("read_only", "b"), ("mkdir", "b")], &[]),
        m(
            "MountImage",
            &[
                ("source", "s"),
                ("destination", "s"),
                ("read_only", "b"),
                ("mkdir", "b"),
                ("options", "a(ss)"),
            ],
            &[],
        ),
        m("DumpFileDescriptorStore", &[], &[("entries", "a(suuutuusu)")]),
        m("GetProcesses", &[], &[("processes", "a(sus)")]),
        m("AttachProcesses", &[("subcgroup", "s"), ("pids", "au")], &[]),
    ],
    signals: &[],
};

/// `org.freedesktop.systemd1.Socket`.
pub static SOCKET: Interface = Interface {
    name: "org.freedesktop.systemd1.Socket",
    methods: &[
        m("GetProcesses", &[], &[("processes", "a(sus)")]),
        m("AttachProcesses", &[("subcgroup", "s"), ("pids", "au")], &[]),
    ],
    signals: &[],
};

/// `org.freedesktop.systemd1.Target`.
pub static TARGET: Interface =
    Interface { name: "org.freedesktop.systemd1.Target", methods: &[], signals: &[] };

/// `org.freedesktop.systemd1.Device`.
pub static DEVICE: Interface =
    Interface { name: "org.freedesktop.systemd1.Device", methods: &[], signals: &[] };

/// `org.freedesktop.systemd1.Mount`.
pub static MOUNT: Interface = Interface {
    name: "org.freedesktop.systemd1.Mount",
    methods: &[
        m("GetProcesses", &[], &[("processes", "a(sus)")]),
        m("AttachProcesses", &[("subcgroup", "s"), ("pids", "au")], &[]),
    ],
    signals: &[],
};

/// `org.freedesktop.systemd1.Automount`.
pub static AUTOMOUNT: Interface =
    Interface { name: "org.freedesktop.systemd1.Automount", methods: &[], signals: &[] };

/// `org.freedesktop.systemd1.Swap`.
pub static SWAP: Interface = Interface {
    name: "org.freedesktop.systemd1.Swap",
    methods: &[
        m("GetProcesses", &[], &[("processes", "a(sus)")]),
        m("AttachProcesses", &[("subcgroup", "s"), ("pids", "au")], &[]),
    ],
    signals: &[],
};

/// `org.freedesktop.systemd1.Timer`.
pub static TIMER: Interface =
    Interface { name: "org.freedesktop.systemd1.Timer", methods: &[], signals: &[] };

/// `org.freedesktop.systemd1.Path`.
pub static PATH: Interface = Interface { name: "org.freedesktop.systemd1.Path", methods: &[], signals: &[] };

/// `org.freedesktop.systemd1.Slice`.
pub static SLICE: Interface = Interface {
    name: "org.freedesktop.systemd1.Slice",
    methods: &[
        m("GetProcesses", &[], &[("processes", "a(sus)")]),
        m("AttachProcesses", &[("subcgroup", "s"), ("pids", "au")], &[]),
    ],
    signals: &[],
};

/// `org.freedesktop.systemd1.Scope`.
pub static SCOPE: Interface = Interface {
    name: "org.freedesktop.systemd1.Scope",
    methods: &[
        m("Abandon", &[], &[]),
        m("GetProcesses", &[], &[("processes", "a(sus)")]),
        m("AttachProcesses", &[("subcgroup", "s"), ("pids", "au")], &[]),
    ],
    signals: &[Signal { name: "RequestStop", args: &[] }],
};

/// The interface of a unit type.
pub fn of_type(kind: UnitType) -> &'static Interface {
    match kind {
        UnitType::Service => &SERVICE,
        UnitType::Socket => &SOCKET,
        UnitType::Target => &TARGET,
        UnitType::Device => &DEVICE,
        UnitType::Mount => &MOUNT,
        UnitType::Automount => &AUTOMOUNT,
        UnitType::Swap => &SWAP,
        UnitType::Timer => &TIMER,
        UnitType::Path => &PATH,
        UnitType::Slice => &SLICE,
        UnitType::Scope => &SCOPE,
    }
}
