//! A store on a storage with a budget: what waits where, and what the store's own figures say.

mod support;

use std::num::NonZeroU32;
use std::sync::Arc;

use session_locker::easy::{EasyStore, Profile};
use session_locker::locker::{LoadStatus, LockerSpec};
use session_locker::remote_change::{RemoteChangeSender, SenderOptions};
use session_locker::storage::budget::{Budget, Limits};
use session_locker::storage::{RequestStats, Storage};
use support::{Fault, FaultyStorage, VirtualClock, add_gold, no_hooks, options};

fn store_on(budget: &Arc<Budget>, clock: &Arc<VirtualClock>, seed: u64) -> EasyStore {
    let storage = Arc::clone(budget) as Arc<dyn Storage>;
    let store = EasyStore::new(storage, options(clock, seed), Box::new(no_hooks()));
    store.expect("a store")
}

fn update(store: &EasyStore, clock: &VirtualClock) {
    store.update(clock.now()).expect("an update");
    store.poll_events(usize::MAX);
}

/// A store, the storage under it that fails on command, and the budget between them.
struct World {
    clock: Arc<VirtualClock>,
    faulty: Arc<FaultyStorage>,
    budget: Arc<Budget>,
    store: EasyStore,
}

impl World {
    fn new(limits: Limits) -> Self {
        let clock = VirtualClock::new();
        let faulty = FaultyStorage::with_clock(&clock);
        let told = Arc::clone(&clock);
        let budget = Budget::with_clock(
            Arc::clone(&faulty) as Arc<dyn Storage>,
            limits,
            Arc::new(move || told.now()),
        );
        let budget = Arc::new(budget);
        Self {
            store: store_on(&budget, &clock, 1),
            clock,
            faulty,
            budget,
        }
    }

    fn update(&self) {
        update(&self.store, &self.clock);
    }

    /// Lets so many frames of a tenth of a second pass.
    fn pass(&self, frames: u32) {
        for _ in 0..frames {
            self.clock.advance(0.1);
            self.update();
        }
    }

    fn start(&self, key: &str) -> Profile {
        self.store.start_session(key, &[]).expect("a profile")
    }

    fn start_loaded(&self, key: &str) -> Profile {
        let profile = self.start(key);
        self.pass(20);
        assert_eq!(profile.load_status(), Ok(LoadStatus::Loaded));
        profile
    }

    fn of_store(&self) -> RequestStats {
        self.store.stats().expect("the store is well")
    }

    fn of_storage(&self) -> RequestStats {
        self.budget.stats().expect("a budget counts")
    }
}

fn per_second(most: u32) -> Limits {
    Limits {
        per_second: NonZeroU32::new(most),
        ..Limits::default()
    }
}

#[test]
fn more_sessions_than_go_through_at_once_all_load_and_nothing_is_given_up() {
    let world = World::new(per_second(10));
    let profiles: Vec<_> = (0..400)
        .map(|number| world.start(&format!("player/{number}")))
        .collect();
    let mut most_in_line = 0;
    for _ in 0..1200 {
        world.pass(1);
        most_in_line = most_in_line.max(world.of_storage().waiting.total());
    }
    // A fetch and a commit each, ten in a second, and some autosaves.
    assert!(profiles.iter().all(|profile| profile.is_loaded()));
    let stats = world.of_store();
    assert_eq!((stats.fetches, stats.given_up, stats.retries), (400, 0, 0));
    assert!(stats.most_waiting.loads >= 370, "{stats:?}");
    // Loads wait in the store, where no time for an answer runs.
    assert!((1..=20).contains(&most_in_line), "{most_in_line}");
}

