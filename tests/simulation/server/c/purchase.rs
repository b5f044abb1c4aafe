//! Purchases of a C host: one process function, and one callback, whichever API calls them.

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use session_locker::ffi::*;

use super::call::{
    Handle, Refusal, c, call, callback, filled, get, handle, lent, lent_output, lent_struct, must,
    must_get,
};
use super::desk::{Desk, Owner};
use super::document::SaveData;
use super::hooks;
use super::user_data::{UserData, behind, drop_user_data, hand_over, take_back};
use crate::ids::{AskId, Key, SessionId};
use crate::server::{Receipt, Verdict};

/// A purchase, or a use of credit, as callbacks find it.
struct Purchase {
    desk: Arc<Desk>,
    session: SessionId,
    key: Key,
    receipt: Receipt,
    /// None: credit is used, and nothing is answered.
    ask: Option<AskId>,
    is_answered: AtomicBool,
}

impl UserData for Purchase {
    fn is_over(&self) {
        let is_answered = self.is_answered.load(Ordering::Relaxed) || self.ask.is_none();
        assert!(is_answered, "a purchase was dropped and is not answered");
    }
}

/// What begins a purchase: with a receipt, and the `user_data` of both functions.
type Begin<'a> = &'a dyn Fn(&SlReceiptInfo, *mut c_void) -> SlStatus;

/// Begins a purchase by a call that is given [`process`], [`answered`], and the drop.
pub fn buy(
    desk: &Arc<Desk>,
    session: SessionId,
    ask: AskId,
    receipt: Receipt,
    begin: Begin<'_>,
) -> bool {
    let user_data = hand_over(
        &desk.tally,
        Purchase::new(desk, session, receipt, Some(ask)),
    );
    let begun = with_receipt(receipt, |info| call(begin(info, user_data)));
    if begun.is_err() {
        take_back(user_data);
    }
    begun.is_ok()
}

/// Gives a product for one credit of it. True: it was applied.
pub fn use_credit(desk: &Arc<Desk>, session: SessionId, receipt: Receipt, owner: Owner) -> bool {
    let user_data = hand_over(&desk.tally, Purchase::new(desk, session, receipt, None));
    let drop: SlDrop = Some(drop_user_data);
    let made = with_receipt(receipt, |info| {
        handle(|pending| {
            c!(pending_product_purchase_from_receipt(
                Some(process),
                info,
                user_data,
                drop,
                pending
            ))
        })
    });
    let pending = made.unwrap_or_else(|refusal| panic!("{refusal}"));
    let was_applied = use_pending(pending, owner);
    must(c!(pending_product_purchase_destroy(pending.get())));
    was_applied.is_ok_and(|was_applied| was_applied != 0)
}

fn use_pending(pending: Handle<SlPendingProductPurchase>, owner: Owner) -> Result<i32, Refusal> {
    let (locker, profile) = match owner {
        Owner::Locker(locker) => (locker.get(), std::ptr::null_mut()),
        Owner::Profile(profile) => (std::ptr::null_mut(), profile.get()),
    };
    get(7, |was_applied| {
        c!(pending_product_purchase_use_credit(
            pending.get(),
            locker,
            profile,
            was_applied
        ))
    })
}

fn with_receipt<R>(receipt: Receipt, with: impl FnOnce(&SlReceiptInfo) -> R) -> R {
    let id = receipt.purchase.receipt();
    with(&SlReceiptInfo {
        purchase_id: id.as_ptr().cast(),
        purchase_id_length: id.len(),
        product_id: receipt.product,
        ..filled(|info, size| c!(session_locker_receipt_info_init(info, size)))
    })
}

/// The callback of every purchase.
pub extern "C" fn answered(user_data: *mut c_void, is_granted: i32) {
    callback((), || {
        let purchase = behind::<Purchase>(user_data);
        let again = purchase.is_answered.swap(true, Ordering::Relaxed);
        assert!(!again, "a purchase is answered twice");
        let ask = purchase.ask.expect("a use of credit is not answered");
        let Purchase {
            desk, key, receipt, ..
        } = &*purchase;
        desk.purchased(*key, ask, *receipt, is_granted != 0);
    });
}

