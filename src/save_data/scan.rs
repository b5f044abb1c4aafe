//! Reading JSON text without building anything: one pass that validates it and finds the members
//! of the top-level object, one that measures how deep it is nested.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess};
use serde::de::{SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, error::Category};

use super::{SaveDataError, ValueType};

/// One member of the top-level object, as it stands in the text.
pub(super) struct Member<'t> {
    /// The name, borrowed from the text when it is written there without escapes.
    pub name: Cow<'t, str>,
    /// Where the name's opening quote stands.
    pub offset: usize,
    /// The value's text.
    pub value: &'t str,
    /// Where the value's text begins.
    pub value_offset: usize,
}

/// Validates `text` as one JSON object and hands out its members in order. Values are validated
/// as JSON, not as representable: `1e999` passes. Stops at the first error of `each`.
pub(super) fn members<'t>(
    text: &'t str,
    each: impl FnMut(Member<'t>) -> Result<(), SaveDataError>,
) -> Result<(), SaveDataError> {
    let first = text.trim_start_matches([' ', '\t', '\n', '\r']);
    if !first.starts_with('{') {
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| invalid_json(text, &error))?;
        let found = serde_json::from_str(text).map_or_else(
            |_| ValueType::of_text(first.as_bytes()),
            |v| ValueType::of(&v),
        );
        return Err(SaveDataError::NotAnObject { found });
    }
    let mut refused = None;
    let visitor = MembersVisitor {
        text,
        each,
        refused: &mut refused,
    };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let result = deserializer
        .deserialize_map(visitor)
        .and_then(|()| deserializer.end());
    match refused {
        Some(error) => Err(error),
        None => result.map_err(|error| invalid_json(text, &error)),
    }
}

struct MembersVisitor<'t, 'r, F> {
    text: &'t str,
    each: F,
    /// The error of `each`, which serde could only carry as text.
    refused: &'r mut Option<SaveDataError>,
}

impl<'t, F> Visitor<'t> for MembersVisitor<'t, '_, F>
where
    F: FnMut(Member<'t>) -> Result<(), SaveDataError>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(mut self, mut map: A) -> Result<(), A::Error> {
        let start = self.text.as_ptr() as usize;
        let mut end = 0;
        while let Some(Name(name)) = map.next_key()? {
            let value = map.next_value::<&'t RawValue>()?.get();
            // Between two members stand only a comma and blanks, so the next quote opens the name.
            let gap = self.text.as_bytes()[end..].iter();
            let offset = end + gap.take_while(|byte| **byte != b'"').count();
            let value_offset = value.as_ptr() as usize - start;
            end = value_offset + value.len();
            let member = Member {
                name,
                offset,
                value,
                value_offset,
            };
            if let Err(error) = (self.each)(member) {
                *self.refused = Some(error);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

/// A member's name, borrowed when it can be.
struct Name<'t>(Cow<'t, str>);

impl<'t> Deserialize<'t> for Name<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'t> Visitor<'t> for NameVisitor {
            type Value = Name<'t>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'t str) -> Result<Name<'t>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'t>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

/// Refuses text nested deeper than `limit` levels. Needs no valid JSON, and never recurses, so it
/// goes before everything that might.
pub(super) fn check_depth(text: &str, limit: usize) -> Result<(), SaveDataError> {
    let mut depth = 0_usize;
    let mut bytes = text.as_bytes().iter();
    while let Some(byte) = bytes.next() {
        match CLASSES[usize::from(*byte)] {
            Class::Other => {}
            Class::Quote => skip_string(&mut bytes),
            Class::Open => {
                depth += 1;
                if depth > limit {
                    let offset = text.len() - bytes.len() - 1;
                    return Err(SaveDataError::TooDeep { offset });
                }
            }
            Class::Close => depth = depth.saturating_sub(1),
        }
    }
    Ok(())
}

/// What a byte means for the depth.
#[derive(Clone, Copy)]
enum Class {
    Other,
    Quote,
    Open,
    Close,
}

/// Looking a byte up is faster than comparing it with all five.
static CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    classes[b'"' as usize] = Class::Quote;
    classes[b'[' as usize] = Class::Open;
    classes[b'{' as usize] = Class::Open;
    classes[b']' as usize] = Class::Close;
    classes[b'}' as usize] = Class::Close;
    classes
};

/// Goes on to behind the string's closing quote.
fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
}

/// Parses a value given by the host that will stand below `parents` containers.
pub(super) fn value(text: &str, parents: usize) -> Result<Value, SaveDataError> {
    check_depth(text, super::MAX_DEPTH.saturating_sub(parents))?;
    serde_json::from_str(text).map_err(|error| invalid_json(text, &error))
}

/// Refuses a member whose value is valid JSON but cannot be represented. What the host writes has
/// to be readable; what is stored already is kept whatever it is.
pub(super) fn check_readable(member: &Member<'_>) -> Result<(), SaveDataError> {
    let mut deserializer = serde_json::Deserializer::from_str(member.value);
    Readable
        .deserialize(&mut deserializer)
        .map_err(|error| SaveDataError::InvalidJson {
            message: message(&error),
            offset: member.value_offset + error_offset(member.value, &error),
        })
}

/// Reads every number and string of a value and keeps none.
#[derive(Clone, Copy)]
struct Readable;

impl<'de> DeserializeSeed<'de> for Readable {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Readable {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_key_seed(self)?.is_some() {
            map.next_value_seed(self)?;
        }
        Ok(())
    }
}

pub(super) fn invalid_json(text: &str, error: &serde_json::Error) -> SaveDataError {
    SaveDataError::InvalidJson {
        message: message(error),
        offset: error_offset(text, error),
    }
}

/// Turns the parser's line and column into a byte offset.
fn error_offset(text: &str, error: &serde_json::Error) -> usize {
    if error.classify() == Category::Eof {
        return text.len();
    }
    let line_start = match error.line() {
        0 | 1 => 0,
        line => {
            let mut ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            ends.nth(line - 2).map_or(0, |(end, _)| end + 1)
        }
    };
    (line_start + error.column().saturating_sub(1)).min(text.len())
}

/// The parser's message without its line and column.
pub(super) fn message(error: &serde_json::Error) -> String {
    let mut message = error.to_string();
    if let Some(end) = message.rfind(" at line ") {
        message.truncate(end);
    }
    message
}
