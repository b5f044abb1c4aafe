//! Whether changes made now will be saved: false before another server could take the key.

mod support;

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use session_locker::clock::Clock;
use session_locker::easy::Profile;
use session_locker::locker::SpecOptions;
use support::Fault::{FailAfter, FailBefore, HoldAnswer, HoldRequest};
use support::{FaultyStorage, Server, VirtualClock, add_gold, gold, options};

const KEY: &str = "Player_1";
/// `SessionExpiry` less its twentieth.
const LEASE: f64 = 1710.0;

fn world() -> (Arc<FaultyStorage>, Server, Profile) {
    let storage = FaultyStorage::new();
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    let profile = server.load(KEY);
    (storage, server, profile)
}

#[test]
fn a_session_is_available_from_its_load_to_the_request_to_end_it() {
    let (_storage, server, profile) = world();
    assert!(profile.is_available().unwrap());
    profile.end_session().unwrap();
    assert!(!profile.is_available().unwrap());
    server.update();
    assert!(!profile.is_available().unwrap_or(false));
}

#[test]
fn fault_16_a_session_is_not_available_while_its_release_is_in_flight() {
    let (storage, server, profile) = world();
    storage.on_commit(&[HoldAnswer]);
    profile.end_session().unwrap();
    server.update();
    assert!(profile.is_loaded() && !profile.is_available().unwrap());
}

#[test]
fn a_reusable_session_started_during_a_release_waits_for_the_next_session() {
    let (storage, server, profile) = world();
    storage.on_commit(&[HoldAnswer]);
    add_gold(&profile, 3);
    profile.end_session().unwrap();
    server.update();
    let next = server.store.start_session_reusable(KEY, &[]).unwrap();
    let another = server.store.start_session_reusable(KEY, &[]).unwrap();
    server.update();
    assert!(!next.is_loaded() && !next.is_available().unwrap());
    storage.let_go();
    server.update();
    assert!(profile.is_finished());
    assert!(next.is_available().unwrap() && another.is_available().unwrap());
    assert_eq!((gold(&next), storage.fetches()), (3, 2));
}

#[test]
fn fault_18_the_lease_runs_out_before_another_server_could_take_the_key() {
    let (storage, server, profile) = world();
    storage.on_commit(&[FailBefore; 200]);
    server.run(LEASE - 1.0);
    assert!(profile.is_available().unwrap());
    server.run(1.0);
    assert!(!profile.is_available().unwrap() && profile.is_loaded());
}

#[test]
fn the_lease_runs_out_by_the_clock_even_when_nobody_updates() {
    let (_storage, server, profile) = world();
    server.clock.advance(LEASE - 1.0);
    assert!(profile.is_available().unwrap());
    server.clock.advance(1.0);
    assert!(!profile.is_available().unwrap());
}

/// A clock whose process is stopped once, for longer than a lease, right after it has read it for the
/// so manieth time.
struct StoppingClock {
    clock: Arc<VirtualClock>,
    reads_left: AtomicU32,
    /// What others do before it goes on.
    meanwhile: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl StoppingClock {
    fn has_stopped(&self) -> bool {
        self.reads_left.load(Ordering::Relaxed) == 0
    }
}

impl Clock for StoppingClock {
    fn wall(&self) -> f64 {
        self.clock.wall()
    }

    fn monotonic(&self) -> f64 {
        let now = self.clock.monotonic();
        let left = self.reads_left.load(Ordering::Relaxed);
        self.reads_left
            .store(left.saturating_sub(1), Ordering::Relaxed);
        if left == 1 {
            self.clock.advance(LEASE);
            if let Some(meanwhile) = self.meanwhile.get() {
                meanwhile();
            }
        }
        now
    }

