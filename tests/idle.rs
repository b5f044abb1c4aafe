//! Work is done where there is something to do: touched lockers and requests are counted, not time.

mod support;

use std::sync::Arc;

use session_locker::locker::Config;
use support::Fault::HoldAnswer;
use support::{FaultyStorage, Server, VirtualClock, add_gold, options, spec};

fn world() -> (Arc<FaultyStorage>, Server) {
    let storage = FaultyStorage::new();
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    (storage, server)
}

fn touches(server: &Server) -> u64 {
    server.store.touches().unwrap()
}

#[test]
fn fault_28_an_idle_frame_touches_no_locker_however_many_there_are() {
    let (storage, server) = world();
    let profiles: Vec<_> = (0..1000)
        .map(|n| {
            server
                .store
                .start_session(&format!("Player_{n}"), &[])
                .unwrap()
        })
        .collect();
    for _ in 0..20 {
        server.update();
    }
    assert!(profiles.iter().all(|profile| profile.is_loaded()));
    let before = (touches(&server), storage.fetches(), storage.commits());
    for _ in 0..1000 {
        server.clock.advance(1e-6);
        server.update();
    }
    assert_eq!(
        (touches(&server), storage.fetches(), storage.commits()),
        before
    );
}

#[test]
fn fault_28_a_frame_touches_only_the_lockers_with_something_to_do() {
    let (_storage, server) = world();
    let profiles = ["a", "b", "c", "d"].map(|key| server.load(key));
    let before = touches(&server);
    add_gold(&profiles[1], 1);
    profiles[1].mark_force_save().unwrap();
    server.update();
    // The mark, the grant and the answer.
    assert_eq!(touches(&server) - before, 3);
}

#[test]
fn a_session_costs_one_request_and_a_handful_of_touches_a_period() {
    let (storage, server) = world();
    let _profile = server.load("a");
    server.run(300.0);
    let before = (touches(&server), storage.fetches(), storage.commits());
    server.run(3000.0);
    let after = (touches(&server), storage.fetches(), storage.commits());
    assert_eq!((after.1 - before.1, after.2 - before.2), (0, 10));
    assert_eq!(after.0 - before.0, 30);
}

#[test]
fn a_locked_key_costs_one_fetch_a_cooldown() {
    let (storage, server) = world();
    storage.put_locked("a", 0, support::WALL_START);
    server.start("a");
    let before = touches(&server);
    server.run(100.0);
    assert_eq!(storage.fetches(), 11);
    assert_eq!(touches(&server) - before, 30);
}

#[test]
fn fault_30_a_store_drives_itself_alone() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let (one, other) = (
        Server::new(&storage, &clock, 1),
        Server::new(&storage, &clock, 2),
    );
    let profile = other.load("a");
    profile.mark_force_save().unwrap();
    let before = (touches(&other), storage.commits());
    one.run(1000.0);
    assert_eq!((touches(&other), storage.commits()), before);
    other.update();
    assert_eq!(storage.commits(), before.1 + 1);
}

#[test]
fn lockers_that_rest_are_not_touched_either() {
    let storage = FaultyStorage::new();
    let spec = spec(&storage, options(&VirtualClock::new(), 1));
    let lockers: Vec<_> = (0..10)
        .map(|n| spec.create_locker(&format!("Player_{n}"), &[]).unwrap())
        .collect();
    let update_all = |now: f64| {
        for locker in &lockers {
            locker.update(now).unwrap();
        }
    };
    update_all(0.0);
    let before = spec.touches().unwrap();
    update_all(1.0);
    update_all(1e6);
    assert_eq!(spec.touches().unwrap(), before);
}

#[test]
fn one_update_starts_no_more_requests_than_the_budget_and_the_rest_later() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let mut options = options(&clock, 1);
    options.config.requests_per_update = 10;
    let server = Server::with(&storage, &clock, options);
    let profiles: Vec<_> = (0..100)
        .map(|n| {
            server
                .store
                .start_session(&format!("Player_{n}"), &[])
                .unwrap()
        })
        .collect();
    for frame in 1..=20 {
        server.update();
        assert_eq!(storage.fetches() + storage.commits(), frame * 10);
    }
    assert!(profiles.iter().all(|profile| profile.is_loaded()));
}

#[test]
fn what_is_due_for_very_many_at_once_is_done_over_a_few_frames() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let mut options = options(&clock, 1);
    let per_frame = Config::default().requests_per_update as usize;
    options.config.requests_per_update = Config::default().requests_per_update;
    let server = Server::with(&storage, &clock, options);
    let start = |n| server.store.start_session(&format!("Player_{n}"), &[]);
    let profiles: Vec<_> = (0..500).map(|n| start(n).unwrap()).collect();
    let frames = |until: &dyn Fn() -> bool| {
        let mut count = 0;
        while !until() {
            let before = storage.fetches() + storage.commits();
            server.jump(1.0 / 60.0);
            assert!(storage.fetches() + storage.commits() - before <= per_frame);
            count += 1;
            assert!(count < 100, "never done");
        }
        count
    };
    let are_loaded = || profiles.iter().all(|profile| profile.is_loaded());
    assert_eq!(frames(&are_loaded), 1000_usize.div_ceil(per_frame));
    // All autosaves are due together, and then all are asked for by the host.
    for is_asked_for in [false, true] {
        let all_saved = storage.commits() + profiles.len();
        match is_asked_for {
            true => profiles
                .iter()
                .for_each(|one| one.mark_force_save().unwrap()),
            false => clock.advance(1000.0),
        }
        let are_saved = || storage.commits() >= all_saved;
        assert_eq!(frames(&are_saved), 500_usize.div_ceil(per_frame));
    }
}

