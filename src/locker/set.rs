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
use crate::storage::{
    Answer, Fetched, Mailbox, Operation, Outcome, Priority, Reply, Request, RequestId,
    RequestStats, Responder,
};

use super::claims::Claims;
use super::config::Config;
use super::driver::LockerError;
use super::event::Event;
use super::frame_budget::{FrameBudget, Rest};
use super::inbox::InboxHooks;
use super::lease::{ClockReading, Watches};
use super::no_storage;
use super::session_options::NewLocker;
use super::state::{Context, HookCall, HookId, HookResult, Intent, LockerState, Output};
use super::time::{Moment, Time, Timeline, WatchClock};
use super::turns::{PlaceNumber, Turns};
use super::use_keys::{USE_KEYS_MAX, UseKey};

/// Names a locker of a set. A name is never used for two lockers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LockerId {
    slot: u32,
    generation: u32,
}

/// What the host must do for a set, with no lock held.
#[derive(Debug)]
pub(crate) enum Task {
    /// Hand these to the storage, together. What it answers at once goes on in the same update.
    Submit(Vec<Request>),
    /// Run this hook, and give its result to [`LockerSet::handle_hook_result`].
    Hook(LockerId, HookId, HookCall),
    /// Tell the host.
    Event(LockerId, Arc<str>, Event),
    /// Log this, for verbose logs.
    Log(String),
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
    /// In which of the queues for a grant it stands. Entries elsewhere are left from before.
    queued: Option<Queue>,
    /// Where it waits for its turn, if it is updated alone and was refused a request.
    place: Option<PlaceNumber>,
    /// Its reply has come, and waits for bytes of the budget: it can no longer time out.
    has_reply: bool,
    /// The time of its earliest entry among the timers; infinite without one.
    armed: f64,
    /// The request whose reply its locker waits for.
    outstanding: Option<RequestId>,
    /// When that request was handed over; none once it is answered, or where no storage is asked.
    sent_at: Option<Moment>,
    /// The last request failed, was not answered in time or met a conflict: the next one is a retry.
    came_to_nothing: bool,
    /// The last sequence number of the locker that was here before.
    sequence: u32,
    locker: Option<Box<LockerState>>,
}

/// The queues for a grant, the one that goes first being the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Queue {
    Urgent,
    Saves,
    Loads,
}

impl Queue {
    fn priority(self) -> Priority {
        match self {
            Self::Urgent | Self::Saves => Priority::Save,
            Self::Loads => Priority::Load,
        }
    }
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
    inbox_hooks: InboxHooks,
    rng: fastrand::Rng,
    timeline: Timeline,
    at: Moment,
    wall: f64,
    clock: Option<ClockReading>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    claims: Claims,
    watches: Watches,
    watch_clock: WatchClock,
    mailbox: Arc<Mailbox>,
    replies: VecDeque<Reply>,
    /// Whether the mailbox could be looked into: otherwise what would time out may have been answered.
    sees_replies: bool,
    touched: VecDeque<u32>,
    timers: BinaryHeap<Timed>,
    urgent: VecDeque<u32>,
    /// Saves and releases; the shortest lease first.
    saves: BinaryHeap<Timed>,
    loads: VecDeque<u32>,
    /// Of lockers that are updated one by one.
    turns: Turns,
    tasks: VecDeque<Task>,
    /// Handed over when nothing else is left to do.
    requests: Vec<Request>,
    budget: FrameBudget,
    /// The update is a step of a blocking wait, which updates nobody else.
    is_waited_for: bool,
    touches: u64,
    stats: RequestStats,
}

impl LockerSet {
    /// An empty set. Without a template, the create hook makes new documents.
    pub fn new(
        config: Arc<Config>,
        migrators: Migrators,
        template: Option<SaveData>,
        inbox_hooks: InboxHooks,
        seed: u64,
    ) -> Self {
        Self {
            config,
            migrators,
            template,
            inbox_hooks,
            rng: fastrand::Rng::with_seed(seed),
            timeline: Timeline::default(),
            at: Moment {
                now: 0.0,
                ..Moment::LONG_AGO
            },
            wall: 0.0,
            clock: None,
            slots: Vec::new(),
            free: Vec::new(),
            claims: Claims::default(),
            watches: Watches::default(),
            watch_clock: WatchClock::default(),
            mailbox: Mailbox::new(),
            replies: VecDeque::new(),
            sees_replies: true,
            touched: VecDeque::new(),
            timers: BinaryHeap::new(),
            urgent: VecDeque::new(),
            saves: BinaryHeap::new(),
            loads: VecDeque::new(),
            turns: Turns::default(),
            tasks: VecDeque::new(),
            requests: Vec::new(),
            budget: FrameBudget::new(),
            is_waited_for: false,
            touches: 0,
            stats: RequestStats::default(),
        }
    }

