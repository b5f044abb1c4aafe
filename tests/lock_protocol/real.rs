//! The library beside the model: two servers with real lockers play at random on a storage that loses
//! answers, and the model follows. Whatever the library does has to be a step of the model, and after
//! each step both have to say the same of the record, its owner, and who is available.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;
use session_locker::clock::Clock as HostClock;
use session_locker::locker::{Config, LoadStatus, Locker, LockerHooks, LockerSpec, SpecOptions};
use session_locker::migration::Migrators;
use session_locker::save_data::SaveData;
use session_locker::storage::{
    Expected, Fetched, Operation, Outcome, Request, RequestErrorKind, Responder, Revision, Storage,
    StorageError,
};

use crate::check::{Size, size};
use crate::model::{LockProtocol, Step};
use crate::rules::{Break, Clock, Rules};
use crate::world::{BOTH, Phase, State, Store, Who};

/// The seconds of a tick; all that happens within one happens in its first quarter.
const TICK_S: f64 = 1000.0;
const WITHIN_A_TICK_S: f64 = 250.0;
/// More than one tick and a quarter and less than one and three quarters, and its margin as well.
const EXPIRY_S: f64 = 1500.0;

const MOVES: u32 = 400;

const KEY: &str = "key";

/// The time that all clocks show.
#[derive(Default)]
struct Time(Mutex<f64>);

impl Time {
    fn now(&self) -> f64 {
        *self.0.lock()
    }
}

impl HostClock for Time {
    fn wall(&self) -> f64 {
        1_800_000_000.0 + self.now()
    }

    fn monotonic(&self) -> f64 {
        self.now()
    }

    fn sleep(&self, seconds: f64) {
        *self.0.lock() += seconds;
    }
}

/// Where a server's requests wait to be acted upon.
#[derive(Default)]
struct Desk(Mutex<Vec<Request>>);

impl Storage for Desk {
    fn submit(&self, request: Request) {
        self.0.lock().push(request);
    }
}

struct NoHooks;

impl LockerHooks for NoHooks {
    fn create(&self, _: &str) -> Result<SaveData, String> {
        Ok(SaveData::default())
    }
}

#[derive(Clone)]
struct Commit {
    expected: Expected,
    bytes: bytes::Bytes,
    writer: (Who, u64),
}

struct InFlight {
    commit: Commit,
    responder: Responder,
    outcome: Option<Outcome>,
}

struct Server {
    desk: Arc<Desk>,
    locker: Locker,
    seed: u64,
    in_flight: Option<InFlight>,
}

impl Server {
    fn new(time: &Arc<Time>, seed: u64) -> Self {
        let desk = Arc::new(Desk::default());
        let options = SpecOptions {
            config: Config {
                session_expiry: EXPIRY_S,
                maintain_session_period: EXPIRY_S - 200.0,
                ..Config::default()
            },
            migrators: Migrators::default(),
            template: Some(SaveData::default()),
            clock: Arc::clone(time) as Arc<dyn HostClock>,
            seed,
            polls_events: true,
        };
        let storage = Arc::clone(&desk) as Arc<dyn Storage>;
        let spec = LockerSpec::new(storage, options, Box::new(NoHooks)).expect("a spec");
        let locker = spec.create_locker(KEY, &[]).expect("a locker");
        locker.update(time.now()).expect("its first update");
        let in_flight = None;
        Self {
            desk,
            locker,
            seed,
            in_flight,
        }
    }

    /// Nothing is done until the host asks, or asks anew.
    fn rests(&self) -> bool {
        let status = self.locker.load_status().expect("a locker");
        status == LoadStatus::Erased || self.locker.is_idle().expect("a locker")
    }
}

/// The record, as it is in truth.
struct Record {
    bytes: Option<bytes::Bytes>,
    revision: u64,
    /// Who has written the session that stands in it.
    writer: Option<(Who, u64)>,
}

impl Record {
    fn revision(&self) -> Revision {
        Revision::from_u64(self.revision)
    }

    fn expected(&self) -> Expected {
        match self.bytes {
            Some(_) => Expected::Present(self.revision()),
            None => Expected::Absent(Some(self.revision())),
        }
    }

