//! Three topics of a Kafka broker: `pipeline.events`, `audit.events`, `metrics.events`.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tidemill_store::{OutEvent, Start};

use super::message::{audit_event, metrics_event, pipeline_event};
use super::{Sink, Undelivered};

/// Which broker, and which topics; an empty name leaves a topic out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// `host:port`, several of them between commas.
    pub brokers: String,
    /// Changes of runs and tasks; the key is the run, so that a reader sees each run in order.
    pub pipeline_topic: String,
    /// Who did what; the key is the event.
    pub audit_topic: String,
    /// Lengths of time; the key is the run.
    pub metrics_topic: String,
}

/// Why there is no producer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KafkaError {
    /// The settings cannot be used.
    #[error("the settings of Kafka cannot be used: {0}")]
    Setting(String),
}

/// How long one message may take, with all its tries.
const PATIENCE: Duration = Duration::from_secs(15);

/// A broker as a sink.
pub struct Kafka {
    config: KafkaConfig,
    /// A producer that met a fatal error can do nothing any more; then a new one is made.
    producer: Mutex<Option<FutureProducer>>,
}

impl Kafka {
    /// Sets a producer up. Nobody is asked yet: the broker may come later.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub fn new(config: KafkaConfig) -> Result<Self, KafkaError> {
        if config.brokers.trim().is_empty() {
            return Err(KafkaError::Setting("no broker is named".to_owned()));
        }
        let kafka = Self { config, producer: Mutex::default() };
        drop(kafka.producer().map_err(KafkaError::Setting)?);
        Ok(kafka)
    }

    fn producer(&self) -> Result<FutureProducer, String> {
        let mut kept = self.producer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(producer) = &*kept {
            return Ok(producer.clone());
        }
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.config.brokers)
            .set("client.id", "tidemill")
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", PATIENCE.as_millis().to_string())
            .set("linger.ms", "5")
            .create()
            .map_err(|error| error.to_string())?;
        Ok(kept.insert(producer).clone())
    }

    fn forget(&self) {
        *self.producer.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }

    /// The messages of one event: topic, key, text.
    fn messages(&self, event: &OutEvent) -> Vec<(&str, String, String)> {
        let (run, id) = (event.event.run.to_string(), format!("evt_{}", event.event.id));
        let mut all = vec![
            (self.config.pipeline_topic.as_str(), run.clone(), pipeline_event(event).to_string()),
            (self.config.audit_topic.as_str(), id, audit_event(event).to_string()),
        ];
        let metrics = metrics_event(event).map(|value| (self.config.metrics_topic.as_str(), run, value.to_string()));
        all.extend(metrics);
        all.retain(|(topic, ..)| !topic.is_empty());
        all
    }
}

#[async_trait]
impl Sink for Kafka {
    fn name(&self) -> &str {
        "kafka"
    }

    fn start(&self) -> Start {
        Start::Now
    }

    fn at_once(&self) -> u32 {
        500
    }

    fn gives_up_after(&self) -> Option<u32> {
        None
    }

    fn longest_pause(&self) -> Duration {
        Duration::from_secs(30)
    }

    async fn deliver(&self, events: &[OutEvent]) -> Result<usize, Undelivered> {
        let failed = |problem: String| {
            self.forget();
            Undelivered { taken: 0, problem }
        };
        let producer = self.producer().map_err(failed)?;
        let mut sent = Vec::with_capacity(events.len() * 3);
        for event in events {
            let id = format!("evt_{}", event.event.id);
            for (topic, key, text) in self.messages(event) {
                let header = Header { key: "id", value: Some(id.as_bytes()) };
                let headers = OwnedHeaders::new().insert(header);
                let record = FutureRecord::to(topic).key(&key).payload(&text).headers(headers);
                sent.push(producer.send_result(record).map_err(|(error, _)| failed(error.to_string()))?);
            }
        }
        for answer in sent {
            match answer.await {
                Ok(Ok(_)) => {}
                Ok(Err((error, _))) => return Err(failed(error.to_string())),
                Err(_) => return Err(failed("the producer ended".to_owned())),
            }
        }
        Ok(events.len())
    }
}
