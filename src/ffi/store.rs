//! `SlEasyStore`: sessions for a whole game server, driven by one update.

use std::collections::HashMap;
use std::ffi::{c_char, c_void};
use std::sync::Arc;

use parking_lot::Mutex;

use super::boundary::boundary;
use super::callback::{SlDrop, UserData};
use super::clock::SlClock;
use super::config::{self, Versioned};
use super::defaults::{SlReportError, host_reporter};
use super::drain::{self, SlDrainReport};
use super::error::{FfiError, FfiResult};
use super::event::{SlEvent, Told};
use super::handle::{self, Kind};
use super::inbox::{self, SlMergeOfflineSaveData, SlProcessRemoteChange};
use super::migrator::SlMigrators;
use super::number;
use super::profile::{self, SlProfile};
use super::session_options::SlSessionOptions;
use super::settings::{SlCreateSaveData, create_save_data};
use super::stats::SlRequestStats;
use super::status::*;
use super::storage::SlStorage;
use crate::easy::{EasyStore, ProfileId, StoreEvent, StoreHooks};
use crate::locker::{HookAnswer, LockerError, ReportError, SharedSaveData};
use crate::save_data::{RemoteChange, SaveData};

/// Sessions for a whole game server: the seed's `EasyStore`. One `easy_store_update` a frame drives
/// everything. Free it with `easy_store_destroy`, after `easy_store_drain`.
pub struct SlEasyStore(());
handle_kind!(SlEasyStore, Kind::EasyStore, StoreObject);

/// Told of everything that happens in a store or spec. `event` lives until the callback returns.
/// Runs inside an update, wait, drain or destruction that the host called, on that thread, with no
/// lock held, and may call any function but another update of the same store.
pub type SlEventCallback =
    Option<unsafe extern "C" fn(user_data: *mut c_void, event: *const SlEvent)>;

/// What a store is made with. `easy_store_config_init` fills in the defaults; times are seconds.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SlEasyStoreConfig {
    /// `sizeof(SlEasyStoreConfig)`.
    pub struct_size: u32,
    /// The version of the save data this server writes, 1 or more (1).
    pub save_data_version: u32,
    /// The `VersionPatch` of new documents (0).
    pub save_data_version_patch: f64,
    /// How older documents are brought up to date; NULL for none. The store keeps its own.
    pub migrators: *const SlMigrators,
    /// The fields of a new document, a JSON object; NULL if `create_save_data` makes them.
    pub template_json: *const c_char,
    /// Bytes. Left alone, it is SL_NUL_TERMINATED.
    pub template_json_length: usize,
    /// A document to show under every key that this store has not written, for tests; then nothing
    /// is read from or written to the storage. Like a stored one it needs its `Version`. NULL for none.
    pub test_data_json: *const c_char,
    /// Bytes. Left alone, it is SL_NUL_TERMINATED.
    pub test_data_json_length: usize,
    /// Which server this is, for people who read a document; NULL for a random one.
    pub job_id: *const c_char,
    /// Bytes. Left alone, it is SL_NUL_TERMINATED.
    pub job_id_length: usize,
    /// Which game this is, for people who read a document (0).
    pub place_id: i64,
    /// The longest that a session goes without a save (300).
    pub maintain_session_period: f64,
    /// How long a session that stopped saving keeps its key (1800); the larger counts of this and what
    /// the session has written. Must be more than
    /// `maintain_session_period` + 2 `request_timeout` + max(`request_timeout`, a twentieth of it).
    pub session_expiry: f64,
    /// How far apart the servers' clocks may be, on a storage without a clock of its own (300).
    pub clock_tolerance: f64,
    /// The wait before a locked key is asked for again, and after a first failure (10).
    pub session_retry_cooldown: f64,
    /// What that wait doubles up to while the storage keeps failing (120).
    pub session_retry_ceiling: f64,
    /// How long a request may go unanswered before it counts as failed (30).
    pub request_timeout: f64,
    /// The largest document that may be written, reserved fields not counted, in bytes (4 MiB).
    pub document_limit_bytes: u64,
    /// The most bytes of documents that one update reads and writes (256 KiB).
    pub bytes_per_update: u64,
    /// How many purchases a document remembers (100).
    pub purchase_history_limit: u32,
    /// The most requests that one update starts (48).
    pub requests_per_update: u32,
    /// The most requests under way at once (4096).
    pub requests_in_flight: u32,
    /// 1: the storage is read but never written; what is written stays in this store (0).
    pub read_only_data_stores: i32,
    /// 1: events wait for `easy_store_poll_event`; 0: they go to `event` (0).
    pub polls_events: i32,
    /// 1: the steps of each session are logged, and errors that nobody hears are logged in full (0).
    /// See `session_locker_set_log_callback`.
    pub verbose_logs: i32,
    /// Clocks of the host's own; NULL for the system's. The table is copied.
    pub clock: *const SlClock,
    /// What all chance is drawn from; 0 for a seed from the operating system. Servers that share a
    /// storage must never share a seed; one that is started again may have its old one, for the wall
    /// clock goes into each lock id too.
    pub seed: u64,
    /// Passed to the callbacks below.
    pub user_data: *mut c_void,
    /// Makes a new document; NULL if there is a template.
    pub create_save_data: SlCreateSaveData,
    /// Told of events; may be NULL. Not called with `polls_events`.
    pub event: SlEventCallback,
    /// Applies remote changes; with NULL they stay in the inbox.
    pub process_remote_change: SlProcessRemoteChange,
    /// Takes over what was written before the load; with NULL that is dropped.
    pub merge_offline_save_data: SlMergeOfflineSaveData,
    /// Told of every failure, beside SL_EVENT_ERROR and before it; with NULL, and if the host hears no
    /// events, the process-wide reporters are told.
    pub report_error: SlReportError,
    /// May be NULL; else called once with `user_data`, when the store is gone.
    pub drop: SlDrop,
}

