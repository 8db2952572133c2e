use axum::Json;
use axum::extract::State;

use crate::Api;
use crate::health::HealthView;

/// Every component: healthy, degraded or unhealthy, why, and since when.
///
/// The answer is 200 however the components are; `/readyz` is for those who want a status.
#[utoipa::path(
    get, path = "/api/v1/health", operation_id = "show_health", tag = "health",
    responses((status = 200, description = "The components", body = HealthView))
)]
pub(super) async fn components(State(api): State<Api>) -> Json<HealthView> {
    Json(api.health.look(&*api.clock).await)
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("show_health", "/api/v1/health")
}
