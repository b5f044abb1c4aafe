//! The mutations, by what they break.
//!
//! Some that one would look for here are left out, for no seed of `make test` tells them from what is right.
//! Two are not wrong by themselves:
//! - A lock id of its own is known by its acquisition wherever it can stand in storage, before
//!   `Claims::is_ours` is asked. Only both together could be forgotten so that it shows, as one of law 3 does.
//! - A watch may count another's session as unchanged for as long as its answer was on the way: the commit
//!   that takes the key finds it at the revision that was seen, or fails.
//!
//! Others are rare in the simulation, and have tests of their own:
//! - Watches that count from the beginning of the update that has seen the session (`Watches::see`), or
//!   go on when the host tells its first time (`Watches::begin_anew`, `WatchClock::owe`): `tests/availability.rs`.
//! - Releases after which it is forgotten that there was a record (`Left::Record`): `tests/lost.rs`.
//! - Saves that are put off past the lease while a hook before them fails: `tests/save_hooks.rs`.

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