/// The process function of every purchase.
pub extern "C" fn process(
    user_data: *mut c_void,
    op: SlProductOp,
    call: *mut SlProductCall,
) -> SlStatus {
    callback(SL_ERROR_HOOK, || {
        let purchase = behind::<Purchase>(user_data);
        match purchase.desk.is_muted() {
            true => SL_ERROR_NOT_ACTIVE,
            false => purchase.process(op, lent_output(call)),
        }
    })
}

impl Purchase {
    fn new(
        desk: &Arc<Desk>,
        session: SessionId,
        receipt: Receipt,
        ask: Option<AskId>,
    ) -> Arc<Self> {
        Arc::new(Self {
            desk: Arc::clone(desk),
            session,
            key: desk.key(session).expect("a session of the host's"),
            receipt,
            ask,
            is_answered: AtomicBool::new(false),
        })
    }

    fn process(&self, op: SlProductOp, call: &mut SlProductCall) -> SlStatus {
        self.check(call);
        let (game, purchase) = (&self.desk.game, self.receipt.purchase);
        let mut data = SaveData::of(call.save_data);
        match op {
            SL_PRODUCT_OP_VALIDATE => match game.validate(purchase) {
                Ok(verdict) => self.name_recipient(verdict, call),
                Err(failure) => hooks::fail(failure),
            },
            SL_PRODUCT_OP_APPLY => hooks::answer(game.apply(purchase, &mut data)),
            SL_PRODUCT_OP_RECORD => hooks::status(game.record(purchase, &mut data)),
            other => panic!("{other} is no operation"),
        }
    }

    /// The receipt is that of the purchase, and the buyer its own.
    fn check(&self, call: &SlProductCall) {
        let receipt = lent_struct(call.receipt);
        let id = lent(receipt.purchase_id, receipt.purchase_id_length);
        assert_eq!(id, self.receipt.purchase.receipt());
        assert_eq!(receipt.product_id, self.receipt.product);
        let (locker, profile) = match self.desk.owner(self.session) {
            Some(Owner::Locker(locker)) => (locker.bits(), 0),
            Some(Owner::Profile(profile)) => (0, profile.bits()),
            None => (0, 0),
        };
        assert_eq!((call.locker.addr(), call.profile.addr()), (locker, profile));
    }

    fn name_recipient(&self, verdict: Verdict, call: &mut SlProductCall) -> SlStatus {
        let key = match verdict {
            Verdict::NotApplicable => return SL_ERROR_NOT_APPLICABLE,
            Verdict::NotNow => return SL_ERROR_NOT_ACTIVE,
            Verdict::Own => return SL_OK,
            Verdict::Gift(key) => key,
        };
        match self.recipient(key) {
            Some(Owner::Locker(locker)) => call.recipient_locker = locker.get(),
            Some(Owner::Profile(profile)) => call.recipient_profile = profile.get(),
            None => return SL_ERROR_NOT_ACTIVE,
        }
        SL_OK
    }

    /// The first session of this key that is not ended.
    fn recipient(&self, key: Key) -> Option<Owner> {
        let owners = self.desk.wanted(key);
        owners.into_iter().find(|owner| match owner {
            Owner::Locker(_) => true,
            Owner::Profile(profile) => {
                must_get(7, |is_active| {
                    c!(profile_is_active(profile.get(), is_active))
                }) != 0
            }
        })
    }
}

/// Whether a session's save data is the player's and will be saved.
pub fn is_available(owner: Owner) -> bool {
    let is_available = must_get(7, |is_available| match owner {
        Owner::Profile(profile) => c!(profile_is_available(profile.get(), is_available)),
        Owner::Locker(locker) => c!(locker_is_available(locker.get(), is_available)),
    });
    is_available != 0
}
