//! Pipelines and the versions of their definitions, kept for ever.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidemill_dag::{
    id::{RunId, VersionId},
    time::Timestamp,
};

use crate::{
    Store, StoreError,
    db::{Arg, Columns, Row, Sql, tried},
};

/// A version to be saved.
#[derive(Debug, Clone)]
pub struct NewVersion {
    /// The pipeline's name.
    pub pipeline: String,
    /// The content hash.
    pub id: VersionId,
    /// The text as it was written.
    pub source: String,
    /// The definition as JSON.
    pub definition: Value,
    /// Where it came from: a file, a person, a request.
    pub origin: Value,
}

/// A stored version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionRecord {
    /// The content hash.
    pub id: VersionId,
    /// The pipeline's name.
    pub pipeline: String,
    /// Counts from 1 within the pipeline.
    pub number: u32,
    /// The text as it was written.
    pub source: String,
    /// The definition as JSON.
    pub definition: Value,
    /// Where it came from.
    pub origin: Value,
    /// When it was first saved.
    pub created_at: Timestamp,
}

/// A pipeline as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineRecord {
    /// Its name.
    pub name: String,
    /// The version that schedules and bare names run.
    pub active: Option<VersionId>,
    /// When it was first saved.
    pub created_at: Timestamp,
}

/// What a schedule has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleState {
    /// Moments up to this one are dealt with: fired, or skipped on purpose.
    pub through: Timestamp,
    /// The last run it made.
    pub last_run: Option<RunId>,
}

macro_rules! version_columns {
    () => {
        "v.id, v.pipeline, v.number, v.source, v.definition, v.origin, v.created_at"
    };
}

const SAVE_PIPELINE: &str = "INSERT INTO pipelines (name, created_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";

/// Numbers are given under the pipeline's lock.
const LOCK_PIPELINE: Sql = Sql {
    sqlite: "SELECT name FROM pipelines WHERE name = $1",
    postgres: "SELECT name FROM pipelines WHERE name = $1 FOR NO KEY UPDATE",
};

const SAVE_VERSION: &str = "INSERT INTO versions (id, pipeline, number, source, definition, origin, created_at) \
                            SELECT $1, $2, COALESCE(MAX(number), 0) + 1, $3, $4, $5, $6 FROM versions WHERE pipeline = $2 \
                            ON CONFLICT (id) DO NOTHING";

const VERSION: &str = concat!("SELECT ", version_columns!(), " FROM versions AS v WHERE v.id = $1");

const ACTIVE: &str = concat!(
    "SELECT ",
    version_columns!(),
    " FROM pipelines AS p JOIN versions AS v ON v.id = p.active_version WHERE p.name = $1"
);

const VERSIONS: &str =
    concat!("SELECT ", version_columns!(), " FROM versions AS v WHERE v.pipeline = $1 ORDER BY v.number DESC");

const ACTIVATE: &str = "UPDATE pipelines SET active_version = $1 WHERE name = $2 \
                        AND EXISTS (SELECT 1 FROM versions AS v WHERE v.id = $1 AND v.pipeline = $2) RETURNING name";

const PIPELINES: &str = "SELECT name, active_version, created_at FROM pipelines ORDER BY name";

const SCHEDULE: &str = "SELECT through, last_run FROM schedules WHERE pipeline = $1 AND trigger_index = $2";

const PASS: &str = "INSERT INTO schedules (pipeline, trigger_index, through) VALUES ($1, $2, $3) \
                    ON CONFLICT (pipeline, trigger_index) DO UPDATE SET through = CASE \
                    WHEN excluded.through > schedules.through THEN excluded.through ELSE schedules.through END";

impl Store {
    /// Keeps a version; the same definition saved again is the same version. It is not active by that.
    pub async fn save_version(&self, new: NewVersion) -> Result<VersionRecord, StoreError> {
        tried!(self.save_once(&new).await)?;
        self.version(&new.id).await
    }

