//! Holding a key: saving, settling what is not known, releasing, and losing it.
//!
//! A save is one commit, numbered within the session. A release is the last save with `Session`
//! removed. After a commit that failed or was not answered, a fetch asks `Saves` whether it was
//! written, before anything is called lost.

use std::sync::Arc;

use bytes::Bytes;

use crate::save_data::{Reserved, SaveData, SaveMark};
use crate::storage::{Expected, Fetched, Operation, Outcome, RequestId, Revision, StorageError};

use super::acquire::new_session;
use super::config::Config;
use super::event::{Activity, ErrorReport, Event, Lifecycle, Reason, SaveOutcome};
use super::inbox::{self, Inbox};
use super::lease;
use super::state::{
    Committed, Context, HookCall, HookId, HookResult, Intent, Left, LockerState, Phase, committed,
    fetched, timed_out,
};
use super::time::Moment;

/// After so many conflicts in a row a save waits like one that failed, so that a frame ends even
/// on a storage where the key never stands still.
pub(super) const CONFLICTS_AT_ONCE: u32 = 16;

/// How many sessions' saves a document remembers. Beyond that it does not tell what became of a commit.
const SAVES_REMEMBERED: usize = 8;

/// A commit known to be in the storage.
pub(super) struct Stored {
    pub lock_id: u64,
    pub revision: Revision,
    /// When it was handed over; the lease runs from here.
    pub sent_at: Moment,
}

/// A session that is ours.
#[derive(Debug)]
pub(super) struct Held {
    lock_id: u64,
    /// The revision of the last commit known to be stored.
    revision: Revision,
    /// The highest save number given out.
    number: u64,
    /// When the last commit known to be stored was handed over.
    pub(super) lease_from: Moment,
    next_autosave: f64,
    /// Failures in a row.
    failures: u32,
    /// Conflicts in a row.
    conflicts: u32,
    /// No commit goes out before this: commits fail, and wait longer each time.
    commit_from: f64,
    /// The release is in the storage, but the key is taken again: until that is stored, it could
    /// be anyone's.
    is_free: bool,
    /// Commits of unknown fate, oldest first. All expect `revision`, so at most one was written.
    unsettled: Vec<Attempt>,
    /// None for a host that takes no remote changes.
    pub(super) inbox: Option<Box<Inbox>>,
    /// The save data from before the load, as long as it is to be merged.
    pub(super) offline: Option<Box<SaveData>>,
    pub(super) step: Step,
}

/// A commit handed over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    number: u64,
    /// The count of changes it contains.
    covers: u64,
    sent_at: Moment,
    releases: bool,
}

#[derive(Debug)]
pub(super) enum Step {
    /// Nothing to do until the next autosave, or until a remote change is offered again.
    Resting,
    /// `urgent` is the retry after a conflict: it goes at once, and the hooks have run.
    SaveQueued {
        urgent: bool,
    },
    BeforeSave {
        hook: HookId,
        transform: bool,
    },
    /// Remote changes wait to be offered; a save that is due goes first.
    OfferQueued,
    Offering {
        hook: HookId,
    },
    /// The host merges what it wrote before the load.
    Merging {
        hook: HookId,
    },
    Committing {
        request: RequestId,
        attempt: Attempt,
        until: f64,
    },
    /// Finds out what became of the unsettled commits, or who is in the way.
    FetchQueued {
        urgent: bool,
    },
    Fetching {
        request: RequestId,
        conflict: bool,
        until: f64,
    },
    /// The storage fails: waits, then fetches or saves.
    Cooldown {
        until: f64,
        then_fetch: bool,
    },
    /// A before-save hook failed: waits, then saves.
    PutOff {
        until: f64,
    },
}

impl Held {
    pub fn intent(&self, config: &Config) -> Option<Intent> {
        match self.step {
            Step::SaveQueued { urgent: true } | Step::FetchQueued { urgent: true } => {
                Some(Intent::Urgent)
            }
            Step::SaveQueued { .. } | Step::FetchQueued { .. } => Some(Intent::Save {
                lease_end: config.lease_end(self.lease_from.now),
            }),
            Step::OfferQueued => Some(Intent::Load),
            _ => None,
        }
    }

    pub fn outstanding(&self) -> Option<RequestId> {
        match self.step {
            Step::Committing { request, .. } | Step::Fetching { request, .. } => Some(request),
            _ => None,
        }
    }

