//! Loads with an inbox: very many changes, and the merge of what was written before the load.

mod receiving;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use receiving::*;
use serde_json::{Value, json};
use session_locker::locker::{Config, HookAnswer, SaveOutcome, SharedSaveData};
use session_locker::save_data::SaveData;
use support::{FaultyStorage, Server, VirtualClock, add_gold, gold, options};

#[test]
fn a_load_with_nothing_but_unknown_changes_has_nothing_to_save() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let (server, offers) = receiver_with(&storage, &clock, 1, |_, _| Ok(HookAnswer::NotApplicable));
    put(&storage, &many("later", 300));
    let profile = server.start(KEY);
    let wait = profile.when_changes_saved(None).unwrap();
    assert!(!profile.is_loaded() && wait.is_connected());
    server.run(5.0);
    assert!(profile.is_loaded() && wait.is_saved());
    assert!(profile.when_changes_saved(None).unwrap().is_saved());
    assert_eq!(offers.load(Ordering::Relaxed), 300);
    assert_eq!(storage.commits(), 1);
}

#[test]
fn a_load_longer_than_the_cooldown_ends_though_its_changes_keep_failing() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let (server, offers) = receiver_with(&storage, &clock, 1, |_, _| Err("never".to_owned()));
    put(&storage, &many("gold", 1000));
    let profile = server.start(KEY);
    for _ in 0..9 {
        server.jump(11.0);
    }
    assert!(profile.is_loaded());
    assert!(offers.load(Ordering::Relaxed) >= 1000);
}

#[test]
fn ten_thousand_waiting_changes_are_spread_over_frames_and_let_saves_through() {
    let (storage, server, offers) = world();
    put(&storage, &many("gold", 10_000));
    let other = server.load("Player_2");
    let crowded = server.store.start_session(KEY, &[]).unwrap();
    let (mut frames, mut most, mut before) = (0, 0, 0);
    while !crowded.is_loaded() {
        add_gold(&other, 1);
        let wait = other.when_changes_saved(None).unwrap();
        other.mark_force_save().unwrap();
        server.jump(0.02);
        let so_far = offers.load(Ordering::Relaxed);
        most = most.max(so_far - before);
        before = so_far;
        frames += 1;
        assert!(wait.is_saved(), "frame {frames}");
    }
    // 128 requests a frame, and one chunk begun with the last.
    assert!(most <= 128 + 15, "{most} in one frame");
    assert!((70..200).contains(&frames), "{frames} frames");
    assert_eq!(gold(&crowded), 10_100);
    save(&server, &crowded);
    assert_eq!(waiting(&storage), [] as [Value; 0]);
}

#[test]
fn a_load_with_many_changes_does_not_miss_its_own_saves() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let offers = Arc::<AtomicUsize>::default();
    let hooks = Hooks {
        offers: Arc::clone(&offers),
        change: Some(Box::new(apply)),
        merge: None,
    };
    let mut options = options(&clock, 1);
    options.config = Config {
        requests_per_update: 1,
        ..options.config
    };
    let server = Server::with_hooks(&storage, &clock, options, Box::new(hooks));
    put(&storage, &many("gold", 1000));
    let profile = server.start(KEY);
    server.update();
    // One chunk a frame, and a frame every minute: longer than the expiry of 1800 s.
    while !profile.is_loaded() {
        server.jump(60.0);
    }
    assert!(server.clock.now() > 3000.0);
    assert_eq!(gold(&profile), 1100);
    assert_eq!(profile.is_available(), Ok(true));
    let stamps = storage
        .history()
        .into_iter()
        .filter(|written| written.by_server);
    let times: Vec<_> = stamps.map(|written| written.at).collect();
    assert!(
        times.windows(2).all(|pair| pair[1] - pair[0] <= 421.0),
        "{times:?}"
    );
    save(&server, &profile);
    server.run(3.0);
    assert_eq!(waiting(&storage), [] as [Value; 0]);
}

#[test]
fn a_save_that_is_due_does_not_wait_behind_the_loads_that_offers_wait_behind() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let hooks = Hooks {
        offers: Arc::default(),
        change: Some(Box::new(apply)),
        merge: None,
    };
    let mut options = options(&clock, 1);
    options.config = Config {
        requests_per_update: 1,
        ..options.config
    };
    let server = Server::with_hooks(&storage, &clock, options, Box::new(hooks));
    put(&storage, &many("gold", 300));
    let profile = server.start(KEY);
    server.jump(0.1);
    let commits = storage.commits();
    // Each takes two grants, and each frame has one.
    let crowd: Vec<_> = (2..102)
        .map(|id| server.store.start_session(&format!("Player_{id}"), &[]))
        .collect();
    let saves = || {
        let of = |written: &support::Written| &*written.key == KEY && written.by_server;
        storage.history().into_iter().filter(of).count()
    };
    assert_eq!((commits, saves()), (1, 1));
    for _ in 0..31 {
        server.jump(10.0);
    }
    assert_eq!(saves(), 2, "the autosave");
    assert!(!profile.is_loaded());
    profile.end_session().unwrap();
    server.jump(0.1);
    assert!(profile.is_finished());
    let loaded = crowd.iter().flatten().filter(|other| other.is_loaded());
    assert!(loaded.count() < 50);
}