    fn act(&mut self, commit: &Commit) -> Outcome {
        if commit.expected != self.expected() {
            return Outcome::Conflict;
        }
        self.revision += 1;
        self.bytes = Some(commit.bytes.clone());
        self.writer = has_session(&commit.bytes).then_some(commit.writer);
        Outcome::Committed(self.revision())
    }
}

fn has_session(bytes: &[u8]) -> bool {
    let document: Value = serde_json::from_slice(bytes).expect("a document");
    document.get("Session").is_some()
}

/// Both worlds.
struct Play {
    model: LockProtocol,
    /// What the model can be, after all that was seen.
    states: Vec<State>,
    steps: Vec<Step>,
    time: Arc<Time>,
    record: Record,
    servers: [Server; 2],
    late: Vec<Commit>,
    seeds: u64,
    /// Where the library has done what is no step of the model.
    parted: Option<String>,
}

impl Play {
    fn new(rules: Rules, seed: u64) -> Self {
        let time = Arc::new(Time::default());
        let seeds = seed * 10_000;
        let servers = BOTH.map(|who| Server::new(&time, seeds + who as u64));
        Self {
            model: LockProtocol { rules },
            states: vec![State::new()],
            steps: Vec::new(),
            time,
            record: Record {
                bytes: None,
                revision: 1,
                writer: None,
            },
            servers,
            late: Vec::new(),
            seeds: seeds + 2,
            parted: None,
        }
    }

    /// The model takes one of these steps.
    fn follow(&mut self, steps: &[Step]) {
        self.steps.extend(steps.first());
        let mut next = Vec::new();
        for state in &self.states {
            for step in steps {
                let after = self.model.next_as_it_is(state, *step);
                if !next.contains(&after) {
                    next.push(after);
                }
            }
        }
        self.states = next;
    }

    fn keep(&mut self, what: &str, is_so: impl Fn(&State) -> bool) {
        let before = self.states.clone();
        self.states.retain(is_so);
        if self.states.is_empty() {
            self.states = before;
            self.parted.get_or_insert_with(|| {
                let steps = &self.steps[self.steps.len().saturating_sub(60)..];
                let states = &self.states;
                let real = BOTH.map(|who| {
                    let server = &self.servers[who as usize];
                    let is_available = server.locker.is_available();
                    (is_available, server.locker.load_status(), server.rests(), server.in_flight.is_some())
                });
                format!("the model does not know that {what}: {real:?} and not {states:#?} after {steps:#?}")
            });
        }
    }

    /// The server does what it can do at once.
    fn update(&mut self, who: Who) {
        loop {
            let server = &self.servers[who as usize];
            server.locker.update(self.time.now()).expect("an update");
            let requests = std::mem::take(&mut *server.desk.0.lock());
            if requests.is_empty() {
                break;
            }
            requests
                .into_iter()
                .for_each(|request| self.submitted(who, request));
        }
        self.compare();
    }

    fn submitted(&mut self, who: Who, request: Request) {
        let responder = request.responder;
        match request.operation {
            Operation::Fetch { .. } => {
                self.follow(&[Step::Look(who, false), Step::Look(who, true)]);
                let fetched = match &self.record.bytes {
                    None => Fetched::Absent {
                        tombstone: Some(self.record.revision()),
                    },
                    Some(bytes) => Fetched::Present {
                        bytes: bytes.clone(),
                        revision: self.record.revision(),
                        user_ids: Arc::default(),
                    },
                };
                responder.answer_at(Ok(Outcome::Fetched(fetched)), Some(self.time.wall()));
            }
            Operation::Commit {
                expected, bytes, ..
            } => {
                let is_present = expected == self.record.expected();
                let has_session = has_session(&bytes);
                self.hand_over(who);
                self.keep("it commits this", |state| {
                    let mut server = *state.server(who);
                    server.in_flight().is_some_and(|in_flight| {
                        let commit = &in_flight.commit;
                        commit.document.session.is_some() == has_session
                            && (commit.expected == state.store.expected()) == is_present
                    })
                });
                let server = &mut self.servers[who as usize];
                let writer = (who, server.seed);
                server.in_flight = Some(InFlight {
                    commit: Commit {
                        expected,
                        bytes,
                        writer,
                    },
                    responder,
                    outcome: None,
                });
            }
            other => panic!("not asked for by a locker: {other:?}"),
        }
    }

