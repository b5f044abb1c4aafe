//! Storages that the host brings: its callbacks behind the library's storage contract.

use std::ffi::{c_char, c_void};
use std::num::NonZeroU32;
use std::sync::Arc;

use super::boundary::boundary;
use super::callback::{SlDrop, UserData};
use super::config::{self, Versioned};
use super::error::{FfiError, FfiResult, run_hook};
use super::handle;
use super::status::*;
use super::storage::SlStorage;
use super::storage_request::{self, Asked, OpenRequests, SlStorageRequest};
use super::text::{SlText, lend_text};
use crate::storage::budget::{Budget, Limits, MAX_LIMIT};
use crate::storage::{Expected, Operation, Outcome, Request, Revision, Storage};

/// What must be true of a key: its record is there, at the given revision.
pub const SL_EXPECTED_PRESENT: i32 = 0;
/// What must be true of a key: there is no record. The given revision is that of its erasure, or
/// empty if the fetch reported none.
pub const SL_EXPECTED_ABSENT: i32 = 1;
/// What must be true of a key: nothing. Only an erasure says this.
pub const SL_EXPECTED_ANY: i32 = 2;

/// What a storage of the host's own is asked to write. All of it is lent: it lives until the
/// callback returns. The texts are not NUL-terminated.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SlStorageCommit {
    /// Bytes of this struct, as the library knows it.
    pub struct_size: u32,
    /// SL_EXPECTED_PRESENT or SL_EXPECTED_ABSENT.
    pub expected: i32,
    /// The record's key: 1 to 512 bytes of UTF-8.
    pub key: SlText,
    /// The expected revision, as the host has given it: 1 to 64 bytes, or none.
    pub revision: SlText,
    /// The whole new value: UTF-8 JSON.
    pub bytes: SlText,
    /// The ids of the users the record belongs to, in place of those stored before.
    pub user_ids: *const SlText,
    /// How many they are: up to 64.
    pub user_id_count: usize,
}

/// What a storage of the host's own does. Begin with `locker_storage_callbacks_init`, then set the
/// functions.
///
/// The storage maps a key to bytes, a revision and user ids. It promises:
///
/// - **A revision is never used twice for a key**, across erasure too, so that a late commit can
///   never land on a later life of the key.
/// - *Committed*, *conflict* and *absent* are facts. Whatever is not certain is answered with
///   `storage_request_failed`: a failed commit may have been written, or may still be. The storage
///   itself never repeats a commit whose fate it does not know.
/// - A fetch sees every commit that was answered before the fetch was asked.
/// - Committed means durable.
/// - Every request is answered once: inside the callback or later, from any thread. One that never
///   is keeps a locker waiting until its request timeout, and then counts as failed; its place among
///   `requests_in_flight` is kept for 120 seconds.
///
/// The callbacks run on the thread that called in, with no lock of the library held, and may be
/// called from several threads at once if the host uses the storage from several. They must not
/// block. `user_data` comes first; then the request's handle, which may be kept for later, and what
/// is asked, which is lent until the callback returns and is not NUL-terminated. A callback returns
/// SL_OK when the request is answered or will be; any other status answers it as failed, with the
/// message of `session_locker_set_hook_error`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SlStorageCallbacks {
    /// `sizeof(SlStorageCallbacks)`.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Reads a record: `storage_request_fetched` or `storage_request_absent`. Needed.
    pub fetch: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            request: *mut SlStorageRequest,
            key: *const c_char,
            key_length: usize,
        ) -> SlStatus,
    >,
    /// Writes a record if the key is as expected: `storage_request_committed` or
    /// `storage_request_conflict`. Needed.
    pub commit: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            request: *mut SlStorageRequest,
            commit: *const SlStorageCommit,
        ) -> SlStatus,
    >,
    /// Removes a record if the key is as `expected` (an SL_EXPECTED_ constant, with the revision),
    /// and remembers the revision of the erasure for at least 24 hours: `storage_request_erased` or
    /// `storage_request_conflict`. Erasing what is absent makes a new revision too. Needed.
    pub erase: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            request: *mut SlStorageRequest,
            key: *const c_char,
            key_length: usize,
            expected: i32,
            revision: *const c_char,
            revision_length: usize,
        ) -> SlStatus,
    >,
    /// Lists up to `limit` keys that begin with `prefix`, in byte order, behind `after` unless that
    /// is empty: `storage_request_keys`. May be NULL.
    pub list: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            request: *mut SlStorageRequest,
            prefix: *const c_char,
            prefix_length: usize,
            after: *const c_char,
            after_length: usize,
            limit: usize,
        ) -> SlStatus,
    >,
    /// Lists the keys of the records that carry a user id, in byte order: `storage_request_keys`.
    /// May be NULL.
    pub keys_of_user: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            request: *mut SlStorageRequest,
            user_id: *const c_char,
            user_id_length: usize,
        ) -> SlStatus,
    >,
    /// Called once, when the storage's handle and all that was created with it are destroyed. May
    /// be NULL.
    pub drop: SlDrop,
    /// The callbacks are called for no more requests than these in any second: 1 to 1 000 000, or 0 for
    /// as many as are asked (0). What may not go yet waits as `locker_storage_open` says.
    pub requests_per_second: u32,
    /// No more requests than these are unanswered at any time: 1 to 1 000 000, or 0 for any number (0).
    /// One that is not answered counts here for 120 seconds; then another may go in its place.
    pub requests_in_flight: u32,
}

