//! What is done when nobody does anything (logind.conf(5), `IdleAction=`).
use super::super::Sessions;
use super::Effect;
use super::inhibit::{Mode, What};
use crate::engine::clock::Now;

impl Sessions {
    /// Monotonic time at which nobody will have done anything for long enough, us.
    pub(in super::super) fn next_idle_action(&self) -> Option<u64> {
        let power = &self.power;
        let held = |mode| power.inhibited(mode).meets(What::IDLE);
        if self.config.idle_action == "ignore" || held(Mode::Block) || held(Mode::BlockWeak) {
            return None;
        }
        let since = self.idle_since()?.monotonic.max(power.idle_done);
        Some(since.saturating_add(self.config.idle_action_usec))
    }

    pub(super) fn act_on_idleness(&mut self, now: Now) {
        if self.next_idle_action().is_some_and(|at| at <= now.monotonic) {
            // Once in such a time, also when it could not be done.
            self.power.idle_done = now.monotonic;
            self.power.out(Effect::Log(5, "System idle. Will be doing what IdleAction= says.".to_owned()));
            self.handle(What::default(), "IdleAction", "");
        }
    }
}
