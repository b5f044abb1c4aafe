//! The purchases that are not answered yet, a queue for each locker, and who is looked at when.
//!
//! A locker is looked at when it has purchases that can go on: asked anew, after a cooldown, or for
//! as long as they wait for a session. Those that wait for a save or for the storage are not, until
//! the answer wakes them. All purchases of a locker that can go on do so in one pass, and wait for
//! the same save.

use std::cell::OnceCell;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::locker::{Driver, LockerError, LockerName, LockerRef, Wake};
use crate::storage::{Mailbox, Reply};

use super::purchase::{Pass, Purchase};
use super::{ProductProcess, PurchaseCallback, ReceiptInfo};

/// The most purchases of one locker that may wait to be answered.
const UNANSWERED_MAX: usize = 65_536;

/// So many purchases are begun in one run, of which a store's update has two. The others wait for the
/// next.
const LOOKS_PER_RUN: u32 = 512;

/// The last serial given out. All purchasers share it: those of one locker hold its session by it.
static LAST_SERIAL: AtomicU64 = AtomicU64::new(0);

/// A purchase that is over.
pub(crate) struct Answered {
    pub locker: LockerRef,
    pub receipt: Arc<ReceiptInfo>,
    pub is_granted: bool,
    /// Whatever its asker knows it by.
    pub tag: u64,
    pub callback: Option<PurchaseCallback>,
    /// Goes last: with it the host's side ends.
    _process: Arc<dyn ProductProcess>,
}

/// The purchases of one purchaser.
#[derive(Default)]
pub(crate) struct Purchases {
    state: Mutex<State>,
    /// Lockers of which a purchase was woken.
    ready: Arc<Mutex<Vec<LockerName>>>,
    mailbox: Arc<Mailbox>,
    is_running: AtomicBool,
}

#[derive(Default)]
struct State {
    queues: HashMap<LockerName, Queue>,
    /// The lockers to be looked at; each stands here once.
    due: Vec<LockerName>,
    /// Whose requests to the storage are under way, by their purchases' serials.
    fetches: HashMap<u64, LockerName>,
    /// Those that are over and not told yet. They wait here, so that a callback that panics takes no
    /// other answer with it.
    over: VecDeque<Answered>,
    unanswered: usize,
    now: f64,
    is_destroyed: bool,
}

/// The purchases of one locker, in the order they were asked.
struct Queue {
    locker: LockerRef,
    /// Those asked since, while the others are being looked at.
    purchases: Vec<Purchase>,
    /// How many are not answered, those that are being looked at among them.
    unanswered: usize,
    is_due: bool,
    /// When it is to be looked at.
    look_at: f64,
    /// All of them wait to be begun, which takes a session that is available.
    is_waiting: bool,
}

/// The right to look at purchases, one at a time.
pub(crate) struct Running<'a>(&'a AtomicBool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Purchases {
    /// Adds a purchase. Refused once destroyed, or with too many of the locker; the callback then stays
    /// the caller's, who may hold a lock.
    pub fn ask(
        &self,
        locker: &LockerRef,
        process: &Arc<dyn ProductProcess>,
        receipt: ReceiptInfo,
        (callback, tag): &mut (Option<PurchaseCallback>, u64),
    ) -> Result<(), LockerError> {
        receipt.check()?;
        let mut guard = self.state.lock();
        let state = &mut *guard;
        if state.is_destroyed {
            return Err(LockerError::NotActive("the purchaser was destroyed"));
        }
        let queue = state
            .queues
            .entry(locker.name())
            .or_insert_with(|| Queue::new(locker.clone()));
        if queue.unanswered >= UNANSWERED_MAX {
            let (what, max) = ("unanswered purchases of this locker", UNANSWERED_MAX);
            return Err(LockerError::TooMany { what, max });
        }
        queue.unanswered += 1;
        state.unanswered += 1;
        let serial = LAST_SERIAL.fetch_add(1, Ordering::Relaxed) + 1;
        let answer = (callback.take(), *tag);
        let purchase = Purchase::new(serial, Arc::clone(process), receipt, answer);
        queue.purchases.push(purchase);
        state.wake(locker.name());
        Ok(())
    }

    /// Whether a purchase is not answered yet.
    pub fn has_incomplete(&self) -> bool {
        self.state.lock().unanswered > 0
    }

