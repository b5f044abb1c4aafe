//! `SlRemoteChangeSender`: remote changes to records that this server need not own.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use parking_lot::Mutex;

use super::boundary::boundary;
use super::callback::{SlDrop, UserData};
use super::config::{self, Versioned};
use super::defaults::{SlReportError, host_reporter};
use super::error::{FfiError, FfiResult};
use super::event::{SlEvent, Told};
use super::handle::{self, Kind};
use super::number;
use super::send_options::{SlSendOptions, operation_id};
use super::settings::{optional_text, random_seed};
use super::spec::SlLockerSpec;
use super::status::*;
use super::store::{SlEasyStore, check_events, lend_events};
use super::text::SL_NUL_TERMINATED;
use crate::remote_change::{
    RemoteChangeSender, SendCallback, SendError, SendId, SendOutcome, SenderOptions,
};

/// Sends remote changes to the records of a spec: the seed's `RemoteChangeSender`. Free it with
/// `remote_change_sender_destroy`. A store has one of its own: `easy_store_send_remote_changes`.
pub struct SlRemoteChangeSender(());
handle_kind!(SlRemoteChangeSender, Kind::RemoteChangeSender, SenderObject);

/// The changes are in the storage, in the inbox of their record or applied by its owner.
pub const SL_SEND_SENT: i32 = 1;
/// There is no record, and none was to be made; or it was erased while the send was under way.
pub const SL_SEND_MISSING: i32 = 2;
/// The record's inbox (10 000 changes, 1 MiB) has no room for them. Nothing was written.
pub const SL_SEND_INBOX_FULL: i32 = 3;
/// The sender was destroyed, or a day has passed, and nothing was written.
pub const SL_SEND_NOT_SENT: i32 = 4;
/// The sender was destroyed, or a day has passed, with an attempt whose fate is not known.
pub const SL_SEND_UNKNOWN: i32 = 5;
/// What is stored under the key is no document. It stays as it is.
pub const SL_SEND_CORRUPT_DATA: i32 = 6;

/// Told once how a send has ended: `outcome` is one of SL_SEND_. Runs inside an update or destruction
/// of the sender, or an update, wait, drain or destruction of the store, that the host called, on that
/// thread, with no lock held, and may call any function but another update of the same sender or store.
pub type SlSendCallback =
    Option<unsafe extern "C" fn(user_data: *mut c_void, send_id: u64, outcome: i32)>;

/// What a sender is made with. `remote_change_sender_config_init` fills in the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SlRemoteChangeSenderConfig {
    /// `sizeof(SlRemoteChangeSenderConfig)`.
    pub struct_size: u32,
    /// 1: a missing record is made, of the spec's template or by its create hook (0).
    pub create_if_missing: i32,
    /// 1: nothing is read or written, and every send is answered with SL_SEND_SENT; for tests (0).
    pub disable_apis: i32,
    /// 1: answers and failures wait for `remote_change_sender_poll_event`, beside the callbacks (0).
    pub polls_events: i32,
    /// What the sender's log lines begin with, at most 1024 bytes; NULL for
    /// `[SessionLocker:RemoteChangeSender]`.
    pub log_prefix: *const c_char,
    /// Bytes. Left alone, it is SL_NUL_TERMINATED.
    pub log_prefix_length: usize,
    /// What the sender's name and its waits are drawn from; 0 for a seed from the operating system.
    /// No two senders that share a storage may share a seed, nor may a sender have that of a store.
    pub seed: u64,
    /// Passed to the callback below.
    pub user_data: *mut c_void,
    /// Told of every failure, after which the sender tries again; with NULL, and unless events are
    /// polled, the process-wide reporter of SL_REPORTER_SENDERS is told.
    pub report_error: SlReportError,
    /// May be NULL; else called once with `user_data`, when the sender is gone.
    pub drop: SlDrop,
}