    pub fn hook(&self) -> Option<HookId> {
        match self.step {
            Step::BeforeSave { hook, .. } | Step::Offering { hook } | Step::Merging { hook } => {
                Some(hook)
            }
            _ => None,
        }
    }

    pub fn deadline(&self) -> f64 {
        match self.step {
            Step::Resting => self.next_autosave.min(self.next_retry()),
            Step::OfferQueued => self.next_autosave,
            Step::Committing { until, .. }
            | Step::Fetching { until, .. }
            | Step::Cooldown { until, .. }
            | Step::PutOff { until } => until,
            _ => f64::INFINITY,
        }
    }

    /// Whether a commit that gives up the key may be on its way.
    pub fn is_releasing(&self) -> bool {
        self.attempts().any(|attempt| attempt.releases)
    }

    pub fn has_unsettled_commit(&self) -> bool {
        self.attempts().next().is_some()
    }

    /// The count of changes that commits of unknown fate contain; none where there is no such commit.
    pub fn in_doubt(&self) -> Option<u64> {
        self.attempts().map(|attempt| attempt.covers).max()
    }

    fn next_retry(&self) -> f64 {
        let inbox = self.inbox.as_deref();
        inbox.map_or(f64::INFINITY, Inbox::retry_at)
    }

    fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        let in_flight = match &self.step {
            Step::Committing { attempt, .. } => Some(attempt),
            _ => None,
        };
        self.unsettled.iter().chain(in_flight)
    }
}

impl LockerState {
    /// The key is ours: the draft becomes the save data.
    pub(super) fn hold(&mut self, draft: SaveData, stored: Stored, cx: &mut Context<'_>) {
        let spread = 1.0 - cx.rng.f64();
        let autosave = cx.at.now + spread * cx.config.maintain_session_period;
        // An acquire that was found late has little lease left, or none.
        let last_call = cx.config.last_call(stored.sent_at.now);
        self.phase = Phase::Held(Box::new(Held {
            lock_id: stored.lock_id,
            revision: stored.revision,
            number: 0,
            lease_from: stored.sent_at,
            next_autosave: autosave.min(last_call),
            failures: 0,
            conflicts: 0,
            commit_from: 0.0,
            is_free: false,
            unsettled: Vec::new(),
            inbox: None,
            offline: None,
            step: Step::Resting,
        }));
        self.log(|_| "acquired the session".to_owned());
        self.load(draft, cx);
    }

    pub(super) fn evaluate_hold(&mut self, cx: &mut Context<'_>) {
        // What else wants the session, such as a purchase, is not kept waiting for a hook.
        let is_wanted_by_host = self.is_wanted_by_host();
        let Phase::Held(held) = &mut self.phase else {
            return;
        };
        let is_due = match held.step {
            Step::Resting | Step::OfferQueued => {
                !self.wanted || self.forced > self.saved || cx.at.now >= held.next_autosave
            }
            Step::PutOff { .. } => !is_wanted_by_host,
            _ => false,
        };
        if is_due {
            held.step = Step::SaveQueued { urgent: false };
        } else if matches!(held.step, Step::Resting) {
            self.evaluate_inbox(cx);
        }
    }

    pub(super) fn hold_granted(&mut self, cx: &mut Context<'_>) {
        // A host that has not heard of the load has nothing to add to the save data.
        let has_save_hooks = self.has_save_hooks && self.is_loaded();
        let Phase::Held(held) = &mut self.phase else {
            return;
        };
        match held.step {
            Step::SaveQueued { urgent: false } if has_save_hooks => {
                self.call_save_hook(false);
            }
            Step::OfferQueued => self.offer_changes(),
            Step::SaveQueued { .. } => self.commit_save(cx),
            Step::FetchQueued { urgent } => {
                let request = self.request(Operation::Fetch {
                    key: Arc::clone(&self.key),
                });
                let until = cx.at.now + cx.config.request_timeout;
                self.hold_step(Step::Fetching {
                    request,
                    conflict: urgent,
                    until,
                });
            }
            _ => {}
        }
    }

