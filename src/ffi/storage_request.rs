//! `SlStorageRequest`: what a storage of the host's own is asked, and how the host answers.

use std::collections::HashSet;
use std::ffi::{c_char, c_void};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::boundary::boundary;
use super::error::{FfiError, FfiResult};
use super::handle::{self, Kind};
use super::number::{self, Choice};
use super::status::*;
use super::storage::check_user_ids;
use super::text::SlText;
use crate::storage::{
    Fetched, MAX_REVISION_BYTES, MAX_USER_IDS, Operation, Outcome, RequestErrorKind, Responder,
    Revision, StorageError,
};

/// A request to a storage of the host's own: the right, and the duty, to answer it once, with one
/// of the `storage_request_` functions, from any thread. The answer frees the handle; so does the
/// end of the storage, after which there is nobody left to hear it.
pub struct SlStorageRequest(());
handle_kind!(SlStorageRequest, Kind::StorageRequest, HostRequest);

/// Whose fault a failure is, and whether trying again helps: one of SL_REQUEST_ERROR_.
pub type SlRequestErrorKind = i32;

/// A failure that is our own: code or configuration. Trying again does not help.
pub const SL_REQUEST_ERROR_SCRIPT: i32 = 0;
/// A failure that is unknown, or perhaps passes.
pub const SL_REQUEST_ERROR_MISC: i32 = 1;
/// A failure of the backend: its limits, its network, its outages. It is tried again.
pub const SL_REQUEST_ERROR_BACKEND: i32 = 2;

pub(crate) const REQUEST_ERROR_KINDS: [Choice<RequestErrorKind>; 3] = [
    (
        SL_REQUEST_ERROR_SCRIPT,
        "SL_REQUEST_ERROR_SCRIPT",
        RequestErrorKind::Script,
    ),
    (
        SL_REQUEST_ERROR_MISC,
        "SL_REQUEST_ERROR_MISC",
        RequestErrorKind::Misc,
    ),
    (
        SL_REQUEST_ERROR_BACKEND,
        "SL_REQUEST_ERROR_BACKEND",
        RequestErrorKind::Backend,
    ),
];

/// The most keys that a request of the host's own storage can be answered with.
pub const SL_MAX_ANSWERED_KEYS: usize = 1_000_000;

/// One request that waits for the host.
pub(crate) struct HostRequest {
    asked: Asked,
    responder: Mutex<Option<Responder>>,
    /// Where its handle stands while it waits.
    open: Arc<Mutex<HashSet<usize>>>,
}

/// What a request asks for, as far as its answer must fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Fetch,
    Commit,
    Erase,
    Keys,
}

impl Asked {
    pub(crate) fn of(operation: &Operation) -> Self {
        match operation {
            Operation::Fetch { .. } => Self::Fetch,
            Operation::Commit { .. } => Self::Commit,
            Operation::Erase { .. } => Self::Erase,
            Operation::List { .. } | Operation::KeysOfUser { .. } => Self::Keys,
        }
    }

    /// How messages call it.
    fn name(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Commit => "commit",
            Self::Erase => "erasure",
            Self::Keys => "list of keys",
        }
    }
}

/// The requests to one storage that wait for its host.
#[derive(Default)]
pub(crate) struct OpenRequests(Arc<Mutex<HashSet<usize>>>);

impl OpenRequests {
    /// A request with a handle; or `None`, and it is answered as failed, when there are too many.
    pub(crate) fn open(&self, asked: Asked, responder: Responder) -> Option<*mut SlStorageRequest> {
        let request = Arc::new(HostRequest {
            asked,
            responder: Mutex::new(Some(responder)),
            open: Arc::clone(&self.0),
        });
        match handle::lend::<SlStorageRequest>(Arc::clone(&request)) {
            Ok(handle) => {
                self.0.lock().insert(handle.addr());
                Some(handle)
            }
            Err(error) => {
                request.fail(error.message);
                None
            }
        }
    }

