//! One owner at a time for every player's save data.

#![deny(unsafe_code)]

pub mod clock;
pub mod easy;
pub mod ffi;
pub mod locker;
pub mod migration;
pub mod save_data;
pub mod storage;
