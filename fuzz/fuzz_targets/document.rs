//! Stored documents, and those that the host gives.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::document::run(input));
