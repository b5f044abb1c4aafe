//! Gifts: applied to their recipient once, whatever breaks off on the way, and granted at the end.

#[path = "support/shop.rs"]
mod shop;
mod support;

use std::sync::Arc;

use serde_json::{Value, json};
use session_locker::easy::{Profile, ProfileEvent};
use session_locker::locker::{Activity, SessionOptions};
use shop::Command::{Fail, Refuse};
use shop::{Answers, Shop};
use support::Fault::{self, FailAfter, FailBefore, HoldAnswer, HoldRequest, None as NoFault};
use support::{FaultyStorage, Server, VirtualClock, WALL_START, gold};

const ANN: &str = "Ann";
const BEN: &str = "Ben";

/// Ann buys gold for Ben.
struct World {
    storage: Arc<FaultyStorage>,
    server: Server,
    ann: Profile,
    ben: Profile,
    shop: Arc<Shop>,
    answers: Answers,
}

impl World {
    fn new() -> Self {
        Self::on(&FaultyStorage::new(), Server::new, 1)
    }

    fn on(
        storage: &Arc<FaultyStorage>,
        server: impl Fn(&Arc<FaultyStorage>, &Arc<VirtualClock>, u64) -> Server,
        seed: u64,
    ) -> Self {
        let clock = VirtualClock::new();
        // Whoever was here before is gone for good.
        clock.advance(5000.0 * seed as f64);
        let server = server(storage, &clock, seed);
        let (ann, ben) = (server.load(ANN), server.load(BEN));
        Self {
            storage: Arc::clone(storage),
            shop: Shop::gifts_to(&ben),
            answers: Answers::default(),
            server,
            ann,
            ben,
        }
    }

    fn ask(&self) {
        self.answers.ask(&self.ann, &self.shop, "a", 5);
    }

    fn updates(&self, count: usize) {
        (0..count).for_each(|_| self.server.update());
    }

    fn stored(&self, key: &str, field: &str) -> Value {
        self.storage.document(key)[field].clone()
    }

    /// The messages of what went wrong with purchases since the last look.
    fn errors(&self) -> Vec<String> {
        let events = self.server.events().into_iter();
        let message = |event: session_locker::easy::StoreEvent| match event.event {
            ProfileEvent::Error(report) => {
                assert_eq!(report.activity, Activity::Purchase);
                Some(report.message)
            }
            _ => None,
        };
        events.filter_map(message).collect()
    }
}

fn entry(mark: &[&str]) -> Value {
    let mut entry = vec![json!(5), json!("a"), json!((WALL_START + 5000.0) as i64)];
    entry.extend(mark.iter().map(|mark| json!(mark)));
    json!([entry])
}

#[test]
fn a_gift_is_marked_applied_saved_cleared_and_granted_in_that_order() {
    let world = World::new();
    let before = world.storage.history().len();
    world.ask();
    world.updates(3);
    assert_eq!(world.answers.heard(), ["a+"]);
    assert_eq!(world.shop.calls(), ["validate a", "apply a", "record a"]);
    let history = &world.storage.history()[before..];
    let written: Vec<(&str, Value)> = history
        .iter()
        .map(|write| {
            let document = write.after.as_ref().expect("a document");
            (&*write.key, serde_json::from_slice(document).expect("JSON"))
        })
        .collect();
    let keys: Vec<_> = written.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, [ANN, BEN, ANN]);
    assert_eq!(written[0].1["Purchases"], entry(&[BEN]));
    assert_eq!(written[0].1["Spent"], json!(null));
    assert_eq!(written[1].1["Gold"], 5);
    let gifts = json!([["a", (WALL_START + 5000.0) as i64, 5, ANN]]);
    assert_eq!(written[1].1["Gifts"], gifts);
    assert_eq!(written[2].1["Purchases"], entry(&[]));
    assert_eq!(written[2].1["Spent"], 100);
    assert_eq!(gold(&world.ann), 0);
}

