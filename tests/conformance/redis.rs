//! The Redis servers that `tests/servers/redis` has started for the tests.

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

/// The URL of one of the nodes of a cluster, which `tests/servers/redis cluster` has started.
pub fn cluster_url() -> String {
    const NAME: &str = "SESSION_LOCKER_TEST_REDIS_CLUSTER";
    std::env::var(NAME).unwrap_or_else(|_| {
        panic!("{NAME} is not set; `make redis-tests` starts a cluster and sets it")
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
    open_at(&format!("{}{database}", url()))
}

/// A storage of its own, in the cluster.
pub fn open_in_cluster() -> Opened {
    open_at(&cluster_url())
}

fn open_at(url: &str) -> Opened {
    let prefix = new_prefix();
    let url = format!("{url}?prefix={prefix}&connect_timeout=60");
    let storage: Arc<dyn storage::Storage> =
        storage::open(&url).unwrap_or_else(|error| panic!("{url}: {error}"));
    let directory = None;
    Opened { storage, directory }
}
