//! Sending remote changes: into the inbox of a record that the sender need not own.

mod sending;
mod support;

use std::sync::Arc;

use parking_lot::Mutex;
use sending::*;
use serde_json::{Value, json};
use session_locker::locker::LockerError;
use session_locker::remote_change::{
    INBOX_MAX_CHANGES, RemoteChangeSender, SendCallback, SendError, SendOutcome, SenderOptions,
};
use session_locker::save_data::SaveData;
use support::Fault::{FailBefore, HoldAnswer};
use support::{Creator, FaultyStorage, VirtualClock, locked, options};

#[test]
fn fault_1_an_update_returns_after_a_send_has_finished_failed_or_was_empty() {
    let world = World::on(RECORD);
    world.send(1);
    world.update();
    assert_eq!(world.heard(), [(1, SendOutcome::Sent)]);
    assert!(!world.is_sending());
    world.storage.on_fetch(&[FailBefore; 3]);
    world.send(2);
    world.update();
    assert!(world.is_sending() && world.heard().is_empty());
    world.run(60.0);
    assert_eq!(world.heard(), [(2, SendOutcome::Sent)]);
    let commits = world.storage.commits();
    world.send_to(KEY, &json!([]));
    assert!(world.is_sending());
    world.update();
    assert_eq!(world.heard(), [(3, SendOutcome::Sent)]);
    assert_eq!(
        (world.inbox(), world.storage.commits()),
        (vec![1, 2], commits)
    );
}

#[test]
fn an_empty_send_in_the_answer_of_an_empty_send_waits_for_the_next_update() {
    let world = World::on(RECORD);
    let (sender, heard) = (world.sender.clone(), Arc::clone(&world.heard));
    let again: SendCallback = Box::new(move |_, _| {
        let callback: SendCallback = Box::new(move |id, outcome| {
            heard.lock().push((id.number(), outcome));
        });
        sender
            .send(KEY, "[]", None, Some(callback))
            .expect("a send");
    });
    world.sender.send(KEY, " [ ] ", None, Some(again)).unwrap();
    world.update();
    assert!(world.is_sending() && world.heard().is_empty());
    world.update();
    assert_eq!(world.heard(), [(2, SendOutcome::Sent)]);
}

#[test]
fn fault_20_a_send_to_a_missing_record_is_answered() {
    let world = World::new();
    world.send(1);
    world.update();
    assert_eq!(world.heard(), [(1, SendOutcome::Missing)]);
    assert!(!world.is_sending() && world.storage.stored(KEY).is_none());
}

#[test]
fn a_missing_record_is_made_of_the_template() {
    let world = World::creating();
    world.send(1);
    world.send(2);
    world.update();
    let document = world.storage.document(KEY);
    assert_eq!(
        (&document["Gold"], &document["Version"]),
        (&json!(0), &json!(1))
    );
    assert!(document.get("Session").is_none());
    assert_eq!((world.inbox(), world.storage.commits()), (vec![1, 2], 1));
}

#[test]
fn a_missing_record_is_made_by_the_create_hook_which_is_tried_again_if_it_fails() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let calls = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&calls);
    let hooks = Creator(move |key: &str| {
        *counted.lock() += 1;
        match *counted.lock() {
            1 => Err("the catalogue is not loaded".to_owned()),
            2 => panic!("the catalogue is broken"),
            _ => SaveData::from_json(&json!({"Name": key}).to_string(), 1000)
                .map_err(|error| error.to_string()),
        }
    });
    let mut spec_options = options(&clock, 1);
    spec_options.template = None;
    let dyn_storage = Arc::clone(&storage) as Arc<dyn session_locker::storage::Storage>;
    let spec = session_locker::locker::LockerSpec::new(dyn_storage, spec_options, Box::new(hooks));
    let mut world = World::with(storage, |_| ());
    let mut sender_options = SenderOptions::new(7);
    sender_options.create_if_missing = true;
    let noted = Arc::clone(&world.errors);
    sender_options.report_error = Some(Arc::new(move |unheard| {
        noted.lock().push(unheard.error.message.clone());
    }));
    world.sender = RemoteChangeSender::new(&spec.unwrap(), sender_options).unwrap();
    world.send(1);
    world.update();
    assert!(world.storage.stored(KEY).is_none());
    world.run(10.0);
    assert_eq!(world.storage.document(KEY)["Name"], KEY);
    assert_eq!(
        (world.inbox(), world.outcomes()),
        (vec![1], vec![SendOutcome::Sent])
    );
    let errors = world.errors.lock();
    assert_eq!(
        errors[0],
        "making a new document failed: the catalogue is not loaded"
    );
    assert_eq!((errors.len(), *calls.lock()), (2, 3));
}

