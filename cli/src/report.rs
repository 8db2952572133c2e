//! One clear report of whatever went wrong: code, place, what is wrong, what to do; or the same as JSON.

use serde::Serialize;
use tidemill_connectors::ConnectorError;
use tidemill_dag::diagnostic::{Diagnostic, Severity};
use tidemill_generator::Refusal;

use crate::error::{CliError, Findings};
use crate::out::{Out, Paint};

/// One finding as `--json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The public code.
    pub code: String,
    /// Error or warning.
    pub severity: Severity,
    /// The file, where there is one.
    pub file: Option<String>,
    /// Its line, from 1.
    pub line: Option<u32>,
    /// Its column, from 1.
    pub column: Option<u32>,
    /// Where in the document.
    pub path: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// What was behind it, outermost first.
    pub causes: Vec<String>,
}

/// Prints what went wrong: to standard error for people, to standard output as JSON.
pub fn print(out: &Out, error: &CliError) {
    if matches!(error, CliError::Closed) {
        return;
    }
    if out.json {
        // The reader of the output may have gone; there is nobody left to tell.
        let _ = out.value(&entries(error));
    } else {
        out.note(render(error, out.paint_err));
    }
}

/// Every finding of an error.
pub fn entries(error: &CliError) -> Vec<Entry> {
    match error {
        CliError::Definitions(files) => files.iter().flat_map(of_findings).collect(),
        CliError::Config(findings) => of_findings(findings),
        CliError::Params(list) => list.iter().map(|d| of_diagnostic(None, d)).collect(),
        CliError::NotUnderstood(refusal) => of_refusal(refusal),
        CliError::Connectors(errors) => errors.iter().map(of_connector).collect(),
        other => vec![Entry { help: other.help(), causes: causes(other), ..plain(other.code(), other.to_string()) }],
    }
}

fn plain(code: &str, message: String) -> Entry {
    Entry {
        code: code.to_owned(),
        severity: Severity::Error,
        file: None,
        line: None,
        column: None,
        path: None,
        message,
        help: None,
        causes: Vec::new(),
    }
}

fn of_findings(findings: &Findings) -> Vec<Entry> {
    findings.list.iter().map(|d| of_diagnostic(Some(&findings.file), d)).collect()
}

/// One diagnostic of a file.
pub fn of_diagnostic(file: Option<&str>, found: &Diagnostic) -> Entry {
    let placed = found.place.line > 0;
    Entry {
        severity: found.severity,
        file: file.map(str::to_owned),
        line: placed.then_some(found.place.line),
        column: placed.then_some(found.place.column),
        path: (!found.path.is_empty()).then(|| found.path.clone()),
        help: found.help.clone(),
        ..plain(found.code, found.message.clone())
    }
}

fn of_refusal(refusal: &Refusal) -> Vec<Entry> {
    let entry = |p: &tidemill_generator::Problem| Entry {
        path: (!p.words.is_empty()).then(|| p.words.clone()),
        help: (!p.choices.is_empty()).then(|| format!("could be: {}", p.choices.join(", "))),
        ..plain(p.code, p.why.clone())
    };
    let mut entries: Vec<Entry> = refusal.problems.iter().map(entry).collect();
    if let (Some(last), Some(nearest)) = (entries.last_mut(), &refusal.nearest) {
        last.causes.push(format!("nearest request that would be understood: {nearest}"));
    }
    entries
}

fn of_connector(error: &ConnectorError) -> Entry {
    Entry { help: error.help(), causes: causes(error), ..plain(error.code(), error.to_string()) }
}

/// The messages of what is behind an error, each once.
pub fn causes(error: &dyn std::error::Error) -> Vec<String> {
    let mut list = Vec::new();
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if text != said {
            list.push(text.clone());
        }
        said = text;
        next = cause.source();
    }
    list
}

/// The report for people.
pub fn render(error: &CliError, paint: Paint) -> String {
    match error {
        CliError::Definitions(files) => files.iter().map(|f| findings(f, paint)).collect::<Vec<_>>().join("\n\n"),
        CliError::Config(one) => findings(one, paint),
        CliError::NotUnderstood(refusal) => not_understood(refusal, paint),
        other => entries(other).iter().map(|e| entry(e, paint)).collect::<Vec<_>>().join("\n"),
    }
}

fn severity(severity: Severity, code: &str, paint: Paint) -> String {
    match severity {
        Severity::Warning => paint.yellow(&format!("warning[{code}]")),
        Severity::Error => paint.red(&format!("error[{code}]")),
    }
}

