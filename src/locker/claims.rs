//! Which locker of this server may ask for a key, and the lock ids that this server has drawn.
//!
//! Two lockers of one server never compete in the storage: the second waits until the first is
//! done and then goes at once.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Lock ids are drawn from this many bits: what a double holds exactly.
const LOCK_ID_BITS: u32 = 53;

/// The claims and lock ids of one set of lockers, which are named by their slots.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// Each claimed key, and the locker that has it.
    holders: HashMap<Arc<str>, u32>,
    /// Who waits for a key, in order; only keys for which somebody does.
    waiting: HashMap<Arc<str>, VecDeque<u32>>,
    /// Lock ids that are, or may yet turn out to be, in the storage, each with its key.
    drawn: HashMap<u64, Arc<str>>,
    /// Lockers whose turn has come.
    woken: Vec<u32>,
}

impl Claims {
    /// Claims the key, or queues behind the locker that has it. True once claimed.
    pub fn claim(&mut self, key: &Arc<str>, slot: u32) -> bool {
        let holder = *self.holders.entry(Arc::clone(key)).or_insert(slot);
        if holder != slot {
            let waiting = self.waiting.entry(Arc::clone(key)).or_default();
            if !waiting.contains(&slot) {
                waiting.push_back(slot);
            }
        }
        holder == slot
    }

    /// The locker that has the claim, and those behind it, in order.
    pub fn in_line(&self, key: &str) -> impl Iterator<Item = u32> {
        let holder = self.holders.get(key).copied();
        let waiting = self.waiting.get(key);
        holder
            .into_iter()
            .chain(waiting.into_iter().flatten().copied())
    }

    /// Gives up the claim, or the place in the queue for it.
    pub fn release(&mut self, key: &Arc<str>, slot: u32) {
        let Entry::Occupied(mut waiting) = self.waiting.entry(Arc::clone(key)) else {
            if self.holders.get(key) == Some(&slot) {
                self.holders.remove(key);
            }
            return;
        };
        let queue = waiting.get_mut();
        queue.retain(|waiter| *waiter != slot);
        let next = queue.front().copied();
        if self.holders.get(key) != Some(&slot) {
            if next.is_none() {
                waiting.remove();
            }
            return;
        }
        if let Some(next) = next {
            queue.pop_front();
            self.holders.insert(Arc::clone(key), next);
            self.woken.push(next);
        } else {
            self.holders.remove(key);
        }
        if queue.is_empty() {
            waiting.remove();
        }
    }

    /// A locker whose turn has come.
    pub fn next_woken(&mut self) -> Option<u32> {
        self.woken.pop()
    }

    /// Draws a lock id and remembers it. `wall`, Unix seconds, keeps a process that is started again
    /// with its old seed from drawing what its old self drew: each would take the other's session for
    /// its own.
    pub fn draw(&mut self, key: &Arc<str>, wall: f64, rng: &mut fastrand::Rng) -> u64 {
        let moment = fastrand::Rng::with_seed(wall.to_bits()).u64(..);
        loop {
            let id = (rng.u64(..) ^ moment) >> (u64::BITS - LOCK_ID_BITS);
            if id == 0 {
                continue;
            }
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
