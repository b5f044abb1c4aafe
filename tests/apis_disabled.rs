//! Lockers and sessions with disabled APIs: they never touch the storage, keep the save data that
//! they have, and are like all others in everything else.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use session_locker::easy::Profile;
use session_locker::locker::{LoadStatus, Locker, LockerSpec, SaveOutcome, SessionOptions};
use session_locker::save_data::SaveData;
use session_locker::storage::Storage;
use support::Fault::FailBefore;
use support::{
    Creator, FaultyStorage, Server, VirtualClock, add_gold, gold, heard_by, locked, options, spec,
};

const KEY: &str = "Player_1";
const DISABLED: SessionOptions<'_> = SessionOptions {
    user_ids: &[],
    log_prefix: "",
    disable_apis: true,
};

fn world() -> (Arc<FaultyStorage>, LockerSpec) {
    let storage = FaultyStorage::new();
    let spec = spec(&storage, options(&VirtualClock::new(), 1));
    (storage, spec)
}

fn server() -> (Arc<FaultyStorage>, Server) {
    let storage = FaultyStorage::new();
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    (storage, server)
}

fn start(server: &Server, key: &str) -> Profile {
    server.store.start_session_with(key, &DISABLED).unwrap()
}

fn set_gold(locker: &Locker, gold: i64) {
    let written = locker.save_data().write(|data| data.set_i64("/Gold", gold));
    written.unwrap();
}

fn gold_in(locker: &Locker) -> i64 {
    locker
        .save_data()
        .read(|data| data.get_i64("/Gold"))
        .unwrap()
}

#[test]
fn fault_3_with_the_apis_disabled_the_save_data_is_kept_through_load_save_and_release() {
    let (storage, spec) = world();
    storage.put(KEY, locked(77, 5, 0.0));
    let before = storage.stored(KEY);
    let locker = spec.create_locker_with(KEY, &DISABLED).unwrap();
    assert_eq!(gold_in(&locker), 0);
    set_gold(&locker, 3);
    assert!(locker.update(0.0).unwrap());
    assert_eq!(gold_in(&locker), 3);
    for round in 0..3 {
        let now = f64::from(round) * 10.0;
        locker.mark_should_acquire().unwrap();
        assert!(!locker.update(now + 1.0).unwrap());
        assert_eq!(locker.load_status(), Ok(LoadStatus::Loaded));
        assert_eq!(gold_in(&locker), 3 + i64::from(round));
        let session = |locker: &Locker| locker.save_data().read(|data| data.contains("/Session"));
        assert_eq!(session(&locker), Ok(true));
        set_gold(&locker, 4 + i64::from(round));
        locker.mark_force_save().unwrap();
        locker.update(now + 2.0).unwrap();
        assert_eq!(gold_in(&locker), 4 + i64::from(round));
        locker.mark_should_release().unwrap();
        assert!(locker.update(now + 3.0).unwrap());
        assert_eq!(gold_in(&locker), 4 + i64::from(round));
        assert_eq!(session(&locker), Ok(false));
    }
    assert_eq!((storage.fetches(), storage.commits()), (0, 0));
    assert_eq!(storage.stored(KEY), before);
}

