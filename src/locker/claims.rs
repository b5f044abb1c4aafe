//! Which locker of this server may ask for a key, and the lock ids that this server has drawn.
//!
//! Two lockers of one server never compete in the storage: the second waits until the first is
//! done and then goes at once.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Lock ids are drawn from this many bits: what a double holds exactly.
const LOCK_ID_BITS: u32 = 53;

#[derive(Debug)]
struct Claim {
    holder: u32,
    waiting: Option<Box<VecDeque<u32>>>,
}

/// The claims and lock ids of one set of lockers, which are named by their slots.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    keys: HashMap<Arc<str>, Claim>,
    /// Lock ids that are, or may yet turn out to be, in the storage, each with its key.
    drawn: HashMap<u64, Arc<str>>,
    /// Lockers whose turn has come.
    woken: Vec<u32>,
}

impl Claims {
    /// Claims the key, or queues behind the locker that has it. True once claimed.
    pub fn claim(&mut self, key: &Arc<str>, slot: u32) -> bool {
        match self.keys.entry(Arc::clone(key)) {
            Entry::Vacant(entry) => {
                entry.insert(Claim {
                    holder: slot,
                    waiting: None,
                });
                true
            }
            Entry::Occupied(mut entry) => {
                let claim = entry.get_mut();
                if claim.holder != slot {
                    let waiting = claim.waiting.get_or_insert_default();
                    if !waiting.contains(&slot) {
                        waiting.push_back(slot);
                    }
                }
                claim.holder == slot
            }
        }
    }

    /// The locker that has the claim, and those behind it, in order.
    pub fn in_line(&self, key: &str) -> impl Iterator<Item = u32> {
        let claim = self.keys.get(key);
        let waiting = claim.and_then(|claim| claim.waiting.as_deref());
        let holder = claim.map(|claim| claim.holder);
        holder
            .into_iter()
            .chain(waiting.into_iter().flatten().copied())
    }

    /// Gives up the claim, or the place in the queue for it.
    pub fn release(&mut self, key: &Arc<str>, slot: u32) {
        let Entry::Occupied(mut entry) = self.keys.entry(Arc::clone(key)) else {
            return;
        };
        let claim = entry.get_mut();
        if claim.holder != slot {
            if let Some(waiting) = &mut claim.waiting {
                waiting.retain(|waiter| *waiter != slot);
            }
            return;
        }
        match claim
            .waiting
            .as_mut()
            .and_then(|waiting| waiting.pop_front())
        {
            Some(next) => {
                claim.holder = next;
                self.woken.push(next);
            }
            None => {
                entry.remove();
            }
        }
    }

    /// A locker whose turn has come.
    pub fn next_woken(&mut self) -> Option<u32> {
        self.woken.pop()
    }

    /// Draws a lock id and remembers it.
    pub fn draw(&mut self, key: &Arc<str>, rng: &mut fastrand::Rng) -> u64 {
        loop {
            let id = rng.u64(1..1 << LOCK_ID_BITS);
            if let Entry::Vacant(entry) = self.drawn.entry(id) {
                entry.insert(Arc::clone(key));
                return id;
            }
        }
    }

    /// Whether this server drew the id for this key. The key's claim belongs to the locker that
    /// asks, so no other live locker holds it.
    pub fn is_ours(&self, key: &str, lock_id: u64) -> bool {
        self.drawn
            .get(&lock_id)
            .is_some_and(|drawn_for| **drawn_for == *key)
    }

    /// The id is not in the storage and never will be.
    pub fn forget(&mut self, lock_id: u64) {
        self.drawn.remove(&lock_id);
    }
}
