//! What a definition would do, without doing it.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tidemill_dag::compile::Compiled;
use tidemill_dag::layout::layout;
use tidemill_dag::plan::PlannedTask;
use tidemill_dag::schedule::Schedule;
use tidemill_dag::spec::{TaskKind, Trigger};
use tidemill_dag::time::Timestamp;
use tidemill_engine::{Influence, Proof, ProvedTask, ScanFacts};
use tidemill_worker::sandbox;

use crate::args::PlanArgs;
use crate::clock;
use crate::draw;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::words;

/// How many fire times are shown.
const FIRES: usize = 5;

/// Shows a plan.
pub async fn run(project: &Project, args: PlanArgs, out: Out) -> Result<Exit, CliError> {
    let workbench = project.workbench()?;
    let compiled = super::run::prepare(project, &workbench, &args.what).await?.compiled;
    let proof = workbench.prove(&compiled).await.map_err(CliError::Params)?;
    if out.json {
        out.value(&as_json(&compiled, &proof))?;
    } else {
        out.text(&in_words(&compiled, &proof, out))?;
    }
    Ok(Exit::Ok)
}

/// The graph as it is drawn for people.
pub fn drawing(compiled: &Compiled, out: Out) -> String {
    let label = |name: &str| {
        let kind = compiled.pipeline.tasks.get(name).map_or("?", |task| task.kind.name());
        let view = !compiled.plan.tasks.iter().any(|task| task.name == name);
        if view { format!("{kind}, view") } else { kind.to_owned() }
    };
    draw::draw(&layout(&compiled.graph), &label, out.width)
}

fn in_words(compiled: &Compiled, proof: &Proof, out: Out) -> String {
    let pipeline = &compiled.pipeline;
    let mut text = format!("{} {}\n", out.paint.bold(&pipeline.pipeline), out.paint.dim(&short(&compiled.version.0)));
    if let Some(description) = &pipeline.description {
        let _ = writeln!(text, "{description}");
    }
    let _ = write!(text, "\n{}", drawing(compiled, out));
    edges(compiled, out, &mut text);
    heading("What runs", out, &mut text);
    for (ordinal, task) in compiled.plan.iter() {
        let _ = writeln!(text, "  {:>2}. {}", ordinal.0 + 1, step(task));
    }
    columns(compiled, proof, out, &mut text);
    pushdown(proof, out, &mut text);
    limits(compiled, out, &mut text);
    schedule(compiled, clock::clock().now(), out, &mut text);
    text
}

fn short(version: &str) -> String {
    version.chars().take(12).collect()
}

fn heading(title: &str, out: Out, text: &mut String) {
    let _ = writeln!(text, "\n{}", out.paint.bold(title));
}

fn edges(compiled: &Compiled, out: Out, text: &mut String) {
    let edges = compiled.graph.edges();
    if edges.is_empty() {
        return;
    }
    heading("Edges, and why", out, text);
    for edge in edges.iter().take(200) {
        let _ = writeln!(text, "  {} → {}  ({})", edge.from, edge.to, words::state(edge.why));
    }
    if edges.len() > 200 {
        let _ = writeln!(text, "  … and {} more", edges.len() - 200);
    }
}

fn step(task: &PlannedTask) -> String {
    let mut text = format!("{} ({})", task.name, task.task.kind.name());
    if !task.views.is_empty() {
        let views: Vec<&str> = task.views.iter().map(|view| view.name.as_str()).collect();
        let _ = write!(text, ", with {} inlined", views.join(", "));
    }
    if let Some(retries) = task.task.retries.filter(|n| *n > 0) {
        let _ = write!(text, ", up to {} tries", retries + 1);
    }
    if let Some(timeout) = task.task.timeout {
        let _ = write!(text, ", at most {timeout} each");
    }
    text
}

