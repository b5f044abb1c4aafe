//! JSON patches and merge patches on a document, compared with the RFCs done on a plain JSON value, and
//! with the json-patch crate.
//!
//! The input is lines: a size limit in bytes, a stored document, and then patches: a JSON patch if it
//! begins with a bracket, else a merge patch.

use std::collections::HashSet;

use serde_json::Value;
use session_locker::save_data::SaveDataError;

use super::json;
use super::model::{self, Operation};
use super::twins::{Twins, is_reserved};

/// The most patches of one input.
const PATCHES: usize = 16;

/// Applies the patches.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.split('\n');
    let limit_bytes = lines.next().and_then(|line| line.parse().ok());
    let limit_bytes = limit_bytes.unwrap_or(1 << 20).min(1 << 24);
    let document = lines.next().unwrap_or_default();
    let Some(mut twins) = Twins::read(document, limit_bytes) else {
        return;
    };
    for patch in lines.take(PATCHES) {
        let model = twins.value();
        match json::trim(patch).starts_with('[') {
            true => apply(&mut twins, patch, model),
            false => merge(&mut twins, patch, model),
        }
    }
    twins.is_sized_as_it_is_stored();
}

fn merge(twins: &mut Twins, patch: &str, model: Option<Value>) {
    let result = twins.write(|data| data.merge_patch(patch));
    let Some(mut after) = model else {
        return;
    };
    match (&result, mergeable(patch)) {
        (Ok(()), Ok(patch)) => {
            model::merge(&mut after, &patch);
            assert_eq!(twins.value(), Some(after));
        }
        (Err(SaveDataError::TooLarge { .. }), Ok(_)) => {}
        (Err(error), Err(refusals)) => {
            let told = name_of(error);
            assert!(refusals.contains(&told), "{error:?}, not {refusals:?}");
            is_told_within(error, patch);
        }
        (result, expected) => panic!("{patch:?}: {result:?}, not {expected:?}"),
    }
}

/// A merge patch, or all for which it may be refused.
fn mergeable(patch: &str) -> Result<Value, Vec<&'static str>> {
    let mut refusals = Vec::new();
    if json::too_deep_at(patch, json::LEVELS).is_some() {
        refusals.push("TooDeep");
    }
    if !json::is_valid(patch) {
        // Before it shows that it is no JSON, something else may.
        refusals.extend(["InvalidJson", "DuplicateField"]);
        return Err(refusals);
    }
    if !json::trim(patch).starts_with('{') {
        refusals.push("NotAnObject");
        return Err(refusals);
    }
    let Some(members) = json::members(patch) else {
        refusals.extend(["InvalidJson", "DuplicateField"]);
        return Err(refusals);
    };
    let mut names = HashSet::new();
    let mut whole = serde_json::Map::new();
    for member in members {
        if is_reserved(&member.name) {
            refusals.push("ReservedField");
        }
        if !names.insert(member.name.clone()) {
            refusals.push("DuplicateField");
        }
        match json::value(member.value) {
            Some(value) => drop(whole.insert(member.name, value)),
            None => refusals.push("InvalidJson"),
        }
    }
    match refusals.is_empty() {
        true => Ok(Value::Object(whole)),
        false => Err(refusals),
    }
}

fn apply(twins: &mut Twins, patch: &str, model: Option<Value>) {
    let expected = model.map(|model| applied(patch, model));
    twins.copied_bytes = match &expected {
        Some(expected) => expected.copied_bytes,
        // Nobody knows how much it copies.
        None => usize::MAX,
    };
    let result = twins.write(|data| data.apply_patch(patch));
    twins.copied_bytes = 0;
    let Some(expected) = expected else {
        return;
    };
    match (&result, expected.result) {
        (Ok(()), Ok(after)) => assert_eq!(twins.value(), Some(after)),
        (Err(SaveDataError::TooLarge { .. }), _) => {}
        (Err(error), Err(refusal)) => {
            assert_eq!(told_as(error), refusal, "{patch:?}: {error:?}");
            is_told_within(error, patch);
        }
        (result, expected) => panic!("{patch:?}: {result:?}, not {expected:?}"),
    }
}

/// Why a patch is refused.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    Json,
    Deep,
    Reserved,
    /// The operation with this number.
    Failed(usize),
}

fn told_as(error: &SaveDataError) -> Refusal {
    match error {
        SaveDataError::InvalidJson { .. } => Refusal::Json,
        SaveDataError::TooDeep { .. } => Refusal::Deep,
        SaveDataError::ReservedField { .. } => Refusal::Reserved,
        SaveDataError::PatchFailed { operation, .. } => Refusal::Failed(*operation),
        other => panic!("{other:?} for a patch of a document that can be read"),
    }
}

