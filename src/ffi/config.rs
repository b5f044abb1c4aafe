//! Structs that grow: each begins with `uint32_t struct_size`, which tells a host compiled against
//! another version of the header from one compiled against this.
//!
//! A shorter struct lacks the newest fields, which take their defaults. A longer one has fields
//! this library does not know: they may be zero, which by rule means "as before", and anything else
//! is refused rather than ignored.

use super::error::{FfiError, FfiResult};

/// No struct will ever be this large, so a larger `struct_size` is no size at all, and is not
/// believed when it says how much may be read.
const MAX_SIZE_BYTES: usize = 4096;

/// A versioned struct.
///
/// # Safety
/// It is `repr(C)`; its first field is `u32` and holds its size; any bits are valid for all its
/// fields (integers, floats, raw pointers, optional function pointers); it has no implicit padding;
/// its size, in every version, is a multiple of 8.
pub(crate) unsafe trait Versioned: Copy {
    /// The C type.
    const NAME: &'static str;
    /// Its size in the first released header.
    const FIRST_SIZE: usize;

    /// Every field at its default, `struct_size` at this version's.
    fn defaults() -> Self;
}

/// Reads the host's struct of any version; see the macro `config!`.
///
/// # Safety
/// `pointer` is NULL, or points to a `u32` and, if that is a size, to that many bytes.
pub(crate) unsafe fn read<T: Versioned>(parameter: &str, pointer: *const T) -> FfiResult<T> {
    if pointer.is_null() {
        return Err(FfiError::argument(parameter, "is NULL"));
    }
    // SAFETY: the struct begins with its size.
    let size = unsafe { pointer.cast::<u32>().read_unaligned() };
    let size = check_size::<T>(&format!("{parameter}.struct_size"), size as usize)?;
    // SAFETY: the host says that its struct has this many bytes, and it is a size.
    let bytes = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), size) };
    let known = size.min(size_of::<T>());
    if let Some(offset) = bytes[known..].iter().position(|byte| *byte != 0) {
        let name = T::NAME;
        let offset = known + offset;
        let message = format!(
            "sets a field at byte {offset} of {name}, which this version of the library \
             ({known} bytes) does not know"
        );
        return Err(FfiError::argument(parameter, message));
    }
    let mut value = T::defaults();
    // SAFETY: `known` bytes are within both structs, and any bits are valid for `T`.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut value).cast::<u8>(), known);
    }
    Ok(value)
}

/// Fills the host's struct of `size` bytes with the defaults; the body of every init function.
///
/// # Safety
/// `pointer` is NULL or may be written for `size` bytes.
pub(crate) unsafe fn init<T: Versioned>(
    parameter: &str,
    pointer: *mut T,
    size: usize,
) -> FfiResult<()> {
    if pointer.is_null() {
        return Err(FfiError::argument(parameter, "is NULL"));
    }
    let size = check_size::<T>("struct_size", size)?;
    // SAFETY: as promised to this function, and it is a size.
    unsafe { write(pointer, size, &T::defaults()) }
    Ok(())
}

/// Writes a struct of `size` bytes, as much of `value` as fits, and its size.
///
/// # Safety
/// `size` has passed `check_size`, and as many bytes may be written to `pointer`.
unsafe fn write<T: Versioned>(pointer: *mut T, size: usize, value: &T) {
    let known = size.min(size_of::<T>());
    // SAFETY: `size` bytes may be written and `known` are within ours; the size itself is a `u32`
    // at the beginning, and below 4096.
    unsafe {
        std::ptr::write_bytes(pointer.cast::<u8>(), 0, size);
        std::ptr::copy_nonoverlapping((&raw const *value).cast(), pointer.cast::<u8>(), known);
        pointer.cast::<u32>().write_unaligned(size as u32);
    }
}

/// Where the host wants a struct of any version filled; its `struct_size` says which.
pub(crate) struct Fill<T> {
    pointer: *mut T,
    size: usize,
}

