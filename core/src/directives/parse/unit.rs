//! Names of units, commands, exit statuses, addresses, timers, watched paths.

use super::list::{absolute_path, words};
use super::{Context, Outcome, Problem, appended, ignored};
use crate::directives::kind::Kind;
use crate::directives::{ids, section};
use crate::engine::effect::{Command, ListenPort, PathSpec};
use crate::names::{UnitName, UnitType};
use crate::settings::Value;
use crate::values::{address, calendar, command, exitstatus, signal, span};
use std::rc::Rc;

pub(super) fn parse(context: &mut Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    match context.row.kind {
        Kind::Commands => commands(context, text),
        Kind::ExitSet => exit_set(context, text),
        Kind::Sockets => {
            let units = units(context, text)?;
            if units.iter().any(|unit| unit.kind() != UnitType::Socket) {
                return ignored("not a socket unit");
            }
            let units = appended(context.settings.units(ids::SOCKETS), units);
            Ok(Outcome::Set(Value::Units(units)))
        }
        Kind::Listen => listen(context, text),
        Kind::SocketService => one_unit(context, text, &[UnitType::Service]),
        Kind::TriggeredUnit => one_unit(context, text, &[]),
        Kind::SliceUnit if text.is_empty() => Ok(Outcome::Reset),
        Kind::SliceUnit => one_unit(context, text, &[UnitType::Slice]),
        Kind::Timer => timer(context, text),
        Kind::Watch => watch(context, text),
        Kind::MountsFor => mounts_for(context, text),
        _ => Ok(Outcome::Keep),
    }
}

/// A unit name with its specifiers expanded; a template takes over the unit's own instance, or else its prefix
/// (`Before=sshd@.service` in `sshd-keygen.service` means `sshd@sshd-keygen.service`).
pub(in crate::directives) fn unit_name(context: &Context<'_, '_>, word: &str) -> Result<UnitName, Problem> {
    let text = context.expand(word)?;
    let name = match UnitName::parse(&text) {
        Ok(name) => name,
        Err(error) => return ignored(format!("{text:?} is no unit name: {error}")),
    };
    if !name.is_template() {
        return Ok(name);
    }
    let unit = context.specifiers.unit;
    let instance = unit.instance().unwrap_or(unit.prefix());
    name.with_instance(instance).or_else(|error| ignored(format!("{text:?}: {error}")))
}

/// The unit names of a list; those that are none are complained of.
pub(in crate::directives) fn units(
    context: &mut Context<'_, '_>,
    text: &str,
) -> Result<Vec<UnitName>, Problem> {
    let mut found = Vec::new();
    for word in words(text)? {
        match unit_name(context, &word) {
            Ok(name) => found.push(name),
            Err(problem) => context.complain(problem),
        }
    }
    Ok(found)
}

fn one_unit(context: &Context<'_, '_>, text: &str, kinds: &[UnitType]) -> Result<Outcome, Problem> {
    let name = unit_name(context, text)?;
    if !kinds.is_empty() && !kinds.contains(&name.kind()) {
        return ignored("not the right type of unit");
    }
    if context.row.id == ids::UNIT && name.kind() == context.specifiers.unit.kind() {
        return ignored("a unit of the same type cannot be triggered");
    }
    if context.row.sections.contains(section::SOCKET) && context.settings.units(context.row.id).len() > 1 {
        return ignored("more than one");
    }
    Ok(Outcome::Set(Value::Units(Rc::from([name]))))
}

fn commands(context: &mut Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    if text.is_empty() {
        return Ok(Outcome::Reset);
    }
    let specifiers = context.specifiers;
    let expand = |word: &str| specifiers.expand(word).map_err(|error| error.reason);
    let parsed = match command::parse(text, &expand) {
        Ok(parsed) => parsed,
        Err(error) if tolerant(text) => return Err(error.into()),
        Err(error) => return Err(Problem::Fatal(format!("no valid {}: {}", error.what, error.reason))),
    };
    let parsed = parsed.into_iter().map(own_command).collect();
    let all = appended(context.settings.commands(context.row.id), parsed);
    Ok(if all.is_empty() { Outcome::Keep } else { Outcome::Set(Value::Commands(all)) })
}

