//! What tests of every room need: real servers on private places, a clock that stands still, chance that repeats.

mod fakes;
mod postgres;

pub use fakes::{ManualClock, SeededChance};
pub use postgres::{Durability, Postgres, PostgresError};
