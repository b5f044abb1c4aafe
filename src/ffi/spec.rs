//! `SlLockerSpec`: what lockers have in common, for hosts that drive each locker themselves.

use std::collections::HashMap;
use std::ffi::{c_char, c_void};
use std::sync::Arc;

use parking_lot::Mutex;

use super::boundary::boundary;
use super::callback::{SlDrop, UserData};
use super::clock::SlClock;
use super::config::{self, Versioned};
use super::defaults::{SlReportError, host_reporter};
use super::error::run_hook;
use super::event::Told;
use super::handle::{self, Kind};
use super::inbox::{self, SlMergeOfflineSaveData, SlProcessRemoteChange};
use super::locker::SlLocker;
use super::migrator::SlMigrators;
use super::settings::{SlCreateSaveData, create_save_data};
use super::status::*;
use super::storage::SlStorage;
use super::store::SlEventCallback;
use crate::locker::{
    Event, HookAnswer, LockerHooks, LockerId, LockerSpec, ReportError, SharedSaveData,
};
use crate::save_data::{RemoteChange, SaveData};

/// What lockers have in common: the seed's `LockerSpec`. Free it with `locker_spec_destroy`; the
/// lockers made from it go on.
pub struct SlLockerSpec(());
handle_kind!(SlLockerSpec, Kind::LockerSpec, SpecObject);

/// Runs before a save of a locker; as SlBeforeSave.
pub type SlLockerBeforeSave =
    Option<unsafe extern "C" fn(user_data: *mut c_void, locker: *mut SlLocker) -> SlStatus>;

/// What a spec is made with. `locker_spec_config_init` fills in the defaults; times are seconds.
/// The fields up to `user_data` are those of SlEasyStoreConfig, where each is explained.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SlLockerSpecConfig {
    /// `sizeof(SlLockerSpecConfig)`.
    pub struct_size: u32,
    /// The version of the save data this server writes, 1 or more (1).
    pub save_data_version: u32,
    /// The `VersionPatch` of new documents (0).
    pub save_data_version_patch: f64,
    /// How older documents are brought up to date; NULL for none.
    pub migrators: *const SlMigrators,
    /// The fields of a new document; NULL if `create_save_data` makes them.
    pub template_json: *const c_char,
    /// Bytes. Left alone, it is SL_NUL_TERMINATED.
    pub template_json_length: usize,
    /// A document to show under every key, for tests; NULL for none.
    pub test_data_json: *const c_char,
    /// Bytes. Left alone, it is SL_NUL_TERMINATED.
    pub test_data_json_length: usize,
    /// Which server this is; NULL for a random one.
    pub job_id: *const c_char,
    /// Bytes. Left alone, it is SL_NUL_TERMINATED.
    pub job_id_length: usize,
    /// Which game this is (0).
    pub place_id: i64,
    /// The longest that a session goes without a save (300).
    pub maintain_session_period: f64,
    /// How long a session that stopped saving keeps its key (1800); the larger counts of this and what
    /// the session has written.
    pub session_expiry: f64,
    /// How far apart the servers' clocks may be, on a storage without a clock of its own (300).
    pub clock_tolerance: f64,
    /// The wait before a locked key is asked for again, and after a first failure (10).
    pub session_retry_cooldown: f64,
    /// What that wait doubles up to while the storage keeps failing (120).
    pub session_retry_ceiling: f64,
    /// How long a request may go unanswered before it counts as failed (30).
    pub request_timeout: f64,
    /// The largest document that may be written, in bytes (4 MiB).
    pub document_limit_bytes: u64,
    /// The most bytes of documents that the updates of one moment read and write (256 KiB).
    pub bytes_per_update: u64,
    /// How many purchases a document remembers (100).
    pub purchase_history_limit: u32,
    /// The most requests that the updates of one moment start (48).
    pub requests_per_update: u32,
    /// The most requests under way at once (4096).
    pub requests_in_flight: u32,
    /// 1: the storage is read but never written (0).
    pub read_only_data_stores: i32,
    /// 1: events wait for `locker_poll_event`; 0: they go to `event` (0).
    pub polls_events: i32,
    /// 1: the steps of each session are logged, and errors that nobody hears are logged in full (0).
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
    /// Runs before every save; may be NULL.
    pub before_save: SlLockerBeforeSave,
    /// Runs after `before_save`, just before the document is written out; may be NULL.
    pub before_save_transform: SlLockerBeforeSave,
    /// Told of events; may be NULL. Not called with `polls_events`.
    pub event: SlEventCallback,
    /// Applies remote changes; with NULL they stay in the inbox.
    pub process_remote_change: SlProcessRemoteChange,
    /// Takes over what was written before the load; with NULL that is dropped.
    pub merge_offline_save_data: SlMergeOfflineSaveData,
    /// Told of every failure, beside SL_EVENT_ERROR and before it; with NULL, and if the host hears no
    /// events, the process-wide reporter is told.
    pub report_error: SlReportError,
    /// May be NULL; else called once with `user_data`, when the spec, its lockers and its senders are
    /// gone.
    pub drop: SlDrop,
}

// SAFETY: `repr(C)` with its size first; numbers, raw pointers and optional function pointers, with
// explicit padding.
unsafe impl Versioned for SlLockerSpecConfig {
    const NAME: &'static str = "SlLockerSpecConfig";
    const FIRST_SIZE: usize = 256;

