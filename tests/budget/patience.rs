//! How long a request stands in line: no longer than its asker lets it.

use std::sync::Arc;

use session_locker::storage::budget::{Budget, Limits};
use session_locker::storage::overlay::ReadOnlyOverlay;
use session_locker::storage::{
    Operation, Priority, ReplySink, Request, RequestErrorKind, RequestId, Responder, Storage,
};

use crate::world::{Replies, World, absent, commit, in_flight, limit, per_second};

fn erase(key: &str) -> Operation {
    let (key, expected) = (key.into(), None);
    Operation::Erase { key, expected }
}

#[test]
fn a_request_that_has_waited_for_as_long_as_it_may_is_refused_and_never_done() {
    let mut world = World::new(in_flight(1));
    world.fetch("first", Priority::Other);
    world.ask_for(5.0, erase("impatient"), Priority::Other);
    world.fetch("patient", Priority::Other);
    world.pass(4.999);
    assert!(world.budget.tick());
    assert!(world.refusals().is_empty());
    world.pass(0.001);
    assert!(world.budget.tick(), "one waits still");
    let refusals = world.refusals();
    assert_eq!(refusals.len(), 1);
    assert_eq!(refusals[0].kind, RequestErrorKind::Backend);
    let message = refusals[0].to_string();
    assert!(
        message.contains("within 5 s; nothing was written"),
        "{message}"
    );
    assert_eq!(world.replies.0.lock()[0].id, RequestId(2));
    let stats = world.stats();
    assert_eq!((stats.refused, stats.waiting.others), (1, 1));
    assert_eq!((stats.failures_backend, stats.answers()), (0, 0));

    world.desk.answer(absent());
    world.budget.tick();
    assert_eq!(world.desk.keys(), ["patient"]);
}

#[test]
fn one_that_has_waited_too_long_is_not_done_even_if_its_turn_comes_in_the_same_moment() {
    let mut world = World::new(per_second(1));
    world.fetch("first", Priority::Save);
    world.ask_for(1.0, erase("impatient"), Priority::Save);
    world.ask_for(1.5, erase("in time"), Priority::Save);
    world.pass(1.0);
    world.budget.tick();
    assert_eq!(world.desk.keys(), ["first", "in time"]);
    assert_eq!(world.stats().refused, 1);
}

#[test]
fn another_request_refuses_those_that_have_waited_too_long_as_well_as_a_tick_does() {
    let mut world = World::new(in_flight(1));
    world.fetch("first", Priority::Save);
    world.ask_for(1.0, erase("impatient"), Priority::Other);
    world.pass(1.0);
    world.fetch("second", Priority::Other);
    assert_eq!(world.stats().refused, 1);
    assert_eq!(world.stats().waiting.others, 1);
}

#[test]
fn one_that_may_not_wait_at_all_goes_at_once_or_is_refused() {
    let mut world = World::new(in_flight(1));
    world.ask_for(0.0, erase("first"), Priority::Other);
    assert_eq!(world.desk.keys(), ["first"]);
    world.ask_for(0.0, erase("second"), Priority::Other);
    assert_eq!(world.stats().refused, 1);
    assert!(!world.budget.tick());
    world.desk.answer(absent());
    world.budget.tick();
    assert_eq!(world.desk.len(), 0);
}

#[test]
fn the_one_whose_time_has_passed_first_is_refused_first_wherever_it_stands() {
    let mut world = World::new(in_flight(1));
    world.fetch("first", Priority::Save);
    for (patience, priority) in [
        (f64::INFINITY, Priority::Other),
        (4.0, Priority::Save),
        (3.0, Priority::Other),
        (f64::NAN, Priority::Save),
        (2.0, Priority::Load),
        (4.0, Priority::Other),
        (5.0, Priority::Other),
    ] {
        world.ask_for(patience, erase("key"), priority);
    }
    world.pass(4.5);
    assert!(world.budget.tick());
    let replies = world.replies.0.lock();
    let refused: Vec<_> = replies.iter().map(|reply| reply.id.0).collect();
    assert_eq!(refused, [6, 4, 3, 7]);
}

