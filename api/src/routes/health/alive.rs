use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// A sign of life.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Alive {
    /// Always `ok`.
    status: &'static str,
}

/// The process answers. Needs no token.
#[utoipa::path(
    get, path = "/healthz", operation_id = "is_alive", tag = "health",
    responses((status = 200, description = "It does", body = Alive))
)]
pub(super) async fn alive() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("is_alive", "/healthz")
}
