//! The session lock and everything that lives under it: the seed's `LockerSpec` and
//! `LockerState`, here [`LockerSpec`] and [`Locker`].
//!
//! The protocol is the state machine in `state.rs`; `set.rs` runs many of them; `driver.rs` joins
//! a set to a storage, a clock and a host; `spec.rs` is what a host sees.

#![forbid(unsafe_code)]

mod acquire;
mod claims;
mod config;
mod credit;
mod defaults;
mod driver;
mod event;
mod frame_budget;
mod guarded;
mod hold;
mod inbox;
mod lease;
mod locker_ref;
mod no_storage;
mod report;
mod saved_connection;
mod session_options;
mod set;
mod shared_data;
mod spec;
mod state;
mod time;
mod turns;
mod use_keys;

pub use config::{Config, ConfigError};
pub use credit::CreditError;
pub use defaults::ConfigValue;
pub use driver::LockerError;
pub use event::{Activity, ErrorReport, Event, Lifecycle, LoadStatus, Reason, SaveOutcome};
pub use locker_ref::LockerRef;
pub use report::{ReportError, ReportedError, Reporter, set_default_report_error};
pub use saved_connection::{SavedCallback, SavedConnection};
pub use session_options::SessionOptions;
pub use set::LockerId;
pub(crate) use shared_data::restorable;
pub use shared_data::{HookAnswer, SharedSaveData, WriteError};
pub use spec::{Locker, LockerHooks, LockerSpec, SpecOptions, WeakLocker};

pub(crate) use credit::add_credit;
pub(crate) use driver::{
    Driver, Host, PURCHASE_ID_MAX_BYTES, SetGuard, Shared, check_key, check_log_prefix, created,
    guarded,
};
pub(crate) use guarded::{Driving, Guarded};
pub(crate) use inbox::InboxHooks;
pub(crate) use locker_ref::{Hold, LockerName};
pub(crate) use saved_connection::{Wake, add_pruned};
pub(crate) use session_options::NewLocker;
pub(crate) use set::Scope;
pub(crate) use shared_data::is_restorable;
pub(crate) use spec::{UNREAD_EVENTS_MAX, new_driver};
pub(crate) use state::{Committed, LockerState, committed, fetched, timed_out};
pub(crate) use time::{Time, Timeline};
pub(crate) use use_keys::UseKey;
