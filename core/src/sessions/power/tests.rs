//! Locks, delays, and a shutdown from its schedule to its job.
use super::super::Sessions;
use super::super::config::Config;
use super::super::event::{CallId, Effect as Outer, Event as OuterEvent, Object};
use super::inhibit::{Inhibitor, Mode, What};
use super::keys::{Key, Lid};
use super::operation::Operation;
use super::schedule::{Schedule, next_telling};
use super::{Effect, Event, SKIP_INHIBITORS, Unit};
use crate::engine::clock::{Now, Stamp};

const SECOND: u64 = 1_000_000;

fn at(seconds: u64) -> Now {
    let usec = seconds * SECOND;
    Now { realtime: 1_000 * SECOND + usec, monotonic: usec, boottime: usec }
}

fn login() -> Sessions {
    let mut login = Sessions::new(Config::default(), false, at(0));
    login.effects();
    login
}

fn lock(what: What, mode: Mode, uid: u32) -> Event {
    let (who, why) = ("w\to".to_owned(), "ä 'x'".to_owned());
    let since = Stamp::default();
    Event::Inhibit(Box::new(Inhibitor { what, mode, who, why, uid, pid: 7, call: Some(CallId(1)), since }))
}

fn step(login: &mut Sessions, seconds: u64, event: Event) -> Vec<Effect> {
    power(login.step(at(seconds), OuterEvent::Power(event)))
}

fn power(effects: Vec<Outer>) -> Vec<Effect> {
    let power = |effect| match effect {
        Outer::Power(Effect::Log(..)) => None,
        Outer::Power(effect) => Some(effect),
        _ => None,
    };
    effects.into_iter().filter_map(power).collect()
}

#[test]
fn what_is_locked_is_read_and_written_in_the_order_of_the_reference() {
    let what = What::parse("handle-reboot-key:idle:shutdown:shutdown").expect("valid");
    assert_eq!(what.to_string(), "shutdown:idle:handle-reboot-key");
    for wrong in ["", "shutdown:", "shutdown::sleep", "bogus"] {
        assert_eq!(What::parse(wrong), None, "{wrong}");
    }
    assert_eq!(
        What::SHUTDOWN.and(What::LID_SWITCH).rights(Mode::Delay),
        ["org.freedesktop.login1.inhibit-delay-shutdown", "org.freedesktop.login1.inhibit-handle-lid-switch"]
    );
}

#[test]
fn a_lock_comes_goes_and_is_taken_over() {
    let mut login = login();
    let effects = login.step(at(1), OuterEvent::Power(lock(What::SLEEP, Mode::Block, 0)));
    let changed = Outer::Changed(Object::Manager, &["BlockInhibited"]);
    assert_eq!(
        effects,
        [
            Outer::Power(Effect::OpenInhibitor(1)),
            changed.clone(),
            Outer::Power(Effect::Inhibited(CallId(1), 1))
        ]
    );
    let text = login.power.inhibitors[&1].text(1);
    assert!(
        text.contains("\nWHO=w\\to\nWHY=\\303\\244 \\'x\\'\nFIFO=/run/systemd/inhibit/1.ref\n"),
        "{text}"
    );
    let lines = super::super::state_file::parse(&text);
    assert_eq!(Inhibitor::read(lines).as_ref(), login.power.inhibitors.get(&1));
    let effects = login.step(at(2), OuterEvent::Power(Event::Released(1)));
    assert_eq!(effects, [Outer::Power(Effect::CloseInhibitor(1)), changed]);
}

#[test]
fn an_operation_without_locks_is_begun_at_once_and_answered_with_its_job() {
    let mut login = login();
    let off = Operation::PowerOff;
    let effects = step(&mut login, 1, Event::Begin(Some(CallId(5)), off, 0));
    let wall = Effect::Wall("The system will power off now!".into(), 0, String::new());
    assert_eq!(effects, [wall, Effect::Look("poweroff.target")]);
    assert_eq!(login.power.preparing(), None);
    let effects = step(&mut login, 1, Event::Looked(Unit::Doubtful));
    assert_eq!(effects, [Effect::Prepare(off, true), Effect::Start("poweroff.target")]);
    let effects = login.step(at(1), OuterEvent::Power(Event::Begin(Some(CallId(6)), Operation::Halt, 0)));
    assert!(
        matches!(&effects[..], [Outer::Refuse(CallId(6), name, _)] if name.ends_with("OperationInProgress"))
    );
    assert_eq!(step(&mut login, 2, Event::Started("/job/1".into())), [Effect::Done(CallId(5))]);
    let removed = OuterEvent::JobRemoved { path: "/job/1".into(), result: "canceled".into() };
    assert_eq!(power(login.step(at(3), removed)), [Effect::Prepare(off, false)]);
}

#[test]
fn who_asks_is_answered_before_the_bus_can_go() {
    let mut login = login();
    step(&mut login, 1, Event::Begin(Some(CallId(5)), Operation::Reboot, 0));
    let effects = step(&mut login, 1, Event::Looked(Unit::Ready));
    let prepare = Effect::Prepare(Operation::Reboot, true);
    assert_eq!(effects, [prepare, Effect::Done(CallId(5)), Effect::Start("reboot.target")]);
}