    fn sleep(&self, seconds: f64) {
        self.clock.sleep(seconds);
    }
}

/// Such a clock, which is to be told when, and the options of a server that goes by it.
fn stopping(clock: &Arc<VirtualClock>, seed: u64) -> (Arc<StoppingClock>, SpecOptions) {
    let stopping = Arc::new(StoppingClock {
        clock: Arc::clone(clock),
        reads_left: AtomicU32::new(u32::MAX),
        meanwhile: OnceLock::new(),
    });
    let mut options = options(clock, seed);
    options.clock = Arc::clone(&stopping) as Arc<dyn Clock>;
    (stopping, options)
}

/// A server that is stopped while it does something again and again; it must not think afterwards
/// that its key is its own still.
fn stop_while(doing: impl Fn(&Server, &StoppingClock, &Profile)) {
    for reads in 1..30 {
        let storage = FaultyStorage::new();
        let clock = VirtualClock::new();
        let (stopping, options) = stopping(&clock, 1);
        let server = Server::with(&storage, &clock, options);
        let profile = server.load(KEY);
        storage.on_commit(&[FailBefore; 200]);
        stopping.reads_left.store(reads, Ordering::Relaxed);
        while !stopping.has_stopped() {
            doing(&server, &stopping, &profile);
            clock.advance(0.01);
            let had_stopped = stopping.has_stopped();
            let is_available = profile.is_available().unwrap();
            assert!(
                !had_stopped || !is_available,
                "stopped after {reads} readings"
            );
        }
        server.update();
        assert!(
            !profile.is_available().unwrap(),
            "stopped after {reads} readings"
        );
    }
}

#[test]
fn a_server_that_was_stopped_at_any_point_of_an_update_knows_that_its_lease_is_over() {
    stop_while(|server, clock, _| server.store.update(clock.monotonic()).unwrap());
}

#[test]
fn a_server_that_was_stopped_at_any_point_of_a_wait_knows_that_its_lease_is_over() {
    stop_while(|_, _, profile| {
        add_gold(profile, 1);
        profile.wait_until_changes_saved(0.005).unwrap();
    });
}

#[test]
fn the_time_between_a_wait_and_the_first_update_counts_against_the_lease() {
    let storage = FaultyStorage::new();
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    let profile = server.store.start_session(KEY, &[]).unwrap();
    profile.wait_until_loaded(1.0).unwrap();
    storage.on_commit(&[FailBefore; 200]);
    server.clock.advance(LEASE);
    server.update();
    assert!(!profile.is_available().unwrap());
    server.jump(1.0);
    assert!(!profile.is_available().unwrap());
}

#[test]
fn a_server_that_is_stopped_before_each_update_knows_that_its_lease_is_over() {
    let (storage, server, profile) = world();
    storage.on_commit(&[FailBefore; 200]);
    for _ in 0..5 {
        // The host has looked at its clock.
        let now = server.clock.now();
        server.clock.advance(LEASE / 5.0);
        server.store.update(now).unwrap();
    }
    assert!(!profile.is_available().unwrap());
    storage.heal();
    server.run(121.0);
    assert!(profile.is_available().unwrap());
}

#[test]
fn a_host_whose_clock_has_lost_much_time_is_available_as_long_as_it_saves() {
    let (storage, server, profile) = world();
    server.clock.advance(10.0 * LEASE);
    let mut now = 0.0;
    for _ in 0..400 {
        server.clock.advance(1.0);
        now += 1.0;
        server.store.update(now).unwrap();
    }
    assert!(storage.commits() > 1);
    assert!(profile.is_available().unwrap());
}

#[test]
fn past_its_lease_a_session_keeps_its_data_and_is_available_after_the_next_stored_commit() {
    let (storage, server, profile) = world();
    add_gold(&profile, 3);
    storage.on_commit(&[FailBefore; 200]);
    server.run(LEASE + 500.0);
    assert!(!profile.is_available().unwrap());
    assert_eq!(gold(&profile), 3);
    storage.heal();
    server.run(121.0);
    assert!(profile.is_available().unwrap());
    assert_eq!(storage.document(KEY)["Gold"], 3);
    assert!(!server.heard().contains(&"Replaced(Lost)".to_owned()));
}

#[test]
fn the_lease_runs_from_when_the_commit_was_handed_over() {
    let (storage, server, profile) = world();
    storage.on_commit(&[HoldRequest]);
    profile.mark_force_save().unwrap();
    server.update();
    server.run(20.0);
    storage.let_go();
    server.update();
    storage.on_commit(&[FailBefore; 200]);
    server.run(LEASE - 21.0);
    assert!(profile.is_available().unwrap());
    server.run(1.0);
    assert!(!profile.is_available().unwrap());
}

#[test]
fn a_load_whose_answer_was_lost_has_its_lease_from_the_commit_that_may_have_been_it() {
    let storage = FaultyStorage::new();
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    storage.on_commit(&[FailAfter]);
    storage.on_fetch(&[support::Fault::None, FailBefore, FailBefore]);
    let profile = server.start(KEY);
    server.run(100.0);
    assert!(profile.is_available().unwrap());
    storage.on_commit(&[FailBefore; 200]);
    server.run(LEASE - 101.0);
    assert!(profile.is_available().unwrap());
    server.run(1.0);
    assert!(!profile.is_available().unwrap());
}

#[test]
fn an_unsettled_save_does_not_prolong_the_lease() {
    let (storage, server, profile) = world();
    storage.on_commit(&[FailAfter]);
    storage.on_fetch(&[FailBefore; 200]);
    server.run(LEASE);
    assert!(!profile.is_available().unwrap());
}

#[test]
fn fault_18_two_servers_are_never_available_at_once_however_their_clocks_differ() {
    for (skew, has_storage_clock) in [(140.0, false), (-140.0, false), (1e6, true), (-1e6, true)] {
        let clock = VirtualClock::new();
        let storage = match has_storage_clock {
            true => FaultyStorage::with_clock(&clock),
            false => FaultyStorage::without_clock(&clock),
        };
        let first_clock = clock.skewed(-skew);
        let owner = Server::with(&storage, &first_clock, options(&first_clock, 1));
        let second_clock = clock.skewed(skew);
        let other = Server::with(&storage, &second_clock, options(&second_clock, 2));
        let held = owner.load(KEY);
        let wanted = other.start(KEY);
        // The owner is cut off; it alone does not know.
        let mut was_taken_after = None;
        for second in 0..2400 {
            clock.advance(1.0);
            other.update();
            let (ours, theirs) = (held.is_available(), wanted.is_available());
            let both = ours.unwrap() && theirs.clone().unwrap();
            assert!(!both, "after {second} s with a skew of {skew} s");
            if theirs.unwrap() {
                was_taken_after.get_or_insert(second);
            }
        }
        let seconds = was_taken_after.expect("taken in the end");
        assert!(f64::from(seconds) >= LEASE, "after {seconds} s");
        owner.update();
        assert!(!held.is_loaded() && !held.is_available().unwrap());
    }
}

#[test]
fn a_server_that_was_stopped_before_an_update_stamps_its_save_with_the_storages_time_all_the_same()
{
    let clock = VirtualClock::new();
    let storage = FaultyStorage::with_clock(&clock);
    let owner = Server::new(&storage, &clock, 1);
    let other = Server::new(&storage, &clock, 2);
    let held = owner.load(KEY);
    held.mark_force_save().unwrap();
    clock.advance(1.0);
    let now = clock.now();
    clock.advance(2.0 * LEASE);
    owner.store.update(now).unwrap();
    assert!(held.is_available().unwrap());
    let wanted = other.start(KEY);
    other.run(LEASE / 2.0);
    assert!(!wanted.is_loaded(), "taken from its owner");
}

/// The other server gets the key in the end, and not before its owner knows that its lease is over.
fn is_taken_in_time(other: &Server, wanted: &Profile, held: &Profile) {
    is_taken_in_time_of_frames(1.0, other, wanted, held);
}

fn is_taken_in_time_of_frames(frame: f64, other: &Server, wanted: &Profile, held: &Profile) {
    let mut seconds = 0.0;
    while !wanted.is_available().unwrap() {
        assert!(seconds < 4800.0, "never taken");
        other.jump(frame);
        seconds += frame;
    }
    assert!(!held.is_available().unwrap(), "taken after {seconds} s");
}

#[test]
fn a_server_that_was_stopped_before_its_first_update_does_not_take_a_key_too_early() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let owner = Server::new(&storage, &clock, 1);
    let other = Server::new(&storage, &clock, 2);
    let held = owner.load(KEY);
    // The owner is cut off from here on; it alone does not know.
    let wanted = other.store.start_session(KEY, &[]).unwrap();
    wanted.wait_until_loaded(1.0).unwrap();
    assert!(!wanted.is_loaded());
    // The host has just looked at its clock, for the first time.
    let first = clock.now();
    clock.advance(1000.0);
    other.store.update(first).unwrap();
    is_taken_in_time(&other, &wanted, &held);
}