#[test]
fn ten_sends_to_a_key_go_in_one_commit_and_in_their_order() {
    let world = World::on(RECORD);
    for gold in 0..10 {
        world.send(gold);
    }
    world.send_to(KEY, &json!([give(10), give(11)]));
    world.update();
    assert_eq!(world.inbox(), (0..12).collect::<Vec<_>>());
    assert_eq!((world.storage.fetches(), world.storage.commits()), (1, 1));
    let ids: Vec<u64> = world.heard().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, (1..=11).collect::<Vec<_>>());
}

#[test]
fn a_send_made_while_a_commit_is_under_way_goes_with_the_next() {
    let world = World::on(RECORD);
    world.storage.on_commit(&[HoldAnswer]);
    world.send(1);
    world.update();
    world.send(2);
    world.send(3);
    world.update();
    assert!(world.storage.commits() == 1, "one commit in flight a key");
    world.storage.let_go();
    world.update();
    assert_eq!((world.inbox(), world.storage.commits()), (vec![1, 2, 3], 2));
}

#[test]
fn an_owned_key_is_added_to_once_in_two_seconds() {
    let world = World::on(locked(5, 77, 1.0));
    let before = world.storage.document(KEY);
    let start = world.clock.now();
    world.update();
    for gold in 0..40 {
        world.send(gold);
        world.run(0.25);
    }
    world.run(3.0);
    assert_eq!(world.inbox(), (0..40).collect::<Vec<_>>());
    let writes: Vec<f64> = world
        .storage
        .history()
        .iter()
        .filter(|write| write.by_server)
        .map(|write| write.at - support::WALL_START - start)
        .collect();
    assert!((5..=7).contains(&writes.len()), "{writes:?}");
    assert!(
        writes.windows(2).all(|pair| pair[1] - pair[0] >= 2.0),
        "{writes:?}"
    );
    let after = world.storage.document(KEY);
    let session = |document: &Value| {
        let session = &document["Session"];
        let number = |field: &str| session[field].as_f64().expect("a number");
        let numbers = ["PlaceId", "LockId", "UpdatedAt", "Expiry"].map(number);
        (session["JobId"].clone(), numbers)
    };
    assert_eq!(session(&after), session(&before));
    assert_eq!(
        (&after["Saves"], &after["Gold"]),
        (&before["Saves"], &before["Gold"])
    );
}

#[test]
fn many_keys_are_sent_to_within_the_budget_of_an_update() {
    let world = World::creating();
    for number in 0..300 {
        world.send_to(&format!("Player_{number}"), &json!([give(number)]));
    }
    world.update();
    let begun = world.storage.fetches() + world.storage.commits();
    assert_eq!(begun, 128);
    for _ in 0..5 {
        world.update();
    }
    assert_eq!(world.outcomes(), [SendOutcome::Sent; 300]);
    for number in 0..300 {
        assert_eq!(
            inbox_of(&world.storage, &format!("Player_{number}")),
            [number]
        );
    }
}

#[test]
fn an_idle_update_touches_nothing_however_many_keys_were_sent_to() {
    let world = World::creating();
    for number in 0..2000 {
        world.send_to(&format!("Player_{number}"), &json!([give(number)]));
    }
    while world.is_sending() {
        world.update();
    }
    let touches = world.sender.touches().unwrap();
    world.run(100.0);
    world.jump(2.0 * DAY);
    assert_eq!(world.sender.touches().unwrap(), touches);
}

