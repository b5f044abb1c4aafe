//! `SlStorage`: storages by URL, and the blocking calls on one that tools need (a look at a record,
//! an export, an erasure request). A game server's frames never come through here.

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use super::boundary::boundary;
use super::config;
use super::error::{FfiError, FfiResult};
use super::handle::{self, Kind};
use super::number;
use super::stats::SlRequestStats;
use super::status::*;
use super::text::{SlBuffer, SlText};
use crate::storage::{
    Expected, Fetched, MAX_KEY_BYTES, MAX_USER_ID_BYTES, MAX_USER_IDS, Operation, Outcome, Reply,
    ReplySink, Request, RequestId, Responder, Revision, Storage,
};

/// Where records are kept: a key, its bytes, its revision, and the users it belongs to. Opened by
/// `locker_storage_open` or `locker_storage_open_host`, shared by everything created with it.
pub struct SlStorage(());
handle_kind!(SlStorage, Kind::Storage, dyn Storage);

impl SlStorage {
    /// The engine that a handle names, for Rust code in the same program; `None` for a wrong one.
    pub fn engine(handle: *const Self) -> Option<Arc<dyn Storage>> {
        handle::get(handle).ok().map(|engine| Arc::clone(&*engine))
    }
}

/// The most keys that one call of `locker_storage_list` gives.
pub const SL_MAX_LISTED_KEYS: usize = 10_000;

/// Opens one of the library's own storages by its URL (`url_length` bytes, or SL_NUL_TERMINATED):
///
/// - `memory:` keeps records in this process alone, until it is destroyed; `memory:NAME` is one that
///   is shared by all of this process that open the name;
/// - `sqlite:PATH` keeps them in an SQLite database, which is created if it is not there, and which
///   any number of processes of one machine may use at once. With `?synchronous=normal` behind the
///   path the last moments before a power failure may be lost; without, nothing acknowledged is;
/// - `postgres://USER:PASSWORD@HOST/DATABASE` keeps them in a PostgreSQL database, for servers on many
///   machines; docs/storage.md has its parameters;
/// - `redis://USER:PASSWORD@HOST/DATABASE`, or `rediss://…` with TLS, keeps them in a Redis server. If that is
///   set so that it may lose what it has acknowledged, the log says so within this call; docs/storage.md has
///   what to set.
///
/// The library as it is built by default has all of them. Cargo's features `sqlite`, `postgres` and `redis` can
/// leave them out; the message of the error says what this one has.
///
/// Each of them takes limits, as parameters behind a `?` and with `&` between them (1 to 1 000 000): with
/// `requests_per_second=N` no more than N requests go to the engine in any second, with
/// `requests_in_flight=N` no more than N are unanswered at any time. What may not go yet waits, saves
/// before loads before sends and tools, until it is let go in an update of a store, locker or sender, or
/// in a tool's call. What has waited for as long as the call's `timeout`, or half of a store's
/// `request_timeout`, fails, with nothing written then or later. So does another request when 65 536, or
/// 256 MiB of values, wait; for all but saves it is half of that.
///
/// Free the handle with `locker_storage_destroy`; what was created with it
/// keeps the storage open for as long as it lives. May block while a file is opened, or for as long as the
/// URL's `connect_timeout`, ten seconds by default, while a server is connected to. Any thread.
///
/// Errors: SL_ERROR_INVALID_ARGUMENT, SL_ERROR_INVALID_UTF8, SL_ERROR_STORAGE (no such storage, or
/// it could not be opened; the message says why).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_storage_open(
    url: *const c_char,
    url_length: usize,
    storage: *mut *mut SlStorage,
) -> SlStatus {
    boundary(|| {
        let url = text!(url, url_length);
        let storage = out!(storage);
        let opened = crate::storage::open(url)
            .map_err(|error| FfiError::new(SL_ERROR_STORAGE, error.to_string()))?;
        storage.set(handle::insert(opened)?);
        Ok(())
    })
}

/// What was asked of a storage by all that were created with it and by tools, and how it has answered, in
/// `stats`, whose `struct_size` the host has set. Any thread; also inside callbacks. It costs about a
/// microsecond.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT (NULL, a `struct_size` that is none).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_storage_get_stats(
    storage: *const SlStorage,
    stats: *mut SlRequestStats,
) -> SlStatus {
    boundary(|| {
        let storage = handle::get(storage)?;
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        let out = unsafe { config::Fill::new("stats", stats) }?;
        // Every storage with a handle counts.
        out.set(storage.stats().unwrap_or_default().into());
        Ok(())
    })
}

