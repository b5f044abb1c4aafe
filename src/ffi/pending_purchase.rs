//! `SlPendingProductPurchase`: a process function run by hand, outside of any purchase.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::boundary::boundary;
use super::callback::{SlDrop, UserData};
use super::error::{FfiError, FfiResult};
use super::handle::{self, Kind};
use super::locker::SlLocker;
use super::profile::SlProfile;
use super::purchase::{Buyer, HostProcess, SlProductProcess, SlReceiptInfo, one_of, read_receipt};
use super::settings::optional_text;
use super::status::*;
use crate::locker::{HookAnswer, LockerRef};
use crate::purchaser::{self, ByHandError, ReceiptInfo, Validation};

/// A purchase that nobody makes, to run its process function by hand: the seed's dummy
/// `PendingProductPurchase`. To ask before a purchase is offered whether it can be applied, and to give
/// for credit what could not be given when it was paid for. Free it with
/// `pending_product_purchase_destroy`.
pub struct SlPendingProductPurchase(());
handle_kind!(
    SlPendingProductPurchase,
    Kind::PendingProductPurchase,
    PendingObject
);

/// What its handle names.
pub(crate) struct PendingObject {
    process: SlProductProcess,
    user_data: Arc<UserData>,
    receipt: ReceiptInfo,
}

impl PendingObject {
    /// For a player, as the process function is to see them.
    fn for_purchaser(
        &self,
        locker: *const SlLocker,
        profile: *const SlProfile,
    ) -> FfiResult<(purchaser::PendingProductPurchase, Option<LockerRef>)> {
        let on = one_of(locker, profile)?;
        let buyer = if !locker.is_null() {
            let object = handle::get(locker)?;
            Buyer::Locker(Arc::clone(&object.handles), object.locker.id())
        } else if !profile.is_null() {
            let object = handle::get(profile)?;
            Buyer::Profile(Arc::clone(&object.handles), object.profile.id())
        } else {
            Buyer::Nobody
        };
        let process = HostProcess::new(self.process, &self.user_data, buyer)?;
        let receipt = self.receipt.clone();
        let pending = purchaser::PendingProductPurchase::from_receipt(process, receipt);
        Ok((pending, on))
    }

    fn for_player(
        &self,
        locker: *const SlLocker,
        profile: *const SlProfile,
    ) -> FfiResult<(purchaser::PendingProductPurchase, LockerRef)> {
        let (pending, on) = self.for_purchaser(locker, profile)?;
        let on = on.ok_or_else(|| {
            FfiError::new(
                SL_ERROR_INVALID_ARGUMENT,
                "neither a locker nor a profile is given",
            )
        })?;
        Ok((pending, on))
    }
}

impl From<ByHandError> for FfiError {
    fn from(error: ByHandError) -> Self {
        match error {
            ByHandError::Hook(message) => Self::new(SL_ERROR_HOOK, message),
            ByHandError::Gift { .. } => Self::new(SL_ERROR_UNSUPPORTED, error.to_string()),
            ByHandError::NotAvailable => Self::new(SL_ERROR_NOT_LOADED, error.to_string()),
            ByHandError::Locker(error) => error.into(),
        }
    }
}

/// Makes a pending purchase with a receipt, which is copied: the seed's `DummyPPP_FromReceiptInfo`. Its
/// purchase id may be empty or of any length, for nothing is known by it. When
/// this returns SL_OK, `user_data` is its own, and `drop` ends it. Any thread.
///
/// Errors: SL_ERROR_INVALID_ARGUMENT (`process`, the receipt), SL_ERROR_INVALID_UTF8, SL_ERROR_LIMIT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pending_product_purchase_from_receipt(
    process: SlProductProcess,
    receipt: *const SlReceiptInfo,
    user_data: *mut c_void,
    drop: SlDrop,
    pending: *mut *mut SlPendingProductPurchase,
) -> SlStatus {
    boundary(|| {
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        let receipt = unsafe { read_receipt(receipt) }?;
        let pending = out!(pending);
        pending.set(insert(process, UserData::new(user_data, drop), receipt)?);
        Ok(())
    })
}

