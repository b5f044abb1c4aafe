//! The full API: a [`LockerSpec`] and the [`Locker`]s made from it, each driven by the host.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::migration::Migrators;
use crate::save_data::{ProductId, RemoteChange, SaveData};
use crate::storage::Storage;
use crate::storage::overlay::ReadOnlyOverlay;

use super::config::Config;
use super::credit::CreditError;
use super::driver::{Driver, Host, LockerError, Shared};
use super::event::{Event, LoadStatus, SaveOutcome};
use super::inbox::InboxHooks;
use super::locker_ref::LockerRef;
use super::report::ReportError;
use super::saved_connection::{SavedCallback, SavedConnection};
use super::session_options::{NewLocker, SessionOptions};
use super::set::{LockerId, LockerSet, Scope};
use super::shared_data::{HookAnswer, SharedSaveData};
use super::state::LockerState;
use super::use_keys::UseKey;

/// The most events that may wait unread, for a host that polls.
pub(crate) const UNREAD_EVENTS_MAX: usize = 65_536;

/// What a host may want to be called for. Every method runs inside a call of the host's, on that
/// thread, with no lock held, and may call anything.
pub trait LockerHooks: Send + Sync {
    /// Makes a new document for a key. Asked only where the spec has no template; must depend on
    /// its arguments alone, for it may run again for the same key.
    fn create(&self, key: &str) -> Result<SaveData, String>;

    /// Runs before a save; `transform` marks the second call, just before the document is
    /// written out. What it writes is in that save. If it fails, the document is as before it and
    /// the save is put off.
    fn before_save(&self, locker: LockerId, transform: bool) -> Result<(), String> {
        let _ = (locker, transform);
        Ok(())
    }

    /// Whether [`LockerHooks::before_save`] does anything.
    fn has_before_save(&self) -> bool {
        false
    }

    /// Applies a remote change to the save data of this key. Asked for each entry of the inbox in
    /// its order: when the key was acquired, before that is told; and during the session for what
    /// a save has found new in the inbox.
    ///
    /// Applied, the change leaves the inbox, and both are in one commit. Otherwise the save data is as
    /// before, the change stays, and later ones go on: what is not applicable (a kind that this
    /// server does not know) is asked for again at the next load, what failed (also by a panic)
    /// is reported and asked for again after `session_retry_cooldown` as well. It may write to this
    /// save data alone; others read it as it was until it has returned.
    fn process_remote_change(
        &self,
        key: &str,
        data: &Arc<SharedSaveData>,
        change: &RemoteChange,
    ) -> Result<HookAnswer, String> {
        let _ = (key, data, change);
        Ok(HookAnswer::NotApplicable)
    }

    /// Whether [`LockerHooks::process_remote_change`] does anything.
    fn has_process_remote_change(&self) -> bool {
        false
    }

    /// Takes over what was written while the save data was the default, `offline`, into what was
    /// loaded, `data`. Called at every load, after the remote changes and before the load is told. If
    /// it fails, it is undone and reported, and the save data is loaded all the same. It may write
    /// to `data` alone.
    fn merge_offline(
        &self,
        key: &str,
        offline: SaveData,
        data: &Arc<SharedSaveData>,
    ) -> Result<(), String> {
        let _ = (key, offline, data);
        Ok(())
    }

    /// Whether [`LockerHooks::merge_offline`] does anything.
    fn has_merge_offline(&self) -> bool {
        false
    }

    /// Something happened. Not called for a spec whose events are polled.
    fn event(&self, locker: LockerId, key: &Arc<str>, event: &Event) {
        let _ = (locker, key, event);
    }

    /// Whether [`LockerHooks::event`] listens. Where nobody does and events are not polled, errors
    /// go to the process-wide reporter: see [`ReportedError`](super::ReportedError).
    fn hears_events(&self) -> bool {
        true
    }

    /// Who is told of every error, beside its event and before it, and instead of the process-wide
    /// reporter.
    fn report_error(&self) -> Option<&ReportError> {
        None
    }
}

/// What a spec or store is made of, beside its storage.
pub struct SpecOptions {
    /// Periods, limits and the server's identity.
    pub config: Config,
    /// How older documents are brought up to date.
    pub migrators: Migrators,
    /// The fields of a new document; without it, the create hook makes them.
    pub template: Option<SaveData>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// What all chance is drawn from: lock ids, spread and jitter. Must differ between servers that run
    /// at the same time. A server that is started again may have its old one: the wall clock goes into
    /// each lock id too.
    pub seed: u64,
    /// Events wait to be polled instead of being called back.
    pub polls_events: bool,
}