#[test]
fn a_server_that_was_stopped_while_it_asked_for_a_key_does_not_take_it_too_early() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let owner = Server::new(&storage, &clock, 1);
    let other = Server::new(&storage, &clock, 2);
    let held = owner.load(KEY);
    storage.on_fetch(&[HoldRequest]);
    let wanted = other.start(KEY);
    // The other one has just looked at its clock when it is stopped. It goes on with an answer of now.
    let long_ago = clock.now();
    owner.jump(1000.0);
    storage.let_go();
    other.store.update(long_ago).unwrap();
    // The owner is cut off; it alone does not know.
    let mut seconds = 0.0;
    while !wanted.is_available().unwrap() {
        assert!(seconds < 2400.0, "never taken");
        other.jump(1.0);
        seconds += 1.0;
    }
    assert!(!held.is_available().unwrap(), "taken after {seconds} s");
}

#[test]
fn a_server_that_was_stopped_before_an_update_and_then_waits_does_not_take_a_key_too_early() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let owner = Server::new(&storage, &clock, 1);
    let other = Server::new(&storage, &clock, 2);
    let held = owner.load(KEY);
    other.update();
    clock.advance(1.0);
    // The other's host has looked at its clock, and is stopped.
    let long_ago = clock.now();
    clock.advance(2000.0);
    held.mark_force_save().unwrap();
    // The owner is cut off from here on; it alone does not know.
    owner.update();
    let wanted = other.store.start_session(KEY, &[]).unwrap();
    other.store.update(long_ago).unwrap();
    wanted.wait_until_loaded(15.0).unwrap();
    is_taken_in_time(&other, &wanted, &held);
}

