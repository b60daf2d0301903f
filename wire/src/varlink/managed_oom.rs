//! `io.systemd.ManagedOOM`: which control groups the out-of-memory daemon watches.
//!
//! The daemon calls `SubscribeManagedOOMCGroups` with `more` on `/run/systemd/io.systemd.ManagedOOM` and gets the whole list, then
//! every change. A user manager instead calls `ReportManagedOOMCGroups` of `io.systemd.oom` at the daemon.

use serde_json::{Value, json};

use super::Parameters;

/// The interface's name.
pub const INTERFACE: &str = "io.systemd.ManagedOOM";
/// The method's name inside the interface.
pub const SUBSCRIBE: &str = "SubscribeManagedOOMCGroups";
/// What a user manager calls at the daemon.
pub const REPORT: &str = "io.systemd.oom.ReportManagedOOMCGroups";
/// Somebody else has subscribed already.
pub const SUBSCRIPTION_TAKEN: &str = "io.systemd.ManagedOOM.SubscriptionTaken";

/// The interface's description.
pub const DESCRIPTION: &str = "interface io.systemd.ManagedOOM

type ControlGroup (mode: string, path: string, property: string, limit: ?int, duration: ?int)

method SubscribeManagedOOMCGroups() -> (cgroups: []ControlGroup)

error SubscriptionTaken()
";

/// One setting of one control group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlGroup<'a> {
    /// Whether the daemon shall kill in it (`kill`) or leave it alone (`auto`).
    pub kill: bool,
    /// Its path below the cgroup root.
    pub path: &'a str,
    /// `ManagedOOMSwap` or `ManagedOOMMemoryPressure`.
    pub property: &'a str,
    /// `ManagedOOMMemoryPressureLimit=` as a fraction of 2^32 - 1; `None` leaves it to the daemon.
    pub limit: Option<u32>,
    /// `ManagedOOMMemoryPressureDurationSec=` in microseconds.
    pub duration_usec: Option<u64>,
}

/// The parameters of a reply to the subscription, and of a user manager's report.
pub fn control_groups<'a>(groups: impl IntoIterator<Item = ControlGroup<'a>>) -> Parameters {
    let groups: Vec<Value> = groups.into_iter().map(|group| encode(&group)).collect();
    Parameters::from_iter([("cgroups".to_owned(), Value::Array(groups))])
}

fn encode(group: &ControlGroup<'_>) -> Value {
    let mut object = Parameters::new();
    object.insert("mode".to_owned(), json!(if group.kill { "kill" } else { "auto" }));
    object.insert("path".to_owned(), json!(group.path));
    object.insert("property".to_owned(), json!(group.property));
    if let Some(limit) = group.limit {
        object.insert("limit".to_owned(), json!(limit));
    }
    if let Some(duration) = group.duration_usec {
        object.insert("duration".to_owned(), json!(duration));
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups() {
        let swap = ControlGroup {
            kill: true,
            path: "/system.slice",
            property: "ManagedOOMSwap",
            limit: None,
            duration_usec: None,
        };
        let pressure = ControlGroup {
            kill: false,
            property: "ManagedOOMMemoryPressure",
            limit: Some(7),
            ..swap.clone()
        };
        assert_eq!(
            Value::Object(control_groups([swap, pressure])).to_string(),
            "{\"cgroups\":[{\"mode\":\"kill\",\"path\":\"/system.slice\",\"property\":\"ManagedOOMSwap\"},\
             {\"limit\":7,\"mode\":\"auto\",\"path\":\"/system.slice\",\"property\":\"ManagedOOMMemoryPressure\"}]}"
        );
    }
}