    async fn save_once(&self, new: &NewVersion) -> Result<(), StoreError> {
        let now = self.desk.clock.now();
        let pipeline = || Arg::from(new.pipeline.as_str());
        let mut tx = self.desk.db.begin().await?;
        tx.run("save a pipeline", SAVE_PIPELINE, &[pipeline(), now.into()]).await?;
        tx.rows("lock a pipeline", LOCK_PIPELINE, &[pipeline()]).await?;
        let args = [
            new.id.0.as_str().into(),
            pipeline(),
            new.source.as_str().into(),
            Arg::json(&new.definition),
            Arg::json(&new.origin),
            now.into(),
        ];
        tx.run("save a version", SAVE_VERSION, &args).await?;
        tx.commit().await
    }

    /// Makes a version the one that schedules and bare names run.
    pub async fn activate(&self, pipeline: &str, version: &VersionId) -> Result<(), StoreError> {
        let args = [version.0.as_str().into(), pipeline.into()];
        let rows = tried!(self.desk.db.change("activate a version", ACTIVATE, &args).await)?;
        if rows.is_empty() { Err(StoreError::NoVersion(version.clone())) } else { Ok(()) }
    }

    /// The active version of a pipeline, if it has one.
    pub async fn active(&self, pipeline: &str) -> Result<Option<VersionRecord>, StoreError> {
        let rows = self.desk.db.read("load the active version", ACTIVE, &[pipeline.into()]).await?;
        rows.first().map(version_record).transpose()
    }

    /// A version.
    pub async fn version(&self, id: &VersionId) -> Result<VersionRecord, StoreError> {
        let rows = self.desk.db.read("load a version", VERSION, &[id.0.as_str().into()]).await?;
        rows.first().map_or_else(|| Err(StoreError::NoVersion(id.clone())), version_record)
    }

    /// Every version of a pipeline, newest first.
    pub async fn versions(&self, pipeline: &str) -> Result<Vec<VersionRecord>, StoreError> {
        let rows = self.desk.db.read("load versions", VERSIONS, &[pipeline.into()]).await?;
        rows.iter().map(version_record).collect()
    }

    /// Every pipeline, by name.
    pub async fn pipelines(&self) -> Result<Vec<PipelineRecord>, StoreError> {
        let read = |row| {
            let mut columns = Columns::of(row, "pipelines");
            let name = columns.next("name")?;
            let active: Option<String> = columns.next("active_version")?;
            Ok(PipelineRecord { name, active: active.map(VersionId), created_at: columns.next("created_at")? })
        };
        self.desk.db.read("list pipelines", PIPELINES, &[]).await?.iter().map(read).collect()
    }

    /// What a schedule has done; none if it was never looked at.
    pub async fn schedule_state(&self, pipeline: &str, trigger: u32) -> Result<Option<ScheduleState>, StoreError> {
        let rows = self.desk.db.read("look at a schedule", SCHEDULE, &[pipeline.into(), trigger.into()]).await?;
        let read = |row| {
            let mut columns = Columns::of(row, "schedules");
            Ok(ScheduleState { through: columns.next("through")?, last_run: columns.next("last_run")? })
        };
        rows.first().map(read).transpose()
    }

    /// Notes that moments up to this one are dealt with, without a run.
    pub async fn pass_schedule(&self, pipeline: &str, trigger: u32, through: Timestamp) -> Result<(), StoreError> {
        let args = [pipeline.into(), trigger.into(), through.into()];
        tried!(self.desk.db.change("pass moments of a schedule", PASS, &args).await).map(drop)
    }
}

fn version_record(row: &Row) -> Result<VersionRecord, StoreError> {
    let mut columns = Columns::of(row, "versions");
    let id: String = columns.next("id")?;
    Ok(VersionRecord {
        id: VersionId(id),
        pipeline: columns.next("pipeline")?,
        number: columns.next("number")?,
        source: columns.next("source")?,
        definition: columns.json("definition")?,
        origin: columns.json("origin")?,
        created_at: columns.next("created_at")?,
    })
}
