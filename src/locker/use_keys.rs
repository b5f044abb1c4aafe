//! Who wants a locker's session: the seed's use keys. The session is wanted for as long as at least
//! one key is held, so that parts of a game that know nothing of each other can share a locker.

use std::collections::BTreeSet;

use super::state::{LockerState, Phase};

/// What a locker's session is wanted for. The host's own and the library's never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum UseKey {
    /// One that the host has chosen.
    Host(u64),
    /// A purchase that is under way.
    Purchase(u64),
}

impl UseKey {
    /// The key of a host that needs only one.
    pub const DEFAULT: Self = Self::Host(0);
}

/// The most keys of one locker that a host may hold.
pub(crate) const USE_KEYS_MAX: usize = 1024;

impl LockerState {
    /// Holds a key, which may be held already; after a final load status, tries anew. False, and
    /// nothing has changed, if too many others are held.
    pub fn want(&mut self, key: UseKey) -> bool {
        if key != UseKey::DEFAULT || self.use_keys.is_some() {
            let is_wanted = self.wanted;
            let keys = self.use_keys.get_or_insert_with(|| {
                let default = is_wanted.then_some(UseKey::DEFAULT);
                Box::new(BTreeSet::from_iter(default))
            });
            let is_hosts = matches!(key, UseKey::Host(_));
            if is_hosts && keys.len() >= USE_KEYS_MAX && !keys.contains(&key) {
                return false;
            }
            keys.insert(key);
        }
        let was_wanted = std::mem::replace(&mut self.wanted, true);
        match &mut self.phase {
            Phase::Refused => self.phase = Phase::Idle,
            Phase::Acquire(acquire) if !was_wanted => acquire.forget_seen(),
            _ => {}
        }
        true
    }

    /// Whether the host holds a key, and not the library alone.
    pub fn is_wanted_by_host(&self) -> bool {
        let is_hosts = |key: &UseKey| matches!(key, UseKey::Host(_));
        match &self.use_keys {
            Some(keys) => keys.iter().any(is_hosts),
            None => self.wanted,
        }
    }

    /// Lets go of a key; of one that is not held, nothing. With the last one, the session is to end.
    pub fn unwant(&mut self, key: UseKey) {
        let Some(keys) = &mut self.use_keys else {
            self.wanted &= key != UseKey::DEFAULT;
            return;
        };
        keys.remove(&key);
        self.wanted = !keys.is_empty();
        if keys.iter().all(|key| *key == UseKey::DEFAULT) {
            self.use_keys = None;
        }
    }
}
