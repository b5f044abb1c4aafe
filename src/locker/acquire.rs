//! Acquiring a key: fetch, draft, commit the draft with our session in it.
//!
//! A document that cannot be understood is never written and never locked. An acquire whose
//! answer was lost is recognised by its lock id, which stays the same until the acquisition is
//! settled; so the server never waits on a lock of its own.

use std::sync::Arc;

use bytes::Bytes;

use crate::migration::MigrationError;
use crate::save_data::{SaveData, Session};
use crate::seen::Seen;
use crate::storage::{Expected, Fetched, Operation, Outcome, RequestId, Revision, StorageError};

use super::config::Config;
use super::event::{Activity, ErrorReport, LoadStatus, SaveOutcome};
use super::hold::{self, CONFLICTS_AT_ONCE, Stored};
use super::lease;
use super::state::{
    Committed, Context, HookCall, HookId, HookResult, Intent, Left, LockerState, Phase, committed,
    fetched, timed_out,
};
use super::time::{Moment, WatchTime};

/// One acquisition, from wanting the key to holding it or being refused.
#[derive(Debug)]
pub(super) struct Acquire {
    /// Drawn with the first commit; 0 before.
    lock_id: u64,
    /// Failures in a row.
    failures: u32,
    /// Conflicts so far.
    conflicts: u32,
    /// No commit goes out before this: commits fail, and wait longer each time.
    commit_from: f64,
    /// A commit was handed over whose fate is not known: what it expected, and when it went.
    unsettled: Option<Attempt>,
    /// What was in it. The next attempt at the same revision takes it too: a hook that failed on what
    /// it has drafted before would leave the commit unsettled for ever.
    unsettled_draft: Option<Box<SaveData>>,
    /// What was seen of the record since the host last asked for it.
    seen: Option<Seen>,
    step: Step,
}

/// A commit handed over. All unsettled ones of an acquisition expect the same revision, so at
/// most one of them is ever written, and they are one attempt.
#[derive(Clone, Debug)]
struct Attempt {
    expected: Expected,
    /// When the first of them was handed over: the lease cannot have begun earlier.
    sent_at: Moment,
}

#[derive(Debug)]
enum Step {
    /// Behind another locker of this server that has the key.
    Behind,
    /// Waits before asking again.
    Cooldown {
        until: f64,
    },
    FetchQueued {
        urgent: bool,
    },
    Fetching {
        request: RequestId,
        sent_at: WatchTime,
        until: f64,
    },
    /// A hook creates or migrates the document.
    Drafting {
        hook: HookId,
        expected: Expected,
    },
    CommitQueued {
        draft: Box<SaveData>,
        expected: Expected,
    },
    Committing {
        request: RequestId,
        draft: Box<SaveData>,
        expected: Expected,
        sent_at: Moment,
        until: f64,
    },
}

impl Acquire {
    pub fn intent(&self) -> Option<Intent> {
        match self.step {
            Step::FetchQueued { urgent: true } => Some(Intent::Urgent),
            Step::FetchQueued { .. } | Step::CommitQueued { .. } => Some(Intent::Load),
            _ => None,
        }
    }

    pub fn outstanding(&self) -> Option<RequestId> {
        match self.step {
            Step::Fetching { request, .. } | Step::Committing { request, .. } => Some(request),
            _ => None,
        }
    }

    pub fn hook(&self) -> Option<HookId> {
        match self.step {
            Step::Drafting { hook, .. } => Some(hook),
            _ => None,
        }
    }

    pub fn deadline(&self) -> f64 {
        match self.step {
            Step::Cooldown { until }
            | Step::Fetching { until, .. }
            | Step::Committing { until, .. } => until,
            _ => f64::INFINITY,
        }
    }

    /// The host asks anew: a record that is gone is to be made again.
    pub fn forget_seen(&mut self) {
        self.seen = None;
    }

    pub fn has_unsettled_commit(&self) -> bool {
        self.unsettled.is_some() || matches!(self.step, Step::Committing { .. })
    }
}

