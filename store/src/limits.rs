//! Pools, tenants and paused pipelines: what people set, and how it stands.

use serde::{Deserialize, Serialize};
use tidemill_dag::{
    id::{Attempt, Ordinal, RunId, WorkerId},
    limits::Gate,
    time::Timestamp,
};

use crate::{
    Store, StoreError,
    db::{Columns, Row, tried},
};

/// A pool to be made or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPool {
    /// The name that tasks use.
    pub name: String,
    /// How many slots there are; with 0 nothing of it starts.
    pub slots: u32,
    /// What it is for; what was said before if none.
    #[serde(default)]
    pub description: Option<String>,
}

/// A pool as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolRecord {
    /// Its name.
    pub name: String,
    /// How many slots there are.
    pub slots: u32,
    /// What it is for.
    pub description: String,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// How many slots running tasks hold.
    pub held: u32,
    /// How many ready tasks wait for one.
    pub waiting: u32,
}

/// A tenant as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantRecord {
    /// Its name.
    pub name: String,
    /// How many of its tasks may run at once; no limit if none.
    pub max_tasks: Option<u32>,
    /// How many pipelines belong to it.
    pub pipelines: u32,
    /// How many of its tasks run.
    pub running: u32,
    /// How many of its ready tasks wait for its limit.
    pub waiting: u32,
}

/// A limit with those who hold its slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateRecord {
    /// Which limit.
    pub gate: Gate,
    /// How many slots there are; none where nobody defined it.
    pub size: Option<u32>,
    /// Who holds them, longest first; at most 100.
    pub holders: Vec<SlotHolder>,
    /// How many ready tasks wait for it.
    pub waiting: u32,
}

/// A running task that holds slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotHolder {
    /// The run.
    pub run: RunId,
    /// The pipeline.
    pub pipeline: String,
    /// The task's place.
    pub ordinal: Ordinal,
    /// The task's name.
    pub task: String,
    /// The attempt that holds them.
    pub attempt: Attempt,
    /// The worker.
    pub owner: WorkerId,
    /// How many slots.
    pub slots: u32,
    /// Since when.
    pub since: Timestamp,
}

const SET_POOL: &str = "INSERT INTO pools (name, slots, description, updated_at) VALUES ($1, $2, COALESCE($3, ''), $4) \
                        ON CONFLICT (name) DO UPDATE SET slots = excluded.slots, \
                        description = COALESCE($3, pools.description), \
                        updated_at = CASE WHEN excluded.slots = pools.slots THEN pools.updated_at ELSE excluded.updated_at END \
                        RETURNING name";

const REMOVE_POOL: &str = "DELETE FROM pools WHERE name = $1 RETURNING name";

const POOLS: &str = "SELECT p.name, p.slots, p.description, p.updated_at, \
                     (SELECT CAST(COALESCE(SUM(t.pool_slots), 0) AS BIGINT) FROM tasks AS t WHERE t.pool = p.name \
                     AND t.finished_at IS NULL AND t.state = 'running'), \
                     (SELECT COUNT(*) FROM tasks AS t WHERE t.standby = 'pool:' || p.name) \
                     FROM pools AS p ORDER BY p.name";

const SET_TENANT: &str = "INSERT INTO tenants (name, max_tasks, updated_at) VALUES ($1, $2, $3) \
                          ON CONFLICT (name) DO UPDATE SET max_tasks = excluded.max_tasks, updated_at = excluded.updated_at \
                          RETURNING name";

const TENANTS: &str = "SELECT n.name, (SELECT l.max_tasks FROM tenants AS l WHERE l.name = n.name), \
                       (SELECT COUNT(*) FROM pipelines AS p WHERE p.tenant = n.name), \
                       (SELECT COUNT(*) FROM tasks AS t WHERE t.tenant = n.name AND t.state = 'running'), \
                       (SELECT COUNT(*) FROM tasks AS t WHERE t.standby = 'tenant:' || n.name) \
                       FROM (SELECT name FROM tenants UNION SELECT tenant FROM pipelines) AS n ORDER BY n.name";

const ASSIGN: &str = "UPDATE pipelines SET tenant = $2 WHERE name = $1 RETURNING name";

const PAUSE: &str = "UPDATE pipelines SET paused_at = COALESCE(paused_at, $2), paused_reason = $3 WHERE name = $1 \
                     RETURNING name";