#[test]
fn a_server_whose_first_time_is_older_than_its_store_does_not_take_a_key_too_early() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let owner = Server::new(&storage, &clock, 1);
    let held = owner.load(KEY);
    // The other's host has looked at its clock, for the first time, and is stopped.
    let long_ago = clock.now();
    clock.advance(2000.0);
    held.mark_force_save().unwrap();
    // The owner is cut off from here on; it alone does not know.
    owner.update();
    let other = Server::new(&storage, &clock, 2);
    let wanted = other.store.start_session(KEY, &[]).unwrap();
    wanted.wait_until_loaded(15.0).unwrap();
    other.store.update(long_ago).unwrap();
    is_taken_in_time(&other, &wanted, &held);
}

#[test]
fn a_server_whose_first_times_are_all_old_does_not_take_a_key_too_early() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let owner = Server::new(&storage, &clock, 1);
    let other = Server::new(&storage, &clock, 2);
    let held = owner.load(KEY);
    let long_ago = clock.now();
    clock.advance(2000.0);
    held.mark_force_save().unwrap();
    // The owner is cut off from here on; it alone does not know.
    owner.update();
    let wanted = other.store.start_session(KEY, &[]).unwrap();
    for frame in 0..5 {
        other.store.update(long_ago + f64::from(frame)).unwrap();
    }
    is_taken_in_time(&other, &wanted, &held);
}