/// Whether the prefixes of a command line say that its failure does not matter.
fn tolerant(text: &str) -> bool {
    text.chars().take_while(|c| "-@:+!|".contains(*c)).any(|c| c == '-')
}

/// The engine's form of a command. `!!` has no effect where the kernel has ambient capabilities, which is everywhere
/// we run.
fn own_command(command: command::Command) -> Command {
    Command {
        path: command.path.into(),
        argv: command.argv.into_iter().map(Rc::from).collect(),
        ignore_failure: command.ignore_failure,
        full_privileges: command.privileges == command::Privileges::Full,
        no_setuid: command.privileges == command::Privileges::NoSetuid,
        no_env_expand: command.no_environment,
        via_shell: false,
    }
}

fn exit_set(context: &mut Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    if text.is_empty() {
        return Ok(Outcome::Reset);
    }
    let (statuses, signals) = context.settings.exit_set(context.row.id);
    let (mut statuses, mut signals) = (statuses.to_vec(), signals.to_vec());
    for word in words(text)? {
        if let Ok(status) = exitstatus::parse(&word) {
            statuses.push(status);
        } else if let Ok(signal) = signal::parse(&word) {
            signals.push(i32::from(signal));
        } else {
            context.complain(Problem::Ignored(format!("{word:?} is neither a status nor a signal")));
        }
    }
    statuses.sort_unstable();
    statuses.dedup();
    signals.sort_unstable();
    signals.dedup();
    Ok(Outcome::Set(Value::ExitSet { statuses: statuses.into(), signals: signals.into() }))
}

fn listen(context: &Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    if text.is_empty() {
        return Ok(Outcome::Reset);
    }
    let kind = context.row.name.strip_prefix("Listen").unwrap_or(context.row.name);
    let expanded = context.expand(text)?;
    let address = match kind {
        "FIFO" | "Special" | "USBFunction" => absolute_path(&expanded)?,
        "MessageQueue" if expanded.len() > 1 && expanded.starts_with('/') && !expanded[1..].contains('/') => {
            expanded
        }
        "MessageQueue" => return ignored("no name of a message queue"),
        "Netlink" => address::format(&address::parse_netlink(&expanded)?),
        _ => {
            let parsed = address::parse(&expanded)?;
            if kind == "SequentialPacket"
                && !matches!(
                    parsed,
                    address::Address::Unix(_)
                        | address::Address::Abstract(_)
                        | address::Address::Vsock { .. }
                )
            {
                return ignored("sequential packets need a local or VM socket");
            }
            address::format(&parsed)
        }
    };
    let port = ListenPort { kind: kind.into(), address: address.into() };
    Ok(Outcome::Set(Value::Ports(appended(context.settings.ports(), vec![port]))))
}

fn timer(context: &Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    if text.is_empty() {
        return Ok(Outcome::Reset);
    }
    let expanded = context.expand(text)?;
    let value = if context.row.id == ids::ON_CALENDAR {
        calendar::parse_with(&expanded, context.is_zone)?.to_string()
    } else {
        span::parse_sec(&expanded)?.to_string()
    };
    let more = vec![(Rc::from(context.row.name), Rc::from(value))];
    Ok(Outcome::Set(Value::Timers(appended(context.settings.timers(), more))))
}

fn watch(context: &Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    if text.is_empty() {
        return Ok(Outcome::Reset);
    }
    let path = absolute_path(&context.expand(text)?)?;
    let spec = PathSpec { kind: context.row.name.into(), path: path.into() };
    Ok(Outcome::Set(Value::Paths(appended(context.settings.paths(), vec![spec]))))
}

fn mounts_for(context: &mut Context<'_, '_>, text: &str) -> Result<Outcome, Problem> {
    let mut more: Vec<Rc<str>> = Vec::new();
    for word in words(text)? {
        match context.expand(&word).and_then(|path| absolute_path(&path)) {
            Ok(path) => more.push(path.into()),
            Err(problem) => context.complain(problem),
        }
    }
    Ok(Outcome::Set(Value::List(appended(context.settings.list(context.row.id), more))))
}