#[test]
fn what_is_masked_is_denied_before_anybody_prepares() {
    let mut login = login();
    step(&mut login, 1, Event::Begin(Some(CallId(5)), Operation::Suspend, 0));
    let effects = step(&mut login, 1, Event::Looked(Unit::Missing));
    assert!(matches!(&effects[..], [Effect::Refuse(CallId(5), name, _)] if name.ends_with("AccessDenied")));
}

#[test]
fn delay_locks_hold_back_for_so_long_and_no_longer() {
    for release in [true, false] {
        let mut login = login();
        step(&mut login, 1, lock(What::SHUTDOWN, Mode::Delay, 1000));
        step(&mut login, 1, lock(What::SLEEP, Mode::Delay, 1000));
        step(&mut login, 2, Event::Begin(Some(CallId(5)), Operation::Reboot, 0));
        let effects = step(&mut login, 2, Event::Looked(Unit::Doubtful));
        assert_eq!(effects, [Effect::Prepare(Operation::Reboot, true), Effect::Done(CallId(5))]);
        assert_eq!(login.next_timer(), Some(7 * SECOND));
        let refused = login.step(at(3), OuterEvent::Power(lock(What::SHUTDOWN, Mode::Block, 0)));
        assert!(matches!(&refused[..], [Outer::Refuse(..)]));
        let start = Effect::Start("reboot.target");
        if release {
            let effects = step(&mut login, 4, Event::Released(1));
            assert_eq!(effects, [Effect::CloseInhibitor(1), start]);
        } else {
            assert_eq!(power(login.step(at(7), OuterEvent::Timer)), [start]);
        }
        let effects = step(&mut login, 8, Event::Failed("x".into(), "no".into()));
        assert_eq!(effects, [Effect::Prepare(Operation::Reboot, false)]);
    }
}

#[test]
fn who_needs_which_right() {
    let mut login = login();
    let ask = |login: &Sessions, uid, flags| login.rights(Operation::Kexec, uid, flags, false);
    assert_eq!(ask(&login, 0, 0), Ok(vec![]));
    assert_eq!(ask(&login, 1000, 0), Ok(vec!["org.freedesktop.login1.reboot"]));
    step(&mut login, 1, lock(What::SHUTDOWN, Mode::BlockWeak, 1000));
    assert_eq!(ask(&login, 0, 0), Ok(vec![]));
    assert!(ask(&login, 0, 1).is_err());
    assert_eq!(ask(&login, 1000, 0), Ok(vec!["org.freedesktop.login1.reboot"]));
    assert_eq!(ask(&login, 1001, 0), Ok(vec!["org.freedesktop.login1.reboot-ignore-inhibit"]));
    step(&mut login, 1, lock(What::SHUTDOWN, Mode::Block, 1000));
    assert!(ask(&login, 0, 0).is_err() && ask(&login, 1000, 0).is_err());
    let skip = Ok(vec!["org.freedesktop.login1.reboot-ignore-inhibit"]);
    assert_eq!((ask(&login, 0, SKIP_INHIBITORS), ask(&login, 1000, SKIP_INHIBITORS)), (skip.clone(), skip));
    assert_eq!(login.rights(Operation::Kexec, 0, 0, true), Ok(vec![]));
}

#[test]
fn everybody_is_told_as_often_as_by_the_reference() {
    // What is left, and what is left when everybody is told next, in seconds; asked of the reference's timers.
    let told = [
        (61, 60),
        (90, 60),
        (299, 240),
        (550, 540),
        (660, 600),
        (901, 600),
        (1600, 1500),
        (3599, 3300),
        (3700, 3300),
        (4300, 4200),
        (5900, 4200),
        (6100, 6000),
        (7201, 6000),
        (7900, 7800),
        (8900, 7800),
        (9001, 9000),
        (10799, 9000),
        (10801, 10800),
        (14399, 10800),
        (20000, 18000),
        (90000, 86400),
        (20, 0),
        (180, 120),
    ];
    for (left, next) in told {
        assert_eq!(
            next_telling(100_000 * SECOND, (100_000 - left) * SECOND),
            (100_000 - next) * SECOND,
            "{left}"
        );
    }
}