    /// How many times a locker has had something to do.
    pub fn touches(&self) -> u64 {
        self.touches
    }

    /// What the lockers have asked of the storage, and who waits to ask.
    pub fn stats(&self) -> &RequestStats {
        &self.stats
    }

    pub fn now(&self) -> f64 {
        self.at.now
    }

    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// The default document, unless a hook makes it.
    pub fn template(&self) -> Option<&SaveData> {
        self.template.as_ref()
    }

    /// What the present update has left for others of the same store.
    pub fn rest(&self) -> Rest {
        self.budget.rest(self.at.now, self.wall)
    }

    /// How many lockers there are.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The first locker that has the key, or is to have it, and whose host goes on wanting it.
    pub fn live(&self, key: &str) -> Option<LockerId> {
        let mut in_line = self.claims.in_line(key);
        in_line.find_map(|slot| {
            let entry = &self.slots[slot as usize];
            let locker = entry.locker.as_deref()?;
            let generation = entry.generation;
            locker.is_live().then_some(LockerId { slot, generation })
        })
    }

    /// Lets a locker want its session, before others of its key that come later.
    pub fn want(&mut self, id: LockerId, use_key: UseKey) -> Result<(), LockerError> {
        let wanted = self.command(id, |locker| {
            let wants = locker.want(use_key);
            wants.then(|| Arc::clone(locker.key()))
        });
        let key = wanted.ok_or(LockerError::NotActive("the locker was deleted"))?;
        let (what, max) = ("held use keys of this locker", USE_KEYS_MAX);
        let key = key.ok_or(LockerError::TooMany { what, max })?;
        self.claims.claim(&key, id.slot);
        Ok(())
    }

