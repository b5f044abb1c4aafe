//! A purchaser for lockers that the host drives itself, and process hooks run by hand.

#[path = "support/shop.rs"]
mod shop;
mod support;

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use session_locker::locker::{HookAnswer, Locker, LockerError, LockerSpec};
use session_locker::purchaser::{
    ByHandError, PendingProductPurchase, ProductProcess, ProductPurchaser, ReceiptInfo, Validation,
};
use shop::Command::{Fail, Refuse};
use shop::{Answers, Shop, receipt};
use support::Fault::HoldAnswer;
use support::{FaultyStorage, Server, VirtualClock, heard_by, options, spec};

struct World {
    storage: Arc<FaultyStorage>,
    clock: Arc<VirtualClock>,
    spec: LockerSpec,
    locker: Locker,
    purchaser: ProductPurchaser,
    shop: Arc<Shop>,
    answers: Answers,
}

impl World {
    fn new() -> Self {
        let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
        let spec = spec(&storage, options(&clock, 1));
        let locker = acquired(&spec, "Ann", &clock);
        Self {
            storage,
            clock,
            spec,
            locker,
            purchaser: ProductPurchaser::new(),
            shop: Shop::new(),
            answers: Answers::default(),
        }
    }

    fn ask(&self, purchase_id: &str) {
        let callback = self.answers.callback(purchase_id);
        self.purchaser
            .call_when_product_is_processed_and_saved(
                &self.locker,
                Arc::clone(&self.shop) as Arc<dyn ProductProcess>,
                receipt(purchase_id, 5),
                Some(callback),
            )
            .unwrap();
    }

    fn wait(&self, purchase_id: &str, timeout: f64) -> Result<Option<bool>, LockerError> {
        self.purchaser.wait_until_product_is_processed_and_saved(
            &self.locker,
            Arc::clone(&self.shop) as Arc<dyn ProductProcess>,
            receipt(purchase_id, 5),
            timeout,
        )
    }

    /// So many seconds later, the purchaser and then the locker.
    fn frame(&self, seconds: f64) -> bool {
        self.clock.advance(seconds);
        self.purchaser.update(self.clock.now()).unwrap();
        self.locker.update(self.clock.now()).unwrap()
    }

    fn frames(&self, count: usize) {
        (0..count).for_each(|_| {
            self.frame(0.0);
        });
    }
}

fn acquired(spec: &LockerSpec, key: &str, clock: &VirtualClock) -> Locker {
    let locker = spec.create_locker(key, &[]).unwrap();
    locker.mark_should_acquire().unwrap();
    locker.update(clock.now()).unwrap();
    assert!(locker.is_available().unwrap());
    heard_by(&locker);
    locker
}

fn gold(locker: &Locker) -> i64 {
    let gold = locker.save_data().read(|data| data.get_i64("/Gold"));
    gold.unwrap()
}

#[test]
fn a_lockers_purchase_is_processed_by_the_purchaser_and_saved_by_the_locker() {
    let world = World::new();
    world.ask("a");
    assert!(world.purchaser.has_incomplete_purchases());
    world.frame(0.0);
    assert_eq!(world.answers.heard(), [""; 0]);
    assert_eq!(world.storage.document("Ann")["Gold"], 5);
    world.frame(0.0);
    assert_eq!(world.answers.heard(), ["a+"]);
    assert_eq!(heard_by(&world.locker), ["Saved", "purchase a: true"]);
    assert!(!world.purchaser.has_incomplete_purchases());
}

#[test]
fn fault_16_a_purchase_on_a_locker_that_releases_waits_for_its_next_session() {
    let world = World::new();
    world.storage.on_commit(&[HoldAnswer]);
    world.locker.mark_should_release().unwrap();
    world.frame(0.0);
    world.ask("a");
    world.frame(1.0);
    world.storage.let_go();
    world.frame(0.0);
    assert!(world.frame(1.0), "released");
    assert_eq!(
        (world.answers.heard().len(), world.shop.calls().len()),
        (0, 0)
    );
    world.locker.mark_should_acquire().unwrap();
    world.frames(3);
    assert_eq!(world.answers.heard(), ["a+"]);
    assert_eq!(gold(&world.locker), 5);
}

#[test]
fn a_purchase_on_a_locker_that_is_deleted_is_answered_false() {
    let world = World::new();
    world.locker.mark_should_release().unwrap();
    world.ask("a");
    world.frame(0.0);
    world.frame(0.0);
    world.locker.mark_deleted().unwrap();
    world.purchaser.update(1.0).unwrap();
    assert_eq!(world.answers.heard(), ["a-"]);
    assert!(matches!(
        world.wait("b", 1.0),
        Err(LockerError::NotActive(_))
    ));
}

