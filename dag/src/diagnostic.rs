//! What is wrong with a definition, for people: a code, a place, what is wrong, what to do.

use std::{error::Error, fmt};

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth a look; the definition still runs.
    Warning,
    /// The definition does not run.
    Error,
}

/// An error's message with those of its causes, each said once, on one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let message = source.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        next = source.source();
    }
    text
}

/// A place in a definition's text. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
pub struct Place {
    /// Line, from 1; 0 where the text has no lines (a definition that came as a value).
    pub line: u32,
    /// Column, from 1, in characters.
    pub column: u32,
}

/// One finding about a definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Public code, as in `TM0104`; each has a page in `docs/errors/`.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// Where in the text.
    pub place: Place,
    /// Where in the document, as in `tasks.revenue.sql`.
    pub path: String,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error.
    pub fn error(code: &'static str, place: Place, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, place, path: path.into(), message: message.into(), help: None }
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Gives it advice.
    pub fn advise(&mut self, help: impl Into<String>) {
        self.help = Some(help.into());
    }

    /// Makes it a warning.
    pub fn only_warn(&mut self) -> &mut Self {
        self.severity = Severity::Warning;
        self
    }

    /// `file:line:column: error[TM0104] path: message` and the help on a line of its own.
    pub fn render(&self, file: &str) -> String {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let Place { line, column } = self.place;
        let mut out = format!("{file}:{line}:{column}: {severity}[{}] ", self.code);
        if !self.path.is_empty() {
            out.push_str(&format!("{}: ", self.path));
        }
        out.push_str(&self.message);
        if let Some(help) = &self.help {
            out.push_str(&format!("\n  help: {help}"));
        }
        out
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render("definition"))
    }
}
