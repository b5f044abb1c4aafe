//! A storage that fails on command, that others can write to, and that remembers every write.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};
use session_locker::clock::Clock;
use session_locker::storage::memory::MemoryStorage;
use session_locker::storage::{
    Expected, Fetched, Operation, Outcome, Priority, Reply, ReplySink, Request, RequestErrorKind,
    RequestId, Responder, Storage, StorageError,
};

use super::VirtualClock;

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: it is carried out and answered.
    None,
    /// It is not carried out, and answered as failed.
    FailBefore,
    /// It is carried out, and answered as failed.
    FailAfter,
    /// It is carried out, and the answer is kept until [`FaultyStorage::let_go`].
    HoldAnswer,
    /// It is kept, and carried out at [`FaultyStorage::let_go`].
    HoldRequest,
    /// It is not carried out, and answered with a conflict, true or not.
    Conflict,
    /// It is carried out, and answered with a conflict: an engine's mistake.
    ConflictAfter,
    /// Another writer is faster: the record is written anew as it is, then it is carried out.
    Overtaken,
}

/// An in-memory storage that fails on command, and that others can look into and write to.
pub struct FaultyStorage {
    inner: Arc<MemoryStorage>,
    clock: Arc<VirtualClock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    fetch_faults: VecDeque<Fault>,
    commit_faults: VecDeque<Fault>,
    held: Vec<Held>,
    fetches: usize,
    commits: usize,
    history: Vec<Written>,
    /// Absent keys whose tombstones nobody is told of any more.
    forgotten: HashSet<Arc<str>>,
    /// What goes wrong by chance, and how often, where nothing was commanded.
    chance: Option<(fastrand::Rng, f64)>,
}

impl State {
    fn by_chance(&mut self) -> Option<Fault> {
        use Fault::{FailAfter, FailBefore, HoldAnswer, HoldRequest};
        let (rng, share) = self.chance.as_mut()?;
        let faults = [FailBefore, FailAfter, HoldAnswer, HoldRequest];
        (rng.f64() < *share).then(|| faults[rng.usize(..faults.len())])
    }
}

enum Held {
    Answer(Responder, Reply),
    Request(Request),
}

/// A write that happened.
#[derive(Clone, Debug)]
pub struct Written {
    pub key: Arc<str>,
    /// None: the key was erased.
    pub after: Option<Bytes>,
    /// Written by a server, and not by the test.
    pub by_server: bool,
    /// When, in Unix seconds.
    pub at: f64,
}

impl FaultyStorage {
    pub fn new() -> Arc<Self> {
        Self::without_clock(&VirtualClock::new())
    }

    /// A storage that tells nobody its time, but notes in its history when it wrote.
    pub fn without_clock(clock: &Arc<VirtualClock>) -> Arc<Self> {
        Self::on(MemoryStorage::new(), clock)
    }

    /// A storage that has a clock of its own.
    pub fn with_clock(clock: &Arc<VirtualClock>) -> Arc<Self> {
        let told = Arc::clone(clock);
        let inner = MemoryStorage::with_clock(Arc::new(move || told.wall()));
        Self::on(inner, clock)
    }

    fn on(inner: MemoryStorage, clock: &Arc<VirtualClock>) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::new(inner),
            clock: Arc::clone(clock),
            state: Mutex::default(),
        })
    }

    /// By which it notes when it wrote.
    pub fn clock(&self) -> &Arc<VirtualClock> {
        &self.clock
    }

    /// What goes wrong with the next fetches, in order.
    pub fn on_fetch(&self, faults: &[Fault]) {
        self.state.lock().fetch_faults.extend(faults);
    }

    /// What goes wrong with the next commits, in order.
    pub fn on_commit(&self, faults: &[Fault]) {
        self.state.lock().commit_faults.extend(faults);
    }

    /// From now on this share of all requests goes wrong, in every way there is.
    pub fn misbehave(&self, seed: u64, share: f64) {
        self.state.lock().chance = Some((fastrand::Rng::with_seed(seed), share));
    }

    /// Forgets the faults that have not happened yet.
    pub fn heal(&self) {
        let mut state = self.state.lock();
        state.chance = None;
        state.fetch_faults.clear();
        state.commit_faults.clear();
    }

    pub fn fetches(&self) -> usize {
        self.state.lock().fetches
    }

    pub fn commits(&self) -> usize {
        self.state.lock().commits
    }

    /// How many requests and answers are held back.
    pub fn held(&self) -> usize {
        self.state.lock().held.len()
    }

    /// Carries out what was held back, and answers it, oldest first.
    pub fn let_go(&self) {
        while self.held() > 0 {
            self.let_go_of(0);
        }
    }

    /// Carries out, and answers, one of the things held back.
    pub fn let_go_of(&self, index: usize) {
        let held = self.state.lock().held.remove(index);
        let (responder, reply) = match held {
            Held::Answer(responder, reply) => (responder, reply),
            Held::Request(Request {
                operation,
                responder,
            }) => (responder, self.carry_out(operation, true)),
        };
        responder.answer_at(reply.result, reply.clock);
    }

    /// Every write so far, in order.
    pub fn history(&self) -> Vec<Written> {
        self.state.lock().history.clone()
    }

    fn carry_out(&self, mut operation: Operation, by_server: bool) -> Reply {
        let is_forgotten = match &operation {
            Operation::Fetch { key } | Operation::Commit { key, .. } => {
                self.state.lock().forgotten.contains(key)
            }
            _ => false,
        };
        if let Operation::Commit { key, expected, .. } = &mut operation
            && is_forgotten
        {
            *expected = match (&*expected, self.look(key)) {
                (Expected::Absent(None), Fetched::Absent { tombstone }) => {
                    Expected::Absent(tombstone)
                }
                // As it never was, for it has a tombstone.
                _ => Expected::Absent(None),
            };
        }
        let after = match &operation {
            Operation::Commit { key, bytes, .. } => Some((Arc::clone(key), Some(bytes.clone()))),
            Operation::Erase { key, .. } => Some((Arc::clone(key), None)),
            _ => None,
        };
        let mut reply = ask(&*self.inner, operation);
        if let Ok(Outcome::Fetched(Fetched::Absent { tombstone })) = &mut reply.result
            && is_forgotten
        {
            *tombstone = None;
        }
        let is_written = matches!(reply.result, Ok(Outcome::Committed(_) | Outcome::Erased(_)));
        if let Some((key, after)) = after.filter(|_| is_written) {
            let mut state = self.state.lock();
            state.forgotten.remove(&key);
            state.history.push(Written {
                key,
                after,
                by_server,
                at: self.clock.wall(),
            });
        }
        reply
    }
}

