//! What a document's reserved fields mean, read by the table in `docs/protocol.md`, section 2.

use serde_json::{Value, json};

use super::json::{self, integer};

/// The names of the reserved fields.
pub const NAMES: [&str; 9] = [
    "Version",
    "VersionPatch",
    "Session",
    "Purchases",
    "ProductCredit",
    "RemoteChanges",
    "Saves",
    "Received",
    "Gifts",
];

/// Those that are stored only when there is something in them.
pub const LEFT_OUT_WHEN_EMPTY: [&str; 4] = ["RemoteChanges", "Saves", "Received", "Gifts"];

/// The meaning of a reserved field's text, each number in the one form that its place has; `None` if
/// it has another shape than the field must have.
pub fn meaning(name: &str, text: &str) -> Option<Value> {
    match name {
        "Version" => version(json::value(text)?),
        "VersionPatch" => number(&json::value(text)?),
        "Session" => session(text),
        "Purchases" => list(text, purchase),
        "ProductCredit" => list(text, |entry| match entry {
            [product, count] => Some(json!([whole(product)?, whole(count)?])),
            _ => None,
        }),
        "RemoteChanges" => inbox(text),
        "Saves" => list(text, |entry| match entry {
            [lock_id, count] => Some(json!([lock_id_of(lock_id)?, count_of(count)?])),
            _ => None,
        }),
        "Received" => list(text, |entry| match entry {
            [sender, sequence, at] => {
                Some(json!([string(sender)?, count_of(sequence)?, number(at)?]))
            }
            _ => None,
        }),
        "Gifts" => list(text, gift),
        other => panic!("{other} is not a reserved field"),
    }
}

fn version(value: Value) -> Option<Value> {
    let version = whole(&value)?.as_i64()?;
    (1..=i64::from(u32::MAX))
        .contains(&version)
        .then_some(json!(version))
}

fn session(text: &str) -> Option<Value> {
    let members = object(text, &["PlaceId", "JobId", "LockId", "UpdatedAt", "Expiry"])?;
    let [place_id, job_id, lock_id, updated_at, expiry] = &members[..] else {
        return None;
    };
    let expiry = match json::value((*expiry).unwrap_or("null"))? {
        Value::Null => Value::Null,
        expiry => number(&expiry)?,
    };
    Some(json!({
        "PlaceId": whole(&json::value((*place_id)?)?)?,
        "JobId": string(&json::value((*job_id)?)?)?,
        "LockId": lock_id_of(&json::value((*lock_id)?)?)?,
        "UpdatedAt": number(&json::value((*updated_at)?)?)?,
        "Expiry": expiry,
    }))
}

/// Each entry as it is written, for that is how it is kept.
fn inbox(text: &str) -> Option<Value> {
    if !text.starts_with('[') {
        return None;
    }
    let entry = |entry: &str| {
        let members = object(entry, &["K", "I", "A"])?;
        let [kind, id, at] = &members[..] else {
            return None;
        };
        string(&json::value((*kind)?)?)?;
        number(&json::value((*at)?)?)?;
        let id = json::value((*id)?)?;
        string(&id).or_else(|| whole(&id))?;
        Some(Value::from(entry))
    };
    json::elements(text).into_iter().map(entry).collect()
}

fn purchase(entry: &[Value]) -> Option<Value> {
    let (product, id, at, mark) = match entry {
        [product, id, at] => (product, id, at, &Value::Null),
        [product, id, at, mark] => (product, id, at, mark),
        _ => return None,
    };
    let mark = match mark {
        Value::Null | Value::String(_) => mark.clone(),
        Value::Number(one) if integer(one) == Some(1) => json!(1),
        _ => return None,
    };
    Some(json!([whole(product)?, string(id)?, number(at)?, mark]))
}

fn gift(entry: &[Value]) -> Option<Value> {
    let (id, at, rest) = match entry {
        [id, at, rest @ ..] if rest.len() <= 2 => (id, at, rest),
        _ => return None,
    };
    let rest = match rest {
        [] | [Value::Null] | [Value::Null, Value::Null] => Value::Null,
        [product, purchaser] => json!([whole(product)?, string(purchaser)?]),
        _ => return None,
    };
    Some(json!([string(id)?, number(at)?, rest]))
}

/// The texts of an object's members with these names, none of which may be there twice.
fn object<'t>(text: &'t str, names: &[&str]) -> Option<Vec<Option<&'t str>>> {
    if !text.starts_with('{') {
        return None;
    }
    let members = json::members(text)?;
    let one = |name: &&str| {
        let mut found = members.iter().filter(|member| member.name == *name);
        let first = found.next().map(|member| member.value);
        found.next().is_none().then_some(first)
    };
    names.iter().map(one).collect()
}

fn list(text: &str, entry: impl Fn(&[Value]) -> Option<Value>) -> Option<Value> {
    let read = |one: &Value| entry(one.as_array()?);
    json::value(text)?.as_array()?.iter().map(read).collect()
}

fn string(value: &Value) -> Option<Value> {
    value.is_string().then(|| value.clone())
}

fn number(value: &Value) -> Option<Value> {
    // Minus zero is stored as 0.
    value.as_f64().map(|float| json!(float + 0.0))
}

fn whole(value: &Value) -> Option<Value> {
    integer(value.as_number()?).map(Value::from)
}

fn count_of(value: &Value) -> Option<Value> {
    let number = value.as_number()?;
    let count = number.as_u64().or_else(|| integer(number)?.try_into().ok());
    count.map(Value::from)
}

fn lock_id_of(value: &Value) -> Option<Value> {
    let id = integer(value.as_number()?)?;
    (0..1 << 53).contains(&id).then_some(json!(id))
}
