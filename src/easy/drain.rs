//! Shutting down in bounded time, and saying what did not make it.

use std::sync::Arc;

use crate::locker::{LockerError, SaveOutcome};
use crate::remote_change::SendOutcome;

use super::store::{EasyStore, Inner};

/// What a drain could not finish in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainReport {
    /// Each key whose session is not released.
    pub unsaved: Vec<Unsaved>,
    /// Each key to which remote changes are not sent.
    pub unsent: Vec<Unsent>,
}

/// A key whose session was not released in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsaved {
    /// The key.
    pub key: Arc<str>,
    /// `Unknown` where a commit is under way or of unknown fate; else `NotSaved`, or `Saved`
    /// where there was nothing left to save but the release itself.
    pub outcome: SaveOutcome,
    /// Why, for a person.
    pub reason: String,
}

/// A key whose remote changes were not sent in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// The key.
    pub key: Arc<str>,
    /// How many changes.
    pub count: usize,
    /// `Unknown` where some of them are in a commit that is under way or of unknown fate; else
    /// `NotSent`.
    pub outcome: SendOutcome,
    /// Why, for a person.
    pub reason: String,
}

impl EasyStore {
    /// Closes the store and updates until every session is released and every send answered, or
    /// `timeout` seconds have passed. Saves come first, then loads, then sends. Blocks; for shutdown. May be called again to go on.
    pub fn drain(&self, timeout: f64) -> Result<DrainReport, LockerError> {
        let inner = &self.0;
        inner.wait(timeout, || self.close(), || self.is_closed())?;
        inner.report()
    }
}

impl Inner {
    fn report(&self) -> Result<DrainReport, LockerError> {
        let profiles = self.profiles.lock();
        let set = self.driver.set()?;
        let unsaved = set
            .ids()
            .filter_map(|id| Some((id, set.get(id)?)))
            .map(|(id, locker)| {
                let outcome = match () {
                    () if locker.has_unsettled_commit() => SaveOutcome::Unknown,
                    () if locker.is_held() && locker.has_unsaved_changes() => SaveOutcome::NotSaved,
                    () if locker.is_held() => SaveOutcome::Saved,
                    () => SaveOutcome::NotSaved,
                };
                let state = match (locker.is_held(), outcome) {
                    (_, SaveOutcome::Unknown) => "a commit is not answered yet",
                    (true, _) => "the session is not released yet",
                    (false, _) => "the session was still loading",
                };
                let error = profiles
                    .lockers
                    .get(&id)
                    .and_then(|on| on.last_error.as_deref());
                Unsaved {
                    key: Arc::clone(locker.key()),
                    outcome,
                    reason: reason(state, error),
                }
            })
            .collect();
        drop(set);
        let unsent = self.unsent()?;
        Ok(DrainReport { unsaved, unsent })
    }

    fn unsent(&self) -> Result<Vec<Unsent>, LockerError> {
        let left = self.sending.left()?.into_iter().map(|left| {
            let state = match left.outcome {
                SendOutcome::Unknown => "a commit is not answered yet",
                _ => "the remote changes are not sent yet",
            };
            Unsent {
                key: left.key,
                count: left.changes,
                outcome: left.outcome,
                reason: reason(state, left.last_error.as_deref()),
            }
        });
        Ok(left.collect())
    }

    /// The store is going away: answers every wait that is left.
    pub(super) fn abandon(&self) {
        // A poisoned store has nothing left to say.
        let _ = self.driver.abandon(self);
        self.destroy_purchases();
        let _ = self.sending.abandon(self);
    }
}

fn reason(state: &str, last_error: Option<&str>) -> String {
    match last_error {
        Some(error) => format!("{state}; the last error was: {error}"),
        None => state.to_owned(),
    }
}
