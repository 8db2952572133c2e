//! Python tasks in warm host processes: `host.py` serves one call after the other.
//!
//! A host is started for the limits of its first task and reused by tasks with the same limits. It is
//! replaced after a crash, a timeout, a cancellation, many calls, or when it has grown; so what one
//! task leaves behind (modules, threads) reaches few others, and never one with other limits.
//!
//! What a function sees: inputs are `pyarrow.Table`s where pyarrow can be imported, else `Rows`, which
//! yield dicts of int, float, bool, str and None; dates, times and decimals are text there, binary
//! values hex. What it may return as rows: anything that speaks Arrow, or an iterable of dicts with
//! int, float, bool, str, bytes, `datetime`, `date`, `Decimal` and None; lists and dicts become JSON text.

mod host;
mod input;
mod output;
mod pool;

use std::path::PathBuf;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value};

pub(crate) use host::Host;
pub(crate) use input::write_input;
pub(crate) use output::rows;
pub(crate) use pool::Pool;

/// One call of a user's function.
#[derive(Debug, Serialize)]
pub(crate) struct Call {
    /// The source.
    pub code: String,
    /// Names the source: the same for the same text and file.
    pub hash: String,
    /// What tracebacks call it.
    pub file: String,
    /// Where modules beside a script are found.
    pub folder: Option<String>,
    /// The function.
    pub function: String,
    /// Arguments by name.
    pub args: Map<String, Value>,
    /// Arguments that are rows, by name.
    pub inputs: IndexMap<String, Input>,
    /// `value` or `rows`.
    pub returns: &'static str,
    /// The attempt's own folder.
    pub scratch: PathBuf,
    /// Environment variables for the time of the call.
    pub env: IndexMap<String, String>,
    /// The largest JSON value that may come back.
    pub limit: usize,
}

/// Rows of an input, in a file.
#[derive(Debug, Serialize)]
pub(crate) struct Input {
    /// `arrow` (an IPC stream) or `rows` (JSON lines).
    pub format: &'static str,
    /// Where.
    pub path: PathBuf,
    /// How many.
    pub rows: u64,
    /// The columns' names.
    pub columns: Vec<String>,
}

/// What a function gave back.
#[derive(Debug)]
pub(crate) enum Reply {
    /// A JSON value.
    Value(Value),
    /// Rows, in a file of the scratch folder.
    Rows(output::Written),
}

#[cfg(test)]
mod tests;
