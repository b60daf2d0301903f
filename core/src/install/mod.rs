//! `[Install]` sections (`systemd.unit(5)`, `systemctl(1)` "Unit File Commands"): which links `enable`, `disable`,
//! `mask` and the like make and remove, and what state a unit file is in. Pure: what lies on disk comes through
//! [`UnitDirView`], what is to be done goes out as [`Change`]s.

mod change;
mod info;
mod mask;
mod plan;
mod preset;
mod removal;
mod state;
#[cfg(test)]
mod tests;
mod view;

pub use change::{Change, ChangeKind, InstallError, Outcome};
pub use info::{Found, InstallInfo};
pub use mask::{get_default, link, mask, revert, set_default, unmask};
pub use plan::{add_dependency, disable, enable, reenable};
pub use preset::{Preset, PresetMode, PresetRules, preset, preset_all, preset_directories};
pub use state::{ListedFile, UnitFileState, list_unit_files, unit_file_state};
pub use view::{Entry, EntryKind, UnitDirView};

use crate::names::specifiers::{HostSpecifiers, ManagerSpecifiers};
use crate::unitfile::search::{LoadPath, Role};

/// What all plans need to know.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The disk.
    pub view: &'a dyn UnitDirView,
    /// Where unit files are looked for.
    pub load_path: &'a LoadPath,
    /// For specifiers in `[Install]`.
    pub host: &'a HostSpecifiers,
    /// For specifiers in `[Install]`.
    pub manager: &'a ManagerSpecifiers,
}

/// Flags of the unit file commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// `--runtime`: links go where they last until reboot.
    pub runtime: bool,
    /// `--force`: replace links that point elsewhere.
    pub force: bool,
}

impl Context<'_> {
    /// The directory in which links are made and removed.
    fn config_directory(&self, runtime: bool) -> Result<&str, InstallError> {
        let role = if runtime { Role::RuntimeConfig } else { Role::PersistentConfig };
        self.load_path.first(role).ok_or(InstallError::NoDirectory)
    }
}
