//! The locker as a state machine: one player's key, from wanting it to having released it.
//!
//! It does no input or output and reads no clock. Its methods are of four kinds: *getters*;
//! *commands*, what the host wants; `handle_*`, what arrives (a grant, a reply, a hook's result,
//! a due timer); and [`LockerState::poll`], what comes out. **After a command or a `handle_*`,
//! call [`LockerState::evaluate`], then poll until nothing is left.**
//!
//! A locker that wants to ask the storage something queues an [`Intent`]. The request's body,
//! its stamp, its save number, its hooks and its timeout begin only when the intent is granted.
//!
//! How a key is acquired is in `acquire.rs`; how it is saved, released and lost in `hold.rs`.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::log;
use crate::migration::{MigrationError, Migrators};
use crate::save_data::SaveData;
use crate::storage::{Fetched, Operation, Outcome, RequestErrorKind, RequestId, StorageError};

use super::acquire::Acquire;
use super::claims::Claims;
use super::config::Config;
use super::event::{Activity, ErrorReport, Event, Lifecycle, LoadStatus, Reason, SaveOutcome};
use super::hold::Held;
use super::inbox::{InboxHooks, Offer, Offered};
use super::lease::{ClockReading, Watches};
use super::saved_connection::{SavedConnection, WAITS_MAX, add_pruned};
use super::session_options::NewLocker;
use super::shared_data::SharedSaveData;
use super::time::{Moment, WatchTime};
use super::use_keys::UseKey;

/// What a locker sees of its surroundings while something is handled.
pub(crate) struct Context<'a> {
    pub config: &'a Config,
    pub migrators: &'a Migrators,
    /// The default document; without one, the create hook makes it.
    pub template: Option<&'a SaveData>,
    pub inbox_hooks: InboxHooks,
    /// When the update began that something is handled in: what is handed over goes no earlier.
    pub at: Moment,
    /// Unix seconds by this server's clock.
    pub wall: f64,
    /// The storage's clock as last reported.
    pub clock: Option<ClockReading>,
    pub rng: &'a mut fastrand::Rng,
    pub claims: &'a mut Claims,
    pub watches: &'a mut Watches,
    /// When this update began, by the watches' clock.
    pub watched_at: WatchTime,
}

impl Context<'_> {
    /// What an owner stamps its session with: whole Unix seconds, never early.
    pub(super) fn stamp(&self) -> f64 {
        let time = self
            .clock
            .map_or(self.wall, |clock| clock.upper_bound(self.at));
        time.ceil()
    }

    /// When to try again after the `failures`th failure in a row.
    pub(super) fn retry_at(&mut self, failures: u32) -> f64 {
        self.at.now + self.config.retry_delay(failures, self.rng.f64())
    }
}

/// The number by which a locker knows its hook call again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HookId(pub u64);

/// Something of the host's that must run before the locker can go on.
#[derive(Debug)]
pub(crate) enum HookCall {
    /// Make a new document's fields.
    Create,
    /// Bring a draft to the configured version.
    Migrate(Box<SaveData>),
    /// Run the hook before a save, with the live document lent to it.
    BeforeSave(Arc<SharedSaveData>),
    /// Run the second hook before a save, just before the document is written out.
    BeforeSaveTransform(Arc<SharedSaveData>),
    /// Offer remote changes, with the live document lent to each.
    Offer(Arc<SharedSaveData>, Vec<Offer>),
    /// Merge what was written before the load into the live document.
    MergeOffline(Arc<SharedSaveData>, Box<SaveData>),
}

impl HookCall {
    /// How many changes it offers: each counts as a request of the budget.
    pub fn offers(&self) -> usize {
        match self {
            Self::Offer(_, offers) => offers.len(),
            _ => 0,
        }
    }
}

/// What a hook answered.
#[derive(Debug)]
pub(crate) enum HookResult {
    Created(Result<SaveData, String>),
    Migrated(Result<Box<SaveData>, MigrationError>),
    BeforeSave(Result<(), String>),
    Offered(Vec<Offered>),
    OfflineMerged(Result<(), String>),
}

/// What comes out of a locker.
#[derive(Debug)]
pub(crate) enum Output {
    Request(RequestId, Operation),
    Hook(HookId, HookCall),
    Event(Event),
    /// A line for the verbose logs.
    Log(String),
}

/// What a locker waits for a slot for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Intent {
    /// A retry after a conflict: ahead of the budget.
    Urgent,
    /// A save or a release; the lease ends at this time.
    Save { lease_end: f64 },
    /// A step of loading.
    Load,
}

