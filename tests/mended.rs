//! Faults that were found once and mended: each stays mended.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use session_locker::easy::{
    LoadWait, Profile, ProfileEvent, Signal, StoreEvent, StoreHooks, WeakProfile,
};
use session_locker::locker::{
    Config, LoadStatus, LockerError, SaveOutcome, SavedConnection, SpecOptions,
};
use session_locker::migration::{Migrator, MigratorBuilder};
use session_locker::save_data::SaveData;
use support::Fault::{Conflict, FailAfter, FailBefore, HoldAnswer, None as NoFault};
use support::{Creator, FaultyStorage, Server, VirtualClock, add_gold, gold, options, spec};

const KEY: &str = "Player_1";

fn world() -> (Arc<FaultyStorage>, Server) {
    let storage = FaultyStorage::new();
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    (storage, server)
}

fn configured(clock: &Arc<VirtualClock>, change: impl FnOnce(&mut Config)) -> SpecOptions {
    let mut options = options(clock, 1);
    change(&mut options.config);
    options
}

fn requests(storage: &FaultyStorage) -> usize {
    storage.fetches() + storage.commits()
}

#[test]
fn a_change_made_before_the_first_update_is_not_called_saved() {
    let (storage, server) = world();
    let profile = server.store.start_session(KEY, &[]).unwrap();
    add_gold(&profile, 5);
    let wait = profile.when_changes_saved(None).unwrap();
    server.run(5.0);
    assert!(profile.is_loaded());
    assert_eq!(wait.outcome(), Some(SaveOutcome::NotSaved));
    assert_eq!(storage.document(KEY)["Gold"], 0);
}

#[test]
fn a_change_made_between_a_loss_and_the_new_document_is_not_called_saved() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let lost: Arc<Mutex<Option<WeakProfile>>> = Arc::default();
    let wait: Arc<Mutex<Option<SavedConnection>>> = Arc::default();
    let (in_hook, waits) = (Arc::clone(&lost), Arc::clone(&wait));
    let create = move |_: &str| {
        if let Some(profile) = in_hook.lock().take().and_then(|weak| weak.upgrade()) {
            add_gold(&profile, 5);
            *waits.lock() = profile.when_changes_saved(None).ok();
        }
        Ok(support::template())
    };
    let options = SpecOptions {
        template: None,
        ..options(&clock, 1)
    };
    let server = Server::with_hooks(&storage, &clock, options, Box::new(Creator(create)));
    let profile = server.load(KEY);
    *lost.lock() = Some(profile.downgrade());
    storage.put(KEY, r#"{"Version":1,"Gold":9}"#);
    profile.mark_force_save().unwrap();
    server.run(30.0);
    let heard = server.heard();
    assert!(heard.contains(&"Replaced(Lost)".to_owned()), "{heard:?}");
    assert_eq!(gold(&profile), 9);
    let outcome = wait.lock().take().map(|wait| wait.outcome());
    assert_eq!(outcome, Some(Some(SaveOutcome::NotSaved)));
}

/// A store whose first time is this.
fn in_epoch(epoch: f64) -> (Arc<FaultyStorage>, Server, Profile, impl Fn(f64)) {
    let (storage, server) = world();
    let profile = server.store.start_session(KEY, &[]).unwrap();
    let loaded = profile.wait_until_loaded(10.0).unwrap();
    assert_eq!(loaded, LoadWait::Loaded, "from {epoch}");
    let (store, clock) = (server.store.clone(), Arc::clone(&server.clock));
    let run = move |seconds: f64| {
        let end = clock.now() + seconds;
        while clock.now() < end {
            clock.advance(1.0);
            store.update(epoch + clock.now()).unwrap();
        }
    };
    run(1.0);
    (storage, server, profile, run)
}

const EPOCHS: [f64; 4] = [0.0, -5e5, 1e9, 17.0];

#[test]
fn a_session_waited_for_before_the_first_update_is_saved_each_period() {
    for epoch in EPOCHS {
        let (storage, _server, _profile, run) = in_epoch(epoch);
        for period in 1..=4 {
            run(300.0);
            assert_eq!(storage.commits(), 1 + period, "from {epoch}");
        }
    }
}

#[test]
fn a_session_waited_for_before_the_first_update_ends_with_its_lease() {
    for epoch in EPOCHS {
        let (storage, _server, profile, run) = in_epoch(epoch);
        storage.on_commit(&[FailBefore; 1000]);
        storage.on_fetch(&[FailBefore; 1000]);
        run(1700.0);
        assert!(profile.is_available().unwrap(), "from {epoch}");
        run(30.0);
        assert!(!profile.is_available().unwrap(), "from {epoch}");
    }
}

