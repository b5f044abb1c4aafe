//! The host's own storage: records in memory that are kept as the header asks, and callbacks that answer
//! in every way there is: at once, late, twice, wrongly, with a failure before or after, never.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{c_char, c_void};

use session_locker::ffi::*;

use super::arguments::{lent, lent_bytes, lent_text};
use super::check::{Begun, call};
use super::hooks::Inside;
use super::script::Frame;
use super::world::{Handle, Kind, Picked, Token, world};

/// The records of every storage, and what is not answered yet.
#[derive(Default)]
pub struct Engines {
    records: HashMap<usize, Records>,
    held: Vec<Held>,
}

/// One storage's records, with a revision each, also where there is none any more.
#[derive(Default)]
struct Records {
    keys: BTreeMap<String, (Vec<u8>, Option<Value>)>,
    revisions: u64,
}

type Value = (Vec<u8>, Vec<String>);

/// A request that is to be answered later.
struct Held {
    token: usize,
    request: usize,
    operation: Operation,
    /// What has come of it, if it was carried out.
    answer: Option<Answer>,
}

#[derive(Clone, Debug)]
enum Operation {
    Fetch(String),
    Commit {
        key: String,
        expected: (i32, Vec<u8>),
        value: Value,
    },
    Erase {
        key: String,
        expected: (i32, Vec<u8>),
    },
    List {
        prefix: String,
        after: String,
        limit: usize,
    },
    KeysOfUser(String),
}

#[derive(Clone)]
enum Answer {
    Fetched(Vec<u8>, Value),
    Absent(Vec<u8>),
    Committed(Vec<u8>),
    Erased(Vec<u8>),
    Conflict,
    Keys(Vec<String>),
    Failed,
}

impl Engines {
    /// A storage is gone, and with it its records and requests.
    pub fn end(&mut self, token: usize) {
        self.records.remove(&token);
        self.held.retain(|held| held.token != token);
    }

    fn carry_out(&mut self, token: usize, operation: &Operation) -> Answer {
        self.records.entry(token).or_default().carry_out(operation)
    }

    fn hold(&mut self, held: Held) {
        self.held.push(held);
    }
}

impl Records {
    fn carry_out(&mut self, operation: &Operation) -> Answer {
        match operation {
            Operation::Fetch(key) => match self.keys.get(key) {
                Some((revision, Some(value))) => Answer::Fetched(revision.clone(), value.clone()),
                Some((revision, None)) => Answer::Absent(revision.clone()),
                None => Answer::Absent(Vec::new()),
            },
            Operation::Commit {
                key,
                expected,
                value,
            } => match self.is_at(key, expected) {
                true => Answer::Committed(self.write(key, Some(value.clone()))),
                false => Answer::Conflict,
            },
            Operation::Erase { key, expected } => match self.is_at(key, expected) {
                true => Answer::Erased(self.write(key, None)),
                false => Answer::Conflict,
            },
            Operation::List {
                prefix,
                after,
                limit,
            } => {
                let present = self.present(|_| true).into_iter();
                let listed = present.filter(|key| key.starts_with(prefix) && key > after);
                Answer::Keys(listed.take(*limit).collect())
            }
            Operation::KeysOfUser(id) => {
                Answer::Keys(self.present(|(_, user_ids)| user_ids.contains(id)))
            }
        }
    }

    fn present(&self, is_meant: impl Fn(&Value) -> bool) -> Vec<String> {
        let keys = self.keys.iter();
        let meant = keys.filter(|(_, (_, value))| value.as_ref().is_some_and(&is_meant));
        meant.map(|(key, _)| key.clone()).collect()
    }

    fn is_at(&self, key: &str, (kind, revision): &(i32, Vec<u8>)) -> bool {
        let there = self.keys.get(key);
        match *kind {
            SL_EXPECTED_PRESENT => {
                there.is_some_and(|(at, value)| value.is_some() && at == revision)
            }
            SL_EXPECTED_ABSENT => match there {
                Some((at, value)) => value.is_none() && at == revision,
                None => revision.is_empty(),
            },
            _ => true,
        }
    }

