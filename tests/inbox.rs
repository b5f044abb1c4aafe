//! Remote changes on the receiving side: what becomes of each, exactly once.

mod receiving;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use receiving::*;
use serde_json::{Value, json};
use session_locker::easy::{Profile, ProfileEvent};
use session_locker::locker::{Activity, HookAnswer, LoadStatus, LockerSpec, WriteError};
use session_locker::migration::MigratorBuilder;
use session_locker::save_data::SaveData;
use session_locker::storage::Storage;
use support::Fault::{ConflictAfter, FailAfter, FailBefore, HoldAnswer, HoldRequest};
use support::{
    FaultyStorage, Server, VirtualClock, WALL_START, add_gold, gold, heard_by, locked, options,
};

#[test]
fn fault_2_a_waiting_change_is_applied_to_the_loaded_data_before_the_load_is_told() {
    let (storage, server, _) = world();
    put(&storage, &[entry("gold", "a", 5), entry("gold", "b", 7)]);
    let profile = server.store.start_session(KEY, &[]).unwrap();
    let heard = Arc::new(Mutex::new(None));
    let (of, hears) = (profile.clone(), Arc::clone(&heard));
    let asked = profile.when_loaded(Box::new(move |_| {
        *hears.lock() = Some((gold(&of), applied(&of)))
    }));
    asked.unwrap();
    server.update();
    assert_eq!(*heard.lock(), Some((112, r#"["a","b"]"#.to_owned())));
    assert_eq!(server.heard(), ["Replaced(Loaded)", "status Loaded"]);
    let wait = profile.when_changes_saved(None).unwrap();
    assert!(wait.is_connected(), "they are changes to be saved");
    save(&server, &profile);
    assert!(wait.is_saved());
    assert_stored_once(&storage, json!(["a", "b"]));
}

#[test]
fn during_the_hook_the_session_is_neither_loaded_nor_available_and_nothing_else_is_written() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let profiles: Arc<Mutex<Vec<Profile>>> = Arc::default();
    let in_hook = Arc::clone(&profiles);
    let (server, offers) = receiver_with(&storage, &clock, 1, move |data, change| {
        let profiles = in_hook.lock();
        let [own, other] = &profiles[..] else {
            panic!("two profiles")
        };
        assert_eq!(own.load_status(), Ok(LoadStatus::Loading));
        assert_eq!(own.is_available(), Ok(false));
        apply(data, change)?;
        assert_eq!(gold(own), 105);
        let write = |profile: &Profile| {
            let data = profile.save_data();
            data.write(|data| data.add_i64("/Gold", 1))
        };
        assert_eq!(write(other), Err(WriteError::Busy));
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!((gold(own), write(own)), (100, Err(WriteError::Busy))));
        });
        Ok(HookAnswer::Applied)
    });
    put(&storage, &[entry("gold", "a", 5)]);
    let own = server.store.start_session(KEY, &[]).unwrap();
    let other = server.store.start_session("Player_2", &[]).unwrap();
    *profiles.lock() = vec![own.clone(), other.clone()];
    server.update();
    assert_eq!(offers.load(Ordering::Relaxed), 1);
    assert_eq!(own.is_available(), Ok(true));
    assert_eq!((gold(&own), gold(&other)), (105, 0));
}

