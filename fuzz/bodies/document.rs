//! The document parser: any bytes, as a stored document and as one that the host gives. Accepted is
//! exactly what the page on the protocol accepts, and what is accepted is stored again as it was.

use std::str::Utf8Error;

use bytes::Bytes;
use serde_json::Value;
use session_locker::save_data::{DEFAULT_LIMIT_BYTES, SaveData, SaveDataError, ValueType};

use super::json::{self, Member};
use super::{reading, reserved};

/// Reads `input` in every way there is.
pub fn run(input: &[u8]) {
    let stored = SaveData::parse(Bytes::copy_from_slice(input), DEFAULT_LIMIT_BYTES);
    let text = match std::str::from_utf8(input) {
        Ok(text) => text,
        Err(error) => return is_refused_as_not_utf8(&stored, error),
    };
    is_accepted_or_refused(text, &stored, &Flaws::of(text, true));
    let given = SaveData::from_json(text, DEFAULT_LIMIT_BYTES);
    is_accepted_or_refused(text, &given, &Flaws::of(text, false));
    if let Ok(data) = stored {
        is_stored_again_as_it_was(text, data.clone());
        can_be_read(text, data);
    }
    if let Ok(data) = given {
        has_the_players_fields_alone(text, data);
    }
}

fn is_refused_as_not_utf8(stored: &Result<SaveData, SaveDataError>, error: Utf8Error) {
    let offset = error.valid_up_to();
    let found = stored.as_ref().err();
    assert_eq!(found, Some(&SaveDataError::InvalidUtf8 { offset }));
}

/// What is wrong with a text. Of several things, any may be told.
#[derive(Debug)]
struct Flaws<'t> {
    is_json: bool,
    is_object: bool,
    too_deep_at: Option<usize>,
    /// The names that are there before, and where they are there again.
    again: Vec<(String, usize)>,
    /// The reserved fields that are not what they must be.
    reserved: Vec<&'static str>,
    /// Of a document that the host gives, those whose values cannot be represented.
    unreadable: Vec<Member<'t>>,
}

impl<'t> Flaws<'t> {
    /// Those of a document that is stored, or that the host gives.
    fn of(text: &'t str, is_stored: bool) -> Self {
        let is_object = json::trim(text).starts_with('{');
        let mut flaws = Self {
            is_json: json::is_valid(text),
            is_object,
            too_deep_at: json::too_deep_at(text, json::LEVELS),
            again: Vec::new(),
            reserved: Vec::new(),
            unreadable: Vec::new(),
        };
        if !flaws.is_json || !is_object || flaws.too_deep_at.is_some() {
            return flaws;
        }
        let Some(members) = json::members(text) else {
            flaws.is_json = false;
            return flaws;
        };
        let mut names = std::collections::HashSet::new();
        for member in members {
            if !names.insert(member.name.clone()) {
                flaws.again.push((member.name.clone(), member.offset));
            }
            let reserved = reserved::NAMES.iter().find(|name| **name == member.name);
            match reserved {
                Some(name) if is_stored && reserved::meaning(name, member.value).is_none() => {
                    flaws.reserved.push(name);
                }
                _ if !is_stored && json::value(member.value).is_none() => {
                    flaws.unreadable.push(member);
                }
                _ => {}
            }
        }
        flaws
    }

    fn is_none(&self) -> bool {
        self.is_json
            && self.is_object
            && self.too_deep_at.is_none()
            && self.again.is_empty()
            && self.reserved.is_empty()
            && self.unreadable.is_empty()
    }

    /// Whether a text with these flaws may be refused so. One that is no JSON is read up to where that
    /// shows, and may be refused for what was found until then.
    fn include(&self, error: &SaveDataError, text: &str) -> bool {
        match error {
            SaveDataError::TooDeep { offset } => self.too_deep_at == Some(*offset),
            SaveDataError::InvalidJson { offset, .. } => {
                let is_unreadable_there = |member: &Member<'_>| {
                    let start = member.value.as_ptr() as usize - text.as_ptr() as usize;
                    (start..=start + member.value.len()).contains(offset)
                };
                (!self.is_json && *offset <= text.len())
                    || self.unreadable.iter().any(is_unreadable_there)
            }
            SaveDataError::NotAnObject { found } => {
                self.is_json && !self.is_object && *found == type_of(text)
            }
            SaveDataError::DuplicateField { field, offset } => match self.is_json {
                true => self.again.contains(&(field.clone(), *offset)),
                false => text[*offset..].starts_with('"'),
            },
            SaveDataError::InvalidReserved { field, .. } => {
                !self.is_json || self.reserved.contains(&field.as_str())
            }
            _ => false,
        }
    }
}

fn is_accepted_or_refused(text: &str, result: &Result<SaveData, SaveDataError>, flaws: &Flaws<'_>) {
    match result {
        Ok(_) => assert!(flaws.is_none(), "accepted {text:?} with {flaws:?}"),
        Err(error) => assert!(
            flaws.include(error, text),
            "refused {text:?} with {error:?}, found {flaws:?}"
        ),
    }
}

