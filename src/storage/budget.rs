//! A budget of requests round any engine, and figures of what goes through it.
//!
//! [`Budget`] lets no more requests through than its [`Limits`] say. What may not go yet waits in line:
//! saves before loads before sends and tools, each that waits getting at least one turn in ten. It never
//! blocks who asks, and never answers for the engine; only where too much waits already is a request
//! refused, and then nothing of it was written. A budget without limits counts, and does nothing else.
//!
//! Nobody is woken when a request may go. **Whoever asks a storage calls [`Storage::tick`] from time to
//! time**, as every update of a store, spec or sender does, and every step of a blocking wait: what
//! waits in line goes on then, or with the next request. So there is no thread for it, an engine's
//! threads never come back into an engine, and the callbacks of a host are called inside of the calls
//! that it makes and nowhere else. The price is that a place that becomes free is given away a frame
//! later, as it would be in a store that keeps its own limits.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use super::meter::{Meter, MonotonicClock};
use super::stats::{ByPriority, RequestStats, value_bytes};
use super::{Priority, Request, RequestErrorKind, Storage, StorageError};

/// The most requests that wait in line; more are refused.
pub const MAX_WAITING_REQUESTS: usize = 65_536;
/// The most bytes of values that wait in line, save that one request always may.
pub const MAX_WAITING_BYTES: usize = 256 << 20;
/// The highest limit.
pub const MAX_LIMIT: u32 = 1_000_000;

/// A priority that has waited through so many turns of others has the next one. Two can come to this at
/// once; the second of them has waited through nine then, and each has one turn in ten.
const PASSED_OVER_AT_MOST: u64 = 8;
/// Who asks should have no more under way than goes through in so many seconds. What comes on top of that
/// waits better where it comes from: its time for an answer does not run there.
const SOON_S: NonZeroU32 = NonZeroU32::new(2).expect("more than none");
/// One tick, or one request, lets so many go at most: a frame ends, however fast the answers come.
const LET_GO_AT_ONCE: usize = 1024;
/// The interval of [`Limits::per_second`].
const A_SECOND: f64 = 1.0;

/// How many requests may go through a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// In no interval of one second are more handed over.
    pub per_second: Option<NonZeroU32>,
    /// At no time are more handed over and not answered.
    pub in_flight: Option<NonZeroU32>,
}

/// An engine with a budget. See the module's page.
pub struct Budget {
    engine: Arc<dyn Storage>,
    meter: Arc<Meter>,
    /// `None` without limits.
    gate: Option<Gate>,
}

/// Where requests with limits go through.
struct Gate {
    limits: Limits,
    line: Mutex<Line>,
    /// Says "perhaps somebody" without taking the lock.
    has_waiting: AtomicBool,
}

/// Who waits, and who has gone.
#[derive(Default)]
struct Line {
    /// One for each [`Priority`], in its order; oldest first.
    queues: [VecDeque<Request>; Priority::ALL.len()],
    /// Of the values that wait.
    bytes: usize,
    most_waiting: ByPriority,
    /// How many turns of others each priority has waited through.
    passed_over: ByPriority,
    /// When those of the last second went, oldest first; kept only where that is limited.
    gone_at: VecDeque<f64>,
}

impl Budget {
    /// A budget that goes by the system's time.
    pub fn new(engine: Arc<dyn Storage>, limits: Limits) -> Self {
        let begun = Instant::now();
        let clock: MonotonicClock = Arc::new(move || begun.elapsed().as_secs_f64());
        Self::with_clock(engine, limits, clock)
    }

    /// A budget that goes by the time that `clock` tells, in seconds that never run backwards. It is
    /// called from any thread, and must call nothing of the storage.
    pub fn with_clock(engine: Arc<dyn Storage>, limits: Limits, clock: MonotonicClock) -> Self {
        let gate = (limits != Limits::default()).then(|| Gate {
            limits,
            line: Mutex::default(),
            has_waiting: AtomicBool::new(false),
        });
        Self {
            engine,
            meter: Meter::new(clock),
            gate,
        }
    }
}

impl Storage for Budget {
    fn submit(&self, mut request: Request) {
        let is_retry = request.responder.is_retry();
        self.meter.count_request(&request.operation, is_retry);
        let now = self.meter.now();
        if let Some(gate) = &self.gate {
            request = match gate.enter(request, now, &self.meter) {
                Entered::Through(request) => request,
                Entered::Waits => return self.let_go(gate, now),
                Entered::Refused(request, error) => {
                    self.meter.count_refusal();
                    return request.responder.answer(Err(error));
                }
            };
        } else {
            self.meter.count_in_flight();
        }
        self.hand_over(request, now);
    }

    fn tick(&self) -> bool {
        let mut is_waiting = self.engine.tick();
        if let Some(gate) = &self.gate
            && gate.has_waiting.load(Ordering::Acquire)
        {
            self.let_go(gate, self.meter.now());
            is_waiting |= gate.has_waiting.load(Ordering::Acquire);
        }
        is_waiting
    }

    fn most_in_flight(&self) -> Option<NonZeroU32> {
        let limits = self.gate.as_ref().map(|gate| gate.limits);
        let of_own = limits.and_then(|limits| {
            let soon = limits.per_second.map(|limit| limit.saturating_mul(SOON_S));
            least(limits.in_flight, soon)
        });
        least(of_own, self.engine.most_in_flight())
    }

