//! The budget of a storage: who goes first, how many go, who is refused; and that its figures add up.

mod line;
mod patience;
mod places;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};

use bytes::Bytes;
use parking_lot::Mutex;
use session_locker::storage::budget::{Budget, Limits};
use session_locker::storage::memory::MemoryStorage;
use session_locker::storage::overlay::ReadOnlyOverlay;
use session_locker::storage::{
    Fetched, LATENCY_FIRST_US, Operation, Outcome, Priority, ReplySink, Request, RequestErrorKind,
    RequestId, RequestStats, Responder, Revision, Storage, StorageError, open,
};
use world::{Desk, PRIORITIES, Replies, World, absent, commit, in_flight, limit, per_second};

#[test]
fn saves_go_before_loads_and_loads_before_all_else() {
    let mut world = World::new(in_flight(1));
    world.fetch("first", Priority::Other);
    for number in 0..2 {
        for (priority, name) in PRIORITIES {
            world.fetch(&format!("{name} {number}"), priority);
        }
    }
    let mut order = Vec::new();
    while world.desk.len() > 0 {
        order.push(world.desk.answer(absent()));
        world.budget.tick();
    }
    let expected = [
        "first", "save 0", "save 1", "load 0", "load 1", "other 0", "other 1",
    ];
    assert_eq!(order, expected);
}

#[test]
fn of_ten_turns_each_priority_has_one_as_long_as_it_waits() {
    let mut world = World::new(in_flight(1));
    for number in 0..400 {
        for (priority, name) in PRIORITIES {
            world.fetch(&format!("{name} {number}"), priority);
        }
    }
    let mut turns = Vec::new();
    for _ in 0..400 {
        let key = world.desk.answer(absent());
        turns.push(key.split(' ').next().unwrap().to_owned());
        world.budget.tick();
    }
    for ten in turns[1..].windows(10) {
        for (_, name) in PRIORITIES {
            assert!(ten.iter().any(|turn| turn == name), "no {name} in {ten:?}");
        }
        assert!(ten.iter().filter(|turn| *turn == "save").count() >= 7);
    }
}

#[test]
fn no_more_are_in_flight_than_may_be_and_each_answer_makes_room_for_one() {
    let mut world = World::new(in_flight(3));
    for number in 0..7 {
        world.fetch(&number.to_string(), Priority::Load);
    }
    assert_eq!(world.desk.keys(), ["0", "1", "2"]);
    assert!(world.budget.tick(), "four wait");
    assert_eq!(world.desk.len(), 3);

    world.desk.answer(absent());
    world.desk.answer(absent());
    assert_eq!(world.desk.len(), 1, "an answer hands over nothing itself");
    world.budget.tick();
    assert_eq!(world.desk.keys(), ["2", "3", "4"]);

    world.desk.answer(absent());
    world.fetch("7", Priority::Load);
    assert_eq!(world.desk.keys(), ["3", "4", "5"], "nobody jumps the line");
}

#[test]
fn one_that_comes_may_let_another_go_that_has_waited() {
    let mut world = World::new(in_flight(1));
    world.fetch("first", Priority::Other);
    world.fetch("second", Priority::Other);
    world.desk.answer(absent());
    world.fetch("third", Priority::Save);
    assert_eq!(world.desk.answer(absent()), "third");
    assert!(!world.budget.tick(), "nobody waits any more");
    assert_eq!(world.desk.keys(), ["second"]);
}

#[test]
fn in_no_second_go_more_than_may() {
    let mut rng = fastrand::Rng::with_seed(7);
    for most in [1, 2, 5, 30] {
        let mut world = World::new(per_second(most));
        let mut gone_at = Vec::new();
        for number in 0..2000 {
            world.pass(rng.f64() * 0.2);
            for _ in 0..rng.u32(0..12) {
                world.fetch(&number.to_string(), Priority::Load);
            }
            world.budget.tick();
            while world.desk.len() > 0 {
                world.desk.answer(absent());
                gone_at.push(world.now());
            }
        }
        let most = most as usize;
        let mut had_to_wait = 0;
        for second in gone_at.windows(most + 1) {
            assert!(second[most] - second[0] >= 1.0, "{most}: {second:?}");
            had_to_wait += usize::from(second[most] - second[0] < 1.2);
        }
        // The limit is made full use of: no frame here is longer than a fifth of a second.
        let spent = gone_at.len() as f64 / (world.now() - 1000.0);
        assert!(spent >= most as f64 / 1.2, "{spent} of {most} a second");
        assert!(had_to_wait > 0);
    }
}

