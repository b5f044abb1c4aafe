//! The hooks before a save: what they write is in it, and their failure loses nothing.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;
use session_locker::easy::Profile;
use session_locker::locker::{LockerError, SaveOutcome, SharedSaveData, WriteError};
use session_locker::save_data::SaveData;
use support::Fault::{FailBefore, HoldAnswer};
use support::{FaultyStorage, Server, VirtualClock, add_gold, gold};

const KEY: &str = "Player_1";

fn world() -> (Arc<FaultyStorage>, Server, Profile) {
    let storage = FaultyStorage::new();
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    let profile = server.load(KEY);
    (storage, server, profile)
}

/// Runs `hook` before each save, with the profile.
fn before_save(
    profile: &Profile,
    transform: bool,
    hook: impl Fn(&Profile) -> Result<(), String> + Send + Sync + 'static,
) {
    let of = profile.clone();
    let hook = Some(Arc::new(move || hook(&of)) as _);
    profile.set_before_save(transform, hook).unwrap();
}

#[test]
fn fault_26_the_hooks_run_in_order_and_what_they_write_is_in_the_save_they_precede() {
    let (storage, server, profile) = world();
    let order = Arc::new(Mutex::new(Vec::new()));
    for transform in [false, true] {
        let order = Arc::clone(&order);
        before_save(&profile, transform, move |profile| {
            order.lock().push(transform);
            add_gold(profile, 1);
            profile.mark_should_save().unwrap();
            Ok(())
        });
    }
    profile.mark_force_save().unwrap();
    server.update();
    assert_eq!(*order.lock(), [false, true]);
    assert_eq!(storage.document(KEY)["Gold"], 2);
    let wait = profile.when_changes_saved(None).unwrap();
    assert!(wait.is_saved(), "it is in the commit");
    server.update();
    assert_eq!(
        storage.commits(),
        2,
        "a hook's own changes ask for no other save"
    );
}

#[test]
fn fault_26_a_wait_begun_inside_the_transform_hook_is_answered_by_that_save() {
    let (storage, server, profile) = world();
    let waits = Arc::new(Mutex::new(Vec::new()));
    let begun = Arc::clone(&waits);
    before_save(&profile, true, move |profile| {
        add_gold(profile, 1);
        begun.lock().push(profile.when_changes_saved(None).unwrap());
        Ok(())
    });
    storage.on_commit(&[HoldAnswer]);
    profile.mark_force_save().unwrap();
    server.update();
    assert!(waits.lock()[0].is_connected());
    storage.let_go();
    server.update();
    assert!(waits.lock()[0].is_saved());
    assert_eq!(storage.document(KEY)["Gold"], 1);
}

#[test]
fn fault_11_the_hooks_run_for_the_final_save_too() {
    let (storage, server, profile) = world();
    before_save(&profile, false, |profile| {
        add_gold(profile, 7);
        Ok(())
    });
    profile.end_session().unwrap();
    server.update();
    assert!(profile.is_finished());
    assert_eq!(storage.document(KEY)["Gold"], 7);
    assert_eq!(storage.commits(), 2);
}

#[test]
fn fault_7_a_hook_that_fails_or_panics_puts_the_save_off_and_is_undone() {
    for panics in [false, true] {
        let (storage, server, profile) = world();
        let fails = Arc::new(AtomicBool::new(true));
        let failing = Arc::clone(&fails);
        before_save(&profile, true, move |profile| {
            add_gold(profile, 100);
            match failing.load(Ordering::Relaxed) {
                true if panics => panic!("a bug in the hook"),
                true => Err("not now".to_owned()),
                false => Ok(()),
            }
        });
        add_gold(&profile, 1);
        let wait = profile.when_changes_saved(None).unwrap();
        profile.mark_force_save().unwrap();
        server.update();
        assert_eq!(server.heard(), ["error BeforeSave"]);
        assert_eq!(gold(&profile), 1, "as it was before the hook");
        server.run(9.0);
        assert_eq!(storage.commits(), 1);
        fails.store(false, Ordering::Relaxed);
        server.run(1.0);
        assert_eq!(server.heard(), ["Saved", "changes Saved"]);
        assert!(wait.is_saved());
        assert_eq!(storage.document(KEY)["Gold"], 101);
    }
}

#[test]
fn fault_7_a_hook_that_keeps_failing_cannot_keep_the_save_past_the_leases_last_two_timeouts() {
    let (storage, server, profile) = world();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    before_save(&profile, false, move |profile| {
        counted.fetch_add(1, Ordering::Relaxed);
        add_gold(profile, 100);
        Err("never".to_owned())
    });
    add_gold(&profile, 1);
    profile.mark_force_save().unwrap();
    // The lease: 1800 s less a margin of 90 s; two timeouts are 60 s.
    server.run(1649.0);
    assert_eq!(storage.commits(), 1);
    assert!(profile.is_available().unwrap());
    server.run(1.0);
    assert_eq!(storage.commits(), 2);
    assert_eq!(
        storage.document(KEY)["Gold"],
        1,
        "as it stood before the hook"
    );
    server.run(1000.0);
    assert!(profile.is_available().unwrap());
    assert!(calls.load(Ordering::Relaxed) > 100);
}

