//! The figures that no sampling harness gives: worst frames, memory, throughput under load.
//! Prints a table. `make bench` runs it after the sampled benchmarks.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use session_locker::easy::{EasyStore, Profile};
use session_locker::locker::Config;
use session_locker::remote_change::{RemoteChangeSender, SenderOptions};
use session_locker::storage::memory::MemoryStorage;
use session_locker::storage::{self, Storage};
use support::{Frames, c_store, load, overwrite, spec, store};

/// Counts the bytes that are allocated.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands everything to the system's allocator, and counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as promised to this function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as promised to this function.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn memory() -> Arc<dyn Storage> {
    Arc::new(MemoryStorage::new())
}

fn main() {
    // A test run builds and starts benchmarks too; they have nothing to say then.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    if let Ok(path) = std::env::var("SESSION_LOCKER_BENCH_WRITER") {
        return second_process(&path);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("\n{cores} cores\n");
    println!("{:<64} {:>16}", "what", "measured");
    for bytes in [1_000, 50_000] {
        cycle("memory:", &memory(), bytes, 1);
        cycle("memory:", &memory(), bytes, 64);
    }
    autosave();
    memory_of_idle_sessions();
    remote_changes(10);
    remote_changes(1);
    two_readers();
    sqlite();
}

fn row(what: &str, measured: &str) {
    println!("{what:<64} {measured:>16}");
}

/// Start, loaded, change, force save, acknowledged, end, released; on documents that are there.
fn cycle(url: &str, storage: &Arc<dyn Storage>, bytes: usize, at_once: usize) {
    let frames = Frames::new();
    let store = store(storage, bytes, Config::default());
    let keys = 256.max(at_once);
    let run = |keys: std::ops::Range<usize>| {
        let start = |key| {
            store
                .start_session(&format!("Player_{key}"), &[])
                .expect("a session")
        };
        let profiles: Vec<Profile> = keys.map(start).collect();
        let update = || store.update(frames.now()).expect("an update");
        while !profiles.iter().all(Profile::is_loaded) {
            update();
        }
        for profile in &profiles {
            profile
                .save_data()
                .write(|data| data.add_i64("/Gold", 10))
                .expect("a write");
            profile.mark_force_save().expect("a save");
        }
        let wait = |profile: &Profile| profile.when_changes_saved(None).expect("a wait");
        let waits: Vec<_> = profiles.iter().map(wait).collect();
        while !waits.iter().all(|wait| wait.is_saved()) {
            update();
        }
        profiles
            .iter()
            .for_each(|profile| profile.end_session().expect("an end"));
        while !profiles.iter().all(Profile::is_finished) {
            update();
        }
        profiles
            .iter()
            .for_each(|profile| profile.destroy().expect("an end"));
        store.poll_events(usize::MAX);
    };
    let round = || {
        (0..keys)
            .step_by(at_once)
            .for_each(|first| run(first..first + at_once))
    };
    round();
    let begun = Instant::now();
    let mut rounds = 0;
    while begun.elapsed() < Duration::from_secs(2) {
        round();
        rounds += 1;
    }
    let rate = (rounds * keys.div_ceil(at_once) * at_once) as f64 / begun.elapsed().as_secs_f64();
    let kilobytes = bytes / 1000;
    let what = format!("cycle, {url} {kilobytes} kB, {at_once} at once");
    row(&what, &format!("{rate:.0} sessions/s"));
}

/// Ten thousand sessions that were started in one frame, over one period of autosaves.
fn autosave() {
    let (storage, frames) = (memory(), Frames::new());
    let store = store(&storage, 1_000, Config::default());
    let _profiles = load(&store, &frames, 10_000);
    let start = frames.now();
    let mut worst = Duration::ZERO;
    let mut saved = 0;
    // At sixty frames a second, on virtual time.
    for frame in 0..60 * 310 {
        let begun = Instant::now();
        store
            .update(start + f64::from(frame) / 60.0)
            .expect("an update");
        worst = worst.max(begun.elapsed());
        saved += store.poll_events(usize::MAX).len();
    }
    assert!(saved >= 10_000, "every session saves once a period");
    let what = "autosave of 10 000 sessions started in one frame, worst frame";
    row(what, &format!("{:.3} ms", worst.as_secs_f64() * 1e3));
    let at_once = forced(&store, &_profiles, start + 400.0);
    row(
        "forced save of 10 000 sessions in one frame, worst frame",
        &format!("{:.3} ms", at_once),
    );
}

