//! Systems that hold data: their kinds and tables, never their secrets.

mod list;
mod table;
mod tables;

use std::sync::Arc;

use axum::http::StatusCode;
use tidemill_connectors::{Connection, ConnectorError};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::needs;
use crate::Api;
use crate::auth::Role;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(needs(Role::Read, routes!(list::list)))
        .routes(needs(Role::Read, routes!(tables::tables)))
        .routes(needs(Role::Read, routes!(table::table)))
}

#[cfg(test)]
pub(super) fn examples() -> Vec<crate::testing::Example> {
    vec![list::example(), tables::example(), table::example()]
}

fn connection(api: &Api, name: &str) -> Result<Arc<dyn Connection>, Problem> {
    let found = api.workbench.connections.0.get(name);
    found.cloned().ok_or_else(|| Problem::not_found(format!("there is no connection `{name}`")))
}

/// What a system behind a connection did not do.
fn unanswered(error: &ConnectorError) -> Problem {
    let status = match error {
        ConnectorError::UnknownTable { .. } | ConnectorError::TableName { .. } => StatusCode::NOT_FOUND,
        _ => StatusCode::BAD_GATEWAY,
    };
    Problem { help: error.help(), ..Problem::new(status, error.code(), error.to_string()) }
}
