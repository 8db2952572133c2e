use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tidemill_dag::codes::tm13;
use utoipa::{IntoParams, ToSchema};

use super::file;
use crate::Api;
use crate::input::{Ask, At};
use crate::problem::Problem;

/// A week: no object store signs for longer.
const LONGEST: u64 = 7 * 86_400;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LinkQuery {
    /// For how many seconds the link works; 900 if unset.
    #[param(minimum = 1, maximum = 604800)]
    seconds: Option<u64>,
}

/// A link that works by itself.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Link {
    /// The address. Whoever has it may read the file.
    url: String,
    /// Until when it works.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// A link under which a file of a data set can be read for a while without a token, straight from the object store.
#[utoipa::path(
    get, path = "/api/v1/runs/{run}/artifacts/{task}/files/{file}/link", operation_id = "link_artifact", tag = "artifacts",
    params(
        ("run" = String, Path, description = "The run's id"),
        ("task" = String, Path, description = "The task's name"),
        ("file" = String, Path, description = "The file's place in the data set, from 0"),
        LinkQuery,
    ),
    responses(
        (status = 200, description = "The link", body = Link),
        (status = 404, description = "There is no such run, task or file"),
        (status = 409, description = "Data sets are kept where no links can be made"),
    )
)]
pub(super) async fn link(
    State(api): State<Api>,
    At((run, task, number)): At<(String, String, String)>,
    Ask(asked): Ask<LinkQuery>,
) -> Result<Json<Link>, Problem> {
    let seconds = asked.seconds.unwrap_or(900);
    if !(1..=LONGEST).contains(&seconds) {
        return Err(Problem::bad_request(format!("`seconds` is 1 to {LONGEST}")));
    }
    let file = file(&api, &run, &task, &number).await?;
    let valid = Duration::from_secs(seconds);
    let expires_at = api.clock.now().after(valid).to_string();
    match api.blobs.presigned(&file.path, valid).await? {
        Some(url) => Ok(Json(Link { url, expires_at })),
        None => {
            let detail = "data sets are kept in a folder of this machine";
            Err(Problem::new(StatusCode::CONFLICT, tm13::NO_LINK, detail).help("download the file through the API"))
        }
    }
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("link_artifact", "/api/v1/runs/{done}/artifacts/second/files/0/link")
        .fails(409, "TM1318")
        .wrong("GET", "/api/v1/runs/{done}/artifacts/second/files/0/link?seconds=0", 400, "TM0917")
}
