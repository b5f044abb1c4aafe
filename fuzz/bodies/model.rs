//! The player's fields as a plain JSON value, and what RFC 6901 (pointers), 6902 (patches) and 7396
//! (merge patches) make of it. Short and slow: nothing is measured, and what fails is thrown away.

use serde_json::{Map, Value};

use super::json;

/// Why something cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is no pointer, or no index of the array that it leads into.
    Pointer,
    /// It leads nowhere.
    Missing,
    /// It leads through a value that has nothing inside it.
    Type,
}

/// The tokens of a pointer.
pub fn tokens(pointer: &str) -> Result<Vec<String>, Fault> {
    let Some(rest) = pointer.strip_prefix('/') else {
        return pointer.is_empty().then(Vec::new).ok_or(Fault::Pointer);
    };
    let token = |token: &str| {
        let mut parts = token.split('~');
        let mut decoded = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (sign, rest) = match part.as_bytes().first() {
                Some(b'0') => ('~', &part[1..]),
                Some(b'1') => ('/', &part[1..]),
                _ => return Err(Fault::Pointer),
            };
            decoded.push(sign);
            decoded.push_str(rest);
        }
        Ok(decoded)
    };
    rest.split('/').map(token).collect()
}

/// An index into an array; `None` for the place behind its end.
fn index(token: &str) -> Result<Option<usize>, Fault> {
    let is_number = token.bytes().all(|byte| byte.is_ascii_digit());
    match token {
        "-" => Ok(None),
        "0" => Ok(Some(0)),
        _ if !is_number || token.starts_with('0') => Err(Fault::Pointer),
        _ => token.parse().map(Some).map_err(|_| Fault::Pointer),
    }
}

/// What the tokens lead to.
pub fn get<'v>(value: &'v Value, tokens: &[String]) -> Result<&'v Value, Fault> {
    let step = |value: &'v Value, token: &String| match value {
        Value::Object(members) => members.get(token).ok_or(Fault::Missing),
        Value::Array(items) => {
            let at = index(token)?.ok_or(Fault::Missing)?;
            items.get(at).ok_or(Fault::Missing)
        }
        _ => Err(Fault::Type),
    };
    tokens.iter().try_fold(value, step)
}

fn get_mut<'v>(value: &'v mut Value, tokens: &[String]) -> Result<&'v mut Value, Fault> {
    let step = |value: &'v mut Value, token: &String| match value {
        Value::Object(members) => members.get_mut(token).ok_or(Fault::Missing),
        Value::Array(items) => {
            let at = index(token)?.ok_or(Fault::Missing)?;
            items.get_mut(at).ok_or(Fault::Missing)
        }
        _ => Err(Fault::Type),
    };
    tokens.iter().try_fold(value, step)
}

/// Writes a place as the setters do: an index that is there is replaced, the next one appended.
pub fn set(value: &mut Value, tokens: &[String], new: Value) -> Result<(), Fault> {
    put(value, tokens, new, false)
}

/// Writes a place as the operation "add" does: what has an index moves up.
fn add(value: &mut Value, tokens: &[String], new: Value) -> Result<(), Fault> {
    put(value, tokens, new, true)
}

fn put(value: &mut Value, tokens: &[String], new: Value, inserts: bool) -> Result<(), Fault> {
    let Some((last, parents)) = tokens.split_last() else {
        *value = new;
        return Ok(());
    };
    match get_mut(value, parents)? {
        Value::Object(members) => drop(members.insert(last.clone(), new)),
        Value::Array(items) => match index(last)?.unwrap_or(items.len()) {
            at if at > items.len() => return Err(Fault::Missing),
            at if at == items.len() || inserts => items.insert(at, new),
            at => items[at] = new,
        },
        _ => return Err(Fault::Type),
    }
    Ok(())
}

/// Takes a place away.
pub fn remove(value: &mut Value, tokens: &[String]) -> Result<Value, Fault> {
    let (last, parents) = tokens.split_last().ok_or(Fault::Pointer)?;
    match get_mut(value, parents)? {
        Value::Object(members) => members.shift_remove(last).ok_or(Fault::Missing),
        Value::Array(items) => match index(last)? {
            Some(at) if at < items.len() => Ok(items.remove(at)),
            _ => Err(Fault::Missing),
        },
        _ => Err(Fault::Type),
    }
}

