//! The simulated storage: it keeps the contract of `docs/protocol.md`, section 7, and nothing beyond it.
//!
//! Each request is given a moment at which the storage *acts* on it, or none: then it was lost on its way;
//! and a moment at which it is *answered*, or none, with the truth or with a failure. So requests and
//! answers overtake each other, a commit that was answered with a failure may have been written, or be
//! written long after. What is said to be committed, absent or in conflict is true.
//!
//! Each server has a [`Link`] of its own. When it dies its link is cut: nothing goes out any more, what is
//! on its way may or may not arrive, nothing is answered.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::chance::Chance;
use crate::clock::WALL_START;
use crate::ids::{Key, ServerId};
use crate::inside::{self, Role};
use crate::laws::Write;
use crate::plan::Weather;
use crate::world::World;

/// The ids of a record's users, as they are stored.
pub type UserIds = Arc<[Box<str>]>;

/// What is asked of the storage.
#[derive(Clone, Debug)]
pub enum Ask {
    Fetch {
        key: Key,
    },
    Commit {
        key: Key,
        expected: Expected,
        bytes: Bytes,
        user_ids: UserIds,
    },
}

impl Ask {
    fn key(&self) -> Key {
        match self {
            Self::Fetch { key } | Self::Commit { key, .. } => *key,
        }
    }
}

/// What must be there for a commit to be written; an absence with the revision of its erasure, if a
/// fetch has told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Present(u64),
    Absent(Option<u64>),
}

/// What the storage answers.
#[derive(Clone, Debug)]
pub struct Reply {
    pub outcome: Outcome,
    /// The storage's own clock as it acted, in Unix seconds, if it has one.
    pub clock: Option<f64>,
}

#[derive(Clone, Debug)]
pub enum Outcome {
    Present {
        bytes: Bytes,
        revision: u64,
        user_ids: UserIds,
    },
    Absent {
        tombstone: Option<u64>,
    },
    Committed(u64),
    Conflict,
    /// Nobody knows.
    Failed,
}

/// Who waits for an answer. Dropped, it gets none.
pub trait Answer: Send {
    fn give(self: Box<Self>, reply: Reply);
}

/// A server's way to the storage.
pub struct Link {
    store: Arc<Store>,
    server: ServerId,
}

/// See the module's page.
pub struct Store {
    world: Arc<World>,
    has_clock: bool,
    state: Mutex<State>,
}

struct State {
    records: [Record; Key::MAX],
    last_revision: u64,
    due: BinaryHeap<Due>,
    requests: u64,
    chance: Chance,
    weather: Weather,
    /// Answers that will never be given, kept for as long as their servers live.
    silent: Vec<(ServerId, Box<dyn Answer>)>,
    /// The servers that have died.
    cut: BTreeSet<ServerId>,
    /// When a server has last asked for a key in vain: what goes wrong, and what takes too long.
    failed: BTreeMap<(ServerId, Key), f64>,
}

#[derive(Clone, Default)]
struct Record {
    /// None: there is none.
    value: Option<(Bytes, UserIds)>,
    /// Of the value, or of its erasure; 0 for a key that was never written.
    revision: u64,
}

/// Something that will happen; the heap has what happens first on top.
struct Due {
    at: f64,
    number: u64,
    server: ServerId,
    what: What,
}

enum What {
    /// It acts, and gives the answer at this time, if there is to be one.
    Act {
        ask: Ask,
        asked: Asked,
        then: Option<(f64, Box<dyn Answer>)>,
    },
    Answer {
        answer: Box<dyn Answer>,
        reply: Reply,
        asked: Asked,
    },
}

/// Who asks, and when.
#[derive(Clone, Copy)]
struct Asked {
    at: f64,
    key: Key,
    /// On whose behalf, and the ledger's moment, where that is known and the answer is surely waited for.
    role: Option<(Role, u64)>,
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        let time = other.at.total_cmp(&self.at);
        time.then(other.number.cmp(&self.number))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

impl Link {
    pub fn new(store: &Arc<Store>, server: ServerId) -> Arc<Self> {
        let store = Arc::clone(store);
        Arc::new(Self { store, server })
    }

    /// Asks the storage. The answer may come before this returns.
    pub fn submit(&self, ask: Ask, answer: Box<dyn Answer>) {
        self.store.submit(self.server, ask, answer);
    }
}

/// What befalls a request: how long until the storage acts, and until it is answered after it was
/// asked, and whether with the truth.
struct Fate {
    acts: Option<f64>,
    answers: Option<f64>,
    is_true: bool,
}

impl Fate {
    fn draw(weather: &Weather, chance: &mut Chance) -> Self {
        if chance.comes(weather.at_once) {
            return Self::true_after(0.0, 0.0);
        }
        let way = chance.about(weather.latency);
        let back = way + chance.about(weather.latency);
        if !chance.comes(weather.faults) {
            return Self::true_after(way, back);
        }
        let late = chance.about(weather.lateness);
        let (acts, answers) = match chance.below(6) {
            0 => (None, Some(back)),
            1 => (None, None),
            2 => (Some(way), Some(back)),
            3 => (Some(back + late), Some(back)),
            4 => (Some(way), None),
            _ => return Self::true_after(late, late + back),
        };
        Self {
            acts,
            answers,
            is_true: false,
        }
    }

