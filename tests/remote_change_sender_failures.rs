//! Sending remote changes exactly once: through lost answers, conflicts, crashes and wrong clocks.

mod sending;
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::Mutex;
use sending::*;
use serde_json::{Value, json};
use session_locker::clock::Clock;
use session_locker::remote_change::{RemoteChangeSender, SendOutcome, SenderOptions};
use support::Fault::{Conflict, ConflictAfter, FailAfter, FailBefore, HoldAnswer, HoldRequest};
use support::{FaultyStorage, Server, VirtualClock, locked, options, spec};

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
fn a_send_is_not_missing_because_the_storage_has_forgotten_an_erasure_before_it() {
    let world = World::creating();
    world.storage.erase(KEY);
    world.storage.on_commit(&[FailBefore]);
    world.send(1);
    world.update();
    world.storage.forget_tombstone(KEY);
    world.run(5.0);
    assert_eq!(
        (world.inbox(), world.outcomes()),
        (vec![1], vec![SendOutcome::Sent])
    );
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

#[test]
fn a_panic_of_the_hosts_takes_no_other_send_with_it() {
    let world = World::on(RECORD);
    world.send(1);
    let fails = Box::new(|_, _| panic!("the host's"));
    let to_nobody = json!([give(2)]).to_string();
    let sent = world.sender.send("Nobody", &to_nobody, None, Some(fails));
    sent.expect("a send");
    let panics = catch_unwind(AssertUnwindSafe(|| world.update()));
    assert!(panics.is_err(), "the panic is the host's to see");
    assert_eq!(world.storage.commits(), 0, "it was not handed over yet");
    world.update();
    assert_eq!(world.storage.commits(), 1);
    assert_eq!(
        (world.inbox(), world.outcomes()),
        (vec![1], vec![SendOutcome::Sent])
    );
    assert!(!world.is_sending());
}
