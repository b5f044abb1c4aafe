//! Purchases of a player's own: applied once, granted once they are stored, answered once.

#[path = "support/shop.rs"]
mod shop;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use serde_json::json;
use session_locker::clock::Clock;
use session_locker::easy::Profile;
use session_locker::locker::{HookAnswer, LockerError, SharedSaveData, SpecOptions, WriteError};
use session_locker::purchaser::{ProductProcess, ReceiptInfo, Validation};
use shop::Command::{Do, Fail, Panic, Refuse};
use shop::{Answers, Shop, receipt};
use support::Fault::{FailAfter, FailBefore, HoldAnswer, HoldRequest};
use support::{FaultyStorage, Server, VirtualClock, WALL_START, add_gold, gold, options};

const KEY: &str = "Player_1";
const A_WEEK: f64 = 7.0 * 86_400.0;

struct World {
    storage: Arc<FaultyStorage>,
    server: Server,
    profile: Profile,
    shop: Arc<Shop>,
    answers: Answers,
}

impl World {
    fn new() -> Self {
        let storage = FaultyStorage::new();
        Self::on(&storage, options(&VirtualClock::new(), 1))
    }

    fn with_limit(limit: u32) -> Self {
        let mut options = options(&VirtualClock::new(), 1);
        options.config.purchase_history_limit = limit;
        Self::on(&FaultyStorage::new(), options)
    }

    fn on(storage: &Arc<FaultyStorage>, mut options: SpecOptions) -> Self {
        let clock = VirtualClock::new();
        options.clock = Arc::clone(&clock) as _;
        let server = Server::with(storage, &clock, options);
        let profile = server.load(KEY);
        Self {
            storage: Arc::clone(storage),
            server,
            profile,
            shop: Shop::new(),
            answers: Answers::default(),
        }
    }

    fn ask(&self, purchase_id: &str, gold: i64) {
        self.answers
            .ask(&self.profile, &self.shop, purchase_id, gold);
    }

    fn history(&self) -> Vec<String> {
        let data = self.profile.save_data();
        data.read(|data| {
            let entries = data.reserved().purchases.iter();
            entries.map(|entry| entry.purchase_id.clone()).collect()
        })
    }
}

#[test]
fn a_purchase_is_applied_saved_and_granted_in_one_update() {
    let world = World::new();
    world.ask("a", 5);
    assert_eq!(world.answers.heard(), [""; 0]);
    world.server.update();
    assert_eq!(world.answers.heard(), ["a+"]);
    assert_eq!(world.shop.calls(), ["validate a", "apply a", "record a"]);
    assert_eq!(world.server.heard(), ["Saved", "purchase a: true"]);
    let stored = world.storage.document(KEY);
    assert_eq!(
        (&stored["Gold"], &stored["Spent"]),
        (&json!(5), &json!(100))
    );
    assert_eq!(stored["Purchases"], json!([[5, "a", WALL_START as i64]]));
    assert_eq!(world.storage.commits(), 2);
    world.server.run(20.0);
    assert_eq!(world.storage.commits(), 2, "nothing is left to do");
}

#[test]
fn a_purchase_is_granted_only_once_it_is_stored() {
    let world = World::new();
    world.storage.on_commit(&[HoldRequest]);
    world.ask("a", 5);
    world.server.run(5.0);
    assert_eq!(world.answers.heard(), [""; 0]);
    assert_eq!(gold(&world.profile), 5);
    world.storage.let_go();
    world.server.update();
    assert_eq!(world.answers.heard(), ["a+"]);
    assert_eq!(world.shop.applied(), 1);
}

#[test]
fn a_receipt_that_comes_again_is_granted_and_not_applied_again() {
    let world = World::new();
    world.ask("a", 5);
    world.server.update();
    world.shop.calls();
    let commits = world.storage.commits();
    world.ask("a", 5);
    world.server.update();
    assert_eq!(world.answers.heard(), ["a+", "a+"]);
    assert_eq!(world.shop.calls(), [""; 0]);
    assert_eq!(world.storage.commits(), commits);
    world.ask("a", 6);
    world.server.update();
    assert_eq!(
        world.shop.applied(),
        1,
        "another product is another purchase"
    );
}

