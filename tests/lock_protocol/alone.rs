//! Whether anybody is ever locked out: if a server wants the key from here on, its requests are
//! answered, and nobody else does anything any more, does it own the key after a while?
//!
//! Asked of each state by going on from there, for what a server does alone has but one course.
//! stateright's own `eventually` cannot say this: it asks for every path, and takes one that closes a
//! circle for one that is fine.

use stateright::Model;

use crate::model::{LockProtocol, Step};
use crate::world::*;

/// Far more than any server needs.
const STEPS_AT_MOST: usize = 100;

impl LockProtocol {
    pub fn can_own_alone(&self, state: &State, who: Who) -> bool {
        let mut at = *state;
        for _ in 0..STEPS_AT_MOST {
            if at.owns(who) && at.server(who).wanted {
                return true;
            }
            let Some(next) = self.next_alone(&at, who) else {
                return false;
            };
            at = next;
        }
        false
    }

    /// Does what can be done without waiting, and lets time pass if nothing can.
    fn next_alone(&self, state: &State, who: Who) -> Option<State> {
        let mut steps = Vec::new();
        self.server_steps(state, who, &mut steps);
        let is_helpful = |step: &Step| {
            !matches!(
                step,
                Step::LetGo(_)
                    | Step::Fail(_)
                    | Step::Crash(_)
                    | Step::MakeTrackedChange(_)
                    | Step::Look(_, true)
            )
        };
        let mut steps = steps.into_iter().filter(is_helpful).chain([Step::Tick]);
        steps.find_map(|step| self.next_state(state, step))
    }
}
