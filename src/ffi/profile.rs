//! `SlProfile`: one player's session.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::boundary::boundary;
use super::callback::{SlDrop, UserData};
use super::connection::{
    Owner, SignalHandles, SignalObject, SlSavedCallback, SlSavedConnection, SlSignalCallback,
    SlSignalConnection, begin_wait,
};
use super::error::{FfiError, FfiResult, run_hook};
use super::event::{SIGNALS, Told, load_status_name, load_status_number};
use super::handle::{self, Kind};
use super::number;
use super::save_data::{Lent, SlSaveData};
use super::status::*;
use super::store::{ProfileHandles, StoreObject};
use super::text::SlBuffer;
use crate::easy::{LoadWait, Profile, StoreEvent};
use crate::locker::{LockerError, SaveOutcome, SavedConnection};
use crate::save_data::SaveData;

/// One player's session: the seed's `EasyProfile`. Free it with `profile_destroy`.
pub struct SlProfile(());
handle_kind!(SlProfile, Kind::Profile, ProfileObject);

/// Told that the profile is loaded. Runs inside an update, wait or drain that the host called, on
/// that thread, with no lock held, and may call any function.
pub type SlLoadedCallback =
    Option<unsafe extern "C" fn(user_data: *mut c_void, profile: *mut SlProfile)>;

/// Runs before a save, and may write to the save data; what it writes is in that save. Any other
/// status than SL_OK is a failure: the save data is then as before the hook, and the save is put
/// off for a cooldown; when the session is about to run out, and at its end, it is saved without
/// the hook. Say why with `session_locker_set_hook_error`.
///
/// Runs inside an update, wait or drain that the host called, on that thread, with no lock held.
/// While it runs, other threads read the save data as it was before, and their writes are refused
/// with SL_ERROR_BUSY.
pub type SlBeforeSave =
    Option<unsafe extern "C" fn(user_data: *mut c_void, profile: *mut SlProfile) -> SlStatus>;

/// What a profile's handle names.
pub(crate) struct ProfileObject {
    pub(crate) profile: Profile,
    /// Where the store finds the handle of its profile.
    pub(crate) handles: Arc<ProfileHandles>,
    save_data: Lent,
    signals: SignalHandles,
}

/// Starts a profile and gives it its handle; its events wait until it has one.
pub(crate) fn insert(
    store: &StoreObject,
    start: impl FnOnce() -> Result<Profile, LockerError>,
) -> FfiResult<*mut SlProfile> {
    store.profiles.register(|| {
        let profile = start()?;
        let id = profile.id();
        let object = ProfileObject {
            profile: profile.clone(),
            handles: Arc::clone(&store.profiles),
            save_data: Lent::default(),
            signals: SignalHandles::default(),
        };
        match handle::insert::<SlProfile>(Arc::new(object)) {
            Ok(handle) => Ok((id, handle)),
            Err(error) => {
                profile.destroy()?;
                Err(error)
            }
        }
    })
}

/// Frees a profile's handle, and what was lent by it, and lets the store end the session.
pub(crate) fn remove(profile: *mut SlProfile) -> FfiResult<()> {
    let object = handle::remove(profile)?;
    object.handles.remove(object.profile.id());
    object.save_data.end();
    let signals = std::mem::take(&mut *object.signals.lock());
    for signal in signals {
        // One that the host disconnects at this moment is gone already.
        let signal = std::ptr::without_provenance::<SlSignalConnection>(signal);
        if let Ok(signal) = handle::take_back(signal) {
            signal.disconnect();
        }
    }
    match object.profile.destroy() {
        // A poisoned store has nothing left to end.
        Err(LockerError::Poisoned) => Ok(()),
        destroyed => Ok(destroyed?),
    }
}

/// The key that the session was started for. The host frees `key`. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT, SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_get_key(
    profile: *const SlProfile,
    key: *mut SlBuffer,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(profile)?;
        let key = out!(key);
        key.set(object.profile.key()?.to_string().into());
        Ok(())
    })
}

