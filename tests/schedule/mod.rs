//! Random schedules: a few servers on one storage, with faults, crashes, erasures, failing hooks
//! and jumps of time, and a ledger of what was promised, held against what happened.
//!
//! Every change of the player's is a token of its own, appended to the document's `Log`. Owners
//! load the log and only ever append, so a token that was acknowledged must be there at the end.

mod checks;
mod host;
mod receiver;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use serde_json::{Value, json};
use session_locker::locker::{Config, LoadStatus, LockerSpec, SavedConnection};
use session_locker::save_data::SaveData;
use session_locker::storage::Storage;

use crate::support::{FaultyStorage, Server, VirtualClock, options, spec};
use host::{Handle, Host, Kind};
use receiver::Receiver;

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

/// A record was erased, or replaced by what nobody here understands; in order.
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

const MENDED: &str = r#"{"Version":1,"VersionPatch":0,"Log":[]}"#;
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
        let receiver = || {
            Box::new(Receiver {
                rng: parking_lot::Mutex::new(fastrand::Rng::with_seed(options.seed)),
                tokens: Arc::clone(&self.next_token),
                undone: Arc::clone(&self.undone),
            })
        };
        let (storage, clock) = (&self.storage, &self.clock);
        Host::new(match self.rng.u32(..6) {
            0 => Kind::Spec(spec(storage, options), Arc::clone(clock)),
            1 => {
                let (hooks, storage) = (receiver(), Arc::clone(storage) as Arc<dyn Storage>);
                let spec = LockerSpec::new(storage, options, hooks).expect("a spec");
                Kind::Spec(spec, Arc::clone(clock))
            }
            2 => Kind::Store(Server::with(storage, clock, options)),
            _ => {
                let hooks = receiver();
                Kind::Store(Server::with_hooks(storage, clock, options, hooks))
            }
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
            98 => self.take_away(),
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

    fn is_foreign(&self, key: &str) -> bool {
        let stored = self.storage.stored(key);
        stored.is_some_and(|_| self.storage.document(key)["Version"] != 1)
    }

    /// A sender appends to the inbox, whoever owns the key.
    fn send(&mut self) {
        let key = self.keys[self.rng.usize(..self.keys.len())];
        if self.storage.document(key)["Version"] == 1 {
            let id = self.next_token.fetch_add(1, Ordering::Relaxed);
            self.storage.edit(key, |document| {
                let entry = json!({"K": "gift", "I": id, "A": 0});
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

    /// A record is erased, or replaced by one that nobody here understands, or mended.
    fn take_away(&mut self) {
        let key = self.keys[self.rng.usize(..self.keys.len())];
        let is_foreign = self.is_foreign(key);
        match self.rng.u32(..10) {
            _ if is_foreign => self.storage.put(key, MENDED),
            0..2 => self.storage.erase(key),
            2 => self.storage.put(key, "not JSON"),
            3 => self
                .storage
                .put(key, r#"{"Version":9,"VersionPatch":0,"Log":[]}"#),
            _ => return,
        }
        if !is_foreign {
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
        for key in self.keys {
            if self.is_foreign(key) {
                self.storage.put(key, MENDED);
            }
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
