//! `SlProductPurchaser`: the purchases of lockers that the host drives itself.

use std::ffi::c_void;
use std::sync::Arc;

use super::boundary::boundary;
use super::callback::{SlDrop, UserData};
use super::handle::{self, Kind};
use super::locker::SlLocker;
use super::number;
use super::profile::wait_seconds;
use super::purchase::{
    Buyer, HostProcess, SlProductProcess, SlPurchaseCallback, SlReceiptInfo, answer,
    purchase_callback, read_receipt,
};
use super::status::*;
use crate::purchaser::ProductPurchaser;

/// Processes the purchases of lockers: the seed's `ProductPurchaser`. One does for a server, for lockers
/// of any spec. The host updates it every frame, best before its lockers. A store has one of its own,
/// for its profiles. Free it with `product_purchaser_destroy`.
pub struct SlProductPurchaser(());
handle_kind!(SlProductPurchaser, Kind::ProductPurchaser, ProductPurchaser);

/// Makes a purchaser with no purchases. Free it with `product_purchaser_destroy`. Any thread.
///
/// Errors: SL_ERROR_INVALID_ARGUMENT, SL_ERROR_LIMIT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn product_purchaser_create(
    purchaser: *mut *mut SlProductPurchaser,
) -> SlStatus {
    boundary(|| {
        let purchaser = out!(purchaser);
        purchaser.set(handle::insert(Arc::new(ProductPurchaser::new()))?);
        Ok(())
    })
}

/// Does all there is to do for the purchases, once a frame, on this thread: process functions run, and
/// answers are told. Never waits for the storage. Purchases of a spec of which a locker is being updated
/// on another thread, or around this callback, are left to the next update.
///
/// `now` is in seconds that never run backwards, from any epoch, time asleep included; a smaller value
/// than the last counts as the last.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_OUT_OF_RANGE (`now` is not between -1e15 and 1e15),
/// SL_ERROR_BUSY (an update or wait of this purchaser is under way, on another thread or around this
/// callback), SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn product_purchaser_update(
    purchaser: *const SlProductPurchaser,
    now: f64,
) -> SlStatus {
    boundary(|| {
        let purchaser = handle::get(purchaser)?;
        let now = number::moment("now", now)?;
        Ok(purchaser.update(now)?)
    })
}

/// Whether a purchase is not answered yet: 1 or 0 in `has_incomplete`. At shutdown, release the lockers
/// and go on updating until it is 0. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn product_purchaser_has_incomplete_purchases(
    purchaser: *const SlProductPurchaser,
    has_incomplete: *mut i32,
) -> SlStatus {
    boundary(|| {
        let purchaser = handle::get(purchaser)?;
        let has_incomplete = out!(has_incomplete);
        has_incomplete.set(purchaser.has_incomplete_purchases().into());
        Ok(())
    })
}

/// Processes a purchase once the locker is available, inside the purchaser's updates, and answers it
/// once; all as for `profile_call_when_product_is_processed_and_saved`, but that a purchase outlives a
/// session: it waits for the locker's next one, and is answered with 0 when the locker is deleted. The
/// locker tells it too, by SL_EVENT_PURCHASE at its next update, if it is still there. Any thread; also
/// inside callbacks.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT (`process`, the receipt, the length of
/// an id), SL_ERROR_INVALID_UTF8, SL_ERROR_NOT_ACTIVE (the locker was deleted), SL_ERROR_LIMIT (65 536
/// purchases of the locker are not answered, or 65 536 events of the spec are unread), SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn product_purchaser_call_when_product_is_processed_and_saved(
    purchaser: *const SlProductPurchaser,
    locker: *const SlLocker,
    process: SlProductProcess,
    receipt: *const SlReceiptInfo,
    callback: SlPurchaseCallback,
    user_data: *mut c_void,
    drop: SlDrop,
) -> SlStatus {
    boundary(|| {
        let purchaser = handle::get(purchaser)?;
        let locker = handle::get(locker)?;
        let user_data = UserData::new(user_data, drop);
        let buyer = Buyer::Locker(Arc::clone(&locker.handles), locker.locker.id());
        let process = HostProcess::new(process, &user_data, buyer)?;
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        let receipt = unsafe { read_receipt(receipt) }?;
        let callback = purchase_callback(callback, &user_data);
        purchaser.call_when_product_is_processed_and_saved(
            &locker.locker,
            process,
            receipt,
            callback,
        )?;
        user_data.accept();
        Ok(())
    })
}

