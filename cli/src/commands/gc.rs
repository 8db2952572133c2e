use crate::args::Gc;
use crate::error::{CliError, Exit};
use crate::node;
use crate::out::Out;
use crate::project::Project;
use crate::words;
use tidemill_store::Collected;

/// Removes what is old and what nothing names, and says what that frees.
pub async fn run(project: &Project, args: Gc, out: Out) -> Result<Exit, CliError> {
    let store = if args.dry_run { project.look().await? } else { project.open().await?.0 };
    let blobs = node::blobs(project).await?;
    if args.adopt {
        store.take_over_place(&*blobs).await?;
    }
    let section = &project.config.retention;
    let done = store.collect(&*blobs, section.lengths(), args.dry_run).await?;
    if out.json {
        out.value(&done)?;
        return Ok(Exit::Ok);
    }
    let lines = lines(&done, args.dry_run, &section.grace.to_string());
    if lines.is_empty() {
        out.line(format!("{} there is nothing to remove", out.paint.green("✓")))?;
    }
    for line in lines {
        out.line(line)?;
    }
    Ok(Exit::Ok)
}

fn lines(done: &Collected, dry: bool, grace: &str) -> Vec<String> {
    let n = |count: u64, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        many_of_them => format!("{} {many}", words::count(many_of_them)),
    };
    let (removed, marked) = if dry { ("would remove", "would mark") } else { ("removed", "marked") };
    let mut lines = Vec::new();
    if done.blobs > 0 {
        let (files, bytes) = (n(done.blobs, "file", "files"), words::bytes(done.bytes));
        let runs = n(done.runs_emptied, "old run", "old runs");
        lines.push(format!("{removed} {files} of data sets, {bytes}; among them those of {runs}"));
    }
    if done.uploads > 0 {
        lines.push(format!("gave up {} that nobody finishes", n(done.uploads, "upload", "uploads")));
    }
    if done.logs > 0 {
        lines.push(format!("{removed} {}", n(done.logs, "log line", "log lines")));
    }
    if done.events > 0 {
        let runs = n(done.runs_forgotten, "run", "runs");
        lines.push(format!("{removed} {} of {runs}", n(done.events, "event", "events")));
    }
    if done.runs_marked > 0 {
        let runs = n(done.runs_marked, "old run", "old runs");
        lines.push(format!("{marked} {runs}; their data sets go in {grace}, unless they are resumed"));
    }
    if done.garbage_seen > 0 {
        let files = n(done.garbage_seen, "file", "files");
        lines.push(format!("{marked} {files} that no result names; they go in {grace}"));
    }
    lines
}