#[test]
fn a_gift_to_oneself_is_ones_own_purchase() {
    let world = World::new();
    world.shop.set_recipient(Some(world.ann.to_ref().unwrap()));
    world.ask();
    world.server.update();
    assert_eq!(world.answers.heard(), ["a+"]);
    assert_eq!(world.stored(ANN, "Gold"), 5);
    assert_eq!(world.stored(ANN, "Gifts"), json!(null));
    assert_eq!(world.stored(ANN, "Purchases"), entry(&[]));
}

#[test]
fn a_gift_to_who_is_not_available_is_answered_false_and_writes_nothing() {
    let world = World::new();
    let commits = world.storage.commits();
    world.ben.end_session().unwrap();
    world.ask();
    world.server.update();
    assert_eq!(world.answers.heard(), ["a-"]);
    assert_eq!(world.shop.calls(), ["validate a"]);
    assert_eq!(world.storage.commits(), commits + 1, "Ben's release alone");
    assert_eq!(world.stored(ANN, "Purchases"), json!([]));
}

#[test]
fn a_gift_to_a_locker_of_another_store_is_answered_false_and_reported() {
    let world = World::new();
    let other = Server::new(&FaultyStorage::new(), &VirtualClock::new(), 9);
    let stranger = other.load("Cleo");
    world.shop.set_recipient(Some(stranger.to_ref().unwrap()));
    world.ask();
    world.server.update();
    assert_eq!(world.answers.heard(), ["a-"]);
    let message = "purchase a of product 5: the recipient is of another store or spec";
    assert_eq!(world.errors(), [message]);
    assert_eq!(world.stored(ANN, "Purchases"), json!([]));
}

#[test]
fn a_gift_that_cannot_be_applied_is_answered_false_and_never_becomes_credit() {
    let world = World::new();
    world.shop.on_apply(&[Refuse]);
    world.ask();
    world.updates(3);
    assert_eq!(world.answers.heard(), ["a-"]);
    assert_eq!(gold(&world.ben), 0);
    assert_eq!(
        world.stored(ANN, "Purchases"),
        entry(&[BEN]),
        "it stays marked"
    );
    assert_eq!(world.stored(ANN, "ProductCredit"), json!([]));
    // The receipt comes again, and nobody is asked for whom it is.
    world.shop.calls();
    world.ask();
    world.updates(3);
    assert_eq!(world.answers.heard(), ["a+"]);
    assert_eq!(world.shop.calls(), ["apply a", "record a"]);
    assert_eq!((gold(&world.ann), gold(&world.ben)), (0, 5));
}

#[test]
fn a_gift_whose_apply_fails_is_undone_and_tried_again_after_the_cooldown() {
    let world = World::new();
    world.shop.on_apply(&[Fail]);
    world.ask();
    world.server.run(9.0);
    assert_eq!(world.shop.applied(), 1);
    assert_eq!(gold(&world.ben), 0);
    assert_eq!(world.errors().len(), 1);
    world.server.run(5.0);
    assert_eq!(world.answers.heard(), ["a+"]);
    assert_eq!((world.shop.applied(), gold(&world.ben)), (1, 5));
}

#[test]
fn a_session_that_was_ended_is_not_kept_for_a_gift_whose_hook_fails() {
    let world = World::new();
    world.shop.on_apply(&[Fail; 100]);
    world.ask();
    world.updates(2);
    world.ann.end_session().unwrap();
    world.updates(3);
    assert_eq!(world.answers.heard(), ["a-"]);
    assert!(world.ann.is_finished());
    assert_eq!(world.stored(ANN, "Purchases"), entry(&[BEN]));
}

#[test]
fn the_purchasers_session_goes_on_until_the_gift_is_granted() {
    let world = World::new();
    world.storage.on_commit(&[NoFault, HoldAnswer]);
    world.ask();
    world.updates(2);
    assert_eq!(gold(&world.ben), 5, "Ben's save is under way");
    world.ann.end_session().unwrap();
    world.updates(3);
    assert!(!world.ann.is_finished());
    // Another session of Ann's waits until this one is over.
    let again = world.server.store.start_session_reusable(ANN, &[]).unwrap();
    world.updates(1);
    assert!(!again.is_loaded());
    world.storage.let_go();
    world.updates(3);
    assert_eq!(world.answers.heard(), ["a+"]);
    assert!(world.ann.is_finished() && again.is_loaded());
    assert_eq!(world.stored(ANN, "Purchases"), entry(&[]));
}

