//! The counting of one storage: a few relaxed atomics for each request, from any thread, and no lock.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::places::Place;
use super::stats::{Answer, Asked, LATENCY_BUCKETS, RequestStats, bucket, value_bytes};
use super::{Operation, Outcome, RequestErrorKind, StorageError};

/// Seconds that never run backwards, from any epoch.
pub type MonotonicClock = Arc<dyn Fn() -> f64 + Send + Sync>;

/// What is counted of one storage. Who asks and who answers are often two threads, and count in
/// memory of their own.
pub(super) struct Meter {
    clock: MonotonicClock,
    asked: AtAsking,
    in_flight: InFlight,
    answered: AtAnswering,
}

#[repr(align(64))]
#[derive(Default)]
struct AtAsking {
    fetches: AtomicU64,
    commits: AtomicU64,
    erasures: AtomicU64,
    lists: AtomicU64,
    retries: AtomicU64,
    refused: AtomicU64,
    bytes_written: AtomicU64,
}

#[repr(align(64))]
#[derive(Default)]
struct InFlight {
    now: AtomicU64,
    most: AtomicU64,
}

#[repr(align(64))]
#[derive(Default)]
struct AtAnswering {
    conflicts: AtomicU64,
    failures_script: AtomicU64,
    failures_misc: AtomicU64,
    failures_backend: AtomicU64,
    bytes_read: AtomicU64,
    latencies: [AtomicU64; LATENCY_BUCKETS],
}

impl Meter {
    pub fn new(clock: MonotonicClock) -> Arc<Self> {
        Arc::new(Self {
            clock,
            asked: AtAsking::default(),
            in_flight: InFlight::default(),
            answered: AtAnswering::default(),
        })
    }

    /// Monotonic seconds.
    pub fn now(&self) -> f64 {
        (self.clock)()
    }

    /// Counts a request as it comes.
    pub fn count_request(&self, operation: &Operation, is_retry: bool) {
        let asked = &self.asked;
        let kind = match Asked::of(operation) {
            Asked::Fetch => &asked.fetches,
            Asked::Commit => &asked.commits,
            Asked::Erase => &asked.erasures,
            Asked::List => &asked.lists,
        };
        kind.fetch_add(1, Relaxed);
        add(&asked.retries, is_retry.into());
        add(&asked.bytes_written, value_bytes(operation) as u64);
    }

    /// Counts that a request was refused.
    pub fn count_refusal(&self) {
        self.asked.refused.fetch_add(1, Relaxed);
    }

    /// Counts a request as in flight, until its ticket has counted the answer.
    pub fn count_in_flight(&self) {
        let in_flight = self.in_flight.now.fetch_add(1, Relaxed) + 1;
        // Most of the time there were more before, and it stays at a look.
        if in_flight > self.in_flight.most.load(Relaxed) {
            self.in_flight.most.fetch_max(in_flight, Relaxed);
        }
    }

    /// For a request in flight that is handed over at `now`, with the place that it takes, if it does.
    pub fn ticket(self: &Arc<Self>, now: f64, place: Option<Place>) -> Ticket {
        Ticket {
            meter: Arc::clone(self),
            begun_at: now,
            place,
            outer: None,
        }
    }

    fn count_answer(&self, result: &Result<Outcome, StorageError>, latency_s: f64) {
        let answered = &self.answered;
        match Answer::of(result) {
            Answer::Fine { bytes_read } => add(&answered.bytes_read, bytes_read),
            Answer::Conflict => add(&answered.conflicts, 1),
            Answer::Failed(RequestErrorKind::Script) => add(&answered.failures_script, 1),
            Answer::Failed(RequestErrorKind::Misc) => add(&answered.failures_misc, 1),
            Answer::Failed(RequestErrorKind::Backend) => add(&answered.failures_backend, 1),
        }
        answered.latencies[bucket(latency_s)].fetch_add(1, Relaxed);
        self.in_flight.now.fetch_sub(1, Relaxed);
    }

    /// All but what waits.
    pub fn stats(&self) -> RequestStats {
        let of = |counter: &AtomicU64| counter.load(Relaxed);
        let (asked, answered) = (&self.asked, &self.answered);
        RequestStats {
            fetches: of(&asked.fetches),
            commits: of(&asked.commits),
            erasures: of(&asked.erasures),
            lists: of(&asked.lists),
            retries: of(&asked.retries),
            conflicts: of(&answered.conflicts),
            failures_script: of(&answered.failures_script),
            failures_misc: of(&answered.failures_misc),
            failures_backend: of(&answered.failures_backend),
            refused: of(&asked.refused),
            bytes_read: of(&answered.bytes_read),
            bytes_written: of(&asked.bytes_written),
            in_flight: of(&self.in_flight.now),
            most_in_flight: of(&self.in_flight.most),
            latencies: std::array::from_fn(|index| of(&answered.latencies[index])),
            ..RequestStats::default()
        }
    }
}

/// Adds what is seldom anything.
fn add(counter: &AtomicU64, count: u64) {
    if count > 0 {
        counter.fetch_add(count, Relaxed);
    }
}

/// One request in flight. It is carried by the request's responder, which shows it the answer.
pub(super) struct Ticket {
    meter: Arc<Meter>,
    begun_at: f64,
    /// It is free when the answer has been counted.
    place: Option<Place>,
    /// That of a meter round this one.
    outer: Option<Box<Ticket>>,
}

impl Ticket {
    /// The same, with the ticket that the responder had before.
    pub fn inside(self, outer: Option<Self>) -> Self {
        let outer = outer.map(Box::new);
        Self { outer, ..self }
    }

    /// The request is answered.
    pub fn count(self, result: &Result<Outcome, StorageError>) {
        let mut ticket = Some(self);
        while let Some(Self {
            meter,
            begun_at,
            place,
            outer,
        }) = ticket
        {
            meter.count_answer(result, meter.now() - begun_at);
            drop(place);
            ticket = outer.map(|outer| *outer);
        }
    }
}
