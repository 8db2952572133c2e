//! What the tests of the API lie on: a project, a state with something in it, and the routes in this process.

mod bed;
mod example;
mod stories;
mod walk;

pub(crate) use bed::{Bed, REVENUE};
pub(crate) use example::Example;
