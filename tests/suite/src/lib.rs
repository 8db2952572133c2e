//! Suites that cut across rooms. The simulation runs seeded chaos against dag's decisions, once over
//! rows in memory and once over the real store, and asks `invariants::check` afterwards.

#[cfg(test)]
mod simulation;
