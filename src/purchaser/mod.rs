//! Purchases: what a player has paid for is applied once, and answered once it is stored.
//!
//! A purchase belongs to a locker, and waits until that is available. Then the host's process hook
//! applies it to the save data, in one step with an entry in the document's history; when that is
//! saved, the purchase is granted, and the platform may be told so. The same receipt, asked again
//! here or on another server, finds the entry: it is granted again and not applied again. What
//! cannot be applied becomes product credit. A gift, which changes another player's save data, takes
//! two saves, and a mark in the purchaser's history that tells after a crash how far it has come.
//!
//! Every purchase is answered exactly once. A purchaser reads no clock and looks at nothing but
//! lockers that have purchases.

#![forbid(unsafe_code)]

mod by_hand;
mod history;
mod purchase;
mod queue;

use std::sync::Arc;

use parking_lot::Mutex;

use crate::locker::{
    Event, HookAnswer, Locker, LockerError, LockerRef, PURCHASE_ID_MAX_BYTES, SharedSaveData, Time,
    Timeline, guarded, restorable,
};
use crate::save_data::ProductId;
use crate::storage::MAX_USER_ID_BYTES;

pub use by_hand::{ByHandError, PendingProductPurchase};
pub(crate) use queue::{Answered, Purchases};

/// What was bought, by whom and for how much: the seed's `ReceiptInfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptInfo {
    /// The receipt's own id, 1 to 256 bytes. With the product, it is what a purchase is known by.
    pub purchase_id: Arc<str>,
    /// What was bought.
    pub product_id: ProductId,
    /// Who has bought it, as the platform names players, at most 128 bytes; empty if nobody says.
    pub user_id: Box<str>,
    /// The place where it was bought.
    pub place_id: i64,
    /// What was paid, in the smallest unit of the currency.
    pub currency_spent: i64,
}

/// What can be done with a product.
pub enum Validation {
    /// It cannot be applied here and now: it becomes credit.
    NotApplicable,
    /// Nothing can be said of it now, such as when nobody knows whom the gift was to go to: answered
    /// with no, to be asked for again some other time.
    NotNow,
    /// It is the purchaser's own.
    Own,
    /// It is a gift, to this player.
    Gift(LockerRef),
}

/// How a product is processed: the seed's `ProductProcessFunction`. Runs inside an update or wait
/// that the host called, on that thread, with no lock held. A panic is a failure.
///
/// It may run more often than the purchase is granted, on whatever server has the player's session
/// then, so it should do nothing but change save data.
pub trait ProductProcess: Send + Sync {
    /// Whether the product can be applied, and to whom. Writes to lockers are refused. If it fails, it is asked again
    /// after a cooldown.
    fn validate(&self, receipt: &ReceiptInfo) -> Result<Validation, String>;

    /// Applies the product to the save data: the purchaser's, or for a gift the recipient's. Writes
    /// to no other. What is not applied is undone; what has failed is tried again after a cooldown.
    fn apply(
        &self,
        receipt: &ReceiptInfo,
        save_data: &Arc<SharedSaveData>,
    ) -> Result<HookAnswer, String>;

    /// Notes what is to be known of each purchase, in the purchaser's save data: for instance what was
    /// spent. Runs once for a purchase, last. If it fails, it is undone, and the purchase goes on.
    fn record(&self, receipt: &ReceiptInfo, save_data: &Arc<SharedSaveData>) -> Result<(), String> {
        let _ = (receipt, save_data);
        Ok(())
    }
}

/// Hears once whether a purchase is granted.
pub type PurchaseCallback = Box<dyn FnOnce(bool) + Send>;

/// Processes the purchases of lockers: the seed's `ProductPurchaser`. One does for a server. A clone
/// names the same purchaser.
///
/// Dropping the last clone destroys it.
#[derive(Clone, Default)]
pub struct ProductPurchaser(Arc<Inner>);

#[derive(Default)]
struct Inner {
    purchases: Purchases,
    timeline: Mutex<Timeline>,
}

impl ReceiptInfo {
    /// A receipt without a purchase id, for running a process by hand.
    pub fn from_ids(product_id: ProductId, user_id: &str) -> Self {
        Self {
            purchase_id: "".into(),
            product_id,
            user_id: user_id.into(),
            place_id: 0,
            currency_spent: 0,
        }
    }

    fn check(&self) -> Result<(), LockerError> {
        let bytes = self.purchase_id.len();
        if !(1..=PURCHASE_ID_MAX_BYTES).contains(&bytes) {
            return Err(LockerError::InvalidPurchaseId { bytes });
        }
        let bytes = self.user_id.len();
        match bytes <= MAX_USER_ID_BYTES {
            true => Ok(()),
            false => Err(LockerError::InvalidReceiptUserId { bytes }),
        }
    }
}

