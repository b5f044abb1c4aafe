//! The line of requests that wait for the limits of a [`budget`](super::budget): whose turn it is, who
//! has waited for too long, and who may not stand in it.

#![forbid(unsafe_code)]

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::budget::{MAX_WAITING_BYTES, MAX_WAITING_REQUESTS};
use super::stats::{ByPriority, value_bytes};
use super::{Priority, Request, RequestErrorKind, StorageError};

/// A priority that has waited through so many turns of others has the next one. Two can come to this at
/// once; the second of them has waited through nine then, and each has one turn in ten.
const PASSED_OVER_AT_MOST: u64 = 8;

const HALF_OF_REQUESTS: u64 = MAX_WAITING_REQUESTS as u64 / 2;
const HALF_OF_BYTES: u64 = MAX_WAITING_BYTES as u64 / 2;

/// See the module's page. Time is its owner's, in seconds.
#[derive(Default)]
pub(super) struct Line {
    /// One for each [`Priority`], in its order; by the number that each request was given as it came.
    queues: [BTreeMap<u64, Waiting>; Priority::ALL.len()],
    last_number: u64,
    /// Of the values that wait.
    bytes: ByPriority,
    /// Of those who do not wait for ever.
    deadlines: BTreeSet<Deadline>,
    most_waiting: ByPriority,
    /// How many turns of others each priority has waited through.
    passed_over: ByPriority,
}

struct Waiting {
    request: Request,
    /// For how long its asker lets it wait; infinite without an end.
    until: f64,
}

/// When a request will have waited for as long as its asker lets it.
#[derive(Clone, Copy)]
struct Deadline {
    at: f64,
    number: u64,
    priority: Priority,
}

impl Line {
    pub fn waiting(&self) -> ByPriority {
        let mut waiting = ByPriority::default();
        for (priority, queue) in Priority::ALL.into_iter().zip(&self.queues) {
            waiting[priority] = queue.len() as u64;
        }
        waiting
    }

    pub fn most_waiting(&self) -> ByPriority {
        self.most_waiting
    }

    pub fn is_empty(&self) -> bool {
        self.queues.iter().all(BTreeMap::is_empty)
    }

    /// Why a request may not stand in line. Saves may fill it; all else may fill half of it, so that a
    /// save is never refused because of what goes behind it anyway.
    pub fn refusal(&self, request: &Request) -> Option<StorageError> {
        let priority = request.responder.priority();
        let (requests, bytes) = (self.waiting(), self.bytes);
        let size_bytes = value_bytes(&request.operation) as u64;
        let fits = size_bytes == 0
            || bytes.total() == 0
            || has_room(bytes, HALF_OF_BYTES, priority, size_bytes);
        if fits && has_room(requests, HALF_OF_REQUESTS, priority, 1) {
            return None;
        }
        let (requests, bytes) = (requests.total(), bytes.total());
        let message = format!(
            "{requests} requests with {bytes} bytes wait for the limits of this storage \
             (`requests_per_second`, `requests_in_flight`), which is as many as may; nothing was written"
        );
        Some(StorageError::new(RequestErrorKind::Backend, message))
    }

    pub fn push(&mut self, request: Request, now: f64) {
        self.last_number += 1;
        let (number, priority) = (self.last_number, request.responder.priority());
        let until = now + request.responder.patience();
        if until.is_finite() {
            self.deadlines.insert(Deadline {
                at: until,
                number,
                priority,
            });
        }
        self.bytes[priority] += value_bytes(&request.operation) as u64;
        self.queues[priority as usize].insert(number, Waiting { request, until });
        let waiting = self.waiting();
        self.most_waiting.raise_to(&waiting);
    }

    /// Takes the first of the priority whose turn it is. None of those that
    /// [`pop_impatient`](Self::pop_impatient) would take may be left.
    pub fn pop(&mut self, now: f64) -> Option<Request> {
        let priority = self.turn()?;
        let (&number, _) = self.queues[priority as usize].first_key_value()?;
        let Waiting { request, until } = self.remove(priority, number)?;
        for other in Priority::ALL {
            let waits = other != priority && !self.queues[other as usize].is_empty();
            self.passed_over[other] = if waits {
                self.passed_over[other] + 1
            } else {
                0
            };
        }
        let Request {
            operation,
            responder,
        } = request;
        // Behind this line there may be another.
        let responder = responder.with_patience(until - now);
        Some(Request {
            operation,
            responder,
        })
    }

    /// Takes one that has waited for as long as its asker lets it; of several, the one that was so far first.
    pub fn pop_impatient(&mut self, now: f64) -> Option<(Request, StorageError)> {
        let first = *self.deadlines.first()?;
        if first.at > now {
            return None;
        }
        let Waiting { request, .. } = self.remove(first.priority, first.number)?;
        let message = format!(
            "the limits of this storage (`requests_per_second`, `requests_in_flight`) have not let the \
             request through within {} s; nothing was written",
            request.responder.patience()
        );
        Some((
            request,
            StorageError::new(RequestErrorKind::Backend, message),
        ))
    }

    /// Takes all of them, in the order of their priorities.
    pub fn take_all(&mut self) -> impl Iterator<Item = Request> + use<> {
        let line = std::mem::take(self);
        let queues = line.queues.into_iter();
        queues.flat_map(|queue| queue.into_values().map(|waiting| waiting.request))
    }

    fn remove(&mut self, priority: Priority, number: u64) -> Option<Waiting> {
        let waiting = self.queues[priority as usize].remove(&number)?;
        self.bytes[priority] -= value_bytes(&waiting.request.operation) as u64;
        self.deadlines.remove(&Deadline {
            at: waiting.until,
            number,
            priority,
        });
        Some(waiting)
    }

    /// The first priority of which something waits, unless another has been passed over too often.
    fn turn(&self) -> Option<Priority> {
        let waits = |priority: &Priority| !self.queues[*priority as usize].is_empty();
        let mut waiting = Priority::ALL.into_iter().filter(waits);
        let first = waiting.clone().next();
        waiting
            .find(|priority| self.passed_over[*priority] >= PASSED_OVER_AT_MOST)
            .or(first)
    }
}

/// Whether so much more of this priority may wait beside what does, where saves may have all and the
/// others together half. One of the others that is larger than that half is let in alone; then saves may
/// still have theirs.
fn has_room(waiting: ByPriority, half: u64, priority: Priority, more: u64) -> bool {
    let behind_saves = waiting.loads + waiting.others;
    let fits = |taken: u64, whole: u64| taken.saturating_add(more) <= whole;
    match priority {
        Priority::Save => fits(waiting.saves + behind_saves.min(half), 2 * half),
        Priority::Load | Priority::Other => {
            fits(behind_saves, half) && fits(waiting.total(), 2 * half)
        }
    }
}

impl Ord for Deadline {
    fn cmp(&self, other: &Self) -> Ordering {
        let at = self.at.total_cmp(&other.at);
        at.then(self.number.cmp(&other.number))
    }
}

impl PartialOrd for Deadline {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Deadline {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Deadline {}