#[test]
fn a_session_that_is_ended_while_it_loads_is_released_unheard_and_keeps_the_rest_for_the_next() {
    let (storage, server, offers) = world();
    put(&storage, &many("gold", 300));
    let profile = server.start(KEY);
    let hooks_run = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&hooks_run);
    let before_save = Some(Arc::new(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }) as _);
    profile.set_before_save(false, before_save).unwrap();
    let wait = profile.when_changes_saved(None).unwrap();
    assert!(!profile.is_loaded() && wait.is_connected());
    let done = offers.load(Ordering::Relaxed);
    assert!(done > 0 && done < 300);
    profile.end_session().unwrap();
    server.jump(0.1);
    assert_eq!(offers.load(Ordering::Relaxed), done);
    assert!(profile.is_finished());
    assert_eq!(wait.outcome(), Some(SaveOutcome::Saved));
    assert_eq!(hooks_run.load(Ordering::Relaxed), 0, "it was never loaded");
    let heard = server.heard();
    assert!(!heard.contains(&"Replaced(Loaded)".to_owned()), "{heard:?}");
    let document = storage.document(KEY);
    assert_eq!(document["Session"], Value::Null);
    assert_eq!(document["Gold"], 100 + done);
    assert_eq!(waiting(&storage).len(), 300 - done);
}

#[test]
fn a_joined_session_that_still_applies_changes_becomes_loaded_with_the_first() {
    let (storage, server, _) = world();
    put(&storage, &many("gold", 300));
    let first = server.start(KEY);
    let second = server.store.start_session_reusable(KEY, &[]).unwrap();
    assert!(!first.is_loaded() && !second.is_loaded());
    server.run(3.0);
    assert!(first.is_loaded() && second.is_loaded());
    assert_eq!(gold(&second), 400);
}

/// Takes over the gold.
fn merge_gold(offline: SaveData, data: &Arc<SharedSaveData>) -> Result<(), String> {
    let mut offline = offline;
    let gold = offline
        .get_i64("/Gold")
        .map_err(|error| error.to_string())?;
    let added = data.write(|data| data.add_i64("/Gold", gold));
    added.map(|_| ()).map_err(|error| error.to_string())
}

#[test]
fn what_was_written_before_the_load_is_merged_after_the_remote_changes() {
    let storage = FaultyStorage::new();
    let server = merger(&storage, |offline, data| {
        let gold = data.read(|data| data.get_i64("/Gold"));
        assert_eq!(gold, Ok(105), "the changes come first");
        merge_gold(offline, data)
    });
    put(&storage, &[entry("gold", "a", 5)]);
    let profile = server.store.start_session(KEY, &[]).unwrap();
    add_gold(&profile, 3);
    server.update();
    assert_eq!(gold(&profile), 108);
    let heard = server.heard();
    assert_eq!(heard, ["Replaced(Loaded)", "status Loaded"]);
    profile.end_session().unwrap();
    server.update();
    assert_eq!(storage.document(KEY)["Gold"], 108);
}

#[test]
fn the_merge_is_asked_for_at_every_load_and_one_that_writes_nothing_leaves_nothing_to_save() {
    let storage = FaultyStorage::new();
    let calls = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&calls);
    let server = merger(&storage, move |mut offline, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        offline
            .set_i64("/Gold", 50)
            .map_err(|error| error.to_string())
    });
    let profile = server.load(KEY);
    assert_eq!((gold(&profile), calls.load(Ordering::Relaxed)), (0, 1));
    assert!(profile.when_changes_saved(None).unwrap().is_saved());
    profile.end_session().unwrap();
    server.run(1.0);
    server.load(KEY);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[test]
fn a_merge_that_fails_or_panics_is_undone_and_the_data_is_loaded_all_the_same() {
    for panics in [false, true] {
        let storage = FaultyStorage::new();
        let server = merger(&storage, move |offline, data| {
            merge_gold(offline, data)?;
            assert!(!panics, "a bug in the hook");
            Err("not mergeable".to_owned())
        });
        put(&storage, &[entry("gold", "a", 5)]);
        let profile = server.store.start_session(KEY, &[]).unwrap();
        add_gold(&profile, 3);
        server.update();
        assert_eq!(gold(&profile), 105);
        let heard = server.heard();
        let expected = ["error Merge", "Replaced(Loaded)", "status Loaded"];
        assert_eq!(heard, expected);
        save(&server, &profile);
        assert_stored_once(&storage, json!(["a"]));
    }
}

#[test]
fn a_waiter_of_a_change_made_before_the_load_is_told_that_it_was_not_saved() {
    let storage = FaultyStorage::new();
    let server = merger(&storage, merge_gold);
    let profile = server.store.start_session(KEY, &[]).unwrap();
    let none = profile.when_changes_saved(None).unwrap();
    add_gold(&profile, 3);
    let some = profile.when_changes_saved(None).unwrap();
    server.update();
    assert_eq!(gold(&profile), 3);
    assert_eq!(none.outcome(), Some(SaveOutcome::Saved));
    assert_eq!(some.outcome(), Some(SaveOutcome::NotSaved));
}
