//! Remote changes that a host gives to be sent: read and checked once, then given an id and a time.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::reserved::{RemoteChange, RemoteChangeId};
use super::scan::{self, Member, check_depth, check_readable};
use super::value::{plain_i64, write_json};
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
        let mut kind = None;
        // Whether the host has written a member that is not its own, and what it has besides.
        let (mut is_mixed, mut own) = (false, Vec::<&str>::new());
        scan::members(json, |member| {
            match &*member.name {
                "K" if kind.is_some() => {
                    return Err(SaveDataError::DuplicateField {
                        field: "K".to_owned(),
                        offset: member.offset,
                    });
                }
                "K" => kind = Some(read_kind(&member, index)?),
                "I" | "A" => {
                    is_mixed = true;
                    return Ok(());
                }
                _ if plain_i64(member.value.as_bytes()).is_some() => {}
                _ => check_readable(&member)?,
            }
            own.push(&json[member.offset..member.value_offset + member.value.len()]);
            Ok(())
        })?;
        let kind = kind.ok_or_else(|| SaveDataError::NotFound {
            pointer: format!("/{index}/K"),
        })?;
        let members = match is_mixed {
            true => Cow::Owned(own.join(",")),
            false => Cow::Borrowed(&json[1..json.len() - 1]),
        };
        Ok(Self { kind, members })
    }

    /// The change as it is put into an inbox.
    pub fn stamp(self, id: String, at: f64) -> RemoteChange {
        let mut json = Vec::with_capacity(self.members.len() + id.len() + 40);
        json.push(b'{');
        json.extend_from_slice(self.members.as_bytes());
        json.extend_from_slice(b",\"I\":");
        write_json(&mut json, &id);
        json.extend_from_slice(b",\"A\":");
        // Whole seconds, as the original library's.
        write_json(&mut json, &(at as i64));
        json.push(b'}');
        let json = super::into_string(json).into();
        RemoteChange::new(json, self.kind, RemoteChangeId::Text(id.into()), at.trunc())
    }
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