/// What lockers have in common: the seed's `LockerSpec`. A clone names the same spec.
#[derive(Clone)]
pub struct LockerSpec(Arc<Inner>);

struct Inner {
    driver: Arc<Driver>,
    hooks: Box<dyn LockerHooks>,
    polls_events: bool,
    unread: Mutex<Unread>,
}

/// One key's lock and save data: the seed's `LockerState`. A clone names the same locker.
#[derive(Clone)]
pub struct Locker(Arc<Handle>);

struct Handle {
    spec: LockerSpec,
    id: LockerId,
    key: Arc<str>,
    data: Arc<SharedSaveData>,
}

/// Names a locker without keeping it or its spec alive.
#[derive(Clone)]
pub struct WeakLocker(Weak<Handle>);

/// What a host that polls has not read yet.
#[derive(Default)]
struct Unread {
    /// By locker: each that the host still has.
    of: HashMap<LockerId, VecDeque<Event>>,
    /// How many they are.
    count: usize,
}

impl Unread {
    /// Keeps an event, or gives it back if the host has the locker no more.
    fn push(&mut self, locker: LockerId, event: Event) -> Option<Event> {
        let Some(events) = self.of.get_mut(&locker) else {
            return Some(event);
        };
        events.push_back(event);
        self.count += 1;
        None
    }

    /// Up to `most`, oldest first.
    fn take(&mut self, locker: LockerId, most: usize) -> Vec<Event> {
        let Some(events) = self.of.get_mut(&locker) else {
            return Vec::new();
        };
        let count = most.min(events.len());
        self.count -= count;
        events.drain(..count).collect()
    }

    /// Gives back what nobody will read.
    fn forget(&mut self, locker: LockerId) -> Option<VecDeque<Event>> {
        let events = self.of.remove(&locker);
        self.count -= events.as_ref().map_or(0, VecDeque::len);
        events
    }
}

impl LockerSpec {
    /// A spec for the records of one storage. Refuses a configuration that cannot work.
    pub fn new(
        storage: Arc<dyn Storage>,
        options: SpecOptions,
        hooks: Box<dyn LockerHooks>,
    ) -> Result<Self, LockerError> {
        let polls_events = options.polls_events;
        let inbox_hooks = InboxHooks {
            remote_change: hooks.has_process_remote_change(),
            merge_offline: hooks.has_merge_offline(),
        };
        let driver = Arc::new(new_driver(storage, options, inbox_hooks)?);
        let unread = Mutex::default();
        Ok(Self(Arc::new(Inner {
            driver,
            hooks,
            polls_events,
            unread,
        })))
    }

    /// The configuration in force.
    pub fn config(&self) -> Result<Arc<Config>, LockerError> {
        Ok(Arc::clone(self.0.driver.set()?.config()))
    }

    /// The seed's `LockerCreate`: a locker for this key that wants nothing yet. All but the user
    /// ids, see [`SessionOptions`], is at its default.
    pub fn create_locker(&self, key: &str, user_ids: &[&str]) -> Result<Locker, LockerError> {
        self.create_locker_with(key, &SessionOptions::of_users(user_ids))
    }

    /// Like [`LockerSpec::create_locker`], with options.
    pub fn create_locker_with(
        &self,
        key: &str,
        options: &SessionOptions<'_>,
    ) -> Result<Locker, LockerError> {
        self.create(options.check(key)?)
    }

    /// The seed's `LockerCreatePlayer`: a locker for a player, whose user id (1 to 128 bytes) is
    /// the key and the record's only user id. The options must have none.
    pub fn create_player_locker(
        &self,
        user_id: &str,
        options: &SessionOptions<'_>,
    ) -> Result<Locker, LockerError> {
        self.create(options.check_player(user_id)?)
    }

    /// How many times a locker has had something to do: an idle frame adds none.
    pub fn touches(&self) -> Result<u64, LockerError> {
        Ok(self.0.driver.set()?.touches())
    }

    fn create(&self, start: NewLocker) -> Result<Locker, LockerError> {
        self.check_unread()?;
        let key = Arc::clone(&start.key);
        let mut set = self.0.driver.set()?;
        let id = set.insert(start);
        if self.0.polls_events {
            self.0.unread.lock().of.insert(id, VecDeque::new());
        }
        let has_hooks = self.0.hooks.has_before_save();
        let data = set.with(id, |locker| {
            locker.set_has_save_hooks(has_hooks);
            Arc::clone(locker.data())
        })?;
        let spec = self.clone();
        Ok(Locker(Arc::new(Handle {
            spec,
            id,
            key,
            data,
        })))
    }

