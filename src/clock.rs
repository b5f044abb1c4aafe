//! Where time comes from: the core reads no clock of its own, it is given this one.

/// The clocks of a store or spec. All methods may be called from any thread.
pub trait Clock: Send + Sync {
    /// Unix seconds, by this server's clock.
    fn wall(&self) -> f64;

    /// Seconds that never run backwards, from any epoch, time asleep included: they tell how old
    /// the time is that the host tells (law 1). Not a number: the clock cannot be read now. Until it can, no
    /// session is available.
    fn monotonic(&self) -> f64;

    /// Lets about so many seconds pass. Only blocking waits call it.
    fn sleep(&self, seconds: f64);
}
