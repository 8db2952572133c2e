use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};
use tidemill_dag::diff::FIRES;
use tidemill_dag::id::RunId;
use tidemill_dag::schedule::Schedule;
use tidemill_dag::spec::{Pipeline, Trigger, called};
use tidemill_dag::time::Timestamp;
use tidemill_store::ScheduleState;
use utoipa::ToSchema;

use crate::Api;
use crate::input::At;
use crate::problem::Problem;
use crate::start::StartError;
use crate::view::word;

fn kind() -> utoipa::openapi::schema::Object {
    word(["cron", "webhook", "dataset"])
}

/// A trigger of a pipeline.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TriggerView {
    /// What addresses call it: its name, or else its place in the list.
    name: String,
    /// Its kind.
    #[schema(schema_with = kind)]
    kind: &'static str,
    /// As the definition has it; secrets stand there as places only.
    #[schema(value_type = Object)]
    definition: Value,
    /// When it fires next, for schedules.
    #[schema(value_type = Vec<String>)]
    next: Vec<String>,
    /// Moments up to this one are dealt with, for schedules.
    #[schema(format = DateTime)]
    through: Option<String>,
    /// The last run it made, for schedules.
    #[schema(value_type = Option<String>)]
    last_run: Option<RunId>,
}

/// The triggers of a pipeline.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TriggerList {
    /// The triggers of the active version, in its order.
    triggers: Vec<TriggerView>,
}

/// What starts runs of a pipeline by itself: its schedules with their next moments, its webhooks, the data it watches.
#[utoipa::path(
    get, path = "/api/v1/pipelines/{name}/triggers", operation_id = "list_triggers", tag = "pipelines",
    params(("name" = String, Path, description = "The pipeline")),
    responses(
        (status = 200, description = "The triggers", body = TriggerList),
        (status = 404, description = "No version of such a pipeline is active"),
    )
)]
pub(super) async fn triggers(State(api): State<Api>, At(name): At<String>) -> Result<Json<TriggerList>, Problem> {
    let Some(version) = api.store.active(&name).await? else {
        return Err(Problem::not_found(format!("no version of a pipeline `{name}` is active")));
    };
    let definition: Pipeline = serde_json::from_value(version.definition)
        .map_err(|source| StartError::Stored { pipeline: name.clone(), source })?;
    let mut views = Vec::new();
    for (place, trigger) in (0_u32..).zip(&definition.triggers) {
        let state = match trigger {
            Trigger::Cron(_) => api.store.schedule_state(&name, place).await?,
            Trigger::Webhook(_) | Trigger::Dataset(_) => None,
        };
        views.push(view(views.len(), trigger, state, api.clock.now()));
    }
    Ok(Json(TriggerList { triggers: views }))
}

fn view(place: usize, trigger: &Trigger, state: Option<ScheduleState>, now: Timestamp) -> TriggerView {
    let (kind, next) = match trigger {
        Trigger::Cron(cron) => {
            let schedule = Schedule::of(cron).ok();
            let next = schedule.iter().flat_map(|s| s.upcoming(now).take(FIRES)).map(|at| at.to_string()).collect();
            ("cron", next)
        }
        Trigger::Webhook(_) => ("webhook", Vec::new()),
        Trigger::Dataset(_) => ("dataset", Vec::new()),
    };
    TriggerView {
        name: called(place, trigger),
        kind,
        definition: json!(trigger),
        next,
        through: state.map(|state| state.through.to_string()),
        last_run: state.and_then(|state| state.last_run),
    }
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("list_triggers", "/api/v1/pipelines/revenue/triggers").wrong(
        "GET",
        "/api/v1/pipelines/nobody/triggers",
        404,
        "TM0918",
    )
}