// SAFETY: `repr(C)` with its size first; numbers, raw pointers and optional function pointers, with
// explicit padding.
unsafe impl Versioned for SlEasyStoreConfig {
    const NAME: &'static str = "SlEasyStoreConfig";
    const FIRST_SIZE: usize = 240;

    fn defaults() -> Self {
        default_settings!(SlEasyStoreConfig {
            user_data: std::ptr::null_mut(),
            create_save_data: None,
            event: None,
            process_remote_change: None,
            merge_offline_save_data: None,
            report_error: None,
            drop: None,
        })
    }
}

/// What a store's handle names.
pub(crate) struct StoreObject {
    pub(crate) store: EasyStore,
    pub(crate) profiles: Arc<ProfileHandles>,
    /// What the last poll lent to the host.
    polled: Mutex<Vec<Told>>,
}

/// The handles of a store's profiles, as numbers.
#[derive(Default)]
pub(crate) struct ProfileHandles(Mutex<HashMap<ProfileId, usize>>);

impl ProfileHandles {
    /// Notes a profile that `make` starts; whoever asks meanwhile waits until it is noted.
    pub(crate) fn register(
        &self,
        make: impl FnOnce() -> FfiResult<(ProfileId, *mut SlProfile)>,
    ) -> FfiResult<*mut SlProfile> {
        let mut handles = self.0.lock();
        let (id, handle) = make()?;
        handles.insert(id, handle.addr());
        Ok(handle)
    }

    pub(crate) fn remove(&self, id: ProfileId) {
        self.0.lock().remove(&id);
    }

    /// NULL for a profile that the host has destroyed.
    pub(crate) fn get(&self, id: ProfileId) -> *mut SlProfile {
        let handle = self.0.lock().get(&id).copied();
        std::ptr::without_provenance_mut(handle.unwrap_or(0))
    }

    fn take_all(&self) -> Vec<*mut SlProfile> {
        let all = std::mem::take(&mut *self.0.lock());
        all.into_values()
            .map(std::ptr::without_provenance_mut)
            .collect()
    }
}

/// The host's callbacks as the library's hooks.
struct HostHooks {
    user_data: Arc<UserData>,
    /// Kept as long as the store: the clock's table ends with it.
    _clock_data: Option<Arc<UserData>>,
    create: SlCreateSaveData,
    event: SlEventCallback,
    process_remote_change: SlProcessRemoteChange,
    merge_offline_save_data: SlMergeOfflineSaveData,
    report_error: Option<ReportError>,
    limit_bytes: usize,
    profiles: Arc<ProfileHandles>,
}

