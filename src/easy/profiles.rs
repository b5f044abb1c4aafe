//! The table of a store's profiles: who is on which locker, and who wants to hear what.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use slotmap::{SlotMap, new_key_type};

use crate::locker::{LockerError, LockerId, SavedConnection, add_pruned};

use super::signal::{Connection, ConnectionId, ProfileEvent, Signal, SignalCallback};

new_key_type! {
    /// Names a profile of a store. A name is never used for two profiles.
    pub struct ProfileId;
}

/// A hook before a save, given to one profile.
pub(super) type SaveHook = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What a host wants called once a profile is loaded.
pub(super) type LoadedCallback = Box<dyn FnOnce(ProfileId) + Send>;

/// One session as its host sees it.
pub(super) struct Entry {
    pub locker: LockerId,
    pub key: Arc<str>,
    /// False once the host has ended it.
    pub is_active: bool,
    pub is_loaded: bool,
    /// The host has let go of it: forgotten once it is finished.
    pub is_dropped: bool,
    pub is_finished: bool,
    /// The waits that are not answered, and some that are.
    waits: Vec<SavedConnection>,
    /// How many of its purchases are not answered yet.
    pub purchases: usize,
    listeners: Option<Box<Listeners>>,
}

/// What few profiles have.
#[derive(Default)]
pub(super) struct Listeners {
    next_connection: u32,
    connections: Vec<Connection>,
    when_loaded: Vec<LoadedCallback>,
    before_save: Option<SaveHook>,
    before_save_transform: Option<SaveHook>,
}

/// A locker and the profiles that share it.
#[derive(Default)]
pub(super) struct OnLocker {
    pub profiles: Vec<ProfileId>,
    /// The reset with which every locker begins is not the profiles' to hear.
    pub has_begun: bool,
    /// What went wrong last, until something goes right.
    pub last_error: Option<Box<str>>,
}

/// See the module's page.
#[derive(Default)]
pub(super) struct Profiles {
    pub entries: SlotMap<ProfileId, Entry>,
    pub lockers: HashMap<LockerId, OnLocker>,
    /// What profiles have to tell, heard at the next update.
    pub pending: VecDeque<(ProfileId, ProfileEvent)>,
    /// Profiles that are loaded and have not called back yet.
    pub loaded: Vec<ProfileId>,
    /// Ended profiles whose locker goes on with others: finished once their waits are answered.
    pub leaving: Vec<ProfileId>,
    pub is_closed: bool,
}

impl Entry {
    pub fn new(locker: LockerId, key: Arc<str>) -> Self {
        Self {
            locker,
            key,
            is_active: true,
            is_loaded: false,
            is_dropped: false,
            is_finished: false,
            waits: Vec::new(),
            purchases: 0,
            listeners: None,
        }
    }

    /// The callback is the caller's to drop with no lock held, should this be refused.
    pub fn connect(
        &mut self,
        signal: Signal,
        once: bool,
        callback: &SignalCallback,
    ) -> Result<ConnectionId, LockerError> {
        let listeners = self.listeners.get_or_insert_default();
        refuse_beyond(
            "connections to signals of this profile",
            listeners.connections.len(),
        )?;
        let id = ConnectionId(listeners.next_connection);
        listeners.next_connection += 1;
        listeners.connections.push(Connection {
            id,
            signal,
            once,
            callback: Arc::clone(callback),
        });
        Ok(id)
    }

    /// Gives back the connection, if it was still there.
    pub fn disconnect(&mut self, id: ConnectionId) -> Option<Connection> {
        let connections = &mut self.listeners.as_mut()?.connections;
        let index = place(connections, id)?;
        Some(connections.remove(index))
    }

    /// The connections that a signal calls, in the order they were made.
    pub fn hearing(&self, signal: Signal) -> Vec<Connection> {
        let Some(listeners) = &self.listeners else {
            return Vec::new();
        };
        let hears = |connection: &&Connection| connection.signal == signal;
        let connections = listeners.connections.iter();
        connections.filter(hears).cloned().collect()
    }

