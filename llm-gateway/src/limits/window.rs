//! A sliding window as slices: an amount leaves when its whole slice has left, so what is counted is never less than
//! what any stretch of the window's length holds, and at most a sixtieth of it longer.

use std::time::Duration;

/// Slices of a window.
pub const SLICES: i64 = 60;

/// The length of a slice in milliseconds.
pub fn slice_length(per: Duration) -> i64 {
    i64::try_from(per.as_millis()).unwrap_or(i64::MAX / 128).div_euclid(SLICES).max(1)
}

/// What was spent and what is reserved. Time is an argument, in milliseconds.
#[derive(Debug, Clone, Default)]
pub struct Counter {
    /// Amounts by slice number, modulo one more than there are; empty without a window.
    slices: Vec<u64>,
    newest: i64,
    spent: u64,
    reserved: u64,
}

impl Counter {
    /// Lets go of what has left the window.
    fn slide(&mut self, per: Option<Duration>, now: i64) {
        let Some(per) = per else { return };
        let current = now.div_euclid(slice_length(per));
        if self.slices.is_empty() {
            self.slices = vec![0; usize::try_from(SLICES + 1).unwrap_or(61)];
            self.newest = current;
        }
        // A clock that steps back frees nothing.
        let gone = (current - self.newest).clamp(0, SLICES + 1);
        for step in 1..=gone {
            let place = self.place(self.newest + step);
            self.spent = self.spent.saturating_sub(std::mem::take(&mut self.slices[place]));
        }
        self.newest = self.newest.max(current);
    }

    fn place(&self, slice: i64) -> usize {
        usize::try_from(slice.rem_euclid(SLICES + 1)).unwrap_or(0)
    }

    /// Spent and reserved.
    pub fn used(&mut self, per: Option<Duration>, now: i64) -> u64 {
        self.slide(per, now);
        self.spent.saturating_add(self.reserved)
    }

    /// Reserves; whoever calls has looked whether it fits.
    pub const fn reserve(&mut self, amount: u64) {
        self.reserved = self.reserved.saturating_add(amount);
    }

    /// Gives a reservation back and counts what was spent.
    pub fn settle(&mut self, per: Option<Duration>, now: i64, reserved: u64, actual: u64) {
        self.slide(per, now);
        self.reserved = self.reserved.saturating_sub(reserved);
        self.spent = self.spent.saturating_add(actual);
        if !self.slices.is_empty() {
            let place = self.place(self.newest);
            self.slices[place] = self.slices[place].saturating_add(actual);
        }
    }

    /// When `needed` of what is used will be free again: spending leaves the window, reservations are settled soon.
    pub fn frees(&self, per: Option<Duration>, now: i64, needed: u64) -> Option<Duration> {
        const SOON: Duration = Duration::from_secs(1);
        let Some(per) = per else { return (self.reserved >= needed).then_some(SOON) };
        let length = slice_length(per);
        let mut freed = 0u64;
        for slice in self.newest - SLICES..=self.newest {
            freed = freed.saturating_add(*self.slices.get(self.place(slice))?);
            if freed >= needed {
                let leaves = (slice + SLICES + 1).saturating_mul(length);
                return Some(Duration::from_millis(u64::try_from(leaves - now).unwrap_or(0).max(1)));
            }
        }
        Some(SOON)
    }

    /// Whether it says nothing any more.
    pub fn idle(&mut self, per: Option<Duration>, now: i64) -> bool {
        per.is_some() && self.used(per, now) == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The definition: at any moment, what is counted is at least what was spent in the window before it, and at
        /// most what was spent in a window of one slice more.
        #[test]
        fn a_window_counts_what_it_holds(steps in prop::collection::vec((0_i64..4_000, 0_u64..50), 1..80)) {
            let per = Duration::from_secs(6);
            let (mut counter, mut now, mut spent) = (Counter::default(), 1_000_000, Vec::new());
            for (wait, amount) in steps {
                now += wait;
                counter.settle(Some(per), now, 0, amount);
                spent.push((now, amount));
                let within = |length: i64| spent.iter().filter(|(at, _)| now - at < length).map(|(_, a)| a).sum::<u64>();
                let counted = counter.used(Some(per), now);
                prop_assert!(counted >= within(6_000));
                prop_assert!(counted <= within(6_000 + 100));
            }
        }
    }

    #[test]
    fn it_tells_when_there_is_room_again() {
        let per = Some(Duration::from_secs(60));
        let mut counter = Counter::default();
        counter.settle(per, 0, 0, 10);
        counter.settle(per, 30_000, 0, 10);
        assert_eq!(counter.frees(per, 30_000, 5), Some(Duration::from_secs(31)));
        assert_eq!(counter.frees(per, 30_000, 15), Some(Duration::from_secs(61)));
        assert_eq!(counter.used(per, 60_999), 20);
        assert_eq!(counter.used(per, 61_000), 10);
        assert_eq!(counter.used(per, 91_000), 0);
        assert_eq!(counter.used(None, 91_000), 0);
    }
}
