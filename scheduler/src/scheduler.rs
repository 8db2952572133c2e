//! The loop: look, fire, sweep, sleep until something is due or a bell rings.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tidemill_dag::compile::{Known, from_pipeline};
use tidemill_dag::diagnostic::chain;
use tidemill_dag::id::{RunId, VersionId};
use tidemill_dag::schedule::Schedule;
use tidemill_dag::spec::{CronTrigger, DatasetTrigger, Pipeline, Trigger};
use tidemill_dag::time::{Chance, Clock, Timestamp};
use tidemill_dag::wake::Sleeper;
use tidemill_store::{NewRun, Store, Swept, TriggerKind, VersionRecord};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::SchedulerError;
use crate::backfills;
use crate::due::{self, Due};
use crate::presence::Presence;
use crate::wakes;

/// What a scheduler needs beside the store.
pub struct Settings {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For run ids.
    pub chance: Arc<dyn Chance>,
    /// What the project has, to plan stored definitions.
    pub known: Known,
    /// Signs of life on this machine, where processes share a folder.
    pub presence: Option<Arc<Presence>>,
    /// Whether cron triggers fire here; a process that only drives one run leaves them alone.
    pub crons: bool,
    /// How often to look when nothing rings.
    pub period: Duration,
}

/// What one look did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    /// Runs that schedules created.
    pub fired: Vec<RunId>,
    /// Runs that fresh data created.
    pub woken: Vec<RunId>,
    /// Leases of dead processes that were ended.
    pub expired: usize,
    /// What the store's own sweep did.
    pub swept: Swept,
    /// When the next schedule is due.
    pub next: Option<Timestamp>,
}

/// Sweeps, and fires what is due.
pub struct Scheduler {
    store: Store,
    settings: Settings,
    bell: Arc<Notify>,
    planned: HashMap<String, Planned>,
    tidied: Timestamp,
}

/// How often keys whose time is over are forgotten.
const TIDY: Duration = Duration::from_secs(60);

/// A pipeline's schedules, as far as they are known.
pub(crate) struct Planned {
    pub version: VersionId,
    pub crons: Vec<Cron>,
    /// Triggers by fresh data, with their places.
    pub fresh: Vec<(u32, DatasetTrigger)>,
    /// What it writes and what wakes it; none where the definition cannot be read.
    pub sleeper: Option<Sleeper>,
}

pub(crate) struct Cron {
    index: u32,
    trigger: CronTrigger,
    schedule: Schedule,
    through: Timestamp,
    next: Option<Timestamp>,
    paused: bool,
}

impl Scheduler {
    /// A scheduler over a store.
    pub fn new(store: Store, settings: Settings) -> Self {
        Self { store, settings, bell: Arc::new(Notify::new()), planned: HashMap::new(), tidied: Timestamp(0) }
    }

    /// Ring it to have the scheduler look at once.
    pub fn bell(&self) -> Arc<Notify> {
        self.bell.clone()
    }

