//! Verification of socket units and the dependencies that follow from their settings (systemd.socket(5)).
use super::exec::{self, say};
use super::socket::{Socket, accepts};
use super::{LoadProblem, socket};
use crate::directives::ids;
use crate::engine::effect::{ListenPort, UnitId};
use crate::engine::{Engine, RateLimit};
use crate::graph::{Dependency, Origins};
use crate::names::{UnitName, UnitType};
use crate::settings::Settings;

const SECOND: u64 = 1_000_000;

pub(super) fn loaded(e: &mut Engine, id: UnitId) -> Result<(), LoadProblem> {
    let s = e.unit(id).settings.clone();
    if let Err(why) = verify(&s) {
        say(e, id, 3, why);
        return Err(LoadProblem::bad_setting(why));
    }
    limits(e, id, &s);
    if !accepts(&s) {
        let own = e.unit(id).name.with_type(UnitType::Service);
        if let Some(name) = s.unit(ids::SERVICE).cloned().or(own.ok()) {
            let service = e.ensure(&name);
            e.add_two(id, Dependency::Before, Dependency::Triggers, service, Origins::IMPLICIT);
        }
    }
    for port in s.ports() {
        if let Some(path) = path_of(port) {
            exec::need_mounts_for(e, id, path, true, Origins::FILE);
        }
    }
    if let Some(device) = s.text(ids::BIND_TO_DEVICE).filter(|device| *device != "lo") {
        let path = format!("/sys/subsystem/net/devices/{device}");
        if let Ok(name) = UnitName::from_path(&path, UnitType::Device) {
            let device = e.ensure(&name);
            e.add_two(id, Dependency::BindsTo, Dependency::After, device, Origins::IMPLICIT);
        }
    }
    let commands = [ids::EXEC_START_PRE, ids::EXEC_START_POST, ids::EXEC_STOP_PRE, ids::EXEC_STOP_POST];
    if commands.into_iter().any(|row| !s.commands(row).is_empty()) {
        exec::add_exec_dependencies(e, id);
    }
    if s.bool(ids::DEFAULT_DEPENDENCIES) {
        exec::add_trigger_defaults(e, id, "sockets.target");
    }
    Ok(())
}

/// `TriggerLimit*=` and `PollLimit*=`; the defaults depend on `Accept=`.
fn limits(e: &mut Engine, id: UnitId, s: &Settings) {
    let accept = accepts(s);
    let limit = |interval, burst, fallback: u32| {
        let span = if s.is_set(interval) { s.uint(interval) } else { 2 * SECOND };
        let count = if s.is_set(burst) { u32::try_from(s.uint(burst)).unwrap_or(u32::MAX) } else { fallback };
        RateLimit::new(span, count)
    };
    let trigger =
        limit(ids::TRIGGER_LIMIT_INTERVAL_SEC, ids::TRIGGER_LIMIT_BURST, if accept { 200 } else { 20 });
    let poll = limit(ids::POLL_LIMIT_INTERVAL_SEC, ids::POLL_LIMIT_BURST, if accept { 150 } else { 15 });
    let machine = e.machine_mut::<Socket>(id);
    keep_count(&mut machine.trigger_limit, trigger);
    keep_count(&mut machine.poll_limit, poll);
}

fn keep_count(old: &mut RateLimit, new: RateLimit) {
    old.interval = new.interval;
    old.burst = new.burst;
}

/// The path of a port in the file system.
pub(super) fn path_of(port: &ListenPort) -> Option<&str> {
    let path = matches!(
        &*port.kind,
        "Stream" | "Datagram" | "SequentialPacket" | "FIFO" | "Special" | "USBFunction"
    );
    (path && port.address.starts_with('/')).then_some(&port.address)
}

fn verify(s: &Settings) -> Result<(), &'static str> {
    let ports = s.ports();
    if ports.is_empty() {
        return Err(
            "Unit has no Listen setting (ListenStream=, ListenDatagram=, ListenFIFO=, ...). Refusing.",
        );
    }
    let accept = socket::accepts(s);
    if accept && ports.iter().any(|port| !matches!(&*port.kind, "Stream" | "SequentialPacket")) {
        return Err("Unit configured for accepting sockets, but sockets are non-accepting. Refusing.");
    }
    if accept && s.uint(ids::MAX_CONNECTIONS) == 0 {
        return Err("MaxConnections= setting too small. Refusing.");
    }
    if accept && s.is_set(ids::SERVICE) {
        return Err("Explicit service configuration for accepting socket units not supported. Refusing.");
    }
    let nodes = ports.iter().filter(|p| {
        matches!(&*p.kind, "Stream" | "Datagram" | "SequentialPacket" | "FIFO") && path_of(p).is_some()
    });
    if !s.list(ids::SYMLINKS).is_empty() && nodes.count() != 1 {
        return Err("Unit has symlinks set but none or more than one node in the file system. Refusing.");
    }
    Ok(())
}
