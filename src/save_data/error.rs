//! What can be wrong with a document, or with what is asked of it.

use thiserror::Error;

use super::ValueType;

/// Why a document could not be read, or a read or write of it was refused. A refused write has
/// changed nothing. Offsets count bytes from the start of the text that was given to the call.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SaveDataError {
    /// The stored bytes are not UTF-8.
    #[error("the document is not valid UTF-8 at byte {offset}")]
    InvalidUtf8 {
        /// The first byte that is not UTF-8.
        offset: usize,
    },
    /// The text is not JSON, or holds a number or string that cannot be represented.
    #[error("invalid JSON at byte {offset}: {message}")]
    InvalidJson {
        /// What the parser found.
        message: String,
        /// Where it found it.
        offset: usize,
    },
    /// A whole document, or a merge patch for it, has to be a JSON object.
    #[error("a document has to be a JSON object, this is {found}")]
    NotAnObject {
        /// What it is instead.
        found: ValueType,
    },
    /// The document is, or would become, nested deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    #[error("the document would be nested deeper than 128 levels at byte {offset}")]
    TooDeep {
        /// The bracket that opens the first level too many.
        offset: usize,
    },
    /// The document names one top-level field twice, so one of the two values would be lost.
    #[error("the field \"{field}\" is there twice, the second time at byte {offset}")]
    DuplicateField {
        /// The field's name.
        field: String,
        /// Where the second one's name begins.
        offset: usize,
    },
    /// A reserved field of a stored document does not have the shape it must have.
    #[error("the reserved field \"{field}\" cannot be read: {message}")]
    InvalidReserved {
        /// The reserved field's name.
        field: String,
        /// What is wrong with it; for a list, which entry (counted from 0).
        message: String,
    },
    /// A field holds JSON that cannot be represented (a number beyond the range of a double, half
    /// of a surrogate pair). It is kept as it is for as long as nothing replaces it.
    #[error("the field \"{field}\" holds a value that cannot be read: {message}")]
    UnreadableField {
        /// The top-level field's name.
        field: String,
        /// What the parser found.
        message: String,
    },
    /// The pointer is not a JSON Pointer (RFC 6901), or cannot be meant for this value.
    #[error("invalid pointer \"{pointer}\": {message}")]
    InvalidPointer {
        /// The pointer as given.
        pointer: String,
        /// What is wrong with it, and at which byte.
        message: String,
    },
    /// There is nothing at this pointer.
    #[error("there is nothing at \"{pointer}\"")]
    NotFound {
        /// The first part of the given pointer that leads nowhere.
        pointer: String,
    },
    /// The value is of another type than the call needs.
    #[error("\"{pointer}\" has to be {expected}, it is {found}")]
    WrongType {
        /// The value's place.
        pointer: String,
        /// What it would have to be.
        expected: &'static str,
        /// What it is.
        found: ValueType,
    },
    /// A number does not fit.
    #[error("out of range at \"{pointer}\": {message}")]
    OutOfRange {
        /// The number's place.
        pointer: String,
        /// Which number, and what it does not fit into.
        message: String,
    },
    /// A reserved field cannot be changed through the save-data functions.
    #[error("the field \"{field}\" is reserved and cannot be changed")]
    ReservedField {
        /// The reserved field's name.
        field: String,
    },
    /// The player's fields would be larger than the limit.
    #[error("the player's fields would take {size_bytes} bytes, the limit is {limit_bytes}")]
    TooLarge {
        /// What they would take, in bytes.
        size_bytes: usize,
        /// What they may take, in bytes.
        limit_bytes: usize,
    },
    /// An operation of a JSON Patch (RFC 6902) failed, so none of them was applied.
    #[error("operation {operation} of the patch failed: {message}")]
    PatchFailed {
        /// Which operation, counted from 0.
        operation: usize,
        /// Why.
        message: String,
    },
}
