//! What was seen under a key, for those who must know whether it was erased since.

use crate::storage::Revision;

/// What is stored for the key. Once there was something else, an absence is an erasure.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    Record,
    /// Each erasure leaves a tombstone with a revision of its own, which a storage may forget after days.
    Absence(Option<Revision>),
}

impl Seen {
    /// Whether a key that is absent now, with this tombstone, was erased since it was seen like this. That its
    /// tombstone was forgotten is no erasure.
    pub(crate) fn was_erased(&self, tombstone: &Option<Revision>) -> bool {
        match (self, tombstone) {
            (Self::Record, _) => true,
            (Self::Absence(_), None) => false,
            (Self::Absence(before), Some(_)) => before != tombstone,
        }
    }
}