// SAFETY: `repr(C)`, the size first, then integers and optional function pointers without padding.
unsafe impl Versioned for SlStorageCallbacks {
    const NAME: &'static str = "SlStorageCallbacks";
    const FIRST_SIZE: usize = 56;

    fn defaults() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            reserved: 0,
            fetch: None,
            commit: None,
            erase: None,
            list: None,
            keys_of_user: None,
            drop: None,
            requests_per_second: 0,
            requests_in_flight: 0,
        }
    }
}

/// Fills `callbacks` with zeros and its size, for the host to set the functions it has. `struct_size`
/// is `sizeof(SlStorageCallbacks)`, so that a host compiled against another version of this header
/// is understood. Any thread.
///
/// Errors: SL_ERROR_INVALID_ARGUMENT (NULL, a size of no version).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_storage_callbacks_init(
    callbacks: *mut SlStorageCallbacks,
    struct_size: usize,
) -> SlStatus {
    boundary(|| {
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        unsafe { config::init("callbacks", callbacks, struct_size) }
    })
}

/// Makes a storage of the host's own callbacks; `SlStorageCallbacks` says what it must promise.
///
/// The table is copied. `user_data` is passed to every callback; when this returns SL_OK it is the
/// storage's, until `drop`; otherwise it stays the host's and `drop` is not called. Free the handle
/// with `locker_storage_destroy`. Any thread.
///
/// Errors: SL_ERROR_INVALID_ARGUMENT (NULL, a `struct_size` of no version, a field of a newer
/// version, a needed callback missing), SL_ERROR_OUT_OF_RANGE (a limit).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_storage_open_host(
    callbacks: *const SlStorageCallbacks,
    user_data: *mut c_void,
    storage: *mut *mut SlStorage,
) -> SlStatus {
    boundary(|| {
        let callbacks = config!(callbacks);
        let storage = out!(storage);
        config::reserved("callbacks.reserved", callbacks.reserved)?;
        let needed = [
            ("callbacks.fetch", callbacks.fetch.is_some()),
            ("callbacks.commit", callbacks.commit.is_some()),
            ("callbacks.erase", callbacks.erase.is_some()),
        ];
        if let Some((field, _)) = needed.iter().find(|(_, is_there)| !is_there) {
            return Err(FfiError::argument(field, "is NULL"));
        }
        let limits = Limits {
            per_second: limit(
                "callbacks.requests_per_second",
                callbacks.requests_per_second,
            )?,
            in_flight: limit("callbacks.requests_in_flight", callbacks.requests_in_flight)?,
        };
        let user_data = UserData::new(user_data, callbacks.drop);
        let host = Arc::new(HostStorage {
            callbacks,
            user_data: Arc::clone(&user_data),
            requests: OpenRequests::default(),
        });
        let opened = handle::insert::<SlStorage>(Arc::new(Budget::new(host, limits)))?;
        user_data.accept();
        storage.set(opened);
        Ok(())
    })
}

/// A limit of the host's; 0 for none.
fn limit(field: &str, limit: u32) -> FfiResult<Option<NonZeroU32>> {
    if limit > MAX_LIMIT {
        let message = format!("{field} is {limit}; it must be 0 to {MAX_LIMIT}");
        return Err(FfiError::new(SL_ERROR_OUT_OF_RANGE, message));
    }
    Ok(NonZeroU32::new(limit))
}

/// The host's callbacks as an engine.
struct HostStorage {
    callbacks: SlStorageCallbacks,
    user_data: Arc<UserData>,
    requests: OpenRequests,
}

