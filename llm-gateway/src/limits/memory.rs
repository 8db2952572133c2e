use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidemill_dag::time::Clock;

use super::window::Counter;
use super::{Amount, Limit, Meter, Standing};
use crate::error::GatewayError;

/// Below this many counters none is looked for that may go.
const FEW: usize = 1_024;

/// Counters in the memory of one process.
pub struct MemoryLedger {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    counters: HashMap<Meter, Counter>,
    /// At so many, idle ones are let go.
    sweep_at: usize,
}

impl std::fmt::Debug for MemoryLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryLedger({} counters)", self.state().counters.len())
    }
}

impl MemoryLedger {
    /// Empty.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::new(State { counters: HashMap::new(), sweep_at: FEW }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves under all limits or under none.
    pub(super) fn reserve(&self, limits: &[Limit], amount: Amount) -> Result<Vec<Standing>, GatewayError> {
        if limits.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.clock.now().as_millis();
        let mut state = self.state();
        state.sweep(now);
        let mut standing = Vec::with_capacity(limits.len());
        for Limit { meter, cap } in limits {
            let wanted = amount.of(meter.measure);
            let counter = state.counter(meter);
            let used = counter.used(meter.per, now);
            let after = used.saturating_add(wanted);
            if after > *cap {
                let frees = counter.frees(meter.per, now, after - cap);
                return Err(Limit { meter: meter.clone(), cap: *cap }.refusal(used, wanted, frees));
            }
            let reset = meter.per.map(|per| per + per / 60);
            standing.push(Standing { measure: meter.measure, cap: *cap, left: cap - after, reset });
        }
        for Limit { meter, .. } in limits {
            state.counter(meter).reserve(amount.of(meter.measure));
        }
        Ok(standing)
    }

    /// Counts what was taken.
    pub(super) fn settle(&self, limits: &[Limit], reserved: Amount, actual: Amount) {
        let now = self.clock.now().as_millis();
        let mut state = self.state();
        for Limit { meter, .. } in limits {
            let measure = meter.measure;
            state.counter(meter).settle(meter.per, now, reserved.of(measure), actual.of(measure));
        }
    }

    /// Spent and reserved, for a look from outside.
    pub fn used(&self, meter: &Meter) -> u64 {
        let now = self.clock.now().as_millis();
        self.state().counters.get_mut(meter).map_or(0, |counter| counter.used(meter.per, now))
    }
}

impl State {
    fn counter(&mut self, meter: &Meter) -> &mut Counter {
        // Two look-ups on the common path are cheaper than cloning the key for `entry`.
        if !self.counters.contains_key(meter) {
            self.counters.insert(meter.clone(), Counter::default());
        }
        self.counters.get_mut(meter).unwrap_or_else(|| unreachable!("it was put there"))
    }

    fn sweep(&mut self, now: i64) {
        if self.counters.len() >= self.sweep_at {
            self.counters.retain(|meter, counter| !counter.idle(meter.per, now));
            self.sweep_at = (self.counters.len() * 2).max(FEW);
        }
    }
}

/// How long a counter without window is remembered in Redis after its last use.
pub(super) const REMEMBERED: Duration = Duration::from_secs(90 * 24 * 3_600);
