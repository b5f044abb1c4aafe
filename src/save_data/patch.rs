//! JSON Merge Patch (RFC 7396) and JSON Patch (RFC 6902) on a document. A patch works on a draft
//! that holds the top-level fields it names; only when all of it has succeeded and fits are they
//! put back.

use std::collections::HashSet;
use std::sync::Arc;

use json_patch::{
    AddOperation, CopyOperation, MoveOperation, PatchOperation, RemoveOperation, ReplaceOperation,
    TestOperation,
};
use jsonptr::{Pointer, PointerBuf};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use super::fields::member_len;
use super::pointer::{self, Target, walk};
use super::value::{depth, written_len, written_str_len};
use super::{MAX_DEPTH, Reserved, SaveData, SaveDataError, ValueType, check_size, reserved, scan};

/// A field's new value with its written length; `None` when the field goes.
type Change = (String, Option<(Value, usize)>);

/// Patches. Each counts as one change, and on an error has changed nothing.
impl SaveData {
    /// Merges a JSON object into the document by RFC 7396: `null` removes a member, objects merge,
    /// everything else replaces.
    ///
    /// # Errors
    /// [`SaveDataError::InvalidJson`], [`SaveDataError::NotAnObject`],
    /// [`SaveDataError::DuplicateField`], [`SaveDataError::ReservedField`],
    /// [`SaveDataError::TooLarge`], [`SaveDataError::TooDeep`],
    /// [`SaveDataError::UnreadableField`].
    pub fn merge_patch(&mut self, json: &str) -> Result<(), SaveDataError> {
        scan::check_depth(json, MAX_DEPTH)?;
        let mut patch = Map::new();
        scan::members(json, |member| {
            scan::check_readable(&member)?;
            let value = scan::value(member.value, 1)?;
            match patch.insert(member.name.clone().into_owned(), value) {
                None => Ok(()),
                Some(_) => Err(SaveDataError::DuplicateField {
                    field: member.name.into_owned(),
                    offset: member.offset,
                }),
            }
        })?;
        let mut draft = Map::new();
        for (name, value) in &patch {
            if let Some(at) = self.writable(name)?
                && value.is_object()
            {
                draft.insert(name.clone(), self.fields.parse(at)?.clone());
            }
        }
        let names: Vec<String> = patch.keys().cloned().collect();
        let mut draft = Value::Object(draft);
        json_patch::merge(&mut draft, &Value::Object(patch));
        self.commit(names, draft)
    }

    /// Applies the operations of a JSON Patch (RFC 6902), all or none. `test` may read reserved
    /// fields and compares numbers by their value; the other operations may not name them.
    ///
    /// # Errors
    /// [`SaveDataError::PatchFailed`] with the operation's position,
    /// [`SaveDataError::InvalidJson`], [`SaveDataError::ReservedField`],
    /// [`SaveDataError::TooLarge`], [`SaveDataError::UnreadableField`].
    pub fn apply_patch(&mut self, json: &str) -> Result<(), SaveDataError> {
        let operations = read_operations(json)?;
        let mut draft = self.draft(&operations)?;
        for (at, operation) in operations.iter().enumerate() {
            draft
                .apply(operation)
                .map_err(|message| failed(at, message))?;
            check_size(draft.copied_bytes, self.limit_bytes.saturating_mul(2))?;
        }
        let mut names = Vec::new();
        if operations.iter().any(replaces_document) {
            names.extend((0..self.fields.count()).map(|at| self.fields.name(at)));
            names.extend(draft.names());
            names.retain(|name| reserved::position(name).is_none());
        } else {
            names.extend(operations.iter().flat_map(written_names));
        }
        let mut seen = HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        self.commit(names, draft.document)
    }

    /// The fields that the operations name, or all when one names the whole document; reserved
    /// ones too, for tests to read.
    fn draft(&mut self, operations: &[PatchOperation]) -> Result<Draft, SaveDataError> {
        for name in operations.iter().flat_map(written_names) {
            self.writable(&name)?;
        }
        let reserved = self.reserved.clone();
        let mut document = Map::new();
        if operations.iter().flat_map(pointers).any(Pointer::is_root) {
            settle(&mut document, &reserved);
            for at in 0..self.fields.count() {
                let value = self.fields.parse(at)?.clone();
                document.insert(self.fields.name(at), value);
            }
        } else {
            for name in operations.iter().flat_map(pointers).filter_map(first_name) {
                if document.contains_key(&name) {
                    continue;
                }
                let value = match self.fields.find(&name) {
                    Some(at) => Some(self.fields.parse(at)?.clone()),
                    None => reserved.value(&name),
                };
                if let Some(value) = value {
                    document.insert(name, value);
                }
            }
        }
        Ok(Draft {
            document: Value::Object(document),
            reserved,
            copied_bytes: 0,
        })
    }

