//! The pauses before a broken connection is made again: they grow, and are by chance, so that the servers of
//! a game do not come back all at once.

#![forbid(unsafe_code)]

use std::time::Duration;

/// The most that the first pause takes, and the most that any does.
const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);
/// A connection that has lived for so long was a good one: the next pause is a first one again.
const GOOD_LIFE: Duration = Duration::from_secs(10);

/// Of the place of one connection.
pub(super) struct Pauses {
    /// The most that the next pause takes.
    next: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Pauses {
    /// A connection has ended that has lived for so long.
    pub(super) fn ended(&mut self, lived: Duration) {
        if lived >= GOOD_LIFE {
            self.next = FIRST;
        }
    }

    /// The pause before the next attempt: between a tenth of the most that it takes and all of that, by
    /// `chance` from 0 to 1. The one after it takes twice as much.
    pub(super) fn next(&mut self, chance: f64) -> Duration {
        let pause = self.next.mul_f64(0.1 + 0.9 * chance);
        self.next = (self.next * 2).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(pauses: &mut Pauses, chance: f64) -> u128 {
        pauses.next(chance).as_millis()
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_a_good_connection() {
        let mut pauses = Pauses::default();
        let grow = [(); 7].map(|()| milliseconds(&mut pauses, 1.0));
        assert_eq!(grow, [200, 400, 800, 1600, 3200, 5000, 5000]);
        pauses.ended(Duration::from_millis(9_999));
        assert_eq!(milliseconds(&mut pauses, 1.0), 5000, "it broke at once");
        pauses.ended(Duration::from_secs(10));
        assert_eq!(milliseconds(&mut pauses, 1.0), 200);
    }

    #[test]
    fn a_pause_is_by_chance_but_never_none() {
        assert_eq!(milliseconds(&mut Pauses::default(), 0.0), 20);
        assert_eq!(milliseconds(&mut Pauses::default(), 0.5), 110);
    }
}
