//! Loads on their way to the runs they start: from the outbox to the triggers that watch them, and from there into a run.

use std::collections::BTreeMap;

use tidemill_dag::{
    id::{RunId, TaskKey},
    time::Timestamp,
    wake::{self, Update},
};

use crate::{
    Created, NewRun, Store, StoreError,
    db::{Batch, Columns, Row, Sql, Tx, batch, tried},
    desk::Cause,
};

/// A trigger of a pipeline: its name and the place of the trigger.
pub type Watcher = (String, u32);

/// At most so many loads are handed on in one transaction.
const AT_ONCE: u32 = 500;
/// At most so many waiting loads are looked at.
const LOOKED_AT: u32 = 20_000;

const ANY: &str = "SELECT id FROM dataset_updates ORDER BY id LIMIT 1";

/// Rows that another process hands on right now are not waited for.
const TAKE: Sql = Sql {
    sqlite: "SELECT u.id, u.dataset, u.run_id, u.rows_written, u.at, t.name, r.trigger_data FROM dataset_updates AS u \
             LEFT JOIN tasks AS t ON t.run_id = u.run_id AND t.ordinal = u.ordinal LEFT JOIN runs AS r ON r.id = u.run_id \
             ORDER BY u.id LIMIT $1",
    postgres: "SELECT u.id, u.dataset, u.run_id, u.rows_written, u.at, t.name, r.trigger_data FROM dataset_updates AS u \
               LEFT JOIN tasks AS t ON t.run_id = u.run_id AND t.ordinal = u.ordinal LEFT JOIN runs AS r ON r.id = u.run_id \
               ORDER BY u.id LIMIT $1 FOR UPDATE OF u SKIP LOCKED",
};

const DONE: Sql = batch!(
    [id int] "DELETE FROM dataset_updates WHERE id IN (SELECT id FROM input)"
);

const WAKE: Sql = batch!(
    [pipeline text, trigger_index int, update_id int, dataset text, run_id run, task text, rows_written int, chain int,
     at int]
    "INSERT INTO dataset_wakes (pipeline, trigger_index, update_id, dataset, run_id, task, rows_written, chain, at)",
    "SELECT pipeline, trigger_index, update_id, dataset, run_id, task, rows_written, chain, at FROM input ORDER BY n"
);

const UPDATED: Sql = batch!(
    [dataset text, run_id run, ordinal int, rows_written int, at int]
    "INSERT INTO dataset_updates (dataset, run_id, ordinal, rows_written, at)",
    "SELECT dataset, run_id, ordinal, rows_written, at FROM input ORDER BY n"
);

const WAITING: &str = "SELECT pipeline, trigger_index, update_id, dataset, run_id, task, rows_written, chain, at \
                       FROM dataset_wakes ORDER BY pipeline, trigger_index, update_id LIMIT $1";

const STILL_THERE: Sql = batch!(
    [pipeline text, trigger_index int, update_id int]
    "SELECT w.update_id FROM input AS i CROSS JOIN dataset_wakes AS w",
    "WHERE w.pipeline = i.pipeline AND w.trigger_index = i.trigger_index AND w.update_id = i.update_id"
);

const REMOVE: Sql = batch!(
    [pipeline text, trigger_index int, update_id int]
    "DELETE FROM dataset_wakes WHERE (pipeline, trigger_index, update_id) IN",
    "(SELECT pipeline, trigger_index, update_id FROM input)"
);

#[cfg(test)]
pub(crate) const STATEMENTS: [Sql; 4] = [DONE, WAKE, STILL_THERE, REMOVE];

/// Loads that a trigger takes for a run.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub trigger: u32,
    pub updates: Vec<i64>,
}

/// Loads that ended in a transaction, to be written with it.
#[derive(Debug, Default)]
pub(crate) struct Loaded(Batch);

impl Loaded {
    /// A load that ended: what its task gave names the data set.
    pub fn add(&mut self, task: TaskKey, output: &serde_json::Value, now: Timestamp) {
        let Some(dataset) = output.get("receipt").and_then(|_| output.get("dataset")).and_then(|it| it.as_str()) else {
            return;
        };
        let rows = output["receipt"]["rows"].as_i64();
        self.0
            .row()
            .set("dataset", dataset)
            .set("run_id", task.run)
            .set("ordinal", task.ordinal)
            .set("rows_written", rows)
            .set("at", now);
    }

    pub async fn write(&self, tx: &mut Tx) -> Result<(), StoreError> {
        if self.0.is_empty() {
            return Ok(());
        }
        tx.run("note what was loaded", UPDATED, &[self.0.arg()]).await.map(drop)
    }
}

impl Taken {
    fn input(&self, pipeline: &str) -> Batch {
        let mut input = Batch::default();
        for update in &self.updates {
            input.row().set("pipeline", pipeline).set("trigger_index", self.trigger).set("update_id", *update);
        }
        input
    }

