//! Saving and moving versions of several pipelines in one transaction: all of it happens, or none.

use std::collections::BTreeMap;

use tidemill_dag::{
    diff::Shape,
    id::VersionId,
    state::{Expected, VersionEvent, VersionState, decide_version, way_to},
    time::Timestamp,
};

use super::{LOCK_PIPELINE, NewVersion, SAVE_PIPELINE, SAVE_VERSION, VersionRecord};
use crate::{
    Store, StoreError,
    db::{Arg, Columns, Tx, tried},
    door::write_version,
};

const STATE: &str = "SELECT state FROM versions WHERE id = $1 AND pipeline = $2";

const ACTIVE: &str = "SELECT active_version FROM pipelines WHERE name = $1";

const KEEP_SHAPE: &str = "UPDATE versions SET shape = $1 WHERE id = $2";

/// The version that was active before the present one, or before there was none.
const BEFORE: &str = "SELECT version FROM version_events WHERE pipeline = $1 AND from_state = 'active' \
                      AND version <> COALESCE((SELECT active_version FROM pipelines WHERE name = $1), '') \
                      ORDER BY id DESC LIMIT 1";

/// A version to be saved and moved.
#[derive(Debug, Clone)]
pub struct Adopt {
    /// The version.
    pub new: NewVersion,
    /// What was proved of it.
    pub shape: Option<Shape>,
    /// Where it shall be in its life; `draft` only saves it, and leaves one that is there as it is.
    pub wanted: VersionState,
    /// What is believed to be active now.
    pub expected: Expected,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Adopted {
    /// The version as it is now.
    pub version: VersionRecord,
    /// The version that was active before.
    pub before: Option<VersionId>,
    /// Whether it was moved.
    pub moved: bool,
}

impl Store {
    /// Saves versions and moves them where they are wanted, all or none. `actor` says who does it.
    ///
    /// # Errors
    /// A belief is wrong ([`StoreError::Stale`]), or a version cannot be moved like that.
    pub async fn adopt(&self, set: &[Adopt], actor: &str) -> Result<Vec<Adopted>, StoreError> {
        let done = tried!(self.adopt_once(set, actor).await)?;
        let mut adopted = Vec::with_capacity(set.len());
        for (each, (before, moved)) in set.iter().zip(done) {
            adopted.push(Adopted { version: self.version(&each.new.id).await?, before, moved });
        }
        Ok(adopted)
    }

    async fn adopt_once(&self, set: &[Adopt], actor: &str) -> Result<Vec<(Option<VersionId>, bool)>, StoreError> {
        let mut tx = self.desk.db.begin().await?;
        let mut mover = Mover { tx: &mut tx, now: self.desk.clock.now(), actor };
        // Locked in the order of their names, as everybody does.
        let names: BTreeMap<&str, ()> = set.iter().map(|each| (each.new.pipeline.as_str(), ())).collect();
        for name in names.keys() {
            mover.tx.run("save a pipeline", SAVE_PIPELINE, &[Arg::from(*name), mover.now.into()]).await?;
            mover.tx.rows("lock a pipeline", LOCK_PIPELINE, &[Arg::from(*name)]).await?;
        }
        let mut done = Vec::with_capacity(set.len());
        for each in set {
            let before = mover.expect(&each.new.pipeline, &each.expected).await?;
            mover.save(each).await?;
            let state = mover.state(&each.new.pipeline, &each.new.id).await?;
            let event = match each.wanted {
                VersionState::Draft => None,
                wanted => way_to(state, wanted).map_err(refused(&each.new.pipeline, &each.new.id))?,
            };
            if let Some(event) = event {
                mover.go(&each.new.pipeline, (&each.new.id, state), event).await?;
            }
            done.push((before, event.is_some()));
        }
        tx.commit().await?;
        Ok(done)
    }

    /// Moves a version of a pipeline.
    ///
    /// # Errors
    /// There is no such version, the belief is wrong, or the version cannot be moved like that.
    pub async fn move_version(
        &self,
        pipeline: &str,
        (version, event): (&VersionId, VersionEvent),
        expected: &Expected,
        actor: &str,
    ) -> Result<VersionRecord, StoreError> {
        tried!(self.move_once(pipeline, (version, event), expected, actor).await)?;
        self.version(version).await
    }

