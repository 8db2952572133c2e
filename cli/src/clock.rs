//! The real clock and real chance: the only place where the program meets either.

use std::sync::{Arc, OnceLock};

use rand::Rng as _;
use tidemill_dag::id::WorkerId;
use tidemill_dag::time::{Chance, Clock, Timestamp};

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp(since.map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
    }
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemChance;

impl Chance for SystemChance {
    fn draw(&self) -> f64 {
        rand::rng().random()
    }

    fn bits(&self) -> u128 {
        rand::rng().random()
    }
}

/// The clock for everything that wants one.
pub fn clock() -> Arc<dyn Clock> {
    static CLOCK: OnceLock<Arc<WallClock>> = OnceLock::new();
    CLOCK.get_or_init(|| Arc::new(WallClock)).clone()
}

/// Chance for everything that wants some.
pub fn chance() -> Arc<dyn Chance> {
    Arc::new(SystemChance)
}

/// A name for this process that no other process has had, on whatever machine.
pub fn process_name() -> WorkerId {
    let bits = u32::try_from(SystemChance.bits() & 0xffff_ffff).unwrap_or(0);
    WorkerId(format!("w{}-{bits:08x}", std::process::id()))
}

/// The machine's name.
pub fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.trim().chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')).collect();
    if name.is_empty() { "localhost".to_owned() } else { name }
}