const UNPAUSE: &str = "UPDATE pipelines SET paused_at = NULL, paused_reason = NULL WHERE name = $1 RETURNING name";

macro_rules! holders {
    ($where:literal, $slots:literal) => {
        concat!(
            "SELECT t.run_id, r.pipeline, t.ordinal, t.name, t.attempt, t.owner, ",
            $slots,
            ", t.started_at FROM tasks AS t JOIN runs AS r ON r.id = t.run_id WHERE t.state = 'running' AND ",
            $where,
            " ORDER BY t.started_at LIMIT 100"
        )
    };
}
const POOL_HOLDERS: &str = holders!("t.pool = $1 AND t.finished_at IS NULL", "t.pool_slots");
const LANE_HOLDERS: &str = holders!("t.lane = $1 AND t.finished_at IS NULL", "CAST(1 AS BIGINT)");
const TENANT_HOLDERS: &str = holders!("t.tenant = $1", "CAST(1 AS BIGINT)");

const GATE: &str = "SELECT (SELECT p.slots FROM pools AS p WHERE 'pool:' || p.name = $1), \
                    (SELECT l.max_tasks FROM tenants AS l WHERE 'tenant:' || l.name = $1), \
                    (SELECT MAX(t.lane_slots) FROM tasks AS t WHERE t.lane IS NOT NULL AND t.finished_at IS NULL \
                    AND 'pipeline:' || t.lane = $1), \
                    (SELECT COUNT(*) FROM tasks AS t WHERE t.standby = $1)";

/// A name that people can type and addresses can hold.
fn plain(kind: &'static str, name: &str) -> Result<(), StoreError> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.len() <= 63 && name.chars().all(fits);
    if plain { Ok(()) } else { Err(StoreError::BadLimit { kind, name: name.to_owned() }) }
}

impl Store {
    /// Makes a pool or changes it. What waits for it may start at once; what holds a slot keeps it.
    ///
    /// # Errors
    /// [`StoreError::BadLimit`] for a name that is none.
    pub async fn set_pool(&self, pool: &NewPool) -> Result<PoolRecord, StoreError> {
        plain("pool", &pool.name)?;
        let now = self.desk.clock.now();
        let args = [pool.name.as_str().into(), pool.slots.into(), pool.description.as_deref().into(), now.into()];
        tried!(self.desk.db.change("set a pool", SET_POOL, &args).await)?;
        self.desk.take_turns([Gate::Pool(pool.name.clone())].into()).await;
        self.pool(&pool.name).await
    }

    /// Removes a pool. Tasks that name it wait until there is one of that name again.
    ///
    /// # Errors
    /// [`StoreError::NoPool`].
    pub async fn remove_pool(&self, name: &str) -> Result<(), StoreError> {
        let removed = tried!(self.desk.db.change("remove a pool", REMOVE_POOL, &[name.into()]).await)?;
        if removed.is_empty() { Err(StoreError::NoPool(name.to_owned())) } else { Ok(()) }
    }

    /// Every pool, by name.
    pub async fn pools(&self) -> Result<Vec<PoolRecord>, StoreError> {
        self.desk.db.read("list pools", POOLS, &[]).await?.iter().map(pool_record).collect()
    }

    /// A pool.
    ///
    /// # Errors
    /// [`StoreError::NoPool`].
    pub async fn pool(&self, name: &str) -> Result<PoolRecord, StoreError> {
        let found = self.pools().await?.into_iter().find(|pool| pool.name == name);
        found.ok_or_else(|| StoreError::NoPool(name.to_owned()))
    }

    /// Says how many tasks of a tenant may run at once; `None` takes the limit away.
    ///
    /// # Errors
    /// [`StoreError::BadLimit`] for a name that is none.
    pub async fn set_tenant(&self, name: &str, max_tasks: Option<u32>) -> Result<(), StoreError> {
        plain("tenant", name)?;
        let args = [name.into(), max_tasks.into(), self.desk.clock.now().into()];
        tried!(self.desk.db.change("set a tenant", SET_TENANT, &args).await)?;
        self.desk.take_turns([Gate::Tenant(name.to_owned())].into()).await;
        Ok(())
    }

