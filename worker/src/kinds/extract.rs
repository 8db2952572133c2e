//! `extract`: a table of a connection, kept as a data set. (As a view it is part of its reader.)

use serde_json::json;
use tidemill_dag::spec::Extract;

use crate::{
    attempt::{Attempt, Done},
    datasets,
    error::TaskError,
    session::connect,
};

pub(super) async fn perform(attempt: &Attempt<'_>, extract: &Extract) -> Result<Done, TaskError> {
    let mut session = attempt.site.wiring.engine.session(attempt.claimed.run.started_at);
    let name = &attempt.planned.name;
    let connection = connect(attempt, &extract.connection)?;
    session.add_table(name, connection, &extract.table, &extract.columns).await?;
    let manifest = datasets::write(attempt, "rows", session.stream_table(name).await?).await?;
    attempt.log.say(&format!("{} rows read from {}.{}", manifest.rows, extract.connection, extract.table));
    Ok(Done::Output(json!({ "manifest": manifest })))
}
