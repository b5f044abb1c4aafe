//! The `memory:` engine: records in this process's memory, for tests, tools and games that keep
//! nothing. It answers at once inside [`Storage::submit`], shares the bytes it is given instead of
//! copying them, and never starts a thread or touches a file. "Durable" means for as long as the
//! storage lives, and so do its tombstones.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;

use super::records::Records;
use super::{Request, Revision, Storage};

/// Tells the storage's time, in Unix seconds.
pub type Clock = Arc<dyn Fn() -> f64 + Send + Sync>;

/// The storages opened by name, while somebody holds them.
static NAMED: LazyLock<Mutex<HashMap<String, Weak<MemoryStorage>>>> = LazyLock::new(Mutex::default);

/// A storage in memory.
pub struct MemoryStorage {
    records: Mutex<Records>,
    clock: Option<Clock>,
}

impl MemoryStorage {
    /// An empty storage that nobody else can reach, and that reports no clock.
    pub fn new() -> Self {
        Self::with_optional_clock(None)
    }

    /// An empty storage whose replies carry the time told by `clock`.
    pub fn with_clock(clock: Clock) -> Self {
        Self::with_optional_clock(Some(clock))
    }

    /// The storage of this name: the same one for everybody in this process who asks while
    /// somebody still holds it, afterwards a new and empty one. It reports no clock.
    pub fn named(name: &str) -> Arc<Self> {
        let mut named = NAMED.lock();
        if let Some(storage) = named.get(name).and_then(Weak::upgrade) {
            return storage;
        }
        named.retain(|_, storage| storage.strong_count() > 0);
        let storage = Arc::new(Self::new());
        named.insert(name.to_owned(), Arc::downgrade(&storage));
        storage
    }

    fn with_optional_clock(clock: Option<Clock>) -> Self {
        let records = Mutex::new(Records::new(Revision::from_u64));
        Self { records, clock }
    }
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self::new()
    }
}

impl Storage for MemoryStorage {
    fn submit(&self, request: Request) {
        let outcome = self.records.lock().apply(request.operation);
        let clock = self.clock.as_ref().map(|clock| clock());
        request.responder.answer_at(Ok(outcome), clock);
    }
}
