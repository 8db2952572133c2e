//! What leaves the platform: records, metrics, events.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tidemill_dag::id::WorkerId;
use tidemill_scheduler::relay::{Kafka, Measured, Relay, Sink, Undelivered, Webhook, measured};
use tidemill_store::{OutEvent, Start, Store};
use tidemill_telemetry::{ClickHouse, Metrics, Record, Records, RunRow, SqliteRecords, Standing, TaskRow, WaitRow};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::error::CliError;
use crate::project::Project;

/// Where records are kept.
pub async fn records(project: &Project) -> Result<Arc<dyn Records>, CliError> {
    match &project.config.telemetry.clickhouse {
        Some(section) => Ok(Arc::new(ClickHouse::new(section.config()?))),
        None => Ok(Arc::new(SqliteRecords::open(&project.state.dir.join("telemetry.db"), clock::clock()).await?)),
    }
}

/// Makes records of events and keeps them; the metrics see them pass.
struct RecordsSink {
    records: Arc<dyn Records>,
    metrics: Arc<Metrics>,
    prepared: tokio::sync::OnceCell<()>,
}

#[async_trait]
impl Sink for RecordsSink {
    fn name(&self) -> &str {
        "records"
    }

    fn start(&self) -> Start {
        Start::Oldest
    }

    fn at_once(&self) -> u32 {
        2_000
    }

    fn gives_up_after(&self) -> Option<u32> {
        None
    }

    fn longest_pause(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn deliver(&self, events: &[OutEvent]) -> Result<usize, Undelivered> {
        let failed = |error: tidemill_telemetry::RecordsError| {
            self.metrics.batch_failed("records");
            Undelivered { taken: 0, problem: error.to_string() }
        };
        self.prepared.get_or_try_init(|| self.records.prepare()).await.map_err(failed)?;
        let made: Vec<Record> = events.iter().filter_map(record).collect();
        self.records.write(&made).await.map_err(failed)?;
        made.iter().for_each(|record| self.metrics.observe(record));
        let lost = events.iter().filter(|it| matches!(it.event.event.as_str(), "lease_over" | "owner_gone"));
        lost.for_each(|_| self.metrics.lease_lost());
        Ok(events.len())
    }
}

fn record(out: &OutEvent) -> Option<Record> {
    let event = &out.event;
    let (run_id, pipeline, at) = (event.run.to_string(), out.pipeline.clone(), event.at.0);
    let ordinal = event.ordinal.map_or(0, |ordinal| ordinal.0);
    let (task, queue) = out.task.as_ref().map(|it| (it.name.clone(), it.queue.clone())).unwrap_or_default();
    Some(match measured(out)? {
        Measured::Run { wait_ms, duration_ms, tasks, failed } => Record::Run(RunRow {
            run_id,
            pipeline,
            trigger_kind: crate::words::state(out.trigger),
            state: event.to.clone(),
            finished_at: at,
            wait_ms,
            duration_ms,
            tasks,
            failed,
        }),
        Measured::Task { duration_ms, error } => Record::Task(TaskRow {
            run_id,
            pipeline,
            task,
            ordinal,
            attempt: event.attempt.0,
            state: event.to.clone(),
            queue,
            worker: event.owner.as_ref().map(|owner| owner.0.clone()).unwrap_or_default(),
            finished_at: at,
            duration_ms,
            error: error.unwrap_or_default(),
        }),
        Measured::Wait { wait_ms } => {
            Record::Wait(WaitRow { run_id, pipeline, task, ordinal, queue, started_at: at, wait_ms })
        }
    })
}

/// Metrics of this process.
pub fn metrics() -> Result<Arc<Metrics>, CliError> {
    Metrics::new()
        .map(Arc::new)
        .map_err(|error| CliError::Machine { doing: "set metrics up".to_owned(), source: Box::new(error) })
}

/// The relay that makes records.
pub async fn recorder(
    project: &Project,
    store: &Store,
    me: WorkerId,
    metrics: &Arc<Metrics>,
) -> Result<Relay, CliError> {
    let records = records(project).await?;
    let sink = RecordsSink { records, metrics: metrics.clone(), prepared: tokio::sync::OnceCell::new() };
    Ok(Relay::new(store.clone(), Arc::new(sink), me))
}

/// Starts a relay for every sink that the settings name.
pub async fn relays(
    project: &Project,
    store: &Store,
    me: &WorkerId,
    metrics: &Arc<Metrics>,
) -> Result<Vec<Relay>, CliError> {
    let section = &project.config.events;
    let mut all = vec![recorder(project, store, me.clone(), metrics).await?];
    if let Some(kafka) = &section.kafka {
        let kafka = Kafka::new(kafka.config()).map_err(CliError::Kafka)?;
        all.push(Relay::new(store.clone(), Arc::new(kafka), me.clone()));
    }
    for hook in &section.webhooks {
        let hook = Webhook::new(hook.config()?, store.clock()).map_err(CliError::Webhook)?;
        all.push(Relay::new(store.clone(), Arc::new(hook), me.clone()));
    }
    Ok(all)
}

/// How things stand now; none if the state does not say.
async fn standing(store: &Store) -> Option<Standing> {
    let now = store.clock().now();
    let (counts, pulse, sinks) = tokio::try_join!(store.counts(), store.pulse(), store.sinks()).ok()?;
    let since = |at: Option<tidemill_dag::time::Timestamp>| at.map_or(0, |at| now.since(at).as_secs());
    Some(Standing {
        runs: counts.runs,
        tasks: counts.tasks,
        queues: counts.queues,
        oldest_ready: since(pulse.ready_since),
        overdue: since(pulse.overdue_since),
        behind: sinks.into_iter().map(|sink| (sink.name, u64::from(sink.behind))).collect(),
        lost_deliveries: counts.lost_deliveries,
    })
}

/// `/metrics`.
pub fn router(store: Store, metrics: Arc<Metrics>) -> Router {
    let text = move || {
        let (store, metrics) = (store.clone(), metrics.clone());
        async move {
            let standing = standing(&store).await;
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.text(standing.as_ref())).into_response()
        }
    };
    Router::new().route("/metrics", get(text))
}

