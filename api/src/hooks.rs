//! Webhooks in: from a delivery to its run, or to the dead letters.
//!
//! Who is not recognised gets one answer whatever the reason, after the same work, so that nobody learns which pipelines
//! there are. What a delivery means is decided in [`tidemill_dag::hook`]; one run per event is the store's promise.

mod letters;
mod recognise;
mod secret;
mod trial;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tidemill_dag::codes::tm12;
use tidemill_dag::compile::{self, Compiled, Known};
use tidemill_dag::diagnostic::Diagnostic;
use tidemill_dag::hook::{self, Answer, Headers, Message, Unusable};
use tidemill_dag::id::{RunId, VersionId};
use tidemill_dag::spec::{Pipeline, Trigger, Webhook, trigger_called};
use tidemill_dag::time::{Chance, Clock};
use tidemill_store::{NewRun, Store, StoreError, TriggerKind};
use tokio::sync::{Mutex, Notify};

use crate::start::StartError;
use recognise::Recognised;

pub use letters::{replay, shortened};
pub use trial::{Trial, sample, try_out};

/// No delivery is longer, whatever its trigger allows.
pub const MOST_BYTES: usize = 5_000_000;

/// What deliveries are taken with.
#[derive(Clone)]
pub struct Site {
    /// The state.
    pub store: Store,
    /// What the project has, to plan stored definitions.
    pub known: Known,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For run ids.
    pub chance: Arc<dyn Chance>,
    /// Rung when a run was created.
    pub bell: Arc<Notify>,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// It is sent this text back.
    Echo(String),
    /// The trigger's filter is false for it.
    Filtered,
    /// It has a run.
    Run {
        /// Which one.
        run: RunId,
        /// Whether its event had one before.
        duplicate: bool,
    },
}

/// Why a delivery started no run, or could not be replayed or tried out.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The caller is to learn nothing.
    #[error("the delivery is not recognised")]
    NotRecognised,
    /// It is genuine and starts no run.
    #[error("{}", .0.reason)]
    Unusable(Unusable),
    /// The state failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored definition cannot run.
    #[error(transparent)]
    Start(StartError),
    /// The pipeline has no such webhook.
    #[error("`{pipeline}` has no webhook `{hook}`")]
    NoHook {
        /// The pipeline.
        pipeline: String,
        /// What was asked for.
        hook: String,
    },
    /// A secret cannot be read here.
    #[error("the secret of the webhook `{hook}` of `{pipeline}` cannot be read: {reason}")]
    Secret {
        /// The pipeline.
        pipeline: String,
        /// The trigger.
        hook: String,
        /// The place, and what is wrong.
        reason: String,
    },
    /// No such dead letter.
    #[error("there is no dead letter {0}")]
    NoLetter(i64),
    /// A dead letter that cannot be replayed.
    #[error("dead letter {id} {why}")]
    NotReplayable {
        /// Which one.
        id: i64,
        /// Why not.
        why: &'static str,
        /// What to do about it.
        help: String,
    },
}

impl HookError {
    /// The public code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotRecognised => tm12::NOT_RECOGNISED,
            Self::Unusable(why) => why.code,
            Self::Store(error) => error.code(),
            Self::Start(error) => error.code(),
            Self::NoHook { .. } => tm12::UNKNOWN_TRIGGER,
            Self::Secret { .. } => tm12::HOOK_SECRET,
            Self::NoLetter(_) => tm12::UNKNOWN_LETTER,
            Self::NotReplayable { .. } => tm12::NOT_REPLAYABLE,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Unusable(why) => why.help.clone(),
            Self::NotReplayable { help, .. } => Some(help.clone()),
            Self::NoHook { pipeline, .. } => Some(format!("`tidemill plan {pipeline}` shows its triggers")),
            Self::NoLetter(_) => Some("`tidemill hooks list` shows those that are kept".to_owned()),
            Self::NotRecognised | Self::Store(_) | Self::Start(_) | Self::Secret { .. } => None,
        }
    }
}

/// A pipeline's active version, planned.
struct Planned {
    version: VersionId,
    pipeline: Pipeline,
    compiled: Result<Compiled, Vec<Diagnostic>>,
}

/// Everything that takes deliveries.
pub struct Hooks {
    site: Site,
    planned: Mutex<HashMap<String, Arc<Planned>>>,
    sparing: letters::Sparing,
}

/// A webhook of an active version.
struct Found {
    planned: Arc<Planned>,
    place: usize,
}

impl Found {
    fn hook(&self) -> Option<&Webhook> {
        match self.planned.pipeline.triggers.get(self.place) {
            Some(Trigger::Webhook(it)) => Some(&it.webhook),
            Some(Trigger::Cron(_) | Trigger::Dataset(_)) | None => None,
        }
    }
}

impl Hooks {
    /// Takes deliveries for every pipeline of a state.
    pub fn new(site: Site) -> Self {
        Self { site, planned: Mutex::default(), sparing: letters::Sparing::default() }
    }

