//! Whether a frame ever waits for the network: ten thousand sessions on a server that is far away, on one
//! that is down, that has fallen silent, and that comes back. `make bench-frames` starts the servers and
//! runs it; an engine whose server is not there is left out.
//!
//! A frame is an update of the store, its events, and what the game does with some of its players. The
//! machine may take the processor from it at any time, all the more as servers, the network and the
//! engine's threads share it; so beside the time on the clock stands what of it the frame has used itself,
//! and whether it has ever gone to sleep. A frame that waits for somebody sleeps, and one that does too much
//! uses too much.
//!
//! A virtual machine's processor can be taken from it too, and what is used then is not only its own. So after
//! each frame as much is done that asks nothing of anybody: documents of its own, as large and as many, are
//! copied and added up. What the machine makes of that stands beside it.

#[path = "../../tests/conformance/proxy.rs"]
#[allow(dead_code)]
mod proxy;
#[path = "../support/mod.rs"]
mod support;
mod thread_usage;

use std::env;
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use proxy::{Proxy, Way};
use session_locker::easy::{EasyStore, Profile, ProfileEvent, Status};
use session_locker::locker::Config;
use session_locker::storage;
use support::{Frames, store};
use thread_usage::Usage;

const SESSIONS: usize = 10_000;
const DOCUMENT_BYTES: usize = 1_000;
/// Thirty times as often as by default.
const SAVE_PERIOD_S: f64 = 10.0;
/// How many players do something in a frame.
const BUSY_PLAYERS: usize = 20;
const FRAME: Duration = Duration::from_nanos(1_000_000_000 / 60);
/// How long the network takes there, and back.
const DISTANCE: Duration = Duration::from_millis(100);
/// Longer than the engines keep what they cannot send, and than they wait for an answer.
const PHASE: Duration = Duration::from_secs(25);
const PATIENCE: Duration = Duration::from_secs(300);
const LIMIT: Duration = Duration::from_millis(1);

fn main() {
    // A test run builds and starts benchmarks too; they have nothing to say then.
    if env::args().any(|argument| argument == "--test") {
        return;
    }
    println!(
        "\n{SESSIONS} sessions of 1 kB, each saved every {SAVE_PERIOD_S} s, 60 frames a second; in ms\n"
    );
    println!(
        "{:<34} {:>7} {:>7} {:>7} {:>6} | {:>7} {:>6} {:>6} | {:>7} | {:>7} {:>7} {:>6} | {:>7} {:>6}",
        "frames",
        "median",
        "99 %",
        "longest",
        "over 1",
        "itself",
        "over 1",
        "asleep",
        "saves/s",
        "copies",
        "longest",
        "over 1",
        "itself",
        "over 1"
    );
    for (name, variable) in [
        ("PostgreSQL", "SESSION_LOCKER_TEST_POSTGRES"),
        ("Redis", "SESSION_LOCKER_TEST_REDIS"),
    ] {
        match env::var(variable) {
            Ok(url) => run(name, &url),
            Err(_) => println!("{name}: no server"),
        }
    }
    println!(
        "\nover 1: frames that took more than a millisecond on the clock; itself: the most that a frame has used of\n\
         a processor, and how many have used more than a millisecond; asleep: frames in which the thread gave its\n\
         processor away; copies: the same of {COPIES} documents that are copied, which asks nothing of anybody"
    );
}

fn run(name: &str, url: &str) {
    let address = address(url);
    let proxy = Proxy::new(address, DISTANCE);
    let separator = if url.contains('?') { '&' } else { '?' };
    let names = if name == "Redis" { "prefix" } else { "table" };
    let through = format!(
        "{}{separator}{names}=bench_frames",
        url.replace(address, &proxy.address())
    );
    let storage = storage::open(&through).expect("the server is there");
    let config = Config {
        maintain_session_period: SAVE_PERIOD_S,
        ..Config::default()
    };
    let store = store(&storage, DOCUMENT_BYTES, config);
    let frames = Frames::new();
    let profiles = load(&store, &frames);
    let mut game = Game {
        copies: Copies::new(),
        store,
        profiles,
        frames,
        next: 0,
    };
    // The first saves of all are spread over the period by then.
    game.play(Duration::from_secs_f64(SAVE_PERIOD_S));
    game.report(name, "answers after 200 ms", PHASE);
    proxy.set(Way::Refuse);
    proxy.cut();
    game.report(name, "is down", PHASE);
    proxy.set(Way::Open);
    game.report(name, "is back", PHASE);
    proxy.set(Way::Silent);
    game.report(name, "has fallen silent", PHASE * 2);
    proxy.cut();
    proxy.set(Way::Open);
    game.report(name, "is back again", PHASE);
}

