//! The one way through which every export runs, and its parameters: outputs, and the macros that
//! read what the host points to.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::error::{FfiError, FfiResult};
use super::status::{SL_ERROR_PANIC, SL_OK, SlStatus};

/// Runs the body of an export: gives its status, keeps its message, and stops its panics.
///
/// A panic leaves what the body held to the guards it held it by: `handle::Held` poisons.
pub(crate) fn boundary(body: impl FnOnce() -> FfiResult<()>) -> SlStatus {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => SL_OK,
        Ok(Err(error)) => error.report(),
        Err(panic) => FfiError::new(SL_ERROR_PANIC, panic_message(panic)).report(),
    }
}

#[cold]
fn panic_message(panic: Box<dyn Any + Send>) -> String {
    let text = match panic.downcast_ref::<&'static str>() {
        Some(text) => Some(*text),
        None => panic.downcast_ref::<String>().map(String::as_str),
    };
    let message = format!("a bug in session-locker: {}", text.unwrap_or("no message"));
    // A payload whose own drop panics must not unwind into the host; only what that one says is leaked.
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(second);
    }
    message
}

/// Where the host wants a result. Checked before anything is done, written when all is done.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Checks a parameter named `parameter`; see `out!`.
    ///
    /// # Safety
    /// `pointer` is NULL or may be written with a `T` until the export returns.
    pub(crate) unsafe fn new(parameter: &str, pointer: *mut T) -> FfiResult<Self> {
        if pointer.is_null() {
            return Err(FfiError::argument(
                parameter,
                "is NULL: the result has nowhere to go",
            ));
        }
        Ok(Self(pointer))
    }

    /// Gives the host its result. What stood there before is overwritten, not dropped.
    pub(crate) fn set(self, value: T) {
        // SAFETY: `new` was promised a place for a `T` until the export returns; a host may lay
        // its structs out as it likes, so alignment is not relied on.
        unsafe { self.0.write_unaligned(value) }
    }
}

/// An output parameter: `out!(value)`. Only for exports, whose caller keeps the boundary's rule 4.
macro_rules! out {
    ($pointer:ident) => {{
        let parameter = stringify!($pointer);
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        unsafe { $crate::ffi::boundary::Out::new(parameter, $pointer) }?
    }};
}

/// A text parameter: `text!(key, key_length)` is a `&str`. Only for exports, as `out!`.
macro_rules! text {
    ($pointer:ident, $length:ident) => {{
        let parameter = stringify!($pointer);
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        unsafe { $crate::ffi::text::text(parameter, $pointer, $length) }?
    }};
}

/// A text parameter that need not be UTF-8: `raw_text!(revision, revision_length)` is a `&[u8]`.
/// Only for exports, as `out!`.
macro_rules! raw_text {
    ($pointer:ident, $length:ident) => {{
        let parameter = stringify!($pointer);
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        unsafe { $crate::ffi::text::raw_text(parameter, $pointer, $length) }?
    }};
}

/// A parameter of plain bytes: `bytes!(bytes, length)` is a `&[u8]`. Only for exports, as `out!`.
macro_rules! bytes {
    ($pointer:ident, $length:ident) => {{
        let parameter = stringify!($pointer);
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        unsafe { $crate::ffi::text::bytes(parameter, $pointer, $length) }?
    }};
}

/// An array of texts: `texts!(user_ids, user_id_count, MAX_USER_IDS)` is a `Vec<&str>` of at most
/// that many. Only for exports, as `out!`.
macro_rules! texts {
    ($pointer:ident, $count:ident, $limit:expr) => {{
        let parameter = stringify!($pointer);
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        unsafe { $crate::ffi::text::texts(parameter, $pointer, $count, $limit) }?
    }};
}

/// A versioned struct: `config!(callbacks)` is a copy of it, in this version's size. Only for
/// exports, as `out!`.
macro_rules! config {
    ($pointer:ident) => {{
        let parameter = stringify!($pointer);
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        unsafe { $crate::ffi::config::read(parameter, $pointer) }?
    }};
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ffi::error::last_message;
    use crate::ffi::status::{SL_ERROR_CLOSED, SL_ERROR_INVALID_ARGUMENT};

    #[test]
    fn an_error_becomes_its_status_and_leaves_its_message() {
        let error = FfiError::new(SL_ERROR_CLOSED, "the store is closed");
        assert_eq!(boundary(|| Err(error)), SL_ERROR_CLOSED);
        assert_eq!(last_message(), "the store is closed");
    }

    #[test]
    fn a_panic_becomes_a_status_with_its_message() {
        let index = std::hint::black_box(3);
        assert_eq!(boundary(|| panic!("lost index {index}")), SL_ERROR_PANIC);
        assert_eq!(last_message(), "a bug in session-locker: lost index 3");
        assert_eq!(boundary(|| std::panic::panic_any(5_u8)), SL_ERROR_PANIC);
        assert_eq!(last_message(), "a bug in session-locker: no message");
    }

    #[test]
    fn what_a_panic_carries_is_dropped_though_that_panics_too() {
        struct Carried {
            _kept: Arc<()>,
            panics: bool,
        }
        impl Drop for Carried {
            fn drop(&mut self) {
                if self.panics {
                    // A payload without memory, for this one is leaked.
                    std::panic::panic_any(());
                }
            }
        }
        let kept = Arc::new(());
        for panics in [false, true] {
            let _kept = Arc::clone(&kept);
            let carried = Carried { _kept, panics };
            assert_eq!(boundary(|| std::panic::panic_any(carried)), SL_ERROR_PANIC);
            assert_eq!(last_message(), "a bug in session-locker: no message");
            assert_eq!(Arc::strong_count(&kept), 1);
        }
    }

    #[test]
    fn success_leaves_the_last_message_alone() {
        let error = FfiError::new(SL_ERROR_CLOSED, "the store is closed");
        boundary(|| Err(error));
        assert_eq!(boundary(|| Ok(())), SL_OK);
        assert_eq!(last_message(), "the store is closed");
    }

    #[test]
    fn an_output_is_refused_when_null_and_written_where_it_lies() {
        // SAFETY: NULL is one of the two things allowed.
        let refused = unsafe { Out::<i64>::new("value", std::ptr::null_mut()) };
        assert_eq!(refused.err().unwrap().status, SL_ERROR_INVALID_ARGUMENT);

        let mut bytes = [0_u8; 9];
        // SAFETY: eight bytes follow the first one.
        let out = unsafe { Out::new("value", bytes.as_mut_ptr().add(1).cast::<i64>()) };
        out.unwrap().set(-1);
        assert_eq!(bytes, [0, 255, 255, 255, 255, 255, 255, 255, 255]);
    }
}
