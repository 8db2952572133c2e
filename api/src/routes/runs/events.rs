use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::run_id;
use crate::Api;
use crate::cursor::List;
use crate::input::{Ask, At, PageQuery, page};
use crate::problem::Problem;
use crate::view::EventView;

/// A page of a run's history.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventPage {
    /// What happened, oldest first.
    events: Vec<EventView>,
    /// Where to go on, also once more has happened.
    next: Option<String>,
}

/// The history of a run: every change of state of it and of its tasks, oldest first.
#[utoipa::path(
    get, path = "/api/v1/runs/{run}/events", operation_id = "list_events", tag = "runs",
    params(("run" = String, Path, description = "The run's id"), PageQuery),
    responses(
        (status = 200, description = "A page of the history", body = EventPage),
        (status = 404, description = "There is no such run"),
    )
)]
pub(super) async fn events(
    State(api): State<Api>,
    At(run): At<String>,
    Ask(asked): Ask<PageQuery>,
) -> Result<Json<EventPage>, Problem> {
    let limit = page(asked.limit)?;
    let after: Option<i64> = List::Events.key(asked.cursor.as_deref())?;
    let run = api.store.run(run_id(&run)?).await?;
    let rows = api.store.events(run.id, after.unwrap_or(0), limit).await?;
    let next = rows.last().map(|last| List::Events.cursor(last.id)).or(asked.cursor);
    Ok(Json(EventPage { events: rows.into_iter().map(EventView::from).collect(), next }))
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("list_events", "/api/v1/runs/{run}/events?limit=2")
        .wrong("GET", "/api/v1/runs/{run}/events?cursor=6c31", 422, "TM1308")
        .wrong("GET", "/api/v1/runs/run_1/events", 404, "TM0918")
}
