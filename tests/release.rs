//! Releasing: the last save and the end of the session are one commit.

mod support;

use std::sync::Arc;

use serde_json::{Value, json};
use session_locker::easy::Profile;
use session_locker::locker::{LoadStatus, SaveOutcome};
use support::Fault::{FailAfter, FailBefore, HoldAnswer, HoldRequest};
use support::{FaultyStorage, Server, VirtualClock, add_gold, gold, heard_by, options, spec};

const KEY: &str = "Player_1";
const RELEASED: [&str; 6] = [
    "Saved",
    "Replaced(Released)",
    "status Loading",
    "Idling",
    "Deleted",
    "Finished",
];

fn world() -> (Arc<FaultyStorage>, Server, Profile) {
    let storage = FaultyStorage::new();
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    let profile = server.load(KEY);
    (storage, server, profile)
}

fn assert_free(storage: &FaultyStorage, gold: i64) {
    assert_eq!(storage.document(KEY)["Session"], Value::Null);
    assert_eq!(storage.document(KEY)["Gold"], gold);
}

#[test]
fn a_release_is_one_commit_that_saves_and_gives_up_the_key() {
    let (storage, server, profile) = world();
    add_gold(&profile, 2);
    let wait = profile.when_changes_saved(None).unwrap();
    profile.end_session().unwrap();
    server.update();
    assert_eq!(storage.commits(), 2);
    assert_free(&storage, 2);
    assert!(wait.is_saved() && !profile.is_loaded());
    let heard = server.heard();
    assert_eq!(heard[..3], ["Destroyed", "Saved", "changes Saved"]);
    assert_eq!(heard[3..], RELEASED[1..]);
    let between: Vec<_> = storage.history();
    assert_eq!(between.len(), 2, "never free without the save in it");
}

#[test]
fn fault_6_a_release_answered_with_an_error_is_reported_saved_and_released() {
    let (storage, server, profile) = world();
    add_gold(&profile, 2);
    storage.on_commit(&[FailAfter]);
    profile.end_session().unwrap();
    server.update();
    let heard = server.heard();
    assert_eq!(heard[..2], ["Destroyed", "error Save"]);
    assert_eq!(heard[2..], RELEASED);
    assert_eq!(storage.commits(), 2);
    assert_free(&storage, 2);
}

#[test]
fn a_release_that_failed_is_tried_again() {
    let (storage, server, profile) = world();
    add_gold(&profile, 2);
    let wait = profile.when_changes_saved(None).unwrap();
    storage.on_commit(&[FailBefore]);
    profile.end_session().unwrap();
    server.run(13.0);
    assert!(profile.is_finished() && wait.is_saved());
    assert_free(&storage, 2);
}

#[test]
fn a_release_asked_before_the_save_was_handed_over_makes_that_save_the_release() {
    let (storage, server, profile) = world();
    add_gold(&profile, 2);
    profile.mark_force_save().unwrap();
    profile.end_session().unwrap();
    server.update();
    assert_eq!(storage.commits(), 2);
    assert_free(&storage, 2);
}

#[test]
fn a_release_asked_after_the_save_was_handed_over_is_a_second_save() {
    let (storage, server, profile) = world();
    storage.on_commit(&[HoldAnswer]);
    profile.mark_force_save().unwrap();
    server.update();
    add_gold(&profile, 2);
    profile.end_session().unwrap();
    server.update();
    assert_eq!(storage.commits(), 2);
    storage.let_go();
    server.update();
    assert_eq!(storage.commits(), 3);
    assert_free(&storage, 2);
    let heard = server.heard();
    assert_eq!(heard[..2], ["Destroyed", "Saved"]);
    assert_eq!(heard[2..], RELEASED);
}

#[test]
fn a_session_ended_right_after_a_forced_save_answers_its_waiter_true() {
    let (_storage, server, profile) = world();
    add_gold(&profile, 2);
    profile.mark_force_save().unwrap();
    let wait = profile.when_changes_saved(None).unwrap();
    profile.destroy().unwrap();
    server.update();
    assert_eq!(wait.outcome(), Some(SaveOutcome::Saved));
}

#[test]
fn fault_6_a_release_whose_answer_was_lost_counts_even_when_another_owns_the_key_by_then() {
    let (storage, server, profile) = world();
    add_gold(&profile, 2);
    let wait = profile.when_changes_saved(None).unwrap();
    storage.on_commit(&[HoldAnswer]);
    profile.end_session().unwrap();
    server.update();
    let other = Server::new(&storage, &server.clock, 2);
    let theirs = other.load(KEY);
    assert_eq!(gold(&theirs), 2);
    server.run(31.0);
    assert!(profile.is_finished());
    assert_eq!(wait.outcome(), Some(SaveOutcome::Saved));
    let heard = server.heard();
    assert!(
        heard.contains(&"Replaced(Released)".to_owned()),
        "{heard:?}"
    );
    assert!(!heard.contains(&"Replaced(Lost)".to_owned()), "{heard:?}");
    assert_eq!(storage.commits(), 3);
    storage.let_go();
    server.run(5.0);
    assert!(theirs.is_available().unwrap());
}

