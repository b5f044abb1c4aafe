//! Random schedules: a few servers on one storage, with faults, crashes, erasures, failing hooks
//! and jumps of time, and a ledger of what was promised, held against what happened.
//!
//! Every change of the player's is a token of its own, appended to the document's `Log`. Owners
//! load the log and only ever append, so a token that was acknowledged must be there at the end.

mod host;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use serde_json::{Value, json};
use session_locker::locker::{Config, LoadStatus, SaveOutcome, SavedConnection};
use session_locker::save_data::SaveData;

use crate::support::{FaultyStorage, Server, VirtualClock, Written, options, spec};
use host::{Handle, Host, Kind};

/// Wall clocks are off by at most this, so no two by more than the tolerance.
const MAX_SKEW: f64 = 14.0;
const EXPIRY: f64 = 120.0;

pub fn config(config: Config) -> Config {
    Config {
        maintain_session_period: 20.0,
        session_expiry: EXPIRY,
        clock_tolerance: 30.0,
        session_retry_cooldown: 3.0,
        session_retry_ceiling: 12.0,
        request_timeout: 5.0,
        ..config
    }
}

/// A change that somebody waits for.
struct Promise {
    token: u64,
    key: &'static str,
    connection: SavedConnection,
    answers: Arc<AtomicU32>,
}

/// An erasure, in order.
struct Erased {
    key: &'static str,
    /// The first token that is younger.
    next_token: u64,
    at: f64,
}

pub struct Schedule {
    seed: u64,
    rng: fastrand::Rng,
    storage: Arc<FaultyStorage>,
    clock: Arc<VirtualClock>,
    hosts: Vec<Host>,
    promises: Vec<Promise>,
    /// Tokens from 1; a token is older than another if it is less.
    next_token: Arc<AtomicU64>,
    /// Tokens that a hook wrote before it failed.
    undone: Arc<parking_lot::Mutex<BTreeSet<u64>>>,
    erased: Vec<Erased>,
    servers_so_far: u64,
    keys: &'static [&'static str],
}

const KEYS: [&str; 2] = ["Player_1", "Player_2"];