#[test]
fn a_receipt_that_comes_again_waits_until_all_before_it_is_saved() {
    let world = World::new();
    world.ask("a", 5);
    world.server.update();
    world.answers.heard();
    add_gold(&world.profile, 1);
    world.storage.on_commit(&[HoldRequest]);
    world.ask("a", 5);
    world.server.update();
    assert_eq!(world.answers.heard(), [""; 0]);
    world.storage.let_go();
    world.server.update();
    assert_eq!(world.answers.heard(), ["a+"]);
    assert_eq!(world.storage.document(KEY)["Gold"], 6);
}

#[test]
fn a_receipt_that_comes_again_after_a_restart_is_granted_and_not_applied_again() {
    let world = World::new();
    world.ask("a", 5);
    world.server.update();
    world.profile.destroy().unwrap();
    world.server.update();
    let after = World::on(&world.storage, options(&world.server.clock, 2));
    after.ask("a", 5);
    after.server.update();
    assert_eq!(after.answers.heard(), ["a+"]);
    assert_eq!(after.shop.calls(), [""; 0]);
    assert_eq!(gold(&after.profile), 5);
}

#[test]
fn a_crash_before_the_save_applies_it_anew_and_one_after_it_does_not() {
    for (fault, applied) in [(HoldRequest, 1), (HoldAnswer, 0)] {
        let world = World::new();
        world.storage.on_commit(&[fault]);
        world.ask("a", 5);
        world.server.update();
        assert_eq!(world.answers.heard(), [""; 0]);
        // The server is gone for good; its session runs out.
        let storage = Arc::clone(&world.storage);
        let after = Server::new(&storage, &VirtualClock::new(), 2);
        after.clock.advance(5000.0);
        let profile = after.load(KEY);
        let (shop, answers) = (Shop::new(), Answers::default());
        answers.ask(&profile, &shop, "a", 5);
        after.update();
        assert_eq!(answers.heard(), ["a+"]);
        assert_eq!((shop.applied(), gold(&profile)), (applied, 5), "{fault:?}");
    }
}

#[test]
fn fault_22_two_in_flight_on_one_locker_are_both_answered() {
    let world = World::new();
    world.storage.on_commit(&[HoldAnswer]);
    world.ask("a", 1);
    world.server.update();
    world.ask("b", 2);
    world.server.update();
    assert_eq!(world.answers.heard(), [""; 0]);
    world.storage.let_go();
    world.server.update();
    world.server.update();
    assert_eq!(world.answers.heard(), ["a+", "b+"]);
    assert_eq!(world.storage.document(KEY)["Gold"], 3);
}

#[test]
fn fault_29_purchases_are_applied_in_the_order_they_were_asked() {
    let world = World::new();
    for id in ["a", "b", "c", "d"] {
        world.ask(id, 1);
    }
    world.server.update();
    let calls = world.shop.calls();
    let applied = calls.iter().filter(|call| call.starts_with("apply"));
    let order = ["apply a", "apply b", "apply c", "apply d"];
    assert_eq!(applied.collect::<Vec<_>>(), order);
    assert_eq!(world.answers.heard(), ["a+", "b+", "c+", "d+"]);
    assert_eq!(world.history(), ["a", "b", "c", "d"]);
}

#[test]
fn fifty_purchases_of_one_session_are_answered_by_one_save() {
    let world = World::new();
    let commits = world.storage.commits();
    (0..50).for_each(|number| world.ask(&number.to_string(), 1));
    world.server.update();
    assert_eq!(world.answers.heard().len(), 50);
    assert_eq!(world.storage.commits(), commits + 1);
    assert_eq!(gold(&world.profile), 50);
}

