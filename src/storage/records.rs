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
                let record = |revision| Fetched::Present {
                    bytes,
                    revision,
                    user_ids,
                };
                let revision = self.write(key, Some(&expected), record);
                revision.map_or(Outcome::Conflict, Outcome::Committed)
            }
            Operation::Erase { key, expected } => {
                let tombstone = |revision| Fetched::Absent {
                    tombstone: Some(revision),
                };
                let revision = self.write(key, expected.as_ref(), tombstone);
                revision.map_or(Outcome::Conflict, Outcome::Erased)
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

    /// Writes what `record` makes of the next revision, if the key is as expected.
    fn write(
        &mut self,
        key: Arc<str>,
        expected: Option<&Expected>,
        record: impl FnOnce(Revision) -> Fetched,
    ) -> Option<Revision> {
        let found = self.by_key.get_mut(&key);
        if expected.is_some_and(|expected| !is_at(found.as_deref(), expected)) {
            return None;
        }
        self.last_number += 1;
        let revision = (self.name_revision)(self.last_number);
        let record = record(revision.clone());
        match found {
            Some(found) => *found = record,
            None => drop(self.by_key.insert(key, record)),
        }
        Some(revision)
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

fn is_at(found: Option<&Fetched>, expected: &Expected) -> bool {
    match (found, expected) {
        (Some(Fetched::Present { revision, .. }), Expected::Present(expected)) => {
            revision == expected
        }
        (Some(Fetched::Absent { tombstone }), Expected::Absent(expected)) => tombstone == expected,
        (None, Expected::Absent(expected)) => expected.is_none(),
        (_, Expected::Present(_)) | (Some(_), Expected::Absent(_)) => false,
    }
}