/// Whether the session has not been ended by the host: 1 or 0 in `is_active`. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_is_active(
    profile: *const SlProfile,
    is_active: *mut i32,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(profile)?;
        let is_active = out!(is_active);
        is_active.set(object.profile.is_active().into());
        Ok(())
    })
}

/// Whether the save data is the player's: 1 or 0 in `is_loaded`. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_is_loaded(
    profile: *const SlProfile,
    is_loaded: *mut i32,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(profile)?;
        let is_loaded = out!(is_loaded);
        is_loaded.set(object.profile.is_loaded().into());
        Ok(())
    })
}

/// Whether the save data is the player's and will be saved: loaded, within the lease, and not being
/// released. 1 or 0 in `is_available`. It turns 0 before another server could take the key. Any
/// thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT, SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_is_available(
    profile: *const SlProfile,
    is_available: *mut i32,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(profile)?;
        let is_available = out!(is_available);
        is_available.set(object.profile.is_available()?.into());
        Ok(())
    })
}

/// How far loading has come: one of SL_LOAD_STATUS_ in `load_status`. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT, SL_ERROR_NOT_ACTIVE (the session is
/// over), SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_load_status(
    profile: *const SlProfile,
    load_status: *mut i32,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(profile)?;
        let load_status = out!(load_status);
        load_status.set(load_status_number(object.profile.load_status()?));
        Ok(())
    })
}

/// The version that a server must have for this player's document, in `version`, after
/// SL_LOAD_STATUS_INVALID_VERSION; 0 otherwise. Any thread.
///
/// Errors as for `profile_load_status`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_load_minimum_server_version(
    profile: *const SlProfile,
    version: *mut u32,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(profile)?;
        let version = out!(version);
        version.set(object.profile.minimum_server_version()?);
        Ok(())
    })
}

/// Whether the profile has said its last: the session is over and its key released. 1 or 0 in
/// `is_finished`. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_is_finished(
    profile: *const SlProfile,
    is_finished: *mut i32,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(profile)?;
        let is_finished = out!(is_finished);
        is_finished.set(object.profile.is_finished().into());
        Ok(())
    })
}

/// The document of the session that was lost last, with what was not saved, as JSON. The host
/// frees `json`. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT, SL_ERROR_NOT_FOUND (none was lost),
/// SL_ERROR_NOT_ACTIVE (the session is over), SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_get_lost_save_data(
    profile: *const SlProfile,
    json: *mut SlBuffer,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(profile)?;
        let json = out!(json);
        json.set(lost_json(object.profile.lost_save_data()?)?);
        Ok(())
    })
}

/// A lost document for the host.
pub(crate) fn lost_json(lost: Option<SaveData>) -> FfiResult<SlBuffer> {
    let lost = lost.ok_or_else(|| FfiError::new(SL_ERROR_NOT_FOUND, "no session was lost"))?;
    Ok(lost.to_json().into())
}

/// The profile's save data, for the `save_data_` functions: the player's while loaded, else the
/// default. Each successful write counts as a change, as `profile_mark_should_save` does.
///
/// The handle belongs to the profile: it is the same at every call, and goes with the profile. Any
/// thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT, SL_ERROR_LIMIT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_get_save_data(
    profile: *const SlProfile,
    save_data: *mut *mut SlSaveData,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(profile)?;
        let save_data = out!(save_data);
        save_data.set(object.save_data.lend(object.profile.save_data())?);
        Ok(())
    })
}

/// The whole document as JSON, reserved fields included. The host frees `json`. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_get_save_data_json(
    profile: *const SlProfile,
    json: *mut SlBuffer,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(profile)?;
        let json = out!(json);
        json.set(object.profile.save_data_json().into());
        Ok(())
    })
}

/// Replaces every field of the player's by those of a JSON object. Reserved fields stay as they
/// are, also where the object has some. Any thread.
///
/// Errors: those of a write, see SlSaveData; SL_ERROR_WRONG_TYPE (not an object).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_set_save_data_json(
    profile: *const SlProfile,
    json: *const c_char,
    json_length: usize,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(profile)?;
        let json = text!(json, json_length);
        Ok(object.profile.set_save_data_json(json)?)
    })
}