    /// Takes the named fields over from a draft, each as it is there or not there.
    fn commit(&mut self, names: Vec<String>, draft: Value) -> Result<(), SaveDataError> {
        let Value::Object(mut draft) = draft else {
            let found = ValueType::of(&draft);
            return Err(SaveDataError::NotAnObject { found });
        };
        let take = |name: String| {
            let value = draft.remove(&name);
            let measured = value.map(|value| {
                let len = written_len(&value);
                (value, len)
            });
            (name, measured)
        };
        let changes: Vec<Change> = names.into_iter().map(take).collect();
        let size_bytes = self.size_after(&changes);
        self.check_new_size(size_bytes)?;
        for (name, value) in changes {
            match (self.fields.find(&name), value) {
                (Some(at), Some((value, len))) => self.fields.replace(at, value, len),
                (Some(at), None) => self.fields.remove(at),
                (None, Some((value, len))) => self.fields.push(&name, value, len),
                (None, None) => {}
            }
        }
        self.changed();
        Ok(())
    }

    /// What the player's fields will take after these changes, in bytes.
    fn size_after(&mut self, changes: &[Change]) -> usize {
        let mut count = self.fields.count();
        let mut size = self.fields.size();
        for (name, value) in changes {
            match (self.fields.find(name), value) {
                (Some(at), Some((_, len))) => size = size + len - self.fields.value_len(at),
                (Some(at), None) => {
                    count -= 1;
                    size -= self.fields.removal_len(at, count);
                }
                (None, Some((_, len))) => {
                    let name_len = written_str_len(name);
                    size += member_len(name_len, *len, count);
                    count += 1;
                }
                (None, None) => {}
            }
        }
        size
    }
}

/// The fields that a patch works on, reserved ones for reading.
struct Draft {
    document: Value,
    reserved: Arc<Reserved>,
    /// What `copy` has added so far: a few of them could otherwise fill the memory before the
    /// result is measured.
    copied_bytes: usize,
}

impl Draft {
    fn apply(&mut self, operation: &PatchOperation) -> Result<(), String> {
        if let PatchOperation::Test(test) = operation {
            return self.test(test);
        }
        self.check_moved(operation)?;
        json_patch::patch_unsafe(&mut self.document, std::slice::from_ref(operation))
            .map_err(|error| format!("{} (at \"{}\")", error.kind, error.path))?;
        if operation.path().is_root() {
            let found = ValueType::of(&self.document);
            let Value::Object(document) = &mut self.document else {
                return Err(format!("the document has to be an object, not {found}"));
            };
            settle(document, &self.reserved);
        }
        Ok(())
    }

    fn test(&self, test: &TestOperation) -> Result<(), String> {
        let found = walk(&self.document, test.path.as_str(), test.path.as_str())
            .map_err(|error| error.to_string())?;
        if is_same(found, &test.value) {
            return Ok(());
        }
        Err(format!("\"{}\" is not what was expected", test.path))
    }

    /// Refuses an operation that would make the document too deep, and counts what is copied.
    fn check_moved(&mut self, operation: &PatchOperation) -> Result<(), String> {
        let value = match operation {
            PatchOperation::Add(add) => Some(&add.value),
            PatchOperation::Replace(replace) => Some(&replace.value),
            PatchOperation::Move(op) => self.document.pointer(op.from.as_str()),
            PatchOperation::Copy(op) => self.document.pointer(op.from.as_str()),
            PatchOperation::Remove(_) | PatchOperation::Test(_) => None,
        };
        let Some(value) = value else {
            return Ok(());
        };
        if operation.path().count() + depth(value) > MAX_DEPTH {
            return Err(format!(
                "the document would be nested deeper than {MAX_DEPTH} levels"
            ));
        }
        if let PatchOperation::Copy(_) = operation {
            self.copied_bytes += written_len(value);
        }
        Ok(())
    }

    fn names(&self) -> impl Iterator<Item = String> {
        let members = self.document.as_object().into_iter();
        members.flat_map(Map::keys).cloned()
    }
}

/// Puts the reserved fields back as they are, whatever a whole-document operation brought.
fn settle(document: &mut Map<String, Value>, reserved: &Reserved) {
    document.retain(|name, _| reserved::position(name).is_none());
    for (name, value) in reserved.values() {
        document.insert(name.to_owned(), value);
    }
}