#[test]
fn a_schedule_forbids_logins_and_begins() {
    let mut login = login();
    let schedule = Schedule::new(Operation::Halt, at(361).realtime, at(0).realtime);
    let effects = step(&mut login, 0, Event::Schedule(CallId(1), Box::new(schedule.clone())));
    let wall = |effect: &Effect| matches!(effect, Effect::Wall(text, 0, _) if text.starts_with("The system will halt at Thu 1970-01-01 00:22:41 UTC!"));
    assert_eq!(effects[0], Effect::SaveSchedule);
    assert!(wall(&effects[1]) && effects[2] == Effect::Done(CallId(1)), "{effects:?}");
    assert_eq!(login.next_timer(), Some(SECOND));
    let effects = power(login.step(at(61), OuterEvent::Timer));
    assert!(wall(&effects[0]) && effects[1] == Effect::NoLogins(true), "{effects:?}");
    let text = login.power.schedule.as_ref().expect("there").text(true, "a b\\ä");
    assert!(text.ends_with("MODE=halt\nUID=0\nWALL_MESSAGE=a\\x20b\\x5c\\xc3\\xa4\n"), "{text}");
    let read = Schedule::read(super::super::state_file::parse(&text), at(0).realtime);
    assert_eq!(read, Some((schedule, true, "a b\\ä".to_owned())));
    let effects = power(login.step(at(361), OuterEvent::Timer));
    let now = Effect::Wall("The system will halt now!".into(), 0, String::new());
    assert_eq!(effects, [now, Effect::Look("halt.target")]);
    let effects = step(&mut login, 361, Event::Cancel(CallId(2), 0, String::new()));
    assert_eq!(effects[..2], [Effect::NoLogins(false), Effect::SaveSchedule]);
    assert_eq!(effects[3], Effect::Cancelled(CallId(2), true));
}

#[test]
fn a_dry_run_only_says_so() {
    let mut login = login();
    let mut schedule = Schedule::new(Operation::Reboot, at(1).realtime, at(0).realtime);
    schedule.dry = true;
    step(&mut login, 0, Event::Schedule(CallId(1), Box::new(schedule)));
    let effects = power(login.step(at(1), OuterEvent::Timer));
    assert_eq!(effects, [Effect::NoLogins(false), Effect::SaveSchedule]);
    assert_eq!((login.power.schedule.as_ref(), login.next_timer()), (None, None));
}

fn key(login: &mut Sessions, seconds: u64, key: Key, down: bool) -> Vec<Effect> {
    step(login, seconds, Event::Key(key, down))
}

#[test]
fn keys_do_what_they_are_set_to() {
    let mut login = login();
    let off = || vec![Effect::Perform("poweroff".into())];
    assert_eq!(key(&mut login, 1, Key::Power, true), off());
    assert_eq!(key(&mut login, 2, Key::Power, false), []);
    // One that does something else when it is held.
    assert_eq!(key(&mut login, 3, Key::Reboot, true), []);
    assert_eq!(key(&mut login, 4, Key::Reboot, false), [Effect::Perform("reboot".into())]);
    assert_eq!(key(&mut login, 5, Key::Reboot, true), []);
    assert_eq!(login.next_timer(), Some(10 * SECOND));
    assert_eq!(power(login.step(at(10), OuterEvent::Timer)), off());
    assert_eq!(key(&mut login, 11, Key::Reboot, false), []);
    // A lock on what it would do, and one on the key itself.
    step(&mut login, 12, lock(What::SHUTDOWN, Mode::BlockWeak, 1000));
    assert_eq!(key(&mut login, 13, Key::Power, true), []);
    login.config.ignore_inhibited[0].1 = true;
    assert_eq!(key(&mut login, 14, Key::Power, true), off());
    step(&mut login, 15, lock(What::POWER_KEY, Mode::Block, 1000));
    assert_eq!(key(&mut login, 16, Key::Power, true), []);
}

#[test]
fn the_lid_depends_on_what_is_around_it() {
    let mut login = login();
    let mut close = |seconds: u64, docked: bool, external_power: bool| {
        step(&mut login, seconds, Event::Lid(Lid { closed: false, ..Lid::default() }));
        step(&mut login, seconds, Event::Lid(Lid { closed: true, docked, external_power }))
    };
    assert_eq!(close(29, false, false), [], "too early");
    let suspend = [Effect::Perform("suspend".into())];
    assert_eq!(close(30, false, false), suspend);
    assert_eq!(close(31, false, true), suspend, "nothing is set for mains");
    assert_eq!(close(32, true, true), []);
}

#[test]
fn what_a_key_began_and_what_was_scheduled_fail_apart() {
    let mut login = login();
    step(&mut login, 1, Event::Begin(None, Operation::Suspend, 0));
    let schedule = Schedule::new(Operation::Halt, at(900).realtime, at(1).realtime);
    step(&mut login, 1, Event::Schedule(CallId(1), Box::new(schedule)));
    assert_eq!(step(&mut login, 2, Event::Looked(Unit::Missing)), []);
    assert!(login.power.schedule.is_some());
}

#[test]
fn idleness_is_acted_on_once_in_a_while_and_not_under_a_lock() {
    let config = Config { idle_action: "suspend".into(), idle_action_usec: 60 * SECOND, ..Config::default() };
    let mut login = Sessions::new(config, false, at(10));
    login.effects();
    assert_eq!(login.next_timer(), Some(70 * SECOND));
    let suspend = [Effect::Perform("suspend".into())];
    assert_eq!(power(login.step(at(70), OuterEvent::Timer)), suspend);
    assert_eq!(login.next_timer(), Some(130 * SECOND));
    step(&mut login, 80, lock(What::IDLE, Mode::Block, 1000));
    assert_eq!((login.next_timer(), power(login.step(at(130), OuterEvent::Timer))), (None, vec![]));
    step(&mut login, 140, Event::Released(1));
    assert_eq!(power(login.step(at(140), OuterEvent::Timer)), suspend);
}
