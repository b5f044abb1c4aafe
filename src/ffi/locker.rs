//! `SlLocker`: one key's lock and save data, driven by the host.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use parking_lot::Mutex;

use super::boundary::boundary;
use super::callback::SlDrop;
use super::connection::{Owner, SlSavedCallback, SlSavedConnection, begin_wait};
use super::error::FfiResult;
use super::event::{SlEvent, Told, load_status_number};
use super::handle::{self, Kind};
use super::number;
use super::profile::{lost_json, timed_out, wait_seconds};
use super::save_data::{Lent, SlSaveData};
use super::session_options::SlSessionOptions;
use super::spec::{LockerHandles, SlLockerSpec, SpecObject};
use super::status::*;
use super::store::{check_events, lend_events};
use super::text::SlBuffer;
use crate::locker::{Locker, SaveOutcome, SavedConnection};

/// One key's lock and save data: the seed's `LockerState`. The host updates each locker every
/// frame. Free it with `locker_destroy`, once it is idle.
pub struct SlLocker(());
handle_kind!(SlLocker, Kind::Locker, LockerObject);

/// What a locker's handle names.
pub(crate) struct LockerObject {
    pub(crate) locker: Locker,
    /// Where the spec finds the handle of its locker.
    pub(crate) handles: Arc<LockerHandles>,
    save_data: Lent,
    /// What the last poll lent to the host.
    polled: Mutex<Vec<Told>>,
}

/// Makes a locker for a key (1 to 512 bytes of UTF-8) that wants nothing yet: the seed's
/// `LockerCreate`. Its first events come with its first update.
///
/// `options` may be NULL. Free the locker with `locker_destroy`. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT (the key, an option, named),
/// SL_ERROR_INVALID_UTF8, SL_ERROR_LIMIT (65 536 unread events, or too many lockers),
/// SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_create(
    spec: *const SlLockerSpec,
    key: *const c_char,
    key_length: usize,
    options: *const SlSessionOptions,
    locker: *mut *mut SlLocker,
) -> SlStatus {
    boundary(|| {
        let spec = handle::get(spec)?;
        let key = text!(key, key_length);
        let options = session_options!(options);
        let locker = out!(locker);
        let made = spec.spec.create_locker_with(key, &options.options())?;
        locker.set(insert(&spec, made)?);
        Ok(())
    })
}

/// Makes a locker for a player: the seed's `LockerCreatePlayer`. The user id (1 to 128 bytes of
/// UTF-8) is the key, and the only user id of the record. `options` may be NULL, and must have no
/// user ids. Without a log prefix, log lines begin with `[SessionLocker][` and the user id and `]`.
/// All else as for `locker_create`.
///
/// Errors as for `locker_create`, SL_ERROR_INVALID_ARGUMENT for the user id instead of the key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_create_player(
    spec: *const SlLockerSpec,
    user_id: *const c_char,
    user_id_length: usize,
    options: *const SlSessionOptions,
    locker: *mut *mut SlLocker,
) -> SlStatus {
    boundary(|| {
        let spec = handle::get(spec)?;
        let user_id = text!(user_id, user_id_length);
        let options = session_options!(options);
        let locker = out!(locker);
        let made = spec
            .spec
            .create_player_locker(user_id, &options.options())?;
        locker.set(insert(&spec, made)?);
        Ok(())
    })
}

/// Gives a new locker its handle.
fn insert(spec: &SpecObject, locker: Locker) -> FfiResult<*mut SlLocker> {
    let id = locker.id();
    let object = LockerObject {
        locker,
        handles: Arc::clone(&spec.lockers),
        save_data: Lent::default(),
        polled: Mutex::default(),
    };
    let handle = handle::insert(Arc::new(object))?;
    spec.lockers.set(id, handle);
    Ok(handle)
}

