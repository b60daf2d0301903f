//! Settings of control groups (systemd.resource-control(5)).
use super::prelude::*;
use runstead_core::names::UnitType;
use runstead_core::settings::Value;

/// The properties of all types with a control group.
pub const ROWS: &[UnitProperty] = &[
    p(
        "Delegate",
        "b",
        No,
        state(|c, w| {
            w.bool(c.unit.settings.delegate().is_some());
        }),
    ),
    p(
        "DelegateControllers",
        "as",
        No,
        state(|c, w| {
            w.strings(c.unit.settings.delegate().unwrap_or(&[]));
        }),
    ),
    p("DelegateSubgroup", "s", No, set(ids::DELEGATE_SUBGROUP)),
    p("CPUAccounting", "b", No, set(ids::CPU_ACCOUNTING)),
    p("CPUWeight", "t", No, set(ids::CPU_WEIGHT)),
    p("StartupCPUWeight", "t", No, set(ids::STARTUP_CPU_WEIGHT)),
    p("CPUShares", "t", No, set(ids::CPU_SHARES)),
    p("StartupCPUShares", "t", No, set(ids::STARTUP_CPU_SHARES)),
    p("CPUQuotaPerSecUSec", "t", No, set(ids::CPU_QUOTA)),
    p("CPUQuotaPeriodUSec", "t", No, set(ids::CPU_QUOTA_PERIOD_SEC)),
    p("AllowedCPUs", "ay", No, set(ids::ALLOWED_CPUS)),
    p("StartupAllowedCPUs", "ay", No, set(ids::STARTUP_ALLOWED_CPUS)),
    p("AllowedMemoryNodes", "ay", No, set(ids::ALLOWED_MEMORY_NODES)),
    p("StartupAllowedMemoryNodes", "ay", No, set(ids::STARTUP_ALLOWED_MEMORY_NODES)),
    p("IOAccounting", "b", No, set(ids::IO_ACCOUNTING)),
    p("IOWeight", "t", No, set(ids::IO_WEIGHT)),
    p("StartupIOWeight", "t", No, set(ids::STARTUP_IO_WEIGHT)),
    p("IODeviceWeight", "a(st)", No, set(ids::IO_DEVICE_WEIGHT)),
    p("IOReadBandwidthMax", "a(st)", No, set(ids::IO_READ_BANDWIDTH_MAX)),
    p("IOWriteBandwidthMax", "a(st)", No, set(ids::IO_WRITE_BANDWIDTH_MAX)),
    p("IOReadIOPSMax", "a(st)", No, set(ids::IO_READ_IOPS_MAX)),
    p("IOWriteIOPSMax", "a(st)", No, set(ids::IO_WRITE_IOPS_MAX)),
    p("IODeviceLatencyTargetUSec", "a(st)", No, set(ids::IO_DEVICE_LATENCY_TARGET_SEC)),
    p("BlockIOAccounting", "b", No, set(ids::BLOCK_IO_ACCOUNTING)),
    p("BlockIOWeight", "t", No, set(ids::BLOCK_IO_WEIGHT)),
    p("StartupBlockIOWeight", "t", No, set(ids::STARTUP_BLOCK_IO_WEIGHT)),
    p("BlockIODeviceWeight", "a(st)", No, set(ids::BLOCK_IO_DEVICE_WEIGHT)),
    p("BlockIOReadBandwidth", "a(st)", No, set(ids::BLOCK_IO_READ_BANDWIDTH)),
    p("BlockIOWriteBandwidth", "a(st)", No, set(ids::BLOCK_IO_WRITE_BANDWIDTH)),
    p("MemoryAccounting", "b", No, set(ids::MEMORY_ACCOUNTING)),
    p("DefaultMemoryLow", "t", No, state(|c, w| share(c, ids::DEFAULT_MEMORY_LOW, w))),
    p("DefaultStartupMemoryLow", "t", No, state(|c, w| share(c, ids::DEFAULT_STARTUP_MEMORY_LOW, w))),
    p("DefaultMemoryMin", "t", No, state(|c, w| share(c, ids::DEFAULT_MEMORY_MIN, w))),
    p("MemoryMin", "t", No, state(|c, w| share(c, ids::MEMORY_MIN, w))),
    p("MemoryLow", "t", No, state(|c, w| share(c, ids::MEMORY_LOW, w))),
    p("StartupMemoryLow", "t", No, state(|c, w| share(c, ids::STARTUP_MEMORY_LOW, w))),
    p("MemoryHigh", "t", No, state(|c, w| share(c, ids::MEMORY_HIGH, w))),
    p("StartupMemoryHigh", "t", No, state(|c, w| share(c, ids::STARTUP_MEMORY_HIGH, w))),
    p("MemoryMax", "t", No, state(|c, w| share(c, ids::MEMORY_MAX, w))),
    p("StartupMemoryMax", "t", No, state(|c, w| share(c, ids::STARTUP_MEMORY_MAX, w))),
    p("MemorySwapMax", "t", No, state(|c, w| share(c, ids::MEMORY_SWAP_MAX, w))),
    p("StartupMemorySwapMax", "t", No, state(|c, w| share(c, ids::STARTUP_MEMORY_SWAP_MAX, w))),
    p("MemoryZSwapMax", "t", No, state(|c, w| share(c, ids::MEMORY_ZSWAP_MAX, w))),
    p("StartupMemoryZSwapMax", "t", No, state(|c, w| share(c, ids::STARTUP_MEMORY_ZSWAP_MAX, w))),
    p("MemoryZSwapWriteback", "b", No, set(ids::MEMORY_ZSWAP_WRITEBACK)),
    p("MemoryLimit", "t", No, state(|c, w| share(c, ids::MEMORY_LIMIT, w))),
    p("DevicePolicy", "s", No, set(ids::DEVICE_POLICY)),
    p("DeviceAllow", "a(ss)", No, set(ids::DEVICE_ALLOW)),
    p("TasksAccounting", "b", No, set(ids::TASKS_ACCOUNTING)),
    p("TasksMax", "t", No, state(|c, w| share(c, ids::TASKS_MAX, w))),
    p("IPAccounting", "b", No, set(ids::IP_ACCOUNTING)),
    p("IPAddressAllow", "a(iayu)", No, set(ids::IP_ADDRESS_ALLOW)),
    p("IPAddressDeny", "a(iayu)", No, set(ids::IP_ADDRESS_DENY)),
    p("IPIngressFilterPath", "as", No, set(ids::IP_INGRESS_FILTER_PATH)),
    p("IPEgressFilterPath", "as", No, set(ids::IP_EGRESS_FILTER_PATH)),
    p("DisableControllers", "as", No, set(ids::DISABLE_CONTROLLERS)),
    p("ManagedOOMSwap", "s", No, set(ids::MANAGED_OOM_SWAP)),
    p("ManagedOOMMemoryPressure", "s", No, set(ids::MANAGED_OOM_MEMORY_PRESSURE)),
    p("ManagedOOMMemoryPressureLimit", "u", No, set(ids::MANAGED_OOM_MEMORY_PRESSURE_LIMIT)),
    p("ManagedOOMMemoryPressureDurationUSec", "t", No, set(ids::MANAGED_OOM_MEMORY_PRESSURE_DURATION_SEC)),
    p("ManagedOOMPreference", "s", No, set(ids::MANAGED_OOM_PREFERENCE)),
    p("BPFProgram", "a(ss)", No, set(ids::BPF_PROGRAM)),
    p("SocketBindAllow", "a(iiqq)", No, set(ids::SOCKET_BIND_ALLOW)),
    p("SocketBindDeny", "a(iiqq)", No, set(ids::SOCKET_BIND_DENY)),
    p("RestrictNetworkInterfaces", "(bas)", No, set(ids::RESTRICT_NETWORK_INTERFACES)),
    p("MemoryPressureWatch", "s", No, set(ids::MEMORY_PRESSURE_WATCH)),
    p("MemoryPressureThresholdUSec", "t", No, set(ids::MEMORY_PRESSURE_THRESHOLD_SEC)),
    p("NFTSet", "a(iiss)", No, set(ids::NFT_SET)),
    p("CoredumpReceive", "b", No, set(ids::COREDUMP_RECEIVE)),
];

