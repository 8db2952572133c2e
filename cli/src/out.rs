//! Standard output: colours where they are wanted, quiet when the reader has gone.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::error::CliError;

/// How results are written.
#[derive(Debug, Clone, Copy)]
pub struct Out {
    /// One JSON value instead of text.
    pub json: bool,
    /// Colours on standard output.
    pub paint: Paint,
    /// Colours on standard error.
    pub paint_err: Paint,
    /// Columns of the terminal; 80 where there is none.
    pub width: usize,
    /// Whether a person is looking at standard error, where progress goes.
    pub live: bool,
    /// Whether a person can answer a question.
    pub asks: bool,
}

impl Out {
    /// Looks at the terminal and the environment.
    pub fn new(json: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || std::env::var_os("TERM").is_some_and(|v| v == "dumb");
        let width = terminal_size::terminal_size().map_or(80, |(w, _)| usize::from(w.0));
        let stderr = io::stderr().is_terminal();
        Self {
            json,
            paint: Paint(!plain && !json && io::stdout().is_terminal()),
            paint_err: Paint(!plain && stderr),
            width: width.clamp(40, 200),
            live: stderr && !json && std::env::var_os("TERM").is_none_or(|v| v != "dumb"),
            asks: io::stdin().is_terminal() && io::stdout().is_terminal() && !json,
        }
    }

    /// Text to standard output, as it is.
    pub fn text(&self, text: &str) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(closed)
    }

    /// One line to standard output.
    pub fn line(&self, line: impl AsRef<str>) -> Result<(), CliError> {
        self.text(&format!("{}\n", line.as_ref()))
    }

    /// One JSON value to standard output.
    pub fn value<T: Serialize>(&self, value: &T) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(value).map_err(|source| CliError::Json { source })?;
        self.line(text)
    }

    /// One JSON value on a line of its own, for streams of them.
    pub fn value_line<T: Serialize>(&self, value: &T) -> Result<(), CliError> {
        let text = serde_json::to_string(value).map_err(|source| CliError::Json { source })?;
        self.line(text)
    }

    /// A remark for people, to standard error; never fails, since nobody waits for it.
    pub fn note(&self, line: impl AsRef<str>) {
        if !self.json {
            let _ = writeln!(io::stderr().lock(), "{}", line.as_ref());
        }
    }
}

fn closed(error: io::Error) -> CliError {
    match error.kind() {
        io::ErrorKind::BrokenPipe => CliError::Closed,
        _ => CliError::Output { source: error },
    }
}

/// Colours, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint(pub bool);

impl Paint {
    fn wrap(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Important.
    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// Unimportant.
    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// Wrong.
    pub fn red(self, text: &str) -> String {
        self.wrap("31", text)
    }

    /// Right.
    pub fn green(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// Doubtful.
    pub fn yellow(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// Moving.
    pub fn cyan(self, text: &str) -> String {
        self.wrap("36", text)
    }
}