#[test]
fn a_recipient_that_leaves_during_the_gift_has_it_in_its_last_save() {
    let world = World::new();
    world.storage.on_commit(&[NoFault, HoldRequest]);
    world.ask();
    world.updates(2);
    world.ben.end_session().unwrap();
    world.updates(1);
    world.storage.let_go();
    world.updates(4);
    assert_eq!(world.answers.heard(), ["a+"]);
    assert_eq!(world.stored(BEN, "Gold"), 5);
    assert!(world.stored(BEN, "Session").is_null());
}

#[test]
fn a_recipient_that_is_lost_during_the_gift_gets_it_once() {
    let world = World::new();
    world.storage.on_commit(&[NoFault, HoldRequest]);
    world.ask();
    world.updates(2);
    // Another server takes Ben over.
    world.storage.put_locked(BEN, 70, WALL_START + 1e6);
    world.storage.let_go();
    world.server.run(3.0);
    assert_eq!(
        world.answers.heard(),
        ["a-"],
        "he has not got it, and is not here"
    );
    assert_eq!(world.stored(ANN, "Purchases"), entry(&[BEN]));
    // It lets him go, and he comes back.
    world
        .storage
        .put(BEN, json!({"Version": 1, "Gold": 70}).to_string());
    world.server.run(15.0);
    world.ask();
    world.server.run(3.0);
    assert_eq!(world.answers.heard(), ["a+"]);
    assert_eq!(gold(&world.ben), 75);
}

#[test]
fn two_purchases_of_one_gift_are_applied_once_and_both_granted() {
    let world = World::new();
    world.storage.on_commit(&[HoldAnswer]);
    world.ask();
    world.updates(1);
    world.ask();
    world.updates(2);
    world.storage.let_go();
    world.updates(5);
    assert_eq!(world.answers.heard(), ["a+", "a+"]);
    assert_eq!((world.shop.applied(), gold(&world.ben)), (1, 5));
}

/// The server dies after so many commits of the gift, whose last is answered or not.
fn crash_after(commits: usize, last: Fault) -> Arc<FaultyStorage> {
    let world = World::new();
    let mut faults = vec![NoFault; commits];
    faults.push(last);
    faults.extend([FailBefore; 50]);
    world.storage.on_commit(&faults);
    world.ask();
    world.updates(5);
    assert_eq!(world.answers.heard(), [""; 0]);
    let storage = Arc::clone(&world.storage);
    // What the server does while it dies must not reach the storage any more.
    std::mem::forget(world);
    storage.heal();
    storage
}

#[test]
fn fault_21_a_crash_anywhere_in_a_gift_gives_it_once_when_the_receipt_comes_again() {
    for commits in 0..3 {
        for last in [HoldRequest, HoldAnswer] {
            let storage = crash_after(commits, last);
            let after = World::on(&storage, Server::new, 2);
            after.ask();
            after.updates(5);
            assert_eq!(after.answers.heard(), ["a+"], "{commits} {last:?}");
            assert_eq!(gold(&after.ben), 5, "{commits} {last:?}");
            assert_eq!(gold(&after.ann), 0);
            assert_eq!(after.stored(BEN, "Gold"), 5);
            let is_given = commits + usize::from(last == HoldAnswer) >= 2;
            assert_eq!(after.shop.applied(), usize::from(!is_given));
            assert_eq!(after.stored(ANN, "Spent"), 100, "recorded once");
            assert_eq!(
                after.stored(ANN, "Purchases")[0].as_array().unwrap().len(),
                3
            );
        }
    }
}