    /// Looks at every purchase that can go on at `now`, and tells of those that are over, with no
    /// lock held. The driver that is `held` is the caller's to drive already; others are driven
    /// here, or skipped if they are busy.
    pub fn run(
        &self,
        now: f64,
        held: Option<&Arc<Driver>>,
        tell: &mut dyn FnMut(Answered),
    ) -> Result<(), LockerError> {
        let _running = self.begin_running()?;
        let due = {
            let mut state = self.state.lock();
            state.now = state.now.max(now);
            self.wake_ready(&mut state);
            std::mem::take(&mut state.due)
        };
        let mut looks_left = LOOKS_PER_RUN;
        let is_later = |name: &LockerName| !self.look(*name, held, &mut looks_left);
        let mut later: Vec<_> = due.into_iter().filter(is_later).collect();
        // Who has not had a turn comes before who goes on.
        let mut state = self.state.lock();
        later.append(&mut state.due);
        state.due = later;
        drop(state);
        self.tell(tell);
        Ok(())
    }

    /// The locker is gone: all its purchases are answered.
    pub fn end(&self, locker: LockerName, driver: &Arc<Driver>, tell: &mut dyn FnMut(Answered)) {
        // One that is being looked at sees it by itself.
        let Ok(_running) = self.begin_running() else {
            return;
        };
        let mut state = self.state.lock();
        self.wake_ready(&mut state);
        state.wake(locker);
        drop(state);
        let mut looks_left = LOOKS_PER_RUN;
        self.look(locker, Some(driver), &mut looks_left);
        self.tell(tell);
    }

    /// Answers all purchases with no, in the order in which they were asked, and takes no more.
    pub fn destroy(&self, tell: &mut dyn FnMut(Answered)) {
        let mut state = self.state.lock();
        state.is_destroyed = true;
        let mut left = Vec::with_capacity(state.unanswered);
        for Queue {
            locker, purchases, ..
        } in std::mem::take(&mut state.queues).into_values()
        {
            let of_locker = |purchase| (locker.clone(), purchase);
            left.extend(purchases.into_iter().map(of_locker));
        }
        left.sort_unstable_by_key(|(_, purchase): &(_, Purchase)| purchase.serial);
        let refuse = |(locker, purchase)| answered(&locker, purchase, false);
        state.over.extend(left.into_iter().map(refuse));
        drop(state);
        self.tell(tell);
    }

