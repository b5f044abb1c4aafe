//! A small world for behaviour tests: virtual time, and a storage that fails on command.

#![allow(dead_code)]

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use session_locker::clock::Clock;
use session_locker::easy::{EasyStore, ProfileEvent, StoreEvent, StoreHooks};
use session_locker::locker::{Config, SpecOptions};
use session_locker::migration::Migrators;
use session_locker::save_data::SaveData;
use session_locker::storage::memory::MemoryStorage;
use session_locker::storage::{
    Operation, Reply, ReplySink, Request, RequestErrorKind, RequestId, Responder, Storage,
    StorageError,
};

/// When the world begins, in Unix seconds.
pub const WALL_START: f64 = 1_800_000_000.0;

/// Time that passes when told to.
pub struct VirtualClock(Mutex<f64>);

impl VirtualClock {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(0.0)))
    }

    pub fn advance(&self, seconds: f64) {
        *self.0.lock() += seconds;
    }

    pub fn now(&self) -> f64 {
        *self.0.lock()
    }
}

impl Clock for VirtualClock {
    fn wall(&self) -> f64 {
        WALL_START + self.now()
    }

    fn monotonic(&self) -> f64 {
        self.now()
    }

    fn sleep(&self, seconds: f64) {
        self.advance(seconds);
    }
}

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: it is carried out and answered.
    None,
    /// It is not carried out, and answered as failed.
    FailBefore,
    /// It is carried out, and answered as failed.
    FailAfter,
    /// It is carried out, and the answer is kept until [`FaultyStorage::answer_held`].
    HoldAnswer,
    /// It is kept, and carried out at [`FaultyStorage::carry_out_held`].
    HoldRequest,
}

/// An in-memory storage that fails on command.
pub struct FaultyStorage {
    inner: Arc<MemoryStorage>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    fetch_faults: VecDeque<Fault>,
    commit_faults: VecDeque<Fault>,
    held_answers: Vec<(Responder, Reply)>,
    held_requests: Vec<Request>,
    fetches: usize,
    commits: usize,
}

impl FaultyStorage {
    pub fn new() -> Arc<Self> {
        let inner = Arc::new(MemoryStorage::new());
        Arc::new(Self {
            inner,
            state: Mutex::default(),
        })
    }

    /// The storage beneath, which does not fail.
    pub fn inner(&self) -> Arc<dyn Storage> {
        Arc::clone(&self.inner) as Arc<dyn Storage>
    }

    /// What goes wrong with the next fetches, in order.
    pub fn on_fetch(&self, faults: &[Fault]) {
        self.state.lock().fetch_faults.extend(faults);
    }

    /// What goes wrong with the next commits, in order.
    pub fn on_commit(&self, faults: &[Fault]) {
        self.state.lock().commit_faults.extend(faults);
    }

    /// Forgets the faults that have not happened yet.
    pub fn heal(&self) {
        let mut state = self.state.lock();
        state.fetch_faults.clear();
        state.commit_faults.clear();
    }

    pub fn fetches(&self) -> usize {
        self.state.lock().fetches
    }

    pub fn commits(&self) -> usize {
        self.state.lock().commits
    }

    pub fn held(&self) -> usize {
        let state = self.state.lock();
        state.held_answers.len() + state.held_requests.len()
    }

    /// Gives the answers that were held back.
    pub fn answer_held(&self) {
        let held = std::mem::take(&mut self.state.lock().held_answers);
        for (responder, reply) in held {
            responder.answer_at(reply.result, reply.clock);
        }
    }

    /// Carries out, and answers, the requests that were held back.
    pub fn carry_out_held(&self) {
        let held = std::mem::take(&mut self.state.lock().held_requests);
        held.into_iter()
            .for_each(|request| self.inner.submit(request));
    }
}

/// Keeps the one reply of a request that is answered at once.
struct Kept(Mutex<Option<Reply>>);

impl ReplySink for Kept {
    fn deliver(&self, reply: Reply) {
        *self.0.lock() = Some(reply);
    }
}