/// Notes a change: it is in the next save. A write by a `save_data_` function notes itself. Any
/// thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_NOT_ACTIVE (the session was ended), SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_mark_should_save(profile: *const SlProfile) -> SlStatus {
    boundary(|| Ok(handle::get(profile)?.profile.mark_should_save()?))
}

/// Notes a change and saves at the next update. Any thread.
///
/// Errors as for `profile_mark_should_save`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_mark_force_save(profile: *const SlProfile) -> SlStatus {
    boundary(|| Ok(handle::get(profile)?.profile.mark_force_save()?))
}

/// Waits for the changes made so far to be saved. `callback` (may be NULL) hears the answer once,
/// inside an update; so does a host that polls, by SL_EVENT_CHANGES_SAVED. The answer is
/// SL_OUTCOME_SAVED when a commit that contains them is known to be stored, SL_OUTCOME_NOT_SAVED when the
/// session has ended without them, and rarely SL_OUTCOME_UNKNOWN: see there.
///
/// `drop` (may be NULL) ends `user_data` once the callback has run, or the wait was given up: see
/// SlDrop. `saved_connection` (may be NULL) gets a handle to look at or give up the wait: free it
/// with `saved_connection_destroy`. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_NOT_ACTIVE (the profile is finished), SL_ERROR_LIMIT
/// (65 536 waits are unanswered, or too many handles),
/// SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_when_changes_saved(
    profile: *const SlProfile,
    callback: SlSavedCallback,
    user_data: *mut c_void,
    drop: SlDrop,
    saved_connection: *mut *mut SlSavedConnection,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(profile)?;
        let owner = Owner::Profile(object.profile.downgrade());
        let wait = |connection: &SavedConnection| object.profile.wait_for(connection);
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        unsafe { begin_wait((callback, user_data, drop), owner, wait, saved_connection) }
    })
}

/// Updates the store until the changes made so far are saved (1 in `was_saved`) or the session has
/// ended without them, as far as anybody knows (0; `profile_when_changes_saved` tells more), for at most
/// `timeout` seconds. Blocks; for tools.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT, SL_ERROR_OUT_OF_RANGE (the timeout),
/// SL_ERROR_TIMEOUT (they may still be saved later), SL_ERROR_BUSY (an update, wait or drain of the
/// store is under way), SL_ERROR_NOT_ACTIVE (the profile is finished), SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_wait_until_changes_saved(
    profile: *const SlProfile,
    timeout: f64,
    was_saved: *mut i32,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(profile)?;
        let seconds = wait_seconds(timeout)?;
        let was_saved = out!(was_saved);
        match object.profile.wait_until_changes_saved(seconds)? {
            Some(outcome) => was_saved.set((outcome == SaveOutcome::Saved).into()),
            None => return Err(timed_out("the changes were not saved", timeout)),
        }
        Ok(())
    })
}

/// Calls back once the profile is loaded: at the next update, if it is already; never, if the
/// session ends first or loading is given up, which `profile_load_status` tells apart. `drop` (may be
/// NULL) ends `user_data` once the callback has run, loading is given up, or the profile is finished or
/// destroyed: see SlDrop. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT (no callback), SL_ERROR_NOT_ACTIVE
/// (the session was ended), SL_ERROR_LIMIT (65 536 waits), SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_when_loaded(
    profile: *const SlProfile,
    callback: SlLoadedCallback,
    user_data: *mut c_void,
    drop: SlDrop,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(profile)?;
        let callback = callback.ok_or_else(|| FfiError::argument("callback", "is NULL"))?;
        let user_data = UserData::new(user_data, drop);
        let (held, handles) = (Arc::clone(&user_data), Arc::clone(&object.handles));
        object.profile.when_loaded(move |id| {
            // SAFETY: the host gave the function for this purpose and this user data.
            unsafe { callback(held.pointer(), handles.get(id)) }
        })?;
        user_data.accept();
        Ok(())
    })
}

