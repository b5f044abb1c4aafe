//! Steps on storages, on requests to the host's own, and on migrators.

use session_locker::ffi::*;

use super::arguments::{
    Buffer, IDS, KEYS, Out, RECORDS, Struct, Text, Texts, integer, lent, number,
};
use super::check::{ARGUMENT, Allowed, Begun, TEXT, call};
use super::hooks;
use super::host_storage::{callbacks, let_go};
use super::on_save_data::{destroyed, ending, kept};
use super::script::Frame;
use super::steps::Step;
use super::world::{Kind, NOTHING, Standing, Token, pick, world};

pub const STEPS: &[Step] = &[
    open,
    open_host,
    destroy,
    fetch,
    commit,
    erase,
    list,
    keys_of_user,
    answer_held,
    fetched,
    absent,
    committed,
    erased,
    conflict,
    keys,
    failed,
    create_builder,
    add_migrator,
    add_patcher,
    check_version,
    build,
    destroy_builder,
    migrate,
    destroy_migrators,
];

/// What came later.
pub const LATER: &[Step] = &[open_limited, open_limited_host, stats];

/// None that lets anybody wait in real time: of these engines every answer comes at once.
const LIMITED_URLS: [&str; 5] = [
    "memory:?requests_in_flight=1",
    "memory:limited?requests_in_flight=2&requests_per_second=1000000",
    "memory:shared?requests_in_flight=3",
    "memory:?requests_in_flight=0",
    "memory:?requests_per_second=1000001",
];

const URLS: [&str; 5] = [
    "memory:",
    "memory:shared",
    "memory:x?y",
    "nothing://",
    "sqlite:/no/where/x",
];

/// Of every tool's call on a storage.
const TOOL: &[SlStatus] = &[
    SL_ERROR_INVALID_ARGUMENT,
    SL_ERROR_INVALID_UTF8,
    SL_ERROR_OUT_OF_RANGE,
    SL_ERROR_STORAGE,
    SL_ERROR_TIMEOUT,
];

pub fn open(frame: &mut Frame) {
    open_one_of(frame, &URLS);
}

fn open_limited(frame: &mut Frame) {
    open_one_of(frame, &LIMITED_URLS);
}

fn open_one_of(frame: &mut Frame, urls: &[&str]) {
    let url = Text::draw(frame, urls);
    let mut storage = Out::<*mut SlStorage>::draw(frame);
    let status = call!(locker_storage_open(; url.data(), url.length(); storage)
        or &[TEXT, &[SL_ERROR_STORAGE]]);
    kept(&storage, status, 0, NOTHING);
}

pub fn open_host(frame: &mut Frame) {
    open_host_with(frame, |_, _| ());
}

/// Its answers make room one at a time, and whoever waits for that does so in the host's time.
fn open_limited_host(frame: &mut Frame) {
    open_host_with(frame, |frame, table| {
        table.requests_in_flight = match frame.seldom(64) {
            true => 1_000_001,
            false => u32::from(frame.byte() % 4),
        };
    });
}

fn open_host_with(frame: &mut Frame, limit: impl FnOnce(&mut Frame, &mut SlStorageCallbacks)) {
    let mut table = Struct::new(locker_storage_callbacks_init);
    callbacks(frame, table.get());
    limit(frame, table.get());
    table.get().drop = Some(hooks::end);
    table.get().reserved = u32::from(frame.seldom(64));
    table.spoil(frame);
    let token = Token::new("a storage", true, false);
    let mut storage = Out::<*mut SlStorage>::draw(frame);
    let status = call!(locker_storage_open_host(; table.place(), token.user_data(); storage)
        or &[ARGUMENT, &[SL_ERROR_OUT_OF_RANGE]]);
    token.settle(status == SL_OK);
    kept(&storage, status, 0, token.0);
}