#[test]
fn a_save_of_one_store_goes_before_the_loads_of_another() {
    let world = World::new(per_second(10));
    let other = store_on(&world.budget, &world.clock, 2);
    let profile = world.start_loaded("player/saved");
    let profiles: Vec<_> = (0..100)
        .map(|number| {
            let started = other.start_session(&format!("player/{number}"), &[]);
            started.expect("a profile")
        })
        .collect();
    // The other store fills the line with what goes through in two seconds.
    for _ in 0..5 {
        world.clock.advance(0.1);
        update(&other, &world.clock);
    }
    assert!(world.of_storage().waiting.loads >= 10);
    add_gold(&profile, 5);
    profile.mark_force_save().expect("a session");
    for _ in 0..11 {
        world.pass(1);
        update(&other, &world.clock);
    }
    assert_eq!(world.faulty.document("player/saved")["Gold"], 5);
    assert!(world.of_storage().waiting.loads >= 10, "they wait still");
    assert!(profiles.len() == 100);
}

#[test]
fn a_send_waits_behind_loads_and_not_for_ever() {
    let world = World::new(per_second(10));
    let other = store_on(&world.budget, &world.clock, 2);
    let mut started = Vec::new();
    let both = || {
        world.clock.advance(0.1);
        update(&other, &world.clock);
        world.update();
    };
    for frame in 0..600 {
        // More loads than go through, all the time.
        for number in 0..2 {
            let key = format!("player/{frame}/{number}");
            started.push(other.start_session(&key, &[]).expect("a profile"));
        }
        if frame == 50 {
            let change = r#"[{"K":"gift"}]"#;
            let sent = world
                .store
                .send_remote_changes("friend", change, None, None);
            sent.expect("a send");
        }
        both();
        if world.faulty.stored("friend").is_some() {
            // It has waited for at least one turn in ten of its two requests.
            assert!(frame > 52, "{frame}");
            return;
        }
    }
    panic!("the send was starved");
}

#[test]
fn each_figure_of_a_store_says_what_has_happened() {
    let world = World::new(Limits::default());
    world.faulty.on_fetch(&[Fault::FailBefore]);
    world.faulty.on_commit(&[Fault::Conflict]);
    let profile = world.start("player/1");
    world.pass(200);
    assert!(profile.is_loaded());
    let stats = world.of_store();
    // A fetch that failed, another; a commit that met a conflict; fetched again, and committed.
    assert_eq!((stats.fetches, stats.commits, stats.retries), (3, 2, 2));
    assert_eq!((stats.failures_backend, stats.conflicts), (1, 1));

    world.faulty.on_commit(&[Fault::HoldAnswer]);
    add_gold(&profile, 5);
    profile.mark_force_save().expect("a session");
    world.pass(10);
    let stats = world.of_store();
    assert_eq!((stats.commits, stats.in_flight, stats.given_up), (3, 1, 0));
    world.pass(400);
    let stats = world.of_store();
    // The commit was not answered in time, and a fetch has found that it was written.
    assert_eq!((stats.in_flight, stats.given_up, stats.retries), (0, 1, 3));
    let before = stats.answers();
    world.faulty.let_go();
    world.pass(1);
    assert_eq!(
        world.of_store().answers(),
        before,
        "the late answer is dropped"
    );

    world.faulty.on_commit(&[Fault::Conflict]);
    let change = r#"[{"K":"gift"}]"#;
    let sent = world
        .store
        .send_remote_changes("friend", change, None, None);
    sent.expect("a send");
    world.pass(100);
    let stats = world.of_store();
    assert_eq!((stats.conflicts, stats.retries), (2, 4));
    let asked = (stats.fetches as usize, stats.commits as usize);
    assert_eq!(asked, (world.faulty.fetches(), world.faulty.commits()));
    assert_eq!(stats.requests(), stats.answers() + stats.given_up);
    // One of the session's, and one of the sends', added.
    assert_eq!(stats.most_in_flight, 2);

    let below = world.of_storage();
    assert_eq!(
        (below.retries, below.conflicts, below.failures_backend),
        (4, 2, 1)
    );
    assert_eq!(
        (below.bytes_read, below.bytes_written),
        (stats.bytes_read, stats.bytes_written)
    );
    assert!(
        stats.bytes_written > 100 && stats.bytes_read > 100,
        "{stats:?}"
    );
    // The engine has kept one answer for forty seconds; the store has not waited for it.
    assert_eq!(
        below.latencies.iter().rposition(|count| *count > 0),
        Some(22)
    );
    assert_eq!(
        stats.latencies.iter().rposition(|count| *count > 0),
        Some(0)
    );
}