impl StoreHooks for HostHooks {
    fn create(&self, key: &str) -> Result<SaveData, String> {
        create_save_data(self.create, &self.user_data, key, self.limit_bytes)
    }

    fn process_remote_change(
        &self,
        key: &str,
        data: &Arc<SharedSaveData>,
        change: &RemoteChange,
    ) -> Result<HookAnswer, String> {
        let process = self.process_remote_change;
        inbox::process_remote_change(process, &self.user_data, key, data, change)
    }

    fn has_process_remote_change(&self) -> bool {
        self.process_remote_change.is_some()
    }

    fn merge_offline(
        &self,
        key: &str,
        offline: SaveData,
        data: &Arc<SharedSaveData>,
    ) -> Result<(), String> {
        let merge = self.merge_offline_save_data;
        inbox::merge_offline(merge, &self.user_data, key, offline, data)
    }

    fn has_merge_offline(&self) -> bool {
        self.merge_offline_save_data.is_some()
    }

    fn hears_events(&self) -> bool {
        self.event.is_some()
    }

    fn report_error(&self) -> Option<&ReportError> {
        self.report_error.as_ref()
    }

    fn event(&self, event: &StoreEvent) {
        let Some(callback) = self.event else { return };
        let told = Told::of_profile(self.profiles.get(event.profile), event);
        let event = told.event();
        // SAFETY: the host gave the function for this purpose and this user data; the event and
        // its text outlive the call.
        unsafe { callback(self.user_data.pointer(), &raw const event) }
    }
}

impl From<LockerError> for FfiError {
    fn from(error: LockerError) -> Self {
        use LockerError as E;
        let status = match &error {
            E::Busy | E::NotIdle => SL_ERROR_BUSY,
            E::Poisoned => SL_ERROR_PANIC,
            E::Closed => SL_ERROR_CLOSED,
            E::NotActive(_) => SL_ERROR_NOT_ACTIVE,
            E::UnreadEvents { .. } | E::TooMany { .. } => SL_ERROR_LIMIT,
            E::InvalidKey { .. }
            | E::InvalidUserId { .. }
            | E::TooManyUserIds { .. }
            | E::UserIdsOfPlayer
            | E::Template(_)
            | E::InvalidLogPrefix { .. }
            | E::InvalidPurchaseId { .. }
            | E::InvalidReceiptUserId { .. }
            | E::Config(_) => SL_ERROR_INVALID_ARGUMENT,
        };
        Self::new(status, error.to_string())
    }
}

/// Fills a configuration of `struct_size` bytes, `sizeof(SlEasyStoreConfig)`, with the defaults,
/// among them those that `session_locker_set_default` has set. Any thread.
///
/// Errors: SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn easy_store_config_init(
    config: *mut SlEasyStoreConfig,
    struct_size: usize,
) -> SlStatus {
    // SAFETY: the export's own contract, rule 4 of `ffi`.
    boundary(|| unsafe { config::init("config", config, struct_size) })
}

/// Makes a store for the records of a storage. The configuration is copied, and the storage stays
/// open as long as the store lives, also when its handle is destroyed.
///
/// When this returns SL_OK, `config.user_data` is the store's, and `config.drop` ends it;
/// otherwise it stays the host's. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE (the storage, the migrators), SL_ERROR_INVALID_ARGUMENT (a
/// field, named), SL_ERROR_INVALID_UTF8, SL_ERROR_INVALID_JSON, SL_ERROR_WRONG_TYPE and
/// SL_ERROR_TOO_LARGE (the template), SL_ERROR_UNSUPPORTED (no random numbers).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn easy_store_create(
    storage: *const SlStorage,
    config: *const SlEasyStoreConfig,
    store: *mut *mut SlEasyStore,
) -> SlStatus {
    boundary(|| {
        let storage = Arc::clone(&*handle::get(storage)?);
        let config = config!(config);
        let store = out!(store);
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        let made = unsafe { settings!(config).options(storage, config.create_save_data.is_some()) };
        let made = made?;
        let user_data = UserData::new(config.user_data, config.drop);
        let profiles = Arc::<ProfileHandles>::default();
        let hooks = HostHooks {
            user_data: Arc::clone(&user_data),
            _clock_data: made.clock_data.clone(),
            create: config.create_save_data,
            event: config.event,
            process_remote_change: config.process_remote_change,
            merge_offline_save_data: config.merge_offline_save_data,
            report_error: host_reporter(config.report_error, Arc::clone(&user_data)),
            limit_bytes: made.options.config.document_limit_bytes,
            profiles: Arc::clone(&profiles),
        };
        let easy_store = EasyStore::new(made.storage, made.options, Box::new(hooks))?;
        let object = StoreObject {
            store: easy_store,
            profiles,
            polled: Mutex::default(),
        };
        let handle = handle::insert(Arc::new(object))?;
        user_data.accept();
        made.clock_data.inspect(|clock_data| clock_data.accept());
        store.set(handle);
        Ok(())
    })
}

