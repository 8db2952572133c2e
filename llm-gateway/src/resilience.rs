//! What keeps one bad deployment from taking the rest down: breakers, bulkheads, and the clock of a call.

mod breaker;
mod bulkhead;
mod keyring;

pub use breaker::{Breaker, BreakerState, Permission};
pub use bulkhead::{Bulkhead, Place};
pub use keyring::{KeyRing, Picked};
