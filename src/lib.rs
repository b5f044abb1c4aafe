//! One owner at a time for every player's save data.
//!
//! A game has many server processes, and a player moves among them. This library sees to it that at
//! any time one of them owns the player's save data, that what it reports saved stays saved, and
//! that the next one gets it as the last one left it: through crashes, lost answers and wrong clocks.
//! Where the data is kept is the host's choice.
//!
//! # What is where
//!
//! ```text
//!   the host's frame loop, in C or any language          the host's frame loop, in Rust
//!                 │                                                    │
//!   ┌─────────────▼─────────────┐                                      │
//!   │ ffi   the C ABI           │                                      │
//!   └─────────────┬─────────────┘                                      │
//!   ┌─────────────▼────────────────────────────────────────────────────▼──────────────┐
//!   │ easy     a store, updated once a frame; profiles, the players' sessions         │
//!   │ purchaser       what was paid for: applied once, granted once it is stored      │
//!   │ remote_change   changes to records that this server need not own                │
//!   │ locker   one key's lock and save data: acquire, save, release, lose             │
//!   └──────────────┬──────────────────────────┬────────────────────────┬──────────────┘
//!   ┌──────────────▼─────────────┐ ┌──────────▼──────────┐ ┌───────────▼──────────────┐
//!   │ migration  to the version  │ │ save_data  the JSON │ │ storage  compare-and-    │
//!   │ that this server writes    │ │ document            │ │ swap: memory, SQLite, …  │
//!   └────────────────────────────┘ └─────────────────────┘ └──────────────────────────┘
//! ```
//!
//! [`easy`] is what most hosts use, [`locker`] what is beneath it. [`storage`] has the contract that
//! an engine keeps. [`ffi`] is the same library for C; its documentation is the header's. [`log`] is
//! where what the library has to say goes, once the host asks for it.
//!
//! The core reads no clock, starts no thread and draws no randomness: time and seed are given to it.
//! Host code runs only inside a call that the host made, on that thread, with no lock held.
//!
//! # One session
//!
//! ```
//! use std::sync::Arc;
//!
//! use session_locker::easy::{EasyStore, LoadWait, StoreHooks};
//! use session_locker::ffi::SystemClock;
//! use session_locker::locker::{Config, SaveOutcome, SpecOptions};
//! use session_locker::migration::Migrators;
//! use session_locker::save_data::{DEFAULT_LIMIT_BYTES, SaveData};
//! use session_locker::storage;
//!
//! struct Game;
//!
//! impl StoreHooks for Game {
//!     fn create(&self, _key: &str) -> Result<SaveData, String> {
//!         SaveData::from_json(r#"{"Gold":0}"#, DEFAULT_LIMIT_BYTES).map_err(|error| error.to_string())
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let options = SpecOptions {
//!     config: Config::default(),
//!     migrators: Migrators::default(),
//!     template: None,
//!     clock: Arc::new(SystemClock::new()),
//!     seed: 1, // in earnest: from the operating system, never the same on two servers
//!     polls_events: false,
//! };
//! let store = EasyStore::new(storage::open("memory:")?, options, Box::new(Game))?;
//!
//! let profile = store.start_session("player/1001", &["1001"])?;
//! assert_eq!(profile.wait_until_loaded(10.0)?, LoadWait::Loaded);
//! profile.save_data().write(|data| data.add_i64("/Gold", 100))?;
//! profile.mark_force_save()?;
//! assert_eq!(profile.wait_until_changes_saved(10.0)?, Some(SaveOutcome::Saved));
//!
//! profile.destroy()?;
//! assert!(store.drain(10.0)?.unsaved.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! The waits are for tools and tests. A game server never waits: it calls
//! [`EasyStore::update`](easy::EasyStore::update) once a frame and hears by callback or by polling.

#![deny(unsafe_code)]

pub mod clock;
pub mod easy;
pub mod ffi;
pub mod locker;
pub mod log;
pub mod migration;
pub mod purchaser;
pub mod remote_change;
pub mod save_data;
mod seen;
pub mod storage;
mod sync;
