//! New runs in one transaction.

use std::collections::{BTreeSet, HashMap};

use tidemill_dag::{
    id::{RunId, VersionId},
    state::{Arrival, RunEvent, RunState, arrive},
    time::Timestamp,
};

use super::{
    Answer, Cause, Desk, Moment, Request,
    newborn::{Home, Newborn},
};
use crate::{
    Created, Named, NewRun, StoreError,
    backfills::{check_running, note_run},
    collect::no_longer_aged,
    db::{Batch, Columns, Sql, Tx, batch},
    door::{After, Door},
};

const LOCK: Sql = batch!(
    [pipeline text] "SELECT p.name, p.tenant, p.paused_at, (SELECT l.max_tasks FROM tenants AS l WHERE l.name = p.tenant)",
    "FROM input AS i CROSS JOIN pipelines AS p WHERE p.name = i.pipeline ORDER BY p.name"
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

const NEXT: &str = "SELECT through, paused_at FROM schedules WHERE pipeline = $1 AND trigger_index = $2";

const MOMENT: &str = "INSERT INTO schedules (pipeline, trigger_index, through, last_run) VALUES ($1, $2, $3, $4) \
                      ON CONFLICT (pipeline, trigger_index) DO UPDATE SET last_run = excluded.last_run, \
                      through = CASE WHEN excluded.through > schedules.through THEN excluded.through ELSE schedules.through END";

/// The runs that named causes made before, while their names last.
const KNOWN: Sql = batch!(
    [pipeline text, key text, now int]
    "SELECT k.pipeline, k.key, k.request, k.run_id, r.state",
    "FROM input AS i CROSS JOIN trigger_keys AS k CROSS JOIN runs AS r",
    "WHERE k.pipeline = i.pipeline AND k.key = i.key AND k.kept_until > i.now AND r.id = k.run_id"
);

const REMEMBER: Sql = batch!(
    [pipeline text, key text, request text, run_id run, kept_until int]
    "INSERT INTO trigger_keys (pipeline, key, request, run_id, kept_until)",
    "SELECT pipeline, key, request, run_id, kept_until FROM input WHERE TRUE ORDER BY n",
    "ON CONFLICT (pipeline, key) DO UPDATE SET request = excluded.request, run_id = excluded.run_id,",
    "kept_until = excluded.kept_until"
);

/// Locks a run as the removal of its data sets does; one that goes on has no end.
const ENDED: Sql = Sql {
    sqlite: "SELECT finished_at FROM runs WHERE id = $1 AND pipeline = $2",
    postgres: "SELECT finished_at FROM runs WHERE id = $1 AND pipeline = $2 FOR NO KEY UPDATE",
};

/// A refusal answers one request; the others of the transaction go on.
macro_rules! done {
    ($answer:expr) => {
        match $answer {
            Ok(done) => done,
            Err(refused) => return Ok(Err(refused)),
        }
    };
}

#[cfg(test)]
pub(crate) const STATEMENTS: [Sql; 4] = [LOCK, FACTS, KNOWN, REMEMBER];

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

/// A named cause that made a run.
#[derive(Debug, Clone)]
struct Past {
    run: RunId,
    state: RunState,
    request: Option<String>,
}

/// The transaction under way.
struct Births<'t> {
    tx: &'t mut Tx,
    now: Timestamp,
    crowds: HashMap<String, Crowd>,
    by_key: HashMap<(String, String), (RunId, RunState)>,
    named: HashMap<(String, String), Past>,
    remembered: Batch,
    unborn: Newborn,
    after: After,
}

impl Desk {
    pub(super) async fn create(
        &self,
        tx: &mut Tx,
        requests: &[Request],
    ) -> Result<(Vec<Result<Answer, StoreError>>, After), StoreError> {
        let new: Vec<(&NewRun, &Cause)> = requests.iter().filter_map(Request::as_new).collect();
        let pipelines: BTreeSet<&str> = new.iter().map(|(run, _)| run.pipeline.as_str()).collect();
        let known = lock(tx, pipelines).await?;
        let facts = facts(tx, &new).await?;
        let now = self.clock.now();
        let named = known_causes(tx, &new, now).await?;
        let mut births = Births {
            tx,
            now,
            crowds: HashMap::new(),
            by_key: HashMap::new(),
            named,
            remembered: Batch::default(),
            unborn: Newborn::new(now),
            after: After::default(),
        };
        let mut answers = Vec::with_capacity(new.len());
        for ((run, cause), facts) in new.into_iter().zip(facts) {
            answers.push(match known.get(&run.pipeline) {
                None => Err(StoreError::NoPipeline(run.pipeline.clone())),
                Some(_) if facts.version.is_none() => Err(StoreError::NoVersion(run.version.clone())),
                Some(home) => births.caused(run, cause, &facts, home).await?.map(Answer::Created),
            });
        }
        births.flush().await?;
        births.remember().await?;
        Ok((answers, births.after))
    }
}