/// Makes a pending purchase of a product by a player (`user_id` may be NULL, for nobody), with an empty purchase
/// id: the seed's `DummyPPP_FromIds`. All else as for `pending_product_purchase_from_receipt`.
///
/// Errors: SL_ERROR_INVALID_ARGUMENT, SL_ERROR_INVALID_UTF8, SL_ERROR_LIMIT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pending_product_purchase_from_ids(
    process: SlProductProcess,
    product_id: i64,
    user_id: *const c_char,
    user_id_length: usize,
    user_data: *mut c_void,
    drop: SlDrop,
    pending: *mut *mut SlPendingProductPurchase,
) -> SlStatus {
    boundary(|| {
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        let user_id = unsafe { optional_text("user_id", (user_id, user_id_length)) }?;
        let user_id = user_id.unwrap_or_default();
        let pending = out!(pending);
        let receipt = ReceiptInfo::from_ids(product_id, user_id);
        pending.set(insert(process, UserData::new(user_data, drop), receipt)?);
        Ok(())
    })
}

fn insert(
    process: SlProductProcess,
    user_data: Arc<UserData>,
    receipt: ReceiptInfo,
) -> FfiResult<*mut SlPendingProductPurchase> {
    if process.is_none() {
        return Err(FfiError::argument("process", "is NULL"));
    }
    let object = PendingObject {
        process,
        user_data: Arc::clone(&user_data),
        receipt,
    };
    let handle = handle::insert(Arc::new(object))?;
    user_data.accept();
    Ok(handle)
}

/// Runs SL_PRODUCT_OP_VALIDATE, for a locker or a profile (the other NULL) or for nobody: 1 or 0 in
/// `is_applicable`. Any thread; also inside callbacks.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT (both are given), SL_ERROR_NOT_ACTIVE (the
/// locker was deleted, or the profile is finished), SL_ERROR_HOOK (the function has failed).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pending_product_purchase_validate(
    pending: *const SlPendingProductPurchase,
    locker: *const SlLocker,
    profile: *const SlProfile,
    is_applicable: *mut i32,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(pending)?;
        let (pending, _) = object.for_purchaser(locker, profile)?;
        let is_applicable = out!(is_applicable);
        let is_one = matches!(pending.validate()?, Validation::Own | Validation::Gift(_));
        is_applicable.set(is_one.into());
        Ok(())
    })
}

/// Runs SL_PRODUCT_OP_APPLY on the save data of a locker or a profile (the other NULL), for nothing: 1 in
/// `was_applied`, or 0 if it is not applicable. There is no entry in the history, no record and no
/// credit. Unless it was applied, the save data is as before. Any thread, outside of updates.
///
/// Errors: as for `pending_product_purchase_validate`, SL_ERROR_INVALID_ARGUMENT also for neither of
/// both, SL_ERROR_NOT_LOADED (the save data is not available), SL_ERROR_BUSY (an update, wait or drain
/// of the store or spec is under way, on another thread or around this callback; or a hook that may write
/// to its own save data alone).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pending_product_purchase_apply(
    pending: *const SlPendingProductPurchase,
    locker: *const SlLocker,
    profile: *const SlProfile,
    was_applied: *mut i32,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(pending)?;
        let (pending, on) = object.for_player(locker, profile)?;
        let was_applied = out!(was_applied);
        was_applied.set((pending.apply(&on)? == HookAnswer::Applied).into());
        Ok(())
    })
}

/// Gives the product of the receipt for one credit of it: validates, then takes the credit and applies,
/// in one step. 1 in `was_applied`; or 0, and nothing has changed, if there is no credit or it is not
/// applicable. The use of the credit is told as by `profile_product_credit_use`. All else as for
/// `pending_product_purchase_apply`.
///
/// Errors: those, and SL_ERROR_UNSUPPORTED (the function names a recipient: a gift is not given for
/// credit).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pending_product_purchase_use_credit(
    pending: *const SlPendingProductPurchase,
    locker: *const SlLocker,
    profile: *const SlProfile,
    was_applied: *mut i32,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(pending)?;
        let (pending, on) = object.for_player(locker, profile)?;
        let was_applied = out!(was_applied);
        was_applied.set((pending.use_credit(&on)? == HookAnswer::Applied).into());
        Ok(())
    })
}

/// Frees a pending purchase, and with it its user data. Any thread. Errors: SL_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pending_product_purchase_destroy(
    pending: *mut SlPendingProductPurchase,
) -> SlStatus {
    boundary(|| {
        handle::remove(pending)?;
        Ok(())
    })
}
