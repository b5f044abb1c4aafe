//! Purchases of profiles, and what every purchase is made of: the receipt, the process function and
//! the answer.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::boundary::boundary;
use super::callback::{SlDrop, UserData};
use super::config::{self, Versioned};
use super::error::{FfiError, FfiResult, run_answering_hook};
use super::handle;
use super::locker::SlLocker;
use super::profile::{SlProfile, timed_out, wait_seconds};
use super::save_data::SlSaveData;
use super::settings::optional_text;
use super::spec::LockerHandles;
use super::status::*;
use super::store::ProfileHandles;
use super::text::{SL_NUL_TERMINATED, lend_text, text};
use crate::easy::ProfileId;
use crate::locker::{HookAnswer, LockerId, LockerRef, SharedSaveData};
use crate::purchaser::{ProductProcess, PurchaseCallback, ReceiptInfo, Validation};

/// What was bought, by whom and for how much: the seed's `ReceiptInfo`. `session_locker_receipt_info_init` fills in
/// the defaults. A call copies it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SlReceiptInfo {
    /// `sizeof(SlReceiptInfo)`.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// The receipt's own id, 1 to 256 bytes of UTF-8. With the product, it is what a purchase is known
    /// by: the same two are the same purchase.
    pub purchase_id: *const c_char,
    /// Bytes. Left alone, it is SL_NUL_TERMINATED.
    pub purchase_id_length: usize,
    /// What was bought (0).
    pub product_id: i64,
    /// Who has bought it, as the platform names players, at most 128 bytes; NULL if nobody says.
    pub user_id: *const c_char,
    /// Bytes. Left alone, it is SL_NUL_TERMINATED.
    pub user_id_length: usize,
    /// The place where it was bought (0).
    pub place_id: i64,
    /// What was paid, in the smallest unit of the currency, such as cents (0).
    pub currency_spent: i64,
}

// SAFETY: `repr(C)` with its size first; numbers and raw pointers, with explicit padding.
unsafe impl Versioned for SlReceiptInfo {
    const NAME: &'static str = "SlReceiptInfo";
    const FIRST_SIZE: usize = 64;

    fn defaults() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            reserved: 0,
            purchase_id: std::ptr::null(),
            purchase_id_length: SL_NUL_TERMINATED,
            product_id: 0,
            user_id: std::ptr::null(),
            user_id_length: SL_NUL_TERMINATED,
            place_id: 0,
            currency_spent: 0,
        }
    }
}

/// What a process function is called for: one of SL_PRODUCT_OP_.
pub type SlProductOp = i32;

/// Asks whether the product can be applied, and to whom; a write to save data of a session gets
/// SL_ERROR_BUSY. SL_OK: it can, to the purchaser, or to the recipient that is set in the call; the
/// purchase is answered with 0 if that one is not available, its session over, or of another store or
/// spec, which is reported. SL_ERROR_NOT_APPLICABLE: it cannot, and becomes credit. SL_ERROR_NOT_ACTIVE:
/// not now (the friend whom the gift was for has left); the purchase is answered with 0, and nothing is
/// written. Anything else, a recipient of both kinds, or a handle that was freed, is a failure: it is
/// asked again after `session_retry_cooldown`.
pub const SL_PRODUCT_OP_VALIDATE: SlProductOp = 1;
/// Applies the product by writing to `save_data`, and to no other save data. SL_OK: it is applied.
/// SL_ERROR_NOT_APPLICABLE: it cannot be, and becomes credit; a gift is answered with no. Anything else
/// is a failure: it is applied again after a cooldown. Unless it is applied, what was written is undone.
pub const SL_PRODUCT_OP_APPLY: SlProductOp = 2;
/// Notes in `save_data`, the purchaser's, what is to be known of each purchase, such as what was spent.
/// Runs once for a purchase: after it was applied or has become credit; for a gift, once the recipient's
/// save is stored. After a crash before it was stored it runs again. Anything but SL_OK,
/// SL_ERROR_NOT_APPLICABLE too, is a failure: it is reported, what was written is undone, and the purchase
/// goes on.
pub const SL_PRODUCT_OP_RECORD: SlProductOp = 3;

