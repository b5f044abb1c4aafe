//! What all chance of a simulation is drawn from.

/// A stream of chance; from the same seed comes the same.
#[derive(Clone, Debug)]
pub struct Chance(fastrand::Rng);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// Another stream, which draws nothing from this one afterwards.
    pub fn fork(&mut self) -> Self {
        Self(self.0.fork())
    }

    pub fn number(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// 0 up to, but not, `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0.usize(..end)
    }

    pub fn between(&mut self, least: f64, most: f64) -> f64 {
        least + (most - least) * self.0.f64()
    }

    /// True in this share of cases.
    pub fn comes(&mut self, share: f64) -> bool {
        share > 0.0 && self.0.f64() < share
    }

    /// Mostly less than this, now and then many times as much.
    pub fn about(&mut self, mean: f64) -> f64 {
        -(1.0 - self.0.f64()).ln() * mean
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        match of.len() {
            0 => None,
            count => Some(&of[self.0.usize(..count)]),
        }
    }

    /// One of these, which are some.
    pub fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.0.usize(..of.len())]
    }
}