/// Starts all sessions, and waits until they are loaded, in frames: the machine has more to do than that.
fn load(store: &EasyStore, frames: &Frames) -> Vec<Profile> {
    let start = |number| store.start_session(&format!("Player_{number}"), &[]);
    let profiles: Vec<Profile> = (0..SESSIONS)
        .map(|number| start(number).expect("a session"))
        .collect();
    let begun = Instant::now();
    while !profiles.iter().all(Profile::is_loaded) {
        assert!(begun.elapsed() < PATIENCE, "the sessions are not loaded");
        store.update(frames.now()).expect("an update");
        store.poll_events(usize::MAX);
        thread::sleep(FRAME);
    }
    profiles
}

/// What stands between the login and the database.
fn address(url: &str) -> &str {
    let (_, rest) = url.split_once("://").expect("a URL");
    let rest = rest.split_once('@').map_or(rest, |(_, rest)| rest);
    rest.split(['/', '?']).next().expect("an address")
}

struct Game {
    copies: Copies,
    store: EasyStore,
    profiles: Vec<Profile>,
    frames: Frames,
    next: usize,
}

/// A frame, or the copies after it.
struct Measured {
    took: Duration,
    used: Duration,
    slept: bool,
}

impl Game {
    /// One frame, and how many saves it heard of.
    fn frame(&mut self) -> usize {
        for _ in 0..BUSY_PLAYERS {
            let profile = &self.profiles[self.next % self.profiles.len()];
            self.next += 1;
            let added = profile
                .save_data()
                .write(|data| data.add_i64("/Gold", 1).map(drop));
            added.expect("a number is there");
        }
        self.store.update(self.frames.now()).expect("an update");
        let events = self.store.poll_events(usize::MAX);
        let saves = events
            .iter()
            .filter(|event| matches!(event.event, ProfileEvent::Lifecycle(Status::Saved)));
        saves.count()
    }

    /// Frames for as long as this, as a game has them, and the copies between them.
    fn play(&mut self, time: Duration) -> (Figures, Figures, usize) {
        let (begun, mut saves) = (Instant::now(), 0);
        let (mut frames, mut copies) = (Vec::new(), Vec::new());
        while begun.elapsed() < time {
            let frame_begun = Instant::now();
            frames.push(measure(|| saves += self.frame()));
            copies.push(measure(|| self.copies.make()));
            thread::sleep(FRAME.saturating_sub(frame_begun.elapsed()));
        }
        (Figures::of(&frames), Figures::of(&copies), saves)
    }

    fn report(&mut self, name: &str, what: &str, time: Duration) {
        let (frames, copies, saves) = self.play(time);
        println!(
            "{:<34} {:>7.3} {:>7.3} {:>7.3} {:>6} | {:>7.3} {:>6} {:>6} | {:>7.0} | {:>7.3} {:>7.3} {:>6} | {:>7.3} {:>6}",
            format!("{name} {what}"),
            frames.part(0.5),
            frames.part(0.99),
            frames.part(1.0),
            frames.over,
            milliseconds(frames.most_used),
            frames.used_over,
            frames.slept,
            saves as f64 / time.as_secs_f64(),
            copies.part(0.5),
            copies.part(1.0),
            copies.over,
            milliseconds(copies.most_used),
            copies.used_over,
        );
    }
}

fn measure(work: impl FnOnce()) -> Measured {
    let (before, at) = (Usage::now(), Instant::now());
    work();
    let (took, after) = (at.elapsed(), Usage::now());
    Measured {
        took,
        used: after.processor - before.processor,
        slept: after.sleeps > before.sleeps,
    }
}

/// How many documents are copied after a frame: which takes about as long.
const COPIES: usize = 400;

/// As many documents as there are sessions.
struct Copies {
    documents: Vec<Vec<u8>>,
    next: usize,
}

impl Copies {
    fn new() -> Self {
        let document = |number: usize| vec![number as u8; DOCUMENT_BYTES];
        Self {
            documents: (0..SESSIONS).map(document).collect(),
            next: 0,
        }
    }

    /// Copies some, one here and one there.
    fn make(&mut self) {
        for _ in 0..COPIES {
            self.next = (self.next + 7919) % SESSIONS;
            let copy = self.documents[self.next].clone();
            black_box(copy.iter().map(|byte| u64::from(*byte)).sum::<u64>());
            black_box(copy);
        }
    }
}

/// What came of many measurements.
struct Figures {
    /// In order.
    took: Vec<Duration>,
    over: usize,
    most_used: Duration,
    used_over: usize,
    slept: usize,
}

impl Figures {
    fn of(measured: &[Measured]) -> Self {
        let mut took: Vec<Duration> = measured.iter().map(|one| one.took).collect();
        took.sort();
        let used = || measured.iter().map(|one| one.used);
        Self {
            over: took.iter().filter(|took| **took > LIMIT).count(),
            most_used: used().max().unwrap_or_default(),
            used_over: used().filter(|used| *used > LIMIT).count(),
            slept: measured.iter().filter(|one| one.slept).count(),
            took,
        }
    }

    /// The longest of so large a part, in milliseconds.
    fn part(&self, part: f64) -> f64 {
        milliseconds(self.took[((self.took.len() - 1) as f64 * part) as usize])
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
