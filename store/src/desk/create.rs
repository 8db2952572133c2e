//! New runs in one transaction.

use std::collections::{BTreeSet, HashMap};

use tidemill_dag::{
    id::{RunId, VersionId},
    state::{Arrival, RunEvent, RunState, arrive},
    time::Timestamp,
};

use super::{Answer, Desk, Moment, Request, newborn::Newborn};
use crate::{
    Created, NewRun, StoreError,
    db::{Batch, Columns, Sql, Tx, batch},
    door::{After, Door},
};

const LOCK: Sql = batch!(
    [pipeline text] "SELECT p.name FROM input AS i CROSS JOIN pipelines AS p WHERE p.name = i.pipeline ORDER BY p.name"
    ; postgres "FOR NO KEY UPDATE OF p"
);

/// Whether the version is there, the run that the same key or the same id made before, and how many run and wait.
const FACTS: Sql = batch!(
    [pipeline text, version text, trigger_key text, run_id run]
    "SELECT v.id, COALESCE(k.id, s.id), COALESCE(k.state, s.state),",
    "(SELECT COUNT(*) FROM runs AS r WHERE r.pipeline = i.pipeline AND r.state = 'running'),",
    "(SELECT COUNT(*) FROM runs AS r WHERE r.pipeline = i.pipeline AND r.state = 'queued')",
    "FROM input AS i LEFT JOIN versions AS v ON v.id = i.version AND v.pipeline = i.pipeline",
    "LEFT JOIN runs AS k ON k.pipeline = i.pipeline AND k.trigger_key = i.trigger_key",
    "LEFT JOIN runs AS s ON s.id = i.run_id",
    "ORDER BY i.n"
);

const OLDEST_RUNNING: &str =
    "SELECT r.id FROM runs AS r WHERE r.pipeline = $1 AND r.state = 'running' ORDER BY r.created_at, r.id LIMIT $2";

const MOMENT: &str = "INSERT INTO schedules (pipeline, trigger_index, through, last_run) VALUES ($1, $2, $3, $4) \
                      ON CONFLICT (pipeline, trigger_index) DO UPDATE SET last_run = excluded.last_run, \
                      through = CASE WHEN excluded.through > schedules.through THEN excluded.through ELSE schedules.through END";

#[cfg(test)]
pub(crate) const STATEMENTS: [Sql; 2] = [LOCK, FACTS];

/// How many runs of a pipeline run and wait.
#[derive(Debug, Clone, Copy, Default)]
struct Crowd {
    running: u32,
    queued: u32,
}

/// What is known about one request before anything is decided.
struct Facts {
    version: Option<VersionId>,
    earlier: Option<(RunId, RunState)>,
    crowd: Crowd,
}

/// The transaction under way.
struct Births<'t> {
    tx: &'t mut Tx,
    now: Timestamp,
    crowds: HashMap<String, Crowd>,
    by_key: HashMap<(String, String), (RunId, RunState)>,
    unborn: Newborn,
    after: After,
}

impl Desk {
    pub(super) async fn create(
        &self,
        tx: &mut Tx,
        requests: &[Request],
    ) -> Result<(Vec<Result<Answer, StoreError>>, After), StoreError> {
        let new: Vec<(&NewRun, Option<&Moment>)> = requests.iter().filter_map(Request::as_new).collect();
        let pipelines: BTreeSet<&str> = new.iter().map(|(run, _)| run.pipeline.as_str()).collect();
        let known = lock(tx, pipelines).await?;
        let facts = facts(tx, &new).await?;
        let now = self.clock.now();
        let mut births = Births {
            tx,
            now,
            crowds: HashMap::new(),
            by_key: HashMap::new(),
            unborn: Newborn::new(now),
            after: After::default(),
        };
        let mut answers = Vec::with_capacity(new.len());
        for ((run, moment), facts) in new.into_iter().zip(facts) {
            answers.push(if !known.contains(&run.pipeline) {
                Err(StoreError::NoPipeline(run.pipeline.clone()))
            } else if facts.version.is_none() {
                Err(StoreError::NoVersion(run.version.clone()))
            } else {
                let created = births.one(run, &facts).await?;
                births.note(run, moment, created.run).await?;
                Ok(Answer::Created(created))
            });
        }
        births.flush().await?;
        Ok((answers, births.after))
    }
}

impl Request {
    fn as_new(&self) -> Option<(&NewRun, Option<&Moment>)> {
        match self {
            Self::Create(run, moment) => Some((run, moment.as_ref())),
            Self::Claim { .. } | Self::Complete(_) => None,
        }
    }
}

