//! How many purchases a second a server processes. Prints a table; `make bench` runs it.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use session_locker::clock::Clock;
use session_locker::easy::{EasyStore, Profile, StoreEvent, StoreHooks};
use session_locker::ffi::SystemClock;
use session_locker::locker::{Config, SpecOptions};
use session_locker::migration::Migrators;
use session_locker::purchaser::ProductProcess;
use session_locker::save_data::SaveData;
use session_locker::storage::memory::MemoryStorage;
use support::{Frames, Shop, document, load, receipt};

/// A wall clock by which a week passes with every look, so that histories stay at their limit.
struct FastWall(SystemClock, AtomicU64);

impl Clock for FastWall {
    fn wall(&self) -> f64 {
        1.8e9 + self.1.fetch_add(1, Ordering::Relaxed) as f64 * 7.0 * 86_400.0
    }

    fn monotonic(&self) -> f64 {
        self.0.monotonic()
    }

    fn sleep(&self, seconds: f64) {
        self.0.sleep(seconds);
    }
}

/// Hears no events, so that none pile up.
struct Deaf;

impl StoreHooks for Deaf {
    fn create(&self, _: &str) -> Result<SaveData, String> {
        Err("the benchmarks have a template".to_owned())
    }

    fn event(&self, _: &StoreEvent) {}
}

fn main() {
    // A test run builds and starts benchmarks too; they have nothing to say then.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    println!("{:<64} {:>16}", "what", "measured");
    measure("fifty in flight on one session", 1, 50);
    measure("fifty in flight on each of twenty sessions", 20, 50);
    measure("one at a time over ten sessions", 10, 1);
    measure("one at a time over a thousand sessions", 1000, 1);
}

fn store(bytes: usize) -> EasyStore {
    let template = SaveData::from_json(&document(bytes), 1 << 22).expect("a template");
    let options = SpecOptions {
        config: Config {
            requests_per_update: 4096,
            bytes_per_update: 1 << 26,
            ..Config::default()
        },
        migrators: Migrators::default(),
        template: Some(template),
        clock: Arc::new(FastWall(SystemClock::new(), AtomicU64::new(0))),
        seed: 7,
        polls_events: false,
    };
    EasyStore::new(Arc::new(MemoryStorage::new()), options, Box::new(Deaf)).expect("a store")
}

/// Purchases on documents of a thousand bytes, so many at a time on so many sessions, each answered
/// before the session's next.
fn measure(what: &str, sessions: usize, at_once: usize) {
    let frames = Frames::new();
    let store = store(1000);
    let profiles = load(&store, &frames, sessions);
    let process = Arc::new(Shop) as Arc<dyn ProductProcess>;
    let granted = Arc::new(AtomicUsize::new(0));
    let mut asked = 0;
    let mut round = |granted: &Arc<AtomicUsize>| {
        for profile in &profiles {
            for _ in 0..at_once {
                ask(profile, &process, granted, asked);
                asked += 1;
            }
        }
        while granted.load(Ordering::Relaxed) < asked {
            store.update(frames.now()).expect("an update");
        }
    };
    // Until the histories are full.
    (0..=100 / at_once).for_each(|_| round(&granted));
    let begun_with = granted.load(Ordering::Relaxed);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        round(&granted);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let count = granted.load(Ordering::Relaxed) - begun_with;
    println!("{what:<64} {:>14.0}/s", count as f64 / seconds);
}

fn ask(
    profile: &Profile,
    process: &Arc<dyn ProductProcess>,
    granted: &Arc<AtomicUsize>,
    number: usize,
) {
    let granted = Arc::clone(granted);
    let receipt = receipt(number);
    let callback = Box::new(move |is_granted: bool| {
        assert!(is_granted);
        granted.fetch_add(1, Ordering::Relaxed);
    });
    profile
        .call_when_product_is_processed_and_saved(Arc::clone(process), receipt, Some(callback))
        .expect("a purchase");
}
