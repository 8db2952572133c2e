//! How long to wait between tries.

use std::time::Duration;

use crate::spec::Backoff;

/// The wait before try `failures + 1`: drawn from the upper half of
/// `min(max, initial · factor^(failures - 1))`. `chance` is a number in `0.0..1.0`.
pub fn wait(backoff: &Backoff, failures: u32, chance: f64) -> Duration {
    let longest = backoff.max.0.as_secs_f64();
    let power = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
    let grown = backoff.initial.0.as_secs_f64() * backoff.factor.max(1.0).powi(power);
    // A product too large to hold is longer than any `max`.
    let ceiling = if grown.is_finite() { grown.min(longest) } else { longest };
    Duration::try_from_secs_f64(ceiling * (0.5 + chance.clamp(0.0, 1.0) / 2.0)).unwrap_or(backoff.max.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::Span;

    #[test]
    fn waits_double_up_to_the_longest() {
        let backoff = Backoff { initial: Span::seconds(2), max: Span::seconds(10), factor: 2.0 };
        let waits: Vec<_> = (1..=5).map(|n| wait(&backoff, n, 1.0).as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 10, 10]);
        assert_eq!(wait(&backoff, 1, 0.0), Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn a_wait_lies_in_the_upper_half(initial in 0_u64..100_000, max in 0_u64..100_000, factor in -1.0_f64..1e9, n in 0_u32.., chance in 0.0_f64..1.0) {
            let backoff = Backoff { initial: Span::seconds(initial), max: Span::seconds(max), factor };
            let waited = wait(&backoff, n, chance);
            prop_assert!(waited <= backoff.max.0 + Duration::from_micros(1));
            prop_assert!(waited >= (backoff.initial.0.min(backoff.max.0) / 2).saturating_sub(Duration::from_micros(1)));
        }
    }
}
