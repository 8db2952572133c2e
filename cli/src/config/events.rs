use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidemill_dag::time::Span;
use tidemill_scheduler::relay::{KafkaConfig, WebhookConfig};

use crate::error::CliError;
use crate::secret;

/// Where events are told: every change of a run or a task, at least once, in order. `docs/events.md` shows their shapes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EventsSection {
    /// A Kafka broker, as `{brokers: "kafka:9092"}`. Unset: none.
    pub kafka: Option<KafkaSection>,
    /// Receivers of webhooks, as `- {name: ops, url: "https://…", secret: "${env:OPS_HOOK}", events: [run.failed]}`.
    pub webhooks: Vec<WebhookSection>,
}

/// A Kafka broker and its topics; an empty name leaves a topic out. Connections are plain: no TLS, no SASL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaSection {
    /// `host:port`, several of them between commas.
    pub brokers: String,
    /// Changes of runs and tasks, by run.
    pub pipeline_topic: String,
    /// Who did what, by event.
    pub audit_topic: String,
    /// How long runs, tasks and waits took, by run.
    pub metrics_topic: String,
}

impl Default for KafkaSection {
    fn default() -> Self {
        Self {
            brokers: String::new(),
            pipeline_topic: "pipeline.events".to_owned(),
            audit_topic: "audit.events".to_owned(),
            metrics_topic: "metrics.events".to_owned(),
        }
    }
}

impl KafkaSection {
    /// As the sink wants it.
    pub fn config(&self) -> KafkaConfig {
        KafkaConfig {
            brokers: self.brokers.clone(),
            pipeline_topic: self.pipeline_topic.clone(),
            audit_topic: self.audit_topic.clone(),
            metrics_topic: self.metrics_topic.clone(),
        }
    }
}

/// A receiver of webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookSection {
    /// Its name, which keeps its place among the events.
    pub name: String,
    /// Where it listens; may be or hold a place, as `${env:OPS_URL}`.
    pub url: String,
    /// The place of the secret that signatures are made with.
    pub secret: String,
    /// What it is told: `run.failed`, `task.succeeded`, `run.*`.
    #[serde(default = "ends_of_runs")]
    pub events: Vec<String>,
    /// How often one event is tried, with growing pauses, before it goes to the list of lost ones.
    #[serde(default = "attempts")]
    pub attempts: u32,
    /// How long an answer may take; at most 10 s.
    #[serde(default = "timeout")]
    pub timeout: Span,
}

fn ends_of_runs() -> Vec<String> {
    ["run.succeeded", "run.failed", "run.cancelled"].map(str::to_owned).into()
}

const fn attempts() -> u32 {
    12
}

const fn timeout() -> Span {
    Span::seconds(5)
}

impl WebhookSection {
    /// As the sink wants it, with its secret read.
    pub fn config(&self) -> Result<WebhookConfig, CliError> {
        Ok(WebhookConfig {
            name: self.name.clone(),
            url: secret::read("events.webhooks.url", &self.url)?.expose().to_owned(),
            secret: secret::read("events.webhooks.secret", &self.secret)?.expose().to_owned(),
            events: self.events.clone(),
            attempts: self.attempts,
            timeout: self.timeout.0,
        })
    }
}

impl EventsSection {
    /// What is wrong with the section as a whole, by key.
    pub fn problems(&self) -> Vec<(&'static str, &'static str)> {
        let mut found = Vec::new();
        if self.kafka.as_ref().is_some_and(|kafka| kafka.brokers.trim().is_empty()) {
            found.push(("events.kafka", "`brokers` is missing, as in `{brokers: \"kafka:9092\"}`"));
        }
        let mut names: Vec<&str> = self.webhooks.iter().map(|hook| hook.name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) || names.contains(&"") {
            found.push(("events.webhooks", "each webhook needs a name of its own"));
        }
        if self.webhooks.iter().any(|hook| !secret::is_place(&hook.secret)) {
            found
                .push(("events.webhooks", "a secret does not stand in this file: write where it is, as `${env:NAME}`"));
        }
        if self.webhooks.iter().any(|hook| hook.timeout.0 > Duration::from_secs(10)) {
            found.push(("events.webhooks", "a `timeout` is at most 10s"));
        }
        found
    }
}
