//! What must be true of a schedule that is over.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use serde_json::Value;
use session_locker::locker::SaveOutcome;

use super::{EXPIRY, MAX_SKEW, Promise, Schedule};
use crate::support::Written;

impl Schedule {
    /// Law 1, as the storage sees it: who writes over another's session waited for its expiry.
    pub fn check_one_owner(&self) {
        for key in self.keys {
            let (mut before, mut written_at) = (Value::Null, 0.0);
            for written in self.history_of(key) {
                let document = parse(&written.after);
                let (was, is) = (owner(&before), writer(&document));
                if written.by_server && was.is_some() && was != is {
                    let stamp = before["Session"]["UpdatedAt"].as_f64().expect("a stamp");
                    let waited = written.at - stamp.min(written_at);
                    assert!(
                        waited >= EXPIRY - MAX_SKEW - 1.0,
                        "seed {}: after {waited} s {before} was written over by {document}",
                        self.seed
                    );
                }
                // What a sender appends is not the session's doing.
                if written.by_server {
                    written_at = written.at;
                }
                before = document;
            }
        }
    }

    /// Law 2.
    pub fn check_acknowledged_is_durable(&self) {
        for promise in &self.promises {
            if promise.connection.is_saved() && !self.was_erased_after(promise) {
                let log = tokens(&self.storage.document(promise.key));
                let (seed, token) = (self.seed, promise.token);
                assert!(log.contains(&token), "seed {seed}: {token} was saved");
            }
        }
    }

    /// Law 5, the owners' part: what a sender has put into the inbox waits there, until it has had
    /// its effect. In every document it is in one of the two places, once.
    pub fn check_changes_are_applied_once(&self) {
        for key in self.keys {
            let mut sent = BTreeSet::new();
            for written in self.history_of(key) {
                self.check_each_once(&parse(&written.after), &mut sent);
            }
        }
        for session in self.hosts.iter().flat_map(|host| &host.sessions) {
            let json = session.data().read(|data| data.to_json());
            let document = serde_json::from_str(&json).expect("JSON");
            let mut sent = changes(&self.storage.document(session.key))
                .into_iter()
                .collect();
            self.check_each_once(&document, &mut sent);
        }
    }

    fn check_each_once(&self, document: &Value, sent: &mut BTreeSet<u64>) {
        let all = changes(document);
        let once: BTreeSet<_> = all.iter().copied().collect();
        let seed = self.seed;
        assert_eq!(
            all.len(),
            once.len(),
            "seed {seed}: applied twice: {document}"
        );
        match document {
            Value::Null => sent.clear(),
            _ => assert!(
                sent.is_subset(&once),
                "seed {seed}: of {sent:?} not all in {document}"
            ),
        }
        sent.extend(once);
    }

    /// Law 3.
    pub fn check_no_false_alarm(&self) {
        for promise in &self.promises {
            let was_denied = promise.connection.outcome() == Some(SaveOutcome::NotSaved);
            if was_denied && !self.was_erased_after(promise) {
                let history = self.history_of(promise.key);
                let stored = history.iter().map(|written| parse(&written.after));
                let (seed, token) = (self.seed, promise.token);
                for document in stored {
                    assert!(
                        !tokens(&document).contains(&token),
                        "seed {seed}: {token} was called not saved, but is in {document}"
                    );
                }
            }
        }
    }

    /// Law 4: what nobody here understands is mended by the test before a server writes.
    pub fn check_nothing_foreign_is_overwritten(&self) {
        for key in self.keys {
            let mut is_foreign = false;
            for written in self.history_of(key) {
                let seed = self.seed;
                assert!(
                    !(is_foreign && written.by_server),
                    "seed {seed}: {written:?}"
                );
                is_foreign = written.after.is_some() && parse(&written.after).is_null();
            }
        }
    }

    /// Law 7, as far as data goes: nothing from before an erasure comes back.
    pub fn check_erased_stays_erased(&self) {
        for key in self.keys {
            let mut erasures = self.erased.iter().filter(|erased| erased.key == *key);
            let mut oldest = 0;
            for written in self.history_of(key) {
                let document = parse(&written.after);
                match written.after.filter(|_| !document.is_null()) {
                    None => oldest = erasures.next().expect("an erasure of ours").next_token,
                    Some(_) => {
                        let log = tokens(&document);
                        let seed = self.seed;
                        assert!(
                            log.iter().all(|token| *token >= oldest),
                            "seed {seed}: {log:?} holds what was erased before {oldest}"
                        );
                    }
                }
            }
        }
    }

    /// Law 8.
    pub fn check_answered_once(&self) {
        for promise in &self.promises {
            let answers = promise.answers.load(Ordering::Relaxed);
            let (seed, token) = (self.seed, promise.token);
            assert_eq!(answers, 1, "seed {seed}: token {token}");
        }
    }

    /// Law 9.
    pub fn check_failed_hooks_left_nothing(&self) {
        let undone = self.undone.lock();
        for written in self.storage.history() {
            let log = tokens(&parse(&written.after));
            let seed = self.seed;
            assert!(
                log.iter().all(|token| !undone.contains(token)),
                "seed {seed}: {log:?} has the work of a hook that failed"
            );
        }
    }

    fn history_of(&self, key: &str) -> Vec<Written> {
        let mut history = self.storage.history();
        history.retain(|written| *written.key == *key);
        history
    }

    fn was_erased_after(&self, promise: &Promise) -> bool {
        let mut erased = self.erased.iter();
        erased.any(|erased| erased.key == promise.key && promise.token < erased.next_token)
            || self.was_made_on_an_erased_record(promise)
    }

    /// Made by a session that did not know yet that its record was gone.
    fn was_made_on_an_erased_record(&self, promise: &Promise) -> bool {
        promise.connection.outcome() == Some(SaveOutcome::NotSaved)
            && self.erased.iter().any(|erased| erased.key == promise.key)
    }
}

/// Null where there is no document of ours.
fn parse(bytes: &Option<bytes::Bytes>) -> Value {
    let bytes = bytes.as_deref().unwrap_or(b"null");
    let document: Value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
    match document["Version"] == 1 {
        true => document,
        false => Value::Null,
    }
}

fn owner(document: &Value) -> Option<u64> {
    document["Session"]["LockId"].as_u64()
}

/// The session that wrote a document: a release names it in `Saves` alone.
fn writer(document: &Value) -> Option<u64> {
    let last = document["Saves"].as_array().and_then(|saves| saves.last());
    owner(document).or(last.and_then(|mark| mark[0].as_u64()))
}

/// The remote changes that wait in a document, and those that have had their effect.
fn changes(document: &Value) -> Vec<u64> {
    let waiting = document["RemoteChanges"].as_array().into_iter().flatten();
    let applied = document["Effects"].as_array().into_iter().flatten();
    let ids = waiting.map(|entry| &entry["I"]).chain(applied);
    ids.filter_map(Value::as_u64).collect()
}

fn tokens(document: &Value) -> Vec<u64> {
    let log = document["Log"].as_array();
    log.into_iter()
        .flatten()
        .filter_map(Value::as_u64)
        .collect()
}
