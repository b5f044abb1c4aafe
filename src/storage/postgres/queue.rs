//! What waits for a connection: a lane for each kind of statement, with limits on how much waits and
//! for how long. It knows nothing of connections, and reads no clock of its own.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::QUEUE_PATIENCE;
use super::statements::{expected, key_bytes};
use crate::storage::admission::{Admission, value_bytes};
use crate::storage::{Expected, Operation, Request};

/// The most writes in one statement.
const MAX_WRITES: usize = 500;
/// The most bytes of values in one statement, save that one request always fits.
const MAX_WRITE_BYTES: usize = 4 << 20;
/// The most fetches in one statement: their answer is in memory as a whole.
const MAX_FETCHES: usize = 100;
/// How long the first request of a batch waits for others.
pub(super) const GATHERING: Duration = Duration::from_millis(1);

/// A kind of statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// Commits and erasures that expect a revision.
    Replace,
    /// Commits and erasures that expect that there never was a record.
    Create,
    /// Erasures that expect nothing.
    EraseAny,
    /// Fetches.
    Fetch,
    /// Lists, one at a time.
    List,
    /// Lists of a user's keys, one at a time.
    KeysOfUser,
}

/// How many lanes there are.
pub(super) const LANES: usize = 6;

impl Lane {
    /// All of them: saves before loads before what tools ask.
    pub(super) const ALL: [Self; LANES] = [
        Self::Replace,
        Self::Create,
        Self::EraseAny,
        Self::Fetch,
        Self::List,
        Self::KeysOfUser,
    ];

    /// The lane of an operation.
    pub(super) fn of(operation: &Operation) -> Self {
        match operation {
            Operation::Fetch { .. } => Self::Fetch,
            Operation::List { .. } => Self::List,
            Operation::KeysOfUser { .. } => Self::KeysOfUser,
            Operation::Commit { .. } | Operation::Erase { .. } => match expected(operation) {
                Some(Expected::Present(_) | Expected::Absent(Some(_))) => Self::Replace,
                Some(Expected::Absent(None)) => Self::Create,
                None => Self::EraseAny,
            },
        }
    }

    /// Whether what is in it writes.
    pub(super) fn writes(self) -> bool {
        matches!(self, Self::Replace | Self::Create | Self::EraseAny)
    }

    fn max_requests(self) -> usize {
        match self {
            Self::Replace | Self::Create | Self::EraseAny => MAX_WRITES,
            Self::Fetch => MAX_FETCHES,
            Self::List | Self::KeysOfUser => 1,
        }
    }
}

struct Waiting {
    request: Request,
    since: Instant,
}

/// All lanes.
pub(super) struct Queue {
    lanes: [Waitings; LANES],
    admission: Arc<Admission>,
}

/// One lane: oldest first.
#[derive(Default)]
struct Waitings {
    requests: VecDeque<Waiting>,
    size_bytes: usize,
}

/// Whether a lane has a batch to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ripeness {
    /// Nothing waits.
    Empty,
    /// A batch should be sent at this time, or when it is full.
    At(Instant),
    /// As much as goes into a batch waits.
    Full,
}

impl Queue {
    /// Nothing waits.
    pub(super) fn new(admission: Arc<Admission>) -> Self {
        let lanes = Default::default();
        Self { lanes, admission }
    }

    /// Puts an admitted request into its lane.
    pub(super) fn push(&mut self, request: Request, now: Instant) {
        let lane = &mut self.lanes[Lane::of(&request.operation) as usize];
        lane.size_bytes += value_bytes(&request.operation);
        let since = now;
        lane.requests.push_back(Waiting { request, since });
    }

