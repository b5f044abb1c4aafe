//! A host's own storage, brought through the C ABI: callbacks that hand each request to a storage
//! with a thread of its own, which answers through `storage_request_` functions from there.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use bytes::Bytes;
use session_locker::ffi::*;
use session_locker::storage::{
    Expected, Fetched, Operation, Outcome, Reply, ReplySink, Request, RequestId, Responder,
    Revision, Storage,
};

use super::host_style::HostStyleStorage;

/// Opens the storage. Its handle is kept for good, because the end of a host's storage is the end of
/// its open requests, which `tests/c/storage_host.c` is about.
pub fn open() -> Arc<dyn Storage> {
    let callbacks = SlStorageCallbacks {
        struct_size: size_of::<SlStorageCallbacks>() as u32,
        reserved: 0,
        fetch: Some(fetch),
        commit: Some(commit),
        erase: Some(erase),
        list: Some(list),
        keys_of_user: Some(keys_of_user),
        drop: Some(drop_host),
        requests_per_second: 0,
        requests_in_flight: 0,
    };
    let host = Box::into_raw(Box::new(HostStyleStorage::new()));
    let mut storage = std::ptr::null_mut();
    // SAFETY: the table and the output live until the call returns.
    let status = unsafe { locker_storage_open_host(&callbacks, host.cast(), &mut storage) };
    assert_eq!(status, SL_OK);
    SlStorage::engine(storage).expect("the handle is live")
}

unsafe extern "C" fn drop_host(user_data: *mut c_void) {
    // SAFETY: `open` has made it, and drop is called once.
    drop(unsafe { Box::from_raw(user_data.cast::<HostStyleStorage>()) });
}

fn forward(user_data: *mut c_void, request: *mut SlStorageRequest, operation: Operation) -> i32 {
    // SAFETY: `open` has made it, and it lives until drop.
    let host = unsafe { &*user_data.cast::<HostStyleStorage>() };
    let sink = Arc::new(Answer(request.addr()));
    let responder = Responder::new(RequestId(0), sink);
    host.submit(Request {
        operation,
        responder,
    });
    SL_OK
}

unsafe extern "C" fn fetch(
    user_data: *mut c_void,
    request: *mut SlStorageRequest,
    key: *const c_char,
    key_length: usize,
) -> SlStatus {
    let key = text(key, key_length).into();
    forward(user_data, request, Operation::Fetch { key })
}

unsafe extern "C" fn commit(
    user_data: *mut c_void,
    request: *mut SlStorageRequest,
    commit: *const SlStorageCommit,
) -> SlStatus {
    // SAFETY: the library lends it, and all it points to, until this returns.
    let commit = unsafe { *commit };
    let user_ids = (0..commit.user_id_count).map(|index| {
        // SAFETY: as above; the array has that many elements.
        let id = unsafe { *commit.user_ids.add(index) };
        Box::from(text(id.data, id.length))
    });
    let expected = expected(
        commit.expected,
        commit.revision.data,
        commit.revision.length,
    );
    let operation = Operation::Commit {
        key: text(commit.key.data, commit.key.length).into(),
        expected: expected.expect("a commit expects something"),
        bytes: Bytes::copy_from_slice(lent(commit.bytes.data, commit.bytes.length)),
        user_ids: user_ids.collect(),
    };
    forward(user_data, request, operation)
}

unsafe extern "C" fn erase(
    user_data: *mut c_void,
    request: *mut SlStorageRequest,
    key: *const c_char,
    key_length: usize,
    kind: i32,
    revision: *const c_char,
    revision_length: usize,
) -> SlStatus {
    let key = text(key, key_length).into();
    let expected = expected(kind, revision, revision_length);
    forward(user_data, request, Operation::Erase { key, expected })
}