#[test]
fn lost_answers_on_the_way_give_a_gift_once() {
    for faults in [
        [FailAfter, NoFault, NoFault],
        [NoFault, FailAfter, NoFault],
        [NoFault, NoFault, FailAfter],
        [FailAfter, FailAfter, FailAfter],
        [FailBefore, FailBefore, FailBefore],
    ] {
        let world = World::new();
        world.storage.on_commit(&faults);
        world.ask();
        world.server.run(120.0);
        assert_eq!(world.answers.heard(), ["a+"], "{faults:?}");
        assert_eq!((world.shop.applied(), gold(&world.ben)), (1, 5));
        assert_eq!(world.stored(BEN, "Gold"), 5);
    }
}

/// Ann's record has a marked gift for Ben; he is on another server, or nowhere.
fn marked(ben: Option<Value>) -> (Arc<FaultyStorage>, Server, Profile) {
    let storage = FaultyStorage::new();
    let purchases = entry(&[BEN]);
    let ann = json!({"Version": 1, "Gold": 0, "Purchases": purchases});
    storage.put(ANN, ann.to_string());
    if let Some(ben) = ben {
        storage.put(BEN, ben.to_string());
    }
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    let ann = server.load(ANN);
    (storage, server, ann)
}

fn ask_again(server: &Server, ann: &Profile) -> (Vec<String>, Vec<String>) {
    let (shop, answers) = (Shop::new(), Answers::default());
    answers.ask(ann, &shop, "a", 5);
    server.run(3.0);
    (answers.heard(), shop.calls())
}

#[test]
fn a_gift_that_its_absent_recipient_has_is_granted_without_being_applied() {
    let ben = json!({"Version": 1, "Gold": 5, "Gifts": [["z", 1], ["a", 2]]});
    let (storage, server, ann) = marked(Some(ben));
    let (heard, calls) = ask_again(&server, &ann);
    assert_eq!(
        (heard, calls),
        (vec!["a+".to_owned()], vec!["record a".to_owned()])
    );
    assert_eq!(storage.document(ANN)["Purchases"], entry(&[]));
    assert_eq!(storage.document(BEN)["Gold"], 5);
}

#[test]
fn a_gift_that_its_absent_recipient_has_not_is_answered_false() {
    let nobody = None;
    let without = Some(json!({"Version": 1, "Gold": 5, "Gifts": [["z", 1]]}));
    for ben in [nobody, without] {
        let (storage, server, ann) = marked(ben);
        let (heard, calls) = ask_again(&server, &ann);
        assert_eq!((heard, calls), (vec!["a-".to_owned()], vec![]));
        assert_eq!(storage.document(ANN)["Purchases"], entry(&[BEN]));
        assert_eq!(storage.document(ANN)["ProductCredit"], json!([]));
    }
}

#[test]
fn a_recipients_record_that_cannot_be_read_answers_false_and_is_reported() {
    for fault in [FailBefore, FailAfter, HoldAnswer] {
        let (storage, server, ann) = marked(None);
        let (shop, answers) = (Shop::new(), Answers::default());
        storage.on_fetch(&[fault]);
        answers.ask(&ann, &shop, "a", 5);
        server.run(29.0);
        let is_held = fault == HoldAnswer;
        assert_eq!(answers.heard().len(), usize::from(!is_held), "{fault:?}");
        server.run(3.0);
        assert_eq!(answers.heard().len(), usize::from(is_held), "{fault:?}");
        assert!(server.heard().contains(&"error Purchase".to_owned()));
        assert_eq!(storage.document(ANN)["Purchases"], entry(&[BEN]));
        storage.let_go();
        server.run(1.0);
        assert_eq!((answers.heard().len(), shop.calls().len()), (0, 0));
    }
}

#[test]
fn a_recipients_record_that_is_no_document_answers_false() {
    let (storage, server, ann) = marked(None);
    storage.put(BEN, "no document");
    let (heard, _) = ask_again(&server, &ann);
    assert_eq!(heard, ["a-"]);
    assert!(server.heard().contains(&"error Purchase".to_owned()));
}