    pub(super) fn hold_replied(
        &mut self,
        result: Result<Outcome, StorageError>,
        cx: &mut Context<'_>,
    ) {
        let Phase::Held(held) = &mut self.phase else {
            return;
        };
        match held.step {
            Step::Committing { attempt, .. } => match committed(result) {
                Committed::Stored(revision) => {
                    held.revision = revision;
                    held.step = Step::Resting;
                    self.stored(attempt);
                    if attempt.releases {
                        self.finish_release(Left::Record, cx);
                    }
                }
                Committed::Conflict => self.save_conflicted(cx),
                Committed::Unknown(error) => self.save_failed(error, attempt, cx),
            },
            Step::Fetching { conflict, .. } => match fetched(result) {
                Ok(fetched) => self.hold_fetched(fetched, conflict, cx),
                Err(error) => self.settling_failed(error, cx),
            },
            _ => {}
        }
    }

    pub(super) fn hold_timed_out(&mut self, cx: &mut Context<'_>) {
        let Phase::Held(held) = &mut self.phase else {
            return;
        };
        match held.step {
            Step::Committing { attempt, .. } => {
                self.save_failed(timed_out(cx.config), attempt, cx);
            }
            Step::Fetching { .. } => self.settling_failed(timed_out(cx.config), cx),
            Step::Cooldown {
                then_fetch: true, ..
            } => {
                held.step = Step::FetchQueued { urgent: false };
            }
            Step::Cooldown { .. } | Step::PutOff { .. } => {
                held.step = Step::SaveQueued { urgent: false };
            }
            // The autosave: `evaluate` sees that it is due.
            _ => {}
        }
    }

    pub(super) fn hold_hook_done(&mut self, result: HookResult, cx: &mut Context<'_>) {
        match result {
            HookResult::BeforeSave(result) => self.save_hook_done(result, cx),
            HookResult::Offered(offered) => self.changes_offered(offered, cx),
            HookResult::OfflineMerged(result) => self.offline_merged(result),
            HookResult::Created(_) | HookResult::Migrated(_) => {}
        }
    }

    fn save_hook_done(&mut self, result: Result<(), String>, cx: &mut Context<'_>) {
        let is_wanted_by_host = self.is_wanted_by_host();
        let Phase::Held(held) = &mut self.phase else {
            return;
        };
        let Step::BeforeSave { transform, .. } = held.step else {
            return;
        };
        match result {
            Ok(()) if transform => self.commit_save(cx),
            Ok(()) => self.call_save_hook(true),
            Err(message) => {
                let last_call = cx.config.last_call(held.lease_from.now);
                let may_wait = is_wanted_by_host && cx.at.now < last_call;
                let until = (cx.at.now + cx.config.session_retry_cooldown).min(last_call);
                if may_wait {
                    held.step = Step::PutOff { until };
                }
                self.report(ErrorReport::script(Activity::BeforeSave, message));
                if !may_wait {
                    // The document is as it stood before the hook.
                    self.commit_save(cx);
                }
            }
        }
    }

    fn call_save_hook(&mut self, transform: bool) {
        let data = Arc::clone(&self.data);
        let call = match transform {
            false => HookCall::BeforeSave(data),
            true => HookCall::BeforeSaveTransform(data),
        };
        let hook = self.call_hook(call);
        self.hold_step(Step::BeforeSave { hook, transform });
    }

    /// Writes the document out as it stands; without `Session` if the key is no longer wanted.
    fn commit_save(&mut self, cx: &mut Context<'_>) {
        let releases = !self.wanted;
        let marks = self.marks;
        let Phase::Held(held) = &mut self.phase else {
            return;
        };
        held.number += 1;
        held.next_autosave = next_beat(held.next_autosave, cx);
        let session = new_session(held.lock_id, cx);
        let (lock_id, number) = (held.lock_id, held.number);
        let (bytes, covers) = self.data.with(|data, changes| {
            let reserved = data.reserved_mut();
            stamp_saves(&mut reserved.saves, lock_id, number);
            inbox::prune_received(reserved, cx);
            let bytes = data.encode((!releases).then_some(&session));
            data.reserved_mut().session = Some(session);
            (bytes, changes.wrapping_add(marks))
        });
        let (key, user_ids) = (Arc::clone(&self.key), Arc::clone(&self.user_ids));
        let expected = Expected::Present(held.revision.clone());
        let request = self.request(Operation::Commit {
            key,
            expected,
            bytes,
            user_ids,
        });
        let attempt = Attempt {
            number,
            covers,
            sent_at: cx.at,
            releases,
        };
        let until = cx.at.now + cx.config.request_timeout;
        self.hold_step(Step::Committing {
            request,
            attempt,
            until,
        });
    }