impl LockerState {
    pub(super) fn start_acquiring(&mut self, cx: &mut Context<'_>) {
        self.minimum_server_version = 0;
        self.log(|_| "acquires the session".to_owned());
        self.set_status(LoadStatus::Loading);
        let claimed = cx.claims.claim(&self.key, self.slot());
        let step = if claimed {
            Step::FetchQueued { urgent: false }
        } else {
            Step::Behind
        };
        if !claimed {
            self.set_status(LoadStatus::SessionIsLocked);
        }
        let was_there = matches!(self.phase, Phase::Released(Left::Record));
        let acquire = Acquire {
            lock_id: 0,
            failures: 0,
            conflicts: 0,
            commit_from: 0.0,
            unsettled: None,
            unsettled_draft: None,
            seen: was_there.then_some(Seen::Record),
            step,
        };
        self.phase = Phase::Acquire(Box::new(acquire));
    }

    pub(super) fn evaluate_acquire(&mut self, cx: &mut Context<'_>) {
        let Phase::Acquire(acquire) = &mut self.phase else {
            return;
        };
        if !self.wanted && !acquire.has_unsettled_commit() {
            self.stop_acquiring(cx);
        } else if matches!(acquire.step, Step::Behind) && cx.claims.claim(&self.key, self.slot()) {
            self.acquire_step(Step::FetchQueued { urgent: false });
        }
    }

    pub(super) fn acquire_granted(&mut self, cx: &mut Context<'_>) {
        let until = cx.at.now + cx.config.request_timeout;
        let Phase::Acquire(acquire) = &mut self.phase else {
            return;
        };
        match std::mem::replace(&mut acquire.step, Step::Behind) {
            Step::FetchQueued { .. } => {
                let request = self.request(Operation::Fetch {
                    key: Arc::clone(&self.key),
                });
                self.acquire_step(Step::Fetching {
                    request,
                    sent_at: cx.watched_at,
                    until,
                });
            }
            Step::CommitQueued { draft, expected } => self.commit_draft(draft, expected, cx),
            step => acquire.step = step,
        }
    }

    pub(super) fn acquire_replied(
        &mut self,
        result: Result<Outcome, StorageError>,
        clock: Option<f64>,
        cx: &mut Context<'_>,
    ) {
        let Phase::Acquire(acquire) = &mut self.phase else {
            return;
        };
        match std::mem::replace(&mut acquire.step, Step::Behind) {
            Step::Fetching { sent_at, .. } => match fetched(result) {
                Ok(fetched) => self.acquire_fetched(fetched, sent_at, clock, cx),
                Err(error) => self.fetch_failed(error, cx),
            },
            Step::Committing {
                draft,
                expected,
                sent_at,
                ..
            } => match committed(result) {
                Committed::Stored(revision) => self.acquired(*draft, revision, sent_at, cx),
                Committed::Conflict => self.acquire_conflicted(cx),
                Committed::Unknown(error) => {
                    self.commit_failed(error, (draft, expected), sent_at, cx);
                }
            },
            step => acquire.step = step,
        }
    }

    pub(super) fn acquire_timed_out(&mut self, cx: &mut Context<'_>) {
        let Phase::Acquire(acquire) = &mut self.phase else {
            return;
        };
        match std::mem::replace(&mut acquire.step, Step::Behind) {
            Step::Cooldown { .. } => self.acquire_step(Step::FetchQueued { urgent: false }),
            Step::Fetching { .. } => self.fetch_failed(timed_out(cx.config), cx),
            Step::Committing {
                draft,
                expected,
                sent_at,
                ..
            } => {
                self.commit_failed(timed_out(cx.config), (draft, expected), sent_at, cx);
            }
            step => acquire.step = step,
        }
    }

    /// A hook has made the draft, or failed to.
    pub(super) fn draft_made(&mut self, result: HookResult, cx: &mut Context<'_>) {
        let Phase::Acquire(acquire) = &mut self.phase else {
            return;
        };
        let Step::Drafting { expected, .. } = std::mem::replace(&mut acquire.step, Step::Behind)
        else {
            return;
        };
        match result {
            HookResult::Created(Ok(draft)) => self.queue_commit(Box::new(draft), expected),
            HookResult::Created(Err(message)) => {
                let report = ErrorReport::script(Activity::Create, message);
                self.refuse(LoadStatus::CreateFailed, report, cx);
            }
            HookResult::Migrated(Ok(draft)) => {
                self.log(|_| format!("migrated, to patch {}", draft.version_patch()));
                self.queue_commit(draft, expected);
            }
            HookResult::Migrated(Err(error)) => self.refuse_version(error, cx),
            HookResult::BeforeSave(_) | HookResult::Offered(_) | HookResult::OfflineMerged(_) => {}
        }
    }

