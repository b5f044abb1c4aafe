//! What the operating system has counted of this thread.

use std::time::Duration;

/// Up to a moment; nothing where the system does not count by threads.
#[derive(Default)]
pub struct Usage {
    /// The time that it ran.
    pub processor: Duration,
    /// How often it gave its processor away by itself: it waited for something.
    pub sleeps: i64,
}

impl Usage {
    #[cfg(not(target_os = "linux"))]
    pub fn now() -> Self {
        Self::default()
    }

    #[cfg(target_os = "linux")]
    pub fn now() -> Self {
        use std::mem::zeroed;

        // SAFETY: both are structs of numbers, for which zeros are a value.
        let (mut time, mut usage): (libc::timespec, libc::rusage) = unsafe { (zeroed(), zeroed()) };
        // SAFETY: both functions write into the struct they are given, and nowhere else.
        let results = unsafe {
            [
                libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time),
                libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage),
            ]
        };
        assert_eq!(results, [0, 0], "the system counts");
        let (whole, rest) = (time.tv_sec.cast_unsigned(), time.tv_nsec.cast_unsigned());
        Self {
            processor: Duration::from_secs(whole) + Duration::from_nanos(rest),
            sleeps: usage.ru_nvcsw,
        }
    }
}