/// Frees the handle of a storage. The storage itself closes when the last object that was created
/// with it is destroyed too; one that the host brought has its `drop` called then, and one on a server
/// waits until what was asked of it is done, for five seconds at most. What waits for the storage's limits
/// then is answered as failed, with nothing written.
///
/// Any thread. Errors: SL_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_storage_destroy(storage: *mut SlStorage) -> SlStatus {
    boundary(|| {
        handle::remove(storage)?;
        Ok(())
    })
}

/// Reads the record under `key` (1 to 512 bytes of UTF-8), waiting up to `timeout` seconds.
///
/// With a record, `is_present` is 1, `bytes` is its value and `user_ids` a JSON array of the ids of
/// the users it belongs to. Without one, `is_present` is 0, `bytes` is empty and `user_ids` is
/// `[]`. `revision` says in either case what `locker_storage_commit` and `locker_storage_erase`
/// must find to go through: a text made by the library, to be passed back as it is.
///
/// The host frees `bytes`, `revision` and `user_ids`. Blocks; any thread. On a storage of the
/// host's own, its `fetch` runs inside this call, and the answer must come from inside it or from
/// another thread. Where that storage has limits, a request may be let go inside another call on it
/// instead, on that call's thread, and this call may run callbacks for others' requests. What the
/// limits of a storage do not let through within `timeout` is SL_ERROR_STORAGE, not SL_ERROR_TIMEOUT,
/// and is never done.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT, SL_ERROR_INVALID_UTF8,
/// SL_ERROR_OUT_OF_RANGE (the timeout), SL_ERROR_STORAGE, SL_ERROR_TIMEOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_storage_fetch(
    storage: *const SlStorage,
    key: *const c_char,
    key_length: usize,
    timeout: f64,
    is_present: *mut i32,
    bytes: *mut SlBuffer,
    revision: *mut SlBuffer,
    user_ids: *mut SlBuffer,
) -> SlStatus {
    boundary(|| {
        let storage = handle::get(storage)?;
        let key = check_key(text!(key, key_length))?;
        let timeout = number::timeout("timeout", timeout)?;
        let is_present = out!(is_present);
        let bytes = out!(bytes);
        let revision = out!(revision);
        let user_ids = out!(user_ids);
        let (found, value, ids, expected) =
            match ask(&**storage, Operation::Fetch { key }, timeout)? {
                Outcome::Fetched(Fetched::Present {
                    bytes,
                    revision,
                    user_ids,
                }) => (1, Vec::from(bytes), user_ids, Expected::Present(revision)),
                Outcome::Fetched(Fetched::Absent { tombstone }) => {
                    (0, Vec::new(), Arc::default(), Expected::Absent(tombstone))
                }
                other => return Err(wrong_answer("fetch", &other)),
            };
        is_present.set(found);
        bytes.set(value.into());
        revision.set(write_expected(&expected).into());
        user_ids.set(json_array(ids.iter().map(|id| &**id)));
        Ok(())
    })
}

/// Writes a record if the key is still as a fetch found it, waiting up to `timeout` seconds.
///
/// `bytes` (`length` of them) is the whole new value, which a locker will want to be save data;
/// `user_ids` are the users it belongs to (up to 64, of 1 to 128 bytes), in place of those stored
/// before; `expected` is the revision that `locker_storage_fetch`, or the last commit or erasure,
/// has given. `revision` gets that of the record now. **This knows nothing of sessions**: a locker
/// that holds the key loses it.
///
/// The host frees `revision`. Blocks; any thread; on a storage of the host's own as
/// `locker_storage_fetch`.
///
/// Errors: SL_ERROR_CONFLICT (the key is at another revision; nothing was written), SL_ERROR_STORAGE
/// and SL_ERROR_TIMEOUT (it may have been written, or may still be, unless the message says that nothing
/// was written), SL_ERROR_INVALID_HANDLE,
/// SL_ERROR_INVALID_ARGUMENT, SL_ERROR_INVALID_UTF8, SL_ERROR_OUT_OF_RANGE (the timeout).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_storage_commit(
    storage: *const SlStorage,
    key: *const c_char,
    key_length: usize,
    bytes: *const c_void,
    length: usize,
    user_ids: *const SlText,
    user_id_count: usize,
    expected: *const c_char,
    expected_length: usize,
    timeout: f64,
    revision: *mut SlBuffer,
) -> SlStatus {
    boundary(|| {
        let storage = handle::get(storage)?;
        let operation = Operation::Commit {
            key: check_key(text!(key, key_length))?,
            bytes: Bytes::copy_from_slice(bytes!(bytes, length)),
            user_ids: check_user_ids(texts!(user_ids, user_id_count, MAX_USER_IDS))?,
            expected: read_expected(text!(expected, expected_length))?,
        };
        let timeout = number::timeout("timeout", timeout)?;
        let revision = out!(revision);
        match ask(&**storage, operation, timeout)? {
            Outcome::Committed(now) => {
                revision.set(write_expected(&Expected::Present(now)).into());
                Ok(())
            }
            Outcome::Conflict => Err(conflict()),
            other => Err(wrong_answer("commit", &other)),
        }
    })
}

