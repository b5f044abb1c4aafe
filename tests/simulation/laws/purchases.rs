//! Law 6: a purchase is granted after its effect is stored on every key it touches, and applied once.
//! In each document an own purchase stands in `Purchases` if and only if it was applied, or is credit;
//! a gift stands in `Gifts` if and only if it was applied.

use crate::document::{self, Bought};
use crate::ids::PurchaseId;
use crate::ledger::{Ledger, Way};

use super::{Change, Stored};

/// What is read of a document's purchases: history and credit.
pub(super) type Read = (Vec<Bought>, Vec<(i64, i64)>);

impl Ledger {
    /// What the document has, where that has changed.
    pub(super) fn check_purchases(&mut self, change: &Change<'_>) -> Option<Read> {
        let (before, after) = (change.before, change.after);
        let purchases = document::text(after.purchases);
        let credit = document::text(after.product_credit);
        let gifts = document::text(after.gifts);
        let is_same = *before.purchases == *purchases
            && *before.product_credit == *credit
            && *before.gifts == *gifts
            && *before.applied == *after.applied.get()
            && *before.recorded == *after.recorded.get();
        if is_same {
            return None;
        }
        let (server, key) = (change.server, change.key);
        if change.is_sender {
            self.breaks(6, || {
                format!("{server}, which does not own {key}, has changed purchases")
            });
        }
        self.check_appended(change);
        let read = document::purchases(purchases)
            .zip(document::credit(credit))
            .zip(document::gifts(gifts));
        let Some(((history, credit), gifts)) = read else {
            self.breaks(6, || {
                format!("{server} has stored in {key} the purchases {purchases}")
            });
            return None;
        };
        self.check_gifts(change, &gifts);
        self.check_credit(change, &history, &credit);
        Some((history, credit))
    }

    /// What was applied or recorded anew, to whom it was to be, for the first time.
    fn check_appended(&mut self, change: &Change<'_>) {
        let (before, after) = (change.before, change.after);
        let (server, key, life) = (change.server, change.key, change.life);
        let applied = document::appended(&before.applied, after.applied.get());
        let recorded = document::appended(&before.recorded, after.recorded.get());
        let (Some(applied), Some(recorded)) = (applied, recorded) else {
            return self.breaks(6, || {
                format!("{server} has lost effects of purchases of {key}")
            });
        };
        for number in applied {
            let purchase = PurchaseId(number);
            let known = &mut self.purchases[purchase.index()];
            let is_gift = matches!(known.way, Way::Gift | Way::RefusedGift);
            self.counts.gifts_applied += u64::from(is_gift);
            let is_again = known.applied.replace(life) == Some(life);
            if known.recipient != key || is_again {
                self.breaks(6, || {
                    format!("{server} has applied {purchase} to {key}, again or wrongly")
                });
            }
        }
        for number in recorded {
            let purchase = PurchaseId(number);
            let known = &mut self.purchases[purchase.index()];
            let is_again = known.recorded.replace(life) == Some(life);
            if known.buyer != key || is_again {
                self.breaks(6, || {
                    format!("{server} has recorded {purchase} in {key}, again or wrongly")
                });
            }
        }
    }

    fn check_gifts(&mut self, change: &Change<'_>, gifts: &[i64]) {
        let (server, key, life) = (change.server, change.key, change.life);
        for (index, purchase) in self.purchases.iter().enumerate() {
            let is_gift = matches!(purchase.way, Way::Gift | Way::RefusedGift);
            if !is_gift || purchase.recipient != key {
                continue;
            }
            let noted = gifts.iter().filter(|gift| **gift == index as i64).count();
            let applied = usize::from(purchase.applied == Some(life));
            if noted != applied {
                let what = format!(
                    "{server} has stored {key} with purchase {index} noted {noted} times as a gift \
                     and applied {applied} times"
                );
                return self.breaks(6, || what);
            }
        }
    }

