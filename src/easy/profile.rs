//! One session as its host sees it: the seed's `EasyProfile`.

use std::sync::{Arc, Weak};

use slotmap::Key as _;

use crate::locker::{
    CreditError, LoadStatus, LockerError, LockerId, LockerState, SaveOutcome, SavedCallback,
    SavedConnection, SharedSaveData, WriteError,
};
use crate::save_data::{ProductId, SaveData};

use super::profiles::{Entry, LoadedCallback, ProfileId, SaveHook};
use super::signal::{ConnectionId, Signal, SignalCallback};
use super::store::Inner;

/// A session of one key. A clone names the same profile.
///
/// Dropping every clone does not end the session: [`Profile::destroy`] does.
#[derive(Clone)]
pub struct Profile {
    pub(super) store: Arc<Inner>,
    pub(super) id: ProfileId,
    pub(super) data: Arc<SharedSaveData>,
}

/// Names a profile without keeping its store alive.
#[derive(Clone)]
pub struct WeakProfile {
    store: Weak<Inner>,
    id: ProfileId,
    data: Arc<SharedSaveData>,
}

/// How a wait for the load ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadWait {
    /// The save data is the player's.
    Loaded,
    /// The profile was ended first.
    Ended,
    /// Loading was given up; the status says why.
    Refused(LoadStatus),
    /// The time ran out.
    TimedOut,
}

pub(super) const FINISHED: LockerError = LockerError::NotActive("the profile is finished");
const ENDED: LockerError = LockerError::NotActive("the profile's session was ended");

impl Profile {
    /// The same profile, without keeping its store alive.
    pub fn downgrade(&self) -> WeakProfile {
        WeakProfile {
            store: Arc::downgrade(&self.store),
            id: self.id,
            data: Arc::clone(&self.data),
        }
    }

    /// The profile's name among the store's.
    pub fn id(&self) -> ProfileId {
        self.id
    }

    /// The key.
    pub fn key(&self) -> Result<Arc<str>, LockerError> {
        self.entry(|entry| Arc::clone(&entry.key))
    }

    /// False once the host has ended the session.
    pub fn is_active(&self) -> bool {
        self.entry(|entry| entry.is_active).unwrap_or(false)
    }

    /// True while the save data is the player's.
    pub fn is_loaded(&self) -> bool {
        self.entry(|entry| entry.is_loaded).unwrap_or(false)
    }

    /// True once the profile has said its last.
    pub fn is_finished(&self) -> bool {
        self.entry(|entry| entry.is_finished).unwrap_or(true)
    }

    /// Loaded, within the lease, and not being released: changes made now will be saved.
    pub fn is_available(&self) -> Result<bool, LockerError> {
        match self.entry(|entry| (entry.locker, entry.is_active && !entry.is_finished))? {
            (_, false) => Ok(false),
            (locker, true) => self.store.driver.is_available(locker),
        }
    }

    /// The seed's `LoadStatus`.
    pub fn load_status(&self) -> Result<LoadStatus, LockerError> {
        self.query(LockerState::status)
    }

    /// After `InvalidVersion`: the version a server must have for this document.
    pub fn minimum_server_version(&self) -> Result<u32, LockerError> {
        self.query(LockerState::minimum_server_version)
    }

    /// The unsaved document of the session that was lost last.
    pub fn lost_save_data(&self) -> Result<Option<SaveData>, LockerError> {
        self.query(|locker| locker.lost().cloned())
    }

    /// The save data: the player's while loaded, else the default. Stays the same object for the
    /// profile's life; each successful write counts as a change.
    pub fn save_data(&self) -> &Arc<SharedSaveData> {
        &self.data
    }

    /// The whole document as JSON, reserved fields included.
    pub fn save_data_json(&self) -> String {
        self.data.read(|data| data.to_json())
    }

    /// Replaces every field of the player's; reserved fields stay as they are.
    pub fn set_save_data_json(&self, json: &str) -> Result<(), WriteError> {
        self.data.write(|data| data.set_json("", json))
    }

    /// Notes a change; it is in the next save.
    pub fn mark_should_save(&self) -> Result<(), LockerError> {
        let locker = self.active()?;
        self.store
            .driver
            .set()?
            .note(locker, LockerState::mark_should_save)
    }

    /// Notes a change and saves now.
    pub fn mark_force_save(&self) -> Result<(), LockerError> {
        self.command(LockerState::mark_force_save)
    }

    /// How much of a product the player has paid for and not been given yet.
    pub fn product_credit(&self, product_id: ProductId) -> Result<i64, CreditError> {
        self.query(|locker| locker.product_credit(product_id))?
    }

