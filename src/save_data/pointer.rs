//! JSON Pointers (RFC 6901): which top-level field one names, and where it leads inside it.

use std::borrow::Cow;

use jsonptr::Pointer;
use jsonptr::index::Index;
use serde_json::Value;

use super::{SaveDataError, ValueType};

/// What a pointer names.
pub(super) enum Target<'p> {
    /// The whole document.
    Document,
    /// A top-level field, or something inside it when `rest`, a pointer too, is not empty.
    Field { name: Cow<'p, str>, rest: &'p str },
}

/// Splits a pointer into the top-level field and the rest.
#[inline]
pub(super) fn split(pointer: &str) -> Result<Target<'_>, SaveDataError> {
    match pointer.strip_prefix('/') {
        // By far the most calls name a field and nothing in it.
        Some(name) if !name.bytes().any(|byte| byte == b'/' || byte == b'~') => Ok(Target::Field {
            name: Cow::Borrowed(name),
            rest: "",
        }),
        _ => split_any(pointer),
    }
}

fn split_any(pointer: &str) -> Result<Target<'_>, SaveDataError> {
    if pointer.is_empty() {
        return Ok(Target::Document);
    }
    if !pointer.starts_with('/') || pointer.contains('~') {
        check(pointer)?;
    }
    let (name, rest) = split_token(&pointer[1..]);
    let name = decode(name);
    Ok(Target::Field { name, rest })
}

fn check(pointer: &str) -> Result<(), SaveDataError> {
    let Err(error) = Pointer::parse(pointer) else {
        return Ok(());
    };
    let message = match error {
        jsonptr::ParseError::NoLeadingSlash => "it has to be empty or begin with '/'",
        jsonptr::ParseError::InvalidEncoding { .. } => "'~' has to be followed by 0 or 1",
    };
    let offset = error.complete_offset();
    Err(invalid(pointer, format!("{message} (byte {offset})")))
}

/// Splits off a token that has lost its slash.
#[inline]
fn split_token(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| byte == b'/');
    text.split_at(end.unwrap_or(text.len()))
}

/// The name that a token stands for.
#[inline]
pub(super) fn decode(token: &str) -> Cow<'_, str> {
    if token.bytes().any(|byte| byte == b'~') {
        // In this order: "~01" is "~1".
        Cow::Owned(token.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(token)
    }
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
    mut rest: &str,
    pointer: &str,
) -> Result<&'v Value, SaveDataError> {
    while let Some(tokens) = rest.strip_prefix('/') {
        let (token, tail) = split_token(tokens);
        let child = match value {
            Value::Object(members) => members.get(decode(token).as_ref()),
            Value::Array(items) => match index(token, pointer)? {
                Index::Num(at) => items.get(at),
                Index::Next => None,
            },
            scalar => {
                let parent = &pointer[..pointer.len() - rest.len()];
                return Err(wrong_type(parent, "an object or an array", scalar));
            }
        };
        value = child.ok_or_else(|| not_found(&pointer[..pointer.len() - tail.len()]))?;
        rest = tail;
    }
    Ok(value)
}

/// The same for changing the value, where [`walk`] has found that it is there.
pub(super) fn walk_mut<'v>(mut value: &'v mut Value, mut rest: &str) -> Option<&'v mut Value> {
    while let Some(tokens) = rest.strip_prefix('/') {
        let (token, tail) = split_token(tokens);
        value = match value {
            Value::Object(members) => members.get_mut(decode(token).as_ref())?,
            Value::Array(items) => items.get_mut(token.parse::<usize>().ok()?)?,
            _ => return None,
        };
        rest = tail;
    }
    Some(value)
}

/// Reads a token as an array index: digits without leading zeros, or `-` for the end.
pub(super) fn index(token: &str, pointer: &str) -> Result<Index, SaveDataError> {
    token.parse().map_err(|_| {
        let rule = "digits without leading zeros, or '-' for the end";
        invalid(pointer, format!("\"{token}\" is no array index: {rule}"))
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