struct Applied {
    result: Result<Value, Refusal>,
    /// How much "copy" has added, removed again or not.
    copied_bytes: usize,
}

/// What a document becomes by a patch.
fn applied(patch: &str, mut model: Value) -> Applied {
    let refused = |refusal| Applied {
        result: Err(refusal),
        copied_bytes: 0,
    };
    // A value stands in its operation, which stands in the list.
    if json::too_deep_at(patch, json::LEVELS + 2).is_some() {
        return refused(Refusal::Deep);
    }
    if !json::is_valid(patch) {
        return refused(Refusal::Json);
    }
    let mut operations = Vec::new();
    for (at, text) in json::elements(patch).into_iter().enumerate() {
        match Operation::read(text) {
            Some(operation) => operations.push(operation),
            None => return refused(Refusal::Failed(at)),
        }
    }
    let names_reserved = |operation: &Operation| {
        let (places, writes) = operation.places();
        let mut names = places.into_iter().filter_map(|place| place.first());
        writes && names.any(|name| is_reserved(name))
    };
    if operations.iter().any(names_reserved) {
        return refused(Refusal::Reserved);
    }
    agrees_with_the_crate(patch, &operations, &model);
    let mut copied_bytes = 0;
    for (at, operation) in operations.iter().enumerate() {
        if apply_one(operation, &mut model, &mut copied_bytes).is_none() {
            return Applied {
                result: Err(Refusal::Failed(at)),
                copied_bytes,
            };
        }
    }
    Applied {
        result: Ok(model),
        copied_bytes,
    }
}

/// Does one operation to a whole document, whose reserved fields stay whatever it brings.
fn apply_one(operation: &Operation, model: &mut Value, copied_bytes: &mut usize) -> Option<()> {
    let moved = match operation {
        Operation::Add(path, new) | Operation::Replace(path, new) => Some((path, new)),
        Operation::Move(from, path) | Operation::Copy(from, path) => {
            model::get(model, from).ok().map(|value| (path, value))
        }
        Operation::Remove(_) | Operation::Test(..) => None,
    };
    if let Some((path, value)) = moved {
        if path.len() + model::levels(value) > json::LEVELS {
            return None;
        }
        if let Operation::Copy(..) = operation {
            *copied_bytes += value.to_string().len();
        }
    }
    let reserved: Vec<(String, Value)> = members_of(model)?
        .filter(|(name, _)| is_reserved(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    operation.apply(model)?;
    let members = model.as_object_mut()?;
    if operation.replaces_all() {
        members.retain(|name, _| !is_reserved(name));
        members.extend(reserved);
    }
    Some(())
}

fn members_of(model: &Value) -> Option<impl Iterator<Item = (&String, &Value)>> {
    model.as_object().map(|members| members.iter())
}

/// Where the crate does what the RFC says, this file's own reading of the RFC does the same.
fn agrees_with_the_crate(patch: &str, operations: &[Operation], model: &Value) {
    // Of numbers that are equal and written otherwise, the crate says that they differ.
    let is_other = |one: &Operation| matches!(one, Operation::Test(..)) || one.replaces_all();
    if operations.iter().any(is_other) {
        return;
    }
    let Ok(read) = serde_json::from_str::<json_patch::Patch>(patch) else {
        return;
    };
    let (mut ours, mut theirs) = (model.clone(), model.clone());
    let is_ours = operations.iter().all(|one| one.apply(&mut ours).is_some());
    let is_theirs = json_patch::patch_unsafe(&mut theirs, &read).is_ok();
    assert_eq!(is_ours, is_theirs, "{patch:?}");
    assert!(!is_ours || ours == theirs, "{patch:?}: {ours} and {theirs}");
}

fn name_of(error: &SaveDataError) -> &'static str {
    match error {
        SaveDataError::TooDeep { .. } => "TooDeep",
        SaveDataError::InvalidJson { .. } => "InvalidJson",
        SaveDataError::NotAnObject { .. } => "NotAnObject",
        SaveDataError::DuplicateField { .. } => "DuplicateField",
        SaveDataError::ReservedField { .. } => "ReservedField",
        other => panic!("{other:?} for a merge patch of a document that can be read"),
    }
}

/// An offset is one of the patch's bytes, or its end.
fn is_told_within(error: &SaveDataError, patch: &str) {
    match error {
        SaveDataError::InvalidJson { offset, .. } => assert!(*offset <= patch.len(), "{error:?}"),
        SaveDataError::TooDeep { offset } => {
            assert!(
                matches!(patch.as_bytes()[*offset], b'[' | b'{'),
                "{error:?}"
            );
        }
        SaveDataError::DuplicateField { offset, .. } => {
            assert_eq!(patch.as_bytes()[*offset], b'"', "{error:?}");
        }
        _ => {}
    }
}
