//! JSON taken apart the plain way: a second opinion on what the library makes of the same text. What
//! is valid, serde_json says; everything else is looked up in the text itself.

use serde::de::IgnoredAny;
use serde_json::{Number, Value};

/// How deep a document may be nested, as the documentation has it.
pub const LEVELS: usize = 128;

/// Whether a text is JSON, at any depth, whatever numbers and strings stand in it.
pub fn is_valid(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Where the bracket stands that opens the first level beyond `levels`.
pub fn too_deep_at(text: &str, levels: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut brackets = outside_of_strings(text);
    brackets.find_map(|(at, byte)| {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        (depth > levels).then_some(at)
    })
}

/// The bytes of a text that stand in no string, with their places. The quotes are among them.
fn outside_of_strings(text: &str) -> impl Iterator<Item = (usize, u8)> {
    let (mut is_inside, mut is_escaped) = (false, false);
    text.bytes().enumerate().filter(move |(_, byte)| {
        let was_inside = is_inside;
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_inside => is_escaped = true,
            b'"' => is_inside = !is_inside,
            _ => {}
        }
        !was_inside || !is_inside
    })
}

/// A member of an object: its name, where that begins, and its value as it is written.
#[derive(Debug)]
pub struct Member<'t> {
    pub name: String,
    pub offset: usize,
    pub value: &'t str,
}

/// The members of a valid JSON object in their order, or `None` if a name cannot be represented.
pub fn members(text: &str) -> Option<Vec<Member<'_>>> {
    let member = |part| member(text, part);
    parts(text).into_iter().map(member).collect()
}

fn member<'t>(text: &'t str, part: &'t str) -> Option<Member<'t>> {
    let colon = outside_of_strings(part).find(|(_, byte)| *byte == b':')?.0;
    let name = trim(&part[..colon]);
    Some(Member {
        name: serde_json::from_str(name).ok()?,
        offset: name.as_ptr() as usize - text.as_ptr() as usize,
        value: trim(&part[colon + 1..]),
    })
}

/// The elements of a valid JSON array, as they are written.
pub fn elements(text: &str) -> Vec<&str> {
    parts(text).into_iter().map(trim).collect()
}

/// What stands between the commas of a valid array or object.
fn parts(text: &str) -> Vec<&str> {
    let text = trim(text);
    let inside = &text[1..text.len() - 1];
    if trim(inside).is_empty() {
        return Vec::new();
    }
    let (mut depth, mut start) = (0, 0);
    let mut parts = Vec::new();
    for (at, byte) in outside_of_strings(inside) {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inside[start..]);
    parts
}

const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

/// Without the blanks that JSON allows around a value.
pub fn trim(text: &str) -> &str {
    text.trim_matches(BLANKS)
}

/// The integer that a number is, a float without a fraction among them.
pub fn integer(number: &Number) -> Option<i64> {
    match number.as_f64() {
        Some(float) if number.is_f64() => {
            let limit = 2_f64.powi(63);
            let is_one = float.fract() == 0.0 && float >= -limit && float < limit;
            is_one.then_some(float as i64)
        }
        _ => number.as_i64(),
    }
}

/// What is wrong with a text that ought to be a value, or the value.
pub fn value(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}
