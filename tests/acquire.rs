//! Acquiring a key: free, locked, expired, or ours after all.

mod support;

use std::sync::Arc;

use serde_json::json;
use session_locker::locker::LoadStatus;
use support::Fault::{ConflictAfter, FailAfter, FailBefore, HoldAnswer, HoldRequest};
use support::{FaultyStorage, Server, VirtualClock, WALL_START, add_gold, gold, locked, options};

const KEY: &str = "Player_1";

fn world() -> (Arc<FaultyStorage>, Arc<VirtualClock>, Server) {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let server = Server::new(&storage, &clock, 1);
    (storage, clock, server)
}

#[test]
fn a_free_key_is_loaded_with_two_requests() {
    let (storage, _, server) = world();
    storage.put(KEY, r#"{"Version":1,"VersionPatch":0,"Gold":5}"#);
    let profile = server.start(KEY);
    assert_eq!(server.heard(), ["Replaced(Loaded)", "status Loaded"]);
    assert_eq!((storage.fetches(), storage.commits()), (1, 1));
    assert_eq!(gold(&profile), 5);
    let stored = storage.document(KEY);
    assert_eq!(stored["Session"]["JobId"], "server-1");
    assert_eq!(stored["Session"]["Expiry"], 1800.0);
    assert_eq!(stored["Session"]["LockId"], stored["Saves"][0][0]);
}

#[test]
fn a_new_key_begins_with_the_template_and_the_user_ids() {
    let (storage, _, server) = world();
    let profile = server.store.start_session(KEY, &["u1", "u2"]).unwrap();
    server.update();
    assert_eq!(gold(&profile), 0);
    assert_eq!(storage.document(KEY)["Version"], 1);
    assert_eq!(storage.user_ids(KEY), ["u1", "u2"]);
}

#[test]
fn a_session_without_user_ids_keeps_those_of_the_record() {
    let (storage, _, server) = world();
    let profile = server.store.start_session(KEY, &["u1"]).unwrap();
    server.update();
    profile.end_session().unwrap();
    server.update();
    server.load(KEY).mark_force_save().unwrap();
    server.update();
    assert_eq!(storage.user_ids(KEY), ["u1"]);
}

#[test]
fn a_locked_key_is_said_once_and_asked_for_again_after_each_cooldown() {
    let (storage, clock, server) = world();
    storage.put_locked(KEY, 5, WALL_START);
    let profile = server.start(KEY);
    assert_eq!(server.heard(), ["status SessionIsLocked"]);
    server.run(9.0);
    assert_eq!(storage.fetches(), 1);
    server.run(1.0);
    assert_eq!(storage.fetches(), 2);
    server.run(50.0);
    assert_eq!(storage.fetches(), 7);
    assert!(server.heard().is_empty());
    assert_eq!(storage.commits(), 0);

    storage.put(KEY, r#"{"Version":1,"VersionPatch":0,"Gold":6}"#);
    server.run(10.0);
    assert_eq!(server.heard(), ["Replaced(Loaded)", "status Loaded"]);
    assert_eq!(gold(&profile), 6);
    assert_eq!(clock.now(), 70.0);
}

#[test]
fn by_the_storages_clock_a_session_expires_after_its_expiry() {
    for (age, is_taken) in [(1799.0, false), (1800.0, false), (1801.0, true)] {
        let clock = VirtualClock::new();
        let storage = FaultyStorage::with_clock(&clock);
        storage.put_locked(KEY, 5, WALL_START - age);
        // This server's own clock is wrong, and does not matter.
        let server = Server::new(&storage, &clock.skewed(-5000.0), 1);
        let profile = server.start(KEY);
        assert_eq!(profile.is_loaded(), is_taken, "after {age} s");
        server.run(1801.0 - age + 10.0);
        assert_eq!(profile.load_status(), Ok(LoadStatus::Loaded));
    }
}

#[test]
fn without_a_storage_clock_the_tolerance_is_waited_as_well() {
    for (age, is_taken) in [(2099.0, false), (2100.0, false), (2101.0, true)] {
        let (storage, _, server) = world();
        storage.put_locked(KEY, 5, WALL_START - age);
        assert_eq!(server.start(KEY).is_loaded(), is_taken, "after {age} s");
    }
}

#[test]
fn the_larger_of_the_owners_and_our_expiry_counts() {
    for (owners, ours) in [(3000.0, 1800.0), (1800.0, 3000.0)] {
        for (age, is_taken) in [(3000.0, false), (3001.0, true)] {
            let clock = VirtualClock::new();
            let storage = FaultyStorage::with_clock(&clock);
            storage.put_locked(KEY, 5, WALL_START - age);
            storage.edit(KEY, |document| {
                document["Session"]["Expiry"] = json!(owners)
            });
            let mut options = options(&clock, 1);
            options.config.session_expiry = ours;
            let server = Server::with(&storage, &clock, options);
            assert_eq!(server.start(KEY).is_loaded(), is_taken, "after {age} s");
        }
    }
}

#[test]
fn fault_15_a_lock_stamped_in_the_future_expires_after_being_watched_unchanged() {
    let (storage, _, server) = world();
    storage.put_locked(KEY, 5, WALL_START + 1e6);
    let profile = server.start(KEY);
    server.run(1799.0);
    assert!(!profile.is_loaded());
    server.run(11.0);
    assert!(profile.is_loaded());
}

#[test]
fn a_watched_session_that_saves_is_watched_from_the_beginning() {
    let (storage, _, server) = world();
    storage.put_locked(KEY, 5, WALL_START + 1e6);
    let profile = server.start(KEY);
    server.run(1700.0);
    storage.edit(KEY, |document| document["Saves"] = json!([[77, 4]]));
    server.run(1799.0);
    assert!(!profile.is_loaded());
    server.run(30.0);
    assert!(profile.is_loaded());
}

#[test]
fn the_watch_belongs_to_the_key_and_outlives_the_session_that_began_it() {
    let (storage, _, server) = world();
    storage.put_locked(KEY, 5, WALL_START + 1e6);
    for _ in 0..18 {
        let profile = server.start(KEY);
        server.run(50.0);
        assert!(!profile.is_loaded());
        profile.destroy().unwrap();
        server.run(50.0);
    }
    // It counts from the update after the first look on.
    server.run(1.0);
    server.load(KEY);
}

#[test]
fn a_watch_survives_an_acquire_that_failed() {
    let (storage, _, server) = world();
    storage.put_locked(KEY, 5, WALL_START + 1e6);
    storage.on_commit(&[FailBefore]);
    let profile = server.start(KEY);
    server.run(1900.0);
    assert_eq!(storage.commits(), 2);
    assert!(profile.is_loaded());
}

#[test]
fn a_clock_far_ahead_takes_no_key_from_a_session_that_saves() {
    let clock = VirtualClock::new();
    let storage = FaultyStorage::with_clock(&clock);
    let owner = Server::new(&storage, &clock, 1);
    let profile = owner.load(KEY);
    let other = Server::new(&storage, &clock.skewed(1e7), 2);
    let thief = other.start(KEY);
    for _ in 0..4000 {
        owner.run(1.0);
        other.update();
        assert!(profile.is_available().unwrap() && !thief.is_loaded());
    }
}

#[test]
fn fault_5_an_acquire_that_was_written_but_answered_with_an_error_is_ours() {
    let (storage, _, server) = world();
    storage.on_commit(&[FailAfter]);
    let profile = server.start(KEY);
    let heard = server.heard();
    let failed = ["error Load", "status DataStoreRequestFail"];
    assert_eq!(heard[..2], failed);
    assert_eq!(heard[2..], ["Replaced(Loaded)", "status Loaded"]);
    assert_eq!(storage.commits(), 1);
    add_gold(&profile, 3);
    profile.destroy().unwrap();
    server.update();
    assert_eq!(storage.document(KEY)["Gold"], 3);
    assert_eq!(storage.document(KEY)["Session"], json!(null));
}

#[test]
fn an_acquire_that_was_written_but_answered_with_a_conflict_is_ours() {
    let (storage, _, server) = world();
    storage.on_commit(&[ConflictAfter]);
    let profile = server.start(KEY);
    assert_eq!(server.heard(), ["Replaced(Loaded)", "status Loaded"]);
    assert!(profile.is_available().unwrap());
}

#[test]
fn fault_5_a_server_never_waits_on_its_own_lock_even_when_the_profile_was_destroyed_meanwhile() {
    let (storage, _, server) = world();
    storage.on_commit(&[HoldAnswer]);
    let first = server.start(KEY);
    first.destroy().unwrap();
    server.update();
    let second = server.start(KEY);
    assert_eq!(second.load_status(), Ok(LoadStatus::SessionIsLocked));
    server.run(31.0);
    assert!(second.is_loaded(), "after the timeout, without an expiry");
    assert!(first.is_finished());
    storage.let_go();
    server.run(1.0);
    assert!(second.is_available().unwrap());
}

#[test]
fn an_acquire_that_lands_after_its_retry_was_sent_is_recognised() {
    let (storage, _, server) = world();
    storage.on_commit(&[HoldRequest, HoldRequest]);
    let profile = server.start(KEY);
    server.run(55.0);
    assert_eq!((storage.held(), storage.commits()), (2, 2));
    assert!(!profile.is_loaded());
    storage.let_go();
    server.update();
    assert!(profile.is_loaded());
    add_gold(&profile, 1);
    profile.mark_force_save().unwrap();
    server.update();
    assert_eq!(storage.document(KEY)["Gold"], 1);
    assert_eq!(storage.history().len(), 2);
}

#[test]
fn an_acquire_that_is_no_longer_wanted_is_settled_and_released() {
    let (storage, _, server) = world();
    storage.on_commit(&[HoldRequest]);
    let profile = server.start(KEY);
    profile.end_session().unwrap();
    server.run(30.0);
    assert!(!profile.is_finished());
    storage.let_go();
    server.run(30.0);
    assert!(profile.is_finished());
    assert_eq!(storage.document(KEY)["Session"], json!(null));
    assert_eq!(server.heard().last().unwrap(), "Finished");
}

#[test]
fn a_conflict_is_fetched_again_at_once() {
    let (storage, _, server) = world();
    storage.put(KEY, r#"{"Version":1,"VersionPatch":0,"Gold":1}"#);
    storage.on_commit(&[HoldRequest]);
    let profile = server.start(KEY);
    storage.edit(KEY, |document| document["Gold"] = json!(2));
    storage.let_go();
    server.update();
    assert!(profile.is_loaded());
    assert_eq!(gold(&profile), 2);
    assert_eq!(server.heard(), ["Replaced(Loaded)", "status Loaded"]);
    assert_eq!((storage.fetches(), storage.commits()), (2, 2));
}

#[test]
fn a_failed_request_is_reported_and_tried_again_more_and_more_slowly() {
    let (storage, clock, server) = world();
    storage.on_fetch(&[FailBefore; 8]);
    let profile = server.start(KEY);
    assert_eq!(
        server.heard(),
        ["error Load", "status DataStoreRequestFail"]
    );
    let mut asked = vec![clock.now()];
    while !profile.is_loaded() {
        let before = storage.fetches();
        server.run(1.0);
        if storage.fetches() > before {
            asked.push(clock.now());
        }
    }
    let waits: Vec<f64> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (wait, nominal) in waits.iter().zip([10.0, 20.0, 40.0, 80.0]) {
        assert!(
            (nominal * 0.8..=nominal * 1.2 + 1.0).contains(wait),
            "{waits:?}"
        );
    }
    assert!(waits[4..].iter().all(|wait| *wait <= 121.0), "{waits:?}");
    assert_eq!(waits.len(), 8);
    let heard = server.heard();
    assert_eq!(heard[..7], ["error Load"; 7]);
    assert_eq!(heard[7..], ["Replaced(Loaded)", "status Loaded"]);
}

#[test]
fn a_second_session_of_the_same_server_loads_at_once_what_the_first_saved() {
    let (storage, _, server) = world();
    let first = server.load(KEY);
    let second = server.start(KEY);
    assert_eq!(server.heard(), ["status SessionIsLocked"]);
    assert_eq!(storage.fetches(), 1, "it does not compete in the storage");
    add_gold(&first, 7);
    first.end_session().unwrap();
    server.update();
    assert!(second.is_loaded() && first.is_finished());
    assert_eq!(gold(&second), 7);
}

#[test]
fn a_locked_key_whose_lock_turns_out_to_be_our_own_earlier_life_is_waited_for() {
    // A server that crashed and came back with another seed has no claim on its old lock.
    let (storage, _, server) = world();
    storage.put(KEY, locked(1, 4242, WALL_START));
    let profile = server.start(KEY);
    assert_eq!(profile.load_status(), Ok(LoadStatus::SessionIsLocked));
}

#[test]
fn a_server_started_again_with_its_seed_is_not_taken_for_its_old_self() {
    let storage = FaultyStorage::new();
    storage.put("Ann", json!({"Version": 1, "Gold": 0}).to_string());
    let clock = VirtualClock::new();
    let old = Server::new(&storage, &clock, 1);
    let there = old.load("Ann");
    add_gold(&there, 1);
    // It hangs, its lease passes, and the machine's manager starts another.
    clock.advance(5000.0);
    let new = Server::new(&storage, &clock, 1);
    let here = new.load("Ann");
    add_gold(&here, 100);
    here.mark_force_save().unwrap();
    new.update();
    assert_eq!(storage.document("Ann")["Gold"], 100);
    // The old one wakes up.
    old.update();
    old.update();
    assert_eq!(storage.document("Ann")["Gold"], 100, "the owner's");
    assert!(!there.is_loaded() || gold(&there) == 100, "lost");
}
