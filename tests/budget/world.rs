//! A budget round an engine that the test answers for, in virtual time.

use std::num::NonZeroU32;
use std::sync::Arc;

use parking_lot::Mutex;
use session_locker::storage::budget::{Budget, Limits};
use session_locker::storage::{
    Expected, Fetched, MonotonicClock, Operation, Outcome, Priority, Reply, ReplySink, Request,
    RequestId, RequestStats, Responder, Storage, StorageError,
};

/// An engine that keeps what it is asked, for the test to answer.
#[derive(Default)]
pub struct Desk(pub Mutex<Vec<Request>>);

impl Storage for Desk {
    fn submit(&self, request: Request) {
        self.0.lock().push(request);
    }
}

impl Desk {
    /// The keys of what lies there, in the order in which it came.
    pub fn keys(&self) -> Vec<String> {
        let requests = self.0.lock();
        requests.iter().map(key).collect()
    }

    /// How many lie there.
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Answers the oldest, and says its key.
    pub fn answer(&self, result: Result<Outcome, StorageError>) -> String {
        let request = self.0.lock().remove(0);
        let key = key(&request);
        request.responder.answer(result);
        key
    }
}

pub fn key(request: &Request) -> String {
    match &request.operation {
        Operation::Fetch { key } | Operation::Commit { key, .. } | Operation::Erase { key, .. } => {
            key.to_string()
        }
        Operation::List { .. } | Operation::KeysOfUser { .. } => "a list".to_owned(),
    }
}

/// All replies, in order.
#[derive(Default)]
pub struct Replies(pub Mutex<Vec<Reply>>);

impl ReplySink for Replies {
    fn deliver(&self, reply: Reply) {
        self.0.lock().push(reply);
    }
}

/// A budget round a desk, in virtual time.
pub struct World {
    pub desk: Arc<Desk>,
    pub budget: Budget,
    pub now: Arc<Mutex<f64>>,
    pub replies: Arc<Replies>,
    pub asked: u64,
}

impl World {
    pub fn new(limits: Limits) -> Self {
        let (desk, now) = (Arc::new(Desk::default()), Arc::new(Mutex::new(1000.0)));
        let told = Arc::clone(&now);
        let clock: MonotonicClock = Arc::new(move || *told.lock());
        Self {
            budget: Budget::with_clock(Arc::clone(&desk) as _, limits, clock),
            desk,
            now,
            replies: Arc::default(),
            asked: 0,
        }
    }

    pub fn ask(&mut self, operation: Operation, priority: Priority) {
        self.ask_for(f64::INFINITY, operation, priority);
    }

    /// Asks with so many seconds of patience.
    pub fn ask_for(&mut self, patience: f64, operation: Operation, priority: Priority) {
        self.asked += 1;
        let sink = Arc::clone(&self.replies) as Arc<dyn ReplySink>;
        let responder = Responder::new(RequestId(self.asked), sink)
            .with_priority(priority)
            .with_patience(patience);
        self.budget.submit(Request {
            operation,
            responder,
        });
    }

    pub fn fetch(&mut self, key: &str, priority: Priority) {
        self.ask(Operation::Fetch { key: key.into() }, priority);
    }

    pub fn pass(&self, seconds: f64) {
        *self.now.lock() += seconds;
    }

    pub fn now(&self) -> f64 {
        *self.now.lock()
    }

    pub fn stats(&self) -> RequestStats {
        self.budget.stats().expect("a budget counts")
    }

    pub fn refusals(&self) -> Vec<StorageError> {
        let replies = self.replies.0.lock();
        let errors = replies
            .iter()
            .map(|reply| reply.result.clone().unwrap_err());
        errors.collect()
    }
}

pub fn limit(limit: u32) -> Option<NonZeroU32> {
    Some(NonZeroU32::new(limit).expect("a limit"))
}

pub fn in_flight(most: u32) -> Limits {
    Limits {
        in_flight: limit(most),
        ..Limits::default()
    }
}

pub fn per_second(most: u32) -> Limits {
    Limits {
        per_second: limit(most),
        ..Limits::default()
    }
}

pub fn absent() -> Result<Outcome, StorageError> {
    Ok(Outcome::Fetched(Fetched::Absent { tombstone: None }))
}

pub fn commit(key: &str, size_bytes: usize) -> Operation {
    Operation::Commit {
        key: key.into(),
        expected: Expected::Absent(None),
        bytes: vec![b' '; size_bytes].into(),
        user_ids: Arc::default(),
    }
}

pub const PRIORITIES: [(Priority, &str); 3] = [
    (Priority::Other, "other"),
    (Priority::Load, "load"),
    (Priority::Save, "save"),
];
