//! The changes that are on their way to one key, as a state machine: fetch, append to the inbox,
//! commit.
//!
//! Each commit holds all that waits, in order, and notes in `Received` how far the sender has got.
//! So a fetch tells what has arrived, whatever was answered before. A commit of unknown fate is
//! settled by the next fetch: it has arrived; or the key is at another revision, and it never will;
//! or the next commit expects the same revision, so that at most one of the two is written.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::locker::{Activity, Committed, Config, ErrorReport, committed, fetched, timed_out};
use crate::save_data::{RemoteChange, SaveData};
use crate::seen::Seen;
use crate::storage::{Expected, Fetched, Operation, Outcome, RequestId, Revision, StorageError};

use super::inbox::{Inbox, Progress};
use super::set::{Ended, Outputs};
use super::timers::NEVER;
use super::{SendCallback, SendId, SendOutcome};

/// After so many seconds a send is given up.
const SEND_FOR_S: f64 = 86_400.0;
/// The longest wait after a first conflict or failure, in seconds.
const RETRY_FIRST_S: f64 = 0.5;
/// What it doubles up to.
const RETRY_CEILING_S: f64 = 30.0;
/// An inbox whose owner is there is added to once in so many seconds.
const OWNED_PERIOD_S: f64 = 2.0;

/// What a job sees of its surroundings while something is handled.
pub(super) struct Context<'a> {
    pub config: &'a Config,
    /// The default document; without one, the create hook makes it.
    pub template: Option<&'a SaveData>,
    pub create_if_missing: bool,
    /// The sender's name in `Received`.
    pub sender: &'a str,
    /// Monotonic seconds.
    pub now: f64,
    /// Unix seconds.
    pub wall: f64,
    pub rng: &'a mut fastrand::Rng,
    pub out: Outputs<'a>,
}

/// A send that is not answered yet.
pub(super) struct Pending {
    pub id: SendId,
    pub changes: Vec<RemoteChange>,
    /// The host's id of it, which stands for the sender's name.
    pub operation_id: Option<Box<str>>,
    /// The sequence number of its last change.
    pub sequence: u64,
    pub begun_at: f64,
    /// How large the changes are, as far as they are the host's.
    pub bytes: usize,
    pub completion: Option<SendCallback>,
    /// What the last fetch has seen, if an attempt of this send has seen anything.
    seen: Option<Seen>,
    /// It is in the commit that is under way.
    is_under_way: bool,
    /// It is in a commit of unknown fate.
    is_unsettled: bool,
    /// How many of its changes the draft of this moment holds.
    lent: usize,
}

/// A commit handed over. All unsettled ones expect the same revision, so they are one attempt.
struct Attempt {
    expected: Expected,
    /// When the last of them was handed over.
    sent_at: f64,
}

enum Step {
    /// Goes on at this time.
    Waiting {
        until: f64,
    },
    FetchQueued,
    Fetching {
        request: RequestId,
        until: f64,
    },
    /// A hook creates the document.
    Creating {
        hook: RequestId,
        expected: Expected,
    },
    CommitQueued(Box<Draft>),
    Committing {
        request: RequestId,
        expected: Expected,
        is_owned: bool,
        sent_at: f64,
    },
}

/// A document to be written, and what it was read as.
struct Draft {
    document: SaveData,
    expected: Expected,
    user_ids: Arc<[Box<str>]>,
}

/// What a job waits in line for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    Fetch,
    Commit,
}

/// See the module's page.
pub(super) struct Job {
    key: Arc<str>,
    pending: VecDeque<Pending>,
    step: Step,
    /// Conflicts and failures in a row.
    failures: u32,
    unsettled: Option<Attempt>,
    /// The key has an owner, who is left in peace until then.
    append_from: f64,
    last_error: Option<Box<str>>,
}

impl Pending {
    pub fn new(id: SendId, changes: Vec<RemoteChange>, sequence: u64, begun_at: f64) -> Self {
        Self {
            id,
            changes,
            operation_id: None,
            sequence,
            begun_at,
            bytes: 0,
            completion: None,
            seen: None,
            is_under_way: false,
            is_unsettled: false,
            lent: 0,
        }
    }

    fn name<'a>(&'a self, sender: &'a str) -> &'a str {
        self.operation_id.as_deref().unwrap_or(sender)
    }

    /// Whether a document that says this of the senders has these changes. An operation id is never
    /// used for two sends, so its number does not matter.
    fn has_arrived(&self, progress: &Progress<'_>, sender: &str) -> bool {
        let reached = progress.sequence(self.name(sender));
        reached.is_some_and(|reached| self.operation_id.is_some() || reached >= self.sequence)
    }

    /// How it ends if nothing is tried any more.
    fn given_up(&self) -> SendOutcome {
        match self.is_under_way || self.is_unsettled {
            true => SendOutcome::Unknown,
            false => SendOutcome::NotSent,
        }
    }
}

