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
    /// Where the counter of a meter is: a meter is a long key, and looked up once for each step.
    places: HashMap<Meter, usize>,
    counters: Vec<Counter>,
    free: Vec<usize>,
    /// At so many, idle ones are let go.
    sweep_at: usize,
}

impl std::fmt::Debug for MemoryLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryLedger({} counters)", self.state().places.len())
    }
}

impl MemoryLedger {
    /// Empty.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let state = State { places: HashMap::new(), counters: Vec::new(), free: Vec::new(), sweep_at: FEW };
        Self { clock, state: Mutex::new(state) }
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
        let (mut standing, mut places) = (Vec::with_capacity(limits.len()), Vec::with_capacity(limits.len()));
        for Limit { meter, cap } in limits {
            let wanted = amount.of(meter.measure);
            let place = state.place(meter);
            places.push(place);
            let counter = &mut state.counters[place];
            let used = counter.used(meter.per, now);
            let after = used.saturating_add(wanted);
            if after > *cap {
                let frees = counter.frees(meter.per, now, after - cap);
                return Err(Limit { meter: meter.clone(), cap: *cap }.refusal(used, wanted, frees));
            }
            let reset = meter.per.map(|per| per + per / 60);
            standing.push(Standing { measure: meter.measure, cap: *cap, left: cap - after, reset });
        }
        for (place, Limit { meter, .. }) in places.into_iter().zip(limits) {
            state.counters[place].reserve(amount.of(meter.measure));
        }
        Ok(standing)
    }

    /// Counts what was taken.
    pub(super) fn settle(&self, limits: &[Limit], reserved: Amount, actual: Amount) {
        let now = self.clock.now().as_millis();
        let mut state = self.state();
        for Limit { meter, .. } in limits {
            let measure = meter.measure;
            let place = state.place(meter);
            state.counters[place].settle(meter.per, now, reserved.of(measure), actual.of(measure));
        }
    }

    /// Spent and reserved, for a look from outside.
    pub fn used(&self, meter: &Meter) -> u64 {
        let now = self.clock.now().as_millis();
        let mut state = self.state();
        let place = state.places.get(meter).copied();
        place.map_or(0, |place| state.counters[place].used(meter.per, now))
    }
}

impl State {
    fn place(&mut self, meter: &Meter) -> usize {
        if let Some(place) = self.places.get(meter) {
            return *place;
        }
        let place = self.free.pop().unwrap_or_else(|| {
            self.counters.push(Counter::default());
            self.counters.len() - 1
        });
        self.places.insert(meter.clone(), place);
        place
    }

    fn sweep(&mut self, now: i64) {
        let Self { places, counters, free, sweep_at } = self;
        if places.len() >= *sweep_at {
            places.retain(|meter, place| {
                let stays = !counters[*place].idle(meter.per, now);
                if !stays {
                    counters[*place] = Counter::default();
                    free.push(*place);
                }
                stays
            });
            *sweep_at = (places.len() * 2).max(FEW);
        }
    }
}

/// How long a counter without window is remembered in Redis after its last use.
pub(super) const REMEMBERED: Duration = Duration::from_secs(90 * 24 * 3_600);