    fn write(&mut self, key: &str, value: Option<Value>) -> Vec<u8> {
        self.revisions += 1;
        let revision = format!("v{}", self.revisions).into_bytes();
        self.keys.insert(key.to_owned(), (revision.clone(), value));
        revision
    }
}

/// The table of a storage, some of whose functions may be missing.
pub fn callbacks(frame: &mut Frame, callbacks: &mut SlStorageCallbacks) {
    let is_missing = frame.seldom(40);
    callbacks.fetch = (!is_missing).then_some(fetch);
    callbacks.commit = Some(commit);
    callbacks.erase = Some(erase);
    let has_lists = !frame.seldom(4);
    callbacks.list = has_lists.then_some(list);
    callbacks.keys_of_user = has_lists.then_some(keys_of_user);
}

unsafe extern "C" fn fetch(
    user_data: *mut c_void,
    request: *mut SlStorageRequest,
    key: *const c_char,
    key_length: usize,
) -> SlStatus {
    asked(user_data, request, Operation::Fetch(text(key, key_length)))
}

unsafe extern "C" fn commit(
    user_data: *mut c_void,
    request: *mut SlStorageRequest,
    commit: *const SlStorageCommit,
) -> SlStatus {
    // SAFETY: the library lends it, and all that it points to.
    let commit = unsafe { &*commit };
    assert_eq!(commit.struct_size as usize, size_of::<SlStorageCommit>());
    let user_ids = (0..commit.user_id_count).map(|at| {
        // SAFETY: the array has so many.
        lent_text(unsafe { *commit.user_ids.add(at) })
    });
    let operation = Operation::Commit {
        key: lent_text(commit.key),
        expected: (commit.expected, lent(commit.revision)),
        value: (lent(commit.bytes), user_ids.collect()),
    };
    asked(user_data, request, operation)
}

unsafe extern "C" fn erase(
    user_data: *mut c_void,
    request: *mut SlStorageRequest,
    key: *const c_char,
    key_length: usize,
    expected: i32,
    revision: *const c_char,
    revision_length: usize,
) -> SlStatus {
    let operation = Operation::Erase {
        key: text(key, key_length),
        expected: (expected, lent_bytes(revision, revision_length)),
    };
    asked(user_data, request, operation)
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
    let operation = Operation::List {
        prefix: text(prefix, prefix_length),
        after: text(after, after_length),
        limit,
    };
    asked(user_data, request, operation)
}

unsafe extern "C" fn keys_of_user(
    user_data: *mut c_void,
    request: *mut SlStorageRequest,
    user_id: *const c_char,
    user_id_length: usize,
) -> SlStatus {
    let id = text(user_id, user_id_length);
    asked(user_data, request, Operation::KeysOfUser(id))
}

fn text(data: *const c_char, length: usize) -> String {
    String::from_utf8(lent_bytes(data, length)).expect("the library lends UTF-8")
}

/// A request has come: it is carried out or not, and answered or not.
fn asked(user_data: *mut c_void, request: *mut SlStorageRequest, operation: Operation) -> SlStatus {
    let token = Token::of(user_data).0;
    let address = request.addr();
    world(|world| world.keep(Kind::Request, address, 0, token));
    let mut inside = Inside::enter(user_data, &[]);
    let frame = &mut inside.frame;
    let done = || world(|world| world.engines.carry_out(token, &operation));
    let hold = |answer| {
        let held = Held {
            token,
            request: address,
            operation: operation.clone(),
            answer,
        };
        world(|world| world.engines.hold(held));
        SL_OK
    };
    let answer = match frame.byte() {
        0..=127 => done(),
        128..=143 => Answer::Failed,
        144..=159 => {
            done();
            Answer::Failed
        }
        160..=183 => return hold(Some(done())),
        184..=199 => return hold(None),
        // It is in the pool of requests, for a step to answer.
        200..=207 => return SL_OK,
        208..=215 => Answer::Conflict,
        216..=231 => {
            let status = inside.status();
            if status != SL_OK {
                world(|world| world.bury(address));
            }
            return status;
        }
        232..=239 => {
            // A wrong answer leaves the request open.
            let status = give(address, &wrong_answer(&operation), 0.0);
            assert_ne!(status, Some(SL_OK), "taken for an answer to {operation:?}");
            done()
        }
        _ => {
            let done = done();
            give(address, &done, 0.0);
            done
        }
    };
    let clock = match frame.byte() {
        0..=127 => 0.0,
        128..=247 => world(|world| world.wall()),
        _ => super::arguments::number(frame),
    };
    give(address, &answer_or_failure(&operation, answer), clock);
    SL_OK
}

