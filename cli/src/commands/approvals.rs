use serde_json::{Value, json};
use tidemill_dag::approval::{Answer, Verdict};
use tidemill_dag::id::{Attempt, TaskKey, Ticket};
use tidemill_store::{ApprovalFilter, ApprovalRecord, Store};

use crate::args::{Approvals, Approve, Reject, Speaker};
use crate::clock;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::project::Project;
use crate::resolve;
use crate::words;

/// Lists what people are asked.
pub async fn list(project: &Project, args: Approvals, out: Out) -> Result<Exit, CliError> {
    let store = project.look().await?;
    let run = match &args.run {
        Some(text) => Some(resolve::run(&store, text).await?.id),
        None => None,
    };
    let found = store
        .approvals(&ApprovalFilter { run, all: args.all, limit: args.limit.clamp(1, 10_000), after: None })
        .await?;
    if out.json {
        out.value(&found.iter().map(view).collect::<Vec<_>>())?;
        return Ok(Exit::Ok);
    }
    if found.is_empty() {
        out.line(if args.all { "nobody was ever asked anything" } else { "nobody is asked anything now" })?;
    }
    for approval in &found {
        out.text(&in_words(approval, out))?;
    }
    Ok(Exit::Ok)
}

/// Says yes.
pub async fn approve(project: &Project, args: Approve, out: Out) -> Result<Exit, CliError> {
    answer(project, &args.id, args.speaker, true, args.reason, out).await
}

/// Says no.
pub async fn reject(project: &Project, args: Reject, out: Out) -> Result<Exit, CliError> {
    answer(project, &args.id, args.speaker, false, Some(args.reason), out).await
}

async fn answer(
    project: &Project,
    id: &str,
    speaker: Speaker,
    approve: bool,
    reason: Option<String>,
    out: Out,
) -> Result<Exit, CliError> {
    let store = project.look().await?;
    let ticket = meant(&store, id).await?;
    let who = speaker.name.or_else(crate::who::me).ok_or(CliError::WhoAreYou)?;
    let answered = store.answer(ticket, &Answer { who, roles: speaker.roles, approve, reason }).await?;
    if out.json {
        out.value(&view(&store.approval(ticket).await?))?;
        return Ok(Exit::Ok);
    }
    let said = match answered.verdict {
        Verdict::Counted { missing: 1 } => "it counts; one more person must approve".to_owned(),
        Verdict::Counted { missing } => format!("it counts; {missing} more people must approve"),
        Verdict::Approved => "approved".to_owned(),
        Verdict::Rejected => "refused".to_owned(),
    };
    out.line(format!("{ticket}: {said}"))?;
    if answered.verdict == Verdict::Approved {
        out.note(format!("the run goes on where a worker is; `tidemill resume {}` drives it here", answered.run));
    }
    Ok(Exit::Ok)
}

/// The attempt that is meant: by its own name, or the one that RUN.TASK is at.
async fn meant(store: &Store, text: &str) -> Result<Ticket, CliError> {
    if let Some((task, attempt)) = text.split_once('#')
        && let (Ok(task), Ok(attempt)) = (task.parse::<TaskKey>(), attempt.parse())
    {
        return Ok(Ticket { task, attempt: Attempt(attempt) });
    }
    let (run, task) = resolve::split(text);
    let run = resolve::run(store, &run).await?;
    let tasks = store.tasks(run.id).await?;
    let task = match task {
        Some(task) => resolve::task(&run, &tasks, &task)?,
        // A run that asks one thing needs no task's name.
        None => match tasks.iter().filter(|task| task.asks.is_some()).collect::<Vec<_>>().as_slice() {
            [one] => *one,
            _ => resolve::task(&run, &tasks, "")?,
        },
    };
    Ok(Ticket { task: task.key(), attempt: task.attempt })
}

fn view(approval: &ApprovalRecord) -> Value {
    let mut view = json!(approval);
    if let Some(map) = view.as_object_mut() {
        map.insert("id".to_owned(), json!(approval.ticket().to_string()));
        map.insert("state".to_owned(), json!(words::state(approval.state)));
    }
    view
}

fn in_words(approval: &ApprovalRecord, out: Out) -> String {
    let question = &approval.question;
    let now = clock::clock().now();
    let id = approval.ticket().to_string();
    let mut text = format!("{} {}\n", out.paint.bold(&id), out.paint.dim(&words::state(approval.state)));
    text.push_str(&format!("  {}.{}: {}\n", approval.pipeline, approval.task, question.message));
    let who = if question.approvers.is_empty() { "anybody".to_owned() } else { question.approvers.join(" or ") };
    let people = if question.required == 1 { String::new() } else { format!(", {} people", question.required) };
    let without = question.excluded.as_ref().map(|name| format!(", not {name}")).unwrap_or_default();
    text.push_str(&format!("  asks {who}{people}{without}"));
    if approval.open {
        let left = words::duration(question.expires_at.since(now));
        text.push_str(&format!(", for {left} more; then: {}\n", question.on_expiry));
    } else {
        text.push_str(&format!(", until {}\n", question.expires_at));
    }
    for answer in &approval.answers {
        let said = if answer.answer.approve { out.paint.green("yes") } else { out.paint.red("no") };
        let why = answer.answer.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        text.push_str(&format!(
            "  {said} {}{why} ({} ago)\n",
            answer.answer.who,
            words::duration(now.since(answer.at))
        ));
    }
    for (task, shown) in question.subject.as_object().into_iter().flatten() {
        text.push_str(&format!("  shows {task}: {}\n", shown.get("look").and_then(Value::as_str).unwrap_or_default()));
    }
    text
}
