//! The purchases of a store's profiles: processed inside its updates, before what they change is
//! saved and after what they wait for is known.

use std::sync::Arc;

use slotmap::{Key, KeyData};

use crate::locker::{LockerError, LockerId, LockerRef};
use crate::purchaser::{Answered, ProductProcess, PurchaseCallback, ReceiptInfo};

use super::profile::{FINISHED, Profile};
use super::profiles::ProfileId;
use super::signal::ProfileEvent;
use super::store::Inner;

impl Profile {
    /// The name of the locker beneath, such as for the recipient of a gift.
    pub fn to_ref(&self) -> Result<LockerRef, LockerError> {
        LockerRef::new(&self.store.driver, self.locker()?)
    }

    /// Processes a purchase as soon as the save data is available, and answers once it is stored: then
    /// it is granted. It is not if the session is over first, or the gift cannot be given now.
    /// The profile also tells it as [`ProfileEvent::Purchase`].
    ///
    /// Refused with 65 536 purchases of the session's locker that are not answered, or 65 536 unread
    /// events.
    pub fn call_when_product_is_processed_and_saved(
        &self,
        process: Arc<dyn ProductProcess>,
        receipt: ReceiptInfo,
        callback: Option<PurchaseCallback>,
    ) -> Result<(), LockerError> {
        self.store.check_unread()?;
        // Outlives the lock: with what is refused the host's side ends.
        let mut answer = (callback, self.id.data().as_ffi());
        let mut profiles = self.store.profiles.lock();
        let entry = profiles.entries.get_mut(self.id);
        let entry = entry.filter(|entry| !entry.is_finished).ok_or(FINISHED)?;
        let locker = LockerRef::new(&self.store.driver, entry.locker)?;
        let purchases = &self.store.purchases;
        purchases.ask(&locker, &process, receipt, &mut answer)?;
        entry.purchases += 1;
        Ok(())
    }

    /// Processes a purchase, and updates the store until it is answered. None: `timeout` seconds have
    /// passed; the purchase goes on, and the receipt can be asked for again. Blocks; for tools.
    pub fn wait_until_product_is_processed_and_saved(
        &self,
        process: Arc<dyn ProductProcess>,
        receipt: ReceiptInfo,
        timeout: f64,
    ) -> Result<Option<bool>, LockerError> {
        self.wait_for_purchase(process, receipt, timeout, || ())
    }

    /// The same; says when the purchase is taken, which it stays even if the wait fails.
    pub(crate) fn wait_for_purchase(
        &self,
        process: Arc<dyn ProductProcess>,
        receipt: ReceiptInfo,
        timeout: f64,
        taken: impl FnOnce(),
    ) -> Result<Option<bool>, LockerError> {
        let answer = Arc::new(parking_lot::Mutex::new(None));
        let heard = Arc::clone(&answer);
        let callback = move |is_granted| *heard.lock() = Some(is_granted);
        let callback = Some(Box::new(callback) as PurchaseCallback);
        self.store.wait(
            timeout,
            || {
                self.call_when_product_is_processed_and_saved(process, receipt, callback)?;
                taken();
                Ok(())
            },
            || Ok(answer.lock().is_some()),
        )?;
        let answer = *answer.lock();
        Ok(answer)
    }
}

impl Inner {
    /// Called inside an update, so the driver is held.
    pub fn process_purchases(&self) {
        // A poisoned store has nothing left to do, and nobody else runs them.
        if let Ok(now) = self.driver.now() {
            let _ = self
                .purchases
                .run(now, Some(&self.driver), &mut |answered| {
                    self.purchase_answered(answered);
                });
        }
    }

    /// The locker is gone, and its profiles are about to say their last.
    pub fn end_purchases(&self, locker: LockerId) {
        let name = LockerRef::name_of(&self.driver, locker);
        self.purchases.end(name, &self.driver, &mut |answered| {
            self.purchase_answered(answered);
        });
    }

    pub fn destroy_purchases(&self) {
        self.purchases
            .destroy(&mut |answered| self.purchase_answered(answered));
    }

    fn purchase_answered(&self, answered: Answered) {
        let profile = ProfileId::from(KeyData::from_ffi(answered.tag));
        if let Some(entry) = self.profiles.lock().entries.get_mut(profile) {
            entry.purchases -= 1;
        }
        let Answered {
            receipt,
            is_granted,
            callback,
            ..
        } = answered;
        if let Some(callback) = callback {
            callback(is_granted);
        }
        let event = ProfileEvent::Purchase {
            product_id: receipt.product_id,
            purchase_id: Arc::clone(&receipt.purchase_id),
            is_granted,
        };
        self.tell(profile, event);
    }
}
