//! The simulated world: several servers, each with its sessions, purchases and senders, on one storage
//! that delays, loses and reorders, in virtual time and from one seed. The ten laws of
//! `docs/protocol.md`, section 4, are assertions over it.
//!
//! ```text
//!   runner ── seeds over the cores ──► simulation ── steps ──► host ──► server: the library, through
//!                                          │                                │   one of its APIs
//!                                        plan: what a seed is like          │ hooks, answers, events
//!                                                                           ▼
//!            laws ◄── each write ── storage ◄── requests ─────────────── game ──► ledger
//! ```
//!
//! `make simulate SEEDS=n` runs n seeds; `SIMULATION_SEEDS=a..b` and `SIMULATION_STEPS=n` choose which and
//! how long. `SIMULATION_SEED=n` shows the history of one seed, `SIMULATION_HISTORY=path` writes all of
//! it there. A broken law is told in a line that begins with `law`, its number and a colon.

mod chance;
mod clock;
mod document;
mod game;
mod history;
mod host;
mod ids;
mod inside;
mod kept;
mod laws;
mod ledger;
mod panics;
mod plan;
mod runner;
mod server;
mod simulation;
mod storage;
mod wind_up;
mod world;

use std::ops::Range;

use kept::KEPT;

/// Runs of so many steps are long enough for everything to happen.
const STEPS_FOR_ALL: u64 = 1_000_000;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is a number, not {text}")))
}

/// What plain `cargo test` runs is a handful.
fn steps() -> u64 {
    number("SIMULATION_STEPS").unwrap_or(400)
}

fn seeds() -> Range<u64> {
    if let Some(seed) = number("SIMULATION_SEED") {
        return seed..seed + 1;
    }
    let text = std::env::var("SIMULATION_SEEDS").unwrap_or("0..60".to_owned());
    let ends = text
        .split_once("..")
        .map(|(first, end)| (first.parse(), end.parse()));
    match ends {
        Some((Ok(first), Ok(end))) => first..end,
        _ => panic!("SIMULATION_SEEDS is first..end, not {text}"),
    }
}

#[test]
fn the_ten_laws_hold() {
    let (seeds, steps) = (seeds(), steps());
    let is_one = number("SIMULATION_SEED");
    let totals = runner::run_all(seeds, steps);
    println!("{}", totals.line());
    if let Some(seed) = totals.failed.first().copied().or(is_one) {
        println!("{}", runner::explain(seed, steps));
    }
    assert_eq!(
        totals.failed,
        [] as [u64; 0],
        "seeds that have broken a law"
    );
    if totals.counts.steps >= STEPS_FOR_ALL {
        for (name, count) in totals.counts.named() {
            assert!(count > 0, "in all these seeds there were no {name}");
        }
    }
}

#[test]
fn seeds_that_have_found_something_find_nothing_any_more() {
    for (seed, steps, what) in KEPT {
        let ended = runner::run(seed, steps, 0);
        assert_eq!(ended.broken, None, "seed {seed}: {what}");
    }
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 1_000_000..1_000_024 {
        let histories = [(); 2].map(|()| runner::run(seed, 300, usize::MAX).history);
        let mut lines = histories[0].lines().zip(histories[1].lines());
        let differing = lines.find(|(first, second)| first != second);
        assert_eq!(differing, None, "seed {seed}");
        assert_eq!(histories[0].len(), histories[1].len(), "seed {seed}");
    }
}
