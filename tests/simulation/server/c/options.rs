//! The options of sessions and sends.

use session_locker::ffi::*;

use super::call::{c, filled};

/// A session's, whose record belongs to this user.
pub fn of_session<R>(user_id: &str, with: impl FnOnce(*const SlSessionOptions) -> R) -> R {
    let user_id = SlText {
        data: user_id.as_ptr().cast(),
        length: user_id.len(),
    };
    let options = SlSessionOptions {
        user_ids: &raw const user_id,
        user_id_count: 1,
        ..filled(|options, size| c!(session_locker_session_options_init(options, size)))
    };
    with(&raw const options)
}

/// A send's: an operation id, or none at all.
pub fn of_send<R>(operation: Option<&str>, with: impl FnOnce(*const SlSendOptions) -> R) -> R {
    let Some(operation) = operation else {
        return with(std::ptr::null());
    };
    let options = SlSendOptions {
        operation_id: operation.as_ptr().cast(),
        operation_id_length: operation.len(),
        ..filled(|options, size| c!(session_locker_send_options_init(options, size)))
    };
    with(&raw const options)
}
