//! The storage contract: a compare-and-swap key-value store, asked and answered asynchronously.
//!
//! A storage maps a key to bytes, an opaque [`Revision`] and the ids of the users the record
//! belongs to. Whoever needs something submits a [`Request`]; the engine answers it exactly once,
//! from any thread, at any time, or at once inside [`Storage::submit`], through the request's
//! [`Responder`]. An engine never blocks the thread that submits and never calls into the host.
//!
//! What an engine promises:
//!
//! - **A revision is never used twice for a key**, across erasure too, so a commit that arrives
//!   late can never land on a later life of the key.
//! - [`Outcome::Committed`], [`Outcome::Conflict`] and [`Fetched::Absent`] are facts. Everything
//!   else is unknown: *a failed commit may have been written, or may still be written later.* An
//!   engine never repeats a commit whose fate it does not know.
//! - A fetch sees every commit that was acknowledged before the fetch was submitted.
//! - Acknowledged means durable, by the engine's strictest ordinary setting.

#![forbid(unsafe_code)]

#[cfg(any(feature = "postgres", feature = "redis"))]
mod admission;
pub mod budget;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod engine_thread;
mod line;
pub mod memory;
mod meter;
mod open;
pub mod overlay;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod pauses;
mod places;
#[cfg(feature = "postgres")]
pub mod postgres;
mod records;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod server_tls;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod server_url;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod stats;
#[cfg(all(loom, test))]
mod under_loom;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod warnings;

pub use meter::MonotonicClock;
pub use open::{OpenError, open};
pub(crate) use stats::Answer;
pub use stats::{ByPriority, LATENCY_BUCKETS, LATENCY_FIRST_US, RequestStats};

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::sync::{AtomicBool, Mutex};
use meter::Ticket;

/// The longest key, in bytes of UTF-8. The shortest is one byte.
pub const MAX_KEY_BYTES: usize = 512;
/// The longest revision, in bytes.
pub const MAX_REVISION_BYTES: usize = 64;
/// The longest user id, in bytes of UTF-8. The shortest is one byte.
pub const MAX_USER_ID_BYTES: usize = 128;
/// The most user ids that one record may carry.
pub const MAX_USER_IDS: usize = 64;

/// The storage's opaque version of one key: compared for equality, never interpreted.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Revision(Repr);

/// Engines that count keep eight bytes; others keep what their backend calls a version.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Number(u64),
    Bytes(Arc<[u8]>),
}

impl Revision {
    /// The revision of an engine that counts.
    pub const fn from_u64(number: u64) -> Self {
        Self(Repr::Number(number))
    }

    /// The revision of a backend that names its versions (an ETag, say): 1 to
    /// [`MAX_REVISION_BYTES`] bytes; `None` for any other length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let fits = (1..=MAX_REVISION_BYTES).contains(&bytes.len());
        fits.then(|| Self(Repr::Bytes(bytes.into())))
    }

    /// The number given to [`Revision::from_u64`].
    pub fn as_u64(&self) -> Option<u64> {
        match &self.0 {
            Repr::Number(number) => Some(*number),
            Repr::Bytes(_) => None,
        }
    }

    /// The bytes given to [`Revision::from_bytes`].
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Repr::Number(_) => None,
            Repr::Bytes(bytes) => Some(bytes),
        }
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Number(number) => write!(f, "Revision({number})"),
            Repr::Bytes(bytes) => write!(f, "Revision({})", bytes.escape_ascii()),
        }
    }
}

/// What a key's revision must be for a commit to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The record is there, at this revision.
    Present(Revision),
    /// The record is not there; the revision is that of its erasure, as the fetch reported it.
    Absent(Option<Revision>),
}

/// What a storage is asked to do with one key (or, for tools, with many).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reads a record. Answered by [`Outcome::Fetched`].
    Fetch {
        /// The record's key.
        key: Arc<str>,
    },
    /// Writes a record if its revision is still `expected`. Answered by [`Outcome::Committed`] or
    /// [`Outcome::Conflict`].
    Commit {
        /// The record's key.
        key: Arc<str>,
        /// What must still be true for the write to happen.
        expected: Expected,
        /// The whole new value.
        bytes: Bytes,
        /// The users the record belongs to, replacing those stored before.
        user_ids: Arc<[Box<str>]>,
    },
    /// Removes bytes and user ids, and leaves a tombstone (a revision alone) for at least 24
    /// hours. Erasing what is absent gives it a new tombstone. Answered by [`Outcome::Erased`] or
    /// [`Outcome::Conflict`].
    Erase {
        /// The record's key.
        key: Arc<str>,
        /// What must still be true; `None` erases whatever is there.
        expected: Option<Expected>,
    },
    /// The keys that start with `prefix`, in byte order, from the first one after `after`.
    /// Erased keys are not among them. Answered by [`Outcome::Keys`].
    List {
        /// What every listed key starts with; empty for all.
        prefix: Box<str>,
        /// The last key of the page before; `None` for the first page.
        after: Option<Box<str>>,
        /// The most keys to answer with, at least 1.
        limit: usize,
    },
    /// The keys of the records that carry this user id, in byte order: for erasure requests.
    /// Answered by [`Outcome::Keys`].
    KeysOfUser {
        /// The user id, compared byte for byte.
        user_id: Box<str>,
    },
}

