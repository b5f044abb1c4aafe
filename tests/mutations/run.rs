//! Runs of the mutated simulation: each is a process with one mutation on, for a range of seeds.

use std::io::{self, Read};
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::mutation::Mutation;

/// A run that takes so long is ended. The simulation's own watchdog is there long before.
const BOUND: Duration = Duration::from_secs(3600);

/// A seed takes a hundredth of a second. One that takes so long, in seconds, stands still.
const STANDSTILL_S: u32 = 20;

/// Of seeds that notice a mutation as the break of another law, so many are looked at.
const OTHERS_MAX: usize = 300;

/// So many runs at once for each core: one that stands still needs none.
const RUNS_PER_CORE: usize = 3;

/// The test that runs the seeds it is told.
const TEST: &str = "the_ten_laws_hold";

/// The compiled copy.
pub struct Simulation {
    pub program: PathBuf,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All seeds passed.
    Passed,
    /// A law was broken.
    Noticed(Notice),
    /// It has failed in another way: what it said.
    Failed(String),
}

/// What the simulation says of a broken law.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub law: u8,
    pub seed: u64,
    /// In the simulation's words, without the law and the seed.
    pub said: String,
}

impl Simulation {
    /// Runs some seeds with a mutation switched on, or with none.
    pub fn run(&self, mutation: Option<usize>, seeds: Range<u64>) -> Outcome {
        match self.output(mutation, &seeds) {
            Ok((true, _)) => Outcome::Passed,
            Ok((false, output)) => match notice(&output) {
                Some(notice) => Outcome::Noticed(notice),
                None => Outcome::Failed(ending(&output)),
            },
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }

    /// The first seed of these that notices the mutation as it should be noticed. Without one, the first that
    /// notices it at all.
    pub fn search(&self, number: usize, mutation: &Mutation, seeds: &[Range<u64>]) -> Outcome {
        let outcomes = seeds
            .iter()
            .map(|seeds| self.search_range(number, mutation, seeds.clone()));
        let mut noticed = outcomes.filter(|outcome| *outcome != Outcome::Passed);
        noticed.next().unwrap_or(Outcome::Passed)
    }

    fn search_range(&self, number: usize, mutation: &Mutation, seeds: Range<u64>) -> Outcome {
        let (mut other, mut from) = (None, seeds.start);
        for _ in 0..OTHERS_MAX {
            match self.first(number, from..seeds.end) {
                Outcome::Noticed(found) if found.law == mutation.law => {
                    return self.not_without(found);
                }
                Outcome::Noticed(found) => {
                    from = found.seed + 1;
                    other.get_or_insert(found);
                }
                outcome => return other.map_or(outcome, Outcome::Noticed),
            }
        }
        other.map_or(Outcome::Passed, Outcome::Noticed)
    }

    /// The first seed of these at which something is noticed.
    fn first(&self, number: usize, seeds: Range<u64>) -> Outcome {
        if seeds.is_empty() {
            return Outcome::Passed;
        }
        let mut first = self.run(Some(number), seeds.clone());
        // Several seeds run at once, and not the first of them needs to be the first to fail.
        while let Outcome::Noticed(found) = &first
            && found.seed > seeds.start
        {
            match self.run(Some(number), seeds.start..found.seed) {
                Outcome::Passed => break,
                earlier => first = earlier,
            }
        }
        first
    }

    /// What is found without a mutation too says nothing of the mutation.
    fn not_without(&self, found: Notice) -> Outcome {
        match self.run(None, found.seed..found.seed + 1) {
            Outcome::Passed => Outcome::Noticed(found),
            _ => Outcome::Failed(format!("seed {} fails without a mutation too", found.seed)),
        }
    }

    /// Whether all was well, and what was said.
    fn output(&self, mutation: Option<usize>, seeds: &Range<u64>) -> io::Result<(bool, String)> {
        let (mut reader, writer) = io::pipe()?;
        let mut command = Command::new(&self.program);
        command
            .env(
                "SIMULATION_SEEDS",
                format!("{}..{}", seeds.start, seeds.end),
            )
            .env(
                "SIMULATION_MUTATION",
                mutation.map_or(String::new(), |number| number.to_string()),
            )
            .env("SIMULATION_STANDSTILL", STANDSTILL_S.to_string())
            .env("RUST_BACKTRACE", "0")
            .args([TEST, "--exact", "--nocapture"])
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        let mut child = command.spawn()?;
        // Else the pipe would not end with the child.
        drop(command);
        let (done, is_done) = mpsc::channel();
        let listener = thread::spawn(move || {
            let mut output = Vec::new();
            let read = reader.read_to_end(&mut output);
            let _ = done.send(());
            read.map(|_| String::from_utf8_lossy(&output).into_owned())
        });
        if is_done.recv_timeout(BOUND).is_err() {
            child.kill()?;
        }
        let status = child.wait()?;
        let output = listener.join().expect("a thread that does not panic")?;
        Ok((status.success(), output))
    }
}

/// Does the same with each, a few at a time; the answers are in the order of the items.
pub fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = Mutex::new(items.iter().enumerate());
    let done = Mutex::new(Vec::new());
    let workers = RUNS_PER_CORE * thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((at, item)) = take(&next) {
                    let result = work(item);
                    done.lock().expect("no panic").push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no panic");
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

fn take<T>(from: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    from.lock().expect("no panic").next()
}

/// The first broken law that a run has told of.
pub fn notice(output: &str) -> Option<Notice> {
    output.lines().find_map(broken_law)
}

/// Reads `law 3: what is wrong (seed 12, step 40)`, wherever it begins in a line.
fn broken_law(line: &str) -> Option<Notice> {
    let (_, rest) = line.split_once("law ")?;
    let (law, rest) = rest.split_once(": ")?;
    let (said, rest) = rest.rsplit_once(" (seed ")?;
    let seed = rest.split([',', ')', ';']).next()?;
    Some(Notice {
        law: law.parse().ok()?,
        seed: seed.parse().ok()?,
        said: said.to_owned(),
    })
}

/// The last lines of a run that has failed in no way that is known.
fn ending(output: &str) -> String {
    let lines: Vec<_> = output.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
