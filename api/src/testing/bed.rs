//! A project in a folder, its state, and the API over it.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tidemill_connectors::{ConnectionConfig, Connections, Folders};
use tidemill_dag::approval::Question;
use tidemill_dag::backfill::{BackfillEvent, Reprocess};
use tidemill_dag::id::{Ordinal, RunId, TaskKey, WorkerId};
use tidemill_dag::spec::{Defaults, OnExpiry};
use tidemill_dag::time::Clock;
use tidemill_engine::{DatasetFiles, DatasetWriter, Engine, EngineConfig, Manifest, Rows};
use tidemill_store::blobs::{BlobWriter, Blobs, Folder};
use tidemill_store::{
    Claimed, InProcess, LetterKind, LogLine, LogStream, NewLetter, NewPool, Outcome, Report, Store, TaskFailure,
    Transport as _, TriggerKind,
};
use tidemill_testkit::{ManualClock, SeededChance};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::example;
use crate::auth::{self, Access, Role};
use crate::backfill::{self, BackfillOrder};
use crate::start::{self, Order};
use crate::{Api, Health, Settings, Workbench, definitions};

/// Revenue per country.
pub(crate) const REVENUE: &str = "pipeline: revenue
triggers: [{cron: \"0 6 * * *\"}]
tasks:
  orders: {extract: {connection: data, table: orders}}
  per_country:
    sql: SELECT country, sum(total) AS revenue FROM orders GROUP BY country
  publish: {load: {input: per_country, connection: out, table: revenue}}
";

const SUMS: &str = "pipeline: sums
params: {least: {type: integer, default: 1}}
tasks:
  first: {shell: {command: \"echo\"}, retries: 3}
  second: {shell: {command: \"true\"}, needs: [first]}
";

const ASKS: &str = "pipeline: asks
tasks:
  anybody: {approval: {message: may it?}}
  somebody: {approval: {message: may it?, approvers: [ann]}}
";

const HOOKED: &str = "pipeline: hooked
triggers: [{name: in, webhook: {preset: github, secret: \"${file:SECRET}\"}}]
tasks:
  first: {shell: {command: \"true\"}}
";

/// The bed.
pub(crate) struct Bed {
    pub api: Api,
    pub clock: ManualClock,
    /// Tokens of the three roles, in their order.
    pub tokens: [String; 3],
    /// A run that is under way, with a line printed; one that has ended well; one that was stopped.
    pub runs: [RunId; 3],
    /// What anybody is asked, and what somebody else is.
    pub asked: [String; 2],
    transport: Arc<InProcess>,
    router: Router,
    folder: TempDir,
}

/// What the API answered.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Bed {
    /// With tokens, as a server has it.
    pub async fn new() -> Self {
        Self::with(Settings { access: Access::Tokens, ..Settings::default() }).await
    }

    pub async fn with(settings: Settings) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        std::fs::create_dir(root.join("data")).expect("made");
        std::fs::write(root.join("data/orders.csv"), "id,country,total\n1,de,10\n2,fr,20\n3,de,5\n").expect("written");
        let clock = ManualClock::default();
        let chance = Arc::new(SeededChance::new(7));
        let transport = Arc::new(InProcess::new());
        let url = format!("sqlite:{}", root.join("state.db").display());
        let store = Store::open(&url, Arc::new(clock.clone()), chance.clone(), transport.clone());
        let store = store.await.expect("a store");
        let blobs: Arc<dyn Blobs> = Arc::new(Folder::open(&root.join("blobs")).await.expect("a folder"));
        let workbench = Arc::new(workbench(root));
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let api = Api {
            health: Arc::new(Health::new(&store, &blobs, &shared)),
            store,
            workbench,
            blobs,
            clock: shared,
            chance,
            bell: Arc::new(Notify::new()),
            settings,
            stopping: CancellationToken::new(),
        };
        let tokens = [token(&api, Role::Read).await, token(&api, Role::Run).await, token(&api, Role::Admin).await];
        let router = crate::router(api.clone());
        let nobody = RunId(uuid::Uuid::nil());
        let (runs, asked) = ([nobody; 3], [String::new(), String::new()]);
        let mut bed = Self { api, clock, tokens, runs, asked, transport, router, folder };
        bed.fill().await;
        bed
    }

    /// Two versions of `revenue`, the second active; `sums`, and three runs of it; questions, a pool, backfills, dead letters.
    async fn fill(&mut self) {
        let older = REVENUE.replace("sum(total)", "max(total)");
        let secret = self.folder.path().join("secret");
        std::fs::write(&secret, "hush").expect("written");
        let hooked = HOOKED.replace("SECRET", &secret.display().to_string());
        for text in [older.as_str(), REVENUE, SUMS, ASKS, &hooked] {
            let checked = self.api.workbench.check(text.as_bytes()).await.expect("a sound definition");
            let origin = json!({"from": "test"});
            definitions::apply(&self.api.store, &checked, origin).await.expect("applied");
        }
        let done = self.run().await;
        self.work(Ok(json!({"result": null}))).await;
        let manifest = self.data_set().await;
        self.work(Ok(json!({"manifest": manifest}))).await;
        let stopped = self.run().await;
        self.api.store.cancel_run(stopped, "for the test").await.expect("cancelled");
        self.drain().await;
        let under_way = self.run().await;
        let failure = TaskFailure { code: "TM0701".into(), message: "no".into(), help: None, retryable: true };
        self.work(Err(failure)).await;
        self.runs = [under_way, done, stopped];
        self.question().await;
        self.limit().await;
        for (kind, whole) in [(LetterKind::Refused, true), (LetterKind::Failed, false)] {
            let letter = NewLetter {
                pipeline: "hooked".to_owned(),
                hook: "in".to_owned(),
                kind,
                code: "TM1201".to_owned(),
                reason: "for the test".to_owned(),
                headers: json!({"x-github-delivery": "a"}),
                body: "{}".to_owned(),
                body_bytes: 2,
                whole,
            };
            self.api.store.bury(&letter).await.expect("kept");
        }
    }

    /// Two questions: to anybody, and to `ann`.
    async fn question(&mut self) {
        let worker = WorkerId("w".to_owned());
        self.drain().await;
        let run = self.run_of("asks").await;
        let claimed = self.api.store.claim(&self.drain().await, &worker, Duration::from_secs(30)).await;
        for Claimed { ticket, name, .. } in claimed.expect("claimed") {
            let question = Question {
                message: "may it?".to_owned(),
                subject: json!({}),
                approvers: if name == "somebody" { vec!["ann".to_owned()] } else { Vec::new() },
                required: 2,
                excluded: None,
                expires_at: self.clock.now().after(Duration::from_secs(3_600)),
                on_expiry: OnExpiry::Fail,
            };
            let outcome = Outcome::Asked { question: Box::new(question) };
            let report = Report { ticket, owner: worker.clone(), outcome, run_next: None };
            assert!(self.api.store.complete(report).await.expect("a verdict").accepted);
        }
        let key = |ordinal| TaskKey { run, ordinal: Ordinal(ordinal) }.to_string();
        self.asked = [key(0), key(1)];
    }

    /// A pool; a backfill, and one that was cancelled.
    async fn limit(&self) {
        let pool = NewPool { name: "gpu".to_owned(), slots: 2, description: None };
        self.api.store.set_pool(&pool).await.expect("a pool");
        let names = self.api.workbench.names();
        for id in ["bf_1", "bf_2"] {
            let order = BackfillOrder {
                pipeline: "revenue".to_owned(),
                from: "2026-02-01".to_owned(),
                to: "2026-02-08".to_owned(),
                every: None,
                newest_first: false,
                parallel: 2,
                reprocess: Reprocess::None,
                params: serde_json::Map::new(),
            };
            let new = backfill::plan(&self.api.store, &names, order, (id.to_owned(), None)).await.expect("a plan");
            self.api.store.create_backfill(&new).await.expect("a backfill");
        }
        self.api.store.move_backfill("bf_2", BackfillEvent::Cancel).await.expect("cancelled");
    }

    async fn run(&self) -> RunId {
        self.run_of("sums").await
    }

    async fn run_of(&self, pipeline: &str) -> RunId {
        let compiled =
            start::active(&self.api.store, pipeline, &self.api.workbench.names()).await.expect("it is active");
        let order = Order {
            trigger: TriggerKind::Manual,
            key: None,
            data: Value::Null,
            by: None,
            params: serde_json::Map::new(),
        };
        let created = start::start(&self.api.store, &compiled, order, (&*self.api.clock, &*self.api.chance));
        self.clock.advance(Duration::from_millis(10));
        created.await.expect("a run").run
    }

    async fn drain(&self) -> Vec<tidemill_dag::id::Ticket> {
        let mut all = Vec::new();
        while !self.transport.is_empty() {
            all.extend(self.transport.take(&["default".to_owned()], 100).await.expect("tickets"));
        }
        all
    }

    /// Takes what is ready, prints a line, and ends it.
    async fn work(&self, ends: Result<Value, TaskFailure>) {
        let worker = WorkerId("w".to_owned());
        let lease = Duration::from_secs(30);
        let claimed = self.api.store.claim(&self.drain().await, &worker, lease).await.expect("claimed");
        for Claimed { ticket, .. } in claimed {
            let line = LogLine {
                task: ticket.task,
                attempt: ticket.attempt,
                seq: 1,
                at: self.clock.now(),
                stream: LogStream::Stdout,
                text: "a line".to_owned(),
            };
            self.api.store.append_logs(&[line]).await.expect("stored");
            let outcome = match ends.clone() {
                Ok(output) => Outcome::Succeeded { output },
                Err(error) => Outcome::Failed { error },
            };
            let report = Report { ticket, owner: worker.clone(), outcome, run_next: None };
            self.api.store.complete(report).await.expect("a verdict");
        }
    }

    /// A data set, as a task writes it.
    async fn data_set(&self) -> Manifest {
        let n: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
        let name: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
        let batch = RecordBatch::try_from_iter([("n", n), ("name", name)]).expect("a batch");
        let rows = Rows::from_batches(batch.schema(), vec![batch]);
        let files = Arc::new(Writable(self.api.blobs.clone()));
        self.api.workbench.engine.write_dataset(rows, files, "runs/r/t/1/rows").await.expect("a data set")
    }

    /// The path with the runs of this bed.
    pub fn path(&self, path: &str) -> String {
        let names = ["{run}", "{done}", "{stopped}"];
        let path = path.replace("{approval}", &self.asked[0]).replace("{asked}", &self.asked[1]);
        names.iter().zip(self.runs).fold(path, |path, (name, run)| path.replace(name, &run.to_string()))
    }

    /// Sends a request with a token, if any.
    pub async fn send(&self, request: &example::Request, token: Option<&str>) -> Answer {
        let mut built = Request::builder().method(request.method).uri(self.path(&request.path));
        built = request.headers.iter().fold(built, |built, (name, value)| built.header(name, value));
        if let Some(token) = token {
            built = built.header("authorization", format!("Bearer {token}"));
        }
        let body = Body::from(request.body.clone().unwrap_or_default());
        let request = built.body(body).expect("a request");
        let answer = self.router.clone().oneshot(request).await.expect("an answer");
        let (head, body) = answer.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes().to_vec();
        Answer { status: head.status, headers: head.headers, bytes }
    }

    /// Sends a request as an admin.
    pub async fn ask(&self, method: &'static str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Answer {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request = example::Request { method, path: path.to_owned(), headers, body: body.map(str::to_owned) };
        self.send(&request, Some(&self.tokens[2])).await
    }

    /// What a GET of an admin gives.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, &[], None).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", String::from_utf8_lossy(&answer.bytes));
        answer.json()
    }
}

/// Blobs as tasks write data sets.
#[derive(Debug)]
struct Writable(Arc<dyn Blobs>);

struct Writing(Box<dyn BlobWriter>);

#[async_trait]
impl DatasetFiles for Writable {
    async fn writer(&self, path: &str) -> io::Result<Box<dyn DatasetWriter>> {
        Ok(Box::new(Writing(self.0.writer(path).await.map_err(io::Error::other)?)))
    }

    async fn read_range(&self, path: &str, range: Range<u64>) -> io::Result<Bytes> {
        self.0.read_range(path, range).await.map_err(io::Error::other)
    }

    async fn size(&self, path: &str) -> io::Result<u64> {
        self.0.size(path).await.map_err(io::Error::other)
    }
}

#[async_trait]
impl DatasetWriter for Writing {
    async fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        self.0.write(bytes).await.map_err(io::Error::other)
    }

    async fn finish(self: Box<Self>) -> io::Result<()> {
        self.0.finish().await.map(drop).map_err(io::Error::other)
    }
}

async fn token(api: &Api, role: Role) -> String {
    let made = auth::create(&api.store, (role.name(), role), None, (&*api.clock, &*api.chance)).await;
    made.expect("a token").0.reveal()
}

fn workbench(root: &std::path::Path) -> Workbench {
    let files = |path: &str| -> ConnectionConfig {
        serde_json::from_value(json!({"kind": "files", "path": path})).expect("a connection")
    };
    let configs = [("data".to_owned(), files("data")), ("out".to_owned(), files("out"))].into();
    let folders = Folders { base: root.to_owned(), state: None };
    let connections = Connections::open(&configs, &folders).expect("connections");
    let engine = Engine::new(EngineConfig::new(root.join("spill"))).expect("an engine");
    Workbench { connections, calendars: Default::default(), defaults: Defaults::default(), pools: None, engine }
}