#[test]
fn a_stores_latency_is_from_one_update_to_another() {
    let world = World::new(Limits::default());
    world.faulty.on_fetch(&[Fault::HoldAnswer]);
    let _profile = world.start("player/1");
    world.pass(1);
    world.faulty.let_go();
    world.pass(1);
    let latencies = world.of_store().latencies;
    // 0.1 s is less than 16 µs doubled 13 times, and more than doubled 12 times.
    assert_eq!(latencies[13], 1, "{latencies:?}");
}

#[test]
fn a_request_that_its_session_no_longer_wants_is_given_up() {
    let world = World::new(Limits::default());
    world.faulty.on_fetch(&[Fault::HoldAnswer]);
    let profile = world.start("player/1");
    world.pass(1);
    profile.end_session().expect("a session");
    world.pass(1);
    let _again = world.start("player/1");
    world.pass(1);
    let stats = world.of_store();
    assert_eq!((stats.given_up, stats.retries), (1, 0));
}

#[test]
fn what_came_to_nothing_for_one_session_is_no_retry_of_the_next() {
    let world = World::new(Limits::default());
    world.faulty.on_fetch(&[Fault::FailBefore]);
    let profile = world.start("player/1");
    world.pass(1);
    profile.destroy().expect("a session");
    world.pass(1);
    let _other = world.start_loaded("player/2");
    let stats = world.of_store();
    assert_eq!((stats.failures_backend, stats.retries), (1, 0));
}

#[test]
fn sends_that_wait_for_the_store_are_counted_apart_from_sessions() {
    let world = World::new(per_second(1));
    let change = r#"[{"K":"gift"}]"#;
    for number in 0..5 {
        let key = format!("friend/{number}");
        let sent = world.store.send_remote_changes(&key, change, None, None);
        sent.expect("a send");
    }
    let _profile = world.start("player/1");
    world.pass(1);
    let stats = world.of_store();
    assert_eq!(
        (stats.waiting.loads, stats.waiting.others),
        (0, 4),
        "{stats:?}"
    );
    assert_eq!(stats.most_waiting.others, 4);
    world.pass(400);
    let stats = world.of_store();
    assert_eq!((stats.waiting.total(), stats.most_waiting.others), (0, 4));
}

#[test]
fn a_sender_of_its_own_lets_its_sends_go_on() {
    let world = World::new(per_second(1));
    let storage = Arc::clone(&world.budget) as Arc<dyn Storage>;
    let spec = LockerSpec::new(storage, options(&world.clock, 3), Box::new(no_hooks()));
    let spec = spec.expect("a spec");
    let options = SenderOptions {
        create_if_missing: true,
        ..SenderOptions::new(4)
    };
    let sender = RemoteChangeSender::new(&spec, options).expect("a sender");
    for number in 0..3 {
        let change = r#"[{"K":"gift"}]"#;
        let sent = sender.send(&format!("friend/{number}"), change, None, None);
        sent.expect("a send");
    }
    for _ in 0..100 {
        world.clock.advance(0.1);
        sender.update(world.clock.now()).expect("an update");
    }
    assert_eq!(sender.is_sending(), Ok(false));
}