#[test]
fn both_limits_hold_at_once() {
    let mut world = World::new(Limits {
        per_second: limit(4),
        in_flight: limit(3),
    });
    for number in 0..9 {
        world.fetch(&number.to_string(), Priority::Load);
    }
    assert_eq!(world.desk.len(), 3);
    while world.desk.len() > 0 {
        world.desk.answer(absent());
    }
    world.budget.tick();
    assert_eq!(world.desk.len(), 1, "one more in this second");
    world.pass(1.0);
    world.budget.tick();
    assert_eq!(world.desk.len(), 3);
}

#[test]
fn time_that_runs_backwards_lets_nobody_go() {
    let mut world = World::new(per_second(1));
    world.fetch("first", Priority::Load);
    world.fetch("second", Priority::Load);
    world.pass(-100.0);
    world.budget.tick();
    assert_eq!(world.desk.len(), 1);
    world.pass(101.0);
    world.budget.tick();
    assert_eq!(world.desk.len(), 2);
}

#[test]
fn what_waits_when_the_storage_is_closed_is_answered_as_not_written() {
    let mut world = World::new(in_flight(1));
    for (priority, name) in PRIORITIES {
        world.ask(commit(name, 1), priority);
    }
    let World {
        budget,
        desk,
        replies,
        ..
    } = world;
    drop(budget);
    let answered = replies.0.lock();
    assert_eq!(answered.len(), 2);
    for reply in &*answered {
        let error = reply.result.clone().unwrap_err();
        assert_eq!(error.kind, RequestErrorKind::Backend);
        assert!(error.message.contains("nothing was written"), "{error}");
    }
    assert_eq!(desk.keys(), ["other"], "the engine has what it was given");
}

#[test]
fn without_limits_nothing_waits_and_all_is_counted() {
    let mut world = World::new(Limits::default());
    let bytes = Bytes::from_static(b"123456789");
    let present = Fetched::Present {
        bytes,
        revision: Revision::from_u64(1),
        user_ids: Arc::default(),
    };
    let failed = |kind| Err(StorageError::new(kind, "failed"));
    let erase = Operation::Erase {
        key: "key".into(),
        expected: None,
    };
    let of_user = Operation::KeysOfUser {
        user_id: "user".into(),
    };
    let list = Operation::List {
        prefix: "".into(),
        after: None,
        limit: 1,
    };
    world.fetch("key", Priority::Load);
    world.fetch("key", Priority::Load);
    world.ask(commit("key", 5), Priority::Save);
    world.ask(commit("key", 6), Priority::Save);
    world.ask(erase, Priority::Other);
    world.ask(list, Priority::Other);
    world.ask(of_user, Priority::Other);
    assert_eq!(world.desk.len(), 7);
    assert_eq!(world.stats().in_flight, 7);

    world.desk.answer(Ok(Outcome::Fetched(present)));
    world.desk.answer(absent());
    world.pass(15e-6);
    world
        .desk
        .answer(Ok(Outcome::Committed(Revision::from_u64(2))));
    world.pass(1e-6);
    world.desk.answer(Ok(Outcome::Conflict));
    world.pass(1.0);
    world.desk.answer(failed(RequestErrorKind::Script));
    world.desk.answer(failed(RequestErrorKind::Misc));
    drop(world.desk.0.lock().remove(0));

    let mut expected = RequestStats {
        fetches: 2,
        commits: 2,
        erasures: 1,
        lists: 2,
        conflicts: 1,
        failures_script: 1,
        // One was dropped by the engine.
        failures_misc: 2,
        bytes_read: 9,
        bytes_written: 11,
        most_in_flight: 7,
        ..RequestStats::default()
    };
    expected.latencies[0] = 3;
    expected.latencies[1] = 1;
    // 16 µs doubled 16 times is just more than a second.
    assert_eq!(LATENCY_FIRST_US << 16, 1_048_576);
    expected.latencies[16] = 3;
    assert_eq!(world.stats(), expected);
    assert_eq!(world.replies.0.lock().len(), 7);
}

