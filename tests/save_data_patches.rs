//! Merge patches (RFC 7396) and JSON patches (RFC 6902) on a document.

use bytes::Bytes;
use serde_json::{Value, json};
use session_locker::save_data::{DEFAULT_LIMIT_BYTES, SaveData, SaveDataError, ValueType};

fn parse(text: &str) -> SaveData {
    SaveData::parse(Bytes::copy_from_slice(text.as_bytes()), DEFAULT_LIMIT_BYTES).unwrap()
}

fn document() -> SaveData {
    parse(r#"{"Version":3,"Gold":5,"o":{"x":1,"y":{"z":2}},"l":[1,2,3],"raw": [1.10] }"#)
}

/// The player's fields.
fn fields(data: &SaveData) -> Value {
    let mut value: Value = serde_json::from_str(&data.to_json()).unwrap();
    for reserved in ["Version", "VersionPatch", "Purchases", "ProductCredit"] {
        value.as_object_mut().unwrap().remove(reserved);
    }
    value
}

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

/// The operation that failed, and why.
fn failed(data: &mut SaveData, patch: &Value) -> (usize, String) {
    match refused(data, |data| data.apply_patch(&patch.to_string())) {
        SaveDataError::PatchFailed { operation, message } => (operation, message),
        other => panic!("{other}"),
    }
}

#[test]
fn a_merge_patch_merges_objects_replaces_values_and_removes_nulls() {
    let mut data = document();
    data.merge_patch(r#"{"Gold":null,"o":{"x":null,"y":{"z":3,"w":4}},"l":[9],"new":{"a":null,"b":1},"no":null}"#)
        .unwrap();
    assert_eq!(
        fields(&data),
        json!({"o":{"y":{"z":3,"w":4}},"l":[9],"raw":[1.1],"new":{"b":1}})
    );
    assert_eq!(data.change_count(), 1);
    assert_eq!(data.version(), 3);
    assert_eq!(data.size_bytes(), parse(&data.to_json()).size_bytes());
    assert!(data.to_json().contains(r#""raw":[1.10]"#), "untouched");
}

#[test]
fn a_merge_patch_turns_a_scalar_into_an_object() {
    let mut data = document();
    data.merge_patch(r#"{"Gold":{"now":5,"never":null}}"#)
        .unwrap();
    assert_eq!(fields(&data)["Gold"], json!({"now": 5}));
}

#[test]
fn a_merge_patch_that_names_a_reserved_field_is_refused() {
    let mut data = document();
    for name in ["Version", "Session", "Gifts", "Purchases"] {
        let patch = format!(r#"{{"Gold":6,"{name}":null}}"#);
        let field = name.to_owned();
        assert_eq!(
            refused(&mut data, |data| data.merge_patch(&patch)),
            SaveDataError::ReservedField { field }
        );
    }
}

#[test]
fn a_merge_patch_has_to_be_an_object_without_duplicates() {
    let mut data = document();
    let found = ValueType::Array;
    assert_eq!(
        refused(&mut data, |data| data.merge_patch("[]")),
        SaveDataError::NotAnObject { found }
    );
    assert_eq!(
        refused(&mut data, |data| data.merge_patch(r#"{"a":1,"a":2}"#)),
        SaveDataError::DuplicateField {
            field: "a".into(),
            offset: 7
        }
    );
    for patch in [r#"{"a":tru}"#, r#"{"a":1e999}"#, "{"] {
        let error = refused(&mut data, |data| data.merge_patch(patch));
        assert!(matches!(error, SaveDataError::InvalidJson { .. }));
    }
}

#[test]
fn every_operation_of_a_json_patch_works() {
    let mut data = document();
    let patch = json!([
        {"op": "test", "path": "/Gold", "value": 5},
        {"op": "replace", "path": "/Gold", "value": 6},
        {"op": "add", "path": "/l/1", "value": null},
        {"op": "add", "path": "/l/-", "value": [4]},
        {"op": "remove", "path": "/o/x"},
        {"op": "move", "from": "/o/y", "path": "/moved"},
        {"op": "copy", "from": "/moved/z", "path": "/o/copied"},
        {"op": "add", "path": "/a~1b", "value": {"c": 1}},
        {"op": "test", "path": "/l/1", "value": null}
    ]);
    data.apply_patch(&patch.to_string()).unwrap();
    assert_eq!(
        fields(&data),
        json!({"Gold":6,"o":{"copied":2},"l":[1,null,2,3,[4]],"raw":[1.1],"moved":{"z":2},"a/b":{"c":1}})
    );
    assert_eq!(data.change_count(), 1);
    assert_eq!(data.size_bytes(), parse(&data.to_json()).size_bytes());
    assert!(data.to_json().contains(r#""raw":[1.10]"#), "untouched");
}

/// RFC 6902, section 4: members that an operation does not define are ignored.
#[test]
fn what_an_operation_of_a_json_patch_does_not_need_may_be_anything() {
    let mut data = document();
    let patch = r#"[{"op":"replace","path":"/Gold","value":6,"from":5,"why":null},{"op":"remove","path":"/o/x","value":1e999}]"#;
    data.apply_patch(patch).unwrap();
    assert_eq!(fields(&data)["o"], json!({"y": {"z": 2}}));
    let (_, message) = failed(&mut data, &json!([{"op": "move", "from": 5, "path": "/x"}]));
    assert!(message.contains("expected a string"), "{message}");
}

#[test]
fn a_json_patch_is_applied_whole_or_not_at_all() {
    let mut data = document();
    let change = json!({"op": "replace", "path": "/Gold", "value": 0});
    for (bad, says) in [
        (json!({"op": "test", "path": "/Gold", "value": 5}), "/Gold"),
        (json!({"op": "test", "path": "/no", "value": 5}), "/no"),
        (json!({"op": "remove", "path": "/no"}), "/no"),
        (
            json!({"op": "replace", "path": "/o/no", "value": 1}),
            "/o/no",
        ),
        (json!({"op": "add", "path": "/no/x", "value": 1}), "/no/x"),
        (json!({"op": "add", "path": "/l/4", "value": 1}), "/l/4"),
        (json!({"op": "move", "from": "/o", "path": "/o/y"}), "/o/y"),
        (json!({"op": "copy", "from": "/no", "path": "/x"}), "from"),
        (json!({"op": "move", "path": "/x"}), "from"),
        (json!({"op": "add", "path": "/x"}), "value"),
        (json!({"op": "add", "value": 1}), "path"),
        (json!({"op": "jump", "path": "/x"}), "jump"),
        (json!({"op": "remove", "path": "x"}), "begin with"),
        (json!({"op": "remove", "path": ""}), "path"),
        (json!("remove"), "object"),
    ] {
        let (operation, message) = failed(&mut data, &json!([change, bad]));
        assert_eq!(operation, 1, "{message}");
        assert!(message.contains(says), "{message}");
    }
}

#[test]
fn a_json_patch_that_is_not_a_list_of_operations_is_refused() {
    let mut data = document();
    for patch in ["", "{}", "[", "[1,]", "null"] {
        let error = refused(&mut data, |data| data.apply_patch(patch));
        assert!(
            matches!(error, SaveDataError::InvalidJson { .. }),
            "{error}"
        );
    }
}

#[test]
fn tests_compare_numbers_by_value_and_objects_in_any_order() {
    let mut data = parse(r#"{"n":5,"o":{"a":1.0,"b":[2]}}"#);
    let patch = json!([
        {"op": "test", "path": "/n", "value": 5.0},
        {"op": "test", "path": "/o", "value": {"b": [2.0], "a": 1}}
    ]);
    data.apply_patch(&patch.to_string()).unwrap();
    for value in [json!(6), json!("5"), json!(null)] {
        failed(
            &mut data,
            &json!([{"op": "test", "path": "/n", "value": value}]),
        );
    }
    let longer = json!({"a": 1, "b": [2], "c": 3});
    failed(
        &mut data,
        &json!([{"op": "test", "path": "/o", "value": longer}]),
    );
}

#[test]
fn a_json_patch_may_test_reserved_fields_and_nothing_else() {
    let mut data = document();
    let patch = json!([
        {"op": "test", "path": "/Version", "value": 3},
        {"op": "test", "path": "/Purchases", "value": []},
        {"op": "replace", "path": "/Gold", "value": 6}
    ]);
    data.apply_patch(&patch.to_string()).unwrap();
    assert_eq!(data.get_i64("/Gold"), Ok(6));
    for bad in [
        json!({"op": "add", "path": "/Purchases/-", "value": 1}),
        json!({"op": "replace", "path": "/Version", "value": 4}),
        json!({"op": "remove", "path": "/VersionPatch"}),
        json!({"op": "move", "from": "/Version", "path": "/x"}),
        json!({"op": "copy", "from": "/Version", "path": "/x"}),
        json!({"op": "copy", "from": "/Gold", "path": "/Session"}),
    ] {
        let patch = json!([{"op": "replace", "path": "/Gold", "value": 7}, bad]).to_string();
        let error = refused(&mut data, |data| data.apply_patch(&patch));
        assert!(
            matches!(error, SaveDataError::ReservedField { .. }),
            "{error}"
        );
    }
}

#[test]
fn a_json_patch_may_replace_the_whole_document_but_not_its_reserved_fields() {
    let mut data = document();
    let patch = json!([
        {"op": "replace", "path": "", "value": {"Version": 9, "Session": 1, "Gold": 1, "new": [1]}},
        {"op": "add", "path": "/new/-", "value": 2},
        {"op": "test", "path": "/Version", "value": 3}
    ]);
    data.apply_patch(&patch.to_string()).unwrap();
    assert_eq!(fields(&data), json!({"Gold": 1, "new": [1, 2]}));
    assert_eq!(data.version(), 3);
    assert_eq!(data.size_bytes(), parse(&data.to_json()).size_bytes());
    let (operation, message) = failed(&mut data, &json!([{"op": "add", "path": "", "value": [1]}]));
    assert_eq!(operation, 0);
    assert!(message.contains("object"), "{message}");
}

#[test]
fn a_json_patch_may_test_and_copy_the_whole_document() {
    let mut data = parse(r#"{"Gold":5}"#);
    let whole = json!({"VersionPatch": 0, "Purchases": [], "ProductCredit": [], "Gold": 5});
    let patch = json!([
        {"op": "test", "path": "", "value": whole},
        {"op": "copy", "from": "", "path": "/before"}
    ]);
    data.apply_patch(&patch.to_string()).unwrap();
    assert_eq!(fields(&data)["before"], whole);
    assert_eq!(data.get_i64("/Gold"), Ok(5));
}

#[test]
fn a_json_patch_cannot_make_the_document_too_deep_or_fill_the_memory() {
    let mut data = parse(r#"{"a":{}}"#);
    let level = json!({"op": "copy", "from": "/a", "path": "/a/a"});
    let (operation, message) = failed(&mut data, &Value::Array(vec![level; 200]));
    assert!(operation < 128, "{operation}");
    assert!(message.contains("deeper"), "{message}");

    let mut data = SaveData::from_json(r#"{"l":["0123456789"]}"#, 10_000).unwrap();
    let double = json!({"op": "copy", "from": "/l", "path": "/l/-"});
    let patch = Value::Array(vec![double; 60]).to_string();
    let error = refused(&mut data, |data| data.apply_patch(&patch));
    assert!(matches!(error, SaveDataError::TooLarge { .. }), "{error}");
}

#[test]
fn a_patch_leaves_a_field_that_cannot_be_read_alone() {
    let mut data = parse(r#"{"bad":[1e999],"Gold":5}"#);
    data.apply_patch(r#"[{"op":"replace","path":"/Gold","value":6}]"#)
        .unwrap();
    data.merge_patch(r#"{"Gold":7}"#).unwrap();
    let patch = r#"[{"op":"add","path":"/bad/-","value":6}]"#;
    let error = refused(&mut data, |data| data.apply_patch(patch));
    assert!(matches!(error, SaveDataError::UnreadableField { .. }));
    assert!(data.to_json().contains(r#""bad":[1e999],"Gold":7"#));
    data.merge_patch(r#"{"bad":null}"#).unwrap();
    assert!(!data.to_json().contains("bad"));
}
