//! Any bytes behind a key.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::stored::run(input));