/// What a fetch found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The record.
    Present {
        /// Its value.
        bytes: Bytes,
        /// Its revision.
        revision: Revision,
        /// The users it belongs to.
        user_ids: Arc<[Box<str>]>,
    },
    /// There is no record.
    Absent {
        /// The revision of the erasure, if the engine still knows of one.
        tombstone: Option<Revision>,
    },
}

/// A fact about the storage. What is not a fact is a [`StorageError`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A fetch was answered.
    Fetched(Fetched),
    /// A commit was written and is durable; the key is now at this revision.
    Committed(Revision),
    /// An erasure is durable; this is the tombstone's revision.
    Erased(Revision),
    /// The key is not at the expected revision; this request has written nothing and never will.
    Conflict,
    /// A list was answered.
    Keys(Vec<String>),
}

/// Whose fault a failure is, and whether trying again helps: the seed's `RequestErrorKind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestErrorKind {
    /// Our own code or configuration; trying again does not help.
    Script,
    /// Unknown or perhaps temporary.
    Misc,
    /// The backend: its limits, its network, its outages. Try again.
    Backend,
}

impl RequestErrorKind {
    /// The seed's `GetRequestErrorKind`: whose fault a failed request is, by the number and colon with
    /// which messages of its platform begin. A message that begins otherwise, or with a number that is
    /// not known, is `Misc`.
    pub fn of_message(message: &str) -> Self {
        let code = match message.split_once(':') {
            Some((code, _)) if code.bytes().all(|byte| byte.is_ascii_digit()) => code,
            _ => return Self::Misc,
        };
        match code {
            "403" | "511" | "512" | "513" | "514" => Self::Script,
            "502" => Self::Backend,
            _ if code.starts_with('1') => Self::Script,
            _ if code.starts_with('3') => Self::Backend,
            _ => Self::Misc,
        }
    }
}

/// A request that failed. A commit or an erasure that failed **may have been written, or may
/// still be written later**.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StorageError {
    /// Whose fault it is.
    pub kind: RequestErrorKind,
    /// What happened, for a person.
    pub message: String,
}

impl StorageError {
    /// A failure of the given kind.
    pub fn new(kind: RequestErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind, message }
    }
}

/// The number by which an asker knows its request again; unique within the asker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// The one answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Which request it answers.
    pub id: RequestId,
    /// What came of it.
    pub result: Result<Outcome, StorageError>,
    /// The storage's own clock when it acted, in Unix seconds, if it has one.
    pub clock: Option<f64>,
}

/// Where replies go.
pub trait ReplySink: Send + Sync {
    /// Takes a reply. Called from any thread, also from inside [`Storage::submit`]; must not
    /// block, panic, or call back into the storage.
    fn deliver(&self, reply: Reply);
}

/// Who goes first where a [`budget`] cannot let all requests through at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// What a session does to keep what it holds: it has a lease to keep. An acquire's own commit too,
    /// which ends a load.
    Save,
    /// Loading what is not held yet.
    Load,
    /// All else: remote changes on their way, and tools.
    #[default]
    Other,
}

impl Priority {
    /// All of them, the first one first.
    pub const ALL: [Self; 3] = [Self::Save, Self::Load, Self::Other];
}

/// The right, and the duty, to answer one request once. Dropped unanswered, it answers that the
/// request failed.
pub struct Responder {
    id: RequestId,
    sink: Option<Arc<dyn ReplySink>>,
    priority: Priority,
    is_retry: bool,
    /// Seconds; infinite for an asker that waits without an end.
    patience: f64,
    /// Of who counts the answer.
    ticket: Option<Ticket>,
}

impl Responder {
    /// The right to answer request `id` into `sink`. Its asker waits with the priority
    /// [`Priority::Other`], for the first time, and for as long as it takes.
    pub fn new(id: RequestId, sink: Arc<dyn ReplySink>) -> Self {
        Self {
            id,
            sink: Some(sink),
            priority: Priority::default(),
            is_retry: false,
            patience: f64::INFINITY,
            ticket: None,
        }
    }

    /// The same, for an asker whose request goes before or behind others.
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// The same, for an asker that asks because its request before has come to nothing, if that is so.
    pub fn with_retry(mut self, is_retry: bool) -> Self {
        self.is_retry = is_retry;
        self
    }

    /// The same, for an asker that lets its request wait for so many seconds at most before the engine is
    /// asked. One that has waited longer where a [`budget`] cannot let all requests through is answered as
    /// failed, and is never done: so who asks gives less than it waits for the answer.
    pub fn with_patience(mut self, seconds: f64) -> Self {
        self.patience = seconds;
        self
    }

    /// Whom the request goes before.
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// Whether the request is made because one before has come to nothing.
    pub fn is_retry(&self) -> bool {
        self.is_retry
    }

    /// For how many seconds the request may wait before the engine is asked; infinite without an end.
    pub fn patience(&self) -> f64 {
        self.patience
    }