#[test]
fn the_same_receipt_asked_for_twice_at_once_is_applied_once_and_granted_twice() {
    let world = World::new();
    world.storage.on_commit(&[HoldAnswer]);
    world.ask("a", 5);
    world.ask("a", 5);
    world.server.update();
    world.ask("a", 5);
    world.server.update();
    world.storage.let_go();
    world.server.update();
    world.server.update();
    assert_eq!(world.answers.heard(), ["a+", "a+", "a+"]);
    assert_eq!((world.shop.applied(), gold(&world.profile)), (1, 5));
}

#[test]
fn what_cannot_be_applied_becomes_credit_once() {
    for inside_apply in [false, true] {
        let world = World::new();
        match inside_apply {
            false => world.shop.on_validate(&[Refuse]),
            true => world.shop.on_apply(&[Refuse]),
        }
        world.ask("a", 5);
        world.server.update();
        let heard = ["credit of 5: +1", "Saved", "purchase a: true"];
        assert_eq!(world.server.heard(), heard);
        assert_eq!(world.answers.heard(), ["a+"]);
        let stored = world.storage.document(KEY);
        assert_eq!(stored["ProductCredit"], json!([[5, 1]]));
        assert_eq!(
            (&stored["Gold"], &stored["Spent"]),
            (&json!(0), &json!(100))
        );
        world.ask("a", 5);
        world.server.update();
        assert_eq!(world.answers.heard(), ["a+"]);
        assert_eq!(world.profile.product_credit(5), Ok(1));
    }
}

#[test]
fn fault_17_a_failing_apply_is_undone_reported_and_tried_again_after_the_cooldown() {
    for failure in [Fail, Panic] {
        let world = World::new();
        world.shop.on_apply(&[failure, failure]);
        world.ask("a", 5);
        world.server.update();
        world.server.run(9.0);
        assert_eq!(world.shop.applied(), 1, "not every frame");
        assert_eq!(gold(&world.profile), 0, "undone");
        assert_eq!(world.server.heard(), ["error Purchase"]);
        world.server.run(1.0);
        assert_eq!(world.shop.applied(), 1);
        assert_eq!(world.answers.heard(), [""; 0]);
        world.server.run(10.0);
        assert_eq!(world.answers.heard(), ["a+"]);
        assert_eq!((world.shop.applied(), gold(&world.profile)), (1, 5));
    }
}

#[test]
fn a_failing_validate_is_tried_again_after_the_cooldown_too() {
    for failure in [Fail, Panic] {
        let world = World::new();
        world.shop.on_validate(&[failure]);
        world.ask("a", 5);
        world.server.run(9.0);
        assert_eq!(world.shop.calls(), ["validate a"]);
        assert_eq!(world.server.heard(), ["error Purchase"]);
        world.server.run(2.0);
        assert_eq!(world.answers.heard(), ["a+"]);
    }
}

#[test]
fn a_failing_purchase_does_not_hold_back_the_others_of_its_locker() {
    let world = World::new();
    world.shop.on_apply(&[Fail, Do, Do]);
    ["a", "b", "c"].iter().for_each(|id| world.ask(id, 1));
    world.server.update();
    assert_eq!(world.answers.heard(), ["b+", "c+"]);
    world.server.run(10.0);
    assert_eq!(world.answers.heard(), ["a+"]);
}

#[test]
fn a_failing_record_is_undone_by_itself_and_reported_and_the_purchase_goes_on() {
    for failure in [Fail, Panic] {
        let world = World::new();
        world.shop.on_record(&[failure]);
        world.ask("a", 5);
        world.server.update();
        assert_eq!(world.answers.heard(), ["a+"]);
        let heard = ["error Purchase", "Saved", "purchase a: true"];
        assert_eq!(world.server.heard(), heard);
        let stored = world.storage.document(KEY);
        assert_eq!(
            (&stored["Gold"], &stored["Spent"]),
            (&json!(5), &json!(null))
        );
    }
}

