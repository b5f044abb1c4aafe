//! The mutations, by what they break.

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
