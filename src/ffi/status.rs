//! The status of a call. The numbers are part of the ABI: they are never changed and never used
//! again for something else, and new ones go to the end.

use std::ffi::{CStr, c_char};

use super::boundary::boundary;
use super::handle;

/// What a call came to: `SL_OK`, or one of the `SL_ERROR_` constants, all negative.
///
/// `session_locker_last_error` has the message of this thread's last call that failed. A status
/// that the host returns from a callback is read the same way: `SL_OK`, or anything else for
/// failure.
pub type SlStatus = i32;

/// The call did what it says.
pub const SL_OK: SlStatus = 0;
/// The handle is NULL, freed, of another type, or no handle at all. The message names the type
/// that was expected.
pub const SL_ERROR_INVALID_HANDLE: SlStatus = -1;
/// A parameter is not allowed: a NULL pointer, an unknown value, a length or `struct_size` that
/// cannot be. The message names it.
pub const SL_ERROR_INVALID_ARGUMENT: SlStatus = -2;
/// A text is not UTF-8. The message has the offset of the first bad byte.
pub const SL_ERROR_INVALID_UTF8: SlStatus = -3;
/// A text is not JSON, or not the JSON that is needed here. The message says what and where.
pub const SL_ERROR_INVALID_JSON: SlStatus = -4;
/// A text is not a JSON Pointer (RFC 6901).
pub const SL_ERROR_INVALID_POINTER: SlStatus = -5;
/// What was asked for is not there: no value at the JSON Pointer, no record under the key.
pub const SL_ERROR_NOT_FOUND: SlStatus = -6;
/// The value is there but of another type.
pub const SL_ERROR_WRONG_TYPE: SlStatus = -7;
/// A number is outside what the call, or the value's type, can take.
pub const SL_ERROR_OUT_OF_RANGE: SlStatus = -8;
/// The write concerns a field that the library keeps for itself (`Version`, `Session`,
/// `Purchases` and the like).
pub const SL_ERROR_RESERVED_FIELD: SlStatus = -9;
/// The save data would be larger than its limit, or nested deeper than 128 levels.
pub const SL_ERROR_TOO_LARGE: SlStatus = -10;
/// An operation of a JSON patch failed, so none of it was done.
pub const SL_ERROR_PATCH_FAILED: SlStatus = -11;
/// The object is in use: by a hook that owns it for the moment, or by an update, drain or wait
/// that has not returned yet. Nothing was done; try again later.
pub const SL_ERROR_BUSY: SlStatus = -12;
/// The time given for a blocking call ran out. What it waited for may still happen.
pub const SL_ERROR_TIMEOUT: SlStatus = -13;
/// A bug in this library was caught. The object that was in use is poisoned: it answers every
/// call but its destruction with this status. The process and all other objects are as before.
pub const SL_ERROR_PANIC: SlStatus = -14;
/// The session is not active.
pub const SL_ERROR_NOT_ACTIVE: SlStatus = -15;
/// The save data is not loaded.
pub const SL_ERROR_NOT_LOADED: SlStatus = -16;
/// The store is closed, or closing, and takes nothing new.
pub const SL_ERROR_CLOSED: SlStatus = -17;
/// A storage could not be opened, or a request to it failed. A commit or an erasure that failed
/// may have been written, or may still be written later.
pub const SL_ERROR_STORAGE: SlStatus = -18;
/// The key is not at the expected revision. Nothing was written.
pub const SL_ERROR_CONFLICT: SlStatus = -19;
/// The save data cannot be brought to the version asked for.
pub const SL_ERROR_MIGRATION: SlStatus = -20;
/// A documented limit is reached.
pub const SL_ERROR_LIMIT: SlStatus = -21;
/// This build of the library, or this object, cannot do that.
pub const SL_ERROR_UNSUPPORTED: SlStatus = -22;
/// A callback of the host failed.
pub const SL_ERROR_HOOK: SlStatus = -23;
/// What a hook returns when what it was asked to apply cannot be applied, here or now, and that is
/// no failure: a remote change of a kind it does not know, a product that does not fit. What it has
/// written is undone.
pub const SL_ERROR_NOT_APPLICABLE: SlStatus = -24;

