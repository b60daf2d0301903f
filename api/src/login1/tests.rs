use super::action::{Action, Process, Whom};
use super::object::Object;
use super::power::{NextBoot, Power};
use super::properties::{self, Facts};
use super::{decode, introspect};
use runstead_core::engine::clock::Now;
use runstead_core::sessions::Sessions;
use runstead_core::sessions::config::Config;
use runstead_core::sessions::power::operation::Operation;
use runstead_wire::dbus::{Message, Writer};

fn sessions() -> Sessions {
    Sessions::new(Config::default(), false, Now { realtime: 5, monotonic: 4, boottime: 4 })
}

#[test]
fn paths_name_objects() {
    let at = |path: &str| Object::at(path);
    assert_eq!(at("/org/freedesktop/login1"), Some(Object::Manager));
    assert_eq!(at("/org/freedesktop/login1/session/_31"), Some(Object::Session("1".into())));
    assert_eq!(at("/org/freedesktop/login1/user/self"), Some(Object::User(None)));
    assert_eq!(at("/org/freedesktop/login1/user/_1000"), Some(Object::User(Some(1000))));
    assert_eq!(at("/org/freedesktop/login1/seat/seat0"), Some(Object::Seat("seat0".into())));
    assert_eq!(at("/org/freedesktop"), Some(Object::Node("/org/freedesktop")));
    assert_eq!(at("/org/freedesktop/login2"), None);
    assert_eq!(at("/org/freedesktop/login1/user/1000"), None);
}

#[test]
fn every_property_of_the_manager_and_the_seat_has_a_value_of_its_type() {
    let (sessions, facts) = (sessions(), Facts::default());
    for object in [Object::Manager, Object::Seat("seat0".into())] {
        for row in properties::rows(&object) {
            let value = properties::value(&sessions, &facts, &object, row.name);
            let value = value.unwrap_or_else(|| panic!("{} has no value", row.name));
            assert_eq!(value.signature(), row.signature, "{}", row.name);
        }
        assert!(introspect::text(&sessions, &object).contains("org.freedesktop.login1."));
    }
}

#[test]
fn calls_are_read_and_checked() {
    let to = |interface: &str, member: &str| {
        Message::method_call(Some(super::BUS_NAME), super::MANAGER_PATH, interface, member)
    };
    let manager = "org.freedesktop.login1.Manager";
    let kill = |whom: &str, signal: i32| {
        let call = to(manager, "KillSession").build(|body| {
            body.str("c1").str(whom).i32(signal);
        });
        decode::call(&call.expect("it can be built"), &Object::Manager)
    };
    assert_eq!(kill("leader", 9), Ok(Action::KillSession(Some("c1".into()), Whom::Leader, 9)));
    assert!(kill("leader", 99).is_err() && kill("everyone", 9).is_err());
    let wrong = decode::call(&to(manager, "GetUser"), &Object::Manager).expect_err("it has no argument");
    assert_eq!(wrong.name, "org.freedesktop.DBus.Error.InvalidArgs");
    let unknown = decode::call(&to(manager, "Frobnicate"), &Object::Manager).expect_err("there is none");
    assert_eq!(unknown.name, "org.freedesktop.DBus.Error.UnknownMethod");
    let by_pid = to(manager, "GetSessionByPID").build(|body| {
        body.u32(7);
    });
    let by_pid = decode::call(&by_pid.expect("it can be built"), &Object::Manager);
    assert_eq!(by_pid, Ok(Action::GetSessionOf(Process::Pid(7))));
}

#[test]
fn calls_about_power_are_read_and_checked() {
    let call = |member: &str, write: &dyn Fn(&mut Writer)| {
        let call = Message::method_call(
            Some(super::BUS_NAME),
            super::MANAGER_PATH,
            "org.freedesktop.login1.Manager",
            member,
        );
        decode::call(&call.build(|body| write(body)).expect("it can be built"), &Object::Manager)
    };
    let with = |member: &str, flags: u64| {
        call(member, &|body| {
            body.u64(flags);
        })
    };
    let reboot = Action::Power(Power::Do(Some(Operation::Reboot), 4, false));
    assert_eq!(with("RebootWithFlags", 4), Ok(reboot));
    assert_eq!(with("Sleep", 0), Ok(Action::Power(Power::Do(None, 0, false))));
    for (member, flags, text) in [
        ("PowerOffWithFlags", 1 << 5, "Invalid flags parameter"),
        ("RebootWithFlags", 6, "Both reboot via kexec and soft reboot selected, which is not supported"),
        ("HaltWithFlags", 2, "Reboot via kexec option is only applicable with reboot operations"),
        ("SuspendWithFlags", 8, "Soft reboot option is only applicable with reboot operations"),
    ] {
        assert_eq!(with(member, flags).expect_err(text).message, text);
    }
    let can = |member: &str| call(member, &|_| {});
    assert_eq!(can("CanReboot"), Ok(Action::Power(Power::Can(Some(Operation::Reboot)))));
    let parameter = NextBoot::Parameter(String::new());
    assert_eq!(can("CanRebootParameter"), Ok(Action::Power(Power::CanSet(parameter))));
    assert_eq!(can("CanRebootToFirmwareSetup"), Ok(Action::Power(Power::CanSet(NextBoot::Firmware))));
    let inhibit = |what: &str, mode: &str| {
        call("Inhibit", &|body| {
            body.str(what).str("who").str("why").str(mode);
        })
    };
    assert!(inhibit("shutdown:sleep", "delay").is_ok());
    assert!(
        inhibit("idle", "delay").is_err() && inhibit("", "block").is_err() && inhibit("idle", "x").is_err()
    );
    let schedule = |kind: &str| {
        call("ScheduleShutdown", &|body| {
            body.str(kind).u64(5);
        })
    };
    assert_eq!(schedule("dry-kexec"), Ok(Action::Power(Power::Schedule(Operation::Kexec, true, 5))));
    assert_eq!(schedule("suspend").expect_err("it is none").message, "Unsupported shutdown type: suspend");
}
