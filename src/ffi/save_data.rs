//! `SlSaveData`: a live document, read and written in place by JSON Pointers.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::boundary::boundary;
use super::error::{FfiError, FfiResult};
use super::handle::{self, Kind};
use super::number;
use super::status::*;
use super::text::SlBuffer;
use crate::locker::{SharedSaveData, WriteError};
use crate::save_data::{
    Backup, DEFAULT_LIMIT_BYTES, ReadValue, SaveData, SaveDataError, ValueType,
};

/// A player's save data: one JSON object, the player's own fields at top level beside the reserved
/// ones (`Version`, `VersionPatch`, `Session`, `Purchases`, `ProductCredit`, `RemoteChanges`,
/// `Saves`, `Received`, `Gifts`), which can be read but not changed.
///
/// For every `save_data_` function:
///
/// - `pointer` is a JSON Pointer (RFC 6901) such as `/Inventory/3/Id`, `pointer_length` bytes of
///   UTF-8 or SL_NUL_TERMINATED; the empty one is the whole document.
/// - A write is done whole or not at all, and counts as one change. In an array, the index that is
///   its length, and `-`, append. A place is created only inside a parent that is there.
/// - Any thread may call, also from inside callbacks; each call sees the document between two
///   writes. While a hook owns the document, others read it as it was before the hook, and their
///   writes are refused with SL_ERROR_BUSY.
/// - The handle lasts as long as the object it came from; the handle of a draft, as long as the
///   callback that got it. Only `save_data_create` and `save_data_parse` give one that the host
///   destroys.
///
/// Errors of every one: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT (NULL, an impossible
/// length), SL_ERROR_INVALID_UTF8, SL_ERROR_INVALID_POINTER, SL_ERROR_INVALID_JSON (the value lies
/// in a field with a number or a string that cannot be represented, such as `1e999`). Errors of
/// every write besides: SL_ERROR_BUSY, SL_ERROR_NOT_ACTIVE (the session is over: its locker was
/// deleted, or its profile is finished), SL_ERROR_RESERVED_FIELD, SL_ERROR_NOT_FOUND (the parent),
/// SL_ERROR_WRONG_TYPE (the pointer leads through a value that is neither object nor array),
/// SL_ERROR_TOO_LARGE (over the size limit, or more than 128 levels deep). Each function names what
/// it adds to these.
pub struct SlSaveData(());
handle_kind!(SlSaveData, Kind::SaveData, SharedSaveData);

/// The player's fields of a save data as they were at one moment.
pub struct SlSaveDataBackup(());
handle_kind!(SlSaveDataBackup, Kind::SaveDataBackup, Backup);

/// `null`.
pub const SL_VALUE_NULL: i32 = 0;
/// `true` or `false`.
pub const SL_VALUE_BOOL: i32 = 1;
/// A number without fraction or exponent that fits 64 bits.
pub const SL_VALUE_INTEGER: i32 = 2;
/// Any other number.
pub const SL_VALUE_FLOAT: i32 = 3;
/// A string.
pub const SL_VALUE_STRING: i32 = 4;
/// An array.
pub const SL_VALUE_ARRAY: i32 = 5;
/// An object.
pub const SL_VALUE_OBJECT: i32 = 6;

/// A value of any type, as `save_data_get_value` fills it. Never changes its size.
#[repr(C)]
#[derive(Debug)]
pub struct SlValue {
    /// One of SL_VALUE_; an integer beyond a signed one of 64 bits is SL_VALUE_FLOAT here.
    pub value_type: i32,
    /// Of SL_VALUE_BOOL: 0 or 1.
    pub boolean: i32,
    /// Of SL_VALUE_INTEGER.
    pub integer: i64,
    /// Of SL_VALUE_INTEGER and SL_VALUE_FLOAT; an integer beyond 2^53 is rounded.
    pub number: f64,
    /// How many elements SL_VALUE_ARRAY, members SL_VALUE_OBJECT, or bytes SL_VALUE_STRING has.
    pub length: usize,
    /// Of SL_VALUE_STRING: the string, which may hold NUL characters. Else all 0.
    pub text: SlBuffer,
}

impl SlValue {
    const fn of_type(value_type: i32) -> Self {
        Self {
            value_type,
            boolean: 0,
            integer: 0,
            number: 0.0,
            length: 0,
            text: SlBuffer::EMPTY,
        }
    }