async fn lock(tx: &mut Tx, pipelines: BTreeSet<&str>) -> Result<BTreeSet<String>, StoreError> {
    let mut input = Batch::default();
    for pipeline in pipelines {
        input.row().set("pipeline", pipeline);
    }
    let rows = tx.rows("lock pipelines", LOCK, &[input.arg()]).await?;
    rows.iter().map(|row| Columns::of(row, "pipelines").next("name")).collect()
}

async fn facts(tx: &mut Tx, new: &[(&NewRun, Option<&Moment>)]) -> Result<Vec<Facts>, StoreError> {
    let mut input = Batch::default();
    for (run, _) in new {
        input
            .row()
            .set("pipeline", run.pipeline.as_str())
            .set("version", run.version.0.as_str())
            .set("trigger_key", run.trigger_key.as_deref())
            .set("run_id", run.id);
    }
    let rows = tx.rows("look before creating runs", FACTS, &[input.arg()]).await?;
    let read = |row| {
        let mut columns = Columns::of(row, "runs");
        let version: Option<String> = columns.next("version")?;
        let id: Option<RunId> = columns.next("id")?;
        let state = columns.maybe_word("state")?;
        let crowd = Crowd { running: columns.next("running")?, queued: columns.next("queued")? };
        Ok(Facts { version: version.map(VersionId), earlier: id.zip(state), crowd })
    };
    rows.iter().map(read).collect()
}

impl Births<'_> {
    async fn one(&mut self, run: &NewRun, facts: &Facts) -> Result<Created, StoreError> {
        let key = run.trigger_key.clone().map(|key| (run.pipeline.clone(), key));
        let twin = key.as_ref().and_then(|key| self.by_key.get(key)).copied();
        if let Some((run, state)) = facts.earlier.or(twin).or_else(|| self.unborn.state(run.id).map(|it| (run.id, it)))
        {
            return Ok(Created { run, existed: true, state });
        }
        let crowd = *self.crowds.entry(run.pipeline.clone()).or_insert(facts.crowd);
        let event = match arrive(&run.concurrency, crowd.running, crowd.queued) {
            Arrival::Start => Some(RunEvent::Admit),
            Arrival::Queue => None,
            Arrival::Skip => Some(RunEvent::Cancel),
            Arrival::Replace(oldest) => {
                self.cancel_oldest(&run.pipeline, oldest).await?;
                Some(RunEvent::Admit)
            }
        };
        let state = self.unborn.add(run, event)?;
        let crowd = self.crowds.entry(run.pipeline.clone()).or_default();
        crowd.running += u32::from(state == RunState::Running);
        crowd.queued += u32::from(state == RunState::Queued);
        if let Some(key) = key {
            self.by_key.insert(key, (run.id, state));
        }
        Ok(Created { run: run.id, existed: false, state })
    }

    /// Makes room. The pipeline is locked, so no other run of it can start meanwhile.
    async fn cancel_oldest(&mut self, pipeline: &str, count: u32) -> Result<(), StoreError> {
        self.flush().await?;
        let rows = self.tx.rows("find the oldest runs", OLDEST_RUNNING, &[pipeline.into(), count.into()]).await?;
        let runs =
            rows.iter().map(|row| Columns::of(row, "runs").next("id")).collect::<Result<BTreeSet<RunId>, _>>()?;
        let mut door = Door::new(self.tx, self.now);
        door.leave_places_free();
        door.lock_runs(runs.clone()).await?;
        for run in runs {
            // One that ended between the look and the lock has left its place already.
            if door.run(run)?.state == RunState::Running {
                door.move_run(run, RunEvent::Cancel, Some("a newer run took its place"))?;
            }
        }
        door.settle().await?;
        self.after.join(door.write().await?);
        let crowd = self.crowds.entry(pipeline.to_owned()).or_default();
        crowd.running = crowd.running.saturating_sub(count);
        Ok(())
    }

    async fn note(&mut self, run: &NewRun, moment: Option<&Moment>, made: RunId) -> Result<(), StoreError> {
        if let Some(moment) = moment {
            let args = [run.pipeline.as_str().into(), moment.trigger.into(), moment.at.into(), made.into()];
            self.tx.run("note a moment of a schedule", MOMENT, &args).await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        let born = std::mem::replace(&mut self.unborn, Newborn::new(self.now));
        self.after.offers.extend(born.write(self.tx).await?);
        Ok(())
    }
}
