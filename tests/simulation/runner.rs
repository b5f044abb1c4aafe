//! Runs seeds over the cores, and says what came of them.

use std::fmt::Write as _;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::history::History;
use crate::ledger::{Broken, Counts};
use crate::panics;
use crate::server::{self, HOOK_PANIC};
use crate::simulation::{Ended, Simulation};
use crate::world::World;

/// A seed that takes longer, in seconds, has come to a standstill; `SIMULATION_STANDSTILL` says otherwise.
const STANDSTILL_S: u64 = 60;

/// How many lines of history are shown.
const SHOWN: usize = 400;

/// Of seeds that failed, this many are looked for before the run is given up.
const FAILURES_MAX: usize = 3;

/// What came of many seeds.
#[derive(Debug, Default)]
pub struct Totals {
    pub seeds: u64,
    pub counts: Counts,
    /// The seeds that broke a law.
    pub failed: Vec<u64>,
    pub seconds: f64,
}

/// Runs one seed; a panic breaks it too: of the library's, or of a host's that cannot be answered so.
pub fn run(seed: u64, steps: u64, lines: usize) -> Ended {
    panics::look_for();
    server::forget_panic();
    let mut world = None;
    let run = || {
        let simulation = Simulation::new(seed, History::of(lines));
        world = Some(Arc::clone(&simulation.world));
        simulation.run(seed, steps, lines)
    };
    let mut ended = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied());
        let text = text.unwrap_or("without words");
        // The library has to catch those of hooks.
        let law = if text == HOOK_PANIC { 9 } else { 0 };
        let what = format!("there was a panic: {text}");
        let step = |world: &Arc<World>| world.step.load(Ordering::Relaxed);
        Ended {
            seed,
            counts: Counts::default(),
            broken: Some((Broken { law, what }, world.as_ref().map_or(0, step))),
            history: world
                .as_ref()
                .map_or_else(String::new, |world| world.history(lines)),
        }
    });
    if ended.broken.is_none() && panics::was_seen() {
        let what = "there was a panic in a hook, which nobody meant".to_owned();
        ended.broken = Some((Broken { law: 0, what }, steps));
    }
    ended
}

/// Runs all seeds of a range, and prints how each that fails has come to that.
pub fn run_all(seeds: Range<u64>, steps: u64) -> Totals {
    let begun = Instant::now();
    let totals = Mutex::new(Totals::default());
    let next = AtomicU64::new(seeds.start);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let watch = Watch::new(cores);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores)
            .map(|core| {
                let (watch, next, totals, end) = (&watch, &next, &totals, seeds.end);
                scope.spawn(move || {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= end {
                            break watch.leave(core);
                        }
                        watch.begin(core, seed);
                        let ended = run(seed, steps, 0);
                        let mut totals = totals.lock();
                        totals.add(&ended);
                        if totals.failed.len() >= FAILURES_MAX {
                            next.store(end, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        let looking_on = scope.spawn(|| watch.look_on());
        for worker in workers {
            worker.join().expect("a worker that lives");
        }
        watch.end();
        // Else the scope waits for it, in a way that ThreadSanitizer does not see.
        let _ = looking_on.join();
    });
    let mut totals = totals.into_inner();
    totals.seconds = begun.elapsed().as_secs_f64();
    totals.failed.sort_unstable();
    let (run, asked) = (totals.seeds, seeds.end.saturating_sub(seeds.start));
    assert!(asked > 0, "there are no seeds in {seeds:?}");
    assert!(
        run == asked || !totals.failed.is_empty(),
        "{run} seeds were run"
    );
    totals
}

/// Runs a seed that has failed once more, and says what has happened. It must fail in the same way.
pub fn explain(seed: u64, steps: u64) -> String {
    let first = run(seed, steps, 0);
    let path = std::env::var("SIMULATION_HISTORY").ok();
    let lines = match path {
        Some(_) => usize::MAX,
        None => SHOWN,
    };
    let again = run(seed, steps, lines);
    assert_eq!(first.broken, again.broken, "seed {seed} does not replay");
    let mut text = match path {
        Some(path) => {
            std::fs::write(&path, &again.history).expect("SIMULATION_HISTORY can be written");
            format!("the whole history is in {path}\n")
        }
        None => again.history,
    };
    if let Some((Broken { law, what }, step)) = again.broken {
        let _ = write!(
            text,
            "law {law}: {what} (seed {seed}, step {step}; SIMULATION_SEED={seed} \
             SIMULATION_STEPS={steps} shows it again)"
        );
    }
    text
}

impl Totals {
    fn add(&mut self, ended: &Ended) {
        self.seeds += 1;
        self.counts.add(&ended.counts);
        if let Some((Broken { law, what }, step)) = &ended.broken {
            eprintln!("law {law}: {what} (seed {}, step {step})", ended.seed);
            self.failed.push(ended.seed);
        }
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let steps = self.counts.steps;
        let rate = steps as f64 / self.seconds.max(1e-9);
        let mut line = format!(
            "simulation: {} seeds, {steps} steps, {rate:.0} steps a second",
            self.seeds
        );
        for (name, count) in self.counts.named() {
            let _ = write!(line, ", {count} {name}");
        }
        line
    }
}

/// Looks on from outside whether each core still gets somewhere: a hook that calls back while a lock is
/// held would stand still for ever.
struct Watch {
    standstill: Duration,
    /// What each core is at, and since when; none for one that has nothing left.
    at: Mutex<Vec<Option<(u64, Instant)>>>,
    is_over: Mutex<bool>,
    over: Condvar,
}

impl Watch {
    fn new(cores: usize) -> Self {
        let seconds = crate::number("SIMULATION_STANDSTILL").unwrap_or(STANDSTILL_S);
        Self {
            standstill: Duration::from_secs(seconds),
            at: Mutex::new(vec![None; cores]),
            is_over: Mutex::new(false),
            over: Condvar::new(),
        }
    }

    fn begin(&self, core: usize, seed: u64) {
        self.at.lock()[core] = Some((seed, Instant::now()));
    }

    fn leave(&self, core: usize) {
        self.at.lock()[core] = None;
    }

    fn end(&self) {
        *self.is_over.lock() = true;
        self.over.notify_all();
    }

    fn look_on(&self) {
        let mut is_over = self.is_over.lock();
        while !*is_over {
            self.over.wait_for(&mut is_over, Duration::from_secs(1));
            let at = self.at.lock().clone();
            for (seed, since) in at.into_iter().flatten() {
                if since.elapsed() > self.standstill {
                    eprintln!(
                        "law 10: nothing moves any more: a lock is held, or a loop has no end (seed {seed})"
                    );
                    std::process::abort();
                }
            }
        }
    }
}
