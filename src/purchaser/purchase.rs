//! One purchase, from the receipt to the answer.
//!
//! ```text
//!                       ┌────────── not saved, or the session is another's ───────────┐
//!                       ▼                                                             │
//!   asked ──────────► Asked ── own: apply and note it ──────────────► Saving ── saved: granted
//!                       │ │                                             ▲
//!                       │ └─ gift: mark it ─► Saving ─► Giving ─► Arriving ─► clear the mark
//!                       │                                 ▲         ▲
//!                       └─ marked before: ─ here ─────────┘         │
//!                                         └ elsewhere: Fetching ────┘
//! ```
//!
//! What happened is read from the documents alone at each step, so a step may be taken again after
//! a crash, on any server.

use std::cell::OnceCell;
use std::sync::Arc;

use crate::locker::{
    Event, Hold, HookAnswer, LockerRef, SaveOutcome, SavedConnection, SharedSaveData, Wake,
    add_credit, guarded,
};
use crate::save_data::{PurchaseMark, SaveData};
use crate::storage::{Fetched, Mailbox, Outcome, Reply, RequestId};

use super::history::{self, Keep, Known};
use super::{ProductProcess, PurchaseCallback, ReceiptInfo, Validation};

/// One purchase that is not answered yet.
pub(super) struct Purchase {
    /// Names it among all purchases: its request to the storage, and its hold.
    pub serial: u64,
    pub process: Arc<dyn ProductProcess>,
    pub receipt: Arc<ReceiptInfo>,
    pub callback: Option<PurchaseCallback>,
    /// Whatever its asker knows it by.
    pub tag: u64,
    /// There while a gift is under way: the purchaser's session goes on.
    hold: Option<Hold>,
    step: Step,
}

enum Step {
    /// To be looked at when the locker is available, but not before this time.
    Asked { from: f64 },
    /// What it has changed in the purchaser's document waits for the save, which begins, and gets
    /// its wait, when all purchases of the locker have been looked at.
    Saving {
        then: Then,
        wait: Option<SavedConnection>,
    },
    /// The mark is stored: the gift is to be applied to the recipient.
    Giving { recipient: LockerRef, from: f64 },
    /// The recipient's save is under way. At `until` the purchaser's session is not kept for it any
    /// more, if its host has given that up.
    Arriving {
        recipient: LockerRef,
        wait: SavedConnection,
        until: f64,
    },
    /// The record of a recipient that is not here is asked for.
    Fetching { key: Arc<str>, until: f64 },
    /// Whether that record has the gift.
    Fetched {
        key: Arc<str>,
        found: Result<bool, String>,
    },
}

enum Then {
    Grant,
    Give(LockerRef),
}

/// What is known while the purchases of one locker are looked at, and what comes of that.
pub(super) struct Pass<'a> {
    pub locker: &'a LockerRef,
    pub now: f64,
    /// Unix seconds, which nobody reads for a purchase that waits; see [`Pass::wall`].
    pub wall: OnceCell<f64>,
    pub is_gone: bool,
    pub is_available: bool,
    /// The receipts of all purchases of the locker that are not answered.
    pub unanswered: Vec<Arc<ReceiptInfo>>,
    /// How many purchases may still be begun, or looked up again, in this run.
    pub looks_left: &'a mut u32,
    /// Something waits for the purchaser's save.
    pub needs_save: bool,
    pub mailbox: &'a Arc<Mailbox>,
    pub wake: &'a dyn Fn() -> Wake,
}

/// What comes next for a purchase.
enum Next {
    /// Another step at once.
    Again,
    /// It waits.
    Wait,
    /// It is over.
    Answer(bool),
}

impl Pass<'_> {
    fn keep(&self) -> Keep<'_> {
        Keep {
            limit: self.locker.config().purchase_history_limit as usize,
            wall: self.wall(),
            unanswered: &self.unanswered,
        }
    }

    /// Unix seconds, the same for all purchases of the pass.
    fn wall(&self) -> f64 {
        *self.wall.get_or_init(|| self.locker.wall())
    }

    fn retry_at(&self) -> f64 {
        self.now + self.locker.config().session_retry_cooldown
    }

    /// A save and the fetch that settles it have been answered by then, or never will be.
    fn arrives_by(&self) -> f64 {
        self.now + 2.0 * self.locker.config().request_timeout
    }
}

impl Purchase {
    pub fn new(
        serial: u64,
        process: Arc<dyn ProductProcess>,
        receipt: ReceiptInfo,
        (callback, tag): (Option<PurchaseCallback>, u64),
    ) -> Self {
        Self {
            serial,
            process,
            receipt: Arc::new(receipt),
            callback,
            tag,
            hold: None,
            step: Step::Asked {
                from: f64::NEG_INFINITY,
            },
        }
    }

