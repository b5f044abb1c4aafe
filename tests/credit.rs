//! Product credit: giving, using, what is told of it, and what a refused call leaves alone.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use serde_json::json;
use session_locker::easy::{Profile, ProfileEvent, Signal, StoreEvent};
use session_locker::locker::{CreditError, LockerError, WriteError};
use support::Fault::HoldAnswer;
use support::{FaultyStorage, Server, VirtualClock, heard_by, options, spec};

const KEY: &str = "Player_1";
const SWORD: i64 = 7;

fn world() -> (Arc<FaultyStorage>, Server) {
    let storage = FaultyStorage::new();
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    (storage, server)
}

fn credit(profile: &Profile) -> i64 {
    profile.product_credit(SWORD).expect("credit")
}

#[test]
fn credit_is_given_and_used_up_and_each_change_is_told_and_saved() {
    let (storage, server) = world();
    let profile = server.load(KEY);
    profile.give_product_credit(SWORD, 3).unwrap();
    profile.give_product_credit(i64::MIN, 1).unwrap();
    assert_eq!(profile.use_product_credit(SWORD, 2), Ok(true));
    assert_eq!(credit(&profile), 1);
    server.update();
    let told = [
        "credit of 7: +3",
        "credit of -9223372036854775808: +1",
        "credit of 7: -2",
    ];
    assert_eq!(server.heard(), told);
    assert_eq!(
        storage.commits(),
        1,
        "a change alone waits for the autosave"
    );
    profile.mark_force_save().unwrap();
    server.update();
    assert_eq!(
        storage.document(KEY)["ProductCredit"],
        json!([[SWORD, 1], [i64::MIN, 1]])
    );

    assert_eq!(profile.use_product_credit(SWORD, 1), Ok(true));
    assert_eq!(credit(&profile), 0);
    profile.end_session().unwrap();
    server.update();
    let left = json!([[i64::MIN, 1]]);
    assert_eq!(storage.document(KEY)["ProductCredit"], left, "used up");
}

#[test]
fn giving_and_using_credit_is_a_change_that_waits_are_answered_for() {
    let (_storage, server) = world();
    let profile = server.load(KEY);
    profile.give_product_credit(SWORD, 1).unwrap();
    let given = profile.when_changes_saved(None).unwrap();
    server.update();
    assert!(given.is_connected(), "there is something to save");
    profile.mark_force_save().unwrap();
    server.update();
    assert!(given.is_saved());
    assert_eq!(profile.use_product_credit(SWORD, 1), Ok(true));
    let used = profile.when_changes_saved(None).unwrap();
    assert!(used.is_connected(), "there is something to save");
}

#[test]
fn fault_10_what_is_refused_or_not_used_is_silent_and_marks_nothing() {
    let (storage, server) = world();
    let profile = server.load(KEY);
    profile.give_product_credit(SWORD, i64::MAX - 1).unwrap();
    profile.mark_force_save().unwrap();
    server.update();
    server.heard();
    let commits = storage.commits();

    for amount in [0, -1, i64::MIN] {
        let refused = CreditError::InvalidAmount { amount };
        assert_eq!(
            profile.give_product_credit(SWORD, amount),
            Err(refused.clone())
        );
        assert_eq!(profile.use_product_credit(SWORD, amount), Err(refused));
    }
    let refused = profile.give_product_credit(SWORD, 2).unwrap_err();
    let (product_id, credit_now) = (SWORD, i64::MAX - 1);
    assert_eq!(
        refused,
        CreditError::Overflow {
            product_id,
            credit: credit_now,
            amount: 2
        }
    );
    assert_eq!(profile.use_product_credit(SWORD, i64::MAX), Ok(false));
    assert_eq!(profile.use_product_credit(8, 1), Ok(false));
    assert_eq!(credit(&profile), i64::MAX - 1);

    let wait = profile.when_changes_saved(None).unwrap();
    server.update();
    assert!(wait.is_saved(), "nothing is marked");
    assert_eq!(server.heard(), ["changes Saved"], "and nothing told");
    assert_eq!(storage.commits(), commits);
}

#[test]
fn credit_needs_a_loaded_document() {
    let (storage, server) = world();
    storage.on_commit(&[HoldAnswer]);
    let profile = server.start(KEY);
    assert_eq!(profile.product_credit(SWORD), Err(CreditError::NotLoaded));
    assert_eq!(
        profile.give_product_credit(SWORD, 1),
        Err(CreditError::NotLoaded)
    );
    assert_eq!(
        profile.use_product_credit(SWORD, 1),
        Err(CreditError::NotLoaded)
    );
    storage.let_go();
    server.update();
    assert_eq!(credit(&profile), 0);
    profile.end_session().unwrap();
    server.update();
    let gone = profile.give_product_credit(SWORD, 1).unwrap_err();
    assert!(matches!(
        gone,
        CreditError::Locker(LockerError::NotActive(_))
    ));
}

