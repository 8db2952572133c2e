use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tidemill_dag::backfill::Reprocess;
use tidemill_dag::codes::tm09;
use tidemill_dag::id::RunId;
use tidemill_dag::time::Span;
use tidemill_store::{BackfillRecord, Interval, NewBackfill, StoreError};
use utoipa::ToSchema;

use super::{BackfillView, reprocess};
use crate::Api;
use crate::auth::Caller;
use crate::backfill::{self, BackfillError, BackfillOrder};
use crate::input::{Body, some_count};
use crate::problem::Problem;
use crate::routes::runs::{KeyHeader, idempotency_key};
use crate::view::IntervalView;

/// So many intervals of a preview are told one by one.
const SHOWN: usize = 1_000;

/// More runs at once than this are taken for a mistake.
const MOST_PARALLEL: u32 = 1_000;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BackfillBody {
    /// The pipeline; its active version runs.
    pipeline: String,
    /// The begin: a date in the schedule's time zone, or a moment such as `2026-01-01T06:00:00Z`.
    from: String,
    /// The end, not included.
    to: String,
    /// Cut the range into pieces of this length, as in `1d`, instead of by the pipeline's schedule.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^[0-9]{1,9}(ms|s|m|h|d)$")]
    every: Option<Span>,
    /// Whether the newest goes first.
    #[serde(default)]
    #[schema(required = false)]
    newest_first: bool,
    /// How many runs at once; 1 if unset.
    #[serde(default, deserialize_with = "some_count")]
    #[schema(minimum = 1, maximum = 1000)]
    parallel: Option<u32>,
    /// Which stretches of time that were run before are run again.
    #[serde(default)]
    #[schema(schema_with = reprocess, required = false)]
    reprocess: Reprocess,
    /// Values for parameters.
    #[serde(default)]
    #[schema(value_type = Object, required = false)]
    params: Map<String, Value>,
}

impl BackfillBody {
    fn order(self) -> Result<BackfillOrder, Problem> {
        let parallel = self.parallel.unwrap_or(1);
        if !(1..=MOST_PARALLEL).contains(&parallel) {
            return Err(Problem::bad_request(format!("`parallel` is 1 to {MOST_PARALLEL}")));
        }
        Ok(BackfillOrder {
            pipeline: self.pipeline,
            from: self.from,
            to: self.to,
            every: self.every,
            newest_first: self.newest_first,
            parallel,
            reprocess: self.reprocess,
            params: self.params,
        })
    }
}

impl From<BackfillError> for Problem {
    fn from(error: BackfillError) -> Self {
        let help = match &error {
            BackfillError::Start(_) => None,
            BackfillError::Range(_) => Some("give two dates, the earlier one first"),
            BackfillError::NoSchedule(_) => Some("say how long an interval is: `\"every\": \"1d\"`"),
        };
        let (code, detail) = (error.code(), error.to_string());
        match error {
            BackfillError::Start(error) => error.into(),
            BackfillError::Range(_) | BackfillError::NoSchedule(_) => {
                let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
                help.map_or(problem.clone(), |help| problem.help(help))
            }
        }
    }
}

/// An id that says when it was made, or that follows from a key.
fn id_of(api: &Api, pipeline: &str, key: Option<&str>) -> String {
    match key {
        Some(key) => {
            let hash = hex::encode(Sha256::digest(format!("{pipeline}/{key}").as_bytes()));
            format!("bf_{}", &hash[..32])
        }
        None => {
            let id = RunId::from_parts(api.clock.now(), api.chance.bits()).to_string();
            id.replacen(RunId::PREFIX, "bf_", 1)
        }
    }
}

/// Whether a stored backfill is what is asked for now.
fn same(found: &BackfillRecord, new: &NewBackfill) -> bool {
    (&found.pipeline, found.range, &found.cut, found.newest_first, found.parallel, found.reprocess, &found.params)
        == (&new.pipeline, new.range, &new.cut, new.newest_first, new.parallel, new.reprocess, &new.params)
}