fn forced(store: &EasyStore, profiles: &[Profile], start: f64) -> f64 {
    let wait = |profile: &Profile| {
        profile.mark_force_save().expect("a save");
        profile.when_changes_saved(None).expect("a wait")
    };
    let waits: Vec<_> = profiles.iter().map(wait).collect();
    let (mut worst, mut frame) = (Duration::ZERO, 0);
    while !waits.iter().all(|wait| wait.is_saved()) {
        let begun = Instant::now();
        store
            .update(start + f64::from(frame) / 60.0)
            .expect("an update");
        worst = worst.max(begun.elapsed());
        frame += 1;
        store.poll_events(usize::MAX);
    }
    worst.as_secs_f64() * 1e3
}

fn memory_of_idle_sessions() {
    const COUNT: usize = 10_000;
    let (storage, frames) = (memory(), Frames::new());
    let store = store(&storage, 1_100, Config::default());
    let before = ALLOCATED.load(Ordering::Relaxed);
    let profiles = load(&store, &frames, COUNT);
    store.poll_events(usize::MAX);
    let each = (ALLOCATED.load(Ordering::Relaxed) - before) / COUNT;
    row(
        "memory of an idle session, 1.1 kB, memory: included",
        &format!("{each} bytes"),
    );
    drop(profiles);
}

/// Changes to a thousand free keys with small documents, whose inboxes somebody empties.
fn remote_changes(to_a_key: usize) {
    let storage = memory();
    let key = |number: usize| format!("Player_{number}");
    let keys: Vec<String> = (0..1_000).map(key).collect();
    let spec = spec(&storage);
    let options = SenderOptions {
        create_if_missing: true,
        ..SenderOptions::new(7)
    };
    let sender = RemoteChangeSender::new(&spec, options).expect("a sender");
    let frames = Frames::new();
    let (mut sent, mut took) = (0, Duration::ZERO);
    while took < Duration::from_secs(2) {
        keys.iter().for_each(|key| overwrite(&*storage, key));
        let begun = Instant::now();
        for key in &keys {
            for _ in 0..to_a_key {
                let change = r#"[{"K":"give_gold","gold":100}]"#;
                sender.send(key, change, None, None).expect("a send");
            }
        }
        while sender.is_sending().expect("an answer") {
            sender.update(frames.now()).expect("an update");
        }
        took += begun.elapsed();
        sent += keys.len() * to_a_key;
    }
    let rate = sent as f64 / took.as_secs_f64();
    row(
        &format!("remote changes, memory: a thousand keys, {to_a_key} to a key"),
        &format!("{rate:.0} /s"),
    );
}

/// Two threads, each reading its own profile's field through the C ABI.
fn two_readers() {
    let (first, second) = (c_store::loaded_data(), c_store::loaded_data());
    let read = |data| {
        const ROUNDS: u32 = 2_000_000;
        let begun = Instant::now();
        (0..ROUNDS).for_each(|_| assert_eq!(black_box(c_store::read_gold(data)), 1250));
        begun.elapsed() / ROUNDS
    };
    let alone = read(first).as_nanos();
    row(
        "field read through the C ABI, one thread",
        &format!("{alone} ns"),
    );
    let both = std::thread::scope(|scope| {
        let one = scope.spawn(|| read(first));
        let other = scope.spawn(|| read(second));
        let (one, other) = (one.join(), other.join());
        one.expect("a reader")
            .max(other.expect("a reader"))
            .as_nanos()
    });
    row(
        "  two threads at two profiles of one store",
        &format!("{both} ns"),
    );
}

