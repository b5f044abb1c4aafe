//! `SlLogCallback`: where the library's messages go, and the helpers by which a host writes its own
//! in the same way.

use std::backtrace::Backtrace;
use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::boundary::boundary;
use super::callback::{SlDrop, UserData};
use super::error::FfiError;
use super::event::error_kind_number;
use super::number;
use super::settings::optional_text;
use super::status::*;
use super::storage_request::SlRequestErrorKind;
use super::text::{SlBuffer, lend_text};
use crate::log::{self, Level, Sink};
use crate::storage::RequestErrorKind;

/// The steps of a session, with `verbose_logs`.
pub const SL_LOG_DEBUG: i32 = 0;
/// What passes by itself.
pub const SL_LOG_INFO: i32 = 1;
/// What someone should look at.
pub const SL_LOG_WARNING: i32 = 2;
/// A mistake in code or configuration.
pub const SL_LOG_ERROR: i32 = 3;

/// Told what the library has to say: `level` is one of SL_LOG_, `message` is `message_length` bytes
/// of UTF-8, perhaps of several lines, that live until the callback returns.
///
/// Runs inside whatever call has something to say, on its thread, with no lock held, and may call
/// any function; several threads may run it at the same time. What is logged inside it, on the same
/// thread, goes nowhere.
pub type SlLogCallback = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        level: i32,
        message: *const c_char,
        message_length: usize,
    ),
>;

/// Sets where the messages of the whole process go; with NULL they go nowhere, as in the beginning.
/// The library itself never prints.
///
/// There are messages about errors of which no host has asked to hear (see
/// `session_locker_set_default_report_error`), the steps of sessions whose configuration has
/// `verbose_logs`, and what `session_locker_log_error_variations` is given.
///
/// `drop` may be NULL; else it is called once with `user_data`, when another callback has taken this
/// one's place and it runs no more. With a NULL `callback` that is at once. Any thread; also inside
/// the callback itself. Never fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_locker_set_log_callback(
    callback: SlLogCallback,
    user_data: *mut c_void,
    drop: SlDrop,
) -> SlStatus {
    boundary(|| {
        let user_data = UserData::new(user_data, drop);
        user_data.accept();
        let sink = callback.map(|callback| -> Sink {
            Arc::new(move |level, message| {
                let level = level_number(level);
                let message = lend_text(message.as_bytes());
                // SAFETY: the host gave the function for this purpose and this user data; the
                // message outlives the call.
                unsafe { callback(user_data.pointer(), level, message.data, message.length) }
            })
        });
        // The one before goes here, with no lock held: its `drop` may call anything.
        std::mem::drop(log::set_sink(sink));
        Ok(())
    })
}

/// Logs one failure four times, as warnings: that `identifier` failed; the same with a traceback;
/// that it failed with `error_message`; the same with a traceback. Tools that count equal messages
/// then count the failure, even where the error's details (a user id, say) differ each time; the
/// details are found by the identifier.
///
/// `traceback` is the host's own, in its own language; with NULL it is the native call stack of this
/// thread. Nothing happens while there is no log callback. Any thread.
///
/// Errors: SL_ERROR_INVALID_ARGUMENT (NULL with a length), SL_ERROR_INVALID_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_locker_log_error_variations(
    identifier: *const c_char,
    identifier_length: usize,
    error_message: *const c_char,
    error_message_length: usize,
    traceback: *const c_char,
    traceback_length: usize,
) -> SlStatus {
    boundary(|| {
        let identifier = text!(identifier, identifier_length);
        let error_message = text!(error_message, error_message_length);
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        let traceback = unsafe { optional_text("traceback", (traceback, traceback_length)) }?;
        if log::is_heard() {
            let native = || Backtrace::force_capture().to_string();
            let traceback = traceback.map_or_else(native, str::to_owned);
            log::log_error_variations(identifier, error_message, &traceback);
        }
        Ok(())
    })
}

/// Makes what log lines begin with, such as `[SessionLocker][Ann]:[1001 / 2002]`, to be given to
/// `locker_set_log_prefix` or `profile_set_log_prefix`, and for the host's own lines.
///
/// `show_module` is 1 for the library's name at the beginning. `user_id` is the player's.
/// `data_store_user_id` is the user whose save data is used, shown where that is another; `name` is
/// shown before the ids. Both may be NULL. The host frees `prefix`. Any thread.
///
/// Errors: SL_ERROR_INVALID_ARGUMENT (`show_module`, an empty `user_id`, NULL with a length),
/// SL_ERROR_INVALID_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_locker_log_prefix_create(
    show_module: i32,
    user_id: *const c_char,
    user_id_length: usize,
    data_store_user_id: *const c_char,
    data_store_user_id_length: usize,
    name: *const c_char,
    name_length: usize,
    prefix: *mut SlBuffer,
) -> SlStatus {
    boundary(|| {
        let show_module = number::switch("show_module", show_module)?;
        let user_id = text!(user_id, user_id_length);
        let other = (data_store_user_id, data_store_user_id_length);
        // SAFETY: the export's own contract, rule 4 of `ffi`, also below.
        let other = unsafe { optional_text("data_store_user_id", other) }?;
        // SAFETY: as above.
        let name = unsafe { optional_text("name", (name, name_length)) }?;
        let prefix = out!(prefix);
        if user_id.is_empty() {
            return Err(FfiError::argument("user_id", "is empty"));
        }
        prefix.set(log::log_prefix_create(show_module, user_id, other, name).into());
        Ok(())
    })
}

/// Whose fault a failed request is, in `kind`, by the number and colon that begin the messages of
/// the original's platform: 1xx, 403 and 511 to 514 are SL_REQUEST_ERROR_SCRIPT, 3xx and 502 are
/// SL_REQUEST_ERROR_BACKEND, and all else is SL_REQUEST_ERROR_MISC. For a host's own storage whose
/// messages are of that kind. Any thread.
///
/// Errors: SL_ERROR_INVALID_ARGUMENT, SL_ERROR_INVALID_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_locker_request_error_kind(
    message: *const c_char,
    message_length: usize,
    kind: *mut SlRequestErrorKind,
) -> SlStatus {
    boundary(|| {
        let message = text!(message, message_length);
        let kind = out!(kind);
        kind.set(error_kind_number(RequestErrorKind::of_message(message)));
        Ok(())
    })
}

fn level_number(level: Level) -> i32 {
    match level {
        Level::Debug => SL_LOG_DEBUG,
        Level::Info => SL_LOG_INFO,
        Level::Warning => SL_LOG_WARNING,
        Level::Error => SL_LOG_ERROR,
    }
}
