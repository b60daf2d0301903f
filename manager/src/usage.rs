//! What units have used, once their control groups are gone: for clients that ask then, and for the log.
use crate::shell::Shell;
use runstead_api::systemd1::facts::Used;
use runstead_core::engine::effect::LogLine;
use runstead_core::names::UnitName;
use runstead_core::values::span;
use std::collections::BTreeMap;

/// The last use of each unit that is in memory and down.
pub(crate) type Usage = BTreeMap<UnitName, Used>;

const MESSAGE_ID: &str = "ae8f7b866b0347b9af31fe1c80b127c0";
/// So much is worth a line, and so much a notice: nanoseconds, bytes.
const CPU: [u64; 2] = [1_000_000_000, 600_000_000_000];
const MEMORY: [u64; 2] = [64 << 20, 512 << 20];

fn level(used: Used) -> u8 {
    let over = |at: usize| used.cpu_nsec > Some(CPU[at]) || used.memory_peak > Some(MEMORY[at]);
    match (over(0), over(1)) {
        (_, true) => 5,
        (true, false) => 6,
        (false, false) => 7,
    }
}

/// A size as log lines have it, with one digit behind the point.
fn size(bytes: u64) -> String {
    let units = [(40, 'T'), (30, 'G'), (20, 'M'), (10, 'K')];
    let Some((shift, suffix)) = units.into_iter().find(|(shift, _)| bytes >> shift > 0) else {
        return format!("{bytes}B");
    };
    match ((bytes >> (shift - 10)) % 1024 * 10) >> 10 {
        0 => format!("{}{suffix}", bytes >> shift),
        tenths => format!("{}.{tenths}{suffix}", bytes >> shift),
    }
}

fn text(unit: &UnitName, used: Used) -> String {
    let parts = [
        used.cpu_nsec.map(|nsec| format!("{} CPU time", span::format(nsec / 1000, 1000))),
        used.memory_peak.filter(|peak| *peak > 0).map(|peak| format!("{} memory peak", size(peak))),
        used.swap_peak.filter(|peak| *peak > 0).map(|peak| format!("{} memory swap peak", size(peak))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{unit}: Consumed {}.", parts.join(", "))
}

impl Shell {
    /// The unit's cgroup is about to go: what was used in it. Logged where it is much.
    pub(crate) fn keep_usage(&mut self, unit: &UnitName, cgroup: &str) {
        let Some(cgroups) = self.ownership.cgroups() else { return };
        let read = |file: &str| cgroups.read(cgroup, file).ok();
        let number = |file: &str| read(file)?.trim().parse().ok();
        let used = Used {
            cpu_nsec: read("cpu.stat").as_deref().and_then(Used::cpu_of),
            memory_peak: number("memory.peak"),
            swap_peak: number("memory.swap.peak"),
        };
        if used == Used::default() {
            return;
        }
        if self.log.level >= level(used) {
            let mut fields = vec![("MESSAGE_ID", MESSAGE_ID.into())];
            let numbers = [
                ("CPU_USAGE_NSEC", used.cpu_nsec),
                ("MEMORY_PEAK", used.memory_peak),
                ("MEMORY_SWAP_PEAK", used.swap_peak),
            ];
            fields.extend(
                numbers
                    .iter()
                    .filter_map(|(name, number)| Some((*name, number.as_ref()?.to_string().into()))),
            );
            let text = text(unit, used).into();
            self.log_unit(&LogLine { level: level(used), unit: Some(unit.clone()), text, fields });
        }
        if self.engine.find(unit).is_some() {
            self.usage.insert(unit.clone(), used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_is_told_in_a_line() {
        let unit = UnitName::parse("a.service").expect("valid");
        let mut used = Used { cpu_nsec: Some(999_999_999), memory_peak: Some(1 << 20), swap_peak: Some(0) };
        assert_eq!(level(used), 7);
        used.cpu_nsec = Some(1_018_000_000);
        assert_eq!(level(used), 6);
        assert_eq!(text(&unit, used), "a.service: Consumed 1.018s CPU time, 1M memory peak.");
        assert_eq!([1023, 1536, (5 << 20) - 1, 3 << 30].map(size), ["1023B", "1.5K", "4.9M", "3G"]);
        used.memory_peak = Some(2 << 30);
        assert_eq!(level(used), 5);
        used = Used { cpu_nsec: Some(2_000_000), ..Used::default() };
        assert_eq!((level(used), &*text(&unit, used)), (7, "a.service: Consumed 2ms CPU time."));
    }
}