// SAFETY: `repr(C)` with its size first; numbers, raw pointers and optional function pointers, with
// explicit padding.
unsafe impl Versioned for SlRemoteChangeSenderConfig {
    const NAME: &'static str = "SlRemoteChangeSenderConfig";
    const FIRST_SIZE: usize = 64;

    fn defaults() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            create_if_missing: 0,
            disable_apis: 0,
            polls_events: 0,
            log_prefix: std::ptr::null(),
            log_prefix_length: SL_NUL_TERMINATED,
            seed: 0,
            user_data: std::ptr::null_mut(),
            report_error: None,
            drop: None,
        }
    }
}

/// What a sender's handle names.
pub(crate) struct SenderObject {
    sender: RemoteChangeSender,
    /// What the last poll lent to the host.
    polled: Mutex<Vec<Told>>,
    /// Goes after the sender.
    _user_data: Arc<UserData>,
}

impl From<SendError> for FfiError {
    fn from(error: SendError) -> Self {
        let status = match error {
            SendError::Locker(error) => return error.into(),
            SendError::Changes(ref inner) => Self::from(inner.clone()).status,
            SendError::TooManyChanges { .. } | SendError::TooLarge { .. } => SL_ERROR_TOO_LARGE,
            SendError::InvalidOperationId { .. } => SL_ERROR_INVALID_ARGUMENT,
            SendError::TooManySends | SendError::TooManyBytes { .. } => SL_ERROR_LIMIT,
        };
        Self::new(status, error.to_string())
    }
}

pub(crate) fn send_outcome_number(outcome: SendOutcome) -> i32 {
    match outcome {
        SendOutcome::Sent => SL_SEND_SENT,
        SendOutcome::Missing => SL_SEND_MISSING,
        SendOutcome::InboxFull => SL_SEND_INBOX_FULL,
        SendOutcome::NotSent => SL_SEND_NOT_SENT,
        SendOutcome::Unknown => SL_SEND_UNKNOWN,
        SendOutcome::Corrupt => SL_SEND_CORRUPT_DATA,
    }
}

/// Fills a configuration of `struct_size` bytes, `sizeof(SlRemoteChangeSenderConfig)`, with the
/// defaults. Any thread.
///
/// Errors: SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remote_change_sender_config_init(
    config: *mut SlRemoteChangeSenderConfig,
    struct_size: usize,
) -> SlStatus {
    // SAFETY: the export's own contract, rule 4 of `ffi`.
    boundary(|| unsafe { config::init("config", config, struct_size) })
}

/// Makes a sender for the records of a spec, whose storage, settings, clocks and new documents it
/// shares, and which it keeps. `config` may be NULL for the defaults; it is copied.
///
/// When this returns SL_OK, `config.user_data` is the sender's, and `config.drop` ends it; otherwise
/// it stays the host's. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE (the spec), SL_ERROR_INVALID_ARGUMENT (a field, named),
/// SL_ERROR_INVALID_UTF8 (the log prefix), SL_ERROR_UNSUPPORTED (no random numbers).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remote_change_sender_create(
    spec: *const SlLockerSpec,
    config: *const SlRemoteChangeSenderConfig,
    sender: *mut *mut SlRemoteChangeSender,
) -> SlStatus {
    boundary(|| {
        let spec = handle::get(spec)?;
        let config = match config.is_null() {
            true => SlRemoteChangeSenderConfig::defaults(),
            false => config!(config),
        };
        let sender = out!(sender);
        let user_data = UserData::new(config.user_data, config.drop);
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        let mut options = unsafe { options(&config) }?;
        options.report_error = host_reporter(config.report_error, Arc::clone(&user_data));
        let object = SenderObject {
            sender: RemoteChangeSender::new(&spec.spec, options)?,
            polled: Mutex::default(),
            _user_data: Arc::clone(&user_data),
        };
        let handle = handle::insert(Arc::new(object))?;
        user_data.accept();
        sender.set(handle);
        Ok(())
    })
}