    /// Refuses what would be told to a host that does not read.
    fn check_unread(&self) -> Result<(), LockerError> {
        let unread = self.0.unread.lock().count;
        match unread < UNREAD_EVENTS_MAX {
            true => Ok(()),
            false => Err(LockerError::UnreadEvents { unread }),
        }
    }

    /// What a sender shares with the lockers.
    pub(crate) fn shared(&self) -> Result<Shared, LockerError> {
        self.0.driver.shared()
    }

    /// Runs the create hook.
    pub(crate) fn create_save_data(&self, key: &str) -> Result<SaveData, String> {
        self.0.hooks.create(key)
    }
}

/// The driver of a spec or a store.
pub(crate) fn new_driver(
    storage: Arc<dyn Storage>,
    options: SpecOptions,
    inbox_hooks: InboxHooks,
) -> Result<Driver, LockerError> {
    let SpecOptions {
        mut config,
        migrators,
        template,
        clock,
        seed,
        ..
    } = options;
    config.check()?;
    if config.job_id.is_empty() {
        config.job_id = random_job_id(seed).into();
    }
    let storage: Arc<dyn Storage> = match config.read_only_data_stores {
        true => Arc::new(ReadOnlyOverlay::new(storage, None)),
        false => storage,
    };
    if let Some(most) = storage.most_in_flight() {
        // What would only wait before the storage waits here, where the shortest lease goes first and no
        // time for an answer runs.
        config.requests_in_flight = config.requests_in_flight.min(most.get());
    }
    let template = template.map(|template| config.stamp_new(template));
    let template = template.transpose().map_err(LockerError::Template)?;
    let config = Arc::new(config);
    let set = LockerSet::new(config, migrators.clone(), template, inbox_hooks, seed);
    Ok(Driver::new(set, storage, clock, migrators))
}

/// The seed's `JobId` where the host gave none: a random UUID.
fn random_job_id(seed: u64) -> String {
    let mut rng = fastrand::Rng::with_seed(seed ^ 0x006a_6f62_6964);
    let bits = rng.u128(..);
    let (a, b, c) = (
        (bits >> 96) as u32,
        (bits >> 80) as u16,
        (bits >> 64) as u16 & 0xfff,
    );
    let (d, e) = (
        (bits >> 48) as u16 & 0x3fff | 0x8000,
        bits as u64 & 0xffff_ffff_ffff,
    );
    format!("{a:08x}-{b:04x}-4{c:03x}-{d:04x}-{e:012x}")
}

impl WeakLocker {
    /// The locker, unless nobody has it any more.
    pub fn upgrade(&self) -> Option<Locker> {
        self.0.upgrade().map(Locker)
    }
}

impl Locker {
    /// The same locker, without keeping it alive.
    pub fn downgrade(&self) -> WeakLocker {
        WeakLocker(Arc::downgrade(&self.0))
    }

    /// The locker's name among the spec's.
    pub fn id(&self) -> LockerId {
        self.0.id
    }

    /// The key.
    pub fn key(&self) -> &Arc<str> {
        &self.0.key
    }

    /// The save data: the player's while the load status is loaded, else the default.
    pub fn save_data(&self) -> &Arc<SharedSaveData> {
        &self.0.data
    }

    /// Acquires the key, now or as soon as it is free; after a final load status, tries anew. The
    /// session is then held for as long as a use key of the locker's is: here the default one, 0.
    pub fn mark_should_acquire(&self) -> Result<(), LockerError> {
        self.mark_should_acquire_for(0)
    }

    /// Like [`Locker::mark_should_acquire`], with a use key that the host has chosen. One that is
    /// held already is held once; at most 1024 may be.
    pub fn mark_should_acquire_for(&self, use_key: u64) -> Result<(), LockerError> {
        self.driver().set()?.want(self.id(), UseKey::Host(use_key))
    }

    /// Lets go of the default use key. With the last use key the session is saved and released.
    pub fn mark_should_release(&self) -> Result<(), LockerError> {
        self.mark_should_release_for(0)
    }

    /// Lets go of a use key; with one that is not held, nothing happens. With the last one the
    /// session is saved and released.
    pub fn mark_should_release_for(&self, use_key: u64) -> Result<(), LockerError> {
        self.command(|locker| locker.unwant(UseKey::Host(use_key)))
    }

