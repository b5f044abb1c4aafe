//! `SlSavedConnection` and `SlSignalConnection`: what the host waits for and listens to.

use std::ffi::c_void;
use std::sync::Arc;

use parking_lot::Mutex;

use super::boundary::boundary;
use super::callback::{SlDrop, UserData};
use super::error::{FfiError, FfiResult};
use super::event::{SL_OUTCOME_NONE, SlEvent, outcome_number};
use super::handle::{self, Kind};
use super::number;
use super::profile::SlProfile;
use super::status::*;
use crate::easy::{ConnectionId, WeakProfile};
use crate::locker::{LockerError, SaveOutcome, SavedCallback, SavedConnection, WeakLocker};

/// A wait for changes to be saved: the seed's `SavedConnection`. Answered exactly once, unless it
/// is disconnected first. Free it with `saved_connection_destroy`.
pub struct SlSavedConnection(());
handle_kind!(SlSavedConnection, Kind::SavedConnection, SavedObject);

/// A connection to a signal of a profile. `signal_connection_disconnect` ends it and frees it; so
/// does the end of the profile's handle.
pub struct SlSignalConnection(());
handle_kind!(SlSignalConnection, Kind::SignalConnection, SignalObject);

/// Told once how a wait for changes ended: `outcome` is one of SL_OUTCOME_. Runs inside an update,
/// wait, drain or destruction that the host called, on that thread, with no lock held, and may
/// call any function.
pub type SlSavedCallback = Option<unsafe extern "C" fn(user_data: *mut c_void, outcome: i32)>;

/// Told that a signal has fired, with the event that fired it, which lives until the callback
/// returns. `profile` is NULL once the host has destroyed it. Runs as SlSavedCallback does.
pub type SlSignalCallback = Option<
    unsafe extern "C" fn(user_data: *mut c_void, profile: *mut SlProfile, event: *const SlEvent),
>;

/// Whose wait it is. A wait keeps nothing alive: the end of the store or spec answers it.
pub(crate) enum Owner {
    Profile(WeakProfile),
    Locker(WeakLocker),
}

pub(crate) struct SavedObject {
    connection: SavedConnection,
    owner: Owner,
}

pub(crate) struct SignalObject {
    pub(crate) profile: WeakProfile,
    pub(crate) id: ConnectionId,
    /// Those of the same profile.
    pub(crate) siblings: SignalHandles,
}

impl SignalObject {
    pub(crate) fn disconnect(&self) {
        if let Some(profile) = self.profile.upgrade() {
            profile.disconnect(self.id);
        }
    }
}

/// The handles of a profile's signal connections, which end with the profile's own.
pub(crate) type SignalHandles = Arc<Mutex<Vec<usize>>>;

/// The host's callback as the library's own.
fn saved_callback(callback: SlSavedCallback, user_data: &Arc<UserData>) -> Option<SavedCallback> {
    let callback = callback?;
    let user_data = Arc::clone(user_data);
    Some(Box::new(move |outcome| {
        // SAFETY: the host gave the function for this purpose and this user data.
        unsafe { callback(user_data.pointer(), outcome_number(outcome)) }
    }))
}

/// Begins a wait, and gives it a handle if the host wants one in `saved_connection`. The handle
/// comes first, so that an answer from another thread's update carries it.
///
/// # Safety
/// `saved_connection` is NULL or may be written with a handle.
pub(crate) unsafe fn begin_wait(
    (callback, user_data, drop): (SlSavedCallback, *mut c_void, SlDrop),
    owner: Owner,
    wait: impl FnOnce(&SavedConnection) -> Result<(), LockerError>,
    saved_connection: *mut *mut SlSavedConnection,
) -> FfiResult<()> {
    let user_data = UserData::new(user_data, drop);
    let connection = SavedConnection::new(saved_callback(callback, &user_data));
    if saved_connection.is_null() {
        wait(&connection)?;
        user_data.accept();
        return Ok(());
    }
    let saved_connection = out!(saved_connection);
    let object = SavedObject {
        connection: connection.clone(),
        owner,
    };
    let handle = handle::insert::<SlSavedConnection>(Arc::new(object))?;
    connection.set_tag(handle.addr() as u64);
    if let Err(error) = wait(&connection) {
        handle::take_back(handle)?;
        return Err(error.into());
    }
    user_data.accept();
    saved_connection.set(handle);
    Ok(())
}

