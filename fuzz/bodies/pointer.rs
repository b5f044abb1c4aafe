//! JSON Pointers: reads and writes at any place of a document, compared with a plain JSON value.
//!
//! The input is lines: a size limit in bytes, a stored document, and then steps, each a letter, a
//! pointer and perhaps a value, parted by tabs. What is no letter of a step reads.

use serde_json::Value;
use session_locker::save_data::{Backup, SaveData, SaveDataError};

use super::model::{self, Fault};
use super::twins::{Twins, is_reserved};
use super::{json, reading};

/// The most steps of one input.
const STEPS: usize = 64;

/// Carries out the steps.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.split('\n');
    let limit_bytes = lines.next().and_then(|line| line.parse().ok());
    let limit_bytes = limit_bytes.unwrap_or(1 << 20).min(1 << 24);
    let document = lines.next().unwrap_or_default();
    let Some(twins) = Twins::read(document, limit_bytes) else {
        return;
    };
    let model = twins.value();
    let mut run = Run {
        twins,
        model,
        backup: None,
    };
    for line in lines.take(STEPS) {
        run.step(line);
    }
    run.is_as_the_model();
}

struct Run {
    twins: Twins,
    /// The document as it has to be; `None` with a field that cannot be represented.
    model: Option<Value>,
    backup: Option<(Backup, Option<Value>)>,
}

/// Why a step is to be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    At(Fault),
    Reserved,
    Json,
    Deep,
    Range,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::At(fault)
    }
}

impl Run {
    fn step(&mut self, line: &str) {
        let mut parts = line.splitn(3, '\t');
        let step = parts.next().unwrap_or_default();
        let pointer = parts.next().unwrap_or_default();
        let value = parts.next().unwrap_or_default();
        let number = || value.parse::<i64>().unwrap_or(i64::MAX);
        match step {
            "json" => {
                let new = given(pointer, value);
                self.set(pointer, new, |data| data.set_json(pointer, value));
            }
            "integer" => {
                let number = number();
                self.set(pointer, Ok(number.into()), |data| {
                    data.set_i64(pointer, number)
                });
            }
            "float" => {
                let number = value.parse().unwrap_or(f64::NAN);
                let finite = Some(Value::from(number)).filter(|_| number.is_finite());
                let new = finite.ok_or(Refusal::Range);
                self.set(pointer, new, |data| data.set_f64(pointer, number));
            }
            "bool" => {
                let is_true = value == "true";
                self.set(pointer, Ok(is_true.into()), |data| {
                    data.set_bool(pointer, is_true)
                });
            }
            "string" => {
                self.set(pointer, Ok(value.into()), |data| {
                    data.set_string(pointer, value)
                });
            }
            "null" => self.set(pointer, Ok(Value::Null), |data| data.set_null(pointer)),
            "add" => self.add(pointer, number()),
            "append" => self.append(pointer, value),
            "remove" => self.remove(pointer),
            "backup" => {
                self.backup = Some((self.twins.limited.backup(), self.model.clone()));
            }
            "restore" => self.restore(),
            "store" => {
                self.is_as_the_model();
                self.twins.store();
            }
            _ => self.read(pointer),
        }
    }

    fn is_as_the_model(&self) {
        self.twins.is_sized_as_it_is_stored();
        if let (Some(found), Some(model)) = (self.twins.value(), &self.model) {
            assert_eq!(found, *model);
        }
    }

    /// Writes to the document, and to the model what has been written.
    fn write<T: PartialEq + std::fmt::Debug>(
        &mut self,
        pointer: &str,
        expected: impl FnOnce(&mut Value) -> Result<T, Refusal>,
        write: impl Fn(&mut SaveData) -> Result<T, SaveDataError>,
    ) {
        let result = self.twins.write(write);
        let Some(model) = &mut self.model else {
            self.model = self.twins.value();
            return;
        };
        let mut after = model.clone();
        let expected = expected(&mut after);
        match (&result, expected) {
            (Ok(result), Ok(expected)) => {
                assert_eq!(*result, expected);
                *model = after;
            }
            (Err(SaveDataError::TooLarge { .. }), Ok(_)) => {}
            (Err(error), Err(refusal)) => {
                assert_eq!(refusal_of(error), refusal, "{pointer:?}: {error:?}");
                is_told_where(error, pointer, model);
            }
            (result, expected) => panic!("{pointer:?} of {model}: {result:?}, not {expected:?}"),
        }
    }

    fn set(
        &mut self,
        pointer: &str,
        new: Result<Value, Refusal>,
        write: impl Fn(&mut SaveData) -> Result<(), SaveDataError>,
    ) {
        self.write(pointer, |model| set(model, pointer, new), write);
    }

    fn add(&mut self, pointer: &str, delta: i64) {
        let sum = |model: &mut Value| {
            let tokens = model::tokens(pointer)?;
            let old = model::get(model, &tokens)?;
            let whole = |number: &serde_json::Number| match json::integer(number) {
                Some(old) => Ok(old),
                None if number.as_f64().is_some_and(|float| float.fract() != 0.0) => {
                    Err(Refusal::At(Fault::Type))
                }
                None => Err(Refusal::Range),
            };
            let old = whole(old.as_number().ok_or(Fault::Type)?)?;
            let sum = old.checked_add(delta).ok_or(Refusal::Range)?;
            set(model, pointer, Ok(sum.into())).map(|()| sum)
        };
        self.write(pointer, sum, |data| data.add_i64(pointer, delta));
    }

    fn append(&mut self, pointer: &str, value: &str) {
        let append = |model: &mut Value| {
            let tokens = model::tokens(pointer)?;
            if !model::get(model, &tokens)?.is_array() {
                return Err(Refusal::At(Fault::Type));
            }
            let end = format!("{pointer}/-");
            set(model, &end, given(&end, value))
        };
        self.write(pointer, append, |data| data.append(pointer, value));
    }

