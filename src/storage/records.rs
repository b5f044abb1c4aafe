//! Records in memory, with the contract's rules for comparing and writing: what the memory engine
//! is made of, and what the read-only overlay remembers. It locks nothing and answers nobody.

use std::sync::Arc;

use hashbrown::HashMap;

use super::{Expected, Fetched, Operation, Outcome, Revision};

/// Every record and every tombstone by key. Tombstones stay as long as the records do.
pub(super) struct Records {
    by_key: HashMap<Arc<str>, Fetched>,
    /// One count for all keys, so that no key ever sees a number again.
    last_number: u64,
    name_revision: Box<dyn Fn(u64) -> Revision + Send>,
}

impl Records {
    /// No records; revisions are named by `name_revision`, from the numbers 1, 2, 3, …
    pub(super) fn new(name_revision: impl Fn(u64) -> Revision + Send + 'static) -> Self {
        let name_revision = Box::new(name_revision);
        let by_key = HashMap::new();
        let last_number = 0;
        Self {
            by_key,
            last_number,
            name_revision,
        }
    }

    /// The record or the tombstone; `None` for a key that was never written.
    pub(super) fn get(&self, key: &str) -> Option<&Fetched> {
        self.by_key.get(key)
    }

    /// Puts in what was found elsewhere, with the revision it has there.
    pub(super) fn import(&mut self, key: Arc<str>, found: Fetched) {
        self.by_key.insert(key, found);
    }

    /// Undoes [`Records::import`].
    pub(super) fn forget(&mut self, key: &str) {
        self.by_key.remove(key);
    }

    /// Does what is asked.
    pub(super) fn apply(&mut self, operation: Operation) -> Outcome {
        match operation {
            Operation::Fetch { key } => Outcome::Fetched(self.fetch(&key)),
            Operation::Commit {
                key,
                expected,
                bytes,
                user_ids,
            } => {
                if !self.is_at(&key, &expected) {
                    return Outcome::Conflict;
                }
                let revision = self.next_revision();
                let record = Fetched::Present {
                    bytes,
                    revision: revision.clone(),
                    user_ids,
                };
                self.by_key.insert(key, record);
                Outcome::Committed(revision)
            }
            Operation::Erase { key, expected } => {
                if expected.is_some_and(|expected| !self.is_at(&key, &expected)) {
                    return Outcome::Conflict;
                }
                let revision = self.next_revision();
                let tombstone = Some(revision.clone());
                self.by_key.insert(key, Fetched::Absent { tombstone });
                Outcome::Erased(revision)
            }
            Operation::List {
                prefix,
                after,
                limit,
            } => Outcome::Keys(self.list(&prefix, after.as_deref(), limit)),
            Operation::KeysOfUser { user_id } => Outcome::Keys(self.keys_of_user(&user_id)),
        }
    }

    /// Every key in a list's range, whether its record is there (true) or erased (false), in no
    /// order.
    pub(super) fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a str, bool)> {
        self.by_key
            .iter()
            .map(|(key, found)| (&**key, matches!(found, Fetched::Present { .. })))
            .filter(move |(key, _)| {
                key.starts_with(prefix) && after.is_none_or(|after| *key > after)
            })
    }

    fn fetch(&self, key: &str) -> Fetched {
        let never_written = Fetched::Absent { tombstone: None };
        self.get(key).cloned().unwrap_or(never_written)
    }

    fn is_at(&self, key: &str, expected: &Expected) -> bool {
        match (self.by_key.get(key), expected) {
            (Some(Fetched::Present { revision, .. }), Expected::Present(expected)) => {
                revision == expected
            }
            (Some(Fetched::Absent { tombstone }), Expected::Absent(expected)) => {
                tombstone == expected
            }
            (None, Expected::Absent(expected)) => expected.is_none(),
            (_, Expected::Present(_)) | (Some(_), Expected::Absent(_)) => false,
        }
    }

    fn next_revision(&mut self) -> Revision {
        self.last_number += 1;
        (self.name_revision)(self.last_number)
    }

    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
        let in_range = self.range(prefix, after);
        let mut keys: Vec<&str> = in_range
            .filter_map(|(key, present)| present.then_some(key))
            .collect();
        // A page of a large storage: only the page itself is sorted.
        if keys.len() > limit {
            keys.select_nth_unstable(limit);
            keys.truncate(limit);
        }
        keys.sort_unstable();
        keys.into_iter().map(String::from).collect()
    }

    fn keys_of_user(&self, user_id: &str) -> Vec<String> {
        let belongs_to_user = |found: &Fetched| match found {
            Fetched::Present { user_ids, .. } => user_ids.iter().any(|id| **id == *user_id),
            Fetched::Absent { .. } => false,
        };
        let mut keys: Vec<String> = self
            .by_key
            .iter()
            .filter(|(_, found)| belongs_to_user(found))
            .map(|(key, _)| String::from(&**key))
            .collect();
        keys.sort_unstable();
        keys
    }
}
