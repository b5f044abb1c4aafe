//! Where the host's code may run: inside a call that the host made to that very server, on that thread.

use std::cell::RefCell;

use crate::ids::ServerId;

thread_local! {
    /// The calls that this thread is in, the innermost last.
    static CALLS: RefCell<Vec<ServerId>> = const { RefCell::new(Vec::new()) };
}

/// Makes a call to a server.
pub fn call<R>(server: ServerId, call: impl FnOnce() -> R) -> R {
    struct Left;
    impl Drop for Left {
        fn drop(&mut self) {
            CALLS.with_borrow_mut(|calls| calls.truncate(calls.len() - 1));
        }
    }
    CALLS.with_borrow_mut(|calls| calls.push(server));
    let _left = Left;
    call()
}

/// Whether this thread is in a call to this server.
pub fn is_in(server: ServerId) -> bool {
    CALLS.with_borrow(|calls| calls.last() == Some(&server))
}
