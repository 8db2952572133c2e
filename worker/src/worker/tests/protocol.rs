//! What the queue must survive.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use arrow::{
    array::{Int64Array, RecordBatch},
    datatypes::{DataType, Field, Schema},
};
use async_trait::async_trait;
use futures::StreamExt;
use tidemill_connectors::{
    BatchStream, CommitGuard, Connection, ConnectorError, LoadId, LoadRequest, Predicate, Pushdown, Receipt, Scan,
    SchemaSource, TableInfo,
};
use tidemill_dag::{
    id::{Attempt, Ordinal, RunId, TaskKey, Ticket, WorkerId},
    spec::Priority,
    state::RunState,
    time::Timestamp,
};
use tidemill_store::{DEFAULT_QUEUE, InProcess, Transport};
use tidemill_testkit::{Durability, Postgres};
use tokio::sync::Semaphore;

use super::bed::Bed;
use crate::WorkerConfig;

/// A system whose first load waits at a gate right before it would publish.
#[derive(Debug)]
struct Gate {
    open: Semaphore,
    at_gate: Semaphore,
    calls: AtomicUsize,
    published: Mutex<Vec<u32>>,
}

fn one_row() -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
    RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![1]))]).expect("a batch")
}

#[async_trait]
impl Connection for Gate {
    fn kind(&self) -> &'static str {
        "gate"
    }

    async fn tables(&self) -> Result<Vec<String>, ConnectorError> {
        Ok(vec!["t".to_owned()])
    }

    async fn describe(&self, table: &str) -> Result<TableInfo, ConnectorError> {
        let schema = one_row().schema();
        let name = table.to_owned();
        Ok(TableInfo { name, schema, rows: Some(1), source: SchemaSource::Explicit, hints: Vec::new() })
    }

    fn pushdown(&self, _: &str, _: &Predicate) -> Pushdown {
        Pushdown::None
    }

    async fn scan(&self, _: Scan) -> Result<Vec<BatchStream>, ConnectorError> {
        Ok(vec![Box::pin(futures::stream::iter([Ok(one_row())]))])
    }

    async fn load(
        &self,
        load: LoadRequest,
        mut rows: BatchStream,
        guard: &dyn CommitGuard,
    ) -> Result<Receipt, ConnectorError> {
        let mut count = 0;
        while let Some(batch) = rows.next().await {
            count += batch?.num_rows() as u64;
        }
        if self.calls.fetch_add(1, Ordering::SeqCst) == 0 {
            self.at_gate.add_permits(1);
            self.open.acquire().await.expect("an open gate").forget();
        }
        if !guard.may_commit().await {
            return Err(ConnectorError::NotCurrent { table: load.table, load: load.load_id.0 });
        }
        self.published.lock().expect("a lock").push(load.fence.0);
        Ok(Receipt { rows: count, bytes: 0, places: Vec::new(), already: false })
    }

    async fn find_load(&self, _: &str, _: &LoadId) -> Result<Option<Receipt>, ConnectorError> {
        Ok(None)
    }
}

fn gate(bed: &mut Bed) -> Arc<Gate> {
    let gate = Arc::new(Gate {
        open: Semaphore::new(0),
        at_gate: Semaphore::new(0),
        calls: AtomicUsize::new(0),
        published: Mutex::default(),
    });
    bed.wiring.connections.0.insert("gate".to_owned(), gate.clone());
    gate
}

