//! When another's session has expired, and what time it is for the storage.
//!
//! Pure arithmetic over what was observed; reads no clock. The rules are those of the protocol's
//! *Expired* paragraph: a wrong clock is a delay, never a deadlock.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::save_data::{Reserved, Session};

use super::config::Config;
use super::time::{Moment, WatchTime};

/// The storage's clock as a reply reported it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ClockReading {
    /// The storage's clock when it acted, in Unix seconds.
    clock: f64,
    /// When the request was handed over: the storage acted no earlier.
    sent_at: Moment,
}

impl ClockReading {
    pub(crate) fn new(clock: f64, sent_at: Moment) -> Self {
        Self { clock, sent_at }
    }

    /// The latest the storage's clock can show at a moment, by whichever time has gone further: what an
    /// owner stamps.
    pub(crate) fn upper_bound(&self, at: Moment) -> f64 {
        let by_host = at.now - self.sent_at.now;
        let by_server = at.monotonic - self.sent_at.monotonic;
        if by_server.is_infinite() {
            // The server's clock could not be read yet.
            return self.clock + by_host;
        }
        self.clock + by_host.max(by_server)
    }
}

/// Another's session as seen on a key, and since when it has not moved.
#[derive(Clone, Debug, PartialEq)]
struct Watch {
    lock_id: u64,
    updated_at: f64,
    save_number: u64,
    /// A time at which the first of the unchanged sightings had been taken; none before the next update.
    since: Option<WatchTime>,
    /// When the newest of them was asked for: the session stood unchanged until then at least.
    until: WatchTime,
}

/// What this server has seen of others' sessions. A watch belongs to the key, not to the locker
/// that saw it.
///
/// All times are those of the [`WatchClock`](super::time::WatchClock).
#[derive(Debug, Default)]
pub(crate) struct Watches {
    by_key: HashMap<Arc<str>, Watch>,
    /// The keys of those that do not count yet.
    new: HashSet<Arc<str>>,
}

/// Watches beyond this many are looked through for ones that nobody can need any more.
const WATCHES_BEFORE_PRUNING: usize = 1024;

impl Watches {
    /// An update begins at `now`, after all that has been seen so far: watches that have not counted count
    /// from here. What is seen in the update itself may be younger, by as long as the server was stopped in
    /// it or a hook ran.
    pub(crate) fn count_from(&mut self, now: WatchTime) {
        for key in self.new.drain() {
            if let Some(watch) = self.by_key.get_mut(&key) {
                watch.since.get_or_insert(now);
            }
        }
    }

    /// Nobody knows what has passed: every watch counts anew from the next update.
    pub(crate) fn begin_anew(&mut self) {
        self.new = self.by_key.keys().cloned().collect();
        for watch in self.by_key.values_mut() {
            watch.since = None;
        }
    }

    /// Notes a sighting, asked for in an update that began at `sent_at` and taken in one that began at
    /// `received_at`; answers for how long the session is known to have stood unchanged.
    pub(crate) fn see(
        &mut self,
        key: &Arc<str>,
        reserved: &Reserved,
        session: &Session,
        (sent_at, received_at): (WatchTime, WatchTime),
    ) -> f64 {
        let save_number = save_number(reserved, session.lock_id).unwrap_or(0);
        let fresh = Watch {
            lock_id: session.lock_id,
            updated_at: session.updated_at,
            save_number,
            since: None,
            until: received_at,
        };
        let is_same = |watch: &&mut Watch| {
            watch.lock_id == fresh.lock_id
                && watch.updated_at == fresh.updated_at
                && watch.save_number == fresh.save_number
        };
        if let Some(watch) = self.by_key.get_mut(key).filter(is_same) {
            let Some(since) = watch.since else { return 0.0 };
            if since.until(sent_at) > since.until(watch.until) {
                watch.until = sent_at;
            }
            return since.until(watch.until);
        }
        self.prune(received_at);
        self.by_key.insert(Arc::clone(key), fresh);
        self.new.insert(Arc::clone(key));
        0.0
    }

    /// Ends the watch of a key that is free, gone, or ours.
    pub(crate) fn forget(&mut self, key: &str) {
        self.by_key.remove(key);
        self.new.remove(key);
    }

    fn prune(&mut self, now: WatchTime) {
        const A_DAY: f64 = 86_400.0;
        let count = self.by_key.len();
        if count >= WATCHES_BEFORE_PRUNING && count.is_power_of_two() {
            self.by_key
                .retain(|_, watch| watch.until.until(now) < A_DAY);
        }
    }
}

/// Whether another's session no longer protects its key. `storage_clock` came with the very fetch
/// that showed the session: the earliest the storage's clock can show by now.
pub(crate) fn is_expired(
    config: &Config,
    session: &Session,
    storage_clock: Option<f64>,
    wall: f64,
    unchanged_for: f64,
) -> bool {
    let expiry = session.expiry.unwrap_or(0.0).max(config.session_expiry);
    let age_has_passed = match storage_clock {
        Some(clock) => clock - session.updated_at > expiry,
        None => wall - session.updated_at > expiry + config.clock_tolerance,
    };
    age_has_passed || unchanged_for >= expiry
}

/// The highest save that the document remembers of a session.
pub(crate) fn save_number(reserved: &Reserved, lock_id: u64) -> Option<u64> {
    let newest_first = reserved.saves.iter().rev();
    newest_first
        .filter(|mark| mark.lock_id == lock_id)
        .map(|mark| mark.number)
        .max()
}
