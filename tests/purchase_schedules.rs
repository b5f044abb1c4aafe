//! Random schedules of purchases and gifts, of servers that die, of storages that fail: what is
//! granted is stored, and applied once.

#[path = "support/shop.rs"]
mod shop;
mod support;

use std::sync::Arc;

use parking_lot::Mutex;
use session_locker::easy::Profile;
use session_locker::locker::{HookAnswer, SharedSaveData};
use session_locker::purchaser::{ProductProcess, ReceiptInfo, Validation};
use shop::receipt;
use support::{FaultyStorage, Server, VirtualClock};

const KEYS: [&str; 3] = ["Ann", "Ben", "Cleo"];
const STEPS: u64 = 300;

/// Each player buys twice for each, themselves included.
const PURCHASES: usize = 18;

/// Who buys, and for whom.
fn parties(purchase: usize) -> (usize, usize) {
    (purchase % 3, purchase / 3 % 3)
}

struct Host {
    server: Server,
    profiles: [Option<Profile>; 3],
    asked: usize,
    answered: Arc<Mutex<usize>>,
}

/// Counts in the recipient's save data how often it was applied, and in the purchaser's how often it
/// was recorded. Fails now and then, after it has written.
struct Counting {
    recipient: Option<Profile>,
    is_own: bool,
    rng: Mutex<fastrand::Rng>,
}

impl Counting {
    fn fails(&self, chance: f64) -> Result<(), String> {
        match self.rng.lock().f64() < chance {
            true => Err("commanded to fail".to_owned()),
            false => Ok(()),
        }
    }

    fn count(field: &str, data: &SharedSaveData) -> Result<(), String> {
        let path = format!("/{field}");
        let written = data.write(|data| match data.contains(&path)? {
            true => data.add_i64(&path, 1).map(drop),
            false => data.set_i64(&path, 1),
        });
        written.map_err(|error| error.to_string())
    }
}

impl ProductProcess for Counting {
    fn validate(&self, _: &ReceiptInfo) -> Result<Validation, String> {
        self.fails(0.1)?;
        if self.is_own {
            return Ok(Validation::Own);
        }
        let recipient = self.recipient.as_ref().ok_or("nobody")?;
        let recipient = recipient.to_ref().map_err(|error| error.to_string())?;
        Ok(Validation::Gift(recipient))
    }

    fn apply(
        &self,
        receipt: &ReceiptInfo,
        data: &Arc<SharedSaveData>,
    ) -> Result<HookAnswer, String> {
        Self::count(&applied(&receipt.purchase_id), data)?;
        self.fails(0.15)?;
        Ok(HookAnswer::Applied)
    }

    fn record(&self, receipt: &ReceiptInfo, data: &Arc<SharedSaveData>) -> Result<(), String> {
        Self::count(&recorded(&receipt.purchase_id), data)
    }
}

fn applied(purchase_id: &str) -> String {
    format!("Applied_{purchase_id}")
}

fn recorded(purchase_id: &str) -> String {
    format!("Recorded_{purchase_id}")
}

