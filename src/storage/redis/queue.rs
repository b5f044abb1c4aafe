//! What waits for the connection, with limits on how much is taken at once and on how long it waits. It
//! knows nothing of connections, and reads no clock of its own.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::QUEUE_PATIENCE;
use super::link::Load;
use crate::storage::admission::{Admission, value_bytes};
use crate::storage::{Operation, Request};

/// The most requests in one batch.
const MAX_BATCH_REQUESTS: usize = 256;
/// The most bytes in one batch, save that one request always fits.
const MAX_BATCH_BYTES: usize = 1 << 20;
/// The most requests under way.
const MAX_REQUESTS_UNDER_WAY: usize = 4096;
/// The most bytes under way, save that one batch always fits.
const MAX_BYTES_UNDER_WAY: usize = 32 << 20;
/// What the answer to a fetch counts as: it is in memory twice, here and at the server.
const ANSWER_BYTES: usize = 16 << 10;

/// For how long a node's word holds that another one is being given a partition, for a request that waits for
/// a connection to that one.
const ASKING_PATIENCE: Duration = Duration::from_millis(100);

/// Oldest first.
pub(super) struct Queue {
    requests: VecDeque<Waiting>,
    admission: Arc<Admission>,
}

/// A request that is not done.
#[derive(Debug)]
pub(super) struct Waiting {
    /// What is asked, and the right to answer.
    pub(super) request: Request,
    /// When it was submitted.
    pub(super) since: Instant,
    /// How often it was sent to a node of a cluster that has sent it elsewhere.
    pub(super) detours: u32,
    /// When it was sent here by the node that is giving its partition to this one, if so.
    pub(super) asking_since: Option<Instant>,
}

impl Waiting {
    /// Whether it was sent here by the node that is giving its partition to this one.
    pub(super) fn is_asking(&self) -> bool {
        self.asking_since.is_some()
    }

    /// Whether it was, but so long ago that its partition may be back where it was, or elsewhere.
    pub(super) fn is_old_news(&self) -> bool {
        let since = self.asking_since;
        since.is_some_and(|since| since.elapsed() > ASKING_PATIENCE)
    }

    /// What is asked.
    pub(super) fn operation(&self) -> &Operation {
        &self.request.operation
    }
}

/// Requests that go out together.
pub(super) enum Batch {
    /// Each concerns one key.
    Keyed(Vec<Waiting>),
    /// It concerns many keys, and goes alone.
    List(Waiting),
}

impl Queue {
    /// Nothing waits.
    pub(super) fn new(admission: Arc<Admission>) -> Self {
        let requests = VecDeque::new();
        Self {
            requests,
            admission,
        }
    }

    /// Puts in an admitted request.
    pub(super) fn push(&mut self, request: Request, now: Instant) {
        self.requests.push_back(Waiting {
            request,
            since: now,
            detours: 0,
            asking_since: None,
        });
    }

    /// Puts in one that has been in a queue before, at the place that its age gives it.
    pub(super) fn put_back(&mut self, waiting: Waiting) {
        self.admission.admit_again(value_bytes(waiting.operation()));
        let is_older = |other: &Waiting| other.since <= waiting.since;
        let place = self.requests.partition_point(is_older);
        self.requests.insert(place, waiting);
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// The oldest requests and what they will be on the way; `None` if nothing waits, or if enough is
    /// under way.
    pub(super) fn take(&mut self, under_way: Load) -> Option<(Batch, Load)> {
        if under_way.requests >= MAX_REQUESTS_UNDER_WAY || under_way.bytes >= MAX_BYTES_UNDER_WAY {
            return None;
        }
        let mut load = Load::default();
        let mut batch = Vec::new();
        while batch.len() < MAX_BATCH_REQUESTS && load.bytes < MAX_BATCH_BYTES {
            let Some(first) = self.requests.front() else {
                break;
            };
            let is_list = is_list(first.operation());
            if is_list && !batch.is_empty() {
                break;
            }
            let Some(waiting) = self.pop() else { break };
            load.requests += 1;
            load.bytes += weight(waiting.operation());
            if is_list {
                return Some((Batch::List(waiting), load));
            }
            batch.push(waiting);
        }
        (!batch.is_empty()).then_some((Batch::Keyed(batch), load))
    }

    fn pop(&mut self) -> Option<Waiting> {
        let waiting = self.requests.pop_front()?;
        self.admission.release(value_bytes(waiting.operation()));
        Some(waiting)
    }

    /// When the next request will have waited for too long.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        let first = self.requests.front();
        first.map(|first| first.since + QUEUE_PATIENCE)
    }

    /// Takes what has waited for too long.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<Waiting> {
        let mut expired = Vec::new();
        while self.next_expiry().is_some_and(|expiry| expiry <= now) {
            expired.extend(self.pop());
        }
        expired
    }

    /// Takes everything that was not sent here by the node that is giving its partition to this one.
    pub(super) fn take_not_asking(&mut self) -> Vec<Waiting> {
        let all = mem::take(&mut self.requests).into_iter();
        let (asking, others): (Vec<_>, Vec<_>) = all.partition(Waiting::is_asking);
        self.requests = asking.into();
        for waiting in &others {
            self.admission.release(value_bytes(waiting.operation()));
        }
        others
    }

    /// Takes everything.
    pub(super) fn take_all(&mut self) -> Vec<Waiting> {
        std::iter::from_fn(|| self.pop()).collect()
    }
}