#[test]
fn apply_may_write_to_no_other_player_and_others_see_the_document_as_before() {
    let world = World::new();
    let other = world.server.load("Player_2");
    let (profile, asked) = (world.profile.clone(), other.clone());
    world.shop.inside_apply(move || {
        assert_eq!(gold(&profile), 5, "its own thread sees what it does");
        let refused = asked.save_data().write(|data| data.add_i64("/Gold", 1));
        assert_eq!(refused, Err(WriteError::Busy));
        let profile = profile.clone();
        let elsewhere = std::thread::spawn(move || gold(&profile));
        assert_eq!(elsewhere.join().expect("no panic"), 0);
    });
    world.ask("a", 5);
    world.server.update();
    assert_eq!(world.answers.heard(), ["a+"]);
    assert_eq!(gold(&other), 0);
}

#[test]
fn nobody_updates_from_inside_a_process_hook_but_anything_else_goes() {
    let world = World::new();
    let (store, profile) = (world.server.store.clone(), world.profile.clone());
    let (shop, answers) = (Shop::new(), world.answers.clone());
    world.shop.inside_apply(move || {
        assert_eq!(store.update(1e9), Err(LockerError::Busy));
        assert_eq!(store.drain(1.0).err(), Some(LockerError::Busy));
        answers.ask(&profile, &shop, "inner", 1);
    });
    world.ask("a", 5);
    world.server.update();
    world.server.update();
    assert_eq!(world.answers.heard(), ["a+", "inner+"]);
    assert_eq!(world.storage.document(KEY)["Gold"], 6);
}

#[test]
fn fault_16_a_purchase_during_the_release_is_answered_false_with_the_end() {
    let world = World::new();
    world.storage.on_commit(&[HoldRequest]);
    world.profile.end_session().unwrap();
    world.server.update();
    world.server.heard();
    world.ask("a", 5);
    world.server.run(3.0);
    assert_eq!(world.answers.heard(), [""; 0], "it waits");
    world.storage.let_go();
    world.server.update();
    world.server.update();
    assert_eq!(world.answers.heard(), ["a-"]);
    assert_eq!(world.shop.calls(), [""; 0]);
    let heard = world.server.heard();
    let at = |what: &str| heard.iter().position(|event| event == what).expect(what);
    assert!(at("purchase a: false") < at("Finished"));
    assert_eq!(world.storage.document(KEY)["Gold"], 0);
}

#[test]
fn a_purchase_whose_save_is_the_release_is_granted() {
    let world = World::new();
    world.ask("a", 5);
    world.profile.end_session().unwrap();
    // Ended before the update: not available any more.
    world.server.update();
    assert_eq!(world.answers.heard(), ["a-"]);

    let after = World::on(&world.storage, options(&world.server.clock, 2));
    after.storage.on_commit(&[HoldAnswer]);
    after.profile.mark_force_save().unwrap();
    after.server.update();
    after.ask("b", 5);
    after.server.update();
    after.profile.end_session().unwrap();
    after.storage.let_go();
    after.server.update();
    after.server.update();
    assert_eq!(after.answers.heard(), ["b+"], "the release has saved it");
    assert_eq!(after.storage.document(KEY)["Gold"], 5);
    assert!(after.storage.document(KEY)["Session"].is_null());
}

#[test]
fn a_purchase_before_the_session_is_loaded_waits_for_it() {
    let world = World::new();
    world.storage.on_commit(&[HoldAnswer]);
    let later = world.server.start("Player_2");
    world.answers.ask(&later, &world.shop, "a", 5);
    world.server.run(2.0);
    assert_eq!(world.shop.calls(), [""; 0]);
    world.storage.let_go();
    world.server.update();
    world.server.update();
    assert_eq!(world.answers.heard(), ["a+"]);
}

