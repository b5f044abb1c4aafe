//! Proof that the simulation would notice: for each law, mistakes that somebody could make in the library,
//! and the first seed at which the simulation finds them.
//!
//! The library itself has no switches for that. A copy of it is made below the target directory, with all
//! the mistakes of `list/` in it, and compiled once; each run of that copy's simulation has one of them
//! switched on. What is found is in `found.md`, which `make mutations WRITE=1` writes anew.

mod copy;
mod found;
#[path = "../simulation/kept.rs"]
mod kept;
mod list;
mod mutation;
mod run;
mod tool;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::iter;
use std::ops::Range;
use std::path::Path;

use kept::KEPT;
use mutation::Mutation;
use run::{Outcome, Simulation};

/// In the copy like the others, to see that what finds them does not find everything.
const CHANGES_NOTHING: Mutation = Mutation {
    law: 1,
    name: "does what it should",
    file: "src/locker/lease.rs",
    original: "unchanged_for >= expiry",
    broken: "unchanged_for >= expiry",
};

/// So many seeds are shown not to notice that.
const SEEDS_OF_NOTHING: Range<u64> = 0..50;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The seeds in which all must be found: those of `make test`, which says them here as it does there, and
/// last those that it keeps.
fn seeds() -> Vec<Range<u64>> {
    let text = env::var("SIMULATION_SEEDS").expect("the seeds: make mutations");
    let (first, end) = text.split_once("..").expect("first..end");
    let number = |text: &str| text.parse().expect("a number");
    let kept = KEPT.map(|(seed, ..)| seed..seed + 1);
    iter::once(number(first)..number(end)).chain(kept).collect()
}

/// Where cargo builds.
fn target() -> &'static Path {
    let own = Path::new(env!("CARGO_TARGET_TMPDIR"));
    own.parent().expect("a target directory")
}

/// The mutated simulation. The numbers of the mutations are their places; the last one changes nothing.
fn build(mutations: &[Mutation]) -> Simulation {
    let copy = target().join("mutated");
    let all = [mutations, &[CHANGES_NOTHING]].concat();
    let program = copy::make(root(), &copy, &all)
        .and_then(|()| copy::compile(&copy, target()))
        .unwrap_or_else(|error| panic!("{error}"));
    Simulation { program }
}

/// Looks for each mutation at the seed that the list has; or at all seeds, to write the list anew. `MUTATION`
/// has part of the names of those that are looked for; the others stay as they are listed.
#[test]
#[ignore = "compiles the library once more: make mutations"]
fn every_mutation_is_noticed_where_the_list_says() {
    let path = root().join("tests/mutations/found.md");
    let listed = fs::read_to_string(&path).unwrap_or_default();
    let writes = env::var_os("MUTATIONS_WRITE").is_some();
    let part = env::var("MUTATION").unwrap_or_default();
    let mutations = list::all();
    let simulation = build(&mutations);
    check_what_changes_nothing(&simulation, mutations.len(), &listed);

    let numbered: Vec<_> = mutations.iter().enumerate().collect();
    let results = run::each(&numbered, |(number, mutation)| {
        let line = found::line_of(&listed, mutation);
        match line {
            Some(line) if !mutation.name.contains(&part) => Ok(line.to_owned()),
            _ if writes => search(&simulation, *number, mutation),
            Some(line) => find_again(&simulation, *number, mutation, line),
            None => Err(format!("\"{}\" is not in the list", mutation.name)),
        }
    });
    let failures: Vec<_> = results
        .iter()
        .filter_map(|result| result.as_ref().err())
        .collect();
    let lines: Vec<_> = results
        .iter()
        .filter_map(|result| result.clone().ok())
        .collect();
    let list = found::list(&lines);
    if writes {
        fs::write(&path, &list).expect("a list that can be written");
    }
    for failure in &failures {
        eprintln!("{failure}");
    }
    let advice = "after a change of the library or of the simulation: make mutations WRITE=1";
    assert!(
        failures.is_empty(),
        "{} of {} mutations are not noticed as the list says; {advice}",
        failures.len(),
        mutations.len()
    );
    assert!(
        writes || list == listed,
        "the list is not in order; {advice}"
    );
    println!("mutations: {} of the library, all noticed", lines.len());
}

/// Looks at all seeds, which takes long; so it says at once what has come of it.
fn search(simulation: &Simulation, number: usize, mutation: &Mutation) -> Result<String, String> {
    let found = found::line(mutation, &simulation.search(number, mutation, &seeds()));
    match &found {
        Ok(line) => eprint!("{line}"),
        Err(error) => eprintln!("{error}"),
    }
    found
}

/// Runs the one seed that the list has.
fn find_again(
    simulation: &Simulation,
    number: usize,
    mutation: &Mutation,
    listed: &str,
) -> Result<String, String> {
    let seed = found::seed(listed).ok_or_else(|| format!("no seed in: {listed}"))?;
    let line = found::line(mutation, &simulation.run(Some(number), seed..seed + 1))?;
    match line == listed {
        true => Ok(line),
        false => Err(format!("the list has: {listed}but it is: {line}")),
    }
}

/// What finds the mutations must find nothing where there is none: not at their seeds, and not where the code
/// is switched to what it was.
fn check_what_changes_nothing(simulation: &Simulation, number: usize, listed: &str) {
    let outcome = simulation.search(number, &CHANGES_NOTHING, &[SEEDS_OF_NOTHING]);
    assert_eq!(outcome, Outcome::Passed, "of what changes nothing");
    let seeds: BTreeSet<_> = listed.lines().filter_map(found::seed).collect();
    let seeds: Vec<_> = seeds.into_iter().collect();
    for (seed, outcome) in seeds.iter().zip(run::each(&seeds, |seed| {
        simulation.run(None, *seed..*seed + 1)
    })) {
        assert_eq!(outcome, Outcome::Passed, "seed {seed} without a mutation");
    }
}