    /// When it is to be looked at again, unless it is woken before.
    pub fn look_at(&self) -> f64 {
        match self.step {
            Step::Asked { from } => from,
            Step::Arriving { until, .. } | Step::Fetching { until, .. } => until,
            // Before the time for another try, the purchaser may leave.
            Step::Giving { .. } | Step::Fetched { .. } => f64::NEG_INFINITY,
            Step::Saving { .. } => f64::INFINITY,
        }
    }

    /// Whether it waits to be begun.
    pub fn is_asked(&self) -> bool {
        matches!(self.step, Step::Asked { .. })
    }

    pub fn is_fetching(&self) -> bool {
        matches!(self.step, Step::Fetching { .. })
    }

    /// The save for which this purchase may have waited has begun, or cannot begin.
    pub fn save_begun(&mut self, begun: Option<&SavedConnection>, now: f64) {
        let Step::Saving { wait, .. } = &mut self.step else {
            return;
        };
        match begun {
            Some(begun) if wait.is_none() => *wait = Some(begun.clone()),
            None if wait.is_none() => self.restart(now),
            _ => {}
        }
    }

    /// The storage has answered; a reply that nobody waits for is dropped.
    pub fn handle_reply(&mut self, reply: Reply, locker: &LockerRef) {
        if let Step::Fetching { key, .. } = &self.step {
            let key = Arc::clone(key);
            let found = has_gift(reply, &self.receipt, locker);
            self.step = Step::Fetched { key, found };
        }
    }

    /// Goes as far as it can; the answer, if it has come so far.
    pub fn go_on(&mut self, pass: &mut Pass<'_>) -> Option<bool> {
        loop {
            match self.advance(pass) {
                Next::Again => {}
                Next::Wait => return None,
                Next::Answer(is_granted) => return Some(is_granted),
            }
        }
    }

    fn advance(&mut self, pass: &mut Pass<'_>) -> Next {
        match &self.step {
            Step::Saving {
                wait: Some(wait), ..
            } if wait.outcome().is_some() => self.saved(pass),
            _ if pass.is_gone => Next::Answer(false),
            Step::Asked { from }
                if pass.is_available && *from <= pass.now && *pass.looks_left > 0 =>
            {
                *pass.looks_left -= 1;
                self.look(pass)
            }
            Step::Giving { recipient, from } => {
                let (recipient, from) = (recipient.clone(), *from);
                self.give(&recipient, from, pass)
            }
            Step::Arriving {
                recipient,
                wait,
                until,
            } => match wait.outcome() {
                Some(SaveOutcome::Saved) => self.arrived(pass),
                Some(_) => self.restart_again(pass),
                None if recipient.is_gone() => self.restart_again(pass),
                None if *until > pass.now => Next::Wait,
                None => self.arriving_late(pass),
            },
            Step::Fetching { until, .. } if *until <= pass.now => {
                let timeout = pass.locker.config().request_timeout;
                self.report(
                    pass,
                    &format!("the recipient's record was not read within {timeout} s"),
                );
                Next::Answer(false)
            }
            Step::Fetched { key, found } => {
                let (key, found) = (Arc::clone(key), found.clone());
                self.fetched(&key, found, pass)
            }
            Step::Asked { .. } | Step::Saving { .. } | Step::Fetching { .. } => Next::Wait,
        }
    }

    /// The save of the purchaser's document has ended.
    fn saved(&mut self, pass: &Pass<'_>) -> Next {
        let Step::Saving { then, wait } = &self.step else {
            return Next::Wait;
        };
        let outcome = wait.as_ref().and_then(SavedConnection::outcome);
        match (outcome, then) {
            (Some(SaveOutcome::Saved), Then::Grant) => Next::Answer(true),
            (Some(SaveOutcome::Saved), Then::Give(recipient)) => {
                let (recipient, from) = (recipient.clone(), pass.now);
                self.step = Step::Giving { recipient, from };
                Next::Again
            }
            _ => self.restart_again(pass),
        }
    }

    /// The locker is available: its document tells how far the purchase has come.
    fn look(&mut self, pass: &mut Pass<'_>) -> Next {
        let known = read(pass.locker, |data| history::find(data, &self.receipt));
        match known {
            Known::Nothing => self.begin(pass),
            Known::Done if pass.needs_save || pass.locker.has_unsaved_changes() => {
                self.wait_for_save(Then::Grant, pass)
            }
            Known::Done => Next::Answer(true),
            Known::Marked(PurchaseMark::Recipient(key)) => self.resume(&key, pass),
            Known::Marked(PurchaseMark::Unnamed) => self.name_recipient(pass),
        }
    }

