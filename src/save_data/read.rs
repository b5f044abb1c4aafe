//! Reading a document: [`SaveData`]'s getters. A number or string at top level is read straight
//! from the text; reading inside a field parses that field once and keeps it until the next save.

use serde_json::{Number, Value};

use super::fields::Held;
use super::pointer::{self, Target, not_found, walk};
use super::scan::message;
use super::value::{integer, plain_i64, write_json};
use super::{ReadValue, SaveData, SaveDataError, ValueType, into_string, reserved};

/// What a pointer leads to.
enum Found<'a> {
    /// The whole document.
    Document,
    /// A top-level field that has not been parsed.
    Raw(&'a [u8]),
    Value(&'a Value),
    /// A reserved field, or something inside one.
    Reserved(Value),
}

/// Getters. They need the document mutably because a field that is read inside is parsed once and
/// kept; what is stored does not change.
///
/// # Errors
/// All of them: [`SaveDataError::InvalidPointer`]; [`SaveDataError::NotFound`], naming the first
/// part of the pointer that leads nowhere; [`SaveDataError::WrongType`], also for a pointer that
/// leads through a scalar; [`SaveDataError::UnreadableField`].
impl SaveData {
    /// The value at `pointer` as JSON; what has only been read is as it was written.
    pub fn get_json(&mut self, pointer: &str) -> Result<String, SaveDataError> {
        if let Target::Field { name, rest } = pointer::split(pointer)?
            && rest.is_empty()
            && let Some(at) = self.fields.find(&name)
        {
            let mut json = Vec::with_capacity(self.fields.value_len(at));
            self.fields.write_value(at, &mut json);
            return Ok(into_string(json));
        }
        Ok(match self.find(pointer)? {
            Found::Document => self.to_json(),
            Found::Raw(text) => into_string(text.to_vec()),
            Found::Value(value) => value.to_string(),
            Found::Reserved(value) => value.to_string(),
        })
    }

    /// The integer at `pointer`; a float without a fraction is one.
    ///
    /// # Errors
    /// Also [`SaveDataError::OutOfRange`] for a whole number beyond the range of 64 bits.
    #[inline]
    pub fn get_i64(&mut self, pointer: &str) -> Result<i64, SaveDataError> {
        let number = match self.find(pointer)? {
            Found::Raw(text) => match plain_i64(text) {
                Some(number) => return Ok(number),
                None => raw_number(text, pointer, "an integer")?,
            },
            found => found.number(pointer, "an integer")?,
        };
        integer(&number).ok_or_else(|| no_integer(&number, pointer))
    }

    /// The number at `pointer`; an integer beyond 2^53 is rounded.
    pub fn get_f64(&mut self, pointer: &str) -> Result<f64, SaveDataError> {
        let number = match self.find(pointer)? {
            Found::Raw(text) => match plain_i64(text) {
                // Not 0: it may be written -0.
                Some(number) if number != 0 => return Ok(number as f64),
                _ => raw_number(text, pointer, "a number")?,
            },
            found => found.number(pointer, "a number")?,
        };
        Ok(number.as_f64().unwrap_or_default())
    }

    /// The bool at `pointer`.
    pub fn get_bool(&mut self, pointer: &str) -> Result<bool, SaveDataError> {
        match self.find(pointer)? {
            Found::Raw(b"true") => Ok(true),
            Found::Raw(b"false") => Ok(false),
            found => match found.value() {
                Some(Value::Bool(value)) => Ok(*value),
                _ => Err(found.wrong_type(pointer, "a bool")),
            },
        }
    }

    /// The string at `pointer`.
    pub fn get_string(&mut self, pointer: &str) -> Result<String, SaveDataError> {
        match self.find(pointer)? {
            Found::Raw(text @ [b'"', ..]) => {
                serde_json::from_slice(text).map_err(|error| unreadable(pointer, &error))
            }
            found => match found.value() {
                Some(Value::String(value)) => Ok(value.clone()),
                _ => Err(found.wrong_type(pointer, "a string")),
            },
        }
    }

    /// The value at `pointer`, whatever its type: for hosts whose language has no types to ask with.
    #[inline]
    pub fn get_value(&mut self, pointer: &str) -> Result<ReadValue, SaveDataError> {
        match self.find(pointer)? {
            Found::Raw(text) if !matches!(text, [b'{' | b'[', ..]) => {
                return raw_scalar(text, pointer);
            }
            Found::Value(value) => return Ok(ReadValue::of(value)),
            Found::Reserved(value) => return Ok(ReadValue::of(&value)),
            Found::Document | Found::Raw(_) => {}
        }
        let length = self.length(pointer)?;
        Ok(match self.value_type(pointer)? {
            ValueType::Array => ReadValue::Array(length),
            _ => ReadValue::Object(length),
        })
    }

    /// The names of the members of the object at `pointer`, in the order in which they are stored, as
    /// a JSON array of strings.
    pub fn get_names(&mut self, pointer: &str) -> Result<String, SaveDataError> {
        self.parse_field_of(pointer)?;
        let names = match self.find(pointer)? {
            Found::Document => {
                let reserved = self.reserved.names().map(str::to_owned);
                let fields = (0..self.fields.count()).map(|at| self.fields.name(at));
                reserved.chain(fields).collect::<Vec<_>>()
            }
            found => match found.value() {
                Some(Value::Object(members)) => members.keys().cloned().collect(),
                _ => return Err(found.wrong_type(pointer, "an object")),
            },
        };
        let mut json = Vec::new();
        write_json(&mut json, &names);
        Ok(into_string(json))
    }

    /// Whether there is anything at `pointer`.
    ///
    /// # Errors
    /// Only [`SaveDataError::InvalidPointer`] and [`SaveDataError::UnreadableField`].
    pub fn contains(&mut self, pointer: &str) -> Result<bool, SaveDataError> {
        match self.find(pointer) {
            Ok(_) => Ok(true),
            Err(SaveDataError::NotFound { .. } | SaveDataError::WrongType { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The type of the value at `pointer`.
    pub fn value_type(&mut self, pointer: &str) -> Result<ValueType, SaveDataError> {
        match self.find(pointer)? {
            Found::Raw(text) if ValueType::of_text(text) == ValueType::Float => Ok(
                ValueType::of_number(&raw_number(text, pointer, "a number")?),
            ),
            found => Ok(found.value_type()),
        }
    }

    /// The length of what is at `pointer`: an array's elements, an object's members, a string's
    /// bytes.
    pub fn length(&mut self, pointer: &str) -> Result<usize, SaveDataError> {
        self.parse_field_of(pointer)?;
        match self.find(pointer)? {
            Found::Document => Ok(self.fields.count() + self.reserved.count()),
            found => match found.value() {
                Some(Value::Array(items)) => Ok(items.len()),
                Some(Value::Object(members)) => Ok(members.len()),
                Some(Value::String(text)) => Ok(text.len()),
                _ => Err(found.wrong_type(pointer, "an array, an object or a string")),
            },
        }
    }

    /// Parses the top-level field that a pointer leads to or into, unless that was done.
    fn parse_field_of(&mut self, pointer: &str) -> Result<(), SaveDataError> {
        if let Target::Field { name, .. } = pointer::split(pointer)?
            && let Some(at) = self.fields.find(&name)
        {
            self.fields.parse(at)?;
        }
        Ok(())
    }

    #[inline]
    fn find(&mut self, pointer: &str) -> Result<Found<'_>, SaveDataError> {
        let Target::Field { name, rest } = pointer::split(pointer)? else {
            return Ok(Found::Document);
        };
        match self.fields.find(&name) {
            Some(at) if rest.is_empty() => Ok(match self.fields.held(at) {
                Held::Raw(text) => Found::Raw(text),
                Held::Parsed(value) => Found::Value(value),
            }),
            Some(at) => walk(self.fields.parse(at)?, rest, pointer).map(Found::Value),
            None => self.find_reserved(&name, rest, pointer),
        }
    }

    fn find_reserved(
        &self,
        name: &str,
        rest: &str,
        pointer: &str,
    ) -> Result<Found<'_>, SaveDataError> {
        let parent = &pointer[..pointer.len() - rest.len()];
        let value = reserved::position(name)
            .and_then(|_| self.reserved.value(name))
            .ok_or_else(|| not_found(parent))?;
        Ok(Found::Reserved(walk(&value, rest, pointer)?.clone()))
    }
}

impl Found<'_> {
    fn value(&self) -> Option<&Value> {
        match self {
            Self::Document | Self::Raw(_) => None,
            Self::Value(value) => Some(value),
            Self::Reserved(value) => Some(value),
        }
    }

    fn value_type(&self) -> ValueType {
        match self {
            Self::Document => ValueType::Object,
            Self::Raw(text) => ValueType::of_text(text),
            Self::Value(value) => ValueType::of(value),
            Self::Reserved(value) => ValueType::of(value),
        }
    }

    fn number(&self, pointer: &str, expected: &'static str) -> Result<Number, SaveDataError> {
        match self.value() {
            Some(Value::Number(number)) => Ok(number.clone()),
            _ => Err(self.wrong_type(pointer, expected)),
        }
    }

    fn wrong_type(&self, pointer: &str, expected: &'static str) -> SaveDataError {
        let found = match self {
            Self::Raw(text) => raw_type(text),
            found => found.value_type(),
        };
        SaveDataError::WrongType {
            pointer: pointer.to_owned(),
            expected,
            found,
        }
    }
}

/// The type of valid JSON text; a number that cannot be read counts as a float.
fn raw_type(text: &[u8]) -> ValueType {
    serde_json::from_slice::<Number>(text).map_or_else(
        |_| ValueType::of_text(text),
        |number| ValueType::of_number(&number),
    )
}

/// Reads a top-level scalar straight from the text.
fn raw_scalar(text: &[u8], pointer: &str) -> Result<ReadValue, SaveDataError> {
    match (text, plain_i64(text)) {
        // Not 0 alone: it may be written -0, which is a float.
        (b"0", _) => Ok(ReadValue::Integer(0)),
        (_, Some(number)) if number != 0 => Ok(ReadValue::Integer(number)),
        _ => serde_json::from_slice(text)
            .map(|value| ReadValue::of(&value))
            .map_err(|error| unreadable(pointer, &error)),
    }
}

/// Reads a top-level number straight from the text.
fn raw_number(text: &[u8], pointer: &str, expected: &'static str) -> Result<Number, SaveDataError> {
    if ValueType::of_text(text) != ValueType::Float {
        return Err(Found::Raw(text).wrong_type(pointer, expected));
    }
    serde_json::from_slice(text).map_err(|error| unreadable(pointer, &error))
}

fn unreadable(pointer: &str, error: &serde_json::Error) -> SaveDataError {
    SaveDataError::UnreadableField {
        field: pointer::field_name(pointer),
        message: message(error),
    }
}

fn no_integer(number: &Number, pointer: &str) -> SaveDataError {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() != 0.0 => SaveDataError::WrongType {
            pointer: pointer.to_owned(),
            expected: "an integer",
            found: ValueType::Float,
        },
        _ => SaveDataError::OutOfRange {
            pointer: pointer.to_owned(),
            message: format!("{number} does not fit a signed integer of 64 bits"),
        },
    }
}