impl Storage for HostStorage {
    fn submit(&self, request: Request) {
        let Request {
            operation,
            responder,
        } = request;
        // Every revision of the host's is bytes, so its key is never at one that is a number.
        if expected_revision(&operation).is_some_and(|revision| revision.as_bytes().is_none()) {
            return responder.answer(Ok(Outcome::Conflict));
        }
        let Some(request) = self.requests.open(Asked::of(&operation), responder) else {
            return;
        };
        let ran = run_hook(|| {
            let missing = || FfiError::new(SL_ERROR_UNSUPPORTED, "there is no such callback");
            let status = self.call(&operation, request);
            status.unwrap_or_else(|| missing().report())
        });
        if let Err(reason) = ran {
            let callback = callback_name(&operation);
            let message = format!("the host storage's {callback} failed: {reason}");
            storage_request::fail(request, message);
        }
    }
}

fn callback_name(operation: &Operation) -> &'static str {
    match operation {
        Operation::Fetch { .. } => "fetch",
        Operation::Commit { .. } => "commit",
        Operation::Erase { .. } => "erase",
        Operation::List { .. } => "list",
        Operation::KeysOfUser { .. } => "keys_of_user",
    }
}

/// The callbacks, called. For all of them the host gave the function for this purpose and this
/// `user_data`, which lives as long as `self`; and what is lent lives until the function returns.
impl HostStorage {
    /// `None` if the host has no callback for the operation.
    fn call(&self, operation: &Operation, request: *mut SlStorageRequest) -> Option<SlStatus> {
        let user_data = self.user_data.pointer();
        match operation {
            Operation::Fetch { key } => {
                let fetch = self.callbacks.fetch?;
                let key = lend_text(key.as_bytes());
                // SAFETY: see the top of this `impl`.
                Some(unsafe { fetch(user_data, request, key.data, key.length) })
            }
            Operation::Commit {
                key,
                expected,
                bytes,
                user_ids,
            } => self.call_commit(request, key, expected, bytes, user_ids),
            Operation::Erase { key, expected } => {
                let erase = self.callbacks.erase?;
                let key = lend_text(key.as_bytes());
                let (expected, revision) = lend_expected(expected.as_ref());
                let SlText { data, length } = revision;
                // SAFETY: see the top of this `impl`.
                Some(unsafe {
                    erase(
                        user_data, request, key.data, key.length, expected, data, length,
                    )
                })
            }
            Operation::List {
                prefix,
                after,
                limit,
            } => {
                let list = self.callbacks.list?;
                let prefix = lend_text(prefix.as_bytes());
                let after = lend_text(after.as_deref().unwrap_or_default().as_bytes());
                let (prefix, prefix_length) = (prefix.data, prefix.length);
                let (after, after_length) = (after.data, after.length);
                // SAFETY: see the top of this `impl`.
                Some(unsafe {
                    list(
                        user_data,
                        request,
                        prefix,
                        prefix_length,
                        after,
                        after_length,
                        *limit,
                    )
                })
            }
            Operation::KeysOfUser { user_id } => {
                let keys_of_user = self.callbacks.keys_of_user?;
                let id = lend_text(user_id.as_bytes());
                // SAFETY: see the top of this `impl`.
                Some(unsafe { keys_of_user(user_data, request, id.data, id.length) })
            }
        }
    }

    fn call_commit(
        &self,
        request: *mut SlStorageRequest,
        key: &str,
        expected: &Expected,
        bytes: &[u8],
        user_ids: &[Box<str>],
    ) -> Option<SlStatus> {
        let call = self.callbacks.commit?;
        let user_ids = user_ids.iter().map(|id| lend_text(id.as_bytes()));
        let user_ids = user_ids.collect::<Vec<_>>();
        let (expected, revision) = lend_expected(Some(expected));
        let commit = SlStorageCommit {
            struct_size: size_of::<SlStorageCommit>() as u32,
            expected,
            key: lend_text(key.as_bytes()),
            revision,
            bytes: lend_text(bytes),
            user_ids: match user_ids.is_empty() {
                true => std::ptr::null(),
                false => user_ids.as_ptr(),
            },
            user_id_count: user_ids.len(),
        };
        // SAFETY: see the top of this `impl`.
        Some(unsafe { call(self.user_data.pointer(), request, &raw const commit) })
    }
}

impl Drop for HostStorage {
    fn drop(&mut self) {
        // Nobody can ask this storage any more, so no new request comes while these go.
        self.requests
            .fail_all("the storage was destroyed before the host answered");
    }
}

fn lend_expected(expected: Option<&Expected>) -> (i32, SlText) {
    let kind = match expected {
        Some(Expected::Present(_)) => SL_EXPECTED_PRESENT,
        Some(Expected::Absent(_)) => SL_EXPECTED_ABSENT,
        None => SL_EXPECTED_ANY,
    };
    let revision = expected.and_then(revision_of).and_then(Revision::as_bytes);
    (kind, lend_text(revision.unwrap_or_default()))
}

