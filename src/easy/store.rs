//! The store: the seed's `EasyStore`.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::locker::{
    Driver, HookAnswer, InboxHooks, LoadStatus, LockerError, LockerId, NewLocker, ReportError,
    Scope, SessionOptions, SetGuard, SharedSaveData, SpecOptions, UNREAD_EVENTS_MAX, UseKey,
    new_driver,
};
use crate::purchaser::Purchases;
use crate::remote_change::{SendCallback, SendError, SendId, SenderOptions, Sending};
use crate::save_data::{RemoteChange, SaveData};
use crate::storage::{RequestStats, Storage};

use super::profile::Profile;
use super::profiles::{Entry, Profiles};
use super::signal::{ProfileEvent, Status, StoreEvent};

/// What a store's host may want to be called for. Every method runs inside a call of the host's,
/// on that thread, with no lock held, and may call anything.
pub trait StoreHooks: Send + Sync {
    /// Makes a new document for a key. Asked only where the store has no template; must depend on
    /// its arguments alone, for it may run again for the same key.
    fn create(&self, key: &str) -> Result<SaveData, String>;

    /// Applies a remote change to the save data of this key, as
    /// [`LockerHooks::process_remote_change`](crate::locker::LockerHooks::process_remote_change)
    /// says; also where the host has dropped every profile of the key.
    fn process_remote_change(
        &self,
        key: &str,
        data: &Arc<SharedSaveData>,
        change: &RemoteChange,
    ) -> Result<HookAnswer, String> {
        let _ = (key, data, change);
        Ok(HookAnswer::NotApplicable)
    }

    /// Whether [`StoreHooks::process_remote_change`] does anything.
    fn has_process_remote_change(&self) -> bool {
        false
    }

    /// Takes over what was written before the load, as
    /// [`LockerHooks::merge_offline`](crate::locker::LockerHooks::merge_offline) says.
    fn merge_offline(
        &self,
        key: &str,
        offline: SaveData,
        data: &Arc<SharedSaveData>,
    ) -> Result<(), String> {
        let _ = (key, offline, data);
        Ok(())
    }

    /// Whether [`StoreHooks::merge_offline`] does anything.
    fn has_merge_offline(&self) -> bool {
        false
    }

    /// Something happened. Not called for a store whose events are polled.
    fn event(&self, event: &StoreEvent) {
        let _ = event;
    }

    /// Whether [`StoreHooks::event`] listens. Where nobody does and events are not polled, errors
    /// go to the process-wide reporter: see [`ReportedError`](crate::locker::ReportedError).
    fn hears_events(&self) -> bool {
        true
    }

    /// Who is told of every error, beside its event and before it, and instead of the process-wide
    /// reporters.
    fn report_error(&self) -> Option<&ReportError> {
        None
    }
}

/// Sessions for a whole game server, driven by one update. A clone names the same store.
///
/// Dropping the last clone leaves live sessions to expire by themselves: close and drain first.
#[derive(Clone)]
pub struct EasyStore(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub driver: Arc<Driver>,
    pub hooks: Box<dyn StoreHooks>,
    pub polls_events: bool,
    pub profiles: Mutex<Profiles>,
    pub unread: Mutex<VecDeque<StoreEvent>>,
    pub sending: Sending,
    pub purchases: Purchases,
}

/// Keeps a store's own sender from the name of a stand-alone one that was given the store's seed: the
/// changes of the one would count as received from the other.
const SENDER_OF_A_STORE: u64 = 0x6561_7379_5f73_746f;

impl EasyStore {
    /// A store for the records of one storage. Refuses a configuration that cannot work.
    pub fn new(
        storage: Arc<dyn Storage>,
        options: SpecOptions,
        hooks: Box<dyn StoreHooks>,
    ) -> Result<Self, LockerError> {
        let polls_events = options.polls_events;
        let sender_options = SenderOptions {
            create_if_missing: true,
            ..SenderOptions::new(options.seed ^ SENDER_OF_A_STORE)
        };
        let inbox_hooks = InboxHooks {
            remote_change: hooks.has_process_remote_change(),
            merge_offline: hooks.has_merge_offline(),
        };
        let driver = Arc::new(new_driver(storage, options, inbox_hooks)?);
        let sending = Sending::new(driver.shared()?, &sender_options);
        let (profiles, unread) = (Mutex::default(), Mutex::default());
        Ok(Self(Arc::new(Inner {
            driver,
            hooks,
            polls_events,
            profiles,
            unread,
            sending,
            purchases: Purchases::default(),
        })))
    }

