//! Errors on their way out: a status for the caller, a message kept for the thread. And on their
//! way in: what a callback of the host says about its own failure.

use std::cell::RefCell;
use std::ffi::c_char;

use super::boundary::boundary;
use super::status::{self, *};
use crate::locker::HookAnswer;
use crate::storage::StorageError;

/// Why a call failed: the status it returns, and the message that stays for
/// `session_locker_last_error`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FfiError {
    pub(crate) status: SlStatus,
    pub(crate) message: String,
}

pub(crate) type FfiResult<T> = Result<T, FfiError>;

impl FfiError {
    pub(crate) fn new(status: SlStatus, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, message }
    }

    /// A parameter that is not allowed; the message begins with the parameter's name.
    #[cold]
    pub(crate) fn argument(parameter: &str, what: impl std::fmt::Display) -> Self {
        Self::new(SL_ERROR_INVALID_ARGUMENT, format!("{parameter} {what}"))
    }

    /// Leaves the message for `session_locker_last_error` on this thread, and gives the status.
    #[cold]
    pub(crate) fn report(self) -> SlStatus {
        let Self { status, message } = self;
        // A thread that is ending has no message any more; the status still stands.
        let _ = LAST.try_with(|last| *last.borrow_mut() = Failure { status, message });
        status
    }
}

impl From<StorageError> for FfiError {
    fn from(error: StorageError) -> Self {
        Self::new(SL_ERROR_STORAGE, error.message)
    }
}

/// A failure that this thread has been told of.
struct Failure {
    status: SlStatus,
    message: String,
}

impl Failure {
    const NONE: Self = Self {
        status: SL_OK,
        message: String::new(),
    };
}

thread_local! {
    /// The last call that failed.
    static LAST: RefCell<Failure> = const { RefCell::new(Failure::NONE) };
    /// What the running callback has said about why it is going to fail.
    static HOOK: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Copies the message of this thread's last call that failed into `buffer`, and returns how many
/// bytes the whole message has, the ending NUL not counted.
///
/// At most `capacity` bytes are written, the ending NUL included; a longer message is cut between
/// two characters. So a return value of `capacity` or more means that it was cut. With a NULL
/// `buffer` or a `capacity` of 0 nothing is written, which asks for the length alone. Before the
/// first failure the message is empty. A call that succeeds leaves the message as it is, so ask
/// only after a status other than SL_OK.
///
/// `buffer` belongs to the host and must have room for `capacity` bytes. Each thread has its own
/// message. May be called from inside callbacks. Never fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_locker_last_error(buffer: *mut c_char, capacity: usize) -> usize {
    let copied = LAST.try_with(|last| {
        let message = &last.borrow().message;
        let room = if buffer.is_null() { 0 } else { capacity };
        if room > 0 {
            let fits = |length: &usize| message.is_char_boundary(*length);
            let length = (0..room.min(message.len() + 1))
                .rev()
                .find(fits)
                .unwrap_or(0);
            // SAFETY: by the boundary's rule 4 the host's buffer has room for `capacity` bytes, of
            // which `length + 1` are written, and it cannot overlap our own message.
            unsafe {
                std::ptr::copy_nonoverlapping(message.as_ptr().cast(), buffer, length);
                buffer.add(length).write(0);
            }
        }
        message.len()
    });
    copied.unwrap_or(0)
}

/// Says why the callback that is running is about to fail: for use inside a callback of the host,
/// just before it returns a status other than `SL_OK`.
///
/// The message (`message_length` bytes of UTF-8, or SL_NUL_TERMINATED) then stands in what the
/// library reports: the load status, the error callback, `session_locker_last_error`. It counts
/// for the innermost callback that is running on this thread, and is forgotten when that one
/// returns; a callback that returns SL_OK has no message. A callback that never calls this and
/// returns the status of a call of its own that failed is reported with that call's message.
///
/// The text is copied. Any thread; outside a callback it has no effect.
///
/// Errors: SL_ERROR_INVALID_ARGUMENT for NULL with a length other than 0, SL_ERROR_INVALID_UTF8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_locker_set_hook_error(
    message: *const c_char,
    message_length: usize,
) -> SlStatus {
    boundary(|| {
        let message = text!(message, message_length);
        let _ = HOOK.try_with(|hook| *hook.borrow_mut() = Some(message.to_owned()));
        Ok(())
    })
}

/// Runs a callback of the host that returns a status, and says in words why it failed; the caller
/// says which callback it was.
pub(crate) fn run_hook(hook: impl FnOnce() -> SlStatus) -> Result<(), String> {
    match run_status(hook) {
        (SL_OK, _) => Ok(()),
        (_, why) => Err(why),
    }
}

