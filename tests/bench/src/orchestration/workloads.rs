//! W1 to W5.

use std::{fmt::Write as _, path::Path, time::Instant};

use tidemill_dag::{compile::Compiled, time::Clock};
use tokio::task::JoinSet;

use super::{floors, fresh};
use crate::{Options, Outcome, ground::Ground, site::Site, table::Line};

/// What carries a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// A warm Python host.
    Host,
    /// A fresh process.
    Process,
    /// The worker itself: `wait` for nothing.
    NoOp,
}

impl Body {
    const ALL: [Self; 3] = [Self::Host, Self::Process, Self::NoOp];

    const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Process => "process",
            Self::NoOp => "no-op",
        }
    }

    /// Its name as part of a pipeline's.
    fn word(self) -> String {
        self.name().replace('-', "_")
    }

    /// The kind, as YAML; `n` is what `fibo` gets, below zero it computes nothing.
    fn kind(self, n: i32, python: &Path) -> String {
        match self {
            Self::NoOp => NO_OP.to_owned(),
            Self::Process => process(&floors::code(n), python),
            Self::Host if n < 0 => host("def run():\n    return None\n"),
            Self::Host => host(&format!(
                "def fibo(n):\n    return n if n < 2 else fibo(n - 1) + fibo(n - 2)\n\ndef run():\n    return fibo({n})\n"
            )),
        }
    }

    /// A task that gives the moment at which its own code ran, where it has code.
    fn watch(self, python: &Path) -> String {
        match self {
            Self::NoOp => NO_OP.to_owned(),
            Self::Process => process(
                "import json, os, time\nat = time.time()\nopen(os.environ['TIDEMILL_RESULT'], 'w').write(json.dumps({'at': at}))",
                python,
            ),
            Self::Host => host("import time\n\ndef run():\n    return {'at': time.time()}\n"),
        }
    }
}

const NO_OP: &str = "wait: {for: 0s}";

/// JSON is YAML too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn host(code: &str) -> String {
    format!("python: {{code: {}}}", quoted(code))
}

fn process(code: &str, python: &Path) -> String {
    format!("shell: {{command: [{}, \"-c\", {}]}}", quoted(&python.to_string_lossy()), quoted(code))
}

/// A pipeline of a chain of so many tasks.
fn chain(name: &str, tasks: usize, kind: &str) -> String {
    let mut text = head(name);
    for n in 0..tasks {
        let needs = if n == 0 { String::new() } else { format!(", needs: [t{}]", n - 1) };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  t{n}: {{{kind}{needs}}}");
    }
    text
}

/// So many tasks side by side, then one that waits for all.
fn fan(name: &str, tasks: usize, kind: &str) -> String {
    let mut text = head(name);
    for n in 0..tasks {
        let _ = writeln!(text, "  t{n}: {{{kind}}}");
    }
    let all: Vec<String> = (0..tasks).map(|n| format!("t{n}")).collect();
    let _ = writeln!(text, "  join: {{{kind}, needs: [{}]}}", all.join(", "));
    text
}

fn head(name: &str) -> String {
    format!("pipeline: {name}\nconcurrency: {{max_runs: 1000}}\ntasks:\n")
}

