//! Losing a session: to another server, or to an erasure.

mod support;

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use session_locker::easy::{EasyStore, Profile, ProfileEvent, StoreEvent, StoreHooks};
use session_locker::locker::{LoadStatus, SaveOutcome, SavedConnection};
use session_locker::save_data::SaveData;
use session_locker::storage::Storage;
use support::Fault::{FailAfter, FailBefore, HoldAnswer};
use support::{
    Fault, FaultyStorage, Server, VirtualClock, WALL_START, add_gold, gold, heard_by, options,
    spec, template,
};

const KEY: &str = "Player_1";

fn world() -> (Arc<FaultyStorage>, Server, Profile) {
    let storage = FaultyStorage::new();
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    let profile = server.load(KEY);
    (storage, server, profile)
}

#[test]
fn a_lock_taken_by_another_server_is_lost_with_its_events_in_order() {
    let (storage, server, profile) = world();
    add_gold(&profile, 5);
    let wait = profile.when_changes_saved(None).unwrap();
    storage.put_locked(KEY, 1, WALL_START);
    profile.mark_force_save().unwrap();
    server.update();
    let heard = server.heard();
    assert_eq!(heard[0], "data of the lost session");
    assert_eq!(heard[1..3], ["changes NotSaved", "Replaced(Lost)"]);
    assert_eq!(heard[3..], ["status Loading", "status SessionIsLocked"]);
    assert_eq!(wait.outcome(), Some(SaveOutcome::NotSaved));
    assert!(!profile.is_loaded() && !profile.is_available().unwrap());
    assert_eq!(gold(&profile), 0);
    assert_eq!(storage.document(KEY)["Gold"], 1, "theirs is untouched");
}

#[test]
fn an_autosave_finds_out_about_a_loss_too() {
    let (storage, server, profile) = world();
    storage.put_locked(KEY, 1, WALL_START);
    server.run(300.0);
    assert!(!profile.is_loaded());
}

/// Looks at the save data from inside the event.
struct Onlooker(Arc<Mutex<Vec<i64>>>);

impl StoreHooks for Onlooker {
    fn create(&self, _: &str) -> Result<SaveData, String> {
        Err("the test has a template".to_owned())
    }

    fn event(&self, event: &StoreEvent) {
        if let ProfileEvent::Lost(data) = &event.event {
            let mut data = SaveData::clone(data);
            self.0.lock().push(data.get_i64("/Gold").expect("gold"));
        }
    }
}

#[test]
fn fault_25_unsaved_data_is_readable_in_the_event_and_until_the_next_loss() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut options = options(&clock, 1);
    options.polls_events = false;
    let hooks = Box::new(Onlooker(Arc::clone(&seen)));
    let store = EasyStore::new(Arc::clone(&storage) as Arc<dyn Storage>, options, hooks).unwrap();
    let profile = store.start_session(KEY, &[]).unwrap();
    let update = |seconds: f64| {
        clock.advance(seconds);
        store.update(clock.now()).unwrap();
    };
    let lost_gold = || {
        let lost = profile.lost_save_data().unwrap();
        lost.map(|mut data| data.get_i64("/Gold").unwrap())
    };
    update(1.0);
    assert_eq!(lost_gold(), None);
    for amount in [5, 6] {
        add_gold(&profile, amount);
        storage.put_locked(KEY, 0, WALL_START);
        profile.mark_force_save().unwrap();
        update(0.0);
        assert_eq!(seen.lock().last(), Some(&amount));
        assert_eq!(lost_gold(), Some(amount));
        // The other server is done: the key comes back, and the lost data stays readable.
        storage.put(KEY, r#"{"Version":1,"VersionPatch":0,"Gold":0}"#);
        update(10.0);
        assert!(profile.is_loaded());
        assert_eq!(lost_gold(), Some(amount));
    }
}

