//! The places of `requests_in_flight`: who has one, and when it is free again.

use std::collections::VecDeque;

use session_locker::storage::budget::Limits;
use session_locker::storage::{Priority, Storage};

use crate::world::{World, absent, in_flight, limit};

/// How long a request that is not answered takes a place.
const LAPSES_AFTER_S: f64 = 120.0;

#[test]
fn a_request_that_is_never_answered_takes_its_place_for_two_minutes() {
    let mut world = World::new(in_flight(1));
    world.fetch("never answered", Priority::Load);
    world.fetch("second", Priority::Load);
    world.pass(LAPSES_AFTER_S - 0.001);
    assert!(world.budget.tick());
    assert_eq!(world.desk.len(), 1);
    world.pass(0.001);
    assert!(!world.budget.tick());
    assert_eq!(world.desk.keys(), ["never answered", "second"]);
    let stats = world.stats();
    assert_eq!((stats.in_flight, stats.most_in_flight), (2, 2));
}

#[test]
fn an_answer_that_comes_after_its_place_has_lapsed_makes_no_room() {
    let mut world = World::new(in_flight(1));
    for key in ["late", "second", "third"] {
        world.fetch(key, Priority::Load);
    }
    world.pass(LAPSES_AFTER_S);
    world.budget.tick();
    assert_eq!(world.desk.answer(absent()), "late");
    assert!(world.budget.tick(), "the third waits for the second");
    assert_eq!(world.desk.keys(), ["second"]);
    assert_eq!(world.stats().in_flight, 1);

    assert_eq!(world.desk.answer(absent()), "second");
    world.budget.tick();
    assert_eq!(world.desk.answer(absent()), "third");
    let stats = world.stats();
    assert_eq!((stats.answers(), stats.in_flight), (3, 0));
    assert_eq!(world.replies.0.lock().len(), 3);
}

#[test]
fn a_place_that_has_lapsed_goes_to_one_that_comes_too() {
    let mut world = World::new(in_flight(2));
    world.fetch("a", Priority::Load);
    world.pass(60.0);
    world.fetch("b", Priority::Load);
    world.pass(60.0);
    world.fetch("c", Priority::Load);
    world.fetch("d", Priority::Load);
    assert_eq!(world.desk.keys(), ["a", "b", "c"]);
}

/// Requests in flight as the test sees them: when each was handed over, and when it is answered.
#[derive(Default)]
struct Seen {
    handed_over: VecDeque<(f64, f64)>,
}

impl Seen {
    fn note_new(&mut self, world: &World, answered_after: f64) {
        let now = world.now();
        while self.handed_over.len() < world.desk.len() {
            self.handed_over.push_back((now, now + answered_after));
        }
    }

    /// Answers what is due, in any place.
    fn answer_due(&mut self, world: &World) {
        let now = world.now();
        while let Some(index) = self.handed_over.iter().position(|(_, due)| *due <= now) {
            self.handed_over.remove(index);
            let request = world.desk.0.lock().remove(index);
            request.responder.answer(absent());
        }
    }

    fn with_place(&self, now: f64) -> usize {
        let handed_over = self.handed_over.iter();
        handed_over
            .filter(|(at, _)| at + LAPSES_AFTER_S > now)
            .count()
    }
}

#[test]
fn in_a_random_run_no_more_have_a_place_than_may_and_no_place_is_lost() {
    for seed in 0..20 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let most = rng.u32(1..8);
        let mut world = World::new(Limits {
            in_flight: limit(most),
            per_second: limit(1000),
        });
        let mut seen = Seen::default();
        let mut answered = 0;
        for _ in 0..3000 {
            // Some take longer than a place is kept.
            let answered_after = [0.0, 1.0, 30.0, 150.0, 1000.0][rng.usize(0..5)];
            for _ in 0..rng.u32(0..3) {
                world.fetch("key", Priority::Load);
            }
            seen.note_new(&world, answered_after);
            world.pass(rng.f64() * 8.0);
            let before = seen.handed_over.len();
            seen.answer_due(&world);
            answered += before - seen.handed_over.len();
            let waits = world.budget.tick();
            seen.note_new(&world, answered_after);
            let with_place = seen.with_place(world.now());
            assert!(with_place <= most as usize, "seed {seed}");
            assert!(!waits || with_place == most as usize, "seed {seed}");
            assert_eq!(world.stats().in_flight, world.desk.len() as u64);
        }
        assert!(answered > 100, "seed {seed}: {answered}");
        let stats = world.stats();
        assert!(stats.most_in_flight > most.into(), "seed {seed}");
    }
}