    /// Notes a change; it is in the next save.
    pub fn mark_should_save(&self) -> Result<(), LockerError> {
        self.driver()
            .set()?
            .note(self.id(), LockerState::mark_should_save)
    }

    /// Notes a change and saves now.
    pub fn mark_force_save(&self) -> Result<(), LockerError> {
        self.command(LockerState::mark_force_save)
    }

    /// Sets what the locker's log lines begin with (at most 1024 bytes); by default its key says
    /// whose they are, as it does again with an empty prefix.
    pub fn set_log_prefix(&self, prefix: &str) -> Result<(), LockerError> {
        self.driver().set()?.set_log_prefix(self.id(), prefix)
    }

    /// Waits for the changes made so far to be saved; the callback, if any, hears the answer.
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
        let mut set = self.driver().set()?;
        set.wait_for(self.id(), connection.clone())
    }

    /// Answers a wait by hand, heard at the next update.
    pub fn trigger(
        &self,
        connection: &SavedConnection,
        outcome: SaveOutcome,
    ) -> Result<(), LockerError> {
        let connection = connection.clone();
        self.command(|locker| locker.trigger(connection, outcome))
    }

    /// The seed's `LoadStatus`.
    pub fn load_status(&self) -> Result<LoadStatus, LockerError> {
        self.query(LockerState::status)
    }

    /// After `InvalidVersion`: the version a server must have for this document.
    pub fn minimum_server_version(&self) -> Result<u32, LockerError> {
        self.query(LockerState::minimum_server_version)
    }

    /// Nothing held, nothing under way, nothing wanted: the locker may be deleted.
    pub fn is_idle(&self) -> Result<bool, LockerError> {
        self.query(LockerState::is_idle)
    }

    /// True once deleted.
    pub fn is_deleted(&self) -> Result<bool, LockerError> {
        Ok(self.driver().set()?.get(self.id()).is_none())
    }

    /// The seed's `IsSyncing`: false while the host keeps the player's state elsewhere and does not
    /// promise that it is in the save data by the next save. Then the locker is not available, and
    /// is saved all the same. True in the beginning; it stays as set, across sessions too.
    pub fn set_is_syncing(&self, is_syncing: bool) -> Result<(), LockerError> {
        let set = |locker: &mut LockerState| locker.set_is_syncing(is_syncing);
        self.driver().set()?.note(self.id(), set)
    }

    /// What was set by [`Locker::set_is_syncing`].
    pub fn is_syncing(&self) -> Result<bool, LockerError> {
        self.query(LockerState::is_syncing)
    }

    /// Loaded, syncing, within the lease, and not being released: changes made now will be saved.
    pub fn is_available(&self) -> Result<bool, LockerError> {
        self.driver().is_available(self.id())
    }

    /// How much of a product the player has paid for and not been given yet.
    pub fn product_credit(&self, product_id: ProductId) -> Result<i64, CreditError> {
        self.query(|locker| locker.product_credit(product_id))?
    }

    /// Adds to the credit of a product, by 1 or more.
    pub fn give_product_credit(
        &self,
        product_id: ProductId,
        amount: i64,
    ) -> Result<(), CreditError> {
        self.command(|locker| locker.give_product_credit(product_id, amount))?
    }

    /// Takes 1 or more from the credit of a product. False, and nothing taken, where there is too
    /// little.
    pub fn use_product_credit(
        &self,
        product_id: ProductId,
        amount: i64,
    ) -> Result<bool, CreditError> {
        self.command(|locker| locker.use_product_credit(product_id, amount))?
    }

    /// The unsaved document of the session that was lost last.
    pub fn lost_save_data(&self) -> Result<Option<SaveData>, LockerError> {
        self.query(|locker| locker.lost().cloned())
    }

    /// The seed's `SessionUpdate`: does all there is to do for this locker at `now`, monotonic
    /// seconds. True when the locker is idle and may be deleted; false also if a callback has
    /// deleted it already.
    ///
    /// The clock is read anew after the last wait, or update with an earlier time, has returned.
    /// Updates at one time share one frame's requests and bytes. A locker that finds none left has its
    /// turn first in the next frame, and loses it after ten seconds without an update.
    pub fn update(&self, now: f64) -> Result<bool, LockerError> {
        self.query(|_| ())?;
        self.driver()
            .update(now, Scope::One(self.id()), &*self.0.spec.0)?;
        Ok(self.query(LockerState::is_idle).unwrap_or(false))
    }

    /// The seed's `MarkDeleted`: removes the locker, which must be idle, or not wanted before its first
    /// update has come to an end. The host hears of it
    /// before this returns, or from the update that is under way.
    pub fn mark_deleted(&self) -> Result<(), LockerError> {
        self.query(|_| ())?;
        if !self.driver().set()?.remove(self.id()) {
            return Err(LockerError::NotIdle);
        }
        self.driver().tell(&*self.0.spec.0)
    }

    /// Moves up to `most` unread events to the host, oldest first.
    pub fn poll_events(&self, most: usize) -> Vec<Event> {
        self.0.spec.0.unread.lock().take(self.id(), most)
    }

    /// Updates the locker until the changes made so far are saved or the session has ended without
    /// them. None: `timeout` seconds have passed, and nothing was answered. Blocks; for tools.
    pub fn wait_until_changes_saved(
        &self,
        timeout: f64,
    ) -> Result<Option<SaveOutcome>, LockerError> {
        let connection = SavedConnection::silent();
        let waited = self.driver().wait(
            timeout,
            (Scope::One(self.id()), &*self.0.spec.0),
            || self.wait_for(&connection),
            || Ok(!connection.is_connected()),
        );
        connection.disconnect();
        waited.map(|_| connection.outcome())
    }

    /// The locker's name, for those who work on lockers of either API.
    pub fn to_ref(&self) -> Result<LockerRef, LockerError> {
        LockerRef::new(&self.0.spec.0.driver, self.id())
    }

    /// The same, if its host reads its events.
    pub(crate) fn to_ref_of_reader(&self) -> Result<LockerRef, LockerError> {
        self.0.spec.check_unread()?;
        self.to_ref()
    }

    /// Does `first`, then updates all lockers of the spec until `is_done` or until `timeout` seconds
    /// have passed.
    pub(crate) fn wait_for_all(
        &self,
        timeout: f64,
        first: impl FnOnce() -> Result<(), LockerError>,
        is_done: impl FnMut() -> Result<bool, LockerError>,
    ) -> Result<bool, LockerError> {
        let host = &*self.0.spec.0;
        self.driver()
            .wait(timeout, (Scope::All, host), first, is_done)
    }

    fn driver(&self) -> &Driver {
        &self.0.spec.0.driver
    }

    fn command<R>(&self, command: impl FnOnce(&mut LockerState) -> R) -> Result<R, LockerError> {
        self.driver().set()?.with(self.id(), command)
    }

    fn query<R>(&self, query: impl FnOnce(&LockerState) -> R) -> Result<R, LockerError> {
        let set = self.driver().set()?;
        set.get(self.id())
            .map(query)
            .ok_or(LockerError::NotActive("the locker was deleted"))
    }
}