impl Schedule {
    pub fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let clock = VirtualClock::new();
        let storage = match rng.bool() {
            true => FaultyStorage::with_clock(&clock),
            false => FaultyStorage::without_clock(&clock),
        };
        let shares = [0.0, 0.05, 0.2, 0.5];
        storage.misbehave(rng.u64(..), shares[rng.usize(..shares.len())]);
        let keys = &KEYS[..rng.usize(1..=2)];
        let mut schedule = Self {
            seed,
            rng,
            storage,
            clock,
            hosts: Vec::new(),
            promises: Vec::new(),
            next_token: Arc::new(AtomicU64::new(1)),
            undone: Arc::default(),
            erased: Vec::new(),
            servers_so_far: 0,
            keys,
        };
        for _ in 0..schedule.rng.usize(2..=3) {
            let host = schedule.boot();
            schedule.hosts.push(host);
        }
        schedule
    }

    fn boot(&mut self) -> Host {
        self.servers_so_far += 1;
        let skew = (self.rng.f64() * 2.0 - 1.0) * MAX_SKEW;
        let mut options = options(&self.clock, self.seed << 8 | self.servers_so_far);
        options.clock = self.clock.skewed(skew);
        options.config = config(options.config);
        options.template = SaveData::from_json(r#"{"Log":[]}"#, 1 << 20).ok();
        Host::new(match self.rng.u32(..3) {
            0 => Kind::Spec(spec(&self.storage, options), Arc::clone(&self.clock)),
            _ => Kind::Store(Server::with(&self.storage, &self.clock, options)),
        })
    }

    /// Runs the schedule and its end, and checks everything on the way.
    pub fn run(mut self, steps: usize) -> Self {
        for _ in 0..steps {
            self.step();
            self.check_single_availability();
        }
        self.wind_up();
        self
    }

    fn step(&mut self) {
        match self.rng.u32(..100) {
            0..35 => self.pass_time(),
            35..55 => self.update_one(),
            55..65 => self.start_session(),
            65..80 => self.change(),
            80..84 => self.end_session(),
            84..94 => self.let_something_go(),
            94..97 => self.send(),
            97 => self.crash(),
            98 => self.erase(),
            _ => self.set_hook(),
        }
    }

    fn pass_time(&mut self) {
        let seconds = match self.rng.u32(..30) {
            0 => self.rng.f64() * 300.0,
            1..10 => self.rng.f64() * 6.0,
            _ => self.rng.f64(),
        };
        self.clock.advance(seconds);
    }

    fn update_one(&mut self) {
        let host = self.rng.usize(..self.hosts.len());
        self.update(host);
    }

    fn update(&mut self, host: usize) {
        self.hosts[host].update();
        self.check_single_availability();
    }

    fn start_session(&mut self) {
        let key = self.keys[self.rng.usize(..self.keys.len())];
        let reusable = self.rng.bool();
        let index = self.rng.usize(..self.hosts.len());
        let host = &mut self.hosts[index];
        if host.sessions.len() < 3 {
            host.start_session(key, reusable);
        }
    }

    fn any_session(&mut self) -> Option<(usize, usize)> {
        let host = self.rng.usize(..self.hosts.len());
        let sessions = self.hosts[host].sessions.len();
        (sessions > 0).then(|| (host, self.rng.usize(..sessions)))
    }

    fn change(&mut self) {
        let Some((host, session)) = self.any_session() else {
            return;
        };
        let session = &self.hosts[host].sessions[session];
        if session.status() != LoadStatus::Loaded {
            return;
        }
        let token = self.next_token.fetch_add(1, Ordering::Relaxed);
        let text = token.to_string();
        let written = session.data().write(|data| data.append("/Log", &text));
        written.expect("a write");
        let answers = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&answers);
        let count = move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        };
        if self.rng.bool() {
            session.mark_force_save();
        }
        self.promises.push(Promise {
            token,
            key: session.key,
            connection: session.when_changes_saved(Box::new(count)),
            answers,
        });
    }

    fn end_session(&mut self) {
        if let Some((host, session)) = self.any_session() {
            self.hosts[host].change_mind(session);
        }
    }

    fn let_something_go(&mut self) {
        let held = self.storage.held();
        if held > 0 {
            self.storage.let_go_of(self.rng.usize(..held));
        }
    }

    /// A sender appends to the inbox, whoever owns the key.
    fn send(&mut self) {
        let key = self.keys[self.rng.usize(..self.keys.len())];
        if self.storage.stored(key).is_some() {
            let id = self.next_token.load(Ordering::Relaxed);
            self.storage.edit(key, |document| {
                let entry = json!({"K": "gift", "I": format!("{id}-{}", self.clock.now()), "A": 0});
                match &mut document["RemoteChanges"] {
                    Value::Array(inbox) => inbox.push(entry),
                    inbox => *inbox = json!([entry]),
                }
            });
        }
    }

    fn crash(&mut self) {
        let index = self.rng.usize(..self.hosts.len());
        let rebooted = self.boot();
        drop(std::mem::replace(&mut self.hosts[index], rebooted));
    }

    fn erase(&mut self) {
        let key = self.keys[self.rng.usize(..self.keys.len())];
        if self.rng.u32(..4) == 0 {
            self.storage.erase(key);
            let next_token = self.next_token.load(Ordering::Relaxed);
            let at = self.clock.now();
            self.erased.push(Erased {
                key,
                next_token,
                at,
            });
        }
    }

    /// A hook that writes and then fails, every so often.
    fn set_hook(&mut self) {
        let Some((host, session)) = self.any_session() else {
            return;
        };
        let session = &self.hosts[host].sessions[session];
        let Handle::Profile(profile) = &session.handle else {
            return;
        };
        let data = Arc::clone(session.data());
        let rng = parking_lot::Mutex::new(self.rng.fork());
        let (tokens, undone) = (Arc::clone(&self.next_token), Arc::clone(&self.undone));
        let hook = move || {
            let token = tokens.fetch_add(1, Ordering::Relaxed);
            let text = token.to_string();
            let written = data.write(|data| data.append("/Log", &text));
            if written.is_err() || rng.lock().bool() {
                undone.lock().insert(token);
                return Err("the hook gives up".to_owned());
            }
            Ok(())
        };
        let transform = self.rng.bool();
        let hook = Some(Arc::new(hook) as _);
        profile
            .set_before_save(transform, hook)
            .expect("a live profile");
    }

    /// Law 1, as hosts see it. The owner of a record that was erased under it may not know yet.
    fn check_single_availability(&self) {
        let now = self.clock.now();
        for key in self.keys {
            let mut erased = self.erased.iter().filter(|erased| erased.key == *key);
            if erased.any(|erased| now - erased.at < EXPIRY) {
                continue;
            }
            let owns = |host: &&Host| {
                let mut sessions = host.sessions.iter().filter(|session| session.key == *key);
                sessions.any(|session| session.is_available())
            };
            let owners = self.hosts.iter().filter(owns).count();
            assert!(owners <= 1, "seed {}: {owners} owners of {key}", self.seed);
        }
    }

    /// The faults stop; every server must come to rest, and every key must be loadable.
    fn wind_up(&mut self) {
        self.storage.heal();
        while self.storage.held() > 0 {
            self.let_something_go();
        }
        self.run_until("settled", |host| {
            host.sessions.iter().all(|session| session.is_settled())
        });
        self.hosts.iter_mut().for_each(Host::close);
        self.run_until("closed", Host::is_closed);
        for host in &self.hosts {
            host.check_told(self.seed);
        }
        self.hosts.clear();
        let mut last = self.boot();
        for key in self.keys {
            last.start_session(key, false);
        }
        self.hosts.push(last);
        self.run_until("loaded", |host| {
            host.sessions
                .iter()
                .all(|session| session.status() == LoadStatus::Loaded)
        });
    }

    fn run_until(&mut self, what: &str, is_done: impl Fn(&Host) -> bool) {
        // Expiry, tolerance and watching, one after the other, and some retries.
        for _ in 0..400 {
            if self.hosts.iter().all(&is_done) {
                return;
            }
            self.clock.advance(1.0);
            (0..self.hosts.len()).for_each(|host| self.update(host));
        }
        panic!("seed {}: a server is never {what}", self.seed);
    }
}

