use axum::extract::State;
use axum::{Extension, Json};

use super::run_id;
use crate::Api;
use crate::auth::Caller;
use crate::input::At;
use crate::problem::Problem;
use crate::view::RunView;

/// Stops a run: its tasks that have not finished are cancelled. Cancelled again, it stays as it is.
#[utoipa::path(
    post, path = "/api/v1/runs/{run}/cancel", operation_id = "cancel_run", tag = "runs",
    params(("run" = String, Path, description = "The run's id")),
    responses(
        (status = 200, description = "The run as it is now", body = RunView),
        (status = 404, description = "There is no such run"),
        (status = 409, description = "The run has ended otherwise"),
    )
)]
pub(super) async fn cancel(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(run): At<String>,
) -> Result<Json<RunView>, Problem> {
    let reason = match caller.name.as_str() {
        "local" => "cancelled through the API".to_owned(),
        name => format!("cancelled through the API by `{name}`"),
    };
    Ok(Json(api.store.cancel_run(run_id(&run)?, &reason).await?.into()))
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::post("cancel_run", "/api/v1/runs/{run}/cancel", "")
        .conflict_at("/api/v1/runs/{done}/cancel", "", 409, "TM0810")
        .wrong("POST", "/api/v1/runs/run_1/cancel", 404, "TM0918")
}
