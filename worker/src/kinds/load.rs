//! `load`: rows into a connection, visible at once or not at all, once per task of a run.

use async_trait::async_trait;
use serde_json::json;
use tidemill_connectors::{CommitGuard, LoadId, LoadRequest};
use tidemill_dag::{
    id::{TaskKey, Ticket, WorkerId},
    spec::Load,
};
use tidemill_store::Store;

use crate::{
    attempt::{Attempt, Done},
    error::{TaskError, chain},
    session::{Tables, connect},
    worker::PAUSE,
};

/// Lets a load publish only while the store says that its attempt is the current one.
struct Fence {
    store: Store,
    ticket: Ticket,
    worker: WorkerId,
}

#[async_trait]
impl CommitGuard for Fence {
    async fn may_commit(&self) -> bool {
        let mut pause = PAUSE.0;
        loop {
            match self.store.still_current(self.ticket, &self.worker).await {
                Ok(current) => return current,
                // Not knowing is no reason to give up what is still ours: the attempt ends with its lease.
                Err(error) => {
                    tracing::warn!(ticket = %self.ticket, error = %chain(&error), "a load waits to be published");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
        }
    }
}

pub(super) async fn perform(attempt: &Attempt<'_>, load: &Load) -> Result<Done, TaskError> {
    let connection = connect(attempt, &load.connection)?;
    let tables = Tables::open(attempt).await?;
    let rows = tables.rows(&load.input).await?;
    let ticket = attempt.claimed.ticket;
    let request = LoadRequest {
        load_id: attempt.claimed.item.as_ref().map_or(LoadId::new(ticket.task, 0), |item| {
            LoadId::new(TaskKey { ordinal: item.of, ..ticket.task }, item.index)
        }),
        fence: ticket.attempt,
        table: load.table.clone(),
        mode: load.mode,
        key: load.key.clone(),
        contract: load.contract,
        schema: rows.schema(),
    };
    let fence = Fence { store: attempt.site.wiring.store.clone(), ticket, worker: attempt.site.config.id.clone() };
    let receipt = connection.load(request, rows.into_batches(), &fence).await?;
    let verb = if receipt.already { "were loaded before" } else { "loaded" };
    attempt.log.say(&format!("{} rows {verb} into {}.{}", receipt.rows, load.connection, load.table));
    // With the receipt, the end of the task tells which data is fresh.
    let dataset = tidemill_dag::wake::dataset(&load.connection, &load.table);
    Ok(Done::Output(json!({ "receipt": receipt, "dataset": dataset })))
}
