//! Figures of what was asked of a storage and how it answered, for a host to read: requests,
//! conflicts, failures, retries, bytes, how many wait, and how long answers take. They only ever
//! count; what may go and what must wait is decided in [`budget`](super::budget).

#![forbid(unsafe_code)]

use std::ops::{Index, IndexMut};

use super::{Fetched, Operation, Outcome, Priority, RequestErrorKind, StorageError};

/// How many buckets the histogram of latencies has.
pub const LATENCY_BUCKETS: usize = 24;

/// Answers that took less than so many microseconds are in the first bucket of latencies. From each
/// bucket to the next the bound doubles: bucket `i` has what took less than `LATENCY_FIRST_US << i`,
/// and at least the bound before. The last has all that took longer.
pub const LATENCY_FIRST_US: u64 = 16;

/// A count for each [`Priority`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByPriority {
    /// Of saves.
    pub saves: u64,
    /// Of loads.
    pub loads: u64,
    /// Of all else.
    pub others: u64,
}

impl ByPriority {
    /// All of them together.
    pub fn total(&self) -> u64 {
        self.saves + self.loads + self.others
    }

    /// Raises what is less than in `other` to that.
    pub(crate) fn raise_to(&mut self, other: &Self) {
        for priority in Priority::ALL {
            self[priority] = self[priority].max(other[priority]);
        }
    }
}

impl Index<Priority> for ByPriority {
    type Output = u64;

    fn index(&self, priority: Priority) -> &u64 {
        match priority {
            Priority::Save => &self.saves,
            Priority::Load => &self.loads,
            Priority::Other => &self.others,
        }
    }
}

impl IndexMut<Priority> for ByPriority {
    fn index_mut(&mut self, priority: Priority) -> &mut u64 {
        match priority {
            Priority::Save => &mut self.saves,
            Priority::Load => &mut self.loads,
            Priority::Other => &mut self.others,
        }
    }
}

/// What was asked, and how it was answered, since the beginning.
///
/// **Each request is in one place**: [`requests`](Self::requests) is [`answers`](Self::answers),
/// `refused`, `given_up` and `in_flight` together, and for a storage all of `waiting` too. (A store's
/// sessions and sends wait before there is a request.) Figures of a storage that several threads use
/// are read one after another, and may be a few requests apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestStats {
    /// Fetches asked.
    pub fetches: u64,
    /// Commits asked.
    pub commits: u64,
    /// Erasures asked.
    pub erasures: u64,
    /// Lists asked, of keys or of a user's keys.
    pub lists: u64,
    /// How many of these were asked because the request before, of the same session or of a send to the
    /// same key, had failed, was not answered in time, or had met a conflict.
    pub retries: u64,
    /// Answers that were a conflict.
    pub conflicts: u64,
    /// Answers that were a failure of our own, [`RequestErrorKind::Script`].
    pub failures_script: u64,
    /// Answers that were a failure of unknown cause, [`RequestErrorKind::Misc`].
    pub failures_misc: u64,
    /// Answers that were a failure of the backend, [`RequestErrorKind::Backend`].
    pub failures_backend: u64,
    /// Requests whose answer a store has stopped waiting for, mostly because it did not come in time; one
    /// that still comes is not counted. A storage knows of none.
    pub given_up: u64,
    /// Requests that a storage's budget has refused because too many waited already, or because they had
    /// waited for as long as their askers let them. They are not among the failures; in a store's figures,
    /// which tell no such refusal from another failure, they are.
    pub refused: u64,
    /// Bytes of the values that fetches have brought.
    pub bytes_read: u64,
    /// Bytes of the values of all commits asked, whatever became of them.
    pub bytes_written: u64,
    /// Requests that were handed over and are not answered, now, however long ago that was.
    pub in_flight: u64,
    /// The most that there ever were of them.
    pub most_in_flight: u64,
    /// Who waits for a budget, now; of a store's sessions, who did in its last update.
    pub waiting: ByPriority,
    /// The most that ever waited, of each priority.
    pub most_waiting: ByPriority,
    /// How many answers took how long: see [`LATENCY_FIRST_US`]. For a storage that is the time from
    /// when the engine was asked, after all waiting, until it has answered; for a store, the time from
    /// the update that asked to the update that took the answer.
    pub latencies: [u64; LATENCY_BUCKETS],
}

impl RequestStats {
    /// How many requests were asked.
    pub fn requests(&self) -> u64 {
        self.fetches + self.commits + self.erasures + self.lists
    }

    /// How many were answered, in whatever way.
    pub fn answers(&self) -> u64 {
        self.latencies.iter().sum()
    }

