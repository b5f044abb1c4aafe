//! Sending remote changes: into the inbox of a record that the sender need not own, exactly once.

mod support;

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use session_locker::clock::Clock;
use session_locker::locker::{LockerError, SpecOptions};
use session_locker::remote_change::{
    INBOX_MAX_CHANGES, RemoteChangeSender, SendCallback, SendError, SendId, SendOutcome,
    SenderOptions,
};
use session_locker::save_data::SaveData;
use support::Fault::{Conflict, ConflictAfter, FailAfter, FailBefore, HoldAnswer, HoldRequest};
use support::{Creator, FaultyStorage, Server, VirtualClock, locked, options, spec};

const KEY: &str = "Player_1";
const DAY: f64 = 86_400.0;

type Heard = Arc<Mutex<Vec<(u64, SendOutcome)>>>;

/// A sender and what its host has heard.
struct World {
    storage: Arc<FaultyStorage>,
    clock: Arc<VirtualClock>,
    sender: RemoteChangeSender,
    heard: Heard,
    errors: Arc<Mutex<Vec<String>>>,
}

impl World {
    fn new() -> Self {
        Self::with(FaultyStorage::new(), |_| ())
    }

    /// With a record that is there already.
    fn on(document: impl AsRef<str>) -> Self {
        let world = Self::new();
        world.storage.put(KEY, document);
        world
    }

    fn creating() -> Self {
        Self::with(FaultyStorage::new(), |options| {
            options.create_if_missing = true
        })
    }

    fn with(storage: Arc<FaultyStorage>, change: impl FnOnce(&mut SenderOptions)) -> Self {
        let clock = Arc::clone(storage.clock());
        Self::of_spec(storage, options(&clock, 1), clock, change)
    }

    fn of_spec(
        storage: Arc<FaultyStorage>,
        spec_options: SpecOptions,
        clock: Arc<VirtualClock>,
        change: impl FnOnce(&mut SenderOptions),
    ) -> Self {
        let errors = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&errors);
        let mut options = SenderOptions::new(7);
        options.report_error = Some(Arc::new(move |unheard| {
            let error = unheard.error;
            let words = format!("{} {}: {}", unheard.key, error.activity, error.message);
            noted.lock().push(words);
        }));
        change(&mut options);
        let sender = RemoteChangeSender::new(&spec(&storage, spec_options), options);
        Self {
            storage,
            clock,
            sender: sender.expect("a sender"),
            heard: Heard::default(),
            errors,
        }
    }

    fn callback(&self) -> SendCallback {
        let heard = Arc::clone(&self.heard);
        Box::new(move |id: SendId, outcome| heard.lock().push((id.number(), outcome)))
    }

    fn send_to(&self, key: &str, changes: &Value) -> u64 {
        let sent = self
            .sender
            .send(key, &changes.to_string(), None, Some(self.callback()));
        sent.expect("a send").number()
    }

    /// Sends one change that gives so much gold.
    fn send(&self, gold: i64) -> u64 {
        self.send_to(KEY, &json!([give(gold)]))
    }

    fn operate(&self, operation_id: &str, gold: i64) -> u64 {
        let changes = json!([give(gold), give(gold)]).to_string();
        let sent = self
            .sender
            .send(KEY, &changes, Some(operation_id), Some(self.callback()));
        sent.expect("a send").number()
    }

    fn update(&self) {
        self.sender.update(self.clock.now()).expect("an update");
    }

    fn run(&self, seconds: f64) {
        let end = self.clock.now() + seconds;
        while self.clock.now() < end {
            self.clock.advance(0.25);
            self.update();
        }
    }

    fn jump(&self, seconds: f64) {
        self.clock.advance(seconds);
        self.update();
    }

    /// How sends have ended since the last look.
    fn heard(&self) -> Vec<(u64, SendOutcome)> {
        std::mem::take(&mut *self.heard.lock())
    }

    fn outcomes(&self) -> Vec<SendOutcome> {
        self.heard()
            .into_iter()
            .map(|(_, outcome)| outcome)
            .collect()
    }

    fn is_sending(&self) -> bool {
        self.sender.is_sending().expect("an answer")
    }

    /// The gold of each change in the inbox.
    fn inbox(&self) -> Vec<i64> {
        inbox_of(&self.storage, KEY)
    }
}

fn give(gold: i64) -> Value {
    json!({"K": "give", "gold": gold})
}

fn inbox_of(storage: &FaultyStorage, key: &str) -> Vec<i64> {
    let document = storage.document(key);
    let changes = document["RemoteChanges"].as_array().cloned();
    let gold = |change: Value| change["gold"].as_i64().expect("gold");
    changes.unwrap_or_default().into_iter().map(gold).collect()
}