    /// Adds to the credit of a product, by 1 or more. As a write to the save data, it also counts
    /// after the session was ended, until it is released.
    pub fn give_product_credit(
        &self,
        product_id: ProductId,
        amount: i64,
    ) -> Result<(), CreditError> {
        let locker = self.locker()?;
        let mut set = self.store.driver.set()?;
        set.with(locker, |locker| {
            locker.give_product_credit(product_id, amount)
        })?
    }

    /// Takes 1 or more from the credit of a product. False, and nothing taken, where there is too
    /// little.
    pub fn use_product_credit(
        &self,
        product_id: ProductId,
        amount: i64,
    ) -> Result<bool, CreditError> {
        let locker = self.locker()?;
        let mut set = self.store.driver.set()?;
        set.with(locker, |locker| {
            locker.use_product_credit(product_id, amount)
        })?
    }

    /// Waits for the changes made so far to be saved; the callback, if any, hears the answer.
    /// Answered exactly once.
    pub fn when_changes_saved(
        &self,
        callback: Option<SavedCallback>,
    ) -> Result<SavedConnection, LockerError> {
        let connection = SavedConnection::new(callback);
        self.wait_for(&connection)?;
        Ok(connection)
    }

    /// Lets a wait that is new wait for the changes made so far.
    pub(crate) fn wait_for(&self, connection: &SavedConnection) -> Result<(), LockerError> {
        let mut profiles = self.store.profiles.lock();
        let entry = profiles.entries.get_mut(self.id);
        let entry = entry.filter(|entry| !entry.is_finished).ok_or(FINISHED)?;
        connection.set_owner(self.id.data().as_ffi());
        let mut set = self.store.driver.set()?;
        set.wait_for(entry.locker, connection.clone())?;
        entry.add_wait(connection.clone());
        Ok(())
    }

    /// Answers a wait by hand, heard at the next update.
    pub fn trigger(
        &self,
        connection: &SavedConnection,
        outcome: SaveOutcome,
    ) -> Result<(), LockerError> {
        let connection = connection.clone();
        let locker = self.entry(|entry| entry.locker)?;
        self.store
            .driver
            .set()?
            .with(locker, |state| state.trigger(connection, outcome))
    }

    /// Calls back once the profile is loaded, at the next update if it is already. Never, and the
    /// callback is dropped, if the session ends or loading is given up first.
    pub fn when_loaded(
        &self,
        callback: impl FnOnce(ProfileId) + Send + 'static,
    ) -> Result<(), LockerError> {
        // Outlives the lock: with what is refused the host's side ends.
        let mut callback = Some(Box::new(callback) as LoadedCallback);
        let mut profiles = self.store.profiles.lock();
        let entry = profiles
            .entries
            .get_mut(self.id)
            .filter(|entry| entry.is_active);
        let entry = entry.ok_or(ENDED)?;
        let set = self.store.driver.set()?;
        if set
            .get(entry.locker)
            .is_none_or(|state| state.status().is_final())
        {
            return Ok(());
        }
        drop(set);
        entry.when_loaded(&mut callback)?;
        if entry.is_loaded {
            profiles.loaded.push(self.id);
        }
        Ok(())
    }

    /// Hears a signal, every time or once.
    pub fn connect(
        &self,
        signal: Signal,
        once: bool,
        callback: SignalCallback,
    ) -> Result<ConnectionId, LockerError> {
        let mut profiles = self.store.profiles.lock();
        let entry = profiles
            .entries
            .get_mut(self.id)
            .filter(|entry| !entry.is_finished);
        // The callback outlives the lock: with what is refused the host's side ends.
        entry.ok_or(FINISHED)?.connect(signal, once, &callback)
    }

    /// Hears a signal no longer. False if it was not heard any more.
    pub fn disconnect(&self, connection: ConnectionId) -> bool {
        let mut profiles = self.store.profiles.lock();
        let entry = profiles.entries.get_mut(self.id);
        let gone = entry.and_then(|entry| entry.disconnect(connection));
        drop(profiles);
        gone.is_some()
    }

