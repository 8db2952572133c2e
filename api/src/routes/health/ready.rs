use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::problem::Problem;

/// The process can work.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ready {
    /// Always `ready`.
    status: &'static str,
}

/// The process can do its work: its database answers, and it is not stopping. Needs no token.
#[utoipa::path(
    get, path = "/readyz", operation_id = "is_ready", tag = "health",
    responses((status = 200, description = "It can", body = Ready))
)]
pub(super) async fn ready(State(api): State<Api>) -> Result<Json<Ready>, Problem> {
    if api.stopping.is_cancelled() {
        return Err(tidemill_store::StoreError::Closed.into());
    }
    api.store.ping().await?;
    Ok(Json(Ready { status: "ready" }))
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("is_ready", "/readyz")
}