/// What must be true of a schedule that is over.
impl Schedule {
    /// Law 1, as the storage sees it: who writes over another's session waited for its expiry.
    pub fn check_one_owner(&self) {
        for key in self.keys {
            let (mut before, mut written_at) = (Value::Null, 0.0);
            for written in self.history_of(key) {
                let document = parse(&written.after);
                let (was, is) = (owner(&before), writer(&document));
                if written.by_server && was.is_some() && was != is {
                    let stamp = before["Session"]["UpdatedAt"].as_f64().expect("a stamp");
                    let waited = written.at - stamp.min(written_at);
                    assert!(
                        waited >= EXPIRY - MAX_SKEW - 1.0,
                        "seed {}: after {waited} s {before} was written over by {document}",
                        self.seed
                    );
                }
                // What a sender appends is not the session's doing.
                if written.by_server {
                    written_at = written.at;
                }
                before = document;
            }
        }
    }

    /// Law 2.
    pub fn check_acknowledged_is_durable(&self) {
        for promise in &self.promises {
            if promise.connection.is_saved() && !self.was_erased_after(promise) {
                let log = tokens(&self.storage.document(promise.key));
                let (seed, token) = (self.seed, promise.token);
                assert!(log.contains(&token), "seed {seed}: {token} was saved");
            }
        }
    }