    /// Whether a connection is still there: an earlier callback may have ended it.
    pub fn is_connected(&self, id: ConnectionId) -> bool {
        let listeners = self.listeners.as_ref();
        listeners.is_some_and(|all| place(&all.connections, id).is_some())
    }

    /// Takes the callback, unless this is refused.
    pub fn when_loaded(
        &mut self,
        callback: &mut Option<LoadedCallback>,
    ) -> Result<(), LockerError> {
        let listeners = self.listeners.get_or_insert_default();
        refuse_beyond(
            "waits for the load of this profile",
            listeners.when_loaded.len(),
        )?;
        listeners.when_loaded.extend(callback.take());
        Ok(())
    }

    pub fn take_when_loaded(&mut self) -> Vec<LoadedCallback> {
        self.listeners
            .as_mut()
            .map(|all| std::mem::take(&mut all.when_loaded))
            .unwrap_or_default()
    }

    pub fn set_before_save(&mut self, transform: bool, hook: Option<SaveHook>) -> Option<SaveHook> {
        let listeners = self.listeners.get_or_insert_default();
        match transform {
            false => std::mem::replace(&mut listeners.before_save, hook),
            true => std::mem::replace(&mut listeners.before_save_transform, hook),
        }
    }

    pub fn before_save(&self, transform: bool) -> Option<&SaveHook> {
        let listeners = self.listeners.as_ref()?;
        match transform {
            false => listeners.before_save.as_ref(),
            true => listeners.before_save_transform.as_ref(),
        }
    }

    pub fn has_save_hooks(&self) -> bool {
        self.before_save(false).or(self.before_save(true)).is_some()
    }

    /// All that the host has given it, to be dropped with no lock held.
    pub fn take_listeners(&mut self) -> Option<Box<Listeners>> {
        self.listeners.take()
    }

    /// Whether something that it has asked for is not answered yet.
    pub fn has_open_waits(&self) -> bool {
        self.purchases > 0 || self.waits.iter().any(SavedConnection::is_connected)
    }

    /// Remembers a wait, for the profile is not finished before it is answered.
    pub fn add_wait(&mut self, wait: SavedConnection) {
        add_pruned(&mut self.waits, wait, SavedConnection::is_connected);
    }
}

/// How many connections and waits for the load a profile may have at a time.
const LISTENERS_MAX: usize = 65_536;

fn refuse_beyond(what: &'static str, count: usize) -> Result<(), LockerError> {
    let max = LISTENERS_MAX;
    match count < max {
        true => Ok(()),
        false => Err(LockerError::TooMany { what, max }),
    }
}

/// Where a connection stands among those of a profile, which are in the order they were made.
fn place(connections: &[Connection], id: ConnectionId) -> Option<usize> {
    connections
        .binary_search_by_key(&id, |connection| connection.id)
        .ok()
}

impl Profiles {
    /// The profiles on a locker, in the order they came.
    pub fn on(&self, locker: LockerId) -> Vec<ProfileId> {
        self.lockers
            .get(&locker)
            .map(|on| on.profiles.clone())
            .unwrap_or_default()
    }

    pub fn key(&self, profile: ProfileId) -> Arc<str> {
        let entry = self.entries.get(profile);
        entry
            .map(|entry| Arc::clone(&entry.key))
            .unwrap_or_default()
    }

    pub fn has_active(&self, locker: LockerId) -> bool {
        self.lockers.get(&locker).is_some_and(|on| {
            let mut profiles = on.profiles.iter();
            profiles.any(|id| self.entries.get(*id).is_some_and(|entry| entry.is_active))
        })
    }

    pub fn has_save_hooks(&self, locker: LockerId) -> bool {
        self.on(locker)
            .iter()
            .any(|id| self.entries[*id].has_save_hooks())
    }
}
