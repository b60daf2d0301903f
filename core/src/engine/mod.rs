//! The engine: `step(now, event) -> effects`.
//!
//! | file | what it holds |
//! |---|---|
//! | `event` | what can happen to the manager |
//! | `effect` | what the manager can cause |
//! | `clock` | the three clocks and the timer queue |
pub mod clock;
pub mod effect;
pub mod event;
