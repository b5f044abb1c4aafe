//! What a locker with disabled APIs hears in place of a storage: that its key is free, and that each
//! commit is stored. So it goes the way of every other locker, through the same states and hooks.

use crate::storage::{Fetched, Operation, Outcome, Revision};

/// The answer to one of its requests; nothing is kept.
pub(super) fn outcome(operation: &Operation) -> Outcome {
    match operation {
        Operation::Commit { .. } => Outcome::Committed(Revision::from_u64(0)),
        _ => Outcome::Fetched(Fetched::Absent { tombstone: None }),
    }
}
