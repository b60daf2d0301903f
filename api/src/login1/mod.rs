//! `org.freedesktop.login1`: the login manager's D-Bus interface (org.freedesktop.login1(5)).
//!
//! [`object::Object`] is what a path names, [`decode::call`] makes an [`action::Action`] of a method call, [`properties`] shows
//! what [`runstead_core::sessions`] knows, and [`authority`] says who may do what.
pub mod action;
pub mod authority;
pub mod decode;
pub mod introspect;
pub mod object;
pub mod power;
pub mod properties;
pub mod signals;
pub mod tables;
#[cfg(test)]
mod tests;

/// Name on the system bus.
pub const BUS_NAME: &str = "org.freedesktop.login1";
/// The manager's object.
pub const MANAGER_PATH: &str = "/org/freedesktop/login1";