/// The revision that an operation expects its key to be at.
fn expected_revision(operation: &Operation) -> Option<&Revision> {
    match operation {
        Operation::Commit { expected, .. } => revision_of(expected),
        Operation::Erase { expected, .. } => expected.as_ref().and_then(revision_of),
        Operation::Fetch { .. } | Operation::List { .. } | Operation::KeysOfUser { .. } => None,
    }
}

fn revision_of(expected: &Expected) -> Option<&Revision> {
    match expected {
        Expected::Present(revision) => Some(revision),
        Expected::Absent(tombstone) => tombstone.as_ref(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::storage_request::storage_request_absent;
    use crate::storage::{Reply, ReplySink, RequestId, Responder};
    use parking_lot::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};

    struct Replies(Sender<Reply>);

    impl ReplySink for Replies {
        fn deliver(&self, reply: Reply) {
            let _ = self.0.send(reply);
        }
    }

    /// A host that keeps each request for the test to answer: its `user_data` is where.
    type Kept = Mutex<Vec<usize>>;

    unsafe extern "C" fn fetch(
        kept: *mut c_void,
        request: *mut SlStorageRequest,
        _key: *const c_char,
        _key_length: usize,
    ) -> SlStatus {
        // SAFETY: the tests give a `Kept` that outlives the storage.
        unsafe { &*kept.cast::<Kept>() }.lock().push(request.addr());
        SL_OK
    }

    fn host(kept: &Kept) -> HostStorage {
        let mut callbacks = SlStorageCallbacks::defaults();
        callbacks.fetch = Some(fetch);
        HostStorage {
            callbacks,
            user_data: UserData::new(std::ptr::from_ref(kept).cast_mut().cast(), None),
            requests: OpenRequests::default(),
        }
    }

    fn submit(storage: &HostStorage, operation: Operation) -> Receiver<Reply> {
        let (sender, replies) = channel();
        let responder = Responder::new(RequestId(1), Arc::new(Replies(sender)));
        storage.submit(Request {
            operation,
            responder,
        });
        replies
    }

    fn fetch_key(storage: &HostStorage) -> Receiver<Reply> {
        let key = "key".into();
        submit(storage, Operation::Fetch { key })
    }

    fn answer_absent(request: usize, clock: f64) -> SlStatus {
        let request = std::ptr::without_provenance_mut(request);
        // SAFETY: a handle is never dereferenced, and NULL is no revision.
        unsafe { storage_request_absent(request, std::ptr::null(), 0, clock) }
    }

    #[test]
    fn an_answer_carries_the_hosts_clock_unless_it_is_zero() {
        let kept = Kept::default();
        let storage = host(&kept);
        for (clock, expected) in [(1.7e9, Some(1.7e9)), (0.0, None)] {
            let replies = fetch_key(&storage);
            let request = kept.lock().pop().unwrap();
            assert_eq!(answer_absent(request, clock), SL_OK);
            assert_eq!(replies.recv().unwrap().clock, expected);
        }
    }

    #[test]
    fn of_many_threads_that_answer_one_request_exactly_one_succeeds() {
        let kept = Kept::default();
        let storage = host(&kept);
        for _ in 0..200 {
            let replies = fetch_key(&storage);
            let request = kept.lock().pop().unwrap();
            let answered = std::thread::scope(|scope| {
                let threads = [0, 1, 2].map(|_| scope.spawn(move || answer_absent(request, 0.0)));
                let statuses = threads.map(|thread| thread.join().unwrap());
                statuses
                    .into_iter()
                    .filter(|status| *status == SL_OK)
                    .count()
            });
            assert_eq!((answered, replies.iter().count()), (1, 1));
            assert!(storage.requests.is_empty());
        }
    }

    #[test]
    fn a_storage_that_ends_fails_what_the_host_has_not_answered() {
        let kept = Kept::default();
        let storage = host(&kept);
        let replies = fetch_key(&storage);
        drop(storage);
        assert!(replies.recv().unwrap().result.is_err());
        let request = kept.lock().pop().unwrap();
        assert_eq!(answer_absent(request, 0.0), SL_ERROR_INVALID_HANDLE);
    }

    #[test]
    fn a_revision_that_the_host_cannot_have_given_conflicts() {
        let kept = Kept::default();
        let replies = submit(
            &host(&kept),
            Operation::Erase {
                key: "key".into(),
                expected: Some(Expected::Absent(Some(Revision::from_u64(7)))),
            },
        );
        assert_eq!(replies.recv().unwrap().result, Ok(Outcome::Conflict));
    }
}