/// Updates the store until the profile is loaded, for at most `timeout` seconds. Blocks; for tools.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_OUT_OF_RANGE (the timeout), SL_ERROR_TIMEOUT,
/// SL_ERROR_NOT_ACTIVE (the session was ended), SL_ERROR_NOT_LOADED (loading was given up; see
/// `profile_load_status`), SL_ERROR_BUSY (an update, wait or drain of the store is under way),
/// SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_wait_until_loaded(
    profile: *const SlProfile,
    timeout: f64,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(profile)?;
        let seconds = wait_seconds(timeout)?;
        match object.profile.wait_until_loaded(seconds)? {
            LoadWait::Loaded => Ok(()),
            LoadWait::TimedOut => Err(timed_out("the profile was not loaded", timeout)),
            LoadWait::Ended => Err(FfiError::new(
                SL_ERROR_NOT_ACTIVE,
                "the session was ended before it loaded",
            )),
            LoadWait::Refused(status) => {
                let status = load_status_name(status);
                let message = format!("loading was given up: {status}");
                Err(FfiError::new(SL_ERROR_NOT_LOADED, message))
            }
        }
    })
}

pub(crate) fn wait_seconds(timeout: f64) -> FfiResult<f64> {
    let timeout = number::timeout("timeout", timeout)?;
    Ok(timeout.map_or(f64::INFINITY, |timeout| timeout.as_secs_f64()))
}

pub(crate) fn timed_out(what: &str, timeout: f64) -> FfiError {
    FfiError::new(SL_ERROR_TIMEOUT, format!("{what} within {timeout} s"))
}

/// Hears a signal (one of SL_SIGNAL_) of the profile, every time it fires. Of one event, the
/// signals fire deepest first: Lost or Released, then Reset, Replaced, Lifecycle.
///
/// `drop` (may be NULL) ends `user_data` once the signal was disconnected, or the profile is
/// finished or destroyed: see SlDrop. `connection` (may be NULL) gets a handle, which
/// `signal_connection_disconnect` frees; without one the connection lasts as long as the profile.
/// Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT (the signal, no callback),
/// SL_ERROR_NOT_ACTIVE (the profile is finished), SL_ERROR_LIMIT (65 536 connections).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_connect(
    profile: *const SlProfile,
    signal: i32,
    callback: SlSignalCallback,
    user_data: *mut c_void,
    drop: SlDrop,
    connection: *mut *mut SlSignalConnection,
) -> SlStatus {
    let callback = (callback, user_data, drop);
    // SAFETY: the export's own contract, rule 4 of `ffi`.
    boundary(|| unsafe { connect(profile, signal, false, callback, connection) })
}

/// Hears a signal of the profile the next time it fires, and not again; then `drop` ends
/// `user_data`. All else, and errors, as for `profile_connect`; the handle, if asked for, is still
/// to be freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_connect_once(
    profile: *const SlProfile,
    signal: i32,
    callback: SlSignalCallback,
    user_data: *mut c_void,
    drop: SlDrop,
    connection: *mut *mut SlSignalConnection,
) -> SlStatus {
    let callback = (callback, user_data, drop);
    // SAFETY: the export's own contract, rule 4 of `ffi`.
    boundary(|| unsafe { connect(profile, signal, true, callback, connection) })
}

