//! Types, numbers and written lengths of JSON values.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Number, Value};

/// The type of a value, a number being an integer when it has neither fraction nor exponent and
/// fits 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number without fraction or exponent, from -2^63 to 2^64 - 1.
    Integer,
    /// Any other number.
    Float,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl ValueType {
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Bool,
            Value::Number(number) => Self::of_number(number),
            Value::String(_) => Self::String,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
        }
    }

    pub(super) fn of_number(number: &Number) -> Self {
        if number.is_f64() {
            Self::Float
        } else {
            Self::Integer
        }
    }

    /// The type that valid JSON text begins, `Float` for every number.
    pub(super) fn of_text(text: &[u8]) -> Self {
        match text.first() {
            Some(b'{') => Self::Object,
            Some(b'[') => Self::Array,
            Some(b'"') => Self::String,
            Some(b't' | b'f') => Self::Bool,
            Some(b'n') => Self::Null,
            _ => Self::Float,
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool => "a bool",
            Self::Integer => "an integer",
            Self::Float => "a float",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        })
    }
}

/// A value of any type as one read gives it: a scalar whole, a container by its size.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadValue {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer that fits 64 bits with a sign.
    Integer(i64),
    /// Any other number, a larger integer rounded.
    Float(f64),
    /// A string.
    String(String),
    /// An array, by how many elements it has.
    Array(usize),
    /// An object, by how many members it has.
    Object(usize),
}

impl ReadValue {
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::of_number(number),
            Value::String(text) => Self::String(text.clone()),
            Value::Array(items) => Self::Array(items.len()),
            Value::Object(members) => Self::Object(members.len()),
        }
    }

    pub(super) fn of_number(number: &Number) -> Self {
        match number.as_i64() {
            Some(integer) => Self::Integer(integer),
            None => Self::Float(number.as_f64().unwrap_or_default()),
        }
    }
}

/// Reads the plain decimal integers of up to 18 digits that nearly every number is; leaves all
/// others to the parser.
#[inline]
pub(super) fn plain_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut number = 0_i64;
    for digit in digits {
        let value = digit.wrapping_sub(b'0');
        if value > 9 {
            return None;
        }
        number = number * 10 + i64::from(value);
    }
    Some(if negative { -number } else { number })
}

/// The integer that a number is: also a float without a fraction, as hosts whose only number type
/// is a double write them.
pub(super) fn integer(number: &Number) -> Option<i64> {
    /// The first float beyond the range of i64.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if let Some(integer) = number.as_i64() {
        return Some(integer);
    }
    let float = number.as_f64().filter(|_| number.is_f64())?;
    let fits = float.fract() == 0.0 && (-BEYOND..BEYOND).contains(&float);
    fits.then_some(float as i64)
}

/// Writes compact JSON. Writing to memory cannot fail, and neither can the types written here:
/// all of their map keys are strings.
pub(super) fn write_json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("JSON is written to memory");
}

/// How many bytes [`write_json`] would write.
pub(super) fn written_len(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(true) => 4,
        Value::Bool(false) => 5,
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => usize::from(integer < 0) + digits(integer.unsigned_abs()),
            (None, Some(integer)) => digits(integer),
            (None, None) => counted(value),
        },
        Value::String(text) => written_str_len(text),
        Value::Array(_) | Value::Object(_) => counted(value),
    }
}

/// How many bytes a string takes, its quotes and escapes included.
pub(super) fn written_str_len(text: &str) -> usize {
    if is_plain(text) {
        text.len() + 2
    } else {
        counted(text)
    }
}

/// Whether a string is written without escapes.
pub(super) fn is_plain(text: &str) -> bool {
    !text
        .bytes()
        .any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\')
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

fn counted(value: &(impl Serialize + ?Sized)) -> usize {
    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, value).expect("counting cannot fail");
    counter.0
}

/// Counts what is written to it.
struct Counter(usize);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How deep a value is nested: 0 for a scalar, 1 for an array of scalars.
pub(super) fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
