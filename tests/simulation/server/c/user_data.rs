//! What the host hands over with its callbacks. A `user_data` is a number here, by which what it stands
//! for is looked up: so a callback after the `drop`, and a second `drop`, are noticed, and one that never
//! comes.

use std::any::{Any, type_name};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::call::callback;

/// All that is handed over in the process.
static HANDED_OVER: Mutex<BTreeMap<usize, Entry>> = Mutex::new(BTreeMap::new());

/// Numbers are never used again.
static LAST: AtomicUsize = AtomicUsize::new(0);

struct Entry {
    what: Arc<dyn UserData>,
    tally: Arc<Tally>,
}

/// What callbacks find behind their `user_data`.
pub trait UserData: Any + Send + Sync {
    /// It is dropped: no callback comes any more.
    fn is_over(&self) {}
}

/// How much of a host's is handed over.
#[derive(Default)]
pub struct Tally(AtomicUsize);

impl Tally {
    pub fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

/// Makes a `user_data`, for a call that takes it together with [`drop_user_data`].
pub fn hand_over(tally: &Arc<Tally>, what: Arc<dyn UserData>) -> *mut c_void {
    let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    tally.0.fetch_add(1, Ordering::Relaxed);
    let tally = Arc::clone(tally);
    HANDED_OVER.lock().insert(number, Entry { what, tally });
    std::ptr::without_provenance_mut(number)
}

/// The call was refused: it is still the host's.
pub fn take_back(user_data: *mut c_void) {
    assert!(remove(user_data).is_some(), "a refused call has dropped it");
}

/// What a callback was called with.
pub fn behind<T: UserData>(user_data: *mut c_void) -> Arc<T> {
    let what = {
        let handed_over = HANDED_OVER.lock();
        let entry = handed_over.get(&user_data.addr());
        let entry = entry.expect("a callback was called after its drop");
        Arc::clone(&entry.what)
    };
    let what: Arc<dyn Any + Send + Sync> = what;
    let name = type_name::<T>();
    what.downcast()
        .unwrap_or_else(|_| panic!("a callback was called with what is no {name}"))
}

fn remove(user_data: *mut c_void) -> Option<Arc<dyn UserData>> {
    let entry = HANDED_OVER.lock().remove(&user_data.addr())?;
    entry.tally.0.fetch_sub(1, Ordering::Relaxed);
    Some(entry.what)
}

/// The `drop` of all of them.
pub extern "C" fn drop_user_data(user_data: *mut c_void) {
    callback((), || {
        let what = remove(user_data).expect("a drop was called twice");
        what.is_over();
    });
}