    /// Begins a session for a key. While another session of this store has the key, this one
    /// waits until that has ended. All but the user ids, see [`SessionOptions`], is at its default.
    pub fn start_session(&self, key: &str, user_ids: &[&str]) -> Result<Profile, LockerError> {
        self.start_session_with(key, &SessionOptions::of_users(user_ids))
    }

    /// Like [`EasyStore::start_session`], with options.
    pub fn start_session_with(
        &self,
        key: &str,
        options: &SessionOptions<'_>,
    ) -> Result<Profile, LockerError> {
        let start = options.check(key)?;
        let mut profiles = self.0.open_profiles()?;
        let mut set = self.0.driver.set()?;
        self.start(start, &mut profiles, &mut set)
    }

    /// Like [`EasyStore::start_session`], but joins the session that this store has of the key,
    /// if it has one that is not ending. That session ends when the last of its profiles has
    /// ended. On a loaded session the profile is loaded at once.
    pub fn start_session_reusable(
        &self,
        key: &str,
        user_ids: &[&str],
    ) -> Result<Profile, LockerError> {
        self.start_session_reusable_with(key, &SessionOptions::of_users(user_ids))
    }

    /// Like [`EasyStore::start_session_reusable`], with options. They count only if the session
    /// begins here.
    pub fn start_session_reusable_with(
        &self,
        key: &str,
        options: &SessionOptions<'_>,
    ) -> Result<Profile, LockerError> {
        let start = options.check(key)?;
        let mut profiles = self.0.open_profiles()?;
        let mut set = self.0.driver.set()?;
        match set.live(key) {
            Some(locker) => self.join(locker, start.key, &mut profiles, &mut set),
            None => self.start(start, &mut profiles, &mut set),
        }
    }

    fn start(
        &self,
        start: NewLocker,
        profiles: &mut Profiles,
        set: &mut SetGuard<'_>,
    ) -> Result<Profile, LockerError> {
        let key = Arc::clone(&start.key);
        let locker = set.insert(start);
        set.want(locker, UseKey::DEFAULT)?;
        self.join(locker, key, profiles, set)
    }

    /// One more profile on a locker.
    fn join(
        &self,
        locker: LockerId,
        key: Arc<str>,
        profiles: &mut Profiles,
        set: &mut SetGuard<'_>,
    ) -> Result<Profile, LockerError> {
        let (data, status) =
            set.note(locker, |state| (Arc::clone(state.data()), state.status()))?;
        let mut entry = Entry::new(locker, key);
        entry.is_loaded = status == LoadStatus::Loaded;
        let id = profiles.entries.insert(entry);
        let on = profiles.lockers.entry(locker).or_default();
        on.profiles.push(id);
        let store = Arc::clone(&self.0);
        Ok(Profile { store, id, data })
    }

    /// Sends remote changes to a key, which is made if it is missing: see
    /// [`RemoteChangeSender::send`](crate::remote_change::RemoteChangeSender::send). How it ended is
    /// told to the callback, and as an event.
    pub fn send_remote_changes(
        &self,
        key: &str,
        json_array: &str,
        operation_id: Option<&str>,
        mut completion: Option<SendCallback>,
    ) -> Result<SendId, SendError> {
        let sending = &self.0.sending;
        let prepared = sending.prepare(key, json_array, operation_id)?;
        // Held until the send is taken: a store that is closed meanwhile waits for it.
        let _open = self.0.open_profiles()?;
        sending.send(prepared, &mut completion)
    }

    /// Does all there is to do at `now`: seconds that never run backwards, from any epoch, time
    /// asleep included. A smaller value than the last counts as the last.
    pub fn update(&self, now: f64) -> Result<(), LockerError> {
        self.0.update(now)
    }