    const fn of_size(value_type: i32, length: usize) -> Self {
        Self {
            length,
            ..Self::of_type(value_type)
        }
    }
}

impl From<ReadValue> for SlValue {
    fn from(value: ReadValue) -> Self {
        match value {
            ReadValue::Null => Self::of_type(SL_VALUE_NULL),
            ReadValue::Bool(value) => Self {
                boolean: value.into(),
                ..Self::of_type(SL_VALUE_BOOL)
            },
            ReadValue::Integer(integer) => Self {
                integer,
                number: integer as f64,
                ..Self::of_type(SL_VALUE_INTEGER)
            },
            ReadValue::Float(number) => Self {
                number,
                ..Self::of_type(SL_VALUE_FLOAT)
            },
            ReadValue::String(text) => {
                let length = text.len();
                Self {
                    text: text.into(),
                    ..Self::of_size(SL_VALUE_STRING, length)
                }
            }
            ReadValue::Array(length) => Self::of_size(SL_VALUE_ARRAY, length),
            ReadValue::Object(length) => Self::of_size(SL_VALUE_OBJECT, length),
        }
    }
}

impl From<SaveDataError> for FfiError {
    fn from(error: SaveDataError) -> Self {
        use SaveDataError as E;
        let status = match &error {
            E::InvalidUtf8 { .. } => SL_ERROR_INVALID_UTF8,
            E::InvalidJson { .. }
            | E::DuplicateField { .. }
            | E::InvalidReserved { .. }
            | E::UnreadableField { .. } => SL_ERROR_INVALID_JSON,
            E::NotAnObject { .. } | E::WrongType { .. } => SL_ERROR_WRONG_TYPE,
            E::InvalidPointer { .. } => SL_ERROR_INVALID_POINTER,
            E::NotFound { .. } => SL_ERROR_NOT_FOUND,
            E::OutOfRange { .. } => SL_ERROR_OUT_OF_RANGE,
            E::ReservedField { .. } => SL_ERROR_RESERVED_FIELD,
            E::TooLarge { .. } | E::TooDeep { .. } => SL_ERROR_TOO_LARGE,
            E::PatchFailed { .. } => SL_ERROR_PATCH_FAILED,
        };
        Self::new(status, error.to_string())
    }
}

impl From<WriteError> for FfiError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Busy => Self::new(SL_ERROR_BUSY, error.to_string()),
            WriteError::NotActive => Self::new(SL_ERROR_NOT_ACTIVE, error.to_string()),
            WriteError::SaveData(error) => error.into(),
        }
    }
}

/// Lends a document to a callback of the host: `run` gets a handle that is valid until it returns,
/// and what the host has written is in `data` afterwards.
pub(crate) fn lend_draft<R>(
    data: &mut SaveData,
    run: impl FnOnce(*mut SlSaveData) -> R,
) -> FfiResult<R> {
    /// Puts the document back, however `run` ends.
    struct Draft<'a> {
        shared: Arc<SharedSaveData>,
        data: &'a mut SaveData,
    }
    impl Drop for Draft<'_> {
        fn drop(&mut self) {
            *self.data = self.shared.take();
        }
    }
    let shared = SharedSaveData::new(std::mem::take(data));
    let draft = Draft { shared, data };
    lend(&draft.shared, run)
}

/// Lends a shared document to a callback of the host: `run` gets a handle that is valid until it
/// returns.
pub(crate) fn lend<R>(
    data: &Arc<SharedSaveData>,
    run: impl FnOnce(*mut SlSaveData) -> R,
) -> FfiResult<R> {
    /// Ends the handle, however `run` ends.
    struct Loan(*mut SlSaveData);
    impl Drop for Loan {
        fn drop(&mut self) {
            // It is still there: nobody else could free it.
            let _ = handle::take_back(self.0);
        }
    }
    let loan = Loan(handle::lend(Arc::clone(data))?);
    Ok(run(loan.0))
}

/// The one handle by which a profile or locker lends its save data, from the host's first asking
/// until its owner goes.
#[derive(Default)]
pub(crate) struct Lent(Mutex<LentState>);

#[derive(Default)]
enum LentState {
    #[default]
    NotAsked,
    Handle(usize),
    Gone,
}