fn is_list(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::List { .. } | Operation::KeysOfUser { .. }
    )
}

fn weight(operation: &Operation) -> usize {
    match operation {
        Operation::Fetch { .. } => ANSWER_BYTES,
        operation => value_bytes(operation),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::storage::{Expected, Mailbox, RequestId, Responder};

    fn queue() -> Queue {
        Queue::new(Arc::new(Admission::new("Test", 1 << 40, 10_000, 1 << 40)))
    }

    fn commit(size_bytes: usize) -> Operation {
        Operation::Commit {
            key: "key".into(),
            expected: Expected::Absent(None),
            bytes: Bytes::from(vec![0; size_bytes]),
            user_ids: Arc::default(),
        }
    }

    fn list() -> Operation {
        Operation::List {
            prefix: "".into(),
            after: None,
            limit: 1,
        }
    }

    fn push(queue: &mut Queue, operation: Operation, now: Instant) {
        let admitted = queue.admission.admit(value_bytes(&operation));
        admitted.expect("there is room");
        let responder = Responder::new(RequestId(0), Mailbox::new());
        let request = Request {
            operation,
            responder,
        };
        queue.push(request, now);
    }

    fn take(queue: &mut Queue) -> Option<(usize, Load)> {
        let (batch, load) = queue.take(Load::default())?;
        match batch {
            Batch::Keyed(requests) => Some((requests.len(), load)),
            Batch::List(_) => Some((0, load)),
        }
    }

    #[test]
    fn a_batch_has_so_many_requests_or_bytes_and_one_request_always_fits() {
        let (mut queue, now) = (queue(), Instant::now());
        for _ in 0..MAX_BATCH_REQUESTS + 1 {
            push(&mut queue, commit(1), now);
        }
        for _ in 0..2 {
            push(&mut queue, commit(2 * MAX_BATCH_BYTES), now);
        }
        let counts = std::iter::from_fn(|| take(&mut queue)).map(|(count, _)| count);
        assert_eq!(counts.collect::<Vec<_>>(), [MAX_BATCH_REQUESTS, 2, 1]);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_list_goes_alone() {
        let (mut queue, now) = (queue(), Instant::now());
        for operation in [commit(1), commit(1), list(), list(), commit(1)] {
            push(&mut queue, operation, now);
        }
        let counts = std::iter::from_fn(|| take(&mut queue)).map(|(count, _)| count);
        assert_eq!(counts.collect::<Vec<_>>(), [2, 0, 0, 1]);
    }

    #[test]
    fn nothing_is_taken_while_enough_is_under_way() {
        let (mut queue, now) = (queue(), Instant::now());
        push(&mut queue, commit(1), now);
        for under_way in [
            Load {
                requests: MAX_REQUESTS_UNDER_WAY,
                bytes: 0,
            },
            Load {
                requests: 1,
                bytes: MAX_BYTES_UNDER_WAY,
            },
        ] {
            assert!(queue.take(under_way).is_none());
        }
        let (_, load) = take(&mut queue).expect("there is something");
        let expected = Load {
            requests: 1,
            bytes: 1,
        };
        assert_eq!(load, expected);
    }

    #[test]
    fn what_comes_back_has_the_place_of_its_age() {
        let (mut queue, now) = (queue(), Instant::now());
        let ages = |queue: &mut Queue| -> Vec<Duration> {
            let all = queue.take_all().into_iter();
            all.map(|waiting| waiting.since - now).collect()
        };
        for second in 0..4 {
            push(&mut queue, commit(1), now + Duration::from_secs(second));
        }
        let Some((Batch::Keyed(mut batch), _)) = queue.take(Load::default()) else {
            panic!("there are four");
        };
        push(&mut queue, commit(1), now + Duration::from_secs(4));
        batch.swap(0, 3);
        batch
            .into_iter()
            .for_each(|waiting| queue.put_back(waiting));
        let seconds = (0..5).map(Duration::from_secs);
        assert_eq!(ages(&mut queue), seconds.collect::<Vec<_>>());
        // It was counted in as often as out.
        assert_eq!(queue.admission.admit(1), Ok(()));
    }

    #[test]
    fn what_has_waited_for_too_long_is_taken_out() {
        let (mut queue, now) = (queue(), Instant::now());
        push(&mut queue, commit(1), now);
        push(&mut queue, list(), now);
        let later = now + Duration::from_secs(1);
        push(&mut queue, commit(1), later);
        assert_eq!(queue.next_expiry(), Some(now + QUEUE_PATIENCE));
        assert_eq!(queue.take_expired(now + QUEUE_PATIENCE).len(), 2);
        assert_eq!(queue.take_all().len(), 1);
        assert_eq!(queue.next_expiry(), None);
    }
}