    fn acquire_fetched(
        &mut self,
        fetched: Fetched,
        sent_at: WatchTime,
        clock: Option<f64>,
        cx: &mut Context<'_>,
    ) {
        match fetched {
            Fetched::Absent { tombstone } => {
                if self.adopts_user_ids {
                    self.user_ids = Arc::default();
                }
                cx.watches.forget(&self.key);
                self.settle_acquire(&Expected::Absent(tombstone.clone()), cx);
                if self.was_erased(&tombstone) {
                    self.log(|_| "the record was erased".to_owned());
                    self.end_refused(LoadStatus::Erased, cx);
                } else if self.still_wanted(cx) {
                    self.draft_new(Expected::Absent(tombstone), cx);
                }
            }
            Fetched::Present {
                bytes,
                revision,
                user_ids,
            } => {
                if self.adopts_user_ids {
                    self.user_ids = user_ids;
                }
                self.acquire_found(bytes, revision, (sent_at, clock), cx);
            }
        }
    }

    fn acquire_found(
        &mut self,
        bytes: Bytes,
        revision: Revision,
        (sent_at, clock): (WatchTime, Option<f64>),
        cx: &mut Context<'_>,
    ) {
        if let Phase::Acquire(acquire) = &mut self.phase {
            acquire.seen = Some(Seen::Record);
        }
        let expected = Expected::Present(revision.clone());
        let document = match SaveData::parse(bytes, cx.config.document_limit_bytes) {
            Ok(document) => document,
            Err(error) => {
                self.settle_acquire(&expected, cx);
                let report = ErrorReport::script(Activity::Load, error.to_string());
                return self.refuse(LoadStatus::CorruptData, report, cx);
            }
        };
        let reserved = document.reserved();
        let session = reserved.session.as_ref();
        let lock_id = self.acquire_lock_id();
        if let (Some(session), Some(attempt)) = (session, self.unsettled_acquire())
            && session.lock_id == lock_id
        {
            // The answer was lost, the acquire was not.
            return self.acquired(document, revision, attempt.sent_at, cx);
        }
        let is_free = match session {
            None => true,
            Some(session) if cx.claims.is_ours(&self.key, session.lock_id) => true,
            Some(session) => {
                let times = (sent_at, cx.watched_at);
                let unchanged_for = cx.watches.see(&self.key, reserved, session, times);
                lease::is_expired(cx.config, session, clock, cx.wall, unchanged_for)
            }
        };
        self.settle_acquire(&expected, cx);
        if !self.still_wanted(cx) {
            return;
        }
        if is_free {
            // A watch stays until the key is ours: if this commit fails, it has not been in vain.
            self.draft_found(document, expected, cx);
        } else {
            self.set_status(LoadStatus::SessionIsLocked);
            let until = cx.at.now + cx.config.session_retry_cooldown;
            self.acquire_reset_failures();
            self.acquire_step(Step::Cooldown { until });
        }
    }

    /// Whether the record was there, or absent in another way, since the host asked for it.
    fn was_erased(&mut self, tombstone: &Option<Revision>) -> bool {
        let Phase::Acquire(acquire) = &mut self.phase else {
            return false;
        };
        let absence = || Seen::Absence(tombstone.clone());
        let seen = acquire.seen.get_or_insert_with(absence);
        seen.was_erased(tombstone)
    }

    /// The key was seen in this state, without our session: an attempt that expected another
    /// state has failed for good. One that expected this state may still be written.
    fn settle_acquire(&mut self, seen: &Expected, cx: &mut Context<'_>) {
        let Phase::Acquire(acquire) = &mut self.phase else {
            return;
        };
        if acquire
            .unsettled
            .as_ref()
            .is_some_and(|attempt| attempt.expected != *seen)
        {
            acquire.unsettled = None;
            acquire.unsettled_draft = None;
            cx.claims.forget(acquire.lock_id);
            acquire.lock_id = 0;
        }
    }

