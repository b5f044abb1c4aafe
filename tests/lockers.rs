//! The full API: lockers that the host updates one by one.

mod support;

use std::sync::Arc;

use session_locker::locker::{Config, Locker, LockerError, LockerSpec};
use support::Fault::HoldAnswer;
use support::{FaultyStorage, VirtualClock, heard_by, options, spec};

const KEY: &str = "Player_1";

fn world() -> (Arc<FaultyStorage>, LockerSpec) {
    let storage = FaultyStorage::new();
    let spec = spec(&storage, options(&VirtualClock::new(), 1));
    (storage, spec)
}

fn acquired(spec: &LockerSpec, key: &str, now: f64) -> Locker {
    let locker = spec.create_locker(key, &[]).unwrap();
    locker.mark_should_acquire().unwrap();
    locker.update(now).unwrap();
    locker
}

#[test]
fn a_lockers_life_is_told_in_the_order_of_the_original() {
    let (_storage, spec) = world();
    let locker = spec.create_locker(KEY, &[]).unwrap();
    assert!(heard_by(&locker).is_empty(), "not before creation returned");
    assert!(locker.update(0.0).unwrap());
    assert_eq!(heard_by(&locker), ["Replaced(Released)", "Idling"]);
    locker.mark_should_acquire().unwrap();
    assert!(!locker.update(1.0).unwrap());
    assert_eq!(heard_by(&locker), ["Replaced(Loaded)", "status Loaded"]);
    locker.mark_force_save().unwrap();
    locker.update(2.0).unwrap();
    assert_eq!(heard_by(&locker), ["Saved"]);
    locker.mark_should_release().unwrap();
    assert!(locker.update(3.0).unwrap());
    let released = ["Saved", "Replaced(Released)", "status Loading", "Idling"];
    assert_eq!(heard_by(&locker), released);
    locker.mark_deleted().unwrap();
    assert_eq!(heard_by(&locker), ["Deleted"]);
    assert!(locker.is_deleted().unwrap());
    assert!(matches!(locker.update(4.0), Err(LockerError::NotActive(_))));
}

#[test]
fn a_locker_with_a_session_or_an_unsettled_commit_cannot_be_deleted() {
    let (storage, spec) = world();
    let locker = acquired(&spec, KEY, 0.0);
    assert_eq!(locker.mark_deleted(), Err(LockerError::NotIdle));
    storage.on_commit(&[HoldAnswer]);
    locker.mark_should_release().unwrap();
    assert!(!locker.update(1.0).unwrap());
    assert_eq!(locker.mark_deleted(), Err(LockerError::NotIdle));
    storage.let_go();
    assert!(locker.update(2.0).unwrap());
    assert_eq!(locker.mark_deleted(), Ok(()));
}

#[test]
fn a_key_wanted_for_a_moment_is_left_to_others() {
    let (_storage, spec) = world();
    let locker = spec.create_locker(KEY, &[]).unwrap();
    locker.update(0.0).unwrap();
    locker.mark_should_acquire().unwrap();
    locker.mark_should_release().unwrap();
    assert!(locker.update(1.0).unwrap());
    assert!(acquired(&spec, KEY, 2.0).is_available().unwrap());
}

#[test]
fn a_locker_deleted_in_two_minds_leaves_its_key_to_others() {
    let (_storage, spec) = world();
    let locker = spec.create_locker(KEY, &[]).unwrap();
    locker.update(0.0).unwrap();
    locker.mark_should_acquire().unwrap();
    locker.mark_should_release().unwrap();
    locker.mark_deleted().unwrap();
    assert!(acquired(&spec, KEY, 2.0).is_available().unwrap());
}

#[test]
fn a_locker_that_was_never_updated_may_be_deleted_unless_it_is_wanted() {
    let (_storage, spec) = world();
    let locker = spec.create_locker(KEY, &[]).unwrap();
    assert_eq!(locker.mark_deleted(), Ok(()));
    assert_eq!(heard_by(&locker), ["Deleted"]);
    let locker = spec.create_locker(KEY, &[]).unwrap();
    locker.mark_should_acquire().unwrap();
    assert_eq!(locker.mark_deleted(), Err(LockerError::NotIdle));
    locker.mark_should_release().unwrap();
    assert_eq!(locker.mark_deleted(), Ok(()));
    assert!(acquired(&spec, KEY, 1.0).is_available().unwrap());
}

