//! What tests of storages share: asking and waiting for the answer.

// Every test file uses its own part of this.
#![allow(dead_code)]

pub mod c_host;
pub mod certificates;
pub mod host_style;
pub mod known;
pub mod ports;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod proxy;
#[cfg(feature = "redis")]
pub mod redis;
pub mod storage_behaviour;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use session_locker::storage::{
    Expected, Fetched, Operation, Outcome, Reply, ReplySink, Request, RequestId, Responder,
    Revision, Storage, StorageError,
};
use tempfile::TempDir;

/// No answer takes this long, on however slow a machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Replies as a channel.
pub struct Replies(pub Sender<Reply>);

impl ReplySink for Replies {
    fn deliver(&self, reply: Reply) {
        // A test that has seen enough may have stopped listening.
        let _ = self.0.send(reply);
    }
}

/// Something that takes no reply: it panics, as only a mistake of ours would.
pub struct Panics;

impl ReplySink for Panics {
    fn deliver(&self, reply: Reply) {
        panic!("as the test wants it: {reply:?}");
    }
}

/// A storage, and the directory it lives in.
pub struct Opened {
    pub storage: Arc<dyn Storage>,
    pub directory: Option<TempDir>,
}

/// Somebody who asks a storage and waits for the answer.
#[derive(Clone)]
pub struct Asker {
    pub storage: Arc<dyn Storage>,
}

impl Asker {
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage }
    }

    /// Submits without waiting.
    pub fn submit(&self, operation: Operation) -> Receiver<Reply> {
        let (sender, replies) = channel();
        self.submit_to(1, operation, &Arc::new(Replies(sender)));
        replies
    }

    /// Submits request `id` with its replies going to `sink`.
    pub fn submit_to(&self, id: u64, operation: Operation, sink: &Arc<Replies>) {
        let sink: Arc<dyn ReplySink> = Arc::<Replies>::clone(sink);
        let responder = Responder::new(RequestId(id), sink);
        self.storage.submit(Request {
            operation,
            responder,
        });
    }

    /// Submits a request whose answer makes the engine panic.
    pub fn submit_to_panic(&self, operation: Operation) {
        let responder = Responder::new(RequestId(0), Arc::new(Panics));
        self.storage.submit(Request {
            operation,
            responder,
        });
    }

    /// Submits all of these at once; the replies have the places of their requests as ids.
    pub fn submit_all(&self, operations: impl IntoIterator<Item = Operation>) -> Receiver<Reply> {
        let (sender, replies) = channel();
        let sink = Arc::new(Replies(sender));
        for (id, operation) in operations.into_iter().enumerate() {
            self.submit_to(id as u64, operation, &sink);
        }
        replies
    }

    /// Submits all of these at once and waits for all replies, which come in the order of the requests.
    pub fn ask_all(&self, operations: impl IntoIterator<Item = Operation>) -> Vec<Reply> {
        all_replies(&self.submit_all(operations))
    }

    pub fn reply(&self, operation: Operation) -> Reply {
        let reply = self.submit(operation).recv_timeout(PATIENCE);
        reply.expect("every request is answered")
    }

    pub fn try_ask(&self, operation: Operation) -> Result<Outcome, StorageError> {
        self.reply(operation).result
    }

    pub fn ask(&self, operation: Operation) -> Outcome {
        self.try_ask(operation).expect("the storage works")
    }

    pub fn fetch(&self, key: &str) -> Fetched {
        match self.ask(fetch(key)) {
            Outcome::Fetched(fetched) => fetched,
            other => panic!("a fetch was answered with {other:?}"),
        }
    }

    /// What the key is expected to be, as it is now.
    pub fn expected(&self, key: &str) -> Expected {
        match self.fetch(key) {
            Fetched::Present { revision, .. } => Expected::Present(revision),
            Fetched::Absent { tombstone } => Expected::Absent(tombstone),
        }
    }

    /// Commits without user ids; the new revision, or `None` for a conflict.
    pub fn commit(&self, key: &str, expected: Expected, bytes: &[u8]) -> Option<Revision> {
        self.commit_for(key, expected, bytes, &[])
    }

    pub fn commit_for(
        &self,
        key: &str,
        expected: Expected,
        bytes: &[u8],
        user_ids: &[&str],
    ) -> Option<Revision> {
        match self.ask(commit(key, expected, bytes, user_ids)) {
            Outcome::Committed(revision) => Some(revision),
            Outcome::Conflict => None,
            other => panic!("a commit was answered with {other:?}"),
        }
    }

    /// Writes whatever is there now.
    pub fn put(&self, key: &str, bytes: &[u8]) -> Revision {
        self.put_for(key, bytes, &[])
    }

    pub fn put_for(&self, key: &str, bytes: &[u8], user_ids: &[&str]) -> Revision {
        let expected = self.expected(key);
        let revision = self.commit_for(key, expected, bytes, user_ids);
        revision.expect("nobody else writes this key")
    }

    /// The revision of the tombstone, or `None` for a conflict.
    pub fn erase(&self, key: &str, expected: Option<Expected>) -> Option<Revision> {
        match self.ask(erase(key, expected)) {
            Outcome::Erased(revision) => Some(revision),
            Outcome::Conflict => None,
            other => panic!("an erasure was answered with {other:?}"),
        }
    }

    pub fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
        let (prefix, after) = (prefix.into(), after.map(Into::into));
        self.keys(Operation::List {
            prefix,
            after,
            limit,
        })
    }

    pub fn keys_of_user(&self, user_id: &str) -> Vec<String> {
        let user_id = user_id.into();
        self.keys(Operation::KeysOfUser { user_id })
    }

    fn keys(&self, operation: Operation) -> Vec<String> {
        match self.ask(operation) {
            Outcome::Keys(keys) => keys,
            other => panic!("a list was answered with {other:?}"),
        }
    }
}