/// Getters and commands.
impl Job {
    pub fn new(key: Arc<str>) -> Self {
        Self {
            key,
            pending: VecDeque::new(),
            step: Step::Waiting { until: 0.0 },
            failures: 0,
            unsettled: None,
            append_from: 0.0,
            last_error: None,
        }
    }

    pub fn key(&self) -> &Arc<str> {
        &self.key
    }

    pub fn pending(&self) -> impl Iterator<Item = (&Pending, SendOutcome)> {
        self.pending.iter().map(|send| (send, send.given_up()))
    }

    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    pub fn intent(&self) -> Option<Intent> {
        match self.step {
            Step::FetchQueued => Some(Intent::Fetch),
            Step::CommitQueued { .. } => Some(Intent::Commit),
            _ => None,
        }
    }

    /// The request whose reply it waits for.
    pub fn outstanding(&self) -> Option<RequestId> {
        match self.step {
            Step::Fetching { request, .. } | Step::Committing { request, .. } => Some(request),
            _ => None,
        }
    }

    /// When [`Job::handle_timeout`] wants to be called. One that stands in line looks at the time
    /// when its turn comes.
    pub fn deadline(&self, config: &Config) -> f64 {
        let until = match self.step {
            Step::Waiting { until } | Step::Fetching { until, .. } => until,
            Step::Committing { sent_at, .. } => sent_at + config.request_timeout,
            _ => return NEVER,
        };
        let first = self.pending.front();
        first.map_or(until, |send| until.min(send.begun_at + SEND_FOR_S))
    }

    /// Nothing waits, and no owner is to be left in peace.
    pub fn is_done(&self, now: f64) -> bool {
        self.pending.is_empty() && self.append_from <= now
    }

    /// Adds a send behind the others; it goes with the next commit that is built.
    pub fn add(&mut self, send: Pending, now: f64) {
        self.pending.push_back(send);
        if let Step::Waiting { .. } = self.step
            && self.pending.len() == 1
            && self.append_from <= now
        {
            self.step = Step::FetchQueued;
        }
    }

    /// The sender is going away: answers what is left.
    pub fn abandon(&mut self, out: &mut Outputs<'_>) {
        self.end_where(out, |send| Some(send.given_up()));
        self.rest();
    }
}

/// What arrives.
impl Job {
    /// Its turn has come.
    pub fn handle_grant(&mut self, cx: &mut Context<'_>) {
        self.expire(cx);
        if self.pending.is_empty() {
            return self.rest();
        }
        match std::mem::replace(&mut self.step, Step::FetchQueued) {
            Step::FetchQueued => {
                let key = Arc::clone(&self.key);
                let request = cx.out.request(Operation::Fetch { key });
                let until = cx.now + cx.config.request_timeout;
                self.step = Step::Fetching { request, until };
            }
            Step::CommitQueued(draft) => self.commit(*draft, cx),
            step => self.step = step,
        }
    }

    /// The reply that is waited for.
    pub fn handle_reply(&mut self, result: Result<Outcome, StorageError>, cx: &mut Context<'_>) {
        match std::mem::replace(&mut self.step, Step::FetchQueued) {
            Step::Fetching { .. } => match fetched(result) {
                Ok(Fetched::Absent { tombstone }) => self.handle_absence(tombstone, cx),
                Ok(Fetched::Present {
                    bytes,
                    revision,
                    user_ids,
                }) => self.handle_record(bytes, revision, user_ids, cx),
                Err(error) => self.fail(ErrorReport::storage(Activity::Send, error), cx),
            },
            Step::Committing {
                expected,
                is_owned,
                sent_at,
                ..
            } => match committed(result) {
                Committed::Stored(_) => self.stored(is_owned, sent_at, cx),
                Committed::Conflict => self.conflicted(cx),
                Committed::Unknown(error) => self.left_unsettled(expected, sent_at, error, cx),
            },
            step => self.step = step,
        }
        if self.pending.is_empty() {
            self.rest();
        }
    }

    /// The create hook has run; dropped if the job has moved on.
    pub fn handle_created(
        &mut self,
        id: RequestId,
        created: Result<SaveData, String>,
        cx: &mut Context<'_>,
    ) {
        match std::mem::replace(&mut self.step, Step::FetchQueued) {
            Step::Creating { hook, expected } if hook == id => match created {
                Ok(document) => self.queue_commit(document, expected, Arc::default()),
                Err(message) => {
                    let message = format!("making a new document failed: {message}");
                    self.fail(ErrorReport::script(Activity::Send, message), cx);
                }
            },
            step => self.step = step,
        }
    }