    /// Whether nothing waits at all.
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.requests.is_empty())
    }

    /// Whether a lane has a batch to send.
    pub(super) fn ripeness(&self, lane: Lane) -> Ripeness {
        let Waitings {
            requests,
            size_bytes,
        } = &self.lanes[lane as usize];
        match requests.front() {
            None => Ripeness::Empty,
            Some(_) if requests.len() >= lane.max_requests() => Ripeness::Full,
            Some(_) if *size_bytes >= MAX_WRITE_BYTES => Ripeness::Full,
            Some(first) => Ripeness::At(first.since + GATHERING),
        }
    }

    /// Takes a batch, the oldest requests of a lane. Of writes it takes one for each key, in the order
    /// of the keys: a statement judges all of them by what was there before it.
    pub(super) fn take(&mut self, lane: Lane) -> Vec<Request> {
        let mut batch: Vec<Request> = Vec::new();
        let mut batch_bytes = 0;
        let mut keys: HashSet<Arc<str>> = HashSet::new();
        let mut again = Vec::new();
        while batch.len() < lane.max_requests()
            && batch_bytes < MAX_WRITE_BYTES
            && again.len() < lane.max_requests()
        {
            let Some(waiting) = self.pop(lane) else { break };
            let operation = &waiting.request.operation;
            if let Operation::Commit { key, .. } | Operation::Erase { key, .. } = operation
                && !keys.insert(Arc::clone(key))
            {
                again.push(waiting);
                continue;
            }
            let size_bytes = value_bytes(operation);
            batch_bytes += size_bytes;
            self.admission.release(size_bytes);
            batch.push(waiting.request);
        }
        let waitings = &mut self.lanes[lane as usize];
        for waiting in again.into_iter().rev() {
            waitings.size_bytes += value_bytes(&waiting.request.operation);
            waitings.requests.push_front(waiting);
        }
        if lane.writes() {
            batch.sort_unstable_by(|a, b| key_bytes(&a.operation).cmp(key_bytes(&b.operation)));
        }
        batch
    }

    fn pop(&mut self, lane: Lane) -> Option<Waiting> {
        let waitings = &mut self.lanes[lane as usize];
        let waiting = waitings.requests.pop_front()?;
        waitings.size_bytes -= value_bytes(&waiting.request.operation);
        Some(waiting)
    }

    /// When the next request will have waited for too long.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        let firsts = self.lanes.iter().filter_map(|lane| lane.requests.front());
        firsts.map(|first| first.since + QUEUE_PATIENCE).min()
    }

    /// Takes what has waited for too long.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<Request> {
        self.take_since(|since| since + QUEUE_PATIENCE <= now)
    }

    /// Takes everything.
    pub(super) fn take_all(&mut self) -> Vec<Request> {
        self.take_since(|_| true)
    }

    fn take_since(&mut self, is_taken: impl Fn(Instant) -> bool) -> Vec<Request> {
        let mut taken = Vec::new();
        for lane in Lane::ALL {
            let first = |queue: &Self| {
                let first = queue.lanes[lane as usize].requests.front();
                first.map(|first| first.since)
            };
            while first(self).is_some_and(&is_taken) {
                let Some(waiting) = self.pop(lane) else { break };
                self.admission
                    .release(value_bytes(&waiting.request.operation));
                taken.push(waiting.request);
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::storage::{Mailbox, RequestId, Responder, Revision};

    fn queue() -> Queue {
        Queue::new(Arc::new(Admission::new("Test", 1 << 40, 10_000, 1 << 40)))
    }

    fn commit(key: &str, expected: Expected, size_bytes: usize) -> Operation {
        Operation::Commit {
            key: key.into(),
            expected,
            bytes: Bytes::from(vec![0; size_bytes]),
            user_ids: Arc::default(),
        }
    }

    fn at(revision: u64) -> Expected {
        Expected::Present(Revision::from_u64(revision))
    }

    fn push(queue: &mut Queue, operation: Operation, now: Instant) {
        queue
            .admission
            .admit(value_bytes(&operation))
            .expect("there is room");
        let responder = Responder::new(RequestId(0), Mailbox::new());
        let request = Request {
            operation,
            responder,
        };
        queue.push(request, now);
    }

    fn keys(batch: &[Request]) -> Vec<&str> {
        let keys = batch.iter().map(|request| key_bytes(&request.operation));
        keys.map(|key| std::str::from_utf8(key).unwrap()).collect()
    }

    #[test]
    fn a_batch_has_a_key_once_and_the_next_one_follows() {
        let (mut queue, now) = (queue(), Instant::now());
        for (key, revision) in [("b", 1), ("a", 1), ("b", 2), ("c", 1), ("b", 3)] {
            push(&mut queue, commit(key, at(revision), 1), now);
        }
        assert_eq!(keys(&queue.take(Lane::Replace)), ["a", "b", "c"]);
        for revision in [2, 3] {
            let batch = queue.take(Lane::Replace);
            assert_eq!(keys(&batch), ["b"]);
            assert_eq!(expected(&batch[0].operation), Some(&at(revision)));
        }
        assert_eq!(queue.ripeness(Lane::Replace), Ripeness::Empty);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_batch_waits_for_others_until_it_is_full() {
        let (mut queue, now) = (queue(), Instant::now());
        push(&mut queue, commit("first", at(1), 0), now);
        let later = now + Duration::from_secs(1);
        for number in 2..MAX_WRITES {
            push(&mut queue, commit(&number.to_string(), at(1), 0), later);
            assert_eq!(queue.ripeness(Lane::Replace), Ripeness::At(now + GATHERING));
        }
        push(&mut queue, commit("last", at(1), 0), later);
        assert_eq!(queue.ripeness(Lane::Replace), Ripeness::Full);
        assert_eq!(queue.take(Lane::Replace).len(), MAX_WRITES);
    }

    #[test]
    fn a_batch_is_full_by_its_bytes_and_one_request_always_fits() {
        let (mut queue, now) = (queue(), Instant::now());
        for key in ["a", "b", "c"] {
            push(
                &mut queue,
                commit(key, Expected::Absent(None), MAX_WRITE_BYTES),
                now,
            );
        }
        for key in ["a", "b", "c"] {
            assert_eq!(queue.ripeness(Lane::Create), Ripeness::Full);
            assert_eq!(keys(&queue.take(Lane::Create)), [key]);
        }
    }

    #[test]
    fn what_has_waited_for_too_long_is_taken_out_of_every_lane() {
        let (mut queue, now) = (queue(), Instant::now());
        push(&mut queue, commit("a", at(1), 1), now);
        push(&mut queue, Operation::Fetch { key: "b".into() }, now);
        let later = now + QUEUE_PATIENCE;
        push(&mut queue, commit("c", at(1), 1), later);
        assert_eq!(queue.next_expiry(), Some(later));
        assert_eq!(keys(&queue.take_expired(later)), ["a", "b"]);
        assert_eq!(keys(&queue.take_all()), ["c"]);
        assert_eq!(queue.next_expiry(), None);
    }

    #[test]
    fn what_is_taken_or_given_up_makes_room() {
        let admission = Arc::new(Admission::new("Test", 2000, 2, 100));
        let (mut queue, now) = (Queue::new(Arc::clone(&admission)), Instant::now());
        push(&mut queue, commit("a", at(1), 60), now);
        push(&mut queue, commit("b", at(1), 40), now);
        admission.admit(0).expect_err("there are two");
        assert_eq!(queue.take(Lane::Replace).len(), 2);
        push(&mut queue, commit("c", at(1), 100), now);
        admission.admit(1).expect_err("they are large");
        assert_eq!(queue.take_all().len(), 1);
        push(&mut queue, commit("d", at(1), 100), now);
    }
}
