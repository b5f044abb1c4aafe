//! Saving: when, what, how its failure is settled, and who is told.

mod support;

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use session_locker::locker::SaveOutcome;
use support::Fault::{
    ConflictAfter, FailAfter, FailBefore, HoldAnswer, HoldRequest, None as NoFault, Overtaken,
};
use support::{FaultyStorage, Server, VirtualClock, add_gold, gold};

const KEY: &str = "Player_1";

fn world() -> (Arc<FaultyStorage>, Server) {
    let storage = FaultyStorage::new();
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    (storage, server)
}

#[test]
fn a_forced_save_is_one_request_and_one_event() {
    let (storage, server) = world();
    let profile = server.load(KEY);
    add_gold(&profile, 5);
    server.update();
    assert_eq!(
        storage.commits(),
        1,
        "a change alone waits for the autosave"
    );
    profile.mark_force_save().unwrap();
    profile.mark_force_save().unwrap();
    server.update();
    assert_eq!(server.heard(), ["Saved"]);
    assert_eq!((storage.fetches(), storage.commits()), (1, 2));
    assert_eq!(storage.document(KEY)["Gold"], 5);
    assert_eq!(storage.document(KEY)["Saves"][0][1], 1);
}

#[test]
fn fault_27_every_session_saves_once_a_period_and_they_are_spread() {
    let (storage, server) = world();
    let keys: Vec<String> = (0..100).map(|n| format!("Player_{n}")).collect();
    let profiles: Vec<_> = keys
        .iter()
        .map(|key| server.store.start_session(key, &[]).unwrap())
        .collect();
    while !profiles.iter().all(|profile| profile.is_loaded()) {
        server.update();
    }
    let mut in_each_second = Vec::new();
    for _ in 0..300 {
        let before = storage.commits();
        server.run(1.0);
        in_each_second.push(storage.commits() - before);
    }
    assert_eq!(in_each_second.iter().sum::<usize>(), 100);
    assert!(in_each_second.iter().all(|saves| *saves < 10), "spread");
    let first_round = in_each_second.clone();
    in_each_second.clear();
    for _ in 0..300 {
        let before = storage.commits();
        server.run(1.0);
        in_each_second.push(storage.commits() - before);
    }
    assert_eq!(in_each_second, first_round, "each keeps its phase");
    assert!(
        profiles
            .iter()
            .all(|profile| profile.is_available().unwrap())
    );
}

#[test]
fn an_autosave_missed_for_long_is_made_up_for_once() {
    let (storage, server) = world();
    server.load(KEY);
    server.jump(1e7);
    server.update();
    assert_eq!(storage.commits(), 2);
    server.run(300.0);
    assert_eq!(storage.commits(), 3);
}

#[test]
fn marks_made_while_a_save_is_in_flight_lead_to_one_more_save() {
    let (storage, server) = world();
    let profile = server.load(KEY);
    storage.on_commit(&[HoldAnswer]);
    profile.mark_force_save().unwrap();
    server.update();
    for _ in 0..3 {
        add_gold(&profile, 1);
        profile.mark_force_save().unwrap();
        server.update();
    }
    assert_eq!(storage.commits(), 2);
    storage.let_go();
    server.update();
    assert_eq!(storage.commits(), 3);
    assert_eq!(storage.document(KEY)["Gold"], 3);
    assert_eq!(server.heard(), ["Saved", "Saved"]);
}

#[test]
fn fault_4_a_save_answers_only_the_waiters_it_covers() {
    let (storage, server) = world();
    let profile = server.load(KEY);
    storage.on_commit(&[HoldAnswer]);
    add_gold(&profile, 1);
    let covered = profile.when_changes_saved(None).unwrap();
    profile.mark_force_save().unwrap();
    server.update();
    add_gold(&profile, 1);
    let later = profile.when_changes_saved(None).unwrap();
    storage.let_go();
    server.update();
    assert!(covered.is_saved() && later.is_connected());
    profile.mark_force_save().unwrap();
    server.update();
    assert!(later.is_saved());
    assert_eq!(
        server.heard(),
        ["Saved", "changes Saved", "Saved", "changes Saved"]
    );
}

#[test]
fn a_wait_with_nothing_to_save_is_answered_at_the_next_update() {
    let (storage, server) = world();
    let profile = server.load(KEY);
    let wait = profile.when_changes_saved(None).unwrap();
    assert!(wait.is_saved());
    server.update();
    assert_eq!(server.heard(), ["changes Saved"]);
    assert_eq!(storage.commits(), 1);
}

