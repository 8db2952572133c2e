//! The real binary over a project of its own, command by command.

mod ask;
mod basics;
mod dev;
mod gateway;
mod place;
mod runs;
mod schema;
mod trouble;
