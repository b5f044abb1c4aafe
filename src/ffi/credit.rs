//! Product credit: what a player has paid for and not been given yet, for profiles and for lockers.

use super::boundary::boundary;
use super::error::FfiError;
use super::handle;
use super::locker::SlLocker;
use super::profile::SlProfile;
use super::status::*;
use crate::locker::CreditError;

impl From<CreditError> for FfiError {
    fn from(error: CreditError) -> Self {
        use CreditError as E;
        match error {
            E::InvalidAmount { .. } | E::Overflow { .. } => {
                Self::new(SL_ERROR_OUT_OF_RANGE, error.to_string())
            }
            E::NotLoaded => Self::new(SL_ERROR_NOT_LOADED, error.to_string()),
            E::Write(error) => error.into(),
            E::Locker(error) => error.into(),
        }
    }
}

/// How much of a product the player has paid for and not been given yet, in `credit`: the seed's
/// `ProductCreditQuery`. 0 where there is none. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT, SL_ERROR_NOT_LOADED,
/// SL_ERROR_NOT_ACTIVE (the profile is finished), SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_product_credit_query(
    profile: *const SlProfile,
    product_id: i64,
    credit: *mut i64,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(profile)?;
        let credit = out!(credit);
        credit.set(object.profile.product_credit(product_id)?);
        Ok(())
    })
}

/// Adds `amount`, 1 or more, to the credit of a product: the seed's `ProductCreditGive`. It counts as
/// a change, and is told by SL_EVENT_PRODUCT_CREDIT_CHANGED and
/// SL_SIGNAL_PRODUCT_CREDIT_CHANGED at the next update. Any
/// thread, also inside a hook that owns the save data; if the hook fails, it is undone and not told.
///
/// Errors: as for `profile_product_credit_query`, and SL_ERROR_OUT_OF_RANGE (the amount is less than
/// 1, or the sum does not fit 64 bits), SL_ERROR_BUSY (a hook owns the save data). Then nothing has
/// changed, and nothing is told.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_product_credit_give(
    profile: *const SlProfile,
    product_id: i64,
    amount: i64,
) -> SlStatus {
    boundary(|| {
        Ok(handle::get(profile)?
            .profile
            .give_product_credit(product_id, amount)?)
    })
}

/// Takes `amount`, 1 or more, from the credit of a product: the seed's `ProductCreditUse`. `did_use`
/// is 1, or 0 where there is too little: then nothing has changed, and nothing is told. All else, and
/// errors, as for `profile_product_credit_give`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_product_credit_use(
    profile: *const SlProfile,
    product_id: i64,
    amount: i64,
    did_use: *mut i32,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(profile)?;
        let did_use = out!(did_use);
        let is_used = object.profile.use_product_credit(product_id, amount)?;
        did_use.set(is_used.into());
        Ok(())
    })
}

/// How much of a product the player has paid for and not been given yet, in `credit`: the seed's
/// `ProductCreditQuery`. 0 where there is none. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT, SL_ERROR_NOT_LOADED,
/// SL_ERROR_NOT_ACTIVE (the locker was deleted), SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_product_credit_query(
    locker: *const SlLocker,
    product_id: i64,
    credit: *mut i64,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(locker)?;
        let credit = out!(credit);
        credit.set(object.locker.product_credit(product_id)?);
        Ok(())
    })
}

/// Adds `amount`, 1 or more, to the credit of a product: the seed's `ProductCreditGive`. It counts as
/// a change, and is told by SL_EVENT_PRODUCT_CREDIT_CHANGED at the next update. Any
/// thread, also inside a hook that owns the save data; if the hook fails, it is undone and not told.
///
/// Errors: as for `locker_product_credit_query`, and SL_ERROR_OUT_OF_RANGE (the amount is less than
/// 1, or the sum does not fit 64 bits), SL_ERROR_BUSY (a hook owns the save data). Then nothing has
/// changed, and nothing is told.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_product_credit_give(
    locker: *const SlLocker,
    product_id: i64,
    amount: i64,
) -> SlStatus {
    boundary(|| {
        Ok(handle::get(locker)?
            .locker
            .give_product_credit(product_id, amount)?)
    })
}

/// Takes `amount`, 1 or more, from the credit of a product: the seed's `ProductCreditUse`. `did_use`
/// is 1, or 0 where there is too little: then nothing has changed, and nothing is told. All else, and
/// errors, as for `locker_product_credit_give`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn locker_product_credit_use(
    locker: *const SlLocker,
    product_id: i64,
    amount: i64,
    did_use: *mut i32,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(locker)?;
        let did_use = out!(did_use);
        let is_used = object.locker.use_product_credit(product_id, amount)?;
        did_use.set(is_used.into());
        Ok(())
    })
}