/// Does all there is to do for this locker, once a frame, on this thread: the seed's
/// `SessionUpdate`. Never waits for the storage. `should_remove` is 1 when the locker is idle and
/// may be destroyed, and 0 also when a callback has destroyed it.
///
/// `now` is in seconds that never run backwards, from any epoch, time asleep included, the same for
/// all lockers of a spec; a smaller value than the last counts as the last. The first is read after the spec was
/// created (law 1).
///
/// Updates with the same `now` share the requests and bytes of one frame (`requests_per_update` and the
/// like of the options). One that finds none left goes first in the next, before lockers that are updated
/// earlier in it; after ten seconds without an update it has lost its turn.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT, SL_ERROR_OUT_OF_RANGE (`now` is not
/// between -1e15 and 1e15), SL_ERROR_BUSY (an update or wait of a locker of the same spec is under
/// way, on another thread or around this callback), SL_ERROR_NOT_ACTIVE (the locker was deleted),
/// SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_update(
    locker: *const SlLocker,
    now: f64,
    should_remove: *mut i32,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(locker)?;
        let now = number::moment("now", now)?;
        let should_remove = out!(should_remove);
        should_remove.set(object.locker.update(now)?.into());
        Ok(())
    })
}

/// Takes up to `capacity` unread events of the locker, oldest first, into the array `events`, and
/// says in `count` how many. Only with `polls_events` in the spec; others have none.
///
/// Their texts belong to the library and live until the next poll of this locker, or its
/// destruction. Any thread, one at a time.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_poll_event(
    locker: *const SlLocker,
    events: *mut SlEvent,
    capacity: usize,
    count: *mut usize,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(locker)?;
        let count = out!(count);
        check_events(events, capacity)?;
        let polled = object.locker.poll_events(capacity);
        let key = object.locker.key();
        let of_locker = |event| Told::of_locker(locker.cast_mut(), key, &event);
        // SAFETY: the export's own contract, rule 4 of `ffi`: room for `capacity` events.
        count.set(unsafe { lend_events(&object.polled, polled, of_locker, events) });
        Ok(())
    })
}

/// The key that the locker was made for. The host frees `key`. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_get_key(locker: *const SlLocker, key: *mut SlBuffer) -> SlStatus {
    boundary(|| {
        let object = handle::get(locker)?;
        let key = out!(key);
        key.set(object.locker.key().to_string().into());
        Ok(())
    })
}

/// Acquires the key, in the updates that follow, as soon as it is free; after a load status that
/// is final, tries anew.
///
/// The session is held for as long as at least one use key is, so that parts of a game that know
/// nothing of each other can share a locker. `use_key` is any number that its user has chosen, 0 for
/// a host that needs only one; held already, it is held once. At most 1024 are held at a time. Any
/// thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_LIMIT (1024 other use keys are held),
/// SL_ERROR_NOT_ACTIVE (the locker was deleted), SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_mark_should_acquire(
    locker: *const SlLocker,
    use_key: u64,
) -> SlStatus {
    boundary(|| {
        Ok(handle::get(locker)?
            .locker
            .mark_should_acquire_for(use_key)?)
    })
}

/// Lets go of a use key; with one that is not held, nothing happens. With the last one, the locker
/// saves and gives up the key in the updates that follow. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_NOT_ACTIVE (the locker was deleted), SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_mark_should_release(
    locker: *const SlLocker,
    use_key: u64,
) -> SlStatus {
    boundary(|| {
        Ok(handle::get(locker)?
            .locker
            .mark_should_release_for(use_key)?)
    })
}

/// Notes a change: it is in the next save. A write by a `save_data_` function notes itself. Any
/// thread. Errors as for `locker_mark_should_release`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_mark_should_save(locker: *const SlLocker) -> SlStatus {
    boundary(|| Ok(handle::get(locker)?.locker.mark_should_save()?))
}

/// Notes a change and saves at the next update. Any thread. Errors as for
/// `locker_mark_should_release`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_mark_force_save(locker: *const SlLocker) -> SlStatus {
    boundary(|| Ok(handle::get(locker)?.locker.mark_force_save()?))
}

/// Sets what the locker's log lines begin with, at most 1024 bytes; `session_locker_log_prefix_create`
/// makes one. In the beginning, and with an empty text, it is `[SessionLocker][` and the key and `]`.
/// Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT (too long), SL_ERROR_INVALID_UTF8,
/// SL_ERROR_NOT_ACTIVE (the locker was deleted), SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_set_log_prefix(
    locker: *const SlLocker,
    log_prefix: *const c_char,
    log_prefix_length: usize,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(locker)?;
        let log_prefix = text!(log_prefix, log_prefix_length);
        Ok(object.locker.set_log_prefix(log_prefix)?)
    })
}