/// Begins a session for a key (1 to 512 bytes of UTF-8). The profile is loaded once the key is
/// ours: see `profile_is_loaded`, SL_SIGNAL_LOADED, `profile_wait_until_loaded`. While another
/// session of this store has the key, this one waits until that has ended.
///
/// `options` may be NULL. Free the profile with `profile_destroy`. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT (the key, an option, named),
/// SL_ERROR_INVALID_UTF8, SL_ERROR_CLOSED, SL_ERROR_LIMIT (65 536 unread events, or too many
/// profiles), SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn easy_store_start_session(
    store: *const SlEasyStore,
    key: *const c_char,
    key_length: usize,
    options: *const SlSessionOptions,
    profile: *mut *mut SlProfile,
) -> SlStatus {
    boundary(|| {
        let store = handle::get(store)?;
        let key = text!(key, key_length);
        let options = session_options!(options);
        let profile = out!(profile);
        let start = || store.store.start_session_with(key, &options.options());
        profile.set(profile::insert(&store, start)?);
        Ok(())
    })
}

/// Like `easy_store_start_session`, but joins the session that this store has of the key, if it has
/// one: on a loaded session the profile is loaded at once, and the session ends when the last of
/// its profiles has ended. The options count only if the session begins here.
///
/// Errors as for `easy_store_start_session`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn easy_store_start_session_reusable(
    store: *const SlEasyStore,
    key: *const c_char,
    key_length: usize,
    options: *const SlSessionOptions,
    profile: *mut *mut SlProfile,
) -> SlStatus {
    boundary(|| {
        let store = handle::get(store)?;
        let key = text!(key, key_length);
        let options = session_options!(options);
        let profile = out!(profile);
        let start = || {
            store
                .store
                .start_session_reusable_with(key, &options.options())
        };
        profile.set(profile::insert(&store, start)?);
        Ok(())
    })
}

/// Does all there is to do, once a frame: takes what the storage has answered, saves, loads, runs
/// hooks, processes purchases, sends remote changes and tells events, all on this thread. Never waits for the storage.
///
/// `now` is in seconds that never run backwards, from any epoch, time asleep included; a smaller
/// value than the last counts as the last. The first is read after the store was created (law 1).
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_OUT_OF_RANGE (`now` is not between -1e15 and 1e15),
/// SL_ERROR_BUSY (an update, wait or drain of this store is under way, on another thread or around
/// this callback), SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn easy_store_update(store: *const SlEasyStore, now: f64) -> SlStatus {
    boundary(|| {
        let store = handle::get(store)?;
        let now = number::moment("now", now)?;
        Ok(store.store.update(now)?)
    })
}

/// Takes up to `capacity` unread events, oldest first, into the array `events`, and says in `count`
/// how many; 0 when there is none. Only for a store with `polls_events`; others have none.
///
/// Their texts belong to the library and live until the next poll of this store, or its
/// destruction. Any thread, one at a time.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn easy_store_poll_event(
    store: *const SlEasyStore,
    events: *mut SlEvent,
    capacity: usize,
    count: *mut usize,
) -> SlStatus {
    boundary(|| {
        let store = handle::get(store)?;
        let count = out!(count);
        check_events(events, capacity)?;
        let polled = store.store.poll_events(capacity);
        let of_profile =
            |event: StoreEvent| Told::of_profile(store.profiles.get(event.profile), &event);
        // SAFETY: the export's own contract, rule 4 of `ffi`: room for `capacity` events.
        count.set(unsafe { lend_events(&store.polled, polled, of_profile, events) });
        Ok(())
    })
}