    fn begin(&mut self, pass: &mut Pass<'_>) -> Next {
        if !read(pass.locker, |data| history::has_room(data, &pass.keep())) {
            let message = "the purchase history is full of entries that must be kept";
            return self.failed(message, pass);
        }
        match self.validate() {
            Err(message) => self.failed(&format!("validate failed: {message}"), pass),
            Ok(Validation::NotApplicable) => self.credit(pass),
            Ok(Validation::NotNow) => Next::Answer(false),
            Ok(Validation::Own) => self.apply(pass),
            Ok(Validation::Gift(to)) if to.name() == pass.locker.name() => self.apply(pass),
            Ok(Validation::Gift(recipient)) => {
                if let Err(next) = self.check_recipient(&recipient, pass) {
                    return next;
                }
                let mark = PurchaseMark::Recipient(recipient.key().to_string());
                let keep = pass.keep();
                write(pass.locker, |data| {
                    history::add(data, &self.receipt, Some(mark), &keep);
                });
                self.marked(recipient, pass)
            }
        }
    }

    /// A mark of the original library does not say for whom the gift is, so the hook is asked.
    fn name_recipient(&mut self, pass: &mut Pass<'_>) -> Next {
        match self.validate() {
            Err(message) => self.failed(&format!("validate failed: {message}"), pass),
            Ok(Validation::Gift(recipient)) if recipient.name() != pass.locker.name() => {
                if let Err(next) = self.check_recipient(&recipient, pass) {
                    return next;
                }
                let mark = PurchaseMark::Recipient(recipient.key().to_string());
                write(pass.locker, |data| {
                    history::set_mark(data, &self.receipt, Some(mark));
                });
                self.marked(recipient, pass)
            }
            Ok(Validation::NotNow) => Next::Answer(false),
            Ok(_) => {
                self.report(
                    pass,
                    "it is marked as a gift, but nobody is named to get it",
                );
                Next::Answer(false)
            }
        }
    }

    fn validate(&self) -> Result<Validation, String> {
        super::validate(&*self.process, &self.receipt)
    }

    fn check_recipient(&self, recipient: &LockerRef, pass: &Pass<'_>) -> Result<(), Next> {
        if !Arc::ptr_eq(recipient.driver(), pass.locker.driver()) {
            self.report(pass, "the recipient is of another store or spec");
            return Err(Next::Answer(false));
        }
        if recipient.disables_apis() != pass.locker.disables_apis() {
            let message = "the recipient's session is stored elsewhere than the purchaser's";
            self.report(pass, message);
            return Err(Next::Answer(false));
        }
        if !recipient.is_available() {
            return Err(Next::Answer(false));
        }
        Ok(())
    }

    /// It cannot be applied, and is kept as credit.
    fn credit(&mut self, pass: &mut Pass<'_>) -> Next {
        let keep = pass.keep();
        let credited = write(pass.locker, |data| {
            add_credit(data, self.receipt.product_id, 1)?;
            history::add(data, &self.receipt, None, &keep);
            Ok::<_, crate::locker::CreditError>(())
        });
        match credited {
            Ok(()) => self.credited(pass),
            Err(error) => self.failed(&error.to_string(), pass),
        }
    }

    fn credited(&mut self, pass: &mut Pass<'_>) -> Next {
        let product_id = self.receipt.product_id;
        let change = 1;
        pass.locker
            .tell(Event::ProductCreditChanged { product_id, change });
        self.noted(pass)
    }

    /// Applies it to the purchaser's own document; the entry appears with the effect.
    fn apply(&mut self, pass: &mut Pass<'_>) -> Next {
        let keep = pass.keep();
        let receipt = &self.receipt;
        let mut overflow = None;
        let answer = run(
            pass.locker.save_data(),
            self.apply_hook(pass.locker),
            |data, result| {
                let credited = match result {
                    Ok(HookAnswer::Applied) => Ok(()),
                    Ok(HookAnswer::NotApplicable) => add_credit(data, receipt.product_id, 1),
                    Err(_) => return,
                };
                match credited {
                    Ok(()) => history::add(data, receipt, None, &keep),
                    Err(error) => overflow = Some(error.to_string()),
                }
            },
        );
        match (answer, overflow) {
            (Err(message), _) => self.failed(&format!("apply failed: {message}"), pass),
            (Ok(_), Some(message)) => self.failed(&message, pass),
            (Ok(HookAnswer::Applied), None) => self.noted(pass),
            (Ok(HookAnswer::NotApplicable), None) => self.credited(pass),
        }
    }