    /// An acquire is under way with the look that led to it.
    fn hand_over(&mut self, who: Who) {
        self.steps.push(Step::HandOver(who));
        for state in &mut self.states {
            if state.server_mut(who).in_flight().is_none() {
                *state = self.model.next_as_it_is(state, Step::HandOver(who));
            }
        }
    }

    fn compare(&mut self) {
        let (is_present, has_session) = match &self.record.bytes {
            None => (false, false),
            Some(bytes) => (true, has_session(bytes)),
        };
        let seeds = BOTH.map(|who| self.servers[who as usize].seed);
        let writer = self.record.writer;
        let owner = writer.and_then(|(who, seed)| (seeds[who as usize] == seed).then_some(who));
        self.keep("this is stored", |state| {
            matches!(state.store, Store::Present(..)) == is_present
                && state.store.session().is_some() == has_session
                && state.store.session().and_then(|session| session.by) == owner
        });
        for who in BOTH {
            let server = &self.servers[who as usize];
            let is_available = server.locker.is_available().expect("a locker");
            let commits = server.in_flight.is_some();
            let rests = server.rests();
            let rules = self.model.rules;
            self.keep("it is where it is", |state| {
                let mut server = *state.server(who);
                server.in_flight().is_some() == commits
                    && matches!(server.phase, Phase::Idle) == rests
                    && state.counts_on_its_session(&rules, who) == is_available
            });
        }
    }
}

/// What may happen next, in both worlds.
impl Play {
    fn play(&mut self, chance: &mut fastrand::Rng) {
        let who = BOTH[chance.usize(..2)];
        match chance.u32(..100) {
            0..20 => self.host_changes_its_mind(who),
            20..26 => self.save(who),
            26..46 => self.act(who),
            46..60 => self.deliver(who),
            60..68 => self.fail(who),
            68..73 => self.act_late(chance),
            73..80 => self.wait(),
            80..88 => self.tick(),
            88..91 => self.erase(),
            91..95 => self.append(),
            95..98 => self.crash(who),
            _ => {}
        }
    }

    fn host_changes_its_mind(&mut self, who: Who) {
        let is_idle = |state: &State| matches!(state.server(who).phase, Phase::Idle);
        let (idle, busy): (Vec<_>, Vec<_>) = self.states.drain(..).partition(is_idle);
        assert!(
            idle.is_empty() || busy.is_empty(),
            "it is known who is idle"
        );
        self.states = [idle, busy].concat();
        let first = &self.states[0];
        let locker = &self.servers[who as usize].locker;
        if is_idle(first) {
            locker.mark_should_acquire().expect("a locker");
            self.follow(&[Step::Ask(who)]);
        } else if first.server(who).wanted {
            locker.mark_should_release().expect("a locker");
            self.follow(&[Step::LetGo(who)]);
        } else {
            locker.mark_should_acquire().expect("a locker");
            self.follow(&[Step::WantAgain(who)]);
        }
        self.update(who);
    }

    fn save(&mut self, who: Who) {
        let locker = &self.servers[who as usize].locker;
        locker.mark_force_save().expect("a locker");
        self.update(who);
    }

    fn act(&mut self, who: Who) {
        let server = &mut self.servers[who as usize];
        if let Some(in_flight) = &mut server.in_flight
            && in_flight.outcome.is_none()
        {
            in_flight.outcome = Some(self.record.act(&in_flight.commit));
            self.follow(&[Step::Act(who)]);
            self.compare();
        }
    }

    fn deliver(&mut self, who: Who) {
        let server = &mut self.servers[who as usize];
        if let Some(in_flight) = server.in_flight.take_if(|is| is.outcome.is_some()) {
            let outcome = in_flight.outcome.expect("it was acted upon");
            in_flight
                .responder
                .answer_at(Ok(outcome), Some(self.time.wall()));
            self.follow(&[Step::Deliver(who)]);
            self.update(who);
        }
    }

