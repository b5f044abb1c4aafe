//! What a C host has asked for, and how it is answered: each once.
//!
//! Answers are heard in both ways there are: by what was given to the call, or by an event, by turns.
//! Where an event is to bring the answer, the callback's is put by until it comes.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use session_locker::ffi::*;

use super::call::{Handle, c, callback, get, handle, lent_text, must, must_get};
use super::desk::Desk;
use super::user_data::{UserData, behind, drop_user_data, hand_over, take_back};
use crate::ids::{AskId, Key, SendId, WaitId};
use crate::server::{Receipt, SendAnswer, WaitAnswer};

/// What is not answered, or of what the game has not been told.
#[derive(Default)]
pub struct Answers {
    waits: BTreeMap<WaitId, Waiting>,
    /// Nobody waits for these any more, and the host has kept their handles: it must not hear of them.
    given_up: Vec<(WaitId, Handle<SlSavedConnection>)>,
    /// The sends whose events have the answer, with it once the callback has brought it.
    sends: BTreeMap<u64, (SendId, Option<SendAnswer>)>,
    /// By key and purchase id: what callbacks have brought and events are to tell.
    purchases: BTreeMap<(Key, String), VecDeque<Bought>>,
}

/// A wait, of which the host has the handle.
#[derive(Clone)]
struct Waiting {
    wait: WaitId,
    handle: Handle<SlSavedConnection>,
    /// None: the event brings the answer.
    callback: Option<Arc<Once<WaitId>>>,
}

impl Waiting {
    /// The answer, if there is one.
    fn outcome(&self) -> Option<WaitAnswer> {
        let connection = self.handle.get();
        let known = must_get(SL_OUTCOME_NONE, |known| {
            c!(saved_connection_outcome(connection, known))
        });
        (known != SL_OUTCOME_NONE).then(|| outcome(known))
    }
}

/// A purchase that a callback has answered.
#[derive(Clone, Copy)]
struct Bought {
    ask: AskId,
    product: i64,
    is_granted: bool,
    /// The event brings the answer to the game.
    by_event: bool,
}

/// A callback that answers once.
struct Once<T> {
    desk: Arc<Desk>,
    what: T,
    is_answered: AtomicBool,
}

impl<T> Once<T> {
    fn new(desk: &Arc<Desk>, what: T) -> Arc<Self> {
        Arc::new(Self {
            desk: Arc::clone(desk),
            what,
            is_answered: AtomicBool::new(false),
        })
    }

    fn answer(&self) {
        let again = self.is_answered.swap(true, Ordering::Relaxed);
        assert!(!again, "a callback that answers is called twice");
    }

    fn check_answered(&self) {
        let is_answered = self.is_answered.load(Ordering::Relaxed) || self.desk.is_muted();
        assert!(
            is_answered,
            "a callback was dropped that has answered nothing"
        );
    }
}

impl UserData for Once<WaitId> {
    fn is_over(&self) {
        self.check_answered();
    }
}

impl UserData for Once<SendId> {
    fn is_over(&self) {
        self.check_answered();
    }
}

fn outcome(outcome: i32) -> WaitAnswer {
    match outcome {
        SL_OUTCOME_SAVED => WaitAnswer::Saved,
        SL_OUTCOME_NOT_SAVED => WaitAnswer::NotSaved,
        SL_OUTCOME_UNKNOWN => WaitAnswer::Unknown,
        other => panic!("{other} is no outcome of a wait"),
    }
}

fn is_connected(connection: Handle<SlSavedConnection>) -> bool {
    let connection = connection.get();
    must_get(7, |waits| {
        c!(saved_connection_is_connected(connection, waits))
    }) != 0
}

/// Waits.
impl Desk {
    /// Begins a wait; `begin` is the call that does.
    pub fn wait(
        self: &Arc<Self>,
        wait: WaitId,
        begin: impl FnOnce(
            SlSavedCallback,
            *mut c_void,
            SlDrop,
            &mut *mut SlSavedConnection,
        ) -> SlStatus,
    ) -> bool {
        let once = wait.0.is_multiple_of(2).then(|| Once::new(self, wait));
        let (callback, user_data, drop): (SlSavedCallback, _, SlDrop) = match &once {
            Some(once) => {
                let user_data = hand_over(&self.tally, Arc::clone(once) as Arc<dyn UserData>);
                (Some(saved), user_data, Some(drop_user_data))
            }
            None => (None, std::ptr::null_mut(), None),
        };
        let begun = handle(|connection| begin(callback, user_data, drop, connection));
        match begun {
            Ok(handle) => {
                let waiting = Waiting {
                    wait,
                    handle,
                    callback: once,
                };
                self.answers.lock().waits.insert(wait, waiting);
                true
            }
            Err(_) => {
                if once.is_some() {
                    take_back(user_data);
                }
                false
            }
        }
    }

