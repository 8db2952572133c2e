use axum::Json;
use axum::extract::State;
use tidemill_dag::backfill::BackfillEvent;

use super::BackfillView;
use crate::Api;
use crate::input::At;
use crate::problem::Problem;

async fn moved(api: &Api, id: &str, event: BackfillEvent) -> Result<Json<BackfillView>, Problem> {
    let record = api.store.move_backfill(id, event).await?;
    api.bell.notify_one();
    Ok(Json(record.into()))
}

/// Starts no further runs of a backfill; those that run go on.
#[utoipa::path(
    post, path = "/api/v1/backfills/{backfill}/pause", operation_id = "pause_backfill", tag = "backfills",
    params(("backfill" = String, Path, description = "The backfill's id")),
    responses(
        (status = 200, description = "The backfill as it is now", body = BackfillView),
        (status = 404, description = "There is no such backfill"),
        (status = 409, description = "It has ended"),
    )
)]
pub(super) async fn pause(State(api): State<Api>, At(id): At<String>) -> Result<Json<BackfillView>, Problem> {
    moved(&api, &id, BackfillEvent::Pause).await
}

/// Lets a paused backfill go on.
#[utoipa::path(
    post, path = "/api/v1/backfills/{backfill}/resume", operation_id = "resume_backfill", tag = "backfills",
    params(("backfill" = String, Path, description = "The backfill's id")),
    responses(
        (status = 200, description = "The backfill as it is now", body = BackfillView),
        (status = 404, description = "There is no such backfill"),
        (status = 409, description = "It has ended"),
    )
)]
pub(super) async fn resume(State(api): State<Api>, At(id): At<String>) -> Result<Json<BackfillView>, Problem> {
    moved(&api, &id, BackfillEvent::Resume).await
}

/// Ends a backfill: its runs are cancelled, no further ones start.
#[utoipa::path(
    post, path = "/api/v1/backfills/{backfill}/cancel", operation_id = "cancel_backfill", tag = "backfills",
    params(("backfill" = String, Path, description = "The backfill's id")),
    responses(
        (status = 200, description = "The backfill as it is now", body = BackfillView),
        (status = 404, description = "There is no such backfill"),
        (status = 409, description = "Every run of it has ended"),
    )
)]
pub(super) async fn cancel(State(api): State<Api>, At(id): At<String>) -> Result<Json<BackfillView>, Problem> {
    moved(&api, &id, BackfillEvent::Cancel).await
}

#[cfg(test)]
pub(super) fn examples() -> Vec<crate::testing::Example> {
    use crate::testing::Example;
    let one = |operation, verb: &str| {
        let example = Example::post(operation, &format!("/api/v1/backfills/bf_1/{verb}"), "");
        example.conflict_at(&format!("/api/v1/backfills/bf_9/{verb}"), "", 404, "TM1270")
    };
    let ended = |example: Example, verb: &str| {
        example.conflict_at(&format!("/api/v1/backfills/bf_2/{verb}"), "", 409, "TM1271")
    };
    vec![
        ended(one("pause_backfill", "pause"), "pause"),
        ended(one("resume_backfill", "resume"), "resume"),
        one("cancel_backfill", "cancel"),
    ]
}
