//! Edits inside a field's value. An edit is found and measured first, and only then made, so that
//! one that is refused has changed nothing.

use jsonptr::index::Index;
use serde_json::Value;

use super::SaveDataError;
use super::pointer::{self, decode, index, not_found, walk, walk_mut, wrong_type};
use super::value::{written_len, written_str_len};

/// An edit that has been found possible.
pub(super) struct Edit<'p> {
    /// Where it is made, inside the field.
    place: &'p str,
    change: Change,
    /// How many bytes longer the field's text becomes.
    pub growth: isize,
}

enum Change {
    Replace(Value),
    Insert(String, Value),
    Append(Value),
    RemoveMember(String),
    RemoveElement(usize),
}

impl<'p> Edit<'p> {
    /// Setting the place `rest` inside `field` to `new`: a member is added or replaced, an array's
    /// element replaced, or appended when the index is the array's length or `-`.
    pub fn set(
        field: &Value,
        rest: &'p str,
        pointer: &str,
        new: Value,
    ) -> Result<Self, SaveDataError> {
        let (parent, last, container) = container(field, rest, pointer)?;
        let added = written_len(&new) as isize;
        let (change, growth) = match container {
            Value::Object(members) => {
                let name = decode(last);
                if let Some(old) = members.get(name.as_ref()) {
                    return Ok(Self::replace(rest, old, new, added));
                }
                let overhead = member_overhead(&name, !members.is_empty());
                (Change::Insert(name.into_owned(), new), added + overhead)
            }
            Value::Array(items) => match index(last, pointer)? {
                Index::Num(at) if at < items.len() => {
                    return Ok(Self::replace(rest, &items[at], new, added));
                }
                Index::Num(at) if at > items.len() => return Err(not_found(pointer)),
                _ => {
                    let growth = added + isize::from(!items.is_empty());
                    (Change::Append(new), growth)
                }
            },
            scalar => return Err(not_a_container(pointer, last, scalar)),
        };
        Ok(Self {
            place: parent,
            change,
            growth,
        })
    }

    fn replace(place: &'p str, old: &Value, new: Value, added: isize) -> Self {
        Self {
            place,
            change: Change::Replace(new),
            growth: added - written_len(old) as isize,
        }
    }

    /// Removing the place `rest` inside `field`; an array's later elements move down.
    pub fn remove(field: &Value, rest: &'p str, pointer: &str) -> Result<Self, SaveDataError> {
        let (parent, last, container) = container(field, rest, pointer)?;
        let (change, growth) = match container {
            Value::Object(members) => {
                let name = decode(last).into_owned();
                let old = members.get(&name).ok_or_else(|| not_found(pointer))?;
                let overhead = member_overhead(&name, members.len() > 1);
                let growth = -(written_len(old) as isize) - overhead;
                (Change::RemoveMember(name), growth)
            }
            Value::Array(items) => match index(last, pointer)? {
                Index::Num(at) if at < items.len() => {
                    let old = written_len(&items[at]) as isize;
                    (
                        Change::RemoveElement(at),
                        -old - isize::from(items.len() > 1),
                    )
                }
                _ => return Err(not_found(pointer)),
            },
            scalar => return Err(not_a_container(pointer, last, scalar)),
        };
        Ok(Self {
            place: parent,
            change,
            growth,
        })
    }

    /// Makes the edit in the value that it was found in.
    pub fn make(self, field: &mut Value) {
        match (walk_mut(field, self.place), self.change) {
            (Some(old), Change::Replace(new)) => *old = new,
            (Some(Value::Object(members)), Change::Insert(name, new)) => {
                members.insert(name, new);
            }
            (Some(Value::Object(members)), Change::RemoveMember(name)) => {
                members.shift_remove(&name);
            }
            (Some(Value::Array(items)), Change::Append(new)) => items.push(new),
            (Some(Value::Array(items)), Change::RemoveElement(at)) => {
                items.remove(at);
            }
            _ => unreachable!("the edit was found in this value"),
        }
    }
}

/// The container that the last token of `rest` is looked up in.
fn container<'v, 'p>(
    field: &'v Value,
    rest: &'p str,
    pointer: &str,
) -> Result<(&'p str, &'p str, &'v Value), SaveDataError> {
    let (parent, last) = rest
        .rsplit_once('/')
        .ok_or_else(|| pointer::invalid(pointer, "it names no place inside the field"))?;
    let parent_pointer = &pointer[..pointer.len() - (rest.len() - parent.len())];
    let found = walk(field, parent, parent_pointer).map_err(|error| match error {
        // What cannot be a pointer is told as it was given.
        SaveDataError::InvalidPointer { message, .. } => pointer::invalid(pointer, message),
        error => error,
    });
    Ok((parent, last, found?))
}

/// What a member takes beside its value: name, colon, and the comma that parts it from others.
fn member_overhead(name: &str, has_others: bool) -> isize {
    written_str_len(name) as isize + 1 + isize::from(has_others)
}

fn not_a_container(pointer: &str, last: &str, found: &Value) -> SaveDataError {
    let parent = &pointer[..pointer.len() - last.len() - 1];
    wrong_type(parent, "an object or an array", found)
}