#[test]
fn credit_given_after_the_session_was_ended_is_in_the_last_save() {
    let (storage, server) = world();
    let profile = server.load(KEY);
    profile.end_session().unwrap();
    profile.give_product_credit(SWORD, 2).unwrap();
    server.update();
    assert_eq!(storage.document(KEY)["ProductCredit"], json!([[SWORD, 2]]));
    assert!(storage.document(KEY)["Session"].is_null());
}

#[test]
fn a_hook_that_owns_the_document_gives_credit_and_others_are_busy_meanwhile() {
    let (storage, server) = world();
    let profile = server.load(KEY);
    let of = profile.clone();
    let hook = move || {
        of.give_product_credit(SWORD, 1)
            .map_err(|error| error.to_string())?;
        let elsewhere = of.clone();
        let busy = std::thread::spawn(move || elsewhere.give_product_credit(SWORD, 1));
        let busy = busy.join().expect("no panic");
        assert_eq!(busy, Err(CreditError::Write(WriteError::Busy)));
        Ok(())
    };
    profile
        .set_before_save(false, Some(Arc::new(hook)))
        .unwrap();
    profile.mark_force_save().unwrap();
    server.update();
    server.update();
    assert_eq!(server.heard(), ["credit of 7: +1", "Saved"]);
    assert_eq!(storage.document(KEY)["ProductCredit"], json!([[SWORD, 1]]));
}

#[test]
fn a_hook_that_fails_undoes_its_credit_which_is_not_told() {
    let (storage, server) = world();
    let profile = server.load(KEY);
    profile.give_product_credit(SWORD, 5).unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let (of, counted) = (profile.clone(), Arc::clone(&runs));
    let hook = move || {
        of.give_product_credit(SWORD, 1).unwrap();
        assert_eq!(of.use_product_credit(SWORD, 3), Ok(true));
        match counted.fetch_add(1, Ordering::Relaxed) {
            0 => Err("no".to_owned()),
            _ => Ok(()),
        }
    };
    profile.set_before_save(true, Some(Arc::new(hook))).unwrap();
    profile.mark_force_save().unwrap();
    server.update();
    server.update();
    assert_eq!(credit(&profile), 5);
    assert_eq!(server.heard(), ["credit of 7: +5", "error BeforeSave"]);
    server.jump(10.0);
    server.update();
    assert_eq!(
        server.heard(),
        ["credit of 7: +1", "credit of 7: -3", "Saved"]
    );
    assert_eq!(storage.document(KEY)["ProductCredit"], json!([[SWORD, 3]]));
}

#[test]
fn the_signal_tells_the_product_and_the_change_to_every_profile_of_the_session() {
    let (_storage, server) = world();
    let first = server.load(KEY);
    let second = server.store.start_session_reusable(KEY, &[]).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    for profile in [&first, &second] {
        let (into, id) = (Arc::clone(&heard), profile.id());
        let hear = move |event: &StoreEvent| match event.event {
            ProfileEvent::ProductCreditChanged { product_id, change } => {
                assert_eq!((event.profile, &*event.key), (id, KEY));
                into.lock().push((product_id, change));
            }
            _ => panic!("another event: {event:?}"),
        };
        let signal = Signal::ProductCreditChanged;
        profile.connect(signal, false, Arc::new(hear)).unwrap();
    }
    first.give_product_credit(SWORD, 2).unwrap();
    assert_eq!(second.use_product_credit(SWORD, 1), Ok(true));
    server.update();
    assert_eq!(
        *heard.lock(),
        [(SWORD, 2), (SWORD, 2), (SWORD, -1), (SWORD, -1)]
    );
}

#[test]
fn a_locker_of_the_full_api_keeps_credit_too() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let spec = spec(&storage, options(&clock, 1));
    let locker = spec.create_locker(KEY, &[]).unwrap();
    assert_eq!(locker.product_credit(SWORD), Err(CreditError::NotLoaded));
    locker.mark_should_acquire().unwrap();
    locker.update(0.0).unwrap();
    heard_by(&locker);
    locker.give_product_credit(SWORD, 2).unwrap();
    assert_eq!(locker.use_product_credit(SWORD, 3), Ok(false));
    assert_eq!(locker.use_product_credit(SWORD, 1), Ok(true));
    assert_eq!(locker.product_credit(SWORD), Ok(1));
    locker.update(0.0).unwrap();
    assert_eq!(heard_by(&locker), ["credit of 7: +2", "credit of 7: -1"]);
}
