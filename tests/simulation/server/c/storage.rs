//! The host's own storage: its callbacks pass on to the simulated one what is asked, and answer when
//! that has answered: at once, or later and outside of every call.

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use session_locker::ffi::*;

use super::call::{Handle, c, call, callback, filled, handle, lent, lent_struct, lent_text};
use super::user_data::{Tally, UserData, behind, drop_user_data, hand_over};
use crate::ids::Key;
use crate::storage::{Answer, Ask, Expected, Link, Outcome, Reply};

/// The revisions of a storage that is empty.
const AFTER_ALL_OTHERS: u64 = 1 << 62;

/// A server's storage.
pub struct Storage {
    link: Arc<Link>,
    requests: AtomicU64,
    /// It is no more: nobody hears what it would answer.
    is_gone: AtomicBool,
    /// The server is no more, and only its lockers' handles have to go; see [`Storage::empty`].
    is_empty: AtomicBool,
}

impl UserData for Storage {
    fn is_over(&self) {
        self.is_gone.store(true, Ordering::Relaxed);
    }
}

impl Storage {
    pub fn new(link: &Arc<Link>) -> Arc<Self> {
        Arc::new(Self {
            link: Arc::clone(link),
            requests: AtomicU64::new(0),
            is_gone: AtomicBool::new(false),
            is_empty: AtomicBool::new(false),
        })
    }

    pub fn open(self: &Arc<Self>, tally: &Arc<Tally>) -> Handle<SlStorage> {
        let callbacks = SlStorageCallbacks {
            fetch: Some(fetch),
            commit: Some(commit),
            erase: Some(erase),
            drop: Some(drop_user_data),
            ..filled(|table, size| c!(locker_storage_callbacks_init(table, size)))
        };
        let user_data = hand_over(tally, Arc::clone(self) as Arc<dyn UserData>);
        handle(|storage| {
            c!(locker_storage_open_host(
                &raw const callbacks,
                user_data,
                storage
            ))
        })
        .unwrap_or_else(|refusal| panic!("{refusal}"))
    }

    /// From now on there is no record, whatever is written, and nothing goes to the simulated storage: that
    /// ends the sessions of lockers, whose handles C lets nobody free before.
    pub fn empty(&self) {
        self.is_empty.store(true, Ordering::Relaxed);
    }

    fn submit(self: &Arc<Self>, request: *mut SlStorageRequest, ask: Ask) -> SlStatus {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let request = Request {
            of: Arc::clone(self),
            handle: Handle::of(request),
            number,
        };
        if !self.is_empty.load(Ordering::Relaxed) {
            self.link.submit(ask, Box::new(request));
            return SL_OK;
        }
        let revision = AFTER_ALL_OTHERS + number;
        let outcome = match ask {
            Ask::Fetch { .. } => Outcome::Absent {
                tombstone: Some(revision),
            },
            Ask::Commit { .. } => Outcome::Committed(revision),
        };
        let clock = None;
        Box::new(request).give(Reply { outcome, clock });
        SL_OK
    }
}

extern "C" fn fetch(
    user_data: *mut c_void,
    request: *mut SlStorageRequest,
    key: *const c_char,
    key_length: usize,
) -> SlStatus {
    callback(SL_ERROR_HOOK, || {
        let key = Key::of(lent(key, key_length));
        behind::<Storage>(user_data).submit(request, Ask::Fetch { key })
    })
}

extern "C" fn commit(
    user_data: *mut c_void,
    request: *mut SlStorageRequest,
    commit: *const SlStorageCommit,
) -> SlStatus {
    callback(SL_ERROR_HOOK, || {
        let commit = lent_struct(commit);
        assert_eq!(commit.struct_size as usize, size_of::<SlStorageCommit>());
        let user_ids = (0..commit.user_id_count).map(|index| {
            let id = commit.user_ids.wrapping_add(index);
            Box::from(lent_text(*lent_struct(id)))
        });
        let ask = Ask::Commit {
            key: Key::of(lent_text(commit.key)),
            expected: expected(commit.expected, lent_text(commit.revision)),
            bytes: Bytes::copy_from_slice(lent_text(commit.bytes).as_bytes()),
            user_ids: user_ids.collect(),
        };
        behind::<Storage>(user_data).submit(request, ask)
    })
}

fn expected(kind: i32, revision: &str) -> Expected {
    let number = || revision.parse().expect("a revision that was given");
    match (kind, revision.is_empty()) {
        (SL_EXPECTED_PRESENT, false) => Expected::Present(number()),
        (SL_EXPECTED_ABSENT, true) => Expected::Absent(None),
        (SL_EXPECTED_ABSENT, false) => Expected::Absent(Some(number())),
        _ => panic!("a commit expects {kind} at `{revision}`"),
    }
}

/// No session and no sender erases.
extern "C" fn erase(
    _user_data: *mut c_void,
    _request: *mut SlStorageRequest,
    _key: *const c_char,
    _key_length: usize,
    _expected: i32,
    _revision: *const c_char,
    _revision_length: usize,
) -> SlStatus {
    callback(SL_ERROR_HOOK, || {
        panic!("nobody erases a record by a storage")
    })
}

/// The right to answer a request once.
struct Request {
    of: Arc<Storage>,
    handle: Handle<SlStorageRequest>,
    number: u64,
}

impl Answer for Request {
    fn give(self: Box<Self>, reply: Reply) {
        let status = self.answer(&reply);
        if self.of.is_gone.load(Ordering::Relaxed) {
            assert_eq!(status, SL_ERROR_INVALID_HANDLE, "the storage is no more");
            return;
        }
        call(status).unwrap_or_else(|refusal| panic!("{reply}: {refusal}"));
        if self.number.is_multiple_of(8) {
            let again = self.answer(&reply);
            assert_eq!(again, SL_ERROR_INVALID_HANDLE, "a request is answered once");
        }
    }
}

impl Request {
    fn answer(&self, reply: &Reply) -> SlStatus {
        let request = self.handle.get();
        let clock = reply.clock.unwrap_or(0.0);
        match &reply.outcome {
            Outcome::Present {
                bytes,
                revision,
                user_ids,
            } => {
                let revision = revision.to_string();
                let ids: Vec<_> = user_ids.iter().map(|id| lend(id)).collect();
                c!(storage_request_fetched(
                    request,
                    bytes.as_ptr().cast(),
                    bytes.len(),
                    revision.as_ptr().cast(),
                    revision.len(),
                    ids.as_ptr(),
                    ids.len(),
                    clock,
                ))
            }
            Outcome::Absent { tombstone } => {
                let revision = tombstone.map_or(String::new(), |revision| revision.to_string());
                let (data, length) = (revision.as_ptr().cast(), revision.len());
                c!(storage_request_absent(request, data, length, clock))
            }
            Outcome::Committed(revision) => {
                let revision = revision.to_string();
                let (data, length) = (revision.as_ptr().cast(), revision.len());
                c!(storage_request_committed(request, data, length, clock))
            }
            Outcome::Conflict => c!(storage_request_conflict(request, clock)),
            Outcome::Failed => {
                let kind = match self.number % 2 {
                    0 => SL_REQUEST_ERROR_BACKEND,
                    _ => SL_REQUEST_ERROR_MISC,
                };
                let why = c"the network is down".as_ptr();
                c!(storage_request_failed(
                    request,
                    kind,
                    why,
                    SL_NUL_TERMINATED,
                    clock
                ))
            }
        }
    }
}

fn lend(text: &str) -> SlText {
    SlText {
        data: text.as_ptr().cast(),
        length: text.len(),
    }
}