#[test]
fn a_save_that_was_stored_before_the_loss_is_reported_saved() {
    let (storage, server, profile) = world();
    add_gold(&profile, 5);
    let wait = profile.when_changes_saved(None).unwrap();
    storage.on_commit(&[HoldAnswer]);
    profile.mark_force_save().unwrap();
    server.update();
    storage.edit(KEY, |document| {
        document["Session"]["LockId"] = json!(77);
        let mark = json!([77, 0]);
        document["Saves"].as_array_mut().unwrap().push(mark);
    });
    server.run(30.0);
    assert!(wait.is_saved());
    let heard = server.heard();
    assert_eq!(heard[..3], ["error Save", "Saved", "changes Saved"]);
    assert!(heard.contains(&"Replaced(Lost)".to_owned()));
}

/// A change is saved, the answer is lost, and until the server can look, as many other sessions as this
/// have had the key; how the wait for the change has ended.
fn saved_without_an_answer_before_others(others: u64) -> Option<SaveOutcome> {
    let (storage, server, profile) = world();
    add_gold(&profile, 5);
    let wait = profile.when_changes_saved(None).unwrap();
    storage.on_commit(&[HoldAnswer]);
    profile.mark_force_save().unwrap();
    server.update();
    storage.edit(KEY, |document| {
        assert_eq!(document["Gold"], 5, "it is saved");
        document["Session"]["LockId"] = json!(others);
        let saves = document["Saves"].as_array_mut().unwrap();
        saves.extend((1..=others).map(|lock_id| json!([lock_id, 0])));
        let forgotten = saves.len().saturating_sub(8);
        saves.drain(..forgotten);
    });
    server.run(30.0);
    assert!(server.heard().contains(&"Replaced(Lost)".to_owned()));
    wait.outcome()
}

#[test]
fn a_save_that_the_record_does_not_remember_any_more_is_not_called_unsaved() {
    let outcome = saved_without_an_answer_before_others(7);
    assert_eq!(outcome, Some(SaveOutcome::Saved));
    let outcome = saved_without_an_answer_before_others(8);
    assert_eq!(outcome, Some(SaveOutcome::Unknown));
}

/// Waits anew for the changes from inside the event of the loss, in which they are still to be seen.
#[derive(Clone, Default)]
struct Asker {
    profile: Arc<Mutex<Option<Profile>>>,
    wait: Arc<Mutex<Option<SavedConnection>>>,
}

impl StoreHooks for Asker {
    fn create(&self, _: &str) -> Result<SaveData, String> {
        Ok(template())
    }

    fn event(&self, event: &StoreEvent) {
        if let (ProfileEvent::Lost(_), Some(profile)) = (&event.event, &*self.profile.lock()) {
            *self.wait.lock() = Some(profile.when_changes_saved(None).expect("a wait"));
        }
    }
}

#[test]
fn a_wait_that_begins_in_the_event_of_the_loss_is_told_that_nobody_knows() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let asker = Asker::default();
    let mut options = options(&clock, 1);
    options.template = None;
    options.polls_events = false;
    let hooks = Box::new(asker.clone());
    let store = EasyStore::new(Arc::clone(&storage) as Arc<dyn Storage>, options, hooks).unwrap();
    let profile = store.start_session(KEY, &[]).unwrap();
    *asker.profile.lock() = Some(profile.clone());
    let update = |seconds: f64| {
        clock.advance(seconds);
        store.update(clock.now()).unwrap();
    };
    update(1.0);
    add_gold(&profile, 5);
    storage.on_commit(&[HoldAnswer]);
    profile.mark_force_save().unwrap();
    update(0.0);
    storage.put(KEY, "not JSON");
    for _ in 0..30 {
        update(1.0);
    }
    let wait = asker.wait.lock().take().expect("a wait");
    assert_eq!(wait.outcome(), Some(SaveOutcome::Unknown));
}

#[test]
fn a_change_that_came_after_a_commit_of_unknown_fate_is_called_unsaved() {
    let (storage, server, profile) = world();
    add_gold(&profile, 5);
    let before = profile.when_changes_saved(None).unwrap();
    storage.on_commit(&[HoldAnswer]);
    profile.mark_force_save().unwrap();
    server.update();
    add_gold(&profile, 2);
    let after = profile.when_changes_saved(None).unwrap();
    storage.put(KEY, "not JSON");
    server.run(30.0);
    assert_eq!(before.outcome(), Some(SaveOutcome::Unknown));
    assert_eq!(after.outcome(), Some(SaveOutcome::NotSaved));
}