    fn defaults() -> Self {
        default_settings!(SlLockerSpecConfig {
            user_data: std::ptr::null_mut(),
            create_save_data: None,
            before_save: None,
            before_save_transform: None,
            event: None,
            process_remote_change: None,
            merge_offline_save_data: None,
            report_error: None,
            drop: None,
        })
    }
}

/// What a spec's handle names.
pub(crate) struct SpecObject {
    pub(crate) spec: LockerSpec,
    pub(crate) lockers: Arc<LockerHandles>,
}

/// The handles of a spec's lockers, as numbers.
#[derive(Default)]
pub(crate) struct LockerHandles(Mutex<HashMap<LockerId, usize>>);

impl LockerHandles {
    pub(crate) fn set(&self, id: LockerId, handle: *mut SlLocker) {
        self.0.lock().insert(id, handle.addr());
    }

    pub(crate) fn remove(&self, id: LockerId) {
        self.0.lock().remove(&id);
    }

    /// NULL for a locker that the host has destroyed.
    pub(crate) fn get(&self, id: LockerId) -> *mut SlLocker {
        let handle = self.0.lock().get(&id).copied();
        std::ptr::without_provenance_mut(handle.unwrap_or(0))
    }
}

/// The host's callbacks as the library's hooks.
struct HostHooks {
    user_data: Arc<UserData>,
    /// Kept as long as the spec: the clock's table ends with it.
    _clock_data: Option<Arc<UserData>>,
    create: SlCreateSaveData,
    before_save: SlLockerBeforeSave,
    before_save_transform: SlLockerBeforeSave,
    event: SlEventCallback,
    process_remote_change: SlProcessRemoteChange,
    merge_offline_save_data: SlMergeOfflineSaveData,
    report_error: Option<ReportError>,
    limit_bytes: usize,
    lockers: Arc<LockerHandles>,
}

impl LockerHooks for HostHooks {
    fn create(&self, key: &str) -> Result<SaveData, String> {
        create_save_data(self.create, &self.user_data, key, self.limit_bytes)
    }

    fn before_save(&self, locker: LockerId, transform: bool) -> Result<(), String> {
        let hook = if transform {
            self.before_save_transform
        } else {
            self.before_save
        };
        let Some(hook) = hook else { return Ok(()) };
        let locker = self.lockers.get(locker);
        run_hook(|| {
            // SAFETY: the host gave the function for this purpose and this user data.
            unsafe { hook(self.user_data.pointer(), locker) }
        })
    }

    fn has_before_save(&self) -> bool {
        self.before_save.is_some() || self.before_save_transform.is_some()
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

    fn event(&self, locker: LockerId, key: &Arc<str>, event: &Event) {
        let Some(callback) = self.event else { return };
        let told = Told::of_locker(self.lockers.get(locker), key, event);
        let event = told.event();
        // SAFETY: the host gave the function for this purpose and this user data; the event and
        // its text outlive the call.
        unsafe { callback(self.user_data.pointer(), &raw const event) }
    }
}

/// Fills a configuration of `struct_size` bytes, `sizeof(SlLockerSpecConfig)`, with the defaults,
/// among them those that `session_locker_set_default` has set. Any thread.
///
/// Errors: SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_spec_config_init(
    config: *mut SlLockerSpecConfig,
    struct_size: usize,
) -> SlStatus {
    // SAFETY: the export's own contract, rule 4 of `ffi`.
    boundary(|| unsafe { config::init("config", config, struct_size) })
}

/// Makes a spec for the records of a storage. The configuration is copied, and the storage stays
/// open as long as the spec or a locker of it lives, also when its handle is destroyed.
///
/// When this returns SL_OK, `config.user_data` is the spec's, and `config.drop` ends it; otherwise
/// it stays the host's. Any thread.
///
/// Errors as for `easy_store_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_spec_create(
    storage: *const SlStorage,
    config: *const SlLockerSpecConfig,
    spec: *mut *mut SlLockerSpec,
) -> SlStatus {
    boundary(|| {
        let storage = Arc::clone(&*handle::get(storage)?);
        let config = config!(config);
        let spec = out!(spec);
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        let made = unsafe { settings!(config).options(storage, config.create_save_data.is_some()) };
        let made = made?;
        let user_data = UserData::new(config.user_data, config.drop);
        let lockers = Arc::<LockerHandles>::default();
        let hooks = HostHooks {
            user_data: Arc::clone(&user_data),
            _clock_data: made.clock_data.clone(),
            create: config.create_save_data,
            before_save: config.before_save,
            before_save_transform: config.before_save_transform,
            event: config.event,
            process_remote_change: config.process_remote_change,
            merge_offline_save_data: config.merge_offline_save_data,
            report_error: host_reporter(config.report_error, Arc::clone(&user_data)),
            limit_bytes: made.options.config.document_limit_bytes,
            lockers: Arc::clone(&lockers),
        };
        let locker_spec = LockerSpec::new(made.storage, made.options, Box::new(hooks))?;
        let handle = handle::insert(Arc::new(SpecObject {
            spec: locker_spec,
            lockers,
        }))?;
        user_data.accept();
        made.clock_data.inspect(|clock_data| clock_data.accept());
        spec.set(handle);
        Ok(())
    })
}

/// Frees a spec's handle; its lockers and senders go on, and keep what they need of it. Any thread. Errors:
/// SL_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_spec_destroy(spec: *mut SlLockerSpec) -> SlStatus {
    boundary(|| {
        handle::remove(spec)?;
        Ok(())
    })
}