#[test]
fn a_purchase_whose_session_is_lost_while_it_waits_starts_again_with_the_next() {
    let world = World::new();
    world.storage.on_commit(&[HoldRequest]);
    world.ask("a", 5);
    world.server.update();
    assert_eq!(world.shop.applied(), 1);
    // Another server takes the key, saves and lets it go.
    world
        .storage
        .put(KEY, json!({"Version": 1, "Gold": 70}).to_string());
    world.storage.let_go();
    world.server.run(15.0);
    assert_eq!(world.answers.heard(), ["a+"]);
    assert_eq!(world.shop.applied(), 1, "once more, for the other was lost");
    assert_eq!(world.storage.document(KEY)["Gold"], 75);
}

#[test]
fn a_lost_answer_to_the_save_neither_applies_it_twice_nor_refuses_it() {
    for fault in [FailAfter, FailBefore] {
        let world = World::new();
        world.storage.on_commit(&[fault]);
        world.ask("a", 5);
        world.server.run(60.0);
        assert_eq!(world.answers.heard(), ["a+"]);
        assert_eq!((world.shop.applied(), gold(&world.profile)), (1, 5));
        assert_eq!(world.storage.document(KEY)["Gold"], 5);
    }
}

#[test]
fn every_purchase_is_answered_once_when_the_store_closes() {
    let world = World::new();
    world.shop.on_validate(&[Do, Fail]);
    world.ask("saved", 1);
    world.ask("failing", 1);
    world.server.update();
    world.storage.on_commit(&[HoldAnswer]);
    let loading = world.server.start("Player_2");
    world.answers.ask(&loading, &world.shop, "loading", 1);
    assert_eq!(world.answers.heard(), ["saved+"]);
    world.server.store.close().unwrap();
    assert!(!world.server.store.is_closed().unwrap());
    world.storage.let_go();
    world.server.run(3.0);
    let mut heard = world.answers.heard();
    heard.sort();
    assert_eq!(heard, ["failing-", "loading-"]);
    assert!(world.server.store.is_closed().unwrap());
    drop(world.server);
    assert_eq!(world.answers.heard(), [""; 0]);
}

#[test]
fn every_purchase_is_answered_once_when_the_store_goes() {
    let world = World::new();
    world.storage.on_commit(&[HoldAnswer]);
    world.ask("in flight", 1);
    world.server.update();
    world.ask("asked", 1);
    let World {
        answers,
        server,
        profile,
        ..
    } = world;
    drop((server, profile));
    assert_eq!(answers.heard(), ["in flight-", "asked-"]);
}

#[test]
fn when_the_store_goes_purchases_are_answered_in_the_order_in_which_they_were_asked() {
    let world = World::new();
    let asked: Vec<_> = (0..12).map(|number| format!("{number}")).collect();
    let keys = asked.iter().map(|number| format!("other {number}"));
    let profiles: Vec<_> = keys.map(|key| world.server.load(&key)).collect();
    for (number, profile) in asked.iter().zip(&profiles) {
        world.answers.ask(profile, &world.shop, number, 1);
    }
    let World {
        answers,
        server,
        profile,
        ..
    } = world;
    drop((server, profile, profiles));
    let expected: Vec<_> = asked.iter().map(|number| format!("{number}-")).collect();
    assert_eq!(answers.heard(), expected);
}

#[test]
fn an_ended_profile_on_a_shared_session_finishes_after_its_purchases() {
    let world = World::new();
    let other = world.server.store.start_session_reusable(KEY, &[]).unwrap();
    world.storage.on_commit(&[HoldAnswer]);
    world.ask("a", 5);
    world.server.update();
    world.profile.end_session().unwrap();
    world.server.run(2.0);
    assert!(!world.profile.is_finished());
    world.storage.let_go();
    world.server.update();
    assert_eq!(world.answers.heard(), ["a+"]);
    assert!(world.profile.is_finished() && other.is_loaded());
}