#[test]
fn fault_3_a_new_document_is_made_once_and_kept() {
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let create = move |_: &str| {
        count.fetch_add(1, Ordering::Relaxed);
        SaveData::from_json(r#"{"Gold":7}"#, 1 << 20).map_err(|error| error.to_string())
    };
    let storage = FaultyStorage::new();
    let mut options = options(&VirtualClock::new(), 1);
    options.template = None;
    let shared = Arc::clone(&storage) as Arc<dyn Storage>;
    let spec = LockerSpec::new(shared, options, Box::new(Creator(create))).unwrap();
    let locker = spec.create_locker_with(KEY, &DISABLED).unwrap();
    locker.update(0.0).unwrap();
    assert_eq!(gold_in(&locker), 7);
    set_gold(&locker, 8);
    for now in [1.0, 3.0] {
        locker.mark_should_acquire().unwrap();
        locker.update(now).unwrap();
        assert_eq!(locker.load_status(), Ok(LoadStatus::Loaded));
        assert_eq!(gold_in(&locker), 8);
        locker.mark_should_release().unwrap();
        assert!(locker.update(now + 1.0).unwrap());
    }
    assert_eq!((gold_in(&locker), made.load(Ordering::Relaxed)), (8, 1));
}

#[test]
fn a_document_that_could_not_be_made_is_made_when_it_is_asked_for_anew() {
    let calls = AtomicUsize::new(0);
    let create = move |_: &str| match calls.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Err("not yet".to_owned()),
        _ => SaveData::from_json(r#"{"Gold":7}"#, 1 << 20).map_err(|error| error.to_string()),
    };
    let storage = FaultyStorage::new();
    let mut options = options(&VirtualClock::new(), 1);
    options.template = None;
    let shared = Arc::clone(&storage) as Arc<dyn Storage>;
    let spec = LockerSpec::new(shared, options, Box::new(Creator(create))).unwrap();
    let locker = spec.create_locker_with(KEY, &DISABLED).unwrap();
    locker.mark_should_acquire().unwrap();
    locker.update(1.0).unwrap();
    let heard = [
        "error Create",
        "Replaced(Released)",
        "error Create",
        "status CreateFailed",
    ];
    assert_eq!(heard_by(&locker), heard);
    locker.mark_should_acquire().unwrap();
    locker.update(2.0).unwrap();
    assert_eq!(gold_in(&locker), 7);
    set_gold(&locker, 8);
    locker.mark_should_release().unwrap();
    assert!(locker.update(3.0).unwrap());
    assert_eq!(gold_in(&locker), 8);
}

/// What a whole session tells.
fn life(disable_apis: bool) -> Vec<Vec<String>> {
    let (_storage, spec) = world();
    let options = SessionOptions {
        disable_apis,
        ..DISABLED
    };
    let locker = spec.create_locker_with(KEY, &options).unwrap();
    let mut heard = Vec::new();
    let mut step = |now, command: &dyn Fn()| {
        command();
        let is_idle = locker.update(now).unwrap();
        heard.push(heard_by(&locker));
        heard.push(vec![format!("idle: {is_idle}")]);
    };
    step(0.0, &|| ());
    step(1.0, &|| locker.mark_should_acquire().unwrap());
    step(2.0, &|| {
        set_gold(&locker, 1);
        locker.mark_force_save().unwrap();
        locker.when_changes_saved(None).unwrap();
    });
    step(400.0, &|| ());
    step(401.0, &|| {
        set_gold(&locker, 2);
        locker.when_changes_saved(None).unwrap();
        locker.mark_should_release().unwrap();
    });
    step(402.0, &|| ());
    heard
}

#[test]
fn the_events_are_those_of_a_session_with_a_storage_and_in_the_same_order() {
    let heard = life(true);
    assert_eq!(heard, life(false));
    assert!(heard.concat().contains(&"changes Saved".to_owned()));
}

#[test]
fn changes_made_before_the_load_are_kept_and_so_answered_as_saved() {
    let (_storage, server) = server();
    let profile = start(&server, KEY);
    add_gold(&profile, 5);
    let wait = profile.when_changes_saved(None).unwrap();
    server.update();
    assert_eq!(wait.outcome(), Some(SaveOutcome::Saved));
    assert_eq!(gold(&profile), 5);
}

#[test]
fn a_storage_that_fails_makes_no_difference() {
    let (storage, server) = server();
    storage.on_fetch(&[FailBefore; 500]);
    storage.on_commit(&[FailBefore; 500]);
    let profile = start(&server, KEY);
    server.update();
    server.run(4000.0);
    assert!(profile.is_available().unwrap());
    add_gold(&profile, 1);
    profile.mark_force_save().unwrap();
    let wait = profile.when_changes_saved(None).unwrap();
    server.update();
    assert!(wait.is_saved());
    server.store.close().unwrap();
    server.update();
    assert!(server.store.is_closed().unwrap() && profile.is_finished());
    assert_eq!(gold(&profile), 1);
    assert_eq!((storage.fetches(), storage.commits()), (0, 0));
}

#[test]
fn before_save_hooks_run_and_what_they_write_is_kept() {
    let (_storage, server) = server();
    let profile = start(&server, KEY);
    server.update();
    let data = Arc::clone(profile.save_data());
    let add = move || {
        let added = data.write(|data| data.add_i64("/Gold", 1));
        added.map(drop).map_err(|error| error.to_string())
    };
    profile.set_before_save(false, Some(Arc::new(add))).unwrap();
    profile.mark_force_save().unwrap();
    server.update();
    assert_eq!(gold(&profile), 1);

    let data = Arc::clone(profile.save_data());
    let fail = move || {
        let added = data.write(|data| data.add_i64("/Gold", 100));
        assert!(added.is_ok());
        Err("no".to_owned())
    };
    profile.set_before_save(true, Some(Arc::new(fail))).unwrap();
    profile.end_session().unwrap();
    server.update();
    assert!(profile.is_finished());
    assert_eq!(gold(&profile), 2);
}

#[test]
fn a_key_has_one_session_at_a_time_with_and_without_the_apis() {
    let (storage, server) = server();
    let first = start(&server, KEY);
    let second = start(&server, KEY);
    let real = server.store.start_session(KEY, &[]).unwrap();
    let third = start(&server, KEY);
    server.update();
    let loaded = || [&first, &second, &real, &third].map(|profile| profile.is_loaded());
    assert_eq!(loaded(), [true, false, false, false]);
    assert_eq!(second.load_status(), Ok(LoadStatus::SessionIsLocked));
    add_gold(&first, 1);
    first.end_session().unwrap();
    server.update();
    assert_eq!(loaded(), [false, true, false, false]);
    // What is kept belongs to the locker, not to the key.
    assert_eq!(gold(&second), 0);
    second.end_session().unwrap();
    server.update();
    assert_eq!(loaded(), [false, false, true, false]);
    assert_eq!((storage.fetches(), storage.commits()), (1, 1));
    real.end_session().unwrap();
    server.update();
    assert_eq!(loaded(), [false, false, false, true]);
    assert_eq!((storage.fetches(), storage.commits()), (1, 2));
    // A reusable session joins the one that there is, as it is.
    let joined = server.store.start_session_reusable(KEY, &[]).unwrap();
    assert!(joined.is_loaded());
    add_gold(&third, 9);
    assert_eq!(gold(&joined), 9);
}

#[test]
fn a_drain_releases_it_and_reports_nothing() {
    let (storage, server) = server();
    let profile = start(&server, KEY);
    server.update();
    add_gold(&profile, 1);
    let report = server.store.drain(1.0).unwrap();
    assert_eq!(report.unsaved, []);
    assert_eq!((storage.fetches(), storage.commits()), (0, 0));
}
