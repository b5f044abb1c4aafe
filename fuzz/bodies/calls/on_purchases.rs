//! Steps on purchases: a profile's, a locker's, and those that nobody makes.

use session_locker::ffi::*;

use super::arguments::{IDS, Out, Struct, Text, integer, number};
use super::check::{ARGUMENT, Begun, TEXT, call};
use super::hooks;
use super::on_save_data::{destroyed, ending, kept};
use super::on_store::{UPDATE, finite, moment};
use super::script::Frame;
use super::steps::Step;
use super::world::{NOTHING, Picked, Token, pick, pick_or_none};

pub const STEPS: &[Step] = &[
    of_profile,
    wait_of_profile,
    create_purchaser,
    update,
    has_incomplete,
    of_locker,
    wait_of_locker,
    destroy_purchaser,
    from_receipt,
    from_ids,
    validate,
    apply,
    use_credit,
    destroy_pending,
];

/// A receipt, with the texts that it points to.
struct Receipt {
    _id: Text,
    _user: Text,
    table: Struct<SlReceiptInfo>,
}

impl Receipt {
    fn draw(frame: &mut Frame) -> Self {
        let (id, user) = (Text::draw(frame, &IDS), Text::maybe(frame, &IDS));
        let mut table = Struct::new(session_locker_receipt_info_init);
        let receipt = table.get();
        (receipt.purchase_id, receipt.purchase_id_length) = (id.data(), id.length());
        (receipt.user_id, receipt.user_id_length) = (user.data(), user.length());
        receipt.product_id = integer(frame);
        table.spoil(frame);
        Self {
            _id: id,
            _user: user,
            table,
        }
    }
}

/// A function that processes products; seldom none.
fn process(frame: &mut Frame) -> SlProductProcess {
    (!frame.seldom(64)).then_some(hooks::process as _)
}

const ASK: &[SlStatus] = &[
    SL_ERROR_INVALID_ARGUMENT,
    SL_ERROR_INVALID_UTF8,
    SL_ERROR_NOT_ACTIVE,
    SL_ERROR_LIMIT,
];

const WAIT: &[SlStatus] = &[SL_ERROR_OUT_OF_RANGE, SL_ERROR_TIMEOUT, SL_ERROR_BUSY];

pub fn of_profile(frame: &mut Frame) {
    let (profile, process) = (pick::<SlProfile>(frame), process(frame));
    let mut receipt = Receipt::draw(frame);
    let is_heard = !frame.seldom(4);
    let token = Token::new("a purchase", true, is_heard);
    let callback: SlPurchaseCallback = is_heard.then_some(hooks::purchased as _);
    let status = call!(profile_call_when_product_is_processed_and_saved(profile; process,
        receipt.table.place(), callback, token.user_data(), Some(hooks::end);) or &[ASK]);
    token.settle(status == SL_OK);
}

fn wait_of_profile(frame: &mut Frame) {
    let (profile, process) = (pick::<SlProfile>(frame), process(frame));
    let mut receipt = Receipt::draw(frame);
    let timeout = finite(number(frame));
    let token = Token::new("a purchase waited for", true, false);
    let mut was_granted = Out::<i32>::draw(frame);
    let status = call!(profile_wait_until_product_is_processed_and_saved(profile; process,
        receipt.table.place(), token.user_data(), Some(hooks::end), timeout; was_granted)
        or &[ASK, WAIT]);
    token.settle(matches!(status, SL_OK | SL_ERROR_TIMEOUT));
}

pub fn create_purchaser(frame: &mut Frame) {
    let mut purchaser = Out::<*mut SlProductPurchaser>::draw(frame);
    let status = call!(product_purchaser_create(;; purchaser) or &[ARGUMENT]);
    kept(&purchaser, status, 0, NOTHING);
}

pub fn update(frame: &mut Frame) {
    let purchaser = pick::<SlProductPurchaser>(frame);
    let now = moment(frame);
    call!(product_purchaser_update(purchaser; now;) or &[UPDATE]);
}

fn has_incomplete(frame: &mut Frame) {
    let purchaser = pick::<SlProductPurchaser>(frame);
    let mut has_incomplete = Out::<i32>::draw(frame);
    call!(product_purchaser_has_incomplete_purchases(purchaser;; has_incomplete) or &[ARGUMENT]);
}

