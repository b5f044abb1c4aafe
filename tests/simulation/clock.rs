//! Virtual time: the world has one, and each server clocks of its own that show it wrongly.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::storage::Store;

/// When the world begins, in Unix seconds.
pub const WALL_START: f64 = 1_800_000_000.0;

/// A number of seconds that is set by one and read by all.
#[derive(Debug, Default)]
pub struct Seconds(AtomicU64);

impl Seconds {
    pub fn new(seconds: f64) -> Self {
        Self(AtomicU64::new(seconds.to_bits()))
    }

    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    pub fn set(&self, seconds: f64) {
        self.0.store(seconds.to_bits(), Ordering::Relaxed);
    }
}

/// The clocks of one server.
pub struct ServerClock {
    store: Arc<Store>,
    /// How far the wall clock is off. It jumps when this is set anew.
    pub skew: Seconds,
    /// What the monotonic clock shows when the world begins.
    epoch: f64,
    /// How long a sleep of a blocking wait takes, however short it was to be.
    nap: f64,
}

impl ServerClock {
    pub fn new(store: &Arc<Store>, skew: f64, epoch: f64, nap: f64) -> Arc<Self> {
        Arc::new(Self {
            store: Arc::clone(store),
            skew: Seconds::new(skew),
            epoch,
            nap,
        })
    }

    /// Unix seconds, as this server has them.
    pub fn wall(&self) -> f64 {
        WALL_START + self.store.now() + self.skew.get()
    }

    /// Seconds from this server's own epoch.
    pub fn monotonic(&self) -> f64 {
        self.epoch + self.store.now()
    }

    /// Time passes, and the storage goes on meanwhile.
    pub fn sleep(&self, seconds: f64) {
        self.store.advance(seconds.max(self.nap));
    }
}
