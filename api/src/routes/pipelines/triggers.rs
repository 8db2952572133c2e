use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use tidemill_dag::codes::tm12;
use tidemill_dag::diff::FIRES;
use tidemill_dag::id::RunId;
use tidemill_dag::schedule::Schedule;
use tidemill_dag::spec::{Pipeline, Trigger, called, trigger_called};
use tidemill_dag::time::Timestamp;
use tidemill_store::ScheduleState;
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::input::At;
use crate::problem::Problem;
use crate::start::StartError;
use crate::view::{moment, word};

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
    /// Since when it is paused, for schedules.
    #[schema(format = DateTime)]
    paused_at: Option<String>,
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
    let mut views = Vec::new();
    for (place, trigger) in definition(&api, &name).await?.triggers.iter().enumerate() {
        views.push(seen(&api, &name, place, trigger).await?);
    }
    Ok(Json(TriggerList { triggers: views }))
}

async fn definition(api: &Api, name: &str) -> Result<Pipeline, Problem> {
    let Some(version) = api.store.active(name).await? else {
        return Err(Problem::not_found(format!("no version of a pipeline `{name}` is active")));
    };
    let stored = |source| StartError::Stored { pipeline: name.to_owned(), source };
    Ok(serde_json::from_value(version.definition).map_err(stored)?)
}

async fn seen(api: &Api, pipeline: &str, place: usize, trigger: &Trigger) -> Result<TriggerView, Problem> {
    let state = match trigger {
        Trigger::Cron(_) => api.store.schedule_state(pipeline, index(place)).await?,
        Trigger::Webhook(_) | Trigger::Dataset(_) => None,
    };
    Ok(view(place, trigger, state, api.clock.now()))
}

fn index(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// The parts of a schedule's address, for the document.
#[derive(Debug, IntoParams)]
#[into_params(names("name", "trigger"), parameter_in = Path)]
#[expect(dead_code, reason = "it says what stands in the address; the address is read as two texts")]
struct ScheduleAt(
    /// The pipeline.
    String,
    /// The schedule's name, or its place among the triggers.
    String,
);

async fn paused(api: &Api, (pipeline, text): (String, String), paused: bool) -> Result<Json<TriggerView>, Problem> {
    let definition = definition(api, &pipeline).await?;
    let missing =
        || Problem::new(StatusCode::NOT_FOUND, tm12::UNKNOWN_TRIGGER, format!("`{pipeline}` has no schedule `{text}`"));
    let found = trigger_called(&definition.triggers, &text).filter(|(_, trigger)| matches!(trigger, Trigger::Cron(_)));
    let (place, trigger) = found.ok_or_else(missing)?;
    api.store.pause_schedule(&pipeline, index(place), paused).await?;
    api.bell.notify_one();
    Ok(Json(seen(api, &pipeline, place, trigger).await?))
}

/// Lets a schedule fire no more. What passes meanwhile is missed.
#[utoipa::path(
    post, path = "/api/v1/pipelines/{name}/triggers/{trigger}/pause", operation_id = "pause_schedule", tag = "triggers",
    params(ScheduleAt),
    responses(
        (status = 200, description = "The schedule as it is now", body = TriggerView),
        (status = 404, description = "No version of such a pipeline is active, or it has no such schedule"),
    )
)]
pub(super) async fn pause(
    State(api): State<Api>,
    At(which): At<(String, String)>,
) -> Result<Json<TriggerView>, Problem> {
    paused(&api, which, true).await
}

/// Lets a paused schedule go on; its `catch_up` says what becomes of what passed.
#[utoipa::path(
    post, path = "/api/v1/pipelines/{name}/triggers/{trigger}/resume", operation_id = "resume_schedule", tag = "triggers",
    params(ScheduleAt),
    responses(
        (status = 200, description = "The schedule as it is now", body = TriggerView),
        (status = 404, description = "No version of such a pipeline is active, or it has no such schedule"),
    )
)]
pub(super) async fn resume(
    State(api): State<Api>,
    At(which): At<(String, String)>,
) -> Result<Json<TriggerView>, Problem> {
    paused(&api, which, false).await
}

/// A schedule of a pipeline.
#[derive(Debug, Serialize, ToSchema)]
struct ScheduleView {
    /// The pipeline.
    pipeline: String,
    /// The schedule.
    trigger: TriggerView,
}

/// Every schedule.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ScheduleList {
    /// The schedules of active versions, by pipeline.
    schedules: Vec<ScheduleView>,
}

/// Every schedule of an active version: when it fires next, what it made last, whether it is paused.
#[utoipa::path(
    get, path = "/api/v1/schedules", operation_id = "list_schedules", tag = "triggers",
    responses((status = 200, description = "The schedules", body = ScheduleList))
)]
pub(super) async fn schedules(State(api): State<Api>) -> Result<Json<ScheduleList>, Problem> {
    let mut schedules = Vec::new();
    for pipeline in api.store.pipelines().await?.into_iter().filter(|it| it.active.is_some()) {
        for (place, trigger) in definition(&api, &pipeline.name).await?.triggers.iter().enumerate() {
            if matches!(trigger, Trigger::Cron(_)) {
                let trigger = seen(&api, &pipeline.name, place, trigger).await?;
                schedules.push(ScheduleView { pipeline: pipeline.name.clone(), trigger });
            }
        }
    }
    Ok(Json(ScheduleList { schedules }))
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
        paused_at: moment(state.and_then(|state| state.paused_at)),
    }
}

#[cfg(test)]
pub(super) fn examples() -> Vec<crate::testing::Example> {
    use crate::testing::Example;
    let moved = |operation, verb: &str| {
        Example::post(operation, &format!("/api/v1/pipelines/revenue/triggers/0/{verb}"), "")
            .conflict_at(&format!("/api/v1/pipelines/nobody/triggers/0/{verb}"), "", 404, "TM0918")
            .conflict_at(&format!("/api/v1/pipelines/revenue/triggers/9/{verb}"), "", 404, "TM1209")
            .conflict_at(&format!("/api/v1/pipelines/hooked/triggers/in/{verb}"), "", 404, "TM1209")
    };
    vec![
        Example::get("list_triggers", "/api/v1/pipelines/revenue/triggers").wrong(
            "GET",
            "/api/v1/pipelines/nobody/triggers",
            404,
            "TM0918",
        ),
        moved("pause_schedule", "pause"),
        moved("resume_schedule", "resume"),
        Example::get("list_schedules", "/api/v1/schedules"),
    ]
}