    /// Goes on if the host wants the key, or if a commit of unknown fate must be fenced off.
    fn still_wanted(&mut self, cx: &mut Context<'_>) -> bool {
        let wanted = self.wanted || self.unsettled_acquire().is_some();
        if !wanted {
            self.stop_acquiring(cx);
        }
        wanted
    }

    fn draft_new(&mut self, expected: Expected, cx: &mut Context<'_>) {
        if self.waits_to_commit(cx) {
            return;
        }
        if let Some(draft) = self.take_unsettled_draft() {
            return self.queue_commit(draft, expected);
        }
        match cx.template {
            Some(template) => self.queue_commit(Box::new(template.clone()), expected),
            None if self.keeps_data() => self.queue_commit(Box::default(), expected),
            None => {
                let hook = self.call_hook(HookCall::Create);
                self.acquire_step(Step::Drafting { hook, expected });
            }
        }
    }

    fn draft_found(&mut self, document: SaveData, expected: Expected, cx: &mut Context<'_>) {
        if self.waits_to_commit(cx) {
            return;
        }
        if let Some(draft) = self.take_unsettled_draft() {
            return self.queue_commit(draft, expected);
        }
        if cx
            .migrators
            .is_current(document.version(), cx.config.save_data_version)
        {
            return self.queue_commit(Box::new(document), expected);
        }
        self.log(|_| {
            let (version, patch) = (document.version(), document.version_patch());
            let to = cx.config.save_data_version;
            format!("migrates from version {version} (patch {patch}) to version {to}")
        });
        let hook = self.call_hook(HookCall::Migrate(Box::new(document)));
        self.acquire_step(Step::Drafting { hook, expected });
    }

    fn take_unsettled_draft(&mut self) -> Option<Box<SaveData>> {
        match &mut self.phase {
            Phase::Acquire(acquire) => acquire.unsettled_draft.take(),
            _ => None,
        }
    }

    /// After a failed commit the next one waits, and begins with a fetch.
    fn waits_to_commit(&mut self, cx: &Context<'_>) -> bool {
        let Phase::Acquire(acquire) = &mut self.phase else {
            return false;
        };
        let waits = cx.at.now < acquire.commit_from;
        if waits {
            acquire.step = Step::Cooldown {
                until: acquire.commit_from,
            };
        }
        waits
    }

    fn queue_commit(&mut self, draft: Box<SaveData>, expected: Expected) {
        self.acquire_step(Step::CommitQueued { draft, expected });
    }

    fn commit_draft(&mut self, mut draft: Box<SaveData>, expected: Expected, cx: &mut Context<'_>) {
        let Phase::Acquire(acquire) = &mut self.phase else {
            return;
        };
        if acquire.lock_id == 0 {
            acquire.lock_id = cx.claims.draw(&self.key, cx.wall, cx.rng);
        }
        let session = new_session(acquire.lock_id, cx);
        hold::stamp_saves(&mut draft.reserved_mut().saves, acquire.lock_id, 0);
        let bytes = draft.encode(Some(&session));
        draft.reserved_mut().session = Some(session);
        let (key, user_ids) = (Arc::clone(&self.key), Arc::clone(&self.user_ids));
        let commit = Operation::Commit {
            key,
            expected: expected.clone(),
            bytes,
            user_ids,
        };
        let request = self.request(commit);
        let (sent_at, until) = (cx.at, cx.at.now + cx.config.request_timeout);
        self.acquire_step(Step::Committing {
            request,
            draft,
            expected,
            sent_at,
            until,
        });
    }

    fn acquired(
        &mut self,
        draft: SaveData,
        revision: Revision,
        sent_at: Moment,
        cx: &mut Context<'_>,
    ) {
        cx.watches.forget(&self.key);
        let lock_id = self.acquire_lock_id();
        let stored = Stored {
            lock_id,
            revision,
            sent_at,
        };
        self.hold(draft, stored, cx);
    }

    /// Somebody was faster: looks again at once, but not for ever in one frame.
    fn acquire_conflicted(&mut self, cx: &mut Context<'_>) {
        let Phase::Acquire(acquire) = &mut self.phase else {
            return;
        };
        acquire.conflicts += 1;
        acquire.step = if acquire.conflicts.is_multiple_of(CONFLICTS_AT_ONCE) {
            acquire.failures += 1;
            let until = cx.retry_at(acquire.failures);
            Step::Cooldown { until }
        } else {
            Step::FetchQueued { urgent: true }
        };
    }