const RECORD: &str = r#"{"Version":1,"VersionPatch":0,"Gold":5}"#;

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
fn fault_19_sends_whose_answers_are_lost_arrive_once() {
    for faults in [
        vec![FailAfter],
        vec![ConflictAfter],
        vec![FailBefore, FailAfter, FailBefore],
        vec![FailAfter, FailAfter],
        vec![HoldAnswer],
        vec![HoldRequest],
        vec![HoldRequest, HoldRequest, FailAfter],
    ] {
        for owned in [false, true] {
            let world = match owned {
                true => World::on(locked(5, 77, 1.0)),
                false => World::on(RECORD),
            };
            world.storage.on_commit(&faults);
            world.send(1);
            world.update();
            world.send(2);
            world.run(20.0);
            world.storage.let_go();
            world.run(100.0);
            world.storage.let_go();
            world.run(100.0);
            assert_eq!(world.inbox(), [1, 2], "{faults:?}");
            let all = [(1, SendOutcome::Sent), (2, SendOutcome::Sent)];
            assert_eq!(world.heard(), all, "{faults:?}");
        }
    }
}

#[test]
fn fault_19_a_commit_that_is_carried_out_late_is_fenced_off_or_recognised() {
    let world = World::on(RECORD);
    world.storage.on_commit(&[HoldRequest, HoldRequest]);
    world.send(1);
    world.update();
    // It times out, and so does the second attempt; then the first is carried out.
    world.run(65.0);
    assert_eq!(world.storage.held(), 2);
    world.storage.let_go_of(0);
    world.run(60.0);
    world.storage.let_go();
    world.run(60.0);
    assert_eq!(
        (world.inbox(), world.outcomes()),
        (vec![1], vec![SendOutcome::Sent])
    );
}

