//! No handle outlives the hosts: whenever the process has none left, it has no handle either.

use parking_lot::Mutex;

use super::call::{c, must_get};

/// How many hosts there are, over all seeds that run.
static HOSTS: Mutex<usize> = Mutex::new(0);

/// A host lives. It is made before the host's first handle, and dropped after its last.
pub struct Alive(());

impl Alive {
    pub fn new() -> Self {
        *HOSTS.lock() += 1;
        Self(())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        let mut hosts = HOSTS.lock();
        if std::thread::panicking() {
            // What this host leaves proves nothing, and it is never the last.
            return;
        }
        *hosts -= 1;
        if *hosts == 0 {
            let left = must_get(7, |count| c!(session_locker_live_handles(count)));
            assert_eq!(left, 0, "handles outlive all hosts");
        }
    }
}