    /// [`Job::deadline`] has come.
    pub fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        self.expire(cx);
        if self.pending.is_empty() {
            return self.rest();
        }
        match std::mem::replace(&mut self.step, Step::FetchQueued) {
            Step::Waiting { until } if until <= cx.now => {}
            Step::Fetching { until, .. } if until <= cx.now => {
                let error = timed_out(cx.config);
                self.fail(ErrorReport::storage(Activity::Send, error), cx);
            }
            Step::Committing {
                expected, sent_at, ..
            } if sent_at + cx.config.request_timeout <= cx.now => {
                self.left_unsettled(expected, sent_at, timed_out(cx.config), cx);
            }
            step => self.step = step,
        }
    }
}

impl Job {
    fn handle_absence(&mut self, tombstone: Option<Revision>, cx: &mut Context<'_>) {
        let expected = Expected::Absent(tombstone.clone());
        self.settle(&expected);
        let absence = || Seen::Absence(tombstone.clone());
        // What has been erased since a send began stays erased.
        let create_if_missing = cx.create_if_missing;
        self.end_where(&mut cx.out, |send| {
            let seen = send.seen.get_or_insert_with(absence);
            let may_create = !seen.was_erased(&tombstone) && create_if_missing;
            (!may_create).then_some(SendOutcome::Missing)
        });
        match cx.template {
            _ if self.pending.is_empty() => {}
            Some(template) => self.queue_commit(template.clone(), expected, Arc::default()),
            None => {
                let hook = cx.out.create(&self.key);
                self.step = Step::Creating { hook, expected };
            }
        }
    }

    fn handle_record(
        &mut self,
        bytes: Bytes,
        revision: Revision,
        user_ids: Arc<[Box<str>]>,
        cx: &mut Context<'_>,
    ) {
        let expected = Expected::Present(revision);
        let document = match SaveData::parse(bytes, cx.config.document_limit_bytes) {
            Ok(document) => document,
            Err(error) => {
                self.report(ErrorReport::script(Activity::Send, error.to_string()), cx);
                return self.end_where(&mut cx.out, |_| Some(SendOutcome::Corrupt));
            }
        };
        let has_late_arrivals = self.end_arrived(&document, cx);
        if let Some(attempt) = &self.unsettled
            && has_late_arrivals
        {
            self.arrived(document.reserved().session.is_some(), attempt.sent_at);
        }
        self.settle(&expected);
        for send in &mut self.pending {
            send.seen = Some(Seen::Record);
        }
        if self.pending.is_empty() {
            return;
        }
        if cx.now < self.append_from {
            let until = self.append_from;
            self.step = Step::Waiting { until };
            return;
        }
        self.queue_commit(document, expected, user_ids);
    }

    /// Ends what the document has; whether something of unknown fate was among it.
    fn end_arrived(&mut self, document: &SaveData, cx: &mut Context<'_>) -> bool {
        if document.reserved().received.is_empty() {
            return false;
        }
        let progress = Progress::of(document);
        let (sender, mut has_late_arrivals) = (cx.sender, false);
        self.end_where(&mut cx.out, |send| {
            let has_arrived = send.has_arrived(&progress, sender);
            has_late_arrivals |= has_arrived && send.is_unsettled;
            has_arrived.then_some(SendOutcome::Sent)
        });
        has_late_arrivals
    }

    /// The key was seen in this state: attempts that expected another one, and have not arrived,
    /// have failed for good.
    fn settle(&mut self, seen: &Expected) {
        let is_over = |attempt: &Attempt| attempt.expected != *seen;
        if self.unsettled.as_ref().is_some_and(is_over) {
            self.forget_attempts();
        }
    }

    fn forget_attempts(&mut self) {
        self.unsettled = None;
        for send in &mut self.pending {
            send.is_unsettled = false;
        }
    }

    fn queue_commit(&mut self, document: SaveData, expected: Expected, user_ids: Arc<[Box<str>]>) {
        self.step = Step::CommitQueued(Box::new(Draft {
            document,
            expected,
            user_ids,
        }));
    }

    fn commit(&mut self, draft: Draft, cx: &mut Context<'_>) {
        let Draft {
            mut document,
            expected,
            user_ids,
        } = draft;
        let session = document.reserved().session.clone();
        let own = document.reserved().remote_changes.len();
        if !self.append(&mut document, &expected, cx) {
            return self.rest();
        }
        let bytes = document.encode(session.as_ref());
        let lent = document.reserved_mut().remote_changes.split_off(own);
        self.take_back(lent);
        let sent_at = cx.now;
        let request = cx.out.request(Operation::Commit {
            key: Arc::clone(&self.key),
            expected: expected.clone(),
            bytes,
            user_ids,
        });
        self.step = Step::Committing {
            request,
            expected,
            is_owned: session.is_some(),
            sent_at,
        };
    }