#[test]
fn fault_7_at_a_release_a_failing_hook_is_reported_and_the_data_saved_as_it_stood() {
    let (storage, server, profile) = world();
    before_save(&profile, false, |profile| {
        add_gold(profile, 100);
        Err("never".to_owned())
    });
    add_gold(&profile, 3);
    profile.mark_force_save().unwrap();
    server.update();
    let wait = profile.when_changes_saved(None).unwrap();
    profile.end_session().unwrap();
    server.update();
    assert!(profile.is_finished());
    assert_eq!(wait.outcome(), Some(SaveOutcome::Saved));
    assert_eq!(storage.document(KEY)["Gold"], 3);
    let heard = server.heard();
    assert_eq!(
        heard[..3],
        ["error BeforeSave", "Destroyed", "error BeforeSave"]
    );
    assert_eq!(heard[3], "Saved");
}

#[test]
fn while_a_hook_runs_other_threads_read_what_was_before_and_may_not_write() {
    let (storage, server, profile) = world();
    before_save(&profile, false, |profile| {
        add_gold(profile, 5);
        let (other, inside) = (profile.clone(), gold(profile));
        let seen = thread::spawn(move || {
            let refused = other.save_data().write(|data| data.set_i64("/Gold", 9));
            (gold(&other), refused)
        });
        let (outside, refused) = seen.join().expect("the other thread");
        assert_eq!((inside, outside), (5, 0));
        assert_eq!(refused, Err(WriteError::Busy));
        Ok(())
    });
    profile.mark_force_save().unwrap();
    server.update();
    assert_eq!(server.heard(), ["Saved"]);
    assert_eq!(
        (gold(&profile), storage.document(KEY)["Gold"].as_i64()),
        (5, Some(5))
    );
    let profile_again = profile.clone();
    thread::spawn(move || add_gold(&profile_again, 1))
        .join()
        .unwrap();
    assert_eq!(gold(&profile), 6);
}

#[test]
fn an_update_from_inside_a_hook_is_refused_as_busy() {
    let (_storage, server, profile) = world();
    let answers = Arc::new(Mutex::new(Vec::new()));
    let (seen, store) = (Arc::clone(&answers), server.store.clone());
    before_save(&profile, false, move |profile| {
        seen.lock().push(store.update(1.0));
        seen.lock().push(store.drain(1.0).map(drop));
        seen.lock().push(profile.wait_until_loaded(1.0).map(drop));
        Ok(())
    });
    profile.mark_force_save().unwrap();
    server.update();
    let busy = Err(LockerError::Busy);
    assert_eq!(*answers.lock(), [busy.clone(), busy.clone(), busy]);
}

#[test]
fn a_release_asked_inside_the_hook_makes_that_save_the_release() {
    let (storage, server, profile) = world();
    before_save(&profile, false, |profile| {
        profile.end_session().map_err(|error| error.to_string())
    });
    profile.mark_force_save().unwrap();
    server.update();
    server.update();
    assert!(profile.is_finished());
    assert_eq!(storage.commits(), 2);
    assert_eq!(storage.document(KEY)["Session"], serde_json::Value::Null);
}

#[test]
fn a_hook_that_is_taken_away_runs_no_more() {
    let (storage, server, profile) = world();
    before_save(&profile, false, |_| Err("never".to_owned()));
    profile.set_before_save(false, None).unwrap();
    profile.mark_force_save().unwrap();
    server.update();
    assert_eq!(server.heard(), ["Saved"]);
    assert_eq!(storage.commits(), 2);
}

#[test]
fn a_save_that_is_tried_again_runs_the_hooks_again() {
    let (storage, server, profile) = world();
    before_save(&profile, false, |profile| {
        add_gold(profile, 1);
        Ok(())
    });
    storage.on_commit(&[FailBefore]);
    profile.mark_force_save().unwrap();
    server.run(13.0);
    assert_eq!(storage.commits(), 3);
    assert_eq!(storage.document(KEY)["Gold"], gold(&profile));
    assert_eq!(gold(&profile), 2);
}

/// The purchases that are stored, after host code that has put another document in the live one's place.
fn purchases_stored_after(replace: impl FnOnce(&SharedSaveData, SaveData)) -> usize {
    let storage = FaultyStorage::new();
    storage.put(KEY, r#"{"Version":1,"Purchases":[[5,"a",1]]}"#);
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    let profile = server.load(KEY);
    let other = SaveData::from_json("{}", 1 << 20).unwrap();
    replace(profile.save_data(), other);
    profile.mark_force_save().unwrap();
    server.update();
    assert_eq!(server.heard(), ["Saved"]);
    let purchases = storage.document(KEY)["Purchases"].clone();
    purchases.as_array().map_or(0, Vec::len)
}

#[test]
fn a_panic_inside_a_write_keeps_the_reserved_fields() {
    let purchases = purchases_stored_after(|data, other| {
        let panics = AssertUnwindSafe(|| {
            data.write::<()>(|data| {
                *data = other;
                panic!("the host's");
            })
        });
        assert!(catch_unwind(panics).is_err());
    });
    assert_eq!(purchases, 1);
}

#[test]
fn a_read_that_puts_another_document_in_its_place_keeps_the_reserved_fields() {
    let purchases = purchases_stored_after(|data, other| {
        data.read(|data| drop(std::mem::replace(data, other)));
    });
    assert_eq!(purchases, 1);
}