    /// Gives up a wait: with its handle, or before that.
    pub fn give_up(&self, wait: WaitId) -> bool {
        let Some(waiting) = self.answers.lock().waits.remove(&wait) else {
            return false;
        };
        if let Some(once) = waiting.callback {
            once.answer();
        }
        let connection = waiting.handle.get();
        // The event of one that is answered may be under way already.
        if is_connected(waiting.handle) && wait.0 % 4 < 2 {
            must(c!(saved_connection_disconnect(connection)));
            assert!(!is_connected(waiting.handle), "{wait} is given up");
            let given_up = (wait, waiting.handle);
            self.answers.lock().given_up.push(given_up);
            return true;
        }
        must(c!(saved_connection_destroy(connection)));
        true
    }

    pub(super) fn hear_saved(&self, event: &SlEvent) {
        let bits = event.saved_connection.addr();
        let in_vain = {
            let answers = self.answers.lock();
            let mut given_up = answers.given_up.iter();
            given_up.find(|(_, handle)| handle.bits() == bits).copied()
        };
        if let Some((wait, _)) = in_vain {
            return self.game.saved(wait, outcome(event.outcome));
        }
        let waiting = {
            let answers = self.answers.lock();
            let mut waits = answers.waits.values();
            waits.find(|waiting| waiting.handle.bits() == bits).cloned()
        };
        // Of others the callback has brought it already.
        if let Some(waiting) = waiting.filter(|waiting| waiting.callback.is_none()) {
            self.answered(waiting, event.outcome);
        }
    }

    fn answered(&self, waiting: Waiting, answer: i32) {
        let wait = waiting.wait;
        self.answers.lock().waits.remove(&wait);
        let answer = outcome(answer);
        assert_eq!(waiting.outcome(), Some(answer), "how {wait} is answered");
        assert!(!is_connected(waiting.handle), "{wait} is answered");
        must(c!(saved_connection_destroy(waiting.handle.get())));
        if !self.is_muted() {
            self.game.saved(wait, answer);
        }
    }

    /// The server is destroyed. Its waits were answered by that, if nobody has heard it; those of lockers,
    /// which are not destroyed before they have ended, are given up, as by a process that ends. From then
    /// on the desk is mute.
    pub fn end_waits(&self) {
        let (waits, given_up) = {
            let mut answers = self.answers.lock();
            let given_up = std::mem::take(&mut answers.given_up);
            (std::mem::take(&mut answers.waits), given_up)
        };
        let given_up = given_up.into_iter().map(|(_, handle)| handle.get());
        let mut left: Vec<_> = given_up.collect();
        for waiting in waits.into_values() {
            let (wait, answer) = (waiting.wait, waiting.outcome());
            let is_owed = answer.is_none() || waiting.callback.is_some();
            assert!(
                !self.is_of_store || !is_owed,
                "a store is gone and has not answered {wait}"
            );
            self.game.saved(wait, answer.unwrap_or(WaitAnswer::Unknown));
            left.push(waiting.handle.get());
        }
        self.mute();
        for connection in left {
            must(c!(saved_connection_destroy(connection)));
        }
    }
}

extern "C" fn saved(user_data: *mut c_void, answer: i32) {
    callback((), || {
        let once = behind::<Once<WaitId>>(user_data);
        once.answer();
        let (desk, wait) = (&once.desk, once.what);
        let waiting = desk.answers.lock().waits.get(&wait).cloned();
        if let Some(waiting) = waiting {
            desk.answered(waiting, answer);
        }
    });
}

/// Sends.
impl Desk {
    /// Begins a send; `begin` is the call that does. `by_event`: an event tells how it ends.
    pub fn send(
        self: &Arc<Self>,
        send: SendId,
        by_event: bool,
        begin: impl FnOnce(SlSendCallback, *mut c_void, SlDrop, &mut u64) -> SlStatus,
    ) -> bool {
        let user_data = hand_over(&self.tally, Once::new(self, send));
        let begun = get(0, |send_id| {
            begin(Some(sent), user_data, Some(drop_user_data), send_id)
        });
        match begun {
            Ok(send_id) if by_event => {
                let known = self.answers.lock().sends.insert(send_id, (send, None));
                assert!(known.is_none(), "two sends have the number {send_id}");
            }
            Ok(_) => {}
            Err(_) => take_back(user_data),
        }
        begun.is_ok()
    }

