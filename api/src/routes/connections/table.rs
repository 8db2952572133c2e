use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tidemill_connectors::column_type;
use utoipa::ToSchema;

use super::{connection, unanswered};
use crate::Api;
use crate::input::At;
use crate::problem::Problem;

/// A column of a table.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TableColumn {
    /// Its name.
    name: String,
    /// Its type, as a project file writes it.
    #[serde(rename = "type")]
    kind: String,
    /// Whether NULL is allowed.
    nullable: bool,
}

/// A table of a connection.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TableView {
    /// The table, as the connection names it.
    name: String,
    /// Its columns.
    columns: Vec<TableColumn>,
    /// How many rows, where that is known without reading them.
    rows: Option<u64>,
    /// What a person should look at before trusting inferred types.
    hints: Vec<String>,
}

/// A table and its columns as they are now.
#[utoipa::path(
    get, path = "/api/v1/connections/{name}/tables/{table}", operation_id = "show_table", tag = "connections",
    params(("name" = String, Path, description = "The connection"), ("table" = String, Path, description = "The table")),
    responses(
        (status = 200, description = "The table", body = TableView),
        (status = 404, description = "There is no such connection or table"),
        (status = 502, description = "The system behind it does not answer as it should"),
    )
)]
pub(super) async fn table(
    State(api): State<Api>,
    At((name, table)): At<(String, String)>,
) -> Result<Json<TableView>, Problem> {
    let info = connection(&api, &name)?.describe(&table).await.map_err(|error| unanswered(&error))?;
    let columns = info.schema.fields().iter().map(|field| TableColumn {
        name: field.name().clone(),
        kind: column_type::to_text(field.data_type()),
        nullable: field.is_nullable(),
    });
    Ok(Json(TableView { columns: columns.collect(), name: info.name, rows: info.rows, hints: info.hints }))
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("show_table", "/api/v1/connections/data/tables/orders")
        .wrong("GET", "/api/v1/connections/data/tables/nobody", 404, "TM0601")
        .wrong("GET", "/api/v1/connections/nobody/tables/orders", 404, "TM0918")
}
