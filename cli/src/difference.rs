//! The difference between two versions, for people.

use std::fmt::Write as _;

use serde_json::Value;
use tidemill_dag::diff::{ColumnChange, Diff, FieldChange, TaskChange, What};

use crate::out::Out;
use crate::words;

/// Lines of a text that is shown in full; more is cut.
const LINES: usize = 200;

/// The difference, indented below whatever it belongs to.
pub fn in_words(diff: &Diff, out: Out) -> String {
    let mut text = String::new();
    for task in &diff.tasks {
        one_task(task, out, &mut text);
    }
    for edge in &diff.edges {
        let _ = writeln!(
            text,
            "  {} {} → {} ({})",
            sign(edge.what, out),
            edge.edge.from,
            edge.edge.to,
            words::state(edge.edge.why)
        );
    }
    for column in &diff.columns {
        let _ =
            writeln!(text, "  {} column {}.{}{}", sign(column.what, out), column.task, column.column, origin(column));
    }
    for field in &diff.settings {
        one_field(field, 2, out, &mut text);
    }
    if diff.schedule.changed {
        let next = |list: &[String]| if list.is_empty() { "never".to_owned() } else { list.join(", ") };
        let _ = writeln!(text, "  {} fires next {}", out.paint.red("-"), next(&diff.schedule.before));
        let _ = writeln!(text, "  {} fires next {}", out.paint.green("+"), next(&diff.schedule.after));
    }
    for unknown in &diff.unknown {
        let _ = writeln!(text, "  {} {unknown}", out.paint.dim("?"));
    }
    text
}

fn sign(what: What, out: Out) -> String {
    match what {
        What::Added => out.paint.green("+"),
        What::Removed => out.paint.red("-"),
        What::Changed => out.paint.yellow("~"),
    }
}

fn one_task(task: &TaskChange, out: Out, text: &mut String) {
    let _ = writeln!(text, "  {} task {} ({})", sign(task.what, out), task.name, task.kind);
    // Of what is new or gone, the kind says enough; its text is in the file.
    if task.what == What::Changed {
        for field in &task.fields {
            one_field(field, 6, out, text);
        }
    }
}

fn one_field(field: &FieldChange, indent: usize, out: Out, text: &mut String) {
    let pad = " ".repeat(indent);
    let Some(diff) = &field.diff else {
        let (before, after) = (value(field.before.as_ref()), value(field.after.as_ref()));
        let _ = writeln!(text, "{pad}{} {}: {before} → {after}", sign(field.what, out), field.path);
        return;
    };
    let _ = writeln!(text, "{pad}{} {}:", sign(field.what, out), field.path);
    for line in diff.lines().take(LINES) {
        let painted = match line.chars().next() {
            Some('+') => out.paint.green(line),
            Some('-') => out.paint.red(line),
            Some('@') => out.paint.cyan(line),
            _ => line.to_owned(),
        };
        let _ = writeln!(text, "{pad}  {painted}");
    }
    let more = diff.lines().count().saturating_sub(LINES);
    if more > 0 {
        let _ = writeln!(text, "{pad}  {}", out.paint.dim(&format!("… and {more} lines more")));
    }
}

fn value(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), ToString::to_string)
}

/// What is different about a column: its type, or where it comes from.
fn origin(change: &ColumnChange) -> String {
    let told = |column: &tidemill_dag::diff::ShapeColumn| {
        let from =
            if column.sources.is_empty() { String::new() } else { format!(" ← {}", column.sources.join(", ")) };
        format!("{}{from}", column.kind)
    };
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => format!(": {} → {}", told(before), told(after)),
        (None, Some(only)) | (Some(only), None) => format!(": {}", told(only)),
        (None, None) => String::new(),
    }
}