/// The tasks of a workload as one number each: for the floors.
struct Load {
    id: &'static str,
    what: &'static str,
    tasks: usize,
    n: i32,
    at_once: usize,
    goals: [&'static str; 2],
    peers: &'static str,
}

const CHAINS: [Load; 2] = [
    Load {
        id: "W1",
        what: "40 light tasks in a chain, fibo(10)",
        tasks: 40,
        n: 10,
        at_once: 1,
        goals: ["0.06", "0.45"],
        peers: "Celery 0.061, Restate 0.064, DBOS 0.088, Temporal 1.88, Prefect 2.4, Airflow 7.4",
    },
    Load {
        id: "W2",
        what: "10 long tasks in a chain, fibo(33)",
        tasks: 10,
        n: 33,
        at_once: 1,
        goals: ["2.75", "2.9"],
        peers: "Restate 2.77, Celery 2.82, Temporal 2.89, DBOS 3.01, Airflow 4.35",
    },
];

const FAN: Load = Load {
    id: "W3",
    what: "200 no-op tasks side by side, then a join",
    tasks: 201,
    n: -1,
    at_once: 2,
    goals: ["0.06", "1.0"],
    peers: "Restate 0.058, Celery 0.36, Temporal 0.83, DBOS 1.63, Prefect 3.2, Airflow 18.9",
};

const CROWD: Load = Load {
    id: "W5",
    what: "50 runs of a 5-task chain at once",
    tasks: 250,
    n: -1,
    at_once: 2,
    goals: ["0.20", "1.3"],
    peers: "Restate 0.22, Celery 0.26, DBOS 0.63, Temporal 3.3, Airflow 32.6",
};

const CROWD_RUNS: usize = 50;
/// Measured latencies of W4.
const STARTS: usize = 40;

/// W1 to W5, as far as they are wanted.
pub async fn measure(options: &Options, ground: &Ground) -> Outcome<Vec<Line>> {
    let mut lines = Vec::new();
    if !["W1", "W2", "W3", "W4", "W5"].iter().any(|id| options.wants(id)) {
        return Ok(lines);
    }
    let folder = fresh(options)?;
    let site = Site::open(ground, folder.path(), None, &options.python).await?;
    for body in Body::ALL {
        for load in CHAINS.iter().filter(|load| options.wants(load.id) && body != Body::NoOp) {
            let name = format!("{}_{}", load.id.to_lowercase(), body.word());
            let text = chain(&name, load.tasks, &body.kind(load.n, &options.python));
            lines.push(repeat(options, &site, load, body, &site.save(&text).await?).await?);
        }
        let kind = body.kind(-1, &options.python);
        if options.wants(FAN.id) {
            let text = fan(&format!("w3_{}", body.word()), FAN.tasks - 1, &kind);
            lines.push(repeat(options, &site, &FAN, body, &site.save(&text).await?).await?);
        }
        if options.wants("W4") {
            let text = chain(&format!("w4_{}", body.word()), 1, &body.watch(&options.python));
            lines.push(starts(options, &site, body, &site.save(&text).await?).await?);
        }
        if options.wants(CROWD.id) {
            let text = chain(&format!("w5_{}", body.word()), 5, &kind);
            lines.push(crowd(options, &site, body, &site.save(&text).await?).await?);
        }
    }
    site.close().await?;
    lines.sort_by_key(|line| line.id);
    Ok(lines)
}

/// Processes take their time, and vary less.
fn rounds(options: &Options, body: Body) -> usize {
    match body {
        Body::Process => options.rounds.min(3),
        Body::Host | Body::NoOp => options.rounds,
    }
}

/// A workload's line with its floors, taken right after it.
fn line(options: &Options, load: &Load, body: Body, samples: &[f64]) -> Outcome<Line> {
    let folder = fresh(options)?;
    let line = Line::new(load.id, format!("{} ({})", load.what, body.name()), "s", samples);
    let (name, value, goal) = match body {
        Body::Process => {
            ("process each", floors::processes(&options.python, load.tasks, load.n, load.at_once)?, load.goals[1])
        }
        Body::Host | Body::NoOp => {
            ("fdatasync each", floors::flushed(&options.python, folder.path(), load.tasks, load.n)?, load.goals[0])
        }
    };
    Ok(line.floor(name, value).beside(goal, load.peers))
}

async fn repeat(options: &Options, site: &Site, load: &Load, body: Body, compiled: &Compiled) -> Outcome<Line> {
    site.run(compiled).await?;
    let mut samples = Vec::new();
    for _ in 0..rounds(options, body) {
        let begun = Instant::now();
        site.run(compiled).await?;
        samples.push(begun.elapsed().as_secs_f64());
    }
    line(options, load, body, &samples)
}

/// From the call that triggers a run to the first instant of its task's own code, with nothing else
/// going on; a no-op has no code, so there it is the claim.
async fn starts(options: &Options, site: &Site, body: Body, compiled: &Compiled) -> Outcome<Line> {
    let mut samples = Vec::new();
    site.run(compiled).await?;
    for _ in 0..STARTS {
        let asked = site.ambient.now();
        let run = site.run(compiled).await?;
        let tasks = site.store.tasks(run.id).await?;
        let task = tasks.first().ok_or("a run without tasks")?;
        let told = task.output.as_ref().and_then(|output| output["result"]["at"].as_f64());
        let claimed = task.started_at.map(|at| at.0 as f64 / 1e6);
        let begun = if body == Body::NoOp { claimed } else { told };
        samples.push((begun.ok_or("the task does not say when it ran")? - asked.0 as f64 / 1e6) * 1e3);
    }
    let what = if body == Body::NoOp { "the claim of" } else { "the first instant inside" };
    let line = Line::new("W4", format!("trigger to {what} a task, idle ({})", body.name()), "ms", &samples);
    let peers = "Celery 2.4, DBOS 4.9, Restate 5.7, Temporal 15, Airflow 164, Prefect 2314";
    Ok(match body {
        Body::Process => line.floor("a process's first word", floors::first_word(&options.python)?).beside("12", peers),
        Body::Host | Body::NoOp => line.beside("2.5", peers),
    })
}

async fn crowd(options: &Options, site: &Site, body: Body, compiled: &Compiled) -> Outcome<Line> {
    let mut samples = Vec::new();
    for _ in 0..rounds(options, body) {
        let begun = Instant::now();
        let mut asked = JoinSet::new();
        for _ in 0..CROWD_RUNS {
            let (store, run) = (site.store.clone(), site.new_run(compiled));
            asked.spawn(async move { store.create_run(run).await });
        }
        while let Some(created) = asked.join_next().await {
            created??;
        }
        site.until_idle().await?;
        samples.push(begun.elapsed().as_secs_f64());
    }
    line(options, &CROWD, body, &samples)
}