/// # Safety
/// As the exports it is the body of.
unsafe fn connect(
    profile: *const SlProfile,
    signal: i32,
    once: bool,
    (callback, user_data, drop): (SlSignalCallback, *mut c_void, SlDrop),
    connection: *mut *mut SlSignalConnection,
) -> FfiResult<()> {
    let object = handle::get(profile)?;
    let signal = number::choice("signal", signal, &SIGNALS)?;
    let callback = callback.ok_or_else(|| FfiError::argument("callback", "is NULL"))?;
    let user_data = UserData::new(user_data, drop);
    let (held, handles) = (Arc::clone(&user_data), Arc::clone(&object.handles));
    let callback = Arc::new(move |event: &StoreEvent| {
        let profile = handles.get(event.profile);
        let told = Told::of_profile(profile, event);
        let event = told.event();
        // SAFETY: the host gave the function for this purpose and this user data; the event and
        // its text outlive the call.
        unsafe { callback(held.pointer(), profile, &raw const event) }
    });
    let id = object.profile.connect(signal, once, callback)?;
    if !connection.is_null() {
        let connection = out!(connection);
        let siblings = Arc::clone(&object.signals);
        let signal = SignalObject {
            profile: object.profile.downgrade(),
            id,
            siblings,
        };
        let handle = handle::insert::<SlSignalConnection>(Arc::new(signal)).inspect_err(|_| {
            object.profile.disconnect(id);
        })?;
        object.signals.lock().push(handle.addr());
        connection.set(handle);
    }
    user_data.accept();
    Ok(())
}

/// Sets what the session's log lines begin with; all as for `locker_set_log_prefix`. Profiles that
/// share a session share it. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT (too long), SL_ERROR_INVALID_UTF8,
/// SL_ERROR_NOT_ACTIVE (the profile is finished), SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_set_log_prefix(
    profile: *const SlProfile,
    log_prefix: *const c_char,
    log_prefix_length: usize,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(profile)?;
        let log_prefix = text!(log_prefix, log_prefix_length);
        Ok(object.profile.set_log_prefix(log_prefix)?)
    })
}

/// Sets the hook that runs before every save, the final one included, or with NULL none. `drop`
/// (may be NULL) ends `user_data` once another hook, or none, has taken this one's place, or the
/// profile is finished or destroyed: see SlDrop. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_NOT_ACTIVE (the profile is finished), SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_set_before_save(
    profile: *const SlProfile,
    hook: SlBeforeSave,
    user_data: *mut c_void,
    drop: SlDrop,
) -> SlStatus {
    boundary(|| set_before_save(profile, false, hook, UserData::new(user_data, drop)))
}

/// Sets the second hook before a save, which runs after the first, just before the document is
/// written out. All else, and errors, as for `profile_set_before_save`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_set_before_save_transform(
    profile: *const SlProfile,
    hook: SlBeforeSave,
    user_data: *mut c_void,
    drop: SlDrop,
) -> SlStatus {
    boundary(|| set_before_save(profile, true, hook, UserData::new(user_data, drop)))
}

fn set_before_save(
    profile: *const SlProfile,
    transform: bool,
    hook: SlBeforeSave,
    user_data: Arc<UserData>,
) -> FfiResult<()> {
    let object = handle::get(profile)?;
    let (held, handles) = (Arc::clone(&user_data), Arc::clone(&object.handles));
    let id = object.profile.id();
    let hook = hook.map(|hook| {
        let run = move || {
            run_hook(|| {
                // SAFETY: the host gave the function for this purpose and this user data.
                unsafe { hook(held.pointer(), handles.get(id)) }
            })
        };
        Arc::new(run) as Arc<dyn Fn() -> Result<(), String> + Send + Sync>
    });
    object.profile.set_before_save(transform, hook)?;
    user_data.accept();
    Ok(())
}

/// Ends the session: it is saved and released in the updates that follow. The profile's signals
/// and events are heard until `Finished`. On an ended session it does nothing. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_end_session(profile: *const SlProfile) -> SlStatus {
    boundary(|| Ok(handle::get(profile)?.profile.end_session()?))
}

/// Ends the session and frees the profile, the handle of its save data, and those of its signal
/// connections. The store saves and releases the session by itself; waits are still answered, but
/// but for purchases, whose functions run on with a NULL profile, nothing else that the profile was given
/// is called any more. So where hooks are to run before the
/// final save, end the session first, and destroy the profile once it has finished. Any thread;
/// also inside the profile's own callbacks.
///
/// Errors: SL_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_destroy(profile: *mut SlProfile) -> SlStatus {
    boundary(|| remove(profile))
}
