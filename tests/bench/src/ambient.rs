//! The real clock, and chance enough for identifiers.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use tidemill_dag::time::{Chance, Clock, Timestamp};

/// Real time; identifiers that are unique within one machine.
#[derive(Debug, Default)]
pub struct Ambient(AtomicU64);

impl Clock for Ambient {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

impl Chance for Ambient {
    fn draw(&self) -> f64 {
        f64::from(u32::try_from(self.bits() >> 96).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
    }

    fn bits(&self) -> u128 {
        let serial = self.0.fetch_add(1, Ordering::Relaxed);
        let seed = u64::from(std::process::id()) ^ u64::from_ne_bytes(self.now().0.to_ne_bytes());
        let mixed = (seed ^ serial.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        u128::from(mixed ^ (mixed >> 29)) << 64 | u128::from(mixed.wrapping_mul(0xBF58_476D_1CE4_E5B9) ^ serial)
    }
}