/// Whether the changes are in the storage: 1 or 0 in `is_saved`. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saved_connection_is_saved(
    connection: *const SlSavedConnection,
    is_saved: *mut i32,
) -> SlStatus {
    boundary(|| {
        let connection = handle::get(connection)?;
        let is_saved = out!(is_saved);
        is_saved.set(connection.connection.is_saved().into());
        Ok(())
    })
}

/// Whether it still waits: 1 until it is answered or disconnected, then 0, in `is_connected`. Any
/// thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saved_connection_is_connected(
    connection: *const SlSavedConnection,
    is_connected: *mut i32,
) -> SlStatus {
    boundary(|| {
        let connection = handle::get(connection)?;
        let is_connected = out!(is_connected);
        is_connected.set(connection.connection.is_connected().into());
        Ok(())
    })
}

/// The answer, in `outcome`: one of SL_OUTCOME_, which is SL_OUTCOME_NONE while it waits and after
/// it was given up. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saved_connection_outcome(
    connection: *const SlSavedConnection,
    outcome: *mut i32,
) -> SlStatus {
    boundary(|| {
        let connection = handle::get(connection)?;
        let outcome = out!(outcome);
        let answer = connection.connection.outcome();
        outcome.set(answer.map_or(SL_OUTCOME_NONE, outcome_number));
        Ok(())
    })
}

/// Answers the wait by hand: saved (1) or not (0). Its callback, or event, comes with the next
/// update. On one that does not wait any more it does nothing. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT (`was_saved`), SL_ERROR_NOT_ACTIVE
/// (the session has ended; it was answered then), SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saved_connection_trigger(
    connection: *const SlSavedConnection,
    was_saved: i32,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(connection)?;
        let outcome = match number::switch("was_saved", was_saved)? {
            true => SaveOutcome::Saved,
            false => SaveOutcome::NotSaved,
        };
        let triggered = match &object.owner {
            Owner::Profile(profile) => profile
                .upgrade()
                .map(|profile| profile.trigger(&object.connection, outcome)),
            Owner::Locker(locker) => locker
                .upgrade()
                .map(|locker| locker.trigger(&object.connection, outcome)),
        };
        let gone = || FfiError::new(SL_ERROR_NOT_ACTIVE, "the store or spec is gone");
        Ok(triggered.ok_or_else(gone)??)
    })
}

/// Gives up the wait: it is not answered any more. One that was answered keeps its answer, but a
/// callback that has not been told of it yet is not called. The handle stays. Any thread. Errors:
/// SL_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saved_connection_disconnect(
    connection: *const SlSavedConnection,
) -> SlStatus {
    boundary(|| {
        handle::get(connection)?.connection.disconnect();
        Ok(())
    })
}

/// Gives up the wait and frees the handle. Any thread. Errors: SL_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saved_connection_destroy(connection: *mut SlSavedConnection) -> SlStatus {
    boundary(|| {
        let object = handle::remove(connection)?;
        object.connection.set_tag(0);
        object.connection.disconnect();
        Ok(())
    })
}

/// Ends a connection to a signal and frees the handle; its callback does not run any more, save
/// where it runs already. Any thread. Errors: SL_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn signal_connection_disconnect(
    connection: *mut SlSignalConnection,
) -> SlStatus {
    boundary(|| {
        let object = handle::remove(connection)?;
        object
            .siblings
            .lock()
            .retain(|sibling| *sibling != connection.addr());
        object.disconnect();
        Ok(())
    })
}