    fn true_after(acts: f64, answers: f64) -> Self {
        Self {
            acts: Some(acts),
            answers: Some(answers),
            is_true: true,
        }
    }
}

impl Store {
    pub fn new(world: &Arc<World>, has_clock: bool, weather: Weather, chance: Chance) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            has_clock,
            state: Mutex::new(State {
                records: Default::default(),
                last_revision: 0,
                due: BinaryHeap::new(),
                requests: 0,
                chance,
                weather,
                silent: Vec::new(),
                cut: BTreeSet::new(),
                failed: BTreeMap::new(),
            }),
        })
    }

    /// The world's time.
    pub fn now(&self) -> f64 {
        self.world.now.get()
    }

    /// Lets time pass; what is due meanwhile happens, in the order of its times.
    pub fn advance(&self, seconds: f64) {
        let until = self.now() + seconds;
        loop {
            let mut state = self.state.lock();
            match state.due.peek() {
                Some(due) if due.at <= until => {}
                _ => break,
            }
            let Some(due) = state.due.pop() else { break };
            self.world.now.set(due.at.max(self.now()));
            let answered = self.happen(&mut state, due);
            drop(state);
            give(answered);
        }
        self.world.now.set(until);
    }

    /// From now on nothing goes wrong that has not gone wrong already.
    pub fn heal(&self) {
        self.set_weather(Weather::FAIR);
    }

    pub fn set_weather(&self, weather: Weather) {
        self.state.lock().weather = weather;
    }

    /// A server has died.
    pub fn cut(&self, server: ServerId) {
        let mut state = self.state.lock();
        state.cut.insert(server);
        let silent = std::mem::take(&mut state.silent);
        let (gone, kept) = silent.into_iter().partition(|(of, _)| *of == server);
        state.silent = kept;
        drop(state);
        // With nothing locked: each may say that it was given up.
        drop::<Vec<(ServerId, Box<dyn Answer>)>>(gone);
    }

    /// When a server has last asked for this key, for other ends than to send, and had no answer in time, or
    /// a failure; if it ever has.
    pub fn last_failure(&self, server: ServerId, key: Key) -> Option<f64> {
        self.state.lock().failed.get(&(server, key)).copied()
    }

    /// Writes a record as a tool does, or erases it, whatever is there.
    pub fn put(&self, key: Key, text: Option<&str>) {
        let mut state = self.state.lock();
        let value = text.map(|text| {
            let no_users: UserIds = Arc::new([]);
            (Bytes::copy_from_slice(text.as_bytes()), no_users)
        });
        self.write(&mut state, key, value, None);
    }

    fn submit(&self, server: ServerId, ask: Ask, answer: Box<dyn Answer>) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        if state.cut.contains(&server) {
            drop(guard);
            drop(answer);
            return;
        }
        state.requests += 1;
        let (number, now) = (state.requests, self.now());
        let fate = Fate::draw(&state.weather, &mut state.chance);
        let (role, took) = (inside::role(), fate.answers.unwrap_or(f64::INFINITY));
        let (moment, is_in_time) = self.world.ledger(|ledger| {
            let moment = ledger.tick();
            (moment, ledger.is_awaited(server, took))
        });
        // What a sender is told says nothing to sessions.
        if (!fate.is_true || !is_in_time) && role != Some(Role::Sender) {
            state.failed.insert((server, ask.key()), now);
        }
        let asked = Asked {
            at: now,
            key: ask.key(),
            role: role.filter(|_| is_in_time).map(|role| (role, moment)),
        };
        self.world.note(|| in_words(server, number, &ask, &fate));
        let act = |then| What::Act { ask, asked, then };
        let (first, second) = match (fate.acts, fate.answers) {
            (Some(acts), Some(answers)) if fate.is_true => {
                (Some((acts, act(Some((now + answers, answer))))), None)
            }
            (acts, Some(answers)) => {
                let reply = Reply {
                    outcome: Outcome::Failed,
                    clock: None,
                };
                let failure = What::Answer {
                    answer,
                    reply,
                    asked,
                };
                let failure = Some((answers, failure));
                (acts.map(|acts| (acts, act(None))), failure)
            }
            (acts, None) => {
                state.silent.push((server, answer));
                (acts.map(|acts| (acts, act(None))), None)
            }
        };
        let mut at_once = Vec::new();
        for (after, what) in first.into_iter().chain(second) {
            let due = Due {
                at: now + after,
                number,
                server,
                what,
            };
            match after > 0.0 {
                true => state.due.push(due),
                false => at_once.push(due),
            }
        }
        let mut answered = None;
        for due in at_once {
            answered = self.happen(state, due).or(answered);
        }
        drop(guard);
        give(answered);
    }

    /// The answer that is to be given, with nothing locked.
    fn happen(&self, state: &mut State, due: Due) -> Option<(Box<dyn Answer>, Reply)> {
        let Due {
            number,
            server,
            what,
            ..
        } = due;
        let is_cut = state.cut.contains(&server);
        match what {
            What::Act { ask, asked, then } => {
                if is_cut && state.chance.comes(0.5) {
                    self.world
                        .note(|| format!("{server}: request {number} is lost with its server"));
                    return None;
                }
                let reply = Reply {
                    outcome: self.act(state, (server, asked.at, number), ask),
                    clock: self.has_clock.then(|| WALL_START + self.now()),
                };
                let (at, answer) = then.filter(|_| !is_cut)?;
                if at <= self.now() {
                    self.seen(server, asked, &reply);
                    return Some((answer, reply));
                }
                state.due.push(Due {
                    at,
                    number,
                    server,
                    what: What::Answer {
                        answer,
                        reply,
                        asked,
                    },
                });
                None
            }
            What::Answer { .. } if is_cut => None,
            What::Answer {
                answer,
                reply,
                asked,
            } => {
                self.seen(server, asked, &reply);
                self.world
                    .note(|| format!("{server}: request {number} is answered: {reply}"));
                Some((answer, reply))
            }
        }
    }

    /// A server is shown a record.
    fn seen(&self, server: ServerId, asked: Asked, reply: &Reply) {
        if let (Some((role, moment)), Outcome::Present { .. }) = (asked.role, &reply.outcome) {
            self.world
                .ledger(|ledger| ledger.shown((server, asked.key), role, moment));
        }
    }

    fn act(&self, state: &mut State, by: (ServerId, f64, u64), ask: Ask) -> Outcome {
        let number = by.2;
        match ask {
            Ask::Fetch { key } => state.records[key.index()].outcome(),
            Ask::Commit {
                key,
                expected,
                bytes,
                user_ids,
            } => {
                if state.records[key.index()].at() != expected {
                    self.world
                        .note(|| format!("{}: request {number} comes into conflict", by.0));
                    return Outcome::Conflict;
                }
                Outcome::Committed(self.write(state, key, Some((bytes, user_ids)), Some(by)))
            }
        }
    }

    fn write(
        &self,
        state: &mut State,
        key: Key,
        value: Option<(Bytes, UserIds)>,
        by: Option<(ServerId, f64, u64)>,
    ) -> u64 {
        state.last_revision += 1;
        let revision = state.last_revision;
        let written = value.clone();
        let before = std::mem::replace(&mut state.records[key.index()], Record { value, revision });
        let user_ids = |value: &Option<(Bytes, UserIds)>| match value {
            Some((_, user_ids)) => Arc::clone(user_ids),
            None => Arc::default(),
        };
        self.world.written(&Write {
            key,
            revision,
            bytes: written.as_ref().map(|(bytes, _)| &**bytes),
            user_ids: (&user_ids(&before.value), &user_ids(&written)),
            by: by.map(|(server, asked_at, _)| (server, asked_at)),
        });
        revision
    }
}