#[test]
fn a_latency_does_not_count_the_waiting_before_it() {
    let mut world = World::new(in_flight(1));
    world.fetch("first", Priority::Load);
    world.fetch("second", Priority::Load);
    world.pass(100.0);
    world.desk.answer(absent());
    world.budget.tick();
    world.desk.answer(absent());
    let latencies = world.stats().latencies;
    assert_eq!((latencies[0], latencies.iter().sum::<u64>()), (1, 2));
}

#[test]
fn retries_are_counted_as_such() {
    let mut world = World::new(in_flight(1));
    for is_retry in [true, false, true] {
        let sink = Arc::clone(&world.replies) as Arc<dyn ReplySink>;
        world.budget.submit(Request {
            operation: Operation::Fetch { key: "key".into() },
            responder: Responder::new(RequestId(0), sink).with_retry(is_retry),
        });
    }
    world.fetch("key", Priority::Load);
    assert_eq!((world.stats().fetches, world.stats().retries), (4, 2));
}

#[test]
fn in_a_random_run_each_request_is_in_one_place_and_is_answered_once() {
    for seed in 0..40 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut world = World::new(Limits {
            per_second: limit(rng.u32(1..20)),
            in_flight: limit(rng.u32(1..6)),
        });
        let (mut conflicts, mut most) = (0, [0; 3]);
        for _ in 0..2000 {
            match rng.u32(0..10) {
                0..4 => {
                    let (priority, name) = PRIORITIES[rng.usize(0..3)];
                    match rng.bool() {
                        true => world.ask(commit(name, 1), priority),
                        false => world.fetch(name, priority),
                    }
                }
                4..7 if world.desk.len() > 0 => {
                    conflicts += 1;
                    world.desk.answer(Ok(Outcome::Conflict));
                }
                7 => world.pass(rng.f64() * 0.3),
                _ => {
                    world.budget.tick();
                }
            }
            let stats = world.stats();
            let (answered, under_way) = (world.replies.0.lock().len(), world.desk.len());
            assert_eq!(stats.requests(), world.asked);
            assert_eq!(stats.answers(), answered as u64);
            assert_eq!(stats.in_flight, under_way as u64);
            let elsewhere = stats.answers() + stats.refused + stats.in_flight;
            assert_eq!(
                stats.requests(),
                elsewhere + stats.waiting.total(),
                "{stats:?}"
            );
            assert_eq!(stats.conflicts, conflicts);
            let waiting = stats.waiting;
            let now = [waiting.saves, waiting.loads, waiting.others];
            most = std::array::from_fn(|index| most[index].max(now[index]));
        }
        let known = world.stats().most_waiting;
        let known = [known.saves, known.loads, known.others];
        // One that comes may go at once from the line it has stood in.
        assert!((0..3).all(|index| known[index] >= most[index] && known[index] <= most[index] + 1));

        for _ in 0..4000 {
            world.pass(1.0);
            world.budget.tick();
            while world.desk.len() > 0 {
                world.desk.answer(absent());
            }
        }
        let replies = world.replies.0.lock();
        let mut ids: Vec<_> = replies.iter().map(|reply| reply.id.0).collect();
        ids.sort_unstable();
        assert_eq!(ids, (1..=world.asked).collect::<Vec<_>>(), "seed {seed}");
    }
}

