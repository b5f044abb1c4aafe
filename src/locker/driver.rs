//! Drives a set of lockers: hands its requests to the storage, runs its hooks, delivers its
//! events, all on the thread that called in and with no lock held.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use thiserror::Error;

use crate::clock::Clock;
use crate::log::{self, Level};
use crate::migration::Migrators;
use crate::save_data::{RemoteChange, SaveData};
use crate::storage::{self, Request, Storage};
use crate::sync::AtomicBool;

use super::config::{Config, ConfigError};
use super::event::{ErrorReport, Event};
use super::guarded::{Driving, Guard, Guarded};
use super::inbox;
use super::report::{ReportError, ReportedError, Reporter};
use super::saved_connection::{SavedConnection, WAITS_MAX};
use super::set::{LockerId, LockerSet, Scope, Task};
use super::shared_data::{HookAnswer, SharedSaveData, restorable};
use super::state::{HookCall, HookResult, LockerState};
use super::time::{Moment, Time};

/// Why a call on a locker, spec, store or profile was refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum LockerError {
    /// An update, drain or wait is under way, on this thread or another.
    #[error("an update, drain or wait of this store is under way")]
    Busy,
    /// A panic inside the library left this object in doubt; it does nothing any more.
    #[error("this object was poisoned by an earlier panic inside the library")]
    Poisoned,
    /// The store was closed.
    #[error("the store was closed; no session starts any more")]
    Closed,
    /// The session has ended, or the locker was deleted.
    #[error("{0}")]
    NotActive(&'static str),
    /// A locker can be deleted only when it is idle, or has not begun and is not wanted.
    #[error("the locker holds a session or has something under way; release it first")]
    NotIdle,
    /// The key cannot be stored.
    #[error("the key is {bytes} bytes long, but must have 1 to {max} bytes of UTF-8", max = storage::MAX_KEY_BYTES)]
    InvalidKey {
        /// Its length.
        bytes: usize,
    },
    /// A user id cannot be stored.
    #[error("user id {index} is {bytes} bytes long, but must have 1 to {max} bytes of UTF-8", max = storage::MAX_USER_ID_BYTES)]
    InvalidUserId {
        /// Which of the user ids.
        index: usize,
        /// Its length.
        bytes: usize,
    },
    /// There are too many user ids.
    #[error("{count} user ids were given, but a record carries at most {max}", max = storage::MAX_USER_IDS)]
    TooManyUserIds {
        /// How many were given.
        count: usize,
    },
    /// A player's locker was given user ids.
    #[error("options.user_ids must be empty: a player's locker has the player's user id")]
    UserIdsOfPlayer,
    /// The host does not read its events.
    #[error("{unread} events are unread; nothing new starts until they are polled")]
    UnreadEvents {
        /// How many.
        unread: usize,
    },
    /// There are as many as there may be.
    #[error("there are {max} {what} already, which is the most")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The most.
        max: usize,
    },
    /// The id of a purchase cannot be kept.
    #[error("the purchase id is {bytes} bytes long, but must have 1 to {max} bytes of UTF-8", max = PURCHASE_ID_MAX_BYTES)]
    InvalidPurchaseId {
        /// Its length.
        bytes: usize,
    },
    /// The user id of a receipt cannot be kept.
    #[error("the user id of the receipt is {bytes} bytes long, but must have at most {max} bytes of UTF-8", max = storage::MAX_USER_ID_BYTES)]
    InvalidReceiptUserId {
        /// Its length.
        bytes: usize,
    },
    /// The template cannot be a new document.
    #[error("the template cannot be used: {0}")]
    Template(String),
    /// A log prefix that is too long.
    #[error("the log prefix is {bytes} bytes long, but must have at most {max}", max = LOG_PREFIX_MAX_BYTES)]
    InvalidLogPrefix {
        /// Its length.
        bytes: usize,
    },
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// What a driver calls of its host's.
pub(crate) trait Host {
    /// An update begins: what was put off until now is told.
    fn begin(&self) {}
    /// An update ends.
    fn end(&self) {}
    fn create(&self, key: &str) -> Result<SaveData, String>;
    fn before_save(&self, locker: LockerId, transform: bool) -> Result<(), String>;
    fn process_remote_change(
        &self,
        key: &str,
        data: &Arc<SharedSaveData>,
        change: &RemoteChange,
    ) -> Result<HookAnswer, String>;
    fn merge_offline(
        &self,
        key: &str,
        offline: SaveData,
        data: &Arc<SharedSaveData>,
    ) -> Result<(), String>;
    fn event(&self, locker: LockerId, key: &Arc<str>, event: Event);
}

