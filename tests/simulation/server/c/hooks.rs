//! The hooks of a C host, whichever of the two APIs calls them. They return a status, and cannot panic.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use session_locker::ffi::*;

use super::call::{c, callback, lent, lent_output, must};
use super::desk::Desk;
use super::document::SaveData;
use super::user_data::behind;
use crate::server::Failure;

/// A status of which the library knows nothing.
const SOME_FAILURE: SlStatus = 77;

/// Fails with a message, or without one.
pub fn fail(failure: Failure) -> SlStatus {
    if failure.panics {
        return SOME_FAILURE;
    }
    let why = "the hook gives up";
    must(c!(session_locker_set_hook_error(
        why.as_ptr().cast(),
        why.len()
    )));
    SL_ERROR_HOOK
}

/// What a hook that cannot be refused returns.
pub fn status(done: Result<(), Failure>) -> SlStatus {
    done.map_or_else(fail, |()| SL_OK)
}

/// What a hook that can answer that it does not apply returns.
pub fn answer(done: Result<bool, Failure>) -> SlStatus {
    match done {
        Ok(true) => SL_OK,
        Ok(false) => SL_ERROR_NOT_APPLICABLE,
        Err(failure) => fail(failure),
    }
}

/// The body of a hook of a server's. Once the host is on its way out, no hook does anything.
pub fn hook(user_data: *mut c_void, body: impl FnOnce(&Arc<Desk>) -> SlStatus) -> SlStatus {
    callback(SL_ERROR_HOOK, || {
        let desk = behind::<Desk>(user_data);
        match desk.is_muted() {
            true => SL_ERROR_HOOK,
            false => body(&desk),
        }
    })
}

pub extern "C" fn create(
    user_data: *mut c_void,
    key: *const c_char,
    key_length: usize,
    data: *mut SlSaveData,
) -> SlStatus {
    hook(user_data, |desk| {
        match desk.game.create(lent(key, key_length)) {
            Ok(template) => {
                let written = SaveData::of(data).set(template);
                written.map_or_else(|refusal| refusal.status, |()| SL_OK)
            }
            Err(failure) => fail(failure),
        }
    })
}

pub extern "C" fn migrate(
    user_data: *mut c_void,
    data: *mut SlSaveData,
    version_patch: *mut f64,
) -> SlStatus {
    hook(user_data, |desk| {
        assert_eq!(*lent_output(version_patch), 0.0);
        status(desk.game.migrate(&mut SaveData::of(data)))
    })
}

pub extern "C" fn remote_change(
    user_data: *mut c_void,
    key: *const c_char,
    key_length: usize,
    data: *mut SlSaveData,
    change_json: *const c_char,
    change_json_length: usize,
) -> SlStatus {
    hook(user_data, |desk| {
        let (key, json) = (lent(key, key_length), lent(change_json, change_json_length));
        answer(desk.game.remote_change(key, json, &mut SaveData::of(data)))
    })
}

pub extern "C" fn merge(
    user_data: *mut c_void,
    key: *const c_char,
    key_length: usize,
    offline: *mut SlSaveData,
    data: *mut SlSaveData,
) -> SlStatus {
    hook(user_data, |desk| {
        let (mut offline, mut data) = (SaveData::of(offline), SaveData::of(data));
        status(
            desk.game
                .merge(lent(key, key_length), &mut offline, &mut data),
        )
    })
}