/// Says farewell to a locker that is idle, or that is not wanted and whose first update has not come to
/// an end: the seed's `MarkDeleted`. Its last event is told inside
/// this call, or waits to be polled. The handle stays until `locker_destroy`. Purchases that wait are
/// answered with 0 at the purchaser's next update; a gift that is on its way keeps the locker from
/// being idle. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_BUSY (it is not idle: release it and update it until
/// `should_remove`), SL_ERROR_NOT_ACTIVE (it was deleted before), SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_mark_deleted(locker: *const SlLocker) -> SlStatus {
    boundary(|| Ok(handle::get(locker)?.locker.mark_deleted()?))
}

/// Deletes a locker if that has not been done, as `locker_mark_deleted` does, and frees its handle and
/// that of its save data, and with them the events that were not polled. Any thread; also inside its own callbacks.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_BUSY (it is not idle; nothing is done).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_destroy(locker: *mut SlLocker) -> SlStatus {
    boundary(|| {
        match handle::get(locker).and_then(|object| delete(&object.locker)) {
            // What is poisoned can still be destroyed.
            Err(error) if error.status != SL_ERROR_PANIC => return Err(error),
            _ => {}
        }
        let Ok(object) = handle::remove(locker) else {
            // A callback has destroyed it while it was being deleted.
            return Ok(());
        };
        object.handles.remove(object.locker.id());
        object.save_data.end();
        Ok(())
    })
}

fn delete(locker: &Locker) -> FfiResult<()> {
    if !locker.is_deleted()? {
        locker.mark_deleted()?;
    }
    Ok(())
}

/// How far loading has come: one of SL_LOAD_STATUS_ in `load_status`. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT, SL_ERROR_NOT_ACTIVE (the locker was
/// deleted), SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_load_status(
    locker: *const SlLocker,
    load_status: *mut i32,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(locker)?;
        let load_status = out!(load_status);
        load_status.set(load_status_number(object.locker.load_status()?));
        Ok(())
    })
}

/// The version that a server must have for this document, in `version`, after
/// SL_LOAD_STATUS_INVALID_VERSION; 0 otherwise. Any thread. Errors as for `locker_load_status`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_load_minimum_server_version(
    locker: *const SlLocker,
    version: *mut u32,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(locker)?;
        let version = out!(version);
        version.set(object.locker.minimum_server_version()?);
        Ok(())
    })
}

/// Whether the locker holds no session and has nothing under way: 1 or 0 in `is_idling`. Any
/// thread. Errors as for `locker_load_status`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_is_idling(
    locker: *const SlLocker,
    is_idling: *mut i32,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(locker)?;
        let is_idling = out!(is_idling);
        is_idling.set(object.locker.is_idle()?.into());
        Ok(())
    })
}

/// Whether the locker was deleted: 1 or 0 in `is_deleted`. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT, SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_is_deleted(
    locker: *const SlLocker,
    is_deleted: *mut i32,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(locker)?;
        let is_deleted = out!(is_deleted);
        is_deleted.set(object.locker.is_deleted()?.into());
        Ok(())
    })
}

/// Says whether the save data is kept in step with the player's state: the seed's `IsSyncing`, for
/// hosts that keep that state elsewhere. 0: there is no promise that what has changed is in the save
/// data by the next save, so the locker is not available, and is saved all the same; 1, as in the
/// beginning: there is. It stays as set, whatever becomes of the session. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT (`is_syncing`), SL_ERROR_NOT_ACTIVE
/// (the locker was deleted), SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_set_is_syncing(
    locker: *const SlLocker,
    is_syncing: i32,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(locker)?;
        let is_syncing = number::switch("is_syncing", is_syncing)?;
        Ok(object.locker.set_is_syncing(is_syncing)?)
    })
}

