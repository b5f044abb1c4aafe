//! Text and bytes across the boundary: in as pointer and length, out as a buffer the host frees.

use std::ffi::{CStr, c_char, c_void};
use std::mem::ManuallyDrop;

use super::boundary::boundary;
use super::error::{FfiError, FfiResult};
use super::status::SL_ERROR_INVALID_UTF8;

/// As the length of a text: it ends before its first NUL byte. The header has it from
/// `cbindgen.toml`, since cbindgen knows no SIZE_MAX.
///
/// cbindgen:ignore
pub const SL_NUL_TERMINATED: usize = usize::MAX;

/// A text among many: the element of an array of texts that the host passes in.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SlText {
    /// UTF-8; NULL only with a length of 0.
    pub data: *const c_char,
    /// Bytes, or SL_NUL_TERMINATED.
    pub length: usize,
}

/// A text, or bytes, that the library gives to the host, which frees it with
/// `session_locker_buffer_free`.
///
/// A function that gives a buffer overwrites whatever stood there, without freeing it.
#[repr(C)]
#[derive(Debug)]
pub struct SlBuffer {
    /// `length` bytes, then one NUL that is not counted. The host may change these bytes.
    pub data: *mut c_char,
    /// Bytes. Not to be changed.
    pub length: usize,
    /// The library's own. Not to be changed.
    pub capacity: usize,
}

impl SlBuffer {
    /// Nothing to free.
    pub(crate) const EMPTY: Self = Self {
        data: std::ptr::null_mut(),
        length: 0,
        capacity: 0,
    };
}

impl From<Vec<u8>> for SlBuffer {
    fn from(mut bytes: Vec<u8>) -> Self {
        let length = bytes.len();
        bytes.push(0);
        let mut bytes = ManuallyDrop::new(bytes);
        Self {
            data: bytes.as_mut_ptr().cast(),
            length,
            capacity: bytes.capacity(),
        }
    }
}

impl From<String> for SlBuffer {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

/// Frees a text that the library gave out, and zeroes the buffer, so that freeing it again does
/// nothing. NULL and a zeroed buffer are allowed and do nothing.
///
/// The buffer must be as the library filled it in. Any thread; may be called from inside
/// callbacks. Never fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_locker_buffer_free(buffer: *mut SlBuffer) {
    boundary(|| {
        if buffer.is_null() {
            return Ok(());
        }
        // SAFETY: by the boundary's rule 4 it points to a buffer, which is zeroed before its
        // memory goes.
        let full = unsafe { buffer.replace(SlBuffer::EMPTY) };
        if !full.data.is_null() {
            // SAFETY: pointer and capacity are those of the vector that `from` took apart; its
            // bytes need no drop, so a length of 0 will do.
            drop(unsafe { Vec::<u8>::from_raw_parts(full.data.cast(), 0, full.capacity) });
        }
        Ok(())
    });
}

/// A text that is lent to the host. An empty one points somewhere too, for hosts that copy it.
pub(crate) fn lend_text(bytes: &[u8]) -> SlText {
    let data = if bytes.is_empty() {
        c"".as_ptr()
    } else {
        bytes.as_ptr().cast()
    };
    SlText {
        data,
        length: bytes.len(),
    }
}

/// A text parameter named `parameter`; see the macro `text!`.
///
/// # Safety
/// As [`raw_text`].
#[inline]
pub(crate) unsafe fn text<'a>(
    parameter: &str,
    data: *const c_char,
    length: usize,
) -> FfiResult<&'a str> {
    // SAFETY: as promised to this function.
    let bytes = unsafe { raw_text(parameter, data, length) }?;
    std::str::from_utf8(bytes).map_err(|error| not_utf8(parameter, error.valid_up_to()))
}

#[cold]
fn not_utf8(parameter: &str, offset: usize) -> FfiError {
    let message = format!("{parameter} is not UTF-8 at byte {offset}");
    FfiError::new(SL_ERROR_INVALID_UTF8, message)
}

/// A text parameter that need not be UTF-8; see the macro `raw_text!`.
///
/// # Safety
/// `data` is NULL or points to `length` bytes (with [`SL_NUL_TERMINATED`]: to bytes with a NUL
/// among them) that stay unchanged for `'a`.
#[inline]
pub(crate) unsafe fn raw_text<'a>(
    parameter: &str,
    data: *const c_char,
    length: usize,
) -> FfiResult<&'a [u8]> {
    if length == SL_NUL_TERMINATED && !data.is_null() {
        // SAFETY: the caller promises a NUL.
        return Ok(unsafe { CStr::from_ptr(data) }.to_bytes());
    }
    // SAFETY: as promised to this function.
    unsafe { bytes(parameter, data.cast(), length) }
}