/// Makes a backfill: one run of the pipeline for every stretch of time in a range. A scheduler starts them, so many at once.
///
/// With `Idempotency-Key` one key makes one backfill: told again, it gives that one.
#[utoipa::path(
    post, path = "/api/v1/backfills", operation_id = "create_backfill", tag = "backfills",
    params(KeyHeader),
    request_body = BackfillBody,
    responses(
        (status = 201, description = "The backfill; of a key that was used before, the one it made then", body = BackfillView, headers(
            ("location" = String, description = "Where it is"),
            ("idempotent-replayed" = bool, description = "Whether the key had made it before"),
        )),
        (status = 404, description = "There is no such pipeline, or no version of it is active"),
        (status = 422, description = "The range gives no runs, the parameters do not fit, or the key belongs to another backfill"),
    )
)]
pub(super) async fn create(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(body): Body<BackfillBody>,
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers)?;
    let id = id_of(&api, &body.pipeline, key);
    let new = backfill::plan(&api.store, &api.workbench.names(), body.order()?, (id.clone(), caller.named())).await?;
    let existed = match api.store.backfill(&id).await {
        Ok(_) => true,
        Err(StoreError::NoBackfill(_)) => false,
        Err(error) => return Err(error.into()),
    };
    let made = api.store.create_backfill(&new).await?;
    if !same(&made, &new) {
        let detail = format!("the key belongs to backfill {id}, which was asked for with other values");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, tm09::KEY_TAKEN, detail)
            .help("use a new key for a new backfill"));
    }
    api.bell.notify_one();
    let head = [("location", format!("/api/v1/backfills/{id}")), ("idempotent-replayed", existed.to_string())];
    Ok((StatusCode::CREATED, head, Json(BackfillView::from(made))).into_response())
}

/// A stretch of time, and whether it would be run.
#[derive(Debug, Serialize, ToSchema)]
struct PreviewRow {
    /// The stretch of time.
    interval: IntervalView,
    /// Whether it would be run; not if it was run before and `reprocess` does not ask for it.
    runs: bool,
}

/// What a backfill would do.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Preview {
    /// How many stretches of time lie in the range.
    total: usize,
    /// How many of them would be run.
    runs: usize,
    /// The first thousand of them, in the order in which they would be run.
    intervals: Vec<PreviewRow>,
}

/// What a backfill would do. Nothing is made.
#[utoipa::path(
    post, path = "/api/v1/backfills/preview", operation_id = "preview_backfill", tag = "backfills",
    request_body = BackfillBody,
    responses(
        (status = 200, description = "What would be run", body = Preview),
        (status = 404, description = "There is no such pipeline, or no version of it is active"),
        (status = 422, description = "The range gives no runs, or the parameters do not fit"),
    )
)]
pub(super) async fn preview(State(api): State<Api>, Body(body): Body<BackfillBody>) -> Result<Json<Preview>, Problem> {
    let new = backfill::plan(&api.store, &api.workbench.names(), body.order()?, (String::new(), None)).await?;
    let wanted = api.store.preview_backfill(&new.pipeline, &new.intervals, new.reprocess).await?;
    let runs = wanted.iter().filter(|wanted| **wanted).count();
    let mut all: Vec<(Interval, bool)> = new.intervals.into_iter().zip(wanted).collect();
    let total = all.len();
    if new.newest_first {
        all.reverse();
    }
    let row = |(interval, runs): (Interval, bool)| PreviewRow { interval: interval.into(), runs };
    Ok(Json(Preview { total, runs, intervals: all.into_iter().take(SHOWN).map(row).collect() }))
}

#[cfg(test)]
pub(super) fn examples() -> Vec<crate::testing::Example> {
    use crate::testing::Example;
    const GOOD: &str = r#"{"pipeline": "revenue", "from": "2026-01-01", "to": "2026-01-05"}"#;
    let refused = |example: Example| {
        example
            .malformed(r#"{"pipeline": "revenue", "from": "2026-01-01"}"#, 400, "TM0917")
            .malformed(r#"{"pipeline": "revenue", "from": "2026-01-01", "to": "2026-01-05", "order": 1}"#, 400, "TM0917")
            .malformed(r#"{"pipeline": "revenue", "from": "2026-01-01", "to": "2026-01-05", "parallel": 0}"#, 400, "TM0917")
            .malformed(r#"{"pipeline": "revenue", "from": "2026-01-01", "to": "2026-01-05", "every": "soon"}"#, 400, "TM0917")
            .malformed(r#"{"pipeline": "nobody", "from": "2026-01-01", "to": "2026-01-05"}"#, 404, "TM0809")
            .malformed(r#"{"pipeline": "revenue", "from": "2026-01-05", "to": "2026-01-01"}"#, 422, "TM1272")
            .malformed(r#"{"pipeline": "revenue", "from": "whenever", "to": "2026-01-01"}"#, 422, "TM1272")
            .malformed(r#"{"pipeline": "sums", "from": "2026-01-01", "to": "2026-01-05"}"#, 422, "TM1272")
            .malformed(
                r#"{"pipeline": "sums", "from": "2026-01-01", "to": "2026-01-05", "every": "1d", "params": {"most": 1}}"#,
                422,
                "TM0208",
            )
    };
    vec![
        refused(Example::post("create_backfill", "/api/v1/backfills", GOOD).header("idempotency-key", "one")).conflict(
            r#"{"pipeline": "revenue", "from": "2026-01-01", "to": "2026-01-06"}"#,
            422,
            "TM0921",
        ),
        refused(Example::post("preview_backfill", "/api/v1/backfills/preview", GOOD)),
    ]
}