/// What the store's sessions and sends have asked of the storage, how it has answered, and how many wait
/// for the limits of the store's config, in `stats`, whose `struct_size` the host has set. All that use
/// the storage, and who waits for its own limits, are in `locker_storage_get_stats`; the look at a gift's
/// recipient is there alone. Any thread; also inside callbacks. It costs about a microsecond.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT (NULL, a `struct_size` that is none),
/// SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn easy_store_get_stats(
    store: *const SlEasyStore,
    stats: *mut SlRequestStats,
) -> SlStatus {
    boundary(|| {
        let store = handle::get(store)?;
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        let out = unsafe { config::Fill::new("stats", stats) }?;
        out.set(store.store.stats()?.into());
        Ok(())
    })
}

/// Begins shutdown: no session or send starts any more, all sessions are saved and end, and remote
/// changes that are on their way go on. A purchase that is not granted by its session's end is answered
/// with 0; a gift that is on its way keeps the purchaser's session until it has arrived. Goes on in
/// `easy_store_update` until `easy_store_is_closed`, or all at once in `easy_store_drain`. Any
/// thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn easy_store_close(store: *const SlEasyStore) -> SlStatus {
    boundary(|| Ok(handle::get(store)?.store.close()?))
}

/// Whether the store was closed, every session is released and every purchase and send answered: 1 or 0
/// in `is_closed`. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT, SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn easy_store_is_closed(
    store: *const SlEasyStore,
    is_closed: *mut i32,
) -> SlStatus {
    boundary(|| {
        let store = handle::get(store)?;
        let is_closed = out!(is_closed);
        is_closed.set(store.store.is_closed()?.into());
        Ok(())
    })
}

/// Closes the store and updates it until every session is released and every purchase and send answered,
/// or `timeout` seconds have passed; saves come first, then loads, then sends. Blocks; for shutdown. May
/// be called again to go on.
///
/// `report` (may be NULL) gets what was not released or sent in time: free it with `drain_report_destroy`.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_OUT_OF_RANGE (the timeout), SL_ERROR_BUSY, and
/// SL_ERROR_PANIC. That the time ran out is no error: the report says it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn easy_store_drain(
    store: *const SlEasyStore,
    timeout: f64,
    report: *mut *mut SlDrainReport,
) -> SlStatus {
    boundary(|| {
        let store = handle::get(store)?;
        let seconds = profile::wait_seconds(timeout)?;
        let drained = store.store.drain(seconds)?;
        if !report.is_null() {
            let report = out!(report);
            report.set(drain::insert(drained)?);
        }
        Ok(())
    })
}

/// Frees a store, and the handles of its profiles with it. Sessions that are not released by then
/// are left to expire, and waits and sends are answered, purchases with 0: so drain it first. Inside a callback of its own it
/// takes effect when the outermost call has returned. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn easy_store_destroy(store: *mut SlEasyStore) -> SlStatus {
    boundary(|| {
        let store = handle::remove(store)?;
        for profile in store.profiles.take_all() {
            // One that the host destroys at this moment is gone already.
            let _ = profile::remove(profile);
        }
        Ok(())
    })
}

/// Refuses an array of events that cannot be.
pub(crate) fn check_events(events: *const SlEvent, capacity: usize) -> FfiResult<()> {
    if events.is_null() && capacity > 0 {
        return Err(FfiError::argument("events", "is NULL, with a capacity"));
    }
    Ok(())
}

/// Writes polled events to the host's array, and keeps what they lend until the next poll.
///
/// # Safety
/// `events` has room for as many events as `polled`.
pub(crate) unsafe fn lend_events<E>(
    kept: &Mutex<Vec<Told>>,
    polled: Vec<E>,
    tell: impl Fn(E) -> Told,
    events: *mut SlEvent,
) -> usize {
    let mut kept = kept.lock();
    kept.clear();
    kept.extend(polled.into_iter().map(tell));
    for (index, told) in kept.iter().enumerate() {
        // SAFETY: as promised to this function.
        unsafe { events.add(index).write_unaligned(told.event()) }
    }
    kept.len()
}
