//! Pipelines and the versions of their definitions, kept for ever.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidemill_dag::{
    diff::Shape,
    id::{RunId, VersionId},
    state::{VersionEvent, VersionState},
    time::Timestamp,
};

use crate::{
    Store, StoreError,
    db::{Arg, Columns, Row, Sql, tried},
};

mod adopt;

pub use adopt::{Adopt, Adopted};

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
    /// Where it is in its life.
    pub state: VersionState,
}

/// A version as lists show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionSummary {
    /// The content hash.
    pub id: VersionId,
    /// The pipeline's name.
    pub pipeline: String,
    /// Counts from 1 within the pipeline.
    pub number: u32,
    /// Where it is in its life.
    pub state: VersionState,
    /// Where it came from.
    pub origin: Value,
    /// When it was first saved.
    pub created_at: Timestamp,
}

/// One change of state of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionMove {
    /// Grows with time.
    pub id: i64,
    /// The version.
    pub version: VersionId,
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub event: VersionEvent,
    /// The state before.
    pub from: VersionState,
    /// The state after.
    pub to: VersionState,
    /// Who did it.
    pub actor: String,
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
    /// Whose it is.
    pub tenant: String,
    /// Since when no new runs start; none while it is not paused.
    pub paused_at: Option<Timestamp>,
    /// Why, in words.
    pub paused_reason: Option<String>,
}

/// What a schedule has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleState {
    /// Moments up to this one are dealt with: fired, or skipped on purpose.
    pub through: Timestamp,
    /// The last run it made.
    pub last_run: Option<RunId>,
    /// Since when it is paused.
    pub paused_at: Option<Timestamp>,
}