/// The plain values, checked.
///
/// # Safety
/// The log prefix is NULL or as long as it says.
unsafe fn options(config: &SlRemoteChangeSenderConfig) -> FfiResult<SenderOptions> {
    let seed = match config.seed {
        0 => random_seed()?,
        seed => seed,
    };
    let mut options = SenderOptions::new(seed);
    options.create_if_missing =
        number::switch("config.create_if_missing", config.create_if_missing)?;
    options.polls_events = number::switch("config.polls_events", config.polls_events)?;
    options.disable_apis = number::switch("config.disable_apis", config.disable_apis)?;
    let log_prefix = (config.log_prefix, config.log_prefix_length);
    // SAFETY: as promised to this function.
    if let Some(prefix) = unsafe { optional_text("config.log_prefix", log_prefix) }? {
        options.log_prefix = prefix.into();
    }
    Ok(options)
}

/// Frees a sender. Each send that is not answered yet is answered before this returns: with
/// SL_SEND_UNKNOWN if an attempt is of unknown fate, else with SL_SEND_NOT_SENT. While another call
/// uses the sender, also around this callback, that happens when it returns. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remote_change_sender_destroy(
    sender: *mut SlRemoteChangeSender,
) -> SlStatus {
    boundary(|| {
        handle::remove(sender)?;
        Ok(())
    })
}

/// Does all there is to do, once a frame: takes what the storage has answered, sends what is due, and
/// answers sends, all on this thread. Never waits for the storage.
///
/// `now` is in seconds that never run backwards, from any epoch, time asleep included; a smaller
/// value than the last counts as the last.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_OUT_OF_RANGE (`now` is not between -1e15 and 1e15),
/// SL_ERROR_BUSY (an update of this sender is under way, on another thread or around this callback),
/// SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remote_change_sender_update(
    sender: *const SlRemoteChangeSender,
    now: f64,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(sender)?;
        let now = number::moment("now", now)?;
        Ok(object.sender.update(now)?)
    })
}

/// Takes up to `capacity` unread events of the sender, oldest first, into the array `events`, and says
/// in `count` how many: SL_EVENT_REMOTE_CHANGES_SENT and SL_EVENT_ERROR, each with its `key`. Only with
/// `polls_events`; others have none. Those that were not polled go with the sender.
///
/// Their texts belong to the library and live until the next poll of this sender, or its destruction.
/// Any thread, one at a time.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remote_change_sender_poll_event(
    sender: *const SlRemoteChangeSender,
    events: *mut SlEvent,
    capacity: usize,
    count: *mut usize,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(sender)?;
        let count = out!(count);
        check_events(events, capacity)?;
        let polled = object.sender.poll_events(capacity);
        // SAFETY: the export's own contract, rule 4 of `ffi`: room for `capacity` events.
        count.set(unsafe { lend_events(&object.polled, polled, Told::of_sender, events) });
        Ok(())
    })
}

/// Whether a send is not answered yet: 1 or 0 in `is_sending`. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT, SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remote_change_sender_is_sending(
    sender: *const SlRemoteChangeSender,
    is_sending: *mut i32,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(sender)?;
        let is_sending = out!(is_sending);
        is_sending.set(object.sender.is_sending()?.into());
        Ok(())
    })
}