/// Removes a record, its user ids too, waiting up to `timeout` seconds. Only its revision is
/// remembered, so that no late commit can bring it back.
///
/// `expected` is a revision as for `locker_storage_commit`, or empty (NULL with length 0) to erase
/// whatever is there. A locker that holds the key loses it, and does not write it again. `revision`
/// gets that of the erasure.
///
/// The host frees `revision`. Blocks; any thread; on a storage of the host's own as
/// `locker_storage_fetch`.
///
/// Errors: as `locker_storage_commit`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_storage_erase(
    storage: *const SlStorage,
    key: *const c_char,
    key_length: usize,
    expected: *const c_char,
    expected_length: usize,
    timeout: f64,
    revision: *mut SlBuffer,
) -> SlStatus {
    boundary(|| {
        let storage = handle::get(storage)?;
        let key = check_key(text!(key, key_length))?;
        let expected = match text!(expected, expected_length) {
            "" => None,
            expected => Some(read_expected(expected)?),
        };
        let timeout = number::timeout("timeout", timeout)?;
        let revision = out!(revision);
        match ask(&**storage, Operation::Erase { key, expected }, timeout)? {
            Outcome::Erased(now) => {
                revision.set(write_expected(&Expected::Absent(Some(now))).into());
                Ok(())
            }
            Outcome::Conflict => Err(conflict()),
            other => Err(wrong_answer("erasure", &other)),
        }
    })
}

/// Lists up to `limit` keys (1 to SL_MAX_LISTED_KEYS) that begin with `prefix` (empty for all), in
/// byte order, from the first one behind `after` (empty, or NULL with length 0, for the beginning),
/// waiting up to `timeout` seconds. `keys` gets them as a JSON array of strings; the last one is
/// `after` for the next page. Erased keys are not among them.
///
/// The host frees `keys`. Blocks; any thread; on a storage of the host's own as
/// `locker_storage_fetch`.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT, SL_ERROR_INVALID_UTF8,
/// SL_ERROR_OUT_OF_RANGE (limit or timeout), SL_ERROR_STORAGE (also from a storage of the host's
/// own that cannot list), SL_ERROR_TIMEOUT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_storage_list(
    storage: *const SlStorage,
    prefix: *const c_char,
    prefix_length: usize,
    after: *const c_char,
    after_length: usize,
    limit: usize,
    timeout: f64,
    keys: *mut SlBuffer,
) -> SlStatus {
    boundary(|| {
        let storage = handle::get(storage)?;
        let prefix = text!(prefix, prefix_length);
        let after = text!(after, after_length);
        for (parameter, text) in [("prefix", prefix), ("after", after)] {
            check_length(parameter, text, 0, MAX_KEY_BYTES)?;
        }
        if !(1..=SL_MAX_LISTED_KEYS).contains(&limit) {
            let message = format!("limit is {limit}; it must be 1 to {SL_MAX_LISTED_KEYS}");
            return Err(FfiError::new(SL_ERROR_OUT_OF_RANGE, message));
        }
        let timeout = number::timeout("timeout", timeout)?;
        let keys = out!(keys);
        let operation = Operation::List {
            prefix: prefix.into(),
            after: (!after.is_empty()).then(|| after.into()),
            limit,
        };
        keys.set(ask_for_keys(&**storage, operation, timeout)?);
        Ok(())
    })
}