#[test]
fn time_is_counted_once_where_waits_and_updates_mix() {
    for epoch in EPOCHS {
        let (storage, server, _profile, run) = in_epoch(epoch);
        storage.on_fetch(&[HoldAnswer; 1000]);
        let other = server.store.start_session("never loaded", &[]).unwrap();
        for _ in 0..60 {
            run(5.0);
            let loaded = other.wait_until_loaded(5.0).unwrap();
            assert_ne!(loaded, LoadWait::Loaded);
        }
        assert_eq!(storage.commits(), 3, "two periods from {epoch}");
    }
}

#[test]
fn a_drain_before_the_first_update_ends_each_session() {
    let (storage, server) = world();
    server.store.start_session(KEY, &[]).unwrap();
    let report = server.store.drain(10.0).unwrap();
    assert!(report.unsaved.is_empty());
    assert!(storage.document(KEY)["Session"].is_null());
}

#[test]
fn a_reply_too_late_that_waits_for_bytes_does_not_leave_its_locker_stuck() {
    let storage = FaultyStorage::new();
    let options = configured(&VirtualClock::new(), |config| config.bytes_per_update = 1);
    let spec = spec(&storage, options);
    let [one, other] = ["a", "b"].map(|key| spec.create_locker(key, &[]).unwrap());
    storage.put("b", r#"{"Version":1,"Gold":5}"#);
    one.mark_should_acquire().unwrap();
    one.update(0.0).unwrap();
    assert!(one.is_available().unwrap());
    storage.on_fetch(&[HoldAnswer]);
    other.mark_should_acquire().unwrap();
    other.update(1.0).unwrap();
    assert_eq!(storage.held(), 1);
    // One's update spends the bytes, and ends the other's wait; only then the answer comes.
    one.mark_force_save().unwrap();
    one.update(31.0).unwrap();
    storage.let_go();
    other.update(31.0).unwrap();
    assert!(!other.is_available().unwrap());
    for second in 32..60 {
        other.update(f64::from(second)).unwrap();
    }
    assert!(other.is_available().unwrap());
}

#[test]
fn taking_a_released_key_again_waits_while_commits_fail() {
    let storage = FaultyStorage::new();
    let spec = spec(&storage, options(&VirtualClock::new(), 1));
    let locker = spec.create_locker(KEY, &[]).unwrap();
    locker.mark_should_acquire().unwrap();
    locker.update(0.0).unwrap();
    // The release is written, but its answer and the look for it are lost.
    storage.on_commit(&[FailAfter]);
    storage.on_fetch(&[FailBefore]);
    locker.mark_should_release().unwrap();
    locker.update(1.0).unwrap();
    assert!(storage.document(KEY)["Session"].is_null());
    locker.mark_should_acquire().unwrap();
    storage.on_commit(&[FailBefore; 5000]);
    let before = storage.commits();
    for second in 2..=602 {
        locker.update(f64::from(second)).unwrap();
    }
    let tries = storage.commits() - before;
    assert!((2..20).contains(&tries), "{tries} commits");
    assert!(!locker.is_available().unwrap());
    storage.heal();
    for second in 603..=740 {
        locker.update(f64::from(second)).unwrap();
    }
    assert!(locker.is_available().unwrap());
    assert!(storage.document(KEY)["Session"].is_object());
}

const BOUGHT: &str = r#"{"Version":1,"VersionPatch":0,"Gold":5,"ProductCredit":[[7,3]],
    "Purchases":[[1,"receipt",2]],"Saves":[[77,3]]}"#;