#[test]
fn no_more_requests_are_in_flight_than_allowed_and_each_answer_makes_room() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let mut options = options(&clock, 1);
    options.config.requests_in_flight = 5;
    let server = Server::with(&storage, &clock, options);
    storage.on_fetch(&[HoldAnswer; 20]);
    let profiles: Vec<_> = (0..20)
        .map(|n| {
            server
                .store
                .start_session(&format!("Player_{n}"), &[])
                .unwrap()
        })
        .collect();
    server.update();
    assert_eq!(storage.fetches(), 5);
    storage.let_go_of(0);
    server.update();
    assert_eq!(
        (storage.fetches(), storage.commits(), storage.held()),
        (6, 0, 5)
    );
    // Answers that never come make room at their timeout.
    server.run(31.0);
    assert_eq!((storage.fetches(), storage.held()), (11, 10));
    storage.heal();
    storage.let_go();
    server.run(60.0);
    assert!(profiles.iter().all(|profile| profile.is_loaded()));
}

#[test]
fn saves_go_before_loads_shortest_lease_first_and_a_tenth_is_left_for_loads() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let mut options = options(&clock, 1);
    options.config.requests_per_update = 1;
    let server = Server::with(&storage, &clock, options);
    let keys: Vec<String> = (0..30).map(|n| format!("Player_{n:02}")).collect();
    let mut profiles = Vec::new();
    for key in &keys {
        profiles.push(server.store.start_session(key, &[]).unwrap());
        while !profiles.last().unwrap().is_loaded() {
            server.jump(0.01);
        }
    }
    let (before, fetches) = (storage.history().len(), storage.fetches());
    // Asked in the opposite order of their leases.
    for profile in profiles.iter().rev() {
        profile.mark_force_save().unwrap();
    }
    for n in 0..30 {
        server
            .store
            .start_session(&format!("New_{n}"), &[])
            .unwrap();
    }
    for _ in 0..30 {
        server.update();
    }
    let written: Vec<String> = storage.history()[before..]
        .iter()
        .map(|written| written.key.to_string())
        .collect();
    assert_eq!(storage.fetches() - fetches, 3);
    assert_eq!(written, keys[..27]);
}

#[test]
fn a_save_that_met_a_conflict_goes_again_ahead_of_the_budget() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let mut options = options(&clock, 1);
    options.config.requests_per_update = 1;
    let server = Server::with(&storage, &clock, options);
    let profile = server.store.start_session("a", &[]).unwrap();
    server.update();
    server.update();
    server.heard();
    storage.on_commit(&[support::Fault::Overtaken]);
    profile.mark_force_save().unwrap();
    server.update();
    assert_eq!(server.heard(), ["Saved"]);
    assert_eq!((storage.fetches(), storage.commits()), (2, 3));
}

#[test]
fn replies_wait_for_their_bytes_without_timing_out() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let mut options = options(&clock, 1);
    options.config.bytes_per_update = 1000;
    let server = Server::with(&storage, &clock, options);
    let text = format!(
        r#"{{"Version":1,"VersionPatch":0,"Gold":0,"Text":"{}"}}"#,
        "x".repeat(900)
    );
    let keys: Vec<String> = (0..50).map(|n| format!("Player_{n}")).collect();
    keys.iter().for_each(|key| storage.put(key, &text));
    storage.on_fetch(&[HoldAnswer; 50]);
    let profiles: Vec<_> = keys
        .iter()
        .map(|key| server.store.start_session(key, &[]).unwrap())
        .collect();
    server.update();
    storage.let_go();
    // Far fewer frames than documents before the requests would have timed out.
    for _ in 0..400 {
        server.jump(10.0);
        if profiles.iter().all(|profile| profile.is_loaded()) {
            break;
        }
    }
    assert!(profiles.iter().all(|profile| profile.is_loaded()));
    assert_eq!(storage.fetches(), 50);
    assert!(!server.heard().iter().any(|word| word.starts_with("error")));
}

#[test]
fn a_document_larger_than_the_frames_bytes_passes_all_the_same() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let mut options = options(&clock, 1);
    options.config.bytes_per_update = 10;
    let server = Server::with(&storage, &clock, options);
    let profiles: Vec<_> = ["a", "b", "c"]
        .map(|key| server.store.start_session(key, &[]).unwrap())
        .into();
    for _ in 0..12 {
        server.run(1.0);
    }
    assert!(profiles.iter().all(|profile| profile.is_loaded()));
}
