//! The locker: one key, one session, one live document.

#![forbid(unsafe_code)]

pub mod shared_data;