/// The same for a callback that may also answer that what it was asked for cannot be applied.
pub(crate) fn run_answering_hook(hook: impl FnOnce() -> SlStatus) -> Result<HookAnswer, String> {
    match run_status(hook) {
        (SL_OK, _) => Ok(HookAnswer::Applied),
        (SL_ERROR_NOT_APPLICABLE, _) => Ok(HookAnswer::NotApplicable),
        (_, why) => Err(why),
    }
}

/// The status of a callback, and why it is not SL_OK.
fn run_status(hook: impl FnOnce() -> SlStatus) -> (SlStatus, String) {
    let outer = HOOK.replace(None);
    // What failed before the callback began is not the callback's reason.
    LAST.with_borrow_mut(|last| last.status = SL_OK);
    let status = hook();
    let said = HOOK.replace(outer);
    if status == SL_OK {
        return (status, String::new());
    }
    let own = || LAST.with_borrow(|last| (last.status == status).then(|| last.message.clone()));
    let unsaid = || {
        let name = status::name(status).and_then(|name| name.to_str().ok());
        format!(
            "it returned {status} ({})",
            name.unwrap_or("no status of this library")
        )
    };
    (status, said.or_else(own).unwrap_or_else(unsaid))
}

#[cfg(test)]
pub(crate) fn last_message() -> String {
    LAST.with_borrow(|last| last.message.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(message: &str) -> SlStatus {
        FfiError::new(SL_ERROR_BUSY, message).report()
    }

    fn copied(capacity: usize) -> (usize, Vec<u8>) {
        let mut buffer = vec![b'#'; capacity + 2];
        // SAFETY: the buffer has more than `capacity` bytes.
        let needed = unsafe { session_locker_last_error(buffer.as_mut_ptr().cast(), capacity) };
        (needed, buffer)
    }

    fn say(message: &str) -> SlStatus {
        // SAFETY: pointer and length are those of a live text.
        unsafe { session_locker_set_hook_error(message.as_ptr().cast(), message.len()) }
    }

    #[test]
    fn the_message_is_cut_between_characters_and_never_past_the_capacity() {
        fail("aé€");
        assert_eq!(copied(7), (6, b"a\xc3\xa9\xe2\x82\xac\0##".to_vec()));
        assert_eq!(copied(6), (6, b"a\xc3\xa9\0####".to_vec()));
        assert_eq!(copied(3), (6, b"a\0###".to_vec()));
        assert_eq!(copied(1), (6, b"\0##".to_vec()));
        assert_eq!(copied(0), (6, b"##".to_vec()));
        // SAFETY: NULL asks for the length alone.
        let needed = unsafe { session_locker_last_error(std::ptr::null_mut(), 9) };
        assert_eq!(needed, 6);
    }

    #[test]
    fn every_thread_has_its_own_message() {
        fail("here");
        let there = std::thread::spawn(|| copied(9).0).join().unwrap();
        assert_eq!((there, last_message()), (0, "here".to_owned()));
    }

    #[test]
    fn a_hook_fails_with_what_it_said() {
        let why = run_hook(|| {
            assert_eq!(say("no such item"), SL_OK);
            SL_ERROR_HOOK
        });
        assert_eq!(why, Err("no such item".to_owned()));
    }

    #[test]
    fn a_hook_that_says_nothing_fails_with_the_call_that_failed_in_it() {
        let why = run_hook(|| fail("the profile is busy"));
        assert_eq!(why, Err("the profile is busy".to_owned()));
    }

    #[test]
    fn a_failure_from_before_the_hook_is_not_its_reason() {
        fail("long ago");
        let why = run_hook(|| SL_ERROR_BUSY);
        assert_eq!(why, Err("it returned -12 (SL_ERROR_BUSY)".to_owned()));
        let why = run_hook(|| 7);
        let unknown = "it returned 7 (no status of this library)";
        assert_eq!(why, Err(unknown.to_owned()));
    }

    #[test]
    fn what_an_inner_hook_says_does_not_reach_the_outer_one() {
        let why = run_hook(|| {
            say("outer");
            let inner = run_hook(|| {
                say("inner");
                SL_ERROR_HOOK
            });
            assert_eq!(inner, Err("inner".to_owned()));
            SL_ERROR_HOOK
        });
        assert_eq!(why, Err("outer".to_owned()));
    }

    #[test]
    fn a_hook_that_returns_ok_has_no_message() {
        let outcome = run_hook(|| {
            say("never mind");
            SL_OK
        });
        assert_eq!(outcome, Ok(()));
    }
}