/// What a process function is called for. It lives until the function returns.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SlProductCall {
    /// `sizeof(SlProductCall)`.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// The receipt, with all lengths set. Its texts are not NUL-terminated.
    pub receipt: *const SlReceiptInfo,
    /// The purchaser's locker; NULL for a profile's purchase, and once the host has destroyed it.
    pub locker: *mut SlLocker,
    /// The purchaser's profile; NULL for a locker's purchase, and once the host has destroyed it.
    pub profile: *mut SlProfile,
    /// The save data that may be written: to apply, the purchaser's or for a gift the recipient's; to
    /// record, the purchaser's. NULL to validate.
    pub save_data: *mut SlSaveData,
    /// For SL_PRODUCT_OP_VALIDATE to set: to whom the gift goes, a locker of the same spec. NULL if it
    /// is none.
    pub recipient_locker: *mut SlLocker,
    /// For SL_PRODUCT_OP_VALIDATE to set: to whom the gift goes, a profile of the same store. NULL if
    /// it is none.
    pub recipient_profile: *mut SlProfile,
}

/// Processes a product: the seed's `ProductProcessFunction`. `op` is one of SL_PRODUCT_OP_, which say
/// what to return; say why it failed with `session_locker_set_hook_error`.
///
/// Runs inside an update, wait or drain that the host called, or a `pending_product_purchase_` call, on
/// that thread, with no lock held. It may call any function, but an update, wait or drain of the same
/// store, spec or purchaser gets SL_ERROR_BUSY, here and on other threads, and so does a write to other
/// save data than the call's. What fails is told with SL_ACTIVITY_PURCHASE. It may run more often than
/// the purchase is granted, so it should do nothing but change save data.
pub type SlProductProcess = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        op: SlProductOp,
        call: *mut SlProductCall,
    ) -> SlStatus,
>;

/// Told once how a purchase ended: `is_granted` is 1 when its effect is in the storage, and the platform
/// may be told so; else 0, and the receipt is to be asked for again some time. Runs as SlSavedCallback
/// does.
pub type SlPurchaseCallback = Option<unsafe extern "C" fn(user_data: *mut c_void, is_granted: i32)>;

/// Who buys, as the host knows them.
pub(crate) enum Buyer {
    Nobody,
    Profile(Arc<ProfileHandles>, ProfileId),
    Locker(Arc<LockerHandles>, LockerId),
}

/// The host's function as the library's own.
pub(crate) struct HostProcess {
    pub(crate) process:
        unsafe extern "C" fn(*mut c_void, SlProductOp, *mut SlProductCall) -> SlStatus,
    pub(crate) user_data: Arc<UserData>,
    pub(crate) buyer: Buyer,
}

impl HostProcess {
    pub(crate) fn new(
        process: SlProductProcess,
        user_data: &Arc<UserData>,
        buyer: Buyer,
    ) -> FfiResult<Arc<Self>> {
        let process = process.ok_or_else(|| FfiError::argument("process", "is NULL"))?;
        let user_data = Arc::clone(user_data);
        Ok(Arc::new(Self {
            process,
            user_data,
            buyer,
        }))
    }

    /// Runs the function; gives what it has answered, the status it has returned, and the call as it has
    /// left it.
    fn run(
        &self,
        op: i32,
        receipt: &ReceiptInfo,
        save_data: *mut SlSaveData,
    ) -> (Result<HookAnswer, String>, SlStatus, SlProductCall) {
        let (purchase_id, user_id) = (
            lend_text(receipt.purchase_id.as_bytes()),
            lend_text(receipt.user_id.as_bytes()),
        );
        let receipt = SlReceiptInfo {
            purchase_id: purchase_id.data,
            purchase_id_length: purchase_id.length,
            product_id: receipt.product_id,
            user_id: user_id.data,
            user_id_length: user_id.length,
            place_id: receipt.place_id,
            currency_spent: receipt.currency_spent,
            ..SlReceiptInfo::defaults()
        };
        let null = (std::ptr::null_mut(), std::ptr::null_mut());
        let (locker, profile) = match &self.buyer {
            Buyer::Nobody => null,
            Buyer::Profile(handles, id) => (null.0, handles.get(*id)),
            Buyer::Locker(handles, id) => (handles.get(*id), null.1),
        };
        let mut call = SlProductCall {
            struct_size: size_of::<SlProductCall>() as u32,
            reserved: 0,
            receipt: &raw const receipt,
            locker,
            profile,
            save_data,
            recipient_locker: null.0,
            recipient_profile: null.1,
        };
        let mut status = SL_OK;
        let answer = run_answering_hook(|| {
            // SAFETY: the host gave the function for this purpose and this user data; the call, the
            // receipt and its texts outlive it.
            status = unsafe { (self.process)(self.user_data.pointer(), op, &raw mut call) };
            status
        });
        (answer, status, call)
    }