/// A parameter of plain bytes, which have no NUL to end them; see the macro `bytes!`.
///
/// # Safety
/// `data` is NULL or points to `length` bytes that stay unchanged for `'a`.
#[inline]
pub(crate) unsafe fn bytes<'a>(
    parameter: &str,
    data: *const c_void,
    length: usize,
) -> FfiResult<&'a [u8]> {
    if data.is_null() {
        let empty = (length == 0).then_some(&[][..]);
        return empty.ok_or_else(|| FfiError::argument(parameter, "is NULL"));
    }
    if length > isize::MAX as usize {
        let message = format!("has a length of {length} bytes, which cannot be");
        return Err(FfiError::argument(parameter, message));
    }
    // SAFETY: not NULL, of a possible length, and readable as promised to this function.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), length) })
}

/// An array of texts; see the macro `texts!`. At most `limit` of them.
///
/// # Safety
/// `data` is NULL or points to `count` [`SlText`]s, each as [`text`] needs it.
pub(crate) unsafe fn texts<'a>(
    parameter: &str,
    data: *const SlText,
    count: usize,
    limit: usize,
) -> FfiResult<Vec<&'a str>> {
    if count > limit {
        let message = format!("has {count} elements; the limit is {limit}");
        return Err(FfiError::argument(parameter, message));
    }
    if data.is_null() && count > 0 {
        return Err(FfiError::argument(parameter, "is NULL"));
    }
    let element = |index| {
        // SAFETY: the array has `count` elements, as promised to this function.
        let SlText { data, length } = unsafe { data.add(index).read_unaligned() };
        let parameter = format!("{parameter}[{index}]");
        // SAFETY: each element is as `text` needs it.
        unsafe { text(&parameter, data, length) }
    };
    (0..count).map(element).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::status::SL_ERROR_INVALID_ARGUMENT;

    fn read(bytes: &[u8], length: usize) -> FfiResult<&str> {
        // SAFETY: the tests give lengths within `bytes`, or ones that are refused unread.
        unsafe { text("key", bytes.as_ptr().cast(), length) }
    }

    fn read_null(length: usize) -> FfiResult<&'static str> {
        // SAFETY: NULL is allowed.
        unsafe { text("key", std::ptr::null(), length) }
    }

    #[test]
    fn a_text_ends_at_its_length_or_at_its_nul() {
        assert_eq!(read(b"player\0more", 3), Ok("pla"));
        assert_eq!(read(b"player\0more", SL_NUL_TERMINATED), Ok("player"));
        assert_eq!(read(b"a\0b", 3), Ok("a\0b"));
    }

    #[test]
    fn null_is_an_empty_text_and_nothing_else() {
        assert_eq!(read_null(0), Ok(""));
        for length in [1, SL_NUL_TERMINATED] {
            let error = read_null(length).unwrap_err();
            assert_eq!(error.status, SL_ERROR_INVALID_ARGUMENT);
            assert_eq!(error.message, "key is NULL");
        }
    }

    #[test]
    fn a_length_that_cannot_be_is_refused_unread() {
        for length in [isize::MAX as usize + 1, usize::MAX - 1] {
            let error = read(b"key", length).unwrap_err();
            assert_eq!(error.status, SL_ERROR_INVALID_ARGUMENT);
        }
    }

    #[test]
    fn a_text_that_is_not_utf_8_is_refused_with_the_place() {
        let error = read(b"ab\xff", 3).unwrap_err();
        assert_eq!(error.status, SL_ERROR_INVALID_UTF8);
        assert_eq!(error.message, "key is not UTF-8 at byte 2");
    }

    #[test]
    fn an_array_of_texts_says_which_element_is_wrong() {
        let element = |bytes: &'static [u8]| SlText {
            data: bytes.as_ptr().cast(),
            length: bytes.len(),
        };
        let array = [element(b"a"), element(b"\xc3")];
        // SAFETY: counts within the array; larger ones are refused unread.
        let read = |count, limit| unsafe { texts("user_ids", array.as_ptr(), count, limit) };
        assert_eq!(read(1, 2), Ok(vec!["a"]));
        assert_eq!(
            read(2, 2).unwrap_err().message,
            "user_ids[1] is not UTF-8 at byte 0"
        );
        let many = read(3, 2).unwrap_err().message;
        assert_eq!(many, "user_ids has 3 elements; the limit is 2");
        // SAFETY: NULL is allowed.
        assert!(unsafe { texts("user_ids", std::ptr::null(), 1, 2) }.is_err());
    }

    #[test]
    fn a_buffer_ends_in_nul_and_can_be_freed_twice() {
        for text in ["", "gold"] {
            let mut buffer = SlBuffer::from(text.to_owned());
            assert_eq!(buffer.length, text.len());
            // SAFETY: the buffer is text and its NUL.
            let read = unsafe { CStr::from_ptr(buffer.data) };
            assert_eq!(read.to_str(), Ok(text));
            // SAFETY: it is as it was made, then zeroed; NULL is allowed.
            unsafe {
                session_locker_buffer_free(&mut buffer);
                assert!(buffer.data.is_null() && buffer.length == 0 && buffer.capacity == 0);
                session_locker_buffer_free(&mut buffer);
                session_locker_buffer_free(std::ptr::null_mut());
            }
        }
    }
}
