//! The real binary over a project of its own, command by command.

mod apply;
mod ask;
mod basics;
mod conformance;
mod dev;
mod gateway;
mod pages;
mod place;
mod runs;
mod schema;
mod trouble;
