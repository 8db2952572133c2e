//! What Tidemill means by a pipeline, a run and a task, and every decision about them.
//!
//! This room is pure: no async, no SQL execution, no HTTP, no files, no environment, no logging, and
//! it never reads the time or draws a random number; both are arguments. Every other room may use it
//! and it uses none of them.
//!
//! To add a task kind: a variant of [`spec::TaskKind`] with its body struct, its decoding beside the
//! others, and an executor file in `worker/src/kinds/`.

pub mod approval;
pub mod backfill;
pub mod backoff;
mod check;
pub mod codes;
pub mod compile;
pub mod diagnostic;
pub mod diff;
pub mod graph;
pub mod hook;
pub mod id;
pub mod invariants;
pub mod layout;
pub mod limits;
mod links;
pub mod params;
pub mod places;
pub mod plan;
pub mod read;
mod report;
pub mod rerun;
pub mod schedule;
pub mod schema;
pub mod secret;
pub mod spec;
mod sql;
pub mod state;
mod suggest;
pub mod template;
pub mod time;
pub mod wake;