/// Gives the keys of the records that carry this user id (1 to 128 bytes of UTF-8), in byte order,
/// as a JSON array of strings, waiting up to `timeout` seconds: what an erasure request needs.
///
/// The host frees `keys`. Blocks; any thread; on a storage of the host's own as
/// `locker_storage_fetch`.
///
/// Errors: as `locker_storage_list`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_storage_keys_of_user(
    storage: *const SlStorage,
    user_id: *const c_char,
    user_id_length: usize,
    timeout: f64,
    keys: *mut SlBuffer,
) -> SlStatus {
    boundary(|| {
        let storage = handle::get(storage)?;
        let user_id = text!(user_id, user_id_length);
        check_length("user_id", user_id, 1, MAX_USER_ID_BYTES)?;
        let timeout = number::timeout("timeout", timeout)?;
        let keys = out!(keys);
        let user_id = user_id.into();
        let operation = Operation::KeysOfUser { user_id };
        keys.set(ask_for_keys(&**storage, operation, timeout)?);
        Ok(())
    })
}

/// A key that a storage takes.
pub(crate) fn check_key(key: &str) -> FfiResult<Arc<str>> {
    check_length("key", key, 1, MAX_KEY_BYTES)?;
    Ok(key.into())
}

/// User ids that a storage takes; their number is checked by `texts!`.
pub(crate) fn check_user_ids(user_ids: Vec<&str>) -> FfiResult<Arc<[Box<str>]>> {
    for (index, user_id) in user_ids.iter().enumerate() {
        check_length(&format!("user_ids[{index}]"), user_id, 1, MAX_USER_ID_BYTES)?;
    }
    Ok(user_ids.into_iter().map(Box::from).collect())
}

fn check_length(parameter: &str, text: &str, least: usize, most: usize) -> FfiResult<()> {
    let length = text.len();
    if (least..=most).contains(&length) {
        return Ok(());
    }
    let message = format!("has {length} bytes; it must have {least} to {most}");
    Err(FfiError::argument(parameter, message))
}

fn conflict() -> FfiError {
    FfiError::new(SL_ERROR_CONFLICT, "the key is not at the expected revision")
}

fn wrong_answer(asked: &str, answer: &Outcome) -> FfiError {
    let message = format!("the storage answered a {asked} with {answer:?}");
    FfiError::new(SL_ERROR_STORAGE, message)
}

fn ask_for_keys(
    storage: &dyn Storage,
    operation: Operation,
    timeout: Option<Duration>,
) -> FfiResult<SlBuffer> {
    match ask(storage, operation, timeout)? {
        Outcome::Keys(keys) => Ok(json_array(keys.iter().map(String::as_str))),
        other => Err(wrong_answer("list", &other)),
    }
}

fn json_array<'a>(texts: impl Iterator<Item = &'a str>) -> SlBuffer {
    let texts = texts.map(serde_json::Value::from).collect();
    serde_json::Value::Array(texts).to_string().into()
}

/// Asks a storage and waits for the answer; one that comes too late goes nowhere. What the storage's limits
/// do not let through in this time is never done.
fn ask(
    storage: &dyn Storage,
    operation: Operation,
    timeout: Option<Duration>,
) -> FfiResult<Outcome> {
    let answer = Arc::new(Answer::default());
    let sink = Arc::clone(&answer) as Arc<dyn ReplySink>;
    let patience = timeout.map_or(f64::INFINITY, |timeout| timeout.as_secs_f64());
    let responder = Responder::new(RequestId(0), sink).with_patience(patience);
    storage.submit(Request {
        operation,
        responder,
    });
    match answer.wait(storage, timeout) {
        Some(reply) => Ok(reply.result?),
        None => {
            let message = "the storage has not answered in time";
            Err(FfiError::new(SL_ERROR_TIMEOUT, message))
        }
    }
}

/// One reply, waited for.
#[derive(Default)]
struct Answer {
    reply: Mutex<Option<Reply>>,
    arrived: Condvar,
}

/// How often a wait looks whether a request that waits for the storage's limits may go.
const TICK: Duration = Duration::from_millis(1);