#[test]
fn an_unknown_change_stays_and_does_not_hold_back_later_ones() {
    let (storage, server, offers) = world();
    put(
        &storage,
        &[entry("later", "a", 1000), entry("gold", "b", 7)],
    );
    let profile = server.load(KEY);
    assert_eq!((gold(&profile), &*applied(&profile)), (107, r#"["b"]"#));
    save(&server, &profile);
    assert_eq!(waiting(&storage), ["a"]);
    server.run(700.0);
    assert_eq!(
        offers.load(Ordering::Relaxed),
        2,
        "not before the next load"
    );
    assert!(!server.heard().contains(&"error RemoteChange".to_owned()));
    profile.end_session().unwrap();
    server.run(2.0);
    let next = server.load(KEY);
    assert_eq!(offers.load(Ordering::Relaxed), 3);
    assert_eq!(gold(&next), 107);
    assert_eq!(waiting(&storage), ["a"]);
}

#[test]
fn a_change_that_was_applied_without_a_trace_leaves_the_stored_inbox_too() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let (server, _) = receiver_with(&storage, &clock, 1, |_, _| Ok(HookAnswer::Applied));
    put(&storage, &many("gold", 1));
    let wait = server.load(KEY).when_changes_saved(None).unwrap();
    assert!(wait.is_connected(), "its removal is a change");
    server.run(301.0);
    assert!(wait.is_saved());
    assert_eq!(waiting(&storage), [] as [Value; 0]);
}

#[test]
fn a_change_that_fails_or_panics_is_undone_and_tried_again_after_the_cooldown() {
    for kind in ["bad", "panic"] {
        let (storage, server, offers) = world();
        put(&storage, &[entry(kind, "a", 1000), entry("gold", "b", 7)]);
        let profile = server.start(KEY);
        let errors = || -> Vec<_> {
            let events = server.events().into_iter().map(|event| event.event);
            let error = |event| match event {
                ProfileEvent::Error(report) => Some((report.activity, report.message)),
                _ => None,
            };
            events.filter_map(error).collect()
        };
        let why = match kind {
            "bad" => "bad a: no such item",
            _ => "panic a: the hook panicked",
        };
        let expected = [(Activity::RemoteChange, why.to_owned())];
        assert_eq!(errors(), expected);
        assert!(profile.is_loaded());
        assert_eq!((gold(&profile), &*applied(&profile)), (107, r#"["b"]"#));
        server.run(9.0);
        assert_eq!(offers.load(Ordering::Relaxed), 2, "not every frame");
        server.run(1.0);
        assert_eq!(offers.load(Ordering::Relaxed), 3);
        assert_eq!(errors(), expected);
        save(&server, &profile);
        assert_eq!(gold(&profile), 107);
        assert_eq!(storage.document(KEY)["Gold"], 107);
        assert_eq!(waiting(&storage), ["a"]);
    }
}

#[test]
fn a_change_that_fails_first_is_applied_in_the_same_session() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let tries = AtomicUsize::new(0);
    let (server, _) = receiver_with(&storage, &clock, 1, move |data, change| {
        let answer = apply(data, change);
        match tries.fetch_add(1, Ordering::Relaxed) {
            0 => Err("not now".to_owned()),
            _ => answer,
        }
    });
    put(&storage, &[entry("gold", "a", 5), entry("gold", "b", 7)]);
    let profile = server.load(KEY);
    assert_eq!(gold(&profile), 107);
    server.run(10.0);
    assert_eq!((gold(&profile), &*applied(&profile)), (112, r#"["b","a"]"#));
    save(&server, &profile);
    assert_stored_once(&storage, json!(["b", "a"]));
}

#[test]
fn changes_are_offered_in_the_order_they_were_sent_in() {
    let (storage, server, _) = world();
    put(&storage, &many("gold", 100));
    let profile = server.start(KEY);
    let all: Vec<_> = (0..100).collect();
    assert_eq!(applied(&profile), json!(all).to_string());
    assert!(profile.is_loaded());
}

#[test]
fn entries_with_one_id_are_two_changes() {
    let (storage, server, _) = world();
    put(
        &storage,
        &[
            entry("later", 5, 3),
            entry("gold", 5, 1),
            entry("gold", 5, 1),
        ],
    );
    let profile = server.load(KEY);
    assert_eq!((gold(&profile), &*applied(&profile)), (102, "[5,5]"));
    send(&storage, entry("gold", 5, 40));
    save(&server, &profile);
    assert_eq!((gold(&profile), &*applied(&profile)), (142, "[5,5,5]"));
    save(&server, &profile);
    let left = storage.document(KEY)["RemoteChanges"].clone();
    assert_eq!(left, json!([entry("later", 5, 3)]));
    send(&storage, entry("gold", 5, 800));
    save(&server, &profile);
    assert_eq!(gold(&profile), 942);
}

#[test]
fn a_live_session_takes_changes_over_at_its_next_save_without_losing_its_own() {
    let (storage, server, profile) = live();
    add_gold(&profile, 1);
    send(&storage, entry("gold", "a", 10));
    send(&storage, entry("gold", "b", 10));
    server.run(2.0);
    assert_eq!(gold(&profile), 101, "nobody has looked yet");
    save(&server, &profile);
    assert_eq!((gold(&profile), &*applied(&profile)), (121, r#"["a","b"]"#));
    assert_eq!(storage.document(KEY)["Gold"], 101);
    send(&storage, entry("gold", "c", 10));
    save(&server, &profile);
    assert_eq!(gold(&profile), 131);
    save(&server, &profile);
    assert_stored_once(&storage, json!(["a", "b", "c"]));
    assert_eq!(storage.document(KEY)["Gold"], 131);
}

#[test]
fn what_is_applied_during_a_session_is_saved_with_the_next_autosave() {
    let (storage, server, profile) = live();
    send(&storage, entry("gold", "a", 10));
    save(&server, &profile);
    let wait = profile.when_changes_saved(None).unwrap();
    server.run(301.0);
    assert!(wait.is_saved());
    assert_stored_once(&storage, json!(["a"]));
}

#[test]
fn a_host_without_the_hook_keeps_what_waits() {
    let storage = FaultyStorage::new();
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    put(&storage, &[entry("gold", "a", 5)]);
    let profile = server.load(KEY);
    send(&storage, entry("gold", "b", 5));
    save(&server, &profile);
    assert_eq!((gold(&profile), waiting(&storage).len()), (100, 2));
}

#[test]
fn a_change_is_applied_once_whatever_becomes_of_the_commit_that_contains_it() {
    for fault in [
        FailBefore,
        FailAfter,
        HoldRequest,
        HoldAnswer,
        ConflictAfter,
    ] {
        for others_send in [false, true] {
            let (storage, server, _) = world();
            put(&storage, &[entry("gold", "a", 5)]);
            let profile = server.load(KEY);
            storage.on_commit(&[fault]);
            save(&server, &profile);
            if others_send {
                send(&storage, entry("gold", "b", 7));
            }
            server.run(40.0);
            storage.let_go();
            server.run(40.0);
            save(&server, &profile);
            server.run(40.0);
            let (total, order) = match others_send {
                true => (112, json!(["a", "b"])),
                false => (105, json!(["a"])),
            };
            assert_eq!(gold(&profile), total, "{fault:?}, {others_send}");
            profile.end_session().unwrap();
            server.run(20.0);
            assert_stored_once(&storage, order);
            assert_eq!(storage.document(KEY)["Gold"], total);
        }
    }
}

#[test]
fn a_sender_that_writes_while_a_removal_is_not_stored_yet_does_not_bring_the_change_back() {
    let (storage, server, _) = world();
    put(&storage, &[entry("gold", "a", 5), entry("later", "x", 0)]);
    let profile = server.load(KEY);
    // The stored inbox still has "a", which is applied here.
    send(&storage, entry("gold", "b", 7));
    save(&server, &profile);
    assert_eq!((gold(&profile), &*applied(&profile)), (112, r#"["a","b"]"#));
    assert_eq!(waiting(&storage), ["x", "b"]);
    send(&storage, entry("gold", "c", 1));
    save(&server, &profile);
    save(&server, &profile);
    assert_eq!(waiting(&storage), ["x"]);
    assert_eq!(storage.document(KEY)["Applied"], json!(["a", "b", "c"]));
}

#[test]
fn an_applied_change_is_not_brought_back_by_a_storage_that_writes_its_text_anew() {
    let (storage, server, _) = world();
    put(&storage, &[]);
    let inbox = r#""RemoteChanges":[{"K":"gold","I":"a","G":5,"A":0}]}"#;
    let text = storage.stored(KEY).unwrap();
    storage.put(
        KEY,
        text.replace(r#""RemoteChanges":[]}"#, inbox).replace(
            r#""RemoteChanges":[],"#,
            &format!("{},", inbox.trim_end_matches('}')),
        ),
    );
    assert_eq!(waiting(&storage), ["a"]);
    let profile = server.load(KEY);
    assert_eq!(gold(&profile), 105);
    storage.edit(KEY, |_| ());
    save(&server, &profile);
    assert_eq!(gold(&profile), 105);
    assert_stored_once(&storage, json!(["a"]));
}

#[test]
fn an_owner_that_dies_between_effect_and_save_leaves_the_change_to_the_next() {
    let (storage, server, _) = world();
    put(&storage, &[entry("gold", "a", 5)]);
    let profile = server.load(KEY);
    assert_eq!(gold(&profile), 105);
    let clock = Arc::clone(&server.clock);
    drop((server, profile));
    let (next, _) = receiver(&storage, &clock, 2);
    clock.advance(2200.0);
    let profile = next.load(KEY);
    assert_eq!((gold(&profile), &*applied(&profile)), (105, r#"["a"]"#));
    save(&next, &profile);
    assert_stored_once(&storage, json!(["a"]));
}

#[test]
fn a_lost_session_takes_its_effects_with_it_and_the_next_owner_applies_them() {
    let (storage, server, _) = world();
    put(&storage, &[entry("gold", "a", 5)]);
    let profile = server.load(KEY);
    let mut taken: Value = serde_json::from_str(&locked(100, 77, WALL_START)).unwrap();
    taken["RemoteChanges"] = json!([entry("gold", "a", 5)]);
    storage.put(KEY, taken.to_string());
    save(&server, &profile);
    assert!(server.heard().contains(&"Replaced(Lost)".to_owned()));
    storage.edit(KEY, |document| {
        document.as_object_mut().unwrap().remove("Session");
    });
    server.run(30.0);
    assert_eq!((gold(&profile), &*applied(&profile)), (105, r#"["a"]"#));
}

#[test]
fn a_release_leaves_what_it_finds_to_the_next_owner() {
    let (storage, server, profile) = live();
    send(&storage, entry("gold", "a", 10));
    profile.end_session().unwrap();
    server.update();
    assert!(profile.is_finished());
    assert_eq!(storage.document(KEY)["Gold"], 100);
    assert_eq!(waiting(&storage), ["a"]);
    assert_eq!(gold(&server.load(KEY)), 110);
}

#[test]
fn a_key_taken_again_after_its_release_keeps_what_was_sent_in_between() {
    let storage = FaultyStorage::new();
    let (clock, offers) = (VirtualClock::new(), Arc::<AtomicUsize>::default());
    let hooks = Hooks {
        offers: Arc::clone(&offers),
        change: Some(Box::new(apply)),
        merge: None,
    };
    let shared = Arc::clone(&storage) as Arc<dyn Storage>;
    let spec = LockerSpec::new(shared, options(&clock, 1), Box::new(hooks)).unwrap();
    put(&storage, &[entry("gold", "a", 5)]);
    let locker = spec.create_locker(KEY, &[]).unwrap();
    locker.mark_should_acquire().unwrap();
    locker.update(clock.now()).unwrap();
    assert_eq!(locker.load_status(), Ok(LoadStatus::Loaded));
    heard_by(&locker);
    storage.on_commit(&[FailAfter]);
    storage.on_fetch(&[HoldRequest]);
    locker.mark_should_release().unwrap();
    locker.update(clock.now()).unwrap();
    // Released, and not known to be; then wanted again.
    locker.mark_should_acquire().unwrap();
    send(&storage, entry("gold", "b", 7));
    storage.let_go();
    let run = |frames| {
        for _ in 0..frames {
            clock.advance(1.0);
            locker.update(clock.now()).unwrap();
        }
    };
    run(30);
    assert_eq!(locker.is_available(), Ok(true));
    locker.mark_force_save().unwrap();
    run(1);
    assert_stored_once(&storage, json!(["a", "b"]));
    assert_eq!(offers.load(Ordering::Relaxed), 2);
    let heard = heard_by(&locker);
    assert!(
        !heard.contains(&"Replaced(Released)".to_owned()),
        "{heard:?}"
    );
}

#[test]
fn of_more_than_256_senders_those_are_remembered_that_were_heard_within_seven_days() {
    let (storage, server, profile) = live();
    let days = |days: f64| WALL_START - days * 86_400.0;
    storage.edit(KEY, |document| {
        let mut received = vec![json!(["young", 9, days(6.9)]), json!(["old", 4, days(7.1)])];
        received.extend((0..255).map(|n| json!([format!("{n}"), 1, days(7.2)])));
        received.push(json!(["oldest", 4, days(7.3)]));
        document["Received"] = json!(received);
    });
    save(&server, &profile);
    let document = storage.document(KEY);
    let received = document["Received"].as_array().unwrap();
    let names: Vec<_> = received
        .iter()
        .map(|one| one[0].as_str().unwrap())
        .collect();
    assert_eq!(
        (names.len(), &names[..3]),
        (256, &["young", "old", "1"][..])
    );
    assert!(!names.contains(&"oldest"));
    assert_eq!(received[0][1], 9);
    // The sender's own entry counts, not what the owner knew.
    storage.edit(KEY, |document| document["Received"][0][1] = json!(10));
    save(&server, &profile);
    assert_eq!(storage.document(KEY)["Received"][0][1], 10);
}

#[test]
fn a_hook_hears_of_a_key_whose_profile_the_host_has_dropped() {
    let (storage, server, profile) = live();
    let other = server.store.start_session_reusable(KEY, &[]).unwrap();
    drop(profile);
    send(&storage, entry("gold", "a", 10));
    save(&server, &other);
    assert_eq!(gold(&other), 110);
}

#[test]
fn a_migrator_may_not_write_to_a_live_document() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let live: Arc<Mutex<Option<Profile>>> = Arc::default();
    let in_migrator = Arc::clone(&live);
    let mut migrators = MigratorBuilder::new();
    let migrate = move |data: &mut SaveData| {
        let live = in_migrator.lock();
        let other = live.as_ref().expect("a live profile").save_data();
        let written = other.write(|data| data.add_i64("/Gold", 1));
        assert_eq!(written, Err(WriteError::Busy));
        data.set_i64("/Gold", 1)
            .map_err(|error| error.to_string())?;
        Ok(0.0)
    };
    migrators.add_migrator_from(1, Arc::new(migrate)).unwrap();
    let mut options = options(&clock, 1);
    options.migrators = migrators.build().unwrap();
    options.config.save_data_version = 2;
    let server = Server::with(&storage, &clock, options);
    *live.lock() = Some(server.load("Player_2"));
    put(&storage, &[]);
    assert_eq!(gold(&server.load(KEY)), 1);
}
