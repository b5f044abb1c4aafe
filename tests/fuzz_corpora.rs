//! Replays the inputs that fuzzing begins with: those in `fuzz/seeds`, each named after what it is; those in
//! `fuzz/corpus`, which reach between them what the fuzzer has reached; those in `fuzz/crashes`, which once
//! broke something. `make fuzz` goes on from there.
//!
//! A panic of the library's own would be caught at its C ABI, and one in a callback cannot unwind. So any
//! panic ends this process, once it is told which input it was.

#[path = "../fuzz/bodies/mod.rs"]
mod bodies;
#[path = "support/header.rs"]
mod header;

use std::collections::HashSet;
use std::fs;
use std::io::{Write, stderr};
use std::panic;
use std::path::{Path, PathBuf};

use parking_lot::{Mutex, MutexGuard};

#[test]
fn documents_are_accepted_and_refused_as_the_protocol_says() {
    replay("document", bodies::document::run);
}

#[test]
fn pointers_lead_where_the_rfc_says() {
    replay("pointer", bodies::pointer::run);
}

#[test]
fn patches_do_what_the_rfcs_say() {
    replay("patch", bodies::patch::run);
}

#[test]
fn stored_bytes_are_used_or_left_alone() {
    replay("stored", bodies::stored::run);
}

#[test]
fn a_host_without_manners_breaks_nothing() {
    replay("calls", bodies::calls::run);
}

#[test]
fn every_function_of_the_header_is_called_by_the_fuzzer() {
    let folder = root().join("fuzz/bodies/calls");
    let texts = files(&folder).into_iter().map(fs::read_to_string);
    let calls: String = texts.map(|text| text.expect("a source file")).collect();
    let is_in_names = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words: HashSet<&str> = calls.split(|letter| !is_in_names(letter)).collect();
    let text = fs::read_to_string(root().join("include/session_locker.h")).expect("the header");
    for (name, _) in header::functions(&text) {
        assert!(words.contains(name), "{name} is called by no step");
    }
}

/// What the process has of everything, live handles and defaults, belongs to one target at a time.
static TURN: Mutex<()> = Mutex::new(());

/// The input that is being replayed.
static INPUT: Mutex<Option<PathBuf>> = Mutex::new(None);

fn replay(target: &str, run: impl Fn(&[u8])) {
    let _turn: MutexGuard<'_, ()> = TURN.lock();
    let before = panic::take_hook();
    panic::set_hook(Box::new(|info| {
        let input = INPUT.lock().take();
        // Not by `eprintln`, which the test harness would keep to itself.
        let _ = writeln!(stderr(), "\n{info}\nwhile replaying {input:?}");
        std::process::abort();
    }));
    for folder in ["seeds", "corpus", "crashes"] {
        let paths = files(&root().join("fuzz").join(folder).join(target));
        assert!(
            folder == "crashes" || !paths.is_empty(),
            "fuzz/{folder}/{target} has no inputs"
        );
        for path in paths {
            let input = fs::read(&path).expect("an input");
            *INPUT.lock() = Some(path);
            run(&input);
        }
    }
    *INPUT.lock() = None;
    panic::set_hook(before);
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder in order; none if it is not there.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    paths
}