#[test]
fn a_marked_gift_whose_recipient_has_come_is_applied() {
    let (_storage, server, ann) = marked(None);
    let ben = server.load(BEN);
    let (heard, calls) = ask_again(&server, &ann);
    assert_eq!(heard, ["a+"]);
    assert_eq!(calls, ["apply a", "record a"]);
    assert_eq!(gold(&ben), 5);
}

#[test]
fn a_mark_of_the_original_asks_who_is_to_get_the_gift() {
    let storage = FaultyStorage::new();
    let ann = json!({"Version": 1, "Gold": 0, "Purchases": [[5, "a", 1, 1]]});
    storage.put(ANN, ann.to_string());
    let world = World::on(&storage, Server::new, 1);
    // Nobody is named: no answer but false.
    world.shop.set_recipient(None);
    world.ask();
    world.updates(2);
    assert_eq!(world.answers.heard(), ["a-"]);
    assert_eq!(world.shop.calls(), ["validate a"]);
    assert_eq!(world.stored(ANN, "ProductCredit"), json!([]));

    world.shop.set_recipient(Some(world.ben.to_ref().unwrap()));
    world.storage.on_commit(&[HoldAnswer]);
    world.ask();
    world.updates(1);
    assert_eq!(
        world.stored(ANN, "Purchases")[0][3],
        BEN,
        "named before it is applied"
    );
    assert_eq!(gold(&world.ben), 0);
    world.storage.let_go();
    world.updates(4);
    assert_eq!(world.answers.heard(), ["a+"]);
    assert_eq!(gold(&world.ben), 5);
}

#[test]
fn a_store_that_closes_finishes_its_gifts_or_answers_them_false() {
    for held in 0..3 {
        let world = World::new();
        let mut faults = vec![NoFault; held];
        faults.push(HoldAnswer);
        world.storage.on_commit(&faults);
        world.ask();
        world.updates(3);
        world.server.store.close().unwrap();
        world.updates(2);
        assert!(!world.server.store.is_closed().unwrap());
        world.storage.let_go();
        world.server.run(5.0);
        assert!(world.server.store.is_closed().unwrap());
        let granted = world.answers.heard();
        assert_eq!(granted, [if held == 0 { "a-" } else { "a+" }], "{held}");
        let gold = world.stored(BEN, "Gold");
        assert_eq!(gold, if held == 0 { 0 } else { 5 }, "{held}");
        assert!(world.stored(ANN, "Session").is_null());
    }
}

#[test]
fn a_recipient_remembers_ten_thousand_gifts_and_all_of_the_last_week() {
    for (age, kept) in [(8.0, 10_000), (6.0, 10_003)] {
        let storage = FaultyStorage::new();
        let at = WALL_START + 5000.0 - age * 86_400.0;
        let gifts: Vec<_> = (0..10_002).map(|n| json!([n.to_string(), at])).collect();
        let ben = json!({"Version": 1, "Gold": 0, "Gifts": gifts});
        storage.put(BEN, ben.to_string());
        let world = World::on(&storage, Server::new, 1);
        world.ask();
        world.server.run(5.0);
        assert_eq!(world.answers.heard(), ["a+"]);
        let stored = world.stored(BEN, "Gifts");
        let stored = stored.as_array().unwrap();
        assert_eq!((stored.len(), &stored[kept - 1][0]), (kept, &json!("a")));
    }
}

/// Ann marked a gift eight days ago; Ben has it, and as many others of that time.
fn given_before(others: usize) -> (World, Profile) {
    let storage = FaultyStorage::new();
    let at = (WALL_START - 8.0 * 86_400.0) as i64;
    let ann = json!({"Version": 1, "Gold": 0, "Purchases": [[5, "a", at, BEN]]});
    storage.put(ANN, ann.to_string());
    let mut gifts = vec![json!(["a", at])];
    gifts.extend((0..others).map(|n| json!([format!("x{n}"), at])));
    let ben = json!({"Version": 1, "Gold": 5, "Gifts": gifts});
    storage.put(BEN, ben.to_string());
    let world = World::on(&storage, Server::new, 1);
    let cleo = world.server.load("Cleo");
    world.answers.ask(&cleo, &world.shop, "other", 1);
    world.server.run(5.0);
    assert_eq!(world.answers.heard(), ["other+"]);
    assert_eq!(gold(&world.ben), 6);
    (world, cleo)
}