    /// What a sender has put into the inbox stays there: nobody applies it here.
    pub fn check_inbox_is_kept(&self) {
        for key in self.keys {
            let mut sent = BTreeSet::new();
            for written in self.history_of(key) {
                let document = parse(&written.after);
                let inbox = inbox(&document);
                let seed = self.seed;
                match written.after {
                    None => sent.clear(),
                    Some(_) => assert!(sent.is_subset(&inbox), "seed {seed}: {sent:?}, {document}"),
                }
                sent.extend(inbox);
            }
        }
    }

    /// Law 3.
    pub fn check_no_false_alarm(&self) {
        for promise in &self.promises {
            let was_denied = promise.connection.outcome() == Some(SaveOutcome::NotSaved);
            if was_denied && !self.was_erased_after(promise) {
                let history = self.history_of(promise.key);
                let stored = history.iter().map(|written| parse(&written.after));
                let (seed, token) = (self.seed, promise.token);
                for document in stored {
                    assert!(
                        !tokens(&document).contains(&token),
                        "seed {seed}: {token} was called not saved, but is in {document}"
                    );
                }
            }
        }
    }

    /// Law 7, as far as data goes: nothing from before an erasure comes back.
    pub fn check_erased_stays_erased(&self) {
        for key in self.keys {
            let mut erasures = self.erased.iter().filter(|erased| erased.key == *key);
            let mut oldest = 0;
            for written in self.history_of(key) {
                match written.after {
                    None => oldest = erasures.next().expect("an erasure of ours").next_token,
                    Some(_) => {
                        let log = tokens(&parse(&written.after));
                        let seed = self.seed;
                        assert!(
                            log.iter().all(|token| *token >= oldest),
                            "seed {seed}: {log:?} holds what was erased before {oldest}"
                        );
                    }
                }
            }
        }
    }

    /// Law 8.
    pub fn check_answered_once(&self) {
        for promise in &self.promises {
            let answers = promise.answers.load(Ordering::Relaxed);
            let (seed, token) = (self.seed, promise.token);
            assert_eq!(answers, 1, "seed {seed}: token {token}");
        }
    }

    /// Law 9.
    pub fn check_failed_hooks_left_nothing(&self) {
        let undone = self.undone.lock();
        for written in self.storage.history() {
            let log = tokens(&parse(&written.after));
            let seed = self.seed;
            assert!(
                log.iter().all(|token| !undone.contains(token)),
                "seed {seed}: {log:?} has the work of a hook that failed"
            );
        }
    }

    fn history_of(&self, key: &str) -> Vec<Written> {
        let mut history = self.storage.history();
        history.retain(|written| *written.key == *key);
        history
    }

    fn was_erased_after(&self, promise: &Promise) -> bool {
        let mut erased = self.erased.iter();
        erased.any(|erased| erased.key == promise.key && promise.token < erased.next_token)
            || self.was_made_on_an_erased_record(promise)
    }

    /// Made by a session that did not know yet that its record was gone.
    fn was_made_on_an_erased_record(&self, promise: &Promise) -> bool {
        promise.connection.outcome() == Some(SaveOutcome::NotSaved)
            && self.erased.iter().any(|erased| erased.key == promise.key)
    }
}

fn parse(bytes: &Option<bytes::Bytes>) -> Value {
    let bytes = bytes.as_deref().unwrap_or(b"null");
    serde_json::from_slice(bytes).expect("only JSON is written")
}

fn owner(document: &Value) -> Option<u64> {
    document["Session"]["LockId"].as_u64()
}

/// The session that wrote a document: a release names it in `Saves` alone.
fn writer(document: &Value) -> Option<u64> {
    let last = document["Saves"].as_array().and_then(|saves| saves.last());
    owner(document).or(last.and_then(|mark| mark[0].as_u64()))
}

fn inbox(document: &Value) -> BTreeSet<String> {
    let entries = document["RemoteChanges"].as_array();
    let ids = entries.into_iter().flatten().map(|entry| &entry["I"]);
    ids.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn tokens(document: &Value) -> Vec<u64> {
    let log = document["Log"].as_array();
    log.into_iter()
        .flatten()
        .filter_map(Value::as_u64)
        .collect()
}