    /// The attempt is in the storage, and whatever was unsettled before it is not, or is in it.
    fn stored(&mut self, attempt: Attempt) {
        let Phase::Held(held) = &mut self.phase else {
            return;
        };
        held.lease_from = attempt.sent_at;
        held.failures = 0;
        held.conflicts = 0;
        held.commit_from = 0.0;
        held.unsettled = Vec::new();
        held.is_free = attempt.releases;
        if let Some(inbox) = &mut held.inbox {
            inbox.stored();
        }
        self.saved = self.saved.max(attempt.covers);
        self.log(|_| format!("saved (save {} of the session)", attempt.number));
        self.emit_lifecycle(Lifecycle::Saved);
        let saved = self.saved;
        self.answer_waiters(|target| (target <= saved).then_some(SaveOutcome::Saved));
    }

    /// Somebody else has written: a fetch will tell who, and the save goes again at once.
    fn save_conflicted(&mut self, cx: &mut Context<'_>) {
        let Phase::Held(held) = &mut self.phase else {
            return;
        };
        held.conflicts += 1;
        held.step = Step::FetchQueued { urgent: true };
        if held.conflicts.is_multiple_of(CONFLICTS_AT_ONCE) {
            held.failures += 1;
            held.step = Step::Cooldown {
                until: cx.retry_at(held.failures),
                then_fetch: true,
            };
        }
    }

    fn save_failed(&mut self, error: StorageError, attempt: Attempt, cx: &mut Context<'_>) {
        let Phase::Held(held) = &mut self.phase else {
            return;
        };
        held.unsettled.push(attempt);
        held.failures += 1;
        held.commit_from = cx.retry_at(held.failures);
        held.step = Step::FetchQueued { urgent: false };
        self.report(ErrorReport::storage(Activity::Save, error));
    }

    fn settling_failed(&mut self, error: StorageError, cx: &mut Context<'_>) {
        let Phase::Held(held) = &mut self.phase else {
            return;
        };
        held.failures += 1;
        let until = cx.retry_at(held.failures);
        held.step = Step::Cooldown {
            until,
            then_fetch: true,
        };
        self.report(ErrorReport::storage(Activity::Save, error));
    }

    fn hold_fetched(&mut self, fetched: Fetched, conflict: bool, cx: &mut Context<'_>) {
        match fetched {
            Fetched::Absent { .. } => self.lose(Left::Nothing, None, cx),
            Fetched::Present {
                bytes, revision, ..
            } => {
                self.hold_found(bytes, revision, conflict, cx);
            }
        }
    }

    fn hold_found(
        &mut self,
        bytes: Bytes,
        revision: Revision,
        conflict: bool,
        cx: &mut Context<'_>,
    ) {
        let Phase::Held(held) = &mut self.phase else {
            return;
        };
        let mut in_doubt = held.in_doubt();
        let found = match SaveData::parse(bytes, cx.config.document_limit_bytes) {
            Ok(found) => found,
            Err(error) => {
                self.report(ErrorReport::script(Activity::Save, error.to_string()));
                return self.lose(Left::Record, in_doubt, cx);
            }
        };
        let reserved = found.reserved();
        let lock_id = held.lock_id;
        let has_moved = revision != held.revision;
        let was_free = held.is_free;
        let mut landed = None;
        if has_moved {
            let written = lease::save_number(reserved, lock_id);
            if written.is_some() || reserved.saves.len() < SAVES_REMEMBERED {
                in_doubt = None;
            }
            let unsettled = std::mem::take(&mut held.unsettled);
            landed = unsettled
                .into_iter()
                .rfind(|attempt| Some(attempt.number) <= written);
        }
        let released = landed.is_some_and(|attempt| attempt.releases);
        if let Some(attempt) = landed {
            self.stored(attempt);
        }
        let owner = reserved.session.as_ref().map(|session| session.lock_id);
        let ours_was_last = reserved
            .saves
            .last()
            .is_some_and(|mark| mark.lock_id == lock_id);
        let has_more = self.wanted || self.has_unsaved_changes();
        if owner == Some(lock_id) {
            self.still_held(
                reserved,
                revision,
                (conflict, has_moved, landed.is_some()),
                cx,
            );
        } else if owner.is_none() && ours_was_last && (has_more || !released) {
            self.take_again(reserved, revision, has_moved);
        } else if released || (was_free && !self.has_unsaved_changes()) {
            self.finish_release(Left::Record, cx);
        } else {
            self.lose(Left::Record, in_doubt, cx);
        }
    }

