//! How time comes in: each update says what time it is, and what has passed is counted from there.

/// How an update says what time it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Time {
    /// The host's own, in seconds from its own epoch.
    Host(f64),
    /// So many seconds after the last update.
    Elapsed(f64),
}

/// A moment by both of the times that a lease is measured by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Moment {
    /// The set's time, which is the host's as far as it has said one.
    pub now: f64,
    /// The server's own monotonic clock: it goes on where the host has stopped between looking at
    /// its clock and saying what it saw.
    pub monotonic: f64,
}

impl Moment {
    /// Before every other.
    pub const LONG_AGO: Self = Self {
        now: f64::NEG_INFINITY,
        monotonic: f64::NEG_INFINITY,
    };

    /// What has passed since an earlier moment, by each of its times. Of a clock that has shown nothing before,
    /// or runs backwards, nothing has passed.
    pub fn since(self, earlier: Self) -> (f64, f64) {
        let by_server = self.monotonic - earlier.monotonic;
        let is_known = by_server.is_finite() && by_server > 0.0;
        (
            self.now - earlier.now,
            if is_known { by_server } else { 0.0 },
        )
    }
}

/// The clock by which watches count: the host's, without what that only catches up with.
///
/// A time that the host tells may be old, by as long as the server was stopped since the host has looked at its
/// clock; what then makes up for it has not passed. So what both clocks count has passed, and what the host's
/// time alone counts only if it leads the server's own clock further than ever before: a host in a time of its
/// own, which goes faster than real time, leads further and further.
#[derive(Debug, Default)]
pub(crate) struct WatchClock(WatchTime);

/// A time of a [`WatchClock`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct WatchTime {
    by_host: f64,
    by_server: f64,
    /// The furthest that the host's time has led so far.
    lead: f64,
}

impl WatchClock {
    pub fn now(&self) -> WatchTime {
        self.0
    }

    /// So much has passed by the host's time, and so much by the server's own clock.
    pub fn pass(&mut self, by_host: f64, by_server: f64) {
        let Self(now) = self;
        now.by_host += by_host;
        now.by_server += by_server;
        now.lead = now.lead.max(now.by_host - now.by_server);
    }

    /// The host's time may be behind by so much more.
    pub fn owe(&mut self, seconds: f64) {
        self.0.lead += seconds;
    }
}

impl WatchTime {
    /// How much has surely passed until a later time.
    pub fn until(self, later: Self) -> f64 {
        let by_host = later.by_host - self.by_host;
        let by_both = by_host.min(later.by_server - self.by_server);
        // No time told before was ahead of the server's own clock by more.
        let told_at_most = self.by_server + self.lead;
        by_both.max(later.by_host - told_at_most)
    }
}

/// The time of one who is updated: seconds since its own beginning, as far as anybody has said.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    now: f64,
    /// The last time by the host's epoch; none before the host has said one.
    host_time: Option<f64>,
}

impl Timeline {
    pub fn now(&self) -> f64 {
        self.now
    }

    /// Whether the host has said a time by its epoch.
    pub fn has_host_time(&self) -> bool {
        self.host_time.is_some()
    }

    /// Lets time pass. The host's epoch is its own: its first time is only where its next ones are
    /// counted from. A time before the last, or none at all, counts as the last.
    pub fn pass(&mut self, time: Time) {
        match (time, self.host_time) {
            (Time::Host(now), Some(last)) if now > last && now.is_finite() => {
                self.now += now - last;
                self.host_time = Some(now);
            }
            (Time::Host(now), None) if now.is_finite() => self.host_time = Some(now),
            (Time::Elapsed(seconds), last) if seconds > 0.0 => {
                self.now += seconds;
                self.host_time = last.map(|last| last + seconds);
            }
            _ => {}
        }
    }
}