#[test]
fn fault_9_a_record_erased_while_its_session_is_live_stays_erased() {
    let (storage, server, profile) = world();
    add_gold(&profile, 5);
    let wait = profile.when_changes_saved(None).unwrap();
    storage.erase(KEY);
    profile.mark_force_save().unwrap();
    server.update();
    let heard = server.heard();
    assert_eq!(heard[1..3], ["changes NotSaved", "Replaced(Lost)"]);
    assert_eq!(heard[3..], ["status Erased"]);
    assert_eq!(wait.outcome(), Some(SaveOutcome::NotSaved));
    server.run(4000.0);
    assert_eq!(storage.stored(KEY), None);
    assert_eq!(profile.load_status(), Ok(LoadStatus::Erased));
    let asked = storage.fetches();
    server.run(100.0);
    assert_eq!(storage.fetches(), asked);

    profile.end_session().unwrap();
    server.update();
    assert!(profile.is_finished());
    assert_eq!(storage.stored(KEY), None);
    assert_eq!(gold(&server.load(KEY)), 0, "the host has asked anew");
}

/// A change in a commit that has failed in this way and is not looked for yet, and the wait for it.
fn with_an_unsettled_save(fault: Fault) -> (Arc<FaultyStorage>, Server, Profile, SavedConnection) {
    let (storage, server, profile) = world();
    add_gold(&profile, 5);
    let wait = profile.when_changes_saved(None).unwrap();
    storage.on_commit(&[fault]);
    storage.on_fetch(&[FailBefore]);
    profile.mark_force_save().unwrap();
    server.update();
    (storage, server, profile, wait)
}

#[test]
fn fault_9_a_record_erased_while_a_save_was_unsettled_stays_erased() {
    for fault in [FailBefore, FailAfter] {
        let (storage, server, profile, wait) = with_an_unsettled_save(fault);
        storage.erase(KEY);
        server.run(30.0);
        assert_eq!(profile.load_status(), Ok(LoadStatus::Erased));
        assert_eq!(storage.stored(KEY), None);
        assert_eq!(wait.outcome(), Some(SaveOutcome::NotSaved));
    }
}

#[test]
fn a_save_that_is_gone_with_the_record_it_was_in_is_called_unsaved() {
    for fault in [FailBefore, FailAfter] {
        let (storage, server, profile, wait) = with_an_unsettled_save(fault);
        storage.put_locked(KEY, 1, WALL_START);
        server.run(30.0);
        assert!(!profile.is_loaded());
        assert_eq!(wait.outcome(), Some(SaveOutcome::NotSaved));
    }
}

#[test]
fn a_locker_is_not_acquired_again_after_an_erasure_until_it_is_asked() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let locker = spec(&storage, options(&clock, 1))
        .create_locker(KEY, &[])
        .unwrap();
    locker.mark_should_acquire().unwrap();
    locker.update(0.0).unwrap();
    storage.erase(KEY);
    locker.mark_force_save().unwrap();
    assert!(!locker.update(1.0).unwrap(), "not idle: it is still wanted");
    assert_eq!(locker.load_status(), Ok(LoadStatus::Erased));
    locker.update(5000.0).unwrap();
    assert_eq!(storage.stored(KEY), None);
    heard_by(&locker);
    locker.mark_should_acquire().unwrap();
    locker.update(5001.0).unwrap();
    let heard = heard_by(&locker);
    assert_eq!(
        heard,
        ["status Loading", "Replaced(Loaded)", "status Loaded"]
    );
    assert!(storage.stored(KEY).is_some());
}

#[test]
fn a_document_without_a_session_whose_newest_save_is_ours_is_taken_again() {
    let (storage, server, profile) = world();
    add_gold(&profile, 5);
    storage.edit(KEY, |document| {
        document.as_object_mut().unwrap().remove("Session");
    });
    profile.mark_force_save().unwrap();
    server.update();
    assert_eq!(server.heard(), ["Saved"]);
    assert!(profile.is_available().unwrap());
    assert_eq!(storage.document(KEY)["Gold"], 5);
    assert_ne!(storage.document(KEY)["Session"], Value::Null);
}