#[test]
fn a_change_is_stored_as_it_was_given_with_an_id_and_a_time_of_the_senders() {
    let world = World::on(RECORD);
    let given = r#" [ { "K" : "set" , "x":1.50, "deep":{"a":[1e3,"\u00e9"]}, "x2":18446744073709551615 },
        {"I":5,"K":"gi\u0076e","\u0041":7,"gold":1,"I":"mine"} ] "#;
    world.sender.send(KEY, given, None, None).unwrap();
    world.update();
    let stored = world.storage.stored(KEY).unwrap();
    let first = r#"{ "K" : "set" , "x":1.50, "deep":{"a":[1e3,"\u00e9"]}, "x2":18446744073709551615 ,"I":""#;
    assert!(stored.contains(first), "{stored}");
    assert!(
        stored.contains(r#"{"K":"gi\u0076e","gold":1,"I":""#),
        "{stored}"
    );
    let document = world.storage.document(KEY);
    let change = &document["RemoteChanges"][1];
    let id = change["I"].as_str().unwrap();
    let (sender, sequence) = id.split_once(':').unwrap();
    assert!(sender.len() == 24 && sender.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(
        (sequence, &change["A"]),
        ("2", &json!(support::WALL_START as i64))
    );
    assert_eq!(document["Received"][0][0], sender);
    assert_eq!(document["Received"][0][1], 2);
}

#[test]
fn all_else_in_a_record_stays_byte_for_byte() {
    let fields = r#""Odd" : [ 1.0 ,2e0, 1e999 ] , "Text":"\u0041""#;
    let stored =
        format!(r#"{{"Version":3,{fields},"Gifts":[["g",5]],"Purchases":[[7,"p",9,"Player_2"]]}}"#);
    let world = World::on(stored);
    world.send(1);
    world.update();
    let stored = world.storage.stored(KEY).unwrap();
    for part in [
        r#""Odd":[ 1.0 ,2e0, 1e999 ]"#,
        r#""Text":"\u0041""#,
        r#""Version":3"#,
        r#""Gifts":[["g",5]]"#,
        r#""Purchases":[[7,"p",9,"Player_2"]]"#,
    ] {
        assert!(stored.contains(part), "{part} is not in {stored}");
    }
}

#[test]
fn a_record_that_is_no_document_is_left_alone() {
    for stored in ["not JSON", r#"{"RemoteChanges":7}"#, "[]"] {
        let world = World::on(stored);
        world.send(1);
        world.send(2);
        world.update();
        assert_eq!(world.outcomes(), [SendOutcome::Corrupt; 2]);
        assert_eq!(world.storage.stored(KEY).as_deref(), Some(stored));
        assert_eq!(world.errors.lock().len(), 1);
    }
}

#[test]
fn a_send_that_does_not_fit_into_the_inbox_ends_and_a_smaller_one_goes() {
    let full: Vec<Value> = (0..INBOX_MAX_CHANGES as i64 - 2)
        .map(|id| json!({"K": "k", "I": id, "A": 1, "gold": 0}))
        .collect();
    let world = World::on(json!({"Version": 1, "RemoteChanges": full}).to_string());
    world.send_to(KEY, &json!([give(1), give(2), give(3)]));
    world.send_to(KEY, &json!([give(4), give(5)]));
    world.send_to(KEY, &json!([give(6)]));
    world.run(0.5);
    let (full, sent) = (SendOutcome::InboxFull, SendOutcome::Sent);
    let mut heard = world.heard();
    heard.sort_by_key(|(id, _)| *id);
    assert_eq!(heard, [(1, full), (2, sent), (3, full)]);
    assert_eq!(world.inbox()[INBOX_MAX_CHANGES - 2..], [4, 5]);
}

#[test]
fn an_inbox_takes_a_mebibyte() {
    let world = World::on(RECORD);
    let text = "x".repeat(500_000);
    let long = json!([{"K": "k", "text": text, "gold": 1}]);
    for _ in 0..3 {
        world.send_to(KEY, &long);
    }
    world.update();
    let mut heard = world.heard();
    heard.sort_by_key(|(id, _)| *id);
    let (full, sent) = (SendOutcome::InboxFull, SendOutcome::Sent);
    assert_eq!(heard, [(1, sent), (2, sent), (3, full)]);
    assert_eq!(world.inbox(), [1, 1]);
}

#[test]
fn beyond_256_senders_are_forgotten_after_seven_days_and_ten_thousand_are_remembered() {
    let now = support::WALL_START;
    let old = |name: &str| json!([name, 1, now - 7.0 * DAY - 1.0]);
    let young = json!(["young", 1, now - 7.0 * DAY + 1.0]);
    for (others, first) in [(254, "old"), (255, "young")] {
        let mut received = vec![old("old"), young.clone()];
        received.extend((0..others).map(|_| json!(["another", 1, now])));
        let world = World::on(json!({"Version": 1, "Received": received}).to_string());
        world.send(1);
        world.update();
        let received = world.storage.document(KEY)["Received"].clone();
        assert_eq!(
            (received[0][0].as_str(), received.as_array().unwrap().len()),
            (Some(first), 257)
        );
    }

    let many: Vec<Value> = (0..9_999)
        .map(|sender| json!([sender.to_string(), 1, now]))
        .collect();
    let world = World::on(json!({"Version": 1, "Received": many}).to_string());
    world.operate("5", 1);
    world.operate("new", 2);
    world.operate("another", 3);
    world.operate("new", 2);
    world.update();
    let (full, sent) = (SendOutcome::InboxFull, SendOutcome::Sent);
    let mut heard = world.heard();
    heard.sort_by_key(|(id, _)| *id);
    assert_eq!(heard, [(1, sent), (2, sent), (3, full), (4, sent)]);
    assert_eq!(world.inbox(), [2, 2]);
}

#[test]
fn a_sender_that_goes_answers_each_send_once() {
    let world = World::on(RECORD);
    world.storage.put("held", RECORD);
    world.send(1);
    world.update();
    world.storage.on_commit(&[HoldAnswer]);
    world.send_to("held", &json!([give(2)]));
    world.update();
    world.send_to("held", &json!([give(3)]));
    world.send_to("never tried", &json!([give(4)]));
    world.send_to(KEY, &json!([]));
    let World {
        sender,
        heard,
        storage,
        ..
    } = world;
    drop(sender);
    let mut answers = std::mem::take(&mut *heard.lock());
    answers.sort_by_key(|(id, _)| *id);
    use SendOutcome::{NotSent, Sent, Unknown};
    assert_eq!(
        answers,
        [
            (1, Sent),
            (2, Unknown),
            (3, NotSent),
            (4, NotSent),
            (5, Sent)
        ]
    );
    storage.let_go();
    assert_eq!(
        (heard.lock().len(), inbox_of(&storage, "held")),
        (0, vec![2])
    );
}

#[test]
fn a_closed_sender_answers_what_is_left_and_takes_nothing_new() {
    let world = World::on(RECORD);
    world.send(1);
    world.sender.close().unwrap();
    assert_eq!(world.heard(), [(1, SendOutcome::NotSent)]);
    let refused = world.sender.send(KEY, "[]", None, None);
    assert_eq!(refused, Err(SendError::Locker(LockerError::Closed)));
    world.update();
    assert!(world.inbox().is_empty() && world.heard().is_empty());
}

#[test]
fn an_update_inside_an_answer_is_refused() {
    let world = World::on(RECORD);
    let (sender, heard) = (world.sender.clone(), Arc::new(Mutex::new(Vec::new())));
    let noted = Arc::clone(&heard);
    let callback: SendCallback = Box::new(move |_, _| {
        noted.lock().push((sender.update(9.0), sender.close()));
        sender
            .send(KEY, "[{\"K\":\"k\",\"gold\":2}]", None, None)
            .unwrap();
    });
    world
        .sender
        .send(KEY, "[{\"K\":\"k\",\"gold\":1}]", None, Some(callback))
        .unwrap();
    world.update();
    world.update();
    assert_eq!(
        *heard.lock(),
        [(Err(LockerError::Busy), Err(LockerError::Busy))]
    );
    assert_eq!(world.inbox(), [1, 2]);
}

#[test]
fn with_the_apis_disabled_nothing_is_read_or_written() {
    let storage = FaultyStorage::new();
    let world = World::with(storage, |options| options.disable_apis = true);
    world.send(1);
    world.update();
    assert_eq!(world.heard(), [(1, SendOutcome::Sent)]);
    assert_eq!((world.storage.fetches(), world.storage.commits()), (0, 0));
}

#[test]
fn what_cannot_be_sent_is_refused_and_said_where() {
    let world = World::on(RECORD);
    let refused = |json: &str| {
        let error = world.sender.send(KEY, json, None, None).unwrap_err();
        error.to_string()
    };
    let says = |json: &str, words: &str| {
        let said = refused(json);
        assert!(said.contains(words), "{json}: {said}");
    };
    says("", "invalid JSON at byte 0");
    says("{}", "\"\" has to be an array, it is an object");
    says(
        "[{\"K\":\"k\"},7]",
        "\"/1\" has to be an object, it is a float",
    );
    says("[{\"K\":\"k\"},{\"k\":1}]", "there is nothing at \"/1/K\"");
    says("[{\"K\":5}]", "\"/0/K\" has to be a string");
    says(
        "[{\"K\":\"\"}]",
        "\"/0/K\": it has 0 bytes, but must have 1 to 256",
    );
    says(
        "[{\"K\":\"k\",\"\\u004b\":\"k\"}]",
        "\"K\" is there twice, the second time at byte 10",
    );
    says(
        "[{\"K\":\"k\"}, {\"K\":\"k\",\"x\":1e999}]",
        "invalid JSON at byte 29",
    );
    says("[{\"K\":\"k\",\"x\":\"\\ud800\"}]", "invalid JSON");
    says("[{\"K\":\"k\"}", "invalid JSON at byte 10");
    let deep = format!(
        "[{{\"K\":\"k\",\"x\":{}{}}}]",
        "[".repeat(125),
        "]".repeat(125)
    );
    world.sender.send(KEY, &deep, None, None).unwrap();
    let deeper = format!(
        "[{{\"K\":\"k\",\"x\":{}{}}}]",
        "[".repeat(126),
        "]".repeat(126)
    );
    says(&deeper, "deeper than 128 levels at byte 139");
    says(
        &" ".repeat((1 << 20) + 1),
        "have 1048577 bytes, but at most 1048576",
    );
    let many = format!("[{}{{\"K\":\"k\"}}]", "{\"K\":\"k\"},".repeat(10_000));
    says(&many, "10001 remote changes were given, but at most 10000");
    let send = |key: &str, operation_id| world.sender.send(key, "[]", operation_id, None);
    assert_eq!(
        send(KEY, Some("")),
        Err(SendError::InvalidOperationId { bytes: 0 })
    );
    let long = "i".repeat(129);
    assert_eq!(
        send(KEY, Some(&long)),
        Err(SendError::InvalidOperationId { bytes: 129 })
    );
    assert_eq!(
        send("", None),
        Err(LockerError::InvalidKey { bytes: 0 }.into())
    );
    world.update();
    let read = SaveData::parse(world.storage.stored(KEY).unwrap().into(), 1000);
    assert_eq!(
        read.expect("still a document")
            .reserved()
            .remote_changes
            .len(),
        1
    );
}

#[test]
fn an_owner_takes_over_what_was_sent_while_it_played() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let server = support::Server::new(&storage, &clock, 3);
    let profile = server.store.start_session(KEY, &["1001"]).unwrap();
    server.update();
    let world = World::of_spec(storage, options(&clock, 1), Arc::clone(&clock), |_| ());
    support::add_gold(&profile, 7);
    world.send(1);
    world.update();
    assert_eq!(world.storage.user_ids(KEY), ["1001"]);
    profile.mark_force_save().unwrap();
    server.update();
    let document = world.storage.document(KEY);
    assert_eq!((&document["Gold"], world.inbox()), (&json!(7), vec![1]));
    assert!(profile.is_available().unwrap());
}