/// What other writers do, past all faults.
impl FaultyStorage {
    fn look(&self, key: &str) -> Fetched {
        let key = Arc::from(key);
        match ask(&*self.inner, Operation::Fetch { key }).result {
            Ok(Outcome::Fetched(fetched)) => fetched,
            other => panic!("a fetch was answered with {other:?}"),
        }
    }

    /// The stored text, if there is a record.
    pub fn stored(&self, key: &str) -> Option<String> {
        match self.look(key) {
            Fetched::Present { bytes, .. } => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Fetched::Absent { .. } => None,
        }
    }

    /// The stored document; null without a record, or if it is not JSON.
    pub fn document(&self, key: &str) -> Value {
        let stored = self.stored(key).unwrap_or_default();
        serde_json::from_str(&stored).unwrap_or(Value::Null)
    }

    /// Whom the record belongs to.
    pub fn user_ids(&self, key: &str) -> Vec<String> {
        match self.look(key) {
            Fetched::Present { user_ids, .. } => user_ids.iter().map(|id| id.to_string()).collect(),
            Fetched::Absent { .. } => Vec::new(),
        }
    }

    /// Writes a record, whatever is there.
    pub fn put(&self, key: &str, text: impl AsRef<str>) {
        let expected = match self.look(key) {
            Fetched::Present { revision, .. } => Expected::Present(revision),
            Fetched::Absent { tombstone } => Expected::Absent(tombstone),
        };
        let commit = Operation::Commit {
            key: key.into(),
            expected,
            bytes: Bytes::copy_from_slice(text.as_ref().as_bytes()),
            user_ids: Arc::new([]),
        };
        self.carry_out(commit, false);
    }

    /// Writes a record as another writer who has just read it.
    pub fn edit(&self, key: &str, edit: impl FnOnce(&mut Value)) {
        let mut document = self.document(key);
        edit(&mut document);
        self.put(key, document.to_string());
    }

    pub fn erase(&self, key: &str) {
        let (key, expected) = (key.into(), None);
        self.carry_out(Operation::Erase { key, expected }, false);
    }

    /// Forgets that a key was erased, as storages do after days.
    pub fn forget_tombstone(&self, key: &str) {
        self.state.lock().forgotten.insert(key.into());
    }

    /// Writes a record that another server owns, stamped at this Unix time.
    pub fn put_locked(&self, key: &str, gold: i64, updated_at: f64) {
        self.put(key, locked(gold, 77, updated_at));
    }
}

/// A document owned by the session of another server.
pub fn locked(gold: i64, lock_id: u64, updated_at: f64) -> String {
    json!({
        "Version": 1, "VersionPatch": 0, "Gold": gold,
        "Session": {
            "PlaceId": 0, "JobId": "elsewhere", "LockId": lock_id, "UpdatedAt": updated_at,
            "Expiry": 1800.0,
        },
        "Saves": [[lock_id, 3]],
    })
    .to_string()
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
        let (priority, patience) = (request.responder.priority(), request.responder.patience());
        let has_an_end = patience.is_finite();
        assert!(
            has_an_end || priority == Priority::Other,
            "a session's request would wait in line when nobody waits for it any more"
        );
        let fault = {
            let mut state = self.state.lock();
            let commanded = match &request.operation {
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
            commanded.or_else(|| state.by_chance())
        };
        let down = "the test's storage is down";
        let failed = Err(StorageError::new(RequestErrorKind::Backend, down));
        let Request {
            operation,
            responder,
        } = request;
        match fault.unwrap_or(Fault::None) {
            Fault::None => {
                let reply = self.carry_out(operation, true);
                responder.answer_at(reply.result, reply.clock);
            }
            Fault::FailBefore => responder.answer(failed),
            Fault::ConflictAfter => {
                self.carry_out(operation, true);
                responder.answer(Ok(Outcome::Conflict));
            }
            Fault::Overtaken => {
                if let Operation::Commit { key, .. } = &operation {
                    self.edit(key, |_| ());
                }
                let reply = self.carry_out(operation, true);
                responder.answer_at(reply.result, reply.clock);
            }
            Fault::Conflict => responder.answer(Ok(Outcome::Conflict)),
            Fault::FailAfter => {
                self.carry_out(operation, true);
                responder.answer(failed);
            }
            Fault::HoldAnswer => {
                let reply = self.carry_out(operation, true);
                self.state.lock().held.push(Held::Answer(responder, reply));
            }
            Fault::HoldRequest => {
                let request = Request {
                    operation,
                    responder,
                };
                self.state.lock().held.push(Held::Request(request));
            }
        }
    }
}