unsafe extern "C" fn list(
    user_data: *mut c_void,
    request: *mut SlStorageRequest,
    prefix: *const c_char,
    prefix_length: usize,
    after: *const c_char,
    after_length: usize,
    limit: usize,
) -> SlStatus {
    let after = text(after, after_length);
    let operation = Operation::List {
        prefix: text(prefix, prefix_length).into(),
        after: (!after.is_empty()).then(|| after.into()),
        limit,
    };
    forward(user_data, request, operation)
}

unsafe extern "C" fn keys_of_user(
    user_data: *mut c_void,
    request: *mut SlStorageRequest,
    user_id: *const c_char,
    user_id_length: usize,
) -> SlStatus {
    let user_id = text(user_id, user_id_length).into();
    forward(user_data, request, Operation::KeysOfUser { user_id })
}

fn lent<'a>(data: *const c_char, length: usize) -> &'a [u8] {
    // SAFETY: called inside callbacks alone, on what the library lends them.
    unsafe { std::slice::from_raw_parts(data.cast(), length) }
}

fn text<'a>(data: *const c_char, length: usize) -> &'a str {
    std::str::from_utf8(lent(data, length)).expect("the library lends UTF-8")
}

fn expected(kind: i32, revision: *const c_char, length: usize) -> Option<Expected> {
    let revision = Revision::from_bytes(lent(revision, length));
    match kind {
        SL_EXPECTED_PRESENT => Some(Expected::Present(revision.expect("a record has one"))),
        SL_EXPECTED_ABSENT => Some(Expected::Absent(revision)),
        _ => {
            assert_eq!((kind, revision), (SL_EXPECTED_ANY, None));
            None
        }
    }
}

/// Answers the request with these bits as a host does, from the thread of its storage.
struct Answer(usize);

impl ReplySink for Answer {
    fn deliver(&self, reply: Reply) {
        let request = std::ptr::without_provenance_mut(self.0);
        let status = match reply.result.expect("this storage does not fail") {
            Outcome::Fetched(Fetched::Present {
                bytes,
                revision,
                user_ids,
            }) => {
                let user_ids = texts(user_ids.iter().map(|id| &**id));
                let (revision, length) = raw(&revision);
                // SAFETY: all of it lives until the call returns.
                unsafe {
                    storage_request_fetched(
                        request,
                        bytes.as_ptr().cast(),
                        bytes.len(),
                        revision,
                        length,
                        user_ids.as_ptr(),
                        user_ids.len(),
                        0.0,
                    )
                }
            }
            Outcome::Fetched(Fetched::Absent { tombstone }) => {
                let (revision, length) = tombstone.as_ref().map_or((std::ptr::null(), 0), raw);
                // SAFETY: as above.
                unsafe { storage_request_absent(request, revision, length, 0.0) }
            }
            Outcome::Committed(revision) => {
                let (revision, length) = raw(&revision);
                // SAFETY: as above.
                unsafe { storage_request_committed(request, revision, length, 0.0) }
            }
            Outcome::Erased(revision) => {
                let (revision, length) = raw(&revision);
                // SAFETY: as above.
                unsafe { storage_request_erased(request, revision, length, 0.0) }
            }
            // SAFETY: a handle is never dereferenced.
            Outcome::Conflict => unsafe { storage_request_conflict(request, 0.0) },
            Outcome::Keys(keys) => {
                let keys = texts(keys.iter().map(String::as_str));
                // SAFETY: as above.
                unsafe { storage_request_keys(request, keys.as_ptr(), keys.len()) }
            }
        };
        // The storage may have been dropped since.
        assert!(status == SL_OK || status == SL_ERROR_INVALID_HANDLE);
    }
}

fn raw(revision: &Revision) -> (*const c_char, usize) {
    let bytes = revision
        .as_bytes()
        .expect("this storage names its versions");
    (bytes.as_ptr().cast(), bytes.len())
}

fn texts<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<SlText> {
    let lend = |text: &str| SlText {
        data: text.as_ptr().cast(),
        length: text.len(),
    };
    texts.map(lend).collect()
}
