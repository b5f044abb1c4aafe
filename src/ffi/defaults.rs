//! What holds for the whole process unless a configuration says otherwise: the seed's `Default_*`
//! values and the default error reporters.

use std::ffi::c_void;
use std::sync::Arc;

use super::boundary::boundary;
use super::callback::{SlDrop, UserData};
use super::error::FfiError;
use super::event::{activity_number, error_kind_number};
use super::handle;
use super::number::{self, Choice};
use super::spec::SlLockerSpec;
use super::status::*;
use super::storage_request::SlRequestErrorKind;
use super::text::{SlText, lend_text};
use crate::locker::{ConfigValue, ReportError, ReportedError, Reporter, set_default_report_error};

/// `verbose_logs`: 0 or 1 (0).
pub const SL_CONFIG_VERBOSE_LOGS: i32 = 1;
/// `read_only_data_stores`: 0 or 1 (0).
pub const SL_CONFIG_READ_ONLY_DATA_STORES: i32 = 2;
/// `maintain_session_period`, in seconds (300).
pub const SL_CONFIG_MAINTAIN_SESSION_PERIOD: i32 = 3;
/// `session_expiry`, in seconds (1800).
pub const SL_CONFIG_SESSION_EXPIRY: i32 = 4;
/// `session_retry_cooldown`, in seconds (10).
pub const SL_CONFIG_SESSION_RETRY_COOLDOWN: i32 = 5;
/// `purchase_history_limit`, a whole number (100).
pub const SL_CONFIG_PURCHASE_HISTORY_LIMIT: i32 = 6;

const CONFIG_VALUES: [Choice<ConfigValue>; 6] = [
    (
        SL_CONFIG_VERBOSE_LOGS,
        "SL_CONFIG_VERBOSE_LOGS",
        ConfigValue::VerboseLogs,
    ),
    (
        SL_CONFIG_READ_ONLY_DATA_STORES,
        "SL_CONFIG_READ_ONLY_DATA_STORES",
        ConfigValue::ReadOnlyDataStores,
    ),
    (
        SL_CONFIG_MAINTAIN_SESSION_PERIOD,
        "SL_CONFIG_MAINTAIN_SESSION_PERIOD",
        ConfigValue::MaintainSessionPeriod,
    ),
    (
        SL_CONFIG_SESSION_EXPIRY,
        "SL_CONFIG_SESSION_EXPIRY",
        ConfigValue::SessionExpiry,
    ),
    (
        SL_CONFIG_SESSION_RETRY_COOLDOWN,
        "SL_CONFIG_SESSION_RETRY_COOLDOWN",
        ConfigValue::SessionRetryCooldown,
    ),
    (
        SL_CONFIG_PURCHASE_HISTORY_LIMIT,
        "SL_CONFIG_PURCHASE_HISTORY_LIMIT",
        ConfigValue::PurchaseHistoryLimit,
    ),
];

/// The errors of lockers, also of those beneath a store.
pub const SL_REPORTER_LOCKERS: i32 = 1;
/// The errors of remote-change senders.
pub const SL_REPORTER_SENDERS: i32 = 2;

const REPORTERS: [Choice<Reporter>; 2] = [
    (
        SL_REPORTER_LOCKERS,
        "SL_REPORTER_LOCKERS",
        Reporter::Lockers,
    ),
    (
        SL_REPORTER_SENDERS,
        "SL_REPORTER_SENDERS",
        Reporter::Senders,
    ),
];

/// An error, and what identifies the player. The texts, which
/// are not NUL-terminated, live until the callback returns.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SlErrorReport {
    /// One of SL_ACTIVITY_: what was being done.
    pub activity: i32,
    /// One of SL_REQUEST_ERROR_: whose fault it is.
    pub error_kind: SlRequestErrorKind,
    /// 1 if the configuration asks for verbose logs.
    pub verbose_logs: i32,
    /// 0.
    pub reserved: i32,
    /// What the log lines of the locker or sender begin with.
    pub log_prefix: SlText,
    /// The key that was being worked on.
    pub key: SlText,
    /// What happened, in full.
    pub message: SlText,
    /// The same with `{userid}` and `{datastorekey}` in place of the user ids and the key, so that
    /// tools can count equal messages, and no player is named.
    pub filtered_message: SlText,
    /// The users that the record belongs to; NULL when there is none.
    pub user_ids: *const SlText,
    /// How many there are.
    pub user_id_count: usize,
    /// 0. Room for what later versions tell.
    pub reserved_for_later: [u64; 4],
}

/// Told of an error. `report` lives until the callback returns.
/// Runs inside an update, wait or drain that a host called, on its thread, with no lock held, and
/// may call any function; several threads may run it at the same time.
pub type SlReportError =
    Option<unsafe extern "C" fn(user_data: *mut c_void, report: *const SlErrorReport)>;