impl Lent {
    /// The handle, made at the first asking.
    pub(crate) fn lend(&self, data: &Arc<SharedSaveData>) -> FfiResult<*mut SlSaveData> {
        let mut state = self.0.lock();
        match *state {
            LentState::Handle(handle) => Ok(std::ptr::without_provenance_mut(handle)),
            LentState::NotAsked => {
                let handle = handle::lend::<SlSaveData>(Arc::clone(data))?;
                *state = LentState::Handle(handle.addr());
                Ok(handle)
            }
            LentState::Gone => {
                let message = "the save data's owner is being destroyed";
                Err(FfiError::new(SL_ERROR_INVALID_HANDLE, message))
            }
        }
    }

    /// The owner goes, and the handle with it.
    pub(crate) fn end(&self) {
        let state = std::mem::replace(&mut *self.0.lock(), LentState::Gone);
        if let LentState::Handle(handle) = state {
            // It is still there: nobody else could free it.
            let _ = handle::take_back(std::ptr::without_provenance::<SlSaveData>(handle));
        }
    }
}

/// Makes a save data of the host's own, which belongs to no session, from a JSON object (`{}` for
/// an empty one); reserved names in it are ignored. For drafts, tools and tests.
///
/// The size limit is 4 MiB. Free it with `save_data_destroy`.
///
/// Errors: SL_ERROR_INVALID_ARGUMENT, SL_ERROR_INVALID_UTF8, SL_ERROR_INVALID_JSON,
/// SL_ERROR_WRONG_TYPE (not an object), SL_ERROR_TOO_LARGE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_create(
    json: *const c_char,
    json_length: usize,
    data: *mut *mut SlSaveData,
) -> SlStatus {
    boundary(|| {
        let json = text!(json, json_length);
        let data = out!(data);
        let made = SaveData::from_json(json, DEFAULT_LIMIT_BYTES)?;
        data.set(handle::insert(SharedSaveData::new(made))?);
        Ok(())
    })
}

/// Makes a save data of the host's own from a stored document, such as `locker_storage_fetch`
/// gives, reserved fields included. For tools.
///
/// The size limit is 4 MiB, and twice that for what is parsed. Free it with `save_data_destroy`.
///
/// Errors: SL_ERROR_INVALID_ARGUMENT, SL_ERROR_INVALID_UTF8, SL_ERROR_INVALID_JSON (also: a
/// reserved field is not what it must be), SL_ERROR_WRONG_TYPE (not an object), SL_ERROR_TOO_LARGE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_parse(
    bytes: *const c_void,
    length: usize,
    data: *mut *mut SlSaveData,
) -> SlStatus {
    boundary(|| {
        let bytes = Bytes::copy_from_slice(bytes!(bytes, length));
        let data = out!(data);
        let parsed = SaveData::parse(bytes, DEFAULT_LIMIT_BYTES)?;
        data.set(handle::insert(SharedSaveData::new(parsed))?);
        Ok(())
    })
}

/// Frees a save data that the host has made. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_UNSUPPORTED (it is a locker's, a profile's or a
/// callback's draft, and goes when that does).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_destroy(data: *mut SlSaveData) -> SlStatus {
    boundary(|| {
        handle::remove(data)?;
        Ok(())
    })
}

/// Gives the value at `pointer` as JSON text. The host frees `json`.
///
/// Errors besides those of every `save_data_` function: SL_ERROR_NOT_FOUND.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_get_json(
    data: *const SlSaveData,
    pointer: *const c_char,
    pointer_length: usize,
    json: *mut SlBuffer,
) -> SlStatus {
    boundary(|| {
        let data = handle::get(data)?;
        let pointer = text!(pointer, pointer_length);
        let json = out!(json);
        json.set(data.read(|data| data.get_json(pointer))?.into());
        Ok(())
    })
}

/// Gives the integer at `pointer`; a float without a fraction counts as one.
///
/// Errors besides those of every `save_data_` function: SL_ERROR_NOT_FOUND, SL_ERROR_WRONG_TYPE,
/// SL_ERROR_OUT_OF_RANGE (it does not fit a signed integer of 64 bits).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_get_i64(
    data: *const SlSaveData,
    pointer: *const c_char,
    pointer_length: usize,
    value: *mut i64,
) -> SlStatus {
    boundary(|| {
        let data = handle::get(data)?;
        let pointer = text!(pointer, pointer_length);
        let value = out!(value);
        value.set(data.read(|data| data.get_i64(pointer))?);
        Ok(())
    })
}

