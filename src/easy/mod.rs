//! The easy API: an [`EasyStore`] drives everything from one update, and a [`Profile`] is one
//! player's session.

#![forbid(unsafe_code)]

mod delivery;
mod drain;
mod profile;
mod profiles;
mod purchases;
mod sends;
mod signal;
mod store;

pub use drain::{DrainReport, Unsaved, Unsent};
pub use profile::{LoadWait, Profile, WeakProfile};
pub use profiles::ProfileId;
pub use signal::{ConnectionId, ProfileEvent, Signal, SignalCallback, Status, StoreEvent};
pub use store::{EasyStore, StoreHooks};