    /// Every tenant that has a limit or a pipeline, by name.
    pub async fn tenants(&self) -> Result<Vec<TenantRecord>, StoreError> {
        let read = |row: &Row| {
            let mut columns = Columns::of(row, "tenants");
            Ok(TenantRecord {
                name: columns.next("name")?,
                max_tasks: columns.next("max_tasks")?,
                pipelines: columns.next("pipelines")?,
                running: columns.next("running")?,
                waiting: columns.next("waiting")?,
            })
        };
        self.desk.db.read("list tenants", TENANTS, &[]).await?.iter().map(read).collect()
    }

    /// Gives a pipeline to a tenant. Runs that are there already stay with the tenant they began with.
    ///
    /// # Errors
    /// [`StoreError::NoPipeline`], or [`StoreError::BadLimit`] for a name that is none.
    pub async fn assign_tenant(&self, pipeline: &str, tenant: &str) -> Result<(), StoreError> {
        plain("tenant", tenant)?;
        self.change_pipeline("give a pipeline to a tenant", ASSIGN, pipeline, &[pipeline.into(), tenant.into()]).await
    }

    /// No new run of the pipeline starts until [`Store::unpause_pipeline`]; runs that come meanwhile wait, and those that
    /// run go on. To pause a paused one changes the reason.
    ///
    /// # Errors
    /// [`StoreError::NoPipeline`].
    pub async fn pause_pipeline(&self, pipeline: &str, reason: Option<&str>) -> Result<(), StoreError> {
        let args = [pipeline.into(), self.desk.clock.now().into(), reason.into()];
        self.change_pipeline("pause a pipeline", PAUSE, pipeline, &args).await
    }

    /// Lets runs of a pipeline start again, those that waited first. Returns how many started at once.
    ///
    /// # Errors
    /// [`StoreError::NoPipeline`].
    pub async fn unpause_pipeline(&self, pipeline: &str) -> Result<u32, StoreError> {
        self.change_pipeline("resume a pipeline", UNPAUSE, pipeline, &[pipeline.into()]).await?;
        let (started, after) = self.desk.start_queued(pipeline).await?;
        self.desk.follow_up(after).await;
        Ok(started)
    }

    async fn change_pipeline(
        &self,
        action: &'static str,
        sql: &'static str,
        pipeline: &str,
        args: &[crate::db::Arg<'_>],
    ) -> Result<(), StoreError> {
        let changed = tried!(self.desk.db.change(action, sql, args).await)?;
        if changed.is_empty() { Err(StoreError::NoPipeline(pipeline.to_owned())) } else { Ok(()) }
    }

    /// A limit with those who hold its slots, for explanations.
    pub async fn gate(&self, gate: &Gate) -> Result<GateRecord, StoreError> {
        let text = gate.text();
        let rows = self.desk.db.read("look at a limit", GATE, &[text.as_str().into()]).await?;
        let (mut size, mut waiting) = (None, 0);
        if let Some(row) = rows.first() {
            let mut columns = Columns::of(row, "tasks");
            for column in ["slots", "max_tasks", "lane_slots"] {
                let found: Option<u32> = columns.next(column)?;
                size = size.or(found);
            }
            waiting = columns.next("waiting")?;
        }
        let sql = match gate {
            Gate::Pool(_) => POOL_HOLDERS,
            Gate::Pipeline(_) => LANE_HOLDERS,
            Gate::Tenant(_) => TENANT_HOLDERS,
        };
        let rows = self.desk.db.read("look who holds slots", sql, &[gate.name().into()]).await?;
        let holders = rows.iter().map(holder).collect::<Result<_, _>>()?;
        Ok(GateRecord { gate: gate.clone(), size, holders, waiting })
    }
}

fn pool_record(row: &Row) -> Result<PoolRecord, StoreError> {
    let mut columns = Columns::of(row, "pools");
    Ok(PoolRecord {
        name: columns.next("name")?,
        slots: columns.next("slots")?,
        description: columns.next("description")?,
        updated_at: columns.next("updated_at")?,
        held: columns.next("held")?,
        waiting: columns.next("waiting")?,
    })
}

fn holder(row: &Row) -> Result<SlotHolder, StoreError> {
    let mut columns = Columns::of(row, "tasks");
    Ok(SlotHolder {
        run: columns.next("run_id")?,
        pipeline: columns.next("pipeline")?,
        ordinal: columns.next("ordinal")?,
        task: columns.next("name")?,
        attempt: columns.next("attempt")?,
        owner: columns.next("owner")?,
        slots: columns.next("pool_slots")?,
        since: columns.next("started_at")?,
    })
}