/// Takes remote changes on their way to a key (1 to 512 bytes of UTF-8), whoever owns it. They are put
/// into the record's inbox, all in one commit, and after what this sender has sent to the key before;
/// its owner applies them. While the storage fails it is tried again, for up to a day. A key that a
/// server owns is written to at most once in two seconds, so that its owner's saves get through.
///
/// `json_array` has up to 10 000 objects in at most 1 MiB, each with a string `K` (1 to 256 bytes),
/// which says what kind of change it is. Their members `I` and `A` are the library's, and
/// overridden. An empty array writes nothing, and is answered with SL_SEND_SENT.
///
/// `options` may be NULL.
///
/// `callback` (may be NULL) is called once, later: see SlSendCallback. `send_id` (may
/// be NULL) gets the number it is called with. When this returns SL_OK, `user_data` is the library's, and
/// `drop` (may be NULL) ends it after the callback; otherwise it stays the host's. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT (the key, an option, named),
/// SL_ERROR_INVALID_UTF8, SL_ERROR_INVALID_JSON, SL_ERROR_WRONG_TYPE (no array, no object, `K` is no
/// string), SL_ERROR_NOT_FOUND (no `K`), SL_ERROR_OUT_OF_RANGE (the length of a `K`),
/// SL_ERROR_TOO_LARGE (too many changes, too long, nested too deep), SL_ERROR_LIMIT (1 048 576 sends,
/// or 256 MiB, that are not answered, or 65 536 unread events), SL_ERROR_PANIC. The message says which
/// change.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remote_change_sender_send(
    sender: *const SlRemoteChangeSender,
    key: *const c_char,
    key_length: usize,
    json_array: *const c_char,
    json_array_length: usize,
    options: *const SlSendOptions,
    callback: SlSendCallback,
    user_data: *mut c_void,
    drop: SlDrop,
    send_id: *mut u64,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(sender)?;
        let key = text!(key, key_length);
        let json_array = text!(json_array, json_array_length);
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        let operation_id = unsafe { operation_id(options) }?;
        let heard_by = (callback, UserData::new(user_data, drop));
        let send = |completion| {
            let sender = &object.sender;
            sender.send(key, json_array, operation_id, completion)
        };
        // SAFETY: as above.
        unsafe { begin_send(heard_by, send, send_id) }
    })
}

/// Sends remote changes to a key with the store's own sender, which makes a missing record, and which
/// `easy_store_update` drives. Otherwise as `remote_change_sender_send`; how it ended is told as an event,
/// SL_EVENT_REMOTE_CHANGES_SENT, as well.
///
/// Errors as for `remote_change_sender_send`, and SL_ERROR_CLOSED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn easy_store_send_remote_changes(
    store: *const SlEasyStore,
    key: *const c_char,
    key_length: usize,
    json_array: *const c_char,
    json_array_length: usize,
    options: *const SlSendOptions,
    callback: SlSendCallback,
    user_data: *mut c_void,
    drop: SlDrop,
    send_id: *mut u64,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(store)?;
        let key = text!(key, key_length);
        let json_array = text!(json_array, json_array_length);
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        let operation_id = unsafe { operation_id(options) }?;
        let heard_by = (callback, UserData::new(user_data, drop));
        let send = |completion| {
            let store = &object.store;
            store.send_remote_changes(key, json_array, operation_id, completion)
        };
        // SAFETY: as above.
        unsafe { begin_send(heard_by, send, send_id) }
    })
}

/// Begins a send, and gives the host its number if it wants it.
///
/// # Safety
/// `send_id` is NULL or may be written with a number.
unsafe fn begin_send(
    (callback, user_data): (SlSendCallback, Arc<UserData>),
    send: impl FnOnce(Option<SendCallback>) -> Result<SendId, SendError>,
    send_id: *mut u64,
) -> FfiResult<()> {
    let id = send(host_callback(callback, &user_data))?;
    // The callback may have gone already, on another thread; the user data is still here.
    user_data.accept();
    if !send_id.is_null() {
        let send_id = out!(send_id);
        send_id.set(id.number());
    }
    Ok(())
}

/// The host's callback as the library's own.
fn host_callback(callback: SlSendCallback, user_data: &Arc<UserData>) -> Option<SendCallback> {
    let callback = callback?;
    let user_data = Arc::clone(user_data);
    Some(Box::new(move |id, outcome| {
        // SAFETY: the host gave the function for this purpose and this user data.
        unsafe {
            callback(
                user_data.pointer(),
                id.number(),
                send_outcome_number(outcome),
            )
        }
    }))
}