#[test]
fn in_a_random_run_the_figures_of_store_and_storage_add_up() {
    let (mut retries, mut given_up, mut conflicts) = (0, 0, 0);
    for seed in 0..6 {
        let world = World::new(Limits {
            per_second: NonZeroU32::new(20),
            in_flight: NonZeroU32::new(8),
        });
        let mut rng = fastrand::Rng::with_seed(seed);
        world.faulty.misbehave(seed, 0.2);
        let mut profiles = Vec::new();
        for frame in 0..3000 {
            match rng.u32(0..20) {
                0 => profiles.push(world.start(&format!("player/{}", rng.u32(0..40)))),
                1 if !profiles.is_empty() => {
                    let profile = profiles.swap_remove(rng.usize(..profiles.len()));
                    profile.end_session().expect("a store");
                }
                2 => {
                    let key = format!("player/{}", rng.u32(0..40));
                    let change = r#"[{"K":"gift"}]"#;
                    let sent = world.store.send_remote_changes(&key, change, None, None);
                    sent.expect("a send");
                }
                3 => profiles.iter().for_each(|profile| add_gold(profile, 1)),
                4 => world.faulty.let_go(),
                _ => {}
            }
            world.pass(1);
            let (store, below) = (world.of_store(), world.of_storage());
            assert_eq!(
                store.requests(),
                store.answers() + store.given_up + store.in_flight,
                "seed {seed}, frame {frame}: {store:?}"
            );
            assert_eq!(store.requests(), below.requests());
            assert_eq!(store.retries, below.retries);
            assert_eq!(
                below.requests(),
                below.answers() + below.refused + below.in_flight + below.waiting.total()
            );
        }
        world.faulty.heal();
        world.store.close().expect("a store");
        for _ in 0..4000 {
            world.faulty.let_go();
            world.pass(1);
        }
        assert_eq!(world.store.is_closed(), Ok(true), "seed {seed}");
        let (store, below) = (world.of_store(), world.of_storage());
        assert_eq!(
            (store.in_flight, store.waiting.total()),
            (0, 0),
            "{store:?}"
        );
        assert_eq!(
            (below.in_flight, below.waiting.total()),
            (0, 0),
            "{below:?}"
        );
        assert!(below.most_in_flight <= 8);
        retries += store.retries;
        given_up += store.given_up;
        conflicts += store.conflicts;
    }
    assert!(retries > 0 && given_up > 0 && conflicts > 0);
}

#[test]
fn many_stores_that_ask_for_more_than_goes_through_load_in_the_end() {
    let world = World::new(per_second(10));
    let mut stores = vec![];
    for seed in 2..22 {
        stores.push(store_on(&world.budget, &world.clock, seed));
    }
    let mut profiles = Vec::new();
    for (index, store) in stores.iter().enumerate() {
        for number in 0..60 {
            let started = store.start_session(&format!("player/{index}/{number}"), &[]);
            profiles.push(started.expect("a profile"));
        }
    }
    // Two requests for each: 240 seconds if nothing is asked in vain.
    let mut seconds = 0.0;
    while !profiles.iter().all(Profile::is_loaded) {
        assert!(
            seconds < 600.0,
            "{} {:?}",
            profiles.iter().filter(|p| p.is_loaded()).count(),
            world.of_storage()
        );
        for store in &stores {
            update(store, &world.clock);
        }
        world.clock.advance(0.1);
        seconds += 0.1;
    }
    for store in &stores {
        // Each was refused, if it was, before its store had stopped waiting for it.
        assert_eq!(store.stats().expect("a store").given_up, 0);
    }
}

#[test]
fn what_the_limits_do_not_let_through_is_refused_while_its_store_still_waits_for_it() {
    let world = World::new(Limits {
        in_flight: NonZeroU32::new(1),
        ..Limits::default()
    });
    let loading = store_on(&world.budget, &world.clock, 2);
    let sending = store_on(&world.budget, &world.clock, 3);
    world.faulty.on_fetch(&[Fault::HoldAnswer]);
    let _first = world.start("player/1");
    world.update();
    let _second = loading.start_session("player/2", &[]).expect("a profile");
    let sent = sending.send_remote_changes("friend", r#"[{"K":"gift"}]"#, None, None);
    sent.expect("a send");
    let update_both = || {
        update(&loading, &world.clock);
        update(&sending, &world.clock);
    };
    update_both();
    // Half of the `request_timeout` of 30 seconds.
    world.clock.advance(14.9);
    update_both();
    assert_eq!(world.of_storage().refused, 0);
    world.clock.advance(0.2);
    update_both();
    assert_eq!(world.of_storage().refused, 2);
    for store in [loading, sending] {
        let stats = store.stats().expect("the store is well");
        assert_eq!((stats.failures_backend, stats.given_up), (1, 0));
        assert_eq!(stats.in_flight, 0);
    }
}
