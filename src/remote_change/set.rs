//! The jobs of one sender, a key each, and what they share: the storage's replies, the timers, the
//! budget of requests, the sender's name and count.
//!
//! Only a job with a reply, a due timer, a new send or a grant is touched, and a job that is done is
//! gone. Like a job, a set does no input or output: **[`SendSet::begin_update`], then
//! [`SendSet::poll`] until nothing is left.**

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::locker::{Config, ErrorReport, LockerError, Time, Timeline};
use crate::save_data::{RemoteChange, SaveData, UnsentChange};
use crate::storage::{
    Answer, Fetched, Mailbox, Operation, Outcome, Reply, Request, RequestId, RequestStats,
    Responder,
};

use super::driver::Prepared;
use super::job::{Context, Intent, Job, Pending};
use super::timers::{NEVER, Timers};
use super::{MAX_SENDS, MAX_UNANSWERED_BYTES, SendCallback, SendError, SendId, SendOutcome};

/// What the host must do for a set, with no lock held.
pub(super) enum Task {
    /// Hand these to the storage, together. What it answers at once goes on in the same update.
    Submit(Vec<Request>),
    /// Create a document for this key, and give it to [`SendSet::handle_created`].
    Create(RequestId, Arc<str>),
    /// Tell the host how a send has ended.
    Ended(Ended),
    /// Tell the host what failed for this key.
    Error(Arc<str>, ErrorReport),
}

/// A send that is answered.
pub(super) struct Ended {
    pub key: Arc<str>,
    pub id: SendId,
    pub outcome: SendOutcome,
    /// As of [`Pending::bytes`].
    pub bytes: usize,
    pub completion: Option<SendCallback>,
}

/// What an update may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    /// Requests that may begin.
    pub requests: u32,
    /// Requests that may be under way.
    pub in_flight: u32,
    /// Bytes that may be read and written; one document always passes.
    pub bytes: usize,
}

/// What has not been sent to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub key: Arc<str>,
    pub changes: usize,
    pub outcome: SendOutcome,
    pub last_error: Option<Box<str>>,
}

/// What comes out of a job.
pub(super) struct Outputs<'a> {
    tasks: &'a mut VecDeque<Task>,
    requests: &'a mut Vec<Request>,
    mailbox: &'a Arc<Mailbox>,
    /// As of [`Config::patience`].
    patience: f64,
    /// Bytes of the present update that are left.
    bytes: &'a mut usize,
    slot: u32,
    sequence: &'a mut u32,
    now: f64,
    sent_at: &'a mut Option<f64>,
    came_to_nothing: &'a mut bool,
    stats: &'a mut RequestStats,
}

struct Slot {
    /// The last number of a request; it grows on when another job takes the slot.
    sequence: u32,
    /// When its timer is due.
    armed: f64,
    /// When the request was handed over that is not answered.
    sent_at: Option<f64>,
    /// The last request failed, was not answered in time or met a conflict: the next one is a retry.
    came_to_nothing: bool,
    /// Stands in a queue for a grant.
    is_queued: bool,
    job: Option<Box<Job>>,
}

/// How a sender makes changes its own.
pub(super) struct Setup {
    pub config: Arc<Config>,
    pub template: Option<SaveData>,
    pub create_if_missing: bool,
    /// Every send is answered as sent, and nothing is.
    pub is_disabled: bool,
    pub seed: u64,
    /// Unix seconds.
    pub wall: f64,
}

/// See the module's page.
pub(super) struct SendSet {
    config: Arc<Config>,
    template: Option<SaveData>,
    create_if_missing: bool,
    is_disabled: bool,
    /// What stands in `Received` for this sender.
    name: Box<str>,
    /// The sequence number of the last change. One count for all keys, so that none is used twice
    /// and nothing is remembered of a key.
    sequence: u64,
    last_id: u64,
    rng: fastrand::Rng,
    now: f64,
    timeline: Timeline,
    wall: f64,
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_key: HashMap<Arc<str>, u32>,
    mailbox: Arc<Mailbox>,
    replies: VecDeque<Reply>,
    /// Whether the mailbox could be looked into.
    sees_replies: bool,
    timers: Timers,
    commits: VecDeque<u32>,
    fetches: VecDeque<u32>,
    tasks: VecDeque<Task>,
    /// Handed over when nothing else is left to do.
    requests: Vec<Request>,
    /// Told with the next update.
    answered: Vec<Ended>,
    /// Sends of which the host has not heard how they ended.
    unheard: usize,
    /// How large they are.
    unheard_bytes: usize,
    is_closed: bool,
    budget: Budget,
    touches: u64,
    stats: RequestStats,
}

#[derive(Default)]
struct Budget {
    requests: u32,
    bytes: usize,
    /// Replies still to be taken.
    replies: u32,
    /// Timers still to be looked at.
    timers: u32,
    /// The most requests under way.
    in_flight_max: u32,
    in_flight: u32,
}

