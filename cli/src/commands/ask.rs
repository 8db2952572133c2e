//! From a sentence to a definition and, if that is wanted, to a finished run.

use std::io::Write as _;

use serde_json::json;
use tidemill_api::Workbench;
use tidemill_api::definitions::Checked;
use tidemill_api::start::Order;
use tidemill_generator::{Answer, Bounds, Catalog, Options, Proposal};
use tidemill_store::TriggerKind;

use super::run::Prepared;
use crate::args::Ask;
use crate::drive;
use crate::error::{CliError, Exit, Findings};
use crate::node::{Node, Role};
use crate::out::Out;
use crate::project::Project;
use crate::result;

/// Answers a request.
pub async fn run(project: &Project, args: Ask, out: Out) -> Result<Exit, CliError> {
    let request = args.request.join(" ");
    let workbench = project.workbench()?;
    let proposal = propose(project, &workbench, &request).await?;
    let bytes = proposal.definition.as_bytes();
    // What the planner wrote meets the same proof as what a person writes.
    let checked = workbench.check(bytes).await.map_err(|list| {
        let text = proposal.definition.clone();
        CliError::Definitions(vec![Findings { file: "proposal".into(), text, list }])
    })?;
    if !out.json {
        tell(&proposal, &checked, out)?;
    }
    if let Some(path) = &args.save {
        super::init::write(path, &proposal.definition)?;
        out.note(format!("saved as {}", path.display()));
    }
    if !(args.yes || out.asks && agreed(&args)) {
        if out.json {
            let plan = super::plan::drawing(&checked.compiled, out);
            out.value(
                &json!({"proposal": proposal, "version": checked.compiled.version, "graph": plan, "ran": false}),
            )?;
        } else if args.save.is_none() {
            out.note("nothing was run; `--yes` runs it, `--save FILE` keeps it");
        }
        return Ok(Exit::Ok);
    }
    let origin = json!({"from": "ask", "request": request, "provenance": proposal.provenance});
    let prepared = Prepared::checked(checked, origin);
    let order = Order {
        trigger: TriggerKind::Ask,
        key: None,
        data: json!({"request": request}),
        by: crate::who::me(),
        params: Default::default(),
    };
    let node = Node::start(project, &workbench, Role::Drive).await?;
    let run = prepared.start(&node.store, order).await?;
    let ended = drive::to_the_end(&node, run, 0, out).await;
    node.stop().await;
    let ended = ended?;
    if !out.json {
        return super::run::tell(project, &workbench, &prepared.compiled, ended, out).await;
    }
    let exit = ended.exit();
    let given = result::of_run(project, &workbench, &prepared.compiled.plan, &ended.tasks).await?;
    let mut answer = super::run::as_json(&given, ended)?;
    answer["proposal"] = json!(proposal);
    out.value(&answer)?;
    Ok(exit)
}

async fn propose(project: &Project, workbench: &Workbench, request: &str) -> Result<Proposal, CliError> {
    let target = target(project);
    let catalog = Catalog::gather_within(&workbench.connections, Bounds::default(), &[&target]).await;
    let options = Options { default_target: target, now: Some(crate::clock::clock().now()) };
    match tidemill_generator::plan(request, &catalog, &options) {
        Answer::Proposed(proposal) => Ok(*proposal),
        Answer::Refused(refusal) => Err(CliError::NotUnderstood(Box::new(refusal))),
    }
}

/// Where results go when the request does not say: `out`, or else the last connection of the project.
fn target(project: &Project) -> String {
    let names = &project.config.connections;
    let last = || names.keys().next_back().cloned().unwrap_or_default();
    if names.contains_key("out") { "out".to_owned() } else { last() }
}

fn tell(proposal: &Proposal, checked: &Checked, out: Out) -> Result<(), CliError> {
    out.line(out.paint.bold("Understood"))?;
    for meaning in &proposal.explanation {
        out.line(format!("  “{}” → {}", meaning.words, meaning.meaning))?;
    }
    if !proposal.assumptions.is_empty() {
        out.line(format!("\n{}", out.paint.bold("Assumed")))?;
        for assumption in &proposal.assumptions {
            out.line(format!("  {assumption}"))?;
        }
    }
    out.line(format!("\n{}", out.paint.bold("Definition")))?;
    for line in proposal.definition.lines() {
        out.line(format!("  {line}"))?;
    }
    out.line("")?;
    out.text(&super::plan::drawing(&checked.compiled, out))?;
    out.line("")
}

/// Asks the person at the terminal.
fn agreed(args: &Ask) -> bool {
    if args.save.is_some() {
        return false;
    }
    let mut err = std::io::stderr().lock();
    let _ = write!(err, "Run it now? [y/N] ");
    let _ = err.flush();
    drop(err);
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    read.is_ok() && matches!(line.trim().to_lowercase().as_str(), "y" | "yes")
}
