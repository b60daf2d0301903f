//! Devices (systemd.device(5)).
//!
//! | state | ActiveState | SubState | leaves to |
//! |---|---|---|---|
//! | dead | inactive | dead | tentative, plugged: somebody found it |
//! | tentative | activating | tentative | plugged: udev announced it; dead: the last finder lost it |
//! | plugged | active | plugged | tentative, dead: udev withdrew it |
use super::{ActiveState, Machine, Refusal};
use crate::engine::Engine;
use crate::engine::effect::UnitId;
use serde::{Deserialize, Serialize};

/// Who has found a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// udev, tagged `systemd`.
    pub udev: bool,
    /// The mount table.
    pub mount: bool,
    /// The swap table.
    pub swap: bool,
}

/// Run-time state of a device.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Device {
    /// Who has found it.
    pub found: Found,
    /// `SysFSPath`.
    pub sysfs: Option<String>,
}

impl Machine for Device {
    fn start(_: &mut Engine, _: UnitId) -> Result<(), Refusal> {
        Err(Refusal::Invalid)
    }

    fn stop(_: &mut Engine, _: UnitId) -> Result<(), Refusal> {
        Err(Refusal::Invalid)
    }

    fn active_state(&self) -> ActiveState {
        match self.sub_state() {
            "plugged" => ActiveState::Active,
            "tentative" => ActiveState::Activating,
            _ => ActiveState::Inactive,
        }
    }

    fn sub_state(&self) -> &'static str {
        match self.found {
            Found { udev: true, .. } => "plugged",
            Found { mount: false, swap: false, .. } => "dead",
            _ => "tentative",
        }
    }
}