#[test]
fn a_server_that_tells_the_time_from_before_its_wait_does_not_take_a_key_too_early() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let owner = Server::new(&storage, &clock, 1);
    let other = Server::new(&storage, &clock, 2);
    let held = owner.load(KEY);
    other.update();
    clock.advance(1.0);
    // The other's host has looked at its clock, is stopped, and waits before it tells what it has seen.
    let long_ago = clock.now();
    clock.advance(2000.0);
    held.mark_force_save().unwrap();
    // The owner is cut off from here on; it alone does not know.
    owner.update();
    let wanted = other.store.start_session(KEY, &[]).unwrap();
    wanted.wait_until_loaded(15.0).unwrap();
    other.store.update(long_ago).unwrap();
    is_taken_in_time(&other, &wanted, &held);
}

#[test]
fn a_server_that_was_stopped_at_any_point_of_an_update_does_not_take_a_key_too_early() {
    for reads in 1..30 {
        let storage = FaultyStorage::new();
        let clock = VirtualClock::new();
        let owner = Server::new(&storage, &clock, 1);
        let (stopping, options) = stopping(&clock, 2);
        let other = Server::with(&storage, &clock, options);
        let held = Arc::new(owner.load(KEY));
        storage.on_fetch(&[HoldRequest]);
        let wanted = other.store.start_session(KEY, &[]).unwrap();
        // The owner saves, and is cut off from then on; it alone does not know. The other's request finds that.
        let (storage, owned) = (Arc::clone(&storage), Arc::clone(&held));
        let save = move || {
            owned.mark_force_save().unwrap();
            owner.update();
            storage.let_go();
        };
        assert!(stopping.meanwhile.set(Box::new(save)).is_ok());
        stopping.reads_left.store(reads, Ordering::Relaxed);
        while !stopping.has_stopped() {
            other.jump(1.0);
        }
        is_taken_in_time(&other, &wanted, &held);
    }
}

/// A clock that shows something wrong at some of the times that it is read.
struct FaultyClock {
    clock: Arc<dyn Clock>,
    reads: AtomicU32,
    is_wrong: Range<u32>,
    wrong: fn(f64) -> f64,
}

impl Clock for FaultyClock {
    fn wall(&self) -> f64 {
        self.clock.wall()
    }

    fn monotonic(&self) -> f64 {
        let (now, read) = (
            self.clock.monotonic(),
            self.reads.fetch_add(1, Ordering::Relaxed),
        );
        match self.is_wrong.contains(&read) {
            true => (self.wrong)(now),
            false => now,
        }
    }

    fn sleep(&self, seconds: f64) {
        self.clock.sleep(seconds);
    }
}

const WRONG: [fn(f64) -> f64; 4] = [
    |_| f64::NAN,
    |_| f64::INFINITY,
    |now| now - 40_000.0,
    |now| now + 40_000.0,
];

/// A key whose owner is cut off and does not know, and a server that waits for it by a clock that is wrong once.
/// The owner's wall clock is ahead, so the key can be taken by watching alone.
fn watched_by_a_clock_that_is_wrong(
    at_read: u32,
    wrong: fn(f64) -> f64,
) -> (Arc<FaultyStorage>, [Server; 2], [Profile; 2]) {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    clock.advance(50_000.0);
    let owner = Server::new(&storage, &clock.skewed(1e6), 1);
    let mut options = options(&clock, 2);
    options.clock = Arc::new(FaultyClock {
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        reads: AtomicU32::new(0),
        is_wrong: at_read..at_read + 1,
        wrong,
    });
    let other = Server::with(&storage, &clock, options);
    let held = owner.load(KEY);
    let wanted = other.start(KEY);
    (storage, [owner, other], [held, wanted])
}