/// Gives the number at `pointer`, an integer too; one beyond 2^53 is rounded.
///
/// Errors besides those of every `save_data_` function: SL_ERROR_NOT_FOUND, SL_ERROR_WRONG_TYPE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_get_f64(
    data: *const SlSaveData,
    pointer: *const c_char,
    pointer_length: usize,
    value: *mut f64,
) -> SlStatus {
    boundary(|| {
        let data = handle::get(data)?;
        let pointer = text!(pointer, pointer_length);
        let value = out!(value);
        value.set(data.read(|data| data.get_f64(pointer))?);
        Ok(())
    })
}

/// Gives the bool at `pointer`: 0 or 1.
///
/// Errors besides those of every `save_data_` function: SL_ERROR_NOT_FOUND, SL_ERROR_WRONG_TYPE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_get_bool(
    data: *const SlSaveData,
    pointer: *const c_char,
    pointer_length: usize,
    value: *mut i32,
) -> SlStatus {
    boundary(|| {
        let data = handle::get(data)?;
        let pointer = text!(pointer, pointer_length);
        let value = out!(value);
        value.set(data.read(|data| data.get_bool(pointer))?.into());
        Ok(())
    })
}

/// Gives the string at `pointer`, without quotes and escapes; it may hold NUL characters. The host
/// frees `value`.
///
/// Errors besides those of every `save_data_` function: SL_ERROR_NOT_FOUND, SL_ERROR_WRONG_TYPE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_get_string(
    data: *const SlSaveData,
    pointer: *const c_char,
    pointer_length: usize,
    value: *mut SlBuffer,
) -> SlStatus {
    boundary(|| {
        let data = handle::get(data)?;
        let pointer = text!(pointer, pointer_length);
        let value = out!(value);
        value.set(data.read(|data| data.get_string(pointer))?.into());
        Ok(())
    })
}

/// Says whether there is anything at `pointer`, a `null` too: 0 or 1.
///
/// Errors: those of every `save_data_` function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_contains(
    data: *const SlSaveData,
    pointer: *const c_char,
    pointer_length: usize,
    is_there: *mut i32,
) -> SlStatus {
    boundary(|| {
        let data = handle::get(data)?;
        let pointer = text!(pointer, pointer_length);
        let is_there = out!(is_there);
        is_there.set(data.read(|data| data.contains(pointer))?.into());
        Ok(())
    })
}

/// Gives the type of the value at `pointer`: an SL_VALUE_ constant.
///
/// Errors besides those of every `save_data_` function: SL_ERROR_NOT_FOUND.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_type(
    data: *const SlSaveData,
    pointer: *const c_char,
    pointer_length: usize,
    value_type: *mut i32,
) -> SlStatus {
    boundary(|| {
        let data = handle::get(data)?;
        let pointer = text!(pointer, pointer_length);
        let value_type = out!(value_type);
        value_type.set(match data.read(|data| data.value_type(pointer))? {
            ValueType::Null => SL_VALUE_NULL,
            ValueType::Bool => SL_VALUE_BOOL,
            ValueType::Integer => SL_VALUE_INTEGER,
            ValueType::Float => SL_VALUE_FLOAT,
            ValueType::String => SL_VALUE_STRING,
            ValueType::Array => SL_VALUE_ARRAY,
            ValueType::Object => SL_VALUE_OBJECT,
        });
        Ok(())
    })
}

/// Gives the value at `pointer`, whatever its type, in `value`: one call for a host whose language has
/// no types to ask with. The host frees `value->text`, which has a text for a string alone.
///
/// Errors besides those of every `save_data_` function: SL_ERROR_NOT_FOUND.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_get_value(
    data: *const SlSaveData,
    pointer: *const c_char,
    pointer_length: usize,
    value: *mut SlValue,
) -> SlStatus {
    boundary(|| {
        let data = handle::get(data)?;
        let pointer = text!(pointer, pointer_length);
        let value = out!(value);
        value.set(data.read(|data| data.get_value(pointer))?.into());
        Ok(())
    })
}