    fn apply_hook<'a>(
        &'a self,
        to: &'a LockerRef,
    ) -> impl FnOnce() -> Result<HookAnswer, String> + use<'a> {
        || self.process.apply(&self.receipt, to.save_data())
    }

    /// It stands in the purchaser's history, and is granted once that is saved.
    fn noted(&mut self, pass: &mut Pass<'_>) -> Next {
        let data = pass.locker.save_data();
        let record = || {
            let recorded = self.process.record(&self.receipt, data);
            recorded.map(|()| HookAnswer::Applied)
        };
        if let Err(message) = run(data, record, |_, _| {}) {
            self.report(pass, &format!("record failed: {message}"));
        }
        self.wait_for_save(Then::Grant, pass)
    }

    /// It stands in the purchaser's history as a gift that has not arrived.
    fn marked(&mut self, recipient: LockerRef, pass: &mut Pass<'_>) -> Next {
        self.hold(pass);
        self.wait_for_save(Then::Give(recipient), pass)
    }

    /// The document says for whom the gift is, but not whether it has arrived.
    fn resume(&mut self, key: &str, pass: &mut Pass<'_>) -> Next {
        self.hold(pass);
        match present(key, pass) {
            Some(recipient) => self.give_marked(recipient, pass),
            None => {
                let mailbox = Arc::clone(pass.mailbox);
                if !pass.locker.fetch(key, RequestId(self.serial), mailbox) {
                    self.restart(pass.now);
                    return Next::Wait;
                }
                let until = pass.now + pass.locker.config().request_timeout;
                let key = key.into();
                self.step = Step::Fetching { key, until };
                Next::Wait
            }
        }
    }

    fn fetched(&mut self, key: &str, found: Result<bool, String>, pass: &mut Pass<'_>) -> Next {
        match found {
            Ok(true) => self.arrived(pass),
            Ok(false) => match present(key, pass) {
                Some(recipient) => self.give_marked(recipient, pass),
                None => Next::Answer(false),
            },
            Err(message) => {
                self.report(pass, &format!("the recipient's record: {message}"));
                Next::Answer(false)
            }
        }
    }

    /// The mark may have been noted just now: it is stored before the gift is applied.
    fn give_marked(&mut self, recipient: LockerRef, pass: &mut Pass<'_>) -> Next {
        if pass.needs_save || pass.locker.has_unsaved_changes() {
            return self.wait_for_save(Then::Give(recipient), pass);
        }
        let from = pass.now;
        self.step = Step::Giving { recipient, from };
        Next::Again
    }

    /// Applies the gift to its recipient, unless that has been done.
    fn give(&mut self, recipient: &LockerRef, from: f64, pass: &mut Pass<'_>) -> Next {
        let known = read(pass.locker, |data| history::find(data, &self.receipt));
        let is_marked = matches!(known, Known::Marked(_));
        if !pass.is_available || !is_marked {
            return self.restart_again(pass);
        }
        if !recipient.is_available() {
            return Next::Answer(false);
        }
        let purchaser = pass.locker.key();
        if !read(recipient, |data| {
            history::has_gift(data, &self.receipt, purchaser)
        }) {
            if from > pass.now {
                // An ended session is not kept for a hook that fails.
                let goes_on = pass.locker.is_wanted();
                return if goes_on {
                    Next::Wait
                } else {
                    Next::Answer(false)
                };
            }
            let receipt = &self.receipt;
            let wall = pass.wall();
            let marked_at = read(pass.locker, |data| history::noted_at(data, receipt));
            if marked_at
                .is_some_and(|at| read(recipient, |data| history::may_be_forgotten(data, at, wall)))
            {
                return self.forgotten(pass);
            }
            let hook = self.apply_hook(recipient);
            let answer = run(recipient.save_data(), hook, |data, result| {
                if let Ok(HookAnswer::Applied) = result {
                    history::add_gift(data, receipt, purchaser, wall);
                }
            });
            match answer {
                Ok(HookAnswer::Applied) => recipient.mark_should_save(),
                Ok(HookAnswer::NotApplicable) => return Next::Answer(false),
                Err(message) => {
                    self.report(pass, &format!("apply failed: {message}"));
                    let (recipient, from) = (recipient.clone(), pass.retry_at());
                    self.step = Step::Giving { recipient, from };
                    return Next::Again;
                }
            }
        }
        if !recipient.has_unsaved_changes() {
            return self.arrived(pass);
        }
        match recipient.save((pass.wake)()) {
            Ok(wait) => {
                let recipient = recipient.clone();
                self.step = Step::Arriving {
                    recipient,
                    wait,
                    until: pass.arrives_by(),
                };
                Next::Wait
            }
            Err(_) => Next::Answer(false),
        }
    }

    /// It may have been applied, but nobody can tell any more.
    fn forgotten(&self, pass: &Pass<'_>) -> Next {
        let max = history::GIFTS_MAX;
        self.report(
            pass,
            &format!(
                "its mark is older than what the recipient, who has had {max} gifts, remembers"
            ),
        );
        Next::Answer(false)
    }

    /// The recipient's save takes its time, for instance because a hook of the recipient's fails.
    fn arriving_late(&mut self, pass: &Pass<'_>) -> Next {
        if let (true, Step::Arriving { until, .. }) = (pass.locker.is_wanted(), &mut self.step) {
            *until = pass.arrives_by();
            return Next::Wait;
        }
        Next::Answer(false)
    }

    /// The gift is in the recipient's record: the mark goes.
    fn arrived(&mut self, pass: &mut Pass<'_>) -> Next {
        let known = read(pass.locker, |data| history::find(data, &self.receipt));
        if !pass.is_available || known == Known::Nothing {
            return self.restart_again(pass);
        }
        if known == Known::Done {
            return self.wait_for_save(Then::Grant, pass);
        }
        write(pass.locker, |data| {
            history::set_mark(data, &self.receipt, None);
        });
        self.noted(pass)
    }

    fn hold(&mut self, pass: &Pass<'_>) {
        self.hold = pass.locker.hold(self.serial).ok();
    }

    fn wait_for_save(&mut self, then: Then, pass: &mut Pass<'_>) -> Next {
        pass.needs_save = true;
        self.step = Step::Saving { then, wait: None };
        Next::Wait
    }

    fn failed(&mut self, message: &str, pass: &Pass<'_>) -> Next {
        self.report(pass, message);
        let from = pass.retry_at();
        self.step = Step::Asked { from };
        Next::Wait
    }

    fn restart_again(&mut self, pass: &Pass<'_>) -> Next {
        self.restart(pass.now);
        Next::Again
    }

    /// Whatever was done is in a document, or is not.
    fn restart(&mut self, from: f64) {
        self.hold = None;
        self.step = Step::Asked { from };
    }

    fn report(&self, pass: &Pass<'_>, message: &str) {
        let ReceiptInfo {
            purchase_id,
            product_id,
            ..
        } = &*self.receipt;
        let message = format!("purchase {purchase_id} of product {product_id}: {message}");
        pass.locker.report_purchase(*product_id, message);
    }
}

