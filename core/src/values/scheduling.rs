//! Nice levels, IO and CPU scheduling classes (`systemd.exec(5)` "Scheduling").

use super::ValueError;

/// Names of the IO scheduling classes with the kernel's numbers (`ioprio_set(2)`).
pub const IO_CLASSES: [(&str, u8); 4] = [("none", 0), ("realtime", 1), ("best-effort", 2), ("idle", 3)];
/// Names of the CPU scheduling policies with the kernel's numbers (`sched(7)`).
pub const CPU_POLICIES: [(&str, u8); 6] =
    [("other", 0), ("fifo", 1), ("rr", 2), ("batch", 3), ("idle", 5), ("ext", 7)];

fn number_in(text: &str, low: i32, high: i32, what: &'static str) -> Result<i32, ValueError> {
    match text.parse::<i32>() {
        Ok(value) if (low..=high).contains(&value) => Ok(value),
        _ => Err(ValueError::new(what, text, "out of range")),
    }
}

/// Parses a nice level, -20 to 19.
pub fn parse_nice(text: &str) -> Result<i32, ValueError> {
    number_in(text, -20, 19, "nice level")
}

/// Parses an IO priority, 0 to 7.
pub fn parse_io_priority(text: &str) -> Result<u8, ValueError> {
    number_in(text, 0, 7, "IO priority").map(|v| u8::try_from(v).unwrap_or(0))
}

/// Parses a CPU scheduling priority, 0 to 99.
pub fn parse_cpu_priority(text: &str) -> Result<u8, ValueError> {
    number_in(text, 0, 99, "CPU scheduling priority").map(|v| u8::try_from(v).unwrap_or(0))
}

/// Parses an `OOMScoreAdjust=`, -1000 to 1000.
pub fn parse_oom_score(text: &str) -> Result<i32, ValueError> {
    number_in(text, -1000, 1000, "OOM score adjustment")
}

fn class(table: &[(&str, u8)], text: &str, what: &'static str) -> Result<u8, ValueError> {
    let number: Option<u8> = text.parse().ok();
    let hit = table.iter().find(|(name, value)| *name == text || number == Some(*value));
    hit.map(|(_, value)| *value).ok_or(ValueError::new(what, text, "no such class"))
}

fn class_name(table: &[(&'static str, u8)], number: u8) -> Option<&'static str> {
    table.iter().find(|(_, value)| *value == number).map(|(name, _)| *name)
}

/// Parses an IO scheduling class by name or number.
pub fn parse_io_class(text: &str) -> Result<u8, ValueError> {
    class(&IO_CLASSES, text, "IO scheduling class")
}

/// The name of an IO scheduling class.
pub fn format_io_class(number: u8) -> Option<&'static str> {
    class_name(&IO_CLASSES, number)
}

/// Parses a CPU scheduling policy by name or number.
pub fn parse_cpu_policy(text: &str) -> Result<u8, ValueError> {
    class(&CPU_POLICIES, text, "CPU scheduling policy")
}

/// The name of a CPU scheduling policy.
pub fn format_cpu_policy(number: u8) -> Option<&'static str> {
    class_name(&CPU_POLICIES, number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_names() {
        assert_eq!(parse_nice("-20"), Ok(-20));
        assert!(parse_nice("20").is_err());
        assert_eq!(parse_io_priority("7"), Ok(7));
        assert!(parse_io_priority("8").is_err());
        assert_eq!(parse_cpu_priority("99"), Ok(99));
        assert!(parse_oom_score("1001").is_err());
        assert_eq!(parse_io_class("best-effort"), Ok(2));
        assert_eq!(parse_io_class("3"), Ok(3));
        assert_eq!(parse_cpu_policy("batch"), Ok(3));
        assert!(parse_cpu_policy("4").is_err());
        assert_eq!(format_cpu_policy(5), Some("idle"));
        assert_eq!(format_io_class(9), None);
    }
}
