//! Loading and storing a document: what is refused and where, what is kept, what it costs.

use bytes::Bytes;
use session_locker::save_data::{
    DEFAULT_LIMIT_BYTES, MAX_DEPTH, SaveData, SaveDataError, Session, ValueType,
};

fn parse(text: &str) -> Result<SaveData, SaveDataError> {
    SaveData::parse(Bytes::copy_from_slice(text.as_bytes()), DEFAULT_LIMIT_BYTES)
}

fn stored(data: &mut SaveData) -> String {
    String::from_utf8(data.encode(None).to_vec()).unwrap()
}

/// `[[[…]]]`, so many levels deep.
fn nested(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

fn session() -> Session {
    Session {
        place_id: 7,
        job_id: "server \"one\"".into(),
        lock_id: (1 << 53) - 1,
        updated_at: 1_800_000_000.5,
        expiry: Some(1800.0),
    }
}

#[test]
fn an_empty_document_has_no_version_and_no_owner() {
    let mut data = parse("{}").unwrap();
    assert_eq!((data.version(), data.version_patch()), (0, 0.0));
    assert_eq!(data.reserved().session, None);
    assert_eq!(data.size_bytes(), 2);
    assert_eq!(data.change_count(), 0);
    assert_eq!(
        stored(&mut data),
        r#"{"VersionPatch":0,"Purchases":[],"ProductCredit":[]}"#
    );
}

#[test]
fn untouched_fields_are_stored_byte_for_byte_in_their_order() {
    let text = r#"{ "b" : [1.10, 1e2 , "\u0041"], "a":-0, "Version": 3,"é\n":{"x" :"\ud800"}, "big":123456789012345678901234567890 }"#;
    let mut data = parse(text).unwrap();
    assert_eq!(
        stored(&mut data),
        r#"{"Version":3,"VersionPatch":0,"Purchases":[],"ProductCredit":[],"b":[1.10, 1e2 , "\u0041"],"a":-0,"é\n":{"x" :"\ud800"},"big":123456789012345678901234567890}"#
    );
}

#[test]
fn a_field_that_is_only_read_is_stored_byte_for_byte() {
    let mut data = parse(r#"{"a":{"x" : 1.10, "y":"\u0041"}}"#).unwrap();
    let size_bytes = data.size_bytes();
    assert_eq!(data.get_f64("/a/x"), Ok(1.1));
    assert_eq!(data.length("/a"), Ok(2));
    assert_eq!(data.size_bytes(), size_bytes);
    assert_eq!(
        data.get_json("/a").as_deref(),
        Ok(r#"{"x" : 1.10, "y":"\u0041"}"#)
    );
    assert!(stored(&mut data).ends_with(r#""a":{"x" : 1.10, "y":"\u0041"}}"#));
}

#[test]
fn integers_keep_64_bits_and_floats_every_digit() {
    let numbers = r#"[9223372036854775807,-9223372036854775808,18446744073709551615,0.1,5e-324,1.7976931348623157e308,1e300]"#;
    let mut data = parse(&format!(r#"{{"n":{numbers}}}"#)).unwrap();
    data.append("/n", "1").unwrap();
    data.remove("/n/7").unwrap();
    let written: Vec<serde_json::Value> =
        serde_json::from_str(&data.get_json("/n").unwrap()).unwrap();
    let expected: Vec<serde_json::Value> = serde_json::from_str(numbers).unwrap();
    assert_eq!(written, expected);
    assert_eq!(written[0].as_i64(), Some(i64::MAX));
    assert_eq!(written[2].as_u64(), Some(u64::MAX));
}

#[test]
fn a_document_can_be_read_and_written_again_after_it_was_stored() {
    let mut data = parse(r#"{"Gold":5,"esc\"aped":[1],"List":[1,2]}"#).unwrap();
    data.set_i64("/Gold", 6).unwrap();
    data.set_string("/New", "x").unwrap();
    data.set_string("/ta\tb", "y").unwrap();
    for round in 0..3 {
        let text = data.encode(None);
        assert_eq!(data.get_i64("/Gold"), Ok(6 + round));
        assert_eq!(data.get_i64("/esc\"aped/0"), Ok(1));
        assert_eq!(data.get_string("/New").as_deref(), Ok("x"));
        assert_eq!(data.get_string("/ta\tb").as_deref(), Ok("y"));
        let mut again = SaveData::parse(text, DEFAULT_LIMIT_BYTES).unwrap();
        assert_eq!(again.to_json(), data.to_json());
        assert_eq!(again.size_bytes(), data.size_bytes());
        assert_eq!(again.get_i64("/List/1"), Ok(2));
        data.add_i64("/Gold", 1).unwrap();
    }
}

#[test]
fn storing_with_a_session_writes_it_and_leaves_what_was_read_alone() {
    let mut data = parse(r#"{"Gold":5}"#).unwrap();
    let text = data.encode(Some(&session()));
    assert!(!data.to_json().contains("Session"));
    let mut again = SaveData::parse(text, DEFAULT_LIMIT_BYTES).unwrap();
    assert_eq!(again.reserved().session, Some(session()));
    assert_eq!(again.get_f64("/Session/UpdatedAt"), Ok(1_800_000_000.5));
    assert!(!stored(&mut again).contains("Session"));
}

#[test]
fn storing_twice_gives_the_same_bytes() {
    let mut data = parse(r#"{"Gold":5,"List":[1,2,3]}"#).unwrap();
    data.set_i64("/List/1", 20).unwrap();
    let first = data.encode(None);
    assert_eq!(data.encode(None), first);
}

#[test]
fn a_stored_document_holds_on_to_nothing_but_the_text_it_was_stored_as() {
    let text = Bytes::from(br#"{"Gold":5,"List":[1,2,3],"a\"b":0}"#.to_vec());
    let mut data = SaveData::parse(text.clone(), DEFAULT_LIMIT_BYTES).unwrap();
    data.get_i64("/List/0").unwrap();
    assert!(!text.is_unique());
    let first = data.encode(None);
    assert!(text.is_unique());
    assert!(!first.is_unique());
    data.set_i64("/Gold", 6).unwrap();
    data.encode(None);
    assert!(first.is_unique());
}

#[test]
fn text_that_is_not_utf8_is_refused_with_its_offset() {
    let bytes = Bytes::from_static(b"{\"a\":\"\xff\"}");
    let error = SaveData::parse(bytes, DEFAULT_LIMIT_BYTES).unwrap_err();
    assert_eq!(error, SaveDataError::InvalidUtf8 { offset: 6 });
}

#[test]
fn text_that_is_not_json_is_refused_with_its_offset() {
    for (text, expected) in [
        ("", 0),
        ("   ", 3),
        ("{", 1),
        (r#"{"a":1"#, 6),
        (r#"{"a":1,}"#, 7),
        ("{\n\"a\":\n tru}", 11),
        (r#"{"a":[1,2 3]}"#, 10),
        (r#"{"a":1} x"#, 8),
        (r#"{a:1}"#, 1),
        (r#"{"a":01}"#, 6),
        ("\u{feff}{}", 0),
        ("[1,", 3),
    ] {
        match parse(text).unwrap_err() {
            SaveDataError::InvalidJson { offset, message } => {
                assert_eq!(offset, expected, "{text}: {message}");
                assert!(!message.contains("line"), "{message}");
            }
            other => panic!("{text}: {other}"),
        }
    }
}

#[test]
fn a_document_that_is_not_an_object_is_refused_with_its_type() {
    for (text, found) in [
        ("[1]", ValueType::Array),
        (" 5", ValueType::Integer),
        ("5.5", ValueType::Float),
        ("null", ValueType::Null),
        ("true", ValueType::Bool),
        ("\"{}\"", ValueType::String),
    ] {
        assert_eq!(
            parse(text).unwrap_err(),
            SaveDataError::NotAnObject { found }
        );
    }
}

#[test]
fn a_top_level_field_that_is_there_twice_is_refused_with_its_offset() {
    let twice = |text: &str| match parse(text).unwrap_err() {
        SaveDataError::DuplicateField { field, offset } => (field, offset),
        other => panic!("{other}"),
    };
    assert_eq!(twice(r#"{"a":1, "b":2,"a":3}"#), ("a".into(), 14));
    assert_eq!(twice(r#"{"a":1 , "\u0061":3}"#), ("a".into(), 9));
    assert_eq!(
        twice(r#"{"Version":1,"Version":2}"#),
        ("Version".into(), 13)
    );
    let many: Vec<String> = (0..100).map(|n| format!("\"f{n}\":{n}")).collect();
    let many = format!("{{{},\"f40\":0}}", many.join(","));
    assert_eq!(twice(&many), ("f40".into(), many.len() - 8));
    assert!(parse(r#"{"a":{"x":1,"x":2}}"#).is_ok());
}

#[test]
fn a_document_of_the_greatest_depth_loads_and_a_deeper_one_says_where() {
    let fits = format!(r#"{{"a":{}}}"#, nested(MAX_DEPTH - 1));
    let mut data = parse(&fits).unwrap();
    let deepest = "/0".repeat(MAX_DEPTH - 2);
    assert_eq!(data.length(&format!("/a{deepest}")), Ok(0));
    assert!(stored(&mut data).contains(&nested(MAX_DEPTH - 1)));

    let deeper = format!(r#"{{"s":"[[\"[[","a":{}}}"#, nested(MAX_DEPTH));
    let bracket = deeper.rfind('[').unwrap();
    assert_eq!(
        parse(&deeper).unwrap_err(),
        SaveDataError::TooDeep { offset: bracket }
    );
    let endless = "[".repeat(1_000_000);
    assert_eq!(
        parse(&endless).unwrap_err(),
        SaveDataError::TooDeep { offset: MAX_DEPTH }
    );
}

#[test]
fn a_document_up_to_twice_the_limit_loads_and_reserved_fields_do_not_count() {
    let load = |text: &str| SaveData::parse(Bytes::copy_from_slice(text.as_bytes()), 10);
    assert_eq!(
        load(r#"{"a":"0123456789abc"}"#).unwrap_err(),
        SaveDataError::TooLarge {
            size_bytes: 21,
            limit_bytes: 20
        }
    );
    let text = r#"{"Version":12345,"Purchases":[[1,"a long purchase id",2]],"a":"0123456789ab"}"#;
    assert_eq!(load(text).unwrap().size_bytes(), 20);
}

#[test]
fn a_new_document_ignores_reserved_names_and_has_no_version() {
    let json = r#"{"Version":9,"Session":"whose","Gold":5,"Purchases":3}"#;
    let mut data = SaveData::from_json(json, 100).unwrap();
    assert_eq!(data.version(), 0);
    assert_eq!(data.limit_bytes(), 100);
    assert_eq!(
        stored(&mut data),
        r#"{"VersionPatch":0,"Purchases":[],"ProductCredit":[],"Gold":5}"#
    );
}

#[test]
fn a_new_document_has_to_fit_the_limit_and_to_be_readable() {
    assert_eq!(
        SaveData::from_json(r#"{"Gold":5}"#, 9).unwrap_err(),
        SaveDataError::TooLarge {
            size_bytes: 10,
            limit_bytes: 9
        }
    );
    for (json, expected) in [
        (r#"{"a":[1, 1e999]}"#, 14),
        (r#"{"a":1,"b":"\ud800"}"#, 18),
        (r#"{"a":"#, 5),
    ] {
        match SaveData::from_json(json, 100).unwrap_err() {
            SaveDataError::InvalidJson { offset, .. } => {
                assert!(offset.abs_diff(expected) <= 2, "{json}: {offset}");
            }
            other => panic!("{json}: {other}"),
        }
    }
}

#[test]
fn a_backup_brings_the_players_fields_back_and_leaves_the_original_alone() {
    let mut data = parse(r#"{"Gold":5,"List":[1,2],"Version":2}"#).unwrap();
    data.set_i64("/List/0", 10).unwrap();
    let backup = data.backup();
    let before = data.to_json();
    data.set_i64("/List/0", 99).unwrap();
    data.set_i64("/Gold", 99).unwrap();
    data.set_null("/New").unwrap();
    data.remove("/List").unwrap();
    data.encode(None);
    let changes = data.change_count();
    data.restore(&backup).unwrap();
    assert_eq!(data.to_json(), before);
    assert_eq!(data.change_count(), changes + 1);
    data.set_i64("/Gold", 7).unwrap();
    data.restore(&backup).unwrap();
    assert_eq!(data.to_json(), before);
    assert_eq!(data.size_bytes(), r#"{"Gold":5,"List":[10,2]}"#.len());
}

#[test]
fn a_copy_and_its_original_change_apart() {
    let mut data = parse(r#"{"List":[1,2]}"#).unwrap();
    data.get_i64("/List/0").unwrap();
    let mut copy = data.clone();
    copy.set_i64("/List/0", 5).unwrap();
    assert_eq!(data.get_i64("/List/0"), Ok(1));
    assert_eq!(copy.get_i64("/List/0"), Ok(5));
}

#[test]
fn what_is_printed_for_debugging_leaves_the_players_data_out() {
    let data = parse(r#"{"Secret":"password"}"#).unwrap();
    assert!(!format!("{data:?} {:?}", data.backup()).contains("password"));
}

#[test]
fn no_text_makes_loading_panic() {
    let seed = r#"{"Version":1,"Session":{"PlaceId":1,"JobId":"j","LockId":2,"UpdatedAt":3},"Purchases":[[1,"p",2,"k"]],"a":{"b":[1,2.5e3,"\u0041\\"],"c":null},"RemoteChanges":[{"K":"k","I":1,"A":2}],"é":[true,false]}"#;
    let mut random = fastrand::Rng::with_seed(42);
    for _ in 0..20_000 {
        let mut bytes = seed.as_bytes().to_vec();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..bytes.len());
            match random.u8(..4) {
                0 => bytes[at] = random.u8(..),
                1 => bytes[at] = *random.choice(b"{}[]\",:0\\ -e").unwrap(),
                2 => bytes.truncate(at.max(1)),
                _ => drop(bytes.remove(at)),
            }
            if bytes.is_empty() {
                bytes.push(b'{');
            }
        }
        let Ok(mut data) = SaveData::parse(Bytes::from(bytes), DEFAULT_LIMIT_BYTES) else {
            continue;
        };
        for pointer in ["/a/b/1", "/a/b/-", "/é/0", "/Session/JobId", "", "/a/c/x"] {
            data.get_json(pointer).ok();
            data.set_i64(pointer, 5).ok();
        }
        let text = data.encode(None);
        SaveData::parse(text, DEFAULT_LIMIT_BYTES).unwrap();
    }
}

#[test]
fn a_document_can_be_handed_to_another_thread() {
    let data = parse(r#"{"Gold":5}"#).unwrap();
    let (mut moved, backup) = (data.clone(), data.backup());
    let thread = std::thread::spawn(move || {
        moved.add_i64("/Gold", 1).unwrap();
        moved.restore(&backup).unwrap();
        moved.get_i64("/Gold")
    });
    assert_eq!(thread.join().unwrap(), Ok(5));
}
