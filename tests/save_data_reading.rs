//! Reading values by JSON Pointer.

use bytes::Bytes;
use session_locker::save_data::{
    DEFAULT_LIMIT_BYTES, ReadValue, SaveData, SaveDataError, ValueType,
};

fn parse(text: &str) -> SaveData {
    SaveData::parse(Bytes::copy_from_slice(text.as_bytes()), DEFAULT_LIMIT_BYTES).unwrap()
}

/// The document as it was stored, and the same after every field has been parsed.
fn raw_and_parsed(text: &str) -> [SaveData; 2] {
    let mut parsed = parse(text);
    for pointer in ["/n", "/s", "/b", "/z", "/l", "/o"] {
        parsed.contains(&format!("{pointer}/x/x")).ok();
        parsed.length(pointer).ok();
    }
    [parse(text), parsed]
}

const MIXED: &str =
    r#"{"n":-12,"s":"a\"é","b":true,"z":null,"l":[1,[2.5],{"x":"y"}],"o":{"a/b":1,"m~n":2,"":3}}"#;

fn not_found(pointer: &str) -> SaveDataError {
    SaveDataError::NotFound {
        pointer: pointer.into(),
    }
}

#[test]
fn values_of_every_type_are_read_at_top_level_and_inside() {
    for mut data in raw_and_parsed(MIXED) {
        assert_eq!(data.get_i64("/n"), Ok(-12));
        assert_eq!(data.get_f64("/n"), Ok(-12.0));
        assert_eq!(data.get_string("/s").as_deref(), Ok("a\"é"));
        assert_eq!(data.get_bool("/b"), Ok(true));
        assert_eq!(data.get_json("/z").as_deref(), Ok("null"));
        assert_eq!(data.get_f64("/l/1/0"), Ok(2.5));
        assert_eq!(data.get_string("/l/2/x").as_deref(), Ok("y"));
        assert_eq!(data.get_json("/l/2").as_deref(), Ok(r#"{"x":"y"}"#));
    }
}

#[test]
fn a_value_is_read_without_knowing_its_type() {
    for mut data in raw_and_parsed(MIXED) {
        assert_eq!(data.get_value("/n"), Ok(ReadValue::Integer(-12)));
        assert_eq!(
            data.get_value("/s"),
            Ok(ReadValue::String("a\"é".to_owned()))
        );
        assert_eq!(data.get_value("/b"), Ok(ReadValue::Bool(true)));
        assert_eq!(data.get_value("/z"), Ok(ReadValue::Null));
        assert_eq!(data.get_value("/l"), Ok(ReadValue::Array(3)));
        assert_eq!(data.get_value("/l/1/0"), Ok(ReadValue::Float(2.5)));
        assert_eq!(data.get_value("/o"), Ok(ReadValue::Object(3)));
        assert_eq!(data.get_value("/VersionPatch"), Ok(ReadValue::Integer(0)));
        assert_eq!(data.get_value(""), Ok(ReadValue::Object(6 + 3)));
        assert_eq!(data.get_value("/no"), Err(not_found("/no")));
        assert_eq!(data.get_names("/o").as_deref(), Ok(r#"["a/b","m~n",""]"#));
    }
}

#[test]
fn reading_a_value_or_names_changes_nothing_that_is_stored() {
    let spelled = r#"{"l" : [ 1.0e0, "\u00e9" ],"o":{ "x" : 1 }}"#;
    let mut data = parse(spelled);
    for pointer in ["", "/l", "/l/0", "/o", "/o/x"] {
        data.get_value(pointer).unwrap();
        data.get_names(pointer).ok();
    }
    assert_eq!(data.change_count(), 0);
    assert_eq!(data.get_json("/l").as_deref(), Ok(r#"[ 1.0e0, "\u00e9" ]"#));
    assert_eq!(data.get_json("/o").as_deref(), Ok(r#"{ "x" : 1 }"#));
}

#[test]
fn pointer_escapes_and_empty_names_are_understood() {
    for mut data in raw_and_parsed(MIXED) {
        assert_eq!(data.get_i64("/o/a~1b"), Ok(1));
        assert_eq!(data.get_i64("/o/m~0n"), Ok(2));
        assert_eq!(data.get_i64("/o/"), Ok(3));
    }
    let mut data = parse(r#"{"a/b":1,"~1":2,"":{"":3}}"#);
    assert_eq!(data.get_i64("/a~1b"), Ok(1));
    assert_eq!(data.get_i64("/~01"), Ok(2));
    assert_eq!(data.get_i64("//"), Ok(3));
    assert_eq!(data.get_json("/").as_deref(), Ok(r#"{"":3}"#));
}

#[test]
fn what_is_not_there_is_named_by_the_first_missing_part() {
    for mut data in raw_and_parsed(MIXED) {
        assert_eq!(data.get_i64("/no/such/thing"), Err(not_found("/no")));
        assert_eq!(data.get_i64("/o/no/thing"), Err(not_found("/o/no")));
        assert_eq!(data.get_i64("/l/3/x"), Err(not_found("/l/3")));
        assert_eq!(data.get_i64("/l/-"), Err(not_found("/l/-")));
        assert_eq!(
            data.get_i64("/l/0/x"),
            Err(SaveDataError::WrongType {
                pointer: "/l/0".into(),
                expected: "an object or an array",
                found: ValueType::Integer
            })
        );
    }
}

#[test]
fn a_malformed_pointer_is_refused_with_its_byte() {
    let mut data = parse(MIXED);
    let mut message = |pointer: &str| match data.get_json(pointer).unwrap_err() {
        SaveDataError::InvalidPointer {
            pointer: named,
            message,
        } => {
            assert_eq!(named, pointer);
            message
        }
        other => panic!("{other}"),
    };
    assert!(message("n").contains("begin with '/' (byte 0)"));
    assert!(message("/o/m~n").contains("(byte 4)"));
    assert!(message("/o~").contains("(byte 2)"));
    for index in ["/l/01", "/l/x", "/l/", "/l/+1", "/l/99999999999999999999"] {
        assert!(message(index).contains("array index"), "{index}");
    }
}

#[test]
fn the_wrong_type_is_named() {
    for mut data in raw_and_parsed(MIXED) {
        let wrong = |expected, found| {
            move |pointer: &str| SaveDataError::WrongType {
                pointer: pointer.into(),
                expected,
                found,
            }
        };
        let string = wrong("an integer", ValueType::String);
        assert_eq!(data.get_i64("/s"), Err(string("/s")));
        assert_eq!(data.get_i64("/l/2/x"), Err(string("/l/2/x")));
        let float = wrong("an integer", ValueType::Float);
        assert_eq!(data.get_i64("/l/1/0"), Err(float("/l/1/0")));
        let null = wrong("a number", ValueType::Null);
        assert_eq!(data.get_f64("/z"), Err(null("/z")));
        let integer = wrong("a bool", ValueType::Integer);
        assert_eq!(data.get_bool("/n"), Err(integer("/n")));
        let array = wrong("a string", ValueType::Array);
        assert_eq!(data.get_string("/l"), Err(array("/l")));
        let integer = wrong("an array, an object or a string", ValueType::Integer);
        assert_eq!(data.length("/n"), Err(integer("/n")));
        let object = wrong("an integer", ValueType::Object);
        assert_eq!(data.get_i64(""), Err(object("")));
    }
}

#[test]
fn whole_floats_are_read_as_integers_when_they_fit() {
    for (text, expected) in [
        ("5.0", Some(5)),
        ("-0", Some(0)),
        ("1e3", Some(1000)),
        ("9223372036854775807", Some(i64::MAX)),
        ("-9223372036854775808", Some(i64::MIN)),
        ("-9223372036854775808.0", Some(i64::MIN)),
        ("999999999999999999", Some(999_999_999_999_999_999)),
        ("9223372036854775808", None),
        ("9223372036854775808.0", None),
        ("18446744073709551616", None),
        ("1e300", None),
    ] {
        for mut data in raw_and_parsed(&format!(r#"{{"n":{text}}}"#)) {
            let found = data.get_i64("/n");
            match expected {
                Some(expected) => assert_eq!(found, Ok(expected), "{text}"),
                None => assert!(
                    matches!(found, Err(SaveDataError::OutOfRange { .. })),
                    "{text}: {found:?}"
                ),
            }
        }
    }
}

#[test]
fn floats_are_read_to_the_last_bit() {
    for (text, expected) in [
        ("0", 0.0),
        ("-0", -0.0),
        ("-0.0", -0.0),
        ("-12", -12.0),
        ("0.1", 0.1),
        ("9007199254740993", 9_007_199_254_740_992.0),
        ("18446744073709551615", 18_446_744_073_709_551_615.0),
        ("5e-324", 5e-324),
        ("1.7976931348623157e308", f64::MAX),
    ] {
        for mut data in raw_and_parsed(&format!(r#"{{"n":{text}}}"#)) {
            let found = data.get_f64("/n").unwrap();
            assert_eq!(found.to_bits(), f64::to_bits(expected), "{text}: {found}");
        }
    }
}

#[test]
fn a_number_is_an_integer_without_fraction_and_exponent() {
    for (text, expected) in [
        ("5", ValueType::Integer),
        ("18446744073709551615", ValueType::Integer),
        ("18446744073709551616", ValueType::Float),
        ("5.0", ValueType::Float),
        ("5e0", ValueType::Float),
    ] {
        for mut data in raw_and_parsed(&format!(r#"{{"n":{text}}}"#)) {
            assert_eq!(data.value_type("/n"), Ok(expected), "{text}");
        }
    }
}

#[test]
fn types_lengths_and_presence_are_told() {
    for mut data in raw_and_parsed(MIXED) {
        let types = ["", "/n", "/s", "/b", "/z", "/l", "/o"].map(|p| data.value_type(p).unwrap());
        use ValueType::{Array, Bool, Integer, Null, Object, String};
        assert_eq!(types, [Object, Integer, String, Bool, Null, Array, Object]);
        assert_eq!(data.length("/l"), Ok(3));
        assert_eq!(data.length("/o"), Ok(3));
        assert_eq!(data.length("/s"), Ok(4));
        assert_eq!(data.length("/l/1"), Ok(1));
        assert_eq!(data.length(""), Ok(6 + 3));
        for pointer in ["", "/z", "/l/2/x", "/Purchases"] {
            assert_eq!(data.contains(pointer), Ok(true), "{pointer}");
        }
        for pointer in ["/x", "/l/3", "/n/x", "/l/2/y", "/Session"] {
            assert_eq!(data.contains(pointer), Ok(false), "{pointer}");
        }
        assert!(data.contains("x").is_err());
    }
}

#[test]
fn a_field_that_cannot_be_represented_says_so_and_is_kept() {
    let text = r#"{"n":1e999,"s":"\ud800","l":[1e999],"Gold":5}"#;
    let mut data = parse(text);
    let field = |result: Result<(), SaveDataError>| match result.unwrap_err() {
        SaveDataError::UnreadableField { field, .. } => field,
        other => panic!("{other}"),
    };
    assert_eq!(field(data.get_f64("/n").map(drop)), "n");
    assert_eq!(field(data.get_i64("/n").map(drop)), "n");
    assert_eq!(field(data.get_string("/s").map(drop)), "s");
    assert_eq!(field(data.get_f64("/l/0").map(drop)), "l");
    assert_eq!(field(data.contains("/l/0").map(drop)), "l");
    assert_eq!(field(data.set_i64("/l/0", 1)), "l");
    assert_eq!(field(data.length("/l").map(drop)), "l");
    assert_eq!(data.get_json("/l").as_deref(), Ok("[1e999]"));
    data.set_i64("/Gold", 6).unwrap();
    assert!(
        data.to_json()
            .contains(r#""n":1e999,"s":"\ud800","l":[1e999],"Gold":6"#)
    );
    data.set_i64("/n", 1).unwrap();
    assert_eq!(data.get_i64("/n"), Ok(1));
}

#[test]
fn reading_is_not_a_change() {
    let mut data = parse(MIXED);
    data.get_json("").unwrap();
    data.get_f64("/l/1/0").unwrap();
    data.contains("/x").unwrap();
    assert_eq!(data.change_count(), 0);
}

#[test]
fn fields_are_found_by_name_however_many_there_are() {
    for count in [0, 1, 15, 16, 17, 18, 300] {
        let fields: Vec<_> = (0..count).map(|n| format!("\"field{n}\":{n}")).collect();
        let mut data = parse(&format!("{{{}}}", fields.join(",")));
        for n in 0..count {
            assert_eq!(data.get_i64(&format!("/field{n}")), Ok(n));
        }
        assert_eq!(data.contains("/field"), Ok(false));
        assert_eq!(data.contains(&format!("/field{count}")), Ok(false));
    }
}

#[test]
fn fields_are_found_after_others_were_removed_and_added() {
    let fields: Vec<_> = (0..40).map(|n| format!("\"field{n}\":{n}")).collect();
    let mut data = parse(&format!("{{{}}}", fields.join(",")));
    for n in (0..40).step_by(2) {
        data.remove(&format!("/field{n}")).unwrap();
    }
    for n in 40..60 {
        data.set_i64(&format!("/field{n}"), n).unwrap();
    }
    let text = data.encode(None);
    let mut again = SaveData::parse(text, DEFAULT_LIMIT_BYTES).unwrap();
    for n in 0..60 {
        let expected = n >= 40 || n % 2 == 1;
        let pointer = format!("/field{n}");
        for data in [&mut data, &mut again] {
            assert_eq!(data.get_i64(&pointer).ok(), expected.then_some(n));
        }
    }
}
