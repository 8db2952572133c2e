use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;

/// A connection.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConnectionView {
    /// Its name.
    name: String,
    /// Its kind, as in `files`.
    kind: String,
}

/// The connections of the project.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConnectionList {
    /// The connections, by name.
    connections: Vec<ConnectionView>,
}

/// Every connection of the project and its kind.
#[utoipa::path(
    get, path = "/api/v1/connections", operation_id = "list_connections", tag = "connections",
    responses((status = 200, description = "The connections", body = ConnectionList))
)]
pub(super) async fn list(State(api): State<Api>) -> Json<ConnectionList> {
    let all = api.workbench.connections.0.iter();
    let view = |(name, connection): (&String, &std::sync::Arc<dyn tidemill_connectors::Connection>)| ConnectionView {
        name: name.clone(),
        kind: connection.kind().to_owned(),
    };
    Json(ConnectionList { connections: all.map(view).collect() })
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("list_connections", "/api/v1/connections")
}