/// `/metrics` and the signs of life, on an address of their own.
pub async fn show(
    project: &Project,
    store: &Store,
    metrics: &Arc<Metrics>,
    shutdown: &CancellationToken,
) -> Result<Option<JoinHandle<()>>, CliError> {
    let Some(address) = project.config.telemetry.address() else { return Ok(None) };
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|source| CliError::Listen { address: address.to_string(), source })?;
    let state = store.clone();
    let ready = move || {
        let state = state.clone();
        async move {
            match state.ping().await {
                Ok(_) => (StatusCode::OK, "ready\n"),
                Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the state database does not answer\n"),
            }
        }
    };
    let router = router(store.clone(), metrics.clone())
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready));
    let stopped = shutdown.clone();
    let served = axum::serve(listener, router).with_graceful_shutdown(async move { stopped.cancelled().await });
    Ok(Some(tokio::spawn(async move {
        if let Err(error) = served.await {
            tracing::warn!(%error, "metrics are shown no longer");
        }
    })))
}

/// What a process does for those outside, until it is told to stop.
pub struct Outside {
    /// The metrics of this process.
    pub metrics: Arc<Metrics>,
    tasks: Vec<JoinHandle<()>>,
}

impl Outside {
    /// Shows metrics where the settings say so and, with `relays`, tells events.
    pub async fn start(
        project: &Project,
        (store, me): (&Store, &WorkerId),
        relays: bool,
        shutdown: &CancellationToken,
    ) -> Result<Self, CliError> {
        let metrics = metrics()?;
        let mut tasks: Vec<JoinHandle<()>> = show(project, store, &metrics, shutdown).await?.into_iter().collect();
        if relays {
            let all = self::relays(project, store, me, &metrics).await?;
            tasks.extend(all.into_iter().map(|relay| tokio::spawn(relay.run(shutdown.clone()))));
        }
        Ok(Self { metrics, tasks })
    }

    /// Waits until what was begun is told.
    pub async fn stop(self) {
        for task in self.tasks {
            let _ = task.await;
        }
    }
}
