//! What the tool itself must do, with no simulation.

use super::found;
use super::list;
use super::mutation::{Mutation, mutated};
use super::run::{Notice, Outcome, notice};
use super::{CHANGES_NOTHING, copy, root, target};

const SOURCE: &str =
    "fn double(n: u32) -> u32 {\n    n + n\n}\nfn log() {\n    say(1);\n    say(2);\n}\n";

fn mutation(original: &'static str, broken: &'static str) -> Mutation {
    Mutation {
        law: 3,
        name: "counts wrongly",
        file: "src/count.rs",
        original,
        broken,
    }
}

fn noticed(law: u8) -> Outcome {
    Outcome::Noticed(Notice {
        law,
        seed: 12,
        said: "one | two\nthree".to_owned(),
    })
}

#[test]
fn an_expression_is_switched_as_one_and_statements_stay_statements() {
    let all = [
        mutation("say(1);\n say( 2 );", "say(3);"),
        mutation("n+n", "n + n + 1"),
    ];
    let numbered: Vec<_> = all.iter().enumerate().collect();
    let expected = "fn double(n: u32) -> u32 {\n    \
        (if crate::mutation::is_on(1) {\nn + n + 1\n} else {\nn+n\n})\n}\n\
        fn log() {\n    \
        if crate::mutation::is_on(0) {\nsay(3);\n} else {\nsay(1);\n say( 2 );\n}\n}\n";
    assert_eq!(mutated(SOURCE, &numbered).as_deref(), Ok(expected));
}

#[test]
fn a_mutation_whose_original_is_missing_or_doubled_is_refused_by_name() {
    for (original, times) in [("say(3)", 0), ("say", 2), ("n", 3)] {
        let one = mutation(original, "");
        let refused = mutated(SOURCE, &[(0, &one)]).expect_err("a refusal");
        let said =
            format!("the original of \"counts wrongly\" stands {times} times in src/count.rs");
        assert!(refused.starts_with(&said), "{refused}");
    }
}

#[test]
fn mutations_of_one_place_are_refused() {
    let all = [mutation("say(1)", ""), mutation("(1); say(2)", "")];
    let numbered: Vec<_> = all.iter().enumerate().collect();
    let refused = mutated(SOURCE, &numbered).expect_err("a refusal");
    assert_eq!(
        refused,
        "\"counts wrongly\" and \"counts wrongly\" change the same place"
    );
}

#[test]
fn a_mutation_that_is_not_noticed_or_not_as_its_law_has_no_line() {
    let one = mutation("n + n", "n");
    let refused = |outcome| found::line(&one, &outcome).expect_err("a refusal");
    assert_eq!(
        refused(Outcome::Passed),
        "law 3, \"counts wrongly\": not noticed"
    );
    let other = "law 3, \"counts wrongly\": noticed at seed 12, but as law 5: one / two three";
    assert_eq!(refused(noticed(5)), other);
    let failed = refused(Outcome::Failed("a crash".to_owned()));
    assert!(
        failed.ends_with("no law was named, but it failed with:\na crash"),
        "{failed}"
    );
}

#[test]
fn a_line_of_the_list_is_found_by_its_name_and_has_the_seed() {
    let one = mutation("n + n", "n");
    let line = found::line(&one, &noticed(3)).expect("a line");
    assert_eq!(
        line,
        "| 3 | counts wrongly | `src/count.rs` | 12 | one / two three |\n"
    );
    let list = found::list(std::slice::from_ref(&line));
    assert_eq!(found::line_of(&list, &one), Some(&*line));
    assert_eq!(found::seed(&line), Some(12));
    assert_eq!(found::line_of(&list, &CHANGES_NOTHING), None);
}

#[test]
fn a_broken_law_is_read_from_what_the_simulation_says() {
    let output = "running 1 test\nlaw 5: remote change 3 (of 2) was lost (seed 41, step 7)\nfailed";
    let expected = Notice {
        law: 5,
        seed: 41,
        said: "remote change 3 (of 2) was lost".to_owned(),
    };
    assert_eq!(notice(output), Some(expected));
    assert_eq!(notice("law of the land (seed 3)"), None);
}

#[test]
fn every_law_has_three_mutations_and_no_two_have_one_name() {
    let mut all = list::all();
    for law in 1..=10 {
        let count = all.iter().filter(|one| one.law == law).count();
        assert!(count >= 3, "law {law} has {count}");
    }
    all.sort_by_key(|one| one.name);
    for pair in all.windows(2) {
        assert_ne!(pair[0].name, pair[1].name);
    }
    for one in all {
        assert_ne!(one.original, one.broken, "{}", one.name);
        assert!(!one.name.contains('|'), "{}", one.name);
    }
}

#[test]
fn every_mutation_has_a_line_in_the_list_and_every_line_a_mutation() {
    let listed = include_str!("found.md");
    let all = list::all();
    for one in &all {
        let line = found::line_of(listed, one).unwrap_or_default();
        assert!(found::seed(line).is_some(), "\"{}\": {line}", one.name);
    }
    let seeds = listed.lines().filter_map(found::seed);
    assert_eq!(seeds.count(), all.len());
}

/// Whoever changes a line of the library that a mutation changes too hears of it at once.
#[test]
fn every_original_stands_once_in_the_library() {
    let copied = copy::make(root(), &target().join("tmp/mutated"), &list::all());
    assert_eq!(copied, Ok(()));
}