#[test]
fn one_tick_ends_also_where_every_answer_comes_at_once() {
    let now = Arc::new(Mutex::new(0.0));
    let told = Arc::clone(&now);
    let engine = Arc::new(MemoryStorage::new());
    let budget = Budget::with_clock(engine, per_second(5000), Arc::new(move || *told.lock()));
    let replies = Arc::new(Replies::default());
    for id in 0..15_000 {
        let sink = Arc::clone(&replies) as Arc<dyn ReplySink>;
        budget.submit(Request {
            operation: Operation::Fetch { key: "key".into() },
            responder: Responder::new(RequestId(id), sink),
        });
    }
    assert_eq!(replies.0.lock().len(), 5000);
    *now.lock() = 1.0;
    let mut ticks = 0;
    while replies.0.lock().len() < 10_000 {
        let before = replies.0.lock().len();
        assert!(budget.tick());
        let went = replies.0.lock().len() - before;
        assert!((1..=256).contains(&went), "{went} went at once");
        ticks += 1;
    }
    assert_eq!(ticks, 20);
}

#[test]
fn a_frames_requests_let_no_more_go_than_one_does() {
    let now = Arc::new(Mutex::new(0.0));
    let told = Arc::clone(&now);
    let engine = Arc::new(MemoryStorage::new());
    let budget = Budget::with_clock(engine, per_second(5000), Arc::new(move || *told.lock()));
    let replies = Arc::new(Replies::default());
    let request = |id| {
        let sink = Arc::clone(&replies) as Arc<dyn ReplySink>;
        Request {
            operation: Operation::Fetch { key: "key".into() },
            responder: Responder::new(RequestId(id), sink),
        }
    };
    budget.submit_all((0..10_000).map(request).collect());
    assert_eq!(replies.0.lock().len(), 5000);
    *now.lock() = 1.0;
    budget.submit_all((0..100).map(request).collect());
    assert_eq!(replies.0.lock().len(), 5256);
}

/// An engine with a thread of its own that answers, and a count of what is in it.
struct Threaded {
    requests: Sender<Request>,
    inside: Arc<AtomicUsize>,
    most_inside: AtomicUsize,
}

impl Threaded {
    fn new() -> Arc<Self> {
        let (requests, submitted) = channel::<Request>();
        let inside = Arc::new(AtomicUsize::new(0));
        let of_thread = Arc::clone(&inside);
        std::thread::spawn(move || {
            for request in submitted {
                of_thread.fetch_sub(1, Ordering::SeqCst);
                request.responder.answer(absent());
            }
        });
        Arc::new(Self {
            requests,
            inside,
            most_inside: AtomicUsize::new(0),
        })
    }
}

impl Storage for Threaded {
    fn submit(&self, request: Request) {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_inside.fetch_max(inside, Ordering::SeqCst);
        self.requests.send(request).expect("the thread lives");
    }
}

#[test]
fn threads_that_ask_and_tick_get_each_answer_once() {
    const THREADS: u64 = 4;
    const REQUESTS: u64 = 3000;
    let engine = Threaded::new();
    let budget = Budget::new(Arc::clone(&engine) as _, in_flight(2));
    let replies = Arc::new(Replies::default());
    let ask_all = |thread: u64| {
        for id in thread * REQUESTS..(thread + 1) * REQUESTS {
            let sink = Arc::clone(&replies) as Arc<dyn ReplySink>;
            let (priority, _) = PRIORITIES[(id % 3) as usize];
            budget.submit(Request {
                operation: Operation::Fetch { key: "key".into() },
                responder: Responder::new(RequestId(id), sink).with_priority(priority),
            });
        }
        while budget.tick() {
            std::thread::yield_now();
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let ask_all = &ask_all;
            scope.spawn(move || ask_all(thread));
        }
    });
    while budget.stats().unwrap().in_flight > 0 {
        std::thread::yield_now();
    }
    // The last answer is delivered just after it is counted.
    let answered = || replies.0.lock().len() as u64;
    while answered() < budget.stats().unwrap().answers() {
        std::thread::yield_now();
    }
    let mut ids: Vec<_> = replies.0.lock().iter().map(|reply| reply.id.0).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..THREADS * REQUESTS).collect::<Vec<_>>());
    assert!(engine.most_inside.load(Ordering::SeqCst) <= 2);
    let stats = budget.stats().unwrap();
    assert_eq!(stats.requests(), THREADS * REQUESTS);
    assert_eq!(stats.waiting.total(), 0);
    assert_eq!(stats.most_in_flight, 2);
}

