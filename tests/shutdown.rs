//! Closing a store: every session ends, and what could not be saved is said.

mod support;

use std::sync::Arc;

use parking_lot::Mutex;
use session_locker::easy::{DrainReport, Signal, StoreEvent, Unsaved};
use session_locker::locker::{LockerError, SaveOutcome};
use support::Fault::{FailBefore, HoldAnswer};
use support::{FaultyStorage, Server, VirtualClock, WALL_START, add_gold};

fn world() -> (Arc<FaultyStorage>, Server) {
    let storage = FaultyStorage::new();
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    (storage, server)
}

fn outcomes(report: DrainReport) -> Vec<(String, SaveOutcome)> {
    let mut outcomes: Vec<_> = report
        .unsaved
        .into_iter()
        .map(|Unsaved { key, outcome, .. }| (key.to_string(), outcome))
        .collect();
    outcomes.sort_by(|one, other| one.0.cmp(&other.0));
    outcomes
}

#[test]
fn a_closed_store_ends_every_session_and_starts_no_other() {
    let (storage, server) = world();
    let profiles = ["a", "b", "c"].map(|key| server.load(key));
    add_gold(&profiles[1], 4);
    assert!(!server.store.is_closed().unwrap());
    server.store.close().unwrap();
    let refused = server.store.start_session("d", &[]).err();
    assert!(matches!(refused, Some(LockerError::Closed)));
    let refused = server.store.start_session_reusable("a", &[]).err();
    assert!(matches!(refused, Some(LockerError::Closed)));
    assert!(!server.store.is_closed().unwrap());
    server.update();
    assert!(server.store.is_closed().unwrap());
    assert!(profiles.iter().all(|profile| profile.is_finished()));
    assert_eq!(storage.document("b")["Gold"], 4);
    let heard = server.heard();
    assert_eq!(heard.iter().filter(|word| *word == "Finished").count(), 3);
}

#[test]
fn profiles_that_share_a_session_finish_once_when_the_store_closes() {
    let (_storage, server) = world();
    server.load("a");
    server.store.start_session_reusable("a", &[]).unwrap();
    server.store.close().unwrap();
    server.update();
    server.update();
    let heard = server.heard();
    assert_eq!(heard.iter().filter(|word| *word == "Finished").count(), 2);
    assert!(server.store.is_closed().unwrap());
}

#[test]
fn a_drain_waits_as_long_as_it_must_and_no_longer() {
    let (storage, server) = world();
    let profile = server.load("a");
    add_gold(&profile, 4);
    storage.on_commit(&[FailBefore]);
    let report = server.store.drain(60.0).unwrap();
    assert!(report.unsaved.is_empty());
    assert_eq!(storage.document("a")["Gold"], 4);
    assert!(server.clock.now() < 13.0);
}

#[test]
fn a_drain_that_runs_out_of_time_says_what_was_not_saved_and_why() {
    let (storage, server) = world();
    let unsaved = server.load("not saved");
    add_gold(&unsaved, 1);
    let unknown = server.load("unknown");
    add_gold(&unknown, 1);
    storage.put_locked("waiting", 0, WALL_START);
    server.start("waiting");
    storage.on_commit(&[HoldAnswer]);
    unknown.mark_force_save().unwrap();
    server.update();
    storage.on_commit(&[FailBefore; 100]);
    storage.on_fetch(&[FailBefore; 100]);
    let report = server.store.drain(5.0).unwrap();
    let reasons: Vec<_> = report
        .unsaved
        .iter()
        .map(|unsaved| unsaved.reason.clone())
        .collect();
    assert!(
        reasons
            .iter()
            .any(|reason| reason.contains("the test's storage is down"))
    );
    let expected = [
        ("not saved".to_owned(), SaveOutcome::Unknown),
        ("unknown".to_owned(), SaveOutcome::Unknown),
    ];
    assert_eq!(outcomes(report), expected);
    assert!((server.clock.now() - 5.0).abs() < 0.01);

    storage.heal();
    storage.let_go();
    let report = server.store.drain(300.0).unwrap();
    assert!(report.unsaved.is_empty(), "it may be called again to go on");
    assert!(server.store.is_closed().unwrap());
}

#[test]
fn a_drain_from_inside_a_callback_is_busy() {
    let (_storage, server) = world();
    let profile = server.load("a");
    let answer = Arc::new(Mutex::new(None));
    let (store, kept) = (server.store.clone(), Arc::clone(&answer));
    let drain = move |_: &StoreEvent| *kept.lock() = Some(store.drain(1.0));
    profile
        .connect(Signal::Saved, true, Arc::new(drain))
        .unwrap();
    profile.mark_force_save().unwrap();
    server.update();
    assert_eq!(*answer.lock(), Some(Err(LockerError::Busy)));
}

#[test]
fn a_dropped_store_answers_unknown_only_for_what_is_in_a_commit_of_unknown_fate() {
    let (storage, server) = world();
    let profile = server.load("a");
    storage.on_commit(&[HoldAnswer]);
    add_gold(&profile, 1);
    let under_way = profile.when_changes_saved(None).unwrap();
    profile.mark_force_save().unwrap();
    server.update();
    add_gold(&profile, 1);
    let later = profile.when_changes_saved(None).unwrap();
    storage.put_locked("b", 1, WALL_START);
    let locked = server.start("b");
    server.update();
    let before_the_load = locked.when_changes_saved(None).unwrap();
    let asked = (storage.fetches(), storage.commits());
    drop((profile, locked, server));
    assert_eq!(under_way.outcome(), Some(SaveOutcome::Unknown));
    assert_eq!(later.outcome(), Some(SaveOutcome::NotSaved));
    assert_eq!(before_the_load.outcome(), Some(SaveOutcome::NotSaved));
    assert_eq!((storage.fetches(), storage.commits()), asked);
}
