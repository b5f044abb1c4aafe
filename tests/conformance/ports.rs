//! Ports for servers that tests start.

use std::collections::HashSet;
use std::net::TcpListener;

use parking_lot::Mutex;

static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A port of loopback where nobody listens, and that no other test of this program has been given. It
/// is below those that the system gives to who connects: a server that is killed finds it free when it
/// comes back.
pub fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(10_000..32_000);
        let is_free = TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free && GIVEN.lock().get_or_insert_default().insert(port) {
            return port;
        }
    }
}