#[test]
fn those_that_are_refused_make_room_in_the_line() {
    let mut world = World::new(in_flight(1));
    world.fetch("first", Priority::Save);
    let size_bytes = session_locker::storage::budget::MAX_WAITING_BYTES / 2;
    world.ask_for(1.0, commit("a", size_bytes), Priority::Save);
    world.ask_for(1.0, commit("b", size_bytes), Priority::Save);
    world.ask(commit("c", 1), Priority::Save);
    assert_eq!(world.stats().refused, 1);
    world.pass(1.0);
    assert!(!world.budget.tick());
    world.ask(commit("d", size_bytes), Priority::Save);
    world.ask(commit("e", size_bytes), Priority::Save);
    assert_eq!(world.stats().refused, 3);
    assert_eq!(world.stats().waiting.saves, 2);
}

#[test]
fn one_tick_refuses_no_more_than_it_would_let_go() {
    let mut world = World::new(in_flight(1));
    world.fetch("first", Priority::Save);
    for _ in 0..5000 {
        world.ask_for(1.0, erase("key"), Priority::Save);
    }
    world.fetch("patient", Priority::Save);
    world.desk.answer(absent());
    world.pass(1.0);
    let mut refused = 0;
    while refused < 5000 {
        assert_eq!(world.desk.len(), 0, "nobody goes before they are refused");
        world.budget.tick();
        let more = world.stats().refused - refused;
        assert!((1..=1024).contains(&more), "{more}");
        refused += more;
    }
    assert_eq!(world.desk.keys(), ["patient"]);
}

#[test]
fn in_a_second_budget_only_the_rest_of_the_patience_is_left() {
    let world = World::new(in_flight(1));
    let (inner, desk, now) = (Arc::new(world.budget), world.desk, world.now);
    let told = Arc::clone(&now);
    let outer = Budget::with_clock(
        Arc::clone(&inner) as _,
        Limits {
            in_flight: limit(2),
            ..Limits::default()
        },
        Arc::new(move || *told.lock()),
    );
    let replies = Arc::new(Replies::default());
    for (id, patience) in [f64::INFINITY, f64::INFINITY, 10.0].into_iter().enumerate() {
        let sink = Arc::clone(&replies) as Arc<dyn ReplySink>;
        outer.submit(Request {
            operation: erase(&id.to_string()),
            responder: Responder::new(RequestId(id as u64), sink).with_patience(patience),
        });
    }
    // The third waits for six seconds in the outer line, and may wait for four in the inner one.
    *now.lock() += 6.0;
    desk.answer(absent());
    outer.tick();
    assert_eq!(desk.keys(), ["1"]);
    outer.tick();
    assert_eq!(inner.stats().unwrap().waiting.others, 1);
    *now.lock() += 3.999;
    outer.tick();
    assert_eq!(inner.stats().unwrap().refused, 0);
    *now.lock() += 0.001;
    outer.tick();
    assert_eq!(inner.stats().unwrap().refused, 1);
    assert_eq!(replies.0.lock()[1].id, RequestId(2));
}

#[test]
fn an_overlay_passes_on_how_long_a_request_may_wait() {
    let mut world = World::new(in_flight(1));
    world.fetch("first", Priority::Other);
    let (budget, replies, now) = (Arc::new(world.budget), world.replies, world.now);
    let overlay = ReadOnlyOverlay::new(Arc::clone(&budget) as _, None);
    let operations = [
        Operation::Fetch { key: "key".into() },
        commit("key", 1),
        Operation::KeysOfUser {
            user_id: "user".into(),
        },
    ];
    for (operation, id) in operations.into_iter().zip(1..) {
        let sink = Arc::clone(&replies) as Arc<dyn ReplySink>;
        overlay.submit(Request {
            operation,
            responder: Responder::new(RequestId(id), sink).with_patience(2.0),
        });
    }
    *now.lock() += 2.0;
    overlay.tick();
    assert_eq!(overlay.stats().unwrap().refused, 3);
    assert_eq!(replies.0.lock().len(), 3);
}