    /// Counts a request that is handed over.
    pub(crate) fn count_request(&mut self, operation: &Operation, is_retry: bool) {
        *match Asked::of(operation) {
            Asked::Fetch => &mut self.fetches,
            Asked::Commit => &mut self.commits,
            Asked::Erase => &mut self.erasures,
            Asked::List => &mut self.lists,
        } += 1;
        self.retries += u64::from(is_retry);
        self.bytes_written += value_bytes(operation) as u64;
        self.in_flight += 1;
        self.most_in_flight = self.most_in_flight.max(self.in_flight);
    }

    /// Counts its answer.
    pub(crate) fn count_answer(&mut self, answer: Answer, latency_s: f64) {
        match answer {
            Answer::Fine { bytes_read } => self.bytes_read += bytes_read,
            Answer::Conflict => self.conflicts += 1,
            Answer::Failed(RequestErrorKind::Script) => self.failures_script += 1,
            Answer::Failed(RequestErrorKind::Misc) => self.failures_misc += 1,
            Answer::Failed(RequestErrorKind::Backend) => self.failures_backend += 1,
        }
        self.latencies[bucket(latency_s)] += 1;
        self.in_flight -= 1;
    }

    /// Counts that nobody waits for its answer any more.
    pub(crate) fn count_given_up(&mut self) {
        self.given_up += 1;
        self.in_flight -= 1;
    }

    /// Adds the figures of a part to those of another part of the same whole. The whole has never had
    /// more in flight at once than `most_in_flight` says then, but perhaps less.
    pub(crate) fn add(&mut self, part: &Self) {
        for (sum, count) in [
            (&mut self.fetches, part.fetches),
            (&mut self.commits, part.commits),
            (&mut self.erasures, part.erasures),
            (&mut self.lists, part.lists),
            (&mut self.retries, part.retries),
            (&mut self.conflicts, part.conflicts),
            (&mut self.failures_script, part.failures_script),
            (&mut self.failures_misc, part.failures_misc),
            (&mut self.failures_backend, part.failures_backend),
            (&mut self.given_up, part.given_up),
            (&mut self.refused, part.refused),
            (&mut self.bytes_read, part.bytes_read),
            (&mut self.bytes_written, part.bytes_written),
            (&mut self.in_flight, part.in_flight),
            (&mut self.most_in_flight, part.most_in_flight),
        ] {
            *sum += count;
        }
        for priority in Priority::ALL {
            self.waiting[priority] += part.waiting[priority];
            self.most_waiting[priority] += part.most_waiting[priority];
        }
        for (sum, count) in self.latencies.iter_mut().zip(part.latencies) {
            *sum += count;
        }
    }
}

/// What a request asks for, as far as it is counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Fetch,
    Commit,
    Erase,
    List,
}

impl Asked {
    pub fn of(operation: &Operation) -> Self {
        match operation {
            Operation::Fetch { .. } => Self::Fetch,
            Operation::Commit { .. } => Self::Commit,
            Operation::Erase { .. } => Self::Erase,
            Operation::List { .. } | Operation::KeysOfUser { .. } => Self::List,
        }
    }
}

/// What an answer counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Fine { bytes_read: u64 },
    Conflict,
    Failed(RequestErrorKind),
}

impl Answer {
    /// Whether it was none of those hoped for, and the request has come to nothing as far as is known.
    pub fn is_nothing(self) -> bool {
        !matches!(self, Self::Fine { .. })
    }

    pub fn of(result: &Result<Outcome, StorageError>) -> Self {
        match result {
            Ok(Outcome::Fetched(Fetched::Present { bytes, .. })) => Self::Fine {
                bytes_read: bytes.len() as u64,
            },
            Ok(Outcome::Conflict) => Self::Conflict,
            Ok(_) => Self::Fine { bytes_read: 0 },
            Err(error) => Self::Failed(error.kind),
        }
    }
}

/// The bytes of the value that an operation carries.
pub(super) fn value_bytes(operation: &Operation) -> usize {
    match operation {
        Operation::Commit { bytes, .. } => bytes.len(),
        _ => 0,
    }
}

/// The bucket of a latency, which counts in whole microseconds. One that is no number, or less than
/// nothing, counts as nothing.
pub(crate) fn bucket(latency_s: f64) -> usize {
    let bounds = (latency_s * 1e6).round() as u64 / LATENCY_FIRST_US;
    let doublings = u64::BITS - bounds.leading_zeros();
    (doublings as usize).min(LATENCY_BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_in_the_first_bucket_whose_bound_it_stays_below() {
        for index in 0..LATENCY_BUCKETS - 1 {
            let bound_us = LATENCY_FIRST_US << index;
            let seconds = |us: u64| us as f64 / 1e6;
            assert_eq!(bucket(seconds(bound_us - 1)), index, "{bound_us}");
            assert_eq!(bucket(seconds(bound_us)), index + 1, "{bound_us}");
        }
        assert_eq!(bucket(1e9), LATENCY_BUCKETS - 1);
        for nothing in [0.0, -1.0, f64::NAN] {
            assert_eq!(bucket(nothing), 0);
        }
    }
}
