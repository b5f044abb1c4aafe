//! Shutting down in bounded time, and saying what did not make it.

use std::sync::Arc;

use crate::locker::{LockerError, SaveOutcome};

use super::store::{EasyStore, Inner};

/// What a drain could not finish in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainReport {
    /// Each key whose session is not released.
    pub unsaved: Vec<Unsaved>,
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

impl EasyStore {
    /// Closes the store and updates until every session is released or `timeout` seconds have
    /// passed. Blocks; for shutdown. May be called again to go on.
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
                let reason = match error {
                    Some(error) => format!("{state}; the last error was: {error}"),
                    None => state.to_owned(),
                };
                Unsaved {
                    key: Arc::clone(locker.key()),
                    outcome,
                    reason,
                }
            })
            .collect();
        Ok(DrainReport { unsaved })
    }

    /// The store is going away: answers every wait that is left.
    pub(super) fn abandon(&self) {
        // A poisoned store has nothing left to say.
        let _ = self.driver.abandon(self);
        self.destroy_purchases();
    }
}
