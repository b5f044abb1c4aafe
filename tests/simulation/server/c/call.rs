//! Calls to the library, as a C host makes them, with what belongs to each: its status read, its
//! message asked for, its texts freed.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::c_char;
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use session_locker::ffi::*;

/// Calls a function of the library: `c!(easy_store_update(store, now))` is its status.
macro_rules! c {
    ($function:ident($($argument:expr),* $(,)?)) => {
        // SAFETY: what a C host promises: every pointer that is no handle is NULL, or to what the
        // header says and alive until the call returns, for it is borrowed or a local of the caller's.
        // Handles are looked up and never followed.
        unsafe { session_locker::ffi::$function($($argument),*) }
    };
}
pub(super) use c;

/// Why a call was refused.
pub struct Refusal {
    pub status: SlStatus,
    message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.status)
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

thread_local! {
    /// A panic on its way through a callback and the library, which it must not unwind.
    static CARRIED: RefCell<Option<Box<dyn Any + Send>>> = const { RefCell::new(None) };
}

/// The body of a callback. A panic in it goes on once the call has returned that it is in.
pub fn callback<R>(otherwise: R, body: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        CARRIED.with_borrow_mut(|carried| drop(carried.replace(panic)));
        otherwise
    })
}

/// A panic that was on its way when a seed ended is not the next one's.
pub fn forget_panic() {
    CARRIED.take();
}

fn go_on_with_a_panic() {
    if std::thread::panicking() {
        return;
    }
    if let Some(panic) = CARRIED.take() {
        resume_unwind(panic);
    }
}

/// What a call came to. What a sound host never sees is no refusal, but a bug.
pub fn call(status: SlStatus) -> Result<(), Refusal> {
    go_on_with_a_panic();
    if status == SL_OK {
        return Ok(());
    }
    let message = last_error();
    let refusal = Refusal { status, message };
    let is_bug = matches!(
        status,
        SL_ERROR_PANIC
            | SL_ERROR_INVALID_HANDLE
            | SL_ERROR_INVALID_ARGUMENT
            | SL_ERROR_INVALID_UTF8
            | SL_ERROR_INVALID_POINTER
            | SL_ERROR_INVALID_JSON
            | SL_ERROR_UNSUPPORTED
    );
    assert!(!is_bug || std::thread::panicking(), "{refusal}");
    Err(refusal)
}

/// A call that cannot be refused.
pub fn must(status: SlStatus) {
    if let Err(refusal) = call(status) {
        assert!(std::thread::panicking(), "{refusal}");
    }
}

/// A call with an output: `get(0, |is_closed| c!(easy_store_is_closed(store, is_closed)))`.
pub fn get<T>(before: T, ask: impl FnOnce(&mut T) -> SlStatus) -> Result<T, Refusal> {
    let mut output = before;
    call(ask(&mut output))?;
    Ok(output)
}

/// A call with an output that cannot be refused.
pub fn must_get<T>(before: T, ask: impl FnOnce(&mut T) -> SlStatus) -> T {
    get(before, ask).unwrap_or_else(|refusal| panic!("{refusal}"))
}

/// A struct of the header's, as its init function fills it in.
pub fn filled<T>(init: impl FnOnce(*mut T, usize) -> SlStatus) -> T {
    let mut place = MaybeUninit::uninit();
    must(init(place.as_mut_ptr(), size_of::<T>()));
    // SAFETY: with SL_OK an init function has written the whole struct.
    unsafe { place.assume_init() }
}

/// A call that gives a handle.
pub fn handle<T>(ask: impl FnOnce(&mut *mut T) -> SlStatus) -> Result<Handle<T>, Refusal> {
    get(std::ptr::null_mut(), ask).map(Handle::of)
}

/// A call that gives a text.
pub fn text_of(ask: impl FnOnce(&mut SlBuffer) -> SlStatus) -> Result<String, Refusal> {
    let empty = SlBuffer {
        data: std::ptr::null_mut(),
        length: 0,
        capacity: 0,
    };
    let mut buffer = get(empty, ask)?;
    let text = lent(buffer.data, buffer.length).to_owned();
    c!(session_locker_buffer_free(&raw mut buffer));
    assert!(buffer.data.is_null(), "a freed text is zeroed");
    Ok(text)
}

fn last_error() -> String {
    let length = c!(session_locker_last_error(std::ptr::null_mut(), 0));
    let mut message = vec![0_u8; length + 1];
    let again = c!(session_locker_last_error(
        message.as_mut_ptr().cast(),
        message.len()
    ));
    assert_eq!(again, length);
    message.truncate(length);
    String::from_utf8(message).expect("messages are UTF-8")
}

/// A handle as the host keeps it: a name, which it may compare, and gives back.
pub struct Handle<T>(usize, PhantomData<fn(*mut T)>);

impl<T> Handle<T> {
    pub fn of(pointer: *mut T) -> Self {
        Self(pointer.addr(), PhantomData)
    }

    pub fn get(self) -> *mut T {
        std::ptr::without_provenance_mut(self.0)
    }

    pub fn bits(self) -> usize {
        self.0
    }
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Handle<T> {}

/// A text that the library has lent to a callback, or that lives in a buffer or event.
pub fn lent<'a>(data: *const c_char, length: usize) -> &'a str {
    if length == 0 {
        return "";
    }
    // SAFETY: the library's texts have the length that comes with them, and are used only for as long
    // as the header says that they live.
    let bytes = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) };
    std::str::from_utf8(bytes).expect("the library gives UTF-8")
}

pub fn lent_text<'a>(text: SlText) -> &'a str {
    lent(text.data, text.length)
}

/// Something that the library has lent to a callback.
pub fn lent_struct<'a, T>(pointer: *const T) -> &'a T {
    assert!(!pointer.is_null());
    // SAFETY: called in callbacks alone, on what the library lends them until they return.
    unsafe { &*pointer }
}

/// Something that the library has lent to a callback to be written.
pub fn lent_output<'a, T>(pointer: *mut T) -> &'a mut T {
    assert!(!pointer.is_null());
    // SAFETY: as above; nobody else has it meanwhile.
    unsafe { &mut *pointer }
}
