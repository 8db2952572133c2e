//! `sql`: a query, its rows kept as a data set. (As a view it is part of its reader.)

use serde_json::json;
use tidemill_dag::spec::Sql;

use crate::{
    attempt::{Attempt, Done},
    datasets,
    error::TaskError,
    session::Tables,
};

pub(super) async fn perform(attempt: &Attempt<'_>, sql: &Sql) -> Result<Done, TaskError> {
    let query = attempt.sql("sql", sql.query())?;
    let tables = Tables::open(attempt).await?;
    let rows = tables.0.stream(&query).await?;
    let manifest = datasets::write(attempt, "rows", rows).await?;
    attempt.log.say(&format!("{} rows", manifest.rows));
    Ok(Done::Output(json!({ "manifest": manifest })))
}
