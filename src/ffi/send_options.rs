//! `SlSendOptions`: what a send may be given.

use std::ffi::c_char;

use super::boundary::boundary;
use super::config::{self, Versioned};
use super::error::FfiResult;
use super::settings::optional_text;
use super::status::*;
use super::text::SL_NUL_TERMINATED;

/// What a send may be given. `session_locker_send_options_init` fills in the defaults; where a
/// function takes options, NULL stands for all defaults. They are copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SlSendOptions {
    /// `sizeof(SlSendOptions)`.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// The host's own name for this send, 1 to 128 bytes of UTF-8; NULL for none. A send to a key with
    /// an operation id that was sent to it within 7 days, by any sender, is answered with SL_SEND_SENT
    /// and not written again: so a process that has crashed may safely send anew.
    pub operation_id: *const c_char,
    /// Bytes. Left alone, it is SL_NUL_TERMINATED.
    pub operation_id_length: usize,
}

// SAFETY: `repr(C)` with its size first; numbers and raw pointers, with explicit padding.
unsafe impl Versioned for SlSendOptions {
    const NAME: &'static str = "SlSendOptions";
    const FIRST_SIZE: usize = 24;

    fn defaults() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            reserved: 0,
            operation_id: std::ptr::null(),
            operation_id_length: SL_NUL_TERMINATED,
        }
    }
}

/// Reads the parameter `options`, and gives the operation id, if there is one.
///
/// # Safety
/// `options` is NULL or points to what the documentation of [`SlSendOptions`] says, unchanged for
/// `'a`.
pub(crate) unsafe fn operation_id<'a>(options: *const SlSendOptions) -> FfiResult<Option<&'a str>> {
    if options.is_null() {
        return Ok(None);
    }
    // SAFETY: as promised to this function, also below.
    let options = unsafe { config::read("options", options) }?;
    config::reserved("options.reserved", options.reserved)?;
    let operation_id = (options.operation_id, options.operation_id_length);
    // SAFETY: as above.
    unsafe { optional_text("options.operation_id", operation_id) }
}

/// Fills options of `struct_size` bytes, `sizeof(SlSendOptions)`, with the defaults. Any thread.
///
/// Errors: SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_locker_send_options_init(
    options: *mut SlSendOptions,
    struct_size: usize,
) -> SlStatus {
    // SAFETY: the export's own contract, rule 4 of `ffi`.
    boundary(|| unsafe { config::init("options", options, struct_size) })
}