#[test]
fn a_purchase_on_a_spec_that_is_gone_is_answered_false() {
    let World {
        spec,
        locker,
        purchaser,
        shop,
        answers,
        ..
    } = World::new();
    let process = shop as Arc<dyn ProductProcess>;
    let callback = Some(answers.callback("a"));
    purchaser
        .call_when_product_is_processed_and_saved(&locker, process, receipt("a", 5), callback)
        .unwrap();
    drop((spec, locker));
    purchaser.update(1.0).unwrap();
    assert_eq!(answers.heard(), ["a-"]);
}

#[test]
fn destroying_the_purchaser_answers_everything_false_once() {
    let world = World::new();
    world.ask("in flight");
    world.frame(0.0);
    world.ask("asked");
    world.purchaser.destroy();
    assert_eq!(world.answers.heard(), ["in flight-", "asked-"]);
    world.purchaser.destroy();
    world.purchaser.update(5.0).unwrap();
    assert_eq!(world.answers.heard(), [""; 0]);
    assert!(matches!(
        world.wait("b", 1.0),
        Err(LockerError::NotActive(_))
    ));
    assert!(!world.purchaser.has_incomplete_purchases());

    // What was applied is granted when the receipt comes again.
    let other = ProductPurchaser::new();
    let process = Arc::clone(&world.shop) as Arc<dyn ProductProcess>;
    let callback = Some(world.answers.callback("again"));
    let receipt = receipt("in flight", 5);
    other
        .call_when_product_is_processed_and_saved(&world.locker, process, receipt, callback)
        .unwrap();
    other.update(6.0).unwrap();
    assert_eq!(world.answers.heard(), ["again+"]);
    assert_eq!(gold(&world.locker), 5);
}

#[test]
fn a_purchaser_destroyed_inside_a_hook_answers_once_that_returns() {
    let world = World::new();
    let (purchaser, answers) = (world.purchaser.clone(), world.answers.clone());
    world.shop.inside_apply(move || {
        purchaser.destroy();
        assert_eq!(answers.heard(), [""; 0]);
    });
    world.ask("a");
    world.ask("b");
    world.frame(0.0);
    assert_eq!(world.answers.heard(), ["a-", "b-"]);
}

#[test]
fn a_purchaser_is_busy_inside_its_own_hooks_and_callbacks_and_its_lockers_are_too() {
    let world = World::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (into, purchaser, locker) = (
        Arc::clone(&seen),
        world.purchaser.clone(),
        world.locker.clone(),
    );
    world.shop.inside_apply(move || {
        let mut seen = into.lock();
        seen.push(purchaser.update(9.0).unwrap_err());
        seen.push(locker.update(9.0).unwrap_err());
    });
    world.ask("a");
    world.frame(0.0);
    assert_eq!(*seen.lock(), [LockerError::Busy, LockerError::Busy]);
}

#[test]
fn a_wait_drives_the_lockers_and_the_purchaser_until_the_answer() {
    let world = World::new();
    assert_eq!(world.wait("a", 1.0), Ok(Some(true)));
    assert_eq!(world.storage.document("Ann")["Gold"], 5);
    world.storage.on_commit(&[HoldAnswer]);
    assert_eq!(world.wait("b", 1.0), Ok(None));
    world.storage.let_go();
    assert_eq!(world.wait("b", 1.0), Ok(Some(true)));
    assert_eq!(gold(&world.locker), 10, "applied once");
    world.shop.on_apply(&[Fail]);
    assert_eq!(world.wait("c", 11.0), Ok(Some(true)), "after the cooldown");
}

#[test]
fn a_gift_among_lockers_is_given_once() {
    let world = World::new();
    let ben = acquired(&world.spec, "Ben", &world.clock);
    world.shop.set_recipient(Some(ben.to_ref().unwrap()));
    assert_eq!(world.wait("a", 5.0), Ok(Some(true)));
    assert_eq!((gold(&world.locker), gold(&ben)), (0, 5));
    assert_eq!(world.storage.document("Ben")["Gifts"][0][0], "a");
    assert_eq!(world.wait("a", 5.0), Ok(Some(true)));
    assert_eq!(gold(&ben), 5);
}