impl Answer {
    fn wait(&self, storage: &dyn Storage, timeout: Option<Duration>) -> Option<Reply> {
        // A time that the clock cannot tell is no limit.
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let is_over = until.is_some_and(|until| Instant::now() >= until);
            // Without a lock: the storage may answer inside. When the time is over, it refuses what it has not
            // let through.
            let still_waits = storage.tick();
            let next_look = still_waits.then(|| Instant::now() + TICK);
            let mut reply = self.reply.lock();
            let missing = |reply: &mut Option<Reply>| reply.is_none();
            match until.into_iter().chain(next_look).min() {
                Some(at) => {
                    self.arrived.wait_while_until(&mut reply, missing, at);
                }
                None => self.arrived.wait_while(&mut reply, missing),
            }
            if reply.is_some() || is_over {
                return reply.take();
            }
        }
    }
}

impl ReplySink for Answer {
    fn deliver(&self, reply: Reply) {
        *self.reply.lock() = Some(reply);
        self.arrived.notify_one();
    }
}

/// The text by which a host passes a key's state from one call to the next: `n:7` or `b:6f70` for a
/// record at that revision (a number, or bytes in hexadecimal), `-` for a key that was never there,
/// `-n:7` for one erased at that revision.
fn write_expected(expected: &Expected) -> String {
    match expected {
        Expected::Present(revision) => write_revision(revision),
        Expected::Absent(None) => "-".to_owned(),
        Expected::Absent(Some(revision)) => format!("-{}", write_revision(revision)),
    }
}

fn write_revision(revision: &Revision) -> String {
    match (revision.as_u64(), revision.as_bytes()) {
        (Some(number), _) => format!("n:{number}"),
        (None, bytes) => {
            let digits = bytes.unwrap_or_default().iter();
            let digits = digits.map(|byte| format!("{byte:02x}"));
            format!("b:{}", digits.collect::<String>())
        }
    }
}

fn read_expected(text: &str) -> FfiResult<Expected> {
    let expected = match text.strip_prefix('-') {
        Some("") => Some(Expected::Absent(None)),
        Some(revision) => read_revision(revision).map(|known| Expected::Absent(Some(known))),
        None => read_revision(text).map(Expected::Present),
    };
    expected.ok_or_else(|| {
        FfiError::argument(
            "expected",
            format!("is {text:?}, which no call has given as a revision"),
        )
    })
}

fn read_revision(text: &str) -> Option<Revision> {
    match text.split_once(':')? {
        ("n", digits) => {
            let number = digits.parse::<u64>().ok()?;
            // No second spelling of a number: "+7" and "07" are not what we gave out.
            (number.to_string() == digits).then(|| Revision::from_u64(number))
        }
        ("b", digits) => {
            let pairs = digits.as_bytes().chunks(2);
            let bytes = pairs.map(|pair| match pair {
                [
                    high @ (b'0'..=b'9' | b'a'..=b'f'),
                    low @ (b'0'..=b'9' | b'a'..=b'f'),
                ] => {
                    let digit = |byte: &u8| (*byte as char).to_digit(16);
                    Some((digit(high)? * 16 + digit(low)?) as u8)
                }
                _ => None,
            });
            Revision::from_bytes(&bytes.collect::<Option<Vec<u8>>>()?)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_of_a_key_comes_back_from_its_text() {
        let bytes = Revision::from_bytes(b"\x00op\xff").unwrap();
        for (expected, text) in [
            (Expected::Absent(None), "-"),
            (Expected::Absent(Some(Revision::from_u64(0))), "-n:0"),
            (
                Expected::Present(Revision::from_u64(u64::MAX)),
                "n:18446744073709551615",
            ),
            (Expected::Present(bytes.clone()), "b:006f70ff"),
            (Expected::Absent(Some(bytes)), "-b:006f70ff"),
        ] {
            assert_eq!(write_expected(&expected), text);
            assert_eq!(read_expected(text), Ok(expected));
        }
    }

    #[test]
    fn a_text_that_no_call_has_given_is_no_revision() {
        let long = format!("b:{}", "00".repeat(65));
        for text in [
            "",
            "n",
            "n:",
            "n:-1",
            "n:+7",
            "n:07",
            "n:18446744073709551616",
            "b:",
            "b:0",
            "b:0G",
            "b:AB",
            "x:1",
            "--",
            "--n:1",
            "n:1 ",
            &long,
        ] {
            let error = read_expected(text).unwrap_err();
            assert_eq!(error.status, SL_ERROR_INVALID_ARGUMENT, "{text}");
        }
    }
}