#[test]
fn a_document_without_a_session_that_another_saved_last_is_lost_and_loaded_anew() {
    let (storage, server, profile) = world();
    add_gold(&profile, 5);
    storage.edit(KEY, |document| {
        document.as_object_mut().unwrap().remove("Session");
        document["Saves"] = json!([[77, 4]]);
        document["Gold"] = json!(30);
    });
    profile.mark_force_save().unwrap();
    server.update();
    let heard = server.heard();
    assert_eq!(heard[1], "Replaced(Lost)");
    assert_eq!(
        heard[2..],
        ["status Loading", "Replaced(Loaded)", "status Loaded"]
    );
    assert_eq!(gold(&profile), 30);
}

#[test]
fn a_document_that_became_corrupt_is_not_written_over() {
    let (storage, server, profile) = world();
    add_gold(&profile, 5);
    storage.put(KEY, "not JSON");
    profile.mark_force_save().unwrap();
    server.update();
    let heard = server.heard();
    assert_eq!(
        heard[..3],
        ["error Save", "data of the lost session", "Replaced(Lost)"]
    );
    assert_eq!(profile.load_status(), Ok(LoadStatus::CorruptData));
    server.run(1000.0);
    assert_eq!(storage.stored(KEY).unwrap(), "not JSON");
    let lost = profile.lost_save_data().unwrap().unwrap();
    assert!(lost.to_json().contains(r#""Gold":5"#));
}

#[test]
fn a_session_that_was_lost_while_it_was_ending_finishes_all_the_same() {
    let (storage, server, profile) = world();
    storage.put_locked(KEY, 1, WALL_START);
    profile.end_session().unwrap();
    server.update();
    assert!(profile.is_finished());
    let heard = server.heard();
    assert_eq!(heard[..2], ["Destroyed", "data of the lost session"]);
    assert_eq!(
        heard[2..],
        [
            "Replaced(Lost)",
            "status Loading",
            "Idling",
            "Deleted",
            "Finished"
        ]
    );
    assert_eq!(storage.document(KEY)["Gold"], 1);
}

#[test]
fn a_record_erased_while_its_lock_is_waited_for_stays_erased() {
    let storage = FaultyStorage::new();
    storage.put_locked(KEY, 70, WALL_START);
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    let profile = server.start(KEY);
    assert!(!profile.is_loaded());
    storage.erase(KEY);
    server.run(60.0);
    assert!(storage.stored(KEY).is_none(), "{:?}", storage.stored(KEY));
}

#[test]
fn a_record_erased_while_its_acquire_was_unsettled_stays_erased() {
    let storage = FaultyStorage::new();
    storage.put(KEY, json!({"Version": 1, "Gold": 70}).to_string());
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    storage.on_commit(&[HoldAnswer]);
    let profile = server.start(KEY);
    assert!(!profile.is_loaded());
    storage.erase(KEY);
    server.run(120.0);
    assert!(storage.stored(KEY).is_none(), "{:?}", storage.stored(KEY));
}

#[test]
fn a_record_erased_after_its_session_was_lost_stays_erased() {
    let (storage, server, profile) = world();
    storage.put_locked(KEY, 1, WALL_START);
    profile.mark_force_save().unwrap();
    server.update();
    assert_eq!(profile.load_status(), Ok(LoadStatus::SessionIsLocked));
    storage.erase(KEY);
    server.run(60.0);
    assert_eq!(profile.load_status(), Ok(LoadStatus::Erased));
    assert_eq!(storage.stored(KEY), None);
}

#[test]
fn a_record_erased_after_another_took_it_behind_a_release_stays_erased() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let spec = spec(&storage, options(&clock, 1));
    let locker = spec.create_locker(KEY, &[]).unwrap();
    locker.mark_should_acquire().unwrap();
    locker.update(clock.now()).unwrap();
    assert!(locker.is_available().unwrap());
    storage.on_commit(&[HoldAnswer]);
    locker.mark_should_release().unwrap();
    locker.update(clock.now()).unwrap();
    locker.mark_should_acquire().unwrap();
    storage.edit(KEY, |document| {
        document["Session"] =
            json!({"PlaceId": 0, "JobId": "", "LockId": 77, "UpdatedAt": WALL_START, "Expiry": 1800});
        document["Saves"].as_array_mut().unwrap().push(json!([77, 0]));
    });
    storage.on_fetch(&[support::Fault::None, FailBefore]);
    clock.advance(31.0);
    locker.update(clock.now()).unwrap();
    assert_eq!(locker.load_status(), Ok(LoadStatus::DataStoreRequestFail));
    storage.erase(KEY);
    clock.advance(60.0);
    locker.update(clock.now()).unwrap();
    assert_eq!(locker.load_status(), Ok(LoadStatus::Erased));
    assert_eq!(storage.stored(KEY), None);
}

#[test]
fn a_record_erased_after_a_release_behind_which_it_was_asked_for_stays_erased() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let spec = spec(&storage, options(&clock, 1));
    let locker = spec.create_locker(KEY, &[]).unwrap();
    locker.mark_should_acquire().unwrap();
    locker.update(clock.now()).unwrap();
    storage.on_commit(&[HoldAnswer]);
    locker.mark_should_release().unwrap();
    locker.update(clock.now()).unwrap();
    locker.mark_should_acquire().unwrap();
    storage.let_go();
    storage.on_fetch(&[FailBefore]);
    locker.update(clock.now()).unwrap();
    storage.erase(KEY);
    clock.advance(60.0);
    locker.update(clock.now()).unwrap();
    assert_eq!(locker.load_status(), Ok(LoadStatus::Erased));
    assert_eq!(storage.stored(KEY), None);
}