    /// Answers whatever is open as failed.
    pub(crate) fn fail_all(&self, message: &str) {
        let open = std::mem::take(&mut *self.0.lock());
        for handle in open {
            fail(std::ptr::without_provenance_mut(handle), message.to_owned());
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

/// Answers a request as failed if it is still open.
pub(crate) fn fail(handle: *mut SlStorageRequest, message: String) {
    if let Ok(request) = take(handle) {
        request.fail(message);
    }
}

/// Takes a request out of the table: whoever succeeds answers it.
fn take(handle: *const SlStorageRequest) -> FfiResult<Arc<HostRequest>> {
    let request = handle::take_back(handle)?;
    request.open.lock().remove(&handle.addr());
    Ok(request)
}

impl HostRequest {
    fn answer(&self, result: Result<Outcome, StorageError>, clock: Option<f64>) {
        let responder = self.responder.lock().take();
        if let Some(responder) = responder {
            responder.answer_at(result, clock);
        }
    }

    fn fail(&self, message: String) {
        let error = StorageError::new(RequestErrorKind::Misc, message);
        self.answer(Err(error), None);
    }
}

/// Answers a fetch: the record is there. `bytes` (`length` of them) is its value, `revision` its
/// revision (1 to 64 bytes of the host's choosing, or SL_NUL_TERMINATED), `user_ids` the users it
/// belongs to (up to 64). All are copied.
///
/// `clock` is the storage's own clock when it acted, in Unix seconds, or 0 if it has none: with it,
/// sessions expire exactly, whatever the servers' clocks say.
///
/// Frees the handle if it returns SL_OK; otherwise the request still waits. Any thread; may be
/// called inside the callback.
///
/// Errors: SL_ERROR_INVALID_HANDLE (also: answered before, or the storage is no more),
/// SL_ERROR_INVALID_ARGUMENT (also: not an answer to what was asked), SL_ERROR_INVALID_UTF8,
/// SL_ERROR_OUT_OF_RANGE (the clock).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn storage_request_fetched(
    request: *mut SlStorageRequest,
    bytes: *const c_void,
    length: usize,
    revision: *const c_char,
    revision_length: usize,
    user_ids: *const SlText,
    user_id_count: usize,
    clock: f64,
) -> SlStatus {
    boundary(|| {
        check_asked(request, "fetched", &[Asked::Fetch])?;
        let fetched = Fetched::Present {
            bytes: Bytes::copy_from_slice(bytes!(bytes, length)),
            revision: check_revision(raw_text!(revision, revision_length))?,
            user_ids: check_user_ids(texts!(user_ids, user_id_count, MAX_USER_IDS))?,
        };
        answer(request, Ok(Outcome::Fetched(fetched)), clock)
    })
}

/// Answers a fetch: there is no record. `revision` is that of its erasure, or NULL with length 0 if
/// the storage knows of none. The clock, errors and all else are as for `storage_request_fetched`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn storage_request_absent(
    request: *mut SlStorageRequest,
    revision: *const c_char,
    revision_length: usize,
    clock: f64,
) -> SlStatus {
    boundary(|| {
        check_asked(request, "absent", &[Asked::Fetch])?;
        let tombstone = match raw_text!(revision, revision_length) {
            [] => None,
            revision => Some(check_revision(revision)?),
        };
        answer(
            request,
            Ok(Outcome::Fetched(Fetched::Absent { tombstone })),
            clock,
        )
    })
}

/// Answers a commit: it is written and durable, and the record is now at `revision`. The clock,
/// errors and all else are as for `storage_request_fetched`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn storage_request_committed(
    request: *mut SlStorageRequest,
    revision: *const c_char,
    revision_length: usize,
    clock: f64,
) -> SlStatus {
    boundary(|| {
        check_asked(request, "committed", &[Asked::Commit])?;
        let revision = check_revision(raw_text!(revision, revision_length))?;
        answer(request, Ok(Outcome::Committed(revision)), clock)
    })
}

