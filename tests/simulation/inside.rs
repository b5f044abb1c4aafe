//! Where the host's code may run: inside a call that the host made to that very server, on that thread.

use std::cell::{Cell, RefCell};

use crate::ids::{ServerId, SessionId};

/// On whose behalf a server asks the storage, where its host knows: where each session has a locker of its
/// own, which is updated alone. Of a store's sessions nobody knows which of them was shown a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Session(SessionId),
    Sender,
}

thread_local! {
    /// The calls that this thread is in, the innermost last.
    static CALLS: RefCell<Vec<ServerId>> = const { RefCell::new(Vec::new()) };
}

thread_local! {
    static ROLE: Cell<Option<Role>> = const { Cell::new(None) };
}

/// Makes a call in which the storage is asked on one's behalf alone.
pub fn acting<R>(role: Role, call: impl FnOnce() -> R) -> R {
    struct Over(Option<Role>);
    impl Drop for Over {
        fn drop(&mut self) {
            ROLE.set(self.0);
        }
    }
    let _over = Over(ROLE.replace(Some(role)));
    call()
}

/// On whose behalf the storage is being asked, if that is known.
pub fn role() -> Option<Role> {
    ROLE.get()
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