/// Processes a purchase, and updates this purchaser and all lockers of the locker's spec until it is
/// answered (1 or 0 in `was_granted`), for at most `timeout` seconds; all else as for
/// `profile_wait_until_product_is_processed_and_saved`. A purchase that the session's end leaves waits
/// for the locker's next session. Blocks; for tools.
///
/// Errors: as for `product_purchaser_call_when_product_is_processed_and_saved`, and
/// SL_ERROR_OUT_OF_RANGE (the timeout), SL_ERROR_TIMEOUT, SL_ERROR_BUSY (an update or wait of a locker
/// of the same spec, or of this purchaser, is under way, on another thread or around this callback).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn product_purchaser_wait_until_product_is_processed_and_saved(
    purchaser: *const SlProductPurchaser,
    locker: *const SlLocker,
    process: SlProductProcess,
    receipt: *const SlReceiptInfo,
    user_data: *mut c_void,
    drop: SlDrop,
    timeout: f64,
    was_granted: *mut i32,
) -> SlStatus {
    boundary(|| {
        let purchaser = handle::get(purchaser)?;
        let locker = handle::get(locker)?;
        let user_data = UserData::new(user_data, drop);
        let buyer = Buyer::Locker(Arc::clone(&locker.handles), locker.locker.id());
        let process = HostProcess::new(process, &user_data, buyer)?;
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        let receipt = unsafe { read_receipt(receipt) }?;
        let seconds = wait_seconds(timeout)?;
        let was_granted = out!(was_granted);
        let waited =
            purchaser.wait_for_purchase(&locker.locker, process, receipt, seconds, || {
                user_data.accept();
            })?;
        was_granted.set(answer(waited, timeout)?);
        Ok(())
    })
}

