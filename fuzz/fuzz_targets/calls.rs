//! Sequences of C ABI calls.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::calls::run(input));
