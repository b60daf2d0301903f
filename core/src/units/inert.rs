//! A machine that does nothing but be up or down: stands in for a type that has no machine of its own.
use super::{ActiveState, Machine, Refusal};
use crate::engine::Engine;
use crate::engine::effect::UnitId;
use serde::{Deserialize, Serialize};

macro_rules! inert {
    ($($name:ident $up:literal),*) => { $(
        /// Up or down.
        #[derive(Debug, Clone, Default, Serialize, Deserialize)]
        pub struct $name {
            /// It was started.
            pub up: bool,
        }

        impl Machine for $name {
            fn start(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
                let old = e.unit(id).active_state();
                e.machine_mut::<$name>(id).up = true;
                e.state_changed(id, old);
                Ok(())
            }
            fn stop(e: &mut Engine, id: UnitId) -> Result<(), Refusal> {
                let old = e.unit(id).active_state();
                e.machine_mut::<$name>(id).up = false;
                e.state_changed(id, old);
                Ok(())
            }
            fn active_state(&self) -> ActiveState {
                if self.up { ActiveState::Active } else { ActiveState::Inactive }
            }
            fn sub_state(&self) -> &'static str {
                if self.up { $up } else { "dead" }
            }
        }
    )* };
}

inert!(Mount "mounted", Swap "active", Automount "waiting");

/// The kernel's mount table is new: no machine follows it yet.
pub fn mount_table_changed(_: &mut Engine, _: Vec<crate::engine::event::MountEntry>) {}

/// The kernel's swap table is new: no machine follows it yet.
pub fn swap_table_changed(_: &mut Engine, _: Vec<crate::engine::event::SwapEntry>) {}
