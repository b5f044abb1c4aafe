//! Ports for servers that tests start.

use std::collections::BTreeSet;
use std::net::TcpListener;

use parking_lot::Mutex;

static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port of loopback where nobody listens now, and that no other test of this program has been given. It
/// is below those that the system gives to who connects: a server that is killed finds it free when it
/// comes back.
pub fn free_port() -> u16 {
    let attempt = |_| {
        let port = fastrand::u16(10_000..32_000);
        let is_free = TcpListener::bind(("127.0.0.1", port)).is_ok();
        (is_free && GIVEN.lock().insert(port)).then_some(port)
    };
    (0..1000).find_map(attempt).expect("one port is free")
}
