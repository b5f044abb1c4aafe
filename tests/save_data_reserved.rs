//! The reserved fields: their shapes, and that hosts cannot change them.

use bytes::Bytes;
use session_locker::save_data::{
    Bought, DEFAULT_LIMIT_BYTES, Gift, MAX_DEPTH, Purchase, PurchaseMark, Received, RemoteChange,
    RemoteChangeId, SaveData, SaveDataError, SaveMark,
};

const NAMES: [&str; 9] = [
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

const FULL: &str = r#"{"Version":4,"VersionPatch":1.5,"Session":{"PlaceId":-1,"JobId":"j","LockId":9007199254740991,"UpdatedAt":1800000000.25,"Expiry":900},"Purchases":[[1,"p1",2],[3,"p2",4.5,"Player_7"],[5,"p3",6,1]],"ProductCredit":[[9002,1],[-1,3]],"RemoteChanges":[{"A":1, "I":2,"K":"gold","gold":1.0},{"K":"k","I":"id","A":2.5}],"Saves":[[1,0],[9007199254740991,18446744073709551615]],"Received":[["sender",7,1800000000]],"Gifts":[["p9",1800000000.5],["p10",6,3,"Player_7"]],"Gold":5}"#;

fn parse(text: &str) -> Result<SaveData, SaveDataError> {
    SaveData::parse(Bytes::copy_from_slice(text.as_bytes()), DEFAULT_LIMIT_BYTES)
}

#[test]
fn every_reserved_field_is_read_and_stored_again_as_it_was() {
    let mut data = parse(FULL).unwrap();
    let reserved = data.reserved().clone();
    assert_eq!((reserved.version, reserved.version_patch), (4, 1.5));
    let session = reserved.session.as_ref().unwrap();
    assert_eq!((session.place_id, &*session.job_id), (-1, "j"));
    assert_eq!(session.lock_id, (1 << 53) - 1);
    assert_eq!(session.updated_at, 1_800_000_000.25);
    assert_eq!(session.expiry, Some(900.0));
    let mark = Some(PurchaseMark::Recipient("Player_7".into()));
    let purchase = |product_id, purchase_id: &str, at, mark| Purchase {
        product_id,
        purchase_id: purchase_id.into(),
        at,
        mark,
    };
    assert_eq!(
        reserved.purchases.iter().collect::<Vec<_>>(),
        [
            purchase(1, "p1", 2.0, None),
            purchase(3, "p2", 4.5, mark),
            purchase(5, "p3", 6.0, Some(PurchaseMark::Unnamed)),
        ]
    );
    assert_eq!(reserved.product_credit, [(9002, 1), (-1, 3)]);
    let ids: Vec<_> = reserved.remote_changes.iter().map(|c| c.id()).collect();
    let text = RemoteChangeId::Text("id".into());
    assert_eq!(ids, [&RemoteChangeId::Number(2), &text]);
    let number = u64::MAX;
    let last = SaveMark {
        lock_id: (1 << 53) - 1,
        number,
    };
    assert_eq!(reserved.saves[1], last);
    assert_eq!(
        reserved.received,
        [Received {
            sender: "sender".into(),
            sequence: 7,
            at: 1_800_000_000.0
        }]
    );
    assert_eq!(
        reserved.gifts,
        [
            Gift {
                purchase_id: "p9".into(),
                at: 1_800_000_000.5,
                bought: None
            },
            Gift {
                purchase_id: "p10".into(),
                at: 6.0,
                bought: Some(Bought {
                    product_id: 3,
                    purchaser: "Player_7".into()
                })
            }
        ]
    );
    assert_eq!(data.to_json(), FULL);
    let stored = data.encode(reserved.session.as_ref());
    assert_eq!(stored, FULL.as_bytes());
    assert_eq!(data.size_bytes(), r#"{"Gold":5}"#.len());
}

#[test]
fn whole_numbers_may_be_written_as_floats() {
    let text = r#"{"Version":2.0,"VersionPatch":3.0,"Session":{"PlaceId":1e3,"JobId":"","LockId":5.0,"UpdatedAt":1.8e9,"Other":[]},"Purchases":[[1.0,"p",2.0,1.0]],"Saves":[[1.0,2.0]],"RemoteChanges":[{"K":"k","I":3313767226.0,"A":1.0}]}"#;
    let mut data = parse(text).unwrap();
    let session = data.reserved().session.clone();
    assert_eq!(
        std::str::from_utf8(&data.encode(session.as_ref())).unwrap(),
        r#"{"Version":2,"VersionPatch":3,"Session":{"PlaceId":1000,"JobId":"","LockId":5,"UpdatedAt":1800000000},"Purchases":[[1,"p",2,1]],"ProductCredit":[],"RemoteChanges":[{"K":"k","I":3313767226.0,"A":1.0}],"Saves":[[1,2]]}"#
    );
}

#[test]
fn a_reserved_field_of_another_shape_is_refused_by_name_and_entry() {
    for (field, value, says) in [
        ("Version", "0", "0 is not a version"),
        ("Version", "1.5", "1.5"),
        ("Version", "4294967296", "4294967296"),
        ("Version", r#""1""#, "string"),
        ("VersionPatch", "null", "null"),
        ("VersionPatch", "1e999", "range"),
        ("Session", "null", "null"),
        ("Session", "[1,\"j\",2,3]", "an array"),
        (
            "Session",
            r#"{"PlaceId":1,"JobId":"j","LockId":2}"#,
            "UpdatedAt",
        ),
        (
            "Session",
            r#"{"PlaceId":1,"JobId":"j","LockId":9007199254740992,"UpdatedAt":1}"#,
            "53 bits",
        ),
        ("Purchases", "{}", "map"),
        ("Purchases", r#"[[1,"p",2],[1,"p"]]"#, "entry 1:"),
        ("Purchases", r#"[[1,"p",2,1,1]]"#, "entry 0:"),
        ("Purchases", r#"[[1,"p",2,2]]"#, "entry 0: the mark is 2"),
        (
            "Purchases",
            r#"[[1.5,"p",2]]"#,
            "entry 0: the product is 1.5",
        ),
        ("ProductCredit", "[[1,2],[3,4],[5]]", "entry 2:"),
        ("ProductCredit", "[[1,9223372036854775808]]", "the count"),
        (
            "RemoteChanges",
            r#"[{"K":"k","I":1}]"#,
            "entry 0: missing field `A`",
        ),
        ("RemoteChanges", r#"[{"K":1,"I":1,"A":1}]"#, "entry 0:"),
        (
            "RemoteChanges",
            r#"[{"K":"k","I":1,"A":1},["k",1,1]]"#,
            "entry 1:",
        ),
        (
            "RemoteChanges",
            r#"[{"K":"k","I":null,"A":1}]"#,
            "I is null",
        ),
        ("Saves", "[[1,-1]]", "entry 0: the save's number is -1"),
        ("Saves", "[[-1,1]]", "entry 0: LockId is -1"),
        (
            "Received",
            r#"[["s",1,2],["s",1.5,2]]"#,
            "entry 1: the sequence",
        ),
        ("Gifts", r#"[["p"]]"#, "entry 0:"),
        ("Gifts", r#"[["p",1,2]]"#, "entry 0:"),
        ("Gifts", r#"[["p",1,2.5,"k"]]"#, "entry 0:"),
        ("Gifts", "5", "integer"),
    ] {
        match parse(&format!(r#"{{"Gold":1,"{field}":{value}}}"#)).unwrap_err() {
            SaveDataError::InvalidReserved {
                field: named,
                message,
            } => {
                assert_eq!(named, field);
                assert!(message.contains(says), "{field} {value}: {message}");
            }
            other => panic!("{field} {value}: {other}"),
        }
    }
}

#[test]
fn no_setter_changes_a_reserved_field_whether_it_is_there_or_not() {
    for text in [FULL, "{}"] {
        let mut data = parse(text).unwrap();
        let before = data.to_json();
        for name in NAMES {
            let field = format!("/{name}");
            let inside = format!("/{name}/0");
            for pointer in [&field, &inside] {
                let results = [
                    data.set_i64(pointer, 1),
                    data.set_f64(pointer, 1.0),
                    data.set_bool(pointer, true),
                    data.set_string(pointer, "x"),
                    data.set_null(pointer),
                    data.set_json(pointer, "[]"),
                    data.remove(pointer),
                ];
                for result in results {
                    let field = name.to_owned();
                    assert_eq!(result, Err(SaveDataError::ReservedField { field }));
                }
                assert!(data.add_i64(pointer, 1).is_err());
                assert!(data.append(pointer, "1").is_err());
            }
        }
        assert_eq!(data.to_json(), before);
        assert_eq!(data.change_count(), 0);
    }
}

#[test]
fn reserved_fields_are_there_when_reading() {
    let mut data = parse(FULL).unwrap();
    assert_eq!(data.get_i64("/Version"), Ok(4));
    assert_eq!(data.get_f64("/VersionPatch"), Ok(1.5));
    assert_eq!(data.get_string("/Session/JobId").as_deref(), Ok("j"));
    assert_eq!(data.get_string("/Purchases/1/3").as_deref(), Ok("Player_7"));
    assert_eq!(data.length("/Saves"), Ok(2));
    assert_eq!(data.get_f64("/RemoteChanges/0/gold"), Ok(1.0));
    assert_eq!(data.length(""), Ok(10));
}

#[test]
fn a_host_that_writes_back_the_whole_document_changes_no_reserved_field() {
    let mut data = parse(FULL).unwrap();
    let reserved = data.reserved().clone();
    let whole = data.to_json().replace("\"p1\"", "\"forged\"");
    data.set_json("", &whole).unwrap();
    assert_eq!(data.reserved(), &reserved);
    assert_eq!(data.to_json(), FULL);
}

#[test]
fn restoring_a_backup_leaves_reserved_fields_as_they_are() {
    let data = parse(r#"{"Gold":1}"#).unwrap();
    let backup = data.backup();
    let mut other = parse(FULL).unwrap();
    other.restore(&backup).unwrap();
    assert_eq!(other.to_json(), FULL.replace("\"Gold\":5", "\"Gold\":1"));
}

#[test]
fn a_remote_change_keeps_its_text() {
    let json = r#" {"K":"gold", "I":"a-1","A":1800000000.5, "gold":1.10} "#;
    let change = RemoteChange::from_json(json).unwrap();
    assert_eq!(change.json(), json.trim());
    assert_eq!((change.kind(), change.at()), ("gold", 1_800_000_000.5));
    assert_eq!(change.id(), &RemoteChangeId::Text("a-1".into()));
    for bad in [
        "",
        "[]",
        r#"{"K":"gold","I":1}"#,
        r#"{"K":"gold","I":1,"A":1}}"#,
    ] {
        let error = RemoteChange::from_json(bad).unwrap_err();
        assert!(matches!(error, SaveDataError::InvalidReserved { .. }));
    }
}

#[test]
fn a_remote_change_is_never_too_deep_for_a_document() {
    let change = |levels: usize| {
        let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        format!(r#"{{"K":"k","I":1,"A":1,"deep":{deep}}}"#)
    };
    let fits = change(MAX_DEPTH - 3);
    assert!(RemoteChange::from_json(&fits).is_ok());
    assert!(parse(&format!(r#"{{"RemoteChanges":[{fits}]}}"#)).is_ok());
    assert!(matches!(
        RemoteChange::from_json(&change(MAX_DEPTH - 2)),
        Err(SaveDataError::TooDeep { .. })
    ));
}
