//! A small world for behaviour tests: virtual time, and a storage that fails on command.

#![allow(dead_code, unused_imports)]

mod faulty_storage;

pub use faulty_storage::{Fault, FaultyStorage, Written, ask, locked};

use std::sync::Arc;

use parking_lot::Mutex;
use session_locker::clock::Clock;
use session_locker::easy::{EasyStore, Profile, ProfileEvent, StoreEvent, StoreHooks};
use session_locker::locker::{Config, Event, Locker, LockerHooks, LockerSpec, SpecOptions};
use session_locker::migration::Migrators;
use session_locker::save_data::SaveData;
use session_locker::storage::Storage;

/// When the world begins, in Unix seconds.
pub const WALL_START: f64 = 1_800_000_000.0;

/// Time that passes when told to.
pub struct VirtualClock {
    now: Arc<Mutex<f64>>,
    /// How far the wall clock is off.
    skew: f64,
}

impl VirtualClock {
    pub fn new() -> Arc<Self> {
        let (now, skew) = (Arc::default(), 0.0);
        Arc::new(Self { now, skew })
    }

    /// The same time, told by a wall clock that is off by so many seconds.
    pub fn skewed(&self, skew: f64) -> Arc<Self> {
        let now = Arc::clone(&self.now);
        Arc::new(Self { now, skew })
    }

    pub fn advance(&self, seconds: f64) {
        *self.now.lock() += seconds;
    }

    pub fn now(&self) -> f64 {
        *self.now.lock()
    }
}

impl Clock for VirtualClock {
    fn wall(&self) -> f64 {
        WALL_START + self.now() + self.skew
    }

    fn monotonic(&self) -> f64 {
        self.now()
    }

    fn sleep(&self, seconds: f64) {
        self.advance(seconds);
    }
}

/// Hooks that only create documents.
pub struct Creator<F>(pub F);

type Created = Result<SaveData, String>;

impl<F: Fn(&str) -> Created + Send + Sync> StoreHooks for Creator<F> {
    fn create(&self, key: &str) -> Created {
        (self.0)(key)
    }
}

impl<F: Fn(&str) -> Created + Send + Sync> LockerHooks for Creator<F> {
    fn create(&self, key: &str) -> Created {
        (self.0)(key)
    }
}

/// Hooks for a store or spec that has a template.
pub fn no_hooks() -> Creator<fn(&str) -> Created> {
    Creator(|_| Err("the test has a template".to_owned()))
}

