//! The Redis server that `tests/servers/redis run` has started for the tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use session_locker::storage;

use super::Opened;

/// The URL of the server, without a database.
pub fn url() -> String {
    const NAME: &str = "SESSION_LOCKER_TEST_REDIS";
    std::env::var(NAME).unwrap_or_else(|_| {
        panic!("{NAME} is not set; `make redis-tests` starts a server and sets it")
    })
}

/// What no other test's keys begin with.
pub fn new_prefix() -> String {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    format!("test_{}_{number}", std::process::id())
}

/// A storage of its own, in a database of the server.
pub fn open(database: &str) -> Opened {
    let prefix = new_prefix();
    let url = format!("{}{database}?prefix={prefix}&connect_timeout=60", url());
    let storage: Arc<dyn storage::Storage> =
        storage::open(&url).unwrap_or_else(|error| panic!("{url}: {error}"));
    let directory = None;
    Opened { storage, directory }
}