    fn remove(&mut self, pointer: &str) {
        let remove = |model: &mut Value| {
            let tokens = model::tokens(pointer)?;
            match tokens.first() {
                None => Err(Fault::Pointer.into()),
                Some(name) if is_reserved(name) => Err(Refusal::Reserved),
                Some(_) => Ok(model::remove(model, &tokens).map(drop)?),
            }
        };
        self.write(pointer, remove, |data| data.remove(pointer));
    }

    fn restore(&mut self) {
        let Some((backup, model)) = self.backup.take() else {
            return;
        };
        let result = self.twins.write(|data| data.restore(&backup));
        if result.is_ok() {
            self.model = model;
        }
    }

    fn read(&mut self, pointer: &str) {
        let data = &mut self.twins.limited;
        let before = (data.to_json(), data.size_bytes(), data.change_count());
        if let Some(model) = &self.model {
            let found = model::tokens(pointer).and_then(|tokens| model::get(model, &tokens));
            match found {
                Ok(value) => reading::agrees(data, pointer, value),
                Err(fault) => is_refused(data, pointer, fault, model),
            }
        } else {
            data.get_json(pointer).ok();
        }
        let after = (data.to_json(), data.size_bytes(), data.change_count());
        assert_eq!(after, before, "a read has changed something");
    }
}

/// Sets a place of the model. What is wrong with the value is told before what is wrong with the place,
/// but for JSON, which is read when it is known how deep it will stand.
fn set(model: &mut Value, pointer: &str, new: Result<Value, Refusal>) -> Result<(), Refusal> {
    if new == Err(Refusal::Range) {
        return Err(Refusal::Range);
    }
    let tokens = model::tokens(pointer)?;
    let Some(name) = tokens.first() else {
        return set_all(model, new);
    };
    let new = new?;
    if tokens.len() + model::levels(&new) > json::LEVELS {
        return Err(Refusal::Deep);
    }
    if is_reserved(name) {
        return Err(Refusal::Reserved);
    }
    Ok(model::set(model, &tokens, new)?)
}

fn set_all(model: &mut Value, new: Result<Value, Refusal>) -> Result<(), Refusal> {
    let Value::Object(mut new) = new? else {
        return Err(Refusal::Json);
    };
    new.retain(|name, _| !is_reserved(name));
    let Value::Object(members) = model else {
        unreachable!("a document is an object");
    };
    members.retain(|name, _| is_reserved(name));
    members.extend(new);
    Ok(())
}

/// A value that the host gives for a place. How deep it would stand there is told before whether it is JSON.
fn given(pointer: &str, text: &str) -> Result<Value, Refusal> {
    let parents = model::tokens(pointer).map_or(0, |tokens| tokens.len());
    if json::too_deep_at(text, json::LEVELS.saturating_sub(parents)).is_some() {
        return Err(Refusal::Deep);
    }
    json::value(text).ok_or(Refusal::Json)
}

fn is_refused(data: &mut SaveData, pointer: &str, fault: Fault, model: &Value) {
    let error = data.get_json(pointer).expect_err("there is nothing");
    assert_eq!(
        refusal_of(&error),
        Refusal::At(fault),
        "{pointer:?}: {error:?}"
    );
    is_told_where(&error, pointer, model);
    let is_there = data.contains(pointer);
    match fault {
        Fault::Pointer => assert_eq!(is_there.as_ref(), Err(&error)),
        Fault::Missing | Fault::Type => assert_eq!(is_there, Ok(false)),
    }
    let others = [
        data.get_i64(pointer).err(),
        data.get_f64(pointer).err(),
        data.get_bool(pointer).err(),
        data.get_string(pointer).err(),
        data.get_value(pointer).err(),
        data.get_names(pointer).err(),
        data.value_type(pointer).err(),
        data.length(pointer).err(),
    ];
    assert!(others.iter().all(|other| other.as_ref() == Some(&error)));
}

fn refusal_of(error: &SaveDataError) -> Refusal {
    use SaveDataError as E;
    match error {
        E::InvalidPointer { .. } => Refusal::At(Fault::Pointer),
        E::NotFound { .. } => Refusal::At(Fault::Missing),
        E::WrongType { .. } => Refusal::At(Fault::Type),
        E::OutOfRange { .. } => Refusal::Range,
        E::ReservedField { .. } => Refusal::Reserved,
        E::TooDeep { .. } => Refusal::Deep,
        E::InvalidJson { .. } | E::NotAnObject { .. } | E::DuplicateField { .. } => Refusal::Json,
        other => panic!("{other:?} for a document whose fields can be read"),
    }
}

/// An error names the part of the pointer where it goes wrong.
fn is_told_where(error: &SaveDataError, pointer: &str, model: &Value) {
    let at = |part: &str| {
        let rest = pointer.strip_prefix(part);
        let is_part = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        assert!(is_part, "{part:?} is no part of {pointer:?}");
        model::tokens(part).expect("a part of a pointer")
    };
    match error {
        SaveDataError::NotFound { pointer } => {
            let tokens = at(pointer);
            assert_eq!(model::get(model, &tokens), Err(Fault::Missing));
            let parent = tokens.split_last().expect("more than the whole").1;
            assert!(model::get(model, parent).is_ok());
        }
        SaveDataError::WrongType { pointer, found, .. } => {
            let found_there = model::get(model, &at(pointer)).map(reading::type_of);
            assert_eq!(found_there, Ok(*found));
        }
        SaveDataError::InvalidPointer { pointer: told, .. } => assert_eq!(told, pointer),
        _ => {}
    }
}