#[test]
fn a_waiter_is_answered_false_when_the_session_never_began() {
    let (storage, server) = world();
    storage.put(KEY, "not JSON");
    let profile = server.start(KEY);
    let wait = profile.when_changes_saved(None).unwrap();
    server.run(60.0);
    assert_eq!(wait.outcome(), Some(SaveOutcome::NotSaved));
    profile.end_session().unwrap();
    server.update();
    let heard = server.heard();
    assert_eq!(
        heard
            .iter()
            .filter(|word| word.starts_with("changes"))
            .count(),
        1
    );
}

#[test]
fn changes_made_before_the_load_are_not_saved() {
    let (storage, server) = world();
    storage.on_fetch(&[HoldAnswer]);
    let profile = server.start(KEY);
    let nothing_to_save = profile.when_changes_saved(None).unwrap();
    add_gold(&profile, 50);
    let overwritten = profile.when_changes_saved(None).unwrap();
    storage.let_go();
    server.update();
    assert_eq!(gold(&profile), 0);
    assert_eq!(overwritten.outcome(), Some(SaveOutcome::NotSaved));
    assert!(nothing_to_save.is_saved());
}

#[test]
fn a_wait_may_be_answered_by_hand_or_given_up() {
    let (_storage, server) = world();
    let profile = server.load(KEY);
    add_gold(&profile, 1);
    let calls = Arc::new(Mutex::new(Vec::new()));
    let wait = || {
        let calls = Arc::clone(&calls);
        let callback = move |outcome| calls.lock().push(outcome);
        profile
            .when_changes_saved(Some(Box::new(callback)))
            .unwrap()
    };
    let (by_hand, given_up) = (wait(), wait());
    profile.trigger(&by_hand, SaveOutcome::NotSaved).unwrap();
    assert!(given_up.disconnect() && !given_up.disconnect());
    server.update();
    profile.mark_force_save().unwrap();
    server.update();
    assert_eq!(*calls.lock(), [SaveOutcome::NotSaved]);
    assert_eq!(server.heard(), ["changes NotSaved", "Saved"]);
    assert_eq!(given_up.outcome(), None);
}

#[test]
fn a_save_applied_but_reported_failed_is_found_by_a_fetch_and_told_once() {
    let (storage, server) = world();
    let profile = server.load(KEY);
    storage.on_commit(&[FailAfter]);
    add_gold(&profile, 1);
    profile.mark_force_save().unwrap();
    let wait = profile.when_changes_saved(None).unwrap();
    server.update();
    assert_eq!(server.heard(), ["error Save", "Saved", "changes Saved"]);
    assert_eq!((storage.fetches(), storage.commits()), (2, 2));
    assert!(wait.is_saved() && profile.is_available().unwrap());
    server.run(20.0);
    assert_eq!(storage.commits(), 2, "no second save");
}

#[test]
fn a_save_that_failed_before_it_was_applied_is_tried_again() {
    let (storage, server) = world();
    let profile = server.load(KEY);
    storage.on_commit(&[FailBefore]);
    add_gold(&profile, 1);
    profile.mark_force_save().unwrap();
    let wait = profile.when_changes_saved(None).unwrap();
    server.update();
    assert_eq!(server.heard(), ["error Save"]);
    assert!(wait.is_connected() && profile.is_available().unwrap());
    server.run(12.0);
    assert_eq!(server.heard(), ["Saved", "changes Saved"]);
    assert_eq!(storage.document(KEY)["Gold"], 1);
}

#[test]
fn saves_that_keep_failing_are_tried_more_and_more_slowly_up_to_the_ceiling() {
    let (storage, server) = world();
    let profile = server.load(KEY);
    storage.on_commit(&[FailBefore; 9]);
    profile.mark_force_save().unwrap();
    server.update();
    let mut sent = vec![server.clock.now()];
    while sent.len() < 10 {
        let before = storage.commits();
        server.run(1.0);
        if storage.commits() > before {
            sent.push(server.clock.now());
        }
    }
    let waits: Vec<f64> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (wait, nominal) in waits.iter().zip([10.0, 20.0, 40.0, 80.0]) {
        assert!(
            (nominal * 0.8..=nominal * 1.2 + 1.0).contains(wait),
            "{waits:?}"
        );
    }
    assert!(
        waits[4..].iter().all(|wait| (96.0..=121.0).contains(wait)),
        "{waits:?}"
    );
    // What has been stored ends the row of failures.
    storage.on_commit(&[FailBefore]);
    profile.mark_force_save().unwrap();
    server.update();
    let before = storage.commits();
    server.run(13.0);
    assert_eq!(storage.commits(), before + 1);
}