/// Gives the names of the members of the object at `pointer`, in the order in which they are stored,
/// as a JSON array of strings. The host frees `names`.
///
/// Errors besides those of every `save_data_` function: SL_ERROR_NOT_FOUND, SL_ERROR_WRONG_TYPE (not
/// an object).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_get_names(
    data: *const SlSaveData,
    pointer: *const c_char,
    pointer_length: usize,
    names: *mut SlBuffer,
) -> SlStatus {
    boundary(|| {
        let data = handle::get(data)?;
        let pointer = text!(pointer, pointer_length);
        let names = out!(names);
        names.set(data.read(|data| data.get_names(pointer))?.into());
        Ok(())
    })
}

/// Gives how many elements the array, members the object, or bytes the string at `pointer` has.
///
/// Errors besides those of every `save_data_` function: SL_ERROR_NOT_FOUND, SL_ERROR_WRONG_TYPE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_length(
    data: *const SlSaveData,
    pointer: *const c_char,
    pointer_length: usize,
    length: *mut usize,
) -> SlStatus {
    boundary(|| {
        let data = handle::get(data)?;
        let pointer = text!(pointer, pointer_length);
        let length = out!(length);
        length.set(data.read(|data| data.length(pointer))?);
        Ok(())
    })
}

/// Sets the value at `pointer` to JSON text (`json_length` bytes, or SL_NUL_TERMINATED). With the
/// empty pointer it must be an object, whose members replace all of the player's fields; reserved
/// names in it are ignored and the reserved fields stay, so that a host may write back what it has
/// read.
///
/// Errors: those of every write. SL_ERROR_INVALID_JSON has the offset in `json`; with the empty
/// pointer SL_ERROR_WRONG_TYPE stands for what is not an object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_set_json(
    data: *mut SlSaveData,
    pointer: *const c_char,
    pointer_length: usize,
    json: *const c_char,
    json_length: usize,
) -> SlStatus {
    boundary(|| {
        let data = handle::get(data)?;
        let pointer = text!(pointer, pointer_length);
        let json = text!(json, json_length);
        Ok(data.write(|data| data.set_json(pointer, json))?)
    })
}

/// Sets the value at `pointer` to an integer. Errors: those of every write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_set_i64(
    data: *mut SlSaveData,
    pointer: *const c_char,
    pointer_length: usize,
    value: i64,
) -> SlStatus {
    boundary(|| {
        let data = handle::get(data)?;
        let pointer = text!(pointer, pointer_length);
        Ok(data.write(|data| data.set_i64(pointer, value))?)
    })
}

/// Sets the value at `pointer` to a float, which stays a float also without a fraction.
///
/// Errors besides those of every write: SL_ERROR_OUT_OF_RANGE (NaN or infinite, which JSON has no
/// word for).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_set_f64(
    data: *mut SlSaveData,
    pointer: *const c_char,
    pointer_length: usize,
    value: f64,
) -> SlStatus {
    boundary(|| {
        let data = handle::get(data)?;
        let pointer = text!(pointer, pointer_length);
        Ok(data.write(|data| data.set_f64(pointer, value))?)
    })
}

/// Sets the value at `pointer` to `false` (0) or `true` (1); any other `value` is an
/// SL_ERROR_INVALID_ARGUMENT. Errors: those of every write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_set_bool(
    data: *mut SlSaveData,
    pointer: *const c_char,
    pointer_length: usize,
    value: i32,
) -> SlStatus {
    boundary(|| {
        let data = handle::get(data)?;
        let pointer = text!(pointer, pointer_length);
        let value = number::switch("value", value)?;
        Ok(data.write(|data| data.set_bool(pointer, value))?)
    })
}

/// Sets the value at `pointer` to a string (`value_length` bytes of UTF-8, or SL_NUL_TERMINATED).
/// Errors: those of every write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_set_string(
    data: *mut SlSaveData,
    pointer: *const c_char,
    pointer_length: usize,
    value: *const c_char,
    value_length: usize,
) -> SlStatus {
    boundary(|| {
        let data = handle::get(data)?;
        let pointer = text!(pointer, pointer_length);
        let value = text!(value, value_length);
        Ok(data.write(|data| data.set_string(pointer, value))?)
    })
}

/// Sets the value at `pointer` to `null`. Errors: those of every write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_set_null(
    data: *mut SlSaveData,
    pointer: *const c_char,
    pointer_length: usize,
) -> SlStatus {
    boundary(|| {
        let data = handle::get(data)?;
        let pointer = text!(pointer, pointer_length);
        Ok(data.write(|data| data.set_null(pointer))?)
    })
}