/// What `locker_set_is_syncing` has set: 1 or 0 in `is_syncing`. Any thread. Errors as for
/// `locker_load_status`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_is_syncing(
    locker: *const SlLocker,
    is_syncing: *mut i32,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(locker)?;
        let is_syncing = out!(is_syncing);
        is_syncing.set(object.locker.is_syncing()?.into());
        Ok(())
    })
}

/// Whether the save data is the player's and will be saved: loaded, syncing (see
/// `locker_set_is_syncing`), within the lease, and not being released. 1 or 0 in `is_available`. It
/// turns 0 before another server could take the key. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT, SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_is_available(
    locker: *const SlLocker,
    is_available: *mut i32,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(locker)?;
        let is_available = out!(is_available);
        is_available.set(object.locker.is_available()?.into());
        Ok(())
    })
}

/// The locker's save data, for the `save_data_` functions: the player's while loaded, else the
/// default. Each successful write counts as a change, as `locker_mark_should_save` does.
///
/// The handle belongs to the locker: it is the same at every call, and goes with the locker. Any
/// thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT, SL_ERROR_LIMIT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_get_save_data(
    locker: *const SlLocker,
    save_data: *mut *mut SlSaveData,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(locker)?;
        let save_data = out!(save_data);
        save_data.set(object.save_data.lend(object.locker.save_data())?);
        Ok(())
    })
}

/// The whole document as JSON, reserved fields included. The host frees `json`. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_get_save_data_json(
    locker: *const SlLocker,
    json: *mut SlBuffer,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(locker)?;
        let json = out!(json);
        json.set(object.locker.save_data().read(|data| data.to_json()).into());
        Ok(())
    })
}

/// Replaces every field of the player's by those of a JSON object. Reserved fields stay as they
/// are, also where the object has some. Any thread.
///
/// Errors: those of a write, see SlSaveData; SL_ERROR_WRONG_TYPE (not an object).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_set_save_data_json(
    locker: *const SlLocker,
    json: *const c_char,
    json_length: usize,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(locker)?;
        let json = text!(json, json_length);
        Ok(object
            .locker
            .save_data()
            .write(|data| data.set_json("", json))?)
    })
}

/// The document of the session that was lost last, with what was not saved, as JSON. The host
/// frees `json`. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT, SL_ERROR_NOT_FOUND (none was lost),
/// SL_ERROR_NOT_ACTIVE (the locker was deleted), SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_get_lost_save_data(
    locker: *const SlLocker,
    json: *mut SlBuffer,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(locker)?;
        let json = out!(json);
        json.set(lost_json(object.locker.lost_save_data()?)?);
        Ok(())
    })
}

/// Waits for the changes made so far to be saved; all as for `profile_when_changes_saved`.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_NOT_ACTIVE (the locker was deleted), SL_ERROR_LIMIT,
/// SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_when_changes_saved(
    locker: *const SlLocker,
    callback: SlSavedCallback,
    user_data: *mut c_void,
    drop: SlDrop,
    saved_connection: *mut *mut SlSavedConnection,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(locker)?;
        let owner = Owner::Locker(object.locker.downgrade());
        let wait = |connection: &SavedConnection| object.locker.wait_for(connection);
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        unsafe { begin_wait((callback, user_data, drop), owner, wait, saved_connection) }
    })
}

/// Updates the locker until the changes made so far are saved (1 in `was_saved`) or the session has
/// ended without them, as far as anybody knows (0; `locker_when_changes_saved` tells more), for at most
/// `timeout` seconds. Blocks; for tools.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT, SL_ERROR_OUT_OF_RANGE (the timeout),
/// SL_ERROR_TIMEOUT (they may still be saved later), SL_ERROR_BUSY (an update or wait of a locker of
/// the same spec is under way), SL_ERROR_NOT_ACTIVE (the locker was deleted), SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_wait_until_changes_saved(
    locker: *const SlLocker,
    timeout: f64,
    was_saved: *mut i32,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(locker)?;
        let seconds = wait_seconds(timeout)?;
        let was_saved = out!(was_saved);
        match object.locker.wait_until_changes_saved(seconds)? {
            Some(outcome) => was_saved.set((outcome == SaveOutcome::Saved).into()),
            None => return Err(timed_out("the changes were not saved", timeout)),
        }
        Ok(())
    })
}