impl Cause {
    fn key(&self) -> Option<&str> {
        match self {
            Self::Named(named) => Some(&named.key),
            Self::Plain | Self::Moment(_) | Self::Updates(_) | Self::Partition { .. } => None,
        }
    }
}

impl Request {
    fn as_new(&self) -> Option<(&NewRun, &Cause)> {
        match self {
            Self::Create(run, cause) => Some((run, cause)),
            Self::Claim { .. } | Self::Complete(_) => None,
        }
    }
}

async fn lock(tx: &mut Tx, pipelines: BTreeSet<&str>) -> Result<HashMap<String, Home>, StoreError> {
    let mut input = Batch::default();
    for pipeline in pipelines {
        input.row().set("pipeline", pipeline);
    }
    let rows = tx.rows("lock pipelines", LOCK, &[input.arg()]).await?;
    let home = |row| {
        let mut columns = Columns::of(row, "pipelines");
        let name = columns.next("name")?;
        let tenant = columns.next("tenant")?;
        let paused: Option<Timestamp> = columns.next("paused_at")?;
        Ok((name, Home { tenant, paused: paused.is_some(), tenant_slots: columns.next("tenant_slots")? }))
    };
    rows.iter().map(home).collect()
}

/// What a run gave stays as long as the run that does parts of it again.
async fn keep_results(tx: &mut Tx, run: RunId, pipeline: &str) -> Result<Result<(), StoreError>, StoreError> {
    let rows = tx.rows("lock a run that is done again", ENDED, &[run.into(), pipeline.into()]).await?;
    let Some(row) = rows.first() else { return Ok(Err(StoreError::NoRun(run))) };
    let ended: Option<Timestamp> = Columns::of(row, "runs").next("finished_at")?;
    if ended.is_none() {
        return Ok(Err(StoreError::NotOver(run)));
    }
    match no_longer_aged(tx, run).await {
        Err(error @ StoreError::Removed(_)) => Ok(Err(error)),
        other => other.map(Ok),
    }
}

async fn known_causes(
    tx: &mut Tx,
    new: &[(&NewRun, &Cause)],
    now: Timestamp,
) -> Result<HashMap<(String, String), Past>, StoreError> {
    let mut input = Batch::default();
    for (run, cause) in new {
        if let Cause::Named(named) = cause {
            input.row().set("pipeline", run.pipeline.as_str()).set("key", named.key.as_str()).set("now", now);
        }
    }
    if input.is_empty() {
        return Ok(HashMap::new());
    }
    let read = |row| {
        let mut columns = Columns::of(row, "trigger_keys");
        let key = (columns.next("pipeline")?, columns.next("key")?);
        let request = columns.next("request")?;
        Ok((key, Past { request, run: columns.next("run_id")?, state: columns.word("state")? }))
    };
    tx.rows("look for earlier causes", KNOWN, &[input.arg()]).await?.iter().map(read).collect()
}