#[test]
fn a_release_that_lands_after_a_second_was_sent_is_one_release() {
    let (storage, server, profile) = world();
    add_gold(&profile, 2);
    storage.on_commit(&[HoldRequest, HoldRequest]);
    profile.end_session().unwrap();
    server.run(50.0);
    assert_eq!(storage.held(), 2);
    storage.let_go();
    server.update();
    assert!(profile.is_finished());
    assert_free(&storage, 2);
    assert_eq!(storage.history().len(), 2);
}

#[test]
fn destroying_a_profile_leaves_it_to_the_store_to_settle_and_release() {
    let (storage, server, profile) = world();
    add_gold(&profile, 2);
    storage.on_commit(&[FailBefore, FailBefore, HoldAnswer]);
    profile.mark_force_save().unwrap();
    profile.destroy().unwrap();
    drop(profile);
    server.run(120.0);
    assert_free(&storage, 2);
    assert_eq!(server.heard().last().unwrap(), "Finished");
    server.store.close().unwrap();
    assert!(server.store.is_closed().unwrap());
}

#[test]
fn a_key_wanted_again_before_its_release_was_handed_over_is_kept() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let locker = spec(&storage, options(&clock, 1))
        .create_locker(KEY, &[])
        .unwrap();
    locker.mark_should_acquire().unwrap();
    locker.update(0.0).unwrap();
    heard_by(&locker);
    locker.mark_should_release().unwrap();
    assert!(!locker.is_available().unwrap());
    locker.mark_should_acquire().unwrap();
    locker.update(1.0).unwrap();
    assert!(locker.is_available().unwrap());
    assert!(heard_by(&locker).is_empty());
}

#[test]
fn a_key_wanted_again_while_its_release_is_unsettled_is_taken_again_with_our_data() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let locker = spec(&storage, options(&clock, 1))
        .create_locker(KEY, &[])
        .unwrap();
    locker.mark_should_acquire().unwrap();
    locker.update(0.0).unwrap();
    heard_by(&locker);
    storage.on_commit(&[HoldAnswer]);
    locker.mark_should_release().unwrap();
    locker.update(1.0).unwrap();
    locker.mark_should_acquire().unwrap();
    locker
        .save_data()
        .write(|data| data.add_i64("/Gold", 3))
        .unwrap();
    let wait = locker.when_changes_saved(None).unwrap();
    locker.update(2.0).unwrap();
    assert!(!locker.is_available().unwrap(), "it could be anyone's");
    locker.update(31.0).unwrap();
    assert_eq!(
        heard_by(&locker),
        ["error Save", "Saved", "Saved", "changes Saved"]
    );
    assert!(locker.is_available().unwrap() && wait.is_saved());
    assert_eq!(storage.document(KEY)["Gold"], 3);
    assert_ne!(storage.document(KEY)["Session"], Value::Null);
}

#[test]
fn a_key_wanted_again_that_another_took_first_was_released_and_not_lost() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let locker = spec(&storage, options(&clock, 1))
        .create_locker(KEY, &[])
        .unwrap();
    locker.mark_should_acquire().unwrap();
    locker.update(0.0).unwrap();
    heard_by(&locker);
    storage.on_commit(&[HoldAnswer, HoldRequest]);
    locker.mark_should_release().unwrap();
    locker.update(1.0).unwrap();
    locker.mark_should_acquire().unwrap();
    locker.update(31.0).unwrap();
    // The commit that takes the key again is under way when another server takes it.
    let other = Server::new(&storage, &clock, 2);
    other.load(KEY);
    storage.let_go();
    locker.update(32.0).unwrap();
    let heard = heard_by(&locker);
    assert_eq!(heard[..2], ["error Save", "Saved"]);
    assert_eq!(heard[2..4], ["Replaced(Released)", "status Loading"]);
    assert_eq!(heard.last().unwrap(), "status SessionIsLocked");
    assert_eq!(locker.load_status(), Ok(LoadStatus::SessionIsLocked));
}

#[test]
fn what_senders_appended_is_in_the_release() {
    let (storage, server, profile) = world();
    add_gold(&profile, 1);
    storage.edit(KEY, |document| {
        document["RemoteChanges"] = json!([{"K": "gift", "I": "a", "A": 1}]);
    });
    profile.end_session().unwrap();
    server.update();
    assert!(profile.is_finished());
    assert_free(&storage, 1);
    assert_eq!(storage.document(KEY)["RemoteChanges"][0]["I"], "a");
}