#[test]
fn a_budget_round_a_budget_keeps_both_and_counts_for_both() {
    let desk = Arc::new(Desk::default());
    let inner = Arc::new(Budget::new(Arc::clone(&desk) as _, in_flight(2)));
    let outer = Budget::new(Arc::clone(&inner) as _, in_flight(3));
    assert_eq!(outer.most_in_flight(), limit(2));
    let replies = Arc::new(Replies::default());
    for id in 0..4 {
        let sink = Arc::clone(&replies) as Arc<dyn ReplySink>;
        outer.submit(Request {
            operation: Operation::Fetch { key: "key".into() },
            responder: Responder::new(RequestId(id), sink),
        });
    }
    let places = |budget: &Budget| {
        let stats = budget.stats().unwrap();
        (stats.answers(), stats.in_flight, stats.waiting.total())
    };
    assert_eq!((places(&outer), places(&inner)), ((0, 3, 1), (0, 2, 1)));
    while desk.len() > 0 {
        desk.answer(absent());
        outer.tick();
    }
    assert_eq!((places(&outer), places(&inner)), ((4, 0, 0), (4, 0, 0)));
    assert_eq!(replies.0.lock().len(), 4);
}

#[test]
fn an_overlay_passes_on_who_goes_first_and_what_is_counted() {
    let world = World::new(in_flight(1));
    let (budget, desk, replies) = (Arc::new(world.budget), world.desk, world.replies);
    let overlay = ReadOnlyOverlay::new(Arc::clone(&budget) as _, None);
    assert_eq!(overlay.most_in_flight(), limit(1));
    for (index, (priority, name)) in PRIORITIES.into_iter().enumerate() {
        let sink = Arc::clone(&replies) as Arc<dyn ReplySink>;
        // A write looks below first.
        overlay.submit(Request {
            operation: commit(name, 1),
            responder: Responder::new(RequestId(index as u64), sink)
                .with_priority(priority)
                .with_retry(true),
        });
    }
    let mut order = Vec::new();
    while desk.len() > 0 {
        order.push(desk.answer(absent()));
        overlay.tick();
    }
    assert_eq!(order, ["other", "save", "load"]);
    let stats = overlay.stats().unwrap();
    assert_eq!((stats.fetches, stats.retries), (3, 3));
}

#[test]
fn limits_are_parameters_of_every_url() {
    let folder = std::env::temp_dir().join(format!("session-locker-budget-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let sqlite = format!("sqlite:{}", folder.join("saves.db").display());
    for (url, most) in [
        ("memory:?requests_in_flight=3", limit(3)),
        ("memory:name?requests_per_second=7", limit(14)),
        (
            "memory:?requests_per_second=1&requests_in_flight=1000000",
            limit(2),
        ),
        ("memory:", None),
        (
            &format!("{sqlite}?requests_in_flight=5&synchronous=normal"),
            limit(5),
        ),
        (
            &format!("{sqlite}?synchronous=normal&requests_per_second=3"),
            limit(6),
        ),
    ] {
        let storage = open(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(storage.most_in_flight(), most, "{url}");
        assert_eq!(storage.stats(), Some(RequestStats::default()), "{url}");
    }
    std::fs::remove_dir_all(&folder).expect("the folder");
    for value in ["0", "", "-1", "+1", "1.5", "1000001", "99999999999"] {
        let error = open(&format!("memory:?requests_in_flight={value}"));
        let message = error.map(|_| ()).unwrap_err().to_string();
        let expected = format!(
            "the parameter \"requests_in_flight\" of `memory:` cannot be {value:?}; it may be a number \
             from 1 to 1000000"
        );
        assert_eq!(message, expected);
    }
    let error = open("memory:?requests=1&requests_in_flight=1");
    let message = error.map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("no parameter \"requests\""), "{message}");
    assert!(message.contains("`requests_per_second`"), "{message}");
}
