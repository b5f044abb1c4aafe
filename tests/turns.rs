//! Lockers that are updated one by one take turns at a budget that is too small for all of them.

mod support;

use session_locker::locker::{Config, Locker, LockerSpec, SaveOutcome};
use support::Fault::{HoldAnswer, None as NoFault};
use support::{FaultyStorage, VirtualClock, options, spec};

/// Ten frames a second.
const FRAME: f64 = 0.1;

/// Loaded lockers, before their spec gets a budget.
fn world(count: usize, change: impl FnOnce(&mut Config)) -> (LockerSpec, Vec<Locker>) {
    world_on(&FaultyStorage::new(), count, change)
}

fn world_on(
    storage: &std::sync::Arc<FaultyStorage>,
    count: usize,
    change: impl FnOnce(&mut Config),
) -> (LockerSpec, Vec<Locker>) {
    let mut options = options(&VirtualClock::new(), 1);
    change(&mut options.config);
    let spec = spec(storage, options);
    let wanted = |n| {
        let locker = spec.create_locker(&format!("Player_{n}"), &[]).unwrap();
        locker.mark_should_acquire().unwrap();
        locker
    };
    let lockers = (0..count).map(wanted).collect();
    (spec, lockers)
}

/// Updates all of them, in their order, each of them wanting to save in every frame. Answers how often each
/// has saved.
fn saves(lockers: &[Locker], frames: std::ops::Range<usize>) -> Vec<usize> {
    let mut saves = vec![0; lockers.len()];
    for frame in frames {
        for (locker, saves) in lockers.iter().zip(&mut saves) {
            if locker.is_available().unwrap() {
                locker.mark_force_save().unwrap();
            }
            locker.update(frame as f64 * FRAME).unwrap();
            *saves += support::heard_by(locker)
                .iter()
                .filter(|word| *word == "Saved")
                .count();
        }
    }
    saves
}

#[test]
fn each_gets_its_share_of_a_frames_requests() {
    let (_spec, lockers) = world(5, |config| config.requests_per_update = 1);
    saves(&lockers, 0..50);
    assert_eq!(saves(&lockers, 50..100), [10; 5]);
    let (_spec, lockers) = world(5, |config| config.requests_per_update = 2);
    saves(&lockers, 0..50);
    let shares = saves(&lockers, 50..100);
    assert_eq!(shares.iter().sum::<usize>(), 100);
    assert!(shares.iter().all(|saves| *saves >= 15), "{shares:?}");
}

#[test]
fn each_gets_its_share_of_the_requests_under_way() {
    let storage = FaultyStorage::new();
    let (_spec, lockers) = world_on(&storage, 4, |config| config.requests_in_flight = 1);
    saves(&lockers, 0..50);
    let mut shares = [0; 4];
    for frame in 50..130 {
        storage.on_commit(&[HoldAnswer, NoFault, NoFault, NoFault]);
        let saved = saves(&lockers, frame..frame + 1);
        shares
            .iter_mut()
            .zip(saved)
            .for_each(|(share, saves)| *share += saves);
        storage.let_go();
    }
    let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
    assert!(*least > 0 && most - least <= 1, "{shares:?}");
}

#[test]
fn each_gets_its_share_of_a_frames_bytes() {
    let (_spec, lockers) = world(5, |config| config.bytes_per_update = 10);
    saves(&lockers, 0..100);
    assert_eq!(saves(&lockers, 100..150), [10; 5]);
}

#[test]
fn a_key_is_loaded_although_those_updated_before_it_always_save() {
    let (spec, lockers) = world(3, |config| config.requests_per_update = 1);
    saves(&lockers, 0..50);
    let late = spec.create_locker("late", &[]).unwrap();
    late.mark_should_acquire().unwrap();
    for frame in 50..58 {
        saves(&lockers, frame..frame + 1);
        late.update(frame as f64 * FRAME).unwrap();
    }
    assert!(late.is_available().unwrap());
}

