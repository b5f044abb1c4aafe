//! A wait for changes to be saved: the seed's `SavedConnection`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::event::SaveOutcome;

/// What the host wants called with the answer.
pub type SavedCallback = Box<dyn FnOnce(SaveOutcome) + Send>;

const WAITING: u8 = 0;
const SAVED: u8 = 1;
const NOT_SAVED: u8 = 2;
const UNKNOWN: u8 = 3;
const DISCONNECTED: u8 = 4;

/// How many waits of one session may be unanswered at a time.
pub(crate) const WAITS_MAX: usize = 65_536;

/// Waits until the changes made before it are saved, and is answered exactly once.
///
/// A clone names the same wait. Disconnected, it is never answered.
#[derive(Clone)]
pub struct SavedConnection(Arc<Inner>);

struct Inner {
    state: AtomicU8,
    callback: Mutex<Option<SavedCallback>>,
    /// What the host's side knows it by; 0 for nothing.
    tag: AtomicU64,
    /// What the easy API knows the profile by whose wait it is; 0 for nothing.
    owner: AtomicU64,
    is_silent: bool,
    /// Called as it is answered, by whoever answers.
    wake: Option<Wake>,
}

/// What is called as a wait is answered.
pub(crate) type Wake = Box<dyn Fn() + Send + Sync>;

impl SavedConnection {
    pub(crate) fn new(callback: Option<SavedCallback>) -> Self {
        Self::with(callback, false, None)
    }

    /// A wait that is only looked at: its answer is no event.
    pub(crate) fn silent() -> Self {
        Self::with(None, true, None)
    }

    /// A silent wait that wakes somebody as it is answered. The set of lockers is locked then, so
    /// `wake` may do no more than note it.
    pub(crate) fn waking(wake: Wake) -> Self {
        Self::with(None, true, Some(wake))
    }

    fn with(callback: Option<SavedCallback>, is_silent: bool, wake: Option<Wake>) -> Self {
        Self(Arc::new(Inner {
            state: AtomicU8::new(WAITING),
            callback: Mutex::new(callback),
            tag: AtomicU64::new(0),
            owner: AtomicU64::new(0),
            is_silent,
            wake,
        }))
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.0.is_silent
    }

    /// The callback, for the one who delivers the answer, with no lock held.
    pub(crate) fn take_callback(&self) -> Option<SavedCallback> {
        self.0.callback.lock().take()
    }

    /// True once the changes are known to be in the storage.
    pub fn is_saved(&self) -> bool {
        self.0.state.load(Ordering::Acquire) == SAVED
    }

    /// True until it is answered or disconnected.
    pub fn is_connected(&self) -> bool {
        self.0.state.load(Ordering::Acquire) == WAITING
    }

    /// The answer, once there is one.
    pub fn outcome(&self) -> Option<SaveOutcome> {
        match self.0.state.load(Ordering::Acquire) {
            SAVED => Some(SaveOutcome::Saved),
            NOT_SAVED => Some(SaveOutcome::NotSaved),
            UNKNOWN => Some(SaveOutcome::Unknown),
            _ => None,
        }
    }

    /// Answers it if it still waits; false if it did not.
    pub(crate) fn answer(&self, outcome: SaveOutcome) -> bool {
        let state = match outcome {
            SaveOutcome::Saved => SAVED,
            SaveOutcome::NotSaved => NOT_SAVED,
            SaveOutcome::Unknown => UNKNOWN,
        };
        let is_answered = self.leave_waiting(state);
        if let Some(wake) = self.0.wake.as_ref().filter(|_| is_answered) {
            wake();
        }
        is_answered
    }

    /// Gives up the wait: it will not be answered, and its callback will not run, also where it was
    /// answered and the host has not been told yet. False if it was answered already.
    pub fn disconnect(&self) -> bool {
        drop(self.take_callback());
        self.leave_waiting(DISCONNECTED)
    }

    /// Notes what the host's side knows it by.
    pub(crate) fn set_tag(&self, tag: u64) {
        self.0.tag.store(tag, Ordering::Release);
    }

    /// What was noted by `set_tag`; 0 before.
    pub(crate) fn tag(&self) -> u64 {
        self.0.tag.load(Ordering::Acquire)
    }

    /// Notes whose wait it is.
    pub(crate) fn set_owner(&self, owner: u64) {
        self.0.owner.store(owner, Ordering::Release);
    }

    /// What was noted by `set_owner`; 0 before.
    pub(crate) fn owner(&self) -> u64 {
        self.0.owner.load(Ordering::Acquire)
    }

    /// Whether both name the same wait.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn leave_waiting(&self, state: u8) -> bool {
        let order = Ordering::AcqRel;
        self.0
            .state
            .compare_exchange(WAITING, state, order, Ordering::Acquire)
            .is_ok()
    }
}

impl fmt::Debug for SavedConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = self.outcome();
        let connected = self.is_connected();
        f.debug_struct("SavedConnection")
            .field("connected", &connected)
            .field("outcome", &outcome)
            .finish()
    }
}

/// Adds to a list, and forgets now and then what is of no use any more: each addition costs the same
/// on average, however long the list gets.
pub(crate) fn add_pruned<T>(list: &mut Vec<T>, item: T, is_of_use: impl Fn(&T) -> bool) {
    if list.len() == list.capacity() {
        list.retain(is_of_use);
        if list.len() > list.capacity() / 2 {
            list.reserve(list.len());
        }
    }
    list.push(item);
}