    /// The right to look at purchases; refused while another thread, or a caller of this one, has it.
    pub fn begin_running(&self) -> Result<Running<'_>, LockerError> {
        match self.is_running.swap(true, Ordering::Acquire) {
            false => Ok(Running(&self.is_running)),
            true => Err(LockerError::Busy),
        }
    }

    /// What has been answered since: saves, and requests to the storage.
    fn wake_ready(&self, state: &mut State) {
        let ready = std::mem::take(&mut *self.ready.lock());
        ready.into_iter().for_each(|name| state.wake(name));
        let mut replies = VecDeque::new();
        self.mailbox.take_into(&mut replies);
        replies
            .into_iter()
            .for_each(|reply| state.take_reply(reply));
    }

    /// Looks at the purchases of a locker, if that is due; false if it stays due.
    fn look(&self, name: LockerName, held: Option<&Arc<Driver>>, looks_left: &mut u32) -> bool {
        if *looks_left == 0 {
            return false;
        }
        let mut state = self.state.lock();
        let now = state.now;
        let Some(queue) = state.queues.get_mut(&name).filter(|queue| queue.is_due) else {
            return true;
        };
        if queue.look_at > now {
            return false;
        }
        let (locker, is_waiting) = (queue.locker.clone(), queue.is_waiting);
        drop(state);
        let driving = match held {
            Some(driver) if Arc::ptr_eq(driver, locker.driver()) => None,
            _ => match locker.drive() {
                Ok(driving) => Some(driving),
                Err(_) => return false,
            },
        };
        // However many wait for a session that is not there, no clock need be read for them.
        let is_available = locker.may_be_available() && locker.is_available();
        if is_waiting && !is_available && !locker.is_gone() {
            // That is all there is to see.
            return false;
        }
        let mut state = self.state.lock();
        let Some(queue) = state.queues.get_mut(&name) else {
            return true;
        };
        let mut purchases = std::mem::take(&mut queue.purchases);
        queue.is_due = false;
        drop(state);
        let pass = (now, is_available);
        let over = self.go_on(&locker, &mut purchases, pass, looks_left);
        drop(driving);
        self.put_back(&locker, purchases, over);
        true
    }

    /// Lets all purchases of a locker go on, in their order; those that are over are taken out.
    fn go_on(
        &self,
        locker: &LockerRef,
        purchases: &mut Vec<Purchase>,
        (now, is_available): (f64, bool),
        looks_left: &mut u32,
    ) -> Vec<Answered> {
        let ready = Arc::clone(&self.ready);
        let name = locker.name();
        let wake = move || {
            let ready = Arc::clone(&ready);
            Box::new(move || ready.lock().push(name)) as Wake
        };
        let is_gone = locker.is_gone();
        let receipts = purchases.iter().map(|purchase| &purchase.receipt);
        let mut pass = Pass {
            locker,
            now,
            wall: OnceCell::new(),
            is_gone,
            is_available: !is_gone && is_available,
            unanswered: receipts.cloned().collect(),
            looks_left,
            needs_save: false,
            mailbox: &self.mailbox,
            wake: &wake,
        };
        let mut over = Vec::new();
        let mut waiting = Vec::with_capacity(purchases.len());
        for mut purchase in purchases.drain(..) {
            match purchase.go_on(&mut pass) {
                Some(is_granted) => over.push(answered(locker, purchase, is_granted)),
                None => waiting.push(purchase),
            }
        }
        if pass.needs_save {
            let save = locker.save(wake()).ok();
            for purchase in &mut waiting {
                purchase.save_begun(save.as_ref(), now);
            }
        }
        *purchases = waiting;
        over
    }

    /// What waits goes back before what was asked meanwhile. If the purchaser was destroyed, it is
    /// over, too.
    fn put_back(&self, locker: &LockerRef, purchases: Vec<Purchase>, over: Vec<Answered>) {
        let name = locker.name();
        let mut guard = self.state.lock();
        let state = &mut *guard;
        state.over.extend(over);
        let Some(queue) = state.queues.get_mut(&name) else {
            let purchases = purchases.into_iter();
            let refuse = |purchase| answered(locker, purchase, false);
            return state.over.extend(purchases.map(refuse));
        };
        let asked_meanwhile = std::mem::replace(&mut queue.purchases, purchases);
        for purchase in &queue.purchases {
            if purchase.is_fetching() {
                state.fetches.insert(purchase.serial, name);
            }
        }
        queue.purchases.extend(asked_meanwhile);
        queue.unanswered = queue.purchases.len();
        let look_at = queue.purchases.iter().map(Purchase::look_at);
        queue.look_at = look_at.fold(f64::INFINITY, f64::min);
        queue.is_waiting = queue.purchases.iter().all(Purchase::is_asked);
        if queue.purchases.is_empty() {
            state.queues.remove(&name);
        } else if queue.look_at < f64::INFINITY && !std::mem::replace(&mut queue.is_due, true) {
            state.due.push(name);
        }
    }

    /// Tells of all that are over, one at a time.
    fn tell(&self, tell: &mut dyn FnMut(Answered)) {
        while let Some(answered) = self.next_over() {
            tell(answered);
        }
    }

    fn next_over(&self) -> Option<Answered> {
        let mut state = self.state.lock();
        let answered = state.over.pop_front()?;
        state.unanswered -= 1;
        Some(answered)
    }
}

impl State {
    /// Lets a locker be looked at in the next run.
    fn wake(&mut self, name: LockerName) {
        if let Some(queue) = self.queues.get_mut(&name) {
            queue.look_at = f64::NEG_INFINITY;
            if !std::mem::replace(&mut queue.is_due, true) {
                self.due.push(name);
            }
        }
    }

    fn take_reply(&mut self, reply: Reply) {
        let serial = reply.id.0;
        let Some(name) = self.fetches.remove(&serial) else {
            return;
        };
        let Some(queue) = self.queues.get_mut(&name) else {
            return;
        };
        let mut purchases = queue.purchases.iter_mut();
        if let Some(purchase) = purchases.find(|purchase| purchase.serial == serial) {
            purchase.handle_reply(reply, &queue.locker);
            self.wake(name);
        }
    }
}

impl Queue {
    fn new(locker: LockerRef) -> Self {
        Self {
            locker,
            purchases: Vec::new(),
            unanswered: 0,
            is_due: false,
            look_at: f64::NEG_INFINITY,
            is_waiting: true,
        }
    }
}

fn answered(locker: &LockerRef, purchase: Purchase, is_granted: bool) -> Answered {
    Answered {
        locker: locker.clone(),
        receipt: purchase.receipt,
        is_granted,
        tag: purchase.tag,
        callback: purchase.callback,
        _process: purchase.process,
    }
}
