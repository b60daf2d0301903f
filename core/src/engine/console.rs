//! Status output on the console: while the machine comes up or goes down, and as long as nobody else writes there.
use super::Engine;
use super::effect::{Effect, StatusMark, UnitId};
use crate::directives::ids;
use crate::settings::Settings;
use std::rc::Rc;

impl Engine {
    /// A line for the console.
    pub fn status(&mut self, mark: StatusMark, text: impl Into<Rc<str>>) {
        if self.config.user || !self.on_console.is_empty() {
            return;
        }
        if self.progress.finished.is_none() || self.is_there_or_coming("shutdown.target") {
            self.effects.push(Effect::Status { mark, text: text.into() });
        }
    }

    /// A unit came, went, or was read anew: whether it has the console now.
    pub(crate) fn note_console(&mut self, id: UnitId) {
        let has = self.get(id).is_some_and(|unit| {
            !unit.active_state().is_down() && may_touch(&unit.settings, self.config.console.as_deref())
        });
        if has {
            self.on_console.insert(id);
        } else {
            self.on_console.remove(&id);
        }
    }
}

/// Whether programs with these settings may write to the console, which is the terminal `console`; not known: any.
fn may_touch(settings: &Settings, console: Option<&str>) -> bool {
    let is_set = |id| settings.bool(id);
    let is_tty = |id| settings.text(id).is_some_and(crate::plan::is_tty);
    let uses = [ids::TTY_RESET, ids::TTY_VHANGUP, ids::TTY_VT_DISALLOCATE].into_iter().any(is_set)
        || [ids::STANDARD_INPUT, ids::STANDARD_OUTPUT, ids::STANDARD_ERROR].into_iter().any(is_tty);
    let path = settings.text(ids::TTY_PATH).unwrap_or("/dev/console");
    let terminal = path.strip_prefix("/dev/").unwrap_or(path);
    let is_vt = |name: &str| name.strip_prefix("tty").is_some_and(|rest| rest.parse::<u8>().is_ok());
    let is_console = match console {
        _ if terminal == "console" => true,
        None => true,
        // The virtual terminal in the foreground, whichever that is.
        Some("tty0") => is_vt(terminal),
        Some(console) => terminal == console,
    };
    uses && is_console
}

#[cfg(test)]
mod tests {
    use super::super::system_state::SystemState;
    use super::*;
    use crate::settings::Value;
    use crate::units::test_world::World;

    fn told(w: &mut World) -> bool {
        w.e.status(StatusMark::None, "words");
        w.pass(0);
        let all = std::mem::take(&mut w.effects);
        all.iter().any(|effect| matches!(effect, Effect::Status { .. }))
    }

    #[test]
    fn states_follow_the_special_targets_and_status_is_for_coming_and_going() {
        let mut w = World::new();
        assert_eq!(w.e.system_state(), SystemState::Initializing);
        let basic = w.unit("basic.target", &[]);
        w.start(basic).expect("starts");
        assert_eq!(w.e.system_state(), SystemState::Starting);
        assert!(told(&mut w));
        w.e.progress.finished = Some(w.e.now.into());
        assert_eq!(w.e.system_state(), SystemState::Running);
        assert!(!told(&mut w), "the console is somebody else's now");
        let rescue = w.unit("rescue.target", &[]);
        w.start(rescue).expect("starts");
        assert_eq!(w.e.system_state(), SystemState::Maintenance);
        assert!(!told(&mut w));
        let shutdown = w.unit("shutdown.target", &[]);
        w.start(shutdown).expect("starts");
        assert_eq!(w.e.system_state(), SystemState::Stopping);
        assert!(told(&mut w));
        let getty = w.unit("getty.service", &["StandardInput=tty", "ExecStart=/bin/getty"]);
        w.start(getty).expect("starts");
        assert!(!told(&mut w), "a program has the console");
    }

    #[test]
    fn gettys_have_the_console_only_where_it_is_theirs() {
        let mut getty = Settings::default();
        assert!(!may_touch(&getty, None));
        getty.set(ids::STANDARD_INPUT, Value::Text("tty".into()));
        assert!(may_touch(&getty, Some("ttyS0")), "/dev/console, whatever that is");
        getty.set(ids::TTY_PATH, Value::Text("/dev/tty1".into()));
        assert!(may_touch(&getty, Some("tty0")));
        assert!(may_touch(&getty, None));
        assert!(!may_touch(&getty, Some("ttyS0")));
    }
}