/// Figures, which add up whatever has happened.
fn stats(frame: &mut Frame) {
    let storage = pick::<SlStorage>(frame);
    let mut stats = no_stats();
    stats.spoil(frame);
    let status = call!(locker_storage_get_stats(storage; stats.place();) or &[ARGUMENT]);
    if status == SL_OK {
        let stats = stats.get();
        let elsewhere = stats.refused + stats.given_up + stats.in_flight + waiting(stats);
        assert_eq!(requests(stats), answers(stats) + elsewhere, "{stats:?}");
        assert_eq!(stats.given_up, 0);
    }
}

/// Room for figures.
pub fn no_stats() -> Struct<SlRequestStats> {
    // SAFETY: they are integers, of which zero is one.
    Struct::of(unsafe { std::mem::zeroed() })
}

pub fn requests(stats: &SlRequestStats) -> u64 {
    stats.fetches + stats.commits + stats.erasures + stats.lists
}

pub fn answers(stats: &SlRequestStats) -> u64 {
    stats.latencies.iter().sum()
}

fn waiting(stats: &SlRequestStats) -> u64 {
    stats.waiting_saves + stats.waiting_loads + stats.waiting_others
}

fn destroy(frame: &mut Frame) {
    let storage = pick::<SlStorage>(frame);
    ending(&storage);
    let status = call!(locker_storage_destroy(storage;;) or &[]);
    destroyed(&storage, status);
}

/// How long a tool waits: on a storage of the host's own it would be real time, so it only looks.
fn timeout(frame: &mut Frame, storage: usize) -> f64 {
    let timeout = number(frame);
    let known = world(|world| world.find(Kind::Storage, storage));
    match known {
        Some(known) if known.token != NOTHING && timeout > 0.0 => 0.0,
        _ => timeout,
    }
}

fn fetch(frame: &mut Frame) {
    let (storage, key) = (pick::<SlStorage>(frame), Text::draw(frame, &KEYS));
    let timeout = timeout(frame, storage.address);
    let (mut is_present, mut bytes) = (Out::<i32>::draw(frame), Out::<Buffer>::draw(frame));
    let (mut revision, mut ids) = (Out::<Buffer>::draw(frame), Out::<Buffer>::draw(frame));
    let status = call!(locker_storage_fetch(storage; key.data(), key.length(), timeout;
        is_present, bytes, revision, ids) or &[TOOL]);
    for text in [bytes, revision, ids] {
        text.text(status);
    }
}

/// Writes a record where the storage says it may.
pub fn commit(frame: &mut Frame) {
    let (storage, key) = (pick::<SlStorage>(frame), Text::draw(frame, &KEYS));
    let (bytes, ids) = (Text::draw(frame, &RECORDS), Texts::draw(frame, &IDS));
    let timeout = timeout(frame, storage.address);
    let known = expected(frame, storage.address, storage.standing, &key);
    let storage = storage.again();
    let mut revision = Out::<Buffer>::draw(frame);
    let status = call!(locker_storage_commit(storage; key.data(), key.length(), bytes.bytes(),
        bytes.byte_length(), ids.data(), ids.count(), known.as_ptr().cast(), known.len(),
        timeout; revision) or &[TOOL, &[SL_ERROR_CONFLICT]]);
    revision.text(status);
}

/// What the storage expects to be told; seldom something else.
fn expected(frame: &mut Frame, storage: usize, standing: Standing, key: &Text) -> Vec<u8> {
    if frame.seldom(8) {
        return frame.one_of(&["n:1", "-", "b:00", "", "x", "-n:2"]).into();
    }
    let picked = world(|world| world.find(Kind::Storage, storage));
    let Some(known) = picked.filter(|_| standing == Standing::Live) else {
        return b"-".to_vec();
    };
    let storage = super::world::Picked::<SlStorage>::of(known);
    let (mut is_present, mut bytes) = (Out::<i32>::new(false), Out::<Buffer>::new(false));
    let (mut revision, mut ids) = (Out::<Buffer>::new(false), Out::<Buffer>::new(false));
    let status = call!(locker_storage_fetch(storage; key.data(), key.length(), 0.0; is_present,
        bytes, revision, ids) or &[TOOL]);
    bytes.text(status);
    ids.text(status);
    revision.text(status).unwrap_or_default()
}

