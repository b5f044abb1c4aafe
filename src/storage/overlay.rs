//! The read-only overlay: the seed's `ReadOnlyDataStores` and `DataStoreTestData`. Reads fall
//! through to a storage, writes stay in memory and are remembered (fault 12 of the original: its
//! test store forgets what was saved). It never writes to the storage below.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use super::records::Records;
use super::{
    Fetched, Operation, Outcome, Reply, ReplySink, Request, RequestId, RequestStats, Responder,
    Revision, Storage,
};

/// Tells the overlays of this process apart in their revisions.
static OVERLAYS: AtomicU64 = AtomicU64::new(0);

/// A storage that is read through and never written to.
///
/// A key that was written here is answered for here, at once and without a clock, and whatever
/// happens to it below is not seen any more. Every other key is asked for below.
///
/// With test data nothing is asked below: every key that was never written shows the test data
/// (lists still show only what was written).
pub struct ReadOnlyOverlay {
    inner: Arc<dyn Storage>,
    test_data: Option<Fetched>,
    local: Arc<Mutex<Records>>,
}

impl ReadOnlyOverlay {
    /// An overlay over `inner`, with the initial value of every key if that is not to come from
    /// `inner`. What is written is forgotten when the overlay is dropped.
    pub fn new(inner: Arc<dyn Storage>, test_data: Option<Bytes>) -> Self {
        let overlay = OVERLAYS.fetch_add(1, Ordering::Relaxed);
        // Never a revision of the storage below: a key has had some of those.
        let name_revision = move |number: u64| {
            let name = format!("overlay-{overlay}-{number}");
            Revision::from_bytes(name.as_bytes()).expect("two numbers are short")
        };
        let test_data = test_data.map(|bytes| Fetched::Present {
            bytes,
            revision: name_revision(0),
            user_ids: Arc::default(),
        });
        Self {
            inner,
            test_data,
            local: Arc::new(Mutex::new(Records::new(name_revision))),
        }
    }

    fn fetch(&self, key: Arc<str>, responder: Responder) {
        let known = self.local.lock().get(&key).cloned();
        match known.or_else(|| self.test_data.clone()) {
            Some(found) => responder.answer(Ok(Outcome::Fetched(found))),
            None => self.inner.submit(Request {
                operation: Operation::Fetch { key },
                responder,
            }),
        }
    }

    /// A commit or an erasure that depends on what is there.
    fn write(&self, key: Arc<str>, operation: Operation, responder: Responder) {
        let mut local = self.local.lock();
        if local.get(&key).is_none() {
            let Some(test_data) = &self.test_data else {
                drop(local);
                return self.write_after_fetch(key, operation, responder);
            };
            local.import(key, test_data.clone());
        }
        let outcome = local.apply(operation);
        drop(local);
        responder.answer(Ok(outcome));
    }

    fn write_after_fetch(&self, key: Arc<str>, operation: Operation, responder: Responder) {
        let fetch = Operation::Fetch {
            key: Arc::clone(&key),
        };
        let local = Arc::clone(&self.local);
        self.ask_below(fetch, responder, move |below| {
            let Outcome::Fetched(found) = below else {
                return below;
            };
            let mut local = local.lock();
            if local.get(&key).is_some() {
                return local.apply(operation);
            }
            local.import(Arc::clone(&key), found);
            let outcome = local.apply(operation);
            if outcome == Outcome::Conflict {
                local.forget(&key);
            }
            outcome
        });
    }

    /// The keys below that were not written here, and those written here that are there.
    fn list(&self, prefix: Box<str>, after: Option<Box<str>>, limit: usize, responder: Responder) {
        let local = self.local.lock();
        let (mut written, mut present) = (Vec::new(), Vec::new());
        for (key, is_present) in local.range(&prefix, after.as_deref()) {
            written.push(key.to_owned());
            if is_present {
                present.push(key.to_owned());
            }
        }
        drop(local);
        let below = Operation::List {
            prefix,
            after,
            // So many of the keys below may not count.
            limit: limit.saturating_add(written.len()),
        };
        self.merge_keys(below, responder, move |keys| {
            written.sort_unstable();
            keys.retain(|key| written.binary_search(key).is_err());
            keys.append(&mut present);
            keys.sort_unstable();
            keys.truncate(limit);
        });
    }

    fn keys_of_user(&self, user_id: Box<str>, responder: Responder) {
        let local = Arc::clone(&self.local);
        let operation = Operation::KeysOfUser { user_id };
        self.merge_keys(operation.clone(), responder, move |keys| {
            let mut local = local.lock();
            keys.retain(|key| local.get(key).is_none());
            if let Outcome::Keys(mut written) = local.apply(operation) {
                keys.append(&mut written);
            }
            keys.sort_unstable();
        });
    }

    /// Answers with the keys below as `merge` changes them; with test data nothing is below.
    fn merge_keys(
        &self,
        operation: Operation,
        responder: Responder,
        merge: impl FnOnce(&mut Vec<String>) + Send + 'static,
    ) {
        let merge = move |below| match below {
            Outcome::Keys(mut keys) => {
                merge(&mut keys);
                Outcome::Keys(keys)
            }
            other => other,
        };
        if self.test_data.is_some() {
            responder.answer(Ok(merge(Outcome::Keys(Vec::new()))));
        } else {
            self.ask_below(operation, responder, merge);
        }
    }

    /// Answers with what `finish` makes of the answer from below. A failure is passed on.
    fn ask_below(
        &self,
        operation: Operation,
        responder: Responder,
        finish: impl FnOnce(Outcome) -> Outcome + Send + 'static,
    ) {
        let waiting = Waiting {
            responder,
            finish: Box::new(finish),
        };
        let priority = waiting.responder.priority();
        let is_retry = waiting.responder.is_retry();
        let patience = waiting.responder.patience();
        let sink = Arc::new(FromBelow(Mutex::new(Some(waiting))));
        self.inner.submit(Request {
            operation,
            responder: Responder::new(RequestId(0), sink)
                .with_priority(priority)
                .with_retry(is_retry)
                .with_patience(patience),
        });
    }
}

impl Storage for ReadOnlyOverlay {
    fn submit(&self, request: Request) {
        let responder = request.responder;
        match request.operation {
            Operation::Fetch { key } => self.fetch(key, responder),
            Operation::List {
                prefix,
                after,
                limit,
            } => self.list(prefix, after, limit, responder),
            Operation::KeysOfUser { user_id } => self.keys_of_user(user_id, responder),
            operation @ Operation::Erase { expected: None, .. } => {
                let outcome = self.local.lock().apply(operation);
                responder.answer(Ok(outcome));
            }
            Operation::Commit { ref key, .. } | Operation::Erase { ref key, .. } => {
                self.write(Arc::clone(key), request.operation, responder);
            }
        }
    }

    fn tick(&self) -> bool {
        self.inner.tick()
    }

    fn most_in_flight(&self) -> Option<NonZeroU32> {
        self.inner.most_in_flight()
    }

    fn stats(&self) -> Option<RequestStats> {
        self.inner.stats()
    }
}

/// Where the storage below answers, once.
struct FromBelow(Mutex<Option<Waiting>>);

struct Waiting {
    responder: Responder,
    finish: Box<dyn FnOnce(Outcome) -> Outcome + Send>,
}

impl ReplySink for FromBelow {
    fn deliver(&self, reply: Reply) {
        if let Some(Waiting { responder, finish }) = self.0.lock().take() {
            responder.answer_at(reply.result.map(finish), reply.clock);
        }
    }
}
