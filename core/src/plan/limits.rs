//! Scheduling, limits and other numbers of a process (systemd.exec(5), "Scheduling", "Process Properties").
use super::builder::Builder;
use super::{ExitStatus, Op, PlanError};
use crate::directives::ids;
use crate::settings::DirectiveId;
use crate::values::cpuset;

const SCHED_OTHER: i64 = 0;
const SCHED_FIFO: i64 = 1;
const SCHED_RR: i64 = 2;
const IOPRIO_CLASS_SHIFT: u32 = 13;
const RLIMIT_RTPRIO: u32 = 14;
const PR_SET_TIMERSLACK: u64 = 29;
const PR_SET_MEMORY_MERGE: u64 = 67;

/// From the OOM score to the personality.
pub(super) fn schedule(b: &mut Builder) -> Result<(), PlanError> {
    let s = b.settings();
    if s.is_set(ids::OOM_SCORE_ADJUST) {
        let bytes = s.int(ids::OOM_SCORE_ADJUST).to_string().into_bytes();
        let op = Op::WriteFile { path: "/proc/self/oom_score_adj".into(), bytes };
        // Without the privilege it cannot be lowered, which the reference forgives.
        b.weaken(op, "OOMScoreAdjust");
    }
    if s.is_set(ids::COREDUMP_FILTER) {
        let bytes = format!("{:x}", s.bits(ids::COREDUMP_FILTER)).into_bytes();
        let op = Op::WriteFile { path: "/proc/self/coredump_filter".into(), bytes };
        b.fail(op, "CoredumpFilter", ExitStatus::Limits);
    }
    let nice = s.int(ids::NICE) as i32;
    if s.is_set(ids::NICE) {
        b.fail(Op::Nice(nice), "Nice", ExitStatus::Nice);
    }
    scheduler(b, nice);
    if let Some(mask) = cpu_mask(b, ids::CPU_AFFINITY, "CPUAffinity", ExitStatus::CpuAffinity)? {
        b.fail(Op::CpuAffinity(mask), "CPUAffinity", ExitStatus::CpuAffinity);
    }
    if let Ok(policy) = u32::try_from(s.int(ids::NUMA_POLICY)) {
        let nodes = cpu_mask(b, ids::NUMA_MASK, "NUMAMask", ExitStatus::NumaPolicy)?.unwrap_or_default();
        b.weaken(Op::NumaPolicy { policy, nodes }, "NUMAPolicy");
    }
    if s.is_set(ids::IO_SCHEDULING_CLASS) || s.is_set(ids::IO_SCHEDULING_PRIORITY) {
        let class = if s.is_set(ids::IO_SCHEDULING_CLASS) { s.int(ids::IO_SCHEDULING_CLASS) } else { 2 };
        let level =
            if s.is_set(ids::IO_SCHEDULING_PRIORITY) { s.int(ids::IO_SCHEDULING_PRIORITY) } else { 4 };
        let priority = (class as u32) << IOPRIO_CLASS_SHIFT | level as u32;
        b.fail(Op::IoPriority(priority), "IOSchedulingClass", ExitStatus::Ioprio);
    }
    if s.is_set(ids::TIMER_SLACK_NSEC) {
        let slack = s.uint(ids::TIMER_SLACK_NSEC);
        b.fail(Op::Prctl([PR_SET_TIMERSLACK, slack, 0, 0, 0]), "TimerSlackNSec", ExitStatus::TimerSlack);
    }
    if let Some(on) = s.tristate(ids::MEMORY_KSM) {
        b.weaken(Op::Prctl([PR_SET_MEMORY_MERGE, u64::from(on), 0, 0, 0]), "MemoryKSM");
    }
    if let Some(name) = s.text(ids::PERSONALITY) {
        let personality = match name {
            "x86" => 8,
            "x86-64" | "arm64" => 0,
            _ => {
                let why = format!("the personality {name} is not known here");
                return Err(b.error("Personality", ExitStatus::Personality, why));
            }
        };
        b.fail(Op::Personality(personality), "Personality", ExitStatus::Personality);
    }
    Ok(())
}