/// Two servers on one storage, and whoever takes the place of one that has died.
struct Schedule {
    seed: u64,
    rng: fastrand::Rng,
    clock: Arc<VirtualClock>,
    storage: Arc<FaultyStorage>,
    hosts: Vec<Host>,
    servers: u64,
    granted: Arc<Mutex<Vec<usize>>>,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let clock = VirtualClock::new();
        let storage = match rng.bool() {
            true => FaultyStorage::with_clock(&clock),
            false => FaultyStorage::without_clock(&clock),
        };
        storage.misbehave(seed, rng.f64() * 0.3);
        let mut schedule = Self {
            seed,
            rng,
            clock,
            storage,
            hosts: Vec::new(),
            servers: 0,
            granted: Arc::default(),
        };
        schedule.hosts = vec![schedule.new_host(), schedule.new_host()];
        schedule
    }

    fn new_host(&mut self) -> Host {
        self.servers += 1;
        let seed = 1000 * self.seed + self.servers;
        Host {
            server: Server::new(&self.storage, &self.clock, seed),
            profiles: [None, None, None],
            asked: 0,
            answered: Arc::default(),
        }
    }

    fn run(&mut self) {
        for step in 0..STEPS {
            self.step(step);
            self.clock.advance(self.rng.f64() * 10.0);
            for host in &self.hosts {
                if self.rng.u32(..10) > 0 {
                    host.server.update();
                }
            }
        }
    }

    fn step(&mut self, step: u64) {
        let host = self.rng.usize(..self.hosts.len());
        let key = self.rng.usize(..KEYS.len());
        match self.rng.u32(..100) {
            0..25 => self.join(host, key),
            25..40 => {
                if let Some(profile) = &self.hosts[host].profiles[key] {
                    profile.end_session().expect("a session");
                }
            }
            40..75 => {
                let (purchase, seed) = (self.rng.usize(..PURCHASES), self.rng.u64(..));
                let (storage, granted) = (Arc::clone(&self.storage), Arc::clone(&self.granted));
                self.hosts[host].ask(purchase, seed, &storage, &granted);
            }
            75..90 => {
                if self.storage.held() > 0 {
                    self.storage
                        .let_go_of(self.rng.usize(..self.storage.held()));
                }
            }
            90..92 => {
                let new = self.new_host();
                // What a dead server would do in its end must not reach the storage.
                std::mem::forget(std::mem::replace(&mut self.hosts[host], new));
            }
            92..95 => self.clock.advance(self.rng.f64() * 2500.0),
            95 => {
                let seed = self.seed + step;
                self.storage.misbehave(seed, self.rng.f64() * 0.5);
            }
            96 if self.rng.u32(..4) == 0 => self.storage.heal(),
            _ => self.clock.advance(self.rng.f64() * 60.0),
        }
    }

    fn join(&mut self, host: usize, key: usize) {
        let Host {
            server, profiles, ..
        } = &mut self.hosts[host];
        let profile = &mut profiles[key];
        if profile.as_ref().is_none_or(|profile| !profile.is_active()) {
            *profile = server.store.start_session_reusable(KEYS[key], &[]).ok();
        }
    }

    /// The servers close, some of them in a hurry.
    fn close(&mut self) {
        self.storage.heal();
        if self.rng.bool() {
            self.storage.let_go();
        }
        for host in std::mem::take(&mut self.hosts) {
            let patience = self.rng.f64() * 400.0;
            host.server.store.drain(patience).expect("a report");
            if host.server.store.is_closed().expect("a store") {
                let seed = self.seed;
                assert_eq!(*host.answered.lock(), host.asked, "seed {seed}");
            }
            // One that is torn down in the middle of something dies.
            std::mem::forget(host);
        }
        self.storage.let_go();
        self.clock.advance(10_000.0);
    }

    /// Every receipt comes once more, to a server that works: all are granted, and each was applied
    /// and recorded once.
    fn check(&mut self) {
        let mut last = self.new_host();
        last.profiles = KEYS.map(|key| Some(last.server.load(key)));
        for purchase in 0..PURCHASES {
            last.ask(purchase, purchase as u64, &self.storage, &self.granted);
        }
        last.server.run(300.0);
        let seed = self.seed;
        assert_eq!(*last.answered.lock(), PURCHASES, "seed {seed}");
        for purchase in 0..PURCHASES {
            let (applied, recorded) = counts(&self.storage, purchase);
            let counts = (applied, recorded);
            assert_eq!(counts, (1, 1), "seed {seed}, purchase {purchase}");
            let is_granted = self.granted.lock().contains(&purchase);
            assert!(is_granted, "seed {seed}, purchase {purchase}");
        }
    }
}

impl Host {
    /// Asks for a purchase of whoever of this server buys it. When it is granted, it is stored.
    fn ask(
        &mut self,
        purchase: usize,
        seed: u64,
        storage: &Arc<FaultyStorage>,
        granted: &Arc<Mutex<Vec<usize>>>,
    ) {
        let (buyer, recipient) = parties(purchase);
        let Some(profile) = &self.profiles[buyer] else {
            return;
        };
        let process = Counting {
            recipient: self.profiles[recipient].clone(),
            is_own: buyer == recipient,
            rng: Mutex::new(fastrand::Rng::with_seed(seed)),
        };
        let (storage, granted) = (Arc::clone(storage), Arc::clone(granted));
        let answered = Arc::clone(&self.answered);
        let callback = move |is_granted| {
            *answered.lock() += 1;
            if is_granted {
                granted.lock().push(purchase);
                assert_eq!(counts(&storage, purchase).0, 1, "{purchase} is granted");
            }
        };
        let asked = profile.call_when_product_is_processed_and_saved(
            Arc::new(process),
            receipt(&purchase.to_string(), 5),
            Some(Box::new(callback)),
        );
        self.asked += usize::from(asked.is_ok());
    }
}

/// How often a purchase was applied and recorded, by all that is stored.
fn counts(storage: &FaultyStorage, purchase: usize) -> (i64, i64) {
    let documents = KEYS.map(|key| storage.document(key));
    let sum = |field: &str| {
        let counts = documents.iter().map(|document| document[field].as_i64());
        counts.map(Option::unwrap_or_default).sum()
    };
    let id = purchase.to_string();
    (sum(&applied(&id)), sum(&recorded(&id)))
}

/// `LAW_SEEDS=1000..50000` chooses other schedules.
#[test]
fn what_is_granted_is_stored_and_applied_once() {
    let seeds = std::env::var("LAW_SEEDS").unwrap_or("0..30".to_owned());
    let seeds = seeds.split_once("..").expect("first..end");
    let number = |text: &str| text.parse::<u64>().expect("a number");
    for seed in number(seeds.0)..number(seeds.1) {
        let mut schedule = Schedule::new(seed);
        schedule.run();
        schedule.close();
        schedule.check();
    }
}