/// Where a locker stands.
#[derive(Debug)]
pub(super) enum Phase {
    /// The default document is being made; the save data is replaced by it for this reason.
    Resetting {
        hook: Option<HookId>,
        reason: Reason,
        left: Left,
        /// The count of changes of the document before that may be saved or not: nobody knows.
        in_doubt: Option<u64>,
    },
    /// The save data is the default one; what comes next is not decided yet.
    Released(Left),
    /// Nothing held, nothing under way.
    Idle,
    /// The load status says why nothing more is tried until the host asks anew.
    Refused,
    /// Wants the key.
    Acquire(Box<Acquire>),
    /// Holds the key.
    Held(Box<Held>),
}

/// What is known of the record as a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// There never was a session.
    Unknown,
    /// It was there. If it is gone later, it was erased.
    Record,
    /// It was erased.
    Nothing,
}

/// A full list of waiters is looked through at every so manieth refusal.
const WAITS_LOOKED_THROUGH_EVERY: u32 = 1024;

#[derive(Debug)]
struct Waiter {
    connection: SavedConnection,
    /// Answered once this count of changes is saved.
    target: u64,
}

/// One key's state machine. See the module's page.
#[derive(Debug)]
pub(crate) struct LockerState {
    pub(super) key: Arc<str>,
    /// The host's user ids, or where it gave none those of the record.
    pub(super) user_ids: Arc<[Box<str>]>,
    /// The host gave none: each fetch says anew which those of the record are.
    pub(super) adopts_user_ids: bool,
    pub(super) data: Arc<SharedSaveData>,
    pub(super) status: LoadStatus,
    pub(super) phase: Phase,
    /// Whether a use key is held.
    pub(super) wanted: bool,
    /// Whether the host has been told of its save data.
    has_begun: bool,
    /// Which ones are held; without a set, none but the default one can be.
    #[expect(
        clippy::box_collection,
        reason = "most lockers need only the default key, and pay one word for the others"
    )]
    pub(super) use_keys: Option<Box<BTreeSet<UseKey>>>,
    pub(super) has_save_hooks: bool,
    /// What the host says of the save data: see [`LockerState::set_is_syncing`].
    is_syncing: bool,
    /// Never touches the storage: see [`SessionOptions`](super::SessionOptions).
    disable_apis: bool,
    verbose_logs: bool,
    /// What its log lines begin with; without one, its key says whose they are.
    log_prefix: Option<Box<str>>,
    /// What final load statuses say about the document's version; 0 when nothing.
    pub(super) minimum_server_version: u32,
    /// How many marks the host has made. With the document's own count of changes, it says how
    /// far the host is; see [`LockerState::pending`].
    pub(super) marks: u64,
    /// The count of changes that must be saved at once.
    pub(super) forced: u64,
    /// The count of changes that is known to be in the storage.
    pub(super) saved: u64,
    waiters: Vec<Waiter>,
    /// How often there were too many waiters.
    refused_waits: u32,
    pub(super) lost: Option<Box<SaveData>>,
    /// Product credit was given or used, and that is not told yet.
    pub(super) has_credit_changes: bool,
    outputs: VecDeque<Output>,
    slot: u32,
    sequence: u32,
}

/// Getters.
impl LockerState {
    pub fn key(&self) -> &Arc<str> {
        &self.key
    }

    /// The users that the record belongs to, as far as they are known.
    pub fn user_ids(&self) -> &Arc<[Box<str>]> {
        &self.user_ids
    }

    /// What its log lines begin with.
    pub fn log_prefix(&self) -> String {
        match &self.log_prefix {
            Some(prefix) => prefix.to_string(),
            None => format!("{}[{}]", log::MODULE, self.key),
        }
    }

    pub fn data(&self) -> &Arc<SharedSaveData> {
        &self.data
    }

    pub fn status(&self) -> LoadStatus {
        self.status
    }

    pub fn minimum_server_version(&self) -> u32 {
        self.minimum_server_version
    }

    pub fn lost(&self) -> Option<&SaveData> {
        self.lost.as_deref()
    }