/// Every reply to [`Asker::submit_all`], in the order of the requests.
pub fn all_replies(replies: &Receiver<Reply>) -> Vec<Reply> {
    let mut by_place = HashMap::new();
    loop {
        // The channel ends when every request has been answered.
        match replies.recv_timeout(PATIENCE * 2) {
            Ok(reply) => {
                let other = by_place.insert(reply.id.0, reply);
                assert!(other.is_none(), "answered twice: {other:?}");
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => panic!("every request is answered"),
        }
    }
    let count = by_place.len() as u64;
    let reply = |place| by_place.remove(&place).expect("every request is answered");
    (0..count).map(reply).collect()
}

/// Asks until the answer is as wanted, and gives up after a long time.
pub fn until<T>(ask: impl FnMut() -> Option<T>) -> T {
    until_or(PATIENCE * 2, ask).unwrap_or_else(|| panic!("it never came true"))
}

/// The same, for what may have to be begun anew after some time.
pub fn until_or<T>(patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        // It leaves the processor to whom it waits for; how long this is does not matter.
        thread::park_timeout(Duration::from_millis(5));
    }
}

pub fn fetch(key: &str) -> Operation {
    Operation::Fetch { key: key.into() }
}

pub fn commit(key: &str, expected: Expected, bytes: &[u8], user_ids: &[&str]) -> Operation {
    Operation::Commit {
        key: key.into(),
        expected,
        bytes: Bytes::copy_from_slice(bytes),
        user_ids: user_ids.iter().map(|&id| id.into()).collect(),
    }
}

pub fn erase(key: &str, expected: Option<Expected>) -> Operation {
    Operation::Erase {
        key: key.into(),
        expected,
    }
}

pub fn present(bytes: &[u8], revision: &Revision, user_ids: &[&str]) -> Fetched {
    Fetched::Present {
        bytes: Bytes::copy_from_slice(bytes),
        revision: revision.clone(),
        user_ids: user_ids.iter().map(|&id| id.into()).collect(),
    }
}

pub fn absent(tombstone: Option<&Revision>) -> Fetched {
    let tombstone = tombstone.cloned();
    Fetched::Absent { tombstone }
}

pub const NEVER_WRITTEN: Expected = Expected::Absent(None);