    /// Takes a delivery.
    ///
    /// # Errors
    /// [`HookError::NotRecognised`] for everything that a stranger may have sent; else what is wrong.
    pub async fn deliver(
        &self,
        pipeline: &str,
        called: &str,
        headers: &Headers,
        body: &[u8],
    ) -> Result<Received, HookError> {
        let now = self.site.clock.now();
        let found = self.find(pipeline, called).await?;
        let hook = found.as_ref().and_then(Found::hook);
        let (found, hook) = match (recognise::recognise(hook, headers, body, now).await, &found, hook) {
            (Recognised::Genuine, Some(found), Some(hook)) => (found, hook),
            (Recognised::Not { code, reason }, Some(_), Some(hook)) => {
                tracing::info!(pipeline, hook = called, reason, "a delivery was refused");
                let letter = letters::refused((pipeline, called), (code, &reason), &hook::shown(headers, hook), body);
                self.keep_sparingly(letter, now).await;
                return Err(HookError::NotRecognised);
            }
            (Recognised::Genuine | Recognised::Not { .. }, _, _) => {
                tracing::info!(pipeline, hook = called, "a delivery came for what is not there");
                return Err(HookError::NotRecognised);
            }
        };
        let received = match within(hook, body) {
            Ok(()) => self.take(found, hook, called, headers, body).await,
            Err(why) => Err(HookError::Unusable(why)),
        };
        if let Err(error) = &received
            && !matches!(error, HookError::Store(_))
        {
            let letter = letters::failed((pipeline, called), error, &hook::shown(headers, hook), body);
            let id = self.site.store.bury(&letter).await?;
            tracing::warn!(pipeline, hook = called, letter = id, %error, "a delivery started no run");
        }
        received
    }

    /// A genuine delivery.
    async fn take(
        &self,
        found: &Found,
        hook: &Webhook,
        called: &str,
        headers: &Headers,
        body: &[u8],
    ) -> Result<Received, HookError> {
        let message = hook::read(hook, headers, body).map_err(HookError::Unusable)?;
        let planned = &found.planned;
        match hook::answer(&planned.pipeline, hook, &message, body).map_err(HookError::Unusable)? {
            Answer::Echo(text) => Ok(Received::Echo(text)),
            Answer::Filtered => Ok(Received::Filtered),
            Answer::Start { event, params } => {
                let run = self.new_run(planned, called, &message, params)?;
                let named = tidemill_store::Named {
                    key: format!("hook/{called}/{}", event.key),
                    request: None,
                    lasts: event.lasts,
                };
                let created = self.site.store.create_run_once(run, named).await?;
                if !created.existed {
                    tracing::info!(pipeline = planned.pipeline.pipeline, run = %created.run, "a webhook started a run");
                    self.site.bell.notify_one();
                }
                Ok(Received::Run { run: created.run, duplicate: created.existed })
            }
        }
    }

    fn new_run(
        &self,
        planned: &Planned,
        called: &str,
        message: &Message,
        params: serde_json::Map<String, Value>,
    ) -> Result<NewRun, HookError> {
        let wrong = |found: &[Diagnostic]| HookError::Start(StartError::Findings(found.to_vec()));
        let compiled = planned.compiled.as_ref().map_err(|found| wrong(found))?;
        let params = tidemill_dag::params::bind(&planned.pipeline, &params).map_err(|found| wrong(&found))?;
        let id = RunId::from_parts(self.site.clock.now(), self.site.chance.bits());
        Ok(NewRun {
            version: planned.version.clone(),
            trigger_data: hook::trigger_data(called, message),
            params: params.into(),
            ..NewRun::of(id, compiled, TriggerKind::Webhook)
        })
    }

    /// The webhook of the active version.
    async fn find(&self, pipeline: &str, called: &str) -> Result<Option<Found>, HookError> {
        let Some(planned) = self.planned(pipeline).await? else { return Ok(None) };
        let found = trigger_called(&planned.pipeline.triggers, called);
        let place = found.filter(|(_, trigger)| matches!(trigger, Trigger::Webhook(_))).map(|(place, _)| place);
        Ok(place.map(|place| Found { planned, place }))
    }

    /// The active version of a pipeline; read and planned anew only when another one became active.
    async fn planned(&self, name: &str) -> Result<Option<Arc<Planned>>, HookError> {
        let Some(active) = self.site.store.active_id(name).await? else { return Ok(None) };
        let mut all = self.planned.lock().await;
        if let Some(planned) = all.get(name).filter(|planned| planned.version == active) {
            return Ok(Some(planned.clone()));
        }
        let version = self.site.store.version(&active).await?;
        let stored = |source| HookError::Start(StartError::Stored { pipeline: name.to_owned(), source });
        let pipeline: Pipeline = serde_json::from_value(version.definition).map_err(stored)?;
        let compiled = compile::from_pipeline(pipeline.clone(), &self.site.known);
        let planned = Arc::new(Planned { version: active, pipeline, compiled });
        all.insert(name.to_owned(), planned.clone());
        Ok(Some(planned))
    }
}

fn within(hook: &Webhook, body: &[u8]) -> Result<(), Unusable> {
    let most = hook.max_bytes.unwrap_or(hook::MAX_BYTES);
    if u32::try_from(body.len()).is_ok_and(|length| length <= most) {
        return Ok(());
    }
    Err(Unusable {
        code: tm12::DELIVERY_TOO_LARGE,
        reason: format!("the body has {} bytes; the trigger allows {most}", body.len()),
        help: Some("raise `max_bytes` of the trigger, or let the sender send less".to_owned()),
    })
}

#[cfg(test)]
mod tests;
