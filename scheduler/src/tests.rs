//! Schedulers over real databases.

pub(crate) mod bed;
mod wakes;
