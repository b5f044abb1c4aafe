//! The places that a limit of requests in flight gives out: one for each request that is handed over,
//! until it is answered.
//!
//! A request that is never answered would keep its place for ever, and a few of them everything. So a
//! place lapses: the request stays in flight, but another may go. Where it is answered later, there is
//! no place left that its answer could make free.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use parking_lot::Mutex;

/// For so many seconds a request that is not answered takes a place. Engines of our own have answered
/// long before; who asks stops waiting much sooner.
pub const PLACE_LAPSES_AFTER_S: f64 = 120.0;

/// One look lets so many lapse at most: one makes room for who comes, and with the other they grow fewer.
const LAPSE_AT_ONCE: usize = 2;

/// The places that are taken.
#[derive(Default)]
pub(super) struct Places(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    last_number: u64,
    /// Since when, by the place's number: the oldest first.
    since: BTreeMap<u64, f64>,
}

/// A place, until it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
}

impl Places {
    /// Whether fewer are taken than `limit`.
    pub fn has_room(&self, limit: NonZeroU32, now: f64) -> bool {
        let since = &mut self.0.lock().since;
        for _ in 0..LAPSE_AT_ONCE {
            match since.first_entry() {
                Some(oldest) if *oldest.get() + PLACE_LAPSES_AFTER_S <= now => oldest.remove(),
                _ => break,
            };
        }
        since.len() < limit.get() as usize
    }

    /// Takes a place. Whether there is one is the caller's to see.
    pub fn take(self: &Arc<Self>, now: f64) -> Place {
        let mut taken = self.0.lock();
        taken.last_number += 1;
        let number = taken.last_number;
        taken.since.insert(number, now);
        Place {
            places: Arc::clone(self),
            number,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // One that has lapsed is not there any more.
        self.places.0.lock().since.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_look_lets_only_so_many_lapse_that_it_keeps_up() {
        let places = Arc::new(Places::default());
        let _taken: Vec<_> = (0..5).map(|_| places.take(0.0)).collect();
        let left = || places.0.lock().since.len();
        places.has_room(NonZeroU32::MIN, PLACE_LAPSES_AFTER_S);
        assert_eq!(left(), 3);
        places.has_room(NonZeroU32::MIN, PLACE_LAPSES_AFTER_S);
        assert_eq!(left(), 1);
    }
}