    /// Nothing held, nothing under way, and nothing wanted.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle) && !self.wanted
    }

    /// Idle, or not wanted before its first update, which begins everything.
    pub fn may_be_deleted(&self) -> bool {
        self.is_idle() || !self.has_begun && !self.wanted
    }

    /// Has a session or is on its way to one, and is not about to end it.
    pub fn is_live(&self) -> bool {
        let is_ending = match &self.phase {
            Phase::Held(held) => held.is_releasing(),
            Phase::Refused => true,
            _ => false,
        };
        self.is_wanted_by_host() && !is_ending
    }

    /// The save data is the player's, and the host has heard of it.
    pub fn is_loaded(&self) -> bool {
        self.status == LoadStatus::Loaded
    }

    /// Loaded, syncing, within the lease by either time, and not being released.
    pub fn is_available(&self, config: &Config, at: Moment) -> bool {
        let Phase::Held(held) = &self.phase else {
            return false;
        };
        let from = held.lease_from;
        // One of the two times that the clock has shown was wrong: it does not say what has passed.
        let has_run_back = at.monotonic < from.monotonic - config.lease_margin() / 2.0;
        self.may_be_available()
            && at.now < config.lease_end(from.now)
            && at.monotonic < config.lease_end(from.monotonic)
            && !has_run_back
    }

    /// Whether it is available while its lease lasts.
    pub fn may_be_available(&self) -> bool {
        let is_held = matches!(&self.phase, Phase::Held(held) if !held.is_releasing());
        is_held && self.wanted && self.is_loaded() && self.is_syncing
    }

    pub fn is_syncing(&self) -> bool {
        self.is_syncing
    }

    /// Whether its requests are answered without the storage.
    pub fn disables_apis(&self) -> bool {
        self.disable_apis
    }

    /// Whether a commit is under way or its fate is not known.
    pub fn has_unsettled_commit(&self) -> bool {
        match &self.phase {
            Phase::Acquire(acquire) => acquire.has_unsettled_commit(),
            Phase::Held(held) => held.has_unsettled_commit(),
            _ => false,
        }
    }

    pub fn is_held(&self) -> bool {
        matches!(self.phase, Phase::Held(_))
    }

    /// What it waits for a slot for.
    pub fn intent(&self, config: &Config) -> Option<Intent> {
        match &self.phase {
            Phase::Acquire(acquire) => acquire.intent(),
            Phase::Held(held) => held.intent(config),
            _ => None,
        }
    }

    /// The request whose reply it waits for.
    pub fn outstanding(&self) -> Option<RequestId> {
        match &self.phase {
            Phase::Acquire(acquire) => acquire.outstanding(),
            Phase::Held(held) => held.outstanding(),
            _ => None,
        }
    }

    /// When [`LockerState::handle_timeout`] wants to be called; infinite for never.
    pub fn deadline(&self) -> f64 {
        match &self.phase {
            Phase::Acquire(acquire) => acquire.deadline(),
            Phase::Held(held) => held.deadline(),
            _ => f64::INFINITY,
        }
    }

    /// The host's count of changes: it grows with each write and each mark, also across
    /// replacements of the document.
    pub fn pending(&self) -> u64 {
        self.data.changes().wrapping_add(self.marks)
    }

    /// Whether the host has changes that no stored commit contains.
    pub fn has_unsaved_changes(&self) -> bool {
        self.pending() > self.saved
    }

    /// The last sequence number used, for the locker that takes over the slot.
    pub fn sequence(&self) -> u32 {
        self.sequence
    }
}

/// Commands.
impl LockerState {
    /// A locker that wants nothing yet. `slot` and `sequence` make the ids of its requests.
    pub fn new(
        start: NewLocker,
        data: SaveData,
        verbose_logs: bool,
        (slot, sequence): (u32, u32),
    ) -> Self {
        let NewLocker {
            key,
            user_ids,
            log_prefix,
            disable_apis,
        } = start;
        let data = SharedSaveData::live(data);
        let saved = data.changes();
        Self {
            key,
            adopts_user_ids: user_ids.is_empty(),
            user_ids,
            data,
            status: LoadStatus::Loading,
            phase: Phase::Resetting {
                hook: None,
                reason: Reason::Released,
                left: Left::Unknown,
                in_doubt: None,
            },
            wanted: false,
            has_begun: false,
            use_keys: None,
            has_save_hooks: false,
            is_syncing: true,
            disable_apis,
            verbose_logs,
            log_prefix,
            minimum_server_version: 0,
            marks: 0,
            forced: 0,
            saved,
            waiters: Vec::new(),
            refused_waits: 0,
            lost: None,
            has_credit_changes: false,
            outputs: VecDeque::new(),
            slot,
            sequence,
        }
    }