    /// Runs the function with a save data that it may write.
    fn write(
        &self,
        op: i32,
        receipt: &ReceiptInfo,
        save_data: &Arc<SharedSaveData>,
    ) -> Result<HookAnswer, String> {
        /// Takes the handle back, however the function ends.
        struct Lent(*mut SlSaveData);
        impl Drop for Lent {
            fn drop(&mut self) {
                let _ = handle::take_back(self.0);
            }
        }
        let lent = handle::lend(Arc::clone(save_data)).map_err(|error| error.message)?;
        let lent = Lent(lent);
        self.run(op, receipt, lent.0).0
    }
}

impl ProductProcess for HostProcess {
    fn validate(&self, receipt: &ReceiptInfo) -> Result<Validation, String> {
        let nothing = std::ptr::null_mut();
        let (answer, status, call) = self.run(SL_PRODUCT_OP_VALIDATE, receipt, nothing);
        if status == SL_ERROR_NOT_ACTIVE {
            return Ok(Validation::NotNow);
        }
        if answer? == HookAnswer::NotApplicable {
            return Ok(Validation::NotApplicable);
        }
        match recipient(&call) {
            Ok(recipient) => Ok(recipient.map_or(Validation::Own, Validation::Gift)),
            // The friend whom it was for has left, and the host still has the profile.
            Err(error) if error.status == SL_ERROR_NOT_ACTIVE => Ok(Validation::NotNow),
            Err(error) => Err(error.message),
        }
    }

    fn apply(
        &self,
        receipt: &ReceiptInfo,
        save_data: &Arc<SharedSaveData>,
    ) -> Result<HookAnswer, String> {
        self.write(SL_PRODUCT_OP_APPLY, receipt, save_data)
    }

    fn record(&self, receipt: &ReceiptInfo, save_data: &Arc<SharedSaveData>) -> Result<(), String> {
        match self.write(SL_PRODUCT_OP_RECORD, receipt, save_data)? {
            HookAnswer::Applied => Ok(()),
            HookAnswer::NotApplicable => Err("it returned SL_ERROR_NOT_APPLICABLE".to_owned()),
        }
    }
}

/// Whom a validation has named.
fn recipient(call: &SlProductCall) -> FfiResult<Option<LockerRef>> {
    one_of(call.recipient_locker, call.recipient_profile)
}

/// The locker that one of the two handles names, of which the other is NULL; none if both are.
pub(crate) fn one_of(
    locker: *const SlLocker,
    profile: *const SlProfile,
) -> FfiResult<Option<LockerRef>> {
    Ok(match (locker.is_null(), profile.is_null()) {
        (true, true) => None,
        (false, true) => Some(handle::get(locker)?.locker.to_ref()?),
        (true, false) => Some(handle::get(profile)?.profile.to_ref()?),
        (false, false) => {
            let message = "both a locker and a profile are given";
            return Err(FfiError::new(SL_ERROR_INVALID_ARGUMENT, message));
        }
    })
}

/// The host's receipt as the library's own.
///
/// # Safety
/// `receipt` is NULL or points to a struct of any version, whose texts are as it says.
pub(crate) unsafe fn read_receipt(receipt: *const SlReceiptInfo) -> FfiResult<ReceiptInfo> {
    let receipt = config!(receipt);
    config::reserved("receipt.reserved", receipt.reserved)?;
    // SAFETY: as promised to this function.
    let purchase_id = unsafe {
        text(
            "receipt.purchase_id",
            receipt.purchase_id,
            receipt.purchase_id_length,
        )
    }?;
    let user_id = (receipt.user_id, receipt.user_id_length);
    // SAFETY: as promised to this function.
    let user_id = unsafe { optional_text("receipt.user_id", user_id) }?.unwrap_or_default();
    Ok(ReceiptInfo {
        purchase_id: purchase_id.into(),
        product_id: receipt.product_id,
        user_id: user_id.into(),
        place_id: receipt.place_id,
        currency_spent: receipt.currency_spent,
    })
}

/// The host's callback as the library's own.
pub(crate) fn purchase_callback(
    callback: SlPurchaseCallback,
    user_data: &Arc<UserData>,
) -> Option<PurchaseCallback> {
    let callback = callback?;
    let user_data = Arc::clone(user_data);
    Some(Box::new(move |is_granted| {
        // SAFETY: the host gave the function for this purpose and this user data.
        unsafe { callback(user_data.pointer(), is_granted.into()) }
    }))
}

