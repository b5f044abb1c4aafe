//! JSON Pointers (RFC 6901): which top-level field one names, and where it leads inside it.

use std::borrow::Cow;

use jsonptr::index::Index;
use jsonptr::{Pointer, Token};
use serde_json::Value;

use super::{SaveDataError, ValueType};

/// What a pointer names.
pub(super) enum Target<'p> {
    /// The whole document.
    Document,
    /// A top-level field, or something inside it when `rest` is not empty.
    Field {
        name: Cow<'p, str>,
        rest: &'p Pointer,
    },
}

/// Splits a pointer into the top-level field and the rest.
#[inline]
pub(super) fn split(pointer: &str) -> Result<Target<'_>, SaveDataError> {
    match pointer.strip_prefix('/') {
        Some(name) if !name.bytes().any(|byte| byte == b'/' || byte == b'~') => Ok(Target::Field {
            name: Cow::Borrowed(name),
            rest: Pointer::root(),
        }),
        _ => split_general(pointer),
    }
}

fn split_general(pointer: &str) -> Result<Target<'_>, SaveDataError> {
    let parsed = Pointer::parse(pointer).map_err(|error| {
        let message = match error {
            jsonptr::ParseError::NoLeadingSlash => "it has to be empty or begin with '/'",
            jsonptr::ParseError::InvalidEncoding { .. } => "'~' has to be followed by 0 or 1",
        };
        invalid(
            pointer,
            format!("{message} (byte {})", error.complete_offset()),
        )
    })?;
    Ok(match parsed.split_front() {
        None => Target::Document,
        Some((first, rest)) => Target::Field {
            name: match first.decoded() {
                Cow::Borrowed(_) => Cow::Borrowed(first_token(pointer)),
                Cow::Owned(name) => Cow::Owned(name),
            },
            rest,
        },
    })
}

/// The text of the first token, escapes and all.
fn first_token(pointer: &str) -> &str {
    pointer.split('/').nth(1).unwrap_or_default()
}

/// The top-level field that a pointer names, for messages.
pub(super) fn field_name(pointer: &str) -> String {
    match split(pointer) {
        Ok(Target::Field { name, .. }) => name.into_owned(),
        _ => pointer.to_owned(),
    }
}

/// The value that `rest` leads to inside `value`. `pointer` is the whole pointer, of which `rest`
/// is the end; an error names the part that leads nowhere.
pub(super) fn walk<'v>(
    mut value: &'v Value,
    mut rest: &Pointer,
    pointer: &str,
) -> Result<&'v Value, SaveDataError> {
    while let Some((token, tail)) = rest.split_front() {
        let here = &pointer[..pointer.len() - tail.len()];
        let child = match value {
            Value::Object(members) => members.get(token.decoded().as_ref()),
            Value::Array(items) => match index(&token, pointer)? {
                Index::Num(at) => items.get(at),
                Index::Next => None,
            },
            scalar => {
                let parent = &pointer[..pointer.len() - rest.len()];
                return Err(wrong_type(parent, "an object or an array", scalar));
            }
        };
        value = child.ok_or_else(|| not_found(here))?;
        rest = tail;
    }
    Ok(value)
}

/// Reads a token as an array index: digits without leading zeros, or `-` for the end.
pub(super) fn index(token: &Token<'_>, pointer: &str) -> Result<Index, SaveDataError> {
    token.to_index().map_err(|_| {
        invalid(
            pointer,
            format!(
                "\"{}\" is no array index: digits without leading zeros, or '-' for the end",
                token.decoded()
            ),
        )
    })
}

pub(super) fn invalid(pointer: &str, message: impl Into<String>) -> SaveDataError {
    SaveDataError::InvalidPointer {
        pointer: pointer.to_owned(),
        message: message.into(),
    }
}

pub(super) fn not_found(pointer: &str) -> SaveDataError {
    SaveDataError::NotFound {
        pointer: pointer.to_owned(),
    }
}

pub(super) fn wrong_type(pointer: &str, expected: &'static str, value: &Value) -> SaveDataError {
    SaveDataError::WrongType {
        pointer: pointer.to_owned(),
        expected,
        found: ValueType::of(value),
    }
}
