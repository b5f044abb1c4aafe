//! What a driver shares with the threads that call in: one at a time has it, and a panic while
//! somebody has it puts it in doubt for good.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering;

use parking_lot::{Mutex, MutexGuard};

use super::driver::LockerError;
use crate::sync::AtomicBool;

/// A value behind a lock that a panic poisons.
#[derive(Debug)]
pub(crate) struct Guarded<T> {
    value: Mutex<T>,
    is_poisoned: AtomicBool,
}

/// Access to the value; a panic while it lasts poisons it.
pub(crate) struct Guard<'a, T> {
    value: MutexGuard<'a, T>,
    is_poisoned: &'a AtomicBool,
    /// Whether the thread was unwinding before: then the panic is not ours.
    was_panicking: bool,
}

impl<T> Guarded<T> {
    pub fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            is_poisoned: AtomicBool::new(false),
        }
    }

    pub fn lock(&self) -> Result<Guard<'_, T>, LockerError> {
        let value = self.value.lock();
        if self.is_poisoned.load(Ordering::Relaxed) {
            return Err(LockerError::Poisoned);
        }
        Ok(Guard {
            value,
            is_poisoned: &self.is_poisoned,
            was_panicking: std::thread::panicking(),
        })
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.was_panicking {
            self.is_poisoned.store(true, Ordering::Relaxed);
        }
    }
}

/// The right to drive, one at a time.
pub(crate) struct Driving<'a>(&'a AtomicBool);

impl<'a> Driving<'a> {
    pub fn begin(flag: &'a AtomicBool) -> Result<Self, LockerError> {
        match flag.swap(true, Ordering::Acquire) {
            false => Ok(Self(flag)),
            true => Err(LockerError::Busy),
        }
    }
}

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(all(loom, test))]
mod under_loom {
    use std::sync::Arc;

    use loom::sync::atomic::AtomicUsize;
    use loom::thread;

    use super::*;
    use crate::sync::in_every_order;

    #[test]
    fn one_drives_at_a_time_and_sees_what_the_last_one_has_done() {
        in_every_order("two drive", || {
            let flag = Arc::new(AtomicBool::new(false));
            let done = Arc::new(AtomicUsize::new(0));
            let drive = |flag: Arc<AtomicBool>, done: Arc<AtomicUsize>| {
                let driving = Driving::begin(&flag);
                if driving.is_ok() {
                    let before = done.load(Ordering::Relaxed);
                    done.store(before + 1, Ordering::Relaxed);
                }
                usize::from(driving.is_ok())
            };
            let (other_flag, other_done) = (Arc::clone(&flag), Arc::clone(&done));
            let other = thread::spawn(move || drive(other_flag, other_done));
            let mut drives = drive(Arc::clone(&flag), Arc::clone(&done));
            drives += drive(Arc::clone(&flag), Arc::clone(&done));
            drives += other.join().unwrap();
            // Whether the flag is down now loom cannot say: it lets a swap outlive a later store.
            assert_eq!(done.load(Ordering::Relaxed), drives);
            assert!(drives >= 1, "whoever comes first may drive");
        });
    }
}