    fn fetch_failed(&mut self, error: StorageError, cx: &mut Context<'_>) {
        self.report(ErrorReport::storage(Activity::Load, error));
        self.set_status(LoadStatus::DataStoreRequestFail);
        let Phase::Acquire(acquire) = &mut self.phase else {
            return;
        };
        acquire.failures += 1;
        let until = cx.retry_at(acquire.failures);
        acquire.step = Step::Cooldown { until };
    }

    /// A commit has failed, or may have been written: a fetch will tell, at once the first time.
    fn commit_failed(
        &mut self,
        error: StorageError,
        (draft, expected): (Box<SaveData>, Expected),
        sent_at: Moment,
        cx: &mut Context<'_>,
    ) {
        self.report(ErrorReport::storage(Activity::Load, error));
        self.set_status(LoadStatus::DataStoreRequestFail);
        let Phase::Acquire(acquire) = &mut self.phase else {
            return;
        };
        acquire.failures += 1;
        acquire.commit_from = cx.retry_at(acquire.failures);
        acquire
            .unsettled
            .get_or_insert(Attempt { expected, sent_at });
        acquire.unsettled_draft = Some(draft);
        acquire.step = Step::FetchQueued { urgent: false };
    }

    fn refuse_version(&mut self, error: MigrationError, cx: &mut Context<'_>) {
        let report = ErrorReport::script(Activity::Migrate, error.to_string());
        let status = match error.minimum_server_version() {
            Some(version) => {
                self.minimum_server_version = version;
                LoadStatus::InvalidVersion
            }
            None => LoadStatus::MigrationFailed,
        };
        self.refuse(status, report, cx);
    }

    /// Nothing more is tried until the host asks anew. Nothing was locked, nothing was written;
    /// while that is not certain, the acquisition goes on until it is.
    fn refuse(&mut self, status: LoadStatus, report: ErrorReport, cx: &mut Context<'_>) {
        self.report(report);
        if let Phase::Acquire(acquire) = &mut self.phase
            && acquire.unsettled.is_some()
        {
            acquire.failures += 1;
            let until = cx.retry_at(acquire.failures);
            acquire.step = Step::Cooldown { until };
            return;
        }
        self.end_refused(status, cx);
    }

    fn end_refused(&mut self, status: LoadStatus, cx: &mut Context<'_>) {
        self.forget_acquire(cx);
        self.phase = Phase::Refused;
        self.answer_waiters(|_| Some(SaveOutcome::NotSaved));
        self.set_status(status);
        cx.claims.release(&self.key, self.slot());
    }

    fn stop_acquiring(&mut self, cx: &mut Context<'_>) {
        self.forget_acquire(cx);
        self.come_to_rest(cx);
    }

    fn forget_acquire(&mut self, cx: &mut Context<'_>) {
        if let Phase::Acquire(acquire) = &self.phase
            && acquire.unsettled.is_none()
        {
            cx.claims.forget(acquire.lock_id);
        }
    }

    fn acquire_step(&mut self, step: Step) {
        if let Phase::Acquire(acquire) = &mut self.phase {
            acquire.step = step;
        }
    }

    fn acquire_reset_failures(&mut self) {
        if let Phase::Acquire(acquire) = &mut self.phase {
            acquire.failures = 0;
        }
    }

    fn acquire_lock_id(&self) -> u64 {
        match &self.phase {
            Phase::Acquire(acquire) => acquire.lock_id,
            _ => 0,
        }
    }

    fn unsettled_acquire(&self) -> Option<Attempt> {
        match &self.phase {
            Phase::Acquire(acquire) => acquire.unsettled.clone(),
            _ => None,
        }
    }
}

/// The session that a commit handed over now stamps.
pub(super) fn new_session(lock_id: u64, cx: &Context<'_>) -> Session {
    let Config {
        place_id,
        job_id,
        session_expiry,
        ..
    } = cx.config;
    Session {
        place_id: *place_id,
        job_id: job_id.clone(),
        lock_id,
        updated_at: cx.stamp(),
        expiry: Some(*session_expiry),
    }
}
