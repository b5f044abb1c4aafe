//! Whose turn it is among lockers that are updated one by one.
//!
//! Each of them asks for a request in its own update. Without turns, the budget of every frame would go
//! to those whose updates come first in it, and the others would wait for ever.

use std::collections::VecDeque;

/// A place is lost when its locker has not asked for so many seconds: it may have been forgotten.
const PATIENCE: f64 = 10.0;

/// The lockers of one set, named by their slots, that were refused a request, the first one first.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    places: VecDeque<Place>,
    /// The number of the next place.
    next: u64,
    /// There were no bytes left for one of the places: until the first has gone, nobody else goes, for
    /// it is not known how many documents fit into what is left.
    is_short_of_bytes: bool,
}

/// Names a place. A later one is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PlaceNumber(u64);

#[derive(Debug)]
struct Place {
    number: PlaceNumber,
    asked_at: f64,
}

impl Turns {
    /// Whether a locker may have one of so many requests without taking it from one that was refused
    /// before it.
    pub fn may_go(&mut self, place: Option<PlaceNumber>, requests: u32, now: f64) -> bool {
        while let Some(first) = self.places.front() {
            if Some(first.number) == place || now - first.asked_at <= PATIENCE {
                break;
            }
            self.leave_first();
        }
        let index = place.and_then(|place| self.index(place));
        let before = index.unwrap_or(self.places.len());
        let free = if self.is_short_of_bytes {
            requests.min(1)
        } else {
            requests
        };
        before < free as usize
    }

    /// Notes that a locker is refused, which keeps its place if it has one.
    pub fn refuse(
        &mut self,
        place: Option<PlaceNumber>,
        lacks_bytes: bool,
        now: f64,
    ) -> PlaceNumber {
        self.is_short_of_bytes |= lacks_bytes;
        if let Some((number, index)) = place.and_then(|place| Some((place, self.index(place)?))) {
            self.places[index].asked_at = now;
            return number;
        }
        let number = PlaceNumber(self.next);
        self.next += 1;
        self.places.push_back(Place {
            number,
            asked_at: now,
        });
        number
    }

    /// Gives up a place, whether its request was granted or is no longer wanted.
    pub fn leave(&mut self, place: PlaceNumber) {
        match self.index(place) {
            Some(0) => self.leave_first(),
            Some(index) => _ = self.places.remove(index),
            None => {}
        }
    }

    fn leave_first(&mut self) {
        self.places.pop_front();
        self.is_short_of_bytes = false;
    }

    /// Where a place is, if it is not lost.
    fn index(&self, place: PlaceNumber) -> Option<usize> {
        self.places
            .binary_search_by_key(&place, |place| place.number)
            .ok()
    }
}