    /// Adds a locker that wants nothing yet.
    pub fn insert(&mut self, start: NewLocker) -> LockerId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                armed: f64::INFINITY,
                ..Slot::default()
            });
            u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 lockers")
        });
        let data = self.template.clone().unwrap_or_default();
        let entry = &mut self.slots[slot as usize];
        let verbose_logs = self.config.verbose_logs;
        let locker = LockerState::new(start, data, verbose_logs, (slot, entry.sequence));
        entry.locker = Some(Box::new(locker));
        entry.came_to_nothing = false;
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
        let result = command(self.get_mut(id)?);
        self.touch(id.slot);
        Some(result)
    }

    /// The locker, for a note that gives it nothing to do.
    pub fn get_mut(&mut self, id: LockerId) -> Option<&mut LockerState> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        slot.locker
            .as_deref_mut()
            .filter(|_| slot.generation == id.generation)
    }

    /// Removes a locker that is idle or was never updated; it says farewell first. False, and nothing is
    /// done, for any other.
    pub fn remove(&mut self, id: LockerId) -> bool {
        if !self.get(id).is_some_and(LockerState::may_be_deleted) {
            return false;
        }
        self.command(id, LockerState::delete);
        self.drain(id.slot);
        let slot = &mut self.slots[id.slot as usize];
        if let Some(locker) = slot.locker.take() {
            slot.sequence = locker.sequence();
            // A locker that wanted its key and thought better of it still stands in line.
            self.claims.release(locker.key(), id.slot);
        }
        slot.generation = slot.generation.wrapping_add(1);
        self.note_answered(id.slot);
        self.leave_place(id.slot);
        self.free.push(id.slot);
        true
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

    /// Whether the host has said what time it is.
    pub fn has_host_time(&self) -> bool {
        self.timeline.has_host_time()
    }

    /// Lets time pass before the host has said what time it is.
    pub fn let_pass(&mut self, seconds: f64) {
        self.timeline.pass(Time::Elapsed(seconds));
    }

    /// Begins an update, of which the server's own clocks say `monotonic`, if that is a number, and `wall`.
    /// Updates of single lockers at one time share one budget.
    pub fn begin_update(&mut self, time: Time, monotonic: f64, wall: f64, scope: Scope) {
        let (before, had_host_time) = (self.at, self.has_host_time());
        self.timeline.pass(time);
        self.at.now = self.timeline.now();
        if !monotonic.is_nan() {
            self.at.monotonic = monotonic;
        }
        let (by_host, by_server) = self.at.since(before);
        self.watch_clock.pass(by_host, by_server);
        self.watches.count_from(self.watch_clock.now());
        if !had_host_time && self.has_host_time() {
            // The host's first time may be as old as this set: what it then catches up with is not known.
            self.watch_clock.owe(self.at.now);
            self.watches.begin_anew();
        }
        self.wall = wall;
        self.is_waited_for = matches!(time, Time::Elapsed(_));
        let is_of_all = scope == Scope::All;
        self.budget
            .begin_update(self.at.now, is_of_all, &self.config);
        self.collect_replies();
    }

    /// What the host was to do already, but for requests; nothing goes on.
    pub fn take_task(&mut self) -> Option<Task> {
        self.tasks.pop_front()
    }

    /// The next thing for the host to do. None: the update is over.
    pub fn poll(&mut self, scope: Scope) -> Option<Task> {
        loop {
            if let Some(task) = self.tasks.pop_front() {
                return Some(task);
            }
            let went_on = self.evaluate_next(scope)
                || self.take_reply(scope)
                || self.fire_timer(scope)
                || self.grant_next(scope);
            if !went_on {
                let waiting = self.stats.waiting;
                self.stats.most_waiting.raise_to(&waiting);
                let requests = std::mem::take(&mut self.requests);
                return (!requests.is_empty()).then_some(Task::Submit(requests));
            }
        }
    }

    /// A hook has run; its locker goes on.
    pub fn handle_hook_result(&mut self, id: LockerId, hook: HookId, result: HookResult) {
        if self.get(id).is_some() {
            self.handle(id.slot, Scope::One(id), |locker, cx| {
                locker.handle_hook_result(hook, result, cx)
            });
        }
    }

    fn evaluate_next(&mut self, scope: Scope) -> bool {
        while let Some(slot) = self.claims.next_woken() {
            self.touch(slot);
        }
        let slot = match scope {
            _ if !self.budget.has_step() => return false,
            Scope::One(id) if self.get(id).is_none() => return false,
            Scope::One(id) => id.slot,
            Scope::All => match self.touched.pop_front() {
                Some(slot) => {
                    self.slots[slot as usize].is_in_line = false;
                    slot
                }
                None => return false,
            },
        };
        let is_touched = self.slots[slot as usize].is_touched;
        if is_touched {
            self.budget.take_step();
            self.settle(slot);
        }
        is_touched || scope == Scope::All
    }

    /// Lets a locker go on from where it stands, and sees to what it wants then.
    fn settle(&mut self, slot: u32) {
        self.touches += 1;
        self.slots[slot as usize].is_touched = false;
        self.with_context(slot, |locker, cx| locker.evaluate(cx));
        self.drain(slot);
        self.note_answered(slot);
        self.queue_intent(slot);
        self.arm(slot);
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
                Output::Event(event) => Task::Event(id, Arc::clone(locker.key()), event),
                Output::Log(line) => Task::Log(line),
                Output::Hook(hook, call) => {
                    let offers = call.offers() as u32;
                    self.budget.spend_on_hook(offers);
                    Task::Hook(id, hook, call)
                }
                Output::Request(request, operation) => {
                    entry.has_reply = false;
                    let is_retry = std::mem::take(&mut entry.came_to_nothing);
                    let before = entry.outstanding.replace(request);
                    if before.is_none() {
                        self.budget.request_begun();
                    }
                    if let Operation::Commit { bytes, .. } = &operation {
                        self.budget.take_bytes(bytes.len(), slot);
                    }
                    let mailbox = Arc::clone(&self.mailbox);
                    let responder = Responder::new(request, mailbox)
                        .with_priority(priority_of(&operation, locker))
                        .with_retry(is_retry)
                        .with_patience(self.config.patience());
                    if locker.disables_apis() {
                        responder.answer(Ok(no_storage::outcome(&operation)));
                        continue;
                    }
                    entry.sent_at = Some(self.at);
                    self.stats.count_request(&operation, is_retry);
                    self.requests.push(Request {
                        operation,
                        responder,
                    });
                    continue;
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
            entry.has_reply = false;
            self.budget.request_ended();
            if entry.sent_at.take().is_some() {
                self.stats.count_given_up();
            }
        }
    }

    fn queue_intent(&mut self, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        let intent = entry
            .locker
            .as_deref()
            .and_then(|locker| locker.intent(&self.config));
        let Some(intent) = intent else { return };
        let queue = match intent {
            Intent::Urgent => Queue::Urgent,
            Intent::Save { .. } => Queue::Saves,
            Intent::Load => Queue::Loads,
        };
        // One that waited for less, and has come to want more, goes ahead.
        if entry.queued.is_some_and(|queued| queued <= queue) {
            return;
        }
        if let Some(before) = entry.queued.replace(queue) {
            self.stats.waiting[before.priority()] -= 1;
        }
        self.stats.waiting[queue.priority()] += 1;
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

    fn fire_timer(&mut self, scope: Scope) -> bool {
        let Some(&Timed { at, slot }) = self.timers.peek() else {
            return false;
        };
        let now = self.at.now;
        if at > now || !self.budget.has_timer() || !self.sees_replies {
            return false;
        }
        let entry = &mut self.slots[slot as usize];
        let deadline = entry.locker.as_deref().map(LockerState::deadline);
        // Otherwise an earlier timer of this slot has taken its place.
        let is_armed = entry.armed == at;
        let is_due = is_armed && !entry.has_reply && deadline.is_some_and(|at| at <= now);
        if is_due && !self.budget.has_due() {
            return false;
        }
        self.budget.take_timer();
        self.timers.pop();
        if !is_armed {
            return true;
        }
        entry.armed = f64::INFINITY;
        if is_due {
            self.budget.take_due();
            entry.came_to_nothing |= entry.outstanding.is_some();
            self.handle(slot, scope, |locker, cx| locker.handle_timeout(cx));
        } else if !entry.has_reply {
            self.arm(slot);
        }
        true
    }

    fn collect_replies(&mut self) {
        let known = self.replies.len();
        self.sees_replies = self.mailbox.take_into(&mut self.replies);
        for reply in self.replies.range(known..) {
            let entry = self.slots.get_mut(slot_of(reply.id));
            if let Some(entry) = entry.filter(|entry| entry.outstanding == Some(reply.id)) {
                entry.has_reply = true;
            }
        }
    }

    /// Replies have a budget of their number and bytes: what is left over waits for the next update.
    fn take_reply(&mut self, scope: Scope) -> bool {
        if self.replies.is_empty() {
            self.collect_replies();
        }
        let may_come = |reply: &Reply| self.budget.has_reply(size(reply));
        if !self.replies.front().is_some_and(may_come) {
            return false;
        }
        let Some(reply) = self.replies.pop_front() else {
            return false;
        };
        self.budget
            .take_reply(size(&reply), slot_of(reply.id) as u32);
        let Reply { id, result, clock } = reply;
        // A reply that nobody waits for is dropped.
        let entry = self
            .slots
            .get_mut(slot_of(id))
            .filter(|entry| entry.outstanding == Some(id));
        let Some(entry) = entry else { return true };
        entry.has_reply = false;
        let clock = clock.filter(|clock| clock.is_finite());
        if let Some(sent_at) = entry.sent_at.take() {
            if let Some(clock) = clock {
                self.clock = Some(ClockReading::new(clock, sent_at));
            }
            let answer = Answer::of(&result);
            entry.came_to_nothing = answer.is_nothing();
            self.stats.count_answer(answer, self.at.now - sent_at.now);
        }
        self.handle(slot_of(id) as u32, scope, |locker, cx| {
            locker.handle_reply(id, result, clock, cx)
        });
        true
    }

    fn grant_next(&mut self, scope: Scope) -> bool {
        let granted = match scope {
            Scope::One(id) => self.is_granted(id).then_some(id.slot),
            Scope::All => self.next_granted(),
        };
        let Some(slot) = granted else { return false };
        self.leave_place(slot);
        self.handle(slot, scope, |locker, cx| locker.handle_grant(cx));
        true
    }

    /// Whether a locker that is updated alone gets a request. It stays where it stands in the queues.
    fn is_granted(&mut self, id: LockerId) -> bool {
        let Some(locker) = self.get(id) else {
            return false;
        };
        let place = self.slots[id.slot as usize].place;
        match locker.intent(&self.config) {
            None => {
                self.leave_place(id.slot);
                return false;
            }
            Some(Intent::Urgent) => return true,
            Some(Intent::Save { .. } | Intent::Load) => {}
        }
        let room = self.budget.room(&self.config);
        let lacks_bytes = self.budget.lacks_bytes_for(id.slot);
        let may_go = self.is_waited_for || self.turns.may_go(place, room, self.at.now);
        let goes = may_go && self.budget.spend_request(&self.config).is_some();
        if !goes {
            let place = self.turns.refuse(place, lacks_bytes, self.at.now);
            self.slots[id.slot as usize].place = Some(place);
        }
        goes
    }

    fn leave_place(&mut self, slot: u32) {
        if let Some(place) = self.slots[slot as usize].place.take() {
            self.turns.leave(place);
        }
    }

    fn next_granted(&mut self) -> Option<u32> {
        if let Some(slot) = self.pop(Queue::Urgent) {
            return Some(slot);
        }
        if self.loads.is_empty() && self.saves.is_empty() {
            return None;
        }
        self.budget.spend_request(&self.config)?;
        let loads_first = self.budget.is_turn_of_a_load() && !self.loads.is_empty();
        let save = if loads_first {
            None
        } else {
            self.pop(Queue::Saves)
        };
        match save {
            Some(_) => self.budget.granted_to_a_save(),
            None => self.budget.granted_to_a_load(),
        }
        save.or_else(|| self.pop(Queue::Loads))
            .or_else(|| self.pop(Queue::Saves))
    }

    /// Takes the first slot out of a queue; of saves, the one with the shortest lease.
    fn pop(&mut self, queue: Queue) -> Option<u32> {
        loop {
            let slot = match queue {
                Queue::Urgent => self.urgent.pop_front(),
                Queue::Saves => self.saves.pop().map(|timed| timed.slot),
                Queue::Loads => self.loads.pop_front(),
            }?;
            let queued = &mut self.slots[slot as usize].queued;
            if *queued == Some(queue) {
                *queued = None;
                self.stats.waiting[queue.priority()] -= 1;
                return Some(slot);
            }
        }
    }

    /// Takes one request from the budget for somebody who works on lockers, who gets half of it at most.
    pub fn spend_spare_request(&mut self) -> Option<()> {
        self.budget.spend_spare_request(&self.config)
    }

    fn touch(&mut self, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        entry.is_touched = true;
        if !std::mem::replace(&mut entry.is_in_line, true) {
            self.touched.push_back(slot);
        }
    }

    /// Lets a locker handle something and go on from there; one that the update is not for goes on
    /// in its own.
    fn handle(
        &mut self,
        slot: u32,
        scope: Scope,
        handle: impl FnOnce(&mut LockerState, &mut Context<'_>),
    ) {
        self.with_context(slot, handle);
        match scope {
            Scope::One(id) if id.slot != slot => self.touch(slot),
            _ => self.settle(slot),
        }
    }

    fn with_context(&mut self, slot: u32, handle: impl FnOnce(&mut LockerState, &mut Context<'_>)) {
        let Some(locker) = self.slots[slot as usize].locker.as_deref_mut() else {
            return;
        };
        let mut cx = Context {
            config: &self.config,
            migrators: &self.migrators,
            template: self.template.as_ref(),
            inbox_hooks: self.inbox_hooks,
            at: self.at,
            wall: self.wall,
            clock: self.clock,
            rng: &mut self.rng,
            claims: &mut self.claims,
            watches: &mut self.watches,
            watched_at: self.watch_clock.now(),
        };
        handle(locker, &mut cx);
    }
}

/// What a locker asks to keep what it holds goes first.
fn priority_of(operation: &Operation, locker: &LockerState) -> Priority {
    match operation {
        Operation::Fetch { .. } if !locker.is_held() => Priority::Load,
        _ => Priority::Save,
    }
}

/// The slot that a request's id names.
fn slot_of(id: RequestId) -> usize {
    (id.0 >> 32) as usize
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
