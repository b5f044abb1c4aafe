//! Reads and writes by JSON Pointer.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::pointer::run(input));
