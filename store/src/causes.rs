//! Causes that have a name, and what became of those that made no run.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidemill_dag::{
    id::{RunId, VersionId},
    time::Timestamp,
};

use crate::{
    Created, NewRun, Store, StoreError,
    db::{Arg, Columns, Row, Sql, tried},
    desk::Cause,
};

/// The name of what asks for a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The name, with its kind in front; unique per pipeline while it lasts.
    pub key: String,
    /// Hash of what is asked for; the same name with another hash is refused. Unset: only the name counts.
    pub request: Option<String>,
    /// How long the name finds its run.
    pub lasts: Duration,
}

/// Whether the sender of a dead letter was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterKind {
    /// Its signature does not fit: it may be anybody's.
    Refused,
    /// It is genuine, and the trigger could not use it.
    Failed,
}

/// A delivery that made no run, to be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewLetter {
    /// The pipeline it was for; it must have been saved.
    pub pipeline: String,
    /// The trigger it was for, by its name or place.
    pub hook: String,
    /// Whether its sender was recognised.
    pub kind: LetterKind,
    /// Public code of what was wrong.
    pub code: String,
    /// What was wrong.
    pub reason: String,
    /// Its headers, without those that may hold secrets.
    pub headers: Value,
    /// The beginning of its body.
    pub body: String,
    /// How long its body was, in bytes.
    pub body_bytes: u32,
    /// Whether `body` is all of it, as it came.
    pub whole: bool,
}

/// A delivery that made no run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Letter {
    /// Grows with time.
    pub id: i64,
    /// The pipeline it was for.
    pub pipeline: String,
    /// The trigger it was for.
    pub hook: String,
    /// When it came.
    pub at: Timestamp,
    /// Whether its sender was recognised.
    pub kind: LetterKind,
    /// Public code of what was wrong.
    pub code: String,
    /// What was wrong.
    pub reason: String,
    /// Its headers.
    pub headers: Value,
    /// The beginning of its body.
    pub body: String,
    /// How long its body was, in bytes.
    pub body_bytes: u32,
    /// Whether `body` is all of it.
    pub whole: bool,
    /// When it was replayed with success.
    pub replayed_at: Option<Timestamp>,
    /// The run that the replay made.
    pub run: Option<RunId>,
}

/// Of each pipeline and kind, so many of the newest letters are kept.
pub const LETTERS_KEPT: u32 = 500;

/// Names are forgotten so many at a time.
const FORGOTTEN_AT_ONCE: u32 = 1_000;

macro_rules! letter_columns {
    () => {
        "SELECT id, pipeline, hook, at, kind, code, reason, headers, body, body_bytes, whole, replayed_at, run_id \
         FROM dead_letters"
    };
}

const LETTER: &str = concat!(letter_columns!(), " WHERE id = $1");
const LETTERS: &str = concat!(letter_columns!(), " WHERE id < $1 ORDER BY id DESC LIMIT $2");
const LETTERS_OF: &str = concat!(letter_columns!(), " WHERE pipeline = $3 AND id < $1 ORDER BY id DESC LIMIT $2");

const BURY: &str = "INSERT INTO dead_letters \
                    (pipeline, hook, at, kind, code, reason, headers, body, body_bytes, whole) \
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id";

const KEEP_NEWEST: &str = "DELETE FROM dead_letters WHERE pipeline = $1 AND kind = $2 AND id <= \
                           (SELECT id FROM dead_letters WHERE pipeline = $1 AND kind = $2 \
                           ORDER BY id DESC LIMIT 1 OFFSET $3)";

const REPLAYED: &str = "UPDATE dead_letters SET replayed_at = $2, run_id = $3 WHERE id = $1 RETURNING id";

const FORGET: Sql = Sql {
    sqlite: "DELETE FROM trigger_keys WHERE (pipeline, key) IN \
             (SELECT pipeline, key FROM trigger_keys WHERE kept_until <= $1 LIMIT $2) RETURNING key",
    postgres: "DELETE FROM trigger_keys AS k USING \
               (SELECT pipeline, key FROM trigger_keys WHERE kept_until <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED) AS old \
               WHERE k.pipeline = old.pipeline AND k.key = old.key RETURNING k.key",
};

const ACTIVE_ID: &str = "SELECT active_version FROM pipelines WHERE name = $1";