#[test]
fn an_answer_that_comes_after_its_timeout_is_dropped() {
    let (storage, server) = world();
    let profile = server.load(KEY);
    storage.on_commit(&[HoldAnswer]);
    add_gold(&profile, 1);
    profile.mark_force_save().unwrap();
    server.update();
    server.run(29.0);
    assert!(server.heard().is_empty());
    server.run(1.0);
    assert_eq!(
        server.heard(),
        ["error Save", "Saved"],
        "the fetch has found it"
    );
    storage.let_go();
    server.run(100.0);
    assert!(!server.heard().contains(&"error Save".to_owned()));
    assert_eq!(storage.document(KEY)["Gold"], 1);
}

#[test]
fn a_save_that_lands_after_its_timeout_is_found_by_the_next() {
    let (storage, server) = world();
    let profile = server.load(KEY);
    storage.on_commit(&[HoldRequest, HoldRequest]);
    add_gold(&profile, 1);
    let first = profile.when_changes_saved(None).unwrap();
    profile.mark_force_save().unwrap();
    server.update();
    server.run(35.0);
    add_gold(&profile, 10);
    let second = profile.when_changes_saved(None).unwrap();
    server.run(10.0);
    assert_eq!(storage.held(), 2);
    server.heard();
    storage.let_go();
    server.update();
    // The older one was written, the newer one met a conflict and was sent again.
    assert_eq!(
        server.heard(),
        ["Saved", "changes Saved", "Saved", "changes Saved"]
    );
    assert!(first.is_saved() && second.is_saved());
    assert_eq!(storage.document(KEY)["Gold"], 11);
}

#[test]
fn a_fenced_off_save_that_arrives_late_changes_nothing() {
    let (storage, server) = world();
    let profile = server.load(KEY);
    storage.on_commit(&[HoldRequest, NoFault]);
    add_gold(&profile, 1);
    profile.mark_force_save().unwrap();
    server.update();
    server.run(45.0);
    assert_eq!(storage.commits(), 3);
    let (before, writes) = (storage.stored(KEY), storage.history().len());
    storage.let_go();
    server.run(10.0);
    assert_eq!(
        (storage.stored(KEY), storage.history().len()),
        (before, writes)
    );
}

#[test]
fn what_a_sender_appended_meanwhile_is_taken_over_and_the_save_goes_at_once() {
    let (storage, server) = world();
    let profile = server.load(KEY);
    add_gold(&profile, 4);
    storage.edit(KEY, |document| {
        document["RemoteChanges"] = json!([{"K": "gift", "I": "a", "A": 1}]);
        document["Received"] = json!([["sender", 1, support::WALL_START]]);
    });
    profile.mark_force_save().unwrap();
    server.update();
    assert_eq!(server.heard(), ["Saved"]);
    assert_eq!((storage.fetches(), storage.commits()), (2, 3));
    let stored = storage.document(KEY);
    assert_eq!(stored["Gold"], 4);
    assert_eq!(stored["RemoteChanges"][0]["I"], "a");
    assert_eq!(stored["Received"][0][0], "sender");
    profile.mark_force_save().unwrap();
    server.update();
    assert_eq!(storage.document(KEY)["RemoteChanges"][0]["I"], "a");
}

#[test]
fn a_key_that_never_stands_still_cannot_hold_up_a_frame() {
    let (storage, server) = world();
    let profile = server.load(KEY);
    storage.on_commit(&[Overtaken; 40]);
    add_gold(&profile, 4);
    profile.mark_force_save().unwrap();
    server.update();
    assert_eq!(storage.commits(), 1 + 16, "and then it waits");
    server.run(60.0);
    assert_eq!(server.heard(), ["Saved"]);
    assert_eq!(storage.document(KEY)["Gold"], 4);
}

#[test]
fn a_save_that_was_written_but_answered_with_a_conflict_is_saved() {
    let (storage, server) = world();
    let profile = server.load(KEY);
    storage.on_commit(&[ConflictAfter]);
    add_gold(&profile, 4);
    profile.mark_force_save().unwrap();
    server.update();
    assert_eq!(server.heard(), ["Saved"]);
    storage.on_commit(&[ConflictAfter]);
    profile.end_session().unwrap();
    server.update();
    assert!(profile.is_finished());
    assert!(!server.heard().contains(&"Replaced(Lost)".to_owned()));
    assert_eq!(storage.document(KEY)["Session"], json!(null));
}

#[test]
fn an_engine_that_reports_conflicts_where_nothing_moved_is_not_asked_in_a_circle() {
    let (storage, server) = world();
    let profile = server.load(KEY);
    storage.on_commit(&[support::Fault::Conflict; 5]);
    profile.mark_force_save().unwrap();
    server.update();
    assert_eq!((storage.fetches(), storage.commits()), (2, 2));
    server.run(400.0);
    assert!((7..=8).contains(&storage.commits()), "and an autosave");
    assert!(profile.is_available().unwrap());
}