/// Only a commit or an erasure can conflict.
fn answer_or_failure(operation: &Operation, answer: Answer) -> Answer {
    match (operation, &answer) {
        (Operation::Commit { .. } | Operation::Erase { .. }, _) => answer,
        (_, Answer::Conflict) => Answer::Failed,
        _ => answer,
    }
}

fn wrong_answer(operation: &Operation) -> Answer {
    match operation {
        Operation::Fetch(_) => Answer::Committed(b"v".to_vec()),
        Operation::Commit { .. } => Answer::Erased(b"v".to_vec()),
        Operation::Erase { .. } => Answer::Absent(Vec::new()),
        Operation::List { .. } | Operation::KeysOfUser(_) => Answer::Conflict,
    }
}

/// Carries out what was held back, and answers it.
pub fn let_go(index: usize) {
    let held = world(|world| {
        let held = &mut world.engines.held;
        (!held.is_empty()).then(|| held.remove(index % held.len()))
    });
    let Some(held) = held else { return };
    let done = || world(|world| world.engines.carry_out(held.token, &held.operation));
    let given = held.answer.unwrap_or_else(done);
    give(held.request, &given, 0.0);
}

/// Lets go of all that is held.
pub fn let_all_go() {
    while world(|world| !world.engines.held.is_empty()) {
        let_go(0);
    }
}

/// Answers a request, if it is still open.
fn give(request: usize, answer: &Answer, clock: f64) -> Option<SlStatus> {
    let found = world(|world| world.find(SlStorageRequest::KIND, request));
    let request = found.map(Picked::<SlStorageRequest>::of)?;
    let raw = |bytes: &[u8]| (bytes.as_ptr().cast::<c_char>(), bytes.len());
    let refusals: &[SlStatus] = &[SL_ERROR_INVALID_ARGUMENT, SL_ERROR_OUT_OF_RANGE];
    let allowed = &[refusals];
    let status = match answer {
        Answer::Fetched(revision, (bytes, user_ids)) => {
            let ids = texts(user_ids);
            let (revision, length) = raw(revision);
            call!(storage_request_fetched(request; bytes.as_ptr().cast(), bytes.len(), revision,
                length, ids.as_ptr(), ids.len(), clock;) or allowed)
        }
        Answer::Absent(revision) => {
            let (revision, length) = raw(revision);
            call!(storage_request_absent(request; revision, length, clock;) or allowed)
        }
        Answer::Committed(revision) => {
            let (revision, length) = raw(revision);
            call!(storage_request_committed(request; revision, length, clock;) or allowed)
        }
        Answer::Erased(revision) => {
            let (revision, length) = raw(revision);
            call!(storage_request_erased(request; revision, length, clock;) or allowed)
        }
        Answer::Conflict => call!(storage_request_conflict(request; clock;) or allowed),
        Answer::Keys(keys) => {
            let keys = texts(keys);
            call!(storage_request_keys(request; keys.as_ptr(), keys.len();) or allowed)
        }
        Answer::Failed => {
            let (message, length) = raw(b"the host says no");
            let kind = SL_REQUEST_ERROR_BACKEND;
            call!(storage_request_failed(request; kind, message, length, clock;) or allowed)
        }
    };
    if status == SL_OK {
        world(|world| world.bury(request.address));
    }
    Some(status)
}

fn texts(texts: &[String]) -> Vec<SlText> {
    let lend = |text: &String| SlText {
        data: text.as_ptr().cast(),
        length: text.len(),
    };
    texts.iter().map(lend).collect()
}
