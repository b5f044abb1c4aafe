//! A budget of requests round any engine, and figures of what goes through it.
//!
//! [`Budget`] lets no more requests through than its [`Limits`] say. What may not go yet waits in line:
//! saves before loads before sends and tools, each that waits getting at least one turn in ten. It never
//! blocks who asks, and never answers for the engine; only where too much waits already, or one has waited
//! for as long as its asker lets it ([`Responder::with_patience`](super::Responder::with_patience)), is a
//! request refused, and then nothing of it was written and never will be. A budget without limits counts,
//! and does nothing else.
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

use super::line::Line;
use super::meter::{Meter, MonotonicClock};
pub use super::places::PLACE_LAPSES_AFTER_S;
use super::places::{Place, Places};
use super::stats::RequestStats;
use super::{Request, RequestErrorKind, Storage, StorageError};

/// The most requests that wait in line; more are refused. Half of them may be other than saves.
pub const MAX_WAITING_REQUESTS: usize = 65_536;
/// The most bytes of values that wait in line, save that one request always may. Half of them may be other
/// than saves.
pub const MAX_WAITING_BYTES: usize = 256 << 20;
/// The highest limit.
pub const MAX_LIMIT: u32 = 1_000_000;

/// Who asks should have no more under way than goes through in so many seconds. What comes on top of that
/// waits better where it comes from: its time for an answer does not run there.
const SOON_S: NonZeroU32 = NonZeroU32::new(2).expect("more than none");
/// One tick, or one submission, lets so many go or refuses them at most: a frame ends, however fast the answers
/// come.
const LET_GO_AT_ONCE: usize = 256;
/// One look forgets so many who have gone at most: one makes room for who comes, and with the other they
/// grow fewer.
const FORGET_AT_ONCE: usize = 2;
/// The interval of [`Limits::per_second`].
const A_SECOND: f64 = 1.0;

/// How many requests may go through a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// In no interval of one second are more handed over.
    pub per_second: Option<NonZeroU32>,
    /// At no time are more handed over and not answered, of those of the last
    /// [`PLACE_LAPSES_AFTER_S`] seconds.
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
    inside: Mutex<Inside>,
    /// Of those in flight, where they are limited.
    places: Arc<Places>,
    /// Says "perhaps somebody" without taking the lock.
    has_waiting: AtomicBool,
}

/// Who waits, and who has gone.
#[derive(Default)]
struct Inside {
    line: Line,
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
            inside: Mutex::default(),
            places: Arc::default(),
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
    fn submit(&self, request: Request) {
        let now = self.meter.now();
        match self.enter(request, now) {
            Some(request) => self.engine.submit(request),
            None => _ = self.let_go(now),
        }
    }

    fn submit_all(&self, requests: Vec<Request>) {
        let now = self.meter.now();
        let count = requests.len();
        let enter = |request| self.enter(request, now);
        let entered: Vec<Request> = requests.into_iter().filter_map(enter).collect();
        let all_entered = entered.len() == count;
        if !entered.is_empty() {
            self.engine.submit_all(entered);
        }
        if !all_entered {
            self.let_go(now);
        }
    }

    fn tick(&self) -> bool {
        let is_waiting_inside = self.engine.tick();
        self.has_waiting() && self.let_go(self.meter.now()) || is_waiting_inside
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
            let line = &gate.inside.lock().line;
            stats.waiting = line.waiting();
            stats.most_waiting = line.most_waiting();
        }
        Some(stats)
    }
}

impl Budget {
    /// A request that comes, if it may go to the engine at once.
    fn enter(&self, request: Request, now: f64) -> Option<Request> {
        let is_retry = request.responder.is_retry();
        self.meter.count_request(&request.operation, is_retry);
        let Some(gate) = &self.gate else {
            return Some(self.begin(request, None, now));
        };
        match gate.enter(request, now) {
            Entered::Through(request, place) => return Some(self.begin(request, place, now)),
            Entered::Waits => {}
            Entered::Refused(request, error) => self.refuse(request, error),
        }
        None
    }

    /// Hands over what may go of those that wait, and refuses those that have waited for too long, with no
    /// lock held. True while somebody waits.
    fn let_go(&self, now: f64) -> bool {
        let Some(gate) = &self.gate else { return false };
        let mut left = LET_GO_AT_ONCE;
        loop {
            let mut begun = Vec::new();
            while left > 0 {
                match gate.next(now) {
                    Some(Next::Goes(request, place)) => begun.push(self.begin(request, place, now)),
                    Some(Next::Refused(request, error)) => self.refuse(request, error),
                    None => break,
                }
                left -= 1;
            }
            if begun.is_empty() {
                break;
            }
            // What the engine answers at once makes room for more.
            self.engine.submit_all(begun);
        }
        self.has_waiting()
    }