/// Equality by RFC 6902, section 4.6: numbers are equal when their values are.
fn is_same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => is_same_number(left, right),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| is_same(l, r))
        }
        (Value::Object(left), Value::Object(right)) => {
            let is_same_in_right =
                |(name, value)| right.get(name).is_some_and(|r| is_same(value, r));
            left.len() == right.len() && left.iter().all(is_same_in_right)
        }
        _ => left == right,
    }
}

fn is_same_number(left: &Number, right: &Number) -> bool {
    match (left.is_f64(), right.is_f64()) {
        (false, false) => left == right,
        _ => left.as_f64() == right.as_f64(),
    }
}

/// An operation as it is written. `value` is kept as text because serde's nesting limit counts
/// the patch around it, and so is `from`, which only some operations read.
#[derive(Deserialize)]
struct Shape<'a> {
    op: String,
    path: String,
    #[serde(borrow, default, deserialize_with = "present")]
    from: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    value: Option<&'a RawValue>,
}

/// A `null` that is there is a value.
fn present<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(input).map(Some)
}

fn read_operations(json: &str) -> Result<Vec<PatchOperation>, SaveDataError> {
    // A value stands in its operation, which stands in the list.
    scan::check_depth(json, MAX_DEPTH + 2)?;
    let operations: Vec<&RawValue> =
        serde_json::from_str(json).map_err(|error| scan::invalid_json(json, &error))?;
    let read = |(at, text): (usize, &&RawValue)| {
        read_operation(text.get()).map_err(|message| failed(at, message))
    };
    operations.iter().enumerate().map(read).collect()
}

fn read_operation(json: &str) -> Result<PatchOperation, String> {
    if ValueType::of_text(json.as_bytes()) != ValueType::Object {
        return Err("an operation has to be an object".to_owned());
    }
    let shape: Shape<'_> = serde_json::from_str(json).map_err(|error| scan::message(&error))?;
    let path = read_pointer(&shape.path)?;
    let from = || match shape.from {
        Some(from) => {
            let from: String =
                serde_json::from_str(from.get()).map_err(|error| scan::message(&error))?;
            read_pointer(&from)
        }
        None => Err("\"from\" is missing".to_owned()),
    };
    let value = || match shape.value {
        Some(value) => serde_json::from_str(value.get()).map_err(|error| scan::message(&error)),
        None => Err("\"value\" is missing".to_owned()),
    };
    Ok(match shape.op.as_str() {
        "add" => PatchOperation::Add(AddOperation {
            path,
            value: value()?,
        }),
        "remove" => PatchOperation::Remove(RemoveOperation { path }),
        "replace" => PatchOperation::Replace(ReplaceOperation {
            path,
            value: value()?,
        }),
        "move" => PatchOperation::Move(MoveOperation {
            from: from()?,
            path,
        }),
        "copy" => PatchOperation::Copy(CopyOperation {
            from: from()?,
            path,
        }),
        "test" => PatchOperation::Test(TestOperation {
            path,
            value: value()?,
        }),
        other => return Err(format!("\"{other}\" is not an operation")),
    })
}

fn read_pointer(text: &str) -> Result<PointerBuf, String> {
    pointer::split(text).map_err(|error| error.to_string())?;
    PointerBuf::parse(text).map_err(|error| error.to_string())
}

/// The pointers of an operation: where it writes or looks, and where it takes from.
fn pointers(operation: &PatchOperation) -> impl Iterator<Item = &Pointer> {
    let from: Option<&Pointer> = match operation {
        PatchOperation::Move(op) => Some(&op.from),
        PatchOperation::Copy(op) => Some(&op.from),
        _ => None,
    };
    from.into_iter().chain([operation.path()])
}

/// The top-level fields that an operation other than a test names. What `copy` takes from counts
/// as well: a reserved field may not be carried over.
fn written_names(operation: &PatchOperation) -> impl Iterator<Item = String> {
    let is_test = matches!(operation, PatchOperation::Test(_));
    pointers(operation)
        .filter(move |_| !is_test)
        .filter_map(first_name)
}

fn replaces_document(operation: &PatchOperation) -> bool {
    operation.path().is_root() && !matches!(operation, PatchOperation::Test(_))
}

fn first_name(pointer: &Pointer) -> Option<String> {
    match pointer::split(pointer.as_str()) {
        Ok(Target::Field { name, .. }) => Some(name.into_owned()),
        _ => None,
    }
}

fn failed(operation: usize, message: String) -> SaveDataError {
    SaveDataError::PatchFailed { operation, message }
}
