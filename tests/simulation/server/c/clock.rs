//! The clock table that a C host gives its server.

use std::ffi::c_void;
use std::sync::Arc;

use session_locker::ffi::*;

use super::call::{c, callback, filled};
use super::user_data::{Tally, UserData, behind, drop_user_data, hand_over};
use crate::clock::ServerClock;

impl UserData for ServerClock {}

/// A table to be given to one server.
pub fn table(clock: &Arc<ServerClock>, tally: &Arc<Tally>) -> SlClock {
    SlClock {
        user_data: hand_over(tally, Arc::clone(clock) as Arc<dyn UserData>),
        wall: Some(wall),
        monotonic: Some(monotonic),
        sleep: Some(sleep),
        drop: Some(drop_user_data),
        ..filled(|table, size| c!(session_locker_clock_init(table, size)))
    }
}

extern "C" fn wall(user_data: *mut c_void) -> f64 {
    callback(0.0, || behind::<ServerClock>(user_data).wall())
}

extern "C" fn monotonic(user_data: *mut c_void) -> f64 {
    callback(0.0, || behind::<ServerClock>(user_data).monotonic())
}

/// A clock may not call the library. While this thread sleeps, the storage answers from one of its own,
/// as storages do.
extern "C" fn sleep(user_data: *mut c_void, seconds: f64) {
    callback((), || {
        let clock = behind::<ServerClock>(user_data);
        std::thread::scope(|scope| {
            let slept = scope.spawn(|| clock.sleep(seconds)).join();
            slept.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
    });
}