    async fn move_once(
        &self,
        pipeline: &str,
        (version, event): (&VersionId, VersionEvent),
        expected: &Expected,
        actor: &str,
    ) -> Result<(), StoreError> {
        let mut tx = self.desk.db.begin().await?;
        let mut mover = Mover { tx: &mut tx, now: self.desk.clock.now(), actor };
        mover.tx.rows("lock a pipeline", LOCK_PIPELINE, &[pipeline.into()]).await?;
        let state = mover.state(pipeline, version).await?;
        mover.expect(pipeline, expected).await?;
        // What is active already need not become it.
        if (state, event) != (VersionState::Active, VersionEvent::Activate) {
            mover.go(pipeline, (version, state), event).await?;
        }
        tx.commit().await
    }

    /// Makes a version the one that schedules and bare names run.
    pub async fn activate(&self, pipeline: &str, version: &VersionId) -> Result<(), StoreError> {
        let move_it = self.move_version(pipeline, (version, VersionEvent::Activate), &Expected::Any, "tidemill");
        move_it.await.map(drop)
    }

    /// The version that was active before the present one.
    pub async fn version_before(&self, pipeline: &str) -> Result<VersionRecord, StoreError> {
        let rows = self.desk.db.read("find the version before", BEFORE, &[pipeline.into()]).await?;
        let Some(row) = rows.first() else { return Err(StoreError::NoEarlier(pipeline.to_owned())) };
        self.version(&VersionId(Columns::of(row, "version_events").next("version")?)).await
    }
}

fn refused(pipeline: &str, version: &VersionId) -> impl FnOnce(tidemill_dag::state::IllegalVersionMove) -> StoreError {
    let (pipeline, version) = (pipeline.to_owned(), version.clone());
    move |source| StoreError::VersionMove { pipeline, version, source }
}

/// A transaction that moves versions of locked pipelines.
struct Mover<'t> {
    tx: &'t mut Tx,
    now: Timestamp,
    actor: &'t str,
}

impl Mover<'_> {
    /// The active version, if it is the one that is expected.
    async fn expect(&mut self, pipeline: &str, expected: &Expected) -> Result<Option<VersionId>, StoreError> {
        let rows = self.tx.rows("look at a pipeline", ACTIVE, &[pipeline.into()]).await?;
        let active: Option<String> = match rows.first() {
            Some(row) => Columns::of(row, "pipelines").next("active_version")?,
            None => None,
        };
        let active = active.map(VersionId);
        if expected.holds(active.as_ref()) {
            Ok(active)
        } else {
            Err(StoreError::Stale { pipeline: pipeline.to_owned(), active })
        }
    }

    async fn save(&mut self, each: &Adopt) -> Result<(), StoreError> {
        let new = &each.new;
        let args = [
            new.id.0.as_str().into(),
            new.pipeline.as_str().into(),
            new.source.as_str().into(),
            Arg::json(&new.definition),
            Arg::json(&new.origin),
            self.now.into(),
        ];
        self.tx.run("save a version", SAVE_VERSION, &args).await?;
        if let Some(shape) = &each.shape {
            let args = [Arg::json(shape), new.id.0.as_str().into()];
            self.tx.run("keep what was proved", KEEP_SHAPE, &args).await?;
        }
        Ok(())
    }

    async fn state(&mut self, pipeline: &str, version: &VersionId) -> Result<VersionState, StoreError> {
        let args = [version.0.as_str().into(), pipeline.into()];
        let rows = self.tx.rows("look at a version", STATE, &args).await?;
        let row = rows.first().ok_or_else(|| StoreError::NoVersion(version.clone()))?;
        Columns::of(row, "versions").word("state")
    }

    /// Moves a version, and the one whose place it takes.
    async fn go(
        &mut self,
        pipeline: &str,
        (version, from): (&VersionId, VersionState),
        event: VersionEvent,
    ) -> Result<(), StoreError> {
        let to = decide_version(from, event).map_err(refused(pipeline, version))?;
        if to == VersionState::Active {
            let rows = self.tx.rows("look at a pipeline", ACTIVE, &[pipeline.into()]).await?;
            let before: Option<String> = match rows.first() {
                Some(row) => Columns::of(row, "pipelines").next("active_version")?,
                None => None,
            };
            if let Some(before) = before.map(VersionId) {
                let (from, event) = (VersionState::Active, VersionEvent::Supersede);
                let to = decide_version(from, event).map_err(refused(pipeline, &before))?;
                self.write(pipeline, &before, (from, event, to)).await?;
            }
        }
        self.write(pipeline, version, (from, event, to)).await
    }

    async fn write(
        &mut self,
        pipeline: &str,
        version: &VersionId,
        (from, event, to): (VersionState, VersionEvent, VersionState),
    ) -> Result<(), StoreError> {
        write_version(self.tx, (pipeline, version), (from, event, to), (self.now, self.actor)).await
    }
}