fn share(context: &Context<'_>, id: DirectiveId, writer: &mut Writer) {
    writer.u64(resolved(context, id));
}

/// A limit of memory or tasks in absolute numbers.
pub fn resolved(context: &Context<'_>, id: DirectiveId) -> u64 {
    let is_tasks = id == ids::TASKS_MAX;
    match context.unit.settings.get(id) {
        Some(Value::Text(text)) => {
            let all = if is_tasks { context.facts.tasks_limit() } else { context.facts.physical_memory() };
            part_of(text, all)
        }
        None if is_tasks && context.unit.name.kind() == UnitType::Slice => u64::MAX,
        None if is_tasks => context.engine.config.default_tasks_max,
        _ => context.unit.settings.uint(id),
    }
}

/// `15%`, `0.5%` or `2‰` of `all`.
pub fn part_of(text: &str, all: u64) -> u64 {
    let (digits, per) = match (text.strip_suffix('%'), text.strip_suffix('‰'), text.strip_suffix('‱')) {
        (Some(digits), ..) => (digits, 100),
        (_, Some(digits), _) => (digits, 1000),
        (_, _, Some(digits)) => (digits, 10_000),
        _ => return u64::MAX,
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let scale = 10u128.pow(u32::try_from(fraction.len().min(4)).unwrap_or(0));
    let fraction = fraction.get(..fraction.len().min(4)).unwrap_or("");
    let Ok(number) = format!("{whole}{fraction}").parse::<u128>() else { return u64::MAX };
    u64::try_from(u128::from(all).saturating_mul(number) / (scale * per)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        assert_eq!(part_of("15%", 192_731), 28_909);
        assert_eq!(part_of("0.5%", 1000), 5);
        assert_eq!(part_of("infinity", 1000), u64::MAX);
    }
}