#[test]
fn a_clock_that_is_wrong_once_takes_no_key_too_early_and_keeps_none_for_ever() {
    for (reads, wrong) in (0..12).flat_map(|reads| WRONG.map(|wrong| (reads, wrong))) {
        let (_storage, [_owner, other], [held, wanted]) =
            watched_by_a_clock_that_is_wrong(reads, wrong);
        is_taken_in_time(&other, &wanted, &held);
    }
}

#[test]
fn a_clock_that_was_wrong_when_a_request_was_sent_takes_no_key_too_early() {
    for (reads, wrong) in (12..52).flat_map(|reads| WRONG.map(|wrong| (reads, wrong))) {
        let (storage, [_owner, other], [held, wanted]) =
            watched_by_a_clock_that_is_wrong(reads, wrong);
        storage.on_fetch(&[HoldAnswer; 1]);
        for _ in 0..20 {
            other.jump(1.0);
        }
        storage.let_go();
        for _ in 0..20 {
            other.jump(1.0);
            assert!(!wanted.is_loaded() && held.is_available().unwrap());
        }
    }
}

/// Times to which nothing can be added any more that is as short as a frame, and the latest and earliest that are
/// taken for times.
const FAR_OFF: [fn(f64) -> f64; 4] = [|_| 1e15, |_| -1e15, |_| 1e11, |_| -1e11];
const FRAME: f64 = 1.0 / 16.0;

#[test]
fn a_clock_that_was_once_an_age_off_keeps_no_key_for_ever() {
    for (read, wrong) in (0..8).flat_map(|read| FAR_OFF.map(|wrong| (read, wrong))) {
        let (_storage, [_owner, other], [held, wanted]) =
            watched_by_a_clock_that_is_wrong(read, wrong);
        is_taken_in_time_of_frames(FRAME, &other, &wanted, &held);
    }
}

/// A server that goes by a clock that is wrong once.
fn with_a_clock_that_is_wrong(
    read: u32,
    wrong: fn(f64) -> f64,
) -> (Arc<FaultyStorage>, Arc<VirtualClock>, Server) {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let mut options = options(&clock, 1);
    options.clock = Arc::new(FaultyClock {
        clock: Arc::new(DozingClock(Arc::clone(&clock))),
        reads: AtomicU32::new(0),
        is_wrong: read..read + 1,
        wrong,
    });
    let server = Server::with(&storage, &clock, options);
    (storage, clock, server)
}

#[test]
fn a_session_is_not_available_for_ever_by_a_clock_that_was_once_an_age_off() {
    for (read, wrong) in (0..8).flat_map(|read| FAR_OFF.map(|wrong| (read, wrong))) {
        let (storage, _clock, server) = with_a_clock_that_is_wrong(read, wrong);
        let profile = server.load(KEY);
        storage.on_commit(&[FailBefore; 300]);
        let mut seconds = 0.0;
        while seconds <= LEASE {
            server.jump(FRAME);
            seconds += FRAME;
        }
        assert!(!profile.is_available().unwrap(), "at read {read}");
    }
}

#[test]
fn a_session_is_not_available_for_ever_to_one_who_only_waits_by_a_clock_that_was_wrong() {
    for read in 4..30 {
        let (storage, clock, server) = with_a_clock_that_is_wrong(read, |now| now + 40_000.0);
        let profile = server.load(KEY);
        storage.on_fetch(&[HoldRequest; 300]);
        let waits_for = server.start("Player_2");
        profile.mark_force_save().unwrap();
        waits_for.wait_until_loaded(3.0).unwrap();
        storage.on_commit(&[FailBefore; 300]);
        let cut_off_at = clock.now();
        while clock.now() < cut_off_at + LEASE {
            waits_for.wait_until_loaded(LEASE).unwrap();
        }
        assert!(!profile.is_available().unwrap(), "at read {read}");
    }
}