    /// Begins shutdown: no session or send starts any more, all sessions end, and what is being sent
    /// goes on.
    pub fn close(&self) -> Result<(), LockerError> {
        let mut profiles = self.0.profiles.lock();
        profiles.is_closed = true;
        let active: Vec<_> = profiles
            .entries
            .iter()
            .filter(|(_, entry)| entry.is_active)
            .map(|(id, _)| id)
            .collect();
        drop(profiles);
        active.into_iter().try_for_each(|id| self.0.end_session(id))
    }

    /// Whether the store was closed, every session is released and every send answered.
    pub fn is_closed(&self) -> Result<bool, LockerError> {
        let profiles = self.0.profiles.lock();
        let is_quiet = profiles.pending.is_empty()
            && profiles.leaving.is_empty()
            && profiles.lockers.is_empty();
        let is_closed = profiles.is_closed && is_quiet;
        drop(profiles);
        let is_waited_for = self.0.purchases.has_incomplete() || self.0.sending.is_sending()?;
        Ok(is_closed && !is_waited_for && self.0.driver.set()?.len() == 0)
    }

    /// How many times a locker or a send has had something to do: an idle frame adds none.
    pub fn touches(&self) -> Result<u64, LockerError> {
        let lockers = self.0.driver.set()?.touches();
        Ok(lockers + self.0.sending.touches()?)
    }

    /// What the store's sessions and sends have asked of the storage, how it answered, and how many wait
    /// for the store's own limits. (The look at a gift's recipient is counted by the storage alone.)
    pub fn stats(&self) -> Result<RequestStats, LockerError> {
        let mut stats = self.0.driver.set()?.stats().clone();
        stats.add(&self.0.sending.stats()?);
        Ok(stats)
    }

    /// Moves up to `most` unread events to the host, oldest first.
    pub fn poll_events(&self, most: usize) -> Vec<StoreEvent> {
        let mut unread = self.0.unread.lock();
        let count = most.min(unread.len());
        unread.drain(..count).collect()
    }
}

impl Inner {
    pub fn update(&self, now: f64) -> Result<(), LockerError> {
        self.driver.update(now, Scope::All, self)
    }

    /// Does `first`, then updates until `is_done` or until `timeout` seconds have passed.
    pub fn wait(
        &self,
        timeout: f64,
        first: impl FnOnce() -> Result<(), LockerError>,
        is_done: impl FnMut() -> Result<bool, LockerError>,
    ) -> Result<bool, LockerError> {
        self.driver
            .wait(timeout, (Scope::All, self), first, is_done)
    }

    /// Refuses what would be told to a host that does not read.
    pub(super) fn check_unread(&self) -> Result<(), LockerError> {
        let unread = self.unread.lock().len();
        match unread < UNREAD_EVENTS_MAX {
            true => Ok(()),
            false => Err(LockerError::UnreadEvents { unread }),
        }
    }

    /// The table, if sessions may still start.
    fn open_profiles(&self) -> Result<parking_lot::MutexGuard<'_, Profiles>, LockerError> {
        self.check_unread()?;
        let profiles = self.profiles.lock();
        if profiles.is_closed {
            return Err(LockerError::Closed);
        }
        Ok(profiles)
    }

    /// Ends a profile: the session ends with the last of its profiles.
    pub fn end_session(&self, id: super::ProfileId) -> Result<(), LockerError> {
        let mut profiles = self.profiles.lock();
        let Some(entry) = profiles.entries.get_mut(id).filter(|entry| entry.is_active) else {
            return Ok(());
        };
        entry.is_active = false;
        let locker = entry.locker;
        profiles
            .pending
            .push_back((id, ProfileEvent::Lifecycle(Status::Destroyed)));
        if profiles.has_active(locker) {
            profiles.leaving.push(id);
            return Ok(());
        }
        // Still under the table's lock: nobody may join the session in between.
        self.release(locker)
    }

    fn release(&self, locker: LockerId) -> Result<(), LockerError> {
        self.driver
            .set()?
            .with(locker, |state| state.unwant(UseKey::DEFAULT))
    }
}