/// The type of a valid JSON text.
fn type_of(text: &str) -> ValueType {
    match json::trim(text).as_bytes()[0] {
        b'{' => ValueType::Object,
        b'[' => ValueType::Array,
        b'"' => ValueType::String,
        b't' | b'f' => ValueType::Bool,
        b'n' => ValueType::Null,
        // A number that cannot be read counts as a float.
        _ => json::value(text).map_or(ValueType::Float, |value| reading::type_of(&value)),
    }
}

/// Fields that nobody has written are stored byte for byte, the reserved ones with their meaning.
fn is_stored_again_as_it_was(text: &str, mut data: SaveData) {
    let members = json::members(text).expect("it was accepted");
    let whole = data.to_json();
    has_the_fields_of(&whole, &members);
    let fields = player_fields(&members);
    let raw: usize = fields.iter().map(|field| written_len(field) + 1).sum();
    assert_eq!(data.size_bytes(), raw + if raw == 0 { 2 } else { 1 });

    // Looking into a field changes nothing of it.
    for field in &fields {
        let pointer = pointer_to(&field.name);
        data.value_type(&format!("{pointer}/0")).ok();
        data.length(&pointer).ok();
    }
    assert_eq!(data.to_json(), whole);
    let session = data.reserved().session.clone();
    let stored = data.encode(session.as_ref());
    assert_eq!(stored, whole.as_bytes());
    let mut again = SaveData::parse(stored, DEFAULT_LIMIT_BYTES).expect("what was stored");
    assert_eq!(again.to_json(), whole);
    assert_eq!(again.size_bytes(), data.size_bytes());
    assert_eq!(again.reserved(), data.reserved());

    let free = again.encode(None);
    let free = std::str::from_utf8(&free).expect("text");
    let but_the_session = |member: &Member<'_>| member.name != "Session";
    has_the_fields_of(
        free,
        &members
            .into_iter()
            .filter(but_the_session)
            .collect::<Vec<_>>(),
    );
}

fn has_the_fields_of(stored: &str, members: &[Member<'_>]) {
    let found = json::members(stored).expect("an object");
    let same = |found: &[&Member<'_>], expected: &[&Member<'_>]| {
        let both = |member: &&Member<'_>| (member.name.clone(), member.value.to_owned());
        let found: Vec<_> = found.iter().map(both).collect();
        assert_eq!(found, expected.iter().map(both).collect::<Vec<_>>());
    };
    same(&player_fields(&found), &player_fields(members));
    for name in reserved::NAMES {
        let text_in = |members: &[Member<'_>]| {
            let member = members.iter().find(|member| member.name == name)?;
            reserved::meaning(name, member.value)
        };
        let is_nothing = |value: &Value| *value == Value::Array(Vec::new());
        let expected = match (name, text_in(members)) {
            ("VersionPatch", None) => Some(Value::from(0.0)),
            ("Purchases" | "ProductCredit", None) => Some(Value::Array(Vec::new())),
            (name, Some(value)) if reserved::LEFT_OUT_WHEN_EMPTY.contains(&name) => {
                Some(value).filter(|value| !is_nothing(value))
            }
            (_, value) => value,
        };
        assert_eq!(text_in(&found), expected, "{name} in {stored}");
    }
}

fn player_fields<'m, 't>(members: &'m [Member<'t>]) -> Vec<&'m Member<'t>> {
    let is_players = |member: &&Member<'_>| !reserved::NAMES.contains(&member.name.as_str());
    members.iter().filter(is_players).collect()
}

/// What a field takes when it is stored.
fn written_len(field: &Member<'_>) -> usize {
    let name = Value::from(field.name.as_str()).to_string();
    name.len() + 1 + field.value.len()
}

fn pointer_to(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Every getter gives what serde_json gives for the same text.
fn can_be_read(text: &str, mut data: SaveData) {
    for field in player_fields(&json::members(text).expect("it was accepted")) {
        let pointer = pointer_to(&field.name);
        assert_eq!(data.get_json(&pointer).as_deref(), Ok(field.value));
        let Some(value) = json::value(field.value) else {
            let read = data.get_value(&pointer);
            let is_refused = matches!(read, Err(SaveDataError::UnreadableField { .. }));
            assert!(is_refused, "{pointer} of {text:?} was read as {read:?}");
            continue;
        };
        reading::agrees(&mut data, &pointer, &value);
    }
}

/// A document that the host gives has no version and nothing reserved, whatever it says.
fn has_the_players_fields_alone(text: &str, mut data: SaveData) {
    assert_eq!(data.version(), 0);
    let members = json::members(text).expect("it was accepted");
    let fields: Vec<Member<'_>> = members
        .into_iter()
        .filter(|member| !reserved::NAMES.contains(&member.name.as_str()))
        .collect();
    has_the_fields_of(&data.to_json(), &fields);
    // Written from its value, a field means the same.
    let written = data.to_json();
    for field in &fields {
        let pointer = pointer_to(&field.name);
        data.set_json(&pointer, field.value)
            .expect("the same value");
    }
    let (before, after) = (json::value(&written), json::value(&data.to_json()));
    assert!(after.is_some() || json::too_deep_at(&written, json::LEVELS - 1).is_some());
    assert_eq!(before, after);
}
