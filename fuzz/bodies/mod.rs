//! What the fuzz targets do with an input, each in a plain function: the fuzzer calls it, and so does the
//! test that replays the corpora. A function returns if the library has behaved, and panics if not.
//!
//! A panic of the library's own would be caught by its C ABI, so whoever calls these functions sees to
//! it that a panic ends the process.

pub mod calls;
pub mod document;
pub mod patch;
pub mod pointer;
pub mod stored;

mod json;
mod model;
mod reading;
mod reserved;
mod twins;

// What the tests have to fail on command, the targets use too.
#[path = "../../tests/support/shop.rs"]
mod shop;
#[path = "../../tests/support/mod.rs"]
mod support;