/// A set of lockers, its storage and its clocks.
pub(crate) struct Driver {
    set: Guarded<LockerSet>,
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    migrators: Migrators,
    config: Arc<Config>,
    is_driving: AtomicBool,
    is_abandoned: AtomicBool,
    /// What the monotonic clock showed when the set's time was last told.
    told_at: Mutex<f64>,
}

/// Access to the set.
pub(crate) type SetGuard<'a> = Guard<'a, LockerSet>;

/// What else works on the records of the lockers shares with them.
pub(crate) struct Shared {
    pub storage: Arc<dyn Storage>,
    pub clock: Arc<dyn Clock>,
    pub config: Arc<Config>,
    /// The default document; without one, the create hook makes it.
    pub template: Option<SaveData>,
}

/// How long the beginning of a locker's log lines may be.
const LOG_PREFIX_MAX_BYTES: usize = 1024;

/// How long the id of a purchase may be.
pub(crate) const PURCHASE_ID_MAX_BYTES: usize = 256;

/// How often a blocking wait looks again.
const WAIT_STEP_S: f64 = 0.001;

/// Further from its epoch than any clock is, in seconds: three thousand years. What is added to less counts
/// to within some ten microseconds.
const CLOCK_MAX_S: f64 = 1e11;

/// The shortest sleep of a blocking wait.
const WAIT_LEAST_S: f64 = 1e-6;

impl Driver {
    pub fn new(
        set: LockerSet,
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
        migrators: Migrators,
    ) -> Self {
        let config = Arc::clone(set.config());
        let told_at = Mutex::new(reading(clock.as_ref()));
        Self {
            set: Guarded::new(set),
            storage,
            clock,
            migrators,
            config,
            is_driving: AtomicBool::new(false),
            is_abandoned: AtomicBool::new(false),
            told_at,
        }
    }