    /// Looks again and again until `shutdown`. Trouble is logged and the next look tries again.
    pub async fn run(mut self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let pause = match self.look().await {
                Ok(round) => self.pause(round.next),
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "a look of the scheduler failed; it looks again soon");
                    self.settings.period
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.bell.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn pause(&self, next: Option<Timestamp>) -> Duration {
        let now = self.settings.clock.now();
        next.map_or(self.settings.period, |next| next.since(now).min(self.settings.period))
    }

    /// One look: the dead, the schedules, and, if this process leads, the sweep.
    ///
    /// # Errors
    /// The state failed. What was done before stays done; the rest is done by the next look.
    pub async fn look(&mut self) -> Result<Round, SchedulerError> {
        let mut round = Round { expired: self.bury_the_dead().await?, ..Round::default() };
        if self.settings.crons {
            self.refresh().await?;
            self.fire_due(&mut round).await?;
            wakes::wake(&self.store, &self.settings, &self.planned, &mut round).await?;
            backfills::start_turns(&self.store, &self.settings, &mut round).await?;
        }
        if self.store.leads().await {
            round.swept = self.store.sweep().await?;
        }
        self.tidy().await?;
        if round.expired > 0 || round.swept != Swept::default() || !round.fired.is_empty() || !round.woken.is_empty() {
            tracing::debug!(?round, "looked");
        }
        Ok(round)
    }

    async fn tidy(&mut self) -> Result<(), SchedulerError> {
        let now = self.settings.clock.now();
        if self.settings.crons && now.since(self.tidied) >= TIDY {
            self.store.forget_keys().await?;
            self.tidied = now;
        }
        Ok(())
    }

    async fn bury_the_dead(&self) -> Result<usize, SchedulerError> {
        let mut expired = 0;
        let dead = self.settings.presence.as_ref().map(|p| p.dead()).unwrap_or_default();
        for dead in dead {
            let leases = self.store.expire_owner(&dead.worker).await?;
            tracing::info!(worker = %dead.worker, leases, "a process died; its tasks start again elsewhere");
            expired += leases;
            self.store.leave(&dead.worker).await?;
            dead.bury();
        }
        Ok(expired)
    }

    /// Learns the schedules of versions that became active, and forgets those that no longer are.
    async fn refresh(&mut self) -> Result<(), SchedulerError> {
        let pipelines = self.store.pipelines().await?;
        self.planned.retain(|name, planned| {
            pipelines.iter().any(|p| p.name == *name && p.active.as_ref() == Some(&planned.version))
        });
        for pipeline in pipelines {
            let Some(version) = pipeline.active else { continue };
            if self.planned.contains_key(&pipeline.name) {
                continue;
            }
            match self.learn(&pipeline.name, &version).await {
                Ok(planned) => {
                    self.planned.insert(pipeline.name.clone(), planned);
                    wakes::tell_circles(&pipeline.name, &self.planned);
                }
                Err(SchedulerError::Store(error)) => return Err(error.into()),
                Err(error) => {
                    tracing::error!(pipeline = pipeline.name, error = %chain(&error), "its triggers do not fire");
                    let planned = Planned { version, crons: Vec::new(), fresh: Vec::new(), sleeper: None };
                    self.planned.insert(pipeline.name, planned);
                }
            }
        }
        Ok(())
    }

    async fn learn(&self, name: &str, id: &VersionId) -> Result<Planned, SchedulerError> {
        let version = self.store.version(id).await?;
        let pipeline = stored(&version)?;
        let sleeper = Some(Sleeper::from(&pipeline));
        let fresh = (0..).zip(&pipeline.triggers).filter_map(|(index, trigger)| match trigger {
            Trigger::Dataset(trigger) => Some((index, trigger.clone())),
            Trigger::Cron(_) | Trigger::Webhook(_) => None,
        });
        let fresh = fresh.collect();
        let crons = self.learn_crons(name, &version, pipeline.triggers).await?;
        Ok(Planned { version: id.clone(), crons, fresh, sleeper })
    }

    async fn learn_crons(
        &self,
        name: &str,
        version: &VersionRecord,
        triggers: Vec<Trigger>,
    ) -> Result<Vec<Cron>, SchedulerError> {
        let mut crons = Vec::new();
        if !triggers.iter().any(|t| matches!(t, Trigger::Cron(_))) {
            return Ok(crons);
        }
        let before = self.version_before(version).await?;
        for (index, trigger) in (0..).zip(triggers) {
            let Trigger::Cron(trigger) = trigger else { continue };
            let schedule = Schedule::of(&trigger)
                .map_err(|source| SchedulerError::Trigger { pipeline: name.to_owned(), source })?
                .with_jitter(trigger.jitter, &format!("{name}/{index}"));
            // A schedule begins when it is first seen, and anew when its expression changes: the moments of
            // the new expression that lie in the past were never promised to anybody.
            let same =
                before.as_ref().is_none_or(|triggers| triggers.get(at(index)).is_some_and(|t| alike(t, &trigger)));
            let through = match self.store.schedule_state(name, index).await? {
                Some(state) if same => state.through,
                Some(state) => state.through.max(version.created_at),
                None => {
                    let now = self.settings.clock.now();
                    self.store.pass_schedule(name, index, now).await?;
                    now
                }
            };
            let next = schedule.next(through).map(|moment| schedule.fires_at(moment));
            crons.push(Cron { index, trigger, schedule, through, next, paused: false });
        }
        Ok(crons)
    }

    async fn version_before(&self, version: &VersionRecord) -> Result<Option<Vec<Trigger>>, SchedulerError> {
        let versions = self.store.versions(&version.pipeline).await?;
        let before = versions.iter().filter(|v| v.number < version.number).max_by_key(|v| v.number);
        before.map(triggers).transpose()
    }

    async fn fire_due(&mut self, round: &mut Round) -> Result<(), SchedulerError> {
        let now = self.settings.clock.now();
        for (name, planned) in &mut self.planned {
            for cron in &mut planned.crons {
                if cron.next.is_some_and(|next| next <= now) {
                    fire(&self.store, &self.settings, (name, &planned.version), cron, round).await?;
                }
                // One that is paused is looked at again as often as everything else.
                let next = cron.next.filter(|_| !cron.paused);
                round.next = [round.next, next].into_iter().flatten().min();
            }
        }
        Ok(())
    }
}

/// Creates the runs that one trigger asks for.
async fn fire(
    store: &Store,
    settings: &Settings,
    (name, id): (&str, &VersionId),
    cron: &mut Cron,
    round: &mut Round,
) -> Result<(), SchedulerError> {
    let now = settings.clock.now();
    if let Some(state) = store.schedule_state(name, cron.index).await? {
        cron.through = cron.through.max(state.through);
        cron.paused = state.paused_at.is_some();
    }
    if cron.paused {
        return Ok(());
    }
    let asked = due::asked(&cron.schedule, cron.trigger.catch_up, cron.through, now);
    if !asked.fire.is_empty() {
        match runs_of(&store.version(id).await?, cron, settings, &asked.fire) {
            Ok(runs) => {
                for (due, run) in asked.fire.iter().zip(runs) {
                    let Some(created) = store.fire_schedule(cron.index, (cron.through, due.moment), run).await? else {
                        // Another scheduler went on from here, or somebody paused it; the next look knows.
                        return Ok(());
                    };
                    if !created.existed {
                        tracing::info!(pipeline = name, moment = %due.moment, run = %created.run, "a schedule fired");
                        round.fired.push(created.run);
                    }
                    cron.through = due.moment;
                }
            }
            Err(error) => {
                let moment = asked.fire[asked.fire.len() - 1].moment;
                tracing::error!(pipeline = name, %moment, error = %chain(&error), "a schedule could not fire");
                store.pass_schedule(name, cron.index, moment).await?;
                cron.through = moment;
            }
        }
    }
    if let Some(pass) = asked.pass {
        store.pass_schedule(name, cron.index, pass).await?;
        cron.through = pass;
    }
    cron.next = cron.schedule.next(cron.through).map(|moment| cron.schedule.fires_at(moment));
    Ok(())
}

/// A run of a version, with everything but its cause.
pub(crate) fn run_of(version: &VersionRecord, settings: &Settings) -> Result<NewRun, SchedulerError> {
    let pipeline = stored(version)?;
    let wrong = |found| SchedulerError::Definition { pipeline: version.pipeline.clone(), found };
    let params = tidemill_dag::params::bind(&pipeline, &serde_json::Map::new()).map_err(wrong)?;
    run_with(version, params.into(), settings)
}

/// The same with parameters that were bound before.
pub(crate) fn run_with(
    version: &VersionRecord,
    params: serde_json::Value,
    settings: &Settings,
) -> Result<NewRun, SchedulerError> {
    let wrong = |found| SchedulerError::Definition { pipeline: version.pipeline.clone(), found };
    let compiled = from_pipeline(stored(version)?, &settings.known).map_err(wrong)?;
    let id = RunId::from_parts(settings.clock.now(), settings.chance.bits());
    Ok(NewRun { version: version.id.clone(), params, ..NewRun::of(id, &compiled, TriggerKind::Cron) })
}

/// The runs for some moments of one trigger.
fn runs_of(
    version: &VersionRecord,
    cron: &Cron,
    settings: &Settings,
    due: &[Due],
) -> Result<Vec<NewRun>, SchedulerError> {
    let any = run_of(version, settings)?;
    let run = |due: &Due| NewRun {
        id: RunId::from_parts(settings.clock.now(), settings.chance.bits()),
        trigger_key: Some(format!("cron/{}/{}", cron.index, due.moment)),
        trigger_data: json!({"cron": cron.trigger.cron, "moment": due.moment.to_string()}),
        interval: Some(due.interval),
        ..any.clone()
    };
    Ok(due.iter().map(run).collect())
}

fn stored(version: &VersionRecord) -> Result<Pipeline, SchedulerError> {
    serde_json::from_value(version.definition.clone())
        .map_err(|source| SchedulerError::Stored { pipeline: version.pipeline.clone(), source })
}

fn triggers(version: &VersionRecord) -> Result<Vec<Trigger>, SchedulerError> {
    stored(version).map(|pipeline| pipeline.triggers)
}

/// Whether a trigger fires at the same moments as a cron trigger.
fn alike(trigger: &Trigger, cron: &CronTrigger) -> bool {
    matches!(trigger, Trigger::Cron(c) if c.cron == cron.cron && c.timezone == cron.timezone
        && (&c.except, &c.only, c.on_except) == (&cron.except, &cron.only, cron.on_except))
}

fn at(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
