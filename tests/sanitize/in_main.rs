//! Runs the tests of a test program one after another on its main thread, for ThreadSanitizer.
//!
//! Rust's own test harness has threads and channels of the standard library, which is not built for the
//! sanitizer: it would report them, and what suppresses that could hide a race of ours.

#![feature(test)]

extern crate test;

use std::env;
use std::ptr::addr_of_mut;
use std::thread;

use test::{ShouldPanic, TestDescAndFn, TestFn};

/// With `SANITIZE_RACE` in the environment there is a race instead, which must be reported.
pub fn run(tests: &[&TestDescAndFn]) {
    if env::var_os("SANITIZE_RACE").is_some() {
        return race();
    }
    for one in tests {
        let name = one.desc.name.as_slice();
        assert!(
            one.desc.should_panic == ShouldPanic::No,
            "{name} is to panic, which is not provided for"
        );
        let TestFn::StaticTestFn(test) = one.testfn else {
            panic!("{name} is no ordinary test");
        };
        if one.desc.ignore {
            continue;
        }
        eprintln!("-- {name}");
        if let Err(message) = test() {
            panic!("{name}: {message}");
        }
    }
    println!("{} passed, 0 failed", tests.len());
}

fn race() {
    static mut COUNT: u64 = 0;
    fn count() {
        for _ in 0..1000 {
            // SAFETY: it is not; that is what is to be found.
            unsafe { *addr_of_mut!(COUNT) += 1 };
        }
    }
    let other = thread::spawn(count);
    count();
    other.join().expect("a thread that only counts");
}