fn give(answered: Option<(Box<dyn Answer>, Reply)>) {
    if let Some((answer, reply)) = answered {
        answer.give(reply);
    }
}

impl Record {
    fn at(&self) -> Expected {
        match (&self.value, self.revision) {
            (Some(_), revision) => Expected::Present(revision),
            (None, 0) => Expected::Absent(None),
            (None, revision) => Expected::Absent(Some(revision)),
        }
    }

    fn outcome(&self) -> Outcome {
        match &self.value {
            Some((bytes, user_ids)) => Outcome::Present {
                bytes: bytes.clone(),
                revision: self.revision,
                user_ids: Arc::clone(user_ids),
            },
            None => Outcome::Absent {
                tombstone: (self.revision > 0).then_some(self.revision),
            },
        }
    }
}

fn in_words(server: ServerId, number: u64, ask: &Ask, fate: &Fate) -> String {
    let what = match ask {
        Ask::Fetch { key } => format!("fetch {key}"),
        Ask::Commit {
            key,
            expected,
            bytes,
            ..
        } => format!(
            "commit {key} if {expected:?}: {}",
            String::from_utf8_lossy(bytes)
        ),
    };
    let acts = fate.acts.map_or("is lost".to_owned(), |after| {
        format!("acts in {after:.3} s")
    });
    let answers = fate
        .answers
        .map_or("is never answered".to_owned(), |after| {
            let how = if fate.is_true { "truly" } else { "as failed" };
            format!("answered {how} in {after:.3} s")
        });
    format!("{server}: request {number} ({acts}, {answers}): {what}")
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.outcome {
            Outcome::Present { revision, .. } => write!(f, "present at {revision}"),
            Outcome::Absent { tombstone } => write!(f, "absent ({tombstone:?})"),
            Outcome::Committed(revision) => write!(f, "committed at {revision}"),
            Outcome::Conflict => f.write_str("conflict"),
            Outcome::Failed => f.write_str("failed"),
        }
    }
}
