//! One timer for each slot, moved and removed exactly: jobs come and go too fast to leave timers of
//! theirs behind.

use std::collections::BTreeSet;

/// Points in time, each with the slot that waits for it.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(u64, u32)>);

/// What stands for no timer.
pub(super) const NEVER: f64 = f64::INFINITY;

impl Timers {
    /// Moves a slot's timer from one time to another; times are 0 or later.
    pub fn set(&mut self, slot: u32, from: f64, to: f64) {
        if from < NEVER {
            self.0.remove(&(from.to_bits(), slot));
        }
        if to < NEVER {
            // The bits of numbers that are not negative are ordered as the numbers are.
            self.0.insert((to.to_bits(), slot));
        }
    }

    /// The slot whose timer is due first, if it is due by now.
    pub fn due(&self, now: f64) -> Option<u32> {
        let (at, slot) = self.0.first()?;
        (f64::from_bits(*at) <= now).then_some(*slot)
    }
}
