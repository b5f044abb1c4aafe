//! Another Rust static library, as an engine may already have one: with a standard library of its
//! own that allocates, starts threads and catches panics.

/// The sum of the numbers below `count`, or -1 when there are none.
#[unsafe(no_mangle)]
pub extern "C" fn second_library_sum(count: u32) -> i64 {
    let sum = std::panic::catch_unwind(|| {
        if count == 0 {
            // A panic without its message on stderr.
            std::panic::resume_unwind(Box::new("nothing to sum"));
        }
        let numbers = (0..i64::from(count)).collect::<Vec<_>>();
        let thread = std::thread::spawn(move || numbers.iter().sum::<i64>());
        thread.join().expect("the thread ends")
    });
    sum.unwrap_or(-1)
}