impl Store {
    /// Creates the run of a named cause, or finds the one that the same name made before; one transaction, so that a cause
    /// that is told by many at once makes one run.
    ///
    /// # Errors
    /// [`StoreError::KeyTaken`] where the name came with another request before.
    pub async fn create_run_once(&self, run: NewRun, named: Named) -> Result<Created, StoreError> {
        self.create(run, Cause::Named(named)).await
    }

    /// Forgets names whose time is over. Returns how many.
    pub async fn forget_keys(&self) -> Result<usize, StoreError> {
        let args = [self.desk.clock.now().into(), FORGOTTEN_AT_ONCE.into()];
        Ok(tried!(self.desk.db.change("forget old keys", FORGET, &args).await)?.len())
    }

    /// The id of a pipeline's active version, if it has one.
    pub async fn active_id(&self, pipeline: &str) -> Result<Option<VersionId>, StoreError> {
        let rows = self.desk.db.read("look up the active version", ACTIVE_ID, &[pipeline.into()]).await?;
        let id: Option<Option<String>> =
            rows.first().map(|row| Columns::of(row, "pipelines").next("active_version")).transpose()?;
        Ok(id.flatten().map(VersionId))
    }

    /// Keeps a delivery that made no run, and lets go of the oldest ones beyond [`LETTERS_KEPT`].
    pub async fn bury(&self, letter: &NewLetter) -> Result<i64, StoreError> {
        tried!(self.bury_once(letter).await)
    }

    async fn bury_once(&self, letter: &NewLetter) -> Result<i64, StoreError> {
        let pipeline = || Arg::from(letter.pipeline.as_str());
        let kind = || Arg::from(letter.kind.name());
        let mut tx = self.desk.db.begin().await?;
        let args = [
            pipeline(),
            letter.hook.as_str().into(),
            self.desk.clock.now().into(),
            kind(),
            letter.code.as_str().into(),
            letter.reason.as_str().into(),
            Arg::json(&letter.headers),
            letter.body.as_str().into(),
            letter.body_bytes.into(),
            i64::from(letter.whole).into(),
        ];
        let rows = tx.rows("keep a dead letter", BURY, &args).await?;
        tx.run("let go of old dead letters", KEEP_NEWEST, &[pipeline(), kind(), LETTERS_KEPT.into()]).await?;
        tx.commit().await?;
        rows.first().map_or(Err(StoreError::Closed), |row| Columns::of(row, "dead_letters").next("id"))
    }

    /// Dead letters, newest first: those before `before`, at most `limit`.
    pub async fn letters(
        &self,
        pipeline: Option<&str>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Letter>, StoreError> {
        let mut args = vec![before.unwrap_or(i64::MAX).into(), limit.into()];
        let sql = match pipeline {
            Some(pipeline) => {
                args.push(pipeline.into());
                LETTERS_OF
            }
            None => LETTERS,
        };
        self.desk.db.read("list dead letters", sql, &args).await?.iter().map(letter).collect()
    }

    /// A dead letter, if it is still kept.
    pub async fn letter(&self, id: i64) -> Result<Option<Letter>, StoreError> {
        let rows = self.desk.db.read("load a dead letter", LETTER, &[id.into()]).await?;
        rows.first().map(letter).transpose()
    }

    /// Notes that a dead letter made a run after all.
    pub async fn letter_replayed(&self, id: i64, run: RunId) -> Result<(), StoreError> {
        let args = [id.into(), self.desk.clock.now().into(), run.into()];
        tried!(self.desk.db.change("note a replay", REPLAYED, &args).await).map(drop)
    }
}

impl LetterKind {
    /// The word that databases store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

fn letter(row: &Row) -> Result<Letter, StoreError> {
    let mut columns = Columns::of(row, "dead_letters");
    Ok(Letter {
        id: columns.next("id")?,
        pipeline: columns.next("pipeline")?,
        hook: columns.next("hook")?,
        at: columns.next("at")?,
        kind: columns.named("kind")?,
        code: columns.next("code")?,
        reason: columns.next("reason")?,
        headers: columns.json("headers")?,
        body: columns.next("body")?,
        body_bytes: columns.next("body_bytes")?,
        whole: columns.next::<i64>("whole")? != 0,
        replayed_at: columns.next("replayed_at")?,
        run: columns.next("run_id")?,
    })
}