pub fn erase(frame: &mut Frame) {
    let (storage, key) = (pick::<SlStorage>(frame), Text::draw(frame, &KEYS));
    let timeout = timeout(frame, storage.address);
    let known = match frame.below(2) {
        0 => Vec::new(),
        _ => expected(frame, storage.address, storage.standing, &key),
    };
    let storage = storage.again();
    let mut revision = Out::<Buffer>::draw(frame);
    let status = call!(locker_storage_erase(storage; key.data(), key.length(),
        known.as_ptr().cast(), known.len(), timeout; revision) or &[TOOL, &[SL_ERROR_CONFLICT]]);
    revision.text(status);
}

fn list(frame: &mut Frame) {
    let (storage, prefix) = (pick::<SlStorage>(frame), Text::maybe(frame, &KEYS));
    let after = Text::maybe(frame, &KEYS);
    let limit = frame.one_of(&[10, 1, SL_MAX_LISTED_KEYS, 0, usize::MAX]);
    let timeout = timeout(frame, storage.address);
    let mut keys = Out::<Buffer>::draw(frame);
    let status = call!(locker_storage_list(storage; prefix.data(), prefix.length(), after.data(),
        after.length(), limit, timeout; keys) or &[TOOL]);
    keys.text(status);
}

fn keys_of_user(frame: &mut Frame) {
    let (storage, id) = (pick::<SlStorage>(frame), Text::draw(frame, &IDS));
    let timeout = timeout(frame, storage.address);
    let mut keys = Out::<Buffer>::draw(frame);
    let status = call!(locker_storage_keys_of_user(storage; id.data(), id.length(), timeout; keys)
        or &[TOOL]);
    keys.text(status);
}

/// Answers what was held back.
pub fn answer_held(frame: &mut Frame) {
    let_go(frame.byte().into());
}

/// Of every answer to a request.
const ANSWER: &[SlStatus] = &[
    SL_ERROR_INVALID_ARGUMENT,
    SL_ERROR_INVALID_UTF8,
    SL_ERROR_OUT_OF_RANGE,
];

fn fetched(frame: &mut Frame) {
    let (request, bytes) = (pick::<SlStorageRequest>(frame), Text::draw(frame, &RECORDS));
    let (revision, ids) = (Text::draw(frame, &IDS), Texts::draw(frame, &IDS));
    let clock = number(frame);
    ending(&request);
    let status = call!(storage_request_fetched(request; bytes.bytes(), bytes.byte_length(),
        revision.data(), revision.length(), ids.data(), ids.count(), clock;) or &[ANSWER]);
    destroyed(&request, status);
}

fn absent(frame: &mut Frame) {
    let (request, revision) = (pick::<SlStorageRequest>(frame), Text::maybe(frame, &IDS));
    let clock = number(frame);
    ending(&request);
    let status = call!(storage_request_absent(request; revision.data(), revision.length(), clock;)
        or &[ANSWER]);
    destroyed(&request, status);
}

fn committed(frame: &mut Frame) {
    let (request, revision) = (pick::<SlStorageRequest>(frame), Text::draw(frame, &IDS));
    let clock = number(frame);
    ending(&request);
    let status = call!(storage_request_committed(request; revision.data(), revision.length(),
        clock;) or &[ANSWER]);
    destroyed(&request, status);
}

fn erased(frame: &mut Frame) {
    let (request, revision) = (pick::<SlStorageRequest>(frame), Text::draw(frame, &IDS));
    let clock = number(frame);
    ending(&request);
    let status = call!(storage_request_erased(request; revision.data(), revision.length(), clock;)
        or &[ANSWER]);
    destroyed(&request, status);
}

fn conflict(frame: &mut Frame) {
    let (request, clock) = (pick::<SlStorageRequest>(frame), number(frame));
    ending(&request);
    let status = call!(storage_request_conflict(request; clock;) or &[ANSWER]);
    destroyed(&request, status);
}