#[test]
fn fault_19_what_others_have_applied_meanwhile_does_not_come_again() {
    let world = World::on(RECORD);
    world.storage.on_commit(&[FailAfter]);
    world.send(1);
    world.update();
    world.storage.edit(KEY, |document| {
        document.as_object_mut().unwrap().remove("RemoteChanges");
        document["Gold"] = json!(6);
    });
    world.run(5.0);
    assert_eq!(world.outcomes(), [SendOutcome::Sent]);
    assert_eq!(world.inbox(), Vec::<i64>::new());
    assert_eq!(world.errors.lock().len(), 1);
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
fn a_record_that_is_erased_while_a_send_is_under_way_stays_erased() {
    let world = World::creating();
    world.storage.put(KEY, RECORD);
    world.storage.on_commit(&[Conflict]);
    world.send(1);
    world.update();
    world.storage.erase(KEY);
    world.run(5.0);
    assert_eq!(world.outcomes(), [SendOutcome::Missing]);
    assert!(world.storage.stored(KEY).is_none());
    world.send(2);
    world.update();
    assert_eq!(world.inbox(), [2], "a new send may create it");
}

#[test]
fn a_creation_of_unknown_fate_is_tried_again_only_where_nothing_has_happened() {
    let world = World::creating();
    world.storage.on_commit(&[FailBefore]);
    world.send(1);
    world.run(5.0);
    assert_eq!(
        (world.inbox(), world.outcomes()),
        (vec![1], vec![SendOutcome::Sent])
    );

    let world = World::creating();
    world.storage.on_commit(&[FailAfter]);
    world.send(1);
    world.update();
    world.storage.erase(KEY);
    world.run(5.0);
    assert_eq!(world.outcomes(), [SendOutcome::Missing]);
    assert!(world.storage.stored(KEY).is_none());
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
fn order_is_kept_through_failures() {
    let world = World::on(RECORD);
    world.storage.misbehave(3, 0.4);
    for gold in 0..40 {
        world.send(gold);
        world.run(0.5);
        if gold % 5 == 0 {
            world.storage.let_go();
        }
    }
    world.storage.heal();
    world.storage.let_go();
    world.run(120.0);
    assert_eq!(world.inbox(), (0..40).collect::<Vec<_>>());
    assert_eq!(
        world.heard(),
        (1..=40)
            .map(|id| (id, SendOutcome::Sent))
            .collect::<Vec<_>>()
    );
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
fn the_pace_counts_for_a_commit_whose_answer_was_lost_too() {
    let world = World::on(locked(5, 77, 1.0));
    world.storage.on_commit(&[FailAfter]);
    world.send(1);
    world.update();
    world.send(2);
    world.run(1.75);
    assert_eq!(
        (world.inbox(), world.outcomes()),
        (vec![1], vec![SendOutcome::Sent])
    );
    world.run(0.5);
    assert_eq!(world.inbox(), [1, 2]);
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
fn an_operation_that_is_sent_again_by_another_process_arrives_once() {
    let world = World::on(RECORD);
    world.storage.on_commit(&[FailAfter]);
    world.operate("refund \"7\"", 1);
    world.update();
    drop(world.sender);
    let storage = Arc::clone(&world.storage);
    let again = World::with(storage, |options| options.seed = 8);
    again.operate("refund \"7\"", 1);
    again.operate("refund 8", 2);
    again.operate("refund 8", 2);
    again.send(3);
    again.update();
    assert_eq!(again.inbox(), [1, 1, 2, 2, 3]);
    assert_eq!(again.outcomes(), [SendOutcome::Sent; 4]);
    let document = again.storage.document(KEY);
    let received = document["Received"].as_array().unwrap();
    assert_eq!(received[0][0], "refund \"7\"");
    assert_eq!((received.len(), &received[0][1]), (3, &json!(2)));
    assert_eq!(document["RemoteChanges"][1]["I"], "refund \"7\":2");
}

#[test]
fn a_sender_that_is_started_again_with_the_same_seed_is_another() {
    let world = World::on(RECORD);
    world.send(1);
    world.update();
    world.clock.advance(1.0);
    let (storage, clock) = (Arc::clone(&world.storage), Arc::clone(&world.clock));
    let again = World::of_spec(storage, options(&world.clock, 1), clock, |_| ());
    again.send(2);
    again.update();
    assert_eq!(
        (world.inbox(), again.outcomes()),
        (vec![1, 2], vec![SendOutcome::Sent])
    );
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
fn after_a_day_a_send_ends_as_not_sent_or_unknown() {
    let world = World::on(RECORD);
    world.storage.on_fetch(&vec![FailBefore; 10_000]);
    world.send(1);
    world.update();
    world.run(10.0);
    world.send(2);
    world.jump(DAY - 10.5);
    assert!(world.heard().is_empty());
    world.jump(1.0);
    assert_eq!(world.heard(), [(1, SendOutcome::NotSent)]);
    world.jump(10.0);
    assert_eq!(world.heard(), [(2, SendOutcome::NotSent)]);
    world.storage.heal();

    world.storage.on_commit(&[HoldRequest]);
    world.send(3);
    world.update();
    world.storage.on_fetch(&vec![FailBefore; 10_000]);
    world.jump(31.0);
    world.jump(DAY);
    assert_eq!(world.heard(), [(3, SendOutcome::Unknown)]);
    assert!(!world.is_sending());
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
fn what_is_known_to_have_failed_is_not_sent_rather_than_unknown() {
    // A conflict says that nothing was written.
    let world = World::on(RECORD);
    world.storage.on_commit(&[Conflict]);
    world.send(1);
    world.update();
    world.sender.close().unwrap();
    assert_eq!(world.heard(), [(1, SendOutcome::NotSent)]);

    // So does a fetch that shows the key at another revision without it.
    let world = World::on(RECORD);
    world.storage.on_commit(&[FailBefore, Conflict]);
    world.send(1);
    world.update();
    world
        .storage
        .edit(KEY, |document| document["Gold"] = json!(6));
    while world.storage.commits() < 2 {
        world.run(0.25);
    }
    world.sender.close().unwrap();
    assert_eq!(world.heard(), [(1, SendOutcome::NotSent)]);
    assert!(world.inbox().is_empty());

    // A conflict says so only of its own commit.
    let world = World::on(RECORD);
    world.storage.on_commit(&[FailBefore, Conflict]);
    world.send(1);
    world.update();
    world.send(2);
    while world.storage.commits() < 2 {
        world.run(0.25);
    }
    world.sender.close().unwrap();
    let (unknown, not_sent) = (SendOutcome::Unknown, SendOutcome::NotSent);
    assert_eq!(world.heard(), [(1, unknown), (2, not_sent)]);
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
fn conflicts_with_other_writers_are_met_with_growing_waits() {
    let world = World::on(RECORD);
    world.storage.on_commit(&[Conflict; 60]);
    world.send(1);
    world.run(10.0);
    let early = world.storage.commits();
    world.run(290.0);
    let late = world.storage.commits() - early;
    assert!((4..=20).contains(&early), "{early} in 10 s");
    assert!((10..=40).contains(&late), "{late} in 290 s");
    assert!(world.errors.lock().is_empty(), "a conflict is no error");
    world.storage.heal();
    world.run(31.0);
    assert_eq!(
        (world.inbox(), world.outcomes()),
        (vec![1], vec![SendOutcome::Sent])
    );
}

#[test]
fn failures_are_reported_and_met_with_growing_waits() {
    let world = World::on(RECORD);
    world.storage.on_fetch(&[FailBefore; 60]);
    world.send(1);
    world.run(10.0);
    let early = world.storage.fetches();
    world.run(290.0);
    assert!((4..=20).contains(&early) && world.storage.fetches() < early + 40);
    let errors = world.errors.lock();
    let expected = "Player_1 sending remote changes: the test's storage is down";
    assert!(
        errors.len() == world.storage.fetches() && errors[0] == expected,
        "{errors:?}"
    );
}

#[test]
fn a_request_that_is_not_answered_times_out() {
    let world = World::on(RECORD);
    world.storage.on_fetch(&[HoldAnswer]);
    world.send(1);
    world.run(29.0);
    assert!(world.inbox().is_empty());
    world.run(3.0);
    assert_eq!(
        (world.inbox(), world.outcomes()),
        (vec![1], vec![SendOutcome::Sent])
    );
    world.storage.let_go();
    world.run(3.0);
    assert_eq!((world.inbox(), world.outcomes()), (vec![1], vec![]));
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

#[test]
fn a_sender_whose_wall_clock_is_far_behind_sends_once() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let server = Server::new(&storage, &clock, 1);
    let ann = server.load(KEY);
    // A machine whose clock is not set yet.
    let behind = clock.skewed(-support::WALL_START + 1000.0);
    let mut behind_options = options(&clock, 2);
    behind_options.clock = behind as Arc<dyn Clock>;
    let sender =
        RemoteChangeSender::new(&spec(&storage, behind_options), SenderOptions::new(7)).unwrap();
    storage.on_commit(&[HoldAnswer]);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&heard);
    sender
        .send(
            KEY,
            &json!([give(1)]).to_string(),
            None,
            Some(Box::new(move |_, outcome| into.lock().push(outcome))),
        )
        .unwrap();
    sender.update(clock.now()).unwrap();
    assert_eq!(
        storage.document(KEY)["RemoteChanges"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    // The owner saves, takes the change over, and then the sender looks what became of it.
    ann.mark_force_save().unwrap();
    server.run(2.0);
    for _ in 0..90 {
        clock.advance(1.0);
        sender.update(clock.now()).unwrap();
        server.update();
    }
    assert_eq!(*heard.lock(), [SendOutcome::Sent]);
    assert_eq!(
        storage.document(KEY)["RemoteChanges"]
            .as_array()
            .unwrap()
            .len(),
        1,
        "{}",
        storage.document(KEY)
    );
}

#[test]
fn a_sender_whose_wall_clock_is_a_week_ahead_does_not_double_anothers_changes() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    storage.put(KEY, json!({"Version": 1, "Gold": 0}).to_string());
    let sender = |seed, skew| {
        let mut of = options(&clock, seed);
        of.clock = clock.skewed(skew) as Arc<dyn Clock>;
        RemoteChangeSender::new(&spec(&storage, of), SenderOptions::new(seed)).unwrap()
    };
    let (right, fast) = (sender(1, 0.0), sender(2, 8.0 * DAY));
    storage.on_commit(&[FailAfter]);
    right
        .send(KEY, &json!([give(1)]).to_string(), None, None)
        .unwrap();
    right.update(clock.now()).unwrap();
    fast.send(KEY, &json!([give(2)]).to_string(), None, None)
        .unwrap();
    fast.update(clock.now()).unwrap();
    for _ in 0..60 {
        clock.advance(1.0);
        right.update(clock.now()).unwrap();
        fast.update(clock.now()).unwrap();
    }
    let changes = storage.document(KEY)["RemoteChanges"].clone();
    assert_eq!(changes.as_array().unwrap().len(), 2, "{changes}");
}

#[test]
fn the_time_noted_with_a_sender_does_not_run_backwards() {
    let now = support::WALL_START;
    let owner = json!({"PlaceId": 0, "JobId": "j", "LockId": 4, "UpdatedAt": now + 9.0});
    for (session, newest) in [(Value::Null, 5.0), (owner, 9.0)] {
        let mut document = json!({"Version": 1, "Received": [["another", 1, now + 5.0]]});
        if session.is_object() {
            document["Session"] = session;
        }
        let world = World::on(document.to_string());
        world.send(1);
        world.update();
        let document = world.storage.document(KEY);
        assert_eq!(document["Received"][1][2].as_f64(), Some(now + newest));
        assert_eq!(document["RemoteChanges"][0]["A"], now as i64);
    }
}

#[test]
fn a_clock_that_was_years_ahead_does_not_close_an_inbox_for_ever() {
    let ahead = support::WALL_START + 9000.0 * DAY;
    let received: Vec<Value> = (0..10_000)
        .map(|sender| json!([sender.to_string(), 1, ahead]))
        .collect();
    let world = World::on(json!({"Version": 1, "Received": received}).to_string());
    for gold in [1, 2] {
        world.operate(&format!("refund {gold}"), gold);
        world.update();
    }
    assert_eq!(world.outcomes(), [SendOutcome::Sent; 2]);
    let received = world.storage.document(KEY)["Received"].clone();
    assert_eq!(
        (received.as_array().unwrap().len(), &received[0][0]),
        (10_000, &json!("2"))
    );
}