    fn stats(&self) -> Option<RequestStats> {
        let mut stats = self.meter.stats();
        if let Some(gate) = &self.gate {
            let line = gate.line.lock();
            stats.waiting = line.waiting();
            stats.most_waiting = line.most_waiting;
        }
        Some(stats)
    }
}

impl Budget {
    /// Hands over what may go of those that wait, with no lock held.
    fn let_go(&self, gate: &Gate, now: f64) {
        for _ in 0..LET_GO_AT_ONCE {
            match gate.next(now, &self.meter) {
                Some(request) => self.hand_over(request, now),
                None => break,
            }
        }
    }

    /// Gives the engine a request that is counted as in flight.
    fn hand_over(&self, request: Request, now: f64) {
        let ticket = self.meter.ticket(now);
        let Request {
            operation,
            responder,
        } = request;
        self.engine.submit(Request {
            operation,
            responder: responder.with_ticket(ticket),
        });
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        // Nobody can ask any more, so nobody comes to stand in line while these leave it.
        let Some(gate) = &self.gate else { return };
        let line = std::mem::take(&mut *gate.line.lock());
        let message =
            "the storage was closed before its limits let the request through; nothing was written";
        for request in Priority::ALL
            .into_iter()
            .zip(line.queues)
            .flat_map(|(_, queue)| queue)
        {
            let error = StorageError::new(RequestErrorKind::Backend, message);
            request.responder.answer(Err(error));
        }
    }
}

/// What becomes of a request that comes to the gate.
enum Entered {
    /// It may go, and is counted as in flight.
    Through(Request),
    Waits,
    Refused(Request, StorageError),
}

impl Gate {
    fn enter(&self, request: Request, now: f64, meter: &Meter) -> Entered {
        let mut line = self.line.lock();
        if line.is_empty() && self.may_go(&mut line, now, meter) {
            self.note_gone(&mut line, now, meter);
            return Entered::Through(request);
        }
        if let Some(error) = line.refusal(&request) {
            return Entered::Refused(request, error);
        }
        line.push(request);
        self.has_waiting.store(true, Ordering::Release);
        Entered::Waits
    }

    /// Takes the next that may go out of the line, and counts it as in flight.
    fn next(&self, now: f64, meter: &Meter) -> Option<Request> {
        let mut line = self.line.lock();
        if line.is_empty() || !self.may_go(&mut line, now, meter) {
            return None;
        }
        let request = line.pop()?;
        self.has_waiting.store(!line.is_empty(), Ordering::Release);
        self.note_gone(&mut line, now, meter);
        Some(request)
    }

    /// Whether one more may go. That the line is locked is what keeps two from going in one place:
    /// answers that come meanwhile only make more room.
    fn may_go(&self, line: &mut Line, now: f64, meter: &Meter) -> bool {
        let has_place = |limit: NonZeroU32| meter.in_flight() < limit.get().into();
        self.limits.in_flight.is_none_or(has_place)
            && self.limits.per_second.is_none_or(|limit| {
                line.forget_gone(now);
                line.gone_at.len() < limit.get() as usize
            })
    }

    fn note_gone(&self, line: &mut Line, now: f64, meter: &Meter) {
        meter.count_in_flight();
        if self.limits.per_second.is_some() {
            line.gone_at.push_back(now);
        }
    }
}

impl Line {
    fn waiting(&self) -> ByPriority {
        let mut waiting = ByPriority::default();
        for (priority, queue) in Priority::ALL.into_iter().zip(&self.queues) {
            waiting[priority] = queue.len() as u64;
        }
        waiting
    }

    fn is_empty(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }

    /// Why a request may not stand in line.
    fn refusal(&self, request: &Request) -> Option<StorageError> {
        let size_bytes = value_bytes(&request.operation);
        let (requests, bytes) = (self.waiting().total(), self.bytes);
        let fits = bytes == 0 || bytes.saturating_add(size_bytes) <= MAX_WAITING_BYTES;
        if fits && requests < MAX_WAITING_REQUESTS as u64 {
            return None;
        }
        let message = format!(
            "{requests} requests with {bytes} bytes wait for the limits of this storage \
             (`requests_per_second`, `requests_in_flight`), which is as many as may; nothing was written"
        );
        Some(StorageError::new(RequestErrorKind::Backend, message))
    }

    fn push(&mut self, request: Request) {
        self.bytes += value_bytes(&request.operation);
        let priority = request.responder.priority();
        self.queues[priority as usize].push_back(request);
        let waiting = self.waiting();
        self.most_waiting.raise_to(&waiting);
    }

    /// Takes the first of the priority whose turn it is.
    fn pop(&mut self) -> Option<Request> {
        let priority = self.turn()?;
        let request = self.queues[priority as usize].pop_front()?;
        self.bytes -= value_bytes(&request.operation);
        for other in Priority::ALL {
            let waits = other != priority && !self.queues[other as usize].is_empty();
            self.passed_over[other] = if waits {
                self.passed_over[other] + 1
            } else {
                0
            };
        }
        Some(request)
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

    /// Forgets who has gone a second ago and longer. Of two threads the one that looked at the clock first
    /// may come second; then it is remembered for as long as the other.
    fn forget_gone(&mut self, now: f64) {
        let is_over = |gone_at: &f64| *gone_at + A_SECOND <= now;
        while self.gone_at.front().is_some_and(is_over) {
            self.gone_at.pop_front();
        }
    }
}

/// The smaller of two limits.
fn least(one: Option<NonZeroU32>, other: Option<NonZeroU32>) -> Option<NonZeroU32> {
    one.into_iter().chain(other).min()
}
