//! What every getter must give, told by the value that is there.

use serde_json::Value;
use session_locker::save_data::{ReadValue, SaveData, ValueType};

use super::json;

/// Every getter gives what is there.
pub fn agrees(data: &mut SaveData, pointer: &str, value: &Value) {
    let text = data.get_json(pointer).expect("there is a value");
    // A document of 128 levels is one too deep for serde_json.
    if json::too_deep_at(&text, json::LEVELS - 1).is_none() {
        assert_eq!(json::value(&text).as_ref(), Some(value), "{pointer}");
    }
    let whole = value.as_number().and_then(json::integer);
    assert_eq!(data.get_i64(pointer).ok(), whole, "{pointer}");
    let float = data.get_f64(pointer).ok().map(f64::to_bits);
    assert_eq!(float, value.as_f64().map(f64::to_bits), "{pointer}");
    assert_eq!(data.get_bool(pointer).ok(), value.as_bool());
    assert_eq!(data.get_string(pointer).ok().as_deref(), value.as_str());
    assert_eq!(data.contains(pointer), Ok(true));
    assert_eq!(data.value_type(pointer), Ok(type_of(value)), "{pointer}");
    assert_eq!(data.get_value(pointer), Ok(one_read_of(value)), "{pointer}");
    let length = match value {
        Value::String(text) => Some(text.len()),
        Value::Array(items) => Some(items.len()),
        Value::Object(members) => Some(members.len()),
        _ => None,
    };
    assert_eq!(data.length(pointer).ok(), length, "{pointer}");
    let names = data.get_names(pointer).ok().map(|names| {
        let mut names: Vec<String> = serde_json::from_str(&names).expect("a list of names");
        names.sort_unstable();
        names
    });
    let expected = value.as_object().map(|members| {
        let mut names: Vec<String> = members.keys().cloned().collect();
        names.sort_unstable();
        names
    });
    assert_eq!(names, expected, "{pointer}");
}

/// The type of a value.
pub fn type_of(value: &Value) -> ValueType {
    match value {
        Value::Null => ValueType::Null,
        Value::Bool(_) => ValueType::Bool,
        Value::Number(number) if number.is_f64() => ValueType::Float,
        Value::Number(_) => ValueType::Integer,
        Value::String(_) => ValueType::String,
        Value::Array(_) => ValueType::Array,
        Value::Object(_) => ValueType::Object,
    }
}

fn one_read_of(value: &Value) -> ReadValue {
    match value {
        Value::Null => ReadValue::Null,
        Value::Bool(value) => ReadValue::Bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => ReadValue::Integer(integer),
            None => ReadValue::Float(number.as_f64().expect("a number")),
        },
        Value::String(text) => ReadValue::String(text.clone()),
        Value::Array(items) => ReadValue::Array(items.len()),
        Value::Object(members) => ReadValue::Object(members.len()),
    }
}