#[test]
fn an_update_of_one_locker_does_not_do_the_work_of_another() {
    let (storage, spec) = world();
    let (one, other) = (acquired(&spec, "a", 0.0), acquired(&spec, "b", 0.0));
    let before = storage.commits();
    other.mark_force_save().unwrap();
    one.update(1.0).unwrap();
    assert_eq!(storage.commits(), before);
    // A conflict of the other's is retried at the other's own update.
    storage.on_commit(&[HoldAnswer, support::Fault::None]);
    storage.edit("b", |document| document["Gold"] = 1.into());
    other.update(2.0).unwrap();
    storage.let_go();
    one.update(3.0).unwrap();
    one.update(4.0).unwrap();
    assert_eq!(storage.commits(), before + 1);
    other.update(5.0).unwrap();
    assert_eq!(storage.commits(), before + 2);
    assert!(heard_by(&other).contains(&"Saved".to_owned()));
}

#[test]
fn lockers_updated_at_one_time_share_one_budget() {
    let storage = FaultyStorage::new();
    let mut options = options(&VirtualClock::new(), 1);
    options.config = Config {
        requests_per_update: 3,
        ..options.config
    };
    let spec = spec(&storage, options);
    let lockers: Vec<_> = (0..4)
        .map(|n| acquired(&spec, &format!("Player_{n}"), 0.0))
        .collect();
    assert_eq!(storage.fetches() + storage.commits(), 3);
    lockers.iter().for_each(|locker| {
        locker.update(1.0).unwrap();
    });
    assert_eq!(storage.fetches() + storage.commits(), 6);
}

#[test]
fn unread_events_of_a_locker_that_is_gone_are_gone() {
    let (_storage, spec) = world();
    for n in 0..70_000 {
        let locker = spec.create_locker(KEY, &[]).expect("no unread events");
        locker.update(f64::from(n)).unwrap();
        locker.mark_deleted().unwrap();
    }
}

#[test]
fn a_time_that_is_no_time_counts_as_the_last() {
    let (storage, spec) = world();
    let locker = acquired(&spec, KEY, f64::NAN);
    assert!(locker.is_available().unwrap());
    locker.update(f64::NEG_INFINITY).unwrap();
    locker.update(f64::INFINITY).unwrap();
    locker.update(-50.0).unwrap();
    assert_eq!((storage.fetches(), storage.commits()), (1, 1));
    assert!(locker.is_available().unwrap());
}

#[test]
fn keys_and_user_ids_that_cannot_be_stored_are_refused() {
    let (_storage, spec) = world();
    let refused = |key: &str, ids: &[&str]| spec.create_locker(key, ids).err().unwrap();
    assert_eq!(refused("", &[]), LockerError::InvalidKey { bytes: 0 });
    let long = "k".repeat(513);
    assert_eq!(refused(&long, &[]), LockerError::InvalidKey { bytes: 513 });
    let error = LockerError::InvalidUserId { index: 1, bytes: 0 };
    assert_eq!(refused(KEY, &["1", ""]), error);
    assert_eq!(
        refused(KEY, &["1"; 65]),
        LockerError::TooManyUserIds { count: 65 }
    );
}

#[test]
fn a_session_is_held_for_as_long_as_one_of_its_use_keys_is() {
    let (_storage, spec) = world();
    let locker = acquired(&spec, KEY, 0.0);
    locker.mark_should_acquire_for(7).unwrap();
    locker.mark_should_release().unwrap();
    assert!(!locker.update(1.0).unwrap());
    assert!(locker.is_available().unwrap());
    locker.mark_should_release_for(8).unwrap();
    assert!(!locker.update(2.0).unwrap());
    locker.mark_should_release_for(7).unwrap();
    assert!(locker.update(3.0).unwrap());
}
