//! The PostgreSQL server that `tests/servers/postgres run` has started for the tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use session_locker::storage;

use super::Opened;

/// The URL of the server's database, for the role that a game would have.
pub fn url() -> String {
    from_environment("SESSION_LOCKER_TEST_POSTGRES")
}

/// The same for its superuser.
pub fn admin_url() -> String {
    from_environment("SESSION_LOCKER_TEST_POSTGRES_ADMIN")
}

fn from_environment(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set; `make postgres-tests` starts a server and sets it")
    })
}

/// The name of a table that no other test has.
pub fn new_table() -> String {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    format!("test_{}_{number}", std::process::id())
}

/// A storage in a table of its own.
pub fn open(parameters: &str) -> Opened {
    let table = new_table();
    let url = format!("{}?table={table}&connect_timeout=60{parameters}", url());
    let storage: Arc<dyn storage::Storage> =
        storage::open(&url).unwrap_or_else(|error| panic!("{url}: {error}"));
    let directory = None;
    Opened { storage, directory }
}