fn keys(frame: &mut Frame) {
    let (request, keys) = (pick::<SlStorageRequest>(frame), Texts::draw(frame, &KEYS));
    ending(&request);
    let status = call!(storage_request_keys(request; keys.data(), keys.count();) or &[ANSWER]);
    destroyed(&request, status);
}

fn failed(frame: &mut Frame) {
    let (request, message) = (pick::<SlStorageRequest>(frame), Text::maybe(frame, &IDS));
    let (kind, clock) = (integer(frame) as i32, number(frame));
    ending(&request);
    let status = call!(storage_request_failed(request; kind, message.data(), message.length(),
        clock;) or &[ANSWER]);
    destroyed(&request, status);
}

pub fn create_builder(frame: &mut Frame) {
    let mut builder = Out::<*mut SlMigratorBuilder>::draw(frame);
    let status = call!(migrator_builder_create(;; builder) or &[ARGUMENT]);
    kept(&builder, status, 0, NOTHING);
}

const MIGRATION: Allowed<'_> = &[&[SL_ERROR_INVALID_ARGUMENT, SL_ERROR_MIGRATION]];

pub fn add_migrator(frame: &mut Frame) {
    let builder = pick::<SlMigratorBuilder>(frame);
    let from = frame.one_of(&[0, 1, 2, 3, u32::MAX]);
    let migrator = (!frame.seldom(32)).then_some(hooks::migrate as _);
    let token = Token::new("a migrator", frame.byte() < 240, false);
    let drop = world(|world| world.handed[token.0].has_drop).then_some(hooks::end as _);
    let status = call!(migrator_builder_add_migrator_from(builder; from, migrator,
        token.user_data(), drop;) or MIGRATION);
    token.settle(status == SL_OK);
}

fn add_patcher(frame: &mut Frame) {
    let builder = pick::<SlMigratorBuilder>(frame);
    let version = frame.one_of(&[1, 0, 2, 3, u32::MAX]);
    let patcher = (!frame.seldom(32)).then_some(hooks::migrate as _);
    let token = Token::new("a patcher", true, false);
    let status = call!(migrator_builder_add_patcher_for(builder; version, patcher,
        token.user_data(), Some(hooks::end);) or MIGRATION);
    token.settle(status == SL_OK);
}

fn check_version(frame: &mut Frame) {
    let builder = pick::<SlMigratorBuilder>(frame);
    let current = frame.one_of(&[1, 0, 2, 3, u32::MAX]);
    call!(migrator_builder_check_version(builder; current;) or &[&[SL_ERROR_MIGRATION]]);
}

pub fn build(frame: &mut Frame) {
    let builder = pick::<SlMigratorBuilder>(frame);
    let mut migrators = Out::<*mut SlMigrators>::draw(frame);
    let status = call!(migrator_builder_build(builder;; migrators) or MIGRATION);
    kept(&migrators, status, 0, NOTHING);
}

fn destroy_builder(frame: &mut Frame) {
    let builder = pick::<SlMigratorBuilder>(frame);
    ending(&builder);
    let status = call!(migrator_builder_destroy(builder;;) or &[]);
    destroyed(&builder, status);
}

fn migrate(frame: &mut Frame) {
    let (migrators, data) = (pick::<SlMigrators>(frame), pick::<SlSaveData>(frame));
    let to_version = frame.one_of(&[1, 0, 2, 3, u32::MAX]);
    call!(migrators_migrate(migrators, data; to_version;)
        or &[&[SL_ERROR_UNSUPPORTED, SL_ERROR_MIGRATION]]);
}

fn destroy_migrators(frame: &mut Frame) {
    let migrators = pick::<SlMigrators>(frame);
    ending(&migrators);
    let status = call!(migrators_destroy(migrators;;) or &[]);
    destroyed(&migrators, status);
}

/// The texts of a struct that the library has filled.
pub fn texts_of(texts: &[SlText]) {
    for text in texts {
        assert!(String::from_utf8(lent(*text)).is_ok());
    }
}