#[test]
fn a_wait_ends_by_its_timeout_though_the_clock_cannot_be_read() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    for is_wrong in [0..5000, 0..u32::MAX] {
        let mut options = options(&clock, 1);
        options.clock = Arc::new(FaultyClock {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            reads: AtomicU32::new(0),
            is_wrong,
            wrong: |_| f64::NAN,
        });
        let server = Server::with(&storage, &clock, options);
        storage.on_fetch(&[HoldRequest]);
        let wanted = server.start(KEY);
        let begun = clock.now();
        assert!(wanted.wait_until_loaded(5.0).is_ok() && !wanted.is_loaded());
        assert!((4.9..5.1).contains(&(clock.now() - begun)));
    }
}

/// A clock of a host whose sleep returns long before its time.
struct RestlessClock(Arc<VirtualClock>);

impl Clock for RestlessClock {
    fn wall(&self) -> f64 {
        self.0.wall()
    }

    fn monotonic(&self) -> f64 {
        self.0.monotonic()
    }

    fn sleep(&self, seconds: f64) {
        self.0.sleep(seconds / 100.0);
    }
}

#[test]
fn a_wait_lasts_as_long_as_its_timeout_though_the_sleeps_do_not_or_the_clock_shows_whole_seconds() {
    let is_over_in_time = |storage: &Arc<FaultyStorage>, clock: &Arc<VirtualClock>, of_host| {
        let mut options = options(clock, 1);
        options.clock = of_host;
        let server = Server::with(storage, clock, options);
        storage.on_fetch(&[HoldRequest]);
        let wanted = server.start(KEY);
        let begun = clock.now();
        assert!(wanted.wait_until_loaded(5.0).is_ok() && !wanted.is_loaded());
        let lasted = clock.now() - begun;
        assert!((4.0..=6.0).contains(&lasted), "{lasted} s");
    };
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let restless = Arc::new(RestlessClock(Arc::clone(&clock)));
    is_over_in_time(&storage, &clock, restless as Arc<dyn Clock>);
    for wrong in [f64::floor, |_| 7.0] {
        let of_host = Arc::new(FaultyClock {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            reads: AtomicU32::new(0),
            is_wrong: 0..u32::MAX,
            wrong,
        });
        is_over_in_time(&storage, &clock, of_host as Arc<dyn Clock>);
    }
}

#[test]
fn a_clock_that_is_wrong_once_in_a_wait_takes_no_key_too_early() {
    for (read, wrong) in (12..60).flat_map(|read| WRONG.map(|wrong| (read, wrong))) {
        let (storage, clock, other) = with_a_clock_that_is_wrong(read, wrong);
        // The owner's wall clock is ahead, so the key can be taken by watching alone.
        let owner = Server::new(&storage, &clock.skewed(1e6), 2);
        let held = owner.load(KEY);
        let wanted = other.start(KEY);
        for _ in 0..10 {
            wanted.wait_until_loaded(10.0).unwrap();
            assert!(!wanted.is_loaded() && held.is_available().unwrap());
        }
    }
}

#[test]
fn a_clock_that_was_wrong_once_in_a_wait_keeps_no_key_for_ever() {
    for (read, wrong) in (12..32).flat_map(|read| WRONG.map(|wrong| (read, wrong))) {
        let (storage, clock, other) = with_a_clock_that_is_wrong(read, wrong);
        // The owner's wall clock is ahead, so the key can be taken by watching alone.
        let owner = Server::new(&storage, &clock.skewed(1e6), 2);
        let held = owner.load(KEY);
        let wanted = other.start(KEY);
        while !wanted.is_available().unwrap() {
            assert!(clock.now() < 2400.0, "never taken");
            wanted.wait_until_loaded(100.0).unwrap();
        }
        assert!(!held.is_available().unwrap());
    }
}