const NAMES: [(SlStatus, &CStr); 25] = [
    (SL_OK, c"SL_OK"),
    (SL_ERROR_INVALID_HANDLE, c"SL_ERROR_INVALID_HANDLE"),
    (SL_ERROR_INVALID_ARGUMENT, c"SL_ERROR_INVALID_ARGUMENT"),
    (SL_ERROR_INVALID_UTF8, c"SL_ERROR_INVALID_UTF8"),
    (SL_ERROR_INVALID_JSON, c"SL_ERROR_INVALID_JSON"),
    (SL_ERROR_INVALID_POINTER, c"SL_ERROR_INVALID_POINTER"),
    (SL_ERROR_NOT_FOUND, c"SL_ERROR_NOT_FOUND"),
    (SL_ERROR_WRONG_TYPE, c"SL_ERROR_WRONG_TYPE"),
    (SL_ERROR_OUT_OF_RANGE, c"SL_ERROR_OUT_OF_RANGE"),
    (SL_ERROR_RESERVED_FIELD, c"SL_ERROR_RESERVED_FIELD"),
    (SL_ERROR_TOO_LARGE, c"SL_ERROR_TOO_LARGE"),
    (SL_ERROR_PATCH_FAILED, c"SL_ERROR_PATCH_FAILED"),
    (SL_ERROR_BUSY, c"SL_ERROR_BUSY"),
    (SL_ERROR_TIMEOUT, c"SL_ERROR_TIMEOUT"),
    (SL_ERROR_PANIC, c"SL_ERROR_PANIC"),
    (SL_ERROR_NOT_ACTIVE, c"SL_ERROR_NOT_ACTIVE"),
    (SL_ERROR_NOT_LOADED, c"SL_ERROR_NOT_LOADED"),
    (SL_ERROR_CLOSED, c"SL_ERROR_CLOSED"),
    (SL_ERROR_STORAGE, c"SL_ERROR_STORAGE"),
    (SL_ERROR_CONFLICT, c"SL_ERROR_CONFLICT"),
    (SL_ERROR_MIGRATION, c"SL_ERROR_MIGRATION"),
    (SL_ERROR_LIMIT, c"SL_ERROR_LIMIT"),
    (SL_ERROR_UNSUPPORTED, c"SL_ERROR_UNSUPPORTED"),
    (SL_ERROR_HOOK, c"SL_ERROR_HOOK"),
    (SL_ERROR_NOT_APPLICABLE, c"SL_ERROR_NOT_APPLICABLE"),
];

/// The constant's name, or `None` for a number that is none of ours.
pub(crate) fn name(status: SlStatus) -> Option<&'static CStr> {
    let known = NAMES.iter().find(|(number, _)| *number == status);
    known.map(|(_, name)| *name)
}

/// The name of a status, such as `"SL_ERROR_BUSY"`; `"unknown status"` for any other number.
///
/// The text is static: it is never freed and never changes. Never NULL, never fails, may be called
/// from any thread and from inside callbacks.
#[unsafe(no_mangle)]
pub extern "C" fn session_locker_status_name(status: SlStatus) -> *const c_char {
    name(status).unwrap_or(c"unknown status").as_ptr()
}

/// The library's version, such as `"0.1.0"`, by the rules of semantic versioning.
///
/// The text is static: it is never freed and never changes. Never NULL, never fails, may be called
/// from any thread and from inside callbacks.
#[unsafe(no_mangle)]
pub extern "C" fn session_locker_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// How many handles of all kinds are alive in the whole process, in `count`, those that are lent
/// included; for tests that look for leaks. Any thread; also inside callbacks.
///
/// Errors: SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_locker_live_handles(count: *mut u64) -> SlStatus {
    boundary(|| {
        let count = out!(count);
        count.set(handle::live_handles());
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_constant_has_its_name_and_its_own_number() {
        let declared = include_str!("status.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("pub const ")?.split(':').next())
            .collect::<Vec<_>>();
        let named = NAMES.map(|(_, name)| name.to_str().unwrap());
        assert_eq!(declared, named);

        for (place, (number, _)) in NAMES.iter().enumerate() {
            assert_eq!(*number, -(place as i32), "numbers follow one another");
        }
    }

    #[test]
    fn a_number_that_is_no_status_is_said_to_be_unknown() {
        for number in [1, i32::MIN, i32::MAX, -(NAMES.len() as i32)] {
            // SAFETY: the function returns a static NUL-terminated text.
            let name = unsafe { CStr::from_ptr(session_locker_status_name(number)) };
            assert_eq!(name, c"unknown status");
        }
    }

    #[test]
    fn the_version_is_the_packages() {
        // SAFETY: the function returns a static NUL-terminated text.
        let version = unsafe { CStr::from_ptr(session_locker_version()) };
        assert_eq!(version.to_str(), Ok(env!("CARGO_PKG_VERSION")));
    }
}
