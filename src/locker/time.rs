//! How time comes in: each update says what time it is, and what has passed is counted from there.

/// How an update says what time it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Time {
    /// The host's own, in seconds from its own epoch.
    Host(f64),
    /// So many seconds after the last update.
    Elapsed(f64),
}

/// The last time by the host's epoch; none before the host has said one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HostTime(Option<f64>);

impl HostTime {
    /// How many seconds have passed since the last update. The host's epoch is its own: its first
    /// time is only where its next ones are counted from. A time before the last, or none at all,
    /// counts as the last.
    pub fn pass(&mut self, time: Time) -> f64 {
        match (time, self.0) {
            (Time::Host(now), Some(last)) if now > last && now.is_finite() => {
                self.0 = Some(now);
                now - last
            }
            (Time::Host(now), None) if now.is_finite() => {
                self.0 = Some(now);
                0.0
            }
            (Time::Elapsed(seconds), last) if seconds > 0.0 => {
                self.0 = last.map(|last| last + seconds);
                seconds
            }
            _ => 0.0,
        }
    }
}