fn entry(entry: &Entry, paint: Paint) -> String {
    let path = entry.path.as_ref().map(|p| format!("{p}: ")).unwrap_or_default();
    let mut text = format!("{} {path}{}", severity(entry.severity, &entry.code, paint), entry.message);
    for cause in &entry.causes {
        text.push_str(&format!("\n  because: {cause}"));
    }
    if let Some(help) = &entry.help {
        text.push_str(&format!("\n  {} {help}", paint.cyan("help:")));
    }
    text
}

/// All findings of one file, each with the line that is meant.
pub fn findings(findings: &Findings, paint: Paint) -> String {
    let lines: Vec<&str> = findings.text.lines().collect();
    let all: Vec<String> = findings.list.iter().map(|d| diagnostic(&findings.file, &lines, d, paint)).collect();
    all.join("\n")
}

fn diagnostic(file: &str, lines: &[&str], found: &Diagnostic, paint: Paint) -> String {
    let place = found.place;
    let at = if place.line > 0 { format!("{file}:{}:{}", place.line, place.column) } else { file.to_owned() };
    let path = if found.path.is_empty() { String::new() } else { format!("{}: ", found.path) };
    let head = severity(found.severity, found.code, paint);
    let mut text = format!("{}: {head} {path}{}", paint.bold(&at), found.message);
    let index = usize::try_from(place.line).unwrap_or(0).checked_sub(1);
    if let Some(line) = index.and_then(|index| lines.get(index)) {
        text.push_str(&excerpt(line, place.line, place.column, paint));
    }
    if let Some(help) = &found.help {
        text.push_str(&format!("\n  {} {help}", paint.cyan("help:")));
    }
    text
}

/// The line with a caret below the column; of a long line, the part around it.
fn excerpt(line: &str, number: u32, column: u32, paint: Paint) -> String {
    const BEFORE: usize = 60;
    const SHOWN: usize = 100;
    let column = usize::try_from(column).unwrap_or(1).max(1) - 1;
    let from = column.saturating_sub(BEFORE);
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let shown: String = line.chars().skip(from).take(SHOWN).map(clean).collect();
    let pad: usize =
        shown.chars().take(column - from).map(|c| unicode_width::UnicodeWidthChar::width(c).unwrap_or(0)).sum();
    let caret = paint.red("^");
    let (number, bar) = (format!("{number:>5}"), paint.dim("|"));
    format!("\n{} {bar} {shown}\n      {bar} {}{caret}", paint.dim(&number), " ".repeat(pad))
}

/// What of a request was not understood, word for word.
pub fn not_understood(refusal: &Refusal, paint: Paint) -> String {
    let mut text = paint.bold("This is not understood, so nothing was written or run:");
    for problem in &refusal.problems {
        let words = if problem.words.is_empty() { String::new() } else { format!("“{}”: ", problem.words) };
        text.push_str(&format!("\n{} {words}{}", severity(Severity::Error, problem.code, paint), problem.why));
        if !problem.choices.is_empty() {
            text.push_str(&format!("\n  {} could be: {}", paint.cyan("help:"), problem.choices.join(", ")));
        }
    }
    if let Some(nearest) = &refusal.nearest {
        text.push_str(&format!("\n\nThe nearest request that is understood:\n  tidemill ask \"{nearest}\""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemill_dag::diagnostic::Place;

    const PLAIN: Paint = Paint(false);

    #[test]
    fn the_line_is_shown_with_a_caret_below_the_place() {
        let found = Diagnostic::error("TM0201", Place { line: 2, column: 3 }, "tasks.a", "no").help("yes");
        let findings = Findings { file: "a.yaml".into(), text: "one\nt\u{4e2d}wo\n".into(), list: vec![found] };
        let text = super::findings(&findings, PLAIN);
        assert_eq!(text, "a.yaml:2:3: error[TM0201] tasks.a: no\n    2 | t\u{4e2d}wo\n      |    ^\n  help: yes");
    }

    #[test]
    fn a_place_outside_of_the_text_does_no_harm() {
        let found = Diagnostic::error("TM0201", Place { line: 9, column: 900 }, "", "no");
        let findings = Findings { file: "a.yaml".into(), text: String::new(), list: vec![found] };
        assert_eq!(super::findings(&findings, PLAIN), "a.yaml:9:900: error[TM0201] no");
        assert!(excerpt(&"x".repeat(5_000), 1, 4_000, PLAIN).len() < 200);
        assert!(excerpt("short", 1, 4_000, PLAIN).ends_with('^'));
    }

    #[test]
    fn causes_are_told_once_and_outermost_first() {
        let source = std::io::Error::other("disk on fire");
        let error = CliError::ReadFile { path: "x.yaml".into(), source };
        let entries = entries(&error);
        assert_eq!(entries[0].causes, ["disk on fire"]);
        assert_eq!(render(&error, PLAIN), "error[TM0901] cannot read x.yaml\n  because: disk on fire");
    }
}