#[test]
fn a_record_that_others_made_and_erased_while_its_acquire_failed_stays_erased() {
    let storage = FaultyStorage::new();
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    storage.on_commit(&[FailBefore]);
    let profile = server.start(KEY);
    storage.put(KEY, r#"{"Version":1,"Gold":1}"#);
    storage.erase(KEY);
    server.run(60.0);
    assert_eq!(profile.load_status(), Ok(LoadStatus::Erased));
    assert_eq!(storage.stored(KEY), None);
}

#[test]
fn a_record_whose_erasure_is_forgotten_while_its_acquire_fails_is_made_all_the_same() {
    let storage = FaultyStorage::new();
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    storage.erase(KEY);
    storage.on_commit(&[FailBefore]);
    let profile = server.start(KEY);
    server.update();
    storage.forget_tombstone(KEY);
    storage.on_commit(&[FailBefore]);
    server.run(60.0);
    assert_eq!(profile.load_status(), Ok(LoadStatus::Loaded));

    storage.erase(KEY);
    server.run(600.0);
    assert_eq!(profile.load_status(), Ok(LoadStatus::Erased));
}

#[test]
fn a_record_that_was_erased_after_an_erasure_was_forgotten_stays_erased() {
    let storage = FaultyStorage::new();
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    storage.erase(KEY);
    storage.on_commit(&[FailBefore; 2]);
    let profile = server.start(KEY);
    server.update();
    storage.forget_tombstone(KEY);
    while storage.commits() < 2 {
        server.run(1.0);
    }
    storage.put(KEY, r#"{"Version":1,"Gold":1}"#);
    storage.erase(KEY);
    server.run(60.0);
    assert_eq!(profile.load_status(), Ok(LoadStatus::Erased));
    assert_eq!(storage.stored(KEY), None);
}

#[test]
fn a_record_erased_while_it_was_waited_for_is_made_anew_when_the_host_asks_anew() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    storage.put_locked(KEY, 1, WALL_START);
    let locker = spec(&storage, options(&clock, 1))
        .create_locker(KEY, &[])
        .unwrap();
    locker.mark_should_acquire().unwrap();
    locker.update(clock.now()).unwrap();
    storage.erase(KEY);
    clock.advance(60.0);
    locker.update(clock.now()).unwrap();
    let heard = [
        "Replaced(Released)",
        "status SessionIsLocked",
        "status Erased",
    ];
    assert_eq!(heard_by(&locker), heard);
    locker.mark_should_acquire().unwrap();
    locker.update(clock.now()).unwrap();
    assert!(locker.is_available().unwrap());
}
