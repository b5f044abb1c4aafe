//! What the host hands over together with its callbacks: a pointer we only ever pass back, and the
//! function that ends it.

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ends a `user_data`: called exactly once, when no callback with it runs or will ever run again.
/// NULL if there is nothing to do.
///
/// A table of callbacks has one for all of them. A callback that is handed over on its own brings one
/// of its own, right after its `user_data`, which is called when
///
/// - a callback that runs once has run, or never will: it was given up, or what it waited for has
///   ended without it;
/// - a callback that runs many times was replaced or disconnected, or what it listened to is gone;
/// - no callback was given: the `callback` is NULL. Then it is at once.
///
/// It is not called when the call that handed it over returns another status than SL_OK: the
/// `user_data` is still the host's. Only a wait for a purchase takes it with SL_ERROR_TIMEOUT and
/// SL_ERROR_PANIC too. It
/// may run on any thread that is inside a call, the call that
/// handed it over among them, with no lock held, and may call any function.
pub type SlDrop = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// A `user_data` and its `drop`, which runs when the last clone of the `Arc` goes, provided that
/// the call it came with was accepted.
pub(crate) struct UserData {
    pointer: *mut c_void,
    drop: SlDrop,
    accepted: AtomicBool,
}

// SAFETY: the pointer is never dereferenced here, only given back to the host's callbacks, and the
// header tells the host that those may run on any thread that calls in, one after another or, for
// callbacks documented so, at the same time.
unsafe impl Send for UserData {}
// SAFETY: as above; nothing of it changes but the atomic.
unsafe impl Sync for UserData {}

impl UserData {
    /// Still the host's: dropped now, nothing happens.
    pub(crate) fn new(pointer: *mut c_void, drop: SlDrop) -> Arc<Self> {
        let accepted = AtomicBool::new(false);
        Arc::new(Self {
            pointer,
            drop,
            accepted,
        })
    }

    /// From now on ours: called when nothing can make the call fail any more.
    pub(crate) fn accept(&self) {
        self.accepted.store(true, Ordering::Release);
    }

    /// What the callbacks get as their first parameter.
    pub(crate) fn pointer(&self) -> *mut c_void {
        self.pointer
    }
}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(drop) = self.drop.filter(|_| *self.accepted.get_mut()) {
            // SAFETY: the host gave this function for this pointer, and `self` was the last to
            // have it.
            unsafe { drop(self.pointer) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    unsafe extern "C" fn count(user_data: *mut c_void) {
        // SAFETY: the tests give a counter that outlives its user data.
        let counter = unsafe { &*user_data.cast::<AtomicU32>() };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    #[test]
    fn an_accepted_user_data_is_dropped_once_with_its_last_holder() {
        let drops = AtomicU32::new(0);
        let pointer = std::ptr::from_ref(&drops).cast_mut().cast();
        let user_data = UserData::new(pointer, Some(count));
        let another = Arc::clone(&user_data);
        user_data.accept();
        drop(user_data);
        assert_eq!(drops.load(Ordering::Relaxed), 0);
        assert_eq!(another.pointer(), pointer);
        drop(another);
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_user_data_that_was_not_accepted_stays_the_hosts() {
        let drops = AtomicU32::new(0);
        let pointer = std::ptr::from_ref(&drops).cast_mut().cast();
        drop(UserData::new(pointer, Some(count)));
        assert_eq!(drops.load(Ordering::Relaxed), 0);
    }
}