#[test]
fn a_locker_under_way_with_a_gift_is_not_idle_though_its_host_released_it() {
    let world = World::new();
    let ben = acquired(&world.spec, "Ben", &world.clock);
    world.shop.set_recipient(Some(ben.to_ref().unwrap()));
    world.ask("a");
    world.frame(0.0);
    world.frame(0.0);
    world.locker.mark_should_release().unwrap();
    assert!(!world.frame(0.0) && !world.frame(0.0));
    assert_eq!(world.locker.mark_deleted(), Err(LockerError::NotIdle));
    ben.update(world.clock.now()).unwrap();
    world.frames(4);
    assert_eq!(world.answers.heard(), ["a+"]);
    assert!(world.frame(0.0), "released");
}

#[test]
fn two_purchasers_that_bring_one_receipt_apply_it_once() {
    let world = World::new();
    let ben = acquired(&world.spec, "Ben", &world.clock);
    let other = ProductPurchaser::new();
    for recipient in [None, Some(ben.to_ref().unwrap())] {
        let id = if recipient.is_none() { "own" } else { "gift" };
        world.shop.set_recipient(recipient);
        world.ask(id);
        let process = Arc::clone(&world.shop) as Arc<dyn ProductProcess>;
        let callback = Some(world.answers.callback(id));
        other
            .call_when_product_is_processed_and_saved(
                &world.locker,
                process,
                receipt(id, 5),
                callback,
            )
            .unwrap();
        for _ in 0..8 {
            other.update(world.clock.now()).unwrap();
            world.frame(0.0);
            ben.update(world.clock.now()).unwrap();
        }
        let granted = format!("{id}+");
        assert_eq!(world.answers.heard(), [&*granted, &*granted]);
        assert_eq!(world.shop.applied(), 1);
    }
    assert_eq!((gold(&world.locker), gold(&ben)), (5, 5));
}

#[test]
fn a_hook_run_by_hand_validates_and_applies_without_a_trace_in_the_history() {
    let world = World::new();
    let shop = Arc::clone(&world.shop) as Arc<dyn ProductProcess>;
    let pending = PendingProductPurchase::from_receipt(shop, ReceiptInfo::from_ids(5, "1"));
    assert!(matches!(pending.validate(), Ok(Validation::Own)));
    world.shop.on_validate(&[Refuse, Fail]);
    assert!(matches!(pending.validate(), Ok(Validation::NotApplicable)));
    assert!(matches!(pending.validate(), Err(ByHandError::Hook(_))));

    let ann = world.locker.to_ref().unwrap();
    world.shop.on_apply(&[Refuse, Fail]);
    assert_eq!(pending.apply(&ann), Ok(HookAnswer::NotApplicable));
    assert!(matches!(pending.apply(&ann), Err(ByHandError::Hook(_))));
    assert_eq!(gold(&world.locker), 0);
    assert_eq!(pending.apply(&ann), Ok(HookAnswer::Applied));
    assert_eq!(gold(&world.locker), 5);
    let reserved = |data: &mut session_locker::save_data::SaveData| {
        (
            data.reserved().purchases.len(),
            data.reserved().product_credit.len(),
        )
    };
    assert_eq!(world.locker.save_data().read(reserved), (0, 0));
    world.locker.mark_should_release().unwrap();
    assert_eq!(pending.apply(&ann), Err(ByHandError::NotAvailable));
}

#[test]
fn credit_is_used_when_its_product_is_applied_and_only_then() {
    let world = World::new();
    let shop = Arc::clone(&world.shop) as Arc<dyn ProductProcess>;
    let pending = PendingProductPurchase::from_receipt(shop, ReceiptInfo::from_ids(5, "1"));
    let ann = world.locker.to_ref().unwrap();
    assert_eq!(
        pending.use_credit(&ann),
        Ok(HookAnswer::NotApplicable),
        "no credit"
    );
    world.locker.give_product_credit(5, 2).unwrap();

    world.shop.on_validate(&[Refuse]);
    assert_eq!(pending.use_credit(&ann), Ok(HookAnswer::NotApplicable));
    world.shop.on_apply(&[Refuse, Fail]);
    assert_eq!(pending.use_credit(&ann), Ok(HookAnswer::NotApplicable));
    assert!(matches!(
        pending.use_credit(&ann),
        Err(ByHandError::Hook(_))
    ));
    let ben = acquired(&world.spec, "Ben", &world.clock);
    world.shop.set_recipient(Some(ben.to_ref().unwrap()));
    let gift = Err(ByHandError::Gift { product_id: 5 });
    assert_eq!(pending.use_credit(&ann), gift);
    assert_eq!(
        (world.locker.product_credit(5), gold(&world.locker)),
        (Ok(2), 0)
    );

    world.shop.set_recipient(None);
    assert_eq!(pending.use_credit(&ann), Ok(HookAnswer::Applied));
    assert_eq!(
        (world.locker.product_credit(5), gold(&world.locker)),
        (Ok(1), 5)
    );
    world.locker.update(0.0).unwrap();
    assert_eq!(
        heard_by(&world.locker),
        ["credit of 5: +2", "credit of 5: -1"]
    );
    world.locker.mark_force_save().unwrap();
    world.locker.update(0.0).unwrap();
    assert_eq!(
        world.storage.document("Ann")["ProductCredit"],
        json!([[5, 1]])
    );
}