/// Adds `delta` to the integer at `pointer`, which must be there, and gives the sum in `result`.
///
/// Errors besides those of every write: SL_ERROR_NOT_FOUND, SL_ERROR_WRONG_TYPE,
/// SL_ERROR_OUT_OF_RANGE (the sum does not fit a signed integer of 64 bits).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_add_i64(
    data: *mut SlSaveData,
    pointer: *const c_char,
    pointer_length: usize,
    delta: i64,
    result: *mut i64,
) -> SlStatus {
    boundary(|| {
        let data = handle::get(data)?;
        let pointer = text!(pointer, pointer_length);
        let result = out!(result);
        result.set(data.write(|data| data.add_i64(pointer, delta))?);
        Ok(())
    })
}

/// Appends JSON text to the array at `pointer`.
///
/// Errors besides those of every write: SL_ERROR_NOT_FOUND, SL_ERROR_WRONG_TYPE (not an array),
/// SL_ERROR_INVALID_JSON.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_append(
    data: *mut SlSaveData,
    pointer: *const c_char,
    pointer_length: usize,
    json: *const c_char,
    json_length: usize,
) -> SlStatus {
    boundary(|| {
        let data = handle::get(data)?;
        let pointer = text!(pointer, pointer_length);
        let json = text!(json, json_length);
        Ok(data.write(|data| data.append(pointer, json))?)
    })
}

/// Removes the value at `pointer`; an array's later elements move down. The whole document cannot
/// be removed (SL_ERROR_INVALID_POINTER).
///
/// Errors besides those of every write: SL_ERROR_NOT_FOUND.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_remove(
    data: *mut SlSaveData,
    pointer: *const c_char,
    pointer_length: usize,
) -> SlStatus {
    boundary(|| {
        let data = handle::get(data)?;
        let pointer = text!(pointer, pointer_length);
        Ok(data.write(|data| data.remove(pointer))?)
    })
}

/// Applies a JSON Merge Patch (RFC 7396) to the whole document: an object whose members replace
/// the document's, `null` removing one.
///
/// Errors besides those of every write: SL_ERROR_INVALID_JSON, SL_ERROR_WRONG_TYPE (not an object).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_merge_patch(
    data: *mut SlSaveData,
    json: *const c_char,
    json_length: usize,
) -> SlStatus {
    boundary(|| {
        let data = handle::get(data)?;
        let json = text!(json, json_length);
        Ok(data.write(|data| data.merge_patch(json))?)
    })
}

/// Applies a JSON Patch (RFC 6902) to the whole document: an array of operations, all of them or
/// none.
///
/// Errors besides those of every write: SL_ERROR_INVALID_JSON, SL_ERROR_PATCH_FAILED (the message
/// has the operation's number, from 0, and why).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_apply_patch(
    data: *mut SlSaveData,
    json: *const c_char,
    json_length: usize,
) -> SlStatus {
    boundary(|| {
        let data = handle::get(data)?;
        let json = text!(json, json_length);
        Ok(data.write(|data| data.apply_patch(json))?)
    })
}

/// Keeps the player's fields as they are now. Cheap: unchanged fields are shared, not copied. Free
/// the backup with `save_data_backup_destroy`; it outlives the save data.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_backup(
    data: *const SlSaveData,
    backup: *mut *mut SlSaveDataBackup,
) -> SlStatus {
    boundary(|| {
        let data = handle::get(data)?;
        let backup = out!(backup);
        let kept = data.read(|data| data.backup());
        backup.set(handle::insert(Arc::new(kept))?);
        Ok(())
    })
}

/// Puts the player's fields back as they were at the backup, which stays as it is and may be of
/// another save data. Reserved fields stay. Counts as one change.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_BUSY, SL_ERROR_NOT_ACTIVE, SL_ERROR_TOO_LARGE (the
/// backup is of a save data with a larger limit).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_restore(
    data: *mut SlSaveData,
    backup: *const SlSaveDataBackup,
) -> SlStatus {
    boundary(|| {
        let data = handle::get(data)?;
        let backup = handle::get(backup)?;
        Ok(data.write(|data| data.restore(&backup))?)
    })
}

/// Frees a backup. Any thread. Errors: SL_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn save_data_backup_destroy(backup: *mut SlSaveDataBackup) -> SlStatus {
    boundary(|| {
        handle::remove(backup)?;
        Ok(())
    })
}