    pub fn set(&self) -> Result<SetGuard<'_>, LockerError> {
        self.set.lock()
    }

    /// What others share with the lockers.
    pub fn shared(&self) -> Result<Shared, LockerError> {
        Ok(Shared {
            storage: Arc::clone(&self.storage),
            clock: Arc::clone(&self.clock),
            config: Arc::clone(&self.config),
            template: self.set()?.template().cloned(),
        })
    }

    /// Does all there is to do at `now`, monotonic seconds by the host's epoch.
    pub fn update(&self, now: f64, scope: Scope, host: &dyn Host) -> Result<(), LockerError> {
        let _driving = Driving::begin(&self.is_driving)?;
        self.drive(Some(now), scope, host)
    }

    /// Without a time of the host's, what has passed since the last update counts.
    fn drive(&self, now: Option<f64>, scope: Scope, host: &dyn Host) -> Result<(), LockerError> {
        self.begin_update(now, scope)?;
        // What it does counts against this update's budget.
        host.begin();
        while let Some(task) = self.next_task(scope)? {
            self.run(task, host)?;
        }
        host.end();
        Ok(())
    }

    /// The clocks are the host's, and are read with no lock held.
    fn begin_update(&self, now: Option<f64>, scope: Scope) -> Result<(), LockerError> {
        self.storage.tick();
        let (monotonic, wall) = (self.monotonic(), self.clock.wall());
        let mut set = self.set()?;
        let mut told_at = self.told_at.lock();
        // Of a clock that shows nothing, nothing has passed.
        let (before, mut elapsed) = (set.now(), (monotonic - *told_at).max(0.0));
        if now.is_none() {
            // In a wait one clock alone says what has passed. Where it was wrong once, no more may come of that
            // than an owner leaves of its lease; where the server was stopped, the host's next time makes up for
            // it.
            elapsed = elapsed.min(self.config.longest_step());
            if monotonic < *told_at {
                *told_at = monotonic;
            }
        }
        // The host's first time does not say what has passed before it.
        if now.is_some() && !set.has_host_time() {
            set.let_pass(elapsed);
        }
        let time = now.map_or(Time::Elapsed(elapsed), Time::Host);
        set.begin_update(time, monotonic, wall, scope);
        // The same time once more, as for the next locker, says nothing new.
        if !monotonic.is_nan() && (set.now() > before || told_at.is_nan()) {
            *told_at = monotonic;
        }
        Ok(())
    }

    /// The set's time at this moment: the last update's, and what has passed since as far as the clock shows
    /// that.
    pub fn now(&self) -> Result<f64, LockerError> {
        Ok(self.moment()?.now)
    }

    fn moment(&self) -> Result<Moment, LockerError> {
        let monotonic = self.monotonic();
        // Both under one lock: together they are the last update's.
        let set = self.set()?;
        let (told, told_at) = (set.now(), *self.told_at.lock());
        drop(set);
        let now = told + (monotonic - told_at).max(0.0);
        Ok(Moment { now, monotonic })
    }

    /// Does `first`, then updates until `is_done` or until `timeout` seconds have passed; true if
    /// done. Nobody else drives meanwhile; refused, it has done nothing.
    pub fn wait(
        &self,
        timeout: f64,
        (scope, host): (Scope, &dyn Host),
        first: impl FnOnce() -> Result<(), LockerError>,
        mut is_done: impl FnMut() -> Result<bool, LockerError>,
    ) -> Result<bool, LockerError> {
        let _driving = Driving::begin(&self.is_driving)?;
        first()?;
        let mut waited = Waited::from(self.monotonic());
        loop {
            self.drive(None, scope, host)?;
            if is_done()? {
                return Ok(true);
            }
            let left = timeout - waited.seconds();
            // A timeout that is not a number is none.
            if left.is_nan() || left <= 0.0 {
                return Ok(false);
            }
            // Less time may be lost in the rounding of the host's clock, which would then stand still.
            let step = left.clamp(WAIT_LEAST_S, WAIT_STEP_S);
            self.clock.sleep(step);
            waited.go_on(step, self.monotonic());
        }
    }

    pub fn is_available(&self, id: LockerId) -> Result<bool, LockerError> {
        let at = self.moment()?;
        let set = self.set()?;
        let config = set.config();
        Ok(set
            .get(id)
            .is_some_and(|locker| locker.is_available(config, at)))
    }

    /// The right to run hooks of this store or spec outside an update; meanwhile nobody updates.
    pub fn begin_driving(&self) -> Result<Driving<'_>, LockerError> {
        Driving::begin(&self.is_driving)
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Unix seconds by this server's clock.
    pub fn wall(&self) -> f64 {
        self.clock.wall()
    }

    /// The server's own monotonic clock; not a number where it shows nothing.
    pub fn monotonic(&self) -> f64 {
        reading(self.clock.as_ref())
    }

    /// Asks the storage for something that is not a locker's.
    pub fn submit(&self, request: Request) {
        self.storage.submit(request);
    }

    /// Whether nobody will update any more.
    pub fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::Acquire)
    }

    /// The store is going away: every wait is answered, and nothing else is begun.
    pub fn abandon(&self, host: &dyn Host) -> Result<(), LockerError> {
        self.is_abandoned.store(true, Ordering::Release);
        self.set()?.abandon();
        while let Some(task) = self.take_task()? {
            if let Task::Event(id, key, event) = task {
                host.event(id, &key, event);
            }
        }
        Ok(())
    }

    /// Tells at once what a command has brought about. During an update, the update tells it.
    pub fn tell(&self, host: &dyn Host) -> Result<(), LockerError> {
        let Ok(_driving) = Driving::begin(&self.is_driving) else {
            return Ok(());
        };
        while let Some(task) = self.take_task()? {
            self.run(task, host)?;
        }
        Ok(())
    }

    /// Reports an error: see [`ReportedError::report`]. Nobody asks after a locker that is gone.
    pub fn report(
        &self,
        id: LockerId,
        error: &ErrorReport,
        own: Option<&ReportError>,
        is_event: bool,
    ) {
        if own.is_none() && is_event {
            return;
        }
        let Ok(set) = self.set() else { return };
        let Some(locker) = set.get(id) else { return };
        let (key, user_ids) = (Arc::clone(locker.key()), Arc::clone(locker.user_ids()));
        let log_prefix = locker.log_prefix();
        drop(set);
        let reported = ReportedError {
            log_prefix: &log_prefix,
            key: &key,
            user_ids: &user_ids,
            error,
            verbose_logs: self.config.verbose_logs,
        };
        reported.report(own, is_event, Reporter::Lockers);
    }

    fn take_task(&self) -> Result<Option<Task>, LockerError> {
        Ok(self.set()?.take_task())
    }

    fn next_task(&self, scope: Scope) -> Result<Option<Task>, LockerError> {
        Ok(self.set()?.poll(scope))
    }

    fn run(&self, task: Task, host: &dyn Host) -> Result<(), LockerError> {
        match task {
            Task::Submit(requests) => self.storage.submit_all(requests),
            Task::Event(id, key, event) => host.event(id, &key, event),
            Task::Log(line) => log::log(Level::Debug, &line),
            Task::Hook(id, hook, call) => {
                // A callback, or another thread, may have deleted the locker meanwhile.
                if let Some(key) = self.key(id)? {
                    let result = self.run_hook(id, &key, call, host);
                    self.set()?.handle_hook_result(id, hook, result);
                }
            }
        }
        Ok(())
    }

    fn run_hook(
        &self,
        id: LockerId,
        key: &Arc<str>,
        call: HookCall,
        host: &dyn Host,
    ) -> HookResult {
        match call {
            HookCall::Create => HookResult::Created(created(&self.config, || host.create(key))),
            HookCall::Migrate(mut draft) => {
                let version = self.config.save_data_version;
                let migrated = restorable(|| self.migrators.migrate(&mut draft, version));
                HookResult::Migrated(migrated.map(|()| draft))
            }
            HookCall::BeforeSave(data) => {
                HookResult::BeforeSave(data.with_hook(|| guarded(|| host.before_save(id, false))))
            }
            HookCall::BeforeSaveTransform(data) => {
                HookResult::BeforeSave(data.with_hook(|| guarded(|| host.before_save(id, true))))
            }
            HookCall::Offer(data, offers) => {
                HookResult::Offered(inbox::run_offers(offers, &data, |change| {
                    guarded(|| host.process_remote_change(key, &data, change))
                }))
            }
            HookCall::MergeOffline(data, offline) => {
                let merge = || guarded(|| host.merge_offline(key, *offline, &data));
                let merged =
                    data.with_restorable_hook(|| merge().map(|()| HookAnswer::Applied), |_, _| ());
                HookResult::OfflineMerged(merged.map(|_| ()))
            }
        }
    }

    /// The key of a locker, if it is still there.
    fn key(&self, id: LockerId) -> Result<Option<Arc<str>>, LockerError> {
        Ok(self.set()?.get(id).map(|locker| Arc::clone(locker.key())))
    }
}

