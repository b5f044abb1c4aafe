//! The lockers of one spec or store, and what they share: the storage's replies, the timers, the
//! budget of requests, the claims on keys.
//!
//! Only a locker with something to do is touched: one with a reply, a due timer, a command or a
//! grant. An update without any of these reads one atomic and one timer, however many lockers
//! there are. Like a locker, a set does no input or output: **[`LockerSet::begin_update`], then
//! [`LockerSet::poll`] until nothing is left.**

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use crate::migration::Migrators;
use crate::save_data::SaveData;
use crate::storage::{Fetched, Mailbox, Operation, Outcome, Reply, Request, RequestId, Responder};

use super::claims::Claims;
use super::config::Config;
use super::event::Event;
use super::lease::{ClockReading, Watches};
use super::state::{Context, HookCall, HookId, HookResult, Intent, LockerState, Output};

/// Names a locker of a set. A name is never used for two lockers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LockerId {
    slot: u32,
    generation: u32,
}

/// What the host must do for a set, with no lock held.
#[derive(Debug)]
pub(crate) enum Task {
    /// Hand this to the storage.
    Submit(Request),
    /// Run this hook, and give its result to [`LockerSet::handle_hook_result`].
    Hook(LockerId, HookId, HookCall),
    /// Tell the host.
    Event(LockerId, Event),
}

/// Whose tasks a poll is to give out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    All,
    One(LockerId),
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    /// Has something to evaluate.
    is_touched: bool,
    /// Stands in the queue of touched lockers.
    is_in_line: bool,
    /// Stands in one of the queues for a grant.
    is_queued: bool,
    /// The time of its earliest entry among the timers; infinite without one.
    armed: f64,
    /// The request whose reply its locker waits for.
    outstanding: Option<RequestId>,
    /// When that request was handed over.
    sent_at: f64,
    /// The last sequence number of the locker that was here before.
    sequence: u32,
    locker: Option<Box<LockerState>>,
}

/// A point in time and a slot; the earliest is the greatest, as the heap wants it.
#[derive(Debug, PartialEq)]
struct Timed {
    at: f64,
    slot: u32,
}

/// See the module's page.
pub(crate) struct LockerSet {
    config: Arc<Config>,
    migrators: Migrators,
    template: Option<SaveData>,
    rng: fastrand::Rng,
    now: f64,
    wall: f64,
    clock: Option<ClockReading>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    claims: Claims,
    watches: Watches,
    mailbox: Arc<Mailbox>,
    replies: VecDeque<Reply>,
    touched: VecDeque<u32>,
    timers: BinaryHeap<Timed>,
    urgent: VecDeque<u32>,
    /// Saves and releases; the shortest lease first.
    saves: BinaryHeap<Timed>,
    loads: VecDeque<u32>,
    tasks: VecDeque<Task>,
    budget: Budget,
}

/// What the present update may still do, and what is under way.
#[derive(Debug, Default)]
struct Budget {
    /// When the present frame's budget was given; calls at the same time share it.
    at: f64,
    requests: u32,
    bytes: usize,
    in_flight: u32,
    /// Grants since the last one that a waiting load was given out of turn.
    saves_in_a_row: u32,
}

/// Of so many grants, the loads get at least one while saves wait too.
const A_TENTH: u32 = 9;

impl LockerSet {
    /// An empty set. Without a template, the create hook makes new documents.
    pub fn new(
        config: Arc<Config>,
        migrators: Migrators,
        template: Option<SaveData>,
        seed: u64,
    ) -> Self {
        let budget = Budget {
            at: f64::NEG_INFINITY,
            ..Budget::default()
        };
        Self {
            config,
            migrators,
            template,
            rng: fastrand::Rng::with_seed(seed),
            now: f64::NEG_INFINITY,
            wall: 0.0,
            clock: None,
            slots: Vec::new(),
            free: Vec::new(),
            claims: Claims::default(),
            watches: Watches::default(),
            mailbox: Mailbox::new(),
            replies: VecDeque::new(),
            touched: VecDeque::new(),
            timers: BinaryHeap::new(),
            urgent: VecDeque::new(),
            saves: BinaryHeap::new(),
            loads: VecDeque::new(),
            tasks: VecDeque::new(),
            budget,
        }
    }