/// One update takes so many more replies than it starts requests, so that a backlog shrinks.
const SPARE_REPLIES: u32 = 32;

/// The most timers that one update looks at.
const TIMERS_PER_UPDATE: u32 = 64;

impl SendSet {
    pub fn new(setup: Setup) -> Self {
        // The wall clock keeps a process that is started again with its old seed from being taken
        // for itself: its changes would count as received.
        let seed = setup
            .seed
            .wrapping_add(setup.wall.to_bits().rotate_left(32));
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x0073_656e_6465_7273);
        let name = format!("{:016x}{:08x}", rng.u64(..), rng.u32(..)).into();
        Self {
            config: setup.config,
            template: setup.template,
            create_if_missing: setup.create_if_missing,
            is_disabled: setup.is_disabled,
            name,
            sequence: 0,
            last_id: 0,
            rng,
            now: 0.0,
            timeline: Timeline::default(),
            wall: setup.wall,
            slots: Vec::new(),
            free: Vec::new(),
            by_key: HashMap::new(),
            mailbox: Mailbox::new(),
            replies: VecDeque::new(),
            sees_replies: true,
            timers: Timers::default(),
            commits: VecDeque::new(),
            fetches: VecDeque::new(),
            tasks: VecDeque::new(),
            requests: Vec::new(),
            answered: Vec::new(),
            unheard: 0,
            unheard_bytes: 0,
            is_closed: false,
            budget: Budget::default(),
            touches: 0,
            stats: RequestStats::default(),
        }
    }

    /// Whether a send is not answered yet.
    pub fn is_sending(&self) -> bool {
        self.unheard > 0
    }

    /// How many times a job has had something to do.
    pub fn touches(&self) -> u64 {
        self.touches
    }

    /// What the jobs have asked of the storage, and how many wait to ask.
    pub fn stats(&self) -> RequestStats {
        let mut stats = self.stats.clone();
        stats.waiting.others = self.waiting();
        stats
    }

    fn waiting(&self) -> u64 {
        (self.commits.len() + self.fetches.len()) as u64
    }

    /// What is not sent yet, by key.
    pub fn left(&self) -> Vec<Left> {
        let jobs = self.slots.iter().filter_map(|slot| slot.job.as_deref());
        jobs.filter_map(left_of).collect()
    }

    /// Takes changes on their way. The callback stays the caller's if this is refused.
    pub fn send(
        &mut self,
        prepared: Prepared<'_>,
        completion: &mut Option<SendCallback>,
    ) -> Result<SendId, SendError> {
        let Prepared {
            key,
            changes,
            operation_id,
            wall,
        } = prepared;
        if self.is_closed {
            return Err(LockerError::Closed.into());
        }
        if self.unheard >= MAX_SENDS {
            return Err(SendError::TooManySends);
        }
        let size = changes.iter().map(UnsentChange::size_bytes).sum::<usize>();
        if self.unheard_bytes + size > MAX_UNANSWERED_BYTES {
            let bytes = self.unheard_bytes;
            return Err(SendError::TooManyBytes { bytes });
        }
        self.last_id += 1;
        self.unheard += 1;
        self.unheard_bytes += size;
        let id = SendId(self.last_id);
        if changes.is_empty() || self.is_disabled {
            self.answered.push(Ended {
                key: key.into(),
                id,
                outcome: SendOutcome::Sent,
                bytes: size,
                completion: completion.take(),
            });
            return Ok(id);
        }
        let (changes, sequence) = self.stamp(changes, operation_id.as_deref(), wall);
        let mut send = Pending::new(id, changes, sequence, self.now);
        send.operation_id = operation_id;
        send.bytes = size;
        send.completion = completion.take();
        let slot = self.slot_of(key);
        if let Some(job) = &mut self.slots[slot as usize].job {
            job.add(send, self.now);
        }
        self.settle(slot);
        Ok(id)
    }

    /// Gives changes their ids and their time, and says the number of the last.
    fn stamp(
        &mut self,
        changes: Vec<UnsentChange<'_>>,
        operation_id: Option<&str>,
        wall: f64,
    ) -> (Vec<RemoteChange>, u64) {
        let first = match operation_id {
            Some(_) => 1,
            None => self.sequence + 1,
        };
        let last = first + changes.len() as u64 - 1;
        if operation_id.is_none() {
            self.sequence = last;
        }
        let mut id = format!("{}:", operation_id.unwrap_or(&self.name));
        let name_length = id.len();
        let stamp = |(change, number): (UnsentChange<'_>, u64)| {
            id.truncate(name_length);
            write!(id, "{number}").expect("a string grows");
            change.stamp(&id, wall as i64)
        };
        (changes.into_iter().zip(first..).map(stamp).collect(), last)
    }

    /// The slot of the key's job, which is made if there is none.
    fn slot_of(&mut self, key: &str) -> u32 {
        if let Some(slot) = self.by_key.get(key) {
            return *slot;
        }
        let key = Arc::<str>::from(key);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                sequence: 0,
                armed: NEVER,
                sent_at: None,
                came_to_nothing: false,
                is_queued: false,
                job: None,
            });
            u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 jobs")
        });
        let entry = &mut self.slots[slot as usize];
        entry.came_to_nothing = false;
        entry.job = Some(Box::new(Job::new(Arc::clone(&key))));
        self.by_key.insert(key, slot);
        slot
    }

    /// Begins an update; `wall` is Unix seconds.
    pub fn begin_update(&mut self, time: Time, wall: f64, allowance: Allowance) {
        self.timeline.pass(time);
        self.now = self.timeline.now();
        self.wall = wall;
        self.budget.requests = allowance.requests;
        self.budget.bytes = allowance.bytes;
        self.budget.replies = allowance.requests.saturating_add(SPARE_REPLIES);
        self.budget.timers = TIMERS_PER_UPDATE;
        self.budget.in_flight_max = allowance.in_flight;
        self.tasks.extend(self.answered.drain(..).map(Task::Ended));
    }

    /// The next thing for the host to do. None: the update is over.
    pub fn poll(&mut self) -> Option<Task> {
        loop {
            if let Some(task) = self.take_task() {
                return Some(task);
            }
            if !(self.take_reply() || self.fire_timer() || self.grant_next()) {
                let most = self.stats.most_waiting.others.max(self.waiting());
                self.stats.most_waiting.others = most;
                let requests = std::mem::take(&mut self.requests);
                return (!requests.is_empty()).then_some(Task::Submit(requests));
            }
        }
    }

    /// What the host was to do already, but for requests; nothing goes on.
    pub fn take_task(&mut self) -> Option<Task> {
        let task = self.tasks.pop_front()?;
        if let Task::Ended(ended) = &task {
            self.unheard -= 1;
            self.unheard_bytes -= ended.bytes;
        }
        Some(task)
    }

    /// The create hook has run.
    pub fn handle_created(&mut self, hook: RequestId, created: Result<SaveData, String>) {
        self.handle(slot_of(hook), |job, cx| {
            job.handle_created(hook, created, cx)
        });
    }

    /// The sender is going away: answers every send, and takes no other.
    pub fn abandon(&mut self) {
        self.is_closed = true;
        self.tasks.extend(self.answered.drain(..).map(Task::Ended));
        for slot in 0..self.slots.len() as u32 {
            self.handle(slot, |job, cx| job.abandon(&mut cx.out));
        }
    }

    /// Takes the next reply, within the budget; what is left over waits for the next update.
    fn take_reply(&mut self) -> bool {
        if self.replies.is_empty() {
            self.sees_replies = self.mailbox.take_into(&mut self.replies);
        }
        let is_spent = self.budget.bytes == 0;
        let waits = |reply: &Reply| is_spent && size(reply) > 0;
        if self.budget.replies == 0 || self.replies.front().is_some_and(waits) {
            return false;
        }
        let Some(reply) = self.replies.pop_front() else {
            return false;
        };
        self.budget.replies -= 1;
        self.budget.bytes = self.budget.bytes.saturating_sub(size(&reply));
        let Reply { id, result, .. } = reply;
        // A reply that nobody waits for is dropped.
        let waits = |slot: &&mut Slot| slot.outstanding() == Some(id);
        if let Some(entry) = self.slots.get_mut(slot_of(id) as usize).filter(waits) {
            let answer = Answer::of(&result);
            entry.came_to_nothing = answer.is_nothing();
            if let Some(sent_at) = entry.sent_at.take() {
                self.stats.count_answer(answer, self.now - sent_at);
            }
            self.handle(slot_of(id), |job, cx| job.handle_reply(result, cx));
        }
        true
    }

    /// While replies wait nothing times out: one of them may be what is waited for.
    fn fire_timer(&mut self) -> bool {
        if !self.replies.is_empty() || !self.sees_replies || self.budget.timers == 0 {
            return false;
        }
        let Some(slot) = self.timers.due(self.now) else {
            return false;
        };
        self.budget.timers -= 1;
        let entry = &mut self.slots[slot as usize];
        entry.came_to_nothing |= entry.outstanding().is_some();
        self.handle(slot, |job, cx| job.handle_timeout(cx));
        true
    }

    /// Commits go first: the sooner after its fetch, the fewer conflicts.
    fn grant_next(&mut self) -> bool {
        let budget = &mut self.budget;
        let is_spent =
            budget.requests == 0 || budget.bytes == 0 || budget.in_flight >= budget.in_flight_max;
        if is_spent {
            return false;
        }
        let next = self.commits.pop_front();
        let Some(slot) = next.or_else(|| self.fetches.pop_front()) else {
            return false;
        };
        budget.requests -= 1;
        self.slots[slot as usize].is_queued = false;
        self.handle(slot, |job, cx| job.handle_grant(cx));
        true
    }

    /// Lets a job handle something, and sees to what it wants then.
    fn handle(&mut self, slot: u32, handle: impl FnOnce(&mut Job, &mut Context<'_>)) {
        self.touches += 1;
        let entry = &mut self.slots[slot as usize];
        let Some(job) = entry.job.as_deref_mut() else {
            return;
        };
        let was_in_flight = job.outstanding().is_some();
        let mut cx = Context {
            config: &self.config,
            template: self.template.as_ref(),
            create_if_missing: self.create_if_missing,
            sender: &self.name,
            now: self.now,
            wall: self.wall,
            rng: &mut self.rng,
            out: Outputs {
                tasks: &mut self.tasks,
                requests: &mut self.requests,
                mailbox: &self.mailbox,
                patience: self.config.patience(),
                bytes: &mut self.budget.bytes,
                slot,
                sequence: &mut entry.sequence,
                now: self.now,
                sent_at: &mut entry.sent_at,
                came_to_nothing: &mut entry.came_to_nothing,
                stats: &mut self.stats,
            },
        };
        handle(job, &mut cx);
        let is_in_flight = job.outstanding().is_some();
        if !is_in_flight && entry.sent_at.take().is_some() {
            self.stats.count_given_up();
        }
        self.budget.in_flight += u32::from(is_in_flight);
        self.budget.in_flight -= u32::from(was_in_flight);
        self.settle(slot);
    }

    /// Queues a job for what it wants, sets its timer, or removes it.
    fn settle(&mut self, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        let Some(job) = entry.job.as_deref() else {
            return;
        };
        let is_done = job.is_done(self.now) && !entry.is_queued;
        let deadline = match is_done {
            true => NEVER,
            false => job.deadline(&self.config),
        };
        self.timers.set(slot, entry.armed, deadline);
        entry.armed = deadline;
        if is_done {
            self.by_key.remove(&**job.key());
            entry.job = None;
            self.free.push(slot);
        } else if let Some(intent) = job.intent().filter(|_| !entry.is_queued) {
            entry.is_queued = true;
            match intent {
                Intent::Fetch => self.fetches.push_back(slot),
                Intent::Commit => self.commits.push_back(slot),
            }
        }
    }
}