    pub(super) fn hear_sent(&self, event: &SlEvent) {
        let known = self.answers.lock().sends.remove(&event.send_id);
        if let Some((send, answer)) = known {
            assert_eq!(
                answer,
                Some(sent_as(event.outcome)),
                "the answers to {send}"
            );
            self.game.sent(send, sent_as(event.outcome));
        }
    }
}

extern "C" fn sent(user_data: *mut c_void, send_id: u64, answer: i32) {
    callback((), || {
        let once = behind::<Once<SendId>>(user_data);
        once.answer();
        let (desk, answer) = (&once.desk, sent_as(answer));
        if desk.is_muted() {
            return;
        }
        let put_by = desk.answers.lock().sends.get_mut(&send_id).map(|known| {
            assert_eq!(known.0, once.what);
            known.1 = Some(answer);
        });
        if put_by.is_none() {
            desk.game.sent(once.what, answer);
        }
    });
}

fn sent_as(outcome: i32) -> SendAnswer {
    match outcome {
        SL_SEND_SENT => SendAnswer::Sent,
        SL_SEND_MISSING => SendAnswer::Missing,
        SL_SEND_INBOX_FULL => SendAnswer::InboxFull,
        SL_SEND_NOT_SENT => SendAnswer::NotSent,
        SL_SEND_UNKNOWN => SendAnswer::Unknown,
        SL_SEND_CORRUPT_DATA => SendAnswer::Corrupt,
        other => panic!("{other} is no outcome of a send"),
    }
}

/// Purchases.
impl Desk {
    /// A callback has brought the answer. A store tells it by an event as well, with the purchaser's key;
    /// a locker only if it is still there.
    pub fn purchased(&self, key: Key, ask: AskId, receipt: Receipt, is_granted: bool) {
        let by_event = self.is_of_store && ask.0 % 2 == 1;
        if self.is_of_store {
            let of = (key, receipt.purchase.receipt());
            let mut answers = self.answers.lock();
            answers.purchases.entry(of).or_default().push_back(Bought {
                ask,
                product: receipt.product,
                is_granted,
                by_event,
            });
        }
        if !by_event {
            self.game.purchased(ask, is_granted);
        }
    }

    pub(super) fn hear_purchase(&self, event: &SlEvent) {
        if !self.is_of_store {
            return;
        }
        let of = (
            Key::of(lent_text(event.key)),
            lent_text(event.text).to_owned(),
        );
        let bought = {
            let mut answers = self.answers.lock();
            let of_it = answers.purchases.get_mut(&of);
            of_it.and_then(VecDeque::pop_front)
        };
        let bought = bought.expect("an event of a purchase that no callback has answered");
        let told = (event.product_id, event.outcome == SL_OUTCOME_SAVED);
        assert_eq!(
            (bought.product, bought.is_granted),
            told,
            "a purchase's event"
        );
        if bought.by_event {
            self.game.purchased(bought.ask, bought.is_granted);
        }
    }

    /// Whether no event is still to bring an answer that the library has given.
    pub fn has_told_all(&self) -> bool {
        let answers = self.answers.lock();
        let mut bought = answers.purchases.values().flatten();
        let mut sends = answers.sends.values();
        let mut waits = answers.waits.values();
        bought.all(|bought| !bought.by_event)
            && sends.all(|(_, answer)| answer.is_none())
            && waits.all(|waiting| waiting.callback.is_some() || waiting.outcome().is_none())
    }

    /// The server is destroyed: what callbacks have answered, and no event has told any more.
    pub fn end_answers(&self) {
        let (sends, purchases) = {
            let mut answers = self.answers.lock();
            let Answers {
                sends, purchases, ..
            } = &mut *answers;
            (std::mem::take(sends), std::mem::take(purchases))
        };
        for (send, answer) in sends.into_values() {
            self.game
                .sent(send, answer.expect("a send that was answered"));
        }
        for bought in purchases.into_values().flatten() {
            if bought.by_event {
                self.game.purchased(bought.ask, bought.is_granted);
            }
        }
    }
}
