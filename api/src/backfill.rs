//! What a backfill is asked for with, and the stretches of time that follow.

use serde_json::{Map, Value};
use tidemill_dag::backfill::{Cut, RangeError, Reprocess};
use tidemill_dag::codes::tm12;
use tidemill_dag::compile::{Compiled, Known};
use tidemill_dag::schedule::Schedule;
use tidemill_dag::spec::Trigger;
use tidemill_dag::time::Span;
use tidemill_store::{Interval, NewBackfill, Store};

use crate::start::{self, StartError};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct BackfillOrder {
    /// The pipeline; its active version runs.
    pub pipeline: String,
    /// The begin: a date in the schedule's time zone, or a moment.
    pub from: String,
    /// The end, not included.
    pub to: String,
    /// The length of one piece; the schedule's moments cut the range if unset.
    pub every: Option<Span>,
    /// Whether the newest goes first.
    pub newest_first: bool,
    /// How many runs at once.
    pub parallel: u32,
    /// Which of those that were run before are run again.
    pub reprocess: Reprocess,
    /// Parameters of its runs, as given.
    pub params: Map<String, Value>,
}

/// Why there is no backfill.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// The pipeline cannot run, or the parameters do not fit.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A range that gives no runs.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// A range cannot be cut without a schedule.
    #[error("pipeline `{0}` has no schedule to cut a range by")]
    NoSchedule(String),
}

impl BackfillError {
    /// The public code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Start(error) => error.code(),
            Self::Range(_) | Self::NoSchedule(_) => tm12::BACKFILL_RANGE,
        }
    }
}

/// Makes ready what is asked for, under this id. Nothing is stored.
///
/// # Errors
/// See [`BackfillError`].
pub async fn plan(
    store: &Store,
    known: &Known,
    order: BackfillOrder,
    (id, by): (String, Option<String>),
) -> Result<NewBackfill, BackfillError> {
    let compiled = start::active(store, &order.pipeline, known).await?;
    let params = tidemill_dag::params::bind(&compiled.pipeline, &order.params).map_err(StartError::Findings)?;
    let (cut, words) = cut(&compiled, &order)?;
    let range = Interval { start: cut.moment(&order.from)?, end: cut.moment(&order.to)? };
    let intervals = cut.intervals(range.start, range.end)?;
    Ok(NewBackfill {
        id,
        pipeline: order.pipeline,
        version: compiled.version,
        range,
        cut: words,
        intervals: intervals.into_iter().map(|(start, end)| Interval { start, end }).collect(),
        newest_first: order.newest_first,
        parallel: order.parallel,
        reprocess: order.reprocess,
        params: params.into(),
        created_by: by,
    })
}

/// How the range is cut: into pieces of the length that is asked for, or else by the first schedule of the pipeline.
fn cut(compiled: &Compiled, order: &BackfillOrder) -> Result<(Cut, String), BackfillError> {
    if let Some(every) = order.every {
        return Ok((Cut::Every(every), every.to_string()));
    }
    let cron = compiled.pipeline.triggers.iter().find_map(|trigger| match trigger {
        Trigger::Cron(cron) => Some(cron),
        Trigger::Webhook(_) | Trigger::Dataset(_) => None,
    });
    let cron = cron.ok_or_else(|| BackfillError::NoSchedule(order.pipeline.clone()))?;
    let schedule = Schedule::of(cron).map_err(|error| RangeError::Moment(format!("{}: {error}", cron.cron)))?;
    let zone = cron.timezone.as_ref().map(|zone| format!(" ({zone})")).unwrap_or_default();
    Ok((Cut::Schedule(Box::new(schedule)), format!("{}{zone}", cron.cron)))
}