impl Drop for Handle {
    /// Nobody is left to read these events, nor those that an update under way has still to tell.
    fn drop(&mut self) {
        let unread = self.spec.0.unread.lock().forget(self.id);
        // With no lock held: what an event refers to may end with it.
        drop(unread);
    }
}

impl Host for Inner {
    fn create(&self, key: &str) -> Result<SaveData, String> {
        self.hooks.create(key)
    }

    fn before_save(&self, locker: LockerId, transform: bool) -> Result<(), String> {
        self.hooks.before_save(locker, transform)
    }

    fn process_remote_change(
        &self,
        key: &str,
        data: &Arc<SharedSaveData>,
        change: &RemoteChange,
    ) -> Result<HookAnswer, String> {
        self.hooks.process_remote_change(key, data, change)
    }

    fn merge_offline(
        &self,
        key: &str,
        offline: SaveData,
        data: &Arc<SharedSaveData>,
    ) -> Result<(), String> {
        self.hooks.merge_offline(key, offline, data)
    }

    fn event(&self, locker: LockerId, key: &Arc<str>, event: Event) {
        if let Event::ChangesSaved(connection, outcome) = &event
            && let Some(callback) = connection.take_callback()
        {
            callback(*outcome);
        }
        let is_heard = self.polls_events || self.hooks.hears_events();
        if let Event::Error(error) = &event {
            let own = self.hooks.report_error();
            self.driver.report(locker, error, own, is_heard);
        }
        if self.polls_events {
            let unheard = self.unread.lock().push(locker, event);
            drop(unheard);
        } else if is_heard {
            self.hooks.event(locker, key, &event);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Every wait is answered once, even now. A poisoned spec has nothing left to say.
        let _ = self.driver.abandon(self);
    }
}