/// A merge patch.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else {
        return;
    };
    for (name, change) in patch {
        if change.is_null() {
            members.shift_remove(name);
        } else {
            merge(members.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}

/// An operation of a patch, its pointers taken apart.
#[derive(Clone, Debug)]
pub enum Operation {
    Add(Vec<String>, Value),
    Remove(Vec<String>),
    Replace(Vec<String>, Value),
    Move(Vec<String>, Vec<String>),
    Copy(Vec<String>, Vec<String>),
    Test(Vec<String>, Value),
}

impl Operation {
    /// Reads one; `None` if it is none. What an operation does not need may be anything, but nothing may
    /// be there twice of what an operation can need.
    pub fn read(operation: &str) -> Option<Self> {
        let is_object = operation.starts_with('{');
        let members = is_object.then(|| json::members(operation)).flatten()?;
        let one = |name: &str| {
            let mut found = members.iter().filter(|member| member.name == name);
            let first = found.next().map(|member| member.value);
            found.next().is_none().then_some(first)
        };
        let (op, path, from, value) = (one("op")?, one("path")?, one("from")?, one("value")?);
        let pointer = |text: Option<&str>| tokens(json::value(text?)?.as_str()?).ok();
        let value = || json::value(value?);
        let path = pointer(path)?;
        Some(match json::value(op?)?.as_str()? {
            "add" => Self::Add(path, value()?),
            "remove" => Self::Remove(path),
            "replace" => Self::Replace(path, value()?),
            "move" => Self::Move(pointer(from)?, path),
            "copy" => Self::Copy(pointer(from)?, path),
            "test" => Self::Test(path, value()?),
            _ => return None,
        })
    }

    /// Whether it writes the whole document.
    pub fn replaces_all(&self) -> bool {
        match self {
            Self::Add(path, _)
            | Self::Remove(path)
            | Self::Replace(path, _)
            | Self::Move(_, path)
            | Self::Copy(_, path) => path.is_empty(),
            Self::Test(..) => false,
        }
    }

    /// The places that it names, and whether it may change them.
    pub fn places(&self) -> (Vec<&Vec<String>>, bool) {
        match self {
            Self::Add(path, _) | Self::Remove(path) | Self::Replace(path, _) => (vec![path], true),
            Self::Move(from, path) | Self::Copy(from, path) => (vec![from, path], true),
            Self::Test(path, _) => (vec![path], false),
        }
    }

    /// Does it; `None` if that fails, and then the value is worth nothing.
    pub fn apply(&self, value: &mut Value) -> Option<()> {
        match self {
            Self::Add(path, new) => add(value, path, new.clone()).ok(),
            Self::Remove(path) => remove(value, path).map(drop).ok(),
            Self::Replace(path, new) => {
                *get_mut(value, path).ok()? = new.clone();
                Some(())
            }
            Self::Move(from, path) => {
                let is_into_itself = path.len() > from.len() && path.starts_with(from);
                let moved = remove(value, from).ok().filter(|_| !is_into_itself)?;
                add(value, path, moved).ok()
            }
            Self::Copy(from, path) => {
                let copied = get(value, from).ok()?.clone();
                add(value, path, copied).ok()
            }
            Self::Test(path, expected) => is_same(get(value, path).ok()?, expected).then_some(()),
        }
    }
}

/// Whether two values are equal for the operation "test": numbers by their value.
pub fn is_same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (left.is_f64(), right.is_f64()) {
            (false, false) => left == right,
            _ => left.as_f64() == right.as_f64(),
        },
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| is_same(l, r))
        }
        (Value::Object(left), Value::Object(right)) => {
            let is_in_right = |(name, l)| right.get(name).is_some_and(|r| is_same(l, r));
            left.len() == right.len() && left.iter().all(is_in_right)
        }
        _ => left == right,
    }
}

/// How many levels a value has: none for a scalar.
pub fn levels(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(levels).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(levels).max().unwrap_or(0),
        _ => 0,
    }
}