fn replaced() -> SaveData {
    SaveData::from_json(r#"{"Gold":40}"#, 1 << 20).unwrap()
}

#[test]
fn a_document_put_in_another_ones_place_keeps_the_reserved_fields() {
    let (storage, server) = world();
    storage.put(KEY, BOUGHT);
    let profile = server.load(KEY);
    let before = storage.document(KEY);
    let put = profile.save_data().write(|data| {
        *data = replaced();
        Ok(())
    });
    assert!(put.is_ok());
    let wait = profile.when_changes_saved(None).unwrap();
    assert!(!wait.is_saved(), "it is a change");
    profile.mark_force_save().unwrap();
    server.update();
    assert!(wait.is_saved());
    let after = storage.document(KEY);
    assert_eq!(after["Gold"], 40);
    for field in ["Version", "VersionPatch", "Purchases", "ProductCredit"] {
        assert!(!before[field].is_null());
        assert_eq!(after[field], before[field], "{field}");
    }
    assert_eq!(after["Saves"][0], json!([77, 3]));
    assert_eq!(after["Saves"][1][1], 1);
}

#[test]
fn a_migrator_that_puts_another_document_in_place_keeps_the_reserved_fields() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let migrator: Migrator = Arc::new(|data| {
        *data = replaced();
        Ok(0.0)
    });
    let mut migrators = MigratorBuilder::new();
    migrators.add_migrator_from(1, migrator).unwrap();
    let options = SpecOptions {
        migrators: migrators.build().unwrap(),
        ..configured(&clock, |config| config.save_data_version = 2)
    };
    let server = Server::with(&storage, &clock, options);
    storage.put(KEY, BOUGHT);
    let before = storage.document(KEY);
    let profile = server.load(KEY);
    assert_eq!(gold(&profile), 40);
    let after = storage.document(KEY);
    assert_eq!(after["Version"], 2);
    for field in ["Purchases", "ProductCredit"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert_eq!(after["Saves"][0], json!([77, 3]));
}

#[test]
fn a_profile_destroyed_as_it_is_loaded_says_so_before_what_comes_of_it() {
    let (_storage, server) = world();
    let profile = server.store.start_session(KEY, &[]).unwrap();
    let weak = profile.downgrade();
    let destroy = move |_: &StoreEvent| {
        let profile = weak.upgrade().expect("a profile");
        profile.destroy().expect("an end");
    };
    profile
        .connect(Signal::Loaded, true, Arc::new(destroy))
        .unwrap();
    server.run(5.0);
    let heard = server.heard();
    let place = |word: &str| heard.iter().position(|heard| heard == word);
    let destroyed = place("Destroyed").expect("an end");
    for later in ["Saved", "Replaced(Released)", "Finished"] {
        assert!(place(later).is_some_and(|at| destroyed < at), "{heard:?}");
    }
}

#[test]
fn many_marks_a_frame_do_not_keep_a_fetch_from_timing_out() {
    let (storage, server) = world();
    let start = |n: u32| server.store.start_session(&format!("{n}"), &[]).unwrap();
    let busy: Vec<Profile> = (0..1100).map(start).collect();
    server.run(25.0);
    assert!(busy.iter().all(Profile::is_loaded));
    server.heard();
    storage.on_fetch(&[HoldAnswer]);
    let stuck = server.start(KEY);
    assert_eq!(storage.held(), 1);
    for _ in 0..32 {
        for profile in &busy {
            profile.mark_force_save().unwrap();
        }
        server.run(1.0);
    }
    assert_eq!(stuck.load_status(), Ok(LoadStatus::DataStoreRequestFail));
}

#[test]
fn a_session_found_late_is_saved_at_once_and_available_again() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let options = configured(&clock, |config| config.session_retry_ceiling = 10.0);
    let server = Server::with(&storage, &clock, options);
    storage.on_fetch(&[NoFault]);
    storage.on_fetch(&[FailBefore; 1000]);
    storage.on_commit(&[FailAfter]);
    let profile = server.start(KEY);
    server.run(1670.0);
    assert!(!profile.is_loaded());
    assert_eq!(storage.commits(), 1);
    storage.heal();
    while !profile.is_loaded() {
        assert!(clock.now() < 1700.0);
        server.run(1.0);
    }
    server.run(1.0);
    assert_eq!(storage.commits(), 2);
    server.run(60.0);
    assert!(profile.is_available().unwrap());
}

#[test]
fn user_ids_of_a_record_do_not_outlive_it() {
    let storage = FaultyStorage::new();
    let spec = spec(&storage, options(&VirtualClock::new(), 1));
    let owned_by = |ids: &[&str], now: f64| {
        let locker = spec.create_locker(KEY, ids).unwrap();
        locker.mark_should_acquire().unwrap();
        locker.update(now).unwrap();
        locker.mark_should_release().unwrap();
        assert!(locker.update(now + 1.0).unwrap());
        locker.mark_deleted().unwrap();
        assert_eq!(storage.user_ids(KEY), ids);
    };
    let locker = spec.create_locker(KEY, &[]).unwrap();
    let visit = |now: f64| {
        locker.mark_should_acquire().unwrap();
        locker.update(now).unwrap();
        assert!(locker.is_available().unwrap());
        locker.mark_should_release().unwrap();
        assert!(locker.update(now + 1.0).unwrap());
        storage.user_ids(KEY)
    };
    owned_by(&["u1"], 0.0);
    assert_eq!(visit(10.0), ["u1"]);
    storage.erase(KEY);
    owned_by(&["u2"], 20.0);
    assert_eq!(visit(30.0), ["u2"]);
    storage.erase(KEY);
    assert!(visit(40.0).is_empty());
}

