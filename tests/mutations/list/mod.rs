//! The mutations, by what they break.
//!
//! Some that one would look for here are left out:
//! - A lock id of its own is known by its acquisition wherever it can stand in storage, before
//!   `Claims::is_ours` is asked. Only both together could be forgotten so that it shows, as one of law 3 does.
//! - A watch may count another's session as unchanged for as long as its answer was on the way: the commit
//!   that takes the key finds it at the revision that was seen, or fails.
//! - When a watch begins (`Watches::begin_update`), and that a host's time may be older than its update, is
//!   more exact than the simulation, in which an update takes no time. `tests/availability.rs` has it.
//! - A release may forget that a fetch has shown the record: `tests/lost.rs` notices that, and no seed of
//!   `make test`.

mod hooks;
mod once;
mod ownership;

use super::mutation::Mutation;

/// All of them, in the order of the laws.
pub fn all() -> Vec<Mutation> {
    let mut all = [ownership::MUTATIONS, once::MUTATIONS, hooks::MUTATIONS].concat();
    all.sort_by_key(|mutation| mutation.law);
    all
}