/// Answers every purchase that is left with 0, inside this call, and frees the purchaser. What was
/// applied stays applied: its receipt, when it comes again, is granted. During an update of
/// it, the purchases that are being looked at go as far as they can, and are answered before the update
/// returns. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn product_purchaser_destroy(purchaser: *mut SlProductPurchaser) -> SlStatus {
    boundary(|| {
        handle::remove(purchaser)?.destroy();
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::locker::{locker_create, locker_mark_should_acquire};
    use crate::ffi::purchase::{
        SlProductCall, one_of, profile_wait_until_product_is_processed_and_saved,
        session_locker_receipt_info_init,
    };
    use crate::ffi::spec::{locker_spec_config_init, locker_spec_create, locker_spec_destroy};
    use crate::ffi::storage::{locker_storage_destroy, locker_storage_open};
    use crate::ffi::store::{
        easy_store_config_init, easy_store_create, easy_store_destroy, easy_store_start_session,
    };
    use crate::ffi::text::SL_NUL_TERMINATED;
    use std::mem::MaybeUninit;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::ptr::null_mut;
    use std::sync::atomic::{AtomicU32, Ordering};

    unsafe extern "C" fn count(user_data: *mut c_void) {
        // SAFETY: the tests give a counter that outlives its user data.
        let counter = unsafe { &*user_data.cast::<AtomicU32>() };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Brings about what a bug in the library would: its own lock is poisoned.
    unsafe extern "C" fn process_that_poisons(
        _: *mut c_void,
        _: i32,
        call: *mut SlProductCall,
    ) -> SlStatus {
        // SAFETY: the call lives until the function returns.
        let call = unsafe { &*call };
        let buyer = one_of(call.locker, call.profile).ok().flatten().unwrap();
        let poison = || {
            let _set = buyer.driver().set();
            panic!("a bug");
        };
        assert!(catch_unwind(AssertUnwindSafe(poison)).is_err());
        SL_ERROR_HOOK
    }

    fn receipt() -> SlReceiptInfo {
        let mut receipt = MaybeUninit::<SlReceiptInfo>::uninit();
        // SAFETY: the struct has the size that is said, and is filled.
        let mut receipt = unsafe {
            session_locker_receipt_info_init(receipt.as_mut_ptr(), size_of::<SlReceiptInfo>());
            receipt.assume_init()
        };
        receipt.purchase_id = c"a".as_ptr();
        receipt
    }

    #[test]
    fn the_user_data_of_a_wait_that_fails_ends_with_the_purchase() {
        let (drops, receipt) = (AtomicU32::new(0), receipt());
        let user_data: *mut c_void = std::ptr::from_ref(&drops).cast_mut().cast();
        let (process, drop): (SlProductProcess, SlDrop) = (Some(process_that_poisons), Some(count));
        let (key, url) = (c"ann".as_ptr(), c"memory:".as_ptr());
        let (mut storage, mut store, mut spec) = (null_mut(), null_mut(), null_mut());
        let (mut profile, mut locker, mut purchaser) = (null_mut(), null_mut(), null_mut());
        let (mut easy, mut full) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        let mut was_granted = 7;
        // SAFETY: all pointers are NULL or to locals of their types; the structs are filled first.
        unsafe {
            assert_eq!(
                locker_storage_open(url, SL_NUL_TERMINATED, &mut storage),
                SL_OK
            );
            let size = size_of_val(&easy);
            assert_eq!(easy_store_config_init(easy.as_mut_ptr(), size), SL_OK);
            (*easy.as_mut_ptr()).template_json = c"{}".as_ptr();
            assert_eq!(easy_store_create(storage, easy.as_ptr(), &mut store), SL_OK);
            let length = SL_NUL_TERMINATED;
            let null = std::ptr::null();
            let started = easy_store_start_session(store, key, length, null, &mut profile);
            assert_eq!(started, SL_OK);
            let waited = profile_wait_until_product_is_processed_and_saved(
                profile,
                process,
                &receipt,
                user_data,
                drop,
                5.0,
                &mut was_granted,
            );
            assert_eq!(waited, SL_ERROR_PANIC);
            assert_eq!(easy_store_destroy(store), SL_OK);
        }
        assert_eq!(drops.load(Ordering::Relaxed), 1);

        // SAFETY: as above.
        unsafe {
            let size = size_of_val(&full);
            assert_eq!(locker_spec_config_init(full.as_mut_ptr(), size), SL_OK);
            (*full.as_mut_ptr()).template_json = c"{}".as_ptr();
            assert_eq!(locker_spec_create(storage, full.as_ptr(), &mut spec), SL_OK);
            let (length, null) = (SL_NUL_TERMINATED, std::ptr::null());
            let key = c"ben".as_ptr();
            assert_eq!(locker_create(spec, key, length, null, &mut locker), SL_OK);
            assert_eq!(locker_mark_should_acquire(locker, 0), SL_OK);
            assert_eq!(product_purchaser_create(&mut purchaser), SL_OK);
            let waited = product_purchaser_wait_until_product_is_processed_and_saved(
                purchaser,
                locker,
                process,
                &receipt,
                user_data,
                drop,
                5.0,
                &mut was_granted,
            );
            assert_eq!(waited, SL_ERROR_PANIC);
            assert_eq!(product_purchaser_destroy(purchaser), SL_OK);
            locker_spec_destroy(spec);
            assert_eq!(locker_storage_destroy(storage), SL_OK);
        }
        assert_eq!((drops.load(Ordering::Relaxed), was_granted), (2, 7));
    }
}