macro_rules! version_columns {
    () => {
        "v.id, v.pipeline, v.number, v.source, v.definition, v.origin, v.created_at, v.state"
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

/// `$2` is a number, a whole hash, or the first eight or more characters of one.
const FIND: &str = concat!(
    "SELECT ",
    version_columns!(),
    " FROM versions AS v WHERE v.pipeline = $1 AND (v.id = $2 OR v.number = $3 \
     OR (length($2) >= 8 AND substr(v.id, 1, length($2)) = $2)) ORDER BY v.number LIMIT 2"
);

const SUMMARIES: &str = "SELECT id, pipeline, number, state, origin, created_at FROM versions \
                         WHERE pipeline = $1 AND number < $2 ORDER BY number DESC LIMIT $3";

const MOVES: &str = "SELECT id, version, at, event, from_state, to_state, actor FROM version_events \
                     WHERE pipeline = $1 AND id < $2 ORDER BY id DESC LIMIT $3";

const SHAPE: &str = "SELECT shape FROM versions WHERE id = $1";

macro_rules! pipeline_columns {
    () => {
        "name, active_version, created_at, tenant, paused_at, paused_reason"
    };
}

const PIPELINES: &str = concat!("SELECT ", pipeline_columns!(), " FROM pipelines ORDER BY name");

const PIPELINE_PAGE: &str =
    concat!("SELECT ", pipeline_columns!(), " FROM pipelines WHERE name > $1 ORDER BY name LIMIT $2");

const SCHEDULE: &str = "SELECT through, last_run, paused_at FROM schedules WHERE pipeline = $1 AND trigger_index = $2";

/// One that is paused stays paused since when it was.
const PAUSE: &str = "INSERT INTO schedules (pipeline, trigger_index, through, paused_at) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (pipeline, trigger_index) DO UPDATE SET paused_at = CASE \
                     WHEN excluded.paused_at IS NULL THEN NULL ELSE COALESCE(schedules.paused_at, excluded.paused_at) END";

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

    /// The version of a pipeline that a text means: its number, its hash, or the first eight or more characters of that.
    /// Text that fits several is none.
    pub async fn find_version(&self, pipeline: &str, text: &str) -> Result<Option<VersionRecord>, StoreError> {
        let number: Option<i64> = (text.len() < 9).then(|| text.parse().ok()).flatten();
        let args = [pipeline.into(), text.into(), number.unwrap_or(-1).into()];
        let rows = self.desk.db.read("find a version", FIND, &args).await?;
        match rows.as_slice() {
            [one] => version_record(one).map(Some),
            _ => Ok(None),
        }
    }

    /// Versions of a pipeline, newest first, with numbers below this one.
    pub async fn version_page(
        &self,
        pipeline: &str,
        below: Option<u32>,
        limit: u32,
    ) -> Result<Vec<VersionSummary>, StoreError> {
        let args = [pipeline.into(), below.map_or(i64::MAX, i64::from).into(), limit.into()];
        self.desk.db.read("list versions", SUMMARIES, &args).await?.iter().map(summary).collect()
    }

    /// What happened to the versions of a pipeline, newest first, before this entry.
    pub async fn version_moves(
        &self,
        pipeline: &str,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<VersionMove>, StoreError> {
        let args = [pipeline.into(), before.unwrap_or(i64::MAX).into(), limit.into()];
        self.desk.db.read("list moves of versions", MOVES, &args).await?.iter().map(version_move).collect()
    }

    /// What was proved of a version when it was saved.
    pub async fn version_shape(&self, id: &VersionId) -> Result<Option<Shape>, StoreError> {
        let rows = self.desk.db.read("load what was proved", SHAPE, &[id.0.as_str().into()]).await?;
        rows.first().map_or(Ok(None), |row| Columns::of(row, "versions").maybe_json("shape"))
    }

    /// Every pipeline, by name.
    pub async fn pipelines(&self) -> Result<Vec<PipelineRecord>, StoreError> {
        self.desk.db.read("list pipelines", PIPELINES, &[]).await?.iter().map(pipeline_record).collect()
    }

    /// Pipelines by name, those after this one.
    pub async fn pipeline_page(&self, after: &str, limit: u32) -> Result<Vec<PipelineRecord>, StoreError> {
        let args = [after.into(), limit.into()];
        self.desk.db.read("list pipelines", PIPELINE_PAGE, &args).await?.iter().map(pipeline_record).collect()
    }

    /// What a schedule has done; none if it was never looked at.
    pub async fn schedule_state(&self, pipeline: &str, trigger: u32) -> Result<Option<ScheduleState>, StoreError> {
        let rows = self.desk.db.read("look at a schedule", SCHEDULE, &[pipeline.into(), trigger.into()]).await?;
        let read = |row| {
            let mut columns = Columns::of(row, "schedules");
            Ok(ScheduleState {
                through: columns.next("through")?,
                last_run: columns.next("last_run")?,
                paused_at: columns.next("paused_at")?,
            })
        };
        rows.first().map(read).transpose()
    }

    /// Pauses a schedule, or lets it go on. What passes while it is paused is missed: `catch_up` says what becomes of it.
    /// A moment that is being fired right then may still get its run.
    pub async fn pause_schedule(&self, pipeline: &str, trigger: u32, paused: bool) -> Result<(), StoreError> {
        let now = self.desk.clock.now();
        let paused_at = paused.then_some(now);
        let args = [pipeline.into(), trigger.into(), now.into(), paused_at.into()];
        tried!(self.desk.db.change("pause a schedule", PAUSE, &args).await).map(drop)
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
        state: columns.word("state")?,
    })
}

fn summary(row: &Row) -> Result<VersionSummary, StoreError> {
    let mut columns = Columns::of(row, "versions");
    Ok(VersionSummary {
        id: VersionId(columns.next("id")?),
        pipeline: columns.next("pipeline")?,
        number: columns.next("number")?,
        state: columns.word("state")?,
        origin: columns.json("origin")?,
        created_at: columns.next("created_at")?,
    })
}

fn version_move(row: &Row) -> Result<VersionMove, StoreError> {
    let mut columns = Columns::of(row, "version_events");
    Ok(VersionMove {
        id: columns.next("id")?,
        version: VersionId(columns.next("version")?),
        at: columns.next("at")?,
        event: columns.word("event")?,
        from: columns.word("from_state")?,
        to: columns.word("to_state")?,
        actor: columns.next("actor")?,
    })
}

fn pipeline_record(row: &Row) -> Result<PipelineRecord, StoreError> {
    let mut columns = Columns::of(row, "pipelines");
    let name = columns.next("name")?;
    let active: Option<String> = columns.next("active_version")?;
    Ok(PipelineRecord {
        name,
        active: active.map(VersionId),
        created_at: columns.next("created_at")?,
        tenant: columns.next("tenant")?,
        paused_at: columns.next("paused_at")?,
        paused_reason: columns.next("paused_reason")?,
    })
}