async fn facts(tx: &mut Tx, new: &[(&NewRun, &Cause)]) -> Result<Vec<Facts>, StoreError> {
    let mut input = Batch::default();
    for (run, cause) in new {
        input
            .row()
            .set("pipeline", run.pipeline.as_str())
            .set("version", run.version.0.as_str())
            .set("trigger_key", cause.key().or(run.trigger_key.as_deref()))
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
    async fn caused(
        &mut self,
        run: &NewRun,
        cause: &Cause,
        facts: &Facts,
        home: &Home,
    ) -> Result<Result<Created, StoreError>, StoreError> {
        match cause {
            Cause::Plain => self.one(run, facts, home).await,
            Cause::Moment(moment) => {
                if facts.earlier.is_none() && !self.is_next(&run.pipeline, moment).await? {
                    return Ok(Err(StoreError::Contended { action: "fire a schedule" }));
                }
                let created = done!(self.one(run, facts, home).await?);
                let args = [run.pipeline.as_str().into(), moment.trigger.into(), moment.at.into(), created.run.into()];
                self.tx.run("note a moment of a schedule", MOMENT, &args).await?;
                Ok(Ok(created))
            }
            Cause::Named(named) => self.once(run, named, facts, home).await,
            Cause::Partition { backfill, place } => {
                match check_running(self.tx, backfill).await {
                    Ok(()) => {}
                    Err(refused @ (StoreError::NoBackfill(_) | StoreError::BackfillMove { .. })) => {
                        return Ok(Err(refused));
                    }
                    Err(error) => return Err(error),
                }
                let created = done!(self.one(run, facts, home).await?);
                note_run(self.tx, backfill, *place, created.run).await?;
                Ok(Ok(created))
            }
            Cause::Updates(taken) => match taken.take(self.tx, &run.pipeline).await? {
                true => self.one(run, facts, home).await,
                false => Ok(Err(StoreError::Contended { action: "fire a data-set trigger" })),
            },
        }
    }

    /// Whether a moment is still the one to fire: nobody went on from where it was chosen, and nobody paused the schedule.
    /// The pipeline is locked.
    async fn is_next(&mut self, pipeline: &str, moment: &Moment) -> Result<bool, StoreError> {
        let args = [pipeline.into(), moment.trigger.into()];
        let rows = self.tx.rows("look at a schedule", NEXT, &args).await?;
        let Some(row) = rows.first() else { return Ok(true) };
        let mut columns = Columns::of(row, "schedules");
        let (through, paused): (Timestamp, Option<Timestamp>) = (columns.next("through")?, columns.next("paused_at")?);
        Ok(through <= moment.after && paused.is_none())
    }

    /// The run of a named cause. Its name is the run's trigger key, unless an older run, whose time is over, bears it.
    async fn once(
        &mut self,
        run: &NewRun,
        named: &Named,
        facts: &Facts,
        home: &Home,
    ) -> Result<Result<Created, StoreError>, StoreError> {
        let name = (run.pipeline.clone(), named.key.clone());
        if let Some(past) = self.named.get(&name) {
            let other = past.request.is_some() && named.request.is_some() && past.request != named.request;
            return Ok(match other {
                true => Err(StoreError::KeyTaken { key: named.key.clone(), run: past.run }),
                false => Ok(Created { run: past.run, existed: true, state: past.state }),
            });
        }
        let key = match facts.earlier {
            None => named.key.clone(),
            Some(_) => format!("{}#{}", named.key, self.now.0),
        };
        let fresh = Facts { version: facts.version.clone(), earlier: None, crowd: facts.crowd };
        let created = done!(self.one(&NewRun { trigger_key: Some(key), ..run.clone() }, &fresh, home).await?);
        self.remembered
            .row()
            .set("pipeline", run.pipeline.as_str())
            .set("key", named.key.as_str())
            .set("request", named.request.as_deref())
            .set("run_id", created.run)
            .set("kept_until", self.now.after(named.lasts));
        self.named.insert(name, Past { run: created.run, state: created.state, request: named.request.clone() });
        Ok(Ok(created))
    }

    async fn remember(&mut self) -> Result<(), StoreError> {
        if self.remembered.is_empty() {
            return Ok(());
        }
        self.tx.run("remember causes", REMEMBER, &[self.remembered.arg()]).await.map(drop)
    }

    async fn one(
        &mut self,
        run: &NewRun,
        facts: &Facts,
        home: &Home,
    ) -> Result<Result<Created, StoreError>, StoreError> {
        let key = run.trigger_key.clone().map(|key| (run.pipeline.clone(), key));
        let twin = key.as_ref().and_then(|key| self.by_key.get(key)).copied();
        if let Some((run, state)) = facts.earlier.or(twin).or_else(|| self.unborn.state(run.id).map(|it| (run.id, it)))
        {
            return Ok(Ok(Created { run, existed: true, state }));
        }
        if let Some(earlier) = run.rerun_of {
            done!(keep_results(self.tx, earlier, &run.pipeline).await?);
        }
        let crowd = *self.crowds.entry(run.pipeline.clone()).or_insert(facts.crowd);
        let event = match arrive(&run.concurrency, crowd.running, crowd.queued, home.paused) {
            Arrival::Start => Some(RunEvent::Admit),
            Arrival::Queue => None,
            Arrival::Skip => Some(RunEvent::Cancel),
            Arrival::Replace(oldest) => {
                self.cancel_oldest(&run.pipeline, oldest).await?;
                Some(RunEvent::Admit)
            }
        };
        let state = self.unborn.add(run, event, home)?;
        let crowd = self.crowds.entry(run.pipeline.clone()).or_default();
        crowd.running += u32::from(state == RunState::Running);
        crowd.queued += u32::from(state == RunState::Queued);
        if let Some(key) = key {
            self.by_key.insert(key, (run.id, state));
        }
        Ok(Ok(Created { run: run.id, existed: false, state }))
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

    async fn flush(&mut self) -> Result<(), StoreError> {
        let born = std::mem::replace(&mut self.unborn, Newborn::new(self.now));
        self.after.join(born.write(self.tx).await?);
        Ok(())
    }
}