impl Slot {
    /// The request whose reply its job waits for.
    fn outstanding(&self) -> Option<RequestId> {
        self.job.as_deref().and_then(Job::outstanding)
    }
}

impl Outputs<'_> {
    pub fn request(&mut self, operation: Operation) -> RequestId {
        let id = self.next_id();
        if let Operation::Commit { bytes, .. } = &operation {
            *self.bytes = self.bytes.saturating_sub(bytes.len());
        }
        let is_retry = std::mem::take(self.came_to_nothing);
        *self.sent_at = Some(self.now);
        self.stats.count_request(&operation, is_retry);
        let responder = Responder::new(id, Arc::clone(self.mailbox) as _)
            .with_retry(is_retry)
            .with_patience(self.patience);
        self.requests.push(Request {
            operation,
            responder,
        });
        id
    }

    pub fn create(&mut self, key: &Arc<str>) -> RequestId {
        let id = self.next_id();
        self.tasks.push_back(Task::Create(id, Arc::clone(key)));
        id
    }

    pub fn end(&mut self, ended: Ended) {
        self.tasks.push_back(Task::Ended(ended));
    }

    pub fn report(&mut self, key: &Arc<str>, report: ErrorReport) {
        self.tasks.push_back(Task::Error(Arc::clone(key), report));
    }

    fn next_id(&mut self) -> RequestId {
        *self.sequence = self.sequence.wrapping_add(1);
        RequestId(u64::from(self.slot) << 32 | u64::from(*self.sequence))
    }
}

fn left_of(job: &Job) -> Option<Left> {
    let (mut changes, mut outcome) = (0, SendOutcome::NotSent);
    for (send, given_up) in job.pending() {
        changes += send.changes.len();
        if given_up == SendOutcome::Unknown {
            outcome = given_up;
        }
    }
    (changes > 0).then(|| Left {
        key: Arc::clone(job.key()),
        changes,
        outcome,
        last_error: job.last_error().map(Into::into),
    })
}

/// The slot that a request's id names.
fn slot_of(id: RequestId) -> u32 {
    (id.0 >> 32) as u32
}

/// How many bytes of document a reply brings.
fn size(reply: &Reply) -> usize {
    match &reply.result {
        Ok(Outcome::Fetched(Fetched::Present { bytes, .. })) => bytes.len(),
        _ => 0,
    }
}
