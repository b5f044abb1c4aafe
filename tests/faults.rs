//! What the original gets wrong: each of its thirty known faults has a test here that shows what is
//! right, and carries the fault's number. That test is a C program, for hosts see the difference.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// How many faults are known.
const FAULTS: u32 = 30;

/// Those that no C program shows. 28: that an update looks only at lockers with something to do is seen
/// in what it counts, for which the C ABI has no function.
const ONLY_IN_RUST: [u32; 1] = [28];

/// The numbers of the faults that the tests of a folder show. A test is a function that stands in the
/// source by itself; one in C has to be called as well.
fn shown_in(folder: &str, extension: &str, function: &str) -> BTreeSet<u32> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut shown = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|found| found != extension) {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source file");
        for line in text.lines() {
            let name = line
                .strip_prefix(function)
                .and_then(|rest| rest.split('(').next());
            let Some(name) = name.filter(|name| name.starts_with("fault_")) else {
                continue;
            };
            let is_run = extension == "rs" || text.contains(&format!("    {name}("));
            assert!(is_run, "{} does not call {name}", path.display());
            let number = name.split('_').nth(1).and_then(|word| word.parse().ok());
            shown.insert(number.unwrap_or_else(|| panic!("{name} has no number")));
        }
    }
    shown
}

#[test]
fn every_fault_of_the_original_has_a_test_named_after_it() {
    let in_rust = shown_in("tests", "rs", "fn ");
    let in_c = shown_in("tests/c", "c", "static void ");
    let is_missing = |fault: &u32| match ONLY_IN_RUST.contains(fault) {
        true => !in_rust.contains(fault),
        false => !in_c.contains(fault),
    };
    let missing: Vec<u32> = (1..=FAULTS).filter(is_missing).collect();
    assert!(missing.is_empty(), "no test shows these: {missing:?}");
    let mut shown = in_rust.union(&in_c);
    assert!(
        shown.all(|fault| (1..=FAULTS).contains(fault)),
        "a number is not a fault's: {in_rust:?} {in_c:?}"
    );
}