/// How long a wait has lasted. Where the clock shows nothing, stands still or runs back, what was slept since it
/// has last moved on counts instead: a wait ends by any clock.
struct Waited {
    last: f64,
    shown: f64,
    slept: f64,
}

impl Waited {
    fn from(now: f64) -> Self {
        Self {
            last: now,
            shown: 0.0,
            slept: 0.0,
        }
    }

    /// So much was to be slept, and the clock shows `now` after it, or not a number.
    fn go_on(&mut self, step: f64, now: f64) {
        if now > self.last {
            // What was slept while it stood still, or showed nothing, is in it.
            self.shown += now - self.last;
            (self.last, self.slept) = (now, 0.0);
            return;
        }
        self.slept += step;
        if now < self.last || self.last.is_nan() {
            self.shown += self.slept;
            (self.last, self.slept) = (now, 0.0);
        }
    }

    fn seconds(&self) -> f64 {
        self.shown + self.slept
    }
}

/// What a clock shows; not a number where that is nothing, or no time that a clock can show.
fn reading(clock: &dyn Clock) -> f64 {
    let shown = clock.monotonic();
    if shown.abs() <= CLOCK_MAX_S {
        shown
    } else {
        f64::NAN
    }
}

impl SetGuard<'_> {
    /// Gives a command to a locker that must still be there.
    pub fn with<R>(
        &mut self,
        id: LockerId,
        command: impl FnOnce(&mut LockerState) -> R,
    ) -> Result<R, LockerError> {
        self.command(id, command)
            .ok_or(LockerError::NotActive("the locker was deleted"))
    }

    /// Lets a wait that is new wait for the changes made so far.
    pub fn wait_for(
        &mut self,
        id: LockerId,
        connection: SavedConnection,
    ) -> Result<(), LockerError> {
        let (what, max) = (
            "unanswered waits for the changes of this session",
            WAITS_MAX,
        );
        match self.with(id, |locker| locker.wait_for(connection))? {
            true => Ok(()),
            false => Err(LockerError::TooMany { what, max }),
        }
    }

    /// Sets what a locker's log lines begin with; an empty prefix stands for the default.
    pub fn set_log_prefix(&mut self, id: LockerId, prefix: &str) -> Result<(), LockerError> {
        let prefix = check_log_prefix(prefix)?;
        self.note(id, |locker| locker.set_log_prefix(prefix))
    }

    /// Notes something with a locker that must still be there, and that has nothing to do for it.
    pub fn note<R>(
        &mut self,
        id: LockerId,
        note: impl FnOnce(&mut LockerState) -> R,
    ) -> Result<R, LockerError> {
        self.get_mut(id)
            .map(note)
            .ok_or(LockerError::NotActive("the locker was deleted"))
    }
}