#[test]
fn a_purchase_id_must_be_one_that_can_be_kept() {
    let world = World::new();
    let ask = |id: &str| {
        let process = Arc::clone(&world.shop) as Arc<dyn ProductProcess>;
        let receipt = receipt(id, 1);
        world
            .profile
            .call_when_product_is_processed_and_saved(process, receipt, None)
    };
    assert_eq!(ask(""), Err(LockerError::InvalidPurchaseId { bytes: 0 }));
    let long = "x".repeat(257);
    assert_eq!(
        ask(&long),
        Err(LockerError::InvalidPurchaseId { bytes: 257 })
    );
    assert_eq!(ask(&long[1..]), Ok(()));
    world.server.update();
    assert_eq!(world.server.heard().len(), 2);
}

#[test]
fn a_wait_for_a_purchase_says_whether_it_was_granted_or_that_time_ran_out() {
    let world = World::new();
    let wait = |receipt: ReceiptInfo, timeout| {
        let process = Arc::clone(&world.shop) as Arc<dyn ProductProcess>;
        world
            .profile
            .wait_until_product_is_processed_and_saved(process, receipt, timeout)
            .unwrap()
    };
    assert_eq!(wait(receipt("a", 5), 1.0), Some(true));
    world.storage.on_commit(&[HoldAnswer]);
    assert_eq!(wait(receipt("b", 5), 1.0), None);
    world.storage.let_go();
    assert_eq!(wait(receipt("b", 5), 1.0), Some(true), "it has gone on");
    assert_eq!(gold(&world.profile), 10);
}

#[test]
fn the_history_keeps_to_its_limit_and_drops_the_oldest() {
    let world = World::with_limit(3);
    for number in 0..6 {
        world.ask(&number.to_string(), 1);
        world.server.update();
        world.server.jump(A_WEEK);
    }
    assert_eq!(world.history(), ["3", "4", "5"]);
}

#[test]
fn entries_younger_than_a_week_are_kept_beyond_the_limit() {
    let world = World::with_limit(3);
    for number in 0..6 {
        world.ask(&number.to_string(), 1);
        world.server.jump(A_WEEK / 4.0);
        world.server.update();
    }
    assert_eq!(world.history(), ["2", "3", "4", "5"], "two are a week old");
}

#[test]
fn entries_that_are_marked_or_unanswered_are_kept_however_old() {
    let storage = FaultyStorage::new();
    let old = WALL_START - 2.0 * A_WEEK;
    let purchases = json!([
        [1, "marked", old, "Player_9"],
        [1, "waits", old],
        [1, "goes", old]
    ]);
    storage.put(
        KEY,
        json!({"Version": 1, "Gold": 0, "Purchases": purchases}).to_string(),
    );
    let mut options = options(&VirtualClock::new(), 1);
    options.config.purchase_history_limit = 1;
    let world = World::on(&storage, options);
    add_gold(&world.profile, 1);
    storage.on_commit(&[HoldAnswer]);
    world.ask("waits", 1);
    world.server.update();
    world.ask("new", 1);
    world.server.update();
    assert_eq!(world.history(), ["marked", "waits", "new"]);
}

#[test]
fn a_history_full_of_what_must_be_kept_lets_new_purchases_wait() {
    let storage = FaultyStorage::new();
    let entry = |number: usize| json!([1, number.to_string(), WALL_START - A_WEEK + 5.0]);
    let purchases: Vec<_> = (0..10_000).map(entry).collect();
    storage.put(
        KEY,
        json!({"Version": 1, "Gold": 0, "Purchases": purchases}).to_string(),
    );
    let world = World::on(&storage, options(&VirtualClock::new(), 1));
    world.ask("new", 1);
    world.ask("77", 1);
    world.server.run(9.0);
    assert_eq!(world.answers.heard(), ["77+"], "a replay needs no room");
    assert_eq!(
        world.server.heard(),
        ["purchase 77: true", "error Purchase"]
    );
    assert_eq!(world.shop.calls(), [""; 0]);
    world.server.run(2.0);
    assert_eq!(world.answers.heard(), ["new+"]);
    assert_eq!(
        world.history().len(),
        100,
        "what is old beyond the limit goes"
    );
}

