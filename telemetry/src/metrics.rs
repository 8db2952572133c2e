//! Metrics for Prometheus. What can be counted anew is counted when it is asked for, so it is right in every process and
//! after every start; what passes by is observed as records.

use std::{collections::BTreeSet, sync::Mutex};

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::record::Record;

/// How things stand.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standing {
    /// Runs by state.
    pub runs: Vec<(String, u64)>,
    /// Tasks by state.
    pub tasks: Vec<(String, u64)>,
    /// Tasks that any worker may take, by queue.
    pub queues: Vec<(String, u64)>,
    /// For how long the oldest of them has waited, in seconds.
    pub oldest_ready: u64,
    /// For how long something is overdue that the sweep should have moved, in seconds.
    pub overdue: u64,
    /// Events that sinks have not taken yet, by sink.
    pub behind: Vec<(String, u64)>,
    /// Deliveries that were given up.
    pub lost_deliveries: u64,
}

/// The metrics of one process.
pub struct Metrics {
    registry: Registry,
    runs: IntGaugeVec,
    tasks: IntGaugeVec,
    queues: IntGaugeVec,
    behind: IntGaugeVec,
    oldest_ready: IntGauge,
    overdue: IntGauge,
    lost_deliveries: IntGauge,
    up: IntGauge,
    run_seconds: HistogramVec,
    task_seconds: HistogramVec,
    wait_seconds: HistogramVec,
    leases_lost: IntCounter,
    dropped: IntCounterVec,
    /// Pipelines that have a label of their own.
    known: Mutex<BTreeSet<String>>,
}

/// So many pipelines have a label of their own; what comes later is `other`, for who pays by the series.
const PIPELINES: usize = 100;
const OTHER: &str = "other";

const LENGTHS: [f64; 14] =
    [0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0];

impl Metrics {
    /// Empty ones.
    ///
    /// # Errors
    /// A name is used twice: a fault of the program.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let gauges = |name: &str, help: &str, label: &str| {
            let gauges = IntGaugeVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(gauges.clone())).map(|()| gauges)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone())).map(|()| gauge)
        };
        let lengths = |name: &str, help: &str, labels: &[&str]| {
            let all = HistogramVec::new(HistogramOpts::new(name, help).buckets(LENGTHS.to_vec()), labels)?;
            registry.register(Box::new(all.clone())).map(|()| all)
        };
        let leases_lost = IntCounter::new("tidemill_leases_lost_total", "Attempts whose worker was lost")?;
        registry.register(Box::new(leases_lost.clone()))?;
        let dropped = IntCounterVec::new(
            Opts::new("tidemill_records_failed_total", "Batches of records that were not taken and are told again"),
            &["place"],
        )?;
        registry.register(Box::new(dropped.clone()))?;
        Ok(Self {
            runs: gauges("tidemill_runs", "Runs by state", "state")?,
            tasks: gauges("tidemill_tasks", "Tasks by state", "state")?,
            queues: gauges("tidemill_queue_depth", "Tasks that any worker may take, by queue", "queue")?,
            behind: gauges("tidemill_events_behind", "Events that a sink has not taken yet", "sink")?,
            oldest_ready: gauge("tidemill_oldest_ready_seconds", "For how long the oldest ready task has waited")?,
            overdue: gauge(
                "tidemill_sweep_age_seconds",
                "For how long something is overdue that a sweep should have moved",
            )?,
            lost_deliveries: gauge("tidemill_lost_deliveries", "Deliveries to webhooks that were given up")?,
            up: gauge("tidemill_database_up", "Whether the state database answered this request")?,
            run_seconds: lengths("tidemill_run_duration_seconds", "Length of runs", &["pipeline", "state"])?,
            task_seconds: lengths("tidemill_task_duration_seconds", "Length of attempts", &["pipeline", "state"])?,
            wait_seconds: lengths("tidemill_queue_wait_seconds", "How long tasks waited for a worker", &["queue"])?,
            leases_lost,
            dropped,
            known: Mutex::default(),
            registry,
        })
    }

    /// A record passed by.
    pub fn observe(&self, record: &Record) {
        let seconds = |millis: u64| millis as f64 / 1_000.0;
        match record {
            Record::Run(row) => {
                let pipeline = self.label(&row.pipeline);
                self.run_seconds.with_label_values(&[&pipeline, &row.state]).observe(seconds(row.duration_ms));
            }
            Record::Task(row) => {
                let pipeline = self.label(&row.pipeline);
                self.task_seconds.with_label_values(&[&pipeline, &row.state]).observe(seconds(row.duration_ms));
            }
            Record::Wait(row) => {
                self.wait_seconds.with_label_values(&[&row.queue]).observe(seconds(row.wait_ms));
            }
            // The gateway's process shows no metrics; its records say more.
            Record::Use(_) => {}
        }
    }

    /// A worker was lost while it had a task.
    pub fn lease_lost(&self) {
        self.leases_lost.inc();
    }

    /// A batch of records was not taken; it is told again.
    pub fn batch_failed(&self, place: &str) {
        self.dropped.with_label_values(&[place]).inc();
    }

    fn label(&self, pipeline: &str) -> String {
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if known.contains(pipeline) || (known.len() < PIPELINES && known.insert(pipeline.to_owned())) {
            return pipeline.to_owned();
        }
        OTHER.to_owned()
    }

    /// The metrics as text, with how things stand; none if the state does not say.
    pub fn text(&self, standing: Option<&Standing>) -> String {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.up.set(i64::from(standing.is_some()));
        if let Some(now) = standing {
            let sets = [
                (&self.runs, &now.runs),
                (&self.tasks, &now.tasks),
                (&self.queues, &now.queues),
                (&self.behind, &now.behind),
            ];
            for (gauges, values) in sets {
                gauges.reset();
                for (label, value) in values.iter().take(PIPELINES) {
                    gauges.with_label_values(&[label.as_str()]).set(number(*value));
                }
            }
            self.oldest_ready.set(number(now.oldest_ready));
            self.overdue.set(number(now.overdue));
            self.lost_deliveries.set(number(now.lost_deliveries));
        }
        let mut text = Vec::new();
        // Writing to memory does not fail.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        String::from_utf8(text).unwrap_or_default()
    }
}