    /// False: the host keeps the player's state elsewhere, and does not promise that it is in the
    /// save data by the next save. It stays as set, whatever becomes of the session.
    pub fn set_is_syncing(&mut self, is_syncing: bool) {
        self.is_syncing = is_syncing;
    }

    pub fn set_has_save_hooks(&mut self, has: bool) {
        self.has_save_hooks = has;
    }

    /// None stands for the default again.
    pub fn set_log_prefix(&mut self, prefix: Option<Box<str>>) {
        self.log_prefix = prefix;
    }

    /// Something has changed; it is in the next save.
    pub fn mark_should_save(&mut self) {
        self.marks += 1;
    }

    /// Something has changed; save it now.
    pub fn mark_force_save(&mut self) {
        self.marks += 1;
        self.forced = self.pending();
    }

    /// Lets a wait that is new wait for the changes made so far. False, and nothing is done, if too
    /// many wait already.
    #[must_use]
    pub fn wait_for(&mut self, connection: SavedConnection) -> bool {
        let target = self.pending();
        let is_live = matches!(self.phase, Phase::Acquire(_) | Phase::Held(_));
        if matches!(self.phase, Phase::Refused) || !self.wanted && !is_live {
            let outcome = unsaved(target, self.in_doubt());
            self.answer(connection, outcome);
        } else if self.is_held() && self.is_loaded() && target <= self.saved {
            self.answer(connection, SaveOutcome::Saved);
        } else {
            let is_waiting = |waiter: &Waiter| waiter.connection.is_connected();
            if self.waiters.len() >= WAITS_MAX {
                // Looking for given up ones each time would make a host that asks on slow.
                if self
                    .refused_waits
                    .is_multiple_of(WAITS_LOOKED_THROUGH_EVERY)
                {
                    self.waiters.retain(is_waiting);
                }
                self.refused_waits = self.refused_waits.wrapping_add(1);
            }
            if self.waiters.len() >= WAITS_MAX {
                return false;
            }
            add_pruned(&mut self.waiters, Waiter { connection, target }, is_waiting);
        }
        true
    }

    /// Answers a wait by hand, as the seed's `Trigger` does.
    pub fn trigger(&mut self, connection: SavedConnection, outcome: SaveOutcome) {
        self.waiters
            .retain(|waiter| !waiter.connection.is(&connection));
        self.answer(connection, outcome);
    }

    /// Answers what was waited for in a moment in which the key was wanted, and says farewell; see
    /// [`LockerState::may_be_deleted`].
    pub fn delete(&mut self) {
        self.answer_waiters(|_| Some(SaveOutcome::NotSaved));
        self.data.end();
        self.emit_lifecycle(Lifecycle::Deleted);
    }

    /// The store is going away: answers what still waits. Changes in a commit of unknown fate are
    /// unknown; all others were not saved.
    pub fn abandon(&mut self) {
        self.answer_unsaved(self.in_doubt());
    }
}

/// What arrives.
impl LockerState {
    /// The intent may go ahead: requests or hooks come out.
    pub fn handle_grant(&mut self, cx: &mut Context<'_>) {
        match &self.phase {
            Phase::Acquire(_) => self.acquire_granted(cx),
            Phase::Held(_) => self.hold_granted(cx),
            _ => {}
        }
    }

    /// A reply; one that is not outstanding is dropped.
    pub fn handle_reply(
        &mut self,
        id: RequestId,
        result: Result<Outcome, StorageError>,
        clock: Option<f64>,
        cx: &mut Context<'_>,
    ) {
        match &self.phase {
            _ if self.outstanding() != Some(id) => {}
            Phase::Acquire(_) => self.acquire_replied(result, clock, cx),
            Phase::Held(_) => self.hold_replied(result, cx),
            _ => {}
        }
    }

    /// A hook's result, dropped if the locker has moved on.
    pub fn handle_hook_result(&mut self, id: HookId, result: HookResult, cx: &mut Context<'_>) {
        match (&self.phase, result) {
            (
                &Phase::Resetting {
                    hook: Some(hook),
                    reason,
                    left,
                    ..
                },
                HookResult::Created(made),
            ) if hook == id => {
                let data = made.unwrap_or_else(|message| {
                    self.report(ErrorReport::script(Activity::Create, message));
                    SaveData::default()
                });
                self.reset_done(data, reason, left);
            }
            (Phase::Acquire(acquire), result) if acquire.hook() == Some(id) => {
                self.draft_made(result, cx);
            }
            (Phase::Held(held), result) if held.hook() == Some(id) => {
                self.hold_hook_done(result, cx);
            }
            _ => {}
        }
    }