    /// Puts all that waits into the draft, and ends what does not fit. False if nothing is left.
    fn append(
        &mut self,
        document: &mut SaveData,
        expected: &Expected,
        cx: &mut Context<'_>,
    ) -> bool {
        let seen = match expected {
            Expected::Present(_) => Seen::Record,
            Expected::Absent(tombstone) => Seen::Absence(tombstone.clone()),
        };
        let sender = cx.sender;
        let mut inbox = Inbox::open(document, cx.wall);
        self.end_where(&mut cx.out, |send| {
            send.seen.get_or_insert_with(|| seen.clone());
            let count = send.changes.len();
            let name = send.operation_id.as_deref().unwrap_or(sender);
            // The same operation may have been sent twice: it is in the draft already.
            let is_there = send.operation_id.is_some() && inbox.contains(name);
            if !is_there && !inbox.put(&mut send.changes, name, send.sequence) {
                return Some(SendOutcome::InboxFull);
            }
            send.lent = if is_there { 0 } else { count };
            send.is_under_way = true;
            None
        });
        !self.pending.is_empty()
    }

    /// The draft's new changes go back to their sends, for the next attempt.
    fn take_back(&mut self, changes: Vec<RemoteChange>) {
        let mut changes = changes.into_iter();
        for send in &mut self.pending {
            let lent = std::mem::take(&mut send.lent);
            send.changes.extend(changes.by_ref().take(lent));
        }
    }

    fn stored(&mut self, is_owned: bool, sent_at: f64, cx: &mut Context<'_>) {
        self.end_where(&mut cx.out, |send| {
            send.is_under_way.then_some(SendOutcome::Sent)
        });
        self.arrived(is_owned, sent_at);
        self.unsettled = None;
        if cx.now < self.append_from {
            let until = self.append_from;
            self.step = Step::Waiting { until };
        }
    }

    /// Something of ours, handed over then, is in the inbox.
    fn arrived(&mut self, is_owned: bool, sent_at: f64) {
        self.failures = 0;
        self.last_error = None;
        if is_owned {
            self.append_from = sent_at + OWNED_PERIOD_S;
        }
    }

    /// Somebody was faster: this commit has written nothing. Others of unknown fate may have.
    fn conflicted(&mut self, cx: &mut Context<'_>) {
        for send in &mut self.pending {
            send.is_under_way = false;
        }
        self.back_off(cx);
    }

    fn left_unsettled(
        &mut self,
        expected: Expected,
        sent_at: f64,
        error: StorageError,
        cx: &mut Context<'_>,
    ) {
        self.unsettled = Some(Attempt { expected, sent_at });
        for send in &mut self.pending {
            send.is_unsettled |= std::mem::take(&mut send.is_under_way);
        }
        self.fail(ErrorReport::storage(Activity::Send, error), cx);
    }

    fn fail(&mut self, report: ErrorReport, cx: &mut Context<'_>) {
        self.last_error = Some(report.message.as_str().into());
        self.report(report, cx);
        self.back_off(cx);
    }

    fn report(&self, report: ErrorReport, cx: &mut Context<'_>) {
        cx.out.report(&self.key, report);
    }

    /// Waits for a time by chance, the range of which doubles.
    fn back_off(&mut self, cx: &mut Context<'_>) {
        let doublings = self.failures.min(30);
        self.failures += 1;
        let range = RETRY_FIRST_S * f64::from(1u32 << doublings);
        let until = cx.now + range.min(RETRY_CEILING_S) * cx.rng.f64();
        self.step = Step::Waiting { until };
    }

    /// Ends the sends that are a day old.
    fn expire(&mut self, cx: &mut Context<'_>) {
        let is_over = |send: &Pending| send.begun_at + SEND_FOR_S <= cx.now;
        while self.pending.front().is_some_and(is_over) {
            if let Some(send) = self.pending.pop_front() {
                let outcome = send.given_up();
                cx.out.end(ended(&self.key, send, outcome));
            }
        }
    }

    /// Ends the sends for which `outcome` has an answer; the others keep their order.
    fn end_where(
        &mut self,
        out: &mut Outputs<'_>,
        mut outcome: impl FnMut(&mut Pending) -> Option<SendOutcome>,
    ) {
        for _ in 0..self.pending.len() {
            let Some(mut send) = self.pending.pop_front() else {
                return;
            };
            match outcome(&mut send) {
                Some(outcome) => out.end(ended(&self.key, send, outcome)),
                None => self.pending.push_back(send),
            }
        }
    }

    /// Nothing waits any more. An answer that is still to come is nobody's.
    fn rest(&mut self) {
        let until = self.append_from;
        self.step = Step::Waiting { until };
        self.unsettled = None;
    }
}

fn ended(key: &Arc<str>, send: Pending, outcome: SendOutcome) -> Ended {
    Ended {
        key: Arc::clone(key),
        id: send.id,
        outcome,
        bytes: send.bytes,
        completion: send.completion,
    }
}