/// Sets the default of the whole process for one value, `config_value` being one of SL_CONFIG_.
///
/// It counts for configurations that an init function fills in from then on, which may still set
/// the value themselves; stores and specs that exist stay as they are. That the values fit together
/// is seen when a store or spec is made of them. Any thread.
///
/// Errors: SL_ERROR_INVALID_ARGUMENT (`config_value`), SL_ERROR_OUT_OF_RANGE (the value, which the
/// message calls by its name in the original).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_locker_set_default(config_value: i32, value: f64) -> SlStatus {
    boundary(|| {
        let config_value = number::choice("config_value", config_value, &CONFIG_VALUES)?;
        let set = config_value.set_default(value);
        set.map_err(|error| FfiError::new(SL_ERROR_OUT_OF_RANGE, error.to_string()))
    })
}

/// The default of the whole process for one value, `config_value` being one of SL_CONFIG_, in
/// `value`. Any thread. Errors: SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_locker_get_default(
    config_value: i32,
    value: *mut f64,
) -> SlStatus {
    boundary(|| {
        let config_value = number::choice("config_value", config_value, &CONFIG_VALUES)?;
        let value = out!(value);
        value.set(config_value.default_value());
        Ok(())
    })
}

/// What counts of an override and a default: `override_value` if `has_override` is not 0, else
/// `default_value`. Any thread. Never fails.
#[unsafe(no_mangle)]
pub extern "C" fn session_locker_query_config(
    has_override: i32,
    override_value: f64,
    default_value: f64,
) -> f64 {
    if has_override != 0 {
        override_value
    } else {
        default_value
    }
}

/// The value that a spec was made with, `config_value` being one of SL_CONFIG_, in `value`. Any
/// thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT, SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_spec_query_config(
    spec: *const SlLockerSpec,
    config_value: i32,
    value: *mut f64,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(spec)?;
        let config_value = number::choice("config_value", config_value, &CONFIG_VALUES)?;
        let value = out!(value);
        value.set(object.spec.config()?.query(config_value));
        Ok(())
    })
}

/// Sets who is told, in the whole process, of errors of which no host has asked to hear: those of
/// stores and specs that have no `event` callback and no `report_error`, and do not poll events, or
/// those of senders that have no `report_error` and do not poll events, and those of stores that send. `reporter` is one of SL_REPORTER_ and says which.
///
/// With a NULL `callback`, as in the beginning, they are logged (see
/// `session_locker_set_log_callback`): in full with `verbose_logs`; otherwise without user ids and
/// key, and not at all where the error is SL_REQUEST_ERROR_BACKEND, which passes by itself.
///
/// `drop` may be NULL; else it is called once with `user_data`, when another callback has taken this
/// one's place and it runs no more. With a NULL `callback` that is at once. Any thread; also inside
/// the callback itself.
///
/// Errors: SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_locker_set_default_report_error(
    reporter: i32,
    callback: SlReportError,
    user_data: *mut c_void,
    drop: SlDrop,
) -> SlStatus {
    boundary(|| {
        let reporter = number::choice("reporter", reporter, &REPORTERS)?;
        let user_data = UserData::new(user_data, drop);
        user_data.accept();
        let report = host_reporter(callback, user_data);
        // The one before goes here, with no lock held: its `drop` may call anything.
        std::mem::drop(set_default_report_error(reporter, report));
        Ok(())
    })
}

/// The host's callback as the library's own.
pub(crate) fn host_reporter(
    callback: SlReportError,
    user_data: Arc<UserData>,
) -> Option<ReportError> {
    let callback = callback?;
    Some(Arc::new(move |error| {
        tell(error, |report| {
            // SAFETY: the host gave the function for this purpose and this user data; the report
            // and its texts outlive the call.
            unsafe { callback(user_data.pointer(), report) }
        })
    }))
}

/// Lends an error to the host.
fn tell(error: &ReportedError<'_>, callback: impl FnOnce(*const SlErrorReport)) {
    let filtered_message = error.filtered_message();
    let user_ids = error.user_ids.iter().map(|id| lend_text(id.as_bytes()));
    let user_ids = user_ids.collect::<Vec<_>>();
    let report = SlErrorReport {
        activity: activity_number(error.error.activity),
        error_kind: error_kind_number(error.error.kind),
        verbose_logs: error.verbose_logs.into(),
        reserved: 0,
        log_prefix: lend_text(error.log_prefix.as_bytes()),
        key: lend_text(error.key.as_bytes()),
        message: lend_text(error.error.message.as_bytes()),
        filtered_message: lend_text(filtered_message.as_bytes()),
        user_ids: if user_ids.is_empty() {
            std::ptr::null()
        } else {
            user_ids.as_ptr()
        },
        user_id_count: user_ids.len(),
        reserved_for_later: [0; 4],
    };
    callback(&raw const report);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_is_called_as_the_value_it_stands_for() {
        for (_, constant, value) in CONFIG_VALUES {
            let letters = constant
                .strip_prefix("SL_CONFIG_")
                .unwrap()
                .replace('_', "");
            assert_eq!(letters, value.name().to_uppercase());
        }
    }
}
