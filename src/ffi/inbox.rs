//! The host's callbacks around the inbox: those that apply remote changes, and the one that merges
//! what was written before the load.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::callback::UserData;
use super::error::{run_answering_hook, run_hook};
use super::save_data::{SlSaveData, lend};
use super::status::*;
use crate::locker::{HookAnswer, SharedSaveData};
use crate::save_data::{RemoteChange, SaveData};

/// Applies a remote change to the save data of `key` by writing to `data`, a handle that is valid
/// until the function returns. `change_json` is the change as it was sent: `K` is its kind, `I` its
/// id, `A` when it was sent in Unix seconds; it is not NUL-terminated.
///
/// Called for each entry of the inbox, oldest first: when the key was acquired, before that is told
/// (the load status is not SL_LOAD_STATUS_LOADED yet), and during the session for those that a save
/// has found new in the stored document. An entry counts as a request of `requests_per_update`, so
/// very many are spread over several updates. A key may come whose profile the host has destroyed.
///
/// Returns SL_OK: the change is applied and leaves the inbox, both in one commit.
/// SL_ERROR_NOT_APPLICABLE: it cannot be applied here (this server does not know its kind); it stays
/// and is asked for again at the next load. Anything else is a failure: it is reported with
/// SL_ACTIVITY_REMOTE_CHANGE and the message of `session_locker_set_hook_error`; the change stays and
/// is asked for again after `session_retry_cooldown`, and at the next load. Unless it returns SL_OK, the
/// save data is as before the call. A change that stays does not hold back later ones.
///
/// What it does to a session that is loaded is saved with that session's next save;
/// `profile_mark_force_save` inside it saves at once.
///
/// Runs inside an update, wait or drain that the host called, on that thread, with no lock held.
/// While it runs, other threads read the save data as it was, and are refused writes; its own writes
/// to other live save data are refused with SL_ERROR_BUSY.
pub type SlProcessRemoteChange = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        key: *const c_char,
        key_length: usize,
        data: *mut SlSaveData,
        change_json: *const c_char,
        change_json_length: usize,
    ) -> SlStatus,
>;

/// Takes over into `data`, which was just loaded for `key`, what the host has written into the save
/// data before that, `offline`. Both handles are valid until the function returns; `offline` is a
/// copy, and what is written to it counts for nothing.
///
/// Called at every load, after the remote changes and before the load is told, also if nothing
/// was written. Any other status than SL_OK is a failure: the save data is as before the call, the
/// failure is reported with SL_ACTIVITY_MERGE, and the save data is loaded all the same.
///
/// Runs as SlProcessRemoteChange does.
pub type SlMergeOfflineSaveData = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        key: *const c_char,
        key_length: usize,
        offline: *mut SlSaveData,
        data: *mut SlSaveData,
    ) -> SlStatus,
>;

/// Runs the host's hook on a change.
pub(crate) fn process_remote_change(
    process: SlProcessRemoteChange,
    user_data: &UserData,
    key: &str,
    data: &Arc<SharedSaveData>,
    change: &RemoteChange,
) -> Result<HookAnswer, String> {
    let Some(process) = process else {
        return Ok(HookAnswer::NotApplicable);
    };
    let json = change.json();
    let ran = lend(data, |data| {
        run_answering_hook(|| {
            let (key, length) = (key.as_ptr().cast(), key.len());
            // SAFETY: the host gave the function for this purpose and this user data, which the
            // caller keeps alive; the key, the handle and the change outlive the call.
            unsafe {
                process(
                    user_data.pointer(),
                    key,
                    length,
                    data,
                    json.as_ptr().cast(),
                    json.len(),
                )
            }
        })
    });
    ran.map_err(|error| error.message)?
}

/// Runs the host's merge.
pub(crate) fn merge_offline(
    merge: SlMergeOfflineSaveData,
    user_data: &UserData,
    key: &str,
    offline: SaveData,
    data: &Arc<SharedSaveData>,
) -> Result<(), String> {
    let Some(merge) = merge else { return Ok(()) };
    let offline = SharedSaveData::new(offline);
    let ran = lend(&offline, |offline| {
        lend(data, |data| {
            run_hook(|| {
                let (key, length) = (key.as_ptr().cast(), key.len());
                // SAFETY: the host gave the function for this purpose and this user data, which
                // the caller keeps alive; the key and both handles outlive the call.
                unsafe { merge(user_data.pointer(), key, length, offline, data) }
            })
        })
    });
    ran.and_then(|ran| ran).map_err(|error| error.message)?
}