/// Fills a receipt of `struct_size` bytes, `sizeof(SlReceiptInfo)`, with the defaults: no ids, and no
/// money spent. Any thread.
///
/// Errors: SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_locker_receipt_info_init(
    receipt: *mut SlReceiptInfo,
    struct_size: usize,
) -> SlStatus {
    // SAFETY: the export's own contract, rule 4 of `ffi`.
    boundary(|| unsafe { config::init("receipt", receipt, struct_size) })
}

/// Processes a purchase once the profile's save data is available, inside the store's updates, and
/// answers it once: the seed's `CallWhenProductIsProcessedAndSaved`. Call it for each receipt that the
/// platform brings, as often as it brings it: a purchase is applied once and granted each time.
/// That is so while the document remembers it: for at least seven days, and beyond them among the last
/// `purchase_history_limit` (100). With 10 000 that must be kept, further ones wait, which is reported.
///
/// It is granted when its effect, and the entry in the history, are in the storage. It is answered with
/// 0 when the session is over before that, or when it is a gift and the recipient cannot be given it now.
/// `callback` (may be NULL) hears the answer, and so does whoever hears the profile's events, by
/// SL_EVENT_PURCHASE.
///
/// `user_data` is that of `process` and of `callback`. When this returns SL_OK, it is the purchase's, and
/// `drop` ends it after the answer. Any thread; also inside callbacks.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT (`process`, the receipt, the length of
/// an id), SL_ERROR_INVALID_UTF8, SL_ERROR_NOT_ACTIVE (the profile is finished), SL_ERROR_LIMIT (65 536
/// purchases of the session's locker are not answered, or 65 536 events are unread), SL_ERROR_PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_call_when_product_is_processed_and_saved(
    profile: *const SlProfile,
    process: SlProductProcess,
    receipt: *const SlReceiptInfo,
    callback: SlPurchaseCallback,
    user_data: *mut c_void,
    drop: SlDrop,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(profile)?;
        let user_data = UserData::new(user_data, drop);
        let buyer = Buyer::Profile(Arc::clone(&object.handles), object.profile.id());
        let process = HostProcess::new(process, &user_data, buyer)?;
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        let receipt = unsafe { read_receipt(receipt) }?;
        let callback = purchase_callback(callback, &user_data);
        object
            .profile
            .call_when_product_is_processed_and_saved(process, receipt, callback)?;
        user_data.accept();
        Ok(())
    })
}

/// Processes a purchase, and updates the store until it is answered (1 or 0 in `was_granted`), for at
/// most `timeout` seconds: the seed's `YieldUntilProductIsProcessedAndSaved`. SL_EVENT_PURCHASE tells
/// the answer too. Blocks; for tools.
///
/// When this returns SL_OK or SL_ERROR_TIMEOUT, `user_data` is the purchase's, and `drop` ends it after
/// the answer; so it is when a bug in the library ends the wait, and `drop` may then have run. After a timeout the purchase goes on, and the receipt can be asked for again.
///
/// Errors: as for `profile_call_when_product_is_processed_and_saved`, and SL_ERROR_OUT_OF_RANGE (the
/// timeout), SL_ERROR_TIMEOUT, SL_ERROR_BUSY (an update, wait or drain of the store is under way).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn profile_wait_until_product_is_processed_and_saved(
    profile: *const SlProfile,
    process: SlProductProcess,
    receipt: *const SlReceiptInfo,
    user_data: *mut c_void,
    drop: SlDrop,
    timeout: f64,
    was_granted: *mut i32,
) -> SlStatus {
    boundary(|| {
        let object = handle::get(profile)?;
        let user_data = UserData::new(user_data, drop);
        let buyer = Buyer::Profile(Arc::clone(&object.handles), object.profile.id());
        let process = HostProcess::new(process, &user_data, buyer)?;
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        let receipt = unsafe { read_receipt(receipt) }?;
        let seconds = wait_seconds(timeout)?;
        let was_granted = out!(was_granted);
        let waited = object
            .profile
            .wait_for_purchase(process, receipt, seconds, || user_data.accept())?;
        was_granted.set(answer(waited, timeout)?);
        Ok(())
    })
}

/// What a wait for a purchase gives the host.
pub(crate) fn answer(waited: Option<bool>, timeout: f64) -> FfiResult<i32> {
    let is_granted = waited.ok_or_else(|| timed_out("the purchase was not answered", timeout))?;
    Ok(is_granted.into())
}
