//! Webhooks out: each event that is asked for, as a signed POST.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::redirect::Policy;
use sha2::Sha256;
use tidemill_dag::diagnostic::chain;
use tidemill_dag::time::Clock;
use tidemill_store::{OutEvent, Start};

use super::message::{kind, pipeline_event};
use super::{Sink, Undelivered};

const NOTED_EVERY: Duration = Duration::from_secs(2);

/// One receiver.
#[derive(Clone)]
pub struct WebhookConfig {
    /// Its name among the sinks.
    pub name: String,
    /// Where it listens.
    pub url: String,
    /// What signatures are made with.
    pub secret: String,
    /// What it is told, as `run.failed`; `run.*` is every change of runs.
    pub events: Vec<String>,
    /// How often one event is tried before it goes to the list of lost ones.
    pub attempts: u32,
    /// How long one answer may take.
    pub timeout: Duration,
}

impl fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookConfig").field("name", &self.name).field("events", &self.events).finish_non_exhaustive()
    }
}

/// Why a receiver cannot be told anything.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The address cannot be used.
    #[error("the address of webhook `{name}` cannot be used: {problem}")]
    Address {
        /// The webhook.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// The HTTP client cannot be made.
    #[error("no HTTP calls can be made")]
    Client(#[source] reqwest::Error),
}

/// A receiver as a sink.
pub struct Webhook {
    config: WebhookConfig,
    sink: String,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
}

/// What is signed: the moment in seconds, a full stop, the body; HMAC-SHA-256, in hexadecimal. The header is
/// `t=<moment>,v1=<signature>`.
pub fn signature(secret: &str, seconds: i64, body: &str) -> String {
    // A key of any length is fine.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(format!("{seconds}.{body}").as_bytes());
    format!("t={seconds},v1={}", hex::encode(mac.finalize().into_bytes()))
}

impl Webhook {
    /// Sets a receiver up; it is not asked yet.
    ///
    /// # Errors
    /// The address cannot be used, or no HTTP calls can be made.
    pub fn new(config: WebhookConfig, clock: Arc<dyn Clock>) -> Result<Self, WebhookError> {
        let address = reqwest::Url::parse(&config.url).map_err(|error| error.to_string());
        let problem = match &address {
            Ok(url) if matches!(url.scheme(), "http" | "https") => None,
            Ok(_) => Some("it must start with `http://` or `https://`".to_owned()),
            Err(problem) => Some(problem.clone()),
        };
        if let Some(problem) = problem {
            return Err(WebhookError::Address { name: config.name, problem });
        }
        let client = reqwest::Client::builder().timeout(config.timeout).redirect(Policy::none()).build();
        let client = client.map_err(WebhookError::Client)?;
        Ok(Self { sink: format!("webhook/{}", config.name), config, client, clock })
    }

    fn wants(&self, kind: &str) -> bool {
        let fits = |wanted: &String| match wanted.strip_suffix('*') {
            Some(start) => kind.starts_with(start),
            None => kind == wanted,
        };
        self.config.events.iter().any(fits)
    }

    async fn tell(&self, event: &OutEvent) -> Result<(), String> {
        let body = pipeline_event(event).to_string();
        let seconds = self.clock.now().as_millis().div_euclid(1_000);
        let request = self
            .client
            .post(&self.config.url)
            .header("content-type", "application/json")
            .header("user-agent", "tidemill")
            .header("tidemill-event", format!("evt_{}", event.event.id))
            .header("tidemill-signature", signature(&self.config.secret, seconds, &body))
            .body(body);
        // The address may hold a token, so the error must not repeat it.
        let answer = request.send().await.map_err(|error| chain(&error.without_url()))?;
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(format!("it answered {status}")) }
    }
}

#[async_trait]
impl Sink for Webhook {
    fn name(&self) -> &str {
        &self.sink
    }

    fn start(&self) -> Start {
        Start::Now
    }

    fn at_once(&self) -> u32 {
        200
    }

    fn gives_up_after(&self) -> Option<u32> {
        Some(self.config.attempts.max(1))
    }

    fn longest_pause(&self) -> Duration {
        Duration::from_secs(300)
    }

    async fn deliver(&self, events: &[OutEvent]) -> Result<usize, Undelivered> {
        let since = Instant::now();
        for (taken, event) in events.iter().enumerate() {
            if self.wants(&kind(event)) {
                self.tell(event).await.map_err(|problem| Undelivered { taken, problem })?;
                // What was taken is noted now and then, so that little is told twice.
                if since.elapsed() > NOTED_EVERY {
                    return Ok(taken + 1);
                }
            }
        }
        Ok(events.len())
    }
}