    /// [`LockerState::deadline`] has come.
    pub fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        match &self.phase {
            Phase::Acquire(_) => self.acquire_timed_out(cx),
            Phase::Held(_) => self.hold_timed_out(cx),
            _ => {}
        }
    }

    /// Goes on from where the phase stands to what the host wants.
    pub fn evaluate(&mut self, cx: &mut Context<'_>) {
        self.tell_credit_changes();
        if let Phase::Resetting {
            hook: None,
            reason,
            left,
            ..
        } = self.phase
        {
            self.reset(reason, left, cx);
        }
        match &self.phase {
            Phase::Released(_) | Phase::Idle if self.wanted => self.start_acquiring(cx),
            Phase::Released(_) => self.come_to_rest(cx),
            Phase::Refused if !self.wanted => self.come_to_rest(cx),
            // Others of this server may try their luck.
            Phase::Refused => cx.claims.release(&self.key, self.slot),
            // It may have wanted the key for a moment.
            Phase::Idle => cx.claims.release(&self.key, self.slot),
            Phase::Acquire(_) => self.evaluate_acquire(cx),
            Phase::Held(_) => self.evaluate_hold(cx),
            _ => {}
        }
    }

    /// What comes out, in order.
    pub fn poll(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front();
        if self.outputs.is_empty() && self.outputs.capacity() > 0 {
            // An idle locker keeps no buffer.
            self.outputs = VecDeque::new();
        }
        output
    }
}

/// What the phases share.
impl LockerState {
    pub(super) fn request(&mut self, operation: Operation) -> RequestId {
        let id = RequestId(self.next_id());
        self.outputs.push_back(Output::Request(id, operation));
        id
    }

    pub(super) fn call_hook(&mut self, call: HookCall) -> HookId {
        let id = HookId(self.next_id());
        self.outputs.push_back(Output::Hook(id, call));
        id
    }

