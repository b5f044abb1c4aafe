//! The line of those that wait for the limits: who may stand in it, and how long.

use std::sync::Arc;

use bytes::Bytes;
use session_locker::storage::budget::{MAX_WAITING_BYTES, MAX_WAITING_REQUESTS};
use session_locker::storage::{
    Expected, Operation, Priority, RequestErrorKind, RequestId, Storage,
};

use crate::world::{World, absent, commit, in_flight};

#[test]
fn a_line_that_is_full_refuses_and_writes_nothing() {
    let mut world = World::new(in_flight(1));
    for _ in 0..=MAX_WAITING_REQUESTS {
        world.fetch("key", Priority::Save);
    }
    assert!(world.refusals().is_empty());
    world.ask(commit("key", 1), Priority::Save);
    let refusals = world.refusals();
    assert_eq!(refusals.len(), 1);
    assert_eq!(refusals[0].kind, RequestErrorKind::Backend);
    let message = refusals[0].to_string();
    assert!(message.contains("65536 requests with 0 bytes"), "{message}");
    assert!(message.contains("nothing was written"), "{message}");
    assert_eq!(world.replies.0.lock()[0].id, RequestId(world.asked));
    assert_eq!(
        (world.stats().refused, world.stats().failures_backend),
        (1, 0)
    );

    world.desk.answer(absent());
    world.budget.tick();
    world.ask(commit("key", 1), Priority::Save);
    assert_eq!(world.stats().refused, 1, "there is room again");
}

#[test]
fn loads_and_others_fill_half_of_the_line_and_saves_all_of_it() {
    let mut world = World::new(in_flight(1));
    world.fetch("first", Priority::Save);
    for number in 0..MAX_WAITING_REQUESTS / 2 {
        world.fetch("key", [Priority::Load, Priority::Other][number % 2]);
    }
    assert_eq!(world.stats().refused, 0);
    world.fetch("key", Priority::Load);
    world.fetch("key", Priority::Other);
    assert_eq!(world.stats().refused, 2);
    for _ in 0..MAX_WAITING_REQUESTS / 2 {
        world.fetch("key", Priority::Save);
    }
    assert_eq!(world.stats().refused, 2);
    world.fetch("key", Priority::Save);
    assert_eq!(world.stats().refused, 3);
    assert_eq!(world.stats().waiting.total(), MAX_WAITING_REQUESTS as u64);
    // A save leaves, and a load may have the place only if no other has that of its half.
    world.desk.answer(absent());
    world.budget.tick();
    world.fetch("key", Priority::Load);
    assert_eq!(world.stats().refused, 4);
    world.fetch("key", Priority::Save);
    assert_eq!(world.stats().refused, 4);
}

#[test]
fn saves_that_fill_the_line_leave_no_room_for_loads() {
    let mut world = World::new(in_flight(1));
    for _ in 0..=MAX_WAITING_REQUESTS {
        world.fetch("key", Priority::Save);
    }
    world.fetch("key", Priority::Load);
    assert_eq!(world.stats().refused, 1);
    world.desk.answer(absent());
    world.budget.tick();
    world.fetch("key", Priority::Load);
    assert_eq!(world.stats().refused, 1, "there is room again");
}

/// Asks for a commit of a share of what may wait, and says whether it was refused.
fn is_refused(world: &mut World, value: &Bytes, priority: Priority) -> bool {
    let before = world.stats().refused;
    let operation = Operation::Commit {
        key: "key".into(),
        expected: Expected::Absent(None),
        bytes: value.clone(),
        user_ids: Arc::default(),
    };
    world.ask(operation, priority);
    world.stats().refused > before
}

#[test]
fn no_more_bytes_wait_than_may_save_that_one_request_always_does() {
    let mut world = World::new(in_flight(1));
    let half = Bytes::from(vec![0; MAX_WAITING_BYTES / 2]);
    let one = Bytes::from_static(b"1");
    world.fetch("first", Priority::Other);
    assert!(!is_refused(&mut world, &half, Priority::Save));
    assert!(!is_refused(&mut world, &half, Priority::Save));
    assert!(is_refused(&mut world, &one, Priority::Save));
    assert!(is_refused(&mut world, &one, Priority::Other));
    world.desk.answer(absent());
    world.budget.tick();
    assert!(!is_refused(&mut world, &one, Priority::Save));
    assert!(!is_refused(&mut world, &one, Priority::Other));

    let more = Bytes::from(vec![0; MAX_WAITING_BYTES + 1]);
    for priority in Priority::ALL {
        let mut world = World::new(in_flight(1));
        world.fetch("first", Priority::Other);
        world.fetch("second", Priority::Other);
        assert!(!is_refused(&mut world, &more, priority));
        assert!(is_refused(&mut world, &more, priority));
    }
}

#[test]
fn what_has_no_value_waits_however_many_bytes_do() {
    let mut world = World::new(in_flight(1));
    let more = Bytes::from(vec![0; MAX_WAITING_BYTES + 1]);
    world.fetch("first", Priority::Other);
    assert!(!is_refused(&mut world, &more, Priority::Save));
    for priority in Priority::ALL {
        world.fetch("key", priority);
        assert!(!is_refused(&mut world, &Bytes::new(), priority));
    }
    assert_eq!(world.stats().refused, 0);
}

#[test]
fn values_that_are_no_saves_leave_half_of_the_bytes_to_saves() {
    let mut world = World::new(in_flight(1));
    let quarter = Bytes::from(vec![0; MAX_WAITING_BYTES / 4]);
    world.fetch("first", Priority::Other);
    assert!(!is_refused(&mut world, &quarter, Priority::Other));
    assert!(!is_refused(&mut world, &quarter, Priority::Load));
    assert!(is_refused(&mut world, &quarter, Priority::Other));
    assert!(is_refused(&mut world, &quarter, Priority::Load));
    assert!(!is_refused(&mut world, &quarter, Priority::Save));
    assert!(!is_refused(&mut world, &quarter, Priority::Save));
    assert!(is_refused(&mut world, &quarter, Priority::Save));

    // Also one that is larger than its half.
    let mut world = World::new(in_flight(1));
    let more = Bytes::from(vec![0; MAX_WAITING_BYTES + 1]);
    world.fetch("first", Priority::Other);
    assert!(!is_refused(&mut world, &more, Priority::Other));
    assert!(!is_refused(&mut world, &quarter, Priority::Save));
    assert!(!is_refused(&mut world, &quarter, Priority::Save));
    assert!(is_refused(&mut world, &quarter, Priority::Save));
}