/// Answers an erasure: it is durable, and `revision` is what it left. The clock, errors and all
/// else are as for `storage_request_fetched`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn storage_request_erased(
    request: *mut SlStorageRequest,
    revision: *const c_char,
    revision_length: usize,
    clock: f64,
) -> SlStatus {
    boundary(|| {
        check_asked(request, "erased", &[Asked::Erase])?;
        let revision = check_revision(raw_text!(revision, revision_length))?;
        answer(request, Ok(Outcome::Erased(revision)), clock)
    })
}

/// Answers a commit or an erasure: the key is not as expected, so this request has written nothing
/// and never will. The clock, errors and all else are as for `storage_request_fetched`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn storage_request_conflict(
    request: *mut SlStorageRequest,
    clock: f64,
) -> SlStatus {
    boundary(|| {
        check_asked(request, "conflict", &[Asked::Commit, Asked::Erase])?;
        answer(request, Ok(Outcome::Conflict), clock)
    })
}

/// Answers a list, or a search for a user's records, with `key_count` keys in byte order (up to
/// SL_MAX_ANSWERED_KEYS). They are copied. Errors and all else are as for
/// `storage_request_fetched`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn storage_request_keys(
    request: *mut SlStorageRequest,
    keys: *const SlText,
    key_count: usize,
) -> SlStatus {
    boundary(|| {
        check_asked(request, "keys", &[Asked::Keys])?;
        let keys = texts!(keys, key_count, SL_MAX_ANSWERED_KEYS);
        let keys = keys.into_iter().map(str::to_owned).collect();
        answer(request, Ok(Outcome::Keys(keys)), 0.0)
    })
}

/// Answers any request: it failed, or nobody knows whether it did. **A commit or an erasure that is
/// answered so may have been written, or may still be**; a locker then looks before it writes
/// again. `kind` is an SL_REQUEST_ERROR_ constant, `message` says what happened, for a person.
/// The clock, errors and all else are as for `storage_request_fetched`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn storage_request_failed(
    request: *mut SlStorageRequest,
    kind: i32,
    message: *const c_char,
    message_length: usize,
    clock: f64,
) -> SlStatus {
    boundary(|| {
        handle::get(request)?;
        let kind = number::choice("kind", kind, &REQUEST_ERROR_KINDS)?;
        let message = text!(message, message_length);
        answer(request, Err(StorageError::new(kind, message)), clock)
    })
}

/// Refuses an answer to something else than was asked.
fn check_asked(request: *const SlStorageRequest, answer: &str, fits: &[Asked]) -> FfiResult<()> {
    let asked = handle::get(request)?.asked;
    if fits.contains(&asked) {
        return Ok(());
    }
    let message = format!(
        "asked for a {}, which \"{answer}\" does not answer",
        asked.name()
    );
    Err(FfiError::argument("request", message))
}

fn check_revision(revision: &[u8]) -> FfiResult<Revision> {
    Revision::from_bytes(revision).ok_or_else(|| {
        let length = revision.len();
        let message = format!("has {length} bytes; it must have 1 to {MAX_REVISION_BYTES}");
        FfiError::argument("revision", message)
    })
}

/// Answers a request whose other parameters have been checked.
fn answer(
    request: *const SlStorageRequest,
    result: Result<Outcome, StorageError>,
    clock: f64,
) -> FfiResult<()> {
    let clock = number::finite("clock", clock)?;
    if clock < 0.0 {
        let message = format!("clock is {clock}; it must be Unix seconds, or 0 for none");
        return Err(FfiError::new(SL_ERROR_OUT_OF_RANGE, message));
    }
    // Another thread may have answered since the request was looked at; then this fails.
    take(request)?.answer(result, (clock > 0.0).then_some(clock));
    Ok(())
}
