//! Hosts over the C ABI, as one in C would be: what they keep are handles and numbers, what they hear
//! comes by callbacks and polled events, and their storage and clocks are tables of functions. All that
//! is `unsafe` is here.

mod alive;
mod answers;
mod call;
mod clock;
mod desk;
mod document;
mod easy;
mod hooks;
mod lockers;
mod options;
mod purchase;
mod report;
mod settings;
mod storage;
mod user_data;

pub use call::forget_panic;
pub use easy::CEasyHost;
pub use lockers::CLockerHost;
