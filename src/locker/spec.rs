//! The full API: a [`LockerSpec`] and the [`Locker`]s made from it, each driven by the host.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::migration::Migrators;
use crate::save_data::{ProductId, SaveData};
use crate::storage::Storage;
use crate::storage::overlay::ReadOnlyOverlay;

use super::config::Config;
use super::credit::CreditError;
use super::driver::{Driver, Host, LockerError, check_names};
use super::event::{Event, LoadStatus, SaveOutcome};
use super::locker_ref::LockerRef;
use super::saved_connection::{SavedCallback, SavedConnection};
use super::set::{LockerId, LockerSet, Scope};
use super::shared_data::SharedSaveData;
use super::state::LockerState;

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

    /// Something happened. Not called for a spec whose events are polled.
    fn event(&self, locker: LockerId, event: &Event) {
        let _ = (locker, event);
    }

    /// Whether [`LockerHooks::event`] listens. Where nobody does and events are not polled, errors
    /// go to the process-wide reporter: see [`UnheardError`](super::UnheardError).
    fn hears_events(&self) -> bool {
        true
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
    /// What all chance is drawn from: lock ids, spread and jitter. Must differ between servers.
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
    unread: Mutex<HashMap<LockerId, VecDeque<Event>>>,
}

/// One key's lock and save data: the seed's `LockerState`. A clone names the same locker.
#[derive(Clone)]
pub struct Locker(Arc<Handle>);

struct Handle {
    spec: LockerSpec,
    id: LockerId,
    data: Arc<SharedSaveData>,
}

/// Names a locker without keeping it or its spec alive.
#[derive(Clone)]
pub struct WeakLocker(Weak<Handle>);

impl LockerSpec {
    /// A spec for the records of one storage. Refuses a configuration that cannot work.
    pub fn new(
        storage: Arc<dyn Storage>,
        options: SpecOptions,
        hooks: Box<dyn LockerHooks>,
    ) -> Result<Self, LockerError> {
        let polls_events = options.polls_events;
        let driver = Arc::new(new_driver(storage, options)?);
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

    /// The seed's `LockerCreate`: a locker for this key that wants nothing yet. The user ids go
    /// into the storage with each save; with none, the record keeps those it has.
    pub fn create_locker(&self, key: &str, user_ids: &[&str]) -> Result<Locker, LockerError> {
        let (key, user_ids) = check_names(key, user_ids)?;
        let unread: usize = self.0.unread.lock().values().map(VecDeque::len).sum();
        if unread >= UNREAD_EVENTS_MAX {
            return Err(LockerError::UnreadEvents { unread });
        }
        let mut set = self.0.driver.set()?;
        let id = set.insert(key, user_ids);
        let has_hooks = self.0.hooks.has_before_save();
        let data = set.with(id, |locker| {
            locker.set_has_save_hooks(has_hooks);
            Arc::clone(locker.data())
        })?;
        let spec = self.clone();
        Ok(Locker(Arc::new(Handle { spec, id, data })))
    }

    /// How many times a locker has had something to do: an idle frame adds none.
    pub fn touches(&self) -> Result<u64, LockerError> {
        Ok(self.0.driver.set()?.touches())
    }
}

/// The driver of a spec or a store.
pub(crate) fn new_driver(
    storage: Arc<dyn Storage>,
    options: SpecOptions,
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
    let template = template.map(|template| config.stamp_new(template));
    let template = template.transpose().map_err(LockerError::Template)?;
    let set = LockerSet::new(Arc::new(config), migrators.clone(), template, seed);
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

    /// The save data: the player's while the load status is loaded, else the default.
    pub fn save_data(&self) -> &Arc<SharedSaveData> {
        &self.0.data
    }

    /// Acquires the key, now or as soon as it is free; after a final load status, tries anew.
    pub fn mark_should_acquire(&self) -> Result<(), LockerError> {
        if self.driver().set()?.want(self.id()) {
            Ok(())
        } else {
            Err(LockerError::NotActive("the locker was deleted"))
        }
    }

    /// Saves and gives up the key.
    pub fn mark_should_release(&self) -> Result<(), LockerError> {
        self.command(LockerState::unwant)
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
        let connection = connection.clone();
        self.command(|locker| locker.wait_for(connection))
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

    /// Loaded, within the lease, and not being released: changes made now will be saved.
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
    pub fn update(&self, now: f64) -> Result<bool, LockerError> {
        self.query(|_| ())?;
        self.driver()
            .update(now, Scope::One(self.id()), &*self.0.spec.0)?;
        Ok(self.query(LockerState::is_idle).unwrap_or(false))
    }

    /// The seed's `MarkDeleted`: removes the locker, which must be idle. The host hears of it
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
        let mut unread = self.0.spec.0.unread.lock();
        let Some(events) = unread.get_mut(&self.id()) else {
            return Vec::new();
        };
        let count = most.min(events.len());
        let taken = events.drain(..count).collect();
        if events.is_empty() {
            unread.remove(&self.id());
        }
        taken
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
    /// Nobody is left to read these events.
    fn drop(&mut self) {
        self.spec.0.unread.lock().remove(&self.id);
    }
}

impl Host for Inner {
    fn create(&self, key: &str) -> Result<SaveData, String> {
        self.hooks.create(key)
    }

    fn before_save(&self, locker: LockerId, transform: bool) -> Result<(), String> {
        self.hooks.before_save(locker, transform)
    }

    fn event(&self, locker: LockerId, event: Event) {
        if let Event::ChangesSaved(connection, outcome) = &event
            && let Some(callback) = connection.take_callback()
        {
            callback(*outcome);
        }
        if self.polls_events {
            self.unread
                .lock()
                .entry(locker)
                .or_default()
                .push_back(event);
        } else if self.hooks.hears_events() {
            self.hooks.event(locker, &event);
        } else if let Event::Error(error) = &event {
            self.driver.report_unheard(locker, error);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Every wait is answered once, even now. A poisoned spec has nothing left to say.
        let _ = self.driver.abandon(self);
    }
}
