//! Which unit a path in `/run` belongs to: what the manager says of its units, else the unit of a process that listens there.
use runstead_core::names::{UnitName, unit_object_path};
use runstead_core::rundir::{Owners, Survey};
use runstead_manager::client::Client;
use runstead_wire::dbus::{Message, Reader};
use std::io;
use std::path::Path;
use std::time::Duration;

const RUN: &str = "/run";
const PRIVATE: &str = "/run/systemd/private";
const ANSWER: Duration = Duration::from_secs(5);

/// Of a survey's entries, asking the manager where one runs. Why it could not be asked is the second value.
pub fn of(survey: &Survey) -> (Owners, Option<String>) {
    if survey.is_image() {
        return (Owners::default(), None);
    }
    let mut owners = Owners::new();
    let told = ask(&mut owners).err();
    owners.add_listeners(RUN, &survey.sockets);
    (owners, told.map(|error| format!("the manager does not say whose what is: {error}")))
}

fn ask(owners: &mut Owners) -> io::Result<()> {
    let mut client = match Client::connect(Path::new(PRIVATE)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Client::of_system_bus(ANSWER)?,
        other => other?,
    };
    for unit in client.units()? {
        match unit.name.rsplit_once('.').map(|(_, kind)| kind) {
            Some("service") => ask_service(owners, &mut client, &unit.name)?,
            Some("socket") => ask_socket(owners, &mut client, &unit.name)?,
            _ => {}
        }
    }
    Ok(())
}

fn ask_service(owners: &mut Owners, client: &mut Client, unit: &str) -> io::Result<()> {
    owners.add_service(unit);
    let reply = get(client, unit, "Service", "RuntimeDirectory")?;
    for name in value(&reply)?.strings().map_err(io::Error::other)? {
        owners.add(name, unit);
    }
    let reply = get(client, unit, "Service", "PIDFile")?;
    let file = value(&reply)?.str().map_err(io::Error::other)?;
    owners.add_below(RUN, file, unit);
    Ok(())
}

fn ask_socket(owners: &mut Owners, client: &mut Client, unit: &str) -> io::Result<()> {
    let reply = get(client, unit, "Socket", "Listen")?;
    let mut list = value(&reply)?;
    let mut read = || {
        list.enter_array("(ss)")?;
        while list.has_more() {
            list.enter_struct()?;
            let (_kind, place) = (list.str()?, list.str()?);
            owners.add_below(RUN, place, unit);
            list.exit()?;
        }
        list.exit()
    };
    read().map_err(io::Error::other)
}

fn get(client: &mut Client, unit: &str, kind: &str, property: &str) -> io::Result<Message> {
    let name = UnitName::parse(unit).map_err(|_| io::Error::other(format!("{unit} is no unit name")))?;
    let object = unit_object_path(&name);
    let call = Message::method_call(
        Some(runstead_api::systemd1::BUS_NAME),
        &object,
        "org.freedesktop.DBus.Properties",
        "Get",
    );
    let call = call.build(|writer| {
        writer.str(&format!("org.freedesktop.systemd1.{kind}")).str(property);
    });
    client.ask(&call.map_err(io::Error::other)?, ANSWER)
}

fn value(reply: &Message) -> io::Result<Reader<'_>> {
    let mut body = reply.body_reader();
    body.enter_variant().map_err(io::Error::other)?;
    Ok(body)
}