#[test]
fn a_budget_of_no_bytes_is_refused() {
    let options = configured(&VirtualClock::new(), |config| config.bytes_per_update = 0);
    assert!(options.config.check().is_err());
    let error = try_store(options).expect("no store");
    assert!(matches!(error, LockerError::Config(_)), "{error}");
}

#[test]
fn a_template_over_the_limit_is_refused() {
    let options = SpecOptions {
        template: Some(too_large()),
        ..configured(&VirtualClock::new(), |c| c.document_limit_bytes = 64)
    };
    let error = try_store(options).expect("no store");
    assert!(matches!(error, LockerError::Template(_)), "{error}");
}

#[test]
fn a_new_document_over_the_limit_is_not_written() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let options = SpecOptions {
        template: None,
        ..configured(&clock, |config| config.document_limit_bytes = 64)
    };
    let create = Creator(|_: &str| Ok(too_large()));
    let server = Server::with_hooks(&storage, &clock, options, Box::new(create));
    let profile = server.start(KEY);
    server.run(60.0);
    assert_eq!(profile.load_status(), Ok(LoadStatus::CreateFailed));
    assert_eq!((storage.stored(KEY), storage.commits()), (None, 0));
}

fn too_large() -> SaveData {
    let json = json!({"Name": "n".repeat(100)}).to_string();
    SaveData::from_json(&json, 1 << 20).unwrap()
}

fn try_store(options: SpecOptions) -> Option<LockerError> {
    let hooks = Box::new(support::no_hooks());
    session_locker::easy::EasyStore::new(FaultyStorage::new(), options, hooks).err()
}

#[test]
fn conflicts_without_end_cost_an_acquire_few_requests() {
    let (storage, server) = world();
    storage.on_commit(&[Conflict; 20_000]);
    let profile = server.start(KEY);
    server.run(60.0);
    let in_a_minute = requests(&storage);
    assert!(in_a_minute < 150, "{in_a_minute} requests");
    server.run(600.0);
    let later = requests(&storage) - in_a_minute;
    assert!(later < 10 * 40, "{later} requests in ten minutes");
    storage.heal();
    server.run(130.0);
    assert!(profile.is_available().unwrap());
}

#[test]
fn a_hosts_own_panic_that_ends_a_session_on_its_way_leaves_the_store_sound() {
    struct Ends(Profile);
    impl Drop for Ends {
        fn drop(&mut self) {
            self.0.end_session().expect("an end");
        }
    }
    let (storage, server) = world();
    let ends = Ends(server.load(KEY));
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _ends = ends;
        panic!("the host's own");
    }));
    assert!(panicked.is_err());
    server.update();
    assert!(storage.document(KEY)["Session"].is_null());
    assert!(server.load("Player_2").is_loaded());
}

/// A host that does not get over errors.
struct PanicsAtErrors;

impl StoreHooks for PanicsAtErrors {
    fn create(&self, _: &str) -> Result<SaveData, String> {
        Err("there is a template".to_owned())
    }

    fn event(&self, event: &StoreEvent) {
        let is_error = matches!(event.event, ProfileEvent::Error(_));
        assert!(!is_error, "the host's");
    }
}

#[test]
fn a_panic_of_the_hosts_takes_no_request_of_others_with_it() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let mut options = options(&clock, 1);
    options.polls_events = false;
    let server = Server::with_hooks(&storage, &clock, options, Box::new(PanicsAtErrors));
    // The one whose lease is shorter is saved first.
    let saved = server.load(KEY);
    clock.advance(1.0);
    let failing = server.load("Player_2");
    let fails = || Err("not now".to_owned());
    failing
        .set_before_save(false, Some(Arc::new(fails)))
        .unwrap();
    add_gold(&saved, 5);
    let wait = saved.when_changes_saved(None).unwrap();
    let commits = storage.commits();
    saved.mark_force_save().unwrap();
    failing.mark_force_save().unwrap();
    let panics = catch_unwind(AssertUnwindSafe(|| server.update()));
    assert!(panics.is_err(), "the panic is the host's to see");
    server.update();
    assert_eq!(storage.commits(), commits + 1);
    assert_eq!(wait.outcome(), Some(SaveOutcome::Saved));
}
