//! The locks and atomics of the few places that are tried in every order in which threads can meet:
//! the handle table, the mailbox, the driving flag. They are parking_lot's and the standard library's;
//! in a build with `--cfg loom`, which only those tests are, they are loom's, which sees to the orders.

#[cfg(not(loom))]
pub(crate) use parking_lot::{Mutex, RwLock};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicUsize};
#[cfg(loom)]
pub(crate) use under_loom::*;

/// `global!(TABLE: Table<u64> = Table::new())` is a reference to the one `TABLE` of the process; with
/// loom, to that of the present try.
macro_rules! global {
    ($name:ident: $type:ty = $value:expr) => {{
        #[cfg(not(loom))]
        static $name: $type = $value;
        #[cfg(loom)]
        loom::lazy_static! {
            static ref $name: $type = $value;
        }
        &$name
    }};
}

pub(crate) use global;

/// loom's locks, with the manners of parking_lot's: a panic does not poison them.
#[cfg(loom)]
mod under_loom {
    use loom::sync::{LockResult, MutexGuard, RwLockReadGuard, RwLockWriteGuard};

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            locked(self.0.lock())
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }
    }

    pub(crate) struct RwLock<T>(loom::sync::RwLock<T>);

    impl<T> RwLock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::RwLock::new(value))
        }

        pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
            locked(self.0.read())
        }

        pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
            locked(self.0.write())
        }
    }

    fn locked<G>(result: LockResult<G>) -> G {
        result.unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Runs a test in every order in which its threads can meet, and says how many there were.
    #[cfg(test)]
    pub(crate) fn in_every_order(what: &str, test: impl Fn() + Send + Sync + 'static) {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicU64, Ordering};

        let orders = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&orders);
        loom::model(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            test();
        });
        println!("{what}: {} orders", orders.load(Ordering::Relaxed));
    }
}