    pub fn now(&self) -> f64 {
        self.now
    }

    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// How many lockers there are.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The locker that holds the key, or is the one to acquire it.
    pub fn holder(&self, key: &str) -> Option<LockerId> {
        let slot = self.claims.holder(key)?;
        let generation = self.slots[slot as usize].generation;
        Some(LockerId { slot, generation })
    }

    /// Lets a locker want its key, before others that come later.
    pub fn want(&mut self, id: LockerId) -> bool {
        let Some(key) = self.command(id, |locker| {
            locker.want();
            Arc::clone(locker.key())
        }) else {
            return false;
        };
        self.claims.claim(&key, id.slot);
        true
    }

    /// Adds a locker that wants nothing yet.
    pub fn insert(&mut self, key: Arc<str>, user_ids: Arc<[Box<str>]>) -> LockerId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                armed: f64::INFINITY,
                ..Slot::default()
            });
            u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 lockers")
        });
        let data = self.template.clone().unwrap_or_default();
        let entry = &mut self.slots[slot as usize];
        let locker = LockerState::new(key, user_ids, data, (slot, entry.sequence));
        entry.locker = Some(Box::new(locker));
        let id = LockerId {
            slot,
            generation: entry.generation,
        };
        self.touch(slot);
        id
    }

    /// The locker, if it is still there.
    pub fn get(&self, id: LockerId) -> Option<&LockerState> {
        let slot = self.slots.get(id.slot as usize)?;
        slot.locker
            .as_deref()
            .filter(|_| slot.generation == id.generation)
    }

    /// Gives a command to a locker, if it is still there; the next poll goes on from it.
    pub fn command<R>(
        &mut self,
        id: LockerId,
        command: impl FnOnce(&mut LockerState) -> R,
    ) -> Option<R> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        let locker = slot
            .locker
            .as_deref_mut()
            .filter(|_| slot.generation == id.generation)?;
        let result = command(locker);
        self.touch(id.slot);
        Some(result)
    }

    /// Removes a locker that is idle; it says farewell first. False if it is not idle.
    pub fn remove(&mut self, id: LockerId) -> bool {
        if !self.get(id).is_some_and(LockerState::is_idle) {
            return false;
        }
        self.command(id, LockerState::delete);
        self.drain(id.slot);
        let slot = &mut self.slots[id.slot as usize];
        slot.sequence = slot.locker.take().map_or(0, |locker| locker.sequence());
        slot.generation = slot.generation.wrapping_add(1);
        self.note_answered(id.slot);
        self.free.push(id.slot);
        true
    }

    /// The next event of one locker, out of turn.
    pub fn take_event(&mut self, id: LockerId) -> Option<Event> {
        let is_theirs = |task: &Task| matches!(task, Task::Event(of, _) if *of == id);
        let index = self.tasks.iter().position(is_theirs)?;
        match self.tasks.remove(index)? {
            Task::Event(_, event) => Some(event),
            Task::Submit(_) | Task::Hook(..) => None,
        }
    }

    /// The store is going away: answers every wait, and leaves nothing behind to answer.
    pub fn abandon(&mut self) {
        for slot in 0..self.slots.len() as u32 {
            if let Some(locker) = self.slots[slot as usize].locker.as_deref_mut() {
                locker.abandon();
                self.drain(slot);
            }
        }
    }

    /// Every locker there is.
    pub fn ids(&self) -> impl Iterator<Item = LockerId> {
        let slots = self
            .slots
            .iter()
            .zip(0u32..)
            .filter(|(slot, _)| slot.locker.is_some());
        slots.map(|(slot, index)| LockerId {
            slot: index,
            generation: slot.generation,
        })
    }

    /// Begins an update. A `now` before the last counts as the last. Updates of single lockers
    /// at one time share one budget.
    pub fn begin_update(&mut self, now: f64, wall: f64, scope: Scope) {
        if now > self.now {
            self.now = now;
        }
        self.wall = wall;
        if self.now > self.budget.at || scope == Scope::All {
            self.budget.at = self.now;
            self.budget.requests = self.config.requests_per_update;
            self.budget.bytes = self.config.bytes_per_update;
        }
        self.mailbox.take_into(&mut self.replies);
    }

    /// The next thing for the host to do. None: the update is over.
    pub fn poll(&mut self, scope: Scope) -> Option<Task> {
        loop {
            if let Some(task) = self.tasks.pop_front() {
                return Some(task);
            }
            let went_on = self.evaluate_next(scope)
                || self.take_reply()
                || self.fire_timer()
                || self.grant_next(scope);
            if !went_on {
                return None;
            }
        }
    }

    /// A hook has run; its locker goes on.
    pub fn handle_hook_result(&mut self, id: LockerId, hook: HookId, result: HookResult) {
        if self.get(id).is_some() {
            self.handle(id.slot, |locker, cx| {
                locker.handle_hook_result(hook, result, cx)
            });
        }
    }

    fn evaluate_next(&mut self, scope: Scope) -> bool {
        while let Some(slot) = self.claims.next_woken() {
            self.touch(slot);
        }
        let slot = match scope {
            Scope::One(id) if self.get(id).is_none() => return false,
            Scope::One(id) if !self.slots[id.slot as usize].is_touched => return false,
            Scope::One(id) => id.slot,
            Scope::All => match self.touched.pop_front() {
                Some(slot) => {
                    self.slots[slot as usize].is_in_line = false;
                    slot
                }
                None => return false,
            },
        };
        if std::mem::take(&mut self.slots[slot as usize].is_touched) {
            self.with_context(slot, |locker, cx| locker.evaluate(cx));
            self.drain(slot);
            self.note_answered(slot);
            self.queue_intent(slot);
            self.arm(slot);
        }
        true
    }

    /// Moves what comes out of a locker to the tasks.
    fn drain(&mut self, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        let id = LockerId {
            slot,
            generation: entry.generation,
        };
        let Some(locker) = entry.locker.as_deref_mut() else {
            return;
        };
        while let Some(output) = locker.poll() {
            let task = match output {
                Output::Event(event) => Task::Event(id, event),
                Output::Hook(hook, call) => Task::Hook(id, hook, call),
                Output::Request(request, operation) => {
                    entry.sent_at = self.now;
                    let before = entry.outstanding.replace(request);
                    self.budget.in_flight += u32::from(before.is_none());
                    if let Operation::Commit { bytes, .. } = &operation {
                        self.budget.bytes = self.budget.bytes.saturating_sub(bytes.len());
                    }
                    let mailbox = Arc::clone(&self.mailbox);
                    let responder = Responder::new(request, mailbox);
                    Task::Submit(Request {
                        operation,
                        responder,
                    })
                }
            };
            self.tasks.push_back(task);
        }
    }

    /// A request that its locker no longer waits for, answered or not, is no longer in flight.
    fn note_answered(&mut self, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        let waits_for = entry.locker.as_deref().and_then(LockerState::outstanding);
        if entry.outstanding.is_some() && entry.outstanding != waits_for {
            entry.outstanding = None;
            self.budget.in_flight -= 1;
        }
    }

    fn queue_intent(&mut self, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        let intent = entry
            .locker
            .as_deref()
            .and_then(|locker| locker.intent(&self.config));
        let Some(intent) = intent.filter(|_| !entry.is_queued) else {
            return;
        };
        entry.is_queued = true;
        match intent {
            Intent::Urgent => self.urgent.push_back(slot),
            Intent::Save { lease_end } => self.saves.push(Timed {
                at: lease_end,
                slot,
            }),
            Intent::Load => self.loads.push_back(slot),
        }
    }

    /// Keeps one timer a locker: a later deadline waits until the earlier timer has come.
    fn arm(&mut self, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        let deadline = entry
            .locker
            .as_deref()
            .map_or(f64::INFINITY, LockerState::deadline);
        if deadline < entry.armed {
            entry.armed = deadline;
            self.timers.push(Timed { at: deadline, slot });
        }
    }

    fn fire_timer(&mut self) -> bool {
        let Some(&Timed { at, slot }) = self.timers.peek() else {
            return false;
        };
        if at > self.now {
            return false;
        }
        self.timers.pop();
        let now = self.now;
        let entry = &mut self.slots[slot as usize];
        if entry.armed != at {
            // An earlier timer of this slot has taken its place.
            return true;
        }
        entry.armed = f64::INFINITY;
        if entry
            .locker
            .as_deref()
            .is_some_and(|locker| locker.deadline() <= now)
        {
            self.handle(slot, |locker, cx| locker.handle_timeout(cx));
        } else {
            self.arm(slot);
        }
        true
    }

    /// Replies count against the update's bytes: what is left over waits for the next.
    fn take_reply(&mut self) -> bool {
        if self.replies.is_empty() {
            self.mailbox.take_into(&mut self.replies);
        }
        if self.budget.bytes == 0 && self.replies.front().is_some_and(|reply| size(reply) > 0) {
            return false;
        }
        let Some(reply) = self.replies.pop_front() else {
            return false;
        };
        self.budget.bytes = self.budget.bytes.saturating_sub(size(&reply));
        let Reply { id, result, clock } = reply;
        // The id names the slot; a reply that nobody waits for is dropped.
        let slot = (id.0 >> 32) as u32;
        let entry = self
            .slots
            .get(slot as usize)
            .filter(|entry| entry.outstanding == Some(id));
        let Some(entry) = entry else { return true };
        let clock = clock.filter(|clock| clock.is_finite());
        if let Some(clock) = clock {
            self.clock = Some(ClockReading::new(clock, entry.sent_at));
        }
        self.handle(slot, |locker, cx| {
            locker.handle_reply(id, result, clock, cx)
        });
        true
    }

    fn grant_next(&mut self, scope: Scope) -> bool {
        let Some(slot) = self.next_granted(scope) else {
            return false;
        };
        self.slots[slot as usize].is_queued = false;
        self.handle(slot, |locker, cx| locker.handle_grant(cx));
        true
    }

    fn next_granted(&mut self, scope: Scope) -> Option<u32> {
        if let Some(slot) = pop(&mut self.urgent, &self.slots) {
            return Some(slot);
        }
        let budget = &mut self.budget;
        let is_spent = budget.requests == 0
            || budget.bytes == 0
            || budget.in_flight >= self.config.requests_in_flight;
        if is_spent {
            return None;
        }
        if let Scope::One(id) = scope {
            let slot = self.slots.get(id.slot as usize)?;
            let is_waiting = slot.is_queued && slot.generation == id.generation;
            budget.requests -= u32::from(is_waiting);
            return is_waiting.then_some(id.slot);
        }
        let loads_first = budget.saves_in_a_row >= A_TENTH && !self.loads.is_empty();
        let save = if loads_first {
            None
        } else {
            pop_save(&mut self.saves, &self.slots)
        };
        budget.saves_in_a_row = if save.is_some() {
            budget.saves_in_a_row + 1
        } else {
            0
        };
        let load_or_save = |set: &mut Self| {
            pop(&mut set.loads, &set.slots).or_else(|| pop_save(&mut set.saves, &set.slots))
        };
        let slot = save.or_else(|| load_or_save(self))?;
        self.budget.requests -= 1;
        Some(slot)
    }

    fn touch(&mut self, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        entry.is_touched = true;
        if !std::mem::replace(&mut entry.is_in_line, true) {
            self.touched.push_back(slot);
        }
    }

    /// Lets a locker handle something, and sees to it that it goes on from there.
    fn handle(&mut self, slot: u32, handle: impl FnOnce(&mut LockerState, &mut Context<'_>)) {
        self.with_context(slot, handle);
        self.touch(slot);
    }

    fn with_context(&mut self, slot: u32, handle: impl FnOnce(&mut LockerState, &mut Context<'_>)) {
        let Some(locker) = self.slots[slot as usize].locker.as_deref_mut() else {
            return;
        };
        let mut cx = Context {
            config: &self.config,
            migrators: &self.migrators,
            template: self.template.as_ref(),
            now: self.now,
            wall: self.wall,
            clock: self.clock,
            rng: &mut self.rng,
            claims: &mut self.claims,
            watches: &mut self.watches,
        };
        handle(locker, &mut cx);
    }
}

/// Takes the first slot that still waits; one that was granted on its own does not.
fn pop(queue: &mut VecDeque<u32>, slots: &[Slot]) -> Option<u32> {
    loop {
        let slot = queue.pop_front()?;
        if slots[slot as usize].is_queued {
            return Some(slot);
        }
    }
}

fn pop_save(queue: &mut BinaryHeap<Timed>, slots: &[Slot]) -> Option<u32> {
    loop {
        let Timed { slot, .. } = queue.pop()?;
        if slots[slot as usize].is_queued {
            return Some(slot);
        }
    }
}

/// How many bytes of document a reply brings.
fn size(reply: &Reply) -> usize {
    match &reply.result {
        Ok(Outcome::Fetched(Fetched::Present { bytes, .. })) => bytes.len(),
        _ => 0,
    }
}

impl Eq for Timed {}

impl PartialOrd for Timed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timed {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.total_cmp(&self.at)
    }
}