impl<T: Versioned> Fill<T> {
    /// Checks a parameter. What the struct holds beside its size does not matter.
    ///
    /// # Safety
    /// `pointer` is NULL, or points to a `u32` and, if that is a size, to that many bytes, which may
    /// be written until the export returns.
    pub(crate) unsafe fn new(parameter: &str, pointer: *mut T) -> FfiResult<Self> {
        if pointer.is_null() {
            return Err(FfiError::argument(parameter, "is NULL"));
        }
        // SAFETY: the struct begins with its size.
        let size = unsafe { pointer.cast::<u32>().read_unaligned() };
        let size = check_size::<T>(&format!("{parameter}.struct_size"), size as usize)?;
        Ok(Self { pointer, size })
    }

    /// Gives the host the fields that it knows; those that only it knows become 0.
    pub(crate) fn set(self, value: T) {
        // SAFETY: as promised to `new`.
        unsafe { write(self.pointer, self.size, &value) }
    }
}

fn check_size<T: Versioned>(parameter: &str, size: usize) -> FfiResult<usize> {
    let possible = (T::FIRST_SIZE..=MAX_SIZE_BYTES).contains(&size) && size.is_multiple_of(8);
    if possible {
        return Ok(size);
    }
    let name = T::NAME;
    let message = format!("is {size}, which is not the size of any version of {name}");
    Err(FfiError::argument(parameter, message))
}

/// Refuses a reserved field that is not zero: a later version may give it a meaning.
pub(crate) fn reserved(field: &str, value: u32) -> FfiResult<()> {
    if value == 0 {
        return Ok(());
    }
    Err(FfiError::argument(
        field,
        format!("is {value}; it is reserved and must be 0"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Config {
        struct_size: u32,
        first: u32,
        second: u64,
        /// Appended later.
        third: u64,
    }

    // SAFETY: laid out as `Versioned` asks.
    unsafe impl Versioned for Config {
        const NAME: &'static str = "SlConfig";
        const FIRST_SIZE: usize = 16;

        fn defaults() -> Self {
            Self {
                struct_size: 24,
                first: 1,
                second: 2,
                third: 3,
            }
        }
    }

    #[repr(C)]
    struct Longer {
        config: Config,
        fourth: u64,
    }

    fn sized(struct_size: u32, fourth: u64) -> Longer {
        let config = Config {
            struct_size,
            first: 10,
            second: 20,
            third: 30,
        };
        Longer { config, fourth }
    }

    fn read_sized(struct_size: u32, fourth: u64) -> FfiResult<Config> {
        let longer = sized(struct_size, fourth);
        // SAFETY: a size that is believed is at most that of `Longer`.
        unsafe { read("config", (&raw const longer).cast()) }
    }

    #[test]
    fn an_older_struct_is_read_with_defaults_for_what_it_lacks() {
        let config = read_sized(16, 0).unwrap();
        assert_eq!((config.first, config.second, config.third), (10, 20, 3));
        assert_eq!(read_sized(24, 0).unwrap().third, 30);
    }

    #[test]
    fn a_newer_struct_is_read_if_its_new_fields_are_not_used() {
        assert_eq!(read_sized(32, 0).unwrap().third, 30);
        let message = read_sized(32, 1 << 40).unwrap_err().message;
        assert!(
            message.starts_with("config sets a field at byte 29 of SlConfig"),
            "{message}"
        );
    }

    #[test]
    fn a_size_of_no_version_is_refused() {
        for size in [0, 3, 8, 17, 20, 4104, u32::MAX] {
            let message = read_sized(size, 0).unwrap_err().message;
            let expected = format!(
                "config.struct_size is {size}, which is not the size of any version of SlConfig"
            );
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn init_writes_the_defaults_and_nothing_behind_the_hosts_struct() {
        let mut longer = sized(0, 7);
        // SAFETY: as many bytes as the struct has.
        let outcome = unsafe { init::<Config>("config", (&raw mut longer).cast(), 16) };
        assert_eq!(outcome, Ok(()));
        let expected = Config {
            struct_size: 16,
            first: 1,
            second: 2,
            third: 30,
        };
        assert_eq!((longer.config, longer.fourth), (expected, 7));

        // SAFETY: as above.
        let outcome = unsafe { init::<Config>("config", (&raw mut longer).cast(), 32) };
        assert_eq!(outcome, Ok(()));
        assert_eq!((longer.config.struct_size, longer.fourth), (32, 0));
    }
}
