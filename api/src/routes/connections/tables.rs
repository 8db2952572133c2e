use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{connection, unanswered};
use crate::Api;
use crate::input::At;
use crate::problem::Problem;

/// The tables of a connection.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TableList {
    /// The tables, as the connection names them.
    tables: Vec<String>,
}

/// The tables of a connection as they are now.
#[utoipa::path(
    get, path = "/api/v1/connections/{name}/tables", operation_id = "list_tables", tag = "connections",
    params(("name" = String, Path, description = "The connection")),
    responses(
        (status = 200, description = "The tables", body = TableList),
        (status = 404, description = "There is no such connection"),
        (status = 502, description = "The system behind it does not answer as it should"),
    )
)]
pub(super) async fn tables(State(api): State<Api>, At(name): At<String>) -> Result<Json<TableList>, Problem> {
    let tables = connection(&api, &name)?.tables().await.map_err(|error| unanswered(&error))?;
    Ok(Json(TableList { tables }))
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("list_tables", "/api/v1/connections/data/tables").wrong(
        "GET",
        "/api/v1/connections/nobody/tables",
        404,
        "TM0918",
    )
}