/// Columns with their types and where they come from.
fn columns(compiled: &Compiled, proof: &Proof, out: Out, text: &mut String) {
    let names = compiled.graph.names().filter_map(|name| Some((name, proof.tasks.get(name)?)));
    let known: Vec<(&str, &ProvedTask)> = names.filter(|(_, task)| task.schema.is_some()).collect();
    if known.is_empty() {
        return;
    }
    heading("Columns, and where they come from", out, text);
    for (name, task) in known {
        let _ = writeln!(text, "  {name}");
        let Some(schema) = &task.schema else { continue };
        for field in schema.fields() {
            let kind = tidemill_connectors::column_type::to_text(field.data_type());
            let lineage = task.lineage.iter().find(|l| l.column == *field.name());
            let from = lineage.map(|l| origins(&l.sources)).unwrap_or_default();
            let line = format!("    {:<20} {kind:<12} {from}", field.name());
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
}

/// The sources whose values are in a column; those that only decide about rows are counted.
fn origins(sources: &[Influence]) -> String {
    let direct = |i: &&Influence| matches!(i.how, tidemill_engine::Use::Direct(_));
    let mut names: Vec<String> =
        sources.iter().filter(direct).map(|i| format!("{}.{}", i.source.relation, i.source.column)).collect();
    names.dedup();
    let others = sources.iter().filter(|i| !direct(i)).count();
    match (names.is_empty(), others) {
        (true, 0) => String::new(),
        (true, n) => format!("← decided by {n} columns"),
        (false, 0) => format!("← {}", names.join(", ")),
        (false, n) => format!("← {} (and {n} that decide about rows)", names.join(", ")),
    }
}

fn pushdown(proof: &Proof, out: Out, text: &mut String) {
    let asked: Vec<(&String, &ScanFacts)> =
        proof.tasks.iter().flat_map(|(name, task)| task.pushdown.iter().map(move |facts| (name, facts))).collect();
    if asked.is_empty() {
        return;
    }
    heading("What is asked of each source", out, text);
    for (task, facts) in asked {
        let _ = write!(
            text,
            "  {task} ← {} ({}): {} of {} columns",
            facts.relation,
            facts.kind,
            facts.columns.len(),
            facts.of_columns
        );
        if !facts.filters.is_empty() {
            let _ = write!(text, ", where {}", facts.filters.join(" AND "));
        }
        if let Some(limit) = facts.limit {
            let _ = write!(text, ", at most {limit} rows");
        }
        text.push('\n');
        for local in &facts.local {
            let _ = writeln!(text, "      done here: {} ({})", local.what, local.why);
        }
    }
}

fn runs_programs(compiled: &Compiled) -> bool {
    compiled.plan.tasks.iter().any(|task| matches!(task.task.kind, TaskKind::Python(_) | TaskKind::Shell(_)))
}

fn limits(compiled: &Compiled, out: Out, text: &mut String) {
    if !runs_programs(compiled) {
        return;
    }
    heading("Limits on programs, on this machine", out, text);
    let holds = sandbox::probe();
    for (what, how) in [
        ("memory", &holds.memory),
        ("files", &holds.files),
        ("network", &holds.network),
        ("left-over processes", &holds.orphans),
    ] {
        let _ = writeln!(text, "  {what}: {how}");
    }
}

/// The next fire times of every cron trigger.
fn fires(compiled: &Compiled, now: Timestamp) -> Vec<(String, Vec<Timestamp>)> {
    let mut all = Vec::new();
    for trigger in &compiled.pipeline.triggers {
        if let Trigger::Cron(cron) = trigger {
            let zone = cron.timezone.as_deref().unwrap_or("UTC");
            let next = Schedule::of(cron).map(|s| s.upcoming(now).take(FIRES).collect()).unwrap_or_default();
            all.push((format!("{} {zone}", cron.cron), next));
        }
    }
    all
}

fn schedule(compiled: &Compiled, now: Timestamp, out: Out, text: &mut String) {
    let fires = fires(compiled, now);
    if fires.is_empty() {
        return;
    }
    heading("Next fire times", out, text);
    for (cron, next) in fires {
        let _ = writeln!(text, "  {cron}");
        for moment in next {
            let _ = writeln!(text, "    {}", moment.to_utc().format("%a %Y-%m-%d %H:%M:%S UTC"));
        }
    }
}

fn as_json(compiled: &Compiled, proof: &Proof) -> Value {
    let proved = |task: &ProvedTask| {
        let columns = task.schema.as_ref().map(|schema| {
            let column = |f: &arrow::datatypes::FieldRef| {
                let kind = tidemill_connectors::column_type::to_text(f.data_type());
                json!({"name": f.name(), "type": kind, "nullable": f.is_nullable()})
            };
            schema.fields().iter().map(column).collect::<Vec<_>>()
        });
        json!({"columns": columns, "lineage": task.lineage, "pushdown": task.pushdown})
    };
    let steps = compiled.plan.iter().map(|(ordinal, task)| {
        json!({
            "ordinal": ordinal, "name": task.name, "kind": task.task.kind.name(), "needs": task.needs,
            "reads": task.reads, "views": task.views.iter().map(|v| &v.name).collect::<Vec<_>>(),
        })
    });
    let fires = fires(compiled, clock::clock().now()).into_iter();
    json!({
        "pipeline": compiled.pipeline.pipeline,
        "version": compiled.version,
        "definition": compiled.pipeline,
        "edges": compiled.graph.edges(),
        "layout": layout(&compiled.graph),
        "tasks": steps.collect::<Vec<_>>(),
        "proof": proof.tasks.iter().map(|(name, task)| (name.clone(), proved(task))).collect::<serde_json::Map<_, _>>(),
        "limits": runs_programs(compiled).then(sandbox::probe),
        "next": fires.map(|(cron, next)| json!({
            "cron": cron, "at": next.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "warnings": compiled.warnings.iter().chain(&proof.warnings).collect::<Vec<_>>(),
    })
}