    /// Runs a hook before every save, the final one included; what it writes is in that save. If
    /// it fails, the document is as before it and the save is put off. `transform` sets the
    /// second hook, which runs just before the document is written out.
    pub fn set_before_save(
        &self,
        transform: bool,
        hook: Option<SaveHook>,
    ) -> Result<(), LockerError> {
        let mut profiles = self.store.profiles.lock();
        let entry = profiles
            .entries
            .get_mut(self.id)
            .filter(|entry| !entry.is_finished);
        let entry = entry.ok_or(FINISHED)?;
        let locker = entry.locker;
        let mut set = self.store.driver.set()?;
        let state = set.get_mut(locker).ok_or(FINISHED)?;
        let before = entry.set_before_save(transform, hook);
        state.set_has_save_hooks(profiles.has_save_hooks(locker));
        drop((set, profiles));
        // With no lock held: the host may be told that it is gone.
        drop(before);
        Ok(())
    }

    /// Sets what the session's log lines begin with (at most 1024 bytes); by default the key says
    /// whose they are, as it does again with an empty prefix. Profiles on one session share it.
    pub fn set_log_prefix(&self, prefix: &str) -> Result<(), LockerError> {
        let locker = self.entry(|entry| entry.locker)?;
        self.store.driver.set()?.set_log_prefix(locker, prefix)
    }

    /// Ends the session: it is saved and released. Signals are heard until `Finished`.
    pub fn end_session(&self) -> Result<(), LockerError> {
        self.store.end_session(self.id)
    }

    /// Ends the session and lets go of the profile: the store settles and releases it by itself.
    /// Nothing that was connected to the profile is called any more, hooks before a save included;
    /// waits for changes are still answered.
    pub fn destroy(&self) -> Result<(), LockerError> {
        let mut profiles = self.store.profiles.lock();
        let mut listeners = None;
        if let Some(entry) = profiles.entries.get_mut(self.id) {
            entry.is_dropped = true;
            listeners = Some(entry.take_listeners());
            if entry.is_finished {
                profiles.entries.remove(self.id);
            }
        }
        drop(profiles);
        drop(listeners);
        self.store.end_session(self.id)
    }

    /// Updates the store until the profile is loaded, ended or refused, or `timeout` seconds have
    /// passed. Blocks; for tools.
    pub fn wait_until_loaded(&self, timeout: f64) -> Result<LoadWait, LockerError> {
        let mut answer = LoadWait::TimedOut;
        self.store.wait(
            timeout,
            || Ok(()),
            || {
                answer = match self.load_status() {
                    _ if self.is_loaded() => LoadWait::Loaded,
                    _ if !self.is_active() => LoadWait::Ended,
                    Ok(status) if status.is_final() => LoadWait::Refused(status),
                    Ok(_) => LoadWait::TimedOut,
                    Err(error) => return Err(error),
                };
                Ok(answer != LoadWait::TimedOut)
            },
        )?;
        Ok(answer)
    }

    /// Updates the store until the changes made so far are saved or the session has ended without
    /// them. None: `timeout` seconds have passed, and nothing was answered. Blocks; for tools.
    pub fn wait_until_changes_saved(
        &self,
        timeout: f64,
    ) -> Result<Option<SaveOutcome>, LockerError> {
        let connection = SavedConnection::silent();
        let waited = self.store.wait(
            timeout,
            || self.wait_for(&connection),
            || Ok(!connection.is_connected()),
        );
        connection.disconnect();
        waited.map(|_| connection.outcome())
    }

    fn command<R>(&self, command: impl FnOnce(&mut LockerState) -> R) -> Result<R, LockerError> {
        let locker = self.active()?;
        self.store.driver.set()?.with(locker, command)
    }

    /// The locker of a profile, ended or not.
    pub(super) fn locker(&self) -> Result<LockerId, LockerError> {
        self.entry(|entry| entry.locker)
    }

    /// The locker of a profile that the host has not ended.
    fn active(&self) -> Result<LockerId, LockerError> {
        match self.entry(|entry| (entry.locker, entry.is_active))? {
            (_, false) => Err(ENDED),
            (locker, true) => Ok(locker),
        }
    }

    fn query<R>(&self, query: impl FnOnce(&LockerState) -> R) -> Result<R, LockerError> {
        let locker = self.entry(|entry| entry.locker)?;
        let set = self.store.driver.set()?;
        set.get(locker).map(query).ok_or(FINISHED)
    }

    fn entry<R>(&self, read: impl FnOnce(&Entry) -> R) -> Result<R, LockerError> {
        self.store
            .profiles
            .lock()
            .entries
            .get(self.id)
            .map(read)
            .ok_or(FINISHED)
    }
}

impl WeakProfile {
    /// The profile, unless its store is gone.
    pub fn upgrade(&self) -> Option<Profile> {
        Some(Profile {
            store: self.store.upgrade()?,
            id: self.id,
            data: Arc::clone(&self.data),
        })
    }
}