#[test]
fn a_marked_gift_is_given_once_however_many_others_came_since() {
    let (world, _cleo) = given_before(999);
    world.ask();
    world.server.run(5.0);
    assert_eq!(world.answers.heard(), ["a+"]);
    assert_eq!(gold(&world.ben), 6, "given before");
}

#[test]
fn an_old_mark_is_not_given_to_who_has_had_to_forget_gifts() {
    let (world, _cleo) = given_before(9999);
    world.ask();
    world.server.run(5.0);
    assert_eq!(world.answers.heard(), ["a-"]);
    assert_eq!(gold(&world.ben), 6, "given before");
    let message = "purchase a of product 5: its mark is older than what the recipient, who has had \
                   10000 gifts, remembers";
    assert_eq!(world.errors(), [message]);
}

const DISABLED: SessionOptions<'_> = SessionOptions {
    user_ids: &[],
    log_prefix: "",
    disable_apis: true,
};

#[test]
fn a_gift_to_a_session_that_is_never_stored_is_not_granted() {
    let world = World::new();
    let start = |key| world.server.store.start_session_with(key, &DISABLED);
    let cleo = start("Cleo").unwrap();
    world.server.run(2.0);
    assert!(cleo.is_loaded());
    world.shop.set_recipient(Some(cleo.to_ref().unwrap()));
    world.ask();
    // Nor one the other way, which would be stored though its purchase is not.
    let to_ben = Shop::gifts_to(&world.ben);
    world.answers.ask(&cleo, &to_ben, "b", 5);
    world.server.run(5.0);
    assert_eq!(world.answers.heard(), ["a-", "b-"]);
    assert!(world.storage.stored("Cleo").is_none());
    assert_eq!(gold(&world.ben), 0);
    let message = "the recipient's session is stored elsewhere than the purchaser's";
    let messages = [("a", 5), ("b", 5)]
        .map(|(id, product_id)| format!("purchase {id} of product {product_id}: {message}"));
    assert_eq!(world.errors(), messages);
}

#[test]
fn a_marked_gift_is_not_given_to_a_session_that_is_never_stored() {
    let (storage, server, ann) = marked(None);
    let ben = server.store.start_session_with(BEN, &DISABLED).unwrap();
    server.run(2.0);
    assert!(ben.is_loaded());
    let (heard, calls) = ask_again(&server, &ann);
    assert_eq!((heard, calls), (vec!["a-".to_owned()], vec![]));
    assert_eq!(storage.document(ANN)["Purchases"], entry(&[BEN]));
}

#[test]
fn a_replayed_gift_of_a_session_with_disabled_apis_does_not_touch_the_storage() {
    let storage = FaultyStorage::new();
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    let start = |key| server.store.start_session_with(key, &DISABLED).unwrap();
    let (ann, ben) = (start(ANN), start(BEN));
    server.run(2.0);
    let (shop, answers) = (Shop::gifts_to(&ben), Answers::default());
    shop.on_apply(&[Refuse]);
    answers.ask(&ann, &shop, "a", 5);
    server.run(3.0);
    assert_eq!(answers.heard(), ["a-"]);
    ben.end_session().unwrap();
    server.run(3.0);
    answers.ask(&ann, &shop, "a", 5);
    server.run(3.0);
    assert_eq!(answers.heard(), ["a-"]);
    assert_eq!(storage.fetches(), 0);
}

#[test]
fn two_gifts_of_one_receipt_id_are_two_purchases() {
    let world = World::new();
    world.ask();
    world.updates(4);
    world.answers.ask(&world.ann, &world.shop, "a", 6);
    world.updates(4);
    assert_eq!(world.answers.heard(), ["a+", "a+"]);
    assert_eq!(world.stored(BEN, "Gold"), 11);
}

