//! Properties of units as such, and of types without processes.
use super::prelude::*;

properties! { /// `org.freedesktop.systemd1.Unit`
    UNIT;
    "Id" "s" Const state(Id);
    "Names" "as" Const state(Names);
    "Following" "s" No state(Following);
    "Requires" "as" Const state(Requires);
    "Requisite" "as" Const state(Requisite);
    "Wants" "as" Const state(Wants);
    "BindsTo" "as" Const state(BindsTo);
    "PartOf" "as" Const state(PartOf);
    "Upholds" "as" Const state(Upholds);
    "RequiredBy" "as" Const state(RequiredBy);
    "RequisiteOf" "as" Const state(RequisiteOf);
    "WantedBy" "as" Const state(WantedBy);
    "BoundBy" "as" Const state(BoundBy);
    "UpheldBy" "as" Const state(UpheldBy);
    "ConsistsOf" "as" Const state(ConsistsOf);
    "Conflicts" "as" Const state(Conflicts);
    "ConflictedBy" "as" Const state(ConflictedBy);
    "Before" "as" Const state(Before);
    "After" "as" Const state(After);
    "OnSuccess" "as" Const state(OnSuccess);
    "OnSuccessOf" "as" Const state(OnSuccessOf);
    "OnFailure" "as" Const state(OnFailure);
    "OnFailureOf" "as" Const state(OnFailureOf);
    "Triggers" "as" Const state(Triggers);
    "TriggeredBy" "as" Const state(TriggeredBy);
    "PropagatesReloadTo" "as" Const state(PropagatesReloadTo);
    "ReloadPropagatedFrom" "as" Const state(ReloadPropagatedFrom);
    "PropagatesStopTo" "as" Const state(PropagatesStopTo);
    "StopPropagatedFrom" "as" Const state(StopPropagatedFrom);
    "JoinsNamespaceOf" "as" Const state(JoinsNamespaceOf);
    "SliceOf" "as" Const state(SliceOf);
    "RequiresMountsFor" "as" Const state(RequiresMountsFor);
    "WantsMountsFor" "as" Const state(WantsMountsFor);
    "Documentation" "as" Const directive(DOCUMENTATION, Plain);
    "Description" "s" Const state(Description);
    "AccessSELinuxContext" "s" Const fact(AccessSELinuxContext);
    "LoadState" "s" Const state(LoadState);
    "ActiveState" "s" Change state(ActiveState);
    "FreezerState" "s" Change state(FreezerState);
    "SubState" "s" Change state(SubState);
    "FragmentPath" "s" Const state(FragmentPath);
    "SourcePath" "s" Const directive(SOURCE_PATH, Plain);
    "DropInPaths" "as" Const state(DropInPaths);
    "UnitFileState" "s" No fact(UnitFileState);
    "UnitFilePreset" "s" No fact(UnitFilePreset);
    "StateChangeTimestamp" "t" Change state(StateChangeTimestamp);
    "StateChangeTimestampMonotonic" "t" Change state(StateChangeTimestampMonotonic);
    "InactiveExitTimestamp" "t" Change state(InactiveExitTimestamp);
    "InactiveExitTimestampMonotonic" "t" Change state(InactiveExitTimestampMonotonic);
    "ActiveEnterTimestamp" "t" Change state(ActiveEnterTimestamp);
    "ActiveEnterTimestampMonotonic" "t" Change state(ActiveEnterTimestampMonotonic);
    "ActiveExitTimestamp" "t" Change state(ActiveExitTimestamp);
    "ActiveExitTimestampMonotonic" "t" Change state(ActiveExitTimestampMonotonic);
    "InactiveEnterTimestamp" "t" Change state(InactiveEnterTimestamp);
    "InactiveEnterTimestampMonotonic" "t" Change state(InactiveEnterTimestampMonotonic);
    "CanStart" "b" Const state(CanStart);
    "CanStop" "b" Const state(CanStop);
    "CanReload" "b" Const state(CanReload);
    "CanIsolate" "b" Const state(CanIsolate);
    "CanClean" "as" Const state(CanClean);
    "CanFreeze" "b" Const state(CanFreeze);
    "CanLiveMount" "b" Const state(CanLiveMount);
    "Job" "(uo)" Change state(Job);
    "StopWhenUnneeded" "b" Const directive(STOP_WHEN_UNNEEDED, Plain);
    "RefuseManualStart" "b" Const directive(REFUSE_MANUAL_START, Plain);
    "RefuseManualStop" "b" Const directive(REFUSE_MANUAL_STOP, Plain);
    "AllowIsolate" "b" Const directive(ALLOW_ISOLATE, Plain);
    "DefaultDependencies" "b" Const directive(DEFAULT_DEPENDENCIES, Plain);
    "SurviveFinalKillSignal" "b" Const directive(SURVIVE_FINAL_KILL_SIGNAL, Plain);
    "OnSuccessJobMode" "s" Const directive(ON_SUCCESS_JOB_MODE, Plain);
    "OnFailureJobMode" "s" Const directive(ON_FAILURE_JOB_MODE, Plain);
    "IgnoreOnIsolate" "b" Const directive(IGNORE_ON_ISOLATE, Plain);
    "NeedDaemonReload" "b" No fact(NeedDaemonReload);
    "Markers" "as" No state(Markers);
    "JobTimeoutUSec" "t" Const directive(JOB_TIMEOUT_SEC, Plain);
    "JobRunningTimeoutUSec" "t" Const state(JobRunningTimeout);
    "JobTimeoutAction" "s" Const directive(JOB_TIMEOUT_ACTION, Plain);
    "JobTimeoutRebootArgument" "s" Const directive(JOB_TIMEOUT_REBOOT_ARGUMENT, Plain);
    "ConditionResult" "b" Change state(ConditionResult);
    "AssertResult" "b" Change state(AssertResult);
    "ConditionTimestamp" "t" Change state(ConditionTimestamp);
    "ConditionTimestampMonotonic" "t" Change state(ConditionTimestampMonotonic);
    "AssertTimestamp" "t" Change state(AssertTimestamp);
    "AssertTimestampMonotonic" "t" Change state(AssertTimestampMonotonic);
    "Conditions" "a(sbbsi)" Invalidates Checks(false);
    "Asserts" "a(sbbsi)" Invalidates Checks(true);
    "LoadError" "(ss)" Const state(LoadError);
    "Transient" "b" Const state(Transient);
    "Perpetual" "b" Const state(Perpetual);
    "StartLimitIntervalUSec" "t" Const directive(START_LIMIT_INTERVAL_SEC, Plain);
    "StartLimitBurst" "u" Const directive(START_LIMIT_BURST, Plain);
    "StartLimitAction" "s" Const directive(START_LIMIT_ACTION, Plain);
    "FailureAction" "s" Const directive(FAILURE_ACTION, Plain);
    "FailureActionExitStatus" "i" Const directive(FAILURE_ACTION_EXIT_STATUS, Plain);
    "SuccessAction" "s" Const directive(SUCCESS_ACTION, Plain);
    "SuccessActionExitStatus" "i" Const directive(SUCCESS_ACTION_EXIT_STATUS, Plain);
    "RebootArgument" "s" Const directive(REBOOT_ARGUMENT, Plain);
    "InvocationID" "ay" Change state(InvocationID);
    "CollectMode" "s" Const directive(COLLECT_MODE, Plain);
    "Refs" "as" No state(Refs);
    "ActivationDetails" "a(ss)" Change state(ActivationDetails);
    "DebugInvocation" "b" No state(DebugInvocation);
}