fn sqlite() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    let open = |name: &str| storage::open(&url(name)).expect("a database");
    cycle("sqlite:", &open("cycle1.db"), 1_000, 64);
    cycle("sqlite:", &open("cycle1000.db"), 1_000, 1_000);
    cycle("sqlite:", &open("cycle50.db"), 50_000, 64);

    let (rate, worst_frame, worst_wait) = saves(&open("saves.db"), "Player_");
    row(
        "saves, sqlite: 1 kB, a thousand sessions",
        &format!("{rate:.0} /s"),
    );
    row("  worst frame meanwhile", &format!("{worst_frame:.3} ms"));
    row("  longest wait for a save", &format!("{worst_wait:.1} ms"));

    let this = std::env::current_exe().expect("this program");
    let mut other = std::process::Command::new(this)
        .arg("--bench")
        .env("SESSION_LOCKER_BENCH_WRITER", url("both.db"))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("a second process");
    let (rate, worst_frame, worst_wait) = saves(&open("both.db"), "First_");
    let output = std::mem::take(&mut other.stdout).expect("its output");
    let theirs = std::io::read_to_string(output).expect("its figures");
    other.wait().expect("its end");
    row(
        "two processes on one file, first: saves",
        &format!("{rate:.0} /s"),
    );
    row("  worst frame meanwhile", &format!("{worst_frame:.3} ms"));
    row("  longest wait for a save", &format!("{worst_wait:.1} ms"));
    print!("{theirs}");
}

fn second_process(url: &str) {
    let storage = storage::open(url).expect("a database");
    let (rate, worst_frame, worst_wait) = saves(&storage, "Second_");
    row(
        "two processes on one file, second: saves",
        &format!("{rate:.0} /s"),
    );
    row("  worst frame meanwhile", &format!("{worst_frame:.3} ms"));
    row("  longest wait for a save", &format!("{worst_wait:.1} ms"));
}

/// A thousand sessions that save as soon as their last save is acknowledged, for three seconds:
/// saves a second, the worst frame and the longest wait for a save in milliseconds.
fn saves(storage: &Arc<dyn Storage>, prefix: &str) -> (f64, f64, f64) {
    let frames = Frames::new();
    let store = store(storage, 1_000, Config::default());
    let start = |number| {
        store
            .start_session(&format!("{prefix}{number}"), &[])
            .expect("a session")
    };
    let profiles: Vec<Profile> = (0..1_000).map(start).collect();
    while !profiles.iter().all(Profile::is_loaded) {
        store.update(frames.now()).expect("an update");
        std::thread::sleep(Duration::from_micros(200));
    }
    let save = |profile: &Profile| {
        profile
            .save_data()
            .write(|data| data.add_i64("/Gold", 1))
            .expect("a write");
        profile.mark_force_save().expect("a save");
        (
            profile.when_changes_saved(None).expect("a wait"),
            Instant::now(),
        )
    };
    let mut waits: Vec<_> = profiles.iter().map(save).collect();
    let (mut saved, mut worst_frame, mut worst_wait) = (0_u32, Duration::ZERO, Duration::ZERO);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        let frame = Instant::now();
        store.update(frames.now()).expect("an update");
        worst_frame = worst_frame.max(frame.elapsed());
        for (profile, wait) in profiles.iter().zip(&mut waits) {
            if wait.0.is_saved() {
                saved += 1;
                worst_wait = worst_wait.max(wait.1.elapsed());
                *wait = save(profile);
            }
        }
        store.poll_events(usize::MAX);
        std::thread::sleep(Duration::from_micros(500));
    }
    let rate = f64::from(saved) / begun.elapsed().as_secs_f64();
    profiles
        .iter()
        .for_each(|profile| profile.end_session().expect("an end"));
    store.drain(30.0).expect("an end");
    (
        rate,
        worst_frame.as_secs_f64() * 1e3,
        worst_wait.as_secs_f64() * 1e3,
    )
}
