//! JSON patches and merge patches.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::patch::run(input));