    /// The same, with the answer counted.
    fn with_ticket(mut self, ticket: Ticket) -> Self {
        self.ticket = Some(ticket.inside(self.ticket.take()));
        self
    }

    /// Answers without a storage clock.
    pub fn answer(self, result: Result<Outcome, StorageError>) {
        self.answer_at(result, None);
    }

    /// Answers, with the storage's own clock in Unix seconds if it has one.
    pub fn answer_at(mut self, result: Result<Outcome, StorageError>, clock: Option<f64>) {
        self.deliver(result, clock);
    }

    fn deliver(&mut self, result: Result<Outcome, StorageError>, clock: Option<f64>) {
        if let Some(sink) = self.sink.take() {
            // First, so that whoever has the answer finds it counted.
            if let Some(ticket) = self.ticket.take() {
                ticket.count(&result);
            }
            let id = self.id;
            sink.deliver(Reply { id, result, clock });
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        let message = "the storage engine gave up the request without an answer";
        let error = StorageError::new(RequestErrorKind::Misc, message);
        self.deliver(Err(error), None);
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Responder").field(&self.id).finish()
    }
}

/// Something asked of a storage, and the right to answer it.
#[derive(Debug)]
pub struct Request {
    /// What is asked.
    pub operation: Operation,
    /// Where the answer goes.
    pub responder: Responder,
}

/// A storage engine. See the module's page for what every engine promises.
pub trait Storage: Send + Sync {
    /// Takes a request. Never blocks; the answer comes through the request's [`Responder`], once,
    /// from any thread, perhaps before this returns. Keys, user ids and limits have been checked
    /// by the asker.
    fn submit(&self, request: Request);

    /// Takes several, as [`submit`](Self::submit) would one after the other; an engine that wakes a thread may
    /// do that once. A frame's requests come so.
    fn submit_all(&self, requests: Vec<Request>) {
        for request in requests {
            self.submit(request);
        }
    }

    /// Lets go on what waits for its time. Whoever has asked for something calls it from time to time
    /// until it is answered, on a thread on which it might have asked too. True while something waits.
    fn tick(&self) -> bool {
        false
    }

    /// How many requests an asker should have under way at most: with more they wait for each other.
    fn most_in_flight(&self) -> Option<NonZeroU32> {
        None
    }

    /// What was asked of it and how it has answered, if it counts that, as one with a [`budget`] does.
    fn stats(&self) -> Option<RequestStats> {
        None
    }
}

/// The replies that wait for the next update: filled from any thread, emptied by one.
#[derive(Default)]
pub struct Mailbox {
    /// Says "perhaps something" without taking the lock; an idle frame reads nothing else.
    filled: AtomicBool,
    replies: Mutex<Vec<Reply>>,
}

impl Mailbox {
    /// An empty mailbox.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Moves every waiting reply to the end of `into`, oldest first; one atomic read when there
    /// is none. False where a thread is just bringing one, and may have lost its processor: they wait
    /// for the next look.
    pub fn take_into(&self, into: &mut std::collections::VecDeque<Reply>) -> bool {
        if !self.filled.load(Ordering::Acquire) {
            return true;
        }
        let Some(mut replies) = self.replies.try_lock() else {
            return false;
        };
        self.filled.store(false, Ordering::Release);
        into.extend(replies.drain(..));
        true
    }
}

impl ReplySink for Mailbox {
    fn deliver(&self, reply: Reply) {
        let mut replies = self.replies.lock();
        replies.push(reply);
        self.filled.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_into_a_mailbox_that_is_being_filled_waits_for_nobody_and_says_so() {
        let mailbox = Mailbox::new();
        let mut taken = std::collections::VecDeque::new();
        assert!(mailbox.take_into(&mut taken), "there is nothing");
        mailbox.deliver(Reply {
            id: RequestId(1),
            result: Ok(Outcome::Conflict),
            clock: None,
        });
        let being_filled = mailbox.replies.lock();
        assert!(!mailbox.take_into(&mut taken) && taken.is_empty());
        drop(being_filled);
        assert!(mailbox.take_into(&mut taken) && taken.len() == 1);
    }

    #[test]
    fn the_kind_of_an_error_follows_the_number_it_begins_with() {
        use RequestErrorKind::{Backend, Misc, Script};
        let kinds = [
            ("101: key is empty", Script),
            ("1:", Script),
            ("301: throttled", Backend),
            ("31234: more", Backend),
            ("401: no", Misc),
            ("403: not in a group", Script),
            ("4030: no", Misc),
            ("501: cannot parse", Misc),
            ("502: no answer", Backend),
            ("503: no", Misc),
            ("511: bad revision", Script),
            ("514: too large", Script),
            ("515: no", Misc),
            ("599: no", Misc),
            ("601: no", Misc),
            ("", Misc),
            (":", Misc),
            ("1", Misc),
            ("10a: no", Misc),
            (" 101: no", Misc),
            ("١: no", Misc),
            ("disk is full", Misc),
        ];
        for (message, kind) in kinds {
            assert_eq!(RequestErrorKind::of_message(message), kind, "{message}");
        }
    }
}