#[test]
fn a_hook_is_not_run_by_hand_inside_an_update() {
    let storage = FaultyStorage::new();
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    let profile = server.load("Ann");
    let shop = Shop::new() as Arc<dyn ProductProcess>;
    let pending = PendingProductPurchase::from_receipt(shop, ReceiptInfo::from_ids(5, "1"));
    let ann = profile.to_ref().unwrap();
    let hook = move || {
        let busy = Err(ByHandError::Locker(LockerError::Busy));
        assert_eq!(pending.apply(&ann), busy);
        assert_eq!(pending.use_credit(&ann), busy);
        Ok(())
    };
    profile
        .set_before_save(false, Some(Arc::new(hook)))
        .unwrap();
    profile.mark_force_save().unwrap();
    server.update();
    assert_eq!(server.heard(), ["Saved"]);
}

#[test]
fn a_gift_of_one_purchaser_does_not_let_go_of_the_session_for_another() {
    let world = World::new();
    let [ben, cleo] = ["Ben", "Cleo"].map(|key| acquired(&world.spec, key, &world.clock));
    let purchasers = [ProductPurchaser::new(), ProductPurchaser::new()];
    for (purchaser, (to, id)) in purchasers.iter().zip([(&ben, "b"), (&cleo, "c")]) {
        let shop = Shop::new();
        shop.set_recipient(Some(to.to_ref().unwrap()));
        let callback = Some(world.answers.callback(id));
        purchaser
            .call_when_product_is_processed_and_saved(
                &world.locker,
                shop as Arc<dyn ProductProcess>,
                receipt(id, 5),
                callback,
            )
            .unwrap();
    }
    let frames = |lockers: &[&Locker]| {
        for _ in 0..6 {
            let now = world.clock.now();
            purchasers
                .iter()
                .for_each(|purchaser| purchaser.update(now).unwrap());
            lockers.iter().for_each(|locker| {
                locker.update(now).unwrap();
            });
        }
    };
    // Ben is saved, Cleo's save is not begun.
    frames(&[&world.locker, &ben]);
    assert_eq!(world.answers.heard(), ["b+"]);
    world.locker.mark_should_release().unwrap();
    frames(&[&world.locker]);
    let session = |storage: &FaultyStorage| storage.document("Ann")["Session"].clone();
    assert!(session(&world.storage).is_object(), "held for Cleo's gift");
    frames(&[&world.locker, &cleo]);
    assert_eq!(world.answers.heard(), ["c+"]);
    frames(&[&world.locker]);
    assert!(session(&world.storage).is_null());
}

#[test]
fn a_hook_that_is_undone_runs_no_process_by_hand_on_another_store() {
    let [first, second] =
        [1, 2].map(|seed| Server::new(&FaultyStorage::new(), &VirtualClock::new(), seed));
    let (ann, ben) = (first.load("Ann"), second.load("Ben"));
    let refusals = Arc::new(Mutex::new(Vec::new()));
    let (shop, answers) = (Shop::new(), Answers::default());
    let (to, into) = (ben.to_ref().unwrap(), Arc::clone(&refusals));
    shop.inside_apply(move || {
        let by_hand = PendingProductPurchase::from_receipt(Shop::new(), receipt("h", 7));
        into.lock().push(by_hand.apply(&to));
        into.lock().push(by_hand.use_credit(&to));
    });
    shop.on_apply(&[Fail]);
    answers.ask(&ann, &shop, "a", 5);
    first.update();
    assert_eq!((support::gold(&ann), support::gold(&ben)), (0, 0));
    let busy = || Err(ByHandError::Locker(LockerError::Busy));
    assert_eq!(*refusals.lock(), [busy(), busy()]);
}
