//! The description of the API itself.

use axum::http::header;
use axum::response::IntoResponse;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Api;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(describe))
}

#[cfg(test)]
pub(super) fn examples() -> Vec<crate::testing::Example> {
    vec![crate::testing::Example::get("describe_api", "/api/v1/openapi.json")]
}

/// The OpenAPI document of this API. Needs no token.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", operation_id = "describe_api", tag = "health",
    responses((status = 200, description = "The document", body = serde_json::Value))
)]
async fn describe() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], crate::openapi::text())
}