    fn fail(&mut self, who: Who) {
        let is_full = |state: &State| match &state.server(who).phase {
            Phase::Held(held) => held.unsettled.is_full(),
            _ => false,
        };
        if self.states.iter().any(is_full) {
            return;
        }
        if let Some(in_flight) = self.servers[who as usize].in_flight.take() {
            let error = StorageError::new(RequestErrorKind::Backend, "lost");
            in_flight.responder.answer(Err(error));
            if in_flight.outcome.is_none() {
                self.leave(in_flight.commit);
            }
            self.follow(&[Step::Fail(who)]);
            self.update(who);
        }
    }

    fn leave(&mut self, commit: Commit) {
        if self.late.len() < self.model.rules.late_at_most {
            self.late.push(commit);
        }
    }

    fn act_late(&mut self, chance: &mut fastrand::Rng) {
        if !self.late.is_empty() {
            let index = chance.usize(..self.late.len());
            let commit = self.late.remove(index);
            self.record.act(&commit);
            self.follow(&[Step::ActLate(index)]);
            self.compare();
        }
    }

    /// So long that it may try again, and within the tick.
    fn wait(&mut self) {
        let within = self.time.now() % TICK_S;
        if within + 15.0 < WITHIN_A_TICK_S && self.servers.iter().all(|is| is.in_flight.is_none()) {
            self.time.sleep(15.0);
            BOTH.into_iter().for_each(|who| self.update(who));
        }
    }

    /// What is in flight over a tick is given up.
    fn tick(&mut self) {
        for who in BOTH {
            self.fail(who);
        }
        if self.servers.iter().any(|is| is.in_flight.is_some()) {
            return;
        }
        let within = self.time.now() % TICK_S;
        self.time.sleep(TICK_S - within);
        self.follow(&[Step::Tick]);
        BOTH.into_iter().for_each(|who| self.update(who));
    }

    fn erase(&mut self) {
        self.record.revision += 1;
        self.record.bytes = None;
        self.record.writer = None;
        self.follow(&[Step::Erase]);
        self.compare();
    }

    fn append(&mut self) {
        if self.record.bytes.is_some() {
            self.record.revision += 1;
            self.follow(&[Step::Append]);
            self.compare();
        }
    }

    fn crash(&mut self, who: Who) {
        self.seeds += 1;
        let server = Server::new(&self.time, self.seeds);
        let before = std::mem::replace(&mut self.servers[who as usize], server);
        if let Some(in_flight) = before.in_flight
            && in_flight.outcome.is_none()
        {
            self.leave(in_flight.commit);
        }
        self.follow(&[Step::Crash(who)]);
        self.compare();
    }
}

/// Where the library parts from the model, if it does.
fn part(rules: Rules) -> Option<String> {
    let seeds = match size() {
        Size::Small => 150,
        Size::Full => 400,
        Size::Deep => 10_000,
    };
    (0..seeds).find_map(|seed| {
        let mut chance = fastrand::Rng::with_seed(seed);
        let mut play = Play::new(rules, seed);
        for _ in 0..MOVES {
            play.play(&mut chance);
            if play.parted.is_some() {
                break;
            }
        }
        play.parted
    })
}

fn rules() -> Rules {
    let mut rules = Rules::new(Clock::Storage);
    rules.tracks_a_change = false;
    rules
}

#[test]
fn whatever_the_library_does_is_a_step_of_the_model() {
    if let Some(parted) = part(rules()) {
        panic!("{parted}");
    }
}

/// Not told apart are mistakes of the storage, which is the test's own here; what shows in answers to waits
/// alone; and one that nearly nothing leads to by chance: `SavesOfOneSession`.
#[test]
fn the_library_does_none_of_the_mistakes_that_show() {
    let mistakes = [
        Break::NoMargin,
        Break::LeaseFromTheAnswer,
        Break::AvailableWhileReleasing,
        Break::FailedReleaseIsTheEnd,
        Break::FailedAcquireIsForgotten,
        Break::ConflictIsLoss,
        Break::TakenAgainFromAnybody,
        Break::SeenIsForgotten,
        Break::ReleaseForgetsTheRecord,
        Break::AnySaveCounts,
        Break::SilenceIsFailure,
        Break::AvailableBeforeTakenAgain,
    ];
    for mistake in mistakes {
        let parts = part(rules().with(mistake)).is_some();
        assert!(parts, "the library may as well make this one: {mistake:?}");
    }
}