impl ProductPurchaser {
    /// A purchaser with no purchases.
    pub fn new() -> Self {
        Self::default()
    }

    /// Does all there is to do at `now`: seconds that never run backwards, from any epoch. A locker
    /// whose spec is being updated on another thread is looked at the next time.
    pub fn update(&self, now: f64) -> Result<(), LockerError> {
        let inner = &self.0;
        inner.timeline.lock().pass(Time::Host(now));
        let now = inner.timeline.lock().now();
        inner.purchases.run(now, None, &mut tell)
    }

    /// Whether a purchase is not answered yet.
    pub fn has_incomplete_purchases(&self) -> bool {
        self.0.purchases.has_incomplete()
    }

    /// Processes a purchase as soon as the locker is available, and answers once it is stored: then it
    /// is granted. It is not if the locker is deleted first, or the gift cannot be given now. The
    /// locker also tells it as [`Event::Purchase`], if it is still there.
    ///
    /// Refused with 65 536 purchases of the locker that this purchaser has not answered, or 65 536
    /// unread events of its spec.
    pub fn call_when_product_is_processed_and_saved(
        &self,
        locker: &Locker,
        process: Arc<dyn ProductProcess>,
        receipt: ReceiptInfo,
        callback: Option<PurchaseCallback>,
    ) -> Result<(), LockerError> {
        let locker = locker.to_ref_of_reader()?;
        let purchases = &self.0.purchases;
        purchases.ask(&locker, &process, receipt, &mut (callback, 0))
    }

    /// Processes a purchase, and updates the lockers of its spec and this purchaser until it is
    /// answered. None: `timeout` seconds have passed; the purchase goes on, and the receipt can be
    /// asked for again. Blocks; for tools.
    ///
    /// Refused inside an update of this purchaser or of the spec, or while another thread has one.
    pub fn wait_until_product_is_processed_and_saved(
        &self,
        locker: &Locker,
        process: Arc<dyn ProductProcess>,
        receipt: ReceiptInfo,
        timeout: f64,
    ) -> Result<Option<bool>, LockerError> {
        self.wait_for_purchase(locker, process, receipt, timeout, || ())
    }

    /// The same; says when the purchase is taken, which it stays even if the wait fails.
    pub(crate) fn wait_for_purchase(
        &self,
        locker: &Locker,
        process: Arc<dyn ProductProcess>,
        receipt: ReceiptInfo,
        timeout: f64,
        taken: impl FnOnce(),
    ) -> Result<Option<bool>, LockerError> {
        let answer = Arc::new(Mutex::new(None));
        let heard = Arc::clone(&answer);
        let callback = move |is_granted| *heard.lock() = Some(is_granted);
        let callback = Some(Box::new(callback) as PurchaseCallback);
        let named = locker.to_ref_of_reader()?;
        let driver = named.driver();
        let mut looked_at = driver.monotonic();
        locker.wait_for_all(
            timeout,
            || {
                let purchases = &self.0.purchases;
                // An update around this call would look at no purchase until the wait is over.
                let _running = purchases.begin_running()?;
                purchases.ask(&named, &process, receipt, &mut (callback, 0))?;
                taken();
                Ok(())
            },
            || {
                let monotonic = driver.monotonic();
                let passed = (monotonic - looked_at).min(driver.config().longest_step());
                let passed = Time::Elapsed(passed);
                looked_at = monotonic;
                self.0.timeline.lock().pass(passed);
                let now = self.0.timeline.lock().now();
                match self.0.purchases.run(now, Some(driver), &mut tell) {
                    // Another thread is at it.
                    Ok(()) | Err(LockerError::Busy) => Ok(answer.lock().is_some()),
                    Err(error) => Err(error),
                }
            },
        )?;
        let answer = *answer.lock();
        Ok(answer)
    }

    /// Answers every purchase with no, and takes no more. What is applied stays applied: the receipt,
    /// asked again, is granted.
    pub fn destroy(&self) {
        self.0.purchases.destroy(&mut tell);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.purchases.destroy(&mut tell);
    }
}

/// Runs the hook that only asks: it may write to no locker's document.
fn validate(process: &dyn ProductProcess, receipt: &ReceiptInfo) -> Result<Validation, String> {
    restorable(|| guarded(|| process.validate(receipt)))
}

fn tell(answered: Answered) {
    let Answered {
        locker,
        receipt,
        is_granted,
        callback,
        ..
    } = answered;
    if let Some(callback) = callback {
        callback(is_granted);
    }
    locker.tell(Event::Purchase {
        product_id: receipt.product_id,
        purchase_id: Arc::clone(&receipt.purchase_id),
        is_granted,
    });
}