#[test]
fn idle_sessions_and_purchases_that_wait_for_a_save_cost_no_look() {
    let world = World::new();
    world.storage.on_commit(&[HoldAnswer]);
    world.ask("a", 5);
    world.server.update();
    let touches = world.server.store.touches().unwrap();
    world.server.run(5.0);
    assert_eq!(world.server.store.touches().unwrap(), touches);
}

#[test]
fn a_callback_that_panics_does_not_take_the_answers_of_others_with_it() {
    let world = World::new();
    let other = world.server.load("Player_2");
    let process = Arc::clone(&world.shop) as Arc<dyn ProductProcess>;
    world
        .profile
        .call_when_product_is_processed_and_saved(
            process,
            receipt("x", 5),
            Some(Box::new(|_| panic!("the host's"))),
        )
        .unwrap();
    world.ask("a", 5);
    world.answers.ask(&other, &world.shop, "b", 5);
    for _ in 0..5 {
        let update = std::panic::AssertUnwindSafe(|| world.server.update());
        // The panic is the host's to see.
        let _ = std::panic::catch_unwind(update);
        world.server.clock.advance(1.0);
    }
    assert_eq!(world.answers.heard(), ["a+", "b+"]);
    // A profile that has purchases under way is not finished.
    world.profile.end_session().unwrap();
    world.server.run(3.0);
    assert!(world.profile.is_finished());
}

/// Its end is the host's to hear, and calls the library.
struct Ending(Profile);

impl ProductProcess for Ending {
    fn validate(&self, _: &ReceiptInfo) -> Result<Validation, String> {
        Ok(Validation::Own)
    }

    fn apply(&self, _: &ReceiptInfo, _: &Arc<SharedSaveData>) -> Result<HookAnswer, String> {
        Ok(HookAnswer::Applied)
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.is_active();
    }
}

#[test]
fn a_refused_purchase_gives_its_process_back_with_no_lock_held() {
    let world = World::new();
    let profile = world.profile.clone();
    let (tell, hear) = channel();
    std::thread::spawn(move || {
        let process = Arc::new(Ending(profile.clone()));
        let asked = profile.call_when_product_is_processed_and_saved(process, receipt("", 5), None);
        let _ = tell.send(asked.is_err());
    });
    // For ever, if it waits for its own lock.
    assert_eq!(hear.recv_timeout(Duration::from_secs(60)), Ok(true));
}

/// Counts how often it is read.
struct Watched(Arc<VirtualClock>, AtomicUsize);

impl Clock for Watched {
    fn wall(&self) -> f64 {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.wall()
    }

    fn monotonic(&self) -> f64 {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.monotonic()
    }

    fn sleep(&self, seconds: f64) {
        self.0.sleep(seconds);
    }
}

#[test]
fn purchases_that_wait_for_their_sessions_read_no_clock() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let watched = Arc::new(Watched(Arc::clone(&clock), AtomicUsize::new(0)));
    let mut options = options(&clock, 1);
    options.clock = Arc::clone(&watched) as _;
    let server = Server::with(&storage, &clock, options);
    storage.on_fetch(&[HoldAnswer; 20]);
    let profiles: Vec<_> = (0..20).map(|n| server.start(&n.to_string())).collect();
    let reads_of_an_update = || {
        let before = watched.1.load(Ordering::Relaxed);
        server.update();
        watched.1.load(Ordering::Relaxed) - before
    };
    let without = reads_of_an_update();
    let (shop, answers) = (Shop::new(), Answers::default());
    for profile in &profiles {
        answers.ask(profile, &shop, "a", 5);
    }
    assert_eq!(reads_of_an_update(), without);
    storage.let_go();
    server.run(3.0);
    assert_eq!(answers.heard().len(), 20);
}