#[test]
fn clocks_that_show_whole_seconds_out_of_step_keep_no_key_for_ever() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let owner = Server::new(&storage, &clock.skewed(1e6), 1);
    let mut options = options(&clock, 2);
    options.clock = Arc::new(FaultyClock {
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        reads: AtomicU32::new(0),
        is_wrong: 0..u32::MAX,
        wrong: f64::floor,
    });
    let other = Server::with(&storage, &clock, options);
    let held = owner.load(KEY);
    // The owner is cut off from here on; it alone does not know.
    let wanted = other.store.start_session(KEY, &[]).unwrap();
    for _ in 0..8000 {
        clock.advance(0.25);
        other.store.update((clock.now() + 0.5).floor()).unwrap();
        assert!(!wanted.is_available().unwrap() || !held.is_available().unwrap());
    }
    assert!(wanted.is_available().unwrap());
}

#[test]
fn a_server_whose_clock_cannot_be_read_saves_and_calls_no_session_available() {
    let clock = VirtualClock::new();
    let storage = FaultyStorage::with_clock(&clock);
    for is_read_in_the_end in [false, true] {
        let mut options = options(&clock, 1);
        options.clock = Arc::new(FaultyClock {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            reads: AtomicU32::new(0),
            is_wrong: if is_read_in_the_end {
                0..8
            } else {
                0..u32::MAX
            },
            wrong: |_| f64::NAN,
        });
        let server = Server::with(&storage, &clock, options);
        let profile = server.load(KEY);
        assert!(profile.is_loaded() && !profile.is_available().unwrap());
        for _ in 0..10 {
            profile.mark_force_save().unwrap();
            server.jump(1.0);
            let saved_at = &storage.document(KEY)["Session"]["UpdatedAt"];
            let early = clock.wall() - saved_at.as_f64().unwrap();
            assert!((-10.0..=0.0).contains(&early), "stamped {early} s early");
        }
        assert_eq!(profile.is_available().unwrap(), is_read_in_the_end);
        profile.end_session().unwrap();
        server.update();
    }
}

/// A clock of a host that looks again after a second at the earliest.
struct DozingClock(Arc<VirtualClock>);

impl Clock for DozingClock {
    fn wall(&self) -> f64 {
        self.0.wall()
    }

    fn monotonic(&self) -> f64 {
        self.0.monotonic()
    }

    fn sleep(&self, seconds: f64) {
        self.0.sleep(seconds.max(1.0));
    }
}

#[test]
fn a_tool_that_tells_one_time_and_then_only_waits_takes_the_key_of_a_server_that_has_gone() {
    let clock = VirtualClock::new();
    let storage = FaultyStorage::without_clock(&clock);
    // By the tool's wall clock, the session was saved in the far future.
    let owner = Server::new(&storage, &clock.skewed(1e6), 1);
    let mut options = options(&clock, 2);
    options.clock = Arc::new(DozingClock(Arc::clone(&clock)));
    let tool = Server::with(&storage, &clock, options);
    let held = owner.load(KEY);
    tool.update();
    let wanted = tool.store.start_session(KEY, &[]).unwrap();
    let is_loaded = wanted.wait_until_loaded(2400.0);
    assert!(is_loaded.is_ok() && wanted.is_available().unwrap());
    assert!(!held.is_available().unwrap());
}

#[test]
fn a_server_whose_first_time_is_older_than_its_wait_does_not_take_a_key_too_early() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let owner = Server::new(&storage, &clock, 1);
    let other = Server::new(&storage, &clock, 2);
    let held = owner.load(KEY);
    // The other's host has looked at its clock, for the first time, and is stopped.
    let long_ago = clock.now();
    clock.advance(2000.0);
    held.mark_force_save().unwrap();
    // The owner is cut off from here on; it alone does not know.
    owner.update();
    let wanted = other.store.start_session(KEY, &[]).unwrap();
    wanted.wait_until_loaded(15.0).unwrap();
    other.store.update(long_ago).unwrap();
    is_taken_in_time(&other, &wanted, &held);
}