pub fn of_locker(frame: &mut Frame) {
    let (purchaser, locker) = (pick::<SlProductPurchaser>(frame), pick::<SlLocker>(frame));
    let process = process(frame);
    let mut receipt = Receipt::draw(frame);
    let is_heard = !frame.seldom(4);
    let token = Token::new("a locker's purchase", true, is_heard);
    let callback: SlPurchaseCallback = is_heard.then_some(hooks::purchased as _);
    let status = call!(product_purchaser_call_when_product_is_processed_and_saved(purchaser,
        locker; process, receipt.table.place(), callback, token.user_data(), Some(hooks::end);)
        or &[ASK]);
    token.settle(status == SL_OK);
}

fn wait_of_locker(frame: &mut Frame) {
    let (purchaser, locker) = (pick::<SlProductPurchaser>(frame), pick::<SlLocker>(frame));
    let process = process(frame);
    let mut receipt = Receipt::draw(frame);
    let timeout = finite(number(frame));
    let token = Token::new("a locker's purchase waited for", true, false);
    let mut was_granted = Out::<i32>::draw(frame);
    let status = call!(product_purchaser_wait_until_product_is_processed_and_saved(purchaser,
        locker; process, receipt.table.place(), token.user_data(), Some(hooks::end), timeout;
        was_granted) or &[ASK, WAIT]);
    token.settle(matches!(status, SL_OK | SL_ERROR_TIMEOUT));
}

fn destroy_purchaser(frame: &mut Frame) {
    let purchaser = pick::<SlProductPurchaser>(frame);
    end_purchaser(&purchaser);
}

/// Frees a purchaser, which answers what is left with no.
pub fn end_purchaser(purchaser: &Picked<SlProductPurchaser>) {
    ending(purchaser);
    let status = call!(product_purchaser_destroy(purchaser;;) or &[]);
    destroyed(purchaser, status);
}

fn from_receipt(frame: &mut Frame) {
    let process = process(frame);
    let mut receipt = Receipt::draw(frame);
    let token = Token::new("a purchase that nobody makes", true, false);
    let mut pending = Out::<*mut SlPendingProductPurchase>::draw(frame);
    let status = call!(pending_product_purchase_from_receipt(; process, receipt.table.place(),
        token.user_data(), Some(hooks::end); pending) or &[TEXT]);
    token.settle(status == SL_OK);
    kept(&pending, status, 0, token.0);
}

pub fn from_ids(frame: &mut Frame) {
    let (process, product) = (process(frame), integer(frame));
    let user = Text::maybe(frame, &IDS);
    let token = Token::new("a purchase that nobody makes", true, false);
    let mut pending = Out::<*mut SlPendingProductPurchase>::draw(frame);
    let status = call!(pending_product_purchase_from_ids(; process, product, user.data(),
        user.length(), token.user_data(), Some(hooks::end); pending) or &[TEXT]);
    token.settle(status == SL_OK);
    kept(&pending, status, 0, token.0);
}

const BY_HAND: &[SlStatus] = &[
    SL_ERROR_INVALID_ARGUMENT,
    SL_ERROR_NOT_ACTIVE,
    SL_ERROR_HOOK,
];

fn validate(frame: &mut Frame) {
    let pending = pick::<SlPendingProductPurchase>(frame);
    let (locker, profile) = (
        pick_or_none::<SlLocker>(frame),
        pick_or_none::<SlProfile>(frame),
    );
    let mut is_applicable = Out::<i32>::draw(frame);
    call!(pending_product_purchase_validate(pending, locker, profile;; is_applicable)
        or &[BY_HAND]);
}

fn apply(frame: &mut Frame) {
    let pending = pick::<SlPendingProductPurchase>(frame);
    let (locker, profile) = (
        pick_or_none::<SlLocker>(frame),
        pick_or_none::<SlProfile>(frame),
    );
    let mut was_applied = Out::<i32>::draw(frame);
    call!(pending_product_purchase_apply(pending, locker, profile;; was_applied)
        or &[BY_HAND, &[SL_ERROR_NOT_LOADED, SL_ERROR_BUSY]]);
}

fn use_credit(frame: &mut Frame) {
    let pending = pick::<SlPendingProductPurchase>(frame);
    let (locker, profile) = (
        pick_or_none::<SlLocker>(frame),
        pick_or_none::<SlProfile>(frame),
    );
    let mut was_applied = Out::<i32>::draw(frame);
    call!(pending_product_purchase_use_credit(pending, locker, profile;; was_applied)
        or &[BY_HAND, &[SL_ERROR_NOT_LOADED, SL_ERROR_BUSY, SL_ERROR_UNSUPPORTED]]);
}

fn destroy_pending(frame: &mut Frame) {
    let pending = pick::<SlPendingProductPurchase>(frame);
    ending(&pending);
    let status = call!(pending_product_purchase_destroy(pending;;) or &[]);
    destroyed(&pending, status);
}
