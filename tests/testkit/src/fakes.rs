//! Time and chance under the test's control.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use tidemill_dag::time::{Chance, Clock, Timestamp};

/// A clock that moves only when told to. Clones show the same time.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl Default for ManualClock {
    /// Some morning in 2026.
    fn default() -> Self {
        Self::at(Timestamp::from_millis(1_780_000_000_000))
    }
}

impl ManualClock {
    /// Stands at this moment.
    pub fn at(moment: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(moment.0)))
    }

    /// Moves on.
    pub fn advance(&self, by: Duration) {
        let next = self.now().after(by);
        self.0.store(next.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// Chance that a seed repeats (SplitMix64).
#[derive(Debug)]
pub struct SeededChance(AtomicU64);

impl SeededChance {
    /// Begins with a seed.
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    fn next(&self) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.0.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Chance for SeededChance {
    fn draw(&self) -> f64 {
        // 53 bits fill a float's fraction.
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn bits(&self) -> u128 {
        (u128::from(self.next()) << 64) | u128::from(self.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_draws_stay_in_range() {
        let (one, two) = (SeededChance::new(7), SeededChance::new(7));
        for _ in 0..1_000 {
            let draw = one.draw();
            assert!((0.0..1.0).contains(&draw));
            assert_eq!(draw.to_bits(), two.draw().to_bits());
        }
        assert_ne!(one.bits(), SeededChance::new(8).bits());
    }
}
