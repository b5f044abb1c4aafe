//! Documents that the original library stored load as they are.

use bytes::Bytes;
use serde_json::Value;
use session_locker::save_data::{DEFAULT_LIMIT_BYTES, RemoteChangeId, SaveData};

const FRESH: &str = include_str!("data/original/fresh.json");
const INVENTORY_1KB: &str = include_str!("data/original/inventory_1kb.json");
const INVENTORY_50KB: &str = include_str!("data/original/inventory_50kb.json");
const OWNED: &str = include_str!("data/original/owned_by_a_live_session.json");
const PURCHASES: &str = include_str!("data/original/purchases_and_credit.json");
const REMOTE_CHANGES: &str = include_str!("data/original/remote_changes_pending.json");
const ALL: [&str; 6] = [
    FRESH,
    INVENTORY_1KB,
    INVENTORY_50KB,
    OWNED,
    PURCHASES,
    REMOTE_CHANGES,
];

fn load(text: &str) -> SaveData {
    SaveData::parse(Bytes::copy_from_slice(text.as_bytes()), DEFAULT_LIMIT_BYTES).unwrap()
}

fn as_value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn every_document_of_the_original_library_is_stored_again_without_losing_a_digit() {
    for text in ALL {
        let mut data = load(text);
        let session = data.reserved().session.clone();
        let stored = data.encode(session.as_ref());
        let stored = std::str::from_utf8(&stored).unwrap();
        assert_eq!(as_value(stored), as_value(text));
        assert_eq!(as_value(&data.to_json()), as_value(text));
        assert_eq!(as_value(&load(stored).to_json()), as_value(text));
    }
}

#[test]
fn what_is_only_read_is_stored_again_byte_for_byte() {
    for text in ALL {
        let mut data = load(text);
        let before: Value = as_value(text);
        for name in before.as_object().unwrap().keys() {
            data.value_type(&format!("/{name}/0")).ok();
        }
        let stored = data.encode(None);
        let stored = std::str::from_utf8(&stored).unwrap();
        let settings = text.split_once("\"Settings\":").unwrap().1;
        let settings = &settings[..=settings.find('}').unwrap()];
        let inventory = text.split_once("\"Inventory\":").unwrap().1;
        let inventory = &inventory[..=inventory.find(']').unwrap()];
        assert!(stored.contains(&format!("\"Settings\":{settings}")));
        assert!(stored.contains(&format!("\"Inventory\":{inventory}")));
    }
}

#[test]
fn the_players_fields_of_the_original_library_can_be_read() {
    let mut data = load(INVENTORY_1KB);
    assert_eq!(data.version(), 1);
    assert_eq!(data.version_patch(), 0.0);
    assert_eq!(data.get_i64("/Gold"), Ok(1250));
    assert_eq!(data.get_f64("/Xp"), Ok(48213.5));
    assert_eq!(data.get_string("/DisplayName").as_deref(), Ok("PlayerOne"));
    assert_eq!(data.get_f64("/Settings/Music"), Ok(0.75));
    assert_eq!(data.get_bool("/Settings/Hints"), Ok(true));
    assert_eq!(data.length("/Inventory"), Ok(9));
    assert_eq!(
        data.get_string("/Inventory/8/Id").as_deref(),
        Ok("oak_shield_009")
    );
}

#[test]
fn purchases_and_credit_of_the_original_library_can_be_read() {
    let data = load(PURCHASES);
    let purchases = &data.reserved().purchases;
    let read: Vec<_> = purchases
        .iter()
        .map(|purchase| {
            let is_marked = purchase.mark.is_some();
            (
                purchase.product_id,
                purchase.purchase_id,
                purchase.at,
                is_marked,
            )
        })
        .collect();
    assert_eq!(
        read,
        [
            (9001, "0f8e0001-purchase".to_owned(), 1_800_000_002.0, false),
            (9002, "0f8e0002-purchase".to_owned(), 1_800_000_003.0, false),
            (9003, "0f8e0003-purchase".to_owned(), 1_800_000_003.0, false),
        ]
    );
    assert_eq!(data.reserved().product_credit, [(9002, 1), (9010, 3)]);
}

#[test]
fn the_inbox_of_the_original_library_can_be_read() {
    let data = load(REMOTE_CHANGES);
    let changes = &data.reserved().remote_changes;
    let ids: Vec<_> = changes.iter().map(|change| change.id().clone()).collect();
    let numbers = [3_313_767_226, 1_055_226_000, 4_088_940_684];
    assert_eq!(ids, numbers.map(RemoteChangeId::Number));
    assert!(changes.iter().all(|change| change.kind() == "give_gold"));
    assert!(changes.iter().all(|change| change.at() == 1_800_000_006.0));
    assert_eq!(
        changes[1].json(),
        r#"{"A":1800000006,"I":1055226000,"K":"give_gold","gold":2}"#
    );
}

#[test]
fn the_session_of_the_original_library_can_be_read() {
    assert_eq!(load(FRESH).reserved().session, None);
    let data = load(OWNED);
    let session = data.reserved().session.as_ref().unwrap();
    assert_eq!(session.place_id, 1111);
    assert_eq!(&*session.job_id, "11111111-aaaa-4bbb-8ccc-000000000001");
    assert_eq!(session.lock_id, 1_702_816_989);
    assert_eq!(session.updated_at, 1_800_000_006.0);
    assert_eq!(session.expiry, None);
}
