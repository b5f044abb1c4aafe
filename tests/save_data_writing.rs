//! Writing values by JSON Pointer: what is stored, and what is refused without a trace.

use bytes::Bytes;
use session_locker::save_data::{
    DEFAULT_LIMIT_BYTES, MAX_DEPTH, SaveData, SaveDataError, ValueType,
};

fn parse(text: &str) -> SaveData {
    SaveData::parse(Bytes::copy_from_slice(text.as_bytes()), DEFAULT_LIMIT_BYTES).unwrap()
}

/// The player's fields as they are stored.
fn fields(data: &SaveData) -> String {
    let json = data.to_json();
    let fields = json.split_once("\"ProductCredit\":[]").unwrap().1;
    format!("{{{}", fields.trim_start_matches(','))
}

/// Makes a write that has to be refused, and checks that nothing has changed.
fn refused(
    data: &mut SaveData,
    write: impl FnOnce(&mut SaveData) -> Result<(), SaveDataError>,
) -> SaveDataError {
    let before = (data.to_json(), data.size_bytes(), data.change_count());
    let error = write(data).unwrap_err();
    let after = (data.to_json(), data.size_bytes(), data.change_count());
    assert_eq!(after, before, "{error}");
    error
}

#[test]
fn each_setter_writes_its_type() {
    let mut data = parse("{}");
    data.set_i64("/i", i64::MIN).unwrap();
    data.set_f64("/f", 5.0).unwrap();
    data.set_bool("/b", true).unwrap();
    data.set_string("/s", "a\"\n\u{1}é").unwrap();
    data.set_null("/z").unwrap();
    data.set_json("/j", r#" {"x": [1, 2.50]} "#).unwrap();
    assert_eq!(
        fields(&data),
        r#"{"i":-9223372036854775808,"f":5.0,"b":true,"s":"a\"\n\u0001é","z":null,"j":{"x":[1,2.5]}}"#
    );
    assert_eq!(data.change_count(), 6);
    assert_eq!(data.value_type("/f"), Ok(ValueType::Float));
}

#[test]
fn setting_replaces_in_place_and_adds_at_the_end() {
    let mut data = parse(r#"{"a":1,"o":{"x":1,"y":2},"b":2}"#);
    data.set_string("/a", "one").unwrap();
    data.set_i64("/o/x", 10).unwrap();
    data.set_i64("/o/z", 3).unwrap();
    data.set_i64("/c", 3).unwrap();
    assert_eq!(
        fields(&data),
        r#"{"a":"one","o":{"x":10,"y":2,"z":3},"b":2,"c":3}"#
    );
}

#[test]
fn an_array_index_replaces_and_its_length_or_a_dash_appends() {
    let mut data = parse(r#"{"l":[1,2]}"#);
    data.set_i64("/l/0", 10).unwrap();
    data.set_i64("/l/2", 3).unwrap();
    data.set_i64("/l/-", 4).unwrap();
    data.append("/l", "[5]").unwrap();
    data.append("/l/4", "6").unwrap();
    assert_eq!(fields(&data), r#"{"l":[10,2,3,4,[5,6]]}"#);
    let beyond = refused(&mut data, |data| data.set_i64("/l/6", 0));
    assert_eq!(
        beyond,
        SaveDataError::NotFound {
            pointer: "/l/6".into()
        }
    );
    for index in ["/l/01", "/l/x", "/l/", "/l/x/deeper/still"] {
        let error = refused(&mut data, |data| data.set_i64(index, 0));
        assert!(
            matches!(&error, SaveDataError::InvalidPointer { pointer, .. } if pointer == index),
            "{error}"
        );
    }
}

#[test]
fn a_missing_parent_is_named_and_not_created() {
    let mut data = parse(r#"{"o":{},"n":1}"#);
    for (pointer, missing) in [("/x/y", "/x"), ("/o/x/y/z", "/o/x")] {
        assert_eq!(
            refused(&mut data, |data| data.set_i64(pointer, 1)),
            SaveDataError::NotFound {
                pointer: missing.into()
            }
        );
    }
    for (pointer, parent) in [("/n/x", "/n"), ("/n/x/y", "/n")] {
        assert_eq!(
            refused(&mut data, |data| data.set_i64(pointer, 1)),
            SaveDataError::WrongType {
                pointer: parent.into(),
                expected: "an object or an array",
                found: ValueType::Integer
            }
        );
    }
}

#[test]
fn removing_takes_members_and_closes_the_gap_in_arrays() {
    let mut data = parse(r#"{"a":1,"o":{"x":1,"y":2,"z":3},"l":[1,2,3],"b":2}"#);
    data.remove("/o/x").unwrap();
    data.remove("/l/0").unwrap();
    data.remove("/a").unwrap();
    assert_eq!(fields(&data), r#"{"o":{"y":2,"z":3},"l":[2,3],"b":2}"#);
    for pointer in ["/a", "/o/x", "/l/2", "/l/-", "/x/y"] {
        let error = refused(&mut data, |data| data.remove(pointer));
        assert!(matches!(error, SaveDataError::NotFound { .. }), "{error}");
    }
    let error = refused(&mut data, |data| data.remove(""));
    assert!(matches!(error, SaveDataError::InvalidPointer { .. }));
    for pointer in ["/o", "/l", "/b"] {
        data.remove(pointer).unwrap();
    }
    assert_eq!(fields(&data), "{}");
    assert_eq!(data.size_bytes(), 2);
}

#[test]
fn adding_returns_the_sum_and_never_overflows() {
    let mut data = parse(r#"{"Gold":5,"f":2.0,"o":{"n":9223372036854775806}}"#);
    assert_eq!(data.add_i64("/Gold", -7), Ok(-2));
    assert_eq!(data.add_i64("/f", 1), Ok(3));
    assert_eq!(data.add_i64("/o/n", 1), Ok(i64::MAX));
    assert_eq!(
        fields(&data),
        r#"{"Gold":-2,"f":3,"o":{"n":9223372036854775807}}"#
    );
    let error = refused(&mut data, |data| data.add_i64("/o/n", 1).map(drop));
    assert!(matches!(error, SaveDataError::OutOfRange { .. }));
    let error = refused(&mut data, |data| data.add_i64("/Gems", 1).map(drop));
    assert!(matches!(error, SaveDataError::NotFound { .. }));
    let error = refused(&mut data, |data| data.add_i64("/o", 1).map(drop));
    assert!(matches!(error, SaveDataError::WrongType { .. }));
}

#[test]
fn numbers_that_json_has_no_word_for_are_refused() {
    let mut data = parse("{}");
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let error = refused(&mut data, |data| data.set_f64("/f", number));
        assert!(matches!(error, SaveDataError::OutOfRange { .. }));
    }
    let error = refused(&mut data, |data| data.set_json("/f", "1e999"));
    assert!(matches!(error, SaveDataError::InvalidJson { .. }));
}

#[test]
fn invalid_json_is_refused_with_its_offset_in_what_was_given() {
    let mut data = parse(r#"{"l":[]}"#);
    for write in [SaveData::set_json, SaveData::append] {
        match refused(&mut data, |data| write(data, "/l", "[1, tru]")) {
            SaveDataError::InvalidJson { offset, .. } => assert_eq!(offset, 7),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn only_an_array_can_be_appended_to() {
    let mut data = parse(r#"{"o":{},"l":[]}"#);
    for (pointer, found) in [("/o", ValueType::Object), ("", ValueType::Object)] {
        assert_eq!(
            refused(&mut data, |data| data.append(pointer, "1")),
            SaveDataError::WrongType {
                pointer: pointer.into(),
                expected: "an array",
                found
            }
        );
    }
    let error = refused(&mut data, |data| data.append("/x", "1"));
    assert!(matches!(error, SaveDataError::NotFound { .. }));
}

#[test]
fn setting_the_whole_document_replaces_the_players_fields() {
    let mut data = parse(r#"{"Version":3,"a":1,"b":{"x":1}}"#);
    data.set_json(
        "",
        r#"{"Version":9, "b": 2.50,"c":"\u0041", "Session":null}"#,
    )
    .unwrap();
    assert_eq!(fields(&data), r#"{"b":2.50,"c":"\u0041"}"#);
    assert_eq!(data.version(), 3);
    assert_eq!(data.change_count(), 1);
    assert_eq!(data.get_string("/c").as_deref(), Ok("A"));
    let error = refused(&mut data, |data| data.set_json("", "[1]"));
    assert_eq!(
        error,
        SaveDataError::NotAnObject {
            found: ValueType::Array
        }
    );
    let error = refused(&mut data, |data| data.set_i64("", 1));
    assert!(matches!(error, SaveDataError::NotAnObject { .. }));
    let error = refused(&mut data, |data| data.set_json("", r#"{"a":1,"a":2}"#));
    assert!(matches!(error, SaveDataError::DuplicateField { .. }));
    let error = refused(&mut data, |data| data.set_json("", r#"{"a":1e999}"#));
    assert!(matches!(error, SaveDataError::InvalidJson { .. }));
}

#[test]
fn the_limit_is_exact_and_a_refused_write_changes_nothing() {
    let json = r#"{"a":"0123456789","l":[1]}"#;
    let mut data = SaveData::from_json(json, json.len() + 2).unwrap();
    assert_eq!(data.size_bytes(), json.len());
    let size_bytes = json.len() + 3;
    for write in [
        (|data| data.set_string("/a", "0123456789abc")) as fn(&mut SaveData) -> _,
        |data| data.set_json("/l", "[1,10]"),
        |data| data.set_i64("/l/0", 1000),
        |data| data.set_i64("/l/-", 10),
        |data| data.append("/l", "10"),
        |data| data.add_i64("/l/0", 999).map(drop),
        |data| data.merge_patch(r#"{"a":"0123456789abc"}"#),
        |data| data.apply_patch(r#"[{"op":"add","path":"/l/0","value":10}]"#),
        |data| data.set_json("", r#"{"a":"0123456789abc","l":[1]}"#),
    ] {
        let error = refused(&mut data, write);
        let limit_bytes = json.len() + 2;
        assert_eq!(
            error,
            SaveDataError::TooLarge {
                size_bytes,
                limit_bytes
            }
        );
    }
    let error = refused(&mut data, |data| data.set_null("/b"));
    assert!(matches!(error, SaveDataError::TooLarge { .. }));
    data.append("/l", "2").unwrap();
    assert_eq!(data.size_bytes(), data.limit_bytes());
}

#[test]
fn a_document_over_its_limit_can_be_made_smaller_but_not_larger() {
    let text = r#"{"a":"0123456789abcdef","n":10}"#;
    let mut data = SaveData::parse(Bytes::from_static(text.as_bytes()), 20).unwrap();
    let error = refused(&mut data, |data| data.set_i64("/n", 100));
    assert!(matches!(error, SaveDataError::TooLarge { .. }));
    data.set_i64("/n", 11).unwrap();
    data.set_i64("/n", 1).unwrap();
    data.set_string("/a", "0123456789abcde").unwrap();
    data.remove("/n").unwrap();
    assert_eq!(data.size_bytes(), r#"{"a":"0123456789abcde"}"#.len());
    assert!(data.size_bytes() > data.limit_bytes());
}

#[test]
fn no_write_makes_the_document_deeper_than_allowed() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let mut data = parse(r#"{"o":{"l":[]}}"#);
    let too_deep = |offset| SaveDataError::TooDeep { offset };
    let deeper = nested(MAX_DEPTH);
    assert_eq!(
        refused(&mut data, |data| data.set_json("/x", &deeper)),
        too_deep(MAX_DEPTH - 1)
    );
    assert_eq!(
        refused(&mut data, |data| data.append("/o/l", &deeper[2..])),
        too_deep(MAX_DEPTH - 3)
    );
    let whole = format!(r#"{{"x":{deeper}}}"#);
    assert_eq!(
        refused(&mut data, |data| data.set_json("", &whole)),
        too_deep(5 + MAX_DEPTH - 1)
    );
    assert_eq!(
        refused(&mut data, |data| data.merge_patch(&whole)),
        too_deep(5 + MAX_DEPTH - 1)
    );
    data.set_json("/x", &nested(MAX_DEPTH - 1)).unwrap();
    data.append("/o/l", &nested(MAX_DEPTH - 3)).unwrap();
    let deepest = format!("/x{}", "/0".repeat(MAX_DEPTH - 2));
    data.append(&deepest, "1").unwrap();
    let error = refused(&mut data, |data| data.append(&deepest, "[]"));
    assert_eq!(error, too_deep(0));
    let text = data.encode(None);
    assert!(SaveData::parse(text, DEFAULT_LIMIT_BYTES).is_ok());
}

#[test]
fn a_field_that_is_written_is_counted_as_it_will_be_stored() {
    let mut data = parse(r#"{"a":{ "x" : 1e15, "y" : "\u0041" },"b":[]}"#);
    data.set_i64("/a/z", 1).unwrap();
    let expected = fields(&data);
    assert_eq!(data.size_bytes(), expected.len());
    let read: serde_json::Value = serde_json::from_str(&expected).unwrap();
    assert_eq!(read["a"]["x"].as_f64(), Some(1e15));
}

#[test]
fn the_size_follows_every_element_and_member_down_to_the_last() {
    let mut data = parse(r#"{"l":[1,20],"o":{"a":1,"bc":"é\n"}}"#);
    for pointer in ["/l/0", "/l/0", "/o/bc", "/o/a", "/l", "/o"] {
        data.remove(pointer).unwrap();
        assert_eq!(data.size_bytes(), fields(&data).len(), "{pointer}");
    }
    data.set_json("/l", "[]").unwrap();
    data.set_json("/o", "{}").unwrap();
    for (pointer, json) in [
        ("/l/-", "1"),
        ("/l/-", "[2]"),
        ("/o/a", "1"),
        ("/o/b\n", "{}"),
    ] {
        data.set_json(pointer, json).unwrap();
        assert_eq!(data.size_bytes(), fields(&data).len(), "{pointer}");
    }
}
