//! Choices that a seed repeats.

use std::time::Duration;

use tidemill_dag::time::Chance;
use tidemill_testkit::SeededChance;

/// Seeded choices.
#[derive(Debug)]
pub struct Dice(SeededChance);

impl Dice {
    /// Begins with a seed.
    pub const fn new(seed: u64) -> Self {
        Self(SeededChance::new(seed))
    }

    /// A number below `end`.
    pub fn below(&self, end: usize) -> usize {
        ((self.0.draw() * end as f64) as usize).min(end.saturating_sub(1))
    }

    /// A length of time between two others, in milliseconds.
    pub fn millis(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + (self.0.draw() * (to - from) as f64) as u64)
    }

    /// 128 bits.
    pub fn bits(&self) -> u128 {
        self.0.bits()
    }
}