properties! { /// `org.freedesktop.systemd1.Automount`
    AUTOMOUNT;
    "Where" "s" Const state(Where);
    "ExtraOptions" "s" Const directive(EXTRA_OPTIONS, Plain);
    "DirectoryMode" "u" Const directive(DIRECTORY_MODE, Plain);
    "Result" "s" Change state(Result);
    "TimeoutIdleUSec" "t" Const directive(TIMEOUT_IDLE_SEC, Plain);
}

properties! { /// `org.freedesktop.systemd1.Timer`
    TIMER;
    "Unit" "s" Const state(TriggeredUnit);
    "TimersMonotonic" "a(stt)" Invalidates Timers(false);
    "TimersCalendar" "a(sst)" Invalidates Timers(true);
    "OnClockChange" "b" Const directive(ON_CLOCK_CHANGE, Plain);
    "OnTimezoneChange" "b" Const directive(ON_TIMEZONE_CHANGE, Plain);
    "NextElapseUSecRealtime" "t" Change state(NextElapseUSecRealtime);
    "NextElapseUSecMonotonic" "t" Change state(NextElapseUSecMonotonic);
    "LastTriggerUSec" "t" Change state(LastTriggerUSec);
    "LastTriggerUSecMonotonic" "t" Change state(LastTriggerUSecMonotonic);
    "Result" "s" Change state(Result);
    "AccuracyUSec" "t" Const directive(ACCURACY_SEC, Plain);
    "RandomizedDelayUSec" "t" Const directive(RANDOMIZED_DELAY_SEC, Plain);
    "FixedRandomDelay" "b" Const directive(FIXED_RANDOM_DELAY, Plain);
    "Persistent" "b" Const directive(PERSISTENT, Plain);
    "WakeSystem" "b" Const directive(WAKE_SYSTEM, Plain);
    "RemainAfterElapse" "b" Const directive(REMAIN_AFTER_ELAPSE, Plain);
    "DeferReactivation" "b" Const directive(DEFER_REACTIVATION, Plain);
}

properties! { /// `org.freedesktop.systemd1.Path`
    PATH;
    "Unit" "s" Const state(TriggeredUnit);
    "Paths" "a(ss)" Const directive(PATH_EXISTS, Paths);
    "MakeDirectory" "b" Const directive(MAKE_DIRECTORY, Plain);
    "DirectoryMode" "u" Const directive(DIRECTORY_MODE, Plain);
    "Result" "s" Change state(Result);
    "TriggerLimitIntervalUSec" "t" Const directive(TRIGGER_LIMIT_INTERVAL_SEC, Plain);
    "TriggerLimitBurst" "u" Const directive(TRIGGER_LIMIT_BURST, Plain);
}

properties! { /// `org.freedesktop.systemd1.Device`
    DEVICE;
    "SysFSPath" "s" Change state(SysFSPath);
}
