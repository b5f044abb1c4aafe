//! The rules of a document's `Purchases` and `Gifts`: what is in them, what is added, and what may
//! be dropped to make room.

use crate::save_data::{Gift, Purchase, PurchaseMark, SaveData};

use super::ReceiptInfo;

/// Entries younger than this are kept, in seconds: so long may a receipt come again.
const KEPT_S: f64 = 7.0 * 86_400.0;

/// Entries that must not be dropped may be so many; then new purchases wait.
const KEPT_MAX: usize = 10_000;

/// Gifts beyond this many are dropped, once they are old.
const GIFTS_MAX: usize = 1000;

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
    pub unanswered: &'a [std::sync::Arc<ReceiptInfo>],
}

impl Keep<'_> {
    fn may_go(&self, entry: &Purchase) -> bool {
        let is_old = self.wall - entry.at >= KEPT_S;
        is_old
            && entry.mark.is_none()
            && !self.unanswered.iter().any(|receipt| is_of(entry, receipt))
    }
}

pub(super) fn find(data: &SaveData, receipt: &ReceiptInfo) -> Known {
    let mut entries = data.reserved().purchases.iter();
    match entries.find(|entry| is_of(entry, receipt)) {
        None => Known::Nothing,
        Some(Purchase { mark: None, .. }) => Known::Done,
        Some(Purchase {
            mark: Some(mark), ..
        }) => Known::Marked(mark.clone()),
    }
}

/// Whether one more entry can be kept.
pub(super) fn has_room(data: &SaveData, keep: &Keep<'_>) -> bool {
    let entries = &data.reserved().purchases;
    entries.len() < KEPT_MAX.max(keep.limit) || entries.iter().any(|entry| keep.may_go(entry))
}

/// Adds an entry, and drops the oldest of those that may go and are beyond the limit.
pub(super) fn add(
    data: &mut SaveData,
    receipt: &ReceiptInfo,
    mark: Option<PurchaseMark>,
    keep: &Keep<'_>,
) {
    let entries = &mut data.reserved_mut().purchases;
    drop_oldest(entries, keep.limit, |entry| keep.may_go(entry));
    entries.push(Purchase {
        product_id: receipt.product_id,
        purchase_id: receipt.purchase_id.to_string(),
        at: keep.wall.floor(),
        mark,
    });
}

/// Names another recipient, or none, for that the gift has arrived.
pub(super) fn set_mark(data: &mut SaveData, receipt: &ReceiptInfo, mark: Option<PurchaseMark>) {
    let mut entries = data.reserved_mut().purchases.iter_mut();
    if let Some(entry) = entries.find(|entry| is_of(entry, receipt)) {
        entry.mark = mark;
    }
}

/// Whether the gift was applied to this document's player.
pub(super) fn has_gift(data: &SaveData, receipt: &ReceiptInfo) -> bool {
    let mut gifts = data.reserved().gifts.iter();
    gifts.any(|gift| *gift.purchase_id == *receipt.purchase_id)
}

/// Notes that the gift was applied.
pub(super) fn add_gift(data: &mut SaveData, receipt: &ReceiptInfo, wall: f64) {
    let gifts = &mut data.reserved_mut().gifts;
    drop_oldest(gifts, GIFTS_MAX, |gift| wall - gift.at >= KEPT_S);
    gifts.push(Gift {
        purchase_id: receipt.purchase_id.to_string(),
        at: wall.floor(),
    });
}

/// Makes room for one more entry within the limit, by dropping the oldest of those that may go.
fn drop_oldest<T>(entries: &mut Vec<T>, limit: usize, may_go: impl Fn(&T) -> bool) {
    let excess = (entries.len() + 1).saturating_sub(limit);
    if excess == 0 {
        return;
    }
    match (excess, entries.iter().position(&may_go)) {
        (_, None) => {}
        // As a rule: the history is full, and its oldest entry makes room.
        (1, Some(first)) => drop(entries.remove(first)),
        (mut left, _) => entries.retain(|entry| {
            let goes = left > 0 && may_go(entry);
            left -= usize::from(goes);
            !goes
        }),
    }
}

fn is_of(entry: &Purchase, receipt: &ReceiptInfo) -> bool {
    entry.product_id == receipt.product_id && *entry.purchase_id == *receipt.purchase_id
}
