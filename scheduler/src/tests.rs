//! Schedulers over real databases.

pub(crate) mod bed;
mod matrix;
mod wakes;