    /// Says "perhaps" too, without taking a lock.
    fn has_waiting(&self) -> bool {
        let gate = self.gate.as_ref();
        gate.is_some_and(|gate| gate.has_waiting.load(Ordering::Acquire))
    }

    /// A request that goes to the engine, and is in flight from here on.
    fn begin(&self, request: Request, place: Option<Place>, now: f64) -> Request {
        self.meter.count_in_flight();
        let ticket = self.meter.ticket(now, place);
        let Request {
            operation,
            responder,
        } = request;
        Request {
            operation,
            responder: responder.with_ticket(ticket),
        }
    }

    fn refuse(&self, request: Request, error: StorageError) {
        self.meter.count_refusal();
        request.responder.answer(Err(error));
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        // Nobody can ask any more, so nobody comes to stand in line while these leave it.
        let Some(gate) = &self.gate else { return };
        let waiting = gate.inside.lock().line.take_all();
        let message =
            "the storage was closed before its limits let the request through; nothing was written";
        for request in waiting {
            let error = StorageError::new(RequestErrorKind::Backend, message);
            request.responder.answer(Err(error));
        }
    }
}

/// What becomes of a request that comes to the gate.
enum Entered {
    /// It may go.
    Through(Request, Option<Place>),
    Waits,
    Refused(Request, StorageError),
}

/// What becomes of a request that has waited.
enum Next {
    Goes(Request, Option<Place>),
    /// It has waited for too long.
    Refused(Request, StorageError),
}

impl Gate {
    fn enter(&self, request: Request, now: f64) -> Entered {
        let mut inside = self.inside.lock();
        if inside.line.is_empty() && self.may_go(&mut inside, now) {
            let place = self.note_gone(&mut inside, now);
            return Entered::Through(request, place);
        }
        if let Some(error) = inside.line.refusal(&request) {
            return Entered::Refused(request, error);
        }
        inside.line.push(request, now);
        self.has_waiting.store(true, Ordering::Release);
        Entered::Waits
    }

    /// Takes the next out of the line that has waited for too long, or may go.
    fn next(&self, now: f64) -> Option<Next> {
        let mut inside = self.inside.lock();
        let next = self.take_next(&mut inside, now);
        let has_waiting = !inside.line.is_empty();
        self.has_waiting.store(has_waiting, Ordering::Release);
        next
    }

    fn take_next(&self, inside: &mut Inside, now: f64) -> Option<Next> {
        // First, so that nobody goes of whom nobody wants to know any more.
        if let Some((request, error)) = inside.line.pop_impatient(now) {
            return Some(Next::Refused(request, error));
        }
        if inside.line.is_empty() || !self.may_go(inside, now) {
            return None;
        }
        let request = inside.line.pop(now)?;
        let place = self.note_gone(inside, now);
        Some(Next::Goes(request, place))
    }

    /// Whether one more may go. That the inside is locked is what keeps two from going in one place:
    /// answers that come meanwhile only make more room.
    fn may_go(&self, inside: &mut Inside, now: f64) -> bool {
        let Limits {
            per_second,
            in_flight,
        } = self.limits;
        in_flight.is_none_or(|limit| self.places.has_room(limit, now))
            && per_second.is_none_or(|limit| {
                inside.forget_gone(now);
                inside.gone_at.len() < limit.get() as usize
            })
    }

    /// Notes that one goes, which takes a place if there is a limit of them.
    fn note_gone(&self, inside: &mut Inside, now: f64) -> Option<Place> {
        if self.limits.per_second.is_some() {
            inside.gone_at.push_back(now);
        }
        self.limits.in_flight.map(|_| self.places.take(now))
    }
}

impl Inside {
    /// Forgets who has gone a second ago and longer. Of two threads the one that looked at the clock first
    /// may come second; then it is remembered for as long as the other.
    fn forget_gone(&mut self, now: f64) {
        let is_over = |gone_at: &f64| *gone_at + A_SECOND <= now;
        for _ in 0..FORGET_AT_ONCE {
            if !self.gone_at.front().is_some_and(is_over) {
                break;
            }
            self.gone_at.pop_front();
        }
    }
}

/// The smaller of two limits.
fn least(one: Option<NonZeroU32>, other: Option<NonZeroU32>) -> Option<NonZeroU32> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_look_forgets_only_so_many_who_have_gone_that_it_keeps_up() {
        let mut inside = Inside::default();
        inside.gone_at.extend([0.0, 0.0, 0.0, 0.5, 0.5]);
        inside.forget_gone(1.0);
        assert_eq!(inside.gone_at, [0.0, 0.5, 0.5]);
        inside.forget_gone(1.0);
        assert_eq!(inside.gone_at, [0.5, 0.5]);
    }
}