    pub(super) fn emit(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    pub(super) fn emit_lifecycle(&mut self, lifecycle: Lifecycle) {
        self.emit(Event::Lifecycle(lifecycle));
    }

    pub(super) fn report(&mut self, report: ErrorReport) {
        self.emit(Event::Error(report));
    }

    /// Says a step of the session, with verbose logs.
    pub(super) fn log(&mut self, step: impl FnOnce(&Self) -> String) {
        if self.verbose_logs {
            let line = format!("{} {}", self.log_prefix(), step(self));
            self.outputs.push_back(Output::Log(line));
        }
    }

    pub(super) fn set_status(&mut self, status: LoadStatus) {
        if self.status != status {
            self.status = status;
            self.log(|_| format!("the load status is now: {status}"));
            self.emit(Event::LoadStatusChanged(status));
        }
    }

    /// Replaces the save data by the default one, which the create hook may have to make first.
    pub(super) fn reset(&mut self, reason: Reason, left: Left, cx: &mut Context<'_>) {
        match cx.template {
            // It stands there from the beginning, and the host may have written to it.
            Some(_) if !self.has_begun => self.tell_reset(reason, left),
            Some(template) => self.reset_done(template.clone(), reason, left),
            None if self.keeps_data() => self.reset_done(SaveData::default(), reason, left),
            None => {
                let called = self.call_hook(HookCall::Create);
                if let Phase::Resetting { hook, .. } = &mut self.phase {
                    *hook = Some(called);
                }
            }
        }
    }

    fn reset_done(&mut self, data: SaveData, reason: Reason, left: Left) {
        self.replace_data(data);
        self.tell_reset(reason, left);
    }

    fn tell_reset(&mut self, reason: Reason, left: Left) {
        self.has_begun = true;
        self.emit_lifecycle(Lifecycle::Replaced(reason));
        let (phase, status) = match left {
            Left::Nothing => (Phase::Refused, LoadStatus::Erased),
            Left::Record | Left::Unknown => (Phase::Released(left), LoadStatus::Loading),
        };
        self.phase = phase;
        self.set_status(status);
    }

    /// Puts another document in place, which has no unsaved changes yet; who waits for a change of
    /// the one before, which it gives back, is told that it is gone. A host thread may write to the
    /// new one from the very next moment. One that is kept only notes whose session it is now.
    pub(super) fn replace_data(&mut self, data: SaveData) -> Option<SaveData> {
        let (before, changes) = if self.keeps_data() {
            self.data.with(|kept, changes| {
                kept.reserved_mut().session = data.reserved().session.clone();
                (None, changes)
            })
        } else {
            let (saved, in_doubt) = (self.saved, self.in_doubt());
            self.answer_waiters(|target| (target > saved).then_some(unsaved(target, in_doubt)));
            let (before, changes) = self.data.replace(data);
            (Some(before), changes)
        };
        self.saved = changes.wrapping_add(self.marks);
        self.forced = 0;
        before
    }

    /// With the APIs disabled, a document is kept once it has been made: only those are versioned.
    pub(super) fn keeps_data(&self) -> bool {
        self.disable_apis && self.data.with(|data, _| data.version() > 0)
    }

    /// Gives up the claim on the key, answers who still waits, and is idle.
    pub(super) fn come_to_rest(&mut self, cx: &mut Context<'_>) {
        cx.claims.release(&self.key, self.slot);
        self.phase = Phase::Idle;
        self.answer_waiters(|_| Some(SaveOutcome::NotSaved));
        self.set_status(LoadStatus::Loading);
        self.emit_lifecycle(Lifecycle::Idling);
    }

    pub(super) fn slot(&self) -> u32 {
        self.slot
    }

    /// Answers every waiter for whose count of changes `outcome` has an answer.
    pub(super) fn answer_waiters(&mut self, outcome: impl Fn(u64) -> Option<SaveOutcome>) {
        if self.waiters.is_empty() {
            return;
        }
        let mut still_waiting = Vec::new();
        for waiter in std::mem::take(&mut self.waiters) {
            match outcome(waiter.target) {
                Some(outcome) => self.answer(waiter.connection, outcome),
                None => still_waiting.push(waiter),
            }
        }
        self.waiters = still_waiting;
    }

    /// The count of changes that may be saved or not; none if there are no such changes.
    fn in_doubt(&self) -> Option<u64> {
        match &self.phase {
            Phase::Held(held) => held.in_doubt(),
            Phase::Resetting { in_doubt, .. } => *in_doubt,
            _ => None,
        }
    }

    /// Answers all who wait: the changes up to the count `in_doubt` may be saved or not, later ones are not.
    pub(super) fn answer_unsaved(&mut self, in_doubt: Option<u64>) {
        self.answer_waiters(|target| Some(unsaved(target, in_doubt)));
    }

    fn answer(&mut self, connection: SavedConnection, outcome: SaveOutcome) {
        if connection.answer(outcome) && !connection.is_silent() {
            self.emit(Event::ChangesSaved(connection, outcome));
        }
    }

    fn next_id(&mut self) -> u64 {
        self.sequence = self.sequence.wrapping_add(1);
        u64::from(self.slot) << 32 | u64::from(self.sequence)
    }
}

/// How a wait for so many changes ends that no commit known to be stored contains.
fn unsaved(target: u64, in_doubt: Option<u64>) -> SaveOutcome {
    match Some(target) <= in_doubt {
        true => SaveOutcome::Unknown,
        false => SaveOutcome::NotSaved,
    }
}

/// A fetch that was answered with something else: an engine's mistake, treated as a failure.
pub(crate) fn fetched(result: Result<Outcome, StorageError>) -> Result<Fetched, StorageError> {
    match result {
        Ok(Outcome::Fetched(fetched)) => Ok(fetched),
        Ok(other) => Err(unexpected("a fetch", &other)),
        Err(error) => Err(error),
    }
}

/// What came of a commit.
pub(crate) enum Committed {
    Stored(crate::storage::Revision),
    Conflict,
    Unknown(StorageError),
}

pub(crate) fn committed(result: Result<Outcome, StorageError>) -> Committed {
    match result {
        Ok(Outcome::Committed(revision)) => Committed::Stored(revision),
        Ok(Outcome::Conflict) => Committed::Conflict,
        Ok(other) => Committed::Unknown(unexpected("a commit", &other)),
        Err(error) => Committed::Unknown(error),
    }
}

fn unexpected(asked: &str, got: &Outcome) -> StorageError {
    let message = format!("the storage engine answered {asked} with {got:?}");
    StorageError::new(RequestErrorKind::Script, message)
}

pub(crate) fn timed_out(config: &Config) -> StorageError {
    let message = format!(
        "no answer from the storage within {} s",
        config.request_timeout
    );
    StorageError::new(RequestErrorKind::Backend, message)
}
