//! Runs of small pipelines, asked for through the API.

use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection};
use tidemill_stories::cluster::Part;
use tokio::runtime::Handle;

use super::memory::Sample;
use crate::Outcome;

/// How many pipelines of each shape: loads of one table wait for each other, and a table remembers its loads.
const COPIES: u64 = 8;

/// What they are made of: waits, a program, items, data sets, loads.
const SHAPES: [&str; 4] = [
    "
  a: {wait: {for: 0s}}
  b: {wait: {for: 0s}, needs: [a]}
  c: {wait: {for: 50ms}, needs: [b]}
",
    "
  item: {wait: {for: 0s}, for_each: [1, 2, 3, 4, 5, 6, 7, 8], max_parallel: 4}
  after: {wait: {for: 0s}, needs: [item]}
",
    "
  said: {shell: {command: 'echo said'}}
  after: {wait: {for: 0s}, needs: [said]}
",
    "
  rows: {sql: 'SELECT 1 AS n, 2 AS m UNION ALL SELECT 3, 4', materialize: dataset}
  sum: {sql: 'SELECT sum(n) AS n FROM rows', materialize: dataset}
  load: {load: {input: sum, connection: out, table: TABLE, mode: replace}}
",
];

/// After the last run was asked for, all must have ended so long after.
const PATIENCE: Duration = Duration::from_secs(120);

/// Saves the definitions.
pub fn apply(server: &Part) -> Outcome<()> {
    for name in (0..SHAPES.len() as u64 * COPIES).map(name) {
        let shape = SHAPES[name.1].replace("TABLE", &name.0);
        let text = format!("pipeline: {}\nconcurrency: {{max_runs: 100000, on_overlap: allow}}\ntasks:{shape}", name.0);
        let path = format!("/api/v1/pipelines/{}", name.0);
        let (status, answer) = server.http("PUT", &path, &["Content-Type: application/yaml"], &text);
        if !matches!(status, 200..=201) {
            return Err(format!("{status}: {answer}").into());
        }
    }
    Ok(())
}

/// The pipeline of the n-th run, and its shape.
fn name(n: u64) -> (String, usize) {
    let shapes = SHAPES.len() as u64;
    let shape = n % shapes;
    (format!("soak_{shape}_{}", n / shapes % COPIES), usize::try_from(shape).unwrap_or(0))
}

/// Runs that were asked for, and a look at what became of them.
pub struct Work {
    session: PgConnection,
    asked: u64,
}

impl Work {
    /// Looks into this database.
    pub async fn over(url: &str) -> Outcome<Self> {
        Ok(Self { session: PgConnection::connect(url).await?, asked: 0 })
    }

    /// Asks for one more run; looks at an earlier one, as people do.
    fn ask(&mut self, server: &Part) -> Outcome<()> {
        let path = format!("/api/v1/pipelines/{}/runs", name(self.asked).0);
        let (status, run) = server.http("POST", &path, &["Content-Type: application/json"], "{\"params\": {}}");
        if !matches!(status, 200..=202) {
            return Err(format!("a run is refused, {status}: {run}").into());
        }
        self.asked += 1;
        let id = run["id"].as_str().ok_or("a run has no id")?;
        let looks = [format!("/api/v1/runs/{id}"), format!("/api/v1/runs/{id}/explain"), "/api/v1/runs".to_owned()];
        let (status, answer) = server.http("GET", &looks[(self.asked % 3) as usize], &[], "");
        if status != 200 {
            return Err(format!("no look at a run, {status}: {answer}").into());
        }
        Ok(())
    }

    /// Keeps so many runs under way until the time is over; runs that ended per second.
    pub fn crowd(&mut self, runtime: &Handle, server: &Part, crowd: u64, end: Instant) -> Outcome<f64> {
        let began = Instant::now();
        while Instant::now() < end {
            let ended = runtime.block_on(self.succeeded())?;
            for _ in self.asked - ended..crowd {
                self.ask(server)?;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(runtime.block_on(self.succeeded())? as f64 / began.elapsed().as_secs_f64())
    }

    /// Asks for so many runs per second until the time is over.
    pub fn steady(
        &mut self,
        runtime: &Handle,
        server: &Part,
        rate: f64,
        end: Instant,
        memory: &mut Sample,
    ) -> Outcome<()> {
        let pause = Duration::from_secs_f64(1.0 / rate.max(0.1));
        let mut next = Instant::now();
        let mut told = Instant::now();
        while Instant::now() < end {
            self.ask(server)?;
            memory.look()?;
            if told.elapsed() > Duration::from_secs(60) {
                told = Instant::now();
                let ended = runtime.block_on(self.succeeded())?;
                let left = end.saturating_duration_since(told).as_secs();
                eprintln!("{ended} runs have ended, {} are under way, {left} s to go", self.asked - ended);
            }
            next += pause;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        Ok(())
    }

    /// Runs that succeeded; an error if one came out otherwise.
    pub async fn succeeded(&mut self) -> Outcome<u64> {
        const COUNT: &str = "SELECT count(*) FILTER (WHERE state = 'succeeded'), \
                             count(*) FILTER (WHERE state IN ('failed', 'cancelled')) FROM runs";
        let (good, bad): (i64, i64) = sqlx::query_as(COUNT).fetch_one(&mut self.session).await?;
        if bad > 0 {
            return Err(format!("{bad} runs failed").into());
        }
        Ok(u64::try_from(good)?)
    }

    /// Waits until every run has ended.
    pub async fn settled(&mut self) -> Outcome<()> {
        let since = Instant::now();
        while self.succeeded().await? < self.asked {
            if since.elapsed() > PATIENCE {
                return Err("runs do not end".into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}