/// Runs a create hook, and makes what it gives a new document.
pub(crate) fn created(
    config: &Config,
    hook: impl FnOnce() -> Result<SaveData, String>,
) -> Result<SaveData, String> {
    guarded(hook).and_then(|data| config.stamp_new(data))
}

/// Runs host code; a panic in it is a failure of the hook and goes no further.
pub(crate) fn guarded<R>(hook: impl FnOnce() -> Result<R, String>) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(hook)).unwrap_or_else(|_| Err("the hook panicked".to_owned()))
}

/// Checks what log lines are to begin with; an empty one stands for the default.
pub(crate) fn check_log_prefix(prefix: &str) -> Result<Option<Box<str>>, LockerError> {
    match prefix.len() {
        0 => Ok(None),
        bytes if bytes > LOG_PREFIX_MAX_BYTES => Err(LockerError::InvalidLogPrefix { bytes }),
        _ => Ok(Some(prefix.into())),
    }
}

/// A key, and the ids of the users that its record belongs to.
pub(crate) type Names = (Arc<str>, Arc<[Box<str>]>);

/// Refuses a key that cannot be stored.
pub(crate) fn check_key(key: &str) -> Result<(), LockerError> {
    let bytes = key.len();
    match (1..=storage::MAX_KEY_BYTES).contains(&bytes) {
        true => Ok(()),
        false => Err(LockerError::InvalidKey { bytes }),
    }
}

/// Checks a key and its user ids, and makes them what a locker keeps.
pub(crate) fn check_names(key: &str, user_ids: &[&str]) -> Result<Names, LockerError> {
    check_key(key)?;
    let count = user_ids.len();
    if count > storage::MAX_USER_IDS {
        return Err(LockerError::TooManyUserIds { count });
    }
    for (index, user_id) in user_ids.iter().enumerate() {
        let bytes = user_id.len();
        if !(1..=storage::MAX_USER_ID_BYTES).contains(&bytes) {
            return Err(LockerError::InvalidUserId { index, bytes });
        }
    }
    Ok((
        key.into(),
        user_ids.iter().map(|id| Box::from(*id)).collect(),
    ))
}