    /// Removes the loads, if all of them are still there; whoever was faster has a run for them. The pipeline is locked,
    /// so nobody else takes any meanwhile.
    pub async fn take(&self, tx: &mut Tx, pipeline: &str) -> Result<bool, StoreError> {
        let input = self.input(pipeline);
        let there = tx.rows("look for waiting loads", STILL_THERE, &[input.arg()]).await?;
        if there.len() != self.updates.len() {
            return Ok(false);
        }
        tx.run("take waiting loads", REMOVE, &[input.arg()]).await?;
        Ok(true)
    }
}

impl Store {
    /// Hands loads that ended on to the triggers that watch them. Each goes to each once, whatever dies in between.
    /// Returns how many loads were handed on.
    pub async fn hand_on_updates(&self, watchers: impl Fn(&str) -> Vec<Watcher>) -> Result<usize, StoreError> {
        let mut handed_on = 0;
        while !self.desk.db.read("look for loads", ANY, &[]).await?.is_empty() {
            let some = tried!(self.hand_on_once(&watchers).await)?;
            handed_on += some;
            if some < AT_ONCE as usize {
                break;
            }
        }
        Ok(handed_on)
    }

    async fn hand_on_once(&self, watchers: &impl Fn(&str) -> Vec<Watcher>) -> Result<usize, StoreError> {
        let mut tx = self.desk.db.begin().await?;
        let rows = tx.rows("take loads", TAKE, &[AT_ONCE.into()]).await?;
        let (mut wakes, mut done) = (Batch::default(), Batch::default());
        for row in &rows {
            let update = ended(row)?;
            done.row().set("id", update.id);
            for (pipeline, trigger) in watchers(&update.dataset) {
                wakes
                    .row()
                    .set("pipeline", pipeline.as_str())
                    .set("trigger_index", trigger)
                    .set("update_id", update.id)
                    .set("dataset", update.dataset.as_str())
                    .set("run_id", update.run)
                    .set("task", update.task.as_str())
                    .set("rows_written", update.rows)
                    .set("chain", update.chain)
                    .set("at", update.at);
            }
        }
        for (sql, input) in [(WAKE, &wakes), (DONE, &done)] {
            if !input.is_empty() {
                tx.run("hand loads on", sql, &[input.arg()]).await?;
            }
        }
        tx.commit().await?;
        Ok(rows.len())
    }

    /// Loads that wait for their triggers, oldest first.
    pub async fn waiting_updates(&self) -> Result<BTreeMap<Watcher, Vec<Update>>, StoreError> {
        let mut waiting: BTreeMap<Watcher, Vec<Update>> = BTreeMap::new();
        for row in &self.desk.db.read("look at waiting loads", WAITING, &[LOOKED_AT.into()]).await? {
            let mut columns = Columns::of(row, "dataset_wakes");
            let watcher = (columns.next("pipeline")?, columns.next("trigger_index")?);
            waiting.entry(watcher).or_default().push(Update {
                id: columns.next("update_id")?,
                dataset: columns.next("dataset")?,
                run: columns.next("run_id")?,
                task: columns.next("task")?,
                rows: columns.next("rows_written")?,
                chain: columns.next("chain")?,
                at: columns.next("at")?,
            });
        }
        Ok(waiting)
    }

    /// Creates the run of a set of waiting loads and takes them, in one transaction; none if somebody else has taken
    /// one of them.
    pub async fn fire_updates(
        &self,
        trigger: u32,
        updates: &[Update],
        run: NewRun,
    ) -> Result<Option<Created>, StoreError> {
        let last = updates.iter().map(|update| update.id).max().unwrap_or(0);
        let run = NewRun { trigger_key: Some(format!("dataset/{trigger}/{last}")), ..run };
        let taken = Taken { trigger, updates: updates.iter().map(|update| update.id).collect() };
        match self.create(run, Cause::Updates(taken)).await {
            Err(StoreError::Contended { .. }) => Ok(None),
            created => created.map(Some),
        }
    }

    /// Lets go of waiting loads without a run, as when nothing watches them any more.
    pub async fn drop_updates(&self, watcher: &Watcher, updates: &[Update]) -> Result<(), StoreError> {
        let (pipeline, trigger) = watcher;
        let input = Taken { trigger: *trigger, updates: updates.iter().map(|it| it.id).collect() }.input(pipeline);
        tried!(self.desk.db.change("let waiting loads go", REMOVE, &[input.arg()]).await).map(drop)
    }
}

/// A load that ended; its run may have been removed since.
fn ended(row: &Row) -> Result<Update, StoreError> {
    let mut columns = Columns::of(row, "dataset_updates");
    let (id, dataset, run): (i64, String, RunId) =
        (columns.next("id")?, columns.next("dataset")?, columns.next("run_id")?);
    let (rows, at) = (columns.next("rows_written")?, columns.next("at")?);
    let task: Option<String> = columns.next("name")?;
    let data: Option<serde_json::Value> = columns.maybe_json("trigger_data")?;
    let chain = data.as_ref().map_or(0, wake::chain_of);
    Ok(Update { id, dataset, run, task: task.unwrap_or_default(), rows, chain, at })
}