#[test]
fn who_is_waited_for_does_not_wait_for_the_turns_of_those_who_are_not_updated_meanwhile() {
    let (_spec, lockers) = world(4, |config| config.bytes_per_update = 10);
    saves(&lockers, 0..100);
    lockers.iter().for_each(|locker| {
        locker.mark_force_save().unwrap();
        locker.update(100.0 * FRAME).unwrap();
    });
    for locker in lockers.iter().rev() {
        let wait = locker.wait_until_changes_saved(1.0).unwrap();
        assert_eq!(wait, Some(SaveOutcome::Saved));
    }
}

#[test]
fn a_large_document_does_not_hold_up_those_with_frames_of_their_own() {
    let (_spec, lockers) = world(3, |config| config.bytes_per_update = 10);
    saves(&lockers, 0..100);
    for (n, locker) in lockers.iter().enumerate() {
        locker.mark_force_save().unwrap();
        locker.update(1000.0 + n as f64).unwrap();
        support::heard_by(locker);
    }
    // Each save takes the bytes of its frame, and the next is due in it again.
    for (n, locker) in lockers.iter().enumerate() {
        locker.mark_force_save().unwrap();
        locker.update(2000.0 + n as f64).unwrap();
        locker.mark_force_save().unwrap();
        locker.update(2000.0 + n as f64).unwrap();
        assert_eq!(support::heard_by(locker), ["Saved"]);
    }
}

#[test]
fn a_turn_is_kept_when_each_update_has_a_time_of_its_own() {
    let storage = FaultyStorage::new();
    let (_spec, lockers) = world_on(&storage, 3, |config| config.requests_in_flight = 1);
    storage.on_fetch(&[HoldAnswer; 3]);
    let mut now = 0.0;
    let mut update = |locker: &Locker| {
        now += 0.001;
        locker.update(now).unwrap();
    };
    lockers.iter().for_each(&mut update);
    storage.let_go();
    // The first has its answer, and now wants to write that it owns its key.
    lockers.iter().for_each(&mut update);
    assert_eq!((storage.fetches(), storage.commits()), (2, 0));
}

#[test]
fn no_turn_is_left_to_a_locker_that_is_gone_or_content() {
    let (spec, lockers) = world(2, |config| config.requests_per_update = 1);
    saves(&lockers, 0..20);
    let now = 20.0 * FRAME;
    let gone = spec.create_locker("gone", &[]).unwrap();
    gone.mark_should_acquire().unwrap();
    let content = spec.create_locker("content", &[]).unwrap();
    content.mark_should_acquire().unwrap();
    lockers[0].mark_force_save().unwrap();
    for locker in [&lockers[0], &gone, &content] {
        locker.update(now).unwrap();
    }
    // Both were refused, and do not want it any more.
    gone.mark_should_release().unwrap();
    content.mark_should_release().unwrap();
    gone.update(now).unwrap();
    gone.mark_deleted().unwrap();
    content.update(now).unwrap();
    assert_eq!(saves(&lockers, 21..25), [2, 2]);
}

#[test]
fn a_locker_that_is_updated_no_more_loses_its_turn_after_ten_seconds() {
    let (spec, lockers) = world(2, |config| config.requests_per_update = 1);
    saves(&lockers, 0..20);
    let forgotten = spec.create_locker("forgotten", &[]).unwrap();
    forgotten.mark_should_acquire().unwrap();
    lockers[0].mark_force_save().unwrap();
    lockers[0].update(20.0 * FRAME).unwrap();
    forgotten.update(20.0 * FRAME).unwrap();
    saves(&lockers, 21..25);
    assert_eq!(saves(&lockers, 25..120), [0, 0], "its turn");
    assert_eq!(saves(&lockers, 121..141), [10, 10]);
    forgotten.update(141.0 * FRAME).unwrap();
    saves(&lockers, 141..145);
    assert_eq!(saves(&lockers, 145..150), [0, 0], "its turn again");
}