/// Carries out one operation of a storage that answers at once.
pub fn ask(storage: &dyn Storage, operation: Operation) -> Reply {
    let kept = Arc::new(Kept(Mutex::new(None)));
    let responder = Responder::new(RequestId(1), Arc::clone(&kept) as Arc<dyn ReplySink>);
    storage.submit(Request {
        operation,
        responder,
    });
    kept.0
        .lock()
        .take()
        .expect("a storage that answers at once")
}

impl Storage for FaultyStorage {
    fn submit(&self, request: Request) {
        let mut state = self.state.lock();
        let fault = match &request.operation {
            Operation::Fetch { .. } => {
                state.fetches += 1;
                state.fetch_faults.pop_front()
            }
            Operation::Commit { .. } => {
                state.commits += 1;
                state.commit_faults.pop_front()
            }
            _ => None,
        };
        let failed = || {
            Err(StorageError::new(
                RequestErrorKind::Backend,
                "the test's storage is down",
            ))
        };
        match fault.unwrap_or(Fault::None) {
            Fault::None => {
                drop(state);
                self.inner.submit(request);
            }
            Fault::FailBefore => {
                drop(state);
                request.responder.answer(failed());
            }
            Fault::FailAfter => {
                drop(state);
                ask(&*self.inner, request.operation);
                request.responder.answer(failed());
            }
            Fault::HoldAnswer => {
                let reply = ask(&*self.inner, request.operation);
                state.held_answers.push((request.responder, reply));
            }
            Fault::HoldRequest => state.held_requests.push(request),
        }
    }
}

/// A store whose events are polled, on a storage and a clock that it may share with others.
pub struct Server {
    pub store: EasyStore,
    pub clock: Arc<VirtualClock>,
}

struct NoHooks;

impl StoreHooks for NoHooks {
    fn create(&self, _: &str) -> Result<SaveData, String> {
        Err("the test has a template".to_owned())
    }
}

pub fn options(clock: &Arc<VirtualClock>, seed: u64) -> SpecOptions {
    let template = SaveData::from_json(r#"{"Gold":0}"#, 1 << 20).expect("a template");
    SpecOptions {
        config: Config {
            job_id: format!("server-{seed}").into(),
            ..Config::default()
        },
        migrators: Migrators::default(),
        template: Some(template),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        seed,
        polls_events: true,
    }
}

impl Server {
    pub fn new(storage: &Arc<FaultyStorage>, clock: &Arc<VirtualClock>, seed: u64) -> Self {
        Self::with(storage, clock, options(clock, seed))
    }

    pub fn with(
        storage: &Arc<FaultyStorage>,
        clock: &Arc<VirtualClock>,
        options: SpecOptions,
    ) -> Self {
        let storage = Arc::clone(storage) as Arc<dyn Storage>;
        let store = EasyStore::new(storage, options, Box::new(NoHooks)).expect("a store");
        Self {
            store,
            clock: Arc::clone(clock),
        }
    }

    /// One update at the clock's time.
    pub fn update(&self) {
        self.store.update(self.clock.now()).expect("an update");
    }

    /// Lets time pass, with an update every second.
    pub fn run(&self, seconds: f64) {
        let end = self.clock.now() + seconds;
        while self.clock.now() < end {
            self.clock.advance(1.0);
            self.update();
        }
    }

    /// The events since the last look.
    pub fn events(&self) -> Vec<StoreEvent> {
        self.store.poll_events(usize::MAX)
    }

    /// The events since the last look, in words.
    pub fn heard(&self) -> Vec<String> {
        let name = |event: StoreEvent| match event.event {
            ProfileEvent::Lifecycle(status) => format!("{status:?}"),
            ProfileEvent::Lost(data) => format!("LostData({})", data.to_json().len()),
            ProfileEvent::LoadStatusChanged(status) => format!("status {status:?}"),
            ProfileEvent::Error(report) => format!("error {:?}", report.activity),
            ProfileEvent::ChangesSaved(_, outcome) => format!("changes {outcome:?}"),
        };
        self.events().into_iter().map(name).collect()
    }
}
