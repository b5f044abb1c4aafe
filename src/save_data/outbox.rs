//! Remote changes that a host gives to be sent: read and checked once, then given an id and a time.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::Value;
use serde_json::value::RawValue;

use super::reserved::{RemoteChange, RemoteChangeId};
use super::scan::{self, Member, check_depth, check_readable};
use super::value::{is_plain, plain_i64};
use super::{MAX_DEPTH, SaveDataError, ValueType};

/// The longest kind of a remote change, its `K`, in bytes of UTF-8. The shortest is one byte.
pub const MAX_KIND_BYTES: usize = 256;

/// A remote change that is not sent yet.
#[derive(Debug)]
pub(crate) struct UnsentChange<'t> {
    kind: Box<str>,
    /// What stands between the braces, without the members that the library writes.
    members: Cow<'t, str>,
}

impl<'t> UnsentChange<'t> {
    /// Reads a JSON array of objects with a `K`. The errors' pointers are those of the array.
    pub fn read_all(json: &'t str) -> Result<Vec<Self>, SaveDataError> {
        // The array will stand in a document.
        check_depth(json, MAX_DEPTH - 1)?;
        if !json
            .trim_start_matches([' ', '\t', '\n', '\r'])
            .starts_with('[')
        {
            let whole: &RawValue =
                serde_json::from_str(json).map_err(|error| scan::invalid_json(json, &error))?;
            return Err(wrong_type(String::new(), "an array", whole.get()));
        }
        let all: Vec<&'t RawValue> =
            serde_json::from_str(json).map_err(|error| scan::invalid_json(json, &error))?;
        let read = |(index, one): (usize, &&'t RawValue)| {
            let start = one.get().as_ptr() as usize - json.as_ptr() as usize;
            Self::read(one.get(), index).map_err(|error| shifted(error, start))
        };
        all.iter().enumerate().map(read).collect()
    }

    fn read(json: &'t str, index: usize) -> Result<Self, SaveDataError> {
        if !json.starts_with('{') {
            return Err(wrong_type(format!("/{index}"), "an object", json));
        }
        let (mut kind, mut is_mixed) = (None, false);
        scan::members(json, |member| {
            match &*member.name {
                "K" if kind.is_some() => {
                    return Err(SaveDataError::DuplicateField {
                        field: "K".to_owned(),
                        offset: member.offset,
                    });
                }
                "K" => kind = Some(read_kind(&member, index)?),
                "I" | "A" => is_mixed = true,
                _ if plain_i64(member.value.as_bytes()).is_some() => {}
                _ => check_readable(&member)?,
            }
            Ok(())
        })?;
        let kind = kind.ok_or_else(|| SaveDataError::NotFound {
            pointer: format!("/{index}/K"),
        })?;
        let members = match is_mixed {
            true => Cow::Owned(own_members(json)?),
            false => Cow::Borrowed(&json[1..json.len() - 1]),
        };
        Ok(Self { kind, members })
    }

    /// How long its own members are, in bytes of JSON.
    pub fn size_bytes(&self) -> usize {
        self.members.len()
    }

    /// The change as it is put into an inbox; `at` is whole Unix seconds.
    pub fn stamp(self, id: &str, at: i64) -> RemoteChange {
        // Around the members, the id and the ten digits that a time has.
        let length = self.members.len() + id.len() + r#"{,"I":"","A":}"#.len() + 10;
        let mut json = String::with_capacity(length);
        json.push('{');
        json.push_str(&self.members);
        json.push_str(",\"I\":");
        match is_plain(id) {
            true => write!(json, "\"{id}\",\"A\":{at}}}"),
            false => write!(json, "{},\"A\":{at}}}", Value::from(id)),
        }
        .expect("a string grows");
        let id = RemoteChangeId::Text(id.into());
        RemoteChange::new(json.into(), self.kind, id, at as f64)
    }
}

/// The members that are the host's, as they stand in the text.
fn own_members(json: &str) -> Result<String, SaveDataError> {
    let mut own = String::with_capacity(json.len());
    scan::members(json, |member| {
        if !matches!(&*member.name, "I" | "A") {
            if !own.is_empty() {
                own.push(',');
            }
            own.push_str(&json[member.offset..member.value_offset + member.value.len()]);
        }
        Ok(())
    })?;
    Ok(own)
}

fn read_kind(member: &Member<'_>, index: usize) -> Result<Box<str>, SaveDataError> {
    if !member.value.starts_with('"') {
        return Err(wrong_type(format!("/{index}/K"), "a string", member.value));
    }
    check_readable(member)?;
    let kind: Cow<'_, str> = match member.value.contains('\\') {
        false => Cow::Borrowed(&member.value[1..member.value.len() - 1]),
        true => Cow::Owned(serde_json::from_str(member.value).unwrap_or_default()),
    };
    if !(1..=MAX_KIND_BYTES).contains(&kind.len()) {
        let bytes = kind.len();
        return Err(SaveDataError::OutOfRange {
            pointer: format!("/{index}/K"),
            message: format!("it has {bytes} bytes, but must have 1 to {MAX_KIND_BYTES}"),
        });
    }
    Ok(kind.into())
}

fn wrong_type(pointer: String, expected: &'static str, json: &str) -> SaveDataError {
    SaveDataError::WrongType {
        pointer,
        expected,
        found: ValueType::of_text(json.as_bytes()),
    }
}

/// An error in a part of the text, told in the whole text's offsets.
fn shifted(error: SaveDataError, start: usize) -> SaveDataError {
    use SaveDataError::{DuplicateField, InvalidJson};
    match error {
        InvalidJson { message, offset } => InvalidJson {
            message,
            offset: offset + start,
        },
        DuplicateField { field, offset } => DuplicateField {
            field,
            offset: offset + start,
        },
        other => other,
    }
}
