//! The rules of a document's `Purchases` and `Gifts`: what is in them, what is added, and what may
//! be dropped to make room.

use std::sync::Arc;

use crate::save_data::{Bought, Gift, Purchase, PurchaseMark, Purchases, SaveData};

use super::ReceiptInfo;

/// Entries younger than this are kept, in seconds: so long may a receipt come again.
const KEPT_S: f64 = 7.0 * 86_400.0;

/// Entries that must not be dropped may be so many; then new purchases wait.
const KEPT_MAX: usize = 10_000;

/// Gifts beyond this many are dropped, once they are old.
pub(super) const GIFTS_MAX: usize = 10_000;

/// What a document knows of a purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Nothing,
    /// It has been applied, or has become credit.
    Done,
    /// It is a gift that has not arrived, as far as this document knows.
    Marked(PurchaseMark),
}

/// What decides which entries stay.
pub(super) struct Keep<'a> {
    /// `purchase_history_limit`.
    pub limit: usize,
    /// Unix seconds.
    pub wall: f64,
    /// The receipts that are not answered yet.
    pub unanswered: &'a [Arc<ReceiptInfo>],
}

impl Keep<'_> {
    /// Whether the entry at this place may be dropped.
    fn may_go(&self, entries: &Purchases, place: usize) -> bool {
        let is_old = self.wall - entries.at(place) >= KEPT_S;
        is_old && !entries.is_marked(place) && !self.is_unanswered(entries, place)
    }

    fn is_unanswered(&self, entries: &Purchases, place: usize) -> bool {
        let entry = entries.get(place).filter(|_| !self.unanswered.is_empty());
        entry.is_some_and(|entry| {
            let is_of = |receipt: &Arc<ReceiptInfo>| {
                entry.product_id == receipt.product_id && entry.purchase_id == *receipt.purchase_id
            };
            self.unanswered.iter().any(is_of)
        })
    }
}

pub(super) fn find(data: &SaveData, receipt: &ReceiptInfo) -> Known {
    let entries = &data.reserved().purchases;
    let Some(place) = entries.find(receipt.product_id, &receipt.purchase_id) else {
        return Known::Nothing;
    };
    let marked = entries.get(place).filter(|_| entries.is_marked(place));
    match marked.and_then(|entry| entry.mark) {
        None => Known::Done,
        Some(mark) => Known::Marked(mark),
    }
}

/// Whether one more entry can be kept.
pub(super) fn has_room(data: &SaveData, keep: &Keep<'_>) -> bool {
    let entries = &data.reserved().purchases;
    let count = entries.len();
    count < KEPT_MAX.max(keep.limit) || (0..count).any(|place| keep.may_go(entries, place))
}

/// Adds an entry, and drops the oldest of those that may go and are beyond the limit.
pub(super) fn add(
    data: &mut SaveData,
    receipt: &ReceiptInfo,
    mark: Option<PurchaseMark>,
    keep: &Keep<'_>,
) {
    let entries = &mut data.reserved_mut().purchases;
    let excess = (entries.len() + 1).saturating_sub(keep.limit);
    if excess > 0 {
        let may_go = |place: &usize| keep.may_go(entries, *place);
        let oldest: Vec<_> = (0..entries.len()).filter(may_go).take(excess).collect();
        entries.remove(&oldest);
    }
    entries.push(&Purchase {
        product_id: receipt.product_id,
        purchase_id: receipt.purchase_id.to_string(),
        at: keep.wall.floor(),
        mark,
    });
}

/// When the purchase was noted, in Unix seconds.
pub(super) fn noted_at(data: &SaveData, receipt: &ReceiptInfo) -> Option<f64> {
    let entries = &data.reserved().purchases;
    let place = entries.find(receipt.product_id, &receipt.purchase_id)?;
    Some(entries.at(place))
}

/// Names another recipient, or none, for that the gift has arrived.
pub(super) fn set_mark(data: &mut SaveData, receipt: &ReceiptInfo, mark: Option<PurchaseMark>) {
    let entries = &mut data.reserved_mut().purchases;
    if let Some(place) = entries.find(receipt.product_id, &receipt.purchase_id) {
        entries.set_mark(place, mark);
    }
}

/// Whether the gift of this purchaser was applied to this document's player. Of an entry that names
/// the purchase id alone, nobody can tell whose it was.
pub(super) fn has_gift(data: &SaveData, receipt: &ReceiptInfo, purchaser: &str) -> bool {
    let is_of =
        |bought: &Bought| bought.product_id == receipt.product_id && bought.purchaser == purchaser;
    let mut gifts = data.reserved().gifts.iter();
    gifts.any(|gift| {
        *gift.purchase_id == *receipt.purchase_id && gift.bought.as_ref().is_none_or(is_of)
    })
}

/// Whether a gift marked that long ago may have been applied and forgotten here, `data` being the
/// recipient's document.
pub(super) fn may_be_forgotten(data: &SaveData, marked_at: f64, wall: f64) -> bool {
    data.reserved().gifts.len() >= GIFTS_MAX && wall - marked_at >= KEPT_S
}

/// Notes that the gift was applied.
pub(super) fn add_gift(data: &mut SaveData, receipt: &ReceiptInfo, purchaser: &str, wall: f64) {
    let gifts = &mut data.reserved_mut().gifts;
    let mut excess = (gifts.len() + 1).saturating_sub(GIFTS_MAX);
    gifts.retain(|gift| {
        let goes = excess > 0 && wall - gift.at >= KEPT_S;
        excess -= usize::from(goes);
        !goes
    });
    gifts.push(Gift {
        purchase_id: receipt.purchase_id.to_string(),
        at: wall.floor(),
        bought: Some(Bought {
            product_id: receipt.product_id,
            purchaser: purchaser.to_owned(),
        }),
    });
}