#[test]
fn gifts_of_two_purchasers_with_one_receipt_id_are_two_purchases() {
    let world = World::new();
    let cleo = world.server.load("Cleo");
    world.ask();
    world.updates(4);
    world.answers.ask(&cleo, &world.shop, "a", 5);
    world.updates(4);
    assert_eq!(world.answers.heard(), ["a+", "a+"]);
    assert_eq!(world.stored(BEN, "Gold"), 10);
}

#[test]
fn replays_of_marked_gifts_take_half_of_the_budget_of_requests() {
    const GIFTS: usize = 300;
    let storage = FaultyStorage::new();
    let entries: Vec<_> = (0..GIFTS)
        .map(|n| json!([5, n.to_string(), 1, BEN]))
        .collect();
    let ann = json!({"Version": 1, "Gold": 0, "Purchases": entries});
    storage.put(ANN, ann.to_string());
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    let ann = server.load(ANN);
    let (shop, answers) = (Shop::new(), Answers::default());
    for n in 0..GIFTS {
        answers.ask(&ann, &shop, &n.to_string(), 5);
    }
    let before = storage.fetches();
    for _ in 0..10 {
        let begun = storage.fetches();
        server.update();
        let begun = storage.fetches() - begun;
        assert!(begun <= 64, "{begun} requests in one update");
        server.clock.advance(0.1);
    }
    assert_eq!(storage.fetches() - before, GIFTS);
    assert_eq!(answers.heard().len(), GIFTS);
}

/// How long Ann is kept after her host has ended her session.
fn kept(world: &World) -> f64 {
    world.ann.end_session().unwrap();
    let begun = world.server.clock.now();
    while !world.ann.is_finished() && world.server.clock.now() < begun + 3000.0 {
        world.server.run(1.0);
    }
    world.server.clock.now() - begun
}

#[test]
fn a_purchaser_that_leaves_is_not_kept_by_a_hook_of_the_recipients() {
    let world = World::new();
    let fails = || Err("fails".to_owned());
    world
        .ben
        .set_before_save(false, Some(Arc::new(fails)))
        .unwrap();
    world.ask();
    world.server.run(100.0);
    assert_eq!(world.answers.heard(), [""; 0], "while she stays, it waits");
    let kept = kept(&world);
    assert!(kept <= 61.0, "kept for {kept} s");
    assert_eq!(world.answers.heard(), ["a-"]);
    assert_eq!(world.stored(ANN, "Purchases")[0][3], BEN, "it stays marked");
}

#[test]
fn a_purchaser_that_leaves_is_not_kept_by_its_own_hook() {
    let world = World::new();
    let fails = || Err("fails".to_owned());
    world
        .ann
        .set_before_save(false, Some(Arc::new(fails)))
        .unwrap();
    world.ask();
    world.server.run(3.0);
    let kept = kept(&world);
    assert!(kept <= 10.0, "kept for {kept} s");
    assert_eq!(world.answers.heard(), ["a+"]);
}

#[test]
fn a_recipient_that_comes_while_its_record_is_read_waits_for_the_mark_to_be_stored() {
    let world = World::new();
    world.storage.on_commit(&[HoldRequest]);
    world.ask();
    world.updates(1);
    world.ben.end_session().unwrap();
    world.updates(2);
    // The receipt comes again: the mark is there, though not stored, and Ben is not.
    world.storage.on_fetch(&[HoldAnswer]);
    world.ask();
    world.updates(1);
    let ben = world.server.load(BEN);
    world.storage.let_go_of(1);
    world.updates(2);
    assert_eq!(world.stored(ANN, "Purchases"), json!([]));
    assert_eq!(gold(&ben), 0, "not before the mark is stored");
    world.storage.let_go();
    world.updates(5);
    assert!(world.answers.heard().contains(&"a+".to_owned()));
    assert_eq!(gold(&ben), 5);
}
