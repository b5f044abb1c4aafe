//! `SlRequestStats`: what was asked of a storage, and how it has answered.

use super::config::Versioned;
use crate::storage::{LATENCY_BUCKETS, LATENCY_FIRST_US, RequestStats};

/// How many buckets `latencies` of an SlRequestStats has.
pub const SL_LATENCY_BUCKETS: u32 = 24;
/// The bound of the first bucket of `latencies`, in microseconds.
pub const SL_LATENCY_FIRST_US: u64 = 16;

const _: () = assert!(SL_LATENCY_BUCKETS as usize == LATENCY_BUCKETS);
const _: () = assert!(SL_LATENCY_FIRST_US == LATENCY_FIRST_US);

/// What was asked of a storage, how it has answered, and who waits: the figures of a storage, from
/// `locker_storage_get_stats`, or those of a store's sessions and sends, from `easy_store_get_stats`.
/// All count from when it was opened or created, save those that say *now*.
///
/// Each request is in one place: `fetches` + `commits` + `erasures` + `lists` is the sum of `latencies`
/// (all that were answered), `refused`, `given_up` and `in_flight`, and for a storage the three
/// `waiting_` too. Figures of what other threads are using meanwhile may be a few requests apart.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SlRequestStats {
    /// `sizeof(SlRequestStats)`, set by the host before the call that fills it.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Fetches asked.
    pub fetches: u64,
    /// Commits asked: acquires, saves, releases, and remote changes sent.
    pub commits: u64,
    /// Erasures asked.
    pub erasures: u64,
    /// Lists asked, of keys or of a user's keys.
    pub lists: u64,
    /// How many of these were asked because the request before, of the same session or of a send to the
    /// same key, had failed, was not answered in time, or had met a conflict.
    pub retries: u64,
    /// Answers that were a conflict: somebody else had written.
    pub conflicts: u64,
    /// Answers that were a failure of the kind SL_REQUEST_ERROR_SCRIPT.
    pub failures_script: u64,
    /// Answers that were a failure of the kind SL_REQUEST_ERROR_MISC.
    pub failures_misc: u64,
    /// Answers that were a failure of the kind SL_REQUEST_ERROR_BACKEND.
    pub failures_backend: u64,
    /// Requests whose answer a store has stopped waiting for, mostly because it did not come within
    /// `request_timeout`. 0 for a storage, which does not know.
    pub given_up: u64,
    /// Requests that were refused because too many waited for the storage's limits, or because they had
    /// waited for them as long as whoever asked lets them; they are not among the failures. 0 for a store,
    /// to which they are failures like others.
    pub refused: u64,
    /// Bytes of the values that fetches have brought.
    pub bytes_read: u64,
    /// Bytes of the values of all commits asked, whatever became of them.
    pub bytes_written: u64,
    /// Requests that were handed over and are not answered, now: also those that have not been for so long
    /// that they no longer count for `requests_in_flight`.
    pub in_flight: u64,
    /// The most of them there ever were. For a store, the most of its sessions and the most of its
    /// sends, added.
    pub most_in_flight: u64,
    /// How many saves wait: for a storage, for its limits, now; for a store, for the limits of its config, in
    /// its last update.
    pub waiting_saves: u64,
    /// How many loads wait, likewise.
    pub waiting_loads: u64,
    /// How many others wait, now: remote changes on their way, and tools.
    pub waiting_others: u64,
    /// The most saves that ever waited: for a storage, at any time; for a store, at the end of an update.
    pub most_waiting_saves: u64,
    /// The most loads that ever waited.
    pub most_waiting_loads: u64,
    /// The most others that ever waited.
    pub most_waiting_others: u64,
    /// How many answers took how long. Bucket 0 has those that took less than SL_LATENCY_FIRST_US (16)
    /// microseconds; the bound doubles from each to the next, so that bucket i has those that took less
    /// than 16 · 2^i microseconds and at least half of that; the last, 23, has all from 67 seconds on.
    /// The time of a storage is that of the engine: from when it was asked, after all waiting, until it
    /// answered. The time of a store is from the update that asked to the update that took the answer,
    /// waiting for the storage's limits included.
    pub latencies: [u64; 24],
}

// SAFETY: `repr(C)` with its size first; integers alone, without padding.
unsafe impl Versioned for SlRequestStats {
    const NAME: &'static str = "SlRequestStats";
    const FIRST_SIZE: usize = 368;

    fn defaults() -> Self {
        RequestStats::default().into()
    }
}

impl From<RequestStats> for SlRequestStats {
    fn from(stats: RequestStats) -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            reserved: 0,
            fetches: stats.fetches,
            commits: stats.commits,
            erasures: stats.erasures,
            lists: stats.lists,
            retries: stats.retries,
            conflicts: stats.conflicts,
            failures_script: stats.failures_script,
            failures_misc: stats.failures_misc,
            failures_backend: stats.failures_backend,
            given_up: stats.given_up,
            refused: stats.refused,
            bytes_read: stats.bytes_read,
            bytes_written: stats.bytes_written,
            in_flight: stats.in_flight,
            most_in_flight: stats.most_in_flight,
            waiting_saves: stats.waiting.saves,
            waiting_loads: stats.waiting.loads,
            waiting_others: stats.waiting.others,
            most_waiting_saves: stats.most_waiting.saves,
            most_waiting_loads: stats.most_waiting.loads,
            most_waiting_others: stats.most_waiting.others,
            latencies: stats.latencies,
        }
    }
}
