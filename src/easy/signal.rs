//! What a profile tells its host, and the tree of signals by which it tells it.

use std::sync::Arc;

use crate::locker::{ErrorReport, LoadStatus, Reason, SaveOutcome, SavedConnection};
use crate::remote_change::{SendId, SendOutcome};
use crate::save_data::{ProductId, SaveData};

use super::profiles::ProfileId;

/// A profile's signals, named and nested as in the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Any lifecycle event but the last, which is `Finished`.
    Lifecycle,
    /// The session is over and its key released; the last thing a profile says.
    Finished,
    /// The profile was ended by the host.
    Destroyed,
    /// The save data is in the storage.
    Saved,
    /// The save data was replaced.
    Replaced,
    /// … by the player's, from the storage.
    Loaded,
    /// … by the default.
    Reset,
    /// … because the session was released.
    Released,
    /// … because the session was lost.
    Lost,
    /// Product credit was given or used.
    ProductCreditChanged,
}

/// The lifecycle of a profile: the seed's `LifecycleStatus`, as a profile hears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// The save data was replaced.
    Replaced(Reason),
    /// The save data is in the storage.
    Saved,
    /// The session is released and nothing is under way.
    Idling,
    /// The locker behind the profile was deleted.
    Deleted,
    /// The profile was ended by the host.
    Destroyed,
    /// The last event of a profile.
    Finished,
}

impl Status {
    /// The signals that fire, in order: the deepest of the tree first.
    pub fn signals(self) -> &'static [Signal] {
        match self {
            Self::Replaced(Reason::Loaded) => {
                &[Signal::Loaded, Signal::Replaced, Signal::Lifecycle]
            }
            Self::Replaced(Reason::Released) => &[
                Signal::Released,
                Signal::Reset,
                Signal::Replaced,
                Signal::Lifecycle,
            ],
            Self::Replaced(Reason::Lost) => &[
                Signal::Lost,
                Signal::Reset,
                Signal::Replaced,
                Signal::Lifecycle,
            ],
            Self::Saved => &[Signal::Saved, Signal::Lifecycle],
            Self::Idling | Self::Deleted => &[Signal::Lifecycle],
            Self::Destroyed => &[Signal::Destroyed, Signal::Lifecycle],
            Self::Finished => &[Signal::Finished],
        }
    }
}

/// Something a profile tells, carrying the state of its moment.
#[derive(Clone, Debug)]
pub enum ProfileEvent {
    /// A step of the lifecycle.
    Lifecycle(Status),
    /// The session was lost, and this is the document as it was, with what was not saved. Heard
    /// just before the lifecycle says so.
    Lost(Arc<SaveData>),
    /// The load status is now this.
    LoadStatusChanged(LoadStatus),
    /// Something failed; the store goes on by itself.
    Error(ErrorReport),
    /// A wait for changes was answered.
    ChangesSaved(SavedConnection, SaveOutcome),
    /// Remote changes that this store was to send were sent, or were not. No profile's.
    RemoteChangesSent(SendId, SendOutcome),
    /// Product credit was given or used.
    ProductCreditChanged {
        /// The product.
        product_id: ProductId,
        /// What was added; negative for what was used.
        change: i64,
    },
    /// A purchase was answered.
    Purchase {
        /// The product.
        product_id: ProductId,
        /// The receipt's id.
        purchase_id: Arc<str>,
        /// Whether it is granted: its effect is in the storage.
        is_granted: bool,
    },
}

impl ProfileEvent {
    /// The signals that fire, in order.
    pub fn signals(&self) -> &'static [Signal] {
        match self {
            Self::Lifecycle(status) => status.signals(),
            Self::ProductCreditChanged { .. } => &[Signal::ProductCreditChanged],
            _ => &[],
        }
    }
}

/// An event as a store gives it to its host.
#[derive(Clone, Debug)]
pub struct StoreEvent {
    /// Whose it is; the default id, which no profile has, for what concerns a key alone: remote
    /// changes that are sent to it.
    pub profile: ProfileId,
    /// The key, which outlives what the host has of the profile.
    pub key: Arc<str>,
    /// What it is.
    pub event: ProfileEvent,
}

/// What a host wants called when a signal fires, with the event that fired it.
pub type SignalCallback = Arc<dyn Fn(&StoreEvent) + Send + Sync>;

/// Names a connection to a signal of one profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(super) u32);

/// A host's connection to a signal.
#[derive(Clone)]
pub(super) struct Connection {
    pub id: ConnectionId,
    pub signal: Signal,
    pub once: bool,
    pub callback: SignalCallback,
}