const THROUGH_THE_GATE: &str = "
pipeline: z
tasks:
  rows: {extract: {connection: gate, table: t}}
  put: {load: {input: rows, connection: gate, table: t}}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_load_waits_for_a_database_that_is_away() {
    let postgres = Postgres::start(Durability::Lost).expect("a PostgreSQL");
    let url = postgres.fresh().await.expect("a database");
    let mut bed = Bed::over(InProcess::new(), Some(url)).await;
    let gate = gate(&mut bed);
    let worker = bed.start(WorkerConfig { lease: Duration::from_secs(300), ..bed.config("w") });
    let run = bed.create(THROUGH_THE_GATE).await;
    gate.at_gate.acquire().await.expect("the load stands at the gate").forget();
    postgres.stop();
    gate.open.add_permits(1);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(gate.published.lock().expect("a lock").is_empty(), "nobody can say that it may");
    postgres.again().expect("it comes back");
    let since = Instant::now();
    // The bed's own questions meet the connections that broke.
    while !bed.store.run(run).await.is_ok_and(|record| record.state.is_finished()) {
        assert!(since.elapsed() < Duration::from_secs(60), "the run does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(bed.store.run(run).await.expect("the run").state, RunState::Succeeded);
    assert_eq!(*gate.published.lock().expect("a lock"), [1], "the first attempt published");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_neither_publishes_nor_reports() {
    let mut bed = Bed::new().await;
    let gate = gate(&mut bed);
    // Its heartbeat is so slow that it learns nothing while this test runs.
    let lease = Duration::from_secs(300);
    let zombie = bed.start(WorkerConfig { lease, ..bed.config("zombie") });
    let run = bed.create(THROUGH_THE_GATE).await;
    gate.at_gate.acquire().await.expect("the zombie stands at the gate").forget();
    assert_eq!(bed.store.expire_owner(&WorkerId("zombie".to_owned())).await.expect("an end"), 1);
    let heir = bed.worker("heir");
    // Either may take the ticket; both go on with attempt 2.
    assert_eq!(bed.finished(run).await.state, RunState::Succeeded);
    gate.open.add_permits(1);
    zombie.stop().await;
    heir.stop().await;
    assert_eq!(*gate.published.lock().expect("a lock"), [2], "only the second attempt published");
    let tasks = bed.store.tasks(run).await.expect("tasks");
    assert_eq!((tasks[0].attempt.0, tasks[0].crashes), (2, 1));
    assert_eq!(
        bed.store.run(run).await.expect("the run").state,
        RunState::Succeeded,
        "the late report changed nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_stops_its_processes() {
    let bed = Bed::new().await;
    let worker = bed.start(WorkerConfig { lease: Duration::from_millis(600), ..bed.config("w") });
    let run = bed
        .create("pipeline: c\ntasks: {x: {shell: {command: \"sleep 1000 & echo $! > pid.tmp; mv pid.tmp pid; wait\"}}}")
        .await;
    let told = bed.folder.path().join("pid");
    crate::tests::eventually("the process starts", || told.exists()).await;
    let pid: i32 = std::fs::read_to_string(&told).expect("a pid").trim().parse().expect("a number");
    bed.store.cancel_run(run, "test").await.expect("a cancelled run");
    crate::tests::eventually("the grandchild dies", || !crate::tests::alive(pid)).await;
    worker.stop().await;
    assert_eq!(bed.store.run(run).await.expect("the run").state, RunState::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_shuts_down_gives_back_what_it_cannot_finish() {
    let bed = Bed::new().await;
    let first = bed.start(WorkerConfig { drain: Duration::from_millis(50), ..bed.config("first") });
    let run = bed
        .create("pipeline: d\ntasks: {x: {shell: {command: \"test -e seen && exit 0; touch seen; sleep 1000\"}}}")
        .await;
    let seen = bed.folder.path().join("seen");
    crate::tests::eventually("the task starts", || seen.exists()).await;
    first.stop().await;
    let second = bed.worker("second");
    assert_eq!(bed.finished(run).await.state, RunState::Succeeded);
    second.stop().await;
    let task = &bed.store.tasks(run).await.expect("tasks")[0];
    assert_eq!((task.failures, task.crashes), (0, 0), "to be given back is no fault of the task");
}

/// Ten independent tasks that each write a line.
fn ten() -> String {
    let task = |index| format!("  t{index}: {{shell: {{command: \"echo {index} >> lines\"}}}}\n");
    format!("pipeline: ten\ntasks:\n{}", (0..10).map(task).collect::<String>())
}

fn lines(bed: &Bed) -> usize {
    std::fs::read_to_string(bed.folder.path().join("lines")).expect("lines").lines().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicate_and_stale_tickets_do_no_harm() {
    let bed = Bed::new().await;
    let run = bed.create(&ten()).await;
    let ticket =
        |ordinal, attempt| Ticket { task: TaskKey { run, ordinal: Ordinal(ordinal) }, attempt: Attempt(attempt) };
    let wrong: Vec<Ticket> = (0..20).flat_map(|ordinal| [0, 2, 7].map(|attempt| ticket(ordinal, attempt))).collect();
    bed.transport.publish(DEFAULT_QUEUE, Priority::High, &wrong).await.expect("sent");
    let workers = [bed.worker("a"), bed.worker("b")];
    for _ in 0..20 {
        let again: Vec<Ticket> = (0..10).map(|ordinal| ticket(ordinal, 1)).collect();
        bed.transport.publish(DEFAULT_QUEUE, Priority::Low, &again).await.expect("sent");
        tokio::task::yield_now().await;
    }
    assert_eq!(bed.finished(run).await.state, RunState::Succeeded);
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(lines(&bed), 10, "each ran once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flushed_queue_costs_one_sweep() {
    let bed = Bed::new().await;
    let run = bed.create(&ten()).await;
    bed.transport.clear();
    let worker = bed.worker("w");
    assert_eq!(bed.finished(run).await.state, RunState::Succeeded);
    worker.stop().await;
    assert_eq!(lines(&bed), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_waiting_tickets_do_not_hold_up_urgent_ones() {
    let bed = Bed::with(InProcess::with_capacity(200_000)).await;
    let nowhere = RunId::from_parts(Timestamp::from_millis(5), 99 << 64);
    let many: Vec<Ticket> = (0..100_000)
        .map(|ordinal| Ticket { task: TaskKey { run: nowhere, ordinal: Ordinal(ordinal) }, attempt: Attempt(1) })
        .collect();
    bed.transport.publish(DEFAULT_QUEUE, Priority::Normal, &many).await.expect("sent");
    let worker = bed.start(WorkerConfig { slots: 64, ..bed.config("w") });
    let start = Instant::now();
    let run = bed.create("pipeline: u\ntasks: {x: {wait: {for: 0s}, priority: high}}").await;
    assert_eq!(bed.finished(run).await.state, RunState::Succeeded);
    println!("timed: one urgent task before {} waiting tickets: {:?}", bed.transport.len(), start.elapsed());
    assert!(!bed.transport.is_empty(), "it came before the others");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_may_go_away_for_a_while() {
    let bed = Bed::new().await;
    let worker = bed.worker("w");
    // Ends while the database is locked, so that its result has to be kept.
    let run = bed.create("pipeline: away\ntasks: {x: {shell: {command: \"touch begun; while ! test -e locked; do sleep 0.01; done\"}}, y: {shell: {command: \"true\"}, needs: [x]}}").await;
    let begun = bed.folder.path().join("begun");
    crate::tests::eventually("the task begins", || begun.exists()).await;
    let code = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\nc.execute('PRAGMA busy_timeout = 10000')\nc.execute('BEGIN EXCLUSIVE')\nprint('locked', flush=True)\nsys.stdin.readline()";
    let mut locker = Command::new("python3")
        .args(["-c", code])
        .arg(bed.folder.path().join("state.db"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python");
    let mut said = String::new();
    BufReader::new(locker.stdout.take().expect("a pipe")).read_line(&mut said).expect("a line");
    assert_eq!(said.trim(), "locked");
    bed.file("locked", "");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    locker.stdin.take().expect("a pipe").write_all(b"\n").expect("told");
    locker.wait().expect("an end");
    assert_eq!(bed.finished(run).await.state, RunState::Succeeded);
    let tasks = bed.store.tasks(run).await.expect("tasks");
    assert_eq!((tasks[0].attempt.0, tasks[1].attempt.0), (1, 1), "nothing ran twice");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_whose_answer_was_lost_is_given_back() {
    let bed = Bed::new().await;
    let run = bed
        .create(
            r#"
pipeline: lost
tasks:
  waits: {shell: {command: "while ! test -e go; do sleep 0.01; done"}}
  frees: {shell: {command: "touch go"}}
"#,
        )
        .await;
    let tickets = bed.transport.take(&[DEFAULT_QUEUE.to_owned()], 2).await.expect("two tickets");
    let (heard, lost): (Vec<_>, Vec<_>) = tickets.into_iter().partition(|ticket| ticket.task.ordinal == Ordinal(0));
    // Claimed in the worker's name, but it never hears of it; what it does hear of keeps its heart beating.
    let claimed = bed.store.claim(&lost, &WorkerId("w".to_owned()), Duration::from_secs(300)).await.expect("a claim");
    assert_eq!(claimed.len(), 1);
    bed.transport.publish(DEFAULT_QUEUE, Priority::Normal, &heard).await.expect("sent");
    let worker = bed.start(WorkerConfig { lease: Duration::from_millis(600), ..bed.config("w") });
    assert_eq!(bed.finished(run).await.state, RunState::Succeeded);
    worker.stop().await;
    let tasks = bed.store.tasks(run).await.expect("tasks");
    assert_eq!((tasks[1].attempt.0, tasks[1].crashes), (2, 0), "nobody is to blame");
}