    fn check_credit(&mut self, change: &Change<'_>, history: &[Bought], credit: &[(i64, i64)]) {
        let (server, key, life) = (change.server, change.key, change.life);
        let mut broken = None;
        for (index, purchase) in self.purchases.iter_mut().enumerate() {
            if purchase.buyer != key {
                continue;
            }
            let is_this = |entry: &&Bought| entry.product == index as i64;
            let entries = history.iter().filter(is_this).count();
            let mine = credit.iter().find(|(product, _)| *product == index as i64);
            let credited = mine.map_or(0, |(_, count)| *count);
            let was_credited = change.before.has_credit(index);
            let is_applied = purchase.applied == Some(life);
            if credited > 0 && purchase.is_undone {
                broken = Some((
                    9,
                    format!("{server} has stored credit {index} of a failed hook"),
                ));
            }
            if credited > 0 && !was_credited {
                self.counts.credits_given += 1;
                purchase.credited = Some(life);
            }
            if was_credited && credited == 0 {
                self.counts.credits_used += 1;
            }
            let has = credited + i64::from(is_applied);
            let is_right = match purchase.way {
                Way::Gift | Way::RefusedGift => entries <= 1 && credited == 0,
                Way::Own => entries as i64 == has && entries <= 1 && credited == 0,
                Way::Credited | Way::Refused => entries as i64 == has && entries <= 1,
                Way::Given => has <= 1 && (has == 1 || !was_credited),
            };
            if !is_right {
                let what = format!(
                    "{server} has stored {key} with purchase {index} ({:?}) noted {entries} times, \
                     credited {credited} times, applied {is_applied}",
                    purchase.way
                );
                broken = Some((6, what));
            }
        }
        if let Some((law, what)) = broken {
            self.breaks(law, || what);
        }
    }

    /// It is granted: its effect is stored. What was erased cannot be asked any more.
    pub(crate) fn check_granted(&mut self, id: PurchaseId) {
        let purchase = &self.purchases[id.index()];
        if purchase.is_forgotten {
            return;
        }
        let life = |key: crate::ids::Key| self.keys[key.index()].life;
        let is_applied = purchase.applied == Some(life(purchase.recipient));
        let is_credited = purchase.credited == Some(life(purchase.buyer));
        let is_noted = self
            .stored(purchase.buyer)
            .is_some_and(|stored| stored.has_done(id.index()));
        let is_stored = match purchase.way {
            Way::Gift | Way::RefusedGift => is_applied,
            _ => is_applied || is_credited,
        };
        if !is_stored || !is_noted {
            let (buyer, recipient, way) = (purchase.buyer, purchase.recipient, purchase.way);
            self.breaks(6, || {
                format!(
                    "{id} ({way:?}) of {buyer} for {recipient} is granted, but applied {is_applied}, \
                     credited {is_credited}, noted {is_noted}"
                )
            });
        }
    }

    /// At the end, when every receipt has come again: all are granted, each with one effect.
    pub fn check_all_granted(&mut self) {
        for index in 0..self.purchases.len() {
            let purchase = &self.purchases[index];
            let is_bought = purchase.is_asked && purchase.way != Way::Given;
            let life = self.keys[purchase.recipient.index()].life;
            let has_effect = purchase.applied == Some(life);
            let what = match () {
                () if !is_bought => continue,
                () if !purchase.is_granted => "is never granted",
                () if purchase.is_forgotten || has_effect => continue,
                () => "is granted and has no effect",
            };
            self.breaks(6, || format!("{} {what}", PurchaseId(index as u32)));
        }
    }
}

impl Stored {
    fn has_credit(&self, index: usize) -> bool {
        let mut credit = self.credit.iter();
        credit.any(|(product, _)| *product == index as i64)
    }

    /// In the history, and not as a gift that is under way.
    fn has_done(&self, index: usize) -> bool {
        let mut history = self.history.iter();
        history.any(|entry| entry.product == index as i64 && !entry.is_marked)
    }
}
