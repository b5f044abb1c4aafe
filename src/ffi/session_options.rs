//! `SlSessionOptions`: what a session or a locker may be given at its start.

use std::ffi::c_char;

use super::boundary::boundary;
use super::config::{self, Versioned};
use super::error::FfiResult;
use super::number;
use super::settings::optional_text;
use super::status::*;
use super::text::{SL_NUL_TERMINATED, SlText, texts};
use crate::locker::SessionOptions;
use crate::storage::MAX_USER_IDS;

/// What a session or a locker may be given at its start. `session_locker_session_options_init` fills in the
/// defaults; where a function takes options, NULL stands for all defaults. They are copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SlSessionOptions {
    /// `sizeof(SlSessionOptions)`.
    pub struct_size: u32,
    /// 1: the session never touches the storage. It loads the save data that it has, which is the
    /// default one and what the host has written since, and keeps it from then on, also when it is
    /// released; all else is as with a storage that stores at once. For players without records of
    /// their own, such as those of tests. Where a hook makes the default save data, it does so in
    /// the first update, so write after that. 0: as usual (0).
    pub disable_apis: i32,
    /// The users that the record belongs to, at most 64, each of 1 to 128 bytes. They go into the
    /// storage with each save, for erasure requests. NULL, with a count of 0, for none: then the
    /// record keeps those it has.
    pub user_ids: *const SlText,
    /// How many there are (0).
    pub user_id_count: usize,
    /// What the log lines begin with, at most 1024 bytes; `session_locker_log_prefix_create` makes
    /// one. NULL, or an empty text, for the default.
    pub log_prefix: *const c_char,
    /// Bytes. Left alone, it is SL_NUL_TERMINATED.
    pub log_prefix_length: usize,
}

// SAFETY: `repr(C)` with its size first; numbers and raw pointers, without padding.
unsafe impl Versioned for SlSessionOptions {
    const NAME: &'static str = "SlSessionOptions";
    const FIRST_SIZE: usize = 40;

    fn defaults() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            disable_apis: 0,
            user_ids: std::ptr::null(),
            user_id_count: 0,
            log_prefix: std::ptr::null(),
            log_prefix_length: SL_NUL_TERMINATED,
        }
    }
}

/// The host's options, read; see the macro `session_options!`.
pub(crate) struct Read<'a> {
    user_ids: Vec<&'a str>,
    log_prefix: &'a str,
    disable_apis: bool,
}

impl Read<'_> {
    /// The options as the library's own.
    pub(crate) fn options(&self) -> SessionOptions<'_> {
        SessionOptions {
            user_ids: &self.user_ids,
            log_prefix: self.log_prefix,
            disable_apis: self.disable_apis,
        }
    }
}

/// Reads the parameter `options`.
///
/// # Safety
/// `options` is NULL or points to what the documentation of [`SlSessionOptions`] says, unchanged
/// for `'a`.
pub(crate) unsafe fn read<'a>(options: *const SlSessionOptions) -> FfiResult<Read<'a>> {
    let options = if options.is_null() {
        SlSessionOptions::defaults()
    } else {
        // SAFETY: as promised to this function, also below.
        unsafe { config::read("options", options) }?
    };
    let disable_apis = number::switch("options.disable_apis", options.disable_apis)?;
    let (ids, count) = (options.user_ids, options.user_id_count);
    // SAFETY: as above.
    let user_ids = unsafe { texts("options.user_ids", ids, count, MAX_USER_IDS) }?;
    let log_prefix = (options.log_prefix, options.log_prefix_length);
    // SAFETY: as above.
    let log_prefix = unsafe { optional_text("options.log_prefix", log_prefix) }?;
    Ok(Read {
        user_ids,
        log_prefix: log_prefix.unwrap_or(""),
        disable_apis,
    })
}

/// The parameter `session_options!(options)`, read. Only for exports, whose caller keeps the
/// boundary's rule 4.
macro_rules! session_options {
    ($options:ident) => {{
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        unsafe { $crate::ffi::session_options::read($options) }?
    }};
}

/// Fills options of `struct_size` bytes, `sizeof(SlSessionOptions)`, with the defaults. Any thread.
///
/// Errors: SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_locker_session_options_init(
    options: *mut SlSessionOptions,
    struct_size: usize,
) -> SlStatus {
    // SAFETY: the export's own contract, rule 4 of `ffi`.
    boundary(|| unsafe { config::init("options", options, struct_size) })
}