fn scheduler(b: &mut Builder, nice: i32) {
    let s = b.settings();
    let set = [ids::CPU_SCHEDULING_POLICY, ids::CPU_SCHEDULING_PRIORITY, ids::CPU_SCHEDULING_RESET_ON_FORK];
    if !set.into_iter().any(|id| s.is_set(id)) {
        return;
    }
    let policy = s.int(ids::CPU_SCHEDULING_POLICY);
    let realtime = policy == SCHED_FIFO || policy == SCHED_RR;
    // The reference raises the lowest priority where the policy wants one.
    let priority = if realtime { s.int(ids::CPU_SCHEDULING_PRIORITY).max(1) } else { 0 };
    let reset_on_fork = s.bool(ids::CPU_SCHEDULING_RESET_ON_FORK);
    let op = Op::Scheduler {
        policy: u32::try_from(policy).unwrap_or(SCHED_OTHER as u32),
        priority: priority as u32,
        nice: if realtime { 0 } else { nice },
        reset_on_fork,
    };
    b.fail(op, "CPUSchedulingPolicy", ExitStatus::SetScheduler);
}

fn cpu_mask(
    b: &Builder,
    id: DirectiveId,
    setting: &'static str,
    exit: ExitStatus,
) -> Result<Option<Vec<u8>>, PlanError> {
    let Some(text) = b.settings().text(id).filter(|text| !text.is_empty()) else { return Ok(None) };
    if text == "numa" {
        return Err(b.error(setting, exit, "the mask \"numa\" is not supported"));
    }
    let set = cpuset::parse(text).map_err(|error| b.error(setting, exit, error.to_string()))?;
    let Some(last) = set.last() else { return Ok(None) };
    let mut mask = vec![0u8; (*last as usize / 64 + 1) * 8];
    for cpu in set {
        mask[cpu as usize / 8] |= 1 << (cpu % 8);
    }
    Ok(Some(mask))
}

/// `RLIMIT_*` and their directives.
const LIMITS: [(DirectiveId, u32, &str); 16] = [
    (ids::LIMIT_CPU, 0, "LimitCPU"),
    (ids::LIMIT_FSIZE, 1, "LimitFSIZE"),
    (ids::LIMIT_DATA, 2, "LimitDATA"),
    (ids::LIMIT_STACK, 3, "LimitSTACK"),
    (ids::LIMIT_CORE, 4, "LimitCORE"),
    (ids::LIMIT_RSS, 5, "LimitRSS"),
    (ids::LIMIT_NOFILE, 7, "LimitNOFILE"),
    (ids::LIMIT_AS, 9, "LimitAS"),
    (ids::LIMIT_NPROC, 6, "LimitNPROC"),
    (ids::LIMIT_MEMLOCK, 8, "LimitMEMLOCK"),
    (ids::LIMIT_LOCKS, 10, "LimitLOCKS"),
    (ids::LIMIT_SIGPENDING, 11, "LimitSIGPENDING"),
    (ids::LIMIT_MSGQUEUE, 12, "LimitMSGQUEUE"),
    (ids::LIMIT_NICE, 13, "LimitNICE"),
    (ids::LIMIT_RTPRIO, RLIMIT_RTPRIO, "LimitRTPRIO"),
    (ids::LIMIT_RTTIME, 15, "LimitRTTIME"),
];

/// Resource limits.
pub(super) fn resources(b: &mut Builder) {
    for (id, resource, setting) in LIMITS {
        if let Some((soft, hard)) = b.settings().rlimit(id) {
            b.fail(Op::Rlimit { resource, soft, hard }, setting, ExitStatus::Limits);
        }
    }
    // sched_setattr(2) has its policy in memory, where a filter does not see it.
    if b.sandboxed() && b.settings().bool(ids::RESTRICT_REALTIME) {
        let op = Op::Rlimit { resource: RLIMIT_RTPRIO, soft: 0, hard: 0 };
        b.fail(op, "RestrictRealtime", ExitStatus::Limits);
    }
}
