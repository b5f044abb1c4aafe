//! Names a locker of either API, for those who work on lockers without being their host.

use std::fmt;
use std::sync::Arc;

use crate::save_data::ProductId;
use crate::storage::{Operation, Priority, ReplySink, Request, RequestId, Responder};

use super::config::Config;
use super::credit::CreditError;
use super::driver::{Driver, LockerError};
use super::event::{Activity, ErrorReport, Event};
use super::guarded::Driving;
use super::no_storage;
use super::saved_connection::{SavedConnection, Wake};
use super::set::LockerId;
use super::shared_data::SharedSaveData;
use super::state::LockerState;
use super::use_keys::UseKey;

/// A locker of either API, such as the one that a gift goes to.
///
/// It keeps neither the locker nor its store or spec from ending.
#[derive(Clone)]
pub struct LockerRef {
    driver: Arc<Driver>,
    id: LockerId,
    data: Arc<SharedSaveData>,
    key: Arc<str>,
}

/// What two names of one locker have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LockerName {
    driver: usize,
    id: LockerId,
}

/// Keeps a locker's session wanted for as long as it lives.
pub(crate) struct Hold {
    locker: LockerRef,
    use_key: UseKey,
}

impl LockerRef {
    pub(crate) fn new(driver: &Arc<Driver>, id: LockerId) -> Result<Self, LockerError> {
        let read = |locker: &mut LockerState| (Arc::clone(locker.data()), Arc::clone(locker.key()));
        let (data, key) = driver.set()?.note(id, read)?;
        let driver = Arc::clone(driver);
        Ok(Self {
            driver,
            id,
            data,
            key,
        })
    }

    /// The locker's key.
    pub fn key(&self) -> &Arc<str> {
        &self.key
    }

    /// The save data: the player's while the locker is loaded, else the default.
    pub fn save_data(&self) -> &Arc<SharedSaveData> {
        &self.data
    }

    /// Loaded, within the lease, and not being released: changes made now will be saved.
    pub fn is_available(&self) -> bool {
        self.driver.is_available(self.id).unwrap_or(false)
    }

    /// Whether it is available unless its lease is over, which only a clock can tell.
    pub(crate) fn may_be_available(&self) -> bool {
        self.query(LockerState::may_be_available)
    }

    pub(crate) fn name(&self) -> LockerName {
        Self::name_of(&self.driver, self.id)
    }

    pub(crate) fn name_of(driver: &Arc<Driver>, id: LockerId) -> LockerName {
        let driver = Arc::as_ptr(driver).addr();
        LockerName { driver, id }
    }

    pub(crate) fn driver(&self) -> &Arc<Driver> {
        &self.driver
    }

    pub(crate) fn config(&self) -> &Config {
        self.driver.config()
    }

    /// The right to drive the locker's store or spec, for which hooks are run.
    pub(crate) fn drive(&self) -> Result<Driving<'_>, LockerError> {
        self.driver.begin_driving()
    }

    /// Whether nothing will ever become of this locker again.
    pub(crate) fn is_gone(&self) -> bool {
        self.driver.is_abandoned()
            || self
                .driver
                .set()
                .map_or(true, |set| set.get(self.id).is_none())
    }

    pub(crate) fn has_unsaved_changes(&self) -> bool {
        self.query(LockerState::has_unsaved_changes)
    }

    /// Whether what it saves is kept nowhere.
    pub(crate) fn disables_apis(&self) -> bool {
        self.query(LockerState::disables_apis)
    }

    /// Whether its host has not given up the session.
    pub(crate) fn is_wanted(&self) -> bool {
        self.query(LockerState::is_wanted_by_host)
    }

    /// As the host does it; here so that a hook may, while its driver is held.
    pub(crate) fn use_product_credit(
        &self,
        product_id: ProductId,
        amount: i64,
    ) -> Result<bool, CreditError> {
        self.command(|locker| locker.use_product_credit(product_id, amount))?
    }

    /// Notes a change of what the library keeps in the document.
    pub(crate) fn mark_should_save(&self) {
        // One that is gone saves nothing.
        let _ = self.command(LockerState::mark_should_save);
    }

    /// The locker that has this key beside this one, or is to have it.
    pub(crate) fn live(&self, key: &str) -> Option<Self> {
        let id = self.driver.set().ok()?.live(key)?;
        Self::new(&self.driver, id).ok()
    }

    /// Saves now; `wake` is called with the answer there, with the set locked.
    pub(crate) fn save(&self, wake: Wake) -> Result<SavedConnection, LockerError> {
        let connection = SavedConnection::waking(wake);
        let mut set = self.driver.set()?;
        set.with(self.id, LockerState::mark_force_save)?;
        set.wait_for(self.id, connection.clone())?;
        Ok(connection)
    }

    /// Keeps the session wanted, also when its host gives it up, until the answer is dropped.
    pub(crate) fn hold(&self, use_key: u64) -> Result<Hold, LockerError> {
        let use_key = UseKey::Purchase(use_key);
        self.command(|locker| locker.want(use_key))?;
        let locker = self.clone();
        Ok(Hold { locker, use_key })
    }

    /// Fetches another record of the same storage, or of none. False, and nothing is done, if no more
    /// such requests may begin in this update.
    pub(crate) fn fetch(&self, key: &str, id: RequestId, sink: Arc<dyn ReplySink>) -> bool {
        let may_begin = self
            .driver
            .set()
            .is_ok_and(|mut set| set.spend_spare_request().is_some());
        if !may_begin {
            return false;
        }
        let operation = Operation::Fetch { key: key.into() };
        let responder = Responder::new(id, sink)
            .with_priority(Priority::Load)
            .with_patience(self.config().patience());
        if self.disables_apis() {
            responder.answer(Ok(no_storage::outcome(&operation)));
            return true;
        }
        self.driver.submit(Request {
            operation,
            responder,
        });
        true
    }

    /// Lets the locker tell its host something, if it is still there.
    pub(crate) fn tell(&self, event: Event) {
        // One that is gone has said its last.
        let _ = self.command(|locker| locker.emit(event));
    }

    /// Lets the locker report what went wrong with a purchase.
    pub(crate) fn report_purchase(&self, product_id: ProductId, message: String) {
        self.tell(Event::Error(ErrorReport {
            product_id,
            ..ErrorReport::script(Activity::Purchase, message)
        }));
    }

    /// Unix seconds by this server's clock.
    pub(crate) fn wall(&self) -> f64 {
        self.driver.wall()
    }

    fn command<R>(&self, command: impl FnOnce(&mut LockerState) -> R) -> Result<R, LockerError> {
        self.driver.set()?.with(self.id, command)
    }

    fn query(&self, query: impl FnOnce(&LockerState) -> bool) -> bool {
        let set = self.driver.set();
        set.is_ok_and(|set| set.get(self.id).is_some_and(query))
    }
}

impl fmt::Debug for LockerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LockerRef").field(&self.key).finish()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // A locker that is gone is held by nobody.
        let _ = self.locker.command(|locker| locker.unwant(self.use_key));
    }
}