    /// The session in the storage is ours. What is unsaved is committed again: at once if the key
    /// has moved, for then the fate of everything is known; otherwise after the cooldown, against
    /// the same revision, which fences off what is unsettled.
    fn still_held(
        &mut self,
        found: &Reserved,
        revision: Revision,
        (conflict, has_moved, landed): (bool, bool, bool),
        cx: &mut Context<'_>,
    ) {
        self.take_over(found);
        let is_done = landed && self.wanted && !self.has_unsaved_changes();
        let Phase::Held(held) = &mut self.phase else {
            return;
        };
        held.revision = revision;
        if conflict && !has_moved {
            // The engine contradicts itself; ask it again, but not in a circle.
            held.failures += 1;
            held.commit_from = cx.retry_at(held.failures);
        }
        held.step = match (is_done, has_moved) {
            (true, _) => Step::Resting,
            (false, true) => Step::SaveQueued { urgent: true },
            (false, false) => Step::Cooldown {
                until: held.commit_from,
                then_fetch: false,
            },
        };
    }

    /// The key is free and our save was the last on it: it is taken again, with our data. If it has
    /// not moved since the last try, that try has failed, and the next waits.
    fn take_again(&mut self, found: &Reserved, revision: Revision, has_moved: bool) {
        self.take_over(found);
        let Phase::Held(held) = &mut self.phase else {
            return;
        };
        held.revision = revision;
        held.is_free = true;
        held.lease_from = Moment::LONG_AGO;
        held.step = match has_moved {
            true => Step::SaveQueued { urgent: true },
            false => Step::Cooldown {
                until: held.commit_from,
                then_fetch: false,
            },
        };
    }

    fn finish_release(&mut self, left: Left, cx: &mut Context<'_>) {
        self.log(|_| "released the session".to_owned());
        self.end_session(Reason::Released, left, None, cx);
    }

    /// The key is another's, or the record is gone. What was not saved stays readable. The changes up to
    /// the count `in_doubt` may be saved or not: the record does not tell.
    fn lose(&mut self, left: Left, in_doubt: Option<u64>, cx: &mut Context<'_>) {
        let unsaved = self.data.with(|data, _| data.clone());
        self.log(|locker| {
            let to = match left {
                Left::Nothing => "the record was erased",
                Left::Record | Left::Unknown => "the record is another's",
            };
            let unsaved = locker.has_unsaved_changes();
            format!("lost the session: {to}; unsaved changes: {unsaved}")
        });
        self.lost = Some(Box::new(unsaved.clone()));
        self.emit(Event::Lost(Box::new(unsaved)));
        self.end_session(Reason::Lost, left, in_doubt, cx);
    }

    fn end_session(
        &mut self,
        reason: Reason,
        left: Left,
        in_doubt: Option<u64>,
        cx: &mut Context<'_>,
    ) {
        if let Phase::Held(held) = &self.phase {
            cx.claims.forget(held.lock_id);
        }
        self.answer_unsaved(in_doubt);
        self.phase = Phase::Resetting {
            hook: None,
            reason,
            left,
            in_doubt,
        };
    }

    pub(super) fn hold_step(&mut self, step: Step) {
        if let Phase::Held(held) = &mut self.phase {
            held.step = step;
        }
    }
}

/// The first beat of the autosave after now; the session keeps its phase.
fn next_beat(beat: f64, cx: &Context<'_>) -> f64 {
    let period = cx.config.maintain_session_period;
    if beat > cx.at.now {
        return beat;
    }
    let missed = ((cx.at.now - beat) / period).floor();
    let next = beat + (missed + 1.0) * period;
    // So far from the epoch that the period is lost in rounding.
    if next > cx.at.now {
        next
    } else {
        cx.at.now + period
    }
}

/// Notes a session's highest save, newest last, and drops the oldest session's beyond the limit.
pub(super) fn stamp_saves(saves: &mut Vec<SaveMark>, lock_id: u64, number: u64) {
    match saves.last_mut() {
        Some(mark) if mark.lock_id == lock_id => mark.number = number,
        _ => saves.push(SaveMark { lock_id, number }),
    }
    let excess = saves.len().saturating_sub(SAVES_REMEMBERED);
    saves.drain(..excess);
}