/// Runs a hook that is undone unless it applies; a panic in it is a failure.
pub(super) fn run(
    data: &SharedSaveData,
    hook: impl FnOnce() -> Result<HookAnswer, String>,
    settle: impl FnOnce(&mut SaveData, &Result<HookAnswer, String>),
) -> Result<HookAnswer, String> {
    data.with_restorable_hook(|| guarded(hook), settle)
}

/// The recipient with this key, if a gift of this purchaser's can be applied to it now.
fn present(key: &str, pass: &Pass<'_>) -> Option<LockerRef> {
    let recipient = pass.locker.live(key)?;
    let is_stored_alike = recipient.disables_apis() == pass.locker.disables_apis();
    (is_stored_alike && recipient.is_available()).then_some(recipient)
}

fn read<R>(locker: &LockerRef, read: impl FnOnce(&SaveData) -> R) -> R {
    locker.save_data().with(|data, _| read(data))
}

/// The library's own write: nobody's hook runs, for the locker's driver is held.
fn write<R>(locker: &LockerRef, write: impl FnOnce(&mut SaveData) -> R) -> R {
    locker.save_data().with(|data, _| write(data))
}

/// Whether the fetched record of a recipient has the gift of this purchaser.
fn has_gift(reply: Reply, receipt: &ReceiptInfo, purchaser: &LockerRef) -> Result<bool, String> {
    let limit_bytes = purchaser.config().document_limit_bytes;
    match reply.result {
        Ok(Outcome::Fetched(Fetched::Absent { .. })) => Ok(false),
        Ok(Outcome::Fetched(Fetched::Present { bytes, .. })) => {
            let record = SaveData::parse(bytes, limit_bytes).map_err(|error| error.to_string())?;
            Ok(history::has_gift(&record, receipt, purchaser.key()))
        }
        Ok(other) => Err(format!(
            "the storage engine answered a fetch with {other:?}"
        )),
        Err(error) => Err(error.message),
    }
}
