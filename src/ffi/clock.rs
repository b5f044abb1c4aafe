//! `SlClock`: where a store or spec takes the time from.

use std::ffi::c_void;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::boundary::boundary;
use super::callback::{SlDrop, UserData};
use super::config::{self, Versioned};
use super::error::{FfiError, FfiResult};
use super::number;
use super::status::SlStatus;
use crate::clock::Clock;

/// Clocks of the host's own, for tests and for engines with a time of their own. A store or spec
/// that is given none uses the system's.
///
/// The functions may be called from any thread that calls into the library, and must not call back
/// into it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SlClock {
    /// `sizeof(SlClock)`.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Passed to every function of this table.
    pub user_data: *mut c_void,
    /// Unix seconds, by this server's clock.
    pub wall: Option<unsafe extern "C" fn(user_data: *mut c_void) -> f64>,
    /// Seconds that never run backwards, from any epoch, time asleep included: they tell how old
    /// the time is that the host tells (law 1); one that stands still cannot, and a server that is stopped
    /// could then take another's session too early. Not a number, or beyond 1e11: the clock cannot be read now.
    /// Until it can, no session is available.
    pub monotonic: Option<unsafe extern "C" fn(user_data: *mut c_void) -> f64>,
    /// Lets about so many seconds pass; called by blocking waits alone.
    pub sleep: Option<unsafe extern "C" fn(user_data: *mut c_void, seconds: f64)>,
    /// May be NULL; else called once with `user_data`, after the last use of this table.
    pub drop: SlDrop,
}

// SAFETY: `repr(C)` with its size first; integers, a raw pointer and optional function pointers.
unsafe impl Versioned for SlClock {
    const NAME: &'static str = "SlClock";
    const FIRST_SIZE: usize = 48;

    fn defaults() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            reserved: 0,
            user_data: std::ptr::null_mut(),
            wall: None,
            monotonic: None,
            sleep: None,
            drop: None,
        }
    }
}

/// The library's own clock, in seconds that never run backwards, time asleep included where the system
/// has a clock that counts it: what a host that has no such clock passes as `now` to every update. Its
/// epoch is the system's affair.
///
/// Any thread; also inside callbacks. Never fails.
#[unsafe(no_mangle)]
pub extern "C" fn session_locker_now() -> f64 {
    SystemClock::new().monotonic()
}

/// Fills a table of `struct_size` bytes, `sizeof(SlClock)`, with nothing: the host sets the
/// functions. Any thread.
///
/// Errors: SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_locker_clock_init(
    clock: *mut SlClock,
    struct_size: usize,
) -> SlStatus {
    // SAFETY: the export's own contract, rule 4 of `ffi`.
    boundary(|| unsafe { config::init("clock", clock, struct_size) })
}

/// The system's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock(());

impl SystemClock {
    /// The system's clocks.
    pub fn new() -> Self {
        Self(())
    }
}

/// Seconds that never run backwards, time asleep included: a lease runs out while a machine sleeps.
/// Rust's own `Instant` leaves that time out on Linux.
#[cfg(unix)]
fn boot_seconds() -> f64 {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const CLOCK: libc::clockid_t = libc::CLOCK_BOOTTIME;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the output is a place of its type. With a clock that the system has, as it has these,
    // the call does not fail.
    unsafe { libc::clock_gettime(CLOCK, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

#[cfg(not(unix))]
fn boot_seconds() -> f64 {
    use once_cell::sync::Lazy;
    use std::time::Instant;
    static EPOCH: Lazy<Instant> = Lazy::new(Instant::now);
    EPOCH.elapsed().as_secs_f64()
}

impl Clock for SystemClock {
    fn wall(&self) -> f64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0.0, |since| since.as_secs_f64())
    }

    fn monotonic(&self) -> f64 {
        boot_seconds()
    }

    fn sleep(&self, seconds: f64) {
        std::thread::sleep(Duration::from_secs_f64(seconds.clamp(0.0, 1.0)));
    }
}

/// The host's clocks.
struct HostClock {
    user_data: Arc<UserData>,
    wall: unsafe extern "C" fn(*mut c_void) -> f64,
    monotonic: unsafe extern "C" fn(*mut c_void) -> f64,
    sleep: unsafe extern "C" fn(*mut c_void, f64),
}

impl Clock for HostClock {
    fn wall(&self) -> f64 {
        // SAFETY: the host gave this function for this user data, which `self` keeps alive.
        let shown = unsafe { (self.wall)(self.user_data.pointer()) };
        // By the epoch no session has expired.
        number::moment("", shown).unwrap_or(0.0)
    }

    fn monotonic(&self) -> f64 {
        // SAFETY: as above.
        let shown = unsafe { (self.monotonic)(self.user_data.pointer()) };
        number::moment("", shown).unwrap_or(f64::NAN)
    }

    fn sleep(&self, seconds: f64) {
        // SAFETY: as above.
        unsafe { (self.sleep)(self.user_data.pointer(), seconds) }
    }
}

/// A clock, and what of the host's is to be accepted with it.
pub(crate) type ClockAndData = (Arc<dyn Clock>, Option<Arc<UserData>>);

/// The clock that a configuration names.
pub(crate) fn from_config(table: *const SlClock) -> FfiResult<ClockAndData> {
    if table.is_null() {
        return Ok((Arc::new(SystemClock::new()), None));
    }
    // SAFETY: the export's contract, rule 4 of `ffi`: the configuration points to a table.
    let table = unsafe { config::read("config.clock", table) }?;
    config::reserved("config.clock.reserved", table.reserved)?;
    let missing = |name: &str| FfiError::argument(&format!("config.clock.{name}"), "is NULL");
    let user_data = UserData::new(table.user_data, table.drop);
    let clock = HostClock {
        user_data: Arc::clone(&user_data),
        wall: table.wall.ok_or_else(|| missing("wall"))?,
        monotonic: table.monotonic.ok_or_else(|| missing("monotonic"))?,
        sleep: table.sleep.ok_or_else(|| missing("sleep"))?,
    };
    Ok((Arc::new(clock), Some(user_data)))
}