/// A new player's document.
pub fn template() -> SaveData {
    SaveData::from_json(r#"{"Gold":0}"#, 1 << 20).expect("a template")
}

pub fn options(clock: &Arc<VirtualClock>, seed: u64) -> SpecOptions {
    SpecOptions {
        config: Config {
            job_id: format!("server-{seed}").into(),
            // A second of virtual time is often one frame.
            requests_per_update: 128,
            ..Config::default()
        },
        migrators: Migrators::default(),
        template: Some(template()),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        seed,
        polls_events: true,
    }
}

/// A spec whose events are polled.
pub fn spec(storage: &Arc<FaultyStorage>, options: SpecOptions) -> LockerSpec {
    let storage = Arc::clone(storage) as Arc<dyn Storage>;
    LockerSpec::new(storage, options, Box::new(no_hooks())).expect("a spec")
}

/// What a locker has told since the last look, in words.
pub fn heard_by(locker: &Locker) -> Vec<String> {
    let in_words = |event| match event {
        Event::Lifecycle(lifecycle) => format!("{lifecycle:?}"),
        Event::Lost(_) => "data of the lost session".to_owned(),
        Event::LoadStatusChanged(status) => format!("status {status:?}"),
        Event::Error(report) => format!("error {:?}", report.activity),
        Event::ChangesSaved(_, outcome) => format!("changes {outcome:?}"),
        Event::ProductCreditChanged { product_id, change } => {
            format!("credit of {product_id}: {change:+}")
        }
        Event::Purchase {
            purchase_id,
            is_granted,
            ..
        } => {
            format!("purchase {purchase_id}: {is_granted}")
        }
    };
    let events = locker.poll_events(usize::MAX);
    events.into_iter().map(in_words).collect()
}

/// A store whose events are polled, on a storage and a clock that it may share with others.
pub struct Server {
    pub store: EasyStore,
    pub clock: Arc<VirtualClock>,
}

impl Server {
    pub fn new(storage: &Arc<FaultyStorage>, clock: &Arc<VirtualClock>, seed: u64) -> Self {
        Self::with(storage, clock, options(clock, seed))
    }

    pub fn with(
        storage: &Arc<FaultyStorage>,
        clock: &Arc<VirtualClock>,
        options: SpecOptions,
    ) -> Self {
        Self::with_hooks(storage, clock, options, Box::new(no_hooks()))
    }

    pub fn with_hooks(
        storage: &Arc<FaultyStorage>,
        clock: &Arc<VirtualClock>,
        options: SpecOptions,
        hooks: Box<dyn StoreHooks>,
    ) -> Self {
        let storage = Arc::clone(storage) as Arc<dyn Storage>;
        let store = EasyStore::new(storage, options, hooks).expect("a store");
        Self {
            store,
            clock: Arc::clone(clock),
        }
    }

    /// One update at the clock's time.
    pub fn update(&self) {
        self.store.update(self.clock.now()).expect("an update");
    }

    /// Lets time pass, with an update every second.
    pub fn run(&self, seconds: f64) {
        let end = self.clock.now() + seconds;
        while self.clock.now() < end {
            self.clock.advance(1.0);
            self.update();
        }
    }

    /// Lets time pass with no update but the one at its end.
    pub fn jump(&self, seconds: f64) {
        self.clock.advance(seconds);
        self.update();
    }

    /// Starts a session and updates once.
    pub fn start(&self, key: &str) -> Profile {
        let profile = self.store.start_session(key, &[]).expect("a session");
        self.update();
        profile
    }

    /// Starts a session that must be loaded at once, and forgets what it told.
    pub fn load(&self, key: &str) -> Profile {
        let profile = self.start(key);
        assert!(profile.is_loaded(), "not loaded: {:?}", self.heard());
        self.heard();
        profile
    }

    /// The events since the last look.
    pub fn events(&self) -> Vec<StoreEvent> {
        self.store.poll_events(usize::MAX)
    }

    /// The events since the last look, in words.
    pub fn heard(&self) -> Vec<String> {
        let in_words = |event: StoreEvent| match event.event {
            ProfileEvent::Lifecycle(status) => format!("{status:?}"),
            ProfileEvent::Lost(_) => "data of the lost session".to_owned(),
            ProfileEvent::LoadStatusChanged(status) => format!("status {status:?}"),
            ProfileEvent::Error(report) => format!("error {:?}", report.activity),
            ProfileEvent::ChangesSaved(_, outcome) => format!("changes {outcome:?}"),
            ProfileEvent::RemoteChangesSent(id, outcome) => {
                format!("send {} {outcome:?}", id.number())
            }
            ProfileEvent::ProductCreditChanged { product_id, change } => {
                format!("credit of {product_id}: {change:+}")
            }
            ProfileEvent::Purchase {
                purchase_id,
                is_granted,
                ..
            } => {
                format!("purchase {purchase_id}: {is_granted}")
            }
        };
        self.events().into_iter().map(in_words).collect()
    }
}

/// The player's gold, as the profile's save data has it.
pub fn gold(profile: &Profile) -> i64 {
    let gold = profile.save_data().read(|data| data.get_i64("/Gold"));
    gold.expect("gold")
}

/// Changes the player's gold.
pub fn add_gold(profile: &Profile, amount: i64) {
    let added = profile
        .save_data()
        .write(|data| data.add_i64("/Gold", amount));
    added.expect("a write");
}
