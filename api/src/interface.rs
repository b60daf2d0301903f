//! Interfaces as data: what clients may call, and what they may hear.
use runstead_core::directives::properties::Emits;

/// A method: its name, and its arguments as (name, signature).
#[derive(Debug)]
pub struct Method {
    /// Member name.
    pub name: &'static str,
    /// What the caller sends.
    pub input: &'static [(&'static str, &'static str)],
    /// What it gets back.
    pub output: &'static [(&'static str, &'static str)],
    /// Marked deprecated in the introspection.
    pub deprecated: bool,
    /// Marked in the introspection as nothing for ordinary users, so that bus policies can tell.
    pub privileged: bool,
}

/// A signal and its arguments.
#[derive(Debug)]
pub struct Signal {
    /// Member name.
    pub name: &'static str,
    /// Arguments as (name, signature).
    pub args: &'static [(&'static str, &'static str)],
}

/// An interface.
#[derive(Debug)]
pub struct Interface {
    /// Full name.
    pub name: &'static str,
    /// Its methods in order.
    pub methods: &'static [Method],
    /// Its signals in order.
    pub signals: &'static [Signal],
}

impl Interface {
    /// The method of that name.
    pub fn method(&self, name: &str) -> Option<&'static Method> {
        self.methods.iter().find(|method| method.name == name)
    }
}

impl Method {
    /// The signature of the call's body.
    pub fn input_signature(&self) -> String {
        self.input.iter().map(|arg| arg.1).collect()
    }
}

/// A property.
#[derive(Debug)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub signature: &'static str,
    /// Whether its changes are told.
    pub emits: Emits,
    /// Whether it can be set.
    pub writable: bool,
}

/// A method that anybody may call, as far as the introspection says.
pub const fn method(
    name: &'static str,
    input: &'static [(&'static str, &'static str)],
    output: &'static [(&'static str, &'static str)],
) -> Method {
    Method { name, input, output, deprecated: false, privileged: false }
}

/// A method that the introspection marks as nothing for ordinary users.
pub const fn privileged(
    name: &'static str,
    input: &'static [(&'static str, &'static str)],
    output: &'static [(&'static str, &'static str)],
) -> Method {
    Method { name, input, output, deprecated: false, privileged: true }
}
