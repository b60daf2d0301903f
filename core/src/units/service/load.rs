//! Verification, and the dependencies that follow from the settings (systemd.service(5)).
use super::super::exec::{self, known_name, say};
use super::super::{LoadProblem, kill};
use super::state::Role;
use super::{ServiceType, config, service_mut, settings};
use crate::directives::ids;
use crate::engine::Engine;
use crate::engine::effect::UnitId;
use crate::graph::{Dependency, Origins};
use crate::settings::Settings;

/// Settings are parsed: verify them, add what they imply.
pub(super) fn loaded(e: &mut Engine, id: UnitId) -> Result<(), LoadProblem> {
    let s = settings(e, id);
    let kind = config::kind(&s);
    service_mut(e, id).kind = kind;
    if let Err(why) = verify(&s, kind) {
        say(e, id, 3, why);
        return Err(LoadProblem::bad_setting(why));
    }
    if kind == ServiceType::Oneshot && s.is_set(ids::RUNTIME_MAX_SEC) {
        say(e, id, 4, "RuntimeMaxSec= has no effect in combination with Type=oneshot. Ignoring.");
    }
    exec::add_exec_dependencies(e, id);
    for socket in s.units(ids::SOCKETS) {
        let socket = e.ensure(socket);
        e.add_two(id, Dependency::Wants, Dependency::After, socket, Origins::FILE);
        e.add_dependency(id, Dependency::TriggeredBy, socket, Origins::FILE);
    }
    if let Some(name) = s.text(ids::BUS_NAME) {
        e.watch_bus_name(&name.into(), id);
    }
    if kind == ServiceType::Dbus {
        let bus = e.ensure(&known_name("dbus.socket"));
        e.add_two(id, Dependency::After, Dependency::Requires, bus, Origins::FILE);
    }
    if s.bool(ids::DEFAULT_DEPENDENCIES) {
        default_dependencies(e, id);
    }
    Ok(())
}

fn default_dependencies(e: &mut Engine, id: UnitId) {
    let base = if e.config.user { "basic.target" } else { "sysinit.target" };
    let base = e.ensure(&known_name(base));
    e.add_two(id, Dependency::After, Dependency::Requires, base, Origins::DEFAULT);
    let basic = e.ensure(&known_name("basic.target"));
    e.add_dependency(id, Dependency::After, basic, Origins::DEFAULT);
    let shutdown = e.ensure(&known_name("shutdown.target"));
    e.add_two(id, Dependency::Before, Dependency::Conflicts, shutdown, Origins::DEFAULT);
}

fn verify(s: &Settings, kind: ServiceType) -> Result<(), &'static str> {
    let count = |role| config::commands(s, role).len();
    let acts = s.is_set(ids::SUCCESS_ACTION) && s.word(ids::SUCCESS_ACTION) != "none";
    let (start, stop) = (count(Role::Start), count(Role::Stop));
    let oneshot = kind == ServiceType::Oneshot;
    if start == 0 && stop == 0 && !acts {
        return Err("Service has no ExecStart=, ExecStop=, or SuccessAction=. Refusing.");
    }
    if !oneshot && start == 0 {
        return Err(
            "Service has no ExecStart= setting, which is only allowed for Type=oneshot services. Refusing.",
        );
    }
    if start == 0 && !config::remain_after_exit(s) && !acts {
        return Err(
            "Service has no ExecStart= and no SuccessAction= settings and does not have RemainAfterExit=yes set. \
             Refusing.",
        );
    }
    if !oneshot && start > 1 {
        return Err(
            "Service has more than one ExecStart= setting, which is only allowed for Type=oneshot services. Refusing.",
        );
    }
    if oneshot && matches!(config::restart(s), "always" | "on-success") {
        return Err(
            "Service has Restart= set to either always or on-success, which isn't allowed for Type=oneshot services. \
             Refusing.",
        );
    }
    if oneshot && config::exit_type_cgroup(s) {
        return Err(
            "Service has ExitType=cgroup set, which isn't allowed for Type=oneshot services. Refusing.",
        );
    }
    if kind == ServiceType::Dbus && s.text(ids::BUS_NAME).is_none() {
        return Err("Service is of type D-Bus but no D-Bus service name has been specified. Refusing.");
    }
    let mode = kill::mode(s);
    if s.text(ids::PAM_NAME).is_some() && !matches!(mode, kill::Mode::ControlGroup | kill::Mode::Mixed) {
        return Err(
            "Service has PAM enabled. Kill mode must be set to 'control-group' or 'mixed'. Refusing.",
        );
    }
    Ok(())
}
